/*
 * notify.h - telling the service manager how the service is, as sd_notify(3)
 * of systemd does: a datagram to the socket that NOTIFY_SOCKET names.  It is
 * so little that it needs no library.
 * Above: device.c.  Below: the system.
 */
#ifndef WEIR_TOOLS_NOTIFY_H
#define WEIR_TOOLS_NOTIFY_H

/* Send lines such as "READY=1".  Without a service manager nothing happens.
 * Returns 0, or -errno when one wants to be told and cannot be. */
int weir_notify(const char *lines);

#endif
