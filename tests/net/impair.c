/*
 * impair.c - a wire that is slow and uneven: two TAP devices, and what comes
 * out of one goes into the other after a while that is different each time,
 * so that frames overtake each other.
 *
 * usage: impair DEVICE DEVICE DELAY-MS JITTER-MS
 *
 * It says "ready" when the devices are there, and ends when it is killed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

enum { FRAME_MAX = 2048, WAITING_MAX = 4096, MS = 1000000 };

struct frame {
    int64_t due; /* ns */
    int to;
    size_t size;
    uint8_t data[FRAME_MAX];
};

static struct frame frames[WAITING_MAX];
static int n_frames;
static int64_t delay, jitter; /* ns */

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int open_tap(const char *name)
{
    struct ifreq request;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        perror("impair: no TAP device");
        exit(77);
    }
    return fd;
}

/* What there is no room for is lost. */
static void take(int from, int to)
{
    struct frame *frame;
    ssize_t size;

    do {
        uint8_t waste[FRAME_MAX];

        frame = n_frames < WAITING_MAX ? &frames[n_frames] : NULL;
        size = read(from, frame ? frame->data : waste, FRAME_MAX);
        if (size <= 0 || !frame)
            continue;
        frame->size = (size_t)size;
        frame->to = to;
        frame->due = now() + delay + (jitter ? rand() % jitter : 0);
        n_frames++;
    } while (size > 0);
}

static int earliest(void)
{
    int found = -1;

    for (int i = 0; i < n_frames; i++)
        if (found < 0 || frames[i].due < frames[found].due)
            found = i;
    return found;
}

/* Let go what is due, the earliest first.  Returns the ms until the next. */
static int release(void)
{
    int i;

    while ((i = earliest()) >= 0) {
        int64_t left = frames[i].due - now();

        if (left > 0)
            return (int)(left / MS) + 1;
        if (write(frames[i].to, frames[i].data, frames[i].size) < 0 &&
            errno == EIO)
            return 10; /* the device is not up */
        frames[i] = frames[--n_frames];
    }
    return 1000;
}

int main(int argc, char **argv)
{
    struct pollfd fds[2] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}};

    if (argc != 5)
        return 2;
    for (int i = 0; i < 2; i++)
        fds[i].fd = open_tap(argv[1 + i]);
    delay = (int64_t)atoi(argv[3]) * MS;
    jitter = (int64_t)atoi(argv[4]) * MS;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int ms = release();

        if (poll(fds, 2, ms) < 0 && errno != EINTR)
            return 1;
        take(fds[0].fd, fds[1].fd);
        take(fds[1].fd, fds[0].fd);
    }
}
