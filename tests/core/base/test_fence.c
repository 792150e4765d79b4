/*
 * test_fence.c - of two threads that store and then look, one sees the other.
 * With an empty weir_fence_heavy() a processor that delays stores makes it
 * fail within some hundred rounds.
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fence.h"

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

/* Wait until *word is no longer `old`; what it is then. */
static uint32_t wait_for_change(_Atomic uint32_t *word, uint32_t old)
{
    uint32_t now;

    for (int spins = 1; (now = atomic_load(word)) == old; spins++)
        if (spins % 4096 == 0)
            sched_yield();
        else
            weir_cpu_relax();
    return now;
}

/* A store whose line the other processor has too takes longest to be seen,
 * and a look at a line that is here already is quickest: so fetch it. */
static void fetch(_Atomic uint32_t *word)
{
    (void)atomic_load_explicit(word, memory_order_relaxed);
}

static void linger(uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++)
        atomic_signal_fence(memory_order_seq_cst);
}

static void *run_light(void *opaque)
{
    struct round *round = opaque;
    uint32_t last = 0;

    for (;;) {
        fetch(&round->heavy_stored);
        last = wait_for_change(&round->go, last);
        if (last == UINT32_MAX)
            return NULL;
        linger(last % 32);
        atomic_store_explicit(&round->light_stored, last, memory_order_relaxed);
        weir_fence_light();
        round->light_saw =
            atomic_load_explicit(&round->heavy_stored, memory_order_relaxed);
        atomic_store(&round->done, last);
    }
}

/* Whether at least one side saw the other in round `number`. */
static int run_heavy(struct round *round, uint32_t number)
{
    uint32_t heavy_saw;

    fetch(&round->light_stored);
    atomic_store(&round->go, number);
    linger(number % 512);
    atomic_store_explicit(&round->heavy_stored, number, memory_order_relaxed);
    weir_fence_heavy();
    heavy_saw =
        atomic_load_explicit(&round->light_stored, memory_order_relaxed);
    (void)wait_for_change(&round->done, number - 1);
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
    atomic_store(&round.go, UINT32_MAX);
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
