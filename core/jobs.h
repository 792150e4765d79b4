/*
 * jobs.h - blocking work on helper threads: names, slow keys.
 *
 * Threads are shared by the whole process, start on need and leave when they
 * have been idle for a while.  A few serve what is quick; when all of them are
 * stuck, with a name server that does not answer, others start, up to
 * WEIR_JOBS_THREADS.  Beyond that errands wait for the first that ends.
 * Above: reactor_table.c.  Below: base/thread.h.
 */
#ifndef WEIR_JOBS_H
#define WEIR_JOBS_H

#include <stdint.h>

#include "base/list.h"

enum { WEIR_JOBS_THREADS = 256 };

struct weir_errand {
    struct weir_list list;
    int64_t since;                           /* when it was submitted */
    void (*run)(struct weir_errand *errand); /* helper thread; may block */
};

/* Have it run soon.  The errand belongs to the helper thread from now on; its
 * run() is set, the rest need not be.  Any thread.  Errors: -ENOMEM no thread
 * can be started; nothing will run. */
int weir_jobs_submit(struct weir_errand *errand);

#endif
