/* transport.c - what every transport must do. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "couple.h"

/* ---- patterns ---- */

static bool push_pull(struct weir_check_run *run, enum weir_check_order order)
{
    struct weir_check_couple c;
    bool good = weir_check_join(run, &c, "PULL", "PUSH", order) &&
                weir_check_carry(run, c.dialer, c.binder, "one") &&
                weir_check_carry(run, c.dialer, c.binder, "two");

    return weir_check_part(run, &c, good);
}

static bool bind_first(struct weir_check_run *run)
{
    return push_pull(run, WEIR_CHECK_BIND_FIRST);
}

static bool connect_first(struct weir_check_run *run)
{
    return push_pull(run, WEIR_CHECK_CONNECT_FIRST);
}

/* The side that binds may be the one that sends. */
static bool push_binds(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PUSH", "PULL", WEIR_CHECK_BIND_FIRST) &&
        weir_check_carry(run, c.binder, c.dialer, "one");

    return weir_check_part(run, &c, good);
}

static bool pub_sub(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PUB", "SUB", WEIR_CHECK_CONNECT_FIRST) &&
        weir_check_say(run, c.binder, "b: unwanted") &&
        weir_check_carry(run, c.binder, c.dialer, "a: wanted");

    return weir_check_part(run, &c, good);
}

static bool xpub_xsub(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "XPUB", "XSUB", WEIR_CHECK_BIND_FIRST) &&
        weir_check_carry(run, c.dialer, c.binder, "\1a") &&
        weir_check_carry(run, c.binder, c.dialer, "a: wanted");

    return weir_check_part(run, &c, good);
}

static bool req_rep(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "REP", "REQ", WEIR_CHECK_CONNECT_FIRST);

    for (int i = 0; i < 3 && good; i++)
        good = weir_check_carry(run, c.dialer, c.binder, "question") &&
               weir_check_carry(run, c.binder, c.dialer, "answer");
    return weir_check_part(run, &c, good);
}

/* A ROUTER gets the sender's id before the message; sent back with it, the
 * message goes to that sender. */
static bool router_returns(struct weir_check_run *run, weir_socket router,
                           const char *text)
{
    weir_message message;
    weir_frame *frame;
    bool good = true;

    weir_message_init(&message);
    good = weir_check_good(
        run, weir_recv_message(router, &message, run->check->patience),
        "the ROUTER receives");
    frame = good ? weir_message_frame(&message, 1) : NULL;
    if (good && (!frame || weir_message_count(&message) != 2))
        good = weir_check_fail(run, "the ROUTER got %u frames, not 2",
                               (unsigned)weir_message_count(&message));
    if (good && (weir_frame_size(frame) != strlen(text) ||
                 memcmp(weir_frame_data(frame), text, strlen(text)) != 0))
        good = weir_check_fail(run, "the ROUTER got another message");
    if (good)
        good = weir_check_good(
            run, weir_send_message(router, &message, run->check->patience),
            "the ROUTER sends");
    weir_message_fini(&message);
    return good;
}

static bool dealer_router(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "ROUTER", "DEALER", WEIR_CHECK_BIND_FIRST) &&
        weir_check_say(run, c.dialer, "there and back") &&
        router_returns(run, c.binder, "there and back") &&
        weir_check_hear(run, c.dialer, "there and back");

    return weir_check_part(run, &c, good);
}

static bool pair_pair(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PAIR", "PAIR", WEIR_CHECK_CONNECT_FIRST) &&
        weir_check_carry(run, c.dialer, c.binder, "there") &&
        weir_check_carry(run, c.binder, c.dialer, "back");

    return weir_check_part(run, &c, good);
}

/* ---- what messages are made of ---- */

static const size_t sizes[] = {0, 1, 40, 41, 255, 256, 65536, 1 << 20};
#define SIZES (sizeof sizes / sizeof sizes[0])

static bool all_sizes(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good = weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST);

    for (size_t i = 0; i < SIZES && good; i++)
        good = weir_check_frames(run, c.dialer, c.binder, &sizes[i], 1);
    return weir_check_part(run, &c, good);
}

static bool multipart(struct weir_check_run *run)
{
    static const size_t ends[] = {0, 300, 0};
    static size_t many[1000];
    struct weir_check_couple c;
    bool good = weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST);

    for (size_t i = 0; i < 1000; i++)
        many[i] = i % 7;
    good = good && weir_check_frames(run, c.dialer, c.binder, sizes, SIZES) &&
           weir_check_frames(run, c.dialer, c.binder, ends, 3) &&
           weir_check_frames(run, c.dialer, c.binder, many, 1000);
    return weir_check_part(run, &c, good);
}

/* Send numbered messages until the way is full (or enough have gone). */
static bool fill_up(struct weir_check_run *run, weir_socket socket,
                    uint32_t *sent)
{
    unsigned char data[100] = {0};
    int code = 0;

    while (*sent < 100000) {
        memcpy(data, sent, sizeof *sent);
        code = weir_send(socket, data, sizeof data, WEIR_NOWAIT);
        if (code < 0)
            break;
        ++*sent;
    }
    return code == -EAGAIN || weir_check_good(run, code, "send");
}

static bool take_all(struct weir_check_run *run, weir_socket socket,
                     uint32_t sent)
{
    unsigned char data[100];
    uint32_t number;

    for (uint32_t i = 0; i < sent; i++) {
        size_t size = sizeof data;
        int code = weir_recv(socket, data, &size, run->check->patience);

        if (code == -EAGAIN)
            return weir_check_fail(run, "message %u of %u did not come",
                                   (unsigned)i, (unsigned)sent);
        if (code < 0)
            return weir_check_good(run, code, "receive");
        memcpy(&number, data, sizeof number);
        if (number != i)
            return weir_check_fail(run, "message %u came in place of %u",
                                   (unsigned)number, (unsigned)i);
    }
    return true;
}

/* A reader that is away loses nothing, and all comes in order. */
static bool backpressure(struct weir_check_run *run)
{
    uint32_t sent = 0;
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST) &&
        fill_up(run, c.dialer, &sent) &&
        weir_check_balanced(run, c.dialer, "a full sender") &&
        weir_check_balanced(run, c.binder, "a full receiver") &&
        take_all(run, c.binder, sent);

    return weir_check_part(run, &c, good);
}

/* ---- addresses ---- */

static bool duplicate_bind(struct weir_check_run *run)
{
    weir_socket second = {0, 0};
    const char *address;
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST) &&
        weir_check_open(run, "PULL", &second);
    int code;

    if (good) {
        code = weir_bind(second, c.url, NULL);
        address = strstr(c.url, "://");
        address = address ? address + 3 : c.url;
        if (code != -EADDRINUSE)
            good = weir_check_fail(run, "a second bind gave %d (%s), not %d",
                                   code, weir_strerror(code), -EADDRINUSE);
        else if (!strstr(weir_last_error(), address))
            good = weir_check_fail(run, "\"%s\" does not name %s",
                                   weir_last_error(), address);
        good = good && weir_check_carry(run, c.dialer, c.binder, "still here");
        good = weir_check_close(run, &second, "the second") && good;
    }
    return weir_check_part(run, &c, good);
}

static bool bad_addresses(struct weir_check_run *run)
{
    const struct weir_check_bad *bad = run->check->bad;
    weir_socket socket = {0, 0};
    bool good = weir_check_open(run, "DEALER", &socket);

    for (; good && bad && bad->url; bad++)
        good = weir_check_refused(run, socket, bad);
    return weir_check_close(run, &socket, "a socket without endpoints") && good;
}

static bool bad_options(struct weir_check_run *run)
{
    char url[WEIR_CHECK_URL + 32];
    struct weir_check_bad bad = {url, "banana"};
    weir_socket socket = {0, 0};
    bool good =
        weir_check_open(run, "DEALER", &socket) && weir_check_url(run, url);

    strcat(url, "?send-mark=banana");
    good = good && weir_check_refused(run, socket, &bad);
    return weir_check_close(run, &socket, "a socket without endpoints") && good;
}

static bool wildcard(struct weir_check_run *run)
{
    char first[WEIR_CHECK_URL], second[WEIR_CHECK_URL];
    const char *pattern = run->check->wildcard_url;
    weir_endpoint one, two;
    struct weir_check_couple c = {{0, 0}, {0, 0}, {0, 0}, {0, 0}, ""};
    bool good;

    if (!pattern) {
        run->skipped = 1;
        return weir_check_fail(run, "no wildcard was named");
    }
    weir_check_expand(pattern, c.url);
    good = weir_check_open(run, "PULL", &c.binder) &&
           weir_check_open(run, "PUSH", &c.dialer) &&
           weir_check_good(run, weir_bind(c.binder, c.url, &one), "bind") &&
           weir_check_good(run, weir_bind(c.binder, c.url, &two), "bind") &&
           weir_check_good(run, weir_endpoint_url(one, first, sizeof first),
                           "URL") &&
           weir_check_good(run, weir_endpoint_url(two, second, sizeof second),
                           "URL");
    if (good && (strcmp(first, c.url) == 0 || strcmp(first, second) == 0))
        good =
            weir_check_fail(run, "%s became %s and %s", c.url, first, second);
    good = good &&
           weir_check_good(run, weir_connect(c.dialer, second, NULL),
                           "connect to what a wildcard became") &&
           weir_check_carry(run, c.dialer, c.binder, "found");
    return weir_check_part(run, &c, good);
}

/* ---- coming and going ---- */

/* The peer is gone, and with it whoever would take these messages. */
static bool peers_gone(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST) &&
        weir_check_close(run, &c.binder, "the binder");
    int code = 0;

    for (int i = 0; i < 10 && good && code >= 0; i++)
        code = weir_send(c.dialer, "lost", 4, 20);
    if (code < 0 && code != -EAGAIN)
        good = weir_check_good(run, code, "send to nobody");
    good = good && weir_check_balanced(run, c.dialer, "left alone");
    code = weir_close(c.dialer, 50, NULL);
    if (code < 0 && code != -EAGAIN)
        return weir_check_good(run, code, "close, left alone");
    return good;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A flush ends when messages are out of this socket's hands, not when they
 * are read, and not at its deadline. */
static bool flush_ends(struct weir_check_run *run)
{
    int patience = run->check->patience;
    struct weir_check_couple c;
    int64_t start = 0;
    bool good = weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST);

    for (int i = 0; i < 10 && good; i++)
        good = weir_check_say(run, c.dialer, "flushed");
    start = now_ms();
    good =
        good && weir_check_good(run, weir_flush(c.dialer, patience), "flush");
    if (good && now_ms() - start > patience / 2)
        good = weir_check_fail(run, "a flush took %ld ms",
                               (long)(now_ms() - start));
    for (int i = 0; i < 10 && good; i++)
        good = weir_check_hear(run, c.binder, "flushed");
    return weir_check_part(run, &c, good);
}

/* What was accepted before an orderly close arrives, also after it. */
static bool parting_words(struct weir_check_run *run)
{
    struct weir_check_couple c;
    uint32_t sent = 0;
    bool good = weir_check_join(run, &c, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST);

    while (good && sent < 1000) {
        unsigned char data[100] = {0};

        memcpy(data, &sent, sizeof sent);
        good = weir_check_good(
            run, weir_send(c.dialer, data, sizeof data, run->check->patience),
            "send");
        sent += good;
    }
    good = good && weir_check_close(run, &c.dialer, "the sender") &&
           take_all(run, c.binder, sent) &&
           weir_check_close(run, &c.binder, "the receiver");
    return good || weir_check_part(run, &c, false);
}

/* Nobody was ever there. */
static bool nobody(struct weir_check_run *run)
{
    char url[WEIR_CHECK_URL];
    weir_socket socket = {0, 0};
    bool good =
        weir_check_url(run, url) && weir_check_open(run, "REQ", &socket) &&
        weir_check_good(run, weir_connect(socket, url, NULL), "connect");
    int code = good ? weir_wait_peers(socket, 1, 50) : -EAGAIN;

    if (code != -EAGAIN)
        good = weir_check_fail(run, "waiting for nobody gave %d", code);
    return weir_check_close(run, &socket, "with nobody there") && good;
}

/* The binder goes and another comes; the dialer finds it unaided. */
static bool come_back(struct weir_check_run *run, struct weir_check_couple *c)
{
    return weir_check_close(run, &c->binder, "the first binder") &&
           weir_check_open(run, "PAIR", &c->binder) &&
           weir_check_good(run, weir_bind(c->binder, c->url, NULL),
                           "bind again") &&
           weir_check_good(run,
                           weir_wait_peers(c->binder, 1, run->check->patience),
                           "wait for the dialer's return") &&
           weir_check_carry(run, c->binder, c->dialer, "again") &&
           weir_check_carry(run, c->dialer, c->binder, "found you");
}

static bool reconnect(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PAIR", "PAIR", WEIR_CHECK_BIND_FIRST) &&
        weir_check_carry(run, c.dialer, c.binder, "hello");

    for (int i = 0; i < 3 && good; i++)
        good = come_back(run, &c);
    return weir_check_part(run, &c, good);
}

/* The other side notices that it was left, in its own time; what it sends
 * before that is lost with the connection. */
static bool left_alone(struct weir_check_run *run, weir_socket socket)
{
    const struct timespec pause = {0, 1000000};
    weir_stats stats = {.size = sizeof stats};

    for (int i = 0; i < run->check->patience; i++) {
        if (!weir_check_good(run, weir_socket_stats(socket, &stats),
                             "statistics"))
            return false;
        if (stats.peers == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return weir_check_fail(run, "a peer that left is still listed");
}

/* An endpoint is closed and made again on a socket that stays open. */
static bool rebind(struct weir_check_run *run)
{
    int patience = run->check->patience;
    struct weir_check_couple c;
    bool good =
        weir_check_join(run, &c, "PUSH", "PULL", WEIR_CHECK_BIND_FIRST) &&
        weir_check_carry(run, c.binder, c.dialer, "hello") &&
        weir_check_good(run, weir_endpoint_close(c.bound, patience, NULL),
                        "close an endpoint") &&
        weir_check_good(run, weir_bind(c.binder, c.url, &c.bound),
                        "bind again") &&
        weir_check_carry(run, c.binder, c.dialer, "again") &&
        weir_check_good(run, weir_endpoint_close(c.dialed, patience, NULL),
                        "close a connection") &&
        left_alone(run, c.binder) &&
        weir_check_good(run, weir_connect(c.dialer, c.url, NULL),
                        "connect again") &&
        weir_check_carry(run, c.binder, c.dialer, "and again");

    return weir_check_part(run, &c, good);
}

#define CROWD 50

/* Half of them come before there is anybody to connect to. */
static bool gather(struct weir_check_run *run, weir_socket binder,
                   weir_socket *dialers, const char *url)
{
    bool good = true;

    for (int i = 0; i < CROWD && good; i++) {
        if (i == CROWD / 2)
            good = weir_check_good(run, weir_bind(binder, url, NULL), "bind");
        good = good && weir_check_open(run, "PUSH", &dialers[i]) &&
               weir_check_good(run, weir_connect(dialers[i], url, NULL),
                               "connect");
    }
    return good &&
           weir_check_good(run,
                           weir_wait_peers(binder, CROWD, run->check->patience),
                           "wait for all");
}

/* Each sends its number once, and each number comes once. */
static bool count_crowd(struct weir_check_run *run, weir_socket binder,
                        const weir_socket *dialers)
{
    bool seen[CROWD] = {false};
    unsigned char number;

    for (int i = 0; i < CROWD; i++) {
        number = (unsigned char)i;
        if (!weir_check_good(
                run, weir_send(dialers[i], &number, 1, run->check->patience),
                "one of many sends"))
            return false;
    }
    for (int i = 0; i < CROWD; i++) {
        size_t size = 1;

        if (!weir_check_good(
                run, weir_recv(binder, &number, &size, run->check->patience),
                "receive from one of many"))
            return false;
        if (number >= CROWD || seen[number])
            return weir_check_fail(run, "%u came twice", (unsigned)number);
        seen[number] = true;
    }
    return true;
}

static bool peers_listed(struct weir_check_run *run, weir_socket binder)
{
    weir_stats stats = {.size = sizeof stats};

    for (int i = 0; i < CROWD; i++) {
        if (!weir_check_good(run, weir_peer_stats(binder, i, &stats),
                             "a peer's statistics"))
            return false;
        if (stats.delivered != 1)
            return weir_check_fail(run, "peer %d delivered %u messages, not 1",
                                   i, (unsigned)stats.delivered);
    }
    return weir_peer_stats(binder, CROWD, &stats) == -ENOENT ||
           weir_check_fail(run, "there is a peer too many");
}

static bool many_connects(struct weir_check_run *run)
{
    weir_socket binder = {0, 0}, dialers[CROWD];
    char url[WEIR_CHECK_URL];
    bool good;

    memset(dialers, 0, sizeof dialers);
    good = weir_check_url(run, url) && weir_check_open(run, "PULL", &binder) &&
           gather(run, binder, dialers, url) &&
           count_crowd(run, binder, dialers) && peers_listed(run, binder);
    for (int i = 0; i < CROWD; i++) {
        if (good)
            good = weir_check_close(run, &dialers[i], "one of many");
        else
            weir_close(dialers[i], 0, NULL);
    }
    if (good)
        return weir_check_close(run, &binder, "the binder");
    weir_close(binder, 0, NULL);
    return false;
}

/* One socket, two ways out: both are used. */
static bool two_endpoints(struct weir_check_run *run)
{
    struct weir_check_couple first, second;
    bool good =
        weir_check_join(run, &first, "PULL", "PUSH", WEIR_CHECK_BIND_FIRST);

    memset(&second, 0, sizeof second);
    good =
        good && weir_check_url(run, second.url) &&
        weir_check_open(run, "PULL", &second.binder) &&
        weir_check_good(run, weir_bind(second.binder, second.url, NULL),
                        "bind the second") &&
        weir_check_good(run, weir_connect(first.dialer, second.url, NULL),
                        "connect to the second") &&
        weir_check_good(run,
                        weir_wait_peers(first.dialer, 2, run->check->patience),
                        "wait for both") &&
        weir_check_say(run, first.dialer, "one each") &&
        weir_check_say(run, first.dialer, "one each") &&
        weir_check_hear(run, first.binder, "one each") &&
        weir_check_hear(run, second.binder, "one each") &&
        weir_check_close(run, &second.binder, "the second binder");
    if (!good)
        weir_close(second.binder, 0, NULL);
    return weir_check_part(run, &first, good);
}

/* ---- descriptors ---- */

/* After the first round everything that stays open for good is open. */
static bool descriptors(struct weir_check_run *run)
{
    int before = -1, after;

    for (int i = 0; i < 3; i++) {
        if (!many_connects(run) || !reconnect(run) || !weir_check_fresh(run))
            return false;
        after = weir_check_descriptors();
        if (i && after != before)
            return weir_check_fail(run, "%d descriptors became %d", before,
                                   after);
        before = after;
    }
    return true;
}

/* ---- the suite ---- */

static const struct weir_check_case cases[] = {
    {"bind, then connect", bind_first},
    {"connect, then bind", connect_first},
    {"the binder sends", push_binds},
    {"PUB to SUB", pub_sub},
    {"XPUB to XSUB", xpub_xsub},
    {"REQ and REP", req_rep},
    {"DEALER and ROUTER", dealer_router},
    {"PAIR and PAIR", pair_pair},
    {"frames of 0 octets to 1 MB", all_sizes},
    {"messages of many frames", multipart},
    {"a reader that is away", backpressure},
    {"a flush that ends", flush_ends},
    {"an address that is taken", duplicate_bind},
    {"addresses that are wrong", bad_addresses},
    {"options that are wrong", bad_options},
    {"wildcard addresses", wildcard},
    {"close with the peer gone", peers_gone},
    {"close with nobody there", nobody},
    {"messages of one who left", parting_words},
    {"a binder that returns", reconnect},
    {"endpoints made again", rebind},
    {"many connections", many_connects},
    {"two endpoints of one socket", two_endpoints},
    {"descriptors given back", descriptors},
    {NULL, NULL},
};

int weir_check_transport(const struct weir_check_transport *check)
{
    return weir_check_cases(check, check->group ? weir_check_group : cases);
}

/* ---- what weir's own transports look like ---- */

#define LONG_NAME                                            \
    "/tmp/a-name-that-is-far-too-long-for-a-socket-address-" \
    "because-they-hold-a-hundred-octets-or-so-and-this-one-" \
    "has-more-than-that-so-that-no-system-can-ever-take-it"

static const struct weir_check_bad inproc_bad[] = {
    {"inproc://", "inproc"},
    {NULL, NULL},
};

static const struct weir_check_bad ipc_bad[] = {
    {"ipc://", "ipc"},
    {"ipc://" LONG_NAME, "a-name-that-is-far-too-long"},
    {NULL, NULL},
};

static const struct weir_check_bad tcp_bad[] = {
    {"tcp://", "tcp"},
    {"tcp://127.0.0.1", "127.0.0.1"},
    {"tcp://127.0.0.1:", "127.0.0.1:"},
    {"tcp://127.0.0.1:70000", "70000"},
    {"tcp://127.0.0.1:-1", "-1"},
    {"tcp://127.0.0.1:80x", "80x"},
    {"tcp://[::1:5555", "[::1"},
    {NULL, NULL},
};

/* A group's interface is not known. */
static const struct weir_check_bad epgm_bad[] = {
    {"epgm://", "epgm"},
    {"epgm://;239.192.1.1", "239.192.1.1"},
    {"epgm://;239.192.1.1:", "239.192.1.1:"},
    {"epgm://;239.192.1.1:70000", "70000"},
    {"epgm://;10.0.0.1:5555", "10.0.0.1"},
    {"epgm://;239.192.1.1,nogroup:5555", "nogroup"},
    {"epgm://;239.192.1.1,[ff02::1]:5555", "ff02::1"},
    {"epgm://nosuch0;239.192.1.1:5555", "nosuch0"},
    {"epgm://lo;239.192.1.1:5555", "lo"},
    {NULL, NULL},
};

static const struct weir_check_bad pgm_bad[] = {
    {"pgm://", "pgm"},
    {"pgm://;239.192.1.1:70000", "70000"},
    {"pgm://;10.0.0.1:5555", "10.0.0.1"},
    {"pgm://nosuch0;239.192.1.1:5555", "nosuch0"},
    {NULL, NULL},
};

static const struct scheme {
    const char *name, *bind_url, *wildcard_url;
    const struct weir_check_bad *bad;
    int group;
} schemes[] = {
    {"inproc", "inproc://weir-check-%n", NULL, inproc_bad, 0},
    {"ipc", "ipc:///tmp/weir-check-%p-%n", "ipc://*", ipc_bad, 0},
    {"tcp", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", tcp_bad, 0},
    {"epgm", NULL, NULL, epgm_bad, 1},
    {"pgm", NULL, NULL, pgm_bad, 1},
};

int weir_check_transport_defaults(struct weir_check_transport *check,
                                  const char *scheme)
{
    check->bind_url = check->wildcard_url = NULL;
    check->bad = NULL;
    check->group = 0;
    check->patience = 10000;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strcmp(schemes[i].name, scheme) != 0)
            continue;
        check->bind_url = schemes[i].bind_url;
        check->wildcard_url = schemes[i].wildcard_url;
        check->bad = schemes[i].bad;
        check->group = schemes[i].group;
        return check->bind_url ? 0 : -ENOENT;
    }
    return -ENOENT;
}
