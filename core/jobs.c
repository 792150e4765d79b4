/*
 * jobs.c - see jobs.h.
 */
#include "config.h"

#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "base/thread.h"

enum { THREADS_MAX = 8, IDLE_SECONDS = 3 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct weir_list queue;
    int waiting;       /* errands in the queue */
    int threads, idle; /* one that was woken counts as idle until it runs */
    bool watched;      /* forks are */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_condition(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
#if defined(HAVE_PTHREAD_CONDATTR_SETCLOCK)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&pool.work, &attributes);
    pthread_condattr_destroy(&attributes);
}

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
    make_condition();
    weir_list_init(&pool.queue);
    pool.waiting = pool.threads = pool.idle = 0;
}

static void set_up(void)
{
    make_condition();
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

static void idle_end(struct timespec *at)
{
#if defined(HAVE_PTHREAD_CONDATTR_SETCLOCK)
    clock_gettime(CLOCK_MONOTONIC, at);
#else
    clock_gettime(CLOCK_REALTIME, at);
#endif
    at->tv_sec += IDLE_SECONDS;
}

/* The next errand; NULL after a while without any.  Mutex held. */
static struct weir_errand *next_errand(void)
{
    struct weir_list *node;
    struct timespec at;

    idle_end(&at);
    while ((node = weir_list_pop(&pool.queue)) == NULL) {
        int r;

        pool.idle++;
        r = pthread_cond_timedwait(&pool.work, &pool.mutex, &at);
        pool.idle--;
        if (r == ETIMEDOUT && weir_list_empty(&pool.queue))
            return NULL;
    }
    pool.waiting--;
    return WEIR_CONTAINER(node, struct weir_errand, list);
}

static void *help(void *arg)
{
    struct weir_errand *errand;

    (void)arg;
    pthread_mutex_lock(&pool.mutex);
    while ((errand = next_errand()) != NULL) {
        pthread_mutex_unlock(&pool.mutex);
        errand->run(errand);
        pthread_mutex_lock(&pool.mutex);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* Mutex held. */
static int start_helper(void)
{
    pthread_t thread;
    int r = weir_thread_start(&thread, help, NULL, "weir-job", NULL);

    if (r < 0)
        return r;
    pthread_detach(thread);
    pool.threads++;
    return 0;
}

/* Mutex held. */
static int submit(struct weir_errand *errand)
{
    int r = 0;

    weir_list_append(&pool.queue, &errand->list);
    pool.waiting++;
    if (pool.idle < pool.waiting && pool.threads < THREADS_MAX)
        r = start_helper();
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
