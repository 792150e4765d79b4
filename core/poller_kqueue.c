/*
 * poller_kqueue.c - the poller over kqueue(2).
 *
 * A descriptor has a filter per direction; only those asked for exist.  What
 * epoll reports in one event may come in two here, and ONCE is once for each
 * direction.  Where nothing is asked for, errors are not reported either.
 * What was added already and what never was is not told apart from the rest.
 */
#include "config.h"

#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

enum { BATCH = 64 };

_Static_assert(sizeof(uintptr_t) >= sizeof(uint64_t),
               "keys do not fit a kevent here: configure --with-poller=poll");

int weir_poller_open(struct weir_poller *poller)
{
    poller->more = NULL;
    poller->fd = kqueue();
    if (poller->fd < 0)
        return weir_fail(errno, "no descriptor for a poller: %s",
                         weir_strerror(errno));
    (void)fcntl(poller->fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

void weir_poller_close(struct weir_poller *poller)
{
    if (poller->fd >= 0)
        close(poller->fd);
    poller->fd = -1;
}

void weir_poller_abandon(struct weir_poller *poller)
{
    weir_poller_close(poller);
}

bool weir_poller_nests(void)
{
    return true;
}

/* Change one filter.  Nothing is fetched, so the fault is errno's. */
static int control(struct weir_poller *poller, int fd, short filter,
                   unsigned flags, uint64_t key)
{
    struct kevent change;
    int r;

    EV_SET(&change, (uintptr_t)fd, filter, (unsigned short)flags, 0, 0,
           (void *)(uintptr_t)key);
    do
        r = kevent(poller->fd, &change, 1, NULL, 0, NULL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* EV_ADD on a filter that exists changes it, enables it, and reports it
 * again when it is ready. */
static int set_filter(struct weir_poller *poller, int fd, short filter,
                      bool wanted, unsigned events, uint64_t key)
{
    unsigned flags = EV_ADD | EV_ENABLE;

    if (!wanted) {
        (void)control(poller, fd, filter, EV_DELETE, 0);
        return 0;
    }
    if (events & WEIR_POLLER_EDGE)
        flags |= EV_CLEAR;
    if (events & WEIR_POLLER_ONCE)
        flags |= EV_DISPATCH;
    return control(poller, fd, filter, flags, key);
}

int weir_poller_change(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    int r = set_filter(poller, fd, EVFILT_READ, events & WEIR_POLLER_IN, events,
                       key);

    if (r >= 0)
        r = set_filter(poller, fd, EVFILT_WRITE, events & WEIR_POLLER_OUT,
                       events, key);
    if (r < 0)
        return weir_fail(-r, "cannot watch descriptor %d: %s", fd,
                         weir_strerror(-r));
    return 0;
}

int weir_poller_add(struct weir_poller *poller, int fd, unsigned events,
                    uint64_t key)
{
    int r = weir_poller_change(poller, fd, events, key);

    if (r < 0)
        weir_poller_remove(poller, fd);
    return r;
}

void weir_poller_remove(struct weir_poller *poller, int fd)
{
    (void)control(poller, fd, EVFILT_READ, EV_DELETE, 0);
    (void)control(poller, fd, EVFILT_WRITE, EV_DELETE, 0);
}

void weir_poller_again(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    (void)poller, (void)fd, (void)events, (void)key;
}

static unsigned from_kevent(const struct kevent *got)
{
    unsigned events =
        got->filter == EVFILT_WRITE ? WEIR_POLLER_OUT : WEIR_POLLER_IN;

    if (got->flags & EV_EOF && got->filter == EVFILT_READ)
        events |= WEIR_POLLER_END;
    if (got->flags & EV_EOF && (got->filter == EVFILT_WRITE || got->fflags))
        events |= WEIR_POLLER_ERROR | WEIR_POLLER_IN;
    return events;
}

static int wait_once(struct weir_poller *poller, struct kevent *got, int max,
                     int64_t deadline)
{
    int64_t left = deadline <= 0 ? 0 : deadline - weir_now();
    struct timespec time = {0};

    if (left > 0) {
        time.tv_sec = (time_t)(left / 1000000000);
        time.tv_nsec = (long)(left % 1000000000);
    }
    return kevent(poller->fd, NULL, 0, got, max,
                  deadline == WEIR_NEVER ? NULL : &time);
}

int weir_poller_wait(struct weir_poller *poller,
                     struct weir_poller_event *events, int max,
                     int64_t deadline)
{
    struct kevent got[BATCH];
    int n;

    if (max > BATCH)
        max = BATCH;
    do
        n = wait_once(poller, got, max, deadline);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return weir_fail(errno, "waiting for descriptors: %s",
                         weir_strerror(errno));
    for (int i = 0; i < n; i++) {
        events[i].key = (uint64_t)(uintptr_t)got[i].udata;
        events[i].events = from_kevent(&got[i]);
    }
    return n;
}
