/*
 * test_message.c - rows of frames, and what a failed call leaves of them.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "message.h"
#include "scarce.h"

static void add(weir_message *message, unsigned number)
{
    char text[100];
    int size = snprintf(text, sizeof(text), "%u%*s", number, (int)(number % 60),
                        ""); /* some inline, some not */

    assert_int_equal(weir_message_add(message, text, (size_t)size), 0);
}

static void assert_number(weir_frame *frame, unsigned number)
{
    char text[100];
    int size =
        snprintf(text, sizeof(text), "%u%*s", number, (int)(number % 60), "");

    assert_non_null(frame);
    assert_int_equal(weir_frame_size(frame), size);
    assert_memory_equal(weir_frame_data(frame), text, (size_t)size);
}

static void fill(weir_message *message, unsigned frames)
{
    weir_message_init(message);
    for (unsigned i = 0; i < frames; i++)
        add(message, i);
}

static void assert_numbers(weir_message *message, unsigned from, unsigned count)
{
    assert_int_equal(weir_message_count(message), count);
    for (unsigned i = 0; i < count; i++)
        assert_number(weir_message_frame(message, i), from + i);
    assert_null(weir_message_frame(message, count));
}

static void test_frames_in_order(void **state)
{
    (void)state;
    for (unsigned count = 0; count < 300; count = count * 2 + 1) {
        weir_message message;

        fill(&message, count);
        assert_numbers(&message, 0, count);
        weir_message_fini(&message);
        assert_numbers(&message, 0, 0);
        add(&message, 0); /* can be used again */
        assert_numbers(&message, 0, 1);
        weir_message_fini(&message);
    }
}

static void test_one_frame_needs_no_memory(void **state)
{
    weir_message message;

    (void)state;
    weir_message_init(&message);
    scarce_count_anew();
    assert_int_equal(weir_message_add(&message, "small", 5), 0);
    weir_message_fini(&message);
    assert_int_equal(scarce_count, 0);
}

static void test_pop(void **state)
{
    weir_message message;
    weir_frame frame;

    (void)state;
    fill(&message, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(weir_message_pop(&message, &frame), 0);
        assert_number(&frame, i);
        assert_numbers(&message, i + 1, 99 - i);
        weir_frame_fini(&frame);
    }
    assert_int_equal(weir_message_pop(&message, &frame), -ENOENT);
    add(&message, 5);
    assert_numbers(&message, 5, 1);
    weir_message_fini(&message);
}

static void test_prepend(void **state)
{
    weir_message message;
    weir_frame *frame;

    (void)state;
    weir_message_init(&message);
    for (unsigned i = 50; i-- > 0;) {
        weir_message other;

        weir_message_init(&other);
        add(&other, i);
        assert_int_equal(weir_message_prepend(&message, &frame), 0);
        weir_frame_move(frame, &other.first);
        weir_message_fini(&other);
    }
    assert_numbers(&message, 0, 50);
    weir_message_fini(&message);
}

static void test_move_and_share(void **state)
{
    weir_message message, moved, copy;

    (void)state;
    for (unsigned count = 0; count < 70; count += 23) {
        fill(&message, count);
        weir_message_move(&moved, &message);
        assert_numbers(&message, 0, 0);
        assert_int_equal(weir_message_share(&copy, &moved), 0);
        assert_numbers(&copy, 0, count);
        weir_message_fini(&moved);
        assert_numbers(&copy, 0, count);
        weir_message_fini(&copy);
        weir_message_fini(&message);
    }
}

static void test_no_memory(void **state)
{
    weir_message message, copy;
    weir_frame frame;
    char text[100];

    (void)state;
    fill(&message, 1);
    assert_int_equal(weir_frame_copy_in(&frame, "kept", 4), 0);
    scarce_fail(0);
    assert_int_equal(weir_message_push(&message, &frame), -ENOMEM);
    assert_memory_equal(weir_frame_data(&frame), "kept", 4);
    assert_numbers(&message, 0, 1);
    memset(text, 0, sizeof(text));
    for (int i = 0; i < 2; i++) { /* the payload's memory, the frame's place */
        scarce_fail(i);
        assert_int_equal(weir_message_add(&message, text, sizeof(text)),
                         -ENOMEM);
        assert_numbers(&message, 0, 1);
    }
    add(&message, 1);
    scarce_fail(0);
    assert_int_equal(weir_message_share(&copy, &message), -ENOMEM);
    assert_numbers(&copy, 0, 0);
    scarce_fail(-1);
    weir_message_fini(&message);
    weir_frame_fini(&frame);
}

static void test_most_frames(void **state)
{
    weir_message message;
    weir_frame *frame, one = {0};

    (void)state;
    weir_message_init(&message);
    for (uint32_t i = 0; i < WEIR_MESSAGE_FRAMES; i++)
        if (weir_message_extend(&message, &frame))
            fail();
    assert_int_equal(weir_message_extend(&message, &frame), -E2BIG);
    assert_int_equal(weir_message_prepend(&message, &frame), -E2BIG);
    assert_int_equal(weir_message_push(&message, &one), -E2BIG);
    assert_int_equal(weir_message_count(&message), WEIR_MESSAGE_FRAMES);
    weir_message_fini(&message);
}

/* So that it can be initialised where it is declared. */
static void test_zero_is_empty(void **state)
{
    weir_message zero = {0}, copy;

    (void)state;
    assert_int_equal(weir_message_count(&zero), 0);
    assert_null(weir_message_frame(&zero, 0));
    assert_int_equal(weir_message_share(&copy, &zero), 0);
    assert_int_equal(weir_message_count(&copy), 0);
    assert_int_equal(weir_message_add(&zero, "x", 1), 0);
    assert_int_equal(weir_message_add(&zero, "y", 1), 0);
    assert_int_equal(weir_message_count(&zero), 2);
    weir_message_fini(&zero);
    weir_message_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_empty),
        cmocka_unit_test(test_frames_in_order),
        cmocka_unit_test(test_one_frame_needs_no_memory),
        cmocka_unit_test(test_pop),
        cmocka_unit_test(test_prepend),
        cmocka_unit_test(test_move_and_share),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_most_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
