/* link.c - what senders and receivers share. */
#include "config.h"

#include "end.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "filter.h"

void weir_pgm_link_init(struct weir_pgm_link *link, struct weir_pgm_end *end)
{
    link->end = end;
    link->session = end->session;
    end->session.sock = NULL;
}

void weir_pgm_link_made(struct weir_pgm_link *link, const weir_link_ops *ops,
                        void *self)
{
    const struct weir_pgm_end *end = link->end;
    weir_peer peer = {
        .size = sizeof peer,
        .flags = WEIR_PEER_NO_HANDSHAKE |
                 (end->plan.sends ? (uint32_t)WEIR_PEER_SEND_ONLY
                                  : (uint32_t)WEIR_PEER_RECV_ONLY),
        .remote = end->text,
    };

    (void)end->more->made_link(end->ep, ops, self, &peer);
}

/* ------------------------------------------------------ watches and timer --
 */

int weir_pgm_link_watch(struct weir_pgm_link *link, int i, int fd,
                        unsigned events, weir_turn *turn, weir_error *error)
{
    const struct weir_pgm_plan *plan = &link->end->plan;
    int64_t id;

    if (link->watches[i] > 0)
        return 0;
    id = plan->host->watch(link->end->reactor, fd, events, turn, link);
    if (id < 0)
        return plan->host->fail(error, (int)-id,
                                "%s://%s: cannot watch a descriptor",
                                plan->scheme, plan->text);
    link->watches[i] = id;
    return 0;
}

int weir_pgm_link_start(struct weir_pgm_link *link, weir_link *to,
                        weir_turn *on_input, weir_error *error)
{
    int rc = weir_pgm_session_start(&link->session, &link->end->plan, error);

    link->link = to;
    if (rc < 0)
        return rc;
    return weir_pgm_link_watch(link, WEIR_PGM_INPUT, link->session.recv_fd,
                               WEIR_WATCH_IN, on_input, error);
}

void weir_pgm_link_unwatch(struct weir_pgm_link *link, int i)
{
    if (link->watches[i] > 0)
        link->end->plan.host->cancel(link->end->reactor, link->watches[i]);
    link->watches[i] = 0;
}

uint64_t weir_pgm_link_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void cancel_timer(struct weir_pgm_link *link)
{
    if (link->timer > 0)
        link->end->plan.host->cancel(link->end->reactor, link->timer);
    link->timer = 0;
}

void weir_pgm_link_timer(struct weir_pgm_link *link, uint64_t after,
                         weir_turn *turn)
{
    uint64_t at = weir_pgm_link_now() + after;

    if (link->over || (link->timer > 0 && link->timer_at <= at))
        return;
    cancel_timer(link);
    link->timer =
        link->end->plan.host->timer(link->end->reactor, after, turn, link);
    link->timer_at = at;
    if (link->timer < 0)
        weir_pgm_link_down(link, ENOMEM, "no memory for a timer");
}

void weir_pgm_link_fired(struct weir_pgm_link *link)
{
    link->timer = 0;
}

/* ------------------------------------------------------------------ ends -- */

void weir_pgm_link_tell_drops(struct weir_pgm_link *link)
{
    const struct weir_pgm_end *end = link->end;
    uint32_t drops = weir_pgm_filter_drops(link->session.recv_fd);

    if (drops != link->drops)
        end->plan.host->log(end->ep,
                            "%s://%s: %lu datagrams were dropped: they were "
                            "none that PGM has here, or came too fast",
                            end->plan.scheme, end->text,
                            (unsigned long)(drops - link->drops));
    link->drops = drops;
}

void weir_pgm_link_down(struct weir_pgm_link *link, int code,
                        const char *reason)
{
    const struct weir_pgm_end *end = link->end;
    char text[512];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};

    if (link->over)
        return;
    link->over = true;
    (void)end->plan.host->fail(&error, code, "%s://%s: %s", end->plan.scheme,
                               end->text, reason);
    end->more->down(link->link, &error);
}

void weir_pgm_link_fini(struct weir_pgm_link *link)
{
    for (int i = 0; i < WEIR_PGM_WATCHES; i++)
        weir_pgm_link_unwatch(link, i);
    cancel_timer(link);
    if (link->session.sock)
        weir_pgm_link_tell_drops(link);
    weir_pgm_session_close(&link->session);
    weir_pgm_end_lost_link(link->end);
}
