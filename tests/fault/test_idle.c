/*
 * test_idle.c - without traffic no processor time is used, and one context
 * has one thread.
 */
#include "config.h"

#include "fault.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t used_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* A second of sleep costs next to nothing. */
static void rests(const char *when)
{
    int64_t before, used;

    sleep_ms(50); /* what was just done settles */
    before = used_us();
    sleep_ms(1000);
    used = used_us() - before;
    if (used > (sanitized("no") ? 5000 : 50000))
        fail_msg("%s: %lld us of processor time in a second", when,
                 (long long)used);
}

/* ThreadSanitizer has one of its own, some day. */
static void has_threads(int n)
{
    if (!sanitized("thread"))
        assert_int_equal(count_threads(), n);
}

static void idle(const char *where)
{
    int threads = count_threads();
    weir_context context = new_context(1);
    weir_socket pull, push;
    char url[SOCKET_URL], data[8];
    size_t size = sizeof(data);

    has_threads(threads);
    pull = new_socket(context, "PULL");
    push = new_socket(context, "PUSH");
    has_threads(threads + 1);
    rests("without endpoints");
    bind_to(pull, where, url);
    rests("without peers");
    connect_to(push, url);
    wait_peers(push, 1);
    wait_peers(pull, 1);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(weir_send(push, "message", 7, SOON), 0);
        size = sizeof(data);
        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
    rests("after traffic");
    has_threads(threads + 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(weir_send(push, "message", 7, SOON), 0);
    rests("with messages nobody reads");
    assert_true(weir_readable_fd(pull) >= 0);
    rests("watched");
    close_socket(push);
    rests("after a peer has gone");
    close_socket(pull);
    close_context(context);
    has_threads(threads);
}

static void on_tcp(void **state)
{
    (void)state;
    idle("tcp://127.0.0.1:*");
}

static void on_inproc(void **state)
{
    (void)state;
    idle("inproc://idle");
}

/* A dialer without a listener tries now and then. */
static void in_vain(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");

    (void)state;
    connect_to(push, "tcp://127.0.0.1:1");
    sleep_ms(300);
    rests("connecting in vain");
    close_socket(push);
    close_context(context);
}

/* A device between two peers: it sleeps when there is nothing to move, when it
 * is paused, and when there is nowhere to move it. */
static void device(const char *front_url, const char *back_url)
{
    weir_context context = new_context(1);
    weir_socket front = new_socket(context, "PULL");
    weir_socket back = new_socket(context, "PUSH");
    weir_socket push = new_socket(context, "PUSH");
    weir_socket pull = new_socket(context, "PULL"), none = {0, 0};
    int threads = count_threads();
    char url[SOCKET_URL], data[8];
    size_t size = sizeof(data);
    weir_device device;

    set_option(back, "send-mark", "10");
    bind_to(front, front_url, url);
    connect_to(push, url);
    bind_to(back, back_url, url);
    assert_int_equal(weir_device_start(&device, front, back, none, 2), 0);
    has_threads(threads + 2);
    rests("a device without a peer at its back");
    for (int i = 0; i < 100; i++)
        assert_int_equal(weir_send(push, "message", 7, SOON), 0);
    rests("a device with messages that it cannot move");
    connect_to(pull, url);
    for (int i = 0; i < 100; i++) {
        size = sizeof(data);
        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
    rests("a device after traffic");
    assert_int_equal(weir_device_pause(device), 0);
    assert_int_equal(weir_send(push, "message", 7, SOON), 0);
    rests("a device that is paused");
    assert_int_equal(weir_device_stop(device, SOON, NULL), 0);
    has_threads(threads);
    rests("after a device");
    close_socket(push);
    close_socket(pull);
    close_socket(front);
    close_socket(back);
    close_context(context);
}

static void device_on_tcp(void **state)
{
    (void)state;
    device("tcp://127.0.0.1:*", "tcp://127.0.0.1:*");
}

static void device_on_inproc(void **state)
{
    (void)state;
    device("inproc://idle-front", "inproc://idle-back");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_tcp),           cmocka_unit_test(on_inproc),
        cmocka_unit_test(in_vain),          cmocka_unit_test(device_on_tcp),
        cmocka_unit_test(device_on_inproc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
