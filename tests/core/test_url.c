#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "url.h"

static struct weir_url url;

static bool known(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "a") == 0 || strcmp(name, "send-mark") == 0;
}

static int split(const char *text)
{
    memset(&url, 'z', sizeof url);
    assert_int_equal(weir_url_init(&url, text), 0);
    return weir_url_split(&url, known, NULL);
}

static void assert_option(size_t i, const char *name, const char *value,
                          size_t size)
{
    assert_true(i < url.n_options);
    assert_string_equal(url.options[i].name, name);
    assert_int_equal(url.options[i].size, size);
    assert_memory_equal(url.options[i].value, value, size + 1);
}

static void test_parts(void **state)
{
    (void)state;
    assert_int_equal(split("tcp://127.0.0.1:5555"), 0);
    assert_string_equal(url.scheme, "tcp");
    assert_string_equal(url.address, "127.0.0.1:5555");
    assert_int_equal(url.n_options, 0);

    assert_int_equal(split("ws+unix://"), 0);
    assert_string_equal(url.scheme, "ws+unix");
    assert_string_equal(url.address, "");

    assert_int_equal(split("ipc:///a://b?c"), 0);
    assert_string_equal(url.scheme, "ipc");
    assert_string_equal(url.address, "/a://b?c");
}

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(split("tcp://h:1?a=1&send-mark=10k&a="), 0);
    assert_string_equal(url.address, "h:1");
    assert_int_equal(url.n_options, 3);
    assert_option(0, "a", "1", 1);
    assert_option(1, "send-mark", "10k", 3);
    assert_option(2, "a", "", 0);
}

static void test_last_question_mark(void **state)
{
    (void)state;
    assert_int_equal(split("ipc:///tmp/x?y?a=1=2"), 0);
    assert_string_equal(url.address, "/tmp/x?y");
    assert_option(0, "a", "1=2", 3);
}

/* One unknown name, and the address keeps all of it. */
static void test_unknown_is_address(void **state)
{
    static const char *const whole[] = {"x?b=1",   "x?a=1&b=2", "x?",
                                        "x?a=1&",  "x?&a=1",    "x?=1",
                                        "x?a=1?b", "x?a=1&&",   "x?A=1",
                                        "x?%61=1", "x?a =",     "x?b",
                                        "?",       "x?a=1?a/"};
    char text[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        snprintf(text, sizeof text, "t://%s", whole[i]);
        assert_int_equal(split(text), 0);
        assert_string_equal(url.address, whole[i]);
        assert_int_equal(url.n_options, 0);
        assert_true(!strchr(text, '?') == !url.unknown);
    }
}

static void test_decoding(void **state)
{
    (void)state;
    assert_int_equal(split("t://%41?a=%41%2f%2F+%00%26z"), 0);
    assert_string_equal(url.address, "%41");
    assert_option(0, "a", "A//+\0&z", 7);
}

static void test_bad_options(void **state)
{
    static const char *const bad[][2] = {
        {"t://x?a", "\"a\""},         {"t://x?a=1&send-mark", "\"send-mark\""},
        {"t://x?a=%", "\"%\""},       {"t://x?a=%4", "\"%4\""},
        {"t://x?a=%4g", "\"%4g\""},   {"t://x?a=%g4&a=1", "\"%g4\""},
        {"t://x?a=12%&a=1", "\"%\""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(split(bad[i][0]), -EINVAL);
        if (!strstr(weir_error_text(), bad[i][1]))
            fail_msg("%s: %s", bad[i][0], weir_error_text());
    }
}

static void test_too_many_options(void **state)
{
    char text[WEIR_URL_MAX] = "t://x?a=0";
    int i;

    (void)state;
    for (i = 1; i < WEIR_URL_ROOM; i++)
        strcat(text, "&a=1");
    assert_int_equal(split(text), 0);
    assert_int_equal(url.n_options, WEIR_URL_ROOM);
    strcat(text, "&a=1");
    assert_int_equal(split(text), -EINVAL);
}

static void test_bad_urls(void **state)
{
    static const char *const bad[][2] = {
        {"", "://"},
        {"tcp", "\"tcp\""},
        {"tcp:/x", "\"tcp:/x\""},
        {"://x", "no scheme"},
        {"TCP://x", "\"TCP\""},
        {"1tcp://x", "\"1tcp\""},
        {"t/p://x", "\"t/p\""},
        {"t p://x", "\"t p\""},
        {"../../x://x", "\"../../x\""},
        {"t_p://x", "\"t_p\""},
        {"abcdefghijklmnopqrstuvwxyzabcdef://x", "31"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_url_init(&url, bad[i][0]), -EINVAL);
        if (!strstr(weir_error_text(), bad[i][1]))
            fail_msg("%s: %s", bad[i][0], weir_error_text());
    }
    assert_int_equal(weir_url_init(&url, NULL), -EINVAL);
    assert_int_equal(weir_url_init(&url, "abcdefghijklmnopqrstuvwxyzabcde://x"),
                     0);
}

static void test_length(void **state)
{
    char text[WEIR_URL_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "tcp://", 6);
    text[WEIR_URL_MAX] = '\0';
    assert_int_equal(weir_url_init(&url, text), 0);
    assert_int_equal(strlen(url.address), WEIR_URL_MAX - 6);
    text[WEIR_URL_MAX] = 'x';
    text[WEIR_URL_MAX + 1] = '\0';
    assert_int_equal(weir_url_init(&url, text), -EINVAL);
    assert_non_null(strstr(weir_error_text(), "1024"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_last_question_mark),
        cmocka_unit_test(test_unknown_is_address),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_too_many_options),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
