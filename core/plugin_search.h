/*
 * plugin_search.h - where plugins are looked for, and which are disabled.
 * Above: registry.c.  Below: plugin_file.h, base/privileged.h.
 *
 * The environment is read anew each time: WEIR_PLUGIN_PATH, folders with ':'
 * between, of which only absolute ones count, searched before the built-in
 * folder; and WEIR_PLUGINS, names with ',' between: "^tcp,^pgm" are all but
 * these, "tcp,ipc" are these alone.  A privileged program ignores both.
 */
#ifndef WEIR_PLUGIN_SEARCH_H
#define WEIR_PLUGIN_SEARCH_H

#include <stdbool.h>

#include "plugin_file.h"

/* A walk through the folders, in their order. */
struct weir_plugin_search {
    const char *rest; /* of WEIR_PLUGIN_PATH */
    bool last;
};

void weir_plugin_search_start(struct weir_plugin_search *search);

/* The next folder; false at the end. */
bool weir_plugin_search_next(struct weir_plugin_search *search,
                             char folder[WEIR_FILE_ROOM]);

/* The first folder's file for a right stem, or its alias; in one folder the
 * file comes before the alias.  False if there is none. */
bool weir_plugin_search_find(const char *stem, char path[WEIR_FILE_ROOM],
                             bool *alias);

/* Errors: -WEIR_EPLUGIN that plugin is disabled. */
int weir_plugin_search_enabled(const char *stem);

/* Gives -WEIR_EPLUGIN: there is no such plugin; the sentence has the folders
 * and what to install. */
int weir_plugin_search_missing(const char *stem);

#endif
