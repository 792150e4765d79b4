/*
 * link_messages.c - see link_messages.h.
 */
#include "config.h"

#include "link_messages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "endpoint.h"
#include "frame.h"
#include "handshake.h"
#include "message.h"
#include "peer_info.h"
#include "pipe.h"
#include "socket.h"
#include "spill.h"
#include "zmtp.h"

enum { SOURCES_MAX = 1024 }; /* that are in the middle of a message */

/* Who sends to us, while it is in the middle of a message. */
struct source {
    struct weir_list list; /* messages->sources, oldest first */
    uint64_t id;
    weir_message message; /* what has come of it */
    size_t octets;        /* that it will take in the queue */
    bool lost;            /* the rest of it is thrown away */
};

struct weir_messages {
    struct weir_link *link;
    const weir_link_ops *ops;
    void *self;
    uint32_t flags; /* WEIR_PEER_* */
    struct weir_task turn;
    struct weir_list sources;
    uint32_t n_sources;
};

/* Not being taken apart. */
static bool usable(const struct weir_link *link)
{
    return link->messages && !link->failed;
}

/* ---- sending ---- */

static uint32_t view_flags(unsigned flags)
{
    return (flags & WEIR_FRAME_MORE ? (uint32_t)WEIR_VIEW_MORE : 0) |
           (flags & WEIR_FRAME_COMMAND ? (uint32_t)WEIR_VIEW_COMMAND : 0);
}

int weir_messages_peek(weir_link *link, weir_view *out, int max)
{
    struct weir_queue_found found;
    struct weir_queue_walk walk;
    int n = 0, whole = 0;

    if (!usable(link) || !weir_queue_walk(weir_link_pipe(link)->out, &walk))
        return 0;
    while (n < max && weir_queue_walk_on(&walk, &found)) {
        out[n++] = (weir_view){.data = (void *)(uintptr_t)found.data,
                               .len = found.size,
                               .flags = view_flags(found.flags)};
        if (!(found.flags & WEIR_FRAME_MORE))
            whole = n;
    }
    return whole ? whole : n;
}

/* Nothing is left of what was to be sent: somebody may wait for that. */
static void drained(struct weir_sock *sock)
{
    weir_sock_lock(sock);
    weir_sock_drained(sock);
    weir_sock_unlock(sock);
}

static void count(_Atomic uint64_t *counter, size_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void weir_messages_done(weir_link *link, int n)
{
    struct weir_queue *queue = weir_link_pipe(link)->out;
    struct weir_queue_found found;
    struct weir_queue_walk walk;
    size_t octets = 0;

    if (!usable(link) || !weir_queue_walk(queue, &walk))
        return;
    while (n-- > 0 && weir_queue_walk_on(&walk, &found))
        octets += found.octets;
    (void)weir_queue_wrote(queue, octets, &walk.at);
    (void)weir_queue_midway(queue); /* makes its count exact */
    count(&link->octets_out, octets);
    if (!weir_queue_ready(queue))
        drained(weir_link_pipe(link)->sock);
}

/* Nobody hears us at the other end.  Subscriptions are not needed there;
 * messages have nowhere to go.  Lock held. */
static void discard(struct weir_pipe *pipe)
{
    struct weir_queue_found found;
    struct weir_queue_walk walk;

    while (weir_queue_walk(pipe->out, &walk) &&
           weir_queue_walk_on(&walk, &found)) {
        if (found.flags & WEIR_FRAME_COMMAND)
            (void)weir_queue_wrote(pipe->out, found.octets, &walk.at);
        else if (weir_queue_skip(pipe->out))
            pipe->tally.send_dropped[WEIR_DROP_NO_ROUTE]++;
    }
    weir_sock_drained(pipe->sock);
}

static void send_or_discard(struct weir_messages *messages)
{
    struct weir_pipe *pipe = weir_link_pipe(messages->link);

    if (!weir_queue_ready(pipe->out))
        return;
    if (!(messages->flags & WEIR_PEER_RECV_ONLY)) {
        messages->ops->send_ready(messages->self);
        return;
    }
    weir_sock_lock(pipe->sock);
    discard(pipe);
    weir_sock_unlock(pipe->sock);
}

/* ---- receiving ---- */

static void report_gap(struct weir_link *link, uint64_t units, int code,
                       const char *reason)
{
    struct weir_pipe *pipe = weir_link_pipe(link);

    weir_ep_event(pipe->ep, WEIR_EVENT_GAP, weir_link_peer(link), pipe->peer_id,
                  units, code, reason);
}

static struct source *find_source(struct weir_messages *messages, uint64_t id)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &messages->sources)
    {
        struct source *source = WEIR_CONTAINER(node, struct source, list);

        if (source->id == id)
            return source;
    }
    return NULL;
}

static void forget_source(struct weir_messages *messages, struct source *source)
{
    weir_list_remove(&source->list);
    weir_message_fini(&source->message);
    free(source);
    messages->n_sources--;
}

/* Strangers may begin any number of messages and never end them. */
static void limit_sources(struct weir_messages *messages)
{
    struct weir_list *oldest = weir_list_first(&messages->sources);

    if (messages->n_sources < SOURCES_MAX)
        return;
    forget_source(messages, WEIR_CONTAINER(oldest, struct source, list));
    report_gap(messages->link, 1, ENOBUFS,
               "too many sources are in the middle of a message");
}

static struct source *new_source(struct weir_messages *messages, uint64_t id)
{
    struct source *source;

    limit_sources(messages);
    source = calloc(1, sizeof(*source));
    if (!source)
        return NULL;
    source->id = id;
    weir_message_init(&source->message);
    weir_list_append(&messages->sources, &source->list);
    messages->n_sources++;
    return source;
}

/* Part of a message, or all of it, as the plugin pushed it. */
struct parts {
    uint64_t id;
    struct source *source; /* has the parts before these; may be NULL */
    weir_view *views;
    int n;
    bool last; /* the message ends with them */
};

static struct parts first_parts(struct weir_messages *messages, uint64_t id,
                                weir_view *views, int n)
{
    struct parts parts = {.id = id, .views = views};

    parts.source = find_source(messages, id);
    while (!parts.last && parts.n < n)
        parts.last = !(views[parts.n++].flags & WEIR_VIEW_MORE);
    return parts;
}

static void free_views(weir_view *views, int n)
{
    for (int i = 0; i < n; i++) {
        if (views[i].owner)
            weir_chunk_unref(views[i].owner, 1);
        views[i].owner = NULL;
    }
}

static void skip(struct weir_messages *messages, struct parts *parts)
{
    if (!parts->source && !parts->last)
        parts->source = new_source(messages, parts->id);
    if (parts->source && parts->last)
        forget_source(messages, parts->source);
    else if (parts->source) {
        weir_message_fini(&parts->source->message);
        parts->source->lost = true;
    }
}

/* The message cannot be received; the calling thread's sentence says why.  A
 * peer is disconnected for that, but not who sends to many. */
static void lose(struct weir_messages *messages, struct parts *parts, int code)
{
    if (messages->flags & WEIR_PEER_RECV_ONLY) {
        skip(messages, parts);
        report_gap(messages->link, 1, code, weir_error_text());
    } else {
        weir_link_fail(messages->link, code);
    }
}

static int check_limits(const struct weir_link *link, const struct parts *parts)
{
    uint64_t most = link->parser.max_frame;
    uint64_t frames = (uint64_t)parts->n;

    if (parts->source)
        frames += parts->source->message.count;
    if (link->parser.max_frames && frames > link->parser.max_frames)
        return weir_fail(EMSGSIZE, "%s sent a message of %llu frames or more",
                         weir_link_peer(link), (unsigned long long)frames);
    for (int i = 0; most && i < parts->n; i++)
        if (parts->views[i].len > most)
            return weir_fail(EMSGSIZE, "%s sent a frame of %zu octets",
                             weir_link_peer(link), parts->views[i].len);
    return 0;
}

static size_t octets_of(const struct parts *parts)
{
    size_t octets = 0;

    for (int i = 0; i < parts->n; i++)
        octets += weir_queue_octets(parts->views[i].len);
    return octets;
}

/* The view's memory becomes the frame's, or a copy does. */
static int to_frame(weir_frame *frame, weir_view *view)
{
    struct weir_frame_view *inside = weir_frame_view(frame);

    if (!view->owner || view->len <= WEIR_FRAME_INLINE_MAX)
        return weir_frame_fill(frame, view->data, view->len);
    inside->kind = WEIR_FRAME_SLICE;
    inside->slice.data = view->data;
    inside->slice.size = view->len;
    inside->slice.chunk = view->owner;
    view->owner = NULL;
    return 0;
}

/* The message goes on later. */
static int keep(struct weir_messages *messages, struct parts *parts)
{
    struct source *source = parts->source;
    int r = 0;

    if (!source)
        source = parts->source = new_source(messages, parts->id);
    if (!source)
        return weir_fail(ENOMEM, "no memory for the beginning of a message");
    source->octets += octets_of(parts);
    for (int i = 0; r >= 0 && i < parts->n; i++) {
        weir_frame *frame;

        r = weir_message_extend(&source->message, &frame);
        if (r >= 0)
            r = to_frame(frame, &parts->views[i]);
    }
    return r;
}

static int put_view(struct weir_queue *queue, const weir_view *view)
{
    unsigned flags = view->flags & WEIR_VIEW_MORE ? WEIR_FRAME_MORE : 0;

    if (view->owner)
        return weir_queue_frame_owned(queue, view->owner, view->data, view->len,
                                      flags);
    return weir_queue_frame(queue, view->data, view->len, flags);
}

static int put_all(struct weir_queue *queue, const struct parts *parts)
{
    uint32_t before = parts->source ? parts->source->message.count : 0;
    int r = 0;

    weir_queue_begin(queue);
    for (uint32_t i = 0; r >= 0 && i < before; i++)
        r = weir_queue_frame_put(queue,
                                 weir_message_frame(&parts->source->message, i),
                                 WEIR_FRAME_MORE);
    for (int i = 0; r >= 0 && i < parts->n; i++)
        r = put_view(queue, &parts->views[i]);
    if (r < 0)
        weir_queue_abort(queue);
    else
        weir_queue_end_put(queue, 1);
    return r;
}

/* Is there room for it?  Otherwise we are told when there is. */
static bool room_for(struct weir_link *link, size_t octets)
{
    struct weir_queue *queue = weir_link_pipe(link)->in;

    if (weir_queue_room(queue, octets) || !weir_queue_arm_writer(queue))
        return true;
    atomic_store(&link->paused, true);
    return false;
}

static int put_or_refuse(struct weir_pipe *pipe, const struct parts *parts,
                         size_t octets)
{
    int r = 0;

    if (pipe->in_policy == WEIR_POLICY_DROP_NEW &&
        !weir_queue_room(pipe->in, octets))
        weir_queue_refuse(pipe->in);
    else
        r = put_all(pipe->in, parts);
    weir_pipe_came(pipe);
    return r;
}

/* The message is complete.  -EAGAIN: there is no room, nothing was taken. */
static int receive(struct weir_messages *messages, struct parts *parts)
{
    struct weir_link *link = messages->link;
    struct weir_pipe *pipe = weir_link_pipe(link);
    size_t octets = octets_of(parts);
    int r;

    if (parts->source)
        octets += parts->source->octets;
    if (pipe->in_policy == WEIR_POLICY_BLOCK && !room_for(link, octets))
        return -EAGAIN;
    r = put_or_refuse(pipe, parts, octets);
    if (r < 0)
        return r;
    count(&link->octets_in, octets);
    if (parts->source)
        forget_source(messages, parts->source);
    return 0;
}

/* Subscriptions concern publishers; there is no other command between peers
 * without a handshake. */
static int on_command(struct weir_link *link, const weir_view *view)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    struct weir_zmtp_command command;
    int r;

    if (weir_zmtp_get_command(view->data, view->len, &command) < 0 ||
        (command.kind != WEIR_ZMTP_IS_SUBSCRIBE &&
         command.kind != WEIR_ZMTP_IS_CANCEL) ||
        !weir_sock_publishes(pipe->sock))
        return 0;
    if (!room_for(link, weir_queue_octets(view->len)))
        return -EAGAIN;
    weir_queue_begin(pipe->in);
    r = weir_queue_frame(pipe->in, view->data, view->len, WEIR_FRAME_COMMAND);
    if (r < 0)
        weir_queue_abort(pipe->in);
    else
        weir_queue_commit(pipe->in);
    return r;
}

/* Take what belongs to one message.  Returns the views taken; 0: no room. */
static int push_message(struct weir_messages *messages, struct parts *parts)
{
    int r;

    if (parts->source && parts->source->lost) {
        if (parts->last)
            forget_source(messages, parts->source);
        free_views(parts->views, parts->n);
        return parts->n;
    }
    r = check_limits(messages->link, parts);
    if (r >= 0)
        r = parts->last ? receive(messages, parts) : keep(messages, parts);
    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        lose(messages, parts, -r);
    free_views(parts->views, parts->n);
    return parts->n;
}

static int push_command(struct weir_link *link, weir_view *view)
{
    int r = on_command(link, view);

    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        weir_link_fail(link, -r);
    free_views(view, 1);
    return 1;
}

int weir_messages_push(weir_link *link, uint64_t id, weir_view *views, int n)
{
    int taken = 0, some = 1;

    while (taken < n && some > 0 && usable(link)) {
        weir_view *next = &views[taken];
        struct parts parts;

        if (next->flags & WEIR_VIEW_COMMAND) {
            some = push_command(link, next);
        } else {
            parts = first_parts(link->messages, id, next, n - taken);
            some = push_message(link->messages, &parts);
        }
        taken += some;
    }
    return taken;
}

void weir_messages_gap(weir_link *link, uint64_t id, uint64_t units)
{
    struct source *source;
    char reason[80];

    if (!usable(link))
        return;
    source = find_source(link->messages, id);
    if (source)
        forget_source(link->messages, source);
    snprintf(reason, sizeof(reason),
             "%llu messages or packets of source %016llx are lost",
             (unsigned long long)units, (unsigned long long)id);
    report_gap(link, units, 0, reason);
}

/* ---- turns ---- */

/* The application has read; if it was enough, the plugin goes on. */
static void resume(struct weir_messages *messages)
{
    struct weir_link *link = messages->link;

    if (!atomic_load(&link->paused) ||
        weir_queue_arm_writer(weir_link_pipe(link)->in))
        return;
    atomic_store(&link->paused, false);
    messages->ops->recv_resume(messages->self);
}

static void on_turn(struct weir_task *task)
{
    struct weir_messages *messages =
        WEIR_CONTAINER(task, struct weir_messages, turn);
    struct weir_link *link = messages->link;

    (void)weir_link_asked(link);
    if (weir_link_pipe(link)->in->spill)
        (void)weir_spill_news(weir_link_pipe(link)->in);
    if (usable(link))
        resume(messages);
    if (usable(link))
        send_or_discard(messages);
}

/* ---- endings ---- */

void weir_messages_down(weir_link *link, const weir_error *error)
{
    const char *reason = error && error->text && error->text[0]
                             ? error->text
                             : "the transport gives no reason";
    int code = error && error->code > 0 ? error->code : ECONNRESET;

    if (!usable(link))
        return;
    weir_fail(code, "%s", reason);
    weir_link_fail(link, code);
}

bool weir_messages_quit(struct weir_link *link)
{
    atomic_store(&link->turn, NULL);
    return !atomic_load(&link->messages->turn.posted);
}

void weir_messages_close(struct weir_link *link)
{
    struct weir_messages *messages = link->messages;
    struct weir_list *node;

    messages->ops->close(messages->self);
    while ((node = weir_list_first(&messages->sources)) != NULL)
        forget_source(messages, WEIR_CONTAINER(node, struct source, list));
    link->messages = NULL;
    free(messages);
}

/* ---- beginnings ---- */

static struct weir_messages *new_messages(const weir_link_ops *ops, void *self,
                                          const weir_peer *peer)
{
    struct weir_messages *messages = calloc(1, sizeof(*messages));

    if (!messages)
        return NULL;
    messages->ops = ops;
    messages->self = self;
    messages->flags = peer->flags;
    messages->turn.run = on_turn;
    weir_list_init(&messages->sources);
    return messages;
}

static struct weir_peer_info *new_info(const weir_peer *peer)
{
    size_t size = weir_handshake_encode_peer(NULL, peer);
    uint8_t *data = malloc(size + 1);
    struct weir_peer_info *info = NULL;

    if (data) {
        weir_handshake_encode_peer(data, peer);
        info = weir_peer_info_new(data, size);
    }
    free(data);
    return info;
}

static void know_peer(struct weir_pipe *pipe, struct weir_peer_info *info)
{
    weir_pipe_set_info(pipe, info);
    pipe->minor = 1;
    pipe->id_size = 0;
    pipe->peer_id = ++pipe->sock->peer_ids;
}

/* Who cannot be heard cannot subscribe, and gets everything: as if it had
 * subscribed to that. */
static int subscribe_for_peer(struct weir_pipe *pipe)
{
    uint8_t body[32];
    size_t size = weir_zmtp_subscription_size(WEIR_ZMTP_3_1, true, 0);
    unsigned flags;
    int r;

    if (!weir_sock_publishes(pipe->sock) || size > sizeof(body))
        return 0;
    flags = weir_zmtp_put_subscription(body, WEIR_ZMTP_3_1, true, "", 0);
    weir_queue_begin(pipe->in);
    r = weir_queue_frame(pipe->in, body, size, flags);
    if (r < 0)
        weir_queue_abort(pipe->in);
    else
        weir_queue_commit(pipe->in);
    return r;
}

/* The pattern takes it; lock and driver word are held. */
static int join(struct weir_pipe *pipe, struct weir_messages *messages)
{
    struct weir_sock *sock = pipe->sock;
    int r = weir_sock_up(sock, pipe);

    if (r >= 0 && messages->flags & WEIR_PEER_SEND_ONLY)
        r = subscribe_for_peer(pipe);
    if (r < 0) {
        weir_sock_down(sock, pipe);
        return r;
    }
    messages->link = &pipe->link;
    weir_link_start_messages(&pipe->link, messages, &messages->turn);
    sock->n_links++;
    weir_sock_wake(sock, WEIR_WAIT_OUT);
    return 0;
}

/* Lock held.  *out gets the pipe on success. */
static int connect_pipe(struct weir_ep *ep, struct weir_messages *messages,
                        struct weir_peer_info *info, struct weir_pipe **out)
{
    struct weir_pipe *pipe = weir_handshake_pipe(ep);
    int r;

    if (!pipe) {
        weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
        return weir_fail(ENOMEM, "no memory for a peer");
    }
    know_peer(pipe, info);
    r = weir_pipe_name_swap(pipe);
    if (r >= 0)
        r = join(pipe, messages);
    if (r >= 0)
        *out = pipe;
    else if (ep->pipe == pipe)
        (void)weir_link_let_go(&pipe->link);
    else
        weir_sock_bury(ep->sock, pipe);
    return r;
}

/* The plugin's object starts; from here on it may push. */
static int attach(struct weir_pipe *pipe)
{
    struct weir_messages *messages = pipe->link.messages;
    char text[192];
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    int r;

    text[0] = '\0';
    r = messages->ops->attach(messages->self, &pipe->link, pipe->sock->reactor,
                              &error);
    if (r < 0) {
        error.code = -r;
        weir_messages_down(&pipe->link, &error);
        return r;
    }
    weir_reactor_post(pipe->sock->reactor, &messages->turn);
    return 0;
}

uint32_t weir_messages_direction(const weir_ep *ep)
{
    if (!(ep->sock->pattern->abilities & WEIR_PATTERN_MULTICAST))
        return 0;
    return weir_sock_publishes(ep->sock) ? WEIR_PEER_SEND_ONLY
                                         : WEIR_PEER_RECV_ONLY;
}

static int check_peer(const weir_ep *ep, const weir_peer *peer)
{
    if (peer && peer->flags & WEIR_PEER_NO_HANDSHAKE)
        return 0;
    return weir_fail(EOPNOTSUPP,
                     "%s: a handshake is not supported on connections in the "
                     "messages shape",
                     ep->url);
}

/* Lock held. */
static void connected(struct weir_pipe *pipe, const weir_peer *peer)
{
    if (peer->remote)
        pipe->link.peer = strdup(peer->remote);
    pipe->ep->retry_ms = 0;
    weir_ep_event(pipe->ep, WEIR_EVENT_CONNECTED, peer->remote, pipe->peer_id,
                  0, 0, "");
}

static int make(weir_ep *ep, const weir_link_ops *ops, void *self,
                const weir_peer *peer, struct weir_pipe **out)
{
    struct weir_messages *messages = new_messages(ops, self, peer);
    struct weir_peer_info *info = messages ? new_info(peer) : NULL;
    int r;

    if (!info) {
        free(messages);
        return weir_fail(ENOMEM, "no memory for a peer");
    }
    weir_sock_lock(ep->sock);
    r = connect_pipe(ep, messages, info, out);
    if (r >= 0)
        connected(*out, peer);
    else
        free(messages);
    weir_sock_unlock(ep->sock);
    return r;
}

/* What is missing in a plugin's table; NULL: nothing. */
static const char *missing_slot(const weir_link_ops *ops)
{
    if (!ops)
        return "table";
    if (!WEIR_HAS(weir_link_ops, ops, attach))
        return "attach";
    if (!WEIR_HAS(weir_link_ops, ops, send_ready))
        return "send_ready";
    if (!WEIR_HAS(weir_link_ops, ops, recv_resume))
        return "recv_resume";
    return WEIR_HAS(weir_link_ops, ops, close) ? NULL : "close";
}

static int refuse_table(struct weir_ep *ep, const weir_link_ops *ops,
                        void *self, const weir_peer *peer, const char *missing)
{
    if (ops && WEIR_HAS(weir_link_ops, ops, close))
        ops->close(self);
    weir_fail(WEIR_EPLUGIN,
              "%s: the plugin's connection has no %s in weir_link_ops", ep->url,
              missing);
    return weir_ep_not_made(ep, peer, WEIR_EPLUGIN);
}

int weir_messages_made_link(weir_ep *ep, const weir_link_ops *ops, void *self,
                            const weir_peer *peer)
{
    const char *missing = missing_slot(ops);
    struct weir_pipe *pipe = NULL;
    int r;

    if (missing)
        return refuse_table(ep, ops, self, peer, missing);
    if (atomic_load(&ep->closing)) {
        ops->close(self);
        return -ECANCELED;
    }
    r = check_peer(ep, peer);
    if (r >= 0)
        r = make(ep, ops, self, peer, &pipe);
    if (r < 0) {
        ops->close(self);
        return weir_ep_not_made(ep, peer, -r);
    }
    return attach(pipe);
}
