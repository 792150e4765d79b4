/* test_figures.c - medians, ratios, numbers as people read them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/figures.h"

#define NEAR(a, b) assert_true((a) > (b)-1e-9 && (a) < (b) + 1e-9)

static void test_median(void **state)
{
    static const double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, one[] = {7};
    struct weir_figures f = weir_figures_of(odd, 3);

    (void)state;
    NEAR(f.median, 3.0);
    NEAR(f.min, 1.0);
    NEAR(f.max, 5.0);
    NEAR(weir_figures_of(even, 4).median, 2.5);
    NEAR(weir_figures_of(one, 1).median, 7.0);
    NEAR(odd[0], 5.0); /* the order is kept */
}

/* The median of ratios, not the ratio of medians; a failed run has none. */
static void test_ratio(void **state)
{
    static const double own[] = {10, 40, 30, 0, 9};
    static const double other[] = {1, 8, 10, 5, 0};

    (void)state;
    NEAR(weir_figures_ratio(own, other, 3), 5.0);
    NEAR(weir_figures_ratio(own, other, 5), 5.0);
    NEAR(weir_figures_ratio(own + 3, other + 3, 2), 0.0);
}

static void expect(double value, const char *want)
{
    struct weir_text text = {0};

    weir_figures_add(&text, value);
    assert_string_equal(weir_text_string(&text), want);
    weir_text_fini(&text);
}

static void test_reading(void **state)
{
    (void)state;
    expect(0.1234, "0.123");
    expect(0.9999, "1.00");
    expect(1.234, "1.23");
    expect(12.34, "12.3");
    expect(123.4, "123");
    expect(9999.4, "9999");
    expect(12345, "12.3 k");
    expect(999499, "999 k");
    expect(999501, "1.00 M");
    expect(27123456, "27.1 M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
