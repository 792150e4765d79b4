/*
 * transport_inproc.c - inproc: sockets of one context, joined by name.
 *
 * The plugin only brings two endpoints together; the host joins their queues
 * and no message passes here.  Dialers and binders come in any order.
 * Above: the host, through <weir/transport.h>.  Below: names.h.
 */
#include "config.h"

#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int open_end(const weir_host *host, const weir_transport_host *more,
                    weir_ep *ep, const char *address,
                    struct weir_inproc_end **out, weir_error *error)
{
    size_t size = strlen(address);
    struct weir_inproc_end *end;
    int rc = weir_inproc_names_init();

    if (rc < 0)
        return host->fail(error, -rc, "inproc://%s: no memory", address);
    if (size == 0)
        return host->fail(error, EINVAL, "inproc://: the name is empty");
    if (size > WEIR_INPROC_NAME_MAX)
        return host->fail(error, ENAMETOOLONG,
                          "inproc://%s: the name has %zu octets, %d is the "
                          "most",
                          address, size, WEIR_INPROC_NAME_MAX);
    end = calloc(1, sizeof *end);
    if (!end)
        return host->fail(error, ENOMEM, "inproc://%s: no memory", address);
    end->host = host;
    end->more = more;
    end->ep = ep;
    weir_inproc_names_lock();
    end->name = weir_inproc_name_hold(more->scope(ep), address, size);
    weir_inproc_names_unlock();
    if (!end->name) {
        free(end);
        return host->fail(error, ENOMEM, "inproc://%s: no memory", address);
    }
    *out = end;
    return 0;
}

static void close_end(void *self)
{
    struct weir_inproc_end *end = self;

    weir_inproc_names_lock();
    weir_inproc_name_leave(end);
    if (end->name->binder == end)
        end->name->binder = NULL;
    weir_inproc_name_drop(end->name);
    weir_inproc_names_unlock();
    free(end);
}

/* Reserve the name.  False: another endpoint has it. */
static bool take_name(struct weir_inproc_end *end)
{
    bool taken = false;

    weir_inproc_names_lock();
    if (!end->name->binder) {
        end->name->binder = end;
        taken = true;
    }
    weir_inproc_names_unlock();
    return taken;
}

static int bind_name(const weir_host *host, const weir_transport_host *more,
                     weir_ep *ep, const char *scheme, const char *address,
                     char *actual, size_t room, void **self, weir_error *error)
{
    struct weir_inproc_end *end;
    int rc;

    (void)scheme;
    rc = open_end(host, more, ep, address, &end, error);
    if (rc < 0)
        return rc;
    end->binds = true;
    if (end->name->size >= room) {
        rc = host->fail(error, ERANGE, "inproc://%s: no room for the name",
                        address);
        goto failed;
    }
    if (!take_name(end)) {
        rc = host->fail(error, EADDRINUSE, "inproc://%s is bound already",
                        address);
        goto failed;
    }
    memcpy(actual, address, end->name->size + 1);
    *self = end;
    return 0;
failed:
    close_end(end);
    return rc;
}

static int dial_name(const weir_host *host, const weir_transport_host *more,
                     weir_ep *ep, const char *scheme, const char *address,
                     void **self, weir_error *error)
{
    struct weir_inproc_end *end;
    int rc = open_end(host, more, ep, address, &end, error);

    (void)scheme;
    if (rc == 0)
        *self = end;
    return rc;
}

static const char *words(int rc)
{
    switch (-rc) {
    case WEIR_EINCOMPATIBLE:
        return "the types of the two sockets do not go together";
    case ENOMEM:
        return "no memory";
    default:
        return "the host refused";
    }
}

/* Fill *error with why two endpoints could not be joined. */
static int explain(const struct weir_inproc_end *dialer, int rc,
                   weir_error *error)
{
    const struct weir_inproc_name *name = dialer->name;

    return dialer->host->fail(error, -rc, "inproc://%.*s: cannot join: %s",
                              (int)name->size, name->text, words(rc));
}

/* Join a dialer to the binder of its name, or let it wait for one.  Wants
 * the lock.  A cancelled join means that one of the two is being closed: if it
 * is the binder, the dialer belongs to the next. */
static int join(struct weir_inproc_end *dialer)
{
    struct weir_inproc_end *binder = dialer->name->binder;
    int rc = -ECANCELED;

    if (binder && binder->attached)
        rc = dialer->more->splice(dialer->ep, binder->ep);
    if (rc == -ECANCELED) {
        weir_inproc_name_wait(dialer);
        return 0;
    }
    weir_inproc_name_leave(dialer);
    return rc;
}

/* The same, where nobody waits for the answer. */
static void join_later(struct weir_inproc_end *dialer)
{
    char text[512];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};
    int rc = join(dialer);

    if (rc >= 0)
        return;
    (void)explain(dialer, rc, &error);
    dialer->more->failed(dialer->ep, rc == -WEIR_EINCOMPATIBLE, &error);
}

static void join_waiting(struct weir_inproc_end *binder)
{
    struct weir_inproc_end *dialer = binder->name->first;

    binder->attached = true;
    while (dialer) {
        struct weir_inproc_end *next = dialer->next;

        join_later(dialer);
        dialer = next;
    }
}

static int attach(void *self, weir_reactor *reactor, weir_error *error)
{
    struct weir_inproc_end *end = self;
    int rc = 0;

    (void)reactor;
    weir_inproc_names_lock();
    if (end->binds)
        join_waiting(end);
    else
        rc = join(end);
    weir_inproc_names_unlock();
    return rc < 0 ? explain(end, rc, error) : 0;
}

static void retry(void *self)
{
    weir_inproc_names_lock();
    join_later(self);
    weir_inproc_names_unlock();
}

static void cancel(void *self)
{
    weir_inproc_names_lock();
    weir_inproc_name_leave(self);
    weir_inproc_names_unlock();
}

static const weir_transport_ops ops = {
    .size = sizeof ops,
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL | WEIR_CAN_SPLICE,
    .schemes = "inproc",
    .bind = bind_name,
    .dial = dial_name,
    .attach = attach,
    .retry = retry,
    .cancel = cancel,
    .close = close_end,
};

static const weir_provider providers[] = {
    {.kind = WEIR_TRANSPORT, .id = "inproc", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(transport_inproc) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "transport_inproc",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "messages between sockets of one context",
    .providers = providers,
};
