/*
 * interface.h - which interface of this machine an address means.
 *
 * Above: transport_pgm.c.  Below: getifaddrs().
 */
#ifndef WEIR_PGM_INTERFACE_H
#define WEIR_PGM_INTERFACE_H

#include "address.h"

struct weir_pgm_interface {
    unsigned index;
    union weir_pgm_number address; /* its own, of the groups' family */
};

/* Find the interface that address->interface names: by its name, its address,
 * or the network that it is in ("192.0.2.0/24", or the network's address
 * alone).  "": the one by which the system would send to the group.
 * openpgm aborts, or hears nothing, on an interface that cannot multicast, so
 * those are refused.
 * Errors: -ENODEV there is none; -EADDRNOTAVAIL it has no address of that
 * family; -EINVAL it cannot multicast; -ENETDOWN it is down; what the system
 * says.  The sentence names the interface. */
int weir_pgm_interface_find(const weir_host *host, const char *scheme,
                            const char *text,
                            const struct weir_pgm_address *address,
                            struct weir_pgm_interface *out, weir_error *error);

#endif
