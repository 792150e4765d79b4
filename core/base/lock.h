/*
 * lock.h - a mutual exclusion lock in four octets.
 * Above: socket.h and whoever has state that threads share.  Below: park.h.
 *
 * Not recursive, not fair.  Hold it for the length of a few hundred
 * instructions: never across a sleep, a spin or a system call.
 */
#ifndef WEIR_BASE_LOCK_H
#define WEIR_BASE_LOCK_H

#include "base/debug.h"
#include "base/park.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum weir_lock_state {
    WEIR_LOCK_FREE,
    WEIR_LOCK_HELD,
    WEIR_LOCK_CONTENDED /* held, and a thread may be asleep waiting for it */
};

/* Zeroed memory is a free lock too. */
struct weir_lock {
    _Atomic uint32_t word;
};

/* The slow halves of take and release; not for others. */
void weir_lock_wait(struct weir_lock *lock);
void weir_lock_wake(struct weir_lock *lock);

/* Make `lock` free.  There is nothing to undo at the end. */
static inline void weir_lock_init(struct weir_lock *lock)
{
    atomic_init(&lock->word, WEIR_LOCK_FREE);
}

/* Take the lock if it is free, and say whether it was.  Like releasing it, this
 * has its place in the one order of what is sequentially consistent, also when
 * it fails: who leaves word and then fails may rely on the holder, who looks
 * for it after releasing.
 * Thread: any. */
static inline bool weir_lock_try(struct weir_lock *lock)
{
    uint32_t state = WEIR_LOCK_FREE;

    return atomic_compare_exchange_strong_explicit(&lock->word, &state,
                                                   WEIR_LOCK_HELD,
                                                   memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

/* Take the lock, however long it takes.
 * Thread: any but the one that holds it. */
static inline void weir_lock_take(struct weir_lock *lock)
{
    if (WEIR_UNLIKELY(!weir_lock_try(lock)))
        weir_lock_wait(lock);
}

/* Give the lock back.  Once this has begun another thread may hold, release
 * and free the lock.
 * Thread: the one that holds it. */
static inline void weir_lock_release(struct weir_lock *lock)
{
    uint32_t state = atomic_exchange_explicit(&lock->word, WEIR_LOCK_FREE,
                                              memory_order_seq_cst);

    weir_debug_assert(state != WEIR_LOCK_FREE);
    if (WEIR_UNLIKELY(state == WEIR_LOCK_CONTENDED))
        weir_lock_wake(lock);
}

/* Whether somebody holds the lock at this moment; for assertions only. */
static inline bool weir_lock_held(struct weir_lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) !=
           WEIR_LOCK_FREE;
}

#endif
