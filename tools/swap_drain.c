/* swap_drain.c - weir swap drain: from a store to an endpoint.
 *
 * A block goes from the store when the socket has handed over all of its
 * messages and has dropped none, and no connection has died meanwhile that may
 * have had some of them.  Whatever happens before that, they are still there.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "swap.h"

struct drain {
    const struct weir_swap_settings *set;
    struct weir_swap *swap;
    weir_context context;
    weir_socket socket;
    uint64_t until;
    uint64_t total, sent; /* messages; sent: and let go */
    bool damaged;         /* some blocks are: they stay */
};

/* ---- the socket ---- */

int weir_swap_drain_check(const struct weir_swap_settings *set)
{
    const struct weir_socket_kind *kind =
        set->type ? weir_common_kind(set->type) : NULL;

    if (!set->binds.count && !set->connects.count) {
        weir_common_fail("drain wants --bind URL or --connect URL");
        return 2;
    }
    if (kind &&
        (strcmp(kind->name, "PUSH") == 0 || strcmp(kind->name, "PUB") == 0 ||
         strcmp(kind->name, "DEALER") == 0))
        return 0;
    if (set->type)
        weir_common_fail("--type %s: want PUSH, PUB or DEALER", set->type);
    else
        weir_common_fail("drain wants --type PUSH, PUB or DEALER");
    return 2;
}

static int make_endpoints(struct drain *drain)
{
    const struct weir_args_list *binds = &drain->set->binds;
    const struct weir_args_list *connects = &drain->set->connects;
    int code;

    for (size_t i = 0; i < binds->count; i++) {
        code = weir_bind(drain->socket, binds->items[i], NULL);
        if (code < 0)
            return weir_common_fail_code(code, "--bind %s", binds->items[i]);
    }
    for (size_t i = 0; i < connects->count; i++) {
        code = weir_connect(drain->socket, connects->items[i], NULL);
        if (code < 0)
            return weir_common_fail_code(code, "--connect %s",
                                         connects->items[i]);
    }
    return 0;
}

/* A PUB would drop at its mark: here every type waits. */
static int set_up(struct drain *drain)
{
    const struct weir_args_list *options = &drain->set->options;
    const struct weir_socket_kind *kind = weir_common_kind(drain->set->type);
    int code = weir_context_open(&drain->context, 1);

    if (code < 0)
        return weir_common_fail_code(code, "no context");
    code = weir_open_named(&drain->socket, drain->context, kind->name);
    if (code >= 0)
        code = weir_set(drain->socket, "send-policy", "block");
    if (code < 0)
        return weir_common_fail_code(code, "no %s socket", kind->name);
    for (size_t i = 0; i < options->count; i++) {
        code = weir_common_set(drain->socket, "--option", options->items[i]);
        if (code)
            return code;
    }
    return make_endpoints(drain);
}

/* ---- waiting ---- */

/* Call something with what is left of the time, in pieces, so that a signal is
 * heard.  Returns what it does; -EAGAIN: the time is over, or a signal came. */
static int wait_with(struct drain *drain,
                     int (*call)(struct drain *drain, void *arg, int deadline),
                     void *arg)
{
    int code;

    do {
        code = call(drain, arg, weir_common_left(drain->until, 100));
    } while (code == -EAGAIN && !weir_common_stopped() &&
             weir_common_left(drain->until, -1) != 0);
    return code;
}

static int call_peers(struct drain *drain, void *arg, int deadline)
{
    (void)arg;
    return weir_wait_peers(drain->socket, 1, deadline);
}

static int call_send(struct drain *drain, void *arg, int deadline)
{
    return weir_send_message(drain->socket, arg, deadline);
}

static int call_flush(struct drain *drain, void *arg, int deadline)
{
    (void)arg;
    return weir_flush(drain->socket, deadline);
}

static int give_up(struct drain *drain, int code, const char *what)
{
    weir_stats stats = {.size = sizeof stats};

    if (code != -EAGAIN)
        return weir_common_fail_code(code, "cannot %s", what);
    if (weir_common_stopped())
        return weir_common_fail("stopped");
    if (weir_socket_stats(drain->socket, &stats) == 0 && stats.last_reason[0])
        return weir_common_fail("timed out: cannot %s: %s", what,
                                stats.last_reason);
    return weir_common_fail("timed out: cannot %s", what);
}

/* ---- blocks ---- */

/* Messages that the socket has lost, or may have. */
static uint64_t lost(const struct drain *drain)
{
    weir_stats stats = {.size = sizeof stats};

    if (weir_socket_stats(drain->socket, &stats) < 0)
        return UINT64_MAX;
    return weir_common_drops(stats.send_dropped) + stats.unconfirmed;
}

static int send_messages(struct drain *drain, struct weir_swap_block *block)
{
    weir_message message;
    int rc, code = 0;

    weir_message_init(&message);
    while (!code && (rc = weir_swap_message(block, &message)) > 0) {
        rc = wait_with(drain, call_send, &message);
        if (rc < 0)
            code = give_up(drain, rc, "send");
        weir_message_fini(&message);
        weir_message_init(&message);
    }
    weir_message_fini(&message);
    if (!code && rc < 0)
        code = weir_common_fail_code(rc, "message %" PRIu64, block->next);
    return code;
}

static int drain_block(struct drain *drain, struct weir_swap_block *block)
{
    uint64_t before = lost(drain), missing;
    int code = send_messages(drain, block), rc;

    if (code)
        return code;
    rc = wait_with(drain, call_flush, NULL);
    if (rc < 0)
        return give_up(drain, rc, "hand over what was sent");
    missing = lost(drain) - before;
    if (missing || before == UINT64_MAX)
        return weir_common_fail("of the messages from %" PRIu64 " to %" PRIu64
                                " up to %" PRIu64 " did not arrive: they stay",
                                block->head.first + block->consumed,
                                block->next - 1, missing);
    if (weir_swap_done(drain->swap, block) < 0)
        return weir_common_fail("%s", drain->swap->text);
    drain->sent += block->head.messages - block->consumed;
    return 0;
}

static bool is_damage(int code)
{
    return code == -EIO || code == -EILSEQ || code == -EBADMSG;
}

/* What is damaged stays, and does not keep the others. */
static int read_and_drain(struct drain *drain, struct weir_swap_block *block)
{
    int rc = weir_swap_read(drain->swap, block), code;

    if (rc < 0) {
        code = weir_common_fail("%s", drain->swap->text);
        drain->damaged |= is_damage(rc);
        return is_damage(rc) ? 0 : code;
    }
    code = drain_block(drain, block);
    free(block->octets);
    return code;
}

static int drain_all(struct drain *drain)
{
    struct weir_swap_block block;
    int rc, code = 0;

    while (!code && (rc = weir_swap_next(drain->swap, false, &block)) > 0)
        code = read_and_drain(drain, &block);
    if (!code && rc < 0)
        code = weir_common_fail("%s", drain->swap->text);
    return code;
}

/* A connection may die when what it had is let go already. */
static int check_lost(const struct drain *drain)
{
    uint64_t missing = lost(drain);

    return missing ? weir_common_fail("up to %" PRIu64 " messages that were "
                                      "sent may not have arrived",
                                      missing)
                   : 0;
}

static int run(struct drain *drain)
{
    int code = set_up(drain), rc;

    if (code)
        return code;
    rc = wait_with(drain, call_peers, NULL);
    if (rc < 0)
        return give_up(drain, rc, "find a peer");
    code = drain_all(drain);
    if (!code && drain->swap->queue->ops->sync(drain->swap->self,
                                               &drain->swap->error) < 0)
        code = weir_common_fail("%s", drain->swap->text);
    if (!code)
        code = check_lost(drain);
    return code ? code : drain->damaged;
}

/* A PUB sends nowhere what nobody has subscribed to. */
static void report(const struct drain *drain)
{
    weir_stats stats = {.size = sizeof stats};
    uint64_t left = drain->total - drain->sent;

    if (weir_socket_stats(drain->socket, &stats) < 0)
        stats.unmatched = 0;
    if (drain->set->json) {
        printf("{\"sent\": %" PRIu64 ", \"unmatched\": %" PRIu64
               ", \"left\": %" PRIu64 "}\n",
               drain->sent, stats.unmatched, left);
        return;
    }
    printf("%" PRIu64 " messages sent, %" PRIu64 " left\n", drain->sent, left);
    if (stats.unmatched)
        printf("%" PRIu64 " of what was sent nobody had subscribed to\n",
               stats.unmatched);
}

int weir_swap_drain(const struct weir_swap_settings *set,
                    struct weir_swap *swap)
{
    struct drain drain = {.set = set,
                          .swap = swap,
                          .until = weir_common_until(set->timeout),
                          .total = weir_swap_stat(swap).recovered};
    int code = weir_common_catch_signals() < 0
                   ? weir_common_fail("cannot catch signals")
                   : run(&drain);

    if (code != 2)
        report(&drain);
    weir_close(drain.socket, 1000, NULL);
    weir_context_close(drain.context, 5000);
    return code;
}
