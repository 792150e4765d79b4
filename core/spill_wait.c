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
    if (is_kept(durable, waiter))
        waiter->state = WEIR_SPILL_KEPT;
    else if (synced && atomic_load(&spill->failed))
        break_off(durable, waiter);
    else if (synced)
        weir_spill_schedule(spill);
    weir_lock_release(&spill->lock);
}

bool weir_spill_is_over(struct weir_spill_waiter *waiter)
{
    bool over;

    weir_lock_take(&waiter->spill->lock);
    over = waiter->state != WEIR_SPILL_WAITS;
    weir_lock_release(&waiter->spill->lock);
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
    weir_lock_release(&spill->lock);
    return r;
}

/* ---- taking back ---- */

/* How many senders wait for a message behind that ticket. */
static uint64_t count_senders(const struct weir_durable *durable,
                              uint64_t ticket)
{
    struct weir_list *node, *after;
    uint64_t n = 0;

    WEIR_LIST_EACH(node, after, &durable->waiters)
    {
        const struct weir_spill_waiter *waiter = waiter_of(node);

        n += waiter->state == WEIR_SPILL_WAITS && !waiter->synced &&
             waiter->ticket > ticket;
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
    spill->cut = spill->accepted = put;
    spill->promised = 0;
    store(&spill->committed, base);
}

/* A swap that is used up has room again when something of it was consumed; of
 * one with nothing in it that cannot be waited for. */
static void tell_senders(struct weir_spill *spill, uint64_t ticket)
{
    bool again = spill->used_up && spill->use.kept > 0;
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &spill->durable->waiters)
    {
        struct weir_spill_waiter *waiter = waiter_of(node);

        if (waiter->state != WEIR_SPILL_WAITS || waiter->ticket <= ticket)
            continue;
        if (!waiter->synced && again)
            waiter->state = WEIR_SPILL_FULL;
        else if (!waiter->synced || atomic_load(&spill->failed))
            break_off(spill->durable, waiter);
    }
    if (spill->used_up && !again)
        atomic_store(&spill->full, false);
}

void weir_spill_take_back(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    struct weir_durable *durable = spill->durable;
    uint64_t ticket = durable->trouble == WEIR_DURABLE_UNSYNCED
                          ? weir_durable_safe(durable)
                          : durable->written;
    uint64_t senders, all = durable->puts - ticket;

    if (durable->trouble == WEIR_DURABLE_WELL)
        return;
    durable->trouble = WEIR_DURABLE_WELL;
    senders = count_senders(durable, ticket);
    if (!atomic_load(&spill->failed) && senders < all &&
        !(spill->used_up && spill->use.kept == 0))
        return; /* it stays in memory, and is tried again */
    drop_behind(queue, ticket);
    spill->lost += all - senders;
    tell_senders(spill, ticket);
    durable->written = durable->puts;
    if (!durable->unsynced)
        durable->synced = durable->written;
    weir_spill_release_waiters(spill);
    weir_spill_schedule(spill);
}
