#include "config.h"

#include "queue.h"

#include "base/error.h"
#include "queue_private.h"
#include "spill.h"

/* The first memory of a large body, whatever size the peer claims. */
#define BODY_AT_FIRST 65536

/* Behind a large body, and after one, so much is read where the next head will
 * be: a large frame that follows is then read into its own memory at once, and
 * not moved there. */
#define AFTER_BODY 4096

/* So many heads are looked at together. */
#define ALIKE 4

/* Bits of the flag octet that mean something on the wire. */
#define KNOWN_FLAGS (WEIR_FRAME_MORE | WEIR_FRAME_LONG | WEIR_FRAME_COMMAND)

/* -------------------------------------------------- where to read into -- */

/* Octets of the unfinished frame that are here. */
static size_t partial_octets(const struct weir_queue_in *in)
{
    return (size_t)(in->write - in->scan);
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int no_memory(size_t octets)
{
    return weir_fail(ENOMEM, "no memory to receive %zu octets", octets);
}

/* A new tail of `size` octets, with what is here from `at` on moved to its
 * begin. */
static int move_from(struct weir_queue *queue, uint8_t *at, size_t size)
{
    struct weir_queue_in *in = &queue->in;
    size_t begun = (size_t)(in->write - at), whole = (size_t)(in->scan - at);
    struct weir_chunk *chunk = weir_pool_get(in->pool, size);

    if (!chunk)
        return no_memory(size);
    if (begun)
        memcpy(chunk->data, at, begun);
    in->write = at;
    weir_queue_link(queue, chunk, chunk->data + begun);
    in->scan = chunk->data + whole;
    in->receives = true;
    return 0;
}

/* The same with the unfinished frame. */
static int move_on(struct weir_queue *queue, size_t size)
{
    return move_from(queue, queue->in.scan, size);
}

static int fresh_chunk(struct weir_queue *queue)
{
    const struct weir_queue_in *in = &queue->in;

    return move_on(queue, in->need > in->size ? in->need : in->size);
}

/* Is the frame at hand large, and too large for the tail? */
static bool wants_body(const struct weir_queue_in *in)
{
    return in->need >= WEIR_QUEUE_BODY &&
           in->need > (size_t)(in->limit - in->scan);
}

/* Few octets are left in the tail, or the frame at hand does not fit. */
static bool wants_chunk(const struct weir_queue_in *in)
{
    size_t left = (size_t)(in->limit - in->write);

    if (!in->tail || in->need > (size_t)(in->limit - in->scan))
        return true;
    return left < in->size / 4 &&
           (left == 0 || partial_octets(in) < in->size / 4);
}

/* Give the body of the frame at hand memory of its own, and move there what
 * is here of it.  Memory that the pool has already may be of the size that
 * the peer claims; otherwise it grows as octets arrive. */
static int begin_body(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    size_t before = weir_queue_place_at(in->scan).before;
    size_t size = in->need - before;
    struct weir_chunk *body = weir_pool_reuse(in->pool, size);

    if (!body)
        body = weir_pool_get(in->pool, at_most(size, BODY_AT_FIRST));
    if (!body)
        return no_memory(BODY_AT_FIRST);
    in->body = body;
    in->body_size = size;
    in->body_have = partial_octets(in) - before;
    memcpy(body->data, in->scan + before, in->body_have);
    in->write = in->scan + before;
    return 0;
}

/* The next size of a chunk, which has a little more room than its power of
 * two. */
static size_t twice(size_t capacity)
{
    size_t size = BODY_AT_FIRST;

    while (size <= capacity)
        size *= 2;
    return size;
}

static int grow_body(struct weir_queue_in *in)
{
    size_t capacity = at_most(in->body_size, twice(in->body->capacity));
    struct weir_chunk *larger =
        weir_pool_grow(in->pool, in->body, in->body_have, capacity);

    if (!larger)
        return no_memory(capacity);
    in->body = larger;
    return 0;
}

/* Octets of the body that can be read now. */
static size_t body_room(const struct weir_queue_in *in)
{
    return at_most(in->body->capacity, in->body_size) - in->body_have;
}

/* What comes behind the body goes on in the tail, or in a chunk of its own.
 * Without memory the body is read alone. */
static bool find_spare(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    bool in_tail = (size_t)(in->limit - in->write) >= in->size / 4;

    if (in->spare)
        return true;
    in->spare = weir_pool_get(in->pool, in_tail ? 0 : in->size);
    if (in->spare && in_tail)
        weir_queue_refer_rest(queue, in->spare);
    return in->spare != NULL;
}

/* A large command is read alone, because it leaves no trace in the list. */
static bool body_alone(const struct weir_queue_in *in)
{
    return in->body->capacity < in->body_size ||
           in->scan[0] & WEIR_FRAME_COMMAND;
}

static int body_space(struct weir_queue *queue, struct iovec parts[2])
{
    struct weir_queue_in *in = &queue->in;
    int error;

    if (in->body_have == in->body->capacity) {
        error = grow_body(in);
        if (error)
            return error;
    }
    parts[0].iov_base = in->body->data + in->body_have;
    parts[0].iov_len = body_room(in);
    if (body_alone(in) || !find_spare(queue))
        return 1;
    parts[1].iov_base = in->spare->data;
    parts[1].iov_len = at_most(in->spare->capacity, AFTER_BODY);
    return 2;
}

int weir_queue_space(struct weir_queue *queue, struct iovec parts[2],
                     bool rewind)
{
    struct weir_queue_in *in = &queue->in;
    int error = 0;

    if (in->body)
        return body_space(queue, parts);
    if (rewind)
        weir_queue_rewind(queue);
    if (in->tail && wants_body(in))
        error = begin_body(queue);
    else if (wants_chunk(in))
        error = fresh_chunk(queue);
    if (error)
        return error;
    if (in->body)
        return body_space(queue, parts);
    parts[0].iov_base = in->write;
    parts[0].iov_len = (size_t)(in->limit - in->write);
    if (in->large)
        parts[0].iov_len = at_most(parts[0].iov_len, AFTER_BODY);
    return 1;
}

/* ------------------------------------------------------ finding frames -- */

/* A walk over what was received. */
struct scan {
    const struct weir_queue_parser *parser;
    uint8_t *at, *end;
    size_t need;   /* octets of the frame at `at`; 0: not known yet */
    uint8_t *last; /* the end of the last whole message found; NULL: none */
    uint8_t *kept; /* the end of the last frame that somebody will see */
    uint64_t put;
    uint32_t frames;
    uint8_t inside;
};

static int too_large(uint64_t size, uint64_t limit)
{
    return weir_fail(EMSGSIZE,
                     "the peer sends a frame of %llu octets, the limit is %llu",
                     (unsigned long long)size, (unsigned long long)limit);
}

static int check_size(const struct weir_queue_parser *parser, uint64_t size)
{
    if (size >> 63)
        return weir_fail(EPROTO, "the peer sends a frame size of %#llx",
                         (unsigned long long)size);
    if (parser->max_frame && size > parser->max_frame)
        return too_large(size, parser->max_frame);
    if (size > SIZE_MAX / 4)
        return too_large(size, SIZE_MAX / 4);
    return 0;
}

static int check_frames(uint32_t frames, uint32_t most)
{
    if (most && frames >= most)
        return weir_fail(EMSGSIZE,
                         "the peer sends a message of more than %lu frames",
                         (unsigned long)most);
    return 0;
}

/* Look at the head at `at`.  Returns 1 when the frame is there as a whole, 0
 * when octets are missing, or what is wrong with it. */
static inline int look_at(struct scan *scan, struct weir_queue_place *place)
{
    size_t there = (size_t)(scan->end - scan->at);
    int error;

    scan->need = 0;
    if (there < 2)
        return 0;
    if (scan->at[0] & WEIR_FRAME_LONG) {
        if (there < WEIR_QUEUE_HEAD)
            return 0;
        error = check_size(scan->parser, weir_queue_long_size(scan->at));
    } else {
        error = check_size(scan->parser, scan->at[1]);
    }
    *place = weir_queue_place_at(scan->at);
    if (!error && !(place->flags & WEIR_FRAME_COMMAND))
        error = check_frames(scan->frames, scan->parser->max_frames);
    if (WEIR_UNLIKELY(error))
        return error;
    scan->need = place->before + place->size;
    return there >= scan->need;
}

/* A frame that somebody will see has come: count it, and the message that it
 * may end. */
static inline void end_frame(struct scan *scan, unsigned flags)
{
    scan->inside = (uint8_t)(flags & WEIR_FRAME_MORE);
    scan->frames++;
    if (WEIR_UNLIKELY(scan->inside))
        return;
    scan->frames = 0;
    scan->put++;
    scan->last = scan->at;
}

/* Hand a command out.
 * Returns 1 if it is a message to be published, 0 if it is done with. */
static int hand_out(const struct scan *scan, const uint8_t *body, size_t size)
{
    int result = scan->parser->command(scan->parser->arg, body, size);

    if (result > 0 && scan->inside)
        return weir_fail(EPROTO, "the peer sends a command inside a message");
    return result;
}

/* The frame at `at` has unusual flags: clear those that mean nothing, see to
 * a command.  Returns 1 to keep it, 0 if nobody shall see it, or an error. */
static int treat(struct scan *scan, struct weir_queue_place *place)
{
    int result = 1;

    place->flags &= KNOWN_FLAGS;
    if (place->flags & WEIR_FRAME_COMMAND) {
        place->flags = WEIR_FRAME_COMMAND;
        result = hand_out(scan, scan->at + place->before, place->size);
    }
    *scan->at = (uint8_t)(place->flags | (*scan->at & WEIR_FRAME_LONG) |
                          (result == 0 ? WEIR_QUEUE_VOID : 0));
    return result;
}

/* The largest size that need not be looked at twice. */
static uint64_t plain_size(const struct weir_queue_parser *parser)
{
    uint64_t most = SIZE_MAX / 4;

    return parser->max_frame && parser->max_frame < most ? parser->max_frame
                                                         : most;
}

/* The end of the message of one frame at `at`; NULL: it is not one, or not
 * here as a whole, or too large.  Written for branches that are foreseen: each
 * frame is where the one before it ends, and nothing else should be waited
 * for. */
static inline uint8_t *plain_end(uint8_t *at, const uint8_t *end, uint64_t most)
{
    size_t there = (size_t)(end - at);
    uint64_t size;

    if (WEIR_UNLIKELY(there < WEIR_QUEUE_HEAD))
        return NULL;
    if (WEIR_LIKELY(at[0] == 0)) {
        size = at[1];
        return size + 2 <= there && size <= most ? at + 2 + size : NULL;
    }
    if (at[0] != WEIR_FRAME_LONG)
        return NULL;
    size = weir_queue_long_size(at);
    return size <= most && size <= there - WEIR_QUEUE_HEAD
               ? at + WEIR_QUEUE_HEAD + size
               : NULL;
}

static uint16_t first_two(const uint8_t *octets)
{
    uint16_t two;

    memcpy(&two, octets, 2);
    return two;
}

/* Do the next few frames begin as that one, if they are of its size? */
static inline bool are_alike(const uint8_t *at, const uint8_t *head,
                             size_t size)
{
    unsigned same = first_two(head), differ = 0;

    for (size_t i = 0; i < ALIKE; i++)
        differ |= first_two(at + i * size) ^ same;
    return differ == 0;
}

/* Messages in a row are often of one size.  `head` is that of a short one of
 * `size` octets, itself included: pass those behind it that begin as it does,
 * some at a time, as where each begins is known before the one in front of it
 * was read.
 * Returns how many. */
static uint64_t pass_alike(uint8_t **at, const uint8_t *end,
                           const uint8_t *head, size_t size)
{
    uint64_t n = 0;

    while ((size_t)(end - *at) >= ALIKE * size && are_alike(*at, head, size)) {
        *at += ALIKE * size;
        n += ALIKE;
    }
    return n;
}

/* Pass the messages of one frame in a row, which is most of all there is: the
 * same as find_frame() does, in registers. */
static void pass_plain(struct scan *scan)
{
    uint64_t most = plain_size(scan->parser), n = 0;
    uint8_t *at = scan->at, *head, *next;

    while ((next = plain_end(at, scan->end, most))) {
        head = at;
        at = next;
        n++;
        if (*head == 0)
            n += pass_alike(&at, scan->end, head, (size_t)(next - head));
    }
    if (n) {
        scan->at = scan->kept = scan->last = at;
        scan->put += n;
    }
}

/* Pass the frame at `at`.  Returns 0 when octets are missing, or an error. */
static int find_frame(struct scan *scan)
{
    struct weir_queue_place place;
    int result = look_at(scan, &place), keep = 1;

    if (result <= 0)
        return result;
    if (place.flags & ~(unsigned)WEIR_FRAME_MORE)
        keep = treat(scan, &place);
    if (keep < 0)
        return keep;
    scan->at += scan->need;
    if (keep) {
        end_frame(scan, place.flags);
        scan->kept = scan->at;
    }
    return 1;
}

/* Find all whole frames.  Returns 0 when octets are missing, or an error. */
static int find_frames(struct scan *scan)
{
    int result;

    do {
        if (!scan->inside)
            pass_plain(scan);
        result = find_frame(scan);
    } while (result > 0);
    return result;
}

/* Here is the end of the last whole message, for weir_queue_rollback(). */
static void remember_end(struct weir_queue_in *in, uint8_t *at)
{
    in->saved_tail = in->tail;
    in->saved_write = at;
    in->saved_limit = in->limit;
}

/* Commands that were dealt with since the last frame that anybody will see
 * leave nothing behind, so a peer that sends nothing else takes no memory.
 * What follows them is a part of one frame: each octet moves once. */
static void close_gap(struct weir_queue_in *in, const struct scan *scan)
{
    size_t gap = (size_t)(scan->at - scan->kept);

    if (gap == 0)
        return;
    memmove(scan->kept, scan->at, (size_t)(in->write - scan->at));
    in->write -= gap;
    in->scan -= gap;
}

/* ---------------------------------------------------------- refusing -- */

/* Is there room for one more message that ends at `position`, behind `n` that
 * are not published yet? */
static bool fits(struct weir_queue *queue, uint64_t n, uint64_t position)
{
    struct weir_queue_in *in = &queue->in;
    uint64_t published =
        atomic_load_explicit(&queue->published, memory_order_relaxed);
    uint64_t consumed =
        atomic_load_explicit(&queue->consumed, memory_order_relaxed);

    if (in->put + n >= in->message_credit)
        return false;
    return position <= in->octet_credit || (n == 0 && published == consumed);
}

static uint64_t position_of(const struct weir_queue_in *in, const uint8_t *at)
{
    return in->base + (uint64_t)(at - in->data);
}

/* The end of the message that goes on at `at`, which is whole. */
static uint8_t *end_of(uint8_t *at)
{
    struct weir_queue_place place;

    do {
        place = weir_queue_place_at(at);
        at += place.before + place.size;
    } while (place.flags & (WEIR_FRAME_MORE | WEIR_QUEUE_VOID));
    return at;
}

/* The tail comes right behind the last message that is kept: what lies between
 * them goes. */
static void close_ranks(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *before = in->saved_tail, *next;
    struct weir_chunk *chunk = before ? before->next : in->first;

    for (; chunk != in->tail; chunk = next) {
        next = chunk->next;
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    }
    in->base = atomic_load_explicit(&queue->published, memory_order_relaxed);
    if (before) {
        before->next = in->tail;
        atomic_store_explicit(&before->used, in->base - before->base,
                              memory_order_relaxed);
    } else {
        in->first = in->tail;
    }
    in->tail->base = in->base;
    in->tail->flags &= (uint8_t)~WEIR_CHUNK_MIDWAY;
}

/* The first of the messages found, which ends at `end`, may have begun in an
 * earlier chunk.  Returns where the next one is to go. */
static uint8_t *keep_first(struct weir_queue *queue, uint8_t *end, uint64_t *n)
{
    struct weir_queue_in *in = &queue->in;

    if (fits(queue, 0, position_of(in, end))) {
        *n = 1;
        return end;
    }
    weir_queue_refuse(queue);
    if (in->saved_tail == in->tail)
        return in->saved_write;
    close_ranks(queue);
    return in->data;
}

/* Keep those of the messages found that there is room for, and move them
 * together.  No consumer has seen any of it. */
static void refuse_some(struct weir_queue *queue, struct scan *scan)
{
    struct weir_queue_in *in = &queue->in;
    uint8_t *at = end_of(in->scan), *to;
    uint64_t n = 0;

    (void)weir_queue_full(queue); /* brings the credit up to date */
    if (scan->put <= in->message_credit &&
        position_of(in, scan->last) <= in->octet_credit)
        return;
    to = keep_first(queue, at, &n);
    while (at < scan->last) {
        size_t size = (size_t)(end_of(at) - at);

        if (fits(queue, n, position_of(in, to) + size)) {
            memmove(to, at, size);
            to += size;
            n++;
        } else {
            weir_queue_refuse(queue);
        }
        at += size;
    }
    memmove(to, at, (size_t)(in->write - at));
    in->write -= at - to;
    scan->at -= at - to;
    scan->kept -= at - to;
    scan->put = in->put + n;
    scan->last = n > 0 ? to : NULL;
}

/* All up to `position` is whole messages. */
static void show(struct weir_queue *queue, uint64_t position)
{
    if (WEIR_UNLIKELY(weir_spill_hides(queue->spill)))
        weir_spill_put(queue, position);
    else
        weir_queue_publish(queue, position);
}

/* Understand what has come in the tail, and publish what became whole. */
static int scan_tail(struct weir_queue *queue,
                     const struct weir_queue_parser *parser)
{
    struct weir_queue_in *in = &queue->in;
    struct scan scan = {.parser = parser,
                        .at = in->scan,
                        .end = in->write,
                        .kept = in->scan,
                        .put = in->put,
                        .frames = in->frames,
                        .inside = in->inside};
    int error = find_frames(&scan);

    if (WEIR_UNLIKELY(parser->refuses) && scan.last)
        refuse_some(queue, &scan);
    in->scan = scan.at;
    in->need = scan.need;
    in->inside = scan.inside;
    in->frames = scan.frames;
    in->put = scan.put;
    if (scan.kept != in->scan || scan.last)
        in->large = false;
    close_gap(in, &scan);
    if (scan.last) {
        remember_end(in, scan.last);
        show(queue, position_of(in, scan.last));
    }
    return error;
}

/* ---------------------------------------------------------- large ones -- */

/* The body is a frame of the list: its head ends the tail. */
static void link_body(struct weir_queue *queue, unsigned flags)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *body = in->body;
    uint8_t inside = in->inside;

    in->scan[0] = (uint8_t)(flags | (in->scan[0] & WEIR_FRAME_LONG));
    in->body = NULL;
    in->inside = WEIR_FRAME_MORE;
    body->flags = WEIR_CHUNK_BODY;
    body->frame_flags = (uint8_t)flags;
    weir_queue_link(queue, body, body->data + in->body_size);
    in->limit = in->scan = in->write;
    in->inside = inside;
}

/* Go on behind a body where what came with it was read. */
static void link_spare(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    struct weir_chunk *spare = in->spare;

    if (!spare)
        return;
    in->spare = NULL;
    weir_queue_link(queue, spare, spare->data);
    in->scan = in->write;
}

/* What the frame at hand needs is not asked for here: the peer claims it.
 * Behind a body that has just come there is its spare to go on in. */
int weir_queue_part_received(struct weir_queue *queue, uint8_t *at)
{
    struct weir_queue_in *in = &queue->in;
    size_t begun = (size_t)(in->write - at);
    uint8_t inside = in->inside;
    int error = 0;

    in->inside = 0;
    if (in->spare && !in->body)
        link_spare(queue);
    else
        error = move_from(queue, at, begun > in->size ? begun : in->size);
    in->inside = inside;
    return error;
}

/* A message that ends with a body has come: publish it, or forget it. */
static void end_message(struct weir_queue *queue, bool refuses)
{
    struct weir_queue_in *in = &queue->in;

    if (WEIR_UNLIKELY(refuses)) {
        (void)weir_queue_full(queue); /* brings the credit up to date */
        if (!fits(queue, 0, weir_queue_position(queue))) {
            weir_queue_refuse(queue);
            weir_queue_abort(queue);
            in->scan = in->write;
            return;
        }
    }
    remember_end(in, in->write);
    weir_queue_end_put(queue, 1);
}

/* A large body is here as a whole, and is a frame that somebody will see. */
static void keep_body(struct weir_queue *queue, unsigned flags, bool refuses)
{
    struct weir_queue_in *in = &queue->in;

    link_body(queue, flags);
    in->inside = (uint8_t)(flags & WEIR_FRAME_MORE);
    in->frames = in->inside ? in->frames + 1 : 0;
    if (!in->inside)
        end_message(queue, refuses);
    link_spare(queue);
}

static void drop_body(struct weir_queue_in *in)
{
    weir_chunk_unref(in->body, WEIR_CHUNK_HOLD);
    in->body = NULL;
    in->write = in->scan;
}

static int end_body(struct weir_queue *queue,
                    const struct weir_queue_parser *parser)
{
    struct weir_queue_in *in = &queue->in;
    struct scan scan = {.parser = parser, .inside = in->inside};
    unsigned flags = in->scan[0] & (WEIR_FRAME_MORE | WEIR_FRAME_COMMAND);
    int keep = 1;

    if (flags & WEIR_FRAME_COMMAND) {
        flags = WEIR_FRAME_COMMAND;
        keep = hand_out(&scan, in->body->data, in->body_size);
    }
    in->need = 0;
    in->large = true;
    if (keep > 0)
        keep_body(queue, flags, parser->refuses);
    else
        drop_body(in);
    return keep < 0 ? keep : 0;
}

/* Octets have come for the body.  Returns how many of them are behind it. */
static size_t fill_body(struct weir_queue_in *in, size_t octets)
{
    size_t some = at_most(octets, body_room(in));

    in->body_have += some;
    return octets - some;
}

/* Octets have come for the tail.  Who fills all the space he was given may
 * have more: give him as much as one read can take. */
static void fill_tail(struct weir_queue_in *in, size_t octets)
{
    in->write += octets;
    if (in->write == in->limit && in->tail)
        in->size = in->size_max;
}

int weir_queue_filled(struct weir_queue *queue, size_t octets,
                      const struct weir_queue_parser *parser)
{
    struct weir_queue_in *in = &queue->in;
    uint64_t put = in->put;
    int error = 0;

    if (in->body) {
        octets = fill_body(in, octets);
        if (in->body_have < in->body_size)
            return 0;
        error = end_body(queue, parser);
    }
    if (!error) {
        fill_tail(in, octets);
        error = scan_tail(queue, parser);
    }
    if (error || in->put < put) /* what a store has lost was taken off */
        return error;
    return (int)(in->put - put);
}

/* ------------------------------------------------------------ rollback -- */

/* Is a message begun, of which at least the flags have come? */
static bool unfinished(const struct weir_queue_in *in)
{
    return in->inside ||
           (in->write > in->scan && !(in->scan[0] & WEIR_FRAME_COMMAND));
}

int weir_queue_rollback(struct weir_queue *queue)
{
    struct weir_queue_in *in = &queue->in;
    int had = unfinished(in);

    if (in->body)
        drop_body(in);
    if (in->spare)
        weir_chunk_unref(in->spare, WEIR_CHUNK_HOLD);
    in->spare = NULL;
    weir_queue_abort(queue);
    in->scan = in->write;
    in->need = 0;
    in->frames = 0;
    in->large = false;
    return had;
}
