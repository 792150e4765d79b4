/*
 * rep.c - REP: a request from any peer, then the reply to it, in turn.
 * RFC 28.
 *
 * The envelope of a request, up to and with its first empty frame, is taken
 * off when the request is looked at, and put before the reply.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "pattern/fairqueue.h"
#include "pattern/routes.h"

enum { ROOM_KEPT = 16 }; /* frames; a longer envelope's memory is given back */

struct rep {
    struct weir_routes routes; /* only so that ids are not taken twice */
    struct weir_pipe *asker;   /* NULL: none, or gone */
    bool opened;               /* a request's rest is in `asker` */
    bool serving;              /* a reply is due */
    weir_frame *envelope;
    uint32_t n, room;
};

static int prepare(struct weir_sock *sock)
{
    struct rep *rep = weir_sock_state(sock);

    return weir_routes_init(&rep->routes);
}

/* No request is under way; memory of a usual size is kept for the next. */
static void clear(struct rep *rep)
{
    for (uint32_t i = 0; i < rep->n; i++)
        weir_frame_fini(&rep->envelope[i]);
    rep->n = 0;
    rep->asker = NULL;
    rep->opened = rep->serving = false;
    if (rep->room <= ROOM_KEPT)
        return;
    free(rep->envelope);
    rep->envelope = NULL;
    rep->room = 0;
}

static void unprepare(struct weir_sock *sock)
{
    struct rep *rep = weir_sock_state(sock);

    clear(rep);
    free(rep->envelope);
    weir_routes_fini(&rep->routes);
}

/* ---- peers come and go ---- */

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    (void)sock;
    (void)pipe;
    return 0;
}

/* A peer with an id keeps it from its first connection on. */
static int meet(struct weir_pipe *pipe)
{
    struct weir_route *route;
    int r;

    if (pipe->pattern || pipe->id_size == 0)
        return 0;
    route = malloc(sizeof *route);
    if (!route)
        return weir_fail(ENOMEM, "no memory for a peer");
    r = weir_route_init(route, pipe, pipe->id, pipe->id_size);
    if (r < 0)
        free(route);
    else
        pipe->pattern = route;
    return r;
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct rep *rep = weir_sock_state(sock);
    int r = meet(pipe);

    if (r >= 0 && pipe->pattern)
        r = weir_routes_list(&rep->routes, pipe->pattern);
    return r < 0 ? r : weir_fairqueue_begin(sock, pipe);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct rep *rep = weir_sock_state(sock);

    if (pipe->pattern && !weir_pipe_lasts(pipe))
        weir_routes_unlist(&rep->routes, pipe->pattern);
}

/* A request that was not received yet goes with its pipe. */
static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct rep *rep = weir_sock_state(sock);

    weir_fairqueue_remove(sock, pipe);
    if (rep->asker == pipe && rep->opened)
        clear(rep);
    else if (rep->asker == pipe)
        rep->asker = NULL;
    if (!pipe->pattern)
        return;
    weir_route_fini(pipe->pattern, &rep->routes);
    free(pipe->pattern);
    pipe->pattern = NULL;
}

static void forget(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct rep *rep = weir_sock_state(sock);

    if (rep->asker == pipe && rep->opened)
        clear(rep);
}

/* ---- requests ---- */

static int grow(struct rep *rep)
{
    uint32_t room = rep->room > 0 ? 2 * rep->room : 4;
    weir_frame *frames;

    if (rep->n < rep->room)
        return 0;
    frames = realloc(rep->envelope, room * sizeof *frames);
    if (!frames)
        return -ENOMEM;
    rep->envelope = frames;
    rep->room = room;
    return 0;
}

/* Take the envelope of a request off; one that has no end has no body. */
static void open_request(struct rep *rep, struct weir_pipe *pipe)
{
    enum weir_drop reason = WEIR_DROP_MALFORMED;
    const uint8_t *data;
    unsigned flags;
    size_t size;

    while (weir_pipe_peek(pipe, &data, &size, &flags) &&
           flags & WEIR_FRAME_MORE) {
        if (grow(rep) < 0) {
            reason = WEIR_DROP_MEMORY;
            break;
        }
        weir_queue_take(pipe->in, &rep->envelope[rep->n++]);
        if (size == 0) {
            rep->asker = pipe;
            rep->opened = true;
            return;
        }
    }
    (void)weir_pipe_skip(pipe, reason);
    clear(rep);
}

static bool can_take(struct weir_sock *sock)
{
    struct rep *rep = weir_sock_state(sock);
    struct weir_pipe *pipe;

    if (rep->serving)
        return false;
    while (!rep->opened && (pipe = weir_fairqueue_message(sock)) != NULL)
        open_request(rep, pipe);
    return rep->opened;
}

static int take(struct weir_sock *sock, weir_message *message)
{
    struct rep *rep = weir_sock_state(sock);
    bool command;
    int r;

    if (rep->serving)
        return weir_fail(WEIR_ESTATE, "a REP that has received a request "
                                      "replies before it receives another");
    if (!can_take(sock))
        return -EAGAIN;
    r = weir_pipe_take(rep->asker, message, &command);
    if (r < 0) {
        clear(rep);
        return r;
    }
    rep->opened = false;
    rep->serving = true;
    return 0;
}

/* ---- replies ---- */

static bool gone(const struct rep *rep)
{
    return !rep->asker || rep->asker->dying;
}

static int reply(struct weir_sock *sock, weir_message *message)
{
    struct rep *rep = weir_sock_state(sock);
    int r = 0;

    if (!rep->serving || sock->has_held)
        return weir_fail(WEIR_ESTATE,
                         "a REP receives a request before it replies");
    if (gone(rep)) {
        sock->gone.accepted++;
        sock->gone.send_dropped[WEIR_DROP_NO_ROUTE]++;
    } else {
        r = weir_pipe_put(rep->asker, rep->envelope, rep->n, message, 0);
    }
    if (r >= 0)
        clear(rep);
    return r;
}

static bool can_reply(struct weir_sock *sock)
{
    struct rep *rep = weir_sock_state(sock);

    return rep->serving && !sock->has_held &&
           (gone(rep) || weir_pipe_can_put(rep->asker));
}

const struct weir_pattern_ops weir_pattern_rep = {
    .name = "REP",
    .type = WEIR_REP,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct rep),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .forget = forget,
    .readable = weir_fairqueue_add,
    .send = reply,
    .recv = take,
    .can_send = can_reply,
    .can_recv = can_take,
};
