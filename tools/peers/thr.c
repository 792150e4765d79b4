/* thr.c - weir bench thr: messages per second, one way. */
#include "config.h"

#include <string.h>

#include "side.h"

/* To a group: messages are numbered, so that those that are lost show. */
static int feed_pub(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_PUB);

    (void)number;
    if (!end)
        return -1;
    for (uint64_t i = 1; side->ops->send(end, true) >= 0; i++) {
        if (end->size >= sizeof end->stamp)
            memcpy(end->payload, &i, sizeof i);
    }
    return -1;
}

static struct weir_side_end *open_sink(struct weir_side *side)
{
    bool group = side->plan->group;
    struct weir_side_end *end;

    if (weir_side_add(side, 1, group ? feed_pub : weir_side_feed_push) != 0)
        return NULL;
    end = weir_side_bind(side, group ? WEIR_SIDE_SUB : WEIR_SIDE_PULL);
    if (end && group && side->ops->subscribe(end, "", 0) != 0)
        return NULL;
    return end;
}

static int run(struct weir_side *side)
{
    struct weir_side_span span;
    struct weir_side_end *end = open_sink(side);

    if (!end || weir_side_receive(side, end, &span) != 0)
        return -1;
    weir_side_rate("msg/s", &span);
    weir_side_figure("MB/s", (double)span.messages * (double)side->plan->size *
                                 1e3 / (double)span.ns);
    weir_side_share(&span);
    weir_side_figure("peak_MB", weir_side_peak(side));
    if (side->plan->group && span.passed)
        weir_side_figure("came_%",
                         100 * (double)span.messages / (double)span.passed);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},    {"MB/s", true},   {"cpu_us", false},
    {"peak_MB", false}, {"came_%", true}, {NULL, false},
};

const struct weir_side_test weir_side_thr = {
    .name = "thr",
    .summary = "messages per second, one way",
    .about = "Messages per second from PUSH to PULL, counted where they "
             "arrive.  CPU time\nis that of both sides, per message; memory "
             "is the most that both sides had.\n\n"
             "Over epgm and pgm it is from PUB to SUB, between two network "
             "namespaces that\nit makes, as root; or, with --url, over an "
             "interface and a group of yours.\ncame_% is how many of the "
             "messages that were sent came.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .sizes = "64",
    .batch = true,
    .raw = true,
    .sp = true,
    .group = true,
    .run = run,
};
