/*
 * transport_pgm.c - pgm and epgm: publishing to groups, over openpgm.
 *
 * PGM (RFC 3208) makes multicast reliable within a window: receivers ask for
 * packets that are missing.  pgm is over raw IP, epgm inside UDP.
 * Above: the host, through <weir/transport.h>.
 * Below: address.c and interface.c for what was written; session.c for
 * openpgm's socket; send.c and receive.c for messages.
 */
#include "config.h"

#include "end.h"
#include "library.h"

#include "../common/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_NS 1000000000u /* until a binder tries again */

static struct weir_pgm_end *new_end(const weir_host *host,
                                    const weir_transport_host *more,
                                    weir_ep *ep, const char *scheme,
                                    const char *address)
{
    size_t size = strlen(address) + 1;
    struct weir_pgm_end *end = calloc(1, sizeof *end + size);

    if (!end)
        return NULL;
    memcpy(end->text, address, size);
    end->more = more;
    end->ep = ep;
    end->plan.host = host;
    end->plan.udp = scheme[0] == 'e';
    end->plan.scheme = end->plan.udp ? "epgm" : "pgm";
    end->plan.text = end->text;
    return end;
}

static int choose_direction(struct weir_pgm_end *end, weir_error *error)
{
    const struct weir_pgm_plan *plan = &end->plan;

    if (!WEIR_HAS(weir_transport_host, end->more, direction))
        return plan->host->fail(error, WEIR_EPLUGIN,
                                "%s://%s: this libweir is too old for it",
                                plan->scheme, plan->text);
    end->plan.sends = end->more->direction(end->ep) == WEIR_PEER_SEND_ONLY;
    return 0;
}

/* All that can be wrong is found here, at the call. */
static int prepare(struct weir_pgm_end *end, weir_error *error)
{
    struct weir_pgm_plan *plan = &end->plan;
    int rc = weir_pgm_parse(plan->host, plan->scheme, plan->text,
                            &plan->address, error);

    if (rc == 0)
        rc = weir_pgm_tune_read(plan->host, end->ep, plan->scheme,
                                &plan->tuning, error);
    if (rc == 0)
        rc = choose_direction(end, error);
    if (rc == 0)
        rc = weir_pgm_interface_find(plan->host, plan->scheme, plan->text,
                                     &plan->address, &plan->interface, error);
    if (rc == 0)
        rc = weir_pgm_session_open(&end->session, plan, error);
    return rc;
}

static void free_end(struct weir_pgm_end *end)
{
    weir_pgm_session_close(&end->session);
    free(end);
}

static int make(const weir_host *host, const weir_transport_host *more,
                weir_ep *ep, const char *scheme, const char *address,
                struct weir_pgm_end **out, weir_error *error)
{
    struct weir_pgm_end *end = new_end(host, more, ep, scheme, address);
    int rc;

    if (!end)
        return host->fail(error, ENOMEM, "%s://%s: no memory", scheme, address);
    rc = prepare(end, error);
    if (rc < 0)
        free_end(end);
    else
        *out = end;
    return rc;
}

static int bind_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        char *actual, size_t room, void **self,
                        weir_error *error)
{
    struct weir_pgm_end *end;
    size_t size = strlen(address) + 1;
    int rc = make(host, more, ep, scheme, address, &end, error);

    if (rc < 0)
        return rc;
    if (size > room) {
        free_end(end);
        return host->fail(error, ERANGE, "%s://%s: no room for the address",
                          scheme, address);
    }
    memcpy(actual, address, size);
    end->binds = true;
    *self = end;
    return 0;
}

static int dial_address(const weir_host *host, const weir_transport_host *more,
                        weir_ep *ep, const char *scheme, const char *address,
                        void **self, weir_error *error)
{
    struct weir_pgm_end *end;
    int rc = make(host, more, ep, scheme, address, &end, error);

    if (rc == 0)
        *self = end;
    return rc;
}

/* ------------------------------------------------------------- attempts -- */

static void try_later(struct weir_pgm_end *end);

static void attempt_failed(struct weir_pgm_end *end, const weir_error *error)
{
    if (end->binds)
        try_later(end);
    else
        end->more->failed(end->ep, 0, error);
}

/* The session that was opened by the call, or a new one. */
static void attempt(void *self)
{
    struct weir_pgm_end *end = self;
    char text[512];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};
    char reason[WEIR_REASON_ROOM];
    int rc;

    if (!end->session.sock &&
        weir_pgm_session_open(&end->session, &end->plan, &error) < 0) {
        attempt_failed(end, &error);
        return;
    }
    rc = end->plan.sends ? weir_pgm_sender(end) : weir_pgm_receiver(end);
    if (rc == 0)
        return;
    (void)end->plan.host->fail(&error, -rc, "%s://%s: %s", end->plan.scheme,
                               end->text,
                               weir_common_reason(-rc, reason, sizeof reason));
    attempt_failed(end, &error);
}

static void on_again(void *arg, unsigned events)
{
    struct weir_pgm_end *end = arg;

    (void)events;
    end->again = 0;
    attempt(end);
}

static void try_later(struct weir_pgm_end *end)
{
    if (end->again > 0)
        return;
    end->again = end->plan.host->timer(end->reactor, AGAIN_NS, on_again, end);
    if (end->again < 0)
        end->plan.host->log(end->ep, "%s://%s: no memory for a timer",
                            end->plan.scheme, end->text);
}

void weir_pgm_end_lost_link(struct weir_pgm_end *end)
{
    if (end->binds)
        try_later(end);
}

static int attach(void *self, weir_reactor *reactor, weir_error *error)
{
    struct weir_pgm_end *end = self;

    (void)error; /* what goes wrong is told as an attempt's failure */
    end->reactor = reactor;
    attempt(end);
    return 0;
}

/* Attempts end where they begin. */
static void cancel(void *self)
{
    (void)self;
}

static void close_end(void *self)
{
    struct weir_pgm_end *end = self;

    if (end->again > 0)
        end->plan.host->cancel(end->reactor, end->again);
    free_end(end);
}

static const weir_transport_ops ops = {
    .size = sizeof ops,
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL | WEIR_CAN_MULTICAST,
    .schemes = "pgm epgm",
    .options = weir_pgm_options,
    .n_options = WEIR_PGM_OPTIONS,
    .bind = bind_address,
    .dial = dial_address,
    .attach = attach,
    .retry = attempt,
    .cancel = cancel,
    .close = close_end,
};

static const weir_provider providers[] = {
    {.kind = WEIR_TRANSPORT, .id = "pgm", .ops = &ops},
};

WEIR_DEFINE_PLUGIN(transport_pgm) = {
    .magic = WEIR_PLUGIN_MAGIC,
    .size = sizeof(weir_plugin),
    .need_minor = 0,
    .n_providers = 1,
    .name = "transport_pgm",
    .version = WEIR_VERSION,
    .license = "MIT",
    .summary = "publishing to multicast groups over PGM",
    .providers = providers,
    .init = weir_pgm_library_init,
};
