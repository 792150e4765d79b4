#include "config.h"

#include "options.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/sized.h"
#include "registry.h"
#include "value.h"
#include "zmtp.h"

/* A row of the table: what every option has, and what only sockets' have. */
struct row {
    weir_option option;
    uint32_t sockets; /* bits 1 << type */
    uint32_t offset;  /* of the value in struct weir_options */
    /* A rule beyond type and range, of TEXT and BYTES.  May be NULL. */
    int (*check)(const weir_option *option, const char *data, size_t size);
};

#define BIT(type) (UINT32_C(1) << WEIR_##type)
#define ANY       ((BIT(XSUB) << 1) - 1)
#define SENDERS   (ANY & ~(BIT(PULL) | BIT(SUB)))
#define RECEIVERS (ANY & ~(BIT(PUSH) | BIT(PUB)))
/* Not those that miss a reply, or a subscription, with a message. */
#define LOSERS (RECEIVERS & ~(BIT(REQ) | BIT(REP) | BIT(XPUB)))

/* Not those that throw away what is unsent when they connect anew. */
#define SWAPPERS     (SENDERS & ~BIT(XSUB))
#define ANY_SWAPPERS (SWAPPERS | LOSERS)

/* Those that have one queue for each peer, and wait at its mark: what they have
 * accepted can be kept for good. */
#define KEEPERS (BIT(PUSH) | BIT(DEALER) | BIT(PAIR))

/* Those that drop at the mark, where a burst of long messages would be lost,
 * and the mark that they have for it. */
#define DROPPERS      (BIT(PUB) | BIT(XPUB) | BIT(XSUB) | BIT(REP) | BIT(ROUTER))
#define DROPPERS_MARK (64 << 20)

#define AT(member) offsetof(struct weir_options, member)
#define TIB        (INT64_C(1) << 40)
#define IN_URL     WEIR_OPTION_ENDPOINT

static int check_folder(const weir_option *option, const char *data,
                        size_t size)
{
    if (size && data[0] != '/')
        return weir_fail(EINVAL,
                         "option \"%s\": want an absolute path, not \"%.*s\"",
                         option->name, size > 128 ? 128 : (int)size, data);
    return 0;
}

/* "X-name:value,X-name:value"; names as ZMTP 3.1 (RFC 37) has them. */
static int check_property(const weir_option *option, const char *data,
                          size_t size);

/* Ids that begin with 00 are those that a ROUTER invents. */
static int check_routing_id(const weir_option *option, const char *data,
                            size_t size)
{
    if (size && data[0] == '\0')
        return weir_fail(EINVAL,
                         "option \"%s\": a routing id must not begin with "
                         "a NUL",
                         option->name);
    return 0;
}

#define CHECKED(rule, kind, member, text, types, ...)                        \
    {                                                                        \
        .option = {.name = (text), .type = WEIR_OPTION_##kind, __VA_ARGS__}, \
        .sockets = (types), .offset = AT(member), .check = (rule)            \
    }
#define ROW(...) CHECKED(NULL, __VA_ARGS__)

static const struct row table[] = {
    ROW(INT, send_mark, "send-mark", SENDERS, .unit = "messages",
        .max = INT32_MAX, .fallback = 10000, .flags = IN_URL,
        .doc = "Messages that may wait to be sent to one peer; at the "
               "mark the send policy holds. 0: no such mark."),
    ROW(INT, send_mark_bytes, "send-mark-bytes", SENDERS, .unit = "bytes",
        .max = TIB, .fallback = 1 << 20, .flags = IN_URL,
        .doc = "Octets that may wait to be sent to one peer; whichever "
               "mark comes first holds. 0: no such mark. The default of PUB, "
               "XPUB, XSUB, REP and ROUTER, which drop at the mark, is "
               "67108864."),
    ROW(INT, recv_mark, "recv-mark", RECEIVERS, .unit = "messages",
        .max = INT32_MAX, .fallback = 10000, .flags = IN_URL,
        .doc = "Messages from one peer that may wait to be received; at "
               "the mark the receive policy holds. 0: no such mark."),
    ROW(INT, recv_mark_bytes, "recv-mark-bytes", RECEIVERS, .unit = "bytes",
        .max = TIB, .fallback = 1 << 20, .flags = IN_URL,
        .doc = "Octets from one peer that may wait to be received; "
               "whichever mark comes first holds. 0: no such mark."),
    ROW(CHOICE, send_policy, "send-policy", SENDERS,
        .choices = "pattern block drop-new drop-old latest", .flags = IN_URL,
        .doc = "What happens to a message for a peer that is at its mark: "
               "as the pattern has it, the send waits, the new message is "
               "dropped, the oldest is dropped, or only the newest is "
               "kept. An XSUB has not the last two."),
    ROW(CHOICE, recv_policy, "recv-policy", LOSERS,
        .choices = "block drop-new drop-old latest", .flags = IN_URL,
        .doc = "What happens to messages from a peer at the receiving mark: "
               "its connection is not read, the new message is dropped, the "
               "oldest is dropped, or only the newest is kept."),
    ROW(INT, send_swap, "send-swap", SWAPPERS, .unit = "bytes", .max = TIB,
        .flags = IN_URL,
        .doc = "Octets beyond the mark that may wait in a store for one "
               "peer; when they are used up the send policy holds. 0: no "
               "swap."),
    ROW(INT, recv_swap, "recv-swap", LOSERS, .unit = "bytes", .max = TIB,
        .flags = IN_URL,
        .doc = "Octets from one peer beyond the mark that may wait in a store "
               "to be received; when they are used up the peer is not read. "
               "0: no swap."),
    ROW(TEXT, swap_store, "swap-store", ANY_SWAPPERS,
        .max = WEIR_STORE_NAME_MAX, .flags = IN_URL,
        .doc = "The plugin that keeps what is swapped: \"file\" is "
               "store_file. Empty: file."),
    CHECKED(check_folder, TEXT, swap_dir, "swap-dir", ANY_SWAPPERS,
            .max = WEIR_SWAP_DIR_MAX, .flags = IN_URL,
            .doc = "The folder for what is swapped, an absolute path; it "
                   "alone makes no swap. Empty: TMPDIR of the environment, or "
                   "/var/tmp."),
    ROW(CHOICE, swap_mode, "swap-mode", KEEPERS, .choices = "spill durable",
        .flags = IN_URL,
        .doc = "What the swap of messages to be sent is for: to relieve "
               "memory above the mark, or to have every message in the store "
               "before it is sent, where it outlives the process."),
    ROW(CHOICE, swap_sync, "swap-sync", KEEPERS,
        .choices = "always interval os", .flags = IN_URL,
        .doc = "When a durable swap brings what it has written to the disk: "
               "before a send returns, within an interval, or when the system "
               "does it or weir_sync() asks for it."),
    ROW(INT, swap_sync_interval, "swap-sync-interval", KEEPERS, .unit = "ms",
        .min = 1, .max = INT32_MAX, .fallback = 100, .flags = IN_URL,
        .doc = "The interval of \"swap-sync\"."),
    ROW(TEXT, swap_name, "swap-name", KEEPERS, .max = WEIR_SWAP_NAME_MAX,
        .flags = IN_URL,
        .doc = "The name by which a restarted process finds what its durable "
               "swaps have kept; with it goes the address that is connected "
               "to, or the routing id of the peer of an endpoint that binds."),
    ROW(INT, linger, "linger", ANY, .unit = "ms", .min = -1, .max = INT32_MAX,
        .fallback = 5000, .flags = IN_URL,
        .doc = "How long closing waits for messages to go out; a connection "
               "that they wait for is tried again within 200 ms meanwhile. 0: "
               "not at all. -1: for ever."),
    ROW(INT, handshake, "handshake", ANY, .unit = "ms", .max = INT32_MAX,
        .fallback = 30000, .flags = IN_URL,
        .doc = "How long making a connection and its handshake may take; "
               "then the connection is closed. 0: as long as it likes."),
    ROW(INT, reconnect, "reconnect", ANY, .unit = "ms", .min = -1,
        .max = INT32_MAX, .fallback = 100, .flags = IN_URL,
        .doc = "The wait before a lost connection is made again, with "
               "some jitter; it doubles with each failure. 0 counts as 1. "
               "-1: never again."),
    ROW(INT, reconnect_max, "reconnect-max", ANY, .unit = "ms",
        .max = INT32_MAX, .fallback = 5000, .flags = IN_URL,
        .doc = "The longest that the wait before a new connection grows "
               "to. Below \"reconnect\": it does not grow."),
    ROW(BOOL, immediate, "immediate", SENDERS, .flags = IN_URL,
        .doc = "Messages are queued only for peers whose handshake is "
               "done, not for connections still to be made."),
    ROW(INT, half_open, "half-open", ANY, .unit = "connections", .min = 1,
        .max = 1000000, .fallback = 1000, .flags = IN_URL,
        .doc = "Accepted connections of one bound endpoint that may be in "
               "their handshake at once; others wait to be accepted."),
    ROW(INT, heartbeat, "heartbeat", ANY, .unit = "ms", .max = INT32_MAX,
        .fallback = 10000, .flags = IN_URL,
        .doc = "A peer that was silent this long is sent a PING. 0: none "
               "is sent."),
    ROW(INT, heartbeat_timeout, "heartbeat-timeout", ANY, .unit = "ms",
        .max = INT32_MAX, .flags = IN_URL,
        .doc = "A peer that sends nothing for this long after a PING is "
               "lost or stalled. 0: as long as \"heartbeat\"."),
    ROW(INT, heartbeat_ttl, "heartbeat-ttl", ANY, .unit = "ms", .max = 6553500,
        .flags = IN_URL,
        .doc = "Asks the peer to close when nothing comes from here for "
               "this long after a PING; counts in full 100 ms. 0: does "
               "not ask."),
    ROW(BOOL, heartbeat_strict, "heartbeat-strict", ANY, .flags = IN_URL,
        .doc = "A peer that does not answer a PING in time is cut even if "
               "its system still takes what is sent."),
    ROW(BOOL, heartbeat_old, "heartbeat-old", ANY, .flags = IN_URL,
        .doc = "Sends PING to peers of ZMTP 3.0 too, some of which do not "
               "know it."),
    ROW(INT, max_message, "max-message", ANY, .unit = "bytes", .max = TIB,
        .flags = IN_URL,
        .doc = "The largest frame that is taken from a peer; one that "
               "announces more is disconnected. 0: no bound."),
    ROW(INT, max_frames, "max-frames", ANY, .unit = "frames", .min = 1,
        .max = 1 << 20, .fallback = 1 << 20, .flags = IN_URL,
        .doc = "The most frames that a message from a peer may have; one "
               "that sends more is disconnected."),
    CHECKED(check_routing_id, BYTES, routing_id, "routing-id",
            BIT(REQ) | BIT(DEALER) | BIT(ROUTER) | BIT(PULL) | BIT(PAIR),
            .max = WEIR_ROUTING_ID_MAX, .flags = IN_URL,
            .doc = "The name that this socket announces to its peers, by "
                   "which a ROUTER, or an endpoint with a durable swap, knows "
                   "it; must not begin with a NUL. Empty: it announces "
                   "none."),
    CHECKED(check_routing_id, BYTES, connect_routing_id, "connect-routing-id",
            BIT(ROUTER), .max = WEIR_ROUTING_ID_MAX, .flags = IN_URL,
            .doc = "The routing id that a ROUTER gives to the peer it "
                   "connects to, whatever that one announces; set on the "
                   "socket, it holds for the next connect only."),
    CHECKED(check_property, TEXT, property, "property", ANY,
            .max = WEIR_PROPERTY_MAX, .flags = IN_URL,
            .doc = "Properties that the handshake tells the peer: "
                   "\"X-name:value\", more of them after commas."),
    ROW(BOOL, mandatory, "mandatory", BIT(ROUTER),
        .doc = "A message to a routing id that nobody has is an error, "
               "and to one at its mark the send waits; else both are "
               "dropped."),
    ROW(BOOL, handover, "handover", BIT(ROUTER) | BIT(REP),
        .doc = "A new peer with the routing id of an earlier one takes "
               "its place; else the new one is refused."),
    ROW(BOOL, probe, "probe", BIT(REQ) | BIT(DEALER) | BIT(ROUTER),
        .flags = IN_URL,
        .doc = "Sends an empty message on each new connection, so that a "
               "ROUTER learns of it at once."),
    ROW(BOOL, correlate, "correlate", BIT(REQ),
        .doc = "Requests carry a number, and only a reply with that "
               "number is taken."),
    ROW(BOOL, relaxed, "relaxed", BIT(REQ),
        .doc = "A new request may be sent before the reply to the last "
               "one, which is then given up."),
    ROW(CHOICE, notify, "notify", BIT(ROUTER),
        .choices = "off connect disconnect both",
        .doc = "Receives a message of a peer's routing id and an empty "
               "frame when it comes, goes, or both."),
    ROW(CHOICE, verbose, "verbose", BIT(XPUB), .choices = "off subscribe both",
        .doc = "Receives every subscription, or every one and every end "
               "of one, not only the first and the last of a topic."),
    ROW(BOOL, nodrop, "nodrop", BIT(PUB) | BIT(XPUB),
        .doc = "A send waits while a subscriber is at its mark; else the "
               "message is dropped for that one."),
    ROW(BOOL, invert, "invert", BIT(PUB) | BIT(XPUB) | BIT(SUB),
        .doc = "Messages that match no subscription pass, and those that "
               "match one do not; publisher and subscriber must both have "
               "it."),
    ROW(INT, events, "events", ANY, .unit = "events", .min = 1, .max = 65536,
        .fallback = 256,
        .doc = "Events that are kept for weir_next_event(); then the "
               "oldest is overwritten."),
    ROW(CHOICE, pace, "pace", ANY, .choices = "auto latency throughput",
        .doc = "Whether messages are put on the wire at once, in large "
               "batches, or as their observed pace suggests. With latency "
               "a receive spins whether or not it waits for an answer."),
    ROW(INT, spin, "spin", ANY, .unit = "us", .max = 1000, .fallback = 50,
        .doc = "How long a waiting call looks again and again before it "
               "sleeps, if the socket has sent something since it received, "
               "or has received more than it has looked out for since, and if "
               "looking has paid lately; up to five times as long where large "
               "messages came. Before or after that it lets others have its "
               "processor for a moment, if that has paid. 0: it sleeps at "
               "once."),
};
#define ROWS (sizeof table / sizeof table[0])

static const char *const type_names[] = {
    [WEIR_PAIR] = "PAIR",     [WEIR_PUB] = "PUB",   [WEIR_SUB] = "SUB",
    [WEIR_REQ] = "REQ",       [WEIR_REP] = "REP",   [WEIR_DEALER] = "DEALER",
    [WEIR_ROUTER] = "ROUTER", [WEIR_PULL] = "PULL", [WEIR_PUSH] = "PUSH",
    [WEIR_XPUB] = "XPUB",     [WEIR_XSUB] = "XSUB",
};

bool weir_options_property(const char **cursor,
                           struct weir_option_property *out)
{
    const char *at = *cursor;
    size_t size = strcspn(at, ",");

    if (!*at)
        return false;
    out->name = at;
    out->name_size = strcspn(at, ":,");
    out->value = at + out->name_size + (at[out->name_size] == ':');
    out->value_size = size - (size_t)(out->value - at);
    *cursor = at + size + (at[size] == ',');
    return true;
}

static int check_property_name(const weir_option *option, const char *name,
                               size_t size)
{
    if (weir_zmtp_is_name(name, size) && size > 2 && name[0] == 'X' &&
        name[1] == '-')
        return 0;
    return weir_fail(EINVAL,
                     "option \"%s\": a name begins with X- and has 3 to 255 "
                     "of A-Z a-z 0-9 - _ . + but this one is \"%.*s\"",
                     option->name, size > 64 ? 64 : (int)size, name);
}

static int check_property(const weir_option *option, const char *data,
                          size_t size)
{
    char text[WEIR_PROPERTY_MAX + 1];
    const char *cursor = text;
    struct weir_option_property property;
    int rc = 0;

    memcpy(text, data, size);
    text[size] = '\0';
    while (rc == 0 && weir_options_property(&cursor, &property)) {
        if (property.value == property.name + property.name_size)
            return weir_fail(EINVAL, "option \"%s\": no ':' in \"%.*s\"",
                             option->name, (int)property.name_size,
                             property.name);
        rc = check_property_name(option, property.name, property.name_size);
    }
    return rc;
}

static const struct row *find(const char *name)
{
    size_t i;

    for (i = 0; i < ROWS; i++) {
        if (strcmp(table[i].option.name, name) == 0)
            return &table[i];
    }
    return NULL;
}

const weir_option *weir_options_find(const char *name)
{
    const struct row *row = find(name);

    return row ? &row->option : NULL;
}

/* The row, if a socket of that type has it.  *out is written in any case:
 * not every compiler sees that weir_fail() never gives 0. */
static int find_for(enum weir_type type, const char *name,
                    const struct row **out)
{
    const struct row *row = find(name);

    *out = row;
    if (!row)
        return weir_fail(ENOENT, "no option \"%.64s\"", name);
    if (!(row->sockets >> type & 1))
        return weir_fail(WEIR_EINCOMPATIBLE, "a %s has no option \"%s\"",
                         type_names[type], name);
    return 0;
}

static void *place(struct weir_options *options, const struct row *row)
{
    return (char *)options + row->offset;
}

static void store_number(struct weir_options *options, const struct row *row,
                         int64_t number)
{
    if (row->option.type == WEIR_OPTION_BOOL)
        *(bool *)place(options, row) = number != 0;
    else
        *(int64_t *)place(options, row) = number;
}

static int64_t load_number(const struct weir_options *options,
                           const struct row *row)
{
    const void *at = (const char *)options + row->offset;

    return row->option.type == WEIR_OPTION_BOOL ? *(const bool *)at
                                                : *(const int64_t *)at;
}

static void store_bytes(struct weir_options *options, const struct row *row,
                        const void *data, size_t size)
{
    struct weir_routing_id *id = place(options, row);
    char *text = place(options, row);

    if (row->option.type == WEIR_OPTION_TEXT) {
        memcpy(text, data, size);
        text[size] = '\0';
        return;
    }
    memcpy(id->data, data, size);
    id->size = (uint8_t)size;
}

/* All zero is the fallback of every TEXT and BYTES in the table. */
void weir_options_init(struct weir_options *options, enum weir_type type)
{
    size_t i;

    memset(options, 0, sizeof *options);
    options->type = type;
    for (i = 0; i < ROWS; i++) {
        if (weir_value_is_number(&table[i].option))
            store_number(options, &table[i], table[i].option.fallback);
    }
    if (DROPPERS & 1u << type)
        options->send_mark_bytes = DROPPERS_MARK;
}

const char *weir_options_store(const struct weir_options *options)
{
    return options->swap_store[0] ? options->swap_store : "file";
}

bool weir_options_is_swap(const char *name)
{
    return strcmp(name, "send-swap") == 0 || strcmp(name, "recv-swap") == 0 ||
           strcmp(name, "swap-store") == 0;
}

int weir_options_find_store(const struct weir_options *options,
                            const weir_store_ops **ops)
{
    const char *name = weir_options_store(options);
    int rc = weir_registry_store(name, ops, NULL);

    if (rc < 0)
        return weir_fail(-rc, "option \"swap-store\": %s", weir_error_text());
    return 0;
}

/* What was swapped cannot be replaced by what is newer. */
static int check_swap(int64_t swap, int64_t policy)
{
    if (swap == 0)
        return 0;
    if (policy == WEIR_POLICY_DROP_OLD || policy == WEIR_POLICY_LATEST)
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "option \"send-swap\" does not go with a "
                         "\"send-policy\" that drops the oldest");
    return 0;
}

/* A swap at the receiving mark is instead of what else is done there. */
static int check_recv_swap(int64_t swap, int64_t policy)
{
    if (swap == 0 || policy == 0)
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "option \"recv-swap\" does not go with a "
                     "\"recv-policy\" that drops");
}

static int set_bytes(struct weir_options *options, const struct row *row,
                     const void *data, size_t size)
{
    int rc = weir_value_check_bytes(&row->option, data, size);

    if (!size)
        data = ""; /* memcpy wants a pointer */
    if (rc == 0 && row->check)
        rc = row->check(&row->option, data, size);
    if (rc == 0)
        store_bytes(options, row, data, size);
    return rc;
}

/* What an XSUB sends may be a subscription, which is not to be replaced. */
static int set_number(struct weir_options *options, const struct row *row,
                      int64_t number)
{
    int rc = 0;

    if (options->type == WEIR_XSUB && row->offset == AT(send_policy) &&
        (number == WEIR_POLICY_DROP_OLD || number == WEIR_POLICY_LATEST))
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "option \"%s\": an XSUB does not replace messages, "
                         "since subscriptions are among them",
                         row->option.name);
    if (row->offset == AT(send_swap))
        rc = check_swap(number, options->send_policy);
    else if (row->offset == AT(send_policy))
        rc = check_swap(options->send_swap, number);
    else if (row->offset == AT(recv_swap))
        rc = check_recv_swap(number, options->recv_policy);
    else if (row->offset == AT(recv_policy))
        rc = check_recv_swap(options->recv_swap, number);
    if (rc == 0)
        store_number(options, row, number);
    return rc;
}

int weir_options_set_text(struct weir_options *options, const char *name,
                          const char *text, size_t size)
{
    const struct row *row;
    int64_t number;
    int rc = find_for(options->type, name, &row);

    if (rc < 0)
        return rc;
    if (!weir_value_is_number(&row->option))
        return set_bytes(options, row, text, size);
    rc = weir_value_parse(&row->option, text, size, &number);
    if (rc == 0)
        rc = set_number(options, row, number);
    return rc;
}

int weir_options_set_int(struct weir_options *options, const char *name,
                         int64_t number)
{
    const struct row *row;
    int rc = find_for(options->type, name, &row);

    if (rc == 0)
        rc = weir_value_check(&row->option, number);
    if (rc == 0)
        rc = set_number(options, row, number);
    return rc;
}

int weir_options_set_bytes(struct weir_options *options, const char *name,
                           const void *data, size_t size)
{
    const struct row *row;
    int rc = find_for(options->type, name, &row);

    return rc < 0 ? rc : set_bytes(options, row, data, size);
}

int weir_options_get_int(const struct weir_options *options, const char *name,
                         int64_t *number)
{
    const struct row *row;
    int rc = find_for(options->type, name, &row);

    if (rc < 0)
        return rc;
    if (!weir_value_is_number(&row->option))
        return weir_fail(EINVAL, "option \"%s\" is not a number", name);
    *number = load_number(options, row);
    return 0;
}

static const void *octets(const struct weir_options *options,
                          const struct row *row, size_t *size)
{
    const void *at = (const char *)options + row->offset;
    const struct weir_routing_id *id = at;

    *size = row->option.type == WEIR_OPTION_TEXT ? strlen(at) : id->size;
    return row->option.type == WEIR_OPTION_TEXT ? at : id->data;
}

int weir_options_get_bytes(const struct weir_options *options, const char *name,
                           void *out, size_t *room)
{
    const struct row *row;
    const void *data;
    size_t size;
    int rc = find_for(options->type, name, &row);

    if (rc < 0)
        return rc;
    if (weir_value_is_number(&row->option))
        return weir_fail(EINVAL, "option \"%s\" is a number", name);
    data = octets(options, row, &size);
    return weir_value_give(&row->option, data, size, out, room);
}

int weir_options_get_text(const struct weir_options *options, const char *name,
                          char *text, size_t *room)
{
    const weir_option as_text = {.name = name, .type = WEIR_OPTION_TEXT};
    const struct row *row;
    char number[WEIR_VALUE_ROOM];
    const void *data = number;
    size_t size;
    int rc = find_for(options->type, name, &row);

    if (rc < 0)
        return rc;
    if (weir_value_is_number(&row->option))
        size =
            weir_value_print(&row->option, load_number(options, row), number);
    else
        data = octets(options, row, &size);
    return weir_value_give(&as_text, data, size, text, room);
}

int weir_options_describe(const weir_option *row, uint32_t sockets,
                          weir_option_info *info)
{
    weir_option_info all = {
        .type = row->type,
        .name = row->name,
        .unit = row->unit,
        .doc = row->doc,
        .choices = row->choices,
        .min = row->min,
        .max = row->max,
        .fallback = row->fallback,
        .fallback_text = row->fallback_text,
        .sockets = sockets,
        .flags = row->flags,
    };

    int rc = weir_sized_check(info, sizeof all, "weir_option_info");

    if (rc == 0)
        weir_sized_give(info, &all, sizeof all);
    return rc;
}

int weir_options_info(int index, weir_option_info *info)
{
    if (index < 0 || (size_t)index >= ROWS)
        return weir_fail(ENOENT, "no option of index %d: there are %zu", index,
                         ROWS);
    return weir_options_describe(&table[index].option, table[index].sockets,
                                 info);
}
