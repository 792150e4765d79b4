/* address.c - plain sockets for the URLs of a benchmark. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

/* Its length, 0 when it is none of the two. */
static socklen_t read_url(const char *url, union address *address)
{
    const char *colon = strrchr(url, ':');

    memset(address, 0, sizeof *address);
    if (strncmp(url, "tcp://", 6) == 0 && colon > url + 6) {
        address->in.sin_family = AF_INET;
        address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->in.sin_port = htons((uint16_t)atoi(colon + 1));
        return sizeof address->in;
    }
    if (strncmp(url, "ipc://", 6) == 0 &&
        strlen(url + 6) < sizeof address->un.sun_path) {
        address->un.sun_family = AF_UNIX;
        memcpy(address->un.sun_path, url + 6, strlen(url + 6));
        return sizeof address->un;
    }
    errno = EINVAL;
    return 0;
}

int weir_address_listen(const char *url, char *found, size_t room)
{
    union address address;
    socklen_t length = read_url(url, &address);
    int fd = length ? socket(address.any.sa_family, SOCK_STREAM, 0) : -1;

    if (fd < 0)
        return -1;
    if (address.any.sa_family == AF_UNIX)
        unlink(address.un.sun_path);
    if (bind(fd, &address.any, length) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &length) != 0) {
        close(fd);
        return -1;
    }
    if (address.any.sa_family == AF_INET)
        snprintf(found, room, "tcp://127.0.0.1:%u",
                 (unsigned)ntohs(address.in.sin_port));
    else
        snprintf(found, room, "%s", url);
    return fd;
}

int weir_address_connect(const char *url)
{
    union address address;
    socklen_t length = read_url(url, &address);
    int fd = length ? socket(address.any.sa_family, SOCK_STREAM, 0) : -1;

    if (fd >= 0 && connect(fd, &address.any, length) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
