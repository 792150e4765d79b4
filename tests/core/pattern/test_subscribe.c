/* test_subscribe.c - SUB and XSUB. */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../memory.h"

/* WIRE 87: every subscription is sent, of the ends only the last. */
static void test_counts(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_SUB);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_subscribe("a", true), 0);
    assert_int_equal(fx_subscribe("a", true), 0);
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:a");
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:a");
    assert_int_equal(fx_subscribe("a", false), 0);
    assert_string_equal(fx_sent(pipe), "none");
    assert_int_equal(fx_subscribe("a", false), 0);
    assert_string_equal(fx_sent(pipe), "!CANCEL:a");
    assert_int_equal(fx_subscribe("a", false), -ENOENT);
    assert_string_equal(fx_sent(pipe), "none");
    fx_close();
}

/* How many subscriptions the peer gets; `ends` of them are over again. */
static int told(struct weir_pipe *pipe, int *ends)
{
    const char *text;
    int n = 0;

    *ends = 0;
    while (strcmp(text = fx_sent(pipe), "none") != 0) {
        n += strncmp(text, "!SUBSCRIBE:", 11) == 0;
        *ends += strncmp(text, "!CANCEL:", 8) == 0;
    }
    return n;
}

/* A publisher hears of very many topics in steps, and of each as it is when
 * its turn comes. */
static void test_steps(void **state)
{
    struct weir_pipe *pipe;
    char topic[16];
    int ends, steps = 0;

    (void)state;
    fx_open(WEIR_SUB);
    assert_int_equal(fx_subscribe("", true), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof topic, "%04d", i);
        assert_int_equal(fx_subscribe(topic, true), 0);
    }
    pipe = fx_accept(NULL);
    assert_int_equal(told(pipe, &ends), 256);
    assert_int_equal(fx_subscribe("0100", false), 0); /* it knows of that */
    assert_string_equal(fx_sent(pipe), "!CANCEL:0100");
    assert_int_equal(fx_subscribe("0254", false), 0); /* the last of them */
    assert_string_equal(fx_sent(pipe), "!CANCEL:0254");
    assert_int_equal(fx_subscribe("0900", false), 0); /* not of these */
    assert_int_equal(fx_subscribe("0255.5", true), 0);
    assert_string_equal(fx_sent(pipe), "none");
    while (fx_tend())
        steps++;
    assert_int_equal(steps, 3);
    assert_int_equal(told(pipe, &ends), 1001 - 256);
    assert_int_equal(ends, 0);
    assert_int_equal(fx_subscribe("0901", false), 0);
    assert_string_equal(fx_sent(pipe), "!CANCEL:0901");
    fx_lose(pipe);
    pipe = fx_accept(NULL);
    assert_int_equal(told(pipe, &ends), 256);
    fx_lose(pipe); /* in the middle of that */
    assert_true(fx_tend());
    assert_false(fx_tend());
    fx_close();
}

/* WIRE 84, 86: the old form for old peers; long topics. */
static void test_forms(void **state)
{
    static const size_t sizes[] = {0, 1, 245, 246, 249, 250, 255, 256, 1000};
    struct weir_pipe *new, *old;
    char topic[1024], expected[1100];

    (void)state;
    fx_open(WEIR_SUB);
    new = fx_accept(NULL);
    old = fx_accept(NULL);
    old->minor = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(topic, 't', sizes[i]);
        topic[sizes[i]] = '\0';
        assert_int_equal(fx_subscribe(topic, true), 0);
        snprintf(expected, sizeof expected, "!SUBSCRIBE:%s", topic);
        assert_string_equal(fx_sent(new), expected);
        snprintf(expected, sizeof expected, "^%s", topic);
        assert_string_equal(fx_sent(old), expected);
        assert_int_equal(fx_subscribe(topic, false), 0);
        snprintf(expected, sizeof expected, "!CANCEL:%s", topic);
        assert_string_equal(fx_sent(new), expected);
        snprintf(expected, sizeof expected, "~%s", topic);
        assert_string_equal(fx_sent(old), expected);
    }
    fx_close();
}

/* WIRE 89: every topic once on a new connection; what waited for the last one
 * does not count. */
static void test_reconnect(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_SUB);
    pipe = fx_connect();
    assert_int_equal(fx_subscribe("b", true), 0);
    assert_int_equal(fx_subscribe("a", true), 0);
    assert_int_equal(fx_subscribe("a", true), 0);
    assert_string_equal(fx_sent(pipe), "none");
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:a");
    assert_int_equal(fx_subscribe("c", true), 0);
    fx_lose(pipe);
    assert_int_equal(fx_subscribe("b", false), 0);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:a");
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:c");
    assert_string_equal(fx_sent(pipe), "none");
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_CLOSED], 2);
    fx_close();
}

/* WIRE 90: what does not match is dropped, and does not look like input. */
static void test_filter(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_SUB);
    pipe = fx_accept(NULL);
    assert_int_equal(fx_subscribe("ab", true), 0);
    fx_feed(pipe, "a");
    fx_feed(pipe, "b|ab");
    fx_feed(pipe, "abc|x");
    fx_feed(pipe, "");
    fx_feed(pipe, "ab");
    assert_string_equal(fx_recv(), "abc|x");
    assert_string_equal(fx_recv(), "ab");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_UNWANTED], 3);
    assert_int_equal(fx_subscribe("", true), 0);
    fx_feed(pipe, "");
    assert_string_equal(fx_recv(), "");
    fx_close();
}

static void test_invert(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_SUB);
    fx.sock->options.invert = true;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_subscribe("a", true), 0);
    fx_feed(pipe, "ab");
    fx_feed(pipe, "b");
    assert_string_equal(fx_recv(), "b");
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

/* Without memory nothing has changed: publishers that were told are told
 * that it is over. */
static void test_no_memory(void **state)
{
    struct weir_pipe *pipe[3];
    char topic[600], text[700];
    int r = -ENOMEM, n;

    (void)state;
    memset(topic, 't', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    for (n = 0; r < 0; n++) {
        fx_open(WEIR_SUB);
        for (int i = 0; i < 3; i++)
            pipe[i] = fx_accept(NULL);
        memory_fail_at = n;
        r = fx_subscribe(topic, true);
        memory_fail_at = -1;
        assert_true(r == 0 || r == -ENOMEM);
        for (int i = 0; i < 3 && r < 0; i++) {
            snprintf(text, sizeof text, "%s", fx_sent(pipe[i]));
            if (strcmp(text, "none") != 0)
                assert_memory_equal(fx_sent(pipe[i]), "!CANCEL:t", 9);
            assert_string_equal(fx_sent(pipe[i]), "none");
            fx_feed(pipe[i], topic);
        }
        if (r < 0)
            assert_string_equal(fx_recv(), "again");
        assert_int_equal(fx_subscribe(topic, false), r < 0 ? -ENOENT : 0);
        fx_close();
    }
    assert_true(n > 3);
}

/* ---- XSUB ---- */

static void test_xsub(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_XSUB);
    assert_int_equal(fx_send("^a"), 0);
    assert_int_equal(fx_send("lost"), 0);
    assert_int_equal(fx.sock->gone.accepted, 1);
    assert_int_equal(fx.sock->gone.send_dropped[WEIR_DROP_NO_ROUTE], 1);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    two->minor = 0;
    assert_string_equal(fx_sent(one), "!SUBSCRIBE:a");
    (void)fx_sent(two);
    assert_int_equal(fx_send("^b"), 0);
    assert_int_equal(fx_send("^b"), 0);
    assert_int_equal(fx_send("~b"), 0);
    assert_int_equal(fx_send("~nothing"), 0);
    assert_int_equal(fx_send("hello|world"), 0);
    assert_int_equal(fx_send("^c|a message"), 0);
    assert_int_equal(fx_send("~b"), 0);
    assert_string_equal(fx_sent(one), "!SUBSCRIBE:b");
    assert_string_equal(fx_sent(one), "!SUBSCRIBE:b");
    assert_string_equal(fx_sent(one), "hello|world");
    assert_string_equal(fx_sent(one), "^c|a message");
    assert_string_equal(fx_sent(one), "!CANCEL:b");
    assert_string_equal(fx_sent(one), "none");
    assert_string_equal(fx_sent(two), "^b");
    assert_string_equal(fx_sent(two), "^b");
    assert_string_equal(fx_sent(two), "hello|world");
    assert_string_equal(fx_sent(two), "^c|a message");
    assert_string_equal(fx_sent(two), "~b");
    fx_feed(one, "unfiltered");
    assert_string_equal(fx_recv(), "unfiltered");
    fx_close();
}

/* Only connected publishers hear; a full one drops messages, and takes
 * subscriptions all the same. */
static void test_xsub_full(void **state)
{
    struct weir_pipe *pipe, *away;

    (void)state;
    fx_open(WEIR_XSUB);
    fx.binder->send_mark = 2;
    fx.binder->send_policy = WEIR_POLICY_DROP_OLD;
    pipe = fx_accept(NULL);
    away = fx_connect();
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_send("m"), 0);
    assert_int_equal(fx_send("^a"), 0);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 1);
    assert_string_equal(fx_sent(pipe), "m");
    assert_string_equal(fx_sent(pipe), "m");
    assert_string_equal(fx_sent(pipe), "!SUBSCRIBE:a");
    assert_string_equal(fx_sent(away), "none");
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_steps),
        cmocka_unit_test(test_forms),     cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_filter),    cmocka_unit_test(test_invert),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_xsub),
        cmocka_unit_test(test_xsub_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
