/*
 * report.c - see report.h.
 */
#include "config.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "context.h"
#include "endpoint.h"
#include "observer.h"
#include "socket.h"
#include "spill.h"

/* What is copied while a lock is held, and told afterwards. */
struct survey {
    weir_socket *socks;
    uint32_t n_socks, room;
    int io_threads;
};

struct part {
    weir_endpoint endpoint;
    bool binder;
};

struct outline {
    const char *type;
    bool lent;
    int64_t send_mark, recv_mark;
    struct weir_spill_use swap;
    bool swaps;
    struct part parts[WEIR_REPORT_PARTS];
    uint32_t n_parts, more_parts;
};

/* ---- counters ---- */

static void add_drops(struct weir_document *doc, const char *name,
                      const uint64_t *drops)
{
    weir_document_open(doc, name, '{');
    for (int i = 0; i < WEIR_DROPS; i++)
        if (drops[i] > 0)
            weir_document_number(doc, weir_drop_name(i), drops[i]);
    weir_document_close(doc, '}');
}

static void add_counters(struct weir_document *doc, const weir_stats *stats)
{
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"accepted", stats->accepted},
        {"written", stats->written},
        {"send_queued", stats->send_queued},
        {"send_queued_bytes", stats->send_queued_bytes},
        {"decoded", stats->decoded},
        {"delivered", stats->delivered},
        {"recv_queued", stats->recv_queued},
        {"recv_queued_bytes", stats->recv_queued_bytes},
        {"bytes_out", stats->bytes_out},
        {"bytes_in", stats->bytes_in},
        {"unmatched", stats->unmatched},
        {"unconfirmed", stats->unconfirmed},
        {"connects", stats->connects},
        {"disconnects", stats->disconnects},
        {"refused", stats->refused},
        {"send_kept", stats->send_kept},
        {"send_recovered", stats->send_recovered},
    };

    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
        weir_document_number(doc, counters[i].name, counters[i].value);
    add_drops(doc, "send_dropped", stats->send_dropped);
    add_drops(doc, "recv_dropped", stats->recv_dropped);
}

static void add_last_error(struct weir_document *doc, const weir_stats *stats)
{
    weir_document_number(doc, "last_error", (uint64_t)stats->last_error);
    weir_document_text(doc, "last_reason", stats->last_reason);
}

/* ---- a socket ---- */

static void note_parts(struct weir_sock *sock, struct outline *outline)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->eps)
    {
        struct weir_ep *ep = WEIR_CONTAINER(node, struct weir_ep, in_sock);

        if (outline->n_parts == WEIR_REPORT_PARTS) {
            outline->more_parts++;
            continue;
        }
        outline->parts[outline->n_parts++] =
            (struct part){{ep->index, ep->generation}, ep->binder};
    }
}

static void note_swap(struct weir_sock *sock, struct outline *outline)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (!pipe->out || !pipe->out->spill)
            continue;
        outline->swaps = true;
        weir_spill_add_use(pipe->out, &outline->swap);
    }
}

static int take_outline(weir_socket handle, struct outline *outline)
{
    struct weir_sock *sock;
    int r = weir_sock_get(handle, &sock);

    if (r < 0)
        return r;
    outline->n_parts = outline->more_parts = 0;
    outline->swaps = false;
    memset(&outline->swap, 0, sizeof(outline->swap));
    outline->type = sock->pattern->name;
    outline->lent = sock->lent != NULL;
    outline->send_mark = sock->options.send_mark;
    outline->recv_mark = sock->options.recv_mark;
    note_parts(sock, outline);
    note_swap(sock, outline);
    weir_sock_put(sock);
    return 0;
}

static void add_endpoints(struct weir_document *doc,
                          const struct outline *outline)
{
    weir_document_open(doc, "endpoints", '[');
    for (uint32_t i = 0; i < outline->n_parts; i++) {
        weir_stats stats = {.size = sizeof(stats)};

        if (weir_endpoint_stats(outline->parts[i].endpoint, &stats) < 0)
            continue; /* it was closed meanwhile */
        weir_document_open(doc, NULL, '{');
        weir_document_text(doc, "url", stats.endpoint);
        weir_document_flag(doc, "bound", outline->parts[i].binder);
        weir_document_number(doc, "peers", stats.peers);
        add_counters(doc, &stats);
        add_last_error(doc, &stats);
        weir_document_close(doc, '}');
    }
    weir_document_close(doc, ']');
    weir_document_number(doc, "endpoints_left_out", outline->more_parts);
}

static void add_peer(struct weir_document *doc, const weir_stats *stats)
{
    weir_document_open(doc, NULL, '{');
    weir_document_number(doc, "id", stats->peer_id);
    weir_document_text(doc, "peer", stats->peer);
    weir_document_text(doc, "endpoint", stats->endpoint);
    add_counters(doc, stats);
    weir_document_close(doc, '}');
}

static void add_peers(struct weir_document *doc, weir_socket socket,
                      uint32_t there_are)
{
    weir_stats stats = {.size = sizeof(stats)};
    uint32_t n = 0;

    weir_document_open(doc, "peers", '[');
    while (n < WEIR_REPORT_PARTS &&
           weir_peer_stats(socket, (int)n, &stats) == 0) {
        add_peer(doc, &stats);
        n++;
    }
    weir_document_close(doc, ']');
    weir_document_number(doc, "peers_left_out",
                         there_are > n ? there_are - n : 0);
}

static void add_swap(struct weir_document *doc,
                     const struct weir_spill_use *use)
{
    weir_document_open(doc, "swap", '{');
    weir_document_number(doc, "bytes", use->hidden);
    weir_document_number(doc, "bytes_in_memory", use->in_memory);
    weir_document_number(doc, "swapped", use->swapped);
    weir_document_number(doc, "swapped_bytes", use->swapped_bytes);
    weir_document_close(doc, '}');
}

static void add_socket(struct weir_document *doc, weir_socket socket,
                       struct outline *outline)
{
    weir_stats stats = {.size = sizeof(stats)};

    if (take_outline(socket, outline) < 0 ||
        weir_socket_stats(socket, &stats) < 0)
        return; /* it was closed meanwhile */
    weir_document_open(doc, NULL, '{');
    weir_document_number(doc, "id", socket.index);
    weir_document_number(doc, "generation", socket.generation);
    weir_document_text(doc, "type", outline->type);
    weir_document_flag(doc, "lent", outline->lent);
    weir_document_number(doc, "send_mark", (uint64_t)outline->send_mark);
    weir_document_number(doc, "recv_mark", (uint64_t)outline->recv_mark);
    weir_document_number(doc, "peers_ready", stats.peers);
    add_counters(doc, &stats);
    add_last_error(doc, &stats);
    if (outline->swaps)
        add_swap(doc, &outline->swap);
    add_endpoints(doc, outline);
    add_peers(doc, socket, stats.peers);
    weir_document_close(doc, '}');
}

/* ---- a context ---- */

/* Copy as many handles as there is room for.  Returns how many there are. */
static int copy_handles(weir_context context, struct survey *survey)
{
    struct weir_list *node, *after;
    struct weir_ctx *ctx;
    int r = weir_ctx_get(context, &ctx);

    if (r < 0)
        return r;
    survey->n_socks = 0;
    survey->io_threads = ctx->n_threads;
    WEIR_LIST_EACH(node, after, &ctx->socks)
    {
        struct weir_sock *sock = WEIR_CONTAINER(node, struct weir_sock, in_ctx);

        if (survey->n_socks < survey->room)
            survey->socks[survey->n_socks++] =
                (weir_socket){sock->index, sock->generation};
    }
    r = (int)ctx->n_socks;
    weir_lock_release(&ctx->lock);
    return r;
}

/* There may be more of them each time. */
static int take_survey(weir_context context, struct survey *survey)
{
    int n = copy_handles(context, survey);

    while (n > 0 && (uint32_t)n > survey->room) {
        free(survey->socks);
        survey->room = (uint32_t)n + 8;
        survey->socks = calloc(survey->room, sizeof(*survey->socks));
        if (!survey->socks)
            return weir_fail(ENOMEM, "no memory for a report");
        n = copy_handles(context, survey);
    }
    return n;
}

/* As many as half the room allows, since one may be long. */
static void add_sockets(struct weir_document *doc, const struct survey *survey,
                        struct outline *outline)
{
    uint32_t n = 0;

    weir_document_open(doc, "sockets", '[');
    while (n < survey->n_socks && doc->size < WEIR_REPORT_MOST / 2)
        add_socket(doc, survey->socks[n++], outline);
    weir_document_close(doc, ']');
    weir_document_number(doc, "sockets_left_out", survey->n_socks - n);
}

static void add_context(struct weir_document *doc, weir_context context,
                        const struct survey *survey, struct outline *outline)
{
    weir_document_open(doc, NULL, '{');
    weir_document_text(doc, "weir", weir_version());
    weir_document_number(doc, "pid", (uint64_t)getpid());
    weir_document_text(doc, "program", weir_observer_program());
    weir_document_number(doc, "context", context.index);
    weir_document_number(doc, "io_threads", (uint64_t)survey->io_threads);
    weir_document_number(doc, "time_ns", (uint64_t)weir_now());
    add_sockets(doc, survey, outline);
    weir_document_close(doc, '}');
}

int weir_report_context(weir_context context, struct weir_document *doc)
{
    struct survey survey = {.room = 0};
    struct outline *outline = malloc(sizeof(*outline));
    int r = outline ? take_survey(context, &survey)
                    : weir_fail(ENOMEM, "no memory for a report");

    if (r >= 0) {
        add_context(doc, context, &survey, outline);
        r = doc->failed ? weir_fail(ENOMEM, "no memory for a report") : 0;
    }
    free(survey.socks);
    free(outline);
    return r;
}

/* ---- an event ---- */

void weir_report_event(const weir_event *event, struct weir_document *doc)
{
    const struct weir_pattern_ops *pattern = weir_pattern_by_type(
        (enum weir_type)weir_observer_type_of(event->reserved));

    weir_document_open(doc, NULL, '{');
    weir_document_text(doc, "event", weir_event_name((int)event->kind));
    weir_document_number(doc, "time_ns", event->time_ns);
    weir_document_number(doc, "socket", weir_observer_id_of(event->reserved));
    weir_document_text(doc, "type", pattern ? pattern->name : "");
    weir_document_text(doc, "endpoint", event->endpoint);
    weir_document_text(doc, "peer", event->peer);
    weir_document_number(doc, "peer_id", event->peer_id);
    weir_document_number(doc, "value", event->value);
    weir_document_number(doc, "code", (uint64_t)event->code);
    weir_document_text(doc, "reason", event->reason);
    weir_document_close(doc, '}');
}
