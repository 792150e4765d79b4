/*
 * poller_poll.c - the poller over poll(2), for every system.
 *
 * poll() looks at an array, so the thread that waits works on a snapshot of
 * the set.  Whoever changes the set meanwhile wakes it, and it takes a new
 * one.  A descriptor that was removed, or removed and added again, while the
 * system looked at the old snapshot is told by its serial number.
 *
 * Edges are made of levels: what was reported is not asked for again until
 * weir_poller_again() or weir_poller_change().
 *
 * One thread waits at a time.
 */
#include "config.h"

#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/poll_many.h"
#include "base/signal.h"

enum { DIRECTIONS = WEIR_POLLER_IN | WEIR_POLLER_OUT | WEIR_POLLER_ERROR };

struct entry {
    uint64_t key;
    uint32_t serial;  /* 0: not in the set */
    unsigned events;  /* as asked for */
    unsigned waiting; /* directions not reported yet; 0: not looked at */
};

/* One allocation.  polls[0] is the wake-up. */
struct snapshot {
    size_t room;
    uint32_t *serials;
    struct pollfd polls[];
};

struct table {
    struct weir_lock lock; /* all but what is the waiting thread's */
    struct weir_signal wake;
    struct entry *entries; /* by descriptor */
    size_t n_entries, members;
    uint32_t serials;       /* last one given */
    struct snapshot *spare; /* a larger one for the next wait, or NULL */
    size_t room;            /* of the largest snapshot there is */
    bool waits;             /* a thread is in poll(), or nearly */
    bool woken;

    /* the waiting thread's */
    struct snapshot *view;
    size_t first; /* whose turn it is to be reported first */
};

bool weir_poller_nests(void)
{
    return false;
}

/* ---- memory: a wait never runs out of it ---- */

static struct snapshot *new_snapshot(size_t room)
{
    struct snapshot *view =
        malloc(sizeof(*view) +
               room * (sizeof(view->polls[0]) + sizeof(view->serials[0])));

    if (!view)
        return NULL;
    view->room = room;
    view->serials = (uint32_t *)(void *)(view->polls + room);
    return view;
}

/* The thread in poll() keeps the snapshot it has. */
static int reserve_snapshot(struct table *table)
{
    struct snapshot *larger;

    if (table->members + 2 <= table->room)
        return 0;
    larger = new_snapshot(table->room * 2);
    if (!larger)
        return -ENOMEM;
    free(table->spare);
    table->spare = larger;
    table->room = larger->room;
    return 0;
}

static int reserve_entry(struct table *table, size_t fd)
{
    size_t n = table->n_entries ? table->n_entries : 16;
    struct entry *entries;

    if (fd < table->n_entries)
        return 0;
    while (n <= fd)
        n *= 2;
    entries = realloc(table->entries, n * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    memset(entries + table->n_entries, 0,
           (n - table->n_entries) * sizeof(*entries));
    table->entries = entries;
    table->n_entries = n;
    return 0;
}

/* ---- life ---- */

int weir_poller_open(struct weir_poller *poller)
{
    struct table *table = calloc(1, sizeof(*table));
    int r;

    if (!table)
        return weir_fail(ENOMEM, "no memory for a poller");
    table->room = 16;
    table->view = new_snapshot(table->room);
    r = table->view ? weir_signal_open(&table->wake)
                    : weir_fail(ENOMEM, "no memory for a poller");
    if (r < 0) {
        free(table->view);
        free(table);
        return r;
    }
    poller->fd = -1;
    poller->more = table;
    return 0;
}

void weir_poller_close(struct weir_poller *poller)
{
    struct table *table = poller->more;

    if (!table)
        return;
    weir_signal_close(&table->wake);
    free(table->entries);
    free(table->spare);
    free(table->view);
    free(table);
    poller->more = NULL;
}

void weir_poller_abandon(struct weir_poller *poller)
{
    struct table *table = poller->more;

    if (table)
        weir_signal_close(&table->wake);
}

/* ---- changing the set: any thread ---- */

static struct entry *find(struct table *table, int fd)
{
    if (fd < 0 || (size_t)fd >= table->n_entries ||
        table->entries[fd].serial == 0)
        return NULL;
    return &table->entries[fd];
}

/* End a change; the thread that waits shall see it. */
static void unlock_and_wake(struct table *table)
{
    bool wake = table->waits && !table->woken;

    table->woken = table->woken || wake;
    weir_lock_release(&table->lock);
    if (wake)
        weir_signal_set(&table->wake);
}

static void ask(struct entry *entry, unsigned events, uint64_t key)
{
    entry->key = key;
    entry->events = events;
    entry->waiting = (events & DIRECTIONS) | WEIR_POLLER_ERROR;
}

static int put_in(struct table *table, int fd, unsigned events, uint64_t key)
{
    struct entry *entry;
    int r;

    if (find(table, fd))
        return -EEXIST;
    r = reserve_entry(table, (size_t)fd);
    if (r >= 0)
        r = reserve_snapshot(table);
    if (r < 0)
        return r;
    entry = &table->entries[fd];
    if (++table->serials == 0)
        table->serials = 1;
    entry->serial = table->serials;
    ask(entry, events, key);
    table->members++;
    return 0;
}

static int cannot_watch(int r, int fd)
{
    return weir_fail(-r, "cannot watch descriptor %d: %s", fd,
                     weir_strerror(-r));
}

int weir_poller_add(struct weir_poller *poller, int fd, unsigned events,
                    uint64_t key)
{
    struct table *table = poller->more;
    int r;

    if (fd < 0)
        return cannot_watch(-EBADF, fd);
    weir_lock_take(&table->lock);
    r = put_in(table, fd, events, key);
    unlock_and_wake(table);
    return r < 0 ? cannot_watch(r, fd) : 0;
}

int weir_poller_change(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    struct table *table = poller->more;
    struct entry *entry;

    weir_lock_take(&table->lock);
    entry = find(table, fd);
    if (entry)
        ask(entry, events, key);
    unlock_and_wake(table);
    return entry ? 0 : cannot_watch(-ENOENT, fd);
}

void weir_poller_remove(struct weir_poller *poller, int fd)
{
    struct table *table = poller->more;
    struct entry *entry;

    weir_lock_take(&table->lock);
    entry = find(table, fd);
    if (entry) {
        entry->serial = 0;
        table->members--;
    }
    unlock_and_wake(table);
}

/* Called after each drain, so it wakes nobody in vain. */
void weir_poller_again(struct weir_poller *poller, int fd, unsigned events,
                       uint64_t key)
{
    struct table *table = poller->more;
    struct entry *entry;
    unsigned more;

    (void)key;
    weir_lock_take(&table->lock);
    entry = find(table, fd);
    more = (events & DIRECTIONS) | WEIR_POLLER_ERROR;
    if (!entry || (entry->waiting & more) == more) {
        weir_lock_release(&table->lock);
        return;
    }
    entry->waiting |= more;
    unlock_and_wake(table);
}

/* ---- waiting ---- */

static short to_poll(unsigned directions)
{
    int bits = 0;

    if (directions & WEIR_POLLER_IN)
        bits |= POLLIN;
    if (directions & WEIR_POLLER_OUT)
        bits |= POLLOUT;
    return (short)bits;
}

static unsigned from_poll(short bits)
{
    unsigned events = 0;

    if (bits & POLLIN)
        events |= WEIR_POLLER_IN;
    if (bits & POLLOUT)
        events |= WEIR_POLLER_OUT;
    if (bits & (POLLERR | POLLHUP))
        events |= WEIR_POLLER_ERROR | WEIR_POLLER_IN;
    return events;
}

/* Take a snapshot; returns its length. */
static size_t look(struct table *table)
{
    struct snapshot *view = table->view;
    size_t n = 1;

    if (table->spare) {
        free(view);
        table->view = view = table->spare;
        table->spare = NULL;
    }
    view->polls[0] = (struct pollfd){table->wake.in, POLLIN, 0};
    for (size_t fd = 0; fd < table->n_entries; fd++) {
        const struct entry *entry = &table->entries[fd];

        if (entry->serial == 0 || entry->waiting == 0)
            continue;
        view->polls[n].fd = (int)fd;
        view->polls[n].events = to_poll(entry->waiting);
        view->polls[n].revents = 0;
        view->serials[n++] = entry->serial;
    }
    return n;
}

/* What was reported is not looked at again, if that was the wish.  A broken
 * connection shows through all that one asks for. */
static void reported(struct entry *entry, unsigned events)
{
    if (entry->events & WEIR_POLLER_ONCE || events & WEIR_POLLER_ERROR)
        events = DIRECTIONS;
    if (entry->events & (WEIR_POLLER_ONCE | WEIR_POLLER_EDGE))
        entry->waiting &= ~events;
}

/* One descriptor of the snapshot; true: there is an event. */
static bool take(struct table *table, const struct pollfd *poll,
                 uint32_t serial, struct weir_poller_event *event)
{
    struct entry *entry = find(table, poll->fd);
    unsigned events;

    if (!entry || entry->serial != serial)
        return false;
    if (poll->revents & POLLNVAL) { /* closed without being removed */
        entry->serial = 0;
        table->members--;
        return false;
    }
    events = from_poll(poll->revents);
    if (!(events & WEIR_POLLER_ERROR))
        events &= entry->waiting;
    if (events == 0 || entry->waiting == 0)
        return false;
    event->key = entry->key;
    event->events = events;
    reported(entry, events);
    return true;
}

/* When there are more than `max`, the others come first the next time. */
static int collect(struct table *table, size_t n,
                   struct weir_poller_event *events, int max)
{
    const struct snapshot *view = table->view;
    size_t first = table->first;
    int found = 0;

    for (size_t i = 0; i + 1 < n && found < max; i++) {
        size_t at = 1 + (first + i) % (n - 1);

        if (view->polls[at].revents != 0 &&
            take(table, &view->polls[at], view->serials[at], &events[found]))
            found++;
        table->first = at;
    }
    return found;
}

static int wait_once(struct table *table, struct weir_poller_event *events,
                     int max, int64_t deadline)
{
    size_t n;
    int r;

    weir_lock_take(&table->lock);
    n = look(table);
    table->waits = true;
    weir_lock_release(&table->lock);
    r = weir_poll_many(table->view->polls, n, weir_deadline_left(deadline));
    if (r < 0)
        r = errno == EINTR ? 0 : -errno;
    if (r > 0 && table->view->polls[0].revents)
        weir_signal_clear(&table->wake);
    weir_lock_take(&table->lock);
    table->waits = table->woken = false;
    if (r > 0)
        r = collect(table, n, events, max);
    weir_lock_release(&table->lock);
    return r;
}

int weir_poller_wait(struct weir_poller *poller,
                     struct weir_poller_event *events, int max,
                     int64_t deadline)
{
    int n;

    do
        n = wait_once(poller->more, events, max, deadline);
    while (n == 0 && weir_deadline_left(deadline) != 0);
    if (n < 0)
        return weir_fail(-n, "waiting for descriptors: %s", weir_strerror(-n));
    return n;
}
