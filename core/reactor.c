/*
 * reactor.c - see reactor.h.
 */
#include "config.h"

#include "reactor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#if defined(HAVE_TIMERFD_CREATE)
#include <sys/timerfd.h>
#endif

#include "base/clock.h"
#include "base/error.h"
#include "base/fence.h"
#include "base/park.h"
#include "base/thread.h"
#include "context.h"
#include "socket.h"

enum {
    TICK_MIN = 50000,  /* ns: the pause after the first look */
    TICK_MAX = 1000000 /* ns: the pause doubles up to this */
};

/* ---- watches ---- */

int weir_watch_add(struct weir_reactor *reactor, struct weir_watch *watch,
                   unsigned events)
{
    return weir_poller_add(&reactor->poller, watch->fd, events,
                           (uint64_t)(uintptr_t)watch);
}

int weir_watch_change(struct weir_reactor *reactor, struct weir_watch *watch,
                      unsigned events)
{
    return weir_poller_change(&reactor->poller, watch->fd, events,
                              (uint64_t)(uintptr_t)watch);
}

void weir_watch_remove(struct weir_reactor *reactor, struct weir_watch *watch)
{
    weir_poller_remove(&reactor->poller, watch->fd);
    weir_watch_forget(reactor, watch);
}

/* The event may be further on in the batch that is being handled. */
void weir_watch_forget(struct weir_reactor *reactor, struct weir_watch *watch)
{
    for (int i = 0; i < reactor->batch_size; i++)
        if (reactor->batch[i].key == (uint64_t)(uintptr_t)watch)
            reactor->batch[i].key = 0;
}

static void handle_batch(struct weir_reactor *reactor, int n)
{
    reactor->batch_size = n;
    for (int i = 0; i < n; i++) {
        const struct weir_poller_event *event = &reactor->batch[i];
        struct weir_watch *watch = (struct weir_watch *)(uintptr_t)event->key;

        if (watch)
            watch->ready(watch, event->events);
    }
    reactor->batch_size = 0;
}

/* ---- timers ---- */

void weir_timer_arm(struct weir_reactor *reactor, struct weir_timer *timer,
                    int64_t at)
{
    weir_timer_cancel(reactor, timer);
    weir_heap_insert(&reactor->timers, &timer->node, at);
}

void weir_timer_cancel(struct weir_reactor *reactor, struct weir_timer *timer)
{
    if (weir_heap_has(&timer->node))
        weir_heap_remove(&reactor->timers, &timer->node);
}

static void fire_timers(struct weir_reactor *reactor)
{
    struct weir_heap_node *node = weir_heap_first(&reactor->timers);
    int64_t now;

    if (!node)
        return;
    now = weir_now();
    while (node && node->key <= now) {
        struct weir_timer *timer =
            WEIR_CONTAINER(node, struct weir_timer, node);

        weir_heap_remove(&reactor->timers, node);
        timer->fire(timer);
        node = weir_heap_first(&reactor->timers);
    }
}

/* ---- tasks ---- */

void weir_reactor_wake(struct weir_reactor *reactor)
{
    weir_fence_full();
    if (atomic_load_explicit(&reactor->asleep, memory_order_relaxed) &&
        atomic_exchange(&reactor->asleep, false))
        weir_signal_set(&reactor->wake);
}

void weir_reactor_recall(struct weir_reactor *reactor)
{
    weir_signal_set(&reactor->wake);
    atomic_fetch_add(&reactor->rounds, 1);
    weir_unpark(&reactor->rounds, INT_MAX);
}

void weir_reactor_post(struct weir_reactor *reactor, struct weir_task *task)
{
    bool first;

    if (atomic_exchange(&task->posted, true))
        return;
    first = weir_stack_push(&reactor->tasks, &task->node);
    if (first && !reactor->threaded)
        weir_signal_set(&reactor->wake); /* who sleeps may do so elsewhere */
    else
        weir_reactor_wake(reactor);
}

static bool run_tasks(struct weir_reactor *reactor)
{
    struct weir_stack_node *node = weir_stack_take_in_order(&reactor->tasks);
    bool any = node != NULL;

    while (node) {
        struct weir_task *task = WEIR_CONTAINER(node, struct weir_task, node);

        node = node->next;
        atomic_store(&task->posted, false);
        task->run(task);
    }
    return any;
}

/* ---- ticks: sockets that need a look soon, without a wake-up each ---- */

#if defined(HAVE_TIMERFD_CREATE)
/* 0 disarms it. */
static void set_timer(struct weir_reactor *reactor, int flags, int64_t ns)
{
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(ns / 1000000000),
                                           .tv_nsec = (long)(ns % 1000000000)}};

    (void)timerfd_settime(reactor->tick_watch.fd, flags, &spec, NULL);
}

static void arm_tick(struct weir_reactor *reactor, int64_t ns)
{
    if (reactor->tick_watch.fd >= 0)
        set_timer(reactor, 0, ns);
    else
        weir_reactor_wake(reactor); /* its next wait ends at tick_at */
}

/* A system that has none at all does without. */
static int open_tick(struct weir_reactor *reactor)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    reactor->tick_watch.fd = fd;
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM))
        return 0;
    return weir_fail(errno, "no descriptor for a timer: %s",
                     weir_strerror(errno));
}
#else
static void arm_tick(struct weir_reactor *reactor, int64_t ns)
{
    (void)ns;
    weir_reactor_wake(reactor); /* its next wait ends at tick_at */
}

static int open_tick(struct weir_reactor *reactor)
{
    reactor->tick_watch.fd = -1;
    return 0;
}
#endif

/* The timer is for `at`, or for what somebody has brought that forward to while
 * we were about to set it. */
static void arm_tick_for(struct weir_reactor *reactor, int64_t at, int64_t ns)
{
    for (;;) {
        int64_t due;

        arm_tick(reactor, ns < 1 ? 1 : ns); /* 0 would disarm it */
        due = atomic_load(&reactor->tick_at);
        if (due == 0 || due >= at)
            return;
        at = due;
        ns = at - weir_now();
    }
}

/* Ticks are due within `ns`, unless they are sooner already. */
static void tick_within(struct weir_reactor *reactor, int64_t ns)
{
    int64_t at = weir_now() + ns, due = atomic_load(&reactor->tick_at);

    while (due == 0 || due > at)
        if (atomic_compare_exchange_weak(&reactor->tick_at, &due, at)) {
            arm_tick_for(reactor, at, ns);
            return;
        }
}

/* True: it did not tick yet. */
static bool ask_for_tick(struct weir_reactor *reactor, struct weir_tick *tick)
{
    if (atomic_exchange(&tick->wanted, true))
        return false;
    weir_stack_push(&reactor->tick_inbox, &tick->inbox);
    return true;
}

/* One that ticks already comes soon enough, unless nothing was left over: to
 * arm the timer costs more than what is gained. */
void weir_reactor_tick_again(struct weir_reactor *reactor,
                             struct weir_tick *tick, int64_t ns)
{
    if (!reactor->threaded)
        return; /* who waits looks after everything */
    if (ns < WEIR_ABSENCE)
        atomic_store(&tick->left, WEIR_LEFT_SOME);
    if (!ask_for_tick(reactor, tick) && ns < TICK_MAX)
        ns = TICK_MAX;
    weir_fence_full(); /* as in run_ticks() */
    tick_within(reactor, ns);
}

void weir_reactor_tick(struct weir_reactor *reactor, struct weir_tick *tick,
                       int64_t ns)
{
    if (weir_tick_comes_soon(tick))
        return;
    /* Who asks for a look as far away has left nothing over. */
    if (ns < WEIR_ABSENCE ||
        !atomic_load_explicit(&tick->wanted, memory_order_relaxed))
        weir_reactor_tick_again(reactor, tick, ns);
}

void weir_reactor_hurry(struct weir_reactor *reactor, struct weir_tick *tick)
{
    if (!reactor->threaded)
        return;
    atomic_store(&tick->left, WEIR_LEFT_SOME);
    (void)ask_for_tick(reactor, tick);
    atomic_store(&reactor->hurry, true);
    weir_reactor_wake(reactor);
}

static void collect_ticks(struct weir_reactor *reactor)
{
    struct weir_stack_node *node = weir_stack_take_all(&reactor->tick_inbox);

    while (node) {
        struct weir_tick *tick = WEIR_CONTAINER(node, struct weir_tick, inbox);

        node = node->next;
        weir_list_append(&reactor->ticking, &tick->list);
        reactor->tick_ns = TICK_MIN;
    }
}

/* Look after one socket.  As long as it is not quiet nobody has to ask.  When
 * it is, it may be asked for again, so one more look follows. */
static int64_t tick_one(struct weir_tick *tick)
{
    int64_t again = weir_sock_turn(tick->sock);

    if (again != 0)
        return again;
    weir_list_remove(&tick->list);
    atomic_store(&tick->wanted, false);
    weir_fence_full();
    again = weir_sock_turn(tick->sock);
    if (again == 0 || atomic_exchange(&tick->wanted, true))
        return 0;
    weir_list_append(&tick->sock->reactor->ticking, &tick->list);
    return again;
}

/* Each of those that tick now has one look. */
static int64_t tick_all(struct weir_reactor *reactor)
{
    struct weir_list due, *node;
    int64_t soonest = 0;

    weir_list_init(&due);
    while ((node = weir_list_pop(&reactor->ticking)) != NULL)
        weir_list_append(&due, node);
    while ((node = weir_list_pop(&due)) != NULL) {
        int64_t again;

        weir_list_append(&reactor->ticking, node);
        again = tick_one(WEIR_CONTAINER(node, struct weir_tick, list));
        if (again != 0 && (soonest == 0 || again < soonest))
            soonest = again;
    }
    return soonest;
}

/* Say that none are due, then look for those that were asked for: who asks does
 * it the other way round, and arms the timer unless some are due.  Between the
 * two there is a fence on either side, or on a weakly ordered machine each
 * might miss the other. */
static void run_ticks(struct weir_reactor *reactor)
{
    int64_t soonest;

    (void)atomic_exchange(&reactor->hurry, false);
    atomic_store(&reactor->tick_at, 0);
    weir_fence_full();
    collect_ticks(reactor);
    soonest = tick_all(reactor);
    if (soonest == 0)
        return;
    reactor->tick_ns *= 2;
    if (reactor->tick_ns > TICK_MAX)
        reactor->tick_ns = TICK_MAX;
    tick_within(reactor,
                soonest > reactor->tick_ns ? soonest : reactor->tick_ns);
}

void weir_reactor_untick(struct weir_reactor *reactor, struct weir_tick *tick)
{
    collect_ticks(reactor);
    if (atomic_exchange(&tick->wanted, true))
        weir_list_remove(&tick->list);
}

static void on_tick(struct weir_watch *watch, unsigned events)
{
    uint64_t count;

    (void)events;
    (void)!read(watch->fd, &count, sizeof(count));
    run_ticks(WEIR_CONTAINER(watch, struct weir_reactor, tick_watch));
}

/* What was not looked after by then is looked after soon. */
static void tick_in_a_hurry(struct weir_reactor *reactor)
{
    if (!atomic_load(&reactor->hurry))
        return;
    reactor->tick_ns = TICK_MIN;
    run_ticks(reactor);
}

static void tick_without_timerfd(struct weir_reactor *reactor)
{
    int64_t due = atomic_load(&reactor->tick_at);

    if (reactor->tick_watch.fd < 0 && due != 0 && due <= weir_now())
        run_ticks(reactor);
}

/* ---- rounds ---- */

static void on_wake(struct weir_watch *watch, unsigned events)
{
    (void)events;
    weir_signal_clear(
        &WEIR_CONTAINER(watch, struct weir_reactor, wake_watch)->wake);
}

static int64_t next_deadline(struct weir_reactor *reactor, int64_t deadline)
{
    struct weir_heap_node *node = weir_heap_first(&reactor->timers);
    int64_t due = atomic_load(&reactor->tick_at);

    if (node && node->key < deadline)
        deadline = node->key;
    if (reactor->tick_watch.fd < 0 && due != 0 && due < deadline)
        deadline = due;
    return deadline;
}

/* Say that we sleep, then look once more: who posts looks at `asleep` after
 * it has pushed. */
static int sleep_in_poller(struct weir_reactor *reactor, int64_t deadline)
{
    int n;

    atomic_store(&reactor->asleep, true);
    weir_fence_full();
    if (!weir_stack_empty(&reactor->tasks) || atomic_load(&reactor->stop) ||
        atomic_load(&reactor->hurry))
        deadline = 0;
    n = weir_poller_wait(&reactor->poller, reactor->batch, WEIR_REACTOR_BATCH,
                         next_deadline(reactor, deadline));
    atomic_store(&reactor->asleep, false);
    return n;
}

/* Without a thread those who wait may sleep elsewhere, with the poller's
 * descriptor among others: it shall be readable when a timer is due. */
#if defined(HAVE_TIMERFD_CREATE)
static void set_alarm(struct weir_reactor *reactor)
{
    struct weir_heap_node *node = weir_heap_first(&reactor->timers);
    int64_t at = node ? node->key : 0;

    if (reactor->threaded || at == reactor->alarm_at)
        return;
    reactor->alarm_at = at;
    set_timer(reactor, TFD_TIMER_ABSTIME, at);
}
#else
static void set_alarm(struct weir_reactor *reactor)
{
    (void)reactor;
}
#endif

void weir_reactor_round(struct weir_reactor *reactor, int64_t deadline)
{
    int n;

    if (run_tasks(reactor))
        deadline = 0;
    n = sleep_in_poller(reactor, deadline);
    handle_batch(reactor, n > 0 ? n : 0);
    tick_in_a_hurry(reactor);
    tick_without_timerfd(reactor);
    fire_timers(reactor);
    run_tasks(reactor);
    set_alarm(reactor);
}

static void await_round(struct weir_reactor *reactor, _Atomic uint32_t *word)
{
    uint32_t seen = atomic_load(&reactor->rounds);

    if (weir_lock_try(&reactor->turn)) {
        if (atomic_load(word) == 0)
            weir_reactor_round(reactor, 0);
        weir_lock_release(&reactor->turn);
        weir_reactor_recall(reactor);
    } else if (atomic_load(word) == 0) { /* so a round has to end yet */
        weir_reactor_wake(reactor);
        weir_park(&reactor->rounds, seen, WEIR_NEVER);
    }
}

void weir_reactor_await(struct weir_reactor *reactor, _Atomic uint32_t *word)
{
    while (atomic_load(word) == 0)
        if (reactor->threaded)
            weir_park(word, 0, WEIR_NEVER);
        else
            await_round(reactor, word);
}

static void *run(void *arg)
{
    struct weir_reactor *reactor = arg;

    while (!atomic_load(&reactor->stop))
        weir_reactor_round(reactor, WEIR_NEVER);
    return NULL;
}

/* ---- life ---- */

static int open_watches(struct weir_reactor *reactor)
{
    int r = weir_signal_open(&reactor->wake);

    if (r < 0)
        return r;
    reactor->wake_watch.fd = reactor->wake.in;
    reactor->wake_watch.ready = on_wake;
    r = weir_watch_add(reactor, &reactor->wake_watch, WEIR_POLLER_IN);
    if (r < 0)
        return r;
    r = open_tick(reactor);
    reactor->tick_watch.ready = on_tick;
    if (r < 0 || reactor->tick_watch.fd < 0)
        return r;
    return weir_watch_add(reactor, &reactor->tick_watch, WEIR_POLLER_IN);
}

int weir_reactor_open(struct weir_reactor *reactor, struct weir_ctx *ctx)
{
    int r;

    memset(reactor, 0, sizeof(*reactor));
    reactor->ctx = ctx;
    reactor->wake.in = reactor->wake.out = -1;
    reactor->tick_watch.fd = -1;
    reactor->tick_ns = TICK_MIN;
    weir_heap_init(&reactor->timers);
    weir_stack_init(&reactor->tasks);
    weir_stack_init(&reactor->tick_inbox);
    weir_list_init(&reactor->ticking);
    weir_lock_init(&reactor->turn);
    r = weir_poller_open(&reactor->poller);
    if (r < 0)
        return r;
    reactor->table = weir_table_new(reactor);
    r = reactor->table ? open_watches(reactor)
                       : weir_fail(ENOMEM, "no memory for a reactor");
    if (r < 0)
        weir_reactor_close(reactor);
    return r;
}

static void close_signals(struct weir_reactor *reactor)
{
    weir_signal_close(&reactor->wake);
    if (reactor->tick_watch.fd >= 0)
        close(reactor->tick_watch.fd);
    reactor->tick_watch.fd = -1;
}

void weir_reactor_close(struct weir_reactor *reactor)
{
    if (reactor->table) {
        weir_table_clear(reactor->table);
        run_tasks(reactor); /* jobs that were done just now */
        weir_table_free(reactor->table);
    }
    close_signals(reactor);
    weir_poller_close(&reactor->poller);
}

void weir_reactor_abandon(struct weir_reactor *reactor)
{
    close_signals(reactor);
    weir_poller_abandon(&reactor->poller);
}

int weir_reactor_start(struct weir_reactor *reactor, const char *name,
                       const char *affinity)
{
    int r;

    atomic_store(&reactor->stop, false); /* a start before may have failed */
    r = weir_thread_start(&reactor->thread, run, reactor, name, affinity);
    reactor->threaded = r == 0;
    return r;
}

void weir_reactor_stop(struct weir_reactor *reactor)
{
    if (!reactor->threaded)
        return;
    atomic_store(&reactor->stop, true);
    weir_reactor_wake(reactor);
    pthread_join(reactor->thread, NULL);
    reactor->threaded = false;
}
