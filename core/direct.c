/*
 * direct.c - see direct.h.
 */
#include "config.h"

#include "direct.h"

#include "socket.h"

/* Octets that are the application's for the call, and many enough. */
static bool is_large_loan(const weir_frame *frame)
{
    const struct weir_frame_view *view = weir_frame_view_const(frame);

    return view->kind == WEIR_FRAME_SLICE && !view->slice.chunk &&
           view->slice.size >= WEIR_DIRECT_MIN;
}

/* Would the link write to the kernel now, and have the message from this
 * queue?  One to all has only one such pipe. */
static bool writes_now(struct weir_pipe *pipe)
{
    struct weir_link *link = &pipe->link;

    return !pipe->sock->direct.pipe && !pipe->splice && !pipe->out->spill &&
           atomic_load(&link->live) && !atomic_load(&link->turn) &&
           !weir_link_waits_for_room(link);
}

bool weir_direct_begin(struct weir_pipe *pipe, weir_frame *frame)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    if (!is_large_loan(frame) || !writes_now(pipe) ||
        !weir_link_hold(&pipe->link))
        return false;
    view->slice.chunk = weir_pool_get(pipe->out->in.pool, view->slice.size);
    if (view->slice.chunk)
        return true;
    weir_sock_let_go(pipe->sock, pipe);
    return false;
}

/* The queue holds a reference to the reserve.  One to its last chunk is taken,
 * to know it again: others may put messages behind it. */
void weir_direct_end(struct weir_pipe *pipe, weir_frame *frame, bool put)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    weir_chunk_unref(view->slice.chunk, WEIR_CHUNK_HOLD);
    view->slice.chunk = NULL;
    if (!put) {
        weir_sock_let_go(pipe->sock, pipe);
        return;
    }
    pipe->sock->direct.pipe = pipe;
    pipe->sock->direct.body = pipe->out->in.tail;
    weir_chunk_ref(pipe->sock->direct.body, 1);
}

void weir_direct_write(struct weir_sock *sock)
{
    struct weir_pipe *pipe = sock->direct.pipe;
    struct weir_chunk *body = sock->direct.body;

    sock->direct.pipe = NULL;
    weir_sock_unlock(sock);
    (void)weir_link_flush(&pipe->link);
    weir_sock_lock(sock);
    weir_queue_keep_body(pipe->out, body);
    if (!weir_pipe_unsent(pipe))
        weir_list_remove(&pipe->flush);
    weir_drive_done(sock, pipe);
}
