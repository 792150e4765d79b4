/*
 * spool.h - what a plain program does that keeps messages in a file: one
 * thread packs them into blocks, another one writes these.
 * Above: swap.c.  Below: disk.h.
 */
#ifndef WEIR_TOOLS_PEERS_SPOOL_H
#define WEIR_TOOLS_PEERS_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct weir_spool;

/* Begin to write messages of `size` octets to a file of the folder, as fast as
 * that goes; after `most` octets from its beginning again.
 * NULL with the complaint printed. */
struct weir_spool *weir_spool_start(const char *dir, size_t size,
                                    uint64_t most);

/* End it; the file goes.  Returns 0, or -1 with the complaint printed: not all
 * could be written. */
int weir_spool_stop(struct weir_spool *spool);

#endif
