/*
 * spill_private.h - what the files of the spill share.
 * Above: the files whose names begin with spill; nobody else includes it.
 *  Below: spill.h, the queue.
 */
#ifndef WEIR_SPILL_PRIVATE_H
#define WEIR_SPILL_PRIVATE_H

#include "queue.h"
#include "queue_private.h"
#include "spill.h"

/* Octets from which on a block is cut. */
#define WEIR_SPILL_BLOCK (UINT64_C(64) << 10)

/* A run of whole messages. */
struct weir_spill_block {
    struct weir_list list;
    struct weir_chunk *first, *last; /* NULL: it is in the store */
    int64_t handle;
    uint64_t octets, messages;
    uint32_t sum; /* of what was written */
    /* durable */
    bool found;      /* an earlier run's: only the store knows the sum */
    bool cached;     /* in the store, and in memory too */
    uint32_t done;   /* of the messages written, consumed when it was found */
    uint64_t number; /* of the first message, as the store has it */
    uint64_t ticket; /* of the last message */
    uint64_t end;    /* messages of the queue that end with it: once shown */
};

/* What a durable spill has beside.  The spill's lock, but where said. */
struct weir_durable {
    struct weir_spill *spill;
    char *name;
    enum weir_spill_sync sync;
    int64_t every;
    _Atomic bool open;        /* the store is, and what was there is known */
    struct weir_list shown;   /* blocks, oldest first, until they are done */
    _Atomic uint64_t done_at; /* messages taken, when the first of them is */
    struct weir_list waiters; /* as they came */
    uint64_t puts;            /* messages ever put: tickets */
    uint64_t written, synced; /* tickets */
    uint64_t number;          /* of the next message that is written */
    uint64_t cached;          /* octets of written blocks in memory */
    uint64_t room, each;      /* as the store has said; see weir_store_stat */
    uint64_t most;            /* `room` without a block; UINT64_MAX: unknown */
    uint64_t unwritten;       /* blocks that wait for it */
    uint64_t final;           /* messages taken when the queue went */
    struct weir_disk_errand sync_due;
    bool is_due, timed; /* it is time to sync; that errand is under way */
    bool unsynced;      /* something was written, or done, since the last */
    bool parting;       /* nothing is written any more */
    bool sync_waits;    /* one has failed: not before what is full is not */
    int run;            /* blocks written in a row */
    enum {
        WEIR_DURABLE_WELL,
        WEIR_DURABLE_UNWRITTEN,
        WEIR_DURABLE_USED_UP,  /* until something of it is consumed */
        WEIR_DURABLE_TOO_LONG, /* and nothing was there to be consumed */
        WEIR_DURABLE_UNSYNCED
    } trouble;       /* what the producer may have to take back */
    uint64_t missed; /* ticket of the last that was lost, and no sync has told
                        of it; 0: none */
    int code;        /* of the failure that this was, with its sentence */
    char text[256];
};

static inline uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline struct weir_spill_block *block_of(struct weir_list *node)
{
    return WEIR_CONTAINER(node, struct weir_spill_block, list);
}

/* Release the lock, and then wake the helper that was called meanwhile: it
 * takes the lock first of all. */
static inline void weir_spill_unlock(struct weir_spill *spill)
{
    struct weir_helper *called = spill->called;

    spill->called = NULL;
    weir_lock_release(&spill->lock);
    weir_disks_wake(called);
}

/* ---- spill_work.c: the helper, and what others need of it ---- */

/* Send a helper on an errand, soon or at that time; it has a reference.  One
 * that rests is woken when the lock is released, but for a second one.
 * Returns whether it will.  Lock held. */
bool weir_spill_send(struct weir_spill *spill, struct weir_disk_errand *errand,
                     int64_t at);

/* What a helper is sent for; set once. */
void weir_spill_set_errands(struct weir_spill *spill);

/* Have the helper come.  As long as messages are hidden one is pinned, so this
 * cannot fail; later it may, when there is nothing to do but to close the
 * store.  Lock held. */
void weir_spill_schedule(struct weir_spill *spill);

/* Let go of a reference; the last one frees the spill, store and all.  Lock
 * held on entry, not on return. */
void weir_spill_release(struct weir_spill *spill);

/* Show the consumer a block that lies in these chunks, in memory; it stays
 * where it is listed.  Lock held. */
void weir_spill_append(struct weir_spill *spill, struct weir_spill_block *block,
                       struct weir_chunk *first, struct weir_chunk *last);

/* The store does not have it any more: it is taken off the list's numbers as
 * soon as the producer hears of it.  Lock held. */
void weir_spill_lose(struct weir_spill *spill, struct weir_spill_block *block,
                     int code, const char *text);

/* The helper goes to the store with a block; the lock is given up, and the
 * block stays where it is, unless all is dropped.  And it comes back: returns
 * whether the block is still wanted. */
void weir_spill_go(struct weir_spill *spill, struct weir_spill_block *block);
bool weir_spill_come_back(struct weir_spill *spill,
                          struct weir_spill_block *block);

/* Memory of chunks from `first` to `last`. */
void weir_spill_free_chunks(struct weir_chunk *first, struct weir_chunk *last);

/* What a store may do again later. */
bool weir_spill_is_passing(int code);

/* A write has worked.  Lock held. */
void weir_spill_works(struct weir_spill *spill);

/* Has the consumer little before it?  Lock held, or the consumer. */
bool weir_spill_is_hungry(struct weir_queue *queue);

/* The memory of a block goes.  Lock held, or nobody else is left. */
void weir_spill_drop_memory(struct weir_spill *spill,
                            struct weir_spill_block *block);

/* ---- spill_store.c: no lock held but to look at figures; helper ---- */

/* Open the spill's own store, if it is not.
 * Errors: the store's. */
int weir_spill_open_own(struct weir_spill *spill, weir_error *error);

/* What the store says of itself: the octets that it has on disk, above all. */
weir_store_stat weir_spill_look(struct weir_spill *spill);
uint64_t weir_spill_disk_use(struct weir_spill *spill);

/* May what has failed with that errno work later?  A store that gives itself
 * up says so, whatever the errno: after a sync that has failed once the next
 * one may find nothing left to write. */
bool weir_spill_may_pass(const weir_store_stat *stat, int code);

/* Want of memory or of descriptors is no loss. */
bool weir_spill_is_shortage(int code);

/* Read a block back into a chunk of its own.
 * Returns NULL with *code, a positive errno. */
struct weir_chunk *weir_spill_read_block(struct weir_spill *spill,
                                         const struct weir_spill_block *block,
                                         int *code, weir_error *error);

/* Write a block that is in memory, whose first message has the number `first`.
 * Returns its handle, or the store's error. */
int64_t weir_spill_write_block(struct weir_spill *spill,
                               struct weir_spill_block *block, uint64_t first,
                               weir_error *error);

/* Open a store.  Errors: the store's. */
int weir_spill_open_store(const struct weir_spill_plan *plan, void **self,
                          weir_error *error);

/* ---- spill.c ---- */

/* Is it time to tell a producer that was refused for want of memory?  It is
 * when half of that is free, or after a while when any is.  Thread: any. */
bool weir_spill_is_relieved(struct weir_spill *spill);

/* ---- spill.c: lock held ---- */

/* Make a block of the list, if there is something in it and nothing else
 * waits to be written, and hand it over.  Producer. */
void weir_spill_cut(struct weir_queue *queue);

/* Take what was lost, or found, off the list's numbers.  Producer. */
void weir_spill_close_hole(struct weir_queue *queue);

/* ---- spill_durable.c: lock held ---- */

/* What is written up to this ticket may be shown, and told of. */
static inline uint64_t weir_durable_safe(const struct weir_durable *durable)
{
    return durable->sync == WEIR_SPILL_SYNC_ALWAYS ? durable->synced
                                                   : durable->written;
}

/* Make it one of those.  Errors: -ENOMEM. */
int weir_durable_new(struct weir_spill *spill,
                     const struct weir_spill_plan *plan);
void weir_durable_free(struct weir_durable *durable);

/* The helper's next piece of work; the lock is given up meanwhile.
 * Returns whether something was done. */
bool weir_durable_work(struct weir_spill *spill);

/* Is there anything to do but to write? */
bool weir_durable_is_due(struct weir_spill *spill);

/* Has the store room for what waits to be written, of which `list` octets are
 * in no block yet, and for a message of `octets`? */
bool weir_durable_has_room(const struct weir_spill *spill, uint64_t list,
                           uint64_t octets);

/* The queue goes, its consumer has taken so many messages. */
void weir_durable_leave(struct weir_spill *spill, uint64_t taken);

/* Close the store, which keeps what was not consumed.  Nobody else is left;
 * the lock is not held. */
void weir_durable_close(struct weir_spill *spill);

/* ---- spill_wait.c: lock held ---- */

/* What is written, or synced, may be what somebody waits for. */
void weir_spill_release_waiters(struct weir_spill *spill);

/* Nobody will be told of his message any more. */
void weir_spill_dismiss_waiters(struct weir_spill *spill);

/* Does anybody wait for a sync that is possible now? */
bool weir_spill_wants_sync(const struct weir_spill *spill);

/* Take back what is not in the store, if that failed and each message is
 * somebody's who waits; of a swap that has no room for it though nothing is
 * there, the oldest block alone, whoever waits.  Producer. */
void weir_spill_take_back(struct weir_queue *queue);

/* ---- spill_report.c ---- */

/* It has what an earlier run has left.  Lock held. */
void weir_spill_tell_found(struct weir_spill *spill, uint64_t messages,
                           uint64_t torn);

/* There is news.  Lock held; follow it with weir_spill_nudge() when it is
 * not. */
void weir_spill_tell(struct weir_spill *spill);
void weir_spill_nudge(struct weir_spill *spill);

/* The store fails, with an errno and its sentence: each change of the cause,
 * which *told has, is told.  Lock held. */
void weir_spill_complain(struct weir_spill *spill, int *told, int code,
                         const char *text);

/* It works again.  Lock held. */
void weir_spill_reassure(struct weir_spill *spill, int *told, const char *what);

#endif
