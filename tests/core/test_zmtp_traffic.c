/*
 * test_zmtp_traffic.c - the ZMTP codec after the handshake: headers of
 * frames, commands, subscriptions.  test_line_NN_... is line NN of the wire
 * conformance checklist; the others are rules of ours.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "core/zmtp.h"
#include "tests/core/vector.h"

struct octets {
    uint8_t data[1024];
    size_t len;
};

static struct octets work;

static struct octets *hex(const char *text)
{
    long len = vector_hex(text, work.data, sizeof work.data);

    assert_true(len >= 0);
    work.len = (size_t)len;
    return &work;
}

/* ---- frames */

static void test_line_18_header_bytes(void **state)
{
    uint8_t p[WEIR_ZMTP_HEADER_MAX];

    (void)state;
    assert_int_equal(weir_zmtp_put_header(p, 0, 0), 2);
    assert_memory_equal(p, "\0\0", 2);
    assert_int_equal(weir_zmtp_put_header(p, 255, WEIR_ZMTP_MORE), 2);
    assert_memory_equal(p, "\1\377", 2);
    assert_int_equal(weir_zmtp_put_header(p, 256, 0), 9);
    assert_memory_equal(p, "\2\0\0\0\0\0\0\1\0", 9);
    assert_int_equal(weir_zmtp_put_header(p, 0x0102030405060708,
                                          WEIR_ZMTP_COMMAND | WEIR_ZMTP_MORE),
                     9);
    assert_memory_equal(p, "\7\1\2\3\4\5\6\7\10", 9);
    assert_int_equal(weir_zmtp_header_size(255), 2);
    assert_int_equal(weir_zmtp_header_size(256), 9);
}

static int get(const char *text, uint64_t limit,
               struct weir_zmtp_header *header)
{
    const struct octets *octets = hex(text);

    return weir_zmtp_get_header(octets->data, octets->len, limit, header);
}

static void test_line_19_long_size_of_short_body(void **state)
{
    struct weir_zmtp_header header;

    (void)state;
    assert_int_equal(get("020000000000000001", weir_zmtp_limit(0), &header), 9);
    assert_int_equal(header.size, 1);
    assert_int_equal(header.flags, 0);
    assert_int_equal(get("020000000000000000", weir_zmtp_limit(0), &header), 9);
    assert_int_equal(header.size, 0);
}

static void test_line_20_reserved_bits(void **state)
{
    struct weir_zmtp_header header;

    (void)state;
    assert_int_equal(get("f801", weir_zmtp_limit(0), &header), 2);
    assert_int_equal(header.flags, 0);
    assert_int_equal(get("f901", weir_zmtp_limit(0), &header), 2);
    assert_int_equal(header.flags, WEIR_ZMTP_MORE);
    assert_int_equal(get("ff0000000000000001", weir_zmtp_limit(0), &header), 9);
    assert_int_equal(header.flags, WEIR_ZMTP_MORE | WEIR_ZMTP_COMMAND);
}

static void test_line_21_limit(void **state)
{
    struct weir_zmtp_header header = {77, 77};
    uint64_t limit = weir_zmtp_limit(64);

    (void)state;
    assert_int_equal(get("0040", limit, &header), 2);
    assert_int_equal(header.size, 64);
    assert_int_equal(get("0041", limit, &header), -EMSGSIZE);
    assert_int_equal(header.size, 64);
    assert_int_equal(weir_zmtp_header_fail(work.data, limit), -EMSGSIZE);
    assert_string_equal(weir_error_text(), "a frame of 65 octets is over 64");
    assert_int_equal(get("020000000000000041", limit, &header), -EMSGSIZE);
    assert_int_equal(weir_zmtp_header_fail(work.data, limit), -EMSGSIZE);
    assert_int_equal(get("020000000000000040", limit, &header), 9);
    assert_int_equal(get("02000000000000ffff", weir_zmtp_limit(65535), &header),
                     9);
    assert_int_equal(get("020000000000010000", weir_zmtp_limit(65535), &header),
                     -EMSGSIZE);
}

static void test_line_22_size_top_bit(void **state)
{
    struct weir_zmtp_header header;

    (void)state;
    assert_int_equal(get("028000000000000000", weir_zmtp_limit(0), &header),
                     -EPROTO);
    assert_int_equal(weir_zmtp_header_fail(work.data, weir_zmtp_limit(0)),
                     -EPROTO);
    assert_non_null(strstr(weir_error_text(), "8000000000000000"));
    assert_int_equal(get("06ffffffffffffffff", weir_zmtp_limit(0), &header),
                     -EPROTO);
    assert_int_equal(get("027fffffffffffffff", weir_zmtp_limit(1 << 20),
                         &header),
                     -EMSGSIZE);
}

static void test_line_23_header_in_pieces(void **state)
{
    struct weir_zmtp_header header;
    uint8_t p[WEIR_ZMTP_HEADER_MAX];

    (void)state;
    weir_zmtp_put_header(p, 65536, WEIR_ZMTP_MORE);
    for (size_t len = 0; len < sizeof p; len++)
        assert_int_equal(
            weir_zmtp_get_header(p, len, weir_zmtp_limit(0), &header), 0);
    assert_int_equal(
        weir_zmtp_get_header(p, sizeof p, weir_zmtp_limit(0), &header), 9);
    assert_int_equal(header.size, 65536);
    assert_int_equal(header.flags, WEIR_ZMTP_MORE);
    assert_int_equal(weir_zmtp_get_header(p, 0, 0, &header), 0);
}

/* ---- commands */

static struct weir_zmtp_command command;

static enum weir_zmtp_kind kind(const char *text)
{
    const struct octets *octets = hex(text);

    memset(&command, 0xAA, sizeof command);
    assert_int_equal(weir_zmtp_get_command(octets->data, octets->len, &command),
                     0);
    return command.kind;
}

static void assert_data(const void *data, size_t len)
{
    assert_int_equal(command.len, len);
    assert_memory_equal(command.data, data, len);
}

static void test_line_34_odd_commands_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(weir_zmtp_get_command(NULL, 0, &command), 0);
    assert_int_equal(command.kind, WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("07554e4b4e4f574e616263"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("00"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("00ff"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("ff616263"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("0552454144"), WEIR_ZMTP_IGNORE);
}

static void test_line_35_late_ready_and_error(void **state)
{
    (void)state;
    assert_int_equal(kind("055245414459"), WEIR_ZMTP_IS_READY);
    assert_int_equal(command.len, 0);
    assert_int_equal(kind("054552524f5203343030"), WEIR_ZMTP_IS_ERROR);
    assert_data("400", 3);
    assert_int_equal(kind("054552524f52"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("054552524f52043430"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("054552524f520134303030"), WEIR_ZMTP_IGNORE);
}

static void test_line_36_case_of_names(void **state)
{
    (void)state;
    assert_int_equal(kind("0470696e670000"), WEIR_ZMTP_IGNORE);
    assert_int_equal(kind("09537562736372696265"), WEIR_ZMTP_IGNORE);
}

static void test_commands_with_data(void **state)
{
    (void)state;
    assert_int_equal(kind("09535542534352494245 4142"), WEIR_ZMTP_IS_SUBSCRIBE);
    assert_data("AB", 2);
    assert_int_equal(kind("0643414e43454c"), WEIR_ZMTP_IS_CANCEL);
    assert_int_equal(command.len, 0);
    assert_int_equal(kind("044a4f494e 67"), WEIR_ZMTP_IS_JOIN);
    assert_data("g", 1);
    assert_int_equal(kind("054c45415645 67"), WEIR_ZMTP_IS_LEAVE);
    assert_data("g", 1);
}

static void test_line_76_ping_contexts(void **state)
{
    static const size_t lens[] = {0, 1, 16, 17, 200};
    uint8_t body[300] = "\4PING\0\7", pong[WEIR_ZMTP_PONG_MAX];
    size_t want;

    (void)state;
    for (size_t i = 0; i < 200; i++)
        body[7 + i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        want = lens[i] < 16 ? lens[i] : 16;
        assert_int_equal(weir_zmtp_get_command(body, 7 + lens[i], &command), 0);
        assert_int_equal(command.kind, WEIR_ZMTP_IS_PING);
        assert_int_equal(command.ttl, 700);
        assert_data(body + 7, want);
        assert_int_equal(weir_zmtp_put_pong(pong, command.data, command.len),
                         7 + want);
        assert_int_equal(pong[1], 5 + want);
        assert_memory_equal(pong + 2, "\4PONG", 5);
        assert_memory_equal(pong + 7, body + 7, want);
        assert_int_equal(weir_zmtp_put_pong(pong, body + 7, lens[i]), 7 + want);
    }
    assert_int_equal(kind("04504f4e47"), WEIR_ZMTP_IS_PONG);
    assert_int_equal(kind("04504f4e47 00*40"), WEIR_ZMTP_IS_PONG);
    assert_int_equal(command.len, 16);
}

static void test_line_79_ttl_does_not_wrap(void **state)
{
    (void)state;
    assert_int_equal(kind("0450494e470290"), WEIR_ZMTP_IS_PING);
    assert_int_equal(command.ttl, 65600);
    assert_int_equal(kind("0450494e47ffff"), WEIR_ZMTP_IS_PING);
    assert_int_equal(command.ttl, 6553500);
}

static void test_line_80_short_ping(void **state)
{
    uint8_t *body;

    (void)state;
    for (size_t len = 5; len < 7; len++) {
        body = malloc(len);
        assert_non_null(body);
        memcpy(body, "\4PING\1", len);
        memset(&command, 0xAA, sizeof command);
        assert_int_equal(weir_zmtp_get_command(body, len, &command), -EPROTO);
        assert_non_null(strstr(weir_error_text(), "TTL"));
        assert_int_equal(command.kind, WEIR_ZMTP_IGNORE);
        free(body);
    }
}

static void assert_octets(const uint8_t *p, size_t len, const char *text)
{
    const struct octets *octets = hex(text);

    assert_int_equal(len, octets->len);
    assert_memory_equal(p, octets->data, len);
}

static void test_line_82_ping_bytes(void **state)
{
    uint8_t p[WEIR_ZMTP_PING_MAX];
    char context[17] = "0123456789abcdef";

    (void)state;
    assert_octets(p, weir_zmtp_put_ping(p, 1500, NULL, 0),
                  "04070450494e47000f");
    assert_octets(p, weir_zmtp_put_ping(p, 1599, "x", 1),
                  "04080450494e47000f78");
    assert_octets(p, weir_zmtp_put_ping(p, 0, NULL, 0), "04070450494e470000");
    assert_octets(p, weir_zmtp_put_ping(p, 6553599, NULL, 0),
                  "04070450494e47ffff");
    assert_octets(p, weir_zmtp_put_ping(p, 6553700, NULL, 0),
                  "04070450494e47ffff");
    assert_octets(p, weir_zmtp_put_ping(p, UINT32_MAX, NULL, 0),
                  "04070450494e47ffff");
    assert_octets(p, weir_zmtp_put_ping(p, 99, context, 17),
                  "04170450494e47000030313233343536373839616263646566");
}

static void test_error_bytes(void **state)
{
    uint8_t p[WEIR_ZMTP_ERROR_MAX];
    char reason[301];

    (void)state;
    assert_octets(p, weir_zmtp_put_error(p, "400"),
                  "040a 054552524f52 03343030");
    memset(reason, 'r', 300);
    reason[300] = '\0';
    assert_octets(p, weir_zmtp_put_error(p, reason),
                  "060000000000000106 054552524f52 ff 72*255");
}

static void test_error_status(void **state)
{
    (void)state;
    assert_int_equal(weir_zmtp_error_status("300", 3), 300);
    assert_int_equal(weir_zmtp_error_status("400", 3), 400);
    assert_int_equal(weir_zmtp_error_status("500", 3), 500);
    assert_int_equal(weir_zmtp_error_status("200", 3), 0);
    assert_int_equal(weir_zmtp_error_status("600", 3), 0);
    assert_int_equal(weir_zmtp_error_status("401", 3), 0);
    assert_int_equal(weir_zmtp_error_status("4000", 4), 0);
    assert_int_equal(weir_zmtp_error_status("", 0), 0);
}

/* ---- subscriptions */

static uint8_t frame[700];

/* Write the whole frame as a link does; returns its octets. */
static size_t put_frame(enum weir_zmtp_generation generation, bool subscribe,
                        const void *topic, size_t len)
{
    static uint8_t body[300];
    size_t size = weir_zmtp_subscription_size(generation, subscribe, len);
    unsigned flags;
    size_t head;

    memset(body, 0xEE, sizeof body);
    flags = weir_zmtp_put_subscription(body, generation, subscribe, topic, len);
    assert_int_equal(body[size], 0xEE);
    head = weir_zmtp_put_header(frame, size, flags);
    assert_int_equal(head, weir_zmtp_header_size(size));
    memcpy(frame + head, body, size);
    return head + size;
}

static void assert_subscription(enum weir_zmtp_generation generation,
                                bool subscribe, size_t len, const char *text)
{
    static char topic[300];
    size_t octets;

    memset(topic, 't', sizeof topic);
    octets = put_frame(generation, subscribe, topic, len);
    assert_octets(frame, octets, text);
}

static void test_line_84_subscription_forms(void **state)
{
    (void)state;
    assert_subscription(WEIR_ZMTP_3_1, true, 1, "040b09535542534352494245 74");
    assert_subscription(WEIR_ZMTP_3_1, false, 1, "04080643414e43454c 74");
    assert_subscription(WEIR_ZMTP_3_0, true, 1, "00020174");
    assert_subscription(WEIR_ZMTP_3_0, false, 1, "00020074");
    assert_subscription(WEIR_ZMTP_2_0, true, 1, "00020174");
}

static void test_line_85_both_forms_are_read(void **state)
{
    const struct octets *octets;

    (void)state;
    octets = hex("0141");
    weir_zmtp_get_subscription(octets->data, octets->len, &command);
    assert_int_equal(command.kind, WEIR_ZMTP_IS_SUBSCRIBE);
    assert_data("A", 1);
    octets = hex("00");
    weir_zmtp_get_subscription(octets->data, octets->len, &command);
    assert_int_equal(command.kind, WEIR_ZMTP_IS_CANCEL);
    assert_int_equal(command.len, 0);
    octets = hex("0241");
    weir_zmtp_get_subscription(octets->data, octets->len, &command);
    assert_int_equal(command.kind, WEIR_ZMTP_IGNORE);
    weir_zmtp_get_subscription(NULL, 0, &command);
    assert_int_equal(command.kind, WEIR_ZMTP_IGNORE);
}

/* The frame of a topic of `len` octets must be well formed and complete. */
static void assert_topic(enum weir_zmtp_generation generation, bool subscribe,
                         size_t len)
{
    static uint8_t topic[256];
    struct weir_zmtp_header header = {0, 0};
    size_t octets = put_frame(generation, subscribe, topic, len);
    int head = weir_zmtp_get_header(frame, octets, weir_zmtp_limit(0), &header);

    assert_int_equal(head, header.size > 255 ? 9 : 2);
    assert_int_equal((uint64_t)head + header.size, octets);
    if (generation == WEIR_ZMTP_3_1) {
        assert_int_equal(header.flags, WEIR_ZMTP_COMMAND);
        assert_int_equal(weir_zmtp_get_command(frame + head,
                                               (size_t)header.size, &command),
                         0);
    } else {
        assert_int_equal(header.flags, 0);
        weir_zmtp_get_subscription(frame + head, (size_t)header.size, &command);
    }
    assert_int_equal(command.kind,
                     subscribe ? WEIR_ZMTP_IS_SUBSCRIBE : WEIR_ZMTP_IS_CANCEL);
    assert_data(topic, len);
}

static void test_line_86_topic_lengths(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 256; len++) {
        assert_topic(WEIR_ZMTP_3_1, true, len);
        assert_topic(WEIR_ZMTP_3_1, false, len);
        assert_topic(WEIR_ZMTP_3_0, true, len);
        assert_topic(WEIR_ZMTP_3_0, false, len);
        assert_topic(WEIR_ZMTP_2_0, true, len);
    }
    assert_subscription(WEIR_ZMTP_3_1, true, 245,
                        "04ff09535542534352494245 74*245");
    assert_subscription(WEIR_ZMTP_3_1, true, 246,
                        "06000000000000010009535542534352494245 74*246");
    assert_subscription(WEIR_ZMTP_3_1, false, 249,
                        "0600000000000001000643414e43454c 74*249");
    assert_subscription(WEIR_ZMTP_3_0, true, 254, "00ff01 74*254");
    assert_subscription(WEIR_ZMTP_3_0, true, 255,
                        "02000000000000010001 74*255");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_18_header_bytes),
        cmocka_unit_test(test_line_19_long_size_of_short_body),
        cmocka_unit_test(test_line_20_reserved_bits),
        cmocka_unit_test(test_line_21_limit),
        cmocka_unit_test(test_line_22_size_top_bit),
        cmocka_unit_test(test_line_23_header_in_pieces),
        cmocka_unit_test(test_line_34_odd_commands_are_ignored),
        cmocka_unit_test(test_line_35_late_ready_and_error),
        cmocka_unit_test(test_line_36_case_of_names),
        cmocka_unit_test(test_commands_with_data),
        cmocka_unit_test(test_line_76_ping_contexts),
        cmocka_unit_test(test_line_79_ttl_does_not_wrap),
        cmocka_unit_test(test_line_80_short_ping),
        cmocka_unit_test(test_line_82_ping_bytes),
        cmocka_unit_test(test_error_bytes),
        cmocka_unit_test(test_error_status),
        cmocka_unit_test(test_line_84_subscription_forms),
        cmocka_unit_test(test_line_85_both_forms_are_read),
        cmocka_unit_test(test_line_86_topic_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
