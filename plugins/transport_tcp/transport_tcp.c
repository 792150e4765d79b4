/*
 * transport_tcp.c - tcp: connections over IPv4 and IPv6.
 *
 * The plugin dials and listens; each connection is handed over as a
 * descriptor, and its octets never pass here.
 * Above: the host, through <weir/transport.h>.
 * Below: listen.c for binders; dial.c and race.c for dialers.
 */
#include "config.h"

#include "address.h"
#include "end.h"

#include <string.h>

static int bind_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        char *actual, size_t room, void **self,
                        weir_error *error)
{
    (void)scheme;
    return weir_tcp_bind(host, more, ep, address, actual, room, self, error);
}

static int dial_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        void **self, weir_error *error)
{
    (void)scheme;
    return weir_tcp_dial(host, more, ep, address, self, error);
}

static int attach(void *self, weir_reactor *reactor, weir_error *error)
{
    struct weir_tcp_end *end = self;

    end->reactor = reactor;
    return end->binds ? weir_tcp_binder_attach(end, error)
                      : weir_tcp_dialer_attach(end);
}

static void close_end(void *self)
{
    struct weir_tcp_end *end = self;

    if (end->binds)
        weir_tcp_binder_close(end);
    else
        weir_tcp_dialer_close(end);
}

static const char *
name_text(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), char *text)
{
    union weir_tcp_number number;
    socklen_t size = sizeof number;

    memset(&number, 0, sizeof number);
    if (ask(fd, &number.any, &size) < 0)
        return NULL;
    return weir_tcp_text(&number, text, WEIR_TCP_TEXT_ROOM);
}

void weir_tcp_made(const struct weir_tcp_end *end, int fd)
{
    char local[WEIR_TCP_TEXT_ROOM], remote[WEIR_TCP_TEXT_ROOM];
    weir_peer peer = {.size = sizeof peer};

    peer.local = name_text(fd, getsockname, local);
    peer.remote = name_text(fd, getpeername, remote);
    (void)end->more->made_socket(end->ep, fd, &peer);
}

static const weir_transport_ops ops = {
    .size = sizeof ops,
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL,
    .schemes = "tcp",
    .options = weir_tcp_options,
    .n_options = WEIR_TCP_OPTIONS,
    .bind = bind_address,
    .dial = dial_address,
    .attach = attach,
    .retry = weir_tcp_dialer_retry,
    .cancel = weir_tcp_dialer_cancel,
    .accepted = weir_tcp_binder_accepted,
    .close = close_end,
};

static const weir_provider providers[] = {
    {.kind = WEIR_TRANSPORT, .id = "tcp", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(transport_tcp) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "transport_tcp",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "messages over TCP, IPv4 and IPv6",
    .providers = providers,
};
