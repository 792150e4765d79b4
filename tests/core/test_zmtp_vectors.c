/*
 * test_zmtp_vectors.c - replay of recorded conversations: we play one side,
 * what we say must be what was recorded, octet for octet.
 *
 * The recordings show what libzmq does.  Where ours must do otherwise the
 * row says so: `said` is then what we say instead, `why` the reason.
 *
 * After the handshake the codec speaks only when asked: the messages,
 * subscriptions and PINGs of our side are taken from the recording and
 * encoded again.  What a socket would do with them (routing, envelopes,
 * filters, timers) is not the codec's.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "core/zmtp.h"
#include "tests/core/vector.h"

#define SIGNATURE "ff00000000000000017f"

enum ending {
    TRAFFIC, /* the handshake ended well */
    HALF,    /* the recording stops before its end */
    REFUSED, /* the codec refuses the peer in the handshake */
    CUT      /* a frame of the traffic is refused */
};

struct replay {
    const char *name; /* of the recording */
    char we;          /* the side we play, 'C' or 'S' */
    const char *type; /* our socket type */
    enum ending ending;
    int code;             /* .ending = REFUSED, .code = CUT: why */
    const char *received; /* messages "a+b,c,": a and b in one; commands in
                             angle brackets */
    const char *identity; /* ours */
    uint64_t max_frame;
    bool staged; /* the order of all lines counts */
    const char *said, *why;
};

/* Lines of recordings. */
#define GREET_FIRST "flushes its greeting of 64 octets before closing"
#define NO_OLD      "generations before 3.0 are told apart and refused"

static const struct replay replays[] = {
    /* Greeting. */
    {"null-greeting-staged", 'S', "DEALER", TRAFFIC, .received = "world,",
     .staged = true},
    {"ok-odd-signature", 'S', "DEALER", TRAFFIC, .received = "x,"},
    {"ok-minor-7", 'S', "DEALER", TRAFFIC, .received = "x,"},
    {"peer-major-4", 'S', "DEALER", TRAFFIC, .received = "x,"},
    {"err-mechanism-mismatch", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE "03014e554c4c 00*48",
     .why = GREET_FIRST},
    {"err-mechanism-trailing-garbage", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE "03014e554c4c 00*48",
     .why = GREET_FIRST},
    {"err-http-garbage", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE, .why = NO_OLD},
    {"peer-1.0-anonymous", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE, .why = NO_OLD},
    {"peer-1.0-identity", 'S', "ROUTER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .identity = "srv", .said = "ff00000000000000047f",
     .why = NO_OLD},
    {"peer-1.0-long-identity", 'S', "ROUTER", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE, .why = NO_OLD},
    {"peer-1.0-sub-to-xpub", 'S', "XPUB", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE, .why = NO_OLD},
    {"peer-rev0", 'S', "DEALER", .ending = REFUSED, .code = EPROTONOSUPPORT,
     .said = SIGNATURE "03", .why = NO_OLD},
    {"peer-2.0", 'S', "ROUTER", .ending = REFUSED, .code = EPROTONOSUPPORT,
     .said = SIGNATURE "03", .why = NO_OLD},
    {"peer-2.0-xpub-type", 'S', "XPUB", .ending = REFUSED,
     .code = EPROTONOSUPPORT, .said = SIGNATURE "03", .why = NO_OLD},
    {"peer-rev2", 'S', "DEALER", .ending = REFUSED, .code = EPROTONOSUPPORT,
     .said = SIGNATURE "03", .why = "revision 2 is a 2.0, and refused"},
    {"sub-to-1.0", 'C', "SUB", .ending = REFUSED, .code = EPROTONOSUPPORT,
     .said = SIGNATURE, .why = NO_OLD},
    {"sub-to-2.0", 'C', "SUB", .ending = REFUSED, .code = EPROTONOSUPPORT,
     .said = SIGNATURE "03", .why = NO_OLD},

    /* Frames. */
    {"frames-null-3.1", 'S', "PUSH", TRAFFIC, .received = ""},
    {"ok-reserved-bits", 'S', "DEALER", TRAFFIC, .received = "x,y+z,"},
    {"ok-long-form-short-body", 'S', "DEALER", TRAFFIC, .received = "x,,"},
    {"err-oversize", 'S', "DEALER", .ending = CUT, .code = EMSGSIZE,
     .max_frame = 64, .received = "a*64,"},
    {"err-oversize-2-63", 'S', "DEALER", .ending = CUT, .code = EPROTO,
     .max_frame = 1000, .received = ""},
    {"err-oversize-handshake", 'S', "DEALER", .ending = REFUSED,
     .code = EMSGSIZE, .max_frame = 10},
    {"err-truncated-frame", 'S', "DEALER", TRAFFIC, .received = "ok,"},
    {"pull-partial-multipart", 'S', "PULL", TRAFFIC,
     .received = "whole,p1+p2+"},

    /* Handshake. */
    {"ok-no-socket-type", 'S', "DEALER", TRAFFIC, .received = "x,"},
    {"ok-ready-in-message-frame", 'S', "DEALER", TRAFFIC, .received = "x,"},
    {"err-command-instead-of-ready", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTO},
    {"err-message-before-ready", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTO},
    {"err-error-command", 'S', "DEALER", .ending = REFUSED,
     .code = ECONNREFUSED},
    {"err-metadata-one-trailing-octet", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTO},
    {"err-metadata-truncated", 'S', "DEALER", .ending = REFUSED,
     .code = EPROTO},
    {"err-socket-type", 'S', "DEALER", .ending = REFUSED,
     .code = WEIR_EINCOMPATIBLE},
    {"err-socket-type-case", 'S', "DEALER", .ending = REFUSED,
     .code = WEIR_EINCOMPATIBLE},
    {"err-handshake-timeout", 'S', "DEALER", .ending = HALF},
    {"ready-channel", 'C', "CHANNEL", .ending = HALF},
    {"ready-client", 'C', "CLIENT", .ending = HALF},
    {"ready-dealer", 'C', "DEALER", .ending = HALF},
    {"ready-dealer-ident", 'C', "DEALER", .ending = HALF, .identity = "id-1"},
    {"ready-dish", 'C', "DISH", .ending = HALF},
    {"ready-gather", 'C', "GATHER", .ending = HALF},
    {"ready-pair", 'C', "PAIR", .ending = HALF},
    {"ready-peer", 'C', "PEER", .ending = HALF},
    {"ready-pub", 'C', "PUB", .ending = HALF},
    {"ready-pull", 'C', "PULL", .ending = HALF},
    {"ready-push", 'C', "PUSH", .ending = HALF},
    {"ready-radio", 'C', "RADIO", .ending = HALF},
    {"ready-rep", 'C', "REP", .ending = HALF},
    {"ready-req", 'C', "REQ", .ending = HALF},
    {"ready-req-ident", 'C', "REQ", .ending = HALF, .identity = "id-1"},
    {"ready-router", 'C', "ROUTER", .ending = HALF},
    {"ready-router-ident", 'C', "ROUTER", .ending = HALF, .identity = "id-1"},
    {"ready-scatter", 'C', "SCATTER", .ending = HALF},
    {"ready-server", 'C', "SERVER", .ending = HALF},
    {"ready-sub", 'C', "SUB", .ending = HALF},
    {"ready-xpub", 'C', "XPUB", .ending = HALF},
    {"ready-xsub", 'C', "XSUB", .ending = HALF},

    /* Commands, heartbeats, subscriptions. */
    {"ok-unknown-commands", 'S', "DEALER", TRAFFIC,
     .received = "<ignored><ignored><ignored><READY>x,"},
    {"ping-pong", 'S', "DEALER", TRAFFIC,
     .received = "<PING><PING><PING><PING><PING><PING><PING><PONG>"},
    {"ping-sent", 'S', "DEALER", TRAFFIC, .received = ""},
    {"ping-ttl-expiry", 'S', "DEALER", TRAFFIC, .received = "<PING 300 ms>"},
    {"sub-to-3.0", 'C', "SUB", TRAFFIC, .received = "a1,zz,b2+x,"},
    {"sub-to-3.1", 'C', "SUB", TRAFFIC, .received = "a1,zz,b2+x,"},
    {"sub-resend-on-reconnect", 'C', "SUB", TRAFFIC, .received = ""},
    {"xpub-accepts-both-forms", 'S', "XPUB", TRAFFIC,
     .received = "<SUBSCRIBE A>\\01B,\\01B,\\00A,<CANCEL B>hello,<ignored>"},
    {"xpub-welcome", 'S', "XPUB", TRAFFIC, .received = ""},

    /* A real 3.0 on the other side. */
    {"gen-4.1.8-dealer-connects-router", 'S', "ROUTER", TRAFFIC,
     .received = "q1+q2,"},
    {"gen-4.1.8-pair-connects-pair", 'S', "PAIR", TRAFFIC, .received = "p1,"},
    {"gen-4.1.8-pub-binds-sub", 'C', "SUB", TRAFFIC, .received = "abc,"},
    {"gen-4.1.8-pub-connects-sub", 'S', "SUB", TRAFFIC, .received = "abc+d,"},
    {"gen-4.1.8-push-connects-pull", 'S', "PULL", TRAFFIC,
     .received = "p1,p2+p3,"},
    {"gen-4.1.8-rep-binds-req", 'C', "REQ", TRAFFIC, .received = "+a1,"},
    {"gen-4.1.8-req-connects-rep", 'S', "REP", TRAFFIC, .received = "+q1,"},
    {"gen-4.1.8-sub-binds-pub", 'C', "PUB", TRAFFIC, .received = "\\01ab,"},
    {"gen-4.1.8-sub-connects-xpub", 'S', "XPUB", TRAFFIC,
     .received = "\\01ab,"},

    /* Envelopes and routing ids, as the codec sees them. */
    {"req-rep-envelope", 'S', "REQ", TRAFFIC, .received = "+ans,"},
    {"req-correlate", 'S', "REQ", TRAFFIC,
     .received = "\\fd\\ad\\0b\\c4++old,\\fe\\ad\\0b\\c4++new,"},
    {"rep-envelope", 'S', "REP", TRAFFIC, .received = "nodelim,e1+e2++q+,"},
    {"err-req-reply-no-delimiter", 'S', "REQ", TRAFFIC, .received = "x,"},
    {"err-req-reply-lone-empty", 'S', "REQ", TRAFFIC, .received = ","},
    {"err-req-reply-five-octet-prefix", 'S', "REQ", TRAFFIC,
     .received = "idxx5++z,"},
    {"router-notify", 'S', "ROUTER", TRAFFIC, .received = "part+"},
    {"router-probe", 'C', "DEALER", TRAFFIC, .received = ""},
};

/* How the peer's octets come in. */
enum pieces {
    BY_LINE,
    BY_OCTET,
    AT_ONCE /* and we write nothing before all is in */
};

#define ROOM (1 << 18)

struct stream {
    uint8_t data[ROOM];
    size_t len;
};

/* One connection of a replay. */
static struct player {
    const struct replay *row;
    enum pieces pieces;
    struct weir_zmtp z;
    struct stream said;     /* by us, now */
    struct stream recorded; /* of our side */
    struct stream heard;    /* from the peer, after the handshake */
    struct stream pongs;    /* that we owe */
    char received[4096];
    int code; /* the first error */
} player;

static void append(struct stream *stream, const void *data, size_t len)
{
    assert_true(stream->len + len <= ROOM);
    if (len > 0)
        memcpy(stream->data + stream->len, data, len);
    stream->len += len;
}

static void drop_front(struct stream *stream, size_t len)
{
    stream->len -= len;
    memmove(stream->data, stream->data + len, stream->len);
}

/* ---- what we hear */

static void print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static void print(const char *format, ...)
{
    size_t len = strlen(player.received);
    va_list args;

    va_start(args, format);
    vsnprintf(player.received + len, sizeof player.received - len, format,
              args);
    va_end(args);
}

static bool uniform(const uint8_t *data, size_t len)
{
    return memcmp(data, data + 1, len - 1) == 0;
}

static void print_octets(const uint8_t *data, size_t len)
{
    if (len > 20 && uniform(data, len)) {
        print("%c*%zu", data[0], len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (data[i] > ' ' && data[i] < 0x7F)
            print("%c", data[i]);
        else
            print("\\%02x", data[i]);
    }
}

static void print_subscription(const char *name,
                               const struct weir_zmtp_command *command)
{
    print("<%s ", name);
    print_octets(command->data, command->len);
    print(">");
}

static void hear_ping(const struct weir_zmtp_command *command)
{
    uint8_t pong[WEIR_ZMTP_PONG_MAX];

    append(&player.pongs, pong,
           weir_zmtp_put_pong(pong, command->data, command->len));
    if (command->ttl == 0)
        print("<PING>");
    else
        print("<PING %u ms>", (unsigned)command->ttl);
}

static void hear_command(const uint8_t *body, size_t len)
{
    struct weir_zmtp_command command;

    assert_int_equal(weir_zmtp_get_command(body, len, &command), 0);
    if (command.kind == WEIR_ZMTP_IS_PING)
        hear_ping(&command);
    else if (command.kind == WEIR_ZMTP_IS_PONG)
        print("<PONG>");
    else if (command.kind == WEIR_ZMTP_IS_READY)
        print("<READY>");
    else if (command.kind == WEIR_ZMTP_IS_SUBSCRIBE)
        print_subscription("SUBSCRIBE", &command);
    else if (command.kind == WEIR_ZMTP_IS_CANCEL)
        print_subscription("CANCEL", &command);
    else
        print("<ignored>");
}

static void hear_frame(const struct weir_zmtp_header *header,
                       const uint8_t *body)
{
    if (header->flags & WEIR_ZMTP_COMMAND) {
        hear_command(body, (size_t)header->size);
        return;
    }
    print_octets(body, (size_t)header->size);
    print(header->flags & WEIR_ZMTP_MORE ? "+" : ",");
}

static void hear(void)
{
    struct weir_zmtp_header header = {0, 0};
    struct stream *heard = &player.heard;
    uint64_t limit = weir_zmtp_limit(player.row->max_frame);
    int head;

    while (player.code == 0) {
        head = weir_zmtp_get_header(heard->data, heard->len, limit, &header);
        if (head < 0)
            player.code = -head;
        if (head <= 0 || (size_t)head + header.size > heard->len)
            break;
        hear_frame(&header, heard->data + head);
        drop_front(heard, (size_t)head + (size_t)header.size);
    }
}

/* ---- what we say */

static void drain(void)
{
    const void *data;
    size_t len;

    while (weir_zmtp_output(&player.z, &data, &len)) {
        append(&player.said, data, len);
        weir_zmtp_output_done(&player.z, len);
    }
}

static void say_message(const struct weir_zmtp_header *header,
                        const uint8_t *body)
{
    uint8_t head[WEIR_ZMTP_HEADER_MAX];

    append(&player.said, head,
           weir_zmtp_put_header(head, header->size, header->flags));
    append(&player.said, body, (size_t)header->size);
}

static void say_subscription(const struct weir_zmtp_command *command)
{
    uint8_t body[1024], head[WEIR_ZMTP_HEADER_MAX];
    enum weir_zmtp_generation peer = weir_zmtp_generation(&player.z);
    bool subscribe = command->kind == WEIR_ZMTP_IS_SUBSCRIBE;
    size_t size = weir_zmtp_subscription_size(peer, subscribe, command->len);
    unsigned flags;

    assert_true(size <= sizeof body);
    flags = weir_zmtp_put_subscription(body, peer, subscribe, command->data,
                                       command->len);
    append(&player.said, head, weir_zmtp_put_header(head, size, flags));
    append(&player.said, body, size);
}

static void say_pong(void)
{
    size_t len = 2 + (size_t)player.pongs.data[1];

    assert_true(player.pongs.len >= len);
    append(&player.said, player.pongs.data, len);
    drop_front(&player.pongs, len);
}

static void say_command(const struct weir_zmtp_command *command)
{
    uint8_t ping[WEIR_ZMTP_PING_MAX];

    if (command->kind == WEIR_ZMTP_IS_PONG) {
        say_pong();
    } else if (command->kind == WEIR_ZMTP_IS_PING) {
        append(&player.said, ping,
               weir_zmtp_put_ping(ping, command->ttl, command->data,
                                  command->len));
    } else {
        assert_in_range(command->kind, WEIR_ZMTP_IS_SUBSCRIBE,
                        WEIR_ZMTP_IS_CANCEL);
        say_subscription(command);
    }
}

/* Our side's frame, as recorded: encode the same anew. */
static void say_frame(const struct weir_zmtp_header *header,
                      const uint8_t *body)
{
    struct weir_zmtp_command command = {.kind = WEIR_ZMTP_IGNORE};
    bool subscriber = strstr(player.row->type, "SUB") != NULL;
    size_t len = (size_t)header->size;

    if (header->flags & WEIR_ZMTP_COMMAND)
        assert_int_equal(weir_zmtp_get_command(body, len, &command), 0);
    else if (subscriber)
        weir_zmtp_get_subscription(body, len, &command);
    if (command.kind == WEIR_ZMTP_IGNORE)
        say_message(header, body);
    else
        say_command(&command);
}

static void say_traffic(void)
{
    struct weir_zmtp_header header = {0, 0};
    const struct stream *recorded = &player.recorded;
    const uint8_t *at;
    size_t left;
    int head;

    while (player.said.len < recorded->len) {
        at = recorded->data + player.said.len;
        left = recorded->len - player.said.len;
        head = weir_zmtp_get_header(at, left, weir_zmtp_limit(0), &header);
        assert_true(head > 0);
        assert_true((size_t)head + header.size <= left);
        say_frame(&header, at + head);
    }
    assert_int_equal(player.pongs.len, 0);
}

/* ---- a replay */

/* Some octets of the peer. */
static void feed(const uint8_t *data, size_t len)
{
    ssize_t used;

    if (player.code != 0)
        return;
    if (player.pieces != AT_ONCE)
        drain();
    used = weir_zmtp_input(&player.z, data, len);
    if (player.pieces != AT_ONCE)
        drain();
    if (used < 0) {
        player.code = (int)-used;
        return;
    }
    append(&player.heard, data + used, len - (size_t)used);
    hear();
}

static void feed_line(const struct vector_line *line)
{
    size_t piece = player.pieces == BY_OCTET ? 1 : line->len;

    for (size_t at = 0; at < line->len; at += piece)
        feed(line->data + at, piece);
}

/* All that we should have said by now, and nothing else. */
static void compare(void)
{
    if (player.code == 0 && weir_zmtp_phase(&player.z) == WEIR_ZMTP_READY)
        say_traffic();
    assert_int_equal(player.said.len, player.recorded.len);
    assert_memory_equal(player.said.data, player.recorded.data,
                        player.said.len);
}

static void play_line(const struct vector_line *line)
{
    if (line->side == player.row->we) {
        append(&player.recorded, line->data, line->len);
        return;
    }
    if (player.row->staged && player.pieces != AT_ONCE) {
        drain();
        compare();
    }
    feed_line(line);
}

/* Everything of the peer in one piece. */
static void play_at_once(const struct vector_line *lines, size_t count)
{
    static struct stream all;

    all.len = 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].side == player.row->we)
            append(&player.recorded, lines[i].data, lines[i].len);
        else
            append(&all, lines[i].data, lines[i].len);
    }
    feed(all.data, all.len);
}

static void check_ending(void)
{
    static const enum weir_zmtp_phase phases[] = {
        [TRAFFIC] = WEIR_ZMTP_READY,
        [HALF] = WEIR_ZMTP_HANDSHAKE,
        [REFUSED] = WEIR_ZMTP_FAILED,
        [CUT] = WEIR_ZMTP_READY,
    };
    const struct replay *row = player.row;

    if (weir_zmtp_phase(&player.z) != phases[row->ending])
        print_error("%s\n", weir_zmtp_reason(&player.z));
    assert_int_equal(weir_zmtp_phase(&player.z), phases[row->ending]);
    assert_int_equal(player.code, row->code);
    if (row->received != NULL)
        assert_string_equal(player.received, row->received);
}

/* Who refuses a type before having written READY says ERROR instead, which
 * no recording shows. */
static void check_said(void)
{
    const struct replay *row = player.row;
    long len;

    drain();
    if (row->said != NULL) {
        len = vector_hex(row->said, player.recorded.data, ROOM);
        assert_true(len > 0);
        player.recorded.len = (size_t)len;
    }
    if (player.pieces != AT_ONCE || row->code != WEIR_EINCOMPATIBLE)
        compare();
}

static void begin(const struct replay *row, enum pieces pieces)
{
    struct weir_zmtp_config config = {
        .socket_type = row->type,
        .identity = row->identity,
        .identity_len = row->identity == NULL ? 0 : strlen(row->identity),
        .max_frame = row->max_frame,
        .initiator = row->we == 'C',
    };

    memset(&player, 0, sizeof player);
    player.row = row;
    player.pieces = pieces;
    assert_int_equal(weir_zmtp_init(&player.z, &config), 0);
}

static void play(const struct replay *row, enum pieces pieces,
                 const struct vector_line *lines, size_t count)
{
    begin(row, pieces);
    if (pieces == AT_ONCE)
        play_at_once(lines, count);
    for (size_t i = 0; pieces != AT_ONCE && i < count; i++)
        play_line(&lines[i]);
    check_ending();
    check_said();
    weir_zmtp_fini(&player.z);
}

/* Octets after an end belong to another connection. */
static void play_connections(const struct replay *row, enum pieces pieces,
                             const struct vector *vector)
{
    size_t from = 0, to;

    while (from < vector->count) {
        for (to = from; to < vector->count && !vector->lines[to].eof; to++)
            ;
        if (to > from)
            play(row, pieces, vector->lines + from, to - from);
        from = to + 1;
    }
}

static void test_replay(void **state)
{
    const struct replay *row = *state;
    struct vector vector;

    assert_int_equal(row->said == NULL, row->why == NULL);
    assert_int_equal(vector_load(&vector, row->name), 0);
    assert_true(vector.count > 0);
    for (int pieces = BY_LINE; pieces <= AT_ONCE; pieces++)
        play_connections(row, (enum pieces)pieces, &vector);
    vector_free(&vector);
}

int main(void)
{
    enum { COUNT = sizeof replays / sizeof replays[0] };
    struct CMUnitTest tests[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){
            .name = replays[i].name,
            .test_func = test_replay,
            .initial_state = (void *)(uintptr_t)&replays[i],
        };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
