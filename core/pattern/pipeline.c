/*
 * pipeline.c - PUSH gives each message to the next peer with room; PULL takes
 * from all, one after the other.  RFC 30.
 */
#include "config.h"

#include "pattern/fairqueue.h"
#include "pattern/loadbalance.h"

/* ---- PUSH ---- */

static int push_attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_loadbalance_add(sock, pipe);
    return 0;
}

/* A PULL has nothing to say; one that does is not kept waiting. */
static void push_readable(struct weir_sock *sock, struct weir_pipe *pipe)
{
    do {
        while (weir_pipe_skip(pipe, WEIR_DROP_UNWANTED))
            ;
    } while (!weir_pipe_rest(pipe));
    weir_sock_dry(sock, pipe);
}

static int push_up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    push_readable(sock, pipe);
    return 0;
}

static void push_down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_pipe_lasts(pipe))
        weir_loadbalance_remove(sock, pipe);
}

static int push_send(struct weir_sock *sock, weir_message *message)
{
    return weir_loadbalance_send(sock, NULL, 0, message, 0, NULL);
}

const struct weir_pattern_ops weir_pattern_push = {
    .name = "PUSH",
    .type = WEIR_PUSH,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_BALANCES,
    .policy = WEIR_POLICY_BLOCK,
    .attach = push_attach,
    .up = push_up,
    .down = push_down,
    .detach = weir_loadbalance_remove,
    .readable = push_readable,
    .writable = weir_loadbalance_add,
    .send = push_send,
    .can_send = weir_loadbalance_can_send,
};

/* ---- PULL ---- */

static int pull_attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    (void)pipe;
    return 0;
}

const struct weir_pattern_ops weir_pattern_pull = {
    .name = "PULL",
    .type = WEIR_PULL,
    .abilities = WEIR_PATTERN_RECEIVES | WEIR_PATTERN_FAIR,
    .policy = WEIR_POLICY_BLOCK,
    .attach = pull_attach,
    .up = weir_fairqueue_begin,
    .detach = weir_fairqueue_remove,
    .readable = weir_fairqueue_add,
    .recv = weir_fairqueue_take,
    .can_recv = weir_fairqueue_can_recv,
};
