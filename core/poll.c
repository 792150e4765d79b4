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

/* What poll(2) looks at: descriptors that are items, in their order, and
 * behind them those of the sockets.  It counts them against a limit of the
 * process's, so there are no empty places. */
struct view {
    struct pollfd *fds;
    int n;
    bool blind; /* there is a socket that cannot tell us anything */
};

static bool is_descriptor(const weir_poll_item *item)
{
    return !is_socket(item) && item->fd >= 0;
}

static void add(struct view *view, int fd, int events)
{
    view->fds[view->n++] = (struct pollfd){.fd = fd, .events = (short)events};
}

static void add_descriptors(const weir_poll_item *items, int n,
                            struct view *view)
{
    for (int i = 0; i < n; i++)
        if (is_descriptor(&items[i]))
            add(view, items[i].fd,
                (items[i].events & WEIR_POLL_IN ? POLLIN : 0) |
                    (items[i].events & WEIR_POLL_OUT ? POLLOUT : 0));
}

static void add_socket(weir_poll_item *item, struct view *view)
{
    int in = descriptor_of(item, WEIR_POLL_IN);
    int out = descriptor_of(item, WEIR_POLL_OUT);

    if (in >= 0)
        add(view, in, POLLIN);
    if (out >= 0)
        add(view, out, POLLIN);
    if (in < 0 && out < 0 && item->events && !weir_poller_nests())
        view->blind = true;
}

static void add_sockets(weir_poll_item *items, int n, struct view *view)
{
    for (int i = 0; i < n; i++)
        if (is_socket(&items[i]))
            add_socket(&items[i], view);
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

static int count(weir_poll_item *items, int n, const struct view *view)
{
    const struct pollfd *fd = view->fds;
    int found = 0;

    for (int i = 0; i < n; i++) {
        if (is_descriptor(&items[i]))
            items[i].ready = from_poll((fd++)->revents, items[i].events);
        found += items[i].ready != 0;
    }
    return found;
}

/* How long to sleep for once. */
static int milliseconds(int64_t deadline, bool blind)
{
    int left = weir_deadline_left(deadline);

    return blind && (left < 0 || left > BLIND_MS) ? BLIND_MS : left;
}

static int sleep_on(struct view *view, int64_t deadline)
{
    int r;

    do
        r = poll(view->fds, (nfds_t)view->n,
                 milliseconds(deadline, view->blind));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return weir_fail(errno, "poll: %s", weir_strerror(errno));
    return 0;
}

/* Descriptors of sockets that are set only say that something may be ready:
 * the sockets are looked at again. */
static int wait_for(weir_poll_item *items, int n, struct view *view,
                    int64_t deadline)
{
    int r, found = look_at_sockets(items, n);

    add_descriptors(items, n, view);
    if (found > 0)
        deadline = 0; /* and the descriptors, as they are now */
    else
        add_sockets(items, n, view);
    do {
        r = sleep_on(view, deadline);
        if (r < 0)
            return r;
        if (found == 0)
            (void)look_at_sockets(items, n);
        found = count(items, n, view);
    } while (found == 0 && weir_now() < deadline);
    return found;
}

int weir_poll(weir_poll_item *items, int n, int deadline)
{
    struct pollfd few[2 * FEW];
    struct view view = {.fds = few};
    int r = check(items, n, deadline);

    if (r < 0)
        return r;
    if (n > FEW) {
        view.fds = malloc(2 * (size_t)n * sizeof(*view.fds));
        if (!view.fds)
            return weir_fail(ENOMEM, "no memory for %d items", n);
    }
    r = wait_for(items, n, &view, weir_deadline_in(deadline));
    if (view.fds != few)
        free(view.fds);
    return r;
}
