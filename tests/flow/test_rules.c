/*
 * The rules of the patterns: who gets a message, who is heard, who waits and
 * who drops, with what is counted; and what calls at a wrong time give.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3 };

/* Run a test's body for every transport. */
static void for_each_transport(void (*body)(weir_context context,
                                            const char *transport))
{
    for (int i = 0; i < TRANSPORTS; i++) {
        weir_context context = flow_context(1);

        body(context, transports[i]);
        flow_end(context);
    }
}

/* ---- turns ---- */

enum { PEERS = 3, ROUNDS = 30 };

static void open_peers(weir_context context, int type, const char *url,
                       weir_socket peers[PEERS])
{
    for (int i = 0; i < PEERS; i++) {
        peers[i] = flow_open(context, type);
        flow_ok(weir_connect(peers[i], url, NULL));
        flow_ok(weir_wait_peers(peers[i], 1, FLOW_SOON));
    }
}

static void close_peers(weir_socket peers[PEERS])
{
    for (int i = 0; i < PEERS; i++)
        flow_close(peers[i]);
}

static void hear_share(weir_socket puller, uint32_t seen[ROUNDS * PEERS])
{
    for (int i = 0; i < ROUNDS; i++) {
        char data[64];
        weir_message message;

        weir_message_init(&message);
        flow_ok(weir_recv_message(puller, &message, FLOW_SOON));
        assert_int_equal(weir_message_count(&message), 3);
        memcpy(data, weir_frame_data(weir_message_frame(&message, 0)), 4);
        data[4] = '\0';
        seen[atoi(data) - 1000]++;
        flow_check_frame(&message, 1, 100, 5);
        flow_check_frame(&message, 2, 0, 0);
        weir_message_fini(&message);
    }
    flow_silence(puller);
}

/* Each of three peers gets a third, and whole messages. */
static void round_robin(weir_context context, const char *transport,
                        int sender_type, int receiver_type)
{
    weir_socket sender = flow_open(context, sender_type), peers[PEERS];
    uint32_t seen[ROUNDS * PEERS] = {0};
    char url[FLOW_URL];

    flow_bind(sender, transport, url);
    open_peers(context, receiver_type, url, peers);
    flow_ok(weir_wait_peers(sender, PEERS, FLOW_SOON));
    for (int i = 0; i < ROUNDS * PEERS; i++) {
        weir_message message;
        char number[16];

        snprintf(number, sizeof(number), "%d", 1000 + i);
        weir_message_init(&message);
        flow_ok(weir_message_add(&message, number, 4));
        flow_add(&message, 100, 5);
        flow_add(&message, 0, 0);
        flow_ok(weir_send_message(sender, &message, FLOW_SOON));
    }
    for (int i = 0; i < PEERS; i++)
        hear_share(peers[i], seen);
    for (int i = 0; i < ROUNDS * PEERS; i++)
        assert_int_equal(seen[i], 1);
    close_peers(peers);
    flow_close(sender);
}

static void push_in_turn(weir_context context, const char *transport)
{
    round_robin(context, transport, WEIR_PUSH, WEIR_PULL);
    round_robin(context, transport, WEIR_DEALER, WEIR_DEALER);
}

static void test_round_robin(void **state)
{
    (void)state;
    for_each_transport(push_in_turn);
}

static uint32_t hear_number(weir_socket socket, size_t size)
{
    weir_message message;
    uint32_t number;

    weir_message_init(&message);
    flow_ok(weir_recv_message(socket, &message, FLOW_SOON));
    assert_int_equal(weir_frame_size(weir_message_frame(&message, 0)), size);
    memcpy(&number, weir_frame_data(weir_message_frame(&message, 0)),
           sizeof(number));
    weir_message_fini(&message);
    return number;
}

/* Three senders with a backlog each are heard in turn.  Elsewhere than on
 * inproc some of it is still to be read, by whoever finds time for it. */
static void hear_fairly(weir_context context, const char *transport)
{
    enum { EACH = 200, SIZE = 4000 };
    char data[SIZE] = {0};
    weir_socket puller = flow_open(context, WEIR_PULL), peers[PEERS];
    uint32_t least = strcmp(transport, "inproc") == 0 ? EACH / 3 : 0;
    uint32_t heard[PEERS] = {0};
    char url[FLOW_URL];

    flow_bind(puller, transport, url);
    open_peers(context, WEIR_PUSH, url, peers);
    for (uint32_t i = 0; i < PEERS; i++) {
        memcpy(data, &i, sizeof(i));
        for (int j = 0; j < EACH; j++)
            flow_ok(weir_send(peers[i], data, SIZE, FLOW_SOON));
        flow_ok(weir_flush(peers[i], FLOW_SOON));
    }
    for (int i = 0; i < PEERS * EACH; i++) {
        uint32_t who = hear_number(puller, SIZE);

        assert_in_range(who, 0, PEERS - 1);
        heard[who]++;
        if (i == PEERS * EACH / 2)
            for (int j = 0; j < PEERS; j++)
                assert_in_range(heard[j], least, EACH);
    }
    for (int i = 0; i < PEERS; i++)
        assert_int_equal(heard[i], EACH);
    close_peers(peers);
    flow_close(puller);
}

static void test_fair_queueing(void **state)
{
    (void)state;
    for_each_transport(hear_fairly);
}

/* ---- nobody there ---- */

static void test_without_peers(void **state)
{
    static const int blocking[] = {WEIR_PUSH, WEIR_DEALER, WEIR_PAIR, WEIR_REQ};
    weir_context context = flow_context(1);
    weir_socket socket;

    (void)state;
    for (size_t i = 0; i < sizeof(blocking) / sizeof(blocking[0]); i++) {
        int64_t start = flow_now();

        socket = flow_open(context, blocking[i]);
        flow_fails(weir_send(socket, "x", 1, WEIR_NOWAIT), EAGAIN);
        flow_fails(weir_send(socket, "x", 1, FLOW_NOT), EAGAIN);
        assert_true(flow_now() - start >= FLOW_NOT - 1);
        assert_int_equal(flow_stats(socket).accepted, 0);
        flow_close(socket);
    }
    socket = flow_open(context, WEIR_PUB);
    flow_say(socket, "nobody");
    assert_int_equal(flow_stats(socket).unmatched, 1);
    flow_close(socket);
    socket = flow_open(context, WEIR_ROUTER);
    flow_say_all(socket, "nobody", "hears", NULL);
    assert_int_equal(flow_stats(socket).send_dropped[WEIR_DROP_NO_ROUTE], 1);
    flow_ok(weir_set(socket, "mandatory", "1"));
    flow_fails(weir_send(socket, "nobody", 6, FLOW_SOON), EHOSTUNREACH);
    flow_close(socket);
    flow_end(context);
}

/* A connecting socket takes as many as its mark before anybody binds. */
static void queue_early(weir_context context, const char *transport)
{
    enum { MARK = 50 };
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char url[FLOW_URL];

    flow_url(transport, url);
    flow_ok(weir_set_int(push, "send-mark", MARK));
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    for (uint32_t i = 0; i < MARK; i++)
        flow_ok(weir_send(push, &i, sizeof(i), WEIR_NOWAIT));
    flow_fails(weir_send(push, "x", 1, WEIR_NOWAIT), EAGAIN);
    assert_int_equal(flow_stats(push).send_queued, MARK);
    flow_ok(weir_bind(pull, url, NULL));
    for (uint32_t i = 0; i < MARK; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_silence(pull);
    flow_close(push);
    flow_close(pull);
}

static void test_queue_before_bind(void **state)
{
    (void)state;
    for_each_transport(queue_early);
}

static void test_immediate(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    flow_ok(weir_set(push, "immediate", "1"));
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    flow_fails(weir_send(push, "x", 1, FLOW_NOT), EAGAIN);
    flow_ok(weir_bind(pull, url, NULL));
    flow_say(push, "now");
    flow_hear(pull, "now");
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* ---- marks ---- */

static uint32_t fill_up(weir_socket socket, size_t size)
{
    char *data = calloc(1, size);
    uint32_t n = 0;
    int r;

    assert_non_null(data);
    while ((r = weir_send(socket, data, size, 200)) >= 0)
        assert_true(++n < 10000000);
    flow_fails(r, EAGAIN);
    free(data);
    return n;
}

/* inproc is exact: the sum of both marks, no more, no less. */
static void test_marks_of_inproc(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char data[100];
    size_t size = sizeof(data);

    (void)state;
    flow_ok(weir_set(push, "send-mark", "30"));
    flow_ok(weir_set(pull, "recv-mark", "12"));
    flow_join(pull, push, "inproc");
    assert_int_equal(fill_up(push, 10), 42);
    assert_int_equal(
        flow_stats(push).send_queued + flow_stats(pull).recv_queued, 42);
    for (int i = 0; i < 42; i++) {
        size = sizeof(data);
        flow_ok(weir_recv(pull, data, &size, FLOW_SOON));
    }
    flow_say(push, "room again");
    flow_hear(pull, "room again");
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* A receiver that does not receive holds at most its mark and what fits one
 * receive buffer; a sender its mark; the rest is the kernel's. */
static void hold_back(weir_context context, const char *transport)
{
    enum { MARK = 20, SIZE = 100000 };
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    uint32_t taken, heard = 0;
    weir_message message;
    weir_stats sender, receiver;

    if (strcmp(transport, "inproc") != 0) {
        flow_ok(weir_set_int(push, "send-mark", MARK));
        flow_ok(weir_set_int(pull, "recv-mark", MARK));
        flow_join(pull, push, transport);
        taken = fill_up(push, SIZE);
        sender = flow_stats(push);
        receiver = flow_stats(pull);
        assert_int_equal(sender.accepted, taken);
        assert_in_range(sender.send_queued, 1, MARK);
        assert_in_range(receiver.recv_queued, 1, MARK + 1);
        weir_message_init(&message);
        while (heard < taken) {
            flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
            heard++;
        }
        weir_message_fini(&message);
        flow_silence(pull);
        assert_int_equal(flow_stats(push).written, taken);
    }
    flow_close(push);
    flow_close(pull);
}

static void test_marks_hold_back(void **state)
{
    (void)state;
    for_each_transport(hold_back);
}

static void mark_in_bytes(weir_context context, const char *transport)
{
    enum { MARK = 1 << 20, SIZE = 10000 };
    weir_socket push = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL], data[SIZE] = {0};
    uint64_t unsent;
    uint32_t n = 0;

    flow_url(transport, url);
    flow_ok(weir_set_int(push, "send-mark-bytes", MARK));
    flow_ok(weir_connect(push, url, NULL));
    while (weir_send(push, data, SIZE, WEIR_NOWAIT) >= 0)
        n++;
    assert_in_range(n, MARK / SIZE * 9 / 10, MARK / SIZE + 1);
    flow_fails(weir_close(push, 0, &unsent), EAGAIN);
    assert_int_equal(unsent, n);
}

static void test_marks_in_bytes(void **state)
{
    (void)state;
    for_each_transport(mark_in_bytes);
}

/* ---- policies ---- */

enum { POLICY_MARK = 10, POLICY_SENT = 100 };

/* Numbers for a peer that is not there yet. */
static weir_socket send_early(weir_context context, const char *url,
                              const char *policy)
{
    weir_socket push = flow_open(context, WEIR_PUSH);

    flow_ok(weir_set_int(push, "send-mark", POLICY_MARK));
    flow_ok(weir_set(push, "send-policy", policy));
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    for (uint32_t i = 0; i < POLICY_SENT; i++)
        flow_ok(weir_send(push, &i, sizeof(i), WEIR_NOWAIT));
    return push;
}

static void check_policy(weir_context context, const char *transport,
                         const char *policy, uint32_t first, uint32_t last,
                         int reason)
{
    weir_socket pull = flow_open(context, WEIR_PULL), push;
    char url[FLOW_URL];
    weir_stats stats;

    flow_url(transport, url);
    push = send_early(context, url, policy);
    stats = flow_stats(push);
    assert_int_equal(stats.accepted, POLICY_SENT);
    assert_int_equal(stats.send_queued, last - first + 1);
    assert_int_equal(stats.send_dropped[reason],
                     POLICY_SENT - (last - first + 1));
    flow_ok(weir_bind(pull, url, NULL));
    for (uint32_t i = first; i <= last; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_silence(pull);
    flow_close(push);
    flow_close(pull);
}

static void drop_newest(weir_context context, const char *transport)
{
    check_policy(context, transport, "drop-new", 0, POLICY_MARK - 1,
                 WEIR_DROP_MARK);
}

static void test_drop_new(void **state)
{
    (void)state;
    for_each_transport(drop_newest);
}

static void drop_oldest(weir_context context, const char *transport)
{
    check_policy(context, transport, "drop-old", POLICY_SENT - POLICY_MARK,
                 POLICY_SENT - 1, WEIR_DROP_REPLACED);
}

static void test_drop_old(void **state)
{
    (void)state;
    for_each_transport(drop_oldest);
}

enum { SLOW_SENT = 20000, SLOW_MOST = 100 * SLOW_SENT, SLOW_SIZE = 1000 };

static bool replaced(weir_socket push)
{
    return flow_stats(push).send_dropped[WEIR_DROP_REPLACED] > 0;
}

/* Send until the oldest had to go.  As long as another thread is with the
 * kernel for the queue, or has lost its processor there, messages go beyond the
 * mark.  Returns how many were sent. */
static uint32_t send_beyond_mark(weir_socket push)
{
    uint32_t data[SLOW_SIZE / sizeof(uint32_t)] = {0};

    for (; data[0] < SLOW_MOST; data[0]++) {
        if (data[0] >= SLOW_SENT && replaced(push))
            break;
        flow_ok(weir_send(push, data, sizeof data, WEIR_NOWAIT));
    }
    return data[0];
}

/* A peer that is there and does not read: when it does, what it gets ends
 * with the newest, though a message was partly written all the while. */
static void drop_oldest_of_slow(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL), push;
    uint32_t data[SLOW_SIZE / sizeof(uint32_t)], next = 0, sent;
    weir_stats stats;
    int r = 0;

    push = flow_open(context, WEIR_PUSH);
    flow_ok(weir_set_int(pull, "recv-mark", POLICY_MARK));
    flow_ok(weir_set_int(push, "send-mark", POLICY_MARK));
    flow_ok(weir_set(push, "send-policy", "drop-old"));
    flow_join(pull, push, transport);
    sent = send_beyond_mark(push);
    while (next < sent) {
        size_t size = sizeof data;

        r = flow_ok(weir_recv(pull, data, &size, FLOW_SOON));
        assert_int_equal(size, sizeof data);
        assert_true(data[0] >= next);
        next = data[0] + 1;
    }
    assert_int_equal(r, 0);
    stats = flow_stats(push);
    assert_int_equal(stats.accepted, sent);
    assert_true(stats.send_dropped[WEIR_DROP_REPLACED] > 0);
    assert_int_equal(stats.send_dropped[WEIR_DROP_MARK], 0);
    flow_close(push);
    flow_close(pull);
}

static void test_drop_old_of_slow(void **state)
{
    (void)state;
    for_each_transport(drop_oldest_of_slow);
}

/* On inproc the oldest are dropped in the peer's own queue, and nothing beyond
 * the marks of both stays there. */
static void test_drop_old_of_inproc(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_stats sent, got;

    (void)state;
    flow_ok(weir_set_int(pull, "recv-mark", POLICY_MARK));
    flow_ok(weir_set_int(push, "send-mark", POLICY_MARK));
    flow_ok(weir_set(push, "send-policy", "drop-old"));
    flow_join(pull, push, "inproc");
    for (uint32_t i = 0; i < POLICY_SENT; i++) {
        flow_send_number(push, i);
        assert_true(flow_stats(pull).recv_queued <= 2 * POLICY_MARK);
    }
    sent = flow_stats(push);
    got = flow_stats(pull);
    assert_int_equal(sent.accepted, POLICY_SENT);
    assert_int_equal(sent.written, 2 * POLICY_MARK);
    assert_int_equal(sent.send_dropped[WEIR_DROP_REPLACED],
                     POLICY_SENT - 2 * POLICY_MARK);
    assert_int_equal(got.recv_queued, 2 * POLICY_MARK);
    assert_int_equal(got.decoded, 2 * POLICY_MARK);
    for (uint32_t i = POLICY_SENT - 2 * POLICY_MARK; i < POLICY_SENT; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_silence(pull);
    assert_int_equal(flow_stats(pull).delivered, 2 * POLICY_MARK);
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* A mark in octets; a message that is longer than it is alone. */
static void test_drop_old_in_bytes(void **state)
{
    enum { SIZE = 1000, LONG = 50000, N = 50 };
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    static char data[LONG];
    size_t size = sizeof(data);

    (void)state;
    flow_ok(weir_set(push, "send-mark-bytes", "5000"));
    flow_ok(weir_set(pull, "recv-mark-bytes", "5000"));
    flow_ok(weir_set(push, "send-policy", "drop-old"));
    flow_join(pull, push, "inproc");
    for (int i = 0; i < N; i++) {
        flow_ok(weir_send(push, data, SIZE, WEIR_NOWAIT));
        assert_true(flow_stats(pull).recv_queued_bytes <= 10000);
    }
    assert_int_equal(flow_stats(pull).recv_queued, 9);
    flow_ok(weir_send(push, data, LONG, WEIR_NOWAIT));
    assert_int_equal(flow_stats(pull).recv_queued, 1);
    flow_ok(weir_send(push, data, 1, WEIR_NOWAIT));
    assert_int_equal(flow_stats(pull).recv_queued, 1);
    flow_ok(weir_recv(pull, data, &size, WEIR_NOWAIT));
    assert_int_equal(size, 1);
    assert_int_equal(flow_stats(push).send_dropped[WEIR_DROP_REPLACED], N + 1);
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* A request whose envelope was looked at is dropped as a whole, and the
 * server replies to the next. */
static void test_drop_old_request(void **state)
{
    weir_context context = flow_context(1);
    weir_socket rep = flow_open(context, WEIR_REP);
    weir_socket dealer = flow_open(context, WEIR_DEALER);
    weir_poll_item item = {.socket = rep, .fd = -1, .events = WEIR_POLL_IN};

    (void)state;
    flow_ok(weir_set(dealer, "send-mark", "1"));
    flow_ok(weir_set(rep, "recv-mark", "1"));
    flow_ok(weir_set(dealer, "send-policy", "drop-old"));
    flow_join(rep, dealer, "inproc");
    flow_say_all(dealer, "one", "", "first", "half", NULL);
    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_SOON)), 1);
    flow_say_all(dealer, "two", "", "second", NULL);
    flow_say_all(dealer, "three", "", "third", NULL);
    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_SOON)), 1);
    flow_hear(rep, "second");
    flow_say(rep, "done");
    flow_hear_all(dealer, "two", "", "done", NULL);
    flow_hear(rep, "third");
    flow_say(rep, "done");
    flow_hear_all(dealer, "three", "", "done", NULL);
    assert_int_equal(flow_stats(dealer).send_dropped[WEIR_DROP_REPLACED], 1);
    assert_int_equal(flow_stats(rep).decoded, 2);
    flow_close(dealer);
    flow_close(rep);
    flow_end(context);
}

static void keep_latest(weir_context context, const char *transport)
{
    check_policy(context, transport, "latest", POLICY_SENT - 1, POLICY_SENT - 1,
                 WEIR_DROP_REPLACED);
}

/* Two sockets that share a queue: what was replaced in it was the sender's,
 * and the counters of both are right at every moment. */
static void keep_latest_joined(weir_context context)
{
    weir_socket pull = flow_open(context, WEIR_PULL), push;
    weir_stats sent, got;

    push = flow_open(context, WEIR_PUSH);
    flow_ok(weir_set(push, "send-policy", "latest"));
    flow_join(pull, push, "inproc");
    for (uint32_t i = 0; i < POLICY_SENT; i++)
        flow_send_number(push, i);
    assert_int_equal(flow_recv_number(pull), POLICY_SENT - 1);
    flow_send_number(push, POLICY_SENT);
    sent = flow_stats(push);
    got = flow_stats(pull);
    assert_int_equal(sent.accepted, POLICY_SENT + 1);
    assert_int_equal(sent.send_dropped[WEIR_DROP_REPLACED], POLICY_SENT - 1);
    assert_int_equal(sent.written, 2);
    assert_int_equal(got.decoded, 2);
    assert_int_equal(got.delivered, 1);
    assert_int_equal(got.recv_queued, 1);
    flow_drop(push);
    flow_drop(pull);
}

static void test_latest(void **state)
{
    weir_context context = flow_context(1);

    (void)state;
    for_each_transport(keep_latest);
    keep_latest_joined(context);
    flow_end(context);
}

/* PUB drops whole messages for the one who is full, and counts them; nothing
 * is lost uncounted, nothing arrives in part. */
static void publish_too_much(weir_context context, const char *transport)
{
    enum { SENT = 2000, SIZE = 3000 };
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket sub = flow_open(context, WEIR_SUB);
    uint64_t heard = 0, dropped;
    weir_message message;

    flow_ok(weir_set(pub, "send-mark", "10"));
    flow_ok(weir_set(sub, "recv-mark", "10"));
    flow_ok(weir_subscribe(sub, "", 0));
    flow_join(pub, sub, transport);
    for (int i = 0; i < SENT; i++) {
        weir_message_init(&message);
        flow_add(&message, SIZE, 1);
        flow_add(&message, SIZE, 2);
        flow_ok(weir_send_message(pub, &message, WEIR_NOWAIT));
    }
    dropped = flow_stats(pub).send_dropped[WEIR_DROP_MARK];
    assert_true(dropped > 0);
    assert_int_equal(flow_stats(pub).accepted, SENT);
    weir_message_init(&message);
    while (weir_recv_message(sub, &message, 300) >= 0) {
        assert_int_equal(weir_message_count(&message), 2);
        flow_check_frame(&message, 0, SIZE, 1);
        flow_check_frame(&message, 1, SIZE, 2);
        heard++;
    }
    weir_message_fini(&message);
    assert_int_equal(heard + dropped, SENT);
    flow_close(pub);
    flow_close(sub);
}

static void test_publisher_drops(void **state)
{
    (void)state;
    for_each_transport(publish_too_much);
}

static void publish_all(weir_context context, const char *transport)
{
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket sub = flow_open(context, WEIR_SUB);
    uint32_t n, heard = 0;
    weir_message message;

    flow_ok(weir_set(pub, "send-mark", "10"));
    flow_ok(weir_set(pub, "nodrop", "1"));
    flow_ok(weir_set(sub, "recv-mark", "10"));
    flow_ok(weir_subscribe(sub, "", 0));
    flow_join(pub, sub, transport);
    n = fill_up(pub, 50000);
    assert_true(n >= 20);
    weir_message_init(&message);
    while (heard < n) {
        flow_ok(weir_recv_message(sub, &message, FLOW_SOON));
        heard++;
    }
    weir_message_fini(&message);
    flow_silence(sub);
    flow_close(pub);
    flow_close(sub);
}

static void test_publisher_waits(void **state)
{
    (void)state;
    for_each_transport(publish_all);
}

/* ---- topics ---- */

static void filter(weir_context context, const char *transport)
{
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket one = flow_open(context, WEIR_SUB);
    weir_socket two = flow_open(context, WEIR_SUB);
    char url[FLOW_URL];

    flow_bind(pub, transport, url);
    flow_ok(weir_subscribe(one, "ab", 2));
    flow_ok(weir_subscribe(two, "abc", 3));
    flow_ok(weir_subscribe(two, "abc", 3));
    flow_ok(weir_connect(one, url, NULL));
    flow_ok(weir_connect(two, url, NULL));
    flow_ok(weir_wait_peers(pub, 2, FLOW_SOON));
    flow_say(pub, "a");
    flow_say(pub, "abd");
    flow_say(pub, "abcd");
    flow_hear(one, "abd");
    flow_hear(one, "abcd");
    flow_hear(two, "abcd");
    flow_ok(weir_unsubscribe(two, "abc", 3));
    flow_say(pub, "abc still");
    flow_hear(two, "abc still");
    flow_ok(weir_unsubscribe(two, "abc", 3));
    flow_fails(weir_unsubscribe(two, "abc", 3), ENOENT);
    flow_ok(weir_subscribe(two, "z", 1));
    do
        flow_say(pub, "zz");
    while (flow_stats(two).recv_queued + flow_stats(two).delivered < 3);
    flow_say(pub, "abc no more");
    flow_say(pub, "z last");
    for (;;) {
        char text[32];
        size_t size = sizeof(text);

        flow_ok(weir_recv(two, text, &size, FLOW_SOON));
        assert_int_equal(text[0], 'z');
        if (size == 6)
            break;
    }
    flow_close(pub);
    flow_drop(one);
    flow_drop(two);
}

static void test_topics(void **state)
{
    (void)state;
    for_each_transport(filter);
}

/* ---- wrong times, wrong types ---- */

static void test_out_of_turn(void **state)
{
    weir_context context = flow_context(1);
    weir_socket req = flow_open(context, WEIR_REQ);
    weir_socket rep = flow_open(context, WEIR_REP);
    char data[8];
    size_t size = sizeof(data);

    (void)state;
    flow_join(rep, req, "inproc");
    flow_fails(weir_recv(req, data, &size, FLOW_SOON), WEIR_ESTATE);
    flow_fails(weir_send(rep, "x", 1, FLOW_SOON), WEIR_ESTATE);
    flow_say(req, "question");
    flow_fails(weir_send(req, "x", 1, FLOW_SOON), WEIR_ESTATE);
    assert_true(strlen(weir_last_error()) > 0);
    flow_hear(rep, "question");
    flow_fails(weir_recv(rep, data, &size, FLOW_SOON), WEIR_ESTATE);
    flow_say(rep, "answer");
    flow_hear(req, "answer");
    flow_close(req);
    flow_close(rep);
    flow_end(context);
}

static void test_one_way_types(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket sub = flow_open(context, WEIR_SUB);
    char data[8];
    size_t size = sizeof(data);

    (void)state;
    flow_fails(weir_recv(push, data, &size, FLOW_SOON), EOPNOTSUPP);
    flow_fails(weir_send(pull, "x", 1, FLOW_SOON), EOPNOTSUPP);
    flow_fails(weir_send(sub, "x", 1, FLOW_SOON), EOPNOTSUPP);
    flow_fails(weir_subscribe(pull, "x", 1), EOPNOTSUPP);
    flow_fails(weir_recv(pull, data, &size, -7), EINVAL);
    flow_fails(weir_set(pull, "send-mark", "1"), WEIR_EINCOMPATIBLE);
    flow_fails(weir_set(pull, "no-such", "1"), ENOENT);
    flow_fails(weir_set(push, "send-mark", "many"), EINVAL);
    assert_non_null(strstr(weir_last_error(), "many"));
    flow_fails(weir_bind(pull, "tcp://127.0.0.1:*?recv-mark=x", NULL), EINVAL);
    flow_fails(weir_bind(pull, "tcp://127.0.0.1:*?lingr=1", NULL), EINVAL);
    assert_non_null(strstr(weir_last_error(), "\"lingr\" is no option"));
    flow_fails(weir_connect(pull, "nothing://there", NULL), WEIR_EPLUGIN);
    assert_non_null(strstr(weir_last_error(), "nothing"));
    flow_close(push);
    flow_close(pull);
    flow_close(sub);
    flow_end(context);
}

/* A buffer that is too small loses nothing. */
static void test_small_buffer(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char data[8];
    size_t size = 3;

    (void)state;
    flow_join(pull, push, "tcp");
    flow_say(push, "four");
    flow_fails(weir_recv(pull, data, &size, FLOW_SOON), EMSGSIZE);
    assert_int_equal(size, 4);
    flow_hear(pull, "four");
    flow_say_all(push, "two", "frames", NULL);
    size = sizeof(data);
    flow_fails(weir_recv(pull, data, &size, FLOW_SOON), EMSGSIZE);
    assert_int_equal(size, 3);
    flow_hear_all(pull, "two", "frames", NULL);
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* ---- PAIR ---- */

static void pair_has_one(weir_context context, const char *transport)
{
    weir_socket near = flow_open(context, WEIR_PAIR);
    weir_socket first = flow_open(context, WEIR_PAIR);
    weir_socket second = flow_open(context, WEIR_PAIR);
    char url[FLOW_URL];

    flow_bind(near, transport, url);
    flow_ok(weir_connect(first, url, NULL));
    flow_ok(weir_wait_peers(first, 1, FLOW_SOON));
    flow_ok(weir_wait_peers(near, 1, FLOW_SOON));
    flow_ok(weir_connect(second, url, NULL));
    flow_event(near, WEIR_EVENT_REFUSED);
    flow_say(first, "still here");
    flow_hear(near, "still here");
    flow_say(near, "so am I");
    flow_hear(first, "so am I");
    flow_event(second, WEIR_EVENT_RETRY);
    assert_int_equal(flow_stats(near).peers, 1);
    assert_in_range(flow_stats(near).refused, 1, 10); /* no storm */
    flow_drop(second);
    flow_close(first);
    flow_close(near);
}

static void test_second_pair(void **state)
{
    (void)state;
    for_each_transport(pair_has_one);
}

/* ---- types that do not go together ---- */

static void refuse_type(weir_context context, const char *transport)
{
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket sub = flow_open(context, WEIR_SUB);
    char url[FLOW_URL];
    int r;

    flow_bind(push, transport, url);
    r = weir_connect(sub, url, NULL);
    if (strcmp(transport, "inproc") == 0) {
        flow_check_failure(r, WEIR_EINCOMPATIBLE, "connect", __FILE__,
                           __LINE__);
        flow_fails(weir_close(sub, 0, NULL), 0);
    } else {
        flow_ok(r);
        flow_event(push, WEIR_EVENT_REFUSED);
        flow_event(sub, WEIR_EVENT_RETRY);
        assert_int_equal(flow_stats(push).peers, 0);
        flow_drop(sub);
    }
    flow_close(push);
}

static void test_incompatible(void **state)
{
    (void)state;
    for_each_transport(refuse_type);
}

/* ---- REQ and REP ---- */

/* Each request goes to the next server, and its reply comes from there. */
static void ask_in_turn(weir_context context, const char *transport)
{
    weir_socket req = flow_open(context, WEIR_REQ), servers[PEERS];
    char url[FLOW_URL];

    flow_bind(req, transport, url);
    open_peers(context, WEIR_REP, url, servers);
    flow_ok(weir_wait_peers(req, PEERS, FLOW_SOON));
    for (int i = 0; i < 2 * PEERS; i++) {
        weir_poll_item items[PEERS] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
        int who = 0;

        for (int j = 0; j < PEERS; j++) {
            items[j].socket = servers[j];
            items[j].events = WEIR_POLL_IN;
        }
        flow_say_all(req, "what", "is it", NULL);
        assert_int_equal(flow_ok(weir_poll(items, PEERS, FLOW_SOON)), 1);
        while (!items[who].ready)
            who++;
        flow_hear_all(servers[who], "what", "is it", NULL);
        flow_say_all(servers[who], "it", "is this", NULL);
        flow_hear_all(req, "it", "is this", NULL);
    }
    for (int i = 0; i < PEERS; i++)
        assert_int_equal(flow_stats(servers[i]).delivered, 2);
    close_peers(servers);
    flow_close(req);
}

static void test_requests_in_turn(void **state)
{
    (void)state;
    for_each_transport(ask_in_turn);
}

/* A server whose client has gone answers into the void, and counts it. */
static void answer_nobody(weir_context context, const char *transport)
{
    weir_socket req = flow_open(context, WEIR_REQ);
    weir_socket rep = flow_open(context, WEIR_REP);

    flow_join(rep, req, transport);
    flow_say(req, "hello?");
    flow_hear(rep, "hello?");
    flow_close(req);
    flow_await_peers(rep, 0);
    flow_say(rep, "yes?");
    assert_int_equal(flow_stats(rep).send_dropped[WEIR_DROP_NO_ROUTE], 1);
    flow_close(rep);
}

static void test_reply_to_nobody(void **state)
{
    (void)state;
    for_each_transport(answer_nobody);
}

/* ---- ROUTER ---- */

static void route(weir_context context, const char *transport)
{
    weir_socket router = flow_open(context, WEIR_ROUTER);
    weir_socket anna = flow_open(context, WEIR_DEALER);
    weir_socket berta = flow_open(context, WEIR_DEALER);
    weir_socket impostor = flow_open(context, WEIR_DEALER);
    char url[FLOW_URL];

    flow_bind(router, transport, url);
    flow_ok(weir_set(anna, "routing-id", "anna"));
    flow_ok(weir_set(berta, "routing-id", "berta"));
    flow_ok(weir_set(impostor, "routing-id", "anna"));
    flow_ok(weir_connect(anna, url, NULL));
    flow_ok(weir_connect(berta, url, NULL));
    flow_ok(weir_wait_peers(router, 2, FLOW_SOON));
    flow_say_all(router, "anna", "", "for you", NULL);
    flow_say_all(router, "berta", "and you", NULL);
    flow_hear_all(anna, "", "for you", NULL);
    flow_hear_all(berta, "and you", NULL);
    flow_ok(weir_connect(impostor, url, NULL));
    flow_event(router, WEIR_EVENT_REFUSED);
    flow_say(anna, "me");
    flow_hear_all(router, "anna", "me", NULL);
    flow_drop(impostor);
    flow_close(anna);
    flow_close(berta);
    flow_close(router);
}

static void test_routing(void **state)
{
    (void)state;
    for_each_transport(route);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_fair_queueing),
        cmocka_unit_test(test_without_peers),
        cmocka_unit_test(test_queue_before_bind),
        cmocka_unit_test(test_immediate),
        cmocka_unit_test(test_marks_of_inproc),
        cmocka_unit_test(test_marks_hold_back),
        cmocka_unit_test(test_marks_in_bytes),
        cmocka_unit_test(test_drop_new),
        cmocka_unit_test(test_drop_old),
        cmocka_unit_test(test_drop_old_of_slow),
        cmocka_unit_test(test_drop_old_of_inproc),
        cmocka_unit_test(test_drop_old_in_bytes),
        cmocka_unit_test(test_drop_old_request),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_publisher_drops),
        cmocka_unit_test(test_publisher_waits),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_out_of_turn),
        cmocka_unit_test(test_one_way_types),
        cmocka_unit_test(test_small_buffer),
        cmocka_unit_test(test_second_pair),
        cmocka_unit_test(test_incompatible),
        cmocka_unit_test(test_requests_in_turn),
        cmocka_unit_test(test_reply_to_nobody),
        cmocka_unit_test(test_routing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
