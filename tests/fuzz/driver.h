/*
 * driver.h - a fuzz target without libFuzzer: runs files, or a bounded loop
 * of mutations of the target's seeds that is the same every time.
 */
#ifndef TEST_FUZZ_DRIVER_H
#define TEST_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/* The target's: one input, as libFuzzer calls it.  Traps on a fault. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target's: write seed number `i` to `out`; returns its octets, 0 when
 * there are no more. */
size_t fuzz_seed(size_t i, uint8_t *out, size_t room);

#endif
