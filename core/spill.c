/*
 * spill.c - see spill.h.
 */
#include "config.h"

#include "spill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "queue.h"
#include "queue_private.h"

enum {
    BLOCK = 64 << 10,    /* octets from which on a block is cut */
    AHEAD = 256 << 10,   /* octets that the consumer has before it */
    EACH = 3 * BLOCK,    /* octets in memory that each spill may have */
    TOGETHER = 32 << 20, /* and all of them, beyond that */
    PARTS = 1024,        /* of one write; more are copied together */
    TURNS = 16,          /* then others of the crew are next */
    AGAIN_MS = 200       /* after which a store that failed is tried again */
};

/* A run of whole messages. */
struct weir_spill_block {
    struct weir_list list;
    struct weir_chunk *first, *last; /* NULL: it is in the store */
    int64_t handle;
    uint64_t octets, messages;
    uint32_t sum; /* of what was written */
};

static uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static struct weir_spill_block *block_of(struct weir_list *node)
{
    return WEIR_CONTAINER(node, struct weir_spill_block, list);
}

/* ---- memory ---- */

/* The memory of a block goes.  Lock held, or nobody else is left. */
static void drop_memory(struct weir_spill *spill,
                        struct weir_spill_block *block)
{
    struct weir_chunk *chunk = block->first, *next;

    if (!chunk)
        return;
    for (;; chunk = next) {
        next = chunk->next;
        if (chunk == block->last)
            next = NULL;
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
        if (!next)
            break;
    }
    block->first = block->last = NULL;
    store(&spill->in_memory, load(&spill->in_memory) - block->octets);
    atomic_fetch_sub(&weir_disks_memory, block->octets);
}

/* It is shown: its memory is the consumer's. */
static void give_memory(struct weir_spill *spill,
                        struct weir_spill_block *block)
{
    store(&spill->in_memory, load(&spill->in_memory) - block->octets);
    atomic_fetch_sub(&weir_disks_memory, block->octets);
    block->first = block->last = NULL;
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

/* ---- telling ---- */

/* Lock held; follow it with nudge() when it is not. */
static void tell(struct weir_spill *spill)
{
    if (spill->tell)
        spill->tell(spill->arg);
}

static void nudge(struct weir_spill *spill)
{
    if (spill->nudge)
        spill->nudge(spill->other);
}

/* The sentence of the store without the folder, which comes first. */
static const char *without_folder(const char *text, const char *dir)
{
    size_t size = strlen(dir);

    if (strncmp(text, dir, size) == 0 && strncmp(text + size, ": ", 2) == 0)
        return text + size + 2;
    return text;
}

/* The cause is what must not be cut off: of a long folder the end is named. */
static void explain(char *reason, size_t room, const char *dir,
                    const char *cause)
{
    size_t fixed = strlen("swap in ...: ") + 1;
    size_t size = strlen(dir), left = strlen(cause) + fixed;

    left = left < room ? room - left : 0;
    if (left < 32)
        left = 32;
    snprintf(reason, room, "swap in %s%s: %s", size > left ? "..." : "",
             size > left ? dir + (size - left) : dir, cause);
}

/* Lock held. */
static struct weir_spill_report *new_report(struct weir_spill *spill)
{
    if (spill->n_reports == WEIR_SPILL_REPORTS)
        memmove(spill->reports, spill->reports + 1,
                sizeof(spill->reports[0]) * --spill->n_reports);
    return &spill->reports[spill->n_reports++];
}

/* Each change of the cause is told.  Lock held. */
static void complain(struct weir_spill *spill, int *told, int code,
                     const char *text)
{
    struct weir_spill_report *report;

    if (*told == code)
        return;
    *told = code;
    report = new_report(spill);
    report->resumed = false;
    report->code = code;
    report->in_memory = load(&spill->in_memory);
    explain(report->reason, sizeof(report->reason), spill->dir,
            text[0] ? without_folder(text, spill->dir) : weir_strerror(code));
    tell(spill);
}

/* It works again.  Lock held. */
static void reassure(struct weir_spill *spill, int *told, const char *what)
{
    struct weir_spill_report *report;

    if (!*told)
        return;
    report = new_report(spill);
    report->resumed = true;
    report->code = *told;
    report->in_memory = load(&spill->in_memory);
    explain(report->reason, sizeof(report->reason), spill->dir, what);
    *told = 0;
    tell(spill);
}

/* A write has worked.  That is told when nothing waits for the store any more:
 * a disk that is full but for what comes free meanwhile is full.  Lock held. */
static void recover(struct weir_spill *spill)
{
    atomic_store(&spill->full, false);
    if (!spill->next_write)
        reassure(spill, &spill->write_code, "what waited for it is written");
}

/* ---- the helper at work ---- */

/* Has the consumer little before it? */
static bool is_hungry(struct weir_queue *queue)
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

/* Lock held. */
static void show(struct weir_spill *spill, struct weir_spill_block *block,
                 struct weir_chunk *first, struct weir_chunk *last)
{
    append(spill, first, last, block->messages);
    publish(spill->queue, block->octets, block->messages);
    if (block->first)
        give_memory(spill, block);
    unlist(spill, block);
    tell(spill);
}

/* The store does not have it any more: it is taken off the list's numbers as
 * soon as the producer hears of it.  Lock held. */
static void lose(struct weir_spill *spill, struct weir_spill_block *block,
                 int code, const char *text)
{
    spill->hole += block->octets;
    spill->hole_messages += block->messages;
    spill->lost += block->messages;
    complain(spill, &spill->read_code, code, text);
    unlist(spill, block);
    tell(spill);
}

/* Want of memory or of descriptors is no loss. */
static bool is_shortage(int code)
{
    return code == ENOMEM || code == EMFILE || code == ENFILE;
}

/* Returns 0, or a positive errno. */
static int read_into(struct weir_spill *spill,
                     const struct weir_spill_block *block, uint8_t *data,
                     weir_error *error)
{
    ssize_t r = spill->ops->read(spill->self, block->handle, data,
                                 block->octets, error);

    if (r < 0)
        return (int)-r;
    if (r != (ssize_t)block->octets ||
        weir_crc32c(0, data, block->octets) != block->sum) {
        snprintf(error->text, error->room,
                 "a block of %llu octets did not come back as it was written",
                 (unsigned long long)block->octets);
        return EILSEQ;
    }
    return 0;
}

static struct weir_chunk *read_block(struct weir_spill *spill,
                                     const struct weir_spill_block *block,
                                     int *code, weir_error *error)
{
    struct weir_chunk *chunk = weir_chunk_new(block->octets);

    if (!chunk) {
        *code = ENOMEM;
        return NULL;
    }
    *code = read_into(spill, block, chunk->data, error);
    if (*code == 0) {
        weir_chunk_ref(chunk, WEIR_CHUNK_HOLD - 1);
        store(&chunk->used, block->octets);
        return chunk;
    }
    weir_chunk_unref(chunk, 1);
    return NULL;
}

/* Octets that the store has on disk.  Helper. */
static uint64_t disk_use(struct weir_spill *spill)
{
    weir_store_stat stat = {.size = sizeof(stat)};

    if (spill->self)
        spill->ops->stat(spill->self, &stat);
    return stat.bytes;
}

/* The helper goes to the store with a block; the lock is given up, and the
 * block stays where it is, unless all is dropped. */
static void go(struct weir_spill *spill, struct weir_spill_block *block)
{
    spill->busy = block;
    weir_lock_release(&spill->lock);
}

/* It comes back.  Returns whether the block is still wanted. */
static bool come_back(struct weir_spill *spill, struct weir_spill_block *block)
{
    bool wanted;

    weir_lock_take(&spill->lock);
    wanted = spill->busy != NULL;
    spill->busy = NULL;
    if (!wanted) {
        drop_memory(spill, block);
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
        lose(spill, block, code, text);
        return;
    }
    reassure(spill, &spill->read_code, "it gives back what it has");
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

    go(spill, block);
    chunk = read_block(spill, block, &code, &error);
    if (!is_shortage(code))
        (void)spill->ops->done(spill->self, block->handle, UINT64_MAX, NULL);
    use = disk_use(spill);
    if (!come_back(spill, block)) {
        if (chunk)
            weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
        return spill->queue != NULL;
    }
    if (is_shortage(code)) {
        complain(spill, &spill->read_code, code, text);
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

    if (!node || !is_hungry(spill->queue))
        return false;
    if (!block_of(node)->first)
        return load_first(spill, block_of(node));
    show(spill, block_of(node), block_of(node)->first, block_of(node)->last);
    return true;
}

static int open_store(const struct weir_spill_plan *plan, void **self,
                      weir_error *error)
{
    static _Atomic uint64_t number;
    char name[64];
    weir_store_args args = {.size = sizeof(args),
                            .mode = WEIR_STORE_SPILL,
                            .budget = plan->budget,
                            .dir = plan->dir,
                            .queue = name};

    snprintf(name, sizeof(name), "spill-%ld-%llu", (long)getpid(),
             (unsigned long long)atomic_fetch_add(&number, 1));
    return plan->store->open(plan->host, &args, self, error);
}

int weir_spill_try(const struct weir_spill_plan *plan)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    void *self = NULL;
    int r = open_store(plan, &self, &error);

    if (r < 0)
        return weir_fail(-r, "%s", text[0] ? text : weir_strerror(-r));
    plan->store->close(self, 0);
    return 0;
}

/* Helper. */
static int open_own(struct weir_spill *spill, weir_error *error)
{
    const struct weir_spill_plan plan = {.store = spill->ops,
                                         .host = spill->host,
                                         .dir = spill->dir,
                                         .budget = spill->budget};

    return spill->self ? 0 : open_store(&plan, &spill->self, error);
}

/* Nothing in it is wanted any more.  Lock held on entry and on return. */
static bool close_stale(struct weir_spill *spill)
{
    if (!spill->stale)
        return false;
    spill->stale = false;
    weir_lock_release(&spill->lock);
    if (spill->self)
        spill->ops->close(spill->self, 0);
    spill->self = NULL;
    weir_lock_take(&spill->lock);
    atomic_store(&spill->full, false);
    return true;
}

static int count_parts(const struct weir_spill_block *block)
{
    const struct weir_chunk *chunk = block->first;
    int n = 1;

    for (; chunk != block->last; chunk = chunk->next)
        n++;
    return n;
}

static void fill_parts(const struct weir_spill_block *block,
                       struct iovec *parts)
{
    struct weir_chunk *chunk = block->first;

    for (;; chunk = chunk->next, parts++) {
        parts->iov_base = chunk->data;
        parts->iov_len = (size_t)load(&chunk->used);
        if (chunk == block->last)
            return;
    }
}

static void join_parts(const struct iovec *parts, int n, uint8_t *at)
{
    for (int i = 0; i < n; i++) {
        memcpy(at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
}

static int64_t write_joined(struct weir_spill *spill,
                            const struct weir_spill_block *block,
                            const struct iovec *parts, int n, uint64_t first,
                            weir_error *error)
{
    struct iovec all = {malloc(block->octets), block->octets};
    int64_t r;

    if (!all.iov_base)
        return -ENOMEM;
    join_parts(parts, n, all.iov_base);
    r = spill->ops->write(spill->self, &all, 1, (uint32_t)block->messages,
                          first, error);
    free(all.iov_base);
    return r;
}

static uint32_t sum_of(const struct iovec *parts, int n)
{
    uint32_t sum = 0;

    for (int i = 0; i < n; i++)
        sum = weir_crc32c(sum, parts[i].iov_base, parts[i].iov_len);
    return sum;
}

static int64_t write_block(struct weir_spill *spill,
                           struct weir_spill_block *block, uint64_t first,
                           weir_error *error)
{
    int n = count_parts(block);
    struct iovec *parts = malloc((size_t)n * sizeof(*parts));
    int64_t r;

    if (!parts)
        return -ENOMEM;
    fill_parts(block, parts);
    block->sum = sum_of(parts, n);
    if (n > PARTS)
        r = write_joined(spill, block, parts, n, first, error);
    else
        r = spill->ops->write(spill->self, parts, n, (uint32_t)block->messages,
                              first, error);
    free(parts);
    return r;
}

/* What a store may do again later. */
static bool is_passing(int code)
{
    return code == ENOSPC || code == EDQUOT || is_shortage(code);
}

/* Lock held. */
static void wrote(struct weir_spill *spill, struct weir_spill_block *block,
                  int64_t handle)
{
    block->handle = handle;
    spill->next_write =
        block->list.next == &spill->blocks ? NULL : block->list.next;
    drop_memory(spill, block);
    spill->use.swapped += block->messages;
    spill->use.swapped_bytes += block->octets;
    spill->use.kept += block->messages;
    spill->use.kept_bytes += block->octets;
    recover(spill);
    if (weir_queue_writer_waits(spill->queue))
        tell(spill);
}

/* A write failed, with so many octets on disk.  That the budget is used up is
 * no trouble: it is what the budget is for.  Lock held. */
static void not_written(struct weir_spill *spill,
                        const struct weir_spill_block *block, int code,
                        uint64_t use, const char *text)
{
    bool passing = !spill->self || is_passing(code);

    spill->full_at = use;
    spill->used_up = code == ENOSPC && use + block->octets > spill->budget;
    atomic_store(passing ? &spill->full : &spill->failed, true);
    if (!spill->used_up)
        complain(spill, &spill->write_code, code, text);
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
    go(spill, block);
    r = open_own(spill, &error);
    if (r >= 0)
        r = write_block(spill, block, spill->use.swapped + 1, &error);
    if (r < 0)
        use = disk_use(spill);
    if (!come_back(spill, block))
        return spill->queue != NULL;
    if (r >= 0)
        wrote(spill, block, r);
    else
        not_written(spill, block, (int)-r, use, text);
    return r >= 0;
}

/* ---- errands ---- */

/* Have the helper come.  As long as messages are hidden one is pinned, so this
 * cannot fail; later it may, when there is nothing to do but to close the
 * store.  Lock held. */
static void schedule(struct weir_spill *spill)
{
    if (atomic_load(&spill->working))
        return;
    atomic_store(&spill->working, true);
    spill->refs++;
    if (weir_disks_submit(spill->crew, &spill->work, 0) >= 0)
        return;
    spill->refs--;
    atomic_store(&spill->working, false);
}

/* The store takes nothing now.  Where its budget is used up nothing but what
 * is read back helps.  Lock held. */
static void try_later(struct weir_spill *spill)
{
    if (!atomic_load(&spill->full) || spill->used_up || spill->again_due)
        return;
    spill->again_due = true;
    spill->refs++;
    if (weir_disks_submit(spill->crew, &spill->again,
                          weir_now() + AGAIN_MS * INT64_C(1000000)) >= 0)
        return;
    spill->refs--;
    spill->again_due = false;
}

/* All that is left goes.  Nobody else is there. */
static void destroy(struct weir_spill *spill)
{
    struct weir_list *node;

    while ((node = weir_list_first(&spill->blocks)) != NULL) {
        drop_memory(spill, block_of(node));
        weir_list_remove(node);
        free(block_of(node));
    }
    if (spill->self)
        spill->ops->close(spill->self, 0);
    free(spill->dir);
    free(spill);
}

/* Lock held on entry, not on return. */
static void release(struct weir_spill *spill)
{
    bool last = --spill->refs == 0;

    weir_lock_release(&spill->lock);
    if (last)
        destroy(spill);
}

/* True: something was done, and there may be more.  Lock held on entry and on
 * return, not in between. */
static bool work_once(struct weir_spill *spill)
{
    if (!spill->queue ||
        !(close_stale(spill) || show_first(spill) || write_next(spill)))
        return false;
    weir_lock_release(&spill->lock);
    nudge(spill);
    weir_lock_take(&spill->lock);
    return true;
}

/* The consumer, or the producer, may have looked at `working` just before it
 * was taken back, and left it to us: so look once more.  Lock held. */
static bool may_rest(struct weir_spill *spill)
{
    atomic_store(&spill->working, false);
    weir_fence_full();
    if (!spill->queue || weir_list_empty(&spill->blocks) ||
        !is_hungry(spill->queue) || spill->starved)
        return true;
    atomic_store(&spill->working, true);
    return false;
}

static void on_work(struct weir_disk_errand *errand)
{
    struct weir_spill *spill = WEIR_CONTAINER(errand, struct weir_spill, work);
    int turns = 0;

    weir_lock_take(&spill->lock);
    do {
        while (turns < TURNS && work_once(spill))
            turns++;
    } while (turns < TURNS && !may_rest(spill));
    if (turns == TURNS && spill->queue) {
        atomic_store(&spill->working, false);
        schedule(spill);
    }
    if (spill->queue)
        try_later(spill);
    weir_lock_release(&spill->lock);
    nudge(spill);
    weir_lock_take(&spill->lock);
    release(spill);
}

static void on_again(struct weir_disk_errand *errand)
{
    struct weir_spill *spill = WEIR_CONTAINER(errand, struct weir_spill, again);

    weir_lock_take(&spill->lock);
    spill->again_due = false;
    if (spill->queue) {
        atomic_store(&spill->full, false);
        schedule(spill);
        tell(spill); /* there may be room again */
    }
    weir_lock_release(&spill->lock);
    nudge(spill);
    weir_lock_take(&spill->lock);
    release(spill);
}

/* ---- life ---- */

struct weir_spill *weir_spill_new(const struct weir_spill_plan *plan,
                                  struct weir_queue *queue)
{
    struct weir_spill *spill = calloc(1, sizeof(*spill));

    if (!spill)
        return NULL;
    spill->dir = strdup(plan->dir);
    if (!spill->dir) {
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
    spill->work.run = on_work;
    spill->again.run = on_again;
    spill->refs = 1;
    return spill;
}

void weir_spill_silence(struct weir_spill *spill)
{
    weir_lock_take(&spill->lock);
    spill->tell = NULL;
    weir_lock_release(&spill->lock);
}

/* An opened store is closed where it may take its time.  What was hidden is
 * behind what was shown again, less the blocks. */
void weir_spill_leave(struct weir_spill *spill)
{
    weir_lock_take(&spill->lock);
    if (weir_spill_hides(spill))
        spill->shown->next = spill->head;
    spill->queue = NULL;
    spill->tell = NULL;
    if (!atomic_load(&spill->working) && spill->self)
        schedule(spill);
    if (weir_spill_hides(spill))
        weir_disks_unpin(spill->crew);
    release(spill);
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
    spill->shown = shown;
    spill->head = queue->in.tail;
    spill->cut = queue->in.put;
    spill->accepted = queue->in.put;
    store(&spill->committed, load(&queue->published));
    atomic_store(&spill->hides, true);
    queue->in.message_credit = queue->in.octet_credit = 0;
    atomic_fetch_or(&queue->writer_armed, WEIR_QUEUE_HIDES);
    weir_lock_release(&spill->lock);
    promise(queue, octets);
    return true;
}

/* Octets that are hidden and in no block yet.  Producer. */
static uint64_t list_octets(struct weir_spill *spill)
{
    return load(&spill->committed) - spill->head->base;
}

/* A message of any length may come where there is no block in memory: so the
 * list must be short then, or become one. */
static bool has_memory(struct weir_spill *spill, uint64_t octets)
{
    uint64_t blocks = load(&spill->in_memory), list = list_octets(spill);

    return blocks + list + octets <= EACH || (blocks == 0 && list < BLOCK) ||
           load(&weir_disks_memory) + list + octets <= TOGETHER;
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
    return !weir_list_empty(&spill->blocks) && is_hungry(spill->queue);
}

/* A message of `octets` would make the list too long for one block: cut it
 * before.  How long one is that is being received nobody knows. */
static void make_way(struct weir_queue *queue, uint64_t octets)
{
    struct weir_spill *spill = queue->spill;
    uint64_t committed = load(&spill->committed), list = list_octets(spill);
    struct weir_spill_block *block;

    if (list == 0 || list + octets <= BLOCK || queue->in.receives ||
        committed != weir_queue_position(queue))
        return;
    block = cut_list(queue, committed);
    if (!block)
        return;
    weir_lock_take(&spill->lock);
    hand_over(spill, block);
    if (has_work(spill))
        schedule(spill);
    weir_lock_release(&spill->lock);
}

bool weir_spill_room(struct weir_queue *queue, uint64_t octets)
{
    struct weir_spill *spill = queue->spill;
    uint64_t hidden = load(&spill->committed) - load(&queue->published);

    if (atomic_load(&spill->failed) || atomic_load(&spill->full) ||
        hidden + octets > spill->budget)
        return false;
    make_way(queue, octets);
    if (!has_memory(spill, octets))
        return false;
    promise(queue, octets);
    return true;
}

/* What was lost is taken off the list's positions and numbers.  Lock held. */
static void close_hole(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;
    uint64_t octets = spill->hole, messages = spill->hole_messages;
    struct weir_chunk *chunk = spill->head;

    if (octets == 0)
        return;
    for (; chunk; chunk = chunk == queue->in.tail ? NULL : chunk->next) {
        chunk->base -= octets;
        chunk->messages -= messages;
    }
    queue->in.base -= octets;
    queue->in.put -= messages;
    spill->cut -= messages;
    store(&spill->committed, load(&spill->committed) - octets);
    spill->accepted = queue->in.put;
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

    if (!weir_list_empty(&spill->blocks) || !is_half_empty(queue))
        return false;
    close_hole(queue);
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
    weir_lock_release(&spill->lock);
    if (ended && committed != load(&queue->published))
        weir_queue_publish(queue, committed);
    return ended;
}

void weir_spill_put(struct weir_queue *queue, uint64_t position)
{
    struct weir_spill *spill = queue->spill;
    struct weir_spill_block *block = NULL;

    spill->promised = 0;
    if (position - spill->head->base >= BLOCK)
        block = cut_list(queue, position);
    weir_lock_take(&spill->lock);
    store(&spill->committed, position);
    spill->accepted = queue->in.put;
    if (block)
        hand_over(spill, block);
    if (has_work(spill))
        schedule(spill);
    weir_lock_release(&spill->lock);
    if (atomic_load(&spill->n_blocks) == 0)
        (void)weir_spill_end(queue);
}

bool weir_spill_news(struct weir_queue *queue)
{
    struct weir_spill *spill = queue->spill;

    if (weir_spill_hides(spill)) {
        weir_lock_take(&spill->lock);
        close_hole(queue);
        weir_lock_release(&spill->lock);
        (void)weir_spill_end(queue);
    }
    return weir_queue_writer_waits(queue) && !weir_queue_arm_writer(queue);
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
            drop_memory(spill, block);
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
    close_hole(queue);
    n = queue->in.put - load(&queue->messages);
    drop_blocks(spill);
    weir_queue_drop_from(queue, spill->shown, spill->head,
                         load(&queue->messages));
    spill->accepted = queue->in.put;
    store(&spill->committed, load(&queue->published));
    spill->stale = true;
    spill->starved = spill->used_up = false; /* what that was true of is gone */
    schedule(spill);
    show_all(queue);
    weir_lock_release(&spill->lock);
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
    weir_lock_release(&spill->lock);
    return any;
}

bool weir_spill_report(struct weir_spill *spill,
                       struct weir_spill_report *report)
{
    bool any;

    weir_lock_take(&spill->lock);
    any = spill->n_reports > 0;
    if (any) {
        *report = spill->reports[0];
        memmove(spill->reports, spill->reports + 1,
                sizeof(spill->reports[0]) * --spill->n_reports);
    }
    weir_lock_release(&spill->lock);
    return any;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* While nothing is hidden the queue's own numbers are the larger ones. */
void weir_spill_counts(struct weir_queue *queue, uint64_t *put,
                       uint64_t *octets, uint64_t *lost)
{
    struct weir_spill *spill = queue->spill;
    uint64_t position;

    weir_lock_take(&spill->lock);
    position = load(&spill->committed) - spill->hole;
    *put = larger(*put, spill->accepted - spill->hole_messages);
    *octets = larger(position, load(&queue->published));
    *lost = spill->lost;
    weir_lock_release(&spill->lock);
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
    weir_lock_release(&spill->lock);
}

/* ---- consumer ---- */

void weir_spill_consumed(struct weir_queue *queue, bool half)
{
    struct weir_spill *spill = queue->spill;
    bool told = false;

    if (atomic_load(&spill->n_blocks) > 0 &&
        (atomic_load(&spill->working) || !is_hungry(queue)))
        return;
    weir_lock_take(&spill->lock);
    if (!weir_list_empty(&spill->blocks))
        schedule(spill);
    else if (half) {
        tell(spill);
        told = true;
    }
    weir_lock_release(&spill->lock);
    if (told)
        nudge(spill);
}
