/* bench.c - weir bench: how fast it is, beside other libraries. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../args.h"
#include "../chart.h"
#include "../common.h"
#include "bench.h"

struct settings {
    struct weir_args_list transports, sizes, values, peers;
    const char *json, *svg, *ends;
    struct weir_bench_way way;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option common_options[] = {
    {"transport", "T", "tcp, ipc, inproc; several can be named", WEIR_ARGS_MANY,
     AT(transports)},
    {"peer", "NAME",
     "beside libzmq, nng, nanomsg, raw: plain system calls, or\nplain: weir "
     "without what is --set.  Several",
     WEIR_ARGS_MANY, AT(peers)},
    {"runs", "N", "how often each is run (5), turn by turn", WEIR_ARGS_COUNT,
     AT(way.runs)},
    {"duration", "S", "what is measured of a run (1)", WEIR_ARGS_SECONDS,
     AT(way.duration)},
    {"warm", "S", "what goes before that (0.2)", WEIR_ARGS_SECONDS,
     AT(way.warm)},
    {"one-cpu", NULL, "all on one CPU: CPU time is steadier so", WEIR_ARGS_FLAG,
     AT(way.one_cpu)},
    {"json", "FILE", "a line of JSON for each figure; - is standard output",
     WEIR_ARGS_TEXT, AT(json)},
    {"svg", "FILE", "a chart of the main figure (with --one-cpu: of CPU time)",
     WEIR_ARGS_TEXT, AT(svg)},
    {"set", "NAME=VALUE", "an option of weir's sockets.  Several",
     WEIR_ARGS_MANY, AT(way.settings)},
    {"url", "URL", "bind there, for a transport not named above",
     WEIR_ARGS_TEXT, AT(way.url)},
};

static const struct weir_args_option size_option = {
    "size", "N", "octets of a message (64); several; 64K and 1M are fine",
    WEIR_ARGS_MANY, AT(sizes)};
static const struct weir_args_option batch_option = {
    "batch", "N",
    "weir sends and receives arrays of N messages, up to 1024\n"
    "(1: a call for a message)",
    WEIR_ARGS_COUNT, AT(way.batch)};
static const struct weir_args_option reqrep_option = {
    "reqrep", NULL, "round trips between REQ and REP", WEIR_ARGS_FLAG,
    AT(way.reqrep)};
static const struct weir_args_option nodrop_option = {
    "nodrop", NULL, "the publisher waits for slow subscribers", WEIR_ARGS_FLAG,
    AT(way.nodrop)};

static const struct weir_args_option rate_option = {
    "rate", "N", "over epgm and pgm: kbit/s that may be sent (100000)",
    WEIR_ARGS_COUNT, AT(way.rate)};
static const struct weir_args_option ends_option = {
    "ends", "NAME",
    "source and sink are those of libzmq, nng, nanomsg or\n"
    "weir (those of the device)",
    WEIR_ARGS_TEXT, AT(ends)};

static const struct weir_args_option swap_options[] = {
    {"dir", "DIR", "the folder of the swap (TMPDIR, or /var/tmp)",
     WEIR_ARGS_TEXT, AT(way.dir)},
    {"store", "NAME", "the plugin that keeps it (file)", WEIR_ARGS_TEXT,
     AT(way.store)},
};

struct bench {
    const struct weir_side_test *test;
    struct settings set;
    struct weir_text memory[4]; /* of the lists */
    struct weir_bench_impl impls[WEIR_BENCH_IMPLS], ends;
    struct weir_bench_entry *entries; /* one for each of impls */
    size_t n_impls;
    struct weir_table table;
    struct weir_chart chart;
    struct weir_bench_progress progress;
    FILE *json, *svg;
    int code;
};

/* ---- arguments ---- */

#define COMMON  (sizeof common_options / sizeof *common_options)
#define SPECIAL 9
#define OPTIONS (COMMON + SPECIAL + 1)

static const struct weir_args_choice choices[] = {
    {"transport", "tcp ipc inproc"},
    {"peer", "libzmq nng nanomsg raw plain"},
    {"ends", "libzmq nng nanomsg weir"},
    {NULL, NULL},
};

/* The options that a test has; ends with an empty one. */
static void list_options(const struct weir_side_test *test,
                         struct weir_args_option options[OPTIONS])
{
    size_t n = 0;

    if (test->parameter)
        options[n++] =
            (struct weir_args_option){test->parameter, "N", test->parameter_doc,
                                      WEIR_ARGS_MANY, AT(values)};
    if (test->sizes)
        options[n++] = size_option;
    memcpy(options + n, common_options, sizeof common_options);
    n += COMMON;
    if (test->batch)
        options[n++] = batch_option;
    if (test->reqrep)
        options[n++] = reqrep_option;
    if (test->nodrop)
        options[n++] = nodrop_option;
    if (test->group)
        options[n++] = rate_option;
    if (test->device)
        options[n++] = ends_option;
    for (int i = 0; test->swap && i < 2; i++)
        options[n++] = swap_options[i];
    options[n] = (struct weir_args_option){.name = NULL};
}

/* "a,b" and "a" "b" mean the same; nothing means `fallback`. */
static void split_commas(struct weir_args_list *list, const char *fallback,
                         struct weir_text *memory)
{
    char *at;

    for (size_t i = 0; i < list->count; i++)
        weir_text_format(memory, "%s,", list->items[i]);
    if (!list->count && fallback)
        weir_text_format(memory, "%s", fallback);
    list->count = 0;
    for (at = memory->data; at && *at && list->count < WEIR_ARGS_MOST;) {
        size_t length = strcspn(at, ",");
        bool last = at[length] == '\0';

        at[length] = '\0';
        if (length)
            list->items[list->count++] = at;
        at += length + !last;
    }
}

static void split_lists(struct bench *bench)
{
    struct settings *set = &bench->set;

    split_commas(&set->transports, bench->test->transports, &bench->memory[0]);
    split_commas(&set->sizes, bench->test->sizes ? bench->test->sizes : "0",
                 &bench->memory[1]);
    split_commas(&set->values, bench->test->values ? bench->test->values : "0",
                 &bench->memory[2]);
    split_commas(&set->peers, NULL, &bench->memory[3]);
}

static bool are_numbers(const struct weir_args_list *list, const char *option)
{
    uint64_t number;

    for (size_t i = 0; i < list->count; i++) {
        if (!weir_args_number(list->items[i], 0, &number) ||
            number > UINT32_MAX) {
            weir_common_fail("--%s %s: not a number of up to 4294967295",
                             option, list->items[i]);
            return false;
        }
    }
    return true;
}

/* What does not load is said here, once: each run would say it again. */
static int check_plugin(const char *transport)
{
    weir_plugin_info *found = NULL;
    int count = weir_common_plugins(&found);
    bool any = false;

    for (int i = 0; i < count; i++)
        any = any || ((found[i].state == WEIR_PLUGIN_LOADED ||
                       found[i].state == WEIR_PLUGIN_ALIAS) &&
                      strncmp(found[i].name, "transport_", 10) == 0 &&
                      weir_common_is_plugin(&found[i], transport));
    free(found);
    if (any)
        return 0;
    weir_common_fail("--transport %s: no such transport is found that loads; "
                     "see `weir plugins`",
                     transport);
    return 2;
}

/* What weir cannot be run over. */
static int check_transports(const struct bench *bench)
{
    const struct weir_args_list *list = &bench->set.transports;

    for (size_t i = 0; i < list->count; i++) {
        if (check_plugin(list->items[i]) != 0)
            return 2;
        if (!weir_side_is_group(list->items[i]) || bench->test->group)
            continue;
        weir_common_fail("--transport %s: messages go one way there, and only "
                         "thr can be run",
                         list->items[i]);
        return 2;
    }
    return 0;
}

static int check_way(const struct weir_bench_way *way)
{
    if (way->runs > WEIR_FIGURES_MOST || way->batch > 1024) {
        weir_common_fail("at most %d --runs and 1024 to a --batch",
                         WEIR_FIGURES_MOST);
        return 2;
    }
    if (way->duration < 0.001 || way->duration + way->warm > 3600) {
        weir_common_fail("--duration and --warm: want 0.001 s to an hour");
        return 2;
    }
    if (way->rate < 1 || way->rate > 10000000) {
        weir_common_fail("--rate: want 1 to 10000000 kbit/s");
        return 2;
    }
    return 0;
}

static int check_settings(const struct weir_args_list *settings)
{
    if (settings->count > WEIR_SIDE_SETTINGS) {
        weir_common_fail("--set: at most %d", WEIR_SIDE_SETTINGS);
        return 2;
    }
    for (size_t i = 0; i < settings->count; i++) {
        char name[WEIR_COMMON_NAME];
        const char *value;

        if (!weir_common_split(settings->items[i], name, &value)) {
            weir_common_fail("--set %s: want NAME=VALUE", settings->items[i]);
            return 2;
        }
    }
    return 0;
}

static int add_impl(struct bench *bench, const char *name)
{
    if (bench->n_impls == WEIR_BENCH_IMPLS) {
        weir_common_fail("--peer %s: each of them once", name);
        return 2;
    }
    return weir_bench_find(&bench->impls[bench->n_impls++], name);
}

static int find_ends(struct bench *bench)
{
    int code = 0;

    if (bench->set.ends) {
        code = weir_bench_find(&bench->ends, bench->set.ends);
        bench->set.way.ends = &bench->ends;
    }
    return code;
}

static int open_file(const char *name, const char *option, FILE **file)
{
    if (!name)
        return 0;
    *file = strcmp(name, "-") == 0 ? stdout : fopen(name, "w");
    return *file
               ? 0
               : weir_common_fail("--%s %s: cannot write there", option, name);
}

static int close_file(const char *name, const char *option, FILE *file)
{
    if (!file || file == stdout || fclose(file) == 0)
        return 0;
    return weir_common_fail("--%s %s: cannot write", option, name);
}

static int prepare(struct bench *bench)
{
    struct settings *set = &bench->set;
    int code;

    split_lists(bench);
    if (!are_numbers(&set->sizes, "size") ||
        !are_numbers(&set->values, bench->test->parameter))
        return 2;
    code = check_transports(bench);
    code = code ? code : check_way(&set->way);
    code = code ? code : check_settings(&set->way.settings);
    code = code ? code : add_impl(bench, "weir");
    for (size_t i = 0; i < set->peers.count && !code; i++)
        code = add_impl(bench, set->peers.items[i]);
    code = code ? code : find_ends(bench);
    bench->entries = calloc(bench->n_impls, sizeof *bench->entries);
    if (!code && !bench->entries)
        code = weir_common_fail("no memory");
    code = code ? code : open_file(set->json, "json", &bench->json);
    return code ? code : open_file(set->svg, "svg", &bench->svg);
}

/* ---- a test ---- */

/* Standard output is for people unless figures go there. */
static FILE *paper(const struct bench *bench)
{
    return bench->json == stdout || bench->svg == stdout ? stderr : stdout;
}

static void run_plan(struct bench *bench, const struct weir_bench_plan *plan)
{
    const struct weir_bench_way *way = &bench->set.way;
    int metric = way->one_cpu ? weir_bench_metric(plan->test, "cpu_us") : 0;

    for (size_t i = 0; i < bench->n_impls; i++)
        bench->entries[i] =
            (struct weir_bench_entry){.impl = &bench->impls[i], .plan = *plan};
    bench->code |= weir_bench_run(bench->entries, bench->n_impls, way);
    weir_bench_rows(&bench->table, bench->entries, bench->n_impls, way->runs);
    weir_bench_points(&bench->chart, metric < 0 ? 0 : metric, bench->entries,
                      bench->n_impls, way->runs, bench->set.sizes.count > 1);
    for (size_t i = 0; i < bench->n_impls; i++)
        weir_bench_json(&bench->entries[i], way, bench->json);
}

static void print_head(const struct bench *bench)
{
    const struct weir_bench_way *way = &bench->set.way;

    fprintf(paper(bench), "%s%s; %" PRIu64 " run%s of %g s each, taking turns",
            bench->test->name, way->reqrep ? ", REQ and REP" : "", way->runs,
            way->runs == 1 ? "" : "s", way->duration);
    if (way->ends)
        fprintf(paper(bench), "; ends of %s", way->ends->name);
    if (way->batch > 1)
        fprintf(paper(bench), "; arrays of %" PRIu64 " messages", way->batch);
    for (size_t i = 0; i < way->settings.count; i++)
        fprintf(paper(bench), "%s %s", i ? "," : "; weir with",
                way->settings.items[i]);
    fprintf(paper(bench), "%s\n\n", way->one_cpu ? "; all on one CPU" : "");
}

static void run_all(struct bench *bench)
{
    const struct settings *set = &bench->set;
    struct weir_bench_plan plan = {.test = bench->test};

    weir_bench_progress_begin(&bench->progress,
                              set->transports.count * set->sizes.count *
                                  set->values.count * bench->n_impls *
                                  set->way.runs);
    bench->set.way.progress = &bench->progress;
    for (size_t t = 0; t < set->transports.count; t++) {
        for (size_t s = 0; s < set->sizes.count; s++) {
            for (size_t v = 0; v < set->values.count; v++) {
                plan.transport = set->transports.items[t];
                weir_args_number(set->sizes.items[s], 0, &plan.size);
                weir_args_number(set->values.items[v], 0, &plan.n);
                run_plan(bench, &plan);
            }
        }
    }
}

static void draw(struct bench *bench)
{
    const struct weir_side_test *test = bench->test;
    int metric = bench->set.way.one_cpu ? weir_bench_metric(test, "cpu_us") : 0;
    struct weir_text svg = {0};
    uint64_t runs = bench->set.way.runs;
    char note[160], y_name[48];

    if (!bench->svg)
        return;
    metric = metric < 0 ? 0 : metric;
    snprintf(note, sizeof note, "weir bench %s%s: %s%" PRIu64 " run%s%s",
             test->name, bench->set.way.reqrep ? " --reqrep" : "",
             runs == 1 ? "" : "the median, least and most of ", runs,
             runs == 1 ? "" : "s",
             bench->set.way.one_cpu ? ", all on one CPU" : "");
    snprintf(y_name, sizeof y_name, "%s (%s is better)",
             test->metrics[metric].name,
             test->metrics[metric].more_is_better ? "more" : "less");
    bench->chart.title = test->summary;
    bench->chart.note = note;
    bench->chart.y_name = y_name;
    bench->chart.x_name =
        test->parameter ? test->parameter_axis : "size of a message, octets";
    weir_chart_write(&bench->chart, &svg);
    fputs(weir_text_string(&svg), bench->svg);
    weir_text_fini(&svg);
}

static void release(struct bench *bench)
{
    bench->code |= close_file(bench->set.json, "json", bench->json);
    bench->code |= close_file(bench->set.svg, "svg", bench->svg);
    for (size_t i = 0; i < sizeof bench->memory / sizeof *bench->memory; i++)
        weir_text_fini(&bench->memory[i]);
    free(bench->entries);
}

static int run_test(const struct weir_side_test *test, int argc,
                    const char *const *argv)
{
    static struct bench bench = {
        .set.way = {
            .runs = 5, .batch = 1, .rate = 100000, .duration = 1, .warm = 0.2}};
    struct weir_args_option options[OPTIONS];
    struct weir_args_list rest = {.count = 0};
    struct weir_bench_heads heads;
    char name[32];
    struct weir_args args = {.command = name,
                             .usage = "[option...]",
                             .about = test->about,
                             .options = options,
                             .choices = choices};
    int code;

    snprintf(name, sizeof name, "bench %s", test->name);
    list_options(test, options);
    if (!weir_args_take(&args, &bench.set, &rest, argc, argv, &code))
        return code;
    if (rest.count) {
        weir_common_fail("%s: not an option", rest.items[0]);
        return 2;
    }
    if (!weir_common_has_transports())
        return 1;
    bench.test = test;
    code = prepare(&bench);
    if (code == 0) {
        print_head(&bench);
        weir_bench_heads(test, &heads);
        weir_table_init(&bench.table, heads.names);
        run_all(&bench);
        weir_table_print(&bench.table, 0, paper(&bench));
        weir_table_fini(&bench.table);
        draw(&bench);
    }
    release(&bench);
    return code ? code : bench.code;
}

/* ---- the subcommand ---- */

static void print_usage(FILE *file)
{
    fputs("usage: weir bench TEST [option...]\n\n", file);
    for (size_t i = 0; weir_side_tests[i]; i++)
        fprintf(file, "  %-8s %s\n", weir_side_tests[i]->name,
                weir_side_tests[i]->summary);
    fprintf(file, "  %-8s %s\n", "targets",
            "the table of what weir has to reach, filled in");
    fputs("\n`weir bench TEST --help` says more.  Each side is a process, on "
          "inproc a thread.\nRuns of the libraries take turns; a ratio is the "
          "median of those of\nneighbours.\n",
          file);
}

static void list_tests(void)
{
    struct weir_text text = {0};

    for (size_t i = 0; weir_side_tests[i]; i++)
        weir_args_list_line(&text, weir_side_tests[i]->name, NULL, NULL,
                            weir_side_tests[i]->summary);
    weir_args_list_line(&text, "targets", NULL, NULL, "what has to be reached");
    weir_args_list_line(&text, "--help", NULL, NULL, "which tests there are");
    fputs(weir_text_string(&text), stdout);
    weir_text_fini(&text);
}

int weir_bench_main(int argc, const char *const *argv)
{
    const struct weir_side_test *test = argc ? weir_side_find(argv[0]) : NULL;

    if (argc &&
        (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (argc == 1 && strcmp(argv[0], "--list-options") == 0) {
        list_tests();
        return 0;
    }
    if (argc && strcmp(argv[0], "targets") == 0)
        return weir_bench_targets(argc - 1, argv + 1);
    if (test)
        return run_test(test, argc - 1, argv + 1);
    if (argc)
        weir_common_fail("%s: no such test", argv[0]);
    print_usage(stderr);
    return 2;
}
