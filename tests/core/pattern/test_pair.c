/* test_pair.c - PAIR and DEALER. */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

/* WIRE 117: a second peer is refused, the first goes on. */
static void test_one_peer(void **state)
{
    struct weir_pipe *first;

    (void)state;
    fx_open(WEIR_PAIR);
    assert_int_equal(fx_send("x"), -EAGAIN);
    first = fx_accept(NULL);
    assert_int_equal(fx_send("a|b"), 0);
    assert_null(fx_accept(NULL));
    assert_int_equal(fx.code, EBUSY);
    assert_non_null(strstr(weir_error_text(), "PAIR"));
    assert_null(fx_connect());
    assert_string_equal(fx_sent(first), "a|b");
    fx_feed(first, "c|");
    assert_string_equal(fx_recv(), "c|");
    fx_close();
}

/* After the first has gone another may come; what was left is received. */
static void test_next_peer(void **state)
{
    struct weir_pipe *first, *next;

    (void)state;
    fx_open(WEIR_PAIR);
    first = fx_accept(NULL);
    fx_feed(first, "old");
    fx_lose(first);
    assert_int_equal(fx_send("x"), -EAGAIN);
    next = fx_accept(NULL);
    assert_non_null(next);
    fx_feed(next, "new");
    assert_int_equal(fx_send("y"), 0);
    assert_string_equal(fx_sent(next), "y");
    assert_string_equal(fx_recv(), "old");
    assert_string_equal(fx_recv(), "new");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.gone, 1);
    assert_int_equal(fx_send("z"), 0);
    fx_close();
}

/* A connect's peer is the peer, connected or not. */
static void test_connect(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PAIR);
    pipe = fx_connect();
    assert_int_equal(fx_send("early"), 0);
    assert_null(fx_accept(NULL));
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_lose(pipe);
    assert_null(fx_accept(NULL));
    assert_int_equal(fx_send("late"), 0);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "early");
    assert_string_equal(fx_sent(pipe), "late");
    fx_close();
}

static void test_mark(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PAIR);
    fx.binder->send_mark = 2;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("1"), 0);
    assert_int_equal(fx_send("2"), 0);
    assert_int_equal(fx_send("3"), -EAGAIN);
    assert_int_equal(fx_drain(pipe), 2);
    assert_int_equal(fx_send("3"), 0);
    fx_close();
}

/* ---- DEALER ---- */

static void test_dealer(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_DEALER);
    assert_int_equal(fx_send("x"), -EAGAIN);
    one = fx_accept(NULL);
    two = fx_connect();
    assert_int_equal(fx_send("|a"), 0);
    assert_int_equal(fx_send("|b"), 0);
    assert_string_equal(fx_sent(one), "|a");
    assert_string_equal(fx_sent(two), "|b");
    assert_int_equal(fx_reach(two, NULL), 0);
    fx_feed(two, "id||x");
    assert_string_equal(fx_recv(), "id||x");
    assert_string_equal(fx_recv(), "again");
    fx_lose(one);
    assert_int_equal(fx_send("c"), 0);
    assert_string_equal(fx_sent(two), "c");
    fx_close();
}

/* WIRE 108: an empty message on each connection. */
static void test_probe(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_DEALER);
    fx.dialer->probe = true;
    pipe = fx_connect();
    assert_string_equal(fx_sent(pipe), "none");
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "");
    assert_string_equal(fx_sent(pipe), "none");
    fx_lose(pipe);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "");
    assert_string_equal(fx_sent(pipe), "none");
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_peer), cmocka_unit_test(test_next_peer),
        cmocka_unit_test(test_connect),  cmocka_unit_test(test_mark),
        cmocka_unit_test(test_dealer),   cmocka_unit_test(test_probe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
