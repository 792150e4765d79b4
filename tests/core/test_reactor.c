/*
 * A reactor without a thread, run by hand: what plugins ask it for, by id,
 * and what its descriptor says to who sleeps elsewhere.
 */
#include "config.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "reactor.h"

enum { MANY = 1000, SOON = 20000 };

static struct weir_reactor reactor;

static int open_reactor(void **state)
{
    (void)state;
    return weir_reactor_open(&reactor, NULL);
}

static int close_reactor(void **state)
{
    (void)state;
    weir_reactor_close(&reactor);
    return 0;
}

static void count(void *arg, unsigned events)
{
    (void)events;
    ++*(int *)arg;
}

static int64_t timer(uint64_t after_ns, int *fired)
{
    int64_t id = weir_reactor_host_timer(&reactor, after_ns, count, fired);

    assert_true(id > 0);
    return id;
}

/* Places are used again, ids are not. */
static void test_ids(void **state)
{
    static int64_t ids[MANY];
    static int fired[MANY];
    int again = 0;

    (void)state;
    for (int i = 0; i < MANY; i++)
        ids[i] = timer(1, &fired[i]);
    for (int i = 0; i < MANY; i += 2) {
        int64_t old = ids[i];

        weir_reactor_host_cancel(&reactor, old);
        ids[i] = timer(1, &again);
        assert_true(ids[i] != old);
        weir_reactor_host_cancel(&reactor, old); /* nobody's any more */
    }
    weir_reactor_round(&reactor, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fired[i], i % 2);
    assert_int_equal(again, MANY / 2);
    weir_reactor_round(&reactor, 0);
    assert_int_equal(again, MANY / 2);
}

static void test_far_ahead(void **state)
{
    const uint64_t never[] = {INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    int fired = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        int64_t id = timer(never[i], &fired);

        weir_reactor_round(&reactor, 0);
        assert_int_equal(fired, 0);
        weir_reactor_host_cancel(&reactor, id);
    }
}

#if !defined(WEIR_POLLER_POLL) && defined(HAVE_TIMERFD_CREATE)
static int readable(int ms)
{
    struct pollfd item = {.fd = reactor.poller.fd, .events = POLLIN};

    return poll(&item, 1, ms);
}

static int ran;

static void run(struct weir_task *task)
{
    (void)task;
    ran++;
}

static void test_descriptor(void **state)
{
    struct weir_task task = {.run = run};
    int fired = 0;

    (void)state;
    weir_reactor_round(&reactor, 0);
    assert_int_equal(readable(0), 0);
    weir_reactor_post(&reactor, &task);
    assert_int_equal(readable(0), 1);
    weir_reactor_round(&reactor, 0);
    assert_int_equal(ran, 1);
    assert_int_equal(readable(0), 0);
    timer(5000000, &fired);
    weir_reactor_round(&reactor, 0);
    assert_int_equal(readable(SOON), 1);
    weir_reactor_round(&reactor, 0);
    assert_int_equal(fired, 1);
    assert_int_equal(readable(0), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ids, open_reactor, close_reactor),
        cmocka_unit_test_setup_teardown(test_far_ahead, open_reactor,
                                        close_reactor),
#if !defined(WEIR_POLLER_POLL) && defined(HAVE_TIMERFD_CREATE)
        cmocka_unit_test_setup_teardown(test_descriptor, open_reactor,
                                        close_reactor),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
