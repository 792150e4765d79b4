/* run.c - runs of several contestants, taking turns. */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../child.h"
#include "../common.h"
#include "bench.h"

/* ---- the programs ---- */

static bool usable(const char *program)
{
    return access(program, X_OK) == 0;
}

/* A helper lies beside this program where it was built, one folder above
 * that (libtool hides programs in .libs), or where it was installed. */
static bool find_helper(struct weir_bench_impl *impl, const char *name)
{
    const char *self = weir_common_self(), *slash = strrchr(self, '/');
    int folder = slash ? (int)(slash - self) : 0;

    snprintf(impl->program, sizeof impl->program, "%.*s/weir-bench-%s", folder,
             self, name);
    if (folder && usable(impl->program))
        return true;
    snprintf(impl->program, sizeof impl->program, "%.*s/../weir-bench-%s",
             folder, self, name);
    if (folder && usable(impl->program))
        return true;
    snprintf(impl->program, sizeof impl->program, "%s/weir-bench-%s",
             WEIR_HELPER_DIR, name);
    return usable(impl->program);
}

int weir_bench_find(struct weir_bench_impl *impl, const char *name)
{
    static const char *const names[] = {"libzmq", "nng", "nanomsg", "raw"};
    size_t i = 0;

    impl->name = name;
    impl->subcommand = NULL;
    impl->plain = strcmp(name, "plain") == 0;
    if (strcmp(name, "weir") == 0 || impl->plain) {
        impl->subcommand = "bench-side";
        snprintf(impl->program, sizeof impl->program, "%s", weir_common_self());
        return 0;
    }
    while (i < sizeof names / sizeof *names && strcmp(names[i], name) != 0)
        i++;
    if (i == sizeof names / sizeof *names) {
        weir_common_fail("--peer %s: want libzmq, nng, nanomsg, raw or plain",
                         name);
        return 2;
    }
    if (find_helper(impl, name))
        return 0;
    return weir_common_fail("--peer %s: its helper is not at %s: the headers "
                            "of %s were not there when weir was configured",
                            name, impl->program, name);
}

/* ---- one run ---- */

#define WORDS (18 + WEIR_SIDE_SETTINGS)

/* The words of a command line. */
struct line {
    struct weir_text words[WORDS];
    const char *argv[WORDS + 1];
    int count;
};

static void __attribute__((format(printf, 2, 3)))
add_word(struct line *line, const char *format, ...)
{
    struct weir_text *word = &line->words[line->count];
    char text[4200]; /* a path, and a key */
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    weir_text_format(word, "%s", text);
    line->argv[line->count++] = weir_text_string(word);
}

static const struct weir_bench_impl *
ends_of(const struct weir_bench_entry *entry, const struct weir_bench_way *way)
{
    return way->ends ? way->ends : entry->impl;
}

static void write_line(struct line *line, const struct weir_bench_entry *entry,
                       const struct weir_bench_way *way)
{
    const struct weir_bench_plan *plan = &entry->plan;

    const struct weir_bench_impl *ends = ends_of(entry, way);

    add_word(line, "%s", ends->program);
    if (ends->subcommand)
        add_word(line, "%s", ends->subcommand);
    add_word(line, "%s", plan->test->name);
    add_word(line, "transport=%s", plan->transport);
    add_word(line, "size=%" PRIu64, plan->size);
    add_word(line, "n=%" PRIu64, plan->n);
    add_word(line, "warm=%.3f", way->warm);
    add_word(line, "run=%.3f", way->duration);
    add_word(line, "batch=%" PRIu64, way->batch);
    if (way->reqrep)
        add_word(line, "reqrep=1");
    if (way->nodrop)
        add_word(line, "nodrop=1");
    if (plan->test->group)
        add_word(line, "rate=%" PRIu64, way->rate);
    for (size_t i = 0;
         ends->subcommand && !ends->plain && i < way->settings.count; i++)
        add_word(line, "set=%s", way->settings.items[i]);
    if (way->url)
        add_word(line, "url=%s", way->url);
    if (plan->test->swap && way->dir)
        add_word(line, "dir=%s", way->dir);
    if (plan->test->swap && way->store)
        add_word(line, "store=%s", way->store);
    if (plan->test->device)
        add_word(line, "device=%s", entry->impl->program);
    if (plan->test->device && entry->impl->subcommand)
        add_word(line, "subcommand=%s", entry->impl->subcommand);
}

int weir_bench_metric(const struct weir_side_test *test, const char *name)
{
    for (int i = 0; test->metrics[i].name; i++) {
        if (strcmp(test->metrics[i].name, name) == 0)
            return i;
    }
    return -1;
}

int weir_bench_read_figure(const struct weir_side_test *test, const char *line,
                           double values[WEIR_SIDE_METRICS])
{
    char name[32], end;
    double value;
    int metric;

    if (sscanf(line, "figure %31s %lf%c", name, &value, &end) != 2)
        return 0;
    metric = weir_bench_metric(test, name);
    if (metric < 0)
        return -1;
    values[metric] = value;
    return 1;
}

/* Read figures up to the end.  1: it is done; 0: it cannot; -1: neither. */
static int read_figures(struct weir_child *child,
                        const struct weir_side_test *test, uint64_t until,
                        double values[WEIR_SIDE_METRICS])
{
    const char *line;

    while ((line = weir_child_line(child, until))) {
        if (strcmp(line, "cannot") == 0)
            return 0;
        if (strcmp(line, "done") == 0)
            return values[0] > 0 ? 1 : -1;
        if (weir_bench_read_figure(test, line, values) < 1)
            return -1;
    }
    return -1;
}

static int run_once(const struct weir_bench_entry *entry,
                    const struct weir_bench_way *way,
                    double values[WEIR_SIDE_METRICS])
{
    uint64_t until = weir_common_until(way->warm + 4 * way->duration + 60);
    struct line line = {.count = 0};
    struct weir_child child;
    int code;

    memset(values, 0, WEIR_SIDE_METRICS * sizeof *values);
    write_line(&line, entry, way);
    code = weir_child_start(&child, ends_of(entry, way)->program, line.argv,
                            way->one_cpu);
    if (code >= 0) {
        code = read_figures(&child, entry->plan.test, until, values);
        weir_child_end(&child, code < 0 ? SIGTERM : 0, weir_common_until(5));
    }
    for (int i = 0; i < line.count; i++)
        weir_text_fini(&line.words[i]);
    return code;
}

/* ---- all runs ---- */

static void tell(const struct weir_bench_entry *entry,
                 const struct weir_bench_way *way)
{
    const struct weir_bench_plan *plan = &entry->plan;
    char size[32] = "", n[32] = "", run[128];

    if (plan->size)
        snprintf(size, sizeof size, " %" PRIu64 " octets", plan->size);
    if (plan->n)
        snprintf(n, sizeof n, " %" PRIu64, plan->n);
    snprintf(run, sizeof run, "%s %s%s%s: %s", plan->test->name,
             plan->transport, size, n, entry->impl->name);
    weir_bench_progress_show(way->progress, run);
}

int weir_bench_run(struct weir_bench_entry *entries, size_t n,
                   const struct weir_bench_way *way)
{
    double values[WEIR_SIDE_METRICS];
    int code = 0, outcome;

    for (size_t run = 0; run < way->runs; run++) {
        for (size_t i = 0; i < n; i++) {
            struct weir_bench_entry *entry = &entries[i];

            tell(entry, way);
            outcome = run_once(entry, way, values);
            weir_bench_progress_clear(way->progress);
            weir_bench_progress_step(way->progress);
            if (outcome < 0)
                code = weir_common_fail(
                    "%s %s with %s, %" PRIu64 " octets, %" PRIu64 ": no result",
                    entry->plan.test->name, entry->plan.transport,
                    entry->impl->name, entry->plan.size, entry->plan.n);
            for (int m = 0; m < WEIR_SIDE_METRICS; m++)
                entry->values[m][run] = values[m];
        }
    }
    return code;
}
