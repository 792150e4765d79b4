/*
 * demo_part.h - one of the two who talk in `weir demo`: a process, or with
 * inproc a thread.
 * Above: demo.c.  Below: common.h, weir.h.
 */
#ifndef WEIR_TOOLS_DEMO_PART_H
#define WEIR_TOOLS_DEMO_PART_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

/* What a part does.  A binding process first prints "url URL". */
enum weir_demo_role {
    WEIR_DEMO_SEND,   /* sends `count` numbered messages and a last one */
    WEIR_DEMO_TAKE,   /* receives up to the last one */
    WEIR_DEMO_ASK,    /* sends `count` requests, takes each answer */
    WEIR_DEMO_ANSWER, /* answers `count` requests */
    WEIR_DEMO_TWICE,  /* sends half, prints "half", waits until there are two
                         who listen, sends the other half */
    WEIR_DEMO_BURST,  /* sends all at once, prints "sent", waits until that is
                         read or dropped, sends the last one */
    WEIR_DEMO_SLOW,   /* takes nothing before it reads a line */
    WEIR_DEMO_SERVE,  /* answers until it is killed */
    WEIR_DEMO_INSIST  /* asks on when no answer comes; prints "half" */
};

struct weir_demo_part {
    weir_context context; /* of a thread; a process opens its own */
    weir_socket socket;   /* opened by weir_demo_play */
    enum weir_demo_role role;
    bool binds, is_process;
    const char *type, *url;
    uint64_t count;
};

/* What a part saw.  Plain data: it travels through a pipe. */
struct weir_demo_report {
    weir_stats stats;     /* when all was done, before the socket closed */
    uint64_t first, last; /* numbers of the first and last taken */
    uint64_t taken, asked, again; /* messages, requests, asked again */
    double seconds; /* of the work; INSIST: longest without answer */
    int32_t failed;
    char problem[300];
};

/* Open a socket and play the part.  report->failed says how it went. */
void weir_demo_play(struct weir_demo_part *part,
                    struct weir_demo_report *report);

/* Count and close.  With inproc the two share what is under way: both have
 * played before either is counted. */
void weir_demo_end(struct weir_demo_part *part,
                   struct weir_demo_report *report);

#endif
