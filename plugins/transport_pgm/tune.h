/*
 * tune.h - the options of pgm and epgm, and the values of one endpoint.
 *
 * Above: session.c, transport_pgm.c.  Below: the host.
 */
#ifndef WEIR_PGM_TUNE_H
#define WEIR_PGM_TUNE_H

#include <stdbool.h>

#include <weir/transport.h>

enum weir_pgm_row {
    WEIR_PGM_RATE,        /* kbit/s of original data */
    WEIR_PGM_RECOVERY,    /* ms that a sender keeps what it has sent */
    WEIR_PGM_TPDU,        /* octets of a packet with all its headers */
    WEIR_PGM_HOPS,        /* routers a packet may pass, and one */
    WEIR_PGM_LOOP,        /* this machine hears its own packets */
    WEIR_PGM_TOS,         /* type of service or traffic class */
    WEIR_PGM_SEND_BUFFER, /* octets, 0 = the system's */
    WEIR_PGM_RECV_BUFFER, /* octets, 0 = the system's */
    WEIR_PGM_OPTIONS
};

/* The table that the provider shows to the host. */
extern const weir_option weir_pgm_options[WEIR_PGM_OPTIONS];

struct weir_pgm_tuning {
    int number[WEIR_PGM_OPTIONS];
    int window;           /* packets that a sender keeps */
    int recv_window;      /* packets of a source that may wait for others */
    uint64_t max_message; /* octets of one frame, 0 = no bound */
};

/* Read the options of an endpoint, and refuse what openpgm would abort at or
 * could not do: a rate of less than a packet a second, a window that is too
 * large.
 * Errors: -EINVAL, with a sentence that names the option. */
int weir_pgm_tune_read(const weir_host *host, const weir_ep *ep,
                       const char *scheme, struct weir_pgm_tuning *out,
                       weir_error *error);

#endif
