/*
 * address.h - what follows ipc://: a path, an abstract name or a wildcard.
 *
 * Above: transport_ipc.c.  Below: libc.
 */
#ifndef WEIR_IPC_ADDRESS_H
#define WEIR_IPC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <weir/transport.h>

/* The most octets of a path, and of an abstract name without its '@'. */
#define WEIR_IPC_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

enum weir_ipc_kind {
    WEIR_IPC_PATH,     /* /run/x, or relative to the working folder */
    WEIR_IPC_ABSTRACT, /* @x: Linux's names without files */
    WEIR_IPC_WILDCARD  /* *: a new path, for binding only */
};

struct weir_ipc_address {
    enum weir_ipc_kind kind;
    socklen_t size; /* of `un`, for bind() and connect() */
    struct sockaddr_un un;
};

/* Parse what to bind or to dial.  host->fail() gets a sentence.
 * Errors: -EINVAL; -ENAMETOOLONG; -EOPNOTSUPP abstract, not on Linux. */
int weir_ipc_parse(const weir_host *host, const char *address, bool binds,
                   struct weir_ipc_address *out, weir_error *error);

/* Make it the address of a path of at most WEIR_IPC_PATH_MAX octets. */
void weir_ipc_set_path(struct weir_ipc_address *address, const char *path);

#endif
