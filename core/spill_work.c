/*
 * spill_work.c - what a spill's helper does: it shows the oldest block, or
 * writes the oldest one that is in memory; see spill.h.
 */
#include "config.h"

#include "spill_private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fence.h"

enum {
    AHEAD = 256 << 10, /* octets that the consumer has before it */
    TURNS = 16,        /* then others of the crew are next */
    AGAIN_MS = 200,    /* after which a store that failed is tried again */
    USED_UP_MS = 1000  /* and a durable one that is used up */
};

/* ---- blocks ---- */

void weir_spill_free_chunks(struct weir_chunk *first, struct weir_chunk *last)
{
    struct weir_chunk *chunk = first, *next;

    for (; chunk; chunk = next) {
        next = chunk == last ? NULL : chunk->next;
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    }
}

/* It is shown: its memory is the consumer's. */
static void give_memory(struct weir_spill *spill,
                        struct weir_spill_block *block)
{
    store(&spill->in_memory, load(&spill->in_memory) - block->octets);
    atomic_fetch_sub(&weir_disks_memory, block->octets);
    block->first = block->last = NULL;
}

void weir_spill_drop_memory(struct weir_spill *spill,
                            struct weir_spill_block *block)
{
    if (!block->first)
        return;
    weir_spill_free_chunks(block->first, block->last);
    if (block->cached)
        block->first = block->last = NULL;
    else
        give_memory(spill, block);
}

/* Lock held. */
static void unlist(struct weir_spill *spill, struct weir_spill_block *block)
{
    if (spill->next_write == &block->list)
        spill->next_write =
            block->list.next == &spill->blocks ? NULL : block->list.next;
    weir_list_remove(&block->list);
    atomic_fetch_sub(&spill->n_blocks, 1);
    free(block);
}

/* ---- showing ---- */

bool weir_spill_is_hungry(struct weir_queue *queue)
{
    uint64_t consumed = load(&queue->consumed);

    return load(&queue->published) - consumed < AHEAD;
}

/* Show the consumer up to here.  The order is that of weir_queue_publish(). */
static void publish(struct weir_queue *queue, uint64_t octets,
                    uint64_t messages)
{
    atomic_store_explicit(&queue->published, load(&queue->published) + octets,
                          memory_order_release);
    atomic_store_explicit(&queue->messages, load(&queue->messages) + messages,
                          memory_order_release);
}

/* Put the chunks from `first` to `last` behind what the consumer may see: it
 * looks at none of this before `published` is moved.  Lock held. */
static void append(struct weir_spill *spill, struct weir_chunk *first,
                   struct weir_chunk *last, uint64_t messages)
{
    struct weir_queue *queue = spill->queue;
    uint64_t base = load(&queue->published);
    uint64_t shift = load(&queue->messages) + messages - last->messages;
    struct weir_chunk *chunk = first;

    spill->shown->next = first;
    for (;; chunk = chunk->next) {
        chunk->base = base;
        chunk->messages += shift;
        base += load(&chunk->used);
        if (chunk == last)
            break;
    }
    spill->shown = last;
}

void weir_spill_append(struct weir_spill *spill, struct weir_spill_block *block,
                       struct weir_chunk *first, struct weir_chunk *last)
{
    append(spill, first, last, block->messages);
    publish(spill->queue, block->octets, block->messages);
}

/* Lock held. */
static void show(struct weir_spill *spill, struct weir_spill_block *block,
                 struct weir_chunk *first, struct weir_chunk *last)
{
    weir_spill_append(spill, block, first, last);
    if (block->first)
        give_memory(spill, block);
    unlist(spill, block);
    weir_spill_tell(spill);
}

void weir_spill_lose(struct weir_spill *spill, struct weir_spill_block *block,
                     int code, const char *text)
{
    spill->hole += block->octets;
    spill->hole_messages += block->messages;
    spill->lost += block->messages;
    weir_spill_complain(spill, &spill->read_code, code, text);
    unlist(spill, block);
    weir_spill_tell(spill);
}

/* ---- with the store ---- */

void weir_spill_go(struct weir_spill *spill, struct weir_spill_block *block)
{
    spill->busy = block;
    weir_spill_unlock(spill);
}

bool weir_spill_come_back(struct weir_spill *spill,
                          struct weir_spill_block *block)
{
    bool wanted;

    weir_lock_take(&spill->lock);
    wanted = spill->busy != NULL;
    spill->busy = NULL;
    if (!wanted) {
        weir_spill_drop_memory(spill, block);
        free(block);
    }
    return wanted && spill->queue;
}

/* The block came back as `chunk`, or is lost for a reason.  Lock held. */
static void came(struct weir_spill *spill, struct weir_spill_block *block,
                 struct weir_chunk *chunk, int code, const char *text)
{
    spill->use.kept -= block->messages;
    spill->use.kept_bytes -= block->octets;
    if (!chunk) {
        weir_spill_lose(spill, block, code, text);
        return;
    }
    weir_spill_reassure(spill, &spill->read_code, "it gives back what it has");
    spill->use.returned += block->messages;
    spill->use.returned_bytes += block->octets;
    show(spill, block, chunk, chunk);
}

/* Read the oldest block back and show it.  Where there is a shortage it is
 * tried again later. */
static bool load_first(struct weir_spill *spill, struct weir_spill_block *block)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    struct weir_chunk *chunk;
    uint64_t use;
    int code = 0;

    weir_spill_go(spill, block);
    chunk = weir_spill_read_block(spill, block, &code, &error);
    if (!weir_spill_is_shortage(code))
        (void)spill->ops->done(spill->self, block->handle, UINT64_MAX, NULL);
    use = weir_spill_disk_use(spill);
    if (!weir_spill_come_back(spill, block)) {
        if (chunk)
            weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
        return spill->queue != NULL;
    }
    if (weir_spill_is_shortage(code)) {
        weir_spill_complain(spill, &spill->read_code, code, text);
        spill->used_up = false;
        spill->starved = true;
        atomic_store(&spill->full, true);
        return false;
    }
    spill->starved = false;
    if (use < spill->full_at)
        atomic_store(&spill->full, false); /* there is space again */
    came(spill, block, chunk, code, text);
    return true;
}

static bool show_first(struct weir_spill *spill)
{
    struct weir_list *node = weir_list_first(&spill->blocks);

    if (!node || !weir_spill_is_hungry(spill->queue))
        return false;
    if (!block_of(node)->first)
        return load_first(spill, block_of(node));
    show(spill, block_of(node), block_of(node)->first, block_of(node)->last);
    return true;
}

/* Nothing in it is wanted any more.  Lock held on entry and on return. */
static bool close_stale(struct weir_spill *spill)
{
    if (!spill->stale)
        return false;
    spill->stale = false;
    weir_spill_unlock(spill);
    if (spill->self)
        spill->ops->close(spill->self, 0);
    spill->self = NULL;
    weir_lock_take(&spill->lock);
    atomic_store(&spill->full, false);
    return true;
}

bool weir_spill_is_passing(int code)
{
    return code == ENOSPC || code == EDQUOT || weir_spill_is_shortage(code);
}

/* A write has worked.  That is told when nothing waits for the store any more:
 * a disk that is full but for what comes free meanwhile is full.  Lock held. */
void weir_spill_works(struct weir_spill *spill)
{
    atomic_store(&spill->full, false);
    if (!spill->next_write)
        weir_spill_reassure(spill, &spill->write_code,
                            "what waited for it is written");
}

/* What is in no block is as long as one: it was to become a longer one, behind
 * those that waited, and these are written now.  Lock held. */
static bool awaits_cut(struct weir_spill *spill)
{
    uint64_t hidden =
        load(&spill->committed) - spill->hole - load(&spill->queue->published);

    return load(&spill->in_memory) == 0 &&
           hidden >= spill->use.kept_bytes + WEIR_SPILL_BLOCK;
}

/* Lock held. */
static void wrote(struct weir_spill *spill, struct weir_spill_block *block,
                  int64_t handle)
{
    block->handle = handle;
    spill->next_write =
        block->list.next == &spill->blocks ? NULL : block->list.next;
    weir_spill_drop_memory(spill, block);
    spill->use.swapped += block->messages;
    spill->use.swapped_bytes += block->octets;
    spill->use.kept += block->messages;
    spill->use.kept_bytes += block->octets;
    weir_spill_works(spill);
    weir_fence_full(); /* as in weir_queue_arm_writer() and weir_spill_put() */
    if ((weir_queue_writer_waits(spill->queue) &&
         weir_spill_is_relieved(spill)) ||
        awaits_cut(spill))
        weir_spill_tell(spill);
}

/* A write failed, with so many octets on disk.  That the budget is used up is
 * no trouble: it is what the budget is for.  Lock held. */
static void not_written(struct weir_spill *spill,
                        const struct weir_spill_block *block, int code,
                        uint64_t use, const char *text)
{
    bool passing = !spill->self || weir_spill_is_passing(code);

    spill->full_at = use;
    spill->used_up = code == ENOSPC && use + block->octets > spill->budget;
    atomic_store(passing ? &spill->full : &spill->failed, true);
    if (!spill->used_up)
        weir_spill_complain(spill, &spill->write_code, code, text);
}

/* Write the oldest block that is in memory. */
static bool write_next(struct weir_spill *spill)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    struct weir_spill_block *block;
    uint64_t use = 0;
    int64_t r;

    if (!spill->next_write || atomic_load(&spill->full) ||
        atomic_load(&spill->failed))
        return false;
    block = block_of(spill->next_write);
    weir_spill_go(spill, block);
    r = weir_spill_open_own(spill, &error);
    if (r >= 0)
        r = weir_spill_write_block(spill, block, spill->use.swapped + 1,
                                   &error);
    if (r < 0)
        use = weir_spill_disk_use(spill);
    if (!weir_spill_come_back(spill, block))
        return spill->queue != NULL;
    if (r >= 0)
        wrote(spill, block, r);
    else
        not_written(spill, block, (int)-r, use, text);
    return r >= 0;
}

/* ---- errands ---- */

bool weir_spill_send(struct weir_spill *spill, struct weir_disk_errand *errand,
                     int64_t at)
{
    struct weir_helper *called;

    if (weir_disks_submit(spill->crew, errand, at, &called) < 0)
        return false;
    spill->refs++;
    if (spill->called)
        weir_disks_wake(called); /* one more */
    else
        spill->called = called;
    return true;
}

void weir_spill_schedule(struct weir_spill *spill)
{
    if (!atomic_load(&spill->working))
        atomic_store(&spill->working, weir_spill_send(spill, &spill->work, 0));
}

/* The store takes nothing now.  Where its budget is used up nothing but what
 * is read back helps.  Of one that is durable that is a guess, as its overhead
 * is not known: it may be the disk, which others make room on.  Lock held. */
static void try_later(struct weir_spill *spill)
{
    int64_t pause = (spill->used_up ? USED_UP_MS : AGAIN_MS) * INT64_C(1000000);

    if (!spill->queue || !atomic_load(&spill->full) || spill->again_due ||
        (spill->used_up && !spill->durable))
        return;
    spill->again_due =
        weir_spill_send(spill, &spill->again, weir_now() + pause);
}

/* All that is left goes.  Nobody else is there. */
static void destroy(struct weir_spill *spill)
{
    struct weir_list *node;

    while ((node = weir_list_first(&spill->blocks)) != NULL) {
        weir_spill_drop_memory(spill, block_of(node));
        weir_list_remove(node);
        free(block_of(node));
    }
    if (spill->durable)
        weir_durable_close(spill);
    else if (spill->self)
        spill->ops->close(spill->self, 0);
    weir_durable_free(spill->durable);
    free(spill->dir);
    free(spill);
}

void weir_spill_release(struct weir_spill *spill)
{
    bool last = --spill->refs == 0;

    weir_spill_unlock(spill);
    if (last)
        destroy(spill);
}

/* True: something was done, and there may be more.  Lock held on entry and on
 * return, not in between. */
static bool work_once(struct weir_spill *spill)
{
    if (!spill->queue)
        return false;
    if (spill->durable
            ? !weir_durable_work(spill)
            : !(close_stale(spill) || show_first(spill) || write_next(spill)))
        return false;
    weir_spill_unlock(spill);
    weir_spill_nudge(spill);
    weir_lock_take(&spill->lock);
    return true;
}

/* Lock held. */
static bool has_more(struct weir_spill *spill)
{
    if (!spill->queue)
        return false;
    if (spill->durable && weir_durable_is_due(spill))
        return true;
    return !weir_list_empty(&spill->blocks) &&
           weir_spill_is_hungry(spill->queue) && !spill->starved &&
           !spill->durable;
}

/* The consumer, or the producer, may have looked at `working` just before it
 * was taken back, and left it to us: so look once more.  Lock held. */
static bool may_rest(struct weir_spill *spill)
{
    atomic_store(&spill->working, false);
    weir_fence_full();
    if (!has_more(spill))
        return true;
    atomic_store(&spill->working, true);
    return false;
}

/* Work until there is no more of it, or others wait for a helper.  To submit
 * what nobody else waits before would only wake another one, who finds it
 * taken.
 * Returns whether there may be more.  Lock held on entry and on return. */
static bool work(struct weir_spill *spill)
{
    int turns = 0;

    do {
        while (work_once(spill)) {
            if (++turns % TURNS != 0)
                continue;
            if (weir_disks_is_wanted(spill->crew))
                return true;
            try_later(spill);
        }
    } while (!may_rest(spill));
    return false;
}

static void on_work(struct weir_disk_errand *errand)
{
    struct weir_spill *spill = WEIR_CONTAINER(errand, struct weir_spill, work);

    weir_lock_take(&spill->lock);
    if (work(spill) && spill->queue) {
        atomic_store(&spill->working, false);
        weir_spill_schedule(spill);
    }
    try_later(spill);
    weir_spill_unlock(spill);
    weir_spill_nudge(spill);
    weir_lock_take(&spill->lock);
    weir_spill_release(spill);
}

static void on_again(struct weir_disk_errand *errand)
{
    struct weir_spill *spill = WEIR_CONTAINER(errand, struct weir_spill, again);

    weir_lock_take(&spill->lock);
    spill->again_due = false;
    if (spill->queue) {
        atomic_store(&spill->full, false);
        weir_spill_schedule(spill);
        weir_spill_tell(spill); /* there may be room again */
    }
    weir_spill_unlock(spill);
    weir_spill_nudge(spill);
    weir_lock_take(&spill->lock);
    weir_spill_release(spill);
}

void weir_spill_set_errands(struct weir_spill *spill)
{
    spill->work.run = on_work;
    spill->again.run = on_again;
}
