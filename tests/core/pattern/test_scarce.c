/*
 * test_scarce.c - every pattern with every allocation failing in turn: nobody
 * crashes, nothing leaks, and every message is delivered, returned or
 * counted (PROMISES 1, 3, 10).
 */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../scarce.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return scarce_fails(count * size) ? NULL : __real_calloc(count, size);
}

static long fail_at; /* of the pattern's allocations */
static bool failed;

static void within(bool begin)
{
    if (begin) {
        scarce_fail(fail_at);
        return;
    }
    failed = failed || (fail_at >= 0 && scarce_fail_at < 0);
    fail_at = scarce_fail_at;
    scarce_fail(-1);
}

static char many[600]; /* frames */
static char long_text[3000];
static unsigned sent, received;

static void give(const char *text)
{
    sent += fx_send(text) == 0;
}

static void take(void)
{
    const char *text = fx_recv();

    received += strcmp(text, "again") != 0 && strcmp(text, "state") != 0 &&
                strcmp(text, "memory") != 0;
}

static void feed(struct weir_pipe *pipe, const char *text)
{
    if (pipe)
        fx_feed(pipe, text);
}

static uint64_t delivered(struct weir_pipe *pipe)
{
    return pipe ? fx_delivered(pipe) : 0;
}

/* ---- what happens on each socket ---- */

static void senders(enum weir_type type)
{
    fx_open(type);
    (void)fx_accept("a");
    (void)fx_accept(NULL);
    for (int i = 0; i < 3; i++) {
        give("x|y|z");
        give(long_text);
    }
    assert_int_equal(fx_accepted(), sent);
}

static void push(void)
{
    senders(WEIR_PUSH);
}

static void pair(void)
{
    senders(WEIR_PAIR);
}

static void receivers(enum weir_type type)
{
    struct weir_pipe *one, *two;

    fx_open(type);
    one = fx_accept("a");
    two = fx_accept(NULL);
    if (type == WEIR_SUB)
        (void)fx_subscribe("", true);
    feed(one, many);
    feed(two, long_text);
    feed(two, many);
    for (int i = 0; i < 4; i++)
        take();
    assert_int_equal(delivered(one) + delivered(two), received);
}

static void pull(void)
{
    receivers(WEIR_PULL);
}

static void sub(void)
{
    receivers(WEIR_SUB);
}

static void xsub(void)
{
    receivers(WEIR_XSUB);
}

static void dealer(void)
{
    receivers(WEIR_DEALER);
}

static void router(void)
{
    struct weir_pipe *one, *two;

    fx_open(WEIR_ROUTER);
    fx.sock->options.handover = true;
    one = fx_accept("a");
    two = fx_accept(NULL);
    feed(one, many);
    feed(two, "m");
    for (int i = 0; i < 3; i++)
        take();
    assert_int_equal(delivered(one) + delivered(two), received);
    give("a|x|y");
    give("nobody|x");
    assert_int_equal(fx_accepted(), sent);
    (void)fx_accept("a");
    give("a|x");
}

/* Whether a notice comes is known when the peer comes. */
static void router_notify(void)
{
    struct weir_pipe *pipe;
    bool came;

    fx_open(WEIR_ROUTER);
    fx.sock->options.notify = WEIR_NOTIFY_BOTH;
    pipe = fx_accept("a");
    came = pipe != NULL;
    if (pipe)
        fx_lose(pipe);
    take();
    take();
    assert_int_equal(received, came ? 2 : 0);
}

static void req(void)
{
    struct weir_pipe *pipe;

    fx_open(WEIR_REQ);
    fx.sock->options.correlate = true;
    pipe = fx_accept(NULL);
    for (int i = 0; i < 2; i++) {
        char reply[1000];
        const char *asked;

        give("q|r");
        asked = pipe ? fx_sent(pipe) : "none";
        if (strcmp(asked, "none") == 0)
            continue;
        snprintf(reply, sizeof reply, "%.*s||%s",
                 (int)(strchr(asked, '|') - asked), asked, many);
        feed(pipe, reply);
        take();
    }
    assert_int_equal(delivered(pipe), received);
    assert_int_equal(fx_accepted(), sent);
}

static void rep(void)
{
    struct weir_pipe *pipe;

    fx_open(WEIR_REP);
    pipe = fx_accept("id");
    feed(pipe, "a|b|c|d|e||q");
    feed(pipe, "|q|r|s");
    for (int i = 0; i < 2; i++) {
        take();
        give("answer|to|it");
    }
    take();
    assert_int_equal(delivered(pipe), received);
    assert_int_equal(fx_accepted(), sent);
}

/* A subscription that was not dropped holds; the others are counted. */
static void pub(void)
{
    struct weir_pipe *one, *two;
    uint64_t lost;

    fx_open(WEIR_PUB);
    one = fx_accept(NULL);
    two = fx_accept(NULL);
    feed(one, "^");
    feed(two, "^x");
    give(long_text);
    lost = (one ? one->tally.recv_dropped[WEIR_DROP_MEMORY] : 1) +
           (two ? two->tally.recv_dropped[WEIR_DROP_MEMORY] : 1);
    assert_int_equal(fx.peers, 2 - (int)lost);
    assert_int_equal(fx_accepted(), 2 - lost);
    if (one)
        fx_lose(one);
}

static void xpub(void)
{
    struct weir_pipe *pipe;
    int noticed = 0;

    fx_open(WEIR_XPUB);
    pipe = fx_accept(NULL);
    feed(pipe, "^a");
    feed(pipe, "message|to you");
    feed(pipe, "^b");
    for (int i = 0; i < 4; i++)
        noticed += *fx_recv() == '^';
    if (pipe) {
        uint64_t lost = pipe->tally.recv_dropped[WEIR_DROP_MEMORY];

        assert_true((uint64_t)noticed + lost >= 2);
        fx_lose(pipe);
    }
    take();
}

static void xsub_sends(void)
{
    fx_open(WEIR_XSUB);
    (void)fx_accept(NULL);
    give("^topic");
    give("message|x");
    give("~topic");
    (void)fx_accept(NULL);
}

static void run(void (*what)(void))
{
    int n = 0;

    do {
        fail_at = n++;
        failed = false;
        sent = received = 0;
        fx.within = within;
        what();
        fx_close();
        assert_in_range(n, 1, 1000);
    } while (failed);
    assert_true(n > 1);
}

static void test_scarce(void **state)
{
    static void (*const all[])(void) = {
        push,          pair, pull, sub, xsub, dealer,     router,
        router_notify, req,  rep,  pub, xpub, xsub_sends,
    };

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    for (size_t i = 0; i + 3 < sizeof many; i += 2)
        memcpy(many + i, "f|", 3);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        run(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scarce),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
