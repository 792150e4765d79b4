/*
 * base.h - a queue's blocks in a database of liblmdb.
 *
 * Each function is a transaction of its own: it happens or it does not.
 * Errors are errno values, negated; what liblmdb says beyond those is EIO.
 * Above: store_lmdb.c.  Below: liblmdb, record of a block in base.c.
 * Thread: whichever has the store, one at a time.
 */
#ifndef WEIR_STORE_LMDB_BASE_H
#define WEIR_STORE_LMDB_BASE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <weir/store.h>

#define WEIR_BASE_ALL  UINT32_MAX /* consumed: the whole block */
#define WEIR_BASE_FILE "data.mdb"
#define WEIR_BASE_LOCK "lock.mdb"
#define WEIR_BASE_FDS  4 /* descriptors; liblmdb has three */

struct weir_base {
    MDB_env *env; /* NULL: not open */
    const weir_host *host;
    int fds[WEIR_BASE_FDS], n_fds; /* of the database */
    const char *folder;            /* the caller's */
    MDB_dbi about, blocks, consumed;
    size_t piece;        /* octets of a record that has a page of its own */
    uint64_t soft, hard; /* octets that writing, and letting go, may use */
    uint64_t reserve;    /* the difference, as long as the budget holds */
    bool freed;          /* pages wait for a later transaction to use them */
    bool settled; /* the caller has synced the folder with the file's name */
};

/* A block's head, and what of it is consumed. */
struct weir_base_head {
    uint64_t handle, first, len;
    uint32_t messages, consumed, crc;
};

/* What becomes of a block: consumed grows, or is WEIR_BASE_ALL. */
struct weir_base_mark {
    uint64_t handle;
    uint32_t consumed;
};

/* Open the database in a folder, which nobody else has open; it is made if it
 * is not there.  `budget` is how large its file may be.
 * Errors: -EINVAL it is a database of somebody else. */
int weir_base_open(struct weir_base *base, const weir_host *host,
                   const char *folder, uint64_t budget);

void weir_base_close(struct weir_base *base);

/* The first block with a handle of `from` or more.
 * Returns 1, 0 if there is none, or an error. */
int weir_base_next(struct weir_base *base, uint64_t from,
                   struct weir_base_head *head);

/* That block.  Returns 0, or -ENOENT. */
int weir_base_find(struct weir_base *base, uint64_t handle,
                   struct weir_base_head *head);

/* Its octets, all head->len of them, and the head.
 * Errors: -ENOENT; -ERANGE: the head is there. */
int weir_base_read(struct weir_base *base, uint64_t handle, void *data,
                   size_t room, struct weir_base_head *head);

/* Keep a block, whose head->len octets are in parts, and apply marks; *n_marks
 * is 0 when that is done, which it may be although the block is not kept.
 * Errors: -ENOSPC the budget is used up (*full) or the disk is. */
int weir_base_write(struct weir_base *base, const struct weir_base_head *head,
                    const struct iovec *parts,
                    const struct weir_base_mark *marks, int *n_marks,
                    bool *full);

/* Make the database anew, and keep a block in it.  None may be in the old one
 * but such as are wholly consumed.
 * Errors: as before. */
int weir_base_write_anew(struct weir_base *base,
                         const struct weir_base_head *head,
                         const struct iovec *parts, bool *full);

/* Apply marks. */
int weir_base_mark(struct weir_base *base, const struct weir_base_mark *marks,
                   int n_marks);

/* All that was committed survives a loss of power. */
int weir_base_sync(struct weir_base *base);

/* Octets of the file that are or were in use. */
uint64_t weir_base_size(const struct weir_base *base);

/* Octets of the pages that a block shares with no other, at least. */
uint64_t weir_base_own(const struct weir_base *base, uint64_t len);

/* Octets of the longest block that the budget has room for, and at most what
 * one takes beside its own.  empty: no block is there but such as are to go;
 * going: octets of the pages that those have for themselves. */
uint64_t weir_base_room(struct weir_base *base, bool empty, uint64_t going);
uint64_t weir_base_each(void);

#endif
