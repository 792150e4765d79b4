/*
 * owned.h - which descriptors belong to whom, for a child after a fork.
 *
 * The lists of the library may be half changed in a forked child, so what it
 * closes is found here instead: a table by descriptor, of words that are
 * whole at every moment.  A fork between making a descriptor and adding it, or
 * between removing and closing it, leaves the child one that it does not know
 * of.
 * Above: context.c, socket.c, host.c and who makes descriptors.  Below: malloc.
 */
#ifndef WEIR_BASE_OWNED_H
#define WEIR_BASE_OWNED_H

#include <stdint.h>

/* Owners: sockets and contexts by the index of their shells, and stores. */
#define WEIR_OWNED_CONTEXT UINT32_C(0x80000000)
#define WEIR_OWNED_STORES  UINT32_C(0x7fffffff) /* all of them */

static inline uint32_t weir_owned_by_sock(uint32_t index)
{
    return index + 1;
}

static inline uint32_t weir_owned_by_ctx(uint32_t index)
{
    return index | WEIR_OWNED_CONTEXT;
}

/* A descriptor is a socket's, or a context's unless it is a socket's already.
 * Below 0: nothing happens.  Without memory it is not kept.
 * Thread: any. */
void weir_owned_add(int fd, uint32_t owner);

/* It is about to be closed, or no longer of that owner.
 * Thread: any. */
void weir_owned_remove(int fd, uint32_t owner);

/* Close all that an owner has.
 * Thread: any, in a forked child. */
void weir_owned_close(uint32_t owner);

#endif
