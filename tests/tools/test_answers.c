/*
 * What the looking commands make of answers that are no reports: the test is a
 * stats endpoint that says what no good one would, or nothing.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/weir.h>

#include "session.h"

enum { SOON = SESSION_SOON };

static char folder[] = "/tmp/weir-answers-XXXXXX", place[64];
static weir_context context;
static weir_socket router;

static int open_endpoint(void **state)
{
    weir_endpoint endpoint;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(place, sizeof place, "ipc://%s/here", folder);
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_open(&router, context, WEIR_ROUTER), 0);
    assert_int_equal(weir_bind(router, place, &endpoint), 0);
    return 0;
}

static int close_endpoint(void **state)
{
    (void)state;
    weir_close(router, 0, NULL);
    assert_int_equal(weir_context_close(context, SOON), 0);
    return rmdir(folder);
}

/* ---- a question, and what it is answered with ---- */

/* What leads back to who asks is kept in *way. */
static void await_question(weir_message *way)
{
    weir_message_init(way);
    assert_int_equal(weir_recv_message(router, way, SOON), 0);
    assert_int_equal(way->count, 2);
}

static void answer(weir_message *way, const char *text)
{
    weir_message message;

    weir_message_init(&message);
    assert_int_equal(weir_message_share(&message, way), 0);
    weir_frame_fini(weir_message_frame(&message, 1));
    message.count = 1;
    assert_int_equal(weir_message_add(&message, text, strlen(text)), 0);
    assert_int_equal(weir_send_message(router, &message, SOON), 0);
    weir_message_fini(&message);
}

/* Run a command that asks once, and ends with `code`; `seen` is filled. */
static void run(const char *const *argv, const char *text, int code,
                char seen[4096])
{
    struct session session;
    weir_message way;

    session_begin(&session, argv);
    await_question(&way);
    answer(&way, text);
    weir_message_fini(&way);
    session_finish(&session, code);
    snprintf(seen, 4096, "%s", session.seen);
    session_free(&session);
}

static void expect(const char *seen, const char *words)
{
    if (!strstr(seen, words))
        fail_msg("no '%s' in: %s", words, seen);
}

static void expect_plain(const char *seen)
{
    for (; *seen; seen++)
        if ((*seen & 0xe0) == 0 && !strchr("\r\n", *seen))
            fail_msg("a control character in: %s", seen);
}

/* ---- the commands ---- */

#define STATS(...) ((const char *const[]){"weir", "stats", place, __VA_ARGS__})
#define TOP(...)   ((const char *const[]){"weir", "top", place, __VA_ARGS__})
#define MONITOR(...) \
    ((const char *const[]){"weir", "monitor", place, __VA_ARGS__})

static const char evil[] = "{\"program\": \"\\u001b[31m\", \"sockets\": "
                           "[{\"type\": \"\\u001b[31mP\", \"id\": 1}]}";

static void test_type(void **state)
{
    char seen[4096];

    (void)state;
    run(STATS(NULL), evil, 0, seen);
    expect(seen, "\\x1b[31mP");
    expect_plain(seen);
}

static void test_error(void **state)
{
    static const char text[] = "{\"error\": \"no \\u001b[31m\"}";
    char seen[4096];

    (void)state;
    run(STATS(NULL), text, 1, seen);
    expect(seen, "no \\x1b[31m");
    expect_plain(seen);
    run(STATS("--json", NULL), text, 1, seen);
    assert_null(strstr(seen, "{"));
    run(STATS("--prometheus", NULL), text, 1, seen);
    expect(seen, "weir_up{target=");
    expect(seen, "\"} 0\r\n");
    run(MONITOR(NULL), text, 1, seen);
    expect(seen, "no \\x1b[31m");
    expect_plain(seen);
}

static void test_no_object(void **state)
{
    char seen[4096];

    (void)state;
    run(STATS(NULL), "7", 1, seen);
    expect(seen, "is no stats endpoint");
    run(STATS("--prometheus", NULL), "[]", 1, seen);
    expect(seen, "\"} 0\r\n");
    run(STATS(NULL), "", 1, seen);
    expect(seen, "is no stats endpoint");
    run(MONITOR(NULL), "null", 1, seen);
    expect(seen, "is no stats endpoint");
}

/* --json is a line, in which nothing leads a terminal astray. */
static void test_json(void **state)
{
    char seen[4096];

    (void)state;
    run(STATS("--json", NULL), "{\"a\":\n\t\"\xc2\x9b \x7f\xe2\x80\xae\"}", 0,
        seen);
    assert_string_equal(seen, "{\"a\":  \"\\u009b \\u007f\\u202e\"}\r\n");
}

static void test_prometheus(void **state)
{
    char seen[4096];

    (void)state;
    run(STATS("--prometheus", NULL), evil, 0, seen);
    expect(seen, "type=\"\xef\xbf\xbd[31mP\"");
    expect_plain(seen);
}

/* What top prints at first needs two looks. */
static void test_top(void **state)
{
    struct session session;
    weir_message way;

    (void)state;
    session_begin(&session, TOP("--once", "--interval", "0.1", NULL));
    for (int i = 0; i < 2; i++) {
        await_question(&way);
        answer(&way, evil);
        weir_message_fini(&way);
    }
    session_await(&session, 0, "\\x1b[31mP");
    expect_plain(session.seen);
    session_end(&session, 0);
}

/* ---- no answer, and one who would go ---- */

/* It ends long before the deadline for answers. */
static void end_in_vain(const char *const *argv, const char *keys, int number)
{
    int64_t since;
    struct session session;
    weir_message way;

    session_begin(&session, argv);
    await_question(&way);
    since = session_now();
    if (keys)
        session_press(&session, keys);
    else
        kill(session.pid, number);
    session_end(&session, 0);
    assert_true(session_now() - since < SOON);
    weir_message_fini(&way);
}

static void test_deaf(void **state)
{
    (void)state;
    end_in_vain(TOP("--timeout", "600", NULL), "\003", 0);
    end_in_vain(TOP("--timeout", "600", NULL), "q", 0);
    end_in_vain(TOP("--timeout", "600", NULL), NULL, SIGTERM);
    end_in_vain(TOP("--timeout", "600", NULL), NULL, SIGHUP);
    end_in_vain(TOP("--timeout", "600", NULL), NULL, SIGQUIT);
    end_in_vain(TOP("--timeout", "600", "--json", NULL), NULL, SIGTERM);
    end_in_vain(MONITOR("--timeout", "600", NULL), NULL, SIGINT);
}

/* weir top asks once for each look, and nothing else; for the rates of the
 * first that it shows it has looked before. */
static void test_looks(void **state)
{
    const uint64_t looks = 9;
    struct session session;
    weir_stats stats = {.size = sizeof stats};
    uint64_t before;

    (void)state;
    assert_int_equal(weir_socket_stats(router, &stats), 0);
    before = stats.delivered + stats.recv_queued;
    session_begin(&session, TOP("--interval", "0.05", "--timeout", "20",
                                "--count", "8", "--json", NULL));
    for (uint64_t i = 0; i < looks; i++) {
        weir_message way;

        await_question(&way);
        answer(&way, "{\"program\": \"p\", \"sockets\": []}");
        weir_message_fini(&way);
    }
    session_end(&session, 0);
    assert_int_equal(weir_socket_stats(router, &stats), 0);
    assert_int_equal(stats.delivered + stats.recv_queued - before, looks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type),       cmocka_unit_test(test_error),
        cmocka_unit_test(test_no_object),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_prometheus), cmocka_unit_test(test_top),
        cmocka_unit_test(test_deaf),       cmocka_unit_test(test_looks),
    };

    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, open_endpoint, close_endpoint);
}
