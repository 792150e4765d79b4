/*
 * context.h - owner of sockets and I/O threads.
 * Above: api.c.  Below: reactor.h, socket.h.
 */
#ifndef WEIR_CONTEXT_H
#define WEIR_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/list.h"
#include "base/lock.h"
#include "monitor.h"
#include "reactor.h"

struct weir_observer;

enum { WEIR_CONTEXT_THREADS_MAX = 64 };

struct weir_ctx {
    struct weir_lock lock; /* taken before a socket's */
    uint32_t index, generation;
    bool open;
    _Atomic bool closing;
    _Atomic uint64_t fork_generation; /* late calls look at it unlocked */
    uint64_t scope;                   /* for names of inproc */
    int n_threads, n_reactors;
    bool started;
    struct weir_reactor *reactors;
    uint32_t next_reactor;
    struct weir_list socks; /* sock->in_ctx */
    uint32_t n_socks, max_socks;
    _Atomic uint32_t word; /* moves when a socket is gone */
    char thread_name[12];
    char affinity[128];

    /* the stats endpoint, see observer.h; a forked child looks at it unlocked
     */
    _Atomic(struct weir_observer *) observer; /* NULL: there is none */
    struct weir_monitor events;               /* of all sockets, while */
    _Atomic bool events_wanted;
    int confession_code; /* why WEIR_STATS has none; 0: nothing to say */
    char confession[256];
};

int weir_ctx_open(weir_context *out, int io_threads);
int weir_ctx_close(weir_context handle, int deadline);

/* Handle to context, locked; -EBADF, -WEIR_EFORK. */
int weir_ctx_get(weir_context handle, struct weir_ctx **out);

/* A socket joins: starts the threads when it is the first, and gives it a
 * reactor.  Context's lock held.  Errors: -EMFILE, -WEIR_ECLOSING. */
int weir_ctx_join(struct weir_ctx *ctx, struct weir_sock *sock);

/* A socket has gone.  Takes the context's lock. */
void weir_ctx_part(struct weir_ctx *ctx, struct weir_sock *sock);
void weir_ctx_part_locked(struct weir_ctx *ctx, struct weir_sock *sock);

/* As weir_context_set and weir_context_get, but for setting "stats"; context's
 * lock held. */
int weir_ctx_set(struct weir_ctx *ctx, const char *option, const char *value);
int weir_ctx_value(const struct weir_ctx *ctx, const char *option, char *text,
                   size_t *size);

/* Bumped in every forked child; what was made before is the parent's. */
extern _Atomic uint64_t weir_forks;
static inline uint64_t weir_fork_generation(void)
{
    return atomic_load_explicit(&weir_forks, memory_order_relaxed);
}

#endif
