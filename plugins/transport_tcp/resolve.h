/*
 * resolve.h - from a parsed host to the addresses it stands for.
 *
 * Above: listen.c (inside the application's call), dial.c (in a job).
 * Below: address.h, the system's resolver.
 */
#ifndef WEIR_TCP_RESOLVE_H
#define WEIR_TCP_RESOLVE_H

#include "address.h"

/* Addresses in the order in which they are to be tried. */
struct weir_tcp_list {
    union weir_tcp_number *items;
    size_t n;
};

/* Does finding the addresses of this host take a resolver, which may block? */
bool weir_tcp_must_wait(const struct weir_tcp_host *host);

/* Find the addresses of a host, each with its port; at least one on success.
 * "*" gives the unspecified address of IPv4 and then that of IPv6.  With
 * `local` a name may be that of an interface, which goes before DNS.
 * Thread: any; may block if weir_tcp_must_wait().
 * Errors: -ENODEV no such zone, or nothing of that name; -ENOMEM; what the
 * system says.  *why gets constant words, or NULL: those of the code do. */
int weir_tcp_resolve(const struct weir_tcp_host *host, bool local,
                     struct weir_tcp_list *out, const char **why);

void weir_tcp_list_fini(struct weir_tcp_list *list);

#endif
