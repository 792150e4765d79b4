/*
 * address.h - HOST:PORT and SRC:SPORT;HOST:PORT, as text and as numbers.
 *
 * Parsing is pure: no name is looked up and no descriptor is opened.
 * Above: listen.c, dial.c.  Below: libc.
 */
#ifndef WEIR_TCP_ADDRESS_H
#define WEIR_TCP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <weir/transport.h>

#define WEIR_TCP_HOST_MAX  253 /* octets of a name */
#define WEIR_TCP_ZONE_MAX  63
#define WEIR_TCP_TEXT_ROOM 128 /* of weir_tcp_text() */

union weir_tcp_number {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum weir_tcp_kind {
    WEIR_TCP_ANY,     /* "*" */
    WEIR_TCP_NUMERIC, /* 192.0.2.1, [2001:db8::1], [fe80::1%eth0] */
    WEIR_TCP_NAME     /* a DNS name or, where we bind, an interface's */
};

/* One HOST:PORT.  Port 0: any free one. */
struct weir_tcp_host {
    enum weir_tcp_kind kind;
    uint16_t port;
    union weir_tcp_number number;     /* NUMERIC: with the port */
    char name[WEIR_TCP_HOST_MAX + 1]; /* without brackets and zone */
    char zone[WEIR_TCP_ZONE_MAX + 1]; /* what follows '%', "" = nothing */
};

/* What to dial. */
struct weir_tcp_target {
    struct weir_tcp_host host, source;
    bool has_source;
};

/* Parse what to bind.  host->fail() gets a sentence with the whole address
 * and the part of it that is wrong.
 * Errors: -EINVAL. */
int weir_tcp_parse_bind(const weir_host *host, const char *address,
                        struct weir_tcp_host *out, weir_error *error);

/* Parse what to dial.  Neither "*" nor port 0 can be dialed; a source may
 * have both.  Errors: -EINVAL. */
int weir_tcp_parse_dial(const weir_host *host, const char *address,
                        struct weir_tcp_target *out, weir_error *error);

/* Octets of a number for bind() and connect(). */
socklen_t weir_tcp_size(const union weir_tcp_number *number);

uint16_t weir_tcp_port(const union weir_tcp_number *number);
void weir_tcp_set_port(union weir_tcp_number *number, uint16_t port);

/* The unspecified address of a family. */
void weir_tcp_unspecified(union weir_tcp_number *number, int family,
                          uint16_t port);
bool weir_tcp_is_unspecified(const union weir_tcp_number *number);

/* Are these one address, apart from the port? */
bool weir_tcp_same_host(const union weir_tcp_number *a,
                        const union weir_tcp_number *b);

/* Write "192.0.2.1:80" or "[fe80::1%eth0]:80"; an IPv4 address that came
 * through an IPv6 socket is written as IPv4.  Returns `text`. */
const char *weir_tcp_text(const union weir_tcp_number *number, char *text,
                          size_t room);

#endif
