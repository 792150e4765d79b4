/* test_clock.c - deadlines and what is left of them. */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_now_moves_on(void **state)
{
    int64_t before = weir_now();
    int64_t after;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        after = weir_now();
        assert_true(after >= before);
        before = after;
        weir_cpu_relax();
    }
}

static void test_deadline_in(void **state)
{
    int64_t before = weir_now();
    int64_t deadline = weir_deadline_in(INT_MAX);

    (void)state;
    assert_true(weir_deadline_in(-1) == WEIR_NEVER);
    assert_true(weir_deadline_in(0) == 0);
    assert_true(deadline >= before + (int64_t)INT_MAX * 1000000);
    assert_true(deadline <= weir_now() + (int64_t)INT_MAX * 1000000);
}

static void test_deadline_left(void **state)
{
    (void)state;
    assert_int_equal(weir_deadline_left(WEIR_NEVER), -1);
    assert_int_equal(weir_deadline_left(0), 0);
    assert_int_equal(weir_deadline_left(INT64_MIN), 0);
    assert_int_equal(weir_deadline_left(weir_now()), 0);
    assert_int_equal(weir_deadline_left(WEIR_NEVER - 1), INT_MAX);
    assert_in_range(weir_deadline_left(weir_deadline_in(60000)), 1, 60000);
}

/* Rounded up, so that a poll() with the result does not return too early. */
static void test_deadline_left_rounds_up(void **state)
{
    int64_t deadline = weir_now() + 60000000001;
    int64_t left = weir_deadline_left(deadline);

    (void)state;
    assert_true(left * 1000000 >= deadline - weir_now());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_now_moves_on),
        cmocka_unit_test(test_deadline_in),
        cmocka_unit_test(test_deadline_left),
        cmocka_unit_test(test_deadline_left_rounds_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
