/* child.c - programs started by the command. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_SCHED_SETAFFINITY
#include <sched.h>
#endif
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif

#include "child.h"
#include "common.h"

/* ---- in the new process ---- */

static void stay_on_one_cpu(void)
{
#ifdef HAVE_SCHED_SETAFFINITY
    cpu_set_t cpus;
    size_t first = 0;

    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return;
    while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &cpus))
        first++;
    CPU_ZERO(&cpus);
    CPU_SET(first, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
#endif
}

static void become(const char *program, const char *const *argv, int in,
                   int out, bool one_cpu)
{
#if defined HAVE_SYS_PRCTL_H && defined PR_SET_PDEATHSIG
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (one_cpu)
        stay_on_one_cpu();
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execvp(program, (char *const *)argv);
    _exit(127);
}

/* ---- in ours ---- */

/* Pipes that no other child inherits. */
static int make_pipes(int pipes[4])
{
    if (pipe(pipes) != 0)
        return -errno;
    if (pipe(pipes + 2) != 0) {
        int code = -errno;

        close(pipes[0]);
        close(pipes[1]);
        return code;
    }
    for (int i = 0; i < 4; i++)
        fcntl(pipes[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

int weir_child_start(struct weir_child *child, const char *program,
                     const char *const *argv, bool one_cpu)
{
    int pipes[4], code;

    memset(child, 0, sizeof *child);
    code = make_pipes(pipes);
    if (code < 0)
        return code;
    child->pid = fork();
    if (child->pid == 0)
        become(program, argv, pipes[0], pipes[3], one_cpu);
    code = child->pid < 0 ? -errno : 0;
    close(pipes[0]);
    close(pipes[3]);
    child->in = pipes[1];
    child->out = pipes[2];
    if (code < 0) {
        close(child->in);
        close(child->out);
        child->pid = 0;
    }
    return code;
}

int weir_child_tell(struct weir_child *child, const char *text)
{
    struct weir_text line = {0};
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    int code = 0;

    weir_text_format(&line, "%s\n", text);
    if (write(child->in, line.data, line.size) != (ssize_t)line.size)
        code = -errno;
    signal(SIGPIPE, before);
    weir_text_fini(&line);
    return code;
}

/* Read some more; false at the end or at `until`. */
static bool read_more(struct weir_child *child, uint64_t until)
{
    struct pollfd wait = {child->out, POLLIN, 0};
    char data[4096];
    ssize_t size;
    int ready;

    do {
        ready = poll(&wait, 1, weir_common_left(until, -1));
    } while (ready < 0 && errno == EINTR && !weir_common_stopped());
    if (ready <= 0)
        return false;
    size = read(child->out, data, sizeof data);
    if (size <= 0)
        return false;
    weir_text_add(&child->got, data, (size_t)size);
    return true;
}

const char *weir_child_line(struct weir_child *child, uint64_t until)
{
    for (;;) {
        char *start = child->got.data ? child->got.data + child->taken : NULL;
        size_t left = child->got.size - child->taken;
        char *newline = left ? memchr(start, '\n', left) : NULL;

        if (newline) {
            *newline = '\0';
            child->taken += (size_t)(newline - start) + 1;
            return start;
        }
        if (!read_more(child, until))
            return NULL;
    }
}

void weir_child_put_back(struct weir_child *child, const char *line)
{
    child->got.data[child->taken - 1] = '\n';
    child->taken = (size_t)(line - child->got.data);
}

bool weir_child_read(struct weir_child *child, void *data, size_t size,
                     uint64_t until)
{
    while (child->got.size - child->taken < size) {
        if (!read_more(child, until))
            return false;
    }
    memcpy(data, child->got.data + child->taken, size);
    child->taken += size;
    return true;
}

/* Wait for its end: 0 or its number. */
static pid_t reap(struct weir_child *child, int *status, uint64_t until)
{
    const struct timespec pause = {0, 1000000};
    pid_t ended;

    while ((ended = waitpid(child->pid, status, WNOHANG)) == 0 &&
           weir_common_left(until, -1) != 0)
        nanosleep(&pause, NULL);
    return ended;
}

int weir_child_end(struct weir_child *child, int signal_number, uint64_t until)
{
    int status = 0;

    if (!child->pid)
        return -1;
    close(child->in);
    if (signal_number)
        kill(child->pid, signal_number);
    if (reap(child, &status, until) == 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &status, 0);
    }
    close(child->out);
    weir_text_fini(&child->got);
    memset(child, 0, sizeof *child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
