/* test_heap.c - the heap against a plain array, under random operations. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

#define NODES 300
#define STEPS 30000

static uint32_t seed = 12345;

static uint32_t draw(uint32_t limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static int64_t least(const struct weir_heap_node *nodes)
{
    int64_t key = INT64_MAX;

    for (int i = 0; i < NODES; i++)
        if (weir_heap_has(&nodes[i]) && nodes[i].key < key)
            key = nodes[i].key;
    return key;
}

static void test_empty(void **state)
{
    struct weir_heap heap;
    struct weir_heap_node node;

    (void)state;
    weir_heap_init(&heap);
    weir_heap_node_init(&node);
    assert_null(weir_heap_first(&heap));
    assert_false(weir_heap_has(&node));
    weir_heap_insert(&heap, &node, 7);
    assert_true(weir_heap_has(&node));
    assert_ptr_equal(weir_heap_first(&heap), &node);
    weir_heap_remove(&heap, &node);
    assert_false(weir_heap_has(&node));
    assert_null(weir_heap_first(&heap));
}

static void test_random(void **state)
{
    static struct weir_heap_node nodes[NODES];
    struct weir_heap heap = {NULL};

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        struct weir_heap_node *node = &nodes[draw(NODES)];

        if (draw(4) == 0 && weir_heap_first(&heap) != NULL)
            node = weir_heap_first(&heap);
        if (weir_heap_has(node))
            weir_heap_remove(&heap, node);
        else
            weir_heap_insert(&heap, node, (int64_t)draw(1000) - 500);
        if (weir_heap_first(&heap) == NULL)
            assert_true(least(nodes) == INT64_MAX);
        else
            assert_true(weir_heap_first(&heap)->key == least(nodes));
    }
}

static void check_sorted(const int64_t *keys, int count)
{
    struct weir_heap_node *nodes = calloc((size_t)count, sizeof *nodes);
    struct weir_heap heap = {NULL};
    int64_t last = INT64_MIN;

    assert_non_null(nodes);
    for (int i = 0; i < count; i++)
        weir_heap_insert(&heap, &nodes[i], keys[i]);
    for (int i = 0; i < count; i++) {
        struct weir_heap_node *first = weir_heap_first(&heap);

        assert_non_null(first);
        assert_true(first->key >= last);
        last = first->key;
        weir_heap_remove(&heap, first);
    }
    assert_null(weir_heap_first(&heap));
    free(nodes);
}

/* Up, down and equal: the shapes that make long chains of siblings. */
static void test_sorts(void **state)
{
    static int64_t keys[100000];
    const int count = sizeof keys / sizeof keys[0];

    (void)state;
    for (int i = 0; i < count; i++)
        keys[i] = i;
    check_sorted(keys, count);
    for (int i = 0; i < count; i++)
        keys[i] = -i;
    check_sorted(keys, count);
    for (int i = 0; i < count; i++)
        keys[i] = i % 2 != 0 ? INT64_MAX : INT64_MIN;
    check_sorted(keys, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_sorts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
