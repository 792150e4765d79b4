/*
 * crc32c.h - a sum that tells whether octets have changed.
 * Above: spill.c.  Below: nothing.
 */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32C (Castagnoli) of what `sum` is of, 0 for nothing, and of `size`
 * octets behind it.
 * Thread: any. */
uint32_t weir_crc32c(uint32_t sum, const void *data, size_t size);

/* The same on any processor, slower: for weir_crc32c(), and for its test. */
uint32_t weir_crc32c_by_table(uint32_t sum, const void *data, size_t size);

#endif
