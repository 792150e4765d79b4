/*
 * xpub.c - XPUB: as PUB, and the application receives subscriptions (01 and
 * the topic; 00 and the topic when it is over), and messages of the peers.
 * RFC 29.
 *
 * What one peer sends is dealt with in its order.  A message stays in the
 * pipe until it is received, and the subscriptions behind it wait for that;
 * so do all when the application leaves too many notices of them unread.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "frame.h"
#include "message.h"
#include "pattern/fairqueue.h"
#include "pattern/fanout.h"
#include "pattern/news.h"

struct xpub {
    struct weir_fanout fanout;
    struct weir_news news;
    struct weir_sock *sock;
};

/* ---- notices ---- */

static struct weir_note *make_note(bool on, const void *topic, size_t size)
{
    struct weir_note *note = weir_note_new();
    weir_frame *frame;
    uint8_t *octets;

    if (!note)
        return NULL;
    if (weir_message_extend(&note->message, &frame) < 0 ||
        weir_frame_make(frame, 1 + size) < 0) {
        weir_note_free(note);
        return NULL;
    }
    octets = weir_frame_data(frame);
    octets[0] = on;
    if (size > 0)
        memcpy(octets + 1, topic, size);
    return note;
}

/* Does the application want to know?  Without "verbose" it learns of a topic
 * that has its first peer or has lost its last, and of the end of one that
 * nobody had. */
static bool is_news(struct weir_sock *sock, bool on, int change, bool wanted)
{
    int64_t verbose = sock->options.verbose;

    if (change == WEIR_TRIE_ALONE)
        return true;
    if (on)
        return verbose != WEIR_VERBOSE_OFF;
    return verbose == WEIR_VERBOSE_BOTH ||
           (change == WEIR_TRIE_SAME && !wanted);
}

/* A topic of a peer that is gone.  Without memory the notice is lost, as a
 * message would be. */
static void left(void *argument, const uint8_t *topic, size_t size, bool alone)
{
    struct xpub *xpub = argument;
    struct weir_stats *gone = &xpub->sock->gone;
    struct weir_note *note;

    if (!alone && xpub->sock->options.verbose != WEIR_VERBOSE_BOTH)
        return;
    note = make_note(false, topic, size);
    if (note) {
        weir_news_put(&xpub->news, note);
    } else {
        gone->decoded++;
        gone->recv_dropped[WEIR_DROP_MEMORY]++;
    }
}

/* ---- what peers send ---- */

static int obey(struct weir_sock *sock, struct weir_pipe *pipe,
                const struct weir_zmtp_command *command)
{
    struct xpub *xpub = weir_sock_state(sock);
    struct weir_radix *topics = &xpub->fanout.trie.radix;
    bool on = command->kind == WEIR_ZMTP_IS_SUBSCRIBE;
    struct weir_note *note;
    int change;

    if (command->kind == WEIR_ZMTP_IGNORE)
        return 0;
    note = make_note(on, command->data, command->len);
    if (!note)
        return weir_fail(ENOMEM, "no memory for the notice of a subscription");
    change = weir_fanout_apply(sock, &xpub->fanout, pipe, command);
    if (change >= 0 &&
        is_news(sock, on, change,
                weir_radix_find(topics, command->data, command->len) != NULL))
        weir_news_put(&xpub->news, note);
    else
        weir_note_free(note);
    return change;
}

static bool is_full(struct weir_sock *sock)
{
    struct xpub *xpub = weir_sock_state(sock);

    return sock->options.recv_mark > 0 &&
           xpub->news.count >= (uint64_t)sock->options.recv_mark;
}

/* Deal with subscriptions until a message is next, or nothing, or there are
 * too many notices, or that is enough for now.  Returns whether something is
 * left. */
static bool drain(struct weir_sock *sock, struct weir_pipe *pipe, int *steps)
{
    struct weir_zmtp_command command;
    enum weir_fanout_next next;

    while ((next = weir_fanout_peek(pipe, &command)) == WEIR_FANOUT_TOPIC) {
        if (is_full(sock))
            return true;
        if (*steps == 0) {
            weir_sock_later(sock);
            return true;
        }
        --*steps;
        if (obey(sock, pipe, &command) < 0)
            weir_fanout_give_up(pipe);
        else
            weir_queue_pass(pipe->in);
    }
    return next != WEIR_FANOUT_NOTHING;
}

/* Only pipes that have something are in the fair queue; the others are armed,
 * since the application may never come to receive. */
static void serve(struct weir_sock *sock, struct weir_pipe *pipe, int *steps)
{
    do {
        if (drain(sock, pipe, steps)) {
            weir_fairqueue_add(sock, pipe);
            return;
        }
    } while (!weir_pipe_rest(pipe));
    weir_fairqueue_remove(sock, pipe);
    weir_sock_dry(sock, pipe);
}

static void readable(struct weir_sock *sock, struct weir_pipe *pipe)
{
    int steps = WEIR_FANOUT_STEP;

    serve(sock, pipe, &steps);
}

/* Those whose messages wait to be received are passed by. */
static void serve_all(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    int steps = WEIR_FANOUT_STEP;

    WEIR_LIST_EACH(node, after, &sock->in_turn)
    {
        struct weir_pipe *pipe =
            WEIR_CONTAINER(node, struct weir_pipe, in_turn);

        if (steps == 0) {
            weir_sock_later(sock);
            return;
        }
        serve(sock, pipe, &steps);
    }
}

/* When there are too many notices, it goes on as they are received. */
static bool tend(struct weir_sock *sock)
{
    struct xpub *xpub = weir_sock_state(sock);
    bool more = false;

    if (is_full(sock))
        return false;
    serve_all(sock);
    if (!is_full(sock))
        more = weir_fanout_forget(&xpub->fanout);
    weir_sock_wake(sock, WEIR_WAIT_IN);
    return more;
}

/* ---- peers come and go ---- */

static int prepare(struct weir_sock *sock)
{
    struct xpub *xpub = weir_sock_state(sock);

    xpub->sock = sock;
    weir_news_init(&xpub->news);
    weir_fanout_init(&xpub->fanout, left, xpub);
    return 0;
}

static void unprepare(struct weir_sock *sock)
{
    struct xpub *xpub = weir_sock_state(sock);

    weir_fanout_fini(&xpub->fanout);
    weir_news_fini(&xpub->news);
}

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xpub *xpub = weir_sock_state(sock);

    return weir_fanout_attach(sock, &xpub->fanout, pipe);
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xpub *xpub = weir_sock_state(sock);

    weir_fairqueue_remove(sock, pipe);
    weir_fanout_detach(&xpub->fanout);
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    int r = weir_fanout_up(pipe);

    if (r >= 0) {
        readable(sock, pipe);
        weir_sock_wake(sock, WEIR_WAIT_IN);
    }
    return r;
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xpub *xpub = weir_sock_state(sock);

    weir_fanout_down(sock, &xpub->fanout, pipe);
    weir_sock_wake(sock, WEIR_WAIT_IN);
}

/* ---- the application ---- */

static int give(struct weir_sock *sock, weir_message *message)
{
    struct xpub *xpub = weir_sock_state(sock);

    return weir_fanout_send(sock, &xpub->fanout, message);
}

/* Bring something to the front: a notice, or else a pipe's message. */
static bool can_take(struct weir_sock *sock)
{
    struct xpub *xpub = weir_sock_state(sock);
    struct weir_zmtp_command command;
    int steps = WEIR_FANOUT_STEP;
    struct weir_pipe *pipe;

    while (xpub->news.count == 0) {
        pipe = weir_fairqueue_next(sock);
        if (!pipe)
            return false;
        if (weir_fanout_peek(pipe, &command) == WEIR_FANOUT_MESSAGE)
            return true;
        if (steps == 0) {
            weir_sock_later(sock);
            return false;
        }
        serve(sock, pipe, &steps);
    }
    return true;
}

static int take(struct weir_sock *sock, weir_message *message)
{
    struct xpub *xpub = weir_sock_state(sock);
    struct weir_pipe *pipe;
    bool command;
    int r;

    if (!can_take(sock))
        return -EAGAIN;
    if (weir_news_take(&xpub->news, message)) {
        if (!weir_list_empty(&xpub->fanout.leaving))
            weir_sock_later(sock);
        return 1;
    }
    pipe = weir_fairqueue_next(sock);
    r = weir_pipe_take(pipe, message, &command);
    readable(sock, pipe);
    return r;
}

const struct weir_pattern_ops weir_pattern_xpub = {
    .name = "XPUB",
    .type = WEIR_XPUB,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES |
                 WEIR_PATTERN_MULTICAST | WEIR_PATTERN_LATE_QUEUE,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct xpub),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .readable = readable,
    .send = give,
    .recv = take,
    .tend = tend,
    .can_send = weir_fanout_can_send,
    .can_recv = can_take,
    .counts = weir_fanout_counts,
    .option = weir_fanout_option,
};
