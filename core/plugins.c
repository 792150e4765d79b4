#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "base/error.h"
#include "base/sized.h"
#include "options.h"
#include "plugin_file.h"
#include "plugin_module.h"
#include "plugin_search.h"
#include "registry.h"

/* The public weir_plugin_scan(), weir_plugin_load() and weir_option_at(). */

static void fill(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from);
}
#define FILL(member, from) fill((member), sizeof(member), (from))

static void name_info(weir_plugin_info *info, const char *stem)
{
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    FILL(info->name, stem);
    memcpy(info->kind, stem, weir_plugin_file_kind(stem));
}

static void break_info(weir_plugin_info *info)
{
    info->state = WEIR_PLUGIN_BROKEN;
    FILL(info->reason, weir_error_text());
}

/* What a provider is asked for by. */
static const char *provided(const weir_provider *provider)
{
    const weir_transport_ops *transport = provider->ops;

    return provider->kind == WEIR_TRANSPORT ? transport->schemes : provider->id;
}

static void describe(const struct weir_loaded *loaded, weir_plugin_info *info)
{
    const weir_provider *provider;
    size_t used = 0;
    uint32_t i = 0, n;

    name_info(info, loaded->table->name);
    info->state = WEIR_PLUGIN_LOADED;
    info->abi = WEIR_ABI;
    FILL(info->version, loaded->table->version);
    FILL(info->license, loaded->table->license);
    FILL(info->summary, loaded->table->summary);
    FILL(info->file, loaded->file);
    while ((provider = weir_registry_provider(loaded->table, &i))) {
        (void)weir_registry_options(provider, &n);
        info->options += n;
        if (used < sizeof info->provides)
            used += (size_t)snprintf(info->provides + used,
                                     sizeof info->provides - used, "%s%s",
                                     used ? " " : "", provided(provider));
    }
}

/* All that a scan found; the caller's function is called without the lock. */
struct scan {
    bool load;
    weir_plugin_info *all;
    size_t n, room;
};

/* The first of that name, or scan->n. */
static size_t find_info(const struct scan *scan, const char *stem)
{
    size_t i;

    for (i = 0; i < scan->n; i++) {
        if (strcmp(scan->all[i].name, stem) == 0)
            break;
    }
    return i;
}

static weir_plugin_info *add_info(struct scan *scan, const char *stem)
{
    size_t room = scan->room ? 2 * scan->room : 16;
    weir_plugin_info *all = scan->all;

    if (scan->n == scan->room) {
        all = realloc(all, room * sizeof *all);
        if (!all)
            return NULL;
        scan->all = all;
        scan->room = room;
    }
    name_info(&all[scan->n], stem);
    return &all[scan->n++];
}

static int no_memory(void)
{
    return weir_fail(ENOMEM, "no memory for a list of plugins");
}

static void shadow_info(weir_plugin_info *info, const char *file)
{
    info->state = WEIR_PLUGIN_SHADOWED;
    snprintf(info->reason, sizeof info->reason, "%.400s comes first", file);
}

/* True, and said so, when that plugin is not to be loaded. */
static bool disable_info(weir_plugin_info *info)
{
    if (weir_plugin_search_enabled(info->name) == 0)
        return false;
    info->state = WEIR_PLUGIN_DISABLED;
    FILL(info->reason, weir_error_text());
    return true;
}

/* A plugin that nothing speaks against: loaded, or there to be loaded. */
static void accept_info(weir_plugin_info *info)
{
    const struct weir_loaded *loaded = weir_registry_find(info->name);

    info->state = WEIR_PLUGIN_AVAILABLE;
    if (loaded)
        describe(loaded, info);
}

/* A file that no earlier folder has. */
static void see_file(bool load, const char *path, weir_plugin_info *info)
{
    const struct weir_loaded *loaded = weir_registry_find(info->name);
    char real[WEIR_FILE_ROOM];
    int rc = weir_plugin_file_check(path, real);

    if (rc == 0 && loaded && strcmp(loaded->file, real) != 0) {
        shadow_info(info, loaded->file);
        return;
    }
    if (rc == 0 && !loaded && load)
        rc = weir_registry_load_file(path, info->name, &info->abi);
    if (rc < 0)
        break_info(info);
    else
        accept_info(info);
}

static void see_alias(const char *path, weir_plugin_info *info)
{
    char stem[WEIR_STEM_ROOM];

    if (weir_plugin_file_alias(path, stem) < 0) {
        break_info(info);
        return;
    }
    info->state = WEIR_PLUGIN_ALIAS;
    FILL(info->summary, stem);
}

/* One name in a folder, if it is a right one that ends in `suffix`. */
static int see_name(struct scan *scan, const char *folder, const char *name,
                    const char *suffix)
{
    char stem[WEIR_STEM_ROOM], path[WEIR_FILE_ROOM];
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    bool alias = strcmp(suffix, ".alias") == 0;
    weir_plugin_info *info;
    size_t i;

    if (size < 0 || (size_t)size >= sizeof path ||
        !weir_plugin_file_stem(name, suffix, stem))
        return 0;
    i = find_info(scan, stem);
    info = add_info(scan, stem);
    if (!info)
        return no_memory();
    FILL(info->file, path);
    if (i < scan->n - 1)
        shadow_info(info, scan->all[i].file);
    else if (disable_info(info))
        return 0;
    else if (alias)
        see_alias(path, info);
    else
        see_file(scan->load, path, info);
    return 0;
}

/* A folder that cannot be read has no plugins, but for want of memory or of
 * descriptors nothing is known of it. */
static int see_folder(struct scan *scan, const char *folder)
{
    static const char *const suffixes[] = {".so", ".alias"};
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    int rc = 0, i, k;

    if (n < 0 && (errno == ENOMEM || errno == EMFILE || errno == ENFILE))
        return weir_fail(errno, "%.256s cannot be read: %s", folder,
                         weir_strerror(errno));
    for (k = 0; k < 2; k++) {
        for (i = 0; rc == 0 && i < n; i++)
            rc = see_name(scan, folder, names[i]->d_name, suffixes[k]);
    }
    for (i = 0; i < n; i++)
        free(names[i]);
    if (n >= 0)
        free(names);
    return rc;
}

static int see_folders(struct scan *scan)
{
    struct weir_plugin_search search;
    char folder[WEIR_FILE_ROOM];
    int rc = 0;

    weir_plugin_search_start(&search);
    while (rc == 0 && weir_plugin_search_next(&search, folder))
        rc = see_folder(scan, folder);
    return rc;
}

/* The modules within this library. */
static int see_inside(struct scan *scan)
{
    char stem[WEIR_STEM_ROOM];
    size_t at = 0;

    while (weir_plugin_module_inside(&at, stem)) {
        weir_plugin_info *info = add_info(scan, stem);

        if (!info)
            return no_memory();
        FILL(info->file, WEIR_INSIDE);
        if (disable_info(info))
            continue;
        if (scan->load && weir_registry_load(stem) < 0)
            break_info(info);
        else
            accept_info(info);
    }
    return 0;
}

static bool is_seen(const struct scan *scan, const struct weir_loaded *loaded)
{
    size_t i;

    for (i = 0; i < scan->n; i++) {
        if (scan->all[i].state == WEIR_PLUGIN_LOADED &&
            strcmp(scan->all[i].name, loaded->table->name) == 0 &&
            strcmp(scan->all[i].file, loaded->file) == 0)
            return true;
    }
    return false;
}

/* What was loaded from elsewhere. */
static int see_others(struct scan *scan)
{
    const struct weir_loaded *loaded = NULL;
    weir_plugin_info *info;

    while ((loaded = weir_registry_next(loaded))) {
        if (is_seen(scan, loaded))
            continue;
        info = add_info(scan, loaded->table->name);
        if (!info)
            return no_memory();
        describe(loaded, info);
    }
    return 0;
}

static int see_all(struct scan *scan)
{
    int rc = weir_registry_enter();

    if (rc < 0)
        return rc;
    rc = see_inside(scan);
    if (rc == 0)
        rc = see_folders(scan);
    if (rc == 0)
        rc = see_others(scan);
    weir_registry_leave();
    return rc;
}

int weir_plugin_scan(bool load,
                     int (*see)(void *arg, const weir_plugin_info *info),
                     void *arg)
{
    struct scan scan = {.load = load};
    size_t i;
    int rc;

    if (!see)
        return weir_answer(
            weir_fail(EINVAL, "the function to be called is NULL"));
    rc = weir_answer(see_all(&scan));
    for (i = 0; rc == 0 && i < scan.n; i++)
        rc = see(arg, &scan.all[i]);
    free(scan.all);
    return rc;
}

/* ---- by hand ---- */

static int load(const char *file, weir_plugin_info *out)
{
    char stem[WEIR_STEM_ROOM];
    struct weir_loaded *loaded;
    int rc;

    if (!file || !weir_plugin_file_stem(file, ".so", stem))
        return weir_fail(WEIR_EPLUGIN,
                         "\"%.256s\" is not the name of a plugin's file, such "
                         "as transport_tcp.so",
                         file ? file : "");
    rc = weir_registry_enter();
    if (rc < 0)
        return rc;
    rc = weir_registry_prefer(file, stem, &loaded);
    if (rc == 0)
        describe(loaded, out);
    weir_registry_leave();
    return rc;
}

int weir_plugin_load(const char *file, weir_plugin_info *out)
{
    weir_plugin_info info;
    int rc = out ? weir_sized_check(out, sizeof *out, "weir_plugin_info") : 0;

    if (rc == 0)
        rc = load(file, &info);
    if (rc == 0 && out)
        weir_sized_give(out, &info, sizeof info);
    return weir_answer(rc);
}

/* Row `index` of all providers of a plugin. */
static int describe_option(const struct weir_loaded *loaded, uint32_t index,
                           weir_option_info *out)
{
    const weir_provider *provider;
    const weir_option *rows;
    uint32_t i = 0, n;

    while ((provider = weir_registry_provider(loaded->table, &i))) {
        rows = weir_registry_options(provider, &n);
        if (index < n)
            return weir_options_describe(&rows[index], UINT32_MAX, out);
        index -= n;
    }
    return weir_fail(ENOENT, "plugin %s has no more options",
                     loaded->table->name);
}

static int describe_loaded(const char *owner, int index, weir_option_info *out)
{
    const struct weir_loaded *loaded;
    int rc = weir_registry_load(owner);

    if (rc == -WEIR_EPLUGIN)
        return weir_fail(ENOENT, "%s", weir_error_text());
    if (rc < 0)
        return rc;
    loaded = weir_registry_find(owner);
    if (!loaded)
        return weir_fail(ENOENT, "%s is an alias", owner);
    return describe_option(loaded, (uint32_t)index, out);
}

static int describe_option_of(const char *owner, int index,
                              weir_option_info *out)
{
    int rc;

    if (strlen(owner) >= WEIR_STEM_ROOM || !weir_plugin_file_kind(owner))
        return weir_fail(ENOENT, "\"%.64s\" is not the name of a plugin",
                         owner);
    rc = weir_registry_enter();
    if (rc < 0)
        return rc;
    rc = describe_loaded(owner, index, out);
    weir_registry_leave();
    return rc;
}

int weir_option_at(const char *owner, int index, weir_option_info *out)
{
    return weir_answer(!owner || index < 0
                           ? weir_options_info(index, out)
                           : describe_option_of(owner, index, out));
}
