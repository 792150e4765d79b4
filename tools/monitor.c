/* monitor.c - weir monitor: events of a program as they happen. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "common.h"
#include "look.h"
#include "terminal.h"

struct settings {
    bool json;
    uint64_t count;
    double timeout;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"json", NULL, "each event as a line of JSON", WEIR_ARGS_FLAG, AT(json)},
    {"count", "N", "end after N events", WEIR_ARGS_COUNT, AT(count)},
    {"timeout", "S", "how long to wait for the program at first (5)",
     WEIR_ARGS_SECONDS, AT(timeout)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "monitor",
    .usage = "URL|NAME [option...]",
    .about =
        "Shows what happens to the connections of a program, and why, as it "
        "happens.  The\nprogram has a stats endpoint: at a URL, or under a "
        "name that it was given with\nWEIR_STATS=NAME; see "
        "weir_stats_endpoint(7).  Exit code 1: it cannot be looked\ninto, or "
        "has ended; 2: wrong arguments.\n",
    .options = options,
};

struct monitor {
    struct settings set;
    weir_context context;
    struct weir_looks looks;
    struct weir_tree tree;
    struct weir_text line;
    int stop_fd;
    bool colours;
    uint64_t shown;
};

/* ---- a line for an event ---- */

static enum weir_colour colour_of(const char *event)
{
    static const struct {
        const char *event;
        enum weir_colour colour;
    } colours[] = {
        {"connected", WEIR_COLOUR_GREEN},
        {"peer-resumed", WEIR_COLOUR_GREEN},
        {"swap-resumed", WEIR_COLOUR_GREEN},
        {"disconnected", WEIR_COLOUR_YELLOW},
        {"retry", WEIR_COLOUR_YELLOW},
        {"refused", WEIR_COLOUR_RED},
        {"accept-failed", WEIR_COLOUR_RED},
        {"peer-stalled", WEIR_COLOUR_RED},
        {"gap", WEIR_COLOUR_RED},
        {"swap-failed", WEIR_COLOUR_RED},
    };

    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        if (strcmp(colours[i].event, event) == 0)
            return colours[i].colour;
    }
    return WEIR_COLOUR_PLAIN;
}

/* When it came here: the clock of the event may be another machine's. */
static void add_time(struct weir_text *line)
{
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    weir_text_format(line, "%02d:%02d:%02d.%03ld  ", parts.tm_hour,
                     parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000);
}

/* What the number of an event means. */
static void add_value(struct weir_text *line, const char *event, uint64_t value)
{
    static const struct {
        const char *event, *before, *behind;
        bool zero; /* it means something too */
    } meanings[] = {
        {"disconnected", "up to ", " messages unconfirmed", false},
        {"retry", "next in ", " ms", true},
        {"gap", "", " messages lost", true},
        {"swap-failed", "", " octets wait in memory", true},
    };

    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (strcmp(meanings[i].event, event) == 0 &&
            (value || meanings[i].zero))
            weir_text_format(line, "; %s%" PRIu64 "%s", meanings[i].before,
                             value, meanings[i].behind);
    }
}

static void add_plain(struct weir_text *line, const char *before,
                      const char *text)
{
    if (!*text)
        return;
    weir_text_format(line, "%s", before);
    weir_text_add_plain(line, text, strlen(text));
}

static void write_event(struct monitor *monitor,
                        const struct weir_tree_node *root)
{
    const struct weir_tree *tree = &monitor->tree;
    struct weir_text *line = &monitor->line;
    const char *event = weir_tree_text(tree, root, "event");
    enum weir_colour colour = colour_of(event);

    add_time(line);
    add_plain(line, "", weir_tree_text(tree, root, "type"));
    weir_text_format(line, " %-4" PRIu64,
                     weir_tree_number(tree, root, "socket"));
    weir_terminal_colour(line, colour, monitor->colours);
    add_plain(line, " ", event);
    weir_terminal_colour(line, WEIR_COLOUR_PLAIN, monitor->colours);
    add_plain(line, "  ", weir_tree_text(tree, root, "endpoint"));
    add_plain(line, "  ", weir_tree_text(tree, root, "peer"));
    add_plain(line, ": ", weir_tree_text(tree, root, "reason"));
    add_value(line, event, weir_tree_number(tree, root, "value"));
}

/* ---- showing ---- */

/* Whoever reads it wants it now. */
static int show(struct monitor *monitor)
{
    const struct weir_tree_node *root = weir_tree_root(&monitor->tree);
    uint64_t missed = weir_tree_number(&monitor->tree, root, "missed");

    weir_text_clear(&monitor->line);
    if (monitor->set.json)
        weir_text_add(&monitor->line, monitor->looks.items[0].answer.data,
                      monitor->looks.items[0].answer.size);
    else if (missed)
        weir_text_format(&monitor->line, "(%" PRIu64 " events missed)", missed);
    else
        write_event(monitor, root);
    weir_text_add_char(&monitor->line, '\n');
    monitor->shown += missed == 0;
    if (fwrite(monitor->line.data, monitor->line.size, 1, stdout) != 1 ||
        fflush(stdout) != 0)
        return 1; /* main() says why */
    return 0;
}

static bool finished(const struct monitor *monitor)
{
    return weir_common_stopped() ||
           (monitor->set.count && monitor->shown >= monitor->set.count);
}

static int show_waiting(struct monitor *monitor, struct weir_look *look)
{
    int code = 0;

    while (!code && !finished(monitor)) {
        code = weir_look_hear(look, &monitor->tree);
        if (code == -EAGAIN)
            return 0;
        code = code < 0 ? weir_common_fail("%s", look->reason) : show(monitor);
    }
    return code;
}

/* The connection to it would be made again, but it would not know us. */
static int check_there(struct weir_look *look)
{
    weir_event event = {.size = sizeof event};

    while (weir_next_event(look->socket, &event, WEIR_NOWAIT) == 0) {
        if (event.kind == WEIR_EVENT_DISCONNECTED)
            return weir_common_fail("%s has ended", look->target);
    }
    return 0;
}

static int watch(struct monitor *monitor, struct weir_look *look)
{
    weir_poll_item items[] = {
        {.socket = look->socket, .events = WEIR_POLL_IN},
        {.fd = monitor->stop_fd, .events = WEIR_POLL_IN},
    };
    int code = 0;

    while (!code && !finished(monitor)) {
        int n = weir_poll(items, 2, 500);

        if (n < 0)
            return weir_common_fail_code(n, "cannot wait");
        code = show_waiting(monitor, look);
        if (!code && !finished(monitor))
            code = check_there(look);
    }
    return code;
}

/* Until it answers, or a signal says that it is enough. */
static void wait_for_it(struct monitor *monitor, struct weir_look *look,
                        uint64_t until)
{
    weir_poll_item items[] = {
        {.socket = look->socket, .events = WEIR_POLL_IN},
        {.fd = monitor->stop_fd, .events = WEIR_POLL_IN},
    };

    (void)weir_poll(items, 2, weir_common_left(until, -1));
}

static int begin(struct monitor *monitor, struct weir_look *look)
{
    uint64_t until = weir_common_until(monitor->set.timeout);
    int code = weir_look_send(look, monitor->context, "events");

    if (code >= 0)
        wait_for_it(monitor, look, until);
    if (weir_common_stopped())
        return 0;
    if (code >= 0)
        code = weir_look_answer(look, until, &monitor->tree);
    if (code < 0)
        return weir_common_fail("%s: %s", look->target, look->reason);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "watching %s (Ctrl-C ends it)\n", look->target);
    return 0;
}

static int run(struct monitor *monitor, const char *word)
{
    int code = weir_look_find_one(&monitor->looks, word);

    if (code)
        return code;
    code = weir_context_open(&monitor->context, 1);
    if (code < 0)
        return weir_common_fail_code(code, "no context");
    monitor->stop_fd = weir_common_catch_signals();
    if (monitor->stop_fd < 0)
        return weir_common_fail("no pipe: %s", weir_strerror(monitor->stop_fd));
    code = begin(monitor, &monitor->looks.items[0]);
    return code ? code : watch(monitor, &monitor->looks.items[0]);
}

int weir_monitor_main(int argc, const char *const *argv)
{
    struct monitor monitor = {.set = {.timeout = 5}};
    struct weir_args_list words = {.count = 0};
    int code;

    if (!weir_args_take(&args, &monitor.set, &words, argc, argv, &code))
        return code;
    if (words.count != 1) {
        weir_common_fail("want one URL or NAME\n(weir monitor --help says "
                         "more)");
        return 2;
    }
    monitor.colours = weir_terminal_has_colours(STDOUT_FILENO);
    code = run(&monitor, words.items[0]);
    weir_look_fini(&monitor.looks);
    if (monitor.context.generation)
        (void)weir_context_close(monitor.context, 5000);
    weir_tree_fini(&monitor.tree);
    weir_text_fini(&monitor.line);
    return code;
}
