#include "config.h"

#include "plugin_search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <weir/error.h>

#include "base/error.h"
#include "base/privileged.h"

/* A variable of the environment, if it is the user's own. */
static const char *variable(const char *name)
{
    return weir_privileged() ? NULL : getenv(name);
}

/* Does a part of the variable count? */
static bool is_folder(const char *path, size_t size)
{
    return path[0] == '/' && size < WEIR_FILE_ROOM;
}

void weir_plugin_search_start(struct weir_plugin_search *search)
{
    search->rest = variable("WEIR_PLUGIN_PATH");
    search->last = false;
}

bool weir_plugin_search_next(struct weir_plugin_search *search,
                             char folder[WEIR_FILE_ROOM])
{
    while (search->rest && *search->rest) {
        size_t size = strcspn(search->rest, ":");
        const char *at = search->rest;

        search->rest += size + (at[size] == ':');
        if (is_folder(at, size)) {
            memcpy(folder, at, size);
            folder[size] = '\0';
            return true;
        }
    }
    if (search->last)
        return false;
    search->last = true;
    snprintf(folder, WEIR_FILE_ROOM, "%s", WEIR_PLUGIN_DIR);
    return true;
}

/* Is that stem, or its name without the kind, what WEIR_PLUGINS says there? */
static bool is_entry(const char *stem, const char *entry, size_t size)
{
    const char *name = strchr(stem, '_') + 1;

    return (size == strlen(stem) && memcmp(stem, entry, size) == 0) ||
           (size == strlen(name) && memcmp(name, entry, size) == 0);
}

/* "^a,^b": all but these; "a,b": these alone. */
static bool is_disabled(const char *stem)
{
    const char *at = variable("WEIR_PLUGINS");
    bool named = false, others = false;

    while (at && *at) {
        size_t size = strcspn(at, ",");
        bool off = at[0] == '^';

        if (is_entry(stem, at + off, size - off)) {
            if (off)
                return true;
            named = true;
        }
        others |= size && !off;
        at += size + (at[size] == ',');
    }
    return others && !named;
}

int weir_plugin_search_enabled(const char *stem)
{
    if (!is_disabled(stem))
        return 0;
    return weir_fail(WEIR_EPLUGIN,
                     "plugin %s is disabled by WEIR_PLUGINS=\"%.128s\"", stem,
                     variable("WEIR_PLUGINS"));
}

/* Make a path, and say whether there is something: what cannot be looked at
 * is there too, and gives its error when it is loaded. */
static bool path_of(const char *folder, const char *stem, const char *suffix,
                    char path[WEIR_FILE_ROOM])
{
    int size = snprintf(path, WEIR_FILE_ROOM, "%s/%s%s", folder, stem, suffix);
    struct stat state;

    if (size < 0 || size >= WEIR_FILE_ROOM)
        return false;
    return lstat(path, &state) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool weir_plugin_search_find(const char *stem, char path[WEIR_FILE_ROOM],
                             bool *alias)
{
    char folder[WEIR_FILE_ROOM];
    struct weir_plugin_search search;

    weir_plugin_search_start(&search);
    while (weir_plugin_search_next(&search, folder)) {
        *alias = !path_of(folder, stem, ".so", path);
        if (!*alias || path_of(folder, stem, ".alias", path))
            return true;
    }
    return false;
}

/* What of the variable does not count: the first of it, or NULL. */
static const char *passed_over(size_t *size)
{
    const char *at = variable("WEIR_PLUGIN_PATH");

    for (; at && *at; at += *size + (at[*size] == ':')) {
        *size = strcspn(at, ":");
        if (*size && !is_folder(at, *size))
            return at;
    }
    return NULL;
}

/* Folders are named as long as there is room for the whole name, and for how
 * many more there are. */
static void list_folders(char *list, size_t room)
{
    const size_t for_rest = sizeof(" and 1000000 more");
    char folder[WEIR_FILE_ROOM];
    struct weir_plugin_search search;
    size_t used = 0;
    int more = 0;

    weir_plugin_search_start(&search);
    while (weir_plugin_search_next(&search, folder)) {
        if (used + strlen(folder) + for_rest + 2 > room)
            more++;
        else
            used += (size_t)snprintf(list + used, room - used, "%s%s",
                                     used ? ", " : "", folder);
    }
    if (more > 0)
        snprintf(list + used, room - used,
                 used ? " and %d more" : "%d with a long path", more);
}

/* The package that has a plugin of weir's, NULL if it is none: what is not
 * known may be misspelt, and there is no package of that name. */
static const char *package_of(const char *stem)
{
    static const struct {
        const char *stem, *package;
    } rows[] = {
        {"transport_inproc", "weir-transport-inproc"},
        {"transport_ipc", "weir-transport-ipc"},
        {"transport_tcp", "weir-transport-tcp"},
        {"transport_pgm", "weir-transport-pgm"},
        {"transport_epgm", "weir-transport-pgm"}, /* an alias */
        {"store_file", "weir-store-file"},
        {"store_lmdb", "weir-store-lmdb"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].stem, stem) == 0)
            return rows[i].package;
    }
    return NULL;
}

int weir_plugin_search_missing(const char *stem)
{
    const char *package = package_of(stem);
    char folders[192] = ""; /* another sentence has to go behind it */
    size_t size = 0;
    const char *other = passed_over(&size);

    list_folders(folders, sizeof folders);
    (void)weir_fail(
        WEIR_EPLUGIN, "no plugin %s: %s%s; %s.so was looked for in %s", stem,
        package ? "install the package "
                : "weir itself has none of that name, see `weir plugins`",
        package ? package : "", stem, folders);
    if (!other)
        return -WEIR_EPLUGIN;
    return weir_fail(WEIR_EPLUGIN,
                     "%s, but not in \"%.*s\" of WEIR_PLUGIN_PATH: want an "
                     "absolute path of less than %d octets",
                     weir_error_text(), size > 32 ? 32 : (int)size, other,
                     WEIR_FILE_ROOM);
}
