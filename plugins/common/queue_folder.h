/*
 * queue_folder.h - the private folder of a durable queue, and who has it.
 *
 * A queue Q of a store lies in DIR/Q.SUFFIX, mode 0700.  Its file `lock` is
 * locked by the process that has the queue open, and has that process's number
 * in it, for the sentence that others get.
 *
 * All are static, since plugins share no objects.
 * Above: store_file, store_lmdb.  Below: system.h.
 * Thread: whichever has the store, one at a time.
 */
#ifndef WEIR_COMMON_QUEUE_FOLDER_H
#define WEIR_COMMON_QUEUE_FOLDER_H

#include "system.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <weir/store.h>

#define WEIR_QUEUE_FOLDER_LOCK "lock" /* the name of the lock's file */
#define WEIR_QUEUE_FOLDER_NAME 256    /* room for the folder's own name */

struct weir_queue_folder {
    const weir_host *host;
    char *path;       /* DIR/NAME; ours */
    const char *name; /* its end */
    int parent, fd;   /* folders; -1: not open */
    int lock;         /* the file; -1: not ours */
    bool settled;     /* the parent has been synced since it was opened */
};

/* A sentence "PATH: WHAT: reason" about an errno value.  Returns -code. */
static inline int weir_queue_folder_fail(const struct weir_queue_folder *folder,
                                         weir_error *error, int code,
                                         const char *what)
{
    char reason[WEIR_REASON_ROOM];

    return folder->host->fail(error, code, "%s: %s: %s", folder->path, what,
                              weir_common_reason(code, reason, sizeof reason));
}

/* A file's name survives a loss of power when its folder has been synced.
 * File systems that know no such thing say EINVAL. */
static inline int weir_queue_folder_sync_fd(int fd)
{
    while (fsync(fd) < 0) {
        if (errno == EINVAL)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* ---- the lock ---- */

/* An OFD lock, or where there is none a flock: both are the descriptor's, not
 * the process's, so a second open in one process is refused too.
 * Returns 0, -EBUSY, or what the system says. */
static inline int weir_queue_folder_lock_fd(int fd)
{
    int rc;

#ifdef F_OFD_SETLK
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    rc = fcntl(fd, F_OFD_SETLK, &all);
    if (rc < 0 && errno == EINVAL)
        rc = flock(fd, LOCK_EX | LOCK_NB);
#else
    rc = flock(fd, LOCK_EX | LOCK_NB);
#endif
    if (rc == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES || errno == EWOULDBLOCK ? -EBUSY
                                                                      : -errno;
}

static inline int weir_queue_folder_busy(const struct weir_queue_folder *folder,
                                         int fd, weir_error *error)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;

    if (pid > 0)
        return folder->host->fail(error, EBUSY,
                                  "%s: process %ld has this queue open",
                                  folder->path, pid);
    return folder->host->fail(
        error, EBUSY, "%s: another process has this queue open", folder->path);
}

/* Who had the queue may have removed the file, and its folder, between our
 * open and our lock: what we have locked then is nobody's. */
static inline bool
weir_queue_folder_is_there(const struct weir_queue_folder *folder, int fd)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 &&
           fstatat(folder->fd, WEIR_QUEUE_FOLDER_LOCK, &named,
                   AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* Returns 0, -EAGAIN if the folder has gone meanwhile, or another error. */
static inline int weir_queue_folder_lock(struct weir_queue_folder *folder,
                                         weir_error *error)
{
    char text[24];
    ssize_t n;
    int rc, fd = openat(folder->fd, WEIR_QUEUE_FOLDER_LOCK,
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 && errno == ENOENT)
        return -EAGAIN;
    if (fd < 0)
        return weir_queue_folder_fail(folder, error, errno,
                                      "its lock cannot be opened");
    rc = weir_queue_folder_lock_fd(fd);
    if (rc == -EBUSY)
        rc = weir_queue_folder_busy(folder, fd, error);
    else if (rc < 0)
        rc = weir_queue_folder_fail(folder, error, -rc, "cannot be locked");
    else if (!weir_queue_folder_is_there(folder, fd))
        rc = -EAGAIN;
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    /* A disk that is full keeps nobody out: the number is a courtesy. */
    snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    n = pwrite(fd, text, strlen(text), 0);
    (void)n;
    folder->lock = fd;
    return 0;
}

/* ---- opening ---- */

/* Others must not be able to put another folder in its place. */
static inline bool weir_queue_folder_is_safe(const struct stat *state)
{
    return (state->st_mode & S_ISVTX) ||
           (state->st_uid == geteuid() && !(state->st_mode & 022));
}

static inline int weir_queue_folder_enter(struct weir_queue_folder *folder,
                                          weir_error *error)
{
    struct stat state;

    if (mkdirat(folder->parent, folder->name, 0700) < 0 && errno != EEXIST)
        return weir_queue_folder_fail(folder, error, errno, "cannot be made");
    folder->fd = openat(folder->parent, folder->name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->fd < 0 && errno == ENOENT)
        return -EAGAIN;
    if (folder->fd < 0)
        return weir_queue_folder_fail(folder, error, errno, "cannot be opened");
    if (fstat(folder->fd, &state) < 0)
        return weir_queue_folder_fail(folder, error, errno,
                                      "cannot be looked at");
    if (state.st_uid != geteuid() || (state.st_mode & 077))
        return folder->host->fail(error, EACCES,
                                  "%s: is not this user's alone (mode %04o)",
                                  folder->path,
                                  (unsigned)(state.st_mode & 07777));
    return weir_queue_folder_lock(folder, error);
}

static inline int
weir_queue_folder_open_parent(struct weir_queue_folder *folder, const char *dir,
                              weir_error *error)
{
    char reason[WEIR_REASON_ROOM];
    struct stat state;

    folder->parent = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->parent < 0 || fstat(folder->parent, &state) < 0) {
        int code = errno;

        return folder->host->fail(error, code, "%s: cannot be opened: %s", dir,
                                  weir_common_reason(code, reason,
                                                     sizeof reason));
    }
    if (!weir_queue_folder_is_safe(&state))
        return folder->host->fail(
            error, EACCES,
            "%s: others may change what is in this folder (mode %04o)", dir,
            (unsigned)(state.st_mode & 07777));
    return 0;
}

/* Close what is open, which gives up the lock.  The folder stays. */
static inline void weir_queue_folder_close(struct weir_queue_folder *folder)
{
    if (folder->lock >= 0)
        weir_common_close_own(folder->host, folder->lock);
    if (folder->fd >= 0)
        weir_common_close_own(folder->host, folder->fd);
    if (folder->parent >= 0)
        weir_common_close_own(folder->host, folder->parent);
    folder->lock = folder->fd = folder->parent = -1;
    free(folder->path);
    folder->path = NULL;
}

/* Open the folder of a queue, made if it is not there, and lock it.
 * Ownership: weir_queue_folder_close(), after a failure too.
 * Errors: -EBUSY names who has it; -EACCES it is not safe; -ENOMEM; what the
 * system says. */
static inline int weir_queue_folder_open(struct weir_queue_folder *folder,
                                         const weir_host *host,
                                         const weir_store_args *args,
                                         const char *suffix, weir_error *error)
{
    size_t size = strlen(args->dir) + strlen(args->queue) + strlen(suffix) + 2;
    int rc, tries = 0;

    *folder = (struct weir_queue_folder){
        .host = host, .parent = -1, .fd = -1, .lock = -1};
    folder->path = malloc(size);
    if (!folder->path)
        return host->fail(error, ENOMEM, "%s: no memory for a store",
                          args->dir);
    snprintf(folder->path, size, "%s/%s%s", args->dir, args->queue, suffix);
    folder->name = folder->path + strlen(args->dir) + 1;
    rc = weir_queue_folder_open_parent(folder, args->dir, error);
    while (rc == 0) {
        rc = weir_queue_folder_enter(folder, error);
        if (rc != -EAGAIN || ++tries == 100)
            break;
        if (folder->fd >= 0)
            (void)close(folder->fd);
        folder->fd = -1;
        rc = 0;
    }
    if (rc == 0) {
        weir_common_own(host, folder->parent);
        weir_common_own(host, folder->fd);
        weir_common_own(host, folder->lock);
    }
    return rc == -EAGAIN
               ? weir_queue_folder_fail(folder, error, EAGAIN, "comes and goes")
               : rc;
}

/* Make the folder's own name last.  It need not be new for that: who made it
 * may have ended before this. */
static inline int weir_queue_folder_settle(struct weir_queue_folder *folder)
{
    int rc = folder->settled ? 0 : weir_queue_folder_sync_fd(folder->parent);

    folder->settled = rc == 0;
    return rc;
}

/* Remove the folder, in which there is nothing but the lock any more.  Whoever
 * waits for it finds that it is gone, and makes it anew. */
static inline void weir_queue_folder_remove(struct weir_queue_folder *folder)
{
    (void)unlinkat(folder->fd, WEIR_QUEUE_FOLDER_LOCK, 0);
    (void)unlinkat(folder->parent, folder->name, AT_REMOVEDIR);
    (void)weir_queue_folder_sync_fd(folder->parent);
}

/* ---- which there are ---- */

static inline bool weir_queue_folder_has_suffix(const char *name,
                                                const char *suffix,
                                                size_t *length)
{
    size_t size = strlen(name), end = strlen(suffix);

    if (name[0] == '.' || size <= end || size >= WEIR_QUEUE_FOLDER_NAME)
        return false;
    *length = size - end;
    return strcmp(name + *length, suffix) == 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "abcdefghijklmnopqrstuvwxyz0123456789-_.~%") == size;
}

/* Call found(arg, queue) for each folder with that suffix, in no order, until
 * it returns other than 0.  Returns that, 0, or an error. */
static inline int weir_queue_folder_list(
    const weir_host *host, const char *dir, const char *suffix,
    int (*found)(void *arg, const char *queue), void *arg, weir_error *error)
{
    char name[WEIR_QUEUE_FOLDER_NAME], reason[WEIR_REASON_ROOM];
    DIR *stream = opendir(dir);
    struct dirent *entry;
    size_t length;
    int rc = 0;

    if (!stream) {
        rc = errno;
        return host->fail(error, rc, "%s: cannot be opened: %s", dir,
                          weir_common_reason(rc, reason, sizeof reason));
    }
    while (rc == 0 && (entry = readdir(stream)) != NULL) {
        if (!weir_queue_folder_has_suffix(entry->d_name, suffix, &length))
            continue;
        memcpy(name, entry->d_name, length);
        name[length] = '\0';
        rc = found(arg, name);
    }
    closedir(stream);
    return rc;
}

#endif
