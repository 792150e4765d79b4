/*
 * test_threads.c - eight threads send, receive, look and close on one socket
 * of each pattern.  Calls that come too late say so, and every handle is dead
 * when the first close returns.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 8, PARTNERS = 2, FILLED = 32 };

struct scene {
    weir_socket socket, partner;
    bool routes; /* the socket under test is a ROUTER */
    _Atomic bool closed, over;
    _Atomic int closes, bad;
    _Atomic uint64_t sent, received;
};

/* What a call may give while others close the socket. */
static bool is_allowed(int r)
{
    return r >= 0 || r == -EAGAIN || r == -WEIR_ESTATE || r == -EOPNOTSUPP ||
           r == -EHOSTUNREACH || r == -EBADF || r == -WEIR_ECLOSING;
}

/* Look at a result; false: the socket is gone, the thread ends. */
static bool go_on(struct scene *scene, int r, const char *what,
                  bool closed_before)
{
    if (!is_allowed(r) || (closed_before && r != -EBADF)) {
        fprintf(stderr, "%s gave %d: %s\n", what, r, weir_last_error());
        atomic_fetch_add(&scene->bad, 1);
    }
    return r != -EBADF && r != -WEIR_ECLOSING;
}

static int send_one(struct scene *scene, weir_socket socket, bool routes)
{
    weir_message message;
    int r = 0;

    (void)scene;
    if (!routes)
        return weir_send(socket, "weir", 4, 5);
    weir_message_init(&message);
    r = weir_message_add(&message, "D", 1);
    if (r >= 0)
        r = weir_message_add(&message, "weir", 4);
    if (r >= 0)
        r = weir_send_message(socket, &message, 5);
    weir_message_fini(&message);
    return r;
}

static void *sender(void *arg)
{
    struct scene *scene = arg;
    bool closed;
    int r;

    do {
        closed = atomic_load(&scene->closed);
        r = send_one(scene, scene->socket, scene->routes);
        atomic_fetch_add(&scene->sent, r >= 0);
    } while (go_on(scene, r, "send", closed));
    return NULL;
}

static void *receiver(void *arg)
{
    struct scene *scene = arg;
    weir_message message;
    bool closed;
    int r;

    weir_message_init(&message);
    do {
        closed = atomic_load(&scene->closed);
        r = weir_recv_message(scene->socket, &message, 5);
        atomic_fetch_add(&scene->received, r >= 0);
    } while (go_on(scene, r, "recv", closed));
    weir_message_fini(&message);
    return NULL;
}

static void *looker(void *arg)
{
    struct scene *scene = arg;
    weir_stats stats = {.size = sizeof(stats)};
    weir_event event = {.size = sizeof(event)};
    weir_poll_item item = {.socket = scene->socket,
                           .events = WEIR_POLL_IN | WEIR_POLL_OUT};
    bool closed;
    int r;

    do {
        (void)weir_next_event(scene->socket, &event, 0);
        (void)weir_peer_stats(scene->socket, 0, &stats);
        (void)weir_poll(&item, 1, 1);
        closed = atomic_load(&scene->closed);
        r = weir_socket_stats(scene->socket, &stats);
        if (r >= 0 && !adds_up(&stats))
            atomic_fetch_add(&scene->bad, 1);
    } while (go_on(scene, r, "stats", closed));
    return NULL;
}

static uint64_t traffic(struct scene *scene)
{
    return atomic_load(&scene->sent) + atomic_load(&scene->received);
}

static void *closer(void *arg)
{
    struct scene *scene = arg;
    int64_t end = now_ms() + SOON;
    bool closed;
    int r;

    do
        sleep_ms(10);
    while (traffic(scene) < 3 && now_ms() < end);
    closed = atomic_load(&scene->closed);
    r = weir_close(scene->socket, 20, NULL);
    if (r >= 0 || r == -EAGAIN) {
        atomic_store(&scene->closed, true);
        atomic_fetch_add(&scene->closes, 1);
        r = weir_send(scene->socket, "", 0, 0);
        closed = true;
    }
    (void)go_on(scene, r, "close", closed);
    return NULL;
}

/* The partner answers, sends and receives, until it is told to stop. */
static void *partner(void *arg)
{
    struct scene *scene = arg;
    weir_message message;

    weir_message_init(&message);
    while (!atomic_load(&scene->over)) {
        if (weir_recv_message(scene->partner, &message, 1) >= 0 &&
            message.count > 1)
            (void)weir_send_message(scene->partner, &message, 1);
        else
            (void)weir_send(scene->partner, "partner", 7, 0);
    }
    weir_message_fini(&message);
    return NULL;
}

static void run_threads(struct scene *scene)
{
    static void *(*const roles[THREADS])(void *) = {
        sender, sender, sender, receiver, receiver, looker, closer, closer};
    pthread_t threads[THREADS + PARTNERS];

    for (int i = 0; i < THREADS + PARTNERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < THREADS ? roles[i] : partner,
                                        scene),
                         0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&scene->over, true);
    for (int i = THREADS; i < THREADS + PARTNERS; i++)
        pthread_join(threads[i], NULL);
}

static weir_socket open_one(weir_context context, const char *pattern)
{
    weir_socket socket = new_socket(context, pattern);

    if (strcmp(pattern, "SUB") == 0)
        assert_int_equal(weir_subscribe(socket, "", 0), 0);
    if (strcmp(pattern, "XSUB") == 0)
        assert_int_equal(weir_send(socket, "\1", 1, 0), 0);
    if (strcmp(pattern, "DEALER") == 0)
        set_option(socket, "routing-id", "D");
    return socket;
}

static void hammer(weir_context context, const char *url, const char *pattern,
                   const char *other, bool binds)
{
    char where[SOCKET_URL];
    struct scene scene = {.socket = open_one(context, pattern),
                          .partner = open_one(context, other),
                          .routes = strcmp(pattern, "ROUTER") == 0};
    weir_stats stats;

    bind_to(binds ? scene.socket : scene.partner, url, where);
    connect_to(binds ? scene.partner : scene.socket, where);
    wait_peers(scene.socket, 1);
    run_threads(&scene);
    assert_int_equal(atomic_load(&scene.closes), 1);
    assert_int_equal(atomic_load(&scene.bad), 0);
    if (traffic(&scene) == 0)
        fail_msg("%s sent and received nothing", pattern);
    stats = stats_of(scene.partner);
    assert_true(adds_up(&stats));
    close_socket(scene.partner);
}

static void all_patterns(const char *url, int io_threads)
{
    static const char *const pairs[][2] = {
        {"PAIR", "PAIR"},     {"PUB", "SUB"},       {"SUB", "PUB"},
        {"XPUB", "XSUB"},     {"XSUB", "XPUB"},     {"REQ", "REP"},
        {"REP", "REQ"},       {"DEALER", "ROUTER"}, {"ROUTER", "DEALER"},
        {"DEALER", "DEALER"}, {"PUSH", "PULL"},     {"PULL", "PUSH"}};
    int rounds = full() ? 40 : 2;

    for (int round = 0; round < rounds; round++) {
        weir_context context = new_context(io_threads);

        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
            hammer(context, url, pairs[i][0], pairs[i][1], round & 1);
        close_context(context);
    }
}

static void over_inproc(void **state)
{
    (void)state;
    all_patterns("inproc://threads", 1);
}

static void over_tcp(void **state)
{
    (void)state;
    all_patterns("tcp://127.0.0.1:*", 1);
}

static void without_io_threads(void **state)
{
    (void)state;
    all_patterns("tcp://127.0.0.1:*", 0);
}

/* ---- those who wait for room ---- */

struct queue {
    weir_socket socket;
    _Atomic int done;
};

static void *send_last(void *arg)
{
    struct queue *queue = arg;

    if (weir_send(queue->socket, "last", 4, SOON) == 0)
        atomic_fetch_add(&queue->done, 1);
    return NULL;
}

/* Each sends one message and no more: nobody may be left asleep when there
 * is room for all. */
static void all_who_wait_are_woken(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    struct queue queue = {.socket = new_socket(context, "PUSH")};
    pthread_t threads[THREADS];
    char url[SOCKET_URL], data[16];
    int n = 0;

    (void)state;
    set_option(queue.socket, "send-mark", "16");
    set_option(pull, "recv-mark", "16");
    bind_to(pull, "inproc://woken", url);
    connect_to(queue.socket, url);
    wait_peers(queue.socket, 1);
    while (weir_send(queue.socket, "x", 1, 0) == 0)
        n++;
    assert_int_equal(n, FILLED);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, send_last, &queue);
    sleep_ms(50);
    for (int i = 0; i < FILLED + THREADS; i++) {
        size_t size = sizeof(data);

        assert_int_equal(weir_recv(pull, data, &size, SOON / 2), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&queue.done), THREADS);
    close_socket(queue.socket);
    close_socket(pull);
    close_context(context);
}

/* ---- late calls ---- */

struct late {
    weir_context context;
    _Atomic bool over;
    int taken; /* for another's handle */
};

static void *call_late(void *arg)
{
    struct late *late = arg;
    weir_socket socket;

    while (!atomic_load(&late->over)) {
        late->taken += weir_open(&socket, late->context, WEIR_PAIR) >= 0;
        late->taken += weir_context_close(late->context, 0) >= 0;
    }
    return NULL;
}

/* The memory behind a closed context's handle is used again meanwhile. */
static void contexts_come_and_go(void **state)
{
    struct late late = {.context = new_context(1)};
    pthread_t thread;

    (void)state;
    close_context(late.context);
    pthread_create(&thread, NULL, call_late, &late);
    for (int i = 0; i < 100; i++)
        close_context(new_context(i & 1));
    atomic_store(&late.over, true);
    pthread_join(thread, NULL);
    assert_int_equal(late.taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_inproc),
        cmocka_unit_test(over_tcp),
        cmocka_unit_test(without_io_threads),
        cmocka_unit_test(all_who_wait_are_woken),
        cmocka_unit_test(contexts_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
