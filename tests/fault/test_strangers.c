/*
 * test_strangers.c - listeners of tcp and ipc against all who are no peers of
 * ours, while good traffic flows: each costs its own connection only, and is
 * counted.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FRAME = 1000, FLOOD = 20000 };

/* A listener with a good peer. */
struct house {
    weir_context context;
    weir_socket pull, push;
    char url[SOCKET_URL];
    uint64_t said;
};

static void good_traffic(struct house *house)
{
    for (int i = 0; i < 5; i++) {
        uint64_t number = ++house->said, is = 0;
        size_t size = sizeof(is);

        assert_int_equal(weir_send(house->push, &number, sizeof(number), SOON),
                         0);
        assert_int_equal(weir_recv(house->pull, &is, &size, SOON), 0);
        assert_int_equal(is, number);
    }
}

static struct house open_house(const char *where, const char *handshake)
{
    struct house house = {.context = new_context(1)};

    house.pull = new_socket(house.context, "PULL");
    house.push = new_socket(house.context, "PUSH");
    set_option(house.pull, "handshake", handshake);
    set_option(house.pull, "max-message", "1000");
    set_option(house.pull, "max-frames", "8");
    bind_to(house.pull, where, house.url);
    connect_to(house.push, house.url);
    wait_peers(house.pull, 1);
    good_traffic(&house);
    return house;
}

static void leave_house(struct house *house)
{
    weir_stats stats = stats_of(house->pull);

    good_traffic(house);
    assert_true(adds_up(&stats));
    assert_int_equal(stats.peers, 1);
    stats = stats_of(house->push);
    assert_int_equal(stats.connects, 1); /* it was never cut off */
    close_socket(house->push);
    close_socket(house->pull);
    close_context(house->context);
}

/* ---- what strangers say ---- */

static void nothing(int fd)
{
    (void)fd;
}

static void http(int fd)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
                               "User-Agent: a browser of some kind\r\n\r\n";

    raw_write(fd, text, sizeof(text) - 1);
}

static void tls_hello(int fd)
{
    uint8_t hello[200] = {0x16, 3, 1, 0, 195, 1, 0, 0, 191, 3, 3};

    raw_write(fd, hello, sizeof(hello));
}

static void noise(int fd)
{
    static uint32_t seed = 42;
    uint8_t octets[600];

    for (size_t i = 0; i < sizeof(octets); i++) {
        seed = seed * 1664525u + 1013904223u;
        octets[i] = (uint8_t)(seed >> 24);
    }
    octets[0] = 'n';
    raw_write(fd, octets, sizeof(octets));
}

static void greet(int fd, const char *mechanism)
{
    uint8_t greeting[GREETING];

    make_greeting(greeting, 1, mechanism, false);
    raw_write(fd, greeting, sizeof(greeting));
}

static void half_greeting(int fd)
{
    uint8_t greeting[GREETING];

    make_greeting(greeting, 1, "NULL", false);
    raw_write(fd, greeting, 33);
    shutdown(fd, SHUT_WR);
}

static void half_ready(int fd)
{
    uint8_t ready[64];

    greet(fd, "NULL");
    raw_write(fd, ready, make_ready(ready, "PUSH") / 2);
    shutdown(fd, SHUT_WR);
}

static void wrong_type(int fd)
{
    uint8_t ready[64];

    greet(fd, "NULL");
    raw_write(fd, ready, make_ready(ready, "SUB"));
}

static void wrong_mechanism(int fd)
{
    greet(fd, "CURVE");
}

static void unknown_mechanism(int fd)
{
    greet(fd, "OPENSESAME");
}

static void message_before_ready(int fd)
{
    greet(fd, "NULL");
    raw_send(fd, 0, "too soon", 8);
}

/* A command that says it is very long, before READY. */
static void long_handshake(int fd)
{
    greet(fd, "NULL");
    raw_write(fd, "\6\x7f\xff\xff\xff\xff\xff\xff\xff\5READY", 15);
}

/* Metadata whose sizes go beyond its end (CVE-2019-13132's kind). */
static void metadata_overrun(int fd)
{
    greet(fd, "NULL");
    raw_write(fd,
              "\4\31\5READY\13Socket-Type\xff\xff\xff\xff"
              "PU",
              27);
}

/* A first frame for a type of ZMTP 1.0 or 2.0 (CVE-2019-6250's kind: a size
 * that wraps around when a pointer is added). */
static void huge_old_frame(int fd)
{
    raw_write(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 10);
    raw_write(fd, "\2\xff\xff\xff\xff\xff\xff\xff\xff", 9);
}

static void huge_frame(int fd)
{
    raw_handshake(fd, 1, "PUSH");
    raw_write(fd, "\2\xff\xff\xff\xff\xff\xff\xff\xff", 9);
}

static void signed_frame(int fd)
{
    raw_handshake(fd, 1, "PUSH");
    raw_write(fd, "\2\x80\0\0\0\0\0\0\0", 9);
}

static void frame_beyond_max(int fd)
{
    static const uint8_t body[MAX_FRAME + 1];

    raw_handshake(fd, 1, "PUSH");
    raw_write(fd, "\2\0\0\0\0\0\0\3\xe9", 9);
    raw_write(fd, body, sizeof(body));
}

static void frames_beyond_max(int fd)
{
    raw_handshake(fd, 1, "PUSH");
    for (int i = 0; i < 20; i++)
        raw_send(fd, RAW_MORE, "frame", 5);
}

static void short_ping(int fd)
{
    raw_handshake(fd, 1, "PUSH");
    raw_send(fd, RAW_COMMAND, "\4PING\0", 6);
}

struct stranger {
    const char *name;
    void (*talk)(int fd);
};

static const struct stranger strangers[] = {
    {"a port scan", nothing},
    {"HTTP", http},
    {"TLS", tls_hello},
    {"noise", noise},
    {"half a greeting", half_greeting},
    {"half a READY", half_ready},
    {"a wrong type", wrong_type},
    {"a wrong mechanism", wrong_mechanism},
    {"an unknown mechanism", unknown_mechanism},
    {"a message before READY", message_before_ready},
    {"a long handshake", long_handshake},
    {"metadata beyond its end", metadata_overrun},
    {"a huge old frame", huge_old_frame},
    {"a huge frame", huge_frame},
    {"a frame of 2^63", signed_frame},
    {"a frame beyond max-message", frame_beyond_max},
    {"frames beyond max-frames", frames_beyond_max},
    {"a short PING", short_ping},
};

static void drain_events(weir_socket socket)
{
    weir_event event = {.size = sizeof(event)};

    while (weir_next_event(socket, &event, 0) >= 0)
        ;
}

/* What comes with the last of the handshake is part of it, if it makes no
 * sense. */
static bool await_end(weir_socket socket, weir_event *event)
{
    event->size = sizeof(*event);
    do
        if (weir_next_event(socket, event, SOON) < 0)
            return false;
    while (event->kind != WEIR_EVENT_REFUSED &&
           event->kind != WEIR_EVENT_DISCONNECTED);
    return true;
}

static void visit(struct house *house, const struct stranger *stranger)
{
    weir_stats before = stats_of(house->pull);
    int fd = raw_connect(house->url);
    weir_event event;

    assert_true(fd >= 0);
    drain_events(house->pull);
    stranger->talk(fd);
    if (stranger->talk == nothing)
        shutdown(fd, SHUT_WR);
    if (!raw_closed(fd, SOON))
        fail_msg("%s is not closed", stranger->name);
    close(fd);
    if (!await_end(house->pull, &event))
        fail_msg("%s: no event", stranger->name);
    assert_string_not_equal(event.reason, "");
    AWAIT(house->pull, refused, before.refused + 1);
    assert_int_equal(stats_of(house->pull).last_error, event.code);
    assert_string_equal(stats_of(house->pull).last_reason, event.reason);
    AWAIT(house->pull, decoded, before.decoded);
    good_traffic(house);
}

static void all_visit(const char *where)
{
    struct house house = open_house(where, "2000");
    int n = (int)(sizeof(strangers) / sizeof(strangers[0]));
    int descriptors = count_descriptors();

    for (int round = 0; round < (full() ? 50 : 2); round++)
        for (int i = 0; i < n; i++)
            visit(&house, &strangers[i]);
    assert_int_equal(count_descriptors(), descriptors);
    leave_house(&house);
}

static void all_visit_tcp(void **state)
{
    (void)state;
    all_visit("tcp://127.0.0.1:*");
}

static void all_visit_ipc(void **state)
{
    (void)state;
    all_visit("ipc://*");
}

/* ---- silence, crowds, floods ---- */

static void silent_ones_are_closed(void **state)
{
    struct house house = open_house("tcp://127.0.0.1:*", "300");
    int64_t start = now_ms(), took;
    int fds[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        fds[i] = raw_connect(house.url);
        if (i & 1)
            greet(fds[i], "NULL");
    }
    for (int i = 0; i < 20; i++) {
        assert_true(raw_closed(fds[i], SOON));
        close(fds[i]);
    }
    took = now_ms() - start;
    assert_true(took >= 250);
    AWAIT(house.pull, refused, 20);
    leave_house(&house);
}

/* The cap holds back newcomers, and lets them in as others go. */
static void half_open_cap(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    char url[SOCKET_URL];
    int fds[12], before;

    (void)state;
    set_option(pull, "half-open", "4");
    set_option(pull, "handshake", "400");
    bind_to(pull, "tcp://127.0.0.1:*", url);
    before = count_descriptors();
    for (int i = 0; i < 12; i++)
        fds[i] = raw_connect(url);
    sleep_ms(100);
    assert_int_equal(count_descriptors(), before + 12 + 4);
    connect_to(push, url);
    wait_peers(push, 1);
    AWAIT(pull, refused, 12);
    for (int i = 0; i < 12; i++)
        close(fds[i]);
    close_socket(push);
    close_socket(pull);
    close_context(context);
}

/* How many descriptors the program may have; changed by tests. */
static struct rlimit normal;

static void limit_descriptors(int n)
{
    struct rlimit few = normal;

    few.rlim_cur = (rlim_t)n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

static int keep_limit(void **state)
{
    (void)state;
    return getrlimit(RLIMIT_NOFILE, &normal);
}

static int restore_limit(void **state)
{
    (void)state;
    return setrlimit(RLIMIT_NOFILE, &normal);
}

static void connect_late(int fd, const char *url)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

/* Descriptors run out, and soon after there are too many handshakes: who
 * waited for descriptors does not let one more in. */
static void half_open_cap_without_descriptors(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    char url[SOCKET_URL];
    int fds[5], before;

    (void)state;
    for (int i = 1; i < 5; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    set_option(pull, "half-open", "2");
    bind_to(pull, "tcp://127.0.0.1:*", url);
    before = count_descriptors();
    fds[0] = raw_connect(url);
    assert_true(await_event(pull, WEIR_EVENT_OPENED, NULL, SOON));
    limit_descriptors(3);
    for (int i = 1; i < 5; i++)
        connect_late(fds[i], url);
    assert_true(await_event(pull, WEIR_EVENT_ACCEPT_FAILED, NULL, SOON));
    restore_limit(NULL);
    close(fds[0]); /* two of the others come in, and the timer runs still */
    AWAIT(pull, refused, 1);
    sleep_ms(400);
    assert_int_equal(count_descriptors(), before + 2);
    for (int i = 1; i < 5; i++)
        close(fds[i]);
    close_socket(pull);
    close_context(context);
}

/* PINGs without end, whose PONGs nobody reads: the memory for them is bounded,
 * and others are served. */
static void ping_flood(void **state)
{
    struct house house = open_house("tcp://127.0.0.1:*", "2000");
    uint8_t pings[100 * 25], *at = pings;
    int fd = raw_connect(house.url);
    size_t before, grown;

    (void)state;
    raw_handshake(fd, 1, "PUSH");
    for (int i = 0; i < 100; i++, at += 25)
        memcpy(at, "\4\27\4PING\0\0a context of sixteen", 25);
    before = resident();
    for (int i = 0; i < FLOOD / 100; i++) {
        if (send(fd, pings, sizeof(pings), MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
            sleep_ms(1);
        if (i % 20 == 0)
            good_traffic(&house);
    }
    grown = resident() - before;
    if (!sanitized("address") && !sanitized("thread"))
        assert_true((int64_t)grown < 8 << 20);
    good_traffic(&house);
    raw_reset(fd);
    AWAIT(house.pull, disconnects, 1);
    leave_house(&house);
}

/* A subscriber that subscribes without end costs what it subscribes to, and
 * its unknown commands nothing. */
static void command_flood(void **state)
{
    struct house house = open_house("tcp://127.0.0.1:*", "2000");
    int fd = raw_connect(house.url);
    weir_stats before;

    (void)state;
    raw_handshake(fd, 1, "PUSH");
    before = stats_of(house.pull);
    for (int i = 0; i < FLOOD / 10; i++)
        raw_send(fd, RAW_COMMAND, "\7WHATNOT of no use", 18);
    good_traffic(&house);
    raw_send(fd, 0, "done", 4);
    AWAIT(house.pull, decoded, before.decoded + 5 + 1);
    raw_reset(fd);
    {
        char data[8];
        size_t size = sizeof(data);

        assert_int_equal(weir_recv(house.pull, data, &size, SOON), 0);
        assert_int_equal(size, 4);
    }
    AWAIT(house.pull, disconnects, 1);
    leave_house(&house);
}

/* ---- descriptors run out ---- */

static void out_of_descriptors(void **state)
{
    struct house house = open_house("tcp://127.0.0.1:*", "5000");
    weir_socket more = new_socket(house.context, "PUSH");
    int fds[40], spare, n = count_descriptors();
    weir_socket broken;

    (void)state;
    for (int i = 0; i < 40; i++)
        fds[i] = -1;
    limit_descriptors(n + 20);
    spare = dup(0);
    for (int i = 0; i < 40 && (i == 0 || fds[i - 1] >= 0); i++)
        fds[i] = raw_connect(house.url);
    assert_true(await_event(house.pull, WEIR_EVENT_ACCEPT_FAILED, NULL, SOON));
    good_traffic(&house);
    close(spare);
    spare = dup(0);
    if (weir_open_named(&broken, house.context, "PULL") >= 0)
        fail_msg("a socket without descriptors");
    restore_limit(NULL);
    close(spare);
    connect_to(more, house.url);
    wait_peers(more, 1);
    for (int i = 0; i < 40; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    close_socket(more);
    AWAIT(house.pull, disconnects, 1);
    good_traffic(&house);
    leave_house(&house);
}

#define WITH_LIMIT(name) \
    cmocka_unit_test_setup_teardown(name, keep_limit, restore_limit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_visit_tcp),
        cmocka_unit_test(all_visit_ipc),
        cmocka_unit_test(silent_ones_are_closed),
        cmocka_unit_test(half_open_cap),
        WITH_LIMIT(half_open_cap_without_descriptors),
        cmocka_unit_test(ping_flood),
        cmocka_unit_test(command_flood),
        WITH_LIMIT(out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
