/*
 * shells.h - handles to what they stand for.
 *
 * Shells of sockets, contexts and devices are never freed, only used again
 * under a new generation: a late call finds a shell and sees that it is
 * another's.  Endpoints are freed; their entries say which socket they belong
 * to, and the rest is decided under that socket's lock.
 * Above: api.c, socket.c, context.c, endpoint.c, device.c.  Below: base/lock.h.
 */
#ifndef WEIR_SHELLS_H
#define WEIR_SHELLS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

struct weir_sock;
struct weir_ctx;
struct weir_dev;
struct weir_ep;

/* A shell to use, with a new generation; NULL: no memory.  Any thread. */
struct weir_sock *weir_shells_new_sock(void);
struct weir_ctx *weir_shells_new_ctx(void);
struct weir_dev *weir_shells_new_dev(void);

/* It may be used again. */
void weir_shells_free_sock(struct weir_sock *sock);
void weir_shells_free_ctx(struct weir_ctx *ctx);
void weir_shells_free_dev(struct weir_dev *dev);

/* A growing table of pointers that readers need no lock for. */
enum { WEIR_SHELLS_BLOCK = 256, WEIR_SHELLS_BLOCKS = 4096 };

struct weir_shells_block {
    _Atomic(void *) shells[WEIR_SHELLS_BLOCK];
};
struct weir_shells {
    _Atomic(struct weir_shells_block *) blocks[WEIR_SHELLS_BLOCKS];
};
extern struct weir_shells weir_shells_socks; /* not for others */

static inline void *weir_shells_find(struct weir_shells *table, uint32_t index)
{
    struct weir_shells_block *block;

    if (index >= (uint32_t)WEIR_SHELLS_BLOCK * WEIR_SHELLS_BLOCKS)
        return NULL;
    block = atomic_load_explicit(&table->blocks[index / WEIR_SHELLS_BLOCK],
                                 memory_order_acquire);
    if (!block)
        return NULL;
    return atomic_load_explicit(&block->shells[index % WEIR_SHELLS_BLOCK],
                                memory_order_acquire);
}

/* The shell of that index, NULL if there never was one. */
static inline struct weir_sock *weir_shells_sock(uint32_t index)
{
    return (struct weir_sock *)weir_shells_find(&weir_shells_socks, index);
}
struct weir_ctx *weir_shells_ctx(uint32_t index);
struct weir_dev *weir_shells_dev(uint32_t index);

/* Give an endpoint a handle / take it away.  Its socket's lock is held.
 * Errors: -ENOMEM. */
int weir_shells_add_ep(struct weir_ep *ep);
void weir_shells_remove_ep(struct weir_ep *ep);

/* The socket of an endpoint; -EBADF. */
int weir_shells_ep_sock(weir_endpoint handle, weir_socket *out);

/* The endpoint, once its socket is locked; NULL: it has gone meanwhile. */
struct weir_ep *weir_shells_ep(weir_endpoint handle);

/* Around a fork: the child's tables are whole, and so are the locks of the
 * shells that it may use, which late calls of the parent's threads had. */
void weir_shells_before_fork(void);
void weir_shells_after_fork(void);
void weir_shells_in_child(void);

#endif
