/*
 * test_ends.c - the end of a connection, whoever ends it: one event with its
 * reason and its numbers, and every message of it in some count.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SENT = 3, QUIET = 100, BIG = 100000, HEAD = 9, LARGE = 4 << 20 };

static const char *const places[] = {"tcp://127.0.0.1:*", "ipc://*",
                                     "inproc://ends"};

static bool is_inproc(const char *url)
{
    return strncmp(url, "inproc", 6) == 0;
}

/* Two sockets, and the endpoint of each. */
struct two {
    weir_context context;
    weir_socket near, far; /* near binds */
    weir_endpoint bound, connected;
    char url[SOCKET_URL];
};

static struct two join(const char *near, const char *far, const char *place)
{
    struct two two = {.context = new_context(1)};

    two.near = new_socket(two.context, near);
    two.far = new_socket(two.context, far);
    set_option(two.far, "reconnect", "-1");
    if (is_inproc(place)) {
        snprintf(two.url, sizeof(two.url), "%s", place);
        assert_int_equal(weir_bind(two.near, place, &two.bound), 0);
    } else {
        two.bound = bind_to(two.near, place, two.url);
    }
    two.connected = connect_to(two.far, two.url);
    wait_peers(two.near, 1);
    wait_peers(two.far, 1);
    return two;
}

static void part(struct two *two)
{
    close_socket(two->far);
    close_socket(two->near);
    close_context(two->context);
}

static void say(weir_socket socket, const char *text)
{
    assert_int_equal(weir_send(socket, text, strlen(text), SOON), 0);
}

static void hear(weir_socket socket, const char *text)
{
    char data[16];
    size_t size = sizeof(data);

    assert_int_equal(weir_recv(socket, data, &size, SOON), 0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}

/* ---- events ---- */

/* There was one peer, it became ready and it went: once, as the counters say
 * as well. */
static weir_event only_parting(weir_socket socket)
{
    weir_event up, down, more = {.size = sizeof(more)};
    weir_stats stats;

    assert_true(await_event(socket, WEIR_EVENT_CONNECTED, &up, SOON));
    assert_true(await_event(socket, WEIR_EVENT_DISCONNECTED, &down, SOON));
    assert_int_equal(up.peer_id, down.peer_id);
    assert_string_equal(up.peer, down.peer);
    assert_true(down.reason[0] != '\0');
    while (weir_next_event(socket, &more, QUIET) == 0) {
        assert_int_not_equal(more.kind, WEIR_EVENT_CONNECTED);
        assert_int_not_equal(more.kind, WEIR_EVENT_DISCONNECTED);
    }
    stats = stats_of(socket);
    assert_true(adds_up(&stats));
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.disconnects, 1);
    assert_int_equal(stats.unconfirmed, down.value);
    return down;
}

/* `here` closes its endpoint, having sent SENT messages. */
static void part_by(weir_socket here, weir_socket there, weir_endpoint endpoint,
                    const char *place)
{
    weir_event event;

    for (int i = 0; i < SENT; i++)
        say(here, "message");
    for (int i = 0; i < SENT; i++)
        hear(there, "message");
    assert_int_equal(weir_endpoint_close(endpoint, SOON, NULL), 0);
    event = only_parting(here);
    assert_int_equal(event.code, 0);
    assert_int_equal(event.value, is_inproc(place) ? 0 : SENT);
    event = only_parting(there);
    assert_int_equal(event.code, ECONNRESET);
    assert_int_equal(event.value, 0);
}

static void endpoints_say_goodbye(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct two two = join("PAIR", "PAIR", places[i / 2]);

        if (i % 2)
            part_by(two.near, two.far, two.bound, places[i / 2]);
        else
            part_by(two.far, two.near, two.connected, places[i / 2]);
        part(&two);
    }
}

/* A socket that closes: its peer learns of it, once. */
static void sockets_say_goodbye(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct two two = join("PAIR", "PAIR", places[i]);
        weir_event event;

        say(two.near, "message");
        hear(two.far, "message");
        close_socket(two.far);
        event = only_parting(two.near);
        assert_int_equal(event.code, ECONNRESET);
        assert_int_equal(event.value, is_inproc(places[i]) ? 0 : 1);
        close_socket(two.near);
        close_context(two.context);
    }
}

/* Whoever has heard that a peer is gone finds it gone. */
static void gone_when_told(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct two two = join("REP", "REQ", places[i]);
        weir_event event;
        weir_stats stats;

        say(two.far, "question");
        hear(two.near, "question");
        close_socket(two.far);
        assert_true(
            await_event(two.near, WEIR_EVENT_DISCONNECTED, &event, SOON));
        say(two.near, "answer");
        stats = stats_of(two.near);
        assert_true(adds_up(&stats));
        assert_int_equal(stats.send_dropped[WEIR_DROP_NO_ROUTE], 1);
        assert_int_equal(stats.send_dropped[WEIR_DROP_CLOSED], 0);
        assert_int_equal(stats.send_queued, 0);
        close_socket(two.near);
        close_context(two.context);
    }
}

/* ---- what was to be sent ---- */

/* Send until a peer that does not read lets nothing more through. */
static void choke(weir_socket socket)
{
    char *data = test_calloc(1, BIG);

    while (weir_send(socket, data, BIG, 200) == 0)
        ;
    test_free(data);
}

/* An endpoint whose peer has left something to read: what waits to be sent is
 * given up, is said, and does not wait for the reader. */
static void unsent_beside_unread(void **state)
{
    weir_context context = new_context(1);
    weir_socket pair = new_socket(context, "PAIR");
    uint64_t unsent = 0, queued;
    weir_endpoint endpoint;
    weir_stats stats;
    char url[SOCKET_URL];
    int fd;

    (void)state;
    set_option(pair, "send-mark", "20");
    endpoint = bind_to(pair, "tcp://127.0.0.1:*", url);
    fd = raw_connect(url);
    raw_handshake(fd, 1, "PAIR");
    wait_peers(pair, 1);
    raw_send(fd, 0, "unread", 6);
    AWAIT(pair, recv_queued, 1);
    choke(pair);
    queued = stats_of(pair).send_queued;
    assert_true(queued > 1);
    assert_int_equal(weir_endpoint_close(endpoint, 0, &unsent), -EAGAIN);
    stats = stats_of(pair);
    assert_true(adds_up(&stats));
    assert_int_equal(stats.send_queued, 0);
    assert_int_equal(stats.send_dropped[WEIR_DROP_CLOSED], unsent);
    assert_int_equal(unsent + stats.send_dropped[WEIR_DROP_CUT], queued);
    hear(pair, "unread");
    assert_int_equal(stats_of(pair).send_dropped[WEIR_DROP_CLOSED], unsent);
    close(fd);
    close_socket(pair);
    close_context(context);
}

/* What was lost with connections before is not given up by the close. */
static void unsent_of_now(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    uint64_t unsent = 77;
    weir_endpoint endpoint;
    char url[SOCKET_URL];
    int fd;

    (void)state;
    set_option(push, "send-mark", "20");
    endpoint = bind_to(push, "tcp://127.0.0.1:*", url);
    fd = raw_connect(url);
    raw_handshake(fd, 1, "PULL");
    wait_peers(push, 1);
    choke(push);
    raw_reset(fd);
    AWAIT(push, disconnects, 1);
    assert_true(stats_of(push).send_dropped[WEIR_DROP_CLOSED] > 0);
    assert_int_equal(weir_endpoint_close(endpoint, SOON, &unsent), 0);
    assert_int_equal(unsent, 0);
    close_socket(push);
    close_context(context);
}

/* An endpoint that waits to connect again, with something unread: once it is
 * closed nothing more is accepted for it. */
static void nothing_for_the_closed(const char *type, const char *peer)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, type);
    weir_endpoint endpoint;
    char url[SOCKET_URL];
    int listener = raw_listen(url), fd;

    set_option(socket, "reconnect", "3600s");
    set_option(socket, "reconnect-max", "3600s");
    endpoint = connect_to(socket, url);
    fd = raw_accept(listener);
    raw_handshake(fd, 1, peer);
    wait_peers(socket, 1);
    raw_send(fd, 0, "unread", 6);
    AWAIT(socket, recv_queued, 1);
    raw_reset(fd);
    AWAIT(socket, disconnects, 1);
    assert_int_equal(weir_endpoint_close(endpoint, 0, NULL), 0);
    assert_int_equal(weir_send(socket, "lost", 4, 0), -EAGAIN);
    hear(socket, "unread");
    assert_int_equal(weir_send(socket, "lost", 4, 0), -EAGAIN);
    close(listener);
    close_socket(socket);
    close_context(context);
}

static void nothing_for_closed_dealers(void **state)
{
    (void)state;
    nothing_for_the_closed("DEALER", "DEALER");
}

static void nothing_for_closed_pairs(void **state)
{
    (void)state;
    nothing_for_the_closed("PAIR", "PAIR");
}

/* ---- what was received ---- */

/* A message that did not fit is not delivered until it is. */
static void held_is_queued(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct two two = join("PULL", "PUSH", places[i]);
        weir_stats stats;
        char data[4];
        size_t size = sizeof(data);

        say(two.far, "too long");
        assert_int_equal(weir_recv(two.near, data, &size, SOON), -EMSGSIZE);
        stats = stats_of(two.near);
        assert_true(adds_up(&stats));
        assert_int_equal(stats.delivered, 0);
        assert_int_equal(stats.recv_queued, 1);
        assert_true(stats.recv_queued_bytes >= 8);
        close_socket(two.far);
        AWAIT(two.near, disconnects, 1);
        assert_int_equal(stats_of(two.near).recv_queued, 1);
        if (i == 0) {
            hear(two.near, "too long");
            assert_int_equal(stats_of(two.near).delivered, 1);
            assert_int_equal(stats_of(two.near).recv_queued, 0);
        }
        close_socket(two.near);
        close_context(two.context);
    }
}

/* A notice was never decoded: it is in no count, held or not. */
static void held_notice(void **state)
{
    weir_context context = new_context(1);
    weir_socket router = new_socket(context, "ROUTER");
    weir_socket dealer = new_socket(context, "DEALER");
    weir_message message;
    weir_stats stats;
    char url[SOCKET_URL];
    size_t size = 0;

    (void)state;
    set_option(router, "notify", "connect");
    bind_to(router, "tcp://127.0.0.1:*", url);
    connect_to(dealer, url);
    assert_int_equal(weir_recv(router, NULL, &size, SOON), -EMSGSIZE);
    stats = stats_of(router);
    assert_true(adds_up(&stats));
    assert_int_equal(stats.delivered, 0);
    assert_int_equal(stats.recv_queued, 0);
    weir_message_init(&message);
    assert_int_equal(weir_recv_message(router, &message, SOON), 0);
    assert_int_equal(weir_message_count(&message), 2);
    weir_message_fini(&message);
    close_socket(dealer);
    close_socket(router);
    close_context(context);
}

/* ---- half written ---- */

struct reader {
    int fd;
    uint8_t *data;
    bool whole;
};

static void *read_all(void *arg)
{
    struct reader *reader = arg;

    reader->whole = raw_read(reader->fd, reader->data, HEAD + LARGE, SOON);
    return NULL;
}

/* The kernel has no room for all of a message whose place the next one would
 * take: who flushes or closes waits for the rest of it. */
static void latest_goes_whole(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    struct reader reader = {.data = calloc(1, HEAD + LARGE)};
    char url[SOCKET_URL];
    uint64_t unsent = 1;
    pthread_t thread;

    (void)state;
    assert_non_null(reader.data);
    set_option(push, "send-policy", "latest");
    bind_to(push, "ipc://*", url);
    reader.fd = raw_connect(url);
    raw_handshake(reader.fd, 1, "PULL");
    wait_peers(push, 1);
    assert_int_equal(weir_send(push, reader.data, LARGE, SOON), 0);
    assert_int_equal(weir_flush(push, QUIET), -EAGAIN);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_int_equal(weir_close(push, SOON, &unsent), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.whole);
    assert_int_equal(unsent, 0);
    close(reader.fd);
    free(reader.data);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_say_goodbye),
        cmocka_unit_test(sockets_say_goodbye),
        cmocka_unit_test(gone_when_told),
        cmocka_unit_test(unsent_beside_unread),
        cmocka_unit_test(unsent_of_now),
        cmocka_unit_test(nothing_for_closed_dealers),
        cmocka_unit_test(nothing_for_closed_pairs),
        cmocka_unit_test(held_is_queued),
        cmocka_unit_test(held_notice),
        cmocka_unit_test(latest_goes_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
