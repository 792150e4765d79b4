/*
 * handshake.c - see handshake.h.
 */
#include "config.h"

#include "handshake.h"

#include <errno.h>
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

    strncpy(reason, weir_error_text(), sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    weir_sock_lock(ep->sock);
    ep->gone.refused++;
    ep->sock->gone.refused++;
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
              peer_of(handshake),
              (long long)handshake->ep->options.handshake);
    refuse(handshake, ETIMEDOUT, false);
}

/* ---- what we know of the peer ---- */

static size_t property(uint8_t *out, const char *name, const void *value,
                       size_t size)
{
    if (!out)
        return weir_zmtp_property_size(strlen(name), size);
    return weir_zmtp_put_property(out, name, strlen(name), value, size);
}

/* What the transport says goes first: the peer cannot override it. */
static size_t encode_peer(uint8_t *out, const weir_peer *peer)
{
    size_t size = 0;

    for (uint32_t i = 0; i < peer->n_properties; i++)
        size += property(out ? out + size : NULL, peer->properties[i].name,
                         peer->properties[i].value, peer->properties[i].size);
    if (peer->remote)
        size += property(out ? out + size : NULL, "Peer-Address",
                         peer->remote, strlen(peer->remote));
    return size;
}

static int keep_peer(struct weir_handshake *handshake, const weir_peer *peer)
{
    if (!peer)
        return 0;
    handshake->properties_size = encode_peer(NULL, peer);
    handshake->properties = malloc(handshake->properties_size + 1);
    if (!handshake->properties)
        return -ENOMEM;
    encode_peer(handshake->properties, peer);
    if (peer->remote && !(handshake->remote = strdup(peer->remote)))
        return -ENOMEM;
    return 0;
}

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

    if (pipe->info)
        weir_peer_info_unref(pipe->info, pipe->info_refs);
    pipe->info = info;
    pipe->info_refs = WEIR_PEER_INFO_HOLD;
    pipe->minor =
        weir_zmtp_generation(&handshake->zmtp) == WEIR_ZMTP_3_0 ? 0 : 1;
    pipe->id_size = (uint8_t)size;
    if (size)
        memcpy(pipe->id, id, size);
    pipe->peer_id = ++pipe->sock->peer_ids;
}

/* The dialer's pipe, or a new one; its driver word is held.  Lock held. */
static struct weir_pipe *get_pipe(struct weir_ep *ep)
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

static int join(struct weir_handshake *handshake, struct weir_pipe *pipe)
{
    struct weir_sock *sock = pipe->sock;
    int r;

    sock->n_links++;
    r = weir_sock_up(sock, pipe);
    if (r >= 0)
        r = weir_link_start(&pipe->link, handshake);
    if (r >= 0) {
        note_started(sock, pipe);
        return 0;
    }
    sock->n_links--;
    return r;
}

static void promote(struct weir_handshake *handshake)
{
    struct weir_ep *ep = handshake->ep;
    struct weir_sock *sock = ep->sock;
    struct weir_peer_info *info = make_info(handshake);
    struct weir_pipe *pipe = NULL;
    char peer[128];
    int r = -ENOMEM;

    weir_watch_remove(reactor_of(handshake), &handshake->watch);
    weir_timer_cancel(reactor_of(handshake), &handshake->deadline);
    strncpy(peer, peer_of(handshake), sizeof(peer) - 1);
    peer[sizeof(peer) - 1] = '\0';
    weir_sock_lock(sock);
    if (info)
        pipe = get_pipe(ep);
    if (pipe) {
        know_peer(pipe, handshake, info);
        r = join(handshake, pipe);
    }
    finish(handshake, pipe, peer, r);
}
