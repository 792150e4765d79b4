/*
 * pipe_swap.h - what pipe_swap.c and pipe_durable.c share.
 * Above: those two.  Below: endpoint.h, pipe.h, spill.h.
 */
#ifndef WEIR_PIPE_SWAP_H
#define WEIR_PIPE_SWAP_H

#include "endpoint.h"
#include "pipe.h"
#include "spill.h"

/* What a spill of a pipe's queue is made with. */
struct weir_spill_plan weir_pipe_plan(struct weir_pipe *pipe, int64_t budget);

static inline bool weir_ep_is_durable(const struct weir_ep *ep)
{
    return ep->options.swap_mode == WEIR_SWAP_DURABLE;
}

/* Do the options of an endpoint go with a durable swap, if it is to have one?
 * Errors: -WEIR_EINCOMPATIBLE, and which option is in the way. */
int weir_ep_check_durable(const struct weir_ep *ep);

/* Open the durable queue of a connect; see whether those of a bind can be
 * named.
 * Thread: one that may wait for the disk; no lock is held.
 * Errors: -ENAMETOOLONG; what the store says; -ENOMEM. */
int weir_ep_open_durable(struct weir_ep *ep);

/* A pipe's output gets the queue that its connect has opened.  That of a bind
 * waits for the peer's name.
 * Errors: -ENOMEM. */
int weir_pipe_join_durable(struct weir_pipe *pipe,
                           const struct weir_spill_plan *plan);

#endif
