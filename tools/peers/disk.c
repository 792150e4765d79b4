/* disk.c - plain writes to a folder's disk. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk.h"
#include "meter.h"

#define BLOCK ((size_t)1 << 20)
#define FILES 1024 /* descriptors that are looked at; the lowest are used */

static int complain(const char *dir, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", dir, what, strerror(errno));
    return -1;
}

const char *weir_disk_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder && folder[0] == '/' ? folder : "/var/tmp";
}

uint64_t weir_disk_room(const char *dir)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(dir, &disk) < 0) {
        complain(dir, "cannot be looked at");
        return 0;
    }
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room == 0)
        fprintf(stderr, "%s: the disk is full\n", dir);
    return room;
}

static int sync_data(int fd)
{
#ifdef HAVE_FDATASYNC
    return fdatasync(fd);
#else
    return fsync(fd);
#endif
}

static bool is_nameless(int fd, dev_t disk)
{
    struct stat state;

    return fstat(fd, &state) == 0 && S_ISREG(state.st_mode) &&
           state.st_nlink == 0 && state.st_dev == disk;
}

int weir_disk_sync(const char *dir)
{
    struct stat folder;

    if (stat(dir, &folder) < 0)
        return complain(dir, "cannot be looked at");
    for (int fd = 0; fd < FILES; fd++) {
        if (!is_nameless(fd, folder.st_dev))
            continue;
        if (sync_data(fd) < 0 && errno != EBADF) /* or it has gone meanwhile */
            return complain(dir, "fdatasync");
    }
    return 0;
}

int weir_disk_open(const char *dir)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/weir-bench-XXXXXX", dir);
    fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int write_blocks(int fd, uint64_t octets)
{
    char *block = malloc(BLOCK);
    int code = block ? 0 : -1;

    if (block)
        memset(block, 'x', BLOCK);
    while (code == 0 && octets > 0) {
        ssize_t n = write(fd, block, octets < BLOCK ? (size_t)octets : BLOCK);

        if (n > 0)
            octets -= (uint64_t)n;
        else if (n == 0 || errno != EINTR)
            code = -1;
    }
    free(block);
    return code == 0 ? sync_data(fd) : code;
}

uint64_t weir_disk_write(const char *dir, uint64_t octets)
{
    uint64_t start, ns = 0;
    int fd = weir_disk_open(dir);

    start = weir_meter_now();
    if (fd < 0 || write_blocks(fd, octets) < 0)
        complain(dir, "cannot be written to");
    else
        ns = weir_meter_now() - start;
    if (fd >= 0)
        close(fd);
    return ns;
}
