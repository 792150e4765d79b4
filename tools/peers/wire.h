/*
 * wire.h - a network of two machines, for transports to groups: two network
 * namespaces joined by a pair of veth devices.
 *
 * They have no names, and go when the last process of the run ends.
 * Above: side.c.  Below: the kernel, and ip(8).
 */
#ifndef WEIR_TOOLS_PEERS_WIRE_H
#define WEIR_TOOLS_PEERS_WIRE_H

/* Make both.  This process, which must have one thread, and those that it
 * forks from now on are in the near one.
 * Returns 0, or -1 with the complaint printed: it needs root. */
int weir_wire_make(void);

/* The address of the machine that this process is on. */
const char *weir_wire_address(void);

/* Move this process to the far one.  0 or -1, as above. */
int weir_wire_cross(void);

#endif
