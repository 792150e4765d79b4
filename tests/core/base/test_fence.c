/*
 * test_fence.c - of two threads that store and then look, one sees the other.
 * It fails on any machine that delays stores when weir_fence_heavy() is empty.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fence.h"
#include "base/park.h"

#define ROUNDS    20000
#define MOST_TIME 2000 /* ms: on a busy machine fewer rounds must do */

struct round {
    _Atomic uint32_t light_stored;
    char apart1[60];
    _Atomic uint32_t heavy_stored;
    char apart2[60];
    _Atomic uint32_t go;   /* the round that the light side may run */
    _Atomic uint32_t done; /* the last round it has run */
    uint32_t light_saw;    /* ordered by done */
};

static uint32_t wait_for_go(struct round *round, uint32_t last)
{
    uint32_t now;

    for (int spins = 0; (now = atomic_load(&round->go)) == last; spins++)
        if (spins < 2000)
            weir_cpu_relax();
        else
            (void)weir_park(&round->go, last, WEIR_NEVER);
    return now;
}

static void *run_light(void *opaque)
{
    struct round *round = opaque;
    uint32_t last = 0;

    while ((last = wait_for_go(round, last)) != UINT32_MAX) {
        atomic_store_explicit(&round->light_stored, last, memory_order_relaxed);
        weir_fence_light();
        round->light_saw =
            atomic_load_explicit(&round->heavy_stored, memory_order_relaxed);
        atomic_store(&round->done, last);
    }
    return NULL;
}

static void tell(struct round *round, uint32_t go)
{
    atomic_store(&round->go, go);
    weir_unpark(&round->go, 1);
}

/* Whether at least one side saw the other in round `number`. */
static int run_heavy(struct round *round, uint32_t number)
{
    uint32_t heavy_saw;

    tell(round, number);
    for (uint32_t i = 0; i < number % 64; i++)
        weir_cpu_relax();
    atomic_store_explicit(&round->heavy_stored, number, memory_order_relaxed);
    weir_fence_heavy();
    heavy_saw =
        atomic_load_explicit(&round->light_stored, memory_order_relaxed);
    while (atomic_load(&round->done) != number)
        weir_cpu_relax();
    return heavy_saw == number || round->light_saw == number;
}

static void test_one_sees_the_other(void **state)
{
    static struct round round;
    int64_t deadline = weir_deadline_in(MOST_TIME);
    uint32_t missed = 0;
    pthread_t thread;

    (void)state;
    weir_fence_init();
    weir_fence_init();
    assert_int_equal(pthread_create(&thread, NULL, run_light, &round), 0);
    for (uint32_t i = 1; i <= ROUNDS && weir_now() < deadline; i++)
        if (!run_heavy(&round, i))
            missed++;
    tell(&round, UINT32_MAX);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_sees_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
