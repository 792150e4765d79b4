/* Texts of JSON: members, strings with any octets, and no more than allowed. */
#include "config.h"

#include "base/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct weir_document *doc, const char *text)
{
    assert_false(doc->failed);
    assert_int_equal(doc->size, strlen(text));
    assert_memory_equal(doc->data, text, doc->size);
}

static void test_members(void **state)
{
    struct weir_document doc = {.most = 1000};

    (void)state;
    weir_document_open(&doc, NULL, '{');
    weir_document_number(&doc, "n", UINT64_MAX);
    weir_document_flag(&doc, "yes", true);
    weir_document_open(&doc, "list", '[');
    weir_document_text(&doc, NULL, "a");
    weir_document_number(&doc, NULL, 0);
    weir_document_open(&doc, NULL, '{');
    weir_document_close(&doc, '}');
    weir_document_flag(&doc, NULL, false);
    weir_document_close(&doc, ']');
    weir_document_text(&doc, "last", "");
    weir_document_close(&doc, '}');
    expect(&doc, "{\"n\": 18446744073709551615, \"yes\": true, "
                 "\"list\": [\"a\", 0, {}, false], \"last\": \"\"}");
    weir_document_clear(&doc);
    weir_document_number(&doc, NULL, 7);
    expect(&doc, "7");
    weir_document_fini(&doc);
}

static void check_text(const char *text, const char *want)
{
    struct weir_document doc = {.most = 1000};

    weir_document_text(&doc, NULL, text);
    expect(&doc, want);
    weir_document_fini(&doc);
}

static void test_strings(void **state)
{
    (void)state;
    check_text("a\"b\\c\n\x7f", "\"a\\\"b\\\\c\\u000a\\u007f\"");
    check_text("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
               "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    check_text("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0",
               "\"\\u0080\\u009b\\u009f\xc2\xa0\""); /* a terminal's */
    check_text("\xc3", "\"\\ufffd\"");               /* it ends too soon */
    check_text("\xc3x", "\"\\ufffdx\"");             /* nothing follows */
    check_text("\x80z", "\"\\ufffdz\"");             /* nothing is before */
    check_text("\xff", "\"\\ufffd\"");               /* never an octet of it */
    check_text("\xc0\x80", "\"\\ufffd\\ufffd\"");    /* too long a form */
    check_text("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    check_text("\xf4\x90\x80\x80",
               "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond the last */
}

/* What does not fit fails for good, until it is cleared. */
static void test_most(void **state)
{
    struct weir_document doc = {.most = 10};

    (void)state;
    weir_document_text(&doc, NULL, "12345678");
    expect(&doc, "\"12345678\"");
    weir_document_number(&doc, NULL, 1);
    assert_true(doc.failed);
    weir_document_clear(&doc);
    weir_document_number(&doc, NULL, 1);
    expect(&doc, "1");
    weir_document_fini(&doc);
}

/* It grows beyond what it begins with. */
static void test_growth(void **state)
{
    struct weir_document doc = {.most = 1 << 20};

    (void)state;
    weir_document_open(&doc, NULL, '[');
    for (int i = 0; i < 10000; i++)
        weir_document_number(&doc, NULL, 7);
    weir_document_close(&doc, ']');
    assert_false(doc.failed);
    assert_int_equal(doc.size, 3 * 10000);
    weir_document_fini(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_growth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
