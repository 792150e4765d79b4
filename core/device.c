/*
 * device.c - see device.h: handles, starting, stopping, and the public calls.
 */
#include "config.h"

#include "device.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/park.h"
#include "base/sized.h"
#include "base/thread.h"
#include "context.h"
#include "shells.h"
#include "socket.h"

/* ---- handles ---- */

static int find(weir_device handle, struct weir_dev **out)
{
    struct weir_dev *dev = weir_shells_dev(handle.index);

    if (!dev || handle.generation == 0)
        return weir_fail(EBADF, "this is not a device");
    *out = dev;
    if (atomic_load(&dev->fork_generation) != weir_fork_generation())
        return weir_fail(WEIR_EFORK, "the device belongs to the parent "
                                     "process");
    return 0;
}

static int no_device(void)
{
    return weir_fail(EBADF, "the device was stopped, or never was started");
}

/* A call begins: the device stays until put().  `last`: no other begins. */
static int get(weir_device handle, struct weir_dev **out, bool last)
{
    struct weir_dev *dev = NULL;
    bool good;
    int r = find(handle, &dev);

    if (r < 0)
        return r;
    weir_lock_take(&dev->lock);
    good = dev->generation == handle.generation;
    dev->inside += good;
    dev->generation += good && last;
    weir_lock_release(&dev->lock);
    *out = dev;
    return good ? 0 : no_device();
}

/* Whoever stops the device waits for this. */
static void put(struct weir_dev *dev)
{
    weir_lock_take(&dev->lock);
    dev->inside--;
    atomic_fetch_add(&dev->word, 1);
    weir_lock_release(&dev->lock);
    weir_unpark(&dev->word, INT_MAX);
}

/* ---- starting ---- */

static void clear(struct weir_dev *dev)
{
    weir_lock_take(&dev->lock);
    memset((char *)dev + offsetof(struct weir_dev, state), 0,
           sizeof(*dev) - offsetof(struct weir_dev, state));
    atomic_store(&dev->fork_generation, weir_fork_generation());
    weir_lock_release(&dev->lock);
}

static bool is_none(weir_socket socket)
{
    return socket.index == 0 && socket.generation == 0;
}

static bool is_same(weir_socket one, weir_socket other)
{
    return one.index == other.index && one.generation == other.generation;
}

static int set_sockets(struct weir_dev *dev, weir_socket front,
                       weir_socket back, weir_socket capture)
{
    dev->socks[WEIR_DEV_FRONT] = front;
    dev->socks[WEIR_DEV_BACK] = back;
    dev->socks[WEIR_DEV_CAPTURE] = capture;
    dev->n_socks = is_none(capture) ? WEIR_DEV_CAPTURE : WEIR_DEV_SOCKS;
    for (int i = 0; i < dev->n_socks; i++)
        for (int k = 0; k < i; k++)
            if (is_same(dev->socks[i], dev->socks[k]))
                return weir_fail(EINVAL, "a device wants different sockets, "
                                         "and one was given twice");
    return 0;
}

/* Whoever waits runs one reactor: all sockets must be that one's, or have
 * threads that run theirs. */
static int check_reactors(struct weir_dev *dev,
                          const struct weir_dev_visit *visit)
{
    struct weir_reactor *first = visit->socks[0]->reactor;

    for (int i = 1; i < visit->n; i++) {
        struct weir_reactor *other = visit->socks[i]->reactor;

        if (first != other && !(first->threaded && other->threaded))
            return weir_fail(EINVAL, "the sockets of a device are of one "
                                     "context, or their contexts have I/O "
                                     "threads");
    }
    dev->reactor = first->threaded ? NULL : first;
    return 0;
}

static int check(struct weir_dev *dev, const struct weir_dev_visit *visit)
{
    bool flows[WEIR_DEV_WAYS];
    int r = weir_dev_check_pair(visit->socks[WEIR_DEV_FRONT],
                                visit->socks[WEIR_DEV_BACK], flows);

    if (r >= 0 && visit->n > WEIR_DEV_CAPTURE)
        r = weir_dev_check_capture(visit->socks[WEIR_DEV_CAPTURE]);
    if (r >= 0)
        r = check_reactors(dev, visit);
    for (int i = 0; r >= 0 && i < WEIR_DEV_WAYS; i++) {
        dev->ways[i].flows = flows[i];
        dev->ways[i].halt = WEIR_DEV_NOT_HALTED;
    }
    return r;
}

static void give_back(struct weir_dev *dev, const struct weir_dev_visit *visit,
                      int n)
{
    while (n > 0) {
        struct weir_sock *sock = visit->socks[--n];

        weir_sock_lock(sock);
        if (sock->state == WEIR_SOCK_OPEN)
            weir_sock_unlend(sock, dev);
        weir_sock_unlock(sock);
    }
}

static int borrow(struct weir_dev *dev, const struct weir_dev_visit *visit)
{
    int r = 0;

    for (int i = 0; i < visit->n; i++) {
        weir_sock_lock(visit->socks[i]);
        r = weir_sock_lend(visit->socks[i], dev);
        weir_sock_unlock(visit->socks[i]);
        if (r < 0) {
            give_back(dev, visit, i);
            return r;
        }
    }
    return 0;
}

static int open_set(struct weir_dev *dev, const struct weir_dev_visit *visit)
{
    int r = weir_signal_open(&dev->wake);

    if (r < 0)
        return r;
    r = weir_poller_open(&dev->set);
    if (r < 0)
        goto no_set;
    r = weir_poller_add(&dev->set, dev->wake.in, WEIR_POLLER_IN,
                        WEIR_DEV_SOCKS + 1);
    for (int i = 0; r >= 0 && i < visit->n; i++)
        r = weir_poller_add(&dev->set, weir_wait_descriptor(visit->socks[i]),
                            WEIR_POLLER_IN, (uint64_t)i + 1);
    if (r >= 0)
        return 0;
    weir_poller_close(&dev->set);
no_set:
    weir_signal_close(&dev->wake);
    return r;
}

static void close_set(struct weir_dev *dev)
{
    weir_poller_close(&dev->set);
    weir_signal_close(&dev->wake);
}

static void *run_worker(void *dev)
{
    (void)weir_dev_work(dev, WEIR_NEVER);
    return NULL;
}

static void join_threads(struct weir_dev *dev)
{
    while (dev->n_threads > 0)
        pthread_join(dev->threads[--dev->n_threads], NULL);
}

static int start_threads(struct weir_dev *dev, int workers)
{
    int r = 0;

    while (dev->n_threads < workers && r >= 0) {
        char name[24];

        snprintf(name, sizeof(name), "weir-device-%d", dev->n_threads);
        r = weir_thread_start(&dev->threads[dev->n_threads], run_worker, dev,
                              name, NULL);
        dev->n_threads += r >= 0;
    }
    if (r >= 0)
        return 0;
    weir_dev_end(dev, ENOMEM, "a thread could not be started");
    join_threads(dev);
    return r;
}

/* The sockets are entered, and stay while the device is made. */
static int set_up(struct weir_dev *dev, const struct weir_dev_visit *visit,
                  int workers)
{
    int r = check(dev, visit);

    if (r < 0)
        return r;
    r = borrow(dev, visit);
    if (r < 0)
        return r;
    r = open_set(dev, visit);
    if (r < 0)
        goto no_set;
    atomic_store(&dev->state, WEIR_DEVICE_RUNNING);
    r = start_threads(dev, workers);
    if (r < 0)
        goto no_threads;
    return 0;
no_threads:
    close_set(dev);
no_set:
    give_back(dev, visit, visit->n);
    return r;
}

static int start(struct weir_dev *dev, int workers)
{
    struct weir_dev_visit visit;
    int r = weir_dev_enter(&visit, dev->socks, dev->n_socks);

    if (r < 0)
        return r;
    r = set_up(dev, &visit, workers);
    weir_dev_leave(&visit);
    return r;
}

static int start_new(weir_device *out, weir_socket front, weir_socket back,
                     weir_socket capture, int workers)
{
    struct weir_dev *dev = weir_shells_new_dev();
    int r;

    if (!dev)
        return weir_fail(ENOMEM, "no memory for a device");
    clear(dev);
    r = set_sockets(dev, front, back, capture);
    if (r >= 0)
        r = start(dev, workers);
    if (r < 0) {
        weir_shells_free_dev(dev);
        return r;
    }
    *out = (weir_device){dev->index, dev->generation};
    return 0;
}

int weir_device_start(weir_device *out, weir_socket front, weir_socket back,
                      weir_socket capture, int workers)
{
    int r = 0;

    if (!out)
        r = weir_fail(EINVAL, "the device is NULL");
    else if (workers < 0 || workers > WEIR_DEVICE_WORKERS_MAX)
        r = weir_fail(EINVAL, "%d workers: 0 to %d are allowed", workers,
                      WEIR_DEVICE_WORKERS_MAX);
    else
        r = start_new(out, front, back, capture, workers);
    return weir_answer(r);
}

/* ---- running ---- */

static int check_deadline(int deadline)
{
    return deadline >= WEIR_FOREVER
               ? 0
               : weir_fail(EINVAL, "%d is not a deadline", deadline);
}

int weir_device_run(weir_device device, int deadline)
{
    struct weir_dev *dev;
    int r = check_deadline(deadline);

    if (r >= 0)
        r = get(device, &dev, false);
    if (r < 0)
        return weir_answer(r);
    r = weir_dev_work(dev, weir_deadline_in(deadline));
    put(dev);
    return weir_answer(r);
}

/* Whoever moves messages looks at the state with the locks of the sockets. */
static int change(struct weir_dev *dev, uint32_t from, uint32_t to)
{
    struct weir_dev_visit visit;
    int r = weir_dev_enter(&visit, dev->socks, dev->n_socks);

    if (r < 0) {
        weir_dev_lose(dev, r);
        return weir_dev_outcome(dev);
    }
    weir_dev_lock(&visit);
    (void)atomic_compare_exchange_strong(&dev->state, &from, to);
    weir_dev_unlock(&visit);
    weir_dev_leave(&visit);
    weir_dev_alert(dev);
    return weir_dev_outcome(dev);
}

int weir_device_pause(weir_device device)
{
    struct weir_dev *dev;
    int r = get(device, &dev, false);

    if (r < 0)
        return weir_answer(r);
    r = change(dev, WEIR_DEVICE_RUNNING, WEIR_DEVICE_PAUSED);
    put(dev);
    return weir_answer(r);
}

int weir_device_resume(weir_device device)
{
    struct weir_dev *dev;
    int r = get(device, &dev, false);

    if (r < 0)
        return weir_answer(r);
    r = change(dev, WEIR_DEVICE_PAUSED, WEIR_DEVICE_RUNNING);
    put(dev);
    return weir_answer(r);
}

/* ---- stopping ---- */

/* Who flushes is told when a pipe has drained. */
static void count_flushing(struct weir_dev_visit *visit, bool on)
{
    for (int i = 0; i < WEIR_DEV_WAYS; i++)
        visit->socks[i]->flushing += on ? 1 : UINT32_MAX;
}

/* False: it has ended already. */
static bool begin_stopping(struct weir_dev *dev, struct weir_dev_visit *visit,
                           int64_t deadline)
{
    uint64_t left[WEIR_DEV_WAYS];
    uint32_t state;
    bool begun = false;

    weir_dev_lock(visit);
    (void)weir_dev_held(dev, visit, left);
    count_flushing(visit, true);
    for (int i = 0; i < WEIR_DEV_WAYS; i++)
        weir_sock_hurry(visit->socks[i], deadline);
    for (int i = 0; i < WEIR_DEV_WAYS; i++)
        dev->ways[i].left = left[i];
    state = atomic_load(&dev->state);
    while (!begun && state != WEIR_DEVICE_ENDED)
        begun = atomic_compare_exchange_strong(&dev->state, &state,
                                               WEIR_DEVICE_STOPPING);
    weir_dev_unlock(visit);
    weir_dev_alert(dev);
    return begun;
}

/* What was to be moved and was not, and what was moved and is not sent. */
static uint64_t count_held(struct weir_dev *dev, struct weir_dev_visit *visit)
{
    uint64_t unmoved[WEIR_DEV_WAYS], held;

    weir_dev_lock(visit);
    count_flushing(visit, false);
    held = weir_dev_held(dev, visit, unmoved);
    for (int i = 0; i < WEIR_DEV_WAYS; i++)
        if (unmoved[i] > dev->ways[i].left)
            held -= unmoved[i] - dev->ways[i].left;
    weir_dev_unlock(visit);
    return held;
}

/* All others leave soon: the device has ended, and none of them waits. */
static void await_others(struct weir_dev *dev)
{
    bool alone = false;

    join_threads(dev);
    while (!alone) {
        uint32_t seen = atomic_load(&dev->word);

        weir_lock_take(&dev->lock);
        alone = dev->inside == 1;
        weir_lock_release(&dev->lock);
        if (!alone)
            (void)weir_park(&dev->word, seen, WEIR_NEVER);
    }
}

static uint64_t drain(struct weir_dev *dev, int64_t deadline)
{
    struct weir_dev_visit visit;
    uint64_t held;
    int r = weir_dev_enter(&visit, dev->socks, dev->n_socks);

    if (r < 0) {
        weir_dev_lose(dev, r);
        await_others(dev);
        return 0;
    }
    if (begin_stopping(dev, &visit, deadline))
        (void)weir_dev_work(dev, deadline);
    weir_dev_end(dev, 0, "");
    await_others(dev);
    held = count_held(dev, &visit);
    give_back(dev, &visit, visit.n);
    weir_dev_leave(&visit);
    return held;
}

/* Sockets that are left when another was closed are the application's. */
static void release_sockets(struct weir_dev *dev)
{
    for (int i = 0; i < dev->n_socks; i++) {
        struct weir_sock *sock;

        if (weir_sock_get(dev->socks[i], &sock) < 0)
            continue;
        weir_sock_unlend(sock, dev);
        weir_sock_put(sock);
    }
}

/* In a forked child: its descriptors go, the rest was the parent's. */
static int abandon(weir_device handle)
{
    struct weir_dev *dev = weir_shells_dev(handle.index);

    if (!dev || handle.generation == 0 || dev->generation != handle.generation)
        return no_device();
    dev->generation++;
    weir_poller_abandon(&dev->set);
    weir_signal_close(&dev->wake);
    return 0;
}

static int stop(struct weir_dev *dev, int64_t deadline, uint64_t *held)
{
    uint64_t left = drain(dev, deadline);
    int r = weir_dev_outcome(dev);

    release_sockets(dev);
    close_set(dev);
    atomic_store(&dev->state, 0);
    weir_shells_free_dev(dev);
    if (r < 0)
        return r;
    if (held)
        *held = left;
    if (left == 0)
        return 0;
    return weir_fail(EAGAIN, "messages that the device could not hand on: %llu",
                     (unsigned long long)left);
}

int weir_device_stop(weir_device device, int deadline, uint64_t *held)
{
    struct weir_dev *dev;
    int r = check_deadline(deadline);

    if (r >= 0)
        r = get(device, &dev, true);
    if (r == -WEIR_EFORK)
        return weir_answer(abandon(device));
    if (r < 0)
        return weir_answer(r);
    return weir_answer(stop(dev, weir_deadline_in(deadline), held));
}

/* ---- counters ---- */

static uint64_t held_now(const struct weir_dev *dev)
{
    struct weir_dev_visit visit;
    uint64_t unmoved[WEIR_DEV_WAYS], held;

    if (weir_dev_enter(&visit, dev->socks, WEIR_DEV_WAYS) < 0)
        return 0; /* one is closed, and has counted what it had */
    weir_dev_lock(&visit);
    held = weir_dev_held(dev, &visit, unmoved);
    weir_dev_unlock(&visit);
    weir_dev_leave(&visit);
    return held;
}

static void describe(struct weir_dev *dev, weir_device_counts *counts)
{
    const struct weir_dev_way *forth = &dev->ways[WEIR_DEV_FRONT],
                              *back = &dev->ways[WEIR_DEV_BACK];

    *counts = (weir_device_counts){
        .state = atomic_load(&dev->state),
        .workers = atomic_load(&dev->workers),
        .forth = atomic_load(&forth->moved),
        .back = atomic_load(&back->moved),
        .forth_waits = atomic_load(&forth->waits),
        .back_waits = atomic_load(&back->waits),
        .forth_dropped = atomic_load(&forth->dropped),
        .back_dropped = atomic_load(&back->dropped),
        .captured = atomic_load(&dev->captured),
        .capture_missed = atomic_load(&dev->capture_missed),
        .held = held_now(dev),
    };
    weir_lock_take(&dev->lock);
    counts->code = dev->code;
    snprintf(counts->reason, sizeof(counts->reason), "%s", dev->reason);
    weir_lock_release(&dev->lock);
}

int weir_device_stats(weir_device device, weir_device_counts *counts)
{
    weir_device_counts now;
    struct weir_dev *dev;
    int r = weir_sized_check(counts, sizeof(*counts), "weir_device_counts");

    if (r >= 0)
        r = get(device, &dev, false);
    if (r < 0)
        return weir_answer(r);
    describe(dev, &now);
    put(dev);
    weir_sized_give(counts, &now, sizeof(now));
    return 0;
}
