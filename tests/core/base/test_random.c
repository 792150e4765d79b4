/* test_random.c - octets that differ, numbers in range. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static void test_fill(void **state)
{
    unsigned char a[1000] = {0}, b[1000] = {0};
    unsigned seen[256] = {0};

    (void)state;
    assert_int_equal(weir_random_fill(a, sizeof a - 1), 0);
    assert_int_equal(weir_random_fill(b, sizeof b - 1), 0);
    assert_memory_not_equal(a, b, sizeof a - 1);
    assert_int_equal(a[sizeof a - 1], 0);
    for (size_t i = 0; i < sizeof a - 1; i++)
        seen[a[i]]++;
    for (size_t i = 0; i < 256; i++)
        assert_in_range(seen[i], 0, 40);
    assert_int_equal(weir_random_fill(a, 0), 0);
}

static void test_below(void **state)
{
    unsigned seen[10] = {0};

    (void)state;
    assert_true(weir_random_below(0) == 0);
    assert_true(weir_random_below(1) == 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t drawn = weir_random_below(10);

        assert_true(drawn < 10);
        seen[drawn]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(seen[i], 700, 1300);
    assert_true(weir_random_below(UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
