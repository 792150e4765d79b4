/*
 * When messages go to the kernel.  The clock is the test's own, and the I/O
 * thread stands still: what it would do the test does in its place.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum {
    FEW = 4,         /* that go at once, however quickly they follow */
    REST = 10000000, /* ns: more than enough */
    FAR = 2000000000 /* ns */
};

static _Thread_local int64_t frozen; /* what the time is; 0: it goes on */
static struct weir_sock *sock;       /* the PUSH's */
static struct weir_pacing *pace;

int64_t __real_weir_now(void);
int64_t __wrap_weir_now(void);

int64_t __wrap_weir_now(void)
{
    return frozen ? frozen : __real_weir_now();
}

/* ---- around each test ---- */

static int begin(void **state)
{
    (void)pushpull_begin(state);
    pushpull_join(pull, push, "ipc://*");
    sock = weir_shells_sock(push.index);
    pace = &sock->pace;
    pushpull_hold();
    frozen = __real_weir_now();
    return 0;
}

static int end(void **state)
{
    frozen = 0;
    return pushpull_end(state);
}

/* ---- what is done ---- */

static void rest(void)
{
    frozen += REST;
}

/* One right after the other. */
static void send_burst(int n)
{
    while (n-- > 0)
        assert_int_equal(weir_send(push, "x", 1, 0), 0);
}

/* What the I/O thread does with a tick; should it come back? */
static bool tick(void)
{
    bool again;

    weir_sock_lock(sock);
    again = weir_pace_tick(sock);
    weir_sock_unlock(sock);
    return again;
}

static void hear(int n)
{
    frozen = 0;
    while (n-- > 0)
        pushpull_hear(pull, "x");
    frozen = __real_weir_now();
}

static bool unsent(void)
{
    return !weir_list_empty(&sock->unflushed);
}

/* ---- tests ---- */

static void test_few_go_at_once(void **state)
{
    (void)state;
    rest();
    send_burst(FEW);
    assert_false(unsent());
    assert_false(pace->streaming);
    hear(FEW);
}

/* The I/O thread is woken for it, takes what there is, and that was it. */
static void test_burst(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    assert_true(unsent());
    assert_true(pace->first);
    assert_true(atomic_load(&sock->reactor->hurry));
    assert_false(tick());
    assert_false(unsent());
    assert_false(pace->streaming);
    hear(20);
}

static void test_thread_takes_it(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    pushpull_let_go();
    hear(20);
}

/* After a long one the second message may be the first of many. */
static void test_expects_what_was(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    (void)tick();
    rest();
    send_burst(2);
    assert_true(unsent());
    assert_false(tick()); /* it was not */
    rest();
    send_burst(FEW);
    assert_false(unsent());
    hear(20 + 2 + FEW);
}

/* With no rest before it, it is the same stream: the batch is let grow, and
 * the tick comes soon, however far the next one was. */
static void test_stream_goes_on(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    (void)tick();
    weir_reactor_tick(sock->reactor, &sock->tick, FAR);
    atomic_store(&sock->reactor->tick_at, frozen + FAR);
    atomic_store(&sock->reactor->hurry, false);
    send_burst(20);
    assert_true(pace->streaming);
    assert_false(pace->first);
    assert_false(atomic_load(&sock->reactor->hurry));
    assert_true(atomic_load(&sock->reactor->tick_at) < frozen + FAR / 100);
    assert_true(tick());
    assert_true(unsent()); /* too young */
    rest();
    assert_true(tick());
    assert_false(unsent());
    assert_false(tick()); /* nothing more came */
    hear(40);
}

/* Who goes on sending while it is taken has a stream. */
static void test_no_burst_when_more_comes(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    pace->first = false; /* as the sender's own look at the clock leaves it */
    rest();
    assert_true(tick());
    assert_true(pace->streaming);
    hear(20);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_few_go_at_once),  CASE(test_burst),
        CASE(test_thread_takes_it), CASE(test_expects_what_was),
        CASE(test_stream_goes_on),  CASE(test_no_burst_when_more_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
