/* notify.c - see notify.h. */
#include "config.h"

#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A name that begins with @ is in Linux' abstract name space, where that octet
 * is 0 and no NUL ends the name.  Returns the address' size, or -errno. */
static int make_address(const char *name, struct sockaddr_un *address)
{
    size_t size = strlen(name);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if ((name[0] != '/' && name[0] != '@') || size < 2)
        return -EINVAL;
    if (size >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memcpy(address->sun_path, name, size);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    return (int)(offsetof(struct sockaddr_un, sun_path) + size);
}

int weir_notify(const char *lines)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    int size, fd, code = 0;

    if (!name)
        return 0;
    size = make_address(name, &address);
    if (size < 0)
        return size;
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, lines, strlen(lines), 0, (struct sockaddr *)&address,
               (socklen_t)size) < 0)
        code = -errno;
    close(fd);
    return code;
}
