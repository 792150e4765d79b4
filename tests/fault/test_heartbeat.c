/*
 * test_heartbeat.c - a raw peer plays ZMTP: who is asked whether it lives, who
 * is cut off, and who is only slow.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage {
    weir_context context;
    weir_socket socket;
    char url[SOCKET_URL];
    int fd; /* the raw peer */
};

struct setting {
    const char *name, *value;
};

static struct stage set_stage(const char *pattern, const char *peer, int minor,
                              const struct setting *settings)
{
    struct stage stage = {.context = new_context(1)};

    stage.socket = new_socket(stage.context, pattern);
    for (; settings && settings->name; settings++)
        set_option(stage.socket, settings->name, settings->value);
    bind_to(stage.socket, "tcp://127.0.0.1:*", stage.url);
    stage.fd = raw_connect(stage.url);
    raw_handshake(stage.fd, minor, peer);
    wait_peers(stage.socket, 1);
    return stage;
}

static void clear_stage(struct stage *stage)
{
    close(stage->fd);
    close_socket(stage->socket);
    close_context(stage->context);
}

static bool is_command(const uint8_t *body, int size, const char *name)
{
    return size > (int)strlen(name) && body[0] == strlen(name) &&
           memcmp(body + 1, name, strlen(name)) == 0;
}

static bool got_ping(int fd, int ms)
{
    uint8_t flags, body[64];
    int n = raw_frame(fd, &flags, body, sizeof(body), ms);

    return n > 0 && flags == RAW_COMMAND && is_command(body, n, "PING");
}

static void pong(int fd)
{
    raw_send(fd, RAW_COMMAND, "\4PONG", 5);
}

/* ---- what the peer asks ---- */

static void pings_are_answered_in_order(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, NULL);
    uint8_t ping[] = "\4PING\0\0context ?", body[64], flags;

    (void)state;
    for (char c = 'a'; c <= 'z'; c++) {
        ping[sizeof(ping) - 2] = (uint8_t)c;
        raw_send(stage.fd, RAW_COMMAND, ping, sizeof(ping) - 1);
        raw_send(stage.fd, 0, "between", 7);
    }
    for (char c = 'a'; c <= 'z'; c++) {
        int n = raw_frame(stage.fd, &flags, body, sizeof(body), SOON);

        assert_int_equal(n, 14);
        assert_int_equal(flags, RAW_COMMAND);
        assert_memory_equal(body, "\4PONGcontext ", 13);
        assert_int_equal(body[13], c);
    }
    AWAIT(stage.socket, decoded, 26);
    clear_stage(&stage);
}

static void ttl_closes_a_silent_peer(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, NULL);
    int64_t start = now_ms(), took;
    weir_event event;

    (void)state;
    raw_send(stage.fd, RAW_COMMAND, "\4PING\0\3", 7);
    assert_true(raw_closed(stage.fd, SOON));
    took = now_ms() - start;
    assert_true(took >= 250);
    assert_true(
        await_event(stage.socket, WEIR_EVENT_DISCONNECTED, &event, SOON));
    assert_int_equal(event.code, ETIMEDOUT);
    clear_stage(&stage);
}

static void traffic_prevents_that(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, NULL);

    (void)state;
    raw_send(stage.fd, RAW_COMMAND, "\4PING\0\12", 7);
    for (int i = 0; i < 20; i++) {
        sleep_ms(100);
        raw_send(stage.fd, 0, "here", 4);
    }
    AWAIT(stage.socket, decoded, 20);
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    clear_stage(&stage);
}

/* All of it comes with one read. */
static void what_comes_with_it_prevents_that(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, NULL);

    (void)state;
    raw_write(stage.fd, "\4\7\4PING\0\3\0\4here", 15);
    AWAIT(stage.socket, decoded, 1);
    assert_false(raw_closed(stage.fd, 1000));
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    raw_write(stage.fd, "\0\4here\4\7\4PING\0\3", 15);
    assert_true(raw_closed(stage.fd, SOON));
    clear_stage(&stage);
}

/* ---- what we ask ---- */

static const struct setting quick[] = {{"heartbeat", "100"}, {NULL, NULL}};
static const struct setting strict[] = {
    {"heartbeat", "100"}, {"heartbeat-strict", "yes"}, {NULL, NULL}};
static const struct setting with_ttl[] = {
    {"heartbeat", "100"}, {"heartbeat-ttl", "1500"}, {NULL, NULL}};

static void an_answer_keeps_it(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, strict);

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(got_ping(stage.fd, SOON));
        pong(stage.fd);
    }
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    clear_stage(&stage);
}

static void ping_tells_the_ttl(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, with_ttl);
    uint8_t flags, body[64];

    (void)state;
    assert_int_equal(raw_frame(stage.fd, &flags, body, sizeof(body), SOON), 7);
    assert_memory_equal(body, "\4PING\0\17", 7);
    clear_stage(&stage);
}

static void strict_cuts_who_does_not_answer(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, strict);
    int64_t start = now_ms();
    weir_event event;

    (void)state;
    assert_true(
        await_event(stage.socket, WEIR_EVENT_DISCONNECTED, &event, SOON));
    assert_int_equal(event.code, ETIMEDOUT);
    assert_true(now_ms() - start >= 150);
    assert_true(raw_closed(stage.fd, SOON));
    clear_stage(&stage);
}

static void else_it_is_stalled_and_resumes(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 1, quick);

    (void)state;
    assert_true(await_event(stage.socket, WEIR_EVENT_PEER_STALLED, NULL, SOON));
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    assert_true(got_ping(stage.fd, SOON));
    pong(stage.fd);
    assert_true(await_event(stage.socket, WEIR_EVENT_PEER_RESUMED, NULL, SOON));
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    clear_stage(&stage);
}

/* Its window is closed: octets wait at our end, but its system is there. */
static void a_full_reader_is_not_cut(void **state)
{
    struct stage stage = set_stage("PUSH", "PULL", 1, quick);
    static char data[65536];
    int sent = 0, rounds = full() ? 600 : 20;

    (void)state;
    while (weir_send(stage.socket, data, sizeof(data), 300) == 0)
        sent++;
    assert_true(sent > 0);
    for (int i = 0; i < rounds; i++) {
        sleep_ms(100);
        assert_int_equal(stats_of(stage.socket).disconnects, 0);
    }
    clear_stage(&stage);
}

/* Our own reader sleeps at its mark: the peer is silent since we do not hear
 * it. */
static void a_reader_at_its_mark_is_not_cut(const char *where)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    int rounds = full() ? 600 : 20, sent = 0;
    static char data[65536];
    char url[SOCKET_URL];
    size_t size = sizeof(data);

    set_option(pull, "recv-mark", "2");
    set_option(pull, "heartbeat", "100");
    set_option(push, "heartbeat", "100");
    bind_to(pull, where, url);
    connect_to(push, url);
    wait_peers(push, 1);
    while (weir_send(push, data, sizeof(data), 300) == 0)
        sent++;
    for (int i = 0; i < rounds; i++) {
        sleep_ms(100);
        assert_int_equal(stats_of(push).disconnects, 0);
        assert_int_equal(stats_of(pull).disconnects, 0);
    }
    for (; sent > 0; sent--, size = sizeof(data))
        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

static void a_reader_at_its_mark_on_tcp(void **state)
{
    (void)state;
    a_reader_at_its_mark_is_not_cut("tcp://127.0.0.1:*");
}

static void a_reader_at_its_mark_on_ipc(void **state)
{
    (void)state;
    a_reader_at_its_mark_is_not_cut("ipc://*");
}

/* It cannot hear a peer that is strict, and whose questions are behind what it
 * does not read; its own heartbeats are far apart. */
static void a_strict_peer_hears_of_it(const char *where)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    int rounds = full() ? 600 : 20, sent = 0;
    static char data[65536];
    char url[SOCKET_URL];
    size_t size = sizeof(data);

    set_option(pull, "recv-mark", "2");
    set_option(push, "heartbeat", "500");
    set_option(push, "heartbeat-strict", "yes");
    bind_to(pull, where, url);
    connect_to(push, url);
    wait_peers(push, 1);
    sleep_ms(3500); /* it is asked a few times */
    while (weir_send(push, data, sizeof(data), 300) == 0)
        sent++;
    for (int i = 0; i < rounds; i++) {
        sleep_ms(100);
        assert_int_equal(stats_of(push).disconnects, 0);
        assert_int_equal(stats_of(pull).disconnects, 0);
    }
    for (; sent > 0; sent--, size = sizeof(data))
        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

static void a_strict_peer_hears_of_it_on_tcp(void **state)
{
    (void)state;
    a_strict_peer_hears_of_it("tcp://127.0.0.1:*");
}

static void a_strict_peer_hears_of_it_on_ipc(void **state)
{
    (void)state;
    a_strict_peer_hears_of_it("ipc://*");
}

static void no_ping_to_old_peers(void **state)
{
    struct stage stage = set_stage("PULL", "PUSH", 0, strict);
    uint8_t flags;

    (void)state;
    assert_int_equal(raw_frame(stage.fd, &flags, NULL, 0, 600), -1);
    assert_int_equal(stats_of(stage.socket).disconnects, 0);
    clear_stage(&stage);
}

static void no_ping_before_the_handshake(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    uint8_t greeting[GREETING], theirs[GREETING], ready[64], flags, body[64];
    char url[SOCKET_URL];
    int fd, n;

    (void)state;
    set_option(pull, "heartbeat", "50");
    bind_to(pull, "tcp://127.0.0.1:*", url);
    fd = raw_connect(url);
    make_greeting(greeting, 1, "NULL", false);
    raw_write(fd, greeting, sizeof(greeting));
    assert_true(raw_read(fd, theirs, sizeof(theirs), SOON));
    n = raw_frame(fd, &flags, body, sizeof(body), 400);
    assert_true(n < 0 || is_command(body, n, "READY"));
    if (n > 0)
        assert_int_equal(raw_frame(fd, &flags, body, sizeof(body), 300), -1);
    raw_write(fd, ready, make_ready(ready, "PUSH"));
    wait_peers(pull, 1);
    close(fd);
    close_socket(pull);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_are_answered_in_order),
        cmocka_unit_test(ttl_closes_a_silent_peer),
        cmocka_unit_test(traffic_prevents_that),
        cmocka_unit_test(what_comes_with_it_prevents_that),
        cmocka_unit_test(an_answer_keeps_it),
        cmocka_unit_test(ping_tells_the_ttl),
        cmocka_unit_test(strict_cuts_who_does_not_answer),
        cmocka_unit_test(else_it_is_stalled_and_resumes),
        cmocka_unit_test(a_full_reader_is_not_cut),
        cmocka_unit_test(a_reader_at_its_mark_on_tcp),
        cmocka_unit_test(a_reader_at_its_mark_on_ipc),
        cmocka_unit_test(a_strict_peer_hears_of_it_on_tcp),
        cmocka_unit_test(a_strict_peer_hears_of_it_on_ipc),
        cmocka_unit_test(no_ping_to_old_peers),
        cmocka_unit_test(no_ping_before_the_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
