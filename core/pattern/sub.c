/*
 * sub.c - SUB: messages that begin with one of its topics.  RFC 29.
 *
 * Publishers filter, but not all of them, and not what was under way; so
 * everything is looked at once more.
 */
#include "config.h"

#include <errno.h>

#include "pattern/fairqueue.h"
#include "pattern/topics.h"
#include "pattern/upstream.h"

enum { SKIPS = 1024 }; /* messages passed by at a time */

struct sub {
    struct weir_topics topics;
};

static int prepare(struct weir_sock *sock)
{
    struct sub *sub = weir_sock_state(sock);

    weir_topics_init(&sub->topics);
    return 0;
}

static void unprepare(struct weir_sock *sock)
{
    struct sub *sub = weir_sock_state(sock);

    weir_topics_fini(&sub->topics);
}

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    (void)pipe;
    return 0;
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct sub *sub = weir_sock_state(sock);
    int r = weir_upstream_begin(sock, &sub->topics, pipe);

    return r < 0 ? r : weir_fairqueue_begin(sock, pipe);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    weir_upstream_end(pipe);
}

static int subscribe(struct weir_sock *sock, const void *prefix, size_t size,
                     bool on)
{
    struct sub *sub = weir_sock_state(sock);

    return weir_upstream_change(sock, &sub->topics, prefix, size, on);
}

static bool is_wanted(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct sub *sub = weir_sock_state(sock);
    size_t size;
    const uint8_t *data = weir_queue_peeked(pipe->in, &size);

    return weir_topics_match(&sub->topics, data, size) != sock->options.invert;
}

static bool is_all_wanted(struct weir_sock *sock)
{
    struct sub *sub = weir_sock_state(sock);

    return weir_topics_match_all(&sub->topics) && !sock->options.invert;
}

/* NULL: there is none, or too many others are before it. */
static struct weir_pipe *wanted(struct weir_sock *sock)
{
    for (int i = 0; i < SKIPS; i++) {
        struct weir_pipe *pipe = weir_fairqueue_message(sock);

        if (!pipe || is_wanted(sock, pipe))
            return pipe;
        (void)weir_pipe_skip(pipe, WEIR_DROP_UNWANTED);
    }
    weir_sock_later(sock);
    return NULL;
}

static bool tend(struct weir_sock *sock)
{
    struct sub *sub = weir_sock_state(sock);

    if (wanted(sock))
        weir_sock_wake(sock, WEIR_WAIT_IN);
    return weir_upstream_tend(sock, &sub->topics);
}

static int take(struct weir_sock *sock, weir_message *message)
{
    struct weir_pipe *pipe = wanted(sock);
    bool command;

    return pipe ? weir_pipe_take(pipe, message, &command) : -EAGAIN;
}

static bool can_take(struct weir_sock *sock)
{
    return wanted(sock) != NULL;
}

const struct weir_pattern_ops weir_pattern_sub = {
    .name = "SUB",
    .type = WEIR_SUB,
    .abilities = WEIR_PATTERN_RECEIVES | WEIR_PATTERN_MULTICAST |
                 WEIR_PATTERN_DISCARDS | WEIR_PATTERN_FAIR,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct sub),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = weir_fairqueue_remove,
    .readable = weir_fairqueue_add,
    .recv = take,
    .wants = is_wanted,
    .wants_all = is_all_wanted,
    .tend = tend,
    .can_recv = can_take,
    .subscribe = subscribe,
};
