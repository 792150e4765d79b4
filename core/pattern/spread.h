/*
 * spread.h - one message to many pipes.
 * Above: fanout.h, XSUB.  Below: pipe.h, chunk.h.
 *
 * Room for all pipes is made as they come, so that sending never fails for
 * lack of it.  The socket's lock guards all.
 */
#ifndef WEIR_SPREAD_H
#define WEIR_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

struct weir_pipe;
struct weir_sock;

/* All zero is empty. */
struct weir_spread {
    struct weir_pipe **list; /* who gets a message */
    uint32_t n, room;
    uint32_t members; /* pipes that may be added */
};

void weir_spread_fini(struct weir_spread *spread);

/* One more pipe may be added to a message / one fewer.  Errors: -ENOMEM. */
int weir_spread_join(struct weir_spread *spread);
void weir_spread_part(struct weir_spread *spread);

/* Nobody is to get a message yet. */
static inline void weir_spread_clear(struct weir_spread *spread)
{
    spread->n = 0;
}

/* The pipe is to get one; at most once each. */
void weir_spread_add(struct weir_spread *spread, struct weir_pipe *pipe);

/* Give the message to the pipes that were added since they were cleared.  One
 * that has no memory for it drops it and counts that.
 * Returns 0; -EAGAIN: one has no room and the rule is to wait, and then none
 * has got it. */
int weir_spread_send(struct weir_sock *sock, struct weir_spread *spread,
                     weir_message *message);

/* Is there no pipe that is up and would have to be waited for? */
bool weir_spread_can_send(struct weir_sock *sock);

#endif
