#include "config.h"

#include "base/park.h"

#include "base/clock.h"

#include <errno.h>
#include <stddef.h>

#ifdef HAVE_FUTEX

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What SYS_futex takes, whatever the width of the C library's time_t. */
struct kernel_time {
    long sec;
    long nsec;
};

static int wait_once(_Atomic uint32_t *word, uint32_t seen,
                     const struct kernel_time *until)
{
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen,
                until, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    return -errno;
}

int weir_park(_Atomic uint32_t *word, uint32_t seen, int64_t deadline)
{
    struct kernel_time until;
    int result;

    if (deadline < 0)
        deadline = 0;
    until.sec = (long)(deadline / 1000000000);
    until.nsec = (long)(deadline % 1000000000);
    do
        result = wait_once(word, seen, deadline == WEIR_NEVER ? NULL : &until);
    while (result == -EINTR);
    return result == -ETIMEDOUT ? result : 0;
}

void weir_unpark(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL,
            0);
}

void weir_park_after_fork(void)
{
}

#else

#include <pthread.h>

#include "base/condition.h"

/* Words share rooms by address, so waking one word may wake another's
 * sleepers; weir_park() is allowed to return for no reason. */
#define ROOMS 64

struct room {
    pthread_mutex_t mutex;
    pthread_cond_t woken;
};

static struct room rooms[ROOMS];
static pthread_once_t rooms_once = PTHREAD_ONCE_INIT;

static void init_rooms(void)
{
    for (int i = 0; i < ROOMS; i++) {
        pthread_mutex_init(&rooms[i].mutex, NULL);
        weir_condition_init(&rooms[i].woken);
    }
}

static struct room *room_of(_Atomic uint32_t *word)
{
    uint32_t mixed = (uint32_t)((uintptr_t)word >> 2) * 0x9e3779b1u;

    pthread_once(&rooms_once, init_rooms);
    return &rooms[mixed >> 26];
}

int weir_park(_Atomic uint32_t *word, uint32_t seen, int64_t deadline)
{
    struct room *room = room_of(word);
    int result = 0;

    pthread_mutex_lock(&room->mutex);
    if (atomic_load(word) == seen)
        result = weir_condition_wait(&room->woken, &room->mutex, deadline);
    pthread_mutex_unlock(&room->mutex);
    return result;
}

void weir_unpark(_Atomic uint32_t *word, int count)
{
    struct room *room = room_of(word);

    (void)count;
    pthread_mutex_lock(&room->mutex);
    pthread_cond_broadcast(&room->woken);
    pthread_mutex_unlock(&room->mutex);
}

/* Threads that the child lacks may have been in the rooms. */
void weir_park_after_fork(void)
{
    init_rooms();
}

#endif
