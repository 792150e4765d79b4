/*
 * test_subscriptions.c - thousands of topics come with a peer, and go with it:
 * the publisher deals with them without more to send or receive.
 */
#include "config.h"

#include "fault.h"

#include <stdio.h>
#include <unistd.h>

enum { TOPICS = 5000 };

static void expect_notices(weir_socket xpub, char first)
{
    for (int i = 0; i < TOPICS; i++) {
        char notice[16];
        size_t size = sizeof(notice);

        assert_int_equal(weir_recv(xpub, notice, &size, SOON), 0);
        assert_int_equal(notice[0], first);
        assert_int_equal(size, 6);
    }
}

static void notices(const char *where, int threads, const char *mark)
{
    weir_context context = new_context(threads);
    weir_socket xpub = new_socket(context, "XPUB");
    weir_socket sub = new_socket(context, "SUB");
    char url[SOCKET_URL];

    set_option(xpub, "recv-mark", mark);
    for (int i = 0; i < TOPICS; i++) {
        char topic[16];

        snprintf(topic, sizeof(topic), "%05d", i);
        assert_int_equal(weir_subscribe(sub, topic, 5), 0);
    }
    bind_to(xpub, where, url);
    connect_to(sub, url);
    expect_notices(xpub, 1);
    close_socket(sub);
    expect_notices(xpub, 0);
    close_socket(xpub);
    close_context(context);
}

static void over_tcp(void **state)
{
    (void)state;
    notices("tcp://127.0.0.1:*", 1, "100000");
}

static void over_inproc(void **state)
{
    (void)state;
    notices("inproc://topics", 1, "100000");
}

static void without_io_threads(void **state)
{
    (void)state;
    notices("tcp://127.0.0.1:*", 0, "100000");
}

static void with_a_low_mark(void **state)
{
    (void)state;
    notices("tcp://127.0.0.1:*", 1, "10");
}

static int poll_notices(weir_socket xpub, int most)
{
    weir_poll_item item = {.socket = xpub, .events = WEIR_POLL_IN};
    char notice[16];
    int n = 0;

    while (n < most && weir_poll(&item, 1, SOON) == 1) {
        size_t size = sizeof(notice);

        for (; weir_recv(xpub, notice, &size, 0) == 0; n++)
            size = sizeof(notice);
    }
    return n;
}

/* Whoever watches the descriptor learns of all. */
static void a_loop_is_told(void **state)
{
    weir_context context = new_context(1);
    weir_socket xpub = new_socket(context, "XPUB");
    char url[SOCKET_URL];
    int fd;

    (void)state;
    bind_to(xpub, "tcp://127.0.0.1:*", url);
    fd = raw_connect(url);
    raw_handshake(fd, 1, "SUB");
    for (int i = 0; i < TOPICS; i++) {
        char body[32];

        snprintf(body, sizeof(body), "\11SUBSCRIBE%05d", i);
        raw_send(fd, RAW_COMMAND, body, 15);
    }
    assert_int_equal(poll_notices(xpub, TOPICS), TOPICS);
    close(fd);
    assert_int_equal(poll_notices(xpub, TOPICS), TOPICS);
    close_socket(xpub);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_tcp),           cmocka_unit_test(over_inproc),
        cmocka_unit_test(without_io_threads), cmocka_unit_test(with_a_low_mark),
        cmocka_unit_test(a_loop_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
