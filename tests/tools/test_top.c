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
#include <sys/syscall.h>
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

#define HOME  "\033[H" /* a screen begins */
#define BELOW "\033[J" /* and ends */

/* The next whole screen that begins behind the first *from octets of what was
 * seen, wherever the reads cut it.  *from moves behind it. */
static const char *next_screen(struct session *session, size_t *from)
{
    static char screen[8192];
    const char *begin = session_await(session, *from, HOME);
    const char *end =
        session_await(session, (size_t)(begin - session->seen), BELOW);
    size_t size = (size_t)(end - begin);

    assert_true(size < sizeof screen);
    memcpy(screen, begin, size);
    screen[size] = '\0';
    *from = (size_t)(end - session->seen) + strlen(BELOW);
    return screen;
}

/* The first of them that has these words. */
static const char *await_screen(struct session *session, size_t *from,
                                const char *words)
{
    int64_t until = session_now() + SOON;
    const char *screen;

    while (!strstr(screen = next_screen(session, from), words))
        if (session_now() > until)
            fail_msg("no '%s' in: %s", words, screen);
    return screen;
}

/* The longest line, in characters. */
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

/* Messages per second that the PUSH writes; 0: none, or not known. */
static double rate_of_push(const char *screen)
{
    enum { OUT_FROM = 38, OUT_SIZE = 8 }; /* after type, number, peers, in */
    const char *line = strstr(screen, "\nPUSH ");
    char cell[OUT_SIZE + 1] = "";

    if (!line)
        return 0;
    line++;
    assert_true(strcspn(line, "\033\r\n") >= OUT_FROM + OUT_SIZE);
    memcpy(cell, line + OUT_FROM, OUT_SIZE);
    return atof(cell);
}

/* ---- what is done to it ---- */

/* As many are received as are sent, so that no queue fills. */
static void move_messages(int n)
{
    for (int i = 0; i < n; i++) {
        char data[8];
        size_t size = sizeof data;

        assert_int_equal(weir_send(push, "x", 1, SOON), 0);
        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
    }
}

/* It has suspended itself behind `from`.  Where that stopped it, it goes on;
 * an orphaned process group is not stopped by the signal. */
static void go_on(struct session *session, size_t from)
{
    int64_t until = session_now() + SOON;
    int status;

    while (!strstr(session->seen + from, "\033[?1049h")) {
        assert_true(session_now() < until);
        if (waitpid(session->pid, &status, WUNTRACED | WNOHANG) ==
            session->pid) {
            assert_true(WIFSTOPPED(status));
            session_expect_as_it_was(session);
            kill(session->pid, SIGCONT);
        }
        (void)session_take(session, 20);
    }
}

/* Is it asleep in write()?  Where the kernel does not tell, it never is. */
static bool writes(pid_t pid)
{
    char name[64];
    long number = -1;
    FILE *file;

    snprintf(name, sizeof name, "/proc/%ld/syscall", (long)pid);
    file = fopen(name, "r");
    if (!file)
        return false;
    if (fscanf(file, "%ld", &number) != 1)
        number = -1; /* it runs */
    fclose(file);
#ifdef SYS_write
    return number == SYS_write;
#else
    return false;
#endif
}

static const char *const live[] = {"weir", "top",       place, "--interval",
                                   "0.2",  "--timeout", "20",  NULL};

static void test_screen(void **state)
{
    struct session session;
    const char *screen;
    size_t from = 0;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "\033[?1049h");        /* a screen of its own */
    screen = await_screen(&session, &from, " 1234 "); /* wait in the PULL */
    assert_non_null(strstr(screen, "socket"));
    assert_non_null(strstr(screen, "PUSH"));
    assert_non_null(strstr(screen, "    at tcp://127.0.0.1:"));
    assert_in_range(longest_line(screen), 70, 80);
    session_press(&session, "q");
    session_await(&session, from, "\033[?25h\033[?1049l");
    session_end(&session, 0);
}

/* Rates are of now: after more was sent there is one. */
static void test_rates(void **state)
{
    struct session session;
    int64_t until = session_now() + SOON;
    size_t from = 0;

    (void)state;
    session_begin(&session, live);
    do {
        assert_true(session_now() < until);
        move_messages(50);
    } while (rate_of_push(next_screen(&session, &from)) < 1);
    session_press(&session, "\003");
    session_end(&session, 0);
}

static void test_resizing(void **state)
{
    struct session session;
    size_t from = 0;

    (void)state;
    session_begin(&session, live);
    (void)next_screen(&session, &from);
    session_resize(session.master, 40, 6);
    /* what is drawn from then on is that small */
    assert_in_range(longest_line(await_screen(&session, &from, "lines more)")),
                    1, 40);
    assert_in_range(longest_line(next_screen(&session, &from)), 1, 40);
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

/* So does one that comes while it draws, and that is no failure. */
static void test_signal_in_screen(void **state)
{
    struct session session;
    int64_t until;

    (void)state;
    session_begin(&session, live);
    session_await(&session, 0, "PUSH");
    assert_int_equal(tcflow(session.slave, TCOOFF), 0);
    until = session_now() + 2000; /* some intervals: then it surely draws */
    while (!writes(session.pid) && session_now() < until)
        (void)session_take(&session, 10);
    kill(session.pid, SIGTERM);
    assert_int_equal(tcflow(session.slave, TCOON), 0);
    session_end(&session, 0);
}

/* Ctrl-Z stops it, the terminal being as it was; then it goes on. */
static void test_suspend(void **state)
{
    struct session session;
    size_t from = 0;

    (void)state;
    session_begin(&session, live);
    (void)next_screen(&session, &from);
    session_press(&session, "\032");
    from =
        (size_t)(session_await(&session, from, "\033[?1049l") - session.seen);
    go_on(&session, from);
    (void)await_screen(&session, &from, "PUSH");
    session_press(&session, "q");
    session_end(&session, 0);
}

/* The signal that others send for it does the same. */
static void test_suspend_signal(void **state)
{
    struct session session;
    size_t from = 0;

    (void)state;
    session_begin(&session, live);
    (void)next_screen(&session, &from);
    kill(session.pid, SIGTSTP);
    from =
        (size_t)(session_await(&session, from, "\033[?1049l") - session.seen);
    go_on(&session, from);
    (void)await_screen(&session, &from, "PUSH");
    session_press(&session, "q");
    session_end(&session, 0);
}

static void test_colours(void **state)
{
    struct session session;
    size_t from = 0;

    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    session_begin(&session, live);
    session_await(&session, 0, "\033[1msocket");
    session_press(&session, "q");
    session_end(&session, 0);
    setenv("NO_COLOR", "1", 1);
    session_begin(&session, live);
    assert_null(strstr(next_screen(&session, &from), "\033[1m"));
    session_press(&session, "q");
    session_end(&session, 0);
}

/* --once on a terminal prints lines, and takes nothing over. */
static void test_once(void **state)
{
    static const char *const argv[] = {"weir",      "top",        place,
                                       "--once",    "--interval", "0.1",
                                       "--timeout", "20",         NULL};
    struct session session;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0, "PUSH");
    session_await(&session, 0, " 1234 ");
    assert_null(strstr(session.seen, "\033[?1049h"));
    session_end(&session, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screen),  cmocka_unit_test(test_once),
        cmocka_unit_test(test_rates),   cmocka_unit_test(test_resizing),
        cmocka_unit_test(test_signal),  cmocka_unit_test(test_signal_in_screen),
        cmocka_unit_test(test_suspend), cmocka_unit_test(test_suspend_signal),
        cmocka_unit_test(test_colours),
    };

    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, open_program, close_program);
}
