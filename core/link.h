/*
 * link.h - the live connection of a pipe: descriptor, octets, heartbeats.
 *
 * A link is driven by whoever would otherwise wait: the I/O thread, or a
 * thread of the application.  The driver word says who: it is taken by
 * compare-and-swap, never waited for.  Who finds it taken leaves word, and
 * the holder goes round once more before it lets go.
 *
 * Order: the socket's lock may be taken while a driver word is held; who
 * holds the socket's lock only tries a driver word.
 *
 * Above: pipe.h.  Below: queue.h, zmtp.h, the reactor.
 */
#ifndef WEIR_LINK_H
#define WEIR_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/transport.h>

#include "queue.h"
#include "reactor.h"

struct weir_pipe;
struct weir_handshake;
struct weir_messages;
struct weir_parting;

/* Who drives: free, held, or held with a request to go round again. */
enum { WEIR_DRIVER_FREE = 0, WEIR_DRIVER_HELD = 1, WEIR_DRIVER_AGAIN = 3 };

struct weir_link {
    _Atomic uint32_t driver;
    _Atomic bool readable;  /* the descriptor may have something to read */
    _Atomic bool ending;    /* and then there is the end: read up to it */
    _Atomic bool live;      /* has a connection; set by the reactor */
    _Atomic bool condemned; /* to be taken apart by the reactor */

    _Atomic bool blocked; /* the kernel takes no more, until it reports room */
    _Atomic bool paused;  /* we do not read: our queue is at its mark */
    _Atomic bool more;    /* a flush ended early, so that others have a turn */

    /* the driver's */
    struct weir_watch watch;       /* its fd; -1: none */
    uint64_t key;                  /* of the descriptor in the socket's set */
    char *peer;                    /* its address, as text */
    const weir_stream_ops *stream; /* NULL: fd is a plain descriptor */
    void *stream_self;
    struct weir_messages *messages; /* messages shape; NULL otherwise */
    struct weir_queue_parser parser;
    bool mid_write;   /* a frame is partly written: nothing may come between */
    bool watches_out; /* the set reports room */
    unsigned watched; /* WEIR_POLLER_*: what the set reports */
    bool failed;      /* an error was met: condemned, or about to be */
    int write_code;   /* positive: writing failed so, reading goes on */
    uint8_t *control; /* PING, PONG: goes between messages */
    size_t control_size, control_sent, control_room;
    uint64_t written_at_up;
    _Atomic uint64_t octets_out, octets_in;
    int code; /* why it ends, positive, with the sentence */
    char reason[192];
    int verdict_code; /* of who condemned it, under the socket's lock */
    char verdict[96];

    /* heartbeats (link_heartbeat.c): the reactor's, except where atomic */
    _Atomic bool was_paused;     /* since the last look */
    _Atomic bool heard;          /* something came since the last look */
    _Atomic int64_t ttl;         /* the peer's demand, ns; 0 none */
    int64_t ttl_at;              /* when it was made */
    const uint8_t *asked_end;    /* where the last PING of a read ends, */
    int64_t asked_ttl;           /* and what it demands; the driver's */
    int64_t asked_at;            /* of the last PING that came; the driver's */
    _Atomic int64_t asked_every; /* ns between PINGs, at least; 0 unknown */
    int64_t heard_at;   /* when a look last found that something had come */
    int64_t ping_at;    /* of the first PING without an answer; 0 none */
    int64_t pinged_at;  /* of the last */
    uint32_t delivered; /* segments that its system had taken at ping_at */
    bool stalled;
    struct weir_timer beat;

    struct weir_task rearm; /* the peer has changed its demand */

    struct weir_task down; /* tells the reactor to take it apart */

    /* Messages shape: the reactor holds the word for good; who finds it taken
     * posts this.  Read under the socket's lock. */
    _Atomic(struct weir_task *) turn;
};

/* Make it ready for its first connection; no connection yet. */
void weir_link_init(struct weir_link *link);

/* Free what an unused link holds.  No connection; the driver word is held or
 * nobody else is left. */
void weir_link_fini(struct weir_link *link);

/* Become the driver.  False: somebody is; they will go round again. */
bool weir_link_hold(struct weir_link *link);

/* Become the driver to take it apart.  Reactor thread, with the socket's lock
 * held.  False: not now; the reactor tries again. */
bool weir_link_seize(struct weir_link *link);

/* Messages shape: have the reactor go round.  False: it is no such link.
 * Socket's lock held. */
bool weir_link_post_turn(struct weir_link *link);

/* Stop driving.  False: somebody asked for another round, so we still hold
 * it, and have to. */
bool weir_link_let_go(struct weir_link *link);

/* Did somebody ask for another round?  Forgets it.  Driver only. */
bool weir_link_asked(struct weir_link *link);

/* Bring what waits to the kernel.  Driver only.  Where others put more as fast
 * as it goes, it ends with `more` set.
 * Returns 1 all gone or `more`, 0 the kernel takes no more now, negative: it
 * died. */
int weir_link_flush(struct weir_link *link);

/* Read once from the connection and publish the messages found.
 * Driver only.  Returns the number of messages published, 0 nothing for now,
 * negative: it died. */
int weir_link_read(struct weir_link *link);

/* Take over the descriptor of a finished handshake, with the octets that came
 * behind it.  Reactor thread, driver word held, before anybody else sees the
 * connection.  When those octets make no sense, or there is no memory, it is
 * a connection that fails at once (weir_link_fail). */
void weir_link_start(struct weir_link *link, struct weir_handshake *from);

/* Has the kernel no room, so that there is no use in writing before the set
 * reports some?  A stream may have to be tried all the same. */
static inline bool weir_link_waits_for_room(struct weir_link *link)
{
    return atomic_load_explicit(&link->blocked, memory_order_relaxed) &&
           !link->stream;
}

/* Is it to be read right after that?  What a stream has may not show at its
 * descriptor; of all others the set tells if there is something.  As long as
 * there is not, a connection needs no memory to read into. */
static inline bool weir_link_may_hide_input(const struct weir_link *link)
{
    return link->stream != NULL;
}

/* Begin in the messages shape; `turn` is what others post from now on.
 * Reactor thread, driver word held, as is the socket's lock. */
void weir_link_start_messages(struct weir_link *link,
                              struct weir_messages *messages,
                              struct weir_task *turn);

/* Give the connection up; the reactor takes it apart soon.  Driver only. */
void weir_link_fail(struct weir_link *link, int code);

/* The same from a thread that is not the driver, or is in a call of the
 * pattern's while it drives.  Socket's lock held. */
void weir_link_condemn(struct weir_link *link, int code);

/* Close descriptor or plugin object, cut the half-written message, forget
 * the half-read one; count what that costs the pipe, and fill in *how, but
 * for the reason.  The link is live; driver word and socket's lock held. */
void weir_link_end(struct weir_link *link, struct weir_parting *how);

/* Would closing it now take back what the peer's system has not acknowledged?
 * A TCP that is left with unread octets sends a reset.  Socket's lock held. */
bool weir_link_at_risk(const struct weir_link *link);

/* Address of the peer, for sentences; never NULL.  Driver only. */
const char *weir_link_peer(const struct weir_link *link);

/* The sentence for an error of a connection: the stream's own (NULL: it is no
 * stream), or the system's.  Returns -code. */
int weir_link_error(const weir_stream_ops *stream, void *self, int code,
                    const char *doing, const char *peer);

/* The pipe a link is part of. */
struct weir_pipe *weir_link_pipe(struct weir_link *link);

/* link_heartbeat.c: start and stop; on the reactor. */
void weir_heartbeat_start(struct weir_link *link);
void weir_heartbeat_stop(struct weir_link *link);
void weir_heartbeat_rearm(struct weir_task *task);
/* A PING came, whose octets are before `end`; a PONG is put among what goes
 * out.  Driver only. */
int weir_heartbeat_ping(struct weir_link *link, int64_t ttl, const uint8_t *end,
                        const void *context, size_t size);
/* All that was read up to `end` has been looked at: a TTL holds if nothing
 * came behind its PING.  Driver only. */
void weir_heartbeat_read(struct weir_link *link, const uint8_t *end);

/* Put octets (whole frames) among what goes out between messages.
 * Driver only.  -ENOMEM. */
int weir_link_control(struct weir_link *link, const void *data, size_t size);

#endif
