/*
 * test_wire.c - greeting, frames, commands, losses and reconnects as a raw
 * peer sees them.  The numbers are those of tests/CONFORMANCE.
 */
#include "config.h"

#include "tests/wire/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- greeting ---- */

/* Each piece is an own segment. */
static void in_pieces(int fd, const uint8_t *data, size_t size, size_t piece)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (size_t at = 0; at < size; at += piece)
        raw_write(fd, data + at, size - at < piece ? size - at : piece);
}

/* What weir sends, step by step, for what the peer has said so far. */
static void check_steps(int fd)
{
    static const uint8_t signature[] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f};
    static const uint8_t rest[53] = {1, 'N', 'U', 'L', 'L'};
    uint8_t got[GREETING];

    assert_true(raw_read(fd, got, 10, SOON));
    assert_memory_equal(got, signature, 10);
    wire_quiet(fd);
    raw_write(fd, signature, 9);
    wire_quiet(fd);
    raw_write(fd, signature + 9, 1);
    assert_true(raw_read(fd, got, 1, SOON));
    assert_int_equal(got[0], 3);
    wire_quiet(fd);
    raw_write(fd, "\3", 1);
    assert_true(raw_read(fd, got, sizeof(rest), SOON));
    assert_memory_equal(got, rest, sizeof(rest));
}

static void line_01_connecting_side_greets_in_steps(void **state)
{
    struct wire wire = wire_raw("PUSH");
    int fd;

    (void)state;
    wire_dial(&wire);
    fd = raw_accept(wire.listener);
    check_steps(fd);
    close(fd);
    wire_end(&wire);
}

static void line_02_accepting_side_greets_in_steps(void **state)
{
    struct wire wire = wire_bind("PULL");
    int fd = raw_connect(wire.url);

    (void)state;
    check_steps(fd);
    close(fd);
    wire_end(&wire);
}

static void line_05_06_any_segments(void **state)
{
    static const size_t pieces[] = {1, 7, 10, 11, 64, 65, 1000};
    uint8_t all[GREETING + 64 + 8];
    size_t size = wire_hello(all, 1, "PUSH", NULL, 0);

    (void)state;
    memcpy(all + size, "\1\1a\0\1b", 6);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct wire wire = wire_bind("PULL");
        int fd = raw_connect(wire.url);

        in_pieces(fd, all, size + 6, pieces[i]);
        wire_hear(&wire, "a|b");
        close(fd);
        wire_end(&wire);
    }
}

/* Neither side's READY waits for the other's, nor do messages behind it. */
static void line_48_ready_does_not_wait(void **state)
{
    struct wire wire = wire_bind("PULL");
    uint8_t greeting[GREETING], theirs[GREETING], ready[64];
    int fd = raw_connect(wire.url);

    (void)state;
    make_greeting(greeting, 1, "NULL", false);
    raw_write(fd, greeting, sizeof(greeting));
    assert_true(raw_read(fd, theirs, sizeof(theirs), SOON));
    wire_get(fd, "!READY:\13Socket-Type~~~\4PULL");
    raw_write(fd, ready, make_ready(ready, "PUSH"));
    wire_put(fd, "here");
    wire_hear(&wire, "here");
    close(fd);
    wire_end(&wire);
}

/* ---- frames ---- */

static void line_21_limit(void **state)
{
    struct wire wire = wire_bind("PULL");
    char text[102];
    int fd;

    (void)state;
    close_socket(wire.socket);
    wire.socket = new_socket(wire.context, "PULL");
    set_option(wire.socket, "max-message", "100");
    bind_to(wire.socket, "tcp://127.0.0.1:*", wire.url);
    fd = wire_call(&wire, 1, "PUSH");
    memset(text, 'x', 100);
    text[100] = '\0';
    wire_put(fd, text);
    wire_hear(&wire, text);
    raw_write(fd, "\0\145", 2); /* 101, and nothing of it */
    assert_true(raw_closed(fd, SOON));
    assert_int_equal(wire_event(&wire, WEIR_EVENT_DISCONNECTED).code, EMSGSIZE);
    close(fd);
    wire_end(&wire);
}

static void line_23_large_frame_in_pieces(void **state)
{
    enum { SIZE = 65536 };
    struct wire wire = wire_bind("PULL");
    int fd = wire_call(&wire, 1, "PUSH");
    uint8_t *data = malloc(9 + SIZE), *got = malloc(SIZE);
    size_t size = SIZE;

    (void)state;
    assert_true(data && got);
    memcpy(data, "\2\0\0\0\0\0\1\0\0", 9);
    for (size_t i = 0; i < SIZE; i++)
        data[9 + i] = (uint8_t)(i * 7 + i / 251);
    in_pieces(fd, data, 9 + SIZE, 777);
    assert_int_equal(weir_recv(wire.socket, got, &size, SOON), 0);
    assert_int_equal(size, SIZE);
    assert_memory_equal(got, data + 9, SIZE);
    free(data);
    free(got);
    close(fd);
    wire_end(&wire);
}

/* ---- commands ---- */

static void line_34_35_commands_of_no_use(void **state)
{
    struct wire wire = wire_bind("PULL");
    int fd = wire_call(&wire, 1, "PUSH");

    (void)state;
    wire_put(fd, "!WHATNOT:data");
    raw_send(fd, RAW_COMMAND, "", 0);
    raw_send(fd, RAW_COMMAND, "\377READY", 6);
    raw_send(fd, RAW_COMMAND, "\0", 1);
    wire_put(fd, "!ping:~~");
    wire_put(fd, "!PONG:");
    wire_put(fd, "!READY:\13Socket-Type~~~\3SUB");
    wire_put(fd, "!ERROR:\3no!");
    wire_put(fd, "a|b");
    wire_hear(&wire, "a|b");
    wire_quiet(fd);
    assert_int_equal(stats_of(wire.socket).disconnects, 0);
    close(fd);
    wire_end(&wire);
}

/* As many PINGs as there are, all in one write. */
static void line_77_pings_of_one_segment(void **state)
{
    static const char pings[] = "\4\7\4PING\0\0"
                                "\4\10\4PING\0\0a"
                                "\4\27\4PING\0\0sixteen octets!!"
                                "\0\1m"
                                "\4\30\4PING\0\0seventeen octets!"
                                "\4\10\4PING\0\0z";
    struct wire wire = wire_bind("PULL");
    int fd = wire_call(&wire, 1, "PUSH");

    (void)state;
    raw_write(fd, pings, sizeof(pings) - 1);
    wire_get(fd, "!PONG:");
    wire_get(fd, "!PONG:a");
    wire_get(fd, "!PONG:sixteen octets!!");
    wire_get(fd, "!PONG:seventeen octets");
    wire_get(fd, "!PONG:z");
    wire_hear(&wire, "m");
    wire_quiet(fd);
    close(fd);
    wire_end(&wire);
}

/* A TTL of 300 ms. */
static void line_78_ttl(void **state)
{
    struct wire wire = wire_bind("PULL");
    int fd = wire_call(&wire, 1, "PUSH");
    int64_t start = now_ms();

    (void)state;
    wire_put(fd, "!PING:~\3");
    assert_true(raw_closed(fd, SOON));
    assert_true(now_ms() - start >= 299);
    assert_int_equal(wire_event(&wire, WEIR_EVENT_DISCONNECTED).code,
                     ETIMEDOUT);
    close(fd);
    fd = wire_call(&wire, 1, "PUSH");
    wire_put(fd, "!PING:~\3");
    wire_get(fd, "!PONG:");
    wire_put(fd, "one frame is enough until the next PING");
    assert_false(raw_closed(fd, 700));
    assert_int_equal(stats_of(wire.socket).disconnects, 1);
    close(fd);
    wire_end(&wire);
}

/* Who sends a TTL sends PING in time, also to a peer that is never silent. */
static void line_78_ttl_is_a_promise(void **state)
{
    struct wire wire = wire_raw("PULL");
    struct pollfd peer = {.events = POLLIN};
    int64_t end;
    int pings = 0;

    (void)state;
    set_option(wire.socket, "heartbeat", "100");
    set_option(wire.socket, "heartbeat-ttl", "1500");
    wire_dial(&wire);
    peer.fd = wire_answer(&wire, 1, "PUSH");
    for (end = now_ms() + SOON; pings < 4 && now_ms() < end;) {
        if (poll(&peer, 1, 5) > 0) {
            wire_get(peer.fd, "!PING:~\17");
            pings++;
        }
        wire_put(peer.fd, "!PONG:");
    }
    assert_int_equal(pings, 4);
    close(peer.fd);
    wire_end(&wire);
}

/* Older peers than 3.0 get no PING since they get no connection. */
static void line_83_no_ping(void **state)
{
    struct wire wire = wire_raw("PULL");
    uint8_t hello[GREETING + 64], theirs[GREETING];
    size_t size = wire_hello(hello, 1, "PUSH", NULL, 0);
    struct pollfd peer;
    int fd;

    (void)state;
    set_option(wire.socket, "heartbeat", "20");
    set_option(wire.socket, "heartbeat-strict", "yes");
    wire_dial(&wire);
    fd = raw_accept(wire.listener);
    raw_write(fd, hello, size - 1);
    assert_true(raw_read(fd, theirs, sizeof(theirs), SOON));
    wire_get(fd, "!READY:\13Socket-Type~~~\4PULL");
    peer = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&peer, 1, 200), 0);
    raw_write(fd, hello + size - 1, 1);
    wire_get(fd, "!PING:~~");
    close(fd);
    peer.fd = fd = wire_answer(&wire, 0, "PUSH");
    assert_int_equal(poll(&peer, 1, 200), 0);
    wire_put(fd, "quiet");
    wire_hear(&wire, "quiet");
    close(fd);
    wire_end(&wire);
}

/* A peer that answers no PING but sends messages lives. */
static void line_81_a_message_counts_as_life(void **state)
{
    struct wire wire = wire_raw("PULL");
    int fd;

    (void)state;
    set_option(wire.socket, "heartbeat", "30");
    set_option(wire.socket, "heartbeat-timeout", "5000");
    set_option(wire.socket, "heartbeat-strict", "yes");
    wire_dial(&wire);
    fd = wire_answer(&wire, 1, "PUSH");
    for (int i = 0; i < 5; i++) {
        wire_get(fd, "!PING:~~"); /* the next one comes only if this lives */
        wire_put(fd, "alive");
        wire_hear(&wire, "alive");
    }
    assert_int_equal(stats_of(wire.socket).disconnects, 0);
    close(fd);
    wire_end(&wire);
}

static void line_81_silence_does_not(void **state)
{
    struct wire wire = wire_raw("PULL");
    weir_event event;
    int fd;

    (void)state;
    set_option(wire.socket, "heartbeat", "50");
    set_option(wire.socket, "heartbeat-strict", "yes");
    wire_dial(&wire);
    fd = wire_answer(&wire, 1, "PUSH");
    event = wire_event(&wire, WEIR_EVENT_DISCONNECTED);
    assert_int_equal(event.code, ETIMEDOUT);
    close(fd);
    close(wire_answer(&wire, 1, "PUSH")); /* and it connects again */
    wire_end(&wire);
}

/* The timeout is counted from the PING, and not as long as the silence before
 * it. */
static void heartbeat_timeout(void **state)
{
    struct wire wire = wire_raw("PULL");
    int64_t since;
    int fd;

    (void)state;
    set_option(wire.socket, "heartbeat", "50");
    set_option(wire.socket, "heartbeat-timeout", "700");
    set_option(wire.socket, "heartbeat-strict", "yes");
    wire_dial(&wire);
    fd = wire_answer(&wire, 1, "PUSH");
    wire_get(fd, "!PING:~~");
    since = now_ms();
    (void)wire_event(&wire, WEIR_EVENT_DISCONNECTED);
    assert_in_range(now_ms() - since, 600, SOON);
    close(fd);
    wire_end(&wire);
}

/* Peers of ZMTP 3.0 get PING only from who wants that. */
static void heartbeat_old(void **state)
{
    struct wire wire = wire_raw("PULL");
    int fd;

    (void)state;
    set_option(wire.socket, "heartbeat", "20");
    set_option(wire.socket, "heartbeat-old", "yes");
    wire_dial(&wire);
    fd = wire_answer(&wire, 0, "PUSH");
    wire_get(fd, "!PING:~~");
    close(fd);
    wire_end(&wire);
}

/* ---- losses ---- */

static void line_114_half_a_message(void **state)
{
    struct wire wire = wire_bind("PULL");
    int one = wire_call(&wire, 1, "PUSH"), two = wire_call(&wire, 1, "PUSH");

    (void)state;
    wire_put(one, "a|b");
    AWAIT(wire.socket, decoded, 1);
    raw_send(one, RAW_MORE, "c", 1);
    raw_send(one, RAW_MORE, "d", 1);
    raw_write(one, "\0\5hal", 5);
    raw_reset(one);
    AWAIT(wire.socket, disconnects, 1);
    wire_put(two, "e|f");
    wire_hear(&wire, "a|b");
    wire_hear(&wire, "e|f");
    assert_int_equal(stats_of(wire.socket).decoded, 2);
    close(two);
    wire_end(&wire);
}

/* More than the kernel's buffers hold, so that it is cut for sure. */
static void line_115_cut_message_is_not_resent(void **state)
{
    enum { SIZE = 40 << 20 };
    struct wire wire = wire_raw("PUSH");
    uint8_t *large = calloc(1, SIZE), head[9];
    int fd;

    (void)state;
    assert_non_null(large);
    assert_int_equal(weir_set(wire.socket, "send-mark-bytes", "0"), 0);
    wire_dial(&wire);
    fd = wire_answer(&wire, 1, "PULL");
    assert_int_equal(weir_send(wire.socket, large, SIZE, SOON), 0);
    free(large);
    wire_say(&wire, "next");
    wire_say(&wire, "last|one");
    assert_true(raw_read(fd, head, sizeof(head), SOON));
    assert_memory_equal(head, "\2\0\0\0\0\2\200\0\0", 9);
    raw_reset(fd);
    fd = wire_answer(&wire, 1, "PULL");
    wire_get(fd, "next");
    wire_get(fd, "last|one");
    assert_int_equal(stats_of(wire.socket).send_dropped[WEIR_DROP_CUT], 1);
    close(fd);
    wire_end(&wire);
}

static void *close_slowly(void *arg)
{
    const weir_socket *socket = arg;
    uint64_t unsent = 1;
    int r = weir_close(*socket, SOON, &unsent);

    return (void *)(intptr_t)(r < 0 ? r : (int)unsent);
}

static void line_118_linger(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, "PUSH");
    char url[SOCKET_URL];
    int listener = raw_listen(url), fd;
    pthread_t closer;
    void *result;

    (void)state;
    connect_to(socket, url);
    for (int i = 0; i < 100; i++)
        assert_int_equal(weir_send(socket, "kept", 4, 0), 0);
    assert_int_equal(pthread_create(&closer, NULL, close_slowly, &socket), 0);
    fd = raw_accept(listener);
    raw_handshake(fd, 1, "PULL");
    for (int i = 0; i < 100; i++)
        wire_get(fd, "kept");
    assert_true(raw_closed(fd, SOON));
    pthread_join(closer, &result);
    assert_ptr_equal(result, NULL);
    close(fd);
    close(listener);
    close_context(context);
}

/* ---- again and again ---- */

/* Pauses of a dialer that nobody answers: `from` doubles up to `most`, each
 * is longer by up to its own length, and is kept. */
static void check_pauses(struct wire *wire, uint64_t from, uint64_t most)
{
    uint64_t due = 0;

    for (int i = 0; i < 6; i++) {
        weir_event event = wire_event(wire, WEIR_EVENT_RETRY);

        assert_in_range(event.value, from, 2 * from);
        assert_true(event.time_ns >= due);
        due = event.time_ns + (event.value - 1) * 1000000;
        from = 2 * from > most ? most : 2 * from;
    }
}

static void line_119_pauses_between_attempts(void **state)
{
    struct wire wire = wire_raw("PUSH");

    (void)state;
    close(wire.listener); /* nobody has the port now */
    wire.listener = -1;
    set_option(wire.socket, "reconnect", "20");
    set_option(wire.socket, "reconnect-max", "70");
    wire_dial(&wire);
    check_pauses(&wire, 20, 70);
    wire_end(&wire);
}

static void line_119_pauses_of_one_length(void **state)
{
    struct wire wire = wire_raw("PUSH");

    (void)state;
    close(wire.listener);
    wire.listener = -1;
    set_option(wire.socket, "reconnect", "30");
    set_option(wire.socket, "reconnect-max", "0");
    wire_dial(&wire);
    check_pauses(&wire, 30, 30);
    wire_end(&wire);
}

/* ---- who stalls ---- */

static void line_136_listener_closes_the_slow(void **state)
{
    struct wire wire = {.context = new_context(1), .listener = -1};
    uint8_t hello[GREETING + 64];
    size_t size = wire_hello(hello, 1, "PUSH", NULL, 0);
    const size_t said[] = {0, 1, 10, 11, 40, GREETING, size - 1};
    enum { N = sizeof(said) / sizeof(said[0]) };
    int fd[N], good;
    int64_t start = now_ms();

    (void)state;
    wire.socket = new_socket(wire.context, "PULL");
    set_option(wire.socket, "handshake", "300");
    bind_to(wire.socket, "tcp://127.0.0.1:*", wire.url);
    for (int i = 0; i < N; i++) {
        fd[i] = raw_connect(wire.url);
        raw_write(fd[i], hello, said[i]);
    }
    good = wire_call(&wire, 1, "PUSH");
    for (int i = 0; i < N; i++) {
        assert_true(raw_closed(fd[i], SOON));
        close(fd[i]);
        assert_int_equal(wire_event(&wire, WEIR_EVENT_REFUSED).code, ETIMEDOUT);
    }
    assert_true(now_ms() - start >= 299);
    wire_put(good, "not you");
    wire_hear(&wire, "not you");
    close(good);
    wire_end(&wire);
}

static void line_136_dialer_leaves_the_slow(void **state)
{
    struct wire wire = wire_raw("PUSH");
    uint8_t hello[GREETING + 64];
    size_t size = wire_hello(hello, 1, "PULL", NULL, 0);
    const size_t said[] = {0, 10, GREETING, size - 1};

    (void)state;
    set_option(wire.socket, "handshake", "150");
    set_option(wire.socket, "reconnect-max", "0");
    wire_dial(&wire);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        int fd = raw_accept(wire.listener);

        raw_write(fd, hello, said[i]);
        assert_true(raw_closed(fd, SOON));
        close(fd);
        assert_int_equal(wire_event(&wire, WEIR_EVENT_REFUSED).code, ETIMEDOUT);
    }
    close(wire_answer(&wire, 1, "PULL"));
    wire_end(&wire);
}

/* ---- who is refused, and who is only gone ---- */

static void says_error(int fd)
{
    uint8_t greeting[GREETING];

    make_greeting(greeting, 1, "NULL", false);
    raw_write(fd, greeting, sizeof(greeting));
    wire_put(fd, "!ERROR:\3400");
}

static void other_mechanism(int fd)
{
    uint8_t greeting[GREETING];

    make_greeting(greeting, 1, "CURVE", true);
    raw_write(fd, greeting, sizeof(greeting));
}

static void other_type(int fd)
{
    uint8_t hello[GREETING + 64];

    raw_write(fd, hello, wire_hello(hello, 1, "PUB", NULL, 0));
}

static void oversize_command(int fd)
{
    uint8_t greeting[GREETING];

    make_greeting(greeting, 1, "NULL", false);
    raw_write(fd, greeting, sizeof(greeting));
    raw_write(fd, "\6\0\0\0\0\0\1\0\0", 9);
}

static void oversize_message(int fd)
{
    raw_handshake(fd, 1, "DEALER");
    raw_write(fd, "\2\0\0\0\0\0\1\0\0", 9);
}

static void short_ping(int fd)
{
    raw_handshake(fd, 1, "DEALER");
    wire_put(fd, "!PING:~");
}

/* The dialer pauses for long, and does so every time. */
static void check_no_storm(void (*play)(int fd))
{
    struct wire wire = wire_raw("DEALER");
    struct pollfd listener;
    int fd;

    set_option(wire.socket, "max-message", "1000");
    set_option(wire.socket, "reconnect", "1");
    set_option(wire.socket, "reconnect-max", "2");
    wire_dial(&wire);
    fd = raw_accept(wire.listener);
    play(fd);
    assert_true(raw_closed(fd, SOON));
    assert_true(wire_event(&wire, WEIR_EVENT_RETRY).value >= 1000);
    listener = (struct pollfd){.fd = wire.listener, .events = POLLIN};
    assert_int_equal(poll(&listener, 1, NOT), 0);
    assert_int_equal(stats_of(wire.socket).refused, 1);
    close(fd);
    wire_end(&wire);
}

static void line_137_no_storm(void **state)
{
    (void)state;
    check_no_storm(says_error);
    check_no_storm(other_mechanism);
    check_no_storm(other_type);
    check_no_storm(oversize_command);
    check_no_storm(oversize_message);
    check_no_storm(short_ping);
}

/* An end at any place is no reason to stay away. */
static void line_138_an_end_reconnects(void **state)
{
    struct wire wire = wire_raw("PUSH");
    uint8_t hello[GREETING + 64];
    size_t size = wire_hello(hello, 1, "PULL", NULL, 0);
    const size_t said[] = {0, 1, 10, 11, 40, GREETING, GREETING + 5, size - 1};

    (void)state;
    set_option(wire.socket, "reconnect-max", "0");
    wire_dial(&wire);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        int fd = raw_accept(wire.listener);

        raw_write(fd, hello, said[i]);
        shutdown(fd, SHUT_WR);
        assert_true(raw_closed(fd, SOON));
        close(fd);
        assert_in_range(wire_event(&wire, WEIR_EVENT_RETRY).value, 10, 20);
    }
    for (int i = 0; i < 4; i++) {
        int fd = wire_answer(&wire, 1, "PULL");

        wire_say(&wire, "hello");
        wire_get(fd, "hello");
        if (i % 2)
            raw_reset(fd);
        else
            close(fd);
        assert_in_range(wire_event(&wire, WEIR_EVENT_RETRY).value, 10, 20);
    }
    wire_end(&wire);
}

/* ---- noise ---- */

static uint32_t seed;

static uint8_t next_octet(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

/* A stranger whose octets are noise from somewhere on. */
static void make_noise(const char *url, int round)
{
    uint8_t hello[GREETING + 64], noise[2000];
    size_t size = wire_hello(hello, 1, "PUSH", NULL, 0);
    const size_t sense[] = {0, 1, 10, 11, GREETING, GREETING + 2, size, size};
    int fd = raw_connect(url);

    assert_true(fd >= 0);
    size = ((size_t)next_octet() << 3) + 1;
    for (size_t i = 0; i < size; i++)
        noise[i] = next_octet();
    raw_write(fd, hello, sense[round % 8]);
    raw_write(fd, noise, size < sizeof(noise) ? size : sizeof(noise));
    shutdown(fd, SHUT_WR);
    if (!raw_closed(fd, SOON))
        fail_msg("round %d: not closed", round);
    close(fd);
}

static void check_noise(const char *where)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    int rounds = full() ? 20000 : 400, before;
    char url[SOCKET_URL];

    bind_to(pull, where, url);
    connect_to(push, url);
    wait_peers(pull, 1);
    before = count_descriptors();
    for (int i = 0; i < rounds; i++) {
        seed = (uint32_t)i;
        make_noise(url, i);
    }
    for (int64_t end = now_ms() + SOON; now_ms() < end; sleep_ms(1))
        if (stats_of(pull).peers == 1)
            break;
    assert_int_equal(stats_of(pull).peers, 1);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(stats_of(push).disconnects, 0);
    assert_int_equal(weir_send(push, "good", 4, SOON), 0);
    AWAIT(push, written, 1);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

static void line_140_noise_on_tcp(void **state)
{
    (void)state;
    check_noise("tcp://127.0.0.1:*");
}

static void line_140_noise_on_ipc(void **state)
{
    (void)state;
    check_noise("ipc://*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_01_connecting_side_greets_in_steps),
        cmocka_unit_test(line_02_accepting_side_greets_in_steps),
        cmocka_unit_test(line_05_06_any_segments),
        cmocka_unit_test(line_48_ready_does_not_wait),
        cmocka_unit_test(line_21_limit),
        cmocka_unit_test(line_23_large_frame_in_pieces),
        cmocka_unit_test(line_34_35_commands_of_no_use),
        cmocka_unit_test(line_77_pings_of_one_segment),
        cmocka_unit_test(line_78_ttl),
        cmocka_unit_test(line_78_ttl_is_a_promise),
        cmocka_unit_test(line_83_no_ping),
        cmocka_unit_test(line_81_a_message_counts_as_life),
        cmocka_unit_test(line_81_silence_does_not),
        cmocka_unit_test(heartbeat_timeout),
        cmocka_unit_test(heartbeat_old),
        cmocka_unit_test(line_114_half_a_message),
        cmocka_unit_test(line_115_cut_message_is_not_resent),
        cmocka_unit_test(line_118_linger),
        cmocka_unit_test(line_119_pauses_between_attempts),
        cmocka_unit_test(line_119_pauses_of_one_length),
        cmocka_unit_test(line_136_listener_closes_the_slow),
        cmocka_unit_test(line_136_dialer_leaves_the_slow),
        cmocka_unit_test(line_137_no_storm),
        cmocka_unit_test(line_138_an_end_reconnects),
        cmocka_unit_test(line_140_noise_on_tcp),
        cmocka_unit_test(line_140_noise_on_ipc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
