/*
 * rest.c - a socket that is not used any more gives its memory back.
 *
 * While messages flow, chunks go round between queues and pools, and getting
 * them from the system each time would cost more than the messages.  When a
 * second has passed without a call, the reactor empties the pools and the
 * drained queues, so that a burst does not stay in memory for ever.  What is
 * in use still, since the peer or the application is slow, is looked after
 * again, at growing pauses.
 */
#include "config.h"

#include "base/clock.h"
#include "socket.h"

#define PAUSE     INT64_C(1000000000) /* ns without use until memory goes */
#define PAUSE_MAX (16 * PAUSE)

/* Both ends of a link's queues are ours: the lock and the driver word. */
static bool empty_link(struct weir_sock *sock, struct weir_pipe *pipe)
{
    bool all;

    if (!weir_link_hold(&pipe->link))
        return false;
    (void)weir_queue_idle(pipe->in);
    (void)weir_queue_idle(pipe->out);
    all = weir_pool_trim(pipe->in_pool);
    weir_sock_let_go(sock, pipe);
    return all;
}

static bool empty_pipe(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (pipe->dying)
        return true;
    if (pipe->out && weir_queue_holds(pipe->out))
        return false;
    return pipe->splice || empty_link(sock, pipe);
}

/* Returns whether all memory is back; a queue of inproc keeps a little. */
static bool empty(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    bool all = true;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    all = empty_pipe(sock, WEIR_CONTAINER(node, struct weir_pipe, all)) && all;
    return (weir_pool_trim(sock->pool) || atomic_load(&sock->splices) > 0) &&
           all;
}

static void age_pipe(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (pipe->dying || pipe->splice || !weir_pool_has_large(pipe->in_pool) ||
        !weir_link_hold(&pipe->link))
        return;
    weir_pool_age(pipe->in_pool);
    weir_sock_let_go(sock, pipe);
}

/* Of a socket that is used the memory of messages goes that were larger than
 * those of the last second. */
static void age(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    weir_pool_age(sock->pool);
    WEIR_LIST_EACH(node, after, &sock->pipes)
    age_pipe(sock, WEIR_CONTAINER(node, struct weir_pipe, all));
}

static void arm(struct weir_sock *sock)
{
    weir_timer_arm(sock->reactor, &sock->rest, weir_now() + sock->rest_pause);
}

static void on_pause(struct weir_timer *timer)
{
    struct weir_sock *sock = WEIR_CONTAINER(timer, struct weir_sock, rest);

    weir_sock_lock(sock);
    if (sock->uses != sock->uses_seen) {
        sock->rest_pause = PAUSE;
        age(sock);
    } else if (empty(sock)) {
        sock->in_use = false;
    } else if (sock->rest_pause < PAUSE_MAX) {
        sock->rest_pause *= 2;
    }
    sock->uses_seen = sock->uses;
    if (sock->in_use)
        arm(sock);
    weir_sock_unlock(sock);
}

static void on_use(struct weir_task *task)
{
    struct weir_sock *sock = WEIR_CONTAINER(task, struct weir_sock, wake_up);

    sock->rest_pause = PAUSE;
    arm(sock);
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
