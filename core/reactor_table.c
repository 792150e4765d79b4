/*
 * reactor_table.c - watches, timers and jobs that plugins ask a reactor for,
 * by id: an id that is over is told from one that lives.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/owned.h"
#include "context.h"
#include "jobs.h"
#include "reactor.h"

enum kind { WATCH = 1, TIMER, JOB };

struct entry {
    enum kind kind;
    uint32_t slot;
    struct weir_reactor *reactor;
    weir_turn *turn;
    void *arg;
    struct weir_watch watch;
    struct weir_timer timer;
    struct job *job;
};

/* A job outlives its entry when it is cancelled while a helper runs it. */
struct job {
    struct weir_errand errand;
    struct weir_task done;
    struct weir_lock lock;        /* guards `reactor`, `finished` */
    struct weir_reactor *reactor; /* NULL: cancelled */
    bool finished;                /* the helper is through with it */
    int64_t id;
    weir_job what;
};

struct slot {
    struct entry *entry;
    uint32_t generation;
    uint32_t next_free; /* number + 1; 0 the end */
};

struct weir_table {
    struct weir_reactor *reactor;
    struct slot *slots;
    uint32_t n, free; /* number + 1 of the first free one */
};

struct weir_table *weir_table_new(struct weir_reactor *reactor)
{
    struct weir_table *table = calloc(1, sizeof(*table));

    if (table)
        table->reactor = reactor;
    return table;
}

static int64_t id_of(const struct weir_table *table, uint32_t slot)
{
    return (int64_t)table->slots[slot].generation << 32 | (int64_t)(slot + 1);
}

static struct entry *find(struct weir_table *table, int64_t id)
{
    uint32_t slot = (uint32_t)(id & 0xffffffff) - 1;

    if (id <= 0 || slot >= table->n || !table->slots[slot].entry)
        return NULL;
    return id_of(table, slot) == id ? table->slots[slot].entry : NULL;
}

static bool grow(struct weir_table *table)
{
    uint32_t n = table->n ? table->n * 2 : 8;
    struct slot *slots = realloc(table->slots, n * sizeof(*slots));

    if (!slots)
        return false;
    for (uint32_t i = table->n; i < n; i++) {
        slots[i] = (struct slot){.next_free = table->free};
        table->free = i + 1;
    }
    table->slots = slots;
    table->n = n;
    return true;
}

static void put_in(struct weir_table *table, struct entry *entry)
{
    struct slot *slot = &table->slots[table->free - 1];

    entry->slot = table->free - 1;
    table->free = slot->next_free;
    slot->entry = entry;
    slot->generation = (slot->generation + 1) & 0x7fffffff;
}

static struct entry *add(struct weir_table *table, enum kind kind,
                         weir_turn *turn, void *arg)
{
    bool room = table->free != 0 || grow(table);
    struct entry *entry = room ? calloc(1, sizeof(*entry)) : NULL;

    if (!entry) {
        weir_fail(ENOMEM, "no memory for a watch");
        return NULL;
    }
    entry->kind = kind;
    entry->reactor = table->reactor;
    entry->turn = turn;
    entry->arg = arg;
    put_in(table, entry);
    return entry;
}

static void drop(struct weir_table *table, struct entry *entry)
{
    table->slots[entry->slot].entry = NULL;
    table->slots[entry->slot].next_free = table->free;
    table->free = entry->slot + 1;
    free(entry);
}

/* ---- watches and timers ---- */

static void on_watch(struct weir_watch *watch, unsigned events)
{
    struct entry *entry = WEIR_CONTAINER(watch, struct entry, watch);

    entry->turn(entry->arg, events & ~(unsigned)WEIR_POLLER_END);
}

static uint32_t owner(const struct weir_reactor *reactor)
{
    return weir_owned_by_ctx(reactor->ctx->index);
}

int64_t weir_reactor_host_watch(weir_reactor *reactor, int fd, unsigned events,
                                weir_turn *turn, void *arg)
{
    struct entry *entry;
    int r;

    if (!turn)
        return weir_fail(EINVAL, "a watch without a turn");
    entry = add(reactor->table, WATCH, turn, arg);
    if (!entry)
        return -ENOMEM;
    entry->watch.fd = fd;
    entry->watch.ready = on_watch;
    r = weir_watch_add(reactor, &entry->watch, events);
    if (r < 0) {
        drop(reactor->table, entry);
        return r;
    }
    weir_owned_add(fd, owner(reactor));
    return id_of(reactor->table, entry->slot);
}

int weir_reactor_host_rewatch(weir_reactor *reactor, int64_t id,
                              unsigned events)
{
    struct entry *entry = find(reactor->table, id);

    if (!entry || entry->kind != WATCH)
        return weir_fail(ENOENT, "no watch %lld", (long long)id);
    return weir_watch_change(reactor, &entry->watch, events);
}

static void on_timer(struct weir_timer *timer)
{
    struct entry *entry = WEIR_CONTAINER(timer, struct entry, timer);
    weir_turn *turn = entry->turn;
    void *arg = entry->arg;

    drop(entry->reactor->table, entry);
    turn(arg, 0);
}

/* As late as can be, when that is later than time goes. */
static int64_t time_after(uint64_t ns)
{
    int64_t now = weir_now();

    return ns < (uint64_t)(WEIR_NEVER - now) ? now + (int64_t)ns : WEIR_NEVER;
}

int64_t weir_reactor_host_timer(weir_reactor *reactor, uint64_t after_ns,
                                weir_turn *turn, void *arg)
{
    struct entry *entry;

    if (!turn)
        return weir_fail(EINVAL, "a timer without a turn");
    entry = add(reactor->table, TIMER, turn, arg);
    if (!entry)
        return -ENOMEM;
    entry->timer.fire = on_timer;
    weir_timer_arm(reactor, &entry->timer, time_after(after_ns));
    return id_of(reactor->table, entry->slot);
}

/* ---- jobs ---- */

/* On the reactor: the helper is through, and nobody cancelled before it was. */
static void on_done(struct weir_task *task)
{
    struct job *job = WEIR_CONTAINER(task, struct job, done);
    struct entry *entry = NULL;

    weir_lock_take(&job->lock); /* the helper that posted us is in there */
    weir_lock_release(&job->lock);
    if (job->reactor)
        entry = find(job->reactor->table, job->id);
    if (!entry) {
        job->what.drop(job->what.arg);
        free(job);
        return;
    }
    drop(job->reactor->table, entry);
    job->what.done(job->what.arg);
    free(job);
}

static void work(struct weir_errand *errand)
{
    struct job *job = WEIR_CONTAINER(errand, struct job, errand);
    bool cancelled;

    job->what.work(job->what.arg);
    weir_lock_take(&job->lock);
    cancelled = job->reactor == NULL;
    job->finished = true;
    if (!cancelled)
        weir_reactor_post(job->reactor, &job->done);
    weir_lock_release(&job->lock);
    if (cancelled) {
        job->what.drop(job->what.arg);
        free(job);
    }
}

/* Nobody waits for it any more.  Who is last to hold it drops it: the helper,
 * or on_done, which finds no entry. */
static void cancel_job(struct job *job)
{
    weir_lock_take(&job->lock);
    if (!job->finished)
        job->reactor = NULL;
    weir_lock_release(&job->lock);
}

int64_t weir_reactor_host_offload(weir_reactor *reactor, const weir_job *what)
{
    struct entry *entry;
    struct job *job;
    int r;

    if (!what->work || !what->done || !what->drop)
        return weir_fail(EINVAL, "a job without work, done or drop");
    entry = add(reactor->table, JOB, NULL, NULL);
    job = entry ? calloc(1, sizeof(*job)) : NULL;
    if (!job) {
        if (entry)
            drop(reactor->table, entry);
        return weir_fail(ENOMEM, "no memory for a job");
    }
    entry->job = job;
    job->errand.run = work;
    job->done.run = on_done;
    job->reactor = reactor;
    job->id = id_of(reactor->table, entry->slot);
    job->what = *what;
    r = weir_jobs_submit(&job->errand);
    if (r < 0) {
        free(job);
        drop(reactor->table, entry);
        return r;
    }
    return id_of(reactor->table, entry->slot);
}

/* ---- ends ---- */

static void end(struct weir_table *table, struct entry *entry)
{
    if (entry->kind == WATCH) {
        weir_watch_remove(table->reactor, &entry->watch);
        weir_owned_remove(entry->watch.fd, owner(table->reactor));
    } else if (entry->kind == TIMER) {
        weir_timer_cancel(table->reactor, &entry->timer);
    } else {
        cancel_job(entry->job);
    }
    drop(table, entry);
}

void weir_reactor_host_cancel(weir_reactor *reactor, int64_t id)
{
    struct entry *entry = find(reactor->table, id);

    if (entry)
        end(reactor->table, entry);
}

void weir_table_clear(struct weir_table *table)
{
    for (uint32_t i = 0; i < table->n; i++)
        if (table->slots[i].entry)
            end(table, table->slots[i].entry);
}

void weir_table_free(struct weir_table *table)
{
    free(table->slots);
    free(table);
}
