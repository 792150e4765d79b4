/*
 * filter.h - which datagrams reach openpgm.
 *
 * openpgm reads options of a packet without looking where the packet ends, can
 * loop for ever in them, and takes an empty datagram for the end of its
 * socket.  So a filter in the kernel lets through only packets that are built
 * as those of PGM senders and receivers without its optional parts: no
 * fragments, no error correction, no congestion control, all of which libzmq
 * does without as well.
 * Above: session.c.  Below: socket filters (classic BPF).
 */
#ifndef WEIR_PGM_FILTER_H
#define WEIR_PGM_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

enum { WEIR_PGM_FILTER_MAX = 112 }; /* instructions */

struct weir_pgm_filter {
    struct sock_filter code[WEIR_PGM_FILTER_MAX];
    unsigned n;
};

/* Write the filter for a socket of this family, over UDP or raw IP: what a
 * sender has to hear (requests), or a receiver (data, and what goes with
 * them). */
void weir_pgm_filter_make(struct weir_pgm_filter *filter, int family, bool udp,
                          bool sends);

/* Attach it, and throw away what has come before.
 * Errors: what the system says. */
int weir_pgm_filter_attach(const struct weir_pgm_filter *filter, int fd);

/* Datagrams that were not let through, or for which the buffer was too full,
 * so far.  0 where the system does not say. */
uint32_t weir_pgm_filter_drops(int fd);

#endif
