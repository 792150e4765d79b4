/* test_table.c - patterns by type and by name. */
#include "config.h"

#include "fixture.h"

#include <string.h>

static void test_types(void **state)
{
    (void)state;
    for (int type = WEIR_PAIR; type <= WEIR_XSUB; type++) {
        const struct weir_pattern_ops *ops =
            weir_pattern_by_type((enum weir_type)type);

        assert_non_null(ops);
        assert_int_equal(ops->type, type);
        assert_ptr_equal(weir_pattern_by_name(ops->name), ops);
    }
    assert_null(weir_pattern_by_type((enum weir_type)11));
}

static void test_names(void **state)
{
    (void)state;
    assert_ptr_equal(weir_pattern_by_name("XREQ"), &weir_pattern_dealer);
    assert_ptr_equal(weir_pattern_by_name("XREP"), &weir_pattern_router);
    assert_null(weir_pattern_by_name("push"));
    assert_null(weir_pattern_by_name("PUS"));
    assert_null(weir_pattern_by_name(""));
}

/* What the core calls without asking must be there. */
static void test_slots(void **state)
{
    (void)state;
    for (int type = WEIR_PAIR; type <= WEIR_XSUB; type++) {
        const struct weir_pattern_ops *ops =
            weir_pattern_by_type((enum weir_type)type);

        assert_non_null(ops->attach);
        assert_non_null(ops->detach);
        assert_non_null(ops->readable);
        assert_int_equal(ops->abilities & WEIR_PATTERN_SENDS,
                         ops->send ? WEIR_PATTERN_SENDS : 0);
        assert_int_equal(ops->abilities & WEIR_PATTERN_RECEIVES,
                         ops->recv ? WEIR_PATTERN_RECEIVES : 0);
        assert_int_equal(ops->send != NULL, ops->can_send != NULL);
        assert_int_equal(ops->recv != NULL, ops->can_recv != NULL);
        assert_int_not_equal(ops->policy, WEIR_POLICY_PATTERN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
