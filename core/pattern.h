/*
 * pattern.h - what a pattern must provide: who gets a message, who is heard.
 *
 * A pattern sees pipes (pipe.h), one per peer, and puts messages into their
 * queues or takes them out.  It never waits, never does input or output, and
 * knows no transport.  Every function runs under the socket's lock, for a
 * while that peers do not decide: what takes longer is left for later.
 *
 * Above: socket.c.  Below: pipe.h, queue.h.
 * The built-in patterns register through the table at the end, as those of
 * plugins will.
 */
#ifndef WEIR_PATTERN_H
#define WEIR_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

#include "pipe.h"

struct weir_sock;

/* A pattern's own memory in a socket starts with this. */
struct weir_pattern_ops {
    const char *name; /* Socket-Type of the handshake: "PUSH" */
    enum weir_type type;
    uint32_t abilities;      /* WEIR_PATTERN_* */
    enum weir_policy policy; /* at the mark, unless an option says other */
    size_t state_size;       /* octets of zeroed memory in sock->state */

    /* The socket is opened / goes away (all pipes are detached by then). */
    int (*open)(struct weir_sock *sock);
    void (*close)(struct weir_sock *sock);

    /* A pipe comes to be: at once for a connect (its queue takes messages
     * before there is a connection, unless "immediate"), after the handshake
     * for a bind.  Negative: the pipe is refused, its connection closes; the
     * sentence says why. */
    int (*attach)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* The pipe has a connection and the peer's routing id and properties are
     * known.  Negative: refused. */
    int (*up)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* The connection is lost.  What was received stays readable.  A connect's
     * pipe may come up again. */
    void (*down)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* The pipe goes away; its queues are dead after this. */
    void (*detach)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* The oldest message in the pipe is about to be dropped: forget what was
     * taken of it already.  NULL: nothing ever is. */
    void (*forget)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* Something can be taken from the pipe. / There is room again. */
    void (*readable)(struct weir_sock *sock, struct weir_pipe *pipe);
    void (*writable)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* Put a message to whom it concerns.  The message stays the caller's
     * (its frames are copied or counted).  0: accepted (delivered to queues
     * or dropped and counted).  -EAGAIN: the rule is to wait.  Others as
     * weir_send.  NULL: the type does not send. */
    int (*send)(struct weir_sock *sock, weir_message *message);

    /* Take the next message into an empty one.  1: it is one that the pattern
     * has made itself, which no queue counts.  -EAGAIN: none.  NULL: the type
     * does not receive. */
    int (*recv)(struct weir_sock *sock, weir_message *message);

    /* Is the message whose first frame is peeked one that recv would not pass
     * by?  Of a pattern with WEIR_PATTERN_FAIR.  NULL: each of them is. */
    bool (*wants)(struct weir_sock *sock, struct weir_pipe *pipe);

    /* Would that be true of all, until a subscription or an option changes?
     * Goes with `wants`. */
    bool (*wants_all)(struct weir_sock *sock);

    /* Go on with what weir_sock_later() was called for.  Returns whether there
     * is more.  NULL: it is never called. */
    bool (*tend)(struct weir_sock *sock);

    /* Would send / recv go on without waiting? */
    bool (*can_send)(struct weir_sock *sock);
    bool (*can_recv)(struct weir_sock *sock);

    /* SUB: change the set of prefixes.  NULL: no such thing. */
    int (*subscribe)(struct weir_sock *sock, const void *prefix, size_t size,
                     bool on);

    /* Does this peer count for weir_wait_peers?  NULL: when it is up. */
    bool (*counts)(const struct weir_pipe *pipe);

    /* An option has changed.  NULL: the pattern does not care. */
    void (*option)(struct weir_sock *sock);
};

enum {
    WEIR_PATTERN_SENDS = 1,
    WEIR_PATTERN_RECEIVES = 2,
    WEIR_PATTERN_MULTICAST = 4,   /* goes with multicast transports */
    WEIR_PATTERN_DISCARDS = 8,    /* at close nothing waits to be sent (SUB) */
    WEIR_PATTERN_LATE_QUEUE = 16, /* a connect's pipe takes no messages before
                                     it is up (PUB, ROUTER: nothing to route
                                     by) */
    WEIR_PATTERN_IDENTITY = 32,   /* announces its routing id */
    WEIR_PATTERN_BALANCES = 64,   /* sends as it is, to the first in out_turn */
    WEIR_PATTERN_FAIR = 128 /* receives as it is, from the first in in_turn */
};

/* By type, by name ("XREQ" is DEALER too); NULL if there is none. */
const struct weir_pattern_ops *weir_pattern_by_type(enum weir_type type);
const struct weir_pattern_ops *weir_pattern_by_name(const char *name);

extern const struct weir_pattern_ops weir_pattern_pair, weir_pattern_pub,
    weir_pattern_sub, weir_pattern_req, weir_pattern_rep, weir_pattern_dealer,
    weir_pattern_router, weir_pattern_pull, weir_pattern_push,
    weir_pattern_xpub, weir_pattern_xsub;

#endif
