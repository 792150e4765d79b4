/*
 * apdu.h - messages in packets, as libzmq has them over PGM.
 *
 * A packet's data are two octets, the offset, and then octets of one stream
 * of frames for each source.  The offset says where behind it the first
 * message of the packet begins, FFFF if none does.  A frame is its length
 * with the flags (1 octet, or FF and 8), the flags (bit 0: more frames), and
 * the octets of the frame; it may go over several packets.
 *
 * Pure: no input or output, no memory.
 * Above: send.c, receive.c, the fuzz target.  Below: nothing.
 */
#ifndef WEIR_PGM_APDU_H
#define WEIR_PGM_APDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEIR_PGM_OFFSET = 2, /* octets before the stream */
    WEIR_PGM_NO_MESSAGE = 0xffff,
    WEIR_PGM_HEAD_MAX = 10 /* octets before a frame */
};

/* ---- receiving ---- */

/* A packet's part of the stream. */
struct weir_pgm_apdu {
    const uint8_t *at, *end;
    unsigned offset; /* from `at`, WEIR_PGM_NO_MESSAGE = none */
};

/* Look at a packet's data.
 * Errors: -EPROTO too short, or an offset beyond the end. */
int weir_pgm_apdu_open(struct weir_pgm_apdu *apdu, const void *data,
                       size_t size);

/* Where in the stream of a source we are.  All zero: at the start of a
 * frame. */
struct weir_pgm_decoder {
    uint8_t head[WEIR_PGM_HEAD_MAX];
    unsigned have; /* octets of the head */
    bool inside;   /* the head is complete */
    bool more;     /* frames of this message follow */
    uint64_t size; /* of the frame */
    uint64_t left; /* octets of it that are still to come */
};

/* Octets of a frame that lie together in a packet. */
struct weir_pgm_piece {
    const uint8_t *data;
    size_t size;
    uint64_t frame;   /* octets of the whole frame */
    bool first, last; /* of its pieces */
    bool more;        /* frames of this message follow */
};

/* Take the next piece off the packet.  Returns 1, or 0 when the packet is
 * used up.  A frame gives at least one piece, be it an empty one.
 * Errors: -EPROTO a length that cannot be. */
int weir_pgm_decode(struct weir_pgm_decoder *decoder,
                    struct weir_pgm_apdu *apdu, struct weir_pgm_piece *piece);

/* ---- sending ---- */

/* A packet that is being filled.  The memory is the caller's. */
struct weir_pgm_packet {
    uint8_t *data;
    size_t room, size;
};

/* Begin an empty packet. */
void weir_pgm_packet_start(struct weir_pgm_packet *packet);

static inline bool weir_pgm_packet_empty(const struct weir_pgm_packet *packet)
{
    return packet->size == WEIR_PGM_OFFSET;
}

/* Octets that a frame takes in the stream. */
uint64_t weir_pgm_frame_octets(size_t size);

/* What to send: a frame, and how much of it (in octets of the stream) went
 * into packets before. */
struct weir_pgm_frame {
    const void *data;
    size_t size;
    uint64_t sent;
    bool begins; /* a message begins with it */
    bool more;   /* frames of this message follow */
};

/* Put as much of the frame into the packet as there is room for; frame->sent
 * grows.  Returns true when all of the frame is in packets. */
bool weir_pgm_packet_put(struct weir_pgm_packet *packet,
                         struct weir_pgm_frame *frame);

#endif
