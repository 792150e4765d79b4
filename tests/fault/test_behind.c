/*
 * A stranger who is let in: what comes right behind the handshake, in the
 * same octets, and floods of what nobody wants.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const uint8_t ping[] = {RAW_COMMAND, 7, 4, 'P', 'I', 'N', 'G', 0, 9};
static const uint8_t nonsense[] = {RAW_LONG, 0xff, 0xff, 0xff, 0xff,
                                   0xff,     0xff, 0xff, 0xff};

/* Greeting, READY, a PING with a demand of its own, and a frame of a size
 * that there cannot be. */
static size_t all_at_once(uint8_t out[256], const char *type)
{
    size_t size = GREETING;

    make_greeting(out, 1, "NULL", false);
    size += make_ready(out + size, type);
    memcpy(out + size, ping, sizeof(ping));
    size += sizeof(ping);
    memcpy(out + size, nonsense, sizeof(nonsense));
    return size + sizeof(nonsense);
}

/* The PING's task must not outlive the connection. */
static void test_nonsense_to_binder(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    char url[SOCKET_URL];
    uint8_t data[256];
    size_t size = all_at_once(data, "PUSH");

    (void)state;
    bind_to(pull, "tcp://127.0.0.1:*", url);
    for (uint64_t i = 1; i <= 50; i++) {
        int fd = raw_connect(url);

        assert_true(fd >= 0);
        raw_write(fd, data, size);
        assert_true(raw_closed(fd, SOON));
        close(fd);
        AWAIT(pull, refused, i);
    }
    AWAIT(pull, peers, 0);
    close_socket(pull);
    close_context(context);
}

static void test_nonsense_to_dialer(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    char url[SOCKET_URL];
    uint8_t data[256];
    size_t size = all_at_once(data, "PULL");
    int listener = raw_listen(url), fd;

    (void)state;
    set_option(push, "reconnect", "1ms");
    connect_to(push, url);
    fd = raw_accept(listener);
    assert_true(fd >= 0);
    raw_write(fd, data, size);
    assert_true(raw_closed(fd, SOON));
    close(fd);
    AWAIT(push, refused, 1);
    AWAIT(push, peers, 0);
    close(listener);
    close_socket(push);
    close_context(context);
}

/* ---- floods ---- */

struct flood {
    int fd;
    _Atomic bool stop;
};

/* Messages of a topic that nobody has subscribed to. */
static void *pour(void *arg)
{
    struct flood *flood = arg;
    uint8_t data[65536];

    for (size_t i = 0; i + 4 <= sizeof(data); i += 4)
        memcpy(data + i, "\0\002no", 4);
    while (!atomic_load(&flood->stop))
        if (send(flood->fd, data, sizeof(data), MSG_NOSIGNAL) < 0)
            break;
    return NULL;
}

/* What this thread has computed: a busy machine adds nothing to it. */
static int64_t cpu_ms(void)
{
    struct timespec used;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* What nobody wants does not keep a call beyond its deadline. */
static void test_flood(void **state)
{
    weir_context context = new_context(1);
    weir_socket sub = new_socket(context, "SUB");
    char url[SOCKET_URL];
    struct flood flood;
    pthread_t thread;
    weir_message message;
    int64_t start, cpu;

    (void)state;
    bind_to(sub, "tcp://127.0.0.1:*", url);
    assert_true(weir_subscribe(sub, "yes", 3) >= 0);
    atomic_init(&flood.stop, false);
    flood.fd = raw_connect(url);
    assert_true(flood.fd >= 0);
    raw_handshake(flood.fd, 1, "PUB");
    wait_peers(sub, 1);
    assert_int_equal(pthread_create(&thread, NULL, pour, &flood), 0);
    weir_message_init(&message);
    for (int i = 0; i < 20; i++) {
        start = now_ms();
        cpu = cpu_ms();
        assert_int_equal(weir_recv_message(sub, &message,
                                           i % 2 ? 50 : WEIR_NOWAIT),
                         -EAGAIN);
        assert_in_range(cpu_ms() - cpu, 0, 2000);
        assert_in_range(now_ms() - start, 0, 60000);
    }
    close_socket(sub);
    atomic_store(&flood.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(flood.fd);
    close_context(context);
}

/* ---- refused later than at the beginning ---- */

/* A dealer whose routing id another has taken comes back when that is gone,
 * on inproc as elsewhere. */
static void test_taken_over(void **state)
{
    weir_context context = new_context(1);
    weir_socket router = new_socket(context, "ROUTER");
    weir_socket first = new_socket(context, "DEALER");
    weir_socket second = new_socket(context, "DEALER");

    (void)state;
    set_option(router, "handover", "yes");
    set_option(first, "routing-id", "same");
    set_option(first, "reconnect", "500ms");
    set_option(second, "routing-id", "same");
    assert_true(weir_bind(router, "inproc://taken", NULL) >= 0);
    connect_to(first, "inproc://taken");
    wait_peers(first, 1);
    connect_to(second, "inproc://taken");
    AWAIT(first, disconnects, 1);
    close_socket(second);
    wait_peers(first, 1);
    AWAIT(first, connects, 2);
    close_socket(first);
    close_socket(router);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nonsense_to_binder),
        cmocka_unit_test(test_nonsense_to_dialer),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
