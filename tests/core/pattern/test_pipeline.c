/*
 * test_pipeline.c - PUSH and PULL, and with them the load balance and the fair
 * queue that others have too.
 */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pattern/fairqueue.h"

/* WIRE 111: without a peer a send waits; 110: round robin, whole messages. */
static void test_round_robin(void **state)
{
    struct weir_pipe *pipe[3];
    char text[32];

    (void)state;
    fx_open(WEIR_PUSH);
    assert_int_equal(fx_send("x"), -EAGAIN);
    for (int i = 0; i < 3; i++)
        pipe[i] = fx_accept(NULL);
    assert_true(fx.wakes[WEIR_WAIT_OUT] >= 1);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof text, "%d|%c||", i, 'a' + i);
        assert_int_equal(fx_send(text), 0);
    }
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof text, "%d|%c||", i, 'a' + i);
        assert_string_equal(fx_sent(pipe[i % 3]), text);
    }
    assert_string_equal(fx_sent(pipe[0]), "none");
    fx_close();
}

/* A peer at its mark is passed over; when all are, a send waits until one has
 * come down to half. */
static void test_marks(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUSH);
    fx.binder->send_mark = 4;
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    for (int i = 0; i < 6; i++)
        assert_int_equal(fx_send("m"), 0);
    assert_int_equal(fx_drain(two), 3);
    assert_int_equal(fx_send("m"), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fx_send("n"), 0);
    assert_int_equal(fx_send("n"), -EAGAIN);
    assert_string_equal(fx_sent(one), "m");
    assert_int_equal(fx_send("n"), -EAGAIN);
    assert_string_equal(fx_sent(one), "m");
    assert_int_equal(fx_send("o"), 0);
    assert_int_equal(fx_drain(one), 3);
    assert_int_equal(fx_drain(two), 4);
    fx_close();
}

/* WIRE 112: a connect's queue takes its mark of messages without a peer, and
 * keeps them when a connection is lost. */
static void test_before_connection(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUSH);
    fx.dialer->send_mark = 3;
    pipe = fx_connect();
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_send(i ? "b" : "a"), 0);
    assert_int_equal(fx_send("c"), -EAGAIN);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "a");
    fx_lose(pipe);
    assert_int_equal(fx.gone, 0);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_int_equal(fx_drain(pipe), 2);
    assert_int_equal(fx_send("d"), 0);
    fx_close();
}

/* A bind's peer that is gone gets nothing more; "immediate" makes a connect's
 * the same. */
static void test_gone(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUSH);
    pipe = fx_accept(NULL);
    fx_lose(pipe);
    assert_int_equal(fx.gone, 1);
    assert_int_equal(fx_send("x"), -EAGAIN);
    fx.dialer->immediate = true;
    pipe = fx_connect();
    assert_int_equal(fx_send("x"), -EAGAIN);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_int_equal(fx_send("x"), 0);
    fx_lose(pipe);
    assert_int_equal(fx_send("x"), -EAGAIN);
    fx_close();
}

/* Other policies at the mark; dropping is for when all are full. */
static void test_policies(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUSH);
    fx.binder->send_mark = 2;
    fx.binder->send_policy = WEIR_POLICY_DROP_NEW;
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fx_send("m"), 0);
    assert_int_equal(fx_drain(two), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_send("m"), 0);
    assert_int_equal(one->tally.send_dropped[WEIR_DROP_MARK], 0);
    assert_int_equal(fx_send("n"), 0);
    assert_int_equal(one->tally.send_dropped[WEIR_DROP_MARK] +
                         two->tally.send_dropped[WEIR_DROP_MARK],
                     1);
    assert_int_equal(one->tally.refused_put + two->tally.refused_put, 1);
    assert_int_equal(fx_drain(one) + fx_drain(two), 4);
    fx_close();
}

/* A PULL that speaks is read and not heard. */
static void test_unwanted(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUSH);
    pipe = fx_accept(NULL);
    for (int i = 0; i < 3; i++)
        fx_feed(pipe, "what|ever");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_UNWANTED], 3);
    assert_false(weir_pipe_ready(pipe));
    fx_close();
}

/* ---- PULL ---- */

static void test_pull(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    assert_string_equal(fx_recv(), "again");
    pipe = fx_accept(NULL);
    fx_feed(pipe, "a|b|");
    fx_feed(pipe, "");
    assert_string_equal(fx_recv(), "a|b|");
    assert_string_equal(fx_recv(), "");
    assert_string_equal(fx_recv(), "again");
    fx_feed(pipe, "c");
    assert_string_equal(fx_recv(), "c");
    assert_int_equal(fx_delivered(pipe), 3);
    fx_close();
}

/* Up to eight messages of one peer, then the next has its turn. */
static void test_fair(void **state)
{
    struct weir_pipe *one, *two;
    int run = 0, longest = 0, got = 0;
    char last = 0;

    (void)state;
    fx_open(WEIR_PULL);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    for (int i = 0; i < 100; i++)
        fx_feed(one, "1");
    for (int i = 0; i < 10; i++)
        fx_feed(two, "2");
    for (int i = 0; i < 20; i++) {
        const char *text = fx_recv();

        run = *text == last ? run + 1 : 1;
        last = *text;
        longest = run > longest ? run : longest;
        got += last == '2';
    }
    assert_in_range(longest, 2, 8);
    assert_in_range(got, 8, 10);
    fx_close();
}

/* PROMISES 8, WIRE 114: what was not whole when the peer died is gone, and
 * what was stays; the pipe goes when it is drained. */
static void test_whole_messages(void **state)
{
    struct weir_pipe *pipe, *other;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    other = fx_accept(NULL);
    fx_feed(pipe, "a|1");
    fx_feed(pipe, "b|2");
    fx_feed_part(pipe, "c|3|4");
    fx_lose(pipe);
    assert_int_equal(fx.gone, 0);
    assert_string_equal(fx_recv(), "a|1");
    assert_string_equal(fx_recv(), "b|2");
    fx_feed(other, "d|4");
    assert_string_equal(fx_recv(), "d|4");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.gone, 1);
    fx_close();
}

/* The same when a connect's pipe comes up again. */
static void test_whole_after_reconnect(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_feed(pipe, "a|1");
    fx_feed_part(pipe, "b|2");
    fx_lose(pipe);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_feed(pipe, "c|3");
    assert_string_equal(fx_recv(), "a|1");
    assert_string_equal(fx_recv(), "c|3");
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

/* Commands reach no application, and leave nothing to wake it for. */
static void test_commands(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "!SUBSCRIBE:a");
    assert_string_equal(fx_recv(), "again");
    fx_feed(pipe, "!SUBSCRIBE:a");
    fx_feed(pipe, "m");
    assert_string_equal(fx_recv(), "m");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_UNWANTED], 2);
    fx_close();
}

/* What came before the pipe was up is found, and who waits is told. */
static void test_early(void **state)
{
    struct weir_pipe *pipe;
    int wakes;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_connect();
    fx_feed(pipe, "early");
    wakes = fx.wakes[WEIR_WAIT_IN];
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_int_equal(fx.wakes[WEIR_WAIT_IN], wakes + 1);
    assert_string_equal(fx_recv(), "early");
    fx_close();
}

static bool is_told(struct weir_pipe *pipe)
{
    return atomic_load(&pipe->in->reader_armed) != 0;
}

/* A link that is alone and has nothing stays: whoever comes looks at it.  Of
 * two the one that has nothing leaves and is told of what comes. */
static void test_dry_links(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PULL);
    one = fx_accept(NULL);
    assert_true(is_told(one));
    fx_feed(one, "a");
    assert_string_equal(fx_recv(), "a");
    assert_string_equal(fx_recv(), "again");
    assert_false(is_told(one));
    fx_feed(one, "b");
    assert_string_equal(fx_recv(), "b");
    two = fx_accept(NULL);
    fx_feed(two, "c");
    assert_string_equal(fx_recv(), "c");
    assert_true(is_told(one));
    assert_string_equal(fx_recv(), "again");
    assert_false(is_told(two));
    fx_feed(one, "d");
    assert_string_equal(fx_recv(), "d");
    assert_string_equal(fx_recv(), "again");
    assert_true(is_told(one) != is_told(two));
    fx_close();
}

/* Who waits for a descriptor does not look before it is readable. */
static void test_watched(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    atomic_store(&fx.sock->watched, true);
    fx_feed(pipe, "a");
    assert_string_equal(fx_recv(), "a");
    assert_string_equal(fx_recv(), "again");
    assert_true(is_told(pipe));
    fx_close();
}

/* Before sleep: everything is armed, or there is something. */
static void test_arm(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    assert_false(weir_fairqueue_arm(fx.sock));
    fx_feed(pipe, "a");
    assert_true(weir_fairqueue_arm(fx.sock));
    assert_string_equal(fx_recv(), "a");
    assert_false(weir_fairqueue_arm(fx.sock));
    assert_true(weir_list_empty(&fx.sock->in_turn));
    fx_feed(pipe, "b");
    assert_false(weir_list_empty(&fx.sock->in_turn));
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "b");
    assert_int_equal(fx.gone, 0);
    assert_false(weir_fairqueue_arm(fx.sock));
    assert_int_equal(fx.gone, 1);
    fx_close();
}

/* Pipes of inproc stay in turn while somebody looks, but not too many. */
static void test_splices(void **state)
{
    struct weir_pipe *pipe[10];

    (void)state;
    fx_open(WEIR_PULL);
    for (int i = 0; i < 10; i++) {
        pipe[i] = fx_accept(NULL);
        pipe[i]->splice = (struct weir_splice *)(void *)pipe[i];
        fx_feed(pipe[i], "m");
    }
    for (int i = 0; i < 10; i++)
        assert_string_equal(fx_recv(), "m");
    assert_int_equal(fx.sock->in_splices, 10);
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.sock->in_splices, 0);
    fx_feed(pipe[3], "n");
    fx_feed(pipe[4], "n");
    assert_string_equal(fx_recv(), "n");
    assert_string_equal(fx_recv(), "n");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.sock->in_splices, 2);
    assert_false(weir_fairqueue_arm(fx.sock));
    assert_int_equal(fx.sock->in_splices, 0);
    for (int i = 0; i < 10; i++)
        pipe[i]->splice = NULL;
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_before_connection),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_unwanted),
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_fair),
        cmocka_unit_test(test_whole_messages),
        cmocka_unit_test(test_whole_after_reconnect),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_dry_links),
        cmocka_unit_test(test_watched),
        cmocka_unit_test(test_arm),
        cmocka_unit_test(test_splices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
