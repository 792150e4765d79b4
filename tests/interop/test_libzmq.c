/*
 * Conversations with libzmq: every pair of patterns with either library on
 * either side, each side binding, over tcp and ipc.  Both ends live in this
 * process; nothing but octets passes between them.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "tests/flow/flow.h"

enum {
    SOON_MS = FLOW_SOON,
    PARTS_MAX = 8,
    HUGE_SIZE = 100 * 1000 * 1000,
    SEEDS = 4096
};

static weir_context context;
static void *zmq_context;

/* What frames hold: a frame with a seed is the stretch from there on. */
static char *octets;

static const char *content(uint32_t seed)
{
    return octets + seed % SEEDS;
}

/*
 * Debian's libzmq is not built with ThreadSanitizer, which therefore sees what
 * libzmq does through libc but not how its threads take turns.
 */
__attribute__((visibility("default"))) const char *
__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libzmq.so\n";
}

/* ---- libzmq ---- */

static void set_number(void *socket, int option, int number)
{
    assert_int_equal(zmq_setsockopt(socket, option, &number, sizeof(number)),
                     0);
}

static void *zmq_open(int type)
{
    void *socket = zmq_socket(zmq_context, type);

    assert_non_null(socket);
    set_number(socket, ZMQ_RCVTIMEO, SOON_MS);
    set_number(socket, ZMQ_SNDTIMEO, SOON_MS);
    set_number(socket, ZMQ_LINGER, 0);
    set_number(socket, ZMQ_HANDSHAKE_IVL, 0);
    set_number(socket, ZMQ_RECONNECT_IVL, 10);
    return socket;
}

static void zmq_say(void *socket, const char *text)
{
    assert_int_equal(zmq_send(socket, text, strlen(text), 0), strlen(text));
}

static void zmq_hear(void *socket, const char *text)
{
    char got[64];
    int size = zmq_recv(socket, got, sizeof(got) - 1, 0);

    assert_in_range(size, 0, sizeof(got) - 1);
    got[size] = '\0';
    assert_string_equal(got, text);
}

/* Have it do what it only does in a call. */
static void zmq_nudge(void *socket)
{
    int events;
    size_t size = sizeof(events);

    assert_int_equal(zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size), 0);
}

/* ---- one side, of either library ---- */

struct end {
    bool is_zmq;
    int type, peer;
    weir_socket weir;
    void *zmq;
    char id[256]; /* of the peer, as a ROUTER knows it */
    size_t id_size;
};

/* A message, whoever made it. */
struct parts {
    int n;
    size_t size[PARTS_MAX];
    char *data[PARTS_MAX];
};

static void add_part(struct parts *parts, const void *data, size_t size)
{
    char *copy = malloc(size + 1);

    assert_non_null(copy);
    assert_true(parts->n < PARTS_MAX);
    memcpy(copy, data, size);
    parts->data[parts->n] = copy;
    parts->size[parts->n++] = size;
}

/* A part that stays the caller's; such parts are not freed. */
static void lend_part(struct parts *parts, const char *data, size_t size)
{
    assert_true(parts->n < PARTS_MAX);
    parts->data[parts->n] = (char *)data;
    parts->size[parts->n++] = size;
}

static void free_parts(struct parts *parts)
{
    while (parts->n > 0)
        free(parts->data[--parts->n]);
}

static void drop_first(struct parts *parts)
{
    free(parts->data[0]);
    parts->n--;
    memmove(&parts->data[0], &parts->data[1],
            (size_t)parts->n * sizeof(parts->data[0]));
    memmove(&parts->size[0], &parts->size[1],
            (size_t)parts->n * sizeof(parts->size[0]));
}

/* A ROUTER that may not know its peer yet says so. */
static void zmq_put(void *socket, const void *data, size_t size, int flags)
{
    int64_t end = flow_now() + SOON_MS;
    int r;

    do
        r = zmq_send(socket, data, size, flags);
    while (r < 0 && errno == EHOSTUNREACH && flow_now() < end);
    assert_int_equal(r, size);
}

static void put(struct end *end, const struct parts *parts)
{
    weir_message message;

    for (int i = 0; end->is_zmq && i < parts->n; i++)
        zmq_put(end->zmq, parts->data[i], parts->size[i],
                i + 1 < parts->n ? ZMQ_SNDMORE : 0);
    if (end->is_zmq)
        return;
    weir_message_init(&message);
    for (int i = 0; i < parts->n; i++)
        flow_ok(weir_message_add(&message, parts->data[i], parts->size[i]));
    flow_ok(weir_send_message(end->weir, &message, SOON_MS));
}

static void get_from_zmq(struct end *end, struct parts *parts)
{
    int more = 1;

    while (more) {
        zmq_msg_t part;

        assert_int_equal(zmq_msg_init(&part), 0);
        assert_true(zmq_msg_recv(&part, end->zmq, 0) >= 0);
        add_part(parts, zmq_msg_data(&part), zmq_msg_size(&part));
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
}

static void get(struct end *end, struct parts *parts)
{
    weir_message message;

    *parts = (struct parts){.n = 0};
    if (end->is_zmq) {
        get_from_zmq(end, parts);
        return;
    }
    weir_message_init(&message);
    flow_ok(weir_recv_message(end->weir, &message, SOON_MS));
    for (uint32_t i = 0; i < weir_message_count(&message); i++) {
        weir_frame *frame = weir_message_frame(&message, i);

        add_part(parts, weir_frame_data(frame), weir_frame_size(frame));
    }
    weir_message_fini(&message);
}

/* ---- envelopes ---- */

static bool has_delimiter(const struct end *end)
{
    return (end->type == WEIR_ROUTER && end->peer == WEIR_REQ) ||
           (end->type == WEIR_DEALER && end->peer == WEIR_REP);
}

static void say(struct end *end, const size_t *sizes, int n, uint32_t seed)
{
    struct parts parts = {.n = 0};

    if (end->type == WEIR_ROUTER)
        lend_part(&parts, end->id, end->id_size);
    if (has_delimiter(end))
        lend_part(&parts, "", 0);
    for (int i = 0; i < n; i++)
        lend_part(&parts, content(seed + (uint32_t)i), sizes[i]);
    put(end, &parts);
}

static void take_envelope(struct end *end, struct parts *parts)
{
    if (end->type == WEIR_ROUTER) {
        assert_in_range(parts->size[0], 1, 255);
        end->id_size = parts->size[0];
        memcpy(end->id, parts->data[0], end->id_size);
        drop_first(parts);
    }
    if (has_delimiter(end)) {
        assert_int_equal(parts->size[0], 0);
        drop_first(parts);
    }
}

static void hear(struct end *end, const size_t *sizes, int n, uint32_t seed)
{
    struct parts parts;

    get(end, &parts);
    take_envelope(end, &parts);
    assert_int_equal(parts.n, n);
    for (int i = 0; i < n; i++) {
        const char *want = content(seed + (uint32_t)i);

        assert_int_equal(parts.size[i], sizes[i]);
        assert_int_equal(memcmp(parts.data[i], want, sizes[i]), 0);
    }
    free_parts(&parts);
}

/* ---- every pair ---- */

struct pair {
    int a, b; /* a speaks first */
    const char *name;
    bool answers;
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
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]), SETTINGS = PAIRS * 8 };

struct setting {
    const struct pair *pair;
    const char *transport;
    bool a_is_zmq, zmq_binds;
    char name[80], huge[96];
};

static bool publishes(const struct end *end)
{
    return end->type == WEIR_PUB || end->type == WEIR_XPUB;
}

static void open_zmq(struct end *end, const char *id)
{
    end->zmq = zmq_open(end->type);
    if (end->type == WEIR_SUB)
        zmq_setsockopt(end->zmq, ZMQ_SUBSCRIBE, "", 0);
    if (end->type == WEIR_XSUB)
        assert_int_equal(zmq_send(end->zmq, "\1", 1, 0), 1);
    if (end->type != WEIR_ROUTER || end->peer != WEIR_ROUTER)
        return;
    set_number(end->zmq, ZMQ_ROUTER_MANDATORY, 1);
    zmq_setsockopt(end->zmq, ZMQ_ROUTING_ID, id, strlen(id));
}

static void open_weir(struct end *end, const char *id)
{
    end->weir = flow_open(context, end->type);
    if (end->type == WEIR_SUB)
        flow_ok(weir_subscribe(end->weir, "", 0));
    if (end->type == WEIR_XSUB)
        flow_ok(weir_send(end->weir, "\1", 1, SOON_MS));
    if (end->type == WEIR_ROUTER && end->peer == WEIR_ROUTER)
        flow_ok(weir_set(end->weir, "routing-id", id));
}

static struct end open_end(const struct setting *setting, bool a)
{
    const struct pair *pair = setting->pair;
    struct end end = {.is_zmq = a == setting->a_is_zmq};

    end.type = a ? pair->a : pair->b;
    end.peer = a ? pair->b : pair->a;
    if (end.is_zmq)
        open_zmq(&end, a ? "anna" : "berta");
    else
        open_weir(&end, a ? "anna" : "berta");
    snprintf(end.id, sizeof(end.id), "%s", a ? "berta" : "anna");
    end.id_size = strlen(end.id);
    return end;
}

/* libzmq picks the address: then it removes the file of an ipc socket too. */
static void bind_anywhere(void *socket, const char *transport,
                          char url[FLOW_URL])
{
    bool tcp = strcmp(transport, "tcp") == 0;
    size_t size = FLOW_URL;

    assert_int_equal(zmq_bind(socket, tcp ? "tcp://127.0.0.1:*" : "ipc://*"),
                     0);
    assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, url, &size), 0);
}

static void connect_ends(const struct setting *setting, struct end *zmq,
                         struct end *weir)
{
    char url[FLOW_URL];

    if (setting->zmq_binds) {
        bind_anywhere(zmq->zmq, setting->transport, url);
        flow_ok(weir_connect(weir->weir, url, NULL));
    } else {
        flow_bind(weir->weir, setting->transport, url);
        assert_int_equal(zmq_connect(zmq->zmq, url), 0);
    }
}

static void await_weir(struct end *zmq, struct end *weir)
{
    int64_t end = flow_now() + SOON_MS;

    while (weir_wait_peers(weir->weir, 1, 20) < 1) {
        assert_true(flow_now() < end);
        zmq_nudge(zmq->zmq);
    }
}

static bool hears(weir_socket socket, const char *text, int deadline)
{
    char got[16];
    size_t size = sizeof(got);

    return weir_recv(socket, got, &size, deadline) >= 0 &&
           size == strlen(text) && memcmp(got, text, size) == 0;
}

/* libzmq does not say when a subscription has arrived: publish until it has,
 * then until all of that has been received. */
static void await_subscription(struct end *zmq, struct end *weir)
{
    int64_t end = flow_now() + SOON_MS;

    if (zmq->type == WEIR_XPUB)
        zmq_hear(zmq->zmq, "\1");
    do {
        assert_true(flow_now() < end);
        zmq_say(zmq->zmq, "anybody?");
    } while (!hears(weir->weir, "anybody?", 20));
    zmq_say(zmq->zmq, "start");
    while (!hears(weir->weir, "start", SOON_MS))
        assert_true(flow_now() < end);
}

static const size_t lengths[] = {0, 1, 40, 41, 255, 256, 65536, 1 << 20};

static void talk(const struct pair *pair, struct end *a, struct end *b,
                 const size_t *sizes, int n, uint32_t seed)
{
    say(a, sizes, n, seed);
    hear(b, sizes, n, seed);
    if (pair->answers) {
        say(b, sizes, n, seed + 1000);
        hear(a, sizes, n, seed + 1000);
    }
}

static void talk_of_everything(const struct pair *pair, struct end *a,
                               struct end *b)
{
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t many[] = {lengths[i], 0, lengths[i] / 2, 3};

        talk(pair, a, b, many, 1, i);
        talk(pair, a, b, many, 4, i + 100);
    }
}

/* 100 MB between others, and alone; the short form has one of the two. */
static void talk_at_length(const struct pair *pair, struct end *a,
                           struct end *b)
{
    static const size_t sizes[] = {3, HUGE_SIZE, 0, 41};
    bool full = getenv("WEIR_TEST_FULL") != NULL;

    if (full || (pair - pairs) % 2 == 0)
        talk(pair, a, b, sizes, 4, 200);
    if (full || (pair - pairs) % 2 == 1)
        talk(pair, a, b, &sizes[1], 1, 300);
}

static void converse(const struct setting *setting,
                     void (*topic)(const struct pair *, struct end *,
                                   struct end *))
{
    struct end a = open_end(setting, true), b = open_end(setting, false);
    struct end *zmq = a.is_zmq ? &a : &b, *weir = a.is_zmq ? &b : &a;

    connect_ends(setting, zmq, weir);
    await_weir(zmq, weir);
    if (publishes(zmq))
        await_subscription(zmq, weir);
    else if (weir->type == WEIR_XPUB)
        flow_hear(weir->weir, "\1");
    topic(setting->pair, &a, &b);
    flow_stats(weir->weir);
    flow_close(weir->weir);
    zmq_close(zmq->zmq);
}

static void test_pair(void **state)
{
    converse(*state, talk_of_everything);
}

static void test_huge(void **state)
{
    converse(*state, talk_at_length);
}

/* ---- envelopes that others made ---- */

/* Two hops before the server: it never sees them, and they come back. */
static void test_two_hops(void **state)
{
    void *dealer = zmq_open(ZMQ_DEALER);
    weir_socket rep = flow_open(context, WEIR_REP);
    struct end end = {.is_zmq = true, .zmq = dealer};
    struct parts parts = {.n = 0};
    char url[FLOW_URL];

    (void)state;
    flow_bind(rep, "tcp", url);
    zmq_connect(dealer, url);
    add_part(&parts, "hop1", 4);
    add_part(&parts, "\0hop2", 5);
    add_part(&parts, "", 0);
    add_part(&parts, "question", 8);
    put(&end, &parts);
    free_parts(&parts);
    flow_hear(rep, "question");
    flow_say_all(rep, "answer", "more", NULL);
    get(&end, &parts);
    assert_int_equal(parts.n, 5);
    assert_memory_equal(parts.data[0], "hop1", 4);
    assert_memory_equal(parts.data[1], "\0hop2", 5);
    assert_int_equal(parts.size[2], 0);
    assert_memory_equal(parts.data[3], "answer", 6);
    assert_memory_equal(parts.data[4], "more", 4);
    free_parts(&parts);
    flow_close(rep);
    zmq_close(dealer);
}

/* What a libzmq ROUTER and DEALER see of our REQ and REP, to the octet. */
static void test_envelopes_seen(void **state)
{
    void *router = zmq_open(ZMQ_ROUTER);
    weir_socket req = flow_open(context, WEIR_REQ);
    struct end end = {.is_zmq = true, .zmq = router};
    struct parts parts;
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    zmq_bind(router, url);
    flow_ok(weir_set(req, "routing-id", "dora"));
    flow_ok(weir_connect(req, url, NULL));
    flow_say_all(req, "one", "", "three", NULL);
    get(&end, &parts);
    assert_int_equal(parts.n, 5);
    assert_int_equal(parts.size[0], 4);
    assert_memory_equal(parts.data[0], "dora", 4);
    assert_int_equal(parts.size[1], 0);
    assert_memory_equal(parts.data[2], "one", 3);
    assert_int_equal(parts.size[3], 0);
    assert_memory_equal(parts.data[4], "three", 5);
    put(&end, &parts);
    free_parts(&parts);
    flow_hear_all(req, "one", "", "three", NULL);
    flow_close(req);
    zmq_close(router);
}

/* Each side is told what the other is. */
static void test_properties(void **state)
{
    void *router = zmq_open(ZMQ_ROUTER);
    weir_socket dealer = flow_open(context, WEIR_DEALER);
    weir_message message;
    const char *value;
    char url[FLOW_URL];
    zmq_msg_t part;
    size_t size;

    (void)state;
    flow_ok(weir_set(dealer, "property", "X-colour:blue"));
    flow_bind(dealer, "tcp", url);
    zmq_connect(router, url);
    flow_say(dealer, "hello");
    assert_int_equal(zmq_msg_init(&part), 0);
    assert_true(zmq_msg_recv(&part, router, 0) > 0);
    assert_int_equal(zmq_msg_send(&part, router, ZMQ_SNDMORE), 5);
    assert_int_equal(zmq_msg_init(&part), 0);
    assert_int_equal(zmq_msg_recv(&part, router, 0), 5);
    assert_string_equal(zmq_msg_gets(&part, "Socket-Type"), "DEALER");
    assert_string_equal(zmq_msg_gets(&part, "X-colour"), "blue");
    assert_int_equal(zmq_msg_send(&part, router, 0), 5);
    weir_message_init(&message);
    flow_ok(weir_recv_message(dealer, &message, SOON_MS));
    value = weir_frame_property(weir_message_frame(&message, 0), "socket-type",
                                &size);
    assert_non_null(value);
    assert_int_equal(size, 6);
    assert_memory_equal(value, "ROUTER", 6);
    weir_message_fini(&message);
    flow_close(dealer);
    zmq_close(router);
}

/* ---- many ---- */

enum { MANY = 50000 };

static void test_stream_to_zmq(void **state)
{
    weir_socket push = flow_open(context, WEIR_PUSH);
    void *pull = zmq_open(ZMQ_PULL);
    char url[FLOW_URL];

    (void)state;
    flow_bind(push, "tcp", url);
    zmq_connect(pull, url);
    flow_ok(weir_wait_peers(push, 1, SOON_MS));
    for (uint32_t i = 0, heard = 0; heard < MANY; i++) {
        uint32_t got;

        if (i < MANY)
            flow_send_number(push, i);
        if (i < MANY && i % 1000 < 999)
            continue;
        for (uint32_t j = 0; j < 1000 && heard < MANY; j++) {
            assert_int_equal(zmq_recv(pull, &got, sizeof(got), 0), 4);
            assert_int_equal(got, heard++);
        }
    }
    flow_close(push);
    zmq_close(pull);
}

static void test_stream_to_weir(void **state)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    void *push = zmq_open(ZMQ_PUSH);
    char url[FLOW_URL];

    (void)state;
    flow_bind(pull, "ipc", url);
    zmq_connect(push, url);
    for (uint32_t i = 0, heard = 0; heard < MANY; i++) {
        if (i < MANY)
            assert_int_equal(zmq_send(push, &i, sizeof(i), 0), 4);
        if (i < MANY && i % 1000 < 999)
            continue;
        for (uint32_t j = 0; j < 1000 && heard < MANY; j++)
            assert_int_equal(flow_recv_number(pull), heard++);
    }
    flow_close(pull);
    zmq_close(push);
}

/* ---- coming back ---- */

/* zmq_close() gives a name up in the background. */
static void bind_again(void *socket, const char *url)
{
    int64_t end = flow_now() + SOON_MS;

    while (zmq_bind(socket, url) < 0) {
        assert_int_equal(errno, EADDRINUSE);
        assert_true(flow_now() < end);
    }
}

static void test_zmq_server_restarts(void **state)
{
    weir_socket req = flow_open(context, WEIR_REQ);
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    flow_ok(weir_set(req, "reconnect", "10ms"));
    flow_ok(weir_connect(req, url, NULL));
    for (int i = 0; i < 3; i++) {
        void *rep = zmq_open(ZMQ_REP);

        bind_again(rep, url);
        flow_ok(weir_wait_peers(req, 1, SOON_MS));
        flow_say(req, "again?");
        zmq_hear(rep, "again?");
        zmq_say(rep, "again");
        flow_hear(req, "again");
        zmq_close(rep);
        flow_await_peers(req, 0);
    }
    flow_drop(req);
}

static void test_weir_server_restarts(void **state)
{
    void *req = zmq_open(ZMQ_REQ);
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    zmq_connect(req, url);
    for (int i = 0; i < 3; i++) {
        weir_socket rep = flow_open(context, WEIR_REP);

        flow_ok(weir_bind(rep, url, NULL));
        flow_ok(weir_wait_peers(rep, 1, SOON_MS));
        zmq_say(req, "again?");
        flow_hear(rep, "again?");
        flow_say(rep, "again");
        zmq_hear(req, "again");
        flow_close(rep);
    }
    zmq_close(req);
}

/* Subscriptions are told again to a publisher that has come back. */
static void test_publisher_restarts(void **state)
{
    weir_socket sub = flow_open(context, WEIR_SUB);
    char url[FLOW_URL];

    (void)state;
    flow_url("tcp", url);
    flow_ok(weir_set(sub, "reconnect", "10ms"));
    flow_ok(weir_subscribe(sub, "news", 4));
    flow_ok(weir_connect(sub, url, NULL));
    for (int i = 0; i < 3; i++) {
        void *pub = zmq_open(ZMQ_XPUB);

        bind_again(pub, url);
        zmq_hear(pub, "\1news");
        zmq_say(pub, "other");
        zmq_say(pub, "news!");
        flow_hear(sub, "news!");
        zmq_close(pub);
        flow_await_peers(sub, 0);
    }
    flow_drop(sub);
}

/* ---- heartbeats ---- */

enum { ASK_MS = 50 };

static void ask_often(weir_socket pair, void *zmq, bool weir_asks, int timeout)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", weir_asks ? ASK_MS : 0);
    flow_ok(weir_set(pair, "heartbeat", text));
    snprintf(text, sizeof(text), "%d", timeout);
    flow_ok(weir_set(pair, "heartbeat-timeout", text));
    flow_ok(weir_set(pair, "heartbeat-strict", "1"));
    set_number(zmq, ZMQ_HEARTBEAT_IVL, weir_asks ? 0 : ASK_MS);
    set_number(zmq, ZMQ_HEARTBEAT_TIMEOUT, timeout);
}

/* One of the two asks for signs of life, and ends a connection that gives none
 * for `timeout` ms.  Is it there after twice that time? */
static bool lasts(bool weir_asks, int timeout)
{
    weir_socket pair = flow_open(context, WEIR_PAIR);
    void *zmq = zmq_open(ZMQ_PAIR);
    char url[FLOW_URL];
    weir_event event = {.size = sizeof(event)};
    int r;

    ask_often(pair, zmq, weir_asks, timeout);
    flow_bind(pair, "tcp", url);
    zmq_connect(zmq, url);
    flow_event(pair, WEIR_EVENT_CONNECTED);
    r = weir_next_event(pair, &event, 2 * timeout);
    if (r < 0) {
        assert_int_equal(r, -EAGAIN);
        flow_say(pair, "still here");
        zmq_hear(zmq, "still here");
    }
    flow_drop(pair);
    zmq_close(zmq);
    return r < 0;
}

/* On a busy machine an answer can be late, but not for ever. */
static void check_answers(bool weir_asks)
{
    int timeout = 500;

    while (!lasts(weir_asks, timeout)) {
        timeout *= 2;
        assert_in_range(timeout, 0, SOON_MS);
    }
}

static void test_zmq_answers_pings(void **state)
{
    (void)state;
    check_answers(true);
}

static void test_pings_of_zmq_answered(void **state)
{
    (void)state;
    check_answers(false);
}

/* ---- all of them ---- */

static struct setting settings[SETTINGS];

static void make_settings(void)
{
    char name[sizeof(settings[0].name)];

    for (int i = 0; i < SETTINGS; i++) {
        struct setting *one = &settings[i];

        one->zmq_binds = i % 2;
        one->a_is_zmq = i / 2 % 2;
        one->transport = i / 4 % 2 ? "ipc" : "tcp";
        one->pair = &pairs[i / 8];
        snprintf(name, sizeof(name), "%s %s, libzmq is the %s and %s",
                 one->pair->name, one->transport,
                 one->a_is_zmq ? "first" : "second",
                 one->zmq_binds ? "binds" : "connects");
        memcpy(one->name, name, sizeof(name));
        snprintf(one->huge, sizeof(one->huge), "%s, 100 MB", name);
    }
}

/* ---- a device of ours between ends of libzmq ---- */

struct device {
    weir_socket front, back;
    weir_device device;
    char front_url[FLOW_URL], back_url[FLOW_URL];
};

static void start_device(struct device *device, int front, int back)
{
    const weir_socket none = {0, 0};

    device->front = flow_open(context, front);
    device->back = flow_open(context, back);
    flow_bind(device->front, "tcp", device->front_url);
    flow_bind(device->back, "ipc", device->back_url);
    flow_ok(weir_device_start(&device->device, device->front, device->back,
                              none, 1));
}

static void stop_device(struct device *device)
{
    flow_ok(weir_device_stop(device->device, SOON_MS, NULL));
    flow_drop(device->front);
    flow_drop(device->back);
}

static void *zmq_join(int type, const char *url)
{
    void *socket = zmq_open(type);

    assert_int_equal(zmq_connect(socket, url), 0);
    return socket;
}

/* Several clients and workers: each client has its own answer. */
static void test_queue_between_zmq(void **state)
{
    void *clients[3], *workers[2];
    struct device device;
    char text[16];

    (void)state;
    start_device(&device, WEIR_ROUTER, WEIR_DEALER);
    for (int i = 0; i < 2; i++)
        workers[i] = zmq_join(ZMQ_REP, device.back_url);
    flow_ok(weir_wait_peers(device.back, 2, SOON_MS));
    for (int i = 0; i < 3; i++)
        clients[i] = zmq_join(ZMQ_REQ, device.front_url);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 2; i++) {
            snprintf(text, sizeof(text), "%d", round + i);
            zmq_say(clients[(round + i) % 3], text);
        }
        for (int i = 0; i < 2; i++) { /* they take turns */
            int size = zmq_recv(workers[i], text, sizeof(text), 0);

            assert_true(size > 0);
            assert_int_equal(zmq_send(workers[i], text, (size_t)size, 0), size);
        }
        for (int i = 0; i < 2; i++) {
            snprintf(text, sizeof(text), "%d", round + i);
            zmq_hear(clients[(round + i) % 3], text);
        }
    }
    for (int i = 0; i < 3; i++)
        zmq_close(clients[i]);
    for (int i = 0; i < 2; i++)
        zmq_close(workers[i]);
    stop_device(&device);
}

/* A subscription of libzmq passes a device of ours to a publisher of libzmq,
 * and its end does. */
static void test_forwarder_between_zmq(void **state)
{
    struct device device;
    void *pub, *sub;
    char notice[8];

    (void)state;
    start_device(&device, WEIR_XSUB, WEIR_XPUB);
    pub = zmq_join(ZMQ_XPUB, device.front_url);
    sub = zmq_join(ZMQ_SUB, device.back_url);
    assert_int_equal(zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "a", 1), 0);
    assert_int_equal(zmq_recv(pub, notice, sizeof(notice), 0), 2);
    assert_memory_equal(notice, "\1a", 2);
    zmq_say(pub, "b: nobody wants it");
    zmq_say(pub, "a: somebody does");
    zmq_hear(sub, "a: somebody does");
    assert_int_equal(zmq_setsockopt(sub, ZMQ_UNSUBSCRIBE, "a", 1), 0);
    zmq_nudge(sub);
    assert_int_equal(zmq_recv(pub, notice, sizeof(notice), 0), 2);
    assert_memory_equal(notice, "\0a", 2);
    zmq_close(pub);
    zmq_close(sub);
    stop_device(&device);
}

static int open_contexts(void **state)
{
    (void)state;
    octets = malloc(HUGE_SIZE + SEEDS);
    if (!octets)
        return -1;
    flow_fill(octets, HUGE_SIZE + SEEDS, 1);
    context = flow_context(1);
    zmq_context = zmq_ctx_new();
    return zmq_context ? 0 : -1;
}

static int close_contexts(void **state)
{
    (void)state;
    free(octets);
    flow_end(context);
    return zmq_ctx_term(zmq_context);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_two_hops),
    cmocka_unit_test(test_envelopes_seen),
    cmocka_unit_test(test_properties),
    cmocka_unit_test(test_stream_to_zmq),
    cmocka_unit_test(test_stream_to_weir),
    cmocka_unit_test(test_zmq_server_restarts),
    cmocka_unit_test(test_weir_server_restarts),
    cmocka_unit_test(test_publisher_restarts),
    cmocka_unit_test(test_zmq_answers_pings),
    cmocka_unit_test(test_pings_of_zmq_answered),
    cmocka_unit_test(test_queue_between_zmq),
    cmocka_unit_test(test_forwarder_between_zmq),
};
enum { OTHERS = sizeof(others) / sizeof(others[0]) };

/*
 * 100 MB between every two of them take a minute.  Without WEIR_TEST_FULL each
 * pair has one turn, the next pair in the next of the eight settings.
 */
static bool has_huge(int setting)
{
    return getenv("WEIR_TEST_FULL") || setting % 8 == setting / 8 % 8;
}

static struct CMUnitTest tests[2 * SETTINGS + OTHERS];
static size_t n_tests;

/* With a word, only the tests that have it in their name. */
static void add_test(struct CMUnitTest test, const char *word)
{
    if (!word || strstr(test.name, word))
        tests[n_tests++] = test;
}

static void add_settings(const char *word)
{
    for (int i = 0; i < SETTINGS; i++) {
        struct setting *setting = &settings[i];

        add_test((struct CMUnitTest){.name = setting->name,
                                     .test_func = test_pair,
                                     .initial_state = setting},
                 word);
        if (has_huge(i))
            add_test((struct CMUnitTest){.name = setting->huge,
                                         .test_func = test_huge,
                                         .initial_state = setting},
                     word);
    }
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;

    make_settings();
    add_settings(word);
    for (int i = 0; i < OTHERS; i++)
        add_test(others[i], word);
    return _cmocka_run_group_tests("libzmq", tests, n_tests, open_contexts,
                                   close_contexts);
}
