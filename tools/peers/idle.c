/* idle.c - weir bench idle: one busy connection beside many silent ones. */
#include "config.h"

#include <unistd.h>

#include "crowd.h"
#include "histogram.h"

static int stand_by(struct weir_side *side, unsigned number)
{
    if (weir_crowd_open(side, &side->shared->of[number].count, NULL) != 0)
        return -1;
    for (;;)
        pause();
}

/* The busy one begins when all the others are there. */
static void await_go(const struct weir_side *side)
{
    while (!atomic_load(&side->shared->go))
        weir_meter_sleep(200000);
}

static int push(struct weir_side *side, unsigned number)
{
    await_go(side);
    return weir_side_feed_push(side, number);
}

static uint64_t both_cpu(void)
{
    uint64_t other = weir_meter_cpu(getppid());

    return other ? other + weir_meter_cpu(0) : 0;
}

/* Ask, and tell the other side what came of it. */
static int ask(struct weir_side *side, unsigned number)
{
    static struct weir_histogram histogram;
    const struct weir_side_plan *plan = side->plan;
    double *figures = side->shared->figures;
    struct weir_side_end *end;
    uint64_t cpu;

    (void)number;
    await_go(side);
    end = weir_side_connect(side, WEIR_SIDE_REQ);
    if (!end ||
        weir_side_ask(side, end, weir_meter_seconds(plan->warm), &histogram))
        return -1;
    cpu = both_cpu();
    if (weir_side_ask(side, end, weir_meter_seconds(plan->run), &histogram))
        return -1;
    figures[0] = (double)histogram.samples / plan->run;
    figures[1] =
        cpu ? (double)(both_cpu() - cpu) / 1e3 / (double)histogram.samples : 0;
    figures[2] = (double)weir_histogram_at(&histogram, 0.5) / 1e3;
    atomic_store(&side->shared->stop, 1);
    if (side->ops->send(end, true) < 0)
        return -1;
    for (;;) /* it may be a thread of the library that sends */
        pause();
}

static int answer(struct weir_side *side, struct weir_side_end *end)
{
    const double *figures = side->shared->figures;

    while (side->ops->recv(end, true) >= 0 &&
           !atomic_load(&side->shared->stop)) {
        if (side->ops->send(end, true) < 0)
            return -1;
    }
    if (!atomic_load(&side->shared->stop))
        return -1;
    weir_side_figure("msg/s", figures[0]);
    weir_side_figure("cpu_us", figures[1]);
    weir_side_figure("p50_us", figures[2]);
    return 0;
}

static int receive(struct weir_side *side, struct weir_side_end *end)
{
    struct weir_side_span span;

    if (weir_side_receive(side, end, &span) != 0)
        return -1;
    weir_side_rate("msg/s", &span);
    weir_side_share(&span);
    return 0;
}

static int run(struct weir_side *side)
{
    bool reqrep = side->plan->reqrep;
    struct weir_side_end *end;

    weir_crowd_allow(side->plan->n);
    if (weir_side_add(side, 1, stand_by) != 0 ||
        weir_side_add(side, 1, reqrep ? ask : push) != 0)
        return -1;
    end = weir_side_bind(side, reqrep ? WEIR_SIDE_REP : WEIR_SIDE_PULL);
    if (!end)
        return -1;
    weir_side_await(side, end, &side->shared->of[0].count, side->plan->n);
    atomic_store(&side->shared->go, 1);
    return reqrep ? answer(side, end) : receive(side, end);
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},
    {"cpu_us", false},
    {"p50_us", false},
    {NULL, false},
};

const struct weir_side_test weir_side_idle = {
    .name = "idle",
    .summary = "one busy connection beside silent ones",
    .about = "One PUSH sends to a PULL that has many more connections which "
             "say nothing; with\n--reqrep one REQ asks a REP.  The silent "
             "ones are plain sockets that greeted and\nwere answered.  CPU "
             "time is that of the two busy sides.\n",
    .metrics = metrics,
    .transports = "tcp",
    .sizes = "64",
    .parameter = "idle",
    .parameter_doc = "silent connections (0,1000,8000); several",
    .parameter_axis = "silent connections",
    .values = "0,1000,8000",
    .many = true,
    .reqrep = true,
    .raw = true,
    .sp = true,
    .run = run,
};
