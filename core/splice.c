/*
 * splice.c - see splice.h.
 *
 * side[0] is the dialer's.  Its output queue exists from the start, so that
 * it takes messages before anybody binds; the binder's is made when they
 * meet.
 */
#include "config.h"

#include "splice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/lock.h"
#include "endpoint.h"
#include "peer_info.h"
#include "socket.h"
#include "zmtp.h"

struct side {
    struct weir_splice *splice;
    struct weir_pipe *pipe; /* NULL: gone, or not there yet */
    bool read;          /* the other side is the reader of its output queue */
    _Atomic bool ended; /* that reader has gone for good, */
    uint64_t came, refused; /* and so many messages had come until then */
};

struct weir_splice {
    struct weir_lock lock; /* guards the two pointers; a leaf */
    uint32_t users;        /* sides that still have it */
    _Atomic bool joined;   /* both ends are there */
    _Atomic int refused;   /* by either: why, positive; it is tried again */
    struct side side[2];
};

/* ---- news for the other side ---- */

static void tell(struct side *side, uint32_t mail)
{
    struct weir_sock *sock = NULL;

    weir_lock_take(&side->splice->lock);
    if (side->pipe) {
        sock = side->pipe->sock;
        weir_pipe_post(side->pipe, mail);
    }
    weir_lock_release(&side->splice->lock);
    if (sock)
        weir_sock_nudge(sock);
}

static void on_data(void *arg)
{
    tell(arg, WEIR_MAIL_READABLE);
}

static void on_room(void *arg)
{
    tell(arg, WEIR_MAIL_ROOM);
}

/* ---- making ---- */

static uint64_t sum_of_marks(int64_t a, int64_t b)
{
    return a == 0 || b == 0 ? 0 : (uint64_t)a + (uint64_t)b;
}

static struct weir_queue_limits marks(const struct weir_options *sender,
                                      const struct weir_options *receiver)
{
    return (struct weir_queue_limits){
        sum_of_marks(sender->send_mark, receiver->recv_mark),
        sum_of_marks(sender->send_mark_bytes, receiver->recv_mark_bytes)};
}

/* Who has waited for room before may go on. */
static void tell_of_room(struct weir_pipe *pipe)
{
    if (!weir_queue_writer_waits(pipe->out) ||
        (pipe->policy == WEIR_POLICY_BLOCK && weir_queue_arm_writer(pipe->out)))
        return;
    weir_queue_disarm_writer(pipe->out);
    weir_pipe_post(pipe, WEIR_MAIL_ROOM);
}

/* The two queues are one from now on.  Does the receiver drop what is beyond
 * its mark, nothing waits at the sender's side; but of the sender's "latest"
 * there is never more than one. */
static void set_rule(struct weir_pipe *pipe, const struct weir_options *sender,
                     const struct weir_options *receiver)
{
    enum weir_policy policy = weir_options_recv_policy(receiver);

    if (policy == WEIR_POLICY_BLOCK || pipe->policy == WEIR_POLICY_LATEST) {
        weir_queue_set_mark(pipe->out, marks(sender, receiver));
    } else {
        weir_queue_set_mark(pipe->out, weir_pipe_recv_mark(receiver));
        pipe->ruled = true;
        pipe->policy = policy == WEIR_POLICY_DROP_NEW ? WEIR_POLICY_DROP_NEW
                                                      : WEIR_POLICY_DROP_OLD;
    }
    tell_of_room(pipe);
}

static struct weir_queue *new_queue(struct weir_ep *ep)
{
    struct weir_queue_limits mark = {(uint64_t)ep->options.send_mark,
                                     (uint64_t)ep->options.send_mark_bytes};

    return weir_queue_new(ep->sock->pool, mark, true);
}

static struct weir_pipe *new_side(struct weir_ep *ep,
                                  struct weir_splice *splice, int which)
{
    struct weir_pipe *pipe = weir_pipe_new(ep->sock, ep);

    if (!pipe)
        return NULL;
    pipe->out = new_queue(ep);
    if (!pipe->out) {
        weir_pipe_free(pipe);
        return NULL;
    }
    pipe->splice = splice;
    pipe->side = (uint8_t)which;
    weir_lock_take(&splice->lock);
    splice->users++;
    splice->side[which].pipe = pipe;
    weir_lock_release(&splice->lock);
    return pipe;
}

struct weir_pipe *weir_splice_new_pipe(struct weir_ep *dialer)
{
    struct weir_splice *splice = calloc(1, sizeof(*splice));
    struct weir_pipe *pipe;

    if (!splice)
        return NULL;
    splice->side[0].splice = splice->side[1].splice = splice;
    pipe = new_side(dialer, splice, 0);
    if (!pipe) {
        free(splice);
        return NULL;
    }
    weir_queue_set_writer(pipe->out,
                          (struct weir_queue_end){on_room, &splice->side[0]});
    return pipe;
}

static void keep(struct weir_splice *splice)
{
    weir_lock_take(&splice->lock);
    splice->users++;
    weir_lock_release(&splice->lock);
}

static void drop(struct weir_splice *splice)
{
    bool last;

    weir_lock_take(&splice->lock);
    last = --splice->users == 0;
    weir_lock_release(&splice->lock);
    if (last)
        free(splice);
}

void weir_splice_leave(struct weir_pipe *pipe)
{
    struct weir_splice *splice = pipe->splice;

    weir_lock_take(&splice->lock);
    if (!splice->side[pipe->side].read)
        weir_queue_leave(pipe->out); /* the reader's end was nobody's */
    splice->side[pipe->side].pipe = NULL;
    weir_lock_release(&splice->lock);
    drop(splice);
}

/* The reader's end is ours as long as nobody has taken it, which is not done
 * under our socket's lock. */
static bool trim_alone(struct weir_pipe *pipe)
{
    struct weir_splice *splice = pipe->splice;
    bool alone;

    weir_lock_take(&splice->lock);
    alone = !splice->side[pipe->side].read;
    if (alone)
        weir_queue_return(pipe->out, weir_queue_trim(pipe->out));
    weir_lock_release(&splice->lock);
    return alone;
}

void weir_splice_trim(struct weir_pipe *pipe)
{
    if (!trim_alone(pipe))
        tell(&pipe->splice->side[!pipe->side], WEIR_MAIL_BEYOND);
}

/* ---- who counts what ---- */

void weir_splice_end_input(struct weir_pipe *pipe)
{
    struct side *other = &pipe->splice->side[!pipe->side];
    uint64_t taken, octets, lost;

    if (!pipe->in || atomic_load(&other->ended))
        return;
    weir_queue_came(pipe->in, &other->came, &taken, &octets, &lost);
    other->refused = weir_queue_refused(pipe->in);
    atomic_store(&other->ended, true);
}

void weir_splice_received(const struct weir_pipe *pipe, uint64_t *came,
                          uint64_t *refused)
{
    const struct side *side = &pipe->splice->side[!pipe->side];

    if (!atomic_load(&side->ended))
        return;
    *came = side->came;
    *refused = side->refused;
}

uint64_t weir_splice_sent(const struct weir_pipe *pipe, uint64_t sent)
{
    const struct side *side = &pipe->splice->side[pipe->side];

    if (!pipe->splice->joined)
        return 0;
    return atomic_load(&side->ended) ? side->came + side->refused : sent;
}

bool weir_splice_joined(const struct weir_pipe *pipe)
{
    return pipe->splice->joined;
}

/* ---- joining ---- */

static size_t put_property(uint8_t *at, const char *name, const void *value,
                           size_t size)
{
    return weir_zmtp_put_property(at, name, strlen(name), value, size);
}

/* What the peer would have said in a handshake. */
static struct weir_peer_info *info_of(const struct weir_ep *peer)
{
    uint8_t data[2048];
    const char *cursor = peer->options.property;
    struct weir_option_property one;
    const char *type = peer->sock->pattern->name;
    size_t n =
        put_property(data, "Peer-Address", peer->url, strnlen(peer->url, 512));

    n += put_property(data + n, "Socket-Type", type, strlen(type));
    if (weir_zmtp_announces_identity(type))
        n += put_property(data + n, "Identity", peer->options.routing_id.data,
                          peer->options.routing_id.size);
    while (weir_options_property(&cursor, &one) &&
           n + one.name_size + one.value_size + 5 < sizeof(data))
        n += weir_zmtp_put_property(data + n, one.name, one.name_size,
                                    one.value, one.value_size);
    return weir_peer_info_new(data, n);
}

static int know_peer(struct weir_pipe *pipe, const struct weir_ep *peer)
{
    struct weir_peer_info *info = info_of(peer);

    if (!info)
        return weir_fail(ENOMEM, "no memory for a peer");
    weir_pipe_set_info(pipe, info);
    pipe->minor = 1;
    pipe->id_size = peer->options.routing_id.size;
    memcpy(pipe->id, peer->options.routing_id.data, pipe->id_size);
    pipe->peer_id = ++pipe->sock->peer_ids;
    return 0;
}

static int check_open(const struct weir_ep *ep)
{
    if (atomic_load(&ep->closing) || ep->sock->state != WEIR_SOCK_OPEN)
        return weir_fail(ECANCELED, "%s is closing", ep->url);
    return 0;
}

/* The dialer's pipe, made before or now, and its splice, which is kept. */
static int dialer_side(struct weir_ep *ep, struct weir_pipe **out,
                       struct weir_splice **splice)
{
    struct weir_pipe *pipe;
    int r;

    weir_sock_lock(ep->sock);
    r = check_open(ep);
    if (r >= 0 && !ep->pipe) {
        pipe = weir_splice_new_pipe(ep);
        r = pipe ? weir_sock_add_pipe(ep->sock, pipe)
                 : weir_fail(ENOMEM, "no memory for a queue");
        if (r < 0 && pipe)
            weir_pipe_free(pipe);
        else if (r >= 0)
            ep->pipe = pipe;
    }
    if (r >= 0) {
        *out = ep->pipe;
        *splice = ep->pipe->splice;
        keep(*splice);
    }
    weir_sock_unlock(ep->sock);
    return r;
}

/* Our end of the queue that the other side fills. */
static void take_input(struct weir_pipe *pipe, struct weir_queue *queue)
{
    struct weir_splice *splice = pipe->splice;

    pipe->in = queue;
    weir_lock_take(&splice->lock);
    splice->side[!pipe->side].read = true;
    weir_lock_release(&splice->lock);
    weir_queue_set_reader(
        queue, (struct weir_queue_end){on_data, &splice->side[pipe->side]});
}

/* The binder's pipe reads what the dialer writes.  The dialer's socket is not
 * locked: its queue is safe to read from, and it stays, since the dialer
 * closes its plugin first, which waits for the end of this call. */
static int binder_side(struct weir_ep *ep, struct weir_ep *dialer,
                       struct weir_pipe *peer, struct weir_pipe **out)
{
    struct weir_splice *splice = peer->splice;
    struct weir_pipe *pipe;
    int r;

    weir_sock_lock(ep->sock);
    r = check_open(ep);
    pipe = r >= 0 ? new_side(ep, splice, 1) : NULL;
    if (!pipe) {
        weir_sock_unlock(ep->sock);
        return r < 0 ? r : weir_fail(ENOMEM, "no memory for a queue");
    }
    set_rule(pipe, &ep->options, &dialer->options);
    weir_queue_set_writer(pipe->out,
                          (struct weir_queue_end){on_room, &splice->side[1]});
    r = know_peer(pipe, dialer);
    if (r >= 0)
        r = weir_sock_add_pipe(ep->sock, pipe);
    if (r < 0) {
        weir_pipe_free(pipe);
    } else {
        take_input(pipe, peer->out);
        *out = pipe;
    }
    weir_sock_unlock(ep->sock);
    return r;
}

/* Has the pipe not been parted since?  Its socket's lock is held: where not,
 * it may be gone. */
static bool is_there(const struct weir_splice *splice, int side,
                     const struct weir_pipe *pipe)
{
    return splice->side[side].pipe == pipe;
}

static int parted_already(const struct weir_ep *ep)
{
    return weir_fail(ECANCELED, "%s was refused meanwhile", ep->url);
}

static int bring_up(struct weir_pipe *pipe)
{
    struct weir_sock *sock = pipe->sock;
    struct weir_ep *ep = pipe->ep;
    uint64_t peer_id = pipe->peer_id;
    int r = weir_sock_up(sock, pipe);

    if (r >= 0)
        weir_ep_event(ep, WEIR_EVENT_CONNECTED, ep->url, peer_id, 0, 0, "");
    return r;
}

static int bring_up_or_refuse(struct weir_pipe *pipe)
{
    int r = bring_up(pipe);

    if (r < 0)
        weir_splice_refuse(pipe, -r);
    return r;
}

static int finish_dialer(struct weir_ep *ep, struct weir_pipe *pipe,
                         struct weir_ep *binder, struct weir_queue *input)
{
    int r;

    set_rule(pipe, &ep->options, &binder->options);
    if (pipe->policy == WEIR_POLICY_DROP_OLD && weir_queue_ask_mark(pipe->out))
        weir_splice_trim(pipe);
    take_input(pipe, input);
    pipe->splice->joined = true;
    r = know_peer(pipe, binder);
    if (r < 0)
        weir_splice_refuse(pipe, -r);
    return r < 0 ? r : bring_up_or_refuse(pipe);
}

/* Both pipes are there.  Either side may be refused as soon as it is up, and
 * both pipes are gone then. */
static int finish(struct weir_ep *dialer, struct weir_ep *binder,
                  struct weir_splice *splice, struct weir_pipe *near,
                  struct weir_pipe *far)
{
    struct weir_queue *input = far->out;
    int r;

    weir_sock_lock(dialer->sock);
    r = is_there(splice, 0, near) ? finish_dialer(dialer, near, binder, input)
                                  : parted_already(dialer);
    weir_sock_unlock(dialer->sock);
    if (r < 0)
        return r;
    weir_sock_lock(binder->sock);
    r = is_there(splice, 1, far) ? bring_up_or_refuse(far)
                                 : parted_already(binder);
    weir_sock_unlock(binder->sock);
    return r;
}

int weir_splice_join(weir_ep *dialer, weir_ep *binder)
{
    struct weir_splice *splice = NULL;
    struct weir_pipe *near = NULL, *far = NULL;
    int r;

    if (!weir_zmtp_compatible(dialer->sock->pattern->name,
                              binder->sock->pattern->name))
        return weir_fail(WEIR_EINCOMPATIBLE, "a %s does not go with a %s at %s",
                         dialer->sock->pattern->name,
                         binder->sock->pattern->name, binder->url);
    r = dialer_side(dialer, &near, &splice);
    if (r < 0)
        return r;
    r = binder_side(binder, dialer, near, &far);
    if (r >= 0)
        r = finish(dialer, binder, splice, near, far);
    if (r < 0)
        tell(&splice->side[1], WEIR_MAIL_PARTED);
    drop(splice);
    return r;
}

/* ---- parting ---- */

void weir_splice_part(struct weir_pipe *pipe)
{
    struct weir_splice *splice = pipe->splice;
    struct side *other = &splice->side[!pipe->side];

    weir_lock_take(&splice->lock);
    splice->side[pipe->side].pipe = NULL;
    weir_lock_release(&splice->lock);
    tell(other, WEIR_MAIL_PARTED);
}

void weir_splice_refuse(struct weir_pipe *pipe, int code)
{
    if (atomic_exchange(&pipe->splice->refused, code) != 0)
        return; /* it is under way */
    pipe->sock->gone.refused++;
    pipe->ep->gone.refused++;
    weir_ep_event(pipe->ep, WEIR_EVENT_REFUSED, pipe->ep->url, pipe->peer_id, 0,
                  code, weir_error_text());
    weir_pipe_post(pipe, WEIR_MAIL_PARTED);
}

/* A dialer goes back to waiting, with a new queue.  A refused one is tried
 * again after a pause, and so is one for whose queue there is no memory. */
static void wait_again(struct weir_ep *ep, int refused)
{
    int r;

    ep->pipe = NULL;
    if (atomic_load(&ep->closing) || ep->sock->state != WEIR_SOCK_OPEN)
        return;
    r = weir_ep_give_pipe(ep);
    if (r < 0 && !refused)
        refused = -r;
    if (refused) {
        ep->gone.last_error = refused;
        snprintf(ep->gone.last_reason, sizeof(ep->gone.last_reason), "%s",
                 weir_strerror(refused));
    }
    weir_reactor_post(ep->sock->reactor, refused ? &ep->failed : &ep->attach);
}

void weir_splice_parted(struct weir_pipe *pipe)
{
    struct weir_sock *sock = pipe->sock;
    struct weir_ep *ep = pipe->ep;
    bool dialer = ep->pipe == pipe;
    struct weir_parting how = {.unconfirmed = 0};
    char why[96];
    int refused;

    if (pipe->dying)
        return;
    refused = atomic_load(&pipe->splice->refused);
    weir_splice_part(pipe);
    snprintf(how.peer, sizeof(how.peer), "%s", ep->url);
    snprintf(why, sizeof(why), "the connection was refused: %s",
             weir_strerror(refused));
    how.code = refused ? refused : ECONNRESET;
    how.reason = refused ? why : "the other socket is gone";
    pipe->dying = true;
    weir_sock_part(sock, pipe, &how);
    weir_sock_retire(sock, pipe, false);
    if (dialer)
        wait_again(ep, refused);
}
