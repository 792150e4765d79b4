/*
 * memory.h - an allocator for tests, which can fail and which counts.
 * The linker sends malloc, calloc, realloc and free through here.
 */
#ifndef TESTS_CORE_MEMORY_H
#define TESTS_CORE_MEMORY_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

/* Of so many allocations one fails, by chance; 0: none does. */
static uint32_t memory_scarce;

/* Counts down, and at 0 one allocation fails; negative: none does. */
static int memory_fail_at = -1;

/* Octets in use, with the allocator's own for each block. */
static size_t memory_used;

static uint32_t memory_seed = 99;

/* A number below `limit`, the same in every run. */
static uint32_t draw(uint32_t limit)
{
    memory_seed = memory_seed * 1664525u + 1013904223u;
    return (memory_seed >> 8) % limit;
}

static bool memory_fails(void)
{
    if (memory_fail_at >= 0 && memory_fail_at-- == 0)
        return true;
    return memory_scarce != 0 && draw(memory_scarce) == 0;
}

static size_t memory_of(void *block)
{
    return block != NULL ? malloc_usable_size(block) + sizeof(size_t) : 0;
}

void *__wrap_malloc(size_t size)
{
    void *block = memory_fails() ? NULL : __real_malloc(size);

    memory_used += memory_of(block);
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = memory_fails() ? NULL : __real_calloc(count, size);

    memory_used += memory_of(block);
    return block;
}

void *__wrap_realloc(void *old, size_t size)
{
    size_t before = memory_of(old);
    void *block = memory_fails() ? NULL : __real_realloc(old, size);

    if (block != NULL)
        memory_used += memory_of(block) - before;
    return block;
}

void __wrap_free(void *block)
{
    memory_used -= memory_of(block);
    __real_free(block);
}

#endif
