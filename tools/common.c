/* common.c - what several subcommands need. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_DLOPEN
#include <dlfcn.h>
#endif

#include "common.h"

/* ---- complaints ---- */

static const char *command = "";

void weir_common_begin(const char *name)
{
    command = name;
}

static void __attribute__((format(printf, 1, 0)))
complain(const char *format, va_list list)
{
    fflush(stdout);
    fprintf(stderr, "weir%s%s: ", *command ? " " : "", command);
    vfprintf(stderr, format, list);
}

int weir_common_fail(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    complain(format, list);
    va_end(list);
    fputc('\n', stderr);
    return 1;
}

int weir_common_fail_code(int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    complain(format, list);
    va_end(list);
    fprintf(stderr, ": %s\n", weir_common_reason(code));
    return 1;
}

bool weir_common_split(const char *word, char name[WEIR_COMMON_NAME],
                       const char **value)
{
    const char *equals = strchr(word, '=');

    if (!equals || equals - word >= WEIR_COMMON_NAME)
        return false;
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = '\0';
    *value = equals + 1;
    return true;
}

/* The word was wrong, or what it asks for cannot be had here. */
static int cannot_set(int code, const char *option, const char *word)
{
    const char *hint = code == -ENOENT ? "; `weir options` lists them" : "";

    weir_common_fail("%s %s: %s%s", option, word, weir_common_reason(code),
                     hint);
    return code == -ENOENT || code == -EINVAL || code == -ERANGE ||
                   code == -WEIR_EINCOMPATIBLE
               ? 2
               : 1;
}

int weir_common_set(weir_socket socket, const char *option, const char *word)
{
    char name[WEIR_COMMON_NAME];
    const char *value;
    int code;

    if (!weir_common_split(word, name, &value)) {
        weir_common_fail("%s %s: want name=value", option, word);
        return 2;
    }
    code = weir_set(socket, name, value);
    return code < 0 ? cannot_set(code, option, word) : 0;
}

const char *weir_common_reason(int code)
{
    /* A deadline that passed leaves the sentence of an earlier failure. */
    const char *sentence = code == -EAGAIN ? "" : weir_last_error();

    return *sentence ? sentence : weir_strerror(code);
}

/* ---- time ---- */

uint64_t weir_common_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t weir_common_until(double seconds)
{
    if (seconds < 0)
        return UINT64_MAX;
    return weir_common_now() + (uint64_t)(seconds * 1e9);
}

int weir_common_left(uint64_t until, int most)
{
    uint64_t now, left;

    if (until == UINT64_MAX)
        return most < 0 ? WEIR_FOREVER : most;
    now = weir_common_now();
    left = until > now ? (until - now + 999999) / 1000000 : 0;
    if (most < 0)
        most = INT32_MAX;
    return left < (uint64_t)most ? (int)left : most;
}

/* ---- signals ---- */

static int stop_pipe[2] = {-1, -1};
static volatile sig_atomic_t stopped;

static void remember(int signal_number)
{
    int saved = errno;
    ssize_t written;

    stopped = signal_number; /* before anybody wakes up */
    written = write(stop_pipe[1], "", 1);
    (void)written; /* there is room for each signal once */
    errno = saved;
}

/* What is being written is written to its end: stdio drops it when a signal
 * interrupts write().  All that waits for longer waits for the pipe as well. */
static void remember_from(int signal_number)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = remember;
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    sigaction(signal_number, &action, NULL);
}

int weir_common_catch_signals(void)
{
    if (pipe(stop_pipe) != 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
    remember_from(SIGINT);
    remember_from(SIGTERM);
    return stop_pipe[0];
}

void weir_common_catch(int signal_number)
{
    struct sigaction now;

    if (sigaction(signal_number, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
        remember_from(signal_number);
}

bool weir_common_stopped(void)
{
    return stopped != 0;
}

void weir_common_stop(void)
{
    stopped = SIGINT;
}

/* ---- socket types ---- */

static const struct weir_socket_kind kinds[] = {
    {"PUSH", true, false, WEIR_TURNS_FREE},
    {"PULL", false, true, WEIR_TURNS_FREE},
    {"PUB", true, false, WEIR_TURNS_FREE},
    {"SUB", false, true, WEIR_TURNS_FREE},
    {"XPUB", true, true, WEIR_TURNS_FREE},
    {"XSUB", true, true, WEIR_TURNS_FREE},
    {"REQ", true, true, WEIR_TURNS_ASK},
    {"REP", true, true, WEIR_TURNS_ANSWER},
    {"DEALER", true, true, WEIR_TURNS_FREE},
    {"ROUTER", true, true, WEIR_TURNS_FREE},
    {"PAIR", true, true, WEIR_TURNS_FREE},
    {"XREQ", true, true, WEIR_TURNS_FREE},
    {"XREP", true, true, WEIR_TURNS_FREE},
};

const char weir_common_kinds[] =
    "PUSH PULL PUB SUB XPUB XSUB REQ REP DEALER ROUTER PAIR XREQ XREP";

const struct weir_socket_kind *weir_common_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcasecmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* ---- statistics ---- */

uint64_t weir_common_drops(const uint64_t dropped[WEIR_DROPS])
{
    uint64_t sum = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        sum += dropped[i];
    return sum;
}

/* ---- plugins ---- */

struct found {
    weir_plugin_info *items;
    int count;
};

/* A scan's callback may not call weir, so it only collects. */
static int collect(void *arg, const weir_plugin_info *info)
{
    struct found *found = arg;
    weir_plugin_info *items =
        realloc(found->items, (size_t)(found->count + 1) * sizeof *items);

    if (!items)
        return -ENOMEM;
    found->items = items;
    found->items[found->count++] = *info;
    return 0;
}

int weir_common_plugins(weir_plugin_info **out)
{
    struct found found = {NULL, 0};
    int code = weir_plugin_scan(true, collect, &found);

    if (code < 0) {
        free(found.items);
        return code;
    }
    *out = found.items;
    return found.count;
}

const weir_plugin *weir_common_table(const weir_plugin_info *info)
{
#ifdef HAVE_DLOPEN
    char symbol[sizeof info->name + sizeof "_LTX_weir_plugin_v1"];
    void *handle = dlopen(info->file, RTLD_NOW | RTLD_LOCAL);

    snprintf(symbol, sizeof symbol, "%s_LTX_weir_plugin_v1", info->name);
    return handle ? dlsym(handle, symbol) : NULL;
#else
    (void)info;
    return NULL;
#endif
}

bool weir_common_has_transports(void)
{
    weir_plugin_info *found = NULL;
    int count = weir_common_plugins(&found);
    bool any = false;

    for (int i = 0; i < count; i++)
        any = any || (found[i].state == WEIR_PLUGIN_LOADED &&
                      strncmp(found[i].name, "transport_", 10) == 0);
    free(found);
    if (count < 0)
        weir_common_fail_code(count, "cannot look for plugins");
    else if (!any)
        weir_common_fail("no transport is found that loads; see `weir "
                         "plugins`.  Install some, or have WEIR_PLUGIN_PATH "
                         "name the folders they are in");
    return any;
}

bool weir_common_is_plugin(const weir_plugin_info *info, const char *name)
{
    const char *underscore = strchr(info->name, '_');

    return strcmp(info->name, name) == 0 ||
           (underscore && strcmp(underscore + 1, name) == 0);
}

/* ---- files ---- */

static const char *self = "weir";

void weir_common_set_self(const char *argv0)
{
    static char file[4096];
    ssize_t size = readlink("/proc/self/exe", file, sizeof file - 1);

    self = size > 0 ? file : argv0;
}

const char *weir_common_self(void)
{
    return self;
}
