/*
 * spill_wait.c - who waits until what he has put is in a durable spill's
 * store, and what becomes of it when that fails; see spill.h.
 */
#include "config.h"

#include "spill_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

static struct weir_spill_waiter *waiter_of(struct weir_list *node)
{
    return WEIR_CONTAINER(node, struct weir_spill_waiter, list);
}

/* ---- those who wait ---- */

static bool is_kept(const struct weir_durable *durable,
                    const struct weir_spill_waiter *waiter)
{
    return waiter->ticket <=
           (waiter->synced ? durable->synced : weir_durable_safe(durable));
}

static void break_off(const struct weir_durable *durable,
                      struct weir_spill_waiter *waiter)
{
    waiter->state = WEIR_SPILL_BROKEN;
    waiter->code = durable->code;
    snprintf(waiter->text, sizeof(waiter->text), "%s", durable->text);
}

void weir_spill_await(struct weir_queue *queue, bool synced,
                      struct weir_spill_waiter *waiter)
{
    struct weir_spill *spill = queue->spill;
    struct weir_durable *durable = spill->durable;

    weir_lock_take(&spill->lock);
    *waiter = (struct weir_spill_waiter){
        .spill = spill, .ticket = durable->puts, .synced = synced};
    weir_list_append(&durable->waiters, &waiter->list);
    spill->refs++;
    if (synced && (atomic_load(&spill->failed) || durable->missed > 0))
        break_off(durable, waiter);
    else if (is_kept(durable, waiter))
        waiter->state = WEIR_SPILL_KEPT;
    else if (synced)
        weir_spill_schedule(spill);
    weir_spill_unlock(spill);
}

/* Who waits for a sync and looks hears of what was lost before. */
bool weir_spill_is_over(struct weir_spill_waiter *waiter)
{
    struct weir_durable *durable = waiter->spill->durable;
    bool over;

    weir_lock_take(&waiter->spill->lock);
    over = waiter->state != WEIR_SPILL_WAITS;
    if (waiter->synced && waiter->state == WEIR_SPILL_BROKEN &&
        waiter->ticket >= durable->missed)
        durable->missed = 0;
    weir_spill_unlock(waiter->spill);
    return over;
}

void weir_spill_stop_waiting(struct weir_spill_waiter *waiter)
{
    weir_lock_take(&waiter->spill->lock);
    weir_list_remove(&waiter->list);
    weir_spill_release(waiter->spill);
}

void weir_spill_release_waiters(struct weir_spill *spill)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &spill->durable->waiters)
    {
        struct weir_spill_waiter *waiter = waiter_of(node);

        if (waiter->state == WEIR_SPILL_WAITS &&
            is_kept(spill->durable, waiter))
            waiter->state = WEIR_SPILL_KEPT;
    }
}

void weir_spill_dismiss_waiters(struct weir_spill *spill)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &spill->durable->waiters)
    {
        if (waiter_of(node)->state == WEIR_SPILL_WAITS)
            waiter_of(node)->state = WEIR_SPILL_GONE;
    }
}

bool weir_spill_wants_sync(const struct weir_spill *spill)
{
    const struct weir_durable *durable = spill->durable;
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &durable->waiters)
    {
        const struct weir_spill_waiter *waiter = waiter_of(node);

        if (waiter->state == WEIR_SPILL_WAITS && waiter->synced &&
            waiter->ticket <= durable->written)
            return true;
    }
    return false;
}

int weir_spill_trouble(struct weir_spill *spill, bool passing)
{
    int r = 0;

    weir_lock_take(&spill->lock);
    if (atomic_load(&spill->failed) || (passing && spill->write_code))
        r = weir_fail(spill->durable->code, "%s", spill->durable->text);
    weir_spill_unlock(spill);
    return r;
}

/* ---- taking back ---- */

/* How many senders wait for a message behind ticket `from`, up to `to`. */
static uint64_t count_senders(const struct weir_durable *durable, uint64_t from,
                              uint64_t to)
{
    struct weir_list *node, *after;
    uint64_t n = 0;

    WEIR_LIST_EACH(node, after, &durable->waiters)
    {
        const struct weir_spill_waiter *waiter = waiter_of(node);

        n += waiter->state == WEIR_SPILL_WAITS && !waiter->synced &&
             waiter->ticket > from && waiter->ticket <= to;
    }
    return n;
}

/* What was written of it the store forgets, as if it were consumed. */
static void drop_block(struct weir_spill *spill, struct weir_spill_block *block)
{
    bool written = block->ticket <= spill->durable->written;

    weir_list_remove(&block->list);
    atomic_fetch_sub(&spill->n_blocks, 1);
    if (block->cached && block->first)
        spill->durable->cached -= block->octets;
    weir_spill_drop_memory(spill, block);
    if (!written) {
        spill->durable->unwritten--;
        free(block);
        return;
    }
    block->end = 0;
    weir_list_insert(&spill->durable->shown, &block->list);
    store(&spill->durable->done_at, 0);
}

/* The list begins anew where the blocks that stay end. */
static void drop_behind(struct weir_queue *queue, uint64_t ticket)
{
    struct weir_spill *spill = queue->spill;
    uint64_t base = spill->head->base, put = spill->cut;
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &spill->blocks)
    {
        struct weir_spill_block *block = block_of(node);

        if (block->ticket <= ticket)
            continue;
        base -= block->octets;
        put -= block->messages;
        drop_block(spill, block);
    }
    spill->next_write = NULL;
    weir_queue_restart(queue, spill->head, base, put);
    spill->cut = put;
    store(&spill->accepted, put);
    spill->promised = 0;
    store(&spill->committed, base);
}

/* The oldest block that is not written goes, and what is behind it moves up. */
static void drop_first(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_spill_block *block = block_of(spill->next_write);

    spill->next_write =
        block->list.next == &spill->blocks ? NULL : block->list.next;
    spill->hole += block->octets;
    spill->hole_messages += block->messages;
    drop_block(spill, block);
    weir_spill_close_hole(queue);
}

/* Messages behind ticket `from`, up to `to`, are taken back: `again`, because
 * there is no room for them now.  Who waits for a sync hears if one of them
 * was nobody's who waits. */
static void tell_waiters(struct weir_spill *spill, uint64_t from, uint64_t to,
                         bool again)
{
    bool lost = spill->durable->missed > from || atomic_load(&spill->failed);
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &spill->durable->waiters)
    {
        struct weir_spill_waiter *waiter = waiter_of(node);

        if (waiter->state != WEIR_SPILL_WAITS || waiter->ticket <= from)
            continue;
        if (waiter->synced ? lost : !again && waiter->ticket <= to)
            break_off(spill->durable, waiter);
        else if (!waiter->synced && waiter->ticket <= to)
            waiter->state = WEIR_SPILL_FULL;
    }
}

/* `gone` messages are off the list: what nobody waits for is lost.  Those that
 * are told of it have them as before. */
static void settle(struct weir_spill *spill, uint64_t from, uint64_t to,
                   uint64_t gone, bool again)
{
    struct weir_durable *durable = spill->durable;
    uint64_t lost = gone - count_senders(durable, from, to);

    spill->lost += lost;
    if (lost > 0)
        durable->missed = to;
    tell_waiters(spill, from, to, again);
    durable->written = to;
    if (!durable->unsynced)
        durable->synced = to;
    weir_spill_release_waiters(spill);
}

/* A message that can never be in the store is in nobody's way. */
static void give_up_first(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    uint64_t from = spill->durable->written;
    uint64_t to = block_of(spill->next_write)->ticket;
    uint64_t put = queue->in.put;

    drop_first(queue);
    settle(spill, from, to, put - queue->in.put, false);
    spill->used_up = false;
    atomic_store(&spill->full, false);
}

/* Where it is not taken back it stays in memory, and is tried again: there may
 * be room again already. */
void weir_spill_take_back(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_durable *durable = spill->durable;
    bool failed = atomic_load(&spill->failed);
    bool used_up = durable->trouble == WEIR_DURABLE_USED_UP;
    bool too_long = durable->trouble == WEIR_DURABLE_TOO_LONG;
    uint64_t to = durable->puts, from = durable->written;
    uint64_t put = queue->in.put;

    if (durable->trouble == WEIR_DURABLE_WELL)
        return;
    if (durable->trouble == WEIR_DURABLE_UNSYNCED)
        from = weir_durable_safe(durable);
    durable->trouble = WEIR_DURABLE_WELL;
    if (too_long && !failed && spill->next_write) {
        give_up_first(queue);
    } else if (failed || count_senders(durable, from, to) == to - from) {
        drop_behind(queue, from);
        settle(spill, from, to, put - queue->in.put, used_up && !failed);
    }
    weir_spill_schedule(spill);
}
