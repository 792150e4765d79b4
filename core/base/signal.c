/*
 * signal.c - see signal.h.
 */
#include "config.h"

#include "base/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#if defined(HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "base/error.h"

#if !defined(HAVE_EVENTFD)
static int prepare(int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int open_pair(struct weir_signal *signal)
{
    int fds[2];

    if (pipe(fds) < 0)
        return -errno;
    if (prepare(fds[0]) < 0 || prepare(fds[1]) < 0) {
        close(fds[0]);
        close(fds[1]);
        return -EMFILE;
    }
    signal->in = fds[0];
    signal->out = fds[1];
    return 0;
}
#else
static int open_pair(struct weir_signal *signal)
{
    signal->in = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    signal->out = signal->in;
    return signal->in < 0 ? -errno : 0;
}
#endif

int weir_signal_open(struct weir_signal *signal)
{
    int r = open_pair(signal);

    if (r < 0) {
        signal->in = signal->out = -1;
        return weir_fail(-r, "no descriptor for a wake-up: %s",
                         weir_strerror(-r));
    }
    return 0;
}

void weir_signal_close(struct weir_signal *signal)
{
    if (signal->in >= 0)
        close(signal->in);
    if (signal->out >= 0 && signal->out != signal->in)
        close(signal->out);
    signal->in = signal->out = -1;
}

/* A full pipe, or a counter at its end, is readable as it is. */
void weir_signal_set(struct weir_signal *signal)
{
    const uint64_t one = 1;
    ssize_t r;

    do
        r = write(signal->out, &one, sizeof(one));
    while (r < 0 && errno == EINTR);
}

void weir_signal_clear(struct weir_signal *signal)
{
    uint64_t junk[64];
    ssize_t r;

    do
        r = read(signal->in, junk,
                 signal->in == signal->out ? sizeof(junk[0]) : sizeof(junk));
    while (r == (ssize_t)sizeof(junk) || (r < 0 && errno == EINTR));
}
