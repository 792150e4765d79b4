/*
 * transport_ipc.c - ipc: connections inside one machine, over AF_UNIX.
 *
 * The plugin dials and listens; each connection is handed over as a
 * descriptor, and its octets never pass here.
 * Above: the host, through <weir/transport.h>.
 * Below: address.h, file.h for what binds, peer.h.
 */
#include "config.h"

#include "address.h"
#include "file.h"
#include "peer.h"

#include "../common/system.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* So much that writer and reader seldom wait for each other, and so little
     * that a processor's cache holds it. */
    SEND_BUFFER = 262144
};

struct end {
    const weir_host *host;
    const weir_transport_host *more;
    weir_ep *ep;
    struct weir_ipc_address address;
    bool binds;
    int fd;                    /* binder: listens */
    struct weir_ipc_file file; /* binder */
    char text[];               /* the address: as written, or that of "*" */
};

/* An endpoint with room for a text of `size` octets. */
static struct end *new_end(const weir_host *host,
                           const weir_transport_host *more, weir_ep *ep,
                           size_t size)
{
    struct end *end = calloc(1, sizeof *end + size + 1);

    if (!end)
        return NULL;
    end->host = host;
    end->more = more;
    end->ep = ep;
    end->fd = -1;
    return end;
}

/* The file goes first, see weir_ipc_file_release(). */
static void close_end(void *self)
{
    struct end *end = self;

    weir_ipc_file_release(&end->file);
    if (end->fd >= 0)
        (void)close(end->fd);
    free(end);
}

/* How much may be under way.  Where the system does not let it be so much it
 * is less, which costs nothing but time. */
static void set_buffer(const struct end *end, int fd)
{
    int64_t size = SEND_BUFFER;
    int value;

    (void)end->host->option_int(end->ep, "send-buffer", &size);
    value = (int)size;
    if (value > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value);
}

/* What happens at either end when a connection is there. */
static void made(const struct end *end, int fd)
{
    struct weir_ipc_peer who;
    weir_peer peer = {.size = sizeof peer};

    set_buffer(end, fd);
    weir_ipc_peer_ask(fd, &who);
    peer.properties = who.properties;
    peer.n_properties = who.n;
    if (end->binds)
        peer.local = end->text;
    else
        peer.remote = end->text;
    if (end->binds && who.text[0] != '\0')
        peer.remote = who.text;
    (void)end->more->made_socket(end->ep, fd, &peer);
}

/* ------------------------------------------------------------ binding -- */

/* An abstract name has no file to protect it, so it must not look as if. */
static int read_options(const struct end *end, const char *text,
                        struct weir_ipc_access *access, int64_t *backlog,
                        weir_error *error)
{
    int rc = weir_ipc_access_read(end->host, end->ep, access, error);

    if (rc < 0)
        return rc;
    if (end->address.kind == WEIR_IPC_ABSTRACT &&
        (access->has_mode || access->has_group))
        return end->host->fail(error, EINVAL,
                               "ipc://%s: option %s: an abstract name has no "
                               "file",
                               text, access->has_mode ? "mode" : "group");
    if (end->host->option_int(end->ep, "backlog", backlog) < 0)
        *backlog = 4096;
    return 0;
}

static int start_listening(struct end *end, const char *text, weir_error *error)
{
    struct weir_ipc_access access;
    char reason[WEIR_REASON_ROOM];
    int64_t backlog;
    int rc = read_options(end, text, &access, &backlog, error);

    if (rc < 0)
        return rc;
    end->fd = weir_common_socket(AF_UNIX);
    if (end->fd < 0)
        return end->host->fail(error, -end->fd, "ipc://%s: %s", text,
                               weir_common_reason(-end->fd, reason,
                                                  sizeof reason));
    return weir_ipc_file_claim(end->host, text, end->fd, (int)backlog,
                               &end->address, &access, &end->file, error);
}

/* Which address a peer would use. */
static int tell_actual(struct end *end, const char *text, char *actual,
                       size_t room, weir_error *error)
{
    if (end->file.folder)
        text = end->address.un.sun_path;
    if (strlen(text) >= room)
        return end->host->fail(error, ERANGE, "ipc://%s: no room for the path",
                               text);
    memcpy(end->text, text, strlen(text) + 1);
    memcpy(actual, text, strlen(text) + 1);
    return 0;
}

static int bind_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        char *actual, size_t room, void **self,
                        weir_error *error)
{
    struct end *end = new_end(host, more, ep, WEIR_IPC_PATH_MAX + 1);
    int rc;

    (void)scheme;
    if (!end)
        return host->fail(error, ENOMEM, "ipc://%s: no memory", address);
    end->binds = true;
    rc = weir_ipc_parse(host, address, true, &end->address, error);
    if (rc == 0)
        rc = start_listening(end, address, error);
    if (rc == 0)
        rc = tell_actual(end, address, actual, room, error);
    if (rc < 0)
        close_end(end);
    else
        *self = end;
    return rc;
}

static void accepted(void *self, int fd, const struct sockaddr *from,
                     socklen_t size)
{
    (void)from;
    (void)size;
    made(self, fd);
}

/* ------------------------------------------------------------ dialing -- */

static int dial_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        void **self, weir_error *error)
{
    struct end *end = new_end(host, more, ep, strlen(address));
    int rc;

    (void)scheme;
    if (!end)
        return host->fail(error, ENOMEM, "ipc://%s: no memory", address);
    memcpy(end->text, address, strlen(address) + 1);
    rc = weir_ipc_parse(host, address, false, &end->address, error);
    if (rc < 0)
        close_end(end);
    else
        *self = end;
    return rc;
}

/* A connection is there at once or not at all: the system has no handshake to
 * wait for.  Returns the descriptor.
 * Errors: -EAGAIN the binder's backlog is full; what the system says. */
static int connect_now(const struct end *end)
{
    const struct sockaddr *to = (const struct sockaddr *)&end->address.un;
    int rc, fd = weir_common_socket(AF_UNIX);

    if (fd < 0)
        return fd;
    do {
        rc = connect(fd, to, end->address.size) < 0 ? -errno : 0;
    } while (rc == -EINTR);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static void attempt_failed(const struct end *end, int rc)
{
    char reason[WEIR_REASON_ROOM], text[512];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};
    const char *words = weir_common_reason(-rc, reason, sizeof reason);

    if (rc == -EAGAIN)
        words = "too many wait there to be accepted";
    (void)end->host->fail(&error, -rc, "ipc://%s: cannot connect: %s",
                          end->text, words);
    end->more->failed(end->ep, 0, &error);
}

static void attempt(void *self)
{
    const struct end *end = self;
    int fd = connect_now(end);

    if (fd < 0)
        attempt_failed(end, fd);
    else
        made(end, fd);
}

/* Attempts end where they begin. */
static void cancel(void *self)
{
    (void)self;
}

static int attach(void *self, weir_reactor *reactor, weir_error *error)
{
    const struct end *end = self;
    int rc;

    (void)reactor;
    if (!end->binds) {
        attempt(self);
        return 0;
    }
    rc = end->more->listener(end->ep, end->fd);
    if (rc < 0)
        return end->host->fail(
            error, -rc, "ipc://%s: the host does not accept there", end->text);
    return 0;
}

static const weir_option options[] = {
    {.name = "mode",
     .doc = "Access to the socket's file, in octal, such as 0660; empty: what "
            "the process's umask leaves.",
     .type = WEIR_OPTION_TEXT,
     .flags = WEIR_OPTION_ENDPOINT,
     .max = 4},
    {.name = "group",
     .doc = "Group of the socket's file, by name or number; empty: the "
            "process's.",
     .type = WEIR_OPTION_TEXT,
     .flags = WEIR_OPTION_ENDPOINT,
     .max = 64},
    {.name = "backlog",
     .doc = "Connections that may wait to be accepted; the system may allow "
            "fewer.",
     .type = WEIR_OPTION_INT,
     .flags = WEIR_OPTION_ENDPOINT,
     .min = 1,
     .max = 65535,
     .fallback = 4096},
    {.name = "send-buffer",
     .doc = "Size of the system's send buffer; the system may allow less. 0: "
            "the system's value.",
     .unit = "bytes",
     .type = WEIR_OPTION_INT,
     .flags = WEIR_OPTION_ENDPOINT,
     .max = INT_MAX,
     .fallback = SEND_BUFFER},
};

static const weir_transport_ops ops = {
    .size = sizeof ops,
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL,
    .schemes = "ipc",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .bind = bind_address,
    .dial = dial_address,
    .attach = attach,
    .retry = attempt,
    .cancel = cancel,
    .accepted = accepted,
    .close = close_end,
};

static const weir_provider providers[] = {
    {.kind = WEIR_TRANSPORT, .id = "ipc", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(transport_ipc) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "transport_ipc",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "messages between processes of one machine",
    .providers = providers,
};
