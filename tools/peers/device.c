/* device.c - weir bench device: messages per second through a device.
 *
 * The device is a process of its own: another program, if the ends are to be
 * of another library. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "side.h"

/* The device binds in front, where the source connects, and connects at the
 * back to the sink, which measures.  It becomes the program that was named. */
static int be_device(struct weir_side *side, unsigned number)
{
    const struct weir_side_plan *plan = side->plan;
    const char *back = weir_side_url(side);

    (void)number;
    if (plan->subcommand)
        execl(plan->device, plan->device, plan->subcommand, WEIR_SIDE_PROXY,
              side->shared->front, back, (char *)NULL);
    else
        execl(plan->device, plan->device, WEIR_SIDE_PROXY, side->shared->front,
              back, (char *)NULL);
    perror(plan->device);
    return -1;
}

static int be_source(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end;

    (void)number;
    (void)weir_side_url(side);
    if (side->ops->start(side->plan) != 0)
        return -1;
    end = side->ops->open(side->plan, WEIR_SIDE_PUSH);
    if (!end || side->ops->connect(end, side->shared->front) != 0)
        return -1;
    while (side->ops->send(end, true) >= 0)
        ;
    return -1;
}

/* A place that was free a moment ago. */
static int choose_front(struct weir_side *side)
{
    char *front = side->shared->front;
    size_t room = sizeof side->shared->front;
    int fd;

    if (strcmp(side->plan->transport, "ipc") == 0) {
        snprintf(front, room, "ipc:///tmp/weir-bench-%ld-front",
                 (long)getpid());
        return 0;
    }
    fd = weir_address_listen("tcp://127.0.0.1:*", front, room);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static void forget_front(const struct weir_side *side)
{
    if (strncmp(side->shared->front, "ipc://", 6) == 0)
        unlink(side->shared->front + 6);
}

/* What the device alone has spent, in ns: as a share of one CPU, and for each
 * message. */
static void report(const struct weir_side *side, double spent,
                   const struct weir_side_span *span)
{
    double share = spent / 1e9 / (side->plan->warm + side->plan->run);
    double rate = (double)span->messages * 1e9 / (double)span->ns;

    weir_side_figure("device_%", share * 100);
    if (rate > 0)
        weir_side_figure("device_us", share * 1e6 / rate);
}

/* The device is the first of the other sides. */
static int receive(struct weir_side *side, struct weir_side_span *span)
{
    struct weir_side_end *end = weir_side_bind(side, WEIR_SIDE_PULL);
    uint64_t before, after;

    if (!end || side->ops->recv(end, true) < 0)
        return -1;
    before = weir_meter_cpu(side->processes[0]);
    if (weir_side_receive(side, end, span) != 0)
        return -1;
    after = weir_meter_cpu(side->processes[0]);
    if (before && after > before)
        report(side, (double)(after - before), span);
    return 0;
}

static int run(struct weir_side *side)
{
    struct weir_side_span span;
    int r;

    if (!side->plan->device || side->threads || choose_front(side) != 0 ||
        weir_side_add(side, 1, be_device) != 0 ||
        weir_side_add(side, 1, be_source) != 0)
        return -1;
    r = receive(side, &span);
    forget_front(side);
    if (r != 0)
        return -1;
    weir_side_rate("msg/s", &span);
    weir_side_share(&span);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},      {"cpu_us", false}, {"device_%", false},
    {"device_us", false}, {NULL, false},
};

const struct weir_side_test weir_side_device = {
    .name = "device",
    .summary = "messages per second through a device",
    .about = "Messages per second from PUSH through a device (PULL and PUSH) "
             "to PULL: weir's\nstreamer, zmq_proxy, nng_device, nn_device.  "
             "cpu_us is the CPU time of all\nthree for a message, device_us "
             "that of the device alone, and device_% the share\nof one CPU "
             "that it had.  With --ends source and sink are those of one "
             "library,\nwhosever the device is.\n",
    .metrics = metrics,
    .transports = "tcp,ipc",
    .sizes = "64",
    .batch = true,
    .device = true,
    .sp = true,
    .run = run,
};
