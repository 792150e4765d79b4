#include "config.h"

#include "base/outsider.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_ROOM 4096 /* a line has up to 35 octets, and few maps many */

/* A small file as text.  False if it is not there, or not small. */
static bool read_text(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0)
        return false;
    size = read(fd, text, room);
    close(fd);
    if (size <= 0 || (size_t)size == room)
        return false;
    text[size] = '\0';
    return true;
}

/* A line has the first number inside, the first outside, and how many. */
static bool line_has(const char *line, uid_t user)
{
    char *at;
    unsigned long first = strtoul(line, &at, 10), count;

    (void)strtoul(at, &at, 10);
    count = strtoul(at, NULL, 10);
    return user >= first && user - first < count;
}

bool weir_outsider_by(const char *map, unsigned long shown, uid_t user)
{
    if (user != shown)
        return false;
    for (; map && *map; map = strchr(map, '\n')) {
        map += *map == '\n';
        if (*map && line_has(map, user))
            return false;
    }
    return true;
}

bool weir_outsider(uid_t user)
{
    char map[MAP_ROOM], shown[32];

    return read_text("/proc/self/uid_map", map, sizeof map) &&
           read_text("/proc/sys/kernel/overflowuid", shown, sizeof shown) &&
           weir_outsider_by(map, strtoul(shown, NULL, 10), user);
}
