/*
 * chunk.h - counted memory: what a queue is a list of and a frame a part of.
 * Above: queue.h, frame.h.  Below: malloc and mmap.
 *
 * A chunk is a header of two cache lines.  Its octets lie behind it (memory
 * of its own), in another chunk that it holds a reference to, or in memory of
 * the application.
 *
 * Chunks come from pools.  A pool belongs to one producing side and is used by
 * one thread at a time, but the last reference to a chunk may be dropped
 * anywhere, at any time, long after sockets and contexts are gone: the chunk
 * then goes to its pool's return stack, which the owner empties in one go.  A
 * pool is counted by its chunks, so it outlives its owner for as long as a
 * frame somewhere needs it.
 *
 * Chunks of 64 KB and more are mapped straight from the system, because
 * memory that went through free() stays resident behind whatever was
 * allocated after it; unmapped memory is gone at once.
 */
#ifndef WEIR_CHUNK_H
#define WEIR_CHUNK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/debug.h"

/* References that whoever got a chunk from a pool holds.  It may hand out
 * that many single ones without touching the counter, count them in a plain
 * variable, and in the end drop WEIR_CHUNK_HOLD minus what it handed out. */
#define WEIR_CHUNK_HOLD (UINT64_C(1) << 32)

/* `used` of a chunk that is still being written. */
#define WEIR_CHUNK_OPEN UINT64_MAX

/* Size classes of a pool: 0 is a header alone, 1 to 15 are 4 KB to 64 MB.
 * A chunk of class WEIR_CHUNK_CLASSES is never kept in a pool. */
#define WEIR_CHUNK_CLASSES 16

/* Chunks of more than 1 MB are the memory of one message each, and fresh
 * memory costs more than to copy the message there: a pool keeps so many at
 * hand, and as many may wait on its return stack. */
#define WEIR_CHUNK_LARGE 2

enum weir_chunk_flags {
    WEIR_CHUNK_MIDWAY = 1, /* begins inside a message */
    WEIR_CHUNK_BODY = 2,   /* is the body of one frame, whose head ends the
                              chunk before */
    WEIR_CHUNK_LATEST = 4  /* one message, from the slot of a latest queue */
};

struct weir_pool;

struct weir_chunk {
    /* Line 0: written by the queue's producer before it publishes an octet
     * beyond the point of change, so plain fields do. */
    struct weir_chunk *next;
    uint64_t base;         /* stream offset of data[0] */
    _Atomic uint64_t used; /* WEIR_CHUNK_OPEN, or the final octets */
    uint8_t *data;
    uint64_t messages;   /* of the queue that end before this chunk's end; set
                            when the chunk is sealed */
    size_t capacity;     /* octets at data */
    uint8_t flags;       /* enum weir_chunk_flags */
    uint8_t frame_flags; /* of the frame whose body this is */
    uint8_t class;       /* below WEIR_CHUNK_CLASSES, or that: not pooled */

    /* Line 1: used by whoever lets go. */
    _Alignas(64) _Atomic uint64_t refs;
    struct weir_pool *home;   /* NULL: none */
    struct weir_chunk *owner; /* one reference held: data lies in there */
    struct weir_chunk *free;  /* next in the pool or on the return stack */
    void (*release)(void *data, void *hint); /* memory of the application */
    void *hint;
    size_t mapped; /* octets of the mapping that this is in; 0: malloc */
};

/* Make a pool for one producing side.  It keeps up to `limit` octets of free
 * chunks at hand, not counting large ones, and as much again may wait on the
 * return stack; it wants to be at least the octets that a queue streams (1 MB
 * does well).
 * Returns NULL without memory.
 * Thread: the caller becomes the owner; owners may change, one at a time. */
struct weir_pool *weir_pool_new(uint64_t limit);

/* Leave a pool.  What it keeps is freed at once, the rest as the last
 * references go; then the pool itself.
 * Thread: the owner. */
void weir_pool_close(struct weir_pool *pool);

/* Give all kept memory back to the system.
 * Returns whether that is all: no chunk is in use.
 * Thread: the owner. */
bool weir_pool_trim(struct weir_pool *pool);

/* Is there a large chunk that nobody uses?  A hint.
 * Thread: any. */
bool weir_pool_has_large(const struct weir_pool *pool);

/* Give the large ones back if none was got since the last call.
 * Thread: the owner. */
void weir_pool_age(struct weir_pool *pool);

/* Get a chunk with room for `capacity` octets or more, or with 0 a header
 * alone, whose data the caller sets.  It is open and WEIR_CHUNK_HOLD
 * references belong to the caller.
 * Returns NULL without memory.
 * Thread: the owner. */
struct weir_chunk *weir_pool_get(struct weir_pool *pool, size_t capacity);

/* The same if the pool has one at hand; NULL if memory would have to be
 * allocated.
 * Thread: the owner. */
struct weir_chunk *weir_pool_reuse(struct weir_pool *pool, size_t capacity);

/* Make a chunk, got from a pool with a capacity of 64 KB or more, larger.
 * The first `keep` octets stay.  The chunk must be nobody else's; it may move.
 * Returns the chunk, or NULL without memory: `chunk` is then as it was.
 * Thread: the owner. */
struct weir_chunk *weir_pool_grow(struct weir_pool *pool,
                                  struct weir_chunk *chunk, size_t keep,
                                  size_t capacity);

/* Make a chunk of `size` octets without a pool, in one allocation.  One
 * reference is the caller's.
 * Returns NULL without memory.
 * Thread: any. */
struct weir_chunk *weir_chunk_new(size_t size);

/* Make a chunk around the caller's memory.  release(data, hint) is called by
 * whoever drops the last reference; NULL: nothing is.  One reference is the
 * caller's.
 * Returns NULL without memory; release is not called then.
 * Thread: any. */
struct weir_chunk *weir_chunk_wrap(void *data, size_t size,
                                   void (*release)(void *, void *), void *hint);

/* Make `chunk`, a header alone, refer to `size` octets in `owner`, and take a
 * reference to it (or to the chunk that it refers to itself, so that
 * references never form a chain).
 * Thread: the one that holds `chunk` and a reference to `owner`. */
void weir_chunk_refer(struct weir_chunk *chunk, struct weir_chunk *owner,
                      void *data, size_t size);

/* The last reference is gone; not for others.
 * Thread: any. */
void weir_chunk_free(struct weir_chunk *chunk);

/* Take `n` more references.
 * Thread: any that holds one. */
static inline void weir_chunk_ref(struct weir_chunk *chunk, uint64_t n)
{
    atomic_fetch_add_explicit(&chunk->refs, n, memory_order_relaxed);
}

/* Drop `n` references; the last one frees.
 * Thread: any that holds them.
 *
 * Release, so that all that this thread did with the octets comes before
 * their next use; acquire, so that the last one sees the same of the others.
 * A thread that finds only its own references needs no read-modify-write:
 * nobody else is left who could change the counter. */
static inline void weir_chunk_unref(struct weir_chunk *chunk, uint64_t n)
{
    uint64_t refs = atomic_load_explicit(&chunk->refs, memory_order_acquire);

    if (refs == n ||
        atomic_fetch_sub_explicit(&chunk->refs, n, memory_order_acq_rel) == n)
        weir_chunk_free(chunk);
}

#endif
