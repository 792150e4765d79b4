/*
 * test_careless.c - mistakes of a plugin end in an error, where the host can
 * see them.  The plugin is tests/fixtures/plugins/transport_careless.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"

static void assert_refused(const char *url, int code, const char *words)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);

    flow_fails(weir_bind(pull, url, NULL), code);
    assert_string_equal(weir_last_error(), words);
    flow_close(pull);
    flow_end(context);
}

/* A code of the wrong sign would be success. */
static void test_codes(void **state)
{
    (void)state;
    assert_refused("careless://negative", EADDRINUSE, "it is taken");
    assert_refused("careless://zero", EIO, "nobody has set a code");
}

static void test_words_around_words(void **state)
{
    (void)state;
    assert_refused("careless://around", EACCES,
                   "the outer words: the inner words");
}

/* An address that fills its room has no NUL at its end. */
static void test_address_without_end(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_endpoint endpoint;
    char url[2048];
    int size;

    (void)state;
    flow_ok(weir_bind(pull, "careless://endless", &endpoint));
    size = weir_endpoint_url(endpoint, url, sizeof url);
    assert_in_range(size, 12, 1100);
    assert_int_equal(url[size - 1], 'x');
    flow_close(pull);
    flow_end(context);
}

/* There is nobody who could take what is accepted. */
static void test_listener_without_accepted(void **state)
{
    weir_context context = flow_context(1);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_event event;

    (void)state;
    flow_ok(weir_bind(pull, "careless://deaf", NULL));
    event = flow_event(pull, WEIR_EVENT_CLOSED);
    assert_int_equal(event.code, EINVAL);
    flow_close(pull);
    flow_end(context);
}

static char file[1024];

static int load(void **state)
{
    (void)state;
    flow_ok(weir_plugin_load(file, NULL));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_words_around_words),
        cmocka_unit_test(test_address_without_end),
        cmocka_unit_test(test_listener_without_accepted),
    };
    const char *built = getenv("top_builddir");

    snprintf(file, sizeof file,
             "%s/tests/fixtures/plugins/" LT_OBJDIR "transport_careless.so",
             built ? built : ".");
    if (access(file, R_OK) < 0)
        return 77; /* there are no shared plugins */
    return cmocka_run_group_tests(tests, load, NULL);
}
