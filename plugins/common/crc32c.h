/*
 * crc32c.h - the checksum of what stores keep: CRC-32C (Castagnoli), as
 * RFC 3720 has it, eight octets at a time.
 *
 * All are static, since plugins share no objects.
 * Above: store_file, store_lmdb.  Below: libc.
 */
#ifndef WEIR_COMMON_CRC32C_H
#define WEIR_COMMON_CRC32C_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_CRC32C_POLYNOMIAL UINT32_C(0x82f63b78) /* bits reversed */

/* [k][octet]: what an octet adds that k others follow. */
static uint32_t weir_crc32c_table[8][256];
static pthread_once_t weir_crc32c_once = PTHREAD_ONCE_INIT;

static void weir_crc32c_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? WEIR_CRC32C_POLYNOMIAL : 0);
        weir_crc32c_table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = weir_crc32c_table[k - 1][i];

            weir_crc32c_table[k][i] =
                crc >> 8 ^ weir_crc32c_table[0][crc & 255];
        }
    }
}

/* Go on with the sum of what lies before; 0 at the beginning.
 * Thread: any. */
static inline uint32_t weir_common_crc32c(uint32_t crc, const void *data,
                                          size_t size)
{
    const uint32_t(*table)[256] = weir_crc32c_table;
    const uint8_t *at = data;

    (void)pthread_once(&weir_crc32c_once, weir_crc32c_fill);
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
        crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^
              table[5][crc >> 16 & 255] ^ table[4][crc >> 24] ^
              table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
              table[0][at[7]];
    }
    for (; size > 0; size--)
        crc = crc >> 8 ^ table[0][(crc ^ *at++) & 255];
    return ~crc;
}

#endif
