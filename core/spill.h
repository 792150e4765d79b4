/*
 * spill.h - messages above the high-water mark, on their way to a store and
 * back.
 * Above: queue_write.c, queue_read.c; pipe.c makes one.  Below: disks.h, the
 * store's plugin.
 *
 * A queue that has a spill and comes to its mark hides what is put from then
 * on: `published` stays where it is, so the consumer sees nothing of it, and
 * the credit of the producer is used up, so that each message comes by here.
 * What is hidden lies, oldest first, in
 *
 *   blocks     runs of whole messages that the producer has handed over; each
 *              is in memory or in the store
 *   the list   that the producer goes on with, from `head` to its tail
 *
 * A helper thread, one at a time for each spill, does two things.  While the
 * consumer has little before it, it shows the oldest block: reads it back if
 * need be, puts it behind the last chunk the consumer may see, and moves
 * `published`.  Otherwise it writes the oldest block that is still in memory.
 * When no block is left and the queue is down to half its mark, the producer
 * shows the list as well, and all is as before.
 *
 * So order needs no care: there is one line, and its parts never overtake.
 * Only the helper moves `published` while messages are hidden, and only the
 * producer begins and ends hiding.
 *
 * Locks: the spill's lock is a leaf, but for that of the disks.  It is never
 * held while the store is called.
 */
#ifndef WEIR_SPILL_H
#define WEIR_SPILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/store.h>

#include "base/list.h"
#include "base/lock.h"
#include "disks.h"

struct weir_queue;
struct weir_chunk;
struct weir_spill;

/* What a spill is made with.  Borrowed for the call. */
struct weir_spill_plan {
    const weir_store_ops *store;
    const weir_host *host;
    const char *dir; /* an absolute path */
    uint64_t budget; /* octets that may be hidden */
    /* There is news: the producer is to call weir_spill_news().  tell() is
     * called by any thread, with the spill's lock held; nudge() after it,
     * without, and possibly when the spill is gone. */
    void (*tell)(void *arg);
    void (*nudge)(void *other);
    void *arg, *other;
};

/* What the producer is told. */
struct weir_spill_news {
    bool room;          /* who waited to put may try again */
    bool trouble;       /* the store has failed since the last news */
    bool resumed;       /* it works again */
    int code;           /* a positive errno */
    char reason[256];   /* names the folder */
    uint64_t in_memory; /* octets that are hidden, and not in the store */
};

struct weir_spill {
    struct weir_lock lock;
    struct weir_queue *queue; /* NULL: it is gone */
    const weir_store_ops *ops;
    const weir_host *host;
    char *dir;
    uint64_t budget;
    void (*tell)(void *arg); /* NULL: nobody wants to know any more */
    void (*nudge)(void *other);
    void *arg, *other;
    struct weir_crew *crew;
    struct weir_disk_errand work, again;
    uint32_t refs; /* the queue's, and one for each errand under way */
    bool again_due;

    struct weir_list blocks;        /* oldest first */
    struct weir_list *next_write;   /* the oldest one in memory; NULL: none */
    struct weir_chunk *head;        /* of the producer's list */
    struct weir_chunk *shown;       /* the last that the consumer may see */
    uint64_t cut;                   /* messages put before `head` */
    uint64_t hole, hole_messages;   /* lost, and not taken off the list yet */
    _Atomic bool hides;             /* the producer's to change */
    _Atomic bool working;           /* a helper is, or will be, at work */
    _Atomic bool full;              /* the last write failed; wait */
    _Atomic bool failed;            /* for good */
    _Atomic uint32_t n_blocks;      /* = length of `blocks` */
    _Atomic uint64_t in_memory;     /* octets of blocks not in the store */
    _Atomic uint64_t accepted;      /* messages put, hidden ones included */
    _Atomic uint64_t committed;     /* octets, the same */
    _Atomic uint64_t lost;          /* messages that the store did not return */
    _Atomic uint64_t swapped;       /* messages ever written to the store */
    _Atomic uint64_t swapped_bytes; /* octets */
    void *self;                     /* the opened store; the helper's */

    bool trouble, resumed, in_trouble; /* news, and the state behind it */
    int code;
    char reason[256];
};

/* Make a spill.  Nothing is opened before it is needed.
 * Returns NULL without memory. */
struct weir_spill *weir_spill_new(const struct weir_spill_plan *plan,
                                  struct weir_queue *queue);

/* The queue goes: what is hidden is its list's again, or gone.  The store is
 * closed by a helper.
 * Thread: one that holds both ends. */
void weir_spill_leave(struct weir_spill *spill);

/* tell() is not called any more.  Thread: any. */
void weir_spill_silence(struct weir_spill *spill);

/* Is what is put hidden now?  Thread: the producer. */
static inline bool weir_spill_hides(const struct weir_spill *spill)
{
    return spill && atomic_load_explicit(&spill->hides, memory_order_relaxed);
}

/* ---- producer ---- */

/* The queue is at its mark: begin to hide.
 * Returns whether a message of `octets` may be put. */
bool weir_spill_begin(struct weir_queue *queue, uint64_t octets);

/* May a message of `octets` be put, while others are hidden? */
bool weir_spill_room(struct weir_queue *queue, uint64_t octets);

/* A message has been put, and is hidden. */
void weir_spill_put(struct weir_queue *queue);

/* End hiding if nothing is left to hide and the queue is half empty.
 * Returns whether nothing is hidden. */
bool weir_spill_end(struct weir_queue *queue);

/* Take the news, and do what only the producer can. */
void weir_spill_news(struct weir_queue *queue, struct weir_spill_news *news);

/* How much a spill is used. */
struct weir_spill_use {
    uint64_t hidden;    /* octets above the mark, in memory or in the store */
    uint64_t in_memory; /* of those, blocks that are not in the store yet */
    uint64_t swapped, swapped_bytes; /* messages and octets ever written */
};

/* Add what a queue's spill is used to the sums; without one nothing changes.
 * Thread: any, while the queue is there. */
void weir_spill_add_use(struct weir_queue *queue, struct weir_spill_use *sum);

/* ---- consumer ---- */

/* The consumer has gone on.  half: the queue is half empty. */
void weir_spill_consumed(struct weir_queue *queue, bool half);

#endif
