/*
 * privileged.h - does this program have rights that its caller lacks?
 * Above: registry.c.  Below: nothing.
 */
#ifndef WEIR_BASE_PRIVILEGED_H
#define WEIR_BASE_PRIVILEGED_H

#include <stdbool.h>

/* True in a setuid, setgid or setcap program, whose environment is somebody
 * else's.  A program that root runs is not one.
 * Thread: any. */
bool weir_privileged(void);

#endif
