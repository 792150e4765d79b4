/* record.c - see record.h. */
#include "config.h"

#include "record.h"

#include "../common/crc32c.h"
#include "../common/little.h"

#include <string.h>

#define put weir_common_put
#define get weir_common_get

static const uint8_t segment_magic[8] = {'w', 'e', 'i', 'r', 's', 'e', 'g', 1};
static const uint8_t block_magic[4] = {'W', 'B', 'L', 'K'};

/* ---- the beginning ---- */

void weir_record_begin(uint8_t head[WEIR_RECORD_HEAD], uint64_t number)
{
    memset(head, 0, WEIR_RECORD_HEAD);
    memcpy(head, segment_magic, sizeof segment_magic);
    put(head + 8, number, 8);
    put(head + 28, weir_common_crc32c(0, head, 28), 4);
}

static bool is_zero(const uint8_t *at, size_t size)
{
    while (size > 0 && at[size - 1] == 0)
        size--;
    return size == 0;
}

enum weir_record_begun weir_record_check(const uint8_t head[WEIR_RECORD_HEAD],
                                         uint64_t size, uint64_t number)
{
    uint8_t want[WEIR_RECORD_HEAD];
    size_t there = size < WEIR_RECORD_HEAD ? (size_t)size : WEIR_RECORD_HEAD;

    weir_record_begin(want, number);
    if (memcmp(head, want, there) != 0 && !is_zero(head, there))
        return WEIR_RECORD_FOREIGN;
    return memcmp(head, want, WEIR_RECORD_HEAD) == 0 &&
                   there == WEIR_RECORD_HEAD
               ? WEIR_RECORD_OURS
               : WEIR_RECORD_TORN;
}

/* ---- blocks ---- */

/* A sum over octets, and the place where they belong. */
static uint32_t sum_here(uint64_t number, uint64_t at, const uint8_t *data,
                         size_t size)
{
    uint8_t place[16];

    put(place, number, 8);
    put(place + 8, at, 8);
    return weir_common_crc32c(weir_common_crc32c(0, place, sizeof place), data,
                              size);
}

void weir_record_pack(uint8_t head[WEIR_RECORD_HEAD], uint64_t number,
                      uint64_t at, const struct weir_record *record)
{
    memset(head, 0, WEIR_RECORD_HEAD);
    memcpy(head, block_magic, sizeof block_magic);
    put(head + 8, record->first, 8);
    put(head + 16, record->len, 8);
    put(head + 24, record->messages, 4);
    put(head + 28, record->crc, 4);
    put(head + 4, sum_here(number, at, head + 8, 24), 4);
}

/* The marks have no order but the one that what is consumed grows. */
static void unpack_marks(const uint8_t head[WEIR_RECORD_HEAD], uint64_t number,
                         uint64_t at, uint32_t *consumed, uint8_t *mark)
{
    *consumed = 0;
    *mark = WEIR_RECORD_MARKS - 1;
    for (uint8_t i = 0; i < WEIR_RECORD_MARKS; i++) {
        const uint8_t *place = head + weir_record_mark_at(0, i);
        uint32_t value = (uint32_t)get(place + 8, 4);

        if (get(place, 4) != sum_here(number, at, place + 4, 12) ||
            value < *consumed)
            continue;
        *consumed = value;
        *mark = i;
    }
}

bool weir_record_unpack(const uint8_t head[WEIR_RECORD_HEAD], uint64_t number,
                        uint64_t at, struct weir_record *record,
                        uint32_t *consumed, uint8_t *mark)
{
    if (memcmp(head, block_magic, sizeof block_magic) != 0 ||
        get(head + 4, 4) != sum_here(number, at, head + 8, 24))
        return false;
    record->first = get(head + 8, 8);
    record->len = get(head + 16, 8);
    record->messages = (uint32_t)get(head + 24, 4);
    record->crc = (uint32_t)get(head + 28, 4);
    unpack_marks(head, number, at, consumed, mark);
    return true;
}

void weir_record_mark(uint8_t mark[WEIR_RECORD_MARK], uint64_t number,
                      uint64_t at, uint32_t consumed)
{
    memset(mark, 0, WEIR_RECORD_MARK);
    put(mark + 8, consumed, 4);
    put(mark, sum_here(number, at, mark + 4, 12), 4);
}
