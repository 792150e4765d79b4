/*
 * shortage.c - see shortage.h.
 */
#include "config.h"

#include "shortage.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(HAVE_SYS_EVENTFD_H)
#include <sys/eventfd.h>
#endif
#if defined(HAVE_SYS_EPOLL_H)
#include <sys/epoll.h>
#endif
#if defined(HAVE_SYS_TIMERFD_H)
#include <sys/timerfd.h>
#endif

/* ThreadSanitizer is not ready for us when memory is asked for first. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED  1
#define REAL(name) __interceptor_##name
#elif defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
#define REAL(name) __libc_##name
#endif

#if defined(__GLIBC__)
#include <execinfo.h>
#endif

enum { FRAMES = 24 };

static _Atomic int kind = SHORTAGE_NONE;
static _Atomic bool limited; /* the last one was SHORTAGE_LIMIT */
static _Atomic long first, seen, hits, live;
static struct rlimit limit; /* as it was before SHORTAGE_LIMIT */
static void *where[FRAMES];
static int where_size;

/* ---- what is counted, and what fails ---- */

static void remember_place(void)
{
#if defined(__GLIBC__)
    where_size = backtrace(where, FRAMES);
#endif
}

static bool fails(enum shortage one, enum shortage all)
{
    int is = atomic_load(&kind);
    long n;

    if (is != (int)one && is != (int)all)
        return false;
    n = atomic_fetch_add(&seen, 1);
    if (n < atomic_load(&first) || (is == (int)one && n > atomic_load(&first)))
        return false;
    if (atomic_fetch_add(&hits, 1) == 0)
        remember_place();
    return true;
}

static _Thread_local bool exempt;

static bool no_memory(void)
{
    if (exempt || !fails(SHORTAGE_MEMORY, SHORTAGE_NO_MEMORY))
        return false;
    errno = ENOMEM;
    return true;
}

static bool no_descriptor(void)
{
    if (!fails(SHORTAGE_DESCRIPTOR, SHORTAGE_NO_DESCRIPTORS))
        return false;
    errno = EMFILE;
    return true;
}

/* The next descriptor would be this one, unless there are gaps. */
static rlim_t next_descriptor(void)
{
    int fd = dup(2);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? limit.rlim_cur : (rlim_t)fd;
}

static void set_limit(long more)
{
    struct rlimit lower;

    getrlimit(RLIMIT_NOFILE, &limit);
    lower = limit;
    lower.rlim_cur = next_descriptor() + (rlim_t)more;
    setrlimit(RLIMIT_NOFILE, &lower);
}

void shortage_begin(enum shortage what, long nth)
{
    if (what == SHORTAGE_LIMIT)
        set_limit(nth);
    atomic_store(&first, nth);
    atomic_store(&seen, 0);
    atomic_store(&hits, 0);
    where_size = 0;
#if defined(__GLIBC__)
    where_size = backtrace(where, 1); /* its own allocations are over */
#endif
    atomic_store(&limited, what == SHORTAGE_LIMIT);
    atomic_store(&kind, (int)what);
}

void shortage_end(void)
{
    if (atomic_exchange(&kind, SHORTAGE_NONE) == SHORTAGE_LIMIT)
        setrlimit(RLIMIT_NOFILE, &limit);
}

long shortage_hits(void)
{
    return atomic_load(&limited) ? 1 : atomic_load(&hits);
}

long shortage_live(void)
{
    return atomic_load(&live);
}

void shortage_where(int fd)
{
#if defined(__GLIBC__)
    backtrace_symbols_fd(where, where_size, fd);
#else
    (void)fd;
#endif
}

/* ---- memory ---- */

/* For the libraries to find. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#if defined(REAL)
bool shortage_works(void)
{
    return true;
}

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);
void REAL(free)(void *block);

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void *malloc(size_t size)
{
    return no_memory() ? NULL : counted(REAL(malloc)(size));
}

void *calloc(size_t n, size_t size)
{
    return no_memory() ? NULL : counted(REAL(calloc)(n, size));
}

void *realloc(void *block, size_t size)
{
    void *moved;

    if (size > 0 && no_memory())
        return NULL;
    moved = REAL(realloc)(block, size);
    if (!block)
        return counted(moved);
    if (!moved && size == 0)
        atomic_fetch_sub(&live, 1);
    return moved;
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return no_memory() ? NULL : counted(REAL(memalign)(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);

    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub(&live, 1);
    REAL(free)(block);
}
#else
bool shortage_works(void)
{
    return false;
}
#endif

#if defined(REAL) && !defined(SANITIZED) && defined(SYS_mmap)
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t off)
{
    long r;

    if (no_memory())
        return MAP_FAILED;
    r = syscall(SYS_mmap, at, size, protection, flags, fd, off);
    if (r != -1)
        atomic_fetch_add(&live, 1);
    return (void *)r;
}

int munmap(void *at, size_t size)
{
    atomic_fetch_sub(&live, 1);
    return (int)syscall(SYS_munmap, at, size);
}

void *mremap(void *old, size_t size, size_t wanted, int flags, ...)
{
    return no_memory() ? MAP_FAILED
                       : (void *)syscall(SYS_mremap, old, size, wanted, flags);
}
#endif

#if defined(SANITIZED)
/* A sanitizer asks each thread where its stack is, and has to be told. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    __typeof__(&pthread_getattr_np) next;
    int code;

    exempt = true;
    next = (__typeof__(next))dlsym(RTLD_NEXT, "pthread_getattr_np");
    code = next(thread, attributes);
    exempt = false;
    return code;
}

/* What the loader keeps is known to be no leak when it asks for it itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:^_dl_\nleak:^dl_\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

/* ---- descriptors ---- */

#if defined(REAL)

/* What a name means behind us: the C library's, or a sanitizer's. */
#define BEHIND(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int socket(int domain, int type, int protocol)
{
    return no_descriptor() ? -1 : BEHIND(socket)(domain, type, protocol);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & O_CREAT) {
        va_list arguments;

        va_start(arguments, flags);
        mode = (mode_t)va_arg(arguments, int);
        va_end(arguments);
    }
    return no_descriptor() ? -1 : BEHIND(open)(path, flags, mode);
}

#if defined(HAVE_ACCEPT4)
int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
    return no_descriptor() ? -1 : BEHIND(accept4)(fd, from, size, flags);
}
#endif

#if defined(HAVE_EVENTFD)
int eventfd(unsigned count, int flags)
{
    return no_descriptor() ? -1 : BEHIND(eventfd)(count, flags);
}
#else
int pipe(int fds[2])
{
    return no_descriptor() ? -1 : BEHIND(pipe)(fds);
}
#endif

#if defined(HAVE_EPOLL_CREATE1)
int epoll_create1(int flags)
{
    return no_descriptor() ? -1 : BEHIND(epoll_create1)(flags);
}
#endif

#if defined(HAVE_EPOLL_CREATE1)
int epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
    if (what == EPOLL_CTL_ADD && no_descriptor()) {
        errno = ENOSPC;
        return -1;
    }
    return BEHIND(epoll_ctl)(set, what, fd, event);
}
#endif

#if defined(HAVE_TIMERFD_CREATE)
int timerfd_create(clockid_t clock, int flags)
{
    return no_descriptor() ? -1 : BEHIND(timerfd_create)(clock, flags);
}
#endif

#else
/* For no unused function. */
bool shortage_of_anything(void);
bool shortage_of_anything(void)
{
    return no_descriptor() || no_memory();
}
#endif

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
