/* top.c - weir top: a live view of programs that can be looked into. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "common.h"
#include "look.h"
#include "terminal.h"
#include "top_view.h"

struct settings {
    bool json, once;
    double interval, timeout;
    uint64_t count, peers;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"interval", "S", "look every S seconds (1)", WEIR_ARGS_SECONDS,
     AT(interval)},
    {"once", NULL,
     "print what there is once, and end; so it does when the\n"
     "output is no terminal",
     WEIR_ARGS_FLAG, AT(once)},
    {"count", "N", "print it N times", WEIR_ARGS_COUNT, AT(count)},
    {"peers", "N", "show the N busiest peers of each socket, up to 100 (5)",
     WEIR_ARGS_COUNT, AT(peers)},
    {"json", NULL,
     "a line of JSON each time, until it is stopped, unless\n"
     "--once or --count says otherwise",
     WEIR_ARGS_FLAG, AT(json)},
    {"timeout", "S", "how long to wait for answers (2)", WEIR_ARGS_SECONDS,
     AT(timeout)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "top",
    .usage = "[URL|NAME...] [option...]",
    .about =
        "Shows sockets, peers, rates, depths and drops of programs that have a "
        "stats\nendpoint: at a URL, or under a name that they were given with "
        "WEIR_STATS=NAME;\nsee weir_stats_endpoint(7).  Without a word, of all "
        "in the runtime folders.\nq or Ctrl-C ends it.  Exit code 1: none of "
        "them could be looked into; 2: wrong\narguments.\n",
    .options = options,
};

/* A report and the one before; they take turns. */
struct pair {
    struct weir_tree trees[2];
};

struct top {
    struct settings set;
    weir_context context;
    struct weir_looks looks;
    struct pair pairs[WEIR_LOOK_MOST];
    int turn; /* which tree is the last one */
    bool live, any;
    int stop_fd, news_fd;
    struct weir_text out;
};

/* ---- showing ---- */

static void write_view(struct top *top, int columns, int rows)
{
    struct weir_top_program programs[WEIR_LOOK_MOST];
    struct weir_top_view view = {programs, top->looks.count,
                                 (size_t)top->set.peers,
                                 weir_terminal_has_colours(STDOUT_FILENO)};

    for (size_t i = 0; i < top->looks.count; i++)
        programs[i] = (struct weir_top_program){
            top->looks.items[i].target, top->looks.items[i].reason,
            &top->pairs[i].trees[top->turn], &top->pairs[i].trees[!top->turn]};
    if (top->set.json)
        weir_top_write_json(&view, &top->out);
    else
        weir_top_write(&view, columns, rows, &top->out);
}

/* From the first row on, each line up to its end, then what is below. */
static void paint(struct top *top)
{
    struct weir_text screen = {0};
    int columns, rows;

    weir_terminal_size(STDOUT_FILENO, &columns, &rows);
    write_view(top, columns, rows - 1);
    weir_text_format(&screen, "\033[H");
    for (size_t i = 0; i < top->out.size; i++) {
        if (top->out.data[i] == '\n')
            weir_text_format(&screen, "\033[K\r");
        weir_text_add_char(&screen, top->out.data[i]);
    }
    weir_text_format(&screen, "\033[J");
    fputs(weir_text_string(&screen), stdout);
    weir_text_fini(&screen);
}

static int show(struct top *top)
{
    int columns, rows;

    weir_text_clear(&top->out);
    if (top->live) {
        paint(top);
    } else {
        weir_terminal_size(STDOUT_FILENO, &columns, &rows);
        write_view(top, columns, 0);
        fputs(weir_text_string(&top->out), stdout);
    }
    return fflush(stdout) == 0 ? 0 : 1; /* main() says why */
}

/* ---- waiting ---- */

/* q, Q, Ctrl-C, and the end of input end it, as a signal does. */
static void read_key(void)
{
    char key = 'q';

    if (read(STDIN_FILENO, &key, 1) < 0 && errno == EINTR)
        return;
    if (key == 'q' || key == 'Q' || key == 3)
        weir_common_stop();
    if (key == 26) /* Ctrl-Z */
        weir_terminal_suspend();
}

/* Heed keys and signals until `until`, or until there is something on `socket`,
 * if it is not NULL.  Returns 0, or 1 after a complaint. */
static int wait_for(struct top *top, const weir_socket *socket, uint64_t until)
{
    weir_poll_item items[] = {
        {.fd = top->stop_fd, .events = WEIR_POLL_IN},
        {.fd = top->live ? STDIN_FILENO : -1, .events = WEIR_POLL_IN},
        {.fd = top->live ? top->news_fd : -1, .events = WEIR_POLL_IN},
        {.fd = -1, .events = WEIR_POLL_IN},
    };
    int n = 1, code = 0;

    if (socket)
        items[3].socket = *socket;
    while (n > 0 && !code && !weir_common_stopped()) {
        n = weir_poll(items, 4, weir_common_left(until, -1));
        if (n < 0)
            return weir_common_fail_code(n, "cannot wait");
        if (n > 0 && items[3].ready)
            break;
        if (n > 0 && items[1].ready)
            read_key();
        if (n > 0 && (items[1].ready || items[2].ready)) {
            weir_terminal_attend();
            code = show(top);
        }
    }
    return code;
}

/* ---- looking ---- */

/* The answer of one of them, into the tree that is not shown. */
static int hear(struct top *top, size_t i, uint64_t until)
{
    struct weir_look *look = &top->looks.items[i];
    struct weir_tree *tree = &top->pairs[i].trees[!top->turn];
    int code = 0;

    if (look->socket.generation)
        code = wait_for(top, &look->socket, until);
    if (code || weir_common_stopped())
        return code;
    if (weir_look_answer(look, until, tree) < 0)
        weir_tree_fini(tree);
    else
        top->any = true;
    return 0;
}

/* One that does not answer costs the others no more than the timeout: their
 * answers come while it is waited for. */
static int look_at_all(struct top *top)
{
    uint64_t until = weir_common_until(top->set.timeout);
    int code = 0;

    for (size_t i = 0; i < top->looks.count; i++)
        (void)weir_look_send(&top->looks.items[i], top->context, "stats");
    for (size_t i = 0; i < top->looks.count && !code; i++)
        code = hear(top, i, until);
    top->turn = !top->turn;
    return code;
}

/* ---- one time after the other ---- */

static int look_and_show(struct top *top)
{
    int code = look_at_all(top);

    return code || weir_common_stopped() ? code : show(top);
}

static int run_live(struct top *top)
{
    uint64_t shown = 0;
    int code = 0;

    while (!code && !weir_common_stopped()) {
        uint64_t next = weir_common_until(top->set.interval);

        code = look_and_show(top);
        if (code || (top->set.count && ++shown == top->set.count))
            break;
        code = wait_for(top, NULL, next);
    }
    return code;
}

/* Rates need two looks, so the first is not shown. */
static int run_lines(struct top *top)
{
    uint64_t shown = 0;
    int code = look_at_all(top);

    while (!code && !weir_common_stopped() &&
           (!top->set.count || shown < top->set.count)) {
        code = wait_for(top, NULL, weir_common_until(top->set.interval));
        if (!code)
            code = look_and_show(top);
        shown++;
    }
    return code;
}

/* ---- all of it ---- */

static int check_settings(struct top *top)
{
    struct settings *set = &top->set;

    if (set->interval < 0.05) {
        weir_common_fail("--interval: at least 0.05\n(weir top --help says "
                         "more)");
        return 2;
    }
    if (set->peers > 100) {
        weir_common_fail("--peers: at most 100\n(weir top --help says more)");
        return 2;
    }
    top->live = !set->json && !set->once && isatty(STDOUT_FILENO) &&
                isatty(STDIN_FILENO);
    if (set->once || (!top->live && !set->json && !set->count))
        set->count = 1;
    return 0;
}

static int begin(struct top *top)
{
    int code = weir_context_open(&top->context, 1);

    if (code < 0)
        return weir_common_fail_code(code, "no context");
    top->stop_fd = weir_common_catch_signals();
    top->news_fd = weir_terminal_watch();
    if (top->stop_fd < 0 || top->news_fd < 0)
        return weir_common_fail("no pipe: %s", weir_strerror(EMFILE));
    weir_common_catch(SIGHUP);
    weir_common_catch(SIGQUIT);
    code = top->live ? weir_terminal_enter() : 0;
    if (code < 0)
        return weir_common_fail("the terminal: %s", weir_strerror(code));
    return 0;
}

static int run(struct top *top, const struct weir_args_list *words)
{
    int code = weir_look_find(&top->looks, words);

    if (!code)
        code = begin(top);
    if (code)
        return code;
    code = top->live ? run_live(top) : run_lines(top);
    weir_terminal_leave();
    if (!code && !top->any && !weir_common_stopped())
        code = weir_common_fail("none of them could be looked into");
    return code;
}

int weir_top_main(int argc, const char *const *argv)
{
    static struct top top = {.set = {.interval = 1, .timeout = 2, .peers = 5}};
    struct weir_args_list words = {.count = 0};
    int code;

    if (!weir_args_take(&args, &top.set, &words, argc, argv, &code))
        return code;
    code = check_settings(&top);
    if (!code)
        code = run(&top, &words);
    for (size_t i = 0; i < top.looks.count; i++) {
        weir_tree_fini(&top.pairs[i].trees[0]);
        weir_tree_fini(&top.pairs[i].trees[1]);
    }
    weir_look_fini(&top.looks);
    if (top.context.generation)
        (void)weir_context_close(top.context, 5000);
    weir_text_fini(&top.out);
    return code;
}
