/* test_conformance.c - every transport in the tree passes the suite. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <check/check.h>

#include "tests/net/alone.h"

struct tally {
    int cases, skipped;
    bool silent;
};

static void report(void *arg, const char *name, enum weir_check_result result,
                   const char *detail)
{
    struct tally *tally = arg;

    tally->cases++;
    tally->skipped += result == WEIR_CHECK_SKIPPED;
    if (result == WEIR_CHECK_FAILED && !tally->silent)
        print_error("%s: %s\n", name, detail);
}

static void expect_good(const char *scheme, int skipped)
{
    struct tally tally = {0, 0, false};
    struct weir_check_transport check;

    assert_int_equal(weir_check_transport_defaults(&check, scheme), 0);
    check.report = report;
    check.arg = &tally;
    assert_int_equal(weir_check_transport(&check), 0);
    assert_true(tally.cases > 15);
    assert_int_equal(tally.skipped, skipped);
}

/* It has no wildcard. */
static void test_inproc(void **state)
{
    (void)state;
    expect_good("inproc", 1);
}

static void test_ipc(void **state)
{
    (void)state;
    expect_good("ipc", 0);
}

static void test_tcp(void **state)
{
    (void)state;
    expect_good("tcp", 0);
}

#ifdef WITH_PGM

static void group(const char *scheme, const char *url)
{
    struct tally tally = {0, 0, false};
    struct weir_check_transport check;

    assert_true(weir_check_transport_defaults(&check, scheme) < 0);
    assert_int_equal(check.group, 1);
    check.bind_url = url;
    check.report = report;
    check.arg = &tally;
    assert_int_equal(weir_check_transport(&check), 0);
    assert_true(tally.cases > 10);
    assert_int_equal(tally.skipped, 0);
}

static void test_pgm(void **state)
{
    (void)state;
    if (!alone())
        skip();
    group("epgm", "epgm://" ALONE_GROUP);
    group("pgm", "pgm://" ALONE_GROUP);
}

#endif

/* A suite that cannot fail tells nothing. */
static void test_fails_without_a_transport(void **state)
{
    struct tally tally = {0, 0, true};
    struct weir_check_transport check;

    (void)state;
    assert_true(weir_check_transport_defaults(&check, "nosuch") < 0);
    check.bind_url = "nosuch://name-%p-%n";
    check.patience = 100;
    check.report = report;
    check.arg = &tally;
    assert_true(weir_check_transport(&check) > 15);
    check.group = 1;
    assert_true(weir_check_transport(&check) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inproc),
        cmocka_unit_test(test_ipc),
        cmocka_unit_test(test_tcp),
#ifdef WITH_PGM
        cmocka_unit_test(test_pgm),
#endif
        cmocka_unit_test(test_fails_without_a_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
