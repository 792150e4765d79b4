/*
 * Cold starts: two new sockets, bind and connect in either order, and as soon
 * as weir_wait_peers says so the first messages are sent.  None is lost, and
 * nobody sleeps.
 *
 * 600 of them; 10,000 with the argument "full" or WEIR_TEST_FULL=1.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 600, FULL = 10000, MESSAGES = 3 };

struct pair {
    int sender, receiver;
};

static const struct pair pairs[] = {
    {WEIR_PUSH, WEIR_PULL}, {WEIR_PUB, WEIR_SUB},  {WEIR_DEALER, WEIR_ROUTER},
    {WEIR_PAIR, WEIR_PAIR}, {WEIR_XPUB, WEIR_SUB}, {WEIR_REQ, WEIR_REP},
};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

static const char *const transports[] = {"tcp", "ipc", "inproc"};

static int starts = SHORT;

/* What distinguishes start number i from the others. */
struct start {
    struct pair pair;
    const char *transport;
    bool connect_first, sender_binds, alone; /* alone: one context for both */
    int threads;
};

static struct start choose(int i)
{
    struct start start;

    start.connect_first = i % 2;
    start.sender_binds = i / 2 % 2;
    start.transport = transports[i / 4 % 3];
    start.pair = pairs[i / 12 % PAIRS];
    start.threads = i / 12 / PAIRS % 3;
    start.alone = start.threads == 0 || strcmp(start.transport, "inproc") == 0;
    return start;
}

/* Bind one and connect the other, in the order that was chosen. */
static void introduce(const struct start *start, weir_socket sender,
                      weir_socket receiver)
{
    weir_socket near = start->sender_binds ? sender : receiver;
    weir_socket far = start->sender_binds ? receiver : sender;
    char url[FLOW_URL];

    flow_url(start->transport, url);
    if (start->connect_first)
        flow_ok(weir_connect(far, url, NULL));
    flow_ok(weir_bind(near, url, NULL));
    if (!start->connect_first)
        flow_ok(weir_connect(far, url, NULL));
}

static void talk(const struct start *start, weir_socket sender,
                 weir_socket receiver)
{
    int n = start->pair.sender == WEIR_REQ ? 1 : MESSAGES;

    flow_ok(weir_wait_peers(sender, 1, FLOW_SOON));
    for (int i = 0; i < n; i++)
        flow_say(sender, "first words");
    for (int i = 0; i < n; i++) {
        weir_message message;

        weir_message_init(&message);
        flow_ok(weir_recv_message(receiver, &message, FLOW_SOON));
        weir_message_fini(&message);
    }
}

static void start_cold(const struct start *start)
{
    weir_context one = flow_context(start->threads);
    weir_context other = start->alone ? one : flow_context(start->threads);
    weir_socket sender = flow_open(one, start->pair.sender);
    weir_socket receiver = flow_open(other, start->pair.receiver);

    flow_ok(weir_set(sender, "reconnect", "5ms"));
    flow_ok(weir_set(receiver, "reconnect", "5ms"));
    if (start->pair.receiver == WEIR_SUB)
        flow_ok(weir_subscribe(receiver, "f", 1));
    introduce(start, sender, receiver);
    talk(start, sender, receiver);
    flow_close(sender);
    flow_close(receiver);
    flow_end(one);
    if (!start->alone)
        flow_end(other);
}

static void test_cold_starts(void **state)
{
    (void)state;
    for (int i = 0; i < starts; i++) {
        struct start start = choose(i);

        start_cold(&start);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_starts),
    };
    const char *full = getenv("WEIR_TEST_FULL");

    if ((full && strcmp(full, "1") == 0) ||
        (argc > 1 && strcmp(argv[1], "full") == 0))
        starts = FULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
