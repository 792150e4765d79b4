/*
 * weir top on a terminal: what it shows, its keys, another size, and that the
 * terminal is afterwards as it was.  The test is the program that is looked
 * into.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/weir.h>

enum { SOON = 20000, ROOM = 1 << 20 };

/* A command on a terminal of its own. */
struct session {
    int master, slave;
    pid_t pid;
    struct termios was;
    char *seen; /* all that came, without what moves the cursor */
    size_t size;
};

static char place[64], *program;
static weir_context context;
static weir_socket pull, push;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

/* ---- a terminal ---- */

static void set_size(int fd, int columns, int rows)
{
    struct winsize size = {.ws_col = (unsigned short)columns,
                           .ws_row = (unsigned short)rows};

    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
}

static void become(struct session *session, const char *const *argv)
{
    setsid();
    if (ioctl(session->slave, TIOCSCTTY, 0) < 0)
        _exit(120);
    for (int fd = 0; fd < 3; fd++)
        dup2(session->slave, fd);
    close(session->master);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(121);
}

static void begin(struct session *session, const char *const *argv)
{
    session->size = 0;
    session->seen = calloc(1, ROOM);
    assert_non_null(session->seen);
    session->master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(session->master >= 0);
    assert_int_equal(grantpt(session->master), 0);
    assert_int_equal(unlockpt(session->master), 0);
    session->slave = open(ptsname(session->master), O_RDWR | O_NOCTTY);
    assert_true(session->slave >= 0);
    assert_int_equal(tcgetattr(session->slave, &session->was), 0);
    set_size(session->slave, 80, 24);
    session->pid = fork();
    assert_true(session->pid >= 0);
    if (session->pid == 0)
        become(session, argv);
}

/* Keep what came; false: nothing did, for so long. */
static bool take(struct session *session, int ms)
{
    struct pollfd item = {.fd = session->master, .events = POLLIN};
    ssize_t n;

    if (poll(&item, 1, ms) <= 0)
        return false;
    assert_true(session->size < ROOM - 4096);
    n = read(session->master, session->seen + session->size, 4096);
    if (n <= 0)
        return false;
    session->size += (size_t)n;
    session->seen[session->size] = '\0';
    return true;
}

/* Wait for words that come from now on, behind `from`. */
static char *await(struct session *session, size_t from, const char *words)
{
    int64_t until = now_ms() + SOON;
    char *at;

    while (!(at = strstr(session->seen + from, words))) {
        if (now_ms() > until)
            fail_msg("no '%s' in: %s", words, session->seen + from);
        (void)take(session, 100);
    }
    return at;
}

static void press(struct session *session, const char *keys)
{
    assert_int_equal(write(session->master, keys, strlen(keys)),
                     (ssize_t)strlen(keys));
}

static void expect_as_it_was(struct session *session)
{
    struct termios is;

    assert_int_equal(tcgetattr(session->slave, &is), 0);
    assert_int_equal(is.c_lflag, session->was.c_lflag);
    assert_int_equal(is.c_iflag, session->was.c_iflag);
    assert_int_equal(is.c_oflag, session->was.c_oflag);
    assert_memory_equal(is.c_cc, session->was.c_cc, sizeof is.c_cc);
}

/* It ends with that code, and shows the cursor and the first screen again. */
static void end(struct session *session, int code)
{
    int64_t until = now_ms() + SOON;
    int status = -1;
    pid_t pid;

    while ((pid = waitpid(session->pid, &status, WNOHANG)) == 0 &&
           now_ms() < until)
        (void)take(session, 20);
    if (pid == 0) {
        kill(session->pid, SIGKILL);
        waitpid(session->pid, &status, 0);
        fail_msg("it did not end");
    }
    while (take(session, 0))
        ;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    expect_as_it_was(session);
    close(session->slave);
    close(session->master);
    free(session->seen);
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
    begin(&session, live);
    await(&session, 0, "\033[?1049h"); /* a screen of its own */
    await(&session, 0, "socket");
    await(&session, 0, "PUSH");
    await(&session, 0, "1234"); /* wait in the PULL */
    await(&session, 0, "    at tcp://127.0.0.1:");
    await(&session, 0, "\033[J");
    assert_in_range(longest_line(session.seen), 70, 80);
    press(&session, "q");
    await(&session, 0, "\033[?25h\033[?1049l");
    end(&session, 0);
}

/* Rates are of now: after more was sent there is one. */
static void test_rates(void **state)
{
    struct session session;
    int64_t until = now_ms() + SOON;
    char line[200];

    (void)state;
    begin(&session, live);
    await(&session, 0, "PUSH");
    do {
        char *at;

        assert_true(now_ms() < until);
        session.size = 0;
        session.seen[0] = '\0';
        for (int i = 0; i < 50; i++)
            assert_int_equal(weir_send(push, "x", 1, SOON), 0);
        at = await(&session, 0, "PUSH");
        await(&session, (size_t)(at - session.seen), "\n");
        snprintf(line, sizeof line, "%.60s", at);
        /* type, number, peers, in, out */
    } while (atof(line + 38) < 1);
    press(&session, "\003");
    end(&session, 0);
}

static void test_resizing(void **state)
{
    struct session session;
    size_t from;

    (void)state;
    begin(&session, live);
    await(&session, 0, "\033[J");
    set_size(session.master, 40, 6);
    /* what is drawn from then on is that small */
    await(&session, session.size, "lines more)");
    from = session.size;
    await(&session, from, "\033[J");
    from = session.size;
    await(&session, from, "\033[J");
    assert_in_range(longest_line(strstr(session.seen + from - 1, "socket")), 1,
                    40);
    press(&session, "Q");
    end(&session, 0);
}

/* A signal ends it in the same way. */
static void test_signal(void **state)
{
    struct session session;

    (void)state;
    begin(&session, live);
    await(&session, 0, "PUSH");
    kill(session.pid, SIGTERM);
    end(&session, 0);
}

/* Ctrl-Z stops it, the terminal being as it was; then it goes on. */
static void test_suspend(void **state)
{
    struct session session;
    int status;
    size_t from;

    (void)state;
    begin(&session, live);
    await(&session, 0, "PUSH");
    press(&session, "\032");
    await(&session, 0, "\033[?1049l");
    /* An orphaned process group is not stopped by that signal. */
    if (waitpid(session.pid, &status, WUNTRACED | WNOHANG) == session.pid) {
        assert_true(WIFSTOPPED(status));
        expect_as_it_was(&session);
        kill(session.pid, SIGCONT);
    }
    from = session.size;
    await(&session, from, "PUSH");
    press(&session, "q");
    end(&session, 0);
}

static void test_colours(void **state)
{
    struct session session;

    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    begin(&session, live);
    await(&session, 0, "\033[1msocket");
    press(&session, "q");
    end(&session, 0);
    setenv("NO_COLOR", "1", 1);
    begin(&session, live);
    await(&session, 0, "socket");
    assert_null(strstr(session.seen, "\033[1m"));
    press(&session, "q");
    end(&session, 0);
}

/* --once on a terminal prints lines, and takes nothing over. */
static void test_once(void **state)
{
    static const char *const argv[] = {"weir",       "top", place, "--once",
                                       "--interval", "0.1", NULL};
    struct session session;

    (void)state;
    begin(&session, argv);
    await(&session, 0, "PUSH");
    await(&session, 0, "1234");
    assert_null(strstr(session.seen, "\033[?1049h"));
    end(&session, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screen),  cmocka_unit_test(test_once),
        cmocka_unit_test(test_rates),   cmocka_unit_test(test_resizing),
        cmocka_unit_test(test_signal),  cmocka_unit_test(test_suspend),
        cmocka_unit_test(test_colours),
    };
    const char *folder = getenv("top_builddir");
    char path[4096];

    snprintf(path, sizeof path, "%s/tools/weir", folder ? folder : ".");
    program = path;
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, open_program, close_program);
}
