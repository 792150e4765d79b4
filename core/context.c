/*
 * context.c - see context.h.
 */
#include "config.h"

#include "context.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fence.h"
#include "base/park.h"
#include "base/random.h"
#include "base/thread.h"
#include "endpoint.h"
#include "observer.h"
#include "shells.h"
#include "socket.h"

enum { SOCKETS_MAX = 1023 };

/* ---- forks ---- */

_Atomic uint64_t weir_forks = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t watch = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool watched;

/* A child that never calls the library would hold the stats endpoints of its
 * parent: a port stays taken as long as it lives, and who connects waits for an
 * answer. */
static void leave_observers(void)
{
    struct weir_ctx *ctx;

    for (uint32_t i = 0; (ctx = weir_shells_ctx(i)) != NULL; i++)
        if (atomic_load(&ctx->fork_generation) == weir_fork_generation())
            weir_observer_leave(ctx);
}

/* Nobody in the child has the parent's stores. */
static void in_child(void)
{
    leave_observers();
    weir_owned_close(WEIR_OWNED_STORES);
    weir_park_after_fork();
    weir_biased_in_child();
    weir_shells_in_child();
    atomic_fetch_add(&weir_forks, 1);
}

/* Forks that nobody tells us of would leave a child with handles that look
 * alive.  Until the handlers are there, each context tries. */
static int watch_forks(void)
{
    int code = 0;

    if (atomic_load(&watched))
        return 0;
    pthread_mutex_lock(&watch);
    if (!atomic_load(&watched))
        code = pthread_atfork(weir_shells_before_fork, weir_shells_after_fork,
                              in_child);
    atomic_store(&watched, code == 0);
    pthread_mutex_unlock(&watch);
    return code == 0 ? 0 : weir_fail(ENOMEM, "no memory for a fork handler");
}

/* ---- opening ---- */

static void close_reactors(struct weir_ctx *ctx, int n)
{
    while (n > 0)
        weir_reactor_close(&ctx->reactors[--n]);
    free(ctx->reactors);
    ctx->reactors = NULL;
}

static int open_reactors(struct weir_ctx *ctx)
{
    int r = 0, n;

    ctx->reactors = calloc((size_t)ctx->n_reactors, sizeof(*ctx->reactors));
    if (!ctx->reactors)
        return weir_fail(ENOMEM, "no memory for a context");
    for (n = 0; n < ctx->n_reactors; n++) {
        r = weir_reactor_open(&ctx->reactors[n], ctx);
        if (r < 0)
            break;
    }
    if (r < 0)
        close_reactors(ctx, n);
    return r;
}

/* Unlikely to meet that of another copy of this library. */
static uint64_t new_scope(void)
{
    uint64_t scope = 0;

    if (weir_random_fill(&scope, sizeof(scope)) < 0)
        scope = (uint64_t)weir_now();
    return scope;
}

static int prepare(struct weir_ctx *ctx, int io_threads)
{
    ctx->open = false;
    atomic_store(&ctx->closing, false);
    atomic_store(&ctx->fork_generation, weir_fork_generation());
    ctx->scope = new_scope();
    ctx->n_threads = io_threads;
    ctx->n_reactors = io_threads ? io_threads : 1;
    ctx->started = false;
    ctx->next_reactor = 0;
    weir_list_init(&ctx->socks);
    ctx->n_socks = 0;
    ctx->max_socks = SOCKETS_MAX;
    ctx->affinity[0] = '\0';
    snprintf(ctx->thread_name, sizeof(ctx->thread_name), "weir-io");
    atomic_store(&ctx->observer, NULL);
    atomic_store(&ctx->events_wanted, false);
    weir_monitor_init(&ctx->events, WEIR_OBSERVER_EVENTS);
    ctx->confession_code = 0;
    return open_reactors(ctx);
}

int weir_ctx_open(weir_context *out, int io_threads)
{
    struct weir_ctx *ctx;
    int r;

    if (io_threads < 0 || io_threads > WEIR_CONTEXT_THREADS_MAX)
        return weir_fail(EINVAL, "%d I/O threads: 0 to %d are allowed",
                         io_threads, WEIR_CONTEXT_THREADS_MAX);
    pthread_once(&once, weir_fence_init);
    r = watch_forks();
    if (r < 0)
        return r;
    ctx = weir_shells_new_ctx();
    if (!ctx)
        return weir_fail(ENOMEM, "no memory for a context");
    weir_lock_take(&ctx->lock);
    r = prepare(ctx, io_threads);
    ctx->open = r >= 0;
    if (r >= 0)
        *out = (weir_context){ctx->index, ctx->generation};
    weir_lock_release(&ctx->lock);
    if (r < 0)
        weir_shells_free_ctx(ctx);
    return r;
}

static int find(weir_context handle, struct weir_ctx **out)
{
    struct weir_ctx *ctx = weir_shells_ctx(handle.index);

    if (!ctx || handle.generation == 0)
        return weir_fail(EBADF, "this is not a context");
    *out = ctx;
    return 0;
}

static bool of_parent(struct weir_ctx *ctx)
{
    return atomic_load_explicit(&ctx->fork_generation, memory_order_relaxed) !=
           weir_fork_generation();
}

int weir_ctx_get(weir_context handle, struct weir_ctx **out)
{
    struct weir_ctx *ctx = NULL;
    int r = find(handle, &ctx);

    if (r < 0)
        return r;
    if (of_parent(ctx))
        return weir_fail(WEIR_EFORK,
                         "the context belongs to the parent process");
    weir_lock_take(&ctx->lock);
    if (ctx->open && ctx->generation == handle.generation) {
        *out = ctx;
        return 0;
    }
    weir_lock_release(&ctx->lock);
    return weir_fail(EBADF, "the context is closed, or never was open");
}

/* ---- sockets come and go ---- */

static void stop_threads(struct weir_ctx *ctx)
{
    for (int i = 0; i < ctx->n_reactors; i++)
        weir_reactor_stop(&ctx->reactors[i]);
}

static int start_threads(struct weir_ctx *ctx)
{
    for (int i = 0; i < ctx->n_threads; i++) {
        char name[24];
        int r;

        snprintf(name, sizeof(name), "%s-%d", ctx->thread_name, i);
        r = weir_reactor_start(&ctx->reactors[i], name, ctx->affinity);
        if (r < 0) {
            stop_threads(ctx);
            return r;
        }
    }
    ctx->started = true;
    return 0;
}

int weir_ctx_join(struct weir_ctx *ctx, struct weir_sock *sock)
{
    int r;

    if (atomic_load(&ctx->closing))
        return weir_fail(WEIR_ECLOSING, "the context is closing");
    if (ctx->n_socks >= ctx->max_socks)
        return weir_fail(EMFILE, "the context has %u sockets, its max-sockets",
                         ctx->n_socks);
    if (!ctx->started && (r = start_threads(ctx)) < 0)
        return r;
    sock->reactor = &ctx->reactors[ctx->next_reactor];
    ctx->next_reactor = (ctx->next_reactor + 1) % (uint32_t)ctx->n_reactors;
    weir_list_append(&ctx->socks, &sock->in_ctx);
    ctx->n_socks++;
    return 0;
}

void weir_ctx_part(struct weir_ctx *ctx, struct weir_sock *sock)
{
    weir_lock_take(&ctx->lock);
    weir_ctx_part_locked(ctx, sock);
    weir_lock_release(&ctx->lock);
}

void weir_ctx_part_locked(struct weir_ctx *ctx, struct weir_sock *sock)
{
    weir_list_remove(&sock->in_ctx);
    ctx->n_socks--;
    atomic_fetch_add(&ctx->word, 1);
    weir_unpark(&ctx->word, INT_MAX);
}

/* ---- options ---- */

static int set_text(char *field, size_t room, const char *option,
                    const char *value)
{
    if (strlen(value) >= room)
        return weir_fail(EINVAL, "%s: \"%s\" is longer than %zu octets", option,
                         value, room - 1);
    snprintf(field, room, "%s", value);
    return 0;
}

static int set_affinity(struct weir_ctx *ctx, const char *value)
{
    int r = weir_thread_check_cpus(value);

    return r < 0 ? r
                 : set_text(ctx->affinity, sizeof(ctx->affinity), "affinity",
                            value);
}

static int set_max_sockets(struct weir_ctx *ctx, const char *value)
{
    char *end;
    long n = strtol(value, &end, 10);

    if (*value == '\0' || *end != '\0' || n < 1 || n > 1000000)
        return weir_fail(EINVAL,
                         "max-sockets: \"%s\" is not a number of 1 to 1000000",
                         value);
    ctx->max_socks = (uint32_t)n;
    return 0;
}

int weir_ctx_set(struct weir_ctx *ctx, const char *option, const char *value)
{
    if (strcmp(option, "max-sockets") == 0)
        return set_max_sockets(ctx, value);
    if (strcmp(option, "thread-name") != 0 && strcmp(option, "affinity") != 0)
        return weir_fail(ENOENT, "a context has no option \"%s\"", option);
    if (ctx->started)
        return weir_fail(EBUSY, "%s: the I/O threads run already", option);
    if (strcmp(option, "affinity") == 0)
        return set_affinity(ctx, value);
    return set_text(ctx->thread_name, sizeof(ctx->thread_name), option, value);
}

static int give_text(const char *value, char *text, size_t *size)
{
    size_t room = *size;

    *size = strlen(value);
    if (*size >= room)
        return weir_fail(ERANGE, "the value needs %zu octets, there are %zu",
                         *size + 1, room);
    memcpy(text, value, *size + 1);
    return 0;
}

int weir_ctx_value(const struct weir_ctx *ctx, const char *option, char *text,
                   size_t *size)
{
    char number[16];

    if (strcmp(option, "thread-name") == 0)
        return give_text(ctx->thread_name, text, size);
    if (strcmp(option, "affinity") == 0)
        return give_text(ctx->affinity, text, size);
    if (strcmp(option, "stats") == 0)
        return give_text(weir_observer_where(ctx), text, size);
    if (strcmp(option, "max-sockets") != 0)
        return weir_fail(ENOENT, "a context has no option \"%s\"", option);
    snprintf(number, sizeof(number), "%u", ctx->max_socks);
    return give_text(number, text, size);
}

/* ---- closing ---- */

/* Those who wait on a socket of ours learn that it is over. */
static void interrupt(struct weir_ctx *ctx)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &ctx->socks)
    {
        struct weir_sock *sock = WEIR_CONTAINER(node, struct weir_sock, in_ctx);

        weir_sock_lock(sock);
        weir_wait_wake_all(sock);
        weir_monitor_close(&sock->monitor);
        weir_sock_unlock(sock);
    }
}

static void name_one(struct weir_sock *sock, char *text, size_t room)
{
    struct weir_list *node;
    size_t used = strlen(text);

    weir_sock_lock(sock);
    node = weir_list_first(&sock->eps);
    snprintf(text + used, room - used, "%s%s%s%s", used ? ", " : "",
             sock->pattern->name, node ? " at " : "",
             node ? WEIR_CONTAINER(node, struct weir_ep, in_sock)->url : "");
    weir_sock_unlock(sock);
}

static int still_open(struct weir_ctx *ctx)
{
    char text[300] = "";
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &ctx->socks)
    if (strlen(text) < sizeof(text) - 40)
        name_one(WEIR_CONTAINER(node, struct weir_sock, in_ctx), text,
                 sizeof(text));
    return weir_fail(EBUSY, "%u sockets are still open: %s", ctx->n_socks,
                     text);
}

/* Context's lock held on entry and on return, not in between. */
static int await_sockets(struct weir_ctx *ctx, int64_t deadline)
{
    uint32_t generation = ctx->generation;
    int r = 0;

    while (ctx->n_socks > 0 && r >= 0) {
        uint32_t seen = atomic_load(&ctx->word);

        weir_lock_release(&ctx->lock);
        r = weir_park(&ctx->word, seen, deadline);
        weir_lock_take(&ctx->lock);
        if (ctx->generation != generation)
            return weir_fail(EBADF, "the context was closed meanwhile");
    }
    return ctx->n_socks > 0 ? still_open(ctx) : 0;
}

/* In a forked child: its descriptors go, the rest was the parent's. */
static int abandon(weir_context handle, struct weir_ctx *ctx)
{
    struct weir_sock *sock;

    if (!ctx->open || ctx->generation != handle.generation)
        return weir_fail(EBADF, "the context is closed");
    ctx->open = false;
    weir_observer_abandon(ctx);
    for (uint32_t i = 0; (sock = weir_shells_sock(i)) != NULL; i++)
        if (sock->ctx == ctx)
            weir_sock_abandon(sock);
    weir_owned_close(weir_owned_by_ctx(ctx->index));
    for (int i = 0; i < ctx->n_reactors; i++)
        weir_reactor_abandon(&ctx->reactors[i]);
    return 0;
}

int weir_ctx_close(weir_context handle, int deadline)
{
    struct weir_observer *observer = NULL;
    struct weir_ctx *ctx = NULL;
    int r = find(handle, &ctx);

    if (r >= 0 && deadline < WEIR_FOREVER)
        r = weir_fail(EINVAL, "%d is not a deadline", deadline);
    if (r >= 0 && of_parent(ctx))
        return abandon(handle, ctx);
    if (r >= 0)
        r = weir_ctx_get(handle, &ctx);
    if (r < 0)
        return r;
    atomic_store(&ctx->closing, true);
    interrupt(ctx);
    r = await_sockets(ctx, weir_deadline_in(deadline));
    if (r >= 0) {
        ctx->open = false;
        ctx->generation++;
        observer = weir_observer_detach(ctx);
        stop_threads(ctx);
        close_reactors(ctx, ctx->n_reactors);
    }
    weir_lock_release(&ctx->lock);
    if (r < 0)
        return r;
    weir_observer_end(observer);
    weir_monitor_fini(&ctx->events);
    weir_shells_free_ctx(ctx);
    return 0;
}
