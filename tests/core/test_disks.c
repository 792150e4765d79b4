/*
 * Helpers for disks: errands wait for their time and for nobody else's.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "disks.h"

#define MS INT64_C(1000000)

enum { STUCK = 6, IN_TURN = 3, SOON_MS = 20000, LATER_MS = 60 };

static _Atomic int ran;
static _Atomic bool stuck;
static _Atomic int64_t ran_at;

static void pause_a_bit(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    nanosleep(&pause, NULL);
}

static void count(struct weir_disk_errand *errand)
{
    (void)errand;
    atomic_store(&ran_at, weir_now());
    atomic_fetch_add(&ran, 1);
}

static void hang(struct weir_disk_errand *errand)
{
    while (atomic_load(&stuck))
        pause_a_bit();
    count(errand);
}

static void await(int n)
{
    int64_t end = weir_deadline_in(SOON_MS);

    while (atomic_load(&ran) < n) {
        assert_true(weir_now() < end);
        pause_a_bit();
    }
}

static void test_later(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/one");
    struct weir_disk_errand late = {.run = count}, soon = {.run = count};
    int64_t at = weir_now() + LATER_MS * MS;

    (void)state;
    atomic_store(&ran, 0);
    assert_int_equal(weir_disks_submit(crew, &late, at, NULL), 0);
    assert_int_equal(weir_disks_submit(crew, &soon, 0, NULL), 0);
    await(2);
    assert_true(atomic_load(&ran_at) >= at);
}

/* What is taken back before its time does not run. */
static void test_cancelled(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/one");
    struct weir_disk_errand late = {.run = count}, soon = {.run = count};

    (void)state;
    atomic_store(&ran, 0);
    assert_int_equal(
        weir_disks_submit(crew, &late, weir_now() + MS * 3600000, NULL), 0);
    assert_true(weir_disks_cancel(crew, &late));
    assert_false(weir_disks_cancel(crew, &late));
    assert_int_equal(weir_disks_submit(crew, &soon, 0, NULL), 0);
    await(1);
    assert_int_equal(atomic_load(&ran), 1);
    assert_false(weir_disks_cancel(crew, &soon));
}

/* Have `n` errands hang, with nothing counted before. */
static void begin_to_hang(struct weir_crew *crew, struct weir_disk_errand *hung,
                          int n)
{
    atomic_store(&ran, 0);
    atomic_store(&stuck, true);
    for (int i = 0; i < n; i++) {
        hung[i] = (struct weir_disk_errand){.run = hang};
        assert_int_equal(weir_disks_submit(crew, &hung[i], 0, NULL), 0);
    }
}

/* More errands hang in one folder than it has helpers; another one does not
 * notice. */
static void test_apart(void **state)
{
    struct weir_crew *slow = weir_disks_crew("/slow");
    struct weir_disk_errand hung[STUCK], other = {.run = count};

    (void)state;
    assert_ptr_not_equal(slow, weir_disks_crew("/other"));
    assert_ptr_equal(slow, weir_disks_crew("/slow"));
    begin_to_hang(slow, hung, STUCK);
    assert_int_equal(
        weir_disks_submit(weir_disks_crew("/other"), &other, 0, NULL), 0);
    await(1);
    atomic_store(&stuck, false);
    await(STUCK + 1);
}

static weir_thread_id ran_by;

static void note_thread(struct weir_disk_errand *errand)
{
    ran_by = weir_thread_self();
    count(errand);
}

/* Whoever ran the errand before this one runs it. */
static bool same_again(struct weir_crew *crew)
{
    struct weir_disk_errand errand = {.run = note_thread};
    weir_thread_id before = ran_by;
    int n = atomic_load(&ran);

    assert_int_equal(weir_disks_submit(crew, &errand, 0, NULL), 0);
    await(n + 1);
    pause_a_bit();
    return weir_thread_same(ran_by, before);
}

/* Or are about to. */
static void have_several_rest(struct weir_crew *crew)
{
    struct weir_disk_errand hung[IN_TURN];

    begin_to_hang(crew, hung, IN_TURN);
    atomic_store(&stuck, false);
    await(IN_TURN);
}

/* While helpers rest, the one that did so last is woken: not each in turn.  One
 * that has not laid itself down yet may miss an errand. */
static void test_last_first(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/turns");
    int64_t end = weir_deadline_in(SOON_MS);

    (void)state;
    have_several_rest(crew);
    for (int row = 0; row < 4 * IN_TURN; row = same_again(crew) ? row + 1 : 0)
        assert_true(weir_now() < end);
}

/* An errand that waits until its helper is woken.  Returns whether it did: one
 * that has not laid itself down yet may take it. */
static bool waits_for_call(struct weir_crew *crew)
{
    struct weir_disk_errand errand = {.run = count}, other = {.run = count};
    struct weir_helper *called;
    bool waited;

    atomic_store(&ran, 0);
    assert_int_equal(weir_disks_submit(crew, &errand, 0, &called), 0);
    if (!called) {
        await(1);
        pause_a_bit();
        return false;
    }
    assert_int_equal(
        weir_disks_submit(weir_disks_crew("/other"), &other, 0, NULL), 0);
    await(1);
    pause_a_bit();
    waited = atomic_load(&ran) == 1;
    weir_disks_wake(called);
    await(2);
    weir_disks_wake(called); /* it rests, or it has left: no harm */
    return waited;
}

/* Who submits may wake the helper later, when it holds no lock that the errand
 * takes: until then it sleeps on. */
static void test_called(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/called");
    int64_t end = weir_deadline_in(SOON_MS);

    (void)state;
    weir_disks_wake(NULL);
    while (!waits_for_call(crew))
        assert_true(weir_now() < end);
}

/* What is due at some time does not wait for one that hangs, nor does a second
 * one that is due then, while any helper rests. */
static void test_time_is_kept(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/times");
    struct weir_disk_errand hung = {.run = hang}, hangs_too = {.run = hang};
    struct weir_disk_errand late = {.run = count};
    int64_t at;

    (void)state;
    have_several_rest(crew);
    atomic_store(&stuck, true);
    at = weir_now() + LATER_MS * MS;
    assert_int_equal(weir_disks_submit(crew, &hangs_too, at - 1, NULL), 0);
    assert_int_equal(weir_disks_submit(crew, &late, at, NULL), 0);
    pause_a_bit(); /* for who knows the time to rest */
    assert_int_equal(weir_disks_submit(crew, &hung, 0, NULL), 0);
    await(IN_TURN + 1);
    assert_true(atomic_load(&ran_at) >= at);
    atomic_store(&stuck, false);
    await(IN_TURN + 3);
}

/* The only helper of a crew takes an errand that hangs, `before` ns ahead of
 * another one: that runs at its time.  No other test has this folder's crew. */
static void run_behind_one_that_hangs(const char *folder, int64_t before)
{
    struct weir_crew *crew = weir_disks_crew(folder);
    struct weir_disk_errand hangs = {.run = hang}, late = {.run = count};
    struct weir_disk_errand first = {.run = count};
    int64_t at;

    atomic_store(&ran, 0);
    assert_int_equal(weir_disks_submit(crew, &first, 0, NULL), 0);
    await(1);
    pause_a_bit(); /* where it does not rest yet there will be two */
    atomic_store(&stuck, true);
    at = weir_now() + LATER_MS * MS;
    assert_int_equal(weir_disks_submit(crew, &hangs, at - before, NULL), 0);
    assert_int_equal(weir_disks_submit(crew, &late, at, NULL), 0);
    await(2);
    assert_true(atomic_load(&ran_at) >= at);
    atomic_store(&stuck, false);
    await(3);
}

/* Nor where nobody rests: the only helper has begun with another one that was
 * due. */
static void test_time_is_handed_on(void **state)
{
    (void)state;
    run_behind_one_that_hangs("/alone", 20 * MS);
}

/* Nor where both are due at once. */
static void test_due_together(void **state)
{
    (void)state;
    run_behind_one_that_hangs("/together", 0);
}

/* A helper that is pinned outstays its idleness, and then leaves. */
static void test_pinned(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/pinned");
    struct weir_disk_errand errand = {.run = count};

    (void)state;
    atomic_store(&ran, 0);
    assert_int_equal(weir_disks_pin(crew), 0);
    assert_int_equal(weir_disks_pin(crew), 0);
    weir_disks_unpin(crew);
    assert_int_equal(weir_disks_submit(crew, &errand, 0, NULL), 0);
    await(1);
    weir_disks_unpin(crew);
}

static void run_in_child(void)
{
    struct weir_crew *crew = weir_disks_crew("/forked");
    struct weir_disk_errand errand = {.run = count};
    int64_t end = weir_deadline_in(SOON_MS);

    if (atomic_load(&weir_disks_memory) != 0)
        _exit(1);
#if defined(__SANITIZE_THREAD__)
    _exit(0); /* its children start no threads */
#endif
    if (weir_disks_pin(crew) < 0 ||
        weir_disks_submit(crew, &errand, 0, NULL) < 0)
        _exit(1);
    while (atomic_load(&ran) < 2 && weir_now() < end)
        pause_a_bit();
    _exit(atomic_load(&ran) == 2 ? 0 : 2);
}

/* A child has helpers of its own, and nothing of what its parent hid. */
static void test_fork(void **state)
{
    struct weir_crew *crew = weir_disks_crew("/forked");
    struct weir_disk_errand errand = {.run = count};
    int status;
    pid_t child;

    (void)state;
    atomic_store(&ran, 0);
    assert_int_equal(weir_disks_pin(crew), 0);
    assert_int_equal(weir_disks_submit(crew, &errand, 0, NULL), 0);
    await(1);
    atomic_fetch_add(&weir_disks_memory, 1000);
    child = fork();
    if (child == 0)
        run_in_child();
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_fetch_sub(&weir_disks_memory, 1000), 1000);
    weir_disks_unpin(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_last_first),
        cmocka_unit_test(test_called),
        cmocka_unit_test(test_time_is_kept),
        cmocka_unit_test(test_time_is_handed_on),
        cmocka_unit_test(test_due_together),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
