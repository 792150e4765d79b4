/* target_list.c - what weir has to reach, row by row. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>

#include "targets.h"

#define KB 1024
#define MB (1024 * KB)

/* The cases of a row. */
#define THR(about, over, octets, least, best)                               \
    {                                                                       \
        .row = about, .test = "thr", .transport = over, .metric = "msg/s",  \
        .size = octets, .against = "libzmq", .at_least = least, .aim = best \
    }
/* What is copied into the kernel and out of it, whoever calls. */
#define COPIED(over, octets)                                                \
    {                                                                       \
        .row = "throughput of 64 KB to 1 MB against libzmq", .test = "thr", \
        .transport = over, .metric = "msg/s", .size = octets,               \
        .against = "libzmq", .at_least = 1.5, .aim = 3, .and_raw = true     \
    }
#define LAT(about, over, what, other, least, best)                      \
    {                                                                   \
        .row = about, .test = "lat", .transport = over, .metric = what, \
        .size = 64, .against = other, .at_least = least, .aim = best    \
    }
#define CPU(about, what, over, octets, other, least, best)                    \
    {                                                                         \
        .row = about, .test = what, .transport = over, .metric = "cpu_us",    \
        .size = octets, .one_cpu = true, .against = other, .at_least = least, \
        .aim = best                                                           \
    }
#define BURST(over, messages)                                               \
    {                                                                       \
        .row = "delay of a burst's last message, p50, against libzmq",      \
        .test = "burst", .transport = over, .metric = "p50_us", .size = 64, \
        .n = messages, .against = "libzmq", .at_least = 1                   \
    }
#define PACED(over, what, pace)                                         \
    {                                                                   \
        .row = "delay (p50) and CPU time at a pace, against libzmq",    \
        .test = "paced", .transport = over, .metric = what, .size = 64, \
        .n = pace, .against = "libzmq", .at_least = 1                   \
    }
#define CROWD(what, figure, least, best)                                      \
    {                                                                         \
        .row = "8 peers, delivered per second, against libzmq", .test = what, \
        .transport = "tcp", .metric = figure, .size = 64, .n = 8,             \
        .against = "libzmq", .at_least = least, .aim = best                   \
    }

static const char small[] = "throughput of 16 to 256 B against libzmq",
                  middle[] = "throughput of 1 to 8 KB against libzmq",
                  near[] = "throughput over inproc against libzmq",
                  trip[] = "round trip against libzmq",
                  spin[] = "round trip against a raw socket that spins",
                  frames[] = "CPU per message against raw frames",
                  cpu[] = "CPU per message against libzmq",
                  near_cpu[] = "CPU per message over inproc against libzmq",
                  trip_cpu[] = "CPU per round trip against libzmq",
                  memory[] = "memory";

const struct weir_bench_target weir_bench_target_list[] = {
    THR(small, "tcp", 16, 5, 8),
    THR(small, "tcp", 64, 5, 8),
    THR(small, "tcp", 256, 5, 8),
    THR(small, "ipc", 16, 5, 8),
    THR(small, "ipc", 64, 5, 8),
    THR(small, "ipc", 256, 5, 8),
    THR(middle, "tcp", 1 * KB, 3, 5),
    THR(middle, "tcp", 8 * KB, 3, 5),
    THR(middle, "ipc", 1 * KB, 3, 5),
    THR(middle, "ipc", 8 * KB, 3, 5),
    COPIED("tcp", 64 * KB),
    COPIED("tcp", 1 * MB),
    COPIED("ipc", 64 * KB),
    COPIED("ipc", 1 * MB),
    THR(near, "inproc", 16, 2, 4),
    THR(near, "inproc", 64, 3, 6),
    THR(near, "inproc", 1 * KB, 3, 6),
    LAT(trip, "tcp", "p50_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(trip, "tcp", "p99_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(trip, "ipc", "p50_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(trip, "ipc", "p99_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(trip, "inproc", "p50_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(trip, "inproc", "p99_us", "libzmq", 1 / 5.0, 1 / 12.0),
    LAT(spin, "tcp", "p50_us", "raw", 1.3, 1.1),
    LAT(spin, "ipc", "p50_us", "raw", 1.3, 1.1),
    CPU(frames, "thr", "tcp", 16, "raw", 2.5, 1.5),
    CPU(frames, "thr", "tcp", 64, "raw", 2.5, 1.5),
    CPU(frames, "thr", "ipc", 16, "raw", 2.5, 1.5),
    CPU(frames, "thr", "ipc", 64, "raw", 2.5, 1.5),
    CPU(cpu, "thr", "tcp", 16, "libzmq", 1 / 4.0, 1 / 8.0),
    CPU(cpu, "thr", "tcp", 64, "libzmq", 1 / 4.0, 1 / 8.0),
    CPU(cpu, "thr", "ipc", 16, "libzmq", 1 / 4.0, 1 / 8.0),
    CPU(cpu, "thr", "ipc", 64, "libzmq", 1 / 4.0, 1 / 8.0),
    CPU(near_cpu, "thr", "inproc", 16, "libzmq", 1 / 2.5, 1 / 4.0),
    CPU(near_cpu, "thr", "inproc", 64, "libzmq", 1 / 2.5, 1 / 4.0),
    CPU(near_cpu, "thr", "inproc", 1 * KB, "libzmq", 1 / 2.5, 1 / 4.0),
    CPU(trip_cpu, "lat", "tcp", 64, "libzmq", 1 / 1.5, 1 / 3.0),
    CPU(trip_cpu, "lat", "ipc", 64, "libzmq", 1 / 1.5, 1 / 3.0),
    CPU(trip_cpu, "lat", "inproc", 64, "libzmq", 1 / 1.5, 1 / 3.0),
    CROWD("fanout", "delivered/s", 5, 12),
    CROWD("fanin", "msg/s", 5, 8),
    /* A queue of libzmq takes some seconds to reach its mark. */
    {.row = memory,
     .test = "thr",
     .transport = "tcp",
     .metric = "peak_MB",
     .size = 1 * MB,
     .longer = 4,
     .against = "libzmq",
     .at_least = 1 / 20.0,
     .aim = 1 / 100.0},
    {.row = memory,
     .test = "conns",
     .transport = "tcp",
     .metric = "B/conn",
     .n = 8000,
     .at_least = 4096,
     .aim = 1024},
    {.row = "a busy connection beside silent ones, against none",
     .test = "idle",
     .transport = "tcp",
     .metric = "msg/s",
     .size = 64,
     .n = 8000,
     .against = "weir",
     .at_least = 0.8,
     .aim = 0.95},
    {.row = "topic match, 1,000,000 subscriptions against 10",
     .test = "topics",
     .transport = "tcp",
     .metric = "match_ns",
     .n = 1000000,
     .against = "weir",
     .base = 10,
     .at_least = 3,
     .aim = 1.5},
    {.row = "memory of a subscription",
     .test = "topics",
     .transport = "tcp",
     .metric = "B/sub",
     .n = 1000000,
     .at_least = 250,
     .aim = 100},
    {.row = "throughput of a device, 64 B, against zmq_proxy",
     .test = "device",
     .transport = "tcp",
     .metric = "msg/s",
     .size = 64,
     .against = "libzmq",
     .at_least = 3,
     .aim = 5},
    BURST("tcp", 1),
    BURST("tcp", 20),
    BURST("tcp", 100),
    BURST("tcp", 1000),
    BURST("ipc", 1),
    BURST("ipc", 20),
    BURST("ipc", 100),
    BURST("ipc", 1000),
    BURST("inproc", 1),
    BURST("inproc", 20),
    BURST("inproc", 100),
    BURST("inproc", 1000),
    PACED("tcp", "p50_us", 10000),
    PACED("tcp", "cpu_us", 10000),
    PACED("tcp", "p50_us", 50000),
    PACED("tcp", "cpu_us", 50000),
    PACED("tcp", "p50_us", 100000),
    PACED("tcp", "cpu_us", 100000),
    PACED("tcp", "p50_us", 200000),
    PACED("tcp", "cpu_us", 200000),
    PACED("ipc", "p50_us", 10000),
    PACED("ipc", "cpu_us", 10000),
    PACED("ipc", "p50_us", 50000),
    PACED("ipc", "cpu_us", 50000),
    PACED("ipc", "p50_us", 100000),
    PACED("ipc", "cpu_us", 100000),
    PACED("ipc", "p50_us", 200000),
    PACED("ipc", "cpu_us", 200000),
    PACED("inproc", "p50_us", 10000),
    PACED("inproc", "cpu_us", 10000),
    PACED("inproc", "p50_us", 50000),
    PACED("inproc", "cpu_us", 50000),
    PACED("inproc", "p50_us", 100000),
    PACED("inproc", "cpu_us", 100000),
    PACED("inproc", "p50_us", 200000),
    PACED("inproc", "cpu_us", 200000),
    {.row = NULL},
};

int weir_bench_decimals(double ratio)
{
    return ratio < 1 ? 3 : 2;
}

/* A ratio as it is printed. */
static double rounded(double ratio)
{
    double parts = weir_bench_decimals(ratio) == 3 ? 1e3 : 1e2;

    return (double)(int64_t)(ratio * parts + 0.5) / parts;
}

bool weir_bench_reaches(bool more_is_better, double value, double wanted)
{
    if (value <= 0)
        return false;
    return more_is_better ? rounded(value) >= wanted : rounded(value) <= wanted;
}

double weir_bench_gap(bool more_is_better, double value, double wanted)
{
    if (value <= 0 || wanted <= 0)
        return 0;
    return more_is_better ? wanted / value : value / wanted;
}
