/*
 * queue_private.h - what the files of the queue share.
 * Above: queue.c, queue_write.c, queue_read.c, queue_gather.c,
 * queue_receive.c; nobody else includes it.  Below: queue.h.
 */
#ifndef WEIR_QUEUE_PRIVATE_H
#define WEIR_QUEUE_PRIVATE_H

#include "queue.h"

/* The smallest and the largest chunk of a queue that streams. */
#define WEIR_QUEUE_CHUNK_MIN 4096
#define WEIR_QUEUE_CHUNK_MAX 65536

/* Memory behind a large payload is gone on in if there is that much of it. */
#define WEIR_QUEUE_REST 1024

/* Where the pointers of an end without a chunk point; never written to. */
extern uint8_t weir_queue_nothing[1];

/* A frame as it lies in a chunk. */
struct weir_queue_place {
    size_t before, size; /* octets of its head, of its body */
    unsigned flags;
};

/* The head of a published frame. */
static inline struct weir_queue_place weir_queue_place_at(const uint8_t *at)
{
    struct weir_queue_place head = {2, at[1],
                                    at[0] & ~(unsigned)WEIR_FRAME_LONG};

    if (at[0] & WEIR_FRAME_LONG) {
        head.before = WEIR_QUEUE_HEAD;
        head.size = (size_t)weir_queue_long_size(at);
    }
    return head;
}

/* ---- producer ---- */

/* Make an end empty, to begin at stream offset `base`. */
void weir_queue_reset_in(struct weir_queue *queue, uint64_t base);
void weir_queue_reset_out(struct weir_queue *queue, uint64_t base);

/* Seal the tail and make `chunk` the new one, to be written from `write` on.
 * Its data and capacity are set. */
void weir_queue_link(struct weir_queue *queue, struct weir_chunk *chunk,
                     uint8_t *write);

/* Begin a new tail at the stream offset `position`, which lies in the tail, or
 * at its end, and is where the last whole message ends; what has come of the
 * next one goes there.
 * Errors: -ENOMEM; nothing has changed then. */
int weir_queue_part(struct weir_queue *queue, uint64_t position);

/* The same for a queue that receives, in fresh memory; `at` is in the tail. */
int weir_queue_part_received(struct weir_queue *queue, uint8_t *at);

/* Make `chunk`, got for it, refer to what is free in the tail. */
void weir_queue_refer_rest(struct weir_queue *queue, struct weir_chunk *chunk);

/* ---- consumer ---- */

/* Stream offset of the next octet to consume. */
static inline uint64_t weir_queue_consumer_at(const struct weir_queue *queue)
{
    return queue->out.base + (uint64_t)(queue->out.read - queue->out.data);
}

/* Octets of `chunk` that may be looked at when all below `published` may.
 * `used` changes while the tail is written and when it is sealed, but the
 * published part of a chunk is never more than either value. */
static inline size_t weir_queue_visible(const struct weir_chunk *chunk,
                                        uint64_t published)
{
    uint64_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
    uint64_t limit = published - chunk->base;

    return (size_t)(used < limit ? used : limit);
}

/* What was published: messages, and then the offset below which at least
 * those lie. */
struct weir_queue_mark_point weir_queue_seen(struct weir_queue *queue);

/* Leave finished chunks until there is something to read, no further than
 * `seen`.  False: there is nothing, in the list. */
bool weir_queue_refill(struct weir_queue *queue,
                       const struct weir_queue_mark_point *seen);

/* Take the message out of the slot of a latest queue, and enter it. */
bool weir_queue_enter_latest(struct weir_queue *queue);

/* Leave the current chunk, which has a next, and enter that. */
void weir_queue_go_on(struct weir_queue *queue);

/* Take the rest of the partly written message out of the list, to be written
 * before it.  False: it stays there. */
bool weir_queue_set_aside(struct weir_queue *queue);

/* Let the producer see what was consumed. */
static inline void weir_queue_credit(struct weir_queue *queue)
{
    atomic_store_explicit(&queue->taken, queue->out.taken,
                          memory_order_relaxed);
    atomic_store_explicit(&queue->consumed, weir_queue_consumer_at(queue),
                          memory_order_relaxed);
}

#endif
