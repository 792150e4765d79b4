/*
 * loadbalance.c - see loadbalance.h.
 */
#include "config.h"

#include "pattern/loadbalance.h"

#include <errno.h>

static struct weir_pipe *first(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->out_turn);

    return node ? WEIR_CONTAINER(node, struct weir_pipe, out_turn) : NULL;
}

void weir_loadbalance_add(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_list_empty(&pipe->out_turn))
        return;
    weir_list_append(&sock->out_turn, &pipe->out_turn);
    weir_sock_wake(sock, WEIR_WAIT_OUT);
}

void weir_loadbalance_remove(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    weir_list_remove(&pipe->out_turn);
}

static bool drops(const struct weir_pipe *pipe)
{
    return pipe->policy == WEIR_POLICY_DROP_NEW ||
           pipe->policy == WEIR_POLICY_DROP_OLD;
}

/* Where a full pipe would drop something, look for one that has room. */
static bool would_drop(struct weir_pipe *pipe)
{
    return drops(pipe) && !(pipe->out && weir_queue_room(pipe->out, 1));
}

/* A durable queue has room for so many octets, not for so many messages: a
 * shorter one may fit, so it stays. */
static WEIR_NOINLINE void refused(struct weir_sock *sock,
                                  struct weir_pipe *pipe)
{
    if (weir_pipe_is_durable(pipe))
        weir_loadbalance_turn(sock, pipe);
    else
        weir_loadbalance_remove(sock, pipe);
}

static int give(struct weir_sock *sock, struct weir_pipe *pipe,
                weir_frame *prefix, uint32_t n, weir_message *message,
                uint32_t skip)
{
    int r = weir_pipe_put(pipe, prefix, n, message, skip);

    if (r >= 0)
        weir_loadbalance_turn(sock, pipe);
    else if (r == -EAGAIN)
        refused(sock, pipe);
    return r;
}

static WEIR_NOINLINE int find_and_send(struct weir_sock *sock,
                                       weir_frame *prefix, uint32_t n,
                                       weir_message *message, uint32_t skip,
                                       struct weir_pipe **chosen)
{
    struct weir_pipe *full = NULL, *tried = NULL, *pipe;
    int r = -EAGAIN;

    while (r == -EAGAIN && (pipe = first(sock)) != NULL) {
        if (pipe != full && would_drop(pipe)) {
            full = full ? full : pipe;
            weir_loadbalance_turn(sock, pipe);
            continue;
        }
        if (pipe == tried && !full)
            break;
        if (!tried && weir_pipe_is_durable(pipe))
            tried = pipe;
        if (chosen)
            *chosen = pipe;
        r = give(sock, pipe, prefix, n, message, skip);
    }
    return r;
}

/* The usual case: who is next has room. */
int weir_loadbalance_send(struct weir_sock *sock, weir_frame *prefix,
                          uint32_t n, weir_message *message, uint32_t skip,
                          struct weir_pipe **chosen)
{
    struct weir_pipe *pipe = first(sock);
    int r;

    if (WEIR_UNLIKELY(!pipe || drops(pipe)))
        return find_and_send(sock, prefix, n, message, skip, chosen);
    r = give(sock, pipe, prefix, n, message, skip);
    if (WEIR_UNLIKELY(r == -EAGAIN))
        return find_and_send(sock, prefix, n, message, skip, chosen);
    if (chosen)
        *chosen = pipe;
    return r;
}

bool weir_loadbalance_can_send(struct weir_sock *sock)
{
    struct weir_pipe *tried = NULL, *pipe;

    while ((pipe = first(sock)) != NULL && pipe != tried) {
        if (weir_pipe_can_put(pipe))
            return true;
        if (!tried && weir_pipe_is_durable(pipe))
            tried = pipe;
        refused(sock, pipe);
    }
    return false;
}
