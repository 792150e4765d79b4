#include "config.h"

#include "queue.h"

#include "message.h"
#include "queue_private.h"
#include "spill.h"

static uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* -------------------------------------------------- telling the writer -- */

static uint64_t quarter(uint64_t mark)
{
    return mark / 4 ? mark / 4 : 1;
}

/* Has the queue come down to half its mark? */
static bool half_empty(struct weir_queue *queue)
{
    uint64_t messages = load(&queue->mark_messages);
    uint64_t octets = load(&queue->mark_octets);

    if (messages && load(&queue->messages) > queue->out.taken + messages / 2)
        return false;
    return !octets || load(&queue->published) <=
                          weir_queue_consumer_at(queue) + octets / 2;
}

/* Somebody there waits: the spill, who tells the producer then, or that one. */
static WEIR_NOINLINE void tell_writer(struct weir_queue *queue)
{
    uint32_t armed = WEIR_QUEUE_WAITS;

    if (atomic_load_explicit(&queue->writer_armed, memory_order_acquire) &
        WEIR_QUEUE_HIDES)
        weir_spill_consumed(queue, half_empty(queue));
    else if (half_empty(queue) &&
             atomic_compare_exchange_strong_explicit(
                 &queue->writer_armed, &armed, 0, memory_order_acq_rel,
                 memory_order_relaxed))
        queue->writer.wake(queue->writer.arg);
}

/* Looked at every quarter of the mark, at chunk ends, and when the queue is
 * drained: so a producer that waits is told, wherever it armed itself.  The
 * credit was stored before; the fence comes between it and the look. */
void weir_queue_check_writer(struct weir_queue *queue)
{
    uint64_t messages = load(&queue->mark_messages);

    queue->out.check =
        queue->out.taken + (messages ? quarter(messages) : 65536);
    if (!messages && !load(&queue->mark_octets) && !queue->spill)
        return;
    weir_fence_full();
    if (WEIR_UNLIKELY(
            atomic_load_explicit(&queue->writer_armed, memory_order_relaxed)))
        tell_writer(queue);
}

/* All that was published is consumed.  A consumer that counts by chunks, not
 * by messages, learns its exact number here. */
static void settle(struct weir_queue *queue, uint64_t messages)
{
    uint64_t at = weir_queue_consumer_at(queue);

    if (queue->out.looked == at && queue->out.taken >= messages)
        return;
    queue->out.looked = at;
    if (queue->out.taken < messages)
        queue->out.taken = messages;
    weir_queue_credit(queue);
    weir_queue_check_writer(queue);
}

/* -------------------------------------------------------------- chunks -- */

static void enter(struct weir_queue *queue, struct weir_chunk *chunk)
{
    struct weir_queue_out *out = &queue->out;

    out->current = chunk;
    out->base = chunk->base;
    out->read = out->end = out->data = out->known = chunk->data;
    out->known_inside = chunk->flags & WEIR_CHUNK_MIDWAY ? WEIR_FRAME_MORE : 0;
}

static void leave(struct weir_queue *queue)
{
    uint64_t given = queue->out.given;

    queue->out.given = 0;
    weir_chunk_unref(queue->out.current, WEIR_CHUNK_HOLD - given);
}

void weir_queue_go_on(struct weir_queue *queue)
{
    struct weir_queue_out *out = &queue->out;
    struct weir_chunk *next = out->current->next;

    if (out->taken < out->current->messages)
        out->taken = out->current->messages;
    out->known_messages = out->current->messages;
    leave(queue);
    enter(queue, next);
    if (load(&queue->mark_octets)) {
        weir_queue_credit(queue);
        weir_queue_check_writer(queue);
    }
}

struct weir_queue_mark_point weir_queue_seen(struct weir_queue *queue)
{
    struct weir_queue_mark_point seen;
    struct weir_chunk *chunk = queue->out.current;

    if (chunk && chunk->flags & WEIR_CHUNK_LATEST) {
        seen.messages = chunk->messages;
        seen.position = chunk->base + load(&chunk->used);
        return seen;
    }
    seen.messages =
        atomic_load_explicit(&queue->messages, memory_order_acquire);
    seen.position =
        atomic_load_explicit(&queue->published, memory_order_acquire);
    return seen;
}

/* A body that is read as a frame, not as octets, stays hidden from the fast
 * path of peek, which would take it for a head. */
static bool show(struct weir_queue *queue, size_t visible)
{
    struct weir_queue_out *out = &queue->out;
    bool more = out->read < out->data + visible;

    out->end =
        out->current->flags & WEIR_CHUNK_BODY ? out->read : out->data + visible;
    return more;
}

/* Is there another chunk with something published in it? */
static bool more_behind(struct weir_chunk *chunk, uint64_t published)
{
    return published - chunk->base > load(&chunk->used);
}

bool weir_queue_refill(struct weir_queue *queue,
                       const struct weir_queue_mark_point *seen)
{
    struct weir_queue_out *out = &queue->out;

    if (WEIR_UNLIKELY(!out->current)) {
        if (seen->position == out->base)
            return false;
        enter(queue, queue->in.first);
    }
    for (;;) {
        struct weir_chunk *chunk = out->current;

        if (show(queue, weir_queue_visible(chunk, seen->position)))
            return true;
        if (!more_behind(chunk, seen->position))
            break;
        weir_queue_go_on(queue);
    }
    settle(queue, seen->messages);
    return false;
}

/* The chunk is all ours: acquire goes with the producer's exchange. */
bool weir_queue_enter_latest(struct weir_queue *queue)
{
    struct weir_queue_out *out = &queue->out;
    struct weir_chunk *chunk;

    if (!atomic_load_explicit(&queue->latest, memory_order_relaxed))
        return false;
    chunk =
        atomic_exchange_explicit(&queue->latest, NULL, memory_order_acquire);
    if (!chunk)
        return false;
    chunk->base = weir_queue_consumer_at(queue);
    chunk->messages = out->taken + 1;
    if (out->current)
        leave(queue);
    out->known_messages = out->taken;
    enter(queue, chunk);
    (void)show(queue, (size_t)load(&chunk->used));
    return true;
}

static bool refill(struct weir_queue *queue)
{
    struct weir_queue_mark_point seen = weir_queue_seen(queue);

    return weir_queue_refill(queue, &seen);
}

/* ------------------------------------------------------ frame by frame -- */

bool weir_queue_look(struct weir_queue *queue)
{
    return refill(queue) ||
           atomic_load_explicit(&queue->latest, memory_order_relaxed);
}

static void found(struct weir_queue_out *out, const uint8_t *body, size_t size,
                  unsigned flags)
{
    out->frame = body;
    out->next = body + size;
    out->flags = flags;
}

/* Find the frame at `read`.  False: that was a head whose body is the next
 * chunk, or a frame nobody shall see; it is passed. */
static bool find(struct weir_queue *queue)
{
    struct weir_queue_out *out = &queue->out;
    struct weir_chunk *chunk = out->current;
    struct weir_queue_place place;

    if (chunk->flags & WEIR_CHUNK_BODY) {
        struct weir_queue_mark_point seen = weir_queue_seen(queue);

        found(out, out->read, weir_queue_visible(chunk, seen.position),
              chunk->frame_flags);
        return true;
    }
    place = weir_queue_place_at(out->read);
    if ((size_t)(out->end - out->read) - place.before < place.size) {
        out->read = out->end;
        return false;
    }
    found(out, out->read + place.before, place.size, place.flags);
    if (!(place.flags & WEIR_QUEUE_VOID))
        return true;
    out->read = out->next;
    return false;
}

bool weir_queue_find(struct weir_queue *queue)
{
    do {
        if (queue->out.read >= queue->out.end && !refill(queue) &&
            !weir_queue_enter_latest(queue))
            return false;
    } while (!find(queue));
    return true;
}

/* ---------------------------------------------------- whole messages -- */

/* Consume what is left of a message. */
static void pass_rest(struct weir_queue *queue, unsigned flags)
{
    const uint8_t *data;
    size_t size;

    while (flags & WEIR_FRAME_MORE &&
           weir_queue_peek(queue, &data, &size, &flags))
        weir_queue_pass(queue);
}

int weir_queue_take_message(struct weir_queue *queue, weir_message *message)
{
    weir_frame *frame = &message->first;
    const uint8_t *data;
    unsigned flags;
    size_t size;
    int error;

    if (!weir_queue_peek(queue, &data, &size, &flags))
        return -EAGAIN;
    weir_queue_take(queue, frame);
    message->count = 1;
    while (WEIR_UNLIKELY(flags & WEIR_FRAME_MORE)) {
        error = weir_message_extend(message, &frame);
        if (error) {
            pass_rest(queue, flags);
            weir_message_fini(message);
            return error;
        }
        (void)weir_queue_peek(queue, &data, &size, &flags);
        weir_queue_take(queue, frame);
    }
    return 0;
}

int weir_queue_skip(struct weir_queue *queue)
{
    const uint8_t *data;
    unsigned flags;
    size_t size;

    if (weir_queue_midway(queue) && !weir_queue_set_aside(queue))
        return 0;
    if (!weir_queue_peek(queue, &data, &size, &flags))
        return 0;
    weir_queue_pass(queue);
    pass_rest(queue, flags);
    return 1;
}

/* Up to where the producer wants the oldest to be dropped. */
struct floor {
    uint64_t messages, octets, kept;
};

static struct floor floor_of(struct weir_queue *queue)
{
    return (struct floor){load(&queue->floor_messages),
                          load(&queue->floor_octets), load(&queue->kept)};
}

static bool is_below(struct weir_queue *queue, const struct floor *floor)
{
    uint64_t taken = queue->out.taken;

    return taken < floor->kept &&
           (taken < floor->messages ||
            weir_queue_consumer_at(queue) < floor->octets);
}

bool weir_queue_is_beyond(struct weir_queue *queue)
{
    struct floor floor = floor_of(queue);

    return is_below(queue, &floor);
}

/* The floor may rise as fast as we drop: that is for the next time. */
uint64_t weir_queue_trim(struct weir_queue *queue)
{
    struct floor floor = floor_of(queue);
    uint64_t n = 0;

    while (is_below(queue, &floor) && weir_queue_skip(queue))
        n++;
    return n;
}

/* Release: who sees that they were returned sees that they were taken. */
void weir_queue_return(struct weir_queue *queue, uint64_t messages)
{
    atomic_store_explicit(&queue->returned, load(&queue->returned) + messages,
                          memory_order_release);
}

/* ------------------------------------------------------------- sleeping -- */

void weir_queue_arm_reader(struct weir_queue *queue)
{
    atomic_store_explicit(&queue->reader_armed, 1, memory_order_release);
}

/* A producer that begins to pass light fences says so before a last full one:
 * so it has seen our word, or we see that. */
void weir_queue_fence_reader(struct weir_queue *queue)
{
    weir_fence_full();
    if (weir_queue_is_light(queue))
        weir_fence_heavy();
}

void weir_queue_disarm_reader(struct weir_queue *queue)
{
    atomic_store_explicit(&queue->reader_armed, 0, memory_order_relaxed);
}
