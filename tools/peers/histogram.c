/* histogram.c - durations and their percentiles. */
#include "config.h"

#include <string.h>

#include "histogram.h"

#define STEPS WEIR_HISTOGRAM_STEPS
#define LAST  (60 * STEPS - 1)

void weir_histogram_clear(struct weir_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

/* Values below two times STEPS have a step each. */
static unsigned step_of(uint64_t value)
{
    unsigned shift = 0;

    while (value >> shift >= 2 * STEPS)
        shift++;
    return shift * STEPS + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned step)
{
    unsigned shift;

    if (step < 2 * STEPS)
        return step;
    shift = step / STEPS - 1;
    return ((uint64_t)(step % STEPS + STEPS) << shift) +
           (UINT64_C(1) << shift) / 2;
}

void weir_histogram_add(struct weir_histogram *histogram, uint64_t value)
{
    histogram->steps[step_of(value)]++;
    histogram->samples++;
}

uint64_t weir_histogram_at(const struct weir_histogram *histogram, double part)
{
    uint64_t rank = (uint64_t)((double)histogram->samples * part), seen = 0;
    unsigned step = 0;

    if (!histogram->samples)
        return 0;
    if (rank >= histogram->samples)
        rank = histogram->samples - 1;
    while (step < LAST && seen + histogram->steps[step] <= rank)
        seen += histogram->steps[step++];
    return middle_of(step);
}
