#include "config.h"

#include "queue.h"

#include <stdlib.h>

#include "queue_private.h"
#include "spill.h"

uint8_t weir_queue_nothing[1];

/* ------------------------------------------------- making and unmaking -- */

void weir_queue_reset_in(struct weir_queue *queue, uint64_t base)
{
    struct weir_queue_in *in = &queue->in;

    in->write = in->limit = in->data = in->scan = weir_queue_nothing;
    in->base = base;
    in->tail = in->first = in->saved_tail = NULL;
    in->saved_write = in->saved_limit = weir_queue_nothing;
    in->inside = 0;
}

void weir_queue_reset_out(struct weir_queue *queue, uint64_t base)
{
    struct weir_queue_out *out = &queue->out;

    out->read = out->end = out->data = out->known = weir_queue_nothing;
    out->base = base;
    out->current = NULL;
    out->known_messages = out->taken;
}

/* Chunks grow while the consumer is behind, but a queue of few octets has
 * more than one chunk, so that memory comes back before it is empty. */
static uint32_t largest_chunk(uint64_t mark_octets)
{
    uint32_t size = WEIR_QUEUE_CHUNK_MIN;

    if (mark_octets == 0)
        return WEIR_QUEUE_CHUNK_MAX;
    while (size < WEIR_QUEUE_CHUNK_MAX && size * 2 <= mark_octets / 4)
        size *= 2;
    return size;
}

/* Half of a mark, but no more than `most`. */
static uint64_t half(uint64_t mark, uint64_t most)
{
    return mark && (mark + 1) / 2 < most ? (mark + 1) / 2 : most;
}

void weir_queue_set_mark(struct weir_queue *queue,
                         struct weir_queue_limits mark)
{
    atomic_store_explicit(&queue->mark_messages, mark.messages,
                          memory_order_relaxed);
    atomic_store_explicit(&queue->mark_octets, mark.bytes,
                          memory_order_relaxed);
    queue->in.message_credit = queue->in.octet_credit = 0;
    queue->in.batch.messages = half(mark.messages, UINT64_MAX);
    queue->in.batch.bytes = half(mark.bytes, WEIR_QUEUE_BATCH);
    queue->in.size_max = largest_chunk(mark.bytes);
    queue->in.size = WEIR_QUEUE_CHUNK_MIN;
}

struct weir_queue *weir_queue_new(struct weir_pool *pool,
                                  struct weir_queue_limits mark, bool light)
{
    struct weir_queue *queue =
        aligned_alloc(_Alignof(struct weir_queue), sizeof(*queue));

    if (!queue)
        return NULL;
    memset(queue, 0, sizeof(*queue));
    atomic_init(&queue->holders, 2);
    queue->may_be_light = light;
    queue->in.pool = pool;
    weir_queue_reset_in(queue, 0);
    weir_queue_reset_out(queue, 0);
    weir_queue_set_mark(queue, mark);
    return queue;
}

/* Free the list, from where the consumer stands.  The tail's `next` may be a
 * left-over. */
static void drop_list(struct weir_queue *queue)
{
    struct weir_chunk *chunk = queue->out.current, *tail = queue->in.tail;
    struct weir_chunk *next;
    uint64_t hold = WEIR_CHUNK_HOLD - queue->out.given;

    if (!chunk)
        chunk = queue->in.first;
    for (; chunk; chunk = next) {
        next = chunk == tail || !tail ? NULL : chunk->next;
        weir_chunk_unref(chunk, hold);
        hold = WEIR_CHUNK_HOLD;
    }
    queue->out.given = 0;
}

/* Free what the producer has beside the list. */
static void drop_extras(struct weir_queue_in *in)
{
    if (in->rest)
        weir_chunk_unref(in->rest, 1);
    if (in->body)
        weir_chunk_unref(in->body, WEIR_CHUNK_HOLD);
    if (in->spare)
        weir_chunk_unref(in->spare, WEIR_CHUNK_HOLD);
    in->rest = in->body = in->spare = NULL;
}

static void destroy(struct weir_queue *queue)
{
    struct weir_chunk *latest =
        atomic_load_explicit(&queue->latest, memory_order_relaxed);

    if (latest)
        weir_chunk_unref(latest, WEIR_CHUNK_HOLD);
    if (queue->spill)
        weir_spill_leave(queue->spill);
    drop_list(queue);
    drop_extras(&queue->in);
    free(queue->out.aside);
    free(queue);
}

void weir_queue_leave(struct weir_queue *queue)
{
    if (atomic_fetch_sub_explicit(&queue->holders, 1, memory_order_acq_rel) ==
        1)
        destroy(queue);
}

void weir_queue_set_spill(struct weir_queue *queue, struct weir_spill *spill)
{
    queue->spill = spill;
}

void weir_queue_set_reader(struct weir_queue *queue, struct weir_queue_end end)
{
    queue->reader = end;
}

void weir_queue_set_writer(struct weir_queue *queue, struct weir_queue_end end)
{
    queue->writer = end;
}

/* ---------------------------------------------------------- both ends -- */

static uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static uint64_t octets_waiting(struct weir_queue *queue)
{
    uint64_t consumed = load(&queue->consumed);
    uint64_t published = load(&queue->published);

    if (atomic_load_explicit(&queue->latest, memory_order_relaxed))
        return load(&queue->latest_octets);
    return published > consumed ? published - consumed : 0;
}

/* A message can be taken before its producer has stored its number: what was
 * taken was put. */
void weir_queue_counts_lost(struct weir_queue *queue, uint64_t *put,
                            uint64_t *taken, uint64_t *bytes, uint64_t *lost)
{
    *lost = 0;
    *taken = load(&queue->taken) + load(&queue->replaced);
    *put = load(&queue->messages);
    *bytes = octets_waiting(queue);
    if (WEIR_UNLIKELY(queue->spill != NULL))
        weir_spill_counts(queue, put, bytes, lost);
    if (*put < *taken)
        *put = *taken;
}

void weir_queue_counts(struct weir_queue *queue, uint64_t *put, uint64_t *taken,
                       uint64_t *bytes)
{
    uint64_t lost;

    weir_queue_counts_lost(queue, put, taken, bytes, &lost);
}

void weir_queue_came(struct weir_queue *queue, uint64_t *came, uint64_t *taken,
                     uint64_t *bytes, uint64_t *lost)
{
    uint64_t returned = weir_queue_returned(queue), replaced, put;

    *taken = load(&queue->taken) - returned;
    replaced = load(&queue->replaced);
    put = load(&queue->messages);
    *bytes = octets_waiting(queue);
    *lost = 0;
    if (WEIR_UNLIKELY(queue->spill != NULL))
        weir_spill_counts(queue, &put, bytes, lost);
    *came = put - replaced - returned;
    if (*came < *taken)
        *came = *taken;
}

/* Nothing is begun, on its way or unread: then the next octet goes to where
 * all before it is published. */
static bool drained(struct weir_queue *queue)
{
    return weir_queue_position(queue) == load(&queue->published) &&
           !queue->in.body && !queue->out.aside &&
           !weir_spill_hides(queue->spill) && !weir_queue_ready(queue);
}

bool weir_queue_idle(struct weir_queue *queue)
{
    uint64_t published = load(&queue->published);

    if (!drained(queue))
        return false;
    drop_list(queue);
    drop_extras(&queue->in);
    weir_queue_reset_in(queue, published);
    weir_queue_reset_out(queue, published);
    queue->in.size = WEIR_QUEUE_CHUNK_MIN;
    return true;
}

static void move_producer(struct weir_queue_in *in, struct weir_chunk *body,
                          uint8_t *from)
{
    if (in->tail == body) {
        in->write = in->limit = body->data + (in->write - from);
        in->data = body->data;
    }
    if (in->saved_tail == body)
        in->saved_write = in->saved_limit =
            body->data + (in->saved_write - from);
}

static void move_consumer(struct weir_queue_out *out, struct weir_chunk *body,
                          const uint8_t *from)
{
    if (out->current != body)
        return;
    out->read = body->data + (out->read - from);
    out->end = body->data + (out->end - from);
    out->known = body->data + (out->known - from);
    out->data = body->data;
}

static void move_body(struct weir_queue *queue, struct weir_chunk *body)
{
    const struct weir_queue_out *out = &queue->out;
    size_t done = out->current == body ? (size_t)(out->read - out->data) : 0;
    uint8_t *from = body->data;

    body->data = body->owner->data;
    memcpy(body->data + done, from + done, body->capacity - done);
    move_producer(&queue->in, body, from);
    move_consumer(&queue->out, body, from);
}

/* The list has WEIR_CHUNK_HOLD references, or has let go of it. */
void weir_queue_keep_body(struct weir_queue *queue, struct weir_chunk *body)
{
    if (load(&body->refs) != 1)
        move_body(queue, body);
    weir_chunk_unref(body, 1);
}

/* Is the chunk nobody's but ours, slices of it included?  Acquire: whoever
 * let go of one is done with the octets that will be written over. */
static bool unshared(struct weir_queue *queue, struct weir_chunk *chunk)
{
    return load(&chunk->refs) == WEIR_CHUNK_HOLD - queue->out.given;
}

static bool rewindable(struct weir_queue *queue)
{
    struct weir_chunk *tail = queue->in.tail;

    return tail && queue->out.current == tail &&
           queue->out.read == queue->in.write && !tail->owner &&
           !(tail->flags & WEIR_CHUNK_BODY) &&
           tail->capacity >= queue->in.size && drained(queue) &&
           unshared(queue, tail);
}

void weir_queue_rewind(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_queue_out *out = &queue->out;
    struct weir_chunk *tail = in->tail;

    if (in->write == in->data || !rewindable(queue))
        return;
    atomic_store_explicit(&tail->refs, WEIR_CHUNK_HOLD, memory_order_relaxed);
    tail->base = in->base = out->base = load(&queue->published);
    tail->flags = 0;
    in->write = in->scan = in->saved_write = tail->data;
    in->limit = in->saved_limit = tail->data + tail->capacity;
    in->saved_tail = tail;
    out->given = 0;
    out->read = out->end = out->data = out->known = tail->data;
    out->known_inside = 0;
    out->known_messages = out->taken;
}
