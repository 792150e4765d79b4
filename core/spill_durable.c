/*
 * spill_durable.c - what the helper of a durable spill does: it finds what an
 * earlier run has left, writes and syncs, shows what is safe, and lets the
 * store forget what was consumed; see spill.h.
 */
#include "config.h"

#include "spill_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/park.h"

enum {
    RUN = 16,          /* blocks written, then other work is next */
    CACHE = 192 << 10, /* octets of written blocks kept in memory */
    SLACK = 16 << 10,  /* of a budget that is used up */
    PATIENCE_MS = 5000 /* for a store that this process is closing */
};

/* ---- room ---- */

bool weir_durable_has_room(const struct weir_spill *spill, uint64_t list,
                           uint64_t octets)
{
    const struct weir_durable *durable = spill->durable;
    uint64_t owed =
        atomic_load(&spill->in_memory) + durable->unwritten * durable->each;

    if (list > 0)
        owed += list + durable->each;
    return octets <= durable->room && owed <= durable->room - octets;
}

/* Lock held. */
static void note_room(struct weir_spill *spill, const weir_store_stat *stat)
{
    spill->durable->room = stat->room;
    spill->durable->each = stat->each;
    if (stat->blocks == 0)
        spill->durable->most = stat->room;
    if (spill->queue && weir_queue_writer_waits(spill->queue))
        weir_spill_tell(spill);
}

/* ---- what was found ---- */

/* Is what lies in a block whole messages, `*count` of them?  Finds where the
 * message behind `skip` of them begins. */
static bool parse(const uint8_t *data, uint64_t size, uint64_t skip,
                  uint64_t *count, uint64_t *begin)
{
    uint64_t at = 0;
    unsigned flags = 0;

    *count = *begin = 0;
    while (at < size) {
        uint64_t left = size - at, head = data[at] & WEIR_FRAME_LONG ? 9 : 2;
        uint64_t body;

        flags = data[at];
        if (left < head ||
            flags & ~(unsigned)(WEIR_FRAME_LONG | WEIR_FRAME_MORE))
            return false;
        body = head == 2 ? data[at + 1] : weir_queue_long_size(data + at);
        if (body > left - head)
            return false;
        at += head + body;
        *count += !(flags & WEIR_FRAME_MORE);
        if (*count == skip && !(flags & WEIR_FRAME_MORE))
            *begin = at;
    }
    return !(flags & WEIR_FRAME_MORE);
}

static struct weir_spill_block *found_block(const weir_block *from,
                                            uint32_t consumed)
{
    struct weir_spill_block *block = calloc(1, sizeof(*block));

    if (!block)
        return NULL;
    block->handle = from->handle;
    block->octets = from->len;
    block->messages = from->messages - consumed;
    block->number = from->first;
    block->done = consumed;
    block->found = true;
    return block;
}

static void free_blocks(struct weir_list *list)
{
    struct weir_list *node;

    while ((node = weir_list_pop(list)) != NULL)
        free(block_of(node));
}

/* Blocks as the store has them, oldest first. */
static int recover(struct weir_spill *spill, struct weir_list *list,
                   weir_error *error)
{
    struct weir_spill_block *block;
    weir_block from;
    uint32_t consumed;
    int r;

    for (;;) {
        consumed = 0;
        r = spill->ops->recover(spill->self, &from, &consumed, error);
        if (r <= 0)
            return r;
        if (consumed > from.messages)
            consumed = from.messages;
        block = found_block(&from, consumed);
        if (!block)
            return -ENOMEM;
        weir_list_append(list, &block->list);
    }
}

static int open_and_recover(struct weir_spill *spill, struct weir_list *list,
                            weir_error *error)
{
    int r = weir_spill_open_own(spill, error);

    if (r < 0)
        return r;
    r = recover(spill, list, error);
    if (r >= 0)
        return 0;
    free_blocks(list);
    spill->ops->close(spill->self, 1);
    spill->self = NULL;
    return r;
}

/* They come before all that will be put, whose numbers were given already:
 * that is a hole of less than nothing, which the producer closes.  Lock held,
 * or nobody else has it yet. */
static void adopt(struct weir_spill *spill, struct weir_list *list)
{
    struct weir_durable *durable = spill->durable;
    const weir_store_stat stat = weir_spill_look(spill);
    struct weir_list *node;

    while ((node = weir_list_pop(list)) != NULL) {
        struct weir_spill_block *block = block_of(node);

        durable->number = block->number + block->done + block->messages;
        weir_list_append(&spill->blocks, node);
        atomic_fetch_add(&spill->n_blocks, 1);
        spill->hole -= block->octets;
        spill->hole_messages -= block->messages;
        spill->use.found += block->messages;
        spill->use.kept += block->messages;
        spill->use.kept_bytes += block->octets;
    }
    spill->use.torn = stat.torn;
    note_room(spill, &stat);
    durable->open = true;
    if (spill->use.found > 0 || spill->use.torn > 0)
        weir_spill_tell_found(spill, spill->use.found, spill->use.torn);
}

int weir_spill_open(struct weir_spill *spill)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    int64_t end = weir_deadline_in(PATIENCE_MS);
    struct weir_list list;
    uint32_t seen;
    int r;

    weir_list_init(&list);
    do {
        seen = atomic_load(&weir_disks_leaving);
        r = open_and_recover(spill, &list, &error);
    } while (r == -EBUSY && seen > 0 && weir_now() < end &&
             weir_park(&weir_disks_leaving, seen, end) != -ETIMEDOUT);
    if (r < 0)
        return weir_fail(-r, "%s", text[0] ? text : weir_strerror(-r));
    adopt(spill, &list);
    return 0;
}

static void remember(struct weir_durable *durable, int code, const char *text)
{
    durable->code = code;
    snprintf(durable->text, sizeof(durable->text), "%.255s",
             text[0] ? text : weir_strerror(code));
}

/* Who goes by the peer's name opens here; whatever is in the way may pass. */
static bool open_store(struct weir_spill *spill)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    struct weir_list list;
    int r;

    if (spill->durable->open || atomic_load(&spill->full))
        return false;
    weir_list_init(&list);
    weir_spill_unlock(spill);
    r = open_and_recover(spill, &list, &error);
    weir_lock_take(&spill->lock);
    if (r >= 0) {
        adopt(spill, &list);
        weir_spill_reassure(spill, &spill->write_code, "it can be used");
    } else if (spill->queue) {
        remember(spill->durable, -r, text);
        spill->used_up = false;
        atomic_store(&spill->full, true);
        if (r != -EBUSY || atomic_load(&weir_disks_leaving) == 0)
            weir_spill_complain(spill, &spill->write_code, -r, text);
    }
    weir_spill_tell(spill);
    return r >= 0;
}

/* ---- writing ---- */

/* Is the queue below its mark?  Then what comes next is soon wanted. */
static bool is_below_mark(struct weir_spill *spill)
{
    struct weir_queue *queue = spill->queue;
    uint64_t messages = load(&queue->mark_messages);
    uint64_t octets = load(&queue->mark_octets);

    return (!messages || load(&spill->accepted) - spill->hole_messages -
                                 load(&queue->taken) <=
                             messages) &&
           (!octets ||
            load(&spill->committed) - spill->hole - load(&queue->consumed) <=
                octets);
}

/* Lock held. */
static void keep_or_free(struct weir_spill *spill,
                         struct weir_spill_block *block)
{
    struct weir_durable *durable = spill->durable;

    store(&spill->in_memory, load(&spill->in_memory) - block->octets);
    atomic_fetch_sub(&weir_disks_memory, block->octets);
    block->cached = true;
    if (durable->cached + block->octets <= CACHE && is_below_mark(spill))
        durable->cached += block->octets;
    else
        weir_spill_drop_memory(spill, block);
}

static void on_sync_due(struct weir_disk_errand *errand)
{
    struct weir_durable *durable =
        WEIR_CONTAINER(errand, struct weir_durable, sync_due);
    struct weir_spill *spill = durable->spill;

    weir_lock_take(&spill->lock);
    durable->timed = false;
    durable->is_due = true;
    if (spill->queue)
        weir_spill_schedule(spill);
    weir_spill_release(spill);
}

/* Of a queue that is gone, closing syncs; nothing keeps that up.  Lock held. */
static void sync_later(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;

    durable->unsynced = true;
    if (durable->sync != WEIR_SPILL_SYNC_INTERVAL || durable->timed ||
        durable->is_due || !spill->queue)
        return;
    durable->timed =
        weir_spill_send(spill, &durable->sync_due, weir_now() + durable->every);
    durable->is_due = !durable->timed; /* at once, then */
}

/* Lock held. */
static void wrote(struct weir_spill *spill, struct weir_spill_block *block,
                  int64_t handle)
{
    struct weir_durable *durable = spill->durable;

    durable->unwritten--;
    block->handle = handle;
    block->number = durable->number;
    durable->number += block->messages;
    durable->written = block->ticket;
    spill->next_write =
        block->list.next == &spill->blocks ? NULL : block->list.next;
    keep_or_free(spill, block);
    spill->use.swapped += block->messages;
    spill->use.swapped_bytes += block->octets;
    spill->use.kept += block->messages;
    spill->use.kept_bytes += block->octets;
    sync_later(spill);
    weir_spill_works(spill);
    weir_spill_release_waiters(spill);
    weir_spill_tell(spill); /* what has gathered is the next block */
}

/* It failed: whose message it is hears of it, or it is tried again.  Lock
 * held. */
static void fail(struct weir_spill *spill, int code, bool passing,
                 const char *text)
{
    remember(spill->durable, code, text);
    atomic_store(passing ? &spill->full : &spill->failed, true);
    if (!spill->used_up)
        weir_spill_complain(spill, &spill->write_code, code, text);
    weir_spill_tell(spill);
}

/* A write has failed: because of the budget?  Of a store that does not say what
 * room there is, that is a guess. */
static bool is_used_up(const struct weir_spill *spill, uint64_t octets,
                       const weir_store_stat *stat)
{
    if (stat->room != UINT64_MAX)
        return octets > stat->room;
    return stat->bytes + octets + SLACK > spill->budget;
}

static void not_written(struct weir_spill *spill,
                        const struct weir_spill_block *block, int code,
                        const weir_store_stat *stat, const char *text)
{
    bool passing = weir_spill_may_pass(stat, code);
    char named[512];

    spill->full_at = stat->bytes;
    spill->used_up =
        code == ENOSPC && passing && is_used_up(spill, block->octets, stat);
    if (!spill->used_up)
        spill->durable->trouble = WEIR_DURABLE_UNWRITTEN;
    else if (spill->use.kept > 0)
        spill->durable->trouble = WEIR_DURABLE_USED_UP;
    else
        spill->durable->trouble = WEIR_DURABLE_TOO_LONG;
    snprintf(named, sizeof(named), "option \"send-swap\": %.480s", text);
    fail(spill, code, passing, spill->used_up ? named : text);
}

/* What was written when the queue was about to go is nobody's: it counts as
 * dropped. */
static bool write_next(struct weir_spill *spill)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    struct weir_spill_block *block;
    weir_store_stat stat;
    int64_t r;

    if (!spill->next_write || spill->durable->trouble ||
        spill->durable->parting || atomic_load(&spill->full) ||
        atomic_load(&spill->failed))
        return false;
    block = block_of(spill->next_write);
    weir_spill_go(spill, block);
    r = weir_spill_write_block(spill, block, spill->durable->number, &error);
    stat = weir_spill_look(spill);
    if (!weir_spill_come_back(spill, block) || spill->durable->parting) {
        if (r >= 0)
            (void)spill->ops->done(spill->self, r, UINT64_MAX, NULL);
        return false;
    }
    note_room(spill, &stat);
    if (r >= 0)
        wrote(spill, block, r);
    else
        not_written(spill, block, (int)-r, &stat, text);
    return r >= 0;
}

/* ---- syncing ---- */

static bool should_sync(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;

    if (!durable->unsynced || atomic_load(&spill->failed) ||
        (durable->sync_waits && atomic_load(&spill->full)))
        return false;
    if (weir_spill_wants_sync(spill) || durable->is_due)
        return true;
    return durable->sync == WEIR_SPILL_SYNC_ALWAYS &&
           durable->written > durable->synced;
}

static bool sync_now(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    weir_store_stat stat;
    bool passing;
    int r;

    if (!should_sync(spill))
        return false;
    weir_spill_unlock(spill);
    r = spill->ops->sync(spill->self, &error);
    stat = weir_spill_look(spill);
    weir_lock_take(&spill->lock);
    passing = weir_spill_may_pass(&stat, -r);
    note_room(spill, &stat);
    durable->sync_waits = r < 0;
    if (r < 0) {
        spill->used_up = false;
        if (!passing)
            durable->trouble = WEIR_DURABLE_UNSYNCED;
        fail(spill, -r, passing, text);
        return false;
    }
    durable->synced = durable->written;
    durable->unsynced = durable->is_due = false;
    weir_spill_release_waiters(spill);
    weir_spill_tell(spill);
    return true;
}

/* ---- showing ---- */

static void next_done(struct weir_durable *durable)
{
    struct weir_list *node = weir_list_first(&durable->shown);

    store(&durable->done_at, node ? block_of(node)->end : UINT64_MAX);
}

/* Lock held. */
static void show(struct weir_spill *spill, struct weir_spill_block *block,
                 struct weir_chunk *first, struct weir_chunk *last)
{
    struct weir_durable *durable = spill->durable;

    weir_spill_append(spill, block, first, last);
    if (block->first)
        durable->cached -= block->octets;
    block->first = block->last = NULL;
    block->end = load(&spill->queue->messages);
    weir_list_remove(&block->list);
    atomic_fetch_sub(&spill->n_blocks, 1);
    weir_list_append(&durable->shown, &block->list);
    next_done(durable);
    weir_spill_tell(spill);
}

/* Of a block that was found, what is consumed is not shown again, and all of
 * it must be whole messages.  Returns 0, or a positive errno.  No lock. */
static int prepare(const struct weir_spill_block *block,
                   struct weir_chunk *chunk, uint64_t *skipped,
                   weir_error *error)
{
    uint64_t count;

    *skipped = 0;
    if (!block->found)
        return 0;
    if (!parse(chunk->data, block->octets, block->done, &count, skipped) ||
        count != block->messages + block->done || block->messages == 0) {
        snprintf(error->text, error->room,
                 "a block of %llu octets is not the %llu messages it was",
                 (unsigned long long)block->octets,
                 (unsigned long long)block->messages + block->done);
        return EILSEQ;
    }
    memmove(chunk->data, chunk->data + *skipped, block->octets - *skipped);
    store(&chunk->used, block->octets - *skipped);
    return 0;
}

/* What is damaged the store may forget; what cannot be read now, it keeps. */
static struct weir_chunk *read_back(struct weir_spill *spill,
                                    const struct weir_spill_block *block,
                                    uint64_t *skipped, int *code,
                                    weir_error *error)
{
    struct weir_chunk *chunk = weir_spill_read_block(spill, block, code, error);

    if (chunk)
        *code = prepare(block, chunk, skipped, error);
    if (chunk && *code != 0) {
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
        chunk = NULL;
    }
    if (*code == EILSEQ)
        (void)spill->ops->done(spill->self, block->handle, UINT64_MAX, NULL);
    return chunk;
}

/* Lock held. */
static void came(struct weir_spill *spill, struct weir_spill_block *block,
                 struct weir_chunk *chunk, uint64_t skipped)
{
    weir_spill_reassure(spill, &spill->read_code, "it gives back what it has");
    spill->starved = false;
    spill->hole += skipped;
    spill->use.kept_bytes -= skipped;
    block->octets -= skipped;
    block->number += block->done;
    spill->use.returned += block->messages;
    spill->use.returned_bytes += block->octets;
    show(spill, block, chunk, chunk);
}

/* Lock held. */
static void did_not_come(struct weir_spill *spill,
                         struct weir_spill_block *block, int code,
                         const char *text)
{
    if (weir_spill_is_shortage(code)) {
        weir_spill_complain(spill, &spill->read_code, code, text);
        spill->used_up = false;
        spill->starved = true;
        atomic_store(&spill->full, true);
        return;
    }
    spill->use.kept -= block->messages;
    spill->use.kept_bytes -= block->octets;
    weir_spill_lose(spill, block, code, text);
}

static bool load_first(struct weir_spill *spill, struct weir_spill_block *block)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    weir_store_stat stat;
    struct weir_chunk *chunk;
    uint64_t skipped = 0;
    int code = 0;

    weir_spill_go(spill, block);
    chunk = read_back(spill, block, &skipped, &code, &error);
    stat = weir_spill_look(spill);
    if (!weir_spill_come_back(spill, block)) {
        if (chunk)
            weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
        return false;
    }
    note_room(spill, &stat);
    if (chunk)
        came(spill, block, chunk, skipped);
    else
        did_not_come(spill, block, code, text);
    return chunk || !spill->starved;
}

/* The oldest block, if it is safe, and the consumer has little before it. */
static struct weir_spill_block *wanted(struct weir_spill *spill)
{
    struct weir_list *node = weir_list_first(&spill->blocks);

    if (!node || !spill->queue ||
        block_of(node)->ticket > weir_durable_safe(spill->durable) ||
        (spill->starved && atomic_load(&spill->full)) ||
        !weir_spill_is_hungry(spill->queue))
        return NULL;
    return block_of(node);
}

static bool show_first(struct weir_spill *spill)
{
    struct weir_spill_block *block = wanted(spill);

    if (!block)
        return false;
    if (!block->first)
        return load_first(spill, block);
    show(spill, block, block->first, block->last);
    return true;
}

/* ---- forgetting ---- */

static bool is_done(struct weir_spill *spill)
{
    return spill->queue &&
           load(&spill->queue->taken) >= load(&spill->durable->done_at);
}

/* Where that fails the block comes back when the store is opened next, which
 * is one of the ways in which a message may come twice. */
static bool forget_first(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;
    struct weir_spill_block *block;
    weir_store_stat stat;

    if (!is_done(spill))
        return false;
    block = block_of(weir_list_first(&durable->shown));
    weir_spill_unlock(spill);
    (void)spill->ops->done(spill->self, block->handle, UINT64_MAX, NULL);
    stat = weir_spill_look(spill);
    weir_lock_take(&spill->lock);
    note_room(spill, &stat);
    weir_list_remove(&block->list);
    spill->use.kept -= block->messages;
    spill->use.kept_bytes -= block->octets;
    free(block);
    next_done(durable);
    sync_later(spill);
    if (atomic_load(&spill->full) &&
        (stat.bytes < spill->full_at || spill->use.kept == 0)) {
        atomic_store(&spill->full, false); /* there is space again */
        weir_spill_tell(spill);
    }
    return true;
}

/* ---- the helper ---- */

bool weir_durable_is_due(struct weir_spill *spill)
{
    return spill->durable->open &&
           (is_done(spill) || wanted(spill) || should_sync(spill));
}

bool weir_durable_work(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;

    if (open_store(spill))
        return true;
    if (!durable->open || !spill->queue)
        return false;
    if (durable->run < RUN && write_next(spill)) {
        durable->run++;
        return true;
    }
    if (spill->queue &&
        (sync_now(spill) || show_first(spill) || forget_first(spill)))
        return true;
    durable->run = 0;
    return spill->queue && write_next(spill);
}

/* ---- life ---- */

int weir_durable_new(struct weir_spill *spill,
                     const struct weir_spill_plan *plan)
{
    struct weir_durable *durable = calloc(1, sizeof(*durable));

    if (!durable)
        return -ENOMEM;
    durable->name = strdup(plan->name);
    if (!durable->name) {
        free(durable);
        return -ENOMEM;
    }
    durable->spill = spill;
    durable->sync = plan->sync;
    durable->every = plan->every;
    durable->number = 1;
    durable->room = durable->most = UINT64_MAX;
    durable->sync_due.run = on_sync_due;
    weir_list_init(&durable->shown);
    weir_list_init(&durable->waiters);
    store(&durable->done_at, UINT64_MAX);
    spill->durable = durable;
    return 0;
}

void weir_durable_free(struct weir_durable *durable)
{
    if (!durable)
        return;
    free(durable->name);
    free(durable);
}

void weir_durable_leave(struct weir_spill *spill, uint64_t taken)
{
    struct weir_durable *durable = spill->durable;

    durable->final = taken;
    weir_spill_dismiss_waiters(spill);
    if (durable->timed && weir_disks_cancel(spill->crew, &durable->sync_due)) {
        durable->timed = false;
        spill->refs--;
    }
    atomic_fetch_add(&weir_disks_leaving, 1);
}

void weir_spill_await_left(int64_t deadline)
{
    uint32_t seen;

    while ((seen = atomic_load(&weir_disks_leaving)) > 0 &&
           weir_park(&weir_disks_leaving, seen, deadline) != -ETIMEDOUT)
        ;
}

/* Of the block that the consumer was in, what it took is marked. */
static void forget_taken(struct weir_spill *spill,
                         const struct weir_spill_block *block)
{
    uint64_t final = spill->durable->final, begin = 0;

    if (block->end > block->messages)
        begin = block->end - block->messages;
    if (final >= block->end)
        (void)spill->ops->done(spill->self, block->handle, UINT64_MAX, NULL);
    else if (final > begin)
        (void)spill->ops->done(spill->self, block->handle,
                               block->number + (final - begin) - 1, NULL);
}

void weir_durable_close(struct weir_spill *spill)
{
    struct weir_durable *durable = spill->durable;
    struct weir_list *node;

    while ((node = weir_list_pop(&durable->shown)) != NULL) {
        forget_taken(spill, block_of(node));
        free(block_of(node));
    }
    if (spill->self && durable->sync != WEIR_SPILL_SYNC_OS)
        (void)spill->ops->sync(spill->self, NULL);
    if (spill->self)
        spill->ops->close(spill->self, 1);
    atomic_fetch_sub(&weir_disks_leaving, 1);
    weir_unpark(&weir_disks_leaving, INT_MAX);
}
