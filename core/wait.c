/*
 * wait.c - what a call does while it has to wait: drive, spin, sleep.
 *
 * Of the threads that wait on one socket one leads: it sleeps in the socket's
 * set, where the descriptors of its links are, and drives what becomes due.
 * The others sleep on a word per direction.  A leader that leaves wakes a
 * follower to take its place.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fence.h"
#include "context.h"
#include "pattern/fairqueue.h"
#include "socket.h"

enum {
    SPIN_LINKS = 4, /* more links than these are not read one by one */
    SPIN_SKIP_MAX = 8,
    SPIN_EARNED = 250, /* ns that a message received is worth */
    SPIN_OCTETS = 4,   /* octets of large ones that are worth one ns */
    SPIN_LARGE = 4,    /* times the usual limit that those may earn */
    SPIN_LOOKS = 4,    /* between looks at the clock */
    SPIN_LEAST = 1000, /* ns: less is not worth beginning */
    EVENTS = 32,
    READS = 4,         /* in vain, in one round */
    LOOK_AT_SET = 8,   /* drives between looks at the other links */
    LOOK_AT_ALL = 64,  /* and, without I/O threads, at timers and newcomers */
    ROUNDS = 2,        /* that did something, between looks at the clock */
    ROUNDS_NOW = 16,   /* of a call that does not wait */
    AGAIN = 4,         /* times a link is driven for others who asked */
    SOON = 50000,      /* ns until the reactor looks at what was left over */
    GATHER = 3000,     /* ns */
    YIELDS = 4,        /* of one wait */
    YIELDED = 1000,    /* ns: in less nobody else has run */
    TOO_LONG = 500000, /* ns: it was not the other end that ran */
};

static uint32_t bit(enum weir_wait what)
{
    return UINT32_C(1) << what;
}

/* ---- waking ---- */

static void wake_leader(struct weir_sock *sock)
{
    sock->leader_asleep = false;
    weir_signal_set(&sock->wake);
}

/* Once the lock is released: before, they would find it taken, and sleep again
 * for that. */
static void wake_followers(struct weir_sock *sock, enum weir_wait what, int n)
{
    int *wakes = &sock->wakes[what];

    atomic_fetch_add(&sock->turn_word[what], 1);
    *wakes = *wakes < INT_MAX - n ? *wakes + n : INT_MAX;
    sock->wakes_due = true;
}

void weir_wait_release(struct weir_sock *sock)
{
    int wakes[WEIR_WAITS];

    if (!sock->wakes_due) {
        weir_biased_release(&sock->lock);
        return;
    }
    memcpy(wakes, sock->wakes, sizeof wakes);
    memset(sock->wakes, 0, sizeof sock->wakes);
    sock->wakes_due = false;
    weir_biased_release(&sock->lock);
    for (enum weir_wait what = 0; what < WEIR_WAITS; what++)
        if (wakes[what] > 0)
            weir_unpark(&sock->turn_word[what], wakes[what]);
}

void weir_sock_wake(struct weir_sock *sock, enum weir_wait what)
{
    sock->changes[what]++;
    if (sock->waiting[what] == 0)
        return;
    if (!sock->reactor->threaded)
        weir_reactor_recall(sock->reactor);
    if (sock->leader_asleep && (sock->leader_waits & bit(what)))
        wake_leader(sock);
    if (sock->sleeping[what] > 0)
        wake_followers(sock, what, what == WEIR_WAIT_IN ? 1 : INT_MAX);
}

void weir_wait_wake_all(struct weir_sock *sock)
{
    if (sock->leader_asleep)
        wake_leader(sock);
    for (enum weir_wait what = 0; what < WEIR_WAITS; what++)
        wake_followers(sock, what, INT_MAX);
    if (!sock->reactor->threaded)
        weir_reactor_recall(sock->reactor);
}

/* Nobody leads now: one of those who sleep should. */
static void pass_on(struct weir_sock *sock)
{
    if (sock->n_links == 0)
        return;
    for (enum weir_wait what = 0; what <= WEIR_WAIT_STATE; what++)
        if (sock->sleeping[what] > 0) {
            wake_followers(sock, what, 1);
            return;
        }
}

void weir_wait_hand_on(struct weir_sock *sock, int64_t ns)
{
    weir_tick_is_no_stream(&sock->tick);
    if (sock->reactor->threaded)
        weir_reactor_tick(sock->reactor, &sock->tick, ns);
    else if (sock->waiting[WEIR_WAIT_IN] + sock->waiting[WEIR_WAIT_OUT] +
                 sock->waiting[WEIR_WAIT_STATE] >
             0)
        weir_reactor_recall(sock->reactor);
}

/* ---- driving ---- */

/* It wants to go on writing: whoever drives next does that. */
static void keep_writing(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_list_empty(&pipe->flush))
        return;
    weir_list_append(&sock->unflushed, &pipe->flush);
    weir_wait_hand_on(sock, SOON);
}

/* A link that has more to read stays in line, unless it is paused: then its
 * queue tells when there is room. */
static void keep_in_line(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct weir_link *link = &pipe->link;

    if (atomic_load(&link->readable) && atomic_load(&link->live) &&
        !atomic_load(&link->paused) && weir_list_empty(&pipe->drive))
        weir_sock_line_up(sock, pipe);
    if (atomic_load(&link->more) && atomic_load(&link->live))
        keep_writing(sock, pipe);
}

/* Stop driving.  False: somebody asked for another round, and had not too
 * many yet; what is asked for beyond that is due. */
static bool stop_driving(struct weir_sock *sock, struct weir_pipe *pipe,
                         int rounds)
{
    if (rounds < AGAIN)
        return weir_link_let_go(&pipe->link);
    weir_sock_let_go(sock, pipe);
    return true;
}

/* Drive one link until nobody asks for another round.  Driver word held on
 * entry, not on return; lock held on both, not in between.  The lock is taken
 * before the word is let go: until then the pipe cannot go away. */
static int drive_link(struct weir_sock *sock, struct weir_pipe *pipe,
                      bool reading)
{
    struct weir_link *link = &pipe->link;
    int published = 0, rounds = 0;

    do {
        int n = 0;

        if (reading || atomic_load(&link->readable))
            weir_queue_rewind(pipe->in);
        weir_sock_unlock(sock);
        weir_link_flush(link);
        if (reading || atomic_load(&link->readable))
            n = weir_link_read(link);
        weir_sock_lock(sock);
        published += n > 0 ? n : 0;
        weir_queue_rewind(pipe->out);
    } while (!stop_driving(sock, pipe, ++rounds));
    keep_in_line(sock, pipe);
    weir_sock_look_drained(sock, pipe);
    return published;
}

int weir_drive_next(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_pop(&sock->readable);
    struct weir_pipe *pipe;

    if (!node)
        return -EAGAIN;
    pipe = WEIR_CONTAINER(node, struct weir_pipe, drive);
    if (!weir_link_hold(&pipe->link))
        return 0; /* who holds it goes round again */
    return drive_link(sock, pipe, true);
}

/* The application is here, and the reactor is to keep away.  Returns how often
 * it has been.  Lock held, so nobody else counts. */
static uint32_t show_up(struct weir_sock *sock)
{
    uint32_t drives =
        1 + atomic_load_explicit(&sock->drives, memory_order_relaxed);

    atomic_store_explicit(&sock->drives, drives, memory_order_relaxed);
    return drives;
}

/* One link may have something to read at all times.  The reactor does not see
 * to the others as long as the application is here. */
static void look_around(struct weir_sock *sock, uint32_t drives)
{
    if (drives % LOOK_AT_SET == 0)
        (void)weir_poll_set(sock);
    if (drives % LOOK_AT_ALL == 0)
        weir_wait_round(sock);
}

bool weir_drive_input(struct weir_sock *sock)
{
    int published = 0;

    look_around(sock, show_up(sock));
    for (int i = 0; i < READS && published == 0; i++)
        published = weir_drive_next(sock);
    return published > 0;
}

static void flush_one(struct weir_sock *sock, struct weir_list *node)
{
    struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, flush);

    if (weir_link_hold(&pipe->link))
        drive_link(sock, pipe, false);
}

static void flush_all(struct weir_sock *sock)
{
    struct weir_list due, *node;

    weir_list_init(&due);
    while ((node = weir_list_pop(&sock->unflushed)) != NULL)
        weir_list_append(&due, node);
    while ((node = weir_list_pop(&due)) != NULL)
        flush_one(sock, node);
}

bool weir_drive_output(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->unflushed);

    sock->pace.full = false;
    if (!node)
        return false;
    if (!weir_list_alone(node)) {
        flush_all(sock);
        return true;
    }
    weir_list_remove(node);
    flush_one(sock, node);
    return true;
}

/* What the kernel has room for again nobody may come to write, in this call. */
static void note(struct weir_sock *sock, const struct weir_poller_event *events,
                 int n)
{
    weir_sock_note(sock, events, n);
    if (!weir_list_empty(&sock->unflushed))
        weir_reactor_tick(sock->reactor, &sock->tick, SOON);
}

int weir_poll_set(struct weir_sock *sock)
{
    struct weir_poller_event events[EVENTS];
    int n;

    if (!sock->has_set || sock->n_links == 0 || sock->leader)
        return 0;
    n = weir_poller_wait(&sock->set, events, EVENTS, 0);
    note(sock, events, n);
    return n > 0 && !(n == 1 && events[0].key == WEIR_SOCK_WAKE_KEY);
}

/* ---- spinning ---- */

static int64_t at_most(uint64_t ns, int64_t most)
{
    return ns < (uint64_t)most ? (int64_t)ns : most;
}

/* What has come is paid for once. */
static int64_t credit(struct weir_sock *sock, int64_t most)
{
    uint64_t news = sock->received - sock->received_paid;

    sock->received_paid = sock->received;
    sock->spin_credit += at_most(news * SPIN_EARNED, most);
    if (sock->spin_credit > most)
        sock->spin_credit = most;
    return sock->spin_credit;
}

static void spend(struct weir_sock *sock, int64_t ns)
{
    sock->spin_credit = ns < sock->spin_credit ? sock->spin_credit - ns : 0;
}

/* Who has sent something waits for the answer to it, and who has it sooner asks
 * again sooner.  With the pace of latency it is always taken to be so. */
static bool awaits_answer(const struct weir_sock *sock)
{
    return sock->asked || sock->options.pace == WEIR_PACE_LATENCY;
}

/* How long at most.  For who only receives, sleeping costs less than spinning
 * from one message to the next, unless these come so close that they are worth
 * what it takes.  Where they do not he sleeps now and then, and has several at
 * once after that.
 *
 * The next large one is long in coming, and each time that it finds us asleep
 * its sender pays for waking us, which may be a third of what it does. */
static int64_t spin_time(struct weir_sock *sock, enum weir_wait what)
{
    int64_t most = sock->options.spin * 1000, large;

    if (what == WEIR_WAIT_OUT)
        return most;
    large = at_most((sock->bulk - sock->bulk_slept) / SPIN_OCTETS,
                    SPIN_LARGE * most);
    if (awaits_answer(sock))
        return most + large;
    return large + credit(sock, most);
}

/* The clock is read where a deadline may come first. */
static int64_t time_until(int64_t deadline, int64_t time)
{
    int64_t left;

    if (deadline == WEIR_NEVER || deadline == 0 || time < SPIN_LEAST)
        return time;
    left = deadline - weir_now();
    return left < time ? left : time;
}

static bool worth_spinning(struct weir_spin *spin)
{
    if (spin->skip == 0)
        return true;
    spin->skip--;
    return false;
}

static void spun(struct weir_spin *spin, bool hit)
{
    if (hit) {
        spin->misses = 0;
        return;
    }
    if (spin->misses < SPIN_SKIP_MAX)
        spin->misses++;
    spin->skip = 1u << spin->misses;
}

void weir_drive_done(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_link_let_go(&pipe->link)) {
        drive_link(sock, pipe, false);
        return;
    }
    keep_in_line(sock, pipe);
    weir_sock_look_drained(sock, pipe);
}

/* Hold the drivers of all links, if they are few. */
static int hold_links(struct weir_sock *sock, struct weir_pipe **held)
{
    struct weir_list *node, *after;
    uint32_t left = sock->n_links;
    int n = 0;

    if (left == 0 || left > SPIN_LINKS)
        return 0;
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (!atomic_load(&pipe->link.live))
            continue; /* one of inproc among them */
        if (!atomic_load(&pipe->link.turn) && weir_link_hold(&pipe->link))
            held[n++] = pipe;
        if (--left == 0)
            break;
    }
    return n;
}

static void let_links_go(struct weir_sock *sock, struct weir_pipe **held, int n)
{
    for (int i = 0; i < n; i++)
        weir_drive_done(sock, held[i]);
}

/* Is there news since `seen`?  The pattern is not asked whether it can send:
 * it does not know what, and to whom. */
static bool satisfied(struct weir_sock *sock, enum weir_wait what,
                      uint32_t seen)
{
    if (what == WEIR_WAIT_IN)
        return weir_sock_can_recv(sock);
    return what == WEIR_WAIT_OUT && sock->changes[what] != seen;
}

/* One look of a spin, without the lock. */
static bool look(struct weir_sock *sock, enum weir_wait what, uint32_t seen,
                 struct weir_pipe **held, int n)
{
    bool hit = false;

    for (int i = 0; i < n && !hit; i++) {
        hit = weir_link_read(&held[i]->link) != 0;
        if (weir_link_asked(&held[i]->link))
            weir_link_flush(&held[i]->link);
    }
    if (hit || (n > 0 && atomic_load_explicit(&sock->splices,
                                              memory_order_relaxed) == 0))
        return hit;
    if (!weir_sock_try_lock(sock))
        return false;
    hit = satisfied(sock, what, seen) || sock->state != WEIR_SOCK_OPEN ||
          weir_poll_set(sock) > 0;
    weir_sock_unlock(sock);
    return hit;
}

static bool spin(struct weir_sock *sock, enum weir_wait what, uint32_t seen,
                 int64_t time)
{
    struct weir_pipe *held[SPIN_LINKS];
    int64_t begin = weir_now(), end = begin + time;
    int n = hold_links(sock, held), looks = 0;
    bool hit;

    (void)show_up(sock);
    weir_sock_unlock(sock);
    do {
        hit = look(sock, what, seen, held, n);
        if (n == 0)
            weir_cpu_relax(); /* a system call is pause enough */
    } while (!hit && (++looks % SPIN_LOOKS != 0 || weir_now() < end));
    weir_sock_lock(sock);
    if (what == WEIR_WAIT_IN && !awaits_answer(sock))
        spend(sock, weir_now() - begin);
    let_links_go(sock, held, n);
    return hit;
}

static struct weir_spin *spin_of(struct weir_sock *sock, enum weir_wait what)
{
    return what == WEIR_WAIT_IN ? &sock->spin_in : &sock->spin_out;
}

static bool try_spinning(struct weir_sock *sock, enum weir_wait what,
                         uint32_t seen, int64_t deadline)
{
    struct weir_spin *how = spin_of(sock, what);
    int64_t time = time_until(deadline, spin_time(sock, what));
    bool hit;

    if (what == WEIR_WAIT_STATE || deadline == 0 || sock->spinning ||
        (what == WEIR_WAIT_OUT && sock->splices == 0) || time < SPIN_LEAST ||
        !worth_spinning(how))
        return false;
    sock->spinning = true;
    hit = spin(sock, what, seen, time);
    sock->spinning = false;
    spun(how, hit);
    return hit;
}

static void yielded(struct weir_spin *spin, bool hit, int64_t took)
{
    if (took >= TOO_LONG)
        spin->misses = SPIN_SKIP_MAX;
    spun(spin, hit && took < TOO_LONG);
}

/* Let others run who are ready to, on our processor.  If they had it for so
 * long that it was not the other end that ran, keep away from that for a while:
 * who sleeps has it back sooner. */
static bool yield(struct weir_sock *sock, enum weir_wait what, uint32_t seen)
{
    struct weir_pipe *held[SPIN_LINKS];
    int64_t begin = weir_now(), took = YIELDED;
    int n = hold_links(sock, held);
    bool hit = false;

    (void)show_up(sock);
    weir_sock_unlock(sock);
    for (int i = 0; i < YIELDS && !hit && took >= YIELDED; i++) {
        int64_t start = weir_now();

        (void)sched_yield();
        took = weir_now() - start;
        hit = look(sock, what, seen, held, n);
    }
    weir_sock_lock(sock);
    let_links_go(sock, held, n);
    yielded(&sock->yields, hit, weir_now() - begin);
    return hit;
}

/* Where both ends are on one processor nothing comes while we spin.  To give it
 * up costs less than to sleep and to be woken.  Who takes a stream from another
 * process is better off asleep: beside busy programs he is back sooner. */
static bool may_yield(const struct weir_sock *sock, enum weir_wait what)
{
    if (what == WEIR_WAIT_STATE || sock->spinning || sock->options.spin == 0)
        return false;
    return atomic_load(&sock->splices) > 0 ||
           (what == WEIR_WAIT_IN && sock->asked);
}

static bool try_yielding(struct weir_sock *sock, enum weir_wait what,
                         uint32_t seen, int64_t deadline)
{
    bool hit;

    if (deadline == 0 || !may_yield(sock, what) ||
        !worth_spinning(&sock->yields))
        return false;
    sock->spinning = true;
    hit = yield(sock, what, seen);
    sock->spinning = false;
    return hit;
}

/* The other end has answered as soon as we yielded, so it is on our processor,
 * where spinning is in vain; or it was until now, and nobody else was there. */
static void note_place(struct weir_sock *sock, struct weir_spin *spin, bool hit)
{
    bool was_together = sock->together;

    sock->together = hit && sock->yields.misses == 0;
    if (sock->together) {
        spin->misses = SPIN_SKIP_MAX;
        spun(spin, false);
    } else if (was_together && sock->yields.misses == 1) {
        spin->misses = spin->skip = 0;
    }
}

/* Spinning finds the answer of who is on another processor, yielding that of
 * who is on ours, and each is in vain for the other.  Where threads are moved
 * to and fro, both happen: what found the last one comes first. */
static bool try_both(struct weir_sock *sock, enum weir_wait what, uint32_t seen,
                     int64_t deadline)
{
    bool yields_first = sock->together, hit;

    if (!yields_first && try_spinning(sock, what, seen, deadline))
        return true;
    hit = try_yielding(sock, what, seen, deadline);
    note_place(sock, spin_of(sock, what), hit);
    return hit || (yields_first && try_spinning(sock, what, seen, deadline));
}

/* Several messages came in a row from a thread of this process: it streams.
 * Looking after each of them would have the two caches pass the same lines to
 * and fro, so let some gather.  An answer to a lone message is never delayed.
 * Nothing gathers while we spin on the one processor that both have. */
static bool gather(struct weir_sock *sock)
{
    uint64_t run = sock->received - sock->received_dry;
    int64_t end;
    bool hit;

    sock->received_dry = sock->received;
    if (run < 2 || atomic_load(&sock->splices) == 0 || sock->spinning ||
        !worth_spinning(&sock->gathers))
        return false;
    end = weir_now() + GATHER;
    weir_sock_unlock(sock);
    while (weir_now() < end)
        weir_cpu_relax();
    weir_sock_lock(sock);
    hit = weir_sock_can_recv(sock);
    spun(&sock->gathers, hit);
    return hit;
}

/* ---- sleeping ---- */

static void lie_down(struct weir_sock *sock, uint32_t waits)
{
    sock->leader = true;
    sock->leader_asleep = true;
    sock->leader_waits = waits;
    atomic_store(&sock->asleep, true);
}

static void get_up(struct weir_sock *sock)
{
    atomic_store(&sock->asleep, false);
    sock->leader = false;
    sock->leader_asleep = false;
}

/* The application is there: the reactor may look whether it still is. */
static void show_presence(struct weir_sock *sock)
{
    (void)show_up(sock);
    weir_fence_full();
    if (!atomic_load(&sock->io_drives))
        weir_reactor_tick(sock->reactor, &sock->tick, WEIR_ABSENCE);
}

/* Who is woken by who takes the lock, and not by the kernel, sleeps without a
 * bias. */
static void unlock_to_be_woken(struct weir_sock *sock)
{
    weir_sock_unlock_by(sock, weir_biased_give_up);
}

static void sleep_leading(struct weir_sock *sock, enum weir_wait what,
                          int64_t deadline)
{
    struct weir_poller_event events[EVENTS];
    int n;

    lie_down(sock, bit(what));
    if (what == WEIR_WAIT_OUT || atomic_load(&sock->splices) > 0)
        unlock_to_be_woken(sock);
    else
        weir_sock_unlock(sock);
    n = weir_poller_wait(&sock->set, events, EVENTS, deadline);
    weir_sock_lock(sock);
    get_up(sock);
    note(sock, events, n);
    show_presence(sock);
    pass_on(sock);
}

static void sleep_following(struct weir_sock *sock, enum weir_wait what,
                            int64_t deadline)
{
    uint32_t seen = atomic_load(&sock->turn_word[what]);

    sock->sleeping[what]++;
    unlock_to_be_woken(sock);
    weir_park(&sock->turn_word[what], seen, deadline);
    weir_sock_lock(sock);
    sock->sleeping[what]--;
}

/* Without I/O threads one of those who wait is the I/O thread; the others
 * sleep until it has been round. */
struct weir_wait_turn weir_wait_claim(struct weir_reactor *reactor)
{
    return (struct weir_wait_turn){.reactor = reactor,
                                   .seen = atomic_load(&reactor->rounds),
                                   .ours = weir_lock_try(&reactor->turn)};
}

void weir_wait_run(const struct weir_wait_turn *turn, int64_t deadline)
{
    struct weir_reactor *reactor = turn->reactor;

    if (!turn->ours) {
        weir_park(&reactor->rounds, turn->seen, deadline);
        return;
    }
    weir_reactor_round(reactor, deadline);
    weir_lock_release(&reactor->turn);
    atomic_fetch_add(&reactor->rounds, 1);
    weir_unpark(&reactor->rounds, INT_MAX);
}

static void run_reactor(struct weir_sock *sock, int64_t deadline)
{
    struct weir_wait_turn turn = weir_wait_claim(sock->reactor);

    weir_sock_unlock(sock);
    weir_wait_run(&turn, deadline);
    weir_sock_lock(sock);
}

void weir_wait_round(struct weir_sock *sock)
{
    if (!sock->reactor->threaded)
        run_reactor(sock, 0);
}

static void sleep_until(struct weir_sock *sock, enum weir_wait what,
                        int64_t deadline)
{
    sock->received_paid = sock->received;
    sock->spin_credit = 0;
    sock->bulk_slept = sock->bulk;
    sock->waiting[what]++;
    if (!sock->reactor->threaded)
        run_reactor(sock, deadline);
    else if (sock->has_set && sock->n_links > 0 && !sock->leader && !sock->lent)
        sleep_leading(sock, what, deadline);
    else
        sleep_following(sock, what, deadline);
    sock->waiting[what]--;
}

/* ---- waiting ---- */

static bool passed(int64_t deadline)
{
    return deadline != WEIR_NEVER && (deadline <= 0 || weir_now() >= deadline);
}

static int64_t deadline_of(struct weir_patience *patience)
{
    if (patience->until == 0 && patience->ms != WEIR_NOWAIT)
        patience->until = weir_deadline_in(patience->ms);
    return patience->until;
}

/* What we do may be for others, or for nobody, so something done is no reason
 * to go on for ever.  Who finds the deadline passed looks once more. */
static void count_round(struct weir_patience *patience)
{
    int64_t deadline;

    if (++patience->rounds % ROUNDS != 0)
        return;
    deadline = deadline_of(patience);
    if (deadline > 0 || patience->rounds >= ROUNDS_NOW)
        patience->over = passed(deadline);
}

static int look_again(struct weir_patience *patience)
{
    count_round(patience);
    return 0;
}

bool weir_drive_for(struct weir_sock *sock, struct weir_patience *patience)
{
    if (patience->over || (patience->rounds + 1) % ROUNDS == 0 ||
        !weir_drive_input(sock))
        return false;
    patience->rounds++;
    return true;
}

/* The socket or its context is being closed.  Who does that waits as well,
 * for STATE, while the socket is CLOSING. */
static bool is_over(const struct weir_sock *sock, enum weir_wait what)
{
    if (what == WEIR_WAIT_STATE && sock->state == WEIR_SOCK_CLOSING)
        return false;
    return sock->state != WEIR_SOCK_OPEN ||
           atomic_load_explicit(&sock->ctx->closing, memory_order_relaxed);
}

/* The lock is given up while links are driven: what the caller waits for may
 * be true since. */
static bool drive(struct weir_sock *sock)
{
    bool due = !weir_list_empty(&sock->readable);

    return weir_drive_output(sock) || weir_drive_input(sock) || due;
}

static int wait_on(struct weir_sock *sock, enum weir_wait what,
                   struct weir_patience *patience)
{
    uint32_t seen = sock->changes[what];
    int64_t deadline;

    if (patience->over)
        return -EAGAIN;
    if (what == WEIR_WAIT_IN)
        weir_pace_receive(sock);
    else
        weir_pace_leave(sock);
    if (drive(sock))
        return look_again(patience);
    deadline = deadline_of(patience);
    if (!sock->reactor->threaded && deadline == 0 && !sock->polled) {
        sock->polled = true;
        run_reactor(sock, 0);
        return 0;
    }
    sock->polled = false;
    if (passed(deadline))
        return weir_poll_set(sock) ? look_again(patience) : -EAGAIN;
    if (what == WEIR_WAIT_IN && gather(sock))
        return 0;
    if (try_both(sock, what, seen, deadline))
        return 0;
    if (weir_poll_set(sock))
        return look_again(patience);
    if (what == WEIR_WAIT_IN && (sock->has_held || weir_fairqueue_arm(sock))) {
        weir_sock_unlock(sock); /* it may not be the last time */
        weir_sock_lock(sock);
        return 0;
    }
    if (what == WEIR_WAIT_OUT && sock->changes[what] != seen)
        return 0;
    if (!weir_list_empty(&sock->readable) || !weir_list_empty(&sock->unflushed))
        return 0; /* became due while we spun */
    if (what == WEIR_WAIT_IN && sock->has_held)
        return 0; /* it did not fit another thread's buffer */
    if (is_over(sock, what))
        return 0; /* that was announced while we spun: nobody wakes us */
    sleep_until(sock, what, deadline);
    return 0;
}

int weir_wait(struct weir_sock *sock, enum weir_wait what,
              struct weir_patience *patience)
{
    if (sock->state != WEIR_SOCK_OPEN)
        return weir_fail(WEIR_ECLOSING, "the socket is being closed");
    if (atomic_load_explicit(&sock->ctx->closing, memory_order_relaxed))
        return weir_fail(WEIR_ECLOSING, "the socket's context is closing");
    if (sock->lent && what != WEIR_WAIT_STATE)
        return weir_fail(EBUSY, "the %s is lent to a device",
                         sock->pattern->name);
    return wait_on(sock, what, patience);
}

int weir_wait_closing(struct weir_sock *sock, struct weir_patience *patience)
{
    return wait_on(sock, WEIR_WAIT_STATE, patience);
}

int weir_wait_stored(struct weir_sock *sock, struct weir_patience *patience)
{
    int64_t deadline = deadline_of(patience);

    if (is_over(sock, WEIR_WAIT_STORE))
        return weir_fail(WEIR_ECLOSING, "the socket is being closed");
    if (passed(deadline))
        return -EAGAIN;
    sock->waiting[WEIR_WAIT_STORE]++;
    sleep_following(sock, WEIR_WAIT_STORE, deadline);
    sock->waiting[WEIR_WAIT_STORE]--;
    return 0;
}

/* ---- leading a socket that is lent ---- */

void weir_wait_expect(struct weir_sock *sock, uint32_t waits)
{
    sock->leader_waits = waits;
}

/* Without I/O threads nobody sleeps in the set, and what wakes others makes
 * the round of the reactor short. */
void weir_wait_lead(struct weir_sock *sock, uint32_t waits)
{
    for (enum weir_wait what = 0; what < WEIR_WAITS; what++)
        sock->waiting[what]++;
    if (sock->reactor->threaded)
        lie_down(sock, waits);
}

/* A set that was not looked at tells again. */
static void note_set(struct weir_sock *sock)
{
    struct weir_poller_event events[EVENTS];

    if (sock->has_set)
        weir_sock_note(sock, events,
                       weir_poller_wait(&sock->set, events, EVENTS, 0));
    else
        weir_signal_clear(&sock->wake);
}

void weir_wait_led(struct weir_sock *sock, bool told)
{
    for (enum weir_wait what = 0; what < WEIR_WAITS; what++)
        sock->waiting[what]--;
    if (!sock->reactor->threaded)
        return;
    get_up(sock);
    if (told)
        note_set(sock);
    show_presence(sock);
}

int weir_wait_descriptor(const struct weir_sock *sock)
{
    return sock->has_set ? sock->set.fd : sock->wake.in;
}

/* ---- life ---- */

int weir_wait_open(struct weir_sock *sock)
{
    int r = weir_signal_open(&sock->wake);

    if (r < 0 || !weir_poller_nests())
        return r;
    r = weir_poller_open(&sock->set);
    if (r < 0)
        goto no_set;
    r = weir_poller_add(&sock->set, sock->wake.in, WEIR_POLLER_IN,
                        WEIR_SOCK_WAKE_KEY);
    if (r < 0)
        goto no_wake;
    sock->has_set = true;
    return 0;
no_wake:
    weir_poller_close(&sock->set);
no_set:
    weir_signal_close(&sock->wake);
    return r;
}

void weir_wait_close(struct weir_sock *sock)
{
    if (sock->has_set)
        weir_poller_close(&sock->set);
    sock->has_set = false;
    weir_signal_close(&sock->wake);
}
