/* test_condition.c - deadlines of condition variables. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/condition.h"

#define MS   INT64_C(1000000)
#define SOON (20000 * MS)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;
static bool told;

static int begin(void **state)
{
    (void)state;
    weir_condition_init(&condition);
    told = false;
    pthread_mutex_lock(&mutex);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pthread_mutex_unlock(&mutex);
    return pthread_cond_destroy(&condition);
}

static void wait_in_vain(int64_t deadline)
{
    while (weir_condition_wait(&condition, &mutex, deadline) != -ETIMEDOUT)
        ;
}

static void test_passes(void **state)
{
    int64_t deadline = weir_now() + 30 * MS;

    (void)state;
    wait_in_vain(deadline);
    assert_true(weir_now() >= deadline - MS); /* of another clock, perhaps */
    assert_true(weir_now() < deadline + SOON);
}

static void test_has_passed(void **state)
{
    (void)state;
    wait_in_vain(weir_now() - MS);
    wait_in_vain(0);
    wait_in_vain(INT64_MIN);
}

static void *tell(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    told = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void wait_to_be_told(int64_t deadline)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, tell, NULL), 0);
    while (!told)
        assert_int_equal(weir_condition_wait(&condition, &mutex, deadline), 0);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&mutex);
}

static void test_told(void **state)
{
    (void)state;
    wait_to_be_told(weir_now() + SOON);
}

static void test_told_without_deadline(void **state)
{
    (void)state;
    wait_to_be_told(WEIR_NEVER);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_passes),
        CASE(test_has_passed),
        CASE(test_told),
        CASE(test_told_without_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
