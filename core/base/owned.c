#include "config.h"

#include "base/owned.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 1024, BLOCKS = 4096 };

struct block {
    _Atomic uint32_t owners[BLOCK];
};

static _Atomic(struct block *) blocks[BLOCKS];

static struct block *make_block(_Atomic(struct block *) *place)
{
    struct block *block = calloc(1, sizeof *block), *there = NULL;

    if (!block || atomic_compare_exchange_strong(place, &there, block))
        return block;
    free(block);
    return there;
}

/* NULL: there is none, or no memory to `make` it. */
static _Atomic uint32_t *owner_of(int fd, bool make)
{
    struct block *block;

    if (fd < 0 || fd >= BLOCK * BLOCKS)
        return NULL;
    block = atomic_load(&blocks[fd / BLOCK]);
    if (!block && make)
        block = make_block(&blocks[fd / BLOCK]);
    return block ? &block->owners[fd % BLOCK] : NULL;
}

void weir_owned_add(int fd, uint32_t owner)
{
    _Atomic uint32_t *place = owner_of(fd, true);
    uint32_t nobody = 0;

    if (!place)
        return;
    if (owner & WEIR_OWNED_CONTEXT)
        atomic_compare_exchange_strong(place, &nobody, owner);
    else
        atomic_store(place, owner);
}

void weir_owned_remove(int fd, uint32_t owner)
{
    _Atomic uint32_t *place = owner_of(fd, false);

    if (place)
        atomic_compare_exchange_strong(place, &owner, 0);
}

static void close_in(struct block *block, int first, uint32_t owner)
{
    for (int i = 0; i < BLOCK; i++) {
        uint32_t is = owner;

        if (atomic_compare_exchange_strong(&block->owners[i], &is, 0))
            close(first + i);
    }
}

void weir_owned_close(uint32_t owner)
{
    for (int i = 0; i < BLOCKS; i++) {
        struct block *block = atomic_load(&blocks[i]);

        if (block)
            close_in(block, i * BLOCK, owner);
    }
}
