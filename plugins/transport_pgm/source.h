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

/* What is lost of a source shows in the numbers of its packets, and openpgm
 * announces it: before or after that, once for each packet or twice.  So the
 * numbers count, and announcements only of losses that no packet follows. */
struct weir_pgm_losses {
    uint32_t announced; /* times that no gap in the numbers accounts for */
    uint32_t foreseen;  /* times that the last gap may be announced yet */
    uint64_t gap_at;    /* ns, when the last gap was seen */
    uint32_t told;      /* packets told of before a gap in the numbers came */
};

struct weir_pgm_source {
    struct weir_pgm_source *before, *after; /* in the table */
    uint64_t id;                            /* as octets on the wire */
    bool numbered;                          /* `next` is known */
    uint32_t next;                          /* the next packet's number */
    bool joined;                            /* the decoder is in step */
    struct weir_pgm_decoder decoder;
    weir_view frame; /* one that goes over several packets; owned or empty */
    size_t room;     /* octets of its memory */
    struct weir_pgm_losses losses;
};

/* Those that were heard last, the latest first. */
struct weir_pgm_sources {
    struct weir_pgm_source *first, *last;
    unsigned n;
};

enum {
    WEIR_PGM_SOURCES_MAX = 1024,
    WEIR_PGM_LATE = 500000000 /* ns: losses without a gap are told then */
};

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

/* Packets are missing in the numbers.  Returns how many of them have not been
 * told of. */
uint32_t weir_pgm_losses_gap(struct weir_pgm_losses *losses, uint32_t lost,
                             uint64_t now);

/* openpgm announces losses. */
void weir_pgm_losses_announce(struct weir_pgm_losses *losses, uint32_t times,
                              uint64_t now);

/* Nothing has come for a while.  Returns how many packets are lost that no
 * gap accounts for; they count as told. */
uint32_t weir_pgm_losses_tell(struct weir_pgm_losses *losses);

void weir_pgm_sources_fini(struct weir_pgm_sources *sources,
                           const weir_host *host);

#endif
