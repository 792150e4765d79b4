/* test_base64.c - RFC 4648: its examples, every length, what is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/base64.h"

/* RFC 4648, section 10. */
static const struct {
    const char *plain, *coded;
} pairs[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void test_examples(void **state)
{
    struct weir_text text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        weir_text_clear(&text);
        weir_base64_encode(&text, pairs[i].plain, strlen(pairs[i].plain));
        assert_string_equal(weir_text_string(&text), pairs[i].coded);
        weir_text_clear(&text);
        assert_int_equal(weir_base64_decode(&text, pairs[i].coded,
                                            strlen(pairs[i].coded)),
                         0);
        assert_string_equal(weir_text_string(&text), pairs[i].plain);
    }
    weir_text_fini(&text);
}

static void test_all_octets(void **state)
{
    struct weir_text coded = {0}, plain = {0};
    uint8_t octets[256];

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        octets[i] = (uint8_t)(i * 167);
    for (size_t size = 0; size <= 256; size++) {
        weir_text_clear(&coded);
        weir_text_clear(&plain);
        weir_base64_encode(&coded, octets, size);
        assert_int_equal(coded.size, (size + 2) / 3 * 4);
        assert_int_equal(weir_base64_decode(&plain, coded.data, coded.size), 0);
        assert_int_equal(plain.size, size);
        if (size)
            assert_memory_equal(plain.data, octets, size);
    }
    weir_text_fini(&coded);
    weir_text_fini(&plain);
}

static void test_refused(void **state)
{
    static const struct {
        const char *coded;
        size_t wrong;
    } bad[] = {
        {"Z", 1},        {"Zg", 2},   {"Zg=", 3},  {"Zg===", 3},
        {"Zm 9v", 3},    {"Zm9*", 4}, {"====", 1}, {"Zg==Zg==", 3},
        {"Zm9vZm9-", 8}, {"Zh==", 2}, {"Zm9=", 3}, {"Z===", 2},
    };
    struct weir_text text = {0};

    (void)state;
    weir_text_format(&text, "kept");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_base64_decode(&text, bad[i].coded,
                                            strlen(bad[i].coded)),
                         bad[i].wrong);
        assert_string_equal(weir_text_string(&text), "kept");
    }
    weir_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_all_octets),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
