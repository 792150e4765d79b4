/*
 * fanout.c - see fanout.h.
 */
#include "config.h"

#include "pattern/fanout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

/* A connection that subscribes. */
struct peer {
    struct weir_trie_peer topics;
    struct weir_pipe *pipe;      /* NULL: it is being forgotten */
    struct weir_list in_leaving; /* then */
};

static struct peer *peer_of(struct weir_trie_peer *topics)
{
    return WEIR_CONTAINER(topics, struct peer, topics);
}

void weir_fanout_init(struct weir_fanout *fanout, weir_trie_left *left,
                      void *argument)
{
    weir_trie_init(&fanout->trie);
    fanout->spread = (struct weir_spread){.n = 0};
    fanout->settled = false;
    weir_list_init(&fanout->leaving);
    fanout->left = left;
    fanout->argument = argument;
}

void weir_fanout_fini(struct weir_fanout *fanout)
{
    struct weir_list *node;

    weir_trie_fini(&fanout->trie);
    while ((node = weir_list_pop(&fanout->leaving)) != NULL)
        free(WEIR_CONTAINER(node, struct peer, in_leaving));
    weir_spread_fini(&fanout->spread);
}

/* ---- peers come and go ---- */

static void set_policy(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_pipe_set_policy(pipe, sock->options.nodrop ? WEIR_POLICY_BLOCK
                                                    : WEIR_POLICY_DROP_NEW);
}

int weir_fanout_attach(struct weir_sock *sock, struct weir_fanout *fanout,
                       struct weir_pipe *pipe)
{
    set_policy(sock, pipe);
    return weir_spread_join(&fanout->spread);
}

void weir_fanout_detach(struct weir_fanout *fanout)
{
    weir_spread_part(&fanout->spread);
}

void weir_fanout_option(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    set_policy(sock, WEIR_CONTAINER(node, struct weir_pipe, all));
    weir_sock_wake(sock, WEIR_WAIT_OUT);
}

int weir_fanout_up(struct weir_pipe *pipe)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        return weir_fail(ENOMEM, "no memory for a peer");
    weir_list_init(&peer->in_leaving);
    peer->pipe = pipe;
    pipe->pattern = peer;
    return 0;
}

static bool forget(struct weir_fanout *fanout, struct peer *peer)
{
    fanout->settled = false;
    if (weir_trie_remove_peer(&fanout->trie, &peer->topics, WEIR_FANOUT_STEP,
                              fanout->left, fanout->argument) > 0)
        return false;
    weir_list_remove(&peer->in_leaving);
    free(peer);
    return true;
}

bool weir_fanout_forget(struct weir_fanout *fanout)
{
    struct weir_list *node = weir_list_first(&fanout->leaving);

    if (node)
        (void)forget(fanout, WEIR_CONTAINER(node, struct peer, in_leaving));
    return !weir_list_empty(&fanout->leaving);
}

/* What has come so far is of this connection: subscriptions in it are void
 * once another has begun. */
static void mark_stale(struct weir_pipe *pipe)
{
    uint64_t taken, octets;

    if (pipe->in)
        weir_queue_counts(pipe->in, &pipe->pattern_count, &taken, &octets);
}

void weir_fanout_down(struct weir_sock *sock, struct weir_fanout *fanout,
                      struct weir_pipe *pipe)
{
    struct peer *peer = pipe->pattern;

    if (!peer)
        return;
    if (peer->topics.count > 0)
        weir_sock_count(sock, -1);
    pipe->pattern = NULL;
    peer->pipe = NULL;
    weir_list_append(&fanout->leaving, &peer->in_leaving);
    if (!forget(fanout, peer))
        weir_sock_later(sock);
    mark_stale(pipe);
    weir_sock_wake(sock, WEIR_WAIT_OUT);
}

bool weir_fanout_counts(const struct weir_pipe *pipe)
{
    const struct peer *peer = pipe->pattern;

    return peer && peer->topics.count > 0;
}

/* ---- subscriptions ---- */

static bool is_stale(struct weir_pipe *pipe)
{
    uint64_t put, taken, octets;

    if (pipe->pattern_count == 0)
        return !pipe->pattern;
    weir_queue_counts(pipe->in, &put, &taken, &octets);
    if (taken < pipe->pattern_count)
        return true;
    pipe->pattern_count = 0;
    return !pipe->pattern;
}

/* A message of several frames is nobody's subscription, whatever the first
 * octet of its frames is. */
static void parse(const uint8_t *data, size_t size, unsigned flags,
                  struct weir_zmtp_command *command)
{
    *command = (struct weir_zmtp_command){.kind = WEIR_ZMTP_IGNORE};
    if (flags & WEIR_FRAME_COMMAND)
        (void)weir_zmtp_get_command(data, size, command);
    else if (!(flags & WEIR_FRAME_MORE))
        weir_zmtp_get_subscription(data, size, command);
    if (command->kind != WEIR_ZMTP_IS_SUBSCRIBE &&
        command->kind != WEIR_ZMTP_IS_CANCEL)
        command->kind = WEIR_ZMTP_IGNORE;
}

enum weir_fanout_next weir_fanout_peek(struct weir_pipe *pipe,
                                       struct weir_zmtp_command *command)
{
    const uint8_t *data;
    unsigned flags;
    size_t size;

    if (!weir_pipe_peek(pipe, &data, &size, &flags))
        return WEIR_FANOUT_NOTHING;
    parse(data, size, flags, command);
    if (command->kind == WEIR_ZMTP_IGNORE && !(flags & WEIR_FRAME_COMMAND))
        return WEIR_FANOUT_MESSAGE;
    if (is_stale(pipe))
        command->kind = WEIR_ZMTP_IGNORE;
    return WEIR_FANOUT_TOPIC;
}

int weir_fanout_apply(struct weir_sock *sock, struct weir_fanout *fanout,
                      struct weir_pipe *pipe,
                      const struct weir_zmtp_command *command)
{
    struct peer *peer = pipe->pattern;
    uint32_t before;
    int change;

    if (command->kind == WEIR_ZMTP_IGNORE)
        return WEIR_TRIE_SAME;
    before = peer->topics.count;
    fanout->settled = false;
    if (command->kind == WEIR_ZMTP_IS_SUBSCRIBE)
        change = weir_trie_add(&fanout->trie, &peer->topics, command->data,
                               command->len);
    else
        change = weir_trie_remove(&fanout->trie, &peer->topics, command->data,
                                  command->len);
    if ((before > 0) != (peer->topics.count > 0))
        weir_sock_count(sock, before > 0 ? -1 : 1);
    if (command->kind == WEIR_ZMTP_IS_CANCEL)
        weir_sock_wake(sock, WEIR_WAIT_OUT); /* it is not waited for now */
    return change;
}

/* When it connects again it says all of its subscriptions anew. */
void weir_fanout_give_up(struct weir_pipe *pipe)
{
    (void)weir_pipe_skip(pipe, WEIR_DROP_MEMORY);
    weir_pipe_refuse(pipe, ENOMEM);
}

/* ---- sending ---- */

static void choose(void *argument, struct weir_trie_peer *topics)
{
    struct weir_fanout *fanout = argument;
    struct peer *peer = peer_of(topics);

    if (peer->pipe)
        weir_spread_add(&fanout->spread, peer->pipe);
}

static void pass_by(void *argument, struct weir_trie_peer *topics)
{
    (void)argument;
    (void)topics;
}

/* The match leaves its number in those that it has seen. */
static void choose_others(struct weir_sock *sock, struct weir_fanout *fanout)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);
        struct peer *peer = pipe->pattern;

        if (peer && peer->topics.turn != fanout->trie.turn)
            weir_spread_add(&fanout->spread, pipe);
    }
}

/* Can a message concern it? */
static bool is_concerned(const struct weir_sock *sock,
                         const struct weir_pipe *pipe)
{
    const struct peer *peer = pipe->pattern;

    return peer && (peer->topics.count > 0 || sock->options.invert);
}

bool weir_fanout_can_send(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (is_concerned(sock, pipe) && !weir_pipe_can_put(pipe))
            return false;
    }
    return true;
}

/* Those whom the message concerns.  Where there is no topic but the empty one
 * they are the same for the next. */
static void choose_all(struct weir_sock *sock, struct weir_fanout *fanout,
                       weir_message *message)
{
    const void *topic = weir_frame_octets(&message->first);
    size_t size = weir_frame_length(&message->first);
    bool invert = sock->options.invert;

    weir_spread_clear(&fanout->spread);
    weir_trie_match(&fanout->trie, topic, size, invert ? pass_by : choose,
                    fanout);
    if (invert)
        choose_others(sock, fanout);
    fanout->settled = !invert && weir_trie_is_flat(&fanout->trie);
}

int weir_fanout_send(struct weir_sock *sock, struct weir_fanout *fanout,
                     weir_message *message)
{
    if (!fanout->settled || sock->options.invert)
        choose_all(sock, fanout, message);
    if (fanout->spread.n > 0)
        return weir_spread_send(sock, &fanout->spread, message);
    sock->gone.unmatched++;
    return 0;
}
