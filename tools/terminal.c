/* terminal.c - what a terminal can do. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

/* ---- colours ---- */

bool weir_terminal_has_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void weir_terminal_colour(struct weir_text *text, enum weir_colour colour,
                          bool on)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                        "\033[31m", "\033[32m", "\033[33m"};

    if (on)
        weir_text_format(text, "%s", codes[colour]);
}

/* ---- the size ---- */

void weir_terminal_size(int fd, int *columns, int *rows)
{
    struct winsize size;

    *columns = 80;
    *rows = 24;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
}

/* ---- what happens to it ---- */

static int news_pipe[2] = {-1, -1};
static volatile sig_atomic_t to_suspend;

static void note(int number)
{
    int saved = errno;
    ssize_t written;

    if (number == SIGTSTP)
        to_suspend = 1;
    written = write(news_pipe[1], "", 1);
    (void)written; /* a full pipe is readable already */
    errno = saved;
}

/* What was done before is in *before, if it is not NULL. */
static void note_signal(int number, struct sigaction *before)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigaction(number, &action, before);
}

int weir_terminal_watch(void)
{
    if (pipe(news_pipe) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(news_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(news_pipe[i], F_SETFL, O_NONBLOCK);
    }
    note_signal(SIGWINCH, NULL);
    return news_pipe[0];
}

void weir_terminal_attend(void)
{
    char octets[64];

    while (read(news_pipe[0], octets, sizeof octets) > 0)
        ;
    if (to_suspend)
        weir_terminal_suspend();
}

/* ---- a screen of its own ---- */

static struct termios was;
static struct sigaction stop_was; /* what SIGTSTP did */
static bool entered;

static void put(const char *text)
{
    ssize_t written;

    fflush(stdout);
    written = write(STDOUT_FILENO, text, strlen(text));
    (void)written; /* a terminal that is gone needs nothing */
}

int weir_terminal_enter(void)
{
    static bool registered;
    struct termios keys;

    if (tcgetattr(STDIN_FILENO, &was) != 0)
        return -errno;
    if (!registered && atexit(weir_terminal_leave) != 0)
        return -ENOMEM;
    registered = true;
    keys = was;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) != 0)
        return -errno;
    entered = true;
    note_signal(SIGTSTP, &stop_was);
    if (stop_was.sa_handler == SIG_IGN)
        sigaction(SIGTSTP, &stop_was, NULL);
    put("\033[?1049h\033[?25l");
    return 0;
}

void weir_terminal_leave(void)
{
    if (!entered)
        return;
    entered = false;
    put("\033[0m\033[?25h\033[?1049l");
    tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
    sigaction(SIGTSTP, &stop_was, NULL);
}

void weir_terminal_suspend(void)
{
    weir_terminal_leave();
    to_suspend = 0;
    raise(SIGTSTP);
    (void)weir_terminal_enter();
}
