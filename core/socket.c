/*
 * socket.c - see socket.h.
 */
#include "config.h"

#include "socket.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fence.h"
#include "base/park.h"
#include "context.h"
#include "direct.h"
#include "endpoint.h"
#include "enter.h"
#include "message.h"
#include "pattern/fairqueue.h"
#include "shells.h"
#include "spill.h"
#include "splice.h"

enum {
    KEY_FIRST = 2,        /* 1 is the wake signal */
    LOOK_AGAIN = 1000000, /* ns */
    LOOK_SOON = 50000,    /* ns */
    DELIVERIES = 64,      /* of mail, by one call that ends */
    BULK = 128 << 10,     /* octets of a large frame */
    PATIENCE = 100000000  /* ns that a bind or connect has after a deadline */
};

/* ---- lock and mail ---- */

static void read_mail(struct weir_sock *sock, struct weir_pipe *pipe,
                      uint32_t bits)
{
    if (bits & WEIR_MAIL_BEYOND)
        weir_pipe_trim(pipe);
    if ((bits & WEIR_MAIL_SPILL) && !pipe->buried)
        bits |= weir_pipe_spilled(pipe);
    if ((bits & WEIR_MAIL_ROOM) && pipe->attached && !pipe->dying) {
        if (sock->pattern->writable)
            sock->pattern->writable(sock, pipe);
        weir_sock_wake(sock, WEIR_WAIT_OUT);
    }
    if ((bits & WEIR_MAIL_READABLE) && pipe->attached) {
        sock->pattern->readable(sock, pipe);
        weir_sock_wake(sock, WEIR_WAIT_IN);
    }
    if ((bits & WEIR_MAIL_PARTED) && !pipe->buried)
        weir_splice_parted(pipe);
    if ((bits & WEIR_MAIL_SPILL) && !pipe->buried && pipe->dying &&
        !weir_pipe_ready(pipe))
        weir_sock_dry(sock, pipe); /* what was hidden may be lost */
}

/* The pipe may go because of what it is told: as long as that is being read,
 * it has mail, and is not freed.  Nobody writes to one that is buried. */
static void deliver_one(struct weir_sock *sock, struct weir_pipe *pipe)
{
    uint32_t more;

    read_mail(sock, pipe, atomic_exchange(&pipe->mail, WEIR_MAIL_OPEN));
    more = atomic_exchange(&pipe->mail, 0) & ~(uint32_t)WEIR_MAIL_OPEN;
    if (pipe->buried)
        weir_pipe_free(pipe);
    else if (more)
        weir_pipe_post(pipe, more);
}

static void deliver_mail(struct weir_sock *sock)
{
    struct weir_pipe *pipe =
        atomic_exchange_explicit(&sock->mail, NULL, memory_order_acquire);

    while (pipe) {
        struct weir_pipe *next = pipe->mail_next;

        deliver_one(sock, pipe);
        pipe = next;
    }
}

/* Others may send mail as fast as we deliver it: then the rest is for the
 * reactor, so that the call can end. */
void weir_sock_deliver_and_unlock(struct weir_sock *sock)
{
    int left = DELIVERIES;

    weir_again_forget(sock);
    do {
        while (weir_sock_has_mail(sock) && left > 0) {
            deliver_mail(sock);
            left--;
        }
        if (left == 0)
            weir_wait_hand_on(sock, LOOK_SOON);
        if (sock->watched)
            weir_readiness_update(sock);
        weir_wait_release(sock);
    } while (left > 0 && weir_sock_has_mail(sock) && weir_sock_try_lock(sock));
}

void weir_sock_nudge(struct weir_sock *sock)
{
    if (weir_sock_try_lock(sock))
        weir_sock_unlock(sock);
}

/* ---- slots ---- */

static int grow_slots(struct weir_sock *sock)
{
    uint32_t n = sock->n_slots ? sock->n_slots * 2 : 4;
    struct weir_slot *slots = realloc(sock->slots, n * sizeof(*slots));

    if (!slots)
        return weir_fail(ENOMEM, "no memory for %u peers", n);
    sock->slots = slots;
    for (uint32_t i = sock->n_slots; i < n; i++) {
        slots[i] = (struct weir_slot){.next_free = sock->free_slot};
        sock->free_slot = i + 1;
    }
    sock->n_slots = n;
    return 0;
}

int weir_sock_add_pipe(struct weir_sock *sock, struct weir_pipe *pipe)
{
    uint32_t slot;
    int r = sock->free_slot == 0 ? grow_slots(sock) : 0;

    if (r < 0)
        return r;
    slot = sock->free_slot - 1;
    sock->free_slot = sock->slots[slot].next_free;
    sock->slots[slot].pipe = pipe;
    sock->slots[slot].generation++;
    pipe->slot = slot;
    weir_list_append(&pipe->ep->pipes, &pipe->of_ep);
    if (pipe->splice)
        atomic_fetch_add(&sock->splices, 1);
    weir_list_append(&sock->pipes, &pipe->all);
    return 0;
}

static void free_slot(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct weir_slot *slot = &sock->slots[pipe->slot];

    if (pipe->splice)
        atomic_fetch_sub(&sock->splices, 1);
    slot->pipe = NULL;
    slot->next_free = sock->free_slot;
    sock->free_slot = pipe->slot + 1;
    weir_list_remove(&pipe->all);
    weir_list_remove(&pipe->of_ep);
}

uint64_t weir_sock_key(const struct weir_pipe *pipe)
{
    uint32_t generation = pipe->sock->slots[pipe->slot].generation;

    return (uint64_t)generation << 32 | (pipe->slot + KEY_FIRST);
}

static struct weir_pipe *pipe_of_key(struct weir_sock *sock, uint64_t key)
{
    uint32_t slot = (uint32_t)(key & 0xffffffff) - KEY_FIRST;

    if (slot >= sock->n_slots || !sock->slots[slot].pipe)
        return NULL;
    if (sock->slots[slot].generation != (uint32_t)(key >> 32))
        return NULL;
    return sock->slots[slot].pipe;
}

void weir_sock_due(struct weir_sock *sock, struct weir_pipe *pipe,
                   unsigned events)
{
    if (events & (WEIR_POLLER_IN | WEIR_POLLER_ERROR)) {
        if (events & WEIR_POLLER_END)
            atomic_store(&pipe->link.ending, true);
        atomic_store(&pipe->link.readable, true);
        if (weir_list_empty(&pipe->drive)) /* else it keeps its place */
            weir_sock_line_up(sock, pipe);
    }
    if (events & (WEIR_POLLER_OUT | WEIR_POLLER_ERROR)) {
        atomic_store(&pipe->link.blocked, false);
        if (weir_list_empty(&pipe->flush))
            weir_list_append(&sock->unflushed, &pipe->flush);
    }
}

void weir_sock_let_go(struct weir_sock *sock, struct weir_pipe *pipe)
{
    while (!weir_link_let_go(&pipe->link))
        weir_sock_due(sock, pipe, WEIR_POLLER_IN | WEIR_POLLER_OUT);
}

void weir_sock_note(struct weir_sock *sock,
                    const struct weir_poller_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct weir_pipe *pipe = pipe_of_key(sock, events[i].key);

        if (events[i].key == WEIR_SOCK_WAKE_KEY && !sock->leader)
            weir_signal_clear(&sock->wake);
        else if (pipe)
            weir_sock_due(sock, pipe, events[i].events);
    }
}

/* ---- what takes long ---- */

/* On the reactor: a step, and others have the lock before the next one. */
static void on_tend(struct weir_task *task)
{
    struct weir_sock *sock = WEIR_CONTAINER(task, struct weir_sock, tend);

    weir_sock_lock(sock);
    if (sock->state == WEIR_SOCK_OPEN && sock->pattern->tend(sock))
        weir_sock_later(sock);
    (void)weir_drive_output(sock);
    weir_sock_unlock(sock);
}

void weir_sock_later(struct weir_sock *sock)
{
    if (sock->state == WEIR_SOCK_OPEN)
        weir_reactor_post(sock->reactor, &sock->tend);
}

/* ---- pipes come and go ---- */

void weir_sock_count(struct weir_sock *sock, int change)
{
    sock->n_up = (uint32_t)((int)sock->n_up + change);
    weir_sock_wake(sock, WEIR_WAIT_STATE);
}

/* From now on its messages are news; one may be there already. */
static void listen_to(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_queue_arm_reader(pipe->in);
    weir_queue_fence_reader(pipe->in);
    if (!weir_queue_ready(pipe->in))
        return;
    sock->pattern->readable(sock, pipe);
    weir_sock_wake(sock, WEIR_WAIT_IN);
}

int weir_sock_up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    int r = 0;

    if (!pipe->attached) {
        r = sock->pattern->attach(sock, pipe);
        pipe->attached = r >= 0;
    }
    if (r >= 0)
        pipe->up = true;
    if (r >= 0 && sock->pattern->up)
        r = sock->pattern->up(sock, pipe);
    if (r < 0) {
        pipe->up = false;
        return r;
    }
    sock->gone.connects++;
    pipe->ep->gone.connects++;
    if (!sock->pattern->counts) {
        pipe->counted = true;
        weir_sock_count(sock, 1);
    }
    listen_to(sock, pipe);
    weir_sock_wake(sock, WEIR_WAIT_OUT);
    return 0;
}

void weir_sock_down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!pipe->up)
        return;
    pipe->up = false;
    sock->gone.disconnects++;
    pipe->ep->gone.disconnects++;
    if (sock->pattern->down)
        sock->pattern->down(sock, pipe);
    if (pipe->counted)
        weir_sock_count(sock, -1);
    pipe->counted = false;
    weir_sock_wake(sock, WEIR_WAIT_OUT); /* who waited for it looks again */
}

void weir_sock_part(struct weir_sock *sock, struct weir_pipe *pipe,
                    const struct weir_parting *how)
{
    bool was_up = pipe->up;

    weir_sock_down(sock, pipe);
    if (was_up)
        weir_ep_event(pipe->ep, WEIR_EVENT_DISCONNECTED, how->peer,
                      pipe->peer_id, how->unconfirmed, how->code, how->reason);
}

/* What the queues still hold is lost, or stays in a store, and is counted
 * so. */
static void count_remains(struct weir_pipe *pipe)
{
    weir_stats sum = {.size = sizeof(sum)};
    uint64_t stays = pipe->out ? weir_spill_stays(pipe->out) : 0;

    if (pipe->splice)
        weir_splice_end_input(pipe);
    weir_stats_add_pipe(&sum, pipe);
    if (stays > sum.send_queued)
        stays = sum.send_queued;
    sum.send_kept = stays;
    sum.send_dropped[WEIR_DROP_CLOSED] += sum.send_queued - stays;
    sum.recv_dropped[WEIR_DROP_UNREAD] += sum.recv_queued;
    sum.send_queued = sum.recv_queued = 0;
    weir_stats_add(&pipe->sock->gone, &sum);
    weir_stats_add(&pipe->ep->gone, &sum);
}

void weir_sock_bury(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_sock_down(sock, pipe);
    if (pipe->attached)
        sock->pattern->detach(sock, pipe);
    pipe->attached = false;
    weir_sock_wake(sock, WEIR_WAIT_OUT);
    weir_list_remove(&pipe->drive);
    weir_list_remove(&pipe->flush);
    weir_pipe_silence(pipe); /* from here on its counters stay */
    count_remains(pipe);
    free_slot(sock, pipe);
    if (pipe->ep->pipe == pipe)
        pipe->ep->pipe = NULL;
    weir_ep_forget_pipe(pipe->ep);
    weir_sock_wake(sock, WEIR_WAIT_STORE);
    pipe->buried = true;
    if (atomic_load(&pipe->mail) == 0)
        weir_pipe_free(pipe);
}

/* A dialer's pipe that had no connection was in use by the pattern still. */
void weir_sock_retire(struct weir_sock *sock, struct weir_pipe *pipe, bool all)
{
    bool lasted = weir_pipe_lasts(pipe);

    pipe->dying = true;
    weir_sock_drained(sock); /* who flushes waits for its output no more */
    if (all || !(weir_pipe_ready(pipe) || weir_pipe_hides_input(pipe))) {
        weir_sock_bury(sock, pipe);
        return;
    }
    if (lasted && pipe->attached && sock->pattern->down)
        sock->pattern->down(sock, pipe);
    weir_pipe_clear_out(pipe);
}

void weir_sock_dry(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (pipe->dying && !weir_pipe_hides_input(pipe))
        weir_sock_bury(sock, pipe);
}

/* ---- handles ---- */

/* Lock held on entry, not on return. */
static WEIR_COLD int refuse(struct weir_sock *sock, weir_socket handle)
{
    bool open =
        sock->generation == handle.generation && sock->state == WEIR_SOCK_OPEN;

    weir_sock_unlock(sock);
    if (open)
        return weir_fail(WEIR_ECLOSING, "the socket's context is closing");
    return weir_fail(EBADF, "the socket is closed, or never was open");
}

static WEIR_COLD int not_found(const struct weir_sock *sock)
{
    if (!sock)
        return weir_fail(EBADF, "this is not a socket");
    return weir_fail(WEIR_EFORK, "the socket belongs to the parent process");
}

static inline int find(weir_socket handle, struct weir_sock **out)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (WEIR_UNLIKELY(!sock || !weir_enter_is_ours(sock)))
        return not_found(handle.generation ? sock : NULL);
    *out = sock;
    return 0;
}

int weir_sock_get(weir_socket handle, struct weir_sock **out)
{
    struct weir_sock *sock = NULL;
    int r = find(handle, &sock);

    if (WEIR_UNLIKELY(r < 0))
        return r;
    weir_sock_lock(sock);
    if (WEIR_UNLIKELY(!weir_enter_may(sock, handle)))
        return refuse(sock, handle);
    sock->inside++;
    *out = sock;
    return 0;
}

static void end_orphan(struct weir_sock *sock);

static WEIR_COLD bool leave_closing(struct weir_sock *sock)
{
    if (sock->orphaned && sock->inside == 0) {
        end_orphan(sock);
        return true;
    }
    weir_sock_wake(sock, WEIR_WAIT_STATE);
    return false;
}

void weir_sock_put_slow(struct weir_sock *sock)
{
    if (sock->state == WEIR_SOCK_CLOSING && leave_closing(sock))
        return; /* that took the lock */
    if (!weir_list_empty(&sock->readable))
        weir_sock_hand_input_on(sock);
    weir_sock_unlock(sock);
}

void weir_sock_hand_input_on(struct weir_sock *sock)
{
    weir_wait_hand_on(sock, LOOK_AGAIN);
}

/* ---- life ---- */

static void init_lists(struct weir_sock *sock)
{
    weir_list_init(&sock->eps);
    weir_list_init(&sock->pipes);
    weir_list_init(&sock->in_turn);
    weir_list_init(&sock->out_turn);
    weir_list_init(&sock->readable);
    weir_list_init(&sock->unflushed);
    weir_list_init(&sock->in_ctx);
    weir_list_init(&sock->tick.list);
}

/* Only what a late call may look at survives. */
static void clear(struct weir_sock *sock)
{
    weir_sock_lock(sock);
    memset((char *)sock + offsetof(struct weir_sock, ctx), 0,
           sizeof(*sock) - offsetof(struct weir_sock, ctx));
    weir_biased_release(&sock->lock);
}

static void on_teardown(struct weir_task *task);

static int prepare(struct weir_sock *sock, struct weir_ctx *ctx,
                   const struct weir_pattern_ops *pattern)
{
    clear(sock);
    init_lists(sock);
    sock->ctx = ctx;
    sock->pattern = pattern;
    sock->tick.sock = sock;
    sock->teardown.run = on_teardown;
    sock->tend.run = on_tend;
    weir_rest_open(sock);
    for (int i = 0; i < 2; i++)
        sock->ready[i].in = sock->ready[i].out = -1;
    atomic_store(&sock->fork_generation, weir_fork_generation());
    weir_options_init(&sock->options, pattern->type);
    weir_message_init(&sock->held);
    weir_monitor_init(&sock->monitor, (uint32_t)sock->options.events);
    sock->pool = weir_pool_new(WEIR_SOCK_POOL);
    sock->state_memory = calloc(1, pattern->state_size + 1);
    if (!sock->pool || !sock->state_memory)
        return weir_fail(ENOMEM, "no memory for a socket");
    return 0;
}

static void unprepare(struct weir_sock *sock)
{
    weir_monitor_fini(&sock->monitor);
    if (sock->pool)
        weir_pool_close(sock->pool);
    free(sock->state_memory);
    free(sock->slots);
    sock->pool = NULL;
    sock->state_memory = NULL;
    sock->slots = NULL;
}

static int start(struct weir_sock *sock)
{
    int r = weir_wait_open(sock);

    if (r < 0)
        return r;
    r = sock->pattern->open ? sock->pattern->open(sock) : 0;
    if (r < 0)
        goto no_pattern;
    r = weir_ctx_join(sock->ctx, sock);
    if (r < 0)
        goto no_context;
    r = weir_turn_open(sock);
    if (r < 0)
        goto no_turn;
    return 0;
no_turn:
    weir_ctx_part_locked(sock->ctx, sock);
no_context:
    if (sock->pattern->close)
        sock->pattern->close(sock);
no_pattern:
    weir_wait_close(sock);
    return r;
}

int weir_sock_open(struct weir_ctx *ctx, const struct weir_pattern_ops *pattern,
                   weir_socket *out)
{
    struct weir_sock *sock = weir_shells_new_sock();
    int r;

    if (!sock)
        return weir_fail(ENOMEM, "no memory for a socket");
    r = prepare(sock, ctx, pattern);
    if (r >= 0)
        r = start(sock);
    if (r < 0) {
        unprepare(sock);
        weir_shells_free_sock(sock);
        return r;
    }
    weir_sock_lock(sock);
    sock->state = WEIR_SOCK_OPEN;
    *out = (weir_socket){sock->index, sock->generation};
    weir_sock_unlock(sock);
    return 0;
}

/* ---- sending and receiving ---- */

/* Others sent mail as fast as it was delivered, and what was left may be just
 * what is wanted here.  Lock held on entry and on return, not in between. */
static bool deliver_left(struct weir_sock *sock)
{
    if (WEIR_LIKELY(!weir_sock_has_mail(sock)))
        return false;
    weir_sock_unlock(sock);
    weir_sock_lock(sock);
    return true;
}

/* It could not be sent at once. */
static WEIR_NOINLINE int wait_and_send(struct weir_sock *sock,
                                       weir_message *message,
                                       struct weir_patience *patience)
{
    int r = deliver_left(sock) ? sock->pattern->send(sock, message) : -EAGAIN;

    if (r != -EAGAIN)
        return r;
    do {
        r = weir_sock_check_length(sock, message);
        if (r >= 0)
            r = weir_sock_store_trouble(sock, false);
        if (r >= 0)
            r = weir_wait(sock, WEIR_WAIT_OUT, patience);
        if (r == -EAGAIN && weir_sock_store_trouble(sock, true) < 0)
            return weir_sock_store_trouble(sock, true);
        if (r < 0)
            return r;
    } while ((r = sock->pattern->send(sock, message)) == -EAGAIN);
    return r;
}

/* Send it, or wait until there is room for it. */
static inline int send_or_wait(struct weir_sock *sock, weir_message *message,
                               struct weir_patience *patience)
{
    int r = sock->pattern->send(sock, message);

    if (WEIR_UNLIKELY(r == -EAGAIN))
        r = wait_and_send(sock, message, patience);
    return r;
}

/* It was sent to a queue that is durable: wait for its store, and where that
 * has no room for it, for room. */
static WEIR_NOINLINE int settle(struct weir_sock *sock, weir_message *message,
                                struct weir_patience *patience)
{
    int r = 0;

    while (r >= 0 && sock->owing) {
        r = weir_sock_await_stored(sock, patience);
        if (r > 0)
            r = send_or_wait(sock, message, patience);
    }
    return r;
}

static WEIR_COLD int no_sender(const struct weir_sock *sock)
{
    return weir_fail(EOPNOTSUPP, "a %s does not send", sock->pattern->name);
}

static WEIR_COLD int is_lent(const struct weir_sock *sock)
{
    return weir_fail(EBUSY, "the %s is lent to a device", sock->pattern->name);
}

int weir_sock_send(struct weir_sock *sock, weir_message *message,
                   struct weir_patience *patience)
{
    int r;

    if (WEIR_UNLIKELY(!sock->pattern->send))
        return no_sender(sock);
    if (WEIR_UNLIKELY(sock->lent))
        return is_lent(sock);
    sock->owing = NULL;
    r = send_or_wait(sock, message, patience);
    if (WEIR_UNLIKELY(sock->direct.pipe != NULL))
        weir_direct_write(sock);
    else if (WEIR_UNLIKELY(sock->owing != NULL))
        r = settle(sock, message, patience);
    if (WEIR_UNLIKELY(r < 0))
        return r;
    sock->asked = true;
    weir_rest_use(sock);
    if (!weir_list_empty(&sock->unflushed))
        weir_pace_sent(sock);
    return 0;
}

void weir_sock_put_back(struct weir_sock *sock, weir_message *message)
{
    weir_message_move(&sock->held, message);
    sock->has_held = true;
    sock->held_news = sock->news;
}

/* Others who wait may have more room for it. */
void weir_sock_hold(struct weir_sock *sock, weir_message *message)
{
    weir_sock_put_back(sock, message);
    weir_sock_wake(sock, WEIR_WAIT_IN);
}

/* What did not fit somebody's buffer comes first. */
static int take_next(struct weir_sock *sock, weir_message *message)
{
    if (WEIR_LIKELY(!sock->has_held))
        return sock->pattern->recv(sock, message);
    weir_message_move(message, &sock->held);
    weir_message_init(&sock->held);
    sock->has_held = false;
    return sock->held_news;
}

/* Nothing was there to receive. */
static WEIR_NOINLINE int wait_and_receive(struct weir_sock *sock,
                                          weir_message *message,
                                          struct weir_patience *patience)
{
    int r = deliver_left(sock) ? take_next(sock, message) : -EAGAIN;

    if (r != -EAGAIN)
        return r;
    do {
        if (weir_drive_for(sock, patience))
            continue;
        r = weir_wait(sock, WEIR_WAIT_IN, patience);
        if (r < 0)
            return r;
    } while ((r = take_next(sock, message)) == -EAGAIN);
    return r;
}

static WEIR_COLD int no_receiver(const struct weir_sock *sock)
{
    return weir_fail(EOPNOTSUPP, "a %s does not receive", sock->pattern->name);
}

/* How long to look out for the next large frame.  Shorter ones come as soon as
 * they would with that. */
static void count_bulk(struct weir_sock *sock, weir_message *message)
{
    for (uint32_t i = 0; i < message->count; i++) {
        size_t size = weir_frame_length(weir_message_at(message, i));

        if (WEIR_UNLIKELY(size >= BULK))
            sock->bulk += size;
    }
}

/* Others sleep until there is something to receive: one of them goes on if
 * there is, and else they are told of the next, since we may not be back. */
static void pass_on_input(struct weir_sock *sock)
{
    if (weir_sock_can_recv(sock) || weir_fairqueue_arm(sock))
        weir_sock_wake(sock, WEIR_WAIT_IN);
}

int weir_sock_recv(struct weir_sock *sock, weir_message *message,
                   struct weir_patience *patience)
{
    int r;

    if (WEIR_UNLIKELY(!sock->pattern->recv))
        return no_receiver(sock);
    if (WEIR_UNLIKELY(sock->lent))
        return is_lent(sock);
    r = take_next(sock, message);
    if (r == -EAGAIN)
        r = wait_and_receive(sock, message, patience);
    if (WEIR_UNLIKELY(sock->waiting[WEIR_WAIT_IN]))
        pass_on_input(sock);
    if (WEIR_UNLIKELY(r < 0))
        return r;
    weir_sock_received(sock, r > 0);
    count_bulk(sock, message);
    return r;
}

int weir_sock_take(struct weir_sock *sock, weir_message *message)
{
    int r = take_next(sock, message);

    if (r >= 0)
        weir_sock_received(sock, r > 0);
    return r;
}

bool weir_sock_unsent(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (!pipe->dying && weir_pipe_unsent(pipe))
            return true;
    }
    return false;
}

void weir_sock_hurry(struct weir_sock *sock, int64_t deadline)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->eps)
    weir_ep_hurry(WEIR_CONTAINER(node, struct weir_ep, in_sock), deadline);
}

/* Somebody waits until then for what is unsent: what can go goes at once. */
static void begin_flush(struct weir_sock *sock, int64_t deadline)
{
    sock->flushing++;
    (void)weir_drive_output(sock);
    weir_sock_hurry(sock, deadline);
}

int weir_sock_flush(struct weir_sock *sock, int64_t deadline)
{
    struct weir_patience patience = weir_patience_until(deadline);
    int r = 0;

    begin_flush(sock, deadline);
    while (r >= 0 && weir_sock_unsent(sock)) {
        r = weir_wait(sock, WEIR_WAIT_STATE, &patience);
        (void)weir_drive_output(sock);
    }
    sock->flushing--;
    return r;
}

int weir_sock_wait_peers(struct weir_sock *sock, int n, int64_t deadline)
{
    struct weir_patience patience = weir_patience_until(deadline);

    while (sock->n_up < (uint32_t)n) {
        int r = weir_wait(sock, WEIR_WAIT_STATE, &patience);

        if (r < 0)
            return r;
    }
    return (int)sock->n_up;
}

/* ---- lending ---- */

/* Who sleeps in the set leaves it to the device.  A leader that goes may find
 * nobody to tell, so this looks again and again. */
int weir_sock_lend(struct weir_sock *sock, const void *device)
{
    if (sock->lent)
        return is_lent(sock);
    sock->lent = device;
    weir_wait_wake_all(sock);
    while (sock->leader) {
        struct weir_patience patience =
            weir_patience_until(weir_now() + LOOK_AGAIN);
        int r = weir_wait(sock, WEIR_WAIT_STATE, &patience);

        if (r < 0 && r != -EAGAIN) {
            sock->lent = NULL;
            return r;
        }
    }
    return 0;
}

/* Those who have waited behind the device may lead now, and the reactor looks
 * after it until then. */
void weir_sock_unlend(struct weir_sock *sock, const void *device)
{
    if (sock->lent != device)
        return;
    sock->lent = NULL;
    weir_wait_wake_all(sock);
    weir_wait_hand_on(sock, LOOK_AGAIN);
}

/* ---- closing ---- */

/* Lock held: the other side of an inproc pipe may bury it from its thread. */
static bool has_tasks(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->eps)
    {
        struct weir_ep *ep = WEIR_CONTAINER(node, struct weir_ep, in_sock);

        if (atomic_load(&ep->attach.posted) ||
            atomic_load(&ep->failed.posted) || atomic_load(&ep->hurry.posted) ||
            atomic_load(&ep->close.posted))
            return true;
    }
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_link *link =
            &WEIR_CONTAINER(node, struct weir_pipe, all)->link;

        if (atomic_load(&link->down.posted) || atomic_load(&link->rearm.posted))
            return true;
    }
    return false;
}

static bool tasks_under_way(struct weir_sock *sock)
{
    bool any;

    weir_sock_lock(sock);
    any = has_tasks(sock);
    weir_sock_unlock(sock);
    return any;
}

static bool finish_endpoints(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    bool done = true;

    WEIR_LIST_EACH(node, after, &sock->eps)
    {
        struct weir_ep *ep = WEIR_CONTAINER(node, struct weir_ep, in_sock);

        weir_shells_remove_ep(ep);
        if (!weir_ep_opening(ep))
            done = weir_ep_finish(ep, true) && done;
    }
    return done;
}

/* What did not fit a buffer will not be received any more. */
static void drop_held(struct weir_sock *sock)
{
    weir_stats_add_held(&sock->gone, sock);
    sock->gone.recv_dropped[WEIR_DROP_UNREAD] += sock->gone.recv_queued;
    sock->gone.recv_queued = sock->gone.recv_queued_bytes = 0;
    weir_message_fini(&sock->held);
    sock->has_held = false;
}

/* Pipes of endpoints that were closed before, with messages nobody read.  Those
 * of one that a thread still opens stay, with what will never be sent. */
static void bury_rest(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    weir_stats sum;

    weir_sock_lock(sock);
    drop_held(sock);
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (pipe->dying || !sock->cut)
            weir_sock_bury(sock, pipe);
    }
    sum = weir_stats_sum(sock, NULL);
    sock->unsent = sum.send_dropped[WEIR_DROP_CLOSED] + sum.send_queued -
                   sock->unsent_before;
    weir_sock_unlock(sock);
}

/* Nobody is inside any more. */
static void shut_down(struct weir_sock *sock)
{
    weir_turn_close(sock);
    weir_rest_close(sock);
    if (sock->pattern->close)
        sock->pattern->close(sock);
    weir_wait_close(sock);
    weir_sock_lock(sock);
    weir_readiness_close(sock);
    weir_sock_unlock(sock);
}

/* On the reactor: everything ends, or all that those who are inside do not
 * need. */
static void on_teardown(struct weir_task *task)
{
    struct weir_sock *sock = WEIR_CONTAINER(task, struct weir_sock, teardown);

    if (atomic_load(&sock->wake_up.posted) || atomic_load(&sock->tend.posted) ||
        tasks_under_way(sock) || !finish_endpoints(sock)) {
        weir_reactor_post(sock->reactor, task);
        return;
    }
    bury_rest(sock);
    if (!sock->cut)
        shut_down(sock);
    atomic_fetch_add(&sock->done_word, 1);
    weir_unpark(&sock->done_word, INT_MAX);
}

/* The handle dies; calls under way end, unless they are with a plugin. */
static int begin_closing(weir_socket handle, struct weir_sock **out)
{
    struct weir_patience patience = weir_patience_until(WEIR_NEVER);
    struct weir_sock *sock = NULL;
    int r = find(handle, &sock);

    if (r < 0)
        return r;
    weir_sock_lock(sock);
    if (sock->generation != handle.generation ||
        sock->state != WEIR_SOCK_OPEN) {
        weir_sock_unlock(sock);
        return weir_fail(EBADF, "the socket is closed, or never was open");
    }
    sock->state = WEIR_SOCK_CLOSING;
    sock->generation++;
    sock->lent = NULL;
    weir_monitor_close(&sock->monitor);
    weir_wait_wake_all(sock);
    while (sock->inside > sock->in_plugins) {
        (void)weir_wait_closing(sock, &patience);
        weir_wait_wake_all(sock);
    }
    *out = sock;
    return 0;
}

static bool is_at_risk(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        if (weir_link_at_risk(
                &WEIR_CONTAINER(node, struct weir_pipe, all)->link))
            return true;
    }
    return false;
}

/* What is with the kernel stays safe there, unless we close on a peer that
 * is talking. */
static void await_acknowledgement(struct weir_sock *sock, int64_t deadline)
{
    int64_t now;

    while (is_at_risk(sock) && (now = weir_now()) < deadline) {
        int64_t next = now + LOOK_AGAIN;
        struct weir_patience patience =
            weir_patience_until(next < deadline ? next : deadline);

        (void)weir_wait_closing(sock, &patience);
    }
}

static void linger(struct weir_sock *sock, int64_t deadline)
{
    struct weir_patience patience = weir_patience_until(deadline);

    if (sock->pattern->abilities & WEIR_PATTERN_DISCARDS)
        return;
    begin_flush(sock, deadline);
    while (weir_sock_unsent(sock) && weir_wait_closing(sock, &patience) >= 0)
        (void)weir_drive_output(sock);
    await_acknowledgement(sock, deadline);
    sock->flushing--;
}

int64_t weir_sock_patience(int64_t deadline)
{
    int64_t least = weir_now() + PATIENCE;

    return deadline < least ? least : deadline;
}

/* A bind or connect under way may be in a plugin that takes its time. */
static void await_plugins(struct weir_sock *sock, int64_t deadline)
{
    struct weir_patience patience =
        weir_patience_until(weir_sock_patience(deadline));

    while (sock->inside > 0 && weir_wait_closing(sock, &patience) >= 0)
        ;
}

/* End what can be ended.  Lock held on entry, not on return. */
static void tear_down(struct weir_sock *sock)
{
    sock->cut = sock->inside > 0;
    atomic_store(&sock->done_word, 0);
    weir_sock_unlock(sock);
    weir_reactor_post(sock->reactor, &sock->teardown);
    weir_reactor_await(sock->reactor, &sock->done_word);
}

/* The same, and then the rest if the last of those inside has come out since.
 * Lock held on entry, not on return.  False: the last one ends it; the socket
 * is not ours any more.  *lost gets how many messages went unsent. */
static bool tear_down_all(struct weir_sock *sock, uint64_t *lost)
{
    bool orphaned;

    tear_down(sock);
    weir_sock_lock(sock);
    while (sock->cut && sock->inside == 0) {
        tear_down(sock);
        weir_sock_lock(sock);
    }
    *lost = sock->unsent;
    orphaned = sock->orphaned = sock->cut;
    weir_sock_unlock(sock);
    return !orphaned;
}

static void recycle(struct weir_sock *sock)
{
    struct weir_ctx *ctx = sock->ctx;

    weir_sock_lock(sock);
    unprepare(sock);
    sock->state = WEIR_SOCK_UNUSED;
    weir_biased_release(&sock->lock);
    weir_ctx_part(ctx, sock);
    weir_shells_free_sock(sock);
}

/* Whoever closed it has not waited for us.  Lock held on entry, not on
 * return. */
static void end_orphan(struct weir_sock *sock)
{
    tear_down(sock);
    recycle(sock);
}

void weir_sock_abandon(struct weir_sock *sock)
{
    weir_owned_close(weir_sock_owner(sock));
    if (sock->state != WEIR_SOCK_OPEN)
        return; /* it was coming or going: the rest may be in between */
    weir_wait_close(sock);
    weir_readiness_close(sock);
    sock->state = WEIR_SOCK_CLOSING;
    sock->generation++;
}

/* The handle of a parent's socket in a forked child. */
static int close_in_child(weir_socket handle)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (!sock || handle.generation == 0 ||
        sock->generation != handle.generation)
        return weir_fail(EBADF, "the socket is closed, or never was open");
    weir_sock_abandon(sock);
    return 0;
}

static int closed(uint64_t lost, bool finished)
{
    if (lost > 0)
        return weir_fail(EAGAIN, "messages that went unsent: %llu",
                         (unsigned long long)lost);
    if (!finished)
        return weir_fail(EAGAIN, "another thread is in a bind or connect that "
                                 "takes long: the socket ends after that");
    return 0;
}

int weir_sock_close(weir_socket handle, int deadline, uint64_t *unsent)
{
    struct weir_sock *sock = NULL;
    int64_t until;
    uint64_t lost;
    bool finished;
    int r;

    if (deadline < WEIR_LINGER)
        return weir_fail(EINVAL, "%d is not a deadline", deadline);
    r = begin_closing(handle, &sock);
    if (r == -WEIR_EFORK)
        return close_in_child(handle);
    if (r < 0)
        return r;
    if (deadline == WEIR_LINGER)
        deadline = (int)sock->options.linger;
    sock->unsent_before =
        weir_stats_sum(sock, NULL).send_dropped[WEIR_DROP_CLOSED];
    until = weir_deadline_in(deadline);
    linger(sock, until);
    await_plugins(sock, until);
    finished = tear_down_all(sock, &lost);
    if (finished && sock->keeps)
        weir_spill_await_left(weir_sock_patience(until));
    if (finished)
        recycle(sock);
    if (unsent)
        *unsent = lost;
    return closed(lost, finished);
}
