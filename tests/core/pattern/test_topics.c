/* test_topics.c - the counted set of a subscriber. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../memory.h"
#include "pattern/topics.h"

static bool matches(struct weir_topics *topics, const char *data)
{
    return weir_topics_match(topics, data, strlen(data));
}

static int add(struct weir_topics *topics, const char *topic)
{
    return weir_topics_add(topics, topic, strlen(topic));
}

static int drop(struct weir_topics *topics, const char *topic)
{
    return weir_topics_remove(topics, topic, strlen(topic));
}

static void test_counts(void **state)
{
    struct weir_topics topics;

    (void)state;
    weir_topics_init(&topics);
    assert_int_equal(drop(&topics, "a"), -ENOENT);
    assert_int_equal(add(&topics, "ab"), 1);
    assert_int_equal(add(&topics, "ab"), 2);
    assert_int_equal(add(&topics, "abc"), 1);
    assert_int_equal(weir_topics_count(&topics), 2);
    assert_int_equal(drop(&topics, "a"), -ENOENT);
    assert_int_equal(drop(&topics, "ab"), 1);
    assert_int_equal(drop(&topics, "ab"), 0);
    assert_int_equal(drop(&topics, "ab"), -ENOENT);
    assert_int_equal(weir_topics_count(&topics), 1);
    weir_topics_fini(&topics);
    assert_int_equal(weir_topics_count(&topics), 0);
}

static void test_count_overflows(void **state)
{
    struct weir_topics topics;
    struct weir_radix_node *node;

    (void)state;
    weir_topics_init(&topics);
    assert_int_equal(add(&topics, "a"), 1);
    node = weir_radix_find(&topics.radix, "a", 1);
    node->value.number = INT_MAX - 1;
    assert_int_equal(add(&topics, "a"), INT_MAX);
    assert_int_equal(add(&topics, "a"), -EOVERFLOW);
    assert_int_equal(drop(&topics, "a"), INT_MAX - 1);
    weir_topics_fini(&topics);
}

static void test_matches(void **state)
{
    struct weir_topics topics;

    (void)state;
    weir_topics_init(&topics);
    assert_false(matches(&topics, ""));
    add(&topics, "abc");
    assert_false(matches(&topics, ""));
    assert_false(matches(&topics, "ab"));
    assert_true(matches(&topics, "abc"));
    assert_true(matches(&topics, "abcd"));
    assert_false(matches(&topics, "abd"));
    add(&topics, "");
    assert_true(matches(&topics, ""));
    assert_true(matches(&topics, "x"));
    drop(&topics, "");
    assert_false(matches(&topics, "x"));
    weir_topics_add(&topics, "\0\xff", 2);
    assert_true(weir_topics_match(&topics, "\0\xff\0", 3));
    assert_false(weir_topics_match(&topics, "\0", 1));
    weir_topics_fini(&topics);
}

/* A visit in steps goes on where it was, whatever has come and gone. */
static void test_next(void **state)
{
    struct weir_topics topics;
    const uint8_t *topic = NULL;
    char last[8];
    size_t size = 0;

    (void)state;
    weir_topics_init(&topics);
    assert_false(weir_topics_next(&topics, NULL, 0, &topic, &size));
    add(&topics, "ab");
    add(&topics, "abc");
    add(&topics, "b");
    assert_true(weir_topics_next(&topics, NULL, 0, &topic, &size));
    assert_int_equal(size, 2);
    assert_true(weir_topics_next(&topics, topic, size, &topic, &size));
    assert_int_equal(size, 3);
    memcpy(last, topic, size);
    drop(&topics, "abc");
    drop(&topics, "ab");
    add(&topics, "abd");
    assert_true(weir_topics_next(&topics, last, size, &topic, &size));
    assert_int_equal(size, 3);
    assert_memory_equal(topic, "abd", 3);
    assert_true(weir_topics_next(&topics, topic, size, &topic, &size));
    assert_memory_equal(topic, "b", 1);
    assert_false(weir_topics_next(&topics, topic, size, &topic, &size));
    weir_topics_fini(&topics);
}

/* Every allocation of an addition fails in turn; it is then as if it had not
 * been tried. */
static void test_without_memory(void **state)
{
    const char *const steps[] = {"abcdef", "abc", "abd", "x", "", "abcdefgh"};
    struct weir_topics topics;
    size_t before = memory_used;

    (void)state;
    weir_topics_init(&topics);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int result, fails = -1;

        do {
            assert_int_equal(weir_topics_count(&topics), i);
            memory_fail_at = ++fails;
            result = add(&topics, steps[i]);
            memory_fail_at = -1;
            assert_true(result == 1 || result == -ENOMEM);
        } while (result < 0);
        assert_true(fails > 0 || steps[i][0] == '\0');
        assert_int_equal(add(&topics, steps[i]), 2);
    }
    memory_scarce = 1;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(drop(&topics, steps[i]), 1);
        assert_int_equal(drop(&topics, steps[i]), 0);
    }
    memory_scarce = 0;
    assert_int_equal(memory_used, before);
    weir_topics_fini(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_count_overflows),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
