/*
 * poll_many.c - see poll_many.h.
 */
#include "config.h"

#include "base/poll_many.h"

#include <errno.h>

/* How long one that becomes ready may go unseen. */
enum { UNSEEN_MS = 10 };

static int look_at(struct pollfd *fds, size_t n);

/* What poll() did not take at once.  Where it does not take even one, or has no
 * memory, that one is not ready. */
static int look_at_halves(struct pollfd *fds, size_t n)
{
    if (n == 1) {
        fds[0].revents = 0;
        return 0;
    }
    return look_at(fds, n / 2) + look_at(fds + n / 2, n - n / 2);
}

static int look_at(struct pollfd *fds, size_t n)
{
    int r = poll(fds, (nfds_t)n, 0);

    return r >= 0 ? r : look_at_halves(fds, n);
}

int weir_poll_many(struct pollfd *fds, size_t n, int ms)
{
    int r = poll(fds, (nfds_t)n, ms);

    if (r >= 0 || errno != EINVAL || n == 0)
        return r;
    r = look_at_halves(fds, n);
    if (r == 0)
        (void)poll(NULL, 0, ms < 0 || ms > UNSEEN_MS ? UNSEEN_MS : ms);
    return r;
}
