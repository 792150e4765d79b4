/* test_sized.c - structs of callers that know less, as much, and more. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/sized.h"

struct now {
    uint32_t size, a, b;
};

struct later {
    uint32_t size, a, b, c, d;
};

static void test_check(void **state)
{
    struct now now = {.size = sizeof now};

    (void)state;
    assert_int_equal(weir_sized_check(&now, sizeof now, "thing"), 0);
    assert_int_equal(weir_sized_check(&now, sizeof now + 1, "thing"), -EINVAL);
    assert_string_equal(weir_error_text(),
                        "the thing has a size of 12, less than 13");
    assert_int_equal(weir_sized_check(NULL, 1, "thing"), -EINVAL);
    assert_string_equal(weir_error_text(), "the thing is NULL");
}

/* Nothing is written beyond what the caller has. */
static void test_earlier_caller(void **state)
{
    struct now out = {.size = 8, .a = 1, .b = 2};
    const struct now from = {.size = sizeof from, .a = 3, .b = 4};

    (void)state;
    weir_sized_give(&out, &from, sizeof from);
    assert_int_equal(out.size, 8);
    assert_int_equal(out.a, 3);
    assert_int_equal(out.b, 2);
}

static void test_caller_of_now(void **state)
{
    struct now out = {.size = sizeof out, .a = 1, .b = 2};
    const struct now from = {.size = 0, .a = 3, .b = 4};

    (void)state;
    weir_sized_give(&out, &from, sizeof from);
    assert_int_equal(out.size, sizeof out);
    assert_int_equal(out.a, 3);
    assert_int_equal(out.b, 4);
}

/* What this library does not know is zero, whatever was there. */
static void test_later_caller(void **state)
{
    struct later out;
    const struct now from = {.size = sizeof from, .a = 3, .b = 4};

    (void)state;
    memset(&out, 0xaa, sizeof out);
    out.size = sizeof out;
    weir_sized_give(&out, &from, sizeof from);
    assert_int_equal(out.size, sizeof out);
    assert_int_equal(out.a, 3);
    assert_int_equal(out.b, 4);
    assert_int_equal(out.c, 0);
    assert_int_equal(out.d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_earlier_caller),
        cmocka_unit_test(test_caller_of_now),
        cmocka_unit_test(test_later_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
