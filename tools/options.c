/* options.c - weir options: what can be set on sockets and on endpoints. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "common.h"
#include "listing.h"

struct settings {
    bool mdoc, json;
};

static const struct weir_args_option options[] = {
    {"mdoc", NULL, "as lists for a manual page", WEIR_ARGS_FLAG,
     offsetof(struct settings, mdoc)},
    {"json", NULL, "a line of JSON for each", WEIR_ARGS_FLAG,
     offsetof(struct settings, json)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "options",
    .usage = "[--mdoc | --json] [PLUGIN...]",
    .about = "Prints the options of sockets and of every plugin, or those of "
             "the plugins named\n(\"sockets\" for the sockets' own), such as "
             "transport_tcp, or tcp for short.\n",
    .options = options,
};

struct printing {
    const struct settings *set;
    weir_plugin_info *found;
    int count;
    size_t printed;
};

static bool has_options(const char *owner)
{
    weir_option_info info = {.size = sizeof info};

    return weir_option_at(owner, 0, &info) >= 0;
}

/* `owner` is NULL for sockets. */
static void print(struct printing *printing, const char *owner,
                  const char *title)
{
    if (printing->set->mdoc) {
        printf(".Ss %s\n", title);
        weir_listing_print_mdoc(owner, stdout);
    } else if (printing->set->json) {
        weir_listing_print_json(owner, stdout);
    } else {
        printf("%s%s\n", printing->printed ? "\n" : "", title);
        weir_listing_print(owner, stdout);
    }
    printing->printed++;
}

static void print_plugin(struct printing *printing,
                         const weir_plugin_info *info)
{
    char title[128];

    snprintf(title, sizeof title, "Options of %s", info->name);
    print(printing, info->name, title);
}

static void print_all(struct printing *printing)
{
    print(printing, NULL, "Options of sockets");
    for (int i = 0; i < printing->count; i++) {
        if (printing->found[i].state == WEIR_PLUGIN_LOADED &&
            has_options(printing->found[i].name))
            print_plugin(printing, &printing->found[i]);
    }
}

/* The plugin that is meant: a loaded one, if there is one of that name. */
static const weir_plugin_info *find(const struct printing *printing,
                                    const char *name)
{
    const weir_plugin_info *best = NULL;

    for (int i = 0; i < printing->count; i++) {
        const weir_plugin_info *info = &printing->found[i];

        if (weir_common_is_plugin(info, name) &&
            (!best || info->state == WEIR_PLUGIN_LOADED))
            best = info;
    }
    return best;
}

static int print_named(struct printing *printing, const char *name)
{
    const weir_plugin_info *info;

    if (strcmp(name, "sockets") == 0) {
        print(printing, NULL, "Options of sockets");
        return 0;
    }
    info = find(printing, name);
    if (!info)
        return weir_common_fail("%s: no such plugin; `weir plugins` lists "
                                "them",
                                name);
    if (info->state == WEIR_PLUGIN_ALIAS)
        return weir_common_fail("%s: it stands for %s", name, info->summary);
    if (info->state != WEIR_PLUGIN_LOADED)
        return weir_common_fail("%s: %s", name, info->reason);
    if (!has_options(info->name))
        return weir_common_fail("%s: it has no options of its own", name);
    print_plugin(printing, info);
    return 0;
}

int weir_options_main(int argc, const char *const *argv)
{
    struct weir_args_list names = {.count = 0};
    struct settings set = {false, false};
    struct printing printing = {.set = &set};
    int code = 0;

    if (!weir_args_take(&args, &set, &names, argc, argv, &code))
        return code;
    if (set.mdoc && set.json) {
        weir_common_fail("want one of --mdoc and --json");
        return 2;
    }
    printing.count = weir_common_plugins(&printing.found);
    if (printing.count < 0)
        return weir_common_fail_code(printing.count, "cannot look for plugins");
    if (!names.count)
        print_all(&printing);
    for (size_t i = 0; i < names.count; i++)
        code |= print_named(&printing, names.items[i]);
    free(printing.found);
    return code;
}
