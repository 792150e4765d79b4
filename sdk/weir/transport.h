/*
 * transport.h - plugin ABI 1: transports.
 *
 * A transport makes connections; each ends in one of four shapes, so that
 * none pays for another:
 *   descriptor  the plugin dials or listens and hands over a descriptor; the
 *               host does all input and output (tcp, ipc)
 *   stream      octets that the host may not read from the descriptor
 *               itself: one readv or writev per batch (tls, ws)
 *   messages    the plugin frames (multicast, shared memory, udp)
 *   splice      the plugin is a table of names; the host joins the two
 *               queues (inproc)
 *
 * Life of an endpoint: bind() or dial(), then attach(), then turns, then
 * close().  retry(), cancel() and pause() come in between.  The host may
 * call close() at any time outside a turn of that object, also when attach()
 * failed or was never called.
 *
 * Turns of an endpoint and of its links in the messages shape never overlap;
 * a connection in the stream shape is an object of its own and may have a
 * turn at the same time.  An endpoint is closed after its links and streams.
 *
 * Every attempt of a dialer (attach() and each retry()) ends in exactly one
 * made_*() or failed(), at once or in a later turn; after cancel() in
 * neither.  retry() comes after the connection made before is closed.
 */
#ifndef WEIR_TRANSPORT_H
#define WEIR_TRANSPORT_H

#include <sys/socket.h>

#include <weir/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host's end of a connection in the messages shape. */
typedef struct weir_link weir_link;

/* How the other side is known.  Borrowed for the call. */
typedef struct weir_peer {
    uint32_t size, flags;            /* WEIR_PEER_* */
    const char *local, *remote;      /* addresses as text, may be NULL */
    const weir_property *properties; /* an ipc peer's credentials, ...; names
                                        of 1 to 255 of A-Z a-z 0-9 - _ . + */
    uint32_t n_properties, reserved;
} weir_peer;
enum {
    WEIR_PEER_NO_HANDSHAKE = 1, /* messages shape: no ZMTP handshake; so far
                                   there is no other way */
    WEIR_PEER_SEND_ONLY = 2, /* a publisher sends all: nobody can subscribe */
    WEIR_PEER_RECV_ONLY = 4  /* what is sent is dropped; who sends too much is
                                not disconnected, since others may hear it */
};

typedef struct weir_stream_ops {
    uint32_t size, reserved;
    /* [io] Octets taken; -EAGAIN: the same octets are offered again later,
     * perhaps at other addresses, perhaps more of them.  It may read from
     * the descriptor: where there is interest(), readv() follows. */
    ssize_t (*writev)(void *self, const struct iovec *parts, int n);
    /* [io] Octets given, 0 at the end; called until -EAGAIN, or until the
     * host pauses; it then goes on with a call, not with a watch. */
    ssize_t (*readv)(void *self, const struct iovec *parts, int n);
    /* [io] From what the host wants (WEIR_WATCH_*) to what to watch the
     * descriptor for: tls may have to read in order to write.  Asked after
     * writev(), and when readv() gave -EAGAIN.  Whatever is reported then,
     * writev() is called if there is something to write, then readv().
     * OUT only where one of them gets on as soon as there is room: it is
     * reported again after each readv() that gave -EAGAIN.
     * NULL: what the host wants. */
    unsigned (*interest)(void *self, unsigned wanted);
    /* [io] The sentence behind the last error.  Returns its -code.
     * NULL: the system's words for it do. */
    int (*explain)(void *self, weir_error *error);
    /* [io] Frees self and its descriptor. */
    void (*close)(void *self);
} weir_stream_ops;

typedef struct weir_link_ops {
    uint32_t size, reserved;
    /* [io] The connection is the host's now; watches and timers start.
     * Called before made_link() returns. */
    int (*attach)(void *self, weir_link *link, weir_reactor *reactor,
                  weir_error *error);
    /* [io] The queue has something: drain it through queue_peek.  Called
     * again when there is more, also while the plugin could not send. */
    void (*send_ready)(void *self);
    /* [io] There is room again after a push() that took less than offered. */
    void (*recv_resume)(void *self);
    /* [io] No host call about this link after it. */
    void (*close)(void *self);
} weir_link_ops;

/* Beside weir_host, for transports. */
typedef struct weir_transport_host {
    uint32_t size, reserved;

    /* [io] A connection was made; one of these per connection.  From the
     * call on the host owns fd and self, whatever it returns.  fd must be
     * non-blocking and close-on-exec.  -ENOMEM, -ECANCELED (closing),
     * -WEIR_EPLUGIN (a function that has to be there is not in ops). */
    int (*made_socket)(weir_ep *ep, int fd, const weir_peer *peer);
    int (*made_stream)(weir_ep *ep, int fd, const weir_stream_ops *ops,
                       void *self, const weir_peer *peer);
    int (*made_link)(weir_ep *ep, const weir_link_ops *ops, void *self,
                     const weir_peer *peer);

    /* [io] A newcomer came to nothing: a descriptor from accepted() (closed
     * by the plugin), or one of the plugin's own.  The host counts it. */
    void (*refused)(weir_ep *ep, const weir_peer *peer,
                    const weir_error *error);

    /* [ctl] Join a dialing and a binding endpoint of one context.  The host
     * holds no lock when it calls a splice transport, so this may be called
     * under the plugin's own lock.  When the binder goes, the host calls the
     * dialer's retry().  Fails
     * with -ECANCELED if either is closing; -WEIR_EINCOMPATIBLE. */
    int (*splice)(weir_ep *dialer, weir_ep *binder);

    /* [io] Dialer: the attempt failed.  The host backs off and calls
     * retry(), or stops if `permanent`.  Binder: listening failed for good. */
    void (*failed)(weir_ep *ep, int permanent, const weir_error *error);

    /* [io] Binder, in attach(): the host accepts on this descriptor (which
     * stays the plugin's; several are fine), pauses while descriptors are
     * short, caps the half-open, and calls accepted() for each.  -ENOMEM,
     * -EINVAL there is no accepted(). */
    int (*listener)(weir_ep *ep, int fd);

    /* [any] Which context: names of inproc belong to one.  Unique in the
     * process, also among copies of the host. */
    uint64_t (*scope)(const weir_ep *ep);

    /* messages shape. [io]
     * Views of what waits to be sent, oldest first, the host still owns
     * them, and they stay until queue_done(), also across turns.  Returns
     * how many; whole messages unless `max` is too small for one, and then
     * its first part. */
    int (*queue_peek)(weir_link *link, weir_view *out, int max);
    /* The first n views (of the last peek) are sent, or lost. */
    void (*queue_done)(weir_link *link, int n);
    /* Received views (owned ones are moved, borrowed ones copied); parts of a
     * message from one source stay together and the last has no MORE.  Returns
     * how many were taken (moved); fewer than n: stop until recv_resume(). */
    int (*push)(weir_link *link, uint64_t source, weir_view *views, int n);
    /* `units` messages of this source, or packets where only those can be
     * counted, are lost for good: its partial message is dropped, an event
     * says so. */
    void (*gap)(weir_link *link, uint64_t source, uint64_t units);
    /* The connection is over; close() follows later, never nested. */
    void (*down)(weir_link *link, const weir_error *error);

    /* [any] Which way messages go where there is one way only: the flag
     * WEIR_PEER_SEND_ONLY for a socket that publishes, WEIR_PEER_RECV_ONLY
     * for one that subscribes, 0 for others. */
    uint32_t (*direction)(const weir_ep *ep);
} weir_transport_host;

typedef struct weir_transport_ops {
    uint32_t size, abilities; /* WEIR_CAN_* */
    const char *schemes;      /* "tcp", "pgm epgm" */
    const weir_option *options;
    uint32_t n_options, reserved;
    uint64_t max_message; /* octets, 0 = no bound of its own */

    /* [ctl] Take an address.  Bound on return, so -EADDRINUSE is reported by
     * the call, but nothing is accepted yet.  `address` is what follows
     * scheme://, with the host's ?options taken off, otherwise as the
     * application wrote it.  `actual` gets the address that a peer would
     * connect to (room octets with the NUL). */
    int (*bind)(const weir_host *host, const weir_transport_host *more,
                weir_ep *ep, const char *scheme, const char *address,
                char *actual, size_t room, void **self, weir_error *error);

    /* [ctl] Understand an address; no input or output yet. */
    int (*dial)(const weir_host *host, const weir_transport_host *more,
                weir_ep *ep, const char *scheme, const char *address,
                void **self, weir_error *error);

    /* [io] ([ctl] with WEIR_CAN_SPLICE) Start accepting, or start the first
     * attempt. */
    int (*attach)(void *self, weir_reactor *reactor, weir_error *error);

    /* [io] ([ctl] with WEIR_CAN_SPLICE) Dialer: one more attempt.  A splice
     * dialer that has to wait for its binder just waits. */
    void (*retry)(void *self);

    /* [io] Dialer: give up the attempt under way, if any. */
    void (*cancel)(void *self);

    /* [io] Binder: the host accepted a descriptor (non-blocking,
     * close-on-exec).  Prepare it and pass it on through made_socket() or
     * made_stream(), or refused(); it is the plugin's until then. */
    void (*accepted)(void *self, int fd, const struct sockaddr *from,
                     socklen_t len);

    /* [io] Binder without listener(): stop (1) or resume (0) taking
     * newcomers.  NULL: newcomers cost nothing. */
    void (*pause)(void *self, int on);

    /* [io] ([ctl] with WEIR_CAN_SPLICE, or if never attached) Ends all,
     * frees self. */
    void (*close)(void *self);
} weir_transport_ops;
enum {
    WEIR_CAN_BIND = 1,
    WEIR_CAN_DIAL = 2,
    WEIR_CAN_MULTICAST = 4, /* PUB, SUB, XPUB, XSUB only */
    WEIR_CAN_SPLICE = 8
};

#ifdef __cplusplus
}
#endif
#endif
