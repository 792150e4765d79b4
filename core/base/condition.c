/*
 * condition.c - see condition.h.
 */
#include "config.h"

#include "base/condition.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

void weir_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
#if defined(HAVE_PTHREAD_CONDATTR_SETCLOCK)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Without the monotonic clock, the same time from now by the wall clock. */
static int64_t by_its_clock(int64_t deadline)
{
#if defined(HAVE_PTHREAD_CONDATTR_SETCLOCK)
    return deadline;
#else
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    return deadline - weir_now() + (int64_t)wall.tv_sec * 1000000000 +
           wall.tv_nsec;
#endif
}

int weir_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                        int64_t deadline)
{
    struct timespec until;

    if (deadline == WEIR_NEVER)
        return -pthread_cond_wait(condition, mutex);
    deadline = by_its_clock(deadline < 0 ? 0 : deadline);
    until.tv_sec = (time_t)(deadline / 1000000000);
    until.tv_nsec = (long)(deadline % 1000000000);
    return pthread_cond_timedwait(condition, mutex, &until) == ETIMEDOUT
               ? -ETIMEDOUT
               : 0;
}
