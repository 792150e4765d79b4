/*
 * end.h - what binders and dialers of tcp have in common, and their turns.
 *
 * Above: transport_tcp.c, the table of operations.
 * Below: listen.c and dial.c, which implement this.
 */
#ifndef WEIR_TCP_END_H
#define WEIR_TCP_END_H

#include <stdbool.h>

#include <weir/transport.h>

#include "tune.h"

/* The first member of both kinds. */
struct weir_tcp_end {
    const weir_host *host;
    const weir_transport_host *more;
    weir_ep *ep;
    weir_reactor *reactor; /* NULL until attached */
    struct weir_tcp_tuning tuning;
    bool binds;
};

/* The operations of weir_transport_ops, per kind; see there. */
int weir_tcp_bind(const weir_host *host, const weir_transport_host *more,
                  weir_ep *ep, const char *address, char *actual, size_t room,
                  void **self, weir_error *error);
int weir_tcp_binder_attach(struct weir_tcp_end *end, weir_error *error);
void weir_tcp_binder_accepted(void *self, int fd, const struct sockaddr *from,
                              socklen_t size);
void weir_tcp_binder_close(struct weir_tcp_end *end);

int weir_tcp_dial(const weir_host *host, const weir_transport_host *more,
                  weir_ep *ep, const char *address, void **self,
                  weir_error *error);
int weir_tcp_dialer_attach(struct weir_tcp_end *end);
void weir_tcp_dialer_retry(void *self);
void weir_tcp_dialer_cancel(void *self);
void weir_tcp_dialer_close(struct weir_tcp_end *end);

/* Hand a connected descriptor to the host, with the addresses of both sides
 * as text. */
void weir_tcp_made(const struct weir_tcp_end *end, int fd);

#endif
