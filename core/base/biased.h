/*
 * biased.h - a mutual exclusion lock that costs next to nothing for the one
 * thread that keeps taking it.
 * Above: socket.h.  Below: fence.h, park.h.
 *
 * Most sockets are one thread's.  An atomic read-modify-write each to take and
 * to release its lock is then most of what a short message costs.  So a thread
 * that has taken the lock often enough in a row leaves it biased to itself:
 * from then on it only notes, with a plain store, that it is inside, and looks
 * whether the word is as it was.  Who else wants the lock takes the bias away
 * first: it changes the word, passes a heavy fence, and looks where the owner
 * is.  If that is inside, it holds the lock as anybody does from here on, and
 * will find out when it releases it; if not, the lock is the newcomer's.
 *
 * The owner, when it finds the word changed, waits until the other has decided:
 * some microseconds, and longer only if that one was interrupted just then.
 *
 * The heavy fence interrupts every processor that runs a thread of the process,
 * and takes as long as the slowest of them.  So an owner can give the bias up
 * himself, before he sleeps until somebody takes the lock to wake him.
 *
 * Where the kernel has no cheap asymmetric fence nothing is ever biased, and
 * this is the lock of lock.h.
 *
 * Not recursive, not fair.  Hold it for the length of a few hundred
 * instructions: never across a sleep or a spin, nor a system call but for
 * those with which another lock is taken or released.
 */
#ifndef WEIR_BASE_BIASED_H
#define WEIR_BASE_BIASED_H

#include "base/debug.h"
#include "base/fence.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The low octet of the word; above it, where somebody is the owner, is which
 * resident that is. */
enum weir_biased_state {
    WEIR_BIASED_FREE,
    WEIR_BIASED_HELD,
    WEIR_BIASED_CONTENDED, /* held, and a thread may be asleep waiting for it */
    WEIR_BIASED_OWNED,     /* free, or held by the owner */
    WEIR_BIASED_REVOKING   /* somebody finds out which of the two */
};

enum {
    WEIR_BIASED_EARNED = 256, /* takes in a row by one thread: then it owns */
    WEIR_BIASED_RESIDENTS = 512,
    WEIR_BIASED_INDEX = 8 /* bits below it */
};

struct weir_biased {
    _Atomic uint32_t word;
    uint32_t streak;     /* takes by `last` in a row; guarded by the lock */
    weir_thread_id last; /* the same */
    _Atomic(struct weir_resident *) handed_to; /* the owner was inside when the
                                               bias was taken away */
};

/* A thread that has owned a lock.  One that has the same id later, when
 * the first is gone, goes on with it. */
struct weir_resident {
    _Alignas(64) weir_thread_id thread;   /* never changes once in use */
    _Atomic(struct weir_biased *) inside; /* held by being the owner; NULL */
};

/* Not for others. */
extern struct weir_resident weir_residents[WEIR_BIASED_RESIDENTS];
bool weir_biased_try_slowly(struct weir_biased *lock);
void weir_biased_wait(struct weir_biased *lock);
bool weir_biased_await_decision(struct weir_biased *lock,
                                struct weir_resident *owner);
void weir_biased_release_slowly(struct weir_biased *lock);

/* Make `lock` free, and nobody's.  There is nothing to undo at the end.  Zeroed
 * memory is a free lock too. */
void weir_biased_init(struct weir_biased *lock);

/* In a forked child: the threads that were inside are not here.
 * Thread: the only one. */
void weir_biased_in_child(void);

/* Whose the lock is; NULL: nobody's, or another thread's. */
static inline struct weir_resident *weir_biased_owner_if_me(uint32_t word)
{
    struct weir_resident *owner = &weir_residents[word >> WEIR_BIASED_INDEX];

    if (WEIR_LIKELY((uint8_t)word == WEIR_BIASED_OWNED &&
                    weir_thread_same(owner->thread, weir_thread_self())))
        return owner;
    return NULL;
}

/* Is another thread the owner, so that it costs a heavy fence to take it?  A
 * moment later it may be otherwise. */
static inline bool weir_biased_is_anothers(struct weir_biased *lock)
{
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

    return (uint8_t)word == WEIR_BIASED_OWNED && !weir_biased_owner_if_me(word);
}

/* The owner's way in and out, which calls nothing, for who has other ways where
 * it is not to be had.
 *
 * Returns NULL to who is not the owner.  Else this thread is inside, with the
 * lock's word in *word, and has the lock if weir_biased_is_quiet() once says
 * so; if not, or if it would rather go another way, weir_biased_stays() says
 * whether it has it, or had to stand aside.  It leaves by weir_biased_leave(),
 * or after weir_biased_stays() by weir_biased_release().
 * Thread: any. */
static inline struct weir_resident *weir_biased_enter(struct weir_biased *lock,
                                                      uint32_t *word)
{
    struct weir_resident *owner;

    *word = atomic_load_explicit(&lock->word, memory_order_acquire);
    owner = weir_biased_owner_if_me(*word);
    if (WEIR_UNLIKELY(!owner || atomic_load_explicit(&owner->inside,
                                                     memory_order_relaxed)))
        return NULL;
    atomic_store_explicit(&owner->inside, lock, memory_order_relaxed);
    weir_fence_light();
    return owner;
}

static inline bool weir_biased_is_quiet(struct weir_biased *lock, uint32_t word)
{
    return atomic_load_explicit(&lock->word, memory_order_acquire) == word;
}

bool weir_biased_stays(struct weir_biased *lock, struct weir_resident *owner);

/* False: somebody has asked for the lock meanwhile; then weir_biased_left() has
 * to be called. */
static inline bool weir_biased_leave(struct weir_biased *lock,
                                     struct weir_resident *owner, uint32_t word)
{
    weir_debug_assert(atomic_load(&owner->inside) == lock);
    atomic_store_explicit(&owner->inside, NULL, memory_order_release);
    weir_fence_light();
    return atomic_load_explicit(&lock->word, memory_order_relaxed) == word;
}

void weir_biased_left(struct weir_biased *lock, struct weir_resident *owner);

/* Take the lock if it is free, and say whether it was.  Like releasing it, this
 * has its place in the one order of what is sequentially consistent, also when
 * it fails: who leaves word and then fails may rely on the holder, who looks
 * for it after releasing.
 * Thread: any. */
static inline bool weir_biased_try(struct weir_biased *lock)
{
    uint32_t word;
    struct weir_resident *owner = weir_biased_enter(lock, &word);

    if (WEIR_UNLIKELY(!owner))
        return weir_biased_try_slowly(lock);
    return WEIR_LIKELY(weir_biased_is_quiet(lock, word)) ||
           weir_biased_await_decision(lock, owner) ||
           weir_biased_try_slowly(lock);
}

/* Take the lock, however long it takes.
 * Thread: any but the one that holds it. */
static inline void weir_biased_take(struct weir_biased *lock)
{
    if (WEIR_UNLIKELY(!weir_biased_try(lock)))
        weir_biased_wait(lock);
}

/* Give the lock back.  Once this has begun another thread may hold and release
 * it; its memory has to stay.
 * Thread: the one that holds it. */
static inline void weir_biased_release(struct weir_biased *lock)
{
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    struct weir_resident *owner = &weir_residents[word >> WEIR_BIASED_INDEX];

    if (WEIR_UNLIKELY((uint8_t)word != WEIR_BIASED_OWNED)) {
        weir_biased_release_slowly(lock);
        return;
    }
    if (WEIR_UNLIKELY(!weir_biased_leave(lock, owner, word)))
        weir_biased_left(lock, owner);
}

/* The same for who sleeps now, until somebody takes the lock to wake it: nobody
 * has to take a bias away for that.  To take and release the lock once makes
 * the thread its owner again, if nobody had it in between.
 * Thread: the one that holds it. */
void weir_biased_give_up(struct weir_biased *lock);

#endif
