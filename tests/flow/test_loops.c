/*
 * Loops of the application's own: in contexts without I/O threads, where all
 * that is to be done must show at the descriptor; and what weir_poll makes of
 * descriptors that are no sockets of weir.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- another thread at the other end ---- */

struct server {
    pthread_t thread;
    weir_context context;
    weir_socket socket;
    char url[FLOW_URL];
    int after; /* ms until it binds; below 0: it is bound */
    int result;
};

static void *serve(void *arg)
{
    struct server *server = arg;
    const struct timespec pause = {0, server->after * 1000000L};

    if (server->after >= 0) {
        nanosleep(&pause, NULL);
        server->result = weir_bind(server->socket, server->url, NULL);
        if (server->result < 0)
            return NULL;
    }
    server->result = weir_send(server->socket, "x", 1, FLOW_SOON);
    return NULL;
}

static void start(struct server *server, int after)
{
    server->context = flow_context(1);
    server->socket = flow_open(server->context, WEIR_PUSH);
    server->after = after;
    if (after < 0)
        flow_bind(server->socket, "tcp", server->url);
    else
        flow_url("tcp", server->url);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void finish(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(server->result, 0);
    flow_close(server->socket);
    flow_end(server->context);
}

/* ---- no I/O threads ---- */

/* Nothing is called but what the descriptor asks for.  Needs one descriptor
 * that stands for many. */
#if !defined(WEIR_POLLER_POLL) && defined(HAVE_TIMERFD_CREATE)
static void hear_by_descriptor(weir_socket socket)
{
    struct pollfd item = {.events = POLLIN};
    char data;
    size_t size;

    item.fd = flow_ok(weir_readable_fd(socket));
    do {
        assert_int_equal(poll(&item, 1, FLOW_SOON), 1);
        size = sizeof(data);
    } while (weir_recv(socket, &data, &size, WEIR_NOWAIT) < 0);
    assert_int_equal(data, 'x');
}

static void connect_and_hear(int after)
{
    weir_context context = flow_context(0);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct server server;

    start(&server, after);
    flow_ok(weir_connect(pull, server.url, NULL));
    hear_by_descriptor(pull);
    finish(&server);
    flow_close(pull);
    flow_end(context);
}

/* One receive each time that it is readable, which it is until the end. */
static void take_each(weir_socket socket, int n)
{
    struct pollfd item = {.events = POLLIN};
    static char data[4000];
    int patience = FLOW_SOON;

    item.fd = flow_ok(weir_readable_fd(socket));
    while (n > 0) {
        size_t size = sizeof(data);

        assert_int_equal(poll(&item, 1, patience), 1);
        n -= weir_recv(socket, data, &size, WEIR_NOWAIT) == 0;
        patience = 0;
    }
}

/* More than one read can take is in the kernel, and nothing follows it. */
static void test_much_at_once(void **state)
{
    enum { BURSTS = 3, MESSAGES = 30 };
    weir_context context = flow_context(0), busy = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(busy, WEIR_PUSH);
    static const char data[3000];
    char url[FLOW_URL];

    (void)state;
    flow_bind(push, "ipc", url);
    flow_ok(weir_connect(pull, url, NULL));
    flow_ok(weir_wait_peers(pull, 1, FLOW_SOON));
    for (int i = 0; i < BURSTS; i++) {
        for (int k = 0; k < MESSAGES; k++)
            flow_ok(weir_send(push, data, sizeof(data), FLOW_SOON));
        flow_ok(weir_flush(push, FLOW_SOON));
        take_each(pull, MESSAGES);
        flow_silence(pull);
    }
    flow_close(push);
    flow_close(pull);
    flow_end(busy);
    flow_end(context);
}

/* The connection has yet to be made when the loop begins. */
static void test_connects(void **state)
{
    (void)state;
    connect_and_hear(-1);
}

/* It is refused first, and made again. */
static void test_connects_again(void **state)
{
    (void)state;
    connect_and_hear(FLOW_NOT);
}
#endif

static void poll_and_hear(weir_socket socket)
{
    weir_poll_item item = {.socket = socket, .events = WEIR_POLL_IN};

    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_SOON)), 1);
    flow_hear(socket, "x");
}

static void test_poll_connects_again(void **state)
{
    weir_context context = flow_context(0);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct server server;

    (void)state;
    start(&server, FLOW_NOT);
    flow_ok(weir_connect(pull, server.url, NULL));
    poll_and_hear(pull);
    finish(&server);
    flow_close(pull);
    flow_end(context);
}

struct joiner {
    weir_socket socket;
    const char *url;
    int result;
};

static void *join_late(void *arg)
{
    struct joiner *joiner = arg;
    const struct timespec pause = {0, FLOW_NOT * 1000000L};

    nanosleep(&pause, NULL);
    joiner->result = weir_connect(joiner->socket, joiner->url, NULL);
    return NULL;
}

/* One thread is in weir_poll when another connects. */
static void test_poll_while_connecting(void **state)
{
    weir_context context = flow_context(0);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct joiner joiner = {.socket = pull, .result = -1};
    struct server server;
    pthread_t thread;

    (void)state;
    start(&server, -1);
    joiner.url = server.url;
    assert_int_equal(pthread_create(&thread, NULL, join_late, &joiner), 0);
    poll_and_hear(pull);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(joiner.result, 0);
    finish(&server);
    flow_close(pull);
    flow_end(context);
}

/* ---- the end ---- */

struct poller {
    weir_poll_item item;
    int result;
    int64_t took;
};

static void *poll_long(void *arg)
{
    struct poller *poller = arg;
    int64_t start = flow_now();

    poller->result = weir_poll(&poller->item, 1, FLOW_SOON);
    poller->took = flow_now() - start;
    return NULL;
}

/* Who waits in a loop is told that the context is being closed. */
static void end_context(int io_threads)
{
    weir_context context = flow_context(io_threads);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct poller poller = {.item = {.socket = pull, .events = WEIR_POLL_IN}};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, poll_long, &poller), 0);
    flow_silence(pull); /* most likely it polls by then */
    flow_fails(weir_context_close(context, FLOW_NOT), EBUSY);
    pthread_join(thread, NULL);
    assert_int_equal(poller.result, 1);
    assert_int_equal(poller.item.ready, WEIR_POLL_ERROR);
    assert_true(poller.took < FLOW_SOON / 2);
    flow_close(pull);
    flow_end(context);
}

static void test_context_ends(void **state)
{
    (void)state;
    end_context(1);
    end_context(0);
}

/* Several threads are in weir_poll when the socket goes. */
static void close_under(int io_threads)
{
    enum { POLLERS = 4 };
    weir_context context = flow_context(io_threads);
    weir_socket pull = flow_open(context, WEIR_PULL);
    struct poller pollers[POLLERS];
    pthread_t threads[POLLERS];

    for (int i = 0; i < POLLERS; i++) {
        pollers[i].item =
            (weir_poll_item){.socket = pull, .events = WEIR_POLL_IN};
        assert_int_equal(
            pthread_create(&threads[i], NULL, poll_long, &pollers[i]), 0);
    }
    flow_silence(pull);
    flow_close(pull);
    for (int i = 0; i < POLLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(pollers[i].result, 1);
        assert_int_equal(pollers[i].item.ready, WEIR_POLL_ERROR);
        assert_true(pollers[i].took < FLOW_SOON / 2);
    }
    flow_end(context);
}

static void test_closed_under(void **state)
{
    (void)state;
    close_under(1);
    close_under(0);
}

static void test_many_items(void **state)
{
    enum { MANY = 200 };
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_poll_item items[MANY];

    (void)state;
    flow_join(pull, push, "tcp");
    for (int i = 0; i < MANY; i++)
        items[i] = (weir_poll_item){.socket = i % 2 ? pull : push,
                                    .events = WEIR_POLL_IN};
    assert_int_equal(flow_ok(weir_poll(items, MANY, FLOW_NOT)), 0);
    flow_say(push, "x");
    flow_ok(weir_poll(items, MANY, FLOW_SOON)); /* some, as it comes */
    assert_int_equal(flow_ok(weir_poll(items, MANY, FLOW_SOON)), MANY / 2);
    flow_hear(pull, "x");
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* ---- descriptors ---- */

static int64_t processor_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* Nobody reads it, so it is reported, and weir_poll does not go round. */
static void test_hung_up(void **state)
{
    weir_poll_item item = {.events = 0};
    int64_t used = processor_ms();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    item.fd = ends[0];
    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_SOON)), 1);
    assert_int_equal(item.ready, WEIR_POLL_ERROR);
    item.events = WEIR_POLL_IN;
    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_SOON)), 1);
    assert_int_equal(item.ready, WEIR_POLL_IN);
    assert_true(processor_ms() - used < FLOW_SOON / 4);
    close(ends[0]);
}

/* As many items as the process may have descriptors, and more than it may have
 * any more. */
static void test_up_to_the_limit(void **state)
{
    enum { MOST = 64 };
    struct rlimit before, low;
    weir_poll_item items[MOST];
    int ends[2];
    char c;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int i = 0; i < MOST; i++)
        items[i] = (weir_poll_item){.fd = ends[0], .events = WEIR_POLL_IN};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = MOST;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(flow_ok(weir_poll(items, MOST, FLOW_SOON)), MOST);
    items[1].fd = -1;
    assert_int_equal(flow_ok(weir_poll(items, MOST, FLOW_SOON)), MOST - 1);
    assert_int_equal(items[1].ready, 0);
    assert_int_equal(items[MOST - 1].ready, WEIR_POLL_IN);
    low.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(flow_ok(weir_poll(items, MOST, FLOW_SOON)), MOST - 1);
    assert_int_equal(read(ends[0], &c, 1), 1);
    assert_int_equal(flow_ok(weir_poll(items, MOST, 20)), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if !defined(WEIR_POLLER_POLL) && defined(HAVE_TIMERFD_CREATE)
        cmocka_unit_test(test_connects),
        cmocka_unit_test(test_connects_again),
        cmocka_unit_test(test_much_at_once),
#endif
        cmocka_unit_test(test_poll_connects_again),
        cmocka_unit_test(test_poll_while_connecting),
        cmocka_unit_test(test_context_ends),
        cmocka_unit_test(test_closed_under),
        cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_hung_up),
        cmocka_unit_test(test_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
