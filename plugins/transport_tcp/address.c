/* address.c - parsing and writing addresses. */
#include "config.h"

#include "address.h"

#include "../common/system.h"

#include <arpa/inet.h>
#include <net/if.h>

#define PORT_MAX 65535

/* A part of the address under way. */
struct token {
    const char *at;
    size_t size;
};

/* What is parsed, and where complaints go. */
struct parser {
    const weir_host *host;
    const char *address;
    weir_error *error;
};

static int complain(const struct parser *parser, const char *what,
                    struct token token, const char *rule)
{
    return parser->host->fail(parser->error, EINVAL, "tcp://%s: %s \"%.*s\" %s",
                              parser->address, what, (int)token.size, token.at,
                              rule);
}

static bool is(struct token token, const char *text)
{
    return token.size == strlen(text) &&
           memcmp(token.at, text, token.size) == 0;
}

static long number(struct token token)
{
    return weir_common_number(token.at, token.size, 10);
}

/* Digits without a leading zero, which some would read as octal. */
static int parse_port(const struct parser *parser, struct token token, bool any,
                      uint16_t *out)
{
    long value = is(token, "*") ? 0 : number(token);

    if (value < 0 || value > PORT_MAX ||
        (token.size > 1 && token.at[0] == '0') || (value == 0 && !any))
        return complain(parser, "port", token,
                        any ? "is neither a number from 0 to 65535 nor *"
                            : "is not a number from 1 to 65535");
    *out = (uint16_t)value;
    return 0;
}

/* Write the octets of an address of a family to `to`. */
static bool parse_number(int family, struct token token, void *to)
{
    char text[INET6_ADDRSTRLEN];

    if (token.size >= sizeof text)
        return false;
    memcpy(text, token.at, token.size);
    text[token.size] = '\0';
    return inet_pton(family, text, to) == 1;
}

/* The zone of an IPv6 address: a number is taken now, a name when the address
 * is used, since interfaces come and go. */
static int parse_zone(const struct parser *parser, struct token token,
                      struct weir_tcp_host *out)
{
    if (token.size == 0 || token.size > WEIR_TCP_ZONE_MAX)
        return complain(parser, "zone", token,
                        "is neither an interface's name nor its number");
    memcpy(out->zone, token.at, token.size);
    out->zone[token.size] = '\0';
    if (number(token) > 0)
        out->number.v6.sin6_scope_id = (uint32_t)number(token);
    return 0;
}

static void keep_name(struct weir_tcp_host *out, struct token token)
{
    memcpy(out->name, token.at, token.size);
    out->name[token.size] = '\0';
}

static int parse_brackets(const struct parser *parser, struct token token,
                          struct weir_tcp_host *out)
{
    struct token inside = {token.at + 1, token.size - 2};
    const char *percent = memchr(inside.at, '%', inside.size);
    struct token zone = {percent ? percent + 1 : NULL, 0};

    if (percent) {
        zone.size = (size_t)(inside.at + inside.size - zone.at);
        inside.size = (size_t)(percent - inside.at);
    }
    out->kind = WEIR_TCP_NUMERIC;
    out->number.v6.sin6_family = AF_INET6;
    if (!parse_number(AF_INET6, inside, &out->number.v6.sin6_addr))
        return complain(parser, "host", token, "is not an IPv6 address");
    keep_name(out, inside);
    return percent ? parse_zone(parser, zone, out) : 0;
}

/* Only digits and dots: an IPv4 address, or nothing. */
static bool looks_numeric(struct token token)
{
    for (size_t i = 0; i < token.size; i++) {
        if (!strchr("0123456789.", token.at[i]))
            return false;
    }
    return true;
}

/* Names of interfaces have few rules of their own, so this refuses only what
 * has a meaning elsewhere in an address, and what nobody can read. */
static bool name_has(char c)
{
    return (unsigned char)c > ' ' && c != 127 &&
           !strchr("*%[]()<>{}/\\?#@;,:\"'`|&=", c);
}

/* Labels of 1 to 63 octets; one dot may stand at the end. */
static bool looks_like_name(struct token token)
{
    size_t label = 0;

    for (size_t i = 0; i < token.size; i++) {
        if (!name_has(token.at[i]))
            return false;
        if (token.at[i] != '.') {
            label++;
        } else if (label == 0) {
            return false;
        } else {
            label = 0;
        }
        if (label > 63)
            return false;
    }
    return true;
}

static int parse_name(const struct parser *parser, struct token token,
                      struct weir_tcp_host *out)
{
    if (memchr(token.at, ':', token.size))
        return complain(parser, "host", token,
                        "has a colon; IPv6 addresses stand in brackets");
    if (looks_numeric(token))
        return complain(parser, "host", token, "is not an IPv4 address");
    if (token.size > WEIR_TCP_HOST_MAX || !looks_like_name(token))
        return complain(parser, "host", token,
                        "is neither an address nor a name");
    out->kind = WEIR_TCP_NAME;
    keep_name(out, token);
    return 0;
}

static int parse_host(const struct parser *parser, struct token token, bool any,
                      struct weir_tcp_host *out)
{
    if (token.size == 0)
        return complain(parser, "host", token, "is empty");
    if (is(token, "*")) {
        out->kind = WEIR_TCP_ANY;
        keep_name(out, token);
        return any ? 0
                   : complain(parser, "host", token, "cannot be connected to");
    }
    if (token.size > 2 && token.at[0] == '[' && token.at[token.size - 1] == ']')
        return parse_brackets(parser, token, out);
    if (parse_number(AF_INET, token, &out->number.v4.sin_addr)) {
        out->kind = WEIR_TCP_NUMERIC;
        out->number.v4.sin_family = AF_INET;
        keep_name(out, token);
        return 0;
    }
    return parse_name(parser, token, out);
}

static const char *last(struct token token, char c)
{
    size_t i = token.size;

    while (i > 0) {
        if (token.at[--i] == c)
            return token.at + i;
    }
    return NULL;
}

/* HOST:PORT; `any` allows what only a local side can have. */
static int parse_pair(const struct parser *parser, struct token token, bool any,
                      struct weir_tcp_host *out)
{
    const char *colon = last(token, ':');
    struct token host = token, port;
    int rc;

    memset(out, 0, sizeof *out);
    if (!colon || memchr(colon, ']', (size_t)(token.at + token.size - colon)))
        return complain(parser, "address", token,
                        "has no port; it is HOST:PORT");
    host.size = (size_t)(colon - token.at);
    port.at = colon + 1;
    port.size = token.size - host.size - 1;
    rc = parse_host(parser, host, any, out);
    if (rc == 0)
        rc = parse_port(parser, port, any, &out->port);
    if (rc == 0 && out->kind == WEIR_TCP_NUMERIC)
        weir_tcp_set_port(&out->number, out->port);
    return rc;
}

int weir_tcp_parse_bind(const weir_host *host, const char *address,
                        struct weir_tcp_host *out, weir_error *error)
{
    struct parser parser = {host, address, error};
    struct token all = {address, strlen(address)};

    return parse_pair(&parser, all, true, out);
}

int weir_tcp_parse_dial(const weir_host *host, const char *address,
                        struct weir_tcp_target *out, weir_error *error)
{
    struct parser parser = {host, address, error};
    struct token all = {address, strlen(address)};
    const char *semicolon = last(all, ';');
    struct token source = {address, 0};
    int rc;

    memset(out, 0, sizeof *out);
    if (!semicolon)
        return parse_pair(&parser, all, false, &out->host);
    out->has_source = true;
    source.size = (size_t)(semicolon - address);
    all.at = semicolon + 1;
    all.size -= source.size + 1;
    rc = parse_pair(&parser, source, true, &out->source);
    return rc < 0 ? rc : parse_pair(&parser, all, false, &out->host);
}

socklen_t weir_tcp_size(const union weir_tcp_number *number)
{
    return number->any.sa_family == AF_INET6 ? sizeof number->v6
                                             : sizeof number->v4;
}

uint16_t weir_tcp_port(const union weir_tcp_number *number)
{
    return ntohs(number->any.sa_family == AF_INET6 ? number->v6.sin6_port
                                                   : number->v4.sin_port);
}

void weir_tcp_set_port(union weir_tcp_number *number, uint16_t port)
{
    if (number->any.sa_family == AF_INET6)
        number->v6.sin6_port = htons(port);
    else
        number->v4.sin_port = htons(port);
}

void weir_tcp_unspecified(union weir_tcp_number *number, int family,
                          uint16_t port)
{
    memset(number, 0, sizeof *number);
    number->any.sa_family = (sa_family_t)family;
    weir_tcp_set_port(number, port);
}

bool weir_tcp_is_unspecified(const union weir_tcp_number *number)
{
    union weir_tcp_number none;

    weir_tcp_unspecified(&none, number->any.sa_family, 0);
    return weir_tcp_same_host(number, &none);
}

bool weir_tcp_same_host(const union weir_tcp_number *a,
                        const union weir_tcp_number *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) ==
               0;
}

static void write_zone(uint32_t scope, char *text, size_t room)
{
    char name[IF_NAMESIZE];

    text[0] = '\0';
    if (scope == 0)
        return;
    if (if_indextoname(scope, name))
        snprintf(text, room, "%%%s", name);
    else
        snprintf(text, room, "%%%u", scope);
}

const char *weir_tcp_text(const union weir_tcp_number *number, char *text,
                          size_t room)
{
    char host[INET6_ADDRSTRLEN] = "?", zone[IF_NAMESIZE + 12] = "";
    const struct in6_addr *v6 = &number->v6.sin6_addr;
    uint16_t port = weir_tcp_port(number);

    if (number->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &number->v4.sin_addr, host, sizeof host);
        snprintf(text, room, "%s:%u", host, port);
    } else if (IN6_IS_ADDR_V4MAPPED(v6)) {
        (void)inet_ntop(AF_INET, &v6->s6_addr[12], host, sizeof host);
        snprintf(text, room, "%s:%u", host, port);
    } else {
        (void)inet_ntop(AF_INET6, v6, host, sizeof host);
        write_zone(number->v6.sin6_scope_id, zone, sizeof zone);
        snprintf(text, room, "[%s%s]:%u", host, zone, port);
    }
    return text;
}
