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

#include "base/biased.h"
#include "base/list.h"
#include "base/owned.h"
#include "base/signal.h"
#include "monitor.h"
#include "options.h"
#include "pattern.h"
#include "pipe.h"
#include "poller.h"
#include "reactor.h"

struct weir_ctx;
struct weir_ep;
struct weir_sock;

enum weir_sock_state {
    WEIR_SOCK_UNUSED,
    WEIR_SOCK_OPEN,
    WEIR_SOCK_CLOSING /* no new calls; what waits is being flushed */
};

/* What a call waits for.  The first two number the readiness descriptors. */
enum weir_wait {
    WEIR_WAIT_IN,    /* something to receive */
    WEIR_WAIT_OUT,   /* room to send */
    WEIR_WAIT_STATE, /* peers, flushing, closing: any change */
    WEIR_WAIT_STORE, /* what was sent is in its store */
    WEIR_WAITS
};

/* Is it worth spinning?  Each miss doubles the waits that skip it. */
struct weir_spin {
    uint32_t misses, skip;
};

/* How long a call may take.  The clock is asked when it first waits, and then
 * once in a few rounds. */
struct weir_patience {
    int ms;          /* as the caller said; WEIR_NOWAIT: `until` counts */
    int64_t until;   /* absolute; 0: not asked for yet, or passed */
    uint32_t rounds; /* in which something was done */
    bool over;       /* it has passed: look once more */
};

static inline struct weir_patience weir_patience_until(int64_t deadline)
{
    return (struct weir_patience){.until = deadline};
}

/* How `send` brings messages to the kernel (pace.c). */
struct weir_pacing {
    bool streaming;
    bool first;         /* the first batch after a rest is not gone yet */
    bool expects_long;  /* the burst before was more than a few */
    bool receives_next; /* the stream before ended in a receive */
    bool full;          /* a pipe has a whole batch */
    uint32_t burst;
    uint32_t unlearned; /* first messages until one is timed again */
    uint32_t since_look, look_every; /* messages, between looks at the clock */
    _Atomic int64_t looked_at; /* the reactor looks at this without the lock */
    int64_t last_end, write_cost, batch_at, batch_age;
    int64_t window_at;
    uint64_t window_sent;
    int64_t ticked_at; /* window at the last tick */
    uint64_t ticked_sent;
};

enum {
    WEIR_SOCK_WAKE_KEY = 1,    /* of the wake signal in the set */
    WEIR_SOCK_POOL = 64 << 20, /* octets of chunks kept at hand */
    WEIR_ABSENCE = 4000000     /* ns between looks whether the application is
                                  still there, or four times that (turn.c) */
};

/* A pipe by its number; numbers are used again, generations are not. */
struct weir_slot {
    struct weir_pipe *pipe;
    uint32_t generation;
    uint32_t next_free; /* number + 1; 0 the end */
};

/* Whose queue the last message went to and came from, if the same may be said
 * of the next one (again.h): changed by who holds the lock, and looked at
 * before it is taken. */
struct weir_again {
    _Atomic(struct weir_pipe *) pipe[2]; /* WEIR_WAIT_IN, WEIR_WAIT_OUT */
    _Atomic(struct weir_pipe *) choosy;  /* in place of IN, where the pattern
                                            wants only some */
    const uint8_t *limit; /* a frame must end there, were its head long */
};

/* Shells live as long as the process: a late call finds one, never freed
 * memory. */
struct weir_sock {
    /* these stay when the shell is used again */
    struct weir_biased lock;
    uint32_t index;
    uint32_t generation; /* of the handle; changes when it is closed */
    _Atomic uint64_t fork_generation;
    enum weir_sock_state state;
    struct weir_again again;

    struct weir_ctx *ctx; /* first of those that begin as zero */
    struct weir_reactor *reactor;
    const struct weir_pattern_ops *pattern;
    void *state_memory; /* pattern->state_size octets, the pattern's */
    struct weir_options options;
    struct weir_list in_ctx; /* ctx->socks, the context's lock */

    struct weir_list eps;   /* endpoints */
    struct weir_list pipes; /* all pipes */
    _Atomic uint32_t n_up;  /* pipes that count for weir_wait_peers */
    uint32_t most_peers;    /* that are accepted; 0: as many as come */
    uint32_t n_links;       /* pipes with a descriptor in `set` */
    struct weir_slot *slots;
    uint32_t n_slots, free_slot; /* number + 1 of the first free one */
    uint64_t peer_ids;           /* last one given */
    struct weir_pool *pool;      /* chunks of the output queues */

    /* turns, for the patterns: fairqueue.h, loadbalance.h */
    struct weir_list in_turn;
    struct weir_list out_turn;
    uint32_t in_quota;   /* messages until it is the next one's turn */
    uint32_t in_splices; /* pipes of inproc in in_turn */

    /* input and output that is due */
    struct weir_list readable;  /* pipes whose links want reading */
    struct weir_list unflushed; /* pipes with something put */
    struct weir_pacing pace;

    /* mail from other threads: pipes with news */
    _Atomic(struct weir_pipe *) mail;

    /* waiting (wait.c) */
    bool has_set;
    struct weir_poller set; /* the links' descriptors, and `wake` */
    struct weir_signal wake;
    struct weir_watch set_watch; /* the set, nested in the reactor's */
    bool leader;           /* a thread sleeps, or is about to, in the set */
    bool leader_asleep;    /* it must be woken through `wake` */
    uint32_t leader_waits; /* bits 1 << enum weir_wait */
    uint32_t waiting[WEIR_WAITS];
    uint32_t changes[WEIR_WAITS]; /* calls of weir_sock_wake() */
    uint32_t sleeping[WEIR_WAITS];
    _Atomic uint32_t turn_word[WEIR_WAITS];
    bool wakes_due;        /* some of those are to be woken, */
    int wakes[WEIR_WAITS]; /* so many, once the lock is released */
    struct weir_spin spin_in, spin_out, gathers, yields; /* did it pay? */
    bool spinning;     /* one thread at a time does */
    bool together;     /* the other end was on our processor last time */
    bool polled;       /* no I/O threads: looked around already */
    uint64_t received; /* messages; those until it ran dry, and those that */
    uint64_t received_dry, received_paid; /* count in spin_credit */
    int64_t spin_credit;       /* ns that a receiver may spin for them */
    uint64_t bulk, bulk_slept; /* octets of large ones; those until the last
                                  wait that was a sleep */
    bool asked;                /* something was sent since one was received */
    _Atomic uint32_t splices;  /* pipes of inproc */
    const void *lent;          /* to whom, who alone leads; NULL */
    uint32_t inside;           /* threads in a call */
    uint32_t in_plugins;       /* of those, in a bind or connect */
    uint32_t flushing;         /* and in a flush */

    /* the I/O thread's care */
    struct weir_tick tick;
    _Atomic uint32_t drives; /* times the application drove input itself */
    _Atomic bool asleep;     /* = leader_asleep, for the reactor */
    _Atomic bool io_drives;  /* the reactor waits on the set */
    /* the reactor's own */
    bool io_armed;
    uint32_t drives_seen;   /* at its last look */
    int64_t came_at;        /* when a look found more than the one before */
    uint32_t drives_judged; /* at the last that judged how often they are, */
    int64_t judged_at;      /* which was then */
    uint64_t usual;         /* drives between two looks, when it was steady */
    int steady;             /* judgements in a row that found as many */

    /* giving memory back (rest.c) */
    uint64_t uses, uses_seen; /* calls that moved messages */
    bool in_use;              /* `rest` is armed, or about to be */
    struct weir_timer rest;   /* the reactor's, as the next is */
    int64_t rest_pause;
    struct weir_task wake_up;

    /* readiness descriptors (readiness.c) */
    _Atomic bool watched;
    struct weir_signal ready[2]; /* WEIR_WAIT_IN, WEIR_WAIT_OUT */
    struct weir_poller calls[2]; /* no I/O threads: that, or work to do */
    bool has_calls[2];
    bool ready_is[2];

    bool keeps;               /* has, or had, durable queues */
    struct weir_queue *owing; /* of the last send, if it is durable: the
                                 message is not in its store yet */

    struct {
        struct weir_pipe *pipe;  /* to be written to at once: direct.h */
        struct weir_chunk *body; /* of the message there; a reference */
    } direct;

    weir_message held; /* received, but it did not fit the caller's buffer */
    bool has_held;
    bool news, held_news; /* of the last received, and of that one: it is one
                             that the pattern has made, which nobody counts */

    struct weir_monitor monitor;
    struct weir_stats gone;     /* sums of pipes that are gone, and our own */
    _Atomic uint32_t done_word; /* moves when the teardown is complete */
    struct weir_task teardown;
    struct weir_task tend;          /* calls pattern->tend */
    uint64_t unsent, unsent_before; /* the teardown's result */
    bool cut; /* some are in plugins still: only what they do not need ends */
    bool orphaned; /* the last of them ends the rest */
};

/* ---- slots: pipes by number, for the set's keys and for topic sets ---- */

/* Give the pipe a number and put it in sock->pipes.  -ENOMEM. */
int weir_sock_add_pipe(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe goes for good: detached, counted, freed.  Its link has no
 * connection and its driver word is held, or it is a splice that was parted.
 * Lock held. */
void weir_sock_bury(struct weir_sock *sock, struct weir_pipe *pipe);

/* The connection of a pipe is made / lost.  Lock held.  The first fails when
 * the pattern refuses the peer. */
int weir_sock_up(struct weir_sock *sock, struct weir_pipe *pipe);
void weir_sock_down(struct weir_sock *sock, struct weir_pipe *pipe);

/* How the connection of a ready peer has ended. */
struct weir_parting {
    char peer[128];       /* its address */
    uint64_t unconfirmed; /* messages it may not have got, at most */
    int code;             /* 0: it was we who closed it; or why, positive */
    const char *reason;   /* borrowed */
};

/* The same as weir_sock_down, and the event that each ready peer has one of,
 * whoever ended it.  Lock held, so whoever learns of it finds things as they
 * are afterwards. */
void weir_sock_part(struct weir_sock *sock, struct weir_pipe *pipe,
                    const struct weir_parting *how);

/* The pipe gets no other connection.  What waits to be sent is dropped; it
 * goes when what was received has been read, or with `all` at once.  Its link
 * is as for weir_sock_bury.  Lock held. */
void weir_sock_retire(struct weir_sock *sock, struct weir_pipe *pipe, bool all);

/* Key of a pipe's descriptor in the set. */
uint64_t weir_sock_key(const struct weir_pipe *pipe);

/* The pipe's link is to be read (WEIR_POLLER_IN), flushed (OUT), or both.
 * Lock held. */
void weir_sock_due(struct weir_sock *sock, struct weir_pipe *pipe,
                   unsigned events);

/* Stop driving without another round: what was asked for meanwhile is due.
 * Lock held. */
void weir_sock_let_go(struct weir_sock *sock, struct weir_pipe *pipe);

/* What the set reported: mark pipes for driving.  Lock held. */
void weir_sock_note(struct weir_sock *sock,
                    const struct weir_poller_event *events, int n);

/* ---- the lock: whoever unlocks delivers the mail ---- */
static inline struct weir_pipe *weir_again_pipe(struct weir_sock *sock,
                                                enum weir_wait what)
{
    return atomic_load_explicit(&sock->again.pipe[what], memory_order_relaxed);
}

static inline struct weir_pipe *weir_again_choosy(struct weir_sock *sock)
{
    return atomic_load_explicit(&sock->again.choosy, memory_order_relaxed);
}

static inline void weir_again_set(struct weir_sock *sock, enum weir_wait what,
                                  struct weir_pipe *pipe)
{
    atomic_store_explicit(&sock->again.pipe[what], pipe, memory_order_relaxed);
}

static inline void weir_again_forget(struct weir_sock *sock)
{
    weir_again_set(sock, WEIR_WAIT_IN, NULL);
    weir_again_set(sock, WEIR_WAIT_OUT, NULL);
    atomic_store_explicit(&sock->again.choosy, NULL, memory_order_relaxed);
}

static inline void weir_sock_lock(struct weir_sock *sock)
{
    weir_biased_take(&sock->lock);
    weir_again_forget(sock);
}

static inline bool weir_sock_try_lock(struct weir_sock *sock)
{
    if (!weir_biased_try(&sock->lock))
        return false;
    weir_again_forget(sock);
    return true;
}

static inline bool weir_sock_has_mail(struct weir_sock *sock)
{
    return atomic_load(&sock->mail) != NULL;
}

/* The slow half of unlocking; not for others. */
void weir_sock_deliver_and_unlock(struct weir_sock *sock);

/* There is mail: deliver it, or leave that to who holds the lock.  Any
 * thread that does not hold it; it may hold another socket's. */
void weir_sock_nudge(struct weir_sock *sock);

/* `release` is how the lock itself is given back.  Mail that comes while we
 * hold the lock is ours to deliver; what comes right after is delivered by
 * whoever gets the lock next, us included.  Posting mail, trying the lock,
 * releasing it and looking for mail are all sequentially consistent: of two
 * threads that cross, one sees the other. */
static inline void weir_sock_unlock_by(struct weir_sock *sock,
                                       void (*release)(struct weir_biased *))
{
    if (WEIR_UNLIKELY(weir_sock_has_mail(sock) || sock->watched ||
                      sock->wakes_due)) {
        weir_sock_deliver_and_unlock(sock);
        return;
    }
    release(&sock->lock);
    if (WEIR_UNLIKELY(weir_sock_has_mail(sock)))
        weir_sock_nudge(sock);
}

static inline void weir_sock_unlock(struct weir_sock *sock)
{
    weir_sock_unlock_by(sock, weir_biased_release);
}

/* ---- for the patterns ---- */

/* Wake those who wait for `what`: one for IN, who wakes the next if there is
 * more; all for OUT, since they may wait for different peers, and for STATE.
 * Lock held. */
void weir_sock_wake(struct weir_sock *sock, enum weir_wait what);

/* The pipe has something unsent: it is flushed when the pace says so.
 * Where the kernel takes no more it goes with the rest, when that is
 * reported.  For who puts something into a pipe.  Lock held. */
static inline void weir_sock_touch(struct weir_sock *sock,
                                   struct weir_pipe *pipe)
{
    if (!atomic_load_explicit(&pipe->link.live, memory_order_relaxed) ||
        weir_link_waits_for_room(&pipe->link))
        return;
    if (weir_list_empty(&pipe->flush))
        weir_list_append(&sock->unflushed, &pipe->flush);
    if (sock->pace.streaming && weir_queue_has_batch(pipe->out) &&
        !atomic_load(&pipe->link.blocked) && !atomic_load(&pipe->link.turn))
        sock->pace.full = true; /* to write it now is of use */
}

/* The pipe's link has something to read, and is in no line yet.  Lock held. */
static inline void weir_sock_line_up(struct weir_sock *sock,
                                     struct weir_pipe *pipe)
{
    weir_list_append(&sock->readable, &pipe->drive);
    weir_tick_is_no_stream(&sock->tick);
}

/* There is more to do than can be done while the lock is held: the reactor
 * calls ops->tend, again and again until there is nothing left.  Lock held. */
void weir_sock_later(struct weir_sock *sock);

/* A pipe begins or ceases to count for weir_wait_peers. Lock held. */
void weir_sock_count(struct weir_sock *sock, int change);

/* The pipe has run dry (fairqueue.c says so): if its connection is gone for
 * good, the pipe goes now; the caller forgets it.  Lock held. */
void weir_sock_dry(struct weir_sock *sock, struct weir_pipe *pipe);

/* Nobody wants a message any more that is held back for who has room. */
static inline void weir_sock_drop_held(struct weir_sock *sock)
{
    weir_message_fini(&sock->held);
    sock->has_held = false;
}

/* As the owner of descriptors: base/owned.h. */
static inline uint32_t weir_sock_owner(const struct weir_sock *sock)
{
    return weir_owned_by_sock(sock->index);
}

/* Does it get subscriptions from its peers? */
static inline bool weir_sock_publishes(const struct weir_sock *sock)
{
    return sock->pattern->type == WEIR_PUB || sock->pattern->type == WEIR_XPUB;
}

/* Would a receive get something at once?  Lock held. */
static inline bool weir_sock_can_recv(struct weir_sock *sock)
{
    return sock->has_held || sock->pattern->can_recv(sock);
}

static inline void *weir_sock_state(struct weir_sock *sock)
{
    return sock->state_memory;
}

/* ---- for api.c ---- */
/* The context's lock is held. */
int weir_sock_open(struct weir_ctx *ctx, const struct weir_pattern_ops *pattern,
                   weir_socket *out);
/* Handle to socket, locked and open; or -EBADF, -WEIR_EFORK,
 * -WEIR_ECLOSING. */
int weir_sock_get(weir_socket handle, struct weir_sock **out);
/* The slow half of what follows; not for others. */
void weir_sock_put_slow(struct weir_sock *sock);

/* Is anybody to be asked to read what is left? */
static inline bool weir_sock_leaves_input(struct weir_sock *sock)
{
    return !weir_list_empty(&sock->readable) &&
           !weir_tick_comes_soon(&sock->tick);
}

/* Have somebody read it, soon.  Lock held. */
void weir_sock_hand_input_on(struct weir_sock *sock);

/* The call is over: unlocks. */
static inline void weir_sock_put(struct weir_sock *sock)
{
    sock->inside--;
    if (WEIR_UNLIKELY(sock->state == WEIR_SOCK_CLOSING ||
                      weir_sock_leaves_input(sock)))
        weir_sock_put_slow(sock);
    else
        weir_sock_unlock(sock);
}

int weir_sock_close(weir_socket handle, int deadline, uint64_t *unsent);
/* Until when a close with that deadline (absolute ns) waits for a bind or
 * connect under way: a little, even if it is past. */
int64_t weir_sock_patience(int64_t deadline);
/* `patience` may serve several of these, one after the other. */
int weir_sock_send(struct weir_sock *sock, weir_message *message,
                   struct weir_patience *patience);
int weir_sock_recv(struct weir_sock *sock, weir_message *message,
                   struct weir_patience *patience);
/* A message that was received stays first in line; it is taken. */
void weir_sock_hold(struct weir_sock *sock, weir_message *message);
/* The halves of weir_sock_recv() and of that for who looks after more than one
 * socket, and waits by itself: take the next message if there is one, as
 * ops->recv; put it back, first in line, and wake nobody. */
int weir_sock_take(struct weir_sock *sock, weir_message *message);
void weir_sock_put_back(struct weir_sock *sock, weir_message *message);
/* Something waits to be sent. */
bool weir_sock_unsent(struct weir_sock *sock);
/* Lend the socket to a device, and wait until nobody else leads; calls that
 * send or receive end with -EBUSY.  /  It is the application's again, if it
 * was lent to that device.  Lock held on entry and on return, not in between.
 * Errors: -EBUSY it is lent already; -WEIR_ECLOSING. */
int weir_sock_lend(struct weir_sock *sock, const void *device);
void weir_sock_unlend(struct weir_sock *sock, const void *device);
/* In a forked child: close the descriptors, touch nothing else.  Whatever
 * state it is in. */
void weir_sock_abandon(struct weir_sock *sock);
int weir_sock_flush(struct weir_sock *sock, int64_t deadline);

/* Somebody waits until then for what is unsent: do not be long in trying to
 * connect to who is to have it.  Lock held. */
void weir_sock_hurry(struct weir_sock *sock, int64_t deadline);

int weir_sock_wait_peers(struct weir_sock *sock, int n, int64_t deadline);

/* ---- stored.c ---- */

/* Wait until the message that was sent last, which sock->owing has, is in its
 * store; who does not wait at all, does not.  Lock held on entry and on return,
 * not in between.
 * Returns 1 when it was taken back because the swap is used up: then send it
 * again.
 * Errors, all but the first with the message taken back: -EINPROGRESS, it will
 * be there, or be counted as dropped; what the store says; -WEIR_ECLOSING its
 * endpoint was closed. */
int weir_sock_await_stored(struct weir_sock *sock,
                           struct weir_patience *patience);

/* The store's error, if there is a durable queue whose store fails; one that
 * may pass counts if `passing`.  Lock held. */
int weir_sock_store_trouble(struct weir_sock *sock, bool passing);

/* Can any endpoint take a message of that length, ever?  Lock held.
 * Errors: -ENOSPC they all have a durable swap, which is too short. */
int weir_sock_check_length(struct weir_sock *sock, weir_message *message);

/* Wait until all that was accepted so far is on disk.  Lock as above.
 * Errors: -EAGAIN; what the store says; -WEIR_EINCOMPATIBLE nothing is durable;
 * -WEIR_ECLOSING; -ENOMEM. */
int weir_sock_sync(struct weir_sock *sock, int64_t deadline);

/* ---- wait.c ---- */

/* Let time pass until there may be something new for `what`: drive, spin or
 * sleep.  Lock held on entry and on return, not in between.
 * 0: look again; -EAGAIN: the deadline has passed; -WEIR_ECLOSING. */
int weir_wait(struct weir_sock *sock, enum weir_wait what,
              struct weir_patience *patience);

/* Before that, where the caller receives: weir_drive_input(), unless it did
 * so a few times already and has to look at more than that.  Same rule. */
bool weir_drive_for(struct weir_sock *sock, struct weir_patience *patience);

/* Work is due that this thread leaves to others: they look within `ns`.  Lock
 * held. */
void weir_wait_hand_on(struct weir_sock *sock, int64_t ns);

/* Read from the next link that is due.  Returns the messages published,
 * -EAGAIN when none is due.  Lock held on entry and on return, not in
 * between. */
int weir_drive_next(struct weir_sock *sock);

/* Read from a few links that are due; true: something was published.  Same
 * rule. */
bool weir_drive_input(struct weir_sock *sock);

/* Bring to the kernel what is unflushed, or much of it; false: there was
 * nothing.  Same rule. */
bool weir_drive_output(struct weir_sock *sock);

/* The caller, who has held the pipe's driver word, has written: as much else is
 * done as is asked for, and the word is free.  Same rule. */
void weir_drive_done(struct weir_sock *sock, struct weir_pipe *pipe);

/* A pipe has nothing unsent any more. Lock held. */
static inline void weir_sock_drained(struct weir_sock *sock)
{
    if (sock->flushing > 0)
        weir_sock_wake(sock, WEIR_WAIT_STATE);
}

/* It is so of this one, perhaps: if somebody waits for that, look.  Lock
 * held. */
static inline void weir_sock_look_drained(struct weir_sock *sock,
                                          struct weir_pipe *pipe)
{
    if (sock->flushing > 0 && !weir_pipe_unsent(pipe))
        weir_sock_drained(sock);
}

/* Lead a socket that is lent: from now on its set, or without one its wake
 * signal, tells of its links and of what is in `waits` (bits 1 << enum
 * weir_wait), until weir_wait_led() is called.  weir_wait_expect() changes
 * that, whoever leads.  Lock held. */
void weir_wait_lead(struct weir_sock *sock, uint32_t waits);
void weir_wait_expect(struct weir_sock *sock, uint32_t waits);
/* It is over; `told`: there was something, which is noted. */
void weir_wait_led(struct weir_sock *sock, bool told);

/* The descriptor that tells. */
int weir_wait_descriptor(const struct weir_sock *sock);

/* Without I/O threads: who waits runs the reactor, one at a time.  Claim that,
 * with the locks held of what is waited for, and do it without them. */
struct weir_wait_turn {
    struct weir_reactor *reactor;
    uint32_t seen;
    bool ours;
};
struct weir_wait_turn weir_wait_claim(struct weir_reactor *reactor);
void weir_wait_run(const struct weir_wait_turn *turn, int64_t deadline);

/* Wait for a store, WEIR_WAIT_STORE: that is for its helper to do, so nothing
 * is driven.  May return early, as weir_wait().
 * Errors: -EAGAIN; -WEIR_ECLOSING. */
int weir_wait_stored(struct weir_sock *sock, struct weir_patience *patience);

/* The same for who closes the socket: nothing ends it but the deadline. */
int weir_wait_closing(struct weir_sock *sock, struct weir_patience *patience);

/* Without I/O threads: one round of the reactor, without waiting.  Same
 * rule. */
void weir_wait_round(struct weir_sock *sock);

/* Release the lock, and wake those who are to be woken. */
void weir_wait_release(struct weir_sock *sock);

/* Wake everybody who waits. Lock held. */
void weir_wait_wake_all(struct weir_sock *sock);

/* Look at the set without waiting; 1: something was noted.  Same rule. */
int weir_poll_set(struct weir_sock *sock);

/* Close the set and the signals. */
int weir_wait_open(struct weir_sock *sock);
void weir_wait_close(struct weir_sock *sock);

/* pace.c: a message was put, and some pipe is unflushed; flush now, or later?
 * Lock held on entry and on return, not in between. */
void weir_pace_sent(struct weir_sock *sock);

/* The quick half of that: a stream goes on, and nothing is due. */
static inline bool weir_pace_goes_on(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;

    if (pace->since_look + 1 >= pace->look_every ||
        !atomic_load_explicit(&sock->tick.wanted, memory_order_relaxed))
        return false;
    pace->window_sent++;
    pace->since_look++;
    return true;
}
/* The same where it is not known to be a stream. */
static inline bool weir_pace_appends(struct weir_sock *sock)
{
    return sock->pace.streaming && !sock->pace.full && weir_pace_goes_on(sock);
}
void weir_pace_leave(struct weir_sock *sock);   /* no longer streaming */
void weir_pace_receive(struct weir_sock *sock); /* the same, to receive */
/* The reactor looks: flush what is old; true: look again soon. */
bool weir_pace_tick(struct weir_sock *sock);
/* Of a stream: has whoever sends looked just now, and will look again, so that
 * there is no need for that?  Lock not needed. */
bool weir_pace_is_looked_after(const struct weir_sock *sock);

/* readiness.c: make the descriptors say what is true.  Lock held. */
void weir_readiness_update(struct weir_sock *sock);
/* The descriptor, made if there is none yet.  Lock not held. */
int weir_readiness_of(weir_socket socket, enum weir_wait what);
/* The same, lock held. */
int weir_readiness_fd(struct weir_sock *sock, enum weir_wait what);
/* Lock held. */
void weir_readiness_close(struct weir_sock *sock);

/* rest.c: the socket is used / begins / goes away. */
static inline void weir_rest_use(struct weir_sock *sock)
{
    sock->uses++;
    if (sock->in_use)
        return;
    sock->in_use = true;
    weir_reactor_post(sock->reactor, &sock->wake_up);
}
/* A message was received; news: one that the pattern has made.  Lock held. */
static inline void weir_sock_received(struct weir_sock *sock, bool news)
{
    sock->received++;
    sock->news = news;
    sock->asked = false;
    weir_rest_use(sock);
}

void weir_rest_open(struct weir_sock *sock);
void weir_rest_close(struct weir_sock *sock);

/* stats.c: add a pipe's counters to a sum. */
void weir_stats_add_pipe(weir_stats *sum, const struct weir_pipe *pipe);
void weir_stats_add(weir_stats *sum, const weir_stats *part);

/* The counters of an endpoint, or of its whole socket (NULL), with all pipes
 * there were.  Lock held. */
weir_stats weir_stats_sum(struct weir_sock *sock, const struct weir_ep *ep);

/* The message that did not fit the caller's buffer is not delivered yet; nor
 * will it be, when the socket is closed.  Lock held. */
void weir_stats_add_held(weir_stats *sum, struct weir_sock *sock);

/* turn.c: drive what is due, and see to it that the rest is, soon.  The
 * reactor; lock held on entry and on return, not in between. */
void weir_turn_drive(struct weir_sock *sock);

/* turn.c: give the set to the reactor to watch, or take it away. */
int weir_turn_open(struct weir_sock *sock);
void weir_turn_close(struct weir_sock *sock);

/* turn.c: the reactor looks after the socket.  Returns the ns after which it
 * wants to look again, 0: all is quiet. */
int64_t weir_sock_turn(struct weir_sock *sock);

#endif
