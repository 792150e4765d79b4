/* options.c - weir options: what can be set on sockets and on endpoints. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "common.h"
#include "listing.h"

struct settings {
    bool mdoc;
};

static const struct weir_args_option options[] = {
    {"mdoc", NULL, "as lists for a manual page", WEIR_ARGS_FLAG,
     offsetof(struct settings, mdoc)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "options",
    .usage = "[--mdoc] [PLUGIN...]",
    .about = "Prints the options of sockets and of every plugin, or those of "
             "the plugins named\n(\"sockets\" for the sockets' own).\n",
    .options = options,
};

struct printing {
    const struct settings *set;
    const struct weir_args_list *wanted;
    size_t printed;
};

static bool is_wanted(const struct printing *printing, const char *owner)
{
    for (size_t i = 0; i < printing->wanted->count; i++) {
        if (strcmp(printing->wanted->items[i], owner) == 0)
            return true;
    }
    return printing->wanted->count == 0;
}

static bool has_options(const char *owner)
{
    weir_option_info info = {.size = sizeof info};

    return weir_option_at(owner, 0, &info) >= 0;
}

static void print(struct printing *printing, const char *owner,
                  const char *title)
{
    if (!has_options(owner))
        return;
    if (printing->set->mdoc) {
        printf(".Ss %s\n", title);
        weir_listing_print_mdoc(owner, stdout);
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

    if (info->state != WEIR_PLUGIN_LOADED || !is_wanted(printing, info->name))
        return;
    snprintf(title, sizeof title, "Options of %s", info->name);
    print(printing, info->name, title);
}

int weir_options_main(int argc, const char *const *argv)
{
    struct weir_args_list rest = {.count = 0};
    struct settings set = {false};
    struct printing printing = {&set, &rest, 0};
    weir_plugin_info *found = NULL;
    int code, count;

    if (!weir_args_take(&args, &set, &rest, argc, argv, &code))
        return code;
    if (is_wanted(&printing, "sockets"))
        print(&printing, NULL, "Options of sockets");
    count = weir_common_plugins(&found);
    if (count < 0)
        return weir_common_fail_code(count, "cannot look for plugins");
    for (int i = 0; i < count; i++)
        print_plugin(&printing, &found[i]);
    free(found);
    if (!printing.printed)
        return weir_common_fail("no options; `weir plugins` lists the names");
    return 0;
}
