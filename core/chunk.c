#include "config.h"

#include "chunk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Under AddressSanitizer all memory comes from malloc, which it watches. */
#if defined(__SANITIZE_ADDRESS__)
#define MAP_CLASS WEIR_CHUNK_CLASSES
#else
#define MAP_CLASS 5
#endif

#define SMALLEST 4096

/* Mappings of a power of two and the header: a part of a page more. */
#define MAP_EXTRA 4096

struct weir_pool {
    /* the owner's */
    struct weir_chunk *free[WEIR_CHUNK_CLASSES];
    uint64_t kept, limit; /* octets */

    /* anybody's */
    _Alignas(64) _Atomic(struct weir_chunk *) returned;
    _Atomic uint64_t returned_octets;
    _Atomic uint64_t refs; /* the owner's, and one of each chunk there is */
};

_Static_assert(sizeof(struct weir_chunk) == 128, "two cache lines");

/* What `returned` points to when there is no owner any more. */
static struct weir_chunk closed;

/* ------------------------------------------------------------- memory -- */

static size_t class_capacity(unsigned class)
{
    return class ? (size_t)SMALLEST << (class - 1) : 0;
}

static unsigned class_of(size_t capacity)
{
    unsigned class = 0;

    while (class < WEIR_CHUNK_CLASSES && class_capacity(class) < capacity)
        class ++;
    return class;
}

/* Octets that a chunk counts in its pool. */
static uint64_t weight(const struct weir_chunk *chunk)
{
    return sizeof(*chunk) + class_capacity(chunk->class);
}

/* The smallest mapping for a class, or for a capacity beyond all classes.
 * 0: there is no such size. */
static size_t mapping_size(unsigned class, size_t capacity)
{
    if (class < WEIR_CHUNK_CLASSES)
        return class_capacity(class) + MAP_EXTRA;
    if (capacity > SIZE_MAX / 2)
        return 0;
    return (capacity / MAP_EXTRA + 2) * MAP_EXTRA;
}

static struct weir_chunk *map_chunk(size_t size)
{
    struct weir_chunk *chunk;

    if (size == 0)
        return NULL;
    chunk = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return NULL;
    chunk->mapped = size;
    chunk->capacity = size - sizeof(*chunk);
    return chunk;
}

static struct weir_chunk *malloc_chunk(size_t capacity)
{
    size_t line = _Alignof(struct weir_chunk);
    struct weir_chunk *chunk;

    if (capacity > SIZE_MAX / 2)
        return NULL;
    capacity = (capacity + line - 1) / line * line;
    chunk = aligned_alloc(line, sizeof(*chunk) + capacity);
    if (!chunk)
        return NULL;
    chunk->mapped = 0;
    chunk->capacity = capacity;
    return chunk;
}

static struct weir_chunk *allocate(unsigned class, size_t capacity)
{
    struct weir_chunk *chunk;

    if (class < WEIR_CHUNK_CLASSES)
        capacity = class_capacity(class);
    if (class >= MAP_CLASS)
        chunk = map_chunk(mapping_size(class, capacity));
    else
        chunk = malloc_chunk(capacity);
    if (chunk)
        chunk->class = (uint8_t) class;
    return chunk;
}

/* The system may refuse to unmap, when that would split one mapping too many;
 * the pages can always go, and the addresses are all that is lost. */
static void deallocate(struct weir_chunk *chunk)
{
    size_t mapped = chunk->mapped;

    if (mapped == 0)
        free(chunk);
    else if (munmap(chunk, mapped))
        (void)madvise(chunk, mapped, MADV_DONTNEED);
}

/* All fields but those that say what memory it is. */
static void prepare(struct weir_chunk *chunk, struct weir_pool *home,
                    uint64_t refs)
{
    chunk->next = NULL;
    chunk->base = 0;
    atomic_store_explicit(&chunk->used, WEIR_CHUNK_OPEN, memory_order_relaxed);
    chunk->data = (uint8_t *)(chunk + 1);
    chunk->messages = 0;
    chunk->flags = 0;
    chunk->frame_flags = 0;
    atomic_store_explicit(&chunk->refs, refs, memory_order_relaxed);
    chunk->home = home;
    chunk->owner = NULL;
    chunk->release = NULL;
}

/* -------------------------------------------------------------- pools -- */

static void drop_pool(struct weir_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) == 1)
        free(pool);
}

static void discard(struct weir_pool *pool, struct weir_chunk *chunk)
{
    deallocate(chunk);
    drop_pool(pool);
}

static void keep(struct weir_pool *pool, struct weir_chunk *chunk)
{
    if (chunk->class == WEIR_CHUNK_CLASSES ||
        pool->kept + weight(chunk) > pool->limit) {
        discard(pool, chunk);
        return;
    }
    pool->kept += weight(chunk);
    chunk->free = pool->free[chunk->class];
    pool->free[chunk->class] = chunk;
}

/* Empty the return stack.  Chunks are only ever pushed one by one and taken
 * all together, so no pointer can be mistaken for another that was there
 * before.  Acquire: their last users are done with them. */
static void take_back(struct weir_pool *pool)
{
    struct weir_chunk *chunk, *next;
    uint64_t octets = 0;

    if (!atomic_load_explicit(&pool->returned, memory_order_relaxed))
        return;
    chunk =
        atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    for (; chunk; chunk = next) {
        next = chunk->free;
        octets += weight(chunk);
        keep(pool, chunk);
    }
    atomic_fetch_sub_explicit(&pool->returned_octets, octets,
                              memory_order_relaxed);
}

static void empty(struct weir_pool *pool)
{
    struct weir_chunk *chunk;

    for (unsigned class = 0; class < WEIR_CHUNK_CLASSES; class ++)
        while ((chunk = pool->free[class])) {
            pool->free[class] = chunk->free;
            discard(pool, chunk);
        }
    pool->kept = 0;
}

struct weir_pool *weir_pool_new(uint64_t limit)
{
    struct weir_pool *pool =
        aligned_alloc(_Alignof(struct weir_pool), sizeof(*pool));

    if (!pool)
        return NULL;
    for (unsigned class = 0; class < WEIR_CHUNK_CLASSES; class ++)
        pool->free[class] = NULL;
    pool->kept = 0;
    pool->limit = limit;
    atomic_init(&pool->returned, NULL);
    atomic_init(&pool->returned_octets, 0);
    atomic_init(&pool->refs, 1);
    return pool;
}

void weir_pool_close(struct weir_pool *pool)
{
    struct weir_chunk *chunk, *next;

    chunk = atomic_exchange_explicit(&pool->returned, &closed,
                                     memory_order_acq_rel);
    for (; chunk; chunk = next) {
        next = chunk->free;
        discard(pool, chunk);
    }
    empty(pool);
    drop_pool(pool);
}

bool weir_pool_trim(struct weir_pool *pool)
{
    take_back(pool);
    empty(pool);
    return atomic_load_explicit(&pool->refs, memory_order_relaxed) == 1;
}

static struct weir_chunk *reuse(struct weir_pool *pool, unsigned class)
{
    struct weir_chunk *chunk;

    if (class == WEIR_CHUNK_CLASSES)
        return NULL;
    if (!pool->free[class])
        take_back(pool);
    chunk = pool->free[class];
    if (!chunk)
        return NULL;
    pool->free[class] = chunk->free;
    pool->kept -= weight(chunk);
    return chunk;
}

struct weir_chunk *weir_pool_get(struct weir_pool *pool, size_t capacity)
{
    unsigned class = class_of(capacity);
    struct weir_chunk *chunk = reuse(pool, class);

    if (!chunk) {
        chunk = allocate(class, capacity);
        if (!chunk)
            return NULL;
        atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    }
    prepare(chunk, pool, WEIR_CHUNK_HOLD);
    return chunk;
}

struct weir_chunk *weir_pool_reuse(struct weir_pool *pool, size_t capacity)
{
    struct weir_chunk *chunk = reuse(pool, class_of(capacity));

    if (chunk)
        prepare(chunk, pool, WEIR_CHUNK_HOLD);
    return chunk;
}

/* ThreadSanitizer does not see that memory moves: it takes what was at the
 * place before, and belonged to another thread, for the same.  gcc says that
 * it is there by the first of these, clang by the second. */
#if defined(__SANITIZE_THREAD__)
#define MOVES 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MOVES 0
#endif
#endif
#ifndef MOVES
#define MOVES 1
#endif

#if defined(MREMAP_MAYMOVE) && MOVES
static struct weir_chunk *remap(struct weir_chunk *chunk, size_t capacity)
{
    unsigned class = class_of(capacity);
    size_t size = mapping_size(class, capacity);

    if (chunk->mapped == 0 || size == 0)
        return NULL;
    chunk = mremap(chunk, chunk->mapped, size, MREMAP_MAYMOVE);
    if (chunk == MAP_FAILED)
        return NULL;
    chunk->mapped = size;
    chunk->capacity = size - sizeof(*chunk);
    chunk->class = (uint8_t) class;
    chunk->data = (uint8_t *)(chunk + 1);
    return chunk;
}
#else
static struct weir_chunk *remap(struct weir_chunk *chunk, size_t capacity)
{
    (void)chunk;
    (void)capacity;
    return NULL;
}
#endif

struct weir_chunk *weir_pool_grow(struct weir_pool *pool,
                                  struct weir_chunk *chunk, size_t keep,
                                  size_t capacity)
{
    struct weir_chunk *larger = remap(chunk, capacity);

    if (larger)
        return larger;
    larger = weir_pool_get(pool, capacity);
    if (!larger)
        return NULL;
    memcpy(larger->data, chunk->data, keep);
    weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    return larger;
}

/* ------------------------------------------------------------- chunks -- */

struct weir_chunk *weir_chunk_new(size_t size)
{
    struct weir_chunk *chunk = malloc_chunk(size);

    if (!chunk)
        return NULL;
    chunk->class = WEIR_CHUNK_CLASSES;
    prepare(chunk, NULL, 1);
    return chunk;
}

struct weir_chunk *weir_chunk_wrap(void *data, size_t size,
                                   void (*release)(void *, void *), void *hint)
{
    struct weir_chunk *chunk = weir_chunk_new(0);

    if (!chunk)
        return NULL;
    chunk->data = data;
    chunk->capacity = size;
    chunk->release = release;
    chunk->hint = hint;
    return chunk;
}

void weir_chunk_refer(struct weir_chunk *chunk, struct weir_chunk *owner,
                      void *data, size_t size)
{
    if (owner->owner)
        owner = owner->owner;
    weir_chunk_ref(owner, 1);
    chunk->owner = owner;
    chunk->data = data;
    chunk->capacity = size;
}

/* Push a chunk on the return stack of its pool, unless enough waits there or
 * nobody will come for it.  Once pushed, chunk and pool are out of our hands.
 * Release: the owner finds our uses of the chunk behind it. */
static bool give_back(struct weir_pool *pool, struct weir_chunk *chunk)
{
    struct weir_chunk *top;

    if (chunk->class == WEIR_CHUNK_CLASSES ||
        atomic_load_explicit(&pool->returned_octets, memory_order_relaxed) +
                weight(chunk) >
            pool->limit)
        return false;
    atomic_fetch_add_explicit(&pool->returned_octets, weight(chunk),
                              memory_order_relaxed);
    top = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do {
        if (top == &closed)
            return false;
        chunk->free = top;
    } while (!atomic_compare_exchange_weak_explicit(&pool->returned, &top,
                                                    chunk, memory_order_release,
                                                    memory_order_relaxed));
    return true;
}

/* An owner is a root, so this goes no deeper than one. */
void weir_chunk_free(struct weir_chunk *chunk)
{
    struct weir_pool *pool = chunk->home;

    if (chunk->owner)
        weir_chunk_unref(chunk->owner, 1);
    if (chunk->release)
        chunk->release(chunk->data, chunk->hint);
    if (!pool)
        deallocate(chunk);
    else if (!give_back(pool, chunk))
        discard(pool, chunk);
}
