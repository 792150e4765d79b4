/*
 * The spill of a queue, with a store in memory that fails when it is told to:
 * what is hidden comes back in order and whole, or is counted; and nothing is
 * left when the queue goes.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "endpoint.h"
#include "message.h"
#include "queue.h"
#include "spill.h"
#include "traffic.h"

#define MB ((uint64_t)1 << 20)

enum { BLOCKS = 65536, SOON_S = 20, NEVER = 1 << 30 };

/* ---- a store ---- */

struct kept {
    uint8_t *data;
    size_t size;
};

/* All stores that are open, which is one at most. */
static struct {
    struct kept blocks[BLOCKS];
    _Atomic int n, open, writes, reads, bad_write, bad_read, bad_open;
    _Atomic int write_code, read_code;
    _Atomic int slow;    /* us */
    _Atomic int may;     /* writes that do not have to wait for more */
    _Atomic int damaged; /* the block that comes back with another octet */
    _Atomic uint64_t bytes, room, overhead;
    _Atomic uint64_t largest; /* of what was ever written */
    _Atomic bool busy;
} disk;

/* No thread can be started. */
static _Atomic bool no_threads;

int __real_weir_thread_start(pthread_t *thread, void *(*run)(void *), void *arg,
                             const char *name, const char *cpus);
int __wrap_weir_thread_start(pthread_t *thread, void *(*run)(void *), void *arg,
                             const char *name, const char *cpus);

int __wrap_weir_thread_start(pthread_t *thread, void *(*run)(void *), void *arg,
                             const char *name, const char *cpus)
{
    if (atomic_load(&no_threads))
        return -ENOMEM;
    return __real_weir_thread_start(thread, run, arg, name, cpus);
}

static _Atomic int woken; /* helpers that rested */

void __real_weir_disks_wake(struct weir_helper *helper);
void __wrap_weir_disks_wake(struct weir_helper *helper);

void __wrap_weir_disks_wake(struct weir_helper *helper)
{
    if (helper)
        atomic_fetch_add(&woken, 1);
    __real_weir_disks_wake(helper);
}

/* 0: time goes on. */
static _Atomic int64_t frozen;

int64_t __real_weir_now(void);
int64_t __wrap_weir_now(void);

int64_t __wrap_weir_now(void)
{
    int64_t now = atomic_load(&frozen);

    return now ? now : __real_weir_now();
}

static void pause_a_bit(void)
{
    const struct timespec pause = {.tv_nsec = 100000};

    nanosleep(&pause, NULL);
}

static void enter(void)
{
    const struct timespec pause = {.tv_nsec = atomic_load(&disk.slow) * 1000L};

    if (atomic_exchange(&disk.busy, true))
        abort(); /* two at a time */
    if (pause.tv_nsec)
        nanosleep(&pause, NULL);
}

static void leave(void)
{
    atomic_store(&disk.busy, false);
}

static int open_disk(const weir_host *host, const weir_store_args *args,
                     void **self, weir_error *error)
{
    (void)host, (void)args, (void)error;
    if (atomic_fetch_sub(&disk.bad_open, 1) > 0)
        return -EACCES;
    atomic_fetch_add(&disk.open, 1);
    *self = &disk;
    return 0;
}

static int64_t write_disk(void *self, const struct iovec *parts, int n,
                          uint32_t messages, uint64_t first, weir_error *error)
{
    int which = atomic_fetch_add(&disk.writes, 1);
    struct kept *kept = &disk.blocks[atomic_load(&disk.n)];

    (void)self, (void)messages, (void)first, (void)error;
    if (which == atomic_load(&disk.bad_write))
        return -atomic_load(&disk.write_code);
    while (atomic_load(&disk.may) <= 0)
        pause_a_bit();
    atomic_fetch_sub(&disk.may, 1);
    enter();
    kept->size = 0;
    for (int i = 0; i < n; i++)
        kept->size += parts[i].iov_len;
    if (kept->size > atomic_load(&disk.largest))
        atomic_store(&disk.largest, kept->size);
    if (atomic_load(&disk.bytes) + kept->size + atomic_load(&disk.overhead) >
        atomic_load(&disk.room)) {
        leave();
        return -ENOSPC;
    }
    atomic_fetch_add(&disk.bytes, kept->size);
    kept->data = malloc(kept->size);
    for (size_t i = 0, at = 0; i < (size_t)n; at += parts[i++].iov_len)
        memcpy(kept->data + at, parts[i].iov_base, parts[i].iov_len);
    leave();
    return atomic_fetch_add(&disk.n, 1);
}

static ssize_t read_disk(void *self, int64_t handle, void *data, size_t room,
                         weir_error *error)
{
    struct kept *kept = &disk.blocks[handle];

    (void)self, (void)error;
    if (atomic_fetch_add(&disk.reads, 1) == atomic_load(&disk.bad_read))
        return -atomic_load(&disk.read_code);
    enter();
    if (room >= kept->size)
        memcpy(data, kept->data, kept->size);
    if (handle == atomic_load(&disk.damaged))
        ((uint8_t *)data)[kept->size / 2] ^= 1;
    leave();
    return room < kept->size ? -ERANGE : (ssize_t)kept->size;
}

static int done_disk(void *self, int64_t handle, uint64_t through,
                     weir_error *error)
{
    (void)self, (void)through, (void)error;
    if (disk.blocks[handle].data)
        atomic_fetch_sub(&disk.bytes, disk.blocks[handle].size);
    free(disk.blocks[handle].data);
    disk.blocks[handle].data = NULL;
    return 0;
}

static void stat_disk(void *self, weir_store_stat *stat)
{
    (void)self;
    stat->bytes = atomic_load(&disk.bytes) + atomic_load(&disk.overhead);
}

static void close_disk(void *self, int keep)
{
    (void)self, (void)keep;
    for (int i = 0; i < atomic_load(&disk.n); i++)
        free(disk.blocks[i].data);
    memset(disk.blocks, 0, sizeof(disk.blocks));
    atomic_store(&disk.n, 0);
    atomic_store(&disk.bytes, 0);
    atomic_fetch_sub(&disk.open, 1);
}

static const weir_store_ops ops = {.size = sizeof(ops),
                                   .modes = 1 << WEIR_STORE_SPILL,
                                   .open = open_disk,
                                   .write = write_disk,
                                   .read = read_disk,
                                   .done = done_disk,
                                   .stat = stat_disk,
                                   .close = close_disk};

/* ---- a queue ---- */

struct fixture {
    struct weir_pool *pool;
    struct weir_queue *queue;
    struct traffic traffic;
    const struct traffic_shape *shape; /* of all messages; NULL: of all sizes */
    _Atomic bool told;
    uint64_t put, got;
    int troubles, comforts, code;
};

static void tell(void *fixture)
{
    atomic_store(&((struct fixture *)fixture)->told, true);
}

static void set_up_in(struct fixture *fixture, const char *dir, uint64_t budget)
{
    const struct weir_queue_limits mark = {100, 0};
    struct weir_spill_plan plan = {.store = &ops,
                                   .host = &weir_the_host,
                                   .dir = dir,
                                   .budget = budget,
                                   .tell = tell,
                                   .arg = fixture};

    memset(fixture, 0, sizeof(*fixture));
    atomic_store(&frozen, 0);
    fixture->traffic.seed = 4711;
    atomic_store(&disk.n, 0);
    atomic_store(&disk.writes, 0);
    atomic_store(&disk.reads, 0);
    atomic_store(&disk.bad_open, 0);
    atomic_store(&disk.bad_write, NEVER);
    atomic_store(&disk.bad_read, NEVER);
    atomic_store(&disk.slow, 0);
    atomic_store(&disk.may, NEVER);
    atomic_store(&disk.damaged, -1);
    atomic_store(&disk.room, UINT64_MAX);
    atomic_store(&disk.overhead, 0);
    atomic_store(&disk.largest, 0);
    fixture->pool = weir_pool_new(MB);
    assert_non_null(fixture->pool);
    fixture->queue = weir_queue_new(fixture->pool, mark, false);
    assert_non_null(fixture->queue);
    weir_queue_set_spill(fixture->queue, weir_spill_new(&plan, fixture->queue));
    assert_non_null(fixture->queue->spill);
}

static void set_up(struct fixture *fixture, uint64_t budget)
{
    set_up_in(fixture, "/nowhere", budget);
}

/* Of what happens while time stands still. */
static int64_t real_deadline(void)
{
    return __real_weir_now() + SOON_S * INT64_C(1000000000);
}

static void await(_Atomic int *word, int value)
{
    int64_t end = real_deadline();

    while (atomic_load(word) != value) {
        assert_true(__real_weir_now() < end);
        pause_a_bit();
    }
}

static void tear_down(struct fixture *fixture)
{
    weir_queue_leave(fixture->queue);
    weir_pool_close(fixture->pool);
    weir_queue_leave(fixture->queue);
    await(&disk.open, 0);
}

/* The producer's part of it. */
static void hear(struct fixture *fixture)
{
    struct weir_spill_report report;

    if (!atomic_exchange(&fixture->told, false))
        return;
    (void)weir_spill_news(fixture->queue);
    while (weir_spill_report(fixture->queue->spill, &report)) {
        fixture->troubles += report.kind == WEIR_SPILL_FAILED;
        fixture->comforts += report.kind == WEIR_SPILL_RESUMED;
        if (report.kind == WEIR_SPILL_FAILED)
            fixture->code = report.code;
        assert_non_null(strstr(report.reason, "/nowhere"));
    }
}

static uint64_t lost_of(struct fixture *fixture)
{
    uint64_t put, taken, octets, lost;

    weir_queue_counts_lost(fixture->queue, &put, &taken, &octets, &lost);
    assert_int_equal(put + lost, fixture->put);
    return lost;
}

static struct traffic_shape shape_of(const struct fixture *fixture,
                                     uint64_t number)
{
    return fixture->shape ? *fixture->shape
                          : traffic_shape(&fixture->traffic, number);
}

/* The message of that number. */
static void make(struct fixture *fixture, uint64_t number,
                 weir_message *message)
{
    struct traffic_shape shape = shape_of(fixture, number);
    weir_frame frame;

    weir_message_init(message);
    for (int i = 0; i < shape.frames; i++) {
        assert_int_equal(weir_frame_alloc(&frame, shape.size[i]), 0);
        traffic_fill(&fixture->traffic, number, i, weir_frame_data(&frame),
                     shape.size[i]);
        assert_int_equal(weir_message_push(message, &frame), 0);
    }
}

static int try_put(struct fixture *fixture)
{
    weir_message message;
    int r;

    make(fixture, fixture->put, &message);
    r = weir_queue_put_message(fixture->queue, &message);
    weir_message_fini(&message);
    fixture->put += r == 0;
    return r;
}

/* Put a message, however long that takes. */
static void put(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    int r;

    while ((r = try_put(fixture)) == -EAGAIN) {
        hear(fixture);
        pause_a_bit();
        assert_true(weir_now() < end);
    }
    assert_int_equal(r, 0);
}

static void put_many(struct fixture *fixture, int n)
{
    for (int i = 0; i < n; i++)
        put(fixture);
}

static void check(struct fixture *fixture, weir_message *message,
                  uint64_t number)
{
    for (uint32_t i = 0; i < weir_message_count(message); i++) {
        weir_frame *frame = weir_message_frame(message, i);

        assert_true(traffic_check(&fixture->traffic, number, (int)i,
                                  weir_frame_data(frame),
                                  weir_frame_size(frame)));
    }
}

/* Returns whether there was one.  Its number is the next, or with `gaps` one
 * behind that. */
static bool take(struct fixture *fixture, bool gaps)
{
    weir_message message;
    weir_frame *first;
    uint64_t number;

    weir_message_init(&message);
    if (weir_queue_take_message(fixture->queue, &message) < 0)
        return false;
    first = weir_message_frame(&message, 0);
    number = traffic_number(weir_frame_data(first), weir_frame_size(first));
    if (gaps)
        assert_true(number >= fixture->got && number < fixture->put);
    else
        assert_int_equal(number, fixture->got);
    check(fixture, &message, number);
    fixture->got = number + 1;
    weir_message_fini(&message);
    return true;
}

/* Take all that there is, while the helper brings it. */
static void take_all(struct fixture *fixture, uint64_t end)
{
    int64_t deadline = weir_deadline_in(SOON_S * 1000);

    while (fixture->got < end) {
        hear(fixture);
        if (!take(fixture, false)) {
            assert_true(weir_now() < deadline);
            pause_a_bit();
        }
    }
}

static void assert_accounts(struct fixture *fixture, uint64_t lost)
{
    uint64_t put, taken, octets;

    hear(fixture);
    weir_queue_counts(fixture->queue, &put, &taken, &octets);
    assert_int_equal(put + lost, fixture->put);
    assert_int_equal(taken, put);
    assert_int_equal(octets, 0);
    assert_int_equal(lost_of(fixture), lost);
    assert_false(weir_queue_holds(fixture->queue));
}

/* ---- the tests ---- */

static void test_order(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    put_many(&fixture, 20000);
    assert_true(weir_spill_hides(fixture.queue->spill));
    assert_true(weir_queue_holds(fixture.queue));
    take_all(&fixture, 20000);
    assert_accounts(&fixture, 0);
    assert_true(atomic_load(&disk.writes) > 0);
    put_many(&fixture, 100);
    take_all(&fixture, 20100);
    tear_down(&fixture);
}

/* The queue fills and empties again and again. */
static void test_again_and_again(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    for (int i = 0; i < 30; i++) {
        put_many(&fixture, 100 * i);
        take_all(&fixture, fixture.got + 90 * (uint64_t)i);
    }
    take_all(&fixture, fixture.put);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* A helper that rests is woken for what is put: without that it would come all
 * the same, but only when it has rested for seconds. */
static void test_woken(void **state)
{
    int64_t deadline = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    atomic_store(&woken, 0);
    while (atomic_load(&woken) == 0) {
        assert_true(weir_now() < deadline);
        put_many(&fixture, 2000);
        take_all(&fixture, fixture.put);
        pause_a_bit();
    }
    tear_down(&fixture);
}

/* Frames of up to 1 MB, most of them larger than a block. */
static void test_large(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    fixture.traffic.large = true;
    put_many(&fixture, 1500);
    take_all(&fixture, 1500);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

static void test_budget(void **state)
{
    struct fixture fixture;
    int64_t end = weir_deadline_in(SOON_S * 1000);
    uint64_t put, taken, octets, full;

    (void)state;
    set_up(&fixture, 4 * MB);
    do {
        if (try_put(&fixture) == -EAGAIN)
            pause_a_bit();
        hear(&fixture);
        weir_queue_counts(fixture.queue, &put, &taken, &octets);
        assert_true(octets < 6 * MB);
        full = fixture.put;
    } while (octets < 4 * MB - 65536 && weir_now() < end);
    assert_true(octets >= 4 * MB - 65536);
    take_all(&fixture, full);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* ---- how it is cut ---- */

/* Those that fill chunks so that most of them begin in a message, and those
 * that are longer than a block, or whose frames have chunks of their own. */
static const struct traffic_shape shapes[] = {
    {.frames = 1, .size = {200}},
    {.frames = 2, .size = {20, 1000}},
    {.frames = 2, .size = {20, 15000}},
    {.frames = 5, .size = {9, 0, 200, 5000, 14000}},
    {.frames = 2, .size = {20, 20000}},
    {.frames = 2, .size = {20000, 20}},
    {.frames = 1, .size = {40000}},
    {.frames = 3, .size = {20, 200000, 15000}},
};

enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]), SWAP_BLOCK = 64 << 10 };

static uint64_t octets_of(const struct traffic_shape *shape)
{
    uint64_t octets = 0;

    for (int i = 0; i < shape->frames; i++)
        octets += weir_queue_octets(shape->size[i]);
    return octets;
}

/* The mark, and 8 MB above it. */
static int some_messages(const struct traffic_shape *shape)
{
    return 100 + (int)(8 * MB / octets_of(shape));
}

static struct weir_spill_use use_of(struct fixture *fixture)
{
    struct weir_spill_use use = {0};

    weir_spill_add_use(fixture->queue, &use);
    return use;
}

/* Wait until all is written but what is too short for a block. */
static struct weir_spill_use await_written(struct fixture *fixture)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct weir_spill_use use = use_of(fixture);

    while (use.in_memory > 0 || use.hidden - use.kept_bytes >= SWAP_BLOCK) {
        assert_true(weir_now() < end);
        pause_a_bit();
        hear(fixture);
        use = use_of(fixture);
    }
    return use;
}

/* Others have used up what all spills have together. */
static void check_shape(const struct traffic_shape *shape)
{
    uint64_t octets = octets_of(shape);
    uint64_t longest = octets > 3 * SWAP_BLOCK ? octets : 3 * SWAP_BLOCK;
    struct weir_spill_use use;
    struct fixture fixture;

    set_up(&fixture, 1024 * MB);
    fixture.shape = shape;
    atomic_fetch_add(&weir_disks_memory, 32 * MB);
    for (int i = some_messages(shape); i > 0; i--) {
        put(&fixture);
        use = use_of(&fixture);
        assert_true(use.hidden - use.kept_bytes <= 3 * SWAP_BLOCK + octets);
    }
    use = await_written(&fixture);
    assert_true(use.swapped_bytes > 7 * MB);
    assert_true(atomic_load(&disk.largest) <= longest);
    assert_true(use.swapped_bytes / (uint64_t)atomic_load(&disk.writes) >=
                SWAP_BLOCK / 2);
    take_all(&fixture, fixture.put);
    assert_accounts(&fixture, 0);
    atomic_fetch_sub(&weir_disks_memory, 32 * MB);
    tear_down(&fixture);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++)
        check_shape(&shapes[i]);
}

/* A message that was told that it may come may come, whatever others have done
 * meanwhile; the next has to ask. */
static void test_promise(void **state)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    fixture.shape = &shapes[2];
    atomic_store(&disk.room, 0);
    atomic_store(&disk.slow, 500000); /* who puts is not to meet a full disk */
    put_many(&fixture, 130);
    atomic_store(&disk.slow, 0);
    assert_true(use_of(&fixture).in_memory > 3 * SWAP_BLOCK);
    do {
        assert_true(weir_now() < end);
        atomic_store(&fixture.queue->spill->full, false); /* for a moment */
    } while (!weir_queue_room(fixture.queue, octets_of(fixture.shape)));
    atomic_store(&fixture.queue->spill->full, true);
    atomic_fetch_add(&weir_disks_memory, 32 * MB);
    assert_int_equal(try_put(&fixture), 0);
    assert_int_equal(try_put(&fixture), -EAGAIN);
    atomic_fetch_sub(&weir_disks_memory, 32 * MB);
    take_all(&fixture, fixture.put);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* Put what the disk, which stands still, leaves memory for. */
static void fill_memory(struct fixture *fixture, bool waits)
{
    set_up(fixture, 1024 * MB);
    fixture->shape = &shapes[2];
    weir_spill_set_waits(fixture->queue, waits);
    atomic_store(&disk.may, 0);
    while (try_put(fixture) == 0)
        ;
    assert_int_equal(try_put(fixture), -EAGAIN);
}

/* One block: it is written, and told of if it is. */
static void let_write(struct fixture *fixture)
{
    uint64_t swapped = use_of(fixture).swapped;
    int64_t end = real_deadline();

    atomic_store(&disk.may, 1);
    while (use_of(fixture).swapped == swapped) {
        assert_true(__real_weir_now() < end);
        pause_a_bit();
    }
}

static void finish(struct fixture *fixture)
{
    atomic_store(&disk.may, NEVER);
    take_all(fixture, fixture->put);
    assert_accounts(fixture, 0);
    tear_down(fixture);
}

/* Who drops what there is no memory for has more of it than who waits. */
static void test_memory(void **state)
{
    struct fixture fixture;

    (void)state;
    fill_memory(&fixture, true);
    assert_in_range(use_of(&fixture).hidden, 7 * MB, 8 * MB);
    finish(&fixture);
    fill_memory(&fixture, false);
    assert_in_range(use_of(&fixture).hidden, 31 * MB, 32 * MB);
    finish(&fixture);
}

/* He fills it, and time stands still. */
static void wait_for_memory(struct fixture *fixture)
{
    fill_memory(fixture, true);
    atomic_store(&fixture->told, false);
    atomic_store(&frozen, atomic_load(&fixture->queue->spill->refused_at));
    assert_true(weir_queue_arm_writer(fixture->queue));
}

static bool was_told(struct fixture *fixture)
{
    return atomic_exchange(&fixture->told, false);
}

/* Who waits for memory is told once, and not for each block that is written:
 * when half of it is free. */
static void test_relief(void **state)
{
    struct fixture fixture;
    bool relieved = false;

    (void)state;
    wait_for_memory(&fixture);
    while (!relieved) {
        let_write(&fixture);
        relieved = use_of(&fixture).in_memory <= 4 * MB;
        assert_int_equal(was_told(&fixture), relieved);
        assert_int_equal(weir_spill_news(fixture.queue), relieved);
    }
    assert_false(weir_spill_news(fixture.queue));
    atomic_store(&frozen, 0);
    finish(&fixture);
}

/* Where the disk is slow he does not wait for that. */
static void test_slow_relief(void **state)
{
    struct fixture fixture;

    (void)state;
    wait_for_memory(&fixture);
    let_write(&fixture);
    assert_false(was_told(&fixture));
    assert_false(weir_spill_news(fixture.queue));
    atomic_fetch_add(&frozen, 4000000);
    let_write(&fixture);
    assert_true(was_told(&fixture));
    assert_true(weir_spill_news(fixture.queue));
    atomic_store(&frozen, 0);
    finish(&fixture);
}

/* A message that is begun and given up leaves no trace. */
static void test_abort(void **state)
{
    static const uint8_t data[30000];
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    put_many(&fixture, 200);
    assert_true(weir_spill_hides(fixture.queue->spill));
    for (int i = 0; i < 200; i++) {
        weir_queue_begin(fixture.queue);
        for (int frame = 0; frame < i % 7; frame++)
            assert_int_equal(weir_queue_frame(fixture.queue, data,
                                              frame % 2 ? 30000 : 3000,
                                              WEIR_FRAME_MORE),
                             0);
        weir_queue_abort(fixture.queue);
        put(&fixture);
    }
    take_all(&fixture, 400);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* Each write fails in turn, in each way. */
static void test_bad_writes(void **state)
{
    static const int codes[] = {ENOSPC, ENOMEM, EIO};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (int which = 0; which < 5; which++) {
            struct fixture fixture;

            set_up(&fixture, 1024 * MB);
            atomic_store(&disk.write_code, codes[i]);
            atomic_store(&disk.bad_write, which);
            for (int n = 0; n < 6000 && try_put(&fixture) == 0; n++)
                hear(&fixture);
            take_all(&fixture, fixture.put);
            assert_accounts(&fixture, 0);
            if (atomic_load(&disk.writes) > which) {
                assert_int_equal(fixture.troubles, 1);
                assert_int_equal(fixture.code, codes[i]);
            }
            put_many(&fixture, 100);
            take_all(&fixture, fixture.put);
            tear_down(&fixture);
        }
}

static void test_bad_open(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    atomic_store(&disk.bad_open, 1);
    put_many(&fixture, 20000);
    take_all(&fixture, 20000);
    assert_accounts(&fixture, 0);
    assert_int_equal(fixture.troubles, 1);
    assert_int_equal(fixture.code, EACCES);
    tear_down(&fixture);
}

/* A block that cannot be read is lost, all others come. */
static void test_bad_read(void **state)
{
    enum { N = 10000 };

    (void)state;
    for (int which = 0; which < 5; which++) {
        struct fixture fixture;
        uint64_t n = 0;

        set_up(&fixture, 1024 * MB);
        atomic_store(&disk.read_code, EIO);
        atomic_store(&disk.bad_read, which);
        put_many(&fixture, N);
        while (n + lost_of(&fixture) < N) {
            hear(&fixture);
            n += take(&fixture, true);
        }
        assert_accounts(&fixture, N - n);
        assert_true(n < N);
        assert_int_equal(fixture.code, EIO);
        put_many(&fixture, 1000);
        take_all(&fixture, N + 1000);
        tear_down(&fixture);
    }
}

/* What comes back is what went, or it does not come back. */
static void test_damage(void **state)
{
    enum { N = 10000 };
    struct fixture fixture;
    uint64_t n = 0;

    (void)state;
    set_up(&fixture, 1024 * MB);
    atomic_store(&disk.damaged, 2);
    put_many(&fixture, N);
    while (n + lost_of(&fixture) < N) {
        hear(&fixture);
        n += take(&fixture, true);
    }
    assert_accounts(&fixture, N - n);
    assert_true(n < N);
    assert_int_equal(fixture.troubles, 1);
    assert_int_equal(fixture.code, EILSEQ);
    tear_down(&fixture);
}

/* The store counts more than the octets that it is given: that its budget is
 * used up early is nobody's trouble. */
static void test_used_up(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 4 * MB);
    atomic_store(&disk.room, 4 * MB);
    atomic_store(&disk.overhead, 300000);
    for (int i = 0; i < 4; i++) {
        int64_t end = weir_deadline_in(SOON_S * 1000);

        do {
            while (try_put(&fixture) == 0)
                hear(&fixture);
            pause_a_bit();
            hear(&fixture);
            assert_true(weir_now() < end);
        } while (!atomic_load(&fixture.queue->spill->full) &&
                 atomic_load(&disk.bytes) < 4 * MB - 500000);
        take_all(&fixture, fixture.put);
    }
    assert_int_equal(fixture.troubles, 0);
    assert_int_equal(fixture.comforts, 0);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

static void await_troubles(struct fixture *fixture, int n)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);

    while (fixture->troubles < n) {
        atomic_store(&fixture->told, true);
        hear(fixture);
        pause_a_bit();
        assert_true(weir_now() < end);
    }
}

/* A disk that is full, and then broken: both are told. */
static void test_reasons(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1024 * MB);
    atomic_store(&disk.room, 0);
    for (int n = 0; n < 6000 && try_put(&fixture) == 0; n++)
        hear(&fixture);
    await_troubles(&fixture, 1);
    assert_int_equal(fixture.code, ENOSPC);
    atomic_store(&disk.write_code, EIO);
    atomic_store(&disk.bad_write, atomic_load(&disk.writes) + 1);
    await_troubles(&fixture, 2);
    assert_int_equal(fixture.code, EIO);
    take_all(&fixture, fixture.put);
    assert_int_equal(fixture.comforts, 0);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* Without a helper nothing is hidden: the mark is one as others are. */
static void test_no_helper(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up_in(&fixture, "/nowhere/else", 1024 * MB);
    atomic_store(&no_threads, true);
    put_many(&fixture, 100);
    assert_int_equal(try_put(&fixture), -EAGAIN);
    assert_false(weir_spill_hides(fixture.queue->spill));
    assert_true(take(&fixture, false));
    put_many(&fixture, 1);
    assert_int_equal(try_put(&fixture), -EAGAIN);
    atomic_store(&no_threads, false);
    put_many(&fixture, 5000);
    assert_true(weir_spill_hides(fixture.queue->spill));
    atomic_store(&no_threads, true); /* the one that is there is enough */
    take_all(&fixture, fixture.put);
    assert_accounts(&fixture, 0);
    atomic_store(&no_threads, false);
    tear_down(&fixture);
}

/* All that is hidden goes without being read, whatever the helper is at. */
static void test_discard(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct fixture fixture;
        uint64_t shown, put, taken, octets;
        int reads;

        set_up(&fixture, 1024 * MB);
        atomic_store(&disk.slow, 50 * (i % 4));
        put_many(&fixture, 300 * (i + 1));
        if (i % 2)
            take_all(&fixture, fixture.put / 4);
        reads = atomic_load(&disk.reads);
        fixture.put -= weir_spill_discard(fixture.queue);
        weir_queue_counts(fixture.queue, &put, &taken, &octets);
        assert_int_equal(put, fixture.put);
        shown = fixture.put;
        take_all(&fixture, shown);
        assert_in_range(atomic_load(&disk.reads), reads, reads + 1);
        await(&disk.open, 0);
        put_many(&fixture, 3000);
        take_all(&fixture, fixture.put);
        assert_accounts(&fixture, 0);
        tear_down(&fixture);
    }
}

static bool is_used_up(struct fixture *fixture)
{
    struct weir_spill *spill = fixture->queue->spill;
    bool is;

    weir_lock_take(&spill->lock);
    is = spill->used_up || spill->starved;
    weir_lock_release(&spill->lock);
    return is;
}

/* With what was hidden goes what its store was short of. */
static void test_discard_used_up(void **state)
{
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 4 * MB);
    atomic_store(&disk.room, 4 * MB);
    atomic_store(&disk.overhead, 3 * MB);
    while (!is_used_up(&fixture)) {
        if (try_put(&fixture) < 0)
            pause_a_bit();
        assert_true(weir_now() < end);
    }
    fixture.put -= weir_spill_discard(fixture.queue);
    assert_false(is_used_up(&fixture));
    take_all(&fixture, fixture.put);
    put_many(&fixture, 300);
    take_all(&fixture, fixture.put);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

/* ---- what comes from a connection ---- */

enum { STREAM = 4000 };

/* Messages as they come over the wire; starts[i] is where message i begins. */
struct stream {
    uint8_t *octets;
    size_t starts[STREAM + 1];
};

static void pack(struct fixture *fixture, struct stream *stream,
                 uint64_t messages)
{
    size_t at = 0, room = 0;

    stream->octets = NULL;
    for (uint64_t i = 0; i < messages; i++) {
        struct traffic_shape shape = shape_of(fixture, i);

        stream->starts[i] = at;
        for (int k = 0; k < shape.frames; k++) {
            if (at + shape.size[k] + WEIR_QUEUE_HEAD > room) {
                room = 2 * room + shape.size[k] + WEIR_QUEUE_HEAD;
                stream->octets = realloc(stream->octets, room);
                assert_non_null(stream->octets);
            }
            at += weir_queue_head(stream->octets + at, shape.size[k],
                                  k + 1 < shape.frames ? WEIR_FRAME_MORE : 0);
            traffic_fill(&fixture->traffic, i, k, stream->octets + at,
                         shape.size[k]);
            at += shape.size[k];
        }
    }
    stream->starts[messages] = at;
}

static int no_command(void *arg, const uint8_t *body, size_t size)
{
    (void)arg, (void)body, (void)size;
    return -EPROTO;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Up to `most` of the octets that are left come, as one read brings them.
 * Returns how many. */
static size_t receive(struct fixture *fixture, const uint8_t *from, size_t left,
                      size_t most)
{
    static const struct weir_queue_parser parser = {.command = no_command};
    struct iovec parts[2] = {{0}};
    int n = weir_queue_space(fixture->queue, parts, false);
    size_t first, second = 0;

    assert_in_range(n, 1, 2);
    left = least(left, most);
    first = least(left, parts[0].iov_len);
    memcpy(parts[0].iov_base, from, first);
    if (n > 1 && first < left) {
        second = least(left - first, parts[1].iov_len);
        memcpy(parts[1].iov_base, from + first, second);
    }
    assert_true(weir_queue_filled(fixture->queue, first + second, &parser) >=
                0);
    fixture->put = fixture->queue->in.put;
    return first + second;
}

/* The connection breaks now and then, and the unfinished message comes again;
 * after one read in `lag` a message is taken. */
static void receive_all(struct fixture *fixture, const struct stream *stream,
                        uint64_t messages, int lag)
{
    int64_t end = weir_deadline_in(2 * SOON_S * 1000);
    size_t at = 0;

    while (at < stream->starts[messages]) {
        hear(fixture);
        if (!weir_queue_full(fixture->queue))
            at += receive(fixture, stream->octets + at,
                          stream->starts[messages] - at,
                          1 + (size_t)rand() % 100000);
        if (rand() % 20 == 0) {
            (void)weir_queue_rollback(fixture->queue);
            at = stream->starts[fixture->put];
        }
        if (rand() % lag == 0)
            (void)take(fixture, false);
        assert_true(weir_now() < end);
    }
    assert_int_equal(fixture->put, messages);
    assert_true(weir_spill_hides(fixture->queue->spill));
}

static void check_received(bool large, uint64_t messages)
{
    struct fixture fixture;
    struct stream stream;

    set_up(&fixture, 1024 * MB);
    fixture.traffic.large = large;
    pack(&fixture, &stream, messages);
    receive_all(&fixture, &stream, messages, 3);
    take_all(&fixture, messages);
    assert_accounts(&fixture, 0);
    assert_true(atomic_load(&disk.writes) > 0);
    tear_down(&fixture);
    free(stream.octets);
}

/* A block has what was there before the last read, and what that brought: at
 * most a chunk, which has room for a little more than a block. */
static void check_received_shape(const struct traffic_shape *shape)
{
    uint64_t messages = least((size_t)some_messages(shape), STREAM);
    uint64_t longest = 5 * SWAP_BLOCK + 4096 + octets_of(shape);
    struct weir_spill_use use;
    struct fixture fixture;
    struct stream stream;

    set_up(&fixture, 1024 * MB);
    fixture.shape = shape;
    pack(&fixture, &stream, messages);
    receive_all(&fixture, &stream, messages, 100);
    use = await_written(&fixture);
    assert_true(use.swapped_bytes > stream.starts[messages - 100] / 2);
    assert_true(atomic_load(&disk.largest) <= longest);
    take_all(&fixture, messages);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
    free(stream.octets);
}

static void test_received(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 5; i++)
        check_received(false, STREAM);
    check_received(true, STREAM / 10);
}

static void test_received_shapes(void **state)
{
    (void)state;
    srand(2);
    for (size_t i = 1; i < SHAPES; i++) /* the first is too short for a block */
        check_received_shape(&shapes[i]);
}

/* The helper catches up when a message has come in part, whose begin is in the
 * chunk before the tail: then nothing can be cut. */
static void test_received_parts(void **state)
{
    const struct traffic_shape shape = {.frames = 4,
                                        .size = {3000, 5000, 5000, 5000}};
    const uint64_t messages = 500;
    int64_t end = weir_deadline_in(SOON_S * 1000);
    struct fixture fixture;
    struct stream stream;
    size_t at = 0;

    (void)state;
    set_up(&fixture, 1024 * MB);
    fixture.shape = &shape;
    atomic_store(&disk.slow, 3000);
    pack(&fixture, &stream, messages);
    while (at < stream.starts[messages]) {
        hear(&fixture);
        if (!weir_queue_full(fixture.queue))
            at += receive(&fixture, stream.octets + at,
                          stream.starts[messages] - at, 9000);
        pause_a_bit();
        assert_true(weir_now() < end);
    }
    atomic_store(&disk.slow, 0);
    take_all(&fixture, messages);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
    free(stream.octets);
}

/* The queue goes while the store is at work. */
static void test_leave(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct fixture fixture;

        set_up(&fixture, 1024 * MB);
        atomic_store(&disk.slow, 50 * (i % 10));
        put_many(&fixture, 500 * (i % 5));
        if (i % 3)
            take_all(&fixture, fixture.put / 2);
        tear_down(&fixture);
    }
}

/* Producer and consumer are two threads. */
static void *produce(void *arg)
{
    struct fixture *fixture = arg;

    put_many(fixture, 20000);
    return NULL;
}

static void test_threads(void **state)
{
    int64_t end = weir_deadline_in(2 * SOON_S * 1000);
    struct fixture fixture;
    pthread_t thread;

    (void)state;
    set_up(&fixture, 1024 * MB);
    atomic_store(&disk.slow, 20);
    assert_int_equal(pthread_create(&thread, NULL, produce, &fixture), 0);
    for (int i = 0; fixture.got < 10000; i++)
        if (!take(&fixture, false) || i % 1000 == 0) {
            pause_a_bit();
            assert_true(weir_now() < end);
        }
    assert_int_equal(pthread_join(thread, NULL), 0);
    take_all(&fixture, 20000);
    assert_accounts(&fixture, 0);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_woken),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_bad_writes),
        cmocka_unit_test(test_bad_open),
        cmocka_unit_test(test_bad_read),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_used_up),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_no_helper),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_promise),
        cmocka_unit_test(test_received_shapes),
        cmocka_unit_test(test_received_parts),
        cmocka_unit_test(test_discard_used_up),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_relief),
        cmocka_unit_test(test_slow_relief),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
