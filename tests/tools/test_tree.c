/* Any JSON text, read whole; what is none is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tools/tree.h"

static struct weir_tree tree;
static struct weir_json_error error;

static int read_text(const char *text)
{
    return weir_tree_read(&tree, text, strlen(text), &error);
}

static void test_values(void **state)
{
    const struct weir_tree_node *root, *node;

    (void)state;
    assert_int_equal(
        read_text(" {\"a\": 12, \"b\": [true, null, -1.5e3, \"\\u00e4\"],"
                  " \"c\": {}, \"max\": 18446744073709551615,"
                  " \"more\": 99999999999999999999, \"t\": \"x\"} "),
        0);
    root = weir_tree_root(&tree);
    assert_int_equal(weir_tree_number(&tree, root, "a"), 12);
    assert_true(weir_tree_number(&tree, root, "max") == UINT64_MAX);
    assert_true(weir_tree_number(&tree, root, "more") == UINT64_MAX);
    assert_string_equal(weir_tree_text(&tree, root, "t"), "x");
    node = weir_tree_first(&tree, weir_tree_member(&tree, root, "b"));
    assert_int_equal(node->kind, WEIR_TREE_FLAG);
    node = weir_tree_next(&tree, node);
    assert_int_equal(node->kind, WEIR_TREE_NULL);
    node = weir_tree_next(&tree, node);
    assert_int_equal(node->kind, WEIR_TREE_NUMBER);
    node = weir_tree_next(&tree, node);
    assert_int_equal(node->kind, WEIR_TREE_TEXT);
    assert_null(weir_tree_next(&tree, node));
    node = weir_tree_member(&tree, root, "c");
    assert_non_null(node);
    assert_null(weir_tree_first(&tree, node));
    assert_string_equal(weir_tree_name(&tree, node), "c");
}

/* What is not there, and what is of another kind. */
static void test_absent(void **state)
{
    const struct weir_tree_node *root;

    (void)state;
    assert_int_equal(read_text("{\"a\": \"x\", \"b\": 1}"), 0);
    root = weir_tree_root(&tree);
    assert_int_equal(weir_tree_number(&tree, root, "a"), 0);
    assert_int_equal(weir_tree_number(&tree, root, "z"), 0);
    assert_string_equal(weir_tree_text(&tree, root, "b"), "");
    assert_false(weir_tree_flag(&tree, root, "b"));
    assert_null(weir_tree_member(&tree, NULL, "b"));
    assert_null(weir_tree_first(&tree, NULL));
    assert_int_equal(read_text("[1]"), 0);
    assert_null(weir_tree_member(&tree, weir_tree_root(&tree), "a"));
}

static void test_refusals(void **state)
{
    static const char *const texts[] = {
        "",   "{",  "{\"a\"}", "{\"a\": }", "[1,]",  "[1 2]",     "tru", "\"a",
        "1.", "1e", "-",       "{} {}",     "{1:2}", "[\"\\x\"]", "nul", "'a'",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(read_text(texts[i]), -1);
        assert_true(error.line == 1 && error.column > 0);
        assert_null(weir_tree_root(&tree));
    }
}

static void test_depth(void **state)
{
    char text[200];

    (void)state;
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    assert_int_equal(weir_tree_read(&tree, text, 200, &error), -1);
    assert_non_null(strstr(error.rule, "levels"));
    assert_int_equal(weir_tree_read(&tree, text + 70, 60, &error), 0);
}

static int fini(void **state)
{
    (void)state;
    weir_tree_fini(&tree);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, fini);
}
