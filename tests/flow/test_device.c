/*
 * test_device.c - devices between real peers: queues, forwarders, streamers,
 * what they hold, and how they end.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flow.h"

static const weir_socket none;

static const char *const transports[] = {"tcp", "ipc", "inproc"};
enum { TRANSPORTS = 3 };

/* ---- a device, and where its peers connect ---- */

struct rig {
    weir_context context;
    weir_socket front, back, capture;
    weir_device device;
    char front_url[FLOW_URL], back_url[FLOW_URL];
};

static void rig_sockets(struct rig *rig, int front, int back,
                        const char *transport)
{
    rig->context = flow_context(1);
    rig->front = flow_open(rig->context, front);
    rig->back = flow_open(rig->context, back);
    flow_bind(rig->front, transport, rig->front_url);
    flow_bind(rig->back, transport, rig->back_url);
}

static void rig_open(struct rig *rig, int front, int back,
                     const char *transport, int workers)
{
    rig_sockets(rig, front, back, transport);
    flow_ok(
        weir_device_start(&rig->device, rig->front, rig->back, none, workers));
}

static void rig_close(struct rig *rig)
{
    flow_drop(rig->front);
    flow_drop(rig->back);
    flow_end(rig->context);
}

static void rig_stop(struct rig *rig)
{
    uint64_t held = 77;

    flow_ok(weir_device_stop(rig->device, FLOW_SOON, &held));
    assert_int_equal(held, 0);
    rig_close(rig);
}

static weir_socket join(struct rig *rig, int type, const char *url)
{
    weir_socket socket = flow_open(rig->context, type);

    flow_ok(weir_connect(socket, url, NULL));
    return socket;
}

static weir_device_counts counts_of(weir_device device)
{
    weir_device_counts counts = {.size = sizeof(counts)};

    flow_ok(weir_device_stats(device, &counts));
    return counts;
}

/* Wait until a counter of the device has come to a value. */
static void await_counter(weir_device device, size_t offset, uint64_t value)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;
    weir_device_counts counts;
    uint64_t now;

    do {
        counts = counts_of(device);
        memcpy(&now, (const char *)&counts + offset, sizeof(now));
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    } while (now < value);
}

#define AWAIT(device, counter, value) \
    await_counter(device, offsetof(weir_device_counts, counter), value)

/* ---- each shape, over each transport ---- */

static void stream(const char *transport, int workers)
{
    struct rig rig;
    weir_socket push, pull;

    rig_open(&rig, WEIR_PULL, WEIR_PUSH, transport, workers);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    for (uint32_t i = 0; i < 1000; i++)
        flow_send_number(push, i);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(flow_recv_number(pull), i);
    assert_int_equal(counts_of(rig.device).forth, 1000);
    flow_close(push);
    flow_close(pull);
    rig_stop(&rig);
}

static void test_streamer(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        stream(transports[i], 1);
}

static void test_several_workers(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        stream(transports[i], 4);
}

static void queue(const char *transport)
{
    struct rig rig;
    weir_socket req, rep;

    rig_open(&rig, WEIR_ROUTER, WEIR_DEALER, transport, 1);
    req = join(&rig, WEIR_REQ, rig.front_url);
    rep = join(&rig, WEIR_REP, rig.back_url);
    for (int i = 0; i < 50; i++) {
        flow_say(req, "ask");
        flow_hear(rep, "ask");
        flow_say_all(rep, "an", "answer", NULL);
        flow_hear_all(req, "an", "answer", NULL);
    }
    assert_int_equal(counts_of(rig.device).forth, 50);
    assert_int_equal(counts_of(rig.device).back, 50);
    flow_close(req);
    flow_close(rep);
    rig_stop(&rig);
}

static void test_queue(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        queue(transports[i]);
}

static void forward(const char *transport)
{
    struct rig rig;
    weir_socket pub, sub;

    rig_open(&rig, WEIR_XSUB, WEIR_XPUB, transport, 1);
    pub = join(&rig, WEIR_PUB, rig.front_url);
    sub = join(&rig, WEIR_SUB, rig.back_url);
    flow_ok(weir_subscribe(sub, "a", 1));
    flow_ok(weir_wait_peers(pub, 1, FLOW_SOON));
    flow_say(pub, "b: not for you");
    flow_say(pub, "a: for you");
    flow_hear(sub, "a: for you");
    flow_silence(sub);
    assert_int_equal(counts_of(rig.device).forth, 1);
    flow_close(pub);
    flow_close(sub);
    rig_stop(&rig);
}

static void test_forwarder(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        forward(transports[i]);
}

/* ---- legal pairs ---- */

static void refuse(weir_context context, int front, int back, const char *why)
{
    weir_socket one = flow_open(context, front);
    weir_socket other = flow_open(context, back);
    weir_device device;

    flow_fails(weir_device_start(&device, one, other, none, 1),
               WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), why));
    flow_close(one);
    flow_close(other);
}

static void test_illegal_pairs(void **state)
{
    weir_context context = flow_context(1);

    (void)state;
    refuse(context, WEIR_PULL, WEIR_PULL, "a PULL does not send");
    refuse(context, WEIR_PUSH, WEIR_PUB, "neither a PUSH nor a PUB");
    refuse(context, WEIR_XPUB, WEIR_PUSH, "an XPUB receives");
    refuse(context, WEIR_SUB, WEIR_XPUB, "a SUB does not send");
    refuse(context, WEIR_ROUTER, WEIR_ROUTER, "first frame");
    refuse(context, WEIR_ROUTER, WEIR_PULL, "a PULL does not send");
    refuse(context, WEIR_REP, WEIR_DEALER, "a REQ only, not with a DEALER");
    refuse(context, WEIR_PUSH, WEIR_REQ, "a REP only, not with a PUSH");
    refuse(context, WEIR_REP, WEIR_REP, "a REQ only, not with a REP");
    flow_end(context);
}

static void accept_pair(weir_context context, int front, int back)
{
    weir_socket one = flow_open(context, front);
    weir_socket other = flow_open(context, back);
    weir_device device;

    flow_ok(weir_device_start(&device, one, other, none, 1));
    flow_ok(weir_device_stop(device, FLOW_SOON, NULL));
    flow_close(one);
    flow_close(other);
}

static void test_legal_pairs(void **state)
{
    static const int pairs[][2] = {
        {WEIR_ROUTER, WEIR_DEALER}, {WEIR_DEALER, WEIR_ROUTER},
        {WEIR_XSUB, WEIR_XPUB},     {WEIR_XPUB, WEIR_XSUB},
        {WEIR_PULL, WEIR_PUSH},     {WEIR_PUSH, WEIR_PULL},
        {WEIR_SUB, WEIR_PUB},       {WEIR_PULL, WEIR_PUB},
        {WEIR_SUB, WEIR_PUSH},      {WEIR_XSUB, WEIR_PUSH},
        {WEIR_PAIR, WEIR_PAIR},     {WEIR_DEALER, WEIR_DEALER},
        {WEIR_PAIR, WEIR_ROUTER},   {WEIR_REP, WEIR_REQ},
        {WEIR_DEALER, WEIR_PUSH},   {WEIR_ROUTER, WEIR_PUB},
    };
    weir_context context = flow_context(1);

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        accept_pair(context, pairs[i][0], pairs[i][1]);
    flow_end(context);
}

/* A REP and a REQ take turns, and so does the device. */
static void test_rep_req(void **state)
{
    weir_socket ask[2], answer;
    struct rig rig;

    (void)state;
    rig_open(&rig, WEIR_REP, WEIR_REQ, "tcp", 1);
    ask[0] = join(&rig, WEIR_REQ, rig.front_url);
    ask[1] = join(&rig, WEIR_REQ, rig.front_url);
    answer = join(&rig, WEIR_REP, rig.back_url);
    for (int i = 0; i < 20; i++) {
        flow_say(ask[0], "what?");
        flow_say(ask[1], "what?");
        for (int k = 0; k < 2; k++) {
            flow_hear(answer, "what?");
            flow_say(answer, "that");
        }
        flow_hear(ask[0], "that");
        flow_hear(ask[1], "that");
    }
    flow_close(ask[0]);
    flow_close(ask[1]);
    flow_close(answer);
    rig_stop(&rig);
}

/* ---- who owns the sockets ---- */

static void test_lent_sockets(void **state)
{
    struct rig rig;
    weir_device other;
    weir_message message;
    weir_socket pull;
    char octet;
    size_t size = 1;

    (void)state;
    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "inproc", 1);
    flow_fails(weir_send(rig.back, "x", 1, FLOW_SOON), EBUSY);
    assert_non_null(strstr(weir_last_error(), "PUSH is lent to a device"));
    flow_fails(weir_recv(rig.front, &octet, &size, FLOW_SOON), EBUSY);
    weir_message_init(&message);
    flow_fails(weir_recv_message(rig.front, &message, 0), EBUSY);
    pull = flow_open(rig.context, WEIR_PULL);
    flow_fails(weir_device_start(&other, pull, rig.back, none, 1), EBUSY);
    flow_fails(weir_device_start(&other, pull, pull, none, 1), EINVAL);
    flow_fails(weir_device_start(&other, pull, pull, none, 17), EINVAL);
    flow_ok(weir_set(rig.back, "linger", "0"));
    flow_ok(weir_device_stop(rig.device, FLOW_SOON, NULL));
    flow_fails(weir_send(rig.back, "x", 1, 0), EAGAIN);
    flow_fails(weir_device_stop(rig.device, FLOW_SOON, NULL), EBADF);
    flow_fails(weir_device_pause(rig.device), EBADF);
    flow_close(pull);
    rig_close(&rig);
}

/* Nor are they free when messages have gone through them. */
static void test_lent_in_use(void **state)
{
    struct rig rig;
    weir_socket push, pull;

    (void)state;
    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", 1);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    for (uint32_t i = 0; i < 100; i++) {
        flow_send_number(push, i);
        assert_int_equal(flow_recv_number(pull), i);
    }
    for (int i = 0; i < 10; i++)
        flow_fails(weir_send(rig.back, "x", 1, 0), EBUSY);
    flow_close(push);
    flow_close(pull);
    rig_stop(&rig);
}

struct waiter {
    weir_socket socket;
    _Atomic int result;
};

static void *wait_to_receive(void *arg)
{
    struct waiter *waiter = arg;
    weir_message message;

    weir_message_init(&message);
    waiter->result = weir_recv_message(waiter->socket, &message, FLOW_SOON);
    weir_message_fini(&message);
    return NULL;
}

/* A thread that waits in a receive, and leads the socket, is sent away. */
static void test_receiver_before_device(void **state)
{
    weir_socket push, pull;
    struct waiter waiter;
    pthread_t thread;
    struct rig rig;

    (void)state;
    rig_sockets(&rig, WEIR_PULL, WEIR_PUSH, "tcp");
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    flow_ok(weir_wait_peers(rig.front, 1, FLOW_SOON));
    waiter = (struct waiter){.socket = rig.front};
    assert_int_equal(pthread_create(&thread, NULL, wait_to_receive, &waiter),
                     0);
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, none, 1));
    pthread_join(thread, NULL);
    assert_int_equal(waiter.result, -EBUSY);
    flow_say(push, "through");
    flow_hear(pull, "through");
    flow_close(push);
    flow_close(pull);
    rig_stop(&rig);
}

static void await_end(weir_device device, int code, const char *why)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;
    weir_device_counts counts;

    while ((counts = counts_of(device)).state != WEIR_DEVICE_ENDED) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(counts.code, code);
    assert_non_null(strstr(counts.reason, why));
}

/* The device ends and says why, and the other socket is free. */
static void close_under(int which, int workers)
{
    struct rig rig;
    uint64_t held = 77;

    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", workers);
    flow_ok(weir_close(which ? rig.back : rig.front, FLOW_SOON, NULL));
    if (workers == 0)
        flow_fails(weir_device_run(rig.device, FLOW_SOON), WEIR_ECLOSING);
    await_end(rig.device, WEIR_ECLOSING,
              which ? "the device's back" : "the device's front");
    flow_fails(weir_device_stop(rig.device, FLOW_SOON, &held), WEIR_ECLOSING);
    assert_int_equal(held, 77);
    if (which)
        flow_fails(weir_recv(rig.front, NULL, &(size_t){0}, 0), EAGAIN);
    else
        flow_fails(weir_send(rig.back, "", 0, 0), EAGAIN);
    flow_drop(which ? rig.front : rig.back);
    flow_end(rig.context);
}

static void close_capture_under(void)
{
    struct rig rig;
    weir_socket capture;

    rig_sockets(&rig, WEIR_PULL, WEIR_PUSH, "tcp");
    capture = flow_open(rig.context, WEIR_PUB);
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, capture, 1));
    flow_close(capture);
    await_end(rig.device, WEIR_ECLOSING, "the device's capture");
    flow_fails(weir_device_stop(rig.device, FLOW_SOON, NULL), WEIR_ECLOSING);
    flow_fails(weir_send(rig.back, "", 0, 0), EAGAIN);
    rig_close(&rig);
}

static void test_closed_sockets(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++)
        for (int workers = 0; workers < 3; workers++)
            close_under(which, workers);
    close_capture_under();
}

static void test_closed_context(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", 2);
    flow_fails(weir_context_close(rig.context, 0), EBUSY);
    await_end(rig.device, WEIR_ECLOSING, "context is closing");
    flow_fails(weir_device_stop(rig.device, FLOW_SOON, NULL), WEIR_ECLOSING);
    rig_close(&rig);
}

/* ---- pausing ---- */

static void pause_and_resume(int workers)
{
    struct rig rig;
    weir_socket push, pull;

    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", workers);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    flow_say(push, "before");
    flow_hear(pull, "before");
    flow_ok(weir_device_pause(rig.device));
    flow_ok(weir_device_pause(rig.device));
    assert_int_equal(counts_of(rig.device).state, WEIR_DEVICE_PAUSED);
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    AWAIT(rig.device, held, 100);
    flow_silence(pull);
    assert_int_equal(counts_of(rig.device).forth, 1);
    flow_ok(weir_device_resume(rig.device));
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_close(push);
    flow_close(pull);
    rig_stop(&rig);
}

static void test_pause(void **state)
{
    (void)state;
    pause_and_resume(1);
    pause_and_resume(3);
}

/* While it is paused the marks hold: the source waits. */
static void test_pause_stops_reading(void **state)
{
    struct rig rig;
    weir_socket push;
    uint64_t sent = 0;

    (void)state;
    rig_sockets(&rig, WEIR_PULL, WEIR_PUSH, "inproc");
    flow_drop(rig.front);
    rig.front = flow_open(rig.context, WEIR_PULL);
    flow_ok(weir_set(rig.front, "recv-mark", "10"));
    flow_bind(rig.front, "inproc", rig.front_url);
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, none, 1));
    flow_ok(weir_device_pause(rig.device));
    push = flow_open(rig.context, WEIR_PUSH);
    flow_ok(weir_set(push, "send-mark", "10"));
    flow_ok(weir_connect(push, rig.front_url, NULL));
    while (weir_send(push, "x", 1, FLOW_NOT) == 0)
        sent++;
    assert_in_range(sent, 10, 20);
    assert_int_equal(counts_of(rig.device).held, sent);
    flow_close(push);
    flow_fails(weir_device_stop(rig.device, 0, NULL), EAGAIN);
    rig_close(&rig);
}

/* ---- stopping ---- */

/* What has come in goes out, even through a device that is paused. */
static void test_stop_drains(void **state)
{
    struct rig rig;
    weir_socket push, pull;
    uint64_t held = 77;

    (void)state;
    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", 1);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    flow_ok(weir_wait_peers(rig.back, 1, FLOW_SOON));
    flow_ok(weir_device_pause(rig.device));
    for (uint32_t i = 0; i < 500; i++)
        flow_send_number(push, i);
    AWAIT(rig.device, held, 500);
    flow_ok(weir_device_stop(rig.device, FLOW_SOON, &held));
    assert_int_equal(held, 0);
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_close(push);
    flow_close(pull);
    rig_close(&rig);
}

/* Nobody is at the back end: all that has come is held, and the sockets have
 * it afterwards, in its order. */
static void stop_blocked(int workers, int deadline)
{
    enum { MANY = 300 };
    struct rig rig;
    weir_socket push;
    uint64_t held = 77;
    int64_t begin;

    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", workers);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    for (uint32_t i = 0; i < MANY; i++)
        flow_send_number(push, i);
    AWAIT(rig.device, held, MANY);
    begin = flow_now();
    flow_fails(weir_device_stop(rig.device, deadline, &held), EAGAIN);
    assert_in_range(flow_now() - begin, deadline, deadline + 500);
    assert_int_equal(held, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(flow_recv_number(rig.front), i);
    flow_close(push);
    rig_close(&rig);
}

static void test_stop_blocked(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        stop_blocked(i % 3, i % 2 ? 60 : 0);
}

/* The peer at the back end is connected and does not read; everything in
 * between is full.  What was sent is what the sink gets in the end. */
static void stop_stuck(bool paused)
{
    struct rig rig;
    weir_socket push, pull;
    uint64_t held = 0, sent = 0, got = 0, rest = 0;
    char block[10000] = {0}, url[FLOW_URL + 32];
    weir_message message;
    weir_stats stats;
    int64_t begin;

    rig_sockets(&rig, WEIR_PULL, WEIR_PUSH, "tcp");
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, none, 1));
    snprintf(url, sizeof(url), "%s?send-mark-bytes=0", rig.front_url);
    push = join(&rig, WEIR_PUSH, url);
    pull = flow_open(rig.context, WEIR_PULL);
    flow_ok(weir_set(pull, "recv-mark", "5"));
    flow_ok(weir_connect(pull, rig.back_url, NULL));
    flow_ok(weir_wait_peers(rig.back, 1, FLOW_SOON));
    for (; sent < 3000; sent++)
        flow_ok(weir_send(push, block, sizeof(block), FLOW_SOON));
    AWAIT(rig.device, held, 100);
    if (paused)
        flow_ok(weir_device_pause(rig.device));
    begin = flow_now();
    flow_fails(weir_device_stop(rig.device, 100, &held), EAGAIN);
    assert_in_range(flow_now() - begin, 100, 600);
    assert_in_range(held, 1, sent); /* a driver that was late may go on */
    weir_message_init(&message);
    stats = flow_stats(rig.back);
    while (got < stats.accepted) {
        flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
        got++;
    }
    while (got + rest < sent) {
        flow_ok(weir_recv_message(rig.front, &message, FLOW_SOON));
        rest++;
    }
    weir_message_fini(&message);
    flow_close(push);
    flow_close(pull);
    rig_close(&rig);
}

static void test_stop_stuck(void **state)
{
    (void)state;
    stop_stuck(false);
    stop_stuck(true);
}

/* ---- capturing ---- */

static void test_capture(void **state)
{
    weir_socket req, rep, tap;
    struct rig rig;
    char url[FLOW_URL];

    (void)state;
    rig_sockets(&rig, WEIR_ROUTER, WEIR_DEALER, "tcp");
    rig.capture = flow_open(rig.context, WEIR_PUSH);
    flow_bind(rig.capture, "tcp", url);
    tap = flow_open(rig.context, WEIR_PULL);
    flow_ok(weir_connect(tap, url, NULL));
    flow_ok(weir_wait_peers(rig.capture, 1, FLOW_SOON));
    flow_ok(
        weir_device_start(&rig.device, rig.front, rig.back, rig.capture, 1));
    req = flow_open(rig.context, WEIR_REQ);
    flow_ok(weir_set(req, "routing-id", "me"));
    flow_ok(weir_connect(req, rig.front_url, NULL));
    rep = join(&rig, WEIR_REP, rig.back_url);
    flow_say(req, "question");
    flow_hear(rep, "question");
    flow_say(rep, "answer");
    flow_hear(req, "answer");
    flow_hear_all(tap, "me", "", "question", NULL);
    flow_hear_all(tap, "me", "", "answer", NULL);
    assert_int_equal(counts_of(rig.device).captured, 2);
    flow_close(req);
    flow_close(rep);
    flow_close(tap);
    flow_ok(weir_device_stop(rig.device, FLOW_SOON, NULL));
    flow_drop(rig.capture);
    rig_close(&rig);
}

/* A capture that nobody reads delays nothing, and what it misses is counted. */
static void test_capture_misses(void **state)
{
    weir_socket push, pull;
    weir_device refused;
    struct rig rig;

    (void)state;
    rig_sockets(&rig, WEIR_PULL, WEIR_PUSH, "inproc");
    rig.capture = flow_open(rig.context, WEIR_PULL);
    flow_fails(weir_device_start(&refused, rig.front, rig.back, rig.capture, 1),
               WEIR_EINCOMPATIBLE);
    flow_close(rig.capture);
    rig.capture = flow_open(rig.context, WEIR_PUSH);
    flow_ok(
        weir_device_start(&rig.device, rig.front, rig.back, rig.capture, 1));
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(flow_recv_number(pull), i);
    assert_int_equal(counts_of(rig.device).captured, 0);
    assert_int_equal(counts_of(rig.device).capture_missed, 100);
    flow_close(push);
    flow_close(pull);
    flow_ok(weir_device_stop(rig.device, FLOW_SOON, NULL));
    flow_close(rig.capture);
    rig_close(&rig);
}

/* ---- in the caller's thread, without any other ---- */

struct runner {
    weir_device device;
    _Atomic int result;
};

static void *run_device(void *arg)
{
    struct runner *runner = arg;

    runner->result = weir_device_run(runner->device, WEIR_FOREVER);
    return NULL;
}

static void await_workers(weir_device device, uint32_t n)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;

    while (counts_of(device).workers != n) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    }
}

static void test_run_in_thread(void **state)
{
    struct runner runners[3];
    pthread_t threads[3];
    weir_socket push, pull;
    struct rig rig;

    (void)state;
    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "tcp", 0);
    flow_fails(weir_device_run(rig.device, -7), EINVAL);
    flow_fails(weir_device_run(rig.device, 1), EAGAIN);
    for (int i = 0; i < 3; i++) {
        runners[i] = (struct runner){.device = rig.device, .result = 1};
        assert_int_equal(
            pthread_create(&threads[i], NULL, run_device, &runners[i]), 0);
    }
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    for (uint32_t i = 0; i < 1000; i++)
        flow_send_number(push, i);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(flow_recv_number(pull), i);
    await_workers(rig.device, 3);
    flow_close(push);
    flow_close(pull);
    rig_stop(&rig);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(runners[i].result, 0);
    }
}

static bool try_number(weir_socket socket, uint32_t want)
{
    uint32_t number;
    size_t size = sizeof(number);
    int r = weir_recv(socket, &number, &size, 0);

    if (r == -EAGAIN)
        return false;
    flow_ok(r);
    assert_int_equal(number, want);
    return true;
}

/* No thread but this one, in the library or out of it: everything happens in
 * turns of the device, and in calls on the sockets. */
static void run_alone(const char *transport)
{
    weir_socket push, pull, other;
    int64_t end = flow_now() + FLOW_SOON;
    weir_context another;
    struct rig rig;
    uint32_t got = 0;

    rig.context = flow_context(0);
    rig.front = flow_open(rig.context, WEIR_PULL);
    rig.back = flow_open(rig.context, WEIR_PUSH);
    another = flow_context(1);
    other = flow_open(another, WEIR_PUSH);
    flow_fails(weir_device_start(&rig.device, rig.front, other, none, 0),
               EINVAL);
    flow_close(other);
    flow_end(another);
    flow_bind(rig.front, transport, rig.front_url);
    flow_bind(rig.back, transport, rig.back_url);
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, none, 0));
    push = join(&rig, WEIR_PUSH, rig.front_url);
    pull = join(&rig, WEIR_PULL, rig.back_url);
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    while (got < 100) {
        flow_fails(weir_device_run(rig.device, 1), EAGAIN);
        while (got < 100 && try_number(pull, got))
            got++;
        assert_true(flow_now() < end);
    }
    flow_ok(weir_device_stop(rig.device, FLOW_SOON, NULL));
    flow_close(push);
    flow_close(pull);
    rig_close(&rig);
}

static void test_run_alone(void **state)
{
    (void)state;
    for (int i = 0; i < TRANSPORTS; i++)
        run_alone(transports[i]);
}

/* ---- many calls at once ---- */

struct meddler {
    weir_device device;
    int what;
    _Atomic int worst; /* the first result that should not be */
};

static bool may_be(int r)
{
    return r == 0 || r == -EAGAIN || r == -EBADF || r == -WEIR_ECLOSING;
}

static int meddle_once(const struct meddler *meddler)
{
    weir_device_counts counts = {.size = sizeof(counts)};

    switch (meddler->what) {
    case 0:
        return weir_device_pause(meddler->device);
    case 1:
        return weir_device_resume(meddler->device);
    case 2:
        return weir_device_stats(meddler->device, &counts);
    default:
        return weir_device_run(meddler->device, 1);
    }
}

/* Until the handle is dead. */
static void *meddle(void *arg)
{
    struct meddler *meddler = arg;
    int r;

    do {
        r = meddle_once(meddler);
        if (!may_be(r))
            meddler->worst = r;
    } while (r != -EBADF);
    return NULL;
}

/* The device is stopped, or a socket is closed first, amid other calls. */
static void end_amid_calls(int round)
{
    struct meddler meddlers[5];
    pthread_t threads[5];
    weir_socket push;
    struct rig rig;
    int r;

    rig_open(&rig, WEIR_PULL, WEIR_PUSH, "inproc", round % 3);
    push = join(&rig, WEIR_PUSH, rig.front_url);
    for (int i = 0; i < 5; i++) {
        meddlers[i] = (struct meddler){.device = rig.device, .what = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, meddle, &meddlers[i]), 0);
    }
    for (uint32_t i = 0; i < 200; i++)
        flow_send_number(push, i);
    if (round % 2)
        flow_drop(round % 4 == 1 ? rig.front : rig.back);
    r = weir_device_stop(rig.device, round % 5, NULL);
    assert_true(may_be(r) && r != -EBADF);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(meddlers[i].worst, 0);
    }
    flow_drop(push);
    (void)weir_close(rig.front, 0, NULL);
    (void)weir_close(rig.back, 0, NULL);
    flow_end(rig.context);
}

static void test_many_calls(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++)
        end_amid_calls(round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streamer),
        cmocka_unit_test(test_several_workers),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_forwarder),
        cmocka_unit_test(test_illegal_pairs),
        cmocka_unit_test(test_legal_pairs),
        cmocka_unit_test(test_rep_req),
        cmocka_unit_test(test_lent_sockets),
        cmocka_unit_test(test_lent_in_use),
        cmocka_unit_test(test_receiver_before_device),
        cmocka_unit_test(test_closed_sockets),
        cmocka_unit_test(test_closed_context),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_stops_reading),
        cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_stop_blocked),
        cmocka_unit_test(test_stop_stuck),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_capture_misses),
        cmocka_unit_test(test_run_in_thread),
        cmocka_unit_test(test_run_alone),
        cmocka_unit_test(test_many_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
