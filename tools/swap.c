/* swap.c - weir swap: into the durable queues of a process that is gone. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "format.h"
#include "swap.h"

#define AT(member) offsetof(struct weir_swap_settings, member)

static const struct weir_args_option options[] = {
    {"store", "NAME", "the store, such as file or lmdb; all without it",
     WEIR_ARGS_TEXT, AT(store)},
    {"json", NULL, "list, drain, drop: print JSON", WEIR_ARGS_FLAG, AT(json)},
    {"count", "N", "show: N messages at most", WEIR_ARGS_COUNT, AT(count)},
    {"format", "F", "show: raw, text, hex or json (the default)",
     WEIR_ARGS_TEXT, AT(format)},
    {"type", "T", "drain: PUSH, PUB or DEALER", WEIR_ARGS_TEXT, AT(type)},
    {"bind", "URL", "drain: listen there", WEIR_ARGS_MANY, AT(binds)},
    {"connect", "URL", "drain: connect there", WEIR_ARGS_MANY, AT(connects)},
    {"option", "NAME=VALUE",
     "drain: set an option of the socket; can be repeated", WEIR_ARGS_ONE,
     AT(options)},
    {"timeout", "S", "drain: give up after S seconds (30)", WEIR_ARGS_SECONDS,
     AT(timeout)},
    {"yes", NULL, "drop: do not ask", WEIR_ARGS_FLAG, AT(yes)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args_choice choices[] = {
    {"", "list show drain drop"},
    {"store", "file lmdb"},
    {"format", "raw text hex json"},
    {"type", "PUSH PUB DEALER"},
    {NULL, NULL},
};

static const struct weir_args args = {
    .command = "swap",
    .usage = "list|show|drain|drop DIR [QUEUE] [option...]",
    .about = "Looks into the durable queues that a process has left in DIR, "
             "sends what is in\none, or removes it.  QUEUE may be left out "
             "where there is one only.\nExit code 1: something failed, or is "
             "left; 2: wrong arguments; 3: a process has\nthe queue.\n",
    .options = options,
    .choices = choices,
};

static int in_use_or_failed(int rc)
{
    return rc == -EBUSY ? WEIR_SWAP_IN_USE : 1;
}

/* ---- list ---- */

/* What a row says. */
struct summary {
    uint64_t messages, blocks, octets, torn;
    uint64_t first, last; /* of the messages, if there are any */
};

static int sum_up(struct weir_swap *swap, struct summary *summary)
{
    struct weir_swap_block block;
    int rc;

    summary->torn = weir_swap_stat(swap).torn;
    while ((rc = weir_swap_next(swap, false, &block)) > 0) {
        if (summary->messages == 0)
            summary->first = block.head.first + block.consumed;
        summary->last = block.head.first + block.head.messages - 1;
        summary->messages += block.head.messages - block.consumed;
        summary->octets += block.head.len;
        summary->blocks++;
    }
    return rc;
}

static void add_row(struct weir_table *table,
                    const struct weir_swap_queue *queue,
                    const struct summary *summary)
{
    weir_table_add(table, "%s", queue->name);
    weir_table_add(table, "%s", queue->store);
    weir_table_add(table, "%" PRIu64, summary->messages);
    weir_table_add(table, "%" PRIu64, summary->octets);
    if (summary->messages) {
        weir_table_add(table, "%" PRIu64, summary->first);
        weir_table_add(table, "%" PRIu64, summary->last);
    } else {
        weir_table_add(table, "-");
        weir_table_add(table, "-");
    }
    weir_table_add(table, "%" PRIu64, summary->torn);
}

static void print_json(const struct weir_swap_queue *queue,
                       const struct summary *summary)
{
    printf("{\"queue\": \"%s\", \"store\": \"%s\", \"messages\": %" PRIu64
           ", \"blocks\": %" PRIu64 ", \"octets\": %" PRIu64,
           queue->name, queue->store, summary->messages, summary->blocks,
           summary->octets);
    if (summary->messages)
        printf(", \"first\": %" PRIu64 ", \"last\": %" PRIu64, summary->first,
               summary->last);
    printf(", \"torn\": %" PRIu64 "}\n", summary->torn);
}

static int list_queue(const struct weir_swap_settings *set, const char *dir,
                      const struct weir_swap_queue *queue,
                      struct weir_table *table)
{
    struct summary summary = {0};
    struct weir_swap swap;
    int rc = weir_swap_open(&swap, dir, queue);

    if (rc == 0)
        rc = sum_up(&swap, &summary);
    weir_swap_close(&swap, true);
    if (rc < 0) {
        weir_common_fail("%s", swap.text);
        return in_use_or_failed(rc);
    }
    if (set->json)
        print_json(queue, &summary);
    else
        add_row(table, queue, &summary);
    return 0;
}

/* What cannot be opened does not keep the others from being shown. */
static int list_all(const struct weir_swap_settings *set, const char *dir,
                    const struct weir_swap_list *list)
{
    static const char *const heads[] = {"queue",   "store",  ">messages",
                                        ">octets", ">first", ">last",
                                        ">torn",   NULL};
    struct weir_table table;
    int code = 0, one;

    if (!list->count && !set->json)
        printf("%s: no queue of %s is in it\n", dir, list->stores);
    if (!list->count)
        return 0;
    weir_table_init(&table, heads);
    for (size_t i = 0; i < list->count; i++) {
        one = list_queue(set, dir, &list->items[i], &table);
        code = code ? code : one;
    }
    if (!set->json)
        weir_table_print(&table, 0, stdout);
    weir_table_fini(&table);
    return code;
}

/* ---- show ---- */

/* Up to *left messages of a block. */
static int show_block(enum weir_format format, struct weir_swap_block *block,
                      uint64_t *left)
{
    struct weir_text text = {0};
    weir_message message;
    int rc = 0;

    weir_message_init(&message);
    while (*left > 0 && (rc = weir_swap_message(block, &message)) > 0) {
        weir_text_clear(&text);
        weir_format_write(format, &message, &text);
        fwrite(text.data, text.size, 1, stdout); /* main() looks for errors */
        weir_message_fini(&message);
        weir_message_init(&message);
        --*left;
    }
    weir_message_fini(&message);
    weir_text_fini(&text);
    if (rc < 0)
        return weir_common_fail_code(rc, "message %" PRIu64, block->next);
    return 0;
}

/* A block that cannot be read is told of, and the next one shown. */
static int show(const struct weir_swap_settings *set, struct weir_swap *swap)
{
    uint64_t left = set->count ? set->count : UINT64_MAX;
    int format = weir_format_find(set->format ? set->format : "json");
    struct weir_swap_block block;
    int rc, code = 0;

    while (left > 0 && (rc = weir_swap_next(swap, true, &block)) != 0) {
        if (rc < 0)
            code = weir_common_fail("%s", swap->text);
        if (rc < 0 && block.head.len == 0)
            break;
        if (rc > 0)
            code |= show_block((enum weir_format)format, &block, &left);
        free(block.octets);
    }
    return code;
}

/* ---- drop ---- */

static bool confirmed(const struct weir_swap *swap)
{
    char answer[16];

    printf("%s: drop %" PRIu64 " messages for good? [yes/no] ",
           swap->queue->name, weir_swap_stat(swap).recovered);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

static int drop(const struct weir_swap_settings *set, struct weir_swap *swap,
                bool *keep)
{
    if (!set->yes && !isatty(STDIN_FILENO)) {
        weir_common_fail("drop asks before it does; where there is no "
                         "terminal it wants --yes");
        return 2;
    }
    if (!set->yes && !confirmed(swap))
        return weir_common_fail("nothing was dropped");
    *keep = false;
    return 0;
}

/* A store that is closed says not whether it could remove what it had. */
static int report_drop(const struct weir_swap_settings *set, const char *dir,
                       const struct weir_swap_queue *queue, uint64_t messages)
{
    if (weir_swap_is_there(dir, queue))
        return weir_common_fail("%s: the queue %s could not be removed", dir,
                                queue->name);
    if (!set->json)
        printf("%" PRIu64 " messages dropped\n", messages);
    else
        printf("{\"dropped\": %" PRIu64 "}\n", messages);
    return 0;
}

/* ---- all of them ---- */

enum verb { LIST, SHOW, DRAIN, DROP, NONE };

static enum verb verb_of(const char *word)
{
    static const char *const words[] = {"list", "show", "drain", "drop"};
    int i = LIST;

    while (i < NONE && strcmp(words[i], word) != 0)
        i++;
    return (enum verb)i;
}

static int with_queue(const struct weir_swap_settings *set, enum verb verb,
                      const char *dir, const struct weir_swap_queue *queue)
{
    struct weir_swap swap;
    uint64_t messages;
    bool keep = true;
    int rc = weir_swap_open(&swap, dir, queue), code = 0;

    if (rc < 0) {
        weir_common_fail("%s", swap.text);
        return in_use_or_failed(rc);
    }
    messages = weir_swap_stat(&swap).recovered;
    if (verb == SHOW)
        code = show(set, &swap);
    else if (verb == DRAIN)
        code = weir_swap_drain(set, &swap);
    else
        code = drop(set, &swap, &keep);
    weir_swap_close(&swap, keep);
    return keep ? code : report_drop(set, dir, queue, messages);
}

static int run(const struct weir_swap_settings *set, enum verb verb,
               const char *dir, const char *name)
{
    struct weir_swap_list list = {0};
    const struct weir_swap_queue *queue;
    int code = weir_swap_list_fill(&list, dir, set->store);

    if (!code && verb == LIST) {
        code = list_all(set, dir, &list);
    } else if (!code) {
        queue = weir_swap_list_find(&list, dir, name);
        code = queue ? with_queue(set, verb, dir, queue) : 1;
    }
    weir_swap_list_fini(&list);
    return code;
}

static int check_arguments(const struct weir_swap_settings *set, enum verb verb,
                           size_t count)
{
    if (verb == NONE || count < 2 || count > (verb == LIST ? 2u : 3u)) {
        weir_common_fail("want list DIR, or show, drain or drop DIR [QUEUE]\n"
                         "(weir swap --help says more)");
        return 2;
    }
    if (set->format && weir_format_find(set->format) < 0) {
        weir_common_fail("--format %s: want raw, text, hex or json",
                         set->format);
        return 2;
    }
    return verb == DRAIN ? weir_swap_drain_check(set) : 0;
}

int weir_swap_main(int argc, const char *const *argv)
{
    struct weir_args_list rest = {.count = 0};
    struct weir_swap_settings set = {.timeout = 30};
    char dir[PATH_MAX];
    enum verb verb;
    int code;

    if (!weir_args_take(&args, &set, &rest, argc, argv, &code))
        return code;
    verb = rest.count ? verb_of(rest.items[0]) : NONE;
    code = check_arguments(&set, verb, rest.count);
    if (code)
        return code;
    if (!realpath(rest.items[1], dir))
        return weir_common_fail("%s: %s", rest.items[1], strerror(errno));
    return run(&set, verb, dir, rest.count > 2 ? rest.items[2] : NULL);
}
