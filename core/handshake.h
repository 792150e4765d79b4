/*
 * handshake.h - a connection until its peer is known: greeting, READY.
 *
 * Nothing else is attached to it yet: no queues, no pipe.  It lives on the
 * reactor alone, with a deadline.  In the end it becomes a link, or an event
 * that says why not.
 * Above: endpoint.h.  Below: zmtp.h, link.h.
 */
#ifndef WEIR_HANDSHAKE_H
#define WEIR_HANDSHAKE_H

#include <weir/transport.h>

#include "base/list.h"
#include "reactor.h"
#include "zmtp.h"

struct weir_ep;
struct weir_peer_info;
struct weir_pipe;

enum { WEIR_HANDSHAKE_READ = 8192 }; /* octets read at a time */

struct weir_handshake {
    struct weir_ep *ep;
    struct weir_list in_ep; /* ep->handshakes */
    struct weir_watch watch;
    struct weir_timer deadline;
    const weir_stream_ops *stream; /* NULL: watch.fd is a descriptor */
    void *stream_self;
    struct weir_zmtp zmtp;
    char *remote;     /* address of the peer, as text */
    void *properties; /* what the transport says of it, ZMTP-encoded */
    size_t properties_size;
    uint8_t ours[1024]; /* our properties, ZMTP-encoded */
    uint8_t *rest;      /* octets that came behind the handshake */
    size_t rest_size;
};

/* Begin with a descriptor or a stream, which it owns from now on, whatever is
 * returned.  Reactor.  Errors: -ENOMEM. */
int weir_handshake_begin(struct weir_ep *ep, int fd,
                         const weir_stream_ops *stream, void *self,
                         const weir_peer *peer);

/* Encode what the transport says of a peer, as properties of ZMTP; NULL: only
 * count.  Returns the octets. */
size_t weir_handshake_encode_peer(uint8_t *out, const weir_peer *peer);

/* The pipe of a new connection: the dialer's, or a new one.  Its driver word
 * is held then.  Socket's lock held.  NULL: no memory. */
struct weir_pipe *weir_handshake_pipe(struct weir_ep *ep);

/* Give up without a word (the endpoint closes).  Reactor. */
void weir_handshake_abandon(struct weir_handshake *handshake);

#endif
