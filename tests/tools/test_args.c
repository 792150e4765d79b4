/* test_args.c - arguments of a subcommand: taken, refused, explained. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/args.h"

struct settings {
    bool loud;
    const char *name;
    uint64_t count;
    double timeout;
    struct weir_args_list topics, urls;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"loud", NULL, "be loud", WEIR_ARGS_FLAG, AT(loud)},
    {"name", "TEXT", "a name\nor two", WEIR_ARGS_TEXT, AT(name)},
    {"count", "N", "how many", WEIR_ARGS_COUNT, AT(count)},
    {"timeout", "S", "how long", WEIR_ARGS_SECONDS, AT(timeout)},
    {"topic", "P", "topics", WEIR_ARGS_ONE, AT(topics)},
    {"url", "URL", "URLs", WEIR_ARGS_MANY, AT(urls)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "test",
    .usage = "[--loud]",
    .about = "Does nothing.\n",
    .options = options,
};

struct outcome {
    int code;
    struct settings settings;
    struct weir_args_list rest;
    char error[256];
};

static struct outcome read_words(const char *const *words)
{
    struct outcome outcome = {0};
    struct weir_text error = {0};
    int argc = 0;

    while (words[argc])
        argc++;
    outcome.code = weir_args_read(&args, &outcome.settings, &outcome.rest, argc,
                                  words, &error);
    strncpy(outcome.error, weir_text_string(&error), sizeof outcome.error - 1);
    weir_text_fini(&error);
    return outcome;
}
#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL})

static void test_all_kinds(void **state)
{
    struct outcome o =
        READ("--loud", "--name", "-", "a", "--count=3", "--timeout", ".25",
             "--topic", "", "--topic", "b", "--url", "x", "y", "--url=z");

    (void)state;
    assert_int_equal(o.code, WEIR_ARGS_GOOD);
    assert_true(o.settings.loud);
    assert_string_equal(o.settings.name, "-");
    assert_int_equal(o.settings.count, 3);
    assert_true(o.settings.timeout > 0.249 && o.settings.timeout < 0.251);
    assert_int_equal(o.settings.topics.count, 2);
    assert_string_equal(o.settings.topics.items[0], "");
    assert_string_equal(o.settings.topics.items[1], "b");
    assert_int_equal(o.settings.urls.count, 3);
    assert_string_equal(o.settings.urls.items[1], "y");
    assert_string_equal(o.settings.urls.items[2], "z");
    assert_int_equal(o.rest.count, 1);
    assert_string_equal(o.rest.items[0], "a");
}

static void test_values_that_look_like_options(void **state)
{
    struct outcome o = READ("--name", "--loud", "--", "--count", "-x");

    (void)state;
    assert_int_equal(o.code, WEIR_ARGS_GOOD);
    assert_false(o.settings.loud);
    assert_string_equal(o.settings.name, "--loud");
    assert_int_equal(o.rest.count, 2);
    assert_string_equal(o.rest.items[0], "--count");
}

static void test_numbers_set_anew(void **state)
{
    struct outcome o =
        READ("--count", "1", "--timeout=1", "--count=2", "--timeout", "2");

    (void)state;
    assert_int_equal(o.code, WEIR_ARGS_GOOD);
    assert_int_equal(o.settings.count, 2);
    assert_true(o.settings.timeout > 1.9);
}

static void expect_bad(struct outcome o, const char *token)
{
    assert_int_equal(o.code, WEIR_ARGS_BAD);
    if (!strstr(o.error, token))
        fail_msg("'%s' is not in: %s", token, o.error);
}

static void test_refused(void **state)
{
    (void)state;
    expect_bad(READ("--nome", "x"), "--nome");
    expect_bad(READ("--nam=x"), "--nam:");
    expect_bad(READ("-l"), "-l");
    expect_bad(READ("--loud=1"), "no value");
    expect_bad(READ("--name"), "--name needs");
    expect_bad(READ("--name", "x", "--name=x"),
               "--name: it can be given only once");
    expect_bad(READ("--count", "0"), "--count 0");
    expect_bad(READ("--count", "3x"), "3x");
    expect_bad(READ("--count", "-3"), "-3");
    expect_bad(READ("--count", "99999999999999999999"), "9999");
    expect_bad(READ("--count", "18446744073709551615K"), "K");
    expect_bad(READ("--timeout", "-1"), "-1");
    expect_bad(READ("--timeout", "1s"), "1s");
    expect_bad(READ("--timeout", "nan"), "nan");
    expect_bad(READ("--timeout", ""), "--timeout");
    expect_bad(READ("--timeout", "1e300"), "1e300");
}

static void test_too_many(void **state)
{
    const char *words[2 * WEIR_ARGS_MOST + 3] = {NULL};

    (void)state;
    words[0] = "--url";
    for (int i = 1; i <= WEIR_ARGS_MOST; i++)
        words[i] = "x";
    assert_int_equal(read_words(words).code, WEIR_ARGS_GOOD);
    words[WEIR_ARGS_MOST + 1] = "x";
    expect_bad(read_words(words), "more than 64 url");
    for (int i = 0; i <= 2 * WEIR_ARGS_MOST; i += 2) {
        words[i] = "--topic";
        words[i + 1] = "x";
    }
    expect_bad(read_words(words), "more than 64 topic");
}

static void test_help(void **state)
{
    struct weir_text text = {0};

    (void)state;
    assert_int_equal(READ("--loud", "--help", "--nome").code, WEIR_ARGS_HELP);
    assert_int_equal(READ("-h").code, WEIR_ARGS_HELP);
    weir_args_help(&args, &text);
    assert_non_null(strstr(text.data, "usage: weir test [--loud]\n"));
    assert_non_null(strstr(text.data, "  --count N "));
    assert_non_null(strstr(text.data, "  --url URL... "));
    assert_non_null(strstr(text.data, "a name\n                        or"));
    weir_text_fini(&text);
}

static void test_number(void **state)
{
    uint64_t number = 0;

    (void)state;
    assert_true(weir_args_number("0", 0, &number));
    assert_int_equal(number, 0);
    assert_true(weir_args_number("64K", 0, &number));
    assert_int_equal(number, 65536);
    assert_true(weir_args_number("1M", 1, &number));
    assert_int_equal(number, 1048576);
    assert_false(weir_args_number("", 0, &number));
    assert_false(weir_args_number("1KB", 0, &number));
    assert_false(weir_args_number(" 1", 0, &number));
    assert_false(weir_args_number("1", 2, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_values_that_look_like_options),
        cmocka_unit_test(test_numbers_set_anew),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
