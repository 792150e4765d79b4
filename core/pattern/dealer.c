/*
 * dealer.c - DEALER: each message to the next peer with room, messages from
 * all in turn, nothing added or taken away.  RFC 28.
 */
#include "config.h"

#include "pattern/fairqueue.h"
#include "pattern/loadbalance.h"
#include "pattern/probe.h"

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
    weir_loadbalance_remove(sock, pipe);
    weir_fairqueue_remove(sock, pipe);
}

static int give(struct weir_sock *sock, weir_message *message)
{
    return weir_loadbalance_send(sock, NULL, 0, message, 0, NULL);
}

const struct weir_pattern_ops weir_pattern_dealer = {
    .name = "DEALER",
    .type = WEIR_DEALER,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES |
                 WEIR_PATTERN_IDENTITY | WEIR_PATTERN_BALANCES |
                 WEIR_PATTERN_FAIR,
    .policy = WEIR_POLICY_BLOCK,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .readable = weir_fairqueue_add,
    .writable = weir_loadbalance_add,
    .send = give,
    .recv = weir_fairqueue_take,
    .can_send = weir_loadbalance_can_send,
    .can_recv = weir_fairqueue_can_recv,
};
