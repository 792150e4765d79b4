/*
 * test_pgm_apdu.c - messages in packets: byte for byte as libzmq has them, in
 * both directions, and what is refused.
 *
 * The recordings are packets of PGM from 2.2.1 and 4.3.4: five messages, of
 * which two have two parts.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plugins/transport_pgm/apdu.h"
#include "tests/core/vector.h"

enum { HEADER = 24, TYPE = 4, ODATA = 4, NUMBER = 16, TEXT_MAX = 1024 };

/* ---- decoding into text ---- */

/* "5:hello;" for a frame, "2:aa+3:bbb;" for two of a message; long ones by
 * their size and first octet. */
static char text[TEXT_MAX];

struct stream {
    struct weir_pgm_decoder decoder;
    uint64_t got; /* octets of the frame so far */
    bool joined;
};

static void print(const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, sizeof text - used, format, args);
    va_end(args);
}

static void print_piece(struct stream *stream,
                        const struct weir_pgm_piece *piece)
{
    assert_int_equal(piece->first, stream->got == 0);
    if (piece->first)
        print("%llu:", (unsigned long long)piece->frame);
    if (piece->first && piece->frame > 20)
        print("%c", piece->data[0]);
    else if (piece->frame <= 20)
        print("%.*s", (int)piece->size, (const char *)piece->data);
    stream->got += piece->size;
    if (piece->last) {
        assert_int_equal(stream->got, piece->frame);
        stream->got = 0;
        print(piece->more ? "+" : ";");
    }
}

/* As a receiver does: join, and decode. */
static int take(struct stream *stream, const uint8_t *data, size_t size)
{
    struct weir_pgm_apdu apdu;
    struct weir_pgm_piece piece;
    int rc = weir_pgm_apdu_open(&apdu, data, size);

    if (rc < 0)
        return rc;
    if (!stream->joined && apdu.offset == WEIR_PGM_NO_MESSAGE)
        return 0;
    if (!stream->joined)
        apdu.at += apdu.offset;
    stream->joined = true;
    while ((rc = weir_pgm_decode(&stream->decoder, &apdu, &piece)) > 0)
        print_piece(stream, &piece);
    return rc;
}

/* ---- recordings ---- */

/* Decode the data packets of a recording from packet `from` on, but one. */
static void play(const char *name, unsigned from, unsigned without)
{
    struct vector vector;
    struct stream stream = {0};

    text[0] = '\0';
    assert_int_equal(vector_load(&vector, name), 0);
    for (size_t i = 0; i < vector.count; i++) {
        const struct vector_line *line = &vector.lines[i];
        unsigned number;

        if (line->data[TYPE] != ODATA)
            continue;
        number = line->data[NUMBER + 3];
        if (number == without)
            memset(&stream, 0, sizeof stream);
        else if (number >= from)
            assert_int_equal(
                take(&stream, line->data + HEADER, line->len - HEADER), 0);
    }
    vector_free(&vector);
}

enum { NONE = 99 };

static void test_line_134_offsets(void **state)
{
    static const char all[] = "5:hello;2:aa+3:bbb;3000:B;4:tail;1500:C+"
                              "10:DDDDDDDDDD;3:end;";

    (void)state;
    play("epgm-4.3.4", 0, NONE);
    assert_string_equal(text, all);
    play("pgm-4.3.4", 0, NONE);
    assert_string_equal(text, all);
}

static void test_line_135_late_join(void **state)
{
    (void)state;
    play("epgm-4.3.4", 1, NONE);
    assert_string_equal(text, "2:aa+3:bbb;3000:B;4:tail;1500:C+"
                              "10:DDDDDDDDDD;3:end;");
    play("epgm-4.3.4", 3, NONE); /* in the middle of the large one */
    assert_string_equal(text, "4:tail;1500:C+10:DDDDDDDDDD;3:end;");
    play("epgm-4.3.4", 6, NONE);
    assert_string_equal(text, "3:end;");
}

static void test_line_135_loss(void **state)
{
    (void)state;
    play("epgm-4.3.4", 0, 3);
    assert_string_equal(text, "5:hello;2:aa+3:bbb;3000:B"
                              "4:tail;1500:C+10:DDDDDDDDDD;3:end;");
    play("epgm-4.3.4", 0, 5);
    assert_string_equal(text, "5:hello;2:aa+3:bbb;3000:B;4:tail;3:end;");
}

static void test_line_135_old_sender(void **state)
{
    (void)state;
    play("epgm-2.2.1", 0, NONE);
    assert_string_equal(text, "5:hello;2:aa+3:bbb;3000:B;4:tail;1500:C+"
                              "10:DDDDDDDDDD;3:end;");
}

/* ---- sending ---- */

struct part {
    char octet;
    size_t size;
    const char *literal;
    bool more;
};

/* What the recorded senders sent, and in which packets: they sent each group
 * of messages before the next was there. */
static const struct part sent[] = {
    {.literal = "hello"},   {.literal = "aa", .more = true},
    {.literal = "bbb"},     {'B', 3000, NULL, false},
    {.literal = "tail"},    {'C', 1500, NULL, true},
    {'D', 10, NULL, false}, {.literal = "end"},
};
static const int groups[] = {1, 2, 2, 3, 0};

/* The data of the recording's next data packet must be this packet. */
static void expect(const struct vector *vector, size_t *at,
                   const struct weir_pgm_packet *packet)
{
    const struct vector_line *line;

    while (*at < vector->count && vector->lines[*at].data[TYPE] != ODATA)
        ++*at;
    assert_true(*at < vector->count);
    line = &vector->lines[(*at)++];
    assert_int_equal(line->len - HEADER, packet->size);
    assert_memory_equal(line->data + HEADER, packet->data, packet->size);
}

static void record(const char *name, size_t room)
{
    static uint8_t memory[2000], octets[3000];
    struct weir_pgm_packet packet = {memory, room, 0};
    const struct part *part = sent;
    struct vector vector;
    size_t at = 0;
    bool begins = true;

    assert_int_equal(vector_load(&vector, name), 0);
    for (const int *n = groups; *n > 0; n++) {
        weir_pgm_packet_start(&packet);
        for (const struct part *end = part + *n; part < end; part++) {
            struct weir_pgm_frame frame = {.begins = begins,
                                           .more = part->more};

            memset(octets, part->octet, part->size);
            frame.data = part->literal ? (const void *)part->literal : octets;
            frame.size = part->literal ? strlen(part->literal) : part->size;
            while (!weir_pgm_packet_put(&packet, &frame)) {
                expect(&vector, &at, &packet);
                weir_pgm_packet_start(&packet);
            }
            begins = !part->more;
        }
        expect(&vector, &at, &packet);
    }
    vector_free(&vector);
}

/* At a packet of 1500 octets. */
static void test_line_134_sent(void **state)
{
    (void)state;
    record("epgm-4.3.4", 1500 - 20 - 8 - 44);
    record("pgm-4.3.4", 1500 - 20 - 44);
}

/* Every size near where the length changes its form, cut anywhere. */
static void test_there_and_back(void **state)
{
    static const size_t sizes[] = {0, 1, 252, 253, 254, 255, 256, 5000};
    static uint8_t memory[300], octets[5000];

    (void)state;
    for (size_t room = 3; room < sizeof memory; room += 7) {
        struct weir_pgm_packet packet = {memory, room, 0};
        struct stream stream = {0};
        char want[TEXT_MAX] = "";

        text[0] = '\0';
        memset(octets, 'x', sizeof octets);
        weir_pgm_packet_start(&packet);
        for (size_t i = 0; i < 8; i++) {
            struct weir_pgm_frame frame = {octets, sizes[i], 0, i % 2 == 0,
                                           i % 2 == 0};

            while (!weir_pgm_packet_put(&packet, &frame)) {
                assert_int_equal(take(&stream, memory, packet.size), 0);
                weir_pgm_packet_start(&packet);
            }
            assert_int_equal(frame.sent, weir_pgm_frame_octets(sizes[i]));
            snprintf(want + strlen(want), sizeof want - strlen(want),
                     "%zu:%s%s", sizes[i], sizes[i] ? "x" : "",
                     i % 2 == 0 ? "+" : ";");
        }
        assert_int_equal(take(&stream, memory, packet.size), 0);
        assert_string_equal(text, want);
    }
}

/* ---- what is no packet ---- */

static void test_refused(void **state)
{
    struct weir_pgm_apdu apdu;
    struct stream stream = {0};

    (void)state;
    assert_int_equal(weir_pgm_apdu_open(&apdu, "", 0), -EPROTO);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\0", 1), -EPROTO);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\0\0", 2), 0);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\0\1", 2), -EPROTO);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\0\1x", 3), 0);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\xff\xffx", 3), 0);
    assert_int_equal(weir_pgm_apdu_open(&apdu, "\xff\xfex", 3), -EPROTO);

    /* A length without the flags. */
    assert_int_equal(take(&stream, (const uint8_t *)"\0\0\0\0", 4), -EPROTO);
    memset(&stream, 0, sizeof stream);
    assert_int_equal(take(&stream,
                          (const uint8_t *)"\0\0\xff\0\0\0\0\0\0\0\0\0", 12),
                     -EPROTO);
}

/* An offset may be that of the next packet's first octet. */
static void test_offset_at_end(void **state)
{
    struct stream stream = {0};

    (void)state;
    text[0] = '\0';
    assert_int_equal(take(&stream, (const uint8_t *)"\0\3xyz", 5), 0);
    assert_true(stream.joined);
    assert_int_equal(take(&stream, (const uint8_t *)"\0\0\3\0ok", 6), 0);
    assert_string_equal(text, "2:ok;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_134_offsets),
        cmocka_unit_test(test_line_135_late_join),
        cmocka_unit_test(test_line_135_loss),
        cmocka_unit_test(test_line_135_old_sender),
        cmocka_unit_test(test_line_134_sent),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_offset_at_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
