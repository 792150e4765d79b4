/*
 * xsub.c - XSUB: the application subscribes by messages (01 and the topic; 00
 * and the topic when it is over), all others go to every publisher, and what
 * comes is not filtered.  RFC 29.
 */
#include "config.h"

#include <errno.h>

#include "pattern/fairqueue.h"
#include "pattern/spread.h"
#include "pattern/topics.h"
#include "pattern/upstream.h"
#include "zmtp.h"

struct xsub {
    struct weir_topics topics;
    struct weir_spread spread;
};

static int prepare(struct weir_sock *sock)
{
    struct xsub *xsub = weir_sock_state(sock);

    weir_topics_init(&xsub->topics);
    return 0;
}

static void unprepare(struct weir_sock *sock)
{
    struct xsub *xsub = weir_sock_state(sock);

    weir_spread_fini(&xsub->spread);
    weir_topics_fini(&xsub->topics);
}

/* Subscriptions go the way of all messages, and must not be replaced. */
static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xsub *xsub = weir_sock_state(sock);

    if (pipe->policy != WEIR_POLICY_BLOCK)
        pipe->policy = WEIR_POLICY_DROP_NEW;
    return weir_spread_join(&xsub->spread);
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xsub *xsub = weir_sock_state(sock);

    weir_fairqueue_remove(sock, pipe);
    weir_spread_part(&xsub->spread);
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct xsub *xsub = weir_sock_state(sock);
    int r = weir_upstream_begin(sock, &xsub->topics, pipe);

    return r < 0 ? r : weir_fairqueue_begin(sock, pipe);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    weir_upstream_end(pipe);
}

static bool tend(struct weir_sock *sock)
{
    struct xsub *xsub = weir_sock_state(sock);

    return weir_upstream_tend(sock, &xsub->topics);
}

/* The end of what was not subscribed to concerns nobody. */
static int change(struct weir_sock *sock,
                  const struct weir_zmtp_command *command)
{
    struct xsub *xsub = weir_sock_state(sock);
    int r =
        weir_upstream_change(sock, &xsub->topics, command->data, command->len,
                             command->kind == WEIR_ZMTP_IS_SUBSCRIBE);

    return r == -ENOENT ? 0 : r;
}

static int tell_all(struct weir_sock *sock, weir_message *message)
{
    struct xsub *xsub = weir_sock_state(sock);
    struct weir_list *node, *after;

    weir_spread_clear(&xsub->spread);
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (pipe->up)
            weir_spread_add(&xsub->spread, pipe);
    }
    if (xsub->spread.n > 0)
        return weir_spread_send(sock, &xsub->spread, message);
    sock->gone.accepted++;
    sock->gone.send_dropped[WEIR_DROP_NO_ROUTE]++;
    return 0;
}

static int give(struct weir_sock *sock, weir_message *message)
{
    struct weir_zmtp_command command = {.kind = WEIR_ZMTP_IGNORE};

    if (message->count == 1)
        weir_zmtp_get_subscription(weir_frame_octets(&message->first),
                                   weir_frame_length(&message->first),
                                   &command);
    return command.kind == WEIR_ZMTP_IGNORE ? tell_all(sock, message)
                                            : change(sock, &command);
}

const struct weir_pattern_ops weir_pattern_xsub = {
    .name = "XSUB",
    .type = WEIR_XSUB,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES |
                 WEIR_PATTERN_MULTICAST | WEIR_PATTERN_DISCARDS,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct xsub),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .readable = weir_fairqueue_add,
    .send = give,
    .recv = weir_fairqueue_take,
    .tend = tend,
    .can_send = weir_spread_can_send,
    .can_recv = weir_fairqueue_can_recv,
};
