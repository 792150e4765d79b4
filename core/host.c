/*
 * host.c - the tables that plugins get: what they may ask of us.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/transport.h>
#include <weir/weir.h>

#include "base/error.h"
#include "base/owned.h"
#include "chunk.h"
#include "endpoint.h"
#include "options.h"
#include "reactor.h"
#include "splice.h"

static const void *extension(const char *id)
{
    (void)id;
    return NULL; /* none yet */
}

static void log_line(weir_ep *ep, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    weir_ep_event(ep, WEIR_EVENT_LOG, NULL, 0, 0, 0, text);
}

/* A failure is one, whatever the sign of its code; and the arguments may have
 * the error's own text, to put more words around it. */
static int fail(weir_error *error, int code, const char *format, ...)
{
    char text[WEIR_ERROR_ROOM];
    va_list args;

    if (code <= 0)
        code = code < 0 && code > -INT_MAX ? -code : EIO;
    if (!error)
        return -code;
    error->code = code;
    if (!error->text || error->room == 0)
        return -code;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(error->text, error->room, "%s", text);
    return -code;
}

/* ---- views: the owner is a chunk ---- */

static int view_alloc(weir_view *view, size_t len)
{
    struct weir_chunk *chunk = weir_chunk_new(len);

    if (!chunk)
        return -ENOMEM;
    *view = (weir_view){.data = chunk->data, .len = len, .owner = chunk};
    return 0;
}

static int view_wrap(weir_view *view, void *data, size_t len,
                     void (*release)(void *data, void *hint), void *hint)
{
    struct weir_chunk *chunk = weir_chunk_wrap(data, len, release, hint);

    if (!chunk)
        return -ENOMEM;
    *view = (weir_view){.data = data, .len = len, .owner = chunk};
    return 0;
}

static void view_free(weir_view *views, int n)
{
    for (int i = 0; i < n; i++) {
        if (views[i].owner)
            weir_chunk_unref(views[i].owner, 1);
        views[i].owner = NULL;
    }
}

/* ---- options: the transport's own first, then the socket's ---- */

static int option_int(const weir_ep *ep, const char *name, int64_t *value)
{
    int r = weir_values_get_int(&ep->values, name, value);

    return r == -ENOENT ? weir_options_get_int(&ep->options, name, value) : r;
}

static int option_bytes(const weir_ep *ep, const char *name, void *value,
                        size_t *size)
{
    int r = weir_values_get_bytes(&ep->values, name, value, size);

    return r == -ENOENT
               ? weir_options_get_bytes(&ep->options, name, value, size)
               : r;
}

/* ---- descriptors of stores ---- */

static void own(int fd, int on)
{
    if (on)
        weir_owned_add(fd, WEIR_OWNED_STORES);
    else
        weir_owned_remove(fd, WEIR_OWNED_STORES);
}

const weir_host weir_the_host = {
    .size = sizeof(weir_host),
    .minor = WEIR_ABI_MINOR,
    .version = WEIR_VERSION,
    .extension = extension,
    .log = log_line,
    .fail = fail,
    .view_alloc = view_alloc,
    .view_wrap = view_wrap,
    .view_free = view_free,
    .option_int = option_int,
    .option_bytes = option_bytes,
    .watch = weir_reactor_host_watch,
    .rewatch = weir_reactor_host_rewatch,
    .timer = weir_reactor_host_timer,
    .cancel = weir_reactor_host_cancel,
    .offload = weir_reactor_host_offload,
    .own = own,
};

const weir_transport_host weir_the_transport_host = {
    .size = sizeof(weir_transport_host),
    .made_socket = weir_ep_made_socket,
    .made_stream = weir_ep_made_stream,
    .made_link = weir_messages_made_link,
    .refused = weir_ep_refused,
    .splice = weir_splice_join,
    .failed = weir_ep_failed,
    .listener = weir_ep_listener,
    .scope = weir_ep_scope,
    .queue_peek = weir_messages_peek,
    .queue_done = weir_messages_done,
    .push = weir_messages_push,
    .gap = weir_messages_gap,
    .down = weir_messages_down,
    .direction = weir_messages_direction,
};
