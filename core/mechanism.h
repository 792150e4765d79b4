/*
 * mechanism.h - what a ZMTP security mechanism must provide: the commands of
 * the handshake, one object for each connection.
 * Above: zmtp.c frames the commands, checks what the peer says of itself and
 * answers for limits.  Below: mechanism_null.c.
 *
 * A mechanism sees command bodies (name length, name, data), never frames,
 * sizes on the wire or descriptors.  Every call is made by the connection's
 * current driver: one thread at a time, never blocking.
 */
#ifndef WEIR_MECHANISM_H
#define WEIR_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>

/* What a connection tells its mechanism when the greetings agree. */
struct weir_mechanism_args {
    const void *metadata; /* our properties, ZMTP-encoded; borrowed: copy */
    size_t metadata_len;
    bool as_server; /* our role, from configuration */
};

/* Where a handshake stands. */
enum weir_mechanism_state {
    WEIR_MECHANISM_BUSY, /* more commands must come from the peer */
    WEIR_MECHANISM_READY /* the peer has said all: its metadata is known.
                            Commands of ours may still wait in next() */
};

struct weir_mechanism_ops {
    /* In the greeting: 1 to 20 of A-Z 0-9 - _ . + */
    const char *name;

    /* No client and no server: the greeting's as-server octet stays 0, and
     * our READY waits for nothing (so that it can be replaced by ERROR as
     * long as it has not left). */
    bool symmetric;

    /* Begin.  Nothing is done for a peer before its greeting was right.
     * Errors: -ENOMEM, or any -errno with a sentence. */
    int (*open)(const struct weir_mechanism_args *args, void **self);

    /* The next command to send: 1 and its body, borrowed until the next
     * call; 0 = nothing now. */
    int (*next)(void *self, const void **body, size_t *len);

    /* A command of the peer.  The body stays where it is until the next
     * process(), so that peer_metadata() may point into it.
     * Errors: -errno with a sentence, the connection ends; *status becomes
     * 300, 400 or 500 if the peer refused us with these digits. */
    int (*process)(void *self, const void *body, size_t len, int *status);

    /* Where the handshake stands after open() or process(). */
    enum weir_mechanism_state (*state)(void *self);

    /* The peer's properties, ZMTP-encoded but not checked; when READY.
     * Borrowed, see process(). */
    void (*peer_metadata)(void *self, const void **data, size_t *len);

    /* End; releases all, wipes secrets. */
    void (*close)(void *self);
};

/* NULL: no security, one READY each way. */
extern const struct weir_mechanism_ops weir_mechanism_null;

#endif
