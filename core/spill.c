/*
 * spill.c - the hidden list and its producer, the life of a spill, and its
 * counters; see spill.h.
 */
#include "config.h"

#include "spill_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fence.h"

enum {
    BLOCK = WEIR_SPILL_BLOCK,
    LONG = 4 * BLOCK,    /* the same while the helper is busy, */
    PARTS = 16,          /* but no more than that part of the swap */
    EACH = 3 * BLOCK,    /* octets in memory that each spill may have */
    TOGETHER = 32 << 20, /* and all of them, beyond that */
    PATIENT = 8 << 20,   /* the same for one whose producer waits, */
    WHILE = 4000000      /* and ns until he goes on with less than half of it */
};

/* ---- life ---- */

struct weir_spill *weir_spill_new(const struct weir_spill_plan *plan,
                                  struct weir_queue *queue)
{
    struct weir_spill *spill = calloc(1, sizeof(*spill));

    if (!spill)
        return NULL;
    spill->dir = strdup(plan->dir);
    if (!spill->dir || (plan->name && weir_durable_new(spill, plan) < 0)) {
        free(spill->dir);
        free(spill);
        return NULL;
    }
    weir_lock_init(&spill->lock);
    weir_list_init(&spill->blocks);
    spill->queue = queue;
    spill->ops = plan->store;
    spill->host = plan->host;
    spill->budget = plan->budget;
    spill->tell = plan->tell;
    spill->nudge = plan->nudge;
    spill->arg = plan->arg;
    spill->other = plan->other;
    spill->crew = weir_disks_crew(plan->dir);
    weir_spill_set_errands(spill);
    spill->refs = 1;
    return spill;
}

void weir_spill_set_waits(struct weir_queue *queue, bool waits)
{
    if (queue->spill)
        atomic_store(&queue->spill->waits, waits);
}

void weir_spill_silence(struct weir_spill *spill)
{
    weir_lock_take(&spill->lock);
    spill->tell = NULL;
    if (spill->durable) {
        spill->durable->parting = true;
        weir_spill_dismiss_waiters(spill);
    }
    weir_spill_unlock(spill);
}

/* An opened store is closed where it may take its time, which is here if it has
 * no queue yet.  What was hidden is behind what was shown again, less the
 * blocks. */
void weir_spill_leave(struct weir_spill *spill)
{
    bool joined = spill->queue != NULL;

    weir_lock_take(&spill->lock);
    if (weir_spill_hides(spill))
        spill->shown->next = spill->head;
    if (spill->durable)
        weir_durable_leave(spill,
                           spill->queue ? load(&spill->queue->taken) : 0);
    spill->queue = NULL;
    spill->tell = NULL;
    if (joined && !atomic_load(&spill->working) && spill->self)
        weir_spill_schedule(spill);
    if (weir_spill_hides(spill))
        weir_disks_unpin(spill->crew);
    weir_spill_release(spill);
}

/* ---- producer ---- */

static bool is_half_empty(struct weir_queue *queue)
{
    uint64_t messages = load(&queue->mark_messages);
    uint64_t octets = load(&queue->mark_octets);

    if (messages && load(&queue->messages) > load(&queue->taken) + messages / 2)
        return false;
    return !octets ||
           load(&queue->published) <= load(&queue->consumed) + octets / 2;
}

/* A fresh chunk for what will be hidden. */
static bool start_list(struct weir_queue *queue)
{
    struct weir_chunk *chunk;

    if (queue->in.receives)
        return weir_queue_part(queue, load(&queue->published)) == 0;
    chunk = weir_pool_get(queue->in.pool, queue->in.size);
    if (!chunk)
        return false;
    weir_queue_link(queue, chunk, chunk->data);
    return true;
}

/* Can the tail end where all that is published does?  Behind that there may be
 * octets that were received, but no more than the tail has. */
static bool can_part(const struct weir_queue *queue, uint64_t published)
{
    if (queue->in.receives)
        return published >= queue->in.base;
    return published == weir_queue_position(queue);
}

bool weir_spill_comes(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    return !weir_spill_hides(spill) && !atomic_load(&spill->failed) &&
           !atomic_load(&spill->full) && queue->in.tail &&
           !can_part(queue, load(&queue->published));
}

/* Who receives asks for no message in particular, and has no use for it. */
static void promise(struct weir_queue *queue, uint64_t octets)
{
    queue->spill->promised = queue->in.receives ? 0 : octets;
}

/* The list begins with the tail.  Lock held. */
static void start_hiding(struct weir_queue *queue, struct weir_chunk *shown)
{
    struct weir_spill *spill = queue->spill;

    spill->shown = shown;
    spill->head = queue->in.tail;
    spill->cut = queue->in.put;
    store(&spill->accepted, queue->in.put);
    store(&spill->committed, load(&queue->published));
    atomic_store(&spill->hides, true);
    queue->in.message_credit = queue->in.octet_credit = 0;
    atomic_fetch_or(&queue->writer_armed, WEIR_QUEUE_HIDES);
}

bool weir_spill_begin(struct weir_queue *queue, uint64_t octets)
{
    struct weir_spill *spill = queue->spill;
    struct weir_chunk *shown = queue->in.tail;

    if (atomic_load(&spill->failed) || atomic_load(&spill->full) ||
        octets > spill->budget || !shown ||
        !can_part(queue, load(&queue->published)))
        return false;
    if (weir_disks_pin(spill->crew) < 0)
        return false;
    if (!start_list(queue)) {
        weir_disks_unpin(spill->crew);
        return false;
    }
    weir_lock_take(&spill->lock);
    start_hiding(queue, shown);
    weir_spill_unlock(spill);
    promise(queue, octets);
    return true;
}

/* The consumer's end begins with a chunk that is empty. */
static bool begin_durable(struct weir_queue *queue)
{
    struct weir_chunk *chunk = weir_pool_get(queue->in.pool, queue->in.size);

    if (!chunk)
        return false;
    weir_queue_link(queue, chunk, chunk->data);
    return start_list(queue);
}

int weir_spill_join(struct weir_spill *spill, struct weir_queue *queue,
                    const struct weir_spill_plan *plan)
{
    int r = weir_disks_pin(spill->crew);

    if (r < 0)
        return r;
    if (!begin_durable(queue)) {
        weir_disks_unpin(spill->crew);
        return weir_fail(ENOMEM, "no memory for a swap");
    }
    weir_lock_take(&spill->lock);
    spill->queue = queue;
    spill->tell = plan->tell;
    spill->nudge = plan->nudge;
    spill->arg = plan->arg;
    spill->other = plan->other;
    weir_queue_set_spill(queue, spill);
    start_hiding(queue, queue->in.first);
    weir_spill_close_hole(queue);
    if (spill->n_reports > 0)
        weir_spill_tell(spill);
    weir_spill_schedule(spill);
    weir_spill_unlock(spill);
    return 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Octets that are hidden and in no block yet.  Producer. */
static uint64_t list_octets(struct weir_spill *spill)
{
    return load(&spill->committed) - spill->head->base;
}

/* One that is durable has to fit into the store when nothing else is there,
 * though the budget is a small one. */
static uint64_t shortest_block(const struct weir_spill *spill)
{
    return spill->durable ? smaller(spill->budget / 4, BLOCK) : BLOCK;
}

/* Octets from which on a block is cut.  While others wait to be written, longer
 * ones cost less. */
static uint64_t block_size(struct weir_spill *spill)
{
    uint64_t least = shortest_block(spill);

    if (spill->durable || load(&spill->in_memory) == 0)
        return least;
    return larger(least, smaller(spill->budget / PARTS, LONG));
}

/* Octets that all may have in memory together.  Who drops what there is no room
 * for has much, for a burst that is faster than its disk.  Who waits has less,
 * which caches keep on the way to the disk. */
static uint64_t memory_together(const struct weir_spill *spill)
{
    return atomic_load_explicit(&spill->waits, memory_order_relaxed) &&
                   !spill->durable
               ? PATIENT
               : TOGETHER;
}

/* A message of any length may come where there is no block in memory: so the
 * list must be shorter than one can be then, or become one. */
static bool has_memory(struct weir_spill *spill, uint64_t octets)
{
    uint64_t blocks = load(&spill->in_memory), list = list_octets(spill);

    return blocks + list + octets <= EACH || (blocks == 0 && list < LONG) ||
           load(&weir_disks_memory) + list + octets <= memory_together(spill);
}

/* To be woken for each block would cost who waits, and the helper that is on
 * his processor, more than it brings. */
bool weir_spill_is_relieved(struct weir_spill *spill)
{
    return spill->durable || load(&spill->in_memory) == 0 ||
           load(&weir_disks_memory) <= memory_together(spill) / 2 ||
           weir_now() >= atomic_load(&spill->refused_at) + WHILE;
}

/* Make a block of the list, which ends at `position` from then on: a new tail
 * begins there.  Without memory for that it goes on, and NULL is returned.
 * Producer; the lock is not needed for what is its own. */
static struct weir_spill_block *cut_list(struct weir_queue *queue,
                                         uint64_t position)
{
    struct weir_spill *spill = queue->spill;
    struct weir_spill_block *block = calloc(1, sizeof(*block));
    struct weir_chunk *last = queue->in.tail;

    if (!block || weir_queue_part(queue, position) < 0) {
        free(block);
        return NULL;
    }
    block->first = spill->head;
    block->last = last;
    block->octets = position - spill->head->base;
    block->messages = queue->in.put - spill->cut;
    spill->cut = queue->in.put;
    spill->head = queue->in.tail;
    return block;
}

/* Lock held. */
static void hand_over(struct weir_spill *spill, struct weir_spill_block *block)
{
    if (spill->durable) {
        block->ticket = spill->durable->puts;
        spill->durable->unwritten++;
    }
    weir_list_append(&spill->blocks, &block->list);
    if (!spill->next_write)
        spill->next_write = &block->list;
    store(&spill->in_memory, load(&spill->in_memory) + block->octets);
    atomic_fetch_add(&weir_disks_memory, block->octets);
    atomic_fetch_add(&spill->n_blocks, 1);
}

/* Is there anything for a helper to do?  Lock held. */
static bool has_work(struct weir_spill *spill)
{
    if (spill->next_write && !atomic_load(&spill->full) &&
        !atomic_load(&spill->failed))
        return true;
    if (spill->durable)
        return weir_durable_is_due(spill);
    return !weir_list_empty(&spill->blocks) &&
           weir_spill_is_hungry(spill->queue);
}

/* A message of `octets` would make the list too long for one block: cut it
 * before.  How long one is that is being received nobody knows. */
static void make_way(struct weir_queue *queue, uint64_t octets)
{
    struct weir_spill *spill = queue->spill;
    uint64_t committed = load(&spill->committed), list = list_octets(spill);
    struct weir_spill_block *block;

    if (list == 0 || list + octets <= block_size(spill) || queue->in.receives ||
        committed != weir_queue_position(queue))
        return;
    block = cut_list(queue, committed);
    if (!block)
        return;
    weir_lock_take(&spill->lock);
    hand_over(spill, block);
    if (has_work(spill))
        weir_spill_schedule(spill);
    weir_spill_unlock(spill);
}

/* What a durable queue takes it has to keep: so it takes nothing that the store
 * has no room for. */
static bool can_keep(struct weir_spill *spill, uint64_t octets)
{
    bool room;

    if (!spill->durable)
        return true;
    if (!spill->durable->open)
        return false;
    weir_lock_take(&spill->lock);
    room = weir_durable_has_room(spill, list_octets(spill), octets);
    weir_spill_unlock(spill);
    return room;
}

uint64_t weir_spill_most(struct weir_spill *spill)
{
    uint64_t most;

    weir_lock_take(&spill->lock);
    most = smaller(spill->budget, spill->durable->most);
    weir_spill_unlock(spill);
    return most;
}

bool weir_spill_room(struct weir_queue *queue, uint64_t octets)
{
    struct weir_spill *spill = queue->spill;
    uint64_t before =
        load(spill->durable ? &queue->consumed : &queue->published);
    uint64_t waits = load(&spill->committed) - before;

    if (atomic_load(&spill->failed) || atomic_load(&spill->full) ||
        waits + octets > spill->budget || !can_keep(spill, octets))
        return false;
    make_way(queue, octets);
    if (!has_memory(spill, octets)) {
        if (!weir_queue_writer_waits(queue))
            atomic_store(&spill->refused_at, weir_now());
        return false;
    }
    promise(queue, octets);
    return true;
}

void weir_spill_close_hole(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    uint64_t octets = spill->hole, messages = spill->hole_messages;
    struct weir_chunk *chunk = spill->head;

    if (octets == 0 && messages == 0)
        return;
    for (; chunk; chunk = chunk == queue->in.tail ? NULL : chunk->next) {
        chunk->base -= octets;
        chunk->messages -= messages;
    }
    queue->in.base -= octets;
    queue->in.put -= messages;
    spill->cut -= messages;
    store(&spill->committed, load(&spill->committed) - octets);
    store(&spill->accepted, queue->in.put);
    spill->hole = spill->hole_messages = 0;
}

/* Nothing is hidden from now on.  Lock held. */
static void show_all(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    spill->head = spill->shown = NULL;
    spill->promised = 0;
    atomic_store(&spill->hides, false);
    atomic_fetch_and(&queue->writer_armed, ~(uint32_t)WEIR_QUEUE_HIDES);
    weir_disks_unpin(spill->crew);
}

/* Lock held.  What comes next is published as usual, and the consumer goes on
 * from the last chunk it may see to the list. */
static bool end_hiding(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    if (spill->durable || !weir_list_empty(&spill->blocks) ||
        !is_half_empty(queue))
        return false;
    weir_spill_close_hole(queue);
    spill->shown->next = spill->head;
    show_all(queue);
    return true;
}

/* The producer may be in a message: then only what is whole is shown. */
bool weir_spill_end(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    uint64_t committed;
    bool ended;

    weir_lock_take(&spill->lock);
    ended = end_hiding(queue);
    committed = load(&spill->committed);
    weir_spill_unlock(spill);
    if (ended && committed != load(&queue->published))
        weir_queue_publish(queue, committed);
    return ended;
}

/* What had its promise before the store has failed is taken back as well.  Lock
 * held. */
static void count_put(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_durable *durable = spill->durable;

    durable->puts += queue->in.put - load(&spill->accepted);
    if (!atomic_load(&spill->failed) || durable->trouble)
        return;
    durable->trouble = WEIR_DURABLE_UNWRITTEN;
    weir_spill_tell(spill);
}

/* Without memory for that it is tried again with the next news, which there
 * will be: the helper, who finds nothing to do, comes again later. */
void weir_spill_cut(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_spill_block *block;

    if (spill->next_write || list_octets(spill) == 0)
        return;
    block = cut_list(queue, load(&spill->committed));
    if (block) {
        hand_over(spill, block);
    } else {
        spill->used_up = false;
        atomic_store(&spill->full, true);
    }
    weir_spill_schedule(spill);
}

static void commit(struct weir_queue *queue, uint64_t position)
{
    store(&queue->spill->committed, position);
    store(&queue->spill->accepted, queue->in.put);
}

/* `block` is cut off the list; NULL: of a durable one that may be still. */
static void put_locked(struct weir_queue *queue, uint64_t position,
                       struct weir_spill_block *block)
{
    struct weir_spill *spill = queue->spill;

    weir_lock_take(&spill->lock);
    if (spill->durable)
        count_put(queue);
    commit(queue, position);
    if (block)
        hand_over(spill, block);
    if (spill->durable)
        weir_spill_cut(queue);
    if (has_work(spill))
        weir_spill_schedule(spill);
    weir_spill_unlock(spill);
}

/* The helper has caught up with what the list was to become long behind.  Where
 * the tail began within a message it is cut when that has ended. */
static void cut_long_list(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    if (spill->durable || list_octets(spill) < BLOCK ||
        !can_part(queue, load(&spill->committed)))
        return;
    weir_lock_take(&spill->lock);
    weir_spill_cut(queue);
    weir_spill_unlock(spill);
}

/* The list is longer than a block, to become a long one behind those that are
 * written: are they still?  The helper looks at the list when they are not, and
 * of the two one sees the other. */
static void look_after_list(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    if (list_octets(spill) < BLOCK)
        return;
    weir_fence_full();
    if (load(&spill->in_memory) == 0)
        cut_long_list(queue);
}

/* A message that only makes the list longer does without the lock, for which it
 * would wait many times a block: the helper holds it as often. */
void weir_spill_put(struct weir_queue *queue, uint64_t position)
{
    struct weir_spill *spill = queue->spill;
    struct weir_spill_block *block = NULL;

    spill->promised = 0;
    if (position - spill->head->base >= block_size(spill))
        block = cut_list(queue, position);
    if (block || spill->durable) {
        put_locked(queue, position, block);
    } else {
        commit(queue, position);
        look_after_list(queue);
    }
    if (!spill->durable && atomic_load(&spill->n_blocks) == 0 &&
        is_half_empty(queue))
        (void)weir_spill_end(queue);
}

void weir_spill_ask(struct weir_queue *queue, uint64_t octets, bool others)
{
    struct weir_spill *spill = queue->spill;

    if (!others || octets < spill->asked)
        spill->asked = octets;
}

uint64_t weir_spill_asked(const struct weir_queue *queue)
{
    const struct weir_spill *spill = queue->spill;

    if (!weir_queue_writer_waits(queue))
        return 1;
    return smaller(spill->asked, shortest_block(spill));
}

/* Is there room for what waits?  Who asked is told once. */
static bool has_room_again(struct weir_queue *queue)
{
    if (!weir_queue_writer_waits(queue) ||
        (weir_spill_hides(queue->spill) &&
         !weir_spill_is_relieved(queue->spill)))
        return false;
    if (queue->spill->durable)
        queue->in.wanted = queue->spill->asked;
    if (weir_queue_arm_writer(queue))
        return false;
    weir_queue_disarm_writer(queue);
    return true;
}

bool weir_spill_news(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    if (weir_spill_hides(spill)) {
        weir_lock_take(&spill->lock);
        weir_spill_close_hole(queue);
        if (spill->durable) {
            weir_spill_take_back(queue);
            weir_spill_cut(queue);
        }
        weir_spill_unlock(spill);
        if (!weir_spill_end(queue))
            cut_long_list(queue);
    }
    return has_room_again(queue);
}

/* A block that the helper is at goes when that is back.  Lock held. */
static void drop_blocks(struct weir_spill *spill)
{
    struct weir_list *node;

    while ((node = weir_list_first(&spill->blocks)) != NULL) {
        struct weir_spill_block *block = block_of(node);

        weir_list_remove(node);
        if (block == spill->busy)
            spill->busy = NULL;
        else {
            weir_spill_drop_memory(spill, block);
            free(block);
        }
    }
    spill->next_write = NULL;
    atomic_store(&spill->n_blocks, 0);
    spill->use.kept = spill->use.kept_bytes = 0;
}

uint64_t weir_spill_discard(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    uint64_t n = 0;

    if (!weir_spill_hides(spill))
        return 0;
    weir_lock_take(&spill->lock);
    weir_spill_close_hole(queue);
    n = queue->in.put - load(&queue->messages);
    drop_blocks(spill);
    weir_queue_drop_from(queue, spill->shown, spill->head,
                         load(&queue->messages));
    store(&spill->accepted, queue->in.put);
    store(&spill->committed, load(&queue->published));
    spill->stale = true;
    spill->starved = spill->used_up = false; /* what that was true of is gone */
    weir_spill_schedule(spill);
    show_all(queue);
    weir_spill_unlock(spill);
    return n;
}

uint64_t weir_spill_stays(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_list *node, *after;
    uint64_t n;

    if (!weir_spill_is_durable(spill))
        return 0;
    weir_lock_take(&spill->lock);
    n = load(&queue->messages) - load(&queue->taken);
    WEIR_LIST_EACH(node, after, &spill->blocks)
    {
        if (node == spill->next_write)
            break;
        n += block_of(node)->messages;
    }
    weir_spill_unlock(spill);
    return n;
}

/* ---- anybody ---- */

bool weir_spill_holds(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    bool any;

    if (!weir_spill_hides(spill))
        return false;
    weir_lock_take(&spill->lock);
    any = load(&spill->committed) - spill->hole != load(&queue->published);
    weir_spill_unlock(spill);
    return any;
}

/* While nothing is hidden the queue's own numbers are the larger ones. */
void weir_spill_counts(struct weir_queue *queue, uint64_t *put,
                       uint64_t *octets, uint64_t *lost)
{
    struct weir_spill *spill = queue->spill;
    uint64_t position;

    weir_lock_take(&spill->lock);
    position = load(&spill->committed) - spill->hole;
    *put = larger(*put, load(&spill->accepted) - spill->hole_messages);
    *octets = larger(position, load(&queue->published));
    *lost = spill->lost;
    weir_spill_unlock(spill);
    position = load(&queue->consumed);
    *octets = *octets > position ? *octets - position : 0;
}

void weir_spill_add_use(struct weir_queue *queue, struct weir_spill_use *sum)
{
    struct weir_spill *spill = queue->spill;

    if (!spill)
        return;
    weir_lock_take(&spill->lock);
    if (weir_spill_hides(spill))
        sum->hidden +=
            load(&spill->committed) - spill->hole - load(&queue->published);
    sum->in_memory += load(&spill->in_memory);
    sum->swapped += spill->use.swapped;
    sum->swapped_bytes += spill->use.swapped_bytes;
    sum->returned += spill->use.returned;
    sum->returned_bytes += spill->use.returned_bytes;
    sum->kept += spill->use.kept;
    sum->kept_bytes += spill->use.kept_bytes;
    sum->found += spill->use.found;
    sum->torn += spill->use.torn;
    weir_spill_unlock(spill);
}

/* ---- consumer ---- */

static void consumed_durable(struct weir_spill *spill)
{
    struct weir_queue *queue = spill->queue;

    if (atomic_load(&spill->working) ||
        (load(&queue->taken) < load(&spill->durable->done_at) &&
         (atomic_load(&spill->n_blocks) == 0 || !weir_spill_is_hungry(queue))))
        return;
    weir_lock_take(&spill->lock);
    if (weir_durable_is_due(spill))
        weir_spill_schedule(spill);
    weir_spill_unlock(spill);
}

void weir_spill_consumed(struct weir_queue *queue, bool half)
{
    struct weir_spill *spill = queue->spill;
    bool told = false;

    if (spill->durable) {
        consumed_durable(spill);
        return;
    }
    if (atomic_load(&spill->n_blocks) > 0 &&
        (atomic_load(&spill->working) || !weir_spill_is_hungry(queue)))
        return;
    weir_lock_take(&spill->lock);
    if (!weir_list_empty(&spill->blocks))
        weir_spill_schedule(spill);
    else if (half) {
        weir_spill_tell(spill);
        told = true;
    }
    weir_spill_unlock(spill);
    if (told)
        weir_spill_nudge(spill);
}
