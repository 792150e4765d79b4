/*
 * session.h - one socket of openpgm, set up and known by its descriptors.
 *
 * Above: transport_pgm.c, send.c, receive.c.  Below: openpgm, filter.h.
 */
#ifndef WEIR_PGM_SESSION_H
#define WEIR_PGM_SESSION_H

#include <stdbool.h>

#include <poll.h> /* without it pgm.h lacks a function */

#include <pgm/pgm.h>

#include "address.h"
#include "interface.h"
#include "tune.h"

struct weir_pgm_session {
    pgm_sock_t *sock; /* NULL: there is none */
    int recv_fd, pending_fd;
    int send_fd, repair_fd; /* of a sender; -1 otherwise */
    size_t room;            /* octets of data in a packet */
    size_t headers;         /* octets before them */
};

/* What it is to be. */
struct weir_pgm_plan {
    const weir_host *host;
    const char *scheme, *text; /* for sentences */
    struct weir_pgm_address address;
    struct weir_pgm_interface interface;
    struct weir_pgm_tuning tuning;
    bool udp, sends;
};

/* Open and bind the sockets and join the groups.  Nothing is sent or read yet.
 * Errors: -EPERM raw IP needs a privilege; -EMFILE; what openpgm says.  The
 * sentence has the address. */
int weir_pgm_session_open(struct weir_pgm_session *session,
                          const struct weir_pgm_plan *plan, weir_error *error);

/* A sender announces itself; from here on either side sends and hears.
 * Errors: what openpgm says. */
int weir_pgm_session_start(struct weir_pgm_session *session,
                           const struct weir_pgm_plan *plan, weir_error *error);

/* Close it, if there is one; a sender that was started says that it ends. */
void weir_pgm_session_close(struct weir_pgm_session *session);

/* Time until openpgm's timers want it to be called, in ns. */
uint64_t weir_pgm_session_due(const struct weir_pgm_session *session);

#endif
