/*
 * quick.c - see quick.h.
 */
#include "config.h"

#include "quick.h"

#include "enter.h"
#include "message.h"
#include "pattern/fairqueue.h"
#include "pattern/loadbalance.h"
#include "peer_info.h"
#include "shells.h"

/* The socket, locked; NULL: there is something to look into. */
static inline struct weir_sock *enter(weir_socket handle)
{
    struct weir_sock *sock = weir_shells_sock(handle.index);

    if (WEIR_UNLIKELY(!sock || !weir_enter_is_ours(sock) ||
                      !weir_sock_try_lock(sock)))
        return NULL;
    if (WEIR_UNLIKELY(!weir_enter_may(sock, handle))) {
        weir_sock_unlock(sock);
        return NULL;
    }
    sock->inside++;
    return sock;
}

/* Nothing has to be done when the lock is released, but for mail. */
static bool expects_calm(const struct weir_sock *sock)
{
    return sock->state == WEIR_SOCK_OPEN && !sock->watched && !sock->wakes_due;
}

/* ---- sending ---- */

/* Who is next, if it is anybody's turn who would rather wait than drop, and the
 * socket is not lent. */
static inline struct weir_pipe *next_out(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->out_turn);
    struct weir_pipe *pipe;

    if (!(sock->pattern->abilities & WEIR_PATTERN_BALANCES) || !node ||
        sock->lent)
        return NULL;
    pipe = WEIR_CONTAINER(node, struct weir_pipe, out_turn);
    return pipe->policy == WEIR_POLICY_BLOCK ? pipe : NULL;
}

/* What is put is only appended: to a stream, or to what waits for the kernel to
 * have room, which is over only under the lock, or on inproc, where the peer
 * takes it. */
static bool appends(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_list_empty(&sock->unflushed))
        return sock->pace.streaming && !sock->pace.full &&
               !weir_list_empty(&pipe->flush);
    return pipe->splice || (atomic_load(&pipe->link.live) &&
                            weir_link_waits_for_room(&pipe->link));
}

/* How many octets may be appended before the queue, or the pace, is asked. */
static uint64_t room_again(const struct weir_sock *sock,
                           struct weir_queue *queue)
{
    uint64_t room = (uint64_t)(queue->in.limit - queue->in.write);
    uint64_t credit = queue->in.octet_credit - weir_queue_position(queue);
    uint64_t pending;

    room = credit < room ? credit : room;
    if (weir_list_empty(&sock->unflushed))
        return room;
    pending = weir_queue_pending(queue);
    if (pending >= queue->in.batch.bytes)
        return 0;
    pending = queue->in.batch.bytes - pending;
    return pending < room ? pending : room;
}

/* Would the next message be sent as this one was? */
static void expect_send(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct weir_queue *queue = pipe->out;

    if (!appends(sock, pipe) || !weir_list_alone(&pipe->out_turn) ||
        !expects_calm(sock) ||
        weir_queue_position(queue) >= queue->in.octet_credit)
        return;
    sock->again.limit = queue->in.write + room_again(sock, queue);
    weir_again_set(sock, WEIR_WAIT_OUT, pipe);
}

bool weir_quick_send(weir_socket handle, const void *data, size_t size,
                     struct weir_sock **out)
{
    struct weir_sock *sock = *out = enter(handle);
    struct weir_pipe *pipe;

    if (WEIR_UNLIKELY(!sock))
        return false;
    pipe = next_out(sock);
    if (WEIR_UNLIKELY(!pipe || !weir_pipe_append(pipe, data, size)))
        return false;
    weir_sock_touch(sock, pipe);
    weir_loadbalance_turn(sock, pipe);
    sock->asked = true;
    weir_rest_use(sock);
    if (weir_list_empty(&sock->unflushed) || weir_pace_appends(sock))
        expect_send(sock, pipe);
    else
        weir_pace_sent(sock); /* gives the lock up: who knows what is then */
    weir_sock_put(sock);
    return true;
}

/* ---- receiving ---- */

/* Who has a message of one frame at hand, which is peeked, and wanted; nobody
 * else waits for it, nothing comes before it, and the socket is not lent. */
static inline struct weir_pipe *next_in(struct weir_sock *sock)
{
    struct weir_pipe *pipe;

    if (!(sock->pattern->abilities & WEIR_PATTERN_FAIR) || sock->has_held ||
        sock->waiting[WEIR_WAIT_IN] || sock->lent)
        return NULL;
    pipe = weir_fairqueue_at_hand(sock);
    if (!pipe || weir_queue_peeked_flags(pipe->in) & WEIR_FRAME_MORE ||
        (sock->pattern->wants && !sock->pattern->wants(sock, pipe)))
        return NULL;
    return pipe;
}

/* Would the next message be received as this one was? */
static void expect_receive(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!expects_calm(sock))
        return;
    if (weir_list_alone(&pipe->in_turn))
        sock->in_quota = WEIR_FAIRQUEUE_ALONE;
    if (sock->pattern->wants && !sock->pattern->wants_all(sock))
        atomic_store_explicit(&sock->again.choosy, pipe, memory_order_relaxed);
    else
        weir_again_set(sock, WEIR_WAIT_IN, pipe);
}

bool weir_quick_recv(weir_socket handle, void *data, size_t *size,
                     struct weir_sock **out)
{
    struct weir_sock *sock = *out = enter(handle);
    struct weir_pipe *pipe;
    const uint8_t *octets;
    size_t is;

    if (WEIR_UNLIKELY(!sock))
        return false;
    pipe = next_in(sock);
    if (WEIR_UNLIKELY(!pipe))
        return false;
    octets = weir_queue_peeked(pipe->in, &is);
    if (WEIR_UNLIKELY(is > *size))
        return false;
    weir_queue_copy(data, octets, is);
    *size = is;
    weir_queue_pass(pipe->in);
    sock->in_quota--;
    weir_sock_received(sock, false);
    expect_receive(sock, pipe);
    weir_sock_put(sock);
    return true;
}

bool weir_quick_recv_message(weir_socket handle, weir_message *message,
                             struct weir_sock **out)
{
    struct weir_sock *sock = *out = enter(handle);
    struct weir_pipe *pipe;

    if (WEIR_UNLIKELY(!sock))
        return false;
    pipe = next_in(sock);
    if (WEIR_UNLIKELY(!pipe))
        return false;
    weir_pipe_replace(pipe, message);
    sock->in_quota--;
    weir_sock_received(sock, false);
    expect_receive(sock, pipe);
    weir_sock_put(sock);
    return true;
}
