/* thr.c - weir bench thr: messages per second, one way. */
#include "config.h"

#include "side.h"

static int run(struct weir_side *side)
{
    struct weir_side_span span;
    struct weir_side_end *end;

    if (weir_side_add(side, 1, weir_side_feed_push) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PULL);
    if (!end || weir_side_receive(side, end, &span) != 0)
        return -1;
    weir_side_rate("msg/s", &span);
    weir_side_figure("MB/s", (double)span.messages * (double)side->plan->size *
                                 1e3 / (double)span.ns);
    weir_side_share(&span);
    weir_side_figure("peak_MB", weir_side_peak(side));
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},    {"MB/s", true}, {"cpu_us", false},
    {"peak_MB", false}, {NULL, false},
};

const struct weir_side_test weir_side_thr = {
    .name = "thr",
    .summary = "messages per second, one way",
    .about = "Messages per second from PUSH to PULL, counted where they "
             "arrive.  CPU time\nis that of both sides, per message; memory "
             "is the most that both sides had.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .batch = true,
    .raw = true,
    .sp = true,
    .run = run,
};
