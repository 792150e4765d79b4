/*
 * upstream.h - the subscriber's side: what its publishers are told.
 * Above: SUB, XSUB.  Below: topics.h, pipe.h.
 *
 * Every subscription is sent, but of the ends only the last one of a topic,
 * since publishers keep sets and not counts.  A new connection is told of
 * every topic once.  RFC 29, RFC 37.
 */
#ifndef WEIR_UPSTREAM_H
#define WEIR_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "pattern/topics.h"

struct weir_pipe;
struct weir_sock;

/* A connection begins (ops->up).  When there are many topics, it is told of
 * them in steps.  Uses pipe->pattern.  Errors: -ENOMEM, with a sentence. */
int weir_upstream_begin(struct weir_sock *sock, struct weir_topics *topics,
                        struct weir_pipe *pipe);

/* It is over (ops->down). */
void weir_upstream_end(struct weir_pipe *pipe);

/* Tell one of those that were not told of all yet of a few more (ops->tend).
 * Returns whether there is more to tell. */
bool weir_upstream_tend(struct weir_sock *sock, struct weir_topics *topics);

/* Subscribe, or unsubscribe, and tell all publishers.
 * Errors: those of weir_topics_add() and _remove(); -ENOMEM.  Nothing has
 * changed then. */
int weir_upstream_change(struct weir_sock *sock, struct weir_topics *topics,
                         const void *topic, size_t size, bool on);

#endif
