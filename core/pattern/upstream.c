/*
 * upstream.c - see upstream.h.
 */
#include "config.h"

#include "pattern/upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "socket.h"
#include "zmtp.h"

enum { SHORT = 256 }; /* octets of a body that needs no allocation */

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

static int tell_one(void *pipe, const uint8_t *topic, size_t size)
{
    return tell(pipe, topic, size, true);
}

/* What waits from before was for another connection. */
int weir_upstream_begin(struct weir_topics *topics, struct weir_pipe *pipe)
{
    weir_pipe_clear_out(pipe);
    if (weir_topics_each(topics, tell_one, pipe) < 0)
        return weir_fail(ENOMEM, "no memory for the subscriptions of a peer");
    return 0;
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
        if (pipe->up && tell(pipe, topic, size, on) < 0)
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
