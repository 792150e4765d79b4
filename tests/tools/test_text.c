/* test_text.c - text that grows, UTF-8, tables. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tools/text.h"

static void test_grows(void **state)
{
    struct weir_text text = {0};

    (void)state;
    assert_string_equal(weir_text_string(&text), "");
    for (int i = 0; i < 1000; i++)
        weir_text_format(&text, "%03d,", i);
    assert_int_equal(text.size, 4000);
    assert_memory_equal(text.data + 3996, "999,", 5);
    weir_text_clear(&text);
    assert_string_equal(weir_text_string(&text), "");
    weir_text_add(&text, "a\0b", 3);
    assert_int_equal(text.size, 3);
    assert_memory_equal(text.data, "a\0b", 4);
    weir_text_fini(&text);
}

/* Every character: encoded, decoded, and no shorter part of it decodes. */
static void test_utf8(void **state)
{
    struct weir_text text = {0};
    uint32_t got = 0;

    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        weir_text_clear(&text);
        weir_text_encode(&text, c);
        if (c >= 0xd800 && c < 0xe000) {
            assert_int_equal(weir_text_decode(text.data, text.size, &got), 0);
            continue;
        }
        if (weir_text_decode(text.data, text.size, &got) != text.size ||
            got != c)
            fail_msg("%x became %x", (unsigned)c, (unsigned)got);
        if (text.size > 1 &&
            weir_text_decode(text.data, text.size - 1, &got) != 0)
            fail_msg("part of %x decodes", (unsigned)c);
    }
    weir_text_fini(&text);
}

static void test_plain(void **state)
{
    struct weir_text text = {0};

    (void)state;
    weir_text_add_plain(&text, "a\x1b[1m\n\xc3\xa4\xff\xc2\x9b", 11);
    assert_string_equal(text.data, "a\\x1b[1m\\x0a\xc3\xa4\\xff\\xc2\\x9b");
    weir_text_fini(&text);
}

static void test_table(void **state)
{
    static const char *const heads[] = {"name", ">n", "what", NULL};
    struct weir_table table;
    char got[256] = "";
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    weir_table_init(&table, heads);
    weir_table_add(&table, "%s", "\xc3\xa4");
    weir_table_add(&table, "%d", 1000);
    weir_table_add(&table, "x");
    weir_table_add(&table, "longer");
    weir_table_add(&table, "%d", 7);
    weir_table_add(&table, " ");
    weir_table_print(&table, 2, file);
    weir_table_fini(&table);
    rewind(file);
    assert_true(fread(got, 1, sizeof got - 1, file) > 0);
    fclose(file);
    assert_string_equal(got, "  name       n  what\n"
                             "  \xc3\xa4       1000  x\n"
                             "  longer     7   \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
