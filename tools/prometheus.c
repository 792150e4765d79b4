/* prometheus.c - reports as Prometheus' text format. */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "prometheus.h"

/* A metric, and the member of a report that it is.  Names of counters end in
 * _total. */
struct metric {
    const char *name, *type, *help, *member;
    const char *inside; /* an object in the socket that the member is in */
};

#define COUNTER "counter"
#define GAUGE   "gauge"

static const struct metric of_sockets[] = {
    {"weir_socket_peers", GAUGE, "Peers that are ready.", "peers_ready", NULL},
    {"weir_socket_accepted_messages_total", COUNTER,
     "Messages that a send has taken, once for each peer.", "accepted", NULL},
    {"weir_socket_written_messages_total", COUNTER,
     "Messages that the kernel, or a peer's queue, has taken.", "written",
     NULL},
    {"weir_socket_decoded_messages_total", COUNTER,
     "Messages that have come from peers.", "decoded", NULL},
    {"weir_socket_delivered_messages_total", COUNTER,
     "Messages that the application has received.", "delivered", NULL},
    {"weir_socket_send_queued_messages", GAUGE,
     "Messages that wait to be sent.", "send_queued", NULL},
    {"weir_socket_send_queued_bytes", GAUGE, "Octets that wait to be sent.",
     "send_queued_bytes", NULL},
    {"weir_socket_recv_queued_messages", GAUGE,
     "Messages that wait to be received.", "recv_queued", NULL},
    {"weir_socket_recv_queued_bytes", GAUGE, "Octets that wait to be received.",
     "recv_queued_bytes", NULL},
    {"weir_socket_sent_bytes_total", COUNTER, "Octets to connections.",
     "bytes_out", NULL},
    {"weir_socket_received_bytes_total", COUNTER, "Octets from connections.",
     "bytes_in", NULL},
    {"weir_socket_unmatched_messages_total", COUNTER,
     "Messages of a publisher that nobody wanted.", "unmatched", NULL},
    {"weir_socket_unconfirmed_messages_total", COUNTER,
     "Messages that may have been lost with connections, at most.",
     "unconfirmed", NULL},
    {"weir_socket_connects_total", COUNTER, "Peers that became ready.",
     "connects", NULL},
    {"weir_socket_disconnects_total", COUNTER, "Ready peers that are gone.",
     "disconnects", NULL},
    {"weir_socket_refused_total", COUNTER, "Handshakes that failed.", "refused",
     NULL},
    {"weir_socket_swap_bytes", GAUGE, "Octets above the mark.", "bytes",
     "swap"},
    {"weir_socket_swapped_messages_total", COUNTER,
     "Messages that were written to a store.", "swapped", "swap"},
};

static const struct metric of_drops[] = {
    {"weir_socket_send_dropped_messages_total", COUNTER,
     "Messages that were not sent, by reason.", "send_dropped", NULL},
    {"weir_socket_recv_dropped_messages_total", COUNTER,
     "Messages that were not delivered, by reason.", "recv_dropped", NULL},
};

static const struct metric of_peers[] = {
    {"weir_peer_written_messages_total", COUNTER, "Messages to a peer.",
     "written", NULL},
    {"weir_peer_decoded_messages_total", COUNTER, "Messages from a peer.",
     "decoded", NULL},
    {"weir_peer_send_queued_messages", GAUGE,
     "Messages that wait to be sent to a peer.", "send_queued", NULL},
    {"weir_peer_recv_queued_messages", GAUGE,
     "Messages of a peer that wait to be received.", "recv_queued", NULL},
};

struct writer {
    struct weir_text *text;
    const struct weir_prometheus_target *targets;
    size_t n;
};

/* ---- parts of a line ---- */

static void write_head(struct weir_text *text, const char *name,
                       const char *type, const char *help)
{
    weir_text_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                     type);
}

/* A backslash, a quote and a newline are escaped.  What else could lead a
 * terminal or a reader astray, and what is no UTF-8, becomes U+FFFD. */
static void add_label(struct weir_text *text, const char *name,
                      const char *value)
{
    char before = text->data[text->size - 1];
    uint32_t character;
    size_t length;

    weir_text_format(text, "%s%s=\"", before == '{' ? "" : ",", name);
    for (; *value; value += length ? length : 1) {
        length = weir_text_decode(value, strlen(value), &character);
        if (*value == '\n')
            weir_text_add(text, "\\n", 2);
        else if (*value == '\\' || *value == '"')
            weir_text_format(text, "\\%c", *value);
        else if (!length || weir_text_is_control(character))
            weir_text_encode(text, 0xfffd);
        else
            weir_text_add(text, value, length);
    }
    weir_text_add_char(text, '"');
}

static void add_number_label(struct weir_text *text, const char *name,
                             uint64_t value)
{
    char number[24];

    snprintf(number, sizeof number, "%" PRIu64, value);
    add_label(text, name, number);
}

/* The name and the labels that all samples of a socket have. */
static void begin_sample(struct weir_text *text, const char *name,
                         const struct weir_prometheus_target *target,
                         const struct weir_tree_node *socket)
{
    const struct weir_tree *tree = target->tree;
    const struct weir_tree_node *root = weir_tree_root(tree);

    weir_text_format(text, "%s{", name);
    add_label(text, "target", target->name);
    add_label(text, "program", weir_tree_text(tree, root, "program"));
    add_number_label(text, "pid", weir_tree_number(tree, root, "pid"));
    add_number_label(text, "context", weir_tree_number(tree, root, "context"));
    add_number_label(text, "socket", weir_tree_number(tree, socket, "id"));
    add_number_label(text, "generation",
                     weir_tree_number(tree, socket, "generation"));
    add_label(text, "type", weir_tree_text(tree, socket, "type"));
}

static void end_sample(struct weir_text *text, uint64_t value)
{
    weir_text_format(text, "} %" PRIu64 "\n", value);
}

/* ---- the samples of one socket ---- */

typedef void write_samples(struct weir_text *text, const struct metric *metric,
                           const struct weir_prometheus_target *target,
                           const struct weir_tree_node *socket);

static void write_socket(struct weir_text *text, const struct metric *metric,
                         const struct weir_prometheus_target *target,
                         const struct weir_tree_node *socket)
{
    const struct weir_tree_node *object =
        metric->inside ? weir_tree_member(target->tree, socket, metric->inside)
                       : socket;

    if (!object)
        return;
    begin_sample(text, metric->name, target, socket);
    end_sample(text, weir_tree_number(target->tree, object, metric->member));
}

static void write_drops(struct weir_text *text, const struct metric *metric,
                        const struct weir_prometheus_target *target,
                        const struct weir_tree_node *socket)
{
    const struct weir_tree *tree = target->tree;
    const struct weir_tree_node *drops =
        weir_tree_member(tree, socket, metric->member);

    for (const struct weir_tree_node *drop = weir_tree_first(tree, drops); drop;
         drop = weir_tree_next(tree, drop)) {
        begin_sample(text, metric->name, target, socket);
        add_label(text, "reason", weir_tree_name(tree, drop));
        end_sample(text, drop->number);
    }
}

static void write_peers(struct weir_text *text, const struct metric *metric,
                        const struct weir_prometheus_target *target,
                        const struct weir_tree_node *socket)
{
    const struct weir_tree *tree = target->tree;
    const struct weir_tree_node *peers =
        weir_tree_member(tree, socket, "peers");

    for (const struct weir_tree_node *peer = weir_tree_first(tree, peers); peer;
         peer = weir_tree_next(tree, peer)) {
        begin_sample(text, metric->name, target, socket);
        add_number_label(text, "peer_id", weir_tree_number(tree, peer, "id"));
        add_label(text, "peer", weir_tree_text(tree, peer, "peer"));
        end_sample(text, weir_tree_number(tree, peer, metric->member));
    }
}

/* ---- all of them ---- */

static void write_metrics(const struct writer *writer,
                          const struct metric *metrics, size_t n,
                          write_samples *write)
{
    for (size_t m = 0; m < n; m++) {
        const struct metric *metric = &metrics[m];

        write_head(writer->text, metric->name, metric->type, metric->help);
        for (size_t i = 0; i < writer->n; i++) {
            const struct weir_tree *tree = writer->targets[i].tree;
            const struct weir_tree_node *list =
                weir_tree_member(tree, weir_tree_root(tree), "sockets");

            for (const struct weir_tree_node *socket =
                     weir_tree_first(tree, list);
                 socket; socket = weir_tree_next(tree, socket))
                write(writer->text, metric, &writer->targets[i], socket);
        }
    }
}

static void write_up(const struct writer *writer)
{
    write_head(writer->text, "weir_up", GAUGE,
               "Whether the program could be looked into.");
    for (size_t i = 0; i < writer->n; i++) {
        weir_text_format(writer->text, "weir_up{");
        add_label(writer->text, "target", writer->targets[i].name);
        end_sample(writer->text,
                   weir_tree_root(writer->targets[i].tree) != NULL);
    }
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

void weir_prometheus_write(struct weir_text *text,
                           const struct weir_prometheus_target *targets,
                           size_t n)
{
    struct writer writer = {text, targets, n};

    write_up(&writer);
    write_metrics(&writer, of_sockets, COUNT(of_sockets), write_socket);
    write_metrics(&writer, of_drops, COUNT(of_drops), write_drops);
    write_metrics(&writer, of_peers, COUNT(of_peers), write_peers);
}
