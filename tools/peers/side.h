/*
 * side.h - the sides of one run of a benchmark, whatever the library.
 * Above: a file for each test (thr.c, lat.c, ...).  Below: meter.h, and a
 * table of functions for each library (weir.c, libzmq.c, ...).
 *
 * A run is a process:
 *
 *     PROGRAM TEST KEY=VALUE...
 *
 * It forks the processes of the other sides, or on inproc starts threads, and
 * is itself the side that binds and measures.  It prints a line
 * "figure NAME VALUE" for each figure and then "done"; or "cannot", when the
 * library has nothing to test here.  The keys are the members of struct
 * weir_side_plan.
 */
#ifndef WEIR_TOOLS_PEERS_SIDE_H
#define WEIR_TOOLS_PEERS_SIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "meter.h"

#define WEIR_SIDE_MOST     64 /* other sides */
#define WEIR_SIDE_METRICS  10
#define WEIR_SIDE_SETTINGS 8 /* of the user; and of a test */
#define WEIR_SIDE_OWN      4

/* ---- tests ---- */

struct weir_side;

struct weir_side_metric {
    const char *name; /* "msg/s"; NULL ends a list */
    bool more_is_better;
};

struct weir_side_test {
    const char *name;
    const char *summary; /* a line for the list of tests */
    const char *about;   /* a paragraph for --help, with its newlines */
    /* What is measured, the main figure first. */
    const struct weir_side_metric *metrics;
    const char *transports; /* "tcp,ipc,inproc": where it can be run */
    const char *sizes;      /* by default; NULL: messages are not the point */
    /* What else varies: an option, its words for --help, its axis and its
     * values by default; all NULL: nothing. */
    const char *parameter, *parameter_doc, *parameter_axis, *values;
    bool at_once; /* each message leaves before the send returns */
    bool stamps;  /* what was received goes to weir_side_end.stamp */
    bool many;    /* the side that binds has several peers */
    bool reqrep;  /* there is a form with REQ and REP */
    bool batch;   /* weir can use calls for arrays */
    bool nodrop;  /* there is a form where publishers wait */
    bool device;  /* a device is between the sides */
    bool raw;     /* plain system calls can do it */
    bool sp;      /* libraries of scalability protocols (nng, nanomsg) can */
    bool group;   /* it can be run over multicast, from PUB to SUB */
    bool swap;    /* messages go to a disk */
    int (*run)(struct weir_side *side); /* 0, or -1 with its complaint made */
};

/* All of them, ended by NULL; the one of a name, or NULL. */
extern const struct weir_side_test *const weir_side_tests[];
const struct weir_side_test *weir_side_find(const char *name);

/* Is it multicast? */
bool weir_side_is_group(const char *transport);

/* ---- libraries ---- */

enum weir_side_kind {
    WEIR_SIDE_PUSH,
    WEIR_SIDE_PULL,
    WEIR_SIDE_PAIR,
    WEIR_SIDE_REQ,
    WEIR_SIDE_REP,
    WEIR_SIDE_PUB,
    WEIR_SIDE_SUB,
    WEIR_SIDE_DEALER /* both ways; PAIR where there is no such thing */
};

struct weir_side_plan {
    const struct weir_side_test *test;
    const char *transport;
    const char *url; /* where to bind; NULL: somewhere */
    size_t size;
    uint64_t n;       /* of the test's parameter */
    double warm, run; /* seconds */
    unsigned batch;   /* messages a call, where the library has such calls */
    bool reqrep, nodrop;
    bool stamps;        /* those of the test, and of all over multicast */
    bool group;         /* the transport is multicast */
    unsigned long rate; /* kbit/s that may be sent there */
    /* NAME=VALUE, for weir. */
    const char *settings[WEIR_SIDE_SETTINGS + WEIR_SIDE_OWN];
    unsigned n_settings;
    const char *device;      /* the program of the device; NULL: none */
    const char *subcommand;  /* its first argument; NULL: none */
    const char *dir, *store; /* of a swap; "": where, and which, is usual */
};

/* Begins what a library's open() returns. */
struct weir_side_end {
    char *payload; /* what is sent, and its size; room for plan->size + 16 */
    size_t size;
    uint64_t stamp[2]; /* the first octets of what was received last */
};

enum weir_side_wire {
    WEIR_SIDE_NO_WIRE, /* frames alone */
    WEIR_SIDE_ZMTP,
    WEIR_SIDE_SP
};

struct weir_side_ops {
    const char *name;
    enum weir_side_wire wire;
    bool no_wildcard; /* cannot choose a port of its own */

    /* Once per process; returns 0, or -1 with its complaint printed. */
    int (*start)(const struct weir_side_plan *plan);

    /* Open a socket; NULL with its complaint printed.  Its memory is never
     * given back. */
    struct weir_side_end *(*open)(const struct weir_side_plan *plan,
                                  enum weir_side_kind kind);

    /* Bind, and write to `found` where that is (room for 256 octets);
     * connect; take what begins with a topic.  0, or -1 with the complaint
     * printed. */
    int (*bind)(struct weir_side_end *end, const char *url, char *found);
    int (*connect)(struct weir_side_end *end, const char *url);
    int (*subscribe)(struct weir_side_end *end, const void *topic, size_t size);

    /* Send; receive.  How many messages that was, < 0 when it is over; 0 only
     * without `waits`, when it would have to wait. */
    long (*send)(struct weir_side_end *end, bool waits);
    long (*recv)(struct weir_side_end *end, bool waits);

    /* Wait until one of the two would not have to. */
    int (*wait)(struct weir_side_end *end);

    /* Move what comes in at `front`, which is bound, to `back`, which is
     * connected to, until the process is killed. */
    void (*proxy)(const char *front, const char *back);

    /* Octets that wait to be sent and are in no store; NULL where nothing is
     * swapped. */
    uint64_t (*unstored)(struct weir_side_end *end);

    /* Let those in who connect; NULL where threads of the library do. */
    void (*admit)(struct weir_side_end *end);
};

/* Give `end` its payload, if its kind sends.  Returns 0 or -1. */
int weir_side_end_init(struct weir_side_end *end,
                       const struct weir_side_plan *plan,
                       enum weir_side_kind kind);

/* Keep the first octets of what was received. */
void weir_side_stamp(struct weir_side_end *end, const void *data, size_t size);

/* ---- a run ---- */

/* Seen by all processes of a run. */
struct weir_side_shared {
    _Atomic int bound, go, stop;
    _Atomic uint64_t waited;   /* ns of CPU time that no library used */
    char url[256], front[256]; /* of the sink, and of a device */
    double figures[WEIR_SIDE_METRICS];
    struct {
        _Alignas(64) _Atomic uint64_t count;
    } of[WEIR_SIDE_MOST];
};

struct weir_side {
    const struct weir_side_ops *ops;
    const struct weir_side_plan *plan;
    struct weir_side_shared *shared;
    bool threads; /* the other sides are some */
    /* The other sides: what they do; processes have a number. */
    int (*feed[WEIR_SIDE_MOST])(struct weir_side *side, unsigned number);
    pid_t processes[WEIR_SIDE_MOST];
    unsigned others;
};

/* Let `n` more sides play feed(side, number from 0).  Processes start here,
 * so no library may have started; threads with weir_side_bind. */
int weir_side_add(struct weir_side *side, unsigned n,
                  int (*feed)(struct weir_side *side, unsigned number));

/* For the side that measures: start the library, open and bind, and let the
 * others connect.  NULL with the complaint printed. */
struct weir_side_end *weir_side_bind(struct weir_side *side,
                                     enum weir_side_kind kind);

/* For the others: wait for that, open and connect. */
struct weir_side_end *weir_side_connect(struct weir_side *side,
                                        enum weir_side_kind kind);

/* Where the binding side is, once it is there. */
const char *weir_side_url(struct weir_side *side);

/* For the side that measures: wait until a word of the shared memory has at
 * least this value, and let those in who connect. */
void weir_side_await(struct weir_side *side, struct weir_side_end *end,
                     const _Atomic uint64_t *word, uint64_t value);

/* CPU time of all sides so far, in ns; 0 where the system does not tell. */
uint64_t weir_side_cpu(const struct weir_side *side);

/* The most memory that all sides had, in MB; 0 as above. */
double weir_side_peak(const struct weir_side *side);

/* Print a figure. */
void weir_side_figure(const char *name, double value);

/* ---- what several tests measure ---- */

struct weir_side_span {
    uint64_t messages, ns, cpu;
    uint64_t passed; /* by how much the first stamp has grown meanwhile */
};

/* Receive for the time of the warm-up and then for that of the run. */
int weir_side_receive(struct weir_side *side, struct weir_side_end *end,
                      struct weir_side_span *span);

/* The same for messages that begin with when they were sent and how many of
 * their burst are left: into the histogram goes the delay of each last one. */
struct weir_histogram;
int weir_side_watch(struct weir_side *side, struct weir_side_end *end,
                    struct weir_histogram *histogram,
                    struct weir_side_span *span);

/* Send and receive, one by one, for `ns`; into the histogram. */
int weir_side_ask(const struct weir_side *side, struct weir_side_end *end,
                  uint64_t ns, struct weir_histogram *histogram);

/* What is kept of a group's packets for repairs, in ms. */
#define WEIR_SIDE_RECOVERY 500

/* Print messages per second and CPU time per message. */
void weir_side_rate(const char *name, const struct weir_side_span *span);
void weir_side_share(const struct weir_side_span *span);

/* Print p50_us, p99_us and, if `tail`, p99.9_us. */
void weir_side_delays(const struct weir_histogram *histogram, bool tail);

/* Another side: PUSH without end. */
int weir_side_feed_push(struct weir_side *side, unsigned number);

/* What a device's program is asked for: PROGRAM [SUBCOMMAND] this FRONT BACK.
 */
#define WEIR_SIDE_PROXY "proxy"

/* Play what argv[0] and so on ask for.  Returns an exit code. */
int weir_side_main(const struct weir_side_ops *ops, int argc,
                   const char *const *argv);

#endif
