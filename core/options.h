/*
 * options.h - the options of sockets: one table, and a socket's values.
 * Above: api.c socket.c endpoint.c; all who read a value read a field.
 * Below: value.h.
 *
 * An endpoint has a copy of its socket's values (by assignment: nothing in
 * it is on the heap), changed by what its URL says.  Ranges, defaults and
 * meaning of each are in the table in options.c, which the manual's tables
 * are made from.
 */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>
#include <weir/store.h>
#include <weir/weir.h>

/* The words of the choices, in their order. */
enum weir_policy {
    WEIR_POLICY_PATTERN, /* the pattern's own */
    WEIR_POLICY_BLOCK,
    WEIR_POLICY_DROP_NEW,
    WEIR_POLICY_DROP_OLD,
    WEIR_POLICY_LATEST
};
enum weir_notify { /* bits */
                   WEIR_NOTIFY_OFF = 0,
                   WEIR_NOTIFY_CONNECT = 1,
                   WEIR_NOTIFY_DISCONNECT = 2,
                   WEIR_NOTIFY_BOTH = 3
};
enum weir_verbose {
    WEIR_VERBOSE_OFF,
    WEIR_VERBOSE_SUBSCRIBE,
    WEIR_VERBOSE_BOTH
};
enum weir_swap_mode { WEIR_SWAP_SPILL, WEIR_SWAP_DURABLE };
enum weir_pace { WEIR_PACE_AUTO, WEIR_PACE_LATENCY, WEIR_PACE_THROUGHPUT };

#define WEIR_ROUTING_ID_MAX 255
#define WEIR_PROPERTY_MAX   511
#define WEIR_STORE_NAME_MAX 63
#define WEIR_SWAP_DIR_MAX   511
#define WEIR_SWAP_NAME_MAX  63

/* A routing id; size 0 = none. */
struct weir_routing_id {
    uint8_t size;
    unsigned char data[WEIR_ROUTING_ID_MAX];
};

struct weir_options {
    enum weir_type type; /* of the socket that has them */

    int64_t send_mark, send_mark_bytes; /* 0 = none */
    int64_t recv_mark, recv_mark_bytes; /* 0 = none */
    int64_t send_policy;                /* enum weir_policy */
    int64_t recv_policy;                /* see weir_options_recv_policy */
    int64_t send_swap, recv_swap;       /* octets, 0 = none */
    char swap_store[WEIR_STORE_NAME_MAX + 1];
    char swap_dir[WEIR_SWAP_DIR_MAX + 1]; /* empty: see pipe_swap.c */
    int64_t swap_mode;                    /* enum weir_swap_mode */
    int64_t swap_sync;                    /* enum weir_spill_sync */
    int64_t swap_sync_interval;           /* ms */
    char swap_name[WEIR_SWAP_NAME_MAX + 1];
    int64_t linger; /* ms, -1 = for ever */

    int64_t handshake;     /* ms, 0 = no deadline */
    int64_t reconnect;     /* ms, -1 = never */
    int64_t reconnect_max; /* ms */
    bool immediate;
    int64_t half_open;

    int64_t heartbeat;         /* ms, 0 = off */
    int64_t heartbeat_timeout; /* ms, 0 = as heartbeat */
    int64_t heartbeat_ttl;     /* ms, 0 = none */
    bool heartbeat_strict, heartbeat_old;

    int64_t max_message; /* octets of one frame, 0 = none */
    int64_t max_frames;

    struct weir_routing_id routing_id, connect_routing_id;
    char property[WEIR_PROPERTY_MAX + 1]; /* see weir_options_property */

    bool mandatory, handover, probe, correlate, relaxed;
    bool nodrop, invert;
    int64_t notify;  /* enum weir_notify */
    int64_t verbose; /* enum weir_verbose */

    int64_t events; /* length of the ring */
    int64_t pace;   /* enum weir_pace */
    int64_t spin;   /* us */
};

/* Make all values the defaults of a socket type. */
void weir_options_init(struct weir_options *options, enum weir_type type);

/* Set a value from `size` octets of text, as weir_set(); from a number, as
 * weir_set_int(); from octets, as weir_set_bytes().
 * Errors: -ENOENT no such option; -EINVAL not a value of its type; -ERANGE;
 * -WEIR_EINCOMPATIBLE this socket type has no such option. */
int weir_options_set_text(struct weir_options *options, const char *name,
                          const char *text, size_t size);
int weir_options_set_int(struct weir_options *options, const char *name,
                         int64_t number);
int weir_options_set_bytes(struct weir_options *options, const char *name,
                           const void *data, size_t size);

/* Is it one of those that say which store there is?  Its plugin is loaded then
 * before such a value is set, see weir_options_find_store(). */
bool weir_options_is_swap(const char *name);

/* The store of "swap-store"; its plugin is loaded if need be.  Not with a
 * lock: that takes as long as the plugin likes.  *ops is good for the life of
 * the process.
 * Errors: -WEIR_EPLUGIN. */
int weir_options_find_store(const struct weir_options *options,
                            const weir_store_ops **ops);

/* Read a value.  As text: a number without its unit, "yes" or "no", a word, or
 * the octets; always with a NUL, uncounted, so that it can be set again.
 * Octets as weir_value_give: only a TEXT gets a NUL, uncounted.
 * Errors: as above; -EINVAL of the other kind; -ERANGE no room. */
int weir_options_get_text(const struct weir_options *options, const char *name,
                          char *text, size_t *room);
int weir_options_get_int(const struct weir_options *options, const char *name,
                         int64_t *number);
int weir_options_get_bytes(const struct weir_options *options, const char *name,
                           void *out, size_t *room);

/* What to do with messages from a peer at the receiving mark; the words of
 * that option begin with "block". */
static inline enum weir_policy
weir_options_recv_policy(const struct weir_options *options)
{
    return (enum weir_policy)(options->recv_policy + WEIR_POLICY_BLOCK);
}

/* The name of the store that is swapped to. */
const char *weir_options_store(const struct weir_options *options);

/* The row of that name, NULL if there is none.  With WEIR_OPTION_ENDPOINT in
 * its flags it may stand in a URL. */
const weir_option *weir_options_find(const char *name);

/* Row `index` of the table, as weir_option_at(NULL, ...).
 * Errors: -ENOENT beyond the end; -EINVAL info->size. */
int weir_options_info(int index, weir_option_info *info);

/* Fill info from any row, a plugin's too; `sockets` as in weir_option_info.
 * Errors: -EINVAL info->size. */
int weir_options_describe(const weir_option *row, uint32_t sockets,
                          weir_option_info *info);

/* One property of the "property" option. */
struct weir_option_property {
    const char *name, *value; /* borrowed, not NUL-terminated */
    size_t name_size, value_size;
};

/* Take the next property off the text at *cursor (options->property at
 * first).  Returns false at the end. */
bool weir_options_property(const char **cursor,
                           struct weir_option_property *out);

#endif
