/*
 * race.h - one attempt to connect: all addresses, one after the other.
 *
 * Each address gets a head start of 250 ms over the next one, or less if it
 * fails; the first connection wins (after RFC 8305, section 5).
 * Above: dial.c.  Below: address.h, tune.h, the host's watches and timers.
 */
#ifndef WEIR_TCP_RACE_H
#define WEIR_TCP_RACE_H

#include "end.h"
#include "resolve.h"

struct weir_tcp_attempt {
    struct weir_tcp_race *race;
    int fd; /* -1: not under way */
    int64_t watch;
};

struct weir_tcp_race {
    /* Set by the owner before weir_tcp_race_start().  The race frees the
     * lists when it ends. */
    const struct weir_tcp_end *end;
    struct weir_tcp_list to;
    struct weir_tcp_list from; /* empty: the system chooses */
    uint64_t timeout_ns;       /* 0: none */

    /* [io] The race is over: a connected descriptor, or -errno with the
     * reason for every address in `report`.  May be called by
     * weir_tcp_race_start(). */
    void (*over)(struct weir_tcp_race *race, int result);
    char report[384];

    /* The race's own. */
    struct weir_tcp_attempt *attempts;
    size_t next, pending;
    int64_t stagger, deadline; /* timers, 0 = none */
    int code;                  /* of the last failure */
};

/* [io] Begin. */
void weir_tcp_race_start(struct weir_tcp_race *race);

/* [io] End it without a result; nothing happens if none is under way. */
void weir_tcp_race_stop(struct weir_tcp_race *race);

#endif
