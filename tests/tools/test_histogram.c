/* test_histogram.c - durations and their percentiles. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/peers/histogram.h"

static struct weir_histogram histogram;

static int clear(void **state)
{
    (void)state;
    weir_histogram_clear(&histogram);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(weir_histogram_at(&histogram, 0.5), 0);
}

/* Small values are kept as they are. */
static void test_exact(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++)
        weir_histogram_add(&histogram, value);
    assert_int_equal(weir_histogram_at(&histogram, 0), 1);
    assert_int_equal(weir_histogram_at(&histogram, 0.5), 51);
    assert_int_equal(weir_histogram_at(&histogram, 0.99), 100);
    assert_int_equal(weir_histogram_at(&histogram, 1), 100);
}

/* Large ones to less than one part in a hundred, up to the largest. */
static void test_near(void **state)
{
    (void)state;
    for (uint64_t value = 200; value < UINT64_MAX / 3; value = value * 3 + 1) {
        uint64_t got;

        weir_histogram_clear(&histogram);
        weir_histogram_add(&histogram, value);
        got = weir_histogram_at(&histogram, 0.5);
        assert_true(got >= value - value / 100 && got <= value + value / 100);
    }
    weir_histogram_add(&histogram, UINT64_MAX);
    assert_true(weir_histogram_at(&histogram, 1) > UINT64_MAX / 100 * 99);
}

/* The tail is seen however many lie before it. */
static void test_tail(void **state)
{
    (void)state;
    for (int i = 0; i < 9985; i++)
        weir_histogram_add(&histogram, 10);
    for (int i = 0; i < 15; i++)
        weir_histogram_add(&histogram, 250);
    assert_int_equal(weir_histogram_at(&histogram, 0.99), 10);
    assert_int_equal(weir_histogram_at(&histogram, 0.999), 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, clear),
        cmocka_unit_test_setup(test_exact, clear),
        cmocka_unit_test_setup(test_near, clear),
        cmocka_unit_test_setup(test_tail, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
