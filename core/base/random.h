/*
 * random.h - octets that nobody can guess.
 * Above: map.h, routing ids, jitter.  Below: getrandom(2) or /dev/urandom.
 */
#ifndef WEIR_BASE_RANDOM_H
#define WEIR_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill `size` octets at `data`.  Nothing is kept between calls, so a child
 * process does not repeat what its parent drew.
 * Thread: any.
 * Errors: whatever opening or reading /dev/urandom gives, where there is no
 *         getrandom. */
int weir_random_fill(void *data, size_t size);

/* A number from 0 to limit - 1, every one as likely; 0 if `limit` is 0.  For
 * jitter, not for secrets: where no random octets can be had it makes do with
 * the clock.
 * Thread: any. */
uint64_t weir_random_below(uint64_t limit);

#endif
