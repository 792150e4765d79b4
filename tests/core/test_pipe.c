/* test_pipe.c - one pipe: putting under every policy, taking, signing. */
#include "config.h"

#include "pattern/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A PUSH with one peer, at its mark of 3. */
static struct weir_pipe *begin(enum weir_policy policy)
{
    fx_open(WEIR_PUSH);
    fx.binder->send_mark = 3;
    fx.binder->send_policy = policy;
    return fx_accept(NULL);
}

static void send_numbers(int from, int to)
{
    char text[32];

    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d|%d", i, i);
        assert_int_equal(fx_send(text), 0);
    }
}

static void expect_numbers(struct weir_pipe *pipe, int from, int to)
{
    char text[32];

    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d|%d", i, i);
        assert_string_equal(fx_sent(pipe), text);
    }
    assert_string_equal(fx_sent(pipe), "none");
}

static void test_block(void **state)
{
    struct weir_pipe *pipe = begin(WEIR_POLICY_PATTERN);

    (void)state;
    send_numbers(0, 3);
    assert_int_equal(fx_send("4"), -EAGAIN);
    assert_int_equal(fx_send("4|4"), -EAGAIN);
    expect_numbers(pipe, 0, 3);
    send_numbers(5, 8);
    expect_numbers(pipe, 5, 8);
    fx_close();
}

static void test_drop_new(void **state)
{
    struct weir_pipe *pipe = begin(WEIR_POLICY_DROP_NEW);

    (void)state;
    send_numbers(0, 5);
    assert_int_equal(fx_send("single"), 0);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 3);
    assert_int_equal(pipe->tally.refused_put, 3);
    expect_numbers(pipe, 0, 3);
    assert_int_equal(fx_accepted(), 6);
    fx_close();
}

static void test_drop_old(void **state)
{
    struct weir_pipe *pipe = begin(WEIR_POLICY_DROP_OLD);

    (void)state;
    send_numbers(0, 8);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 5);
    assert_int_equal(pipe->tally.refused_put, 0);
    expect_numbers(pipe, 5, 8);
    assert_int_equal(fx_accepted(), 8);
    fx_close();
}

/* The driver has the queue's other end: the message goes beyond the mark. */
static void test_drop_old_busy(void **state)
{
    struct weir_pipe *pipe = begin(WEIR_POLICY_DROP_OLD);

    (void)state;
    send_numbers(0, 3);
    assert_true(weir_link_hold(&pipe->link));
    send_numbers(3, 4);
    assert_true(weir_link_let_go(&pipe->link));
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 0);
    send_numbers(4, 5);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 2);
    expect_numbers(pipe, 2, 5);
    fx_close();
}

/* What the kernel would get next, up to `most` octets. */
static size_t write_some(struct weir_pipe *pipe, uint8_t *to, size_t most)
{
    struct weir_queue_mark_point at;
    struct iovec part;
    int n;

    if (weir_queue_gather(pipe->out, &part, 1, &n, most, &at) == 0)
        return 0;
    if (part.iov_len < most)
        most = part.iov_len;
    memcpy(to, part.iov_base, most);
    (void)weir_queue_wrote(pipe->out, most, &at);
    return most;
}

/* A message that is partly written goes on being written, wherever it stopped,
 * and those behind it are replaced. */
static void test_drop_old_midway(void **state)
{
    const uint8_t expected[] = {1, 1, '0', 0, 1, '0', 1, 1, '5', 0, 1, '5',
                                1, 1, '6', 0, 1, '6', 1, 1, '7', 0, 1, '7'};

    (void)state;
    for (size_t stop = 1; stop < 6; stop++) {
        struct weir_pipe *pipe = begin(WEIR_POLICY_DROP_OLD);
        uint8_t got[64];
        size_t size, some;

        send_numbers(0, 3);
        size = write_some(pipe, got, stop);
        assert_int_equal(size, stop);
        send_numbers(3, 8);
        assert_true(weir_queue_midway(pipe->out));
        assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 4);
        assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK], 0);
        while ((some = write_some(pipe, got + size, 1)) > 0)
            size += some;
        assert_false(weir_queue_midway(pipe->out));
        assert_int_equal(size, sizeof expected);
        assert_memory_equal(got, expected, size);
        assert_int_equal(fx_accepted(), 8);
        fx_close();
    }
}

/* The connection dies before the message set aside is written. */
static void test_drop_old_cut(void **state)
{
    struct weir_pipe *pipe;
    uint8_t got[16];

    (void)state;
    fx_open(WEIR_PUSH);
    fx.dialer->send_mark = 3;
    fx.dialer->send_policy = WEIR_POLICY_DROP_OLD;
    pipe = fx_connect();
    assert_int_equal(fx_reach(pipe, NULL), 0);
    send_numbers(0, 3);
    assert_int_equal(write_some(pipe, got, 4), 4);
    send_numbers(3, 5);
    assert_int_equal(weir_queue_cut(pipe->out), 1);
    assert_int_equal(weir_queue_cut(pipe->out), 0);
    expect_numbers(pipe, 2, 5);
    fx_close();
}

/* Rests in several chunks, and rests that are too long. */
static void test_drop_old_large(void **state)
{
    static const size_t sizes[] = {5000, 100000, 900000, 2000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bool fits = sizes[i] < WEIR_QUEUE_ASIDE;
        struct weir_pipe *pipe;
        uint8_t got[4096];
        size_t size, some;

        fx_open(WEIR_PUSH);
        fx.binder->send_mark = 2;
        fx.binder->send_mark_bytes = 4 << 20; /* not what counts here */
        fx.binder->send_policy = WEIR_POLICY_DROP_OLD;
        pipe = fx_accept(NULL);
        assert_int_equal(fx_send_long(sizes[i]), 0);
        assert_int_equal(fx_send("a"), 0);
        size = write_some(pipe, got, 20);
        assert_int_equal(fx_send("b"), 0);
        assert_int_equal(fx_send("c"), 0);
        assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_MARK],
                         fits ? 0 : 2);
        while (size < 9 + sizes[i]) {
            some = write_some(pipe, got, sizeof got);
            assert_true(some > 0);
            assert_int_equal(got[0], 'x');
            size += some;
            if (size > 9 + sizes[i])
                assert_int_equal(got[some - (size - 9 - sizes[i])], 0);
        }
        fx_close();
    }
}

static void test_latest(void **state)
{
    struct weir_pipe *pipe = begin(WEIR_POLICY_LATEST);

    (void)state;
    send_numbers(0, 5);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 4);
    expect_numbers(pipe, 4, 5);
    send_numbers(5, 7);
    expect_numbers(pipe, 6, 7);
    assert_int_equal(pipe->tally.send_dropped[WEIR_DROP_REPLACED], 5);
    fx_close();
}

/* With frames before it, and without its first one. */
static void test_latest_envelopes(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_REQ);
    fx.binder->send_policy = WEIR_POLICY_LATEST;
    fx.sock->options.relaxed = true;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send("a|b"), 0);
    assert_int_equal(fx_send("c|d"), 0);
    assert_string_equal(fx_sent(pipe), "|c|d");
    fx_close();
    fx_open(WEIR_ROUTER);
    fx.binder->send_policy = WEIR_POLICY_LATEST;
    pipe = fx_accept("id");
    assert_int_equal(fx_send("id|a"), 0);
    assert_int_equal(fx_send("id|b|c"), 0);
    assert_string_equal(fx_sent(pipe), "b|c");
    fx_close();
}

/* Of the latest mode everybody gets an own copy. */
static void test_latest_publisher(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PUB);
    fx.binder->send_policy = WEIR_POLICY_LATEST;
    one = fx_accept(NULL);
    fx.binder->send_policy = WEIR_POLICY_PATTERN;
    two = fx_accept(NULL);
    fx_feed(one, "^");
    fx_feed(two, "^");
    assert_int_equal(fx_send_long(5000), 0);
    assert_int_equal(fx_send("short"), 0);
    assert_string_equal(fx_sent(one), "short");
    assert_int_equal(fx_drain(two), 2);
    fx_close();
}

/* The mark in octets; an empty queue takes one message of any size. */
static void test_octets(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PUSH);
    fx.binder->send_mark_bytes = 1000;
    pipe = fx_accept(NULL);
    assert_int_equal(fx_send_long(5000), 0);
    assert_int_equal(fx_send("x"), -EAGAIN);
    assert_int_equal(fx_drain(pipe), 1);
    assert_int_equal(fx_send("x"), 0);
    assert_int_equal(fx_send_long(100000), -EAGAIN);
    assert_int_equal(fx_drain(pipe), 1);
    assert_int_equal(fx_send_long(100000), 0);
    fx_close();
}

/* A long message was refused: there is no room until the queue says so, even
 * for short ones. */
static void test_refused(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PAIR);
    fx.binder->send_mark_bytes = 10000;
    pipe = fx_accept(NULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fx_send_long(1000), 0);
    assert_true(weir_pipe_can_put(pipe));
    assert_int_equal(fx_send_long(5000), -EAGAIN);
    assert_false(weir_pipe_can_put(pipe));
    assert_int_equal(fx_drain(pipe), 8);
    assert_true(weir_pipe_can_put(pipe));
    assert_int_equal(fx_send_long(5000), 0);
    fx_close();
}

/* ---- taking ---- */

static void take(struct weir_pipe *pipe, weir_message *message)
{
    bool command;

    weir_message_init(message);
    assert_int_equal(weir_pipe_take(pipe, message, &command), 0);
    assert_false(command);
}

static struct weir_peer_info *make_info(const char *value)
{
    uint8_t data[64] = "\4Name";
    size_t size = strlen(value);

    memset(data + 5, 0, 4);
    data[8] = (uint8_t)size;
    memcpy(data + 9, value, size);
    return weir_peer_info_new(data, 9 + size);
}

/* Every frame knows its peer, also when the peer is long gone. */
static void test_sign(void **state)
{
    weir_message one, two, three;
    struct weir_pipe *pipe;
    const void *value;
    size_t size;

    (void)state;
    fx_open(WEIR_PULL);
    (void)fx_accept(NULL);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "nobody");
    fx_feed(pipe, "a|b");
    fx_feed(pipe, "c");
    take(pipe, &one);
    weir_pipe_set_info(pipe, make_info("first"));
    take(pipe, &two);
    weir_pipe_set_info(pipe, make_info("second"));
    take(pipe, &three);
    fx_lose(pipe);
    assert_null(weir_frame_property(&one.first, "Name", &size));
    for (uint32_t i = 0; i < 2; i++) {
        weir_frame *frame = weir_message_frame(&two, i);

        value = weir_frame_property(frame, "name", &size);
        assert_int_equal(size, 5);
        assert_memory_equal(value, "first", 5);
        assert_int_equal(weir_frame_routing(frame), 2);
    }
    value = weir_frame_property(&three.first, "NAME", &size);
    assert_memory_equal(value, "second", 6);
    weir_message_fini(&one);
    weir_message_fini(&two);
    weir_message_fini(&three);
    fx_close();
}

/* References are topped up before they run out. */
static void test_many_references(void **state)
{
    const uint64_t most = UINT64_C(1) << 30;
    struct weir_pipe *pipe;
    weir_message message;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    weir_pipe_set_info(pipe, make_info("x"));
    pipe->info_given = most - 2;
    atomic_fetch_sub(&pipe->info->refs, most - 2);
    for (int i = 0; i < 4; i++) {
        fx_feed(pipe, "m");
        take(pipe, &message);
        weir_message_fini(&message);
    }
    assert_int_equal(pipe->info_given, 2);
    assert_int_equal(atomic_load(&pipe->info->refs), WEIR_PEER_INFO_HOLD - 2);
    fx_close();
}

/* Frames may be taken one by one, and the rest together or not at all. */
static void test_piecewise(void **state)
{
    struct weir_pipe *pipe;
    const uint8_t *data = NULL;
    weir_message rest;
    unsigned flags;
    size_t size;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    for (int i = 0; i < 2; i++)
        fx_feed(pipe, "a|b|c");
    assert_true(weir_pipe_peek(pipe, &data, &size, &flags));
    assert_int_equal(*data, 'a');
    weir_queue_pass(pipe->in);
    take(pipe, &rest);
    assert_int_equal(weir_message_count(&rest), 2);
    weir_message_fini(&rest);
    assert_true(weir_pipe_peek(pipe, &data, &size, &flags));
    weir_queue_pass(pipe->in);
    assert_true(weir_pipe_skip(pipe, WEIR_DROP_STALE));
    assert_false(weir_pipe_skip(pipe, WEIR_DROP_STALE));
    assert_int_equal(pipe->tally.recv_dropped[WEIR_DROP_STALE], 1);
    assert_int_equal(fx_delivered(pipe), 1);
    fx_close();
}

/* Behind what a message has already. */
static void test_append(void **state)
{
    struct weir_pipe *pipe;
    weir_message message;
    bool command;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    fx_feed(pipe, "b");
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, "a", 1), 0);
    assert_int_equal(weir_pipe_take(pipe, &message, &command), 0);
    assert_int_equal(weir_message_count(&message), 2);
    assert_memory_equal(weir_frame_data(weir_message_frame(&message, 1)), "b",
                        1);
    weir_message_fini(&message);
    assert_int_equal(weir_pipe_take(pipe, &message, &command), -EAGAIN);
    fx_close();
}

/* Who rests is told of the next message, once. */
static void test_rest(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    assert_true(weir_pipe_rest(pipe));
    fx_feed(pipe, "a");
    assert_false(weir_list_empty(&pipe->in_turn));
    assert_false(weir_pipe_rest(pipe));
    assert_string_equal(fx_recv(), "a");
    fx_close();
}

/* News of one pipe are one piece of mail until it is read. */
static void test_post(void **state)
{
    struct weir_pipe *one, *two;

    (void)state;
    fx_open(WEIR_PULL);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    weir_pipe_post(one, WEIR_MAIL_READABLE);
    weir_pipe_post(two, WEIR_MAIL_READABLE);
    weir_pipe_post(one, WEIR_MAIL_ROOM);
    assert_int_equal(atomic_load(&one->mail),
                     WEIR_MAIL_READABLE | WEIR_MAIL_ROOM);
    assert_ptr_equal(atomic_load(&fx.sock->mail), two);
    assert_ptr_equal(two->mail_next, one);
    assert_null(one->mail_next);
    weir_sock_nudge(fx.sock);
    assert_int_equal(atomic_load(&one->mail), 0);
    fx_close();
}

static void test_refuse(void **state)
{
    struct weir_pipe *pipe;

    (void)state;
    fx_open(WEIR_PULL);
    pipe = fx_accept(NULL);
    weir_pipe_refuse(pipe, EPROTO);
    assert_ptr_equal(fx.refused, pipe);
    assert_int_equal(fx.code, EPROTO);
    fx_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_drop_new),
        cmocka_unit_test(test_drop_old),
        cmocka_unit_test(test_drop_old_busy),
        cmocka_unit_test(test_drop_old_midway),
        cmocka_unit_test(test_drop_old_cut),
        cmocka_unit_test(test_drop_old_large),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_latest_envelopes),
        cmocka_unit_test(test_latest_publisher),
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_many_references),
        cmocka_unit_test(test_piecewise),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
