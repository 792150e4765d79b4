/*
 * test_chunk.c - memory that outlives those who asked for it.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chunk.h"
#include "scarce.h"

#define MB ((size_t)1 << 20)

static void drop(struct weir_chunk *chunk)
{
    weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
}

static void test_room_for_what_was_asked(void **state)
{
    static const size_t sizes[] = {1,     4096,   4097,  16384,  65535,
                                   65536, 65537,  99999, 262144, MB - 1,
                                   MB,    MB + 1, 5 * MB};
    struct weir_pool *pool = weir_pool_new(MB);

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct weir_chunk *chunk = weir_pool_get(pool, sizes[i]);

        assert_non_null(chunk);
        assert_true(chunk->capacity >= sizes[i]);
        assert_int_equal((uintptr_t)chunk->data % 64, 0);
        assert_true(atomic_load(&chunk->used) == WEIR_CHUNK_OPEN);
        memset(chunk->data, 7, chunk->capacity);
        drop(chunk);
    }
    weir_pool_close(pool);
}

static void test_sizes_that_cannot_be(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);

    (void)state;
    assert_null(weir_pool_get(pool, SIZE_MAX));
    assert_null(weir_pool_get(pool, SIZE_MAX / 2 + 1));
    assert_null(weir_pool_reuse(pool, SIZE_MAX));
    assert_null(weir_chunk_new(SIZE_MAX));
    assert_null(weir_chunk_new(SIZE_MAX - 127));
    weir_pool_close(pool);
}

static void test_pool_gives_again_what_came_back(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *chunk = weir_pool_get(pool, 10000), *again;

    (void)state;
    chunk->flags = WEIR_CHUNK_BODY;
    assert_null(weir_pool_reuse(pool, 10000));
    drop(chunk);
    scarce_count_anew();
    again = weir_pool_get(pool, 9000);
    assert_ptr_equal(again, chunk);
    assert_int_equal(again->flags, 0);
    assert_int_equal(scarce_count, 0);
    drop(again);
    assert_null(weir_pool_reuse(pool, 65536));
    again = weir_pool_reuse(pool, 16384);
    assert_ptr_equal(again, chunk);
    drop(again);
    weir_pool_trim(pool);
    assert_null(weir_pool_reuse(pool, 16384));
    weir_pool_close(pool);
}

/* 16 times 64 KB come back; the pool keeps what its limit allows, and as much
 * may wait to be taken back. */
static void test_pool_keeps_no_more_than_its_limit(void **state)
{
    struct weir_pool *pool = weir_pool_new(200000);
    struct weir_chunk *chunk[16];
    int kept = 0;

    (void)state;
    for (int i = 0; i < 16; i++)
        chunk[i] = weir_pool_get(pool, 65536);
    for (int i = 0; i < 16; i++)
        drop(chunk[i]);
    while ((chunk[kept] = weir_pool_reuse(pool, 65536)))
        kept++;
    assert_int_equal(kept, 3);
    for (int i = 0; i < kept; i++)
        drop(chunk[i]);
    weir_pool_close(pool);
    pool = weir_pool_new(0);
    drop(weir_pool_get(pool, 64));
    assert_null(weir_pool_reuse(pool, 64));
    weir_pool_close(pool);
}

/* Drop so many of 4 MB; returns how many are at hand then. */
static int drop_large(struct weir_pool *pool, int n)
{
    struct weir_chunk *chunk[8];
    int kept = 0;

    for (int i = 0; i < n; i++)
        chunk[i] = weir_pool_get(pool, 4 * MB);
    for (int i = 0; i < n; i++)
        drop(chunk[i]);
    while ((chunk[kept] = weir_pool_reuse(pool, 4 * MB)))
        kept++;
    for (int i = 0; i < kept; i++)
        drop(chunk[i]);
    return kept;
}

static void test_pool_keeps_few_large_chunks(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);

    (void)state;
    assert_false(weir_pool_has_large(pool));
    assert_int_equal(drop_large(pool, 1), 1);
    assert_true(weir_pool_has_large(pool));
    assert_int_equal(drop_large(pool, 8), WEIR_CHUNK_LARGE);
    weir_pool_age(pool); /* they were in use */
    assert_true(weir_pool_has_large(pool));
    drop(weir_pool_get(pool, 100));
    weir_pool_age(pool);
    assert_false(weir_pool_has_large(pool));
    assert_null(weir_pool_reuse(pool, 4 * MB));
    drop(weir_pool_get(pool, 65 * MB)); /* beyond all classes */
    assert_false(weir_pool_has_large(pool));
    weir_pool_close(pool);
}

static void *drop_it(void *chunk)
{
    drop(chunk);
    return NULL;
}

static void test_chunks_outlive_their_pool(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *small = weir_pool_get(pool, 100);
    struct weir_chunk *large = weir_pool_get(pool, MB);
    pthread_t thread;

    (void)state;
    drop(weir_pool_get(pool, 65536));
    weir_pool_close(pool);
    memset(small->data, 1, small->capacity);
    memset(large->data, 1, large->capacity);
    drop(small);
    assert_int_equal(pthread_create(&thread, NULL, drop_it, large), 0);
    pthread_join(thread, NULL);
}

static int released;

static void release(void *data, void *hint)
{
    assert_ptr_equal(hint, &released);
    assert_string_equal(data, "mine");
    released++;
}

static void test_wrapped_memory_is_released_once(void **state)
{
    static char mine[] = "mine";
    struct weir_chunk *chunk =
        weir_chunk_wrap(mine, sizeof(mine), release, &released);

    (void)state;
    released = 0;
    assert_ptr_equal(chunk->data, mine);
    weir_chunk_ref(chunk, 2);
    weir_chunk_unref(chunk, 1);
    weir_chunk_unref(chunk, 1);
    assert_int_equal(released, 0);
    weir_chunk_unref(chunk, 1);
    assert_int_equal(released, 1);
    weir_chunk_unref(weir_chunk_wrap(mine, sizeof(mine), NULL, NULL), 1);
}

/* However often a reference is referred to, nothing but the root is held. */
static void test_references_form_no_chain(void **state)
{
    static char mine[] = "mine";
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *root =
        weir_chunk_wrap(mine, sizeof(mine), release, &released);
    struct weir_chunk *last = root, *next;

    (void)state;
    released = 0;
    for (int i = 0; i < 100000; i++) {
        next = weir_pool_get(pool, 0);
        weir_chunk_refer(next, last, mine, 4);
        assert_ptr_equal(next->owner, root);
        weir_chunk_unref(last, last == root ? 1 : WEIR_CHUNK_HOLD);
        last = next;
    }
    assert_int_equal(released, 0);
    assert_int_equal(atomic_load(&root->refs), 1);
    drop(last);
    assert_int_equal(released, 1);
    weir_pool_close(pool);
}

static void test_growing(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *chunk = weir_pool_get(pool, 65536), *larger;

    (void)state;
    memset(chunk->data, 'a', 65536);
    for (size_t size = 131072; size < 9 * MB; size *= 2) {
        scarce_for_good = true;
        scarce_fail_at = 0;
        assert_null(weir_pool_grow(pool, chunk, size / 2, size));
        scarce_fail(-1);
        larger = weir_pool_grow(pool, chunk, size / 2, size);
        assert_non_null(larger);
        assert_true(larger->capacity >= size);
        for (size_t i = 0; i < size / 2; i += 999)
            assert_int_equal(larger->data[i], 'a');
        memset(larger->data, 'a', size);
        chunk = larger;
    }
    drop(chunk);
    weir_pool_close(pool);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEVER_MOVES
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NEVER_MOVES
#endif
#endif

/* Where memory cannot be moved it is copied: only the first try to allocate
 * fails, which is to move it; under sanitizers it never is. */
static void test_growing_by_copy(void **state)
{
    struct weir_pool *pool = weir_pool_new(MB);
    struct weir_chunk *chunk = weir_pool_get(pool, 65536), *larger;

    (void)state;
    memset(chunk->data, 'a', 65536);
    scarce_fail(0);
    larger = weir_pool_grow(pool, chunk, 65536, MB);
    scarce_fail(-1);
#ifdef NEVER_MOVES
    assert_null(larger);
    larger = weir_pool_grow(pool, chunk, 65536, MB);
#endif
    assert_non_null(larger);
    assert_int_equal(larger->data[0], 'a');
    assert_int_equal(larger->data[65535], 'a');
    drop(larger);
    weir_pool_close(pool);
}

static void test_no_memory(void **state)
{
    struct weir_pool *pool;

    (void)state;
    scarce_fail(0);
    assert_null(weir_pool_new(MB));
    pool = weir_pool_new(MB);
    for (size_t size = 0; size < 3 * MB; size = size * 3 + 1) {
        scarce_fail(0);
        assert_null(weir_pool_get(pool, size));
    }
    scarce_fail(0);
    assert_null(weir_chunk_new(100));
    scarce_fail(0);
    assert_null(weir_chunk_wrap(pool, 1, release, &released));
    weir_pool_close(pool);
}

/* Some threads release what the owner gets, until after the owner has left. */
#define RETURNERS 3
#define TURNS     20000

struct exchange {
    _Atomic(struct weir_chunk *) slot[RETURNERS][8];
    _Atomic bool done;
    _Atomic int next;
};

static void *return_chunks(void *opaque)
{
    struct exchange *exchange = opaque;
    int mine = atomic_fetch_add(&exchange->next, 1);
    bool done;

    do {
        done = atomic_load(&exchange->done);
        for (int i = 0; i < 8; i++) {
            struct weir_chunk *chunk =
                atomic_exchange(&exchange->slot[mine][i], NULL);

            if (!chunk)
                continue;
            if (chunk->capacity)
                chunk->data[0]++;
            drop(chunk);
        }
    } while (!done);
    return NULL;
}

static void test_many_threads_return(void **state)
{
    static struct exchange exchange;
    struct weir_pool *pool = weir_pool_new(300000);
    pthread_t thread[RETURNERS];

    (void)state;
    for (int i = 0; i < RETURNERS; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, return_chunks, &exchange), 0);
    for (uint32_t i = 0; i < TURNS; i++) {
        struct weir_chunk *chunk = weir_pool_get(pool, (i * 7919) % 70000);

        assert_non_null(chunk);
        if (chunk->capacity)
            chunk->data[0] = 1;
        chunk =
            atomic_exchange(&exchange.slot[i % RETURNERS][i / 3 % 8], chunk);
        if (chunk)
            drop(chunk);
        if (i % 1000 == 0)
            weir_pool_trim(pool);
    }
    weir_pool_close(pool);
    atomic_store(&exchange.done, true);
    for (int i = 0; i < RETURNERS; i++)
        pthread_join(thread[i], NULL);
}

static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Promise 14.  Large chunks are gone from the process when they are trimmed,
 * whatever lies around them. */
static void test_trimmed_memory_goes_back(void **state)
{
    static struct weir_chunk *chunk[400];
    struct weir_pool *pool;
    long before, after;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    pool = weir_pool_new(64 * MB);
    before = resident();
    for (int i = 0; i < 400; i++) {
        chunk[i] = weir_pool_get(pool, 65536);
        memset(chunk[i]->data, 1, chunk[i]->capacity);
    }
    after = resident();
    assert_true(before == 0 || after - before > 20 * (long)MB);
    for (int i = 0; i < 400; i++)
        drop(chunk[i]);
    weir_pool_trim(pool);
    after = resident();
    assert_true(after - before < (long)MB / 2);
    weir_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_for_what_was_asked),
        cmocka_unit_test(test_sizes_that_cannot_be),
        cmocka_unit_test(test_pool_gives_again_what_came_back),
        cmocka_unit_test(test_pool_keeps_no_more_than_its_limit),
        cmocka_unit_test(test_pool_keeps_few_large_chunks),
        cmocka_unit_test(test_chunks_outlive_their_pool),
        cmocka_unit_test(test_wrapped_memory_is_released_once),
        cmocka_unit_test(test_references_form_no_chain),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_growing_by_copy),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_threads_return),
        cmocka_unit_test(test_trimmed_memory_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
