/*
 * disk.h - a folder's disk: how fast plain writes are, and files without a
 * name that are to be on it.
 * Above: swap.c, spool.c.  Below: meter.h.
 */
#ifndef WEIR_TOOLS_PEERS_DISK_H
#define WEIR_TOOLS_PEERS_DISK_H

#include <stdint.h>

/* Where a swap lies when nobody says where: TMPDIR, or /var/tmp. */
const char *weir_disk_folder(void);

/* Octets that are free there; 0 with the complaint printed: it is no folder
 * that can be looked at, or it is full. */
uint64_t weir_disk_room(const char *dir);

/* Wait until all that this process has written to files without a name on the
 * folder's disk is there.  Returns 0, or -1 with the complaint printed. */
int weir_disk_sync(const char *dir);

/* A file of the folder without a name, for writing.  -1: errno says why. */
int weir_disk_open(const char *dir);

/* Write so many octets to a file of the folder, in blocks of 1 MB, have them on
 * the disk, and remove the file.  Returns how long that took, in ns, without
 * the removal; 0 with the complaint printed. */
uint64_t weir_disk_write(const char *dir, uint64_t octets);

#endif
