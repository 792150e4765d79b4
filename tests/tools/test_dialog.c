/* weir cat on a terminal: what it waits for, prompts, how far it is; and
 * nothing of that where there is none. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/weir.h>

#include "session.h"

static weir_context context;
static char url[64];

static int open_context(void **state)
{
    (void)state;
    snprintf(url, sizeof url, "ipc:///tmp/weir-dialog-%ld", (long)getpid());
    return weir_context_open(&context, 1);
}

static int close_context(void **state)
{
    (void)state;
    return weir_context_close(context, SESSION_SOON);
}

static weir_socket listen_as(int type)
{
    weir_socket socket;

    assert_int_equal(weir_open(&socket, context, type), 0);
    assert_int_equal(weir_bind(socket, url, NULL), 0);
    return socket;
}

static void hear(weir_socket socket, const char *text)
{
    char data[64];
    size_t size = sizeof data - 1;

    assert_int_equal(weir_recv(socket, data, &size, SESSION_SOON), 0);
    data[size] = '\0';
    assert_string_equal(data, text);
}

/* Who only listens is told so, and what ends it. */
static void test_listening(void **state)
{
    const char *argv[] = {"weir", "cat", "--type", "PULL", "--bind", url, NULL};
    struct session session;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0, "waiting for messages (Ctrl-C ends it)\r\n");
    session_press(&session, "\003");
    session_end(&session, 0);
}

/* A prompt for each line, and Ctrl-D ends it. */
static void test_prompt(void **state)
{
    const char *argv[] = {"weir", "cat",    "--type", "PUSH", "--connect",
                          url,    "--send", "-",      NULL};
    struct session session;
    weir_socket pull;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0, "> ");
    session_press(&session, "hello\n");
    session_await(&session, 0, "waiting for a peer to connect to this PUSH");
    pull = listen_as(WEIR_PULL);
    hear(pull, "hello");
    session_await(&session, session.size, "> ");
    session_press(&session, "again\n");
    hear(pull, "again");
    session_press(&session, "\004");
    session_await(&session, 0, "> \r\n");
    session_end(&session, 0);
    weir_close(pull, 0, NULL);
}

/* What comes in takes the place of the prompt, which comes again. */
static void test_both_ways(void **state)
{
    const char *argv[] = {"weir", "cat",    "--type", "PAIR", "--connect",
                          url,    "--send", "-",      NULL};
    weir_socket pair = listen_as(WEIR_PAIR);
    struct session session;
    char *at;

    (void)state;
    session_begin(&session, argv);
    session_await(&session, 0, "> ");
    assert_int_equal(weir_send(pair, "news", 4, SESSION_SOON), 0);
    at = session_await(&session, 0, "\r  \rnews");
    session_await(&session, (size_t)(at - session.seen), "> ");
    session_press(&session, "\004");
    session_end(&session, 0);
    weir_close(pair, 0, NULL);
}

/* A long input that is no terminal is counted on one. */
static void test_count(void **state)
{
    const char *argv[] = {"weir", "cat",    "--type", "PUSH", "--connect",
                          url,    "--send", "-",      NULL};
    struct session session;
    weir_socket pull = listen_as(WEIR_PULL);
    int input[2];

    (void)state;
    assert_int_equal(pipe(input), 0);
    /* else the command would keep its own input open */
    assert_int_equal(fcntl(input[1], F_SETFD, FD_CLOEXEC), 0);
    session_begin_with(&session, argv, input[0]);
    close(input[0]);
    for (int n = 0; !strstr(session.seen, "messages, "); n++) {
        weir_message message;

        assert_true(n < 1000000);
        assert_int_equal(write(input[1], "0123456789\n", 11), 11);
        weir_message_init(&message);
        assert_int_equal(weir_recv_message(pull, &message, SESSION_SOON), 0);
        weir_message_fini(&message);
        (void)session_take(&session, 0);
    }
    session_await(&session, 0, "\rsent ");
    close(input[1]);
    session_end(&session, 0);
    weir_close(pull, 0, NULL);
}

/* Of a file it is known how much is left. */
static void test_part(void **state)
{
    enum { LINES = 400000 };
    const char *argv[] = {"weir", "cat",    "--type", "PUSH", "--connect",
                          url,    "--send", "-",      NULL};
    struct session session;
    weir_socket pull = listen_as(WEIR_PULL);
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < LINES; i++)
        assert_true(fputs("0123456789\n", file) >= 0);
    rewind(file);
    session_begin_with(&session, argv, fileno(file));
    fclose(file);
    for (int i = 0; i < LINES; i++) {
        hear(pull, "0123456789");
        if (!strstr(session.seen, " %)  "))
            (void)session_take(&session, 0);
    }
    session_await(&session, 0, " %)  ");
    session_end(&session, 0);
    weir_close(pull, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listening), cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_count),
        cmocka_unit_test(test_part),
    };

    setenv("TERM", "xterm", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, open_context, close_context);
}
