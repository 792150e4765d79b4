/* fanin.c - weir bench fanin: many send, one receives. */
#include "config.h"

#include "side.h"

static int run(struct weir_side *side)
{
    struct weir_side_span span;
    struct weir_side_end *end;

    if (weir_side_add(side, (unsigned)side->plan->n, weir_side_feed_push) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PULL);
    if (!end || weir_side_receive(side, end, &span) != 0)
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

const struct weir_side_test weir_side_fanin = {
    .name = "fanin",
    .summary = "several PUSH, one PULL",
    .about = "Messages per second from several PUSH to one PULL, counted "
             "where they arrive.\nCPU time is that of all sides, per message; "
             "memory is the most that all had.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .parameter = "senders",
    .parameter_doc = "how many PUSH (8), up to 64; several",
    .parameter_axis = "senders",
    .values = "8",
    .many = true,
    .raw = true,
    .sp = true,
    .run = run,
};
