/*
 * places.h - a table of the blocks that a store keeps, by handle.
 *
 * Places are used again; a handle has the turn of its place in it, so that one
 * that is over is none.
 * Above: store_file.c, recover.c.  Below: malloc.
 */
#ifndef WEIR_STORE_FILE_PLACES_H
#define WEIR_STORE_FILE_PLACES_H

#include <stdbool.h>
#include <stdint.h>

struct weir_segment;

/* A block that is kept, or a free place for one. */
struct weir_place {
    struct weir_segment *segment; /* NULL: free */
    uint64_t at, len;             /* where its octets, or its record, begin */
    uint64_t first;               /* sequence number */
    uint32_t messages, consumed;
    uint32_t crc;       /* durable: of its octets */
    uint32_t turn;      /* of the place; a part of the handle */
    uint32_t next_free; /* place + 1; 0 is the end */
    uint8_t mark;       /* durable: the one that was written last */
    bool headless;      /* durable: its head is damaged */
};

/* All zero: empty. */
struct weir_places {
    struct weir_place *list;
    uint32_t count, free; /* of all places; the first free one + 1 */
};

/* Make sure that there is a free place.  Errors: -ENOMEM. */
int weir_places_reserve(struct weir_places *places);

/* Take a free place, which there must be: the lowest ones first, as long as
 * none has been let go.  The caller fills it. */
struct weir_place *weir_places_take(struct weir_places *places);

/* Let a place go: its handle is over. */
void weir_places_free(struct weir_places *places, struct weir_place *place);

int64_t weir_places_handle(const struct weir_places *places,
                           const struct weir_place *place);

/* The place of a handle; NULL: there is no such block. */
struct weir_place *weir_places_find(const struct weir_places *places,
                                    int64_t handle);

void weir_places_fini(struct weir_places *places);

#endif
