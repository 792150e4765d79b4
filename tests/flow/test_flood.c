/*
 * One peer sends more than the application can take, without end: the others
 * are heard all the same, those included that come meanwhile.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { OCTETS = 1000, HEARD = 5000 }; /* ms within which others are heard */

struct flood {
    weir_context context; /* of the peers */
    weir_socket source;
    _Atomic bool over;
};

static void *pour(void *arg)
{
    struct flood *flood = arg;
    static const char drop[OCTETS];

    while (!atomic_load(&flood->over))
        (void)weir_send(flood->source, drop, sizeof(drop), FLOW_NOT);
    return NULL;
}

/* More work than sending one is. */
static void take_time(void)
{
    for (volatile int i = 0; i < 2000; i++)
        ;
}

/* Receive what there is until something short comes. */
static void await_other(weir_socket pull)
{
    int64_t end = flow_now() + HEARD;
    char data[OCTETS];
    size_t size;

    do {
        size = sizeof(data);
        flow_ok(weir_recv(pull, data, &size, FLOW_SOON));
        take_time();
    } while (size == OCTETS && flow_now() < end);
    assert_int_equal(size, 5);
    assert_memory_equal(data, "other", 5);
}

static void await_flood(weir_socket pull)
{
    char data[OCTETS];

    for (int i = 0; i < 5000; i++) {
        size_t size = sizeof(data);

        flow_ok(weir_recv(pull, data, &size, FLOW_SOON));
        take_time();
    }
}

static void flood(int io_threads)
{
    weir_context context = flow_context(io_threads);
    weir_socket pull = flow_open(context, WEIR_PULL), early, late;
    struct flood flood = {.context = flow_context(1)};
    char url[FLOW_URL];
    pthread_t thread;

    flow_bind(pull, "tcp", url);
    flood.source = flow_open(flood.context, WEIR_PUSH);
    early = flow_open(flood.context, WEIR_PUSH);
    late = flow_open(flood.context, WEIR_PUSH);
    flow_ok(weir_connect(early, url, NULL));
    flow_ok(weir_connect(flood.source, url, NULL));
    assert_int_equal(pthread_create(&thread, NULL, pour, &flood), 0);
    await_flood(pull);
    flow_say(early, "other");
    await_other(pull);
    flow_ok(weir_connect(late, url, NULL));
    flow_say(late, "other");
    await_other(pull);
    atomic_store(&flood.over, true);
    pthread_join(thread, NULL);
    flow_close(early);
    flow_close(late);
    flow_drop(flood.source);
    flow_drop(pull);
    flow_end(flood.context);
    flow_end(context);
}

static void test_with_thread(void **state)
{
    (void)state;
    flood(1);
}

static void test_without_threads(void **state)
{
    (void)state;
    flood(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_thread),
        cmocka_unit_test(test_without_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
