/* wire.c - see wire.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#define NEAR "10.99.0.1"
#define FAR  "10.99.0.2"

static bool crossed; /* to the far machine */

const char *weir_wire_address(void)
{
    return crossed ? FAR : NEAR;
}

#ifdef CLONE_NEWNET

static int far_fd = -1; /* its namespace */

static int complain(const char *what)
{
    fprintf(stderr, "network namespaces: %s: %s\n", what, strerror(errno));
    return -1;
}

/* A namespace of its own for this process, and a descriptor of it. */
static int make_namespace(void)
{
    int fd;

    if (unshare(CLONE_NEWNET) != 0)
        return complain("cannot make one; it needs root");
    fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? complain("/proc/self/ns/net") : fd;
}

static int enter(int fd)
{
    return setns(fd, CLONE_NEWNET) == 0 ? 0 : complain("cannot enter one");
}

static int run(const char *command)
{
    if (system(command) == 0)
        return 0;
    fprintf(stderr, "network namespaces: this failed: %s\n", command);
    return -1;
}

/* One end of the wire, where this process is. */
static int set_up(const char *address)
{
    char command[128];

    snprintf(command, sizeof command,
             "ip addr add %s/24 dev wire && ip link set wire up", address);
    return run(command);
}

int weir_wire_make(void)
{
    char command[128];
    int near_fd, rc;

    far_fd = make_namespace();
    near_fd = far_fd < 0 ? -1 : make_namespace();
    if (near_fd < 0)
        return -1;
    snprintf(command, sizeof command,
             "ip link add wire type veth peer name wire netns /proc/%ld/fd/%d",
             (long)getpid(), far_fd);
    rc = run(command);
    rc = rc ? rc : set_up(NEAR);
    rc = rc ? rc : enter(far_fd);
    rc = rc ? rc : set_up(FAR);
    rc = rc ? rc : enter(near_fd);
    close(near_fd);
    return rc;
}

int weir_wire_cross(void)
{
    crossed = true;
    return enter(far_fd);
}

#else

static int complain(void)
{
    fputs("this system has no network namespaces\n", stderr);
    return -1;
}

int weir_wire_make(void)
{
    return complain();
}

int weir_wire_cross(void)
{
    return complain();
}

#endif
