/* address.c - parsing and writing addresses of groups. */
#include "config.h"

#include "address.h"

#include "../common/system.h"

#include <arpa/inet.h>

#define PORT_MAX 65535

/* A part of the address under way. */
struct token {
    const char *at;
    size_t size;
};

/* What is parsed, and where complaints go. */
struct parser {
    const weir_host *host;
    const char *scheme, *address;
    weir_error *error;
};

static int complain(const struct parser *parser, const char *what,
                    struct token token, const char *rule)
{
    return parser->host->fail(parser->error, EINVAL, "%s://%s: %s \"%.*s\" %s",
                              parser->scheme, parser->address, what,
                              (int)token.size, token.at, rule);
}

/* Cut a token off at the first `mark`; without one it is all of the rest. */
static struct token cut(struct token *rest, char mark)
{
    const char *end = memchr(rest->at, mark, rest->size);
    struct token token = *rest;

    if (end)
        token.size = (size_t)(end - rest->at);
    rest->at += token.size + (end != NULL);
    rest->size -= token.size + (end != NULL);
    return token;
}

/* ------------------------------------------------------------ numbers -- */

bool weir_pgm_same(const union weir_pgm_number *a,
                   const union weir_pgm_number *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) ==
           0;
}

socklen_t weir_pgm_size(const union weir_pgm_number *number)
{
    return number->any.sa_family == AF_INET ? sizeof number->v4
                                            : sizeof number->v6;
}

const char *weir_pgm_text(const union weir_pgm_number *number, char *text,
                          size_t room)
{
    const void *from = number->any.sa_family == AF_INET
                           ? (const void *)&number->v4.sin_addr
                           : (const void *)&number->v6.sin6_addr;

    if (!inet_ntop(number->any.sa_family, from, text, (socklen_t)room))
        text[0] = '\0';
    return text;
}

/* IPv6 may stand in brackets. */
static bool parse_number(struct token token, union weir_pgm_number *out)
{
    char text[INET6_ADDRSTRLEN];

    if (token.size > 2 && token.at[0] == '[' &&
        token.at[token.size - 1] == ']') {
        token.at++;
        token.size -= 2;
    }
    if (token.size >= sizeof text)
        return false;
    memcpy(text, token.at, token.size);
    text[token.size] = '\0';
    memset(out, 0, sizeof *out);
    out->any.sa_family = AF_INET;
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1)
        return true;
    out->any.sa_family = AF_INET6;
    return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1;
}

static bool is_multicast(const union weir_pgm_number *number)
{
    if (number->any.sa_family == AF_INET)
        return IN_MULTICAST(ntohl(number->v4.sin_addr.s_addr));
    return IN6_IS_ADDR_MULTICAST(&number->v6.sin6_addr);
}

/* ------------------------------------------------------------- groups -- */

static int parse_group(const struct parser *parser, struct token token,
                       const struct weir_pgm_address *beside,
                       union weir_pgm_number *out)
{
    if (!parse_number(token, out))
        return complain(parser, "group", token,
                        "is neither an IPv4 nor an IPv6 address");
    if (!is_multicast(out))
        return complain(parser, "group", token, "is not a multicast address");
    if (beside->n_groups && out->any.sa_family != beside->family)
        return complain(parser, "group", token,
                        "is of another family than the one before it");
    return 0;
}

static int add_group(const struct parser *parser, struct token token,
                     struct weir_pgm_address *out)
{
    union weir_pgm_number *group = &out->groups[out->n_groups];
    int rc;

    if (out->n_groups == WEIR_PGM_GROUPS)
        return complain(parser, "group", token, "is one more than 20");
    rc = parse_group(parser, token, out, group);
    if (rc < 0)
        return rc;
    for (int i = 0; i < out->n_groups; i++)
        if (weir_pgm_same(group, &out->groups[i]))
            return complain(parser, "group", token, "is there twice");
    out->family = group->any.sa_family;
    out->n_groups++;
    return 0;
}

static int parse_groups(const struct parser *parser, struct token list,
                        struct weir_pgm_address *out)
{
    struct token rest = list;
    int rc;

    do {
        struct token token = cut(&rest, ',');

        rc = add_group(parser, token, out);
    } while (rc == 0 && rest.at <= list.at + list.size && rest.at[-1] == ',');
    return rc;
}

/* ------------------------------------------------------------ the whole -- */

/* Digits without a leading zero, which some would read as octal. */
static int parse_port(const struct parser *parser, struct token token,
                      uint16_t *out)
{
    long value = weir_common_number(token.at, token.size, 10);

    if (value < 1 || value > PORT_MAX || token.at[0] == '0')
        return complain(parser, "port", token,
                        "is not a number from 1 to 65535");
    *out = (uint16_t)value;
    return 0;
}

static int parse_interface(const struct parser *parser, struct token token,
                           char out[WEIR_PGM_INTERFACE_ROOM])
{
    if (token.size >= WEIR_PGM_INTERFACE_ROOM)
        return complain(parser, "interface", token, "is too long a name");
    memcpy(out, token.at, token.size);
    out[token.size] = '\0';
    return 0;
}

/* IFACE;GROUPS or IFACE;GROUPS;SEND. */
static int parse_network(const struct parser *parser, struct token network,
                         struct weir_pgm_address *out)
{
    struct token rest = network, name = cut(&rest, ';'), groups;
    bool more;
    int rc;

    if (name.size == network.size)
        return complain(parser, "address", network,
                        "has no group; want INTERFACE;GROUP:PORT");
    groups = cut(&rest, ';');
    more = groups.at + groups.size < network.at + network.size;
    rc = parse_interface(parser, name, out->interface);
    if (rc == 0)
        rc = parse_groups(parser, groups, out);
    if (rc < 0)
        return rc;
    out->send = out->groups[0];
    return more ? parse_group(parser, rest, out, &out->send) : 0;
}

int weir_pgm_parse(const weir_host *host, const char *scheme,
                   const char *address, struct weir_pgm_address *out,
                   weir_error *error)
{
    const struct parser parser = {host, scheme, address, error};
    const char *colon = strrchr(address, ':');
    struct token network = {address, strlen(address)}, port;
    int rc;

    memset(out, 0, sizeof *out);
    if (!colon || strchr(colon, ']') || strchr(colon, ';'))
        return complain(&parser, "address", network,
                        "has no port; want INTERFACE;GROUP:PORT");
    port = (struct token){colon + 1, strlen(colon + 1)};
    network.size = (size_t)(colon - address);
    rc = parse_network(&parser, network, out);
    return rc < 0 ? rc : parse_port(&parser, port, &out->port);
}
