/*
 * jobs.h - blocking work on helper threads: names, slow keys.
 *
 * Threads are shared by the whole process, start on need and leave when they
 * have been idle for a while.
 * Above: reactor_table.c.  Below: base/thread.h.
 */
#ifndef WEIR_JOBS_H
#define WEIR_JOBS_H

#include "base/list.h"

struct weir_errand {
    struct weir_list list;
    void (*run)(struct weir_errand *errand); /* helper thread; may block */
};

/* Have it run soon.  The errand belongs to the helper thread from now on.
 * Any thread.  Errors: -ENOMEM no thread can be started; nothing will run. */
int weir_jobs_submit(struct weir_errand *errand);

#endif
