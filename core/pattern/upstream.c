/*
 * upstream.c - see upstream.h.
 */
#include "config.h"

#include "pattern/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "socket.h"
#include "zmtp.h"

enum {
    SHORT = 256, /* octets of a body that needs no allocation */
    STEP = 256   /* topics that a connection is told of at a time */
};

/* A command to a peer of ZMTP 3.1, a message to older ones. */
static int tell(struct weir_pipe *pipe, const void *topic, size_t size, bool on)
{
    enum weir_zmtp_generation generation =
        pipe->minor > 0 ? WEIR_ZMTP_3_1 : WEIR_ZMTP_3_0;
    size_t octets = weir_zmtp_subscription_size(generation, on, size);
    uint8_t small[SHORT], *body = small;
    unsigned flags;
    int r;

    if (octets > sizeof small)
        body = malloc(octets);
    if (!body)
        return -ENOMEM;
    flags = weir_zmtp_put_subscription(body, generation, on, topic, size);
    r = weir_pipe_put_command(pipe, body, octets, flags);
    if (body != small)
        free(body);
    return r;
}

/* ---- all topics, in steps ---- */

/* How far a connection was told: up to and with this topic.  Later ones it
 * hears of when it is their turn. */
struct told {
    size_t size;
    uint8_t topic[];
};

void weir_upstream_end(struct weir_pipe *pipe)
{
    free(pipe->pattern);
    pipe->pattern = NULL;
}

static int remember(struct weir_pipe *pipe, const void *topic, size_t size)
{
    struct told *told = malloc(sizeof *told + size);

    if (!told)
        return -ENOMEM;
    told->size = size;
    if (size > 0)
        memcpy(told->topic, topic, size);
    weir_upstream_end(pipe);
    pipe->pattern = told;
    return 0;
}

/* Tell of the next few.  1: there are more; 0: that was all; -ENOMEM. */
static int tell_some(struct weir_topics *topics, struct weir_pipe *pipe)
{
    static const uint8_t nothing[1];
    const struct told *told = pipe->pattern;
    const uint8_t *topic = told ? told->topic : NULL;
    size_t size = told ? told->size : 0;

    for (int i = 0; i < STEP; i++) {
        if (!weir_topics_next(topics, topic, size, &topic, &size)) {
            weir_upstream_end(pipe);
            return 0;
        }
        if (tell(pipe, topic, size, true) < 0)
            return -ENOMEM;
        topic = topic ? topic : nothing; /* NULL would be the beginning */
    }
    return remember(pipe, topic, size) < 0 ? -ENOMEM : 1;
}

static int no_memory(void)
{
    return weir_fail(ENOMEM, "no memory for the subscriptions of a peer");
}

/* What waits from before was for another connection. */
int weir_upstream_begin(struct weir_sock *sock, struct weir_topics *topics,
                        struct weir_pipe *pipe)
{
    int r;

    weir_pipe_clear_out(pipe);
    weir_upstream_end(pipe);
    r = tell_some(topics, pipe);
    if (r > 0)
        weir_sock_later(sock);
    if (r < 0)
        weir_upstream_end(pipe);
    return r < 0 ? no_memory() : 0;
}

static struct weir_pipe *untold(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (pipe->up && pipe->pattern)
            return pipe;
    }
    return NULL;
}

bool weir_upstream_tend(struct weir_sock *sock, struct weir_topics *topics)
{
    struct weir_pipe *pipe = untold(sock);

    if (pipe && tell_some(topics, pipe) < 0) {
        weir_upstream_end(pipe);
        weir_pipe_refuse(pipe, -no_memory());
    }
    return untold(sock) != NULL;
}

/* ---- changes ---- */

/* Is the topic one that the connection hears of later? */
static bool is_ahead(const struct weir_pipe *pipe, const void *topic,
                     size_t size)
{
    const struct told *told = pipe->pattern;
    size_t least;
    int order;

    if (!told)
        return false;
    least = size < told->size ? size : told->size;
    order = least > 0 ? memcmp(topic, told->topic, least) : 0;
    return order > 0 || (order == 0 && size > told->size);
}

/* Tell the connected publishers before `end`, or all (NULL).  Returns the
 * place of the one that could not be told, or NULL. */
static struct weir_list *tell_all(struct weir_sock *sock,
                                  const struct weir_list *end,
                                  const void *topic, size_t size, bool on)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (node == end)
            return NULL;
        if (pipe->up && !is_ahead(pipe, topic, size) &&
            tell(pipe, topic, size, on) < 0)
            return node;
    }
    return NULL;
}

static int subscribe(struct weir_sock *sock, struct weir_topics *topics,
                     const void *topic, size_t size)
{
    int count = weir_topics_add(topics, topic, size);
    const struct weir_list *untold;

    if (count < 0)
        return count;
    untold = tell_all(sock, NULL, topic, size, true);
    if (!untold)
        return 0;
    if (weir_topics_remove(topics, topic, size) == 0)
        (void)tell_all(sock, untold, topic, size, false);
    return weir_fail(ENOMEM,
                     "no memory to tell a peer of a topic of %zu octets", size);
}

/* A publisher that cannot be told for lack of memory goes on sending, which
 * costs only time: a SUB filters once more, and an XSUB must anyway expect
 * what was under way. */
static int unsubscribe(struct weir_sock *sock, struct weir_topics *topics,
                       const void *topic, size_t size)
{
    int count = weir_topics_remove(topics, topic, size);

    if (count == 0)
        (void)tell_all(sock, NULL, topic, size, false);
    return count < 0 ? count : 0;
}

int weir_upstream_change(struct weir_sock *sock, struct weir_topics *topics,
                         const void *topic, size_t size, bool on)
{
    return on ? subscribe(sock, topics, topic, size)
              : unsubscribe(sock, topics, topic, size);
}
