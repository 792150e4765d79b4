/*
 * api.c - the public calls: check arguments, one call down.
 * Frames and messages are in frame.c and message.c, counters in stats.c,
 * plugins in registry.c, weir_poll in poll.c.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/sized.h"
#include "again.h"
#include "context.h"
#include "endpoint.h"
#include "frame.h"
#include "message.h"
#include "observer.h"
#include "quick.h"
#include "socket.h"

const char *weir_version(void)
{
    return WEIR_VERSION;
}

const char *weir_last_error(void)
{
    return weir_error_answer();
}

static int need(const void *pointer, const char *name)
{
    return pointer ? 0 : weir_fail(EINVAL, "%s is NULL", name);
}

static int check_deadline(int deadline)
{
    return deadline >= WEIR_FOREVER
               ? 0
               : weir_fail(EINVAL, "%d is not a deadline", deadline);
}

/* ---- context ---- */

int weir_context_open(weir_context *out, int io_threads)
{
    int r = need(out, "the context");

    if (r >= 0)
        r = weir_ctx_open(out, io_threads);
    if (r >= 0)
        weir_observer_from_environment(*out);
    return weir_answer(r);
}

int weir_context_close(weir_context context, int deadline)
{
    return weir_answer(weir_ctx_close(context, deadline));
}

int weir_context_set(weir_context context, const char *option,
                     const char *value)
{
    struct weir_ctx *ctx;
    int r = need(option, "the option");

    if (r >= 0)
        r = need(value, "the value");
    if (r >= 0 && strcmp(option, "stats") == 0)
        return weir_answer(weir_observer_set(context, value));
    if (r >= 0)
        r = weir_ctx_get(context, &ctx);
    if (r < 0)
        return weir_answer(r);
    r = weir_ctx_set(ctx, option, value);
    weir_lock_release(&ctx->lock);
    return weir_answer(r);
}

int weir_context_get(weir_context context, const char *option, char *text,
                     size_t *size)
{
    struct weir_ctx *ctx;
    int r = need(option, "the option");

    if (r >= 0)
        r = need(text, "the text");
    if (r >= 0)
        r = need(size, "the size");
    if (r >= 0)
        r = weir_ctx_get(context, &ctx);
    if (r < 0)
        return weir_answer(r);
    r = weir_ctx_value(ctx, option, text, size);
    weir_lock_release(&ctx->lock);
    return weir_answer(r);
}

/* ---- sockets ---- */

static int open_pattern(weir_socket *out, weir_context context,
                        const struct weir_pattern_ops *pattern)
{
    struct weir_ctx *ctx;
    int r = need(out, "the socket");

    if (r >= 0)
        r = weir_ctx_get(context, &ctx);
    if (r < 0)
        return r;
    r = weir_sock_open(ctx, pattern, out);
    if (r >= 0)
        weir_observer_confess(ctx, *out);
    weir_lock_release(&ctx->lock);
    return r;
}

int weir_open(weir_socket *out, weir_context context, int type)
{
    const struct weir_pattern_ops *pattern =
        weir_pattern_by_type((enum weir_type)type);

    if (!pattern)
        return weir_answer(weir_fail(EINVAL, "%d is not a socket type", type));
    return weir_answer(open_pattern(out, context, pattern));
}

int weir_open_named(weir_socket *out, weir_context context, const char *pattern)
{
    const struct weir_pattern_ops *found;
    int r = need(pattern, "the pattern");

    if (r < 0)
        return weir_answer(r);
    found = weir_pattern_by_name(pattern);
    if (!found)
        return weir_answer(
            weir_fail(ENOENT, "there is no pattern \"%s\"", pattern));
    return weir_answer(open_pattern(out, context, found));
}

int weir_close(weir_socket socket, int deadline, uint64_t *unsent)
{
    return weir_answer(weir_sock_close(socket, deadline, unsent));
}

/* ---- endpoints ---- */

int weir_bind(weir_socket socket, const char *url, weir_endpoint *out)
{
    int r = need(url, "the URL");

    return weir_answer(r < 0 ? r : weir_ep_open(socket, url, true, out));
}

int weir_connect(weir_socket socket, const char *url, weir_endpoint *out)
{
    int r = need(url, "the URL");

    return weir_answer(r < 0 ? r : weir_ep_open(socket, url, false, out));
}

int weir_endpoint_url(weir_endpoint endpoint, char *buffer, size_t size)
{
    struct weir_ep *ep;
    size_t length;
    int r = need(buffer, "the buffer");

    if (r >= 0)
        r = weir_ep_get(endpoint, &ep);
    if (r < 0)
        return weir_answer(r);
    length = strlen(ep->url);
    if (length < size)
        memcpy(buffer, ep->url, length + 1);
    weir_sock_put(ep->sock);
    if (length >= size)
        return weir_answer(weir_fail(ERANGE,
                                     "the URL needs %zu octets, there are %zu",
                                     length + 1, size));
    return weir_answer((int)length);
}

int weir_endpoint_close(weir_endpoint endpoint, int deadline, uint64_t *unsent)
{
    if (deadline != WEIR_LINGER && check_deadline(deadline) < 0)
        return weir_answer(-EINVAL);
    return weir_answer(weir_ep_close(
        endpoint,
        deadline == WEIR_LINGER ? WEIR_LINGER : weir_deadline_in(deadline),
        unsent));
}

/* ---- options ---- */

/* A value as one of the three calls has it. */
struct setting {
    enum { TEXT, INT, BYTES } as;
    const char *option;
    const void *data;
    size_t size;
    int64_t number;
};

static int set(struct weir_options *options, const struct setting *setting)
{
    switch (setting->as) {
    case TEXT:
        return weir_options_set_text(options, setting->option, setting->data,
                                     setting->size);
    case INT:
        return weir_options_set_int(options, setting->option, setting->number);
    default:
        return weir_options_set_bytes(options, setting->option, setting->data,
                                      setting->size);
    }
}

/* A store's plugin is loaded without the lock, which others wait for. */
static int find_store(weir_socket socket, const struct setting *setting)
{
    const weir_store_ops *ops;
    struct weir_options options;
    struct weir_sock *sock;
    int r = weir_sock_get(socket, &sock);

    if (r < 0)
        return r;
    options = sock->options;
    weir_sock_put(sock);
    r = set(&options, setting);
    if (r < 0 || (options.send_swap == 0 && options.recv_swap == 0 &&
                  !options.swap_store[0]))
        return r;
    return weir_options_find_store(&options, &ops);
}

static int change(weir_socket socket, const struct setting *setting)
{
    struct weir_sock *sock;
    int r = need(setting->option, "the option");

    if (r >= 0 && weir_options_is_swap(setting->option))
        r = find_store(socket, setting);
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return r;
    r = set(&sock->options, setting);
    if (r >= 0)
        r = weir_monitor_resize(&sock->monitor, (uint32_t)sock->options.events);
    if (r >= 0 && sock->pattern->option)
        sock->pattern->option(sock);
    weir_sock_put(sock);
    return r;
}

int weir_set(weir_socket socket, const char *option, const char *value)
{
    struct setting setting = {.as = TEXT, .option = option, .data = value};
    int r = need(value, "the value");

    if (r < 0)
        return weir_answer(r);
    setting.size = strlen(value);
    return weir_answer(change(socket, &setting));
}

int weir_set_int(weir_socket socket, const char *option, int64_t value)
{
    const struct setting setting = {
        .as = INT, .option = option, .number = value};

    return weir_answer(change(socket, &setting));
}

int weir_set_bytes(weir_socket socket, const char *option, const void *value,
                   size_t size)
{
    const struct setting setting = {
        .as = BYTES, .option = option, .data = value, .size = size};
    int r = size ? need(value, "the value") : 0;

    return weir_answer(r < 0 ? r : change(socket, &setting));
}

static int enter(weir_socket socket, const char *option, struct weir_sock **out)
{
    int r = need(option, "the option");

    return r < 0 ? r : weir_sock_get(socket, out);
}

int weir_get(weir_socket socket, const char *option, char *text, size_t *size)
{
    struct weir_sock *sock;
    int r = need(text, "the text");

    if (r >= 0)
        r = need(size, "the size");
    if (r >= 0)
        r = enter(socket, option, &sock);
    if (r < 0)
        return weir_answer(r);
    r = weir_options_get_text(&sock->options, option, text, size);
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_get_int(weir_socket socket, const char *option, int64_t *value)
{
    struct weir_sock *sock;
    int r = need(value, "the value");

    if (r >= 0)
        r = enter(socket, option, &sock);
    if (r < 0)
        return weir_answer(r);
    r = weir_options_get_int(&sock->options, option, value);
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_get_bytes(weir_socket socket, const char *option, void *value,
                   size_t *size)
{
    struct weir_sock *sock;
    int r = need(size, "the size");

    if (r >= 0)
        r = enter(socket, option, &sock);
    if (r < 0)
        return weir_answer(r);
    r = weir_options_get_bytes(&sock->options, option, value, size);
    weir_sock_put(sock);
    return weir_answer(r);
}

/* ---- sending ---- */

/* What is not as it was the last time.  owner: is inside by being the lock's
 * owner, and what was passed is in order; or NULL. */
static WEIR_NOINLINE int send_anew(weir_socket socket, const void *data,
                                   size_t size, int deadline,
                                   struct weir_resident *owner)
{
    struct weir_patience patience = {.ms = deadline};
    struct weir_sock *sock = NULL;
    weir_message message;
    int r;

    if (WEIR_LIKELY(data && deadline >= WEIR_FOREVER) &&
        (weir_again_send(socket, data, size, owner) ||
         weir_quick_send(socket, data, size, &sock)))
        return 0;
    r = check_deadline(deadline);
    if (r >= 0 && size > 0)
        r = need(data, "the data");
    if (r >= 0 && !sock)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    weir_message_borrow(&message, data, size);
    r = weir_sock_send(sock, &message, &patience);
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_send(weir_socket socket, const void *data, size_t size, int deadline)
{
    struct weir_again_stay stay;
    bool waits;

    if (WEIR_UNLIKELY(!data || !weir_queue_is_short(size) ||
                      deadline < WEIR_FOREVER ||
                      !weir_again_begin(&stay, socket, WEIR_WAIT_OUT)))
        return send_anew(socket, data, size, deadline, NULL);
    if (WEIR_UNLIKELY(!weir_again_holds(&stay, socket) ||
                      !weir_again_put(stay.sock, data, size, &waits)))
        return send_anew(socket, data, size, deadline, stay.owner);
    if (WEIR_UNLIKELY(waits))
        return weir_again_wake(stay.sock);
    return weir_again_end(&stay);
}

static int check_message(weir_message *message)
{
    int r = need(message, "the message");

    if (r >= 0 && message->count == 0)
        r = weir_fail(EINVAL, "the message has no frames");
    return r;
}

int weir_send_message(weir_socket socket, weir_message *message, int deadline)
{
    struct weir_patience patience = {.ms = deadline};
    struct weir_sock *sock;
    int r = check_deadline(deadline);

    if (r >= 0)
        r = check_message(message);
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    r = weir_sock_send(sock, message, &patience);
    weir_sock_put(sock);
    if (r >= 0)
        weir_message_fini(message);
    return weir_answer(r);
}

static int send_many(struct weir_sock *sock, weir_message *messages, int n,
                     int deadline)
{
    struct weir_patience patience = {.ms = deadline};
    int done = 0, r = 0;

    while (done < n && r >= 0) {
        r = check_message(&messages[done]);
        if (r >= 0)
            r = weir_sock_send(sock, &messages[done], &patience);
        if (r >= 0 || r == -EINPROGRESS) /* accepted, both of them */
            weir_message_fini(&messages[done++]);
    }
    return done > 0 ? done : r;
}

int weir_send_many(weir_socket socket, weir_message *messages, int n,
                   int deadline)
{
    struct weir_sock *sock;
    int r = check_deadline(deadline);

    if (r >= 0 && n < 1)
        r = weir_fail(EINVAL, "%d messages", n);
    if (r >= 0)
        r = need(messages, "the messages");
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    r = send_many(sock, messages, n, deadline);
    weir_sock_put(sock);
    return weir_answer(r);
}

/* A call that only waits for the socket. */
static int wait_for(weir_socket socket, int deadline,
                    int (*wait)(struct weir_sock *sock, int64_t deadline))
{
    struct weir_sock *sock;
    int r = check_deadline(deadline);

    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    r = wait(sock, weir_deadline_in(deadline));
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_sync(weir_socket socket, int deadline)
{
    return wait_for(socket, deadline, weir_sock_sync);
}

int weir_flush(weir_socket socket, int deadline)
{
    return wait_for(socket, deadline, weir_sock_flush);
}

/* ---- receiving ---- */

/* It does not fit: it stays first in line. */
static int hold(struct weir_sock *sock, weir_message *message, size_t *size,
                size_t room)
{
    size_t is = weir_frame_size(&message->first);
    uint32_t count = message->count;

    weir_sock_hold(sock, message);
    *size = is;
    if (count > 1)
        return weir_fail(EMSGSIZE,
                         "the message has %u frames: weir_recv_message() gets "
                         "it",
                         count);
    return weir_fail(EMSGSIZE,
                     "the message has %zu octets, there is room "
                     "for %zu",
                     is, room);
}

static int take(struct weir_sock *sock, weir_message *message, void *data,
                size_t *size)
{
    size_t is = weir_frame_size(&message->first);

    if (message->count > 1 || is > *size)
        return hold(sock, message, size, *size);
    memcpy(data, weir_frame_data(&message->first), is);
    *size = is;
    weir_message_fini(message);
    return 0;
}

static WEIR_NOINLINE int recv_anew(weir_socket socket, void *data, size_t *size,
                                   int deadline, struct weir_resident *owner)
{
    struct weir_patience patience = {.ms = deadline};
    struct weir_sock *sock = NULL;
    weir_message message;
    int r;

    if (WEIR_LIKELY(data && size && deadline >= WEIR_FOREVER) &&
        (weir_again_recv(socket, data, size, owner) ||
         weir_quick_recv(socket, data, size, &sock)))
        return 0;
    r = check_deadline(deadline);
    if (r >= 0)
        r = need(size, "the size");
    if (r >= 0 && *size > 0)
        r = need(data, "the buffer");
    if (r >= 0 && !sock)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    weir_message_init(&message);
    r = weir_sock_recv(sock, &message, &patience);
    if (r >= 0)
        r = take(sock, &message, data, size);
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_recv(weir_socket socket, void *data, size_t *size, int deadline)
{
    struct weir_again_stay stay;

    if (WEIR_UNLIKELY(!data || !size || deadline < WEIR_FOREVER ||
                      !weir_again_begin(&stay, socket, WEIR_WAIT_IN)))
        return recv_anew(socket, data, size, deadline, NULL);
    if (WEIR_UNLIKELY(!weir_again_holds(&stay, socket) ||
                      !weir_again_copy_short(stay.sock, data, size)))
        return recv_anew(socket, data, size, deadline, stay.owner);
    return weir_again_end(&stay);
}

static WEIR_NOINLINE int recv_message_anew(weir_socket socket,
                                           weir_message *message, int deadline,
                                           struct weir_resident *owner)
{
    struct weir_patience patience = {.ms = deadline};
    struct weir_sock *sock = NULL;
    int r;

    if (WEIR_LIKELY(message && deadline >= WEIR_FOREVER) &&
        (weir_again_recv_message(socket, message, owner) ||
         weir_quick_recv_message(socket, message, &sock)))
        return 0;
    r = check_deadline(deadline);
    if (r >= 0)
        r = need(message, "the message");
    if (r >= 0 && !sock)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    weir_message_fini(message);
    r = weir_sock_recv(sock, message, &patience);
    weir_sock_put(sock);
    return weir_answer(r < 0 ? r : 0);
}

int weir_recv_message(weir_socket socket, weir_message *message, int deadline)
{
    struct weir_again_stay stay;

    if (WEIR_UNLIKELY(!message || deadline < WEIR_FOREVER ||
                      !weir_again_begin(&stay, socket, WEIR_WAIT_IN)))
        return recv_message_anew(socket, message, deadline, NULL);
    if (WEIR_UNLIKELY(!weir_again_holds(&stay, socket) ||
                      !weir_again_refill(stay.sock, message)))
        return recv_message_anew(socket, message, deadline, stay.owner);
    return weir_again_end(&stay);
}

/* After the first one only what is there already. */
static int recv_many(struct weir_sock *sock, weir_message *messages, int n,
                     int deadline)
{
    struct weir_patience patience = {.ms = deadline};
    int done = 0, r = 0;

    while (done < n && r >= 0) {
        weir_message_fini(&messages[done]);
        r = done == 0 ? weir_sock_recv(sock, &messages[0], &patience)
                      : sock->pattern->recv(sock, &messages[done]);
        done += r >= 0;
    }
    if (done > 1)
        sock->received += (uint64_t)done - 1;
    return done > 0 ? done : r;
}

int weir_recv_many(weir_socket socket, weir_message *messages, int n,
                   int deadline)
{
    struct weir_sock *sock;
    int r = check_deadline(deadline);

    if (r >= 0 && n < 1)
        r = weir_fail(EINVAL, "%d messages", n);
    if (r >= 0)
        r = need(messages, "the messages");
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    r = recv_many(sock, messages, n, deadline);
    weir_sock_put(sock);
    return weir_answer(r);
}

/* ---- subscriptions ---- */

static int subscribe(weir_socket socket, const void *prefix, size_t size,
                     bool on)
{
    struct weir_sock *sock;
    int r = size ? need(prefix, "the prefix") : 0;

    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return r;
    if (sock->pattern->subscribe)
        r = sock->pattern->subscribe(sock, prefix, size, on);
    else
        r = weir_fail(EOPNOTSUPP, "a %s does not subscribe",
                      sock->pattern->name);
    if (r >= 0)
        (void)weir_drive_output(sock);
    weir_sock_put(sock);
    return r;
}

int weir_subscribe(weir_socket socket, const void *prefix, size_t size)
{
    return weir_answer(subscribe(socket, prefix, size, true));
}

int weir_unsubscribe(weir_socket socket, const void *prefix, size_t size)
{
    return weir_answer(subscribe(socket, prefix, size, false));
}

/* ---- waiting and seeing ---- */

int weir_readable_fd(weir_socket socket)
{
    return weir_answer(weir_readiness_of(socket, WEIR_WAIT_IN));
}

int weir_writable_fd(weir_socket socket)
{
    return weir_answer(weir_readiness_of(socket, WEIR_WAIT_OUT));
}

int weir_wait_peers(weir_socket socket, int n, int deadline)
{
    struct weir_sock *sock;
    int r = check_deadline(deadline);

    if (r >= 0 && n < 0)
        r = weir_fail(EINVAL, "%d peers", n);
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    r = weir_sock_wait_peers(sock, n, weir_deadline_in(deadline));
    weir_sock_put(sock);
    return weir_answer(r);
}

int weir_next_event(weir_socket socket, weir_event *event, int deadline)
{
    struct weir_sock *sock;
    weir_event oldest;
    int r = check_deadline(deadline);

    if (r >= 0)
        r = weir_sized_check(event, sizeof(*event), "weir_event");
    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    weir_sock_unlock(sock); /* we are inside: it stays */
    r = weir_monitor_take(&sock->monitor, &oldest, weir_deadline_in(deadline));
    weir_sock_lock(sock);
    weir_sock_put(sock);
    if (r >= 0)
        weir_sized_give(event, &oldest, sizeof(oldest));
    return weir_answer(r);
}
