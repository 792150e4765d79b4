/*
 * test_biased.c - the lock that is biased to one thread excludes, loses no
 * wake-up, and goes over to others at every moment of taking and releasing it.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/biased.h"
#include "base/clock.h"
#include "base/park.h"

enum {
    THREADS = 3,
    TURNS = 40000,
    DUELS = 200000,
    DUEL_TIME = 1000, /* ms: on a busy machine fewer must do */
    TOO_LONG = 120,   /* s */
    CROWD = WEIR_BIASED_RESIDENTS + 8,
    SMALL_STACK = 256 << 10
};

static uint32_t state_of(struct weir_biased *lock)
{
    return atomic_load(&lock->word) & 0xff;
}

static bool is_owned(struct weir_biased *lock)
{
    return state_of(lock) == WEIR_BIASED_OWNED;
}

/* Take it so often that it is ours. */
static void earn(struct weir_biased *lock)
{
    for (int i = 0; i < WEIR_BIASED_EARNED; i++) {
        weir_biased_take(lock);
        weir_biased_release(lock);
    }
}

/* ---- another thread, which does one thing ---- */

static void *try_it(void *lock)
{
    bool had = weir_biased_try(lock);

    if (had)
        weir_biased_release(lock);
    return had ? lock : NULL;
}

static void *take_it(void *lock)
{
    weir_biased_take(lock);
    weir_biased_release(lock);
    return lock;
}

static pthread_t begin(void *(*run)(void *), void *lock)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, lock), 0);
    return thread;
}

/* Did it have the lock? */
static bool end(pthread_t thread)
{
    void *result;

    assert_int_equal(pthread_join(thread, &result), 0);
    return result != NULL;
}

static void await_state(struct weir_biased *lock, uint32_t state)
{
    int64_t deadline = weir_deadline_in(20000);

    while (state_of(lock) != state) {
        assert_true(weir_now() < deadline);
        weir_cpu_relax();
    }
}

/* ---- as any lock ---- */

static void test_states(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    weir_biased_take(&lock);
    assert_false(weir_biased_try(&lock));
    assert_false(end(begin(try_it, &lock)));
    weir_biased_release(&lock);
    assert_true(end(begin(try_it, &lock)));
    assert_true(weir_biased_try(&lock));
    weir_biased_release(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
}

struct shared {
    struct weir_biased lock;
    uint64_t count; /* guarded by the lock */
    uint64_t owned; /* times the lock was found so by who had just had it */
};

/* Of each hundred turns all but a few follow each other closely, so that the
 * lock becomes somebody's, and is taken away again. */
static void *count_up(void *opaque)
{
    struct shared *shared = opaque;
    uint64_t owned = 0;

    for (int i = 0; i < TURNS; i++) {
        if (i % 4 != 0 || !weir_biased_try(&shared->lock))
            weir_biased_take(&shared->lock);
        shared->count++;
        weir_biased_release(&shared->lock);
        owned += is_owned(&shared->lock);
        if (i % 1000 < 3)
            for (int spin = 0; spin < 3000; spin++)
                weir_cpu_relax();
    }
    weir_biased_take(&shared->lock);
    shared->owned += owned;
    weir_biased_release(&shared->lock);
    return NULL;
}

static void test_excludes(void **state)
{
    struct shared shared = {.count = 0};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        threads[i] = begin(count_up, &shared);
    for (int i = 0; i < THREADS; i++)
        (void)end(threads[i]);
    assert_int_equal(shared.count, THREADS * TURNS);
    if (weir_fence_is_asymmetric())
        assert_true(shared.owned > 0);
    else
        assert_int_equal(shared.owned, 0);
}

/* ---- one who owns it, and one who takes that away ---- */

struct duel {
    struct weir_biased lock;
    uint64_t count; /* guarded by the lock */
    uint64_t stays; /* of the owner */
    _Atomic bool over;
};

static void *stay(void *opaque)
{
    struct duel *duel = opaque;

    while (!atomic_load_explicit(&duel->over, memory_order_relaxed)) {
        weir_biased_take(&duel->lock);
        duel->count++;
        if (duel->stays % 61 == 0)
            weir_biased_give_up(&duel->lock);
        else
            weir_biased_release(&duel->lock);
        duel->stays++;
    }
    return NULL;
}

/* A store whose line the other processor has too takes longest to be seen:
 * fetch the line where the owner notes that it is inside, for a while that is
 * never the same. */
static void fetch_note(struct weir_biased *lock, uint32_t turns)
{
    uint32_t word = atomic_load(&lock->word);

    for (uint32_t i = 0; i < turns; i++)
        (void)atomic_load_explicit(
            &weir_residents[word >> WEIR_BIASED_INDEX].inside,
            memory_order_relaxed);
}

static void test_duel(void **state)
{
    struct duel duel = {.count = 0};
    pthread_t owner = begin(stay, &duel);
    int64_t deadline = weir_deadline_in(DUEL_TIME);
    uint32_t had = 0;

    (void)state;
    while (had < DUELS && weir_now() < deadline) {
        while (!is_owned(&duel.lock) && weir_now() < deadline)
            weir_cpu_relax();
        fetch_note(&duel.lock, had % 61);
        if (!weir_biased_try(&duel.lock))
            continue;
        duel.count++;
        had++;
        weir_biased_release(&duel.lock);
    }
    atomic_store(&duel.over, true);
    (void)end(owner);
    assert_int_equal(duel.count, duel.stays + had);
}

/* ---- one who owns it ---- */

static void test_no_cheap_fence(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    earn(&lock);
    assert_int_equal(is_owned(&lock), weir_fence_is_asymmetric());
}

/* The first one takes the bias away; from then on it is a lock as any. */
static void test_owner_outside(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    assert_true(is_owned(&lock));
    assert_true(end(begin(try_it, &lock)));
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
    weir_biased_take(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_HELD);
    weir_biased_release(&lock);
    earn(&lock);
    assert_true(is_owned(&lock));
    assert_true(end(begin(take_it, &lock)));
}

static void test_owner_inside(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    weir_biased_take(&lock);
    assert_true(is_owned(&lock));
    assert_false(weir_biased_try(&lock));
    assert_false(end(begin(try_it, &lock)));
    assert_int_equal(state_of(&lock), WEIR_BIASED_HELD);
    assert_false(end(begin(try_it, &lock)));
    weir_biased_release(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
    assert_true(end(begin(try_it, &lock)));
    earn(&lock);
    assert_true(is_owned(&lock));
}

/* Nobody has to take a bias away that was given up, and once is enough to have
 * it back. */
static void test_given_up(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    weir_biased_take(&lock);
    weir_biased_give_up(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
    weir_biased_take(&lock);
    weir_biased_release(&lock);
    assert_true(is_owned(&lock));
    weir_biased_take(&lock);
    weir_biased_give_up(&lock);
    assert_true(end(begin(try_it, &lock)));
    weir_biased_take(&lock);
    weir_biased_release(&lock);
    assert_false(is_owned(&lock));
}

/* By who has no bias, or from whom it was taken just then, the lock is given
 * back. */
static void test_given_up_too_late(void **state)
{
    struct weir_biased lock;

    (void)state;
    weir_biased_init(&lock);
    weir_biased_take(&lock);
    weir_biased_give_up(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
    earn(&lock);
    weir_biased_take(&lock);
    assert_false(end(begin(try_it, &lock)));
    weir_biased_give_up(&lock);
    assert_int_equal(state_of(&lock), WEIR_BIASED_FREE);
    assert_true(end(begin(try_it, &lock)));
}

/* Those who wait for an owner sleep, and are woken one after the other. */
static void test_owner_is_waited_for(void **state)
{
    struct weir_biased lock;
    pthread_t threads[THREADS];

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    weir_biased_take(&lock);
    for (int i = 0; i < THREADS; i++)
        threads[i] = begin(take_it, &lock);
    await_state(&lock, WEIR_BIASED_CONTENDED);
    weir_biased_release(&lock);
    for (int i = 0; i < THREADS; i++)
        assert_true(end(threads[i]));
}

/* A thread is noted inside of one lock: the second is held as by anybody. */
static void test_two_locks(void **state)
{
    struct weir_biased first, second;

    (void)state;
    weir_biased_init(&first);
    weir_biased_init(&second);
    earn(&first);
    earn(&second);
    assert_true(is_owned(&first) && is_owned(&second));
    weir_biased_take(&first);
    weir_biased_take(&second);
    assert_int_equal(state_of(&second), WEIR_BIASED_HELD);
    assert_false(end(begin(try_it, &second)));
    assert_false(end(begin(try_it, &first)));
    weir_biased_release(&first);
    weir_biased_release(&second);
    assert_true(end(begin(try_it, &second)));
    assert_true(end(begin(try_it, &first)));
}

/* ---- the owner meets somebody who has not decided yet ---- */

struct meeting {
    struct weir_biased lock;
    bool releases; /* that is when they meet; or when it takes the lock */
    bool had;
};

/* What a try does that is overtaken between its two looks at the word. */
static bool take_overtaken(struct weir_biased *lock)
{
    struct weir_resident *owner =
        &weir_residents[atomic_load(&lock->word) >> WEIR_BIASED_INDEX];

    atomic_store(&owner->inside, lock);
    return weir_biased_await_decision(lock, owner);
}

static void *meet(void *opaque)
{
    struct meeting *meeting = opaque;
    struct weir_biased *lock = &meeting->lock;

    earn(lock);
    if (meeting->releases)
        weir_biased_take(lock);
    /* as revoke() does, by the same thread for the sake of order */
    atomic_store(&lock->word, (atomic_load(&lock->word) & ~UINT32_C(0xff)) |
                                  WEIR_BIASED_REVOKING);
    meeting->had = meeting->releases || take_overtaken(lock);
    if (meeting->had)
        weir_biased_release(lock);
    return NULL;
}

/* Wait until the owner stands aside, as late as it can; then decide. */
static void decide(struct meeting *meeting, bool handed)
{
    struct weir_resident *owner;
    _Atomic uint32_t never = 0;

    await_state(&meeting->lock, WEIR_BIASED_REVOKING);
    (void)weir_park(&never, 0, weir_deadline_in(2));
    owner =
        &weir_residents[atomic_load(&meeting->lock.word) >> WEIR_BIASED_INDEX];
    if (handed)
        atomic_store(&meeting->lock.handed_to, owner);
    atomic_store(&meeting->lock.word, WEIR_BIASED_HELD);
}

static void check_meeting(bool releases, bool handed, uint32_t after)
{
    struct meeting meeting = {.releases = releases};
    pthread_t owner = begin(meet, &meeting);

    decide(&meeting, handed);
    (void)end(owner);
    assert_int_equal(meeting.had, releases || handed);
    assert_int_equal(state_of(&meeting.lock), after);
    assert_null(atomic_load(&meeting.lock.handed_to));
    if (after == WEIR_BIASED_HELD)
        weir_biased_release(&meeting.lock);
    assert_true(weir_biased_try(&meeting.lock));
    weir_biased_release(&meeting.lock);
}

static void test_undecided(void **state)
{
    (void)state;
    check_meeting(true, true, WEIR_BIASED_FREE);
    check_meeting(true, false, WEIR_BIASED_HELD);
    check_meeting(false, true, WEIR_BIASED_FREE);
    check_meeting(false, false, WEIR_BIASED_HELD);
}

/* Who comes third neither has the lock nor disturbs those two. */
static void test_third(void **state)
{
    struct weir_biased lock;
    uint32_t undecided;
    pthread_t third;

    (void)state;
    weir_biased_init(&lock);
    earn(&lock);
    undecided =
        (atomic_load(&lock.word) & ~UINT32_C(0xff)) | WEIR_BIASED_REVOKING;
    atomic_store(&lock.word, undecided);
    assert_false(end(begin(try_it, &lock)));
    third = begin(take_it, &lock);
    assert_int_equal(atomic_load(&lock.word), undecided);
    atomic_store(&lock.word, WEIR_BIASED_HELD);
    weir_biased_release(&lock);
    assert_true(end(third));
}

/* Who wakes up is one who waits for the lock, not the owner, who only waits for
 * what is decided. */
static void test_owner_takes_no_wake_up(void **state)
{
    struct meeting meeting = {.releases = true};
    pthread_t owner = begin(meet, &meeting), third;

    (void)state;
    decide(&meeting, false);
    third = begin(take_it, &meeting.lock);
    await_state(&meeting.lock, WEIR_BIASED_CONTENDED);
    weir_biased_release(&meeting.lock);
    assert_true(end(third));
    (void)end(owner);
}

/* ---- more threads than can own ---- */

struct crowd {
    _Atomic uint32_t arrived, leave;
    _Atomic uint32_t owners;
};

static void *own_and_stay(void *opaque)
{
    struct crowd *crowd = opaque;
    struct weir_biased lock;

    weir_biased_init(&lock);
    earn(&lock);
    atomic_fetch_add(&crowd->owners, is_owned(&lock));
    weir_biased_take(&lock);
    weir_biased_release(&lock);
    atomic_fetch_add(&crowd->arrived, 1);
    weir_unpark(&crowd->arrived, 1);
    while (atomic_load(&crowd->leave) == 0)
        (void)weir_park(&crowd->leave, 0, WEIR_NEVER);
    return NULL;
}

/* Those who come too late do without. */
static void test_crowd(void **state)
{
    static pthread_t threads[CROWD];
    struct crowd crowd = {.arrived = 0};
    pthread_attr_t small;
    uint32_t n = 0, seen;

    (void)state;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, SMALL_STACK), 0);
    while (n < CROWD &&
           pthread_create(&threads[n], &small, own_and_stay, &crowd) == 0)
        n++;
    while ((seen = atomic_load(&crowd.arrived)) < n)
        (void)weir_park(&crowd.arrived, seen, WEIR_NEVER);
    atomic_store(&crowd.leave, 1);
    weir_unpark(&crowd.leave, INT32_MAX);
    while (n > 0)
        (void)end(threads[--n]);
    pthread_attr_destroy(&small);
    assert_true(atomic_load(&crowd.owners) < CROWD);
}

int main(void)
{
    const struct CMUnitTest always[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_excludes),
        cmocka_unit_test(test_no_cheap_fence),
    };
    const struct CMUnitTest owned[] = {
        cmocka_unit_test(test_owner_outside),
        cmocka_unit_test(test_owner_inside),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_given_up_too_late),
        cmocka_unit_test(test_owner_is_waited_for),
        cmocka_unit_test(test_two_locks),
        cmocka_unit_test(test_duel),
        cmocka_unit_test(test_undecided),
        cmocka_unit_test(test_third),
        cmocka_unit_test(test_owner_takes_no_wake_up),
        cmocka_unit_test(test_crowd),
    };
    int failed;

    alarm(TOO_LONG); /* a lock that is lost is waited for for good */
    weir_fence_init();
    failed = cmocka_run_group_tests(always, NULL, NULL);
    if (weir_fence_is_asymmetric())
        failed += cmocka_run_group_tests(owned, NULL, NULL);
    return failed;
}
