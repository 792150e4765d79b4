/* plugins.c - weir bench plugins: from nothing to a bound endpoint. */
#include "config.h"

#include "histogram.h"
#include "side.h"

#define AGAIN 20

static uint64_t bind_once(struct weir_side *side)
{
    uint64_t start = weir_meter_now();

    return weir_side_bind(side, WEIR_SIDE_PULL) ? weir_meter_now() - start : 0;
}

static int run(struct weir_side *side)
{
    static struct weir_histogram again;
    uint64_t first = bind_once(side);
    double usual;

    for (int i = 0; i < AGAIN; i++)
        weir_histogram_add(&again, bind_once(side));
    usual = (double)weir_histogram_at(&again, 0.5);
    if (!first || !weir_histogram_at(&again, 0))
        return -1;
    weir_side_figure("first_us", (double)first / 1e3);
    weir_side_figure("again_us", usual / 1e3);
    weir_side_figure("load_us", ((double)first - usual) / 1e3);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"first_us", false},
    {"again_us", false},
    {"load_us", false},
    {NULL, false},
};

const struct weir_side_test weir_side_plugins = {
    .name = "plugins",
    .summary = "how long the first use of a transport takes",
    .about = "The time to open a context and a socket and to bind it: the "
             "first in its\nprocess, which for weir looks for the transport's "
             "plugin and loads it, and the\nmedian of 20 more.  The "
             "difference is what loading takes.\n",
    .metrics = metrics,
    .transports = "tcp,ipc,inproc",
    .raw = true,
    .sp = true,
    .run = run,
};
