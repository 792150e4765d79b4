/*
 * plugin.h - plugin ABI 1: what every kind of plugin shares.
 *
 * A plugin is a shared object that exports one constant.  It links nothing
 * of libweir: all it needs comes through tables of function pointers.
 *
 * Thread tags, one on every function pointer in these headers:
 *   [any]   any thread, concurrently, at any time.
 *   [ctl]   a thread inside a call of the application; the object is not
 *           attached yet; may block briefly.
 *   [io]    whichever thread drives the object now: one at a time, not
 *           always the same one; never blocks.
 *
 * A forked child calls nothing of a plugin; descriptors must be
 * close-on-exec.
 *
 * Growth: a table starts with `size`, set to sizeof by whoever fills it, and
 * only ever gains members at its end; the reader asks WEIR_HAS().  Structs
 * marked FROZEN travel in arrays and never change.
 *
 * Returns: 0 or more, or a negative errno value; -EAGAIN is back-pressure,
 * never an error.  Strings are UTF-8 and copied by the callee.
 */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weir/error.h>
#include <weir/option.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_PRINTF(text, args) __attribute__((format(printf, text, args)))
#else
#define WEIR_PRINTF(text, args)
#endif

/* Is member `m` of table `t` (a `type *`) there and not NULL? */
#define WEIR_HAS(type, t, m) \
    ((t)->size >= offsetof(type, m) + sizeof((t)->m) && (t)->m)

/* Where an attached object gets its turns: watches, timers, finished jobs. */
typedef struct weir_reactor weir_reactor;

/* One bind or connect: the host's side of it. */
typedef struct weir_ep weir_ep;

/* Where a slow call explains its failure.  The caller's; filled through
 * host->fail() only. */
typedef struct weir_error {
    uint32_t size;
    int32_t code;
    char *text;
    size_t room;
} weir_error;

/* FROZEN.  An option that a provider adds; the host parses, checks and
 * documents it. */
typedef struct weir_option {
    const char *name, *doc, *unit; /* unit may be NULL */
    const char *choices;           /* WEIR_OPTION_CHOICE: "word word ..." */
    uint32_t type, flags;          /* weir/option.h */
    int64_t min, max, fallback;
    const char *fallback_text; /* of TEXT and BYTES; NULL = empty */
    const void *reserved;      /* NULL */
} weir_option;

/* FROZEN. */
typedef struct weir_property {
    const char *name;
    const void *value;
    size_t size;
} weir_property;

/* FROZEN.  A frame's octets as plugins see them. */
typedef struct weir_view {
    void *data;
    size_t len;
    uint32_t flags, reserved; /* WEIR_VIEW_* */
    void *owner;              /* the host's; NULL = borrowed for the call */
} weir_view;
enum { WEIR_VIEW_MORE = 1, WEIR_VIEW_COMMAND = 2 };

/* Blocking work, done away from the reactor: names, slow keys. */
typedef struct weir_job {
    uint32_t size, reserved;
    void (*work)(void *arg); /* [any] touches only arg; may block */
    void (*done)(void *arg); /* [io]  after work; the object still lives */
    void (*drop)(void *arg); /* [any] instead of done, once the job was
                                      cancelled: frees arg */
    void *arg;
} weir_job;

/* A watch or a timer fired; `events` are WEIR_WATCH_*, 0 for a timer. */
typedef void weir_turn(void *arg, unsigned events);
enum { WEIR_WATCH_IN = 1, WEIR_WATCH_OUT = 2, WEIR_WATCH_ERROR = 4 };

/* The host's table.  A plugin keeps no pointer to it beyond the life of the
 * object it was given it for. */
typedef struct weir_host {
    uint32_t size, minor; /* ABI 1.minor */
    const char *version;  /* of libweir, for messages */

    /* [any] A further table by name, "weir.codec/1"; NULL = not there. */
    const void *(*extension)(const char *id);

    /* [any] A line for the monitor of the endpoint's socket (a WEIR_EVENT_LOG);
     * never printed. */
    void (*log)(weir_ep *ep, const char *format, ...) WEIR_PRINTF(2, 3);

    /* [any] Fill *error (may be NULL) with a code (positive) and a whole
     * sentence that names the offending token; the arguments may have the
     * text of *error.  Returns -code. */
    int (*fail)(weir_error *error, int code, const char *format, ...)
        WEIR_PRINTF(3, 4);

    /* [any] Host memory of `len` octets; the caller owns it. -ENOMEM */
    int (*view_alloc)(weir_view *view, size_t len);

    /* [any] The plugin's memory as a view; release(data, hint) is called
     * once, on any thread.  -ENOMEM: not called. */
    int (*view_wrap)(weir_view *view, void *data, size_t len,
                     void (*release)(void *data, void *hint), void *hint);

    /* [any] Give up owned views. */
    void (*view_free)(weir_view *views, int n);

    /* [ctl][io] Option of this endpoint, by name: the transport's own, or
     * the socket's.  -ENOENT.  TEXT is NUL-terminated, *size without it;
     * -ERANGE no room. */
    int (*option_int)(const weir_ep *ep, const char *name, int64_t *value);
    int (*option_bytes)(const weir_ep *ep, const char *name, void *value,
                        size_t *size);

    /* [io] Watch a descriptor, level-triggered.  Returns an id > 0 or
     * -errno.  The watch does not own the descriptor: cancel before close. */
    int64_t (*watch)(weir_reactor *reactor, int fd, unsigned events,
                     weir_turn *turn, void *arg);
    int (*rewatch)(weir_reactor *reactor, int64_t id, unsigned events);

    /* [io] One shot.  Returns an id > 0 or -errno. */
    int64_t (*timer)(weir_reactor *reactor, uint64_t after_ns, weir_turn *turn,
                     void *arg);

    /* [io] End a watch, a timer or a job: no turn follows (a job's drop
     * does).  An id that is over is ignored. */
    void (*cancel)(weir_reactor *reactor, int64_t id);

    /* [io] Run a job on a helper thread.  Returns an id > 0 or -errno (then
     * neither done nor drop is called). */
    int64_t (*offload)(weir_reactor *reactor, const weir_job *job);

    /* [any] A store keeps a descriptor from now on (1), or is about to close it
     * (0).  A forked child, which has no use for it, closes it at once. */
    void (*own)(int fd, int on);
} weir_host;

enum weir_kind {
    WEIR_TRANSPORT = 1,
    WEIR_STORE = 2,
    WEIR_MECHANISM = 3,
    WEIR_PATTERN = 4
};

/* FROZEN.  One thing that a plugin provides. */
typedef struct weir_provider {
    uint32_t kind, reserved; /* enum weir_kind */
    const char *id;          /* "tcp" */
    const void *ops;         /* weir_transport_ops, ... */
} weir_provider;

/* What a shared object exports: one constant, readable without running any
 * of its code. */
typedef struct weir_plugin {
    uint32_t magic, size;
    uint32_t need_minor; /* the oldest host minor it works with */
    uint32_t n_providers;
    const char *name; /* that of the file: "transport_tcp" */
    const char *version, *license, *summary;
    const weir_provider *providers;
    /* [ctl] Once after loading; may run again (two copies of the host in one
     * process), so it is idempotent, and keeps no host.  NULL = nothing. */
    int (*init)(const weir_host *host, weir_error *error);
} weir_plugin; /* there is no end to it: plugins stay loaded */

#define WEIR_PLUGIN_MAGIC 0x57524c31u /* "WRL1"; another ABI has another */
#define WEIR_ABI          1
#define WEIR_ABI_MINOR    0

#if defined(__GNUC__)
#define WEIR_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_EXPORT
#endif
#ifdef __cplusplus
#define WEIR_EXTERN extern "C"
#else
#define WEIR_EXTERN extern
#endif

/* WEIR_DEFINE_PLUGIN(transport_tcp) = { ... };  The prefix is what lets
 * libltdl tell the symbols of preloaded modules apart. */
#define WEIR_DEFINE_PLUGIN(file)                                         \
    WEIR_EXTERN WEIR_EXPORT const weir_plugin file##_LTX_weir_plugin_v1; \
    const weir_plugin file##_LTX_weir_plugin_v1

#ifdef __cplusplus
}
#endif
#endif
