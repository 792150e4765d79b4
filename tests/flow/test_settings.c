/*
 * What an option changes, for those that no other test of whole sockets needs;
 * tests/OPTIONS has all of them.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BINDS = 10 };

static void bind_many(weir_socket socket)
{
    for (int i = 0; i < BINDS; i++)
        flow_ok(weir_bind(socket, "tcp://127.0.0.1:*", NULL));
}

/* Take all events; returns how many, *missed gets those that were lost. */
static int take_events(weir_socket socket, uint64_t *missed)
{
    weir_event event = {.size = sizeof(event)};
    int n = 0;

    for (*missed = 0; weir_next_event(socket, &event, WEIR_NOWAIT) == 0; n++)
        *missed += event.missed;
    return n;
}

/* The ring is as long as the option says, whenever it is set. */
static void test_events(void **state)
{
    weir_context context = flow_context(1);
    weir_socket socket = flow_open(context, WEIR_PUSH);
    uint64_t missed;

    (void)state;
    flow_ok(weir_set(socket, "events", "4"));
    bind_many(socket);
    assert_int_equal(take_events(socket, &missed), 4);
    assert_int_equal(missed, BINDS - 4);
    flow_ok(weir_set(socket, "events", "8"));
    bind_many(socket);
    flow_ok(weir_set(socket, "events", "6"));
    assert_int_equal(take_events(socket, &missed), 6);
    assert_int_equal(missed, BINDS - 6);
    flow_close(socket);
    flow_end(context);
}

static void bind_dealer(weir_context context, weir_socket *dealer,
                        char url[FLOW_URL])
{
    *dealer = flow_open(context, WEIR_DEALER);
    flow_bind(*dealer, "tcp", url);
}

static void expect_option(weir_socket socket, const char *text)
{
    char value[16];
    size_t size = sizeof(value);

    flow_ok(weir_get(socket, "connect-routing-id", value, &size));
    assert_string_equal(value, text);
}

/* The routing id that a ROUTER gives to whom it connects to is for one of
 * them, and not for those who connect to it. */
static void test_connect_routing_id(void **state)
{
    weir_context context = flow_context(1);
    weir_socket router = flow_open(context, WEIR_ROUTER), one, two, three;
    char url[FLOW_URL];

    (void)state;
    flow_ok(weir_set(router, "connect-routing-id", "bob"));
    flow_bind(router, "tcp", url);
    expect_option(router, "bob");
    three = flow_open(context, WEIR_DEALER);
    flow_ok(weir_connect(three, url, NULL));
    flow_ok(weir_wait_peers(router, 1, FLOW_SOON));
    bind_dealer(context, &one, url);
    flow_ok(weir_connect(router, url, NULL));
    expect_option(router, "");
    bind_dealer(context, &two, url);
    flow_ok(weir_connect(router, url, NULL));
    flow_ok(weir_wait_peers(router, 3, FLOW_SOON));
    flow_say(one, "hello");
    flow_hear_all(router, "bob", "hello", NULL);
    flow_say_all(router, "bob", "good day", NULL);
    flow_hear(one, "good day");
    flow_silence(two);
    flow_silence(three);
    flow_close(one);
    flow_close(two);
    flow_close(three);
    flow_close(router);
    flow_end(context);
}

/* ---- who is who ---- */

/* A name in the handshake is the peer's to read, also on inproc. */
static void test_property(void **state)
{
    static const char *const transports[] = {"tcp", "inproc"};
    weir_context context = flow_context(1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        weir_socket near = flow_open(context, WEIR_PAIR);
        weir_socket far = flow_open(context, WEIR_PAIR);
        weir_message message;
        const void *value;
        size_t size;

        weir_message_init(&message);
        flow_ok(weir_set(far, "property", "X-colour:blue,X-size:7"));
        flow_join(near, far, transports[i]);
        flow_say(far, "x");
        flow_ok(weir_recv_message(near, &message, FLOW_SOON));
        value = weir_frame_property(weir_message_frame(&message, 0), "x-colour",
                                    &size);
        assert_int_equal(size, 4);
        assert_memory_equal(value, "blue", 4);
        flow_say(near, "y");
        flow_ok(weir_recv_message(far, &message, FLOW_SOON));
        assert_null(weir_frame_property(weir_message_frame(&message, 0),
                                        "X-colour", &size));
        weir_message_fini(&message);
        flow_close(near);
        flow_close(far);
    }
    flow_end(context);
}

static void test_probe(void **state)
{
    weir_context context = flow_context(1);
    weir_socket router = flow_open(context, WEIR_ROUTER);
    weir_socket dealer = flow_open(context, WEIR_DEALER);

    (void)state;
    flow_ok(weir_set(dealer, "routing-id", "me"));
    flow_ok(weir_set(dealer, "probe", "yes"));
    flow_join(router, dealer, "tcp");
    flow_hear_all(router, "me", "", NULL);
    flow_close(dealer);
    flow_close(router);
    flow_end(context);
}

static void test_notify(void **state)
{
    weir_context context = flow_context(1);
    weir_socket router = flow_open(context, WEIR_ROUTER);
    weir_socket dealer = flow_open(context, WEIR_DEALER);

    (void)state;
    flow_ok(weir_set(dealer, "routing-id", "me"));
    flow_ok(weir_set(router, "notify", "both"));
    flow_join(router, dealer, "tcp");
    flow_hear_all(router, "me", "", NULL);
    flow_silence(router);
    flow_close(dealer);
    flow_hear_all(router, "me", "", NULL);
    flow_close(router);
    flow_end(context);
}

/* ---- requests ---- */

static void ask_router(weir_context context, bool correlate)
{
    weir_socket router = flow_open(context, WEIR_ROUTER);
    weir_socket req = flow_open(context, WEIR_REQ);
    weir_message message;

    weir_message_init(&message);
    flow_ok(weir_set(req, "correlate", correlate ? "yes" : "no"));
    flow_join(router, req, "tcp");
    flow_say(req, "question");
    flow_ok(weir_recv_message(router, &message, FLOW_SOON));
    assert_int_equal(weir_message_count(&message), correlate ? 4 : 3);
    if (correlate)
        assert_int_equal(weir_frame_size(weir_message_frame(&message, 1)), 4);
    flow_ok(weir_send_message(router, &message, FLOW_SOON));
    flow_hear(req, "question");
    flow_close(req);
    flow_close(router);
}

static void test_correlate(void **state)
{
    weir_context context = flow_context(1);

    (void)state;
    ask_router(context, false);
    ask_router(context, true);
    flow_end(context);
}

static void test_relaxed(void **state)
{
    weir_context context = flow_context(1);
    weir_socket rep = flow_open(context, WEIR_REP);
    weir_socket req = flow_open(context, WEIR_REQ);

    (void)state;
    flow_join(rep, req, "tcp");
    flow_say(req, "one");
    flow_fails(weir_send(req, "two", 3, WEIR_NOWAIT), WEIR_ESTATE);
    flow_ok(weir_set(req, "relaxed", "yes"));
    flow_say(req, "two");
    flow_hear(rep, "one");
    flow_say(rep, "first");
    flow_hear(rep, "two");
    flow_close(req);
    flow_drop(rep);
    flow_end(context);
}

/* ---- subscriptions ---- */

/* Two peers subscribe to the same and unsubscribe; so many notices come. */
static void count_notices(weir_context context, const char *verbose, int n)
{
    weir_socket xpub = flow_open(context, WEIR_XPUB), subs[2];
    char url[FLOW_URL], data[8];
    size_t size = sizeof(data);

    flow_ok(weir_set(xpub, "verbose", verbose));
    flow_bind(xpub, "tcp", url);
    for (int i = 0; i < 2; i++) {
        subs[i] = flow_open(context, WEIR_SUB);
        flow_ok(weir_subscribe(subs[i], "a", 1));
        flow_ok(weir_connect(subs[i], url, NULL));
    }
    flow_ok(weir_wait_peers(xpub, 2, FLOW_SOON));
    for (int i = 0; i < 2; i++)
        flow_ok(weir_unsubscribe(subs[i], "a", 1));
    for (; n > 0; n--, size = sizeof(data))
        flow_ok(weir_recv(xpub, data, &size, FLOW_SOON));
    flow_silence(xpub);
    for (int i = 0; i < 2; i++)
        flow_close(subs[i]);
    flow_close(xpub);
}

static void test_verbose(void **state)
{
    weir_context context = flow_context(1);

    (void)state;
    count_notices(context, "off", 2);
    count_notices(context, "subscribe", 3);
    count_notices(context, "both", 4);
    flow_end(context);
}

static void test_invert(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket sub = flow_open(context, WEIR_SUB);

    (void)state;
    flow_ok(weir_set(pub, "invert", "yes"));
    flow_ok(weir_set(sub, "invert", "yes"));
    flow_ok(weir_subscribe(sub, "no", 2));
    flow_join(pub, sub, "tcp");
    flow_say(pub, "no thanks");
    flow_say(pub, "yes please");
    flow_hear(sub, "yes please");
    flow_silence(sub);
    flow_close(sub);
    flow_close(pub);
    flow_end(context);
}

/* ---- when things happen ---- */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Send so many in a row; is anything left that the kernel has not? */
static bool leaves_some(weir_socket push, weir_socket pull, int n)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    bool some;

    for (int i = 0; i < n; i++)
        flow_say(push, "x");
    some = flow_stats(push).send_queued > 0;
    for (int i = 0; i < n; i++)
        flow_hear(pull, "x");
    nanosleep(&pause, NULL);
    return some;
}

/* Try it with bursts of that many, until most of 50 have left something, or
 * most have not. */
static bool mostly_leaves(const char *pace, int n)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    int some = 0, none = 0;

    flow_ok(weir_set(push, "pace", pace));
    flow_join(pull, push, "tcp");
    while (some < 26 && none < 26) {
        if (leaves_some(push, pull, n))
            some++;
        else
            none++;
    }
    flow_close(push);
    flow_close(pull);
    flow_end(context);
    return some > none;
}

/* Where a send takes as long as a write, or wakes the I/O thread, since there
 * is no timer to set, what was left has often gone before it can be seen. */
#if defined(HAVE_TIMERFD_CREATE) && !defined(__SANITIZE_THREAD__)
#define SEES_LEFT 1
#else
#define SEES_LEFT 0
#endif

/* A machine that is busy may once make it look otherwise. */
static void assert_leaves(const char *pace, int n)
{
    int tries = SEES_LEFT ? 10 : 0;

    while (tries > 0 && !mostly_leaves(pace, n))
        tries--;
    assert_true(tries > 0 || !SEES_LEFT);
}

/* A lone message waits only for throughput; a burst does not for latency. */
static void test_pace(void **state)
{
    (void)state;
    assert_leaves("throughput", 1);
    assert_false(mostly_leaves("auto", 1));
    assert_leaves("auto", 200);
    assert_false(mostly_leaves("latency", 200));
}

/* The work that a first wait in vain takes, in us. */
static int64_t cost_of_waiting(weir_context context, const char *spin,
                               const char *pace)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    char data[8];
    size_t size = sizeof(data);
    int64_t begin;

    flow_ok(weir_set(pull, "spin", spin));
    flow_ok(weir_set(pull, "pace", pace));
    flow_join(pull, push, "tcp");
    begin = clock_us(CLOCK_THREAD_CPUTIME_ID);
    flow_fails(weir_recv(pull, data, &size, 20), EAGAIN);
    begin = clock_us(CLOCK_THREAD_CPUTIME_ID) - begin;
    flow_close(push);
    flow_close(pull);
    return begin;
}

static int64_t least_cost(weir_context context, const char *spin,
                          const char *pace)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 10; i++) {
        int64_t cost = cost_of_waiting(context, spin, pace);

        least = cost < least ? cost : least;
    }
    return least;
}

/* Who spins works, unless others have the processor meanwhile.  Who only
 * receives does so if that is wanted at any price. */
static void test_spin(void **state)
{
    weir_context context = flow_context(1);
    int64_t least = least_cost(context, "0", "latency"), most = 0;

    (void)state;
    for (int i = 0; i < 200 && most < least + 500; i++) {
        int64_t cost = cost_of_waiting(context, "1ms", "latency");

        most = cost > most ? cost : most;
    }
    assert_true(most >= least + 500);
    assert_true(least_cost(context, "1ms", "auto") < least + 500);
    flow_end(context);
}

/* ---- where an option means nothing ---- */

struct refusal {
    int type;
    const char *option, *value;
};

static void test_refusals(void **state)
{
    static const struct refusal refusals[] = {
        {WEIR_PULL, "send-mark", "1"},
        {WEIR_SUB, "send-mark-bytes", "1"},
        {WEIR_PUSH, "recv-mark", "1"},
        {WEIR_PUB, "recv-mark-bytes", "1"},
        {WEIR_SUB, "send-policy", "block"},
        {WEIR_XSUB, "send-policy", "drop-old"},
        {WEIR_XSUB, "send-policy", "latest"},
        {WEIR_REP, "recv-policy", "latest"},
        {WEIR_XPUB, "recv-policy", "drop-new"},
        {WEIR_PULL, "immediate", "yes"},
        {WEIR_PUSH, "routing-id", "me"},
        {WEIR_REP, "routing-id", "me"},
        {WEIR_PUB, "routing-id", "me"},
        {WEIR_DEALER, "connect-routing-id", "you"},
        {WEIR_DEALER, "mandatory", "yes"},
        {WEIR_DEALER, "handover", "yes"},
        {WEIR_PAIR, "probe", "yes"},
        {WEIR_REP, "correlate", "yes"},
        {WEIR_DEALER, "relaxed", "yes"},
        {WEIR_DEALER, "notify", "both"},
        {WEIR_PUB, "verbose", "both"},
        {WEIR_XSUB, "nodrop", "yes"},
        {WEIR_XSUB, "invert", "yes"},
    };
    weir_context context = flow_context(1);

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *one = &refusals[i];
        weir_socket socket = flow_open(context, one->type);

        flow_fails(weir_set(socket, one->option, one->value),
                   WEIR_EINCOMPATIBLE);
        assert_non_null(strstr(weir_last_error(), one->option));
        flow_close(socket);
    }
    flow_end(context);
}

/* Options of the socket alone are not taken for an endpoint's. */
static void test_not_in_url(void **state)
{
    weir_context context = flow_context(1);
    weir_socket push = flow_open(context, WEIR_PUSH);

    (void)state;
    flow_fails(weir_bind(push, "tcp://127.0.0.1:*?pace=latency", NULL), EINVAL);
    flow_close(push);
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_connect_routing_id),
        cmocka_unit_test(test_property),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_correlate),
        cmocka_unit_test(test_relaxed),
        cmocka_unit_test(test_verbose),
        cmocka_unit_test(test_invert),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_spin),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_not_in_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
