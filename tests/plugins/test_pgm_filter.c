/*
 * test_pgm_filter.c - which datagrams the kernel lets through to openpgm.
 *
 * A UDP socket on the loopback interface has the filter; datagrams are sent
 * to it, and a last good one says that all before it were decided on.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "plugins/transport_pgm/filter.h"
#include "tests/core/vector.h"

enum { ROOM = 2048, TYPE = 4, OPTIONS = 5, CHECKSUM = 6, LENGTH = 14 };

struct wire {
    int in, out;
    bool sends; /* what the filter is for */
    int family;
};

static struct wire open_wire(int family, bool sends)
{
    struct wire wire = {.sends = sends, .family = family};
    struct sockaddr_in6 to = {.sin6_family = (sa_family_t)family};
    struct timeval soon = {10, 0};
    struct weir_pgm_filter filter;
    socklen_t size = sizeof to;

    if (family == AF_INET) {
        ((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        size = sizeof(struct sockaddr_in);
    } else {
        to.sin6_addr = in6addr_loopback;
    }
    wire.in = socket(family, SOCK_DGRAM, 0);
    wire.out = socket(family, SOCK_DGRAM, 0);
    assert_true(wire.in >= 0 && wire.out >= 0);
    if (bind(wire.in, (struct sockaddr *)&to, size) < 0)
        skip(); /* no IPv6 here */
    assert_int_equal(getsockname(wire.in, (struct sockaddr *)&to, &size), 0);
    assert_int_equal(connect(wire.out, (struct sockaddr *)&to, size), 0);
    assert_int_equal(
        setsockopt(wire.in, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    weir_pgm_filter_make(&filter, family, true, sends);
    assert_in_range(filter.n, 10, WEIR_PGM_FILTER_MAX);
    assert_int_equal(weir_pgm_filter_attach(&filter, wire.in), 0);
    return wire;
}

static void close_wire(struct wire *wire)
{
    close(wire->in);
    close(wire->out);
}

/* The smallest packet that both kinds of filter let through. */
static size_t put_spmr(uint8_t *packet)
{
    memset(packet, 0, 16);
    packet[TYPE] = 12;
    packet[CHECKSUM] = 1;
    return 16;
}

/* Does the packet come through?  One that does for sure follows it. */
static bool passes(const struct wire *wire, const uint8_t *packet, size_t size)
{
    uint8_t mark[16], got[ROOM];
    ssize_t n;

    (void)put_spmr(mark);
    mark[0] = 0xaa; /* not in the packets here */
    assert_int_equal(send(wire->out, packet, size, 0), size);
    assert_int_equal(send(wire->out, mark, sizeof mark, 0), sizeof mark);
    n = recv(wire->in, got, sizeof got, 0);
    assert_true(n >= 0);
    if (n == sizeof mark && got[0] == 0xaa)
        return false;
    assert_int_equal(n, size);
    assert_memory_equal(got, packet, size);
    assert_int_equal(recv(wire->in, got, sizeof got, 0), sizeof mark);
    return true;
}

static size_t put_data(uint8_t *packet, uint8_t type, size_t octets)
{
    memset(packet, 0, 24 + octets);
    packet[TYPE] = type;
    packet[CHECKSUM] = 1;
    packet[LENGTH] = (uint8_t)(octets >> 8);
    packet[LENGTH + 1] = (uint8_t)octets;
    return 24 + octets;
}

static size_t put_spm(const struct wire *wire, uint8_t *packet)
{
    bool v6 = wire->family == AF_INET6;

    memset(packet, 0, 64);
    packet[CHECKSUM] = 1;
    packet[16 + 13] = v6 ? 2 : 1;
    return 16 + 16 + (v6 ? 16 : 4);
}

/* A request or a confirmation for one number, and n more. */
static size_t put_request(const struct wire *wire, uint8_t *packet,
                          uint8_t type, unsigned n)
{
    bool v6 = wire->family == AF_INET6;
    size_t end = v6 ? 60 : 36, list = 4 + 4 * n;

    memset(packet, 0, ROOM);
    packet[TYPE] = type;
    packet[CHECKSUM] = 1;
    packet[21] = packet[v6 ? 41 : 29] = v6 ? 2 : 1;
    if (n == 0)
        return end;
    packet[OPTIONS] = 3;
    packet[end + 1] = 4;
    packet[end + 3] = (uint8_t)(4 + list);
    packet[end + 4] = 0x82;
    packet[end + 5] = (uint8_t)list;
    return end + 4 + list;
}

/* ---- what must pass ---- */

static void check_receiver(int family)
{
    struct wire wire = open_wire(family, false);
    uint8_t packet[ROOM];
    size_t size;

    assert_true(passes(&wire, packet, put_data(packet, 4, 2)));
    assert_true(passes(&wire, packet, put_data(packet, 4, 1428)));
    assert_true(passes(&wire, packet, put_data(packet, 5, 100)));
    assert_true(passes(&wire, packet, put_spm(&wire, packet)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 10, 0)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 10, 1)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 10, 62)));
    size = put_spm(&wire, packet); /* the end of a session */
    packet[OPTIONS] = 1;
    memcpy(packet + size, "\0\4\0\10\x8e\4\0\0", 8);
    assert_true(passes(&wire, packet, size + 8));
    /* Requests are for senders. */
    assert_false(passes(&wire, packet, put_request(&wire, packet, 8, 0)));
    close_wire(&wire);
}

static void test_receiver(void **state)
{
    (void)state;
    check_receiver(AF_INET);
}

static void test_receiver_6(void **state)
{
    (void)state;
    check_receiver(AF_INET6);
}

static void check_sender(int family)
{
    struct wire wire = open_wire(family, true);
    uint8_t packet[ROOM];

    assert_true(passes(&wire, packet, put_spmr(packet)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 8, 0)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 8, 1)));
    assert_true(passes(&wire, packet, put_request(&wire, packet, 8, 62)));
    /* The rest is for receivers, or for nobody here. */
    assert_false(passes(&wire, packet, put_data(packet, 4, 2)));
    assert_false(passes(&wire, packet, put_spm(&wire, packet)));
    assert_false(passes(&wire, packet, put_request(&wire, packet, 9, 0)));
    assert_false(passes(&wire, packet, put_request(&wire, packet, 10, 0)));
    close_wire(&wire);
}

static void test_sender(void **state)
{
    (void)state;
    check_sender(AF_INET);
}

static void test_sender_6(void **state)
{
    (void)state;
    check_sender(AF_INET6);
}

/* ---- what must not ---- */

static void test_cut_short(void **state)
{
    struct wire wire = open_wire(AF_INET, false);
    uint8_t packet[ROOM];
    size_t size;

    (void)state;
    assert_false(passes(&wire, packet, 0));
    for (size = put_data(packet, 4, 10); size-- > 0;)
        assert_false(passes(&wire, packet, size));
    for (size = put_spm(&wire, packet); size-- > 0;)
        assert_false(passes(&wire, packet, size));
    for (size = put_request(&wire, packet, 10, 3); size-- > 0;)
        assert_false(passes(&wire, packet, size));
    size = put_data(packet, 4, 10);
    assert_false(passes(&wire, packet, size + 1));
    size = put_spm(&wire, packet);
    assert_false(passes(&wire, packet, size + 1));
    close_wire(&wire);
}

/* Octet `at` of a good packet changed to that. */
struct change {
    size_t at;
    uint8_t value;
};

static void test_optional_parts(void **state)
{
    static const struct change data[] = {
        {OPTIONS, 1}, {OPTIONS, 0x80}, {OPTIONS, 0x40}, {OPTIONS, 2},
        {TYPE, 1},    {TYPE, 13},      {TYPE, 0x84},    {CHECKSUM, 0},
    };
    static const struct change list[] = {
        {37, 0},   {37, 5}, {36, 1},  {40, 2},      {40, 0x83},
        {41, 0},   {41, 4}, {41, 17}, {41, 12},     {41, 20},
        {41, 255}, {21, 2}, {29, 2},  {OPTIONS, 0}, {OPTIONS, 0x43},
    };
    struct wire wire = open_wire(AF_INET, false);
    uint8_t packet[ROOM];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        size = put_data(packet, 4, 10);
        packet[data[i].at] = data[i].value;
        assert_false(passes(&wire, packet, size));
    }
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        size = put_request(&wire, packet, 10, 3);
        packet[list[i].at] = list[i].value;
        assert_false(passes(&wire, packet, size));
    }
    /* Error correction is announced by an option. */
    size = put_spm(&wire, packet);
    packet[OPTIONS] = 1;
    memcpy(packet + size, "\0\4\0\14\x88\10\1\0\0\0\10\0", 12);
    assert_false(passes(&wire, packet, size + 12));
    close_wire(&wire);
}

/* What libzmq sends. */
static void test_recordings(void **state)
{
    static const char *const names[] = {"epgm-4.3.4", "epgm-2.2.1"};
    struct wire wire = open_wire(AF_INET, false);

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vector vector;

        assert_int_equal(vector_load(&vector, names[i]), 0);
        for (size_t k = 0; k < vector.count; k++)
            if (vector.lines[k].data[0] != 0xaa || k > 1)
                assert_true(
                    passes(&wire, vector.lines[k].data, vector.lines[k].len));
        vector_free(&vector);
    }
    close_wire(&wire);
}

/* Nothing but packets without a flaw gets through, whatever comes; what does
 * not is counted. */
static void test_noise(void **state)
{
    struct wire wire = open_wire(AF_INET, false);
    uint32_t before = weir_pgm_filter_drops(wire.in), dropped = 0;
    uint8_t packet[256];

    (void)state;
    srand(1);
    for (int i = 0; i < 5000; i++) {
        size_t size = (size_t)rand() % sizeof packet;

        for (size_t k = 0; k < size; k++)
            packet[k] = (uint8_t)rand();
        if (size > TYPE)
            packet[TYPE] = (uint8_t)(rand() % 14);
        packet[0] = 0;
        dropped += !passes(&wire, packet, size);
    }
    assert_in_range(dropped, 4900, 5000);
#ifdef HAVE_LINUX_SOCK_DIAG_H
    assert_int_equal(weir_pgm_filter_drops(wire.in) - before, dropped);
#else
    (void)before;
#endif
    close_wire(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiver),
        cmocka_unit_test(test_receiver_6),
        cmocka_unit_test(test_sender),
        cmocka_unit_test(test_sender_6),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_optional_parts),
        cmocka_unit_test(test_recordings),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
