/* target_list.c - what weir has to reach, row by row. */
#include "config.h"

#include <stddef.h>

#include "targets.h"

#define KB 1024
#define MB (1024 * KB)

/* The cases of a row. */
#define THR(row, transport, size, at_least, aim)                               \
    {                                                                          \
        row, "thr", transport, "msg/s", size, 0, false, "libzmq", 0, at_least, \
            aim                                                                \
    }
#define LAT(row, transport, metric, against, at_least, aim)                    \
    {                                                                          \
        row, "lat", transport, metric, 64, 0, false, against, 0, at_least, aim \
    }
#define CPU(row, test, transport, size, against, at_least, aim)              \
    {                                                                        \
        row, test, transport, "cpu_us", size, 0, true, against, 0, at_least, \
            aim                                                              \
    }
#define BURST(transport, n)                                              \
    {                                                                    \
        "delay of a burst's last message, p50, against libzmq", "burst", \
            transport, "p50_us", 64, n, false, "libzmq", 0, 1, 0         \
    }
#define PACED(transport, metric, n)                                    \
    {                                                                  \
        "delay (p50) and CPU time at a pace, against libzmq", "paced", \
            transport, metric, 64, n, false, "libzmq", 0, 1, 0         \
    }

static const char small[] = "throughput of 16 to 256 B against libzmq",
                  middle[] = "throughput of 1 to 8 KB against libzmq",
                  large[] = "throughput of 64 KB to 1 MB against libzmq",
                  near[] = "throughput over inproc against libzmq",
                  trip[] = "round trip against libzmq",
                  spin[] = "round trip against a raw socket that spins",
                  frames[] = "CPU per message against raw frames",
                  cpu[] = "CPU per message against libzmq",
                  near_cpu[] = "CPU per message over inproc against libzmq",
                  trip_cpu[] = "CPU per round trip against libzmq",
                  many[] = "8 peers, delivered per second, against libzmq",
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
    THR(large, "tcp", 64 * KB, 1.5, 3),
    THR(large, "tcp", 1 * MB, 1.5, 3),
    THR(large, "ipc", 64 * KB, 1.5, 3),
    THR(large, "ipc", 1 * MB, 1.5, 3),
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
    {many, "fanout", "tcp", "delivered/s", 64, 8, false, "libzmq", 0, 5, 12},
    {many, "fanin", "tcp", "msg/s", 64, 8, false, "libzmq", 0, 5, 8},
    {memory, "thr", "tcp", "peak_MB", 1 * MB, 0, false, "libzmq", 0, 1 / 20.0,
     1 / 100.0},
    {memory, "conns", "tcp", "B/conn", 0, 8000, false, NULL, 0, 4096, 1024},
    {"a busy connection beside silent ones, against none", "idle", "tcp",
     "msg/s", 64, 8000, false, "weir", 0, 0.8, 0.95},
    {"topic match, 1,000,000 subscriptions against 10", "topics", "tcp",
     "match_ns", 0, 1000000, false, "weir", 10, 3, 1.5},
    {"memory of a subscription", "topics", "tcp", "B/sub", 0, 1000000, false,
     NULL, 0, 250, 100},
    {"throughput of a device, 64 B, against zmq_proxy", "device", "tcp",
     "msg/s", 64, 0, false, "libzmq", 0, 3, 5},
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

bool weir_bench_reaches(bool more_is_better, double value, double wanted)
{
    if (value <= 0)
        return false;
    return more_is_better ? value >= wanted : value <= wanted;
}

double weir_bench_gap(bool more_is_better, double value, double wanted)
{
    if (value <= 0 || wanted <= 0)
        return 0;
    return more_is_better ? wanted / value : value / wanted;
}
