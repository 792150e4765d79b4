/*
 * zmtp.c - greeting and handshake of one ZMTP connection.
 * Above: link.c.  Below: mechanism.h, and the helpers in zmtp_metadata.c and
 * zmtp_command.c.
 *
 * Octets are gathered in `in` until the current step has as many as it
 * wants; then it runs, and says what is wanted next.  The greeting leaves in
 * three pieces, each released by what the peer has sent: an old peer would
 * take octets that come unasked for the start of a frame (ZMTP 3.1, RFC 37,
 * "Version Negotiation").
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "base/error.h"
#include "mechanism.h"
#include "zmtp.h"

/* Offsets in the greeting. */
enum {
    PADDING = 1,
    MARK = 9, /* its bit 0 tells a signature from a ZMTP 1.0 identity */
    MAJOR = 10,
    MINOR = 11,
    MECHANISM = 12,
    AS_SERVER = 32,
    MECHANISM_LEN = AS_SERVER - MECHANISM
};

/* ---- buffers */

static void buffer_init(struct weir_zmtp_buffer *buffer)
{
    buffer->data = buffer->small;
    buffer->len = 0;
    buffer->room = sizeof buffer->small;
}

static void buffer_fini(struct weir_zmtp_buffer *buffer)
{
    if (buffer->data != buffer->small)
        free(buffer->data);
    buffer_init(buffer);
}

static int buffer_grow(struct weir_zmtp_buffer *buffer, size_t room)
{
    bool small = buffer->data == buffer->small;
    uint8_t *data = realloc(small ? NULL : buffer->data, room);

    if (data == NULL)
        return weir_fail(ENOMEM, "no memory for %zu octets of a handshake",
                         room);
    if (small)
        memcpy(data, buffer->small, buffer->len);
    buffer->data = data;
    buffer->room = room;
    return 0;
}

/* Make room for `len` octets more, at least doubling what there is. */
static int buffer_reserve(struct weir_zmtp_buffer *buffer, size_t len)
{
    size_t needed = buffer->len + len;

    if (needed <= buffer->room)
        return 0;
    return buffer_grow(buffer,
                       needed > 2 * buffer->room ? needed : 2 * buffer->room);
}

static int buffer_add(struct weir_zmtp_buffer *buffer, const void *data,
                      size_t len)
{
    int rc;

    if (len == 0)
        return 0;
    rc = buffer_reserve(buffer, len);
    if (rc < 0)
        return rc;
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return 0;
}

/* ---- failing */

/* End the connection with the sentence that weir_fail() has made. */
static int end(struct weir_zmtp *z, int code)
{
    z->phase = WEIR_ZMTP_FAILED;
    z->code = code;
    z->permanent = code != ENOMEM;
    snprintf(z->reason, sizeof z->reason, "%s", weir_error_text());
    return -code;
}

static int fail(struct weir_zmtp *z, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct weir_zmtp *z, int code, const char *format, ...)
{
    char text[sizeof z->reason];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)weir_fail(code, "%s", text);
    return end(z, code);
}

/* The peer, for sentences. */
static const char *who(const struct weir_zmtp *z)
{
    return z->config.initiator ? "listening peer" : "connecting peer";
}

/* ---- our own commands */

/* Let everything leave that is in `out`. */
static void release(struct weir_zmtp *z)
{
    z->released = z->out.len;
}

static int say_command(struct weir_zmtp *z, const void *body, size_t len)
{
    uint8_t header[WEIR_ZMTP_HEADER_MAX];
    size_t octets = weir_zmtp_put_header(header, len, WEIR_ZMTP_COMMAND);
    int rc = buffer_reserve(&z->out, octets + len);

    if (rc < 0)
        return end(z, -rc);
    z->command_at = z->out.len;
    (void)buffer_add(&z->out, header, octets);
    (void)buffer_add(&z->out, body, len);
    release(z);
    return 0;
}

/* Say what the mechanism has to say. */
static int say_commands(struct weir_zmtp *z)
{
    const void *body;
    size_t len;
    int rc;

    for (;;) {
        rc = z->config.mechanism->next(z->mechanism, &body, &len);
        if (rc < 0)
            return end(z, -rc);
        if (rc == 0)
            return 0;
        rc = say_command(z, body, len);
        if (rc < 0)
            return rc;
    }
}

/* Put ERROR in the place of our READY, if that has not begun to leave: who
 * has our READY takes no ERROR any more. */
static void say_error(struct weir_zmtp *z, const char *reason)
{
    uint8_t frame[WEIR_ZMTP_ERROR_MAX];

    if (!z->config.mechanism->symmetric || z->sent > z->command_at)
        return;
    z->out.len = z->command_at;
    (void)buffer_add(&z->out, frame, weir_zmtp_put_error(frame, reason));
    release(z);
}

/* ---- what the peer says of itself */

static int check_type(struct weir_zmtp *z,
                      const struct weir_zmtp_property *property)
{
    const char *own = z->config.socket_type;
    const char *type = weir_zmtp_type(property->value, property->value_len);
    char text[32], reason[96];

    if (type != NULL && weir_zmtp_compatible(own, type)) {
        if (z->peer_type == NULL)
            z->peer_type = type;
        return 0;
    }
    weir_zmtp_printable(text, sizeof text, property->value,
                        property->value_len);
    snprintf(reason, sizeof reason, "%s does not talk to %s", own, text);
    say_error(z, reason);
    return fail(z, WEIR_EINCOMPATIBLE,
                "the %s's socket type %s does not go with our %s", who(z), text,
                own);
}

/* Ids of others than ROUTER's own making have no leading 00, and the longest
 * fits one octet of length. */
static int check_identity(struct weir_zmtp *z,
                          const struct weir_zmtp_property *property)
{
    const uint8_t *id = property->value;

    if (property->value_len > WEIR_ZMTP_IDENTITY_MAX)
        return fail(z, EPROTO, "the %s's Identity has %zu octets, over %d",
                    who(z), property->value_len, WEIR_ZMTP_IDENTITY_MAX);
    if (property->value_len > 0 && id[0] == 0)
        return fail(z, EPROTO, "the %s's Identity begins with 00", who(z));
    z->identity = id;
    z->identity_len = property->value_len;
    return 0;
}

static int check_property(struct weir_zmtp *z,
                          const struct weir_zmtp_property *property)
{
    if (weir_zmtp_is(property, "Socket-Type"))
        return check_type(z, property);
    if (weir_zmtp_is(property, "Identity"))
        return check_identity(z, property);
    return 0;
}

/* All of it, also when a name is there twice. */
static int check_metadata(struct weir_zmtp *z)
{
    struct weir_zmtp_cursor cursor =
        weir_zmtp_cursor(z->metadata, z->metadata_len);
    struct weir_zmtp_property property;
    int rc = weir_zmtp_next(&cursor, &property);

    while (rc > 0) {
        rc = check_property(z, &property);
        if (rc < 0)
            return rc;
        rc = weir_zmtp_next(&cursor, &property);
    }
    return rc < 0 ? end(z, -rc) : 0;
}

/* ---- handshake */

static int read_head(struct weir_zmtp *z);

static void expect(struct weir_zmtp *z, int (*step)(struct weir_zmtp *),
                   size_t want)
{
    z->step = step;
    z->want = want;
}

/* Handshake commands are frames: the largest frame bounds them, too. */
static uint64_t command_limit(const struct weir_zmtp *z)
{
    uint64_t limit = weir_zmtp_limit(z->config.max_frame);

    return limit < z->config.handshake_limit ? limit
                                             : z->config.handshake_limit;
}

/* The peer has said all.  Its READY stays in `in`, where the metadata may
 * point. */
static int finish(struct weir_zmtp *z)
{
    int rc;

    z->config.mechanism->peer_metadata(z->mechanism, &z->metadata,
                                       &z->metadata_len);
    rc = check_metadata(z);
    if (rc < 0)
        return rc;
    rc = say_commands(z);
    if (rc < 0)
        return rc;
    z->phase = WEIR_ZMTP_READY;
    return 0;
}

/* A whole command is in.  Whether its frame has the COMMAND bit does not
 * matter during the handshake: what is no command is refused by its body. */
static int read_command(struct weir_zmtp *z)
{
    const struct weir_mechanism_ops *mechanism = z->config.mechanism;
    int rc = mechanism->process(z->mechanism, z->in.data + z->body,
                                z->want - z->body, &z->status);

    if (rc < 0)
        return end(z, -rc);
    if (mechanism->state(z->mechanism) == WEIR_MECHANISM_READY)
        return finish(z);
    z->in.len = 0;
    expect(z, read_head, 2);
    return say_commands(z);
}

static int read_head(struct weir_zmtp *z)
{
    struct weir_zmtp_header header;
    int rc =
        weir_zmtp_get_header(z->in.data, z->in.len, command_limit(z), &header);

    if (rc < 0)
        return end(z, -weir_zmtp_header_fail(z->in.data, command_limit(z)));
    if (rc == 0) {
        expect(z, read_head, WEIR_ZMTP_HEADER_MAX);
        return 0;
    }
    z->body = (size_t)rc;
    expect(z, read_command, z->body + (size_t)header.size);
    return 0;
}

/* Some types always do, others when they have a name. */
static bool announces(const struct weir_zmtp_config *config)
{
    return config->identity_len > 0 ||
           weir_zmtp_announces_identity(config->socket_type);
}

static size_t own_metadata_size(const struct weir_zmtp_config *config)
{
    size_t size = weir_zmtp_property_size(strlen("Socket-Type"),
                                          strlen(config->socket_type));

    if (announces(config))
        size +=
            weir_zmtp_property_size(strlen("Identity"), config->identity_len);
    return size + config->properties_len;
}

/* Our properties, in the order that others use. */
static void put_own_metadata(uint8_t *p, const struct weir_zmtp_config *config)
{
    p += weir_zmtp_put_property(p, "Socket-Type", strlen("Socket-Type"),
                                config->socket_type,
                                strlen(config->socket_type));
    if (announces(config))
        p += weir_zmtp_put_property(p, "Identity", strlen("Identity"),
                                    config->identity, config->identity_len);
    if (config->properties_len > 0)
        memcpy(p, config->properties, config->properties_len);
}

/* `in` is empty between the greeting and the first command: our metadata is
 * put together there. */
static int open_mechanism(struct weir_zmtp *z)
{
    struct weir_mechanism_args args = {
        .metadata_len = own_metadata_size(&z->config),
        .as_server = z->config.as_server,
    };
    int rc = buffer_reserve(&z->in, args.metadata_len);

    if (rc < 0)
        return rc;
    put_own_metadata(z->in.data, &z->config);
    args.metadata = z->in.data;
    return z->config.mechanism->open(&args, &z->mechanism);
}

static int begin_handshake(struct weir_zmtp *z)
{
    int rc;

    z->phase = WEIR_ZMTP_HANDSHAKE;
    z->in.len = 0;
    rc = open_mechanism(z);
    if (rc < 0)
        return end(z, -rc);
    expect(z, read_head, 2);
    return say_commands(z);
}

/* ---- greeting */

static const char *generation_name(enum weir_zmtp_generation generation)
{
    static const char *const names[] = {
        [WEIR_ZMTP_UNKNOWN] = "no ZMTP",
        [WEIR_ZMTP_1_0] = "ZMTP 1.0, or no ZMTP at all",
        [WEIR_ZMTP_REV0] = "ZMTP 2.0 revision 0",
        [WEIR_ZMTP_2_0] = "ZMTP 2.0",
        [WEIR_ZMTP_3_0] = "ZMTP 3.0",
        [WEIR_ZMTP_3_1] = "ZMTP 3.1",
    };

    return names[generation];
}

/* Peers before 3.0 are told apart, and refused. */
static int refuse_old(struct weir_zmtp *z, enum weir_zmtp_generation generation)
{
    z->generation = generation;
    return fail(z, EPROTONOSUPPORT,
                "the %s speaks %s (it began with %02X); "
                "ZMTP 3.0 or 3.1 is needed",
                who(z), generation_name(generation), z->in.data[0]);
}

static bool same_mechanism(const struct weir_zmtp *z)
{
    return memcmp(z->in.data + MECHANISM, z->out.data + MECHANISM,
                  MECHANISM_LEN) == 0;
}

static int refuse_mechanism(struct weir_zmtp *z)
{
    char text[MECHANISM_LEN + 1];
    const uint8_t *name = z->in.data + MECHANISM;
    size_t len = MECHANISM_LEN;

    while (len > 0 && name[len - 1] == 0)
        len--;
    return fail(z, EPROTONOSUPPORT,
                "the %s's mechanism \"%s\" is not our \"%s\"", who(z),
                weir_zmtp_printable(text, sizeof text, name, len),
                z->config.mechanism->name);
}

/* All 64 octets are in.  A higher major version is answered as 3.1. */
static int read_greeting(struct weir_zmtp *z)
{
    bool v3_0 = z->in.data[MAJOR] == 3 && z->in.data[MINOR] == 0;

    z->generation = v3_0 ? WEIR_ZMTP_3_0 : WEIR_ZMTP_3_1;
    if (!same_mechanism(z))
        return refuse_mechanism(z);
    return begin_handshake(z);
}

static int read_major(struct weir_zmtp *z)
{
    uint8_t major = z->in.data[MAJOR];

    if (major == 0)
        return refuse_old(z, WEIR_ZMTP_REV0);
    if (major < 3)
        return refuse_old(z, WEIR_ZMTP_2_0);
    z->released = WEIR_ZMTP_GREETING;
    expect(z, read_greeting, WEIR_ZMTP_GREETING);
    return 0;
}

static int read_signature(struct weir_zmtp *z)
{
    if ((z->in.data[MARK] & 1) == 0)
        return refuse_old(z, WEIR_ZMTP_1_0);
    z->released = MAJOR + 1;
    expect(z, read_major, MAJOR + 1);
    return 0;
}

static int read_first(struct weir_zmtp *z)
{
    if (z->in.data[0] != 0xFF)
        return refuse_old(z, WEIR_ZMTP_1_0);
    expect(z, read_signature, WEIR_ZMTP_SIGNATURE);
    return 0;
}

/* The padding makes the signature the head of a ZMTP 1.0 identity frame. */
static void put_greeting(struct weir_zmtp *z)
{
    uint8_t *p = z->out.data;
    const struct weir_mechanism_ops *mechanism = z->config.mechanism;

    memset(p, 0, WEIR_ZMTP_GREETING);
    p[0] = 0xFF;
    weir_zmtp_put_u64(p + PADDING, z->config.identity_len + 1);
    p[MARK] = 0x7F;
    p[MAJOR] = 3;
    p[MINOR] = 1;
    memcpy(p + MECHANISM, mechanism->name,
           strnlen(mechanism->name, MECHANISM_LEN));
    p[AS_SERVER] = z->config.as_server && !mechanism->symmetric;
    z->out.len = WEIR_ZMTP_GREETING;
    z->command_at = WEIR_ZMTP_GREETING;
    z->released = WEIR_ZMTP_SIGNATURE;
}

/* ---- a connection */

static int check_own_identity(const struct weir_zmtp_config *config)
{
    const uint8_t *id = config->identity;

    if (config->identity_len > WEIR_ZMTP_IDENTITY_MAX)
        return weir_fail(EINVAL, "routing id of %zu octets is over %d",
                         config->identity_len, WEIR_ZMTP_IDENTITY_MAX);
    if (config->identity_len > 0 && id[0] == 0)
        return weir_fail(EINVAL, "routing id begins with 00");
    return 0;
}

static int check_own_properties(const struct weir_zmtp_config *config)
{
    struct weir_zmtp_cursor cursor =
        weir_zmtp_cursor(config->properties, config->properties_len);
    struct weir_zmtp_property property;
    int rc;

    if (config->properties_len > WEIR_ZMTP_HANDSHAKE_LIMIT)
        return weir_fail(EMSGSIZE, "properties of %zu octets are over %d",
                         config->properties_len, WEIR_ZMTP_HANDSHAKE_LIMIT);
    do {
        rc = weir_zmtp_next(&cursor, &property);
    } while (rc > 0);
    return rc < 0 ? weir_fail(EINVAL, "own properties: %s", weir_error_text())
                  : 0;
}

static int check_config(const struct weir_zmtp_config *config)
{
    const char *type = config->socket_type;
    int rc;

    if (weir_zmtp_type(type, strlen(type)) == NULL)
        return weir_fail(EINVAL, "no ZMTP socket type is called %s", type);
    rc = check_own_identity(config);
    return rc < 0 ? rc : check_own_properties(config);
}

int weir_zmtp_init(struct weir_zmtp *z, const struct weir_zmtp_config *config)
{
    int rc = check_config(config);

    if (rc < 0)
        return rc;
    memset(z, 0, sizeof *z);
    z->config = *config;
    if (z->config.mechanism == NULL)
        z->config.mechanism = &weir_mechanism_null;
    if (z->config.handshake_limit == 0)
        z->config.handshake_limit = WEIR_ZMTP_HANDSHAKE_LIMIT;
    buffer_init(&z->in);
    buffer_init(&z->out);
    put_greeting(z);
    expect(z, read_first, 1);
    return 0;
}

void weir_zmtp_fini(struct weir_zmtp *z)
{
    if (z->mechanism != NULL)
        z->config.mechanism->close(z->mechanism);
    z->mechanism = NULL;
    buffer_fini(&z->out);
    buffer_fini(&z->in);
}

ssize_t weir_zmtp_input(struct weir_zmtp *z, const void *data, size_t len)
{
    const uint8_t *octets = data;
    size_t used = 0, take;
    int rc;

    if (z->phase == WEIR_ZMTP_FAILED)
        return weir_fail(z->code, "%s", z->reason);
    while (z->phase < WEIR_ZMTP_READY) {
        take = z->want - z->in.len;
        take = take < len - used ? take : len - used;
        rc = take > 0 ? buffer_add(&z->in, octets + used, take) : 0;
        if (rc < 0)
            return end(z, -rc);
        used += take;
        if (z->in.len < z->want)
            break;
        rc = z->step(z);
        if (rc < 0)
            return rc;
    }
    return (ssize_t)used;
}

bool weir_zmtp_output(const struct weir_zmtp *z, const void **data, size_t *len)
{
    if (z->sent == z->released)
        return false;
    *data = z->out.data + z->sent;
    *len = z->released - z->sent;
    return true;
}

void weir_zmtp_output_done(struct weir_zmtp *z, size_t n)
{
    weir_debug_assert(n <= z->released - z->sent);
    z->sent += n;
}
