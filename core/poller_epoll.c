/*
 * poller_epoll.c - the poller over epoll(7).
 */
#include "config.h"

#include "poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

enum { BATCH = 64 };

static uint32_t to_epoll(unsigned events)
{
    uint32_t bits = 0;

    if (events & WEIR_POLLER_IN)
        bits |= EPOLLIN | EPOLLRDHUP;
    if (events & WEIR_POLLER_OUT)
        bits |= EPOLLOUT;
    if (events & WEIR_POLLER_EDGE)
        bits |= EPOLLET;
    if (events & WEIR_POLLER_ONCE)
        bits |= EPOLLONESHOT;
    return bits;
}

static unsigned from_epoll(uint32_t bits)
{
    unsigned events = 0;

    if (bits & (EPOLLIN | EPOLLRDHUP))
        events |= WEIR_POLLER_IN;
    if (bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        events |= WEIR_POLLER_END;
    if (bits & EPOLLOUT)
        events |= WEIR_POLLER_OUT;
    if (bits & (EPOLLERR | EPOLLHUP))
        events |= WEIR_POLLER_ERROR | WEIR_POLLER_IN;
    return events;
}

int weir_poller_open(struct weir_poller *poller)
{
    poller->more = NULL;
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0)
        return weir_fail(errno, "no descriptor for a poller: %s",
                         weir_strerror(errno));
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

static int control(struct weir_poller *poller, int what, int fd,
                   unsigned events, uint64_t key)
{
    struct epoll_event event = {.events = to_epoll(events), .data.u64 = key};

    if (epoll_ctl(poller->fd, what, fd, &event) == 0)
        return 0;
    return weir_fail(errno, "cannot watch descriptor %d: %s", fd,
                     weir_strerror(errno));
}

int weir_poller_add(struct weir_poller *poller, int fd, unsigned events,
                    uint64_t key)
{
    return control(poller, EPOLL_CTL_ADD, fd, events, key);
}

int weir_poller_change(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    return control(poller, EPOLL_CTL_MOD, fd, events, key);
}

void weir_poller_remove(struct weir_poller *poller, int fd)
{
    struct epoll_event none = {.events = 0};

    (void)epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, &none);
}

void weir_poller_again(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    (void)poller, (void)fd, (void)events, (void)key;
}

/* epoll_wait counts in milliseconds: never wake too early by rounding. */
static int timeout_until(int64_t deadline)
{
    int64_t left;

    if (deadline == WEIR_NEVER)
        return -1;
    if (deadline <= 0)
        return 0;
    left = deadline - weir_now();
    if (left <= 0)
        return 0;
    left = (left + 999999) / 1000000;
    return left > 3600000 ? 3600000 : (int)left;
}

int weir_poller_wait(struct weir_poller *poller,
                     struct weir_poller_event *events, int max,
                     int64_t deadline)
{
    struct epoll_event got[BATCH];
    int n;

    if (max > BATCH)
        max = BATCH;
    do
        n = epoll_wait(poller->fd, got, max, timeout_until(deadline));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return weir_fail(errno, "waiting for descriptors: %s",
                         weir_strerror(errno));
    for (int i = 0; i < n; i++) {
        events[i].key = got[i].data.u64;
        events[i].events = from_epoll(got[i].events);
    }
    return n;
}
