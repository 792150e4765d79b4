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
    FEW = 4,          /* that go at once, however quickly they follow */
    REST = 10000000,  /* ns: more than enough */
    FAR = 2000000000, /* ns */
    MOST = 1000000,   /* ns until a tick, at most */
    BLIND = 128       /* messages between two looks, at most */
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

static int more;          /* messages sent while a batch is on its way, */
static int64_t takes;     /* ns that this takes */
static bool looked_after; /* towards the end of that */

int __real_weir_link_flush(struct weir_link *link);
int __wrap_weir_link_flush(struct weir_link *link);

int __wrap_weir_link_flush(struct weir_link *link)
{
    int r = __real_weir_link_flush(link);

    if (frozen && takes > 0) {
        frozen += takes;
        looked_after = weir_pace_is_looked_after(sock);
    }
    while (frozen && more > 0) {
        more--;
        assert_int_equal(weir_send(push, "x", 1, 0), 0);
    }
    return r;
}

/* ---- around each test ---- */

static int begin(void **state)
{
    (void)pushpull_begin(state);
    pushpull_join(pull, push, "ipc://*");
    assert_true(weir_wait_peers(pull, 1, SOON) >= 1);
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

/* The last step: where sets do not nest it is the I/O thread that reads. */
static void hear(int n)
{
    pushpull_let_go();
    frozen = 0;
    while (n-- > 0)
        pushpull_hear(pull, "x");
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
    send_burst(1); /* its socket is no longer at rest */
    rest();
    atomic_store(&sock->reactor->asleep, true);
    send_burst(20);
    assert_true(unsent());
    assert_true(pace->first);
    assert_true(atomic_load(&sock->reactor->hurry));
    assert_false(atomic_load(&sock->reactor->asleep)); /* it was woken */
    assert_false(tick());
    assert_false(unsent());
    assert_false(pace->streaming);
    hear(21);
}

static void test_thread_takes_it(void **state)
{
    (void)state;
    rest();
    send_burst(20);
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
    assert_true(atomic_load(&sock->tick.wanted));
    atomic_store(&sock->reactor->tick_at, frozen + FAR);
    atomic_store(&sock->reactor->hurry, false);
    send_burst(20);
    assert_true(pace->streaming);
    assert_false(pace->first);
    assert_false(atomic_load(&sock->reactor->hurry));
    assert_in_range(atomic_load(&sock->reactor->tick_at), frozen,
                    frozen + MOST);
    assert_true(tick());
    assert_true(unsent()); /* too young */
    rest();
    assert_true(tick());
    assert_false(unsent());
    assert_false(tick()); /* nothing more came */
    hear(40);
}

/* Old is what a batch has cost, but who sends no more is not waited for. */
static void test_tail(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    (void)tick();
    send_burst(20);
    assert_true(pace->streaming);
    pace->batch_age = MOST;
    frozen += MOST / 100;
    assert_true(tick());
    assert_true(unsent()); /* he may have more */
    frozen += MOST / 20;
    assert_true(tick());
    assert_false(unsent());
    hear(40);
}

/* Half of what may wait is written, before there is no room for more. */
static void test_half_a_mark(void **state)
{
    struct weir_pipe *pipe =
        WEIR_CONTAINER(weir_list_first(&sock->pipes), struct weir_pipe, all);
    int n = 0;

    (void)state;
    rest();
    send_burst(20);
    (void)tick();
    send_burst(20);
    weir_sock_lock(sock);
    (void)weir_drive_output(sock);
    weir_sock_unlock(sock);
    assert_true(pace->streaming);
    pipe->out->in.batch.messages = 10;
    do
        send_burst(1);
    while (++n < 2 * BLIND && unsent());
    assert_in_range(n, 10, 10 + BLIND);
    hear(40 + n);
}

/* The reactor does not take the lock from who is writing a batch. */
static void test_long_write(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    takes = MOST / 2;
    (void)tick();
    takes = 0;
    assert_true(looked_after);
    hear(20);
}

/* Who goes on sending while the first batch is written has a stream. */
static void test_more_comes_meanwhile(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    more = 1;
    assert_true(tick());
    assert_int_equal(more, 0);
    assert_true(pace->streaming);
    assert_false(pace->first);
    hear(21);
}

/* Who receives after a burst brings it to the kernel himself: the next time
 * nobody is woken for that. */
static void test_receives_next(void **state)
{
    (void)state;
    rest();
    send_burst(20);
    weir_sock_lock(sock);
    weir_pace_receive(sock);
    (void)weir_drive_output(sock);
    weir_sock_unlock(sock);
    assert_false(pace->first);
    atomic_store(&sock->reactor->hurry, false);
    rest();
    send_burst(20);
    assert_true(pace->streaming);
    assert_false(pace->first);
    assert_false(atomic_load(&sock->reactor->hurry));
    rest();
    (void)tick();
    assert_false(tick()); /* it did not receive this time */
    rest();
    send_burst(20);
    assert_true(pace->first);
    hear(60);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_few_go_at_once),       CASE(test_burst),
        CASE(test_thread_takes_it),      CASE(test_expects_what_was),
        CASE(test_stream_goes_on),       CASE(test_tail),
        CASE(test_half_a_mark),          CASE(test_long_write),
        CASE(test_more_comes_meanwhile), CASE(test_receives_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
