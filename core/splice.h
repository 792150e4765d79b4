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

/* Join a dialing and a binding endpoint; in weir_the_transport_host. */
int weir_splice_join(weir_ep *dialer, weir_ep *binder);

/* This pipe goes, or its connection is not wanted: the other side learns of
 * it.  The socket's lock is held. */
void weir_splice_part(struct weir_pipe *pipe);

/* As weir_link_condemn, on inproc. */
void weir_splice_refuse(struct weir_pipe *pipe, int code);

#endif
