/* bench.c - weir bench: how fast it is, beside other libraries. */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "child.h"
#include "common.h"
#include "figures.h"

struct settings {
    struct weir_args_list transports, sizes, peers;
    const char *json, *url;
    uint64_t runs, batch;
    double duration, warm;
    bool one_cpu, reqrep;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"transport", "T", "tcp, ipc, inproc; several can be named", WEIR_ARGS_MANY,
     AT(transports)},
    {"size", "N", "octets of a message (64); several; 64K and 1M are fine",
     WEIR_ARGS_MANY, AT(sizes)},
    {"peer", "NAME", "beside libzmq, or raw: plain system calls.  Several",
     WEIR_ARGS_MANY, AT(peers)},
    {"runs", "N", "how often each is run (5), turn by turn", WEIR_ARGS_COUNT,
     AT(runs)},
    {"duration", "S", "what is measured of a run (1)", WEIR_ARGS_SECONDS,
     AT(duration)},
    {"warm", "S", "what goes before that (0.2)", WEIR_ARGS_SECONDS, AT(warm)},
    {"json", "FILE", "a line of JSON for each figure; - is standard output",
     WEIR_ARGS_TEXT, AT(json)},
    {"one-cpu", NULL, "all on one CPU: CPU time is steadier so", WEIR_ARGS_FLAG,
     AT(one_cpu)},
    {"batch", "N",
     "thr: weir sends and receives arrays of N messages, up\n"
     "to 1024 (1: a call for a message)",
     WEIR_ARGS_COUNT, AT(batch)},
    {"reqrep", NULL, "lat: between REQ and REP, not PAIR and PAIR",
     WEIR_ARGS_FLAG, AT(reqrep)},
    {"url", "URL", "bind there, for a transport not named above",
     WEIR_ARGS_TEXT, AT(url)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "bench",
    .usage = "thr|lat [option...]",
    .about =
        "thr: messages per second from PUSH to PULL, counted where they "
        "arrive.\nlat: the time there and back.  Both sides are processes of "
        "their own (inproc:\nthreads of one).  Runs of the libraries take "
        "turns; a ratio is the median of the\nratios of neighbours.  CPU is "
        "that of both sides, per message or round trip.\n",
    .options = options,
};

enum metric { RATE, P50, P99, CPU, METRICS };

static const char *const metric_names[METRICS] = {"msg/s", "p50_us", "p99_us",
                                                  "cpu_us"};

#define IMPLS 3

/* A library under test. */
struct impl {
    const char *name;
    char program[4096];
    const char *subcommand; /* weir's side is a subcommand; else NULL */
    double values[METRICS][WEIR_FIGURES_MOST]; /* of one transport and size */
};

struct bench {
    struct settings set;
    bool latency;
    struct impl impls[IMPLS];
    size_t n_impls;
    FILE *json;
    int code;
};

/* ---- one run ---- */

struct plan {
    const char *transport;
    uint64_t size;
};

/* Where the side that binds is to bind. */
static void choose_url(const struct bench *bench, const char *transport,
                       char *url, size_t room)
{
    static unsigned number;

    if (bench->set.url)
        snprintf(url, room, "%s", bench->set.url);
    else if (strcmp(transport, "tcp") == 0)
        snprintf(url, room, "tcp://127.0.0.1:*");
    else if (strcmp(transport, "ipc") == 0)
        snprintf(url, room, "ipc:///tmp/weir-bench-%ld-%u", (long)getpid(),
                 ++number);
    else
        snprintf(url, room, "%s://weir-bench", transport);
}

static int start_side(const struct bench *bench, const struct impl *impl,
                      const struct plan *plan, const char *role,
                      const char *url, struct weir_child *child)
{
    char size[24], warm[32], run[32], batch[24];
    const char *argv[12];
    int n = 0;

    snprintf(size, sizeof size, "%" PRIu64, plan->size);
    snprintf(warm, sizeof warm, "%.3f", bench->set.warm);
    snprintf(run, sizeof run, "%.3f", bench->set.duration);
    snprintf(batch, sizeof batch, "%" PRIu64,
             bench->latency ? 1 : bench->set.batch);
    argv[n++] = impl->program;
    if (impl->subcommand)
        argv[n++] = impl->subcommand;
    argv[n++] = bench->latency ? "lat" : "thr";
    argv[n++] = role;
    argv[n++] = url;
    argv[n++] = size;
    argv[n++] = warm;
    argv[n++] = run;
    argv[n++] = batch;
    argv[n++] = bench->set.reqrep ? "reqrep" : "pair";
    argv[n] = NULL;
    return weir_child_start(child, impl->program, argv, bench->set.one_cpu);
}

/* Bring the sides together, wait for the line with the result. */
static const char *let_them_run(const struct bench *bench,
                                const struct impl *impl,
                                const struct plan *plan,
                                struct weir_child *binder,
                                struct weir_child *other)
{
    uint64_t until =
        weir_common_until(bench->set.warm + bench->set.duration + 10);
    const char *line;
    char pid[24];

    if (strcmp(plan->transport, "inproc") == 0)
        return weir_child_line(binder, until);
    line = weir_child_line(binder, until);
    if (!line || strncmp(line, "url ", 4) != 0 ||
        start_side(bench, impl, plan, "connect", line + 4, other) < 0)
        return NULL;
    snprintf(pid, sizeof pid, "%ld", (long)other->pid);
    if (weir_child_tell(binder, pid) < 0)
        return NULL;
    return weir_child_line(binder, until);
}

static bool read_result(const char *line, double values[METRICS])
{
    uint64_t messages, ns, p50, p99;
    int64_t cpu;

    if (!line || sscanf(line,
                        "result %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu64
                        " %" SCNu64,
                        &messages, &ns, &cpu, &p50, &p99) != 5)
        return false;
    if (!messages || !ns)
        return false;
    values[RATE] = (double)messages * 1e9 / (double)ns;
    values[CPU] = cpu < 0 ? 0 : (double)cpu / 1e3 / (double)messages;
    values[P50] = (double)p50 / 1e3;
    values[P99] = (double)p99 / 1e3;
    return true;
}

static bool run_once(const struct bench *bench, const struct impl *impl,
                     const struct plan *plan, double values[METRICS])
{
    bool threads = strcmp(plan->transport, "inproc") == 0, good;
    struct weir_child binder, other = {.pid = 0};
    char url[256];

    choose_url(bench, plan->transport, url, sizeof url);
    if (start_side(bench, impl, plan, threads ? "both" : "bind", url, &binder) <
        0)
        return false;
    good =
        read_result(let_them_run(bench, impl, plan, &binder, &other), values);
    weir_child_end(&other, SIGKILL, weir_common_until(5));
    weir_child_end(&binder, good ? 0 : SIGKILL, weir_common_until(5));
    if (strncmp(url, "ipc:///tmp/weir-bench-", 22) == 0)
        unlink(url + 6);
    return good;
}

/* ---- one transport and size ---- */

static void write_json(const struct bench *bench, const struct impl *impl,
                       const struct plan *plan, enum metric metric)
{
    struct weir_figures f =
        weir_figures_of(impl->values[metric], (size_t)bench->set.runs);

    if (!bench->json || f.max <= 0)
        return;
    fprintf(bench->json,
            "{\"impl\": \"%s\", \"test\": \"%s\", \"transport\": \"%s\", "
            "\"size\": %" PRIu64 ", \"metric\": \"%s\", \"median\": %.8g, "
            "\"min\": %.8g, \"max\": %.8g, \"runs\": %" PRIu64 "}\n",
            impl->name, bench->latency ? "lat" : "thr", plan->transport,
            plan->size, metric_names[metric], f.median, f.min, f.max,
            bench->set.runs);
}

static void add_figure(struct weir_table *table, double value)
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
static void add_ratio(struct weir_table *table, const struct bench *bench,
                      const struct impl *impl, enum metric metric)
{
    const struct impl *own = &bench->impls[0];
    double ratio = weir_figures_ratio(own->values[metric], impl->values[metric],
                                      (size_t)bench->set.runs);

    if (impl == own || ratio <= 0)
        weir_table_add(table, " ");
    else
        weir_table_add(table, "%.*f x", ratio < 0.1 ? 3 : 2, ratio);
}

static void add_rows(struct weir_table *table, const struct bench *bench,
                     const struct plan *plan)
{
    enum metric first = bench->latency ? P50 : RATE;
    size_t runs = (size_t)bench->set.runs;

    for (size_t i = 0; i < bench->n_impls; i++) {
        const struct impl *impl = &bench->impls[i];
        struct weir_figures f = weir_figures_of(impl->values[first], runs);

        if (f.max <= 0)
            continue;
        weir_table_add(table, "%s", plan->transport);
        weir_table_add(table, "%" PRIu64, plan->size);
        weir_table_add(table, "%s", impl->name);
        add_figure(table, f.median);
        add_figure(table, f.min);
        add_figure(table, f.max);
        if (bench->latency)
            add_figure(table, weir_figures_of(impl->values[P99], runs).median);
        else
            add_figure(table, f.median * (double)plan->size / 1e6);
        add_figure(table, weir_figures_of(impl->values[CPU], runs).median);
        add_ratio(table, bench, impl, first);
        add_ratio(table, bench, impl, CPU);
    }
}

static bool can_run(const struct impl *impl, const char *transport)
{
    if (strcmp(impl->name, "raw") == 0)
        return strcmp(transport, "tcp") == 0 || strcmp(transport, "ipc") == 0;
    return true;
}

/* All runs, the libraries taking turns. */
static void run_plan(struct bench *bench, const struct plan *plan)
{
    double values[METRICS];

    for (size_t run = 0; run < bench->set.runs; run++) {
        for (size_t i = 0; i < bench->n_impls; i++) {
            struct impl *impl = &bench->impls[i];

            memset(values, 0, sizeof values);
            if (isatty(STDERR_FILENO))
                fprintf(stderr,
                        "\r%s %" PRIu64 ": run %zu of %" PRIu64 ", %-8s",
                        plan->transport, plan->size, run + 1, bench->set.runs,
                        impl->name);
            if (can_run(impl, plan->transport) &&
                !run_once(bench, impl, plan, values))
                bench->code =
                    weir_common_fail("%s over %s with %" PRIu64
                                     " octets: no result",
                                     impl->name, plan->transport, plan->size);
            for (int m = 0; m < METRICS; m++)
                impl->values[m][run] = values[m];
        }
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%60s\r", "");
}

static void note_figures(const struct bench *bench, const struct plan *plan)
{
    for (size_t i = 0; i < bench->n_impls; i++) {
        const struct impl *impl = &bench->impls[i];

        if (bench->latency) {
            write_json(bench, impl, plan, P50);
            write_json(bench, impl, plan, P99);
        } else {
            write_json(bench, impl, plan, RATE);
        }
        write_json(bench, impl, plan, CPU);
    }
    if (bench->json)
        fflush(bench->json);
}

/* ---- all of them ---- */

static void print_head(const struct bench *bench)
{
    const struct settings *set = &bench->set;
    FILE *file = bench->json == stdout ? stderr : stdout;
    char how[64];

    if (bench->latency)
        snprintf(how, sizeof how, "%s, there and back",
                 set->reqrep ? "REQ and REP" : "PAIR and PAIR");
    else if (set->batch > 1)
        snprintf(how, sizeof how,
                 "PUSH to PULL, arrays of %" PRIu64 " messages", set->batch);
    else
        snprintf(how, sizeof how, "PUSH to PULL, a call for a message");
    fprintf(file, "%s; %" PRIu64 " run%s of %g s each, taking turns%s\n\n", how,
            set->runs, set->runs == 1 ? "" : "s", set->duration,
            set->one_cpu ? "; all on one CPU" : "");
}

static const char *const *heads(const struct bench *bench)
{
    static const char *const thr[] = {"transport", ">size",   "library",
                                      ">msg/s",    ">min",    ">max",
                                      ">MB/s",     ">CPU us", ">weir/this",
                                      ">CPU/this", NULL};
    static const char *const lat[] = {"transport", ">size",   "library",
                                      ">p50 us",   ">min",    ">max",
                                      ">p99 us",   ">CPU us", ">weir/this",
                                      ">CPU/this", NULL};

    return bench->latency ? lat : thr;
}

static int run_all(struct bench *bench)
{
    const struct weir_args_list *transports = &bench->set.transports;
    const struct weir_args_list *sizes = &bench->set.sizes;
    struct weir_table table;
    struct plan plan;

    print_head(bench);
    weir_table_init(&table, heads(bench));
    for (size_t t = 0; t < transports->count; t++) {
        for (size_t s = 0; s < sizes->count; s++) {
            plan.transport = transports->items[t];
            weir_args_number(sizes->items[s], 0, &plan.size);
            run_plan(bench, &plan);
            add_rows(&table, bench, &plan);
            note_figures(bench, &plan);
        }
    }
    weir_table_print(&table, 0, bench->json == stdout ? stderr : stdout);
    weir_table_fini(&table);
    return bench->code;
}

/* ---- arguments ---- */

/* "a,b" and "a" "b" mean the same. */
static void split_commas(struct weir_args_list *list, struct weir_text *memory)
{
    struct weir_args_list whole = *list;
    char *at;

    for (size_t i = 0; i < whole.count; i++)
        weir_text_format(memory, "%s,", whole.items[i]);
    list->count = 0;
    for (at = memory->data; at && *at && list->count < WEIR_ARGS_MOST;) {
        size_t length = strcspn(at, ",");

        at[length] = '\0';
        if (length)
            list->items[list->count++] = at;
        at += length + 1;
    }
}

static bool usable(const char *program)
{
    return access(program, X_OK) == 0;
}

/* A helper lies beside this program where it was built, one folder above
 * that (libtool hides programs in .libs), or where it was installed. */
static bool find_helper(struct impl *impl, const char *name)
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

static int add_peer(struct bench *bench, const char *name)
{
    struct impl *impl = &bench->impls[bench->n_impls];

    if (bench->n_impls == IMPLS ||
        (strcmp(name, "libzmq") != 0 && strcmp(name, "raw") != 0)) {
        weir_common_fail("--peer %s: want libzmq or raw, each once", name);
        return 2;
    }
    impl->name = name;
    if (!find_helper(impl, name))
        return weir_common_fail("--peer %s: its helper was not built, or is "
                                "not at %s",
                                name, impl->program);
    bench->n_impls++;
    return 0;
}

static int check_settings(struct bench *bench)
{
    const struct settings *set = &bench->set;
    uint64_t size;

    for (size_t i = 0; i < set->sizes.count; i++) {
        if (!weir_args_number(set->sizes.items[i], 0, &size) ||
            size > UINT32_MAX) {
            weir_common_fail("--size %s: not a number of octets",
                             set->sizes.items[i]);
            return 2;
        }
    }
    if (set->runs > WEIR_FIGURES_MOST || set->batch > 1024) {
        weir_common_fail("at most %d --runs and 1024 to a --batch",
                         WEIR_FIGURES_MOST);
        return 2;
    }
    if (set->duration < 0.001 || set->duration + set->warm > 3600) {
        weir_common_fail("--duration and --warm: want 0.001 s to an hour");
        return 2;
    }
    return 0;
}

static int open_json(struct bench *bench)
{
    const char *name = bench->set.json;

    if (!name)
        return 0;
    bench->json = strcmp(name, "-") == 0 ? stdout : fopen(name, "w");
    if (!bench->json)
        return weir_common_fail("--json %s: cannot write there", name);
    return 0;
}

static int prepare(struct bench *bench, const struct weir_args_list *rest)
{
    struct impl *own = &bench->impls[0];
    int code = check_settings(bench);

    if (code)
        return code;
    if (rest->count != 1 || (strcmp(rest->items[0], "thr") != 0 &&
                             strcmp(rest->items[0], "lat") != 0)) {
        weir_common_fail("want thr or lat\n(weir bench --help says more)");
        return 2;
    }
    bench->latency = strcmp(rest->items[0], "lat") == 0;
    own->name = "weir";
    own->subcommand = "bench-side";
    snprintf(own->program, sizeof own->program, "%s", weir_common_self());
    bench->n_impls = 1;
    for (size_t i = 0; i < bench->set.peers.count && !code; i++)
        code = add_peer(bench, bench->set.peers.items[i]);
    return code ? code : open_json(bench);
}

int weir_bench_main(int argc, const char *const *argv)
{
    static struct bench bench = {
        .set = {.runs = 5, .batch = 1, .duration = 1, .warm = 0.2}};
    struct weir_text transports = {0}, sizes = {0}, peers = {0};
    struct weir_args_list rest = {.count = 0};
    int code;

    if (!weir_args_take(&args, &bench.set, &rest, argc, argv, &code))
        return code;
    if (!bench.set.transports.count)
        bench.set.transports.items[bench.set.transports.count++] =
            "tcp,ipc,inproc";
    if (!bench.set.sizes.count)
        bench.set.sizes.items[bench.set.sizes.count++] = "64";
    split_commas(&bench.set.transports, &transports);
    split_commas(&bench.set.sizes, &sizes);
    split_commas(&bench.set.peers, &peers);
    code = prepare(&bench, &rest);
    if (!code)
        code = run_all(&bench);
    if (bench.json && bench.json != stdout && fclose(bench.json) != 0)
        code = weir_common_fail("--json %s: cannot write", bench.set.json);
    weir_text_fini(&transports);
    weir_text_fini(&sizes);
    weir_text_fini(&peers);
    return code;
}
