/* targets.c - weir bench targets: the table of what weir has to reach, filled
 * in from one run. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../args.h"
#include "../common.h"
#include "bench.h"
#include "targets.h"

#define PAIRS 5 /* fewer say nothing */

struct settings {
    struct weir_args_list only;
    const char *json;
    bool list;
    struct weir_bench_way way;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"only", "WORDS", "the rows that have these words; several", WEIR_ARGS_MANY,
     AT(only)},
    {"list", NULL, "name the rows and measure nothing", WEIR_ARGS_FLAG,
     AT(list)},
    {"runs", "N", "pairs of runs (5); fewer are no verdict", WEIR_ARGS_COUNT,
     AT(way.runs)},
    {"duration", "S", "what is measured of a run (0.5)", WEIR_ARGS_SECONDS,
     AT(way.duration)},
    {"warm", "S", "what goes before that (0.2)", WEIR_ARGS_SECONDS,
     AT(way.warm)},
    {"json", "FILE", "a line of JSON for each figure", WEIR_ARGS_TEXT,
     AT(json)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "bench targets",
    .usage = "[option...]",
    .about = "Measures all that weir has to reach, in pairs of runs that take "
             "turns, and\nprints a table: the median of weir's figure, that "
             "of the other one, the median\nof their ratios, that of plain "
             "system calls (raw) where they are measured too,\nwhat it must "
             "be at least, what is aimed at, and by which factor that is "
             "missed.\nEnds with 1 if an \"at least\" is not reached.  Takes "
             "10 minutes, and a machine\nthat does nothing else.\n",
    .options = options,
};

/* What came of a target. */
struct outcome {
    bool chosen, measured;
    double own, other, value; /* value: the ratio, or own */
    double raw; /* what would be the value if weir were plain system calls */
};

struct targets {
    struct settings set;
    struct weir_bench_impl impls[3]; /* weir, libzmq, raw */
    bool usable[3];
    struct weir_bench_entry entries[4]; /* the impls, and weir's base */
    struct outcome outcomes[WEIR_BENCH_TARGETS_MOST];
    FILE *json;
};

/* The last one is weir with another n. */
enum { WEIR, LIBZMQ, RAW, BASE };
static const char *const names[3] = {"weir", "libzmq", "raw"};

/* ---- measuring ---- */

static bool same_plan(const struct weir_bench_target *a,
                      const struct weir_bench_target *b)
{
    return strcmp(a->test, b->test) == 0 &&
           strcmp(a->transport, b->transport) == 0 && a->size == b->size &&
           a->n == b->n && a->one_cpu == b->one_cpu && a->longer == b->longer;
}

/* Which entry a target is measured against; -1: none. */
static int rival_of(const struct weir_bench_target *target)
{
    if (!target->against)
        return -1;
    if (strcmp(target->against, "weir") == 0)
        return BASE;
    return strcmp(target->against, "libzmq") == 0 ? LIBZMQ : RAW;
}

static struct weir_bench_plan plan_of(const struct weir_bench_target *target)
{
    return (struct weir_bench_plan){
        .test = weir_side_find(target->test),
        .transport = target->transport,
        .size = target->size,
        .n = target->n,
    };
}

/* Set up weir and whom the targets with the plan of `first` are measured
 * against.  Returns how many; where[] says which entry is where. */
static size_t choose_entries(struct targets *t,
                             const struct weir_bench_target *first,
                             int where[BASE + 1])
{
    const struct weir_bench_target *target = weir_bench_target_list;
    bool wanted[BASE + 1] = {true, false, false, false};
    uint64_t base = 0;
    size_t n = 0;

    for (; target->row; target++) {
        if (same_plan(target, first) && rival_of(target) >= 0)
            wanted[rival_of(target)] = true;
        if (same_plan(target, first) && target->and_raw)
            wanted[RAW] = true;
        if (same_plan(target, first) && rival_of(target) == BASE)
            base = target->base;
    }
    for (int i = 0; i <= BASE; i++) {
        int impl = i == BASE ? WEIR : i;

        where[i] = -1;
        if (!wanted[i] || !t->usable[impl])
            continue;
        where[i] = (int)n;
        t->entries[n] = (struct weir_bench_entry){.impl = &t->impls[impl],
                                                  .plan = plan_of(first)};
        t->entries[n].plan.n = i == BASE ? base : first->n;
        n++;
    }
    return n;
}

static void note(struct targets *t, const struct weir_bench_target *target,
                 const int where[BASE + 1], struct outcome *outcome)
{
    int metric = weir_bench_metric(t->entries[0].plan.test, target->metric);
    int rival = rival_of(target);
    size_t runs = (size_t)t->set.way.runs;
    const double *values[BASE + 1];

    for (int i = 0; i <= BASE; i++)
        values[i] = where[i] < 0 ? NULL : t->entries[where[i]].values[metric];
    outcome->measured = true;
    outcome->own = weir_figures_of(values[WEIR], runs).median;
    outcome->value = rival < 0 ? outcome->own : 0;
    if (rival < 0 || !values[rival])
        return;
    outcome->other = weir_figures_of(values[rival], runs).median;
    outcome->value = weir_figures_ratio(values[WEIR], values[rival], runs);
    if (rival == LIBZMQ && values[RAW])
        outcome->raw = weir_figures_ratio(values[RAW], values[rival], runs);
}

/* Measure what the first one needs, and all others that need the same. */
static void measure(struct targets *t, const struct weir_bench_target *first)
{
    const struct weir_bench_target *list = weir_bench_target_list;
    struct weir_bench_way way = t->set.way;
    int where[BASE + 1];
    size_t n = choose_entries(t, first, where);
    struct weir_bench_progress progress;

    weir_bench_progress_begin(&progress, n * way.runs);
    way.progress = &progress;
    way.one_cpu = first->one_cpu;
    way.duration *= first->longer ? first->longer : 1;
    weir_bench_run(t->entries, n, &way);
    for (size_t i = 0; list[i].row; i++) {
        if (t->outcomes[i].chosen && same_plan(&list[i], first))
            note(t, &list[i], where, &t->outcomes[i]);
    }
    for (size_t i = 0; i < n; i++)
        weir_bench_json(&t->entries[i], &way, t->json);
}

/* ---- the table ---- */

static bool more_is_better(const struct weir_bench_target *target)
{
    const struct weir_side_test *test = weir_side_find(target->test);

    return test->metrics[weir_bench_metric(test, target->metric)]
        .more_is_better;
}

/* "tcp 64 KB, 8", "p99_us" */
static void add_case(struct weir_table *table,
                     const struct weir_bench_target *target)
{
    uint64_t size = target->size;
    const char *unit = size >= 1 << 20 ? "MB" : size >= 1024 ? "KB" : "B";
    char text[64], n[24] = "";

    size = size >= 1 << 20 ? size >> 20 : size >= 1024 ? size >> 10 : size;
    if (target->n)
        snprintf(n, sizeof n, " %" PRIu64, target->n);
    if (size)
        snprintf(text, sizeof text, "%s%s %" PRIu64 " %s", target->transport, n,
                 size, unit);
    else
        snprintf(text, sizeof text, "%s%s", target->transport, n);
    weir_table_add(table, "%s", text);
    weir_table_add(table, "%s%s", target->metric,
                   target->one_cpu ? ", one CPU" : "");
}

static void add_wanted(struct weir_table *table, bool more, double value)
{
    if (value <= 0)
        weir_table_add(table, "-");
    else
        weir_table_add(table, "%s %.*f", more ? ">=" : "<=",
                       value < 1     ? 3
                       : value < 100 ? 1
                                     : 0,
                       value);
}

static void add_verdict(struct weir_table *table,
                        const struct weir_bench_target *target, double value)
{
    bool more = more_is_better(target);
    double gap = weir_bench_gap(more, value, target->aim);

    add_wanted(table, more, target->at_least);
    weir_table_add(table, "%s",
                   weir_bench_reaches(more, value, target->at_least) ? "yes"
                                                                     : "NO");
    add_wanted(table, more, target->aim);
    if (gap <= 0)
        weir_table_add(table, "-");
    else if (gap <= 1)
        weir_table_add(table, "reached");
    else
        weir_table_add(table, "%.2f x", gap);
}

static void add_ratio(struct weir_table *table, double value, const char *none)
{
    if (value <= 0)
        weir_table_add(table, "%s", none);
    else
        weir_table_add(table, "%.*f", weir_bench_decimals(value), value);
}

static void add_row(struct weir_table *table,
                    const struct weir_bench_target *target, const char *row,
                    const struct outcome *outcome)
{
    weir_table_add(table, "%s", row);
    add_case(table, target);
    weir_bench_cell(table, outcome->own);
    weir_bench_cell(table, outcome->other);
    add_ratio(table, outcome->value, "none");
    add_ratio(table, outcome->raw, "-");
    add_verdict(table, target, outcome->value);
}

static void print_table(const struct targets *t)
{
    static const char *const heads[] = {"row",   "case",   "figure",
                                        ">weir", ">other", ">ratio",
                                        ">raw",  ">least", ">reached",
                                        ">aim",  ">gap",   NULL};
    const struct weir_bench_target *list = weir_bench_target_list;
    const char *before = "";
    struct weir_table table;

    weir_table_init(&table, heads);
    for (size_t i = 0; list[i].row; i++) {
        if (!t->outcomes[i].measured)
            continue;
        add_row(&table, &list[i],
                strcmp(list[i].row, before) == 0 ? " " : list[i].row,
                &t->outcomes[i]);
        before = list[i].row;
    }
    weir_table_print(&table, 0, stdout);
    weir_table_fini(&table);
}

/* ---- all of it ---- */

static bool is_chosen(const struct settings *set,
                      const struct weir_bench_target *target)
{
    for (size_t i = 0; i < set->only.count; i++) {
        if (strstr(target->row, set->only.items[i]))
            return true;
    }
    return set->only.count == 0;
}

static size_t choose(struct targets *t)
{
    const struct weir_bench_target *list = weir_bench_target_list;
    size_t chosen = 0;

    for (size_t i = 0; list[i].row; i++) {
        t->outcomes[i].chosen = is_chosen(&t->set, &list[i]);
        chosen += t->outcomes[i].chosen;
    }
    return chosen;
}

static int print_list(const struct targets *t)
{
    const struct weir_bench_target *list = weir_bench_target_list;
    const char *before = "";

    for (size_t i = 0; list[i].row; i++) {
        if (t->outcomes[i].chosen && strcmp(list[i].row, before) != 0)
            printf("%s\n", list[i].row);
        before = list[i].row;
    }
    return 0;
}

static bool reaches(const struct weir_bench_target *target, double value)
{
    return weir_bench_reaches(more_is_better(target), value, target->at_least);
}

static int verdict(const struct targets *t)
{
    const struct weir_bench_target *list = weir_bench_target_list;
    size_t all = 0, reached = 0, beyond = 0;

    for (size_t i = 0; list[i].row; i++) {
        const struct outcome *outcome = &t->outcomes[i];

        if (!outcome->chosen)
            continue;
        all++;
        if (reaches(&list[i], outcome->value))
            reached++;
        else if (outcome->raw > 0 && !reaches(&list[i], outcome->raw))
            beyond++;
    }
    printf("\n%zu of %zu reach what they must at least, by %" PRIu64
           " pairs of %g s each%s\n",
           reached, all, t->set.way.runs, t->set.way.duration,
           t->set.way.runs < PAIRS ? "; fewer than 5 pairs are no verdict"
                                   : "");
    if (beyond)
        printf("%zu of the others are not reached by plain system calls "
               "either (raw), here and now\n",
               beyond);
    return reached == all ? 0 : 1;
}

static int check(const struct targets *t)
{
    const struct weir_bench_way *way = &t->set.way;

    if (way->runs <= WEIR_FIGURES_MOST && way->duration >= 0.001 &&
        way->duration + way->warm <= 3600)
        return 0;
    weir_common_fail("want up to %d --runs, and 0.001 s to an hour",
                     WEIR_FIGURES_MOST);
    return 2;
}

static int run(struct targets *t)
{
    const struct weir_bench_target *list = weir_bench_target_list;

    if (t->set.json && !(t->json = fopen(t->set.json, "w")))
        return weir_common_fail("--json %s: cannot write there", t->set.json);
    for (int i = 0; i < 3; i++)
        t->usable[i] = weir_bench_find(&t->impls[i], names[i]) == 0;
    for (size_t i = 0; list[i].row; i++) {
        if (t->outcomes[i].chosen && !t->outcomes[i].measured)
            measure(t, &list[i]);
    }
    if (t->json && fclose(t->json) != 0)
        return weir_common_fail("--json %s: cannot write", t->set.json);
    print_table(t);
    return verdict(t);
}

int weir_bench_targets(int argc, const char *const *argv)
{
    static struct targets t = {
        .set.way = {.runs = PAIRS, .batch = 1, .duration = 0.5, .warm = 0.2}};
    struct weir_args_list rest = {.count = 0};
    int code;

    if (!weir_args_take(&args, &t.set, &rest, argc, argv, &code))
        return code;
    code = check(&t);
    if (code)
        return code;
    if (rest.count || choose(&t) == 0) {
        weir_common_fail("%s: no row has that",
                         rest.count ? rest.items[0] : t.set.only.items[0]);
        return 2;
    }
    if (t.set.list)
        return print_list(&t);
    return weir_common_has_transports() ? run(&t) : 1;
}
