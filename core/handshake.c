/*
 * handshake.c - see handshake.h.
 */
#include "config.h"

#include "handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "endpoint.h"
#include "peer_info.h"
#include "pipe.h"
#include "socket.h"

enum { GOODBYE_READS = 8 };

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

static const char *peer_of(const struct weir_handshake *handshake)
{
    return handshake->remote ? handshake->remote : "a peer";
}

static struct weir_reactor *reactor_of(struct weir_handshake *handshake)
{
    return handshake->ep->sock->reactor;
}

/* ---- endings ---- */

static void close_connection(struct weir_handshake *handshake)
{
    weir_owned_remove(handshake->watch.fd,
                      weir_sock_owner(handshake->ep->sock));
    if (handshake->stream)
        handshake->stream->close(handshake->stream_self);
    else if (handshake->watch.fd >= 0)
        close(handshake->watch.fd);
}

static void unwatch(struct weir_handshake *handshake)
{
    if (handshake->watch.fd >= 0)
        weir_watch_remove(reactor_of(handshake), &handshake->watch);
    weir_timer_cancel(reactor_of(handshake), &handshake->deadline);
}

static void destroy(struct weir_handshake *handshake)
{
    struct weir_ep *ep = handshake->ep;

    weir_list_remove(&handshake->in_ep);
    weir_zmtp_fini(&handshake->zmtp);
    free(handshake->remote);
    free(handshake->properties);
    free(handshake->rest);
    free(handshake);
    weir_ep_less_handshakes(ep);
}

void weir_handshake_abandon(struct weir_handshake *handshake)
{
    unwatch(handshake);
    close_connection(handshake);
    destroy(handshake);
}

/* It came to nothing: say so, and let a dialer try again. */
static void refuse(struct weir_handshake *handshake, int code, bool permanent)
{
    struct weir_ep *ep = handshake->ep;
    char reason[192];

    snprintf(reason, sizeof(reason), "%s", weir_error_text());
    weir_sock_lock(ep->sock);
    weir_ep_count_refused(ep, code, reason);
    weir_sock_unlock(ep->sock);
    weir_ep_event(ep, WEIR_EVENT_REFUSED, peer_of(handshake), 0, 0, code,
                  reason);
    weir_handshake_abandon(handshake);
    if (!ep->binder)
        weir_ep_again(ep, permanent, code, reason);
}

static void on_deadline(struct weir_timer *timer)
{
    struct weir_handshake *handshake =
        WEIR_CONTAINER(timer, struct weir_handshake, deadline);

    weir_fail(ETIMEDOUT, "%s has not finished the handshake in %lld ms",
              peer_of(handshake), (long long)handshake->ep->options.handshake);
    refuse(handshake, ETIMEDOUT, false);
}

/* ---- what we know of the peer ---- */

/* One that has no name, or a name that is none, is left out. */
static size_t property(uint8_t *out, const char *name, const void *value,
                       size_t size)
{
    if (!name || !weir_zmtp_is_name(name, strlen(name)))
        return 0;
    if (!out)
        return weir_zmtp_property_size(strlen(name), size);
    return weir_zmtp_put_property(out, name, strlen(name), value, size);
}

size_t weir_handshake_encode_peer(uint8_t *out, const weir_peer *peer)
{
    size_t size = 0;

    for (uint32_t i = 0; i < peer->n_properties; i++)
        size += property(out ? out + size : NULL, peer->properties[i].name,
                         peer->properties[i].value, peer->properties[i].size);
    if (peer->remote)
        size += property(out ? out + size : NULL, "Peer-Address", peer->remote,
                         strlen(peer->remote));
    return size;
}

static int keep_peer(struct weir_handshake *handshake, const weir_peer *peer)
{
    if (!peer)
        return 0;
    handshake->properties_size = weir_handshake_encode_peer(NULL, peer);
    handshake->properties = malloc(handshake->properties_size + 1);
    if (!handshake->properties)
        return weir_fail(ENOMEM, "no memory for a peer's properties");
    weir_handshake_encode_peer(handshake->properties, peer);
    if (peer->remote && !(handshake->remote = strdup(peer->remote)))
        return weir_fail(ENOMEM, "no memory for a peer's address");
    return 0;
}

/* What the transport says goes first: the peer cannot override it. */
static struct weir_peer_info *make_info(struct weir_handshake *handshake)
{
    size_t theirs, all;
    const void *said = weir_zmtp_peer_metadata(&handshake->zmtp, &theirs);
    struct weir_peer_info *info;
    uint8_t *both;

    all = handshake->properties_size + theirs;
    both = malloc(all + 1);
    if (!both)
        return NULL;
    if (handshake->properties_size)
        memcpy(both, handshake->properties, handshake->properties_size);
    if (theirs)
        memcpy(both + handshake->properties_size, said, theirs);
    info = weir_peer_info_new(both, all);
    free(both);
    return info;
}

/* ---- success ---- */

static void know_peer(struct weir_pipe *pipe, struct weir_handshake *handshake,
                      struct weir_peer_info *info)
{
    size_t size;
    const void *id = weir_zmtp_peer_identity(&handshake->zmtp, &size);

    weir_pipe_set_info(pipe, info);
    pipe->minor =
        weir_zmtp_generation(&handshake->zmtp) == WEIR_ZMTP_3_0 ? 0 : 1;
    pipe->id_size = (uint8_t)size;
    if (size)
        memcpy(pipe->id, id, size);
    pipe->peer_id = ++pipe->sock->peer_ids;
}

struct weir_pipe *weir_handshake_pipe(struct weir_ep *ep)
{
    struct weir_pipe *pipe = ep->pipe;
    bool fresh = !pipe;

    if (fresh)
        pipe = weir_pipe_new(ep->sock, ep);
    if (!pipe)
        return NULL;
    if (fresh && weir_sock_add_pipe(ep->sock, pipe) < 0) {
        weir_pipe_free(pipe);
        return NULL;
    }
    if (!weir_link_hold(&pipe->link))
        return NULL; /* cannot be: it has no connection */
    if (!ep->binder)
        ep->pipe = pipe;
    return pipe;
}

/* Both sides are known: the pattern may still refuse.  Lock held. */
static int join(struct weir_handshake *handshake, struct weir_pipe *pipe)
{
    struct weir_sock *sock = pipe->sock;
    int r = weir_sock_up(sock, pipe);

    if (r < 0)
        return r;
    weir_link_start(&pipe->link, handshake);
    sock->n_links++;
    weir_sock_wake(sock, WEIR_WAIT_OUT);
    return 0;
}

/* Lock and driver word held on entry; neither on return. */
static void succeed(struct weir_handshake *handshake, struct weir_pipe *pipe,
                    const char *peer)
{
    struct weir_ep *ep = handshake->ep;
    struct weir_sock *sock = ep->sock;
    uint64_t peer_id = pipe->peer_id;

    ep->retry_ms = 0;
    weir_ep_event(ep, WEIR_EVENT_CONNECTED, peer, peer_id, 0, 0, "");
    if (weir_link_may_hide_input(&pipe->link))
        weir_sock_due(sock, pipe, WEIR_POLLER_IN);
    weir_sock_due(sock, pipe, WEIR_POLLER_OUT);
    weir_sock_let_go(sock, pipe);
    weir_turn_drive(sock);
    weir_sock_unlock(sock);
    destroy(handshake);
}

/* What happens to the pipe may have more to say, so the sentence is kept. */
static void fail(struct weir_handshake *handshake, struct weir_pipe *pipe,
                 int code)
{
    struct weir_sock *sock = handshake->ep->sock;
    char reason[192];

    snprintf(reason, sizeof(reason), "%s", weir_error_text());
    if (pipe && handshake->ep->pipe == pipe)
        (void)weir_link_let_go(&pipe->link);
    else if (pipe)
        weir_sock_bury(sock, pipe);
    weir_sock_unlock(sock);
    weir_fail(code, "%s", reason);
    refuse(handshake, code, code != ENOMEM);
}

static void promote(struct weir_handshake *handshake)
{
    struct weir_ep *ep = handshake->ep;
    struct weir_peer_info *info = make_info(handshake);
    struct weir_pipe *pipe = NULL;
    char peer[128];
    int r = -ENOMEM;

    unwatch(handshake);
    snprintf(peer, sizeof(peer), "%s", peer_of(handshake));
    weir_sock_lock(ep->sock);
    if (info)
        pipe = weir_handshake_pipe(ep);
    if (pipe) {
        know_peer(pipe, handshake, info);
        r = weir_pipe_name_swap(pipe);
        if (r >= 0)
            r = join(handshake, pipe);
    } else if (info) {
        weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
    }
    if (!pipe)
        weir_fail(ENOMEM, "no memory for a peer");
    if (r >= 0)
        succeed(handshake, pipe, peer);
    else
        fail(handshake, pipe, -r);
}

/* ---- octets to and fro ---- */

static ssize_t put(struct weir_handshake *handshake, const void *data,
                   size_t size)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    ssize_t r;

    if (handshake->stream)
        return handshake->stream->writev(handshake->stream_self, &part, 1);
    do
        r = send(handshake->watch.fd, data, size, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static ssize_t get(struct weir_handshake *handshake, void *data, size_t size)
{
    struct iovec part = {data, size};
    ssize_t r;

    if (handshake->stream)
        return handshake->stream->readv(handshake->stream_self, &part, 1);
    do
        r = recv(handshake->watch.fd, data, size, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int explain(const struct weir_handshake *handshake, int code,
                   const char *doing)
{
    return weir_link_error(handshake->stream, handshake->stream_self, code,
                           doing, peer_of(handshake));
}

/* 1: all is written; 0: the kernel takes no more now; negative: lost. */
static int write_out(struct weir_handshake *handshake)
{
    const void *data;
    size_t size;

    while (weir_zmtp_output(&handshake->zmtp, &data, &size)) {
        ssize_t r = put(handshake, data, size);

        if (r == -EAGAIN || r == -EWOULDBLOCK)
            return 0;
        if (r < 0)
            return explain(handshake, (int)-r, "writing to");
        weir_zmtp_output_done(&handshake->zmtp, (size_t)r);
    }
    return 1;
}

static int keep_rest(struct weir_handshake *handshake, const uint8_t *data,
                     size_t size)
{
    if (size == 0)
        return 0;
    handshake->rest = malloc(size);
    if (!handshake->rest)
        return weir_fail(ENOMEM, "no memory for what %s sent",
                         peer_of(handshake));
    memcpy(handshake->rest, data, size);
    handshake->rest_size = size;
    return 0;
}

/* Read once.  1: something came; 0: nothing now; negative: lost or bad. */
static int read_in(struct weir_handshake *handshake)
{
    uint8_t data[WEIR_HANDSHAKE_READ];
    ssize_t used, r = get(handshake, data, sizeof(data));

    if (r == -EAGAIN || r == -EWOULDBLOCK)
        return 0;
    if (r == 0)
        return weir_fail(ECONNRESET, "%s closed before the handshake ended",
                         peer_of(handshake));
    if (r < 0)
        return explain(handshake, (int)-r, "reading from");
    used = weir_zmtp_input(&handshake->zmtp, data, (size_t)r);
    if (used < 0)
        return (int)used;
    if (weir_zmtp_phase(&handshake->zmtp) != WEIR_ZMTP_READY)
        return 1;
    r = keep_rest(handshake, data + used, (size_t)(r - used));
    return r < 0 ? (int)r : 1;
}

static bool over(struct weir_handshake *handshake)
{
    return weir_zmtp_phase(&handshake->zmtp) == WEIR_ZMTP_READY;
}

/* Our last words, without a guarantee.  What the peer sent and we have not
 * read would make the kernel answer with a reset, and take them back. */
static void say_goodbye(struct weir_handshake *handshake)
{
    uint8_t waste[WEIR_HANDSHAKE_READ];

    if (write_out(handshake) < 0 || handshake->stream)
        return;
    (void)shutdown(handshake->watch.fd, SHUT_WR);
    for (int i = 0; i < GOODBYE_READS; i++)
        if (get(handshake, waste, sizeof(waste)) <= 0)
            return;
}

static void end_badly(struct weir_handshake *handshake, int r)
{
    bool permanent = weir_zmtp_phase(&handshake->zmtp) == WEIR_ZMTP_FAILED &&
                     weir_zmtp_permanent(&handshake->zmtp);
    char reason[192];

    snprintf(reason, sizeof(reason), "%s", weir_error_text());
    if (weir_zmtp_phase(&handshake->zmtp) == WEIR_ZMTP_FAILED)
        say_goodbye(handshake);
    weir_fail(-r, "%s", reason);
    refuse(handshake, -r, permanent);
}

static void want(struct weir_handshake *handshake, bool writing)
{
    unsigned events =
        WEIR_POLLER_IN | (writing ? (unsigned)WEIR_POLLER_OUT : 0u);

    if (over(handshake))
        events &= ~(unsigned)WEIR_POLLER_IN; /* that is the link's to read */
    if (handshake->stream &&
        WEIR_HAS(weir_stream_ops, handshake->stream, interest))
        events = handshake->stream->interest(handshake->stream_self, events);
    (void)weir_watch_change(reactor_of(handshake), &handshake->watch, events);
}

static void go_on(struct weir_handshake *handshake)
{
    int r = 1, w = write_out(handshake);

    while (w >= 0 && r > 0 && !over(handshake)) {
        r = read_in(handshake);
        w = r < 0 ? r : write_out(handshake);
    }
    if (w < 0)
        end_badly(handshake, w);
    else if (over(handshake) && w > 0)
        promote(handshake);
    else
        want(handshake, w == 0);
}

static void on_ready(struct weir_watch *watch, unsigned events)
{
    (void)events;
    go_on(WEIR_CONTAINER(watch, struct weir_handshake, watch));
}

/* ---- beginning ---- */

static int encode_property(struct weir_handshake *handshake, uint8_t *out,
                           size_t room)
{
    const char *cursor = handshake->ep->options.property;
    struct weir_option_property one;
    size_t size = 0;

    while (weir_options_property(&cursor, &one)) {
        if (size + weir_zmtp_property_size(one.name_size, one.value_size) >
            room)
            return weir_fail(EMSGSIZE, "the option property is too long");
        size += weir_zmtp_put_property(out + size, one.name, one.name_size,
                                       one.value, one.value_size);
    }
    return (int)size;
}

static int start_codec(struct weir_handshake *handshake)
{
    const struct weir_options *options = &handshake->ep->options;
    struct weir_zmtp_config config = {
        .socket_type = handshake->ep->sock->pattern->name,
        .identity = options->routing_id.data,
        .identity_len = options->routing_id.size,
        .max_frame = (uint64_t)options->max_message,
        .initiator = !handshake->ep->binder,
    };
    int size =
        encode_property(handshake, handshake->ours, sizeof(handshake->ours));

    if (size < 0)
        return size;
    config.properties = handshake->ours;
    config.properties_len = (size_t)size;
    return weir_zmtp_init(&handshake->zmtp, &config);
}

static int start_turns(struct weir_handshake *handshake)
{
    int64_t ms = handshake->ep->options.handshake;
    int r;

    handshake->watch.ready = on_ready;
    handshake->deadline.fire = on_deadline;
    r = weir_watch_add(reactor_of(handshake), &handshake->watch,
                       WEIR_POLLER_IN);
    if (r >= 0 && ms > 0)
        weir_timer_arm(reactor_of(handshake), &handshake->deadline,
                       weir_now() + ms * 1000000);
    return r;
}

int weir_handshake_begin(struct weir_ep *ep, int fd,
                         const weir_stream_ops *stream, void *self,
                         const weir_peer *peer)
{
    struct weir_handshake *handshake = calloc(1, sizeof(*handshake));
    int r;

    if (!handshake) {
        if (stream)
            stream->close(self);
        else
            close(fd);
        weir_fail(ENOMEM, "no memory for a connection");
        if (!ep->binder)
            weir_ep_again(ep, false, ENOMEM, weir_error_text());
        return -ENOMEM;
    }
    handshake->ep = ep;
    handshake->watch.fd = fd;
    handshake->stream = stream;
    handshake->stream_self = self;
    weir_owned_add(fd, weir_sock_owner(ep->sock));
    weir_list_append(&ep->handshakes, &handshake->in_ep);
    ep->n_handshakes++;
    r = keep_peer(handshake, peer);
    if (r >= 0)
        r = start_codec(handshake);
    if (r >= 0)
        r = start_turns(handshake);
    if (r < 0) {
        refuse(handshake, -r, false);
        return r;
    }
    weir_ep_event(ep, WEIR_EVENT_OPENED, peer_of(handshake), 0, 0, 0, "");
    go_on(handshake);
    return 0;
}
