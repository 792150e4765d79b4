/*
 * progress.h - how far weir bench is: a bar on standard error, if that is a
 * terminal.
 * Above: run.c, and who knows how many runs there will be.  Below: the system.
 */
#ifndef WEIR_TOOLS_BENCH_PROGRESS_H
#define WEIR_TOOLS_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct weir_bench_progress {
    uint64_t done, total; /* runs */
    uint64_t begin;       /* ns */
    bool shown;           /* somebody sees it */
};

/* Begin to count `total` runs. */
void weir_bench_progress_begin(struct weir_bench_progress *progress,
                               uint64_t total);

/* The next run is this one. */
void weir_bench_progress_show(const struct weir_bench_progress *progress,
                              const char *run);

/* It is over. */
void weir_bench_progress_step(struct weir_bench_progress *progress);

/* Leave an empty line, for what is printed next. */
void weir_bench_progress_clear(const struct weir_bench_progress *progress);

#endif
