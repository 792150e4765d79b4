/*
 * crowd.h - many connections that greet and then say nothing, made with plain
 * sockets, so that they cost every library the same.
 * Above: idle.c, conns.c, tests/bench.  Below: address.h, side.h.
 */
#ifndef WEIR_TOOLS_PEERS_CROWD_H
#define WEIR_TOOLS_PEERS_CROWD_H

#include "side.h"

/* Open plan->n connections to the side that binds a PULL, or with
 * plan->reqrep a REP, greet on each as this library's PUSH or REQ does, and
 * wait for its greeting.  Keeps `count` up to date with how many are through;
 * `ns` (may be NULL) has the time they took by then.
 * Returns 0, or -1 with the complaint printed. */
int weir_crowd_open(struct weir_side *side, _Atomic uint64_t *count,
                    _Atomic uint64_t *ns);

/* Write all that a socket of that type says before it has messages; returns
 * the octets. */
#define WEIR_CROWD_GREETING 128
size_t weir_crowd_greeting(unsigned char to[WEIR_CROWD_GREETING],
                           enum weir_side_wire wire, const char *type);

/* Let this process have `n` more descriptors, if it may. */
void weir_crowd_allow(uint64_t n);

#endif
