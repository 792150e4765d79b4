/*
 * test_pgm_rate.c - how fast a publisher may send: what goes in a time, what
 * is made up for when a turn comes late, and what is not.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugins/transport_pgm/rate.h"

enum { MS = 1000000, PACKET = 1500 };

/* Turns every `step` ns, each of which sends all that it may; the octets that
 * went in `ms`. */
static uint64_t send_all(struct weir_pgm_rate *rate, uint64_t *clock,
                         uint64_t step, unsigned ms)
{
    uint64_t end = *clock + (uint64_t)ms * MS, sent = 0;

    for (; *clock < end; *clock += step) {
        weir_pgm_rate_look(rate, *clock);
        for (; weir_pgm_rate_wait(rate) == 0; sent += PACKET)
            weir_pgm_rate_spend(rate, PACKET);
    }
    return sent;
}

/* All of the rate is used, and no more: a packet and what was kept from
 * before may come on top. */
static void check_second(unsigned kbit, uint64_t step)
{
    struct weir_pgm_rate rate;
    uint64_t clock = 5000000000u, sent, want = (uint64_t)kbit * 125;

    weir_pgm_rate_init(&rate, kbit);
    (void)send_all(&rate, &clock, step, 100);
    sent = send_all(&rate, &clock, step, 1000);
    assert_true(sent + PACKET + want * step / 1000000000u >= want);
    assert_true(sent <= want + PACKET + want * step / 1000000000u);
}

static void test_all_of_it(void **state)
{
    (void)state;
    for (unsigned kbit = 100; kbit <= 1000000; kbit *= 10) {
        check_second(kbit, 50000);
        check_second(kbit, MS);
    }
    check_second(100000, 4 * MS);
}

/* Of a long pause a few milliseconds are made up for. */
static void test_pause(void **state)
{
    static const struct {
        unsigned kbit;
        uint64_t most; /* octets at once */
    } cases[] = {
        {10000, 5 * 1250},      /* 5 ms */
        {100000, 5 * 12500},    /* 5 ms */
        {1000000, 256 * 1024},  /* what receivers have room for */
        {10000000, 1250 * 1000} /* 1 ms */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_pgm_rate rate;
        uint64_t clock = 5000000000u, sent;

        weir_pgm_rate_init(&rate, cases[i].kbit);
        (void)send_all(&rate, &clock, MS, 10);
        clock += 3600000000000u;
        sent = send_all(&rate, &clock, MS, 1);
        assert_true(sent >= cases[i].most);
        assert_true(sent <= cases[i].most + PACKET);
    }
}

/* How long to wait is said. */
static void test_wait(void **state)
{
    struct weir_pgm_rate rate;

    (void)state;
    weir_pgm_rate_init(&rate, 12); /* 1500 octets a second */
    weir_pgm_rate_look(&rate, 5000000000u);
    assert_int_equal(weir_pgm_rate_wait(&rate), 0);
    weir_pgm_rate_spend(&rate, PACKET);
    assert_int_equal(weir_pgm_rate_wait(&rate), 1000u * MS - 5 * MS);
    weir_pgm_rate_look(&rate, 5000000000u + 994u * MS);
    assert_int_equal(weir_pgm_rate_wait(&rate), 1 * MS);
    weir_pgm_rate_look(&rate, 5000000000u + 995u * MS);
    assert_int_equal(weir_pgm_rate_wait(&rate), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
