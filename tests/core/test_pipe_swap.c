/*
 * What a socket is told of its spills, and what that costs: who owns its lock
 * keeps it, and the reactor is asked for nothing where the peer takes nothing.
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pipe_swap.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum { IN_A_ROW = 3 };

static struct weir_sock *sock; /* the PUSH's */
static int handed_on;
static _Thread_local int fences; /* that interrupt others */

void __real_weir_fence_heavy(void);
void __wrap_weir_fence_heavy(void);

void __wrap_weir_fence_heavy(void)
{
    fences++;
    __real_weir_fence_heavy();
}

void __real_weir_wait_hand_on(struct weir_sock *of, int64_t ns);
void __wrap_weir_wait_hand_on(struct weir_sock *of, int64_t ns);

void __wrap_weir_wait_hand_on(struct weir_sock *of, int64_t ns)
{
    handed_on += of == sock; /* its lock is held */
    __real_weir_wait_hand_on(of, ns);
}

static int begin(void **state)
{
    (void)pushpull_begin(state);
    sock = weir_shells_sock(push.index);
    assert_int_equal(weir_set(push, "send-swap", "16M"), 0);
    assert_int_equal(weir_set(push, "send-mark", "10"), 0);
    return 0;
}

static void meet(void)
{
    pushpull_join(push, pull, "ipc://*");
    assert_true(weir_wait_peers(push, 1, SOON) >= 1);
}

static struct weir_pipe *only_pipe(void)
{
    return WEIR_CONTAINER(weir_list_first(&sock->pipes), struct weir_pipe, all);
}

/* ---- the reactor ---- */

/* How often the reactor is asked to go on, when there is news of the spill of a
 * link that is blocked or is not. */
static int asked_for(bool blocked)
{
    struct weir_pipe *pipe;
    bool was_blocked;
    int n;

    weir_sock_lock(sock);
    pipe = only_pipe();
    was_blocked = atomic_exchange(&pipe->link.blocked, blocked);
    n = handed_on;
    weir_list_remove(&pipe->flush);
    (void)weir_pipe_spilled(pipe);
    n = handed_on - n;
    atomic_store(&pipe->link.blocked, was_blocked);
    weir_sock_unlock(sock);
    return n;
}

/* What is shown of a spill leaves by itself, unless the peer reads nothing:
 * then the descriptor tells when it does. */
static void test_blocked(void **state)
{
    (void)state;
    meet();
    assert_int_equal(asked_for(false), 1);
    assert_int_equal(asked_for(true), 0);
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    pushpull_hear(pull, "text");
}

/* ---- the lock ---- */

static _Atomic bool owned, leaves, comes_by;

static void pass_by(void)
{
    weir_sock_lock(sock);
    weir_sock_unlock(sock);
}

/* Own the lock; come by when there is mail, if that is wanted. */
static void *own(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2 * WEIR_BIASED_EARNED; i++)
        pass_by();
    atomic_store(&owned, true);
    while (!atomic_load(&leaves))
        if (atomic_load(&comes_by) && weir_sock_has_mail(sock))
            pass_by();
    return NULL;
}

static pthread_t start(bool coming_by)
{
    pthread_t owner;

    atomic_store(&owned, false);
    atomic_store(&leaves, false);
    atomic_store(&comes_by, coming_by);
    assert_int_equal(pthread_create(&owner, NULL, own, NULL), 0);
    while (!atomic_load(&owned))
        weir_cpu_relax();
    assert_true(weir_biased_is_anothers(&sock->lock));
    return owner;
}

static void finish(pthread_t owner)
{
    atomic_store(&leaves, true);
    pthread_join(owner, NULL);
}

/* A helper's news.  Returns whether it left the lock to its owner. */
static bool tell(void)
{
    struct weir_spill_plan plan = weir_pipe_plan(only_pipe(), 1 << 20);
    int before = fences;

    plan.tell(plan.arg);
    plan.nudge(plan.other);
    return fences == before;
}

/* The I/O thread does not want it. */
static void meet_to_own(void)
{
    if (!weir_fence_is_asymmetric())
        skip();
    meet();
    pushpull_hold();
}

static int processors(void)
{
#ifdef CPU_COUNT
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        return CPU_COUNT(&cpus);
#endif
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Whoever comes by has the mail.  He may lose his processor just then, or have
 * had it before anybody looked: so he has to have it several times in a row. */
static void test_comes_by(void **state)
{
    int64_t end = weir_deadline_in(SOON);
    int kept = 0;

    (void)state;
    if (processors() < 2)
        skip(); /* nobody comes by while we look */
    meet_to_own();
    while (kept < IN_A_ROW) {
        pthread_t owner = start(true);

        assert_true(weir_now() < end);
        kept = tell() ? kept + 1 : 0;
        finish(owner);
        assert_false(weir_sock_has_mail(sock));
    }
}

/* Who does not come by loses the lock, and nothing is left undelivered. */
static void test_does_not_come_by(void **state)
{
    pthread_t owner;

    (void)state;
    meet_to_own();
    owner = start(false);
    assert_false(tell());
    assert_false(weir_sock_has_mail(sock));
    finish(owner);
}

/* Who owns the lock has the news at once. */
static void test_own_news(void **state)
{
    (void)state;
    meet_to_own();
    for (int i = 0; i < 2 * WEIR_BIASED_EARNED; i++)
        pass_by();
    assert_false(weir_biased_is_anothers(&sock->lock));
    assert_true(tell());
    assert_false(weir_sock_has_mail(sock));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blocked, begin, pushpull_end),
        cmocka_unit_test_setup_teardown(test_comes_by, begin, pushpull_end),
        cmocka_unit_test_setup_teardown(test_does_not_come_by, begin,
                                        pushpull_end),
        cmocka_unit_test_setup_teardown(test_own_news, begin, pushpull_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
