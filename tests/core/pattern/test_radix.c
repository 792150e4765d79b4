/*
 * test_radix.c - the tree against a sorted table, under random operations,
 * with and without memory; its own invariants; strings of many nodes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory.h"
#include "pattern/radix.h"

#define KEYS    400
#define LONGEST 900
#define STEPS   30000

struct key {
    uint8_t text[LONGEST];
    size_t size;
    bool used;
};

static struct key keys[KEYS];

static int compare(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    size_t least = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->text, b->text, least);

    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static void append(struct key *key, uint32_t octet)
{
    if (key->size < LONGEST)
        key->text[key->size++] = (uint8_t)octet;
}

/* Keys that fork often: few letters and many lengths, some the beginning of
 * others, some of several nodes; and one place with very many children. */
static void draw_key(struct key *key, const struct key *others, uint32_t count)
{
    uint32_t kind = draw(10);
    uint32_t more = draw(kind == 0 ? LONGEST : 12);

    memset(key, 0, sizeof *key);
    if (kind < 5 && count > 0)
        *key = others[draw(count)];
    if (kind == 1)
        key->size = draw((uint32_t)key->size + 1);
    if (kind >= 7) {
        append(key, 1);
        append(key, draw(256));
        return;
    }
    while (more-- > 0)
        append(key, kind == 0 ? 'x' : draw(3));
}

static void draw_keys(void)
{
    uint32_t count = 0;

    while (count < KEYS) {
        bool known = false;

        draw_key(&keys[count], keys, count);
        for (uint32_t i = 0; i < count && !known; i++)
            known = compare(&keys[i], &keys[count]) == 0;
        count += !known;
    }
    qsort(keys, KEYS, sizeof keys[0], compare);
}

/* The nodes below `node` hang together. */
static void check_node(const struct weir_radix *radix,
                       struct weir_radix_node *node)
{
    static const uint16_t rooms[] = {0,  1,  2,  4,  6,  8,  10,
                                     12, 16, 24, 32, 48, 256};
    const bool by_label = rooms[node->size] == 256;
    struct weir_radix_node **children =
        (struct weir_radix_node **)(void *)node + node->offset;
    int last = -1;
    uint16_t count = 0;

    for (size_t i = 0; i < rooms[node->size]; i++) {
        struct weir_radix_node *child = children[i];

        if (!by_label && i >= node->children)
            break;
        if (child == NULL)
            continue;
        count++;
        assert_ptr_equal(child->parent, node);
        assert_true(child->label > last);
        last = child->label;
    }
    assert_int_equal(node->children, count);
    assert_true(node->used || count > 0 || node == radix->root);
}

static void check_tree(struct weir_radix *radix)
{
    struct weir_radix_node *node = weir_radix_first(radix);
    size_t count = 0;

    for (size_t i = 0; i < KEYS; i++) {
        if (!keys[i].used)
            continue;
        assert_non_null(node);
        check_node(radix, node);
        if (node->parent != NULL)
            check_node(radix, node->parent);
        assert_true(node->value.number == i + 1);
        assert_int_equal(weir_radix_text(radix, node), keys[i].size);
        assert_memory_equal(radix->text, keys[i].text, keys[i].size);
        node = weir_radix_next(node);
        count++;
    }
    assert_null(node);
    assert_int_equal(radix->count, count);
}

static void check_key(struct weir_radix *radix, size_t i)
{
    const struct key *key = &keys[i];
    struct weir_radix_node *node = weir_radix_find(radix, key->text, key->size);
    size_t next = i + 1;

    assert_true((node != NULL) == key->used);
    if (node != NULL)
        assert_true(node->value.number == i + 1);
    while (next < KEYS && !keys[next].used)
        next++;
    node = weir_radix_above(radix, key->text, key->size);
    assert_true((node != NULL) == (next < KEYS));
    if (node != NULL)
        assert_true(node->value.number == next + 1);
}

/* The walk along a key meets its prefixes, and only them. */
static void check_walk(struct weir_radix *radix, const struct key *data)
{
    struct weir_radix_walk walk;
    struct weir_radix_node *node;

    weir_radix_walk(&walk, radix, data->text, data->size);
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];

        if (!key->used || key->size > data->size ||
            memcmp(key->text, data->text, key->size) != 0)
            continue;
        node = weir_radix_walk_next(&walk);
        assert_non_null(node);
        assert_true(node->value.number == i + 1);
    }
    assert_null(weir_radix_walk_next(&walk));
    assert_null(weir_radix_walk_next(&walk));
}

static void insert_key(struct weir_radix *radix, size_t i)
{
    struct key *key = &keys[i];
    struct weir_radix_node *node =
        weir_radix_insert(radix, key->text, key->size);

    if (node == NULL) {
        assert_true(memory_scarce != 0);
        return;
    }
    assert_true(node->value.number == (key->used ? i + 1 : 0));
    node->value.number = i + 1;
    key->used = true;
}

static void remove_key(struct weir_radix *radix, size_t i)
{
    struct weir_radix_node *node =
        weir_radix_find(radix, keys[i].text, keys[i].size);

    assert_true((node != NULL) == keys[i].used);
    if (node != NULL)
        weir_radix_remove(radix, node);
    keys[i].used = false;
}

/* Grows and shrinks in turns. */
static void run_model(uint32_t scarcity)
{
    struct weir_radix radix;
    size_t before;

    draw_keys();
    before = memory_used;
    weir_radix_init(&radix, NULL);
    memory_scarce = scarcity;
    for (uint32_t step = 0; step < STEPS; step++) {
        size_t i = draw(KEYS);

        if (draw(10) < (step / 5000 % 2 == 0 ? 7 : 2))
            insert_key(&radix, i);
        else
            remove_key(&radix, i);
        check_key(&radix, draw(KEYS));
        check_walk(&radix, &keys[draw(KEYS)]);
        if (step % 500 == 0)
            check_tree(&radix);
    }
    memory_scarce = 0;
    for (size_t i = 0; i < KEYS; i++)
        remove_key(&radix, i);
    assert_null(radix.root);
    assert_int_equal(memory_used, before);
    for (size_t i = 0; i < KEYS; i++)
        insert_key(&radix, i);
    check_tree(&radix);
    weir_radix_fini(&radix);
    assert_int_equal(memory_used, before);
}

static void test_random(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        run_model(0);
}

static void test_random_without_memory(void **state)
{
    (void)state;
    run_model(2);
    run_model(20);
}

static void test_empty(void **state)
{
    struct weir_radix_walk walk;
    struct weir_radix radix;

    (void)state;
    weir_radix_init(&radix, NULL);
    assert_null(weir_radix_find(&radix, "a", 1));
    assert_null(weir_radix_first(&radix));
    assert_null(weir_radix_above(&radix, "", 0));
    weir_radix_walk(&walk, &radix, "a", 1);
    assert_null(weir_radix_walk_next(&walk));
    assert_non_null(weir_radix_insert(&radix, NULL, 0));
    assert_non_null(weir_radix_find(&radix, NULL, 0));
    weir_radix_walk(&walk, &radix, NULL, 0);
    assert_non_null(weir_radix_walk_next(&walk));
    weir_radix_fini(&radix);
}

/* Strings of very many nodes, one inside the other: nothing recurses. */
static void test_long(void **state)
{
    const size_t size = 4 << 20;
    uint8_t *text = malloc(size);
    struct weir_radix radix;
    struct weir_radix_node *node;
    size_t before = memory_used;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', size);
    weir_radix_init(&radix, NULL);
    assert_non_null(weir_radix_insert(&radix, text, size));
    for (size_t part = size; part > 0; part /= 2)
        assert_non_null(weir_radix_insert(&radix, text, part));
    text[size - 1] = 'b';
    assert_null(weir_radix_find(&radix, text, size));
    assert_non_null(weir_radix_insert(&radix, text, size));
    node = weir_radix_find(&radix, text, size);
    assert_int_equal(weir_radix_text(&radix, node), size);
    assert_memory_equal(radix.text, text, size);
    text[size - 1] = 'a';
    assert_ptr_equal(weir_radix_above(&radix, text, size - 2),
                     weir_radix_find(&radix, text, size));
    assert_ptr_equal(weir_radix_above(&radix, text, size), node);
    weir_radix_remove(&radix, node);
    weir_radix_fini(&radix);
    assert_int_equal(memory_used, before);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_without_memory),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
