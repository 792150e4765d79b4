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
#include <unistd.h>

/* Returns true, with errno set, when that call is to fail. */
int storefault_fails(const char *call);

ssize_t storefault_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t storefault_pread(int fd, void *data, size_t size, off_t at);

#ifdef STOREFAULT_REPLACE
#define calloc(...)                   (storefault_fails("calloc") ? NULL : calloc(__VA_ARGS__))
#define realloc(...)                  (storefault_fails("realloc") ? NULL : realloc(__VA_ARGS__))
#define open(...)                     (storefault_fails("open") ? -1 : open(__VA_ARGS__))
#define openat(fd, path, flags, mode) storefault_openat(fd, path, flags, mode)
#define fstat(...)                    (storefault_fails("fstat") ? -1 : fstat(__VA_ARGS__))
#define fallocate(...) \
    (storefault_fails("fallocate") ? -1 : fallocate(__VA_ARGS__))
#define pwrite storefault_pwrite
#define pread  storefault_pread
#endif

/* True: the file system makes no files without a name. */
extern int storefault_no_tmpfile;

int storefault_openat(int fd, const char *path, int flags, mode_t mode);

#endif
