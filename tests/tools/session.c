/* session.c - see session.h. */
#include "config.h"

#include "session.h"

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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = 1 << 20 };

int64_t session_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void session_resize(int fd, int columns, int rows)
{
    struct winsize size = {.ws_col = (unsigned short)columns,
                           .ws_row = (unsigned short)rows};

    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
}

static void become(struct session *session, const char *const *argv, int input)
{
    setsid();
    if (ioctl(session->slave, TIOCSCTTY, 0) < 0)
        _exit(120);
    for (int fd = 0; fd < 3; fd++)
        dup2(fd == 0 && input >= 0 ? input : session->slave, fd);
    close(session->master);
    execv(session->program, (char *const *)(uintptr_t)argv);
    _exit(121);
}

/* The command of the build tree. */
static void find_program(struct session *session)
{
    const char *folder = getenv("top_builddir");

    snprintf(session->program, sizeof session->program, "%s/tools/weir",
             folder ? folder : ".");
}

void session_begin(struct session *session, const char *const *argv)
{
    session_begin_with(session, argv, -1);
}

void session_begin_with(struct session *session, const char *const *argv,
                        int input)
{
    find_program(session);
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
    session_resize(session->slave, 80, 24);
    session->pid = fork();
    assert_true(session->pid >= 0);
    if (session->pid == 0)
        become(session, argv, input);
}

bool session_take(struct session *session, int ms)
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

char *session_await(struct session *session, size_t from, const char *words)
{
    int64_t until = session_now() + SESSION_SOON;
    char *at;

    while (!(at = strstr(session->seen + from, words))) {
        if (session_now() > until)
            fail_msg("no '%s' in: %s", words, session->seen + from);
        (void)session_take(session, 100);
    }
    return at;
}

void session_press(struct session *session, const char *keys)
{
    assert_int_equal(write(session->master, keys, strlen(keys)),
                     (ssize_t)strlen(keys));
}

void session_expect_as_it_was(struct session *session)
{
    struct termios is;

    assert_int_equal(tcgetattr(session->slave, &is), 0);
    assert_int_equal(is.c_lflag, session->was.c_lflag);
    assert_int_equal(is.c_iflag, session->was.c_iflag);
    assert_int_equal(is.c_oflag, session->was.c_oflag);
    assert_memory_equal(is.c_cc, session->was.c_cc, sizeof is.c_cc);
}

void session_finish(struct session *session, int code)
{
    int64_t until = session_now() + SESSION_SOON;
    int status = -1;
    pid_t pid;

    while ((pid = waitpid(session->pid, &status, WNOHANG)) == 0 &&
           session_now() < until)
        (void)session_take(session, 20);
    if (pid == 0) {
        kill(session->pid, SIGKILL);
        waitpid(session->pid, &status, 0);
        fail_msg("it did not end");
    }
    while (session_take(session, 0))
        ;
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != code)
        fail_msg("exit code %d: %s", WEXITSTATUS(status), session->seen);
    session_expect_as_it_was(session);
}

void session_free(struct session *session)
{
    close(session->slave);
    close(session->master);
    free(session->seen);
}

void session_end(struct session *session, int code)
{
    session_finish(session, code);
    session_free(session);
}
