/* paced.c - weir bench paced: delay and CPU time at an even pace. */
#include "config.h"

#include <string.h>

#include "histogram.h"
#include "side.h"

#define COARSE_NS 200000  /* a pause of more is slept, but for the rest */
#define WAKE_NS   150000  /* what sleeping may overshoot by */
#define STALL_NS  1000000 /* who is later than this starts anew */
#define STEP_NS   2000    /* more between two looks was somebody else */

/* Wait for the moment with eyes on the clock.  The time this took goes to
 * the shared counter: it is not the library's. */
static uint64_t wait_until(struct weir_side *side, uint64_t moment)
{
    uint64_t now = weir_meter_now(), before, waited = 0;

    if (now < moment && moment - now > COARSE_NS)
        weir_meter_sleep(moment - now - WAKE_NS);
    before = weir_meter_now();
    while ((now = weir_meter_now()) < moment) {
        waited += now - before < STEP_NS ? now - before : 0;
        before = now;
    }
    atomic_fetch_add_explicit(&side->shared->waited, waited,
                              memory_order_relaxed);
    return now;
}

static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_PUSH);
    uint64_t pause = 1000000000u / (side->plan->n ? side->plan->n : 1);
    uint64_t moment = weir_meter_now(), stamp[2] = {0, 1};

    (void)number;
    while (end) {
        stamp[0] = wait_until(side, moment);
        memcpy(end->payload, stamp, sizeof stamp);
        if (side->ops->send(end, true) < 0)
            break;
        moment += pause;
        if (stamp[0] > moment + STALL_NS)
            moment = stamp[0];
    }
    return -1;
}

static int run(struct weir_side *side)
{
    static struct weir_histogram histogram;
    struct weir_side_span span;
    struct weir_side_end *end;

    if (weir_side_add(side, 1, feed) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PULL);
    if (!end || weir_side_watch(side, end, &histogram, &span) != 0)
        return -1;
    weir_side_delays(&histogram, true);
    weir_side_share(&span);
    weir_side_rate("msg/s", &span);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"p50_us", false}, {"p99_us", false}, {"p99.9_us", false},
    {"cpu_us", false}, {"msg/s", true},   {NULL, false},
};

const struct weir_side_test weir_side_paced = {
    .name = "paced",
    .summary = "delay and CPU time at so many messages per second",
    .about = "PUSH sends to PULL at an even pace.  The delay is that of each "
             "message, from\nbefore its send to after its receive.  CPU time "
             "is that of both sides, per\nmessage, without the sender's "
             "watching of the clock; msg/s is what arrived.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .parameter = "pace",
    .parameter_doc = "messages per second (10000,50000,100000,200000);\n"
                     "several",
    .parameter_axis = "messages per second",
    .values = "10000,50000,100000,200000",
    .at_once = true,
    .stamps = true,
    .raw = true,
    .sp = true,
    .run = run,
};
