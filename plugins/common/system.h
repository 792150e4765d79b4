/*
 * system.h - small portable pieces that plugins with descriptors share.
 *
 * All are static, since plugins share no objects.
 * Above: transport_ipc, transport_tcp, the stores.  Below: <weir/plugin.h>,
 * libc.
 */
#ifndef WEIR_COMMON_SYSTEM_H
#define WEIR_COMMON_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/plugin.h>

#define WEIR_REASON_ROOM 128 /* octets for the words of an errno value */

/* The words for an errno value, in `buffer` or constant.
 * There are two functions strerror_r: GNU's returns the text, which may or may
 * not be in the buffer, and POSIX's fills the buffer. */
static inline const char *weir_common_reason(int code, char *buffer,
                                             size_t room)
{
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return strerror_r(code, buffer, room);
#else
    if (strerror_r(code, buffer, room) != 0)
        snprintf(buffer, room, "error %d", code);
    return buffer;
#endif
}

/* A descriptor is a store's until it is closed: a forked child closes it, if
 * the host knows how. */
static inline void weir_common_own(const weir_host *host, int fd)
{
    if (WEIR_HAS(weir_host, host, own))
        host->own(fd, 1);
}

static inline void weir_common_disown(const weir_host *host, int fd)
{
    if (WEIR_HAS(weir_host, host, own))
        host->own(fd, 0);
}

static inline void weir_common_close_own(const weir_host *host, int fd)
{
    weir_common_disown(host, fd);
    (void)close(fd);
}

/* The value of one to nine digits of a base up to 10; -1 if the text is
 * anything else. */
static inline long weir_common_number(const char *text, size_t size, int base)
{
    long value = 0;

    if (size == 0 || size > 9)
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] >= '0' + base)
            return -1;
        value = value * base + (text[i] - '0');
    }
    return value;
}

/* Open a stream socket, non-blocking and close-on-exec.
 * Returns the descriptor.  Errors: what socket() says. */
static inline int weir_common_socket(int family)
{
#if HAVE_DECL_SOCK_CLOEXEC && HAVE_DECL_SOCK_NONBLOCK
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
#else
    int rc, fd = socket(family, SOCK_STREAM, 0);

    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    rc = -errno;
    (void)close(fd);
    return rc;
#endif
}

#endif
