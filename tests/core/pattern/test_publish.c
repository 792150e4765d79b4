/* test_publish.c - PUB and XPUB. */
#include "config.h"

#include "fixture.h"
#include "pattern/fanout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* WIRE 84, 85: both forms, from anybody. */
static void test_forms(void **state)
{
    struct weir_pipe *new, *old;

    (void)state;
    fx_open(WEIR_PUB);
    assert_int_equal(fx_send("ax"), 0); /* WIRE 111 */
    assert_int_equal(fx.sock->gone.unmatched, 1);
    new = fx_accept(NULL);
    old = fx_accept(NULL);
    fx_feed(new, "!SUBSCRIBE:a");
    fx_feed(old, "^a");
    assert_int_equal(fx.peers, 2);
    assert_int_equal(fx_send("ax|y"), 0);
    assert_int_equal(fx_send("b"), 0);
    assert_int_equal(fx_send("|a"), 0);
    assert_string_equal(fx_sent(new), "ax|y");
    assert_string_equal(fx_sent(new), "none");
    assert_string_equal(fx_sent(old), "ax|y");
    fx_feed(new, "~a");
    fx_feed(old, "!CANCEL:a");
    assert_int_equal(fx.peers, 0);
    assert_int_equal(fx_send("ax"), 0);
    assert_string_equal(fx_sent(new), "none");
    assert_string_equal(fx_sent(old), "none");
    assert_int_equal(fx.sock->gone.unmatched, 4);
    fx_feed(old, "^");
    assert_int_equal(fx_send(""), 0);
    assert_string_equal(fx_sent(old), "");
    fx_close();
}

/* WIRE 88: a set per peer; and a message goes to a peer once. */
static void test_set(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUB);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "!SUBSCRIBE:ab");
    fx_feed(pipe, "!SUBSCRIBE:ab");
    fx_feed(pipe, "!SUBSCRIBE:a");
    fx_feed(pipe, "!SUBSCRIBE:");
    assert_int_equal(fx.peers, 1);
    assert_int_equal(fx_send("abc"), 0);
    assert_string_equal(fx_sent(pipe), "abc");
    assert_string_equal(fx_sent(pipe), "none");
    fx_feed(pipe, "!CANCEL:ab");
    fx_feed(pipe, "!CANCEL:a");
    fx_feed(pipe, "!CANCEL:");
    fx_feed(pipe, "!CANCEL:nothing");
    assert_int_equal(fx_send("abc"), 0);
    assert_string_equal(fx_sent(pipe), "none");
    fx_close();
}

/* WIRE 96, first half; unknown commands do nothing. */
static void test_user_messages(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUB);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "hello");
    fx_feed(pipe, "^a|more");
    fx_feed(pipe, "");
    fx_feed(pipe, "!JOIN:a");
    fx_feed(pipe, "^b");
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_UNWANTED], 3);
    assert_int_equal(fx_send("a"), 0);
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_sent(pipe), "b");
    assert_string_equal(fx_sent(pipe), "none");
    fx_close();
}

/* WIRE 95: a full peer loses whole messages, others lose nothing. */
static void test_full(void **state)
{
    struct weir_pipe *slow, *fast;

    (void)state;
    fx_open(WEIR_PUB);
    fx.binder->send_mark = 2;
    slow = fx_accept(NULL);
    fast = fx_accept(NULL);
    fx_feed(slow, "^");
    fx_feed(fast, "^");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fx_send("a|b|c"), 0);
        assert_string_equal(fx_sent(fast), "a|b|c");
        assert_string_equal(fx_sent(fast), "none");
    }
    assert_int_equal(slow->tally.send_dropped[WEIR_DROP_MARK], 3);
    assert_int_equal(fast->tally.send_dropped[WEIR_DROP_MARK], 0);
    assert_int_equal(slow->tally.refused_put, 3);
    for (int i = 0; i < 2; i++)
        assert_string_equal(fx_sent(slow), "a|b|c");
    assert_string_equal(fx_sent(slow), "none");
    fx_close();
}

/* WIRE 95: with "nodrop" nobody gets what one has no room for. */
static void test_nodrop(void **state)
{
    struct weir_pipe *slow, *fast;

    (void)state;
    fx_open(WEIR_PUB);
    fx.binder->send_mark = 2;
    slow = fx_accept(NULL);
    fast = fx_accept(NULL);
    fx_feed(slow, "^a");
    fx_feed(fast, "^");
    fx.sock->options.nodrop = true;
    fx_option();
    assert_int_equal(fx_send("a"), 0);
    assert_int_equal(fx_send("a"), 0);
    assert_int_equal(fx_drain(fast), 2);
    assert_int_equal(fx_send("a"), -EAGAIN);
    assert_string_equal(fx_sent(fast), "none");
    assert_false(fx.sock->pattern->can_send(fx.sock));
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_sent(fast), "b");
    fx.wakes[WEIR_WAIT_OUT] = 0;
    fx_lose(slow);
    assert_true(fx.wakes[WEIR_WAIT_OUT] > 0);
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_sent(fast), "a");
    fx_close();
}

/* Long messages are packed once and shared; longer ones as they are. */
static void test_long(void **state)
{
    static const size_t sizes[] = {2040, 2046, 3000, 16383, 16384, 100000};
    struct weir_pipe *pipe[3];
    const uint8_t *data = NULL;
    unsigned flags = 0;
    size_t size = 0;

    (void)state;
    fx_open(WEIR_PUB);
    for (int i = 0; i < 3; i++) {
        pipe[i] = fx_accept(NULL);
        fx_feed(pipe[i], "^");
    }
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
        assert_int_equal(fx_send_long(sizes[k]), 0);
    assert_int_equal(fx_send("short"), 0);
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            assert_int_equal(
                weir_queue_peek(pipe[i]->out, &data, &size, &flags), 1);
            assert_int_equal(size, sizes[k]);
            assert_int_equal(flags, 0);
            assert_int_equal(data[0], 'x');
            assert_int_equal(data[size - 1], 'x');
            weir_queue_pass(pipe[i]->out);
        }
        assert_string_equal(fx_sent(pipe[i]), "short");
        assert_string_equal(fx_sent(pipe[i]), "none");
    }
    fx_close();
}

static void test_invert(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUB);
    fx.sock->options.invert = true;
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    fx_feed(one, "^a");
    fx_feed(two, "^b");
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_sent(one), "none");
    assert_string_equal(fx_sent(two), "a");
    assert_int_equal(fx_send("c"), 0);
    assert_string_equal(fx_sent(one), "c");
    assert_string_equal(fx_sent(two), "c");
    fx_lose(two);
    assert_int_equal(fx_send("c"), 0);
    assert_string_equal(fx_sent(one), "c");
    fx_close();
}

/* Subscriptions belong to a connection: those of the last are forgotten, and
 * those that it left unread do not count. */
static void test_reconnect(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUB);
    pipe = fx_connect();
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_sent(pipe), "none"); /* nothing is queued before */
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_feed(pipe, "^a");
    assert_int_equal(fx_send("a1"), 0);
    fx_lose(pipe);
    assert_int_equal(fx.peers, 0);
    assert_int_equal(fx_send("a2"), 0);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    assert_int_equal(fx_send("a3"), 0);
    fx_feed(pipe, "^b");
    assert_int_equal(fx.peers, 1);
    assert_int_equal(fx_send("b4"), 0);
    assert_string_equal(fx_sent(pipe), "a1");
    assert_string_equal(fx_sent(pipe), "b4");
    assert_string_equal(fx_sent(pipe), "none");
    fx_close();
}

/* The fan-out is first in the state of both. */
static size_t topics(void)
{
    const struct weir_fanout *fanout = weir_sock_state(fx.sock);

    return weir_trie_count(&fanout->trie);
}

static bool settled(void)
{
    const struct weir_fanout *fanout = weir_sock_state(fx.sock);

    return fanout->settled;
}

/* Where nobody asks for more than everything, who gets a message is not looked
 * up for the next; whatever changes that is seen. */
static void test_settled(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    assert_int_equal(fx_send("1"), 0);
    assert_true(settled());
    fx_feed(one, "^");
    assert_false(settled());
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fx_send("2"), 0);
        assert_true(settled());
        assert_string_equal(fx_sent(one), "2");
        assert_string_equal(fx_sent(two), "none");
    }
    fx_feed(two, "^");
    assert_int_equal(fx_send("3"), 0);
    assert_string_equal(fx_sent(one), "3");
    assert_string_equal(fx_sent(two), "3");
    fx_feed(one, "~");
    assert_int_equal(fx_send("4"), 0);
    assert_true(settled());
    assert_string_equal(fx_sent(one), "none");
    assert_string_equal(fx_sent(two), "4");
    fx_feed(one, "^a");
    assert_int_equal(fx_send("b"), 0);
    assert_false(settled());
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_sent(one), "a");
    assert_string_equal(fx_sent(two), "b");
    assert_string_equal(fx_sent(two), "a");
    fx_lose(one);
    assert_int_equal(fx_send("a"), 0);
    assert_true(settled());
    fx_lose(two);
    assert_false(settled());
    assert_int_equal(fx_send("a"), 0);
    fx_close();
}

/* Who is waited for stays among those until he has room, or is gone. */
static void test_settled_nodrop(void **state)
{
    struct weir_pipe *slow, *fast;

    (void)state;
    fx_open(WEIR_XPUB);
    fx.binder->send_mark = 1;
    slow = fx_accept(NULL);
    fast = fx_accept(NULL);
    fx_feed(slow, "^");
    fx_feed(fast, "^");
    fx.sock->options.nodrop = true;
    fx_option();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fx_send("a"), 0);
        assert_true(settled());
        assert_string_equal(fx_sent(fast), "a");
        assert_int_equal(fx_send("b"), -EAGAIN);
        assert_string_equal(fx_sent(fast), "none");
        if (i == 0)
            assert_string_equal(fx_sent(slow), "a");
    }
    fx_lose(slow);
    assert_int_equal(fx_send("b"), 0);
    assert_true(settled());
    assert_string_equal(fx_sent(fast), "b");
    fx_close();
}

/* The inverse is looked up each time. */
static void test_settled_and_inverted(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    fx_feed(one, "^");
    assert_int_equal(fx_send("1"), 0);
    assert_true(settled());
    fx.sock->options.invert = true;
    assert_int_equal(fx_send("2"), 0);
    fx.sock->options.invert = false;
    assert_int_equal(fx_send("3"), 0);
    assert_string_equal(fx_sent(one), "1");
    assert_string_equal(fx_sent(one), "3");
    assert_string_equal(fx_sent(one), "none");
    assert_string_equal(fx_sent(two), "2");
    assert_string_equal(fx_sent(two), "none");
    fx_close();
}

static int tend_all(void)
{
    int steps = 0;

    while (fx_tend())
        steps++;
    return steps;
}

/* A peer with very many topics is forgotten in steps; no message goes to it,
 * others are served, and nothing is left in the end. */
static void test_many_topics(void **state)
{
    struct weir_pipe *big, *other;
    char text[32];

    (void)state;
    fx_open(WEIR_PUB);
    big = fx_accept(NULL);
    other = fx_accept(NULL);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "^%d", i);
        fx_feed(big, text);
    }
    fx_feed(other, "^42");
    fx_lose(big);
    assert_int_equal(fx.gone, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fx_send("421"), 0);
    assert_int_equal(fx_drain(other), 10);
    assert_int_equal(tend_all(), 5000 / WEIR_FANOUT_STEP);
    assert_int_equal(topics(), 1);
    fx_close();
    fx_open(WEIR_PUB);
    big = fx_accept(NULL);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "^%d", i);
        fx_feed(big, text);
    }
    fx_lose(big);
    fx_close();
}

/* Put so many subscriptions into the pipe without telling the socket. */
static void feed_silently(struct weir_pipe *pipe, int n)
{
    weir_queue_disarm_reader(pipe->in);
    for (int i = 0; i < n; i++) {
        char text[32];

        snprintf(text, sizeof text, "^%d", i);
        fx_feed(pipe, text);
    }
}

/* What comes at once is obeyed in steps, each peer in turn, and the socket is
 * asked for no more than one. */
static void test_flood(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    feed_silently(one, 5000);
    feed_silently(two, 100);
    assert_int_equal(topics(), 0);
    fx.sock->pattern->readable(fx.sock, one);
    assert_int_equal(topics(), WEIR_FANOUT_STEP);
    assert_true(fx.later);
    fx.sock->pattern->readable(fx.sock, two);
    assert_int_equal(fx.peers, 2);
    assert_int_equal(tend_all(), 5000 / WEIR_FANOUT_STEP);
    assert_int_equal(topics(), 5000);
    assert_true(weir_list_empty(&fx.sock->in_turn));
    feed_silently(one, 1000);
    fx.sock->pattern->readable(fx.sock, one);
    fx_lose(one); /* with most of them still to be looked at */
    assert_int_equal(fx.gone, 0);
    (void)tend_all();
    assert_int_equal(fx.gone, 1);
    assert_int_equal(topics(), 100);
    fx_close();
}

/* ---- XPUB ---- */

/* A notice for each; a message between them waits to be received. */
static void test_flood_of_notices(void **state)
{
    struct weir_pipe *pipe;
    int n = 0;

    (void)state;
    fx_open(WEIR_XPUB);
    pipe = fx_accept(NULL);
    feed_silently(pipe, 1000);
    fx_feed(pipe, "hello");
    feed_silently(pipe, 1000);
    fx.sock->pattern->readable(fx.sock, pipe);
    assert_int_equal(topics(), WEIR_FANOUT_STEP);
    assert_int_equal(tend_all(), 1000 / WEIR_FANOUT_STEP);
    assert_int_equal(topics(), 1000);
    while (n < 1000 && *fx_recv() == '^')
        n++;
    assert_int_equal(n, 1000);
    assert_string_equal(fx_recv(), "hello");
    (void)tend_all();
    assert_string_equal(fx_recv(), "again"); /* the same topics again */
    fx_close();
}

/* WIRE 91: of two peers the first and the last are news, or all. */
static void test_notices(void **state)
{
    static const struct {
        int64_t verbose;
        const char *expected;
    } modes[] = {{WEIR_VERBOSE_OFF, "^a ~a "},
                 {WEIR_VERBOSE_SUBSCRIBE, "^a ^a ^a ~a "},
                 {WEIR_VERBOSE_BOTH, "^a ^a ^a ~a ~a "}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct weir_pipe *one, *two;
        char got[64] = "";
        const char *text;

        fx_open(WEIR_XPUB);
        fx.sock->options.verbose = modes[i].verbose;
        one = fx_accept(NULL);
        two = fx_accept(NULL);
        assert_string_equal(fx_recv(), "again");
        fx_feed(one, "^a");
        fx_feed(two, "!SUBSCRIBE:a");
        fx_feed(two, "^a");
        fx_feed(one, "~a");
        fx_feed(two, "!CANCEL:a");
        while (strcmp(text = fx_recv(), "again") != 0) {
            strcat(got, text);
            strcat(got, " ");
        }
        assert_string_equal(got, modes[i].expected);
        fx_close();
    }
}

/* The end of what nobody had is news; of what another has, it is not. */
static void test_unknown_topic(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_XPUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    fx_feed(one, "~x");
    assert_string_equal(fx_recv(), "~x");
    fx_feed(one, "^a");
    assert_string_equal(fx_recv(), "^a");
    fx_feed(two, "~a");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx_send("a"), 0);
    assert_string_equal(fx_sent(one), "a");
    fx_close();
}

/* WIRE 92: topics of a lost peer that nobody has any more. */
static void test_loss(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_XPUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    fx_feed(one, "^a");
    fx_feed(one, "^b");
    fx_feed(two, "^a");
    assert_string_equal(fx_recv(), "^a");
    assert_string_equal(fx_recv(), "^b");
    fx.wakes[WEIR_WAIT_IN] = 0;
    fx_lose(one);
    assert_int_equal(fx.wakes[WEIR_WAIT_IN], 1);
    assert_int_equal(fx.peers, 1);
    assert_string_equal(fx_recv(), "~b");
    assert_string_equal(fx_recv(), "again");
    fx.sock->options.verbose = WEIR_VERBOSE_BOTH;
    one = fx_accept(NULL);
    fx_feed(one, "^a");
    assert_string_equal(fx_recv(), "^a");
    fx_lose(one);
    assert_string_equal(fx_recv(), "~a");
    fx_lose(two);
    assert_string_equal(fx_recv(), "~a");
    fx_close();
}

/* A peer with many topics is lost: every one is news, in time. */
static void test_big_loss(void **state)
{
    struct weir_pipe *pipe;
    char text[32];
    int n = 0;

    (void)state;
    fx_open(WEIR_XPUB);
    pipe = fx_accept(NULL);
    for (int i = 0; i < 3500; i++) {
        snprintf(text, sizeof text, "^%d", i);
        fx_feed(pipe, text);
        assert_string_equal(fx_recv(), text);
    }
    fx_lose(pipe);
    do
        while (*fx_recv() == '~')
            n++;
    while (fx_tend());
    assert_int_equal(n, 3500);
    fx_close();
}

/* WIRE 96: messages of peers are received whole, in their order among the
 * subscriptions, which wait behind them. */
static void test_peers_messages(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_XPUB);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "^a");
    fx_feed(pipe, "hello|world|");
    fx_feed(pipe, "^b");
    fx_feed(pipe, "^c|is a message");
    fx_feed(pipe, "~a");
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_sent(pipe), "none");
    assert_string_equal(fx_recv(), "^a");
    assert_string_equal(fx_recv(), "hello|world|");
    assert_int_equal(fx_send("b"), 0);
    assert_string_equal(fx_sent(pipe), "b");
    assert_string_equal(fx_recv(), "^b");
    assert_string_equal(fx_recv(), "^c|is a message");
    assert_string_equal(fx_recv(), "~a");
    assert_string_equal(fx_recv(), "again");
    assert_true(weir_list_empty(&pipe->in_turn));
    fx_feed(pipe, "^d");
    assert_string_equal(fx_recv(), "^d");
    fx_close();
}

/* A peer is gone, and what it sent is received; subscriptions in that are
 * void.  The same when it has connected again meanwhile. */
static void test_left_behind(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_XPUB);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "one");
    fx_feed(pipe, "^a");
    fx_feed(pipe, "two");
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "one");
    assert_string_equal(fx_recv(), "two");
    assert_int_equal(fx.gone, 1);
    assert_string_equal(fx_recv(), "again");
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_feed(pipe, "three");
    fx_feed(pipe, "^a");
    fx_lose(pipe);
    assert_int_equal(fx_reach(pipe, NULL), 0);
    fx_feed(pipe, "^b");
    assert_string_equal(fx_recv(), "three");
    assert_string_equal(fx_recv(), "^b");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.peers, 1);
    fx_close();
}

/* Notices that nobody reads stop the reading, not the memory. */
static void test_unread(void **state)
{
    struct weir_pipe *pipe;
    char text[32];

    (void)state;
    fx_open(WEIR_XPUB);
    fx.sock->options.recv_mark = 3;
    pipe = fx_accept(NULL);
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "^%d", i);
        fx_feed(pipe, text);
    }
    fx_feed(pipe, "message");
    assert_int_equal(fx_send("2"), 0);
    assert_int_equal(fx_send("3"), 0);
    assert_string_equal(fx_sent(pipe), "2");
    assert_string_equal(fx_sent(pipe), "none");
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "^%d", i);
        assert_string_equal(fx_recv(), text);
    }
    assert_string_equal(fx_recv(), "message");
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_user_messages),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_nodrop),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_invert),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_settled_nodrop),
        cmocka_unit_test(test_settled_and_inverted),
        cmocka_unit_test(test_many_topics),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_flood_of_notices),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_unknown_topic),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_big_loss),
        cmocka_unit_test(test_peers_messages),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
