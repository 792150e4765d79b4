/* test_chart.c - charts: well-formed, with title, axes, legend and figures. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tools/chart.h"

static struct weir_chart chart;
static struct weir_text svg;

static int set_up(void **state)
{
    (void)state;
    memset(&chart, 0, sizeof chart);
    chart.title = "speed & <more>";
    chart.note = "a note";
    chart.x_name = "octets";
    chart.y_name = "msg/s";
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_text_fini(&svg);
    return 0;
}

static void add(const char *series, uint64_t x, double y)
{
    struct weir_figures f = {.median = y, .min = y / 2, .max = y * 2};

    weir_chart_add(&chart, series, x, &f);
}

static size_t count(const char *words)
{
    const char *at = weir_text_string(&svg);
    size_t n = 0;

    while ((at = strstr(at, words))) {
        at += strlen(words);
        n++;
    }
    return n;
}

/* Every element is closed, no attribute stands twice in one, no word is left
 * that a reader of XML would not take. */
static void check_well_formed(void)
{
    const char *at = weir_text_string(&svg);
    int depth = 0;

    while ((at = strchr(at, '<'))) {
        const char *end = strchr(at, '>');
        char element[4096], *equals;

        assert_non_null(end);
        snprintf(element, sizeof element, "%.*s", (int)(end - at), at);
        depth += at[1] == '/' ? -1 : end[-1] == '/' ? 0 : 1;
        assert_true(depth >= 0);
        for (equals = element; (equals = strstr(equals, "=\"")); equals += 2) {
            char *start = equals, name[64];

            while (start[-1] != ' ')
                start--;
            snprintf(name, sizeof name, " %.*s=\"", (int)(equals - start),
                     start);
            assert_null(strstr(equals + 2, name));
        }
        at = end;
    }
    assert_int_equal(depth, 0);
    assert_null(strstr(weir_text_string(&svg), "nan"));
    assert_null(strstr(weir_text_string(&svg), "inf"));
}

static void draw(void)
{
    weir_text_clear(&svg);
    weir_chart_write(&chart, &svg);
    check_well_formed();
}

static void test_empty(void **state)
{
    (void)state;
    draw();
    assert_int_equal(count("<svg "), 1);
    assert_int_equal(count("speed &amp; &lt;more>"), 1);
}

static void test_lines(void **state)
{
    (void)state;
    add("weir tcp", 1024, 1e6);
    add("weir tcp", 16, 3e6);
    add("libzmq tcp", 16, 2e6);
    draw();
    assert_int_equal(count("<polyline"), 2);
    assert_int_equal(count("<circle"), 3);
    assert_int_equal(count(">weir tcp</text>"), 1);
    assert_int_equal(count(">libzmq tcp</text>"), 1);
    assert_int_equal(count(">octets</text>"), 1);
    assert_int_equal(count(">msg/s</text>"), 1);
    assert_int_equal(count(">16</text>"), 1);
    assert_int_equal(count(">1024</text>"), 1);
    assert_int_equal(count(">10.0 M</text>"), 1); /* the top of the axis */
}

/* The colour says the library, the dashes the rest. */
static void test_looks(void **state)
{
    (void)state;
    add("weir tcp", 1, 1);
    add("raw tcp", 1, 1);
    add("weir ipc", 2, 1);
    add("raw ipc", 2, 1);
    draw();
    assert_int_equal(
        count("<path stroke=\"#0072b2\" stroke-dasharray=\"none\""), 1);
    assert_int_equal(
        count("<path stroke=\"#d55e00\" stroke-dasharray=\"none\""), 1);
    assert_int_equal(count("<path stroke=\"#0072b2\" stroke-dasharray=\"7 3\""),
                     1);
    assert_int_equal(count("<path stroke=\"#d55e00\" stroke-dasharray=\"7 3\""),
                     1);
}

/* Figures far apart get an axis of powers of ten. */
static void test_logarithmic(void **state)
{
    (void)state;
    add("a", 1, 3);
    add("a", 2, 40000);
    draw();
    assert_int_equal(count(">100 k</text>"), 1);
    assert_int_equal(count(">1.00</text>"), 1);
    assert_int_equal(count(">0</text>"), 0);
}

static void test_columns(void **state)
{
    (void)state;
    add("weir", 64, 12.5);
    add("raw", 64, 25);
    draw();
    assert_int_equal(count(">a note</text>"), 1);
    assert_int_equal(count("<polyline"), 0);
    assert_int_equal(count(">12.5</text>"), 1);
    assert_int_equal(count("fill-opacity"), 2);
    /* below its column, and in the legend */
    assert_int_equal(count(">raw</text>"), 2);
}

/* Columns of one colour differ in their outlines. */
static void test_outlines(void **state)
{
    (void)state;
    add("weir tcp", 64, 12.5);
    add("weir ipc", 64, 25);
    draw();
    assert_int_equal(count("fill-opacity"), 2);
    /* one column and its line in the legend each */
    assert_int_equal(count("stroke-dasharray=\"none\""), 2);
    assert_int_equal(count("stroke-dasharray=\"7 3\""), 2);
}

/* More than there is room for does no harm. */
static void test_too_many(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3 * WEIR_CHART_SERIES; i++) {
        char name[16];

        snprintf(name, sizeof name, "s%u", (unsigned)i);
        add(name, i, 1);
        add("s0", i, 1);
    }
    draw();
    assert_int_equal(chart.count, WEIR_CHART_SERIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logarithmic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outlines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
