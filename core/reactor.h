/*
 * reactor.h - turns for what nobody in the application waits for: listeners,
 * handshakes, timers, and the sockets whose application is away.
 *
 * A reactor belongs to one I/O thread, or, in a context without I/O threads,
 * to whichever application thread waits just now: one at a time.
 *
 * Above: endpoint.h, link.h, socket.h, plugins (through host.c).
 * Below: poller.h, base/heap.h.
 */
#ifndef WEIR_REACTOR_H
#define WEIR_REACTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/signal.h"
#include "base/stack.h"
#include "poller.h"

struct weir_ctx;
struct weir_sock;

/* Something to do on the reactor, posted from any thread.  Embedded; it is
 * posted at most once at a time. */
struct weir_task {
    struct weir_stack_node node;
    void (*run)(struct weir_task *task);
    _Atomic bool posted;
};

/* A timer of the core's own, embedded.  Reactor thread only. */
struct weir_timer {
    struct weir_heap_node node;
    void (*fire)(struct weir_timer *timer);
};

/* A watched descriptor of the core's own, embedded; its address is its key.
 * Reactor thread only, but for weir_watch_change. */
struct weir_watch {
    int fd;
    void (*ready)(struct weir_watch *watch, unsigned events);
};

/* What a look at a socket left over; of what comes later who leaves it asks. */
enum weir_leftover {
    WEIR_LEFT_SOME,   /* or what is not known: the next look takes the lock */
    WEIR_LEFT_STREAM, /* only what whoever sends looks after, if he goes on */
    WEIR_LEFT_NOTHING /* so the next look may be far */
};

/* A socket's place on the reactor: how it gets looked after. */
struct weir_tick {
    struct weir_stack_node inbox;
    struct weir_list list;
    _Atomic bool wanted; /* on the inbox or the list */
    _Atomic(enum weir_leftover) left;
    struct weir_sock *sock;
};

/* Is it called soon enough for who leaves something over?  Thread: any. */
static inline bool weir_tick_comes_soon(const struct weir_tick *tick)
{
    return atomic_load_explicit(&tick->wanted, memory_order_relaxed) &&
           atomic_load_explicit(&tick->left, memory_order_relaxed) !=
               WEIR_LEFT_NOTHING;
}

/* More than a stream is left over from now on.  Where nothing was, that is to
 * be asked for.  Thread: the one that holds the socket's lock. */
static inline void weir_tick_is_no_stream(struct weir_tick *tick)
{
    if (atomic_load_explicit(&tick->left, memory_order_relaxed) ==
        WEIR_LEFT_STREAM)
        atomic_store_explicit(&tick->left, WEIR_LEFT_SOME,
                              memory_order_relaxed);
}

enum { WEIR_REACTOR_BATCH = 64 };

struct weir_reactor {
    struct weir_ctx *ctx;
    struct weir_poller poller;
    struct weir_heap timers;
    struct weir_stack tasks;
    _Atomic bool asleep; /* in the poller, or about to be */
    bool threaded;       /* has a thread of its own */
    _Atomic bool stop;
    pthread_t thread;
    struct weir_signal wake;
    struct weir_watch wake_watch, tick_watch; /* tick_watch.fd: a timerfd */
    _Atomic bool hurry;                       /* ticks are due now */
    _Atomic int64_t tick_at; /* when ticks are due, ns; 0 = not */
    int64_t tick_ns;         /* the pause between ticks */
    int64_t alarm_at; /* without a thread: when the timerfd fires; 0 = never */
    struct weir_stack tick_inbox;
    struct weir_list ticking;
    struct weir_lock turn;   /* without a thread: who runs it */
    _Atomic uint32_t rounds; /* without a thread: moves with each */
    struct weir_poller_event batch[WEIR_REACTOR_BATCH]; /* being handled */
    int batch_size;
    struct weir_table *table; /* reactor_table.c: what plugins asked for */
};

int weir_reactor_open(struct weir_reactor *reactor, struct weir_ctx *ctx);
void weir_reactor_close(struct weir_reactor *reactor);

/* Start and end the thread. */
int weir_reactor_start(struct weir_reactor *reactor, const char *name,
                       const char *affinity);
void weir_reactor_stop(struct weir_reactor *reactor);

/* Run one round: wait up to `deadline` (absolute ns) for something to do, do
 * it.  The reactor's thread, or the holder of `turn`. */
void weir_reactor_round(struct weir_reactor *reactor, int64_t deadline);

/* End the wait of the round under way, or make the next one short.  Any
 * thread. */
void weir_reactor_wake(struct weir_reactor *reactor);

/* Without a thread: have who runs it, and those who wait for that, look at
 * what they wait for.  Any thread. */
void weir_reactor_recall(struct weir_reactor *reactor);

/* Have a task run on the reactor.  Any thread. */
void weir_reactor_post(struct weir_reactor *reactor, struct weir_task *task);

/* Have weir_sock_turn called within `ns`, and then again and again until it
 * says it is quiet.  Cheap when that is so already.  Any thread. */
void weir_reactor_tick(struct weir_reactor *reactor, struct weir_tick *tick,
                       int64_t ns);
/* The same where it may be that the next call is far, as nothing was left over:
 * then within a millisecond. */
void weir_reactor_tick_again(struct weir_reactor *reactor,
                             struct weir_tick *tick, int64_t ns);
/* As soon as the thread wakes: a wake-up is cheaper than a timer. */
void weir_reactor_hurry(struct weir_reactor *reactor, struct weir_tick *tick);

/* Wait until the word has moved from 0, which a task will do; without a
 * thread of its own, by running it.  No lock held; any thread but its own. */
void weir_reactor_await(struct weir_reactor *reactor, _Atomic uint32_t *word);

/* Timers; `at` is absolute ns.  Arming an armed timer moves it. */
void weir_timer_arm(struct weir_reactor *reactor, struct weir_timer *timer,
                    int64_t at);
void weir_timer_cancel(struct weir_reactor *reactor, struct weir_timer *timer);

/* Watch a descriptor; events are those of poller.h. */
int weir_watch_add(struct weir_reactor *reactor, struct weir_watch *watch,
                   unsigned events);
int weir_watch_change(struct weir_reactor *reactor, struct weir_watch *watch,
                      unsigned events);
void weir_watch_remove(struct weir_reactor *reactor, struct weir_watch *watch);

/* The descriptor was closed without being removed, or the watch goes away:
 * no event of the batch under way will reach it. */
void weir_watch_forget(struct weir_reactor *reactor, struct weir_watch *watch);

/* The socket goes away: no more turns.  Reactor thread. */
void weir_reactor_untick(struct weir_reactor *reactor, struct weir_tick *tick);

/* In a forked child: close the descriptors, touch nothing else. */
void weir_reactor_abandon(struct weir_reactor *reactor);

/* reactor_table.c: what plugins have asked for. */
struct weir_table *weir_table_new(struct weir_reactor *reactor);
void weir_table_clear(struct weir_table *table); /* ends all there is */
void weir_table_free(struct weir_table *table);

/* The halves of weir_host that are about turns (reactor_table.c). */
int64_t weir_reactor_host_watch(weir_reactor *reactor, int fd, unsigned events,
                                weir_turn *turn, void *arg);
int weir_reactor_host_rewatch(weir_reactor *reactor, int64_t id,
                              unsigned events);
int64_t weir_reactor_host_timer(weir_reactor *reactor, uint64_t after_ns,
                                weir_turn *turn, void *arg);
void weir_reactor_host_cancel(weir_reactor *reactor, int64_t id);
int64_t weir_reactor_host_offload(weir_reactor *reactor, const weir_job *job);

#endif
