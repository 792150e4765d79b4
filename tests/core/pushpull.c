#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pushpull.h"

weir_context context;
weir_socket push, pull;

weir_socket pushpull_open(int type)
{
    weir_socket socket;

    assert_int_equal(weir_open(&socket, context, type), 0);
    return socket;
}

int pushpull_begin(void **state)
{
    (void)state;
    assert_int_equal(weir_context_open(&context, 1), 0);
    push = pushpull_open(WEIR_PUSH);
    pull = pushpull_open(WEIR_PULL);
    return 0;
}

int pushpull_end(void **state)
{
    (void)state;
    (void)weir_close(push, 0, NULL);
    (void)weir_close(pull, 0, NULL);
    assert_int_equal(weir_context_close(context, SOON), 0);
    return 0;
}

void pushpull_join(weir_socket near, weir_socket far, const char *url)
{
    weir_endpoint endpoint;
    char found[256];

    assert_int_equal(weir_bind(near, url, &endpoint), 0);
    assert_true(weir_endpoint_url(endpoint, found, sizeof found) > 0);
    assert_int_equal(weir_connect(far, found, NULL), 0);
    assert_true(weir_wait_peers(far, 1, SOON) >= 1);
}

void pushpull_hear(weir_socket socket, const char *text)
{
    char data[ROOM];
    size_t size = sizeof data;

    assert_int_equal(weir_recv(socket, data, &size, SOON), 0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}
