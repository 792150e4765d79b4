/* figures.c - medians of runs, and how people read numbers. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "figures.h"

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

struct weir_figures weir_figures_of(const double *values, size_t n)
{
    double sorted[WEIR_FIGURES_MOST];

    n = n < WEIR_FIGURES_MOST ? n : WEIR_FIGURES_MOST;
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    return (struct weir_figures){
        .median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
        .min = sorted[0],
        .max = sorted[n - 1],
    };
}

double weir_figures_ratio(const double *own, const double *other, size_t n)
{
    double ratios[WEIR_FIGURES_MOST];
    size_t count = 0;

    for (size_t i = 0; i < n && count < WEIR_FIGURES_MOST; i++) {
        if (own[i] > 0 && other[i] > 0)
            ratios[count++] = own[i] / other[i];
    }
    return count ? weir_figures_of(ratios, count).median : 0;
}

void weir_figures_add(struct weir_text *text, double value)
{
    const char *unit = "";
    int digits;

    if (value >= 999.5e3) {
        value /= 1e6;
        unit = " M";
    } else if (value >= 9999.5) {
        value /= 1e3;
        unit = " k";
    }
    digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
    weir_text_format(text, "%.*f%s", digits, value, unit);
}
