/* source.c - see source.h. */
#include "config.h"

#include "source.h"

#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------- losses -- */

uint32_t weir_pgm_losses_gap(struct weir_pgm_losses *losses, uint32_t lost,
                             uint64_t now)
{
    uint32_t known = lost < losses->told ? lost : losses->told;
    uint32_t twice = lost > UINT32_MAX / 2 ? UINT32_MAX : 2 * lost;

    losses->foreseen =
        twice > losses->announced ? twice - losses->announced : 0;
    losses->announced = losses->told = 0;
    losses->gap_at = now;
    return lost - known;
}

void weir_pgm_losses_announce(struct weir_pgm_losses *losses, uint32_t times,
                              uint64_t now)
{
    uint32_t old;

    if (now - losses->gap_at > WEIR_PGM_LATE)
        losses->foreseen = 0;
    old = times < losses->foreseen ? times : losses->foreseen;
    losses->foreseen -= old;
    losses->announced += times - old;
}

uint32_t weir_pgm_losses_tell(struct weir_pgm_losses *losses)
{
    uint32_t lost = (losses->announced + 1) / 2;

    losses->announced = 0;
    losses->told += lost;
    return lost;
}

/* -------------------------------------------------------------- sources -- */

static void take_out(struct weir_pgm_sources *sources,
                     struct weir_pgm_source *source)
{
    *(source->before ? &source->before->after : &sources->first) =
        source->after;
    *(source->after ? &source->after->before : &sources->last) = source->before;
}

static void put_first(struct weir_pgm_sources *sources,
                      struct weir_pgm_source *source)
{
    source->before = NULL;
    source->after = sources->first;
    *(source->after ? &source->after->before : &sources->last) = source;
    sources->first = source;
}

void weir_pgm_source_leave(struct weir_pgm_source *source,
                           const weir_host *host)
{
    if (source->frame.owner)
        host->view_free(&source->frame, 1);
    memset(&source->frame, 0, sizeof source->frame);
    memset(&source->decoder, 0, sizeof source->decoder);
    source->room = 0;
    source->joined = false;
}

static void forget(struct weir_pgm_sources *sources,
                   struct weir_pgm_source *source, const weir_host *host)
{
    weir_pgm_source_leave(source, host);
    take_out(sources, source);
    free(source);
    sources->n--;
}

static struct weir_pgm_source *find(const struct weir_pgm_sources *sources,
                                    uint64_t id)
{
    struct weir_pgm_source *source = sources->first;

    while (source && source->id != id)
        source = source->after;
    return source;
}

static struct weir_pgm_source *add(struct weir_pgm_sources *sources,
                                   const weir_host *host, uint64_t id,
                                   uint64_t *gone)
{
    struct weir_pgm_source *source = calloc(1, sizeof *source);

    if (!source)
        return NULL;
    if (sources->n == WEIR_PGM_SOURCES_MAX) {
        if (sources->last->joined)
            *gone = sources->last->id;
        forget(sources, sources->last, host);
    }
    source->id = id;
    put_first(sources, source);
    sources->n++;
    return source;
}

struct weir_pgm_source *weir_pgm_source_get(struct weir_pgm_sources *sources,
                                            const weir_host *host, uint64_t id,
                                            uint64_t *gone)
{
    struct weir_pgm_source *source = sources->first;

    *gone = 0;
    if (source && source->id == id)
        return source;
    source = find(sources, id);
    if (!source)
        return add(sources, host, id, gone);
    take_out(sources, source);
    put_first(sources, source);
    return source;
}

void weir_pgm_sources_fini(struct weir_pgm_sources *sources,
                           const weir_host *host)
{
    while (sources->first)
        forget(sources, sources->first, host);
}
