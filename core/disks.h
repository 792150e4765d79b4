/*
 * disks.h - helper threads for what is done on disks.
 *
 * Threads start on need, leave when they have been idle for a while, and are
 * shared by the whole process.  Each folder has a crew of a few, so that a slow
 * disk does not, in general, keep up what is done in others; there are sixteen
 * crews, and folders beyond that share them.
 * Above: spill.c.  Below: base/thread.h.
 */
#ifndef WEIR_DISKS_H
#define WEIR_DISKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct weir_crew;
struct weir_helper;

/* Octets in memory that are on their way to a disk, of all there are; 0 again
 * in a forked child. */
extern _Atomic uint64_t weir_disks_memory;

/* Durable stores that are being closed; 0 again in a forked child, which has
 * nobody who would close them.  The address is slept on. */
extern _Atomic uint32_t weir_disks_leaving;

struct weir_disk_errand {
    struct weir_list list;
    void (*run)(struct weir_disk_errand *errand); /* helper; may block */
    int64_t at; /* ns, weir_now(): not before; weir_disks_submit() sets it */
};

/* The helpers for what is done in a folder; good for the life of the process.
 * Any thread. */
struct weir_crew *weir_disks_crew(const char *folder);

/* Have a helper there until weir_disks_unpin(): what is submitted in between
 * will run.
 * Any thread.  Errors: -ENOMEM no thread can be started. */
int weir_disks_pin(struct weir_crew *crew);
void weir_disks_unpin(struct weir_crew *crew);

/* Have it run soon, or not before `at`, unless that is 0.  The errand belongs
 * to a helper from now on.
 *
 * Who holds a lock that the errand takes first would have a helper who rests
 * wake up, find the lock taken and go to sleep again, each time on somebody's
 * processor.  So *called gets whom to wake, NULL if nobody, and the caller does
 * that when it has released the lock.  With `called` NULL it is done here.
 * Any thread.  Errors: -ENOMEM no thread can be started; nothing will run. */
int weir_disks_submit(struct weir_crew *crew, struct weir_disk_errand *errand,
                      int64_t at, struct weir_helper **called);

/* Wake it.  NULL is nobody; late is no harm.  Any thread. */
void weir_disks_wake(struct weir_helper *helper);

/* Does another errand wait for a helper?  One that goes on and on submits
 * itself again then.  Helper. */
bool weir_disks_is_wanted(struct weir_crew *crew);

/* Take an errand that was submitted back.
 * Returns whether its time had not come: then it will not run.
 * Any thread. */
bool weir_disks_cancel(struct weir_crew *crew, struct weir_disk_errand *errand);

#endif
