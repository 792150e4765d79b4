/*
 * tune.h - the options of tcp, and how they reach a descriptor.
 *
 * Above: listen.c, dial.c, race.c, transport_tcp.c.  Below: libc.
 */
#ifndef WEIR_TCP_TUNE_H
#define WEIR_TCP_TUNE_H

#include <weir/transport.h>

#define WEIR_TCP_DEVICE_ROOM 16 /* an interface's name with its NUL */

/* Rows of weir_tcp_options that are numbers; the first ones go to the
 * descriptor as they are. */
enum weir_tcp_row {
    WEIR_TCP_KEEPALIVE,
    WEIR_TCP_KEEPALIVE_IDLE,
    WEIR_TCP_KEEPALIVE_INTERVAL,
    WEIR_TCP_KEEPALIVE_COUNT,
    WEIR_TCP_USER_TIMEOUT,
    WEIR_TCP_SEND_BUFFER,
    WEIR_TCP_RECV_BUFFER,
    WEIR_TCP_TOS,
    WEIR_TCP_KNOBS,
    WEIR_TCP_BACKLOG = WEIR_TCP_KNOBS,
    WEIR_TCP_NUMBERS,
    WEIR_TCP_DEVICE = WEIR_TCP_NUMBERS,
    WEIR_TCP_OPTIONS
};

/* The table that the provider shows to the host. */
extern const weir_option weir_tcp_options[WEIR_TCP_OPTIONS];

/* The values of one endpoint.  0 and "" leave the system's value alone. */
struct weir_tcp_tuning {
    int number[WEIR_TCP_NUMBERS];
    char device[WEIR_TCP_DEVICE_ROOM];
};

/* Read the options of an endpoint.
 * Errors: -EOPNOTSUPP this system lacks what an option asks for. */
int weir_tcp_tune_read(const weir_host *host, const weir_ep *ep,
                       struct weir_tcp_tuning *out, weir_error *error);

/* Prepare a new descriptor, before it is bound or connected.  Small messages
 * always go at once (TCP_NODELAY).
 * Errors: what the system says; *option gets the name of the option. */
int weir_tcp_tune(const struct weir_tcp_tuning *tuning, int fd, int family,
                  const char **option);

/* The same for an accepted one; most systems let it inherit all, but none
 * needs to. */
int weir_tcp_tune_accepted(const struct weir_tcp_tuning *tuning, int fd,
                           int family, const char **option);

#endif
