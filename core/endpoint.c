/*
 * endpoint.c - see endpoint.h.
 */
#include "config.h"

#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/park.h"
#include "base/random.h"
#include "context.h"
#include "handshake.h"
#include "observer.h"
#include "pipe.h"
#include "registry.h"
#include "shells.h"
#include "socket.h"
#include "spill.h"
#include "splice.h"
#include "url.h"

enum {
    MS = 1000000,
    ACCEPTS = 64,    /* newcomers taken in one turn */
    RESUME_MS = 100, /* until accepting is tried again without descriptors */
    LONG_PAUSE_MS = 5000, /* after a permanent failure, at the least */
    HURRY_MS = 200        /* while somebody waits for a connection, at most */
};

static struct weir_reactor *reactor_of(const struct weir_ep *ep)
{
    return ep->sock->reactor;
}

/* ---- events ---- */

void weir_ep_event(struct weir_ep *ep, uint32_t kind, const char *peer,
                   uint64_t peer_id, uint64_t value, int code,
                   const char *reason)
{
    weir_event event = {.size = sizeof(event), .kind = kind, .value = value};

    event.source = (weir_endpoint){ep->index, ep->generation};
    event.peer_id = peer_id;
    event.code = code;
    snprintf(event.endpoint, sizeof(event.endpoint), "%s", ep->url);
    snprintf(event.peer, sizeof(event.peer), "%s", peer ? peer : "");
    snprintf(event.reason, sizeof(event.reason), "%s", reason ? reason : "");
    weir_monitor_put(&ep->sock->monitor, &event);
    weir_observer_put(ep->sock, &event);
}

/* Lock held. */
static void keep_error(struct weir_ep *ep, int code, const char *reason)
{
    ep->gone.last_error = ep->sock->gone.last_error = code;
    snprintf(ep->gone.last_reason, sizeof(ep->gone.last_reason), "%s", reason);
    snprintf(ep->sock->gone.last_reason, sizeof(ep->sock->gone.last_reason),
             "%s", reason);
}

static void remember_error(struct weir_ep *ep, int code, const char *reason)
{
    weir_sock_lock(ep->sock);
    keep_error(ep, code, reason);
    weir_sock_unlock(ep->sock);
}

void weir_ep_count_refused(struct weir_ep *ep, int code, const char *reason)
{
    ep->gone.refused++;
    ep->sock->gone.refused++;
    keep_error(ep, code, reason);
}

/* ---- dialers: again and again ---- */

/* The pause doubles from "reconnect" to "reconnect-max", with jitter, so that
 * a thousand clients do not come back at once. */
static int64_t next_pause(struct weir_ep *ep, bool permanent)
{
    int64_t least = ep->options.reconnect, most = ep->options.reconnect_max;
    int64_t ms;

    if (least == 0)
        least = 1;
    if (most < least)
        most = least;
    ms = ep->retry_ms ? ep->retry_ms : least;
    if (permanent && ms < LONG_PAUSE_MS)
        ms = LONG_PAUSE_MS;
    ep->retry_ms = ms * 2 > most ? most : ms * 2;
    return ms + (int64_t)weir_random_below((uint32_t)ms + 1);
}

bool weir_ep_opening(struct weir_ep *ep)
{
    bool is;

    weir_sock_lock(ep->sock);
    is = ep->opening;
    weir_sock_unlock(ep->sock);
    return is;
}

/* Not while the application's thread is in attach(), which may be long. */
static void retry(struct weir_ep *ep)
{
    bool later;

    weir_sock_lock(ep->sock);
    later = ep->again = ep->opening;
    weir_sock_unlock(ep->sock);
    if (!later)
        ep->ops->retry(ep->self);
}

static void on_retry(struct weir_timer *timer)
{
    struct weir_ep *ep = WEIR_CONTAINER(timer, struct weir_ep, retry);

    if (!atomic_load(&ep->closing))
        retry(ep);
}

/* Is something unsent, or, with `away`, unsent for want of a connection?  Lock
 * held. */
static bool has_unsent(struct weir_ep *ep, bool away)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &ep->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, of_ep);

        if (!pipe->dying && !(away && pipe->up) && weir_pipe_unsent(pipe))
            return true;
    }
    return false;
}

/* Does somebody wait for what waits for a connection? */
static bool is_waited_for(struct weir_ep *ep)
{
    bool is;

    weir_sock_lock(ep->sock);
    is = ep->sock->flushing > 0 && has_unsent(ep, true);
    weir_sock_unlock(ep->sock);
    return is;
}

/* With jitter, as next_pause(). */
static int64_t short_pause(void)
{
    return HURRY_MS / 2 + (int64_t)weir_random_below(HURRY_MS / 2 + 1);
}

/* A later attempt is brought forward, and a soon one stays where it is, however
 * often somebody comes. */
static void on_hurry(struct weir_task *task)
{
    struct weir_ep *ep = WEIR_CONTAINER(task, struct weir_ep, hurry);
    int64_t now = weir_now();

    if (atomic_load(&ep->closing) || ep->refused_for_good ||
        !weir_heap_has(&ep->retry.node) ||
        ep->retry.node.key <= now + HURRY_MS * MS)
        return;
    weir_timer_arm(reactor_of(ep), &ep->retry, now + short_pause() * MS);
}

void weir_ep_hurry(struct weir_ep *ep, int64_t deadline)
{
    if (!ep->binder && !atomic_load(&ep->closing) && has_unsent(ep, true) &&
        deadline > weir_now() + HURRY_MS * MS)
        weir_reactor_post(reactor_of(ep), &ep->hurry);
}

/* Those that are short because somebody waits do not count for the next. */
static int64_t pause_for(struct weir_ep *ep, bool permanent)
{
    int64_t before = ep->retry_ms, ms = next_pause(ep, permanent);

    ep->refused_for_good = permanent;
    if (ms <= HURRY_MS || permanent || !is_waited_for(ep))
        return ms;
    ep->retry_ms = before;
    return short_pause();
}

static void give_up(struct weir_ep *ep, int code, const char *reason)
{
    ep->gave_up = true;
    weir_ep_event(ep, WEIR_EVENT_CLOSED, NULL, 0, 0, code, reason);
}

void weir_ep_again(struct weir_ep *ep, bool permanent, int code,
                   const char *reason)
{
    int64_t ms;

    if (atomic_load(&ep->closing) || ep->gave_up)
        return;
    remember_error(ep, code, reason);
    if (ep->options.reconnect < 0) {
        give_up(ep, code, reason);
        return;
    }
    ms = pause_for(ep, permanent);
    weir_ep_event(ep, WEIR_EVENT_RETRY, NULL, 0, (uint64_t)ms, code, reason);
    weir_timer_arm(reactor_of(ep), &ep->retry, weir_now() + ms * MS);
}

static void fail(struct weir_ep *ep, bool permanent, int code,
                 const char *reason)
{
    if (atomic_load(&ep->closing))
        return;
    if (!permanent && !ep->binder) {
        weir_ep_again(ep, false, code, reason);
        return;
    }
    remember_error(ep, code, reason);
    give_up(ep, code, reason);
}

static void on_failed(struct weir_task *task)
{
    struct weir_ep *ep = WEIR_CONTAINER(task, struct weir_ep, failed);
    char reason[sizeof(ep->gone.last_reason)];
    int code;

    weir_sock_lock(ep->sock);
    code = ep->gone.last_error;
    snprintf(reason, sizeof(reason), "%s", ep->gone.last_reason);
    weir_sock_unlock(ep->sock);
    fail(ep, code == WEIR_EINCOMPATIBLE, code, reason);
}

/* On inproc this comes from a call of the application, not from a turn. */
void weir_ep_failed(weir_ep *ep, int permanent, const weir_error *error)
{
    const char *reason = error && error->text ? error->text : "no reason given";
    int code = error ? error->code : EIO;

    if (!ep->splices) {
        fail(ep, permanent != 0, code, reason);
        return;
    }
    remember_error(ep, code, reason);
    weir_sock_lock(ep->sock); /* not when it is finished already */
    if (!atomic_load(&ep->closing))
        weir_reactor_post(reactor_of(ep), &ep->failed);
    weir_sock_unlock(ep->sock);
}

/* ---- connections made ---- */

void weir_ep_refused(weir_ep *ep, const weir_peer *peer,
                     const weir_error *error)
{
    const char *reason = error && error->text ? error->text : "";
    int code = error ? error->code : 0;

    weir_sock_lock(ep->sock);
    weir_ep_count_refused(ep, code, reason);
    weir_sock_unlock(ep->sock);
    weir_ep_event(ep, WEIR_EVENT_REFUSED, peer ? peer->remote : NULL, 0, 0,
                  code, reason);
}

int weir_ep_not_made(struct weir_ep *ep, const weir_peer *peer, int code)
{
    char reason[192];
    weir_error error = {sizeof(error), code, reason, sizeof(reason)};

    snprintf(reason, sizeof(reason), "%s", weir_error_text());
    weir_ep_refused(ep, peer, &error);
    if (!ep->binder)
        weir_ep_again(ep, code != ENOMEM, code, reason);
    return weir_fail(code, "%s", reason);
}

int weir_ep_made_socket(weir_ep *ep, int fd, const weir_peer *peer)
{
    if (atomic_load(&ep->closing)) {
        close(fd);
        return -ECANCELED;
    }
    return weir_handshake_begin(ep, fd, NULL, NULL, peer);
}

/* What is missing in a plugin's table; NULL: nothing. */
static const char *missing_slot(const weir_stream_ops *ops)
{
    if (!ops)
        return "table";
    if (!WEIR_HAS(weir_stream_ops, ops, writev))
        return "writev";
    if (!WEIR_HAS(weir_stream_ops, ops, readv))
        return "readv";
    return WEIR_HAS(weir_stream_ops, ops, close) ? NULL : "close";
}

/* Who cannot close does not free either. */
static int refuse_table(struct weir_ep *ep, int fd, const weir_stream_ops *ops,
                        void *self, const weir_peer *peer, const char *missing)
{
    if (ops && WEIR_HAS(weir_stream_ops, ops, close))
        ops->close(self);
    else
        close(fd);
    weir_fail(WEIR_EPLUGIN,
              "%s: the plugin's connection has no %s in weir_stream_ops",
              ep->url, missing);
    return weir_ep_not_made(ep, peer, WEIR_EPLUGIN);
}

int weir_ep_made_stream(weir_ep *ep, int fd, const weir_stream_ops *ops,
                        void *self, const weir_peer *peer)
{
    const char *missing = missing_slot(ops);

    if (missing)
        return refuse_table(ep, fd, ops, self, peer, missing);
    if (atomic_load(&ep->closing)) {
        ops->close(self);
        return -ECANCELED;
    }
    return weir_handshake_begin(ep, fd, ops, self, peer);
}

uint64_t weir_ep_scope(const weir_ep *ep)
{
    return ep->sock->ctx->scope;
}

/* ---- accepting ---- */

static int accept_one(int fd, struct sockaddr_storage *from, socklen_t *size)
{
#if defined(HAVE_ACCEPT4)
    return accept4(fd, (struct sockaddr *)from, size,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int got = accept(fd, (struct sockaddr *)from, size);

    if (got >= 0) {
        (void)fcntl(got, F_SETFD, FD_CLOEXEC);
        (void)fcntl(got, F_SETFL, O_NONBLOCK);
    }
    return got;
#endif
}

/* Have newcomers reported.  Returns the first error. */
static int listen_for(struct weir_ep *ep, unsigned events)
{
    int r = 0;

    for (struct weir_listener *one = ep->listeners; one; one = one->next) {
        int tried = one->watched
                        ? weir_watch_change(reactor_of(ep), &one->watch, events)
                        : weir_watch_add(reactor_of(ep), &one->watch, events);

        one->watched = one->watched || tried >= 0;
        r = tried < 0 ? tried : r;
    }
    return r;
}

static void pause_accepting(struct weir_ep *ep, bool with_timer)
{
    ep->paused = true;
    (void)listen_for(ep, 0);
    if (WEIR_HAS(weir_transport_ops, ep->ops, pause))
        ep->ops->pause(ep->self, 1);
    if (with_timer)
        weir_timer_arm(reactor_of(ep), &ep->resume,
                       weir_now() + (int64_t)RESUME_MS * MS);
}

static bool is_shortage(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM ||
           code == ENOBUFS || code == ENOSPC;
}

/* Out of descriptors or memory: listening goes on when there may be some
 * again; the newcomers wait in the kernel. */
static void no_accept(struct weir_ep *ep, int code)
{
    if (!is_shortage(code))
        return; /* that newcomer has gone again */
    weir_ep_event(ep, WEIR_EVENT_ACCEPT_FAILED, NULL, 0, RESUME_MS, code,
                  weir_strerror(code));
    pause_accepting(ep, true);
}

static void resume_accepting(struct weir_ep *ep)
{
    int r;

    if (!ep->paused || atomic_load(&ep->closing))
        return;
    ep->paused = false;
    r = listen_for(ep, WEIR_POLLER_IN);
    if (WEIR_HAS(weir_transport_ops, ep->ops, pause))
        ep->ops->pause(ep->self, 0);
    if (r < 0)
        no_accept(ep, -r);
}

/* With descriptors again there may be too many handshakes: the end of one of
 * them goes on then. */
static void on_resume(struct weir_timer *timer)
{
    struct weir_ep *ep = WEIR_CONTAINER(timer, struct weir_ep, resume);

    if (ep->n_handshakes < (uint64_t)ep->options.half_open)
        resume_accepting(ep);
}

void weir_ep_less_handshakes(struct weir_ep *ep)
{
    ep->n_handshakes--;
    if (ep->n_handshakes < (uint64_t)ep->options.half_open)
        resume_accepting(ep);
}

/* It has as many connections as it may, those in their handshake included.  Who
 * waits is looked at again after a while. */
static bool is_full(const struct weir_ep *ep)
{
    const struct weir_sock *sock = ep->sock;

    return sock->most_peers &&
           atomic_load(&sock->n_up) + ep->n_handshakes >= sock->most_peers;
}

static void on_newcomers(struct weir_watch *watch, unsigned events)
{
    struct weir_ep *ep = WEIR_CONTAINER(watch, struct weir_listener, watch)->ep;

    (void)events;
    for (int i = 0; i < ACCEPTS && !ep->paused; i++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        int fd;

        if (is_full(ep)) {
            pause_accepting(ep, true);
            return;
        }
        fd = accept_one(watch->fd, &from, &size);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                no_accept(ep, errno);
            return;
        }
        ep->ops->accepted(ep->self, fd, (struct sockaddr *)&from, size);
        if (ep->n_handshakes >= (uint64_t)ep->options.half_open)
            pause_accepting(ep, false);
    }
}

static void forget_listener(struct weir_listener *one)
{
    one->ep = NULL;
    if (one->own)
        free(one);
}

static struct weir_listener *new_listener(struct weir_ep *ep)
{
    struct weir_listener *one;

    for (int i = 0; i < WEIR_EP_LISTENERS; i++)
        if (!ep->first_listeners[i].ep)
            return &ep->first_listeners[i];
    one = calloc(1, sizeof(*one));
    if (one)
        one->own = true;
    return one;
}

/* bind() has said already that this is bound, so a shortage delays it. */
int weir_ep_listener(weir_ep *ep, int fd)
{
    struct weir_listener *one;
    int r;

    if (!WEIR_HAS(weir_transport_ops, ep->ops, accepted))
        return weir_fail(EINVAL, "%s: the transport has no accepted()",
                         ep->url);
    one = new_listener(ep);
    if (!one)
        return weir_fail(ENOMEM, "no memory to listen at %s", ep->url);
    one->ep = ep;
    one->watch.fd = fd;
    one->watch.ready = on_newcomers;
    r = weir_watch_add(reactor_of(ep), &one->watch, WEIR_POLLER_IN);
    one->watched = r >= 0;
    if (r < 0 && !is_shortage(-r)) {
        forget_listener(one);
        return r;
    }
    weir_owned_add(fd, weir_sock_owner(ep->sock));
    one->next = ep->listeners;
    ep->listeners = one;
    if (r < 0)
        no_accept(ep, -r);
    return 0;
}

/* ---- opening ---- */

static bool is_known(void *arg, const char *name)
{
    const weir_transport_ops *ops = arg;
    const weir_option *row = weir_options_find(name);

    if (row && (row->flags & WEIR_OPTION_ENDPOINT))
        return true;
    for (uint32_t i = 0; i < ops->n_options; i++)
        if (strcmp(ops->options[i].name, name) == 0)
            return true;
    return false;
}

/* What two sockets have between them without a connection is one queue, whose
 * memory is the reader's as much as the writer's. */
static int check_swap(const struct weir_ep *ep, const struct weir_url *url)
{
    const struct weir_options *options = &ep->options;

    if (!ep->splices || (options->send_swap == 0 && options->recv_swap == 0))
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "option \"%s\": %.32s:// has no swap, set it to 0",
                     options->send_swap ? "send-swap" : "recv-swap",
                     url->scheme);
}

static int apply_options(struct weir_ep *ep, const struct weir_url *url)
{
    int r = 0;

    for (size_t i = 0; i < url->n_options && r >= 0; i++) {
        const struct weir_url_option *option = &url->options[i];

        if (weir_options_find(option->name))
            r = weir_options_set_text(&ep->options, option->name, option->value,
                                      option->size);
        else
            r = weir_values_set_text(&ep->values, option->name, option->value,
                                     option->size);
    }
    return r;
}

static int check_abilities(const struct weir_sock *sock,
                           const weir_transport_ops *ops, const char *scheme,
                           bool binder)
{
    uint32_t need = binder ? WEIR_CAN_BIND : WEIR_CAN_DIAL;

    if (!(ops->abilities & need))
        return weir_fail(WEIR_EINCOMPATIBLE, "the transport %s cannot %s",
                         scheme, binder ? "bind" : "connect");
    if ((ops->abilities & WEIR_CAN_MULTICAST) &&
        !(sock->pattern->abilities & WEIR_PATTERN_MULTICAST))
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "the transport %s carries no %s sockets", scheme,
                         sock->pattern->name);
    return 0;
}

static int set_url(struct weir_ep *ep, const char *scheme, const char *address)
{
    int n = snprintf(NULL, 0, "%s://%s", scheme, address);
    char *url = malloc((size_t)n + 1);

    if (!url)
        return weir_fail(ENOMEM, "no memory for an endpoint");
    snprintf(url, (size_t)n + 1, "%s://%s", scheme, address);
    free(ep->url);
    ep->url = url;
    return 0;
}

static int call_plugin(struct weir_ep *ep, const struct weir_url *url)
{
    char actual[WEIR_URL_MAX], text[WEIR_URL_MAX];
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    void *self = NULL;
    int r;

    text[0] = '\0';
    snprintf(actual, sizeof(actual), "%s", url->address);
    if (ep->binder)
        r = ep->ops->bind(&weir_the_host, &weir_the_transport_host, ep,
                          url->scheme, url->address, actual, sizeof(actual),
                          &self, &error);
    else
        r = ep->ops->dial(&weir_the_host, &weir_the_transport_host, ep,
                          url->scheme, url->address, &self, &error);
    if (r < 0)
        return weir_fail(-r, "%s", text[0] ? text : weir_strerror(-r));
    actual[sizeof(actual) - 1] = '\0';
    r = set_url(ep, url->scheme, actual);
    if (r < 0)
        ep->ops->close(self);
    else
        ep->self = self;
    return r;
}

static void on_attach(struct weir_task *task);
static void on_close(struct weir_task *task);

static struct weir_ep *make(struct weir_sock *sock, bool binder,
                            const weir_transport_ops *ops)
{
    struct weir_ep *ep = calloc(1, sizeof(*ep));

    if (!ep)
        return NULL;
    ep->sock = sock;
    ep->binder = binder;
    ep->ops = ops;
    ep->splices = (ops->abilities & WEIR_CAN_SPLICE) != 0;
    weir_values_init(&ep->values, ops->options, ops->n_options);
    weir_list_init(&ep->in_sock);
    weir_list_init(&ep->pipes);
    weir_list_init(&ep->handshakes);
    ep->attach.run = on_attach;
    ep->close.run = on_close;
    ep->failed.run = on_failed;
    ep->hurry.run = on_hurry;
    ep->retry.fire = on_retry;
    ep->resume.fire = on_resume;
    return ep;
}

static void close_plugin(struct weir_ep *ep)
{
    if (ep->self)
        ep->ops->close(ep->self);
    ep->self = NULL;
}

static void unmake(struct weir_ep *ep)
{
    weir_values_fini(&ep->values);
    weir_swap_fini(&ep->swap);
    free(ep->url);
    free(ep);
}

static int attach(struct weir_ep *ep)
{
    char text[256];
    weir_error error = {sizeof(error), 0, text, sizeof(text)};
    int r;

    text[0] = '\0';
    r = ep->ops->attach(ep->self, ep->splices ? NULL : reactor_of(ep), &error);
    if (r >= 0)
        return 0;
    error.code = -r;
    if (ep->splices && r == -WEIR_EINCOMPATIBLE)
        return weir_fail(-r, "%s", text[0] ? text : weir_strerror(-r));
    weir_ep_failed(ep, ep->binder, &error);
    return ep->splices ? 0 : r; /* refused: tried again, as elsewhere */
}

static void on_attach(struct weir_task *task)
{
    struct weir_ep *ep = WEIR_CONTAINER(task, struct weir_ep, attach);

    if (atomic_load(&ep->closing))
        return;
    if (ep->splices)
        retry(ep); /* the other side has gone */
    else
        (void)attach(ep);
}

/* A dialer's queue takes messages before there is a connection.  Lock held. */
int weir_ep_give_pipe(struct weir_ep *ep)
{
    struct weir_sock *sock = ep->sock;
    struct weir_pipe *pipe;
    int r;

    if (ep->binder || ep->options.immediate ||
        (sock->pattern->abilities & WEIR_PATTERN_LATE_QUEUE))
        return 0;
    pipe = ep->splices ? weir_splice_new_pipe(ep) : weir_pipe_new(sock, ep);
    if (!pipe)
        return weir_fail(ENOMEM, "no memory for a queue");
    r = weir_sock_add_pipe(sock, pipe);
    if (r < 0) {
        weir_pipe_free(pipe);
        return r;
    }
    ep->pipe = pipe;
    r = sock->pattern->attach(sock, pipe);
    pipe->attached = r >= 0;
    if (r < 0)
        weir_sock_bury(sock, pipe);
    else
        weir_sock_wake(sock, WEIR_WAIT_OUT);
    return r;
}

/* An address is wrong: a misspelt option would be a part of it. */
static int wrong_address(const struct weir_url *url)
{
    if (!url->unknown)
        return -EINVAL;
    return weir_fail(EINVAL, "%.400s (\"%.*s\" is no option of an endpoint)",
                     weir_error_text(), (int)url->unknown_size, url->unknown);
}

static int build(struct weir_sock *sock, const char *text, bool binder,
                 struct weir_ep **out)
{
    const weir_transport_ops *ops;
    struct weir_url url;
    struct weir_ep *ep;
    int r = weir_url_init(&url, text);

    if (r >= 0)
        r = weir_registry_transport(url.scheme, &ops, NULL);
    if (r >= 0)
        r = check_abilities(sock, ops, url.scheme, binder);
    if (r >= 0)
        r = weir_url_split(&url, is_known, (void *)(uintptr_t)ops);
    if (r < 0)
        return r;
    ep = make(sock, binder, ops);
    if (!ep)
        return weir_fail(ENOMEM, "no memory for an endpoint");
    weir_sock_lock(sock);
    ep->options = sock->options;
    weir_sock_unlock(sock);
    r = set_url(ep, url.scheme, url.address);
    if (r >= 0)
        r = apply_options(ep, &url);
    if (r >= 0)
        r = check_swap(ep, &url);
    if (r >= 0)
        r = weir_swap_init(ep);
    if (r >= 0)
        r = call_plugin(ep, &url);
    if (r < 0) {
        unmake(ep);
        return r == -EINVAL ? wrong_address(&url) : r;
    }
    *out = ep;
    return 0;
}

/* It becomes one of the socket's, which may be closing since.  Lock held. */
static int enlist(struct weir_ep *ep)
{
    int r;

    if (ep->sock->state != WEIR_SOCK_OPEN)
        return weir_fail(WEIR_ECLOSING, "the socket is being closed");
    r = weir_shells_add_ep(ep);
    if (r < 0)
        return r;
    weir_list_append(&ep->sock->eps, &ep->in_sock);
    r = weir_ep_give_pipe(ep);
    if (r < 0) {
        weir_list_remove(&ep->in_sock);
        weir_shells_remove_ep(ep);
    } else if (!ep->binder) {
        ep->sock->options.connect_routing_id.size = 0; /* for one connect */
    }
    return r;
}

/* Who hears of it may close it at once, which takes the lock.  Lock held. */
static void announce(struct weir_ep *ep)
{
    if (ep->binder)
        weir_ep_event(ep, WEIR_EVENT_LISTENING, NULL, 0, 0, 0, "");
    if (ep->splices)
        ep->opening = true;
    else
        weir_reactor_post(reactor_of(ep), &ep->attach);
}

/* Once: it may be finished already.  Lock held. */
static void end(struct weir_ep *ep)
{
    if (!ep->ending)
        weir_reactor_post(reactor_of(ep), &ep->close);
    ep->ending = true;
}

/* What had to wait for the end of attach() is done now.  It is closed when the
 * other side at the same name does not go with it: the call fails.  Lock held;
 * when that is let go the endpoint may be no more. */
static void settle(struct weir_ep *ep, bool failed)
{
    ep->opening = false;
    if (failed)
        weir_shells_remove_ep(ep);
    if (failed || ep->unwanted || ep->sock->cut)
        end(ep);
    else if (ep->again)
        weir_reactor_post(reactor_of(ep), &ep->attach);
    ep->again = false;
    weir_sock_wake(ep->sock, WEIR_WAIT_STATE);
}

/* Lock held on entry and on return, not in between. */
static int begin(struct weir_ep *ep)
{
    struct weir_sock *sock = ep->sock;
    int r;

    announce(ep);
    if (!ep->splices)
        return 0;
    weir_sock_unlock(sock);
    r = attach(ep);
    weir_sock_lock(sock);
    settle(ep, r < 0);
    return r;
}

/* Lock held.  What came to nothing is closed without it. */
static int open_it(struct weir_sock *sock, const char *url, bool binder,
                   weir_endpoint *out)
{
    struct weir_ep *ep = NULL;
    weir_endpoint made;
    int r;

    weir_sock_unlock(sock); /* we are inside: it stays */
    r = build(sock, url, binder, &ep);
    weir_sock_lock(sock);
    if (r < 0)
        return r;
    r = enlist(ep);
    if (r < 0) {
        weir_sock_unlock(sock);
        close_plugin(ep);
        unmake(ep);
        weir_sock_lock(sock);
        return r;
    }
    made = (weir_endpoint){ep->index, ep->generation};
    r = begin(ep);
    if (r >= 0 && out)
        *out = made;
    return r;
}

int weir_ep_open(weir_socket handle, const char *url, bool binder,
                 weir_endpoint *out)
{
    struct weir_sock *sock;
    int r = weir_sock_get(handle, &sock);

    if (r < 0)
        return r;
    sock->in_plugins++;
    r = open_it(sock, url, binder, out);
    sock->in_plugins--;
    weir_sock_put(sock);
    return r;
}

/* ---- closing ---- */

static void stop_listening(struct weir_ep *ep)
{
    while (ep->listeners) {
        struct weir_listener *one = ep->listeners;

        ep->listeners = one->next;
        weir_watch_remove(reactor_of(ep), &one->watch);
        weir_owned_remove(one->watch.fd, weir_sock_owner(ep->sock));
        forget_listener(one);
    }
}

void weir_ep_shut(struct weir_ep *ep)
{
    struct weir_list *node;

    atomic_store(&ep->closing, true);
    if (!ep->shut) {
        ep->shut = true;
        stop_listening(ep);
        weir_timer_cancel(reactor_of(ep), &ep->retry);
        weir_timer_cancel(reactor_of(ep), &ep->resume);
        while ((node = weir_list_first(&ep->handshakes)) != NULL)
            weir_handshake_abandon(
                WEIR_CONTAINER(node, struct weir_handshake, in_ep));
    }
}

/* Let go of a pipe's connection.  False: somebody drives it just now, and the
 * reactor will be told. */
static bool release_pipe(struct weir_pipe *pipe, struct weir_parting *how)
{
    if (pipe->splice) {
        snprintf(how->peer, sizeof(how->peer), "%s", pipe->ep->url);
        weir_splice_part(pipe);
        return true;
    }
    if (pipe->dying)
        return true; /* its driver word is held for good */
    if (!weir_link_seize(&pipe->link))
        return false;
    if (atomic_load(&pipe->link.live))
        weir_link_end(&pipe->link, how);
    return true;
}

/* The endpoint's pipes go; with `all`, unread messages or not.  Lock held.
 * False: not all could. */
static bool bury_pipes(struct weir_ep *ep, bool all)
{
    struct weir_list *node, *after;
    bool done = true;

    WEIR_LIST_EACH(node, after, &ep->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, of_ep);
        struct weir_parting how = {.reason = "closed by this side"};

        if (atomic_load(&pipe->link.down.posted) ||
            atomic_load(&pipe->link.rearm.posted) ||
            !release_pipe(pipe, &how)) {
            done = false;
            continue;
        }
        if (pipe->up) {
            pipe->dying = true; /* so that the pattern forgets it */
            weir_sock_part(ep->sock, pipe, &how);
        }
        weir_sock_retire(ep->sock, pipe, all);
    }
    return done;
}

void weir_ep_forget_pipe(struct weir_ep *ep)
{
    if (weir_list_empty(&ep->pipes) && ep->finished && ep->waiters == 0)
        unmake(ep);
}

bool weir_ep_finish(struct weir_ep *ep, bool all)
{
    struct weir_sock *sock = ep->sock;
    bool done;

    weir_ep_shut(ep);
    weir_sock_lock(sock); /* who holds it may have missed that we close */
    done = !atomic_load(&ep->attach.posted) && !atomic_load(&ep->close.posted);
    weir_sock_unlock(sock);
    if (!done)
        return false;
    if (ep->splices)
        close_plugin(ep); /* no join is under way from now on */
    weir_sock_lock(sock);
    done = !atomic_load(&ep->failed.posted) &&
           !atomic_load(&ep->hurry.posted) && bury_pipes(ep, all);
    weir_sock_unlock(sock);
    if (!done)
        return false;
    close_plugin(ep);
    weir_sock_lock(sock);
    weir_list_remove(&ep->in_sock);
    ep->finished = true;
    weir_ep_event(ep, WEIR_EVENT_CLOSED, NULL, 0, 0, 0, "");
    atomic_fetch_add(&ep->done_word, 1);
    if (weir_list_empty(&ep->pipes) && ep->waiters == 0)
        unmake(ep);
    else
        weir_unpark(&ep->done_word, INT_MAX);
    weir_sock_unlock(sock);
    return true;
}

static void on_close(struct weir_task *task)
{
    struct weir_ep *ep = WEIR_CONTAINER(task, struct weir_ep, close);

    if (!weir_ep_finish(ep, false))
        weir_reactor_post(reactor_of(ep), &ep->close);
}

int weir_ep_get(weir_endpoint handle, struct weir_ep **out)
{
    weir_socket of;
    struct weir_sock *sock;
    int r = weir_shells_ep_sock(handle, &of);

    if (r >= 0)
        r = weir_sock_get(of, &sock);
    if (r < 0)
        return r;
    *out = weir_shells_ep(handle);
    if (*out)
        return 0;
    weir_sock_put(sock);
    return weir_fail(EBADF, "the endpoint is closed, or never was open");
}

static void flush(struct weir_ep *ep, int64_t deadline)
{
    struct weir_patience patience = weir_patience_until(deadline);
    struct weir_sock *sock = ep->sock;

    if (sock->pattern->abilities & WEIR_PATTERN_DISCARDS)
        return;
    sock->flushing++;
    (void)weir_drive_output(sock);
    weir_ep_hurry(ep, deadline);
    while (has_unsent(ep, false) &&
           weir_wait(sock, WEIR_WAIT_STATE, &patience) >= 0)
        (void)weir_drive_output(sock);
    sock->flushing--;
}

/* Wait until no thread is in attach().  Returns false when the deadline has
 * passed, or the socket is being closed: then that thread has it closed.
 * Lock held. */
static bool await_attached(struct weir_ep *ep, int64_t deadline)
{
    struct weir_patience patience =
        weir_patience_until(weir_sock_patience(deadline));

    while (ep->opening && weir_wait(ep->sock, WEIR_WAIT_STATE, &patience) >= 0)
        ;
    if (!ep->opening)
        return true;
    ep->unwanted = true;
    atomic_store(&ep->closing, true);
    return false;
}

/* Lock held on entry and on return, not in between. */
static void finish(struct weir_ep *ep)
{
    struct weir_sock *sock = ep->sock;

    end(ep);
    weir_sock_unlock(sock);
    weir_reactor_await(reactor_of(ep), &ep->done_word);
    weir_sock_lock(sock);
}

/* Lock held on entry and on return, not in between. */
static void await_stores(struct weir_sock *sock, int64_t deadline)
{
    weir_sock_unlock(sock);
    weir_spill_await_left(weir_sock_patience(deadline));
    weir_sock_lock(sock);
}

static int closed(uint64_t lost, bool finished)
{
    if (lost > 0)
        return weir_fail(EAGAIN, "messages that went unsent: %llu",
                         (unsigned long long)lost);
    if (!finished)
        return weir_fail(EAGAIN, "the transport still opens the endpoint, "
                                 "which is closed after that");
    return 0;
}

int weir_ep_close(weir_endpoint handle, int64_t deadline, uint64_t *unsent)
{
    struct weir_ep *ep;
    struct weir_sock *sock;
    weir_stats sum;
    uint64_t lost;
    bool finished;
    int r = weir_ep_get(handle, &ep);

    if (r < 0)
        return r;
    sock = ep->sock;
    weir_shells_remove_ep(ep);
    ep->waiters++;
    lost = weir_stats_sum(sock, ep).send_dropped[WEIR_DROP_CLOSED];
    if (deadline == WEIR_LINGER)
        deadline = weir_deadline_in((int)ep->options.linger);
    flush(ep, deadline);
    finished = await_attached(ep, deadline);
    if (finished)
        finish(ep);
    if (sock->keeps)
        await_stores(sock, deadline);
    sum = weir_stats_sum(sock, ep);
    lost = sum.send_dropped[WEIR_DROP_CLOSED] + sum.send_queued - lost;
    if (--ep->waiters == 0 && weir_list_empty(&ep->pipes) && ep->finished)
        unmake(ep);
    weir_sock_put(sock);
    if (unsent)
        *unsent = lost;
    return closed(lost, finished);
}
