/*
 * fairqueue.c - see fairqueue.h.
 *
 * A pipe that is not in sock->in_turn has its queue armed, or no connection:
 * so whoever takes a pipe out arms it first and looks once more.
 */
#include "config.h"

#include "pattern/fairqueue.h"

#include <errno.h>

#include "base/fence.h"

enum {
    DRY_MAX = 8 /* pipes that may be looked at in vain */
};

static struct weir_pipe *pipe_of(struct weir_list *node)
{
    return WEIR_CONTAINER(node, struct weir_pipe, in_turn);
}

static struct weir_pipe *first(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->in_turn);

    return node ? pipe_of(node) : NULL;
}

void weir_fairqueue_add(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_list_empty(&pipe->in_turn))
        return;
    if (sock->in_quota > WEIR_FAIRQUEUE_QUOTA ||
        weir_list_empty(&sock->in_turn))
        sock->in_quota = WEIR_FAIRQUEUE_QUOTA;
    weir_list_append(&sock->in_turn, &pipe->in_turn);
    sock->in_splices += pipe->splice != NULL;
}

int weir_fairqueue_begin(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_list_empty(&pipe->in_turn) || weir_pipe_rest(pipe))
        return 0;
    weir_fairqueue_add(sock, pipe);
    weir_sock_wake(sock, WEIR_WAIT_IN);
    return 0;
}

void weir_fairqueue_remove(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (weir_list_empty(&pipe->in_turn))
        return;
    if (first(sock) == pipe)
        sock->in_quota = WEIR_FAIRQUEUE_QUOTA;
    weir_list_remove(&pipe->in_turn);
    sock->in_splices -= pipe->splice != NULL;
}

/* The pipe has nothing.  Returns whether that is still so. */
static bool leave(struct weir_sock *sock, struct weir_pipe *pipe)
{
    if (!weir_pipe_rest(pipe))
        return false;
    weir_fairqueue_remove(sock, pipe);
    weir_sock_dry(sock, pipe);
    return true;
}

/* Does it stay though it has nothing?  Who looks often is told of nothing then:
 * to tell costs a busy producer of inproc a system call, and of a link's
 * message more than to read it.  One of several links leaves, so that it is not
 * looked at in vain. */
static bool stays(const struct weir_pipe *pipe)
{
    return (pipe->splice || weir_list_alone(&pipe->in_turn)) && !pipe->dying;
}

/* Look at each pipe once; *dry counts those that stay with nothing. */
static struct weir_pipe *look(struct weir_sock *sock, uint32_t *dry)
{
    struct weir_pipe *stop = NULL, *pipe;

    while ((pipe = first(sock)) != stop) {
        if (weir_pipe_ready(pipe))
            return pipe;
        if (stays(pipe)) {
            stop = stop ? stop : pipe;
            ++*dry;
            weir_fairqueue_turn(sock);
        } else if (!leave(sock, pipe)) {
            return pipe;
        }
    }
    return NULL;
}

/* May so many with nothing stay?  Who watches a descriptor does not look before
 * he is told. */
static bool may_stay(struct weir_sock *sock, uint32_t dry)
{
    return dry == 0 || (dry <= DRY_MAX && !atomic_load(&sock->watched));
}

struct weir_pipe *weir_fairqueue_next(struct weir_sock *sock)
{
    struct weir_pipe *pipe;
    uint32_t dry = 0;

    if (sock->in_quota == 0)
        weir_fairqueue_turn(sock);
    pipe = look(sock, &dry);
    if (pipe || may_stay(sock, dry) || !weir_fairqueue_arm(sock))
        return pipe;
    return look(sock, &dry);
}

struct weir_pipe *weir_fairqueue_message(struct weir_sock *sock)
{
    struct weir_pipe *pipe = weir_fairqueue_at_hand(sock);
    const uint8_t *data;
    unsigned flags;
    size_t size;

    if (WEIR_LIKELY(pipe))
        return pipe;
    while ((pipe = weir_fairqueue_next(sock)) != NULL) {
        if (!weir_pipe_peek(pipe, &data, &size, &flags))
            continue;
        if (!(flags & WEIR_FRAME_COMMAND))
            return pipe;
        (void)weir_pipe_skip(pipe, WEIR_DROP_UNWANTED);
    }
    return NULL;
}

int weir_fairqueue_recv(struct weir_sock *sock, weir_message *message,
                        struct weir_pipe **from)
{
    struct weir_pipe *pipe = weir_fairqueue_message(sock);

    if (!pipe)
        return -EAGAIN;
    if (from)
        *from = pipe;
    sock->in_quota -= sock->in_quota > 0;
    return weir_pipe_take_peeked(pipe, message);
}

int weir_fairqueue_take(struct weir_sock *sock, weir_message *message)
{
    return weir_fairqueue_recv(sock, message, NULL);
}

bool weir_fairqueue_can_recv(struct weir_sock *sock)
{
    return weir_fairqueue_message(sock) != NULL;
}

void weir_fairqueue_discard(struct weir_sock *sock, enum weir_drop reason)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->in_turn)
    {
        while (weir_pipe_skip(pipe_of(node), reason))
            ;
    }
}

/* The second look: those that have something stay. */
static bool sort(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    bool found = false;

    WEIR_LIST_EACH(node, after, &sock->in_turn)
    {
        struct weir_pipe *pipe = pipe_of(node);

        if (weir_pipe_ready(pipe)) {
            weir_queue_disarm_reader(pipe->in);
            found = true;
            continue;
        }
        weir_fairqueue_remove(sock, pipe);
        weir_sock_dry(sock, pipe);
    }
    return found;
}

/* As weir_queue_fence_reader(), once for all of them. */
static void fence_all(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    bool light = false;

    weir_fence_full();
    if (sock->in_splices == 0)
        return;
    WEIR_LIST_EACH(node, after, &sock->in_turn)
    {
        light = light ||
                (pipe_of(node)->in && weir_queue_is_light(pipe_of(node)->in));
    }
    if (light)
        weir_fence_heavy();
}

bool weir_fairqueue_arm(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    if (weir_list_empty(&sock->in_turn))
        return false;
    WEIR_LIST_EACH(node, after, &sock->in_turn)
    {
        if (pipe_of(node)->in)
            weir_queue_arm_reader(pipe_of(node)->in);
    }
    fence_all(sock);
    return sort(sock);
}
