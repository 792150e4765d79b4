/*
 * record.h - how a segment of a durable queue reads: its first octets, what
 * goes before a block, and the marks that say what of it is consumed.
 *
 * Pure: no input, no output.  weir_store_file(7) has the form in full.
 * Above: recover.c, store_file.c.  Below: crc32c.h.
 */
#ifndef WEIR_STORE_FILE_RECORD_H
#define WEIR_STORE_FILE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_RECORD_HEAD                                                    \
    64                       /* octets before a segment's first record, and \
                                before a block */
#define WEIR_RECORD_MARK  16 /* octets of a mark */
#define WEIR_RECORD_MARKS 2  /* of a block, written in turn */
#define WEIR_RECORD_ALL   UINT32_MAX /* what a mark says when all is consumed */

struct weir_record {
    uint64_t first, len;
    uint32_t messages;
    uint32_t crc; /* of the block */
};

/* Where a record begins is a multiple of WEIR_RECORD_HEAD, so that no head and
 * no mark lies in two sectors. */
static inline uint64_t weir_record_align(uint64_t at)
{
    return (at + WEIR_RECORD_HEAD - 1) & ~(uint64_t)(WEIR_RECORD_HEAD - 1);
}

/* A segment's first octets. */
void weir_record_begin(uint8_t head[WEIR_RECORD_HEAD], uint64_t number);

enum weir_record_begun {
    WEIR_RECORD_OURS,
    WEIR_RECORD_TORN,   /* never written, or half of it */
    WEIR_RECORD_FOREIGN /* another kind of file, or another version */
};

/* What are these, at the beginning of a file of `size` octets? */
enum weir_record_begun weir_record_check(const uint8_t head[WEIR_RECORD_HEAD],
                                         uint64_t size, uint64_t number);

/* What goes before a block; nothing of it is consumed.  A head is good in one
 * place only: in segment `number` at octet `at`. */
void weir_record_pack(uint8_t head[WEIR_RECORD_HEAD], uint64_t number,
                      uint64_t at, const struct weir_record *record);

/* Returns whether it is whole.  *consumed: messages of it, or WEIR_RECORD_ALL.
 * *mark: the one that says so, which the next one must not overwrite. */
bool weir_record_unpack(const uint8_t head[WEIR_RECORD_HEAD], uint64_t number,
                        uint64_t at, struct weir_record *record,
                        uint32_t *consumed, uint8_t *mark);

/* A mark for a block's record. */
void weir_record_mark(uint8_t mark[WEIR_RECORD_MARK], uint64_t number,
                      uint64_t at, uint32_t consumed);

/* Where mark 0 or 1 of a record lies. */
static inline uint64_t weir_record_mark_at(uint64_t at, uint8_t mark)
{
    return at + 32 + (uint64_t)mark * WEIR_RECORD_MARK;
}

#endif
