/*
 * fuzz_pgm.c - packets of a hostile source for the decoder of APDUs.
 *
 * An input is a row of packets, each with its length (2 octets) in front.
 * Every piece lies inside its packet, pieces of a frame add up to what it
 * says of itself, and what was decoded, encoded again into packets of another
 * size, decodes to the same.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/transport_pgm/apdu.h"
#include "tests/core/vector.h"
#include "tests/fuzz/driver.h"

enum { HEADER = 24, KEPT_MAX = 1 << 16, FRAMES_MAX = 4096 };

static void must(bool right)
{
    if (!right)
        __builtin_trap();
}

/* What has been decoded: whole frames. */
struct log {
    uint8_t octets[KEPT_MAX];
    size_t used;
    struct {
        size_t at, size;
        bool more;
    } frames[FRAMES_MAX];
    size_t n;
};

struct stream {
    struct weir_pgm_decoder decoder;
    uint64_t got;
    size_t begun; /* in the log */
    bool joined, whole;
};

static void take_piece(struct stream *stream, struct log *log,
                       const struct weir_pgm_piece *piece)
{
    must(piece->first == (stream->got == 0));
    if (piece->first) {
        stream->begun = log->used;
        stream->whole = true;
    }
    stream->got += piece->size;
    must(stream->got <= piece->frame);
    must(piece->last == (stream->got == piece->frame));
    if (log->used + piece->size > KEPT_MAX || log->n == FRAMES_MAX)
        stream->whole = false;
    if (stream->whole && piece->size > 0) {
        memcpy(log->octets + log->used, piece->data, piece->size);
        log->used += piece->size;
    }
    if (!piece->last)
        return;
    stream->got = 0;
    if (!stream->whole)
        return;
    log->frames[log->n].at = stream->begun;
    log->frames[log->n].size = (size_t)piece->frame;
    log->frames[log->n++].more = piece->more;
}

static void take(struct stream *stream, struct log *log, const uint8_t *data,
                 size_t size)
{
    struct weir_pgm_apdu apdu;
    struct weir_pgm_piece piece;
    const uint8_t *last;
    int rc = weir_pgm_apdu_open(&apdu, data, size);

    if (rc == 0 && !stream->joined && apdu.offset != WEIR_PGM_NO_MESSAGE) {
        apdu.at += apdu.offset;
        stream->joined = true;
    }
    if (rc == 0 && !stream->joined)
        return;
    while (rc == 0) {
        last = apdu.at;
        rc = weir_pgm_decode(&stream->decoder, &apdu, &piece);
        if (rc <= 0)
            break;
        must(piece.data >= last && piece.data + piece.size == apdu.at);
        must(apdu.at <= apdu.end);
        must(apdu.at > last || piece.frame == 0 || piece.first);
        take_piece(stream, log, &piece);
        rc = 0;
    }
    if (rc < 0)
        memset(stream, 0, sizeof *stream);
}

/* Encode what was decoded, and decode it again. */
static void there_and_back(const struct log *log, size_t room)
{
    static struct log again;
    static uint8_t memory[512];
    struct weir_pgm_packet packet = {memory, room, 0};
    struct stream stream = {0};

    again.used = again.n = 0;
    weir_pgm_packet_start(&packet);
    for (size_t i = 0; i < log->n; i++) {
        struct weir_pgm_frame frame = {.data = log->octets + log->frames[i].at,
                                       .size = log->frames[i].size,
                                       .begins =
                                           i == 0 || !log->frames[i - 1].more,
                                       .more = log->frames[i].more};

        while (!weir_pgm_packet_put(&packet, &frame)) {
            must(packet.size == room);
            take(&stream, &again, memory, packet.size);
            weir_pgm_packet_start(&packet);
        }
    }
    take(&stream, &again, memory, packet.size);
    must(again.n == log->n);
    for (size_t i = 0; i < log->n; i++) {
        must(again.frames[i].size == log->frames[i].size);
        must(again.frames[i].more == log->frames[i].more);
        must(log->frames[i].size == 0 ||
             memcmp(again.octets + again.frames[i].at,
                    log->octets + log->frames[i].at, log->frames[i].size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log log;
    struct stream stream = {0};
    size_t room = size > 0 ? 3 + data[0] : 3;

    log.used = log.n = 0;
    while (size > 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        uint8_t *packet;

        data += 2;
        size -= 2;
        if (n > size)
            n = size;
        packet = malloc(n); /* just as large, so that no octet more is read */
        must(packet != NULL || n == 0);
        if (n > 0)
            memcpy(packet, data, n);
        take(&stream, &log, packet, n);
        free(packet);
        data += n;
        size -= n;
    }
    there_and_back(&log, room);
    return 0;
}

size_t fuzz_seed(size_t i, uint8_t *out, size_t room)
{
    static const char *const names[] = {"epgm-4.3.4", "epgm-2.2.1",
                                        "pgm-4.3.4"};
    struct vector vector;
    size_t used = 0;

    if (i >= 3)
        return 0;
    must(vector_load(&vector, names[i]) == 0);
    for (size_t k = 0; k < vector.count; k++) {
        size_t n = vector.lines[k].len;

        if (n <= HEADER || vector.lines[k].data[4] != 4 || used + n > room)
            continue;
        n -= HEADER;
        out[used++] = (uint8_t)(n >> 8);
        out[used++] = (uint8_t)n;
        memcpy(out + used, vector.lines[k].data + HEADER, n);
        used += n;
    }
    vector_free(&vector);
    return used;
}
