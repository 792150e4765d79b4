/*
 * transport_loop.c - loop://PORT: a TCP port of 127.0.0.1.
 *
 * A transport in the descriptor shape.  It dials or listens, hands over each
 * connection as a descriptor, and never sees an octet of a message.
 * weir_plugin(7) tells the life of an endpoint, step by step.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/transport.h>

/* One bind or one connect. */
struct end {
    const weir_host *host;
    const weir_transport_host *more;
    weir_ep *ep;
    weir_reactor *reactor; /* from attach() on */
    struct sockaddr_in address;
    int fd;        /* listens, or is being connected; -1: none */
    int64_t watch; /* of a connection that is being made; 0: none */
};

/* ---- both sides ---- */

/* A port as decimal digits.  Returns 0 to 65535, or -1. */
static long parse_port(const char *text)
{
    char *end;
    long port;

    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    port = strtol(text, &end, 10);
    return errno || *end || port > 65535 ? -1 : port;
}

/* What bind() and dial() begin with: nothing is opened yet. */
static int new_end(const weir_host *host, const weir_transport_host *more,
                   weir_ep *ep, const char *address, long least,
                   struct end **out, weir_error *error)
{
    long port = parse_port(address);
    struct end *end;

    if (port < least)
        return host->fail(error, EINVAL,
                          "loop://%s: \"%s\" is not a port from %ld to 65535",
                          address, address, least);
    end = calloc(1, sizeof(*end));
    if (!end)
        return host->fail(error, ENOMEM, "loop://%s: no memory", address);
    end->host = host;
    end->more = more;
    end->ep = ep;
    end->fd = -1;
    end->address.sin_family = AF_INET;
    end->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    end->address.sin_port = htons((unsigned short)port);
    *out = end;
    return 0;
}

/* The host wants descriptors that do not block and do not outlive exec(). */
static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int code = errno;

        close(fd);
        return -code;
    }
    return fd;
}

/* The host takes the descriptor, whatever it returns. */
static void hand_over(struct end *end, int fd)
{
    char text[32];
    weir_peer peer = {.size = sizeof(peer), .remote = text};

    snprintf(text, sizeof(text), "127.0.0.1:%u",
             (unsigned)ntohs(end->address.sin_port));
    (void)end->more->made_socket(end->ep, fd, &peer);
}

/* [io] What was under way is given up. */
static void cancel(void *self)
{
    struct end *end = self;

    if (end->watch)
        end->host->cancel(end->reactor, end->watch);
    end->watch = 0;
    if (end->fd >= 0)
        close(end->fd);
    end->fd = -1;
}

/* [io], or [ctl] if it never came to attach(). */
static void close_end(void *self)
{
    cancel(self);
    free(self);
}

/* ---- binding ---- */

static int start_listening(struct end *end)
{
    socklen_t size = sizeof(end->address);
    struct sockaddr *address = (struct sockaddr *)&end->address;
    int64_t backlog = 128;
    int yes = 1;

    end->fd = open_socket();
    if (end->fd < 0)
        return end->fd;
    (void)end->host->option_int(end->ep, "backlog", &backlog);
    if (setsockopt(end->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(end->fd, address, size) < 0 || listen(end->fd, (int)backlog) < 0 ||
        getsockname(end->fd, address, &size) < 0)
        return -errno;
    return 0;
}

/* [ctl] Bound when this returns, so that a port in use is an error of the
 * application's call.  `actual` is what a peer connects to: port 0 has become
 * a real one. */
static int bind_port(const weir_host *host, const weir_transport_host *more,
                     weir_ep *ep, const char *scheme, const char *address,
                     char *actual, size_t room, void **self, weir_error *error)
{
    struct end *end;
    int r = new_end(host, more, ep, address, 0, &end, error);

    (void)scheme;
    if (r < 0)
        return r;
    r = start_listening(end);
    if (r < 0) {
        close_end(end);
        return host->fail(error, -r, "loop://%s: cannot listen: %s", address,
                          strerror(-r));
    }
    snprintf(actual, room, "%u", (unsigned)ntohs(end->address.sin_port));
    *self = end;
    return 0;
}

/* [io] The host has accepted a connection, and set it up as it wants it. */
static void accepted(void *self, int fd, const struct sockaddr *from,
                     socklen_t size)
{
    (void)from;
    (void)size;
    hand_over(self, fd);
}

/* ---- dialing ---- */

/* [ctl] Only understand the address; connecting comes later. */
static int dial_port(const weir_host *host, const weir_transport_host *more,
                     weir_ep *ep, const char *scheme, const char *address,
                     void **self, weir_error *error)
{
    struct end *end;
    int r = new_end(host, more, ep, address, 1, &end, error);

    (void)scheme;
    if (r < 0)
        return r;
    *self = end;
    return 0;
}

/* An attempt ends in failed() or in made_socket(), never in both.  After
 * failed() the host calls retry(), when it thinks that it is time. */
static void attempt_failed(struct end *end, int code)
{
    char text[160];
    weir_error error = {
        .size = sizeof(error), .text = text, .room = sizeof(text)};

    cancel(end);
    (void)end->host->fail(&error, code, "loop://%u: cannot connect: %s",
                          (unsigned)ntohs(end->address.sin_port),
                          strerror(code));
    end->more->failed(end->ep, 0, &error);
}

/* The watch does not own the descriptor: it is ended before that goes. */
static void attempt_made(struct end *end)
{
    int fd = end->fd;

    if (end->watch)
        end->host->cancel(end->reactor, end->watch);
    end->watch = 0;
    end->fd = -1;
    hand_over(end, fd);
}

/* [io] A turn: the connection is there, or it came to nothing. */
static void connected(void *self, unsigned events)
{
    struct end *end = self;
    socklen_t size = sizeof(int);
    int code = 0;

    (void)events;
    if (getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    if (code)
        attempt_failed(end, code);
    else
        attempt_made(end);
}

/* [io] Begin one attempt.  Nothing here may block. */
static void attempt(void *self)
{
    struct end *end = self;

    end->fd = open_socket();
    if (end->fd < 0) {
        attempt_failed(end, -end->fd);
        return;
    }
    if (connect(end->fd, (struct sockaddr *)&end->address,
                sizeof(end->address)) == 0) {
        attempt_made(end);
        return;
    }
    if (errno != EINPROGRESS) {
        attempt_failed(end, errno);
        return;
    }
    end->watch =
        end->host->watch(end->reactor, end->fd, WEIR_WATCH_OUT, connected, end);
    if (end->watch < 0) {
        int code = (int)-end->watch;

        end->watch = 0;
        attempt_failed(end, code);
    }
}

/* [io] The object belongs to the reactor now.  A binder names the descriptor
 * that the host is to accept on; a dialer makes its first attempt. */
static int attach(void *self, weir_reactor *reactor, weir_error *error)
{
    struct end *end = self;
    int r;

    end->reactor = reactor;
    if (end->fd < 0) {
        attempt(end);
        return 0;
    }
    r = end->more->listener(end->ep, end->fd);
    if (r < 0)
        return end->host->fail(error, -r,
                               "loop: the host does not accept there");
    return 0;
}

/* ---- what the host reads ---- */

static const weir_option options[] = {
    {.name = "backlog",
     .doc = "Connections that may wait to be accepted.",
     .type = WEIR_OPTION_INT,
     .flags = WEIR_OPTION_ENDPOINT,
     .min = 1,
     .max = 65535,
     .fallback = 128},
};

static const weir_transport_ops ops = {
    .size = sizeof(ops),
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL,
    .schemes = "loop",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .bind = bind_port,
    .dial = dial_port,
    .attach = attach,
    .retry = attempt,
    .cancel = cancel,
    .accepted = accepted,
    .close = close_end,
};

static const weir_provider providers[] = {
    {.kind = WEIR_TRANSPORT, .id = "loop", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(transport_loop) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "transport_loop",
    .version = PACKAGE_VERSION,
    .license = "MIT",
    .summary = "messages over TCP ports of 127.0.0.1",
    .providers = providers,
};
