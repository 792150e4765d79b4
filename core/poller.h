/*
 * poller.h - a set of descriptors to wait on; one backend is compiled:
 * poller_epoll.c, poller_kqueue.c or poller_poll.c.
 *
 * Keys are the caller's; 0 is not used.  A set may be changed by any thread
 * while another waits on it.
 * Above: reactor.h, socket.h.  Below: the system.
 */
#ifndef WEIR_POLLER_H
#define WEIR_POLLER_H

#include <stdbool.h>
#include <stdint.h>

/* What to wait for; those three are WEIR_WATCH_* of plugin.h. */
enum {
    WEIR_POLLER_IN = 1,
    WEIR_POLLER_OUT = 2,
    WEIR_POLLER_ERROR = 4, /* reported always */
    /* Report a direction once; again only after the descriptor was drained
     * (filled) and weir_poller_again() was called. */
    WEIR_POLLER_EDGE = 8,
    /* Report once, then be silent until weir_poller_change(). */
    WEIR_POLLER_ONCE = 16,
    /* With IN: after what there is to read comes the end.  Reported where the
     * system has edges: the end may come with the last octets, and no edge
     * follows when only those are read. */
    WEIR_POLLER_END = 32
};

struct weir_poller_event {
    uint64_t key;
    unsigned events;
};

struct weir_poller {
    int fd;     /* epoll, kqueue; -1: this backend has none */
    void *more; /* the poll backend's table */
};

/* Errors: -EMFILE and the like. */
int weir_poller_open(struct weir_poller *poller);
void weir_poller_close(struct weir_poller *poller);

/* In a forked child: close its descriptors, touch nothing else. */
void weir_poller_abandon(struct weir_poller *poller);

/* Can a set be waited for in another one, by its fd? */
bool weir_poller_nests(void);

/* Add a descriptor, change what it waits for, remove it (before it is
 * closed).  Errors: -ENOMEM, -ENOSPC, -EEXIST, -ENOENT. */
int weir_poller_add(struct weir_poller *poller, int fd, unsigned events,
                    uint64_t key);
int weir_poller_change(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key);
void weir_poller_remove(struct weir_poller *poller, int fd);

/* An EDGE descriptor was drained: report again.  Nothing to do where the
 * system has edges. */
void weir_poller_again(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key);

/* Wait until `deadline` (absolute ns).  Returns the number of events, 0 at
 * the deadline; interrupted waits go on. */
int weir_poller_wait(struct weir_poller *poller,
                     struct weir_poller_event *events, int max,
                     int64_t deadline);

#endif
