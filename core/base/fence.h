/*
 * fence.h - an asymmetric memory barrier for "store mine, look at yours".
 * Above: queue.h, socket.h.  Below: membarrier(2), or a plain fence.
 *
 * Two threads that each store a word, pass a fence and load the other's word
 * cannot both miss the other's store, if at least one of the fences is heavy.
 * The side that runs for every message passes the light one, which costs
 * nothing where the kernel can interrupt the other processors for us; the side
 * that is about to sleep passes the heavy one.
 */
#ifndef WEIR_BASE_FENCE_H
#define WEIR_BASE_FENCE_H

#include "base/debug.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define WEIR_FENCE_REAL 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_FENCE_REAL 1
#endif
#endif

/* Whether light fences are compiler barriers; not for others. */
extern _Atomic bool weir_fence_asymmetric;

/* Find out what the kernel offers.  Call it before the first object that uses
 * fences is made; further calls do nothing.
 * Thread: any. */
void weir_fence_init(void);

/* May one side pass light fences for long, and count on the other's heavy
 * one?  They are real ones in ThreadSanitizer builds, which are not for speed.
 * Thread: any. */
static inline bool weir_fence_is_asymmetric(void)
{
#ifdef WEIR_FENCE_REAL
    return true;
#else
    return atomic_load_explicit(&weir_fence_asymmetric, memory_order_relaxed);
#endif
}

/* A fence that is real always, and that ThreadSanitizer builds accept: the
 * compiler warns there that the sanitizer does not model it, which only
 * matters to code that orders plain accesses by it. */
static inline void weir_fence_full(void)
{
#if defined(__SANITIZE_THREAD__) && __GNUC__ >= 11
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    atomic_thread_fence(memory_order_seq_cst);
#if defined(__SANITIZE_THREAD__) && __GNUC__ >= 11
#pragma GCC diagnostic pop
#endif
}

/* The cheap side.
 * Thread: any. */
static inline void weir_fence_light(void)
{
#ifndef WEIR_FENCE_REAL
    if (WEIR_LIKELY(weir_fence_is_asymmetric())) {
        atomic_signal_fence(memory_order_seq_cst);
        return;
    }
#endif
    weir_fence_full();
}

/* The dear side: a system call of some microseconds, or a plain fence.
 * Thread: any. */
void weir_fence_heavy(void);

#endif
