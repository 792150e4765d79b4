/*
 * little.h - numbers as files have them: the least octet first.
 * Above: stores.
 */
#ifndef WEIR_COMMON_LITTLE_H
#define WEIR_COMMON_LITTLE_H

#include <stdint.h>

static inline void weir_common_put(uint8_t *at, uint64_t value, int octets)
{
    for (int i = 0; i < octets; i++, value >>= 8)
        at[i] = (uint8_t)value;
}

static inline uint64_t weir_common_get(const uint8_t *at, int octets)
{
    uint64_t value = 0;

    for (int i = octets; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

#endif
