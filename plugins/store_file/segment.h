/*
 * segment.h - the files that a store_file keeps its blocks in.
 *
 * Those of a spill have no name.  Those of a durable queue have a number, and
 * begin with a head that says so.  Space is set aside when one is made, so
 * that a full disk shows there.
 * Above: store_file.c, recover.c.  Below: record.h, libc.
 * Thread: whichever has the store, one at a time.
 */
#ifndef WEIR_STORE_FILE_SEGMENT_H
#define WEIR_STORE_FILE_SEGMENT_H

#include <weir/store.h>

#include <stdbool.h>
#include <stddef.h>

#define WEIR_SEGMENT_PAGE UINT64_C(4096) /* what a file system hands out */
#define WEIR_SEGMENT_NAME 32             /* room for a file's name */

/* Where the files of one queue are. */
struct weir_segment_folder {
    const weir_host *host;
    int fd;
    const char *path; /* the caller's */
    bool named;       /* its segments have names */
    bool changed;     /* names, since the last weir_segment_sync() */
    int64_t push_at;  /* ns, monotonic: nothing is pushed before */
};

struct weir_segment {
    struct weir_segment *next; /* the younger one */
    const weir_host *host;
    uint64_t number; /* its name; 0: none */
    uint64_t size;   /* octets set aside */
    uint64_t end;    /* octets written */
    uint64_t pushed; /* of these, not to be pushed any more */
    uint64_t blocks; /* kept in it */
    int fd;
    bool dirty;  /* may have been written to since the last sync */
    bool unread; /* the disk kept back a head: nothing of the file is cut off,
                    and it stays, for whoever opens it next */
};

/* Octets in whole pages. */
static inline uint64_t weir_segment_pages(uint64_t octets)
{
    return (octets + WEIR_SEGMENT_PAGE - 1) & ~(WEIR_SEGMENT_PAGE - 1);
}

/* Open the folder of a spill; it may be one that others put theirs into.  The
 * caller closes folder->fd, which is -1 or open after a failure too.
 * Errors: -EACCES others may change what is in it, and what open() says. */
int weir_segment_open_folder(struct weir_segment_folder *folder,
                             weir_error *error);

/* Make a segment, with that number for a name if the folder's have names.  The
 * caller drops it.
 * Errors: -ENOSPC, -ENOMEM, and what open() says; nothing of it is left. */
int weir_segment_make(struct weir_segment_folder *folder, uint64_t number,
                      uint64_t size, struct weir_segment **out,
                      weir_error *error);

/* Open a segment that is there.  end is 0, size what the disk has set aside,
 * *length the file's length.  It is dirty: who wrote it may never have synced.
 * The caller closes it, or removes it.
 * Errors: -EINVAL it is no file of ours; -ENOMEM; what open() says. */
int weir_segment_open(const struct weir_segment_folder *folder, uint64_t number,
                      struct weir_segment **out, uint64_t *length,
                      weir_error *error);

/* Remove a segment's name, if it has one.
 * Errors: what the system says. */
int weir_segment_remove(struct weir_segment_folder *folder,
                        const struct weir_segment *segment);

/* Close a segment, and free it: without a name, the system has its space. */
void weir_segment_drop(struct weir_segment *segment);

/* Give back what is set aside beyond `end`, and is there of a block that
 * failed; `size` says what is left.
 * Errors: what the system says. */
int weir_segment_trim(struct weir_segment *segment);

/* Write, or read, all of it at an offset.  Interrupted and short calls go on.
 * Errors: what the system says; -EIO the file ends too early. */
int weir_segment_write(struct weir_segment *segment, const void *data,
                       size_t size, uint64_t at);
int weir_segment_write_parts(struct weir_segment *segment,
                             const struct iovec *parts, int n, uint64_t at);
int weir_segment_read(const struct weir_segment *segment, void *data,
                      size_t size, uint64_t at);

/* Have the system begin to bring what was written to the disk, if that is much
 * already and there will be more of it: a long overflow is then on its way as
 * it comes, not all at once when the system's memory for it is used up.  Where
 * the disk is slow it is left to the system, which may keep it back for longer
 * than one who waits for the disk here. */
void weir_segment_push(struct weir_segment_folder *folder,
                       struct weir_segment *segment);

/* What was written to it survives a loss of power. */
int weir_segment_sync(struct weir_segment *segment);

/* The file name of a number, and the other way; 0: it is none. */
void weir_segment_name(uint64_t number, char name[WEIR_SEGMENT_NAME]);
uint64_t weir_segment_number(const char *name);

/* A sentence "DIR: WHAT: reason" about an errno value.  Returns -code. */
int weir_segment_fail(const struct weir_segment_folder *folder,
                      weir_error *error, int code, const char *what);

#endif
