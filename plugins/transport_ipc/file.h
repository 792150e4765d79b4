/*
 * file.h - the file of a bound socket: claimed, given its access, removed.
 *
 * A path belongs to whoever accepts there.  A socket file that nobody accepts
 * at is left over and gets replaced; anything else is never touched.
 * Above: transport_ipc.c.  Below: address.h, the file system.
 */
#ifndef WEIR_IPC_FILE_H
#define WEIR_IPC_FILE_H

#include <sys/types.h>

#include "address.h"

/* Who may connect; what the application asked for. */
struct weir_ipc_access {
    bool has_mode, has_group;
    mode_t mode;
    gid_t group;
};

/* A file that is ours. */
struct weir_ipc_file {
    char *path;   /* absolute; NULL: none */
    char *folder; /* the private folder it is in; NULL: none */
    dev_t device; /* which file it was when we made it */
    ino_t inode;
};

/* Read the options "mode" and "group".
 * Errors: -EINVAL; -ENOENT no such group. */
int weir_ipc_access_read(const weir_host *host, const weir_ep *ep,
                         struct weir_ipc_access *out, weir_error *error);

/* Bind `fd` to the address and listen.  A wildcard address becomes the path
 * that was made for it.  `text` is the address as the application wrote it.
 * Thread: any; may block briefly.
 * Errors: -EADDRINUSE somebody accepts there; -EEXIST something else is
 * there; -EBUSY the folder is locked for long; what the system says. */
int weir_ipc_file_claim(const weir_host *host, const char *text, int fd,
                        int backlog, struct weir_ipc_address *address,
                        const struct weir_ipc_access *access,
                        struct weir_ipc_file *out, weir_error *error);

/* Remove the file, if it is still ours, and its private folder.  To be called
 * before the descriptor is closed: as long as we listen nobody takes the file
 * for a left-over. */
void weir_ipc_file_release(struct weir_ipc_file *file);

#endif
