/*
 * observer.h - the stats endpoint: what others may ask of a context.
 *
 * A context has one if it was opted in, with the option "stats" or with the
 * variable WEIR_STATS.  It is a thread with a context and a ROUTER of its own,
 * so it takes no part in the work of the context that it tells of, and what is
 * asked of it costs that nothing but short looks at its counters, at most
 * fifty times a second, however many ask.
 *
 * The last frame of a message is the question, those before it are where the
 * answer goes, so that a REQ can ask and a DEALER too:
 *
 *   stats    is answered with a report (report.h)
 *   events   is answered at once, and then with each event, until the one who
 *            asked is gone or sends a message whose last frame is empty
 *
 * Whoever does not read his answers misses some, and of events is told how
 * many.  Those who are connected, what waits for them all together, and how
 * much is answered in a second are bounded, so that nobody who may look can
 * take memory, descriptors or a processor from the program.
 * Above: api.c, context.c, endpoint.c.  Below: report.h, the public calls.
 */
#ifndef WEIR_OBSERVER_H
#define WEIR_OBSERVER_H

#include <stdint.h>

#include <weir/weir.h>

struct weir_ctx;
struct weir_observer;
struct weir_sock;

enum {
    WEIR_OBSERVER_WATCHERS = 64,      /* who get events, at most */
    WEIR_OBSERVER_PEERS = 80,         /* who are connected, at most */
    WEIR_OBSERVER_EVENTS = 1024,      /* that wait to be told */
    WEIR_OBSERVER_WAITING = 16 << 20, /* octets of answers nobody has read */
    WEIR_OBSERVER_URL = 1100
};

/* Give a context an endpoint at `place` (see weir_observer_url()), or none
 * with "".  What it had before is ended first.  No lock held.
 * Errors: -EINVAL place; what binding gives. */
int weir_observer_set(weir_context context, const char *place);

/* The same with what WEIR_STATS says, if it says something and the program may
 * listen to it.  A failure is kept for weir_observer_confess(). */
void weir_observer_from_environment(weir_context context);

/* The first socket of a context gets an event that says why what WEIR_STATS
 * says could not be.  The context's lock is held. */
void weir_observer_confess(struct weir_ctx *ctx, weir_socket socket);

/* Where it is, "" if there is none.  As weir_context_get().  The context's
 * lock is held. */
const char *weir_observer_where(const struct weir_ctx *ctx);

/* Something has happened to a socket.  Any thread, never waits. */
void weir_observer_put(struct weir_sock *sock, const weir_event *event);

/* The endpoint of a context that has no sockets, or NULL; it is the caller's to
 * end.  The context's lock is held for the first, no lock for the second. */
struct weir_observer *weir_observer_detach(struct weir_ctx *ctx);
void weir_observer_end(struct weir_observer *observer);

/* In the handler of a fork, in the child: close its listeners and connections.
 * Nothing else is touched, and no lock taken. */
void weir_observer_leave(struct weir_ctx *ctx);

/* In a forked child: close its descriptors, touch nothing else. */
void weir_observer_abandon(struct weir_ctx *ctx);

/* The socket of an event, as weir_observer_put() has put it into `reserved`:
 * its number and its type. */
static inline uint32_t weir_observer_id_of(uint32_t tag)
{
    return tag >> 4;
}

static inline int weir_observer_type_of(uint32_t tag)
{
    return tag & 15;
}

/* ---- observer_url.c ---- */

/* Turn `place` into the URL to bind: a URL stays, but for an ipc path, to
 * which others get no access unless its "mode" gives it.  A name becomes the
 * path NAME.PID.NUMBER in the runtime folder of weir, which is made if it is
 * not there: $XDG_RUNTIME_DIR/weir; /run/weir for root, if that is not set.
 * `number` tells the contexts of a process apart.
 * Errors: -EINVAL neither; -ENOENT no such folder; -EACCES others could write
 * to it; what the system says. */
int weir_observer_url(const char *place, uint32_t number,
                      char url[WEIR_OBSERVER_URL]);

/* The name of this program, "" where the system does not tell. */
const char *weir_observer_program(void);

#endif
