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
#include <stdlib.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/poll_many.h"
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

/* What poll(2) looks at: descriptors that are items, in their order, and
 * behind them those of the sockets.  It counts them against a limit of the
 * process's, so there are no empty places. */
struct view {
    struct pollfd *fds;
    int n;
    struct weir_sock **inside; /* these stay until we leave them */
    int n_inside;
    bool blind;   /* there is a socket that cannot tell us anything */
    bool missed;  /* one was closed since it was looked at */
    int shortage; /* one could not be given a descriptor: a code, negative */
};

/* Of the reasons why a socket has no descriptor: one that passes? */
static bool is_shortage(int r)
{
    return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOSPC;
}

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

/* Add the descriptor for `events`, which are one of two; what has none is not
 * waited for.  Lock held. */
static bool add_readiness(struct weir_sock *sock, short events,
                          enum weir_wait what, struct view *view)
{
    int fd = events ? weir_readiness_fd(sock, what) : -1;

    if (fd >= 0)
        add(view, fd, POLLIN);
    if (events && is_shortage(fd))
        view->shortage = fd;
    return fd >= 0;
}

/* As long as we are inside, its descriptors are no others; when it is to be
 * closed they become readable. */
static void add_socket(const weir_poll_item *item, struct view *view)
{
    struct weir_sock *sock;
    bool in, out;

    if (weir_sock_get(item->socket, &sock) < 0) {
        view->missed = true;
        return;
    }
    in = add_readiness(sock, item->events & WEIR_POLL_IN, WEIR_WAIT_IN, view);
    out =
        add_readiness(sock, item->events & WEIR_POLL_OUT, WEIR_WAIT_OUT, view);
    if (in || out) {
        view->inside[view->n_inside++] = sock;
        weir_sock_unlock(sock);
        return;
    }
    view->blind = view->blind || (item->events && !weir_poller_nests());
    weir_sock_put(sock);
}

static void add_sockets(const weir_poll_item *items, int n, struct view *view)
{
    for (int i = 0; i < n; i++)
        if (is_socket(&items[i]))
            add_socket(&items[i], view);
}

static void leave_sockets(struct view *view)
{
    while (view->n_inside > 0) {
        struct weir_sock *sock = view->inside[--view->n_inside];

        weir_sock_lock(sock);
        weir_sock_put(sock);
    }
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
        r = weir_poll_many(view->fds, (size_t)view->n,
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
    if (found == 0)
        add_sockets(items, n, view);
    if (view->shortage < 0)
        return view->shortage; /* it would be overlooked */
    if (found > 0 || view->missed)
        deadline = 0; /* and the descriptors, as they are now */
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

/* Room for `n` items. */
static int make_view(struct view *view, int n)
{
    size_t octets =
        (size_t)n * (2 * sizeof(*view->fds) + sizeof(struct weir_sock *));
    char *memory = malloc(octets);

    if (!memory)
        return weir_fail(ENOMEM, "no memory for %d items", n);
    *view = (struct view){.inside = (struct weir_sock **)(void *)memory};
    view->fds = (struct pollfd *)(void *)(view->inside + n);
    return 0;
}

static int poll_many(weir_poll_item *items, int n, int64_t deadline)
{
    struct view view;
    int r = make_view(&view, n);

    if (r < 0)
        return r;
    r = wait_for(items, n, &view, deadline);
    leave_sockets(&view);
    free(view.inside);
    return r;
}

static int poll_few(weir_poll_item *items, int n, int64_t deadline)
{
    struct pollfd fds[2 * FEW];
    struct weir_sock *inside[FEW];
    struct view view = {.fds = fds, .inside = inside};
    int r = wait_for(items, n, &view, deadline);

    leave_sockets(&view);
    return r;
}

int weir_poll(weir_poll_item *items, int n, int deadline)
{
    int r = check(items, n, deadline);

    if (r >= 0 && n > FEW)
        r = poll_many(items, n, weir_deadline_in(deadline));
    else if (r >= 0)
        r = poll_few(items, n, weir_deadline_in(deadline));
    return weir_answer(r);
}
