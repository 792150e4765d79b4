/*
 * storefault.h - calls on files that fail, or do less, when a test wants it.
 *
 * It is included ahead of everything when store_file is compiled for its test,
 * which has the functions.  The headers come first, so that the names are
 * replaced in the plugin only.
 */
#ifndef TESTS_PLUGINS_STOREFAULT_H
#define TESTS_PLUGINS_STOREFAULT_H

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Returns true, with errno set, when that call is to fail. */
int storefault_fails(const char *call);

ssize_t storefault_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t storefault_pwritev(int fd, const struct iovec *parts, int n, off_t at);
ssize_t storefault_pread(int fd, void *data, size_t size, off_t at);
int storefault_openat(int fd, const char *path, int flags, mode_t mode);
int storefault_mkdirat(int fd, const char *path, mode_t mode);
int storefault_unlinkat(int fd, const char *path, int flags);
int storefault_ftruncate(int fd, off_t size);
int storefault_fsync(int fd);
int storefault_fdatasync(int fd);
int storefault_sync_file_range(int fd, off_t at, off_t octets, unsigned flags);
int storefault_clock_gettime(clockid_t clock, struct timespec *time);

#ifdef STOREFAULT_REPLACE
#define malloc(...)  (storefault_fails("malloc") ? NULL : malloc(__VA_ARGS__))
#define calloc(...)  (storefault_fails("calloc") ? NULL : calloc(__VA_ARGS__))
#define realloc(...) (storefault_fails("realloc") ? NULL : realloc(__VA_ARGS__))
#define open(...)    (storefault_fails("open") ? -1 : open(__VA_ARGS__))
#define fstat(...)   (storefault_fails("fstat") ? -1 : fstat(__VA_ARGS__))
#define fallocate(...) \
    (storefault_fails("fallocate") ? -1 : fallocate(__VA_ARGS__))
#define STOREFAULT_MODE(flags, mode, ...) flags, mode
#define openat(fd, path, ...) \
    storefault_openat(fd, path, STOREFAULT_MODE(__VA_ARGS__, 0, 0))
#define mkdirat         storefault_mkdirat
#define unlinkat        storefault_unlinkat
#define ftruncate       storefault_ftruncate
#define fsync           storefault_fsync
#define fdatasync       storefault_fdatasync
#define sync_file_range storefault_sync_file_range
#define clock_gettime   storefault_clock_gettime
#define pwrite          storefault_pwrite
#define pwritev         storefault_pwritev
#define pread           storefault_pread
#endif

/* True: the file system makes no files without a name. */
extern int storefault_no_tmpfile;

#endif
