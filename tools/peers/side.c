/* side.c - the sides of one run of a benchmark: processes and threads. */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif

#include "address.h"
#include "side.h"
#include "wire.h"

/* ---- ends ---- */

int weir_side_end_init(struct weir_side_end *end,
                       const struct weir_side_plan *plan,
                       enum weir_side_kind kind)
{
    end->size = plan->size;
    if (kind == WEIR_SIDE_PULL || kind == WEIR_SIDE_SUB)
        return 0;
    end->payload = malloc(plan->size + 16);
    if (!end->payload)
        return -1;
    memset(end->payload, 'x', plan->size + 16);
    return 0;
}

void weir_side_stamp(struct weir_side_end *end, const void *data, size_t size)
{
    if (size >= sizeof end->stamp)
        memcpy(end->stamp, data, sizeof end->stamp);
}

bool weir_side_is_group(const char *transport)
{
    return strcmp(transport, "pgm") == 0 || strcmp(transport, "epgm") == 0;
}

/* ---- where to meet ---- */

/* A port that was free a moment ago. */
static void find_port(char *url, size_t room)
{
    int fd = weir_address_listen("tcp://127.0.0.1:*", url, room);

    if (fd >= 0)
        close(fd);
}

/* A new place each time. */
static void choose_url(const struct weir_side *side, char *url, size_t room)
{
    static unsigned number;
    const struct weir_side_plan *plan = side->plan;

    if (plan->url)
        snprintf(url, room, "%s", plan->url);
    else if (strcmp(plan->transport, "ipc") == 0)
        snprintf(url, room, "ipc:///tmp/weir-bench-%ld-%u", (long)getpid(),
                 ++number);
    else if (plan->group)
        snprintf(url, room, "%s://%s;239.192.99.1:7999", plan->transport,
                 weir_wire_address());
    else if (strcmp(plan->transport, "tcp") != 0)
        snprintf(url, room, "%s://weir-bench-%u", plan->transport, ++number);
    else if (side->ops->no_wildcard)
        find_port(url, room);
    else
        snprintf(url, room, "tcp://127.0.0.1:*");
}

static void forget_url(const struct weir_side *side)
{
    if (!side->plan->url && strncmp(side->shared->url, "ipc://", 6) == 0)
        unlink(side->shared->url + 6);
}

/* ---- the other sides ---- */

static void play(struct weir_side *side, unsigned number)
{
    unsigned first = number;

    while (first && side->feed[first - 1] == side->feed[number])
        first--;
    if (side->feed[number](side, number - first) != 0)
        kill(side->threads ? getpid() : getppid(), SIGTERM);
}

/* After so many seconds something hangs. */
static unsigned life(const struct weir_side_plan *plan)
{
    return (unsigned)(plan->warm + 4 * plan->run) + 60;
}

/* A group needs two machines, unless its interface was named. */
static bool has_wire(const struct weir_side_plan *plan)
{
    return plan->group && !plan->url;
}

static pid_t fork_side(struct weir_side *side, unsigned number)
{
    pid_t parent = getpid(), process = fork();

    if (process != 0)
        return process;
#if defined HAVE_SYS_PRCTL_H && defined PR_SET_PDEATHSIG
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    alarm(life(side->plan));
    if (getppid() == parent &&
        (!has_wire(side->plan) || weir_wire_cross() == 0))
        play(side, number);
    _exit(0);
}

int weir_side_add(struct weir_side *side, unsigned n,
                  int (*feed)(struct weir_side *side, unsigned number))
{
    while (n--) {
        unsigned number = side->others;

        if (number == WEIR_SIDE_MOST) {
            fprintf(stderr, "%s: at most %d sides\n", side->ops->name,
                    WEIR_SIDE_MOST);
            return -1;
        }
        side->feed[number] = feed;
        side->others++;
        if (!side->threads)
            side->processes[number] = fork_side(side, number);
        if (side->processes[number] < 0) {
            perror("fork");
            return -1;
        }
    }
    return 0;
}

struct player {
    struct weir_side *side;
    unsigned number;
};

static void *play_thread(void *arg)
{
    const struct player *player = arg;

    play(player->side, player->number);
    return NULL;
}

static int start_threads(struct weir_side *side)
{
    static struct player players[WEIR_SIDE_MOST];
    pthread_t thread;

    for (unsigned i = 0; i < side->others; i++) {
        players[i] = (struct player){side, i};
        if (pthread_create(&thread, NULL, play_thread, &players[i]) != 0)
            return -1;
    }
    return 0;
}

struct weir_side_end *weir_side_bind(struct weir_side *side,
                                     enum weir_side_kind kind)
{
    struct weir_side_end *end;
    char url[256];

    forget_url(side);
    choose_url(side, url, sizeof url);
    if (side->ops->start(side->plan) != 0)
        return NULL;
    end = side->ops->open(side->plan, kind);
    if (!end || side->ops->bind(end, url, side->shared->url) != 0)
        return NULL;
    atomic_store(&side->shared->bound, 1);
    if (side->threads && start_threads(side) != 0)
        return NULL;
    return end;
}

const char *weir_side_url(struct weir_side *side)
{
    while (!atomic_load(&side->shared->bound))
        weir_meter_sleep(200000);
    return side->shared->url;
}

struct weir_side_end *weir_side_connect(struct weir_side *side,
                                        enum weir_side_kind kind)
{
    const char *url = weir_side_url(side);
    struct weir_side_end *end;
    char own[256];

    if (has_wire(side->plan)) {
        choose_url(side, own, sizeof own); /* each by its own interface */
        url = own;
    }
    if (!side->threads && side->ops->start(side->plan) != 0)
        return NULL;
    end = side->ops->open(side->plan, kind);
    return end && side->ops->connect(end, url) == 0 ? end : NULL;
}

void weir_side_await(struct weir_side *side, struct weir_side_end *end,
                     const _Atomic uint64_t *word, uint64_t value)
{
    while (atomic_load(word) < value) {
        if (side->ops->admit)
            side->ops->admit(end);
        weir_meter_sleep(200000);
    }
}

/* ---- figures ---- */

uint64_t weir_side_cpu(const struct weir_side *side)
{
    uint64_t sum = weir_meter_cpu(0);

    for (unsigned i = 0; sum && i < side->others; i++) {
        uint64_t cpu =
            side->processes[i] ? weir_meter_cpu(side->processes[i]) : 0;

        if (side->processes[i] && !cpu)
            return 0;
        sum += cpu;
    }
    return sum;
}

double weir_side_peak(const struct weir_side *side)
{
    uint64_t sum = weir_meter_peak(0);

    for (unsigned i = 0; i < side->others; i++)
        sum += side->processes[i] ? weir_meter_peak(side->processes[i]) : 0;
    return (double)sum / 1e6;
}

void weir_side_figure(const char *name, double value)
{
    printf("figure %s %.9g\n", name, value);
}

/* ---- a run ---- */

static bool take_setting(struct weir_side_plan *plan, const char *setting)
{
    if (plan->n_settings == WEIR_SIDE_SETTINGS)
        return false;
    plan->settings[plan->n_settings++] = setting;
    return true;
}

static bool take_pair(struct weir_side_plan *plan, const char *key,
                      const char *value)
{
    if (strcmp(key, "transport") == 0)
        plan->transport = value;
    else if (strcmp(key, "url") == 0)
        plan->url = value;
    else if (strcmp(key, "size") == 0)
        plan->size = (size_t)strtoull(value, NULL, 10);
    else if (strcmp(key, "n") == 0)
        plan->n = strtoull(value, NULL, 10);
    else if (strcmp(key, "warm") == 0)
        plan->warm = atof(value);
    else if (strcmp(key, "run") == 0)
        plan->run = atof(value);
    else if (strcmp(key, "batch") == 0)
        plan->batch = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(key, "reqrep") == 0)
        plan->reqrep = *value == '1';
    else if (strcmp(key, "nodrop") == 0)
        plan->nodrop = *value == '1';
    else if (strcmp(key, "rate") == 0)
        plan->rate = strtoul(value, NULL, 10);
    else if (strcmp(key, "set") == 0)
        return take_setting(plan, value);
    else if (strcmp(key, "device") == 0)
        plan->device = value;
    else if (strcmp(key, "subcommand") == 0)
        plan->subcommand = value;
    else if (strcmp(key, "dir") == 0)
        plan->dir = value;
    else if (strcmp(key, "store") == 0)
        plan->store = value;
    else
        return false;
    return true;
}

/* A group has publishers, which wait here, and messages have numbers. */
static void adapt_plan(struct weir_side_plan *plan)
{
    plan->group = weir_side_is_group(plan->transport);
    plan->nodrop |= plan->group;
    plan->stamps = plan->test->stamps || plan->group;
}

static bool read_plan(struct weir_side_plan *plan, int argc,
                      const char *const *argv)
{
    plan->test = argc > 0 ? weir_side_find(argv[0]) : NULL;
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        char key[16];

        if (!equals)
            return false;
        snprintf(key, sizeof key, "%.*s", (int)(equals - argv[i]), argv[i]);
        if (!take_pair(plan, key, equals + 1))
            return false;
    }
    if (!plan->test || !plan->transport || plan->run <= 0 || !plan->batch)
        return false;
    adapt_plan(plan);
    return true;
}

static bool can(const struct weir_side_ops *ops,
                const struct weir_side_plan *plan)
{
    if (plan->group && (!plan->test->group || ops->wire != WEIR_SIDE_ZMTP))
        return false;
    if (plan->test->swap && !ops->unstored)
        return false;
    if (ops->wire == WEIR_SIDE_NO_WIRE)
        return plan->test->raw && strcmp(plan->transport, "inproc") != 0;
    return ops->wire == WEIR_SIDE_ZMTP || plan->test->sp;
}

static int run(struct weir_side *side)
{
    int code = side->plan->test->run(side);

    for (unsigned i = 0; i < side->others; i++) {
        if (side->processes[i] > 0 && kill(side->processes[i], SIGKILL) == 0)
            waitpid(side->processes[i], NULL, 0);
    }
    forget_url(side);
    return code;
}

/* Threads are still sending: there is no clean end for them. */
static void end(const char *word)
{
    puts(word);
    fflush(stdout);
    _exit(0);
}

int weir_side_main(const struct weir_side_ops *ops, int argc,
                   const char *const *argv)
{
    struct weir_side_plan plan = {
        .batch = 1, .size = 64, .run = 1, .dir = "", .store = ""};
    struct weir_side side = {.ops = ops, .plan = &plan};

    if (argc == 3 && ops->proxy && strcmp(argv[0], WEIR_SIDE_PROXY) == 0) {
        ops->proxy(argv[1], argv[2]);
        return 1;
    }
    if (!read_plan(&plan, argc, argv)) {
        fputs("this is a helper of `weir bench`; see there\n", stderr);
        return 2;
    }
    if (!can(ops, &plan))
        end("cannot");
    side.threads = strcmp(plan.transport, "inproc") == 0;
    side.shared = mmap(NULL, sizeof *side.shared, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (side.shared == MAP_FAILED)
        return 1;
    alarm(life(&plan));
    if ((has_wire(&plan) && weir_wire_make() != 0) || run(&side) != 0)
        return 1;
    end("done");
    return 0;
}
