/*
 * pace.c - when to bring messages to the kernel.
 *
 * While they are sparse each one goes at once.  When several follow each
 * other faster than a quarter of what a write costs, they stream: they are
 * appended only, and a batch goes when it is full or old.  The first batch
 * after a rest goes as soon as the I/O thread is there, the tail of a stream
 * with a tick of the reactor.  So a lone message never waits, a burst waits for
 * one wake-up, and a flood costs one system call per batch.
 */
#include "config.h"

#include "base/clock.h"
#include "socket.h"

enum {
    BURST = 4,        /* quick ones in a row before streaming begins */
    GAP_QUOTIENT = 4, /* quick: a gap under a quarter of a write's cost */
    LOOK_MIN = 1,     /* messages between looks at the clock */
    LOOK_MAX = 128,
    LOOK_NS = 5000,    /* ns between looks that will do */
    LOOK_LATE = 30000, /* ns without one: no more is sent, it seems */
    BATCH_AGE = 20000, /* ns after which a batch goes, at the earliest */
    AGE_MAX = 1000000, /* ns, and at the latest */
    COST_FREE = 10000, /* ns: what one write costs, sleeping reader and all */
    COST_QUOTIENT = 4, /* the share of the time that goes into more */
    COST_START = 5000, /* ns: a guess of a write's cost */
    COST_MAX = 20000,  /* ns: more than that was not the write itself */
    UNLEARNED = 8,     /* first ones between those timed before */
    REST = 500000,     /* ns without a batch: what follows is a new stream */
    TICK = 25000       /* ns until the reactor looks after the tail */
};

static int64_t last_look(const struct weir_pacing *pace)
{
    return atomic_load_explicit(&pace->looked_at, memory_order_relaxed);
}

static void note_look(struct weir_pacing *pace, int64_t now)
{
    atomic_store_explicit(&pace->looked_at, now, memory_order_relaxed);
}

/* Many peers, or sleeping ones, make a batch costly: then it has to be larger,
 * or all of the time would go into writing little. */
static void flush_batch(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;
    int64_t start = weir_now(), age;

    pace->first = false;
    note_look(pace, start + AGE_MAX); /* the write may take as long */
    (void)weir_drive_output(sock);
    pace->batch_at = weir_now();
    note_look(pace, pace->batch_at);
    pace->since_look = 0;
    age = (pace->batch_at - start - COST_FREE) * COST_QUOTIENT;
    if (age > AGE_MAX)
        age = AGE_MAX;
    pace->batch_age = age > BATCH_AGE ? age : BATCH_AGE;
}

static bool rested(const struct weir_pacing *pace, int64_t now)
{
    return now - pace->batch_at > REST;
}

/* It may be a burst and no more: the I/O thread takes what there is as soon as
 * it wakes.  It finds the lock free.  Who receives next brings it to the kernel
 * himself, and in what is no burst the batch is let grow. */
static void ask_for_turn(struct weir_sock *sock)
{
    if (!sock->pace.first) {
        weir_reactor_tick_again(sock->reactor, &sock->tick, TICK);
        return;
    }
    weir_sock_unlock(sock);
    weir_reactor_hurry(sock->reactor, &sock->tick);
    weir_sock_lock(sock);
}

/* The first message may be a batch by itself, where marks are low. */
static bool has_batch(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->unflushed)
    {
        if (weir_queue_has_batch(
                WEIR_CONTAINER(node, struct weir_pipe, flush)->out))
            return true;
    }
    return false;
}

static void enter(struct weir_sock *sock, int64_t now)
{
    struct weir_pacing *pace = &sock->pace;

    pace->first = rested(pace, now) && !pace->receives_next;
    pace->streaming = true;
    pace->look_every = LOOK_MIN;
    note_look(pace, now);
    pace->batch_age = BATCH_AGE;
    pace->batch_at = pace->window_at = now;
    pace->window_sent = pace->since_look = 0;
    if (has_batch(sock))
        flush_batch(sock);
    else
        ask_for_turn(sock);
}

void weir_pace_leave(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;

    if (pace->streaming)
        pace->expects_long = pace->burst + pace->window_sent > BURST;
    pace->streaming = pace->first = false;
    pace->burst = 0;
}

void weir_pace_receive(struct weir_sock *sock)
{
    if (sock->pace.streaming)
        sock->pace.receives_next = true;
    weir_pace_leave(sock);
}

/* Nobody sends any more. */
static void end_stream(struct weir_sock *sock)
{
    sock->pace.receives_next = false;
    weir_pace_leave(sock);
}

/* The stream has thinned out: messages are further apart than a write. */
static bool thin(const struct weir_pacing *pace, int64_t now)
{
    int64_t per_message = pace->write_cost * (GAP_QUOTIENT + 1) / GAP_QUOTIENT;

    return now - pace->window_at > (int64_t)pace->window_sent * per_message;
}

/* A look costs as much as a message or two: a quick stream is looked at after
 * more messages. */
static void set_looks(struct weir_pacing *pace, int64_t now)
{
    int64_t since = now - last_look(pace);

    if (since >= 0 && since < LOOK_NS && pace->look_every < LOOK_MAX)
        pace->look_every *= 2;
    else if (since > 2 * LOOK_NS && pace->look_every > LOOK_MIN)
        pace->look_every /= 2;
    note_look(pace, now);
    pace->since_look = 0;
}

static void look_at_clock(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;
    int64_t now = weir_now();

    set_looks(pace, now);
    if (now - pace->batch_at < pace->batch_age)
        return;
    flush_batch(sock);
    if (sock->options.pace == WEIR_PACE_LATENCY ||
        (sock->options.pace == WEIR_PACE_AUTO && thin(pace, now)))
        weir_pace_leave(sock);
    else
        pace->burst += (uint32_t)pace->window_sent;
    pace->window_at = now;
    pace->window_sent = 0;
}

static void stream(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;

    pace->window_sent++;
    weir_reactor_tick(sock->reactor, &sock->tick, TICK);
    if (pace->full)
        flush_batch(sock);
    else if (++pace->since_look >= pace->look_every)
        look_at_clock(sock);
}

static void learn(struct weir_pacing *pace, int64_t cost)
{
    if (pace->write_cost == 0)
        pace->write_cost = COST_START;
    if (cost > COST_MAX)
        cost = COST_MAX;
    pace->write_cost = (pace->write_cost * 7 + cost) / 8;
    pace->unlearned = UNLEARNED;
}

/* How many quick ones in a row are no stream yet.  Bursts are alike: after a
 * long one the next is taken for long at once. */
static uint32_t few(const struct weir_pacing *pace, int64_t now)
{
    return pace->expects_long && rested(pace, now) ? 1 : BURST;
}

/* The first of what may become a burst goes at once whatever the clock says:
 * it is not asked before, as others wait for the message, and what the write
 * costs is known well enough. */
static bool sent_first(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;

    if (pace->burst > 0 || pace->unlearned == 0)
        return false;
    pace->unlearned--;
    pace->burst = 1;
    (void)weir_drive_output(sock);
    pace->last_end = weir_now();
    return true;
}

static void send_now(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;
    int64_t start;

    if (sent_first(sock))
        return;
    start = weir_now();
    if ((start - pace->last_end) * GAP_QUOTIENT > pace->write_cost)
        pace->burst = 0;
    if (++pace->burst > few(pace, start) &&
        sock->options.pace == WEIR_PACE_AUTO && sock->reactor->threaded) {
        enter(sock, start);
        return;
    }
    (void)weir_drive_output(sock);
    pace->last_end = weir_now();
    learn(pace, pace->last_end - start);
}

void weir_pace_sent(struct weir_sock *sock)
{
    if (sock->pace.streaming)
        stream(sock);
    else if (sock->options.pace == WEIR_PACE_THROUGHPUT &&
             sock->reactor->threaded)
        enter(sock, weir_now());
    else
        send_now(sock);
}

/* If this takes all there is it was a burst, and no stream yet. */
static bool flush_first(struct weir_sock *sock)
{
    flush_batch(sock);
    if (weir_list_empty(&sock->unflushed))
        end_stream(sock);
    return sock->pace.streaming;
}

bool weir_pace_tick(struct weir_sock *sock)
{
    struct weir_pacing *pace = &sock->pace;
    bool moved = pace->window_sent != pace->ticked_sent ||
                 pace->window_at != pace->ticked_at;

    if (pace->first)
        return flush_first(sock);
    pace->ticked_sent = pace->window_sent;
    pace->ticked_at = pace->window_at;
    if (weir_list_empty(&sock->unflushed)) {
        if (pace->streaming && !moved)
            end_stream(sock);
        return pace->streaming;
    }
    if (!pace->streaming || !weir_pace_is_looked_after(sock) ||
        weir_now() - pace->batch_at >= pace->batch_age)
        flush_batch(sock);
    return true;
}

bool weir_pace_is_looked_after(const struct weir_sock *sock)
{
    return weir_now() - last_look(&sock->pace) < LOOK_LATE;
}
