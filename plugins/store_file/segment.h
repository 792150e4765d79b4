/*
 * segment.h - the files that a store_file keeps its blocks in.
 *
 * A spill's segment has no name; a durable one is QUEUE.NUMBER.weir.  Space
 * is set aside when a segment is made, so that a full disk shows there.
 * Above: store_file.c.  Below: libc.
 * Thread: whichever has the store, one at a time.
 */
#ifndef WEIR_STORE_FILE_SEGMENT_H
#define WEIR_STORE_FILE_SEGMENT_H

#include <weir/store.h>

#include <stdbool.h>
#include <stddef.h>

#define WEIR_SEGMENT_NAME 256 /* octets of a file's name and its NUL */

/* The files of one queue. */
struct weir_segment_folder {
    const weir_host *host;
    int fd;
    const char *path, *queue; /* the caller's */
};

struct weir_segment {
    struct weir_segment *next; /* the younger one */
    uint64_t number;
    uint64_t size;   /* octets set aside */
    uint64_t end;    /* octets written */
    uint64_t blocks; /* kept in it */
    int fd;
    bool named, dirty;
};

/* Open the folder.  For files with names it has to be ours and closed to all
 * others; for those without it may be one that others put theirs into.  The
 * caller closes folder->fd, which is -1 or open after a failure too.
 * Errors: -EACCES it is none of these, and what open() says. */
int weir_segment_open_folder(struct weir_segment_folder *folder, bool named,
                             weir_error *error);

/* The name of a durable segment. */
void weir_segment_name(const struct weir_segment_folder *folder,
                       uint64_t number, char name[WEIR_SEGMENT_NAME]);

/* Make a segment; without a name unless `named`.  The caller drops it.
 * Errors: -ENOSPC, -ENOMEM, and what open() says. */
int weir_segment_make(const struct weir_segment_folder *folder, uint64_t number,
                      uint64_t size, bool named, struct weir_segment **out,
                      weir_error *error);

/* Close a segment; remove its name if it has one and `remove`.
 * Returns 0 or what unlink() says, negated; it is freed all the same. */
int weir_segment_drop(const struct weir_segment_folder *folder,
                      struct weir_segment *segment, bool remove);

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
