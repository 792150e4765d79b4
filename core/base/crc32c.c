/*
 * crc32c.c - see crc32c.h.
 *
 * Eight octets at a time: by the processor's instruction, where it has one, and
 * by tables elsewhere.  The table of row n gives what an octet does to the sum
 * when n more follow it, so that the eight do not wait for each other.
 *
 * The instruction takes three cycles, and can be begun in each of them: so what
 * is long is summed in three lanes at a time, which are put together by what
 * the octets of a lane do to the sum of those before it.
 */
#include "config.h"

#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* bits in the order of the wire */

enum { ROWS = 8 };

static uint32_t table[ROWS][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t shift(uint32_t sum)
{
    for (int bit = 0; bit < 8; bit++)
        sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
    return sum;
}

static void make_table(void)
{
    for (uint32_t octet = 0; octet < 256; octet++)
        table[0][octet] = shift(octet);
    for (int row = 1; row < ROWS; row++)
        for (int octet = 0; octet < 256; octet++) {
            uint32_t before = table[row - 1][octet];

            table[row][octet] = before >> 8 ^ table[0][before & 255];
        }
}

static uint32_t word_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

static uint32_t add_eight(uint32_t sum, const uint8_t *at)
{
    uint32_t low = sum ^ word_at(at), high = word_at(at + 4);

    return table[7][low & 255] ^ table[6][low >> 8 & 255] ^
           table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
           table[3][high & 255] ^ table[2][high >> 8 & 255] ^
           table[1][high >> 16 & 255] ^ table[0][high >> 24];
}

uint32_t weir_crc32c_by_table(uint32_t sum, const void *data, size_t size)
{
    const uint8_t *at = data;

    pthread_once(&once, make_table);
    sum = ~sum;
    for (; size >= 8; size -= 8, at += 8)
        sum = add_eight(sum, at);
    for (; size > 0; size--, at++)
        sum = sum >> 8 ^ table[0][(sum ^ *at) & 255];
    return ~sum;
}

#if defined(__x86_64__) && defined(__GNUC__)

enum { LANE = 1024, LANES = 3 * LANE };

/* What a sum is after a lane of zeros, for each value of each of its octets. */
static uint32_t after_lane[4][256];
static pthread_once_t lane_once = PTHREAD_ONCE_INIT;

static void make_lane_table(void)
{
    pthread_once(&once, make_table);
    for (int octet = 0; octet < 4; octet++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t sum = value << 8 * octet;

            for (int i = 0; i < LANE; i++)
                sum = sum >> 8 ^ table[0][sum & 255];
            after_lane[octet][value] = sum;
        }
}

static uint32_t skip_lane(uint32_t sum)
{
    return after_lane[0][sum & 255] ^ after_lane[1][sum >> 8 & 255] ^
           after_lane[2][sum >> 16 & 255] ^ after_lane[3][sum >> 24];
}

__attribute__((target("sse4.2"))) static inline uint64_t
add_word(uint64_t sum, const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return __builtin_ia32_crc32di(sum, word);
}

__attribute__((target("sse4.2"))) static uint32_t add_lanes(uint32_t sum,
                                                            const uint8_t *at)
{
    uint64_t first = sum, second = 0, third = 0;

    for (const uint8_t *end = at + LANE; at < end; at += 8) {
        first = add_word(first, at);
        second = add_word(second, at + LANE);
        third = add_word(third, at + 2 * LANE);
    }
    sum = skip_lane((uint32_t)first) ^ (uint32_t)second;
    return skip_lane(sum) ^ (uint32_t)third;
}

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t sum, const uint8_t *at, size_t size)
{
    uint64_t wide;

    sum = ~sum;
    if (size >= LANES)
        pthread_once(&lane_once, make_lane_table);
    for (; size >= LANES; size -= LANES, at += LANES)
        sum = add_lanes(sum, at);
    wide = sum;
    for (; size >= 8; size -= 8, at += 8)
        wide = add_word(wide, at);
    sum = (uint32_t)wide;
    for (; size > 0; size--, at++)
        sum = __builtin_ia32_crc32qi(sum, *at);
    return ~sum;
}

uint32_t weir_crc32c(uint32_t sum, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(sum, data, size);
    return weir_crc32c_by_table(sum, data, size);
}

#else

uint32_t weir_crc32c(uint32_t sum, const void *data, size_t size)
{
    return weir_crc32c_by_table(sum, data, size);
}

#endif
