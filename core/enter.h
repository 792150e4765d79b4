/*
 * enter.h - who may come in with a handle.
 * Above: socket.c, quick.c.  Below: context.h, socket.h.
 */
#ifndef WEIR_ENTER_H
#define WEIR_ENTER_H

#include "context.h"
#include "socket.h"

/* Was the shell made in this process?  The lock of one that was not may be
 * held for good.  Lock not held. */
static inline bool weir_enter_is_ours(const struct weir_sock *sock)
{
    return atomic_load_explicit(&sock->fork_generation, memory_order_relaxed) ==
           weir_fork_generation();
}

/* Is it still the socket of that handle, and open?  Lock held. */
static inline bool weir_enter_may(const struct weir_sock *sock,
                                  weir_socket handle)
{
    return sock->generation == handle.generation &&
           sock->state == WEIR_SOCK_OPEN &&
           !atomic_load_explicit(&sock->ctx->closing, memory_order_relaxed);
}

#endif
