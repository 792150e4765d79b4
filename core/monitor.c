/*
 * monitor.c - see monitor.h.
 */
#include "config.h"

#include "monitor.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/park.h"

void weir_monitor_init(struct weir_monitor *monitor, uint32_t room)
{
    memset(monitor, 0, sizeof(*monitor));
    monitor->room = room;
}

void weir_monitor_fini(struct weir_monitor *monitor)
{
    free(monitor->ring);
    monitor->ring = NULL;
    monitor->count = monitor->first = 0;
}

/* ---- the ring: lock held ---- */

static weir_event *at(const struct weir_monitor *monitor, uint32_t index)
{
    return &monitor->ring[(monitor->first + index) % monitor->room];
}

static void drop_oldest(struct weir_monitor *monitor)
{
    monitor->first = (monitor->first + 1) % monitor->room;
    monitor->count--;
    monitor->missed++;
}

/* The place of a new event; NULL: there was no memory for the ring. */
static weir_event *next_place(struct weir_monitor *monitor)
{
    if (!monitor->ring) {
        monitor->missed++;
        return NULL;
    }
    if (monitor->count == monitor->room)
        drop_oldest(monitor);
    return at(monitor, monitor->count++);
}

/* Move what fits to another ring; returns the one that was there. */
static weir_event *swap_rings(struct weir_monitor *monitor, weir_event *ring,
                              uint32_t room)
{
    weir_event *old = monitor->ring;

    while (monitor->count > room)
        drop_oldest(monitor);
    for (uint32_t i = 0; i < monitor->count; i++)
        ring[i] = *at(monitor, i);
    monitor->ring = ring;
    monitor->room = room;
    monitor->first = 0;
    return old;
}

static bool has_room(struct weir_monitor *monitor, uint32_t room)
{
    bool has;

    weir_lock_take(&monitor->lock);
    has = monitor->room == room;
    weir_lock_release(&monitor->lock);
    return has;
}

/* Memory is asked for without the lock. */
int weir_monitor_resize(struct weir_monitor *monitor, uint32_t room)
{
    weir_event *ring;

    if (has_room(monitor, room))
        return 0;
    ring = calloc(room, sizeof(*ring));
    if (!ring)
        return weir_fail(ENOMEM, "no memory for %u events", room);
    weir_lock_take(&monitor->lock);
    ring = swap_rings(monitor, ring, room);
    weir_lock_release(&monitor->lock);
    free(ring);
    return 0;
}

/* ---- putting ---- */

/* The first event comes.  Two threads may find that at once. */
static void get_ring(struct weir_monitor *monitor, uint32_t room)
{
    weir_event *ring = calloc(room, sizeof(*ring));

    weir_lock_take(&monitor->lock);
    if (ring && !monitor->ring && monitor->room == room)
        ring = swap_rings(monitor, ring, room);
    weir_lock_release(&monitor->lock);
    free(ring);
}

/* The events that a ring is wanted for; 0: there is one. */
static uint32_t wanted(struct weir_monitor *monitor)
{
    uint32_t room;

    weir_lock_take(&monitor->lock);
    room = monitor->ring ? 0 : monitor->room;
    weir_lock_release(&monitor->lock);
    return room;
}

void weir_monitor_put(struct weir_monitor *monitor, const weir_event *event)
{
    uint32_t room = wanted(monitor);
    int64_t now = weir_now();
    weir_event *place;
    bool wake;

    if (room > 0)
        get_ring(monitor, room);
    weir_lock_take(&monitor->lock);
    place = next_place(monitor);
    if (place) {
        *place = *event;
        place->size = sizeof(*place);
        place->time_ns = (uint64_t)now;
    }
    atomic_fetch_add(&monitor->word, 1);
    wake = monitor->readers > 0;
    weir_lock_release(&monitor->lock);
    if (wake)
        weir_unpark(&monitor->word, INT_MAX);
}

/* ---- taking ---- */

/* Lock held. */
static int take_oldest(struct weir_monitor *monitor, weir_event *event)
{
    if (monitor->count == 0)
        return monitor->closed
                   ? weir_fail(WEIR_ECLOSING, "the socket is being closed")
                   : -EAGAIN;
    *event = *at(monitor, 0);
    event->missed = monitor->missed;
    drop_oldest(monitor);
    monitor->missed = 0;
    return 0;
}

/* Lock held on entry and on return, not in between.  false: the deadline has
 * passed. */
static bool sleep_until(struct weir_monitor *monitor, int64_t deadline)
{
    uint32_t seen = atomic_load(&monitor->word);
    int r;

    monitor->readers++;
    weir_lock_release(&monitor->lock);
    r = weir_park(&monitor->word, seen, deadline);
    weir_lock_take(&monitor->lock);
    monitor->readers--;
    return r != -ETIMEDOUT;
}

int weir_monitor_take(struct weir_monitor *monitor, weir_event *event,
                      int64_t deadline)
{
    int r;

    weir_lock_take(&monitor->lock);
    r = take_oldest(monitor, event);
    while (r == -EAGAIN && sleep_until(monitor, deadline))
        r = take_oldest(monitor, event);
    if (r == -EAGAIN)
        r = take_oldest(monitor, event);
    weir_lock_release(&monitor->lock);
    return r;
}

void weir_monitor_close(struct weir_monitor *monitor)
{
    weir_lock_take(&monitor->lock);
    monitor->closed = true;
    atomic_fetch_add(&monitor->word, 1);
    weir_lock_release(&monitor->lock);
    weir_unpark(&monitor->word, INT_MAX);
}

/* ---- names ---- */

const char *weir_event_name(int kind)
{
    static const char *const names[] = {
        "?",
        [WEIR_EVENT_LISTENING] = "listening",
        [WEIR_EVENT_CONNECTED] = "connected",
        [WEIR_EVENT_DISCONNECTED] = "disconnected",
        [WEIR_EVENT_RETRY] = "retry",
        [WEIR_EVENT_REFUSED] = "refused",
        [WEIR_EVENT_ACCEPT_FAILED] = "accept-failed",
        [WEIR_EVENT_PEER_STALLED] = "peer-stalled",
        [WEIR_EVENT_PEER_RESUMED] = "peer-resumed",
        [WEIR_EVENT_CLOSED] = "closed",
        [WEIR_EVENT_LOG] = "log",
        [WEIR_EVENT_OPENED] = "opened",
        [WEIR_EVENT_GAP] = "gap",
        [WEIR_EVENT_SWAP_FAILED] = "swap-failed",
        [WEIR_EVENT_SWAP_RESUMED] = "swap-resumed",
        [WEIR_EVENT_SWAP_FOUND] = "swap-found",
    };

    if (kind < 0 || (size_t)kind >= sizeof names / sizeof names[0])
        return "?";
    return names[kind];
}
