/* test_input.c - lines and whole inputs, however they arrive. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/input.h"

struct feed {
    int pipe[2];
    struct weir_input input;
};

static void start(struct feed *feed, bool whole)
{
    assert_int_equal(pipe(feed->pipe), 0);
    weir_input_init(&feed->input, feed->pipe[0], whole);
}

static void put(struct feed *feed, const char *octets, size_t size)
{
    assert_int_equal(write(feed->pipe[1], octets, size), size);
    assert_int_equal(weir_input_fill(&feed->input), 0);
}

static void end(struct feed *feed)
{
    close(feed->pipe[1]);
    assert_int_equal(weir_input_fill(&feed->input), 0);
    assert_true(feed->input.ended);
}

static void finish(struct feed *feed)
{
    close(feed->pipe[0]);
    weir_input_fini(&feed->input);
}

static void expect(struct feed *feed, const char *piece, size_t size)
{
    const char *data;
    size_t got;

    assert_true(weir_input_next(&feed->input, &data, &got));
    assert_int_equal(got, size);
    assert_memory_equal(data, piece, size);
}

static void expect_none(struct feed *feed)
{
    const char *data;
    size_t got;

    assert_false(weir_input_next(&feed->input, &data, &got));
}

static void test_lines(void **state)
{
    struct feed feed;

    (void)state;
    start(&feed, false);
    expect_none(&feed);
    put(&feed, "one\n\ntw", 7);
    expect(&feed, "one", 3);
    expect(&feed, "", 0);
    expect_none(&feed);
    put(&feed, "o\nthr\0ee\nf", 10);
    expect(&feed, "two", 3);
    assert_int_equal(feed.input.line, 3);
    expect(&feed, "thr\0ee", 6);
    expect_none(&feed);
    end(&feed);
    assert_false(weir_input_over(&feed.input));
    expect(&feed, "f", 1);
    assert_true(weir_input_over(&feed.input));
    expect_none(&feed);
    finish(&feed);
}

static void test_newline_at_end(void **state)
{
    struct feed feed;

    (void)state;
    start(&feed, false);
    put(&feed, "a\n", 2);
    end(&feed);
    expect(&feed, "a", 1);
    expect_none(&feed);
    assert_true(weir_input_over(&feed.input));
    finish(&feed);
}

static void test_whole(void **state)
{
    struct feed feed;

    (void)state;
    start(&feed, true);
    put(&feed, "a\nb", 3);
    expect_none(&feed);
    put(&feed, "\nc\n", 3);
    expect_none(&feed);
    end(&feed);
    assert_false(weir_input_over(&feed.input));
    expect(&feed, "a\nb\nc\n", 6);
    assert_true(weir_input_over(&feed.input));
    expect_none(&feed);
    finish(&feed);
}

static void test_nothing(void **state)
{
    struct feed feed;

    (void)state;
    start(&feed, true);
    end(&feed);
    expect(&feed, "", 0);
    expect_none(&feed);
    finish(&feed);
    start(&feed, false);
    end(&feed);
    expect_none(&feed);
    assert_true(weir_input_over(&feed.input));
    finish(&feed);
}

/* One octet at a time gives the same as all at once. */
static void test_octets(void **state)
{
    static const char text[] = "first\nsecond\n";
    const char *data;
    struct feed feed;
    unsigned pieces = 0;
    size_t size;

    (void)state;
    start(&feed, false);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        put(&feed, text + i, 1);
        while (weir_input_next(&feed.input, &data, &size)) {
            assert_int_equal(size, pieces ? 6 : 5);
            assert_memory_equal(data, pieces ? "second" : "first", size);
            pieces++;
        }
    }
    assert_int_equal(pieces, 2);
    end(&feed);
    finish(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),          cmocka_unit_test(test_whole),
        cmocka_unit_test(test_newline_at_end), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_octets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
