/*
 * test_limits.c - marks mean what they say: what one socket accepts while the
 * other does not read, and what a peer's memory holds.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MARK = 50, SIZE = 2000, RECEIVE_BUFFER = 1 << 18 };

/* Send until the mark is met for good. */
static int fill(weir_socket socket, size_t size)
{
    static char data[SIZE];
    int n = 0;

    while (weir_send(socket, data, size, 200) == 0)
        n++;
    return n;
}

static void inproc_is_exact(void **state)
{
    static const char *const marks[][3] = {
        {"10", "20", "30"}, {"1", "1", "2"}, {"100", "7", "107"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        weir_context context = new_context(1);
        weir_socket pull = new_socket(context, "PULL");
        weir_socket push = new_socket(context, "PUSH");
        weir_stats stats;

        set_option(push, "send-mark", marks[i][0]);
        set_option(pull, "recv-mark", marks[i][1]);
        assert_int_equal(weir_bind(pull, "inproc://limits", NULL), 0);
        connect_to(push, "inproc://limits");
        assert_int_equal(fill(push, 100), atoi(marks[i][2]));
        stats = stats_of(pull);
        assert_int_equal(stats.recv_queued, atoi(marks[i][2]));
        close_socket(push);
        close_socket(pull);
        close_context(context);
    }
}

/* Before there is a connection the sender's mark holds alone. */
static void unconnected_is_exact(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    uint64_t unsent = 0;

    (void)state;
    set_option(push, "send-mark", "50");
    connect_to(push, "tcp://127.0.0.1:1");
    assert_int_equal(fill(push, SIZE), MARK);
    assert_int_equal(weir_close(push, 0, &unsent), -EAGAIN);
    assert_int_equal(unsent, MARK);
    close_context(context);
}

/* The receiver holds its mark and one receive buffer of messages at most. */
static void receiver_holds_mark_and_buffer(const char *where)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    char url[SOCKET_URL];
    weir_stats stats;
    int n;

    set_option(pull, "recv-mark", "50");
    set_option(push, "send-mark", "50");
    bind_to(pull, where, url);
    connect_to(push, url);
    wait_peers(push, 1);
    n = fill(push, SIZE);
    stats = stats_of(pull);
    assert_true(stats.recv_queued >= MARK);
    assert_true(stats.recv_queued <= MARK + RECEIVE_BUFFER / SIZE);
    stats = stats_of(push);
    assert_true(stats.send_queued <= MARK + 1);
    for (; n > 0; n--) {
        static char data[SIZE];
        size_t size = sizeof(data);

        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

static void receiver_on_tcp(void **state)
{
    (void)state;
    receiver_holds_mark_and_buffer("tcp://127.0.0.1:*");
}

static void receiver_on_ipc(void **state)
{
    (void)state;
    receiver_holds_mark_and_buffer("ipc://*");
}

static void bytes_count_too(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    weir_stats stats;
    int n;

    (void)state;
    set_option(push, "send-mark-bytes", "100000");
    set_option(pull, "recv-mark-bytes", "50000");
    assert_int_equal(weir_bind(pull, "inproc://bytes", NULL), 0);
    connect_to(push, "inproc://bytes");
    n = fill(push, SIZE);
    stats = stats_of(pull);
    assert_true(stats.recv_queued_bytes <= 150000 + SIZE + 9);
    assert_in_range(n, 150000 / (SIZE + 9) - 1, 150000 / (SIZE + 9) + 1);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

/* Drop rules: nothing waits, everything is counted. */
static void policies_count(void **state)
{
    static const char *const policies[] = {"drop-new", "drop-old", "latest"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        weir_context context = new_context(1);
        weir_socket push = new_socket(context, "PUSH");
        weir_stats stats;

        set_option(push, "send-mark", "50");
        set_option(push, "send-policy", policies[i]);
        connect_to(push, "tcp://127.0.0.1:1");
        for (int k = 0; k < 500; k++)
            assert_int_equal(weir_send(push, "message", 7, 0), 0);
        stats = stats_of(push);
        assert_true(adds_up(&stats));
        assert_int_equal(stats.accepted, 500);
        assert_int_equal(stats.send_queued, i == 2 ? 1 : MARK);
        assert_int_equal(sum_of(stats.send_dropped), i == 2 ? 499 : 450);
        close_socket(push);
        close_context(context);
    }
}

/* What rests gives its memory back after a while. */
static void await_resident(size_t most)
{
    int64_t end = now_ms() + SOON;

    while (resident() > most && now_ms() < end)
        sleep_ms(10);
    if (resident() > most)
        fail_msg("%zu MB are resident still", resident() >> 20);
}

/* Fill, drain: the memory comes back. */
static void memory_comes_back(void **state)
{
    enum { BIG = 1 << 20 };
    int n = full() ? 1024 : 128;
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    char *data = test_calloc(1, BIG);
    size_t before;

    (void)state;
    for (int i = 0; i < 2; i++)
        set_option(i ? pull : push, i ? "recv-mark-bytes" : "send-mark-bytes",
                   "0");
    assert_int_equal(weir_bind(pull, "inproc://memory", NULL), 0);
    connect_to(push, "inproc://memory");
    before = resident();
    for (int i = 0; i < n; i++) {
        memset(data, i, BIG);
        assert_int_equal(weir_send(push, data, BIG, SOON), 0);
    }
    assert_true(resident() - before > (size_t)n * BIG / 2);
    for (int i = 0; i < n; i++) {
        size_t size = BIG;

        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
    if (!sanitized("address") && !sanitized("thread"))
        await_resident(before + (size_t)n * BIG / 10 + (8 << 20));
    test_free(data);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

/* The peer begins to read long after the last send. */
static void comes_back_from_slow_peer(const char *url)
{
    enum { OCTETS = 1000, MESSAGES = 50000 };
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    static char data[OCTETS];
    char where[SOCKET_URL];
    size_t before;

    set_option(push, "send-mark", "0");
    set_option(push, "send-mark-bytes", "0");
    set_option(pull, "recv-mark", "0");
    set_option(pull, "recv-mark-bytes", "0");
    bind_to(pull, url, where);
    connect_to(push, where);
    wait_peers(push, 1);
    before = resident();
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(weir_send(push, data, OCTETS, SOON), 0);
    assert_true(resident() - before > OCTETS * MESSAGES / 2);
    sleep_ms(2200); /* it is at rest, but for what waits */
    for (int i = 0; i < MESSAGES; i++) {
        size_t size = OCTETS;

        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
    if (!sanitized("address") && !sanitized("thread"))
        await_resident(before + OCTETS * MESSAGES / 10);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

static void memory_comes_back_later(void **state)
{
    (void)state;
    comes_back_from_slow_peer("tcp://127.0.0.1:*");
    comes_back_from_slow_peer("inproc://slow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inproc_is_exact),
        cmocka_unit_test(unconnected_is_exact),
        cmocka_unit_test(receiver_on_tcp),
        cmocka_unit_test(receiver_on_ipc),
        cmocka_unit_test(bytes_count_too),
        cmocka_unit_test(policies_count),
        cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(memory_comes_back_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
