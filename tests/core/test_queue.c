/*
 * test_queue.c - the two ends of a queue, in one thread: only whole messages,
 * exact marks, who is told and when.  Threads are stress_queue's.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "message.h"
#include "queue.h"

#define MB ((size_t)1 << 20)

static const struct weir_queue_limits no_mark;

struct fixture {
    struct weir_pool *pool;
    struct weir_queue *queue;
};

static void open_queue(struct fixture *fixture, struct weir_queue_limits mark)
{
    fixture->pool = weir_pool_new(MB);
    assert_non_null(fixture->pool);
    fixture->queue = weir_queue_new(fixture->pool, mark, true);
    assert_non_null(fixture->queue);
}

static void close_queue(struct fixture *fixture)
{
    weir_queue_leave(fixture->queue);
    weir_pool_close(fixture->pool);
    weir_queue_leave(fixture->queue);
}

static void put_number(struct weir_queue *queue, uint32_t number)
{
    assert_int_equal(weir_queue_put(queue, &number, sizeof(number)), 0);
}

static void take_number(struct weir_queue *queue, uint32_t number)
{
    weir_message message;
    uint32_t got;

    weir_message_init(&message);
    assert_int_equal(weir_queue_take_message(queue, &message), 0);
    assert_int_equal(weir_message_count(&message), 1);
    assert_int_equal(weir_frame_size(&message.first), sizeof(got));
    memcpy(&got, weir_frame_data(&message.first), sizeof(got));
    assert_int_equal(got, number);
    weir_message_fini(&message);
}

static void assert_none(struct weir_queue *queue)
{
    weir_message message;

    assert_false(weir_queue_ready(queue));
    weir_message_init(&message);
    assert_int_equal(weir_queue_take_message(queue, &message), -EAGAIN);
    assert_int_equal(weir_message_count(&message), 0);
}

static void assert_counts(struct weir_queue *queue, uint64_t put,
                          uint64_t taken, uint64_t octets)
{
    uint64_t is_put, is_taken, are_octets;

    weir_queue_counts(queue, &is_put, &is_taken, &are_octets);
    assert_int_equal(is_put, put);
    assert_int_equal(is_taken, taken);
    assert_int_equal(are_octets, octets);
    assert_int_equal(weir_queue_pending(queue), octets);
}

static void fill_payload(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 256 + size);
}

/* ------------------------------------------------------- whole messages -- */

static void test_nothing_shows_before_commit(void **state)
{
    struct fixture fixture;
    struct weir_queue *queue;
    uint8_t large[40000] = {0};

    (void)state;
    open_queue(&fixture, no_mark);
    queue = fixture.queue;
    assert_none(queue);
    weir_queue_begin(queue);
    assert_int_equal(weir_queue_frame(queue, "a", 1, WEIR_FRAME_MORE), 0);
    assert_none(queue);
    assert_int_equal(
        weir_queue_frame(queue, large, sizeof(large), WEIR_FRAME_MORE), 0);
    assert_int_equal(weir_queue_frame(queue, "b", 1, 0), 0);
    assert_none(queue);
    assert_counts(queue, 0, 0, 0);
    weir_queue_commit(queue);
    assert_true(weir_queue_ready(queue));
    assert_counts(queue, 1, 0, 3 + sizeof(large) + 9 + 3);
    close_queue(&fixture);
}

/* Messages that were begun and given up leave nothing, wherever they ended. */
static void test_abort(void **state)
{
    static const size_t sizes[] = {0, 100, 3000, 16000, 20000, 200000};
    uint8_t *payload = calloc(1, 200000);
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    for (uint32_t i = 0; i < 2000; i++) {
        weir_queue_begin(fixture.queue);
        for (uint32_t frame = 0; frame < i % 4; frame++)
            assert_int_equal(weir_queue_frame(fixture.queue, payload,
                                              sizes[(i / 3 + frame) % 6],
                                              WEIR_FRAME_MORE),
                             0);
        weir_queue_abort(fixture.queue);
        put_number(fixture.queue, i);
        if (i % 7 == 0)
            assert_int_equal(
                weir_queue_put(fixture.queue, payload, sizes[i % 6]), 0);
        take_number(fixture.queue, i);
        if (i % 7 == 0)
            assert_int_equal(weir_queue_skip(fixture.queue), 1);
        assert_none(fixture.queue);
    }
    close_queue(&fixture);
    free(payload);
}

/* What was written of a message that was given up is written over, and not
 * handed out as free memory once more. */
static void test_abort_behind_a_large_frame(void **state)
{
    uint8_t *payload = calloc(1, 20000);
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    put_number(fixture.queue, 0);
    weir_queue_begin(fixture.queue);
    assert_int_equal(
        weir_queue_frame(fixture.queue, payload, 20000, WEIR_FRAME_MORE), 0);
    weir_queue_abort(fixture.queue);
    for (uint32_t i = 1; i < 3000; i++)
        put_number(fixture.queue, i);
    for (uint32_t i = 0; i < 3000; i++)
        take_number(fixture.queue, i);
    close_queue(&fixture);
    free(payload);
}

/* Frames of every form, alone and between others. */
static void test_every_size(void **state)
{
    static const size_t sizes[] = {0,     1,      39,      40,     41,
                                   254,   255,    256,     257,    4000,
                                   4096,  16383,  16384,   16385,  65535,
                                   65536, 100000, 1 << 20, 3 << 20};
    uint8_t *payload = malloc(3 << 20);
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        weir_message message;
        weir_frame *frame;

        fill_payload(payload, sizes[i]);
        weir_queue_begin(fixture.queue);
        for (int n = 0; n < 5; n++)
            assert_int_equal(weir_queue_frame(fixture.queue, payload,
                                              n % 2 ? 3 : sizes[i],
                                              n < 4 ? WEIR_FRAME_MORE : 0),
                             0);
        weir_queue_commit(fixture.queue);
        weir_message_init(&message);
        assert_int_equal(weir_queue_take_message(fixture.queue, &message), 0);
        assert_int_equal(weir_message_count(&message), 5);
        assert_none(fixture.queue);
        for (int n = 0; n < 5; n++) {
            frame = weir_message_frame(&message, (uint32_t)n);
            assert_int_equal(weir_frame_size(frame), n % 2 ? 3 : sizes[i]);
            assert_memory_equal(weir_frame_data(frame), payload,
                                weir_frame_size(frame));
        }
        weir_message_fini(&message);
    }
    close_queue(&fixture);
    free(payload);
}

static void test_peek_leaves_it_there(void **state)
{
    struct fixture fixture;
    uint8_t large[20000];
    const uint8_t *data;
    unsigned flags;
    size_t size;

    (void)state;
    fill_payload(large, sizeof(large));
    open_queue(&fixture, no_mark);
    weir_queue_begin(fixture.queue);
    assert_int_equal(
        weir_queue_frame(fixture.queue, "first", 5, WEIR_FRAME_MORE), 0);
    assert_int_equal(weir_queue_frame(fixture.queue, large, sizeof(large), 0),
                     0);
    weir_queue_commit(fixture.queue);
    weir_queue_begin(fixture.queue);
    assert_int_equal(
        weir_queue_frame(fixture.queue, "PING", 4, WEIR_FRAME_COMMAND), 0);
    weir_queue_commit(fixture.queue);
    for (int i = 0; i < 3; i++) {
        assert_true(weir_queue_ready(fixture.queue));
        assert_int_equal(weir_queue_peek(fixture.queue, &data, &size, &flags),
                         1);
        assert_int_equal(size, 5);
        assert_int_equal(flags, WEIR_FRAME_MORE);
        assert_memory_equal(data, "first", 5);
    }
    weir_queue_pass(fixture.queue);
    assert_counts(fixture.queue, 2, 0, 7 + 9 + sizeof(large) + 6);
    for (int i = 0; i < 3; i++) {
        assert_true(weir_queue_ready(fixture.queue));
        assert_int_equal(weir_queue_peek(fixture.queue, &data, &size, &flags),
                         1);
        assert_int_equal(size, sizeof(large));
        assert_int_equal(flags, 0);
        assert_memory_equal(data, large, sizeof(large));
    }
    weir_queue_pass(fixture.queue);
    assert_int_equal(weir_queue_peek(fixture.queue, &data, &size, &flags), 1);
    assert_int_equal(flags, WEIR_FRAME_COMMAND);
    weir_queue_pass(fixture.queue);
    assert_int_equal(weir_queue_peek(fixture.queue, &data, &size, &flags), 0);
    assert_none(fixture.queue);
    close_queue(&fixture);
}

static void test_skip(void **state)
{
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    assert_int_equal(weir_queue_skip(fixture.queue), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        weir_queue_begin(fixture.queue);
        for (uint32_t n = 0; n < i % 5; n++)
            assert_int_equal(
                weir_queue_frame(fixture.queue, "some", 4, WEIR_FRAME_MORE), 0);
        assert_int_equal(weir_queue_frame(fixture.queue, "", 0, 0), 0);
        weir_queue_commit(fixture.queue);
        put_number(fixture.queue, i);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        assert_int_equal(weir_queue_skip(fixture.queue), 1);
        take_number(fixture.queue, i);
    }
    assert_int_equal(weir_queue_skip(fixture.queue), 0);
    assert_counts(fixture.queue, 6000, 6000, 0);
    close_queue(&fixture);
}

static int released;

static void release(void *data, void *hint)
{
    (void)data;
    assert_ptr_equal(hint, &released);
    released++;
}

/* From 16 KB on a payload is not copied, and lives as long as anybody has a
 * frame of it. */
static void test_large_frames_are_not_copied(void **state)
{
    static uint8_t payload[16384];
    struct fixture fixture;
    weir_message message, got;
    weir_frame frame;

    (void)state;
    released = 0;
    open_queue(&fixture, no_mark);
    weir_message_init(&message);
    weir_message_init(&got);
    assert_int_equal(weir_message_add(&message, "envelope", 8), 0);
    assert_int_equal(weir_frame_wrap(&frame, payload, sizeof(payload), release,
                                     &released),
                     0);
    assert_int_equal(weir_message_push(&message, &frame), 0);
    assert_int_equal(
        weir_frame_wrap(&frame, payload, 16383, release, &released), 0);
    assert_int_equal(weir_message_push(&message, &frame), 0);
    assert_int_equal(weir_queue_put_message(fixture.queue, &message), 0);
    assert_int_equal(weir_message_count(&message), 3);
    weir_message_fini(&message);
    assert_int_equal(released, 1); /* the copied one's */
    assert_int_equal(weir_queue_take_message(fixture.queue, &got), 0);
    close_queue(&fixture);
    assert_int_equal(weir_message_count(&got), 3);
    assert_ptr_equal(weir_frame_data(weir_message_frame(&got, 1)), payload);
    assert_memory_equal(weir_frame_data(weir_message_frame(&got, 2)), payload,
                        16383);
    assert_int_equal(released, 1);
    weir_message_fini(&got);
    assert_int_equal(released, 2);
}

/* A frame that was taken and is put again refers to where it was first. */
static void test_passing_on(void **state)
{
    struct fixture fixture;
    weir_message message;
    uint8_t *payload = malloc(100000);

    (void)state;
    fill_payload(payload, 100000);
    open_queue(&fixture, no_mark);
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, payload, 100000), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(weir_queue_put_message(fixture.queue, &message), 0);
        weir_message_fini(&message);
        assert_int_equal(weir_queue_take_message(fixture.queue, &message), 0);
    }
    assert_memory_equal(weir_frame_data(&message.first), payload, 100000);
    weir_message_fini(&message);
    close_queue(&fixture);
    free(payload);
}

static void test_message_of_no_frames(void **state)
{
    struct fixture fixture;
    weir_message message;

    (void)state;
    open_queue(&fixture, no_mark);
    weir_message_init(&message);
    assert_int_equal(weir_queue_put_message(fixture.queue, &message), -EINVAL);
    assert_int_equal(weir_queue_put_latest(fixture.queue, &message), -EINVAL);
    assert_none(fixture.queue);
    close_queue(&fixture);
}

/* ---------------------------------------------------------------- marks -- */

/* Promise 9. */
static void test_marks_in_messages_are_exact(void **state)
{
    (void)state;
    for (uint32_t mark = 1; mark <= 3000;
         mark = mark < 10 ? mark + 1 : mark * 3) {
        struct weir_queue_limits limits = {mark, 0};
        uint32_t first = 0, next = 0, number = 7;
        struct fixture fixture;

        open_queue(&fixture, limits);
        for (int turn = 0; turn < 20; turn++) {
            while (next < first + mark)
                put_number(fixture.queue, next++);
            assert_int_equal(weir_queue_put(fixture.queue, &number, 4),
                             -EAGAIN);
            assert_false(weir_queue_room(fixture.queue, 1));
            assert_true(weir_queue_full(fixture.queue));
            for (int i = 0; i <= turn && first < next; i++)
                take_number(fixture.queue, first++);
            assert_false(weir_queue_full(fixture.queue));
        }
        close_queue(&fixture);
    }
}

static uint32_t until_batch(struct weir_queue_limits limits)
{
    struct fixture fixture;
    uint32_t n = 0;

    open_queue(&fixture, limits);
    while (!weir_queue_has_batch(fixture.queue))
        put_number(fixture.queue, n++);
    for (uint32_t i = 0; i < n; i++)
        take_number(fixture.queue, i);
    assert_false(weir_queue_has_batch(fixture.queue));
    close_queue(&fixture);
    return n;
}

/* What is to be written does not wait until there is no room for more. */
static void test_batches(void **state)
{
    const uint32_t octets = 6; /* of a number with its head */

    (void)state;
    assert_int_equal(until_batch((struct weir_queue_limits){0, 0}),
                     (WEIR_QUEUE_BATCH + octets - 1) / octets);
    assert_int_equal(until_batch((struct weir_queue_limits){1000, 0}), 500);
    assert_int_equal(until_batch((struct weir_queue_limits){1, 0}), 1);
    assert_int_equal(until_batch((struct weir_queue_limits){0, 600}), 50);
}

static void test_marks_in_octets(void **state)
{
    struct weir_queue_limits limits = {0, 1000};
    static uint8_t payload[5000];
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, limits);
    for (int i = 0; i < 9; i++) /* 9 x 102 octets, and 9 to be careful */
        assert_int_equal(weir_queue_put(fixture.queue, payload, 100), 0);
    assert_int_equal(weir_queue_put(fixture.queue, payload, 100), -EAGAIN);
    assert_true(weir_queue_room(fixture.queue, 82));
    assert_false(weir_queue_room(fixture.queue, 83));
    assert_counts(fixture.queue, 9, 0, 918);
    while (weir_queue_skip(fixture.queue))
        ;
    /* an empty queue takes one message of any size */
    assert_int_equal(weir_queue_put(fixture.queue, payload, 5000), 0);
    assert_int_equal(weir_queue_put(fixture.queue, payload, 1), -EAGAIN);
    assert_true(weir_queue_full(fixture.queue));
    assert_int_equal(weir_queue_skip(fixture.queue), 1);
    assert_int_equal(weir_queue_put(fixture.queue, payload, 1), 0);
    close_queue(&fixture);
}

static void test_changing_the_mark(void **state)
{
    struct weir_queue_limits five = {5, 0}, two = {2, 0};
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    for (uint32_t i = 0; i < 4; i++)
        put_number(fixture.queue, i);
    weir_queue_set_mark(fixture.queue, five);
    put_number(fixture.queue, 4);
    assert_true(weir_queue_full(fixture.queue));
    weir_queue_set_mark(fixture.queue, two);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(weir_queue_full(fixture.queue));
        take_number(fixture.queue, i);
    }
    assert_false(weir_queue_full(fixture.queue));
    weir_queue_set_mark(fixture.queue, no_mark);
    for (uint32_t i = 5; i < 1000; i++)
        put_number(fixture.queue, i);
    assert_false(weir_queue_full(fixture.queue));
    close_queue(&fixture);
}

/* ------------------------------------------------------------- telling -- */

static void count(void *counter)
{
    ++*(int *)counter;
}

static void test_reader_is_told_once(void **state)
{
    struct fixture fixture;
    int told = 0;

    (void)state;
    open_queue(&fixture, no_mark);
    weir_queue_set_reader(fixture.queue, (struct weir_queue_end){count, &told});
    put_number(fixture.queue, 1);
    assert_int_equal(told, 0);
    take_number(fixture.queue, 1);
    weir_queue_arm_reader(fixture.queue);
    weir_queue_begin(fixture.queue);
    assert_int_equal(weir_queue_frame(fixture.queue, "x", 1, 0), 0);
    assert_int_equal(told, 0);
    weir_queue_commit(fixture.queue);
    assert_int_equal(told, 1);
    put_number(fixture.queue, 2);
    assert_int_equal(told, 1);
    weir_queue_arm_reader(fixture.queue);
    weir_queue_disarm_reader(fixture.queue);
    put_number(fixture.queue, 3);
    assert_int_equal(told, 1);
    close_queue(&fixture);
}

static void test_writer_is_told_at_half_the_mark(void **state)
{
    (void)state;
    for (uint32_t mark = 1; mark <= 100; mark++) {
        struct weir_queue_limits limits = {mark, 0};
        struct fixture fixture;
        uint32_t taken = 0;
        int told = 0;

        open_queue(&fixture, limits);
        weir_queue_set_writer(fixture.queue,
                              (struct weir_queue_end){count, &told});
        for (uint32_t i = 0; i < mark; i++)
            put_number(fixture.queue, i);
        assert_false(weir_queue_room(fixture.queue, 6));
        assert_true(weir_queue_arm_writer(fixture.queue));
        while (!told)
            take_number(fixture.queue, taken++);
        assert_true(mark - taken <= mark / 2);
        assert_true(mark - taken >= mark / 2 - mark / 4);
        while (taken < mark)
            take_number(fixture.queue, taken++);
        assert_none(fixture.queue);
        assert_int_equal(told, 1);
        assert_false(weir_queue_arm_writer(fixture.queue));
        close_queue(&fixture);
    }
}

/* A message larger than what is free waits, although the queue is not half
 * full, and its sender is told at the latest when the queue is empty. */
static void test_writer_of_a_large_message(void **state)
{
    struct weir_queue_limits limits = {0, 100000};
    struct fixture fixture;
    int told = 0;

    (void)state;
    open_queue(&fixture, limits);
    weir_queue_set_writer(fixture.queue, (struct weir_queue_end){count, &told});
    put_number(fixture.queue, 9); /* the consumer looks at the first one */
    take_number(fixture.queue, 9);
    for (uint32_t i = 0; i < 3; i++)
        put_number(fixture.queue, i);
    assert_false(weir_queue_room(fixture.queue, 99999));
    assert_true(weir_queue_arm_writer(fixture.queue));
    for (uint32_t i = 0; i < 3; i++)
        take_number(fixture.queue, i);
    assert_none(fixture.queue);
    assert_int_equal(told, 1);
    assert_true(weir_queue_room(fixture.queue, 99999));
    assert_false(weir_queue_arm_writer(fixture.queue));
    assert_int_equal(told, 1);
    close_queue(&fixture);
}

static void test_writer_of_octets(void **state)
{
    struct weir_queue_limits limits = {0, 64000};
    static uint8_t payload[998];
    struct fixture fixture;
    int told = 0, left = 0;

    (void)state;
    open_queue(&fixture, limits);
    weir_queue_set_writer(fixture.queue, (struct weir_queue_end){count, &told});
    while (weir_queue_put(fixture.queue, payload, sizeof(payload)) == 0)
        left++;
    assert_true(weir_queue_arm_writer(fixture.queue));
    while (!told) {
        assert_int_equal(weir_queue_skip(fixture.queue), 1);
        left--;
    }
    assert_true(left * 1007 <= 32000 && left * 1007 > 8000);
    close_queue(&fixture);
}

/* --------------------------------------------------------------- latest -- */

static void put_latest(struct weir_queue *queue, uint32_t number, int replaces)
{
    weir_message message;

    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, &number, sizeof(number)), 0);
    assert_int_equal(weir_queue_put_latest(queue, &message), replaces);
    assert_int_equal(weir_message_count(&message), 1);
    weir_message_fini(&message);
}

/* What was replaced in a latest queue does not wait. */
static void test_no_batch_of_latest(void **state)
{
    struct weir_queue_limits limits = {10, 0};
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, limits);
    for (uint32_t i = 0; i < 100; i++) {
        put_latest(fixture.queue, i, i > 0);
        assert_false(weir_queue_has_batch(fixture.queue));
    }
    close_queue(&fixture);
}

static void test_latest(void **state)
{
    struct fixture fixture;
    int told = 0;

    (void)state;
    open_queue(&fixture, no_mark);
    weir_queue_set_reader(fixture.queue, (struct weir_queue_end){count, &told});
    assert_none(fixture.queue);
    weir_queue_arm_reader(fixture.queue);
    for (uint32_t i = 0; i < 1000; i++)
        put_latest(fixture.queue, i, i > 0);
    assert_int_equal(told, 1);
    assert_counts(fixture.queue, 1000, 999, 6);
    assert_true(weir_queue_ready(fixture.queue));
    put_latest(fixture.queue, 1000, 1); /* a look did not take it out */
    take_number(fixture.queue, 1000);
    assert_none(fixture.queue);
    assert_counts(fixture.queue, 1001, 1001, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        put_latest(fixture.queue, i, 0);
        take_number(fixture.queue, i);
    }
    assert_true(weir_queue_idle(fixture.queue));
    put_latest(fixture.queue, 5, 0);
    assert_false(weir_queue_idle(fixture.queue));
    assert_int_equal(weir_queue_skip(fixture.queue), 1);
    assert_none(fixture.queue);
    put_latest(fixture.queue, 6, 0); /* freed with the queue */
    close_queue(&fixture);
}

static void test_latest_of_many_frames(void **state)
{
    uint8_t *payload = malloc(2 * MB);
    struct fixture fixture;
    weir_message message, got;

    (void)state;
    fill_payload(payload, 2 * MB);
    open_queue(&fixture, no_mark);
    weir_message_init(&message);
    weir_message_init(&got);
    assert_int_equal(weir_message_add(&message, "topic", 5), 0);
    assert_int_equal(weir_message_add(&message, payload, 2 * MB), 0);
    assert_int_equal(weir_message_add(&message, NULL, 0), 0);
    assert_int_equal(weir_queue_put_latest(fixture.queue, &message), 0);
    assert_int_equal(weir_queue_put_latest(fixture.queue, &message), 1);
    assert_int_equal(weir_queue_take_message(fixture.queue, &got), 0);
    weir_message_fini(&message);
    close_queue(&fixture);
    assert_int_equal(weir_message_count(&got), 3);
    assert_memory_equal(weir_frame_data(weir_message_frame(&got, 1)), payload,
                        2 * MB);
    assert_int_equal(weir_frame_size(weir_message_frame(&got, 2)), 0);
    weir_message_fini(&got);
    free(payload);
}

/* ----------------------------------------------------------------- runs -- */

/* Short runs are copied, long ones shared; a queue's own messages go between
 * them in order. */
static void test_runs(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *chunk = weir_pool_get(pool, 65536);
    struct fixture fixture;
    uint32_t next = 0;
    size_t at = 0;

    (void)state;
    open_queue(&fixture, no_mark);
    for (uint32_t run = 1; run < 1000; run = run * 2 + 1) {
        size_t from = at;
        uint64_t before = weir_queue_pending(fixture.queue);

        put_number(fixture.queue, next++);
        for (uint32_t i = 0; i < run; i++, next++) {
            at += weir_queue_head(chunk->data + at, sizeof(next), 0);
            memcpy(chunk->data + at, &next, sizeof(next));
            at += sizeof(next);
        }
        assert_int_equal(
            weir_queue_put_run(fixture.queue, chunk, from, at - from, run), 0);
        assert_int_equal(weir_queue_pending(fixture.queue) - before,
                         6 * (run + 1));
    }
    weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    weir_pool_close(pool);
    for (uint32_t i = 0; i < next; i++)
        take_number(fixture.queue, i);
    assert_counts(fixture.queue, next, next, 0);
    close_queue(&fixture);
}

static void test_long_runs_are_shared(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *chunk = weir_pool_get(pool, 65536);
    struct fixture fixture[3];
    const uint8_t *data;
    unsigned flags;
    size_t size;

    (void)state;
    weir_queue_head(chunk->data, 3000, 0);
    for (int i = 0; i < 3; i++) {
        open_queue(&fixture[i], no_mark);
        assert_int_equal(
            weir_queue_put_run(fixture[i].queue, chunk, 0, 3009, 1), 0);
    }
    assert_int_equal(atomic_load(&chunk->refs), WEIR_CHUNK_HOLD + 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            weir_queue_peek(fixture[i].queue, &data, &size, &flags), 1);
        assert_ptr_equal(data, chunk->data + 9);
        assert_int_equal(size, 3000);
        close_queue(&fixture[i]);
    }
    assert_int_equal(atomic_load(&chunk->refs), WEIR_CHUNK_HOLD);
    weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    weir_pool_close(pool);
}

/* ------------------------------------------------------ memory, lifetime -- */

static void test_idle(void **state)
{
    static const uint8_t payload[100];
    struct fixture fixture;
    weir_message message;

    (void)state;
    open_queue(&fixture, no_mark);
    assert_true(weir_queue_idle(fixture.queue));
    weir_message_init(&message);
    for (int i = 0; i < 3; i++) { /* with a frame handed out, and without */
        assert_int_equal(weir_queue_put(fixture.queue, payload, 100), 0);
        assert_int_equal(weir_queue_take_message(fixture.queue, &message), 0);
        assert_true(weir_queue_idle(fixture.queue));
        assert_memory_equal(weir_frame_data(&message.first), payload, 100);
        weir_message_fini(&message);
    }
    for (uint32_t i = 0; i < 20000; i++)
        put_number(fixture.queue, i);
    assert_false(weir_queue_idle(fixture.queue));
    for (uint32_t i = 0; i < 20000; i++)
        take_number(fixture.queue, i);
    weir_queue_begin(fixture.queue);
    assert_int_equal(weir_queue_frame(fixture.queue, "x", 1, WEIR_FRAME_MORE),
                     0);
    assert_false(weir_queue_idle(fixture.queue));
    weir_queue_abort(fixture.queue);
    assert_true(weir_queue_idle(fixture.queue));
    assert_null(fixture.queue->in.tail);
    assert_null(fixture.queue->out.current);
    for (uint32_t i = 0; i < 20000; i++) {
        put_number(fixture.queue, i);
        take_number(fixture.queue, i);
        if (i % 3 == 0)
            assert_true(weir_queue_idle(fixture.queue));
    }
    assert_counts(fixture.queue, 40003, 40003, 0);
    close_queue(&fixture);
}

/* One thread at both ends stays in the same few octets. */
static void test_rewind(void **state)
{
    struct fixture fixture;
    struct weir_chunk *chunk;

    (void)state;
    open_queue(&fixture, no_mark);
    weir_queue_rewind(fixture.queue);
    put_number(fixture.queue, 1);
    chunk = fixture.queue->in.tail;
    take_number(fixture.queue, 1);
    for (uint32_t i = 0; i < 10000; i++) {
        weir_queue_rewind(fixture.queue);
        assert_ptr_equal(fixture.queue->in.write, chunk->data);
        put_number(fixture.queue, i);
        take_number(fixture.queue, i);
    }
    assert_ptr_equal(fixture.queue->in.tail, chunk);
    assert_counts(fixture.queue, 10001, 10001, 0);
    close_queue(&fixture);
}

/* ... unless something is there still, or the memory is not the queue's. */
static bool rewinds(struct weir_queue *queue)
{
    const uint8_t *before = queue->in.write;

    weir_queue_rewind(queue);
    return queue->in.write != before;
}

static void test_no_rewind_while_unread(void **state)
{
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    put_number(fixture.queue, 1);
    put_number(fixture.queue, 2);
    assert_false(rewinds(fixture.queue));
    take_number(fixture.queue, 1);
    assert_false(rewinds(fixture.queue));
    take_number(fixture.queue, 2);
    assert_true(rewinds(fixture.queue));
    weir_queue_begin(fixture.queue);
    assert_int_equal(weir_queue_frame(fixture.queue, "a", 1, WEIR_FRAME_MORE),
                     0);
    assert_false(rewinds(fixture.queue));
    assert_int_equal(weir_queue_frame(fixture.queue, "b", 1, 0), 0);
    assert_false(rewinds(fixture.queue));
    weir_queue_commit(fixture.queue);
    close_queue(&fixture);
}

/* A frame that was taken lies there. */
static void test_no_rewind_while_shared(void **state)
{
    struct fixture fixture;
    uint8_t payload[100];
    weir_message message;

    (void)state;
    open_queue(&fixture, no_mark);
    fill_payload(payload, sizeof(payload));
    assert_int_equal(weir_queue_put(fixture.queue, payload, 100), 0);
    weir_message_init(&message);
    assert_int_equal(weir_queue_take_message(fixture.queue, &message), 0);
    assert_false(rewinds(fixture.queue));
    put_number(fixture.queue, 5);
    assert_memory_equal(weir_frame_data(&message.first), payload, 100);
    take_number(fixture.queue, 5);
    weir_message_fini(&message);
    assert_true(rewinds(fixture.queue));
    close_queue(&fixture);
}

/* A large payload has a chunk of its own, and what follows lies behind it, in
 * memory that is another chunk's. */
static void test_no_rewind_behind_large(void **state)
{
    struct fixture fixture;
    static uint8_t large[WEIR_QUEUE_BODY];
    weir_message message;

    (void)state;
    open_queue(&fixture, no_mark);
    assert_int_equal(weir_queue_put(fixture.queue, large, sizeof(large)), 0);
    weir_message_init(&message);
    assert_int_equal(weir_queue_take_message(fixture.queue, &message), 0);
    weir_message_fini(&message);
    assert_true(fixture.queue->in.tail->flags & WEIR_CHUNK_BODY);
    assert_false(rewinds(fixture.queue));
    put_number(fixture.queue, 1);
    take_number(fixture.queue, 1);
    assert_non_null(fixture.queue->in.tail->owner);
    fixture.queue->in.size = 1; /* it would be large enough */
    assert_false(rewinds(fixture.queue));
    put_number(fixture.queue, 2);
    take_number(fixture.queue, 2);
    close_queue(&fixture);
}

/* Chunks have grown since: the next one is larger. */
static void test_no_rewind_in_small_chunk(void **state)
{
    struct fixture fixture;

    (void)state;
    open_queue(&fixture, no_mark);
    put_number(fixture.queue, 1);
    take_number(fixture.queue, 1);
    fixture.queue->in.size = (uint32_t)fixture.queue->in.tail->capacity + 1;
    assert_false(rewinds(fixture.queue));
    fixture.queue->in.size = (uint32_t)fixture.queue->in.tail->capacity;
    assert_true(rewinds(fixture.queue));
    close_queue(&fixture);
}

/* Frames outlive queue and pool; the order of leaving does not matter. */
static void test_frames_outlive_all(void **state)
{
    struct fixture fixture;
    uint8_t payload[100];
    weir_message message[100];

    (void)state;
    fill_payload(payload, sizeof(payload));
    open_queue(&fixture, no_mark);
    for (int i = 0; i < 200; i++)
        assert_int_equal(weir_queue_put(fixture.queue, payload, 100), 0);
    for (int i = 0; i < 100; i++) {
        weir_message_init(&message[i]);
        assert_int_equal(weir_queue_take_message(fixture.queue, &message[i]),
                         0);
    }
    weir_queue_leave(fixture.queue);
    weir_queue_leave(fixture.queue);
    weir_pool_close(fixture.pool);
    for (int i = 0; i < 100; i++) {
        assert_memory_equal(weir_frame_data(&message[i].first), payload, 100);
        weir_message_fini(&message[i]);
    }
}

/* Every way to fill a queue, left full. */
static void test_leaving_a_full_queue(void **state)
{
    uint8_t *payload = calloc(1, 100000);
    struct fixture fixture;

    (void)state;
    for (int way = 0; way < 4; way++) {
        open_queue(&fixture, no_mark);
        for (int i = 0; i < 50; i++)
            assert_int_equal(weir_queue_put(fixture.queue, payload,
                                            way & 1 ? 100000 : 99),
                             0);
        if (way & 2)
            assert_int_equal(weir_queue_skip(fixture.queue), 1);
        weir_queue_begin(fixture.queue);
        assert_int_equal(weir_queue_frame(fixture.queue, payload, 50000,
                                          WEIR_FRAME_MORE),
                         0);
        close_queue(&fixture);
    }
    free(payload);
}

static void test_idle_queues_are_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct weir_queue) <= 640);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_shows_before_commit),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_behind_a_large_frame),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_peek_leaves_it_there),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_large_frames_are_not_copied),
        cmocka_unit_test(test_passing_on),
        cmocka_unit_test(test_message_of_no_frames),
        cmocka_unit_test(test_marks_in_messages_are_exact),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_no_batch_of_latest),
        cmocka_unit_test(test_marks_in_octets),
        cmocka_unit_test(test_changing_the_mark),
        cmocka_unit_test(test_reader_is_told_once),
        cmocka_unit_test(test_writer_is_told_at_half_the_mark),
        cmocka_unit_test(test_writer_of_a_large_message),
        cmocka_unit_test(test_writer_of_octets),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_latest_of_many_frames),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_long_runs_are_shared),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_no_rewind_while_unread),
        cmocka_unit_test(test_no_rewind_while_shared),
        cmocka_unit_test(test_no_rewind_behind_large),
        cmocka_unit_test(test_no_rewind_in_small_chunk),
        cmocka_unit_test(test_frames_outlive_all),
        cmocka_unit_test(test_leaving_a_full_queue),
        cmocka_unit_test(test_idle_queues_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
