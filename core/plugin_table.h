/*
 * plugin_table.h - is the table that a plugin exports a sound one?
 * Above: registry.c.  Below: options.h url.h.
 *
 * Pointers are taken to point where they say; everything else is checked, so
 * that the rest of the core can rely on it.
 */
#ifndef WEIR_PLUGIN_TABLE_H
#define WEIR_PLUGIN_TABLE_H

#include <weir/plugin.h>
#include <weir/store.h>
#include <weir/transport.h>

/* Check the table of the plugin that was looked for as `stem`: magic, size,
 * host minor, name, providers; of transports also abilities and the functions
 * that these need, and schemes; of stores modes, the functions that these
 * need, and that the id is a name; of both options, which have no name in
 * common with the core's or with each other.
 * Errors: -WEIR_EPLUGIN; the sentence has what is wrong, but neither the
 * plugin's name nor its file. */
int weir_plugin_table_check(const weir_plugin *table, const char *stem);

#endif
