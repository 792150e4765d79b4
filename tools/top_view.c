/* top_view.c - what weir top shows. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "terminal.h"
#include "top_view.h"

enum { PEERS_MOST = 100, TITLE = 24 };

/* What is told of a socket or a peer. */
struct line {
    double in, out, drops; /* each second; below 0: not known */
    uint64_t in_queued, out_queued, dropped;
};

/* ---- figures ---- */

void weir_top_short(struct weir_text *text, double number)
{
    static const char units[] = " kMGTPE";
    size_t unit = 0;

    while (number >= 99999.5 || (unit && number >= 999.5)) {
        number /= 1000;
        unit++;
    }
    if (!unit)
        weir_text_format(text, "%.0f", number);
    else
        weir_text_format(text, number < 9.95 ? "%.1f%c" : "%.0f%c", number,
                         units[unit]);
}

static uint64_t sum_of(const struct weir_tree *tree,
                       const struct weir_tree_node *drops)
{
    uint64_t sum = 0;

    for (const struct weir_tree_node *drop = weir_tree_first(tree, drops); drop;
         drop = weir_tree_next(tree, drop))
        sum += drop->number;
    return sum;
}

static uint64_t dropped(const struct weir_tree *tree,
                        const struct weir_tree_node *node)
{
    return sum_of(tree, weir_tree_member(tree, node, "send_dropped")) +
           sum_of(tree, weir_tree_member(tree, node, "recv_dropped"));
}

/* Seconds between the two reports; 0: there are not two of one program. */
static double span(const struct weir_top_program *program)
{
    const struct weir_tree_node *now = weir_tree_root(program->now);
    const struct weir_tree_node *before = weir_tree_root(program->before);
    uint64_t from = weir_tree_number(program->before, before, "time_ns");
    uint64_t to = weir_tree_number(program->now, now, "time_ns");

    if (!now || !before || to <= from ||
        weir_tree_number(program->now, now, "pid") !=
            weir_tree_number(program->before, before, "pid"))
        return 0;
    return (double)(to - from) / 1e9;
}

/* A counter may go back a little: see weir_stats(3) on inproc. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

static struct line measure(const struct weir_top_program *program,
                           const struct weir_tree_node *now,
                           const struct weir_tree_node *before)
{
    const struct weir_tree *tree = program->now, *old = program->before;
    double seconds = span(program);
    struct line line = {-1, -1, -1, 0, 0, 0};

    line.in_queued = weir_tree_number(tree, now, "recv_queued");
    line.out_queued = weir_tree_number(tree, now, "send_queued");
    line.dropped = dropped(tree, now);
    if (!before || seconds <= 0)
        return line;
    line.in = rate(weir_tree_number(tree, now, "decoded"),
                   weir_tree_number(old, before, "decoded"), seconds);
    line.out = rate(weir_tree_number(tree, now, "written"),
                    weir_tree_number(old, before, "written"), seconds);
    line.drops = rate(line.dropped, dropped(old, before), seconds);
    return line;
}

/* ---- the same thing in the report before ---- */

/* What a list has, in the order of its numbers: lists may be long. */
struct known {
    struct entry {
        uint64_t id, generation;
        const struct weir_tree_node *node;
    } * entries;
    size_t n;
};

static int compare(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;

    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->generation != b->generation)
        return a->generation < b->generation ? -1 : 1;
    return 0;
}

static struct entry entry_of(const struct weir_tree *tree,
                             const struct weir_tree_node *node)
{
    return (struct entry){weir_tree_number(tree, node, "id"),
                          weir_tree_number(tree, node, "generation"), node};
}

static void learn(struct known *known, const struct weir_tree *tree,
                  const struct weir_tree_node *list)
{
    const struct weir_tree_node *node;
    size_t n = 0;

    for (node = weir_tree_first(tree, list); node;
         node = weir_tree_next(tree, node))
        n++;
    *known = (struct known){n ? malloc(n * sizeof *known->entries) : NULL, 0};
    if (n && !known->entries) {
        fputs("weir: out of memory\n", stderr);
        exit(1);
    }
    for (node = weir_tree_first(tree, list); node;
         node = weir_tree_next(tree, node))
        known->entries[known->n++] = entry_of(tree, node);
    if (n)
        qsort(known->entries, n, sizeof *known->entries, compare);
}

static const struct weir_tree_node *before_of(const struct known *known,
                                              const struct weir_tree *tree,
                                              const struct weir_tree_node *node)
{
    struct entry key = entry_of(tree, node), *found = NULL;

    if (known->n)
        found = bsearch(&key, known->entries, known->n, sizeof key, compare);
    return found ? found->node : NULL;
}

static const struct weir_tree_node *sockets_of(const struct weir_tree *tree)
{
    return weir_tree_member(tree, weir_tree_root(tree), "sockets");
}

/* ---- the busiest peers ---- */

struct peer {
    const struct weir_tree_node *node;
    struct line line;
};

static double traffic(const struct peer *peer)
{
    return peer->line.in + peer->line.out;
}

/* Put a peer in its place among the `n` busiest. */
static size_t insert(struct peer *peers, size_t n, size_t most,
                     const struct peer *peer)
{
    size_t at = n;

    if (n < most)
        n++;
    else if (!most || traffic(peer) <= traffic(&peers[most - 1]))
        return n;
    else
        at = most - 1;
    for (; at > 0 && traffic(peer) > traffic(&peers[at - 1]); at--)
        peers[at] = peers[at - 1];
    peers[at] = *peer;
    return n;
}

static size_t choose_peers(const struct weir_top_program *program,
                           const struct weir_tree_node *socket,
                           const struct weir_tree_node *before, size_t most,
                           struct peer *peers)
{
    const struct weir_tree_node *list =
        weir_tree_member(program->now, socket, "peers");
    struct known known;
    size_t n = 0;

    learn(&known, program->before,
          weir_tree_member(program->before, before, "peers"));
    for (const struct weir_tree_node *node =
             weir_tree_first(program->now, list);
         node; node = weir_tree_next(program->now, node)) {
        struct peer peer = {node,
                            measure(program, node,
                                    before_of(&known, program->now, node))};

        n = insert(peers, n, most, &peer);
    }
    free(known.entries);
    return n;
}

/* ---- lines ---- */

struct page {
    struct weir_text *text;
    struct weir_text line;
    int columns, rows; /* rows 0: any number */
    int used, left_out;
    bool colours;
};

/* The octets of the first `columns` characters. */
static size_t fit(const struct weir_text *line, int columns)
{
    size_t at = 0, length;
    uint32_t character;

    for (int n = 0; n < columns && at < line->size; n++) {
        length = weir_text_decode(line->data + at, line->size - at, &character);
        at += length ? length : 1;
    }
    return at;
}

static void end_line(struct page *page, enum weir_colour colour)
{
    bool coloured = page->colours && colour != WEIR_COLOUR_PLAIN;

    if (page->rows && page->used == page->rows - 1) {
        page->left_out++;
        weir_text_clear(&page->line);
        return;
    }
    weir_terminal_colour(page->text, colour, coloured);
    weir_text_add(page->text, weir_text_string(&page->line),
                  fit(&page->line, page->columns));
    weir_terminal_colour(page->text, WEIR_COLOUR_PLAIN, coloured);
    weir_text_add_char(page->text, '\n');
    page->used++;
    weir_text_clear(&page->line);
}

static void add_plain(struct page *page, const char *text)
{
    weir_text_add_plain(&page->line, text, strlen(text));
}

/* A cell to the left: words that came from elsewhere. */
static void add_left(struct page *page, int width, const char *text)
{
    struct weir_text cell = {0};

    weir_text_add_plain(&cell, text, strlen(text));
    weir_text_format(&page->line, "%-*s", width, weir_text_string(&cell));
    weir_text_fini(&cell);
}

/* A cell to the right: a number, or nothing if it is not known. */
static void add_cell(struct page *page, int width, double number)
{
    struct weir_text cell = {0};

    if (number >= 0)
        weir_top_short(&cell, number);
    weir_text_format(&page->line, "%*s", width, weir_text_string(&cell));
    weir_text_fini(&cell);
}

static void add_figures(struct page *page, const struct line *line)
{
    add_cell(page, 8, line->in);
    add_cell(page, 8, line->out);
    add_cell(page, 8, (double)line->in_queued);
    add_cell(page, 8, (double)line->out_queued);
    add_cell(page, 8, line->drops);
    add_cell(page, 8, (double)line->dropped);
}

static void write_heads(struct page *page)
{
    weir_text_format(&page->line, "%-*s%6s%8s%8s%8s%8s%8s%8s", TITLE, "socket",
                     "peers", "in/s", "out/s", "unread", "unsent", "drops/s",
                     "dropped");
    end_line(page, WEIR_COLOUR_BOLD);
}

static void write_peer(struct page *page,
                       const struct weir_top_program *program,
                       const struct peer *peer)
{
    struct weir_text name = {0};

    weir_text_format(&name, "    ");
    weir_text_add_plain(
        &name, weir_tree_text(program->now, peer->node, "peer"),
        strlen(weir_tree_text(program->now, peer->node, "peer")));
    if (fit(&name, TITLE + 5) < name.size) {
        weir_text_add(&page->line, name.data, fit(&name, TITLE + 2));
        weir_text_format(&page->line, "~   ");
    } else {
        weir_text_format(&page->line, "%-*s", TITLE + 6,
                         weir_text_string(&name));
    }
    weir_text_fini(&name);
    add_figures(page, &peer->line);
    end_line(page, WEIR_COLOUR_DIM);
}

/* Which reasons there were, the senders' and the receivers'. */
static void write_drops(struct page *page, const struct weir_tree *tree,
                        const struct weir_tree_node *socket, const char *member,
                        const char *words)
{
    const struct weir_tree_node *drops = weir_tree_member(tree, socket, member);
    const char *comma = "";

    if (!sum_of(tree, drops))
        return;
    weir_text_format(&page->line, "    %s: ", words);
    for (const struct weir_tree_node *drop = weir_tree_first(tree, drops); drop;
         drop = weir_tree_next(tree, drop)) {
        weir_text_format(&page->line, "%s%" PRIu64 " ", comma, drop->number);
        add_plain(page, weir_tree_name(tree, drop));
        comma = ", ";
    }
    end_line(page, WEIR_COLOUR_YELLOW);
}

static void write_swap(struct page *page, const struct weir_tree *tree,
                       const struct weir_tree_node *socket)
{
    const struct weir_tree_node *swap = weir_tree_member(tree, socket, "swap");

    if (!swap)
        return;
    weir_text_format(&page->line, "    swap: ");
    weir_top_short(&page->line, (double)weir_tree_number(tree, swap, "bytes"));
    weir_text_format(&page->line, " octets above the mark, ");
    weir_top_short(&page->line,
                   (double)weir_tree_number(tree, swap, "swapped"));
    weir_text_format(&page->line, " messages ever written");
    end_line(page, WEIR_COLOUR_PLAIN);
}

static void write_endpoints(struct page *page, const struct weir_tree *tree,
                            const struct weir_tree_node *socket)
{
    const struct weir_tree_node *list =
        weir_tree_member(tree, socket, "endpoints");

    for (const struct weir_tree_node *node = weir_tree_first(tree, list); node;
         node = weir_tree_next(tree, node)) {
        weir_text_format(&page->line, "    %s ",
                         weir_tree_flag(tree, node, "bound") ? "at" : "to");
        add_plain(page, weir_tree_text(tree, node, "url"));
        end_line(page, WEIR_COLOUR_PLAIN);
    }
}

static void write_error(struct page *page, const struct weir_tree *tree,
                        const struct weir_tree_node *socket)
{
    const char *reason = weir_tree_text(tree, socket, "last_reason");

    if (!*reason)
        return;
    weir_text_format(&page->line, "    last: ");
    add_plain(page, reason);
    end_line(page, WEIR_COLOUR_RED);
}

static void write_left_out(struct page *page, const struct weir_tree *tree,
                           const struct weir_tree_node *socket, size_t shown)
{
    uint64_t all = weir_tree_number(tree, socket, "peers_ready");

    if (!shown || all <= shown)
        return;
    weir_text_format(&page->line, "    and %" PRIu64 " more", all - shown);
    end_line(page, WEIR_COLOUR_DIM);
}

static void write_socket(struct page *page, const struct weir_top_view *view,
                         const struct weir_top_program *program,
                         const struct weir_tree_node *socket,
                         const struct weir_tree_node *before)
{
    const struct weir_tree *tree = program->now;
    struct line line = measure(program, socket, before);
    struct peer peers[PEERS_MOST];
    size_t n;

    add_left(page, 8, weir_tree_text(tree, socket, "type"));
    weir_text_format(&page->line, "%-16" PRIu64 "%6" PRIu64,
                     weir_tree_number(tree, socket, "id"),
                     weir_tree_number(tree, socket, "peers_ready"));
    add_figures(page, &line);
    end_line(page, WEIR_COLOUR_PLAIN);
    write_endpoints(page, tree, socket);
    write_drops(page, tree, socket, "send_dropped", "dropped, not sent");
    write_drops(page, tree, socket, "recv_dropped", "dropped, not received");
    write_swap(page, tree, socket);
    write_error(page, tree, socket);
    n = choose_peers(program, socket, before, view->peers, peers);
    for (size_t i = 0; i < n; i++)
        write_peer(page, program, &peers[i]);
    write_left_out(page, tree, socket, n);
}

static void write_program(struct page *page, const struct weir_top_view *view,
                          const struct weir_top_program *program)
{
    const struct weir_tree *tree = program->now;
    const struct weir_tree_node *root = weir_tree_root(tree);
    struct known known;

    end_line(page, WEIR_COLOUR_PLAIN);
    add_plain(page, program->target);
    if (!root) {
        weir_text_format(&page->line, ": ");
        add_plain(page, program->error);
        end_line(page, WEIR_COLOUR_RED);
        return;
    }
    weir_text_format(&page->line, ": ");
    add_plain(page, weir_tree_text(tree, root, "program"));
    weir_text_format(&page->line, ", pid %" PRIu64 ", context %" PRIu64,
                     weir_tree_number(tree, root, "pid"),
                     weir_tree_number(tree, root, "context"));
    end_line(page, WEIR_COLOUR_BOLD);
    learn(&known, program->before, sockets_of(program->before));
    for (const struct weir_tree_node *socket =
             weir_tree_first(tree, sockets_of(tree));
         socket; socket = weir_tree_next(tree, socket))
        write_socket(page, view, program, socket,
                     before_of(&known, tree, socket));
    free(known.entries);
}

void weir_top_write(const struct weir_top_view *view, int columns, int rows,
                    struct weir_text *text)
{
    struct page page = {.text = text,
                        .columns = columns,
                        .rows = rows,
                        .colours = view->colours};

    write_heads(&page);
    for (size_t i = 0; i < view->n; i++)
        write_program(&page, view, &view->programs[i]);
    if (page.left_out) {
        page.rows = 0;
        weir_text_format(&page.line, "(%d lines more)", page.left_out);
        end_line(&page, WEIR_COLOUR_DIM);
    }
    weir_text_fini(&page.line);
}

/* ---- JSON ---- */

static void add_member(struct weir_text *text, const char *name,
                       const char *value)
{
    weir_text_format(text, "\"%s\": ", name);
    weir_json_string(text, value, strlen(value));
}

static void add_rate(struct weir_text *text, const char *name, double value)
{
    if (value < 0)
        weir_text_format(text, ", \"%s\": null", name);
    else
        weir_text_format(text, ", \"%s\": %.1f", name, value);
}

static void add_line(struct weir_text *text, const struct line *line)
{
    add_rate(text, "in_rate", line->in);
    add_rate(text, "out_rate", line->out);
    weir_text_format(text,
                     ", \"recv_queued\": %" PRIu64 ", \"send_queued\": %" PRIu64
                     ", \"dropped\": %" PRIu64,
                     line->in_queued, line->out_queued, line->dropped);
    add_rate(text, "drop_rate", line->drops);
}

static void add_json_peers(struct weir_text *text,
                           const struct weir_top_program *program,
                           const struct weir_tree_node *socket,
                           const struct weir_tree_node *before)
{
    struct peer peers[PEERS_MOST];
    size_t n = choose_peers(program, socket, before, PEERS_MOST, peers);

    weir_text_format(text, ", \"peers\": [");
    for (size_t i = 0; i < n; i++) {
        weir_text_format(text, "%s{", i ? ", " : "");
        add_member(text, "peer",
                   weir_tree_text(program->now, peers[i].node, "peer"));
        add_line(text, &peers[i].line);
        weir_text_add_char(text, '}');
    }
    weir_text_add_char(text, ']');
}

/* Whether it was sent or received: the reasons are different ones. */
static void add_json_drops(struct weir_text *text, const struct weir_tree *tree,
                           const struct weir_tree_node *socket,
                           const char *member)
{
    const struct weir_tree_node *drops = weir_tree_member(tree, socket, member);
    const char *comma = "";

    weir_text_format(text, ", \"%s\": {", member);
    for (const struct weir_tree_node *drop = weir_tree_first(tree, drops); drop;
         drop = weir_tree_next(tree, drop)) {
        weir_text_format(text, "%s", comma);
        weir_json_string(text, weir_tree_name(tree, drop),
                         strlen(weir_tree_name(tree, drop)));
        weir_text_format(text, ": %" PRIu64, drop->number);
        comma = ", ";
    }
    weir_text_add_char(text, '}');
}

static void add_json_socket(struct weir_text *text,
                            const struct weir_top_program *program,
                            const struct weir_tree_node *socket,
                            const struct weir_tree_node *before)
{
    const struct weir_tree *tree = program->now;
    const struct weir_tree_node *swap = weir_tree_member(tree, socket, "swap");
    struct line line = measure(program, socket, before);

    weir_text_add_char(text, '{');
    add_member(text, "type", weir_tree_text(tree, socket, "type"));
    weir_text_format(text, ", \"id\": %" PRIu64 ", \"peers_ready\": %" PRIu64,
                     weir_tree_number(tree, socket, "id"),
                     weir_tree_number(tree, socket, "peers_ready"));
    add_line(text, &line);
    add_json_drops(text, tree, socket, "send_dropped");
    add_json_drops(text, tree, socket, "recv_dropped");
    weir_text_format(text, ", \"swap_bytes\": %" PRIu64 ", ",
                     weir_tree_number(tree, swap, "bytes"));
    add_member(text, "last_reason",
               weir_tree_text(tree, socket, "last_reason"));
    add_json_peers(text, program, socket, before);
    weir_text_add_char(text, '}');
}

static void add_json_program(struct weir_text *text,
                             const struct weir_top_program *program)
{
    const struct weir_tree *tree = program->now;
    const struct weir_tree_node *root = weir_tree_root(tree);
    struct known known;
    const char *comma = "";

    weir_text_add_char(text, '{');
    add_member(text, "target", program->target);
    if (!root) {
        weir_text_format(text, ", ");
        add_member(text, "error", program->error);
        weir_text_add_char(text, '}');
        return;
    }
    weir_text_format(text, ", \"pid\": %" PRIu64 ", \"sockets\": [",
                     weir_tree_number(tree, root, "pid"));
    learn(&known, program->before, sockets_of(program->before));
    for (const struct weir_tree_node *socket =
             weir_tree_first(tree, sockets_of(tree));
         socket; socket = weir_tree_next(tree, socket)) {
        weir_text_format(text, "%s", comma);
        add_json_socket(text, program, socket, before_of(&known, tree, socket));
        comma = ", ";
    }
    free(known.entries);
    weir_text_format(text, "]}");
}

void weir_top_write_json(const struct weir_top_view *view,
                         struct weir_text *text)
{
    weir_text_format(text, "{\"programs\": [");
    for (size_t i = 0; i < view->n; i++) {
        weir_text_format(text, "%s", i ? ", " : "");
        add_json_program(text, &view->programs[i]);
    }
    weir_text_format(text, "]}\n");
}
