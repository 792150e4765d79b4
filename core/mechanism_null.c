/*
 * mechanism_null.c - the NULL mechanism: one READY each way, no security.
 * Above: zmtp.c.  Below: nothing.
 *
 * Neither side waits for the other (ZMTP 3.1, RFC 37, "The NULL Security
 * Mechanism" lets the client go first; both orders are accepted).
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mechanism.h"
#include "zmtp.h"

static const uint8_t ready_name[] = {5, 'R', 'E', 'A', 'D', 'Y'};

/* One connection. */
struct null {
    bool said;            /* our READY was handed out */
    bool heard;           /* the peer's has come */
    const void *metadata; /* of the peer, in its READY */
    size_t metadata_len;
    size_t ready_len;
    uint8_t ready[]; /* our READY */
};

static int open_null(const struct weir_mechanism_args *args, void **self)
{
    size_t len = sizeof ready_name + args->metadata_len;
    struct null *null = calloc(1, sizeof *null + len);

    if (null == NULL)
        return weir_fail(ENOMEM, "no memory for a READY of %zu octets", len);
    null->ready_len = len;
    memcpy(null->ready, ready_name, sizeof ready_name);
    if (args->metadata_len > 0)
        memcpy(null->ready + sizeof ready_name, args->metadata,
               args->metadata_len);
    *self = null;
    return 0;
}

static int next(void *self, const void **body, size_t *len)
{
    struct null *null = self;

    if (null->said)
        return 0;
    null->said = true;
    *body = null->ready;
    *len = null->ready_len;
    return 1;
}

static int refused(const struct weir_zmtp_command *error, int *status)
{
    char text[80];

    *status = weir_zmtp_error_status(error->data, error->len);
    return weir_fail(
        ECONNREFUSED, "the peer refused the connection: ERROR \"%s\"",
        weir_zmtp_printable(text, sizeof text, error->data, error->len));
}

static int unexpected(const uint8_t *body, size_t len)
{
    char text[40];
    size_t name = len > 0 ? body[0] : 0;

    if (name == 0 || name >= len)
        return weir_fail(EPROTO,
                         "a frame of %zu octets came where READY was "
                         "expected",
                         len);
    return weir_fail(EPROTO, "command \"%s\" came where READY was expected",
                     weir_zmtp_printable(text, sizeof text, body + 1, name));
}

static int process(void *self, const void *body, size_t len, int *status)
{
    struct null *null = self;
    struct weir_zmtp_command command;
    int rc = weir_zmtp_get_command(body, len, &command);

    if (rc < 0)
        return rc;
    if (command.kind == WEIR_ZMTP_IS_ERROR)
        return refused(&command, status);
    if (command.kind != WEIR_ZMTP_IS_READY)
        return unexpected(body, len);
    null->heard = true;
    null->metadata = command.data;
    null->metadata_len = command.len;
    return 0;
}

static enum weir_mechanism_state state(void *self)
{
    const struct null *null = self;

    return null->heard ? WEIR_MECHANISM_READY : WEIR_MECHANISM_BUSY;
}

static void peer_metadata(void *self, const void **data, size_t *len)
{
    const struct null *null = self;

    *data = null->metadata;
    *len = null->metadata_len;
}

static void close_null(void *self)
{
    free(self);
}

const struct weir_mechanism_ops weir_mechanism_null = {
    .name = "NULL",
    .symmetric = true,
    .open = open_null,
    .next = next,
    .process = process,
    .state = state,
    .peer_metadata = peer_metadata,
    .close = close_null,
};
