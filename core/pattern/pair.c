/*
 * pair.c - PAIR: one peer and no other.  RFC 31.
 *
 * A peer that comes while there is one is refused.  When a bind's peer has
 * gone a new one may come; what the old one left is still received.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "pattern/fairqueue.h"
#include "pattern/loadbalance.h"

struct pair {
    struct weir_pipe *peer;
};

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct pair *pair = weir_sock_state(sock);

    if (pair->peer)
        return weir_fail(EBUSY, "a PAIR has one peer, and has it already");
    pair->peer = pipe;
    weir_loadbalance_add(sock, pipe);
    return 0;
}

static void part(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct pair *pair = weir_sock_state(sock);

    weir_loadbalance_remove(sock, pipe);
    if (pair->peer == pipe)
        pair->peer = NULL;
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_fairqueue_remove(sock, pipe);
    part(sock, pipe);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_pipe_lasts(pipe))
        part(sock, pipe);
}

static int give(struct weir_sock *sock, weir_message *message)
{
    struct pair *pair = weir_sock_state(sock);
    int r = -EAGAIN;

    if (pair->peer)
        r = weir_pipe_put(pair->peer, NULL, 0, message, 0);
    return r;
}

static bool can_send(struct weir_sock *sock)
{
    struct pair *pair = weir_sock_state(sock);

    return pair->peer && weir_pipe_can_put(pair->peer);
}

const struct weir_pattern_ops weir_pattern_pair = {
    .name = "PAIR",
    .type = WEIR_PAIR,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES |
                 WEIR_PATTERN_BALANCES | WEIR_PATTERN_FAIR,
    .policy = WEIR_POLICY_BLOCK,
    .state_size = sizeof(struct pair),
    .attach = attach,
    .up = weir_fairqueue_begin,
    .down = down,
    .detach = detach,
    .readable = weir_fairqueue_add,
    .send = give,
    .recv = weir_fairqueue_take,
    .can_send = can_send,
    .can_recv = weir_fairqueue_can_recv,
};
