/*
 * segment.h - the files that a store_file keeps its blocks in.
 *
 * They have no name.  Space is set aside when one is made, so that a full disk
 * shows there.
 * Above: store_file.c.  Below: libc.
 * Thread: whichever has the store, one at a time.
 */
#ifndef WEIR_STORE_FILE_SEGMENT_H
#define WEIR_STORE_FILE_SEGMENT_H

#include <weir/store.h>

#include <stddef.h>

/* Where the files of one queue are. */
struct weir_segment_folder {
    const weir_host *host;
    int fd;
    const char *path; /* the caller's */
};

struct weir_segment {
    struct weir_segment *next; /* the younger one */
    uint64_t size;             /* octets set aside */
    uint64_t end;              /* octets written */
    uint64_t blocks;           /* kept in it */
    int fd;
};

/* Open the folder; it may be one that others put theirs into.  The caller
 * closes folder->fd, which is -1 or open after a failure too.
 * Errors: -EACCES others may change what is in it, and what open() says. */
int weir_segment_open_folder(struct weir_segment_folder *folder,
                             weir_error *error);

/* Make a segment.  The caller drops it.
 * Errors: -ENOSPC, -ENOMEM, and what open() says. */
int weir_segment_make(const struct weir_segment_folder *folder, uint64_t size,
                      struct weir_segment **out, weir_error *error);

/* Close a segment, and free it: the system has its space again. */
void weir_segment_drop(struct weir_segment *segment);

/* Write, or read, all of it at an offset.  Interrupted and short calls go on.
 * Errors: what the system says; -EIO the file ends too early. */
int weir_segment_write(const struct weir_segment *segment, const void *data,
                       size_t size, uint64_t at);
int weir_segment_read(const struct weir_segment *segment, void *data,
                      size_t size, uint64_t at);

/* A sentence "DIR: WHAT: reason" about an errno value.  Returns -code. */
int weir_segment_fail(const struct weir_segment_folder *folder,
                      weir_error *error, int code, const char *what);

#endif
