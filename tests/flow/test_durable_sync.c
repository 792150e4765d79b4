/*
 * Durable swaps and the disk: when a send has synced, and what it says when
 * the disk is full or broken.  The system calls of store_file come by here.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { N = 20 };

/* ---- the disk ---- */

#define FOR_PLUGINS __attribute__((visibility("default")))

static _Atomic int syncs, sync_code, write_code;
static _Atomic bool stuck; /* no write comes back */

FOR_PLUGINS int fdatasync(int fd)
{
    if (atomic_load(&sync_code)) {
        errno = atomic_load(&sync_code);
        return -1;
    }
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

FOR_PLUGINS ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    while (atomic_load(&stuck))
        trial_pause();
    if (atomic_load(&write_code)) {
        errno = atomic_load(&write_code);
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, at);
}

/* ---- a sender without a peer ---- */

struct stage {
    weir_context context;
    weir_socket sender;
    char dir[TRIAL_DIR], url[FLOW_URL];
};

static void set_up(struct stage *stage, const char *sync, int interval)
{
    atomic_store(&sync_code, 0);
    atomic_store(&write_code, 0);
    trial_folder(stage->dir);
    flow_url("ipc", stage->url);
    stage->context = flow_context(1);
    stage->sender = flow_open(stage->context, WEIR_PUSH);
    flow_ok(weir_set(stage->sender, "swap-mode", "durable"));
    flow_ok(weir_set(stage->sender, "swap-dir", stage->dir));
    flow_ok(weir_set(stage->sender, "swap-name", "feed"));
    flow_ok(weir_set(stage->sender, "swap-sync", sync));
    flow_ok(weir_set_int(stage->sender, "swap-sync-interval", interval));
    flow_ok(weir_set_int(stage->sender, "send-swap", 64 << 20));
    flow_ok(weir_set_int(stage->sender, "linger", 0));
    flow_ok(weir_connect(stage->sender, stage->url, NULL));
    atomic_store(&syncs, 0);
}

/* Whatever was kept is received, so that nothing is left. */
static void tear_down(struct stage *stage, int messages)
{
    weir_socket receiver = flow_open(stage->context, WEIR_PULL);
    int64_t end = flow_now() + FLOW_SOON;

    atomic_store(&sync_code, 0);
    atomic_store(&write_code, 0);
    flow_ok(weir_bind(receiver, stage->url, NULL));
    for (int i = 0; i < messages; i++)
        flow_hear(receiver, "kept");
    flow_ok(weir_flush(stage->sender, FLOW_SOON));
    flow_stats(stage->sender);
    flow_close(stage->sender);
    flow_close(receiver);
    flow_end(stage->context);
    while (rmdir(stage->dir) < 0) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

static int send_it(struct stage *stage, int deadline)
{
    return weir_send(stage->sender, "kept", 4, deadline);
}

static void await_syncs(int least)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (atomic_load(&syncs) < least) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

/* ---- the tests ---- */

static void test_policies(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, "always", 100);
    for (int i = 1; i <= N; i++) {
        flow_ok(send_it(&stage, FLOW_SOON));
        assert_true(atomic_load(&syncs) >= i);
    }
    tear_down(&stage, N);
    set_up(&stage, "os", 100);
    for (int i = 0; i < N; i++)
        flow_ok(send_it(&stage, FLOW_SOON));
    assert_int_equal(atomic_load(&syncs), 0);
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    assert_true(atomic_load(&syncs) > 0);
    tear_down(&stage, N);
}

static void test_interval(void **state)
{
    struct stage stage;
    int before;

    (void)state;
    set_up(&stage, "interval", 3600000);
    for (int i = 0; i < N; i++)
        flow_ok(send_it(&stage, FLOW_SOON));
    assert_int_equal(atomic_load(&syncs), 0);
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    assert_true(atomic_load(&syncs) > 0);
    tear_down(&stage, N);
    set_up(&stage, "interval", 5);
    for (int i = 0; i < 3; i++) {
        before = atomic_load(&syncs);
        flow_ok(send_it(&stage, FLOW_SOON));
        await_syncs(before + 1);
    }
    tear_down(&stage, 3);
}

/* A full disk: the send fails and says so, and when there is room it goes on.
 */
static void test_full(void **state)
{
    struct stage stage;
    weir_event event;

    (void)state;
    set_up(&stage, "os", 100);
    flow_ok(send_it(&stage, FLOW_SOON));
    atomic_store(&write_code, ENOSPC);
    flow_fails(send_it(&stage, FLOW_SOON), ENOSPC);
    assert_non_null(strstr(weir_last_error(), stage.dir));
    event = flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED);
    assert_int_equal(event.code, ENOSPC);
    assert_non_null(strstr(event.reason, stage.dir));
    flow_fails(send_it(&stage, FLOW_SOON), ENOSPC);
    assert_int_equal(flow_stats(stage.sender).accepted, 1);
    atomic_store(&write_code, 0);
    flow_ok(send_it(&stage, FLOW_SOON));
    flow_event(stage.sender, WEIR_EVENT_SWAP_RESUMED);
    tear_down(&stage, 2);
}

/* Who did not wait loses nothing: it is written when there is room. */
static void test_full_unseen(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, "os", 100);
    flow_ok(send_it(&stage, FLOW_SOON));
    atomic_store(&write_code, ENOSPC);
    flow_ok(send_it(&stage, WEIR_NOWAIT));
    flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED);
    flow_fails(weir_sync(stage.sender, FLOW_NOT), ENOSPC);
    assert_int_equal(flow_stats(stage.sender).accepted, 2);
    atomic_store(&write_code, 0);
    flow_ok(weir_sync(stage.sender, FLOW_SOON));
    assert_int_equal(flow_stats(stage.sender).send_in_store, 2);
    tear_down(&stage, 2);
}

/* A disk that cannot be relied on: no send goes there any more; what it has is
 * sent. */
static void test_broken(void **state)
{
    struct stage stage;

    (void)state;
    set_up(&stage, "always", 100);
    flow_ok(send_it(&stage, FLOW_SOON));
    atomic_store(&sync_code, EIO);
    flow_fails(send_it(&stage, FLOW_SOON), EIO);
    flow_fails(send_it(&stage, FLOW_SOON), EIO);
    flow_fails(weir_sync(stage.sender, FLOW_SOON), EIO);
    assert_int_equal(flow_event(stage.sender, WEIR_EVENT_SWAP_FAILED).code,
                     EIO);
    assert_int_equal(flow_stats(stage.sender).accepted, 1);
    tear_down(&stage, 1);
}

static void *send_for_ever(void *arg)
{
    int *result = malloc(sizeof(*result));

    assert_non_null(result);
    *result = send_it(arg, WEIR_FOREVER);
    return result;
}

/* A disk that does not answer keeps nobody beyond his deadline, and no close;
 * what was on its way is accepted, and then unsent. */
static void test_stuck(void **state)
{
    int64_t end = flow_now() + FLOW_SOON;
    struct stage stage;
    pthread_t thread;
    uint64_t unsent = 0;
    int *result = NULL;

    (void)state;
    set_up(&stage, "os", 100);
    atomic_store(&stuck, true);
    flow_fails(send_it(&stage, FLOW_NOT), EINPROGRESS);
    flow_fails(weir_sync(stage.sender, FLOW_NOT), EAGAIN);
    assert_int_equal(pthread_create(&thread, NULL, send_for_ever, &stage), 0);
    while (flow_stats(stage.sender).accepted < 2) {
        assert_true(flow_now() < end);
        trial_pause();
    }
    assert_int_equal(weir_close(stage.sender, 0, &unsent), -EAGAIN);
    assert_int_equal(unsent, 2);
    assert_int_equal(pthread_join(thread, (void **)&result), 0);
    assert_int_equal(*result, -EINPROGRESS);
    free(result);
    flow_end(stage.context);
    atomic_store(&stuck, false);
    while (rmdir(stage.dir) < 0) { /* nothing was kept */
        assert_true(flow_now() < end);
        trial_pause();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies), cmocka_unit_test(test_interval),
        cmocka_unit_test(test_full),     cmocka_unit_test(test_full_unseen),
        cmocka_unit_test(test_broken),   cmocka_unit_test(test_stuck),
    };

    if (!trial_find())
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
