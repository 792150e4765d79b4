/* plugins.c - weir plugins: which there are, and all about one of them. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "common.h"
#include "json.h"
#include "listing.h"

struct settings {
    bool json;
};

static const struct weir_args_option options[] = {
    {"json", NULL, "a line of JSON for each", WEIR_ARGS_FLAG,
     offsetof(struct settings, json)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args_choice choices[] = {
    {"", "show"},
    {NULL, NULL},
};

static const struct weir_args args = {
    .command = "plugins",
    .usage = "[show NAME] [--json]",
    .about = "Lists the plugins that can be loaded, or shows all that is known "
             "of one, its\noptions included.\n",
    .options = options,
    .choices = choices,
};

static const char *state_name(uint32_t state)
{
    static const char *const names[] = {
        [WEIR_PLUGIN_AVAILABLE] = "available",
        [WEIR_PLUGIN_LOADED] = "loaded",
        [WEIR_PLUGIN_DISABLED] = "disabled",
        [WEIR_PLUGIN_SHADOWED] = "shadowed",
        [WEIR_PLUGIN_ALIAS] = "alias",
        [WEIR_PLUGIN_BROKEN] = "broken",
    };

    if (state >= sizeof names / sizeof names[0] || !names[state])
        return "?";
    return names[state];
}

/* ---- the table ---- */

static void add_row(struct weir_table *table, const weir_plugin_info *info)
{
    weir_table_add(table, "%s", info->name);
    weir_table_add(table, "%s", info->kind);
    weir_table_add(table, "%s", *info->version ? info->version : "-");
    if (info->abi)
        weir_table_add(table, "%u", (unsigned)info->abi);
    else
        weir_table_add(table, "-");
    weir_table_add(table, "%s", state_name(info->state));
    weir_table_add(table, "%s", info->file);
}

/* Why it cannot be used, or what it stands for. */
static void print_reason(const weir_plugin_info *info)
{
    const char *why =
        info->state == WEIR_PLUGIN_ALIAS ? info->summary : info->reason;

    if (*why && info->state != WEIR_PLUGIN_LOADED &&
        info->state != WEIR_PLUGIN_AVAILABLE)
        printf("%s: %s\n", info->name, why);
}

static int list(const weir_plugin_info *found, int count)
{
    static const char *const heads[] = {"name",  "kind", "version", ">ABI",
                                        "state", "file", NULL};
    struct weir_table table;

    weir_table_init(&table, heads);
    for (int i = 0; i < count; i++)
        add_row(&table, &found[i]);
    weir_table_print(&table, 0, stdout);
    weir_table_fini(&table);
    if (!count)
        puts("(none)");
    for (int i = 0; i < count; i++)
        print_reason(&found[i]);
    return 0;
}

/* ---- one of them ---- */

static void show_fact(const char *name, const char *value)
{
    if (*value)
        printf("  %-10s%s\n", name, value);
}

static void show(const weir_plugin_info *info)
{
    printf("%s\n", info->name);
    show_fact("what", info->summary);
    show_fact("kind", info->kind);
    show_fact("provides", info->provides);
    show_fact("version", info->version);
    show_fact("license", info->license);
    if (info->abi)
        printf("  %-10s%u\n", "ABI", (unsigned)info->abi);
    show_fact("state", state_name(info->state));
    show_fact("file", info->file);
    show_fact("reason", info->reason);
    if (info->state != WEIR_PLUGIN_LOADED)
        return;
    printf("\n");
    if (!weir_listing_print(info->name, stdout))
        printf("  It has no options of its own.\n");
}

/* ---- JSON ---- */

static void show_json(const weir_plugin_info *info)
{
    const struct {
        const char *name, *value;
    } facts[] = {
        {"name", info->name},
        {"kind", info->kind},
        {"version", info->version},
        {"license", info->license},
        {"state", state_name(info->state)},
        {"provides", info->provides},
        {"summary", info->summary},
        {"file", info->file},
        {"reason", info->reason},
    };
    struct weir_text text = {0};

    weir_text_format(&text, "{\"abi\": %u", (unsigned)info->abi);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        weir_text_format(&text, ", \"%s\": ", facts[i].name);
        weir_json_string(&text, facts[i].value, strlen(facts[i].value));
    }
    printf("%s}\n", weir_text_string(&text));
    weir_text_fini(&text);
}

static int list_json(const weir_plugin_info *found, int count)
{
    for (int i = 0; i < count; i++)
        show_json(&found[i]);
    return 0;
}

static int show_named(const weir_plugin_info *found, int count,
                      const char *name, bool json)
{
    int shown = 0;

    for (int i = 0; i < count; i++) {
        if (!weir_common_is_plugin(&found[i], name))
            continue;
        if (shown++ && !json)
            printf("\n");
        if (json)
            show_json(&found[i]);
        else
            show(&found[i]);
    }
    if (!shown)
        return weir_common_fail("%s: no such plugin; `weir plugins` lists "
                                "them",
                                name);
    return 0;
}

int weir_plugins_main(int argc, const char *const *argv)
{
    struct weir_args_list rest = {.count = 0};
    struct settings set = {false};
    weir_plugin_info *found = NULL;
    int code, count;

    if (!weir_args_take(&args, &set, &rest, argc, argv, &code))
        return code;
    if (rest.count && (rest.count != 2 || strcmp(rest.items[0], "show") != 0)) {
        weir_common_fail("want nothing, or `show NAME`");
        return 2;
    }
    count = weir_common_plugins(&found);
    if (count < 0)
        return weir_common_fail_code(count, "cannot look for plugins");
    if (rest.count)
        code = show_named(found, count, rest.items[1], set.json);
    else
        code = set.json ? list_json(found, count) : list(found, count);
    free(found);
    return code;
}
