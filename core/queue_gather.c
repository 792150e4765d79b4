#include "config.h"

#include "queue.h"

#include <stdlib.h>

#include "queue_private.h"

/* ----------------------------------------------------------- set aside -- */

static ssize_t gather_aside(struct weir_queue_aside *aside, struct iovec *part)
{
    part->iov_base = aside->octets + aside->written;
    part->iov_len = aside->size - aside->written;
    return (ssize_t)part->iov_len;
}

static void wrote_aside(struct weir_queue *queue, size_t octets)
{
    struct weir_queue_aside *aside = queue->out.aside;

    aside->written += octets;
    if (aside->written < aside->size)
        return;
    free(aside);
    queue->out.aside = NULL;
}

/* ----------------------------------------------------------- gathering -- */

static bool something(struct weir_queue *queue,
                      struct weir_queue_mark_point *at)
{
    *at = weir_queue_seen(queue);
    if (weir_queue_refill(queue, at))
        return true;
    if (!weir_queue_enter_latest(queue))
        return false;
    *at = weir_queue_seen(queue);
    return true;
}

static bool is_last(const struct weir_chunk *chunk, uint64_t published)
{
    return published - chunk->base <=
           atomic_load_explicit(&chunk->used, memory_order_relaxed);
}

ssize_t weir_queue_gather(struct weir_queue *queue, struct iovec *parts,
                          int max, int *n, size_t limit,
                          struct weir_queue_mark_point *at)
{
    const uint8_t *from;
    struct weir_chunk *chunk;
    size_t octets = 0, some;

    *n = 0;
    if (max < 1)
        return 0;
    if (WEIR_UNLIKELY(queue->out.aside)) {
        *n = 1;
        return gather_aside(queue->out.aside, parts);
    }
    if (!something(queue, at))
        return 0;
    from = queue->out.read;
    for (chunk = queue->out.current;; chunk = chunk->next, from = chunk->data) {
        some = weir_queue_visible(chunk, at->position) -
               (size_t)(from - chunk->data);
        if (some) {
            parts[*n].iov_base = (void *)(uintptr_t)from;
            parts[*n].iov_len = some;
            octets += some;
            ++*n;
        }
        if (*n == max || octets >= limit || is_last(chunk, at->position))
            return (ssize_t)octets;
    }
}

/* Has nothing come since `at`? */
static bool is_all(struct weir_queue *queue,
                   const struct weir_queue_mark_point *at)
{
    return atomic_load_explicit(&queue->published, memory_order_relaxed) ==
               at->position &&
           atomic_load_explicit(&queue->messages, memory_order_relaxed) ==
               at->messages &&
           !atomic_load_explicit(&queue->latest, memory_order_relaxed);
}

bool weir_queue_wrote(struct weir_queue *queue, size_t octets,
                      const struct weir_queue_mark_point *at)
{
    struct weir_queue_out *out = &queue->out;

    if (WEIR_UNLIKELY(out->aside)) {
        wrote_aside(queue, octets);
        return false;
    }
    while (octets) {
        size_t visible = weir_queue_visible(out->current, at->position);
        size_t left = visible - (size_t)(out->read - out->data);

        if (octets <= left) {
            out->read += octets;
            break;
        }
        octets -= left;
        weir_queue_go_on(queue);
    }
    out->end = out->read;
    out->partial = weir_queue_consumer_at(queue) != at->position;
    if (!out->partial && out->taken < at->messages)
        out->taken = at->messages;
    weir_queue_credit(queue);
    weir_queue_check_writer(queue);
    return !out->partial && is_all(queue, at);
}

/* ------------------------------------------------------------- walking -- */

static void walk_into(struct weir_queue_walk *walk,
                      const struct weir_chunk *chunk, const uint8_t *from)
{
    walk->chunk = chunk;
    walk->next = from;
    walk->end = chunk->data + weir_queue_visible(chunk, walk->at.position);
}

bool weir_queue_walk(struct weir_queue *queue, struct weir_queue_walk *walk)
{
    if (!something(queue, &walk->at))
        return false;
    walk_into(walk, queue->out.current, queue->out.read);
    return true;
}

/* Find a chunk with something left; false: there is none. */
static bool walk_ahead(struct weir_queue_walk *walk)
{
    while (walk->next == walk->end) {
        if (is_last(walk->chunk, walk->at.position))
            return false;
        walk_into(walk, walk->chunk->next, walk->chunk->next->data);
    }
    return true;
}

/* A body that does not follow its head is the whole next chunk. */
bool weir_queue_walk_on(struct weir_queue_walk *walk,
                        struct weir_queue_found *found)
{
    struct weir_queue_place place;

    if (!walk_ahead(walk))
        return false;
    place = weir_queue_place_at(walk->next);
    walk->next += place.before;
    if (place.size > (size_t)(walk->end - walk->next))
        walk_into(walk, walk->chunk->next, walk->chunk->next->data);
    found->data = walk->next;
    found->size = place.size;
    found->octets = place.before + place.size;
    found->flags = place.flags;
    walk->next += place.size;
    return true;
}

/* ------------------------------------------------- where the writer is -- */

/* The current chunk is one frame's body: its head is written. */
static bool midway_in_body(const struct weir_queue_out *out, size_t visible)
{
    return out->read < out->data + visible ||
           out->current->frame_flags & WEIR_FRAME_MORE;
}

/* Go from frame to frame up to the one that `read` is in or at. */
static bool midway_in_frames(struct weir_queue_out *out)
{
    while (out->known < out->read) {
        struct weir_queue_place place = weir_queue_place_at(out->known);

        if ((size_t)(out->read - out->known) < place.before ||
            (size_t)(out->read - out->known) - place.before < place.size)
            return true;
        out->known += place.before + place.size;
        out->known_inside = (uint8_t)(place.flags & WEIR_FRAME_MORE);
        if (!out->known_inside)
            out->known_messages++;
    }
    return out->known_inside;
}

/* So many messages are written, which a writer does not count.  Who waits for
 * room is told here: it may be long before the peer lets us write again. */
static void count_written(struct weir_queue *queue, uint64_t messages)
{
    if (queue->out.taken < messages)
        queue->out.taken = messages;
    weir_queue_credit(queue);
    weir_queue_check_writer(queue);
}

/* Chunks begin at a frame or are a body, so the walk starts there at worst;
 * where it has come to is kept for the next. */
bool weir_queue_midway(struct weir_queue *queue)
{
    struct weir_queue_out *out = &queue->out;
    struct weir_queue_mark_point seen;
    bool body;

    if (WEIR_UNLIKELY(out->aside))
        return true;
    if (!out->partial)
        return false;
    seen = weir_queue_seen(queue);
    body = out->current->flags & WEIR_CHUNK_BODY;
    if (body)
        out->partial = midway_in_body(out, weir_queue_visible(out->current,
                                                              seen.position));
    else
        out->partial = midway_in_frames(out);
    count_written(queue, out->known_messages + (body && !out->partial));
    return out->partial;
}

/* ------------------------------------------------------------- cutting -- */

/* Step behind the partly written frame, if it is one.
 * Returns whether more frames of its message follow. */
static bool finish_frame(struct weir_queue *queue)
{
    struct weir_queue_mark_point seen = weir_queue_seen(queue);
    struct weir_queue_out *out = &queue->out;
    size_t visible = weir_queue_visible(out->current, seen.position);
    struct weir_queue_place place;

    if (out->current->flags & WEIR_CHUNK_BODY) {
        out->read = out->data + visible;
        return out->current->frame_flags & WEIR_FRAME_MORE;
    }
    if (out->known == out->read)
        return true;
    place = weir_queue_place_at(out->known);
    if (place.before + place.size <=
        visible - (size_t)(out->known - out->data)) {
        out->read = out->known + place.before + place.size;
    } else {
        weir_queue_go_on(queue);
        out->read = out->data + place.size;
    }
    return place.flags & WEIR_FRAME_MORE;
}

static void skip_frames(struct weir_queue *queue)
{
    unsigned flags = WEIR_FRAME_MORE;
    const uint8_t *data;
    size_t size;

    while (flags & WEIR_FRAME_MORE &&
           weir_queue_peek(queue, &data, &size, &flags))
        queue->out.read = queue->out.next;
}

/* Step behind the partly written message, which there is. */
static void leave_message(struct weir_queue *queue)
{
    struct weir_queue_out *out = &queue->out;
    uint64_t before;

    before = out->known_messages;
    out->end = out->read;
    if (finish_frame(queue)) {
        out->end = out->read;
        skip_frames(queue);
    }
    out->end = out->read;
    out->partial = false;
    out->taken = before + 1;
    weir_queue_credit(queue);
    weir_queue_check_writer(queue);
}

int weir_queue_cut(struct weir_queue *queue)
{
    if (!weir_queue_midway(queue))
        return 0;
    if (queue->out.aside) {
        free(queue->out.aside);
        queue->out.aside = NULL;
    } else {
        leave_message(queue);
    }
    return 1;
}

/* ------------------------------------------------------- setting aside -- */

/* Octets left of the partly written frame; the walk goes behind it.
 * *more: frames of its message follow. */
static size_t rest_of_frame(struct weir_queue *queue,
                            struct weir_queue_walk *walk, bool *more)
{
    struct weir_queue_out *out = &queue->out;
    struct weir_queue_place place = {.flags = WEIR_FRAME_MORE};
    size_t end = 0, done = (size_t)(out->read - out->known);

    walk_into(walk, out->current, out->known);
    if (out->current->flags & WEIR_CHUNK_BODY) {
        *more = out->current->frame_flags & WEIR_FRAME_MORE;
        walk->next = walk->end;
        return (size_t)(walk->end - out->read);
    }
    if (done > 0) {
        place = weir_queue_place_at(out->known);
        end = place.before + place.size;
    }
    *more = place.flags & WEIR_FRAME_MORE;
    if (end > (size_t)(walk->end - walk->next))
        walk_into(walk, walk->chunk->next,
                  walk->chunk->next->data + place.size);
    else
        walk->next += end;
    return end - done;
}

static size_t rest_of_message(struct weir_queue *queue,
                              const struct weir_queue_mark_point *seen)
{
    struct weir_queue_walk walk = {.at = *seen};
    struct weir_queue_found found;
    bool more;
    size_t octets = rest_of_frame(queue, &walk, &more);

    while (more && weir_queue_walk_on(&walk, &found)) {
        octets += found.octets;
        more = found.flags & WEIR_FRAME_MORE;
    }
    return octets;
}

static void copy_rest(struct weir_queue *queue, struct weir_queue_aside *aside,
                      const struct weir_queue_mark_point *seen)
{
    struct weir_chunk *chunk = queue->out.current;
    const uint8_t *from = queue->out.read;
    size_t at = 0, some;

    for (;; chunk = chunk->next, from = chunk->data) {
        some = weir_queue_visible(chunk, seen->position) -
               (size_t)(from - chunk->data);
        if (some > aside->size - at)
            some = aside->size - at;
        memcpy(aside->octets + at, from, some);
        at += some;
        if (at == aside->size)
            return;
    }
}

bool weir_queue_set_aside(struct weir_queue *queue)
{
    struct weir_queue_mark_point seen = weir_queue_seen(queue);
    struct weir_queue_aside *aside = queue->out.aside;
    size_t size;

    if (aside)
        return true;
    size = rest_of_message(queue, &seen);
    if (size > WEIR_QUEUE_ASIDE)
        return false;
    aside = malloc(sizeof *aside + size);
    if (!aside)
        return false;
    aside->size = size;
    aside->written = 0;
    copy_rest(queue, aside, &seen);
    leave_message(queue);
    queue->out.aside = aside;
    return true;
}
