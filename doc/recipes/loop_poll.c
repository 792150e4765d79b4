/*
 * loop_poll.c - a socket in a loop of poll(2): answers requests, and ends at
 * SIGTERM or SIGINT.
 */
#include <poll.h>
#include <unistd.h>

#include "recipe.h"

static int wake[2]; /* a pipe: the signal handler writes, the loop reads */

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    if (write(wake[1], "", 1) < 0) {
        /* The pipe is full: the loop will wake anyhow. */
    }
    errno = saved;
}

static int catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    if (pipe(wake) < 0 || sigaction(SIGINT, &action, NULL) < 0 ||
        sigaction(SIGTERM, &action, NULL) < 0)
        return -errno;
    return 0;
}

/* The descriptor is readable as long as there is a message, so one answer a
 * turn is enough, and others get their turns. */
static int loop(weir_socket socket)
{
    struct pollfd items[2] = {
        {.fd = weir_readable_fd(socket), .events = POLLIN},
        {.fd = wake[0], .events = POLLIN},
    };
    int rc = items[0].fd < 0 ? items[0].fd : 0;

    while (rc == 0 && !items[1].revents) {
        if (poll(items, 2, -1) < 0)
            rc = errno == EINTR ? 0 : -errno;
        else if (items[0].revents)
            rc = answer_one(socket);
    }
    return rc;
}

int main(int argc, char **argv)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if (argc != 2)
        return usage("usage: loop_poll URL\n");
    if ((rc = catch_signals()) < 0 ||
        (rc = open_one(&context, &socket, WEIR_REP)) < 0 ||
        (rc = weir_bind(socket, argv[1], NULL)) < 0 || (rc = loop(socket)) < 0)
        return failed("loop_poll", rc);
    return close_one(context, socket);
}
