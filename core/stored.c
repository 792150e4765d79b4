/*
 * stored.c - calls that wait until what they have sent is in a store, or on
 * the disk; see socket.h and spill.h.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "pipe_swap.h"
#include "socket.h"

/* ---- one message ---- */

static int outcome(const struct weir_spill_waiter *waiter)
{
    switch (waiter->state) {
    case WEIR_SPILL_KEPT:
        return 0;
    case WEIR_SPILL_FULL:
        return 1;
    case WEIR_SPILL_BROKEN:
        return weir_fail(waiter->code, "%s", waiter->text);
    case WEIR_SPILL_GONE:
        return weir_fail(WEIR_ECLOSING, "the endpoint was closed before the "
                                        "message was in its store");
    default:
        return weir_fail(EINPROGRESS, "the message is accepted, and on its way "
                                      "to its store");
    }
}

int weir_sock_await_stored(struct weir_sock *sock,
                           struct weir_patience *patience)
{
    struct weir_queue *queue = sock->owing;
    struct weir_spill_waiter waiter;
    int r = 0;

    sock->owing = NULL;
    if (patience->ms == WEIR_NOWAIT)
        return 0;
    weir_spill_await(queue, false, &waiter);
    while (r >= 0 && !weir_spill_is_over(&waiter))
        r = weir_wait_stored(sock, patience);
    weir_spill_stop_waiting(&waiter);
    return outcome(&waiter);
}

/* ---- all of them ---- */

/* The durable spill of a pipe in that list; NULL: it has none. */
static struct weir_spill *durable_of(struct weir_list *node)
{
    struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

    if (!pipe->out || !weir_spill_is_durable(pipe->out->spill))
        return NULL;
    return pipe->out->spill;
}

int weir_sock_store_trouble(struct weir_sock *sock, bool passing)
{
    struct weir_list *node, *after;
    int r = 0;

    if (WEIR_LIKELY(!sock->keeps))
        return 0;
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_spill *spill = durable_of(node);

        if (spill)
            r = weir_spill_trouble(spill, passing);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The most octets that a message to that endpoint may have. */
static uint64_t most_of(const struct weir_ep *ep)
{
    const struct weir_pipe *pipe = ep->pipe;

    if (!weir_ep_is_durable(ep))
        return UINT64_MAX;
    if (pipe && weir_pipe_is_durable(pipe))
        return weir_spill_most(pipe->out->spill);
    return (uint64_t)weir_ep_options(ep)->send_swap;
}

int weir_sock_check_length(struct weir_sock *sock, weir_message *message)
{
    uint64_t octets, most = 0;
    struct weir_list *node, *after;

    if (WEIR_LIKELY(!sock->keeps))
        return 0;
    WEIR_LIST_EACH(node, after, &sock->eps)
    {
        uint64_t one = most_of(WEIR_CONTAINER(node, struct weir_ep, in_sock));

        most = one > most ? one : most;
    }
    octets = weir_pipe_measure(NULL, 0, message, 0);
    if (most == 0 || octets <= most)
        return 0;
    return weir_fail(ENOSPC,
                     "option \"send-swap\": the swap has room for messages of "
                     "up to %llu octets, and this one wants %llu",
                     (unsigned long long)most, (unsigned long long)octets);
}

static bool has_durable(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->eps)
    {
        if (weir_ep_is_durable(WEIR_CONTAINER(node, struct weir_ep, in_sock)))
            return true;
    }
    return false;
}

static size_t count_durable(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    size_t n = 0;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    n += durable_of(node) != NULL;
    return n;
}

static void await_all(struct weir_sock *sock, struct weir_spill_waiter *waiters)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_spill *spill = durable_of(node);

        if (spill)
            weir_spill_await(spill->queue, true, waiters++);
    }
}

/* Nobody waits for what is gone: it was counted. */
static int settle(struct weir_sock *sock, struct weir_spill_waiter *waiter,
                  struct weir_patience *patience)
{
    int r = 0;

    while (r >= 0 && !weir_spill_is_over(waiter))
        r = weir_wait_stored(sock, patience);
    if (r == -EAGAIN && weir_sock_store_trouble(sock, true) < 0)
        r = weir_sock_store_trouble(sock, true);
    return r < 0 || waiter->state == WEIR_SPILL_GONE ? r : outcome(waiter);
}

int weir_sock_sync(struct weir_sock *sock, int64_t deadline)
{
    struct weir_patience patience = weir_patience_until(deadline);
    size_t n = count_durable(sock);
    struct weir_spill_waiter *waiters;
    int r = 0;

    if (!has_durable(sock))
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "no endpoint of the socket has a durable swap");
    waiters = calloc(n + 1, sizeof(*waiters));
    if (!waiters)
        return weir_fail(ENOMEM, "no memory to wait for %zu stores", n);
    await_all(sock, waiters);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = settle(sock, &waiters[i], &patience);
    for (size_t i = 0; i < n; i++)
        weir_spill_stop_waiting(&waiters[i]);
    free(waiters);
    return r;
}
