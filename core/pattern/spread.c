/*
 * spread.c - see spread.h.
 */
#include "config.h"

#include "pattern/spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/debug.h"
#include "base/error.h"
#include "frame.h"
#include "socket.h"

void weir_spread_fini(struct weir_spread *spread)
{
    free(spread->list);
    *spread = (struct weir_spread){.list = NULL};
}

int weir_spread_join(struct weir_spread *spread)
{
    uint32_t room = spread->room > 0 ? 2 * spread->room : 4;
    struct weir_pipe **list;

    if (spread->members == spread->room) {
        list = realloc(spread->list, room * sizeof *list);
        if (!list)
            return weir_fail(ENOMEM, "no memory for %u peers", room);
        spread->list = list;
        spread->room = room;
    }
    spread->members++;
    return 0;
}

void weir_spread_part(struct weir_spread *spread)
{
    spread->members--;
}

void weir_spread_add(struct weir_spread *spread, struct weir_pipe *pipe)
{
    weir_debug_assert(spread->n < spread->room);
    spread->list[spread->n++] = pipe;
}

/* ---- sending ---- */

static size_t measure(weir_message *message, size_t *longest)
{
    uint32_t count = weir_message_count(message);
    size_t octets = 0;

    *longest = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = weir_frame_length(weir_message_frame(message, i));

        octets += weir_queue_octets(size);
        *longest = size > *longest ? size : *longest;
    }
    return octets;
}

/* One message to several peers is packed once, and then shared, if it is long
 * enough for that; frames that are longer still are shared as they are. */
static struct weir_chunk *pack(struct weir_sock *sock, weir_message *message)
{
    uint32_t count = weir_message_count(message);
    size_t longest, octets = measure(message, &longest);
    struct weir_chunk *chunk;
    uint8_t *at;

    if (octets < WEIR_QUEUE_RUN || longest >= WEIR_QUEUE_BODY)
        return NULL;
    chunk = weir_pool_get(sock->pool, octets);
    if (!chunk)
        return NULL;
    at = chunk->data;
    for (uint32_t i = 0; i < count; i++) {
        weir_frame *frame = weir_message_frame(message, i);
        size_t size = weir_frame_length(frame);

        at += weir_queue_head(at, size, i + 1 < count ? WEIR_FRAME_MORE : 0);
        memcpy(at, weir_frame_octets(frame), size);
        at += size;
    }
    return chunk;
}

static void put(struct weir_pipe *pipe, weir_message *message,
                struct weir_chunk *chunk, size_t octets)
{
    int r;

    if (chunk && pipe->policy != WEIR_POLICY_LATEST)
        r = weir_pipe_put_packed(pipe, chunk, octets);
    else
        r = weir_pipe_put(pipe, NULL, 0, message, 0);
    if (r < 0)
        weir_pipe_drop_unsent(pipe, WEIR_DROP_MEMORY);
}

/* Exact, since nothing may be put anywhere if one has to wait. */
static bool have_room(const struct weir_spread *spread, size_t octets)
{
    for (uint32_t i = 0; i < spread->n; i++) {
        struct weir_pipe *pipe = spread->list[i];

        if (pipe->policy == WEIR_POLICY_BLOCK && !weir_pipe_room(pipe, octets))
            return false;
    }
    return true;
}

int weir_spread_send(struct weir_sock *sock, struct weir_spread *spread,
                     weir_message *message)
{
    size_t longest, octets = measure(message, &longest);
    struct weir_chunk *chunk = NULL;

    if (!have_room(spread, octets + WEIR_QUEUE_HEAD))
        return -EAGAIN;
    if (spread->n > 1)
        chunk = pack(sock, message);
    for (uint32_t i = 0; i < spread->n; i++)
        put(spread->list[i], message, chunk, octets);
    if (chunk)
        weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
    return 0;
}

bool weir_spread_can_send(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (pipe->up && !weir_pipe_can_put(pipe))
            return false;
    }
    return true;
}
