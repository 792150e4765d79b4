/*
 * Swaps as people have them, with store_file on an ordinary folder: what their
 * users were promised, by the sizes that WEIR_TEST_FULL=1 asks for.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

enum {
    MARK = 1000,
    SIZE = 1000,
    FILES = 1024,
    SAMPLE = 500,  /* messages from one look at the memory to the next */
    LONGEST = 3000 /* ms that a send may take */
};

struct stage {
    weir_context context;
    weir_socket sender, receiver;
    char dir[TRIAL_DIR];
};

/* ---- what a swap takes ---- */

/* Octets of the disk that files without a name have, which are this process's
 * alone.  They are looked at by the names that the system has for what is open:
 * the descriptors are other threads', which may close them meanwhile. */
static uint64_t disk_use(void)
{
    char path[32];
    uint64_t octets = 0;
    struct stat state;

    for (int fd = 0; fd < FILES; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (stat(path, &state) == 0 && S_ISREG(state.st_mode) &&
            state.st_nlink == 0)
            octets += (uint64_t)state.st_blocks * 512;
    }
    return octets;
}

static void await_disk_use(uint64_t octets)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (disk_use() != octets) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

static bool is_sanitized(void)
{
    const char *what = getenv("WEIR_SANITIZE");

    return what && what[0];
}

/* ---- two sockets, of which one swaps ---- */

static void set_swap(struct stage *stage, weir_socket socket, const char *mark,
                     const char *swap, uint64_t octets)
{
    flow_ok(weir_set_int(socket, mark, MARK));
    flow_ok(weir_set(socket, "swap-dir", stage->dir));
    flow_ok(weir_set_int(socket, swap, (int64_t)octets));
}

static void open_both(struct stage *stage, int sends, int receives)
{
    trial_folder(stage->dir);
    stage->context = flow_context(1);
    stage->sender = flow_open(stage->context, sends);
    stage->receiver = flow_open(stage->context, receives);
}

static void join(struct stage *stage, bool subscribes)
{
    if (subscribes)
        flow_ok(weir_subscribe(stage->receiver, "", 0));
    flow_join(stage->sender, stage->receiver, "tcp");
}

static void tear_down(struct stage *stage)
{
    flow_drop(stage->sender);
    flow_drop(stage->receiver);
    flow_end(stage->context);
    await_disk_use(0);
    assert_int_equal(rmdir(stage->dir), 0);
}

/* Returns how long the longest of them took, in ms. */
static int64_t send_all(const struct stage *stage, uint32_t first, uint32_t end)
{
    int64_t longest = 0, before = flow_now(), now;

    for (uint32_t i = first; i < end; i++, before = now) {
        flow_ok(trial_send(stage->sender, i, SIZE, FLOW_SOON));
        now = flow_now();
        if (now - before > longest)
            longest = now - before;
    }
    return longest;
}

static void receive_all(const struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        assert_int_equal(trial_receive(stage->receiver), i);
}

/* ---- a peer that is paused ---- */

/* What comes by at an idle connection would drive one that was forgotten. */
static void let_be(weir_socket socket)
{
    flow_ok(weir_set_int(socket, "heartbeat", 0));
}

/* What this process has in memory more than it had, at most. */
struct growth {
    uint64_t before, most;
};

static void sample(struct growth *growth)
{
    uint64_t now = trial_resident();

    if (now > growth->before + growth->most)
        growth->most = now - growth->before;
}

/* Returns how long the longest send took, in ms. */
static int64_t send_sampled(const struct stage *stage, uint32_t n,
                            struct growth *growth)
{
    int64_t longest = 0, one;

    for (uint32_t i = 1; i < n; i += SAMPLE) {
        one = send_all(stage, i, i + SAMPLE < n ? i + SAMPLE : n);
        if (one > longest)
            longest = one;
        sample(growth);
    }
    return longest;
}

static void receive_sampled(const struct stage *stage, uint32_t n,
                            struct growth *growth)
{
    for (uint32_t i = 1; i < n; i += SAMPLE) {
        receive_all(stage, i, i + SAMPLE < n ? i + SAMPLE : n);
        sample(growth);
    }
}

/* Memory stays bounded all the time, all arrives in order, and the space comes
 * back.  Both ends are in this process, so what is bounded is their sum.  32 MB
 * may wait in memory for the disk; then a send waits until some of that is
 * written.  So how long one may take is up to the disk: on one that others keep
 * busy too it was close to a second.  LONGEST is three times that, and a small
 * part of what it takes until all 2 GB are written. */
static void check_paused(bool at_sender)
{
    uint64_t octets = (trial_is_full() ? 2048 : 100) * MB;
    uint32_t n = (uint32_t)(octets / SIZE);
    struct growth growth = {0, 0};
    struct stage stage;
    weir_stats stats;
    int64_t longest;
    uint64_t sent;

    open_both(&stage, WEIR_PUSH, WEIR_PULL);
    let_be(stage.sender);
    let_be(stage.receiver);
    if (at_sender)
        set_swap(&stage, stage.sender, "send-mark", "send-swap", 4096 * MB);
    else
        set_swap(&stage, stage.receiver, "recv-mark", "recv-swap", 4096 * MB);
    join(&stage, false);
    growth.before = trial_resident();
    longest = send_sampled(&stage, n, &growth);
    sent = growth.most;
    assert_true(disk_use() > octets / 2);
    receive_sampled(&stage, n, &growth);
    print_message(
        "%u messages, the longest send %lld ms, at most %llu KB grown "
        "while they were sent and %llu KB in all\n",
        n - 1, (long long)longest, (unsigned long long)(sent / 1024),
        (unsigned long long)(growth.most / 1024));
    stats = flow_stats(at_sender ? stage.sender : stage.receiver);
    assert_true((at_sender ? stats.send_swapped_out : stats.recv_swapped_out) >
                n / 2);
    await_disk_use(0);
    assert_true(longest < LONGEST);
    if (!is_sanitized())
        assert_true(growth.most < 64 * MB);
    tear_down(&stage);
}

static void test_paused(void **state)
{
    (void)state;
    check_paused(true);
    check_paused(false);
}

/* ---- as with ZeroMQ 2 ---- */

/* The reader is slow, and what is above the mark waits on the disk: nothing is
 * dropped, and nobody waits.  Then the swap is used up: a publisher drops, and
 * all others wait. */
static void check_slow(int sends, int receives)
{
    enum { EACH = 100 };
    struct trial_tally tally = {0};
    uint32_t number = 1;
    struct stage stage;
    weir_stats stats;
    int r = 0;

    open_both(&stage, sends, receives);
    set_swap(&stage, stage.sender, "send-mark", "send-swap", 20 * MB);
    flow_ok(weir_set_int(stage.receiver, "recv-mark", 10));
    join(&stage, receives == WEIR_SUB);
    for (; number < 10 * MARK; number += EACH) {
        send_all(&stage, number, number + EACH);
        trial_take(stage.receiver, &tally);
    }
    stats = flow_stats(stage.sender);
    assert_int_equal(stats.send_dropped[WEIR_DROP_MARK], 0);
    assert_true(stats.send_queued > MARK);
    while (r >= 0 && stats.send_dropped[WEIR_DROP_MARK] == 0) {
        r = trial_send(stage.sender, number, SIZE, FLOW_NOT);
        number += r >= 0;
        if (number % EACH == 0)
            stats = flow_stats(stage.sender);
    }
    assert_int_equal(r, sends == WEIR_PUB ? 0 : -EAGAIN);
    assert_true((uint64_t)number * SIZE > 15 * MB);
    stats = flow_stats(stage.sender);
    while (tally.got < number - 1 - stats.send_dropped[WEIR_DROP_MARK])
        trial_take(stage.receiver, &tally);
    flow_silence(stage.receiver);
    tear_down(&stage);
}

static void test_slow(void **state)
{
    (void)state;
    check_slow(WEIR_PUB, WEIR_SUB);
    check_slow(WEIR_PUSH, WEIR_PULL);
    check_slow(WEIR_DEALER, WEIR_DEALER);
}

/* ---- no store is installed ---- */

/* The sentence says what to install, and all else is as it was. */
static void test_no_store(void **state)
{
    weir_context context = flow_context(1);
    weir_socket near = flow_open(context, WEIR_PUSH);
    weir_socket far = flow_open(context, WEIR_PULL);

    (void)state;
    flow_fails(weir_set_int(near, "send-swap", 1000000), WEIR_EPLUGIN);
    assert_non_null(strstr(weir_last_error(), "store_file"));
    flow_fails(weir_set_int(far, "recv-swap", 1000000), WEIR_EPLUGIN);
    assert_non_null(strstr(weir_last_error(), "store_file"));
    flow_ok(weir_set_int(near, "send-swap", 0));
    flow_join(far, near, "tcp");
    flow_say(near, "as ever");
    flow_hear(far, "as ever");
    flow_close(near);
    flow_close(far);
    flow_end(context);
}

/* The folders of plugins without those of stores. */
static void hide_stores(void)
{
    const char *from = getenv("WEIR_PLUGIN_PATH");
    char *path = calloc(1, from ? strlen(from) + 2 : 1), *at = path;

    assert_non_null(path);
    while (from && *from) {
        size_t size = strcspn(from, ":");
        const char *store = strstr(from, "/store_");

        if (!store || store >= from + size)
            at += sprintf(at, "%.*s:", (int)size, from);
        from += size + (from[size] == ':');
    }
    assert_int_equal(setenv("WEIR_PLUGIN_PATH", path, 1), 0);
    free(path);
}

/* Which plugins there are is seen once in a process: so it is another one. */
static void test_without(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        hide_stores();
        execl("/proc/self/exe", "test_swap_disk", "no-store", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_without),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(test_no_store)};

    (void)argv;
    if (argc > 1)
        return cmocka_run_group_tests(without, NULL, NULL);
    if (!trial_find()) {
        puts("not done: there are no shared plugins");
        return 77;
    }
    if (access(WEIR_PLUGIN_DIR "/store_file.so", F_OK) == 0) {
        puts("not done: a store is installed, which cannot be hidden");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
