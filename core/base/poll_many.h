/*
 * poll_many.h - poll(2), for more descriptors than one may have.
 * Above: poll.c, poller_poll.c.  Below: poll(2).
 */
#ifndef WEIR_BASE_POLL_MANY_H
#define WEIR_BASE_POLL_MANY_H

#include <poll.h>
#include <stddef.h>

/* As poll(2), which takes no more descriptors than RLIMIT_NOFILE says, and
 * answers EINVAL from the moment when a program sets that below what it has
 * open.  Here all are looked at then, in parts; only then may 0 come before
 * the time is up.
 * Errors: -1, with errno as from poll(2) but for that.
 * Thread: any. */
int weir_poll_many(struct pollfd *fds, size_t n, int ms);

#endif
