/*
 * Who waits gives its processor up for a moment before it sleeps: the other end
 * may be waiting for that.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pushpull.h"

enum {
    WAITS = 20,     /* fewer than are left out after a bad one */
    MOMENT = 1,     /* ms */
    YIELDS = 4,     /* of one wait at most */
    LONG = 2000000, /* ns that others have the processor: not the other end */
    SPIN = 1000,    /* us: as long as may be */
    READS = 50,     /* of the clock, in a wait without that */
    ANSWERS = 10,   /* in which it would be tried again twice */
    PATIENCE = 100, /* ms */
    TRIES = 100     /* at having a machine to ourselves */
};

static int yields;
static void (*others)(void);     /* who runs meanwhile */
static _Thread_local long reads; /* of the clock */

int __wrap_sched_yield(void);
int64_t __real_weir_now(void);
int64_t __wrap_weir_now(void);

int64_t __wrap_weir_now(void)
{
    reads++;
    return __real_weir_now();
}

/* Threads of the library's own do not wait for messages. */
int __wrap_sched_yield(void)
{
    yields++;
    if (others)
        others();
    return 0;
}

static void the_peer(void)
{
    others = NULL;
    assert_int_equal(weir_send(push, "now", 3, SOON), 0);
}

static void a_busy_program(void)
{
    struct timespec time = {.tv_nsec = LONG};

    (void)nanosleep(&time, NULL);
}

/* Spinning would have it find by itself what is sent meanwhile. */
static void join(const char *url, int spin)
{
    assert_int_equal(weir_set_int(pull, "spin", spin), 0);
    others = NULL;
    pushpull_join(pull, push, url);
    yields = 0;
}

static void hear_nothing(void)
{
    char data[ROOM];
    size_t size = sizeof data;

    assert_int_equal(weir_recv(pull, data, &size, MOMENT), -EAGAIN);
}

static void test_peer_runs(void **state)
{
    (void)state;
    join("inproc://yield", 1);
    others = the_peer;
    pushpull_hear(pull, "now");
    assert_int_equal(yields, 1);
}

/* Returns whether each yield was followed by its answer: one that takes long,
 * as another program had the processor, is not tried again for a while. */
static bool hear_answers(int n)
{
    char data[ROOM];
    bool heard = true;

    for (int i = 0; i < n && heard; i++) {
        size_t size = sizeof data;

        others = the_peer;
        heard = weir_recv(pull, data, &size, PATIENCE) == 0;
    }
    return heard;
}

/* A PULL that has had its first answer so. */
static bool begin_together(void **state)
{
    pushpull_end(state);
    pushpull_begin(state);
    assert_int_equal(weir_set(pull, "pace", "latency"), 0);
    join("inproc://yield", SPIN);
    return hear_answers(1);
}

/* Who spun first would keep the processor from the other end each time that
 * spinning is tried again. */
static void test_yields_first_where_that_paid(void **state)
{
    bool heard = false;

    for (int i = 0; i < TRIES && !heard; i++) {
        heard = begin_together(state);
        reads = 0;
        heard = heard && hear_answers(ANSWERS);
    }
    assert_true(heard);
    assert_in_range(reads, 1, ANSWERS * READS);
}

/* It has gone to another processor, where spinning finds it. */
static void test_spins_when_nobody_is_there_any_more(void **state)
{
    bool spun = false;

    for (int i = 0; i < TRIES && !spun; i++) {
        if (!begin_together(state) || !hear_answers(ANSWERS))
            continue;
        others = NULL;
        reads = 0;
        hear_nothing();
        spun = reads > READS;
    }
    assert_true(spun);
}

static void test_nobody_runs(void **state)
{
    (void)state;
    join("inproc://yield", 1);
    hear_nothing();
    assert_in_range(yields, 1, YIELDS);
}

/* Once is enough. */
static void test_somebody_else_runs(void **state)
{
    int before;

    (void)state;
    join("inproc://yield", 1);
    others = a_busy_program;
    hear_nothing();
    before = yields;
    assert_in_range(before, 1, YIELDS);
    for (int i = 0; i < WAITS; i++)
        hear_nothing();
    assert_int_equal(yields, before);
}

static void test_not_without_spin(void **state)
{
    (void)state;
    join("inproc://yield", 0);
    hear_nothing();
    assert_int_equal(yields, 0);
}

/* A stream from another process. */
static void test_not_unasked(void **state)
{
    (void)state;
    join("tcp://127.0.0.1:*", 1);
    hear_nothing();
    assert_int_equal(yields, 0);
}

int main(void)
{
#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, pushpull_begin, pushpull_end)
    const struct CMUnitTest tests[] = {
        CASE(test_peer_runs),
        CASE(test_yields_first_where_that_paid),
        CASE(test_spins_when_nobody_is_there_any_more),
        CASE(test_nobody_runs),
        CASE(test_somebody_else_runs),
        CASE(test_not_without_spin),
        CASE(test_not_unasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
