/* fanout.c - weir bench fanout: one publishes, many receive. */
#include "config.h"

#include "side.h"

#define STEP 64 /* messages between two looks at the clock */

static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_SUB);
    _Atomic uint64_t *count = &side->shared->of[number].count;
    uint64_t got = 0;

    if (!end || side->ops->subscribe(end, "", 0) != 0)
        return -1;
    while (side->ops->recv(end, true) >= 0)
        atomic_store_explicit(count, ++got, memory_order_relaxed);
    return -1;
}

static uint64_t delivered(const struct weir_side *side)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < side->others; i++)
        sum += atomic_load_explicit(&side->shared->of[i].count,
                                    memory_order_relaxed);
    return sum;
}

/* Publish until each has received something. */
static int gather(struct weir_side *side, struct weir_side_end *end)
{
    for (unsigned i = 0; i < side->others; i++) {
        while (!atomic_load(&side->shared->of[i].count)) {
            for (int k = 0; k < STEP * 32; k++) {
                if (side->ops->send(end, true) < 0)
                    return -1;
            }
            weir_meter_sleep(1000000);
        }
    }
    return 0;
}

/* Publish for so long, and until somebody had time to receive. */
static int publish(struct weir_side *side, struct weir_side_end *end,
                   double time, struct weir_side_span *span)
{
    uint64_t start = weir_meter_now(), ns = weir_meter_seconds(time);
    uint64_t before = delivered(side);

    span->messages = 0;
    do {
        for (int i = 0; i < STEP; i++) {
            if (side->ops->send(end, true) < 0)
                return -1;
        }
        span->messages += STEP;
        span->ns = weir_meter_now() - start;
    } while (span->ns < ns || delivered(side) == before);
    return 0;
}

static int run(struct weir_side *side)
{
    const struct weir_side_plan *plan = side->plan;
    struct weir_side_span sent, got;
    struct weir_side_end *end;
    uint64_t cpu;

    if (weir_side_add(side, (unsigned)plan->n, feed) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PUB);
    if (!end || gather(side, end) != 0 ||
        publish(side, end, plan->warm, &sent) != 0)
        return -1;
    got.messages = delivered(side);
    cpu = weir_side_cpu(side);
    if (publish(side, end, plan->run, &sent) != 0)
        return -1;
    got.messages = delivered(side) - got.messages;
    got.cpu = cpu ? weir_side_cpu(side) - cpu : 0;
    got.ns = sent.ns;
    weir_side_rate("delivered/s", &got);
    weir_side_rate("sent/s", &sent);
    weir_side_share(&got);
    weir_side_figure("lost_%", 100 - 100 * (double)got.messages /
                                         (double)(sent.messages * plan->n));
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"delivered/s", true}, {"sent/s", true}, {"cpu_us", false},
    {"lost_%", false},     {NULL, false},
};

const struct weir_side_test weir_side_fanout = {
    .name = "fanout",
    .summary = "one PUB, several SUB",
    .about = "One PUB sends as fast as it can, with each library's own high "
             "water marks; the\nsum of what its SUB receive is counted, and "
             "CPU time of all is per delivery.\nWhat is lost was dropped at a "
             "mark.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .parameter = "subscribers",
    .parameter_doc = "how many SUB (8), up to 64; several",
    .parameter_axis = "subscribers",
    .values = "8",
    .many = true,
    .nodrop = true,
    .raw = true,
    .sp = true,
    .run = run,
};
