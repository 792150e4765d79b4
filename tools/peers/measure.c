/* measure.c - what several tests do: receive by the clock, ask and wait for
 * the answer, print what came of it. */
#include "config.h"

#include <stdio.h>

#include "histogram.h"
#include "side.h"

/* Receive for so long.  Small messages are counted by the dozen between two
 * looks at the clock. */
static int count_messages(const struct weir_side *side,
                          struct weir_side_end *end, double time,
                          struct weir_side_span *span)
{
    const struct weir_side_plan *plan = side->plan;
    unsigned step = plan->batch > 1 || plan->size > 4096 ? 1 : 64;
    uint64_t start = weir_meter_now(), ns = weir_meter_seconds(time);

    span->messages = 0;
    do {
        for (unsigned i = 0; i < step; i++) {
            long got = side->ops->recv(end, true);

            if (got < 0)
                return -1;
            span->messages += (uint64_t)got;
        }
        span->ns = weir_meter_now() - start;
    } while (span->ns < ns);
    return 0;
}

int weir_side_receive(struct weir_side *side, struct weir_side_end *end,
                      struct weir_side_span *span)
{
    const struct weir_side_plan *plan = side->plan;
    uint64_t cpu, before;

    if (side->ops->recv(end, true) < 0 ||
        count_messages(side, end, plan->warm, span) != 0)
        return -1;
    cpu = weir_side_cpu(side);
    before = end->stamp[0];
    if (count_messages(side, end, plan->run, span) != 0)
        return -1;
    span->passed = end->stamp[0] - before;
    span->cpu = cpu ? weir_side_cpu(side) - cpu : 0;
    return 0;
}

/* The delay of a message that is the last one of its kind. */
static uint64_t note_delay(const struct weir_side_end *end,
                           struct weir_histogram *histogram)
{
    uint64_t now = weir_meter_now();

    if (end->stamp[1] == 1)
        weir_histogram_add(histogram, now - end->stamp[0]);
    return now;
}

static int watch(const struct weir_side *side, struct weir_side_end *end,
                 double time, struct weir_histogram *histogram,
                 struct weir_side_span *span)
{
    uint64_t start = weir_meter_now(), ns = weir_meter_seconds(time);

    weir_histogram_clear(histogram);
    span->messages = 0;
    do {
        if (side->ops->recv(end, true) < 0)
            return -1;
        span->messages++;
        span->ns = note_delay(end, histogram) - start;
    } while (span->ns < ns || !histogram->samples);
    return 0;
}

/* CPU time without the sender's watching of the clock. */
static uint64_t net_cpu(const struct weir_side *side)
{
    uint64_t cpu = weir_side_cpu(side);

    return cpu ? cpu - atomic_load(&side->shared->waited) : 0;
}

int weir_side_watch(struct weir_side *side, struct weir_side_end *end,
                    struct weir_histogram *histogram,
                    struct weir_side_span *span)
{
    uint64_t cpu;

    if (watch(side, end, side->plan->warm, histogram, span) != 0)
        return -1;
    cpu = net_cpu(side);
    if (watch(side, end, side->plan->run, histogram, span) != 0)
        return -1;
    span->cpu = cpu ? net_cpu(side) - cpu : 0;
    return 0;
}

int weir_side_ask(const struct weir_side *side, struct weir_side_end *end,
                  uint64_t ns, struct weir_histogram *histogram)
{
    uint64_t start = weir_meter_now(), before = start, now;

    weir_histogram_clear(histogram);
    do {
        if (side->ops->send(end, true) < 0 || side->ops->recv(end, true) < 0)
            return -1;
        now = weir_meter_now();
        weir_histogram_add(histogram, now - before);
        before = now;
    } while (now - start < ns);
    return 0;
}

void weir_side_rate(const char *name, const struct weir_side_span *span)
{
    weir_side_figure(name, (double)span->messages * 1e9 / (double)span->ns);
}

void weir_side_share(const struct weir_side_span *span)
{
    if (span->cpu && span->messages)
        weir_side_figure("cpu_us",
                         (double)span->cpu / 1e3 / (double)span->messages);
}

void weir_side_delays(const struct weir_histogram *histogram, bool tail)
{
    weir_side_figure("p50_us", (double)weir_histogram_at(histogram, 0.5) / 1e3);
    weir_side_figure("p99_us",
                     (double)weir_histogram_at(histogram, 0.99) / 1e3);
    if (tail)
        weir_side_figure("p99.9_us",
                         (double)weir_histogram_at(histogram, 0.999) / 1e3);
}

int weir_side_feed_push(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_PUSH);

    (void)number;
    if (!end)
        return -1;
    while (side->ops->send(end, true) >= 0)
        ;
    return -1;
}
