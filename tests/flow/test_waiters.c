/*
 * Several threads on one socket: who waits learns of what another has done,
 * even where no message comes of it.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3 };

static void for_each_transport(void (*body)(weir_context context,
                                            const char *transport))
{
    for (int threads = 0; threads < 2; threads++)
        for (int i = 0; i < TRANSPORTS; i++) {
            weir_context context = flow_context(threads);

            body(context, transports[i]);
            flow_end(context);
        }
}

/* Another thread is probably in its call by then; what it gets does not
 * depend on it. */
static void let_it_begin(void)
{
    const struct timespec pause = {0, FLOW_NOT * 1000000L};

    nanosleep(&pause, NULL);
}

/* ---- a message that does not fit ---- */

static const char text[] = "longer than the room of one of the receivers";

struct receiver {
    weir_socket socket;
    int result;
    size_t size;
    int64_t took;
    char data[100];
};

static void *receive(void *arg)
{
    struct receiver *receiver = arg;
    int64_t start = flow_now();

    receiver->size = sizeof(receiver->data);
    receiver->result =
        weir_recv(receiver->socket, receiver->data, &receiver->size, FLOW_SOON);
    receiver->took = flow_now() - start;
    return NULL;
}

static void *receive_little(void *arg)
{
    struct receiver *receiver = arg;

    receiver->size = 4;
    receiver->result =
        weir_recv(receiver->socket, receiver->data, &receiver->size, FLOW_SOON);
    return NULL;
}

/* Whichever of the two the message wakes, who has the room gets it. */
static void too_long_for_one(weir_context context, const char *transport)
{
    struct receiver large = {.result = 1}, small = {.result = 1};
    weir_socket to = flow_open(context, WEIR_PULL);
    weir_socket from = flow_open(context, WEIR_PUSH);
    pthread_t threads[2];

    flow_join(to, from, transport);
    large.socket = small.socket = to;
    assert_int_equal(pthread_create(&threads[0], NULL, receive_little, &small),
                     0);
    assert_int_equal(pthread_create(&threads[1], NULL, receive, &large), 0);
    let_it_begin();
    flow_say(from, text);
    pthread_join(threads[1], NULL);
    assert_int_equal(large.result, 0);
    assert_int_equal(large.size, strlen(text));
    assert_true(large.took < FLOW_SOON / 2);
    flow_say(from, text); /* for the other, if it has got nothing yet */
    pthread_join(threads[0], NULL);
    assert_int_equal(small.result, -EMSGSIZE);
    assert_int_equal(small.size, strlen(text));
    flow_drop(from);
    flow_drop(to);
}

static void test_too_long_for_one(void **state)
{
    (void)state;
    for_each_transport(too_long_for_one);
}

/* It stays first in line: those behind it come later, and no turn is over. */
static void stays_first(weir_context context, const char *transport)
{
    weir_socket asks = flow_open(context, WEIR_REQ);
    weir_socket serves = flow_open(context, WEIR_REP);
    char little[4];
    size_t size = sizeof(little);

    flow_join(serves, asks, transport);
    flow_say(asks, text);
    flow_fails(weir_recv(serves, little, &size, FLOW_SOON), EMSGSIZE);
    flow_fails(weir_send(serves, "early", 5, 0), WEIR_ESTATE);
    flow_hear(serves, text);
    flow_say(serves, text);
    size = sizeof(little);
    flow_fails(weir_recv(asks, little, &size, FLOW_SOON), EMSGSIZE);
    flow_fails(weir_send(asks, "early", 5, 0), WEIR_ESTATE);
    flow_hear(asks, text);
    flow_say(asks, "again");
    flow_hear(serves, "again");
    flow_drop(asks);
    flow_drop(serves);
}

static void test_stays_first(void **state)
{
    (void)state;
    for_each_transport(stays_first);
}

/* A reply that was given up is not taken for the next one. */
static void given_up(weir_context context, const char *transport)
{
    weir_socket asks = flow_open(context, WEIR_REQ);
    weir_socket serves = flow_open(context, WEIR_REP);
    char little[4];
    size_t size = sizeof(little);

    flow_ok(weir_set(asks, "relaxed", "yes"));
    flow_join(serves, asks, transport);
    flow_say(asks, "first");
    flow_hear(serves, "first");
    flow_say(serves, "reply to first");
    flow_fails(weir_recv(asks, little, &size, FLOW_SOON), EMSGSIZE);
    flow_say(asks, "second");
    flow_hear(serves, "second");
    flow_say(serves, "reply to second");
    flow_hear(asks, "reply to second");
    flow_drop(asks);
    flow_drop(serves);
}

static void test_given_up(void **state)
{
    (void)state;
    for_each_transport(given_up);
}

/* ---- who has its message does not look again ---- */

static void await_delivered(weir_socket socket, uint64_t n)
{
    const struct timespec pause = {0, 1000000};
    int64_t end = flow_now() + FLOW_SOON;

    while (flow_stats(socket).delivered < n) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    }
}

/* The next message wakes the other one, before its deadline does. */
static void one_works(weir_context context, const char *transport)
{
    struct receiver receivers[2] = {{.result = 1}, {.result = 1}};
    weir_socket to = flow_open(context, WEIR_PULL);
    weir_socket from = flow_open(context, WEIR_PUSH);
    pthread_t threads[2];

    flow_join(to, from, transport);
    for (int i = 0; i < 2; i++) {
        receivers[i].socket = to;
        assert_int_equal(
            pthread_create(&threads[i], NULL, receive, &receivers[i]), 0);
    }
    let_it_begin();
    flow_say(from, text);
    await_delivered(to, 1);
    flow_say(from, text);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(receivers[i].result, 0);
        assert_true(receivers[i].took < FLOW_SOON / 2);
    }
    flow_drop(from);
    flow_drop(to);
}

static void test_one_works(void **state)
{
    (void)state;
    for_each_transport(one_works);
}

/* ---- a flush, and what it waits for goes away ---- */

struct flusher {
    weir_socket socket;
    int result;
    int64_t took;
};

static void *flush(void *arg)
{
    struct flusher *flusher = arg;
    int64_t start = flow_now();

    flusher->result = weir_flush(flusher->socket, FLOW_SOON);
    flusher->took = flow_now() - start;
    return NULL;
}

static void flush_of_closed(weir_context context, const char *transport)
{
    struct flusher flusher = {.result = 1};
    weir_socket socket = flow_open(context, WEIR_PUSH);
    weir_endpoint endpoint;
    char url[FLOW_URL];
    pthread_t thread;
    uint64_t unsent;

    flow_url(transport, url);
    flow_ok(weir_connect(socket, url, &endpoint));
    flow_say(socket, "to nobody");
    flusher.socket = socket;
    assert_int_equal(pthread_create(&thread, NULL, flush, &flusher), 0);
    let_it_begin();
    flow_fails(weir_endpoint_close(endpoint, 0, &unsent), EAGAIN);
    assert_int_equal(unsent, 1);
    pthread_join(thread, NULL);
    assert_int_equal(flusher.result, 0);
    assert_true(flusher.took < FLOW_SOON / 2);
    flow_close(socket);
}

static void test_flush_of_closed(void **state)
{
    (void)state;
    for_each_transport(flush_of_closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_long_for_one),
        cmocka_unit_test(test_stays_first),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_one_works),
        cmocka_unit_test(test_flush_of_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
