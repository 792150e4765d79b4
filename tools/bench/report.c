/* report.c - tables, lines of JSON and charts of what came out. */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "../chart.h"
#include "../json.h"
#include "../text.h"
#include "bench.h"

/* ---- the table ---- */

/* What the second ratio is of: CPU time, if that is measured. */
static int second_of(const struct weir_side_test *test)
{
    int cpu = weir_bench_metric(test, "cpu_us");

    return cpu > 0 ? cpu : test->metrics[1].name ? 1 : -1;
}

static void __attribute__((format(printf, 2, 3)))
add_head(struct weir_bench_heads *heads, const char *format, ...)
{
    char *word = heads->words[heads->count];
    va_list list;

    va_start(list, format);
    vsnprintf(word, sizeof heads->words[0], format, list);
    va_end(list);
    heads->names[heads->count++] = word;
    heads->names[heads->count] = NULL;
}

_Static_assert(WEIR_SIDE_METRICS + 8 <= WEIR_TABLE_COLUMNS,
               "the metrics of a test and what is beside them are a table");

void weir_bench_heads(const struct weir_side_test *test,
                      struct weir_bench_heads *heads)
{
    const struct weir_side_metric *metrics = test->metrics;

    heads->count = 0;
    add_head(heads, "transport");
    if (test->sizes)
        add_head(heads, ">size");
    if (test->parameter)
        add_head(heads, ">%s", test->parameter);
    add_head(heads, "library");
    add_head(heads, ">%s", metrics[0].name);
    add_head(heads, ">min");
    add_head(heads, ">max");
    for (int i = 1; metrics[i].name; i++)
        add_head(heads, ">%s", metrics[i].name);
    add_head(heads, ">weir/this");
    if (second_of(test) > 0)
        add_head(heads, ">%.3s/this", metrics[second_of(test)].name);
}

void weir_bench_cell(struct weir_table *table, double value)
{
    struct weir_text text = {0};

    if (value > 0)
        weir_figures_add(&text, value);
    else
        weir_text_format(&text, "-");
    weir_table_add(table, "%s", text.data);
    weir_text_fini(&text);
}

/* What weir's figure is, as a multiple of this library's. */
static void add_ratio(struct weir_table *table,
                      const struct weir_bench_entry *own,
                      const struct weir_bench_entry *entry, int metric,
                      uint64_t runs)
{
    double ratio = weir_figures_ratio(own->values[metric],
                                      entry->values[metric], (size_t)runs);

    if (entry == own || ratio <= 0)
        weir_table_add(table, " ");
    else
        weir_table_add(table, "%.*f x", ratio < 0.1 ? 3 : 2, ratio);
}

static void add_row(struct weir_table *table,
                    const struct weir_bench_entry *own,
                    const struct weir_bench_entry *entry, uint64_t runs)
{
    const struct weir_side_test *test = entry->plan.test;
    struct weir_figures f = weir_figures_of(entry->values[0], (size_t)runs);

    weir_table_add(table, "%s", entry->plan.transport);
    if (test->sizes)
        weir_table_add(table, "%" PRIu64, entry->plan.size);
    if (test->parameter)
        weir_table_add(table, "%" PRIu64, entry->plan.n);
    weir_table_add(table, "%s", entry->impl->name);
    weir_bench_cell(table, f.median);
    weir_bench_cell(table, f.min);
    weir_bench_cell(table, f.max);
    for (int i = 1; test->metrics[i].name; i++)
        weir_bench_cell(table,
                        weir_figures_of(entry->values[i], (size_t)runs).median);
    add_ratio(table, own, entry, 0, runs);
    if (second_of(test) > 0)
        add_ratio(table, own, entry, second_of(test), runs);
}

/* Did it run at all? */
static bool has_values(const struct weir_bench_entry *entry, uint64_t runs)
{
    return weir_figures_of(entry->values[0], (size_t)runs).max > 0;
}

void weir_bench_rows(struct weir_table *table,
                     const struct weir_bench_entry *entries, size_t n,
                     uint64_t runs)
{
    for (size_t i = 0; i < n; i++) {
        if (has_values(&entries[i], runs))
            add_row(table, &entries[0], &entries[i], runs);
    }
}

/* ---- JSON ---- */

/* "set": ["spin=0", "pace=latency"]; the option's name and its value have been
 * taken by a socket, but for what a value may have. */
static void add_settings(const struct weir_args_list *settings, FILE *file)
{
    struct weir_text text = {0};

    for (size_t i = 0; i < settings->count; i++) {
        weir_text_format(&text, "%s", i ? ", " : "");
        weir_json_string(&text, settings->items[i], strlen(settings->items[i]));
    }
    if (settings->count)
        fprintf(file, "\"set\": [%s], ", weir_text_string(&text));
    weir_text_fini(&text);
}

static void add_text(const char *name, const char *value, FILE *file)
{
    struct weir_text text = {0};

    weir_json_string(&text, value, strlen(value));
    fprintf(file, "\"%s\": %s, ", name, weir_text_string(&text));
    weir_text_fini(&text);
}

void weir_bench_json(const struct weir_bench_entry *entry,
                     const struct weir_bench_way *way, FILE *file)
{
    const struct weir_bench_plan *plan = &entry->plan;
    const struct weir_side_test *test = plan->test;

    for (int i = 0; file && test->metrics[i].name; i++) {
        struct weir_figures f =
            weir_figures_of(entry->values[i], (size_t)way->runs);

        if (f.max <= 0)
            continue;
        fprintf(file, "{\"impl\": \"%s\", \"test\": \"%s\", ",
                entry->impl->name, test->name);
        fprintf(file, "\"transport\": \"%s\", \"size\": %" PRIu64 ", ",
                plan->transport, plan->size);
        if (test->parameter)
            fprintf(file, "\"%s\": %" PRIu64 ", ", test->parameter, plan->n);
        if (weir_side_is_group(plan->transport))
            fprintf(file, "\"rate\": %" PRIu64 ", ", way->rate);
        if (test->swap && way->store)
            add_text("store", way->store, file);
        if (way->one_cpu)
            fprintf(file, "\"one-cpu\": true, ");
        if (entry->impl->subcommand && !entry->impl->plain)
            add_settings(&way->settings, file);
        if (way->ends)
            fprintf(file, "\"ends\": \"%s\", ", way->ends->name);
        fprintf(file,
                "\"metric\": \"%s\", \"median\": %.8g, \"min\": %.8g, "
                "\"max\": %.8g, \"runs\": %" PRIu64 "}\n",
                test->metrics[i].name, f.median, f.min, f.max, way->runs);
    }
    if (file)
        fflush(file);
}

/* ---- the chart ---- */

void weir_bench_points(struct weir_chart *chart, int metric,
                       const struct weir_bench_entry *entries, size_t n,
                       uint64_t runs, bool sizes)
{
    for (size_t i = 0; i < n; i++) {
        const struct weir_bench_plan *plan = &entries[i].plan;
        bool by_n = plan->test->parameter != NULL;
        struct weir_figures f =
            weir_figures_of(entries[i].values[metric], (size_t)runs);
        char series[64];
        int used;

        if (f.max <= 0)
            continue;
        used = snprintf(series, sizeof series, "%s %s", entries[i].impl->name,
                        plan->transport);
        if (by_n && sizes)
            snprintf(series + used, sizeof series - (size_t)used,
                     " %" PRIu64 " B", plan->size);
        weir_chart_add(chart, series, by_n ? plan->n : plan->size, &f);
    }
}
