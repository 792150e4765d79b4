/*
 * listing.h - the table of options, for a terminal and for the manual.
 * Above: options.c, plugins.c.  Below: weir.h, text.h.
 */
#ifndef WEIR_TOOLS_LISTING_H
#define WEIR_TOOLS_LISTING_H

#include <stdbool.h>
#include <stdio.h>

/* Print the options of a plugin (NULL: of sockets), indented by two.
 * Returns false, with nothing printed, if there are none. */
bool weir_listing_print(const char *owner, FILE *file);

/* The same as a line of JSON for each. */
bool weir_listing_print_json(const char *owner, FILE *file);

/* The same as an mdoc(7) list, .Bl to .El. */
bool weir_listing_print_mdoc(const char *owner, FILE *file);

#endif
