/*
 * The application computes and makes no call: what it has sent leaves, what
 * comes for it is queued, and its peers' heartbeats are answered.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MESSAGES = 1000, LONG = 10000, SHORT = 700 }; /* ms of computing */

/* The peer, in a thread and a context of its own. */
struct peer {
    weir_socket socket, away;
    weir_context context;
    int64_t until; /* ms: it has to ask for signs of life until then */
    uint32_t heard, missing;
    int events; /* that tell of an end, or of silence */
    _Atomic bool done;
};

static bool in_full(void)
{
    const char *full = getenv("WEIR_TEST_FULL");

    return full && *full;
}

/* What was sent before the application went away, in order. */
static void hear_all(struct peer *peer)
{
    uint32_t number;
    size_t size = sizeof(number);

    while (peer->heard < MESSAGES &&
           weir_recv(peer->socket, &number, &size, FLOW_SOON) >= 0 &&
           number == peer->heard)
        peer->heard++;
}

static uint64_t queued(weir_socket socket)
{
    weir_stats stats = {.size = sizeof(stats)};

    return weir_socket_stats(socket, &stats) < 0 ? 0 : stats.recv_queued;
}

/* All that is said now is queued on the other side, though nobody takes it. */
static void say_all(struct peer *peer)
{
    int64_t end = flow_now() + FLOW_SOON;

    for (uint32_t i = 0; i < MESSAGES; i++)
        peer->missing += weir_send(peer->socket, &i, sizeof(i), FLOW_SOON) < 0;
    while (queued(peer->away) < MESSAGES && flow_now() < end)
        ;
    peer->missing += (uint32_t)(MESSAGES - queued(peer->away));
}

/* PINGs go out meanwhile; who does not answer is told of. */
static void watch(struct peer *peer)
{
    weir_event event = {.size = sizeof(event)};

    while (flow_now() < peer->until) {
        if (weir_next_event(peer->socket, &event, 50) < 0)
            continue;
        peer->events += event.kind == WEIR_EVENT_DISCONNECTED ||
                        event.kind == WEIR_EVENT_PEER_STALLED;
    }
}

static void *live(void *arg)
{
    struct peer *peer = arg;

    hear_all(peer);
    say_all(peer);
    watch(peer);
    atomic_store(&peer->done, true);
    return NULL;
}

/* No call and no rest, until the peer has seen all that it wants to see. */
static void compute(const struct peer *peer)
{
    int64_t end = peer->until + 2 * FLOW_SOON;
    volatile uint64_t sum = 0;

    while (!atomic_load(&peer->done) && flow_now() < end)
        for (int i = 0; i < 10000; i++)
            sum += (uint64_t)i * sum;
    assert_true(atomic_load(&peer->done));
}

static void set_up(struct peer *peer, weir_context context,
                   const char *transport)
{
    peer->context = flow_context(1);
    peer->away = flow_open(context, WEIR_DEALER);
    peer->socket = flow_open(peer->context, WEIR_DEALER);
    flow_ok(weir_set(peer->socket, "heartbeat", "100ms"));
    flow_ok(weir_set(peer->socket, "heartbeat-timeout", "3s"));
    flow_ok(weir_set(peer->socket, "heartbeat-strict", "1"));
    flow_join(peer->away, peer->socket, transport);
    peer->until = flow_now() + (in_full() ? LONG : SHORT);
}

static void go_away(const char *transport, int io_threads)
{
    weir_context context = flow_context(io_threads);
    struct peer peer = {.events = 0};
    pthread_t thread;

    set_up(&peer, context, transport);
    for (uint32_t i = 0; i < MESSAGES; i++)
        flow_send_number(peer.away, i);
    assert_int_equal(pthread_create(&thread, NULL, live, &peer), 0);
    compute(&peer);
    pthread_join(thread, NULL);
    assert_int_equal(peer.heard, MESSAGES);
    assert_int_equal(peer.missing, 0);
    assert_int_equal(peer.events, 0);
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(flow_recv_number(peer.away), i);
    flow_close(peer.socket);
    flow_close(peer.away);
    flow_end(peer.context);
    flow_end(context);
}

static void test_tcp(void **state)
{
    (void)state;
    go_away("tcp", 1);
    go_away("tcp", 2);
}

static void test_ipc(void **state)
{
    (void)state;
    go_away("ipc", 1);
    go_away("ipc", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_ipc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
