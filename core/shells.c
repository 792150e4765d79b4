/*
 * shells.c - see shells.h.
 */
#include "config.h"

#include "shells.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/lock.h"
#include "context.h"
#include "device.h"
#include "endpoint.h"
#include "socket.h"

enum { BLOCK = WEIR_SHELLS_BLOCK, BLOCKS = WEIR_SHELLS_BLOCKS };

struct table {
    struct weir_shells *shells;
    uint32_t used;
    uint32_t *free; /* stack of indices to use again */
    uint32_t n_free, room_free;
};

static struct weir_lock lock;
struct weir_shells weir_shells_socks;
static struct weir_shells ctx_shells, dev_shells;
static struct table socks = {.shells = &weir_shells_socks};
static struct table ctxs = {.shells = &ctx_shells};
static struct table devs = {.shells = &dev_shells};

struct ep_entry {
    struct weir_ep *ep;
    weir_socket sock;
    uint32_t generation, next_free; /* index + 1 */
};
static struct ep_entry *eps;
static uint32_t n_eps, free_ep;

void weir_shells_before_fork(void)
{
    weir_lock_take(&lock);
}

void weir_shells_after_fork(void)
{
    weir_lock_release(&lock);
}

/* The straight way to a socket does not ask whose it is. */
static void forget_pipes(void)
{
    for (uint32_t i = 0; i < socks.used; i++) {
        struct weir_sock *sock = weir_shells_sock(i);

        if (sock)
            weir_again_forget(sock);
    }
}

void weir_shells_in_child(void)
{
    forget_pipes();
    for (uint32_t i = 0; i < socks.n_free; i++) {
        struct weir_sock *sock = weir_shells_sock(socks.free[i]);

        if (sock)
            weir_biased_init(&sock->lock);
    }
    for (uint32_t i = 0; i < ctxs.n_free; i++) {
        struct weir_ctx *ctx = weir_shells_ctx(ctxs.free[i]);

        if (ctx)
            weir_lock_init(&ctx->lock);
    }
    for (uint32_t i = 0; i < devs.n_free; i++) {
        struct weir_dev *dev = weir_shells_dev(devs.free[i]);

        if (dev)
            weir_lock_init(&dev->lock);
    }
    weir_lock_init(&lock);
}

static bool add_block(struct table *table, uint32_t index)
{
    struct weir_shells_block *block;

    if (index >= (uint32_t)BLOCK * BLOCKS)
        return false;
    if (atomic_load(&table->shells->blocks[index / BLOCK]))
        return true;
    block = calloc(1, sizeof(*block));
    atomic_store_explicit(&table->shells->blocks[index / BLOCK], block,
                          memory_order_release);
    return block != NULL;
}

/* Room to give every shell back, made before there is one more. */
static bool add_free(struct table *table)
{
    uint32_t room = table->room_free ? table->room_free * 2 : 16;
    uint32_t *more;

    if (table->used < table->room_free)
        return true;
    more = realloc(table->free, room * sizeof(*more));
    if (!more)
        return false;
    table->free = more;
    table->room_free = room;
    return true;
}

/* An index to use; *shell is NULL when it never was used. */
static bool get_index(struct table *table, uint32_t *index, void **shell)
{
    if (table->n_free > 0) {
        *index = table->free[--table->n_free];
        *shell = weir_shells_find(table->shells, *index);
        return true;
    }
    *shell = NULL;
    *index = table->used;
    if (!add_free(table) || !add_block(table, table->used))
        return false;
    table->used++;
    return true;
}

/* A shell for an index that never had one.  The lock is held. */
static void *make_shell(struct table *table, size_t size, uint32_t index)
{
    struct weir_shells_block *block =
        atomic_load(&table->shells->blocks[index / BLOCK]);
    void *shell = aligned_alloc(64, (size + 63) & ~(size_t)63);

    if (!shell) {
        table->free[table->n_free++] = index;
        return NULL;
    }
    memset(shell, 0, size);
    atomic_store_explicit(&block->shells[index % BLOCK], shell,
                          memory_order_release);
    return shell;
}

static void *new_shell(struct table *table, size_t size, uint32_t *index)
{
    void *shell = NULL;

    weir_lock_take(&lock);
    if (get_index(table, index, &shell) && !shell)
        shell = make_shell(table, size, *index);
    weir_lock_release(&lock);
    return shell;
}

static void free_shell(struct table *table, uint32_t index)
{
    weir_lock_take(&lock);
    table->free[table->n_free++] = index;
    weir_lock_release(&lock);
}

struct weir_sock *weir_shells_new_sock(void)
{
    uint32_t index;
    struct weir_sock *sock = new_shell(&socks, sizeof(*sock), &index);

    if (!sock)
        return NULL;
    weir_biased_take(&sock->lock);
    sock->index = index;
    sock->generation = (sock->generation + 1) | 1;
    weir_biased_release(&sock->lock);
    return sock;
}

struct weir_ctx *weir_shells_new_ctx(void)
{
    uint32_t index;
    struct weir_ctx *ctx = new_shell(&ctxs, sizeof(*ctx), &index);

    if (!ctx)
        return NULL;
    weir_lock_take(&ctx->lock);
    ctx->index = index;
    ctx->generation = (ctx->generation + 1) | 1;
    weir_lock_release(&ctx->lock);
    return ctx;
}

struct weir_dev *weir_shells_new_dev(void)
{
    uint32_t index;
    struct weir_dev *dev = new_shell(&devs, sizeof(*dev), &index);

    if (!dev)
        return NULL;
    weir_lock_take(&dev->lock);
    dev->index = index;
    dev->generation = (dev->generation + 1) | 1;
    weir_lock_release(&dev->lock);
    return dev;
}

void weir_shells_free_sock(struct weir_sock *sock)
{
    free_shell(&socks, sock->index);
}

void weir_shells_free_ctx(struct weir_ctx *ctx)
{
    free_shell(&ctxs, ctx->index);
}

void weir_shells_free_dev(struct weir_dev *dev)
{
    free_shell(&devs, dev->index);
}

struct weir_dev *weir_shells_dev(uint32_t index)
{
    return weir_shells_find(&dev_shells, index);
}

struct weir_ctx *weir_shells_ctx(uint32_t index)
{
    return weir_shells_find(&ctx_shells, index);
}

/* ---- endpoints ---- */

static bool grow_eps(void)
{
    uint32_t n = n_eps ? n_eps * 2 : 16;
    struct ep_entry *more = realloc(eps, n * sizeof(*more));

    if (!more)
        return false;
    eps = more;
    for (uint32_t i = n_eps; i < n; i++) {
        eps[i] = (struct ep_entry){.next_free = free_ep};
        free_ep = i + 1;
    }
    n_eps = n;
    return true;
}

int weir_shells_add_ep(struct weir_ep *ep)
{
    bool ok;

    weir_lock_take(&lock);
    ok = free_ep != 0 || grow_eps();
    if (ok) {
        struct ep_entry *entry = &eps[free_ep - 1];

        ep->index = free_ep - 1;
        free_ep = entry->next_free;
        ep->generation = ++entry->generation;
        entry->ep = ep;
        entry->sock = (weir_socket){ep->sock->index, ep->sock->generation};
    }
    weir_lock_release(&lock);
    return ok ? 0 : weir_fail(ENOMEM, "no memory for an endpoint");
}

void weir_shells_remove_ep(struct weir_ep *ep)
{
    struct ep_entry *entry;

    weir_lock_take(&lock);
    entry = &eps[ep->index];
    if (entry->ep == ep) {
        entry->ep = NULL;
        entry->next_free = free_ep;
        free_ep = ep->index + 1;
    }
    weir_lock_release(&lock);
}

static struct ep_entry *find_ep(weir_endpoint handle)
{
    if (handle.generation == 0 || handle.index >= n_eps)
        return NULL;
    if (eps[handle.index].generation != handle.generation)
        return NULL;
    return eps[handle.index].ep ? &eps[handle.index] : NULL;
}

int weir_shells_ep_sock(weir_endpoint handle, weir_socket *out)
{
    struct ep_entry *entry;

    weir_lock_take(&lock);
    entry = find_ep(handle);
    if (entry)
        *out = entry->sock;
    weir_lock_release(&lock);
    return entry ? 0 : weir_fail(EBADF, "the endpoint is closed, or never was");
}

struct weir_ep *weir_shells_ep(weir_endpoint handle)
{
    struct ep_entry *entry;
    struct weir_ep *ep;

    weir_lock_take(&lock);
    entry = find_ep(handle);
    ep = entry ? entry->ep : NULL;
    weir_lock_release(&lock);
    return ep;
}
