/* tune.c - a table of options, a table of what each sets, one loop. */
#include "config.h"

#include "tune.h"

#include "../common/option.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define ROW WEIR_COMMON_ROW

const weir_option weir_tcp_options[WEIR_TCP_OPTIONS] = {
    [WEIR_TCP_KEEPALIVE] =
        ROW(BOOL, "keepalive", .max = 1,
            .doc = "Let the system probe a silent connection."),
    [WEIR_TCP_KEEPALIVE_IDLE] =
        ROW(INT, "keepalive-idle", .unit = "ms", .max = 32767000,
            .doc = "Silence before the first probe, in whole seconds "
                   "rounded up. 0: the system's value."),
    [WEIR_TCP_KEEPALIVE_INTERVAL] =
        ROW(INT, "keepalive-interval", .unit = "ms", .max = 32767000,
            .doc = "Time between two probes, in whole seconds rounded up. "
                   "0: the system's value."),
    [WEIR_TCP_KEEPALIVE_COUNT] =
        ROW(INT, "keepalive-count", .max = 127,
            .doc = "Unanswered probes that end the connection. 0: the "
                   "system's value."),
    [WEIR_TCP_USER_TIMEOUT] =
        ROW(INT, "user-timeout", .unit = "ms", .max = INT_MAX,
            .doc = "How long sent octets may stay unacknowledged before the "
                   "system ends the connection. 0: the system's value."),
    [WEIR_TCP_SEND_BUFFER] =
        ROW(INT, "send-buffer", .unit = "bytes", .max = INT_MAX,
            .doc = "Size of the system's send buffer. 0: the system's "
                   "value."),
    [WEIR_TCP_RECV_BUFFER] =
        ROW(INT, "recv-buffer", .unit = "bytes", .max = INT_MAX,
            .doc = "Size of the system's receive buffer. 0: the system's "
                   "value."),
    [WEIR_TCP_TOS] =
        ROW(INT, "tos", .max = 255,
            .doc = "Type of service (IPv4) or traffic class (IPv6) of "
                   "packets."),
    [WEIR_TCP_BACKLOG] =
        ROW(INT, "backlog", .min = 1, .max = 65535, .fallback = 4096,
            .doc = "Connections that may wait to be accepted; the system "
                   "may allow fewer."),
    [WEIR_TCP_DEVICE] =
        ROW(TEXT, "device", .max = WEIR_TCP_DEVICE_ROOM - 1,
            .doc = "The only interface that packets may come and go by. "
                   "Empty: any."),
};

#if HAVE_DECL_TCP_KEEPIDLE
#define KEEP_IDLE IPPROTO_TCP, TCP_KEEPIDLE
#elif defined(TCP_KEEPALIVE)
#define KEEP_IDLE IPPROTO_TCP, TCP_KEEPALIVE
#else
#define KEEP_IDLE -1, 0
#endif
#if HAVE_DECL_TCP_KEEPINTVL
#define KEEP_INTERVAL IPPROTO_TCP, TCP_KEEPINTVL
#else
#define KEEP_INTERVAL -1, 0
#endif
#if HAVE_DECL_TCP_KEEPCNT
#define KEEP_COUNT IPPROTO_TCP, TCP_KEEPCNT
#else
#define KEEP_COUNT -1, 0
#endif
#if HAVE_DECL_TCP_USER_TIMEOUT
#define USER_TIMEOUT IPPROTO_TCP, TCP_USER_TIMEOUT
#else
#define USER_TIMEOUT -1, 0
#endif

/* What each row sets.  Level -1: this system has no such thing. */
static const struct knob {
    int level, what;
    int divisor; /* from the option's unit to the system's, rounded up */
} knobs[WEIR_TCP_KNOBS] = {
    [WEIR_TCP_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, 1},
    [WEIR_TCP_KEEPALIVE_IDLE] = {KEEP_IDLE, 1000},
    [WEIR_TCP_KEEPALIVE_INTERVAL] = {KEEP_INTERVAL, 1000},
    [WEIR_TCP_KEEPALIVE_COUNT] = {KEEP_COUNT, 1},
    [WEIR_TCP_USER_TIMEOUT] = {USER_TIMEOUT, 1},
    [WEIR_TCP_SEND_BUFFER] = {SOL_SOCKET, SO_SNDBUF, 1},
    [WEIR_TCP_RECV_BUFFER] = {SOL_SOCKET, SO_RCVBUF, 1},
    [WEIR_TCP_TOS] = {IPPROTO_IP, IP_TOS, 1},
};

static int lacks(const weir_host *host, int row, weir_error *error)
{
    return host->fail(error, EOPNOTSUPP,
                      "tcp: option %s: this system has no such setting",
                      weir_tcp_options[row].name);
}

static int read_device(const weir_host *host, const weir_ep *ep, char *out,
                       weir_error *error)
{
    size_t size = WEIR_TCP_DEVICE_ROOM;
    int rc = host->option_bytes(ep, "device", out, &size);

    if (rc < 0)
        out[0] = '\0';
    if (rc < 0 && rc != -ENOENT)
        return host->fail(error, -rc, "tcp: option device cannot be read");
#if !HAVE_DECL_SO_BINDTODEVICE
    if (out[0] != '\0')
        return lacks(host, WEIR_TCP_DEVICE, error);
#endif
    return 0;
}

int weir_tcp_tune_read(const weir_host *host, const weir_ep *ep,
                       struct weir_tcp_tuning *out, weir_error *error)
{
    int rc;

    for (int row = 0; row < WEIR_TCP_NUMBERS; row++) {
        rc = weir_common_option(host, ep, "tcp", &weir_tcp_options[row],
                                &out->number[row], error);
        if (rc < 0)
            return rc;
        if (row < WEIR_TCP_KNOBS && knobs[row].level < 0 && out->number[row])
            return lacks(host, row, error);
    }
    return read_device(host, ep, out->device, error);
}

static int set(int fd, int level, int what, int value)
{
    return setsockopt(fd, level, what, &value, sizeof value) < 0 ? -errno : 0;
}

/* A descriptor of IPv6 may carry IPv4 too, so there the IPv4 field is set as
 * well, where the system lets it. */
static int set_tos(int fd, int family, int value)
{
    int rc = set(fd, IPPROTO_IP, IP_TOS, value);

#ifdef IPV6_TCLASS
    if (family == AF_INET6)
        rc = set(fd, IPPROTO_IPV6, IPV6_TCLASS, value);
#endif
    return rc;
}

static int set_row(const struct weir_tcp_tuning *tuning, int fd, int family,
                   int row)
{
    const struct knob *knob = &knobs[row];
    int value = tuning->number[row];

    if (value == 0)
        return 0;
    if (row == WEIR_TCP_TOS)
        return set_tos(fd, family, value);
    value = value / knob->divisor + (value % knob->divisor != 0);
    return set(fd, knob->level, knob->what, value);
}

static int set_device(const struct weir_tcp_tuning *tuning, int fd)
{
#if HAVE_DECL_SO_BINDTODEVICE
    if (tuning->device[0] != '\0' &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, tuning->device,
                   (socklen_t)strlen(tuning->device)) < 0)
        return -errno;
#else
    (void)tuning;
    (void)fd;
#endif
    return 0;
}

int weir_tcp_tune_accepted(const struct weir_tcp_tuning *tuning, int fd,
                           int family, const char **option)
{
    int rc = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

    *option = "TCP_NODELAY";
    for (int row = 0; row < WEIR_TCP_KNOBS && rc == 0; row++) {
        *option = weir_tcp_options[row].name;
        rc = set_row(tuning, fd, family, row);
    }
    return rc;
}

int weir_tcp_tune(const struct weir_tcp_tuning *tuning, int fd, int family,
                  const char **option)
{
    int rc = set_device(tuning, fd);

    *option = "device";
    return rc < 0 ? rc : weir_tcp_tune_accepted(tuning, fd, family, option);
}
