/*
 * bench.h - weir bench: the parts of the subcommand.
 *
 *   bench.c    arguments, and a test for all transports, sizes and values
 *   run.c      runs of several contestants, taking turns
 *   progress.c how far it is
 *   report.c   tables, lines of JSON, charts
 *   targets.c  what weir has to reach, and what it does; target_list.c
 *
 * Above: main.c.  Below: child.h, figures.h, chart.h, and peers/side.h, which
 * is what a run is.
 */
#ifndef WEIR_TOOLS_BENCH_BENCH_H
#define WEIR_TOOLS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../args.h"
#include "../figures.h"
#include "../peers/side.h"
#include "progress.h"

#define WEIR_BENCH_IMPLS 6 /* weir, plain, libzmq, nng, nanomsg, raw */

/* ---- a run ---- */

/* A library under test. */
struct weir_bench_impl {
    const char *name;
    const char *subcommand; /* weir's side is a subcommand; else NULL */
    bool plain;             /* weir with no option set, beside itself */
    char program[4096];
};

/* How all runs go. */
struct weir_bench_way {
    double duration, warm; /* seconds */
    uint64_t runs, batch;
    uint64_t rate; /* kbit/s, of groups */
    bool one_cpu, reqrep, nodrop;
    struct weir_bench_progress *progress; /* to show, and to move on */
    const char *url;                      /* NULL: chosen */
    const char *dir, *store;              /* of a swap; NULL: the usual ones */
    struct weir_args_list settings;       /* NAME=VALUE, for weir's sockets */
    /* Whose the ends of a device are; NULL: those of the device. */
    const struct weir_bench_impl *ends;
};

/* What is run. */
struct weir_bench_plan {
    const struct weir_side_test *test;
    const char *transport;
    uint64_t size, n;
};

/* Who runs what, and what came of it: a value for each metric of the test and
 * each run; 0 where there is none. */
struct weir_bench_entry {
    const struct weir_bench_impl *impl;
    struct weir_bench_plan plan;
    double values[WEIR_SIDE_METRICS][WEIR_FIGURES_MOST];
};

/* Find a library's helper: "weir", "plain", "libzmq", "nng", "nanomsg", "raw".
 * Returns 0, or an exit code with the complaint printed. */
int weir_bench_find(struct weir_bench_impl *impl, const char *name);

/* All runs, the entries taking turns.  What cannot be run is left at 0.
 * Returns 0, or 1 if a run went wrong, with the complaint printed. */
int weir_bench_run(struct weir_bench_entry *entries, size_t n,
                   const struct weir_bench_way *way);

/* The number of a metric in a test; -1 when there is none. */
int weir_bench_metric(const struct weir_side_test *test, const char *name);

/* Read the next line of a side, "figure NAME VALUE", into `values`.  Returns 1,
 * 0 for another line, -1 for a metric that the test does not have. */
int weir_bench_read_figure(const struct weir_side_test *test, const char *line,
                           double values[WEIR_SIDE_METRICS]);

/* ---- what is shown ---- */

struct weir_table;
struct weir_chart;

/* The heads of a table, which must outlive it. */
struct weir_bench_heads {
    const char *names[WEIR_TABLE_COLUMNS + 1];
    char words[WEIR_TABLE_COLUMNS][24];
    int count;
};

void weir_bench_heads(const struct weir_side_test *test,
                      struct weir_bench_heads *heads);

/* Rows for entries of one plan, of which the first is weir's. */
void weir_bench_rows(struct weir_table *table,
                     const struct weir_bench_entry *entries, size_t n,
                     uint64_t runs);

/* A line of JSON for each figure of an entry. */
void weir_bench_json(const struct weir_bench_entry *entry,
                     const struct weir_bench_way *way, FILE *file);

/* The entries' points in a chart of a metric.  The series of several sizes
 * have the size in their name. */
void weir_bench_points(struct weir_chart *chart, int metric,
                       const struct weir_bench_entry *entries, size_t n,
                       uint64_t runs, bool sizes);

/* "123", "1.2 k" or "-" as a cell. */
void weir_bench_cell(struct weir_table *table, double value);

/* ---- the targets ---- */

/* weir bench targets.  Arguments behind its name; returns an exit code. */
int weir_bench_targets(int argc, const char *const *argv);

#endif
