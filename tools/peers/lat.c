/* lat.c - weir bench lat: the time there and back. */
#include "config.h"

#include "histogram.h"
#include "side.h"

static int answer(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(
        side, side->plan->reqrep ? WEIR_SIDE_REP : WEIR_SIDE_PAIR);

    (void)number;
    if (!end)
        return -1;
    while (side->ops->recv(end, true) >= 0 && side->ops->send(end, true) >= 0)
        ;
    return -1;
}

static int run(struct weir_side *side)
{
    const struct weir_side_plan *plan = side->plan;
    static struct weir_histogram histogram;
    struct weir_side_span span;
    struct weir_side_end *end;
    uint64_t cpu;

    if (weir_side_add(side, 1, answer) != 0)
        return -1;
    end = weir_side_bind(side, plan->reqrep ? WEIR_SIDE_REQ : WEIR_SIDE_PAIR);
    if (!end ||
        weir_side_ask(side, end, weir_meter_seconds(plan->warm), &histogram))
        return -1;
    cpu = weir_side_cpu(side);
    if (weir_side_ask(side, end, weir_meter_seconds(plan->run), &histogram))
        return -1;
    span.cpu = cpu ? weir_side_cpu(side) - cpu : 0;
    span.messages = histogram.samples;
    weir_side_delays(&histogram, true);
    weir_side_share(&span);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"p50_us", false}, {"p99_us", false}, {"p99.9_us", false},
    {"cpu_us", false}, {NULL, false},
};

const struct weir_side_test weir_side_lat = {
    .name = "lat",
    .summary = "the time there and back",
    .about = "The time of one message there and back, between PAIR and PAIR.  "
             "CPU time is that\nof both sides, per round trip.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .at_once = true,
    .reqrep = true,
    .raw = true,
    .sp = true,
    .run = run,
};
