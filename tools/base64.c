/* base64.c - RFC 4648, section 4. */
#include "config.h"

#include <string.h>

#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

void weir_base64_encode(struct weir_text *text, const void *data, size_t size)
{
    const uint8_t *octets = data;

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)octets[i] << 16;

        if (left > 1)
            bits |= (uint32_t)octets[i + 1] << 8;
        if (left > 2)
            bits |= octets[i + 2];
        weir_text_add_char(text, alphabet[bits >> 18]);
        weir_text_add_char(text, alphabet[bits >> 12 & 63]);
        weir_text_add_char(text, left > 1 ? alphabet[bits >> 6 & 63] : '=');
        weir_text_add_char(text, left > 2 ? alphabet[bits & 63] : '=');
    }
}

/* The six bits of a character; 64 for one that is not of the alphabet. */
static uint32_t six_bits(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (uint32_t)(at - alphabet) : 64;
}

/* Four characters, of which the last `pads` are padding.  Returns 0, or the
 * position from 1 of the wrong one. */
static size_t decode_four(struct weir_text *text, const char *four, size_t pads)
{
    uint32_t bits = 0;
    char octets[3];

    for (size_t i = 0; i < 4; i++) {
        uint32_t six = i < 4 - pads ? six_bits(four[i]) : 0;

        if (six > 63)
            return i + 1;
        bits = bits << 6 | six;
    }
    if (bits & ((1u << 8 * pads) - 1))
        return 4 - pads; /* bits that belong to no octet */
    for (size_t i = 0; i < 3; i++)
        octets[i] = (char)(bits >> (16 - 8 * i) & 0xff);
    weir_text_add(text, octets, 3 - pads);
    return 0;
}

size_t weir_base64_decode(struct weir_text *text, const char *data, size_t size)
{
    size_t before = text->size, pads = 0, wrong = 0;

    if (size && size % 4 == 0)
        pads = (size_t)(data[size - 1] == '=') +
               (data[size - 1] == '=' && data[size - 2] == '=');
    for (size_t i = 0; i + 4 <= size && !wrong; i += 4) {
        wrong = decode_four(text, data + i, i + 4 == size ? pads : 0);
        wrong += wrong ? i : 0;
    }
    if (!wrong && size % 4)
        wrong = size;
    if (wrong && text->data) {
        text->size = before;
        text->data[before] = '\0';
    }
    return wrong;
}
