/* segment.c - files with a number or without a name, and all of a write. */
#include "config.h"

#include "segment.h"

#include "record.h"

#include "../common/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NAME_TRIES 100
#define AT_ONCE    64 /* parts of a block that one call writes */
#define PUSHED     (UINT64_C(16) << 20) /* smaller segments are not pushed */
#define STRETCH    (UINT64_C(4) << 20)  /* octets that are pushed at a time */
#define SLOW       INT64_C(10000000) /* ns that one may take; then there is */
#define PAUSE      10                /* a pause of so many times as long */

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
    weir_common_own(folder->host, fd);
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

static int open_named(struct weir_segment_folder *folder, uint64_t number)
{
    char name[WEIR_SEGMENT_NAME];
    int fd;

    weir_segment_name(number, name);
    fd = openat(folder->fd, name,
                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    folder->changed = true;
    return fd;
}

static int open_file(struct weir_segment_folder *folder, uint64_t number)
{
    int fd;

    if (folder->named)
        return open_named(folder, number);
    fd = open_nameless(folder);
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

/* Set space aside, and write a head if the segment is to have one. */
static int prepare(struct weir_segment *segment)
{
    uint8_t head[WEIR_RECORD_HEAD];
    int rc = set_aside(segment->fd, segment->size);

    if (rc < 0 || segment->number == 0)
        return rc;
    weir_record_begin(head, segment->number);
    segment->end = sizeof head;
    return weir_segment_write(segment, head, sizeof head, 0);
}

int weir_segment_make(struct weir_segment_folder *folder, uint64_t number,
                      uint64_t size, struct weir_segment **out,
                      weir_error *error)
{
    struct weir_segment *segment = calloc(1, sizeof *segment);
    int rc;

    if (!segment)
        return weir_segment_fail(folder, error, ENOMEM, "a segment");
    segment->size = size;
    segment->host = folder->host;
    segment->number = folder->named ? number : 0;
    segment->fd = open_file(folder, number);
    if (segment->fd < 0) {
        rc = full_or(-segment->fd);
        free(segment);
        return weir_segment_fail(folder, error, -rc, "cannot make a file");
    }
    weir_common_own(folder->host, segment->fd);
    rc = prepare(segment);
    if (rc < 0) {
        (void)weir_segment_remove(folder, segment);
        weir_segment_drop(segment);
        return weir_segment_fail(folder, error, -rc, "cannot set space aside");
    }
    *out = segment;
    return 0;
}

void weir_segment_drop(struct weir_segment *segment)
{
    weir_common_close_own(segment->host, segment->fd);
    free(segment);
}

/* ---- those that have names ---- */

void weir_segment_name(uint64_t number, char name[WEIR_SEGMENT_NAME])
{
    snprintf(name, WEIR_SEGMENT_NAME, "%016llx.seg",
             (unsigned long long)number);
}

uint64_t weir_segment_number(const char *name)
{
    char again[WEIR_SEGMENT_NAME];
    uint64_t number = strtoull(name, NULL, 16);

    weir_segment_name(number, again);
    /* There must be a next one. */
    return strcmp(name, again) == 0 && number < INT64_MAX ? number : 0;
}

/* What of the disk is this file's. */
static uint64_t space_of(const struct stat *state)
{
    uint64_t blocks = (uint64_t)state->st_blocks * 512;
    uint64_t pages = weir_segment_pages((uint64_t)state->st_size);

    return blocks > pages ? blocks : pages;
}

int weir_segment_open(const struct weir_segment_folder *folder, uint64_t number,
                      struct weir_segment **out, uint64_t *length,
                      weir_error *error)
{
    struct weir_segment *segment = calloc(1, sizeof *segment);
    char name[WEIR_SEGMENT_NAME];
    struct stat state;
    int rc;

    if (!segment)
        return weir_segment_fail(folder, error, ENOMEM, "a segment");
    weir_segment_name(number, name);
    segment->number = number;
    segment->fd = openat(folder->fd, name,
                         O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    rc = segment->fd < 0 || fstat(segment->fd, &state) < 0 ? errno : 0;
    if (rc == 0 && !S_ISREG(state.st_mode))
        rc = EINVAL;
    if (rc) {
        if (segment->fd >= 0)
            (void)close(segment->fd);
        free(segment);
        return weir_segment_fail(folder, error, rc, name);
    }
    weir_common_own(folder->host, segment->fd);
    segment->host = folder->host;
    segment->size = space_of(&state);
    segment->dirty = true;
    *length = (uint64_t)state.st_size;
    *out = segment;
    return 0;
}

int weir_segment_remove(struct weir_segment_folder *folder,
                        const struct weir_segment *segment)
{
    char name[WEIR_SEGMENT_NAME];

    if (segment->number == 0)
        return 0;
    weir_segment_name(segment->number, name);
    if (unlinkat(folder->fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    folder->changed = true;
    return 0;
}

/* ---- space and the disk ---- */

int weir_segment_trim(struct weir_segment *segment)
{
    while (ftruncate(segment->fd, (off_t)segment->end) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    segment->size = weir_segment_pages(segment->end);
    segment->dirty = true;
    return 0;
}

static int sync_data(int fd)
{
#ifdef F_FULLFSYNC
    if (fcntl(fd, F_FULLFSYNC) == 0)
        return 0;
#endif
#ifdef HAVE_FDATASYNC
    return fdatasync(fd);
#else
    return fsync(fd);
#endif
}

int weir_segment_sync(struct weir_segment *segment)
{
    while (sync_data(segment->fd) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    segment->dirty = false;
    return 0;
}

#ifdef HAVE_SYNC_FILE_RANGE

static int64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* The call waits when the disk's queue is full.  What a disk does that has
 * failed is seen when a block is read. */
void weir_segment_push(struct weir_segment_folder *folder,
                       struct weir_segment *segment)
{
    uint64_t from = segment->pushed, octets = segment->end - from;
    int64_t start, took;

    if (segment->size < PUSHED || octets < STRETCH)
        return;
    segment->pushed = segment->end;
    start = now();
    if (start < folder->push_at)
        return;
    (void)sync_file_range(segment->fd, (off_t)from, (off_t)octets,
                          SYNC_FILE_RANGE_WRITE);
    took = now() - start;
    if (took > SLOW)
        folder->push_at = start + PAUSE * took;
}

#else

void weir_segment_push(struct weir_segment_folder *folder,
                       struct weir_segment *segment)
{
    (void)folder;
    (void)segment;
}

#endif

/* ---- octets ---- */

static ssize_t write_some(int fd, const struct iovec *parts, int n, off_t at)
{
#ifdef HAVE_PWRITEV
    if (n > 1)
        return pwritev(fd, parts, n, at);
#endif
    (void)n;
    return pwrite(fd, parts->iov_base, parts->iov_len, at);
}

int weir_segment_write(struct weir_segment *segment, const void *data,
                       size_t size, uint64_t at)
{
    const struct iovec part = {(void *)(uintptr_t)data, size};

    return weir_segment_write_parts(segment, &part, 1, at);
}

/* What of the parts is beyond `done` octets, as much as one call takes.
 * Returns how many parts that are. */
static int left_of(const struct iovec *parts, int n, uint64_t done,
                   struct iovec left[AT_ONCE])
{
    int count = 0;

    for (; n > 0 && count < AT_ONCE; n--, parts++) {
        if (done >= parts->iov_len) {
            done -= parts->iov_len;
            continue;
        }
        left[count].iov_base = (char *)parts->iov_base + done;
        left[count++].iov_len = parts->iov_len - (size_t)done;
        done = 0;
    }
    return count;
}

int weir_segment_write_parts(struct weir_segment *segment,
                             const struct iovec *parts, int n, uint64_t at)
{
    struct iovec left[AT_ONCE];
    uint64_t done = 0;
    int count;

    segment->dirty = true;
    while ((count = left_of(parts, n, done, left)) > 0) {
        ssize_t wrote =
            write_some(segment->fd, left, count, (off_t)(at + done));

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? full_or(errno) : -ENOSPC;
        done += (uint64_t)wrote;
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
