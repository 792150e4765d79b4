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

enum { TOGETHER = 4, ROUNDS = 20, SOON_S = 60, STUCK = 40, MORE = 8 };

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

/* Errands that never end until they may, as with a dead name server. */
static void test_all_are_stuck(void **state)
{
    static struct weir_errand errands[STUCK];

    (void)state;
    assert_true(run_together(errands, STUCK));
}

/* Counted with the meeting's mutex: errands that end when they are let go. */
static bool let_go;
static int most;

static void hold(struct weir_errand *errand)
{
    (void)errand;
    pthread_mutex_lock(&meeting.mutex);
    meeting.running++;
    if (meeting.running > most)
        most = meeting.running;
    pthread_cond_broadcast(&meeting.all);
    while (!let_go)
        pthread_cond_wait(&meeting.all, &meeting.mutex);
    meeting.running--;
    meeting.done++;
    pthread_cond_broadcast(&meeting.all);
    pthread_mutex_unlock(&meeting.mutex);
}

/* Mutex held.  Wait until a count is what is wanted. */
static void await(const int *count, int wanted)
{
    struct timespec until = soon();
    int r = 0;

    while (*count < wanted && r == 0)
        r = pthread_cond_timedwait(&meeting.all, &meeting.mutex, &until);
    assert_int_equal(*count, wanted);
}

/* There is a last thread; who comes after it waits, and gets its turn. */
static void test_there_is_a_bound(void **state)
{
    static struct weir_errand errands[WEIR_JOBS_THREADS + MORE];

    (void)state;
    meeting.running = meeting.done = most = 0;
    for (int i = 0; i < WEIR_JOBS_THREADS + MORE; i++) {
        errands[i].run = hold;
        assert_int_equal(weir_jobs_submit(&errands[i]), 0);
    }
    pthread_mutex_lock(&meeting.mutex);
    await(&meeting.running, WEIR_JOBS_THREADS);
    let_go = true;
    pthread_cond_broadcast(&meeting.all);
    await(&meeting.done, WEIR_JOBS_THREADS + MORE);
    assert_int_equal(most, WEIR_JOBS_THREADS);
    pthread_mutex_unlock(&meeting.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_idle),
        cmocka_unit_test(test_all_are_stuck),
        cmocka_unit_test(test_there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
