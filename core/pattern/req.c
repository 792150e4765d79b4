/*
 * req.c - REQ: a request to the next peer with room, then its reply, in turn.
 * RFC 28.
 *
 * A request goes out behind an empty frame (and with "correlate" behind a
 * number before that); a reply must begin so, and come from the peer that was
 * asked.  The envelope of a reply is taken off when it is looked at, and the
 * rest stays in the pipe until it is received.
 *
 * When the peer that was asked goes away for good, the request is lost and
 * its reply is waited for all the same, as libzmq does: sending it again may
 * do a thing twice, so that is left to the application ("relaxed", or a
 * socket that is closed).  A connect's pipe is the same peer after it has
 * connected again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "frame.h"
#include "pattern/fairqueue.h"
#include "pattern/loadbalance.h"
#include "pattern/probe.h"

struct req {
    struct weir_pipe *asked; /* NULL: gone */
    bool waiting;            /* for a reply */
    bool opened;             /* its envelope is off, the rest is in `asked` */
    uint32_t number;         /* of the request, for "correlate" */
};

static int prepare(struct weir_sock *sock)
{
    struct req *req = weir_sock_state(sock);

    return weir_random_fill(&req->number, sizeof req->number);
}

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_loadbalance_add(sock, pipe);
    return 0;
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_probe_send(pipe);
    return weir_fairqueue_begin(sock, pipe);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_pipe_lasts(pipe))
        weir_loadbalance_remove(sock, pipe);
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct req *req = weir_sock_state(sock);

    weir_loadbalance_remove(sock, pipe);
    weir_fairqueue_remove(sock, pipe);
    if (req->asked != pipe)
        return;
    req->asked = NULL;
    req->opened = false;
}

static void forget(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct req *req = weir_sock_state(sock);

    if (req->asked == pipe)
        req->opened = false;
}

/* ---- requests ---- */

/* Fill in the envelope; returns its frames. */
static uint32_t make_envelope(struct weir_sock *sock, weir_frame frames[2])
{
    struct req *req = weir_sock_state(sock);
    uint32_t n = 0;

    req->number++;
    if (sock->options.correlate) /* so short that no memory is needed */
        (void)weir_frame_fill(&frames[n++], &req->number, sizeof req->number);
    weir_frame_init(&frames[n++]);
    return n;
}

/* A reply that did not fit the caller's room is one still to be received. */
static bool awaits_reply(struct weir_sock *sock)
{
    struct req *req = weir_sock_state(sock);

    return req->waiting || sock->has_held;
}

static int ask(struct weir_sock *sock, weir_message *message)
{
    struct req *req = weir_sock_state(sock);
    struct weir_pipe *asked;
    weir_frame envelope[2];
    uint32_t n;
    int r;

    if (awaits_reply(sock) && !sock->options.relaxed)
        return weir_fail(WEIR_ESTATE, "a REQ that has asked receives the reply "
                                      "before it asks again");
    if (!weir_loadbalance_can_send(sock))
        return -EAGAIN;
    weir_fairqueue_discard(sock, WEIR_DROP_STALE);
    weir_sock_drop_held(sock);
    req->opened = false;
    n = make_envelope(sock, envelope);
    r = weir_loadbalance_send(sock, envelope, n, message, 0, &asked);
    if (r < 0)
        return r;
    req->asked = asked;
    req->waiting = true;
    return r;
}

static bool can_ask(struct weir_sock *sock)
{
    return (!awaits_reply(sock) || sock->options.relaxed) &&
           weir_loadbalance_can_send(sock);
}

/* ---- replies ---- */

static void refuse(struct weir_pipe *pipe)
{
    (void)weir_pipe_skip(pipe, WEIR_DROP_MALFORMED);
    (void)weir_fail(EPROTO, "the peer sent a reply without the empty frame "
                            "that begins one");
    weir_pipe_refuse(pipe, EPROTO);
}

/* Take the frame off that has the number of a request, if that is there.
 * Returns whether it is right that it is, or is not, and says this request. */
static bool take_number(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct req *req = weir_sock_state(sock);
    const uint8_t *data;
    unsigned flags;
    size_t size;
    bool right;

    if (!weir_pipe_peek(pipe, &data, &size, &flags) ||
        !(flags & WEIR_FRAME_MORE) || size != sizeof req->number)
        return !sock->options.correlate;
    right = sock->options.correlate && memcmp(data, &req->number, size) == 0;
    weir_queue_pass(pipe->in);
    return right;
}

/* Look at a reply: its envelope is taken off, or all of it. */
static void open_reply(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct req *req = weir_sock_state(sock);
    bool right = take_number(sock, pipe) && pipe == req->asked;
    const uint8_t *data;
    unsigned flags;
    size_t size;

    if (!weir_pipe_peek(pipe, &data, &size, &flags))
        return;
    if (!(flags & WEIR_FRAME_MORE) || size != 0) {
        refuse(pipe);
    } else if (!right) {
        (void)weir_pipe_skip(pipe, WEIR_DROP_STALE);
    } else {
        weir_queue_pass(pipe->in);
        req->opened = true;
    }
}

static bool can_take(struct weir_sock *sock)
{
    struct req *req = weir_sock_state(sock);
    struct weir_pipe *pipe;

    if (!req->waiting)
        return false;
    while (!req->opened && (pipe = weir_fairqueue_message(sock)) != NULL)
        open_reply(sock, pipe);
    return req->opened;
}

static int take(struct weir_sock *sock, weir_message *message)
{
    struct req *req = weir_sock_state(sock);
    bool command;

    if (!req->waiting)
        return weir_fail(WEIR_ESTATE, "a REQ asks before it receives a reply");
    if (!can_take(sock))
        return -EAGAIN;
    req->waiting = req->opened = false;
    return weir_pipe_take(req->asked, message, &command);
}

const struct weir_pattern_ops weir_pattern_req = {
    .name = "REQ",
    .type = WEIR_REQ,
    .abilities =
        WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES | WEIR_PATTERN_IDENTITY,
    .policy = WEIR_POLICY_BLOCK,
    .state_size = sizeof(struct req),
    .open = prepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .forget = forget,
    .readable = weir_fairqueue_add,
    .writable = weir_loadbalance_add,
    .send = ask,
    .recv = take,
    .can_send = can_ask,
    .can_recv = can_take,
};
