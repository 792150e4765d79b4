/*
 * fuzz_zmtp.c - octets of a hostile peer for the ZMTP codec.
 *
 * The first two octets of an input choose our side, the rest is what the
 * peer sends.  However its octets are cut into pieces, the codec must come
 * to the same end; whatever it accepts must keep the rules; nothing may be
 * read or written out of bounds, which the sanitizers watch.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined, this file, the
 * core and tests/core/vector.c.  Else: driver.c.
 */
#include "config.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/zmtp.h"
#include "tests/core/vector.h"
#include "tests/fuzz/driver.h"

static const char *const types[] = {
    "REQ",  "REP",     "DEALER", "ROUTER", "PUB",     "XPUB",   "SUB",
    "XSUB", "PUSH",    "PULL",   "PAIR",   "CLIENT",  "SERVER", "RADIO",
    "DISH", "SCATTER", "GATHER", "PEER",   "CHANNEL",
};

#define TYPES (sizeof types / sizeof types[0])

static void must(bool right)
{
    if (!right)
        __builtin_trap();
}

/* ---- our side */

/* What a handshake came to. */
struct outcome {
    size_t used;
    ssize_t rc;
    enum weir_zmtp_phase phase;
    enum weir_zmtp_generation generation;
    uint8_t said[4096]; /* what was to be written at the end */
    size_t said_len;
};

static struct weir_zmtp_config configure(const uint8_t *choice)
{
    static const uint64_t frames[] = {0, 0, 0, 10, 41, 64, 300, 100000};
    struct weir_zmtp_config config = {
        .socket_type = types[choice[0] % TYPES],
        .max_frame = frames[choice[1] & 7],
        .identity = "me",
        .identity_len = choice[1] & 8 ? 2 : 0,
        .initiator = (choice[1] & 16) != 0,
    };

    return config;
}

/* One piece, from memory of just its size. */
static ssize_t feed_piece(struct weir_zmtp *z, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len);
    ssize_t rc;

    must(copy != NULL);
    memcpy(copy, data, len);
    rc = weir_zmtp_input(z, copy, len);
    free(copy);
    return rc;
}

static void drain(struct weir_zmtp *z, bool all)
{
    const void *data;
    size_t len;

    while (weir_zmtp_output(z, &data, &len)) {
        must(len > 0);
        weir_zmtp_output_done(z, all ? len : 1);
    }
}

static void see(struct weir_zmtp *z, struct outcome *outcome)
{
    const void *data;
    size_t len;

    outcome->phase = weir_zmtp_phase(z);
    outcome->generation = weir_zmtp_generation(z);
    must((outcome->rc < 0) == (outcome->phase == WEIR_ZMTP_FAILED));
    must((weir_zmtp_reason(z)[0] != '\0') == (outcome->rc < 0));
    outcome->said_len = 0;
    if (weir_zmtp_output(z, &data, &len)) {
        must(len <= sizeof outcome->said);
        memcpy(outcome->said, data, len);
        outcome->said_len = len;
    }
}

/* Feed in pieces of `piece` octets, reading our output between them or not.
 * Memory follows what has come. */
static void shake(struct weir_zmtp *z, const uint8_t *data, size_t len,
                  size_t piece, bool draining, struct outcome *outcome)
{
    size_t n;

    outcome->used = 0;
    outcome->rc = 0;
    while (outcome->used < len && weir_zmtp_phase(z) < WEIR_ZMTP_READY) {
        n = len - outcome->used < piece ? len - outcome->used : piece;
        outcome->rc = feed_piece(z, data + outcome->used, n);
        if (draining)
            drain(z, false);
        must(z->in.room <= 256 + 2 * len);
        if (outcome->rc < 0)
            break;
        must((size_t)outcome->rc <= n);
        must((size_t)outcome->rc == n || z->phase == WEIR_ZMTP_READY);
        outcome->used += (size_t)outcome->rc;
    }
    see(z, outcome);
}

/* ---- what was accepted */

static void check_metadata(const void *metadata, size_t len)
{
    struct weir_zmtp_cursor cursor = weir_zmtp_cursor(metadata, len);
    struct weir_zmtp_property property;
    size_t sum = 0;
    int rc;

    while ((rc = weir_zmtp_next(&cursor, &property)) > 0) {
        must(property.name_len >= 1 && property.name_len <= 255);
        sum += weir_zmtp_property_size(property.name_len, property.value_len);
    }
    must(rc < 0 || sum == len);
}

static void check_peer(const struct weir_zmtp *z)
{
    size_t len;
    const uint8_t *id = weir_zmtp_peer_identity(z, &len);
    const void *metadata;

    must(len <= WEIR_ZMTP_IDENTITY_MAX && (len == 0 || id[0] != 0));
    must(weir_zmtp_peer_type(z) == NULL ||
         weir_zmtp_compatible(z->config.socket_type, weir_zmtp_peer_type(z)));
    must(weir_zmtp_generation(z) >= WEIR_ZMTP_3_0);
    metadata = weir_zmtp_peer_metadata(z, &len);
    check_metadata(metadata, len);
}

/* A subscription written anew says the same. */
static void check_subscription(const struct weir_zmtp_command *command,
                               enum weir_zmtp_generation generation)
{
    bool subscribe = command->kind == WEIR_ZMTP_IS_SUBSCRIBE;
    size_t len =
        weir_zmtp_subscription_size(generation, subscribe, command->len);
    uint8_t *body = malloc(len);
    struct weir_zmtp_command again;

    must(body != NULL);
    if (weir_zmtp_put_subscription(body, generation, subscribe, command->data,
                                   command->len) == WEIR_ZMTP_COMMAND)
        must(weir_zmtp_get_command(body, len, &again) == 0);
    else
        weir_zmtp_get_subscription(body, len, &again);
    must(again.kind == command->kind && again.len == command->len);
    must(command->len == 0 ||
         memcmp(again.data, command->data, again.len) == 0);
    free(body);
}

static void check_ping(const struct weir_zmtp_command *command)
{
    uint8_t frame[WEIR_ZMTP_PING_MAX];
    struct weir_zmtp_command again;
    size_t len =
        weir_zmtp_put_ping(frame, command->ttl, command->data, command->len);

    must(len == 9 + command->len);
    must(weir_zmtp_get_command(frame + 2, len - 2, &again) == 0);
    must(again.kind == WEIR_ZMTP_IS_PING && again.ttl == command->ttl);
    must(weir_zmtp_put_pong(frame, command->data, command->len) == len - 2);
}

static void check_body(const uint8_t *body, size_t len, unsigned flags)
{
    struct weir_zmtp_command command;

    if ((flags & WEIR_ZMTP_COMMAND) == 0)
        weir_zmtp_get_subscription(body, len, &command);
    else if (weir_zmtp_get_command(body, len, &command) < 0)
        return;
    must(command.len <= len);
    if (command.kind == WEIR_ZMTP_IS_PING)
        check_ping(&command);
    if (command.kind == WEIR_ZMTP_IS_ERROR)
        (void)weir_zmtp_error_status(command.data, command.len);
    if (command.kind == WEIR_ZMTP_IS_SUBSCRIBE ||
        command.kind == WEIR_ZMTP_IS_CANCEL) {
        check_subscription(&command, WEIR_ZMTP_3_0);
        check_subscription(&command, WEIR_ZMTP_3_1);
    }
}

static void check_traffic(const uint8_t *data, size_t len, uint64_t limit)
{
    struct weir_zmtp_header header = {0, 0};
    int head;

    while ((head = weir_zmtp_get_header(data, len, limit, &header)) > 0) {
        must((size_t)head <= len && header.size <= limit);
        data += head;
        len -= (size_t)head;
        if (header.size > len)
            return;
        check_body(data, (size_t)header.size, header.flags);
        data += header.size;
        len -= (size_t)header.size;
    }
    if (head < 0)
        must(weir_zmtp_header_fail(data, limit) == head);
}

/* ---- an input */

static void same(const struct outcome *a, const struct outcome *b, bool said)
{
    must(a->rc >= 0 || a->rc == b->rc);
    must(a->rc < 0 || a->used == b->used);
    must(a->phase == b->phase && a->generation == b->generation);
    if (said)
        must(a->said_len == b->said_len &&
             memcmp(a->said, b->said, a->said_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, pieces, octets;
    struct weir_zmtp_config config;
    struct weir_zmtp z;
    uint64_t limit;

    if (size < 3)
        return 0;
    config = configure(data);
    limit = weir_zmtp_limit(config.max_frame);
    data += 2;
    size -= 2;

    must(weir_zmtp_init(&z, &config) == 0);
    shake(&z, data, size, 1 + data[-1] % 97u, false, &pieces);
    weir_zmtp_fini(&z);

    must(weir_zmtp_init(&z, &config) == 0);
    shake(&z, data, size, 1, true, &octets);
    weir_zmtp_fini(&z);

    must(weir_zmtp_init(&z, &config) == 0);
    shake(&z, data, size, size, false, &whole);
    same(&whole, &pieces, true);
    same(&whole, &octets, false);
    if (whole.phase == WEIR_ZMTP_READY) {
        check_peer(&z);
        check_traffic(data + whole.used, size - whole.used, limit);
    }
    drain(&z, true);
    weir_zmtp_fini(&z);
    check_metadata(data, size);
    return 0;
}

/* ---- seeds: every side of every recording, with a type of ours that gets
 * farthest with it */

static size_t join_side(const struct vector *vector, char side, uint8_t *out,
                        size_t room)
{
    const struct vector_line *line;
    size_t len = 0;

    for (size_t i = 0; i < vector->count; i++) {
        line = &vector->lines[i];
        if (line->side != side || line->len == 0)
            continue;
        if (line->len > room - len)
            break;
        memcpy(out + len, line->data, line->len);
        len += line->len;
    }
    return len;
}

static uint8_t fitting_type(const uint8_t *data, size_t len)
{
    struct weir_zmtp_config config = {0};
    struct weir_zmtp z;
    bool ready = false;
    size_t i;

    for (i = 0; i < TYPES && !ready; i++) {
        config.socket_type = types[i];
        must(weir_zmtp_init(&z, &config) == 0);
        (void)weir_zmtp_input(&z, data, len);
        ready = weir_zmtp_phase(&z) == WEIR_ZMTP_READY;
        weir_zmtp_fini(&z);
    }
    return (uint8_t)(ready ? i - 1 : 0);
}

static char *recording(size_t i)
{
    const char *top = getenv("top_srcdir");
    char pattern[4096], *name = NULL;
    glob_t found = {0};

    snprintf(pattern, sizeof pattern, "%s/tests/vectors/*.hex",
             top == NULL ? "." : top);
    if (glob(pattern, 0, NULL, &found) == 0 && i < found.gl_pathc) {
        name = strdup(strrchr(found.gl_pathv[i], '/') + 1);
        must(name != NULL);
        name[strlen(name) - strlen(".hex")] = '\0';
    }
    globfree(&found);
    return name;
}

size_t fuzz_seed(size_t i, uint8_t *out, size_t room)
{
    char *name = recording(i / 2);
    struct vector vector;
    size_t len;

    if (name == NULL)
        return 0;
    must(vector_load(&vector, name) == 0);
    free(name);
    len = join_side(&vector, i % 2 == 0 ? 'C' : 'S', out + 2, room - 2);
    vector_free(&vector);
    out[0] = fitting_type(out + 2, len);
    out[1] = (uint8_t)(i % 3 == 0 ? 8 : 0);
    return len + 2;
}
