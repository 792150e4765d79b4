/*
 * scarce.h - memory for tests of chunks, frames and queues: it can fail, and
 * it is counted.  The linker sends every way to memory through here.
 */
#ifndef TESTS_CORE_SCARCE_H
#define TESTS_CORE_SCARCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd,
                  off_t offset);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd,
                  off_t offset);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...);

/* Counts down, and at 0 one allocation fails; negative: none does. */
static long scarce_fail_at = -1;

/* Whether all fail from then on, not that one only. */
static bool scarce_for_good;

/* Allocations asked for, their octets, and the most octets of one. */
static size_t scarce_count, scarce_octets, scarce_largest;

static bool scarce_fails(size_t size)
{
    scarce_count++;
    scarce_octets += size;
    if (size > scarce_largest)
        scarce_largest = size;
    if (scarce_fail_at < 0)
        return false;
    if (scarce_fail_at > 0) {
        scarce_fail_at--;
        return false;
    }
    if (!scarce_for_good)
        scarce_fail_at = -1;
    return true;
}

/* Let the `n`-th allocation from now fail, n from 0. */
static inline void scarce_fail(long n)
{
    scarce_fail_at = n;
    scarce_for_good = false;
}

static inline void scarce_count_anew(void)
{
    scarce_count = scarce_octets = scarce_largest = 0;
}

void *__wrap_malloc(size_t size)
{
    return scarce_fails(size) ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return scarce_fails(size) ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return scarce_fails(size) ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd,
                  off_t offset)
{
    return scarce_fails(size)
               ? MAP_FAILED
               : __real_mmap(at, size, protection, flags, fd, offset);
}

void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
    return scarce_fails(size) ? MAP_FAILED
                              : __real_mremap(old, old_size, size, flags);
}

#endif
