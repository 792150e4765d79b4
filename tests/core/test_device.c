/*
 * test_device.c - the parts of a device: which types go together, and what
 * lending a socket and putting a message back do.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "device.h"
#include "message.h"
#include "socket.h"

enum { TYPES = WEIR_XSUB + 1 };

/* ---- pairs ---- */

static const char *const names[TYPES] = {"PAIR", "PUB",    "SUB",    "REQ",
                                         "REP",  "DEALER", "ROUTER", "PULL",
                                         "PUSH", "XPUB",   "XSUB"};

/* '>' the row's messages go on, '<' the column's do, '=' both, '.' no.  The
 * columns are in the order of the rows. */
/* clang-format off */
static const char *const pairs[TYPES] = {
    /* PAIR   */ "=>...==.>==",
    /* PUB    */ "<.<..<<<..<",
    /* SUB    */ ".>......>..",
    /* REQ    */ "....=......",
    /* REP    */ "...=.......",
    /* DEALER */ "=>...==.>==",
    /* ROUTER */ "=>...=..>..",
    /* PULL   */ ".>......>..",
    /* PUSH   */ "<.<..<<<..<",
    /* XPUB   */ "=....=....=",
    /* XSUB   */ "=>...=..>==",
};
/* clang-format on */

static const struct weir_pattern_ops *pattern_of(int type)
{
    return weir_pattern_by_type((enum weir_type)type);
}

static char outcome(int front, int back)
{
    struct weir_sock one = {.pattern = pattern_of(front)};
    struct weir_sock other = {.pattern = pattern_of(back)};
    bool flows[WEIR_DEV_WAYS];
    int r = weir_dev_check_pair(&one, &other, flows);

    if (r == -WEIR_EINCOMPATIBLE) {
        assert_non_null(strstr(weir_error_text(), names[front]));
        assert_non_null(strstr(weir_error_text(), names[back]));
        return '.';
    }
    assert_int_equal(r, 0);
    return flows[0] && flows[1] ? '=' : flows[0] ? '>' : '<';
}

static void test_pairs(void **state)
{
    (void)state;
    for (int front = 0; front < TYPES; front++)
        for (int back = 0; back < TYPES; back++)
            if (outcome(front, back) != pairs[front][back])
                fail_msg("%s and %s: '%c', not '%c'", names[front], names[back],
                         outcome(front, back), pairs[front][back]);
}

static void test_captures(void **state)
{
    (void)state;
    for (int type = 0; type < TYPES; type++) {
        struct weir_sock sock = {.pattern = pattern_of(type)};
        bool good = type == WEIR_PUB || type == WEIR_PUSH || type == WEIR_PAIR;

        assert_int_equal(weir_dev_check_capture(&sock),
                         good ? 0 : -WEIR_EINCOMPATIBLE);
    }
}

/* ---- lending ---- */

static struct weir_sock *enter(weir_socket socket)
{
    struct weir_sock *sock;

    assert_int_equal(weir_sock_get(socket, &sock), 0);
    return sock;
}

static void test_lending(void **state)
{
    int one, other; /* devices, as far as sockets know them */
    weir_context context;
    struct weir_sock *sock;
    weir_socket socket;

    (void)state;
    assert_int_equal(weir_context_open(&context, 0), 0);
    assert_int_equal(weir_open(&socket, context, WEIR_PUSH), 0);
    sock = enter(socket);
    assert_int_equal(weir_sock_lend(sock, &one), 0);
    assert_int_equal(weir_sock_lend(sock, &other), -EBUSY);
    weir_sock_unlend(sock, &other);
    weir_sock_put(sock);
    assert_int_equal(weir_send(socket, "", 0, 0), -EBUSY);
    sock = enter(socket);
    weir_sock_unlend(sock, &one);
    weir_sock_put(sock);
    assert_int_equal(weir_send(socket, "", 0, 0), -EAGAIN);
    assert_int_equal(weir_close(socket, 0, NULL), 0);
    assert_int_equal(weir_context_close(context, 0), 0);
}

/* What is put back comes first, and is not received as long as it is there. */
static void test_put_back(void **state)
{
    weir_stats stats = {.size = sizeof(stats)};
    weir_context context;
    weir_socket push, pull;
    struct weir_sock *sock;
    weir_message message;
    char data[8];
    size_t size = sizeof(data);

    (void)state;
    assert_int_equal(weir_context_open(&context, 0), 0);
    assert_int_equal(weir_open(&push, context, WEIR_PUSH), 0);
    assert_int_equal(weir_open(&pull, context, WEIR_PULL), 0);
    assert_int_equal(weir_bind(pull, "inproc://back", NULL), 0);
    assert_int_equal(weir_connect(push, "inproc://back", NULL), 0);
    assert_int_equal(weir_send(push, "one", 3, 0), 0);
    assert_int_equal(weir_send(push, "two", 3, 0), 0);
    sock = enter(pull);
    weir_message_init(&message);
    assert_int_equal(weir_sock_take(sock, &message), 0);
    weir_sock_put_back(sock, &message);
    weir_sock_put(sock);
    assert_int_equal(weir_socket_stats(pull, &stats), 0);
    assert_int_equal(stats.delivered, 0);
    assert_int_equal(stats.recv_queued, 2);
    assert_int_equal(weir_recv(pull, data, &size, 0), 0);
    assert_memory_equal(data, "one", 3);
    assert_int_equal(weir_recv(pull, data, &size, 0), 0);
    assert_memory_equal(data, "two", 3);
    assert_int_equal(weir_close(push, 0, NULL), 0);
    assert_int_equal(weir_close(pull, 0, NULL), 0);
    assert_int_equal(weir_context_close(context, 0), 0);
}

/* ---- handles ---- */

static void test_handles(void **state)
{
    weir_device device, old = {0, 0};
    weir_device_counts counts = {.size = sizeof(counts)};
    weir_socket front, back, none = {0, 0};
    weir_context context;

    (void)state;
    assert_int_equal(weir_device_stop(old, 0, NULL), -EBADF);
    old = (weir_device){.index = 77, .generation = 1};
    assert_int_equal(weir_device_stats(old, &counts), -EBADF);
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_open(&front, context, WEIR_PULL), 0);
    assert_int_equal(weir_open(&back, context, WEIR_PUSH), 0);
    assert_int_equal(weir_device_start(NULL, front, back, none, 1), -EINVAL);
    assert_int_equal(weir_device_start(&device, front, back, none, -1),
                     -EINVAL);
    assert_int_equal(weir_device_start(&device, front, none, none, 1), -EBADF);
    assert_non_null(strstr(weir_last_error(), "the device's back"));
    for (int i = 0; i < 300; i++) {
        assert_int_equal(weir_device_start(&device, front, back, none, i % 2),
                         0);
        assert_int_equal(weir_device_pause(old), -EBADF);
        counts.size = 4;
        assert_int_equal(weir_device_stats(device, &counts), -EINVAL);
        counts.size = sizeof(counts);
        assert_int_equal(weir_device_stats(device, &counts), 0);
        assert_int_equal(counts.state, WEIR_DEVICE_RUNNING);
        assert_int_equal(weir_device_stop(device, -2, NULL), -EINVAL);
        assert_int_equal(weir_device_stop(device, 0, NULL), 0);
        old = device;
    }
    assert_int_equal(weir_close(front, 0, NULL), 0);
    assert_int_equal(weir_close(back, 0, NULL), 0);
    assert_int_equal(weir_context_close(context, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),   cmocka_unit_test(test_captures),
        cmocka_unit_test(test_lending), cmocka_unit_test(test_put_back),
        cmocka_unit_test(test_handles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
