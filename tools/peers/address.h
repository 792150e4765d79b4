/*
 * address.h - plain sockets for the URLs of a benchmark:
 * "tcp://127.0.0.1:PORT", with * for a free port, and "ipc://PATH".
 * Above: raw.c, crowd.c, side.c.  Below: nothing.
 */
#ifndef WEIR_TOOLS_PEERS_ADDRESS_H
#define WEIR_TOOLS_PEERS_ADDRESS_H

#include <stddef.h>

/* A socket that listens there, or one that is connected to it.  `found` gets
 * the URL to connect to; `room` is in octets.  The descriptor, or -1 with
 * errno set. */
int weir_address_listen(const char *url, char *found, size_t room);
int weir_address_connect(const char *url);

#endif
