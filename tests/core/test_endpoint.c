/*
 * test_endpoint.c - bind and connect when the transport is slow, or when
 * memory runs out around it: what the transport made is closed, once, and
 * never while it is in a call.
 *
 * The transport is part of this program; it stands where the registry would
 * bring a plugin.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/transport.h>
#include <weir/weir.h>

#include "registry.h"

enum { SOON = 20000 };

/* ---- memory: one allocation of this thread fails ---- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static _Thread_local bool no_memory;

void *__wrap_malloc(size_t size)
{
    bool fails = no_memory;

    no_memory = false;
    return fails ? NULL : __real_malloc(size);
}

/* ---- the transport ---- */

static struct stage {
    _Atomic int made, closed; /* objects */
    bool no_memory_after;     /* what follows a bind or dial gets none */
} stage;

struct thing {
    int calls; /* under way */
};

static int make_thing(void **self)
{
    struct thing *thing = calloc(1, sizeof(*thing));

    if (!thing)
        return -ENOMEM;
    *self = thing;
    atomic_fetch_add(&stage.made, 1);
    no_memory = stage.no_memory_after;
    return 0;
}

static int bind_thing(const weir_host *host, const weir_transport_host *more,
                      weir_ep *ep, const char *scheme, const char *address,
                      char *actual, size_t room, void **self, weir_error *error)
{
    (void)host, (void)more, (void)ep, (void)scheme, (void)error;
    snprintf(actual, room, "%s", address);
    return make_thing(self);
}

static int dial_thing(const weir_host *host, const weir_transport_host *more,
                      weir_ep *ep, const char *scheme, const char *address,
                      void **self, weir_error *error)
{
    (void)host, (void)more, (void)ep, (void)scheme, (void)address, (void)error;
    return make_thing(self);
}

static int attach_thing(void *self, weir_reactor *reactor, weir_error *error)
{
    (void)self, (void)reactor, (void)error;
    return 0;
}

static void retry_thing(void *self)
{
    (void)self;
}

static void close_thing(void *self)
{
    atomic_fetch_add(&stage.closed, 1);
    free(self);
}

static const weir_transport_ops plain = {
    .size = sizeof(plain),
    .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL,
    .schemes = "plain",
    .bind = bind_thing,
    .dial = dial_thing,
    .attach = attach_thing,
    .retry = retry_thing,
    .cancel = retry_thing,
    .close = close_thing,
};

int __wrap_weir_registry_transport(const char *scheme,
                                   const weir_transport_ops **ops,
                                   const char **plugin);

int __wrap_weir_registry_transport(const char *scheme,
                                   const weir_transport_ops **ops,
                                   const char **plugin)
{
    (void)scheme, (void)plugin;
    *ops = &plain;
    return 0;
}

/* ---- a socket on it ---- */

static weir_context context;
static weir_socket sock;

static int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof(stage));
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_open(&sock, context, WEIR_PUSH), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(weir_context_close(context, SOON), 0);
    assert_int_equal(atomic_load(&stage.closed), atomic_load(&stage.made));
    return 0;
}

/* ---- memory ---- */

/* The transport has bound or dialed, and then there is no memory to keep the
 * address: the call fails, and nothing is left behind. */
static void no_memory_for_url(void **state)
{
    (void)state;
    stage.no_memory_after = true;
    assert_int_equal(weir_bind(sock, "plain://here", NULL), -ENOMEM);
    assert_int_equal(weir_connect(sock, "plain://here", NULL), -ENOMEM);
    assert_int_equal(atomic_load(&stage.made), 2);
    assert_int_equal(atomic_load(&stage.closed), 2);
    stage.no_memory_after = false;
    assert_int_equal(weir_bind(sock, "plain://here", NULL), 0);
    assert_int_equal(weir_close(sock, SOON, NULL), 0);
}

#define ENDPOINT(name)                       \
    {                                        \
#name, name, set_up, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENDPOINT(no_memory_for_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
