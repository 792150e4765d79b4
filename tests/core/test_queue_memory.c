/*
 * test_queue_memory.c - the queue when memory runs out, and the memory it
 * gives back.  Every allocation is made to fail in turn, and all from then
 * on: no message is lost or comes twice, except one that is reported.
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
#include <unistd.h>

#include <cmocka.h>

#include "message.h"
#include "queue.h"
#include "scarce.h"
#include "traffic.h"

#define MB       ((size_t)1 << 20)
#define MESSAGES 200

static const struct weir_queue_limits no_mark;
static const struct weir_queue_parser no_limits;

/* What goes through: producer, queue, connection, queue, consumer. */
struct course {
    struct traffic traffic;
    struct weir_pool *pool, *receive_pool, *run_pool;
    struct weir_queue *queue, *received;
    struct weir_chunk *run;
    weir_message taken; /* the last one that the consumer has */
    uint64_t put;       /* messages accepted */
    uint64_t next;      /* the number that comes next */
    uint64_t lost;      /* reported as dropped */
    uint64_t failed;    /* calls that failed for lack of memory */
};

static uint8_t payload[TRAFFIC_LONGEST];

/* Without any limit on what fails: by the caller. */
static bool open_course(struct course *course)
{
    course->traffic.seed = 4711;
    course->pool = weir_pool_new(200000);
    course->receive_pool = weir_pool_new(0);
    course->run_pool = weir_pool_new(MB);
    if (!course->pool || !course->receive_pool || !course->run_pool)
        return false;
    course->queue = weir_queue_new(course->pool, no_mark, true);
    course->received = weir_queue_new(course->receive_pool, no_mark, false);
    course->run = weir_pool_get(course->run_pool, 65536);
    return course->queue && course->received && course->run;
}

static void close_one(struct weir_queue *queue, struct weir_pool *pool)
{
    if (queue)
        weir_queue_leave(queue);
    if (pool)
        weir_pool_close(pool);
    if (queue)
        weir_queue_leave(queue);
}

static void close_course(struct course *course)
{
    close_one(course->queue, course->pool);
    close_one(course->received, course->receive_pool);
    if (course->run)
        weir_chunk_unref(course->run, WEIR_CHUNK_HOLD);
    close_one(NULL, course->run_pool);
    weir_message_fini(&course->taken);
}

/* -------------------------------------------------------- ways to put -- */

static int put_frames(struct course *course, const struct traffic_shape *shape,
                      uint64_t number)
{
    int error = 0;

    weir_queue_begin(course->queue);
    for (int i = 0; i < shape->frames && !error; i++) {
        traffic_fill(&course->traffic, number, i, payload, shape->size[i]);
        error = weir_queue_frame(course->queue, payload, shape->size[i],
                                 i + 1 < shape->frames ? WEIR_FRAME_MORE : 0);
    }
    if (error)
        weir_queue_abort(course->queue);
    else
        weir_queue_commit(course->queue);
    return error;
}

static int make_message(struct course *course,
                        const struct traffic_shape *shape, uint64_t number,
                        weir_message *message)
{
    int error = 0;

    for (int i = 0; i < shape->frames && !error; i++) {
        traffic_fill(&course->traffic, number, i, payload, shape->size[i]);
        error = weir_message_add(message, payload, shape->size[i]);
    }
    return error;
}

static int put_message(struct course *course, const struct traffic_shape *shape,
                       uint64_t number)
{
    weir_message message;
    int error;

    weir_message_init(&message);
    error = make_message(course, shape, number, &message);
    if (!error)
        error = weir_queue_put_message(course->queue, &message);
    if (error != -ENOMEM)
        assert_int_equal(weir_message_count(&message), shape->frames);
    weir_message_fini(&message);
    return error;
}

static int put_run(struct course *course, const struct traffic_shape *shape,
                   uint64_t number)
{
    uint8_t *at = course->run->data;

    at += weir_queue_head(at, shape->size[0], 0);
    traffic_fill(&course->traffic, number, 0, at, shape->size[0]);
    at += shape->size[0];
    return weir_queue_put_run(course->queue, course->run, 0,
                              (size_t)(at - course->run->data), 1);
}

/* A run's chunk is not written to again while a queue may refer to it. */
static bool fits_run(struct course *course, const struct traffic_shape *shape)
{
    return shape->frames == 1 && shape->size[0] + 9 <= 65536 &&
           atomic_load(&course->run->refs) == WEIR_CHUNK_HOLD;
}

static int put_number(struct course *course, uint64_t number)
{
    struct traffic_shape shape = traffic_shape(&course->traffic, number);

    if (number % 3 == 0 && fits_run(course, &shape))
        return put_run(course, &shape, number);
    if (number % 3 == 1)
        return put_frames(course, &shape, number);
    return put_message(course, &shape, number);
}

/* ------------------------------------------------- moving and checking -- */

/* From the first queue into the second, some octets.  0: none. */
static int move_some(struct course *course)
{
    struct weir_queue_mark_point at;
    struct iovec from, to[2];
    size_t some;
    int n;

    if (!weir_queue_gather(course->queue, &from, 1, &n, 30000, &at))
        return 0;
    n = weir_queue_space(course->received, to, false);
    if (n < 0)
        return n;
    some = from.iov_len < to[0].iov_len ? from.iov_len : to[0].iov_len;
    memcpy(to[0].iov_base, from.iov_base, some);
    (void)weir_queue_wrote(course->queue, some, &at);
    n = weir_queue_filled(course->received, some, &no_limits);
    return n < 0 ? n : 1;
}

static void check_message(struct course *course)
{
    struct traffic_shape shape = traffic_shape(&course->traffic, course->next);

    assert_int_equal(weir_message_count(&course->taken), shape.frames);
    for (int i = 0; i < shape.frames; i++) {
        weir_frame *frame = weir_message_frame(&course->taken, (uint32_t)i);

        assert_int_equal(weir_frame_size(frame), shape.size[i]);
        assert_true(traffic_check(&course->traffic, course->next, i,
                                  weir_frame_data(frame), shape.size[i]));
    }
    course->next++;
}

static int take_one(struct course *course)
{
    int error;

    weir_message_fini(&course->taken);
    error = weir_queue_take_message(course->received, &course->taken);
    if (error == 0)
        check_message(course);
    if (error == -ENOMEM) {
        assert_int_equal(weir_message_count(&course->taken), 0);
        course->lost++;
        course->next++;
        course->failed++;
        return 0;
    }
    return error;
}

static void move_and_take(struct course *course)
{
    int result;

    do {
        while (take_one(course) == 0)
            ;
        result = move_some(course);
        if (result < 0) {
            assert_int_equal(result, -ENOMEM);
            course->failed++;
        }
    } while (result > 0);
}

static void put_and_count(struct course *course, uint64_t number)
{
    int error = put_number(course, number);

    if (error == 0) {
        course->put++;
        return;
    }
    assert_int_equal(error, -ENOMEM);
    course->failed++;
}

/* ----------------------------------------------- one allocation fails -- */

/* Run the course while allocation `n` fails.  False: there are not so many. */
static bool run_course(long n)
{
    struct course course = {0};
    bool reached;

    weir_message_init(&course.taken);
    scarce_fail(n);
    if (!open_course(&course)) {
        close_course(&course);
        scarce_fail(-1);
        return true;
    }
    while (course.put < MESSAGES) {
        put_and_count(&course, course.put);
        if (course.put % 7 == 0)
            move_and_take(&course);
    }
    while (course.next < MESSAGES)
        move_and_take(&course);
    reached = scarce_fail_at < 0;
    scarce_fail(-1);
    assert_int_equal(course.next, MESSAGES);
    assert_int_equal(take_one(&course), -EAGAIN);
    assert_in_range(course.failed, 0, 1);
    assert_true(course.lost <= course.failed);
    assert_true(weir_queue_idle(course.queue));
    assert_true(weir_queue_idle(course.received));
    close_course(&course);
    return reached;
}

static void test_each_allocation_fails(void **state)
{
    long n = 0;

    (void)state;
    while (run_course(n))
        n++;
    assert_true(n > 100);
}

/* ------------------------------------------------------ all of them fail -- */

/* From allocation `n` on there is no memory, until everything has stopped;
 * then there is again. */
static bool run_dry(long n)
{
    struct course course = {0};
    bool reached;

    weir_message_init(&course.taken);
    assert_true(open_course(&course));
    scarce_fail(n);
    scarce_for_good = true;
    for (int turn = 0; turn < 3 * MESSAGES && course.put < MESSAGES; turn++) {
        put_and_count(&course, course.put);
        if (course.put % 7 == 0)
            move_and_take(&course);
    }
    reached = scarce_fail_at == 0;
    move_and_take(&course);
    scarce_fail(-1);
    while (course.put < MESSAGES)
        put_and_count(&course, course.put);
    while (course.next < MESSAGES)
        move_and_take(&course);
    assert_int_equal(course.next, MESSAGES);
    assert_int_equal(take_one(&course), -EAGAIN);
    close_course(&course);
    return reached;
}

static void test_memory_ends_at_any_point(void **state)
{
    long n = 0;

    (void)state;
    while (run_dry(n))
        n += 1 + n / 16;
    assert_true(n > 100);
}

static void test_latest_without_memory(void **state)
{
    struct course course = {0};
    weir_message message;

    (void)state;
    weir_message_init(&message);
    assert_true(open_course(&course));
    assert_int_equal(weir_message_add(&message, "old", 3), 0);
    assert_int_equal(weir_queue_put_latest(course.queue, &message), 0);
    scarce_fail(0);
    assert_int_equal(weir_queue_put_latest(course.queue, &message), -ENOMEM);
    assert_int_equal(weir_queue_put_latest(course.queue, &message), 1);
    weir_message_fini(&message);
    assert_int_equal(weir_queue_take_message(course.queue, &message), 0);
    assert_memory_equal(weir_frame_data(&message.first), "old", 3);
    weir_message_fini(&message);
    close_course(&course);
}

/* -------------------------------------------------------- giving it back -- */

static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void drain(struct weir_queue *queue)
{
    const uint8_t *data;
    weir_frame frame;
    unsigned flags;
    size_t size;

    while (weir_queue_peek(queue, &data, &size, &flags)) {
        weir_queue_take(queue, &frame);
        weir_frame_fini(&frame);
    }
}

/* Promise 14: fill, drain, and the process is as small as before.  256 MB, or
 * what WEIR_TEST_MB says. */
static void fill_and_drain(size_t size, bool shared)
{
    const char *wanted = getenv("WEIR_TEST_MB");
    size_t octets = (wanted ? (size_t)atol(wanted) : 256) * MB;
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_queue *queue = weir_queue_new(pool, no_mark, true);
    long before, full, after;
    weir_message message;

    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, payload, size), 0);
    before = resident();
    for (size_t done = 0; done < octets; done += size)
        if (shared ? weir_queue_put_message(queue, &message)
                   : weir_queue_put(queue, payload, size))
            fail();
    full = resident();
    drain(queue);
    assert_true(weir_queue_idle(queue));
    weir_pool_trim(pool);
    after = resident();
    print_message("%zu octets: %ld KB, full %ld KB, drained %ld KB\n", size,
                  before / 1024, full / 1024, after / 1024);
    assert_true(shared || before == 0 || full - before >= (long)octets);
    assert_true(after <= before + before / 10);
    weir_message_fini(&message);
    weir_queue_leave(queue);
    weir_queue_leave(queue);
    weir_pool_close(pool);
}

static void test_resident_memory_falls(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    memset(payload, 1, sizeof(payload));
    fill_and_drain(64, false);
    fill_and_drain(1000, false);
    fill_and_drain(30000, false);
    fill_and_drain(30000, true);
    fill_and_drain(1000000, false);
}

/* A fresh or idle queue: its own memory, and nothing else. */
static void test_idle_queues_have_nothing(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_queue *queue;

    (void)state;
    scarce_count_anew();
    queue = weir_queue_new(pool, no_mark, true);
    assert_int_equal(scarce_count, 1);
    assert_true(scarce_octets <= 640);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(weir_queue_put(queue, payload, 1000), 0);
    drain(queue);
    assert_true(weir_queue_idle(queue));
    for (size_t size = 0; size <= MB; size = size * 4 + 4096) {
        struct weir_chunk *chunk = weir_pool_reuse(pool, size);

        if (chunk)
            weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    }
    weir_pool_trim(pool);
    assert_null(weir_pool_reuse(pool, 4096));
    assert_null(weir_pool_reuse(pool, 65536));
    weir_queue_leave(queue);
    weir_queue_leave(queue);
    weir_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_memory_ends_at_any_point),
        cmocka_unit_test(test_latest_without_memory),
        cmocka_unit_test(test_resident_memory_falls),
        cmocka_unit_test(test_idle_queues_have_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
