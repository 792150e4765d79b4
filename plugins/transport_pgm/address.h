/*
 * address.h - IFACE;GROUP[,GROUP...][;SEND]:PORT, as text and as numbers.
 *
 * Parsing is pure: no interface is looked for and no descriptor is opened.
 * Above: transport_pgm.c, interface.c, session.c.  Below: libc.
 */
#ifndef WEIR_PGM_ADDRESS_H
#define WEIR_PGM_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <weir/transport.h>

#define WEIR_PGM_INTERFACE_ROOM 64 /* octets of its text with the NUL */
#define WEIR_PGM_GROUPS         20 /* what openpgm can join */

union weir_pgm_number {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

struct weir_pgm_address {
    char interface[WEIR_PGM_INTERFACE_ROOM]; /* "" = the system's choice */
    union weir_pgm_number groups[WEIR_PGM_GROUPS];
    int n_groups;
    union weir_pgm_number send; /* where a publisher sends to */
    int family;                 /* of all groups */
    uint16_t port;
};

/* Parse what to bind or dial.  host->fail() gets a sentence with the whole
 * address and the part of it that is wrong.
 * Errors: -EINVAL. */
int weir_pgm_parse(const weir_host *host, const char *scheme,
                   const char *address, struct weir_pgm_address *out,
                   weir_error *error);

/* Are these one address, apart from the port? */
bool weir_pgm_same(const union weir_pgm_number *a,
                   const union weir_pgm_number *b);

/* Octets of a number for bind() and connect(). */
socklen_t weir_pgm_size(const union weir_pgm_number *number);

/* Write a number without its port.  Returns `text`. */
const char *weir_pgm_text(const union weir_pgm_number *number, char *text,
                          size_t room);

#endif
