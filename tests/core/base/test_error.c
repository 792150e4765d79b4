/* test_error.c - the sentence of a thread: made, quoted, cut, kept apart. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "weir/weir.h"

static void test_fail_returns_code(void **state)
{
    (void)state;
    weir_error_clear();
    assert_string_equal(weir_error_text(), "");
    assert_int_equal(weir_fail(EINVAL, "option %s is not %d", "x", 7), -EINVAL);
    assert_string_equal(weir_error_text(), "option x is not 7");
    weir_error_clear();
    assert_string_equal(weir_error_text(), "");
}

/* The application's sentence changes with calls that fail, and not before. */
static void test_answers(void **state)
{
    (void)state;
    weir_error_clear();
    (void)weir_fail(EINVAL, "first");
    assert_string_equal(weir_error_answer(), "");
    assert_int_equal(weir_answer(7), 7);
    assert_string_equal(weir_error_answer(), "");
    assert_int_equal(weir_answer(-EINVAL), -EINVAL);
    assert_string_equal(weir_error_answer(), "first");
    (void)weir_fail(EPIPE, "of another, that was mended");
    assert_int_equal(weir_answer(-EAGAIN), -EAGAIN);
    assert_string_equal(weir_error_answer(), "first");
    assert_int_equal(weir_answer(-ENOMEM), -ENOMEM);
    assert_string_equal(weir_error_answer(), strerror(ENOMEM));
    (void)weir_fail(EAGAIN, "three messages");
    assert_int_equal(weir_answer(-EAGAIN), -EAGAIN);
    assert_string_equal(weir_error_answer(), "three messages");
    assert_int_equal(weir_answer(-EPIPE), -EPIPE);
    assert_string_equal(weir_error_answer(), strerror(EPIPE));
    weir_error_clear();
    assert_string_equal(weir_error_answer(), "");
}

static void test_fail_keeps_errno(void **state)
{
    (void)state;
    errno = EXDEV;
    (void)weir_fail(EINVAL, "bad %s", "thing");
    assert_int_equal(errno, EXDEV);
}

static void test_fail_quotes_itself(void **state)
{
    (void)state;
    (void)weir_fail(ENOENT, "no file");
    (void)weir_fail(ENOENT, "plugin tcp: %s", weir_error_text());
    assert_string_equal(weir_error_text(), "plugin tcp: no file");
}

static void test_fail_cuts(void **state)
{
    char text[2 * WEIR_ERROR_ROOM];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(weir_fail(EIO, "%s", text), -EIO);
    assert_int_equal(strlen(weir_error_text()), WEIR_ERROR_ROOM - 1);
    assert_memory_equal(weir_error_text(), text, WEIR_ERROR_ROOM - 1);
}

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    if (weir_error_text()[0] != '\0')
        return NULL;
    (void)weir_fail(EIO, "elsewhere");
    return (void *)(intptr_t)(strcmp(weir_error_text(), "elsewhere") == 0);
}

static void test_threads_apart(void **state)
{
    pthread_t thread;
    void *right = NULL;

    (void)state;
    (void)weir_fail(EIO, "here");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &right), 0);
    assert_non_null(right);
    assert_string_equal(weir_error_text(), "here");
}

static void test_strerror(void **state)
{
    const int own[] = {WEIR_ESTATE, WEIR_EINCOMPATIBLE, WEIR_ECLOSING,
                       WEIR_EPLUGIN, WEIR_EFORK};

    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const char *text = weir_strerror(own[i]);

        assert_null(strstr(text, "nknown"));
        assert_ptr_equal(text, weir_strerror(-own[i]));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text, weir_strerror(own[j]));
    }
    assert_string_equal(weir_strerror(0), "no error");
    assert_string_equal(weir_strerror(-ENOENT), strerror(ENOENT));
    assert_non_null(weir_strerror(INT_MIN));
    errno = EXDEV;
    assert_non_null(weir_strerror(123456));
    assert_int_equal(errno, EXDEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_returns_code),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_fail_keeps_errno),
        cmocka_unit_test(test_fail_quotes_itself),
        cmocka_unit_test(test_fail_cuts),
        cmocka_unit_test(test_threads_apart),
        cmocka_unit_test(test_strerror),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
