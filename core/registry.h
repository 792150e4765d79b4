/*
 * registry.h - which plugins are loaded, loading one, what they provide.
 * Above: endpoint.c asks for transports, queues for stores; plugins.c shows
 * what there is. Below: plugin_search.h plugin_file.h plugin_module.h
 * plugin_table.h.
 *
 * One for the process.  A plugin is loaded when its name is first wanted, from
 * the first place that has it: this program itself, the folders of
 * WEIR_PLUGIN_PATH, the built-in folder.  What was loaded stays.  One lock
 * guards all of it; it is held while a plugin is loaded, and a fork waits for
 * it.
 */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <weir/plugin.h>
#include <weir/store.h>
#include <weir/transport.h>

#include "base/list.h"
#include "plugin_file.h"

/* Say which table plugins get in init(); before anything is loaded. */
void weir_registry_set_host(const weir_host *host);

/* The transport of a scheme; its plugin is loaded if need be.  The table was
 * checked: it has the functions that its abilities need, and its options are
 * sound.  *ops and *plugin (its name, "transport_tcp"; may be NULL) are good
 * for the life of the process.
 * Thread: any.
 * Errors: -WEIR_EPLUGIN; the sentence has where it was looked for and the real
 * cause.  The next call tries again. */
int weir_registry_transport(const char *scheme, const weir_transport_ops **ops,
                            const char **plugin);

/* The store of that name ("file"), from the plugin store_NAME, which is loaded
 * if need be.  The rest is as for transports: the table was checked, and *ops
 * and *plugin ("store_file"; may be NULL) are good for the life of the process.
 * Thread: any.
 * Errors: -EINVAL what is no name of a store; -WEIR_EPLUGIN. */
int weir_registry_store(const char *name, const weir_store_ops **ops,
                        const char **plugin);

/* ---- for plugins.c ---- */

/* A loaded plugin.  Of two that have the same name or scheme, the one that
 * comes first counts. */
struct weir_loaded {
    struct weir_list node;
    const weir_plugin *table;
    char file[WEIR_FILE_ROOM]; /* without symbolic links, or WEIR_INSIDE */
};

#define WEIR_INSIDE "this program" /* the file of modules within it */

/* Take the registry's lock; all that follows wants it.
 * Errors: -WEIR_EPLUGIN libltdl does not start, -ENOMEM: it is not taken. */
int weir_registry_enter(void);
void weir_registry_leave(void);

/* The loaded plugin after `loaded`, the first after NULL; NULL at the end. */
struct weir_loaded *weir_registry_next(const struct weir_loaded *loaded);

/* The loaded plugin of that name, or NULL. */
struct weir_loaded *weir_registry_find(const char *stem);

/* Make sure that the plugin of that name, or the one that it is an alias for,
 * is loaded, from wherever it is found first.  Errors: -WEIR_EPLUGIN. */
int weir_registry_load(const char *stem);

/* Load a plugin from a file, and put it last.  *abi gets the ABI that was
 * found, on failure too; 0 is unknown.  Errors: -WEIR_EPLUGIN. */
int weir_registry_load_file(const char *path, const char *stem, uint32_t *abi);

/* Load a plugin from a file unless that was done before, and put it first.
 * Errors: -WEIR_EPLUGIN. */
int weir_registry_prefer(const char *path, const char *stem,
                         struct weir_loaded **out);

/* The next provider of a kind that is in use, transport or store, from *i on,
 * *i being 0 at first; NULL at the end. */
const weir_provider *weir_registry_provider(const weir_plugin *table,
                                            uint32_t *i);

/* The options of such a provider, *n of them. */
const weir_option *weir_registry_options(const weir_provider *provider,
                                         uint32_t *n);

#endif
