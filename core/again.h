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
 * There are two ways.  The thread whose own the lock is takes, for a short
 * message, one without any call, from weir_again_begin() to weir_again_end():
 * what happens seldom there is left to the other way, or to again.c, so that
 * the compiler saves no registers for it.  The other way is anybody's:
 * weir_again_send(), weir_again_recv() and weir_again_recv_message().
 *
 * Each function does all of it, or returns false and has moved nothing; the
 * way through quick.c is next then.
 *
 * Thread: any.  The socket's lock is not waited for.
 * Above: api.c.  Below: pipe.h, shells.h; quick.c says when it is so.
 */
#ifndef WEIR_AGAIN_H
#define WEIR_AGAIN_H

#include "message.h"
#include "peer_info.h"
#include "shells.h"
#include "socket.h"

/* ---- the socket ---- */

/* A stay in a socket by the owner of its lock. */
struct weir_again_stay {
    struct weir_sock *sock;
    struct weir_resident *owner;
    uint32_t word; /* of the lock */
};

/* Nothing from here to weir_again_end() may call a function, or it costs the
 * whole of it the saving of registers.  False: this way is not open, and nobody
 * is inside. */
static WEIR_INLINE bool weir_again_begin(struct weir_again_stay *stay,
                                         weir_socket handle,
                                         enum weir_wait what)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (WEIR_UNLIKELY(!sock || !weir_again_pipe(sock, what)))
        return false;
    stay->sock = sock;
    stay->owner = weir_biased_enter(&sock->lock, &stay->word);
    return stay->owner != NULL;
}

/* Has the owner the lock, and is it the socket of that handle? */
static WEIR_INLINE bool weir_again_holds(const struct weir_again_stay *stay,
                                         weir_socket handle)
{
    return weir_biased_is_quiet(&stay->sock->lock, stay->word) &&
           stay->sock->generation == handle.generation;
}

/* The rare ends of a stay: somebody has asked for the lock; there is mail; the
 * consumer of what was put waits.  Return 0. */
int weir_again_left(struct weir_sock *sock, struct weir_resident *owner);
int weir_again_nudge(struct weir_sock *sock);
int weir_again_wake(struct weir_sock *sock);

/* As weir_sock_unlock(), where there is nothing to do but for mail.
 * Returns 0. */
static WEIR_INLINE int weir_again_end(const struct weir_again_stay *stay)
{
    struct weir_sock *sock = stay->sock;

    if (WEIR_UNLIKELY(!weir_biased_leave(&sock->lock, stay->owner, stay->word)))
        return weir_again_left(sock, stay->owner);
    if (WEIR_UNLIKELY(weir_sock_has_mail(sock)))
        return weir_again_nudge(sock);
    return 0;
}

/* Was there a pipe that is expected to be the next one's?  A forked child has
 * forgotten all of them. */
static inline bool weir_again_goes_on(struct weir_sock *sock,
                                      enum weir_wait what)
{
    return weir_again_pipe(sock, what) ||
           (what == WEIR_WAIT_IN && weir_again_choosy(sock));
}

/* The socket, locked, if it is still the one of that handle; NULL.  owner: who
 * is inside already; or NULL. */
static inline struct weir_sock *weir_again_enter(weir_socket handle,
                                                 enum weir_wait what,
                                                 struct weir_resident *owner)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (!sock || (!owner && !weir_again_goes_on(sock, what)))
        return NULL;
    if (!(owner ? weir_biased_stays(&sock->lock, owner)
                : weir_biased_try(&sock->lock)))
        return NULL;
    if (WEIR_LIKELY(sock->generation == handle.generation))
        return sock;
    weir_sock_unlock(sock);
    return NULL;
}

static inline void weir_again_leave(struct weir_sock *sock)
{
    weir_biased_release(&sock->lock);
    if (WEIR_UNLIKELY(weir_sock_has_mail(sock)))
        weir_sock_nudge(sock);
}

/* ---- sending ---- */

/* Put a frame where the last one went.  *waits: the consumer does. */
static WEIR_INLINE bool weir_again_put(struct weir_sock *sock, const void *data,
                                       size_t size, bool *waits)
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
    in->put++;
    *waits = weir_queue_show(pipe->out, weir_queue_position(pipe->out));
    sock->asked = true;
    sock->uses++;
    return true;
}

static inline bool weir_again_append(struct weir_sock *sock, const void *data,
                                     size_t size)
{
    bool waits;

    if (!weir_again_put(sock, data, size, &waits))
        return false;
    if (WEIR_UNLIKELY(waits))
        weir_queue_wake_reader(weir_again_pipe(sock, WEIR_WAIT_OUT)->out);
    return true;
}

/* Send one frame, copied. */
static inline bool weir_again_send(weir_socket handle, const void *data,
                                   size_t size, struct weir_resident *owner)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_OUT, owner);
    bool done;

    if (!sock)
        return false;
    done = weir_again_append(sock, data, size);
    weir_again_leave(sock);
    return done;
}

/* ---- receiving ---- */

/* May the pipe be read on from?  Nobody else's turn has come, and nothing else
 * is to be read. */
static inline bool weir_again_may_take(struct weir_sock *sock,
                                       const struct weir_pipe *pipe)
{
    return WEIR_LIKELY(pipe && sock->in_quota > 0 &&
                       !weir_sock_leaves_input(sock));
}

static inline void weir_again_took(struct weir_sock *sock)
{
    sock->in_quota--;
    sock->received++;
    sock->news = sock->asked = false;
    sock->uses++;
}

/* The owner's look at what comes next from the pipe: is it a whole message of
 * one frame, after which the producer need not be looked after? */
static WEIR_INLINE bool weir_again_see(struct weir_sock *sock,
                                       const struct weir_pipe *pipe,
                                       const uint8_t **body, size_t *size)
{
    unsigned flags;

    return weir_again_may_take(sock, pipe) &&
           WEIR_LIKELY(weir_queue_see(&pipe->in->out, body, size, &flags) &&
                       flags == 0 && !weir_queue_check_comes(pipe->in));
}

/* The owner has taken the message that ends at `next`. */
static WEIR_INLINE void weir_again_pass(struct weir_sock *sock,
                                        struct weir_pipe *pipe,
                                        const uint8_t *next)
{
    weir_queue_end_message(pipe->in, next);
    weir_again_took(sock);
}

/* The way of the owner: a message that needs no more than the one before. */
static WEIR_INLINE bool weir_again_refill(struct weir_sock *sock,
                                          weir_message *message)
{
    struct weir_pipe *pipe = weir_again_pipe(sock, WEIR_WAIT_IN);
    const uint8_t *body;
    size_t size;

    if (!weir_again_see(sock, pipe, &body, &size) ||
        WEIR_UNLIKELY(!weir_pipe_refer_again(pipe, message, body, size)))
        return false;
    weir_again_pass(sock, pipe, body + size);
    return true;
}

/* The same, into `data`, that no call is needed to copy. */
static WEIR_INLINE bool weir_again_copy_short(struct weir_sock *sock,
                                              void *data, size_t *room)
{
    struct weir_pipe *pipe = weir_again_pipe(sock, WEIR_WAIT_IN);
    const uint8_t *body;
    size_t size;

    if (!weir_again_see(sock, pipe, &body, &size) ||
        WEIR_UNLIKELY(size > *room || !weir_queue_is_short(size)))
        return false;
    weir_queue_copy(data, body, size);
    *room = size;
    weir_again_pass(sock, pipe, body + size);
    return true;
}

/* The pipe, with the frame that comes next peeked, if it is a whole message of
 * no more than `most` octets. */
static inline struct weir_pipe *weir_again_peek(struct weir_sock *sock,
                                                size_t most)
{
    struct weir_pipe *pipe = weir_again_pipe(sock, WEIR_WAIT_IN);
    struct weir_queue_out *out;

    pipe = pipe ? pipe : weir_again_choosy(sock);
    if (!weir_again_may_take(sock, pipe))
        return NULL;
    out = &pipe->in->out;
    if (WEIR_UNLIKELY(!weir_queue_find_here(out) || out->flags != 0 ||
                      (size_t)(out->next - out->frame) > most))
        return NULL;
    if (sock->pattern->wants && !sock->pattern->wants(sock, pipe))
        return NULL;
    return pipe;
}

/* What was taken may have made room for what a link has to read. */
static inline void weir_again_received(struct weir_sock *sock)
{
    weir_again_took(sock);
    if (WEIR_UNLIKELY(weir_sock_leaves_input(sock)))
        weir_sock_hand_input_on(sock);
}

static inline bool weir_again_take(struct weir_sock *sock,
                                   weir_message *message)
{
    struct weir_pipe *pipe = weir_again_peek(sock, SIZE_MAX);

    if (WEIR_UNLIKELY(!pipe))
        return false;
    weir_pipe_replace(pipe, message);
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
static inline bool weir_again_recv(weir_socket handle, void *data, size_t *size,
                                   struct weir_resident *owner)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_IN, owner);
    bool done;

    if (!sock)
        return false;
    done = weir_again_copy(sock, data, size);
    weir_again_leave(sock);
    return done;
}

/* Receive a message of one frame; what `message` has is released first. */
static inline bool weir_again_recv_message(weir_socket handle,
                                           weir_message *message,
                                           struct weir_resident *owner)
{
    struct weir_sock *sock = weir_again_enter(handle, WEIR_WAIT_IN, owner);
    bool done;

    if (!sock)
        return false;
    done = weir_again_take(sock, message);
    weir_again_leave(sock);
    return done;
}

#endif
