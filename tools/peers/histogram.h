/*
 * histogram.h - many durations in little memory, and their percentiles, right
 * to less than one part in a hundred.
 * Above: the tests of `weir bench`.  Below: nothing.
 */
#ifndef WEIR_TOOLS_PEERS_HISTOGRAM_H
#define WEIR_TOOLS_PEERS_HISTOGRAM_H

#include <stdint.h>

#define WEIR_HISTOGRAM_STEPS 128 /* for each doubling */

/* All zero is the empty one. */
struct weir_histogram {
    uint64_t steps[60 * WEIR_HISTOGRAM_STEPS];
    uint64_t samples;
};

void weir_histogram_clear(struct weir_histogram *histogram);

void weir_histogram_add(struct weir_histogram *histogram, uint64_t value);

/* The middle of the step that holds the sample at `part` (0 to 1) of all; 0
 * when there is none. */
uint64_t weir_histogram_at(const struct weir_histogram *histogram, double part);

#endif
