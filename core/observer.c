/*
 * observer.c - see observer.h.
 */
#include "config.h"

#include "observer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/document.h"
#include "base/error.h"
#include "base/owned.h"
#include "base/privileged.h"
#include "base/thread.h"
#include "context.h"
#include "endpoint.h"
#include "report.h"
#include "shells.h"
#include "socket.h"

enum {
    LOOK_MS = 50, /* between looks for events, while somebody does */
    AS_NEW_NS = 20 * 1000000, /* a report that is no older is as good as new */
    REST_NS = 2 * 1000000,    /* after each question, */
    REST_OCTET_NS = 16        /* and for each octet that was answered */
};

/* Somebody who gets events. */
struct watcher {
    weir_message way; /* the frames that lead to him */
    uint64_t missed;
};

struct weir_observer {
    weir_context watched; /* the context that is told of */
    weir_context own;
    weir_socket socket;
    pthread_t thread;
    char url[WEIR_OBSERVER_URL];

    /* the thread's */
    struct watcher watchers[WEIR_OBSERVER_WATCHERS];
    int n_watchers;
    struct weir_document report, line;
    int64_t reported_at;
    uint64_t told; /* octets ever */
};

/* ---- events come ---- */

/* The number of a socket and its type are all there is room for. */
void weir_observer_put(struct weir_sock *sock, const weir_event *event)
{
    struct weir_ctx *ctx = sock->ctx;
    weir_event copy;

    if (!atomic_load_explicit(&ctx->events_wanted, memory_order_relaxed))
        return;
    copy = *event;
    copy.reserved = sock->index << 4 | (uint32_t)sock->pattern->type;
    weir_monitor_put(&ctx->events, &copy);
}

/* The context, as long as it is the one we tell of: not locked, since what is
 * used of it needs no lock.  Its shell stays. */
static struct weir_ctx *watched(const struct weir_observer *observer)
{
    return weir_shells_ctx(observer->watched.index);
}

static void want_events(struct weir_observer *observer, bool want)
{
    struct weir_ctx *ctx = watched(observer);
    struct weir_observer *now = atomic_load(&ctx->observer);
    weir_event event;

    if (now && now != observer)
        return; /* another has taken our place, and wants what it wants */
    if (want && !atomic_load(&ctx->events_wanted))
        while (weir_monitor_take(&ctx->events, &event, 0) == 0)
            ; /* from when somebody else wanted them */
    atomic_store(&ctx->events_wanted, want);
}

/* ---- telling ---- */

/* Send a document along a way, which is not used up.  -EAGAIN: he does not
 * read; -EHOSTUNREACH: he is gone. */
static int tell(struct weir_observer *observer, const weir_message *way,
                const struct weir_document *doc)
{
    weir_message message;
    int r = weir_message_share(&message, way);

    if (r >= 0)
        r = weir_message_add(&message, doc->data, doc->size);
    if (r >= 0)
        r = weir_send_message(observer->socket, &message, WEIR_NOWAIT);
    weir_message_fini(&message);
    if (r >= 0)
        observer->told += doc->size;
    return r;
}

static void write_line(struct weir_document *line, const char *name,
                       uint64_t number)
{
    weir_document_clear(line);
    weir_document_open(line, NULL, '{');
    weir_document_number(line, name, number);
    weir_document_close(line, '}');
}

static void tell_error(struct weir_observer *observer, const weir_message *way,
                       const char *sentence)
{
    struct weir_document *line = &observer->line;

    weir_document_clear(line);
    weir_document_open(line, NULL, '{');
    weir_document_text(line, "error", sentence);
    weir_document_close(line, '}');
    if (!line->failed)
        (void)tell(observer, way, line);
}

/* Octets of all that was told and not taken. */
static uint64_t waiting(const struct weir_observer *observer)
{
    weir_stats stats = {.size = sizeof(stats)};

    return weir_socket_stats(observer->socket, &stats) < 0
               ? 0
               : stats.send_queued_bytes;
}

static void tell_report(struct weir_observer *observer, const weir_message *way)
{
    int64_t now = weir_now();
    int r = 0;

    if (now - observer->reported_at > AS_NEW_NS) {
        weir_document_clear(&observer->report);
        r = weir_report_context(observer->watched, &observer->report);
        observer->reported_at = r < 0 ? 0 : now;
    }
    if (r < 0)
        tell_error(observer, way, weir_error_text());
    else if (waiting(observer) + observer->report.size > WEIR_OBSERVER_WAITING)
        tell_error(observer, way, "too much waits for those who do not read");
    else
        (void)tell(observer, way, &observer->report);
}

/* ---- who watches ---- */

static bool same_frames(weir_message *one, weir_message *other, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        weir_frame *a = weir_message_frame(one, i);
        weir_frame *b = weir_message_frame(other, i);

        if (!a || !b || weir_frame_size(a) != weir_frame_size(b) ||
            memcmp(weir_frame_data(a), weir_frame_data(b),
                   weir_frame_size(a)) != 0)
            return false;
    }
    return true;
}

static void drop_watcher(struct weir_observer *observer, int i)
{
    struct watcher *last = &observer->watchers[--observer->n_watchers];

    weir_message_fini(&observer->watchers[i].way);
    if (last != &observer->watchers[i])
        observer->watchers[i] = *last;
    weir_message_init(&last->way);
    if (observer->n_watchers == 0)
        want_events(observer, false);
}

/* All that whoever the first frame names wanted; he may be gone. */
static void forget(struct weir_observer *observer, weir_message *way)
{
    for (int i = observer->n_watchers - 1; i >= 0; i--)
        if (same_frames(&observer->watchers[i].way, way, 1))
            drop_watcher(observer, i);
}

static void add_watcher(struct weir_observer *observer, weir_message *way)
{
    struct watcher *watcher;

    forget(observer, way);
    if (observer->n_watchers == WEIR_OBSERVER_WATCHERS) {
        tell_error(observer, way, "too many watch already");
        return;
    }
    watcher = &observer->watchers[observer->n_watchers];
    write_line(&observer->line, "watching", watched(observer)->index);
    if (observer->line.failed || tell(observer, way, &observer->line) < 0)
        return;
    want_events(observer, true);
    weir_message_move(&watcher->way, way);
    watcher->missed = 0;
    observer->n_watchers++;
}

/* ---- events go ---- */

/* What he missed goes first. */
static int tell_missed(struct weir_observer *observer, struct watcher *watcher)
{
    struct weir_document line = {.most = 100};
    int r = 0;

    if (watcher->missed == 0)
        return 0;
    write_line(&line, "missed", watcher->missed);
    r = line.failed ? -EAGAIN : tell(observer, &watcher->way, &line);
    if (r >= 0)
        watcher->missed = 0;
    weir_document_fini(&line);
    return r;
}

static void tell_event(struct weir_observer *observer, const weir_event *event)
{
    struct weir_document *line = &observer->line;

    weir_document_clear(line);
    weir_report_event(event, line);
    for (int i = observer->n_watchers - 1; i >= 0; i--) {
        struct watcher *watcher = &observer->watchers[i];
        int r;

        watcher->missed += event->missed;
        r = tell_missed(observer, watcher);
        if (r >= 0)
            r = line->failed ? -EAGAIN : tell(observer, &watcher->way, line);
        if (r == -EHOSTUNREACH)
            drop_watcher(observer, i);
        else if (r < 0)
            watcher->missed++;
    }
}

/* As many as the ring has, so that questions get their turn. */
static void tell_events(struct weir_observer *observer)
{
    weir_event event;

    for (int i = 0; i < WEIR_OBSERVER_EVENTS && observer->n_watchers > 0; i++) {
        if (weir_monitor_take(&watched(observer)->events, &event, 0) < 0)
            return;
        tell_event(observer, &event);
    }
}

/* ---- questions ---- */

static bool is(weir_frame *frame, const char *word)
{
    return weir_frame_size(frame) == strlen(word) &&
           memcmp(weir_frame_data(frame), word, strlen(word)) == 0;
}

/* What is left of the message is the way back: that of a ROUTER begins with
 * whom it is from. */
static void answer(struct weir_observer *observer, weir_message *message)
{
    weir_frame question;

    weir_frame_move(&question, weir_message_frame(message, message->count - 1));
    message->count--;
    if (weir_frame_size(&question) == 0)
        forget(observer, message);
    else if (is(&question, "stats"))
        tell_report(observer, message);
    else if (is(&question, "events"))
        add_watcher(observer, message);
    else
        tell_error(observer, message,
                   "no such question: there are \"stats\" and \"events\"");
    weir_frame_fini(&question);
}

/* So that those who ask, however many they are, take a part of one processor at
 * most.  No longer than events may wait. */
static void rest(uint64_t octets)
{
    const int64_t most = LOOK_MS * INT64_C(1000000);
    int64_t ns = REST_NS + (int64_t)octets * REST_OCTET_NS;
    struct timespec time = {0, (long)(ns < most ? ns : most)};

    (void)nanosleep(&time, NULL);
}

/* Out of memory a question is lost, and counted by the socket. */
static void *observe(void *arg)
{
    struct weir_observer *observer = arg;
    weir_message message;
    uint64_t told;
    int r = 0;

    weir_message_init(&message);
    while (r >= 0 || r == -EAGAIN || r == -ENOMEM) {
        r = weir_recv_message(observer->socket, &message,
                              observer->n_watchers > 0 ? LOOK_MS
                                                       : WEIR_FOREVER);
        told = observer->told;
        if (r >= 0)
            answer(observer, &message);
        told = observer->told - told;
        tell_events(observer);
        if (r >= 0)
            rest(told);
    }
    weir_message_fini(&message);
    while (observer->n_watchers > 0)
        drop_watcher(observer, 0);
    (void)weir_close(observer->socket, WEIR_NOWAIT, NULL);
    return NULL;
}

/* ---- beginning ---- */

static int open_socket(struct weir_observer *observer)
{
    struct weir_ctx *ctx;
    int r = weir_ctx_get(observer->own, &ctx);

    if (r < 0)
        return r;
    r = weir_sock_open(ctx, weir_pattern_by_type(WEIR_ROUTER),
                       &observer->socket);
    weir_lock_release(&ctx->lock);
    return r;
}

/* Who asks much and reads little, and who sends much, has little: beyond the
 * mark there is one report at most, which goes to a queue that is empty. */
static int set_options(struct weir_observer *observer)
{
    static const char *const settings[][2] = {
        {"mandatory", "yes"},
        {"notify", "disconnect"},
        {"linger", "0"},
        {"send-mark", "1000"},
        {"send-mark-bytes", "262144"},
        {"recv-mark", "64"},
        {"max-message", "256"},
        {"max-frames", "8"},
        {"handshake", "5000"},
    };
    struct weir_sock *sock;
    int r = weir_sock_get(observer->socket, &sock);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings) && r >= 0; i++)
        r = weir_options_set_text(&sock->options, settings[i][0],
                                  settings[i][1], strlen(settings[i][1]));
    sock->most_peers = WEIR_OBSERVER_PEERS;
    weir_sock_put(sock);
    return r;
}

/* The URL becomes what was bound. */
static int bind_socket(struct weir_observer *observer)
{
    weir_endpoint endpoint;
    struct weir_ep *ep;
    int r = weir_ep_open(observer->socket, observer->url, true, &endpoint);

    if (r >= 0)
        r = weir_ep_get(endpoint, &ep);
    if (r < 0)
        return r;
    snprintf(observer->url, sizeof(observer->url), "%s", ep->url);
    weir_sock_put(ep->sock);
    return 0;
}

static int begin(struct weir_observer *observer)
{
    int r = weir_ctx_open(&observer->own, 0);

    if (r < 0)
        return r;
    r = open_socket(observer);
    if (r < 0)
        goto no_socket;
    r = set_options(observer);
    if (r >= 0)
        r = bind_socket(observer);
    if (r >= 0)
        r = weir_thread_start(&observer->thread, observe, observer,
                              "weir-stats", NULL);
    if (r >= 0)
        return 0;
    (void)weir_sock_close(observer->socket, WEIR_NOWAIT, NULL);
no_socket:
    (void)weir_ctx_close(observer->own, WEIR_FOREVER);
    return r;
}

static int make(weir_context context, const char *place,
                struct weir_observer **out)
{
    struct weir_observer *observer = calloc(1, sizeof(*observer));
    int r;

    if (!observer)
        return weir_fail(ENOMEM, "stats: no memory for an endpoint");
    observer->watched = context;
    observer->report.most = WEIR_REPORT_MOST;
    observer->line.most = WEIR_REPORT_MOST;
    r = weir_observer_url(place, context.index, observer->url);
    if (r >= 0)
        r = begin(observer);
    if (r < 0)
        free(observer);
    else
        *out = observer;
    return r;
}

/* ---- the end ---- */

/* The thread finds its context closing, and goes. */
void weir_observer_end(struct weir_observer *observer)
{
    if (!observer)
        return;
    (void)weir_ctx_close(observer->own, WEIR_FOREVER);
    pthread_join(observer->thread, NULL);
    weir_document_fini(&observer->report);
    weir_document_fini(&observer->line);
    free(observer);
}

struct weir_observer *weir_observer_detach(struct weir_ctx *ctx)
{
    struct weir_observer *observer = atomic_load(&ctx->observer);

    atomic_store(&ctx->observer, NULL);
    atomic_store(&ctx->events_wanted, false);
    return observer;
}

/* Its memory is the parent's thread's. */
void weir_observer_abandon(struct weir_ctx *ctx)
{
    struct weir_observer *observer = atomic_load(&ctx->observer);

    if (observer)
        (void)weir_ctx_close(observer->own, WEIR_NOWAIT);
}

/* An observer that a context has is whole, its lists need not be. */
void weir_observer_leave(struct weir_ctx *ctx)
{
    const struct weir_observer *observer = atomic_load(&ctx->observer);

    if (!observer)
        return;
    weir_owned_close(weir_owned_by_sock(observer->socket.index));
    weir_owned_close(weir_owned_by_ctx(observer->own.index));
}

/* ---- for contexts ---- */

static int detach_from(weir_context context, struct weir_observer **out)
{
    struct weir_ctx *ctx;
    int r = weir_ctx_get(context, &ctx);

    if (r < 0)
        return r;
    *out = weir_observer_detach(ctx);
    weir_lock_release(&ctx->lock);
    return 0;
}

/* Two threads may set one at once. */
static int attach_to(weir_context context, struct weir_observer *observer)
{
    struct weir_ctx *ctx;
    int r = weir_ctx_get(context, &ctx);

    if (r < 0)
        return r;
    if (atomic_load(&ctx->observer))
        r = weir_fail(EBUSY, "stats: another thread has set it meanwhile");
    else
        atomic_store(&ctx->observer, observer);
    weir_lock_release(&ctx->lock);
    return r;
}

int weir_observer_set(weir_context context, const char *place)
{
    struct weir_observer *observer = NULL;
    int r = detach_from(context, &observer);

    weir_observer_end(observer);
    if (r < 0 || place[0] == '\0')
        return r;
    r = make(context, place, &observer);
    if (r < 0)
        return r;
    r = attach_to(context, observer);
    if (r < 0)
        weir_observer_end(observer);
    return r;
}

static void keep_confession(weir_context context, int code)
{
    char reason[sizeof((weir_event *)NULL)->reason];
    struct weir_ctx *ctx;

    snprintf(reason, sizeof(reason), "WEIR_STATS: %s", weir_error_text());
    if (weir_ctx_get(context, &ctx) < 0)
        return;
    memcpy(ctx->confession, reason, sizeof(reason));
    ctx->confession_code = code;
    weir_lock_release(&ctx->lock);
}

void weir_observer_from_environment(weir_context context)
{
    const char *place = weir_privileged() ? NULL : getenv("WEIR_STATS");
    int r;

    if (!place || place[0] == '\0')
        return;
    r = weir_observer_set(context, place);
    if (r < 0)
        keep_confession(context, -r);
}

void weir_observer_confess(struct weir_ctx *ctx, weir_socket socket)
{
    struct weir_sock *sock = weir_shells_sock(socket.index);
    weir_event event = {.size = sizeof(event), .kind = WEIR_EVENT_LOG};

    if (ctx->confession_code == 0 || !sock)
        return;
    event.code = ctx->confession_code;
    memcpy(event.reason, ctx->confession, sizeof(event.reason));
    weir_monitor_put(&sock->monitor, &event);
    ctx->confession_code = 0;
}

const char *weir_observer_where(const struct weir_ctx *ctx)
{
    const struct weir_observer *observer = atomic_load(&ctx->observer);

    return observer ? observer->url : "";
}
