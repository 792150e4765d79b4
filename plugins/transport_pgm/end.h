/*
 * end.h - one endpoint of pgm or epgm, and its one link.
 *
 * An endpoint has one link at a time, on which messages go one way: to the
 * group or from it.  Turns of both never overlap.
 * Above: transport_pgm.c.  Below: send.c and receive.c, which are the links.
 */
#ifndef WEIR_PGM_END_H
#define WEIR_PGM_END_H

#include "session.h"

enum { WEIR_PGM_INPUT, WEIR_PGM_WATCHES = 4 };

/* What both kinds of link begin with. */
struct weir_pgm_link {
    struct weir_pgm_end *end;
    weir_link *link;
    struct weir_pgm_session session;
    int64_t watches[WEIR_PGM_WATCHES]; /* 0 = none */
    int64_t timer;                     /* 0 = none */
    uint64_t timer_at;                 /* ns, when it fires */
    uint32_t drops;                    /* datagrams, as told last */
    bool over;
};

struct weir_pgm_end {
    struct weir_pgm_plan plan;
    const weir_transport_host *more;
    weir_ep *ep;
    weir_reactor *reactor; /* NULL until attached */
    bool binds;
    int64_t again; /* timer of a binder until the next attempt, 0 = none */
    struct weir_pgm_session session; /* open, and no link has it yet */
    char text[];                     /* as the application wrote it */
};

/* Make a link for an open session, which is the link's from then on, and give
 * it to the host.  What follows comes to the host, an error too.
 * Errors: -ENOMEM, -EMFILE (the session is still the caller's). */
int weir_pgm_sender(struct weir_pgm_end *end);
int weir_pgm_receiver(struct weir_pgm_end *end);

/* ---- link.c: what both kinds of link share ---- */

/* Take the endpoint's session. */
void weir_pgm_link_init(struct weir_pgm_link *link, struct weir_pgm_end *end);

/* In attach(): start the session, and watch what comes in, in place
 * WEIR_PGM_INPUT.
 * Errors: what openpgm says; -ENOMEM. */
int weir_pgm_link_start(struct weir_pgm_link *link, weir_link *to,
                        weir_turn *on_input, weir_error *error);

/* Watch a descriptor in place `i`, if there is no watch yet.
 * Errors: -ENOMEM. */
int weir_pgm_link_watch(struct weir_pgm_link *link, int i, int fd,
                        unsigned events, weir_turn *turn, weir_error *error);
void weir_pgm_link_unwatch(struct weir_pgm_link *link, int i);

/* Have a turn not later than in `after` ns; what is to be called first in
 * that turn. */
void weir_pgm_link_timer(struct weir_pgm_link *link, uint64_t after,
                         weir_turn *turn);
void weir_pgm_link_fired(struct weir_pgm_link *link);

/* ns of the monotonic clock. */
uint64_t weir_pgm_link_now(void);

/* Tell the monitor of datagrams that were dropped since. */
void weir_pgm_link_tell_drops(struct weir_pgm_link *link);

/* The connection is over; the host will close it. */
void weir_pgm_link_down(struct weir_pgm_link *link, int code,
                        const char *reason);

/* End watches and timer, and close the session. */
void weir_pgm_link_fini(struct weir_pgm_link *link);

/* Give the link to the host. */
void weir_pgm_link_made(struct weir_pgm_link *link, const weir_link_ops *ops,
                        void *self);

/* The link is being freed: a binder will try again. */
void weir_pgm_end_lost_link(struct weir_pgm_end *end);

#endif
