/*
 * pipe_durable.c - which endpoints have a durable swap, and what its queues
 * are named: a process that starts again has to find its own.
 *
 * A name is that of the option "swap-name", and the address that is connected
 * to, or the routing id of a peer that has come: "feed~tcp%3A%2F%2Fhost%3A1",
 * "feed~~worker-7".  Whatever a store does not take in a name is escaped as in
 * a URL, and so is the tilde.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pipe_swap.h"
#include "socket.h"

enum { NAME_MAX_OCTETS = 200 /* of a queue, see weir/store.h */ };

/* ---- names ---- */

static bool is_plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Append what is escaped of `size` octets; a dot is none at the begin.
 * Returns the new end, or NULL: there is no room. */
static char *escape(char *at, const char *end, const void *octets, size_t size,
                    bool first)
{
    const unsigned char *data = octets;

    for (size_t i = 0; i < size; i++) {
        bool plain =
            is_plain(data[i]) || (data[i] == '.' && !(first && i == 0));

        if (end - at < (plain ? 2 : 4))
            return NULL;
        if (plain)
            *at++ = (char)data[i];
        else
            at += snprintf(at, 4, "%%%02X", data[i]);
    }
    *at = '\0';
    return at;
}

static int make_name(const struct weir_options *options, const char *between,
                     const void *part, size_t size,
                     char name[NAME_MAX_OCTETS + 1])
{
    const char *end = name + NAME_MAX_OCTETS + 1;
    size_t gap = strlen(between);
    char *at =
        escape(name, end, options->swap_name, strlen(options->swap_name), true);

    if (at && (size_t)(end - at) > gap) {
        memcpy(at, between, gap);
        at = escape(at + gap, end, part, size, false);
    }
    if (at && (size_t)(end - at) > gap)
        return 0;
    return weir_fail(ENAMETOOLONG,
                     "option \"swap-name\": \"%s\" and what goes with it, "
                     "\"%.*s\", make a name of more than %d octets",
                     options->swap_name, size > 100 ? 100 : (int)size,
                     (const char *)part, NAME_MAX_OCTETS);
}

/* ---- rules ---- */

static int does_not_go(const char *option, const char *why)
{
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "option \"%s\" does not go with a \"swap-mode\" of "
                     "durable: %s",
                     option, why);
}

static int is_missing(const char *option, const char *why)
{
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "option \"%s\" is not set, and a \"swap-mode\" of durable "
                     "wants it: %s",
                     option, why);
}

int weir_ep_check_durable(const struct weir_ep *ep)
{
    const struct weir_options *options = &ep->options;

    if (!weir_ep_is_durable(ep))
        return 0;
    if (options->send_swap == 0)
        return is_missing("send-swap", "the octets that may wait");
    if (!options->swap_name[0])
        return is_missing("swap-name", "a process that starts again finds its "
                                       "messages by it");
    if (!options->swap_dir[0])
        return is_missing("swap-dir", "the folder where messages stay");
    if (options->recv_swap)
        return does_not_go("recv-swap", "what is received cannot be kept");
    if (options->immediate)
        return does_not_go("immediate",
                           "messages wait for a peer that is away");
    if (options->probe)
        return does_not_go("probe", "it would be kept, too");
    if (options->send_policy != WEIR_POLICY_PATTERN &&
        options->send_policy != WEIR_POLICY_BLOCK)
        return does_not_go("send-policy", "what is kept is not dropped");
    return 0;
}

/* ---- queues ---- */

static struct weir_spill *new_spill(const struct weir_ep *ep, const char *name)
{
    const struct weir_options *options = &ep->options;
    const struct weir_spill_plan plan = {
        .store = ep->swap.store,
        .host = &weir_the_host,
        .dir = ep->swap.dir,
        .budget = (uint64_t)options->send_swap,
        .name = name,
        .sync = (enum weir_spill_sync)options->swap_sync,
        .every = options->swap_sync_interval * 1000000};
    struct weir_spill *spill = weir_spill_new(&plan, NULL);

    if (!spill)
        weir_fail(ENOMEM, "no memory for a swap");
    return spill;
}

/* The store has said which folder it is, and which process has it. */
static int is_in_use(const struct weir_ep *ep)
{
    return weir_fail(EBUSY,
                     "option \"swap-name\": the queue \"%.100s\" is in use, "
                     "and another socket wants another name: %s",
                     ep->options.swap_name, weir_error_text());
}

int weir_ep_open_durable(struct weir_ep *ep)
{
    char name[NAME_MAX_OCTETS + 1];
    size_t size = ep->binder ? 0 : strlen(ep->url);
    struct weir_spill *spill;
    int r =
        make_name(&ep->options, ep->binder ? "~~" : "~", ep->url, size, name);

    if (r < 0 || ep->binder)
        return r;
    spill = new_spill(ep, name);
    if (!spill)
        return -ENOMEM;
    r = weir_spill_open(spill);
    if (r == -EBUSY)
        r = is_in_use(ep);
    if (r >= 0)
        ep->swap.opened = spill;
    else
        weir_spill_leave(spill);
    return r;
}

int weir_pipe_join_durable(struct weir_pipe *pipe,
                           const struct weir_spill_plan *plan)
{
    struct weir_spill *spill = pipe->ep->swap.opened;
    int r;

    if (pipe->ep->binder)
        return 0;
    r = weir_spill_join(spill, pipe->out, plan);
    if (r < 0)
        return r;
    pipe->ep->swap.opened = NULL; /* it is the queue's */
    pipe->sock->keeps = true;
    return 0;
}

/* Does another peer of the socket go by that name? */
static bool is_taken(const struct weir_pipe *pipe)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &pipe->sock->pipes)
    {
        struct weir_pipe *other = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (other != pipe && !other->dying && other->ep->binder && other->out &&
            weir_spill_is_durable(other->out->spill) &&
            other->id_size == pipe->id_size &&
            memcmp(other->id, pipe->id, pipe->id_size) == 0)
            return true;
    }
    return false;
}

int weir_pipe_name_swap(struct weir_pipe *pipe)
{
    const struct weir_options *options = weir_ep_options(pipe->ep);
    const struct weir_spill_plan plan =
        weir_pipe_plan(pipe, options->send_swap);
    char name[NAME_MAX_OCTETS + 1];
    struct weir_spill *spill;
    int r;

    if (!pipe->ep->binder || !weir_ep_is_durable(pipe->ep))
        return 0;
    if (pipe->id_size == 0)
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "the peer has no name for its durable swap: it has to "
                         "set its option \"routing-id\"");
    if (is_taken(pipe))
        return weir_fail(EBUSY, "another peer has that routing id, and the "
                                "durable swap that goes by it");
    r = make_name(options, "~~", pipe->id, pipe->id_size, name);
    if (r < 0)
        return r;
    spill = new_spill(pipe->ep, name);
    if (!spill)
        return -ENOMEM;
    r = weir_spill_join(spill, pipe->out, &plan);
    if (r < 0)
        weir_spill_leave(spill);
    else
        pipe->sock->keeps = true;
    return r;
}
