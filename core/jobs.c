/*
 * jobs.c - see jobs.h.
 */
#include "config.h"

#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"

enum {
    QUICK_THREADS = 8,   /* as many start at once */
    PATIENCE = 50000000, /* ns that an errand waits for one of them */
    IDLE_SECONDS = 3
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct weir_list queue;
    int waiting;       /* errands in the queue */
    int threads, idle; /* one that was woken counts as idle until it runs */
    bool relief;       /* one of the threads waits for the others to be stuck */
    bool watched;      /* forks are */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare_fork(void)
{
    pthread_mutex_lock(&pool.mutex);
}

static void parent_fork(void)
{
    pthread_mutex_unlock(&pool.mutex);
}

/* The child has none of the threads, and none of their work. */
static void child_fork(void)
{
    pthread_mutex_init(&pool.mutex, NULL);
    weir_condition_init(&pool.work);
    weir_list_init(&pool.queue);
    pool.waiting = pool.threads = pool.idle = 0;
    pool.relief = false;
}

static void set_up(void)
{
    weir_condition_init(&pool.work);
    weir_list_init(&pool.queue);
}

/* Mutex held.  A child must not take our threads for its own. */
static int watch_forks(void)
{
    if (!pool.watched)
        pool.watched =
            pthread_atfork(prepare_fork, parent_fork, child_fork) == 0;
    return pool.watched ? 0 : weir_fail(ENOMEM, "no memory for a fork handler");
}

/* The next errand; NULL after a while without any.  Mutex held. */
static struct weir_errand *next_errand(void)
{
    int64_t give_up = weir_now() + IDLE_SECONDS * INT64_C(1000000000);
    struct weir_list *node;

    while ((node = weir_list_pop(&pool.queue)) == NULL) {
        int r;

        pool.idle++;
        r = weir_condition_wait(&pool.work, &pool.mutex, give_up);
        pool.idle--;
        if (r == -ETIMEDOUT && weir_list_empty(&pool.queue))
            return NULL;
    }
    pool.waiting--;
    return WEIR_CONTAINER(node, struct weir_errand, list);
}

static void pause_for(int64_t ns)
{
    const struct timespec time = {.tv_nsec = (long)ns};

    (void)nanosleep(&time, NULL);
}

/* Until the oldest errand has waited for too long, or there is none any more.
 * Mutex held. */
static void stand_by(void)
{
    struct weir_list *first;
    int64_t left;

    while ((first = weir_list_first(&pool.queue)) != NULL) {
        left = WEIR_CONTAINER(first, struct weir_errand, list)->since +
               PATIENCE - weir_now();
        if (left <= 0)
            break;
        pthread_mutex_unlock(&pool.mutex);
        pause_for(left);
        pthread_mutex_lock(&pool.mutex);
    }
    pool.relief = false;
}

static int call_help(void);

static void *help(void *arg)
{
    struct weir_errand *errand;

    pthread_mutex_lock(&pool.mutex);
    if (arg == &pool.relief)
        stand_by();
    while ((errand = next_errand()) != NULL) {
        (void)call_help();
        pthread_mutex_unlock(&pool.mutex);
        errand->run(errand);
        pthread_mutex_lock(&pool.mutex);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* Mutex held. */
static int start_helper(void *arg)
{
    pthread_t thread;
    int r = weir_thread_start(&thread, help, arg, "weir-job", NULL);

    if (r < 0)
        return r;
    pthread_detach(thread);
    pool.threads++;
    return 0;
}

/* See that there will be somebody for each errand.  Those that end quickly
 * need few threads, however many they are; so there is one at a time that only
 * comes in if the others do not get on.  Mutex held. */
static int call_help(void)
{
    int r;

    if (pool.idle >= pool.waiting)
        return 0;
    if (pool.threads < QUICK_THREADS)
        return start_helper(NULL);
    if (pool.relief || pool.threads >= WEIR_JOBS_THREADS)
        return 0;
    r = start_helper(&pool.relief);
    pool.relief = r >= 0;
    return r;
}

/* Mutex held.  Without a further thread it waits for those there are. */
static int submit(struct weir_errand *errand)
{
    int r;

    errand->since = weir_now();
    weir_list_append(&pool.queue, &errand->list);
    pool.waiting++;
    r = call_help();
    if (r < 0 && pool.threads == 0) {
        weir_list_remove(&errand->list);
        pool.waiting--;
        return r;
    }
    pthread_cond_signal(&pool.work);
    return 0;
}

int weir_jobs_submit(struct weir_errand *errand)
{
    int r;

    pthread_once(&once, set_up);
    pthread_mutex_lock(&pool.mutex);
    r = watch_forks();
    if (r >= 0)
        r = submit(errand);
    pthread_mutex_unlock(&pool.mutex);
    return r;
}
