/*
 * test_monitor.c - the ring of events: order, overwriting, waiting, no
 * memory.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "monitor.h"

#define MS INT64_C(1000000)

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static _Atomic bool no_memory;

void *__wrap_calloc(size_t count, size_t size)
{
    return atomic_load(&no_memory) ? NULL : __real_calloc(count, size);
}

static int set_up(void **state)
{
    static struct weir_monitor monitor;

    weir_monitor_init(&monitor, 4);
    *state = &monitor;
    return 0;
}

static int tear_down(void **state)
{
    weir_monitor_fini(*state);
    return 0;
}

static void put(struct weir_monitor *monitor, uint64_t value)
{
    weir_event event = {.kind = WEIR_EVENT_LOG, .value = value};

    weir_monitor_put(monitor, &event);
}

/* Take one, which is there. */
static weir_event take(struct weir_monitor *monitor)
{
    weir_event event;

    assert_int_equal(weir_monitor_take(monitor, &event, 0), 0);
    assert_int_equal(event.size, sizeof(event));
    assert_int_equal(event.kind, WEIR_EVENT_LOG);
    return event;
}

static void take_value(struct weir_monitor *monitor, uint64_t value,
                       uint64_t missed)
{
    weir_event event = take(monitor);

    assert_int_equal(event.value, value);
    assert_int_equal(event.missed, missed);
}

static void assert_none(struct weir_monitor *monitor)
{
    weir_event event = {.value = 12345};

    assert_int_equal(weir_monitor_take(monitor, &event, 0), -EAGAIN);
    assert_int_equal(event.value, 12345);
}

static void test_order(void **state)
{
    assert_none(*state);
    for (uint64_t i = 0; i < 10; i++) {
        put(*state, 2 * i);
        put(*state, 2 * i + 1);
        take_value(*state, 2 * i, 0);
        take_value(*state, 2 * i + 1, 0);
    }
    assert_none(*state);
}

static void test_time(void **state)
{
    uint64_t before = (uint64_t)weir_now();
    weir_event event;

    put(*state, 1);
    event = take(*state);
    assert_in_range(event.time_ns, before, (uint64_t)weir_now());
}

static void test_overwrite(void **state)
{
    for (uint64_t i = 1; i <= 11; i++)
        put(*state, i);
    take_value(*state, 8, 7);
    take_value(*state, 9, 0);
    put(*state, 12);
    put(*state, 13);
    put(*state, 14);
    take_value(*state, 11, 1);
    for (uint64_t i = 12; i <= 14; i++)
        take_value(*state, i, 0);
    assert_none(*state);
}

static void test_no_memory(void **state)
{
    atomic_store(&no_memory, true);
    put(*state, 1);
    put(*state, 2);
    assert_none(*state);
    atomic_store(&no_memory, false);
    put(*state, 3);
    take_value(*state, 3, 2);
}

static void test_resize(void **state)
{
    assert_int_equal(weir_monitor_resize(*state, 2), 0);
    for (uint64_t i = 1; i <= 3; i++)
        put(*state, i);
    assert_int_equal(weir_monitor_resize(*state, 6), 0);
    for (uint64_t i = 4; i <= 7; i++)
        put(*state, i);
    take_value(*state, 2, 1);
    take_value(*state, 3, 0);
    assert_int_equal(weir_monitor_resize(*state, 3), 0);
    take_value(*state, 5, 1);
    atomic_store(&no_memory, true);
    assert_int_equal(weir_monitor_resize(*state, 6), -ENOMEM);
    atomic_store(&no_memory, false);
    take_value(*state, 6, 0);
    take_value(*state, 7, 0);
    assert_none(*state);
}

static void test_deadline(void **state)
{
    int64_t deadline = weir_deadline_in(30);
    weir_event event;

    assert_int_equal(weir_monitor_take(*state, &event, deadline), -EAGAIN);
    assert_in_range(weir_now(), deadline, deadline + 5000 * MS);
}

/* ---- other threads ---- */

enum { READERS = 3, EVENTS = 20000 };

struct reader {
    struct weir_monitor *monitor;
    pthread_t thread;
    _Atomic bool started;
    uint64_t got, missed;
    int result;
};

/* Read until the end. */
static void *read_all(void *opaque)
{
    struct reader *reader = opaque;
    int64_t deadline = weir_deadline_in(60000);
    weir_event event;

    atomic_store(&reader->started, true);
    while ((reader->result =
                weir_monitor_take(reader->monitor, &event, deadline)) == 0) {
        reader->got++;
        reader->missed += event.missed;
    }
    return NULL;
}

static void start(struct reader *reader, struct weir_monitor *monitor)
{
    reader->monitor = monitor;
    assert_int_equal(pthread_create(&reader->thread, NULL, read_all, reader),
                     0);
    while (!atomic_load(&reader->started))
        weir_cpu_relax();
}

static void *put_many(void *monitor)
{
    for (uint64_t i = 0; i < EVENTS; i++)
        put(monitor, i);
    return NULL;
}

/* Each event goes to one of the readers, or is counted. */
static void test_readers(void **state)
{
    struct reader readers[READERS] = {{0}};
    pthread_t other;
    uint64_t sum = 0;

    for (int i = 0; i < READERS; i++)
        start(&readers[i], *state);
    assert_int_equal(pthread_create(&other, NULL, put_many, *state), 0);
    put_many(*state);
    assert_int_equal(pthread_join(other, NULL), 0);
    weir_monitor_close(*state);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].result, -WEIR_ECLOSING);
        sum += readers[i].got + readers[i].missed;
    }
    assert_int_equal(sum, 2 * EVENTS);
}

/* What was there when it closed can still be taken. */
static void test_close(void **state)
{
    struct reader reader = {0};
    weir_event event;

    start(&reader, *state);
    weir_monitor_close(*state);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.result, -WEIR_ECLOSING);
    put(*state, 1);
    take_value(*state, 1, 0);
    assert_int_equal(weir_monitor_take(*state, &event, WEIR_NEVER),
                     -WEIR_ECLOSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),     TEST(test_time),   TEST(test_overwrite),
        TEST(test_no_memory), TEST(test_resize), TEST(test_deadline),
        TEST(test_readers),   TEST(test_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
