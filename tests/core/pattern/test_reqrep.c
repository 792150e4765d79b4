/* test_reqrep.c - REQ and REP. */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* WIRE 97: an empty frame, then the body; strictly in turn. */
static void test_turns(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    assert_string_equal(fx_recv(), "state");
    assert_int_equal(fx_send("q"), -EAGAIN);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("q|2"), 0);
    assert_string_equal(fx_sent(pipe), "|q|2");
    assert_int_equal(fx_send("r"), -WEIR_ESTATE);
    assert_non_null(strstr(weir_error_text(), "REQ"));
    assert_string_equal(fx_recv(), "again");
    fx_feed(pipe, "|a|3");
    assert_int_equal(fx_send("r"), -WEIR_ESTATE);
    assert_string_equal(fx_recv(), "a|3");
    assert_string_equal(fx_recv(), "state");
    assert_int_equal(fx_send("r"), 0);
    assert_string_equal(fx_sent(pipe), "|r");
    fx_close();
}

/* Requests go round, to peers with room. */
static void test_round_robin(void **state)
{
    struct weir_pipe *pipe[2];

    (void)state;
    fx_open(WEIR_REQ);
    pipe[0] = fx_accept(NULL);
    pipe[1] = fx_accept(NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fx_send("q"), 0);
        assert_string_equal(fx_sent(pipe[i % 2]), "|q");
        fx_feed(pipe[i % 2], "|a");
        assert_string_equal(fx_recv(), "a");
    }
    fx_close();
}

/* WIRE 98: replies of others, and replies that come late, are dropped. */
static void test_stale(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_REQ);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    assert_int_equal(fx_send("q"), 0);
    assert_string_equal(fx_sent(one), "|q");
    fx_feed(two, "|not asked");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(two->tally.recv_dropped[WEIR_DROP_STALE], 1);
    fx_feed(one, "|a");
    fx_feed(one, "|again");
    fx_feed(two, "|once more");
    assert_string_equal(fx_recv(), "a");
    assert_int_equal(fx_send("r"), 0);
    assert_int_equal(one->tally.recv_dropped[WEIR_DROP_STALE], 1);
    assert_int_equal(two->tally.recv_dropped[WEIR_DROP_STALE], 2);
    assert_string_equal(fx_sent(two), "|r");
    fx_feed(two, "|b");
    assert_string_equal(fx_recv(), "b");
    fx_close();
}

/* WIRE 99: the connection of a peer that sends no delimiter is closed. */
static void test_malformed(void **state)
{
    static const char *const bad[] = {"a",        "",       "a|b",   "a||b",
                                      "12345||b", "1234|b", "1234|", "1234"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct weir_pipe *pipe;

        fx_open(WEIR_REQ);
        pipe = fx_accept(NULL);
        assert_int_equal(fx_send("q"), 0);
        fx_feed(pipe, bad[i]);
        fx_feed(pipe, "|good");
        assert_string_equal(fx_recv(), "good");
        assert_ptr_equal(fx.refused, pipe);
        assert_int_equal(fx.code, EPROTO);
        assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_MALFORMED], 1);
        fx_close();
    }
}

/* WIRE 100: the number goes before the delimiter, and must come back. */
static void test_correlate(void **state)
{
    struct weir_pipe *pipe;
    char first[64], second[64], reply[80];

    (void)state;
    fx_open(WEIR_REQ);
    fx.sock->options.correlate = fx.sock->options.relaxed = true;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a"), 0);
    snprintf(first, sizeof first, "%s", fx_sent(pipe));
    assert_int_equal(fx_send("b"), 0);
    snprintf(second, sizeof second, "%s", fx_sent(pipe));
    assert_string_equal(strchr(first, '|'), "||a");
    assert_string_equal(strchr(second, '|'), "||b");
    *strchr(first, '|') = *strchr(second, '|') = '\0';
    assert_string_not_equal(first, second);
    snprintf(reply, sizeof reply, "%s||old", first);
    fx_feed(pipe, reply);
    fx_feed(pipe, "|none");
    assert_string_equal(fx_recv(), "again");
    snprintf(reply, sizeof reply, "%s||new", second);
    fx_feed(pipe, reply);
    assert_string_equal(fx_recv(), "new");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_STALE], 2);
    assert_null(fx.refused);
    fx_close();
}

/* A number that nobody asked for makes a reply a stale one. */
static void test_uninvited_number(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a"), 0);
    fx_feed(pipe, "1234||x");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_STALE], 1);
    assert_null(fx.refused);
    fx_close();
}

/* A reply that was looked at and not received is given up with its request. */
static void test_relaxed(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    fx.sock->options.relaxed = true;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a"), 0);
    fx_feed(pipe, "|old|2");
    assert_true(fx.sock->pattern->can_recv(fx.sock));
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_STALE], 1);
    fx_feed(pipe, "|new|2");
    assert_string_equal(fx_recv(), "new|2");
    fx_close();
}

/* The peer that was asked goes: its reply may still be there, or is waited
 * for in vain; a connect's peer comes back. */
static void test_peer_gone(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a"), 0);
    fx_feed(pipe, "|in time");
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "in time");
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("b"), 0);
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx_send("c"), -WEIR_ESTATE);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "|from another");
    assert_string_equal(fx_recv(), "again");
    fx.sock->options.relaxed = true;
    assert_int_equal(fx_send("d"), 0);
    fx_close();
}

static void test_reconnect(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    pipe = fx_connect();
    assert_int_equal(fx_send("a"), 0);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_lose(pipe);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "|a");
    fx_feed(pipe, "|b");
    assert_string_equal(fx_recv(), "b");
    fx_close();
}

/* The pipe goes while its reply is open and not received. */
static void test_open_reply_goes(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a"), 0);
    fx_feed(pipe, "|b");
    assert_true(fx.sock->pattern->can_recv(fx.sock));
    fx_bury(pipe);
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

/* ---- REP ---- */

static void test_rep_turns(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REP);
    assert_int_equal(fx_send("a"), -WEIR_ESTATE);
    assert_string_equal(fx_recv(), "again");
    pipe = fx_accept(NULL);
    fx_feed(pipe, "|q|2");
    fx_feed(pipe, "|r");
    assert_string_equal(fx_recv(), "q|2");
    assert_string_equal(fx_recv(), "state");
    assert_int_equal(fx_send("a|3"), 0);
    assert_int_equal(fx_send("a"), -WEIR_ESTATE);
    assert_string_equal(fx_sent(pipe), "|a|3");
    assert_string_equal(fx_recv(), "r");
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_sent(pipe), "|b");
    fx_close();
}

/* WIRE 101: any addresses before the first empty frame go back as they came;
 * without such a frame it is no request. */
static void test_envelope(void **state)
{
    struct weir_pipe *pipe;
    char text[512];
    size_t at = 0;

    (void)state;
    fx_open(WEIR_REP);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "no|delimiter");
    fx_feed(pipe, "");
    fx_feed(pipe, "last|");
    fx_feed(pipe, "one|two||body||x");
    assert_string_equal(fx_recv(), "body||x");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_MALFORMED], 3);
    assert_int_equal(fx_delivered(pipe), 1);
    assert_int_equal(fx_send("reply|"), 0);
    assert_string_equal(fx_sent(pipe), "one|two||reply|");
    for (int i = 0; i < 40; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "a%d|", i);
    snprintf(text + at, sizeof text - at, "|q");
    fx_feed(pipe, text);
    assert_string_equal(fx_recv(), "q");
    assert_int_equal(fx_send("q"), 0);
    assert_string_equal(fx_sent(pipe), text);
    fx_feed(pipe, "||");
    assert_string_equal(fx_recv(), "|");
    fx_close();
}

/* Replies go to the peer that asked, requests are heard in turn. */
static void test_askers(void **state)
{
    struct weir_pipe *one, *two;
    const char *who;

    (void)state;
    fx_open(WEIR_REP);
    one = fx_accept("one");
    two = fx_accept("two");
    fx_feed(one, "|1");
    fx_feed(two, "|2");
    for (int i = 0; i < 2; i++) {
        who = fx_recv();
        assert_int_equal(fx_send(*who == '1' ? "to 1" : "to 2"), 0);
    }
    assert_string_equal(fx_sent(one), "|to 1");
    assert_string_equal(fx_sent(two), "|to 2");
    fx_close();
}

/* WIRE 102: a reply to a peer that is gone succeeds, and counts. */
static void test_asker_gone(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REP);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "|q");
    assert_string_equal(fx_recv(), "q");
    fx_lose(pipe);
    assert_int_equal(fx.gone, 1);
    assert_int_equal(fx_send("a"), 0);
    assert_int_equal(fx.sock->gone.accepted, 1);
    assert_int_equal(fx.sock->gone.send_dropped[WEIR_DROP_NO_ROUTE], 1);
    assert_int_equal(fx_send("a"), -WEIR_ESTATE);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "|q");
    fx_feed(pipe, "|r");
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "q");
    assert_int_equal(fx.gone, 1);
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_recv(), "r");
    assert_int_equal(fx_send("b"), 0);
    assert_int_equal(fx.sock->gone.send_dropped[WEIR_DROP_NO_ROUTE], 3);
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.gone, 2);
    fx_close();
}

/* A full queue drops the reply, and the next request is heard. */
static void test_full(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REP);
    fx.binder->send_mark = 1;
    pipe = fx_accept(NULL);
    for (int i = 0; i < 2; i++) {
        fx_feed(pipe, "|q");
        assert_string_equal(fx_recv(), "q");
        assert_int_equal(fx_send("a"), 0);
    }
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 1);
    fx_close();
}

/* The pipe goes while its request is open and not received. */
static void test_open_request_goes(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REP);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "a||q");
    assert_true(fx.sock->pattern->can_recv(fx.sock));
    fx_bury(pipe);
    assert_string_equal(fx_recv(), "again");
    pipe = fx_accept(NULL);
    fx_feed(pipe, "b||r");
    assert_string_equal(fx_recv(), "r");
    assert_int_equal(fx_send("s"), 0);
    assert_string_equal(fx_sent(pipe), "b||s");
    fx_close();
}

/* WIRE 106 for REP. */
static void test_same_id(void **state)
{
    struct weir_pipe *old;

    (void)state;
    fx_open(WEIR_REP);
    old = fx_accept("id");
    assert_null(fx_accept("id"));
    assert_int_equal(fx.code, EEXIST);
    fx.sock->options.handover = true;
    assert_non_null(fx_accept("id"));
    assert_ptr_equal(fx.refused, old);
    assert_non_null(fx_accept(NULL));
    assert_non_null(fx_accept(NULL));
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_correlate),
        cmocka_unit_test(test_uninvited_number),
        cmocka_unit_test(test_relaxed),
        cmocka_unit_test(test_peer_gone),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_open_reply_goes),
        cmocka_unit_test(test_rep_turns),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_askers),
        cmocka_unit_test(test_asker_gone),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_open_request_goes),
        cmocka_unit_test(test_same_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
