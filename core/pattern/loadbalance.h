/*
 * loadbalance.h - whom to give the next message: pipes with room take turns.
 *
 * sock->out_turn holds the pipes that have, or may have, room.  One that is
 * at its mark leaves, and comes back with the mail about room; one that is
 * durable stays, as what is refused says nothing of what is shorter.
 * Above: the sending patterns.  Below: pipe.h.
 */
#ifndef WEIR_LOADBALANCE_H
#define WEIR_LOADBALANCE_H

#include "socket.h"

/* The pipe has, or may have, room (ops->attach, ops->writable). */
void weir_loadbalance_add(struct weir_sock *sock, struct weir_pipe *pipe);

/* The pipe is out of it (ops->detach). */
void weir_loadbalance_remove(struct weir_sock *sock, struct weir_pipe *pipe);

/* Put the message to the next pipe with room, as weir_pipe_put; *chosen (may
 * be NULL) gets it.  -EAGAIN: none has room. */
int weir_loadbalance_send(struct weir_sock *sock, weir_frame *prefix,
                          uint32_t n, weir_message *message, uint32_t skip,
                          struct weir_pipe **chosen);

/* The pipe has had its turn: it is the last now.  Nothing to do for one that is
 * alone. */
static inline void weir_loadbalance_turn(struct weir_sock *sock,
                                         struct weir_pipe *pipe)
{
    if (WEIR_LIKELY(weir_list_alone(&pipe->out_turn)))
        return;
    weir_list_remove(&pipe->out_turn);
    weir_list_append(&sock->out_turn, &pipe->out_turn);
}

/* Has any pipe room? */
bool weir_loadbalance_can_send(struct weir_sock *sock);

#endif
