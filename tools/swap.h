/*
 * swap.h - what the parts of `weir swap` share: what was asked for.
 * Above: swap.c.  Below: swap_drain.c.
 */
#ifndef WEIR_TOOLS_SWAP_H
#define WEIR_TOOLS_SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "args.h"
#include "swap_store.h"

/* Exit codes, beside 0, 1 (something failed or is left) and 2 (arguments). */
enum { WEIR_SWAP_IN_USE = 3 };

struct weir_swap_settings {
    const char *store, *format, *type;
    struct weir_args_list binds, connects, options;
    uint64_t count;
    double timeout;
    bool json, yes;
};

/* Send the messages of an opened queue to where the settings say, oldest
 * first, and let each block go when it has been handed over.  Returns an exit
 * code; what was not handed over is in the queue. */
int weir_swap_drain(const struct weir_swap_settings *set,
                    struct weir_swap *swap);

/* Are type and addresses there and right?  Returns 0, or 2 after a complaint.
 */
int weir_swap_drain_check(const struct weir_swap_settings *set);

#endif
