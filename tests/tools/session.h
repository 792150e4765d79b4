/*
 * session.h - the command weir on a terminal of its own, for tests of what it
 * shows to people.
 * Above: tests of this folder.  Below: pseudo-terminals.
 *
 * Every function fails the running test when something is not as it should be,
 * and none waits longer than SESSION_SOON.
 */
#ifndef WEIR_TESTS_SESSION_H
#define WEIR_TESTS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

enum { SESSION_SOON = 20000 /* ms */ };

struct session {
    char program[4096];
    int master, slave;
    pid_t pid;
    struct termios was;
    char *seen; /* all that came, with a NUL */
    size_t size;
};

/* Milliseconds on the monotonic clock. */
int64_t session_now(void);

/* Run the command on a terminal of 80 by 24; argv ends with NULL. */
void session_begin(struct session *session, const char *const *argv);

/* The same with `input` as its standard input; below 0: the terminal. */
void session_begin_with(struct session *session, const char *const *argv,
                        int input);

/* Another size of the terminal that `fd` is. */
void session_resize(int fd, int columns, int rows);

/* Keep what came; false: nothing did, for so long. */
bool session_take(struct session *session, int ms);

/* Wait for words behind the first `from` octets of what was seen.  Returns
 * where they are. */
char *session_await(struct session *session, size_t from, const char *words);

/* Type. */
void session_press(struct session *session, const char *keys);

/* The terminal is as it was before the command began. */
void session_expect_as_it_was(struct session *session);

/* It ends with that code, and leaves the terminal as it was.  What was seen
 * stays until session_free(). */
void session_finish(struct session *session, int code);
void session_free(struct session *session);

/* Both. */
void session_end(struct session *session, int code);

#endif
