/* crowd.c - many connections that greet and then say nothing. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "address.h"
#include "crowd.h"

#define WAVE 64 /* connections under way at once */

void weir_crowd_allow(uint64_t n)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_cur > n + 256 ? limit.rlim_cur : n + 256;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- greetings ---- */

/* ZMTP 3.0, RFC 23: the greeting of mechanism NULL, and READY with the type
 * of the socket. */
static size_t greet_zmtp(unsigned char *to, const char *type)
{
    unsigned char *at = to + 64;

    memset(to, 0, 64);
    to[0] = 0xff;
    to[9] = 0x7f;
    to[10] = 3;
    memcpy(to + 12, "NULL", 4);
    *at++ = 4; /* a command */
    *at++ = (unsigned char)(6 + 12 + 4 + strlen(type));
    memcpy(at, "\5READY\13Socket-Type\0\0\0", 21);
    at += 21;
    *at++ = (unsigned char)strlen(type);
    memcpy(at, type, strlen(type));
    return (size_t)(at - to) + strlen(type);
}

/* The header of scalability protocols: PUSH is 5.0, REQ 3.0. */
static size_t greet_sp(unsigned char *to, const char *type)
{
    memcpy(to, "\0SP\0\0\0\0\0", 8);
    to[5] = strcmp(type, "REQ") == 0 ? 0x30 : 0x50;
    return 8;
}

size_t weir_crowd_greeting(unsigned char to[WEIR_CROWD_GREETING],
                           enum weir_side_wire wire, const char *type)
{
    if (wire == WEIR_SIDE_ZMTP)
        return greet_zmtp(to, type);
    return wire == WEIR_SIDE_SP ? greet_sp(to, type) : 0;
}

static bool read_all(int fd, unsigned char *to, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t done = recv(fd, to + got, size - got, 0);

        if (done <= 0 && errno != EINTR)
            return false;
        got += done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* Read the greeting and READY of the other side. */
static bool hear(int fd, enum weir_side_wire wire)
{
    unsigned char octets[64 + 255];

    if (wire == WEIR_SIDE_NO_WIRE)
        return true;
    if (wire == WEIR_SIDE_SP)
        return read_all(fd, octets, 8);
    return read_all(fd, octets, 66) && octets[64] == 4 &&
           read_all(fd, octets, octets[65]);
}

/* ---- all of them ---- */

/* Connect, to leave no trace in the kernel's tables when this process ends. */
static int connect_once(const char *url)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = weir_address_connect(url);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return fd;
}

/* A few, so that they do not wait for each other's answers. */
static bool open_wave(struct weir_side *side, const char *url, int *fds,
                      size_t n)
{
    enum weir_side_wire wire = side->ops->wire;
    unsigned char greeting[WEIR_CROWD_GREETING];
    size_t size = weir_crowd_greeting(greeting, wire,
                                      side->plan->reqrep ? "REQ" : "PUSH");

    for (size_t i = 0; i < n; i++) {
        fds[i] = connect_once(url);
        if (fds[i] < 0 ||
            send(fds[i], greeting, size, MSG_NOSIGNAL) != (ssize_t)size)
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!hear(fds[i], wire))
            return false;
    }
    return true;
}

int weir_crowd_open(struct weir_side *side, _Atomic uint64_t *count,
                    _Atomic uint64_t *ns)
{
    const char *url = weir_side_url(side);
    uint64_t start = weir_meter_now(), n = side->plan->n;
    int fds[WAVE];

    weir_crowd_allow(n);
    for (uint64_t done = 0, wave; done < n; done += wave) {
        wave = n - done < WAVE ? n - done : WAVE;
        if (!open_wave(side, url, fds, (size_t)wave)) {
            fprintf(stderr, "connection %llu of %llu: %s\n",
                    (unsigned long long)done, (unsigned long long)n,
                    strerror(errno));
            return -1;
        }
        if (ns)
            atomic_store(ns, weir_meter_now() - start);
        atomic_store(count, done + wave);
    }
    return 0;
}
