/* test_json.c - messages as JSON: both ways, and where errors point. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/json.h"

/* Frames as "size:octets;" one after the other. */
static int collect(void *arg, const void *octets, size_t size)
{
    weir_text_format(arg, "%zu:", size);
    weir_text_add(arg, octets, size);
    weir_text_add_char(arg, ';');
    return 0;
}

static void expect_frames(const char *json, const char *frames, size_t size)
{
    struct weir_json_error error = {0, 0, ""};
    struct weir_text text = {0};

    if (weir_json_read(json, strlen(json), collect, &text, &error) != 0)
        fail_msg("%s: %zu:%zu: %s", json, error.line, error.column, error.rule);
    assert_int_equal(text.size, size);
    assert_memory_equal(text.data, frames, size);
    weir_text_fini(&text);
}
#define EXPECT_FRAMES(json, frames) \
    expect_frames(json, frames, sizeof(frames) - 1)

static void test_read(void **state)
{
    (void)state;
    EXPECT_FRAMES("{\"frames\": [\"text\", {\"base64\": \"AAEC\"}]}",
                  "4:text;3:\0\1\2;");
    EXPECT_FRAMES("\t{ \"frames\"\n:[\r\"\" ] } ", "0:;");
    EXPECT_FRAMES("{\"frames\":[{\"base64\":\"\"},\"a\"]}", "0:;1:a;");
    EXPECT_FRAMES("{\"frames\":[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]}",
                  "8:\"\\/\b\f\n\r\t;");
    EXPECT_FRAMES("{\"frames\":[\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"]}",
                  "10:A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80;");
    EXPECT_FRAMES("{\"frames\":[\"\\u0000\"]}", "1:\0;");
    EXPECT_FRAMES("{\"fr\\u0061mes\":[\"\xc3\xa4\"]}", "2:\xc3\xa4;");
}

static void expect_error(const char *json, size_t line, size_t column,
                         const char *token)
{
    struct weir_json_error error = {0, 0, ""};
    struct weir_text text = {0};

    assert_int_equal(weir_json_read(json, strlen(json), collect, &text, &error),
                     -1);
    if (error.line != line || error.column != column ||
        !strstr(error.rule, token))
        fail_msg("%s: %zu:%zu: %s", json, error.line, error.column, error.rule);
    weir_text_fini(&text);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("", 1, 1, "'{'");
    expect_error("[]", 1, 1, "'{'");
    expect_error("{}", 1, 2, "'\"'");
    expect_error("{\"frame\": []}", 1, 2, "\"frames\"");
    expect_error("{\"frames\" []}", 1, 11, "':'");
    expect_error("{\"frames\": []}", 1, 13, "a frame is");
    expect_error("{\"frames\": [1]}", 1, 13, "a frame is");
    expect_error("{\"frames\": [\"a\",]}", 1, 17, "a frame is");
    expect_error("{\"frames\": [\"a\" \"b\"]}", 1, 17, "']'");
    expect_error("{\"frames\":\n [\"a\"\n, x]}", 3, 3, "a frame is");
    expect_error("{\"frames\": [\"\xc3\xa4\", x]}", 1, 18, "a frame is");
    expect_error("{\"frames\": [\"abc", 1, 13, "does not end");
    expect_error("{\"frames\": [\"abc\\", 1, 17, "does not end");
    expect_error("{\"frames\": [\"a\"]", 1, 17, "'}'");
    expect_error("{\"frames\": [\"a\"]} x", 1, 19, "more behind");
    expect_error("{\"frames\": [\"a\"], \"b\": 1}", 1, 17, "'}'");
    expect_error("{\"frames\": [{\"base46\": \"\"}]}", 1, 14, "\"base64\"");
    expect_error("{\"frames\": [{\"base64\": \"AA==\", 1}]}", 1, 30, "'}'");
    expect_error("{\"frames\": [{\"base64\": \"AA*=\"}]}", 1, 24,
                 "character 3");
}

static void test_string_errors(void **state)
{
    (void)state;
    expect_error("{\"frames\": [\"a\nb\"]}", 1, 15, "\\u000a");
    expect_error("{\"frames\": [\"a\\x\"]}", 1, 15, "escape");
    expect_error("{\"frames\": [\"\\u00g0\"]}", 1, 18, "hexadecimal");
    expect_error("{\"frames\": [\"\\ud800\"]}", 1, 14, "surrogate");
    expect_error("{\"frames\": [\"\\udc00\"]}", 1, 14, "surrogate");
    expect_error("{\"frames\": [\"\\ud800\\u0041\"]}", 1, 14, "surrogate");
    expect_error("{\"frames\": [\"\xff\"]}", 1, 14, "octet ff");
    expect_error("{\"frames\": [\"\xc0\x80\"]}", 1, 14, "octet c0");
    expect_error("{\"frames\": [\"\xed\xa0\x80\"]}", 1, 14, "octet ed");
    expect_error("{\"frames\": [\"\xf4\x90\x80\x80\"]}", 1, 14, "octet f4");
    expect_error("{\"frames\": [\"\xe2\x82\"]}", 1, 14, "octet e2");
}

static int refuse_second(void *arg, const void *octets, size_t size)
{
    int *calls = arg;

    (void)octets;
    (void)size;
    return ++*calls == 2 ? -7 : 0;
}

static void test_stops(void **state)
{
    static const char json[] = "{\"frames\": [\"a\", \"b\", \"c\"]}";
    struct weir_json_error error;
    int calls = 0;

    (void)state;
    assert_int_equal(
        weir_json_read(json, strlen(json), refuse_second, &calls, &error), -7);
    assert_int_equal(calls, 2);
}

static void expect_written(const void *octets, size_t size, const char *json)
{
    struct weir_text text = {0};

    weir_json_frame(&text, 0, octets, size);
    assert_string_equal(weir_text_string(&text), json);
    weir_text_fini(&text);
}

static void test_write(void **state)
{
    (void)state;
    expect_written("", 0, "\"\"");
    expect_written("a\"\\\n\t\x7f", 6, "\"a\\\"\\\\\\n\\t\\u007f\"");
    expect_written("\x01topic", 6, "\"\\u0001topic\"");
    expect_written("\xc3\xa4", 2, "\"\xc3\xa4\"");
    expect_written("\xe2\x80\xa8", 3, "\"\\u2028\"");
    expect_written("a\0b", 3, "{\"base64\": \"YQBi\"}");
    expect_written("\xff", 1, "{\"base64\": \"/w==\"}");
    expect_written("\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"");
}

/* Whatever the octets are, what is written reads back. */
static void test_round_trip(void **state)
{
    struct weir_text json = {0}, want = {0}, got = {0};
    struct weir_json_error error;
    uint32_t random = 1;
    char octets[5];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        weir_text_clear(&json);
        weir_text_clear(&want);
        weir_text_clear(&got);
        for (size_t j = 0; j < sizeof octets; j++) {
            random = random * 1664525 + 1013904223;
            octets[j] = (char)(random >> 24);
        }
        weir_json_start(&json);
        for (size_t j = 0; j < 2; j++) {
            weir_json_frame(&json, j, octets, (size_t)i % 6);
            collect(&want, octets, (size_t)i % 6);
        }
        weir_json_end(&json);
        assert_int_equal(
            weir_json_read(json.data, json.size, collect, &got, &error), 0);
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, want.size);
    }
    weir_text_fini(&json);
    weir_text_fini(&want);
    weir_text_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_string_errors), cmocka_unit_test(test_stops),
        cmocka_unit_test(test_write),         cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
