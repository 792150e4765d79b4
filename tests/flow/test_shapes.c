/*
 * test_shapes.c - conversations over connections in the stream and in the
 * messages shape, which no transport that is installed makes.
 *
 * The plugin is tests/fixtures/plugins/shapes.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"

static char folder[] = "/tmp/weir-shapes-XXXXXX";
static const char *scheme;
static weir_context context;

/* An address of the scheme that nobody uses. */
static void url_for(char url[FLOW_URL])
{
    static unsigned serial;

    snprintf(url, FLOW_URL, "%s://%s/%u", scheme, folder, serial++);
}

/* The same with options. */
static const char *with(const char *url, const char *options)
{
    static char text[2][FLOW_URL + 64];
    static int turn;

    turn = !turn;
    snprintf(text[turn], sizeof(text[turn]), "%s?%s", url, options);
    return text[turn];
}

struct pair {
    char url[FLOW_URL];
    weir_socket near, far; /* near binds */
};

/* Open and join two sockets; options of an endpoint may be NULL. */
static struct pair join(int near, const char *near_options, int far,
                        const char *far_options)
{
    struct pair pair;

    pair.near = flow_open(context, near);
    pair.far = flow_open(context, far);
    url_for(pair.url);
    flow_ok(weir_bind(pair.near,
                      near_options ? with(pair.url, near_options) : pair.url,
                      NULL));
    flow_ok(weir_connect(
        pair.far, far_options ? with(pair.url, far_options) : pair.url, NULL));
    return pair;
}

/* All is said: the counters add up, nothing is left. */
static void part(const struct pair *pair)
{
    (void)flow_stats(pair->near);
    (void)flow_stats(pair->far);
    flow_close(pair->far);
    flow_close(pair->near);
}

/* ---- patterns ---- */

static void pump(weir_socket from, weir_socket to, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 500) {
        for (uint32_t k = i; k < i + 500; k++)
            flow_send_number(from, k);
        for (uint32_t k = i; k < i + 500; k++)
            assert_int_equal(flow_recv_number(to), k);
    }
}

static void test_push_pull(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);

    (void)state;
    pump(pair.far, pair.near, 20000);
    part(&pair);
    pair = join(WEIR_PUSH, NULL, WEIR_PULL, NULL);
    flow_ok(weir_wait_peers(pair.near, 1, FLOW_SOON));
    pump(pair.near, pair.far, 20000);
    part(&pair);
}

static void test_pair(void **state)
{
    struct pair pair = join(WEIR_PAIR, NULL, WEIR_PAIR, NULL);

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        flow_send_number(pair.far, i);
        assert_int_equal(flow_recv_number(pair.near), i);
        flow_send_number(pair.near, i + 7);
        assert_int_equal(flow_recv_number(pair.far), i + 7);
    }
    part(&pair);
}

static void test_req_rep(void **state)
{
    struct pair pair = join(WEIR_REP, NULL, WEIR_REQ, NULL);

    (void)state;
    for (int i = 0; i < 300; i++) {
        flow_say_all(pair.far, "what", "is", "it", NULL);
        flow_hear_all(pair.near, "what", "is", "it", NULL);
        flow_say_all(pair.near, "", "that", NULL);
        flow_hear_all(pair.far, "", "that", NULL);
    }
    part(&pair);
}

static void test_pub_sub(void **state)
{
    struct pair pair = join(WEIR_PUB, NULL, WEIR_SUB, NULL);
    weir_stats stats;

    (void)state;
    flow_ok(weir_subscribe(pair.far, "a", 1));
    flow_ok(weir_wait_peers(pair.near, 1, FLOW_SOON));
    for (int i = 0; i < 300; i++) {
        flow_say(pair.near, "b not wanted");
        flow_say_all(pair.near, "a wanted", "body", NULL);
    }
    for (int i = 0; i < 300; i++)
        flow_hear_all(pair.far, "a wanted", "body", NULL);
    stats = flow_stats(pair.near);
    assert_int_equal(stats.unmatched, 300);
    flow_ok(weir_unsubscribe(pair.far, "a", 1));
    flow_ok(weir_flush(pair.far, FLOW_SOON));
    flow_say(pair.near, "a too late, or nearly");
    flow_ok(weir_flush(pair.near, FLOW_SOON));
    part(&pair);
}

/* ---- messages ---- */

static const size_t sizes[] = {0,   1,     40,    41,     255,    256,
                               300, 16383, 16384, 100000, 999999, 0};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void send_frames(weir_socket socket, uint32_t seed)
{
    weir_message message;

    weir_message_init(&message);
    for (uint32_t i = 0; i < SIZES; i++)
        flow_add(&message, sizes[i], seed + i);
    flow_ok(weir_send_message(socket, &message, FLOW_SOON));
}

static void recv_frames(weir_socket socket, uint32_t seed)
{
    weir_message message;

    weir_message_init(&message);
    flow_ok(weir_recv_message(socket, &message, FLOW_SOON));
    assert_int_equal(weir_message_count(&message), SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        flow_check_frame(&message, i, sizes[i], seed + i);
    weir_message_fini(&message);
}

static void test_multipart(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        send_frames(pair.far, i * 100);
        send_frames(pair.far, i * 100 + 50);
        recv_frames(pair.near, i * 100);
        recv_frames(pair.near, i * 100 + 50);
    }
    part(&pair);
}

static void test_many_frames(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);
    weir_message message;

    (void)state;
    weir_message_init(&message);
    for (uint32_t i = 0; i < 3000; i++)
        flow_add(&message, i % 500, i);
    flow_ok(weir_send_message(pair.far, &message, FLOW_SOON));
    flow_ok(weir_recv_message(pair.near, &message, FLOW_SOON));
    assert_int_equal(weir_message_count(&message), 3000);
    for (uint32_t i = 0; i < 3000; i++)
        flow_check_frame(&message, i, i % 500, i);
    weir_message_fini(&message);
    part(&pair);
}

static void test_big(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);
    weir_message message;

    (void)state;
    weir_message_init(&message);
    for (uint32_t i = 0; i < 5; i++) {
        flow_add(&message, 10000000 + i, i);
        flow_ok(weir_send_message(pair.far, &message, FLOW_SOON));
        flow_ok(weir_recv_message(pair.near, &message, FLOW_SOON));
        flow_check_frame(&message, 0, 10000000 + i, i);
        weir_message_fini(&message);
    }
    part(&pair);
}

/* ---- marks ---- */

/* Send until nothing goes any more; returns how many went. */
static uint32_t fill(weir_socket socket, uint32_t from)
{
    char data[2000];
    uint32_t sent = 0;

    memset(data, 0, sizeof(data));
    for (;;) {
        uint32_t number = from + sent;

        memcpy(data, &number, sizeof(number));
        if (weir_send(socket, data, sizeof(data), FLOW_NOT) < 0)
            return sent;
        sent++;
    }
}

/* The same until the reader has all that it takes. */
static uint32_t fill_up(const struct pair *pair, uint32_t from, uint64_t mark)
{
    int64_t deadline = flow_now() + FLOW_SOON;
    uint32_t sent = 0;

    do {
        sent += fill(pair->far, from + sent);
        assert_true(flow_now() < deadline);
    } while (flow_stats(pair->near).recv_queued < mark);
    return sent;
}

static void drain(weir_socket socket, uint32_t from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char data[2000];
        size_t size = sizeof(data);
        uint32_t number;

        flow_ok(weir_recv(socket, data, &size, FLOW_SOON));
        memcpy(&number, data, sizeof(number));
        assert_int_equal(number, from + i);
    }
}

/* What does not fit waits at the sender; when the reader comes back all of it
 * arrives. */
static void test_mark(void **state)
{
    struct pair pair =
        join(WEIR_PULL, "recv-mark=50", WEIR_PUSH, "send-mark=50");
    uint32_t sent = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        uint32_t n = fill_up(&pair, sent, 50);

        /* Two marks, and what lies in between.  Who waits for room is told
         * when half of a mark is free. */
        assert_in_range(n, 50 + 25, 50 + 50 + 400);
        drain(pair.near, sent, n);
        sent += n;
    }
    part(&pair);
}

/* A reader that drops at its mark never makes the sender wait. */
static void test_recv_policy(void **state)
{
    static const char *const options[] = {"recv-mark=10&recv-policy=drop-new",
                                          "recv-mark=10&recv-policy=drop-old",
                                          "recv-policy=latest"};
    enum { N = 500 };

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct pair pair = join(WEIR_PULL, options[i], WEIR_PUSH, NULL);
        int64_t deadline = flow_now() + FLOW_SOON;
        uint32_t first = i ? N - (i < 2 ? 10 : 1) : 0;
        uint32_t n = i < 2 ? 10 : 1;
        weir_stats stats;

        for (uint32_t number = 0; number < N; number++)
            flow_send_number(pair.far, number);
        do {
            stats = flow_stats(pair.near);
            assert_true(flow_now() < deadline);
        } while (stats.decoded < N || stats.recv_queued > n);
        assert_int_equal(stats.recv_queued, n);
        assert_int_equal(
            stats.recv_dropped[i ? WEIR_DROP_REPLACED : WEIR_DROP_MARK], N - n);
        for (uint32_t number = first; number < first + n; number++)
            assert_int_equal(flow_recv_number(pair.near), number);
        part(&pair);
    }
}

/* Both ways are full at once, and no side waits for the other for ever. */
static void test_flood(void **state)
{
    struct pair pair = join(WEIR_PAIR, "recv-mark=20&send-mark=20", WEIR_PAIR,
                            "recv-mark=20&send-mark=20");
    uint32_t sent[2] = {0}, received[2] = {0};

    (void)state;
    for (int i = 0; i < 20; i++) {
        sent[0] += fill(pair.near, sent[0]);
        sent[1] += fill(pair.far, sent[1]);
        drain(pair.far, received[0], sent[0] - received[0]);
        drain(pair.near, received[1], sent[1] - received[1]);
        received[0] = sent[0];
        received[1] = sent[1];
    }
    part(&pair);
}

/* ---- ends ---- */

static void test_linger(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);
    uint64_t unsent = 77;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++)
        flow_send_number(pair.far, i);
    flow_ok(weir_close(pair.far, WEIR_LINGER, &unsent));
    assert_int_equal(unsent, 0);
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(flow_recv_number(pair.near), i);
    flow_event(pair.near, WEIR_EVENT_DISCONNECTED);
    flow_close(pair.near);
}

/* A connect outlives its peers. */
static void test_return(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, "reconnect=10");

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        flow_send_number(pair.far, i);
        assert_int_equal(flow_recv_number(pair.near), i);
        flow_close(pair.near);
        flow_event(pair.far, WEIR_EVENT_DISCONNECTED);
        flow_send_number(pair.far, 1000 + i);
        pair.near = flow_open(context, WEIR_PULL);
        flow_ok(weir_bind(pair.near, pair.url, NULL));
        assert_int_equal(flow_recv_number(pair.near), 1000 + i);
    }
    part(&pair);
}

/* What nobody reads any more goes with the socket. */
static void test_drop(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct pair pair =
            join(WEIR_PULL, "recv-mark=10", WEIR_PUSH, "send-mark=10");

        flow_ok(weir_wait_peers(pair.far, 1, FLOW_SOON));
        (void)fill(pair.far, 0);
        (void)flow_stats(pair.near);
        (void)flow_stats(pair.far);
        flow_drop(i % 2 ? pair.near : pair.far);
        flow_drop(i % 2 ? pair.far : pair.near);
    }
}

/* ---- threads ---- */

enum { EACH = 4000 };

static void *send_each(void *opaque)
{
    weir_socket *socket = opaque;

    for (uint32_t i = 0; i < EACH; i++)
        if (weir_send(*socket, &i, sizeof(i), FLOW_SOON) < 0)
            return opaque;
    return NULL;
}

static void *recv_each(void *opaque)
{
    weir_socket *socket = opaque;

    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t number;
        size_t size = sizeof(number);

        if (weir_recv(*socket, &number, &size, FLOW_SOON) < 0)
            return opaque;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct pair pair = join(WEIR_PAIR, NULL, WEIR_PAIR, NULL);
    pthread_t threads[8];
    int n = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        weir_socket *from = i ? &pair.near : &pair.far;
        weir_socket *to = i ? &pair.far : &pair.near;

        for (int k = 0; k < 2; k++) {
            assert_int_equal(
                pthread_create(&threads[n++], NULL, send_each, from), 0);
            assert_int_equal(pthread_create(&threads[n++], NULL, recv_each, to),
                             0);
        }
    }
    while (n > 0) {
        void *fault;

        assert_int_equal(pthread_join(threads[--n], &fault), 0);
        assert_null(fault);
    }
    part(&pair);
}

/* Without I/O threads progress is made inside the calls. */
static void test_no_thread(void **state)
{
    weir_context usual = context;
    struct pair pair;

    (void)state;
    context = flow_context(0);
    pair = join(WEIR_PULL, NULL, WEIR_PUSH, NULL);
    flow_send_number(pair.far, 1);
    assert_int_equal(flow_recv_number(pair.near), 1);
    pump(pair.far, pair.near, 1000);
    part(&pair);
    flow_end(context);
    context = usual;
}

/* ---- what only one of the shapes has ---- */

static void test_broken_stream(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, "corrupt-after=2000");
    weir_event event;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        flow_send_number(pair.far, i);
    event = flow_event(pair.near, WEIR_EVENT_DISCONNECTED);
    assert_non_null(strstr(event.reason, "a record of no known kind"));
    assert_int_equal(event.code, EPROTO);
    flow_drop(pair.far);
    flow_drop(pair.near);
}

/* Publisher and subscriber who only hear in one direction: the publisher
 * sends all, the subscriber takes what it wants. */
static void test_one_way(void **state)
{
    struct pair pair = join(WEIR_PUB, "way=send", WEIR_SUB, "way=recv");
    weir_stats stats;

    (void)state;
    flow_ok(weir_subscribe(pair.far, "a", 1));
    flow_ok(weir_flush(pair.far, FLOW_SOON));
    flow_ok(weir_wait_peers(pair.near, 1, FLOW_SOON));
    for (int i = 0; i < 300; i++) {
        flow_say(pair.near, "b not wanted");
        flow_say(pair.near, "a wanted");
    }
    for (int i = 0; i < 300; i++)
        flow_hear(pair.far, "a wanted");
    stats = flow_stats(pair.far);
    assert_int_equal(stats.recv_dropped[WEIR_DROP_UNWANTED], 300);
    part(&pair);
}

/* The host tells the transport which way that is. */
static void test_direction(void **state)
{
    static const int types[][2] = {{WEIR_PUB, WEIR_SUB},
                                   {WEIR_XPUB, WEIR_XSUB}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair pair =
            join(types[i][0], "way=socket", types[i][1], "way=socket");

        flow_ok(weir_wait_peers(pair.near, 1, FLOW_SOON));
        flow_ok(weir_wait_peers(pair.far, 1, FLOW_SOON));
        if (i == 0)
            flow_ok(weir_subscribe(pair.far, "", 0));
        else
            flow_say(pair.far, "\1");
        for (uint32_t k = 0; k < 300; k++)
            flow_send_number(pair.near, k);
        for (uint32_t k = 0; k < 300; k++)
            assert_int_equal(flow_recv_number(pair.far), k);
        part(&pair);
    }
}

/* What is sent where nobody hears is dropped, and counted. */
static void test_deaf(void **state)
{
    struct pair pair = join(WEIR_PAIR, "way=send", WEIR_PAIR, "way=recv");
    weir_stats stats;

    (void)state;
    flow_ok(weir_wait_peers(pair.far, 1, FLOW_SOON));
    flow_send_number(pair.far, 1);
    flow_send_number(pair.far, 2);
    flow_ok(weir_flush(pair.far, FLOW_SOON));
    stats = flow_stats(pair.far);
    assert_int_equal(stats.send_dropped[WEIR_DROP_NO_ROUTE], 2);
    assert_int_equal(stats.written, 0);
    flow_send_number(pair.near, 3);
    assert_int_equal(flow_recv_number(pair.far), 3);
    part(&pair);
}

static void test_handshake(void **state)
{
    struct pair pair = join(WEIR_PULL, NULL, WEIR_PUSH, "zmtp=yes");
    weir_event event = flow_event(pair.far, WEIR_EVENT_REFUSED);

    (void)state;
    assert_non_null(strstr(event.reason, "handshake"));
    assert_non_null(strstr(event.reason, pair.url));
    assert_int_equal(event.code, EOPNOTSUPP);
    flow_drop(pair.far);
    flow_drop(pair.near);
}

/* A plugin that leaves out a function cannot be called: its connection is
 * refused, on either side, and the next one is not. */
static void miss_slot(const char *slot)
{
    char option[64];
    struct pair pair;
    weir_event event;

    snprintf(option, sizeof(option), "without=%s", slot);
    pair = join(WEIR_PULL, option, WEIR_PUSH, NULL);
    event = flow_event(pair.near, WEIR_EVENT_REFUSED);
    assert_int_equal(event.code, WEIR_EPLUGIN);
    assert_non_null(strstr(event.reason, slot));
    assert_non_null(strstr(event.reason, pair.url));
    flow_drop(pair.far);
    flow_drop(pair.near);
    pair = join(WEIR_PULL, NULL, WEIR_PUSH, option);
    event = flow_event(pair.far, WEIR_EVENT_RETRY);
    assert_int_equal(event.code, WEIR_EPLUGIN);
    assert_non_null(strstr(event.reason, slot));
    flow_drop(pair.far);
    pair.far = flow_open(context, WEIR_PUSH);
    flow_ok(weir_connect(pair.far, pair.url, NULL));
    flow_say(pair.far, "the next one");
    flow_hear(pair.near, "the next one");
    flow_drop(pair.far);
    flow_drop(pair.near);
}

static void test_slots_of_streams(void **state)
{
    (void)state;
    miss_slot("writev");
    miss_slot("readv");
    miss_slot("close");
}

static void test_slots_of_messages(void **state)
{
    (void)state;
    miss_slot("attach");
    miss_slot("send_ready");
    miss_slot("recv_resume");
    miss_slot("close");
}

/* Frames of messages from two sources come mixed, and do not mix. */
static void test_sources(void **state)
{
    struct pair pair =
        join(WEIR_PULL, "interleave=yes&recv-mark-bytes=0", WEIR_PUSH, NULL);

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        send_frames(pair.far, i * 100);
    for (uint32_t i = 0; i + 1 < 20; i++)
        recv_frames(pair.near, i * 100);
    flow_silence(pair.near);
    part(&pair);
}

/* The same where the queue is full all the time. */
static void test_sources_at_mark(void **state)
{
    struct pair pair =
        join(WEIR_PULL, "interleave=yes&recv-mark=2", WEIR_PUSH, NULL);

    (void)state;
    for (uint32_t i = 0; i < 200; i++)
        flow_say_all(pair.far, "one", "two", "three", NULL);
    for (uint32_t i = 0; i + 1 < 200; i++)
        flow_hear_all(pair.near, "one", "two", "three", NULL);
    flow_silence(pair.near);
    part(&pair);
}

/* Messages that never end do not pile up, and are no hindrance. */
static void test_strangers(void **state)
{
    struct pair pair = join(WEIR_PULL, "strangers=1100", WEIR_PUSH, NULL);
    weir_event event;

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        flow_say_all(pair.far, "one", "two", NULL);
        flow_hear_all(pair.near, "one", "two", NULL);
    }
    for (int i = 1024; i < 1100; i++) {
        event = flow_event(pair.near, WEIR_EVENT_GAP);
        assert_int_equal(event.value, 1);
        assert_int_equal(event.code, ENOBUFS);
    }
    part(&pair);
}

static void test_gap(void **state)
{
    struct pair pair = join(WEIR_PULL, "lose-every=10", WEIR_PUSH, NULL);
    weir_event event;

    (void)state;
    for (uint32_t i = 1; i <= 100; i++)
        flow_send_number(pair.far, i);
    for (uint32_t i = 1; i <= 100; i++)
        if (i % 10)
            assert_int_equal(flow_recv_number(pair.near), i);
    for (int i = 0; i < 10; i++) {
        event = flow_event(pair.near, WEIR_EVENT_GAP);
        assert_int_equal(event.value, 1);
    }
    part(&pair);
}

static void test_limits(void **state)
{
    struct pair pair = join(WEIR_PULL, "max-frames=2", WEIR_PUSH, NULL);
    weir_event event;

    (void)state;
    flow_say_all(pair.far, "1", "2", NULL);
    flow_say_all(pair.far, "1", "2", "3", NULL);
    flow_hear_all(pair.near, "1", "2", NULL);
    event = flow_event(pair.near, WEIR_EVENT_DISCONNECTED);
    assert_int_equal(event.code, EMSGSIZE);
    flow_drop(pair.far);
    flow_drop(pair.near);
}

/* Who sends to many is not disconnected: what is too large is not received,
 * what comes behind it is. */
static void test_limits_one_way(void **state)
{
    struct pair pair = join(WEIR_PULL, "max-message=1000&max-frames=5&way=recv",
                            WEIR_PUSH, "way=send");
    weir_message message;
    weir_event event;

    (void)state;
    weir_message_init(&message);
    flow_say(pair.far, "first");
    flow_add(&message, 1001, 1);
    flow_ok(weir_send_message(pair.far, &message, FLOW_SOON));
    flow_say_all(pair.far, "1", "2", "3", "4", "5", "6", "7", NULL);
    for (int i = 0; i < 50; i++)
        flow_add(&message, i ? 10 : 5000, 1);
    flow_ok(weir_send_message(pair.far, &message, FLOW_SOON));
    flow_say_all(pair.far, "1", "2", "3", "4", "5", NULL);
    flow_hear(pair.near, "first");
    flow_hear_all(pair.near, "1", "2", "3", "4", "5", NULL);
    for (int i = 0; i < 3; i++) {
        event = flow_event(pair.near, WEIR_EVENT_GAP);
        assert_int_equal(event.code, EMSGSIZE);
        assert_non_null(strstr(event.reason, "the other side sent"));
    }
    part(&pair);
}

/* ---- the plugin ---- */

static char file[1024];

static void find_file(void)
{
    const char *built = getenv("top_builddir");

    snprintf(file, sizeof(file),
             "%s/tests/fixtures/plugins/" LT_OBJDIR "transport_shapes.so",
             built ? built : ".");
}

static int load(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    flow_ok(weir_plugin_load(file, NULL));
    return 0;
}

static int unload(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int stream_up(void **state)
{
    (void)state;
    scheme = "tstream";
    context = flow_context(1);
    return 0;
}

static int messages_up(void **state)
{
    (void)state;
    scheme = "tmessages";
    context = flow_context(1);
    return 0;
}

static int down(void **state)
{
    (void)state;
    flow_end(context);
    return 0;
}

#define STREAM(name)                                   \
    {                                                  \
        "tstream: " #name, name, stream_up, down, NULL \
    }
#define MESSAGES(name)                                     \
    {                                                      \
        "tmessages: " #name, name, messages_up, down, NULL \
    }
#define BOTH(name) STREAM(name), MESSAGES(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_push_pull),
        BOTH(test_pair),
        BOTH(test_req_rep),
        BOTH(test_pub_sub),
        BOTH(test_multipart),
        BOTH(test_many_frames),
        BOTH(test_big),
        BOTH(test_mark),
        BOTH(test_recv_policy),
        BOTH(test_flood),
        BOTH(test_linger),
        BOTH(test_return),
        BOTH(test_drop),
        BOTH(test_threads),
        BOTH(test_no_thread),
        STREAM(test_broken_stream),
        MESSAGES(test_one_way),
        MESSAGES(test_direction),
        MESSAGES(test_deaf),
        STREAM(test_slots_of_streams),
        MESSAGES(test_slots_of_messages),
        MESSAGES(test_handshake),
        MESSAGES(test_sources),
        MESSAGES(test_sources_at_mark),
        MESSAGES(test_strangers),
        MESSAGES(test_gap),
        BOTH(test_limits),
        MESSAGES(test_limits_one_way),
    };

    find_file();
    if (access(file, R_OK) < 0)
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, load, unload);
}
