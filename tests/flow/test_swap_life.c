/*
 * Swaps where something else happens: a fork, a close, a new connection, no
 * I/O threads, a store of files, and many peers of which some are stuck.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

enum { MARK = 100, SIZE = 1000, N = 20000 };

struct stage {
    weir_context context;
    weir_socket sender, receiver;
    char dir[TRIAL_DIR], url[FLOW_URL];
};

/* ---- a sender with a swap ---- */

static void set_up_with(struct stage *stage, const char *store, int threads)
{
    trial_folder(stage->dir);
    stage->context = flow_context(threads);
    stage->sender = flow_open(stage->context, WEIR_PUSH);
    flow_ok(weir_set_int(stage->sender, "send-mark", MARK));
    flow_ok(weir_set(stage->sender, "swap-store", store));
    flow_ok(weir_set(stage->sender, "swap-dir", stage->dir));
    flow_ok(weir_set_int(stage->sender, "send-swap", (int64_t)(1024 * MB)));
    stage->receiver = flow_open(stage->context, WEIR_PULL);
    flow_ok(weir_set_int(stage->receiver, "recv-mark", 10));
    flow_bind(stage->receiver, "ipc", stage->url);
    flow_ok(weir_connect(stage->sender, stage->url, NULL));
    flow_ok(weir_wait_peers(stage->sender, 1, FLOW_SOON));
}

static void set_up(struct stage *stage)
{
    set_up_with(stage, "trial", 1);
}

static void tear_down(struct stage *stage)
{
    flow_drop(stage->sender);
    flow_drop(stage->receiver);
    flow_end(stage->context);
    trial_end(stage->dir);
}

static int send_one(weir_socket socket, uint32_t number, int deadline)
{
    return trial_send(socket, number, SIZE, deadline);
}

static void send_all(weir_socket socket, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        flow_ok(send_one(socket, i, FLOW_SOON));
}

static void receive_all(weir_socket socket, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        assert_int_equal(trial_receive(socket), i);
}

/* ---- the tests ---- */

/* What a child does with its parent's sockets, and with its own. */
static int be_a_child(const struct stage *stage)
{
    struct stage own;

    if (send_one(stage->sender, 0, 0) != -WEIR_EFORK)
        return 1;
    if (weir_close(stage->sender, 0, NULL) < 0)
        return 2;
#if defined(__SANITIZE_THREAD__)
    return 0; /* its children start no threads */
#endif
    set_up(&own);
    send_all(own.sender, 1, N / 2);
    trial_await_some(own.dir);
    receive_all(own.receiver, 1, N / 2);
    tear_down(&own);
    return 0;
}

/* A child has swaps of its own, and those of its parent go on. */
static void test_fork(void **state)
{
    struct stage stage;
    int status;
    pid_t child;

    (void)state;
    set_up(&stage);
    send_all(stage.sender, 1, N);
    trial_await_some(stage.dir);
    child = fork();
    if (child == 0)
        _exit(be_a_child(&stage));
    assert_true(child > 0);
    receive_all(stage.receiver, 1, N / 2);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    receive_all(stage.receiver, N / 2, N);
    trial_await(stage.dir, 0);
    tear_down(&stage);
}

/* Closing does not wait for a disk that does not answer. */
static void test_stuck_disk(void **state)
{
    struct stage stage;
    uint64_t unsent = 0;
    uint32_t n = 1;

    (void)state;
    set_up(&stage);
    send_all(stage.sender, n, N);
    trial_await_some(stage.dir);
    trial_command(stage.dir, "stuck");
    for (n = N; send_one(stage.sender, n, FLOW_NOT) >= 0 && n < 10 * N; n++)
        ;
    assert_int_equal(weir_close(stage.sender, 0, &unsent), -EAGAIN);
    assert_in_range(unsent, N / 2, n);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    trial_recall(stage.dir, "stuck");
    trial_end(stage.dir);
}

/* The peer goes and another comes: what is hidden waits for it. */
static void test_again(void **state)
{
    struct stage stage;
    uint32_t first, last;

    (void)state;
    set_up(&stage);
    send_all(stage.sender, 1, N);
    trial_await_some(stage.dir);
    receive_all(stage.receiver, 1, 10);
    flow_drop(stage.receiver);
    flow_event(stage.sender, WEIR_EVENT_DISCONNECTED);
    send_all(stage.sender, N, N + 1000);
    stage.receiver = flow_open(stage.context, WEIR_PULL);
    flow_ok(weir_bind(stage.receiver, stage.url, NULL));
    first = last = trial_receive(stage.receiver);
    assert_in_range(first, 10, N / 2);
    while (last < N + 999)
        assert_int_equal(trial_receive(stage.receiver), ++last);
    trial_await(stage.dir, 0);
    tear_down(&stage);
}

/* Returns whether the message of that number came at once. */
static bool look(const struct stage *stage, uint32_t number)
{
    unsigned char data[SIZE];
    size_t size = sizeof(data);

    if (weir_recv(stage->receiver, data, &size, 0) < 0)
        return false;
    assert_int_equal(trial_check(data, size), number);
    return true;
}

/* Without I/O threads those who call in do the work, on their sockets. */
static void test_no_threads(void **state)
{
    int64_t end = flow_now() + FLOW_SOON;
    struct stage stage;
    uint32_t in = 1;

    (void)state;
    set_up_with(&stage, "trial", 0);
    send_all(stage.sender, 1, N);
    trial_await_some(stage.dir);
    while (in < N) {
        if (look(&stage, in))
            in++;
        else
            flow_fails(weir_wait_peers(stage.sender, 2, 1), EAGAIN);
        assert_true(flow_now() < end);
    }
    trial_await(stage.dir, 0);
    tear_down(&stage);
}

/* ---- the store of files ---- */

static void test_files(void **state)
{
    struct stage stage;

    (void)state;
    set_up_with(&stage, "file", 1);
    for (int i = 0; i < 3; i++) {
        weir_stats stats;

        send_all(stage.sender, 1, N);
        stats = flow_stats(stage.sender);
        assert_true(stats.send_queued > N / 2);
        receive_all(stage.receiver, 1, N);
    }
    assert_true(flow_stats(stage.sender).send_swapped_in > N / 4);
    flow_stats(stage.sender);
    tear_down(&stage);
}

/* A swap of 1 MB is filled and drained again and again, and no event says that
 * anything is wrong. */
static void test_small(void **state)
{
    struct stage stage;
    weir_event event = {.size = sizeof(event)};

    (void)state;
    set_up_with(&stage, "file", 1);
    flow_drop(stage.sender);
    stage.sender = flow_open(stage.context, WEIR_PUSH);
    flow_ok(weir_set_int(stage.sender, "send-mark", MARK));
    flow_ok(weir_set(stage.sender, "swap-dir", stage.dir));
    flow_ok(weir_set_int(stage.sender, "send-swap", (int64_t)MB));
    flow_ok(weir_connect(stage.sender, stage.url, NULL));
    for (uint32_t out = 1, in = 1, round = 0; round < 10; round++) {
        for (; send_one(stage.sender, out, FLOW_NOT) >= 0; out++)
            assert_true(out - in < 10000);
        for (; in < out; in++)
            assert_int_equal(trial_receive(stage.receiver), in);
    }
    while (weir_next_event(stage.sender, &event, 0) >= 0)
        assert_true(event.kind != WEIR_EVENT_SWAP_FAILED &&
                    event.kind != WEIR_EVENT_SWAP_RESUMED);
    tear_down(&stage);
}

/* ---- many peers, a third of them stuck ---- */

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

struct crowd {
    struct stage stage;
    weir_socket *peers;
    int n;
    uint32_t messages;
    int descriptors;         /* when all was sent */
    uint64_t before, growth; /* octets in memory, and how many more at most */
    int64_t longest;         /* ms that a send took */
};

/* As many peers as there are descriptors for. */
static int crowd_size(int wanted)
{
    enum { EACH = 16 };
    struct rlimit limit;
    int n = wanted;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur / EACH < (rlim_t)wanted)
        n = (int)(limit.rlim_cur / EACH);
    if (n < wanted)
        print_message("only %d peers, not %d: %llu descriptors are allowed, "
                      "and each may need %d\n",
                      n, wanted, (unsigned long long)limit.rlim_cur, EACH);
    return n;
}

static weir_socket join(const struct stage *stage, int number)
{
    weir_socket peer = flow_open(stage->context, WEIR_DEALER);
    char id[16];

    snprintf(id, sizeof(id), "p%d", number);
    flow_ok(weir_set(peer, "routing-id", id));
    flow_ok(weir_set_int(peer, "recv-mark", 10));
    flow_ok(weir_connect(peer, stage->url, NULL));
    return peer;
}

static void add_frame(weir_message *message, const void *data, size_t size)
{
    weir_frame frame;

    flow_ok(weir_frame_alloc(&frame, size));
    memcpy(weir_frame_data(&frame), data, size);
    flow_ok(weir_message_push(message, &frame));
}

static void send_to(const struct stage *stage, int peer, uint32_t number)
{
    unsigned char data[SIZE];
    weir_message message;
    char id[16];

    trial_fill(data, sizeof(data), number);
    weir_message_init(&message);
    add_frame(&message, id, (size_t)snprintf(id, sizeof(id), "p%d", peer));
    add_frame(&message, data, sizeof(data));
    flow_ok(weir_send_message(stage->sender, &message, FLOW_SOON));
    weir_message_fini(&message);
}

static void gather(struct crowd *crowd)
{
    struct stage *stage = &crowd->stage;

    trial_folder(stage->dir);
    stage->context = flow_context(1);
    stage->sender = flow_open(stage->context, WEIR_ROUTER);
    flow_ok(weir_set_int(stage->sender, "send-mark", MARK));
    flow_ok(weir_set_int(stage->sender, "mandatory", 1));
    flow_ok(weir_set(stage->sender, "send-policy", "block"));
    flow_ok(weir_set(stage->sender, "swap-dir", stage->dir));
    flow_ok(weir_set_int(stage->sender, "send-swap", (int64_t)(64 * MB)));
    flow_bind(stage->sender, "ipc", stage->url);
    crowd->peers = calloc((size_t)crowd->n, sizeof(*crowd->peers));
    assert_non_null(crowd->peers);
    for (int i = 0; i < crowd->n; i++)
        crowd->peers[i] = join(stage, i);
    flow_ok(weir_wait_peers(stage->sender, crowd->n, FLOW_SOON));
}

static bool is_stuck(int peer)
{
    return peer % 3 == 0;
}

static void disperse(struct crowd *crowd)
{
    for (int i = 0; i < crowd->n; i++)
        flow_drop(crowd->peers[i]);
    flow_drop(crowd->stage.sender);
    flow_end(crowd->stage.context);
    free(crowd->peers);
    assert_int_equal(rmdir(crowd->stage.dir), 0);
}

static void sample(struct crowd *crowd)
{
    uint64_t resident = trial_resident();

    if (resident > crowd->before + crowd->growth)
        crowd->growth = resident - crowd->before;
}

/* One message to each, and what that took. */
static void send_round(struct crowd *crowd, uint32_t number)
{
    int64_t start = flow_now(), now;

    for (int i = 0; i < crowd->n; i++, start = now) {
        send_to(&crowd->stage, i, number);
        now = flow_now();
        if (now - start > crowd->longest)
            crowd->longest = now - start;
    }
    sample(crowd);
}

static void receive_from_all(struct crowd *crowd)
{
    for (int i = 0; i < crowd->n; i++) {
        if (!is_stuck(i))
            receive_all(crowd->peers[i], 1, crowd->messages);
        sample(crowd);
    }
}

static void run(struct crowd *crowd)
{
    gather(crowd);
    crowd->before = trial_resident();
    for (uint32_t number = 1; number < crowd->messages; number++)
        send_round(crowd, number);
    crowd->descriptors = count_descriptors();
    receive_from_all(crowd);
    flow_stats(crowd->stage.sender);
    disperse(crowd);
}

/* All swaps together may have 32 MB in memory that wait for the disk.  Each has
 * 192 KB beside that, and 256 KB and the block that goes beyond them before its
 * consumer, if that is more than its mark; the peer, which is in this process
 * too, has its mark and what it reads into, of 64 KB.  That is less than 600
 * KB; what allocation adds to it is allowed for. */
static void check_growth(const struct crowd *crowd)
{
    const uint64_t together = 40 * MB, each = 640 << 10;
    const char *sanitizer = getenv("WEIR_SANITIZE");

    if (!sanitizer || !sanitizer[0])
        assert_true(crowd->growth < together + (uint64_t)crowd->n * each);
}

static void test_many(void **state)
{
    struct crowd crowd = {.messages = trial_is_full() ? 1000 : 3000};
    int before, after;
    int64_t end;

    (void)state;
    crowd.n = crowd_size(trial_is_full() ? 1000 : 48);
    before = count_descriptors();
    run(&crowd);
    end = flow_now() + FLOW_SOON;
    while ((after = count_descriptors()) > before + 2) {
        assert_true(flow_now() < end); /* stores close by themselves */
        trial_pause();
    }
    print_message("%d peers, %u messages each: %d descriptors before, %d with "
                  "all sent, %d after; %llu KB grown, %llu for each peer; the "
                  "longest send %lld ms\n",
                  crowd.n, crowd.messages - 1, before, crowd.descriptors, after,
                  (unsigned long long)crowd.growth / 1024,
                  (unsigned long long)crowd.growth / 1024 / (unsigned)crowd.n,
                  (long long)crowd.longest);
    check_growth(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork),  cmocka_unit_test(test_stuck_disk),
        cmocka_unit_test(test_again), cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_files), cmocka_unit_test(test_small),
        cmocka_unit_test(test_many),
    };

    if (!trial_find())
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, trial_load, NULL);
}
