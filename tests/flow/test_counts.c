/*
 * The counters add up at every instant, whoever sends, receives, drops, comes
 * or goes meanwhile; and at an orderly end both sides have the same figures.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3, RUN_MS = 150, THREADS_MAX = 4 };

static _Atomic bool stop;

struct worker {
    pthread_t thread;
    weir_socket socket;
    weir_context context;
    const char *url;
    uint64_t n;
    int result;
};

/* ---- what workers do until they are stopped ---- */

static void *send_all_the_time(void *arg)
{
    struct worker *worker = arg;
    char data[1000] = {0};

    while (!atomic_load(&stop)) {
        size_t size = (size_t)(worker->n * 7919 % sizeof(data));
        int r = weir_send(worker->socket, data, size, 10);

        worker->n += r >= 0;
        if (r < 0 && r != -EAGAIN)
            worker->result = r;
    }
    return NULL;
}

static void *receive_all_the_time(void *arg)
{
    struct worker *worker = arg;
    weir_message message;

    weir_message_init(&message);
    while (!atomic_load(&stop)) {
        int r = weir_recv_message(worker->socket, &message, 10);

        worker->n += r >= 0;
        if (r < 0 && r != -EAGAIN)
            worker->result = r;
    }
    weir_message_fini(&message);
    return NULL;
}

/* Pullers that come, read a little and go. */
static void *come_and_go(void *arg)
{
    struct worker *worker = arg;
    weir_message message;

    weir_message_init(&message);
    while (!atomic_load(&stop) && worker->result >= 0) {
        weir_socket pull;
        int r = weir_open(&pull, worker->context, WEIR_PULL);

        if (r >= 0)
            r = weir_connect(pull, worker->url, NULL);
        for (int i = 0; r >= 0 && i < 20; i++)
            worker->n += weir_recv_message(pull, &message, 10) >= 0;
        (void)weir_close(pull, 0, NULL);
        worker->result = r;
    }
    weir_message_fini(&message);
    return NULL;
}

static void start(struct worker *worker, void *(*run)(void *arg))
{
    worker->n = 0;
    worker->result = 0;
    assert_int_equal(pthread_create(&worker->thread, NULL, run, worker), 0);
}

static void finish(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    flow_ok(worker->result);
}

/* Look at both sockets again and again while the workers are at it. */
static void watch(weir_socket one, weir_socket other)
{
    int64_t end = flow_now() + RUN_MS;
    uint64_t last = 0;

    while (flow_now() < end) {
        weir_stats stats = flow_stats(one);

        assert_true(stats.accepted >= last);
        last = stats.accepted;
        (void)flow_stats(other);
    }
    atomic_store(&stop, true);
}

/* ---- two sockets ---- */

struct pair {
    int sender, receiver;
    const char *policy;
};

static void prepare(const struct pair *pair, weir_socket sender,
                    weir_socket receiver)
{
    flow_ok(weir_set(sender, "send-mark", "100"));
    flow_ok(weir_set(receiver, "recv-mark", "100"));
    if (pair->policy)
        flow_ok(weir_set(sender, "send-policy", pair->policy));
    if (pair->receiver == WEIR_SUB)
        flow_ok(weir_subscribe(receiver, "", 0));
}

static void read_the_rest(weir_socket receiver, uint64_t *heard)
{
    weir_message message;

    weir_message_init(&message);
    while (weir_recv_message(receiver, &message, FLOW_NOT) >= 0)
        ++*heard;
    weir_message_fini(&message);
}

static void count_pair(const struct pair *pair, const char *transport)
{
    weir_context context = flow_context(1);
    struct worker sender = {.socket = flow_open(context, pair->sender)};
    struct worker receiver = {.socket = flow_open(context, pair->receiver)};
    weir_stats sent, heard;

    prepare(pair, sender.socket, receiver.socket);
    flow_join(receiver.socket, sender.socket, transport);
    flow_ok(weir_wait_peers(sender.socket, 1, FLOW_SOON));
    atomic_store(&stop, false);
    start(&sender, send_all_the_time);
    start(&receiver, receive_all_the_time);
    watch(sender.socket, receiver.socket);
    finish(&sender);
    finish(&receiver);
    do /* what does not fit goes out as the rest is read */
        read_the_rest(receiver.socket, &receiver.n);
    while (flow_stats(sender.socket).send_queued > 0);
    flow_ok(weir_flush(sender.socket, FLOW_SOON));
    read_the_rest(receiver.socket, &receiver.n);
    sent = flow_stats(sender.socket);
    heard = flow_stats(receiver.socket);
    assert_true(sender.n > 0);
    assert_int_equal(sent.accepted, sender.n);
    assert_int_equal(sent.send_queued, 0);
    assert_int_equal(sent.written, heard.decoded);
    assert_int_equal(heard.delivered, receiver.n);
    assert_int_equal(heard.recv_queued, 0);
    flow_close(sender.socket);
    flow_close(receiver.socket);
    flow_end(context);
}

static const struct pair pairs[] = {
    {WEIR_PUSH, WEIR_PULL, NULL},      {WEIR_PUSH, WEIR_PULL, "drop-new"},
    {WEIR_PUSH, WEIR_PULL, "latest"},  {WEIR_PUB, WEIR_SUB, NULL},
    {WEIR_DEALER, WEIR_ROUTER, NULL},  {WEIR_PAIR, WEIR_PAIR, NULL},
    {WEIR_PUSH, WEIR_PULL, "drop-old"}};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int j = 0; j < TRANSPORTS; j++)
            count_pair(&pairs[i], transports[j]);
}

/* ---- peers that die ---- */

/* A socket's own figures add up with peers coming and going, and nothing of
 * what was accepted is unaccounted for in the end. */
static void count_churn(const char *transport)
{
    weir_context context = flow_context(1);
    struct worker sender = {.socket = flow_open(context, WEIR_PUSH)};
    struct worker churn = {.context = context};
    weir_stats stats;
    char url[FLOW_URL];

    flow_ok(weir_set(sender.socket, "send-mark", "50"));
    flow_bind(sender.socket, transport, url);
    churn.url = url;
    atomic_store(&stop, false);
    start(&sender, send_all_the_time);
    start(&churn, come_and_go);
    watch(sender.socket, sender.socket);
    finish(&sender);
    finish(&churn);
    flow_await_peers(sender.socket, 0);
    stats = flow_stats(sender.socket);
    assert_int_equal(stats.accepted, sender.n);
    assert_int_equal(stats.send_queued, 0);
    assert_true(stats.written >= churn.n);
    assert_int_equal(stats.connects, stats.disconnects);
    flow_close(sender.socket);
    flow_end(context);
}

static void test_churn(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        count_churn(transports[i]);
}

/* ---- parts ---- */

/* An endpoint's figures and a peer's are those of its socket, when there is
 * but one. */
static void test_parts(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_stats of_endpoint = {.size = sizeof(of_endpoint)};
    weir_stats of_peer = {.size = sizeof(of_peer)};
    weir_endpoint endpoint;
    char url[FLOW_URL];

    (void)state;
    flow_bind(pull, "tcp", url);
    flow_ok(weir_connect(push, url, &endpoint));
    for (int i = 0; i < 50; i++)
        flow_say(push, "message");
    for (int i = 0; i < 50; i++)
        flow_hear(pull, "message");
    flow_ok(weir_endpoint_stats(endpoint, &of_endpoint));
    flow_ok(weir_peer_stats(push, 0, &of_peer));
    flow_fails(weir_peer_stats(push, 1, &of_peer), ENOENT);
    flow_check_sums(&of_endpoint);
    flow_check_sums(&of_peer);
    assert_int_equal(of_endpoint.accepted, 50);
    assert_int_equal(of_peer.written, 50);
    assert_string_equal(of_endpoint.endpoint, url);
    assert_true(of_peer.peer_id > 0);
    assert_true(flow_stats(push).bytes_out >= 50 * 7);
    assert_true(flow_stats(pull).bytes_in >= 50 * 7);
    of_peer.size = 4;
    flow_fails(weir_peer_stats(push, 0, &of_peer), EINVAL);
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
