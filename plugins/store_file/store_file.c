/*
 * store_file.c - blocks in files: spill, in segments that have no name, and
 * durable, in segments that an earlier process may have left.
 *
 * Blocks are appended to the youngest segment.  A segment of which every
 * block is done is closed, whatever its age, and the system has its space
 * again.  The first segment is small, and each is as big as all before it, up
 * to a limit: a short overflow sets little space aside, and a long one is
 * written in long runs.  What is left of a segment when the next block does
 * not fit is given back.  A block of a spill begins where a page does: it costs
 * the system half as much to take as one that shares pages with others, and is
 * often just as long as some pages.
 *
 * Durable, a head with a checksum goes before each block, and has room for
 * two marks, written in turn, that say what of the block is consumed; so
 * consumption takes no space, and a torn mark leaves the one before.
 * Segments that were found are never appended to, and nothing of them changes
 * before the first write: who only looks leaves all as it was.
 * Above: the host, through <weir/store.h>.  Below: segment.h, recover.h.
 */
#include "config.h"

#include "places.h"
#include "record.h"
#include "recover.h"
#include "segment.h"

#include "../common/crc32c.h"
#include "../common/queue_folder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX       ".weir"
#define SMALLEST     (UINT64_C(64) << 10) /* first segment, small budgets */
#define SMALL        (UINT64_C(1) << 20)  /* and large ones */
#define LARGE        (UINT64_C(64) << 20) /* last segment */
#define SEGMENTS     64 /* of the largest size that a budget has */
#define EMPTY_PART   16 /* of a budget, that an empty segment may have */
#define EACH         (2 * WEIR_SEGMENT_PAGE) /* two heads, and whole pages */
#define OWN_OVERHEAD 8192 /* the lock, and the folder itself */

struct store {
    struct weir_segment_folder folder;
    struct weir_queue_folder queue; /* durable */
    struct weir_segment *oldest, *youngest;
    struct weir_places places;
    uint64_t budget;
    uint64_t next_number; /* of a segment */
    uint32_t recovered;   /* places that recover() has gone through */
    bool durable;
    bool appends; /* the youngest segment is ours */
    bool tidy;    /* nothing torn, and no empty segment, was found or is left */
    uint64_t found, torn; /* messages and octets, for stat() */
    /* These are read from any thread. */
    _Atomic uint64_t bytes, count, room, each;
    _Atomic uint32_t failed;
    char dir[];
};

static int no_block(const struct store *store, int64_t handle,
                    weir_error *error)
{
    return store->folder.host->fail(error, EINVAL, "%s: there is no block %lld",
                                    store->folder.path, (long long)handle);
}

/* After this every write fails in the same way. */
static int poison(struct store *store, int code, const char *what,
                  weir_error *error)
{
    atomic_store(&store->failed, (uint32_t)code);
    return weir_segment_fail(&store->folder, error, code, what);
}

/* Want of space, memory or descriptors passes; the disk is not to blame. */
static bool is_passing(int code)
{
    return code == ENOSPC || code == ENOMEM || code == EMFILE || code == ENFILE;
}

static int fail_or_poison(struct store *store, int code, const char *what,
                          weir_error *error)
{
    if (is_passing(code))
        return weir_segment_fail(&store->folder, error, code, what);
    return poison(store, code, what, error);
}

static int failed_before(const struct store *store, weir_error *error)
{
    int code = (int)atomic_load(&store->failed);

    return code == 0 ? 0
                     : weir_segment_fail(&store->folder, error, code,
                                         "an earlier write failed");
}

/* ---- segments ---- */

static void unlink_segment(struct store *store, struct weir_segment *segment)
{
    struct weir_segment **at = &store->oldest, *before = NULL;

    while (*at != segment) {
        before = *at;
        at = &before->next;
    }
    *at = segment->next;
    if (store->youngest == segment) {
        store->youngest = before;
        store->appends = false;
    }
    atomic_fetch_sub(&store->bytes, segment->size);
    weir_segment_drop(segment);
}

/* Remove a segment, name and all. */
static int drop_segment(struct store *store, struct weir_segment *segment)
{
    int rc = weir_segment_remove(&store->folder, segment);

    if (rc == 0)
        unlink_segment(store, segment);
    return rc;
}

static void append_segment(struct store *store, struct weir_segment *segment)
{
    if (store->youngest)
        store->youngest->next = segment;
    else
        store->oldest = segment;
    store->youngest = segment;
    store->appends = true;
    atomic_fetch_add(&store->bytes, segment->size);
}

/* Give back what a segment has aside, beyond what is in it. */
static int trim(struct store *store, struct weir_segment *segment)
{
    uint64_t before = segment->size;
    int rc = weir_segment_trim(segment);

    atomic_fetch_add(&store->bytes, segment->size - before);
    return rc;
}

/* Nothing is appended to it any more. */
static int retire(struct store *store, struct weir_segment *segment)
{
    if (segment->unread)
        return 0;
    return segment->blocks ? trim(store, segment)
                           : drop_segment(store, segment);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How big the next segment should be, for a block that needs `len` octets of
 * it; 0: they are beyond the budget.  Small budgets have small segments, lest
 * a few blocks keep most of it; with large ones they grow, so that no store
 * has more than about a hundred descriptors. */
static uint64_t next_size(const struct store *store, uint64_t len)
{
    uint64_t used = atomic_load(&store->bytes);
    uint64_t room = store->budget > used ? store->budget - used : 0;
    uint64_t first = least(SMALL, most(SMALLEST, store->budget / 16));
    uint64_t last = most(least(LARGE, store->budget / 8),
                         most(first, store->budget / SEGMENTS));
    uint64_t size = least(least(most(first, used), last), room);

    size = size & ~(WEIR_SEGMENT_PAGE - 1);
    if (len > room)
        return 0;
    return least(most(size, weir_segment_pages(len)), room);
}

/* A disk that has not the room for a whole segment may have it for less. */
static int make_segment(struct store *store, uint64_t len, weir_error *error)
{
    uint64_t size = next_size(store, len);
    uint64_t smallest = least(weir_segment_pages(len), size);
    struct weir_segment *segment = NULL;
    int rc;

    if (size == 0)
        return store->folder.host->fail(
            error, ENOSPC, "%s: the budget of %llu octets is used up",
            store->folder.path, (unsigned long long)store->budget);
    for (;;) {
        rc = weir_segment_make(&store->folder, store->next_number, size,
                               &segment, error);
        if (rc != -ENOSPC || size == smallest)
            break;
        size = most(weir_segment_pages(size / 2), smallest);
    }
    if (rc == 0) {
        store->next_number++;
        append_segment(store, segment);
    }
    return rc;
}

/* Where the next record of a segment, or the next block of a spill, begins. */
static uint64_t next_at(const struct store *store,
                        const struct weir_segment *segment)
{
    return store->durable ? weir_record_align(segment->end)
                          : weir_segment_pages(segment->end);
}

/* Make sure that the youngest segment has room for a block. */
static int make_room(struct store *store, uint64_t len, weir_error *error)
{
    struct weir_segment *segment = store->appends ? store->youngest : NULL;
    int rc = 0;

    if (segment && segment->size >= next_at(store, segment) &&
        segment->size - next_at(store, segment) >= len)
        return 0;
    if (segment)
        rc = retire(store, segment);
    if (rc < 0)
        return weir_segment_fail(&store->folder, error, -rc,
                                 "cannot give space back");
    /* A segment's own head, and no system makes room for nothing. */
    len += store->durable ? WEIR_RECORD_HEAD : len == 0;
    return make_segment(store, len, error);
}

/* Called by the first write or done, which say that this is no mere look:
 * what was torn goes, and what is set aside in segments that nobody appends
 * to. */
static int tidy_up(struct store *store)
{
    struct weir_segment *segment = store->oldest, *next;
    int rc = 0;

    for (; rc == 0 && segment; segment = next) {
        next = segment->next;
        rc = retire(store, segment);
    }
    store->tidy = rc == 0;
    return rc;
}

/* ---- how much more there is room for ---- */

/* Octets of its segments' heads and the block's own. */
static uint64_t heads(const struct store *store)
{
    return store->durable ? (uint64_t)2 * WEIR_RECORD_HEAD : 0;
}

static uint64_t used_of(const struct weir_segment *segment)
{
    return least(segment->size, weir_segment_pages(segment->end));
}

/* Octets of a segment that are not to be had: what is aside behind its end goes
 * when another is made, and one without blocks goes wholly. */
static uint64_t taken_by(const struct weir_segment *segment)
{
    if (segment->unread)
        return segment->size;
    return segment->blocks == 0 ? 0 : used_of(segment);
}

/* A short block goes behind what was in a segment that is kept empty, which
 * then is not to be had for others. */
static uint64_t lost_with_next(const struct store *store)
{
    const struct weir_segment *segment =
        store->appends ? store->youngest : NULL;

    return segment && segment->blocks == 0 ? used_of(segment) : 0;
}

/* Once all is tidy only the youngest has anything aside. */
static uint64_t taken(const struct store *store)
{
    uint64_t octets = atomic_load(&store->bytes);
    const struct weir_segment *segment =
        store->tidy ? store->youngest : store->oldest;

    for (; segment; segment = segment->next)
        octets -= segment->size - taken_by(segment);
    return octets;
}

static void measure_room(struct store *store)
{
    uint64_t octets = taken(store) + heads(store);

    atomic_store(&store->room,
                 store->budget > octets ? store->budget - octets : 0);
    atomic_store(&store->each, EACH + lost_with_next(store));
}

/* ---- opening and closing ---- */

static void forget(struct store *store)
{
    while (store->oldest)
        unlink_segment(store, store->oldest);
    weir_places_fini(&store->places);
    if (store->durable)
        weir_queue_folder_close(&store->queue);
    else if (store->folder.fd >= 0)
        weir_common_close_own(store->folder.host, store->folder.fd);
    free(store);
}

static void close_store(void *self, int keep)
{
    struct store *store = self;

    if (keep && store->appends && store->youngest->blocks == 0)
        (void)drop_segment(store, store->youngest);
    while (!keep && store->oldest && drop_segment(store, store->oldest) == 0)
        ;
    /* A queue without blocks leaves no folder behind. */
    if (store->durable && !store->oldest)
        weir_queue_folder_remove(&store->queue);
    forget(store);
}

static int open_spill(struct store *store, const weir_store_args *args,
                      weir_error *error)
{
    size_t size = strlen(args->dir) + 1;

    memcpy(store->dir, args->dir, size);
    store->folder.path = store->dir;
    store->tidy = true;
    return weir_segment_open_folder(&store->folder, error);
}

static int open_durable(struct store *store, const weir_store_args *args,
                        weir_error *error)
{
    struct weir_recovery found = {0};
    int rc;

    store->durable = true;
    rc = weir_queue_folder_open(&store->queue, store->folder.host, args, SUFFIX,
                                error);
    if (rc < 0)
        return rc;
    store->folder.fd = store->queue.fd;
    store->folder.path = store->queue.path;
    store->folder.named = true;
    /* Who had the queue before may have ended without a sync. */
    store->folder.changed = true;
    rc = weir_recover(&store->folder, &found, error);
    store->oldest = found.oldest;
    store->youngest = found.youngest;
    store->places = found.places;
    store->next_number = found.youngest ? found.youngest->number + 1 : 1;
    store->found = found.messages;
    store->torn = found.torn;
    atomic_store(&store->bytes, found.bytes + OWN_OVERHEAD);
    atomic_store(&store->count, found.blocks);
    return rc;
}

static int open_store(const weir_host *host, const weir_store_args *args,
                      void **self, weir_error *error)
{
    struct store *store = calloc(1, sizeof *store + strlen(args->dir) + 1);
    int rc;

    if (!store)
        return host->fail(error, ENOMEM, "%s: no memory for a store",
                          args->dir);
    store->folder = (struct weir_segment_folder){.host = host, .fd = -1};
    store->budget = least(args->budget, INT64_MAX);
    if (args->mode == WEIR_STORE_DURABLE)
        rc = open_durable(store, args, error);
    else
        rc = open_spill(store, args, error);
    if (rc < 0) {
        forget(store);
        return rc;
    }
    measure_room(store);
    *self = store;
    return 0;
}

/* ---- blocks ---- */

/* Octets of all parts; UINT64_MAX if that is beyond all files. */
static uint64_t total(const struct iovec *parts, int n)
{
    uint64_t len = 0;

    for (int i = 0; i < n; i++) {
        if (parts[i].iov_len > INT64_MAX / 2 - len)
            return UINT64_MAX;
        len += parts[i].iov_len;
    }
    return len;
}

static uint32_t sum(const struct iovec *parts, int n)
{
    uint32_t crc = 0;

    for (int i = 0; i < n; i++)
        crc = weir_common_crc32c(crc, parts[i].iov_base, parts[i].iov_len);
    return crc;
}

/* Write a block, behind its head if it has one, at octet `at`. */
static int write_parts(struct store *store, struct weir_record *record,
                       const struct iovec *parts, int n, uint64_t at)
{
    struct weir_segment *segment = store->youngest;
    uint8_t head[WEIR_RECORD_HEAD];
    int rc = 0;

    if (store->durable) {
        record->crc = sum(parts, n);
        weir_record_pack(head, segment->number, at, record);
        rc = weir_segment_write(segment, head, sizeof head, at);
        at += sizeof head;
    }
    return rc < 0 ? rc : weir_segment_write_parts(segment, parts, n, at);
}

/* A block failed: nothing of it is kept, nor the segment, if that was made for
 * it.  What was written of it would count as torn. */
static int take_back(struct store *store)
{
    struct weir_segment *segment = store->youngest;

    if (segment->blocks == 0)
        return drop_segment(store, segment);
    return store->durable ? trim(store, segment) : 0;
}

/* A block has been written at `at`. */
static int64_t add_block(struct store *store, const struct weir_record *record,
                         uint64_t at)
{
    struct weir_place *place = weir_places_take(&store->places);

    place->segment = store->youngest;
    place->at = at;
    place->len = record->len;
    place->first = record->first;
    place->messages = record->messages;
    place->consumed = 0;
    place->crc = record->crc;
    place->mark = WEIR_RECORD_MARKS - 1;
    place->headless = false;
    store->youngest->end =
        at + record->len + (store->durable ? WEIR_RECORD_HEAD : 0);
    store->youngest->blocks++;
    atomic_fetch_add(&store->count, 1);
    if (!store->durable)
        weir_segment_push(&store->folder, store->youngest);
    return weir_places_handle(&store->places, place);
}

/* All that a write needs before it writes. */
static int prepare(struct store *store, uint64_t len, weir_error *error)
{
    int rc = failed_before(store, error);

    if (rc < 0)
        return rc;
    rc = store->tidy ? 0 : tidy_up(store);
    if (rc < 0)
        return fail_or_poison(store, -rc, "cannot tidy up", error);
    if (weir_places_reserve(&store->places) < 0)
        return weir_segment_fail(&store->folder, error, ENOMEM, "a block");
    rc = make_room(store, len, error);
    if (rc < 0 && !is_passing(-rc))
        return poison(store, -rc, "cannot make a segment", error);
    return rc;
}

static int64_t keep_block(struct store *store, const struct iovec *parts, int n,
                          uint32_t messages, uint64_t first, weir_error *error)
{
    struct weir_record record = {
        .first = first, .len = total(parts, n), .messages = messages};
    uint64_t need = record.len + (store->durable ? WEIR_RECORD_HEAD : 0), at;
    int rc, undone;

    if (record.len == UINT64_MAX)
        return weir_segment_fail(&store->folder, error, ENOSPC, "a block");
    rc = prepare(store, need, error);
    if (rc < 0)
        return rc;
    at = next_at(store, store->youngest);
    rc = write_parts(store, &record, parts, n, at);
    if (rc == 0)
        return add_block(store, &record, at);
    undone = take_back(store);
    if (undone < 0)
        return poison(store, -undone, "cannot take a block back", error);
    return fail_or_poison(store, -rc, "cannot write", error);
}

static int64_t write_block(void *self, const struct iovec *parts, int n,
                           uint32_t messages, uint64_t first, weir_error *error)
{
    struct store *store = self;
    int64_t rc = keep_block(store, parts, n, messages, first, error);

    measure_room(store);
    return rc;
}

static ssize_t read_block(void *self, int64_t handle, void *data, size_t room,
                          weir_error *error)
{
    struct store *store = self;
    const struct weir_place *place = weir_places_find(&store->places, handle);
    uint64_t at;
    int rc;

    if (!place)
        return no_block(store, handle, error);
    if (room < place->len)
        return store->folder.host->fail(
            error, ERANGE, "%s: a block of %llu octets, and room for %zu",
            store->folder.path, (unsigned long long)place->len, room);
    at = place->at + (store->durable ? WEIR_RECORD_HEAD : 0);
    rc = weir_segment_read(place->segment, data, (size_t)place->len, at);
    if (rc < 0)
        return weir_segment_fail(&store->folder, error, -rc, "cannot read");
    if (place->headless ||
        (store->durable &&
         weir_common_crc32c(0, data, (size_t)place->len) != place->crc))
        return store->folder.host->fail(
            error, EILSEQ,
            "%s/%016llx.seg: the block at %llu is not what was written",
            store->folder.path, (unsigned long long)place->segment->number,
            (unsigned long long)place->at);
    return (ssize_t)place->len;
}

/* ---- consumption ---- */

/* A mark counts with a whole head only: a damaged one is made anew.  That its
 * block is damaged is still seen by its sum, which is the wrong one. */
static int mend_head(struct weir_place *place)
{
    struct weir_record record = {
        .first = place->first, .len = place->len, .messages = place->messages};
    uint8_t head[WEIR_RECORD_HEAD];
    int rc = weir_recover_sum(place->segment, place->at + sizeof head,
                              place->len, &record.crc);

    if (rc < 0)
        return rc;
    place->crc = record.crc = ~record.crc;
    weir_record_pack(head, place->segment->number, place->at, &record);
    rc = weir_segment_write(place->segment, head, sizeof head, place->at);
    place->headless = rc < 0;
    return rc;
}

/* Write down that so many messages of a block are consumed. */
static int mark_block(struct weir_place *place, uint32_t consumed)
{
    uint8_t octets[WEIR_RECORD_MARK];
    uint8_t mark = (uint8_t)((place->mark + 1) % WEIR_RECORD_MARKS);
    int rc = place->headless ? mend_head(place) : 0;

    if (rc < 0)
        return rc;
    weir_record_mark(octets, place->segment->number, place->at, consumed);
    rc = weir_segment_write(place->segment, octets, sizeof octets,
                            weir_record_mark_at(place->at, mark));
    if (rc == 0)
        place->mark = mark;
    return rc;
}

static int done_in_part(struct store *store, struct weir_place *place,
                        uint64_t consumed, weir_error *error)
{
    int rc;

    if (consumed <= place->consumed)
        return 0;
    rc = store->durable ? mark_block(place, (uint32_t)consumed) : 0;
    if (rc < 0)
        return fail_or_poison(store, -rc, "cannot mark a block", error);
    place->consumed = (uint32_t)consumed;
    return 0;
}

/* Through a durable queue each message passes, and most of the time it is
 * empty: a small segment stays for what comes next, until much of it is used.
 */
static bool is_kept_empty(const struct store *store,
                          const struct weir_segment *segment)
{
    return store->durable && store->appends && segment == store->youngest &&
           segment->size <= SMALL &&
           weir_segment_pages(segment->end) <=
               most(WEIR_SEGMENT_PAGE, store->budget / EMPTY_PART);
}

static int done_wholly(struct store *store, struct weir_place *place,
                       weir_error *error)
{
    struct weir_segment *segment = place->segment;
    int rc = store->durable ? mark_block(place, WEIR_RECORD_ALL) : 0;

    if (rc < 0)
        return fail_or_poison(store, -rc, "cannot mark a block", error);
    weir_places_free(&store->places, place);
    atomic_fetch_sub(&store->count, 1);
    if (--segment->blocks > 0 || segment->unread ||
        is_kept_empty(store, segment))
        return 0;
    rc = drop_segment(store, segment);
    return rc < 0 ? poison(store, -rc, "cannot remove a segment", error) : 0;
}

static int let_go(struct store *store, struct weir_place *place,
                  uint64_t through, weir_error *error)
{
    int rc = store->tidy ? 0 : tidy_up(store);

    if (rc < 0)
        return fail_or_poison(store, -rc, "cannot tidy up", error);
    if (place->messages > 0 && through - place->first < place->messages - 1)
        return done_in_part(store, place, through - place->first + 1, error);
    return done_wholly(store, place, error);
}

static int done_block(void *self, int64_t handle, uint64_t through,
                      weir_error *error)
{
    struct store *store = self;
    struct weir_place *place = weir_places_find(&store->places, handle);
    int rc;

    if (!place)
        return no_block(store, handle, error);
    if (place->messages > 0 && through < place->first)
        return 0;
    rc = let_go(store, place, through, error);
    measure_room(store);
    return rc;
}

/* ---- what an earlier process left ---- */

static int recover_block(void *self, weir_block *block, uint32_t *consumed,
                         weir_error *error)
{
    struct store *store = self;
    const struct weir_place *place;

    (void)error;
    do {
        if (store->recovered >= store->places.count)
            return 0;
        place = &store->places.list[store->recovered++];
    } while (!place->segment);
    *block = (weir_block){.handle = weir_places_handle(&store->places, place),
                          .first = place->first,
                          .len = place->len,
                          .messages = place->messages};
    *consumed = place->consumed;
    return 1;
}

/* Data before names: a name that lasts stands for what is in the file. */
static int sync_store(void *self, weir_error *error)
{
    struct store *store = self;
    int rc = failed_before(store, error);

    if (rc < 0)
        return rc;
    for (struct weir_segment *segment = store->oldest; rc == 0 && segment;
         segment = segment->next)
        rc = segment->dirty ? weir_segment_sync(segment) : 0;
    if (rc == 0 && store->folder.changed)
        rc = weir_queue_folder_sync_fd(store->folder.fd);
    if (rc == 0)
        rc = weir_queue_folder_settle(&store->queue);
    if (rc < 0)
        return poison(store, -rc, "cannot sync", error);
    store->folder.changed = false;
    return 0;
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

    stat.failed = atomic_load(&store->failed);
    stat.blocks = atomic_load(&store->count);
    stat.bytes = atomic_load(&store->bytes);
    stat.recovered = store->found;
    stat.torn = store->torn;
    stat.room = atomic_load(&store->room);
    stat.each = atomic_load(&store->each);
    memcpy(out, &stat, least(out->size, sizeof stat));
}

static const weir_store_ops ops = {
    .size = sizeof ops,
    .modes = 1u << WEIR_STORE_SPILL | 1u << WEIR_STORE_DURABLE,
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
    .summary = "queues that overflow to disk or survive a crash, in files",
    .providers = providers,
};
