/*
 * side.h - one side of a benchmark, whatever the library: it warms up,
 * measures by the clock and prints one line.
 * Above: bench_weir.c, libzmq.c, raw.c.  Below: nothing.
 *
 * A side is a process.  The one that binds measures:
 *
 *     PROGRAM (thr|lat) bind URL SIZE WARM RUN BATCH [pair|reqrep]
 *     PROGRAM (thr|lat) connect URL SIZE WARM RUN BATCH [pair|reqrep]
 *     PROGRAM (thr|lat) both URL SIZE WARM RUN BATCH [pair|reqrep]
 *
 * The binding side prints "url URL", reads the other's process number from
 * standard input, and in the end prints
 * "result MESSAGES NANOSECONDS CPU_NANOSECONDS P50_NANOSECONDS
 * P99_NANOSECONDS". CPU time is that of both sides, -1 where the system does
 * not tell; the percentiles are 0 for thr.  The connecting side goes on until
 * it is killed, or for ten seconds longer than it should have to.  "both" is
 * two threads of one process.  WARM and RUN are seconds.
 *
 * thr: one way, connecting side to binding side, counted as they are received.
 * lat: there and back; a message counts when it is back.
 */
#ifndef WEIR_TOOLS_PEERS_SIDE_H
#define WEIR_TOOLS_PEERS_SIDE_H

#include <stdbool.h>
#include <stddef.h>

struct weir_side_plan {
    bool latency, binds, one_process;
    bool reqrep; /* lat: REQ and REP, not PAIR */
    const char *url;
    size_t size;
    double warm, run; /* seconds */
    unsigned batch;   /* messages a call, where the library has such calls */
};

/* A library: its table. */
struct weir_side_ops {
    /* Once per process; returns 0 or -1 with its complaint printed. */
    int (*start)(const struct weir_side_plan *plan);

    /* Open an end.  thr: the binding one receives; lat: the connecting one
     * answers.  A binding end writes to `url` where it can be found.
     * Returns NULL with its complaint printed. */
    void *(*open)(const struct weir_side_plan *plan, bool binds, char *url,
                  size_t room);

    /* Send; receive.  How many messages that was, < 0 when it is over.  With
     * plan->latency it is one message, and it leaves at once. */
    long (*send)(void *end);
    long (*recv)(void *end);
};

/* Play the side that argv[1] and so on ask for.  Returns an exit code. */
int weir_side_main(const struct weir_side_ops *ops, int argc,
                   const char *const *argv);

#endif
