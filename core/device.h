/*
 * device.h - a device moves messages between two sockets.
 * Above: weir.h's calls on devices, all in device.c.  Below: socket.h.
 *
 * A device keeps no messages of its own.  With the locks of all its sockets
 * held, in the order of their indices, a message is taken from one socket and
 * given to the other; if that has no room, it is put back as the one that
 * comes first, and counts as not received.  So nothing is between two sockets
 * at any time, several threads move messages without changing their order,
 * and when the device ends the sockets have all there is.
 *
 * The sockets are lent to the device (weir_sock_lend()).  Its workers drive
 * their links as any caller would; one of those who find nothing to do leads:
 * it sleeps in a set of the sockets' sets.  The others sleep on `word`.
 *
 * Shells live as long as the process, see shells.h.
 */
#ifndef WEIR_DEVICE_H
#define WEIR_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/lock.h"
#include "base/signal.h"
#include "poller.h"

struct weir_sock;
struct weir_reactor;

enum { WEIR_DEV_FRONT, WEIR_DEV_BACK, WEIR_DEV_CAPTURE, WEIR_DEV_SOCKS };

/* A way is named by the socket that it comes from. */
enum { WEIR_DEV_WAYS = 2 };

/* Why a way has come to a halt. */
enum weir_dev_halt {
    WEIR_DEV_DRY,       /* nothing to receive */
    WEIR_DEV_FULL,      /* no room to send */
    WEIR_DEV_SHORT,     /* no memory to send: again in a while */
    WEIR_DEV_TURN,      /* REQ and REP: it is the other way's turn */
    WEIR_DEV_NOT_HALTED /* there may be more */
};

/* Guarded by the locks of both sockets; others may read the counters. */
struct weir_dev_way {
    bool flows; /* the one receives and the other sends */
    enum weir_dev_halt halt;
    uint32_t seen; /* changes of the room to send, when there was none */
    uint64_t left; /* to be moved before it stops */
    _Atomic uint64_t moved, waits, dropped;
};

struct weir_dev {
    /* these stay when the shell is used again */
    struct weir_lock lock; /* a leaf: nothing is taken under it */
    uint32_t index;
    uint32_t generation; /* of the handle; changes when it is stopped */
    _Atomic uint64_t fork_generation;

    _Atomic uint32_t state; /* enum weir_device_state; 0: not in use. */
    weir_socket socks[WEIR_DEV_SOCKS]; /* first of those that begin as zero */
    int n_socks;
    struct weir_reactor *reactor; /* without I/O threads; else NULL */
    struct weir_poller set;       /* the sockets' sets, by number, and `wake` */
    struct weir_signal wake;
    struct weir_dev_way ways[WEIR_DEV_WAYS];
    _Atomic uint64_t captured, capture_missed;

    _Atomic uint32_t word;    /* moves when those who sleep on it should look */
    uint32_t parked;          /* workers that do */
    bool leading;             /* a worker sleeps in `set` */
    uint32_t inside;          /* threads in a call */
    _Atomic uint32_t workers; /* in weir_dev_work() */
    pthread_t threads[WEIR_DEVICE_WORKERS_MAX];
    int n_threads;
    int code; /* why it has ended, positive */
    char reason[256];
};

/* ---- device_rules.c ---- */

/* Do the types go together?  Which ways flow then.
 * Errors: -WEIR_EINCOMPATIBLE, with a sentence. */
int weir_dev_check_pair(const struct weir_sock *front,
                        const struct weir_sock *back,
                        bool flows[WEIR_DEV_WAYS]);
int weir_dev_check_capture(const struct weir_sock *capture);

/* ---- device_work.c ---- */

/* The sockets of a device, for a thread that is inside them: they stay. */
struct weir_dev_visit {
    struct weir_sock *socks[WEIR_DEV_SOCKS];
    struct weir_sock *order[WEIR_DEV_SOCKS]; /* of the locks */
    int n;
};

/* Enter `n` sockets, and leave them.  No lock held.
 * Errors: as weir_sock_get(), with a sentence that names the socket; none is
 * entered then. */
int weir_dev_enter(struct weir_dev_visit *visit, const weir_socket *socks,
                   int n);
void weir_dev_leave(struct weir_dev_visit *visit);

/* Take the locks of all of them, and release them. */
void weir_dev_lock(struct weir_dev_visit *visit);
void weir_dev_unlock(struct weir_dev_visit *visit);

/* How many messages are in the sockets, on ways that flow: received and not
 * moved (*unmoved gets those, by way), or moved and not sent.  Locks held. */
uint64_t weir_dev_held(const struct weir_dev *dev, struct weir_dev_visit *visit,
                       uint64_t unmoved[WEIR_DEV_WAYS]);

/* Be a worker until the device has ended, or the deadline.  No lock held.
 * 0: it was stopped; -EAGAIN; or what has ended it. */
int weir_dev_work(struct weir_dev *dev, int64_t deadline);

/* The device has ended; why, if it did not have a reason already.  Any
 * thread; any locks but the device's may be held. */
void weir_dev_end(struct weir_dev *dev, int code, const char *reason);

/* It has, since a socket could not be entered: `r`, with its sentence. */
void weir_dev_lose(struct weir_dev *dev, int r);

/* 0, or what has ended it, with a sentence. */
int weir_dev_outcome(struct weir_dev *dev);

/* Have all workers look at the device's state.  Same rule. */
void weir_dev_alert(struct weir_dev *dev);

#endif
