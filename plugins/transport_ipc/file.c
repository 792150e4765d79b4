/*
 * file.c - claiming a path.
 *
 * Two processes may find the same left-over file at once, and the one that
 * is slower must not remove what the faster one has put in its place.  So
 * each does all of it, from the first bind() to listen(), under a lock on
 * the folder (flock on its descriptor).  Such a lock makes no file and ends
 * with its process.  Where a folder cannot be locked a new path can be
 * bound, but a left-over is not replaced.
 */
#include "config.h"

#include "file.h"

#include "../common/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES   400 /* of 5 ms */
#define LOCK_WAIT_NS 5000000L
#define BIND_TRIES   8 /* somebody may remove a file that was in the way */

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

/* What claiming works on. */
struct claim {
    const weir_host *host;
    weir_error *error;
    const char *text;
    const struct weir_ipc_address *address;
    int fd;
    int lock; /* the folder's descriptor, or why there is none (-errno) */
};

static int fail(const struct claim *claim, int code, const char *what)
{
    char reason[WEIR_REASON_ROOM];

    return claim->host->fail(claim->error, code, "ipc://%s: %s: %s",
                             claim->text, what,
                             weir_common_reason(code, reason, sizeof reason));
}

/* ------------------------------------------------------------ the lock -- */

/* Open the folder that a path is in. */
static int open_folder(const char *path)
{
    char folder[WEIR_IPC_PATH_MAX + 1];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    int fd;

    memcpy(folder, path, size);
    folder[size] = '\0';
    if (!slash)
        memcpy(folder, ".", 2);
    else if (size == 0)
        memcpy(folder, "/", 2);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Others may lock a folder for purposes of their own, so there is an end to
 * waiting for it. */
static int wait_for_lock(int folder)
{
#ifdef LOCK_EX
    struct timespec pause = {0, LOCK_WAIT_NS};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        (void)nanosleep(&pause, NULL);
    }
    return -EBUSY;
#else
    (void)folder;
    return -EOPNOTSUPP;
#endif
}

static int lock_folder(const char *path)
{
    int folder = open_folder(path);
    int rc = folder < 0 ? folder : wait_for_lock(folder);

    if (rc < 0 && folder >= 0)
        (void)close(folder);
    return rc < 0 ? rc : folder;
}

/* A child that was forked meanwhile has the descriptor too, so closing ours
 * would not be enough. */
static void unlock_folder(int lock)
{
    if (lock < 0)
        return;
#ifdef LOCK_EX
    (void)flock(lock, LOCK_UN);
#endif
    (void)close(lock);
}

/* ------------------------------------------------- what is in the way -- */

/* Knock at a socket file.  Returns 0 when nobody is there, -EAGAIN when the
 * file is gone, or -EADDRINUSE. */
static int knock(const struct claim *claim)
{
    const struct weir_ipc_address *to = claim->address;
    int code, fd = weir_common_socket(AF_UNIX);

    if (fd < 0)
        return fd;
    code =
        connect(fd, (const struct sockaddr *)&to->un, to->size) < 0 ? errno : 0;
    (void)close(fd);
    if (code == ECONNREFUSED)
        return 0;
    return code == ENOENT ? -EAGAIN : -EADDRINUSE;
}

/* Remove a left-over.  Only the lock makes sure that it still is one. */
static int remove_left_over(const struct claim *claim)
{
    if (claim->lock < 0)
        return fail(claim, -claim->lock,
                    "a dead socket is there, and the folder cannot be locked "
                    "to replace it");
    if (unlink(claim->address->un.sun_path) < 0 && errno != ENOENT)
        return fail(claim, errno,
                    "a dead socket is there and cannot be removed");
    return 0;
}

/* bind() found something at the path.  Returns 0 when it is gone. */
static int clear(const struct claim *claim)
{
    struct stat seen;
    int rc;

    if (lstat(claim->address->un.sun_path, &seen) < 0)
        return errno == ENOENT ? 0 : fail(claim, errno, "cannot be looked at");
    if (!S_ISSOCK(seen.st_mode))
        return claim->host->fail(claim->error, EEXIST,
                                 "ipc://%s: what is there is not a socket, and "
                                 "is left alone",
                                 claim->text);
    rc = knock(claim);
    if (rc == -EADDRINUSE)
        return claim->host->fail(claim->error, EADDRINUSE,
                                 "ipc://%s is in use: somebody accepts there",
                                 claim->text);
    if (rc == -EAGAIN)
        return 0;
    return rc < 0 ? fail(claim, -rc, "cannot see who is there")
                  : remove_left_over(claim);
}

static int bind_path(const struct claim *claim)
{
    const struct weir_ipc_address *to = claim->address;

    for (int i = 0; i < BIND_TRIES; i++) {
        int rc;

        if (bind(claim->fd, (const struct sockaddr *)&to->un, to->size) == 0)
            return 0;
        if (errno != EADDRINUSE)
            return fail(claim, errno, "cannot bind");
        if (to->kind == WEIR_IPC_ABSTRACT)
            break;
        rc = clear(claim);
        if (rc < 0)
            return rc;
    }
    return fail(claim, EADDRINUSE, "cannot bind");
}

/* ------------------------------------------------------ the new file -- */

/* Another may put a link in the file's place, if the folder lets it. */
static int set_mode(const char *path, mode_t mode)
{
    int rc = fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);

    if (rc < 0 && (errno == EOPNOTSUPP || errno == ENOTSUP || errno == EINVAL))
        rc = chmod(path, mode);
    return rc < 0 ? -errno : 0;
}

/* Nobody can connect before listen(), so the file's access is right from the
 * first connection on. */
static int set_access(const struct claim *claim,
                      const struct weir_ipc_access *access)
{
    const char *path = claim->address->un.sun_path;
    int rc;

    if (access->has_group && lchown(path, (uid_t)-1, access->group) < 0)
        return fail(claim, errno, "option group");
    if (!access->has_mode)
        return 0;
    rc = set_mode(path, access->mode);
    return rc < 0 ? fail(claim, -rc, "option mode") : 0;
}

/* The path as it will be when somebody has changed the working folder. */
static char *absolute(const char *path)
{
    char folder[PATH_MAX], *out;
    size_t room;

    if (path[0] == '/' || !getcwd(folder, sizeof folder))
        return strdup(path);
    room = strlen(folder) + strlen(path) + 2;
    out = malloc(room);
    if (out)
        snprintf(out, room, "%s/%s", folder, path);
    return out;
}

/* Remember which file it is that we have made. */
static int keep(const struct claim *claim, struct weir_ipc_file *file)
{
    const char *path = claim->address->un.sun_path;
    struct stat seen;

    if (lstat(path, &seen) < 0)
        return fail(claim, errno, "cannot be looked at");
    file->device = seen.st_dev;
    file->inode = seen.st_ino;
    file->path = absolute(path);
    if (file->path)
        return 0;
    (void)unlink(path); /* nobody would remember it */
    return fail(claim, ENOMEM, "cannot bind");
}

/* Everything between the locks. */
static int settle(const struct claim *claim, int backlog,
                  const struct weir_ipc_access *access,
                  struct weir_ipc_file *file)
{
    int rc = bind_path(claim);

    if (rc < 0)
        return rc;
    if (claim->address->kind == WEIR_IPC_PATH) {
        rc = keep(claim, file);
        if (rc == 0)
            rc = set_access(claim, access);
    }
    if (rc == 0 && listen(claim->fd, backlog) < 0)
        rc = fail(claim, errno, "cannot listen");
    return rc;
}

/* -------------------------------------------------------- wildcards -- */

/* Make a private folder in `parent`, if that is a folder and leaves room for
 * the file.  *out is NULL if not. */
static int make_folder(const char *parent, char **out)
{
    static const char name[] = "/weirXXXXXX";
    size_t size = parent ? strlen(parent) : 0;
    char *folder;

    *out = NULL;
    if (size == 0 ||
        size + sizeof name + strlen("/socket") - 1 > WEIR_IPC_PATH_MAX)
        return 0;
    folder = malloc(size + sizeof name);
    if (!folder)
        return -ENOMEM;
    memcpy(folder, parent, size);
    memcpy(folder + size, name, sizeof name);
    if (mkdtemp(folder))
        *out = folder;
    else
        free(folder);
    return 0;
}

static int make_some_folder(char **out)
{
    const char *parents[] = {getenv("TMPDIR"), getenv("TMP"), "/tmp"};

    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
        int rc = make_folder(parents[i], out);

        if (rc < 0 || *out)
            return rc;
    }
    return -errno;
}

static int make_path(const struct claim *claim,
                     struct weir_ipc_address *address,
                     struct weir_ipc_file *file)
{
    char path[WEIR_IPC_PATH_MAX + 1];
    int rc = make_some_folder(&file->folder);

    if (rc < 0)
        return fail(claim, -rc,
                    "no folder can be made in $TMPDIR, $TMP or /tmp");
    snprintf(path, sizeof path, "%s/socket", file->folder);
    weir_ipc_set_path(address, path);
    return 0;
}

/* ------------------------------------------------------------- claim -- */

int weir_ipc_file_claim(const weir_host *host, const char *text, int fd,
                        int backlog, struct weir_ipc_address *address,
                        const struct weir_ipc_access *access,
                        struct weir_ipc_file *out, weir_error *error)
{
    struct weir_ipc_file file = {NULL, NULL, 0, 0};
    struct claim claim = {host, error, text, address, fd, -EOPNOTSUPP};
    int rc = 0;

    if (address->kind == WEIR_IPC_WILDCARD)
        rc = make_path(&claim, address, &file);
    if (rc == 0) {
        if (address->kind == WEIR_IPC_PATH)
            claim.lock = lock_folder(address->un.sun_path);
        rc = settle(&claim, backlog, access, &file);
        if (rc < 0)
            weir_ipc_file_release(&file);
        unlock_folder(claim.lock);
    }
    if (rc == 0)
        *out = file;
    return rc;
}

void weir_ipc_file_release(struct weir_ipc_file *file)
{
    struct stat seen;

    if (file->path && lstat(file->path, &seen) == 0 &&
        seen.st_dev == file->device && seen.st_ino == file->inode)
        (void)unlink(file->path);
    if (file->folder)
        (void)rmdir(file->folder);
    free(file->path);
    free(file->folder);
    memset(file, 0, sizeof *file);
}
