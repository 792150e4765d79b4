/* conns.c - weir bench conns: making connections, and what they cost. */
#include "config.h"

#include <unistd.h>

#include "crowd.h"

#define SETTLE_NS 20000000

static int come(struct weir_side *side, unsigned number)
{
    (void)number;
    while (!atomic_load(&side->shared->go))
        weir_meter_sleep(200000);
    if (weir_crowd_open(side, &side->shared->of[0].count,
                        &side->shared->of[1].count) != 0)
        return -1;
    for (;;)
        pause();
}

static int run(struct weir_side *side)
{
    struct weir_side_shared *shared = side->shared;
    double n = (double)side->plan->n;
    struct weir_side_end *end;
    uint64_t memory, cpu;

    weir_crowd_allow(side->plan->n);
    if (!side->plan->n || weir_side_add(side, 1, come) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PULL);
    if (!end)
        return -1;
    weir_meter_sleep(SETTLE_NS);
    memory = weir_meter_memory(0);
    cpu = weir_meter_cpu(0);
    atomic_store(&shared->go, 1);
    weir_side_await(side, end, &shared->of[0].count, side->plan->n);
    weir_meter_sleep(SETTLE_NS);
    weir_side_figure("conn/s", n * 1e9 / (double)shared->of[1].count);
    weir_side_figure("B/conn",
                     ((double)weir_meter_memory(0) - (double)memory) / n);
    weir_side_figure("cpu_us", (double)(weir_meter_cpu(0) - cpu) / 1e3 / n);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"conn/s", true},
    {"B/conn", false},
    {"cpu_us", false},
    {NULL, false},
};

const struct weir_side_test weir_side_conns = {
    .name = "conns",
    .summary = "connections per second, and memory for each",
    .about = "Plain sockets connect to a PULL, greet and wait for its "
             "greeting, 64 at a time.\nMemory and CPU time are what the "
             "process of the PULL needs for each; the\nkernel's buffers are "
             "not in that.\n",
    .metrics = metrics,
    .transports = "tcp,ipc",
    .parameter = "connections",
    .parameter_doc = "how many (100,1000,8000); several",
    .parameter_axis = "connections",
    .values = "100,1000,8000",
    .many = true,
    .raw = true,
    .sp = true,
    .run = run,
};
