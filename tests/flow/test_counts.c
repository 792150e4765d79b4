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

enum { TRANSPORTS = 3, RUN_MS = 150, SHORT_MS = 40, LONGEST = 1000 };

static _Atomic bool stop;

struct worker {
    pthread_t thread;
    weir_socket socket;
    weir_context context;
    const char *url;
    const char *id;     /* frame before each message, of a ROUTER */
    const char *policy; /* of those that come and go */
    uint64_t n;
    int result;
};

/* ---- what workers do until they are stopped ---- */

static int send_one(const struct worker *worker, const char *data, size_t size)
{
    weir_message message;
    int r;

    if (!worker->id)
        return weir_send(worker->socket, data, size, 10);
    weir_message_init(&message);
    r = weir_message_add(&message, worker->id, strlen(worker->id));
    if (r >= 0)
        r = weir_message_add(&message, data, size);
    if (r >= 0)
        r = weir_send_message(worker->socket, &message, 10);
    weir_message_fini(&message);
    return r;
}

static void *send_all_the_time(void *arg)
{
    struct worker *worker = arg;
    char data[LONGEST] = {0};

    while (!atomic_load(&stop)) {
        size_t size = (size_t)(worker->n * 7919 % sizeof(data));
        int r = send_one(worker, data, size);

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
            r = weir_set(pull, "recv-policy", worker->policy);
        if (r >= 0)
            r = weir_set(pull, "recv-mark", "20");
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
static void watch(weir_socket one, weir_socket other, int ms)
{
    int64_t end = flow_now() + ms;
    uint64_t last = 0;

    while (flow_now() < end || (last == 0 && flow_now() < end + FLOW_SOON)) {
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
};

struct policies {
    const char *send, *recv;
};

static void prepare(const struct pair *pair, const struct policies *policies,
                    weir_socket sender, weir_socket receiver)
{
    flow_ok(weir_set(sender, "send-mark", "100"));
    flow_ok(weir_set(receiver, "recv-mark", "100"));
    flow_ok(weir_set(sender, "send-policy", policies->send));
    flow_ok(weir_set(receiver, "recv-policy", policies->recv));
    if (pair->sender == WEIR_ROUTER)
        flow_ok(weir_set(receiver, "routing-id", "peer"));
    if (pair->receiver == WEIR_SUB)
        flow_ok(weir_subscribe(receiver, "", 0));
}

/* What does not fit goes out as the rest is read. */
static bool is_under_way(weir_socket sender, weir_socket receiver)
{
    weir_stats sent = flow_stats(sender), heard = flow_stats(receiver);

    return sent.send_queued > 0 || sent.written != heard.decoded ||
           heard.recv_queued > 0;
}

static void read_the_rest(weir_socket sender, weir_socket receiver,
                          uint64_t *heard)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_message message;

    weir_message_init(&message);
    while (is_under_way(sender, receiver)) {
        assert_true(flow_now() < end);
        while (weir_recv_message(receiver, &message, 1) >= 0)
            ++*heard;
    }
    weir_message_fini(&message);
}

/* What was dropped was dropped for the reasons that the policies give.  Where
 * the oldest cannot be dropped as fast as new ones come, these are. */
static void check_reasons(const uint64_t *dropped, const char *policy)
{
    bool new = strcmp(policy, "drop-new") == 0;
    bool old = strcmp(policy, "drop-old") == 0 || strcmp(policy, "latest") == 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        if (!(i == WEIR_DROP_MARK && (new || old)) &&
            !(i == WEIR_DROP_REPLACED && old))
            assert_int_equal(dropped[i], 0);
}

static void count_pair(const struct pair *pair, const struct policies *policies,
                       const char *transport)
{
    weir_context context = flow_context(1);
    struct worker sender = {.socket = flow_open(context, pair->sender)};
    struct worker receiver = {.socket = flow_open(context, pair->receiver)};
    weir_stats sent, heard;

    prepare(pair, policies, sender.socket, receiver.socket);
    if (pair->sender == WEIR_ROUTER)
        sender.id = "peer";
    flow_join(receiver.socket, sender.socket, transport);
    flow_ok(weir_wait_peers(sender.socket, 1, FLOW_SOON));
    atomic_store(&stop, false);
    start(&sender, send_all_the_time);
    start(&receiver, receive_all_the_time);
    watch(sender.socket, receiver.socket, SHORT_MS);
    finish(&sender);
    finish(&receiver);
    read_the_rest(sender.socket, receiver.socket, &receiver.n);
    sent = flow_stats(sender.socket);
    heard = flow_stats(receiver.socket);
    assert_true(sender.n > 0);
    assert_int_equal(sent.accepted, sender.n);
    assert_int_equal(sent.send_queued, 0);
    assert_int_equal(sent.written, heard.decoded);
    assert_int_equal(heard.delivered, receiver.n);
    assert_int_equal(heard.recv_queued, 0);
    check_reasons(sent.send_dropped, policies->send);
    check_reasons(heard.recv_dropped, policies->recv);
    flow_close(sender.socket);
    flow_close(receiver.socket);
    flow_end(context);
}

static const struct pair pairs[] = {{WEIR_PUSH, WEIR_PULL},
                                    {WEIR_PUB, WEIR_SUB},
                                    {WEIR_DEALER, WEIR_ROUTER},
                                    {WEIR_ROUTER, WEIR_DEALER},
                                    {WEIR_PAIR, WEIR_PAIR}};

/* Each policy of the one against a receiver that blocks, and each of the other
 * against a sender that does; and some that meet. */
static const struct policies mixed[] = {
    {"block", "block"},      {"drop-new", "block"},  {"drop-old", "block"},
    {"latest", "block"},     {"block", "drop-new"},  {"block", "drop-old"},
    {"block", "latest"},     {"drop-old", "latest"}, {"latest", "drop-old"},
    {"drop-new", "drop-old"}};

static void count_pairs(const char *transport)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (size_t j = 0; j < sizeof(mixed) / sizeof(mixed[0]); j++)
            count_pair(&pairs[i], &mixed[j], transport);
}

static void test_pairs_tcp(void **state)
{
    (void)state;
    count_pairs("tcp");
}

static void test_pairs_ipc(void **state)
{
    (void)state;
    count_pairs("ipc");
}

static void test_pairs_inproc(void **state)
{
    (void)state;
    count_pairs("inproc");
}

/* ---- peers that die ---- */

/* A socket's own figures add up with peers coming and going, and nothing of
 * what was accepted is unaccounted for in the end. */
static void count_churn(const struct policies *policies, const char *transport)
{
    weir_context context = flow_context(1);
    struct worker sender = {.socket = flow_open(context, WEIR_PUSH)};
    struct worker churn = {.context = context, .policy = policies->recv};
    weir_stats stats;
    char url[FLOW_URL];

    flow_ok(weir_set(sender.socket, "send-mark", "50"));
    flow_ok(weir_set(sender.socket, "send-policy", policies->send));
    flow_bind(sender.socket, transport, url);
    churn.url = url;
    atomic_store(&stop, false);
    start(&sender, send_all_the_time);
    start(&churn, come_and_go);
    watch(sender.socket, sender.socket, RUN_MS);
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
    for (size_t i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
        for (int j = 0; j < TRANSPORTS; j++)
            count_churn(&mixed[i], transports[j]);
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
    flow_ok(weir_flush(push, FLOW_SOON)); /* and whoever wrote has counted */
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
        cmocka_unit_test(test_pairs_tcp),    cmocka_unit_test(test_pairs_ipc),
        cmocka_unit_test(test_pairs_inproc), cmocka_unit_test(test_churn),
        cmocka_unit_test(test_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
