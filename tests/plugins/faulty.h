/*
 * faulty.h - system calls that fail when a test wants it.
 *
 * It is included ahead of everything when the plugins are compiled for
 * test_faults.c, which has the functions.  The headers come first, so that
 * the names are replaced in the plugins only.
 */
#ifndef TESTS_PLUGINS_FAULTY_H
#define TESTS_PLUGINS_FAULTY_H

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SYS_EVENTFD_H
#include <sys/eventfd.h>
#endif
#ifdef HAVE_SYS_TIMERFD_H
#include <sys/timerfd.h>
#endif
#ifdef __linux__
#include <sys/random.h>
#endif

/* Returns true, with errno set, when the call that is about to be made is to
 * fail. */
int faulty(int code);

#define malloc(...)         (faulty(ENOMEM) ? NULL : malloc(__VA_ARGS__))
#define calloc(...)         (faulty(ENOMEM) ? NULL : calloc(__VA_ARGS__))
#define realloc(...)        (faulty(ENOMEM) ? NULL : realloc(__VA_ARGS__))
#define strdup(...)         (faulty(ENOMEM) ? NULL : strdup(__VA_ARGS__))
#define mkdtemp(...)        (faulty(ENOSPC) ? NULL : mkdtemp(__VA_ARGS__))
#define getcwd(...)         (faulty(ENOENT) ? NULL : getcwd(__VA_ARGS__))
#define socket(...)         (faulty(EMFILE) ? -1 : socket(__VA_ARGS__))
#define bind(...)           (faulty(EACCES) ? -1 : bind(__VA_ARGS__))
#define listen(...)         (faulty(ENOBUFS) ? -1 : listen(__VA_ARGS__))
#define connect(...)        (faulty(ENETUNREACH) ? -1 : connect(__VA_ARGS__))
#define setsockopt(...)     (faulty(ENOBUFS) ? -1 : setsockopt(__VA_ARGS__))
#define getsockopt(...)     (faulty(ENOBUFS) ? -1 : getsockopt(__VA_ARGS__))
#define getsockname(...)    (faulty(ENOBUFS) ? -1 : getsockname(__VA_ARGS__))
#define getpeername(...)    (faulty(ENOBUFS) ? -1 : getpeername(__VA_ARGS__))
#define lstat(...)          (faulty(EACCES) ? -1 : lstat(__VA_ARGS__))
#define open(...)           (faulty(EMFILE) ? -1 : open(__VA_ARGS__))
#define flock(...)          (faulty(ENOLCK) ? -1 : flock(__VA_ARGS__))
#define fchmodat(...)       (faulty(EPERM) ? -1 : fchmodat(__VA_ARGS__))
#define lchown(...)         (faulty(EPERM) ? -1 : lchown(__VA_ARGS__))
#define unlink(...)         (faulty(EPERM) ? -1 : unlink(__VA_ARGS__))
#define getifaddrs(...)     (faulty(EMFILE) ? -1 : getifaddrs(__VA_ARGS__))
#define eventfd(...)        (faulty(EMFILE) ? -1 : eventfd(__VA_ARGS__))
#define dup3(...)           (faulty(EMFILE) ? -1 : dup3(__VA_ARGS__))
#define getrandom(...)      (faulty(ENOSYS) ? -1 : getrandom(__VA_ARGS__))
#define timerfd_create(...) (faulty(EMFILE) ? -1 : timerfd_create(__VA_ARGS__))
#define timerfd_settime(...) \
    (faulty(EINVAL) ? -1 : timerfd_settime(__VA_ARGS__))
#define getaddrinfo(...) (faulty(EIO) ? EAI_SYSTEM : getaddrinfo(__VA_ARGS__))

#endif
