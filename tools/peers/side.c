/* side.c - one side of a benchmark. */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "side.h"

/* ---- clocks ---- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* CPU time of this process and the other one (0: there is none); 0 where the
 * system does not tell. */
static uint64_t cpu_ns(pid_t other)
{
    uint64_t own = read_clock(CLOCK_PROCESS_CPUTIME_ID), others;
    clockid_t clock;

    if (!other)
        return own;
    if (clock_getcpuclockid(other, &clock) != 0)
        return 0;
    others = read_clock(clock);
    return others ? own + others : 0;
}

/* ---- a histogram: 128 steps for each doubling ---- */

#define STEPS 128

static uint64_t histogram[60 * STEPS];
static uint64_t samples;

static void add_sample(uint64_t ns)
{
    unsigned shift = 0;

    while (ns >> shift >= 2 * STEPS)
        shift++;
    histogram[shift * STEPS + (ns >> shift)]++;
    samples++;
}

/* The middle of the step that holds the sample at `part` of all. */
static uint64_t percentile(double part)
{
    uint64_t rank = (uint64_t)((double)samples * part), seen = 0;
    unsigned i = 0;

    while (i < sizeof histogram / sizeof histogram[0] - 1 &&
           seen + histogram[i] <= rank)
        seen += histogram[i++];
    if (i < 2 * STEPS)
        return i;
    return (uint64_t)(i % STEPS + STEPS) << (i / STEPS - 1) |
           (UINT64_C(1) << (i / STEPS - 1)) >> 1;
}

/* ---- measuring ---- */

struct result {
    uint64_t messages, ns, cpu;
};

static uint64_t seconds(double number)
{
    return (uint64_t)(number * 1e9);
}

/* Receive for so long, after the first message.  False when it is over. */
static bool count_messages(const struct weir_side_ops *ops, void *end,
                           uint64_t ns, unsigned step, struct result *result)
{
    uint64_t start = now_ns(), messages = 0, now;

    do {
        for (unsigned i = 0; i < step; i++) {
            long got = ops->recv(end);

            if (got < 0)
                return false;
            messages += (uint64_t)got;
        }
        now = now_ns();
    } while (now - start < ns);
    result->messages = messages;
    result->ns = now - start;
    return true;
}

static bool measure_throughput(const struct weir_side_ops *ops, void *end,
                               const struct weir_side_plan *plan, pid_t other,
                               struct result *result)
{
    unsigned step = plan->batch > 1 || plan->size > 4096 ? 1 : 64;
    uint64_t cpu;

    if (ops->recv(end) < 0 ||
        !count_messages(ops, end, seconds(plan->warm), step, result))
        return false;
    cpu = cpu_ns(other);
    if (!count_messages(ops, end, seconds(plan->run), step, result))
        return false;
    result->cpu = cpu ? cpu_ns(other) - cpu : 0;
    return true;
}

static bool measure_latency(const struct weir_side_ops *ops, void *end,
                            uint64_t ns, pid_t other, struct result *result)
{
    uint64_t cpu = cpu_ns(other), start = now_ns(), before = start, now;

    samples = 0;
    memset(histogram, 0, sizeof histogram);
    do {
        if (ops->send(end) < 0 || ops->recv(end) < 0)
            return false;
        now = now_ns();
        add_sample(now - before);
        before = now;
    } while (now - start < ns);
    result->messages = samples;
    result->ns = now - start;
    result->cpu = cpu ? cpu_ns(other) - cpu : 0;
    return true;
}

static bool measure(const struct weir_side_ops *ops, void *end,
                    const struct weir_side_plan *plan, pid_t other,
                    struct result *result)
{
    if (!plan->latency)
        return measure_throughput(ops, end, plan, other, result);
    return measure_latency(ops, end, seconds(plan->warm), other, result) &&
           measure_latency(ops, end, seconds(plan->run), other, result);
}

/* ---- the two sides ---- */

struct feeder {
    const struct weir_side_ops *ops;
    const struct weir_side_plan *plan;
    void *end;
};

/* Send, or answer, until it is over. */
static void *feed(void *arg)
{
    const struct feeder *feeder = arg;
    const struct weir_side_ops *ops = feeder->ops;

    if (feeder->plan->latency) {
        while (ops->recv(feeder->end) >= 0 && ops->send(feeder->end) >= 0)
            ;
    } else {
        while (ops->send(feeder->end) >= 0)
            ;
    }
    return NULL;
}

static int play_connecting(const struct weir_side_ops *ops,
                           const struct weir_side_plan *plan)
{
    struct feeder feeder = {ops, plan, ops->open(plan, false, NULL, 0)};

    if (!feeder.end)
        return 1;
    feed(&feeder);
    return 0;
}

/* The other side, of which we learn the number, or a thread of our own. */
static bool meet(const struct weir_side_ops *ops,
                 const struct weir_side_plan *plan, const char *url,
                 pid_t *other)
{
    static struct weir_side_plan near;
    static struct feeder feeder;
    pthread_t thread;
    long pid;

    *other = 0;
    if (!plan->one_process) {
        printf("url %s\n", url);
        fflush(stdout);
        if (scanf("%ld", &pid) != 1)
            return false;
        *other = (pid_t)pid;
        return true;
    }
    near = *plan;
    near.url = url;
    feeder.ops = ops;
    feeder.plan = &near;
    feeder.end = ops->open(&near, false, NULL, 0);
    return feeder.end && pthread_create(&thread, NULL, feed, &feeder) == 0;
}

static int play_binding(const struct weir_side_ops *ops,
                        const struct weir_side_plan *plan)
{
    char url[256] = "";
    struct result result = {0, 0, 0};
    void *end = ops->open(plan, true, url, sizeof url);
    pid_t other;

    if (!end || !meet(ops, plan, url, &other) ||
        !measure(ops, end, plan, other, &result))
        return 1;
    printf("result %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64
           "\n",
           result.messages, result.ns,
           result.cpu ? (int64_t)result.cpu : INT64_C(-1),
           plan->latency ? percentile(0.5) : 0,
           plan->latency ? percentile(0.99) : 0);
    fflush(stdout);
    _exit(0); /* the other side is still sending: there is no clean end */
}

/* ---- arguments ---- */

static bool read_plan(struct weir_side_plan *plan, int argc,
                      const char *const *argv)
{
    if (argc < 7)
        return false;
    plan->latency = strcmp(argv[0], "lat") == 0;
    plan->one_process = strcmp(argv[1], "both") == 0;
    plan->binds = plan->one_process || strcmp(argv[1], "bind") == 0;
    plan->url = argv[2];
    plan->size = (size_t)strtoull(argv[3], NULL, 10);
    plan->warm = atof(argv[4]);
    plan->run = atof(argv[5]);
    plan->batch = (unsigned)strtoul(argv[6], NULL, 10);
    plan->reqrep = argc > 7 && strcmp(argv[7], "reqrep") == 0;
    return plan->run > 0 && plan->batch > 0;
}

int weir_side_main(const struct weir_side_ops *ops, int argc,
                   const char *const *argv)
{
    struct weir_side_plan plan = {.url = NULL};

    if (!read_plan(&plan, argc, argv)) {
        fputs("this is a helper of `weir bench`; see there\n", stderr);
        return 2;
    }
    alarm((unsigned)(plan.warm + plan.run) + 10);
    if (ops->start(&plan) != 0)
        return 1;
    return plan.binds ? play_binding(ops, &plan) : play_connecting(ops, &plan);
}
