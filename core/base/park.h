/*
 * park.h - sleeping until a 32-bit word changes.
 * Above: lock.h, queue.h, socket.h.  Below: futex, or a mutex and a condition
 * variable where there is none.
 */
#ifndef WEIR_BASE_PARK_H
#define WEIR_BASE_PARK_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleep if *word == seen, until weir_unpark(word) or the absolute monotonic
 * `deadline` in nanoseconds (WEIR_NEVER: none).  A signal does not end the
 * sleep.
 * Returns 0 when woken, or at once when *word differs from `seen`; it may also
 * return 0 for no reason, so call it in a loop that looks at the word.
 * Thread: any.
 * Errors: -ETIMEDOUT, without a sentence. */
int weir_park(_Atomic uint32_t *word, uint32_t seen, int64_t deadline);

/* Wake up to `count` of the threads that sleep on `word` (INT_MAX: all).
 * Change the word first.  `word` is used as an address only, so it may have
 * been freed by the thread that saw the change.
 * Thread: any. */
void weir_unpark(_Atomic uint32_t *word, int count);

/* In a forked child: nobody sleeps, and nobody is about to.
 * Thread: the only one. */
void weir_park_after_fork(void);

#endif
