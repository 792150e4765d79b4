/*
 * Options that hold for a socket from the moment they are set, and one that
 * is used up by a connect.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_connect_routing_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
