/*
 * device_work.c - what the workers of a device do: move, drive, sleep.
 * See device.h.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/park.h"
#include "context.h"
#include "device.h"
#include "pattern/fairqueue.h"
#include "socket.h"

enum {
    /* of one way, while the locks are held: */
    BATCH = 1024,       /* messages, */
    HOLD_MOST = 100000, /* or ns, */
    CLOCK_EVERY = 16,   /* looked at after so many messages */

    EVENTS = 8,                    /* of the device's set: there are not more */
    WAKE_KEY = WEIR_DEV_SOCKS + 1, /* of `wake` in it; of a socket its number */
    TRY_AGAIN = 10000000           /* ns, after memory was short */
};

#define READABLE ((uint32_t)1 << WEIR_WAIT_IN)
#define SENDABLE ((uint32_t)1 << WEIR_WAIT_OUT)
#define FLUSHED  ((uint32_t)1 << WEIR_WAIT_STATE)

struct worker {
    struct weir_dev *dev;
    struct weir_dev_visit visit;
    uint32_t due;     /* links that the last sleep has told of */
    bool tries_again; /* soon, since there was no memory */
};

/* ---- the sockets ---- */

static int name_socket(int r, int i)
{
    static const char *const names[] = {"front", "back", "capture"};

    return weir_fail(-r, "the device's %s: %s", names[i], weir_error_text());
}

static void sort(struct weir_dev_visit *visit)
{
    for (int i = 0; i < visit->n; i++) {
        struct weir_sock *sock = visit->socks[i];
        int at = i;

        for (; at > 0 && visit->order[at - 1]->index > sock->index; at--)
            visit->order[at] = visit->order[at - 1];
        visit->order[at] = sock;
    }
}

int weir_dev_enter(struct weir_dev_visit *visit, const weir_socket *socks,
                   int n)
{
    for (visit->n = 0; visit->n < n; visit->n++) {
        int r = weir_sock_get(socks[visit->n], &visit->socks[visit->n]);

        if (r < 0) {
            r = name_socket(r, visit->n);
            weir_dev_leave(visit);
            return r;
        }
        weir_sock_unlock(visit->socks[visit->n]);
    }
    sort(visit);
    return 0;
}

void weir_dev_leave(struct weir_dev_visit *visit)
{
    while (visit->n > 0) {
        struct weir_sock *sock = visit->socks[--visit->n];

        weir_sock_lock(sock);
        weir_sock_put(sock);
    }
}

void weir_dev_lock(struct weir_dev_visit *visit)
{
    for (int i = 0; i < visit->n; i++)
        weir_sock_lock(visit->order[i]);
}

void weir_dev_unlock(struct weir_dev_visit *visit)
{
    for (int i = visit->n; i > 0; i--)
        weir_sock_unlock(visit->order[i - 1]);
}

/* What is put back because there was no room is received no longer. */
uint64_t weir_dev_held(const struct weir_dev *dev, struct weir_dev_visit *visit,
                       uint64_t unmoved[WEIR_DEV_WAYS])
{
    weir_stats sums[WEIR_DEV_WAYS];
    uint64_t held = 0;

    for (int i = 0; i < WEIR_DEV_WAYS; i++) {
        sums[i] = weir_stats_sum(visit->socks[i], NULL);
        weir_stats_add_held(&sums[i], visit->socks[i]);
    }
    for (int i = 0; i < WEIR_DEV_WAYS; i++) {
        unmoved[i] = dev->ways[i].flows ? sums[i].recv_queued : 0;
        held += unmoved[i];
        if (dev->ways[i].flows)
            held += sums[!i].send_queued;
    }
    return held;
}

/* ---- the end ---- */

void weir_dev_alert(struct weir_dev *dev)
{
    atomic_fetch_add(&dev->word, 1);
    weir_unpark(&dev->word, INT_MAX);
    weir_signal_set(&dev->wake);
    if (dev->reactor)
        weir_reactor_recall(dev->reactor);
}

void weir_dev_end(struct weir_dev *dev, int code, const char *reason)
{
    weir_lock_take(&dev->lock);
    if (atomic_load(&dev->state) != WEIR_DEVICE_ENDED) {
        dev->code = code;
        snprintf(dev->reason, sizeof(dev->reason), "%s", reason);
        atomic_store(&dev->state, WEIR_DEVICE_ENDED);
    }
    weir_lock_release(&dev->lock);
    weir_dev_alert(dev);
}

int weir_dev_outcome(struct weir_dev *dev)
{
    int r = 0;

    weir_lock_take(&dev->lock);
    if (dev->code)
        r = weir_fail(dev->code, "%s", dev->reason);
    weir_lock_release(&dev->lock);
    return r;
}

/* One that was closed before anybody looked is as one that is being closed. */
void weir_dev_lose(struct weir_dev *dev, int r)
{
    weir_dev_end(dev, r == -EBADF ? WEIR_ECLOSING : -r, weir_error_text());
}

static bool is_over(const struct weir_sock *sock)
{
    return sock->state != WEIR_SOCK_OPEN ||
           atomic_load_explicit(&sock->ctx->closing, memory_order_relaxed);
}

/* All locks held.  False: a socket goes away, and the device with it. */
static bool are_open(struct worker *worker)
{
    struct weir_dev_visit *visit = &worker->visit;

    for (int i = 0; i < visit->n; i++) {
        if (!is_over(visit->socks[i]))
            continue;
        (void)weir_fail(WEIR_ECLOSING, "the %s",
                        visit->socks[i]->state == WEIR_SOCK_OPEN
                            ? "socket's context is closing"
                            : "socket is being closed");
        (void)name_socket(-WEIR_ECLOSING, i);
        weir_dev_end(worker->dev, WEIR_ECLOSING, weir_error_text());
        return false;
    }
    return true;
}

static bool stops(const struct weir_dev *dev)
{
    return atomic_load(&dev->state) == WEIR_DEVICE_STOPPING;
}

/* ---- moving: all locks held ---- */

static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

/* Without memory for it a message was dropped, and its socket has counted
 * that; others may follow. */
static int halt_dry(struct weir_dev_way *way, int r)
{
    if (r == -EAGAIN)
        way->halt = WEIR_DEV_DRY;
    else if (r == -WEIR_ESTATE)
        way->halt = WEIR_DEV_TURN;
    else
        return 0;
    return r;
}

/* It was not sent, and may be later.  Without memory it is kept as well: what
 * a forwarder drops may be a subscription, which nobody says again. */
static int halt_full(struct weir_dev_way *way, struct weir_sock *from,
                     struct weir_sock *to, weir_message *message, int r)
{
    weir_sock_put_back(from, message);
    way->halt = r == -ENOMEM ? WEIR_DEV_SHORT : WEIR_DEV_FULL;
    way->seen = to->changes[WEIR_WAIT_OUT];
    count(&way->waits);
    return r;
}

static bool is_for_later(int r)
{
    return r == -EAGAIN || r == -WEIR_ESTATE || r == -ENOMEM;
}

static void capture(struct weir_dev *dev, struct weir_sock *sock,
                    weir_message *message)
{
    if (sock->pattern->send(sock, message) < 0) {
        count(&dev->capture_missed);
        return;
    }
    weir_rest_use(sock);
    count(&dev->captured);
}

/* Move one message.  Negative: the way has come to a halt. */
static int move_one(struct worker *worker, int i)
{
    struct weir_dev_visit *visit = &worker->visit;
    struct weir_dev *dev = worker->dev;
    struct weir_dev_way *way = &dev->ways[i];
    struct weir_sock *from = visit->socks[i], *to = visit->socks[!i];
    weir_message message;
    int r;

    weir_message_init(&message);
    r = weir_sock_take(from, &message);
    if (WEIR_UNLIKELY(r < 0))
        return halt_dry(way, r);
    r = to->pattern->send(to, &message);
    if (WEIR_UNLIKELY(r < 0 && is_for_later(r)))
        return halt_full(way, from, to, &message, r);
    if (WEIR_UNLIKELY(r < 0))
        count(&way->dropped);
    else
        count(&way->moved);
    if (r >= 0 && visit->n > WEIR_DEV_CAPTURE)
        capture(dev, visit->socks[WEIR_DEV_CAPTURE], &message);
    weir_message_fini(&message);
    way->left -= way->left > 0;
    return 0;
}

/* A way that waits for room is not tried again before there was some change:
 * it would be in vain, and again. */
static bool may_move(struct worker *worker, int i)
{
    const struct weir_dev_way *way = &worker->dev->ways[i];
    const struct weir_sock *to = worker->visit.socks[!i];

    if (!way->flows || atomic_load(&worker->dev->state) == WEIR_DEVICE_PAUSED ||
        (stops(worker->dev) && way->left == 0))
        return false;
    return way->halt != WEIR_DEV_FULL ||
           way->seen != to->changes[WEIR_WAIT_OUT];
}

static int move_way(struct worker *worker, int i)
{
    struct weir_dev_way *way = &worker->dev->ways[i];
    int64_t begin;
    int n = 0;

    if (!may_move(worker, i))
        return 0;
    begin = weir_now();
    way->halt = WEIR_DEV_NOT_HALTED;
    while (n < BATCH && move_one(worker, i) >= 0) {
        n++;
        if ((stops(worker->dev) && way->left == 0) ||
            (n % CLOCK_EVERY == 0 && weir_now() - begin > HOLD_MOST))
            break;
    }
    if (n == 0)
        return 0;
    weir_rest_use(worker->visit.socks[!i]);
    if (worker->dev->ways[!i].halt != WEIR_DEV_DRY)
        worker->dev->ways[!i].halt = WEIR_DEV_NOT_HALTED;
    return n;
}

/* ---- driving ---- */

/* Bring to the kernel what was moved, and read what has come. */
static bool drive(struct weir_sock *sock)
{
    bool did;

    weir_sock_lock(sock);
    did = weir_drive_output(sock);
    did = weir_drive_input(sock) || did;
    if (weir_list_empty(&sock->readable))
        did = weir_poll_set(sock) > 0 || did;
    weir_sock_unlock(sock);
    return did;
}

/* Once around; false: there was nothing to do. */
static bool go_round(struct worker *worker)
{
    struct weir_dev_visit *visit = &worker->visit;
    bool did = false;

    weir_dev_lock(visit);
    if (are_open(worker))
        for (int i = 0; i < WEIR_DEV_WAYS; i++)
            did = move_way(worker, i) > 0 || did;
    weir_dev_unlock(visit);
    for (int i = 0; i < visit->n; i++)
        did = drive(visit->socks[i]) || did;
    return did;
}

/* ---- sleeping ---- */

/* What a way waits for.  False: it may go on, look again. */
static bool expect(struct worker *worker, int i, uint32_t waits[WEIR_DEV_SOCKS])
{
    struct weir_dev_way *way = &worker->dev->ways[i];
    struct weir_sock *from = worker->visit.socks[i];

    if (!way->flows || atomic_load(&worker->dev->state) == WEIR_DEVICE_PAUSED ||
        (stops(worker->dev) && way->left == 0))
        return true;
    switch (way->halt) {
    case WEIR_DEV_FULL:
        waits[!i] |= SENDABLE;
        return !may_move(worker, i);
    case WEIR_DEV_SHORT:
        worker->tries_again = true;
        return true;
    case WEIR_DEV_TURN:
        return true;
    case WEIR_DEV_DRY:
        waits[i] |= READABLE;
        return !weir_sock_can_recv(from) && !weir_fairqueue_arm(from);
    default:
        return false;
    }
}

/* Of a device that stops: is all moved, and with the kernel?  What was to be
 * moved and is not there any more was dropped, and counted. */
static bool is_drained(struct worker *worker, uint32_t waits[WEIR_DEV_SOCKS])
{
    struct weir_dev *dev = worker->dev;
    bool drained = true;

    for (int i = 0; i < WEIR_DEV_WAYS; i++) {
        struct weir_dev_way *way = &dev->ways[i];

        if (!way->flows)
            continue;
        if (way->halt == WEIR_DEV_DRY)
            way->left = 0;
        waits[!i] |= FLUSHED;
        if (way->left > 0 || weir_sock_unsent(worker->visit.socks[!i]))
            drained = false;
    }
    return drained;
}

/* All locks held.  False: there is something to do, or the device has ended.
 * Otherwise whoever sleeps is told when there is. */
static bool settle(struct worker *worker, uint32_t waits[WEIR_DEV_SOCKS])
{
    struct weir_dev_visit *visit = &worker->visit;

    worker->tries_again = false;
    for (int i = 0; i < WEIR_DEV_SOCKS; i++)
        waits[i] = 0;
    if (!are_open(worker) ||
        atomic_load(&worker->dev->state) == WEIR_DEVICE_ENDED)
        return false;
    for (int i = 0; i < visit->n; i++)
        if (!weir_list_empty(&visit->socks[i]->readable) ||
            !weir_list_empty(&visit->socks[i]->unflushed))
            return false;
    for (int i = 0; i < WEIR_DEV_WAYS; i++)
        if (!expect(worker, i, waits))
            return false;
    if (!stops(worker->dev) || !is_drained(worker, waits))
        return true;
    weir_dev_end(worker->dev, 0, "");
    return false;
}

/* Until when it may sleep that was settled. */
static int64_t until(const struct worker *worker, int64_t deadline)
{
    int64_t soon;

    if (!worker->tries_again)
        return deadline;
    soon = weir_now() + TRY_AGAIN;
    return soon < deadline ? soon : deadline;
}

static void follow(struct worker *worker, uint32_t seen, int64_t deadline)
{
    struct weir_dev_visit *visit = &worker->visit;
    uint32_t waits[WEIR_DEV_SOCKS];
    bool settled;

    weir_dev_lock(visit);
    settled = settle(worker, waits);
    for (int i = 0; settled && i < visit->n; i++)
        weir_wait_expect(visit->socks[i], waits[i]);
    weir_dev_unlock(visit);
    if (settled)
        (void)weir_park(&worker->dev->word, seen, until(worker, deadline));
}

/* Sleep in the device's set; which sockets it has told of, as bits. */
static uint32_t sleep_in_set(struct weir_dev *dev, int64_t deadline)
{
    struct weir_poller_event events[EVENTS];
    int n = weir_poller_wait(&dev->set, events, EVENTS, deadline);
    uint32_t told = 0;

    if (n < 0) /* it cannot be waited for: look at all of them in a while */
        (void)weir_park(&dev->word, atomic_load(&dev->word),
                        weir_now() + TRY_AGAIN);
    for (int i = 0; i < n; i++)
        if (events[i].key == WAKE_KEY)
            weir_signal_clear(&dev->wake);
        else
            told |= UINT32_C(1) << events[i].key;
    return told;
}

/* None, one, or two for more. */
static uint32_t links_due(const struct weir_sock *sock)
{
    const struct weir_list *first = weir_list_first(&sock->readable);

    if (!first)
        return 0;
    return first->next == &sock->readable ? 1 : 2;
}

static void get_up(struct worker *worker, uint32_t told)
{
    struct weir_dev_visit *visit = &worker->visit;

    for (int i = 0; i < visit->n; i++) {
        struct weir_sock *sock = visit->socks[i];

        weir_sock_lock(sock);
        weir_wait_led(sock, told & UINT32_C(1) << (i + 1));
        worker->due += links_due(sock);
        weir_sock_unlock(sock);
    }
}

static void lead(struct worker *worker, int64_t deadline)
{
    struct weir_dev_visit *visit = &worker->visit;
    struct weir_dev *dev = worker->dev;
    uint32_t waits[WEIR_DEV_SOCKS], told = 0;
    struct weir_wait_turn turn = {.reactor = NULL};
    bool settled;

    worker->due = 0;
    weir_dev_lock(visit);
    settled = settle(worker, waits);
    for (int i = 0; settled && i < visit->n; i++)
        weir_wait_lead(visit->socks[i], waits[i]);
    if (settled && dev->reactor)
        turn = weir_wait_claim(dev->reactor);
    weir_dev_unlock(visit);
    if (!settled)
        return;
    deadline = until(worker, deadline);
    if (dev->reactor)
        weir_wait_run(&turn, deadline);
    else
        told = sleep_in_set(dev, deadline);
    get_up(worker, told);
}

/* One of those who follow leads now, or shares the work. */
static void wake_one(struct weir_dev *dev)
{
    bool any;

    weir_lock_take(&dev->lock);
    any = dev->parked > 0;
    weir_lock_release(&dev->lock);
    if (!any)
        return;
    atomic_fetch_add(&dev->word, 1);
    weir_unpark(&dev->word, 1);
}

/* Without I/O threads all of them run the reactor, one after the other. */
static bool may_lead(struct weir_dev *dev, uint32_t *seen)
{
    bool leads;

    weir_lock_take(&dev->lock);
    *seen = atomic_load(&dev->word);
    leads = !dev->leading || dev->reactor;
    if (leads)
        dev->leading = true;
    else
        dev->parked++;
    weir_lock_release(&dev->lock);
    return leads;
}

static void rest(struct worker *worker, int64_t deadline)
{
    struct weir_dev *dev = worker->dev;
    uint32_t seen;
    bool leads = may_lead(dev, &seen);

    if (leads)
        lead(worker, deadline);
    else
        follow(worker, seen, deadline);
    weir_lock_take(&dev->lock);
    if (leads)
        dev->leading = false;
    else
        dev->parked--;
    weir_lock_release(&dev->lock);
    if (leads && worker->due > 1)
        wake_one(dev);
}

/* ---- a worker ---- */

static bool has_passed(int64_t deadline)
{
    return deadline != WEIR_NEVER && (deadline <= 0 || weir_now() >= deadline);
}

static int work(struct worker *worker, int64_t deadline)
{
    bool over = false;

    while (atomic_load(&worker->dev->state) != WEIR_DEVICE_ENDED) {
        bool did = go_round(worker);

        if (over)
            return -EAGAIN;
        over = has_passed(deadline);
        if (!did)
            rest(worker, over ? 0 : deadline);
    }
    return weir_dev_outcome(worker->dev);
}

int weir_dev_work(struct weir_dev *dev, int64_t deadline)
{
    struct worker worker = {.dev = dev};
    int r = weir_dev_enter(&worker.visit, dev->socks, dev->n_socks);

    if (r < 0) {
        weir_dev_lose(dev, r);
        return weir_dev_outcome(dev);
    }
    atomic_fetch_add(&dev->workers, 1);
    r = work(&worker, deadline);
    atomic_fetch_sub(&dev->workers, 1);
    weir_dev_leave(&worker.visit);
    wake_one(dev);
    return r;
}
