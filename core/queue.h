/*
 * queue.h - bounded queue of messages between one producer and one consumer.
 * Above: pipe.h, link.h.  Below: chunk.h, frame.h, base/fence.h.
 *
 * A queue is a list of chunks of frames, packed as they go over the wire
 * (ZMTP 2.0 framing and later: flags, size in 1 or 8 octets, body).  What
 * waits is what one sendmsg() sends, what one readv() filled, and what frames
 * are handed out of as counted slices.
 *
 * Publishing.  Each octet put into a queue has a 64-bit stream offset.  One
 * word, `published`, says up to which offset the consumer may look.  It only
 * moves to the end of a whole message, so a message in several chunks appears
 * at once or not at all.  All that lies below an offset, chunk headers and
 * `next` pointers included, is written before `published` covers it (release)
 * and read after it was seen (acquire): plain fields do.
 *
 * Frames.  A frame lies in one chunk; but a head may end a chunk and its body
 * be the whole of the next one (large and referenced payloads).  Chunks begin
 * with a head, or are such a body.
 *
 * Memory.  The consumer hands chunks back by their counters, never by
 * position, so the two positions that flow back to the producer are only
 * credit against the high-water mark, and relaxed.
 *
 * Sleeping.  Who wants to be told stores its word (`reader_armed`,
 * `writer_armed`), passes a fence, and looks once more before it sleeps; the
 * other side stores what it did, passes a fence, and looks at the word.  At
 * least one of them sees the other (base/fence.h).
 *
 * Spilling.  A queue that has a spill (spill.h) hides what is put at the mark:
 * it is committed, but `published` does not cover it until it has come back
 * from the store.  While that is so the producer has no credit, so the checks
 * for it are where there is none, and all fast paths are as without it; those
 * that put without looking at credit end with weir_queue_end_put().
 *
 * Threads: "producer" and "consumer" below mean one thread at a time that
 * holds that end; both may be the same.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weir/weir.h>

#include "base/debug.h"
#include "base/fence.h"
#include "chunk.h"
#include "frame.h"

/* The longest head of a frame. */
#define WEIR_QUEUE_HEAD 9

/* Payloads from here on have a chunk of their own, or stay where they are and
 * are referred to. */
#define WEIR_QUEUE_BODY 16384

/* Runs from here on are shared by reference, shorter ones copied. */
#define WEIR_QUEUE_RUN 2048

/* A flag octet with this bit is a command that was dealt with on arrival: no
 * consumer sees it.  Never on the wire. */
#define WEIR_QUEUE_VOID 128u

/* Bits of `writer_armed`: the producer waits for room; it hides what it puts,
 * and the spill is to be told how far the consumer is. */
#define WEIR_QUEUE_WAITS 1u
#define WEIR_QUEUE_HIDES 2u

/* Whom to tell.  wake(arg) is called by the other end's thread, at any time
 * while this end is armed; it must not call into the queue. */
struct weir_queue_end {
    void (*wake)(void *arg);
    void *arg;
};

/* A high-water mark: the most that may wait; 0 is no limit. */
struct weir_queue_limits {
    uint64_t messages, bytes; /* bytes: octets with framing */
};

/* The producer's end. */
struct weir_queue_in {
    uint8_t *write, *limit, *data; /* in the tail: next octet, end, begin */
    uint64_t base;                 /* stream offset of data[0] */
    uint64_t put;                  /* messages, as of the last commit */
    uint64_t message_credit, octet_credit; /* may go so far, as last known */
    struct weir_chunk *tail;

    struct weir_chunk *first; /* where a consumer without a chunk begins */
    struct weir_pool *pool;
    struct weir_chunk *rest; /* memory behind a large payload, to go on in */
    uint8_t *rest_at;
    size_t rest_size;
    struct weir_chunk *saved_tail; /* the end of the last whole message */
    uint8_t *saved_write, *saved_limit;
    uint64_t wanted; /* octets that weir_queue_room() refused last */
    struct weir_queue_limits batch; /* what is written at once, at most */
    uint32_t streak; /* commits since the consumer was woken, up to */
    bool light;      /* WEIR_QUEUE_STREAM: then commits pass light fences */

    /* receiving */
    uint8_t *scan;           /* first octet not understood yet */
    size_t need;             /* of the frame there, with its head; 0: unknown */
    struct weir_chunk *body; /* a large body on its way, not in the list */
    size_t body_size, body_have;
    struct weir_chunk *spare; /* goes on behind that body */
    uint32_t frames;          /* of the unfinished message */
    uint32_t size, size_max;  /* of the next chunk; it doubles up to this */
    uint8_t inside;           /* WEIR_FRAME_MORE when inside a message */
    bool large;               /* the last frame received had a body chunk */
    bool receives;            /* octets as they come from a connection */
};

/* The longest rest of a message that is set aside, see weir_queue_skip(). */
#define WEIR_QUEUE_ASIDE (UINT32_C(1) << 20)

/* The rest of a partly written message, out of the list. */
struct weir_queue_aside {
    size_t size, written;
    uint8_t octets[];
};

/* The consumer's end. */
struct weir_queue_out {
    const uint8_t *read, *end, *data; /* in the current chunk */
    struct weir_chunk *current;
    uint64_t base;  /* stream offset of data[0] */
    uint64_t taken; /* messages; a writer's may lag behind inside a chunk */
    uint64_t check; /* look after the producer when so many are taken */
    uint64_t given; /* references handed out of the current chunk */

    const uint8_t *frame, *next; /* the peeked frame's body and end */
    unsigned flags;              /* the peeked frame's */
    bool partial;                /* a writer may have stopped in a message */
    uint8_t known_inside;        /* WEIR_FRAME_MORE when known is inside one */
    const uint8_t *known; /* a frame's begin at or before read, for writers */
    uint64_t known_messages; /* of the queue that end before it */
    uint64_t looked;         /* position of the last look after the producer */
    struct weir_queue_aside *aside; /* to be written before the list */
};

struct weir_queue {
    /* producer to consumer */
    _Alignas(64) _Atomic uint64_t published; /* octets: a message's end */
    _Atomic uint64_t messages; /* released after it; read before it this is
                                  a lower bound of what it covers */
    _Atomic(struct weir_chunk *) latest; /* the slot of policy latest */
    _Atomic uint64_t latest_octets;      /* of what was last put there */
    _Atomic uint64_t replaced;           /* messages pushed out of it */

    _Alignas(64) struct weir_queue_in in;

    /* consumer to producer: credit */
    _Alignas(64) _Atomic uint64_t taken; /* messages */
    _Atomic uint64_t consumed;           /* octets */

    _Alignas(64) struct weir_queue_out out;

    /* rarely written */
    _Alignas(64) _Atomic uint32_t reader_armed;
    _Atomic uint32_t writer_armed;
    _Atomic uint32_t holders; /* ends not left yet */
    bool may_be_light;
    _Atomic bool light; /* = in.light, for the consumer */
    _Atomic uint64_t mark_messages, mark_octets; /* 0: none */
    /* the consumer is to drop up to these, but nothing from `kept` on */
    _Atomic uint64_t floor_messages, floor_octets, kept;
    _Atomic uint64_t returned; /* dropped so, and never came */
    _Atomic uint64_t refused;  /* came, and never entered the queue */
    struct weir_queue_end reader, writer;
    struct weir_spill *spill; /* NULL: none; set before anything is put */
};

/* ------------------------------------------------------------ both ends -- */

/* Make an empty queue.  The producer's chunks come from `pool`, which stays
 * the producer's: it must not be closed before the producer's end is left.
 * light: once many commits have come in a row that found the consumer awake,
 * they pass the light half of a fence, and a consumer that arms itself the
 * heavy one; until then, and otherwise always, both pass full ones.
 * Returns NULL without memory.  Both ends are the caller's. */
struct weir_queue *weir_queue_new(struct weir_pool *pool,
                                  struct weir_queue_limits mark, bool light);

/* Give the queue a spill, which is the queue's from then on.  Nothing was put
 * yet; the queue is not used with weir_queue_put_latest(), nor with the calls
 * that drop the oldest. */
void weir_queue_set_spill(struct weir_queue *queue, struct weir_spill *spill);

/* Let go of one end, once for each.  The second frees the queue and all that
 * is in it; frames that were taken live on.
 * Thread: any that holds that end. */
void weir_queue_leave(struct weir_queue *queue);

/* Say whom to tell at the consumer's (the producer's) end.
 * Thread: the consumer (the producer); the end is not armed. */
void weir_queue_set_reader(struct weir_queue *queue, struct weir_queue_end end);
void weir_queue_set_writer(struct weir_queue *queue, struct weir_queue_end end);

/* Change the mark.  A lower one drops nothing.
 * Thread: the producer. */
void weir_queue_set_mark(struct weir_queue *queue,
                         struct weir_queue_limits mark);

/* Messages ever put and ever taken (one that was dropped counts as taken), and
 * the octets that wait.  Each is right by itself; put is read last, so it is
 * never below taken.  Of a queue that a link writes out, taken may lag by
 * what lies in one chunk, until weir_queue_midway() or all is written.
 * Thread: any. */
void weir_queue_counts(struct weir_queue *queue, uint64_t *put, uint64_t *taken,
                       uint64_t *bytes);

/* The same, and the messages that a store did not give back, which are in no
 * other number. */
void weir_queue_counts_lost(struct weir_queue *queue, uint64_t *put,
                            uint64_t *taken, uint64_t *bytes, uint64_t *lost);

/* The same for the consumer, to whom messages that were replaced or returned
 * never came: they are in neither number. */
void weir_queue_came(struct weir_queue *queue, uint64_t *came, uint64_t *taken,
                     uint64_t *bytes, uint64_t *lost);

/* Give all memory of a drained queue back.
 * Returns whether the queue has none now: false if something waits, or a
 * message is unfinished.
 * Thread: one that holds both ends. */
bool weir_queue_idle(struct weir_queue *queue);

/* `body`, one reference to which is the caller's and is dropped, is the body of
 * a message that lies in memory lent for a while; the chunk that it refers to
 * has room for it.  What is not consumed yet is copied there.
 * Thread: one that holds both ends, and has since the message was put. */
void weir_queue_keep_body(struct weir_queue *queue, struct weir_chunk *body);

/* Start a drained queue again in the memory that it has and that is in the
 * cache.  Does nothing where that cannot be.
 * Thread: one that holds both ends. */
void weir_queue_rewind(struct weir_queue *queue);

/* ------------------------------------------------------ producer's end -- */

/* Is there room for a message of `octets`, heads included?  An empty queue
 * takes one message of any size.  No message is begun.
 * Thread: the producer. */
bool weir_queue_room(struct weir_queue *queue, size_t octets);

/* Have the consumer drop so many of the oldest messages that there is room for
 * one of `octets`; all of them at most.  Tell the consumer then to call
 * weir_queue_trim().
 * Thread: the producer. */
void weir_queue_ask_room(struct weir_queue *queue, size_t octets);

/* Have the consumer drop what is beyond the mark, the oldest first, but not
 * the last message.
 * Returns whether there is anything to drop; then tell the consumer.
 * Thread: the producer. */
bool weir_queue_ask_mark(struct weir_queue *queue);

/* Is the queue at twice its mark?
 * Thread: the producer. */
bool weir_queue_far_beyond(struct weir_queue *queue);

/* Count a message that came and was not put.
 * Thread: the producer. */
void weir_queue_refuse(struct weir_queue *queue);

/* How many those are; they are not in other numbers.
 * Thread: any. */
static inline uint64_t weir_queue_refused(struct weir_queue *queue)
{
    return atomic_load_explicit(&queue->refused, memory_order_acquire);
}

/* Append a frame whatever its size; weir_queue_frame() beyond its fast path.
 * Thread: the producer.  Errors: -ENOMEM. */
int weir_queue_frame_slow(struct weir_queue *queue, const void *data,
                          size_t size, unsigned flags);

/* Append a frame in the memory of `owner`: by reference from WEIR_QUEUE_BODY
 * octets on, which takes a reference of its own; else copied.
 * Thread: the producer.  Errors: -ENOMEM. */
int weir_queue_frame_owned(struct weir_queue *queue, struct weir_chunk *owner,
                           void *data, size_t size, unsigned flags);

/* Append what `frame` holds, copied or by reference; it stays the caller's.
 * Thread: the producer.  Errors: -ENOMEM. */
int weir_queue_frame_put(struct weir_queue *queue, weir_frame *frame,
                         unsigned flags);

/* Octets that a frame of `size` takes in a queue. */
static inline size_t weir_queue_octets(size_t size)
{
    return size < 256 ? size + 2 : size + WEIR_QUEUE_HEAD;
}

/* Forget the message that was begun: nothing of it was visible.
 * Thread: the producer. */
void weir_queue_abort(struct weir_queue *queue);

/* Tell the consumer, which was seen armed; not for others. */
void weir_queue_wake_reader(struct weir_queue *queue);

/* Put a whole message, its frames copied or by reference; it stays the
 * caller's.
 * Thread: the producer.
 * Errors: -EAGAIN at the mark; -ENOMEM; -EINVAL no frames. */
int weir_queue_put_message(struct weir_queue *queue, weir_message *message);

/* Put `messages` whole messages that lie packed at `offset` in a chunk: copied
 * when shorter than WEIR_QUEUE_RUN, else by a reference of the queue's own.
 * Looks at no mark: ask weir_queue_room() first.
 * Thread: the producer.
 * Errors: -ENOMEM. */
int weir_queue_put_run(struct weir_queue *queue, struct weir_chunk *chunk,
                       size_t offset, size_t size, uint64_t messages);

/* Put a message in place of the one that waits, if one does.  A queue that
 * this was ever called on is used with no other call that puts.
 * Returns 1 if one was replaced, else 0; the message stays the caller's.
 * Thread: the producer.
 * Errors: -ENOMEM (the one that waits stays); -EINVAL no frames. */
int weir_queue_put_latest(struct weir_queue *queue, weir_message *message);

/* Ask to be told when the queue has come down to half its mark: once.
 * Returns false if there is room already for what weir_queue_room() refused
 * last (after weir_queue_full(): for anything); nobody is told then but who
 * had asked a durable queue before.
 * Thread: the producer. */
bool weir_queue_arm_writer(struct weir_queue *queue);

/* Take that back.
 * Thread: the producer. */
void weir_queue_disarm_writer(struct weir_queue *queue);

/* Has the producer asked, and was not told yet?
 * Thread: the producer, or the helper of its spill. */
static inline bool weir_queue_writer_waits(const struct weir_queue *queue)
{
    return atomic_load_explicit(&queue->writer_armed, memory_order_relaxed) &
           WEIR_QUEUE_WAITS;
}

/* Of the chunks from `head` on, which were not published, nothing is wanted:
 * `shown`, the one before them, is the last again, and `put` messages were put.
 * No message is begun.
 * Thread: the producer. */
void weir_queue_drop_from(struct weir_queue *queue, struct weir_chunk *shown,
                          struct weir_chunk *head, uint64_t put);

/* Of all that lies from `head` on, where a message begins and which was not
 * published, nothing is wanted: it is an empty tail again, at the stream offset
 * `base`, and `put` messages were put.  No message is begun.
 * Thread: the producer. */
void weir_queue_restart(struct weir_queue *queue, struct weir_chunk *head,
                        uint64_t base, uint64_t put);

/* Octets published and not consumed.
 * Thread: the producer. */
uint64_t weir_queue_pending(struct weir_queue *queue);

/* Octets that are written at once, at the most. */
#define WEIR_QUEUE_BATCH 524288

/* Is as much waiting as is to be written at once: a batch, or half of what may
 * wait, since at its mark the queue drops, or has the producer wait?  While a
 * spill hides messages only the octets that it does not hide count.
 * Thread: the producer. */
bool weir_queue_has_batch(struct weir_queue *queue);

/* Is anything put and not consumed, hidden or not?
 * Thread: the producer. */
bool weir_queue_holds(struct weir_queue *queue);

/* The same as weir_queue_commit(), also where messages are hidden.
 * Thread: the producer. */
void weir_queue_end_put(struct weir_queue *queue, uint64_t messages);

/* Stream offset of the next octet; not for others. */
static inline uint64_t weir_queue_position(const struct weir_queue *queue)
{
    return queue->in.base + (uint64_t)(queue->in.write - queue->in.data);
}

/* Write the head of a frame of `size` octets; returns its own octets. */
static inline size_t weir_queue_head(uint8_t *at, size_t size, unsigned flags)
{
    uint64_t wide = size;

    if (WEIR_LIKELY(size < 256)) {
        at[0] = (uint8_t)flags;
        at[1] = (uint8_t)size;
        return 2;
    }
    at[0] = (uint8_t)(flags | WEIR_FRAME_LONG);
    at[1] = (uint8_t)(wide >> 56);
    at[2] = (uint8_t)(wide >> 48);
    at[3] = (uint8_t)(wide >> 40);
    at[4] = (uint8_t)(wide >> 32);
    at[5] = (uint8_t)(wide >> 24);
    at[6] = (uint8_t)(wide >> 16);
    at[7] = (uint8_t)(wide >> 8);
    at[8] = (uint8_t)wide;
    return WEIR_QUEUE_HEAD;
}

/* The size in a head with WEIR_FRAME_LONG; of a published frame it fits a
 * size_t. */
static inline uint64_t weir_queue_long_size(const uint8_t *head)
{
    return (uint64_t)head[1] << 56 | (uint64_t)head[2] << 48 |
           (uint64_t)head[3] << 40 | (uint64_t)head[4] << 32 |
           (uint64_t)head[5] << 24 | (uint64_t)head[6] << 16 |
           (uint64_t)head[7] << 8 | head[8];
}

/* Begin a message: remember the place, for weir_queue_abort().
 * Thread: the producer. */
static inline void weir_queue_begin(struct weir_queue *queue)
{
    queue->in.saved_tail = queue->in.tail;
    queue->in.saved_write = queue->in.write;
    queue->in.saved_limit = queue->in.limit;
}

/* Is it copied without a call? */
static inline bool weir_queue_is_short(size_t size)
{
    return size - 8 <= 64 - 8;
}

/* Copy a payload.  Short ones go by two overlapping words, which is faster
 * than a call. */
static inline void weir_queue_copy(uint8_t *to, const void *from, size_t size)
{
    const uint8_t *data = from;

    if (!weir_queue_is_short(size)) {
        if (WEIR_LIKELY(size))
            memcpy(to, data, size);
    } else if (size <= 16) {
        memcpy(to, data, 8);
        memcpy(to + size - 8, data + size - 8, 8);
    } else if (size <= 32) {
        memcpy(to, data, 16);
        memcpy(to + size - 16, data + size - 16, 16);
    } else {
        memcpy(to, data, 32);
        memcpy(to + size - 32, data + size - 32, 32);
    }
}

/* Does a frame of `size` octets go into the tail? */
static inline bool weir_queue_fits(const struct weir_queue_in *in, size_t size)
{
    return size < WEIR_QUEUE_BODY &&
           size + WEIR_QUEUE_HEAD <= (size_t)(in->limit - in->write);
}

/* Write a frame that fits into the tail; not for others. */
static inline void weir_queue_write(struct weir_queue_in *in, const void *data,
                                    size_t size, unsigned flags)
{
    uint8_t *at = in->write;

    at += weir_queue_head(at, size, flags);
    weir_queue_copy(at, data, size);
    in->write = at + size;
}

/* Append a frame, copied; data may be NULL when size is 0.  flags:
 * WEIR_FRAME_MORE on all but a message's last one, WEIR_FRAME_COMMAND.  After
 * an error: weir_queue_abort().
 * Thread: the producer.
 * Errors: -ENOMEM. */
static inline int weir_queue_frame(struct weir_queue *queue, const void *data,
                                   size_t size, unsigned flags)
{
    if (WEIR_UNLIKELY(!weir_queue_fits(&queue->in, size)))
        return weir_queue_frame_slow(queue, data, size, flags);
    weir_queue_write(&queue->in, data, size, flags);
    queue->in.inside = (uint8_t)(flags & WEIR_FRAME_MORE);
    return 0;
}

/* Commits in a row that wake nobody, after which it pays to let who goes to
 * sleep bear the cost of the fences. */
#ifndef WEIR_QUEUE_STREAM /* a test has its own */
#define WEIR_QUEUE_STREAM 64
#endif

/* A full fence, which also tells a consumer that finds nobody has seen its
 * word whether the commits after this one pass light ones; not for others. */
static inline void weir_queue_fence_writer(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;

    if (queue->may_be_light && ++in->streak == WEIR_QUEUE_STREAM) {
        in->light = true;
        atomic_store_explicit(&queue->light, true, memory_order_relaxed);
    }
    weir_fence_full();
}

/* Show the consumer all up to `position`.  Returns whether it waits; not for
 * others.
 *
 * The order of the two stores: a consumer that reads `messages` first and
 * `published` second finds at least so many messages below that offset.  The
 * fence comes between them and the look at the consumer's word. */
static inline bool weir_queue_show(struct weir_queue *queue, uint64_t position)
{
    atomic_store_explicit(&queue->published, position, memory_order_release);
    atomic_store_explicit(&queue->messages, queue->in.put,
                          memory_order_release);
    if (WEIR_LIKELY(queue->in.light))
        weir_fence_light();
    else
        weir_queue_fence_writer(queue);
    return atomic_load_explicit(&queue->reader_armed, memory_order_relaxed);
}

/* The same, and tell it if it does; not for others. */
static inline void weir_queue_publish(struct weir_queue *queue,
                                      uint64_t position)
{
    if (WEIR_UNLIKELY(weir_queue_show(queue, position)))
        weir_queue_wake_reader(queue);
}

/* End a message for which there was credit: it is visible now.
 * Thread: the producer. */
static inline void weir_queue_commit(struct weir_queue *queue)
{
    queue->in.put++;
    weir_queue_publish(queue, weir_queue_position(queue));
}

/* Is there room for `octets`, as far as the producer knows?
 * Thread: the producer. */
static inline bool weir_queue_has_credit(const struct weir_queue *queue,
                                         size_t octets)
{
    return queue->in.put < queue->in.message_credit &&
           weir_queue_position(queue) + octets <= queue->in.octet_credit;
}

/* Is there room for `octets`, as far as the producer knows, or as it finds?
 * The fast form of weir_queue_room().
 * Thread: the producer. */
static inline bool weir_queue_may_put(struct weir_queue *queue, size_t octets)
{
    return WEIR_LIKELY(weir_queue_has_credit(queue, octets)) ||
           weir_queue_room(queue, octets);
}

/* Put a message of one frame for which there is no room as far as is known, in
 * the queue or in its tail; not for others. */
int weir_queue_put_slow(struct weir_queue *queue, const void *data,
                        size_t size);

/* Put a message of one frame, copied.
 * Thread: the producer.
 * Errors: -EAGAIN at the mark; -ENOMEM. */
static inline int weir_queue_put(struct weir_queue *queue, const void *data,
                                 size_t size)
{
    if (WEIR_UNLIKELY(!weir_queue_has_credit(queue, size + WEIR_QUEUE_HEAD) ||
                      !weir_queue_fits(&queue->in, size)))
        return weir_queue_put_slow(queue, data, size);
    weir_queue_write(&queue->in, data, size, 0);
    weir_queue_commit(queue);
    return 0;
}

/* ------------------------------------------------------ consumer's end -- */

/* The slow halves of ready and peek, and of a message's end; not for others. */
bool weir_queue_look(struct weir_queue *queue);
bool weir_queue_find(struct weir_queue *queue);
void weir_queue_check_writer(struct weir_queue *queue);

/* Is there a whole message?
 * Thread: the consumer. */
static inline bool weir_queue_ready(struct weir_queue *queue)
{
    return queue->out.read < queue->out.end || weir_queue_look(queue);
}

/* The frame at `read`, if it is an ordinary one in what is known to be
 * published; false leaves it to weir_queue_find().  Not for others. */
static inline bool weir_queue_see(const struct weir_queue_out *out,
                                  const uint8_t **body, size_t *size,
                                  unsigned *flags)
{
    const uint8_t *head = out->read;
    size_t before = 2;

    if (WEIR_UNLIKELY(head >= out->end || head[0] & WEIR_QUEUE_VOID))
        return false;
    *size = head[1];
    if (head[0] & WEIR_FRAME_LONG) {
        before = WEIR_QUEUE_HEAD;
        *size = (size_t)weir_queue_long_size(head);
    }
    *flags = head[0] & ~(unsigned)WEIR_FRAME_LONG;
    *body = head + before;
    return WEIR_LIKELY((size_t)(out->end - head) - before >= *size);
}

/* The same, to be consumed later; not for others. */
static inline bool weir_queue_find_here(struct weir_queue_out *out)
{
    size_t size;

    if (!weir_queue_see(out, &out->frame, &size, &out->flags))
        return false;
    out->next = out->frame + size;
    return true;
}

/* Look at the next frame without consuming it.  *data is borrowed until the
 * next call that consumes.  A frame with WEIR_FRAME_MORE has another behind it.
 * Returns 1, or 0 when there is none.
 * Thread: the consumer. */
static inline int weir_queue_peek(struct weir_queue *queue,
                                  const uint8_t **data, size_t *size,
                                  unsigned *flags)
{
    struct weir_queue_out *out = &queue->out;

    if (!weir_queue_find_here(out) && !weir_queue_find(queue))
        return 0;
    *data = out->frame;
    *size = (size_t)(out->next - out->frame);
    *flags = out->flags;
    return 1;
}

/* The flags of the frame that was peeked last.
 * Thread: the consumer. */
static inline unsigned weir_queue_peeked_flags(const struct weir_queue *queue)
{
    return queue->out.flags;
}

/* Is the producer to be looked after when one more message is taken?  Not for
 * others. */
static inline bool weir_queue_check_comes(const struct weir_queue *queue)
{
    return queue->out.taken + 1 >= queue->out.check;
}

/* Go on behind a frame that ends a message, and give credit; not for others. */
static inline void weir_queue_end_message(struct weir_queue *queue,
                                          const uint8_t *next)
{
    struct weir_queue_out *out = &queue->out;
    uint64_t taken = out->taken + 1;

    out->read = next;
    out->taken = taken;
    atomic_store_explicit(&queue->taken, taken, memory_order_relaxed);
    atomic_store_explicit(&queue->consumed,
                          out->base + (uint64_t)(next - out->data),
                          memory_order_relaxed);
}

/* Go on behind a frame; not for others. */
static inline void weir_queue_step(struct weir_queue *queue,
                                   const uint8_t *next, unsigned flags)
{
    if (WEIR_UNLIKELY(flags & WEIR_FRAME_MORE)) {
        queue->out.read = next;
        return;
    }
    weir_queue_end_message(queue, next);
    if (WEIR_UNLIKELY(queue->out.taken >= queue->out.check))
        weir_queue_check_writer(queue);
}

/* The octets of the frame that was peeked last.
 * Thread: the consumer. */
static inline const uint8_t *weir_queue_peeked(const struct weir_queue *queue,
                                               size_t *size)
{
    *size = (size_t)(queue->out.next - queue->out.frame);
    return queue->out.frame;
}

/* Consume the peeked frame.
 * Thread: the consumer. */
static inline void weir_queue_pass(struct weir_queue *queue)
{
    weir_queue_step(queue, queue->out.next, queue->out.flags);
}

/* Make a frame hold `size` octets at `body` that holds one reference to the
 * current chunk and goes on with that, or has none and needs none.  False: it
 * is neither, or too near to the end; not for others. */
static inline bool weir_queue_refer_again(const struct weir_queue_out *out,
                                          struct weir_frame_view *view,
                                          const uint8_t *body, size_t size)
{
    struct weir_chunk *has =
        view->kind == WEIR_FRAME_SLICE ? view->slice.chunk : NULL;

    if (size > WEIR_FRAME_INLINE_MAX) {
        if (WEIR_UNLIKELY(has != out->current))
            return false;
        view->slice.data = (uint8_t *)(uintptr_t)body;
        view->slice.size = size;
        return true;
    }
    if (WEIR_UNLIKELY(has))
        return false;
    if (WEIR_LIKELY(out->end - body >= WEIR_FRAME_INLINE_MAX))
        memcpy(view->octets, body, WEIR_FRAME_INLINE_MAX);
    else if (weir_queue_is_short(size))
        weir_queue_copy(view->octets, body, size);
    else
        return false;
    view->kind = WEIR_FRAME_INLINE;
    view->inline_size = (uint8_t)size;
    return true;
}

/* Make `frame` hold `size` octets at `body`: inline, or as a slice of the
 * current chunk; not for others.
 *
 * The copy of constant size is the fast one; it may take octets behind the
 * frame, but none that is not published: the producer writes those. */
static inline void weir_queue_hand_out(struct weir_queue_out *out,
                                       weir_frame *frame, const uint8_t *body,
                                       size_t size, unsigned flags)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    view->routing = 0;
    view->peer = NULL;
    view->flags = (uint8_t)flags;
    if (size > WEIR_FRAME_INLINE_MAX) {
        view->kind = WEIR_FRAME_SLICE;
        view->slice.data = (uint8_t *)(uintptr_t)body;
        view->slice.size = size;
        view->slice.chunk = out->current;
        out->given++;
        return;
    }
    view->kind = WEIR_FRAME_INLINE;
    view->inline_size = (uint8_t)size;
    if (WEIR_LIKELY(out->end - body >= WEIR_FRAME_INLINE_MAX))
        memcpy(view->octets, body, WEIR_FRAME_INLINE_MAX);
    else
        memcpy(view->octets, body, size);
}

/* Consume the peeked frame into `frame`, which is overwritten: inline up to
 * WEIR_FRAME_INLINE_MAX octets, else a counted slice of its chunk.
 * Thread: the consumer. */
static inline void weir_queue_take(struct weir_queue *queue, weir_frame *frame)
{
    struct weir_queue_out *out = &queue->out;
    const uint8_t *body = out->frame, *next = out->next;
    unsigned flags = out->flags;

    weir_queue_hand_out(out, frame, body, (size_t)(next - body), flags);
    weir_queue_step(queue, next, flags);
}

/* Give back the reference of a slice without touching the counter that all
 * threads share.  False: the slice is not of the current chunk, or all of its
 * references were given back; it is to be dropped.
 * Thread: the consumer. */
static inline bool weir_queue_take_back(struct weir_queue *queue,
                                        const struct weir_chunk *chunk)
{
    struct weir_queue_out *out = &queue->out;

    if (chunk != out->current || out->given == 0)
        return false;
    out->given--;
    return true;
}

/* Take a whole message into an empty one.
 * Thread: the consumer.
 * Errors: -EAGAIN there is none; -ENOMEM it was consumed and dropped. */
int weir_queue_take_message(struct weir_queue *queue, weir_message *message);

/* Drop the oldest message that is not partly written already.  The rest of
 * one that is is set aside first, to be gathered before anything else; if it
 * is longer than WEIR_QUEUE_ASIDE, or without memory for it, nothing is
 * dropped.
 * Returns 1, or 0 when nothing was dropped.
 * Thread: the consumer, between messages. */
int weir_queue_skip(struct weir_queue *queue);

/* Does the producer want old messages dropped that are still there?
 * Thread: the consumer. */
bool weir_queue_is_beyond(struct weir_queue *queue);

/* Drop those; of a message that was taken in part, the rest.
 * Returns how many.
 * Thread: the consumer. */
uint64_t weir_queue_trim(struct weir_queue *queue);

/* So many of those that were dropped never came to the consumer, and are the
 * producer's to count.
 * Thread: the consumer. */
void weir_queue_return(struct weir_queue *queue, uint64_t messages);

/* How many that were.  Of what weir_queue_counts() says afterwards they are
 * part of the messages taken.
 * Thread: any. */
static inline uint64_t weir_queue_returned(struct weir_queue *queue)
{
    return atomic_load_explicit(&queue->returned, memory_order_acquire);
}

/* Ask to be told when something is published: once.  Then pass one
 * weir_queue_fence_reader() for each of the queues armed, then look at
 * weir_queue_ready(), then sleep.
 * Thread: the consumer. */
void weir_queue_arm_reader(struct weir_queue *queue);

/* Does the producer pass light fences now?  To be asked after a full one.
 * Thread: the consumer. */
static inline bool weir_queue_is_light(struct weir_queue *queue)
{
    return atomic_load_explicit(&queue->light, memory_order_relaxed);
}

/* The fence between arming and looking.
 * Thread: the consumer. */
void weir_queue_fence_reader(struct weir_queue *queue);

/* Take that back.
 * Thread: the consumer. */
void weir_queue_disarm_reader(struct weir_queue *queue);

/* ------------------------- consumer: a link that writes to the kernel -- */

/* How far what was gathered goes. */
struct weir_queue_mark_point {
    uint64_t messages, position;
};

/* Collect up to `max` parts of what may be written now, in all about `limit`
 * octets, without consuming it.  *n gets the number of parts.
 * Returns the octets; 0 when there is nothing.
 * Thread: the consumer. */
ssize_t weir_queue_gather(struct weir_queue *queue, struct iovec *parts,
                          int max, int *n, size_t limit,
                          struct weir_queue_mark_point *at);

/* The first `octets` of what was gathered are written: consume them, and tell
 * the producer at half the mark.
 * Returns whether that was all there is; false if it is not known.
 * Thread: the consumer. */
bool weir_queue_wrote(struct weir_queue *queue, size_t octets,
                      const struct weir_queue_mark_point *at);

/* A frame as a walk finds it. */
struct weir_queue_found {
    const uint8_t *data; /* borrowed until the frame is consumed */
    size_t size;
    size_t octets; /* with its head: what weir_queue_wrote() wants */
    unsigned flags;
};

/* Frame by frame along what may be written now, without consuming it. */
struct weir_queue_walk {
    const struct weir_chunk *chunk;
    const uint8_t *next, *end;       /* in the chunk */
    struct weir_queue_mark_point at; /* how far it goes: a message's end */
};

/* Begin at the first frame that is not consumed; everything consumed so far
 * was whole frames.
 * Returns whether there is one.
 * Thread: the consumer. */
bool weir_queue_walk(struct weir_queue *queue, struct weir_queue_walk *walk);

/* The next frame; false at the end.
 * Thread: the consumer. */
bool weir_queue_walk_on(struct weir_queue_walk *walk,
                        struct weir_queue_found *found);

/* Is a message partly written, so that nothing may come in between?  Counts
 * the messages written, too, where weir_queue_wrote() could not.
 * Thread: the consumer. */
bool weir_queue_midway(struct weir_queue *queue);

/* The connection is lost: drop the rest of a partly written message.
 * Returns 1 if there was one, else 0.
 * Thread: the consumer. */
int weir_queue_cut(struct weir_queue *queue);

/* ----------------------- producer: a link that reads from the kernel -- */

/* What is found in received octets. */
struct weir_queue_parser {
    uint64_t max_frame;  /* octets of a frame's body; 0: no limit */
    uint32_t max_frames; /* of a message; 0: no limit */
    /* A command came; body is borrowed for the call, which must not touch the
     * queue.  0: done with; 1: publish it as a message of one frame with
     * WEIR_FRAME_COMMAND; negative: weir_queue_filled() returns this. */
    int (*command)(void *arg, const uint8_t *body, size_t size);
    void *arg;
    bool refuses; /* messages beyond the mark are counted and forgotten */
};

/* Say where to read into.  rewind: this thread holds both ends, so a drained
 * queue may start again in the same memory.  A large frame's memory grows as
 * its octets arrive, never by what the peer claims.
 * Returns the number of parts, 1 or 2.
 * Thread: the producer.
 * Errors: -ENOMEM; nothing has changed then. */
int weir_queue_space(struct weir_queue *queue, struct iovec parts[2],
                     bool rewind);

/* `octets` were read into the space given: find frames, obey limits before a
 * body is read, hand commands out, publish whole messages.
 * Returns how many messages were published.
 * Thread: the producer.
 * Errors, all final for the connection: -EMSGSIZE beyond a limit of the
 * parser; -EPROTO a size with its top bit set, or a command inside a message
 * that is to be published; what command() said.  Whole messages before the
 * fault are published all the same. */
int weir_queue_filled(struct weir_queue *queue, size_t octets,
                      const struct weir_queue_parser *parser);

/* Is the queue at its mark, so that reading should stop?
 * Thread: the producer. */
bool weir_queue_full(struct weir_queue *queue);

/* The connection is lost: forget the unfinished message.
 * Returns 1 if there was one, else 0.
 * Thread: the producer. */
int weir_queue_rollback(struct weir_queue *queue);

#endif
