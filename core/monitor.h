/*
 * monitor.h - a socket's ring of events, for who wants to watch.
 *
 * Posting never waits and never allocates: when the ring is full the oldest
 * event is overwritten and counted.  Nobody has to read.
 * Above: whoever decides an error reports it here, once.  Below: nothing.
 */
#ifndef WEIR_MONITOR_H
#define WEIR_MONITOR_H

#include <stdint.h>

#include <weir/weir.h>

#include "base/lock.h"

struct weir_monitor {
    struct weir_lock lock; /* a leaf: nothing is taken under it */
    weir_event *ring;
    uint32_t room, first, count;
    uint64_t missed;
    _Atomic uint32_t word; /* moves with each event */
    uint32_t readers;      /* threads that wait for one */
};

/* A ring of `room` events; memory is taken with the first event.
 * Nothing can fail. */
void weir_monitor_init(struct weir_monitor *monitor, uint32_t room);
void weir_monitor_fini(struct weir_monitor *monitor);

/* Put an event; time_ns is filled in.  Any thread.  An event for which there
 * is no memory counts as missed. */
void weir_monitor_put(struct weir_monitor *monitor, const weir_event *event);

/* Take the oldest, waiting until the deadline (absolute ns).
 * Errors: -EAGAIN; -WEIR_ECLOSING once weir_monitor_close was called. */
int weir_monitor_take(struct weir_monitor *monitor, weir_event *event,
                      int64_t deadline);

/* Wake who waits; nobody waits from now on. */
void weir_monitor_close(struct weir_monitor *monitor);

#endif
