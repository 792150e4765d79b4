/* test_outsider.c - who is of a user namespace, by its map. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/outsider.h"

static void test_all_users(void **state)
{
    const char *map = "         0          0 4294967295\n";

    (void)state;
    assert_false(weir_outsider_by(map, 65534, 0));
    assert_false(weir_outsider_by(map, 65534, 65534));
    assert_false(weir_outsider_by(map, 65534, 1000));
}

static void test_one_user(void **state)
{
    const char *map = "      1000       1000          1\n";

    (void)state;
    assert_true(weir_outsider_by(map, 65534, 65534));
    assert_false(weir_outsider_by(map, 65534, 1000));
    assert_false(weir_outsider_by(map, 65534, 0));
}

static void test_several_lines(void **state)
{
    (void)state;
    assert_true(weir_outsider_by("0 1000 1\n1 100000 65533\n", 65534, 65534));
    assert_false(weir_outsider_by("0 1000 1\n1 100000 65534\n", 65534, 65534));
    assert_false(weir_outsider_by("1 100000 65534\n0 1000 1", 65534, 65534));
    assert_false(weir_outsider_by("65534 7 1\n", 65534, 65534));
    assert_true(weir_outsider_by("65535 7 1\n", 65534, 65534));
    assert_true(weir_outsider_by("", 65534, 65534)); /* nobody as yet */
}

/* Whoever runs this is of its namespace, unless that has nobody. */
static void test_here(void **state)
{
    (void)state;
    if (geteuid() != 65534)
        assert_false(weir_outsider(geteuid()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_users),
        cmocka_unit_test(test_one_user),
        cmocka_unit_test(test_several_lines),
        cmocka_unit_test(test_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
