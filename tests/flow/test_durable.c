/*
 * Durable swaps: what a send has accepted outlives the socket, and whoever
 * sends hears when it cannot be kept.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

/* Each octet is three in the name of a queue. */
#define LONG_NAME \
    "///////////////////////////////////////////////////////////////"

enum { MARK = 100, N = 2000 };

struct stage {
    weir_context context;
    weir_socket sender, receiver;
    char dir[TRIAL_DIR], url[FLOW_URL];
    const char *store;
};

/* ---- a sender that keeps, and a receiver that may be away ---- */

static void configure(const struct stage *stage, weir_socket socket)
{
    flow_ok(weir_set_int(socket, "send-mark", MARK));
    flow_ok(weir_set(socket, "swap-store", stage->store));
    flow_ok(weir_set(socket, "swap-dir", stage->dir));
    flow_ok(weir_set(socket, "swap-mode", "durable"));
    flow_ok(weir_set(socket, "swap-name", "the feed"));
    flow_ok(weir_set(socket, "swap-sync", "os"));
    flow_ok(weir_set_int(socket, "linger", 0));
    flow_ok(weir_set_int(socket, "send-swap", (int64_t)(64 * MB)));
}

static void open_sender(struct stage *stage, int type)
{
    stage->context = flow_context(1);
    stage->sender = flow_open(stage->context, type);
    configure(stage, stage->sender);
}

static void set_up(struct stage *stage, const char *store,
                   const char *transport, int type)
{
    stage->store = store;
    trial_folder(stage->dir);
    flow_url(transport, stage->url);
    open_sender(stage, type);
}

static void connect_it(struct stage *stage)
{
    flow_ok(weir_connect(stage->sender, stage->url, NULL));
}

static void open_receiver(struct stage *stage, int type)
{
    stage->receiver = flow_open(stage->context, type);
    flow_ok(weir_bind(stage->receiver, stage->url, NULL));
}

/* Nothing is left when all was sent; the store is closed by a helper. */
static void tear_down(struct stage *stage)
{
    int64_t end = flow_now() + FLOW_SOON;

    flow_end(stage->context);
    while (rmdir(stage->dir) < 0) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

static int send_one(weir_socket socket, uint32_t number, int deadline)
{
    unsigned char data[1000];

    memset(data, (int)(number % 251), sizeof(data));
    memcpy(data, &number, sizeof(number));
    return weir_send(socket, data, 100 + number % 900, deadline);
}

static void send_all(weir_socket socket, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        flow_ok(send_one(socket, i, FLOW_SOON));
}

/* Returns the number; the rest is as it was sent. */
static uint32_t receive(weir_socket socket)
{
    unsigned char data[1000];
    size_t size = sizeof(data);
    uint32_t number;

    flow_ok(weir_recv(socket, data, &size, FLOW_SOON));
    memcpy(&number, data, sizeof(number));
    assert_int_equal(size, 100 + number % 900);
    for (size_t i = sizeof(number); i < size; i++)
        if (data[i] != number % 251)
            fail_msg("message %u, octet %zu", number, i);
    return number;
}

static void receive_all(weir_socket socket, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        assert_int_equal(receive(socket), i);
}

/* ---- again ---- */

/* The socket goes, and another comes that finds what was not sent. */
static void start_again(struct stage *stage, int type, uint32_t kept)
{
    uint64_t unsent = 1;

    flow_ok(weir_close(stage->sender, 0, &unsent));
    assert_int_equal(unsent, 0);
    stage->sender = flow_open(stage->context, type);
    configure(stage, stage->sender);
    connect_it(stage);
    if (kept > 0) {
        weir_event event = flow_event(stage->sender, WEIR_EVENT_SWAP_FOUND);

        assert_int_equal(event.value, kept);
        assert_non_null(strstr(event.reason, "swap in "));
    }
    assert_int_equal(flow_stats(stage->sender).send_recovered, kept);
    assert_int_equal(flow_stats(stage->sender).send_queued, kept);
}

static void check_restart(const char *store, const char *transport, int type,
                          int partner)
{
    struct stage stage;
    weir_stats stats;

    set_up(&stage, store, transport, type);
    connect_it(&stage);
    send_all(stage.sender, 1, N);
    stats = flow_stats(stage.sender);
    assert_int_equal(stats.send_in_store, N - 1);
    start_again(&stage, type, N - 1);
    send_all(stage.sender, N, N + 10);
    start_again(&stage, type, N + 9);
    open_receiver(&stage, partner);
    receive_all(stage.receiver, 1, N + 10);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_drop(stage.receiver); /* a PAIR would refuse whom comes too early */
    start_again(&stage, type, 0);
    open_receiver(&stage, partner);
    send_all(stage.sender, 1, 20);
    receive_all(stage.receiver, 1, 20);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_stats(stage.sender);
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

static void test_restart(void **state)
{
    (void)state;
    check_restart("file", "tcp", WEIR_PUSH, WEIR_PULL);
    check_restart("file", "ipc", WEIR_DEALER, WEIR_DEALER);
    check_restart("file", "ipc", WEIR_PAIR, WEIR_PAIR);
#if defined(WITH_LMDB)
    check_restart("lmdb", "tcp", WEIR_PUSH, WEIR_PULL);
#endif
}

/* Messages of many frames, and long ones; some are sent before, some after. */
static void test_shapes(void **state)
{
    enum { PAIRS = 300, LONG = 40000 };
    struct stage stage;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    connect_it(&stage);
    for (uint32_t i = 0; i < PAIRS; i++)
        trial_send_pair(stage.sender, i, i % 7 == 0 ? LONG : 500);
    start_again(&stage, WEIR_PUSH, PAIRS);
    for (uint32_t i = PAIRS; i < 2 * PAIRS; i++)
        trial_send_pair(stage.sender, i, i % 7 == 0 ? LONG : 500);
    open_receiver(&stage, WEIR_PULL);
    for (uint32_t i = 0; i < 2 * PAIRS; i++)
        trial_receive_pair(stage.receiver, i, i % 7 == 0 ? LONG : 500);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

/* ---- peers that come ---- */

static weir_socket come(struct stage *stage, int type, const char *id)
{
    weir_socket peer = flow_open(stage->context, type);

    if (id)
        flow_ok(weir_set(peer, "routing-id", id));
    flow_ok(weir_set_int(peer, "recv-mark", 10));
    flow_ok(weir_connect(peer, stage->url, NULL));
    return peer;
}

/* A queue goes by its peer's name: one without is refused, one that comes
 * again finds its own. */
static void test_named(void **state)
{
    struct stage stage;
    weir_socket peer;
    weir_event event;
    uint32_t last;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    flow_ok(weir_bind(stage.sender, stage.url, NULL));
    peer = come(&stage, WEIR_PULL, NULL);
    event = flow_event(stage.sender, WEIR_EVENT_REFUSED);
    assert_non_null(strstr(event.reason, "\"routing-id\""));
    flow_drop(peer);
    peer = come(&stage, WEIR_PULL, "worker/7");
    flow_ok(weir_wait_peers(stage.sender, 1, FLOW_SOON));
    send_all(stage.sender, 1, N);
    receive_all(peer, 1, 50);
    flow_drop(peer);
    flow_event(stage.sender, WEIR_EVENT_DISCONNECTED);
    assert_in_range(flow_stats(stage.sender).send_kept, 1, N);
    peer = come(&stage, WEIR_PULL, "worker/7");
    flow_event(stage.sender, WEIR_EVENT_SWAP_FOUND);
    last = receive(peer); /* what was in kernels is gone */
    while (last < N - 1)
        assert_int_equal(receive(peer), ++last);
    send_all(stage.sender, N, N + 50);
    receive_all(peer, N, N + 50);
    flow_stats(stage.sender);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_drop(stage.sender);
    flow_drop(peer);
    tear_down(&stage);
}

static void test_same_name(void **state)
{
    struct stage stage;
    weir_socket one, two;
    weir_event event;

    (void)state;
    set_up(&stage, "file", "tcp", WEIR_DEALER);
    flow_ok(weir_bind(stage.sender, stage.url, NULL));
    one = come(&stage, WEIR_DEALER, "me");
    flow_ok(weir_wait_peers(stage.sender, 1, FLOW_SOON));
    two = come(&stage, WEIR_DEALER, "me");
    event = flow_event(stage.sender, WEIR_EVENT_REFUSED);
    assert_int_equal(event.code, EBUSY);
    send_all(stage.sender, 1, 10);
    receive_all(one, 1, 10);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_drop(stage.sender);
    flow_drop(one);
    flow_drop(two);
    tear_down(&stage);
}

/* ---- trouble ---- */

static void test_busy(void **state)
{
    struct stage stage;
    weir_socket other;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    connect_it(&stage);
    other = flow_open(stage.context, WEIR_PUSH);
    configure(&stage, other);
    flow_fails(weir_connect(other, stage.url, NULL), EBUSY);
    assert_non_null(strstr(weir_last_error(), stage.dir));
    assert_non_null(strstr(weir_last_error(), "\"swap-name\""));
    assert_non_null(strstr(weir_last_error(), "\"the feed\""));
    if (!strstr(weir_last_error(), "has this queue open"))
        fail_msg("\"%s\"", weir_last_error());
    flow_ok(weir_set(other, "swap-name", "another"));
    flow_ok(weir_connect(other, stage.url, NULL));
    flow_close(other);
    flow_close(stage.sender);
    tear_down(&stage);
}

/* Send until the budget is used up: nothing more is taken though all is
 * written. */
static void use_up(struct stage *stage, uint32_t *number)
{
    int r = 0;

    while (r == 0) {
        r = send_one(stage->sender, *number, WEIR_NOWAIT);
        if (r == -EAGAIN) {
            flow_ok(weir_sync(stage->sender, FLOW_SOON));
            r = send_one(stage->sender, *number, WEIR_NOWAIT);
        }
        *number += r == 0;
        assert_true(*number < 1000);
    }
    assert_int_equal(r, -EAGAIN);
}

/* The budget is a mark: who sends waits, what is not taken is not kept, and
 * what is accepted is sent. */
static void check_used_up(const char *store)
{
    struct stage stage;
    uint32_t n = 1;

    set_up(&stage, store, "ipc", WEIR_PUSH);
    flow_ok(weir_set_int(stage.sender, "send-swap", 300 * 1000));
    connect_it(&stage);
    use_up(&stage, &n);
    assert_true(n > 50);
    assert_int_equal(send_one(stage.sender, n, FLOW_NOT), -EAGAIN);
    assert_int_equal(flow_stats(stage.sender).accepted, n - 1);
    assert_int_equal(flow_stats(stage.sender).send_in_store, n - 1);
    open_receiver(&stage, WEIR_PULL);
    send_all(stage.sender, n, n + 500);
    receive_all(stage.receiver, 1, n + 500);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_stats(stage.sender);
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

static void test_used_up(void **state)
{
    (void)state;
    check_used_up("file");
#if defined(WITH_LMDB)
    check_used_up("lmdb");
#endif
}

/* A message that there is no room for is not taken. */
static void test_too_long(void **state)
{
    unsigned char data[30000] = {0};
    struct stage stage;
    uint32_t n = 1;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    flow_ok(weir_set_int(stage.sender, "send-swap", 300 * 1000));
    connect_it(&stage);
    use_up(&stage, &n);
    assert_int_equal(weir_send(stage.sender, data, sizeof(data), FLOW_NOT),
                     -EAGAIN);
    start_again(&stage, WEIR_PUSH, n - 1);
    open_receiver(&stage, WEIR_PULL);
    receive_all(stage.receiver, 1, n);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

/* ---- a long message, and short ones ---- */

static bool can_send(weir_socket socket, int deadline)
{
    weir_poll_item item = {.socket = socket, .events = WEIR_POLL_OUT};

    return flow_ok(weir_poll(&item, 1, deadline)) > 0;
}

static int send_long(weir_socket socket, size_t size, int deadline)
{
    unsigned char *data = calloc(1, size);
    int r;

    assert_non_null(data);
    r = weir_send(socket, data, size, deadline);
    free(data);
    return r;
}

static void check_open_to_short(const struct stage *stage)
{
    assert_true(can_send(stage->sender, FLOW_SOON));
    flow_ok(send_one(stage->sender, 0, WEIR_NOWAIT));
    flow_ok(send_one(stage->sender, 0, FLOW_SOON));
    assert_true(can_send(stage->sender, FLOW_SOON));
}

/* Fill two queues, or one, by half. */
static int set_up_half(struct stage *stage, const char *store, int type,
                       char second[FLOW_URL])
{
    int n = second ? 80 : 40;

    set_up(stage, store, "ipc", type);
    flow_ok(weir_set_int(stage->sender, "send-swap", (int64_t)MB));
    connect_it(stage);
    if (second) {
        flow_url("ipc", second);
        flow_ok(weir_connect(stage->sender, second, NULL));
    }
    for (int i = 0; i < n; i++)
        flow_ok(send_long(stage->sender, 10000, FLOW_SOON));
    return n;
}

static void receive_count(struct stage *stage, int n)
{
    weir_message message;

    weir_message_init(&message);
    for (int i = 0; i < n; i++)
        flow_ok(weir_recv_message(stage->receiver, &message, FLOW_SOON));
    weir_message_fini(&message);
    flow_ok(weir_flush(stage->sender, FLOW_SOON));
    flow_close(stage->sender);
    flow_close(stage->receiver);
    tear_down(stage);
}

/* What is refused, for now or for good, is in nobody's way. */
static void check_long(const char *store, int type, int far, bool two)
{
    static const int deadlines[] = {WEIR_NOWAIT, FLOW_NOT};
    char second[FLOW_URL];
    struct stage stage;
    int n = set_up_half(&stage, store, type, two ? second : NULL);

    for (int i = 0; i < 2; i++) {
        flow_fails(send_long(stage.sender, 2 * MB, deadlines[i]), ENOSPC);
        assert_non_null(strstr(weir_last_error(), "send-swap"));
        check_open_to_short(&stage);
        flow_fails(send_long(stage.sender, MB - 4, deadlines[i]), ENOSPC);
        check_open_to_short(&stage);
        assert_int_equal(send_long(stage.sender, 700000, deadlines[i]),
                         -EAGAIN);
        check_open_to_short(&stage);
        n += 6;
    }
    assert_int_equal(flow_stats(stage.sender).accepted, n);
    open_receiver(&stage, far);
    if (two)
        flow_ok(weir_bind(stage.receiver, second, NULL));
    flow_ok(send_long(stage.sender, 100000, FLOW_SOON));
    receive_count(&stage, n + 1);
}

static void test_long(void **state)
{
    (void)state;
    check_long("file", WEIR_PUSH, WEIR_PULL, false);
    check_long("file", WEIR_DEALER, WEIR_DEALER, true);
    check_long("file", WEIR_PAIR, WEIR_PAIR, false);
#if defined(WITH_LMDB)
    check_long("lmdb", WEIR_PUSH, WEIR_PULL, true);
#endif
}

static void *send_most(void *arg)
{
    struct stage *stage = arg;

    flow_fails(send_long(stage->sender, MB - 100, 2 * FLOW_SOON), ENOSPC);
    assert_non_null(strstr(weir_last_error(), "send-swap"));
    return NULL;
}

/* What a new process finds hides how much there is room for in an empty store:
 * a message that is longer waits until that shows, and no longer. */
static void check_long_found(const char *store)
{
    struct stage stage;
    pthread_t waits;
    int n = set_up_half(&stage, store, WEIR_PUSH, NULL);

    flow_drop(stage.sender);
    stage.sender = flow_open(stage.context, WEIR_PUSH);
    configure(&stage, stage.sender);
    flow_ok(weir_set_int(stage.sender, "send-swap", (int64_t)MB));
    connect_it(&stage);
    assert_int_equal(send_long(stage.sender, MB - 100, FLOW_NOT), -EAGAIN);
    assert_int_equal(pthread_create(&waits, NULL, send_most, &stage), 0);
    open_receiver(&stage, WEIR_PULL);
    assert_int_equal(pthread_join(waits, NULL), 0);
    receive_count(&stage, n);
}

static void test_long_found(void **state)
{
    (void)state;
    check_long_found("file");
#if defined(WITH_LMDB)
    check_long_found("lmdb");
#endif
}

static void *send_700k(void *arg)
{
    struct stage *stage = arg;

    flow_ok(send_long(stage->sender, 700000, FLOW_SOON));
    return NULL;
}

/* A long message waits in one thread, and short ones pass it: what is left is
 * less than a poll wants after that, which tells that it waits. */
static void test_long_waits(void **state)
{
    struct stage stage;
    pthread_t waits;
    int n;

    (void)state;
    n = set_up_half(&stage, "file", WEIR_PUSH, NULL);
    for (; n < 100; n++)
        flow_ok(send_long(stage.sender, 10000, FLOW_SOON));
    assert_true(can_send(stage.sender, FLOW_NOT));
    assert_int_equal(pthread_create(&waits, NULL, send_700k, &stage), 0);
    for (int64_t end = flow_now() + FLOW_SOON; can_send(stage.sender, 0);)
        assert_true(flow_now() < end);
    flow_ok(send_one(stage.sender, 0, WEIR_NOWAIT));
    flow_ok(send_one(stage.sender, 0, FLOW_SOON));
    open_receiver(&stage, WEIR_PULL);
    assert_true(can_send(stage.sender, FLOW_SOON));
    assert_int_equal(pthread_join(waits, NULL), 0);
    receive_count(&stage, n + 3);
}

static void stick(struct stage *stage)
{
    set_up(stage, "trial", "ipc", WEIR_PUSH);
    flow_ok(weir_set_int(stage->sender, "send-swap", 20 * 1000));
    connect_it(stage);
    send_all(stage->sender, 1, 2);
    trial_command(stage->dir, "stuck");
}

/* Of a disk that does not answer: what there is room for is accepted, and what
 * there is none for is not. */
static void test_stuck(void **state)
{
    struct stage stage;
    uint32_t n = 2;

    (void)state;
    stick(&stage);
    assert_int_equal(send_one(stage.sender, n++, FLOW_NOT), -EINPROGRESS);
    while (send_one(stage.sender, n, WEIR_NOWAIT) == 0)
        assert_true(n++ < 200);
    assert_in_range(n, 10, 199);
    assert_int_equal(send_one(stage.sender, n, FLOW_NOT), -EAGAIN);
    assert_int_equal(flow_stats(stage.sender).accepted, n - 1);
    flow_fails(weir_sync(stage.sender, FLOW_NOT), EAGAIN);
    trial_recall(stage.dir, "stuck");
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    open_receiver(&stage, WEIR_PULL);
    send_all(stage.sender, n, n + 50);
    receive_all(stage.receiver, 1, n + 50);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

/* Those that do not go together, and those that are missing, are named. */
static void test_refusals(void **state)
{
    static const struct {
        const char *option, *value, *names;
    } cases[] = {
        {"swap-name", "", "swap-name"},
        {"swap-dir", "", "swap-dir"},
        {"send-swap", "0", "send-swap"},
        {"send-policy", "drop-new", "send-policy"},
        {"immediate", "yes", "immediate"},
        {"probe", "yes", "probe"},
        {"swap-dir", "/nowhere/at/all", "/nowhere/at/all"},
        {"swap-name", LONG_NAME, "swap-name"},
    };
    struct stage stage;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weir_socket socket = flow_open(stage.context, WEIR_DEALER);

        configure(&stage, socket);
        flow_ok(weir_set(socket, cases[i].option, cases[i].value));
        assert_true(weir_connect(socket, stage.url, NULL) < 0);
        if (!strstr(weir_last_error(), cases[i].names))
            fail_msg("%s: %s", cases[i].names, weir_last_error());
        flow_close(socket);
    }
    flow_fails(weir_sync(stage.sender, 0), WEIR_EINCOMPATIBLE);
    flow_fails(weir_connect(stage.sender, "inproc://a", NULL),
               WEIR_EINCOMPATIBLE);
    flow_close(stage.sender);
    stage.sender = flow_open(stage.context, WEIR_DEALER);
    configure(&stage, stage.sender);
    flow_ok(weir_set_int(stage.sender, "recv-swap", (int64_t)MB));
    flow_fails(weir_connect(stage.sender, stage.url, NULL), WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), "recv-swap"));
    flow_close(stage.sender);
    stage.sender = flow_open(stage.context, WEIR_PUB);
    flow_fails(weir_set(stage.sender, "swap-mode", "durable"),
               WEIR_EINCOMPATIBLE);
    flow_close(stage.sender);
    tear_down(&stage);
}

/* Descriptors of files in a folder, with or without names. */
static int count_open(const char *dir)
{
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;
    char path[300], target[TRIAL_PATH + 300];
    int n = 0;

    while (list && (entry = readdir(list)) != NULL) {
        ssize_t size;

        snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        size = readlink(path, target, sizeof(target) - 1);
        target[size > 0 ? size : 0] = '\0';
        n += strncmp(target, dir, strlen(dir)) == 0;
    }
    if (list)
        closedir(list);
    return n;
}

/* A child has no descriptor of a store, and the parent has them still. */
static void check_fork(const char *store, int least)
{
    struct stage stage;
    int status;
    pid_t child;

    set_up(&stage, store, "ipc", WEIR_PUSH);
    connect_it(&stage);
    send_all(stage.sender, 1, 20);
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    assert_true(count_open(stage.dir) >= least);
    child = fork();
    if (child == 0)
        _exit(count_open(stage.dir));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(count_open(stage.dir) >= least);
    open_receiver(&stage, WEIR_PULL);
    send_all(stage.sender, 20, 40);
    receive_all(stage.receiver, 1, 40);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

static void test_fork(void **state)
{
    (void)state;
    if (access("/proc/self/fd", R_OK) < 0)
        skip();
    check_fork("file", 4);
#if defined(WITH_LMDB)
    check_fork("lmdb", 6);
#endif
}

/* What is not opened after all leaves nothing behind. */
static void check_no_queue(const char *store)
{
    struct stage stage;

    set_up(&stage, store, "ipc", WEIR_PUSH);
    flow_fails(weir_connect(stage.sender, "tcp://127.0.0.1:99999", NULL),
               EINVAL);
    assert_int_equal(rmdir(stage.dir), 0);
    flow_close(stage.sender);
    flow_end(stage.context);
}

static void test_no_queue(void **state)
{
    (void)state;
    check_no_queue("file");
#if defined(WITH_LMDB)
    check_no_queue("lmdb");
#endif
}

/* ---- who waits, and who does not ---- */

/* Each policy sends, and a sync comes back; what it means shows in the unit
 * tests, where the store counts. */
static void test_sync(void **state)
{
    static const char *const policies[] = {"always", "interval", "os"};
    struct stage stage;

    (void)state;
    for (int i = 0; i < 3; i++) {
        set_up(&stage, "file", "ipc", WEIR_PUSH);
        flow_ok(weir_set(stage.sender, "swap-sync", policies[i]));
        flow_ok(weir_set_int(stage.sender, "swap-sync-interval", 5));
        connect_it(&stage);
        send_all(stage.sender, 1, 50);
        for (uint32_t n = 50; n < 100; n++)
            flow_ok(send_one(stage.sender, n, WEIR_NOWAIT));
        flow_ok(weir_sync(stage.sender, FLOW_SOON));
        assert_int_equal(flow_stats(stage.sender).send_in_store, 99);
        open_receiver(&stage, WEIR_PULL);
        receive_all(stage.receiver, 1, 100);
        flow_ok(weir_flush(stage.sender, FLOW_SOON));
        flow_close(stage.sender);
        flow_close(stage.receiver);
        tear_down(&stage);
    }
}

/* Without I/O threads the disk has its own, and who sends waits for that. */
static void test_no_threads(void **state)
{
    struct stage stage;
    unsigned char data[1000];
    size_t size = sizeof(data);
    uint32_t in = 1, number;
    int64_t end = flow_now() + FLOW_SOON;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    flow_close(stage.sender);
    flow_end(stage.context);
    stage.context = flow_context(0);
    stage.sender = flow_open(stage.context, WEIR_PUSH);
    configure(&stage, stage.sender);
    connect_it(&stage);
    send_all(stage.sender, 1, 100);
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    open_receiver(&stage, WEIR_PULL);
    while (in < 100) {
        flow_fails(weir_wait_peers(stage.sender, 2, 1), EAGAIN);
        if (weir_recv(stage.receiver, data, &size, 0) >= 0) {
            memcpy(&number, data, sizeof(number));
            assert_int_equal(number, in++);
        }
        size = sizeof(data);
        assert_true(flow_now() < end);
    }
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

struct thread {
    pthread_t id;
    struct stage *stage;
    uint32_t first;
};

static void *send_some(void *arg)
{
    struct thread *thread = arg;

    send_all(thread->stage->sender, thread->first, thread->first + 100);
    return NULL;
}

/* Several threads on one socket: each has its own in order. */
static void test_threads(void **state)
{
    enum { THREADS = 4 };
    struct thread threads[THREADS];
    uint32_t next[THREADS];
    struct stage stage;

    (void)state;
    set_up(&stage, "file", "ipc", WEIR_PUSH);
    flow_ok(weir_set(stage.sender, "swap-sync", "always"));
    connect_it(&stage);
    open_receiver(&stage, WEIR_PULL);
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.stage = &stage, .first = 1000 * i};
        next[i] = 1000 * i;
        assert_int_equal(
            pthread_create(&threads[i].id, NULL, send_some, &threads[i]), 0);
    }
    for (int i = 0; i < 100 * THREADS; i++) {
        uint32_t number = receive(stage.receiver);

        assert_in_range(number / 1000, 0, THREADS - 1);
        assert_int_equal(number, next[number / 1000]++);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i].id, NULL), 0);
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    flow_stats(stage.sender);
    flow_close(stage.sender);
    flow_close(stage.receiver);
    tear_down(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_same_name),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_used_up),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_long_found),
        cmocka_unit_test(test_long_waits),
        cmocka_unit_test_setup(test_stuck, trial_load),
        cmocka_unit_test(test_no_queue),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_threads),
    };

    if (!trial_find())
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
