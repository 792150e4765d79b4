/*
 * endpoint.h - one bind or connect: makes connections, and re-makes them.
 *
 * The plugin's side of it is driven by the reactor alone (on inproc: by the
 * calls of the application).  Its place in the socket belongs to the socket's
 * lock.
 * Above: socket.h.  Below: the transport plugin, handshake.h, pipe.h.
 */
#ifndef WEIR_ENDPOINT_H
#define WEIR_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/store.h>
#include <weir/transport.h>
#include <weir/weir.h>

#include "base/list.h"
#include "options.h"
#include "reactor.h"
#include "value.h"

struct weir_sock;
struct weir_pipe;
struct weir_spill;

/* As many descriptors of an endpoint are accepted on without memory for each:
 * it bound before there was a turn to ask for some. */
enum { WEIR_EP_LISTENERS = 8 };

struct weir_listener { /* one descriptor that the host accepts on */
    struct weir_watch watch;
    struct weir_ep *ep;
    struct weir_listener *next;
    bool watched; /* false: the poller had no room */
    bool own;     /* memory of its own */
};

/* What the swaps of an endpoint's pipes are made with; all zero: it has
 * none. */
struct weir_swap {
    const weir_store_ops *store;
    char *dir;
    struct weir_spill *opened; /* durable, until a connect's pipe has it */
};

struct weir_ep {
    struct weir_sock *sock;
    struct weir_list in_sock;   /* sock->eps; the socket's lock */
    uint32_t index, generation; /* of the handle */
    bool binder;
    bool splices;
    const weir_transport_ops *ops;
    void *self; /* the plugin's */
    struct weir_options options;
    struct weir_swap swap;
    struct weir_values values; /* the transport's own options */
    const weir_option *rows;
    uint32_t n_rows;
    char *url; /* as it can be connected to */

    /* the reactor's */
    bool gave_up; /* permanent failure: no more attempts */
    struct weir_listener *listeners, first_listeners[WEIR_EP_LISTENERS];
    bool paused; /* accepting waits for descriptors or for handshakes */
    struct weir_timer retry;
    int64_t retry_ms;      /* the next pause */
    bool refused_for_good; /* by the last failure: the pause is long */
    struct weir_list handshakes;
    uint32_t n_handshakes;
    struct weir_timer resume; /* of accepting */
    struct weir_task attach, close, failed, hurry;

    /* splices: a thread is in the plugin's attach(), so no other of its
     * functions is called; the socket's lock */
    bool opening;
    bool again;    /* retry() is due when that is over, */
    bool unwanted; /* or close() */
    bool ending;   /* `close` was posted */

    /* the socket's lock */
    struct weir_list pipes; /* pipe->of_ep; they need this memory */
    struct weir_pipe *pipe; /* a connect's one */

    /* closing */
    _Atomic bool closing;
    bool shut;                  /* the reactor's: makes no more connections */
    bool finished;              /* the plugin is through with it */
    uint32_t waiters;           /* calls that need this memory */
    _Atomic uint32_t done_word; /* moves when it is finished */

    /* counters; the socket's lock */
    struct weir_stats gone; /* of pipes that are gone, and of itself */
};

/* Understand the URL, load the transport, bind or dial, and have it attached.
 * The socket is not locked.  *out may be NULL. */
int weir_ep_open(weir_socket sock, const char *url, bool binder,
                 weir_endpoint *out);

/* Close it: flush up to `deadline` (absolute ns, or WEIR_LINGER), and wait
 * until the reactor has ended it.  Errors: -EAGAIN, *unsent says how many; or
 * its plugin is still in attach(), and it ends when that is over. */
int weir_ep_close(weir_endpoint handle, int64_t deadline, uint64_t *unsent);

/* Is a thread in the plugin's attach()?  Nothing of it can be ended then.
 * The socket is not locked. */
bool weir_ep_opening(struct weir_ep *ep);

/* Make no more connections.  Reactor. */
void weir_ep_shut(struct weir_ep *ep);

/* End it and its connections; with `all` unread messages go too.  Reactor.
 * False: something is under way, try again soon.  True: it is closed, and
 * freed with its last pipe. */
bool weir_ep_finish(struct weir_ep *ep, bool all);

/* Give a dialer the pipe that takes messages before there is a connection,
 * where the pattern and the options want one.  Lock held.  -ENOMEM, or the
 * pattern refuses. */
int weir_ep_give_pipe(struct weir_ep *ep);

/* One of its pipes is gone.  Lock held. */
void weir_ep_forget_pipe(struct weir_ep *ep);

/* Handle to endpoint with its socket locked; -EBADF and so on. */
int weir_ep_get(weir_endpoint handle, struct weir_ep **out);

/* Count a newcomer that came to nothing, or a peer that made no sense, and
 * remember why.  Socket's lock held. */
void weir_ep_count_refused(struct weir_ep *ep, int code, const char *reason);

/* A plugin's connection cannot be taken: say so, with the sentence of the last
 * failure, and have a dialer try again.  Returns -code.  Reactor. */
int weir_ep_not_made(struct weir_ep *ep, const weir_peer *peer, int code);

/* A connection of a dialer is gone: try again after the pause, or later when
 * that went wrong for good.  Reactor. */
void weir_ep_again(struct weir_ep *ep, bool permanent, int code,
                   const char *reason);

/* Somebody waits until then for what is to leave by this endpoint.  If that
 * waits for a connection, a long pause before the next attempt becomes a short
 * one, unless the peer has refused us for good.  Those that follow, while
 * somebody flushes, are short anyway.  Lock held. */
void weir_ep_hurry(struct weir_ep *ep, int64_t deadline);

/* Report an event of this endpoint, with its URL filled in.  Any thread. */
void weir_ep_event(struct weir_ep *ep, uint32_t kind, const char *peer,
                   uint64_t peer_id, uint64_t value, int code,
                   const char *reason);

/* A handshake has ended; accepting may go on.  Reactor. */
void weir_ep_less_handshakes(struct weir_ep *ep);

/* Find the store and the folder that the options say, if they say that there
 * is a swap, and see whether they can be used.  The durable queue of a connect
 * is opened.
 * Thread: one that may wait for the disk; no lock is held.
 * Errors: -WEIR_EPLUGIN there is no such store; -WEIR_EINCOMPATIBLE it has not
 * that mode, or the options do not go together; what the store says of the
 * folder, -EBUSY above all; -ENOMEM. */
int weir_swap_init(struct weir_ep *ep);
void weir_swap_fini(struct weir_swap *swap);

static inline const struct weir_options *
weir_ep_options(const struct weir_ep *ep)
{
    return &ep->options;
}

/* host.c: the tables that plugins get. */
extern const weir_host weir_the_host;
extern const weir_transport_host weir_the_transport_host;

/* endpoint.c: what stands behind weir_the_transport_host. */
int weir_ep_made_socket(weir_ep *ep, int fd, const weir_peer *peer);
int weir_ep_made_stream(weir_ep *ep, int fd, const weir_stream_ops *ops,
                        void *self, const weir_peer *peer);
void weir_ep_failed(weir_ep *ep, int permanent, const weir_error *error);
void weir_ep_refused(weir_ep *ep, const weir_peer *peer,
                     const weir_error *error);
int weir_ep_listener(weir_ep *ep, int fd);
uint64_t weir_ep_scope(const weir_ep *ep);

/* link_messages.c: links in the messages shape. */
int weir_messages_made_link(weir_ep *ep, const weir_link_ops *ops, void *self,
                            const weir_peer *peer);
int weir_messages_peek(weir_link *link, weir_view *out, int max);
void weir_messages_done(weir_link *link, int n);
int weir_messages_push(weir_link *link, uint64_t source, weir_view *views,
                       int n);
void weir_messages_gap(weir_link *link, uint64_t source, uint64_t units);
void weir_messages_down(weir_link *link, const weir_error *error);
uint32_t weir_messages_direction(const weir_ep *ep);

#endif
