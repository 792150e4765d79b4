/*
 * test_queue_walk.c - a consumer that looks at many frames before it consumes
 * them, whole frames at a time: links in the messages shape.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue.h"

enum { FRAMES = 4000, LARGE = 70000 };

static struct weir_pool *pool;
static struct weir_queue *queue;

static int set_up(void **state)
{
    (void)state;
    pool = weir_pool_new(1 << 20);
    assert_non_null(pool);
    queue = weir_queue_new(pool, (struct weir_queue_limits){0, 0}, false);
    assert_non_null(queue);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_queue_leave(queue);
    weir_queue_leave(queue);
    weir_pool_close(pool);
    return 0;
}

/* What frame number `i` is: most are short, some have a chunk of their own. */
static size_t size_of(unsigned i)
{
    if (i % 97 == 5)
        return LARGE + i;
    return i % 11 == 3 ? 5000 + i : i % 300;
}

static unsigned flags_of(unsigned i)
{
    return i % 5 < 3 && i + 1 < FRAMES ? WEIR_FRAME_MORE : 0;
}

static uint8_t octet_of(unsigned i)
{
    return (uint8_t)(i * 7 + 1);
}

static void put(unsigned i)
{
    static uint8_t body[LARGE + FRAMES];

    memset(body, octet_of(i), size_of(i));
    if (i == 0 || !flags_of(i - 1))
        weir_queue_begin(queue);
    assert_int_equal(weir_queue_frame(queue, body, size_of(i), flags_of(i)), 0);
    if (!flags_of(i))
        weir_queue_commit(queue);
}

static void assert_found(const struct weir_queue_found *found, unsigned i)
{
    assert_int_equal(found->size, size_of(i));
    assert_int_equal(found->flags, flags_of(i));
    assert_int_equal(found->octets, weir_queue_octets(found->size));
    for (size_t at = 0; at < found->size; at++)
        if (found->data[at] != octet_of(i))
            fail_msg("frame %u has other octets at %zu", i, at);
}

/* Look at up to `many` frames from number `i` on, consume `few` of them;
 * returns how many were. */
static unsigned step(unsigned i, unsigned many, unsigned few)
{
    struct weir_queue_walk walk;
    struct weir_queue_found found;
    size_t octets = 0;
    unsigned n = 0;

    if (!weir_queue_walk(queue, &walk))
        return 0;
    while (n < many && weir_queue_walk_on(&walk, &found)) {
        assert_found(&found, i + n);
        if (n++ < few)
            octets += found.octets;
    }
    (void)weir_queue_wrote(queue, octets, &walk.at);
    return n < few ? n : few;
}

static void test_all_at_once(void **state)
{
    struct weir_queue_walk walk;
    uint64_t put_n, taken, octets;

    (void)state;
    assert_false(weir_queue_walk(queue, &walk));
    for (unsigned i = 0; i < FRAMES; i++)
        put(i);
    assert_int_equal(step(0, FRAMES, FRAMES), FRAMES);
    assert_int_equal(step(FRAMES, 1, 1), 0);
    weir_queue_counts(queue, &put_n, &taken, &octets);
    assert_int_equal(put_n, taken);
    assert_int_equal(octets, 0);
}

static void test_in_steps(void **state)
{
    unsigned written = 0, read = 0, turn = 0;

    (void)state;
    while (read < FRAMES) {
        for (unsigned n = 0; n < turn % 40 && written < FRAMES; n++)
            put(written++);
        read += step(read, 1 + turn % 23, turn % 13);
        turn++;
    }
    assert_int_equal(step(FRAMES, 1, 1), 0);
}

/* Part of a message was consumed when the connection was lost. */
static void test_cut(void **state)
{
    struct weir_queue_walk walk;
    struct weir_queue_found found;

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        put(i);
    assert_int_equal(step(0, 4, 2), 2);
    assert_true(weir_queue_midway(queue));
    assert_int_equal(weir_queue_cut(queue), 1);
    assert_int_equal(step(4, 1, 0), 0);
    assert_int_equal(weir_queue_cut(queue), 0);
    assert_true(weir_queue_walk(queue, &walk));
    assert_true(weir_queue_walk_on(&walk, &found));
    assert_found(&found, 4);
}

/* Nothing is seen of a message before its end. */
static void test_unfinished(void **state)
{
    (void)state;
    put(4);
    put(5);
    assert_int_equal(step(4, 9, 9), 1);
    assert_int_equal(step(5, 9, 9), 0);
    for (unsigned i = 6; i < 10; i++)
        put(i);
    assert_int_equal(step(5, 9, 9), 5);
}

static void test_latest(void **state)
{
    struct weir_queue_walk walk;
    struct weir_queue_found found;
    weir_message message;

    (void)state;
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, "old", 3), 0);
    assert_int_equal(weir_queue_put_latest(queue, &message), 0);
    weir_message_fini(&message);
    assert_int_equal(weir_message_add(&message, "new", 3), 0);
    assert_int_equal(weir_message_add(&message, "er", 2), 0);
    assert_int_equal(weir_queue_put_latest(queue, &message), 1);
    weir_message_fini(&message);
    assert_true(weir_queue_walk(queue, &walk));
    assert_true(weir_queue_walk_on(&walk, &found));
    assert_memory_equal(found.data, "new", 3);
    assert_true(weir_queue_walk_on(&walk, &found));
    assert_memory_equal(found.data, "er", 2);
    assert_int_equal(found.flags, 0);
    assert_false(weir_queue_walk_on(&walk, &found));
    (void)weir_queue_wrote(queue, 5 + 4, &walk.at);
    assert_false(weir_queue_walk(queue, &walk));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_at_once), TEST(test_in_steps), TEST(test_cut),
        TEST(test_unfinished),  TEST(test_latest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
