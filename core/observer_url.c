/*
 * observer_url.c - where a stats endpoint is; see observer.h.
 */
#include "config.h"

#include "observer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/privileged.h"

enum { NAME_MAX_SIZE = 64, FOLDER_ROOM = 900 };

const char *weir_observer_program(void)
{
#if HAVE_DECL_PROGRAM_INVOCATION_SHORT_NAME
    return program_invocation_short_name;
#elif defined(HAVE_GETPROGNAME)
    return getprogname();
#else
    return "";
#endif
}

/* ---- a URL ---- */

/* Does what stands behind the last '?' give the file's mode? */
static bool has_mode(const char *options)
{
    return options && (strncmp(options, "?mode=", 6) == 0 ||
                       strstr(options, "&mode=") != NULL);
}

/* An abstract name has no file; who wants one wants others to reach it. */
static int take_url(const char *place, char url[WEIR_OBSERVER_URL])
{
    const char *options = strrchr(place, '?'), *more = "";
    int n;

    if (strncmp(place, "ipc://", 6) == 0 && place[6] != '@' &&
        !has_mode(options))
        more = options ? "&mode=0600" : "?mode=0600";
    n = snprintf(url, WEIR_OBSERVER_URL, "%s%s", place, more);
    if (n >= WEIR_OBSERVER_URL)
        return weir_fail(EINVAL, "stats: the URL has %d octets, %d are allowed",
                         n, WEIR_OBSERVER_URL - 1);
    return 0;
}

/* ---- a name ---- */

static int check_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_."
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t size = strlen(name);

    if (size == 0 || size > NAME_MAX_SIZE || name[0] == '.' ||
        strspn(name, allowed) != size)
        return weir_fail(EINVAL,
                         "stats: \"%s\" is neither a URL nor a name of up to "
                         "%d letters, digits, '-', '_' and '.'",
                         name, NAME_MAX_SIZE);
    return 0;
}

static int choose_folder(char folder[FOLDER_ROOM])
{
    const char *runtime = weir_privileged() ? NULL : getenv("XDG_RUNTIME_DIR");
    int n;

    if (!runtime || runtime[0] != '/')
        runtime = geteuid() == 0 ? "/run" : NULL;
    if (!runtime)
        return weir_fail(ENOENT, "stats: there is no XDG_RUNTIME_DIR, so a "
                                 "name has no folder; give a URL");
    n = snprintf(folder, FOLDER_ROOM, "%s/weir", runtime);
    if (n >= FOLDER_ROOM)
        return weir_fail(EINVAL, "stats: XDG_RUNTIME_DIR is too long");
    return 0;
}

/* One that is there must be ours.  Root's is the machine's, which a service
 * that is not root has its own folder in: others may pass, and find files that
 * are for root alone. */
static int make_folder(const char *folder)
{
    const mode_t mode = geteuid() == 0 ? 0755 : 0700;
    struct stat is;

    if (mkdir(folder, mode) < 0 && errno != EEXIST)
        return weir_fail(errno, "stats: %s: %s", folder, weir_strerror(errno));
    if (lstat(folder, &is) < 0)
        return weir_fail(errno, "stats: %s: %s", folder, weir_strerror(errno));
    if (!S_ISDIR(is.st_mode) || is.st_uid != geteuid() ||
        (is.st_mode & (S_IWGRP | S_IWOTH)))
        return weir_fail(EACCES,
                         "stats: %s is not a folder that this user "
                         "alone may write to",
                         folder);
    return 0;
}

static int take_name(const char *name, uint32_t number,
                     char url[WEIR_OBSERVER_URL])
{
    char folder[FOLDER_ROOM];
    int r = check_name(name);

    if (r >= 0)
        r = choose_folder(folder);
    if (r >= 0)
        r = make_folder(folder);
    if (r < 0)
        return r;
    snprintf(url, WEIR_OBSERVER_URL, "ipc://%s/%s.%ld.%u?mode=0600", folder,
             name, (long)getpid(), number);
    return 0;
}

int weir_observer_url(const char *place, uint32_t number,
                      char url[WEIR_OBSERVER_URL])
{
    if (strstr(place, "://"))
        return take_url(place, url);
    return take_name(place, number, url);
}
