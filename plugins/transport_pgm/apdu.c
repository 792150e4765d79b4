/* apdu.c - see apdu.h. */
#include "config.h"

#include "apdu.h"

#include <errno.h>
#include <string.h>

enum { LONG = 0xff, LONG_FROM = 254, MORE = 1 };

static unsigned get_u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* ---- receiving ---- */

int weir_pgm_apdu_open(struct weir_pgm_apdu *apdu, const void *data,
                       size_t size)
{
    const uint8_t *octets = data;

    if (size < WEIR_PGM_OFFSET)
        return -EPROTO;
    apdu->offset = get_u16(octets);
    apdu->at = octets + WEIR_PGM_OFFSET;
    apdu->end = octets + size;
    if (apdu->offset != WEIR_PGM_NO_MESSAGE &&
        apdu->offset > size - WEIR_PGM_OFFSET)
        return -EPROTO;
    return 0;
}

static unsigned head_size(const struct weir_pgm_decoder *decoder)
{
    return decoder->head[0] == LONG ? WEIR_PGM_HEAD_MAX : 2;
}

/* Gather the head.  1: it is complete; 0: the packet is used up. */
static int take_head(struct weir_pgm_decoder *decoder,
                     struct weir_pgm_apdu *apdu)
{
    uint64_t length;

    while (decoder->have == 0 || decoder->have < head_size(decoder)) {
        if (apdu->at == apdu->end)
            return 0;
        decoder->head[decoder->have++] = *apdu->at++;
    }
    length = decoder->head[0] == LONG ? get_u64(decoder->head + 1)
                                      : decoder->head[0];
    if (length == 0) /* the flags are a part of it */
        return -EPROTO;
    decoder->size = decoder->left = length - 1;
    decoder->more = decoder->head[decoder->have - 1] & MORE;
    decoder->inside = true;
    return 1;
}

int weir_pgm_decode(struct weir_pgm_decoder *decoder,
                    struct weir_pgm_apdu *apdu, struct weir_pgm_piece *piece)
{
    int rc = decoder->inside ? 1 : take_head(decoder, apdu);
    size_t here = (size_t)(apdu->end - apdu->at);

    if (rc <= 0)
        return rc;
    if (here == 0 && decoder->left > 0)
        return 0;
    if (here > decoder->left)
        here = (size_t)decoder->left;
    piece->data = apdu->at;
    piece->size = here;
    piece->frame = decoder->size;
    piece->more = decoder->more;
    piece->first = decoder->left == decoder->size;
    decoder->left -= here;
    apdu->at += here;
    piece->last = decoder->left == 0;
    if (piece->last) {
        decoder->inside = false;
        decoder->have = 0;
    }
    return 1;
}

/* ---- sending ---- */

void weir_pgm_packet_start(struct weir_pgm_packet *packet)
{
    put_u16(packet->data, WEIR_PGM_NO_MESSAGE);
    packet->size = WEIR_PGM_OFFSET;
}

static unsigned head_of(const struct weir_pgm_frame *frame, uint8_t *head)
{
    uint8_t flags = frame->more ? MORE : 0;

    if (frame->size < LONG_FROM) {
        head[0] = (uint8_t)(frame->size + 1);
        head[1] = flags;
        return 2;
    }
    head[0] = LONG;
    put_u64(head + 1, (uint64_t)frame->size + 1);
    head[9] = flags;
    return WEIR_PGM_HEAD_MAX;
}

uint64_t weir_pgm_frame_octets(size_t size)
{
    return (uint64_t)size + (size < LONG_FROM ? 2 : WEIR_PGM_HEAD_MAX);
}

static void note_message(struct weir_pgm_packet *packet,
                         const struct weir_pgm_frame *frame)
{
    if (frame->begins && frame->sent == 0 &&
        get_u16(packet->data) == WEIR_PGM_NO_MESSAGE)
        put_u16(packet->data, (unsigned)(packet->size - WEIR_PGM_OFFSET));
}

/* Copy what fits of `size` octets, from where earlier packets ended. */
static void append(struct weir_pgm_packet *packet, struct weir_pgm_frame *frame,
                   const uint8_t *from, uint64_t size)
{
    size_t n = packet->room - packet->size;

    if (n > size)
        n = (size_t)size;
    if (n > 0)
        memcpy(packet->data + packet->size, from, n);
    packet->size += n;
    frame->sent += n;
}

bool weir_pgm_packet_put(struct weir_pgm_packet *packet,
                         struct weir_pgm_frame *frame)
{
    uint8_t head[WEIR_PGM_HEAD_MAX];
    unsigned n = head_of(frame, head);

    if (packet->size == packet->room)
        return false;
    note_message(packet, frame);
    if (frame->sent < n)
        append(packet, frame, head + frame->sent, n - frame->sent);
    if (frame->sent >= n && frame->size > 0)
        append(packet, frame, (const uint8_t *)frame->data + (frame->sent - n),
               frame->size + n - frame->sent);
    return frame->sent == (uint64_t)frame->size + n;
}
