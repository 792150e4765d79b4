/* places.c - see places.h. */
#include "config.h"

#include "places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MIN 64

static int grow(struct weir_places *places)
{
    uint32_t n = places->count ? 2 * places->count : PLACES_MIN;
    struct weir_place *list;

    if (n < places->count || n > INT32_MAX)
        return -ENOMEM;
    list = realloc(places->list, n * sizeof *list);
    if (!list)
        return -ENOMEM;
    memset(list + places->count, 0, (n - places->count) * sizeof *list);
    for (uint32_t i = n; i > places->count; i--) {
        list[i - 1].next_free = places->free;
        places->free = i;
    }
    places->list = list;
    places->count = n;
    return 0;
}

int weir_places_reserve(struct weir_places *places)
{
    return places->free == 0 ? grow(places) : 0;
}

struct weir_place *weir_places_take(struct weir_places *places)
{
    struct weir_place *place = &places->list[places->free - 1];

    places->free = place->next_free;
    return place;
}

void weir_places_free(struct weir_places *places, struct weir_place *place)
{
    place->segment = NULL;
    place->turn++;
    place->next_free = places->free;
    places->free = (uint32_t)(place - places->list) + 1;
}

int64_t weir_places_handle(const struct weir_places *places,
                           const struct weir_place *place)
{
    uint32_t turn = place->turn & INT32_MAX;

    return (int64_t)((uint64_t)turn << 32 | (uint32_t)(place - places->list));
}

struct weir_place *weir_places_find(const struct weir_places *places,
                                    int64_t handle)
{
    uint64_t at = (uint64_t)handle & UINT32_MAX;

    if (handle < 0 || at >= places->count || !places->list[at].segment ||
        weir_places_handle(places, &places->list[at]) != handle)
        return NULL;
    return &places->list[at];
}

void weir_places_fini(struct weir_places *places)
{
    free(places->list);
}
