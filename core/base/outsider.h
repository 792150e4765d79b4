/*
 * outsider.h - is that number somebody who is not of this user namespace?
 * Above: plugin_file.c.  Below: nothing.
 */
#ifndef WEIR_BASE_OUTSIDER_H
#define WEIR_BASE_OUTSIDER_H

#include <stdbool.h>
#include <sys/types.h>

/* In a Linux user namespace that has not all users, such as a sandbox's, the
 * others look alike: the kernel shows one number for all of them, root of the
 * machine included.  True if `user` is that number, and nobody of the
 * namespace has it.
 * Thread: any; reads two small files of /proc. */
bool weir_outsider(uid_t user);

/* The same, by the text of /proc/self/uid_map and the number that is shown. */
bool weir_outsider_by(const char *map, unsigned long shown, uid_t user);

#endif
