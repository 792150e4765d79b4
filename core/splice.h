/*
 * splice.h - two pipes of one process joined queue to queue (inproc).
 *
 * What one socket puts is what the other takes; nothing is in between.  The
 * splice's lock guards only the two pointers to the pipes, so that either
 * side may tell the other news while it goes away.
 * Above: endpoint.h, pipe.h.  Below: queue.h.
 */
#ifndef WEIR_SPLICE_H
#define WEIR_SPLICE_H

#include <weir/transport.h>

#include "pipe.h"

/* A dialer's pipe, whose queue takes messages before there is a peer.
 * Its socket's lock is held.  NULL: no memory. */
struct weir_pipe *weir_splice_new_pipe(struct weir_ep *dialer);

/* The pipe is freed. */
void weir_splice_leave(struct weir_pipe *pipe);

/* Is there a peer, or was there one? */
bool weir_splice_joined(const struct weir_pipe *pipe);

/* Have the oldest messages of its output dropped, as was asked for
 * (weir_queue_ask_room()): now, unless the other socket's lock is held, and
 * otherwise when that is given up.  Its socket's lock is held. */
void weir_splice_trim(struct weir_pipe *pipe);

/* The pipe is going, and takes nothing more: what is put into its input from
 * now on counts as the sender's.  Its socket's lock is held. */
void weir_splice_end_input(struct weir_pipe *pipe);

/* Of so many messages that came into its input, and that were refused there,
 * how many have come to be this pipe's. */
void weir_splice_received(const struct weir_pipe *pipe, uint64_t *came,
                          uint64_t *refused);

/* Of `sent` messages that went into its output or were refused there, how many
 * have come to be the other's. */
uint64_t weir_splice_sent(const struct weir_pipe *pipe, uint64_t sent);

/* Join a dialing and a binding endpoint; in weir_the_transport_host. */
int weir_splice_join(weir_ep *dialer, weir_ep *binder);

/* This pipe goes, or its connection is not wanted: the other side learns of
 * it.  The socket's lock is held. */
void weir_splice_part(struct weir_pipe *pipe);

/* Mail: the other side has gone.  The socket's lock is held. */
void weir_splice_parted(struct weir_pipe *pipe);

/* As weir_link_condemn, on inproc. */
void weir_splice_refuse(struct weir_pipe *pipe, int code);

#endif
