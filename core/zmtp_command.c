/*
 * zmtp_command.c - ZMTP commands of the traffic: read and written.
 * Above: link.c, pattern/, mechanism_*.c.  Below: nothing.
 */
#include "config.h"

#include <string.h>

#include "base/error.h"
#include "zmtp.h"

/* ---- reading */

static void take_rest(struct weir_zmtp_command *command, const uint8_t *data,
                      size_t len)
{
    command->data = data;
    command->len = len;
}

static void take_context(struct weir_zmtp_command *command, const uint8_t *data,
                         size_t len)
{
    take_rest(command, data,
              len < WEIR_ZMTP_CONTEXT_MAX ? len : WEIR_ZMTP_CONTEXT_MAX);
}

static int read_rest(const uint8_t *data, size_t len,
                     struct weir_zmtp_command *command)
{
    take_rest(command, data, len);
    return 0;
}

static int read_error(const uint8_t *data, size_t len,
                      struct weir_zmtp_command *command)
{
    if (len < 1 || data[0] != len - 1)
        command->kind = WEIR_ZMTP_IGNORE;
    else
        take_rest(command, data + 1, len - 1);
    return 0;
}

/* In 32 bits: a TTL of 655.36 s and more must not wrap. */
static int read_ping(const uint8_t *data, size_t len,
                     struct weir_zmtp_command *command)
{
    if (len < 2)
        return weir_fail(EPROTO, "PING of %zu octets has no TTL",
                         len + strlen("#PING"));
    command->ttl = ((uint32_t)data[0] << 8 | data[1]) * 100;
    take_context(command, data + 2, len - 2);
    return 0;
}

static int read_pong(const uint8_t *data, size_t len,
                     struct weir_zmtp_command *command)
{
    take_context(command, data, len);
    return 0;
}

static const struct kind {
    const char *name;
    enum weir_zmtp_kind kind;
    int (*read)(const uint8_t *data, size_t len,
                struct weir_zmtp_command *command);
} kinds[] = {
    {"READY", WEIR_ZMTP_IS_READY, read_rest},
    {"ERROR", WEIR_ZMTP_IS_ERROR, read_error},
    {"PING", WEIR_ZMTP_IS_PING, read_ping},
    {"PONG", WEIR_ZMTP_IS_PONG, read_pong},
    {"SUBSCRIBE", WEIR_ZMTP_IS_SUBSCRIBE, read_rest},
    {"CANCEL", WEIR_ZMTP_IS_CANCEL, read_rest},
    {"JOIN", WEIR_ZMTP_IS_JOIN, read_rest},
    {"LEAVE", WEIR_ZMTP_IS_LEAVE, read_rest},
};

static const struct kind *find_kind(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].name) == len &&
            memcmp(kinds[i].name, name, len) == 0)
            return &kinds[i];
    }
    return NULL;
}

int weir_zmtp_get_command(const void *body, size_t len,
                          struct weir_zmtp_command *command)
{
    const uint8_t *octets = body;
    const struct kind *kind;
    struct weir_zmtp_command found = {.kind = WEIR_ZMTP_IGNORE};
    size_t head;
    int rc;

    *command = found;
    if (len < 1 || len < 1 + (size_t)octets[0])
        return 0;
    kind = find_kind(octets + 1, octets[0]);
    if (kind == NULL)
        return 0;
    head = 1 + (size_t)octets[0];
    found.kind = kind->kind;
    rc = kind->read(octets + head, len - head, &found);
    if (rc == 0)
        *command = found;
    return rc;
}

void weir_zmtp_get_subscription(const void *body, size_t len,
                                struct weir_zmtp_command *command)
{
    const uint8_t *octets = body;

    *command = (struct weir_zmtp_command){.kind = WEIR_ZMTP_IGNORE};
    if (len < 1 || octets[0] > 1)
        return;
    command->kind = octets[0] ? WEIR_ZMTP_IS_SUBSCRIBE : WEIR_ZMTP_IS_CANCEL;
    take_rest(command, octets + 1, len - 1);
}

int weir_zmtp_error_status(const void *reason, size_t len)
{
    static const int statuses[] = {300, 400, 500};
    const char *digits = reason;

    if (len != 3 || digits[1] != '0' || digits[2] != '0')
        return 0;
    return digits[0] >= '3' && digits[0] <= '5' ? statuses[digits[0] - '3'] : 0;
}

/* ---- writing */

static size_t put_name(uint8_t *p, const char *name)
{
    size_t len = strlen(name);

    p[0] = (uint8_t)len;
    memcpy(p + 1, name, len);
    return 1 + len;
}

/* Header and name of a command with `len` octets of data. */
static size_t put_head(uint8_t *p, const char *name, size_t len)
{
    size_t octets =
        weir_zmtp_put_header(p, 1 + strlen(name) + len, WEIR_ZMTP_COMMAND);

    return octets + put_name(p + octets, name);
}

static size_t put_data(uint8_t *p, const void *data, size_t len)
{
    if (len > 0)
        memcpy(p, data, len);
    return len;
}

static size_t cut(size_t len, size_t most)
{
    return len < most ? len : most;
}

size_t weir_zmtp_put_ping(uint8_t *p, uint32_t ttl, const void *context,
                          size_t len)
{
    size_t context_len = cut(len, WEIR_ZMTP_CONTEXT_MAX);
    size_t tenths = cut(ttl / 100, 0xFFFF);
    size_t octets = put_head(p, "PING", 2 + context_len);

    p[octets++] = (uint8_t)(tenths >> 8);
    p[octets++] = (uint8_t)tenths;
    return octets + put_data(p + octets, context, context_len);
}

size_t weir_zmtp_put_pong(uint8_t *p, const void *context, size_t len)
{
    size_t context_len = cut(len, WEIR_ZMTP_CONTEXT_MAX);
    size_t octets = put_head(p, "PONG", context_len);

    return octets + put_data(p + octets, context, context_len);
}

size_t weir_zmtp_put_error(uint8_t *p, const char *reason)
{
    size_t len = cut(strlen(reason), 255);
    size_t octets = put_head(p, "ERROR", 1 + len);

    p[octets++] = (uint8_t)len;
    return octets + put_data(p + octets, reason, len);
}

static const char *subscription_name(bool subscribe)
{
    return subscribe ? "SUBSCRIBE" : "CANCEL";
}

size_t weir_zmtp_subscription_size(enum weir_zmtp_generation generation,
                                   bool subscribe, size_t topic_len)
{
    if (generation < WEIR_ZMTP_3_1)
        return 1 + topic_len;
    return 1 + strlen(subscription_name(subscribe)) + topic_len;
}

unsigned weir_zmtp_put_subscription(uint8_t *body,
                                    enum weir_zmtp_generation generation,
                                    bool subscribe, const void *topic,
                                    size_t topic_len)
{
    if (generation < WEIR_ZMTP_3_1) {
        body[0] = subscribe;
        (void)put_data(body + 1, topic, topic_len);
        return 0;
    }
    body += put_name(body, subscription_name(subscribe));
    (void)put_data(body, topic, topic_len);
    return WEIR_ZMTP_COMMAND;
}

int weir_zmtp_header_fail(const uint8_t *p, uint64_t limit)
{
    uint64_t size =
        p[0] & WEIR_ZMTP_LONG ? weir_zmtp_get_u64(p + 1) : (uint64_t)p[1];

    if (size >> 63)
        return weir_fail(EPROTO, "a frame claims %016llX octets",
                         (unsigned long long)size);
    return weir_fail(EMSGSIZE, "a frame of %llu octets is over %llu",
                     (unsigned long long)size, (unsigned long long)limit);
}
