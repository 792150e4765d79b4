/*
 * store.h - plugin ABI 1: stores, where a queue's messages go on disk.
 *
 * A store keeps blocks.  A block is a row of packed frames as they lie in a
 * queue, with the number of messages that end in it; what is inside is the
 * host's business.  The host's own list keeps the order of the blocks, decides
 * when they are written, read and let go, and when to sync; the store keeps
 * octets and gives their space back.
 *
 * Two modes, never mixed up:
 *   spill    relieves memory.  Nothing is left after close() or a crash, not
 *            even a name in a folder.  recover() and sync() are not called.
 *   durable  open() finds what an earlier process left: all that was written
 *            before the last sync() that returned 0, and of later writes
 *            whichever are whole; a torn tail is dropped and counted.
 *
 * Thread tags (see plugin.h), and one more:
 *   [store] one thread at a time for that store, not always the same one;
 *           may block on the disk.
 * All calls of one opened store are [store], but for stat(), which is [any].
 * Different stores are called at the same time.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <weir/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_store_mode { WEIR_STORE_SPILL = 1, WEIR_STORE_DURABLE = 2 };

/* What to open.  Borrowed for the call. */
typedef struct weir_store_args {
    uint32_t size, mode; /* enum weir_store_mode */
    uint64_t budget;     /* octets on disk at most, overhead included */
    const char *dir;     /* an absolute path; the folder exists and is ours */
    const char *queue;   /* names the queue in it: 1 to 200 of A-Z a-z 0-9
                            - _ . ~ %, not beginning with a dot */
} weir_store_args;

/* FROZEN.  A block as recover() finds it. */
typedef struct weir_block {
    int64_t handle; /* as write() gave it, 0 or more */
    uint64_t first; /* sequence number of the first message that ends in it */
    uint64_t len;   /* octets */
    uint32_t messages; /* that end in it */
    uint32_t reserved;
} weir_block;

typedef struct weir_store_stat {
    uint32_t size;
    uint32_t failed;    /* an errno value: no write works any more; 0: well */
    uint64_t blocks;    /* kept now */
    uint64_t bytes;     /* of disk space in use now, overhead included */
    uint64_t recovered; /* messages found by open() */
    uint64_t torn;      /* octets that open() found in no whole block: of a torn
                           tail, which the first write or done drops, and of
                           gaps between blocks */
    /* What is left of the budget; where `each` is 0, as of a store that knows
     * neither, it does not say.  Several blocks have room if all their octets,
     * and `each` more for all but the first, are within `room`. */
    uint64_t room; /* octets that a block may have now */
    uint64_t each; /* octets that one takes beside its own now, at most */
} weir_store_stat;

typedef struct weir_store_ops {
    uint32_t size, modes;       /* bits 1 << WEIR_STORE_* of the modes it has */
    const weir_option *options; /* NULL, and none: they would be listed, but
                                   in this ABI nothing sets them and no call
                                   hands them to a store */
    uint32_t n_options, reserved;

    /* [ctl] Open a queue, make it if it is not there.  The store locks it:
     * -EBUSY names who has it. */
    int (*open)(const weir_host *host, const weir_store_args *args, void **self,
                weir_error *error);

    /* [store] Keep one block, all or nothing.  `messages` end in it, the
     * first of them has the sequence number `first`; numbers only grow.
     * Returns the block's handle.
     * Errors: -ENOSPC beyond the budget or no room on the disk, -EDQUOT,
     * -ENOMEM, -EMFILE, -ENFILE: nothing is kept, and a later write may work.
     * Any other: the disk cannot be relied on, and every later write fails the
     * same way; what was written before can be read as far as the disk lets
     * it. */
    int64_t (*write)(void *self, const struct iovec *parts, int n,
                     uint32_t messages, uint64_t first, weir_error *error);

    /* [store] Read a whole block back, as often as wanted until done().
     * Returns its octets.
     * Errors: -ERANGE `room` is too small; -EINVAL no such block; -EIO,
     * -EILSEQ the octets are not those that were written. */
    ssize_t (*read)(void *self, int64_t handle, void *data, size_t room,
                    weir_error *error);

    /* [store] The messages of the block up to the sequence number `through`
     * are consumed.  A block that is wholly consumed is gone, and its space
     * with the segment that it is in.  Blocks may go in any order.
     * Errors: -EINVAL no such block.  Any other: the block is as it was, or
     * comes back when the store is opened next. */
    int (*done)(void *self, int64_t handle, uint64_t through,
                weir_error *error);

    /* [store] Durable, after open() and before the first write: the blocks
     * found, oldest first, less those that are wholly consumed.  A block of
     * which some messages are consumed comes with their number in *consumed.
     * One that is damaged, and no torn tail, comes too, for read() to say so.
     * Nothing on disk has changed before the first write() or done(): who
     * only looks leaves all as it was.
     * Returns 1, or 0 when there are no more. */
    int (*recover)(void *self, weir_block *block, uint32_t *consumed,
                   weir_error *error);

    /* [store] Durable: all that was written and done so far survives a loss
     * of power.
     * Errors: -ENOSPC, -EDQUOT, -ENOMEM, -EMFILE, -ENFILE: a later sync may
     * work, and is for all that this one was for.  Where that is not certain,
     * as when the system has forgotten what it could not write, stat->failed is
     * set.  After any other, and after that, every later write fails too. */
    int (*sync)(void *self, weir_error *error);

    /* [any] Set by the caller: stat->size. */
    void (*stat)(void *self, weir_store_stat *stat);

    /* [store] Frees self.  Durable: what is not done stays, if `keep`;
     * otherwise nothing does.  A queue without blocks need not stay. */
    void (*close)(void *self, int keep);

    /* [any] Durable; may be NULL.  Call found(arg, queue) for each queue that
     * there is in a folder, in no order, until it returns other than 0.
     * Returns that, or 0, or an error.  Nothing is opened or changed. */
    int (*list)(const weir_host *host, const char *dir,
                int (*found)(void *arg, const char *queue), void *arg,
                weir_error *error);
} weir_store_ops;

#ifdef __cplusplus
}
#endif
#endif
