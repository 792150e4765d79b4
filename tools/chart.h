/*
 * chart.h - a chart as SVG: some series of figures over a few values of x.
 * The values of x stand side by side, so that 16 and 1048576 have room; y is
 * logarithmic when the figures differ much.  A figure is a dot on its series'
 * line, with a bar from the least to the most; over a single x it is a column.
 * Above: bench/.  Below: figures.h, text.h.
 */
#ifndef WEIR_TOOLS_CHART_H
#define WEIR_TOOLS_CHART_H

#include <stdint.h>

#include "figures.h"

#define WEIR_CHART_SERIES 20
#define WEIR_CHART_POINTS 24

struct weir_chart_series {
    char name[64]; /* "weir tcp": the first word chooses the colour, the rest
                      how the line is broken */
    uint64_t x[WEIR_CHART_POINTS];
    struct weir_figures y[WEIR_CHART_POINTS];
    unsigned count;
};

struct weir_chart {
    const char *title, *note;    /* borrowed; the note is under the title */
    const char *x_name, *y_name; /* borrowed; with their unit */
    struct weir_chart_series series[WEIR_CHART_SERIES];
    unsigned count;
};

/* Add a point to the series of that name, which is made when it is new.  What
 * is beyond the room is left out. */
void weir_chart_add(struct weir_chart *chart, const char *series, uint64_t x,
                    const struct weir_figures *y);

/* Append the SVG document. */
void weir_chart_write(const struct weir_chart *chart, struct weir_text *text);

#endif
