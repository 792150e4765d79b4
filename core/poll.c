/*
 * poll.c - weir_poll: wait for sockets and descriptors at once.
 *
 * Sockets are waited for through their readiness descriptors, so that one
 * poll(2) covers all.  Before it sleeps, each socket is driven once by the
 * calling thread, since its messages may only wait to be read.
 *
 * With the poll backend a socket of a context without I/O threads has no such
 * descriptor; those are looked at again and again.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "base/error.h"
#include "socket.h"

enum { ITEMS_MAX = 1 << 20, FEW = 32, BLIND_MS = 5 };

static bool is_socket(const weir_poll_item *item)
{
    return item->socket.generation != 0 || item->socket.index != 0;
}

static int check_item(const weir_poll_item *item)
{
    if (item->events & ~(WEIR_POLL_IN | WEIR_POLL_OUT))
        return weir_fail(EINVAL,
                         "an item's events are %d: only WEIR_POLL_IN "
                         "and WEIR_POLL_OUT are asked for",
                         item->events);
    return 0;
}

static int check(const weir_poll_item *items, int n, int deadline)
{
    int r = 0;

    if (n < 0 || n > ITEMS_MAX)
        return weir_fail(EINVAL, "%d items", n);
    if (n > 0 && !items)
        return weir_fail(EINVAL, "the items are NULL");
    if (deadline < WEIR_FOREVER)
        return weir_fail(EINVAL, "%d is not a deadline", deadline);
    for (int i = 0; i < n && r >= 0; i++)
        r = check_item(&items[i]);
    return r;
}

/* ---- sockets ---- */

static short ready_now(struct weir_sock *sock, short events)
{
    const struct weir_pattern_ops *pattern = sock->pattern;
    short ready = 0;

    if ((events & WEIR_POLL_IN) && pattern->recv && weir_sock_can_recv(sock))
        ready |= WEIR_POLL_IN;
    if ((events & WEIR_POLL_OUT) && pattern->send && pattern->can_send(sock))
        ready |= WEIR_POLL_OUT;
    return ready;
}

/* Look at one socket, reading what has come; what it is ready for. */
static short look_at_socket(weir_poll_item *item)
{
    struct weir_sock *sock;
    short ready;

    if (weir_sock_get(item->socket, &sock) < 0)
        return WEIR_POLL_ERROR;
    weir_wait_round(sock);
    ready = ready_now(sock, item->events);
    if (!ready && (weir_poll_set(sock) || !weir_list_empty(&sock->readable))) {
        (void)weir_drive_input(sock);
        ready = ready_now(sock, item->events);
    }
    (void)weir_drive_output(sock);
    weir_sock_put(sock);
    return ready;
}

static int look_at_sockets(weir_poll_item *items, int n)
{
    int found = 0;

    for (int i = 0; i < n; i++) {
        items[i].ready = is_socket(&items[i]) ? look_at_socket(&items[i]) : 0;
        found += items[i].ready != 0;
    }
    return found;
}

/* ---- descriptors ---- */

static int descriptor_of(weir_poll_item *item, short what)
{
    int fd;

    if (!(item->events & what))
        return -1;
    fd = what == WEIR_POLL_IN ? weir_readable_fd(item->socket)
                              : weir_writable_fd(item->socket);
    return fd; /* below 0: poll(2) ignores it */
}

static int fill(weir_poll_item *items, int n, struct pollfd *fds)
{
    for (int i = 0; i < n; i++) {
        struct pollfd *in = &fds[2 * i], *out = &fds[2 * i + 1];

        *in = *out = (struct pollfd){.fd = -1, .events = POLLIN};
        if (is_socket(&items[i])) {
            in->fd = descriptor_of(&items[i], WEIR_POLL_IN);
            out->fd = descriptor_of(&items[i], WEIR_POLL_OUT);
        } else if (items[i].fd >= 0) {
            in->fd = items[i].fd;
            in->events =
                (short)((items[i].events & WEIR_POLL_IN ? POLLIN : 0) |
                        (items[i].events & WEIR_POLL_OUT ? POLLOUT : 0));
        }
    }
    return 2 * n;
}

/* The end is something to read; who does not read is told all the same, since
 * poll(2) will not sleep any more. */
static short from_poll(short got, short asked)
{
    short ready = 0;

    if (got & (POLLIN | POLLHUP))
        ready |= WEIR_POLL_IN;
    if (got & POLLOUT)
        ready |= WEIR_POLL_OUT;
    if (got & (POLLERR | POLLNVAL) ||
        (got & POLLHUP && !(asked & WEIR_POLL_IN)))
        ready |= WEIR_POLL_ERROR;
    return ready & (short)(asked | WEIR_POLL_ERROR);
}

static int count(weir_poll_item *items, int n, const struct pollfd *fds)
{
    int found = 0;

    for (int i = 0; i < n; i++) {
        if (!is_socket(&items[i]) && items[i].fd >= 0)
            items[i].ready = from_poll(fds[2 * i].revents, items[i].events);
        found += items[i].ready != 0;
    }
    return found;
}

/* Is there a socket that cannot tell us anything? */
static bool blind(const weir_poll_item *items, int n, const struct pollfd *fds)
{
    for (int i = 0; !weir_poller_nests() && i < n; i++)
        if (is_socket(&items[i]) && items[i].events && fds[2 * i].fd < 0 &&
            fds[2 * i + 1].fd < 0)
            return true;
    return false;
}

/* How long to sleep for once. */
static int milliseconds(int64_t deadline, bool is_blind)
{
    int left = weir_deadline_left(deadline);

    return is_blind && (left < 0 || left > BLIND_MS) ? BLIND_MS : left;
}

/* Sleep until something may be ready.  Descriptors that are set only say so:
 * the sockets are looked at again. */
static int sleep_on(weir_poll_item *items, int n, struct pollfd *fds,
                    int64_t deadline)
{
    bool is_blind = blind(items, n, fds);
    int r;

    do
        r = poll(fds, (nfds_t)(2 * n), milliseconds(deadline, is_blind));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return weir_fail(errno, "poll: %s", weir_strerror(errno));
    (void)look_at_sockets(items, n);
    return count(items, n, fds);
}

static int wait_for(weir_poll_item *items, int n, struct pollfd *fds,
                    int64_t deadline)
{
    int found = look_at_sockets(items, n);

    fill(items, n, fds);
    if (found > 0)
        deadline = 0; /* and the descriptors, as they are now */
    do
        found = sleep_on(items, n, fds, deadline);
    while (found == 0 && weir_now() < deadline);
    return found;
}

int weir_poll(weir_poll_item *items, int n, int deadline)
{
    struct pollfd few[2 * FEW], *fds = few;
    int r = check(items, n, deadline);

    if (r < 0)
        return r;
    if (n > FEW) {
        fds = malloc(2 * (size_t)n * sizeof(*fds));
        if (!fds)
            return weir_fail(ENOMEM, "no memory for %d items", n);
    }
    r = wait_for(items, n, fds, weir_deadline_in(deadline));
    if (fds != few)
        free(fds);
    return r;
}
