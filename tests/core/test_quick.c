/*
 * The straight line through a send and a receive: it is taken in the usual
 * case, and left without a trace in every other.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "pushpull.h"
#include "quick.h"
#include "shells.h"
#include "socket.h"

/* The first message of a queue finds neither memory nor credit. */
static void warm(void)
{
    char data[8];
    size_t size = sizeof data;

    assert_int_equal(weir_send(push, "warm", 4, SOON), 0);
    assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
}

/* ---- one call, and what it leaves ---- */

/* A socket that comes back locked has to be let go of. */
static bool settle(bool done, struct weir_sock *sock)
{
    if (!done && sock)
        weir_sock_put(sock);
    return done;
}

static bool quick_send(weir_socket socket, const void *data, size_t size)
{
    struct weir_sock *sock = NULL;
    bool done = weir_quick_send(socket, data, size, &sock);

    return settle(done, sock);
}

static bool quick_recv(weir_socket socket, void *data, size_t *size)
{
    struct weir_sock *sock = NULL;
    bool done = weir_quick_recv(socket, data, size, &sock);

    return settle(done, sock);
}

static bool quick_recv_message(weir_socket socket, weir_message *message)
{
    struct weir_sock *sock = NULL;
    bool done = weir_quick_recv_message(socket, message, &sock);

    return settle(done, sock);
}

static uint64_t accepted(void)
{
    weir_stats stats = {.size = sizeof stats};

    assert_int_equal(weir_socket_stats(push, &stats), 0);
    return stats.accepted;
}

/* ---- it is taken ---- */

static bool send_number(int number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    if (quick_send(push, text, strlen(text)))
        return true;
    assert_int_equal(weir_send(push, text, strlen(text), SOON), 0);
    return false; /* that chunk was full */
}

static bool recv_number(int number)
{
    char text[16], data[ROOM];
    size_t size = sizeof data;

    snprintf(text, sizeof text, "%d", number);
    if (!quick_recv(pull, data, &size)) {
        pushpull_hear(pull, text);
        return false;
    }
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    return true;
}

/* The first of several is looked for the long way. */
static void take_octets(const char *transport, int quick_ones)
{
    int sent = 0, received = 0;

    pushpull_join(pull, push, transport);
    warm();
    for (int i = 0; i < 5000; i += 5) {
        for (int k = i; k < i + 5; k++)
            sent += send_number(k);
        for (int k = i; k < i + 5; k++)
            received += recv_number(k);
    }
    assert_true(sent > 4900);
    assert_true(received > quick_ones);
    assert_int_equal(accepted(), 5001);
}

static void test_octets_inproc(void **state)
{
    (void)state;
    take_octets("inproc://quick", 3900);
}

static void test_octets_tcp(void **state)
{
    (void)state;
    take_octets("tcp://127.0.0.1:*", 0);
}

static const size_t sizes[] = {0, 8, 40, 41, 64, 300, 2000};

static void send_some(int from, int n)
{
    char data[ROOM];

    for (int i = from; i < from + n; i++) {
        memset(data, i & 0x7f, sizeof data);
        assert_int_equal(weir_send(push, data, sizes[i % 7], SOON), 0);
    }
}

/* Returns how many came the quick way. */
static int receive_some(weir_message *message, int from, int n)
{
    char data[ROOM];
    int quick = 0;

    for (int i = from; i < from + n; i++) {
        weir_frame *frame;

        if (quick_recv_message(pull, message))
            quick++;
        else
            assert_int_equal(weir_recv_message(pull, message, SOON), 0);
        memset(data, i & 0x7f, sizeof data);
        frame = weir_message_frame(message, 0);
        assert_int_equal(weir_message_count(message), 1);
        assert_int_equal(weir_frame_size(frame), sizes[i % 7]);
        assert_memory_equal(weir_frame_data(frame), data, sizes[i % 7]);
    }
    return quick;
}

/* Inline payloads and slices, over many chunks, and one message used again
 * and again: what it had goes back to where it came from. */
static void test_messages(void **state)
{
    weir_message message;
    int quick = 0;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    weir_message_init(&message);
    for (int i = 0; i < 7000; i += 10) {
        send_some(i, 10);
        quick += receive_some(&message, i, 10);
    }
    assert_true(quick > 5000);
    weir_message_fini(&message);
}

/* A frame that is shared outlives the message, the chunk's other frames, and
 * the sockets. */
static void test_shared(void **state)
{
    char data[100];
    weir_message message;
    weir_frame copy;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    weir_message_init(&message);
    weir_frame_init(&copy);
    for (int i = 0; i < 3; i++) {
        memset(data, 'a' + i, sizeof data);
        assert_int_equal(weir_send(push, data, sizeof data, SOON), 0);
    }
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    weir_frame_share(&copy, weir_message_frame(&message, 0));
    assert_true(quick_recv_message(pull, &message));
    assert_true(quick_recv_message(pull, &message));
    weir_message_fini(&message);
    assert_int_equal(weir_close(push, SOON, NULL), 0);
    assert_int_equal(weir_close(pull, SOON, NULL), 0);
    memset(data, 'a', sizeof data);
    assert_memory_equal(weir_frame_data(&copy), data, sizeof data);
    weir_frame_fini(&copy);
}

/* A message from one socket is the room for another's. */
static void test_other_socket(void **state)
{
    weir_socket other = pushpull_open(WEIR_PULL),
                source = pushpull_open(WEIR_PUSH);
    char data[100] = {0};
    weir_message message;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    pushpull_join(other, source, "inproc://other");
    weir_message_init(&message);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(weir_send(push, data, sizeof data, SOON), 0);
        assert_int_equal(weir_send(source, data, sizeof data, SOON), 0);
    }
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    assert_int_equal(weir_recv_message(other, &message, SOON), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(quick_recv_message(pull, &message));
        assert_true(quick_recv_message(other, &message));
    }
    weir_message_fini(&message);
    assert_int_equal(weir_close(source, SOON, NULL), 0);
    assert_int_equal(weir_close(other, SOON, NULL), 0);
}

static void test_turns(void **state)
{
    weir_socket second = pushpull_open(WEIR_PULL);

    (void)state;
    pushpull_join(pull, push, "inproc://one");
    pushpull_join(second, push, "inproc://two");
    for (int i = 0; i < 4; i++)
        assert_int_equal(weir_send(push, "warm", 4, SOON), 0);
    assert_true(quick_send(push, "1", 1));
    assert_true(quick_send(push, "2", 1));
    assert_true(quick_send(push, "3", 1));
    for (int i = 0; i < 2; i++) {
        pushpull_hear(pull, "warm");
        pushpull_hear(second, "warm");
    }
    pushpull_hear(pull, "1");
    pushpull_hear(second, "2");
    pushpull_hear(pull, "3");
    assert_int_equal(weir_close(second, SOON, NULL), 0);
}

/* ---- it is not ---- */

static void test_no_socket(void **state)
{
    weir_socket closed = pushpull_open(WEIR_PUSH), never = {0, 0};
    struct weir_sock *sock = NULL;

    (void)state;
    assert_int_equal(weir_close(closed, SOON, NULL), 0);
    assert_false(weir_quick_send(closed, "x", 1, &sock));
    assert_null(sock);
    assert_false(weir_quick_send(never, "x", 1, &sock));
    assert_null(sock);
    assert_int_equal(weir_send(closed, "x", 1, SOON), -EBADF);
}

static void test_locked(void **state)
{
    struct weir_sock *held, *sock = NULL;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    warm();
    assert_int_equal(weir_sock_get(push, &held), 0);
    assert_false(weir_quick_send(push, "x", 1, &sock));
    assert_null(sock);
    weir_sock_put(held);
    assert_true(quick_send(push, "y", 1));
    pushpull_hear(pull, "y");
}

static void test_nobody(void **state)
{
    weir_socket pub = pushpull_open(WEIR_PUB);

    (void)state;
    assert_false(quick_send(push, "x", 1));
    assert_false(quick_send(pull, "x", 1));
    assert_false(quick_send(pub, "x", 1));
    assert_int_equal(weir_close(pub, SOON, NULL), 0);
}

static void test_at_mark(void **state)
{
    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "1"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "1"), 0);
    pushpull_join(pull, push, "inproc://quick");
    warm();
    while (quick_send(push, "x", 1))
        ;
    assert_in_range(accepted(), 2, 3);
    for (uint64_t n = accepted(); n > 1; n--)
        pushpull_hear(pull, "x");
    assert_int_equal(weir_send(push, "x", 1, SOON), 0);
}

static void test_policy(void **state)
{
    (void)state;
    assert_int_equal(weir_set(push, "send-policy", "drop-new"), 0);
    pushpull_join(pull, push, "inproc://quick");
    warm();
    assert_false(quick_send(push, "x", 1));
}

static void test_large(void **state)
{
    static char data[WEIR_QUEUE_BODY];

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    warm();
    assert_false(quick_send(push, data, sizeof data));
    assert_int_equal(accepted(), 1);
}

static void test_nothing_there(void **state)
{
    char data[ROOM];
    size_t size = sizeof data;
    weir_message message;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    weir_message_init(&message);
    assert_false(quick_recv(pull, data, &size));
    assert_int_equal(size, sizeof data);
    assert_false(quick_recv_message(pull, &message));
    assert_false(quick_recv(push, data, &size));
}

/* Two messages, so that what is behind the first is known to be there. */
static void send_behind(const char *text, uint32_t frames)
{
    weir_message message;

    assert_int_equal(weir_send(push, "first", 5, SOON), 0);
    weir_message_init(&message);
    for (uint32_t i = 0; i < frames; i++)
        assert_int_equal(weir_message_add(&message, text, strlen(text)), 0);
    assert_int_equal(weir_send_message(push, &message, SOON), 0);
    pushpull_hear(pull, "first");
}

static void test_many_frames(void **state)
{
    weir_message message;
    char data[ROOM];
    size_t size = sizeof data;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    send_behind("text", 2);
    weir_message_init(&message);
    assert_false(quick_recv(pull, data, &size));
    assert_false(quick_recv_message(pull, &message));
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    assert_int_equal(weir_message_count(&message), 2);
    weir_message_fini(&message);
}

/* What did not fit stays first in line. */
static void test_no_room(void **state)
{
    char data[ROOM];
    size_t size = 3;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    send_behind("text", 1);
    assert_false(quick_recv(pull, data, &size));
    assert_int_equal(size, 3);
    assert_int_equal(weir_recv(pull, data, &size, SOON), -EMSGSIZE);
    assert_int_equal(weir_send(push, "next", 4, SOON), 0);
    size = sizeof data;
    assert_false(quick_recv(pull, data, &size));
    pushpull_hear(pull, "text");
    pushpull_hear(pull, "next");
}

/* Another thread waits for it, and was first. */
static void test_others_wait(void **state)
{
    struct weir_sock *sock;
    char data[ROOM];
    size_t size = sizeof data;

    (void)state;
    pushpull_join(pull, push, "inproc://quick");
    send_behind("text", 1);
    assert_int_equal(weir_sock_get(pull, &sock), 0);
    sock->waiting[WEIR_WAIT_IN]++;
    weir_sock_put(sock);
    assert_false(quick_recv(pull, data, &size));
    assert_int_equal(weir_sock_get(pull, &sock), 0);
    sock->waiting[WEIR_WAIT_IN]--;
    weir_sock_put(sock);
    assert_true(quick_recv(pull, data, &size));
}

#define CASE(test) \
    cmocka_unit_test_setup_teardown(test, pushpull_begin, pushpull_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_octets_inproc), CASE(test_octets_tcp),   CASE(test_messages),
        CASE(test_shared),        CASE(test_other_socket), CASE(test_turns),
        CASE(test_no_socket),     CASE(test_locked),       CASE(test_nobody),
        CASE(test_at_mark),       CASE(test_policy),       CASE(test_large),
        CASE(test_nothing_there), CASE(test_many_frames),  CASE(test_no_room),
        CASE(test_others_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
