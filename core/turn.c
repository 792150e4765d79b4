/*
 * turn.c - the reactor looks after a socket whose application is away.
 *
 * While the application comes often to drive its own input the I/O thread
 * keeps out of the way: it would only be woken in vain, and wake-ups are what
 * messages cost most.  It looks at a counter every four milliseconds; when that
 * stood still for as long and nobody sleeps in the set, it takes the set over.
 * It gives it back when it is woken and finds the application there again.
 *
 * A look takes a processor away from two threads that spin for one another, and
 * one round trip in two hundred meets it.  So who comes as often time after
 * time is looked at every sixteen milliseconds, unless he leaves something
 * over, and until he comes half as often.  And to take the lock from who has it
 * biased to himself interrupts every processor that runs a thread of the
 * process: so that is not done to find that there is nothing to do.
 */
#include "config.h"

#include "base/clock.h"
#include "base/fence.h"
#include "socket.h"

enum {
    EVENTS = 64,
    LOOK_SOON = 50000, /* ns */
    OFTEN = 16,        /* drives in the time of WEIR_ABSENCE, at least */
    STEADY = 4,        /* judgements in a row */
    RARELY = 4,        /* times WEIR_ABSENCE between looks from then on */
    READS = 32         /* of links, before others have their turn */
};

static void arm(struct weir_sock *sock)
{
    sock->io_armed = true;
    (void)weir_watch_change(sock->reactor, &sock->set_watch,
                            WEIR_POLLER_IN | WEIR_POLLER_ONCE);
}

/* Does it come as often as it did?  Looks may be close to one another, for what
 * was left over or for other sockets: those do not judge. */
static void judge(struct weir_sock *sock, uint32_t drives, int64_t now)
{
    int64_t since = now - sock->judged_at;
    uint64_t met;

    if (since < WEIR_ABSENCE / 2)
        return;
    met = (uint64_t)(drives - sock->drives_judged) * WEIR_ABSENCE /
          (uint64_t)since;
    if (met < OFTEN || met < sock->usual / 2)
        sock->steady = 0;
    if (sock->steady == 0)
        sock->usual = met;
    if (met >= OFTEN && sock->steady < STEADY)
        sock->steady++;
    sock->drives_judged = drives;
    sock->judged_at = now;
}

/* Is the application driving, or asleep in the set itself, so that nobody else
 * has to watch that?  Between two looks that are for other sockets it may just
 * not have come. */
static bool present(struct weir_sock *sock, int64_t now)
{
    uint32_t drives = atomic_load(&sock->drives);

    judge(sock, drives, now);
    if (drives != sock->drives_seen)
        sock->came_at = now;
    sock->drives_seen = drives;
    if (atomic_load(&sock->watched))
        return false;
    return now - sock->came_at < WEIR_ABSENCE || atomic_load(&sock->asleep);
}

/* ns until the next look at who is there and leaves nothing over: when he would
 * be away, unless he has come. */
static int64_t next_look(const struct weir_sock *sock, int64_t now)
{
    int64_t left = sock->came_at + WEIR_ABSENCE - now;

    if (sock->came_at != now)
        return left > LOOK_SOON ? left : LOOK_SOON;
    return sock->steady == STEADY ? RARELY * WEIR_ABSENCE : WEIR_ABSENCE;
}

void weir_turn_drive(struct weir_sock *sock)
{
    for (int i = 0; i < READS && weir_drive_next(sock) >= 0; i++)
        ;
    (void)weir_drive_output(sock);
    if (!weir_list_empty(&sock->readable) || !weir_list_empty(&sock->unflushed))
        weir_reactor_tick(sock->reactor, &sock->tick, LOOK_SOON);
}

/* Take what the set reports and drive it. */
static void drive_set(struct weir_sock *sock)
{
    struct weir_poller_event events[EVENTS];
    int n = weir_poller_wait(&sock->set, events, EVENTS, 0);

    weir_sock_lock(sock);
    weir_sock_note(sock, events, n);
    weir_turn_drive(sock);
    weir_sock_unlock(sock);
}

static void on_set(struct weir_watch *watch, unsigned events)
{
    struct weir_sock *sock = WEIR_CONTAINER(watch, struct weir_sock, set_watch);

    (void)events;
    sock->io_armed = false;
    if (sock->reactor->threaded && present(sock, weir_now())) {
        atomic_store(&sock->io_drives, false);
        weir_reactor_tick(sock->reactor, &sock->tick, WEIR_ABSENCE);
        return;
    }
    drive_set(sock);
    arm(sock);
}

static enum weir_leftover left_by(struct weir_sock *sock, bool busy)
{
    if (!busy)
        return WEIR_LEFT_NOTHING;
    return sock->pace.streaming && weir_list_empty(&sock->readable)
               ? WEIR_LEFT_STREAM
               : WEIR_LEFT_SOME;
}

/* Leftovers: input that was paused, tails of streams.  A thread that sleeps
 * in the set does not see them.
 * Returns whether some may be left still. */
static bool tidy(struct weir_sock *sock, bool away)
{
    bool busy;

    if (!weir_sock_try_lock(sock)) {
        atomic_store(&sock->tick.left, WEIR_LEFT_SOME);
        return true;
    }
    if (away || sock->leader_asleep)
        weir_turn_drive(sock);
    busy = weir_pace_tick(sock) || !weir_list_empty(&sock->readable);
    atomic_store(&sock->tick.left, left_by(sock, busy));
    weir_sock_unlock(sock);
    return busy;
}

/* May something be left over?  The lock is not taken where the application is
 * there and leaves nothing, nor where it leaves no more than a stream that it
 * goes on with. */
static bool is_busy(struct weir_sock *sock, bool here)
{
    enum weir_leftover left = atomic_load(&sock->tick.left);

    if (left == WEIR_LEFT_NOTHING && here)
        return false;
    if (left == WEIR_LEFT_STREAM && weir_pace_is_looked_after(sock))
        return true;
    return tidy(sock, !here);
}

/* The application sleeps in the set by itself: it asks for a tick when it
 * leaves. */
static bool hand_over(struct weir_sock *sock, bool here)
{
    if (here || atomic_load(&sock->io_drives))
        return false;
    atomic_store(&sock->io_drives, true);
    arm(sock);
    return true;
}

int64_t weir_sock_turn(struct weir_sock *sock)
{
    int64_t now = weir_now();
    bool here = present(sock, now), busy = is_busy(sock, here);

    if (!sock->has_set)
        return busy ? LOOK_SOON : 0;
    (void)hand_over(sock, here);
    if (busy)
        return LOOK_SOON;
    if (atomic_load(&sock->io_drives) || atomic_load(&sock->asleep))
        return 0;
    return next_look(sock, now);
}

int weir_turn_open(struct weir_sock *sock)
{
    if (!sock->has_set)
        return 0;
    sock->set_watch.fd = sock->set.fd;
    sock->set_watch.ready = on_set;
    atomic_store(&sock->io_drives, true);
    sock->io_armed = true;
    return weir_watch_add(sock->reactor, &sock->set_watch,
                          WEIR_POLLER_IN | WEIR_POLLER_ONCE);
}

void weir_turn_close(struct weir_sock *sock)
{
    weir_reactor_untick(sock->reactor, &sock->tick);
    if (sock->has_set)
        weir_watch_remove(sock->reactor, &sock->set_watch);
}
