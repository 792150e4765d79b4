/*
 * poll_many.c - see poll_many.h.
 */
#include "config.h"

#include "base/poll_many.h"

#include <errno.h>

/* How long we are blind, at most, where descriptors cannot be waited for. */
enum { BLIND_MS = 10 };

/* As many at once as the system takes; not even one, where none are allowed,
 * is one that is not ready. */
static int look_at(struct pollfd *fds, size_t n)
{
    int r = poll(fds, (nfds_t)n, 0);

    if (r >= 0)
        return r;
    if (n == 1 || errno != EINVAL) {
        for (size_t i = 0; i < n; i++)
            fds[i].revents = 0;
        return 0;
    }
    return look_at(fds, n / 2) + look_at(fds + n / 2, n - n / 2);
}

int weir_poll_many(struct pollfd *fds, size_t n, int ms)
{
    int r = poll(fds, (nfds_t)n, ms);

    if (r >= 0 || errno != EINVAL || n == 0)
        return r;
    r = look_at(fds, n);
    if (r == 0)
        (void)poll(NULL, 0, ms < 0 || ms > BLIND_MS ? BLIND_MS : ms);
    return r;
}
