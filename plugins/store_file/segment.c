/* segment.c - files without a name, and all of a write. */
#include "config.h"

#include "segment.h"

#include "../common/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_TRIES 100

int weir_segment_fail(const struct weir_segment_folder *folder,
                      weir_error *error, int code, const char *what)
{
    char reason[WEIR_REASON_ROOM];

    return folder->host->fail(error, code, "%s: %s: %s", folder->path, what,
                              weir_common_reason(code, reason, sizeof reason));
}

/* ---- the folder ---- */

/* Files without a name may lie in a folder of all, such as /var/tmp: its
 * sticky bit keeps others from the name that there may be for a moment. */
static bool is_safe(const struct stat *state)
{
    return (state->st_mode & S_ISVTX) ||
           (state->st_uid == geteuid() && !(state->st_mode & 022));
}

int weir_segment_open_folder(struct weir_segment_folder *folder,
                             weir_error *error)
{
    struct stat state;
    int fd =
        open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return weir_segment_fail(folder, error, errno, "cannot be opened");
    folder->fd = fd;
    if (fstat(fd, &state) < 0)
        return weir_segment_fail(folder, error, errno, "cannot be looked at");
    if (!is_safe(&state))
        return folder->host->fail(error, EACCES,
                                  "%s: others may change what is in this "
                                  "folder (mode %04o)",
                                  folder->path,
                                  (unsigned)(state.st_mode & 07777));
    return 0;
}

/* ---- making one ---- */

/* Returns -EOPNOTSUPP where there are no files without a name. */
static int open_nameless(const struct weir_segment_folder *folder)
{
#ifdef O_TMPFILE
    int fd =
        openat(folder->fd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    /* What systems say that know the flag as O_DIRECTORY only. */
    if (errno == EISDIR || errno == ENOENT || errno == EINVAL)
        return -EOPNOTSUPP;
    return -errno;
#else
    (void)folder;
    return -EOPNOTSUPP;
#endif
}

/* Create and unlink.  Another process may have left the name, if it died
 * between the two, or use it now. */
static int open_unlinked(const struct weir_segment_folder *folder)
{
    char name[64];

    for (int i = 0; i < NAME_TRIES; i++) {
        int rc, fd;

        snprintf(name, sizeof name, ".spill-%ld-%d", (long)getpid(), i);
        fd = openat(folder->fd, name,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return -errno;
        if (fd < 0)
            continue;
        if (unlinkat(folder->fd, name, 0) == 0)
            return fd;
        rc = -errno;
        (void)close(fd);
        return rc;
    }
    return -EEXIST;
}

static int open_file(const struct weir_segment_folder *folder)
{
    int fd = open_nameless(folder);

    return fd == -EOPNOTSUPP ? open_unlinked(folder) : fd;
}

/* A quota that is used up is a disk that is full. */
static int full_or(int code)
{
    return code == EDQUOT ? -ENOSPC : -code;
}

/* Set space aside, without a change of the file's length.  Where the file
 * system cannot, a full disk shows when it is written. */
static int set_aside(int fd, uint64_t size)
{
#if defined(HAVE_FALLOCATE) && defined(FALLOC_FL_KEEP_SIZE)
    int rc;

    do {
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return full_or(errno);
#else
    (void)fd;
    (void)size;
#endif
    return 0;
}

int weir_segment_make(const struct weir_segment_folder *folder, uint64_t size,
                      struct weir_segment **out, weir_error *error)
{
    struct weir_segment *segment = calloc(1, sizeof *segment);
    int rc;

    if (!segment)
        return weir_segment_fail(folder, error, ENOMEM, "a segment");
    segment->size = size;
    segment->fd = open_file(folder);
    if (segment->fd < 0) {
        rc = full_or(-segment->fd);
        free(segment);
        return weir_segment_fail(folder, error, -rc, "cannot make a file");
    }
    rc = set_aside(segment->fd, size);
    if (rc < 0) {
        weir_segment_drop(segment);
        return weir_segment_fail(folder, error, -rc, "cannot set space aside");
    }
    *out = segment;
    return 0;
}

void weir_segment_drop(struct weir_segment *segment)
{
    (void)close(segment->fd);
    free(segment);
}

/* ---- octets ---- */

int weir_segment_write(const struct weir_segment *segment, const void *data,
                       size_t size, uint64_t at)
{
    const char *from = data;

    while (size > 0) {
        ssize_t n = pwrite(segment->fd, from, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? full_or(errno) : -ENOSPC;
        from += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int weir_segment_read(const struct weir_segment *segment, void *data,
                      size_t size, uint64_t at)
{
    char *to = data;

    while (size > 0) {
        ssize_t n = pread(segment->fd, to, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}
