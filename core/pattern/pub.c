/*
 * pub.c - PUB: each message to all whose subscriptions it matches; what peers
 * send beside subscriptions is dropped.  RFC 29.
 */
#include "config.h"

#include "pattern/fairqueue.h"
#include "pattern/fanout.h"

struct pub {
    struct weir_fanout fanout;
};

static struct weir_fanout *fanout_of(struct weir_sock *sock)
{
    struct pub *pub = weir_sock_state(sock);

    return &pub->fanout;
}

static int prepare(struct weir_sock *sock)
{
    weir_fanout_init(fanout_of(sock), NULL, NULL);
    return 0;
}

static void unprepare(struct weir_sock *sock)
{
    weir_fanout_fini(fanout_of(sock));
}

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    return weir_fanout_attach(sock, fanout_of(sock), pipe);
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_fairqueue_remove(sock, pipe);
    weir_fanout_detach(fanout_of(sock));
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_fanout_down(sock, fanout_of(sock), pipe);
}

static void obey(struct weir_sock *sock, struct weir_pipe *pipe,
                 const struct weir_zmtp_command *command)
{
    if (weir_fanout_apply(sock, fanout_of(sock), pipe, command) < 0)
        weir_fanout_give_up(pipe);
    else
        weir_queue_pass(pipe->in);
}

/* False: that is enough for now. */
static bool drain(struct weir_sock *sock, struct weir_pipe *pipe, int *steps)
{
    struct weir_zmtp_command command;
    enum weir_fanout_next next;

    while ((next = weir_fanout_peek(pipe, &command)) != WEIR_FANOUT_NOTHING) {
        if ((*steps)-- == 0)
            return false;
        if (next == WEIR_FANOUT_TOPIC)
            obey(sock, pipe, &command);
        else
            (void)weir_pipe_skip(pipe, WEIR_DROP_UNWANTED);
    }
    return true;
}

/* Only pipes that have to wait for their turn are in the fair queue. */
static void readable(struct weir_sock *sock, struct weir_pipe *pipe)
{
    int steps = WEIR_FANOUT_STEP;

    do {
        if (!drain(sock, pipe, &steps)) {
            weir_fairqueue_add(sock, pipe);
            weir_sock_later(sock);
            return;
        }
    } while (!weir_pipe_rest(pipe));
    weir_fairqueue_remove(sock, pipe);
    weir_sock_dry(sock, pipe);
}

static bool tend(struct weir_sock *sock)
{
    struct weir_pipe *pipe = weir_fairqueue_next(sock);
    bool forgetting;

    sock->in_quota = 0; /* then it is another's turn */
    if (pipe)
        readable(sock, pipe);
    forgetting = weir_fanout_forget(fanout_of(sock));
    return forgetting || weir_fairqueue_next(sock);
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    int r = weir_fanout_up(pipe);

    if (r >= 0)
        readable(sock, pipe);
    return r;
}

static int give(struct weir_sock *sock, weir_message *message)
{
    return weir_fanout_send(sock, fanout_of(sock), message);
}

const struct weir_pattern_ops weir_pattern_pub = {
    .name = "PUB",
    .type = WEIR_PUB,
    .abilities =
        WEIR_PATTERN_SENDS | WEIR_PATTERN_MULTICAST | WEIR_PATTERN_LATE_QUEUE,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct pub),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .readable = readable,
    .send = give,
    .tend = tend,
    .can_send = weir_fanout_can_send,
    .counts = weir_fanout_counts,
    .option = weir_fanout_option,
};
