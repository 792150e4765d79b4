/*
 * store_file.c - blocks in files: spill, in segments that have no name.
 *
 * Blocks are appended to the youngest segment.  A segment of which every
 * block is done is closed, whatever its age, and the system has its space
 * again.  The first segment is small, and each is as big as all before it, up
 * to a limit: a short overflow sets little space aside, and a long one is
 * written in long runs.
 * Above: the host, through <weir/store.h>.  Below: segment.h.
 */
#include "config.h"

#include "segment.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_MIN (UINT64_C(1) << 20)
#define SEGMENT_MAX (UINT64_C(64) << 20)
#define BLOCKS_MIN  64

/* A block that is kept, or a free place for one. */
struct block {
    struct weir_segment *segment; /* NULL: free */
    uint64_t at, len, last;       /* last: sequence number */
    uint32_t turn;                /* of the place; a part of the handle */
    uint32_t next_free;           /* place + 1; 0 is the end */
};

struct store {
    struct weir_segment_folder folder;
    struct weir_segment *oldest, *youngest;
    struct block *blocks;
    uint32_t n_blocks, free; /* places; the first free one + 1 */
    uint64_t budget;
    /* These are read from any thread. */
    _Atomic uint64_t bytes, count;
    _Atomic uint32_t failed;
    char dir[];
};

/* ---- places for blocks ---- */

static int grow(struct store *store)
{
    uint32_t n = store->n_blocks ? 2 * store->n_blocks : BLOCKS_MIN;
    struct block *blocks;

    if (n < store->n_blocks || n > INT32_MAX)
        return -ENOMEM;
    blocks = realloc(store->blocks, n * sizeof *blocks);
    if (!blocks)
        return -ENOMEM;
    memset(blocks + store->n_blocks, 0, (n - store->n_blocks) * sizeof *blocks);
    for (uint32_t i = n; i > store->n_blocks; i--) {
        blocks[i - 1].next_free = store->free;
        store->free = i;
    }
    store->blocks = blocks;
    store->n_blocks = n;
    return 0;
}

/* The turn makes a handle that is over differ from the next one's. */
static int64_t handle_of(const struct store *store, uint32_t place)
{
    uint32_t turn = store->blocks[place].turn & INT32_MAX;

    return (int64_t)((uint64_t)turn << 32 | place);
}

static struct block *find(const struct store *store, int64_t handle)
{
    uint64_t place = (uint64_t)handle & UINT32_MAX;

    if (handle < 0 || place >= store->n_blocks ||
        !store->blocks[place].segment ||
        handle_of(store, (uint32_t)place) != handle)
        return NULL;
    return &store->blocks[place];
}

static int no_block(const struct store *store, int64_t handle,
                    weir_error *error)
{
    return store->folder.host->fail(error, EINVAL, "%s: there is no block %lld",
                                    store->dir, (long long)handle);
}

/* ---- segments ---- */

static void drop_segment(struct store *store, struct weir_segment *segment)
{
    struct weir_segment **at = &store->oldest, *before = NULL;

    while (*at != segment) {
        before = *at;
        at = &before->next;
    }
    *at = segment->next;
    if (store->youngest == segment)
        store->youngest = before;
    atomic_fetch_sub(&store->bytes, segment->size);
    weir_segment_drop(segment);
}

static void append_segment(struct store *store, struct weir_segment *segment)
{
    if (store->youngest)
        store->youngest->next = segment;
    else
        store->oldest = segment;
    store->youngest = segment;
    atomic_fetch_add(&store->bytes, segment->size);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How big the next segment should be; 0: `len` octets are beyond the budget. */
static uint64_t next_size(const struct store *store, uint64_t len)
{
    uint64_t used = atomic_load(&store->bytes);
    uint64_t room = store->budget - used;
    uint64_t size = used < SEGMENT_MIN ? SEGMENT_MIN : used;

    if (len > room)
        return 0;
    size = least(least(size, SEGMENT_MAX), room);
    return size < len ? len : size;
}

/* A disk that has not the room for a whole segment may have it for less. */
static int make_segment(struct store *store, uint64_t len, weir_error *error)
{
    uint64_t size = next_size(store, len);
    struct weir_segment *segment = NULL;
    int rc;

    if (size == 0)
        return store->folder.host->fail(
            error, ENOSPC, "%s: the budget of %llu octets is used up",
            store->dir, (unsigned long long)store->budget);
    for (;;) {
        rc = weir_segment_make(&store->folder, size, &segment, error);
        if (rc != -ENOSPC || size == len)
            break;
        size = size / 2 < len ? len : size / 2;
    }
    if (rc == 0)
        append_segment(store, segment);
    return rc;
}

/* Make sure that the youngest segment has room for a block. */
static int make_room(struct store *store, uint64_t len, weir_error *error)
{
    const struct weir_segment *segment = store->youngest;

    if (len == 0)
        len = 1; /* no system makes room for nothing */
    if (segment && segment->size - segment->end >= len)
        return 0;
    return make_segment(store, len, error);
}

/* ---- the calls ---- */

static void close_store(void *self, int keep)
{
    struct store *store = self;

    (void)keep; /* nothing of a spill stays */
    while (store->oldest)
        drop_segment(store, store->oldest);
    if (store->folder.fd >= 0)
        (void)close(store->folder.fd);
    free(store->blocks);
    free(store);
}

static int open_store(const weir_host *host, const weir_store_args *args,
                      void **self, weir_error *error)
{
    size_t size = strlen(args->dir) + 1;
    struct store *store;
    int rc;

    if (args->mode != WEIR_STORE_SPILL)
        return host->fail(error, EOPNOTSUPP,
                          "%s: store_file has no mode %u but spill", args->dir,
                          (unsigned)args->mode);
    store = calloc(1, sizeof *store + size);
    if (!store)
        return host->fail(error, ENOMEM, "%s: no memory for a store",
                          args->dir);
    memcpy(store->dir, args->dir, size);
    store->folder = (struct weir_segment_folder){
        .host = host, .fd = -1, .path = store->dir};
    store->budget = args->budget;
    rc = weir_segment_open_folder(&store->folder, error);
    if (rc < 0)
        close_store(store, 0);
    else
        *self = store;
    return rc;
}

/* Octets of all parts; UINT64_MAX if that is beyond all files. */
static uint64_t total(const struct iovec *parts, int n)
{
    uint64_t len = 0;

    for (int i = 0; i < n; i++) {
        if (parts[i].iov_len > INT64_MAX - len)
            return UINT64_MAX;
        len += parts[i].iov_len;
    }
    return len;
}

/* What is written before a failure is written over by the next block. */
static int write_parts(const struct weir_segment *segment,
                       const struct iovec *parts, int n)
{
    uint64_t at = segment->end;
    int rc = 0;

    for (int i = 0; rc == 0 && i < n; i++) {
        rc = weir_segment_write(segment, parts[i].iov_base, parts[i].iov_len,
                                at);
        at += parts[i].iov_len;
    }
    return rc;
}

/* After this every write fails in the same way. */
static int poison(struct store *store, int code, const char *what,
                  weir_error *error)
{
    atomic_store(&store->failed, (uint32_t)code);
    return weir_segment_fail(&store->folder, error, code, what);
}

/* Want of memory or descriptors passes; the disk is not to blame. */
static bool is_passing(int code)
{
    return code == ENOSPC || code == ENOMEM || code == EMFILE || code == ENFILE;
}

/* Take the first free place for a block at the end of the youngest segment. */
static int64_t add_block(struct store *store, uint64_t len, uint64_t last)
{
    uint32_t place = store->free - 1;
    struct block *block = &store->blocks[place];

    store->free = block->next_free;
    block->segment = store->youngest;
    block->at = store->youngest->end;
    block->len = len;
    block->last = last;
    store->youngest->end += len;
    store->youngest->blocks++;
    atomic_fetch_add(&store->count, 1);
    return handle_of(store, place);
}

/* A segment that was made for a block which then failed is not kept. */
static void drop_if_empty(struct store *store)
{
    if (store->youngest && store->youngest->blocks == 0)
        drop_segment(store, store->youngest);
}

static int64_t write_block(void *self, const struct iovec *parts, int n,
                           uint32_t messages, uint64_t first, weir_error *error)
{
    struct store *store = self;
    uint64_t len = total(parts, n);
    int failed = (int)atomic_load(&store->failed), rc;

    if (failed)
        return weir_segment_fail(&store->folder, error, failed,
                                 "an earlier write failed");
    if (store->free == 0 && grow(store) < 0)
        return weir_segment_fail(&store->folder, error, ENOMEM, "a block");
    rc = make_room(store, len, error);
    if (rc < 0 && !is_passing(-rc))
        return poison(store, -rc, "cannot make a segment", error);
    if (rc < 0)
        return rc;
    rc = write_parts(store->youngest, parts, n);
    if (rc == 0)
        return add_block(store, len, first + messages - 1);
    drop_if_empty(store);
    if (rc == -ENOSPC)
        return weir_segment_fail(&store->folder, error, ENOSPC, "cannot write");
    return poison(store, -rc, "cannot write", error);
}

static ssize_t read_block(void *self, int64_t handle, void *data, size_t room,
                          weir_error *error)
{
    struct store *store = self;
    const struct block *block = find(store, handle);
    int rc;

    if (!block)
        return no_block(store, handle, error);
    if (room < block->len)
        return store->folder.host->fail(
            error, ERANGE, "%s: a block of %llu octets, and room for %zu",
            store->dir, (unsigned long long)block->len, room);
    rc = weir_segment_read(block->segment, data, (size_t)block->len, block->at);
    if (rc < 0)
        return weir_segment_fail(&store->folder, error, -rc, "cannot read");
    return (ssize_t)block->len;
}

static int done_block(void *self, int64_t handle, uint64_t through,
                      weir_error *error)
{
    struct store *store = self;
    struct block *block = find(store, handle);
    struct weir_segment *segment;

    if (!block)
        return no_block(store, handle, error);
    if (through < block->last)
        return 0;
    segment = block->segment;
    block->segment = NULL;
    block->turn++;
    block->next_free = store->free;
    store->free = (uint32_t)(block - store->blocks) + 1;
    atomic_fetch_sub(&store->count, 1);
    if (--segment->blocks == 0)
        drop_segment(store, segment);
    return 0;
}

static void stat_store(void *self, weir_store_stat *out)
{
    struct store *store = self;
    weir_store_stat stat = {.size = out->size};

    stat.failed = atomic_load(&store->failed);
    stat.blocks = atomic_load(&store->count);
    stat.bytes = atomic_load(&store->bytes);
    memcpy(out, &stat, least(out->size, sizeof stat));
}

static const weir_store_ops ops = {
    .size = sizeof ops,
    .modes = 1u << WEIR_STORE_SPILL,
    .open = open_store,
    .write = write_block,
    .read = read_block,
    .done = done_block,
    .stat = stat_store,
    .close = close_store,
};

static const weir_provider providers[] = {
    {.kind = WEIR_STORE, .id = "file", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(store_file) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "store_file",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "queues that overflow to disk, in files without a name",
    .providers = providers,
};
