/*
 * plugin_file.h - names of plugin files, and whether one may be loaded.
 * Above: registry.c.  Below: base/error.h.
 *
 * A plugin is <kind>_<name>.so: the stem "transport_tcp" is its name.  An
 * alias is <kind>_<name>.alias, a file of one line: another plugin's stem.
 */
#ifndef WEIR_PLUGIN_FILE_H
#define WEIR_PLUGIN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_STEM_ROOM 64   /* octets of a stem and its NUL */
#define WEIR_FILE_ROOM 1024 /* octets of a path and its NUL */

/* Octets of the kind in front of the stem's '_' if it is a right one: a known
 * kind and a name of a-z 0-9 + - . _ that begins with a letter or digit; else
 * 0. */
size_t weir_plugin_file_kind(const char *stem);

/* Take the stem off a path or file name that ends in `suffix`.
 * Returns false when it does not, or the stem is not a right one. */
bool weir_plugin_file_stem(const char *path, const char *suffix,
                           char stem[WEIR_STEM_ROOM]);

/* Check that only root and the process's own user can have written a file and
 * the folder it is in, and where it is a symbolic link, what it leads to; for
 * a shared object also that it was not cut short, of which the loader would
 * die, and is for this machine, which it would not tell.  Folders further up
 * are not looked at: what is put in the place of this one has another owner.
 * `real` gets the path without symbolic links.
 * Errors: -WEIR_EPLUGIN; the sentence names path and rule. */
int weir_plugin_file_check(const char *path, char real[WEIR_FILE_ROOM]);

/* Read an alias file, after the same checks.
 * Errors: -WEIR_EPLUGIN; the sentence names path and rule. */
int weir_plugin_file_alias(const char *path, char stem[WEIR_STEM_ROOM]);

#endif
