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

/* Classes from here on are large: 2 MB and more. */
#define LARGE_CLASS 10

/* Mappings of a power of two and the header: a part of a page more. */
#define MAP_EXTRA 4096

struct weir_pool {
    /* the owner's */
    struct weir_chunk *free[WEIR_CHUNK_CLASSES];
    uint64_t kept, limit;        /* octets */
    bool large_used;             /* since weir_pool_age() */
    _Atomic uint32_t kept_large; /* chunks; the owner's, others may look */

    /* anybody's */
    _Alignas(64) _Atomic(struct weir_chunk *) returned;
    _Atomic uint64_t returned_octets;
    _Atomic uint32_t returned_large;
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

static bool is_large(const struct weir_chunk *chunk)
{
    return chunk->class >= LARGE_CLASS;
}

/* Octets that a chunk counts in its pool; large ones are counted apart. */
static uint64_t weight(const struct weir_chunk *chunk)
{
    return is_large(chunk) ? 0 : sizeof(*chunk) + class_capacity(chunk->class);
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

static uint32_t kept_large(const struct weir_pool *pool)
{
    return atomic_load_explicit(&pool->kept_large, memory_order_relaxed);
}

static void count_large(struct weir_pool *pool, uint32_t n)
{
    atomic_store_explicit(&pool->kept_large, n, memory_order_relaxed);
}

static bool has_place(const struct weir_pool *pool,
                      const struct weir_chunk *chunk)
{
    if (is_large(chunk))
        return kept_large(pool) < WEIR_CHUNK_LARGE;
    return pool->kept + weight(chunk) <= pool->limit;
}

static void keep(struct weir_pool *pool, struct weir_chunk *chunk)
{
    if (chunk->class == WEIR_CHUNK_CLASSES || !has_place(pool, chunk)) {
        discard(pool, chunk);
        return;
    }
    pool->kept += weight(chunk);
    if (is_large(chunk))
        count_large(pool, kept_large(pool) + 1);
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
    uint32_t large = 0;

    if (!atomic_load_explicit(&pool->returned, memory_order_relaxed))
        return;
    chunk =
        atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    for (; chunk; chunk = next) {
        next = chunk->free;
        octets += weight(chunk);
        large += is_large(chunk);
        keep(pool, chunk);
    }
    atomic_fetch_sub_explicit(&pool->returned_octets, octets,
                              memory_order_relaxed);
    if (large > 0)
        atomic_fetch_sub_explicit(&pool->returned_large, large,
                                  memory_order_relaxed);
}

static void discard_all(struct weir_pool *pool, unsigned class)
{
    struct weir_chunk *chunk;

    while ((chunk = pool->free[class])) {
        pool->free[class] = chunk->free;
        discard(pool, chunk);
    }
}

static void empty_large(struct weir_pool *pool)
{
    for (unsigned class = LARGE_CLASS; class < WEIR_CHUNK_CLASSES; class ++)
        discard_all(pool, class);
    count_large(pool, 0);
}

static void empty(struct weir_pool *pool)
{
    for (unsigned class = 0; class < LARGE_CLASS; class ++)
        discard_all(pool, class);
    pool->kept = 0;
    empty_large(pool);
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
    pool->large_used = false;
    pool->limit = limit;
    atomic_init(&pool->kept_large, 0);
    atomic_init(&pool->returned, NULL);
    atomic_init(&pool->returned_octets, 0);
    atomic_init(&pool->returned_large, 0);
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

bool weir_pool_has_large(const struct weir_pool *pool)
{
    return kept_large(pool) > 0 ||
           atomic_load_explicit(&pool->returned_large, memory_order_relaxed) >
               0;
}

void weir_pool_age(struct weir_pool *pool)
{
    take_back(pool);
    if (!pool->large_used)
        empty_large(pool);
    pool->large_used = false;
}

static struct weir_chunk *reuse(struct weir_pool *pool, unsigned class)
{
    struct weir_chunk *chunk;

    if (class == WEIR_CHUNK_CLASSES)
        return NULL;
    if (class >= LARGE_CLASS)
        pool->large_used = true;
    if (!pool->free[class])
        take_back(pool);
    chunk = pool->free[class];
    if (!chunk)
        return NULL;
    pool->free[class] = chunk->free;
    pool->kept -= weight(chunk);
    if (is_large(chunk))
        count_large(pool, kept_large(pool) - 1);
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

/* Does enough wait on the return stack?  Several may find that it does not at
 * the same time: then it is a little more. */
static bool takes_back(struct weir_pool *pool, const struct weir_chunk *chunk)
{
    if (is_large(chunk))
        return atomic_load_explicit(&pool->returned_large,
                                    memory_order_relaxed) < WEIR_CHUNK_LARGE;
    return atomic_load_explicit(&pool->returned_octets, memory_order_relaxed) +
               weight(chunk) <=
           pool->limit;
}

/* Push a chunk on the return stack of its pool, unless enough waits there or
 * nobody will come for it.  Once pushed, chunk and pool are out of our hands.
 * Release: the owner finds our uses of the chunk behind it. */
static bool give_back(struct weir_pool *pool, struct weir_chunk *chunk)
{
    struct weir_chunk *top;

    if (chunk->class == WEIR_CHUNK_CLASSES || !takes_back(pool, chunk))
        return false;
    atomic_fetch_add_explicit(&pool->returned_octets, weight(chunk),
                              memory_order_relaxed);
    if (is_large(chunk))
        atomic_fetch_add_explicit(&pool->returned_large, 1,
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
