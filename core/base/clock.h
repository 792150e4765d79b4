/*
 * clock.h - monotonic time and deadlines.
 * Above: everything that waits.  Below: clock_gettime.
 *
 * Inside the library a deadline is an absolute monotonic time in nanoseconds;
 * the public calls take relative milliseconds, turned into one on entry.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

/* The deadline that never passes. */
#define WEIR_NEVER INT64_MAX

/* Nanoseconds since some fixed time in the past; never goes back and is never
 * set.
 * Thread: any. */
int64_t weir_now(void);

/* The absolute deadline `ms` milliseconds from now: WEIR_NEVER when `ms` is
 * negative; 0, which has always passed, without a look at the clock when `ms`
 * is 0.
 * Thread: any. */
int64_t weir_deadline_in(int ms);

/* Whole milliseconds until `deadline`, rounded up, as poll() takes them: -1
 * for WEIR_NEVER, 0 if it has passed, INT_MAX at most.
 * Thread: any. */
int weir_deadline_left(int64_t deadline);

/* One turn of a spinning loop: tells the processor that we only wait. */
static inline void weir_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

#endif
