/*
 * test_frame.c - payloads inline, in memory of their own, in memory of the
 * application; shared, moved, released once.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "frame.h"
#include "peer_info.h"
#include "scarce.h"

static const size_t sizes[] = {0, 1, 39, 40, 41, 64, 4096, 1 << 20};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static void assert_empty(weir_frame *frame)
{
    size_t size;

    assert_int_equal(weir_frame_size(frame), 0);
    assert_null(weir_frame_chunk(frame));
    assert_null(weir_frame_property(frame, "Identity", &size));
    assert_int_equal(weir_frame_routing(frame), 0);
}

static void test_zero_is_empty(void **state)
{
    weir_frame zero = {0}, frame;

    (void)state;
    assert_empty(&zero);
    weir_frame_fini(&zero);
    memset(&frame, 0xff, sizeof(frame));
    weir_frame_init(&frame);
    assert_empty(&frame);
    weir_frame_fini(&frame);
    weir_frame_fini(&frame);
}

static void test_alloc_and_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        weir_frame frame;

        assert_int_equal(weir_frame_alloc(&frame, sizes[i]), 0);
        assert_int_equal(weir_frame_size(&frame), sizes[i]);
        memset(weir_frame_data(&frame), 'x', sizes[i]);
        assert_int_equal(!weir_frame_chunk(&frame), sizes[i] <= 40);
        weir_frame_fini(&frame);
        assert_empty(&frame);
    }
}

static void test_copies(void **state)
{
    uint8_t *data = malloc(1 << 20);

    (void)state;
    memset(data, 'c', 1 << 20);
    for (size_t i = 0; i < SIZES; i++) {
        weir_frame frame;

        assert_int_equal(weir_frame_copy_in(&frame, data, sizes[i]), 0);
        assert_int_equal(weir_frame_size(&frame), sizes[i]);
        assert_memory_equal(weir_frame_data(&frame), data, sizes[i]);
        weir_frame_fini(&frame);
    }
    free(data);
    {
        weir_frame frame;

        assert_int_equal(weir_frame_copy_in(&frame, NULL, 0), 0);
        assert_empty(&frame);
    }
}

static int released;

static void release(void *data, void *hint)
{
    assert_ptr_equal(hint, &released);
    assert_string_equal(data, "mine");
    released++;
}

static void test_wrap_share_move(void **state)
{
    static char mine[] = "mine";
    weir_frame frame, copy, moved;

    (void)state;
    released = 0;
    assert_int_equal(
        weir_frame_wrap(&frame, mine, sizeof(mine), release, &released), 0);
    assert_ptr_equal(weir_frame_data(&frame), mine);
    assert_int_equal(weir_frame_size(&frame), sizeof(mine));
    weir_frame_share(&copy, &frame);
    weir_frame_move(&moved, &frame);
    assert_empty(&frame);
    weir_frame_fini(&frame);
    weir_frame_fini(&moved);
    assert_int_equal(released, 0);
    assert_ptr_equal(weir_frame_data(&copy), mine);
    weir_frame_fini(&copy);
    assert_int_equal(released, 1);
    weir_frame_fini(&copy);
    assert_int_equal(released, 1);
}

static void test_inline_payloads_are_copied(void **state)
{
    weir_frame frame, copy;

    (void)state;
    assert_int_equal(weir_frame_copy_in(&frame, "hello", 5), 0);
    weir_frame_share(&copy, &frame);
    *(char *)weir_frame_data(&copy) = 'j';
    assert_memory_equal(weir_frame_data(&frame), "hello", 5);
    assert_memory_equal(weir_frame_data(&copy), "jello", 5);
    weir_frame_fini(&frame);
    weir_frame_fini(&copy);
}

static void test_properties_live_as_long_as_a_frame(void **state)
{
    struct weir_peer_info *info = weir_peer_info_new("\001X\0\0\0\2ab", 8);
    weir_frame frame, copy;
    size_t size = 0;

    (void)state;
    weir_frame_init(&frame);
    weir_frame_set_peer(&frame, 77, info);
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD - 1);
    weir_frame_share(&copy, &frame);
    weir_frame_fini(&frame);
    assert_empty(&frame);
    assert_memory_equal(weir_frame_property(&copy, "x", &size), "ab", 2);
    assert_int_equal(size, 2);
    assert_int_equal(weir_frame_routing(&copy), 77);
    assert_null(weir_frame_property(&copy, "y", &size));
    weir_frame_fini(&copy);
}

/* A frame that could not be made is an empty one. */
static void test_octets_that_are_nowhere(void **state)
{
    weir_frame frame;

    (void)state;
    memset(&frame, 0xaa, sizeof frame);
    assert_int_equal(weir_frame_copy_in(&frame, NULL, 1), -EINVAL);
    assert_empty(&frame);
    memset(&frame, 0xaa, sizeof frame);
    assert_int_equal(weir_frame_wrap(&frame, NULL, 1, release, NULL), -EINVAL);
    assert_empty(&frame);
    assert_int_equal(weir_frame_copy_in(&frame, NULL, 0), 0);
    assert_empty(&frame);
}

static void test_no_memory(void **state)
{
    weir_frame frame;
    char mine[100];

    (void)state;
    released = 0;
    scarce_fail(0);
    assert_int_equal(weir_frame_alloc(&frame, 41), -ENOMEM);
    assert_empty(&frame);
    assert_non_null(strstr(weir_error_text(), "41"));
    scarce_fail(0);
    assert_int_equal(weir_frame_copy_in(&frame, mine, 100), -ENOMEM);
    assert_empty(&frame);
    scarce_fail(0);
    assert_int_equal(weir_frame_wrap(&frame, mine, 4, release, &released),
                     -ENOMEM);
    assert_empty(&frame);
    assert_int_equal(released, 0);
    assert_int_equal(weir_frame_alloc(&frame, SIZE_MAX), -ENOMEM);
    assert_empty(&frame);
    scarce_fail(0);
    assert_int_equal(weir_frame_alloc(&frame, 40), 0); /* needs none */
    scarce_fail(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_empty),
        cmocka_unit_test(test_alloc_and_write),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_wrap_share_move),
        cmocka_unit_test(test_inline_payloads_are_copied),
        cmocka_unit_test(test_properties_live_as_long_as_a_frame),
        cmocka_unit_test(test_octets_that_are_nowhere),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
