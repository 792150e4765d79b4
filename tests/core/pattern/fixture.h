/*
 * fixture.h - one socket of a pattern with pipes whose other ends the test
 * has, in place of the socket, links and endpoints of the core.
 *
 * Messages are written as text: '|' is between frames, '^' is the octet 01,
 * '~' is 00, "%7C" is any.  A command is "!NAME:" and its data.
 */
#ifndef TESTS_CORE_PATTERN_FIXTURE_H
#define TESTS_CORE_PATTERN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "socket.h"

/* What the pattern asked the core for. */
struct fx {
    struct weir_sock *sock;
    struct weir_options *binder; /* options of the endpoint that binds */
    struct weir_options *dialer; /* of the one that connects next */
    int peers;                   /* for weir_wait_peers */
    int wakes[WEIR_WAITS];
    struct weir_pipe *refused; /* the last one; its peer is cut off */
    int code;
    int gone;   /* pipes that went away */
    bool later; /* something is left to be tended to */
    /* Called before (true) and after what the pattern does; may be NULL. */
    void (*within)(bool begin);
};
extern struct fx fx;

/* Open a socket; close it, with all its pipes. */
void fx_open(enum weir_type type);
void fx_close(void);

/* A peer connects to us.  id: text, NULL: announces none.  NULL: it was
 * refused, and is gone. */
struct weir_pipe *fx_accept(const char *id);

/* We connect: the pipe is there, and not up unless the pattern or the option
 * "immediate" wants it so; then it is NULL until fx_reach().  Each has an
 * endpoint of its own. */
struct weir_pipe *fx_connect(void);

/* The connection of a pipe from fx_connect() is made.  0, or refused. */
int fx_reach(struct weir_pipe *pipe, const char *id);

/* The connection is lost.  A pipe that was accepted goes when it is drained,
 * at once if it is. */
void fx_lose(struct weir_pipe *pipe);

/* The pipe goes, whatever is in it: its endpoint was closed. */
void fx_bury(struct weir_pipe *pipe);

/* The peer sends; the socket is told. */
void fx_feed(struct weir_pipe *pipe, const char *text);

/* All frames of a message but the last one come, and no more. */
void fx_feed_part(struct weir_pipe *pipe, const char *text);

/* What the peer gets next, as text; "none". */
const char *fx_sent(struct weir_pipe *pipe);

/* The peer reads everything. */
int fx_drain(struct weir_pipe *pipe);

/* weir_send, weir_recv without waiting.  The first returns what the pattern
 * says, the second text, or "again", "state", ...  Both check that can_send
 * and can_recv said the same before. */
int fx_send(const char *text);
const char *fx_recv(void);

/* Send a message of one frame of so many octets. */
int fx_send_long(size_t size);

/* weir_subscribe and weir_unsubscribe. */
int fx_subscribe(const char *topic, bool on);

/* One step of what was left for later.  False: nothing was. */
bool fx_tend(void);

/* An option was changed in fx.sock->options. */
void fx_option(void);

/* Messages that went into queues to peers or were dropped before. */
uint64_t fx_accepted(void);

/* Messages ever taken from a pipe and not dropped. */
uint64_t fx_delivered(struct weir_pipe *pipe);

#endif
