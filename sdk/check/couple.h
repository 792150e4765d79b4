/*
 * couple.h - two sockets that talk, and what a case says about them.
 * Above: the suites.  Below: weir.h.
 *
 * Everything here returns true if all went as it must; else the first
 * failure of a case is kept as its detail.
 */
#ifndef WEIR_CHECK_COUPLE_H
#define WEIR_CHECK_COUPLE_H

#include <stdbool.h>

#include <weir/weir.h>

#include "check.h"

/* A case under way. */
struct weir_check_run {
    const struct weir_check_transport *check;
    weir_context context;
    int skipped; /* the transport does not carry this socket type */
    char detail[512];
};

struct weir_check_couple {
    weir_socket binder, dialer;
    weir_endpoint bound, dialed;
    char url[WEIR_CHECK_URL]; /* where the dialer finds the binder */
};

enum weir_check_order { WEIR_CHECK_BIND_FIRST, WEIR_CHECK_CONNECT_FIRST };

/* Keep the text, if it is the first; returns false. */
bool weir_check_fail(struct weir_check_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is `code` no error?  `what` names the call that gave it. */
bool weir_check_good(struct weir_check_run *run, int code, const char *what);

/* A pattern with %p and %n filled in. */
void weir_check_expand(const char *pattern, char url[WEIR_CHECK_URL]);

/* A URL that can be bound and connected to, with no wildcard in it. */
bool weir_check_url(struct weir_check_run *run, char url[WEIR_CHECK_URL]);

/* Open a socket; a SUB takes what begins with "a". */
bool weir_check_open(struct weir_check_run *run, const char *type,
                     weir_socket *socket);

/* Open two sockets, join them and wait until they have met. */
bool weir_check_join(struct weir_check_run *run, struct weir_check_couple *c,
                     const char *binder, const char *dialer,
                     enum weir_check_order order);

/* Do the socket's counters add up? */
bool weir_check_balanced(struct weir_check_run *run, weir_socket socket,
                         const char *what);

/* Close a socket: its counters add up, and nothing is left unsent. */
bool weir_check_close(struct weir_check_run *run, weir_socket *socket,
                      const char *what);

/* weir_check_close for both; `good` is whether all was well before, and they
 * are only closed if it was not. */
bool weir_check_part(struct weir_check_run *run, struct weir_check_couple *c,
                     bool good);

/* Send a string; receive a message of this one string. */
bool weir_check_say(struct weir_check_run *run, weir_socket socket,
                    const char *text);
bool weir_check_hear(struct weir_check_run *run, weir_socket socket,
                     const char *text);

/* Both, from one socket to the other. */
bool weir_check_carry(struct weir_check_run *run, weir_socket from,
                      weir_socket to, const char *text);

/* Carry a message of `n` frames of these sizes, which must come as they
 * were. */
bool weir_check_frames(struct weir_check_run *run, weir_socket from,
                       weir_socket to, const size_t *frames, uint32_t n);

/* Neither bind nor connect may take a bad address. */
bool weir_check_refused(struct weir_check_run *run, weir_socket socket,
                        const struct weir_check_bad *bad);

/* How many descriptors are open in this process; -1 where nobody can tell. */
int weir_check_descriptors(void);

/* Make the case's context anew. */
bool weir_check_fresh(struct weir_check_run *run);

/* ---- suites ---- */

struct weir_check_case {
    const char *name; /* NULL ends a list */
    bool (*test)(struct weir_check_run *run);
};

/* Those for a transport to groups, group.c. */
extern const struct weir_check_case weir_check_group[];

/* Run all, each in a context of its own.  Returns how many failed. */
int weir_check_cases(const struct weir_check_transport *check,
                     const struct weir_check_case *cases);

#endif
