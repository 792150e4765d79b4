/*
 * spill.h - messages above the high-water mark, on their way to a store and
 * back.
 * Above: queue_write.c, queue_read.c; pipe_swap.c makes one.  Below: disks.h,
 * the store's plugin.
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
 * The list is cut where a message ends, which is where a new tail then begins:
 * before a message that would make it longer than a block, and when it is as
 * long as one.  So a block is 64 KB at most, while others wait to be written
 * 256 KB, or one message that is longer; of what is received it may be longer
 * by what one read has brought, and by the message that this has ended.
 *
 * A helper thread, one at a time for each spill, does two things.  While the
 * consumer has little before it, it shows the oldest block: reads it back if
 * need be, puts it behind the last chunk the consumer may see, and moves
 * `published`.  Otherwise it writes the oldest block that is still in memory.
 * When no block is left and the queue is down to half its mark, the producer
 * shows the list as well, and all is as before.
 *
 * A durable spill is one that always hides, from its queue's first message on,
 * whatever the mark.  Its list is cut after each message, unless the helper is
 * at work on what came before: then one block is made of all that gathers
 * meanwhile.  A block is shown when it is in the store, and on the disk if
 * that is asked for at once; up to the mark it stays in memory for that.
 * When the consumer has taken it the store may let it go.  What is not
 * consumed stays when the queue goes, and is there when the store is opened
 * again; it comes first then.  A message may be put only if the store has room
 * for it behind all that waits to be written, as far as it can tell.  Who puts
 * one may wait for its block (struct weir_spill_waiter).  When a write fails,
 * and somebody waits for each message that is not written, these are taken
 * back, as if they had never been put; otherwise what is not written stays in
 * memory, and is tried again.  Of a swap that is used up with nothing in it the
 * oldest block goes, whoever waits; who waits for a sync next hears if that was
 * nobody.
 *
 * So order needs no care: there is one line, and its parts never overtake.
 * Only the helper moves `published` while messages are hidden, and only the
 * producer begins and ends hiding.  It begins when a helper is certain: one is
 * pinned for as long as messages are hidden.
 *
 * Locks: the spill's lock is a leaf, but for that of the disks.  It is never
 * held while the store is called, but for a look at its figures.
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
struct weir_spill_block;

/* When what is written is brought to the disk itself; the words of the option
 * "swap-sync". */
enum weir_spill_sync {
    WEIR_SPILL_SYNC_ALWAYS,   /* before it is shown, or anybody is told */
    WEIR_SPILL_SYNC_INTERVAL, /* within a time */
    WEIR_SPILL_SYNC_OS /* when somebody asks for it, or the system does */
};

/* What a spill is made with.  Borrowed for the call. */
struct weir_spill_plan {
    const weir_store_ops *store;
    const weir_host *host;
    const char *dir; /* an absolute path */
    uint64_t budget; /* octets that may be hidden, and those of the store */
    /* There is news: the producer is to call weir_spill_news().  tell() is
     * called by any thread, with the spill's lock held; nudge() after it,
     * without, and possibly when the spill is gone. */
    void (*tell)(void *arg);
    void (*nudge)(void *other);
    void *arg, *other;
    /* durable */
    const char *name; /* of the queue in its folder; NULL: not durable */
    enum weir_spill_sync sync;
    int64_t every; /* ns; of WEIR_SPILL_SYNC_INTERVAL */
};

/* The store has failed, or works again, or has something from before. */
struct weir_spill_report {
    enum { WEIR_SPILL_FAILED, WEIR_SPILL_RESUMED, WEIR_SPILL_FOUND } kind;
    int code;         /* a positive errno; of a success the one before it */
    char reason[256]; /* names the folder */
    uint64_t value;   /* octets that were hidden, and not in the store; of what
                         was found, messages */
};

enum { WEIR_SPILL_REPORTS = 4 }; /* that wait; the oldest goes for a fifth */

/* How much a spill is used.  Octets as they lie in a queue. */
struct weir_spill_use {
    uint64_t hidden;    /* octets above the mark, in memory or in the store */
    uint64_t in_memory; /* of those, blocks that are not in the store yet */
    uint64_t swapped, swapped_bytes;   /* messages ever written */
    uint64_t returned, returned_bytes; /* of these, read back */
    uint64_t kept, kept_bytes;         /* and those that are there now */
    uint64_t found, torn; /* messages, and octets in none, from before */
};

struct weir_durable;

struct weir_spill {
    struct weir_lock lock;    /* given back by weir_spill_unlock() */
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
    struct weir_helper *called; /* to be woken when the lock is released */
    uint32_t refs; /* the queue's, and one for each errand under way */
    bool again_due;

    struct weir_list blocks;       /* oldest first */
    struct weir_list *next_write;  /* the oldest one in memory; NULL: none */
    struct weir_spill_block *busy; /* the helper's; NULL once it was dropped */
    struct weir_chunk *head;       /* of the producer's list */
    struct weir_chunk *shown;      /* the last that the consumer may see */
    uint64_t cut;                  /* messages put before `head` */
    uint64_t promised;             /* octets; the producer's, until it puts */
    uint64_t asked;                /* octets of the shortest that waits */
    _Atomic bool waits;            /* the producer does, and drops nothing */
    _Atomic int64_t refused_at;    /* it was, for want of memory */
    uint64_t hole, hole_messages;  /* lost, and not taken off the list yet */
    _Atomic bool hides;            /* the producer's to change */
    _Atomic bool working;          /* a helper is, or will be, at work */
    _Atomic bool full;             /* the last write failed; wait */
    _Atomic bool failed;           /* for good */
    _Atomic uint32_t n_blocks;     /* = length of `blocks` */
    _Atomic uint64_t in_memory;    /* octets of blocks not in the store */
    _Atomic uint64_t accepted;     /* messages put, hidden ones included */
    _Atomic uint64_t committed;    /* octets, the same; without the lock the
                                      two are stored one after the other */
    uint64_t lost;                 /* messages that the store did not return */
    struct weir_spill_use use;     /* `hidden`, `in_memory` are elsewhere */
    void *self;                    /* the opened store; the helper's */
    bool stale;                    /* nothing in it is wanted: close it */
    bool used_up;                  /* full, because of the budget */
    bool starved;                  /* nothing can be read back for now */
    uint64_t full_at;              /* octets that the store had on disk then */

    int write_code, read_code; /* what was told last; 0: all is well */
    struct weir_spill_report reports[WEIR_SPILL_REPORTS];
    uint32_t n_reports;
    struct weir_durable *durable; /* NULL: it is not */
};

/* Can the store be used?  It is opened and closed.
 * Thread: one that may wait for the disk.
 * Errors: what the store says; the sentence is its own. */
int weir_spill_try(const struct weir_spill_plan *plan);

/* Make a spill.  Nothing is opened before it is needed.  A durable one has no
 * queue yet: weir_spill_join() gives it one, weir_spill_leave() ends it with
 * or without.
 * Returns NULL without memory. */
struct weir_spill *weir_spill_new(const struct weir_spill_plan *plan,
                                  struct weir_queue *queue);

/* The queue goes: what is hidden is its list's again, or gone.  The store is
 * closed by a helper; that of a durable one keeps what was not consumed.  One
 * that was opened and has no queue is closed on return.
 * Thread: one that holds both ends; without a queue, one that may wait for the
 * disk. */
void weir_spill_leave(struct weir_spill *spill);

/* Does the producer wait for room, or drop what there is none for?  Until this
 * is called it drops.  Thread: the producer. */
void weir_spill_set_waits(struct weir_queue *queue, bool waits);

/* tell() is not called any more, nobody waits, and nothing that is durable is
 * written: what is not in its store now will not be.  Thread: any. */
void weir_spill_silence(struct weir_spill *spill);

/* ---- durable ---- */

/* Open the store of a durable spill, which has no queue yet, and find what is
 * there.  One that this process is closing is waited for.
 * Thread: one that may wait for the disk.
 * Errors: what the store says, -EBUSY above all; the sentence is its own. */
int weir_spill_open(struct weir_spill *spill);

/* Give a durable spill its queue, whose it is from then on, and whom to tell:
 * members `tell` to `other` of the plan.  Nothing was put yet.  When its store
 * is not open yet, a helper opens it, and nothing may be put before.
 * Thread: one that holds both ends.
 * Errors: -ENOMEM, also when no helper can be started; nothing has changed
 * then. */
int weir_spill_join(struct weir_spill *spill, struct weir_queue *queue,
                    const struct weir_spill_plan *plan);

/* Wait until the stores of durable spills that were left are closed: what was
 * consumed is not found again then, should the process end.
 * Thread: any, without a lock. */
void weir_spill_await_left(int64_t deadline);

static inline bool weir_spill_is_durable(const struct weir_spill *spill)
{
    return spill && spill->durable;
}

/* Who waits until what was put is in the store. */
struct weir_spill_waiter {
    struct weir_list list;
    struct weir_spill *spill;
    uint64_t ticket; /* messages ever put */
    bool synced;     /* on the disk, whatever the policy */
    enum {
        WEIR_SPILL_WAITS,
        WEIR_SPILL_KEPT,   /* it is there */
        WEIR_SPILL_FULL,   /* taken back: the swap is used up */
        WEIR_SPILL_BROKEN, /* taken back, or never to be synced: `code` */
        WEIR_SPILL_GONE    /* the queue went before */
    } state;
    int code; /* a positive errno */
    char text[256];
};

/* Wait from now on for all that was put so far; synced: until it is on the
 * disk itself, or has been lost, of which one who looks is told.  The waiter is
 * the caller's, and in place until it is left.
 * Thread: the producer. */
void weir_spill_await(struct weir_queue *queue, bool synced,
                      struct weir_spill_waiter *waiter);

/* Is it over?  tell() is called when that may be so.  Thread: any. */
bool weir_spill_is_over(struct weir_spill_waiter *waiter);

/* Wait no more.  Thread: any. */
void weir_spill_stop_waiting(struct weir_spill_waiter *waiter);

/* Does the store fail now?  Returns 0, or the error with its sentence; one
 * that is not for good counts only if `passing`.
 * Thread: any; while the queue is there. */
int weir_spill_trouble(struct weir_spill *spill, bool passing);

/* How many of the messages that wait are in the store to stay when the queue
 * goes.  Thread: one that holds both ends. */
uint64_t weir_spill_stays(struct weir_queue *queue);

/* Is what is put hidden now?  Thread: the producer. */
static inline bool weir_spill_hides(const struct weir_spill *spill)
{
    return spill && atomic_load_explicit(&spill->hides, memory_order_relaxed);
}

/* ---- producer ---- */

/* The queue is at its mark: begin to hide.
 * Returns whether a message of `octets` may be put. */
bool weir_spill_begin(struct weir_queue *queue, uint64_t octets);

/* Can it begin as soon as the message that is being received has ended?
 * Thread: the producer. */
bool weir_spill_comes(struct weir_queue *queue);

/* Was room for a message of `octets` promised, and nothing put since?  Then it
 * may be put, though others may have used up what all spills have together, or
 * the helper has found the disk full: who asks several queues before he puts
 * into any of them wants that.
 * Thread: the producer. */
static inline bool weir_spill_promised(const struct weir_spill *spill,
                                       uint64_t octets)
{
    return octets <= spill->promised;
}

/* May a message of `octets` be put, while others are hidden?  When it may that
 * is promised, unless the queue is one that receives. */
bool weir_spill_room(struct weir_queue *queue, uint64_t octets);

/* A message of `octets` waits for room in a durable one; so do `others`, or
 * none.  Of several the shortest is waited for. */
void weir_spill_ask(struct weir_queue *queue, uint64_t octets, bool others);

/* Octets that a durable one should have room for before anybody tries to send:
 * those of the shortest message that was refused, but no more than a block has,
 * as that message may be a long one, and gone.  1 where none waits. */
uint64_t weir_spill_asked(const struct weir_queue *queue);

/* The most octets that a message of a durable one may have; without it being
 * known what the store takes for itself, the whole budget.
 * Thread: any. */
uint64_t weir_spill_most(struct weir_spill *spill);

/* All up to the stream offset `position` is whole messages, and is hidden. */
void weir_spill_put(struct weir_queue *queue, uint64_t position);

/* End hiding if nothing is left to hide and the queue is half empty.
 * Returns whether nothing is hidden. */
bool weir_spill_end(struct weir_queue *queue);

/* Do what only the producer can, now that there is news.
 * Returns whether who waited to put may try again. */
bool weir_spill_news(struct weir_queue *queue);

/* Forget all that is hidden, without reading it.  No message is begun.
 * Returns how many messages that were; they are as if they had never been
 * put. */
uint64_t weir_spill_discard(struct weir_queue *queue);

/* ---- anybody ---- */

/* Is anything hidden that may come back? */
bool weir_spill_holds(struct weir_queue *queue);

/* Take the oldest report.  False: there is none. */
bool weir_spill_report(struct weir_spill *spill,
                       struct weir_spill_report *report);

/* Messages put and octets that wait, hidden ones included and lost ones not;
 * and those that are lost.  *put and *octets have what the queue knows. */
void weir_spill_counts(struct weir_queue *queue, uint64_t *put,
                       uint64_t *octets, uint64_t *lost);

/* Add what a queue's spill is used to the sums; without one nothing changes.
 * While the queue is there. */
void weir_spill_add_use(struct weir_queue *queue, struct weir_spill_use *sum);

/* ---- consumer ---- */

/* The consumer has gone on.  half: the queue is half empty. */
void weir_spill_consumed(struct weir_queue *queue, bool half);

#endif
