/*
 * figures.h - medians of runs, and how people read numbers.
 * Above: bench.c, demo.c.  Below: text.h.
 */
#ifndef WEIR_TOOLS_FIGURES_H
#define WEIR_TOOLS_FIGURES_H

#include <stddef.h>

#include "text.h"

struct weir_figures {
    double median, min, max;
};

/* Of `n` > 0 values, which keep their order.  At most WEIR_FIGURES_MOST. */
#define WEIR_FIGURES_MOST 101
struct weir_figures weir_figures_of(const double *values, size_t n);

/* The median of the ratios of pairs, own[i] / other[i]; 0 if there is none
 * (a value of 0 or less is no value). */
double weir_figures_ratio(const double *own, const double *other, size_t n);

/* Append a number with three digits that count: "1.23 M", "12.3 k", "0.25". */
void weir_figures_add(struct weir_text *text, double value);

#endif
