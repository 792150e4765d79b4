/* stats.c - weir stats: the counters of programs, once. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "common.h"
#include "look.h"
#include "prometheus.h"

struct settings {
    bool json, prometheus;
    double timeout;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"json", NULL, "a line of JSON for each program", WEIR_ARGS_FLAG, AT(json)},
    {"prometheus", NULL, "the text format of Prometheus", WEIR_ARGS_FLAG,
     AT(prometheus)},
    {"timeout", "S", "how long to wait for all of them together (5)",
     WEIR_ARGS_SECONDS, AT(timeout)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "stats",
    .usage = "[URL|NAME...] [option...]",
    .about =
        "Shows the counters of programs that have a stats endpoint: at a URL, "
        "or under a\nname that they were given with WEIR_STATS=NAME; see "
        "weir_stats_endpoint(7).\nWithout a word, of all in the runtime "
        "folders.  Exit code 1: one of them cannot\nbe looked into; 2: wrong "
        "arguments.\n",
    .options = options,
};

struct stats {
    struct settings set;
    weir_context context;
    struct weir_looks looks;
    struct weir_tree trees[WEIR_LOOK_MOST];
    struct weir_text out;
};

/* ---- a table ---- */

static uint64_t dropped(const struct weir_tree *tree,
                        const struct weir_tree_node *socket)
{
    static const char *const ways[] = {"send_dropped", "recv_dropped"};
    uint64_t sum = 0;

    for (int i = 0; i < 2; i++) {
        const struct weir_tree_node *drops =
            weir_tree_member(tree, socket, ways[i]);

        for (const struct weir_tree_node *drop = weir_tree_first(tree, drops);
             drop; drop = weir_tree_next(tree, drop))
            sum += drop->number;
    }
    return sum;
}

static void add_row(struct weir_table *table, const struct weir_tree *tree,
                    const struct weir_tree_node *socket)
{
    static const char *const members[] = {"id",          "peers_ready",
                                          "decoded",     "delivered",
                                          "recv_queued", "accepted",
                                          "written",     "send_queued"};

    weir_table_add_plain(table, weir_tree_text(tree, socket, "type"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        weir_table_add(table, "%" PRIu64,
                       weir_tree_number(tree, socket, members[i]));
    weir_table_add(table, "%" PRIu64, dropped(tree, socket));
}

static void print_table(const struct weir_look *look,
                        const struct weir_tree *tree)
{
    static const char *const heads[] = {"socket",    ">id",       ">peers",
                                        ">came",     ">received", ">unread",
                                        ">accepted", ">sent",     ">unsent",
                                        ">dropped",  NULL};
    const struct weir_tree_node *root = weir_tree_root(tree);
    struct weir_text title = {0};
    struct weir_table table;

    weir_text_format(&title, "%s: ", look->target);
    weir_text_add_plain(&title, weir_tree_text(tree, root, "program"),
                        strlen(weir_tree_text(tree, root, "program")));
    printf("%s, pid %" PRIu64 ", context %" PRIu64 "\n",
           weir_text_string(&title), weir_tree_number(tree, root, "pid"),
           weir_tree_number(tree, root, "context"));
    weir_text_fini(&title);
    weir_table_init(&table, heads);
    for (const struct weir_tree_node *socket =
             weir_tree_first(tree, weir_tree_member(tree, root, "sockets"));
         socket; socket = weir_tree_next(tree, socket))
        add_row(&table, tree, socket);
    weir_table_print(&table, 2, stdout);
    weir_table_fini(&table);
}

/* ---- all ---- */

/* One that cannot be looked into does not hide the others, whose answers come
 * while it is waited for. */
static int ask_all(struct stats *stats)
{
    uint64_t until = weir_common_until(stats->set.timeout);
    int failed = 0;

    for (size_t i = 0; i < stats->looks.count; i++)
        (void)weir_look_send(&stats->looks.items[i], stats->context, "stats");
    for (size_t i = 0; i < stats->looks.count; i++) {
        struct weir_look *look = &stats->looks.items[i];

        if (weir_look_answer(look, until, &stats->trees[i]) < 0)
            failed = weir_common_fail("%s: %s", look->target, look->reason);
    }
    return failed;
}

static void show_prometheus(struct stats *stats)
{
    struct weir_prometheus_target targets[WEIR_LOOK_MOST];

    for (size_t i = 0; i < stats->looks.count; i++)
        targets[i] = (struct weir_prometheus_target){
            stats->looks.items[i].target, &stats->trees[i]};
    weir_prometheus_write(&stats->out, targets, stats->looks.count);
    fputs(weir_text_string(&stats->out), stdout);
}

static void show(struct stats *stats)
{
    if (stats->set.prometheus) {
        show_prometheus(stats);
        return;
    }
    for (size_t i = 0; i < stats->looks.count; i++) {
        if (!weir_tree_root(&stats->trees[i]))
            continue;
        if (stats->set.json)
            puts(weir_text_string(&stats->looks.items[i].answer));
        else
            print_table(&stats->looks.items[i], &stats->trees[i]);
    }
}

static int run(struct stats *stats, const struct weir_args_list *words)
{
    int code = weir_look_find(&stats->looks, words);

    if (code)
        return code;
    code = weir_context_open(&stats->context, 1);
    if (code < 0)
        return weir_common_fail_code(code, "no context");
    code = ask_all(stats);
    show(stats);
    return code;
}

int weir_stats_main(int argc, const char *const *argv)
{
    static struct stats stats = {.set = {.timeout = 5}};
    struct weir_args_list words = {.count = 0};
    int code;

    if (!weir_args_take(&args, &stats.set, &words, argc, argv, &code))
        return code;
    if (stats.set.json && stats.set.prometheus) {
        weir_common_fail("want one of --json and --prometheus\n(weir stats "
                         "--help says more)");
        return 2;
    }
    code = run(&stats, &words);
    for (size_t i = 0; i < stats.looks.count; i++)
        weir_tree_fini(&stats.trees[i]);
    weir_look_fini(&stats.looks);
    if (stats.context.generation)
        (void)weir_context_close(stats.context, 5000);
    weir_text_fini(&stats.out);
    return code;
}
