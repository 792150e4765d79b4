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
                      !weir_lock_try(&sock->lock)))
        return NULL;
    if (WEIR_UNLIKELY(!weir_enter_may(sock, handle))) {
        weir_sock_unlock(sock);
        return NULL;
    }
    sock->inside++;
    return sock;
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
    if (!weir_list_empty(&sock->unflushed) && !weir_pace_appends(sock))
        weir_pace_sent(sock);
    weir_sock_put(sock);
    return true;
}

/* ---- receiving ---- */

/* Who has a message of one frame at hand, which is peeked; nobody else waits
 * for it, nothing comes before it, and the socket is not lent. */
static inline struct weir_pipe *next_in(struct weir_sock *sock)
{
    struct weir_pipe *pipe;

    if (!(sock->pattern->abilities & WEIR_PATTERN_FAIR) || sock->has_held ||
        sock->waiting[WEIR_WAIT_IN] || sock->lent)
        return NULL;
    pipe = weir_fairqueue_at_hand(sock);
    if (!pipe || weir_queue_peeked_flags(pipe->in) & WEIR_FRAME_MORE)
        return NULL;
    return pipe;
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
    weir_sock_put(sock);
    return true;
}

/* Release what came before.  It is often from the same chunk of the same peer:
 * then the references go back to those that their counters do not know of. */
static inline void release(struct weir_pipe *pipe, weir_message *message)
{
    struct weir_frame_view *view = weir_frame_view(&message->first);

    if (WEIR_UNLIKELY(message->count > 1 || message->rest)) {
        weir_message_fini(message);
        return;
    }
    if (message->count == 0)
        return;
    if (view->kind == WEIR_FRAME_SLICE && view->slice.chunk &&
        !weir_queue_take_back(pipe->in, view->slice.chunk))
        weir_chunk_unref(view->slice.chunk, 1);
    if (view->peer && !weir_pipe_unsign(pipe, view->peer))
        weir_peer_info_unref(view->peer, 1);
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
    release(pipe, message);
    weir_queue_take(pipe->in, &message->first);
    weir_pipe_sign(pipe, &message->first);
    message->count = 1;
    sock->in_quota--;
    weir_sock_received(sock, false);
    weir_sock_put(sock);
    return true;
}
