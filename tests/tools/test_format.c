/* test_format.c - messages in the four formats, out and in. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/format.h"

static void fill(weir_message *message)
{
    weir_message_init(message);
    assert_int_equal(weir_message_add(message, "a\xc3\xa4\n", 4), 0);
    assert_int_equal(weir_message_add(message, "", 0), 0);
    assert_int_equal(weir_message_add(message, "\0\xff", 2), 0);
}

static void expect_written(enum weir_format format, const char *want,
                           size_t size)
{
    struct weir_text text = {0};
    weir_message message;

    fill(&message);
    weir_format_write(format, &message, &text);
    assert_int_equal(text.size, size);
    assert_memory_equal(text.data, want, size);
    weir_text_fini(&text);
    weir_message_fini(&message);
}
#define EXPECT_WRITTEN(format, want) \
    expect_written(format, want, sizeof(want) - 1)

static void test_write(void **state)
{
    (void)state;
    EXPECT_WRITTEN(WEIR_FORMAT_RAW, "a\xc3\xa4\n\0\xff");
    EXPECT_WRITTEN(WEIR_FORMAT_TEXT, "a\xc3\xa4\\x0a\t\t\\x00\\xff\n");
    EXPECT_WRITTEN(WEIR_FORMAT_HEX, "61c3a40a - 00ff\n");
    EXPECT_WRITTEN(WEIR_FORMAT_JSON, "{\"frames\": [\"a\xc3\xa4\\n\", \"\", "
                                     "{\"base64\": \"AP8=\"}]}\n");
}

/* What was read, as hexadecimal digits. */
static void expect_read(enum weir_format format, const char *line,
                        const char *want)
{
    struct weir_text text = {0}, error = {0};
    weir_message message;

    weir_message_init(&message);
    if (weir_format_read(format, line, strlen(line), 1, &message, &error) != 0)
        fail_msg("%s: %s", line, weir_text_string(&error));
    if (weir_message_count(&message))
        weir_format_write(WEIR_FORMAT_HEX, &message, &text);
    assert_string_equal(weir_text_string(&text), want);
    weir_text_fini(&text);
    weir_text_fini(&error);
    weir_message_fini(&message);
}

static void test_read(void **state)
{
    (void)state;
    expect_read(WEIR_FORMAT_RAW, "a\nb", "610a62\n");
    expect_read(WEIR_FORMAT_TEXT, "a\tb", "610962\n");
    expect_read(WEIR_FORMAT_TEXT, "", "-\n");
    expect_read(WEIR_FORMAT_HEX, "", "");
    expect_read(WEIR_FORMAT_HEX, " \t", "");
    expect_read(WEIR_FORMAT_HEX, "-", "-\n");
    expect_read(WEIR_FORMAT_HEX, " 00FF  - 41\t42 ", "00ff - 41 42\n");
    expect_read(WEIR_FORMAT_JSON, "", "");
    expect_read(WEIR_FORMAT_JSON, " ", "");
    expect_read(WEIR_FORMAT_JSON,
                "{\"frames\": [\"\", {\"base64\": \"AP8=\"}]}", "- 00ff\n");
}

static void expect_error(enum weir_format format, const char *line,
                         const char *place)
{
    struct weir_text error = {0};
    weir_message message;

    weir_message_init(&message);
    assert_int_equal(
        weir_format_read(format, line, strlen(line), 7, &message, &error), -1);
    if (!strstr(weir_text_string(&error), place))
        fail_msg("%s: %s", line, weir_text_string(&error));
    weir_text_fini(&error);
    weir_message_fini(&message);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error(WEIR_FORMAT_HEX, "0", "line 7, column 2:");
    expect_error(WEIR_FORMAT_HEX, "00 x0", "line 7, column 4:");
    expect_error(WEIR_FORMAT_HEX, "00 0x", "line 7, column 5:");
    expect_error(WEIR_FORMAT_HEX, "00 000", "line 7, column 7:");
    expect_error(WEIR_FORMAT_HEX, "-00", "line 7, column 2:");
    expect_error(WEIR_FORMAT_HEX, "00--", "line 7, column 3:");
    expect_error(WEIR_FORMAT_JSON, "{}", "line 7, column 2:");
    expect_error(WEIR_FORMAT_JSON, "{\"frames\":\n[1]}", "line 8, column 2:");
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(weir_format_find("raw"), WEIR_FORMAT_RAW);
    assert_int_equal(weir_format_find("json"), WEIR_FORMAT_JSON);
    assert_int_equal(weir_format_find("JSON"), -1);
    assert_int_equal(weir_format_find(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
