#include "config.h"

#include "queue.h"

#include "base/error.h"
#include "message.h"
#include "queue_private.h"
#include "spill.h"

/* -------------------------------------------------------------- credit -- */

static uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Nothing but numbers flows back from the consumer, and they only grow: old
 * ones make the queue look fuller than it is. */
static void refresh_credit(struct weir_queue *queue)
{
    uint64_t messages = load(&queue->mark_messages);
    uint64_t octets = load(&queue->mark_octets);

    queue->in.message_credit =
        messages ? load(&queue->taken) + messages : UINT64_MAX;
    queue->in.octet_credit =
        octets ? load(&queue->consumed) + octets : UINT64_MAX;
}

static bool has_room(struct weir_queue *queue, uint64_t octets)
{
    struct weir_queue_in *in = &queue->in;
    uint64_t published = load(&queue->published);

    refresh_credit(queue);
    if (in->put >= in->message_credit)
        return false;
    if (published + octets <= in->octet_credit)
        return true;
    if (published != load(&queue->consumed))
        return false;
    in->octet_credit = published + octets;
    return true;
}

static WEIR_NOINLINE bool may_spill(struct weir_queue *queue, uint64_t octets)
{
    if (!weir_spill_hides(queue->spill))
        return has_room(queue, octets) || weir_spill_begin(queue, octets);
    if (weir_spill_promised(queue->spill, octets))
        return true;
    if (weir_spill_end(queue) && has_room(queue, octets))
        return true;
    if (!weir_spill_hides(queue->spill))
        return weir_spill_begin(queue, octets);
    return weir_spill_room(queue, octets);
}

static bool room_for(struct weir_queue *queue, uint64_t octets)
{
    if (WEIR_UNLIKELY(queue->spill != NULL))
        return may_spill(queue, octets);
    return has_room(queue, octets);
}

bool weir_queue_room(struct weir_queue *queue, size_t octets)
{
    bool room = room_for(queue, octets);

    queue->in.wanted = room ? 0 : octets;
    return room;
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t above(uint64_t sum, uint64_t mark)
{
    return mark && sum > mark ? sum - mark : 0;
}

/* Who tells the consumer makes the words visible.  It may see some of a later
 * call already: each of them is right by itself. */
void weir_queue_ask_room(struct weir_queue *queue, size_t octets)
{
    uint64_t published = load(&queue->published);
    uint64_t floor = above(published + octets, load(&queue->mark_octets));

    store(&queue->floor_messages,
          above(queue->in.put + 1, load(&queue->mark_messages)));
    store(&queue->floor_octets, floor < published ? floor : published);
    store(&queue->kept, queue->in.put);
}

bool weir_queue_far_beyond(struct weir_queue *queue)
{
    uint64_t messages = load(&queue->mark_messages);
    uint64_t octets = load(&queue->mark_octets);

    return (messages && queue->in.put - load(&queue->taken) >= 2 * messages) ||
           (octets &&
            load(&queue->published) - load(&queue->consumed) >= 2 * octets);
}

bool weir_queue_ask_mark(struct weir_queue *queue)
{
    uint64_t published = load(&queue->published), put = queue->in.put;
    uint64_t messages = above(put, load(&queue->mark_messages));
    uint64_t octets = above(published, load(&queue->mark_octets));

    if (messages <= load(&queue->taken) && octets <= load(&queue->consumed))
        return false;
    store(&queue->floor_messages, messages);
    store(&queue->floor_octets, octets);
    store(&queue->kept, put - 1);
    return true;
}

void weir_queue_refuse(struct weir_queue *queue)
{
    atomic_store_explicit(&queue->refused, load(&queue->refused) + 1,
                          memory_order_release);
}

/* A spill begins where a message ends, and that in the tail: one that began
 * earlier comes whole. */
bool weir_queue_full(struct weir_queue *queue)
{
    return !weir_queue_room(queue, 1) &&
           !(queue->spill && weir_spill_comes(queue));
}

bool weir_queue_arm_writer(struct weir_queue *queue)
{
    uint64_t wanted = queue->in.wanted ? queue->in.wanted : 1;
    bool waits = weir_queue_writer_waits(queue);

    atomic_fetch_or_explicit(&queue->writer_armed, WEIR_QUEUE_WAITS,
                             memory_order_release);
    weir_fence_full();
    if (!room_for(queue, wanted)) {
        if (WEIR_UNLIKELY(weir_spill_is_durable(queue->spill)))
            weir_spill_ask(queue, wanted, waits);
        return true;
    }
    if (!waits || !weir_spill_is_durable(queue->spill))
        weir_queue_disarm_writer(queue); /* nobody else's message waits */
    return false;
}

void weir_queue_disarm_writer(struct weir_queue *queue)
{
    atomic_fetch_and_explicit(&queue->writer_armed, ~(uint32_t)WEIR_QUEUE_WAITS,
                              memory_order_relaxed);
}

uint64_t weir_queue_pending(struct weir_queue *queue)
{
    if (load(&queue->latest_octets))
        return atomic_load_explicit(&queue->latest, memory_order_relaxed)
                   ? load(&queue->latest_octets)
                   : 0;
    return load(&queue->published) - load(&queue->consumed);
}

/* Of a latest queue `taken` does not count what was replaced. */
bool weir_queue_has_batch(struct weir_queue *queue)
{
    const struct weir_queue_in *in = &queue->in;

    if (load(&queue->latest_octets))
        return weir_queue_pending(queue) >= WEIR_QUEUE_BATCH;
    return weir_queue_pending(queue) >= in->batch.bytes ||
           (in->put - load(&queue->taken) >= in->batch.messages &&
            !weir_spill_hides(queue->spill));
}

/* What is taken out of the slot of a latest queue may be on its way still. */
static bool latest_is_held(struct weir_queue *queue)
{
    return queue->in.put != load(&queue->taken) + load(&queue->replaced);
}

bool weir_queue_holds(struct weir_queue *queue)
{
    if (WEIR_UNLIKELY(load(&queue->latest_octets) != 0))
        return latest_is_held(queue);
    return weir_queue_pending(queue) != 0 || weir_spill_holds(queue);
}

void weir_queue_end_put(struct weir_queue *queue, uint64_t messages)
{
    queue->in.put += messages;
    if (WEIR_UNLIKELY(weir_spill_hides(queue->spill)))
        weir_spill_put(queue, weir_queue_position(queue));
    else
        weir_queue_publish(queue, weir_queue_position(queue));
}

/* Acquire: what the reader said to call was written before it armed. */
void weir_queue_wake_reader(struct weir_queue *queue)
{
    queue->in.streak = 0;
    queue->in.light = false;
    atomic_store_explicit(&queue->light, false, memory_order_relaxed);
    if (atomic_exchange_explicit(&queue->reader_armed, 0, memory_order_acq_rel))
        queue->reader.wake(queue->reader.arg);
}

/* -------------------------------------------------------------- chunks -- */

void weir_queue_link(struct weir_queue *queue, struct weir_chunk *chunk,
                     uint8_t *write)
{
    struct weir_queue_in *in = &queue->in;
    uint64_t used = (uint64_t)(in->write - in->data);

    if (in->tail) {
        in->tail->messages = in->put;
        in->tail->next = chunk;
        atomic_store_explicit(&in->tail->used, used, memory_order_relaxed);
    } else {
        in->first = chunk;
    }
    in->base += used;
    chunk->base = in->base;
    if (in->inside)
        chunk->flags |= WEIR_CHUNK_MIDWAY;
    in->tail = chunk;
    in->data = chunk->data;
    in->write = write;
    in->limit = chunk->data + chunk->capacity;
}

void weir_queue_refer_rest(struct weir_queue *queue, struct weir_chunk *chunk)
{
    struct weir_queue_in *in = &queue->in;

    weir_chunk_refer(chunk, in->tail, in->write,
                     (size_t)(in->limit - in->write));
}

/* Before a chunk is linked that is not ours to write: remember what is free
 * in the tail, to go on there.  The memory's own reference keeps it. */
static void remember_rest(struct weir_queue_in *in)
{
    struct weir_chunk *tail = in->tail;

    if (in->rest || !tail || in->limit - in->write < WEIR_QUEUE_REST)
        return;
    in->rest = tail->owner ? tail->owner : tail;
    in->rest_at = in->write;
    in->rest_size = (size_t)(in->limit - in->write);
    weir_chunk_ref(in->rest, 1);
}

static void forget_rest(struct weir_queue_in *in)
{
    if (in->rest)
        weir_chunk_unref(in->rest, 1);
    in->rest = NULL;
}

/* Go on behind a large payload, where the memory before it ended. */
static bool link_rest(struct weir_queue *queue, size_t need)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *chunk = NULL;

    if (in->rest && in->rest_size >= need)
        chunk = weir_pool_get(in->pool, 0);
    if (chunk) {
        weir_chunk_refer(chunk, in->rest, in->rest_at, in->rest_size);
        weir_queue_link(queue, chunk, chunk->data);
    }
    forget_rest(in);
    return chunk != NULL;
}

/* Chunks double while the consumer is behind. */
static size_t next_size(struct weir_queue *queue, size_t need)
{
    struct weir_queue_in *in = &queue->in;

    if (in->tail && in->size < in->size_max &&
        load(&queue->consumed) != load(&queue->published))
        in->size *= 2;
    return need > in->size ? need : in->size;
}

/* Make the tail one with room for `need` octets in a row. */
static int next_chunk(struct weir_queue *queue, size_t need)
{
    struct weir_chunk *chunk;

    if (link_rest(queue, need))
        return 0;
    chunk = weir_pool_get(queue->in.pool, next_size(queue, need));
    if (!chunk)
        return weir_fail(ENOMEM, "no memory for %zu octets in a queue", need);
    weir_queue_link(queue, chunk, chunk->data);
    return 0;
}

static int make_room(struct weir_queue *queue, size_t need)
{
    if ((size_t)(queue->in.limit - queue->in.write) >= need)
        return 0;
    return next_chunk(queue, need);
}

/* What is free in the tail is the new one, without a copy, if it is worth a
 * header: a chunk that is hardly used would hold the memory of both. */
static int part_at(struct weir_queue *queue, uint8_t *at)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *chunk = weir_pool_get(in->pool, 0);
    uint8_t *write = in->write, inside = in->inside;

    if (!chunk)
        return weir_fail(ENOMEM, "no memory for a part of a queue");
    weir_chunk_refer(chunk, in->tail, at, (size_t)(in->limit - at));
    in->write = at;
    in->inside = 0;
    weir_queue_link(queue, chunk, write);
    in->inside = inside;
    return 0;
}

int weir_queue_part(struct weir_queue *queue, uint64_t position)
{
    struct weir_queue_in *in = &queue->in;
    uint8_t *at = in->data + (position - in->base);
    int error;

    if (in->limit - at >= WEIR_QUEUE_REST)
        error = part_at(queue, at);
    else if (in->receives)
        error = weir_queue_part_received(queue, at);
    else
        error = next_chunk(queue, WEIR_QUEUE_HEAD);
    if (error)
        return error;
    in->saved_tail = in->tail;
    in->saved_write = in->data;
    in->saved_limit = in->limit;
    return 0;
}

/* -------------------------------------------------------------- frames -- */

/* A chunk whose data is the payload: a copy of it, or a reference to it. */
static struct weir_chunk *body_chunk(struct weir_queue *queue,
                                     struct weir_chunk *owner, const void *data,
                                     size_t size)
{
    struct weir_chunk *chunk = weir_pool_get(queue->in.pool, owner ? 0 : size);

    if (chunk && owner)
        weir_chunk_refer(chunk, owner, (void *)(uintptr_t)data, size);
    else if (chunk)
        memcpy(chunk->data, data, size);
    return chunk;
}

/* The head ends a chunk, the payload is the next one. */
static int frame_with_body(struct weir_queue *queue, struct weir_chunk *owner,
                           const void *data, size_t size, unsigned flags)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *chunk;
    int error = make_room(queue, WEIR_QUEUE_HEAD);

    if (error)
        return error;
    chunk = body_chunk(queue, owner, data, size);
    if (!chunk)
        return weir_fail(ENOMEM, "no memory for a frame of %zu octets", size);
    in->write += weir_queue_head(in->write, size, flags);
    remember_rest(in);
    chunk->flags = WEIR_CHUNK_BODY;
    chunk->frame_flags = (uint8_t)flags;
    weir_queue_link(queue, chunk, chunk->data + size);
    in->limit = in->write;
    in->inside = (uint8_t)(flags & WEIR_FRAME_MORE);
    return 0;
}

int weir_queue_frame_slow(struct weir_queue *queue, const void *data,
                          size_t size, unsigned flags)
{
    int error;

    if (size >= WEIR_QUEUE_BODY)
        return frame_with_body(queue, NULL, data, size, flags);
    error = make_room(queue, size + WEIR_QUEUE_HEAD);
    return error ? error : weir_queue_frame(queue, data, size, flags);
}

int weir_queue_frame_owned(struct weir_queue *queue, struct weir_chunk *owner,
                           void *data, size_t size, unsigned flags)
{
    if (size >= WEIR_QUEUE_BODY)
        return frame_with_body(queue, owner, data, size, flags);
    return weir_queue_frame(queue, data, size, flags);
}

int weir_queue_frame_put(struct weir_queue *queue, weir_frame *frame,
                         unsigned flags)
{
    struct weir_chunk *chunk = weir_frame_chunk(frame);
    uint8_t *data = weir_frame_octets(frame);
    size_t size = weir_frame_length(frame);

    if (!chunk)
        return weir_queue_frame(queue, data, size, flags);
    return weir_queue_frame_owned(queue, chunk, data, size, flags);
}

/* Free the chunks linked since the message began. */
static void unlink_new(struct weir_queue_in *in)
{
    struct weir_chunk *last = in->tail, *chunk, *next;

    if (last == in->saved_tail)
        return;
    chunk = in->saved_tail ? in->saved_tail->next : in->first;
    for (; chunk; chunk = next) {
        next = chunk == last ? NULL : chunk->next;
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    }
}

/* The tail that is opened again may be one that the consumer reads: it looks
 * at `next` only when something behind it is published, and at `used` only to
 * find a bound that is not above what is published. */
void weir_queue_abort(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *tail = in->saved_tail;

    forget_rest(in);
    unlink_new(in);
    in->inside = 0;
    if (!tail) {
        weir_queue_reset_in(queue, load(&queue->published));
        return;
    }
    tail->next = NULL;
    atomic_store_explicit(&tail->used, WEIR_CHUNK_OPEN, memory_order_relaxed);
    in->tail = tail;
    in->base = tail->base;
    in->data = tail->data;
    in->write = in->saved_write;
    in->limit = in->saved_limit;
}

void weir_queue_drop_from(struct weir_queue *queue, struct weir_chunk *shown,
                          struct weir_chunk *head, uint64_t put)
{
    struct weir_queue_in *in = &queue->in;

    forget_rest(in);
    in->saved_tail = shown;
    shown->next = head;
    unlink_new(in);
    shown->next = NULL;
    in->tail = shown;
    in->base = shown->base;
    in->data = shown->data;
    in->write = in->limit = shown->data + load(&shown->used);
    in->put = put;
}

void weir_queue_restart(struct weir_queue *queue, struct weir_chunk *head,
                        uint64_t base, uint64_t put)
{
    struct weir_queue_in *in = &queue->in;

    forget_rest(in);
    in->saved_tail = head;
    unlink_new(in);
    head->next = NULL;
    head->base = base;
    atomic_store_explicit(&head->used, WEIR_CHUNK_OPEN, memory_order_relaxed);
    in->tail = head;
    in->base = base;
    in->data = in->write = in->saved_write = head->data;
    in->limit = in->saved_limit = head->data + head->capacity;
    in->inside = 0;
    in->put = put;
}

/* ------------------------------------------------------------ messages -- */

static unsigned more(const weir_message *message, uint32_t index)
{
    return index + 1 < message->count ? WEIR_FRAME_MORE : 0;
}

static size_t octets_of(weir_message *message)
{
    size_t octets = 0;

    for (uint32_t i = 0; i < message->count; i++)
        octets +=
            weir_queue_octets(weir_frame_length(weir_message_at(message, i)));
    return octets;
}

static int no_frames(void)
{
    return weir_fail(EINVAL, "a message of no frames cannot be sent");
}

int weir_queue_put_slow(struct weir_queue *queue, const void *data, size_t size)
{
    int error;

    if (!weir_queue_may_put(queue, size + WEIR_QUEUE_HEAD))
        return -EAGAIN;
    weir_queue_begin(queue);
    error = weir_queue_frame(queue, data, size, 0);
    if (error)
        weir_queue_abort(queue);
    else
        weir_queue_end_put(queue, 1);
    return error;
}

int weir_queue_put_message(struct weir_queue *queue, weir_message *message)
{
    int error = 0;

    if (message->count == 0)
        return no_frames();
    if (!weir_queue_may_put(queue, octets_of(message)))
        return -EAGAIN;
    weir_queue_begin(queue);
    for (uint32_t i = 0; i < message->count && !error; i++)
        error = weir_queue_frame_put(queue, weir_message_at(message, i),
                                     more(message, i));
    if (error) {
        weir_queue_abort(queue);
        return error;
    }
    weir_queue_end_put(queue, 1);
    return 0;
}

static int copy_run(struct weir_queue *queue, const uint8_t *data, size_t size)
{
    int error = make_room(queue, size);

    if (error)
        return error;
    memcpy(queue->in.write, data, size);
    queue->in.write += size;
    return 0;
}

static int share_run(struct weir_queue *queue, struct weir_chunk *owner,
                     uint8_t *data, size_t size)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *chunk = body_chunk(queue, owner, data, size);

    if (!chunk)
        return weir_fail(ENOMEM, "no memory to share %zu octets", size);
    remember_rest(in);
    weir_queue_link(queue, chunk, data + size);
    in->limit = in->write;
    return 0;
}

int weir_queue_put_run(struct weir_queue *queue, struct weir_chunk *chunk,
                       size_t offset, size_t size, uint64_t messages)
{
    uint8_t *data = chunk->data + offset;
    int error = size < WEIR_QUEUE_RUN ? copy_run(queue, data, size)
                                      : share_run(queue, chunk, data, size);

    if (error)
        return error;
    weir_queue_end_put(queue, messages);
    return 0;
}

/* -------------------------------------------------------------- latest -- */

static struct weir_chunk *pack(struct weir_pool *pool, weir_message *message)
{
    struct weir_chunk *chunk = weir_pool_get(pool, octets_of(message));
    uint8_t *at;

    if (!chunk)
        return NULL;
    at = chunk->data;
    for (uint32_t i = 0; i < message->count; i++) {
        weir_frame *frame = weir_message_at(message, i);
        size_t size = weir_frame_length(frame);

        at += weir_queue_head(at, size, more(message, i));
        memcpy(at, weir_frame_octets(frame), size);
        at += size;
    }
    atomic_store_explicit(&chunk->used, (uint64_t)(at - chunk->data),
                          memory_order_relaxed);
    chunk->flags = WEIR_CHUNK_LATEST;
    return chunk;
}

static int count_replaced(struct weir_queue *queue, struct weir_chunk *old)
{
    if (!old)
        return 0;
    weir_chunk_unref(old, WEIR_CHUNK_HOLD);
    atomic_store_explicit(&queue->replaced, load(&queue->replaced) + 1,
                          memory_order_release);
    return 1;
}

/* The exchange is what publishes; `published` stays where it is.  Acquire: the
 * chunk that comes back is ours again. */
int weir_queue_put_latest(struct weir_queue *queue, weir_message *message)
{
    struct weir_chunk *chunk;
    int replaced;

    if (message->count == 0)
        return no_frames();
    chunk = pack(queue->in.pool, message);
    if (!chunk)
        return weir_fail(ENOMEM, "no memory for a message of %zu octets",
                         octets_of(message));
    atomic_store_explicit(&queue->latest_octets,
                          atomic_load_explicit(&chunk->used,
                                               memory_order_relaxed),
                          memory_order_relaxed);
    chunk =
        atomic_exchange_explicit(&queue->latest, chunk, memory_order_acq_rel);
    queue->in.put++;
    replaced = count_replaced(queue, chunk);
    weir_queue_publish(queue, 0);
    return replaced;
}
