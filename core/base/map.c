#include "config.h"

#include "base/map.h"

#include "base/debug.h"
#include "base/error.h"
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FEWEST_BUCKETS 8

struct weir_map_entry {
    struct weir_map_entry *next;
    uint64_t hash;
    void *value;
    size_t size;
    unsigned char key[];
};

/* ---- SipHash-2-4, from its description by Aumasson and Bernstein ---- */

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void stir(struct sip *sip, int rounds)
{
    while (rounds-- > 0) {
        sip->a += sip->b;
        sip->c += sip->d;
        sip->b = rotate(sip->b, 13) ^ sip->a;
        sip->d = rotate(sip->d, 16) ^ sip->c;
        sip->a = rotate(sip->a, 32);
        sip->c += sip->b;
        sip->a += sip->d;
        sip->b = rotate(sip->b, 17) ^ sip->c;
        sip->d = rotate(sip->d, 21) ^ sip->a;
        sip->c = rotate(sip->c, 32);
    }
}

static void absorb(struct sip *sip, uint64_t word)
{
    sip->d ^= word;
    stir(sip, 2);
    sip->a ^= word;
}

/* Up to eight octets as a little-endian number. */
static uint64_t number(const unsigned char *data, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)data[i] << (8 * i);
    return word;
}

uint64_t weir_map_hash(const uint64_t secret[2], const void *data, size_t size)
{
    struct sip sip = {
        secret[0] ^ 0x736f6d6570736575,
        secret[1] ^ 0x646f72616e646f6d,
        secret[0] ^ 0x6c7967656e657261,
        secret[1] ^ 0x7465646279746573,
    };
    const unsigned char *at = data;
    size_t left = size;

    for (; left >= 8; left -= 8, at += 8)
        absorb(&sip, number(at, 8));
    absorb(&sip, number(at, left) | (uint64_t)size << 56);
    sip.c ^= 0xff;
    stir(&sip, 4);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

/* ---- the map ---- */

int weir_map_init(struct weir_map *map)
{
    memset(map, 0, sizeof *map);
    return weir_random_fill(map->secret, sizeof map->secret);
}

void weir_map_fini(struct weir_map *map)
{
    while (weir_map_pop(map) != NULL)
        continue;
    free(map->buckets);
    map->buckets = NULL;
}

/* Where the pointer to the entry is, or to NULL at the end of its bucket;
 * there are buckets. */
static struct weir_map_entry **find(const struct weir_map *map, uint64_t hash,
                                    const void *key, size_t size)
{
    struct weir_map_entry **link = &map->buckets[hash & map->mask];

    for (; *link != NULL; link = &(*link)->next)
        if ((*link)->hash == hash && (*link)->size == size &&
            (size == 0 || memcmp((*link)->key, key, size) == 0))
            break;
    return link;
}

static void push(struct weir_map *map, struct weir_map_entry *entry)
{
    struct weir_map_entry **bucket = &map->buckets[entry->hash & map->mask];

    entry->next = *bucket;
    *bucket = entry;
}

/* Go over to `wanted` buckets.  Without memory for them the old ones go on,
 * only slower. */
static int rebuild(struct weir_map *map, size_t wanted)
{
    struct weir_map_entry **old = map->buckets;
    size_t old_count = old != NULL ? map->mask + 1 : 0;
    struct weir_map_entry **fresh = calloc(wanted, sizeof *fresh);

    if (fresh == NULL)
        return -ENOMEM;
    map->buckets = fresh;
    map->mask = wanted - 1;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct weir_map_entry *entry = old[i];

            old[i] = entry->next;
            push(map, entry);
        }
    }
    free(old);
    return 0;
}

static struct weir_map_entry *new_entry(uint64_t hash, const void *key,
                                        size_t size, void *value)
{
    struct weir_map_entry *entry;

    if (size > SIZE_MAX - sizeof *entry)
        return NULL;
    entry = malloc(sizeof *entry + size);
    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    entry->value = value;
    entry->size = size;
    if (size > 0)
        memcpy(entry->key, key, size);
    return entry;
}

int weir_map_put(struct weir_map *map, const void *key, size_t size,
                 void *value)
{
    uint64_t hash = weir_map_hash(map->secret, key, size);
    struct weir_map_entry *entry;

    weir_debug_assert(value != NULL);
    if (map->buckets == NULL && rebuild(map, FEWEST_BUCKETS) < 0)
        goto no_memory;
    if (*find(map, hash, key, size) != NULL)
        return weir_fail(EEXIST, "a key of %zu octets is there already", size);
    entry = new_entry(hash, key, size, value);
    if (entry == NULL)
        goto no_memory;
    if (map->count > map->mask)
        (void)rebuild(map, 2 * (map->mask + 1));
    push(map, entry);
    map->count++;
    return 0;
no_memory:
    return weir_fail(ENOMEM, "out of memory for a key of %zu octets", size);
}

void *weir_map_get(const struct weir_map *map, const void *key, size_t size)
{
    struct weir_map_entry *entry;

    if (map->count == 0)
        return NULL;
    entry = *find(map, weir_map_hash(map->secret, key, size), key, size);
    return entry != NULL ? entry->value : NULL;
}

/* Take out the entry that *link points to. */
static void *take(struct weir_map *map, struct weir_map_entry **link)
{
    struct weir_map_entry *entry = *link;
    void *value = entry->value;

    *link = entry->next;
    free(entry);
    map->count--;
    return value;
}

void *weir_map_remove(struct weir_map *map, const void *key, size_t size)
{
    struct weir_map_entry **link;
    void *value;

    if (map->count == 0)
        return NULL;
    link = find(map, weir_map_hash(map->secret, key, size), key, size);
    if (*link == NULL)
        return NULL;
    value = take(map, link);
    if (map->mask >= FEWEST_BUCKETS && map->count < map->mask / 8)
        (void)rebuild(map, (map->mask + 1) / 4);
    return value;
}

/* It goes on where the last one stopped, so that taking everything looks at
 * every bucket once. */
void *weir_map_pop(struct weir_map *map)
{
    if (map->count == 0)
        return NULL;
    while (map->buckets[map->cursor & map->mask] == NULL)
        map->cursor++;
    return take(map, &map->buckets[map->cursor & map->mask]);
}

int weir_map_each(const struct weir_map *map,
                  int (*visit)(void *argument, const void *key, size_t size,
                               void *value),
                  void *argument)
{
    size_t buckets = map->buckets != NULL ? map->mask + 1 : 0;

    for (size_t i = 0; i < buckets; i++) {
        struct weir_map_entry *entry = map->buckets[i];

        for (; entry != NULL; entry = entry->next) {
            int result = visit(argument, entry->key, entry->size, entry->value);

            if (result != 0)
                return result;
        }
    }
    return 0;
}
