/* swap_store.c - see swap_store.h. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "swap_store.h"

/* ---- a host ---- */

static int host_fail(weir_error *error, int code, const char *format, ...)
{
    va_list list;

    if (!error)
        return -code;
    error->code = code;
    va_start(list, format);
    vsnprintf(error->text, error->room, format, list);
    va_end(list);
    return -code;
}

static const weir_host host = {
    .size = sizeof host, .version = WEIR_VERSION, .fail = host_fail};

/* ---- which there are ---- */

struct search {
    struct weir_swap_list *list;
    const weir_store_ops *ops;
    const char *store;
};

static int add_queue(void *arg, const char *name)
{
    struct search *search = arg;
    struct weir_swap_list *list = search->list;
    struct weir_swap_queue *queue;

    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        void *items = realloc(list->items, room * sizeof *list->items);

        if (!items)
            return -ENOMEM;
        list->items = items;
        list->room = room;
    }
    queue = &list->items[list->count++];
    queue->ops = search->ops;
    snprintf(queue->store, sizeof queue->store, "%s", search->store);
    snprintf(queue->name, sizeof queue->name, "%s", name);
    return 0;
}

static int ask_store(struct weir_swap_list *list, const char *dir,
                     const char *store, const weir_store_ops *ops)
{
    struct search search = {list, ops, store};
    char text[512] = "";
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};
    size_t size = strlen(list->stores);
    int rc;

    if (!WEIR_HAS(weir_store_ops, ops, list))
        return 0;
    snprintf(list->stores + size, sizeof list->stores - size, "%s%s",
             size ? ", " : "", store);
    rc = ops->list(&host, dir, add_queue, &search, &error);
    if (rc == 0)
        return 0;
    return weir_common_fail("%s", *text ? text : weir_strerror(rc));
}

static int ask_plugin(struct weir_swap_list *list, const char *dir,
                      const char *store, const weir_plugin_info *info)
{
    const weir_plugin *table = weir_common_table(info);
    int code = 0;

    if (!table)
        return weir_common_fail("%s: its table is not to be had from %s",
                                info->name, info->file);
    for (uint32_t i = 0; !code && i < table->n_providers; i++) {
        const weir_provider *provider = &table->providers[i];

        if (provider->kind == WEIR_STORE &&
            (!store || strcmp(store, provider->id) == 0))
            code = ask_store(list, dir, provider->id, provider->ops);
    }
    return code;
}

static int by_name(const void *a, const void *b)
{
    const struct weir_swap_queue *left = a, *right = b;

    return strcmp(left->name, right->name);
}

int weir_swap_list_fill(struct weir_swap_list *list, const char *dir,
                        const char *store)
{
    weir_plugin_info *found = NULL;
    int count = weir_common_plugins(&found), code = 0;

    if (count < 0)
        return weir_common_fail_code(count, "no plugins");
    for (int i = 0; i < count && !code; i++) {
        if (found[i].state == WEIR_PLUGIN_LOADED &&
            strcmp(found[i].kind, "store") == 0)
            code = ask_plugin(list, dir, store, &found[i]);
    }
    free(found);
    if (!code && !list->stores[0])
        return weir_common_fail("there is no store%s%s that can be asked what "
                                "is in a folder; see `weir plugins`",
                                store ? " " : "", store ? store : "");
    if (!code && list->count)
        qsort(list->items, list->count, sizeof *list->items, by_name);
    return code;
}

void weir_swap_list_fini(struct weir_swap_list *list)
{
    free(list->items);
}

const struct weir_swap_queue *
weir_swap_list_find(const struct weir_swap_list *list, const char *dir,
                    const char *name)
{
    const struct weir_swap_queue *found = NULL;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (name && strcmp(list->items[i].name, name) != 0)
            continue;
        found = &list->items[i];
        count++;
    }
    if (count == 1)
        return found;
    if (!list->count)
        weir_common_fail("%s: this is no store: no queue of %s is in it", dir,
                         list->stores);
    else if (!count)
        weir_common_fail("%s: there is no queue %s in it", dir, name);
    else if (name)
        weir_common_fail("%s: several stores have a queue %s: say which, by "
                         "--store",
                         dir, name);
    else
        weir_common_fail("%s: there are %zu queues in it: say which", dir,
                         count);
    return NULL;
}

static int is_name(void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

bool weir_swap_is_there(const char *dir, const struct weir_swap_queue *queue)
{
    char text[512], name[sizeof queue->name];
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};

    memcpy(name, queue->name, sizeof name);
    return queue->ops->list(&host, dir, is_name, name, &error) > 0;
}

/* ---- one of them ---- */

/* Nothing is written.  What is there may be more; a store that maps all it may
 * have would not find so much room as the largest number in every process. */
#define BUDGET (1 << 20)

int weir_swap_open(struct weir_swap *swap, const char *dir,
                   const struct weir_swap_queue *queue)
{
    weir_store_args args = {.size = sizeof args,
                            .mode = WEIR_STORE_DURABLE,
                            .budget = BUDGET,
                            .dir = dir,
                            .queue = queue->name};
    int rc;

    memset(swap, 0, sizeof *swap);
    swap->queue = queue;
    swap->error = (weir_error){.size = sizeof swap->error,
                               .text = swap->text,
                               .room = sizeof swap->text};
    rc = queue->ops->open(&host, &args, &swap->self, &swap->error);
    if (rc < 0)
        swap->self = NULL;
    if (rc < 0 && !swap->text[0])
        snprintf(swap->text, sizeof swap->text, "%s", weir_strerror(rc));
    return rc;
}

void weir_swap_close(struct weir_swap *swap, bool keep)
{
    if (swap->self)
        swap->queue->ops->close(swap->self, keep);
    swap->self = NULL;
}

weir_store_stat weir_swap_stat(const struct weir_swap *swap)
{
    weir_store_stat stat = {.size = sizeof stat};

    swap->queue->ops->stat(swap->self, &stat);
    return stat;
}

static int no_memory(struct weir_swap *swap)
{
    snprintf(swap->text, sizeof swap->text, "no memory for a block");
    return -ENOMEM;
}

/* ---- blocks ---- */

/* Octets of the frame at `at`, with its head, or 0 if there is no whole one.
 * *body: where its octets begin. */
static size_t frame_at(const struct weir_swap_block *block, size_t at,
                       size_t *body)
{
    const unsigned char *octets = block->octets + at;
    size_t left = (size_t)block->head.len - at;
    uint64_t len = 0;

    if (left < 2 || (octets[0] & ~3u))
        return 0;
    *body = octets[0] & 2 ? 9 : 2;
    if (left < *body)
        return 0;
    for (size_t i = 1; i < *body; i++)
        len = len << 8 | octets[i];
    return len <= left - *body ? *body + (size_t)len : 0;
}

/* Go beyond a message.  Returns whether it is whole; `message`, which may be
 * NULL, gets its frames. */
static int take(struct weir_swap_block *block, weir_message *message)
{
    bool more = true;

    while (more) {
        size_t body, size = frame_at(block, block->at, &body);
        const unsigned char *octets = block->octets + block->at;

        if (size == 0)
            return -EBADMSG;
        more = octets[0] & 1;
        if (message &&
            weir_message_add(message, octets + body, size - body) < 0)
            return -ENOMEM;
        block->at += size;
    }
    block->next++;
    return 1;
}

int weir_swap_message(struct weir_swap_block *block, weir_message *message)
{
    if (block->next >= block->head.first + block->head.messages)
        return block->at == block->head.len ? 0 : -EBADMSG;
    return take(block, message);
}

int weir_swap_read(struct weir_swap *swap, struct weir_swap_block *block)
{
    size_t len = (size_t)block->head.len;
    ssize_t n;
    int rc = 1;

    block->octets = malloc(len ? len : 1);
    if (!block->octets)
        return no_memory(swap);
    n = swap->queue->ops->read(swap->self, block->head.handle, block->octets,
                               len, &swap->error);
    for (uint32_t i = 0; n >= 0 && rc > 0 && i < block->consumed; i++)
        rc = take(block, NULL);
    if (rc < 0)
        snprintf(swap->text, sizeof swap->text,
                 "the block with message %llu holds no messages",
                 (unsigned long long)block->head.first);
    if (n >= 0 && rc > 0)
        return 1;
    free(block->octets);
    block->octets = NULL;
    return n < 0 ? (int)n : rc;
}

int weir_swap_next(struct weir_swap *swap, bool read,
                   struct weir_swap_block *block)
{
    int rc;

    memset(block, 0, sizeof *block);
    rc = swap->queue->ops->recover(swap->self, &block->head, &block->consumed,
                                   &swap->error);
    if (rc <= 0)
        return rc;
    block->next = block->head.first;
    return read ? weir_swap_read(swap, block) : 1;
}

int weir_swap_done(struct weir_swap *swap, const struct weir_swap_block *block)
{
    return swap->queue->ops->done(swap->self, block->head.handle, UINT64_MAX,
                                  &swap->error);
}
