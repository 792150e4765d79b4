/*
 * A large message goes to the kernel from the application's own memory; what
 * the kernel does not take is copied before the call returns.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "direct.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum {
    LARGE = 100000,  /* the kernel takes it at once */
    HUGE = 16 << 20, /* more than the kernel's buffers have room for */
    SENDERS = 3,     /* threads, with so many messages each */
    MESSAGES = 200
};

static uint8_t data[HUGE];
static _Atomic int direct_writes;

void __real_weir_direct_write(struct weir_sock *sock);
void __wrap_weir_direct_write(struct weir_sock *sock);

void __wrap_weir_direct_write(struct weir_sock *sock)
{
    direct_writes++;
    __real_weir_direct_write(sock);
}

static void join(const char *url)
{
    direct_writes = 0;
    pushpull_join(pull, push, url);
}

/* ---- messages whose content tells who they are ---- */

static void fill(uint8_t *at, size_t size, uint32_t seed)
{
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t word = seed * 2654435761u + (uint32_t)i;

        memcpy(at + i, &word, 4);
    }
}

static void check(const uint8_t *at, size_t size, uint32_t seed)
{
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t word;

        memcpy(&word, at + i, 4);
        if (word != seed * 2654435761u + (uint32_t)i)
            fail_msg("message %u is another at octet %zu", seed, i);
    }
}

/* The memory is the caller's again when the call has returned. */
static void send_filled(size_t size, uint32_t seed)
{
    fill(data, size, seed);
    assert_int_equal(weir_send(push, data, size, SOON), 0);
    memset(data, 0xee, size);
}

static void hear_filled(size_t size, uint32_t seed)
{
    weir_message message;
    weir_frame *frame;

    weir_message_init(&message);
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    assert_int_equal(weir_message_count(&message), 1);
    frame = weir_message_frame(&message, 0);
    assert_int_equal(weir_frame_size(frame), size);
    check(weir_frame_data(frame), size, seed);
    weir_message_fini(&message);
}

/* ---- it is taken ---- */

static void take(const char *url)
{
    join(url);
    for (uint32_t i = 0; i < 20; i++) {
        send_filled(LARGE, i);
        hear_filled(LARGE, i);
    }
    assert_true(direct_writes > 0);
}

static void test_tcp(void **state)
{
    (void)state;
    take("tcp://127.0.0.1:*");
}

static void test_ipc(void **state)
{
    (void)state;
    take("ipc://*");
}

/* Short ones before it and behind it stay where they are. */
static void test_order(void **state)
{
    (void)state;
    join("ipc://*");
    for (uint32_t i = 0; i < 100; i++) {
        send_filled(12, 3 * i);
        send_filled(i % 2 ? LARGE : WEIR_DIRECT_MIN, 3 * i + 1);
        send_filled(20000, 3 * i + 2);
        hear_filled(12, 3 * i);
        hear_filled(i % 2 ? LARGE : WEIR_DIRECT_MIN, 3 * i + 1);
        hear_filled(20000, 3 * i + 2);
    }
    assert_true(direct_writes > 0);
}

/* While the I/O thread has its hands on the connection, just after the joining
 * for one, a message is copied: that one is heard, and sent again. */
static void send_huge_directly(uint32_t seed)
{
    enum { TRIES = 50 };

    direct_writes = 0;
    for (int i = 0; i < TRIES; i++) {
        send_filled(HUGE, seed);
        if (direct_writes)
            return;
        hear_filled(HUGE, seed);
    }
    fail_msg("%d messages in a row were copied", TRIES);
}

/* The peer does not read on: the first has room with it, and of another one the
 * kernel has a part.  One that comes just when the kernel has found more room
 * goes straight there as well, but sooner or later one is copied. */
static void keep_rest(const char *url)
{
    enum { LEAST = 4, MOST = 16 };
    uint32_t n = 1;

    assert_int_equal(weir_set_int(pull, "recv-mark", 1), 0);
    assert_int_equal(weir_set_int(push, "send-mark-bytes", 0), 0);
    join(url);
    send_huge_directly(0);
    for (; n < LEAST || direct_writes == (int)n; n++) {
        assert_true(n < MOST);
        send_filled(HUGE - n, n);
    }
    assert_in_range(direct_writes, 1, n - 1);
    for (uint32_t i = 0; i < n; i++)
        hear_filled(HUGE - i, i);
}

static void test_rest_tcp(void **state)
{
    (void)state;
    keep_rest("tcp://127.0.0.1:*");
}

static void test_rest_ipc(void **state)
{
    (void)state;
    keep_rest("ipc://*");
}

/* What is sent before that would go with the connection. */
static void await_leaving(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    weir_stats stats = {.size = sizeof stats};

    for (int left = SOON; left > 0 && stats.disconnects == 0; left--) {
        assert_int_equal(weir_socket_stats(push, &stats), 0);
        (void)nanosleep(&moment, NULL);
    }
    assert_int_equal(stats.disconnects, 1);
}

/* Who connects again gets whole messages. */
static void test_peer_leaves(void **state)
{
    weir_endpoint endpoint;
    char url[256];

    (void)state;
    assert_int_equal(weir_set_int(pull, "recv-mark", 1), 0);
    assert_int_equal(weir_set_int(push, "send-mark-bytes", 0), 0);
    assert_int_equal(weir_bind(push, "ipc://*", &endpoint), 0);
    assert_true(weir_endpoint_url(endpoint, url, sizeof url) > 0);
    assert_int_equal(weir_connect(pull, url, NULL), 0);
    assert_true(weir_wait_peers(push, 1, SOON) >= 1);
    send_huge_directly(1);
    send_filled(HUGE, 2);
    (void)weir_close(pull, 0, NULL);
    await_leaving();
    pull = pushpull_open(WEIR_PULL);
    assert_int_equal(weir_connect(pull, url, NULL), 0);
    send_filled(LARGE, 3);
    hear_filled(LARGE, 3);
}

/* ---- several threads, one socket ---- */

static void *send_many(void *arg)
{
    uint32_t first = *(uint32_t *)arg;
    uint8_t *own = malloc(LARGE);

    for (uint32_t i = first; own && i < first + MESSAGES; i++) {
        size_t size = i % 3 ? LARGE : 1000;

        fill(own, size, i);
        (void)weir_send(push, own, size, SOON);
    }
    free(own);
    return NULL;
}

/* Those of one sender come in the order in which they were sent. */
static void hear_any(uint32_t *next)
{
    size_t size = sizeof data;
    uint32_t who = 0;

    assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    for (uint32_t word; who < SENDERS; who++) {
        memcpy(&word, data, 4);
        if (word == next[who] * 2654435761u)
            break;
    }
    assert_true(who < SENDERS);
    assert_int_equal(size, next[who] % 3 ? LARGE : 1000);
    check(data, size, next[who]++);
}

static void test_threads(void **state)
{
    pthread_t threads[SENDERS];
    uint32_t first[SENDERS], next[SENDERS];

    (void)state;
    join("ipc://*");
    for (uint32_t i = 0; i < SENDERS; i++) {
        first[i] = next[i] = 1000 * (i + 1);
        assert_int_equal(
            pthread_create(&threads[i], NULL, send_many, &first[i]), 0);
    }
    for (int i = 0; i < SENDERS * MESSAGES; i++)
        hear_any(next);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* ---- it is not taken ---- */

static void test_others_copy(void **state)
{
    weir_message message;

    (void)state;
    join("ipc://*");
    send_filled(WEIR_DIRECT_MIN - 1, 1);
    hear_filled(WEIR_DIRECT_MIN - 1, 1);
    fill(data, LARGE, 2);
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, data, LARGE), 0);
    assert_int_equal(weir_send_message(push, &message, SOON), 0);
    hear_filled(LARGE, 2);
    assert_int_equal(direct_writes, 0);
}

static void test_inproc_copies(void **state)
{
    (void)state;
    join("inproc://direct");
    send_filled(LARGE, 1);
    hear_filled(LARGE, 1);
    assert_int_equal(direct_writes, 0);
}

/* Asks until the I/O thread lets go; asserts nothing with the lock held. */
static struct weir_pipe *hold_driver(struct weir_sock **sock)
{
    struct weir_pipe *pipe;
    bool held = false;

    while (!held) {
        assert_int_equal(weir_sock_get(push, sock), 0);
        pipe = WEIR_CONTAINER(weir_list_first(&(*sock)->pipes),
                              struct weir_pipe, all);
        held = weir_link_hold(&pipe->link);
        weir_sock_put(*sock);
    }
    return pipe;
}

/* Somebody else drives the connection: that one writes a copy. */
static void test_driven_by_others(void **state)
{
    struct weir_sock *sock;
    struct weir_pipe *pipe;

    (void)state;
    join("ipc://*");
    pipe = hold_driver(&sock);
    send_filled(LARGE, 1);
    assert_int_equal(direct_writes, 0);
    assert_int_equal(weir_sock_get(push, &sock), 0);
    weir_sock_let_go(sock, pipe);
    weir_sock_put(sock);
    hear_filled(LARGE, 1);
}

int main(void)
{
#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, pushpull_begin, pushpull_end)
    const struct CMUnitTest tests[] = {
        CASE(test_tcp),           CASE(test_ipc),
        CASE(test_order),         CASE(test_rest_tcp),
        CASE(test_rest_ipc),      CASE(test_peer_leaves),
        CASE(test_threads),       CASE(test_others_copy),
        CASE(test_inproc_copies), CASE(test_driven_by_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
