/*
 * quick.h - the usual case of a send and of a receive, in one straight line.
 * Above: api.c.  Below: enter.h, pipe.h, pattern/fairqueue.h.
 *
 * A message of one frame, of a pattern that adds nothing to it, and a queue
 * that has room or has one: each of these functions does all of that, or
 * returns false and has moved no message.  Whatever is unusual, or wrong, is
 * then found out on the long way through socket.c.  When one returns false,
 * *sock is what weir_sock_get() would give, locked, or NULL if that is still to
 * be called.
 *
 * Thread: any.  The socket's lock is not waited for.
 */
#ifndef WEIR_QUICK_H
#define WEIR_QUICK_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

struct weir_sock;

/* Send one frame, copied. */
bool weir_quick_send(weir_socket handle, const void *data, size_t size,
                     struct weir_sock **sock);

/* Receive one frame into `data`; *size is the room on entry and the frame's
 * size on return. */
bool weir_quick_recv(weir_socket handle, void *data, size_t *size,
                     struct weir_sock **sock);

/* Receive a message of one frame; what `message` has is released first. */
bool weir_quick_recv_message(weir_socket handle, weir_message *message,
                             struct weir_sock **sock);

#endif
