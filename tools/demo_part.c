/* demo_part.c - one of the two who talk in `weir demo`. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "demo_part.h"

#define PATIENCE 10000 /* ms for what must come */
#define RETRY    200   /* ms after which INSIST asks again */
#define LAST     UINT64_MAX

/* What is sent: a number and enough to make 64 octets. */
struct content {
    uint64_t number;
    char rest[56];
};

struct player {
    struct weir_demo_part *part;
    struct weir_demo_report *report;
};

/* ---- what goes wrong ---- */

static bool fail(struct player *player, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct player *player, const char *format, ...)
{
    struct weir_demo_report *report = player->report;
    va_list list;

    if (report->failed)
        return false;
    report->failed = 1;
    va_start(list, format);
    vsnprintf(report->problem, sizeof report->problem, format, list);
    va_end(list);
    return false;
}

/* Is `code` no error? */
static bool good(struct player *player, int code, const char *what)
{
    if (code >= 0)
        return true;
    return fail(player, "%s %s: %s", player->part->type, what,
                code == -EAGAIN ? "nothing in time" : weir_common_reason(code));
}

static void say(const char *word)
{
    printf("%s\n", word);
    fflush(stdout);
}

/* ---- messages ---- */

static bool send_number(struct player *player, uint64_t number)
{
    struct content content;
    int code;

    memset(&content, 0, sizeof content);
    content.number = number;
    code = weir_send(player->part->socket, &content, sizeof content, PATIENCE);
    return code >= 0 || good(player, code, "sends");
}

static bool flush(struct player *player)
{
    return good(player, weir_flush(player->part->socket, PATIENCE), "flushes");
}

static bool wait_for_peers(struct player *player, int n)
{
    return good(player, weir_wait_peers(player->part->socket, n, PATIENCE),
                "waits for a peer");
}

/* The number in the message's last frame; envelopes come before it. */
static bool number_of(struct player *player, weir_message *message,
                      uint64_t *number)
{
    weir_frame *frame =
        weir_message_frame(message, weir_message_count(message) - 1);

    if (!frame || weir_frame_size(frame) != sizeof(struct content))
        return fail(player, "%s got a message that nobody sent",
                    player->part->type);
    memcpy(number, weir_frame_data(frame), sizeof *number);
    return true;
}

static bool receive(struct player *player, weir_message *message,
                    uint64_t *number)
{
    return good(player,
                weir_recv_message(player->part->socket, message, PATIENCE),
                "receives") &&
           number_of(player, message, number);
}

/* ---- roles ---- */

/* A first listener, whose wish an XPUB reads as a message. */
static bool meet_listener(struct player *player)
{
    char wish[64];
    size_t size = sizeof wish;

    if (strcmp(player->part->type, "XPUB") == 0)
        return good(player,
                    weir_recv(player->part->socket, wish, &size, PATIENCE),
                    "hears of a subscription");
    return wait_for_peers(player, 1);
}

static bool send_range(struct player *player, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        if (!send_number(player, i))
            return false;
    }
    return true;
}

static bool play_send(struct player *player)
{
    return meet_listener(player) &&
           send_range(player, 1, player->part->count) && flush(player) &&
           send_number(player, LAST) && flush(player);
}

static bool play_twice(struct player *player)
{
    uint64_t count = player->part->count;

    if (!meet_listener(player) || !send_range(player, 1, count / 2))
        return false;
    say("half");
    return wait_for_peers(player, 2) &&
           send_range(player, count / 2 + 1, count) && flush(player) &&
           send_number(player, LAST) && flush(player);
}

static bool play_burst(struct player *player)
{
    if (!meet_listener(player) || !send_range(player, 1, player->part->count))
        return false;
    say("sent");
    return flush(player) && send_number(player, LAST) && flush(player);
}

/* Numbers come in order, though a BURST may have lost some. */
static bool play_take(struct player *player)
{
    struct weir_demo_report *report = player->report;
    uint64_t number = 0, start = 0;
    weir_message message;
    bool right = true;

    weir_message_init(&message);
    while (right && number != LAST) {
        right = receive(player, &message, &number);
        if (!start) {
            start = weir_common_now();
            report->first = number;
        }
        if (right && number <= report->last)
            right = fail(player, "%s got %" PRIu64 " after %" PRIu64,
                         player->part->type, number, report->last);
        if (right && number != LAST)
            report->last = number;
        report->taken += right;
    }
    weir_message_fini(&message);
    report->seconds = (double)(weir_common_now() - start) / 1e9;
    return right;
}

static bool play_slow(struct player *player)
{
    int c;

    do {
        c = getchar();
    } while (c != '\n' && c != EOF);
    return play_take(player);
}

/* One request and its answer. */
static bool ask(struct player *player, uint64_t number)
{
    weir_message message;
    uint64_t answer = 0;
    bool right;

    weir_message_init(&message);
    right = send_number(player, number) && receive(player, &message, &answer);
    weir_message_fini(&message);
    if (right && answer != number)
        right = fail(player, "%s asked %" PRIu64 " and heard %" PRIu64,
                     player->part->type, number, answer);
    player->report->asked++;
    player->report->taken += right;
    return right;
}

static bool play_ask(struct player *player)
{
    uint64_t start;

    if (!wait_for_peers(player, 1))
        return false;
    start = weir_common_now();
    for (uint64_t i = 1; i <= player->part->count; i++) {
        if (!ask(player, i))
            return false;
    }
    player->report->seconds = (double)(weir_common_now() - start) / 1e9;
    return true;
}

static bool answer(struct player *player)
{
    weir_message message;
    uint64_t number;
    bool right;

    weir_message_init(&message);
    right = receive(player, &message, &number) &&
            good(player,
                 weir_send_message(player->part->socket, &message, PATIENCE),
                 "answers");
    weir_message_fini(&message);
    player->report->taken += right;
    return right;
}

static bool play_answer(struct player *player)
{
    for (uint64_t i = 1; i <= player->part->count; i++) {
        if (!answer(player))
            return false;
    }
    return flush(player);
}

static bool play_serve(struct player *player)
{
    while (answer(player))
        ;
    return false;
}

/* A request that may get no answer: the server is dead, or a new one is not
 * there yet.  The socket is "relaxed", so it may be asked again. */
static bool insist(struct player *player, uint64_t number)
{
    uint64_t until = weir_common_until(10), heard = 0;
    weir_message message;
    int code = -EAGAIN;

    weir_message_init(&message);
    while (code == -EAGAIN && weir_common_left(until, -1)) {
        player->report->again += player->report->asked == number;
        player->report->asked = number;
        if (!send_number(player, number))
            break;
        code = weir_recv_message(player->part->socket, &message, RETRY);
    }
    if (code >= 0 && number_of(player, &message, &heard) && heard != number)
        fail(player, "asked %" PRIu64 " and heard %" PRIu64, number, heard);
    weir_message_fini(&message);
    return good(player, code, "asks and asks") && !player->report->failed;
}

static bool play_insist(struct player *player)
{
    struct weir_demo_report *report = player->report;

    for (uint64_t i = 1; i <= player->part->count; i++) {
        uint64_t start = weir_common_now();
        double seconds;

        if (!insist(player, i))
            return false;
        report->taken++;
        seconds = (double)(weir_common_now() - start) / 1e9;
        if (seconds > report->seconds)
            report->seconds = seconds;
        if (i == player->part->count / 2) {
            say("half");
            getchar(); /* until the server is dead */
        }
    }
    return true;
}

static bool (*const roles[])(struct player *player) = {
    [WEIR_DEMO_SEND] = play_send,     [WEIR_DEMO_TAKE] = play_take,
    [WEIR_DEMO_ASK] = play_ask,       [WEIR_DEMO_ANSWER] = play_answer,
    [WEIR_DEMO_TWICE] = play_twice,   [WEIR_DEMO_BURST] = play_burst,
    [WEIR_DEMO_SLOW] = play_slow,     [WEIR_DEMO_SERVE] = play_serve,
    [WEIR_DEMO_INSIST] = play_insist,
};
#define ROLES ((int)(sizeof roles / sizeof roles[0]))

/* ---- a part from beginning to end ---- */

static bool set(struct player *player, const char *option, const char *value)
{
    return good(player, weir_set(player->part->socket, option, value), option);
}

static bool set_options(struct player *player)
{
    enum weir_demo_role role = player->part->role;

    if (role == WEIR_DEMO_INSIST)
        return set(player, "relaxed", "yes") && set(player, "correlate", "yes");
    if (role == WEIR_DEMO_BURST)
        return set(player, "send-mark", "1000");
    if (role == WEIR_DEMO_SLOW)
        return set(player, "recv-mark", "1000");
    if (role == WEIR_DEMO_SEND && strstr(player->part->type, "PUB"))
        return set(player, "nodrop", "yes");
    return true;
}

static bool subscribe(struct player *player)
{
    if (strcmp(player->part->type, "SUB") == 0)
        return good(player, weir_subscribe(player->part->socket, "", 0),
                    "subscribes");
    if (strcmp(player->part->type, "XSUB") == 0)
        return good(player, weir_send(player->part->socket, "\1", 1, PATIENCE),
                    "subscribes");
    return true;
}

static bool join(struct player *player)
{
    const struct weir_demo_part *part = player->part;
    weir_endpoint endpoint;
    char url[256];

    if (!part->binds)
        return good(player, weir_connect(player->part->socket, part->url, NULL),
                    "connects");
    if (!good(player, weir_bind(player->part->socket, part->url, &endpoint),
              "binds") ||
        !good(player, weir_endpoint_url(endpoint, url, sizeof url),
              "has a URL"))
        return false;
    if (part->is_process) {
        printf("url %s\n", url);
        fflush(stdout);
    }
    return true;
}

static bool set_up(struct player *player)
{
    struct weir_demo_part *part = player->part;

    if (part->is_process &&
        !good(player, weir_context_open(&part->context, 1), "starts"))
        return false;
    return good(player,
                weir_open_named(&part->socket, part->context, part->type),
                "opens") &&
           set_options(player) && subscribe(player) && join(player);
}

void weir_demo_play(struct weir_demo_part *part,
                    struct weir_demo_report *report)
{
    struct player player = {part, report};

    memset(report, 0, sizeof *report);
    if (set_up(&player))
        roles[part->role](&player);
}

void weir_demo_end(struct weir_demo_part *part, struct weir_demo_report *report)
{
    struct player player = {part, report};
    uint64_t unsent = 0;

    report->stats.size = sizeof report->stats;
    good(&player, weir_socket_stats(part->socket, &report->stats), "counts");
    if (weir_close(part->socket, report->failed ? 0 : PATIENCE, &unsent) ==
        -EAGAIN)
        fail(&player, "%s closed with %" PRIu64 " unsent", part->type, unsent);
    if (part->is_process)
        weir_context_close(part->context, PATIENCE);
}

/* ---- a part as a process: ROLE TYPE bind|connect URL COUNT ---- */

int weir_demo_part_main(int argc, const char *const *argv)
{
    struct weir_demo_part part = {.is_process = true};
    struct weir_demo_report report = {.failed = 0};
    int role = argc == 5 ? atoi(argv[0]) : -1;

    if (role < 0 || role >= ROLES)
        return weir_common_fail("this is a part of `weir demo`");
    part.role = (enum weir_demo_role)role;
    part.type = argv[1];
    part.binds = strcmp(argv[2], "bind") == 0;
    part.url = argv[3];
    part.count = strtoull(argv[4], NULL, 10);
    alarm(60);
    weir_demo_play(&part, &report);
    weir_demo_end(&part, &report);
    fputs("report\n", stdout);
    return fwrite(&report, sizeof report, 1, stdout) == 1 ? 0 : 1;
}
