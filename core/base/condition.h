/*
 * condition.h - condition variables whose deadlines are those of clock.h.
 * Above: park.c where there are no futexes, jobs.c, disks.c.  Below: pthreads.
 */
#ifndef WEIR_BASE_CONDITION_H
#define WEIR_BASE_CONDITION_H

#include <pthread.h>
#include <stdint.h>

/* Make one, of the monotonic clock where the system can; pthread_cond_destroy()
 * is for the caller. */
void weir_condition_init(pthread_cond_t *condition);

/* Wait until told, at most until `deadline` (absolute ns, or WEIR_NEVER); as
 * pthread_cond_timedwait(), it may come back for no reason.
 * Returns 0 or -ETIMEDOUT.
 * Thread: the one that holds `mutex`, as it does on return. */
int weir_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                        int64_t deadline);

#endif
