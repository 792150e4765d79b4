/*
 * fairqueue.h - whom to hear next: pipes with messages take turns.
 *
 * sock->in_turn holds the pipes that have, or may have, messages.  A pipe of
 * a link that has run dry leaves and posts mail when there is more.  A pipe of
 * inproc stays while somebody looks often, since telling its busy producer
 * costs a system call; it leaves before anybody sleeps.
 * Above: the receiving patterns, wait.c.  Below: pipe.h.
 */
#ifndef WEIR_FAIRQUEUE_H
#define WEIR_FAIRQUEUE_H

#include "socket.h"

/* The pipe has, or may have, messages (ops->readable). */
void weir_fairqueue_add(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe is out of it (ops->detach). */
void weir_fairqueue_remove(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe whose turn it is, with a message ready; NULL: all are dry.
 * After eight messages of one pipe the next one has its turn. */
struct weir_pipe *weir_fairqueue_next(struct weir_sock *sock);

/* Have every pipe post mail when it gets a message, since nobody will look.
 * True: no, there is one already. */
bool weir_fairqueue_arm(struct weir_sock *sock);

#endif
