/* burst.c - weir bench burst: how late the last message of several is. */
#include "config.h"

#include <string.h>

#include "histogram.h"
#include "side.h"

#define PAUSE_NS 2000000 /* outside the library, between two bursts */

/* The last message of a burst says 1, the one before it 2, and so on; all of
 * them say when it began. */
static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_PUSH);
    uint64_t stamp[2];

    (void)number;
    if (!end)
        return -1;
    for (;;) {
        stamp[0] = weir_meter_now();
        for (uint64_t left = side->plan->n; left; left--) {
            stamp[1] = left;
            memcpy(end->payload, stamp, sizeof stamp);
            if (side->ops->send(end, true) < 0)
                return -1;
        }
        weir_meter_sleep(PAUSE_NS);
    }
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
    weir_side_delays(&histogram, false);
    weir_side_share(&span);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"p50_us", false},
    {"p99_us", false},
    {"cpu_us", false},
    {NULL, false},
};

const struct weir_side_test weir_side_burst = {
    .name = "burst",
    .summary = "the delay of the last message of a burst",
    .about = "PUSH sends bursts of messages to PULL, with 2 ms outside of the "
             "library between\nthem.  The delay is that of the last message, "
             "from before the first send to\nafter its receive.  CPU time is "
             "that of both sides, per message.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .parameter = "burst",
    .parameter_doc = "messages in a burst (1,20,100,1000); several",
    .parameter_axis = "messages in a burst",
    .values = "1,20,100,1000",
    .at_once = true,
    .stamps = true,
    .raw = true,
    .sp = true,
    .run = run,
};
