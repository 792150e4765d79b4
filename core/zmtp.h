/*
 * zmtp.h - the ZeroMQ wire protocol as a pure codec: octets in, octets out.
 * No I/O, no threads, no clock.  Speaks ZMTP 3.1 and 3.0 (RFC 37, RFC 23);
 * recognises ZMTP 1.0, 2.0 and revision 0 peers, and refuses them.
 * Above: link.c, which moves the octets and owns the timers.
 * Below: mechanism.h.
 *
 * Three parts:
 *   struct weir_zmtp          greeting and handshake of one connection
 *   headers and commands      stateless helpers for the traffic afterwards
 *   metadata, socket types    what peers say of themselves, who fits whom
 *
 * Nothing is allocated by a size that the peer claims: memory grows with the
 * octets that have come, up to a limit.  The helpers need no struct
 * weir_zmtp; a link may drop it once it has copied what it needs of it.
 */
#ifndef WEIR_ZMTP_H
#define WEIR_ZMTP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/debug.h"

struct weir_mechanism_ops;

/* ------------------------------------------------ greeting and handshake */

#define WEIR_ZMTP_SIGNATURE    10  /* first octets of every greeting */
#define WEIR_ZMTP_GREETING     64  /* the whole greeting of 3.x */
#define WEIR_ZMTP_IDENTITY_MAX 255 /* octets of a routing id */

/* Octets of the longest handshake command, unless configured smaller. */
#define WEIR_ZMTP_HANDSHAKE_LIMIT 65536

/* What the peer speaks, as soon as its octets tell. */
enum weir_zmtp_generation {
    WEIR_ZMTP_UNKNOWN,
    WEIR_ZMTP_1_0,
    WEIR_ZMTP_REV0, /* versioned greeting, 1.0 frames */
    WEIR_ZMTP_2_0,
    WEIR_ZMTP_3_0,
    WEIR_ZMTP_3_1
};

enum weir_zmtp_phase {
    WEIR_ZMTP_GREET,     /* the peer's greeting is not complete */
    WEIR_ZMTP_HANDSHAKE, /* commands of the mechanism go to and fro */
    WEIR_ZMTP_READY,     /* the rest is traffic; flush our output first */
    WEIR_ZMTP_FAILED     /* flush our output, then close */
};

/* Our side of a connection.  Copied by weir_zmtp_init; what the pointers
 * point to must stay until the phase is READY or FAILED. */
struct weir_zmtp_config {
    const char *socket_type; /* "DEALER"; one that weir_zmtp_type() knows */
    const void *identity;    /* own routing id; NULL or empty: none */
    size_t identity_len;
    const void *properties; /* more properties of ours, ZMTP-encoded */
    size_t properties_len;
    const struct weir_mechanism_ops *mechanism; /* NULL pointer: NULL */
    uint64_t max_frame;     /* octets of a frame's body; 0: no limit */
    size_t handshake_limit; /* octets of a command; 0: the default above */
    bool as_server;         /* role, for mechanisms that have roles */
    bool initiator;         /* we connected; only for the sentences */
};

/* Octets on their way; in `small` until they outgrow it. */
struct weir_zmtp_buffer {
    uint8_t *data;
    size_t len, room;
    uint8_t small[256];
};

/* One connection's greeting and handshake.  Embedded in the link; must not
 * be moved after init.  All members are private, see the calls below. */
struct weir_zmtp {
    struct weir_zmtp_config config;
    int (*step)(struct weir_zmtp *z); /* what to do when `want` are in */
    size_t want;                      /* octets of `in` for that */
    size_t body; /* where the command's body begins in `in` */
    struct weir_zmtp_buffer in, out;
    size_t released;   /* octets of `out` that may be written */
    size_t sent;       /* octets of `out` that were written */
    size_t command_at; /* where our last command begins in `out` */
    void *mechanism;   /* the mechanism's object, after the greeting */
    const void *metadata;
    size_t metadata_len;
    const void *identity;
    size_t identity_len;
    const char *peer_type;
    enum weir_zmtp_phase phase;
    enum weir_zmtp_generation generation;
    int code, status;
    bool permanent;
    char reason[160];
};

/* Begin a connection; the first octets to write are there at once.
 * Allocates nothing.
 * Errors: -EINVAL socket type unknown, identity over 255 octets or with a
 * leading 00, properties not well formed; -EMSGSIZE properties over the
 * handshake limit.  After an error there is nothing to fini. */
int weir_zmtp_init(struct weir_zmtp *z, const struct weir_zmtp_config *config);

/* Release what the handshake allocated, in any phase. */
void weir_zmtp_fini(struct weir_zmtp *z);

/* Take octets from the peer, in any pieces.  Returns how many were consumed:
 * all, or fewer when the handshake ended on the way (the rest is traffic;
 * in phase READY always 0).  Look for output after every call.
 * Errors: -errno with a sentence; the phase is FAILED from then on.
 *   -EPROTO              octets that no ZMTP peer sends here
 *   -EPROTONOSUPPORT     an old generation, or another mechanism
 *   -EMSGSIZE            a command over the limit
 *   -WEIR_EINCOMPATIBLE  the peer's socket type does not go with ours
 *   -ECONNREFUSED        the peer sent ERROR
 *   -ENOMEM              (the only one that is not permanent) */
ssize_t weir_zmtp_input(struct weir_zmtp *z, const void *data, size_t len);

/* What must be written now: true with at least one octet, borrowed until
 * the next call on `z`; false when there is nothing.  Report what was
 * written by weir_zmtp_output_done() before the next input.  Our output may
 * outlast the handshake: flush it before traffic, and before closing. */
bool weir_zmtp_output(const struct weir_zmtp *z, const void **data,
                      size_t *len);

/* The first `n` octets of the output were written. */
void weir_zmtp_output_done(struct weir_zmtp *z, size_t n);

static inline enum weir_zmtp_phase weir_zmtp_phase(const struct weir_zmtp *z)
{
    return z->phase;
}

static inline enum weir_zmtp_generation
weir_zmtp_generation(const struct weir_zmtp *z)
{
    return z->generation;
}

/* When READY: the peer's socket type, a constant; NULL if it named none. */
static inline const char *weir_zmtp_peer_type(const struct weir_zmtp *z)
{
    return z->peer_type;
}

/* When READY: the peer's routing id, checked; *len 0 if it has none.
 * Borrowed until fini. */
static inline const void *weir_zmtp_peer_identity(const struct weir_zmtp *z,
                                                  size_t *len)
{
    *len = z->identity_len;
    return z->identity;
}

/* When READY: the peer's properties, checked; for weir_zmtp_find().
 * Borrowed until fini. */
static inline const void *weir_zmtp_peer_metadata(const struct weir_zmtp *z,
                                                  size_t *len)
{
    *len = z->metadata_len;
    return z->metadata;
}

/* When FAILED: whether trying again would fail in the same way, so that
 * reconnecting must not be quick. */
static inline bool weir_zmtp_permanent(const struct weir_zmtp *z)
{
    return z->permanent;
}

/* When FAILED: 300, 400 or 500 if the peer refused us with these digits,
 * else 0. */
static inline int weir_zmtp_status(const struct weir_zmtp *z)
{
    return z->status;
}

/* When FAILED: why, a sentence; "" before. */
static inline const char *weir_zmtp_reason(const struct weir_zmtp *z)
{
    return z->reason;
}

/* --------------------------------------------------------------- headers
 * A frame is flags, size, body; a body of up to 255 octets has a header of
 * 2, a longer one of 9 (ZMTP 3.1, RFC 37, "Framing"). */

enum {
    WEIR_ZMTP_MORE = 1,   /* another frame of the message follows */
    WEIR_ZMTP_LONG = 2,   /* the size has 8 octets; put_header sets it */
    WEIR_ZMTP_COMMAND = 4 /* not a message */
};

#define WEIR_ZMTP_HEADER_MAX 9

struct weir_zmtp_header {
    uint64_t size;  /* octets of the body */
    unsigned flags; /* WEIR_ZMTP_MORE, WEIR_ZMTP_COMMAND */
};

static inline void weir_zmtp_put_u64(uint8_t *p, uint64_t value)
{
    p[0] = (uint8_t)(value >> 56);
    p[1] = (uint8_t)(value >> 48);
    p[2] = (uint8_t)(value >> 40);
    p[3] = (uint8_t)(value >> 32);
    p[4] = (uint8_t)(value >> 24);
    p[5] = (uint8_t)(value >> 16);
    p[6] = (uint8_t)(value >> 8);
    p[7] = (uint8_t)value;
}

static inline uint64_t weir_zmtp_get_u64(const uint8_t *p)
{
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

/* Octets of the header of a body of `size` octets: 2 or 9. */
static inline size_t weir_zmtp_header_size(uint64_t size)
{
    return size < 256 ? 2 : WEIR_ZMTP_HEADER_MAX;
}

/* Write a header; `flags` of WEIR_ZMTP_MORE and WEIR_ZMTP_COMMAND.
 * Returns its octets, 2 or 9. */
static inline size_t weir_zmtp_put_header(uint8_t *p, uint64_t size,
                                          unsigned flags)
{
    if (WEIR_LIKELY(size < 256)) {
        p[0] = (uint8_t)flags;
        p[1] = (uint8_t)size;
        return 2;
    }
    p[0] = (uint8_t)(flags | WEIR_ZMTP_LONG);
    weir_zmtp_put_u64(p + 1, size);
    return WEIR_ZMTP_HEADER_MAX;
}

/* The `limit` for weir_zmtp_get_header that stands for a largest frame of
 * `max_frame` octets (0: none): what can be addressed, at most. */
static inline uint64_t weir_zmtp_limit(uint64_t max_frame)
{
    uint64_t most = PTRDIFF_MAX;

    return max_frame != 0 && max_frame < most ? max_frame : most;
}

/* Read the header at `p`, of which `len` octets are there.  Reserved flags
 * are ignored; a long size for a short body is fine.  `limit` comes from
 * weir_zmtp_limit().
 * Returns the header's octets, or 0 when more are needed.
 * Errors: -EPROTO the size's top bit is set; -EMSGSIZE over the limit.  No
 * sentence: weir_zmtp_header_fail() makes it. */
static inline int weir_zmtp_get_header(const uint8_t *p, size_t len,
                                       uint64_t limit,
                                       struct weir_zmtp_header *header)
{
    uint64_t size;
    int octets = 2;

    if (WEIR_UNLIKELY(len < 2))
        return 0;
    size = p[1];
    if (WEIR_UNLIKELY(p[0] & WEIR_ZMTP_LONG)) {
        if (len < WEIR_ZMTP_HEADER_MAX)
            return 0;
        size = weir_zmtp_get_u64(p + 1);
        octets = WEIR_ZMTP_HEADER_MAX;
    }
    if (WEIR_UNLIKELY(size > limit))
        return size >> 63 ? -EPROTO : -EMSGSIZE;
    header->size = size;
    header->flags = p[0] & (WEIR_ZMTP_MORE | WEIR_ZMTP_COMMAND);
    return octets;
}

/* Make the sentence about a header at `p` that weir_zmtp_get_header() has
 * refused; returns the same error. */
int weir_zmtp_header_fail(const uint8_t *p, uint64_t limit)
    __attribute__((cold));

/* -------------------------------------------------------------- commands */

enum weir_zmtp_kind {
    WEIR_ZMTP_IGNORE, /* unknown, empty or malformed */
    WEIR_ZMTP_IS_READY,
    WEIR_ZMTP_IS_ERROR,
    WEIR_ZMTP_IS_PING,
    WEIR_ZMTP_IS_PONG,
    WEIR_ZMTP_IS_SUBSCRIBE,
    WEIR_ZMTP_IS_CANCEL,
    WEIR_ZMTP_IS_JOIN,
    WEIR_ZMTP_IS_LEAVE
};

struct weir_zmtp_command {
    enum weir_zmtp_kind kind;
    uint32_t ttl;     /* PING: milliseconds, 0 = none */
    const void *data; /* metadata, reason, context (16 octets at most),
                         topic or group; points into the body */
    size_t len;
};

/* Read a command's body.  Names are case-sensitive; what is unknown or
 * malformed is WEIR_ZMTP_IGNORE, not an error.
 * Errors: -EPROTO a PING without its TTL, for which the peer is cut off. */
int weir_zmtp_get_command(const void *body, size_t len,
                          struct weir_zmtp_command *command);

/* Read a message's body as a subscription in the form of ZMTP 3.0 and
 * before (01 topic, 00 topic): SUBSCRIBE, CANCEL, or IGNORE for any other
 * message.  Publishers must take both forms from every peer. */
void weir_zmtp_get_subscription(const void *body, size_t len,
                                struct weir_zmtp_command *command);

/* 300, 400 or 500 when the reason of an ERROR is just these digits, else 0
 * (ZAP, RFC 27). */
int weir_zmtp_error_status(const void *reason, size_t len);

/* Octets that the commands below need at most, header included. */
#define WEIR_ZMTP_CONTEXT_MAX 16
#define WEIR_ZMTP_PING_MAX    (2 + 7 + WEIR_ZMTP_CONTEXT_MAX)
#define WEIR_ZMTP_PONG_MAX    (2 + 5 + WEIR_ZMTP_CONTEXT_MAX)
#define WEIR_ZMTP_ERROR_MAX   (9 + 7 + 255)

/* Write whole frames; all return their octets.  A TTL of `ttl` milliseconds
 * goes out in tenths of a second, cut off, 6553.5 s at most; a context is
 * cut to 16 octets, a reason to 255. */
size_t weir_zmtp_put_ping(uint8_t *p, uint32_t ttl, const void *context,
                          size_t len);
size_t weir_zmtp_put_pong(uint8_t *p, const void *context, size_t len);
size_t weir_zmtp_put_error(uint8_t *p, const char *reason);

/* The body of a subscription (or with `subscribe` false, of its end) for a
 * peer of `generation`: SUBSCRIBE and CANCEL commands to 3.1, messages to
 * 3.0.  The first gives its octets, the second writes it and returns the
 * flags of its frame: WEIR_ZMTP_COMMAND or 0. */
size_t weir_zmtp_subscription_size(enum weir_zmtp_generation generation,
                                   bool subscribe, size_t topic_len);
unsigned weir_zmtp_put_subscription(uint8_t *body,
                                    enum weir_zmtp_generation generation,
                                    bool subscribe, const void *topic,
                                    size_t topic_len);

/* -------------------------------------------------------------- metadata
 * Properties in a row: name length (1 octet), name, value length (4), value
 * (RFC 37, "Metadata"). */

struct weir_zmtp_property {
    const char *name; /* not terminated */
    size_t name_len;
    const void *value;
    size_t value_len;
};

/* A place in a row of properties. */
struct weir_zmtp_cursor {
    const uint8_t *at;
    size_t left;
};

static inline struct weir_zmtp_cursor weir_zmtp_cursor(const void *metadata,
                                                       size_t len)
{
    struct weir_zmtp_cursor cursor = {metadata, len};

    return cursor;
}

/* Take the next property: 1, or 0 at the end.
 * Errors: -EPROTO with a sentence: a name of no octets or with others than
 * A-Z a-z 0-9 - _ . +, a length beyond the end, octets left over. */
int weir_zmtp_next(struct weir_zmtp_cursor *cursor,
                   struct weir_zmtp_property *property);

/* The first property called `name`, in any case: 1, or 0 if there is none.
 * Errors: as weir_zmtp_next(), when it meets them before. */
int weir_zmtp_find(const void *metadata, size_t len, const char *name,
                   struct weir_zmtp_property *property);

/* Whether a property may have that name: 1 to 255 of A-Z a-z 0-9 - _ . + */
bool weir_zmtp_is_name(const void *name, size_t len);

/* Whether a property is called `name`, in any case. */
bool weir_zmtp_is(const struct weir_zmtp_property *property, const char *name);

/* Octets of an encoded property. */
static inline size_t weir_zmtp_property_size(size_t name_len, size_t value_len)
{
    return 1 + name_len + 4 + value_len;
}

/* Write a property; returns its octets.  The caller has checked the name, by
 * weir_zmtp_is_name(), and the value's size (31 bits). */
size_t weir_zmtp_put_property(uint8_t *p, const char *name, size_t name_len,
                              const void *value, size_t value_len);

/* ---------------------------------------------------------- socket types */

/* The socket type spelled by these octets (upper case), as a constant; NULL
 * when there is none. */
const char *weir_zmtp_type(const void *name, size_t len);

/* Whether sockets of these types may be joined; false for unknown types. */
bool weir_zmtp_compatible(const char *own, const char *peer);

/* Whether sockets of this type announce their routing id: REQ, DEALER and
 * ROUTER, even an empty one. */
bool weir_zmtp_announces_identity(const char *type);

/* Copy octets of a peer into a sentence: cut to `room` - 1 (room > 0), what
 * does not print in ASCII becomes '?', terminated.  Returns `text`. */
const char *weir_zmtp_printable(char *text, size_t room, const void *octets,
                                size_t len);

#endif
