/* Tests of poll_many.h: what is ready is found, whatever the limit. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/poll_many.h"

enum { N = 7 };

static struct rlimit normal;
static int pipes[N][2];

static int open_pipes(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        if (pipe(pipes[i]) < 0)
            return -1;
    return getrlimit(RLIMIT_NOFILE, &normal);
}

static int close_pipes(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    return setrlimit(RLIMIT_NOFILE, &normal);
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit few = normal;

    few.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

/* Bits: which of the pipes were found readable; no other may be counted. */
static unsigned look(int ms)
{
    struct pollfd fds[N];
    unsigned found = 0;
    int n = 0, r;

    for (int i = 0; i < N; i++)
        fds[i] = (struct pollfd){pipes[i][0], POLLIN, POLLIN};
    r = weir_poll_many(fds, N, ms);
    for (int i = 0; i < N; i++)
        if (fds[i].revents) {
            found |= 1u << i;
            n++;
        }
    assert_int_equal(r, n);
    return found;
}

static void assert_each_is_found(void)
{
    char c = 'x';

    assert_int_equal(look(0), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(write(pipes[i][1], &c, 1), 1);
        assert_int_equal(look(-1), 1u << i);
        assert_int_equal(read(pipes[i][0], &c, 1), 1);
    }
    assert_int_equal(write(pipes[0][1], &c, 1), 1);
    assert_int_equal(write(pipes[N - 1][1], &c, 1), 1);
    assert_int_equal(look(1000), 1u | 1u << (N - 1));
}

static void test_within_the_limit(void **state)
{
    (void)state;
    assert_each_is_found();
}

static void test_beyond_the_limit(void **state)
{
    (void)state;
    limit_descriptors(3);
    assert_each_is_found();
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    limit_descriptors(1);
    assert_each_is_found();
}

/* It does not turn in circles. */
static void test_waits(void **state)
{
    int64_t before = weir_now();

    (void)state;
    limit_descriptors(3);
    assert_int_equal(look(5), 0);
    assert_true(weir_now() - before >= 5000000);
    assert_int_equal(look(-1), 0);
    assert_true(weir_now() - before >= 10000000);
}

/* Where not even one is allowed, nothing is ready, and nothing is lost. */
static void test_none_allowed(void **state)
{
    char c = 'x';

    (void)state;
    assert_int_equal(write(pipes[2][1], &c, 1), 1);
    limit_descriptors(0);
    assert_int_equal(look(1), 0);
    limit_descriptors(N);
    assert_int_equal(look(1), 1u << 2);
}

static void test_nothing_to_look_at(void **state)
{
    (void)state;
    assert_int_equal(weir_poll_many(NULL, 0, 1), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, open_pipes, close_pipes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_within_the_limit), TEST(test_beyond_the_limit),
        TEST(test_one_at_a_time),    TEST(test_waits),
        TEST(test_none_allowed),     TEST(test_nothing_to_look_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
