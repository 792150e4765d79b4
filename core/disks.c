/*
 * disks.c - see disks.h.
 */
#include "config.h"

#include "disks.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"

enum { THREADS_MAX = 4, CREWS = 16, IDLE_SECONDS = 3 };

/* Its memory stays when it has left: to wake it late does no harm. */
struct weir_helper {
    struct weir_list list; /* among those who rest, or in no list */
    pthread_cond_t wake;
    struct weir_crew *crew;
    bool here;
};

struct weir_crew {
    struct weir_helper helpers[THREADS_MAX];
    struct weir_list queue, later;
    struct weir_list resting; /* who rested last is in front, and woken first:
                                 what it needs is in its processor's cache; who
                                 looks after the times is behind */
    bool kept;                /* one of those does, until it runs again */
    int waiting;              /* errands in the queue */
    int threads, idle; /* one that was called counts as idle until it runs */
    int pins;          /* while there are any, one thread stays */
};

_Atomic uint64_t weir_disks_memory;
_Atomic uint32_t weir_disks_leaving;

static struct {
    pthread_mutex_t mutex;
    struct weir_crew crews[CREWS];
    bool watched; /* forks are */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_helper(struct weir_crew *crew, struct weir_helper *helper)
{
    weir_list_init(&helper->list);
    weir_condition_init(&helper->wake);
    helper->crew = crew;
    helper->here = false;
}

static void make_crews(void)
{
    for (int i = 0; i < CREWS; i++) {
        struct weir_crew *crew = &pool.crews[i];

        weir_list_init(&crew->queue);
        weir_list_init(&crew->later);
        weir_list_init(&crew->resting);
        for (int k = 0; k < THREADS_MAX; k++)
            make_helper(crew, &crew->helpers[k]);
        crew->waiting = crew->threads = crew->idle = crew->pins = 0;
        crew->kept = false;
    }
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
    make_crews();
    atomic_store(&weir_disks_memory, 0);
    atomic_store(&weir_disks_leaving, 0);
}

/* Not with the mutex: a fork may wait for it, and who registers for forks may
 * wait for that one. */
static void set_up(void)
{
    make_crews();
    pool.watched = pthread_atfork(prepare_fork, parent_fork, child_fork) == 0;
}

/* A child must not take our threads for its own. */
static int enter(void)
{
    pthread_once(&once, set_up);
    if (!pool.watched)
        return weir_fail(ENOMEM, "no memory for a fork handler");
    pthread_mutex_lock(&pool.mutex);
    return 0;
}

void weir_disks_wake(struct weir_helper *helper)
{
    if (helper)
        pthread_cond_signal(&helper->wake);
}

/* Whom to wake for an errand, or for one that is for later: that is for who
 * looks after the times.  It does not rest any more.  NULL: nobody rests.
 * Mutex held. */
static struct weir_helper *call_one(struct weir_crew *crew, bool later)
{
    struct weir_list *node = later ? crew->resting.prev : crew->resting.next;

    if (weir_list_empty(&crew->resting))
        return NULL;
    weir_list_remove(node);
    return WEIR_CONTAINER(node, struct weir_helper, list);
}

/* Errands whose time has come go into the queue; beyond one, which is the
 * caller's to take, others are woken for them.
 * Returns when the next one is due, in ns from now; 0: there is none.  Mutex
 * held. */
static int64_t promote(struct weir_crew *crew)
{
    struct weir_list *node, *after;
    int64_t now = weir_now(), next = 0;

    WEIR_LIST_EACH(node, after, &crew->later)
    {
        int64_t left =
            WEIR_CONTAINER(node, struct weir_disk_errand, list)->at - now;

        if (left <= 0) {
            weir_list_remove(node);
            weir_list_append(&crew->queue, node);
            if (crew->waiting++ > 0)
                weir_disks_wake(call_one(crew, false));
        } else if (next == 0 || left < next) {
            next = left;
        }
    }
    return next;
}

/* Mutex held. */
static bool may_leave(const struct weir_crew *crew)
{
    return crew->pins == 0 || crew->threads > 1;
}

/* Are there too few that rest for what there is?  Those that are for later want
 * one as well, to wait for their time.  Mutex held. */
static bool needs_helper(const struct weir_crew *crew)
{
    return crew->idle < crew->waiting + !weir_list_empty(&crew->later) &&
           crew->threads < THREADS_MAX;
}

static void *help(void *helper);

/* There are fewer than THREADS_MAX.  Mutex held. */
static int start_helper(struct weir_crew *crew)
{
    struct weir_helper *helper = crew->helpers;
    pthread_t thread;
    int r;

    while (helper->here)
        helper++;
    r = weir_thread_start(&thread, help, helper, "weir-disk", NULL);
    if (r < 0)
        return r;
    pthread_detach(thread);
    helper->here = true;
    crew->threads++;
    return 0;
}

/* Until somebody wakes it, `ns` at most; keeps: because an errand is due then.
 * Mutex held on entry and on return. */
static void rest(struct weir_helper *helper, int64_t ns, bool keeps)
{
    struct weir_crew *crew = helper->crew;

    if (keeps) {
        weir_list_append(&crew->resting, &helper->list);
        crew->kept = true;
    } else {
        weir_list_insert(&crew->resting, &helper->list);
    }
    crew->idle++;
    (void)weir_condition_wait(&helper->wake, &pool.mutex, weir_now() + ns);
    crew->idle--;
    if (keeps)
        crew->kept = false;
    weir_list_remove(&helper->list);
}

/* A helper has something to do: if it was the one that looks after the times,
 * another one does from now on.  And if more came due than its own errand,
 * which may hang, they are not to wait for that.  Mutex held. */
static void hand_on(struct weir_crew *crew)
{
    bool late = !crew->kept && !weir_list_empty(&crew->later);

    if (late && !weir_list_empty(&crew->resting))
        weir_disks_wake(call_one(crew, true));
    else if ((late || crew->waiting > 0) && needs_helper(crew))
        (void)start_helper(crew); /* else it is late */
}

/* The next errand; NULL after a while without any.  Mutex held. */
static struct weir_disk_errand *next_errand(struct weir_helper *helper)
{
    struct weir_crew *crew = helper->crew;
    int64_t give_up = weir_now() + IDLE_SECONDS * INT64_C(1000000000);
    struct weir_list *node;

    for (;;) {
        int64_t next = promote(crew), left = give_up - weir_now();
        bool keeps = next != 0 && !crew->kept;

        node = weir_list_pop(&crew->queue);
        if (node)
            break;
        if (!keeps && left <= 0 && may_leave(crew))
            return NULL;
        if (!keeps)
            next = left > 0 ? left : IDLE_SECONDS * INT64_C(1000000000);
        rest(helper, next, keeps);
    }
    crew->waiting--;
    hand_on(crew);
    return WEIR_CONTAINER(node, struct weir_disk_errand, list);
}

static void *help(void *arg)
{
    struct weir_helper *helper = arg;
    struct weir_disk_errand *errand;

    pthread_mutex_lock(&pool.mutex);
    while ((errand = next_errand(helper)) != NULL) {
        pthread_mutex_unlock(&pool.mutex);
        errand->run(errand);
        pthread_mutex_lock(&pool.mutex);
    }
    helper->here = false;
    helper->crew->threads--;
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* *called gets whom to wake.  Mutex held. */
static int submit(struct weir_crew *crew, struct weir_disk_errand *errand,
                  struct weir_helper **called)
{
    bool later = errand->at != 0;
    int r = 0;

    weir_list_append(later ? &crew->later : &crew->queue, &errand->list);
    crew->waiting += !later;
    if (needs_helper(crew))
        r = start_helper(crew);
    if (r < 0 && crew->threads == 0) {
        weir_list_remove(&errand->list);
        crew->waiting -= !later;
        return r;
    }
    *called = call_one(crew, later);
    return 0;
}

int weir_disks_submit(struct weir_crew *crew, struct weir_disk_errand *errand,
                      int64_t at, struct weir_helper **called)
{
    struct weir_helper *helper = NULL;
    int r = enter();

    if (r < 0)
        return r;
    errand->at = at;
    r = submit(crew, errand, &helper);
    pthread_mutex_unlock(&pool.mutex);
    if (called)
        *called = helper;
    else
        weir_disks_wake(helper);
    return r;
}

bool weir_disks_is_wanted(struct weir_crew *crew)
{
    bool wanted;

    pthread_mutex_lock(&pool.mutex);
    (void)promote(crew);
    wanted = crew->waiting > 0;
    pthread_mutex_unlock(&pool.mutex);
    return wanted;
}

bool weir_disks_cancel(struct weir_crew *crew, struct weir_disk_errand *errand)
{
    struct weir_list *node, *after;
    bool found = false;

    pthread_mutex_lock(&pool.mutex);
    WEIR_LIST_EACH(node, after, &crew->later)
    {
        found = found || node == &errand->list;
        if (node == &errand->list)
            weir_list_remove(node);
    }
    pthread_mutex_unlock(&pool.mutex);
    return found;
}

int weir_disks_pin(struct weir_crew *crew)
{
    int r = enter();

    if (r < 0)
        return r;
    if (crew->threads == 0)
        r = start_helper(crew);
    crew->pins += r >= 0;
    pthread_mutex_unlock(&pool.mutex);
    return r;
}

void weir_disks_unpin(struct weir_crew *crew)
{
    pthread_mutex_lock(&pool.mutex);
    crew->pins--;
    pthread_mutex_unlock(&pool.mutex);
}

struct weir_crew *weir_disks_crew(const char *folder)
{
    uint32_t sum = 2166136261u; /* FNV-1a */

    for (; *folder; folder++)
        sum = (sum ^ (uint8_t)*folder) * 16777619u;
    return &pool.crews[sum % CREWS];
}
