/* Tests of signal.h: readable when it was set, and not when it was cleared,
 * however often. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/signal.h"

enum { OFTEN = 100000 }; /* more octets than a pipe has room for */

static bool readable(const struct weir_signal *signal)
{
    struct pollfd item = {.fd = signal->in, .events = POLLIN};

    return poll(&item, 1, 0) == 1;
}

static void test_set_and_clear(void **state)
{
    struct weir_signal signal;

    (void)state;
    assert_int_equal(weir_signal_open(&signal), 0);
    assert_false(readable(&signal));
    for (int i = 0; i < 3; i++) {
        weir_signal_set(&signal);
        assert_true(readable(&signal));
        assert_true(readable(&signal));
        weir_signal_clear(&signal);
        assert_false(readable(&signal));
    }
    weir_signal_clear(&signal); /* does not wait for anything */
    assert_false(readable(&signal));
    weir_signal_close(&signal);
}

/* Neither does setting it, and one clear is enough for all. */
static void test_set_often(void **state)
{
    struct weir_signal signal;

    (void)state;
    assert_int_equal(weir_signal_open(&signal), 0);
    for (int n = 1; n <= OFTEN; n *= 10) {
        for (int i = 0; i < n; i++)
            weir_signal_set(&signal);
        assert_true(readable(&signal));
        weir_signal_clear(&signal);
        assert_false(readable(&signal));
    }
    weir_signal_close(&signal);
}

static void assert_private(int fd)
{
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_descriptors(void **state)
{
    struct weir_signal signal, never = WEIR_SIGNAL_NONE;
    int in;

    (void)state;
    assert_int_equal(weir_signal_open(&signal), 0);
    in = signal.in;
    assert_private(signal.in);
    assert_private(signal.out);
    weir_signal_close(&signal);
    assert_int_equal(fcntl(in, F_GETFD), -1);
    weir_signal_close(&signal);
    weir_signal_close(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_clear),
        cmocka_unit_test(test_set_often),
        cmocka_unit_test(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
