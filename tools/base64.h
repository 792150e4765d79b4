/*
 * base64.h - RFC 4648, section 4: with padding, strict.
 * Above: json.h.  Below: text.h.
 */
#ifndef WEIR_TOOLS_BASE64_H
#define WEIR_TOOLS_BASE64_H

#include "text.h"

/* Append `size` octets as base64. */
void weir_base64_encode(struct weir_text *text, const void *data, size_t size);

/* Append what `size` characters of base64 stand for.  Blanks, missing padding
 * and left-over bits are errors.
 * Returns 0, or the position (from 1) of the character that is wrong; `text`
 * is then unchanged. */
size_t weir_base64_decode(struct weir_text *text, const char *data,
                          size_t size);

#endif
