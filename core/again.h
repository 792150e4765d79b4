/*
 * again.h - a send, or a receive, that is like the one before.
 *
 * The straight line of quick.c asks of each message whether the socket, its
 * pattern, its peer and its pace are as usual.  When all of that was so and
 * nobody else has held the socket's lock since, it is so still: sock->again
 * says whose queue it was, and weir_sock_lock() makes it forget that.  What
 * changes without the lock is looked at here, and so is what each message
 * changes: room, the pace, what is there to be received.
 *
 * Each function does all of it, or returns false and has moved nothing; the
 * way through quick.c is next then.
 *
 * Thread: any.  The socket's lock is not waited for.
 * Above: api.c.  Below: enter.h, pipe.h; quick.c says when it is so.
 */
#ifndef WEIR_AGAIN_H
#define WEIR_AGAIN_H

#include "enter.h"
#include "message.h"
#include "peer_info.h"
#include "shells.h"

/* The socket, locked, if it is still the one of that handle; NULL. */
static WEIR_INLINE struct weir_sock *weir_again_enter(weir_socket handle,
                                                      enum weir_wait what)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (WEIR_UNLIKELY(!sock || !weir_again_pipe(sock, what) ||
                      !weir_enter_is_ours(sock) ||
                      !weir_biased_try(&sock->lock)))
        return NULL;
    if (WEIR_LIKELY(sock->generation == handle.generation))
        return sock;
    weir_sock_unlock(sock);
    return NULL;
}

/* As weir_sock_unlock(), where there is nothing to do but for mail. */
static inline void weir_again_leave(struct weir_sock *sock)
{
    weir_biased_release(&sock->lock);
    if (WEIR_UNLIKELY(weir_sock_has_mail(sock)))
        weir_sock_nudge(sock);
}

static inline bool weir_again_append(struct weir_sock *sock, const void *data,
                                     size_t size)
{
    struct weir_pipe *pipe = weir_again_pipe(sock, WEIR_WAIT_OUT);
    struct weir_queue_in *in;

    if (WEIR_UNLIKELY(!pipe || weir_sock_leaves_input(sock)))
        return false;
    in = &pipe->out->in;
    if (WEIR_UNLIKELY(size >= WEIR_QUEUE_BODY ||
                      size + WEIR_QUEUE_HEAD >
                          (size_t)(sock->again.limit - in->write) ||
                      in->put >= in->message_credit))
        return false;
    if (!weir_list_empty(&sock->unflushed) && !weir_pace_goes_on(sock))
        return false;
    weir_queue_write(in, data, size, 0);
    weir_queue_commit(pipe->out);
    sock->asked = true;
    sock->uses++;
    return true;
}

/* Send one frame, copied. */
static inline bool weir_again_send(weir_socket handle, const void *data,
                                   size_t size)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_OUT);
    bool done;

    if (!sock)
        return false;
    done = weir_again_append(sock, data, size);
    weir_again_leave(sock);
    return done;
}

/* The pipe, with the frame that comes next peeked, if it is a whole message of
 * no more than `most` octets. */
static inline struct weir_pipe *weir_again_peek(struct weir_sock *sock,
                                                size_t most)
{
    struct weir_pipe *pipe = weir_again_pipe(sock, WEIR_WAIT_IN);
    struct weir_queue_out *out;

    if (WEIR_UNLIKELY(!pipe || weir_sock_leaves_input(sock)))
        return NULL;
    out = &pipe->in->out;
    if (WEIR_UNLIKELY(!weir_queue_find_here(out) || out->flags != 0 ||
                      (size_t)(out->next - out->frame) > most))
        return NULL;
    if (sock->pattern->wants && !sock->pattern->wants(sock, pipe))
        return NULL;
    if (sock->again.alone)
        return pipe;
    if (sock->in_quota == 0)
        return NULL;
    sock->in_quota--;
    return pipe;
}

/* What was taken may have made room for what a link has to read. */
static inline void weir_again_received(struct weir_sock *sock)
{
    sock->received++;
    sock->news = sock->asked = false;
    sock->uses++;
    if (WEIR_UNLIKELY(weir_sock_leaves_input(sock)))
        weir_sock_hand_input_on(sock);
}

static inline bool weir_again_take(struct weir_sock *sock,
                                   weir_message *message)
{
    struct weir_pipe *pipe = weir_again_peek(sock, SIZE_MAX);

    if (WEIR_UNLIKELY(!pipe))
        return false;
    weir_pipe_release(pipe, message);
    weir_queue_take(pipe->in, &message->first);
    weir_pipe_sign(pipe, &message->first);
    message->count = 1;
    weir_again_received(sock);
    return true;
}

static inline bool weir_again_copy(struct weir_sock *sock, void *data,
                                   size_t *size)
{
    struct weir_pipe *pipe = weir_again_peek(sock, *size);
    const uint8_t *octets;

    if (WEIR_UNLIKELY(!pipe))
        return false;
    octets = weir_queue_peeked(pipe->in, size);
    weir_queue_copy(data, octets, *size);
    weir_queue_pass(pipe->in);
    weir_again_received(sock);
    return true;
}

/* Receive one frame into `data`; *size is the room on entry and the frame's
 * size on return. */
static inline bool weir_again_recv(weir_socket handle, void *data, size_t *size)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_IN);
    bool done;

    if (!sock)
        return false;
    done = weir_again_copy(sock, data, size);
    weir_again_leave(sock);
    return done;
}

/* Receive a message of one frame; what `message` has is released first. */
static inline bool weir_again_recv_message(weir_socket handle,
                                           weir_message *message)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_IN);
    bool done;

    if (!sock)
        return false;
    done = weir_again_take(sock, message);
    weir_again_leave(sock);
    return done;
}

#endif
