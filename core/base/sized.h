/*
 * sized.h - public structs that begin with their size and grow at their end.
 * Above: the public calls that fill one.  Below: error.h.
 */
#ifndef WEIR_BASE_SIZED_H
#define WEIR_BASE_SIZED_H

#include <stddef.h>

/* May a struct be filled: is there one, and has it `least` octets by its own
 * word, which is the size of its version 1?  `what` is its name in sentences.
 * Thread: any.  Errors: -EINVAL. */
int weir_sized_check(const void *out, size_t least, const char *what);

/* Fill `out`, which was checked, from a struct of `size` octets: as much as it
 * has room for, and zeroes behind what there is.  Its own size stays.
 * Thread: any. */
void weir_sized_give(void *out, const void *from, size_t size);

#endif
