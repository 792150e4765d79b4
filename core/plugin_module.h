/*
 * plugin_module.h - a plugin's module, in a file or within this program, as
 * the system's loader and libltdl see it.  Alone includes ltdl.h and dlfcn.h.
 * Above: registry.c.  Below: libltdl.
 *
 * libltdl keeps its last error in one unlocked global, so all of these are
 * called under the registry's lock.
 */
#ifndef WEIR_PLUGIN_MODULE_H
#define WEIR_PLUGIN_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "plugin_file.h"

struct weir_plugin_module {
    void *handle; /* dlopen's, NULL if it was not asked */
    void *lt;     /* libltdl's */
};

/* Start libltdl and tell it of the modules within this library.
 * Errors: -WEIR_EPLUGIN. */
int weir_plugin_module_start(void);

/* Open a file that was checked, by its absolute path.
 * Errors: -WEIR_EPLUGIN; the sentence is what the loader says. */
int weir_plugin_module_open(struct weir_plugin_module *module,
                            const char *path);

/* Open a module within this program.  Errors: -ENOENT there is none. */
int weir_plugin_module_open_inside(struct weir_plugin_module *module,
                                   const char *stem);

/* Find the table of the plugin `stem`.  *abi gets the ABI that was found, also
 * when it is another one, and 0 when the module is no plugin of that name.
 * Errors: -WEIR_EPLUGIN; the sentence has the ABI wanted and found. */
int weir_plugin_module_table(const struct weir_plugin_module *module,
                             const char *stem, const weir_plugin **table,
                             uint32_t *abi);

/* Close a module that is of no use; or keep it for the life of the process. */
void weir_plugin_module_close(struct weir_plugin_module *module);
void weir_plugin_module_keep(struct weir_plugin_module *module);

/* The stem of the next module within this library; *at is 0 at first.  Returns
 * false at the end. */
bool weir_plugin_module_inside(size_t *at, char stem[WEIR_STEM_ROOM]);

#endif
