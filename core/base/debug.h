/*
 * debug.h - checks of our own invariants, and branch hints.
 * Above: everything in core.  Below: nothing.
 */
#ifndef WEIR_BASE_DEBUG_H
#define WEIR_BASE_DEBUG_H

/* Trap when `x` is false, in builds with WEIR_DEBUG only; elsewhere `x` is
 * compiled but never evaluated.  For invariants that only a fault of ours can
 * break: never for memory, peers, plugins or what the application passes. */
#ifdef WEIR_DEBUG
#define weir_debug_assert(x) ((x) ? (void)0 : __builtin_trap())
#else
#define weir_debug_assert(x) ((void)sizeof(!(x)))
#endif

/* What is hardly ever called: it stays out of its callers, and out of their
 * way. */
#define WEIR_COLD __attribute__((cold, noinline))

/* What would cost the short way through its caller registers, if inline. */
#define WEIR_NOINLINE __attribute__((noinline))

/* What the compiler takes for too long, where a call would cost a good part of
 * what it does. */
#define WEIR_INLINE inline __attribute__((always_inline))

/* The usual outcome of a condition on a hot path. */
#define WEIR_LIKELY(x)   __builtin_expect(!!(x), 1)
#define WEIR_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
