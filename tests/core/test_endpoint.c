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
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds_bind, holds_attach; /* they wait until they may go on */
    bool arrived;                  /* one of them waits */
    bool fails;                    /* attach() reports a failure first */
    bool no_memory_after;          /* what follows a bind or dial gets none */
    _Atomic int made, closed;      /* objects */
    _Atomic int retries;
    _Atomic bool overlapped; /* two calls for one object at a time */
} stage = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

struct thing {
    const weir_transport_host *more;
    weir_ep *ep;
    _Atomic int calls; /* under way */
};

static void enter(struct thing *thing)
{
    if (atomic_fetch_add(&thing->calls, 1) != 0)
        atomic_store(&stage.overlapped, true);
}

static void leave(struct thing *thing)
{
    atomic_fetch_sub(&thing->calls, 1);
}

static struct timespec in_ms(int ms)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

/* Wait until `flag` is as wanted; false: it was not, for long. */
static bool await(const bool *flag, bool wanted, int ms)
{
    struct timespec end = in_ms(ms);
    bool is;

    pthread_mutex_lock(&stage.lock);
    while (*flag != wanted &&
           pthread_cond_timedwait(&stage.changed, &stage.lock, &end) == 0)
        ;
    is = *flag == wanted;
    pthread_mutex_unlock(&stage.lock);
    return is;
}

static void change(bool *flag, bool to)
{
    pthread_mutex_lock(&stage.lock);
    *flag = to;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.lock);
}

/* Where a call may be held up. */
static void pass(const bool *held)
{
    if (await(held, false, 0))
        return;
    change(&stage.arrived, true);
    (void)await(held, false, SOON);
    change(&stage.arrived, false);
}

static int make_thing(const weir_transport_host *more, weir_ep *ep, void **self)
{
    struct thing *thing = calloc(1, sizeof(*thing));

    if (!thing)
        return -ENOMEM;
    thing->more = more;
    thing->ep = ep;
    *self = thing;
    atomic_fetch_add(&stage.made, 1);
    no_memory = stage.no_memory_after;
    return 0;
}

static int bind_thing(const weir_host *host, const weir_transport_host *more,
                      weir_ep *ep, const char *scheme, const char *address,
                      char *actual, size_t room, void **self, weir_error *error)
{
    (void)host, (void)scheme, (void)error;
    pass(&stage.holds_bind);
    snprintf(actual, room, "%s", address);
    return make_thing(more, ep, self);
}

static int dial_thing(const weir_host *host, const weir_transport_host *more,
                      weir_ep *ep, const char *scheme, const char *address,
                      void **self, weir_error *error)
{
    (void)host, (void)scheme, (void)address, (void)error;
    return make_thing(more, ep, self);
}

static int attach_thing(void *self, weir_reactor *reactor, weir_error *error)
{
    struct thing *thing = self;
    weir_error failure = {.size = sizeof(failure), .code = ECONNREFUSED};

    (void)error;
    enter(thing);
    if (stage.fails)
        thing->more->failed(thing->ep, 0, &failure);
    if (!reactor) /* the thread is the application's */
        pass(&stage.holds_attach);
    leave(thing);
    return 0;
}

static void retry_thing(void *self)
{
    enter(self);
    atomic_fetch_add(&stage.retries, 1);
    leave(self);
}

static void cancel_thing(void *self)
{
    (void)self;
}

static void close_thing(void *self)
{
    struct thing *thing = self;

    atomic_fetch_add(&stage.closed, 1);
    if (atomic_load(&thing->calls) == 0)
        free(thing);
    else
        atomic_store(&stage.overlapped, true);
}

#define THINGS(abilities_, schemes_)                                          \
    {                                                                         \
        .size = sizeof(weir_transport_ops),                                   \
        .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL | (abilities_),            \
        .schemes = (schemes_), .bind = bind_thing, .dial = dial_thing,        \
        .attach = attach_thing, .retry = retry_thing, .cancel = cancel_thing, \
        .close = close_thing,                                                 \
    }

static const weir_transport_ops plain = THINGS(0, "plain");
static const weir_transport_ops spliced = THINGS(WEIR_CAN_SPLICE, "spliced");

/* Nobody calls it by its name: a linker that optimizes would leave it out. */
__attribute__((used)) int __wrap_weir_registry_transport(
    const char *scheme, const weir_transport_ops **ops, const char **plugin);

int __wrap_weir_registry_transport(const char *scheme,
                                   const weir_transport_ops **ops,
                                   const char **plugin)
{
    (void)plugin;
    *ops = strcmp(scheme, "plain") == 0 ? &plain : &spliced;
    return 0;
}

/* ---- a socket on it ---- */

static weir_context context;
static weir_socket sock;

static int set_up(void **state)
{
    (void)state;
    stage.holds_bind = stage.holds_attach = stage.arrived = false;
    stage.fails = stage.no_memory_after = false;
    stage.made = stage.closed = stage.retries = 0;
    stage.overlapped = false;
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_open(&sock, context, WEIR_PUSH), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(weir_context_close(context, SOON), 0);
    assert_int_equal(stage.closed, stage.made);
    assert_false(stage.overlapped);
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Another thread opens an endpoint. */
struct opener {
    pthread_t thread;
    const char *url;
    bool binds;
    int result;
};

static void *open_endpoint(void *arg)
{
    struct opener *opener = arg;

    opener->result = opener->binds ? weir_bind(sock, opener->url, NULL)
                                   : weir_connect(sock, opener->url, NULL);
    return NULL;
}

/* It comes as far as to where it is held up. */
static void open_held(struct opener *opener, const char *url, bool binds)
{
    opener->url = url;
    opener->binds = binds;
    assert_int_equal(
        pthread_create(&opener->thread, NULL, open_endpoint, opener), 0);
    assert_true(await(&stage.arrived, true, SOON));
}

static int go_on(struct opener *opener)
{
    change(&stage.holds_bind, false);
    change(&stage.holds_attach, false);
    pthread_join(opener->thread, NULL);
    return opener->result;
}

static weir_event next(uint32_t kind)
{
    weir_event event = {.size = sizeof(event)};

    do
        assert_int_equal(weir_next_event(sock, &event, SOON), 0);
    while (event.kind != kind);
    return event;
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
    assert_int_equal(stage.made, 2);
    assert_int_equal(stage.closed, 2);
    stage.no_memory_after = false;
    assert_int_equal(weir_bind(sock, "plain://here", NULL), 0);
    assert_int_equal(weir_close(sock, SOON, NULL), 0);
}

/* ---- a slow transport ---- */

/* Who has heard of a new name may close it before the call that made it has
 * come back.  The transport is left to finish first, within the deadline. */
static void closed_in_attach(void **state)
{
    struct opener opener;
    weir_endpoint endpoint;
    int64_t start;

    (void)state;
    stage.holds_attach = true;
    open_held(&opener, "spliced://name", true);
    endpoint = next(WEIR_EVENT_LISTENING).source;
    start = now_ms();
    assert_int_equal(weir_endpoint_close(endpoint, 50, NULL), -EAGAIN);
    assert_in_range(now_ms() - start, 50, SOON / 2);
    assert_non_null(strstr(weir_last_error(), "opens"));
    assert_int_equal(weir_endpoint_close(endpoint, 0, NULL), -EBADF);
    assert_int_equal(stage.closed, 0);
    assert_int_equal(go_on(&opener), 0);
    (void)next(WEIR_EVENT_CLOSED);
    assert_int_equal(stage.closed, 1);
    assert_int_equal(weir_close(sock, SOON, NULL), 0);
}

static void *close_it(void *arg)
{
    weir_endpoint *endpoint = arg;
    int *result = malloc(sizeof(*result));

    *result = weir_endpoint_close(*endpoint, SOON, NULL);
    return result;
}

/* The same with time enough: it is closed when the close is back. */
static void closed_after_attach(void **state)
{
    struct opener opener;
    weir_endpoint endpoint;
    pthread_t thread;
    void *result;

    (void)state;
    stage.holds_attach = true;
    open_held(&opener, "spliced://name", true);
    endpoint = next(WEIR_EVENT_LISTENING).source;
    assert_int_equal(pthread_create(&thread, NULL, close_it, &endpoint), 0);
    while (weir_endpoint_url(endpoint, (char[64]){0}, 64) >= 0)
        sched_yield(); /* until the close has begun */
    assert_int_equal(go_on(&opener), 0);
    pthread_join(thread, &result);
    assert_int_equal(*(int *)result, 0);
    free(result);
    assert_int_equal(stage.closed, 1);
    assert_int_equal(weir_close(sock, SOON, NULL), 0);
}

/* An attempt that has failed is made again, but not while it is under way. */
static void no_retry_in_attach(void **state)
{
    struct opener opener;

    (void)state;
    assert_int_equal(weir_set(sock, "reconnect", "1"), 0);
    stage.holds_attach = stage.fails = true;
    open_held(&opener, "spliced://name", false);
    (void)next(WEIR_EVENT_RETRY);
    assert_false(await(&stage.arrived, false, 50));
    assert_int_equal(stage.retries, 0);
    assert_int_equal(go_on(&opener), 0);
    for (int i = 0; i < SOON && stage.retries == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(stage.retries, 1);
    assert_int_equal(weir_close(sock, SOON, NULL), 0);
}

/* A socket is closed while the transport is in bind() or attach(): the call
 * comes back at its deadline, and the rest ends with the other thread. */
static void close_against(const char *url)
{
    struct opener opener;
    uint64_t unsent = 0;
    int64_t start;

    assert_int_equal(weir_connect(sock, "plain://else", NULL), 0);
    assert_int_equal(weir_send(sock, "lost", 4, 0), 0);
    open_held(&opener, url, true);
    start = now_ms();
    assert_int_equal(weir_close(sock, 50, &unsent), -EAGAIN);
    assert_in_range(now_ms() - start, 50, SOON / 2);
    assert_int_equal(unsent, 1);
    assert_int_equal(weir_send(sock, "more", 4, 0), -EBADF);
    assert_int_equal(weir_close(sock, 50, &unsent), -EBADF);
    assert_int_equal(stage.closed, 1); /* the other endpoint */
    assert_int_equal(weir_context_close(context, 50), -EBUSY);
    (void)go_on(&opener);
    assert_int_equal(stage.closed, 2);
}

static void close_in_bind(void **state)
{
    (void)state;
    stage.holds_bind = true;
    close_against("plain://name");
}

static void close_in_attach(void **state)
{
    (void)state;
    stage.holds_attach = true;
    close_against("spliced://name");
}

/* Nothing was lost, but the socket is not gone yet. */
static void close_says_so(void **state)
{
    struct opener opener;
    uint64_t unsent = 7;

    (void)state;
    stage.holds_bind = true;
    open_held(&opener, "plain://name", true);
    assert_int_equal(weir_close(sock, 0, &unsent), -EAGAIN);
    assert_int_equal(unsent, 0);
    assert_non_null(strstr(weir_last_error(), "another thread"));
    assert_int_equal(go_on(&opener), -WEIR_ECLOSING);
}

/* Two are in there: the last one ends it. */
static void close_against_two(void **state)
{
    struct opener one, other;

    (void)state;
    stage.holds_bind = stage.holds_attach = true;
    open_held(&one, "plain://name", true);
    change(&stage.arrived, false);
    open_held(&other, "spliced://name", false);
    assert_int_equal(weir_close(sock, 0, NULL), -EAGAIN);
    change(&stage.holds_attach, false);
    pthread_join(other.thread, NULL);
    assert_int_equal(weir_context_close(context, 0), -EBUSY);
    (void)go_on(&one);
}

/* In time it is as if nobody had been slow. */
static void close_waits(void **state)
{
    struct opener opener;
    uint64_t unsent = 7;

    (void)state;
    stage.holds_bind = true;
    open_held(&opener, "plain://name", true);
    change(&stage.holds_bind, false);
    assert_int_equal(weir_close(sock, SOON, &unsent), 0);
    assert_int_equal(unsent, 0);
    pthread_join(opener.thread, NULL);
}

/* Without I/O threads the last one to come out does all the work. */
static void close_without_threads(void **state)
{
    weir_context other;

    (void)state;
    assert_int_equal(weir_close(sock, 0, NULL), 0);
    assert_int_equal(weir_context_open(&other, 0), 0);
    assert_int_equal(weir_open(&sock, other, WEIR_PUSH), 0);
    for (int i = 0; i < 2; i++) {
        struct opener opener;

        stage.holds_bind = i == 0;
        stage.holds_attach = i == 1;
        open_held(&opener, i ? "spliced://name" : "plain://name", true);
        assert_int_equal(weir_close(sock, 20, NULL), -EAGAIN);
        (void)go_on(&opener);
        assert_int_equal(weir_open(&sock, other, WEIR_PUSH), 0);
    }
    assert_int_equal(weir_close(sock, 0, NULL), 0);
    assert_int_equal(weir_context_close(other, SOON), 0);
}

#define ENDPOINT(name)                       \
    {                                        \
#name, name, set_up, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENDPOINT(no_memory_for_url),   ENDPOINT(closed_in_attach),
        ENDPOINT(closed_after_attach), ENDPOINT(no_retry_in_attach),
        ENDPOINT(close_in_bind),       ENDPOINT(close_in_attach),
        ENDPOINT(close_says_so),       ENDPOINT(close_against_two),
        ENDPOINT(close_waits),         ENDPOINT(close_without_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
