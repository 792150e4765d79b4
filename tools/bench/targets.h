/*
 * targets.h - what weir has to reach.
 * Above: targets.c.  Below: target_list.c.
 */
#ifndef WEIR_TOOLS_BENCH_TARGETS_H
#define WEIR_TOOLS_BENCH_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

/* A figure of weir, as a multiple of another one taken beside it, or (against
 * NULL) as it is. */
struct weir_bench_target {
    const char *row; /* what it is about; several targets have the same */
    const char *test, *transport, *metric;
    uint64_t size, n;
    unsigned longer; /* its runs are so many times as long; 0: 1 */
    bool one_cpu;
    const char *against; /* a library; "weir": itself with `base` for n */
    uint64_t base;
    bool and_raw;         /* plain system calls are measured beside that */
    double at_least, aim; /* aim 0: none */
};

/* Ended by one without a row; no more than the number. */
#define WEIR_BENCH_TARGETS_MOST 128
extern const struct weir_bench_target weir_bench_target_list[];

/* With how many decimals a ratio is printed. */
int weir_bench_decimals(double ratio);

/* Is that value, as it is printed, as good as `wanted`?  What is beyond those
 * digits no two runs agree on. */
bool weir_bench_reaches(bool more_is_better, double value, double wanted);

/* By which factor it has to get better for that; 1 or less: it is there. */
double weir_bench_gap(bool more_is_better, double value, double wanted);

#endif
