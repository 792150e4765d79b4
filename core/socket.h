/*
 * socket.h - one socket: its lock, its pipes, who waits and who drives.
 *
 * Above: api.c.  Below: pattern.h, pipe.h, endpoint.h, the reactor.
 */
#ifndef WEIR_SOCKET_H
#define WEIR_SOCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/list.h"
#include "base/lock.h"
#include "monitor.h"
#include "options.h"
#include "pattern.h"
#include "pipe.h"
#include "poller.h"
#include "reactor.h"

struct weir_ctx;
struct weir_ep;

enum weir_sock_state {
    WEIR_SOCK_UNUSED,
    WEIR_SOCK_OPEN,
    WEIR_SOCK_CLOSING /* no new calls; what waits is being flushed */
};

/* What a call waits for. */
enum weir_wait {
    WEIR_WAIT_IN,   /* something to receive */
    WEIR_WAIT_OUT,  /* room to send */
    WEIR_WAIT_STATE, /* peers, flushing, closing: any change */
    WEIR_WAITS
};

/* Is it worth spinning?  Each miss doubles the waits that skip it. */
struct weir_spin {
    uint32_t misses, skip;
};

/* How `send` brings messages to the kernel (pace.c). */
struct weir_pace {
    bool streaming;
    uint32_t burst, since_look;
    int64_t last_end, write_cost, batch_at;
    int64_t window_at;
    uint64_t window_sent;
};

struct weir_sock {
    struct weir_lock lock;
    uint32_t index;
    uint32_t generation; /* of the handle; changes when it is closed */
    enum weir_sock_state state;
    struct weir_ctx *ctx;
    uint64_t fork_generation;
    struct weir_reactor *reactor;
    const struct weir_pattern_ops *pattern;
    void *state_memory; /* pattern->state_size octets, the pattern's */
    struct weir_options options;
    struct weir_list in_ctx; /* ctx->socks, the context's lock */

    struct weir_list eps;   /* endpoints */
    struct weir_list pipes; /* all pipes */
    uint32_t n_up;          /* pipes that count for weir_wait_peers */
    uint32_t n_links;       /* pipes with a descriptor in `set` */
    struct weir_pipe **slots; /* pipes by their slot number */
    uint32_t *slot_generations;
    uint32_t n_slots, n_free_slots;
    uint64_t peer_ids; /* last one given */
    struct weir_pool *pool; /* chunks of the output queues */

    /* turns, for the patterns: fairqueue.h, loadbalance.h */
    struct weir_list in_turn;
    struct weir_list out_turn;
    uint32_t in_quota;
    uint32_t in_splices; /* pipes of inproc in in_turn */

    /* input and output that is due */
    struct weir_list readable;  /* pipes whose links want reading */
    struct weir_list unflushed; /* pipes with something put */
    struct weir_pace pace;

    /* mail from other threads: pipes with news */
    _Atomic(struct weir_pipe *) mail;

    /* waiting (wait.c) */
    bool has_set;
    struct weir_poller set; /* the links' descriptors, and `wake` */
    int wake[2];
    bool leader;        /* a thread sleeps, or is about to, in the set */
    bool leader_asleep; /* it must be woken through `wake` */
    uint32_t waiting[WEIR_WAITS];
    uint32_t sleeping[WEIR_WAITS];
    _Atomic uint32_t turn_word[WEIR_WAITS];
    struct weir_spin spin_in, spin_out;
    uint32_t inside; /* threads in a call that can wait */

    /* the I/O thread's care */
    struct weir_tick tick;
    _Atomic uint32_t drives; /* times the application drove input itself */
    _Atomic bool asleep;     /* = leader_asleep, for the reactor */
    uint32_t drives_seen;    /* reactor's */
    _Atomic bool io_drives;  /* the reactor waits on the set */
    bool io_armed;           /* reactor's */

    /* readiness descriptors (readiness.c) */
    bool watched;
    int ready_fd[2][2]; /* [in, out][read end, write end]; -1 */
    bool ready_is[2];

    weir_message held; /* received, but it did not fit the caller's buffer */
    bool has_held;

    struct weir_monitor monitor;
    struct weir_stats gone; /* sums of pipes that are gone */
    _Atomic uint32_t done_word; /* moves when the teardown is complete */
    struct weir_task teardown;
};

/* ---- the lock: whoever unlocks delivers the mail ---- */
void weir_sock_lock(struct weir_sock *sock);
void weir_sock_unlock(struct weir_sock *sock);

/* There is mail: deliver it, or leave that to who holds the lock.  Any
 * thread; no socket's lock held, or this one's not. */
void weir_sock_nudge(struct weir_sock *sock);

/* ---- for the patterns ---- */

/* Wake those who wait for `what`, one (all for STATE). Lock held. */
void weir_sock_wake(struct weir_sock *sock, enum weir_wait what);

/* The pipe has something unsent: it is flushed when the pace says so.
 * Called by weir_pipe_put.  Lock held. */
void weir_sock_touch(struct weir_sock *sock, struct weir_pipe *pipe);

/* A pipe begins or ceases to count for weir_wait_peers. Lock held. */
void weir_sock_count(struct weir_sock *sock, int change);

/* The pipe has run dry (fairqueue.c says so): if its connection is gone for
 * good, the pipe goes now; the caller forgets it.  Lock held. */
void weir_sock_dry(struct weir_sock *sock, struct weir_pipe *pipe);

static inline void *weir_sock_state(struct weir_sock *sock)
{
    return sock->state_memory;
}

/* ---- for api.c ---- */
int weir_sock_open(struct weir_ctx *ctx,
                   const struct weir_pattern_ops *pattern, weir_socket *out);
/* Handle to socket, locked and open; or -EBADF, -WEIR_EFORK,
 * -WEIR_ECLOSING. */
int weir_sock_get(weir_socket handle, struct weir_sock **out);
int weir_sock_close(weir_socket handle, int deadline, uint64_t *unsent);
int weir_sock_send(struct weir_sock *sock, weir_message *message,
                   int64_t deadline);
int weir_sock_recv(struct weir_sock *sock, weir_message *message,
                   int64_t deadline);
int weir_sock_flush(struct weir_sock *sock, int64_t deadline);
int weir_sock_wait_peers(struct weir_sock *sock, int n, int64_t deadline);
void weir_sock_stats(struct weir_sock *sock, weir_stats *stats);

/* ---- wait.c ---- */

/* Let time pass until there may be something new for `what`: drive, spin or
 * sleep.  Lock held on entry and on return, not in between.
 * 0: look again; -EAGAIN: the deadline has passed; -WEIR_ECLOSING. */
int weir_wait(struct weir_sock *sock, enum weir_wait what, int64_t deadline);

/* Read from links that are due; 1: something was published.  Lock held on
 * entry and on return, not in between. */
int weir_drive_input(struct weir_sock *sock);

/* Bring to the kernel what is unflushed.  Same rule. */
void weir_drive_output(struct weir_sock *sock);

/* The reactor looks after the socket: wait.c */
void weir_sock_turn(struct weir_sock *sock);

#endif
