/*
 * pipe.h - one peer as its socket sees it: two queues and a name.
 *
 * A pipe of a connect outlives its connections; a pipe of a bind is made
 * when a handshake ends and goes with its connection, once what was received
 * has been read.  At its other end is a link (a kernel socket or a plugin's
 * connection) or, on inproc, another socket's pipe.
 *
 * Locks: all plain members belong to the socket's lock, except where said.
 * Above: pattern.h, socket.h.  Below: queue.h, link.h.
 */
#ifndef WEIR_PIPE_H
#define WEIR_PIPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/list.h"
#include "link.h"
#include "options.h"
#include "peer_info.h"
#include "queue.h"

struct weir_sock;
struct weir_ep;
struct weir_splice;

/* News for the socket, posted by whoever drives the other end. */
enum {
    WEIR_MAIL_READABLE = 1, /* the input queue has something */
    WEIR_MAIL_ROOM = 2,     /* the output queue has room again */
    WEIR_MAIL_PARTED = 4,   /* inproc: the other side is gone */
    WEIR_MAIL_OPEN = 8,     /* being read: not posted */
    WEIR_MAIL_BEYOND = 16,  /* the oldest in the input queue are to go */
    WEIR_MAIL_SPILL = 32    /* a queue's spill has news */
};

/* Counters of one pipe; the rest is in the queues. */
struct weir_tally {
    uint64_t send_dropped[WEIR_DROPS], recv_dropped[WEIR_DROPS];
    uint64_t refused_put; /* of send_dropped: never entered the queue */
    uint64_t unconfirmed;
};

struct weir_pipe {
    struct weir_sock *sock;
    struct weir_ep *ep;
    struct weir_list all;       /* sock->pipes */
    struct weir_list of_ep;     /* ep->pipes */
    struct weir_queue *out;     /* we are its producer */
    struct weir_queue *in;      /* we are its consumer */
    struct weir_pool *in_pool;  /* of a link: its driver's chunks, for `in` */
    enum weir_policy policy;    /* of `out` at its mark */
    enum weir_policy in_policy; /* of `in` */
    bool ruled;       /* inproc: `policy` is the peer's for its input, and so is
                         the mark; the peer counts what is dropped */
    uint32_t slot;    /* index among the socket's pipes; stable */
    uint8_t side;     /* of the splice: 0 the dialer's */
    uint64_t peer_id; /* unique in the socket, new per connection */
    bool attached, up;
    bool counted; /* in sock->n_up by the core */
    bool dying;   /* goes when `in` is drained */
    bool buried;  /* gone but for mail that is under way */

    /* the peer */
    struct weir_peer_info *info; /* counted; NULL before the first handshake */
    uint64_t info_given;         /* references handed out to frames */
    uint8_t minor;               /* ZMTP 3.minor; 1 on inproc */
    uint8_t id_size;
    uint8_t id[255]; /* its routing id, as it was announced or invented */

    /* the pattern's */
    struct weir_list in_turn;  /* fair queue: has, or may have, messages */
    struct weir_list out_turn; /* load balance: has, or may have, room */
    void *pattern;             /* whatever the pattern hangs here */
    uint64_t pattern_count;

    struct weir_tally tally;

    /* the socket's */
    struct weir_list flush; /* sock->unflushed: something was put */
    struct weir_list drive; /* sock->readable: its link wants reading */

    /* mail: any thread */
    struct weir_pipe *mail_next;
    _Atomic uint32_t mail;

    struct weir_splice *splice; /* inproc: joins us with the other pipe */
    struct weir_link link;      /* otherwise; its own rules, see link.h */
};

/* ---- for patterns (socket's lock held) ---- */

/* Put a message into the output queue: `prefix` frames first, then those of
 * `message` from index `skip` on.  Obeys the pipe's policy at the mark.
 * Returns 0 when queued; 1 when dropped and counted (DROP_NEW); -EAGAIN at
 * the mark (BLOCK), nothing changed; -ENOMEM. */
int weir_pipe_put(struct weir_pipe *pipe, weir_frame *prefix, uint32_t n,
                  weir_message *message, uint32_t skip);

/* The usual case: a short frame that goes where there is room, as far as is
 * known.  False: nothing was put.  Then weir_sock_touch(). */
static inline bool weir_pipe_append(struct weir_pipe *pipe, const void *data,
                                    size_t size)
{
    struct weir_queue *out = pipe->out;

    if (WEIR_UNLIKELY(!out || pipe->policy == WEIR_POLICY_LATEST ||
                      !weir_queue_fits(&out->in, size) ||
                      !weir_queue_has_credit(out, size + WEIR_QUEUE_HEAD)))
        return false;
    weir_queue_write(&out->in, data, size, 0);
    weir_queue_commit(out);
    return true;
}

/* The same with one message that lies packed in the first `octets` of a
 * chunk; not for the policy LATEST. */
int weir_pipe_put_packed(struct weir_pipe *pipe, struct weir_chunk *chunk,
                         size_t octets);

/* Octets that such a message takes in a queue, heads included. */
size_t weir_pipe_measure(weir_frame *prefix, uint32_t n, weir_message *message,
                         uint32_t skip);

/* Is what is put kept in a durable swap? */
bool weir_pipe_is_durable(const struct weir_pipe *pipe);

/* Is there room for a message of `octets`, heads included?  Where not, the
 * socket is told when there is. */
bool weir_pipe_room(struct weir_pipe *pipe, size_t octets);

/* Is there room for a message, or would it be dropped?  False only where
 * the rule is to wait; the socket is then told when there is room. */
bool weir_pipe_can_put(struct weir_pipe *pipe);

/* Put one command or subscription frame, whatever the mark says.
 * Errors: -ENOMEM. */
int weir_pipe_put_command(struct weir_pipe *pipe, const void *body, size_t size,
                          unsigned flags);

/* Something waits to be sent.  On inproc nothing does once there is a peer:
 * what is put lies in the queue that the peer takes from. */
bool weir_pipe_unsent(struct weir_pipe *pipe);

/* A message can be taken. */
static inline bool weir_pipe_ready(struct weir_pipe *pipe)
{
    return pipe->in && weir_queue_ready(pipe->in);
}

/* Look at the next frame; *data is borrowed until it is consumed.  With
 * WEIR_FRAME_COMMAND in its flags it is a command's body, without
 * WEIR_FRAME_MORE it ends its message.  False: there is none. */
static inline bool weir_pipe_peek(struct weir_pipe *pipe, const uint8_t **data,
                                  size_t *size, unsigned *flags)
{
    return pipe->in && weir_queue_peek(pipe->in, data, size, flags) > 0;
}

/* Take what is left of the next message (all of it, unless frames of it were
 * taken from pipe->in before) behind the frames that `message` has already.
 * *command gets whether it is a command (one frame: the command's body)
 * instead of a message.
 * -EAGAIN none; -ENOMEM it was dropped and counted, and what `message` had
 * is gone too. */
int weir_pipe_take(struct weir_pipe *pipe, weir_message *message,
                   bool *command);

/* Consume what is left of the next message, and count it as dropped.
 * False: there is none. */
bool weir_pipe_skip(struct weir_pipe *pipe, enum weir_drop reason);

/* Nobody is going to look at the pipe: have the socket told of the next
 * message.  False: there is one already. */
bool weir_pipe_rest(struct weir_pipe *pipe);

/* Count what was taken as dropped, for a reason. */
void weir_pipe_drop_taken(struct weir_pipe *pipe, enum weir_drop reason);

/* Count a message that never entered the queue as dropped. */
void weir_pipe_drop_unsent(struct weir_pipe *pipe, enum weir_drop reason);

/* Throw away all that waits to be sent (SUB starts anew on each connection).
 * Only before the link runs (in ops->up). */
void weir_pipe_clear_out(struct weir_pipe *pipe);

/* Something was put into the input: have the oldest dropped if that is beyond
 * the mark and they are to go.  Any thread, the producer of the input. */
void weir_pipe_came(struct weir_pipe *pipe);

/* Mail: drop the oldest of the input, as many as its producer asks for. */
void weir_pipe_trim(struct weir_pipe *pipe);

/* References to the peer's properties that a pipe hands out before it takes
 * more; weir_pipe_give_info() takes them; not for others. */
#define WEIR_PIPE_INFO_GIVEN (1 << 30)
void weir_pipe_give_info(struct weir_pipe *pipe);

/* Say in a frame that has no peer yet that it came from this one. */
static inline void weir_pipe_sign(struct weir_pipe *pipe, weir_frame *frame)
{
    if (pipe->info && WEIR_UNLIKELY(++pipe->info_given == WEIR_PIPE_INFO_GIVEN))
        weir_pipe_give_info(pipe);
    weir_frame_set_peer(frame, pipe->slot + 1, pipe->info);
}

/* A frame goes that came from this peer, or from another: take back what
 * weir_pipe_sign() gave.  False: it is to be dropped. */
static inline bool weir_pipe_unsign(struct weir_pipe *pipe,
                                    const struct weir_peer_info *info)
{
    if (info != pipe->info || pipe->info_given == 0)
        return false;
    pipe->info_given--;
    return true;
}

/* Release what a message has, before it is given what comes next: it is often
 * from the same chunk of the same peer, and then the references go back to
 * those that their counters do not know of. */
static inline void weir_pipe_release(struct weir_pipe *pipe,
                                     weir_message *message)
{
    struct weir_frame_view *view = weir_frame_view(&message->first);

    if (WEIR_UNLIKELY(message->count > 1 || message->rest)) {
        weir_message_fini(message);
        return;
    }
    if (message->count == 0)
        return;
    if (view->kind == WEIR_FRAME_SLICE && view->slice.chunk &&
        !weir_queue_take_back(pipe->in, view->slice.chunk))
        weir_chunk_unref(view->slice.chunk, 1);
    if (view->peer && !weir_pipe_unsign(pipe, view->peer))
        weir_peer_info_unref(view->peer, 1);
}

/* The frame that was peeked, all of a message, becomes one; not for others. */
static inline void weir_pipe_take_frame(struct weir_pipe *pipe,
                                        weir_message *message)
{
    weir_queue_take(pipe->in, &message->first);
    weir_pipe_sign(pipe, &message->first);
    message->count = 1;
}

/* Take the frame that was peeked, all of a message, in place of what `message`
 * has. */
static inline void weir_pipe_replace(struct weir_pipe *pipe,
                                     weir_message *message)
{
    weir_pipe_release(pipe, message);
    weir_pipe_take_frame(pipe, message);
}

/* Make `message` the one of `size` octets at `body` in the input queue, which
 * comes next, if it needs no other references than those that it has of the
 * message before it.  False: nothing was changed. */
static inline bool weir_pipe_refer_again(struct weir_pipe *pipe,
                                         weir_message *message,
                                         const uint8_t *body, size_t size)
{
    struct weir_frame_view *view = weir_frame_view(&message->first);

    if (WEIR_UNLIKELY(
            message->count != 1 || message->rest || view->peer != pipe->info ||
            !weir_queue_refer_again(&pipe->in->out, view, body, size)))
        return false;
    view->flags = 0;
    view->routing = pipe->slot + 1;
    return true;
}

/* Take the frame that was peeked and the rest of its message, behind the
 * frames that `message` has already.
 * Errors: -ENOMEM, as weir_pipe_take(). */
int weir_pipe_take_frames(struct weir_pipe *pipe, weir_message *message);

/* The same, quicker for a message of one frame. */
static inline int weir_pipe_take_peeked(struct weir_pipe *pipe,
                                        weir_message *message)
{
    if (WEIR_UNLIKELY(message->count > 0 ||
                      weir_queue_peeked_flags(pipe->in) & WEIR_FRAME_MORE))
        return weir_pipe_take_frames(pipe, message);
    weir_pipe_take_frame(pipe, message);
    return 0;
}

/* Give the queues a spill, if the endpoint's options say so.
 * Errors: -ENOMEM. */
int weir_pipe_add_swap(struct weir_pipe *pipe);

/* A bind's durable queue goes by the peer's routing id, which is known now.
 * Nothing was put yet.
 * Errors: -WEIR_EINCOMPATIBLE the peer has none; -EBUSY another peer has it;
 * -ENAMETOOLONG; -ENOMEM. */
int weir_pipe_name_swap(struct weir_pipe *pipe);

/* Mail: see to what the spills have to say.
 * Returns what that is for others: WEIR_MAIL_ROOM, WEIR_MAIL_READABLE. */
uint32_t weir_pipe_spilled(struct weir_pipe *pipe);

/* Was more received than can be taken now? */
bool weir_pipe_hides_input(struct weir_pipe *pipe);

/* The pipe is about to go: its spills send no mail any more. */
void weir_pipe_silence(struct weir_pipe *pipe);

/* What to do at the mark, unless the "send-policy" option says other, or on
 * inproc the peer. */
void weir_pipe_set_policy(struct weir_pipe *pipe, enum weir_policy fallback);

/* The mark of the input that goes with the options. */
struct weir_queue_limits
weir_pipe_recv_mark(const struct weir_options *options);

/* Will the pipe outlive its connection (it is a connect's)? */
bool weir_pipe_lasts(const struct weir_pipe *pipe);

/* Close the connection for good because of what the peer sent, or because it
 * is not wanted; an event carries the calling thread's sentence. */
void weir_pipe_refuse(struct weir_pipe *pipe, int code);

/* ---- for sockets and links ---- */

/* Make a pipe with its two queues; on inproc without, they come with the
 * splice, and the ends that are ours are the pipe's from then on.
 * NULL: no memory. */
struct weir_pipe *weir_pipe_new(struct weir_sock *sock, struct weir_ep *ep);

/* Free it with its ends of the queues (of a link: with both). */
void weir_pipe_free(struct weir_pipe *pipe);

/* The peer has said who it is: frames that are taken say so.  All references
 * of `info`, which weir_peer_info_new() made, become the pipe's; NULL: it is
 * not known.  Lock held. */
void weir_pipe_set_info(struct weir_pipe *pipe, struct weir_peer_info *info);

/* Leave news for the socket.  Any thread; the pipe must be kept alive by the
 * caller (its driver word, or the splice's lock).  Does not wake; follow it
 * with weir_sock_nudge(). */
void weir_pipe_post(struct weir_pipe *pipe, uint32_t mail);

#endif
