/* chart.c - a chart as SVG. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "chart.h"

#define WIDTH  860
#define HEIGHT 480
#define LEFT   80 /* of the plot */
#define RIGHT  640
#define TOP    66
#define BOTTOM 410

#define NAME_ROOM 100 /* of a column, for the name below it */

/* The values of x in order, and the range of y. */
struct scale {
    uint64_t x[WEIR_CHART_POINTS];
    unsigned columns;
    double low, high;
    bool log;
};

/* ---- series ---- */

static struct weir_chart_series *series_of(struct weir_chart *chart,
                                           const char *name)
{
    struct weir_chart_series *series;

    for (unsigned i = 0; i < chart->count; i++) {
        if (strcmp(chart->series[i].name, name) == 0)
            return &chart->series[i];
    }
    if (chart->count == WEIR_CHART_SERIES)
        return NULL;
    series = &chart->series[chart->count++];
    snprintf(series->name, sizeof series->name, "%s", name);
    return series;
}

void weir_chart_add(struct weir_chart *chart, const char *name, uint64_t x,
                    const struct weir_figures *y)
{
    struct weir_chart_series *series = series_of(chart, name);

    if (!series || series->count == WEIR_CHART_POINTS)
        return;
    series->x[series->count] = x;
    series->y[series->count++] = *y;
}

/* ---- scales ---- */

/* Keep `x` in its place among the columns. */
static void add_column(struct scale *scale, uint64_t x)
{
    unsigned at = 0;

    while (at < scale->columns && scale->x[at] < x)
        at++;
    if ((at < scale->columns && scale->x[at] == x) ||
        scale->columns == WEIR_CHART_POINTS)
        return;
    memmove(scale->x + at + 1, scale->x + at,
            (scale->columns - at) * sizeof *scale->x);
    scale->x[at] = x;
    scale->columns++;
}

static void add_range(struct scale *scale, const struct weir_figures *y)
{
    double least = y->min > 0 ? y->min : y->median;

    if (least > 0 && (scale->low == 0 || least < scale->low))
        scale->low = least;
    if (y->max > scale->high)
        scale->high = y->max;
}

/* 1, 2 or 5 times a power of ten, at least `value`. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));

    return value <= power       ? power
           : value <= 2 * power ? 2 * power
           : value <= 5 * power ? 5 * power
                                : 10 * power;
}

static struct scale scale_of(const struct weir_chart *chart)
{
    struct scale scale = {.columns = 0};

    for (unsigned i = 0; i < chart->count; i++) {
        for (unsigned k = 0; k < chart->series[i].count; k++) {
            add_column(&scale, chart->series[i].x[k]);
            add_range(&scale, &chart->series[i].y[k]);
        }
    }
    if (scale.high <= 0)
        scale.low = scale.high = 1;
    scale.log = scale.high / scale.low > 20;
    scale.low = scale.log ? pow(10, floor(log10(scale.low))) : 0;
    scale.high =
        scale.log ? pow(10, ceil(log10(scale.high))) : round_up(scale.high);
    return scale;
}

static double x_at(const struct scale *scale, uint64_t x)
{
    double step = (double)(RIGHT - LEFT) / scale->columns;
    unsigned column = 0;

    while (column + 1 < scale->columns && scale->x[column] < x)
        column++;
    return LEFT + step * (column + 0.5);
}

static double y_at(const struct scale *scale, double y)
{
    double part;

    if (scale->log)
        part = y > scale->low
                   ? log10(y / scale->low) / log10(scale->high / scale->low)
                   : 0;
    else
        part = y / scale->high;
    return BOTTOM - part * (BOTTOM - TOP);
}

/* ---- drawing ---- */

static void add_label(struct weir_text *svg, double x, double y,
                      const char *anchor, const char *label)
{
    weir_text_format(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x,
                     y, anchor);
    for (; *label; label++) {
        if (*label == '<' || *label == '&')
            weir_text_format(svg, *label == '<' ? "&lt;" : "&amp;");
        else
            weir_text_add_char(svg, *label);
    }
    weir_text_format(svg, "</text>\n");
}

static void add_y_tick(struct weir_text *svg, const struct scale *scale,
                       double value)
{
    struct weir_text label = {0};
    double y = y_at(scale, value);

    weir_text_format(svg,
                     "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" "
                     "y2=\"%.1f\"/>\n",
                     LEFT, y, RIGHT, y);
    weir_figures_add(&label, value);
    add_label(svg, LEFT - 8, y + 4, "end", value > 0 ? label.data : "0");
    weir_text_fini(&label);
}

static void add_axes(struct weir_text *svg, const struct weir_chart *chart,
                     const struct scale *scale)
{
    char label[24];

    if (scale->log) {
        for (double y = scale->low; y < scale->high * 1.01; y *= 10)
            add_y_tick(svg, scale, y);
    } else {
        for (int i = 0; i <= 5; i++)
            add_y_tick(svg, scale, scale->high * i / 5);
    }
    for (unsigned i = 0; i < scale->columns; i++) {
        snprintf(label, sizeof label, "%" PRIu64, scale->x[i]);
        add_label(svg, x_at(scale, scale->x[i]),
                  scale->columns == 1 ? BOTTOM + 32 : BOTTOM + 18, "middle",
                  label);
    }
    weir_text_format(svg, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT,
                     TOP, BOTTOM, RIGHT);
    add_label(svg, (LEFT + RIGHT) / 2, BOTTOM + 48, "middle", chart->x_name);
    weir_text_format(svg, "<g transform=\"rotate(-90)\">");
    add_label(svg, -(TOP + BOTTOM) / 2, 20, "middle", chart->y_name);
    weir_text_format(svg, "</g>\n");
}

struct look {
    const char *colour, *dashes;
};

/* The colour of a series' first word, the dashes of the rest. */
static struct look look_of(const struct weir_chart *chart, unsigned number)
{
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73",
                                          "#cc79a7", "#555555"};
    static const char *const dashes[] = {"none", "7 3", "2 3", "9 3 2 3"};
    const char *name = chart->series[number].name, *rest = strchr(name, ' ');
    size_t word = strcspn(name, " ");
    unsigned colour = 0, dash = 0;

    for (unsigned i = 0; i < number; i++) {
        const char *other = chart->series[i].name, *end = strchr(other, ' ');

        if (strcspn(other, " ") == word && strncmp(name, other, word) == 0)
            dash++;
        if (rest && end && strcmp(rest, end) == 0)
            colour++;
    }
    return (struct look){colours[colour % 5], dashes[dash % 4]};
}

/* From the least to the most. */
static void add_range_bar(struct weir_text *svg, const struct scale *scale,
                          const struct weir_figures *y, double x,
                          const char *colour)
{
    weir_text_format(svg, "<path stroke=\"%s\" d=\"M%.1f %.1fV%.1f\"/>\n",
                     colour, x, y_at(scale, y->min), y_at(scale, y->max));
}

static void add_line(struct weir_text *svg,
                     const struct weir_chart_series *series,
                     const struct scale *scale, struct look look)
{
    weir_text_format(svg,
                     "<polyline stroke=\"%s\" stroke-dasharray=\"%s\" "
                     "fill=\"none\" points=\"",
                     look.colour, look.dashes);
    for (unsigned i = 0; i < series->count; i++)
        weir_text_format(svg, "%.1f,%.1f ", x_at(scale, series->x[i]),
                         y_at(scale, series->y[i].median));
    weir_text_format(svg, "\"/>\n");
    for (unsigned i = 0; i < series->count; i++) {
        double x = x_at(scale, series->x[i]);

        add_range_bar(svg, scale, &series->y[i], x, look.colour);
        weir_text_format(
            svg, "<circle fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
            look.colour, x, y_at(scale, series->y[i].median));
    }
}

/* One of `count` columns over the only x, with its figure on top, its lines
 * broken as in the legend, and its name below if there is room. */
static void add_bar(struct weir_text *svg,
                    const struct weir_chart_series *series,
                    const struct scale *scale, unsigned number, unsigned count,
                    struct look look)
{
    double step = (double)(RIGHT - LEFT) / count;
    double x = LEFT + step * (number + 0.5);
    double y = y_at(scale, series->y[0].median);
    struct weir_text label = {0};

    weir_text_format(svg,
                     "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                     "height=\"%.1f\" fill=\"%s\" fill-opacity=\"0.6\" "
                     "stroke=\"%s\" stroke-width=\"2\" "
                     "stroke-dasharray=\"%s\"/>\n",
                     x - step * 0.35, y, step * 0.7, BOTTOM - y, look.colour,
                     look.colour, look.dashes);
    add_range_bar(svg, scale, &series->y[0], x, "#000");
    weir_figures_add(&label, series->y[0].median);
    add_label(svg, x, y_at(scale, series->y[0].max) - 6, "middle",
              weir_text_string(&label));
    if (step >= NAME_ROOM)
        add_label(svg, x, BOTTOM + 16, "middle", series->name);
    weir_text_fini(&label);
}

static void add_legend(struct weir_text *svg, const char *name, unsigned number,
                       struct look look)
{
    int y = TOP + 10 + 20 * (int)number;

    weir_text_format(svg,
                     "<path stroke=\"%s\" stroke-dasharray=\"%s\" "
                     "stroke-width=\"2\" d=\"M%d %dH%d\"/>\n",
                     look.colour, look.dashes, RIGHT + 20, y, RIGHT + 50);
    add_label(svg, RIGHT + 58, y + 4, "start", name);
}

static void add_series(struct weir_text *svg, const struct weir_chart *chart,
                       const struct scale *scale, unsigned number)
{
    const struct weir_chart_series *series = &chart->series[number];
    struct look look = look_of(chart, number);

    if (scale->columns == 1)
        add_bar(svg, series, scale, number, chart->count, look);
    else
        add_line(svg, series, scale, look);
    add_legend(svg, series->name, number, look);
}

void weir_chart_write(const struct weir_chart *chart, struct weir_text *text)
{
    struct scale scale = scale_of(chart);

    weir_text_format(text,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                     "height=\"%d\" viewBox=\"0 0 %d %d\" font-family="
                     "\"sans-serif\" font-size=\"12\">\n",
                     WIDTH, HEIGHT, WIDTH, HEIGHT);
    weir_text_format(text, "<style>.grid{stroke:#ddd}.axis{stroke:#000;"
                           "fill:none}</style>\n"
                           "<rect width=\"100%%\" height=\"100%%\" "
                           "fill=\"#fff\"/>\n<g font-size=\"15\">");
    add_label(text, LEFT, 24, "start", chart->title);
    weir_text_format(text, "</g>\n<g fill=\"#555\">");
    add_label(text, LEFT, 43, "start", chart->note);
    weir_text_format(text, "</g>\n");
    if (scale.columns)
        add_axes(text, chart, &scale);
    for (unsigned i = 0; scale.columns && i < chart->count; i++)
        add_series(text, chart, &scale, i);
    weir_text_format(text, "</svg>\n");
}
