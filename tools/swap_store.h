/*
 * swap_store.h - the durable stores in a folder, their queues, and the
 * messages in these, without the sockets that they were of.
 * Above: swap.c, swap_drain.c.  Below: plugins, <weir/store.h>.
 */
#ifndef WEIR_TOOLS_SWAP_STORE_H
#define WEIR_TOOLS_SWAP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/store.h>
#include <weir/weir.h>

#define WEIR_SWAP_NAME  256 /* room for a queue's name */
#define WEIR_SWAP_STORE 64  /* and for a store's */

/* A queue that a store says is there. */
struct weir_swap_queue {
    const weir_store_ops *ops;
    char store[WEIR_SWAP_STORE], name[WEIR_SWAP_NAME];
};

/* All that is in a folder; all zero is none. */
struct weir_swap_list {
    struct weir_swap_queue *items;
    size_t count, room;
    char stores[256]; /* those that were asked, as words */
};

/* Ask all stores there are, or the one of that name, which may be NULL, for
 * the queues in a folder, in the order of their names.
 * Returns 0, or an exit code after a complaint. */
int weir_swap_list_fill(struct weir_swap_list *list, const char *dir,
                        const char *store);
void weir_swap_list_fini(struct weir_swap_list *list);

/* The queue of that name, or without one the only one there is.  NULL after a
 * complaint. */
const struct weir_swap_queue *
weir_swap_list_find(const struct weir_swap_list *list, const char *dir,
                    const char *name);

/* Whether a queue that was found is still there. */
bool weir_swap_is_there(const char *dir, const struct weir_swap_queue *queue);

/* An opened queue. */
struct weir_swap {
    const struct weir_swap_queue *queue;
    void *self;
    char text[512]; /* what the last call of the store said */
    weir_error error;
};

/* Open a queue that is there.  Returns 0, or -errno with `text` filled. */
int weir_swap_open(struct weir_swap *swap, const char *dir,
                   const struct weir_swap_queue *queue);

/* keep: what is not done stays. */
void weir_swap_close(struct weir_swap *swap, bool keep);

weir_store_stat weir_swap_stat(const struct weir_swap *swap);

/* A block as the queue has it, less what is consumed. */
struct weir_swap_block {
    weir_block head;
    uint32_t consumed;
    unsigned char *octets; /* of the whole block */
    size_t at;             /* where the next message begins */
    uint64_t next;         /* its sequence number */
};

/* The next block.  `octets` are read if `read`; the caller frees them.
 * Returns 1, 0 if there are no more, or -errno with `text` filled. */
int weir_swap_next(struct weir_swap *swap, bool read,
                   struct weir_swap_block *block);

/* Read the octets of a block; the caller frees them.
 * Returns 1, or -errno with `text` filled: -EIO, -EILSEQ and -EBADMSG, the
 * block is damaged. */
int weir_swap_read(struct weir_swap *swap, struct weir_swap_block *block);

/* Take the next message of a block into an initialised, empty one.
 * Returns 1, 0 at the end, or -EBADMSG if these are no messages. */
int weir_swap_message(struct weir_swap_block *block, weir_message *message);

/* All messages of the block are consumed. */
int weir_swap_done(struct weir_swap *swap, const struct weir_swap_block *block);

#endif
