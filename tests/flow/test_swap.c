/*
 * Messages above the mark go to a store and come back: in order, whole, and
 * counted, whatever the store does.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

enum { MARK = 1000, SIZE = 1000 };

struct stage {
    weir_context context, other; /* the receiver's */
    weir_socket sender, receiver;
    char dir[TRIAL_DIR];
};

/* ---- two sockets, one of which does not read ---- */

static void set_up_with(struct stage *stage, int io_threads, int sends,
                        int receives, uint64_t swap)
{
    trial_folder(stage->dir);
    stage->context = flow_context(io_threads);
    stage->other = flow_context(1);
    stage->sender = flow_open(stage->context, sends);
    stage->receiver = flow_open(stage->other, receives);
    flow_ok(weir_set_int(stage->sender, "send-mark", MARK));
    flow_ok(weir_set(stage->sender, "swap-store", "trial"));
    flow_ok(weir_set(stage->sender, "swap-dir", stage->dir));
    flow_ok(weir_set_int(stage->sender, "send-swap", (int64_t)swap));
    flow_ok(weir_set_int(stage->receiver, "recv-mark", 10));
    if (receives == WEIR_SUB)
        flow_ok(weir_subscribe(stage->receiver, "", 0));
    flow_join(stage->sender, stage->receiver, "tcp");
}

static void set_up(struct stage *stage, int sends, int receives, uint64_t swap)
{
    set_up_with(stage, 1, sends, receives, swap);
}

static void tear_down(struct stage *stage)
{
    flow_drop(stage->sender);
    flow_drop(stage->receiver);
    flow_end(stage->context);
    flow_end(stage->other);
    trial_end(stage->dir);
}

static size_t size_of(uint32_t number)
{
    return number % 97 == 0 ? 30000 : SIZE;
}

static int send_one(struct stage *stage, uint32_t number, int deadline)
{
    return trial_send(stage->sender, number, size_of(number), deadline);
}

static void receive_one(struct stage *stage, uint32_t number)
{
    assert_int_equal(trial_receive(stage->receiver), number);
}

static void send_all(struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        flow_ok(send_one(stage, i, FLOW_SOON));
}

static void receive_all(struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        receive_one(stage, i);
}

/* It is counted a moment after the peer may have it. */
static void await_written(struct stage *stage, uint64_t n)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(stage->sender);

    while (stats.written < n) {
        assert_true(flow_now() < end);
        trial_pause();
        stats = flow_stats(stage->sender);
    }
    assert_int_equal(stats.written, n);
    assert_int_equal(stats.send_queued, 0);
}

/* ---- the tests ---- */

/* Acceptance: memory stays bounded, all arrives in order, the space comes
 * back.  That sends do not wait is for who has a disk to himself. */
static void test_spills(void **state)
{
    uint64_t octets = trial_is_full() ? 2048 * MB : 100 * MB;
    uint32_t n = (uint32_t)(octets / SIZE);
    uint64_t before, grown;
    struct stage stage;
    weir_stats stats;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    before = trial_resident();
    send_all(&stage, 1, n);
    grown = trial_resident() - before;
    stats = flow_stats(stage.sender);
    assert_int_equal(stats.accepted, n - 1);
    assert_true(stats.send_queued > n / 2);
    assert_true(stats.send_queued_bytes > octets / 2);
    trial_await_some(stage.dir);
    receive_all(&stage, 1, n);
    trial_await(stage.dir, 0);
    await_written(&stage, n - 1);
    if (!getenv("WEIR_SANITIZE") || !getenv("WEIR_SANITIZE")[0])
        assert_true(grown < 64 * MB);
    tear_down(&stage);
}

/* All but what is in memory by right is in the store. */
static void await_in_store(struct stage *stage, uint64_t in_memory)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(stage->sender);

    while (stats.send_queued_bytes - stats.send_in_store_bytes > in_memory) {
        assert_true(flow_now() < end);
        trial_pause();
        stats = flow_stats(stage->sender);
    }
}

static void check_pairs(size_t size, uint64_t octets)
{
    uint32_t n = (uint32_t)(octets / size);
    uint64_t before, grown;
    struct stage stage;

    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    before = trial_resident();
    for (uint32_t i = 1; i < n; i++)
        trial_send_pair(stage.sender, i, size);
    grown = trial_resident() - before;
    await_in_store(&stage, MARK * (size + 40) + MB / 2);
    for (uint32_t i = 1; i < n; i++)
        trial_receive_pair(stage.receiver, i, size);
    trial_await(stage.dir, 0);
    await_written(&stage, n - 1);
    if (!getenv("WEIR_SANITIZE") || !getenv("WEIR_SANITIZE")[0])
        assert_true(grown < 64 * MB + 2 * MARK * size);
    tear_down(&stage);
}

static void test_frames(void **state)
{
    (void)state;
    check_pairs(1000, 40 * MB);
    check_pairs(15000, 120 * MB);
    check_pairs(30000, 120 * MB);
}

/* The one sends while the other receives; the swap fills and empties. */
static void test_meanwhile(void **state)
{
    enum { N = 60000, LEAD = 20000 };
    struct stage stage;
    uint32_t out = 1;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    trial_command(stage.dir, "slow");
    for (uint32_t in = 1; in < N; in++) {
        while (out < N && out < in + LEAD)
            flow_ok(send_one(&stage, out++, FLOW_SOON));
        receive_one(&stage, in);
    }
    trial_await(stage.dir, 0);
    flow_stats(stage.sender);
    trial_recall(stage.dir, "slow");
    tear_down(&stage);
}

/* Fill it until a send waits. */
static uint32_t fill(struct stage *stage)
{
    uint32_t n = 1;
    int r;

    while ((r = send_one(stage, n, FLOW_NOT)) >= 0)
        n++;
    assert_int_equal(r, -EAGAIN);
    return n;
}

/* The mark of a swap that is full is as the mark of a queue. */
static void test_budget(void **state)
{
    struct stage stage;
    weir_stats stats;
    uint32_t n;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 20 * MB);
    n = fill(&stage);
    stats = flow_stats(stage.sender);
    assert_int_equal(stats.accepted, n - 1);
    assert_in_range(stats.send_queued_bytes, 19 * MB, 24 * MB);
    receive_all(&stage, 1, n);
    send_all(&stage, n, n + 100);
    receive_all(&stage, n, n + 100);
    tear_down(&stage);
}

/* The disk is full, and then it is not. */
static void test_full(void **state)
{
    struct stage stage;
    weir_event event;
    uint32_t n;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    trial_command(stage.dir, "full");
    n = fill(&stage);
    assert_true(n < 100000);
    event = flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED);
    assert_int_equal(event.code, ENOSPC);
    assert_non_null(strstr(event.reason, stage.dir));
    assert_in_range(event.value, 0, 64 * MB); /* the kernel may have them */
    trial_recall(stage.dir, "full");
    send_all(&stage, n, n + 20000);
    flow_event(stage.sender, WEIR_EVENT_SWAP_RESUMED);
    trial_await_some(stage.dir);
    receive_all(&stage, 1, n + 20000);
    trial_await(stage.dir, 0);
    tear_down(&stage);
}

/* A disk that fails for good: what is in memory arrives, and the queue is one
 * without a swap. */
static void test_broken(void **state)
{
    struct stage stage;
    weir_event event;
    uint32_t n;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    trial_command(stage.dir, "broken");
    n = fill(&stage);
    event = flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED);
    assert_int_equal(event.code, EIO);
    receive_all(&stage, 1, n);
    trial_recall(stage.dir, "broken");
    send_all(&stage, n, n + 100);
    receive_all(&stage, n, n + 100);
    tear_down(&stage);
}

/* Take what comes, until each message has come or was counted as lost. */
static void take_or_miss(struct stage *stage, struct trial_tally *tally)
{
    int64_t end = flow_now() + 2 * FLOW_SOON;
    weir_stats stats = flow_stats(stage->sender);

    while (tally->got + stats.send_dropped[WEIR_DROP_STORE] < stats.accepted) {
        assert_true(flow_now() < end);
        if (!trial_take_within(stage->receiver, tally, 10))
            stats = flow_stats(stage->sender);
    }
}

/* What does not come back from the store, for that reason, is counted, and the
 * rest arrives, and what is sent then. */
static void check_missing(const char *command, uint32_t n, int code)
{
    struct trial_tally tally = {0};
    struct stage stage;
    weir_stats stats;

    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    send_all(&stage, 1, n);
    trial_await_some(stage.dir);
    trial_command(stage.dir, command);
    take_or_miss(&stage, &tally);
    send_all(&stage, n, n + 1);
    trial_take(stage.receiver, &tally);
    assert_int_equal(tally.last, n);
    assert_int_equal(flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED).code,
                     code);
    stats = flow_stats(stage.sender);
    assert_int_equal(stats.accepted, n);
    assert_true(stats.send_dropped[WEIR_DROP_STORE] > 0);
    assert_int_equal(tally.got + stats.send_dropped[WEIR_DROP_STORE], n);
    trial_recall(stage.dir, command);
    tear_down(&stage);
}

static void test_lost(void **state)
{
    (void)state;
    check_missing("lost", 50000, EIO);
}

/* Up to an empty message. */
static void *take_all(void *receiver)
{
    weir_message message;
    size_t size = 1;

    weir_message_init(&message);
    while (size > 0 && weir_recv_message(*(weir_socket *)receiver, &message,
                                         FLOW_SOON) >= 0)
        size = weir_frame_size(weir_message_frame(&message, 0));
    weir_message_fini(&message);
    return NULL;
}

/* Who waits until all has left need not wait for what is lost, also where he
 * himself is who sends it: without an end to that he would wait for ever.  The
 * last message is so long that it goes to the store at once, and that it is
 * lost shows when all the others have left. */
static void check_flush(int io_threads)
{
    static const char last[4 << 20];
    struct stage stage;
    pthread_t reader;

    set_up_with(&stage, io_threads, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    send_all(&stage, 1, 5000);
    flow_ok(weir_send(stage.sender, last, sizeof(last), FLOW_SOON));
    await_in_store(&stage, MARK * (SIZE + 40) + MB / 2);
    trial_command(stage.dir, "slow");
    trial_command(stage.dir, "lost");
    assert_int_equal(pthread_create(&reader, NULL, take_all, &stage.receiver),
                     0);
    alarm(2 * FLOW_SOON / 1000);
    flow_ok(weir_flush(stage.sender, WEIR_FOREVER));
    alarm(0);
    assert_true(flow_stats(stage.sender).send_dropped[WEIR_DROP_STORE] > 0);
    flow_ok(weir_send(stage.sender, "", 0, FLOW_SOON));
    flow_ok(weir_flush(stage.sender, FLOW_SOON));
    assert_int_equal(pthread_join(reader, NULL), 0);
    trial_recall(stage.dir, "lost");
    trial_recall(stage.dir, "slow");
    tear_down(&stage);
}

static void test_flush(void **state)
{
    (void)state;
    check_flush(1);
}

static void test_flush_without_io_threads(void **state)
{
    (void)state;
    check_flush(0);
}

/* Octets that have changed on the disk are not sent. */
static void test_changed(void **state)
{
    (void)state;
    check_missing("changed", 20000, EILSEQ);
}

/* A publisher drops and counts when the swap is full. */
static void test_publisher(void **state)
{
    enum { N = 60000 };
    struct stage stage;
    weir_stats stats;
    struct trial_tally tally = {0};
    uint64_t wanted;

    (void)state;
    set_up(&stage, WEIR_PUB, WEIR_SUB, 20 * MB);
    send_all(&stage, 1, N);
    stats = flow_stats(stage.sender);
    assert_true(stats.send_dropped[WEIR_DROP_MARK] > 0);
    wanted = N - 1 - stats.send_dropped[WEIR_DROP_MARK];
    assert_true(wanted > 15 * MB / SIZE);
    while (tally.got < wanted)
        trial_take(stage.receiver, &tally);
    flow_silence(stage.receiver);
    flow_check_sums(&stats);
    tear_down(&stage);
}

/* What is in the store when the socket is closed was not sent. */
static void test_close(void **state)
{
    enum { N = 30000 };
    struct stage stage;
    uint64_t unsent = 0;
    weir_stats stats;
    int r;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    send_all(&stage, 1, N);
    trial_await_some(stage.dir);
    stats = flow_stats(stage.sender);
    r = weir_close(stage.sender, 0, &unsent);
    assert_int_equal(r, -EAGAIN);
    assert_in_range(unsent, N / 2, stats.send_queued);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    trial_end(stage.dir);
}

/* Closing with a deadline sends what is in the store. */
static void test_linger(void **state)
{
    enum { N = 30000 };
    struct stage stage;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL, 4096 * MB);
    send_all(&stage, 1, N);
    flow_ok(weir_set_int(stage.receiver, "recv-mark", 0));
    receive_all(&stage, 1, N / 2);
    receive_all(&stage, N / 2, N);
    flow_close(stage.sender);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    trial_end(stage.dir);
}

/* A folder that cannot be used is found when an endpoint is opened. */
static void test_folders(void **state)
{
    weir_context context = flow_context(1);
    weir_socket socket = flow_open(context, WEIR_PUSH);
    struct stage stage;
    char path[TRIAL_PATH];

    (void)state;
    trial_folder(stage.dir);
    trial_name(stage.dir, "nosuch", path);
    flow_ok(weir_set_int(socket, "send-swap", 1000000));
    flow_ok(weir_set(socket, "swap-dir", path));
    flow_fails(weir_bind(socket, "tcp://127.0.0.1:*", NULL), ENOENT);
    assert_non_null(strstr(weir_last_error(), path));
    assert_non_null(strstr(weir_last_error(), "swap-dir"));
    flow_ok(weir_set(socket, "swap-dir", stage.dir));
    trial_command(stage.dir, "nosuch"); /* a file, not a folder */
    flow_ok(weir_set(socket, "swap-dir", path));
    flow_fails(weir_connect(socket, "tcp://127.0.0.1:9", NULL), ENOTDIR);
    assert_int_equal(chmod(stage.dir, 0777), 0);
    flow_ok(weir_set(socket, "swap-dir", stage.dir));
    flow_fails(weir_bind(socket, "tcp://127.0.0.1:*", NULL), EACCES);
    assert_non_null(strstr(weir_last_error(), stage.dir));
    flow_ok(weir_bind(socket, "tcp://127.0.0.1:*?send-swap=0", NULL));
    flow_close(socket);
    flow_end(context);
    trial_recall(stage.dir, "nosuch");
    assert_int_equal(rmdir(stage.dir), 0);
}

static void test_refusals(void **state)
{
    weir_context context = flow_context(1);
    weir_socket socket = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];

    (void)state;
    flow_fails(weir_set(socket, "swap-dir", "not/absolute"), EINVAL);
    flow_fails(weir_set(socket, "swap-store", "nosuch"), WEIR_EPLUGIN);
    assert_non_null(strstr(weir_last_error(), "store_nosuch"));
    flow_ok(weir_set(socket, "swap-store", "trial"));
    flow_ok(weir_set(socket, "send-policy", "drop-old"));
    flow_fails(weir_set_int(socket, "send-swap", 1000), WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), "send-policy"));
    flow_ok(weir_set(socket, "send-policy", "block"));
    flow_ok(weir_set_int(socket, "send-swap", 1000));
    flow_fails(weir_set(socket, "send-policy", "latest"), WEIR_EINCOMPATIBLE);
    flow_url("inproc", url);
    flow_fails(weir_bind(socket, url, NULL), WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), "send-swap"));
    flow_close(socket);
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spills),
        cmocka_unit_test(test_meanwhile),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_publisher),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_flush_without_io_threads),
    };

    if (!trial_find())
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, trial_load, NULL);
}
