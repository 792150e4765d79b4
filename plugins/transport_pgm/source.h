/*
 * source.h - who sends to a group, each with its place in its stream.
 *
 * A source is a session of a sender: PGM's global source id and its port.  A
 * sender that starts again is another.
 * Above: receive.c.  Below: apdu.h.
 */
#ifndef WEIR_PGM_SOURCE_H
#define WEIR_PGM_SOURCE_H

#include <weir/transport.h>

#include "apdu.h"

struct weir_pgm_source {
    struct weir_pgm_source *before, *after; /* in the table */
    uint64_t id;                            /* as octets on the wire */
    bool numbered;                          /* `next` is known */
    uint32_t next;                          /* the next packet's number */
    bool joined;                            /* the decoder is in step */
    struct weir_pgm_decoder decoder;
    weir_view frame; /* one that goes over several packets; owned or empty */
    size_t room;     /* octets of its memory */
    uint32_t owed;   /* lost packets that openpgm told of, and none else yet */
    uint32_t told;   /* lost packets told of before their place came */
};

/* Those that were heard last, the latest first. */
struct weir_pgm_sources {
    struct weir_pgm_source *first, *last;
    unsigned n;
};

enum { WEIR_PGM_SOURCES_MAX = 1024 };

/* Find a source, or add it.  With too many, the one that has been silent the
 * longest is forgotten; *gone gets its id then, if it was in the middle of
 * a message, or 0.
 * Returns NULL if there is no memory. */
struct weir_pgm_source *weir_pgm_source_get(struct weir_pgm_sources *sources,
                                            const weir_host *host, uint64_t id,
                                            uint64_t *gone);

/* Give up what has come of a message; the source is out of step. */
void weir_pgm_source_leave(struct weir_pgm_source *source,
                           const weir_host *host);

void weir_pgm_sources_fini(struct weir_pgm_sources *sources,
                           const weir_host *host);

#endif
