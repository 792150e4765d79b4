/*
 * alone.h - a network of a test's own, for what speaks to groups.
 *
 * Above: tests that have multicast in one process.  Below: the kernel, ip(8).
 */
#ifndef TESTS_NET_ALONE_H
#define TESTS_NET_ALONE_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A group for URLs and addresses there. */
#define ALONE_GROUP "weir0;239.192.98.1:7998"

/* From now on this process, which must have one thread, is alone on a network
 * with an interface that can multicast.  False, with a line that says so:
 * there can be none, and the test has to do without. */
static inline bool alone(void)
{
#ifdef CLONE_NEWNET
    if (unshare(CLONE_NEWNET) == 0 &&
        system("{ ip link add weir0 type veth peer name weir1 &&"
               " ip addr add 10.98.0.1/24 dev weir0 &&"
               " ip addr add 10.98.0.2/24 dev weir1 &&"
               " ip link set weir0 up && ip link set weir1 up;"
               "} 2>/dev/null") == 0)
        return true;
#endif
    printf("not done: groups, which need network namespaces: root, and "
           "ip(8)\n");
    return false;
}

#endif
