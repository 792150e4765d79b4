/* duplex.c - weir bench duplex: both directions at once. */
#include "config.h"

#include "side.h"

#define STEP 64 /* messages before the other direction has its turn */

/* Send and receive what goes without waiting, then wait; count what came. */
static int talk(struct weir_side *side, struct weir_side_end *end,
                _Atomic uint64_t *count)
{
    long sent = 0, got = 0, now;

    for (int i = 0; i < STEP; i++) {
        now = side->ops->send(end, false);
        if (now <= 0)
            break;
        sent += now;
    }
    if (now < 0)
        return -1;
    for (int i = 0; i < STEP; i++) {
        now = side->ops->recv(end, false);
        if (now <= 0)
            break;
        got += now;
    }
    if (now < 0)
        return -1;
    atomic_fetch_add_explicit(count, (uint64_t)got, memory_order_relaxed);
    return sent + got ? 0 : side->ops->wait(end);
}

static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_DEALER);

    (void)number;
    if (!end)
        return -1;
    while (talk(side, end, &side->shared->of[1].count) == 0)
        ;
    return -1;
}

static uint64_t received(const struct weir_side *side)
{
    return atomic_load(&side->shared->of[0].count) +
           atomic_load(&side->shared->of[1].count);
}

static int talk_for(struct weir_side *side, struct weir_side_end *end,
                    double time, struct weir_side_span *span)
{
    uint64_t start = weir_meter_now(), ns = weir_meter_seconds(time);
    uint64_t before = received(side), cpu = weir_side_cpu(side);

    do {
        if (talk(side, end, &side->shared->of[0].count) != 0)
            return -1;
        span->ns = weir_meter_now() - start;
        span->messages = received(side) - before;
    } while (span->ns < ns || !span->messages);
    span->cpu = cpu ? weir_side_cpu(side) - cpu : 0;
    return 0;
}

static int run(struct weir_side *side)
{
    struct weir_side_span span;
    struct weir_side_end *end;

    if (weir_side_add(side, 1, feed) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_DEALER);
    while (end && !atomic_load(&side->shared->of[1].count)) {
        if (talk(side, end, &side->shared->of[0].count) != 0)
            return -1;
    }
    if (!end || talk_for(side, end, side->plan->warm, &span) != 0 ||
        talk_for(side, end, side->plan->run, &span) != 0)
        return -1;
    weir_side_rate("msg/s", &span);
    weir_side_share(&span);
    weir_side_figure("peak_MB", weir_side_peak(side));
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},
    {"cpu_us", false},
    {"peak_MB", false},
    {NULL, false},
};

const struct weir_side_test weir_side_duplex = {
    .name = "duplex",
    .summary = "both directions of DEALER and DEALER at once",
    .about = "Two DEALER (nng and nanomsg: PAIR) send to each other as fast as "
             "they can, each\nfrom one thread that never waits for one "
             "direction alone.  Messages of both\ndirections count where they "
             "arrive.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .raw = true,
    .sp = true,
    .run = run,
};
