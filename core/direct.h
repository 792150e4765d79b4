/*
 * direct.h - large messages that are written from the application's memory.
 *
 * weir_send() copies what it sends, since the call returns before the peer has
 * it.  But mostly the kernel has it by then: a large message is put into the
 * queue as a reference to the application's memory, written at once, and only
 * what the kernel had no room for is copied, before the call returns.  The
 * memory for that is reserved first, so that nothing can fail in between.
 *
 * Until then nobody else may read that queue: the driver word is held from the
 * moment when the message is put.
 *
 * Thread: any, with the socket's lock.
 * Above: socket.c, pipe.c.  Below: wait.c, link.h, queue.h.
 */
#ifndef WEIR_DIRECT_H
#define WEIR_DIRECT_H

#include "frame.h"
#include "pipe.h"

/* What a frame needs, to be worth two calls more. */
#define WEIR_DIRECT_MIN 32768

/* Does `frame`, which is to end the next message of this pipe, go directly?
 * Then it refers to the memory in reserve, and weir_direct_end() has to follow
 * when the message was put, or could not be.  There was room for it. */
bool weir_direct_begin(struct weir_pipe *pipe, weir_frame *frame);
void weir_direct_end(struct weir_pipe *pipe, weir_frame *frame, bool put);

/* A message was put so: sock->direct.pipe.  Write it, and keep what is left.
 * The lock is not held in between. */
void weir_direct_write(struct weir_sock *sock);

#endif
