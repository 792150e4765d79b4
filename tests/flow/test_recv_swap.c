/*
 * What is received above the mark goes to a store and comes back: in order,
 * whole, and counted, while the peer goes on.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

enum { MARK = 100, LARGEST = 200000, N = 20000 };

struct stage {
    weir_context context;
    weir_socket sender, receiver;
    char dir[TRIAL_DIR];
};

/* ---- two sockets, one of which is read late ---- */

/* The transports of the fixture want a folder. */
static void bind_at(struct stage *stage, const char *transport,
                    char url[FLOW_URL])
{
    if (transport[0] != 't' || strcmp(transport, "tcp") == 0) {
        flow_bind(stage->receiver, transport, url);
        return;
    }
    assert_true(snprintf(url, FLOW_URL, "%s://%.200s/at", transport,
                         stage->dir) < FLOW_URL);
    flow_ok(weir_bind(stage->receiver, url, NULL));
}

static void set_up_with(struct stage *stage, int sends, int receives,
                        const char *transport, int threads, uint64_t swap)
{
    char url[FLOW_URL];

    trial_folder(stage->dir);
    stage->context = flow_context(threads);
    stage->sender = flow_open(stage->context, sends);
    stage->receiver = flow_open(stage->context, receives);
    flow_ok(weir_set_int(stage->sender, "send-mark", MARK));
    flow_ok(weir_set_int(stage->receiver, "recv-mark", MARK));
    flow_ok(weir_set(stage->receiver, "swap-store", "trial"));
    flow_ok(weir_set(stage->receiver, "swap-dir", stage->dir));
    flow_ok(weir_set_int(stage->receiver, "recv-swap", (int64_t)swap));
    if (receives == WEIR_SUB)
        flow_ok(weir_subscribe(stage->receiver, "", 0));
    bind_at(stage, transport, url);
    flow_ok(weir_connect(stage->sender, url, NULL));
    flow_ok(weir_wait_peers(stage->sender, 1, FLOW_SOON));
}

static void set_up(struct stage *stage, int sends, int receives)
{
    set_up_with(stage, sends, receives, "tcp", 1, 4096 * MB);
}

static void tear_down(struct stage *stage)
{
    flow_drop(stage->sender);
    flow_drop(stage->receiver);
    flow_end(stage->context);
    trial_end(stage->dir);
}

/* A message of one frame, or of three; of all sizes. */
static size_t size_of(uint32_t number)
{
    if (number % 997 == 0)
        return LARGEST;
    return number % 97 == 0 ? 30000 : 10 + number % 900;
}

static int frames_of(uint32_t number)
{
    return number % 5 == 0 ? 3 : 1;
}

static int send_one(struct stage *stage, uint32_t number, int deadline)
{
    weir_message message;
    int r;

    weir_message_init(&message);
    for (int i = 0; i < frames_of(number); i++)
        flow_add(&message, i ? 20 : size_of(number), number + (uint32_t)i);
    r = weir_send_message(stage->sender, &message, deadline);
    weir_message_fini(&message);
    return r;
}

static void send_all(struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        flow_ok(send_one(stage, i, FLOW_SOON));
}

/* `before`: frames that the receiver's pattern puts there. */
static void check_message(weir_message *message, uint32_t number,
                          uint32_t before)
{
    uint32_t frames = (uint32_t)frames_of(number);

    assert_int_equal(weir_message_count(message), frames + before);
    for (uint32_t i = 0; i < frames; i++)
        flow_check_frame(message, before + i, i ? 20 : size_of(number),
                         number + i);
}

static void receive_one(struct stage *stage, uint32_t number, uint32_t before)
{
    weir_message message;

    weir_message_init(&message);
    flow_ok(weir_recv_message(stage->receiver, &message, FLOW_SOON));
    check_message(&message, number, before);
    weir_message_fini(&message);
}

static void receive_all(struct stage *stage, uint32_t first, uint32_t end,
                        uint32_t before)
{
    for (uint32_t i = first; i < end; i++)
        receive_one(stage, i, before);
}

/* Nobody reads, and yet all is taken from the peer. */
static void await_decoded(struct stage *stage, uint64_t n)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(stage->receiver);

    while (stats.decoded < n) {
        assert_true(flow_now() < end);
        trial_pause();
        stats = flow_stats(stage->receiver);
    }
    assert_int_equal(stats.decoded, n);
}

/* Most of it is in the store. */
static weir_stats await_swapped(struct stage *stage)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(stage->receiver);

    while (stats.recv_swapped_out <= N / 2) {
        assert_true(flow_now() < end);
        trial_pause();
        stats = flow_stats(stage->receiver);
    }
    return stats;
}

/* ---- the tests ---- */

static void check_flow(const char *transport, int sends, int receives)
{
    uint32_t before = receives == WEIR_ROUTER;
    struct stage stage;
    weir_stats stats;

    set_up_with(&stage, sends, receives, transport, 1, 4096 * MB);
    send_all(&stage, 1, N);
    await_decoded(&stage, N - 1);
    stats = await_swapped(&stage);
    assert_int_equal(stats.recv_queued, N - 1);
    assert_true(stats.recv_queued_bytes > 8 * MB);
    assert_int_equal(stats.recv_in_store,
                     stats.recv_swapped_out - stats.recv_swapped_in);
    assert_true(stats.recv_in_store_bytes > 5 * MB);
    assert_int_equal(stats.send_swapped_out, 0);
    receive_all(&stage, 1, N, before);
    stats = flow_stats(stage.receiver);
    assert_int_equal(stats.recv_queued, 0);
    assert_int_equal(stats.recv_in_store, 0);
    assert_int_equal(stats.recv_in_store_bytes, 0);
    assert_int_equal(stats.recv_swapped_in, stats.recv_swapped_out);
    assert_int_equal(stats.recv_swapped_in_bytes, stats.recv_swapped_out_bytes);
    send_all(&stage, N, N + 50);
    receive_all(&stage, N, N + 50, before);
    tear_down(&stage);
}

/* Messages of a short frame and a longer one, which seldom begin where memory
 * does: all but what is in memory by right is in the store. */
static void await_in_store(struct stage *stage, uint64_t in_memory)
{
    int64_t end = flow_now() + FLOW_SOON;
    weir_stats stats = flow_stats(stage->receiver);

    while (stats.recv_queued_bytes - stats.recv_in_store_bytes > in_memory) {
        assert_true(flow_now() < end);
        trial_pause();
        stats = flow_stats(stage->receiver);
    }
}

static void check_pairs(size_t size, uint64_t octets)
{
    uint32_t n = (uint32_t)(octets / size);
    struct stage stage;

    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    for (uint32_t i = 1; i < n; i++)
        trial_send_pair(stage.sender, i, size);
    await_decoded(&stage, n - 1);
    await_in_store(&stage, MARK * (size + 40) + MB / 2);
    for (uint32_t i = 1; i < n; i++)
        trial_receive_pair(stage.receiver, i, size);
    trial_await(stage.dir, 0);
    assert_int_equal(flow_stats(stage.receiver).recv_queued, 0);
    tear_down(&stage);
}

static void test_frames(void **state)
{
    (void)state;
    check_pairs(1000, 20 * MB);
    check_pairs(15000, 60 * MB);
    check_pairs(30000, 60 * MB);
}

static void test_push_pull(void **state)
{
    (void)state;
    check_flow("tcp", WEIR_PUSH, WEIR_PULL);
    check_flow("ipc", WEIR_PUSH, WEIR_PULL);
}

/* Connections in the two other shapes. */
static void test_shapes(void **state)
{
    (void)state;
    check_flow("tstream", WEIR_PUSH, WEIR_PULL);
    check_flow("tmessages", WEIR_PUSH, WEIR_PULL);
}

static void test_pub_sub(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, WEIR_PUB, WEIR_SUB);
    for (uint32_t i = 1; i < N; i++) { /* a publisher does not wait */
        flow_ok(send_one(&stage, i, FLOW_SOON));
        if (i % MARK == MARK / 2)
            await_decoded(&stage, i);
    }
    await_decoded(&stage, N - 1);
    receive_all(&stage, 1, N, 0);
    tear_down(&stage);
}

static void test_dealer_router(void **state)
{
    (void)state;
    check_flow("tcp", WEIR_DEALER, WEIR_ROUTER);
}

/* The one sends while the other reads; the swap fills and empties. */
static void test_meanwhile(void **state)
{
    enum { LEAD = 3000 };
    struct stage stage;
    uint32_t out = 1;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    trial_command(stage.dir, "slow");
    for (uint32_t in = 1; in < N; in++) {
        while (out < N && (out < in + LEAD || in % LEAD > LEAD / 2))
            flow_ok(send_one(&stage, out++, FLOW_SOON));
        receive_one(&stage, in, 0);
    }
    trial_recall(stage.dir, "slow");
    tear_down(&stage);
}

/* Drive the receiver.  Returns whether the message of that number came. */
static bool look(struct stage *stage, uint32_t number)
{
    weir_message message;
    int r;

    weir_message_init(&message);
    r = weir_recv_message(stage->receiver, &message, 0);
    if (r >= 0)
        check_message(&message, number, 0);
    else
        assert_int_equal(r, -EAGAIN);
    weir_message_fini(&message);
    return r >= 0;
}

/* Without I/O threads those who call in do the work. */
static void test_no_threads(void **state)
{
    int64_t end = flow_now() + FLOW_SOON;
    struct stage stage;
    uint32_t in = 1;

    (void)state;
    set_up_with(&stage, WEIR_PUSH, WEIR_PULL, "tcp", 0, 4096 * MB);
    for (uint32_t i = 1; i < N; i++) {
        while (send_one(&stage, i, 0) == -EAGAIN) {
            in += look(&stage, in);
            assert_true(flow_now() < end);
        }
    }
    receive_all(&stage, in, N, 0);
    tear_down(&stage);
}

/* The peer is gone; what it sent is there. */
static void test_parted(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    send_all(&stage, 1, N);
    flow_close(stage.sender);
    flow_event(stage.receiver, WEIR_EVENT_DISCONNECTED);
    receive_all(&stage, 1, N, 0);
    flow_silence(stage.receiver);
    assert_int_equal(flow_stats(stage.receiver).delivered, N - 1);
    flow_close(stage.receiver);
    flow_end(stage.context);
    trial_end(stage.dir);
}

/* When the swap is used up the peer is not read, and waits. */
static void test_budget(void **state)
{
    int64_t end = flow_now() + FLOW_SOON;
    struct stage stage;
    uint64_t queued;
    uint32_t n = 1;

    (void)state;
    set_up_with(&stage, WEIR_PUSH, WEIR_PULL, "tcp", 1, 4 * MB);
    do { /* a slow disk may have it refused before */
        while (send_one(&stage, n, FLOW_NOT) >= 0)
            n++;
        queued = flow_stats(stage.receiver).recv_queued_bytes;
    } while (queued < 3 * MB && flow_now() < end);
    assert_in_range(queued, 3 * MB, 6 * MB);
    receive_all(&stage, 1, n, 0);
    send_all(&stage, n, n + 1000);
    receive_all(&stage, n, n + 1000, 0);
    tear_down(&stage);
}

/* A disk that is full, and then is not. */
static void test_full(void **state)
{
    struct stage stage;
    weir_event event;
    uint32_t n = 1;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    trial_command(stage.dir, "full");
    while (send_one(&stage, n, FLOW_NOT) >= 0)
        n++;
    event = flow_event(stage.receiver, WEIR_EVENT_SWAP_FAILED);
    assert_int_equal(event.code, ENOSPC);
    assert_non_null(strstr(event.reason, stage.dir));
    trial_recall(stage.dir, "full");
    send_all(&stage, n, n + 3000);
    flow_event(stage.receiver, WEIR_EVENT_SWAP_RESUMED);
    receive_all(&stage, 1, n + 3000, 0);
    tear_down(&stage);
}

/* What the store does not give back is counted, whether the peer is still
 * there or not, and the rest arrives. */
static void check_lost(bool parted)
{
    struct stage stage;
    weir_stats stats;
    uint64_t got = 0;

    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    send_all(&stage, 1, N);
    await_decoded(&stage, N - 1);
    (void)await_swapped(&stage);
    trial_command(stage.dir, "lost");
    if (parted) {
        flow_close(stage.sender);
        flow_event(stage.receiver, WEIR_EVENT_DISCONNECTED);
    }
    do {
        weir_message message;

        weir_message_init(&message);
        got += weir_recv_message(stage.receiver, &message, FLOW_NOT) >= 0;
        weir_message_fini(&message);
        stats = flow_stats(stage.receiver);
        assert_int_equal(stats.decoded, N - 1);
    } while (got + stats.recv_dropped[WEIR_DROP_STORE] < N - 1);
    assert_true(stats.recv_dropped[WEIR_DROP_STORE] > 0);
    assert_int_equal(stats.delivered, got);
    assert_int_equal(stats.recv_queued, 0);
    assert_int_equal(flow_event(stage.receiver, WEIR_EVENT_SWAP_FAILED).code,
                     EIO);
    trial_recall(stage.dir, "lost");
    if (!parted)
        flow_drop(stage.sender);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    trial_end(stage.dir);
}

static void test_lost(void **state)
{
    (void)state;
    check_lost(false);
    check_lost(true);
}

/* What is in the store when the socket is closed was not read. */
static void test_close(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, WEIR_PUSH, WEIR_PULL);
    send_all(&stage, 1, N);
    await_decoded(&stage, N - 1);
    flow_close(stage.sender);
    flow_ok(weir_close(stage.receiver, 0, NULL));
    flow_end(stage.context);
    trial_end(stage.dir);
}

static void test_refusals(void **state)
{
    weir_context context = flow_context(1);
    weir_socket socket = flow_open(context, WEIR_PULL);
    weir_socket other = flow_open(context, WEIR_PUSH);
    char url[FLOW_URL];

    (void)state;
    flow_ok(weir_set(socket, "swap-store", "trial"));
    flow_ok(weir_set(socket, "recv-policy", "drop-new"));
    flow_fails(weir_set_int(socket, "recv-swap", 1000), WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), "recv-policy"));
    flow_ok(weir_set(socket, "recv-policy", "block"));
    flow_ok(weir_set_int(socket, "recv-swap", 1000));
    flow_fails(weir_set(socket, "recv-policy", "latest"), WEIR_EINCOMPATIBLE);
    flow_url("inproc", url);
    flow_fails(weir_bind(socket, url, NULL), WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(weir_last_error(), "recv-swap"));
    flow_fails(weir_set_int(other, "recv-swap", 1000), WEIR_EINCOMPATIBLE);
    flow_close(socket);
    flow_close(other);
    flow_end(context);
}

static int load(void **state)
{
    const char *built = getenv("top_builddir");
    char shapes[2 * TRIAL_DIR];

    snprintf(shapes, sizeof(shapes),
             "%s/tests/fixtures/plugins/" LT_OBJDIR "transport_shapes.so",
             built ? built : ".");
    flow_ok(weir_plugin_load(shapes, NULL));
    return trial_load(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_pull),     cmocka_unit_test(test_frames),
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_pub_sub),
        cmocka_unit_test(test_dealer_router), cmocka_unit_test(test_meanwhile),
        cmocka_unit_test(test_no_threads),    cmocka_unit_test(test_parted),
        cmocka_unit_test(test_budget),        cmocka_unit_test(test_full),
        cmocka_unit_test(test_lost),          cmocka_unit_test(test_close),
        cmocka_unit_test(test_refusals),
    };

    if (!trial_find())
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, load, NULL);
}
