#include "config.h"

#include "plugin_table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "options.h"
#include "plugin_file.h"
#include "url.h"
#include "value.h"

/* More of these are a fault, not a need. */
#define PROVIDERS_MAX 64
#define OPTIONS_MAX   256
#define BYTES_MAX     65535

/* Octets of the table of minor 0, whatever it grew to since. */
#define TABLE_MIN (offsetof(weir_plugin, init) + sizeof(void *))

#define HAS(ops, slot) WEIR_HAS(weir_transport_ops, ops, slot)

static int wrong_option(const weir_option *row, const char *what)
{
    return weir_fail(WEIR_EPLUGIN, "its option \"%.64s\" %s", row->name, what);
}

static bool is_option_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return name[size] == '\0' && size > 0 && size <= WEIR_OPTION_NAME_MAX &&
           name[0] >= 'a' && name[0] <= 'z';
}

/* Words with one blank between them, each short enough to be printed. */
static bool are_words(const char *words)
{
    size_t size;

    do {
        size = strcspn(words, " ");
        if (size == 0 || size >= WEIR_VALUE_ROOM)
            return false;
        words += size;
    } while (*words++);
    return true;
}

static int check_number(const weir_option *row)
{
    if (row->type == WEIR_OPTION_CHOICE &&
        (!row->choices || !are_words(row->choices)))
        return wrong_option(row, "has no choices, or not one blank between");
    if (row->type == WEIR_OPTION_INT && row->min > row->max)
        return wrong_option(row, "has a minimum above its maximum");
    if (weir_value_check(row, row->fallback) < 0)
        return wrong_option(row, "has a default outside its range");
    return 0;
}

static int check_octets(const weir_option *row)
{
    if (row->min < 0 || row->min > row->max || row->max > BYTES_MAX)
        return wrong_option(row, "has a range that is none");
    if (row->fallback_text &&
        weir_value_check_bytes(row, row->fallback_text,
                               strlen(row->fallback_text)) < 0)
        return wrong_option(row, "has a default outside its range");
    return 0;
}

static int check_option(const weir_option *rows, size_t i)
{
    const weir_option *row = &rows[i];

    if (!row->name || !is_option_name(row->name))
        return weir_fail(WEIR_EPLUGIN,
                         "its option %zu has no name of a-z 0-9 - in up to "
                         "%d octets",
                         i, WEIR_OPTION_NAME_MAX);
    if (!row->doc)
        return wrong_option(row, "has no doc");
    if (weir_options_find(row->name))
        return wrong_option(row, "has the name of an option of all sockets");
    if (weir_value_row(rows, i, row->name))
        return wrong_option(row, "is there twice");
    if (row->type < WEIR_OPTION_INT || row->type > WEIR_OPTION_CHOICE)
        return wrong_option(row, "is of an unknown type");
    return weir_value_is_number(row) ? check_number(row) : check_octets(row);
}

static int check_schemes(const char *schemes)
{
    size_t size;

    do {
        size = strcspn(schemes, " ");
        if (!weir_url_is_scheme(schemes, size))
            return weir_fail(WEIR_EPLUGIN,
                             "\"%.64s\" is not a list of schemes, one blank "
                             "between two",
                             schemes);
        schemes += size;
    } while (*schemes++);
    return 0;
}

static int check_options(const weir_option *rows, uint32_t n)
{
    int rc = 0;
    size_t i;

    for (i = 0; rc == 0 && i < n; i++)
        rc = check_option(rows, i);
    return rc;
}

static const char *missing_slot(const weir_transport_ops *ops)
{
    bool can_dial = ops->abilities & WEIR_CAN_DIAL;

    if (ops->size < offsetof(weir_transport_ops, bind))
        return "whole table";
    if ((ops->abilities & WEIR_CAN_BIND) && !HAS(ops, bind))
        return "bind";
    if (can_dial && !HAS(ops, dial))
        return "dial";
    if (can_dial && !HAS(ops, retry))
        return "retry";
    if (can_dial && !HAS(ops, cancel))
        return "cancel";
    if (!HAS(ops, attach))
        return "attach";
    return HAS(ops, close) ? NULL : "close";
}

static int check_transport(const char *id, const weir_transport_ops *ops)
{
    const char *missing = missing_slot(ops);
    int rc;

    if (missing)
        return weir_fail(WEIR_EPLUGIN, "its transport \"%.64s\" has no %s", id,
                         missing);
    if (!(ops->abilities & (WEIR_CAN_BIND | WEIR_CAN_DIAL)))
        return weir_fail(WEIR_EPLUGIN,
                         "its transport \"%.64s\" can neither bind nor dial",
                         id);
    if (!ops->schemes || ops->n_options > OPTIONS_MAX ||
        (ops->n_options && !ops->options))
        return weir_fail(WEIR_EPLUGIN,
                         "its transport \"%.64s\" has no schemes, or not the "
                         "options it says",
                         id);
    rc = check_schemes(ops->schemes);
    return rc < 0 ? rc : check_options(ops->options, ops->n_options);
}

#define SPILL   (1u << WEIR_STORE_SPILL)
#define DURABLE (1u << WEIR_STORE_DURABLE)

#define STORE_HAS(ops, slot) WEIR_HAS(weir_store_ops, ops, slot)

static const char *missing_store_slot(const weir_store_ops *ops)
{
    if (ops->size < offsetof(weir_store_ops, open))
        return "whole table";
    if (!STORE_HAS(ops, open))
        return "open";
    if (!STORE_HAS(ops, write))
        return "write";
    if (!STORE_HAS(ops, read))
        return "read";
    if (!STORE_HAS(ops, done))
        return "done";
    if ((ops->modes & DURABLE) && !STORE_HAS(ops, recover))
        return "recover";
    if ((ops->modes & DURABLE) && !STORE_HAS(ops, sync))
        return "sync";
    if (!STORE_HAS(ops, stat))
        return "stat";
    return STORE_HAS(ops, close) ? NULL : "close";
}

/* It is found by its id, as the end of a stem. */
static bool is_store_id(const char *id)
{
    char stem[WEIR_STEM_ROOM];
    int size = snprintf(stem, sizeof stem, "store_%s", id);

    return (size_t)size < sizeof stem && weir_plugin_file_kind(stem) > 0;
}

static int check_store(const char *id, const weir_store_ops *ops)
{
    const char *missing = missing_store_slot(ops);

    if (missing)
        return weir_fail(WEIR_EPLUGIN, "its store \"%.64s\" has no %s", id,
                         missing);
    if (!is_store_id(id))
        return weir_fail(WEIR_EPLUGIN,
                         "its store \"%.64s\" has not the name of one", id);
    if (!(ops->modes & (SPILL | DURABLE)))
        return weir_fail(WEIR_EPLUGIN,
                         "its store \"%.64s\" has neither of the modes spill "
                         "and durable",
                         id);
    if (ops->n_options > OPTIONS_MAX || (ops->n_options && !ops->options))
        return weir_fail(WEIR_EPLUGIN,
                         "its store \"%.64s\" has not the options it says", id);
    return check_options(ops->options, ops->n_options);
}

/* A kind that this host does not know, or does not use, is not an error. */
static int check_provider(const weir_provider *provider)
{
    if (!provider->id || !provider->id[0] || !provider->ops)
        return weir_fail(WEIR_EPLUGIN, "a provider of it has no id or no ops");
    if (provider->kind == WEIR_TRANSPORT)
        return check_transport(provider->id, provider->ops);
    if (provider->kind == WEIR_STORE)
        return check_store(provider->id, provider->ops);
    return 0;
}

/* Nothing else in the table can be trusted before this. */
static int check_head(const weir_plugin *table)
{
    if (table->magic != WEIR_PLUGIN_MAGIC)
        return weir_fail(WEIR_EPLUGIN,
                         "its magic is %08" PRIx32 ", and %08x is wanted",
                         table->magic, WEIR_PLUGIN_MAGIC);
    if (table->size < TABLE_MIN)
        return weir_fail(WEIR_EPLUGIN,
                         "its table has %" PRIu32 " octets, and %zu are wanted",
                         table->size, TABLE_MIN);
    if (table->need_minor > WEIR_ABI_MINOR)
        return weir_fail(WEIR_EPLUGIN,
                         "it wants ABI %d.%" PRIu32
                         " or later, and this library has %d.%d",
                         WEIR_ABI, table->need_minor, WEIR_ABI, WEIR_ABI_MINOR);
    return 0;
}

int weir_plugin_table_check(const weir_plugin *table, const char *stem)
{
    int rc = check_head(table);
    uint32_t i;

    if (rc < 0)
        return rc;
    if (!table->name || strcmp(table->name, stem) != 0)
        return weir_fail(WEIR_EPLUGIN,
                         "it calls itself \"%.64s\", not \"%s\" like its file",
                         table->name ? table->name : "", stem);
    if (!table->version || !table->license || !table->summary)
        return weir_fail(WEIR_EPLUGIN, "it has no version, license or summary");
    if (table->n_providers == 0 || table->n_providers > PROVIDERS_MAX ||
        !table->providers)
        return weir_fail(WEIR_EPLUGIN,
                         "it has %" PRIu32 " providers; 1 to %d are right",
                         table->n_providers, PROVIDERS_MAX);
    for (i = 0; rc == 0 && i < table->n_providers; i++)
        rc = check_provider(&table->providers[i]);
    return rc;
}
