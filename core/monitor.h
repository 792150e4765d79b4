/*
 * monitor.h - a socket's ring of events, for who wants to watch.
 *
 * Posting never waits and never allocates: when the ring is full the oldest
 * event is overwritten and counted.  Nobody has to read.
 * Above: whoever decides an error reports it here, once.  Below: nothing.
 */
#ifndef WEIR_MONITOR_H
#define WEIR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/lock.h"

struct weir_monitor {
    struct weir_lock lock; /* a leaf: nothing is taken under it */
    weir_event *ring;
    uint32_t room, first, count;
    uint64_t missed; /* since an event was last taken */
    bool closed;
    _Atomic uint32_t word; /* moves with each event */
    uint32_t readers;      /* threads that wait for one */
};

/* A ring of `room` events, at least 1; memory is taken with the first event.
 * Nothing can fail. */
void weir_monitor_init(struct weir_monitor *monitor, uint32_t room);

/* Free it.  Nobody puts, takes or waits any more. */
void weir_monitor_fini(struct weir_monitor *monitor);

/* Make it a ring of `room` events; what does not fit counts as missed, the
 * oldest first.  Any thread.
 * Errors: -ENOMEM; the ring is as it was then. */
int weir_monitor_resize(struct weir_monitor *monitor, uint32_t room);

/* Put an event; its size and time_ns are filled in.  Any thread.  An event
 * for which there is no memory counts as missed. */
void weir_monitor_put(struct weir_monitor *monitor, const weir_event *event);

/* Take the oldest, waiting until the deadline (absolute ns).  Its `missed`
 * gets how many were lost since the one that was taken before it.  Any thread.
 * Errors: -EAGAIN; -WEIR_ECLOSING: there is none, and weir_monitor_close was
 * called. */
int weir_monitor_take(struct weir_monitor *monitor, weir_event *event,
                      int64_t deadline);

/* Wake who waits; nobody waits from now on.  Any thread. */
void weir_monitor_close(struct weir_monitor *monitor);

#endif
