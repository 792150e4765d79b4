/*
 * loop_epoll.c - a socket in a loop of epoll(7): answers requests, and ends at
 * SIGTERM or SIGINT, which come by a signalfd(2).
 */
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "recipe.h"

/* A descriptor that is readable when a signal has come. */
static int signal_fd(void)
{
    sigset_t signals;
    int fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0)
        return fd;
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Level-triggered, as epoll is by default: what is not received now is told
 * of again. */
static int loop(int set, int signals, weir_socket socket)
{
    struct epoll_event event;
    int rc;

    while ((rc = epoll_wait(set, &event, 1, -1)) >= 0 || errno == EINTR) {
        if (rc < 1)
            continue;
        if (event.data.fd == signals)
            return 0;
        if ((rc = answer_one(socket)) < 0)
            return rc;
    }
    return -errno;
}

int main(int argc, char **argv)
{
    weir_context context;
    weir_socket socket;
    int rc, set, signals;

    if (argc != 2)
        return usage("usage: loop_epoll URL\n");
    set = epoll_create1(EPOLL_CLOEXEC);
    signals = signal_fd();
    if ((rc = watch(set, signals)) < 0 ||
        (rc = open_one(&context, &socket, WEIR_REP)) < 0 ||
        (rc = weir_bind(socket, argv[1], NULL)) < 0 ||
        (rc = watch(set, weir_readable_fd(socket))) < 0 ||
        (rc = loop(set, signals, socket)) < 0)
        return failed("loop_epoll", rc);
    close(set);
    close(signals);
    return close_one(context, socket);
}
