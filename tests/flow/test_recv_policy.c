/*
 * Receivers that drop at their mark, on every transport: which messages stay,
 * who counts the others, and that the sender never comes to know.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3, MARK = 10, SENT = 1000 };

static void for_each_transport(void (*body)(weir_context context,
                                            const char *transport))
{
    for (int i = 0; i < TRANSPORTS; i++) {
        weir_context context = flow_context(1);

        body(context, transports[i]);
        flow_end(context);
    }
}

/* Wait until so many have come, and no more than `queued` are kept. */
static weir_stats await_decoded(weir_socket socket, uint64_t decoded,
                                uint64_t queued)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(socket);

    while (stats.decoded != decoded || stats.recv_queued > queued) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
        stats = flow_stats(socket);
    }
    return stats;
}

static weir_socket open_receiver(weir_context context, int type,
                                 const char *policy)
{
    weir_socket socket = flow_open(context, type);

    flow_ok(weir_set_int(socket, "recv-mark", MARK));
    flow_ok(weir_set(socket, "recv-policy", policy));
    if (type == WEIR_SUB)
        flow_ok(weir_subscribe(socket, "", 0));
    if (type == WEIR_XSUB)
        flow_say(socket, "\1");
    return socket;
}

static weir_socket open_sender(weir_context context, int type)
{
    weir_socket socket = flow_open(context, type);

    flow_ok(weir_set_int(socket, "send-mark", SENT));
    return socket;
}

/* ---- what stays ---- */

struct rule {
    const char *policy;
    uint32_t first, last; /* of the numbers that stay */
    int reason;
};

static const struct rule rules[] = {
    {"drop-new", 0, MARK - 1, WEIR_DROP_MARK},
    {"drop-old", SENT - MARK, SENT - 1, WEIR_DROP_REPLACED},
    {"latest", SENT - 1, SENT - 1, WEIR_DROP_REPLACED},
};

static void check_receiver(weir_socket receiver, const struct rule *rule)
{
    uint32_t n = rule->last - rule->first + 1;
    weir_stats of_peer = {.size = sizeof(of_peer)};
    weir_stats got = await_decoded(receiver, SENT, n);

    assert_int_equal(got.recv_queued, n);
    assert_int_equal(got.recv_dropped[rule->reason], SENT - n);
    flow_ok(weir_peer_stats(receiver, 0, &of_peer));
    flow_check_sums(&of_peer);
    assert_int_equal(of_peer.recv_dropped[rule->reason], SENT - n);
    for (uint32_t i = rule->first; i <= rule->last; i++)
        assert_int_equal(flow_recv_number(receiver), i);
    flow_silence(receiver);
    assert_int_equal(flow_stats(receiver).delivered, n);
}

/* The sender sends more than both marks, and nobody reads meanwhile. */
static void drop_at_mark(weir_context context, const char *transport,
                         const struct rule *rule, int from, int to)
{
    weir_socket receiver = open_receiver(context, to, rule->policy);
    weir_socket sender = open_sender(context, from);
    weir_stats sent;

    flow_join(receiver, sender, transport);
    for (uint32_t i = 0; i < SENT; i++)
        flow_send_number(sender, i);
    check_receiver(receiver, rule);
    sent = flow_stats(sender);
    assert_int_equal(sent.accepted, SENT);
    assert_int_equal(sent.written, SENT);
    flow_send_number(sender, 77);
    assert_int_equal(flow_recv_number(receiver), 77);
    flow_close(sender);
    flow_close(receiver);
}

static void drop_in_every_way(weir_context context, const char *transport)
{
    for (int i = 0; i < 3; i++) {
        drop_at_mark(context, transport, &rules[i], WEIR_PUSH, WEIR_PULL);
        drop_at_mark(context, transport, &rules[i], WEIR_PAIR, WEIR_PAIR);
        drop_at_mark(context, transport, &rules[i], WEIR_PUB, WEIR_SUB);
        drop_at_mark(context, transport, &rules[i], WEIR_PUB, WEIR_XSUB);
        drop_at_mark(context, transport, &rules[i], WEIR_DEALER, WEIR_DEALER);
    }
}

static void test_every_way(void **state)
{
    (void)state;
    for_each_transport(drop_in_every_way);
}

/* A ROUTER's, peer by peer: each has a mark of its own. */
static void drop_of_each_peer(weir_context context, const char *transport)
{
    weir_socket router = open_receiver(context, WEIR_ROUTER, "latest");
    weir_socket dealers[2];
    char url[FLOW_URL];

    flow_bind(router, transport, url);
    for (int i = 0; i < 2; i++) {
        dealers[i] = open_sender(context, WEIR_DEALER);
        flow_ok(weir_set(dealers[i], "routing-id", i ? "b" : "a"));
        flow_ok(weir_connect(dealers[i], url, NULL));
        for (int j = 0; j < 50; j++)
            flow_say(dealers[i], "old");
        flow_say(dealers[i], i ? "last of b" : "last of a");
        (void)await_decoded(router, 51 * (uint64_t)(i + 1), (uint64_t)i + 1);
    }
    flow_hear_all(router, "a", "last of a", NULL);
    flow_hear_all(router, "b", "last of b", NULL);
    assert_int_equal(flow_stats(router).recv_dropped[WEIR_DROP_REPLACED], 100);
    flow_say_all(router, "a", "back", NULL);
    flow_hear(dealers[0], "back");
    for (int i = 0; i < 2; i++)
        flow_close(dealers[i]);
    flow_close(router);
}

static void test_each_peer(void **state)
{
    (void)state;
    for_each_transport(drop_of_each_peer);
}

/* Messages of several frames, short and long, are dropped whole. */
static void drop_whole(weir_context context, const char *transport)
{
    static const char *const policies[] = {"drop-new", "drop-old"};
    enum { N = 200 };

    for (int i = 0; i < 2; i++) {
        weir_socket pull = open_receiver(context, WEIR_PULL, policies[i]);
        weir_socket push = open_sender(context, WEIR_PUSH);
        weir_message message;

        weir_message_init(&message);
        flow_join(pull, push, transport);
        for (uint32_t seed = 0; seed < N; seed++) {
            flow_add(&message, seed % 300, seed);
            flow_add(&message, seed % 3 ? 10 : 20000 + seed, seed + 1);
            flow_add(&message, seed % 5, seed + 2);
            flow_ok(weir_send_message(push, &message, FLOW_SOON));
        }
        (void)await_decoded(pull, N, MARK);
        for (uint32_t n = 0; n < MARK; n++) {
            uint32_t seed = i ? N - MARK + n : n;

            flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
            assert_int_equal(weir_message_count(&message), 3);
            flow_check_frame(&message, 0, seed % 300, seed);
            flow_check_frame(&message, 1, seed % 3 ? 10 : 20000 + seed,
                             seed + 1);
            flow_check_frame(&message, 2, seed % 5, seed + 2);
        }
        flow_silence(pull);
        weir_message_fini(&message);
        flow_close(push);
        flow_close(pull);
    }
}

static void test_whole(void **state)
{
    (void)state;
    for_each_transport(drop_whole);
}

/* A mark in octets: what stays is not longer, but for a message that is alone
 * longer than it. */
static void drop_by_octets(weir_context context, const char *transport)
{
    static const char data[30000];
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = open_sender(context, WEIR_PUSH);
    size_t size = sizeof(data);
    char got[sizeof(data)];

    flow_ok(weir_set(pull, "recv-mark-bytes", "10000"));
    flow_ok(weir_set(pull, "recv-policy", "drop-old"));
    flow_join(pull, push, transport);
    for (int i = 0; i < 100; i++)
        flow_ok(weir_send(push, data, 1000, FLOW_SOON));
    assert_in_range(await_decoded(pull, 100, 9).recv_queued_bytes, 9000, 10000);
    flow_ok(weir_send(push, data, sizeof(data), FLOW_SOON));
    (void)await_decoded(pull, 101, 1);
    flow_ok(weir_recv(pull, got, &size, WEIR_NOWAIT));
    assert_int_equal(size, sizeof(data));
    flow_close(push);
    flow_close(pull);
}

static void test_octets(void **state)
{
    (void)state;
    for_each_transport(drop_by_octets);
}

/* ---- both ends ---- */

/* The sender keeps the latest, and so does the receiver: who comes back from
 * a pause sees no other, and each of the others is counted once. */
static void keep_latest(weir_context context, const char *transport)
{
    weir_socket pull = open_receiver(context, WEIR_PULL, "latest");
    weir_socket push = open_sender(context, WEIR_PUSH);
    uint32_t next = 0;

    flow_ok(weir_set(push, "send-policy", "latest"));
    flow_join(pull, push, transport);
    for (uint32_t pauses = 1; pauses <= 20; pauses++) {
        uint64_t replaced;
        weir_stats sent;

        for (uint32_t i = 0; i < 100; i++)
            flow_send_number(push, next++);
        flow_ok(weir_flush(push, FLOW_SOON));
        sent = flow_stats(push);
        replaced = sent.send_dropped[WEIR_DROP_REPLACED];
        assert_int_equal(sent.accepted, next);
        replaced += await_decoded(pull, sent.written, 1)
                        .recv_dropped[WEIR_DROP_REPLACED];
        assert_int_equal(replaced + pauses, next);
        assert_int_equal(flow_recv_number(pull), next - 1);
        flow_fails(weir_recv(pull, &next, &(size_t){sizeof(next)}, WEIR_NOWAIT),
                   EAGAIN);
    }
    flow_close(push);
    flow_close(pull);
}

static void test_latest(void **state)
{
    (void)state;
    for_each_transport(keep_latest);
}

/* What was sent before there was a receiver is under its rule too; here its
 * endpoint has it, and not its socket. */
static void rule_what_waits(weir_context context, const char *transport)
{
    weir_socket push = open_sender(context, WEIR_PUSH), pull;
    char url[FLOW_URL], with[2 * FLOW_URL];

    flow_url(transport, url);
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    pull = flow_open(context, WEIR_PULL);
    snprintf(with, sizeof(with), "%s?recv-policy=latest", url);
    flow_ok(weir_bind(pull, with, NULL));
    (void)await_decoded(pull, 100, 1);
    assert_int_equal(flow_recv_number(pull), 99);
    flow_silence(pull);
    flow_close(push);
    flow_close(pull);
}

static void test_what_waits(void **state)
{
    (void)state;
    for_each_transport(rule_what_waits);
}

/* A sender that was full before there was a receiver goes on when there is
 * one, whether that drops or has a mark of its own. */
static void go_on_when_joined(weir_context context, const char *transport)
{
    static const char *const policies[] = {"block", "drop-new", "drop-old"};

    for (int i = 0; i < 3; i++) {
        weir_socket push = flow_open(context, WEIR_PUSH), pull;
        uint32_t number = 0;
        char url[FLOW_URL];

        flow_url(transport, url);
        flow_ok(weir_set(push, "send-mark", "5"));
        flow_ok(weir_set(push, "reconnect", "10ms"));
        flow_ok(weir_connect(push, url, NULL));
        for (; number < 5; number++)
            flow_send_number(push, number);
        flow_fails(weir_send(push, &number, sizeof(number), WEIR_NOWAIT),
                   EAGAIN);
        pull = open_receiver(context, WEIR_PULL, policies[i]);
        flow_ok(weir_bind(pull, url, NULL));
        for (; number < 10; number++)
            flow_send_number(push, number);
        for (uint32_t n = 0; n < 10; n++)
            assert_int_equal(flow_recv_number(pull), n);
        flow_close(push);
        flow_close(pull);
    }
}

static void test_going_on(void **state)
{
    (void)state;
    for_each_transport(go_on_when_joined);
}

/* ---- who has it ---- */

static void test_types(void **state)
{
    static const int without[] = {WEIR_REQ, WEIR_REP, WEIR_XPUB, WEIR_PUB,
                                  WEIR_PUSH};
    weir_context context = flow_context(1);

    (void)state;
    for (int i = 0; i < 5; i++) {
        weir_socket socket = flow_open(context, without[i]);

        flow_fails(weir_set(socket, "recv-policy", "latest"),
                   WEIR_EINCOMPATIBLE);
        assert_non_null(strstr(weir_last_error(), "recv-policy"));
        flow_fails(weir_bind(socket, "inproc://x?recv-policy=latest", NULL),
                   WEIR_EINCOMPATIBLE);
        flow_close(socket);
    }
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way), cmocka_unit_test(test_each_peer),
        cmocka_unit_test(test_whole),     cmocka_unit_test(test_octets),
        cmocka_unit_test(test_latest),    cmocka_unit_test(test_what_waits),
        cmocka_unit_test(test_going_on),  cmocka_unit_test(test_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
