/*
 * Waiting for many things at once: weir_poll, and the readiness descriptors
 * in a plain poll() loop.  No wake-up is lost: in all of these one message is
 * under way at a time, or the last one of a burst is awaited.
 */
#include "config.h"

#include "flow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const transports[] = {"tcp", "ipc", "inproc"};

enum { TRANSPORTS = 3 };

static void for_each_transport(void (*body)(weir_context context,
                                            const char *transport))
{
    for (int i = 0; i < TRANSPORTS; i++) {
        weir_context context = flow_context(1);

        body(context, transports[i]);
        flow_end(context);
    }
}

/* ---- weir_poll ---- */

static weir_poll_item item_of(weir_socket socket, short events)
{
    return (weir_poll_item){.socket = socket, .fd = -1, .events = events};
}

static void poll_pair(weir_context context, const char *transport)
{
    weir_socket a = flow_open(context, WEIR_PAIR);
    weir_socket b = flow_open(context, WEIR_PAIR);
    weir_poll_item items[2];
    int64_t start;

    items[0] = item_of(a, WEIR_POLL_IN | WEIR_POLL_OUT);
    items[1] = item_of(b, WEIR_POLL_IN);
    assert_int_equal(flow_ok(weir_poll(items, 2, WEIR_NOWAIT)), 0);
    flow_join(a, b, transport);
    assert_int_equal(flow_ok(weir_poll(items, 2, FLOW_SOON)), 1);
    assert_int_equal(items[0].ready, WEIR_POLL_OUT);
    start = flow_now();
    assert_int_equal(flow_ok(weir_poll(items + 1, 1, FLOW_NOT)), 0);
    assert_in_range(flow_now() - start, FLOW_NOT - 1, FLOW_SOON / 2);
    flow_say(a, "x");
    assert_int_equal(flow_ok(weir_poll(items + 1, 1, FLOW_SOON)), 1);
    assert_int_equal(items[1].ready, WEIR_POLL_IN);
    assert_int_equal(flow_ok(weir_poll(items + 1, 1, WEIR_NOWAIT)), 1);
    flow_hear(b, "x");
    assert_int_equal(flow_ok(weir_poll(items + 1, 1, WEIR_NOWAIT)), 0);
    flow_close(b);
    assert_int_equal(flow_ok(weir_poll(items + 1, 1, FLOW_SOON)), 1);
    assert_int_equal(items[1].ready, WEIR_POLL_ERROR);
    flow_close(a);
}

static void test_poll(void **state)
{
    (void)state;
    for_each_transport(poll_pair);
}

static void test_poll_descriptors(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_poll_item items[3];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    memset(items, 0, sizeof(items));
    items[0] = item_of(pull, WEIR_POLL_IN);
    items[1].fd = ends[0];
    items[1].events = WEIR_POLL_IN;
    items[2].fd = -1;
    items[2].events = WEIR_POLL_IN;
    assert_int_equal(flow_ok(weir_poll(items, 3, FLOW_NOT)), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(flow_ok(weir_poll(items, 3, FLOW_SOON)), 1);
    assert_int_equal(items[1].ready, WEIR_POLL_IN);
    assert_int_equal(items[0].ready, 0);
    items[0].events = 64;
    flow_fails(weir_poll(items, 3, FLOW_SOON), EINVAL);
    close(ends[0]);
    close(ends[1]);
    flow_close(pull);
    flow_end(context);
}

/* ---- another thread at the other end ---- */

struct other {
    pthread_t thread;
    weir_socket socket;
    uint32_t n;
    int result;
};

static void pause_at_random(uint32_t seed)
{
    struct timespec pause = {.tv_nsec = (long)(seed * 2654435761U % 100000)};

    if (seed % 3 == 0)
        nanosleep(&pause, NULL);
}

static void *echo(void *arg)
{
    struct other *other = arg;
    weir_message message;
    int r = 0;

    weir_message_init(&message);
    for (uint32_t i = 0; r >= 0 && i < other->n; i++) {
        r = weir_recv_message(other->socket, &message, FLOW_SOON);
        pause_at_random(i);
        if (r >= 0)
            r = weir_send_message(other->socket, &message, FLOW_SOON);
    }
    weir_message_fini(&message);
    other->result = r;
    return NULL;
}

static void *burst(void *arg)
{
    struct other *other = arg;
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < other->n; i++) {
        r = weir_send(other->socket, &i, sizeof(i), FLOW_SOON);
        if (i % 16 == 0)
            pause_at_random(i);
    }
    other->result = r;
    return NULL;
}

static void start(struct other *other, void *(*run)(void *arg),
                  weir_socket socket, uint32_t n)
{
    other->socket = socket;
    other->n = n;
    other->result = -1;
    assert_int_equal(pthread_create(&other->thread, NULL, run, other), 0);
}

static void finish(struct other *other)
{
    pthread_join(other->thread, NULL);
    flow_ok(other->result);
}

/* Wait as a foreign loop does.  False: nothing within FLOW_SOON / 4. */
static bool is_set(int fd, int deadline)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    int r = poll(&item, 1, deadline);

    assert_true(r >= 0);
    return r == 1;
}

/* ---- readable ---- */

/* One message is under way at a time: a wake-up that is lost is never made
 * good by the next. */
static void play_ping_pong(weir_socket socket, uint32_t n)
{
    int fd = flow_ok(weir_readable_fd(socket));

    for (uint32_t i = 0; i < n; i++) {
        uint32_t got;
        size_t size = sizeof(got);
        int r;

        flow_send_number(socket, i);
        do {
            assert_true(is_set(fd, FLOW_SOON / 4));
            r = weir_recv(socket, &got, &size, WEIR_NOWAIT);
        } while (r == -EAGAIN);
        flow_ok(r);
        assert_int_equal(got, i);
    }
}

static void ping_pong(weir_context context, const char *transport)
{
    enum { N = 2000 };
    weir_socket near = flow_open(context, WEIR_PAIR);
    weir_socket far = flow_open(context, WEIR_PAIR);
    struct other other;

    flow_join(near, far, transport);
    start(&other, echo, far, N);
    play_ping_pong(near, N);
    finish(&other);
    assert_false(is_set(weir_readable_fd(near), 0));
    flow_close(near);
    flow_close(far);
}

static void test_ping_pong(void **state)
{
    (void)state;
    for_each_transport(ping_pong);
}

/* weir_poll does the work of a context without I/O threads. */
static void test_poll_without_threads(void **state)
{
    weir_context context = flow_context(0);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_poll_item items[1];
    char url[FLOW_URL];

    (void)state;
    items[0] = item_of(pull, WEIR_POLL_IN);
    flow_bind(pull, "tcp", url);
    flow_ok(weir_connect(push, url, NULL));
    flow_say(push, "x");
    assert_int_equal(flow_ok(weir_poll(items, 1, FLOW_SOON / 4)), 1);
    flow_hear(pull, "x");
    flow_close(push);
    flow_close(pull);
    flow_end(context);
}

/* The loop's own context has no thread: readable means "call in".  That needs
 * a descriptor that stands for many. */
#if !defined(WEIR_POLLER_POLL)
static void test_no_threads(void **state)
{
    enum { N = 500 };
    weir_context idle = flow_context(0), busy = flow_context(1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        weir_socket near = flow_open(idle, WEIR_PAIR);
        weir_socket far = flow_open(busy, WEIR_PAIR);
        struct other other;
        char url[FLOW_URL];

        flow_bind(far, transports[i], url);
        flow_ok(weir_connect(near, url, NULL));
        flow_ok(weir_wait_peers(near, 1, FLOW_SOON));
        start(&other, echo, far, N);
        play_ping_pong(near, N);
        finish(&other);
        flow_close(near);
        flow_close(far);
    }
    flow_end(idle);
    flow_end(busy);
}
#endif

/* A burst, read as it comes until there is nothing. */
static void read_burst(weir_context context, const char *transport)
{
    enum { N = 20000 };
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    uint32_t expected = 0, got;
    struct other other;
    int fd;

    flow_join(pull, push, transport);
    fd = flow_ok(weir_readable_fd(pull));
    assert_false(is_set(fd, 0));
    start(&other, burst, push, N);
    while (expected < N) {
        size_t size = sizeof(got);

        assert_true(is_set(fd, FLOW_SOON / 4));
        while (weir_recv(pull, &got, &size, WEIR_NOWAIT) >= 0)
            assert_int_equal(got, expected++);
    }
    finish(&other);
    assert_false(is_set(fd, 0));
    flow_close(push);
    flow_close(pull);
}

static void test_burst(void **state)
{
    (void)state;
    for_each_transport(read_burst);
}

/* Level-triggered: it stays set while something is left. */
static void stay_set(weir_context context, const char *transport)
{
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    int fd;

    flow_join(pull, push, transport);
    flow_say(push, "one");
    flow_say(push, "two");
    fd = flow_ok(weir_readable_fd(pull));
    assert_true(is_set(fd, FLOW_SOON));
    assert_true(is_set(fd, 0));
    flow_hear(pull, "one");
    assert_true(is_set(fd, FLOW_SOON));
    flow_hear(pull, "two");
    assert_false(is_set(fd, FLOW_NOT));
    flow_fails(weir_writable_fd(pull), EOPNOTSUPP);
    flow_fails(weir_readable_fd(push), EOPNOTSUPP);
    flow_close(push);
    flow_close(pull);
}

static void test_level(void **state)
{
    (void)state;
    for_each_transport(stay_set);
}

/* ---- writable ---- */

static void write_when_ready(weir_context context, const char *transport)
{
    enum { SIZE = 50000 };
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket pull = flow_open(context, WEIR_PULL);
    char *data = calloc(1, SIZE);
    weir_message message;
    int fd = flow_ok(weir_writable_fd(push));
    uint32_t n = 0;

    assert_non_null(data);
    assert_false(is_set(fd, 0));
    flow_ok(weir_set(push, "send-mark", "10"));
    flow_ok(weir_set(pull, "recv-mark", "10"));
    flow_join(pull, push, transport);
    while (is_set(fd, 200)) {
        flow_ok(weir_send(push, data, SIZE, FLOW_SOON));
        assert_true(++n < 100000);
    }
    flow_fails(weir_send(push, data, SIZE, WEIR_NOWAIT), EAGAIN);
    weir_message_init(&message);
    for (uint32_t i = 0; i < n; i++)
        flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
    weir_message_fini(&message);
    assert_true(is_set(fd, FLOW_SOON));
    flow_ok(weir_send(push, data, SIZE, WEIR_NOWAIT));
    flow_ok(weir_recv_message(pull, &message, FLOW_SOON));
    weir_message_fini(&message);
    free(data);
    flow_close(push);
    flow_close(pull);
}

static void test_writable(void **state)
{
    (void)state;
    for_each_transport(write_when_ready);
}

/* ---- writable, where it depends on whom a message is for ---- */

enum { BIG = 50000 };

static int send_to(weir_socket router, const char *id, int deadline)
{
    static const char data[BIG];
    weir_message message;
    int r;

    weir_message_init(&message);
    flow_ok(weir_message_add(&message, id, strlen(id)));
    flow_ok(weir_message_add(&message, data, sizeof(data)));
    r = weir_send_message(router, &message, deadline);
    weir_message_fini(&message);
    return r;
}

static weir_socket open_dealer(weir_context context, const char *id,
                               const char *url)
{
    weir_socket dealer = flow_open(context, WEIR_DEALER);

    flow_ok(weir_set(dealer, "routing-id", id));
    flow_ok(weir_set(dealer, "recv-mark", "10"));
    flow_ok(weir_connect(dealer, url, NULL));
    return dealer;
}

/* Both have as much as they take: marks of 10 each.  The kernel may have taken
 * some since, but there is readiness again only when half of what the sender
 * had is gone. */
static bool are_full(weir_socket sender, weir_socket receiver)
{
    return flow_stats(sender).send_queued + flow_stats(receiver).recv_queued >
           15;
}

/* Send as an event loop does, until there is no readiness for a while and
 * will not be.  Returns how many were accepted; few attempts were in vain. */
static uint32_t send_when_ready(weir_socket router, const char *id,
                                weir_socket dealer)
{
    int fd = flow_ok(weir_writable_fd(router));
    int64_t end = flow_now() + FLOW_SOON;
    uint32_t n = 0, refused = 0;

    while (is_set(fd, 200) || !are_full(router, dealer)) {
        int r;

        assert_true(flow_now() < end);
        if (!is_set(fd, 0))
            continue;
        r = send_to(router, id, WEIR_NOWAIT);
        if (r != -EAGAIN)
            flow_ok(r);
        n += r >= 0;
        refused += r < 0;
        assert_true(refused < 20); /* some wait until the kernel takes more */
    }
    while (send_to(router, id, WEIR_NOWAIT) >= 0)
        n++; /* where the kernel took less than half */
    return n;
}

static void read_all(weir_socket dealer, uint32_t n)
{
    weir_message message;

    weir_message_init(&message);
    for (uint32_t i = 0; i < n; i++)
        flow_ok(weir_recv_message(dealer, &message, FLOW_SOON));
    weir_message_fini(&message);
}

static int64_t thread_cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One peer does not read, the other does. */
static void route_when_ready(weir_context context, const char *transport)
{
    weir_socket router = flow_open(context, WEIR_ROUTER), slow, quick;
    weir_poll_item item = item_of(router, WEIR_POLL_OUT);
    uint32_t n;
    int64_t cpu;
    char url[FLOW_URL];
    int fd;

    flow_ok(weir_set(router, "mandatory", "yes"));
    flow_ok(weir_set(router, "send-mark", "10"));
    flow_bind(router, transport, url);
    slow = open_dealer(context, "slow", url);
    quick = open_dealer(context, "quick", url);
    flow_ok(weir_wait_peers(router, 2, FLOW_SOON));
    fd = flow_ok(weir_writable_fd(router));
    assert_true(is_set(fd, FLOW_SOON));
    n = send_when_ready(router, "slow", slow);
    assert_int_equal(flow_ok(weir_poll(&item, 1, FLOW_NOT)), 0);
    flow_ok(send_to(router, "quick", WEIR_NOWAIT));
    assert_true(is_set(fd, 0));
    assert_int_equal(flow_ok(weir_poll(&item, 1, WEIR_NOWAIT)), 1);
    cpu = thread_cpu_ms();
    flow_fails(send_to(router, "slow", 300), EAGAIN);
    assert_true(thread_cpu_ms() - cpu < 150);
    assert_false(is_set(fd, FLOW_NOT));
    read_all(slow, n);
    assert_true(is_set(fd, FLOW_SOON));
    flow_ok(send_to(router, "slow", WEIR_NOWAIT));
    (void)send_when_ready(router, "slow", slow);
    flow_drop(slow);
    flow_await_peers(router, 1);
    assert_true(is_set(fd, FLOW_SOON));
    flow_fails(send_to(router, "slow", WEIR_NOWAIT), EHOSTUNREACH);
    flow_drop(quick);
    flow_drop(router);
}

static void test_writable_router(void **state)
{
    (void)state;
    for_each_transport(route_when_ready);
}

/* A subscriber that is full is waited for as long as it has subscribed to
 * something. */
static void publish_when_ready(weir_context context, const char *transport)
{
    static const char data[BIG];
    weir_socket pub = flow_open(context, WEIR_PUB);
    weir_socket sub = flow_open(context, WEIR_SUB);
    int64_t end = flow_now() + FLOW_SOON;
    int fd;

    flow_ok(weir_set(pub, "nodrop", "yes"));
    flow_ok(weir_set(pub, "send-mark", "10"));
    flow_ok(weir_set(sub, "recv-mark", "10"));
    flow_ok(weir_subscribe(sub, "", 0));
    fd = flow_ok(weir_writable_fd(pub));
    assert_true(is_set(fd, FLOW_SOON));
    flow_join(pub, sub, transport);
    while (is_set(fd, 200) || !are_full(pub, sub)) {
        if (is_set(fd, 0))
            flow_ok(weir_send(pub, data, sizeof(data), FLOW_SOON));
        assert_true(flow_now() < end);
    }
    while (weir_send(pub, data, sizeof(data), WEIR_NOWAIT) >= 0)
        assert_true(flow_now() <
                    end); /* where the kernel took less than half */
    flow_fails(weir_send(pub, data, sizeof(data), WEIR_NOWAIT), EAGAIN);
    assert_false(is_set(fd, 0));
    flow_ok(weir_unsubscribe(sub, "", 0));
    assert_true(is_set(fd, FLOW_SOON));
    flow_ok(weir_send(pub, data, sizeof(data), WEIR_NOWAIT));
    assert_int_equal(flow_stats(pub).unmatched, 1);
    flow_drop(sub);
    flow_drop(pub);
}

static void test_writable_publisher(void **state)
{
    (void)state;
    for_each_transport(publish_when_ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_burst),
#if !defined(WEIR_POLLER_POLL)
        cmocka_unit_test(test_no_threads),
#endif
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_writable_router),
        cmocka_unit_test(test_writable_publisher),
        cmocka_unit_test(test_poll_descriptors),
        cmocka_unit_test(test_poll_without_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
