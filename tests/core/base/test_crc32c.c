/* test_crc32c.c - the sums of RFC 3720 (B.4), in one piece and in many. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"

typedef uint32_t sum_function(uint32_t sum, const void *data, size_t size);

static void check_known(sum_function *sum)
{
    uint8_t data[32];

    memset(data, 0, sizeof data);
    assert_int_equal(sum(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(sum(0, data, sizeof data), 0x62a8ab43);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(sum(0, data, sizeof data), 0x46dd794e);
    assert_int_equal(sum(0, "123456789", 9), 0xe3069283);
    assert_int_equal(sum(0, data, 0), 0);
}

static void test_known(void **state)
{
    (void)state;
    check_known(weir_crc32c);
    check_known(weir_crc32c_by_table);
}

static void test_pieces(void **state)
{
    uint8_t data[301];
    uint32_t whole;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 13);
    whole = weir_crc32c(0, data, sizeof data);
    for (size_t at = 0; at <= sizeof data; at++)
        assert_int_equal(weir_crc32c(weir_crc32c(0, data, at), data + at,
                                     sizeof data - at),
                         whole);
    assert_int_equal(weir_crc32c_by_table(0, data, sizeof data), whole);
    data[100] ^= 16;
    assert_int_not_equal(weir_crc32c(0, data, sizeof data), whole);
}

/* What is long is summed in another way than what is short: wherever it begins
 * and ends, and whatever was before it, the sum is the same. */
static void test_long(void **state)
{
    static uint8_t data[10000];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
    for (size_t size = 3000; size < sizeof data - 8; size += 31)
        for (size_t at = 0; at < 8; at++)
            assert_int_equal(weir_crc32c(seed, data + at, size),
                             weir_crc32c_by_table(seed, data + at, size));
    for (size_t size = 3064; size < 3084; size++)
        assert_int_equal(weir_crc32c(0, data, size),
                         weir_crc32c_by_table(0, data, size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
