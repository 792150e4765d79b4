/*
 * map.h - a hash map from octet strings to pointers.
 * Above: routing ids, inproc names, plugin names, sockets.  Below: random.h.
 *
 * Keys are copied and hashed with SipHash under a secret of the map, so peers
 * that choose keys cannot make them collide.  The caller's lock guards it.
 */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct weir_map_entry;

struct weir_map {
    struct weir_map_entry **buckets; /* NULL until the first put */
    size_t mask;                     /* buckets - 1, buckets a power of two */
    size_t count;
    size_t cursor; /* where weir_map_pop() looks next */
    uint64_t secret[2];
};

/* Make an empty map; it has no memory of its own yet.
 * Errors: those of weir_random_fill(). */
int weir_map_init(struct weir_map *map);

/* Free the map and its keys.  The values are the caller's. */
void weir_map_fini(struct weir_map *map);

/* Map a copy of the key to `value`, which is not NULL.
 * Errors: -EEXIST (nothing changed), -ENOMEM. */
int weir_map_put(struct weir_map *map, const void *key, size_t size,
                 void *value);

/* The value under the key, or NULL. */
void *weir_map_get(const struct weir_map *map, const void *key, size_t size);

/* Forget the key; returns its value, or NULL if there was none. */
void *weir_map_remove(struct weir_map *map, const void *key, size_t size);

/* Forget some key; returns its value, or NULL if the map is empty.  For
 * tearing down. */
void *weir_map_pop(struct weir_map *map);

/* Call visit() for every entry, in no particular order, until it returns
 * something else than 0, and return that; otherwise 0.  visit() leaves the map
 * alone. */
int weir_map_each(const struct weir_map *map,
                  int (*visit)(void *argument, const void *key, size_t size,
                               void *value),
                  void *argument);

/* SipHash-2-4 of `size` octets at `data` under `secret`. */
uint64_t weir_map_hash(const uint64_t secret[2], const void *data, size_t size);

#endif
