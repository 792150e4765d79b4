/* demo.c - weir demo: a tour of all patterns and transports, with an account
 * of every message at its end. */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "args.h"
#include "child.h"
#include "common.h"
#include "demo_account.h"

struct settings {
    bool json;
};

static const struct weir_args_option options[] = {
    {"json", NULL,
     "the account as lines of JSON; the tour goes to standard\n"
     "error then",
     WEIR_ARGS_FLAG, offsetof(struct settings, json)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "demo",
    .usage = "[option...]",
    .about = "Shows which plugins there are, sends messages with every pattern "
             "over every\ntransport between processes (inproc: threads), lets "
             "a subscriber join late, one\nread slowly and a server die, and "
             "accounts for every message.  Exit code 1:\nsomething failed or "
             "is not accounted for.\n",
    .options = options,
};

/* Where the tour is told. */
static FILE *paper;

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vfprintf(paper, format, list);
    va_end(list);
    fflush(paper);
}

/* ---- parts as processes ---- */

static int start_part(struct weir_child *child, enum weir_demo_role role,
                      const char *type, bool binds, const char *url,
                      uint64_t count)
{
    char role_text[16], count_text[24];
    const char *argv[] = {
        weir_common_self(),         "demo-part", role_text,  type,
        binds ? "bind" : "connect", url,         count_text, NULL};
    int code;

    snprintf(role_text, sizeof role_text, "%d", (int)role);
    snprintf(count_text, sizeof count_text, "%" PRIu64, count);
    code = weir_child_start(child, argv[0], argv, false);
    return code < 0 ? weir_common_fail("cannot start %s: %s", argv[0],
                                       weir_strerror(code))
                    : 0;
}

/* What follows a word that the part prints; NULL if it prints another. */
static const char *hear(struct weir_child *child, const char *word)
{
    const char *line = weir_child_line(child, weir_common_until(15));

    if (!line)
        return NULL;
    if (strncmp(line, word, strlen(word)) == 0)
        return line + strlen(word);
    weir_child_put_back(child, line); /* a report of what went wrong */
    return NULL;
}

static bool take_report(struct weir_child *child,
                        struct weir_demo_report *report)
{
    bool started = child->pid != 0;
    bool good =
        started && hear(child, "report") &&
        weir_child_read(child, report, sizeof *report, weir_common_until(15));

    weir_child_end(child, good ? 0 : SIGKILL, weir_common_until(5));
    if (!good) {
        memset(report, 0, sizeof *report);
        report->failed = 1;
        strcpy(report->problem,
               started ? "a process ended, or hung, without a report"
                       : "a process was not started, since the other failed");
    }
    return good && !report->failed;
}

/* Where a part binds; ipc names are new each time. */
static void choose_url(const char *transport, char *url, size_t room)
{
    static unsigned number;

    if (strcmp(transport, "tcp") == 0)
        snprintf(url, room, "tcp://127.0.0.1:*");
    else if (strcmp(transport, "ipc") == 0)
        snprintf(url, room, "ipc:///tmp/weir-demo-%ld-%u", (long)getpid(),
                 ++number);
    else
        snprintf(url, room, "%s://weir-demo-%u", transport, ++number);
}

/* ---- every pattern over every transport ---- */

struct scene {
    const char *pattern;
    const char *types[2]; /* the first one binds */
    enum weir_demo_role roles[2];
    uint64_t count;
    bool asks; /* requests are counted, with their answers */
};

static const struct scene scenes[] = {
    {"PUSH to PULL",
     {"PULL", "PUSH"},
     {WEIR_DEMO_TAKE, WEIR_DEMO_SEND},
     100000,
     false},
    {"PUB to SUB",
     {"PUB", "SUB"},
     {WEIR_DEMO_SEND, WEIR_DEMO_TAKE},
     100000,
     false},
    {"XPUB to XSUB",
     {"XPUB", "XSUB"},
     {WEIR_DEMO_SEND, WEIR_DEMO_TAKE},
     100000,
     false},
    {"PAIR to PAIR",
     {"PAIR", "PAIR"},
     {WEIR_DEMO_TAKE, WEIR_DEMO_SEND},
     100000,
     false},
    {"REQ and REP",
     {"REP", "REQ"},
     {WEIR_DEMO_ANSWER, WEIR_DEMO_ASK},
     2000,
     true},
    {"DEALER and ROUTER",
     {"ROUTER", "DEALER"},
     {WEIR_DEMO_ANSWER, WEIR_DEMO_ASK},
     2000,
     true},
    {"XREQ and XREP",
     {"XREP", "XREQ"},
     {WEIR_DEMO_ANSWER, WEIR_DEMO_ASK},
     2000,
     true},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

static bool play_processes(const struct scene *scene, const char *transport,
                           struct weir_demo_report reports[2])
{
    struct weir_child children[2] = {{.pid = 0}, {.pid = 0}};
    char url[256];
    const char *real;
    bool good;

    choose_url(transport, url, sizeof url);
    if (start_part(&children[0], scene->roles[0], scene->types[0], true, url,
                   scene->count))
        return false;
    real = hear(&children[0], "url ");
    good = real && start_part(&children[1], scene->roles[1], scene->types[1],
                              false, real, scene->count) == 0;
    if (good)
        good = take_report(&children[1], &reports[1]);
    good = take_report(&children[0], &reports[0]) && good;
    weir_child_end(&children[1], SIGKILL, weir_common_until(5));
    return good;
}

struct thread {
    struct weir_demo_part part;
    struct weir_demo_report *report;
    pthread_t id;
    bool runs;
};

static void *run_thread(void *arg)
{
    struct thread *thread = arg;

    weir_demo_play(&thread->part, thread->report);
    return NULL;
}

static bool play_threads(const struct scene *scene, const char *transport,
                         struct weir_demo_report reports[2])
{
    struct thread threads[2];
    weir_context context;
    char url[256];
    bool good = true;

    choose_url(transport, url, sizeof url);
    if (weir_context_open(&context, 1) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        threads[i].part = (struct weir_demo_part){
            .context = context,
            .role = scene->roles[i],
            .binds = i == 0,
            .type = scene->types[i],
            .url = url,
            .count = scene->count,
        };
        threads[i].report = &reports[i];
        threads[i].runs =
            pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) == 0;
    }
    for (int i = 0; i < 2; i++) {
        if (threads[i].runs)
            pthread_join(threads[i].id, NULL);
    }
    for (int i = 0; i < 2; i++) {
        weir_demo_end(&threads[i].part, &reports[i]);
        good = good && threads[i].runs && !reports[i].failed;
    }
    return weir_context_close(context, 5000) >= 0 && good;
}

/* Say what went wrong, in the words of who noticed. */
static void complain(struct weir_demo_account *account, const char *what,
                     const struct weir_demo_report *reports, int n)
{
    account->failed = true;
    tell("\n  FAILED: %s\n", what);
    for (int i = 0; i < n; i++) {
        if (reports[i].failed)
            tell("    %s\n", reports[i].problem);
    }
}

static double rate_of(const struct weir_demo_report reports[2])
{
    for (int i = 0; i < 2; i++) {
        if (reports[i].seconds > 0)
            return (double)reports[i].taken / reports[i].seconds;
    }
    return 0;
}

static void play_scene(struct weir_demo_account *account,
                       const struct scene *scene, const char *transport)
{
    struct weir_demo_report reports[2];
    struct weir_demo_row *row;
    bool good;

    memset(reports, 0, sizeof reports);
    if (strcmp(transport, "inproc") == 0)
        good = play_threads(scene, transport, reports);
    else
        good = play_processes(scene, transport, reports);
    if (!good)
        complain(account, scene->pattern, reports, 2);
    row = weir_demo_row(account, transport, scene->pattern);
    row->asks = scene->asks;
    row->rate = rate_of(reports);
    weir_demo_count(row, &reports[0]);
    weir_demo_count(row, &reports[1]);
    if (good)
        tell("  %s", scene->pattern);
}

static void play_transport(struct weir_demo_account *account,
                           const char *transport)
{
    tell("  %-8s", transport);
    for (size_t i = 0; i < SCENES; i++) {
        if (i == 4)
            tell("\n  %-8s", "");
        play_scene(account, &scenes[i], transport);
    }
    tell("\n");
}

/* ---- a group ---- */

/* Is there what multicast needs?  If not it is said what is missing. */
static bool can_multicast(const char *url)
{
    weir_context context;
    weir_socket socket;
    bool can;

    if (weir_context_open(&context, 1) < 0)
        return false;
    can = weir_open(&socket, context, WEIR_SUB) >= 0 &&
          weir_connect(socket, url, NULL) >= 0;
    if (!can)
        tell("  left out: %s\n", weir_last_error());
    (void)weir_close(socket, 0, NULL);
    (void)weir_context_close(context, 5000);
    return can;
}

/* Whoever does not hear yet when it is sent does not get it: the subscriber
 * comes first. */
static bool play_group(struct weir_child children[2], const char *url,
                       uint64_t count)
{
    return start_part(&children[1], WEIR_DEMO_TAKE, "SUB", true, url, count) ==
               0 &&
           hear(&children[1], "url ") &&
           start_part(&children[0], WEIR_DEMO_SEND, "PUB", false, url, count) ==
               0;
}

static void show_group(struct weir_demo_account *account, bool has_plugin)
{
    struct weir_child children[2] = {{.pid = 0}, {.pid = 0}};
    struct weir_demo_report reports[2];
    char url[64];
    struct weir_demo_row *row;
    bool good;

    snprintf(url, sizeof url, "epgm://;239.192.77.1:%ld",
             20000 + (long)getpid() % 20000);
    tell("\nA multicast group on this machine\n");
    if (!has_plugin)
        tell("  left out: there is no plugin for epgm\n");
    if (!has_plugin || !can_multicast(url))
        return;
    memset(reports, 0, sizeof reports);
    good = play_group(children, url, 10000);
    for (int i = 1; i >= 0; i--)
        good = take_report(&children[i], &reports[i]) && good;
    row = weir_demo_row(account, "epgm", "PUB to SUB");
    row->rate = rate_of(reports);
    weir_demo_count(row, &reports[0]);
    weir_demo_count(row, &reports[1]);
    if (good)
        tell("  %s: %" PRIu64 " messages\n", url, reports[1].taken);
    else
        complain(account, "a group", reports, 2);
}

/* ---- a late joiner ---- */

static void show_joiner(const char *who, const struct weir_demo_report *report)
{
    tell("  %s heard %" PRIu64 " messages, %" PRIu64 " to %" PRIu64 "\n", who,
         report->taken - 1, report->first, report->last);
}

static bool play_late(struct weir_child children[3], uint64_t count,
                      const char *transport)
{
    char url[256];
    const char *real;

    choose_url(transport, url, sizeof url);
    if (start_part(&children[0], WEIR_DEMO_TWICE, "PUB", true, url, count))
        return false;
    real = hear(&children[0], "url ");
    if (!real)
        return false;
    snprintf(url, sizeof url, "%s", real);
    return start_part(&children[1], WEIR_DEMO_TAKE, "SUB", false, url, count) ==
               0 &&
           hear(&children[0], "half") &&
           start_part(&children[2], WEIR_DEMO_TAKE, "SUB", false, url, count) ==
               0;
}

static void show_late(struct weir_demo_account *account, const char *transport)
{
    struct weir_child children[3] = {{.pid = 0}, {.pid = 0}, {.pid = 0}};
    struct weir_demo_report reports[3];
    const uint64_t count = 1000;
    struct weir_demo_row *row;
    bool good;

    tell("\nA subscriber that joins late, over %s\n", transport);
    memset(reports, 0, sizeof reports);
    good = play_late(children, count, transport);
    for (int i = 2; i >= 0; i--)
        good = take_report(&children[i], &reports[i]) && good;
    if (good && (reports[1].first != 1 || reports[1].last != count ||
                 reports[2].first != count / 2 + 1 || reports[2].last != count))
        good = false;
    if (good) {
        show_joiner("the first subscriber", &reports[1]);
        show_joiner("the late subscriber ", &reports[2]);
    } else {
        complain(account, "a late joiner", reports, 3);
    }
    row = weir_demo_row(account, transport, "PUB to SUB, late");
    for (int i = 0; i < 3; i++)
        weir_demo_count(row, &reports[i]);
}

/* ---- a slow reader ---- */

static bool play_slow(struct weir_child children[2], uint64_t count,
                      const char *transport)
{
    char url[256];
    const char *real;

    choose_url(transport, url, sizeof url);
    if (start_part(&children[0], WEIR_DEMO_BURST, "PUB", true, url, count))
        return false;
    real = hear(&children[0], "url ");
    return real &&
           start_part(&children[1], WEIR_DEMO_SLOW, "SUB", false, real,
                      count) == 0 &&
           hear(&children[0], "sent") && weir_child_tell(&children[1], "") >= 0;
}

static void show_slow(struct weir_demo_account *account, const char *transport)
{
    struct weir_child children[2] = {{.pid = 0}, {.pid = 0}};
    struct weir_demo_report reports[2];
    struct weir_demo_row *row;
    bool good;

    tell("\nA subscriber that sleeps through a burst of 200000, over %s\n",
         transport);
    memset(reports, 0, sizeof reports);
    good = play_slow(children, 200000, transport);
    for (int i = 1; i >= 0; i--)
        good = take_report(&children[i], &reports[i]) && good;
    row = weir_demo_row(account, transport, "PUB to SUB, slow");
    weir_demo_count(row, &reports[0]);
    weir_demo_count(row, &reports[1]);
    if (good)
        tell("  the publisher never waited; %" PRIu64
             " were read later,\n  %" PRIu64
             " were dropped at the mark and counted\n",
             row->received, row->dropped);
    else
        complain(account, "a slow reader", reports, 2);
}

/* ---- a server that dies ---- */

/* Kill the server once half is done, and start another in its place. */
static bool play_restart(struct weir_child *server, struct weir_child *client,
                         uint64_t count, const char *transport)
{
    char url[256];
    const char *real;

    choose_url(transport, url, sizeof url);
    if (start_part(server, WEIR_DEMO_SERVE, "REP", true, url, 0))
        return false;
    real = hear(server, "url ");
    if (!real)
        return false;
    snprintf(url, sizeof url, "%s", real);
    if (start_part(client, WEIR_DEMO_INSIST, "REQ", false, url, count) ||
        !hear(client, "half"))
        return false;
    tell("  server %ld answered %" PRIu64 " requests and is killed now\n",
         (long)server->pid, count / 2);
    weir_child_end(server, SIGKILL, weir_common_until(5));
    if (weir_child_tell(client, "") < 0 ||
        start_part(server, WEIR_DEMO_SERVE, "REP", true, url, 0) ||
        !hear(server, "url "))
        return false;
    tell("  server %ld takes its place\n", (long)server->pid);
    return true;
}

/* A request that was written to a server that then died is lost: the client
 * knows how many that can be at most, and asked again. */
static void show_restart(struct weir_demo_account *account,
                         const char *transport)
{
    struct weir_child server = {.pid = 0}, client = {.pid = 0};
    struct weir_demo_report report;
    const uint64_t count = 500;
    struct weir_demo_row *row;
    bool good;

    tell("\nA server that is killed and restarted, over %s\n", transport);
    good = play_restart(&server, &client, count, transport);
    good = take_report(&client, &report) && good && report.taken == count;
    weir_child_end(&server, SIGKILL, weir_common_until(5));
    if (good)
        tell("  the client found it unaided: %" PRIu64 " of %" PRIu64
             " requests answered,\n  %" PRIu64
             " of them asked again, %.2f s without a server\n",
             report.taken, count, report.again, report.seconds);
    else
        complain(account, "a killed server", &report, 1);
    row = weir_demo_row(account, transport, "REQ, REP killed");
    weir_demo_count(row, &report);
    if (row->sent > row->received + row->dropped)
        row->lost = row->sent - row->received - row->dropped - row->queued;
    if (row->lost > report.stats.unconfirmed) {
        account->failed = true;
        weir_common_fail("%" PRIu64 " requests are lost, but %" PRIu64
                         " at most can be",
                         row->lost, report.stats.unconfirmed);
    }
}

/* ---- the tour ---- */

static bool has_scheme(const weir_plugin_info *found, int count,
                       const char *scheme)
{
    size_t length = strlen(scheme);

    for (int i = 0; i < count; i++) {
        const char *word = found[i].provides;

        if (found[i].state != WEIR_PLUGIN_LOADED)
            continue;
        while (*(word += strspn(word, " "))) {
            size_t size = strcspn(word, " ");

            if (size == length && memcmp(word, scheme, size) == 0)
                return true;
            word += size;
        }
    }
    return false;
}

static void show_plugins(const weir_plugin_info *found, int count)
{
    struct utsname system;

    tell("weir %s", weir_version());
    if (uname(&system) == 0)
        tell(" on %s %s %s", system.sysname, system.release, system.machine);
    tell(", %ld CPUs\n\nPlugins\n", sysconf(_SC_NPROCESSORS_ONLN));
    for (int i = 0; i < count; i++)
        tell("  %-18s %-8s %s\n", found[i].name,
             found[i].state == WEIR_PLUGIN_LOADED ? found[i].version
                                                  : "not used",
             found[i].state == WEIR_PLUGIN_LOADED ? found[i].file
                                                  : found[i].reason);
}

static void show_transports(struct weir_demo_account *account,
                            const weir_plugin_info *found, int count)
{
    static const char *const transports[] = {"inproc", "ipc", "tcp"};

    tell("\nEvery pattern over every transport, in two processes\n"
         "(inproc: two threads)\n");
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        if (has_scheme(found, count, transports[i])) {
            play_transport(account, transports[i]);
        } else {
            tell("  %-8s no plugin for it\n", transports[i]);
            account->failed = true;
        }
    }
}

static int conclude(const struct weir_demo_account *account, bool json,
                    double seconds)
{
    bool good;

    tell("\nWhat became of every message, the last ones that say \"that was "
         "all\" included\n(per s: messages, or requests with their "
         "answers)\n");
    good = json ? weir_demo_print_json(account, seconds, stdout)
                : weir_demo_print(account, seconds, stdout);
    return good ? 0 : 1;
}

int weir_demo_main(int argc, const char *const *argv)
{
    static struct weir_demo_account account;
    struct weir_args_list rest = {.count = 0};
    struct settings set = {false};
    uint64_t start = weir_common_now();
    weir_plugin_info *found = NULL;
    int code, count;

    if (!weir_args_take(&args, &set, &rest, argc, argv, &code))
        return code;
    if (rest.count) {
        weir_common_fail("%s: it takes no arguments", rest.items[0]);
        return 2;
    }
    if (!weir_common_has_transports())
        return 1;
    count = weir_common_plugins(&found);
    if (count < 0)
        return weir_common_fail_code(count, "cannot look for plugins");
    paper = set.json ? stderr : stdout;
    show_plugins(found, count);
    show_transports(&account, found, count);
    show_group(&account, has_scheme(found, count, "epgm"));
    show_late(&account, "tcp");
    show_slow(&account, "tcp");
    show_restart(&account, "tcp");
    free(found);
    return conclude(&account, set.json,
                    (double)(weir_common_now() - start) / 1e9);
}
