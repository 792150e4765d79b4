/* test_lock.c - the four-octet lock excludes, and loses no wake-up. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/lock.h"

#define THREADS 4
#define TURNS   20000

struct shared {
    struct weir_lock lock;
    uint64_t count; /* guarded by the lock */
    uint32_t tries; /* guarded by the lock */
};

static void test_states(void **state)
{
    struct weir_lock lock;

    (void)state;
    weir_lock_init(&lock);
    assert_int_equal(sizeof lock, 4);
    assert_false(weir_lock_held(&lock));
    weir_lock_take(&lock);
    assert_true(weir_lock_held(&lock));
    assert_false(weir_lock_try(&lock));
    weir_lock_release(&lock);
    assert_true(weir_lock_try(&lock));
    weir_lock_release(&lock);
    assert_false(weir_lock_held(&lock));
}

static void *count_up(void *opaque)
{
    struct shared *shared = opaque;

    for (int i = 0; i < TURNS; i++) {
        if (i % 4 == 0 && weir_lock_try(&shared->lock))
            shared->tries++;
        else
            weir_lock_take(&shared->lock);
        shared->count++;
        if (i % 64 == 0)
            for (int spin = 0; spin < 200; spin++)
                weir_cpu_relax();
        weir_lock_release(&shared->lock);
    }
    return NULL;
}

static void test_excludes(void **state)
{
    struct shared shared = {.count = 0};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &shared),
                         0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.count, THREADS * TURNS);
    assert_true(shared.tries > 0);
    assert_false(weir_lock_held(&shared.lock));
}

static void *take_and_count(void *opaque)
{
    struct shared *shared = opaque;

    weir_lock_take(&shared->lock);
    shared->count++;
    weir_lock_release(&shared->lock);
    return NULL;
}

/* Hold the lock until the others are asleep for it, so that release has to
 * wake them, one after the other. */
static void test_wakes_sleepers(void **state)
{
    struct shared shared = {.count = 0};
    pthread_t threads[THREADS];
    _Atomic uint32_t never = 0;

    (void)state;
    weir_lock_take(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, take_and_count, &shared), 0);
    while (atomic_load(&shared.lock.word) != WEIR_LOCK_CONTENDED)
        weir_cpu_relax();
    (void)weir_park(&never, 0, weir_deadline_in(10));
    assert_int_equal(shared.count, 0);
    weir_lock_release(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.count, THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_excludes),
        cmocka_unit_test(test_wakes_sleepers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
