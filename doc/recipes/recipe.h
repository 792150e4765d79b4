/*
 * recipe.h - what the recipes share: to say what failed, and to be stopped.
 */
#ifndef RECIPE_H
#define RECIPE_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

/* Say what failed and why: an error of weir has a sentence, others and a
 * deadline that has passed have none.  Returns the exit status of a program
 * that failed. */
static inline int failed(const char *what, int code)
{
    const char *why = code == -EAGAIN ? "" : weir_last_error();

    fprintf(stderr, "%s: %s\n", what, *why ? why : weir_strerror(code));
    return EXIT_FAILURE;
}

/* Say how a program is called. */
static inline int usage(const char *lines)
{
    fputs(lines, stderr);
    return 2;
}

static inline volatile sig_atomic_t *stop_flag(void)
{
    static volatile sig_atomic_t flag;

    return &flag;
}

static inline void on_stop(int number)
{
    (void)number;
    *stop_flag() = 1;
}

/* From now on SIGINT and SIGTERM only make stopped() true.  They do not cut
 * a call of weir short, so who waits does it in steps of STEP. */
static inline void catch_stop(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_stop;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static inline bool stopped(void)
{
    return *stop_flag() != 0;
}

enum { STEP = 200, PATIENCE = 10000 }; /* milliseconds */

/* A socket in a new context. */
static inline int open_one(weir_context *context, weir_socket *socket, int type)
{
    int rc = weir_context_open(context, 1);

    return rc < 0 ? rc : weir_open(socket, *context, type);
}

/* Close a socket, its messages sent, and its context.  Returns the exit
 * status; how many messages went unsent is said. */
static inline int close_one(weir_context context, weir_socket socket)
{
    uint64_t unsent = 0;
    int rc = weir_close(socket, PATIENCE, &unsent);

    if (unsent > 0)
        fprintf(stderr, "%llu messages unsent\n", (unsigned long long)unsent);
    if (rc < 0 || (rc = weir_context_close(context, PATIENCE)) < 0)
        return failed("close", rc);
    return EXIT_SUCCESS;
}

/* Forward until stopped: the device works in this thread. */
static inline int run_device(weir_device device)
{
    uint64_t held;
    int rc;

    do
        rc = weir_device_run(device, STEP);
    while (rc == -EAGAIN && !stopped());
    if (rc != -EAGAIN)
        return rc;
    return weir_device_stop(device, PATIENCE, &held);
}

/* Answer one request with itself, if there is one.  Never waits. */
static inline int answer_one(weir_socket socket)
{
    char text[1000];
    size_t size = sizeof(text);
    int rc = weir_recv(socket, text, &size, WEIR_NOWAIT);

    if (rc == 0)
        rc = weir_send(socket, text, size, WEIR_NOWAIT);
    return rc == -EAGAIN ? 0 : rc;
}

#endif
