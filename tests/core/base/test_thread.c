/* test_thread.c - threads that get no signals, with names and processors. */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/thread.h"

struct seen {
    sigset_t blocked;
    char name[64];
    int processors;
    int first;
};

static void *look_around(void *opaque)
{
    struct seen *seen = opaque;

    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
#ifdef HAVE_PTHREAD_SETNAME_NP
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
#endif
#ifdef HAVE_PTHREAD_ATTR_SETAFFINITY_NP
    cpu_set_t set;

    pthread_getaffinity_np(pthread_self(), sizeof set, &set);
    seen->processors = CPU_COUNT(&set);
    for (seen->first = 0; !CPU_ISSET((size_t)seen->first, &set);)
        seen->first++;
#endif
    return opaque;
}

static void start_and_join(struct seen *seen, const char *name,
                           const char *cpus)
{
    pthread_t thread;
    void *result = NULL;

    memset(seen, 0, sizeof *seen);
    assert_int_equal(weir_thread_start(&thread, look_around, seen, name, cpus),
                     0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, seen);
}

static void test_signals_blocked(void **state)
{
    struct seen seen;
    sigset_t mine;

    (void)state;
    start_and_join(&seen, NULL, NULL);
    assert_int_equal(sigismember(&seen.blocked, SIGUSR1), 1);
    assert_int_equal(sigismember(&seen.blocked, SIGTERM), 1);
    assert_int_equal(sigismember(&seen.blocked, SIGPIPE), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGUSR1), 0);
}

static void test_name(void **state)
{
    struct seen seen;

    (void)state;
#ifndef HAVE_PTHREAD_SETNAME_NP
    skip();
#endif
    start_and_join(&seen, "weir-io/0", "");
    assert_string_equal(seen.name, "weir-io/0");
    start_and_join(&seen, "weir-much-too-long", NULL);
    assert_string_equal(seen.name, "weir-much-too-l");
}

static void test_cpus(void **state)
{
    struct seen seen;
    char cpus[16];
    int first;

    (void)state;
#ifndef HAVE_PTHREAD_ATTR_SETAFFINITY_NP
    assert_int_equal(weir_thread_check_cpus("0"), -ENOTSUP);
    skip();
#endif
    start_and_join(&seen, NULL, NULL);
    first = seen.first;
    snprintf(cpus, sizeof cpus, "%d", first);
    start_and_join(&seen, NULL, cpus);
    assert_int_equal(seen.processors, 1);
    assert_int_equal(seen.first, first);
}

static void test_cpus_refused(void **state)
{
    const char *bad[] = {"x",   "0-",  "-1",    "0,",     ",0",
                         "2-1", "0 1", "99999", "0-1024", "0-1-2"};
    pthread_t thread;

    (void)state;
#ifndef HAVE_PTHREAD_ATTR_SETAFFINITY_NP
    skip();
#endif
    assert_int_equal(weir_thread_check_cpus("0"), 0);
    assert_int_equal(weir_thread_check_cpus("0-3,6,1023"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weir_error_clear();
        assert_int_equal(weir_thread_check_cpus(bad[i]), -EINVAL);
        assert_non_null(strstr(weir_error_text(), bad[i]));
    }
    assert_int_equal(weir_thread_start(&thread, look_around, NULL, "a", "x"),
                     -EINVAL);
    assert_int_equal(weir_thread_start(&thread, look_around, NULL, "a", "1023"),
                     -EINVAL);
    assert_non_null(strstr(weir_error_text(), "\"a\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_blocked),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_cpus_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
