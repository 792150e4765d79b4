/*
 * store_lmdb.c - durable queues in a database of liblmdb, which other tools
 * can read.
 *
 * A block is a row of records, and writing one a transaction, so nothing is
 * ever torn and a full disk harms nothing but the block it is met with.  What
 * is consumed is gathered, and goes with the next block that is written, or the
 * next sync: a transaction costs a wait for the disk.  Only where the budget is
 * nearly used up does it go at once, lest somebody waits for room that there
 * is. Above: the host, through <weir/store.h>.  Below: base.h, queue_folder.h.
 */
#include "config.h"

#include "base.h"

#include "../common/crc32c.h"
#include "../common/queue_folder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX       ".lmdb"
#define OWN_OVERHEAD 20480 /* two locks, and the folder itself */
#define MARKS        64    /* that are gathered at most */
/* When less than this part of the budget is left, none are gathered. */
#define TIGHT   4
#define LEN_MAX (UINT32_MAX - 64) /* liblmdb's limit, and a head */

struct store {
    const weir_host *host;
    struct weir_queue_folder queue;
    struct weir_base base;
    uint64_t next;      /* handle of the next block */
    uint64_t recovered; /* handle that recover() goes on from */
    struct weir_base_mark marks[MARKS];
    int n_marks;
    uint64_t going; /* octets of pages that go with the marks */
    /* These are read from any thread. */
    uint64_t found;
    _Atomic uint64_t bytes, count, room;
    _Atomic uint32_t failed;
};

static int fail(const struct store *store, weir_error *error, int code,
                const char *what)
{
    return weir_queue_folder_fail(&store->queue, error, code, what);
}

/* Want of space, memory or descriptors passes; after anything else every write
 * fails in the same way. */
static int fail_or_poison(struct store *store, weir_error *error, int code,
                          const char *what)
{
    if (code != ENOSPC && code != EDQUOT && code != ENOMEM && code != EMFILE &&
        code != ENFILE)
        atomic_store(&store->failed, (uint32_t)code);
    return fail(store, error, code, what);
}

static int failed_before(const struct store *store, weir_error *error)
{
    int code = (int)atomic_load(&store->failed);

    return code ? fail(store, error, code, "an earlier write failed") : 0;
}

static int no_block(const struct store *store, int64_t handle,
                    weir_error *error)
{
    return store->host->fail(error, EINVAL, "%s: there is no block %lld",
                             store->queue.path, (long long)handle);
}

/* A write that finds no room applies the marks, and then has that of what
 * goes. */
static void measure(struct store *store)
{
    bool empty = atomic_load(&store->count) == 0;

    if (store->n_marks == 0)
        store->going = 0;
    atomic_store(&store->bytes, weir_base_size(&store->base) + OWN_OVERHEAD);
    atomic_store(&store->room,
                 weir_base_room(&store->base, empty, store->going));
}

/* ---- marks ---- */

/* The mark of a block that waits to be written; NULL: none does. */
static struct weir_base_mark *mark_of(struct store *store, int64_t handle)
{
    for (int i = 0; i < store->n_marks; i++) {
        if (store->marks[i].handle == (uint64_t)handle)
            return &store->marks[i];
    }
    return NULL;
}

static bool is_done(struct store *store, int64_t handle)
{
    const struct weir_base_mark *mark = mark_of(store, handle);

    return mark && mark->consumed == WEIR_BASE_ALL;
}

static int apply_marks(struct store *store)
{
    int rc = weir_base_mark(&store->base, store->marks, store->n_marks);

    if (rc == 0)
        store->n_marks = 0;
    measure(store);
    return rc;
}

/* ---- opening and closing ---- */

static int count_blocks(struct store *store)
{
    struct weir_base_head head;
    uint64_t from = 0, count = 0;
    int rc;

    while ((rc = weir_base_next(&store->base, from, &head)) > 0) {
        count++;
        store->found += head.messages - head.consumed;
        from = head.handle + 1;
    }
    store->next = from;
    atomic_store(&store->count, count);
    return rc;
}

static void remove_file(const struct store *store, const char *name)
{
    (void)unlinkat(store->queue.fd, name, 0);
}

static void close_store(void *self, int keep)
{
    struct store *store = self;

    if (keep && store->n_marks && atomic_load(&store->failed) == 0)
        (void)apply_marks(store);
    weir_base_close(&store->base);
    /* A queue without blocks leaves no folder behind. */
    if (!keep || (atomic_load(&store->count) == 0 && store->n_marks == 0)) {
        remove_file(store, WEIR_BASE_FILE);
        remove_file(store, WEIR_BASE_LOCK);
        weir_queue_folder_remove(&store->queue);
    }
    weir_queue_folder_close(&store->queue);
    free(store);
}

static int open_base(struct store *store, const weir_store_args *args,
                     weir_error *error)
{
    uint64_t budget =
        args->budget > OWN_OVERHEAD ? args->budget - OWN_OVERHEAD : 0;
    int rc =
        weir_base_open(&store->base, store->host, store->queue.path, budget);

    if (rc == 0)
        rc = count_blocks(store);
    if (rc < 0)
        rc = fail(store, error, -rc, "its database cannot be opened");
    else
        measure(store);
    return rc;
}

static int open_store(const weir_host *host, const weir_store_args *args,
                      void **self, weir_error *error)
{
    struct store *store;
    int rc;

    if (args->mode != WEIR_STORE_DURABLE)
        return host->fail(error, EOPNOTSUPP,
                          "%s: store_lmdb has no mode but durable", args->dir);
    store = calloc(1, sizeof *store);
    if (!store)
        return host->fail(error, ENOMEM, "%s: no memory for a store",
                          args->dir);
    store->host = host;
    rc = weir_queue_folder_open(&store->queue, host, args, SUFFIX, error);
    if (rc == 0)
        rc = open_base(store, args, error);
    if (rc == 0) {
        *self = store;
        return 0;
    }
    weir_base_close(&store->base);
    weir_queue_folder_close(&store->queue);
    free(store);
    return rc;
}

/* ---- blocks ---- */

/* Fill a block's length and sum. */
static bool measure_block(struct weir_base_head *head,
                          const struct iovec *parts, int n)
{
    for (int i = 0; i < n; i++) {
        if (parts[i].iov_len > LEN_MAX - head->len)
            return false;
        head->len += parts[i].iov_len;
        head->crc =
            weir_common_crc32c(head->crc, parts[i].iov_base, parts[i].iov_len);
    }
    return true;
}

/* There may be room, but another program that reads has it. */
static int no_room(struct store *store, uint64_t len, weir_error *error)
{
    if (atomic_load(&store->room) >= len)
        atomic_store(&store->room, len > 0 ? len - 1 : 0);
    return store->host->fail(
        error, ENOSPC, "%s: the budget of %llu octets is used up",
        store->queue.path,
        (unsigned long long)(store->base.soft + store->base.reserve));
}

/* Where nothing is kept there is as much room as in a new database, but of the
 * old one another program that reads may have some. */
static int keep_block(struct store *store, const struct weir_base_head *head,
                      const struct iovec *parts, bool *full)
{
    int rc = weir_base_write(&store->base, head, parts, store->marks,
                             &store->n_marks, full);

    if (!*full || atomic_load(&store->count) > 0 ||
        head->len > weir_base_room(&store->base, true, 0))
        return rc;
    return weir_base_write_anew(&store->base, head, parts, full);
}

static int64_t write_block(void *self, const struct iovec *parts, int n,
                           uint32_t messages, uint64_t first, weir_error *error)
{
    struct store *store = self;
    struct weir_base_head head = {
        .handle = store->next, .first = first, .messages = messages};
    bool full = false;
    int rc = failed_before(store, error);

    if (rc < 0)
        return rc;
    if (!measure_block(&head, parts, n))
        return fail(store, error, ENOSPC, "a block beyond 4 GB");
    rc = keep_block(store, &head, parts, &full);
    if (rc == 0)
        atomic_fetch_add(&store->count, 1);
    measure(store);
    if (full)
        return no_room(store, head.len, error);
    if (rc < 0)
        return fail_or_poison(store, error, -rc, "cannot write");
    return (int64_t)store->next++;
}

static ssize_t read_block(void *self, int64_t handle, void *data, size_t room,
                          weir_error *error)
{
    struct store *store = self;
    struct weir_base_head head;
    int rc;

    if (handle < 0 || is_done(store, handle))
        return no_block(store, handle, error);
    rc = weir_base_read(&store->base, (uint64_t)handle, data, room, &head);
    if (rc == -ENOENT)
        return no_block(store, handle, error);
    if (rc == -ERANGE)
        return store->host->fail(error, ERANGE,
                                 "%s: a block of %llu octets, and room for %zu",
                                 store->queue.path,
                                 (unsigned long long)head.len, room);
    if (rc < 0)
        return fail(store, error, -rc, "cannot read");
    if (weir_common_crc32c(0, data, (size_t)head.len) != head.crc)
        return store->host->fail(error, EILSEQ,
                                 "%s: block %lld is not what was written",
                                 store->queue.path, (long long)handle);
    return (ssize_t)head.len;
}

/* How many messages of a block are consumed, when all up to `through` are. */
static uint32_t consumed_of(const struct weir_base_head *head, uint64_t through)
{
    if (head->messages == 0)
        return WEIR_BASE_ALL;
    if (through < head->first)
        return 0;
    if (through - head->first >= head->messages - 1)
        return WEIR_BASE_ALL;
    return (uint32_t)(through - head->first + 1);
}

static int add_mark(struct store *store, int64_t handle, uint32_t consumed,
                    weir_error *error)
{
    struct weir_base_mark *mark = mark_of(store, handle);
    int rc = 0;

    if (!mark && store->n_marks == MARKS)
        rc = apply_marks(store);
    if (rc < 0)
        return fail_or_poison(store, error, -rc, "cannot mark blocks");
    if (!mark) {
        mark = &store->marks[store->n_marks++];
        *mark = (struct weir_base_mark){.handle = (uint64_t)handle};
    }
    if (consumed > mark->consumed)
        mark->consumed = consumed;
    return 0;
}

/* A block may share pages with others, which may stay. */
static int block_went(struct store *store, uint64_t len, weir_error *error)
{
    bool last = atomic_fetch_sub(&store->count, 1) == 1;
    uint64_t own = weir_base_own(&store->base, len);
    int rc = 0;

    store->going += own;
    if (last || own > 0)
        measure(store);
    if (!last &&
        atomic_load(&store->room) < store->base.soft / TIGHT + store->going)
        rc = apply_marks(store);
    return rc < 0 ? fail_or_poison(store, error, -rc, "cannot mark blocks") : 0;
}

static int done_block(void *self, int64_t handle, uint64_t through,
                      weir_error *error)
{
    struct store *store = self;
    struct weir_base_head head;
    uint32_t consumed;
    int rc;

    if (handle < 0 || is_done(store, handle))
        return no_block(store, handle, error);
    rc = weir_base_find(&store->base, (uint64_t)handle, &head);
    if (rc == -ENOENT)
        return no_block(store, handle, error);
    if (rc < 0)
        return fail(store, error, -rc, "cannot read");
    consumed = consumed_of(&head, through);
    if (consumed <= head.consumed)
        return 0;
    rc = add_mark(store, handle, consumed, error);
    if (rc < 0 || consumed != WEIR_BASE_ALL)
        return rc;
    return block_went(store, head.len, error);
}

/* ---- what an earlier process left ---- */

static int recover_block(void *self, weir_block *block, uint32_t *consumed,
                         weir_error *error)
{
    struct store *store = self;
    struct weir_base_head head;
    int rc = weir_base_next(&store->base, store->recovered, &head);

    if (rc < 0)
        return fail(store, error, -rc, "cannot read");
    if (rc == 0)
        return 0;
    store->recovered = head.handle + 1;
    *block = (weir_block){.handle = (int64_t)head.handle,
                          .first = head.first,
                          .len = head.len,
                          .messages = head.messages};
    *consumed = head.consumed;
    return 1;
}

/* The database, its name in the folder, and the folder's own name. */
static int settle(struct store *store)
{
    int rc = weir_base_sync(&store->base);

    if (rc < 0 || store->base.settled)
        return rc;
    rc = weir_queue_folder_sync_fd(store->queue.fd);
    if (rc == 0)
        rc = weir_queue_folder_settle(&store->queue);
    store->base.settled = rc == 0;
    return rc;
}

static int sync_store(void *self, weir_error *error)
{
    struct store *store = self;
    int rc = failed_before(store, error);

    if (rc < 0)
        return rc;
    rc = apply_marks(store);
    if (rc < 0)
        return fail_or_poison(store, error, -rc, "cannot mark blocks");
    rc = settle(store);
    if (rc == 0)
        return 0;
    atomic_store(&store->failed, (uint32_t)-rc);
    return fail(store, error, -rc, "cannot sync");
}

static int list_queues(const weir_host *host, const char *dir,
                       int (*found)(void *arg, const char *queue), void *arg,
                       weir_error *error)
{
    return weir_queue_folder_list(host, dir, SUFFIX, found, arg, error);
}

static void stat_store(void *self, weir_store_stat *out)
{
    struct store *store = self;
    weir_store_stat stat = {.size = out->size};
    size_t size = out->size < sizeof stat ? out->size : sizeof stat;

    stat.failed = atomic_load(&store->failed);
    stat.blocks = atomic_load(&store->count);
    stat.bytes = atomic_load(&store->bytes);
    stat.recovered = store->found;
    stat.room = atomic_load(&store->room);
    stat.each = weir_base_each();
    memcpy(out, &stat, size);
}

static const weir_store_ops ops = {
    .size = sizeof ops,
    .modes = 1u << WEIR_STORE_DURABLE,
    .open = open_store,
    .write = write_block,
    .read = read_block,
    .done = done_block,
    .recover = recover_block,
    .sync = sync_store,
    .stat = stat_store,
    .close = close_store,
    .list = list_queues,
};

static const weir_provider providers[] = {
    {.kind = WEIR_STORE, .id = "lmdb", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(store_lmdb) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "store_lmdb",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "queues that survive a crash, in databases of LMDB",
    .providers = providers,
};
