/*
 * Every pair of patterns over every transport, with each side binding and
 * with 0, 1 and 2 I/O threads: messages of all sizes arrive whole and in
 * order, with the right envelopes, and everything is counted.
 */
#include "config.h"

#include "flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    int a, b; /* a speaks first */
    const char *name;
    bool answers; /* b speaks too */
};

static const struct pair pairs[] = {
    {WEIR_PAIR, WEIR_PAIR, "PAIR-PAIR", true},
    {WEIR_PUB, WEIR_SUB, "PUB-SUB", false},
    {WEIR_XPUB, WEIR_SUB, "XPUB-SUB", false},
    {WEIR_PUB, WEIR_XSUB, "PUB-XSUB", false},
    {WEIR_XPUB, WEIR_XSUB, "XPUB-XSUB", false},
    {WEIR_REQ, WEIR_REP, "REQ-REP", true},
    {WEIR_REQ, WEIR_ROUTER, "REQ-ROUTER", true},
    {WEIR_DEALER, WEIR_REP, "DEALER-REP", true},
    {WEIR_DEALER, WEIR_DEALER, "DEALER-DEALER", true},
    {WEIR_DEALER, WEIR_ROUTER, "DEALER-ROUTER", true},
    {WEIR_ROUTER, WEIR_ROUTER, "ROUTER-ROUTER", true},
    {WEIR_PUSH, WEIR_PULL, "PUSH-PULL", false},
};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]), THREADS = 3 };

static const char *const transports[] = {"tcp", "ipc", "inproc"};

struct setting {
    const struct pair *pair;
    const char *transport;
    int threads;
    bool a_binds;
    char name[64];
};

/* One side of a conversation. */
struct end {
    weir_socket socket;
    int type, peer;
    uint8_t id[255]; /* of the peer, as a ROUTER knows it */
    size_t id_size;
};

/* ---- envelopes ---- */

static void add_envelope(struct end *end, weir_message *message)
{
    if (end->type == WEIR_ROUTER)
        flow_ok(weir_message_add(message, end->id, end->id_size));
    if ((end->type == WEIR_ROUTER && end->peer == WEIR_REQ) ||
        (end->type == WEIR_DEALER && end->peer == WEIR_REP))
        flow_ok(weir_message_add(message, "", 0));
}

static void keep_id(struct end *end, weir_message *message)
{
    weir_frame id;

    flow_ok(weir_message_pop(message, &id));
    assert_in_range(weir_frame_size(&id), 1, sizeof(end->id));
    end->id_size = weir_frame_size(&id);
    memcpy(end->id, weir_frame_data(&id), end->id_size);
    weir_frame_fini(&id);
}

static void take_envelope(struct end *end, weir_message *message)
{
    weir_frame empty;

    if (end->type == WEIR_ROUTER)
        keep_id(end, message);
    if ((end->type == WEIR_ROUTER && end->peer == WEIR_REQ) ||
        (end->type == WEIR_DEALER && end->peer == WEIR_REP)) {
        flow_ok(weir_message_pop(message, &empty));
        assert_int_equal(weir_frame_size(&empty), 0);
        weir_frame_fini(&empty);
    }
}

/* ---- messages ---- */

static void say(struct end *end, const size_t *sizes, uint32_t n, uint32_t seed)
{
    weir_message message;

    weir_message_init(&message);
    add_envelope(end, &message);
    for (uint32_t i = 0; i < n; i++)
        flow_add(&message, sizes[i], seed + i);
    flow_ok(weir_send_message(end->socket, &message, FLOW_SOON));
    assert_int_equal(weir_message_count(&message), 0);
}

static void hear(struct end *end, const size_t *sizes, uint32_t n,
                 uint32_t seed)
{
    weir_message message;

    weir_message_init(&message);
    flow_ok(weir_recv_message(end->socket, &message, FLOW_SOON));
    take_envelope(end, &message);
    assert_int_equal(weir_message_count(&message), n);
    for (uint32_t i = 0; i < n; i++)
        flow_check_frame(&message, i, sizes[i], seed + i);
    weir_message_fini(&message);
}

static void talk(const struct pair *pair, struct end *a, struct end *b,
                 const size_t *sizes, uint32_t n, uint32_t seed)
{
    say(a, sizes, n, seed);
    hear(b, sizes, n, seed);
    if (pair->answers) {
        say(b, sizes, n, seed + 1000);
        hear(a, sizes, n, seed + 1000);
    }
}

static const size_t lengths[] = {0,   1,   39,    40,      41,
                                 255, 256, 65536, 1 << 20, 100};

static void talk_of_everything(const struct pair *pair, struct end *a,
                               struct end *b)
{
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t one = lengths[i];
        size_t many[] = {one, 0, one / 2, 3, one};

        talk(pair, a, b, &one, 1, (uint32_t)i);
        talk(pair, a, b, many, 5, (uint32_t)i + 100);
    }
}

/* Many without waiting for an answer; where that is not allowed, one. */
static void talk_in_bulk(const struct pair *pair, struct end *a, struct end *b)
{
    uint32_t n = pair->a == WEIR_REQ || pair->b == WEIR_REP ? 1 : 500;
    size_t size = 60;

    for (uint32_t i = 0; i < n; i++)
        say(a, &size, 1, i);
    for (uint32_t i = 0; i < n; i++)
        hear(b, &size, 1, i);
}

/* ---- settings ---- */

static void prepare(struct end *end, weir_context context, int type, int peer,
                    const char *id)
{
    *end = (struct end){.type = type, .peer = peer};
    end->socket = flow_open(context, type);
    if (type == WEIR_SUB)
        flow_ok(weir_subscribe(end->socket, "", 0));
    if (type == WEIR_XSUB)
        flow_ok(weir_send(end->socket, "\1", 1, FLOW_SOON));
    if (type == WEIR_ROUTER && peer == WEIR_ROUTER)
        flow_ok(weir_set(end->socket, "routing-id", id));
}

/* A ROUTER that speaks first must know whom it speaks to. */
static void introduce(struct end *end, const char *peer)
{
    end->id_size = strlen(peer);
    memcpy(end->id, peer, end->id_size);
}

static void check_counts(struct end *a, struct end *b)
{
    weir_stats of_a = flow_stats(a->socket), of_b = flow_stats(b->socket);

    assert_int_equal(of_a.peers, 1);
    assert_int_equal(of_b.peers, 1);
    assert_int_equal(of_b.recv_queued, 0);
    assert_int_equal(of_a.accepted, of_b.delivered);
    if (b->type != WEIR_SUB && b->type != WEIR_XSUB)
        assert_int_equal(of_b.accepted, of_a.delivered);
}

static void test_pair(void **state)
{
    const struct setting *setting = *state;
    const struct pair *pair = setting->pair;
    weir_context context = flow_context(setting->threads);
    struct end a, b;

    prepare(&a, context, pair->a, pair->b, "anna");
    prepare(&b, context, pair->b, pair->a, "berta");
    introduce(&a, "berta");
    flow_join(setting->a_binds ? a.socket : b.socket,
              setting->a_binds ? b.socket : a.socket, setting->transport);
    if (a.type == WEIR_XPUB)
        flow_hear(a.socket, "\1");
    talk_of_everything(pair, &a, &b);
    talk_in_bulk(pair, &a, &b);
    check_counts(&a, &b);
    flow_close(a.socket);
    flow_close(b.socket);
    flow_end(context);
}

/* ---- all of them ---- */

static struct setting settings[PAIRS * 3 * THREADS * 2];

static size_t make_settings(void)
{
    size_t n = 0;

    for (int i = 0; i < PAIRS * 3 * THREADS * 2; i++) {
        struct setting *one = &settings[n++];

        one->a_binds = i % 2;
        one->threads = i / 2 % THREADS;
        one->transport = transports[i / 2 / THREADS % 3];
        one->pair = &pairs[i / 2 / THREADS / 3];
        snprintf(one->name, sizeof(one->name), "%s %s, %s binds, %d threads",
                 one->pair->name, one->transport,
                 one->a_binds ? "first" : "second", one->threads);
    }
    return n;
}

/* With a word, only the settings that have it in their name. */
int main(int argc, char **argv)
{
    static struct CMUnitTest tests[PAIRS * 3 * THREADS * 2];
    size_t all = make_settings(), n = 0;

    for (size_t i = 0; i < all; i++) {
        if (argc > 1 && !strstr(settings[i].name, argv[1]))
            continue;
        tests[n].name = settings[i].name;
        tests[n].test_func = test_pair;
        tests[n++].initial_state = &settings[i];
    }
    return _cmocka_run_group_tests("patterns", tests, n, NULL, NULL);
}
