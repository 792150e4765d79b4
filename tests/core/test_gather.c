/*
 * Who receives a stream from a thread of its own process lets some of it gather
 * before it looks again.
 */
#include "config.h"

#include <errno.h>
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
    STREAM = 2, /* messages in a row, at least */
    MOMENT = 1, /* ms */
    SKIPPED = 2 /* chances, after the first that came to nothing */
};

static _Thread_local void (*meanwhile)(void);

int64_t __real_weir_now(void);
int64_t __wrap_weir_now(void);

/* Does it let some gather now?  Of all that looks at the clock in a receive
 * only that has neither the lock nor said that it sleeps: who spins is not
 * here. */
static bool gathers(struct weir_sock *sock)
{
    bool does;

    if (!weir_sock_try_lock(sock))
        return false;
    does = sock->waiting[WEIR_WAIT_IN] == 0;
    weir_sock_unlock(sock);
    return does;
}

int64_t __wrap_weir_now(void)
{
    void (*then)(void) = meanwhile;

    if (then && gathers(weir_shells_sock(pull.index))) {
        meanwhile = NULL;
        then();
    }
    return __real_weir_now();
}

static void send_more(void)
{
    for (int i = 0; i < STREAM; i++)
        assert_int_equal(weir_send(push, "more", 4, SOON), 0);
}

static int begin(void **state)
{
    (void)pushpull_begin(state);
    meanwhile = NULL;
    assert_int_equal(weir_set_int(pull, "spin", 0), 0);
    return 0;
}

static int end(void **state)
{
    meanwhile = NULL;
    return pushpull_end(state);
}

static void stream(int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    for (int i = 0; i < n; i++)
        pushpull_hear(pull, "text");
}

static void hear_nothing(int timeout)
{
    char data[ROOM];
    size_t size = sizeof data;

    assert_int_equal(weir_recv(pull, data, &size, timeout), -EAGAIN);
}

/* How often it let some gather, and none came, in a row. */
static uint32_t in_vain(void)
{
    struct weir_sock *sock;
    uint32_t misses;

    assert_int_equal(weir_sock_get(pull, &sock), 0);
    misses = sock->gathers.misses;
    weir_sock_put(sock);
    return misses;
}

/* ---- it does ---- */

static void test_some_come(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://gather");
    stream(STREAM);
    meanwhile = send_more;
    for (int i = 0; i < STREAM; i++)
        pushpull_hear(pull, "more");
    assert_null(meanwhile);
    assert_int_equal(in_vain(), 0);
}

/* Then it is left out for a while, and tried again. */
static void test_none_come(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://gather");
    stream(STREAM);
    hear_nothing(MOMENT);
    assert_int_equal(in_vain(), 1);
    for (int i = 0; i < SKIPPED; i++) {
        stream(STREAM);
        hear_nothing(MOMENT);
        assert_int_equal(in_vain(), 1);
    }
    stream(STREAM);
    hear_nothing(MOMENT);
    assert_int_equal(in_vain(), 2);
}

/* ---- it does not ---- */

static void test_not_after_a_lone_one(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://gather");
    for (int i = 0; i < 2 * STREAM; i++) {
        stream(1);
        hear_nothing(MOMENT);
    }
    assert_int_equal(in_vain(), 0);
}

static void test_not_over_a_connection(void **state)
{
    (void)state;
    pushpull_join(pull, push, "ipc://*");
    stream(STREAM);
    hear_nothing(MOMENT);
    assert_int_equal(in_vain(), 0);
}

static void spinning(bool is)
{
    struct weir_sock *sock;

    assert_int_equal(weir_sock_get(pull, &sock), 0);
    sock->spinning = is;
    weir_sock_put(sock);
}

static void test_not_while_somebody_spins(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://gather");
    spinning(true);
    stream(STREAM);
    hear_nothing(MOMENT);
    spinning(false);
    assert_int_equal(in_vain(), 0);
}

static void test_not_without_time(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://gather");
    stream(STREAM);
    hear_nothing(WEIR_NOWAIT);
    assert_int_equal(in_vain(), 0);
    hear_nothing(MOMENT); /* the stream is remembered */
    assert_int_equal(in_vain(), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_some_come),
        CASE(test_none_come),
        CASE(test_not_after_a_lone_one),
        CASE(test_not_over_a_connection),
        CASE(test_not_while_somebody_spins),
        CASE(test_not_without_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
