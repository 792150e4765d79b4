/*
 * router.c - ROUTER: messages come with their peer's routing id before them,
 * and go to the peer whose id is before them.  RFC 28.
 *
 * The id is the one that the connect's option names, or that the peer has
 * announced, or an invented one: 00 and a UUID.  A connect's pipe has it from
 * its first connection on, whatever is announced later.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/error.h"
#include "endpoint.h"
#include "frame.h"
#include "message.h"
#include "pattern/fairqueue.h"
#include "pattern/news.h"
#include "pattern/probe.h"
#include "pattern/routes.h"

struct router {
    struct weir_routes routes;
    struct weir_news news;
    struct weir_list refused; /* peers that a send was to wait for */
};

/* What the pattern has of a pipe. */
struct peer {
    struct weir_route route;
    struct weir_note *farewell; /* says that the connection has gone */
    struct weir_list refused;   /* router->refused */
};

static int prepare(struct weir_sock *sock)
{
    struct router *router = weir_sock_state(sock);

    weir_news_init(&router->news);
    weir_list_init(&router->refused);
    return weir_routes_init(&router->routes);
}

static void unprepare(struct weir_sock *sock)
{
    struct router *router = weir_sock_state(sock);

    weir_news_fini(&router->news);
    weir_routes_fini(&router->routes);
}

/* ---- peers come and go ---- */

static void set_policy(struct weir_sock *sock, struct weir_pipe *pipe)
{
    weir_pipe_set_policy(pipe, sock->options.mandatory ? WEIR_POLICY_BLOCK
                                                       : WEIR_POLICY_DROP_NEW);
}

static int attach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    set_policy(sock, pipe);
    return 0;
}

static void option(struct weir_sock *sock)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    set_policy(sock, WEIR_CONTAINER(node, struct weir_pipe, all));
    weir_sock_wake(sock, WEIR_WAIT_OUT);
}

static void set_id(struct weir_pipe *pipe, const void *id, size_t size)
{
    memmove(pipe->id, id, size);
    pipe->id_size = (uint8_t)size;
}

static void invent_id(struct weir_pipe *pipe)
{
    uint8_t id[1 + sizeof(uuid_t)] = {0};

    uuid_generate(id + 1);
    set_id(pipe, id, sizeof id);
}

static void choose_id(struct weir_pipe *pipe)
{
    const struct weir_routing_id *given =
        &weir_ep_options(pipe->ep)->connect_routing_id;

    if (given->size > 0 && !pipe->ep->binder)
        set_id(pipe, given->data, given->size);
    else if (pipe->id_size == 0)
        invent_id(pipe);
}

/* The first connection of a pipe. */
static int meet(struct weir_pipe *pipe)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int r;

    if (!peer)
        return weir_fail(ENOMEM, "no memory for a peer");
    choose_id(pipe);
    weir_list_init(&peer->refused);
    r = weir_route_init(&peer->route, pipe, pipe->id, pipe->id_size);
    if (r < 0) {
        free(peer);
        return r;
    }
    pipe->pattern = peer;
    return 0;
}

/* A note of the peer's id and an empty frame. */
static struct weir_note *make_note(struct peer *peer)
{
    struct weir_note *note = weir_note_new();
    weir_frame *id, *empty;

    if (!note)
        return NULL;
    if (weir_message_extend(&note->message, &empty) < 0 ||
        weir_message_prepend(&note->message, &id) < 0) {
        weir_note_free(note);
        return NULL;
    }
    weir_frame_share(id, &peer->route.id);
    weir_pipe_sign(peer->route.pipe, id);
    return note;
}

static void tell(struct weir_sock *sock, struct weir_note *note)
{
    struct router *router = weir_sock_state(sock);

    if (!note)
        return;
    weir_news_put(&router->news, note);
    weir_sock_wake(sock, WEIR_WAIT_IN);
}

/* Both notes are made now, when a lack of memory can still refuse the peer;
 * and so can an application that lets too many of them lie. */
static int announce(struct weir_sock *sock, struct peer *peer)
{
    struct router *router = weir_sock_state(sock);
    uint64_t most = (uint64_t)sock->options.recv_mark;
    struct weir_note *note = NULL;

    if (sock->options.notify == WEIR_NOTIFY_OFF)
        return 0;
    if (most > 0 && router->news.count >= most)
        return weir_fail(ENOBUFS, "%llu notices of peers are unread",
                         (unsigned long long)router->news.count);
    if (sock->options.notify & WEIR_NOTIFY_CONNECT && !(note = make_note(peer)))
        return weir_fail(ENOMEM, "no memory for the notice of a peer");
    if (sock->options.notify & WEIR_NOTIFY_DISCONNECT &&
        !(peer->farewell = make_note(peer))) {
        weir_note_free(note);
        return weir_fail(ENOMEM, "no memory for the notice of a peer");
    }
    tell(sock, note);
    return 0;
}

static int up(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct router *router = weir_sock_state(sock);
    struct peer *peer;
    int r = pipe->pattern ? 0 : meet(pipe);

    if (r < 0)
        return r;
    peer = pipe->pattern;
    set_id(pipe, weir_frame_octets(&peer->route.id),
           weir_frame_length(&peer->route.id));
    r = weir_routes_list(&router->routes, &peer->route);
    if (r >= 0)
        r = announce(sock, peer);
    if (r < 0) {
        weir_routes_unlist(&router->routes, &peer->route);
        return r;
    }
    weir_probe_send(pipe);
    return weir_fairqueue_begin(sock, pipe);
}

/* The notice comes behind what the peer has left. */
static void say_farewell(struct weir_sock *sock, struct peer *peer)
{
    struct weir_note *note = peer->farewell;

    peer->farewell = NULL;
    tell(sock, note);
}

static void down(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct router *router = weir_sock_state(sock);
    struct peer *peer = pipe->pattern;

    if (weir_pipe_lasts(pipe)) {
        say_farewell(sock, peer);
        return;
    }
    weir_routes_unlist(&router->routes, &peer->route);
    weir_sock_wake(sock, WEIR_WAIT_OUT);
}

static void detach(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct router *router = weir_sock_state(sock);
    struct peer *peer = pipe->pattern;

    weir_fairqueue_remove(sock, pipe);
    if (!peer)
        return;
    say_farewell(sock, peer);
    weir_list_remove(&peer->refused);
    weir_route_fini(&peer->route, &router->routes);
    free(peer);
    pipe->pattern = NULL;
}

/* ---- sending ---- */

static int drop_unroutable(struct weir_sock *sock, enum weir_drop reason)
{
    sock->gone.accepted++;
    sock->gone.send_dropped[reason]++;
    return 0;
}

static int unknown(struct weir_sock *sock, weir_frame *id)
{
    char text[80];

    if (!sock->options.mandatory)
        return drop_unroutable(sock, WEIR_DROP_NO_ROUTE);
    return weir_fail(EHOSTUNREACH, "no peer has the routing id %s",
                     weir_routes_text(id, text, sizeof text));
}

static void refuse(struct router *router, struct weir_route *route)
{
    struct peer *peer = WEIR_CONTAINER(route, struct peer, route);

    weir_list_remove(&peer->refused);
    weir_list_append(&router->refused, &peer->refused);
}

static void forget_refusals(struct router *router)
{
    while (weir_list_pop(&router->refused))
        ;
}

static int give(struct weir_sock *sock, weir_message *message)
{
    struct router *router = weir_sock_state(sock);
    struct weir_route *route =
        weir_routes_find(&router->routes, &message->first);
    int r;

    if (!route)
        return unknown(sock, &message->first);
    if (message->count < 2)
        return drop_unroutable(sock, WEIR_DROP_MALFORMED);
    r = weir_pipe_put(route->pipe, NULL, 0, message, 1);
    if (r == -EAGAIN)
        refuse(router, route);
    else if (r >= 0)
        forget_refusals(router);
    return r;
}

/* Would the send that was refused be refused again? */
static bool still_refused(const struct peer *peer)
{
    const struct weir_pipe *pipe = peer->route.pipe;

    return peer->route.listed && pipe->policy == WEIR_POLICY_BLOCK &&
           pipe->out && weir_queue_writer_waits(pipe->out);
}

/* Is anybody whom a send was to wait for still at its mark? */
static bool has_refused(struct router *router)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &router->refused)
    {
        if (still_refused(WEIR_CONTAINER(node, struct peer, refused)))
            return true;
        weir_list_remove(node);
    }
    return false;
}

/* Whether one send would wait is known only when its id is; so this says
 * whether some would not.  But one that was refused is expected to be tried
 * again: until it can go, or another goes, the answer is no, or who asks and
 * sends in turn would go round and round. */
static bool can_give(struct weir_sock *sock)
{
    struct weir_list *node, *after;
    bool full = false;

    if (has_refused(weir_sock_state(sock)))
        return false;
    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);
        struct peer *peer = pipe->pattern;

        if (!peer || !peer->route.listed)
            continue;
        if (weir_pipe_can_put(pipe))
            return true;
        full = true;
    }
    return !full;
}

/* ---- receiving ---- */

static int take_from(struct weir_pipe *pipe, weir_message *message)
{
    struct peer *peer = pipe->pattern;
    weir_frame *id;
    bool command;

    if (weir_message_extend(message, &id) < 0)
        return -ENOMEM;
    weir_frame_share(id, &peer->route.id);
    weir_pipe_sign(pipe, id);
    return weir_pipe_take(pipe, message, &command);
}

/* Looking at the pipes may let one go, which makes a notice. */
static int take(struct weir_sock *sock, weir_message *message)
{
    struct router *router = weir_sock_state(sock);
    struct weir_pipe *pipe;

    if (weir_news_take(&router->news, message))
        return 1;
    pipe = weir_fairqueue_message(sock);
    if (pipe)
        return take_from(pipe, message);
    return weir_news_take(&router->news, message) ? 1 : -EAGAIN;
}

static bool can_take(struct weir_sock *sock)
{
    struct router *router = weir_sock_state(sock);

    if (router->news.count == 0 && weir_fairqueue_message(sock) != NULL)
        return true;
    return router->news.count > 0;
}

const struct weir_pattern_ops weir_pattern_router = {
    .name = "ROUTER",
    .type = WEIR_ROUTER,
    .abilities = WEIR_PATTERN_SENDS | WEIR_PATTERN_RECEIVES |
                 WEIR_PATTERN_LATE_QUEUE | WEIR_PATTERN_IDENTITY,
    .policy = WEIR_POLICY_DROP_NEW,
    .state_size = sizeof(struct router),
    .open = prepare,
    .close = unprepare,
    .attach = attach,
    .up = up,
    .down = down,
    .detach = detach,
    .readable = weir_fairqueue_add,
    .send = give,
    .recv = take,
    .can_send = can_give,
    .can_recv = can_take,
    .option = option,
};
