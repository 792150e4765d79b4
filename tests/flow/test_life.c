/*
 * Comings and goings: late joiners, servers that come back, endpoints and
 * sockets that close with something unsent, contexts that close, handles that
 * are closed, and what the events say of all that.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3 };

static void for_each_transport(void (*body)(weir_context context,
                                            const char *transport))
{
    for (int i = 0; i < TRANSPORTS; i++) {
        weir_context context = flow_context(1);

        body(context, transports[i]);
        flow_end(context);
    }
}

/* ---- joining ---- */

/* What was published before a subscriber came is not for it. */
static void join_late(weir_context context, const char *transport)
{
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket early = flow_open(context, WEIR_SUB);
    weir_socket late = flow_open(context, WEIR_SUB);
    char url[FLOW_URL];

    flow_bind(pub, transport, url);
    flow_ok(weir_subscribe(early, "", 0));
    flow_ok(weir_subscribe(late, "", 0));
    flow_ok(weir_connect(early, url, NULL));
    flow_ok(weir_wait_peers(pub, 1, FLOW_SOON));
    flow_say(pub, "first");
    flow_ok(weir_connect(late, url, NULL));
    flow_ok(weir_wait_peers(pub, 2, FLOW_SOON));
    flow_say(pub, "second");
    flow_hear(early, "first");
    flow_hear(early, "second");
    flow_hear(late, "second");
    flow_close(pub);
    flow_close(early);
    flow_close(late);
}

static void test_late_joiner(void **state)
{
    (void)state;
    for_each_transport(join_late);
}

static void test_wait_peers(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    int64_t start = flow_now();

    (void)state;
    flow_fails(weir_wait_peers(push, 1, WEIR_NOWAIT), EAGAIN);
    flow_fails(weir_wait_peers(push, 1, FLOW_NOT), EAGAIN);
    assert_in_range(flow_now() - start, FLOW_NOT - 1, FLOW_SOON);
    flow_join(pull, push, "tcp");
    assert_int_equal(flow_ok(weir_wait_peers(push, 0, WEIR_NOWAIT)), 1);
    flow_fails(weir_wait_peers(push, 2, FLOW_NOT), EAGAIN);
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* ---- coming back ---- */

static weir_socket open_server(weir_context context, int type, const char *url)
{
    weir_socket server = flow_open(context, type);

    flow_ok(weir_bind(server, url, NULL));
    return server;
}

/* A client sends on, whoever is at the other end, and loses nothing that was
 * not on its way when the server closed. */
static void server_returns(weir_context context, const char *transport)
{
    weir_socket push = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];

    flow_url(transport, url);
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    for (uint32_t i = 0; i < 4; i++) {
        weir_socket pull = open_server(context, WEIR_PULL, url);

        flow_ok(weir_wait_peers(push, 1, FLOW_SOON));
        flow_send_number(push, i);
        assert_int_equal(flow_recv_number(pull), i);
        flow_close(pull);
        flow_await_peers(push, 0);
    }
    assert_int_equal(flow_stats(push).connects, 4);
    assert_int_equal(flow_stats(push).disconnects, 4);
    flow_close(push);
}

static void test_server_returns(void **state)
{
    (void)state;
    for_each_transport(server_returns);
}

/* What is sent while the server is away waits for it. */
static void queue_meanwhile(weir_context context, const char *transport)
{
    weir_socket push = flow_open(context, WEIR_PUSH), pull;
    char url[FLOW_URL];

    flow_url(transport, url);
    flow_ok(weir_set(push, "reconnect", "10ms"));
    pull = open_server(context, WEIR_PULL, url);
    flow_ok(weir_connect(push, url, NULL));
    flow_ok(weir_wait_peers(push, 1, FLOW_SOON));
    flow_close(pull);
    flow_await_peers(push, 0);
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    pull = open_server(context, WEIR_PULL, url);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_close(push);
    flow_close(pull);
}

static void test_queue_meanwhile(void **state)
{
    (void)state;
    for_each_transport(queue_meanwhile);
}

/* Subscriptions are told again. */
static void publisher_returns(weir_context context, const char *transport)
{
    weir_socket sub = flow_open(context, WEIR_SUB);
    char url[FLOW_URL];

    flow_url(transport, url);
    flow_ok(weir_set(sub, "reconnect", "10ms"));
    flow_ok(weir_subscribe(sub, "a", 1));
    flow_ok(weir_subscribe(sub, "b", 1));
    flow_ok(weir_unsubscribe(sub, "b", 1));
    flow_ok(weir_connect(sub, url, NULL));
    for (int i = 0; i < 3; i++) {
        weir_socket xpub = open_server(context, WEIR_XPUB, url);

        flow_hear(xpub, "\1a");
        flow_say(xpub, "b?");
        flow_say(xpub, "a!");
        flow_hear(sub, "a!");
        flow_close(xpub);
        flow_await_peers(sub, 0);
    }
    flow_close(sub);
}

static void test_publisher_returns(void **state)
{
    (void)state;
    for_each_transport(publisher_returns);
}

/* ---- closing sockets ---- */

/* With a linger, close delivers what was accepted. */
static void close_flushes(weir_context context, const char *transport)
{
    enum { SENT = 2000 };
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char data[500] = {0};
    weir_message message;

    flow_join(pull, push, transport);
    for (int i = 0; i < SENT; i++)
        flow_ok(weir_send(push, data, sizeof(data), FLOW_SOON));
    flow_close(push);
    weir_message_init(&message);
    for (int i = 0; i < SENT; i++)
        flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
    weir_message_fini(&message);
    flow_silence(pull);
    flow_close(pull);
}

static void test_close_flushes(void **state)
{
    (void)state;
    for_each_transport(close_flushes);
}

/* Nobody is there: the count is exact, and close keeps its deadline. */
static void close_gives_up(weir_context context, const char *transport)
{
    weir_socket push = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];
    uint64_t unsent = 0;
    int64_t start;

    flow_url(transport, url);
    flow_ok(weir_set(push, "linger", "100ms"));
    flow_ok(weir_connect(push, url, NULL));
    for (uint32_t i = 0; i < 7; i++)
        flow_send_number(push, i);
    start = flow_now();
    flow_fails(weir_close(push, WEIR_LINGER, &unsent), EAGAIN);
    assert_int_equal(unsent, 7);
    assert_in_range(flow_now() - start, 95, 4000); /* by itself: 5 s */
    flow_fails(weir_send(push, "x", 1, WEIR_NOWAIT), EBADF);
}

static void test_close_gives_up(void **state)
{
    (void)state;
    for_each_transport(close_gives_up);
}

/* A reader at its mark keeps the rest from going out. */
static void close_against_slow(weir_context context, const char *transport)
{
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char *data = calloc(1, 100000);
    uint64_t unsent = 0, accepted, heard = 0;
    weir_message message;

    if (strcmp(transport, "inproc") != 0) {
        assert_non_null(data);
        flow_ok(weir_set(pull, "recv-mark", "5"));
        flow_ok(weir_set(push, "send-mark-bytes", "0"));
        flow_join(pull, push, transport);
        for (int i = 0; i < 300; i++)
            flow_ok(weir_send(push, data, 100000, FLOW_SOON));
        accepted = flow_stats(push).accepted;
        flow_fails(weir_close(push, 100, &unsent), EAGAIN);
        assert_in_range(unsent, 1, accepted);
        weir_message_init(&message);
        while (weir_recv_message(pull, &message, 500) >= 0)
            heard++;
        weir_message_fini(&message);
        /* One may be cut in the middle; what the kernel had may be lost. */
        assert_in_range(heard, 1, accepted - unsent);
    } else {
        flow_close(push);
    }
    free(data);
    flow_close(pull);
}

static void test_close_against_slow(void **state)
{
    (void)state;
    for_each_transport(close_against_slow);
}

/* ---- closing endpoints ---- */

static void unbind(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_endpoint endpoint;
    char url[FLOW_URL], text[FLOW_URL];

    endpoint = flow_bind(pull, transport, url);
    flow_ok(weir_set(push, "reconnect", "10ms"));
    flow_ok(weir_connect(push, url, NULL));
    flow_ok(weir_wait_peers(pull, 1, FLOW_SOON));
    flow_say(push, "before");
    flow_hear(pull, "before");
    flow_ok(weir_endpoint_close(endpoint, FLOW_SOON, NULL));
    flow_fails(weir_endpoint_close(endpoint, FLOW_SOON, NULL), EBADF);
    flow_fails(weir_endpoint_url(endpoint, text, sizeof(text)), EBADF);
    flow_await_peers(push, 0);
    flow_ok(weir_bind(pull, url, &endpoint));
    flow_ok(weir_wait_peers(push, 1, FLOW_SOON));
    flow_say(push, "after");
    flow_hear(pull, "after");
    flow_close(push);
    flow_close(pull);
}

static void test_unbind(void **state)
{
    (void)state;
    for_each_transport(unbind);
}

static void disconnect(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_endpoint endpoint, nowhere;
    char url[FLOW_URL], other[FLOW_URL];
    uint64_t unsent = 99;

    flow_bind(pull, transport, url);
    flow_url(transport, other);
    flow_ok(weir_connect(push, url, &endpoint));
    flow_ok(weir_wait_peers(pull, 1, FLOW_SOON));
    for (uint32_t i = 0; i < 500; i++)
        flow_send_number(push, i);
    flow_ok(weir_endpoint_close(endpoint, FLOW_SOON, &unsent));
    assert_int_equal(unsent, 0);
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_fails(weir_send(push, "x", 1, FLOW_NOT), EAGAIN);
    flow_ok(weir_connect(push, other, &nowhere));
    flow_say(push, "lost");
    flow_say(push, "too");
    flow_fails(weir_endpoint_close(nowhere, FLOW_NOT, &unsent), EAGAIN);
    assert_int_equal(unsent, 2);
    assert_int_equal(flow_stats(push).send_dropped[WEIR_DROP_CLOSED], 2);
    flow_close(push);
    flow_close(pull);
}

static void test_disconnect(void **state)
{
    (void)state;
    for_each_transport(disconnect);
}

/* What was received before the connection ended can still be read. */
static void read_the_rest(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);

    flow_join(pull, push, transport);
    for (uint32_t i = 0; i < 100; i++)
        flow_send_number(push, i);
    flow_close(push);
    flow_await_peers(pull, 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(flow_recv_number(pull), i);
    flow_silence(pull);
    flow_close(pull);
}

static void test_read_the_rest(void **state)
{
    (void)state;
    for_each_transport(read_the_rest);
}

/* ---- names that are taken ---- */

static void bind_twice(weir_context context, const char *transport)
{
    weir_socket one = flow_open(context, WEIR_PULL);
    weir_socket two = flow_open(context, WEIR_PULL);
    char url[FLOW_URL];

    flow_bind(one, transport, url);
    flow_fails(weir_bind(two, url, NULL), EADDRINUSE);
    assert_non_null(strstr(weir_last_error(), url + strlen(transport) + 3));
    flow_close(one);
    flow_ok(weir_bind(two, url, NULL));
    flow_close(two);
}

static void test_bind_twice(void **state)
{
    (void)state;
    for_each_transport(bind_twice);
}

/* ---- closed handles ---- */

static void test_closed_handles(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pair = flow_open(context, WEIR_PAIR), none = {0, 0};
    weir_stats stats = {.size = sizeof(stats)};
    weir_event event = {.size = sizeof(event)};
    char data[8];
    size_t size = sizeof(data);

    (void)state;
    flow_close(pair);
    flow_fails(weir_close(pair, 0, NULL), EBADF);
    flow_fails(weir_close(none, 0, NULL), EBADF);
    flow_fails(weir_send(pair, "x", 1, 0), EBADF);
    flow_fails(weir_recv(pair, data, &size, 0), EBADF);
    flow_fails(weir_bind(pair, "tcp://127.0.0.1:*", NULL), EBADF);
    flow_fails(weir_connect(pair, "tcp://127.0.0.1:1", NULL), EBADF);
    flow_fails(weir_set(pair, "linger", "1"), EBADF);
    flow_fails(weir_flush(pair, 0), EBADF);
    flow_fails(weir_wait_peers(pair, 1, 0), EBADF);
    flow_fails(weir_socket_stats(pair, &stats), EBADF);
    flow_fails(weir_next_event(pair, &event, 0), EBADF);
    flow_fails(weir_readable_fd(pair), EBADF);
    flow_end(context);
    flow_fails(weir_context_close(context, 0), EBADF);
    flow_fails(weir_open(&pair, context, WEIR_PAIR), EBADF);
}

/* ---- closing contexts ---- */

static void test_context_names_sockets(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];

    (void)state;
    flow_bind(pull, "tcp", url);
    flow_fails(weir_context_close(context, FLOW_NOT), EBUSY);
    assert_non_null(strstr(weir_last_error(), "PULL"));
    assert_non_null(strstr(weir_last_error(), url));
    assert_non_null(strstr(weir_last_error(), "PUSH"));
    flow_fails(weir_send(push, "x", 1, FLOW_SOON), WEIR_ECLOSING);
    flow_close(pull);
    flow_close(push);
    flow_end(context);
}

struct waiter {
    pthread_t thread;
    weir_socket socket;
    int result;
};

static void *wait_for_message(void *arg)
{
    struct waiter *waiter = arg;
    char data[8];
    size_t size = sizeof(data);

    waiter->result = weir_recv(waiter->socket, data, &size, FLOW_SOON);
    return NULL;
}

static void start_waiting(struct waiter *waiter, weir_socket socket)
{
    waiter->socket = socket;
    assert_int_equal(
        pthread_create(&waiter->thread, NULL, wait_for_message, waiter), 0);
}

/* Those who wait learn at once that it is over. */
static void end_waiting(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket quiet = flow_open(context, WEIR_PULL);
    struct waiter waiters[3];
    int64_t start = flow_now();

    flow_join(pull, push, transport);
    for (int i = 0; i < 3; i++)
        start_waiting(&waiters[i], pull);
    flow_silence(quiet); /* most likely they wait by then */
    flow_close(quiet);
    flow_close(pull);
    for (int i = 0; i < 3; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_true(waiters[i].result == -WEIR_ECLOSING ||
                    waiters[i].result == -EBADF);
    }
    assert_true(flow_now() - start < FLOW_SOON / 2);
    flow_close(push);
}

static void test_close_ends_waiting(void **state)
{
    (void)state;
    for_each_transport(end_waiting);
}

static void test_context_ends_waiting(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct waiter waiter;
    char url[FLOW_URL];
    int64_t start = flow_now();

    (void)state;
    flow_bind(pull, "tcp", url);
    start_waiting(&waiter, pull);
    flow_fails(weir_context_close(context, FLOW_NOT), EBUSY);
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.result, -WEIR_ECLOSING);
    assert_true(flow_now() - start < FLOW_SOON / 2);
    flow_close(pull);
    flow_end(context);
}

/* ---- events ---- */

static void watch_events(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_event event;
    char url[FLOW_URL];

    flow_bind(pull, transport, url);
    event = flow_event(pull, WEIR_EVENT_LISTENING);
    assert_string_equal(event.endpoint, url);
    assert_int_equal(event.missed, 0);
    assert_true(event.time_ns > 0);
    flow_ok(weir_connect(push, url, NULL));
    event = flow_event(push, WEIR_EVENT_CONNECTED);
    assert_string_equal(event.endpoint, url);
    event = flow_event(pull, WEIR_EVENT_CONNECTED);
    assert_true(event.peer_id > 0);
    flow_say(push, "x");
    flow_hear(pull, "x");
    flow_close(push);
    assert_int_equal(flow_event(pull, WEIR_EVENT_DISCONNECTED).peer_id,
                     event.peer_id);
    flow_close(pull);
}

static void test_events(void **state)
{
    (void)state;
    for_each_transport(watch_events);
}

/* A ring that nobody reads overwrites its oldest and says how many. */
static void test_events_missed(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_event event = {.size = sizeof(event)};
    uint64_t missed = 0, seen = 0;
    char url[FLOW_URL];

    (void)state;
    flow_ok(weir_set(pull, "events", "4"));
    for (int i = 0; i < 10; i++)
        flow_ok(weir_endpoint_close(flow_bind(pull, "tcp", url), 0, NULL));
    while (weir_next_event(pull, &event, WEIR_NOWAIT) >= 0) {
        missed += event.missed;
        seen++;
    }
    assert_in_range(seen, 1, 4);
    assert_int_equal(seen + missed, 20);
    event.size = 3;
    flow_fails(weir_next_event(pull, &event, WEIR_NOWAIT), EINVAL);
    flow_close(pull);
    flow_end(context);
}

/* A struct of a caller that knows more members than this library. */
static union {
    uint32_t size;
    weir_event event;
    weir_stats stats;
    weir_option_info option;
    unsigned char octets[2048];
} later;

static void begin_later(void)
{
    memset(&later, 0xaa, sizeof later);
    later.size = sizeof later;
}

static void end_later(size_t known)
{
    assert_int_equal(later.size, sizeof later);
    for (size_t i = known; i < sizeof later; i++)
        assert_int_equal(later.octets[i], 0);
}

static void test_later_structs(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char url[FLOW_URL];

    (void)state;
    flow_bind(pull, "tcp", url);
    begin_later();
    flow_ok(weir_next_event(pull, &later.event, WEIR_NOWAIT));
    end_later(sizeof(weir_event));
    begin_later();
    flow_ok(weir_socket_stats(pull, &later.stats));
    end_later(sizeof(weir_stats));
    begin_later();
    flow_ok(weir_option_at(NULL, 0, &later.option));
    end_later(sizeof(weir_option_info));
    flow_fails(weir_next_event(pull, NULL, WEIR_NOWAIT), EINVAL);
    flow_fails(weir_option_at(NULL, 0, NULL), EINVAL);
    flow_close(pull);
    flow_end(context);
}

/* Connect to nobody: the pauses begin with `least` and double up to `most`. */
static void retry(const char *first, uint64_t least, uint64_t most)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_event event;
    char url[FLOW_URL];

    flow_url("tcp", url);
    flow_ok(weir_set(push, "reconnect", first));
    flow_ok(weir_set_int(push, "reconnect-max", (int64_t)most));
    flow_ok(weir_connect(push, url, NULL));
    for (int i = 0; i < 5; i++) {
        event = flow_event(push, WEIR_EVENT_RETRY);
        assert_int_equal(event.code, ECONNREFUSED);
        assert_true(strlen(event.reason) > 0);
        assert_in_range(event.value, least, 2 * least);
        least = least * 2 > most ? most : least * 2;
    }
    assert_int_equal(flow_stats(push).last_error, ECONNREFUSED);
    flow_close(push);
    flow_end(context);
}

/* An attempt that fails says when the next one is. */
static void test_retries(void **state)
{
    (void)state;
    retry("20ms", 20, 80);
    retry("0", 1, 8); /* not at once, again and again */
}

/* Ways to wait until what was sent has left. */
enum leaving { FLUSH, CLOSE, DISCONNECT };

struct leaver {
    enum leaving how;
    weir_socket push;
    weir_endpoint endpoint;
    int result;
};

static void *leave(void *arg)
{
    struct leaver *leaver = arg;

    if (leaver->how == FLUSH)
        leaver->result = weir_flush(leaver->push, FLOW_SOON);
    else if (leaver->how == CLOSE)
        leaver->result = weir_close(leaver->push, FLOW_SOON, NULL);
    else
        leaver->result = weir_endpoint_close(leaver->endpoint, FLOW_SOON, NULL);
    return NULL;
}

/* The first attempt fails, also where nobody makes one unless he is called. */
static void await_retry(weir_socket push)
{
    weir_event event = {.size = sizeof(event)};
    int64_t end = flow_now() + FLOW_SOON;

    while (weir_next_event(push, &event, WEIR_NOWAIT) < 0 ||
           event.kind != WEIR_EVENT_RETRY) {
        assert_true(flow_now() < end);
        (void)weir_wait_peers(push, 1, 10);
    }
    assert_in_range(event.value, 60000, 120000);
}

/* The next attempt would be a minute later, and those after it. */
static void hurry(enum leaving how, int io_threads)
{
    weir_context context = flow_context(io_threads), other = flow_context(1);
    struct leaver leaver = {how, flow_open(context, WEIR_PUSH), {0}, 0};
    weir_socket pull;
    pthread_t thread;
    char url[FLOW_URL];

    flow_url("tcp", url);
    flow_ok(weir_set(leaver.push, "reconnect", "1min"));
    flow_ok(weir_connect(leaver.push, url, &leaver.endpoint));
    await_retry(leaver.push);
    flow_send_number(leaver.push, 7);
    assert_int_equal(pthread_create(&thread, NULL, leave, &leaver), 0);
    for (int i = 0; how == FLUSH && i < 2; i++)
        assert_in_range(flow_event(leaver.push, WEIR_EVENT_RETRY).value, 1,
                        200);
    pull = open_server(other, WEIR_PULL, url);
    assert_int_equal(flow_recv_number(pull), 7);
    assert_int_equal(pthread_join(thread, NULL), 0);
    flow_ok(leaver.result);
    if (how != CLOSE)
        flow_close(leaver.push);
    flow_close(pull);
    flow_end(context);
    flow_end(other);
}

/* Whoever waits for a connection that is not there does not do so for as long
 * as nobody has waited. */
static void test_hurry(void **state)
{
    (void)state;
    for (int io_threads = 0; io_threads < 2; io_threads++) {
        hurry(FLUSH, io_threads);
        hurry(CLOSE, io_threads);
        hurry(DISCONNECT, io_threads);
    }
}

/* But who was refused for good does not come again and again. */
static void test_no_hurry(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH), other;
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    other = open_server(context, WEIR_PUSH, url);
    flow_ok(weir_set(push, "reconnect", "1ms"));
    flow_ok(weir_connect(push, url, NULL));
    assert_in_range(flow_event(push, WEIR_EVENT_RETRY).value, 5000, 10000);
    flow_send_number(push, 7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(weir_flush(push, 400), -EAGAIN);
    assert_int_equal(flow_stats(push).refused, 1);
    flow_drop(push);
    flow_close(other);
    flow_end(context);
}

/* Attempts while somebody waits do not make the pauses longer that follow. */
static void test_pause_after_hurry(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    flow_ok(weir_set(push, "reconnect", "1s"));
    flow_ok(weir_set(push, "reconnect-max", "1min"));
    flow_ok(weir_connect(push, url, NULL));
    assert_in_range(flow_event(push, WEIR_EVENT_RETRY).value, 1000, 2000);
    flow_send_number(push, 7);
    assert_int_equal(weir_flush(push, 900), -EAGAIN);
    for (uint64_t pause = 0; pause <= 200;) {
        pause = flow_event(push, WEIR_EVENT_RETRY).value;
        assert_true(pause <= 200 || (pause >= 2000 && pause <= 4000));
    }
    flow_drop(push);
    flow_end(context);
}

/* ---- many endpoints ---- */

static int64_t processor_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* The processor's time that it takes to close a socket with n connects. */
static int64_t close_many(weir_context context, int n)
{
    weir_socket socket = flow_open(context, WEIR_DEALER);
    int64_t start;

    for (int i = 0; i < n; i++) {
        char url[FLOW_URL];

        flow_url("inproc", url);
        flow_ok(weir_connect(socket, url, NULL));
    }
    start = processor_us();
    flow_close(socket);
    return processor_us() - start;
}

/* Closing eight times as many takes eight times as long, not 64 times. */
static void test_close_many(void **state)
{
    weir_context context = flow_context(1);
    int64_t few, many;

    (void)state;
    (void)close_many(context, 1000); /* memory is got */
    few = close_many(context, 1000);
    many = close_many(context, 8000);
    assert_true(many < 24 * few + 20000);
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_joiner),
        cmocka_unit_test(test_wait_peers),
        cmocka_unit_test(test_server_returns),
        cmocka_unit_test(test_queue_meanwhile),
        cmocka_unit_test(test_publisher_returns),
        cmocka_unit_test(test_close_flushes),
        cmocka_unit_test(test_close_gives_up),
        cmocka_unit_test(test_close_against_slow),
        cmocka_unit_test(test_unbind),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_read_the_rest),
        cmocka_unit_test(test_bind_twice),
        cmocka_unit_test(test_closed_handles),
        cmocka_unit_test(test_context_names_sockets),
        cmocka_unit_test(test_close_ends_waiting),
        cmocka_unit_test(test_context_ends_waiting),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_missed),
        cmocka_unit_test(test_later_structs),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_hurry),
        cmocka_unit_test(test_no_hurry),
        cmocka_unit_test(test_pause_after_hurry),
        cmocka_unit_test(test_close_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
