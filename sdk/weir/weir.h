/*
 * weir.h - message sockets for applications.
 *
 * A socket speaks one pattern (PUSH, SUB, REQ, ...) to any number of peers,
 * over any number of endpoints.  A message is a row of frames; it is sent and
 * received whole, in one call.
 *
 * Handles are values.  A handle that was closed, or never opened, gives
 * -EBADF; it never crashes.
 *
 * Threads: every function may be called from any thread at any time, on any
 * handle, unless its comment says otherwise.  A frame or a message belongs
 * to one thread at a time, like any other variable.  A thread must not be
 * cancelled (pthread_cancel) inside a call: what it holds would stay held.
 *
 * Structs that start with `size` grow at their end only.  The caller sets
 * size to sizeof; the library writes no more than that and zeroes what it
 * does not know; less than version 1's size is -EINVAL.  Texts are cut to
 * their room, always with a NUL.  Enumerations only gain members.
 *
 * Returns: 0 or more, or a negative errno value (or one of WEIR_E* below,
 * negated).  Outputs are written on success only.  After an error
 * weir_last_error() has a sentence that names what was at fault.  Errors
 * that every call on a handle can give are not repeated below:
 *   -EBADF          the handle is closed or was never open
 *   -ENOMEM         no memory
 *   -WEIR_ECLOSING  the socket or its context is being closed
 *   -WEIR_EFORK     the handle belongs to the parent of this process
 *
 * Deadlines are relative, in milliseconds: WEIR_NOWAIT, WEIR_FOREVER or a
 * number; other negative numbers are -EINVAL.  When one passes the call gives
 * -EAGAIN and has done nothing; weir_last_error() is then as it was before.
 * Time is measured on the monotonic clock; signals do not cut it short.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>
#include <weir/option.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/* All zero is no handle, so `weir_socket s = {0}` is safe to close. */
typedef struct weir_context {
    uint32_t index, generation;
} weir_context;
typedef struct weir_socket {
    uint32_t index, generation;
} weir_socket;
typedef struct weir_endpoint {
    uint32_t index, generation;
} weir_endpoint;
typedef struct weir_device {
    uint32_t index, generation;
} weir_device;

#define WEIR_NOWAIT  0
#define WEIR_FOREVER (-1)

/* Version of the library that runs, "1.0.0"; never fails. */
WEIR_API const char *weir_version(void);

/* A short text for any code that a call gave (its sign does not matter).
 * Never NULL.  Borrowed: that for a code of the system is valid until this
 * thread's next call of it. */
WEIR_API const char *weir_strerror(int code);

/* The calling thread's sentence about its last failed call; "" when none has
 * failed.  Borrowed: valid until this thread's next call that fails. */
WEIR_API const char *weir_last_error(void);

/* ------------------------------------------------------------- context --
 * Owner of sockets and I/O threads.  inproc names are per context. */

/* Open a context with `io_threads` threads (0 to 64; 1 is right for nearly
 * everybody).  With 0, progress is made only inside calls on its sockets.
 * Threads start with the first socket.
 * Errors: -EINVAL io_threads; -EMFILE. */
WEIR_API int weir_context_open(weir_context *out, int io_threads);

/* Close a context.  Waits up to `deadline` for its sockets to be closed by
 * their owners and for closing sockets to flush.  Calls that wait on its
 * sockets return -WEIR_ECLOSING at once, as soon as this call begins.
 * Errors: -EBUSY sockets are still open at the deadline; the sentence names
 * them (type and endpoint); the context stays usable for closing them, and
 * this call can be repeated. */
WEIR_API int weir_context_close(weir_context context, int deadline);

/* Set a context's option by name; value as text.  Names: "thread-name"
 * (prefix of I/O thread names, up to 11 octets), "affinity" (CPU list such
 * as "0,2-3" for I/O threads), "max-sockets", "stats" (where others may look
 * at its counters and events, a URL or a name; see weir_stats_endpoint(7); ""
 * nowhere).  thread-name and affinity before the first socket is opened.
 * Errors: -ENOENT no such option; -EINVAL value; -EBUSY too late, or "stats"
 * is being set by another thread too; for "stats" what weir_bind gives. */
WEIR_API int weir_context_set(weir_context context, const char *option,
                              const char *value);

/* Read a context's option as text.  *size is the room on entry and the length
 * on return.  "stats" reads as the URL that was bound.
 * Errors: -ENOENT no such option; -ERANGE no room (*size then says how
 * much). */
WEIR_API int weir_context_get(weir_context context, const char *option,
                              char *text, size_t *size);

/* -------------------------------------------------------------- frames --
 * 64 octets by value; a payload of up to 40 octets is inline, a longer one
 * is counted memory.  Never copy a frame by assignment; use
 * weir_frame_move or weir_frame_share.  Frames need no context.
 * Functions that make a frame overwrite `frame`, they do not release what
 * was in it.  A release function may run inside any call on a frame, message
 * or socket: it must neither call weir nor block. */

typedef struct weir_frame {
    uint64_t opaque[8];
} weir_frame;

/* Make an empty frame, as one that is all zero is.  Needs no fini until
 * something is put into it. */
WEIR_API void weir_frame_init(weir_frame *frame);

/* Make a frame with `size` writable octets of uninitialised payload.
 * Errors: -ENOMEM (the frame is then empty). */
WEIR_API int weir_frame_alloc(weir_frame *frame, size_t size);

/* Make a frame with a copy of `size` octets.
 * Errors: -EINVAL data is NULL, and size is not 0; -ENOMEM.  The frame is then
 * empty. */
WEIR_API int weir_frame_copy_in(weir_frame *frame, const void *data,
                                size_t size);

/* Make a frame around the caller's memory, which must stay as it is until
 * release(data, hint) is called: once, from any thread, when the last
 * reference is gone.  release may be NULL for constant memory.
 * Errors: -EINVAL data is NULL, and size is not 0; -ENOMEM.  release is then
 * not called, and the memory stays the caller's. */
WEIR_API int weir_frame_wrap(weir_frame *frame, void *data, size_t size,
                             void (*release)(void *data, void *hint),
                             void *hint);

/* Make `copy` a second reference to the payload of `frame`.  The payload is
 * shared: neither side may write to it from now on.  Never fails. */
WEIR_API void weir_frame_share(weir_frame *copy, const weir_frame *frame);

/* Move: `to` is what `from` was, `from` is empty.  `to` is not released
 * first. */
WEIR_API void weir_frame_move(weir_frame *to, weir_frame *from);

/* Release a frame; it is empty afterwards. */
WEIR_API void weir_frame_fini(weir_frame *frame);

/* Payload and its size in octets.  Borrowed: valid until the frame is moved,
 * sent or released.  A received payload may be shared with others: write
 * only to what weir_frame_alloc made. */
WEIR_API void *weir_frame_data(weir_frame *frame);
WEIR_API size_t weir_frame_size(const weir_frame *frame);

/* A property of the peer that a received frame came from: "Socket-Type",
 * "Identity", "Peer-Address", "X-...".  Names compare without case.
 * Borrowed from the frame; *size gets the octets of the value.
 * Returns NULL when there is no such property. */
WEIR_API const void *weir_frame_property(const weir_frame *frame,
                                         const char *name, size_t *size);

/* ------------------------------------------------------------ messages --
 * A row of frames.  Only the second and later frames need an allocation. */

typedef struct weir_message {
    weir_frame first;
    weir_frame *rest;
    uint32_t count, room;
} weir_message;

/* Make an empty message (no frames), as one that is all zero is.  A message
 * must be initialised before any other use, receiving into it included. */
WEIR_API void weir_message_init(weir_message *message);

/* Release all frames; the message is empty and can be used again. */
WEIR_API void weir_message_fini(weir_message *message);

/* Put a frame at the end.  The frame is moved on success and untouched on
 * error.  Errors: -ENOMEM; -E2BIG beyond 2^20 frames. */
WEIR_API int weir_message_push(weir_message *message, weir_frame *frame);

/* Put a copy of `size` octets at the end as a frame.
 * Errors: as above; -EINVAL data is NULL, and size is not 0. */
WEIR_API int weir_message_add(weir_message *message, const void *data,
                              size_t size);

/* The number of frames; frame `index` (borrowed until the next push, add or
 * pop; NULL beyond the end). */
WEIR_API uint32_t weir_message_count(const weir_message *message);
WEIR_API weir_frame *weir_message_frame(weir_message *message, uint32_t index);

/* Take the first frame off into `out`, which is overwritten, not released.
 * Errors: -ENOENT the message is empty. */
WEIR_API int weir_message_pop(weir_message *message, weir_frame *out);

/* Move all frames; `to` is not released first. */
WEIR_API void weir_message_move(weir_message *to, weir_message *from);

/* Make `copy` share all payloads of `message`; `copy` is not released first.
 * Errors: -ENOMEM (copy is then empty). */
WEIR_API int weir_message_share(weir_message *copy,
                                const weir_message *message);

/* ------------------------------------------------------------- sockets -- */

enum weir_type { /* the numbers are those of other ZMTP libraries */
                 WEIR_PAIR = 0,
                 WEIR_PUB = 1,
                 WEIR_SUB = 2,
                 WEIR_REQ = 3,
                 WEIR_REP = 4,
                 WEIR_DEALER = 5,
                 WEIR_ROUTER = 6,
                 WEIR_PULL = 7,
                 WEIR_PUSH = 8,
                 WEIR_XPUB = 9,
                 WEIR_XSUB = 10,
                 WEIR_XREQ = WEIR_DEALER,
                 WEIR_XREP = WEIR_ROUTER
};

/* Open a socket of an enum weir_type.  Errors: -EINVAL type; -EMFILE
 * max-sockets or descriptors. */
WEIR_API int weir_open(weir_socket *out, weir_context context, int type);

/* The same by the pattern's name: "PUSH", "ROUTER", "XREP" (upper case).
 * Errors: -ENOENT no such pattern. */
WEIR_API int weir_open_named(weir_socket *out, weir_context context,
                             const char *pattern);

/* Close a socket and its endpoints.  Waits up to `deadline` (WEIR_LINGER:
 * the socket's "linger" option) until what was accepted has gone to the
 * kernel (inproc: to the peer's queue).  *unsent (may be NULL) gets how many
 * messages were given up.  The handle is dead when this returns, whatever it
 * returns; other threads' calls on it end with -WEIR_ECLOSING or -EBADF.
 * Errors: -EAGAIN messages went unsent: *unsent is written in this case too;
 * or a transport takes long over a bind or connect of another thread: the
 * connections are closed, and the rest ends with that call. */
#define WEIR_LINGER (-2)
WEIR_API int weir_close(weir_socket socket, int deadline, uint64_t *unsent);

/* ----------------------------------------------------------- endpoints --
 * URL: scheme://address[?option=value[&option=value...]].  Options after the
 * last '?' hold for this endpoint alone; they are split off only when every
 * name is a known one (the socket's or the transport's).  Order does not
 * matter: connect may come before the peer's bind, on every transport. */

/* Bind: listen at an address.  Bound when this returns.  *out may be NULL.
 * Errors: -EINVAL URL or option; -WEIR_EPLUGIN no plugin for the scheme;
 * -EADDRINUSE; -WEIR_EINCOMPATIBLE; -ENODEV; what the system says. */
WEIR_API int weir_bind(weir_socket socket, const char *url, weir_endpoint *out);

/* Connect: keep a connection to an address, made and re-made in the
 * background.  Returns as soon as the URL was understood.  *out may be NULL.
 * Errors: -EINVAL URL or option; -WEIR_EPLUGIN; -WEIR_EINCOMPATIBLE. */
WEIR_API int weir_connect(weir_socket socket, const char *url,
                          weir_endpoint *out);

/* The endpoint's URL, with the port or path that was chosen for a wildcard,
 * as a string a peer can connect to.  `size` is the room in octets.
 * Returns the length without the final NUL.  Errors: -ERANGE no room. */
WEIR_API int weir_endpoint_url(weir_endpoint endpoint, char *buffer,
                               size_t size);

/* Undo a bind or a connect.  A bind stops accepting and its connections
 * close; a connect's connection closes.  What waits to be sent there is
 * flushed up to `deadline` (or WEIR_LINGER), then dropped and counted;
 * *unsent (may be NULL) gets how many.  May be called as soon as an event has
 * told of the endpoint.  Errors: -EAGAIN as weir_close. */
WEIR_API int weir_endpoint_close(weir_endpoint endpoint, int deadline,
                                 uint64_t *unsent);

/* ------------------------------------------------------------- options --
 * All options are in weir_options(7).  Most take effect for endpoints made
 * afterwards. */

/* Set an option from text: "send-mark", "1000"; "heartbeat", "2500ms".
 * Errors: -ENOENT no such option; -EINVAL not a value of its type; -ERANGE
 * outside its range; -WEIR_EINCOMPATIBLE this socket type has no such
 * option; the sentence names option, value and rule. */
WEIR_API int weir_set(weir_socket socket, const char *option,
                      const char *value);
WEIR_API int weir_set_int(weir_socket socket, const char *option,
                          int64_t value);
WEIR_API int weir_set_bytes(weir_socket socket, const char *option,
                            const void *value, size_t size);

/* Read an option, as text, as a number or as octets.  *size is the room on
 * entry and the size on return. Errors: as for setting; -ERANGE no room (*size
 * then says how much). */
WEIR_API int weir_get(weir_socket socket, const char *option, char *text,
                      size_t *size);
WEIR_API int weir_get_int(weir_socket socket, const char *option,
                          int64_t *value);
WEIR_API int weir_get_bytes(weir_socket socket, const char *option, void *value,
                            size_t *size);

/* A row of the option table.  All strings are constant. */
typedef struct weir_option_info {
    uint32_t size; /* sizeof, set by the caller */
    uint32_t type; /* enum weir_option_type */
    const char *name, *unit, *doc;
    const char *choices; /* "block drop-new drop-old latest", or NULL */
    int64_t min, max, fallback;
    const char *fallback_text;
    uint32_t sockets; /* bit 1 << WEIR_PUSH set: PUSH has it */
    uint32_t flags;   /* WEIR_OPTION_* bits */
} weir_option_info;
/* Row `index` (from 0) of the table of `owner`: NULL for sockets, a plugin's
 * name ("transport_tcp") for what that plugin adds.
 * Errors: -ENOENT beyond the end, or no such plugin. */
WEIR_API int weir_option_at(const char *owner, int index,
                            weir_option_info *out);

/* ------------------------------------------------ sending and receiving -- */

/* Send one frame, copied.  Waits up to `deadline` where the pattern's rule
 * at the mark is to block (see weir_socket(7)).  The message is accepted
 * when this returns 0: delivered, or counted as dropped with a reason.
 * Errors: -EAGAIN; -WEIR_ESTATE; -EHOSTUNREACH (ROUTER with "mandatory");
 * -EMSGSIZE beyond what the transport can carry; -EOPNOTSUPP the type does
 * not send. */
WEIR_API int weir_send(weir_socket socket, const void *data, size_t size,
                       int deadline);

/* Receive a message of one frame into `data`; *size is the room on entry and
 * the frame's size on return.
 * Errors: -EAGAIN; -WEIR_ESTATE; -EOPNOTSUPP; -EMSGSIZE the message has more
 * than one frame, or no room: it stays first in line, *size has the size of
 * its first frame; -ENOMEM the message is dropped, and counted. */
WEIR_API int weir_recv(weir_socket socket, void *data, size_t *size,
                       int deadline);

/* Send a message.  Taken on success (it is empty then), untouched on error.
 * A message of no frames is -EINVAL.  Errors: as weir_send. */
WEIR_API int weir_send_message(weir_socket socket, weir_message *message,
                               int deadline);

/* Receive a message.  `message` is released first, then filled.
 * Errors: as weir_recv, without -EMSGSIZE. */
WEIR_API int weir_recv_message(weir_socket socket, weir_message *message,
                               int deadline);

/* Send `n` messages, one after the other, with one deadline for the whole
 * call.  Returns how many were taken; those behind are untouched.
 * Errors: as weir_send when none was taken. */
WEIR_API int weir_send_many(weir_socket socket, weir_message *messages, int n,
                            int deadline);

/* Receive up to `n` messages: waits for the first, then takes what is there.
 * Returns how many.  Errors: as weir_recv_message. */
WEIR_API int weir_recv_many(weir_socket socket, weir_message *messages, int n,
                            int deadline);

/* Wait until all that was accepted is with the kernel (inproc: in the peer's
 * queue).  Errors: -EAGAIN. */
WEIR_API int weir_flush(weir_socket socket, int deadline);

/* SUB: receive messages whose first frame begins with `prefix` (0 octets:
 * all).  Counted: two subscribes need two unsubscribes.
 * Errors: -EOPNOTSUPP not a SUB; -ENOENT unsubscribing what is not there. */
WEIR_API int weir_subscribe(weir_socket socket, const void *prefix,
                            size_t size);
WEIR_API int weir_unsubscribe(weir_socket socket, const void *prefix,
                              size_t size);

/* ------------------------------------------------------------- waiting -- */

enum { WEIR_POLL_IN = 1, WEIR_POLL_OUT = 2, WEIR_POLL_ERROR = 4 };

typedef struct weir_poll_item {
    weir_socket socket; /* all zero: watch `fd` instead */
    int fd;             /* below 0: the item is ignored */
    short events;       /* WEIR_POLL_IN, WEIR_POLL_OUT */
    short ready; /* out; WEIR_POLL_ERROR: a closed handle or descriptor */
} weir_poll_item;

/* Wait until an item is ready.  Returns how many are, 0 at the deadline
 * (not -EAGAIN).  Errors: -EINVAL n or an item's events; -EMFILE. */
WEIR_API int weir_poll(weir_poll_item *items, int n, int deadline);

/* Descriptors for a foreign event loop.  Level-triggered: readable as long
 * as a receive (or a send, respectively) would not wait; weir_poll(3) says
 * what that is where it depends on the message.  Both are watched for
 * readability.  They belong to the socket: never read, write or close
 * them.  Asking for one makes the I/O thread drive this socket at once; in a
 * context without I/O threads, readable means "call in".  They also become
 * readable when the socket or its context is being closed; take them out of
 * the loop before weir_close.
 * Returns the descriptor.  Errors: -EMFILE; -EOPNOTSUPP the type does not
 * receive (send), or there are no I/O threads and the library was built for
 * poll(2) alone. */
WEIR_API int weir_readable_fd(weir_socket socket);
WEIR_API int weir_writable_fd(weir_socket socket);

/* Wait until `n` peers are connected and ready.  PUB and XPUB count peers
 * with at least one subscription.  Returns how many there are.
 * Errors: -EAGAIN. */
WEIR_API int weir_wait_peers(weir_socket socket, int n, int deadline);

/* Wait until all that the socket's durable swaps have accepted so far is on
 * disk.
 * Errors: -EAGAIN; what the store says, such as -ENOSPC or -EIO;
 * -WEIR_EINCOMPATIBLE the socket has no endpoint with a durable swap. */
WEIR_API int weir_sync(weir_socket socket, int deadline);

/* -------------------------------------------------------------- seeing -- */

enum weir_event_kind {
    WEIR_EVENT_LISTENING = 1,     /* bound */
    WEIR_EVENT_CONNECTED = 2,     /* a peer is ready: its handshake is done */
    WEIR_EVENT_DISCONNECTED = 3,  /* a ready peer is gone; `value` messages
                                     are unconfirmed at most; code 0: it was
                                     this side that closed */
    WEIR_EVENT_RETRY = 4,         /* an attempt failed; next in `value` ms, or
                                     sooner while somebody flushes */
    WEIR_EVENT_REFUSED = 5,       /* a handshake failed, or the octets made
                                     no sense */
    WEIR_EVENT_ACCEPT_FAILED = 6, /* no descriptor or memory for newcomers */
    WEIR_EVENT_PEER_STALLED = 7,  /* alive, but does not answer heartbeats */
    WEIR_EVENT_PEER_RESUMED = 8,
    WEIR_EVENT_CLOSED = 9,  /* an endpoint was closed, or gave up for good */
    WEIR_EVENT_LOG = 10,    /* a plugin says something, or the library of
                               what WEIR_STATS wanted */
    WEIR_EVENT_OPENED = 11, /* dialed or accepted; the handshake is ahead */
    WEIR_EVENT_GAP = 12,    /* the transport lost `value` messages of a peer */
    WEIR_EVENT_SWAP_FAILED = 13,  /* what waits for a peer or came from it is
                                     not written to its store, or not read
                                     back: `code` and `reason`; `value` octets
                                     stay in memory */
    WEIR_EVENT_SWAP_RESUMED = 14, /* all of it is written, or comes back */
    WEIR_EVENT_SWAP_FOUND = 15    /* a durable queue has `value` messages of an
                                     earlier run, or octets of a torn one */
};

typedef struct weir_event {
    uint32_t size; /* sizeof, set by the caller */
    uint32_t kind;
    uint64_t time_ns; /* monotonic clock */
    uint64_t missed;  /* events overwritten before this one was read */
    uint64_t value;
    weir_endpoint source;
    uint64_t peer_id; /* of a connection, unique in its socket; 0 none */
    int32_t code;     /* 0 or an error code, positive */
    uint32_t reserved;
    char endpoint[256], peer[256], reason[256];
} weir_event;

/* Next event of a socket, oldest first.  Events wait in a ring of the
 * "events" option's length; when it is full the oldest is overwritten and
 * counted in `missed`.  Errors: -EAGAIN; -EINVAL event->size. */
WEIR_API int weir_next_event(weir_socket socket, weir_event *event,
                             int deadline);

/* A short name for an enum weir_event_kind: "connected", "swap-failed"; "?" for
 * another number.  Constant. */
WEIR_API const char *weir_event_name(int kind);

enum weir_drop {                     /* why a message was dropped */
                 WEIR_DROP_MARK = 0, /* its queue, in either direction, was at
                                        the mark and the policy says drop */
                 WEIR_DROP_REPLACED = 1, /* a newer one took its place */
                 WEIR_DROP_NO_ROUTE = 2, /* no peer of that routing id */
                 WEIR_DROP_CUT =
                     3, /* partly written when the connection died */
                 WEIR_DROP_CLOSED =
                     4, /* still unsent when its queue was closed */
                 WEIR_DROP_UNWANTED =
                     5, /* received, but no subscription matches */
                 WEIR_DROP_MALFORMED =
                     6, /* received, but not of the pattern's form */
                 WEIR_DROP_STALE = 7,  /* a reply to a request that is over */
                 WEIR_DROP_MEMORY = 8, /* no memory for it */
                 WEIR_DROP_UNREAD =
                     9, /* received, but the socket closed before */
                 WEIR_DROP_STORE = 10, /* a store did not give it back */
                 WEIR_DROPS = 16       /* as long as the ABI is 1 */
};

/* A short name for an enum weir_drop: "mark", "no-route"; "?" for another
 * number.  Constant. */
WEIR_API const char *weir_drop_name(int reason);

/* Counters.  They hold at every instant:
 *   accepted = written + send_queued + send_kept + the sum of send_dropped
 *   decoded = delivered + recv_queued + the sum of recv_dropped
 * A message that goes to k peers counts k times in accepted.  What a sender on
 * inproc replaces in its peer's queue is taken back from written and decoded.
 */
typedef struct weir_stats {
    uint32_t size;  /* sizeof, set by the caller */
    uint32_t peers; /* ready now */
    uint64_t accepted, written, send_queued, send_queued_bytes;
    uint64_t decoded, delivered, recv_queued, recv_queued_bytes;
    uint64_t bytes_out, bytes_in; /* octets to and from the connections */
    uint64_t unmatched;           /* sent when nobody wanted it (PUB, XPUB) */
    uint64_t unconfirmed; /* upper bound of what died with connections */
    uint64_t connects, disconnects, refused;
    uint64_t send_dropped[WEIR_DROPS], recv_dropped[WEIR_DROPS];
    weir_endpoint source; /* of an endpoint or a peer */
    uint64_t peer_id;     /* of a peer, as in its events */
    int32_t last_error;   /* positive code of the last connection problem */
    uint32_t reserved;
    char endpoint[256], peer[256], last_reason[256];
    /* beyond the marks: ever written to a store, read back, and there now */
    uint64_t send_swapped_out, send_swapped_out_bytes;
    uint64_t send_swapped_in, send_swapped_in_bytes;
    uint64_t send_in_store, send_in_store_bytes;
    uint64_t recv_swapped_out, recv_swapped_out_bytes;
    uint64_t recv_swapped_in, recv_swapped_in_bytes;
    uint64_t recv_in_store, recv_in_store_bytes;
    /* of durable swaps: messages that stay there though their queue is gone,
     * those that were there from an earlier run (of `accepted`), and octets
     * that were there in no whole block */
    uint64_t send_kept, send_recovered, send_torn_bytes;
} weir_stats;

/* Counters of a socket (all it ever had), of an endpoint, or of the
 * `index`-th peer of now (from 0).  Errors: -EINVAL stats->size; -ENOENT no
 * peer of that index. */
WEIR_API int weir_socket_stats(weir_socket socket, weir_stats *stats);
WEIR_API int weir_endpoint_stats(weir_endpoint endpoint, weir_stats *stats);
WEIR_API int weir_peer_stats(weir_socket socket, int index, weir_stats *stats);

/* ------------------------------------------------------------- devices --
 * A device moves messages between two sockets, front and back, in each
 * direction in which one of them receives: ROUTER and DEALER (a queue), XSUB
 * and XPUB (a forwarder, subscriptions go the other way), PULL and PUSH (a
 * streamer), or any pair of which each can send what the other receives;
 * weir_device(3) has the table.  Payloads are not copied where they are long,
 * and nothing is received that cannot be sent: where one side is at its mark,
 * the other is not read, and so its peers wait.
 *
 * While there is a device its sockets are lent to it.  The application still
 * binds, connects, sets options, subscribes, reads events and counters and
 * waits for peers; calls that send or receive give -EBUSY.  When the device
 * has stopped the sockets are as before, and what it could not hand on is in
 * them: to be sent, or first to be received.  Closing one of the sockets, or
 * their context, ends the device; weir_device_stats and weir_device_stop say
 * so. */

enum { WEIR_DEVICE_WORKERS_MAX = 16 };

/* Start a device.  `capture` gets a copy of all that is moved, in either
 * direction, and never delays it: what it cannot take at once it misses, and
 * that is counted; all zero: there is none.  It is a PUB, a PUSH or a PAIR.
 * `workers` threads do the work, 1 being right for nearly everybody; with 0
 * whoever calls weir_device_run does.
 * Errors: -EINVAL workers, a socket given twice, or sockets of contexts of
 * which one is without I/O threads; -WEIR_EINCOMPATIBLE the types do not go
 * together; -EBUSY a socket is lent already; -EMFILE. */
WEIR_API int weir_device_start(weir_device *out, weir_socket front,
                               weir_socket back, weir_socket capture,
                               int workers);

/* Do a device's work in this thread, besides its own threads if it has some,
 * until it is stopped or `deadline` passes.  Can be called again, and by
 * several threads at once.
 * Returns 0 when weir_device_stop was called.  Errors: -EAGAIN;
 * -WEIR_ECLOSING a socket or its context is being closed, or was: the device
 * has ended. */
WEIR_API int weir_device_run(weir_device device, int deadline);

/* Stop moving, and go on.  When the first returns nothing is moved any more;
 * the sockets go on reading up to their marks.  A second time is no error.
 * Errors: -WEIR_ECLOSING the device has ended. */
WEIR_API int weir_device_pause(weir_device device);
WEIR_API int weir_device_resume(weir_device device);

/* Stop a device.  First as many messages are moved as had come in by now, even
 * if it is paused, and what was moved goes to the kernel (inproc: to the
 * peer's queue); all of that until `deadline`.  This thread helps.  *held (may
 * be NULL) gets how many of them are still in the sockets, which keep them.
 * The handle is dead when this returns, whatever it returns.
 * Errors: -EAGAIN some are held: *held is written in this case too;
 * -WEIR_ECLOSING the device had ended. */
WEIR_API int weir_device_stop(weir_device device, int deadline, uint64_t *held);

enum weir_device_state {
    WEIR_DEVICE_RUNNING = 1,
    WEIR_DEVICE_PAUSED = 2,
    WEIR_DEVICE_STOPPING = 3,
    WEIR_DEVICE_ENDED = 4 /* `code` and `reason` say why */
};

/* A device's counters.  What its sockets count is in weir_socket_stats. */
typedef struct weir_device_counts {
    uint32_t size;        /* sizeof, set by the caller */
    uint32_t state;       /* enum weir_device_state */
    uint32_t workers;     /* threads that work for it now */
    int32_t code;         /* of `reason`, positive; 0: it has not ended */
    uint64_t forth, back; /* messages moved from front to back, and back */
    uint64_t forth_waits, back_waits;     /* times the side to send was at its
                                             mark */
    uint64_t forth_dropped, back_dropped; /* the socket would not send them */
    uint64_t captured, capture_missed;
    uint64_t held; /* in the sockets now: received and not moved, or moved and
                      not sent */
    char reason[256];
} weir_device_counts;

/* Errors: -EINVAL counts->size. */
WEIR_API int weir_device_stats(weir_device device, weir_device_counts *counts);

/* ------------------------------------------------------------- plugins -- */

enum weir_plugin_state {
    WEIR_PLUGIN_AVAILABLE = 1, /* a file with a right name, not looked into */
    WEIR_PLUGIN_LOADED = 2,
    WEIR_PLUGIN_DISABLED = 3, /* by WEIR_PLUGINS */
    WEIR_PLUGIN_SHADOWED = 4, /* an earlier folder has one of that name */
    WEIR_PLUGIN_ALIAS = 5,    /* `summary` names the plugin it stands for */
    WEIR_PLUGIN_BROKEN = 6    /* `reason` says why */
};

typedef struct weir_plugin_info {
    uint32_t size;  /* sizeof, set by the caller or by weir_plugin_scan */
    uint32_t state; /* WEIR_PLUGIN_* */
    uint32_t abi;   /* 0 when unknown */
    uint32_t options;
    char kind[16], name[64], version[32], license[32], summary[160];
    char provides[96]; /* schemes of a transport, names of stores */
    char file[1024], reason[512];
} weir_plugin_info;

/* Look into every plugin folder; call `see` for each plugin found (the info
 * is borrowed for the call; `see` must not call weir).  With `load`, each is
 * loaded to learn all about it.  Stops when `see` returns non-zero and returns
 * that; else 0. */
WEIR_API int
weir_plugin_scan(bool load, int (*see)(void *arg, const weir_plugin_info *info),
                 void *arg);

/* Load one file, wherever it lies, under the same safety rules, and register
 * what it provides in place of others of that name.  `out` may be NULL.
 * Errors: -WEIR_EPLUGIN; the sentence has the real cause. */
WEIR_API int weir_plugin_load(const char *file, weir_plugin_info *out);

#ifdef __cplusplus
}
#endif
#endif
