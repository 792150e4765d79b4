/*
 * readiness.c - descriptors that foreign event loops can watch.
 *
 * Each is a signal that is set as long as a receive (a send) would not wait.
 * They are kept true under the socket's lock, each time it is given up.  A
 * socket that is watched so is driven by the reactor at once, since a foreign
 * loop never sits in a call of ours.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "context.h"
#include "pattern/fairqueue.h"
#include "socket.h"

/* Without I/O threads whoever is told calls in, and so goes on with what was
 * only begun: the set does not report that again. */
static bool has_work(const struct weir_sock *sock)
{
    return !sock->reactor->threaded && (!weir_list_empty(&sock->readable) ||
                                        !weir_list_empty(&sock->unflushed));
}

static bool is_ready(struct weir_sock *sock, enum weir_wait what)
{
    if (has_work(sock))
        return true;
    if (sock->state != WEIR_SOCK_OPEN || atomic_load(&sock->ctx->closing))
        return true; /* calls return at once, with the reason */
    if (what == WEIR_WAIT_OUT)
        return sock->pattern->can_send(sock);
    if (weir_sock_can_recv(sock))
        return true;
    return weir_fairqueue_arm(sock) && sock->pattern->can_recv(sock);
}

static void update(struct weir_sock *sock, enum weir_wait what)
{
    bool ready;

    if (sock->ready[what].in < 0)
        return;
    ready = is_ready(sock, what);
    if (ready == sock->ready_is[what])
        return;
    sock->ready_is[what] = ready;
    if (ready)
        weir_signal_set(&sock->ready[what]);
    else
        weir_signal_clear(&sock->ready[what]);
}

void weir_readiness_update(struct weir_sock *sock)
{
    update(sock, WEIR_WAIT_IN);
    update(sock, WEIR_WAIT_OUT);
}

static bool can(const struct weir_sock *sock, enum weir_wait what)
{
    return what == WEIR_WAIT_IN ? sock->pattern->recv != NULL
                                : sock->pattern->send != NULL;
}

/* From now on the reactor drives, whoever calls in. */
static void watch(struct weir_sock *sock)
{
    if (sock->watched)
        return;
    sock->watched = true;
    weir_reactor_tick(sock->reactor, &sock->tick, 0);
}

/* Without I/O threads nobody would set the signal: who watches is told that
 * there is work to do, and does it by calling in. */
static int open_calls(struct weir_sock *sock, enum weir_wait what)
{
    struct weir_poller *calls = &sock->calls[what];
    int r;

    if (sock->reactor->threaded)
        return 0;
    if (!weir_poller_nests())
        return weir_fail(EOPNOTSUPP, "no descriptor to watch in a context "
                                     "without I/O threads on this system");
    r = weir_poller_open(calls);
    if (r < 0)
        return r;
    r = weir_poller_add(calls, sock->ready[what].in, WEIR_POLLER_IN, 1);
    if (r >= 0)
        r = weir_poller_add(calls, sock->reactor->poller.fd, WEIR_POLLER_IN, 2);
    if (r < 0)
        weir_poller_close(calls);
    sock->has_calls[what] = r >= 0;
    return r;
}

static int descriptor(const struct weir_sock *sock, enum weir_wait what)
{
    return sock->has_calls[what] ? sock->calls[what].fd : sock->ready[what].in;
}

static void close_one(struct weir_sock *sock, enum weir_wait what)
{
    if (sock->has_calls[what])
        weir_poller_close(&sock->calls[what]);
    sock->has_calls[what] = false;
    weir_signal_close(&sock->ready[what]);
}

int weir_readiness_fd(struct weir_sock *sock, enum weir_wait what)
{
    int r;

    if (!can(sock, what))
        return weir_fail(EOPNOTSUPP, "a %s does not %s", sock->pattern->name,
                         what == WEIR_WAIT_IN ? "receive" : "send");
    if (sock->ready[what].in >= 0)
        return descriptor(sock, what);
    r = weir_signal_open(&sock->ready[what]);
    if (r < 0)
        return r;
    sock->ready_is[what] = false;
    r = open_calls(sock, what);
    if (r < 0) {
        weir_signal_close(&sock->ready[what]);
        return r;
    }
    watch(sock);
    return descriptor(sock, what);
}

int weir_readiness_of(weir_socket socket, enum weir_wait what)
{
    struct weir_sock *sock;
    int r = weir_sock_get(socket, &sock);

    if (r < 0)
        return r;
    r = weir_readiness_fd(sock, what);
    weir_sock_put(sock);
    return r;
}

void weir_readiness_close(struct weir_sock *sock)
{
    sock->watched = false; /* late calls still come by and take the lock */
    close_one(sock, WEIR_WAIT_IN);
    close_one(sock, WEIR_WAIT_OUT);
}
