/*
 * test_map.c - the map against a plain table, under random operations, with
 * and without memory.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory.h"
#include "base/map.h"

#define KEYS  500
#define STEPS 40000

/* From the description of SipHash: key 00..0f, data 00..0e. */
static void test_hash(void **state)
{
    const uint64_t secret[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    unsigned char data[15];

    (void)state;
    for (unsigned char i = 0; i < sizeof data; i++)
        data[i] = i;
    assert_true(weir_map_hash(secret, data, 15) == 0xa129ca6149be45e5);
    assert_true(weir_map_hash(secret, data, 8) !=
                weir_map_hash(secret, data, 7));
}

static void test_secrets_differ(void **state)
{
    struct weir_map a, b;

    (void)state;
    assert_int_equal(weir_map_init(&a), 0);
    assert_int_equal(weir_map_init(&b), 0);
    assert_memory_not_equal(a.secret, b.secret, sizeof a.secret);
    weir_map_fini(&a);
    weir_map_fini(&b);
}

static void test_basics(void **state)
{
    struct weir_map map;
    int one, two;

    (void)state;
    assert_int_equal(weir_map_init(&map), 0);
    assert_null(weir_map_get(&map, "a", 1));
    assert_null(weir_map_remove(&map, "a", 1));
    assert_null(weir_map_pop(&map));
    assert_int_equal(weir_map_put(&map, "a", 1, &one), 0);
    assert_int_equal(weir_map_put(&map, "a", 1, &two), -EEXIST);
    assert_int_equal(weir_map_put(&map, "a\0b", 3, &two), 0);
    assert_int_equal(weir_map_put(&map, NULL, 0, &two), 0);
    assert_ptr_equal(weir_map_get(&map, "a", 1), &one);
    assert_ptr_equal(weir_map_get(&map, "a\0b", 3), &two);
    assert_ptr_equal(weir_map_get(&map, "", 0), &two);
    assert_null(weir_map_get(&map, "a\0", 2));
    assert_ptr_equal(weir_map_remove(&map, "a", 1), &one);
    assert_null(weir_map_get(&map, "a", 1));
    assert_int_equal(map.count, 2);
    assert_ptr_equal(weir_map_pop(&map), &two);
    assert_ptr_equal(weir_map_pop(&map), &two);
    assert_null(weir_map_pop(&map));
    weir_map_fini(&map);
}

struct model {
    struct weir_map map;
    bool has[KEYS];
    size_t count;
};

static size_t key_of(unsigned index, char key[16])
{
    return (size_t)snprintf(key, 16, "key-%u", index);
}

static void put_one(struct model *model, unsigned index)
{
    char key[16];
    size_t size = key_of(index, key);
    int result = weir_map_put(&model->map, key, size, &model->has[index]);

    if (result == -ENOMEM) {
        assert_true(memory_scarce != 0);
        return;
    }
    assert_int_equal(result, model->has[index] ? -EEXIST : 0);
    model->count += !model->has[index];
    model->has[index] = true;
}

static void remove_one(struct model *model, unsigned index)
{
    char key[16];
    size_t size = key_of(index, key);
    void *value = weir_map_remove(&model->map, key, size);

    assert_ptr_equal(value, model->has[index] ? &model->has[index] : NULL);
    model->count -= model->has[index];
    model->has[index] = false;
}

static int count_one(void *opaque, const void *key, size_t size, void *value)
{
    struct model *model = opaque;
    bool *has = value;
    char expected[16];

    assert_int_equal(size, key_of((unsigned)(has - model->has), expected));
    assert_memory_equal(key, expected, size);
    assert_true(*has);
    model->count--;
    return 0;
}

static void check_all(struct model *model)
{
    size_t count = model->count;
    char key[16];

    assert_int_equal(model->map.count, count);
    for (unsigned i = 0; i < KEYS; i++)
        assert_ptr_equal(weir_map_get(&model->map, key, key_of(i, key)),
                         model->has[i] ? &model->has[i] : NULL);
    assert_int_equal(weir_map_each(&model->map, count_one, model), 0);
    assert_int_equal(model->count, 0);
    model->count = count;
}

/* Grows and shrinks in turns. */
static void run_model(uint32_t scarcity)
{
    struct model model = {.count = 0};

    assert_int_equal(weir_map_init(&model.map), 0);
    memory_scarce = scarcity;
    for (unsigned step = 0; step < STEPS; step++) {
        bool growing = step / 5000 % 2 == 0;

        if (draw(10) < (growing ? 7 : 2))
            put_one(&model, draw(KEYS));
        else
            remove_one(&model, draw(KEYS));
        if (step % 1000 == 0)
            check_all(&model);
    }
    check_all(&model);
    memory_scarce = 0;
    for (unsigned i = 0; i < KEYS; i++)
        remove_one(&model, i);
    assert_true(model.map.mask < 64);
    weir_map_fini(&model.map);
}

static void test_random(void **state)
{
    (void)state;
    run_model(0);
}

static void test_random_without_memory(void **state)
{
    (void)state;
    run_model(3);
}

static int stop_at_second(void *count, const void *key, size_t size,
                          void *value)
{
    (void)key;
    (void)size;
    (void)value;
    return ++*(int *)count == 2 ? -ECANCELED : 0;
}

static void test_each_stops(void **state)
{
    struct model model = {.count = 0};
    int count = 0;

    (void)state;
    assert_int_equal(weir_map_init(&model.map), 0);
    assert_int_equal(weir_map_each(&model.map, stop_at_second, &count), 0);
    for (unsigned i = 0; i < 5; i++)
        put_one(&model, i);
    assert_int_equal(weir_map_each(&model.map, stop_at_second, &count),
                     -ECANCELED);
    assert_int_equal(count, 2);
    weir_map_fini(&model.map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_secrets_differ),
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_without_memory),
        cmocka_unit_test(test_each_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
