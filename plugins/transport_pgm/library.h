/*
 * library.h - openpgm's own state, of which a process has one.
 *
 * Above: transport_pgm.c.  Below: openpgm.
 */
#ifndef WEIR_PGM_LIBRARY_H
#define WEIR_PGM_LIBRARY_H

#include <weir/plugin.h>

/* Begin, once for the process, with openpgm's log thrown away: it goes to the
 * standard output otherwise.  There is no end to it.
 * Errors: -WEIR_EPLUGIN. */
int weir_pgm_library_init(const weir_host *host, weir_error *error);

#endif
