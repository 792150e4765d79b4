/*
 * rest.c - a socket that is not used any more gives its memory back.
 *
 * While messages flow, chunks go round between queues and pools, and getting
 * them from the system each time would cost more than the messages.  When a
 * second has passed without a call, the reactor empties the pools and the
 * drained queues, so that a burst does not stay in memory for ever.
 */
#include "config.h"

#include "base/clock.h"
#include "socket.h"

#define PAUSE INT64_C(1000000000) /* ns without use until memory goes */

/* Both ends of a link's queues are ours: the lock and the driver word. */
static void empty_link(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_link_hold(&pipe->link))
        return;
    (void)weir_queue_idle(pipe->in);
    (void)weir_queue_idle(pipe->out);
    weir_pool_trim(pipe->in_pool);
    weir_sock_let_go(sock, pipe);
}

static void empty(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (!pipe->splice && !pipe->dying)
            empty_link(sock, pipe);
    }
    weir_pool_trim(sock->pool);
}

static void on_pause(struct weir_timer *timer)
{
    struct weir_sock *sock = WEIR_CONTAINER(timer, struct weir_sock, rest);

    weir_sock_lock(sock);
    if (sock->uses != sock->uses_seen) {
        sock->uses_seen = sock->uses;
        weir_timer_arm(sock->reactor, timer, weir_now() + PAUSE);
    } else {
        sock->in_use = false;
        empty(sock);
    }
    weir_sock_unlock(sock);
}

static void on_use(struct weir_task *task)
{
    struct weir_sock *sock = WEIR_CONTAINER(task, struct weir_sock, wake_up);

    weir_timer_arm(sock->reactor, &sock->rest, weir_now() + PAUSE);
}

void weir_rest_open(struct weir_sock *sock)
{
    sock->rest.fire = on_pause;
    sock->wake_up.run = on_use;
}

void weir_rest_close(struct weir_sock *sock)
{
    weir_timer_cancel(sock->reactor, &sock->rest);
}
