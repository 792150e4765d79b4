/*
 * The durable spill of a queue, with a store in memory that stays when it is
 * closed and fails when it is told to: nothing is shown before it is written,
 * what was not consumed comes again, and whoever waits hears what became of
 * his message.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "endpoint.h"
#include "message.h"
#include "queue.h"
#include "spill.h"

#define MB ((uint64_t)1 << 20)

enum { BLOCKS = 8192, SOON_S = 20, MARK = 100, SIZE = 1000, EACH = 100 };

/* ---- a store ---- */

struct kept {
    uint8_t *data; /* NULL: done */
    size_t size;
    uint64_t first;
    uint32_t messages, consumed;
};

static struct {
    struct kept blocks[BLOCKS];
    _Atomic int n, open, writes, syncs, dones, reads;
    _Atomic int write_code, sync_code, open_code;
    _Atomic uint32_t failed;   /* it says so */
    _Atomic bool held, inside; /* in a write */
    _Atomic bool tells;        /* what room it has */
    _Atomic uint64_t room;
    _Atomic uint64_t least; /* octets that it says it uses, or more */
    uint64_t last;
    int next; /* of recover() */
} disk;

static void pause_a_bit(void)
{
    const struct timespec pause = {.tv_nsec = 100000};

    nanosleep(&pause, NULL);
}

static uint64_t blocks_on_disk(void)
{
    uint64_t n = 0;

    for (int i = 0; i < atomic_load(&disk.n); i++)
        n += disk.blocks[i].data != NULL;
    return n;
}

static uint64_t on_disk(void)
{
    uint64_t octets = 0;

    for (int i = 0; i < atomic_load(&disk.n); i++)
        octets += disk.blocks[i].data ? disk.blocks[i].size : 0;
    return octets;
}

static int open_disk(const weir_host *host, const weir_store_args *args,
                     void **self, weir_error *error)
{
    (void)host, (void)error;
    if (args->mode != WEIR_STORE_DURABLE ||
        strcmp(args->queue, "the-queue") != 0)
        return -EINVAL;
    if (atomic_load(&disk.open_code))
        return -atomic_load(&disk.open_code);
    if (atomic_exchange(&disk.open, 1))
        return -EBUSY;
    disk.next = 0;
    disk.last = 0;
    for (int i = 0; i < atomic_load(&disk.n); i++)
        if (disk.blocks[i].data)
            disk.last = disk.blocks[i].first + disk.blocks[i].messages - 1;
    *self = &disk;
    return 0;
}

static int64_t write_disk(void *self, const struct iovec *parts, int n,
                          uint32_t messages, uint64_t first, weir_error *error)
{
    struct kept *kept = &disk.blocks[atomic_load(&disk.n)];
    size_t size = 0;

    (void)self, (void)error;
    atomic_fetch_add(&disk.writes, 1);
    atomic_store(&disk.inside, true);
    while (atomic_load(&disk.held))
        pause_a_bit();
    atomic_store(&disk.inside, false);
    for (int i = 0; i < n; i++)
        size += parts[i].iov_len;
    if (atomic_load(&disk.write_code))
        return -atomic_load(&disk.write_code);
    if (on_disk() + size > atomic_load(&disk.room))
        return -ENOSPC;
    if (first <= disk.last)
        abort(); /* numbers only grow */
    disk.last = first + messages - 1;
    *kept = (struct kept){malloc(size), size, first, messages, 0};
    for (size_t i = 0, at = 0; i < (size_t)n; at += parts[i++].iov_len)
        memcpy(kept->data + at, parts[i].iov_base, parts[i].iov_len);
    return atomic_fetch_add(&disk.n, 1);
}

static ssize_t read_disk(void *self, int64_t handle, void *data, size_t room,
                         weir_error *error)
{
    const struct kept *kept = &disk.blocks[handle];

    (void)self, (void)error;
    atomic_fetch_add(&disk.reads, 1);
    if (!kept->data)
        return -EINVAL;
    if (room >= kept->size)
        memcpy(data, kept->data, kept->size);
    return room < kept->size ? -ERANGE : (ssize_t)kept->size;
}

static int done_disk(void *self, int64_t handle, uint64_t through,
                     weir_error *error)
{
    struct kept *kept = &disk.blocks[handle];

    (void)self, (void)error;
    if (!kept->data)
        return -EINVAL;
    if (through < kept->first + kept->messages - 1) {
        kept->consumed = (uint32_t)(through - kept->first + 1);
        return 0;
    }
    free(kept->data);
    kept->data = NULL;
    atomic_fetch_add(&disk.dones, 1);
    return 0;
}

static int recover_disk(void *self, weir_block *block, uint32_t *consumed,
                        weir_error *error)
{
    (void)self, (void)error;
    for (; disk.next < atomic_load(&disk.n); disk.next++) {
        const struct kept *kept = &disk.blocks[disk.next];

        if (!kept->data)
            continue;
        *block = (weir_block){.handle = disk.next++,
                              .first = kept->first,
                              .len = kept->size,
                              .messages = kept->messages};
        *consumed = kept->consumed;
        return 1;
    }
    return 0;
}

static int sync_disk(void *self, weir_error *error)
{
    (void)self, (void)error;
    if (atomic_load(&disk.sync_code))
        return -atomic_load(&disk.sync_code);
    atomic_fetch_add(&disk.syncs, 1);
    return 0;
}

/* What it does not tell is 0, as of one that knows no such member. */
static void stat_disk(void *self, weir_store_stat *stat)
{
    (void)self;
    *stat = (weir_store_stat){.size = stat->size};
    stat->failed = atomic_load(&disk.failed);
    stat->blocks = blocks_on_disk();
    stat->bytes = on_disk();
    if (stat->bytes < atomic_load(&disk.least))
        stat->bytes = atomic_load(&disk.least);
    if (atomic_load(&disk.tells)) {
        stat->room = atomic_load(&disk.room) - on_disk();
        stat->each = EACH;
    }
}

static void close_disk(void *self, int keep)
{
    (void)self;
    if (!keep)
        abort(); /* a durable queue is kept */
    atomic_store(&disk.open, 0);
}

static const weir_store_ops ops = {.size = sizeof(ops),
                                   .modes = 1 << WEIR_STORE_DURABLE,
                                   .open = open_disk,
                                   .write = write_disk,
                                   .read = read_disk,
                                   .done = done_disk,
                                   .recover = recover_disk,
                                   .sync = sync_disk,
                                   .stat = stat_disk,
                                   .close = close_disk};

static int wipe(void **state)
{
    (void)state;
    for (int i = 0; i < atomic_load(&disk.n); i++)
        free(disk.blocks[i].data);
    memset(&disk, 0, sizeof(disk));
    atomic_store(&disk.room, UINT64_MAX);
    return 0;
}

/* ---- a queue ---- */

struct fixture {
    struct weir_pool *pool;
    struct weir_queue *queue;
    struct weir_spill_plan plan;
    _Atomic bool told;
    uint32_t out, in; /* numbers of messages: put next, taken next */
    int troubles, comforts;
    uint64_t found;
};

static void tell(void *fixture)
{
    atomic_store(&((struct fixture *)fixture)->told, true);
}

static void start(struct fixture *fixture)
{
    const struct weir_queue_limits mark = {MARK, 0};

    fixture->pool = weir_pool_new(MB);
    assert_non_null(fixture->pool);
    fixture->queue = weir_queue_new(fixture->pool, mark, false);
    assert_non_null(fixture->queue);
}

static void join(struct fixture *fixture, bool opened)
{
    struct weir_spill *spill = weir_spill_new(&fixture->plan, NULL);

    assert_non_null(spill);
    if (opened)
        assert_int_equal(weir_spill_open(spill), 0);
    start(fixture);
    assert_int_equal(weir_spill_join(spill, fixture->queue, &fixture->plan), 0);
}

static void set_up(struct fixture *fixture, enum weir_spill_sync sync)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->plan = (struct weir_spill_plan){.store = &ops,
                                             .host = &weir_the_host,
                                             .dir = "/nowhere",
                                             .budget = 64 * MB,
                                             .name = "the-queue",
                                             .sync = sync,
                                             .every = INT64_C(5000000),
                                             .tell = tell,
                                             .arg = fixture};
    join(fixture, true);
}

static void part(struct fixture *fixture);

static void set_up_small(struct fixture *fixture, uint64_t budget)
{
    set_up(fixture, WEIR_SPILL_SYNC_OS);
    part(fixture);
    fixture->plan.budget = budget;
    join(fixture, true);
}

/* The queue goes, and what is in it stays in the store. */
static void part(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    weir_spill_silence(fixture->queue->spill);
    weir_queue_leave(fixture->queue);
    weir_pool_close(fixture->pool);
    weir_queue_leave(fixture->queue);
    while (atomic_load(&disk.open)) {
        assert_true(weir_now() < end);
        pause_a_bit();
    }
}

static void hear(struct fixture *fixture)
{
    struct weir_spill_report report;

    if (!atomic_exchange(&fixture->told, false))
        return;
    (void)weir_spill_news(fixture->queue);
    while (weir_spill_report(fixture->queue->spill, &report)) {
        fixture->troubles += report.kind == WEIR_SPILL_FAILED;
        fixture->comforts += report.kind == WEIR_SPILL_RESUMED;
        if (report.kind == WEIR_SPILL_FOUND)
            fixture->found = report.value;
        assert_non_null(strstr(report.reason, "/nowhere"));
    }
}

/* A message of a short frame and one that is filled with its number. */
static int try_put(struct fixture *fixture)
{
    weir_message message;
    weir_frame frame;
    int r;

    weir_message_init(&message);
    assert_int_equal(weir_frame_alloc(&frame, sizeof(fixture->out)), 0);
    memcpy(weir_frame_data(&frame), &fixture->out, sizeof(fixture->out));
    assert_int_equal(weir_message_push(&message, &frame), 0);
    assert_int_equal(weir_frame_alloc(&frame, SIZE), 0);
    memset(weir_frame_data(&frame), (int)(fixture->out % 251), SIZE);
    assert_int_equal(weir_message_push(&message, &frame), 0);
    r = weir_queue_put_message(fixture->queue, &message);
    weir_message_fini(&message);
    fixture->out += r == 0;
    return r;
}

static void put(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    while (try_put(fixture) != 0) {
        assert_true(weir_now() < end);
        hear(fixture);
        pause_a_bit();
    }
}

static void put_many(struct fixture *fixture, int n)
{
    for (int i = 0; i < n; i++)
        put(fixture);
}

static bool try_take(struct fixture *fixture)
{
    weir_message message;
    const uint8_t *data;
    uint32_t number;

    weir_message_init(&message);
    if (weir_queue_take_message(fixture->queue, &message) < 0)
        return false;
    assert_int_equal(weir_message_count(&message), 2);
    memcpy(&number, weir_frame_data(weir_message_frame(&message, 0)),
           sizeof(number));
    assert_int_equal(number, fixture->in);
    data = weir_frame_data(weir_message_frame(&message, 1));
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(data[i], number % 251);
    weir_message_fini(&message);
    fixture->in++;
    return true;
}

static void take_many(struct fixture *fixture, int n)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    while (n > 0) {
        assert_true(weir_now() < end);
        hear(fixture);
        if (try_take(fixture))
            n--;
        else
            pause_a_bit();
    }
}

static void await(struct fixture *fixture, _Atomic int *word, int least)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    while (atomic_load(word) < least) {
        assert_true(weir_now() < end);
        hear(fixture);
        (void)weir_queue_ready(fixture->queue); /* says how far it is */
        pause_a_bit();
    }
}

/* Wait for what becomes of what was put last. */
static int outcome(struct fixture *fixture, struct weir_spill_waiter *waiter)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    int state;

    while (!weir_spill_is_over(waiter)) {
        assert_true(weir_now() < end);
        hear(fixture);
        pause_a_bit();
    }
    state = (int)waiter->state;
    weir_spill_stop_waiting(waiter);
    return state;
}

static int wait_here(struct fixture *fixture, bool synced)
{
    struct weir_spill_waiter waiter;

    weir_spill_await(fixture->queue, synced, &waiter);
    return outcome(fixture, &waiter);
}

/* All that was put waits, was taken or is lost. */
static void assert_accounts(struct fixture *fixture, uint64_t lost)
{
    uint64_t put, taken, octets, is;

    weir_queue_counts_lost(fixture->queue, &put, &taken, &octets, &is);
    assert_int_equal(is, lost);
    assert_int_equal(put + lost - taken, fixture->out - fixture->in);
    if (put == taken)
        assert_int_equal(octets, 0);
}

/* ---- the usual ---- */

static void hold_disk(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    atomic_store(&disk.held, true);
    put(fixture);
    while (!atomic_load(&disk.inside)) {
        assert_true(weir_now() < end);
        pause_a_bit();
    }
}

/* Nothing is shown before it is written, and what gathers meanwhile is written
 * at once. */
static void test_written_first(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    hold_disk(&fixture);
    put_many(&fixture, 30);
    weir_spill_await(fixture.queue, false, &waiter);
    hear(&fixture);
    assert_false(try_take(&fixture));
    assert_false(weir_spill_is_over(&waiter));
    atomic_store(&disk.held, false);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_KEPT);
    assert_int_equal(atomic_load(&disk.writes), 2);
    take_many(&fixture, 31);
    assert_int_equal(atomic_load(&disk.reads), 0);
    await(&fixture, &disk.dones, 2);
    assert_accounts(&fixture, 0);
    assert_int_equal(on_disk(), 0);
    part(&fixture);
}

/* Above the mark memory is bounded, and what is read back is in order. */
static void test_above_mark(void **state)
{
    struct weir_spill_use use = {0};
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put_many(&fixture, 5000);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    take_many(&fixture, 5000);
    weir_spill_add_use(fixture.queue, &use);
    assert_int_equal(use.swapped, 5000);
    assert_true(use.returned > 4000);
    assert_accounts(&fixture, 0);
    part(&fixture);
    assert_int_equal(on_disk(), 0);
}

/* Both ends at it. */
static void test_to_and_fro(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_ALWAYS);
    for (int i = 0; i < 200; i++) {
        put_many(&fixture, 1 + i % 40);
        take_many(&fixture, (int)(fixture.out - fixture.in) / 2);
    }
    take_many(&fixture, (int)(fixture.out - fixture.in));
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* ---- when it is on the disk ---- */

static void test_always(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_ALWAYS);
    for (int i = 1; i <= 10; i++) {
        put(&fixture);
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
        assert_true(atomic_load(&disk.syncs) >= i);
    }
    atomic_store(&disk.sync_code, ENOSPC);
    put(&fixture);
    take_many(&fixture, 10);
    for (int i = 0; i < 20; i++) {
        hear(&fixture);
        assert_false(try_take(&fixture)); /* written, and not synced */
        pause_a_bit();
    }
    atomic_store(&disk.sync_code, 0);
    take_many(&fixture, 1);
    assert_true(fixture.troubles > 0);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

static void test_interval(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_INTERVAL);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    await(&fixture, &disk.syncs, 1);
    put(&fixture);
    await(&fixture, &disk.syncs, 2);
    part(&fixture);
}

/* Nobody syncs but who asks for it. */
static void test_os(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put_many(&fixture, 100);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    assert_int_equal(atomic_load(&disk.syncs), 0);
    put_many(&fixture, 10);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    assert_int_equal(atomic_load(&disk.syncs), 1);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    assert_int_equal(atomic_load(&disk.syncs), 1);
    part(&fixture);
    assert_int_equal(atomic_load(&disk.syncs), 1);
}

/* ---- again ---- */

/* What was not consumed comes again, and first; also when it was written by
 * a queue that went in the middle of a block. */
static void test_again(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    for (int round = 0; round < 4; round++) {
        put_many(&fixture, 500);
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
        take_many(&fixture, 133 + 77 * round);
        assert_int_equal(weir_spill_stays(fixture.queue),
                         fixture.out - fixture.in);
        part(&fixture);
        join(&fixture, round % 2 == 0);
        put(&fixture); /* once it is open */
        hear(&fixture);
        assert_accounts(&fixture, 0);
        assert_int_equal(fixture.found, fixture.out - fixture.in - 1);
    }
    take_many(&fixture, (int)(fixture.out - fixture.in));
    assert_accounts(&fixture, 0);
    part(&fixture);
    assert_int_equal(on_disk(), 0);
}

/* A queue whose last words were never written. */
static void test_unwritten(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put_many(&fixture, 10);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    hold_disk(&fixture);
    put_many(&fixture, 5);
    weir_spill_await(fixture.queue, false, &waiter);
    assert_int_equal(weir_spill_stays(fixture.queue), 10);
    weir_spill_silence(fixture.queue->spill);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_GONE);
    weir_queue_leave(fixture.queue);
    weir_pool_close(fixture.pool);
    weir_queue_leave(fixture.queue);
    atomic_store(&disk.held, false);
    join(&fixture, true); /* which waits for the store to be closed */
    fixture.out = 10;
    put(&fixture);
    take_many(&fixture, 11);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

static void test_damaged(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    for (int i = 0; i < 3; i++) {
        put(&fixture);
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    }
    part(&fixture);
    disk.blocks[1].data[1] = 250; /* the size of a frame */
    join(&fixture, true);
    take_many(&fixture, 1);
    fixture.in = 2;
    take_many(&fixture, 1);
    fixture.in = 2; /* 3 found: 2 taken, 1 lost */
    assert_accounts(&fixture, 1);
    assert_int_equal(fixture.troubles, 1);
    part(&fixture);
}

/* A store that says that all of a block is consumed, and has it still. */
static void test_consumed(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    for (int i = 0; i < 2; i++) {
        put(&fixture);
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    }
    part(&fixture);
    disk.blocks[0].consumed = 1;
    join(&fixture, true);
    fixture.in = 1;
    take_many(&fixture, 1);
    assert_int_equal(fixture.troubles, 1);
    assert_accounts(&fixture, 0);
    part(&fixture);
    assert_int_equal(on_disk(), 0);
}

/* A child has nobody who would close what its parent is closing. */
static void test_fork(void **state)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;
    int status;
    pid_t child;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    hold_disk(&fixture);
    weir_spill_silence(fixture.queue->spill);
    weir_queue_leave(fixture.queue);
    weir_pool_close(fixture.pool);
    weir_queue_leave(fixture.queue);
    child = fork();
    if (child == 0) {
        weir_spill_await_left(end);
        _exit(weir_now() < end ? 0 : 1);
    }
    atomic_store(&disk.held, false);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    weir_spill_await_left(end);
    assert_int_equal(atomic_load(&disk.open), 0);
}

/* ---- trouble ---- */

static void test_busy(void **state)
{
    struct fixture fixture;
    struct weir_spill *other;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    other = weir_spill_new(&fixture.plan, NULL);
    assert_non_null(other);
    assert_int_equal(weir_spill_open(other), -EBUSY);
    weir_spill_leave(other);
    part(&fixture);
}

/* A full disk: who waits has his message back, and then it goes on. */
static void test_full(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put_many(&fixture, 3);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    atomic_store(&disk.write_code, ENOSPC);
    put(&fixture);
    weir_spill_await(fixture.queue, false, &waiter);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_BROKEN);
    assert_int_equal(waiter.code, ENOSPC);
    assert_int_equal(weir_spill_trouble(fixture.queue->spill, true), -ENOSPC);
    assert_int_equal(weir_spill_trouble(fixture.queue->spill, false), 0);
    fixture.out--;
    assert_accounts(&fixture, 0);
    assert_int_equal(fixture.troubles, 1);
    atomic_store(&disk.write_code, 0);
    put_many(&fixture, 20);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    hear(&fixture);
    assert_int_equal(fixture.comforts, 1);
    take_many(&fixture, 23);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* Who does not wait is not told: so nothing of his is dropped. */
static void test_full_unseen(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    hold_disk(&fixture);
    put_many(&fixture, 50);
    weir_spill_await(fixture.queue, false, &waiter);
    atomic_store(&disk.write_code, ENOSPC);
    atomic_store(&disk.held, false);
    await(&fixture, &disk.writes, 2); /* tried again */
    assert_false(weir_spill_is_over(&waiter));
    assert_false(try_take(&fixture));
    atomic_store(&disk.write_code, 0);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_KEPT);
    take_many(&fixture, 51);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* What the budget has no room for waits for what is consumed. */
static void test_used_up(void **state)
{
    enum { FIT = 64 };
    struct weir_spill_waiter waiter;
    struct fixture fixture;
    int state_of = WEIR_SPILL_KEPT;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    part(&fixture);
    fixture.plan.budget = (uint64_t)FIT * SIZE;
    atomic_store(&disk.room, fixture.plan.budget - 2000); /* its overhead */
    join(&fixture, true);
    while (state_of == WEIR_SPILL_KEPT) {
        put(&fixture);
        state_of = wait_here(&fixture, false);
    }
    assert_int_equal(state_of, WEIR_SPILL_FULL);
    fixture.out--;
    assert_int_equal(fixture.troubles, 0);
    while (try_put(&fixture) == 0) { /* it is tried again now and then */
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_FULL);
        fixture.out--;
    }
    take_many(&fixture, (int)fixture.out / 2);
    put(&fixture);
    weir_spill_await(fixture.queue, false, &waiter);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_KEPT);
    take_many(&fixture, (int)(fixture.out - fixture.in));
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* What the store has no room for is not put, though the disk does not answer:
 * so none has to be taken back. */
static void test_room_told(void **state)
{
    struct fixture fixture;

    (void)state;
    atomic_store(&disk.tells, true);
    set_up_small(&fixture, 64 * SIZE);
    part(&fixture);
    atomic_store(&disk.room, 30 * SIZE);
    join(&fixture, true);
    hold_disk(&fixture);
    while (try_put(&fixture) == 0)
        assert_true(fixture.out < 64);
    assert_in_range(fixture.out, 20, 29);
    assert_int_equal(try_put(&fixture), -EAGAIN);
    atomic_store(&disk.held, false);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    assert_int_equal(atomic_load(&disk.writes), atomic_load(&disk.n));
    while (try_put(&fixture) == 0)
        assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    take_many(&fixture, (int)(fixture.out - fixture.in));
    put_many(&fixture, 5);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    take_many(&fixture, 5);
    assert_int_equal(atomic_load(&disk.writes), atomic_load(&disk.n));
    assert_int_equal(fixture.troubles, 0);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* What is found hides how much an empty store has room for; it shows when that
 * is taken. */
static void test_most(void **state)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;

    (void)state;
    atomic_store(&disk.tells, true);
    set_up_small(&fixture, 64 * SIZE);
    put_many(&fixture, 3);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    part(&fixture);
    atomic_store(&disk.room, 30 * SIZE);
    join(&fixture, true);
    assert_int_equal(weir_spill_most(fixture.queue->spill), 64 * SIZE);
    take_many(&fixture, 3);
    while (weir_spill_most(fixture.queue->spill) != 30 * SIZE) {
        assert_true(weir_now() < end);
        (void)weir_queue_ready(fixture.queue); /* says how far it is */
        pause_a_bit();
    }
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* 30 messages were written and are taken, and one is on its way to a store that
 * has no room for it. */
static void fill_and_take(struct fixture *fixture)
{
    set_up_small(fixture, 40 * SIZE);
    for (int i = 0; i < 30; i++) {
        put(fixture);
        assert_int_equal(wait_here(fixture, false), WEIR_SPILL_KEPT);
    }
    hold_disk(fixture);
    atomic_store(&disk.room, on_disk() + SIZE / 2);
    take_many(fixture, 30);
}

/* The write fails, and all else is forgotten, before the producer hears of
 * either. */
static void fail_and_forget(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    atomic_store(&disk.held, false);
    while (atomic_load(&disk.dones) < 30) {
        assert_true(weir_now() < end);
        (void)weir_queue_ready(fixture->queue);
        pause_a_bit();
    }
}

/* What was consumed meanwhile has made room: who waits tries again. */
static void test_room_meanwhile(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    fill_and_take(&fixture);
    weir_spill_await(fixture.queue, false, &waiter);
    fail_and_forget(&fixture);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_FULL);
    fixture.out--;
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    take_many(&fixture, 1);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* And what nobody waits for is not lost. */
static void test_room_unseen(void **state)
{
    struct fixture fixture;

    (void)state;
    fill_and_take(&fixture);
    fail_and_forget(&fixture);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    take_many(&fixture, 1);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* A store that says that it uses as much as before has room when nothing is in
 * it. */
static void test_room_untold(void **state)
{
    struct fixture fixture;

    (void)state;
    atomic_store(&disk.least, 40 * SIZE);
    fill_and_take(&fixture);
    fail_and_forget(&fixture);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    take_many(&fixture, 1);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* A disk that was full when the budget was nearly used up has room again. */
static void test_room_beside(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up_small(&fixture, 40 * SIZE);
    put_many(&fixture, 30);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    atomic_store(&disk.room, on_disk());
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_FULL);
    fixture.out--;
    atomic_store(&disk.room, UINT64_MAX);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    take_many(&fixture, 31);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* What can never be in the store is lost, and nothing else; and a sync says
 * so, once. */
static void test_too_long(void **state)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up_small(&fixture, 16 * SIZE);
    hold_disk(&fixture);
    put_many(&fixture, 5);
    weir_spill_await(fixture.queue, false, &waiter);
    hear(&fixture);
    atomic_store(&disk.room, SIZE / 2);
    atomic_store(&disk.held, false);
    while (!atomic_load(&fixture.told)) {
        assert_true(weir_now() < end);
        pause_a_bit();
    }
    atomic_store(&disk.room, UINT64_MAX);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_KEPT);
    weir_spill_await(fixture.queue, true, &waiter);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_BROKEN);
    assert_int_equal(waiter.code, ENOSPC);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    fixture.in = 1;
    take_many(&fixture, 5);
    fixture.in--;
    assert_accounts(&fixture, 1);
    part(&fixture);
}

/* However small the budget is, what has gathered fits into it. */
static void test_small(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up_small(&fixture, 16 * SIZE);
    atomic_store(&disk.room, 5 * SIZE);
    hold_disk(&fixture);
    put_many(&fixture, 12);
    atomic_store(&disk.held, false);
    take_many(&fixture, 13);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* A sync does not speak for a store that takes nothing any more. */
static void test_sync_broken(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_KEPT);
    atomic_store(&disk.write_code, EIO);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_BROKEN);
    fixture.out--;
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_BROKEN);
    take_many(&fixture, 1);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* A disk that cannot be relied on: what was written before is read. */
static void test_broken(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_OS);
    put_many(&fixture, 700);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    hold_disk(&fixture);
    put_many(&fixture, 7);
    weir_spill_await(fixture.queue, false, &waiter);
    atomic_store(&disk.write_code, EIO);
    atomic_store(&disk.held, false);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_BROKEN);
    assert_int_equal(waiter.code, EIO);
    fixture.out--; /* the last one is its sender's again */
    assert_int_equal(try_put(&fixture), -EAGAIN);
    assert_int_equal(weir_spill_trouble(fixture.queue->spill, false), -EIO);
    assert_int_equal(wait_here(&fixture, true), WEIR_SPILL_BROKEN);
    take_many(&fixture, 700);
    assert_accounts(&fixture, 7);
    part(&fixture);
}

/* What was written and cannot be synced is taken back as well. */
static void test_broken_sync(void **state)
{
    struct weir_spill_waiter waiter;
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_ALWAYS);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_KEPT);
    atomic_store(&disk.sync_code, EIO);
    put(&fixture);
    weir_spill_await(fixture.queue, false, &waiter);
    assert_int_equal(outcome(&fixture, &waiter), WEIR_SPILL_BROKEN);
    assert_int_equal(waiter.code, EIO);
    fixture.out--;
    take_many(&fixture, 1);
    await(&fixture, &disk.dones, 2);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

/* A sync that the store does not get over is not tried again, whatever its
 * errno is: the next one might say that all is well. */
static void test_sync_final(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, WEIR_SPILL_SYNC_ALWAYS);
    atomic_store(&disk.failed, ENOSPC);
    atomic_store(&disk.sync_code, ENOSPC);
    put(&fixture);
    assert_int_equal(wait_here(&fixture, false), WEIR_SPILL_BROKEN);
    fixture.out--;
    atomic_store(&disk.sync_code, 0);
    assert_int_equal(try_put(&fixture), -EAGAIN);
    assert_int_equal(weir_spill_trouble(fixture.queue->spill, false), -ENOSPC);
    assert_accounts(&fixture, 0);
    part(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_written_first, wipe),
        cmocka_unit_test_setup(test_above_mark, wipe),
        cmocka_unit_test_setup(test_to_and_fro, wipe),
        cmocka_unit_test_setup(test_always, wipe),
        cmocka_unit_test_setup(test_interval, wipe),
        cmocka_unit_test_setup(test_os, wipe),
        cmocka_unit_test_setup(test_again, wipe),
        cmocka_unit_test_setup(test_unwritten, wipe),
        cmocka_unit_test_setup(test_damaged, wipe),
        cmocka_unit_test_setup(test_consumed, wipe),
        cmocka_unit_test_setup(test_fork, wipe),
        cmocka_unit_test_setup(test_busy, wipe),
        cmocka_unit_test_setup(test_full, wipe),
        cmocka_unit_test_setup(test_full_unseen, wipe),
        cmocka_unit_test_setup(test_used_up, wipe),
        cmocka_unit_test_setup(test_room_told, wipe),
        cmocka_unit_test_setup(test_most, wipe),
        cmocka_unit_test_setup(test_room_meanwhile, wipe),
        cmocka_unit_test_setup(test_room_unseen, wipe),
        cmocka_unit_test_setup(test_room_untold, wipe),
        cmocka_unit_test_setup(test_room_beside, wipe),
        cmocka_unit_test_setup(test_too_long, wipe),
        cmocka_unit_test_setup(test_small, wipe),
        cmocka_unit_test_setup(test_sync_broken, wipe),
        cmocka_unit_test_setup(test_broken, wipe),
        cmocka_unit_test_setup(test_broken_sync, wipe),
        cmocka_unit_test_setup(test_sync_final, wipe),
    };

    return cmocka_run_group_tests(tests, NULL, wipe);
}
