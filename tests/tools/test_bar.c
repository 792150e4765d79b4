/* weir bench on a terminal: a bar that says how far it is, and is gone before
 * the table; and none where there is no terminal. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session.h"

static const char *const argv[] = {"weir",        "bench",  "thr",
                                   "--transport", "inproc", "--runs",
                                   "2",           "--warm", "0.01",
                                   "--duration",  "0.02",   NULL};

static void test_bar(void **state)
{
    struct session session;
    const char *half, *end, *table;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0,
                  "[....................]   0%  thr inproc 64 oct");
    half = session_await(&session, 0, "[##########..........]  50%  ");
    session_await(&session, (size_t)(half - session.seen), "s left, thr");
    session_await(&session, 0, "transport  size");
    session_finish(&session, 0);
    half = strstr(session.seen, "50%");
    table = strstr(session.seen, "transport  size");
    end = strstr(half, "         \r");
    assert_non_null(end);
    assert_true(end < table);
    assert_null(strstr(table, "[#"));
    session_free(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar),
    };

    setenv("TERM", "xterm", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
