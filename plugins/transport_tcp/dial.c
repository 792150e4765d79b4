/* dial.c - a dialer: look names up, race to the addresses, hand over. */
#include "config.h"

#include "address.h"
#include "end.h"
#include "race.h"
#include "resolve.h"

#include "../common/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_MS 30000 /* if the host has no such option */

struct dialer {
    struct weir_tcp_end end;
    struct weir_tcp_target target;
    int64_t job; /* the lookup under way, 0 = none */
    struct weir_tcp_race race;
    char address[]; /* as the application wrote it */
};

/* A lookup lives apart from its dialer: the thread that does the work may
 * still be in the resolver when the dialer is gone. */
struct lookup {
    struct dialer *dialer; /* not for the thread that works */
    struct weir_tcp_target target;
    struct weir_tcp_list to, from;
    int rc;
    const char *culprit, *why; /* of rc */
};

static struct dialer *dialer_of(struct weir_tcp_race *race)
{
    return (struct dialer *)((char *)race - offsetof(struct dialer, race));
}

static void failed(struct dialer *dialer, int rc, const char *report)
{
    const struct weir_tcp_end *end = &dialer->end;
    char text[512];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};

    (void)end->host->fail(&error, -rc, "tcp://%s: %s", dialer->address, report);
    end->more->failed(end->ep, 0, &error);
}

static void race_over(struct weir_tcp_race *race, int result)
{
    struct dialer *dialer = dialer_of(race);

    if (result < 0)
        failed(dialer, result, race->report);
    else
        weir_tcp_made(&dialer->end, result);
}

/* [any] The job. */
static void look_up(void *arg)
{
    struct lookup *lookup = arg;

    lookup->culprit = lookup->target.host.name;
    lookup->rc = weir_tcp_resolve(&lookup->target.host, false, &lookup->to,
                                  &lookup->why);
    if (lookup->rc < 0 || !lookup->target.has_source)
        return;
    lookup->culprit = lookup->target.source.name;
    lookup->rc = weir_tcp_resolve(&lookup->target.source, true, &lookup->from,
                                  &lookup->why);
}

static void drop_lookup(void *arg)
{
    struct lookup *lookup = arg;

    weir_tcp_list_fini(&lookup->to);
    weir_tcp_list_fini(&lookup->from);
    free(lookup);
}

static void lookup_failed(const struct lookup *lookup)
{
    char reason[WEIR_REASON_ROOM], report[384];
    const char *why = lookup->why;

    if (!why)
        why = weir_common_reason(-lookup->rc, reason, sizeof reason);
    snprintf(report, sizeof report, "no address for \"%s\": %s",
             lookup->culprit, why);
    failed(lookup->dialer, lookup->rc, report);
}

/* How long connecting may take.  Looking names up is not part of it: it ends
 * by itself, and another lookup beside it would not help. */
static uint64_t timeout_ns(const struct weir_tcp_end *end)
{
    int64_t ms = HANDSHAKE_MS;

    if (end->host->option_int(end->ep, "handshake", &ms) < 0)
        ms = HANDSHAKE_MS;
    return ms > 0 ? (uint64_t)ms * 1000000u : 0;
}

/* [io] The lookup is through. */
static void looked_up(void *arg)
{
    struct lookup *lookup = arg;
    struct dialer *dialer = lookup->dialer;
    struct weir_tcp_race *race = &dialer->race;

    dialer->job = 0;
    if (lookup->rc < 0) {
        lookup_failed(lookup);
        drop_lookup(lookup);
        return;
    }
    race->end = &dialer->end;
    race->over = race_over;
    race->timeout_ns = timeout_ns(&dialer->end);
    race->to = lookup->to;
    race->from = lookup->from;
    free(lookup);
    weir_tcp_race_start(race);
}

static bool must_wait(const struct weir_tcp_target *target)
{
    return weir_tcp_must_wait(&target->host) ||
           (target->has_source && weir_tcp_must_wait(&target->source));
}

static void offload(struct dialer *dialer, struct lookup *lookup)
{
    const struct weir_tcp_end *end = &dialer->end;
    weir_job job = {.size = sizeof job,
                    .work = look_up,
                    .done = looked_up,
                    .drop = drop_lookup,
                    .arg = lookup};
    int64_t id = end->host->offload(end->reactor, &job);

    if (id > 0) {
        dialer->job = id;
        return;
    }
    lookup->rc = (int)id;
    lookup->culprit = lookup->target.host.name;
    looked_up(lookup);
}

/* One attempt.  Names are looked up each time: they move. */
static void attempt(struct dialer *dialer)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup) {
        failed(dialer, -ENOMEM, "no memory");
        return;
    }
    lookup->dialer = dialer;
    lookup->target = dialer->target;
    if (must_wait(&dialer->target)) {
        offload(dialer, lookup);
        return;
    }
    look_up(lookup);
    looked_up(lookup);
}

int weir_tcp_dial(const weir_host *host, const weir_transport_host *more,
                  weir_ep *ep, const char *address, void **self,
                  weir_error *error)
{
    size_t size = strlen(address) + 1;
    struct dialer *dialer = calloc(1, sizeof *dialer + size);
    int rc;

    if (!dialer)
        return host->fail(error, ENOMEM, "tcp://%s: no memory", address);
    dialer->end = (struct weir_tcp_end){.host = host, .more = more, .ep = ep};
    memcpy(dialer->address, address, size);
    rc = weir_tcp_parse_dial(host, address, &dialer->target, error);
    if (rc == 0)
        rc = weir_tcp_tune_read(host, ep, &dialer->end.tuning, error);
    if (rc < 0) {
        free(dialer);
        return rc;
    }
    *self = dialer;
    return 0;
}

int weir_tcp_dialer_attach(struct weir_tcp_end *end)
{
    attempt((struct dialer *)end);
    return 0;
}

void weir_tcp_dialer_retry(void *self)
{
    attempt(self);
}

void weir_tcp_dialer_cancel(void *self)
{
    struct dialer *dialer = self;
    const struct weir_tcp_end *end = &dialer->end;

    if (dialer->job > 0)
        end->host->cancel(end->reactor, dialer->job);
    dialer->job = 0;
    if (dialer->race.attempts)
        weir_tcp_race_stop(&dialer->race);
}

void weir_tcp_dialer_close(struct weir_tcp_end *end)
{
    weir_tcp_dialer_cancel(end);
    free(end);
}
