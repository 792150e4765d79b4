/*
 * probe.h - an empty message on a new connection, so that a ROUTER at the
 * other end learns of us before we have something to say.
 * Above: DEALER, REQ, ROUTER.  Below: pipe.h.
 */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H

#include "pipe.h"

/* If the endpoint's options say so, send one (ops->up).  At the mark none is
 * needed: there are messages. */
void weir_probe_send(struct weir_pipe *pipe);

#endif
