/*
 * weir top on a terminal: what it shows, its keys, another size, and that the
 * terminal is afterwards as it was.  The test is the program that is looked
 * into.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/weir.h>

#include "session.h"

enum { SOON = SESSION_SOON };

static char place[64];
static weir_context context;
static weir_socket pull, push;

/* ---- the program that is looked into ---- */

static int open_program(void **state)
{
    weir_endpoint endpoint;
    char url[128];

    (void)state;
    snprintf(place, sizeof place, "ipc:///tmp/weir-top-%ld", (long)getpid());
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_context_set(context, "stats", place), 0);
    assert_int_equal(weir_open(&pull, context, WEIR_PULL), 0);
    assert_int_equal(weir_open(&push, context, WEIR_PUSH), 0);
    assert_int_equal(weir_bind(pull, "tcp://127.0.0.1:*", &endpoint), 0);
    assert_true(weir_endpoint_url(endpoint, url, sizeof url) > 0);
    assert_int_equal(weir_connect(push, url, NULL), 0);
    for (int i = 0; i < 1234; i++)
        assert_int_equal(weir_send(push, "x", 1, SOON), 0);
    assert_int_equal(weir_flush(push, SOON), 0);
    return 0;
}

static int close_program(void **state)
{
    (void)state;
    weir_close(push, 0, NULL);
    weir_close(pull, 0, NULL);
    return weir_context_close(context, SOON);
}

/* ---- what is on a screen ---- */

/* The longest line, in characters, of the last whole screen. */
static size_t longest_line(const char *screen)
{
    size_t longest = 0, length = 0;

    for (; *screen; screen++) {
        if (*screen == '\033') {
            while (*screen && !strchr("mhlHKJ", *screen))
                screen++;
        } else if (*screen == '\r' || *screen == '\n') {
            length = 0;
        } else if (++length > longest) {
            longest = length;
        }
        if (!*screen)
            break;
    }
    return longest;
}

static const char *const live[] = {"weir",       "top", place,
                                   "--interval", "0.2", NULL};

static void test_screen(void **state)
{
    struct session session;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "\033[?1049h"); /* a screen of its own */
    session_await(&session, 0, "socket");
    session_await(&session, 0, "PUSH");
    session_await(&session, 0, "1234"); /* wait in the PULL */
    session_await(&session, 0, "    at tcp://127.0.0.1:");
    session_await(&session, 0, "\033[J");
    assert_in_range(longest_line(session.seen), 70, 80);
    session_press(&session, "q");
    session_await(&session, 0, "\033[?25h\033[?1049l");
    session_end(&session, 0);
}

/* Rates are of now: after more was sent there is one. */
static void test_rates(void **state)
{
    struct session session;
    int64_t until = session_now() + SOON;
    char line[200];

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "PUSH");
    do {
        char *at;

        assert_true(session_now() < until);
        session.size = 0;
        session.seen[0] = '\0';
        for (int i = 0; i < 50; i++)
            assert_int_equal(weir_send(push, "x", 1, SOON), 0);
        at = session_await(&session, 0, "PUSH");
        session_await(&session, (size_t)(at - session.seen), "\n");
        snprintf(line, sizeof line, "%.60s", at);
        /* type, number, peers, in, out */
    } while (atof(line + 38) < 1);
    session_press(&session, "\003");
    session_end(&session, 0);
}

static void test_resizing(void **state)
{
    struct session session;
    size_t from;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "\033[J");
    session_resize(session.master, 40, 6);
    /* what is drawn from then on is that small */
    session_await(&session, session.size, "lines more)");
    from = session.size;
    session_await(&session, from, "\033[J");
    from = session.size;
    session_await(&session, from, "\033[J");
    assert_in_range(longest_line(strstr(session.seen + from - 1, "socket")), 1,
                    40);
    session_press(&session, "Q");
    session_end(&session, 0);
}

/* A signal ends it in the same way. */
static void test_signal(void **state)
{
    struct session session;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "PUSH");
    kill(session.pid, SIGTERM);
    session_end(&session, 0);
}

/* Ctrl-Z stops it, the terminal being as it was; then it goes on. */
static void test_suspend(void **state)
{
    struct session session;
    int status;
    size_t from;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "PUSH");
    session_press(&session, "\032");
    session_await(&session, 0, "\033[?1049l");
    /* An orphaned process group is not stopped by that signal. */
    if (waitpid(session.pid, &status, WUNTRACED | WNOHANG) == session.pid) {
        assert_true(WIFSTOPPED(status));
        session_expect_as_it_was(&session);
        kill(session.pid, SIGCONT);
    }
    from = session.size;
    session_await(&session, from, "PUSH");
    session_press(&session, "q");
    session_end(&session, 0);
}

/* The signal that others send for it does the same. */
static void test_suspend_signal(void **state)
{
    struct session session;
    int status;
    size_t from;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "PUSH");
    from = session.size;
    kill(session.pid, SIGTSTP);
    session_await(&session, from, "\033[?1049l");
    if (waitpid(session.pid, &status, WUNTRACED | WNOHANG) == session.pid) {
        assert_true(WIFSTOPPED(status));
        session_expect_as_it_was(&session);
        kill(session.pid, SIGCONT);
    }
    session_await(&session, from, "\033[?1049h");
    from = session.size;
    session_await(&session, from, "PUSH");
    session_press(&session, "q");
    session_end(&session, 0);
}

static void test_colours(void **state)
{
    struct session session;

    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    session_begin(&session, live);
    session_await(&session, 0, "\033[1msocket");
    session_press(&session, "q");
    session_end(&session, 0);
    setenv("NO_COLOR", "1", 1);
    session_begin(&session, live);
    session_await(&session, 0, "socket");
    assert_null(strstr(session.seen, "\033[1m"));
    session_press(&session, "q");
    session_end(&session, 0);
}

/* --once on a terminal prints lines, and takes nothing over. */
static void test_once(void **state)
{
    static const char *const argv[] = {"weir",       "top", place, "--once",
                                       "--interval", "0.1", NULL};
    struct session session;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0, "PUSH");
    session_await(&session, 0, "1234");
    assert_null(strstr(session.seen, "\033[?1049h"));
    session_end(&session, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screen),         cmocka_unit_test(test_once),
        cmocka_unit_test(test_rates),          cmocka_unit_test(test_resizing),
        cmocka_unit_test(test_signal),         cmocka_unit_test(test_suspend),
        cmocka_unit_test(test_suspend_signal), cmocka_unit_test(test_colours),
    };

    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, open_program, close_program);
}
