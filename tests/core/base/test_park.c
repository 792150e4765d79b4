/*
 * test_park.c - sleeping on a word: ends early, on time, through signals, and
 * never too late.  test_park_portable.c runs the same without futexes.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/park.h"

#define MS 1000000

static void test_differs(void **state)
{
    _Atomic uint32_t word = 5;

    (void)state;
    assert_int_equal(weir_park(&word, 4, WEIR_NEVER), 0);
    assert_int_equal(weir_park(&word, 4, 0), 0);
}

static void test_times_out(void **state)
{
    _Atomic uint32_t word = 5;
    int64_t deadline = weir_now() + 20 * MS;

    (void)state;
    assert_int_equal(weir_park(&word, 5, 0), -ETIMEDOUT);
    assert_int_equal(weir_park(&word, 5, INT64_MIN), -ETIMEDOUT);
    while (weir_park(&word, 5, deadline) == 0)
        assert_true(weir_now() < deadline + 10000 * (int64_t)MS);
    assert_true(weir_now() >= deadline);
}

struct sleeper {
    _Atomic uint32_t word;
    _Atomic uint32_t asleep;
    _Atomic uint32_t late;
};

static void *sleep_until_changed(void *opaque)
{
    struct sleeper *sleeper = opaque;
    int64_t deadline = weir_deadline_in(20000);

    atomic_fetch_add(&sleeper->asleep, 1);
    while (atomic_load(&sleeper->word) == 0)
        if (weir_park(&sleeper->word, 0, deadline) == -ETIMEDOUT)
            atomic_store(&sleeper->late, 1);
    return NULL;
}

static void test_unpark_all(void **state)
{
    struct sleeper sleeper = {0};
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_until_changed,
                                        &sleeper),
                         0);
    while (atomic_load(&sleeper.asleep) != 3)
        weir_cpu_relax();
    atomic_store(&sleeper.word, 1);
    weir_unpark(&sleeper.word, INT_MAX);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&sleeper.late), 0);
}

static void on_signal(int number)
{
    (void)number;
}

/* A storm of signals neither ends the sleep nor makes it longer. */
static void *sleep_on_time(void *opaque)
{
    struct sleeper *sleeper = opaque;
    int64_t deadline = weir_deadline_in(100);
    int64_t after;

    atomic_store(&sleeper->asleep, 1);
    while (weir_park(&sleeper->word, 0, deadline) == 0)
        continue;
    after = weir_now();
    if (after < deadline || after > deadline + 5000 * (int64_t)MS)
        atomic_store(&sleeper->late, 1);
    atomic_store(&sleeper->asleep, 2);
    return NULL;
}

static void test_signals(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sleeper sleeper = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, sleep_on_time, &sleeper), 0);
    while (atomic_load(&sleeper.asleep) != 2) {
        _Atomic uint32_t pause = 0;

        pthread_kill(thread, SIGUSR1);
        (void)weir_park(&pause, 0, weir_now() + MS);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&sleeper.late), 0);
}

#define TURNS 3000

struct ball {
    _Atomic uint32_t word;
    _Atomic uint32_t late;
};

/* Each side waits for its parity and passes the turn on. */
static void play(struct ball *ball, uint32_t parity)
{
    int64_t deadline = weir_deadline_in(30000);

    for (;;) {
        uint32_t turn = atomic_load(&ball->word);

        if (turn >= TURNS)
            return;
        if (turn % 2 == parity) {
            atomic_store(&ball->word, turn + 1);
            weir_unpark(&ball->word, 1);
        } else if (weir_park(&ball->word, turn, deadline) == -ETIMEDOUT) {
            atomic_store(&ball->late, 1);
            return;
        }
    }
}

static void *play_odd(void *ball)
{
    play(ball, 1);
    return NULL;
}

static void test_ping_pong(void **state)
{
    struct ball ball = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, play_odd, &ball), 0);
    play(&ball, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&ball.late), 0);
    assert_int_equal(atomic_load(&ball.word), TURNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differs),    cmocka_unit_test(test_times_out),
        cmocka_unit_test(test_unpark_all), cmocka_unit_test(test_signals),
        cmocka_unit_test(test_ping_pong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
