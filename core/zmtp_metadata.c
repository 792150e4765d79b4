/*
 * zmtp_metadata.c - properties and socket types of ZMTP.
 * Above: zmtp.c, options and message properties.  Below: nothing.
 */
#include "config.h"

#include <string.h>

#include "base/error.h"
#include "zmtp.h"

/* ---- properties */

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9');
}

bool weir_zmtp_is_name(const void *name, size_t len)
{
    const uint8_t *at = name;

    for (size_t i = 0; i < len; i++) {
        if (!is_alphanumeric(at[i]) && at[i] != '-' && at[i] != '_' &&
            at[i] != '.' && at[i] != '+')
            return false;
    }
    return len > 0 && len < 256;
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           (uint32_t)p[3];
}

static int bad_name(const uint8_t *name, size_t len)
{
    char text[40];

    return weir_fail(EPROTO, "metadata has a property called \"%s\"",
                     weir_zmtp_printable(text, sizeof text, name, len));
}

/* Past the name: a value with its length in front. */
static int take_value(struct weir_zmtp_cursor *cursor, const uint8_t *at,
                      size_t left, struct weir_zmtp_property *property)
{
    uint32_t len;

    if (left < 4)
        return weir_fail(EPROTO, "metadata ends inside a value's length");
    len = get_u32(at);
    if (len > left - 4)
        return weir_fail(EPROTO,
                         "metadata claims a value of %lu octets, has %zu",
                         (unsigned long)len, left - 4);
    property->value = at + 4;
    property->value_len = len;
    cursor->at = at + 4 + len;
    cursor->left = left - 4 - len;
    return 1;
}

int weir_zmtp_next(struct weir_zmtp_cursor *cursor,
                   struct weir_zmtp_property *property)
{
    const uint8_t *at = cursor->at;
    struct weir_zmtp_property found;
    int rc;

    if (cursor->left == 0)
        return 0;
    found.name_len = at[0];
    found.name = (const char *)at + 1;
    if (found.name_len > cursor->left - 1)
        return weir_fail(EPROTO, "metadata ends inside a name");
    if (!weir_zmtp_is_name(at + 1, found.name_len))
        return bad_name(at + 1, found.name_len);
    rc = take_value(cursor, at + 1 + found.name_len,
                    cursor->left - 1 - found.name_len, &found);
    if (rc > 0)
        *property = found;
    return rc;
}

/* Without the locale, which must not change what the wire means. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool weir_zmtp_is(const struct weir_zmtp_property *property, const char *name)
{
    if (strlen(name) != property->name_len)
        return false;
    for (size_t i = 0; i < property->name_len; i++) {
        if (lower(name[i]) != lower(property->name[i]))
            return false;
    }
    return true;
}

int weir_zmtp_find(const void *metadata, size_t len, const char *name,
                   struct weir_zmtp_property *property)
{
    struct weir_zmtp_cursor cursor = weir_zmtp_cursor(metadata, len);
    struct weir_zmtp_property found;
    int rc;

    do {
        rc = weir_zmtp_next(&cursor, &found);
    } while (rc > 0 && !weir_zmtp_is(&found, name));
    if (rc > 0)
        *property = found;
    return rc;
}

static size_t put_octets(uint8_t *p, const void *octets, size_t len)
{
    if (len > 0)
        memcpy(p, octets, len);
    return len;
}

size_t weir_zmtp_put_property(uint8_t *p, const char *name, size_t name_len,
                              const void *value, size_t value_len)
{
    size_t octets = 0;

    p[octets++] = (uint8_t)name_len;
    octets += put_octets(p + octets, name, name_len);
    p[octets++] = (uint8_t)(value_len >> 24);
    p[octets++] = (uint8_t)(value_len >> 16);
    p[octets++] = (uint8_t)(value_len >> 8);
    p[octets++] = (uint8_t)value_len;
    return octets + put_octets(p + octets, value, value_len);
}

const char *weir_zmtp_printable(char *text, size_t room, const void *octets,
                                size_t len)
{
    const uint8_t *from = octets;
    size_t n = len < room ? len : room - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
    text[n] = '\0';
    return text;
}

/* ---- socket types */

#define MOST_PARTNERS 3

static const struct type {
    const char *name;
    bool announces_identity;
    const char *partners[MOST_PARTNERS];
} types[] = {
    {"REQ", true, {"REP", "ROUTER"}},
    {"REP", false, {"REQ", "DEALER"}},
    {"DEALER", true, {"REP", "DEALER", "ROUTER"}},
    {"ROUTER", true, {"REQ", "DEALER", "ROUTER"}},
    {"PUB", false, {"SUB", "XSUB"}},
    {"XPUB", false, {"SUB", "XSUB"}},
    {"SUB", false, {"PUB", "XPUB"}},
    {"XSUB", false, {"PUB", "XPUB"}},
    {"PUSH", false, {"PULL"}},
    {"PULL", false, {"PUSH"}},
    {"PAIR", false, {"PAIR"}},
    {"CHANNEL", false, {"CHANNEL"}},
    {"CLIENT", false, {"SERVER"}},
    {"SERVER", false, {"CLIENT"}},
    {"RADIO", false, {"DISH"}},
    {"DISH", false, {"RADIO"}},
    {"SCATTER", false, {"GATHER"}},
    {"GATHER", false, {"SCATTER"}},
    {"PEER", false, {"PEER"}},
};

static const struct type *find_type(const void *name, size_t len)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strlen(types[i].name) == len &&
            memcmp(types[i].name, name, len) == 0)
            return &types[i];
    }
    return NULL;
}

const char *weir_zmtp_type(const void *name, size_t len)
{
    const struct type *type = find_type(name, len);

    return type == NULL ? NULL : type->name;
}

bool weir_zmtp_compatible(const char *own, const char *peer)
{
    const struct type *type = find_type(own, strlen(own));

    if (type == NULL)
        return false;
    for (size_t i = 0; i < MOST_PARTNERS && type->partners[i] != NULL; i++) {
        if (strcmp(type->partners[i], peer) == 0)
            return true;
    }
    return false;
}

bool weir_zmtp_announces_identity(const char *type)
{
    const struct type *found = find_type(type, strlen(type));

    return found != NULL && found->announces_identity;
}
