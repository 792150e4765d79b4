/*
 * pipe.c - see pipe.h.
 */
#include "config.h"

#include "pipe.h"

#include <errno.h>
#include <stdlib.h>

#include "base/debug.h"
#include "direct.h"
#include "endpoint.h"
#include "message.h"
#include "socket.h"
#include "spill.h"
#include "splice.h"

enum {
    POOL = 16 << 20 /* octets of free chunks that a link's input keeps */
};

/* ---- the output queue at its mark ---- */

static int drop_new(struct weir_pipe *pipe)
{
    if (pipe->ruled)
        weir_queue_refuse(pipe->out);
    else
        weir_pipe_drop_unsent(pipe, WEIR_DROP_MARK);
    return 1;
}

/* On inproc the consumer's end is another socket's, which is asked.  While a
 * thread is in a call on it the message goes beyond the mark, until that call
 * gives up the socket's lock; but to twice the mark at most, or a producer that
 * is faster than the consumer drops would fill the memory. */
static int ask_for_room(struct weir_pipe *pipe, size_t octets)
{
    weir_queue_ask_room(pipe->out, octets);
    weir_splice_trim(pipe);
    return weir_queue_far_beyond(pipe->out) ? drop_new(pipe) : 0;
}

/* The consumer's end is the driver's.  A driver that is busy is within one
 * system call: the message goes beyond the mark for as long as that takes.
 * In the messages shape a plugin may be looking at what is in the queue: the
 * new message is dropped then, and so it is when all of the mark is one
 * message partly written. */
static int drop_oldest(struct weir_pipe *pipe, size_t octets)
{
    bool room = false;

    if (pipe->splice)
        return ask_for_room(pipe, octets);
    if (atomic_load(&pipe->link.turn))
        return drop_new(pipe);
    if (!weir_link_hold(&pipe->link))
        return 0;
    while (!room && weir_queue_skip(pipe->out)) {
        pipe->tally.send_dropped[WEIR_DROP_REPLACED]++;
        room = weir_queue_room(pipe->out, octets);
    }
    weir_sock_let_go(pipe->sock, pipe);
    return room ? 0 : drop_new(pipe);
}

/* 0: the message may be put.  Others as weir_pipe_put(). */
static int at_mark(struct weir_pipe *pipe, size_t octets)
{
    switch (pipe->policy) {
    case WEIR_POLICY_BLOCK:
        return weir_queue_arm_writer(pipe->out) ? -EAGAIN : 0;
    case WEIR_POLICY_DROP_OLD:
        return drop_oldest(pipe, octets);
    default:
        return drop_new(pipe);
    }
}

static int make_room(struct weir_pipe *pipe, size_t octets)
{
    if (WEIR_LIKELY(weir_queue_room(pipe->out, octets)))
        return 0;
    return at_mark(pipe, octets);
}

/* A pipe of inproc that has nobody at its other end has no queue. */
static int no_queue(struct weir_pipe *pipe)
{
    return pipe->policy == WEIR_POLICY_BLOCK ? -EAGAIN : drop_new(pipe);
}

bool weir_pipe_is_durable(const struct weir_pipe *pipe)
{
    return pipe->out && weir_spill_is_durable(pipe->out->spill);
}

bool weir_pipe_room(struct weir_pipe *pipe, size_t octets)
{
    return pipe->out && (weir_queue_room(pipe->out, octets) ||
                         !weir_queue_arm_writer(pipe->out));
}

/* Once a message was refused, even a long one among short ones, the answer
 * is no until the queue has told of room: or who asks and sends in turn would
 * go round and round.  One that is durable may never have room for it. */
bool weir_pipe_can_put(struct weir_pipe *pipe)
{
    if (pipe->policy != WEIR_POLICY_BLOCK)
        return true;
    if (weir_pipe_is_durable(pipe))
        return weir_pipe_room(pipe, weir_spill_asked(pipe->out));
    return pipe->out && !weir_queue_writer_waits(pipe->out) &&
           weir_pipe_room(pipe, 1);
}

/* ---- putting ---- */

static int put_end(struct weir_pipe *pipe)
{
    weir_queue_end_put(pipe->out, 1);
    if (WEIR_UNLIKELY(weir_spill_is_durable(pipe->out->spill)))
        pipe->sock->owing = pipe->out;
    weir_sock_touch(pipe->sock, pipe);
    return 0;
}

static int put_abort(struct weir_pipe *pipe)
{
    weir_queue_abort(pipe->out);
    return -ENOMEM;
}

size_t weir_pipe_measure(weir_frame *prefix, uint32_t n, weir_message *message,
                         uint32_t skip)
{
    uint32_t count = weir_message_count(message);
    size_t octets = 0;

    for (uint32_t i = 0; i < n; i++)
        octets += weir_queue_octets(weir_frame_length(&prefix[i]));
    for (uint32_t i = skip; i < count; i++)
        octets += weir_queue_octets(
            weir_frame_length(weir_message_frame(message, i)));
    return octets;
}

static int put_frames(struct weir_queue *out, weir_frame *prefix, uint32_t n,
                      weir_message *message, uint32_t skip)
{
    uint32_t count = weir_message_count(message);
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < n; i++)
        r = weir_queue_frame_put(
            out, &prefix[i], i + 1 < n || skip < count ? WEIR_FRAME_MORE : 0);
    for (uint32_t i = skip; r >= 0 && i < count; i++)
        r = weir_queue_frame_put(out, weir_message_frame(message, i),
                                 i + 1 < count ? WEIR_FRAME_MORE : 0);
    return r;
}

/* The slot of policy "latest" takes a message as it is. */
static int gather(weir_message *whole, weir_frame *prefix, uint32_t n,
                  weir_message *message, uint32_t skip)
{
    uint32_t count = weir_message_count(message);
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < n + count - skip; i++) {
        weir_frame *frame;

        r = weir_message_extend(whole, &frame);
        if (r >= 0)
            weir_frame_share(frame,
                             i < n ? &prefix[i]
                                   : weir_message_frame(message, i - n + skip));
    }
    return r;
}

static int put_latest(struct weir_pipe *pipe, weir_frame *prefix, uint32_t n,
                      weir_message *message, uint32_t skip)
{
    weir_message whole;
    int r;

    weir_message_init(&whole);
    r = gather(&whole, prefix, n, message, skip);
    if (r >= 0)
        r = weir_queue_put_latest(pipe->out, &whole);
    weir_message_fini(&whole);
    if (r < 0)
        return r;
    pipe->tally.send_dropped[WEIR_DROP_REPLACED] += r > 0;
    weir_sock_touch(pipe->sock, pipe);
    return 0;
}

static int put_whole(struct weir_pipe *pipe, weir_frame *prefix, uint32_t n,
                     weir_message *message, uint32_t skip)
{
    weir_queue_begin(pipe->out);
    if (put_frames(pipe->out, prefix, n, message, skip) < 0)
        return put_abort(pipe);
    return put_end(pipe);
}

static int put_many(struct weir_pipe *pipe, weir_frame *prefix, uint32_t n,
                    weir_message *message, uint32_t skip)
{
    int r = make_room(pipe, weir_pipe_measure(prefix, n, message, skip));
    weir_frame *last;

    if (r != 0)
        return r;
    if (message->count == skip)
        return put_whole(pipe, prefix, n, message, skip);
    last = weir_message_at(message, message->count - 1);
    if (!weir_direct_begin(pipe, last))
        return put_whole(pipe, prefix, n, message, skip);
    r = put_whole(pipe, prefix, n, message, skip);
    weir_direct_end(pipe, last, r >= 0);
    return r;
}

static WEIR_NOINLINE int put_slow(struct weir_pipe *pipe, weir_frame *prefix,
                                  uint32_t n, weir_message *message,
                                  uint32_t skip)
{
    if (!pipe->out)
        return no_queue(pipe);
    if (pipe->policy == WEIR_POLICY_LATEST)
        return put_latest(pipe, prefix, n, message, skip);
    return put_many(pipe, prefix, n, message, skip);
}

static inline bool put_short(struct weir_pipe *pipe, weir_frame *frame)
{
    if (!weir_pipe_append(pipe, weir_frame_octets(frame),
                          weir_frame_length(frame)))
        return false;
    weir_sock_touch(pipe->sock, pipe);
    return true;
}

int weir_pipe_put(struct weir_pipe *pipe, weir_frame *prefix, uint32_t n,
                  weir_message *message, uint32_t skip)
{
    if (WEIR_LIKELY(n == 0 && message->count == skip + 1 &&
                    put_short(pipe, weir_message_at(message, skip))))
        return 0;
    return put_slow(pipe, prefix, n, message, skip);
}

int weir_pipe_put_packed(struct weir_pipe *pipe, struct weir_chunk *chunk,
                         size_t octets)
{
    int r;

    if (!pipe->out)
        return no_queue(pipe);
    r = make_room(pipe, octets);
    if (r == 0)
        r = weir_queue_put_run(pipe->out, chunk, 0, octets, 1);
    if (r == 0)
        weir_sock_touch(pipe->sock, pipe);
    return r;
}

int weir_pipe_put_command(struct weir_pipe *pipe, const void *body, size_t size,
                          unsigned flags)
{
    if (!pipe->out)
        return 0;
    weir_queue_begin(pipe->out);
    if (weir_queue_frame(pipe->out, body, size, flags) < 0)
        return put_abort(pipe);
    return put_end(pipe);
}

void weir_pipe_clear_out(struct weir_pipe *pipe)
{
    uint64_t hidden;

    if (!pipe->out || pipe->splice || weir_spill_is_durable(pipe->out->spill))
        return; /* what is durable stays in its store, when the queue goes */
    hidden = pipe->out->spill ? weir_spill_discard(pipe->out) : 0;
    pipe->tally.send_dropped[WEIR_DROP_CLOSED] += hidden;
    pipe->tally.refused_put += hidden;
    while (weir_queue_skip(pipe->out))
        pipe->tally.send_dropped[WEIR_DROP_CLOSED]++;
}

void weir_pipe_drop_unsent(struct weir_pipe *pipe, enum weir_drop reason)
{
    pipe->tally.send_dropped[reason]++;
    pipe->tally.refused_put++;
}

bool weir_pipe_unsent(struct weir_pipe *pipe)
{
    if (!pipe->out || (pipe->splice && weir_splice_joined(pipe)))
        return false;
    return weir_queue_holds(pipe->out);
}

/* ---- taking ---- */

/* The pipe has many references, and hands them out without touching the
 * counter that frames share. */
void weir_pipe_give_info(struct weir_pipe *pipe)
{
    weir_peer_info_ref(pipe->info, WEIR_PIPE_INFO_GIVEN);
    pipe->info_given = 0;
}

int weir_pipe_take_frames(struct weir_pipe *pipe, weir_message *message)
{
    unsigned flags = weir_queue_peeked_flags(pipe->in);
    const uint8_t *data;
    weir_frame *frame;
    size_t size;

    for (;;) {
        if (weir_message_extend(message, &frame) < 0)
            break;
        weir_queue_take(pipe->in, frame);
        weir_pipe_sign(pipe, frame);
        if (!(flags & WEIR_FRAME_MORE))
            return 0;
        if (!weir_queue_peek(pipe->in, &data, &size, &flags))
            return 0;
    }
    (void)weir_pipe_skip(pipe, WEIR_DROP_MEMORY);
    weir_message_fini(message);
    return -ENOMEM;
}

/* Messages of one pipe in a row are counted, so that others have a turn. */
static inline void took(struct weir_pipe *pipe)
{
    if (pipe->sock->in_quota > 0)
        pipe->sock->in_quota--;
}

int weir_pipe_take(struct weir_pipe *pipe, weir_message *message, bool *command)
{
    const uint8_t *data;
    unsigned flags;
    size_t size;

    if (!weir_pipe_peek(pipe, &data, &size, &flags))
        return -EAGAIN;
    *command = flags & WEIR_FRAME_COMMAND;
    took(pipe);
    return weir_pipe_take_peeked(pipe, message);
}

bool weir_pipe_skip(struct weir_pipe *pipe, enum weir_drop reason)
{
    const uint8_t *data;
    unsigned flags;
    size_t size;

    while (weir_pipe_peek(pipe, &data, &size, &flags)) {
        weir_queue_pass(pipe->in);
        if (flags & WEIR_FRAME_MORE)
            continue;
        weir_pipe_drop_taken(pipe, reason);
        took(pipe);
        return true;
    }
    return false;
}

/* On inproc it may be the sender who wants it, and counts it. */
void weir_pipe_trim(struct weir_pipe *pipe)
{
    uint64_t n;

    if (!pipe->in || !weir_queue_is_beyond(pipe->in))
        return;
    if (pipe->attached && pipe->sock->pattern->forget)
        pipe->sock->pattern->forget(pipe->sock, pipe);
    n = weir_queue_trim(pipe->in);
    if (pipe->in_policy == WEIR_POLICY_BLOCK)
        weir_queue_return(pipe->in, n);
    else
        pipe->tally.recv_dropped[WEIR_DROP_REPLACED] += n;
}

void weir_pipe_drop_taken(struct weir_pipe *pipe, enum weir_drop reason)
{
    pipe->tally.recv_dropped[reason]++;
}

bool weir_pipe_rest(struct weir_pipe *pipe)
{
    if (!pipe->in)
        return true;
    weir_queue_arm_reader(pipe->in);
    weir_queue_fence_reader(pipe->in);
    if (!weir_queue_ready(pipe->in))
        return true;
    weir_queue_disarm_reader(pipe->in);
    return false;
}

/* ---- life ---- */

bool weir_pipe_lasts(const struct weir_pipe *pipe)
{
    return pipe->ep->pipe == pipe && !pipe->dying &&
           !weir_ep_options(pipe->ep)->immediate;
}

void weir_pipe_set_policy(struct weir_pipe *pipe, enum weir_policy fallback)
{
    int64_t asked = weir_ep_options(pipe->ep)->send_policy;

    if (pipe->ruled)
        return;
    pipe->policy =
        asked == WEIR_POLICY_PATTERN ? fallback : (enum weir_policy)asked;
    if (pipe->out)
        weir_spill_set_waits(pipe->out, pipe->policy == WEIR_POLICY_BLOCK);
}

void weir_pipe_refuse(struct weir_pipe *pipe, int code)
{
    if (pipe->splice)
        weir_splice_refuse(pipe, code);
    else
        weir_link_condemn(&pipe->link, code);
}

static void tell(struct weir_pipe *pipe, uint32_t mail)
{
    struct weir_sock *sock = pipe->sock;

    weir_pipe_post(pipe, mail);
    weir_sock_nudge(sock);
}

static void on_readable(void *pipe)
{
    tell(pipe, WEIR_MAIL_READABLE);
}

static void on_room(void *pipe)
{
    tell(pipe, WEIR_MAIL_ROOM);
}

static bool drops_old(const struct weir_pipe *pipe)
{
    return pipe->in_policy == WEIR_POLICY_DROP_OLD ||
           pipe->in_policy == WEIR_POLICY_LATEST;
}

void weir_pipe_came(struct weir_pipe *pipe)
{
    if (drops_old(pipe) && weir_queue_ask_mark(pipe->in))
        tell(pipe, WEIR_MAIL_BEYOND);
}

/* The application has read: the link may go on reading.  It has the socket's
 * lock. */
static void on_input_room(void *arg)
{
    struct weir_pipe *pipe = arg;

    if (!atomic_load(&pipe->link.live) || weir_link_post_turn(&pipe->link))
        return;
    weir_list_remove(&pipe->drive);
    weir_sock_line_up(pipe->sock, pipe);
}

struct weir_queue_limits weir_pipe_recv_mark(const struct weir_options *options)
{
    if (weir_options_recv_policy(options) == WEIR_POLICY_LATEST)
        return (struct weir_queue_limits){1, 0};
    return (struct weir_queue_limits){(uint64_t)options->recv_mark,
                                      (uint64_t)options->recv_mark_bytes};
}

/* A link's driver produces into `in`, so its chunks come from a pool that is
 * not the socket's. */
static int make_queues(struct weir_pipe *pipe,
                       const struct weir_options *options)
{
    struct weir_queue_limits send = {(uint64_t)options->send_mark,
                                     (uint64_t)options->send_mark_bytes};
    struct weir_queue_limits recv = weir_pipe_recv_mark(options);

    pipe->in_pool = weir_pool_new(POOL);
    if (!pipe->in_pool)
        return -ENOMEM;
    pipe->in = weir_queue_new(pipe->in_pool, recv, false);
    pipe->out = weir_queue_new(pipe->sock->pool, send, true);
    if (!pipe->in || !pipe->out)
        return -ENOMEM;
    weir_queue_set_reader(pipe->in, (struct weir_queue_end){on_readable, pipe});
    weir_queue_set_writer(pipe->out, (struct weir_queue_end){on_room, pipe});
    weir_queue_set_writer(pipe->in,
                          (struct weir_queue_end){on_input_room, pipe});
    return weir_pipe_add_swap(pipe);
}

struct weir_pipe *weir_pipe_new(struct weir_sock *sock, struct weir_ep *ep)
{
    const struct weir_options *options = weir_ep_options(ep);
    struct weir_pipe *pipe = calloc(1, sizeof *pipe);

    if (!pipe)
        return NULL;
    pipe->sock = sock;
    pipe->ep = ep;
    weir_pipe_set_policy(pipe, sock->pattern->policy);
    pipe->in_policy = weir_options_recv_policy(options);
    pipe->minor = 1;
    weir_list_init(&pipe->all);
    weir_list_init(&pipe->of_ep);
    weir_list_init(&pipe->in_turn);
    weir_list_init(&pipe->out_turn);
    weir_list_init(&pipe->flush);
    weir_list_init(&pipe->drive);
    weir_link_init(&pipe->link);
    if (!ep->splices && make_queues(pipe, options) < 0) {
        weir_pipe_free(pipe);
        return NULL;
    }
    return pipe;
}

static void leave(struct weir_queue *queue, bool both)
{
    if (!queue)
        return;
    weir_queue_leave(queue);
    if (both)
        weir_queue_leave(queue);
}

void weir_pipe_free(struct weir_pipe *pipe)
{
    if (pipe->splice)
        weir_splice_leave(pipe);
    leave(pipe->out, pipe->in_pool != NULL);
    leave(pipe->in, pipe->in_pool != NULL);
    if (pipe->in_pool)
        weir_pool_close(pipe->in_pool);
    weir_link_fini(&pipe->link);
    weir_pipe_set_info(pipe, NULL);
    free(pipe);
}

void weir_pipe_set_info(struct weir_pipe *pipe, struct weir_peer_info *info)
{
    if (pipe->info)
        weir_peer_info_unref(pipe->info,
                             WEIR_PEER_INFO_HOLD - pipe->info_given);
    pipe->info = info;
    pipe->info_given = 0;
}

/* The first mail puts the pipe among those that have some.  Sequentially
 * consistent: see weir_sock_unlock(). */
void weir_pipe_post(struct weir_pipe *pipe, uint32_t mail)
{
    struct weir_sock *sock = pipe->sock;
    struct weir_pipe *top;

    if (atomic_fetch_or_explicit(&pipe->mail, mail, memory_order_acq_rel) != 0)
        return;
    top = atomic_load_explicit(&sock->mail, memory_order_relaxed);
    do
        pipe->mail_next = top;
    while (!atomic_compare_exchange_weak_explicit(
        &sock->mail, &top, pipe, memory_order_seq_cst, memory_order_relaxed));
}
