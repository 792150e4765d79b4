/* test_targets.c - what weir has to reach: every case can be measured, and is
 * judged the right way round. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/bench/targets.h"
#include "tools/peers/side.h"

static const struct weir_bench_target *const list = weir_bench_target_list;

static const struct weir_side_metric *
metric_of(const struct weir_bench_target *target)
{
    const struct weir_side_test *test = weir_side_find(target->test);
    const struct weir_side_metric *metric;

    assert_non_null(test);
    for (metric = test->metrics; metric->name; metric++) {
        if (strcmp(metric->name, target->metric) == 0)
            return metric;
    }
    fail_msg("%s has no %s", target->test, target->metric);
    return NULL;
}

static void test_cases(void **state)
{
    size_t n = 0;

    (void)state;
    for (; list[n].row; n++) {
        const struct weir_side_test *test = weir_side_find(list[n].test);

        metric_of(&list[n]);
        assert_non_null(strstr(test->transports, list[n].transport));
        assert_true((test->parameter != NULL) == (list[n].n != 0));
        assert_true((test->sizes != NULL) == (list[n].size != 0));
    }
    assert_in_range(n, 1, WEIR_BENCH_TARGETS_MOST);
}

/* What is read of a run has room for each of its figures. */
static void test_metrics(void **state)
{
    (void)state;
    for (size_t i = 0; weir_side_tests[i]; i++) {
        size_t n = 0;

        while (weir_side_tests[i]->metrics[n].name)
            n++;
        assert_in_range(n, 1, WEIR_SIDE_METRICS);
    }
}

/* An aim is never easier than what is required. */
static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; list[i].row; i++) {
        bool more = metric_of(&list[i])->more_is_better;

        assert_true(list[i].at_least > 0);
        if (list[i].aim > 0)
            assert_true(
                weir_bench_reaches(more, list[i].aim, list[i].at_least));
    }
}

static void test_verdicts(void **state)
{
    (void)state;
    assert_true(weir_bench_reaches(true, 5, 5));
    assert_false(weir_bench_reaches(true, 4.9, 5));
    assert_true(weir_bench_reaches(false, 1.004, 1)); /* printed as 1.00 */
    assert_false(weir_bench_reaches(false, 1.006, 1));
    assert_true(weir_bench_reaches(false, 0.2, 0.2));
    assert_false(weir_bench_reaches(false, 0.21, 0.2));
    assert_false(weir_bench_reaches(false, 0, 0.2)); /* was not measured */
    assert_true(weir_bench_gap(true, 4, 8) == 2);
    assert_true(weir_bench_gap(true, 16, 8) == 0.5);
    assert_true(weir_bench_gap(false, 0.5, 0.25) == 2);
    assert_true(weir_bench_gap(false, 0.5, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_verdicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
