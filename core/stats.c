/*
 * stats.c - the counters of pipes, endpoints and sockets, added up.
 *
 * What the queues count is not counted twice: accepted is what was put plus
 * what never came that far, written is what was taken and not dropped.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sized.h"
#include "endpoint.h"
#include "frame.h"
#include "socket.h"
#include "spill.h"
#include "splice.h"

static uint64_t total(const uint64_t *drops)
{
    uint64_t sum = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        sum += drops[i];
    return sum;
}

static void add_output_swap(weir_stats *sum, struct weir_queue *queue)
{
    struct weir_spill_use use = {0};

    if (!queue || !queue->spill)
        return;
    weir_spill_add_use(queue, &use);
    sum->send_swapped_out += use.swapped;
    sum->send_swapped_out_bytes += use.swapped_bytes;
    sum->send_swapped_in += use.returned;
    sum->send_swapped_in_bytes += use.returned_bytes;
    sum->send_in_store += use.kept;
    sum->send_in_store_bytes += use.kept_bytes;
    sum->send_recovered += use.found;
    sum->send_torn_bytes += use.torn;
}

static void add_input_swap(weir_stats *sum, struct weir_queue *queue)
{
    struct weir_spill_use use = {0};

    if (!queue || !queue->spill)
        return;
    weir_spill_add_use(queue, &use);
    sum->recv_swapped_out += use.swapped;
    sum->recv_swapped_out_bytes += use.swapped_bytes;
    sum->recv_swapped_in += use.returned;
    sum->recv_swapped_in_bytes += use.returned_bytes;
    sum->recv_in_store += use.kept;
    sum->recv_in_store_bytes += use.kept_bytes;
}

static void add_output(weir_stats *sum, const struct weir_pipe *pipe)
{
    const struct weir_tally *tally = &pipe->tally;
    uint64_t put = 0, taken = 0, octets = 0, dropped, cut = 0, lost = 0;
    uint64_t returned = pipe->out ? weir_queue_returned(pipe->out) : 0;
    uint64_t refused = pipe->out ? weir_queue_refused(pipe->out) : 0;
    uint64_t replaced = tally->send_dropped[WEIR_DROP_REPLACED] + returned;

    if (pipe->out)
        weir_queue_counts_lost(pipe->out, &put, &taken, &octets, &lost);
    dropped = total(tally->send_dropped) + returned;
    if (pipe->splice && weir_splice_joined(pipe)) {
        taken = put; /* it is the peer's input, */
        octets = 0;
        cut = put + refused - replaced; /* as long as there is one */
        cut -= weir_splice_sent(pipe, cut);
        dropped = tally->refused_put + replaced + cut;
    }
    sum->accepted += put + refused + tally->refused_put + lost;
    sum->written += taken + refused - (dropped - tally->refused_put);
    sum->send_queued += put - taken;
    sum->send_dropped[WEIR_DROP_CLOSED] += cut;
    sum->send_dropped[WEIR_DROP_REPLACED] += returned;
    sum->send_dropped[WEIR_DROP_STORE] += lost;
    sum->send_queued_bytes += octets;
    add_output_swap(sum, pipe->out);
    for (int i = 0; i < WEIR_DROPS; i++)
        sum->send_dropped[i] += tally->send_dropped[i];
}

static void add_input(weir_stats *sum, const struct weir_pipe *pipe)
{
    const struct weir_tally *tally = &pipe->tally;
    uint64_t came = 0, taken = 0, octets = 0, lost = 0;
    uint64_t refused = pipe->in ? weir_queue_refused(pipe->in) : 0;

    if (pipe->in)
        weir_queue_came(pipe->in, &came, &taken, &octets, &lost);
    if (pipe->splice)
        weir_splice_received(pipe, &came, &refused);
    sum->decoded += came + refused + lost;
    sum->delivered += taken - total(tally->recv_dropped);
    sum->recv_queued += came - taken;
    sum->recv_dropped[WEIR_DROP_MARK] += refused;
    sum->recv_dropped[WEIR_DROP_STORE] += lost;
    sum->recv_queued_bytes += octets;
    add_input_swap(sum, pipe->in);
    for (int i = 0; i < WEIR_DROPS; i++)
        sum->recv_dropped[i] += tally->recv_dropped[i];
}

void weir_stats_add_pipe(weir_stats *sum, const struct weir_pipe *pipe)
{
    sum->peers += pipe->up;
    add_output(sum, pipe);
    add_input(sum, pipe);
    sum->bytes_out +=
        atomic_load_explicit(&pipe->link.octets_out, memory_order_relaxed);
    sum->bytes_in +=
        atomic_load_explicit(&pipe->link.octets_in, memory_order_relaxed);
    sum->unconfirmed += pipe->tally.unconfirmed;
}

void weir_stats_add(weir_stats *sum, const weir_stats *part)
{
    sum->accepted += part->accepted;
    sum->written += part->written;
    sum->send_queued += part->send_queued;
    sum->decoded += part->decoded;
    sum->delivered += part->delivered;
    sum->recv_queued += part->recv_queued;
    sum->bytes_out += part->bytes_out;
    sum->bytes_in += part->bytes_in;
    sum->unmatched += part->unmatched;
    sum->unconfirmed += part->unconfirmed;
    sum->connects += part->connects;
    sum->disconnects += part->disconnects;
    sum->refused += part->refused;
    sum->send_swapped_out += part->send_swapped_out;
    sum->send_swapped_out_bytes += part->send_swapped_out_bytes;
    sum->send_swapped_in += part->send_swapped_in;
    sum->send_swapped_in_bytes += part->send_swapped_in_bytes;
    sum->recv_swapped_out += part->recv_swapped_out;
    sum->recv_swapped_out_bytes += part->recv_swapped_out_bytes;
    sum->recv_swapped_in += part->recv_swapped_in;
    sum->recv_swapped_in_bytes += part->recv_swapped_in_bytes;
    sum->send_kept += part->send_kept;
    sum->send_recovered += part->send_recovered;
    sum->send_torn_bytes += part->send_torn_bytes;
    for (int i = 0; i < WEIR_DROPS; i++) {
        sum->send_dropped[i] += part->send_dropped[i];
        sum->recv_dropped[i] += part->recv_dropped[i];
    }
}

weir_stats weir_stats_sum(struct weir_sock *sock, const struct weir_ep *ep)
{
    struct weir_list *node, *after;
    weir_stats sum = ep ? ep->gone : sock->gone;

    if (ep) {
        WEIR_LIST_EACH(node, after, &ep->pipes)
        weir_stats_add_pipe(&sum,
                            WEIR_CONTAINER(node, struct weir_pipe, of_ep));
        return sum;
    }
    WEIR_LIST_EACH(node, after, &sock->pipes)
    weir_stats_add_pipe(&sum, WEIR_CONTAINER(node, struct weir_pipe, all));
    return sum;
}

/* A pipe has counted it as taken, and may be gone since. */
void weir_stats_add_held(weir_stats *sum, struct weir_sock *sock)
{
    if (!sock->has_held || sock->held_news)
        return;
    sum->delivered--;
    sum->recv_queued++;
    for (uint32_t i = 0; i < weir_message_count(&sock->held); i++)
        sum->recv_queued_bytes += weir_queue_octets(
            weir_frame_length(weir_message_frame(&sock->held, i)));
}

/* ---- the public calls ---- */

const char *weir_drop_name(int reason)
{
    static const char *const names[] = {
        [WEIR_DROP_MARK] = "mark",           [WEIR_DROP_REPLACED] = "replaced",
        [WEIR_DROP_NO_ROUTE] = "no-route",   [WEIR_DROP_CUT] = "cut",
        [WEIR_DROP_CLOSED] = "closed",       [WEIR_DROP_UNWANTED] = "unwanted",
        [WEIR_DROP_MALFORMED] = "malformed", [WEIR_DROP_STALE] = "stale",
        [WEIR_DROP_MEMORY] = "memory",       [WEIR_DROP_UNREAD] = "unread",
        [WEIR_DROP_STORE] = "store",
    };

    if (reason < 0 || (size_t)reason >= sizeof names / sizeof names[0])
        return "?";
    return names[reason];
}

enum { VERSION_1 = offsetof(weir_stats, send_swapped_out) };

static int check(const weir_stats *stats)
{
    return weir_sized_check(stats, VERSION_1, "weir_stats");
}

static void give(weir_stats *out, const weir_stats *sum)
{
    weir_sized_give(out, sum, sizeof(*sum));
}

static void name(weir_stats *sum, const struct weir_ep *ep)
{
    sum->source = (weir_endpoint){ep->index, ep->generation};
    snprintf(sum->endpoint, sizeof(sum->endpoint), "%s", ep->url);
}

int weir_socket_stats(weir_socket socket, weir_stats *stats)
{
    struct weir_sock *sock;
    weir_stats sum;
    int r = check(stats);

    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    sum = weir_stats_sum(sock, NULL);
    weir_stats_add_held(&sum, sock);
    weir_sock_put(sock);
    give(stats, &sum);
    return 0;
}

int weir_endpoint_stats(weir_endpoint endpoint, weir_stats *stats)
{
    struct weir_ep *ep;
    weir_stats sum;
    int r = check(stats);

    if (r >= 0)
        r = weir_ep_get(endpoint, &ep);
    if (r < 0)
        return weir_answer(r);
    sum = weir_stats_sum(ep->sock, ep);
    name(&sum, ep);
    weir_sock_put(ep->sock);
    give(stats, &sum);
    return 0;
}

static struct weir_pipe *nth_up(struct weir_sock *sock, int index)
{
    struct weir_list *node, *after;

    WEIR_LIST_EACH(node, after, &sock->pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        if (pipe->up && index-- == 0)
            return pipe;
    }
    return NULL;
}

static void name_peer(weir_stats *sum, const struct weir_pipe *pipe)
{
    size_t size;
    const void *address =
        weir_peer_info_property(pipe->info, "Peer-Address", &size);

    sum->peer_id = pipe->peer_id;
    if (address)
        snprintf(sum->peer, sizeof(sum->peer), "%.*s", (int)size,
                 (const char *)address);
}

int weir_peer_stats(weir_socket socket, int index, weir_stats *stats)
{
    struct weir_pipe *pipe;
    struct weir_sock *sock;
    weir_stats sum = {.size = sizeof(sum)};
    int r = check(stats);

    if (r >= 0)
        r = weir_sock_get(socket, &sock);
    if (r < 0)
        return weir_answer(r);
    pipe = index < 0 ? NULL : nth_up(sock, index);
    if (pipe) {
        name(&sum, pipe->ep);
        name_peer(&sum, pipe);
        weir_stats_add_pipe(&sum, pipe);
    }
    weir_sock_put(sock);
    if (!pipe)
        return weir_answer(weir_fail(ENOENT, "there is no peer %d", index));
    give(stats, &sum);
    return 0;
}
