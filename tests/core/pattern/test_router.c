/* test_router.c - ROUTER. */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Ids go before what is received, and lead what is sent. */
static void test_routes(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_ROUTER);
    one = fx_accept("one");
    two = fx_accept("two");
    fx_feed(one, "a|b");
    assert_string_equal(fx_recv(), "one|a|b");
    fx_feed(two, "");
    assert_string_equal(fx_recv(), "two|");
    assert_int_equal(fx_send("two|x|y"), 0);
    assert_int_equal(fx_send("one|z"), 0);
    assert_int_equal(fx_send("one||"), 0);
    assert_string_equal(fx_sent(two), "x|y");
    assert_string_equal(fx_sent(one), "z");
    assert_string_equal(fx_sent(one), "|");
    assert_string_equal(fx_sent(one), "none");
    fx_close();
}

/* Ids of more octets than a frame has room for. */
static void test_long_id(void **state)
{
    struct weir_pipe *pipe;
    char id[256], text[300];

    (void)state;
    memset(id, 'i', sizeof id - 1);
    id[255] = '\0';
    fx_open(WEIR_ROUTER);
    pipe = fx_accept(id);
    fx_feed(pipe, "m");
    snprintf(text, sizeof text, "%s|m", id);
    assert_string_equal(fx_recv(), text);
    assert_int_equal(fx_send(text), 0);
    assert_string_equal(fx_sent(pipe), "m");
    fx_close();
}

/* WIRE 103 in our form: 00 and a UUID, unlike all others. */
static void test_invented(void **state)
{
    struct weir_pipe *pipe[2];

    (void)state;
    fx_open(WEIR_ROUTER);
    for (int i = 0; i < 2; i++) {
        pipe[i] = fx_accept(NULL);
        assert_int_equal(pipe[i]->id_size, 17);
        assert_int_equal(pipe[i]->id[0], 0);
        fx_feed(pipe[i], "m");
        assert_memory_equal(fx_recv(), "~", 1);
    }
    assert_memory_not_equal(pipe[0]->id, pipe[1]->id, 17);
    fx_close();
}

static int send_to(struct weir_pipe *pipe, const char *text)
{
    weir_message message;
    int r;

    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, pipe->id, pipe->id_size), 0);
    assert_int_equal(weir_message_add(&message, text, strlen(text)), 0);
    r = fx.sock->pattern->send(fx.sock, &message);
    weir_message_fini(&message);
    return r;
}

/* A connect's peer keeps its id, whatever it announces later, and messages
 * wait for it. */
static void test_reconnect(void **state)
{
    struct weir_pipe *pipe;
    uint8_t id[17];

    (void)state;
    fx_open(WEIR_ROUTER);
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, NULL), 0);
    memcpy(id, pipe->id, sizeof id);
    fx_lose(pipe);
    assert_int_equal(send_to(pipe, "wait"), 0);
    assert_int_equal(fx_reach(pipe, "other"), 0);
    assert_int_equal(pipe->id_size, 17);
    assert_memory_equal(pipe->id, id, 17);
    assert_string_equal(fx_sent(pipe), "wait");
    assert_int_equal(send_to(pipe, "go"), 0);
    assert_string_equal(fx_sent(pipe), "go");
    fx_close();
}

/* WIRE 104: no such peer; a lone first frame says nothing. */
static void test_unknown(void **state)
{
    (void)state;
    fx_open(WEIR_ROUTER);
    assert_int_equal(fx_send("nobody|x"), 0);
    assert_int_equal(fx.sock->gone.accepted, 1);
    assert_int_equal(fx.sock->gone.send_dropped[WEIR_DROP_NO_ROUTE], 1);
    assert_non_null(fx_accept("one"));
    assert_int_equal(fx_send("one"), 0);
    assert_int_equal(fx.sock->gone.accepted, 2);
    assert_int_equal(fx.sock->gone.send_dropped[WEIR_DROP_MALFORMED], 1);
    fx.sock->options.mandatory = true;
    fx_option();
    assert_int_equal(fx_send("nobody|x"), -EHOSTUNREACH);
    assert_non_null(strstr(weir_error_text(), "\"nobody\""));
    assert_int_equal(fx_send("%FF~|x"), -EHOSTUNREACH);
    assert_non_null(strstr(weir_error_text(), "ff00"));
    assert_int_equal(fx.sock->gone.accepted, 2);
    fx_close();
}

/* WIRE 105: a full queue drops, or with "mandatory" makes the send wait. */
static void test_full(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_ROUTER);
    fx.binder->send_mark = 2;
    pipe = fx_accept("one");
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_send("one|m"), 0);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 1);
    fx.sock->options.mandatory = true;
    fx_option();
    assert_int_equal(fx_send("one|m"), -EAGAIN);
    assert_false(fx.sock->pattern->can_send(fx.sock));
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 1);
    assert_int_equal(fx_drain(pipe), 2);
    assert_true(fx.sock->pattern->can_send(fx.sock));
    assert_int_equal(fx_send("one|m"), 0);
    assert_int_equal(fx_send("one|m"), 0);
    fx.wakes[WEIR_WAIT_OUT] = 0;
    fx_lose(pipe);
    assert_int_equal(fx.wakes[WEIR_WAIT_OUT], 1);
    assert_int_equal(fx_send("one|m"), -EHOSTUNREACH);
    fx_close();
}

/* A ROUTER whose sends may wait, with two peers at marks of 2. */
static void open_two(struct weir_pipe **one, struct weir_pipe **two)
{
    fx_open(WEIR_ROUTER);
    fx.sock->options.mandatory = true;
    fx.binder->send_mark = 2;
    *one = fx_accept("one");
    *two = fx_accept("two");
}

static bool can_send(void)
{
    return fx.sock->pattern->can_send(fx.sock);
}

static void fill(const char *text)
{
    for (int i = 0; i < 2; i++) {
        assert_true(can_send());
        assert_int_equal(fx_send(text), 0);
    }
}

/* Who was refused is waited for: until it has room, or something else could
 * be sent. */
static void test_writable(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    open_two(&one, &two);
    fill("one|m");
    assert_true(can_send());
    assert_int_equal(fx_send("one|m"), -EAGAIN);
    assert_false(can_send());
    assert_int_equal(fx_send("two|m"), 0);
    assert_true(can_send());
    assert_int_equal(fx_send("one|m"), -EAGAIN);
    assert_false(can_send());
    assert_int_equal(fx_drain(one), 2);
    fill("one|m");
    assert_int_equal(fx_send("two|m"), 0);
    assert_false(can_send());
    assert_int_equal(fx_drain(two), 2);
    assert_true(can_send());
    fx_close();
}

/* Who was refused goes away, or is not waited for any more. */
static void test_writable_again(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    for (int i = 0; i < 3; i++) {
        open_two(&one, &two);
        fill("one|m");
        assert_int_equal(fx_send("one|m"), -EAGAIN);
        assert_false(can_send());
        if (i == 0)
            fx_feed(one, "unread"); /* so that it stays for a while */
        if (i < 2)
            fx_lose(one);
        else
            fx.sock->options.mandatory = false;
        fx_option();
        assert_true(can_send());
        assert_int_equal(fx_send("one|m"), i < 2 ? -EHOSTUNREACH : 0);
        fx_close();
    }
}

/* WIRE 106: a newcomer whose id is taken is refused, or takes over. */
static void test_same_id(void **state)
{
    struct weir_pipe *old, *new;

    (void)state;
    fx_open(WEIR_ROUTER);
    old = fx_accept("id");
    assert_null(fx_accept("id"));
    assert_int_equal(fx.code, EEXIST);
    assert_null(fx.refused);
    assert_int_equal(fx_send("id|1"), 0);
    assert_string_equal(fx_sent(old), "1");
    fx_feed(old, "left");
    fx.sock->options.handover = true;
    new = fx_accept("id");
    assert_non_null(new);
    assert_ptr_equal(fx.refused, old);
    assert_int_equal(fx_send("id|2"), 0);
    assert_string_equal(fx_sent(old), "none");
    assert_string_equal(fx_sent(new), "2");
    fx_lose(old);
    assert_string_equal(fx_recv(), "id|left");
    assert_int_equal(fx_send("id|3"), 0);
    assert_string_equal(fx_sent(new), "3");
    fx_close();
}

/* An id is free again when its peer has gone, even with messages unread. */
static void test_id_again(void **state)
{
    struct weir_pipe *old, *new;

    (void)state;
    fx_open(WEIR_ROUTER);
    old = fx_accept("id");
    fx_feed(old, "1");
    fx_lose(old);
    new = fx_accept("id");
    assert_non_null(new);
    fx_feed(new, "2");
    assert_string_equal(fx_recv(), "id|1");
    assert_string_equal(fx_recv(), "id|2");
    assert_string_equal(fx_recv(), "again");
    assert_int_equal(fx.gone, 1);
    assert_int_equal(fx_send("id|3"), 0);
    assert_string_equal(fx_sent(new), "3");
    fx_close();
}

/* WIRE 108. */
static void test_connect_routing_id(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_ROUTER);
    fx.dialer->probe = true;
    fx.dialer->connect_routing_id.size = 4;
    memcpy(fx.dialer->connect_routing_id.data, "mine", 4);
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, "theirs"), 0);
    assert_string_equal(fx_sent(pipe), "");
    assert_int_equal(fx_send("theirs|x"), 0);
    assert_string_equal(fx_sent(pipe), "none");
    assert_int_equal(fx_send("mine|x"), 0);
    assert_string_equal(fx_sent(pipe), "x");
    fx_close();
}

/* WIRE 109: [id, empty] when a peer comes, and behind all it sent when it has
 * gone. */
static void test_notify(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_ROUTER);
    fx.sock->options.notify = WEIR_NOTIFY_BOTH;
    pipe = fx_accept("id");
    assert_int_equal(fx.wakes[WEIR_WAIT_IN], 1);
    fx_feed(pipe, "1");
    fx_feed(pipe, "2");
    fx_feed_part(pipe, "3|4");
    fx_lose(pipe);
    assert_string_equal(fx_recv(), "id|");
    assert_string_equal(fx_recv(), "id|1");
    assert_string_equal(fx_recv(), "id|2");
    assert_string_equal(fx_recv(), "id|");
    assert_string_equal(fx_recv(), "again");
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, "c"), 0);
    fx_lose(pipe);
    assert_int_equal(fx_reach(pipe, "c"), 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(fx_recv(), "c|");
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

static void test_notify_one(void **state)
{
    (void)state;
    fx_open(WEIR_ROUTER);
    fx.sock->options.notify = WEIR_NOTIFY_DISCONNECT;
    fx_lose(fx_accept("a"));
    assert_string_equal(fx_recv(), "a|");
    assert_string_equal(fx_recv(), "again");
    fx.sock->options.notify = WEIR_NOTIFY_CONNECT;
    fx_lose(fx_accept("b"));
    assert_string_equal(fx_recv(), "b|");
    assert_string_equal(fx_recv(), "again");
    fx_close();
}

/* Strangers cannot fill the memory with notices that nobody reads. */
static void test_notices_unread(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_ROUTER);
    fx.sock->options.notify = WEIR_NOTIFY_BOTH;
    fx.sock->options.recv_mark = 4;
    for (int i = 0; i < 2; i++)
        fx_lose(fx_accept(NULL));
    assert_null(fx_accept(NULL));
    assert_int_equal(fx.code, ENOBUFS);
    (void)fx_recv();
    pipe = fx_accept("late");
    assert_non_null(pipe);
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_long_id),
        cmocka_unit_test(test_invented),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_writable_again),
        cmocka_unit_test(test_same_id),
        cmocka_unit_test(test_id_again),
        cmocka_unit_test(test_connect_routing_id),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_notify_one),
        cmocka_unit_test(test_notices_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
