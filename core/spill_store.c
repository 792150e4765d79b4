/*
 * spill_store.c - the blocks of a spill on their way to the store and back; see
 * spill.h.  No lock is held here: these are the helper's calls, one at a time.
 */
#include "config.h"

#include "spill_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"

enum { PARTS = 1024 /* of one write; more are copied together */ };

/* ---- opening ---- */

int weir_spill_open_store(const struct weir_spill_plan *plan, void **self,
                          weir_error *error)
{
    static _Atomic uint64_t number;
    char name[64];
    weir_store_args args = {.size = sizeof(args),
                            .mode = WEIR_STORE_SPILL,
                            .budget = plan->budget,
                            .dir = plan->dir,
                            .queue = name};

    if (plan->name) {
        args.mode = WEIR_STORE_DURABLE;
        args.queue = plan->name;
        return plan->store->open(plan->host, &args, self, error);
    }
    snprintf(name, sizeof(name), "spill-%ld-%llu", (long)getpid(),
             (unsigned long long)atomic_fetch_add(&number, 1));
    return plan->store->open(plan->host, &args, self, error);
}

int weir_spill_try(const struct weir_spill_plan *plan)
{
    char text[512] = "";
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    void *self = NULL;
    int r = weir_spill_open_store(plan, &self, &error);

    if (r < 0)
        return weir_fail(-r, "%s", text[0] ? text : weir_strerror(-r));
    plan->store->close(self, 0);
    return 0;
}

int weir_spill_open_own(struct weir_spill *spill, weir_error *error)
{
    const struct weir_spill_plan plan = {
        .store = spill->ops,
        .host = spill->host,
        .dir = spill->dir,
        .budget = spill->budget,
        .name = spill->durable ? spill->durable->name : NULL};

    return spill->self ? 0 : weir_spill_open_store(&plan, &spill->self, error);
}

/* Of a store that does not say what room there is, all that is put fits. */
weir_store_stat weir_spill_look(struct weir_spill *spill)
{
    weir_store_stat stat = {.size = sizeof(stat)};

    if (spill->self)
        spill->ops->stat(spill->self, &stat);
    if (stat.each == 0)
        stat.room = UINT64_MAX;
    return stat;
}

uint64_t weir_spill_disk_use(struct weir_spill *spill)
{
    return weir_spill_look(spill).bytes;
}

bool weir_spill_may_pass(const weir_store_stat *stat, int code)
{
    return weir_spill_is_passing(code) && stat->failed == 0;
}

/* ---- reading ---- */

bool weir_spill_is_shortage(int code)
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
        (!block->found && weir_crc32c(0, data, block->octets) != block->sum)) {
        snprintf(error->text, error->room,
                 "a block of %llu octets did not come back as it was written",
                 (unsigned long long)block->octets);
        return EILSEQ;
    }
    return 0;
}

struct weir_chunk *weir_spill_read_block(struct weir_spill *spill,
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

/* ---- writing ---- */

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

int64_t weir_spill_write_block(struct weir_spill *spill,
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
