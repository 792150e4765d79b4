/*
 * Helper threads: errands that block do not hold up others.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/list.h"
#include "jobs.h"

enum { TOGETHER = 4, ROUNDS = 20, SOON_S = 20 };

/* Errands that end when all of them run. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t all;
    int running, wanted, done;
} meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};

static struct timespec soon(void)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += SOON_S;
    return at;
}

static void meet(struct weir_errand *errand)
{
    struct timespec until = soon();
    int r = 0;

    (void)errand;
    pthread_mutex_lock(&meeting.mutex);
    meeting.running++;
    pthread_cond_broadcast(&meeting.all);
    while (meeting.running < meeting.wanted && r == 0)
        r = pthread_cond_timedwait(&meeting.all, &meeting.mutex, &until);
    meeting.done++;
    pthread_cond_broadcast(&meeting.all);
    pthread_mutex_unlock(&meeting.mutex);
}

/* Returns whether all ran at the same time. */
static bool run_together(struct weir_errand *errands, int n)
{
    struct timespec until = soon();
    bool met;
    int r = 0;

    pthread_mutex_lock(&meeting.mutex);
    meeting.running = meeting.done = 0;
    meeting.wanted = n;
    pthread_mutex_unlock(&meeting.mutex);
    for (int i = 0; i < n; i++) {
        weir_list_init(&errands[i].list);
        errands[i].run = meet;
        assert_int_equal(weir_jobs_submit(&errands[i]), 0);
    }
    pthread_mutex_lock(&meeting.mutex);
    while (meeting.running < n && r == 0)
        r = pthread_cond_timedwait(&meeting.all, &meeting.mutex, &until);
    met = meeting.running == n;
    while (meeting.done < n)
        pthread_cond_wait(&meeting.all, &meeting.mutex);
    pthread_mutex_unlock(&meeting.mutex);
    return met;
}

/* Some helpers are idle, but fewer than there are errands: others start. */
static void test_few_are_idle(void **state)
{
    struct weir_errand errands[TOGETHER];
    const struct timespec pause = {0, 10000000};

    (void)state;
    for (int n = 1; n <= TOGETHER; n++)
        for (int i = 0; i < ROUNDS / TOGETHER; i++) {
            nanosleep(&pause, NULL); /* those of before become idle */
            assert_true(run_together(errands, n));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
