/* test_list.c - the ring of nodes keeps its order under every operation. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct weir_list link;
};

static int number_of(struct weir_list *node)
{
    return WEIR_CONTAINER(node, struct item, link)->number;
}

/* The numbers in the list as digits, front to back, checked back to front. */
static int digits(struct weir_list *head)
{
    struct weir_list *node, *after;
    int forth = 0, back = 0, scale = 1;

    WEIR_LIST_EACH(node, after, head)
    forth = forth * 10 + number_of(node);
    for (node = head->prev; node != head; node = node->prev) {
        back += number_of(node) * scale;
        scale *= 10;
    }
    assert_int_equal(forth, back);
    return forth;
}

static void test_order(void **state)
{
    struct item items[5];
    struct weir_list head;

    (void)state;
    weir_list_init(&head);
    assert_true(weir_list_empty(&head));
    assert_null(weir_list_first(&head));
    assert_null(weir_list_pop(&head));
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        weir_list_init(&items[i].link);
    }
    weir_list_append(&head, &items[1].link);
    assert_true(weir_list_alone(&items[1].link));
    weir_list_append(&head, &items[2].link);
    assert_false(weir_list_alone(&items[1].link));
    assert_false(weir_list_alone(&items[2].link));
    weir_list_insert(&head, &items[0].link);
    weir_list_insert(&items[1].link, &items[4].link);
    assert_int_equal(digits(&head), 1253);
    weir_list_remove(&items[4].link);
    weir_list_remove(&items[4].link);
    assert_true(weir_list_empty(&items[4].link));
    assert_int_equal(digits(&head), 123);
    assert_ptr_equal(weir_list_pop(&head), &items[0].link);
    assert_int_equal(digits(&head), 23);
}

static void test_remove_while_visiting(void **state)
{
    struct item items[6];
    struct weir_list head, *node, *after;

    (void)state;
    weir_list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].number = i + 1;
        weir_list_append(&head, &items[i].link);
    }
    WEIR_LIST_EACH(node, after, &head)
    if (number_of(node) % 2 == 1)
        weir_list_remove(node);
    assert_int_equal(digits(&head), 246);
    WEIR_LIST_EACH(node, after, &head)
    weir_list_remove(node);
    assert_true(weir_list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_while_visiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
