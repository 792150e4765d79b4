/*
 * fairqueue.h - whom to hear next: pipes with messages take turns.
 *
 * sock->in_turn holds the pipes that have, or may have, messages.  Of several
 * links one that has run dry leaves and posts mail when there is more.  One
 * that is alone, and a pipe of inproc, stays while somebody looks often; it
 * leaves before anybody sleeps, and where the socket's descriptor is watched.
 * Above: the receiving patterns, wait.c.  Below: pipe.h.
 */
#ifndef WEIR_FAIRQUEUE_H
#define WEIR_FAIRQUEUE_H

#include "socket.h"

#define WEIR_FAIRQUEUE_QUOTA 8          /* messages of one pipe in a row */
#define WEIR_FAIRQUEUE_ALONE UINT32_MAX /* while there is no other */

/* The pipe has, or may have, messages (ops->readable). */
void weir_fairqueue_add(struct weir_sock *sock, struct weir_pipe *pipe);

/* A connection begins (ops->up): what it brings is looked at, or told.
 * Returns 0, for the tables. */
int weir_fairqueue_begin(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe is out of it (ops->detach). */
void weir_fairqueue_remove(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe whose turn it is, with something ready; NULL: all are dry.
 * After eight messages of one pipe the next one has its turn.
 * Pipes whose connection is gone may go, so ops->detach may be called. */
struct weir_pipe *weir_fairqueue_next(struct weir_sock *sock);

/* The same for a pattern that expects no commands: what is ready is a
 * message, or the rest of one of which frames were taken. */
struct weir_pipe *weir_fairqueue_message(struct weir_sock *sock);

/* The first pipe has had its turn: it is the last now. */
static inline void weir_fairqueue_turn(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->in_turn);

    sock->in_quota = WEIR_FAIRQUEUE_QUOTA;
    if (!node || weir_list_alone(node))
        return; /* there is no other */
    weir_list_remove(node);
    weir_list_append(&sock->in_turn, node);
}

/* The usual case: what comes next from who is next is an ordinary message
 * that is there whole.  Its frame is peeked.  NULL: ask
 * weir_fairqueue_message(). */
static inline struct weir_pipe *weir_fairqueue_at_hand(struct weir_sock *sock)
{
    struct weir_list *node;
    struct weir_pipe *pipe;

    if (sock->in_quota == 0)
        weir_fairqueue_turn(sock);
    node = weir_list_first(&sock->in_turn);
    if (WEIR_UNLIKELY(!node))
        return NULL;
    pipe = WEIR_CONTAINER(node, struct weir_pipe, in_turn);
    if (!pipe->in || !weir_queue_find_here(&pipe->in->out) ||
        weir_queue_peeked_flags(pipe->in) & WEIR_FRAME_COMMAND)
        return NULL;
    return pipe;
}

/* Take the next message into an empty one; *from (may be NULL) gets the pipe.
 * Commands are passed over.  Errors: as weir_pipe_take(). */
int weir_fairqueue_recv(struct weir_sock *sock, weir_message *message,
                        struct weir_pipe **from);

/* Drop everything that has come so far. */
void weir_fairqueue_discard(struct weir_sock *sock, enum weir_drop reason);

/* Have every pipe post mail when it gets a message, since nobody will look.
 * True: no, there is one already. */
bool weir_fairqueue_arm(struct weir_sock *sock);

/* For the tables of patterns that do no more than this. */
int weir_fairqueue_take(struct weir_sock *sock, weir_message *message);
bool weir_fairqueue_can_recv(struct weir_sock *sock);

#endif
