/*
 * store_run.h - what the cases for stores share: a store under test, its
 * blocks, and the first thing that went wrong.
 * Above: store.c, store_durable.c, store_crash.c.  Below: <weir/store.h>.
 */
#ifndef WEIR_CHECK_STORE_RUN_H
#define WEIR_CHECK_STORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/store.h>

#include "check.h"

#define WEIR_CHECK_KB     ((size_t)1024)
#define WEIR_CHECK_MB     (1024 * WEIR_CHECK_KB)
#define WEIR_CHECK_BUDGET (64 * WEIR_CHECK_MB)
#define WEIR_CHECK_BLOCK  (24 * WEIR_CHECK_MB) /* the largest block */
#define WEIR_CHECK_QUEUE  "weir-check"

/* A case under way. */
struct weir_run {
    struct weir_check_store *check;
    uint32_t mode;
    const char *queue; /* that is opened */
    void *self;
    unsigned char *data, *back; /* WEIR_CHECK_BLOCK octets each */
    bool skipped;               /* detail says why */
    char folder[64], detail[512], text[512];
    weir_error error;
};

/* A case for the modes 1 << WEIR_STORE_*. */
struct weir_check_case {
    const char *name;
    bool (*test)(struct weir_run *run);
    uint32_t modes;
};

/* They end with a case without a name. */
extern const struct weir_check_case weir_check_durable_cases[];
extern const struct weir_check_case weir_check_crash_cases[];

/* The host that stores are opened with. */
extern const weir_host weir_run_host;

/* Keep what went wrong, if it is the first; returns false. */
bool weir_run_wrong(struct weir_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The case cannot be tried here; returns true. */
bool weir_run_skip(struct weir_run *run, const char *why);

/* open() with run->queue; what it returns. */
int weir_run_try_open(struct weir_run *run, uint64_t budget);

/* The same, which must not fail. */
bool weir_run_open(struct weir_run *run, uint64_t budget);

void weir_run_close(struct weir_run *run, int keep);

weir_store_stat weir_run_stat(const struct weir_run *run);

/* Octets that depend on their place, and on the block's number. */
void weir_run_fill(unsigned char *data, size_t size, uint64_t number);

/* Write a block of one message, which has the block's number, in `n` parts of
 * which the first is empty.  Returns what write() does. */
int64_t weir_run_put(struct weir_run *run, size_t size, uint64_t number, int n);

/* The same, which must not fail. */
bool weir_run_keep(struct weir_run *run, size_t size, uint64_t number, int n,
                   int64_t *handle);

/* read() gives the block as it was written. */
bool weir_run_same(struct weir_run *run, int64_t handle, size_t size,
                   uint64_t number);

/* done() with all of it, which must not fail. */
bool weir_run_let_go(struct weir_run *run, int64_t handle);

#endif
