/*
 * json.h - a message as JSON: {"frames": ["text", {"base64": "AAEC"}]}.
 * A frame that is UTF-8 without NUL is written as a string, any other as an
 * object with base64.  Reading is strict (RFC 8259) and knows this form only.
 * Above: format.h.  Below: base64.h, text.h.
 */
#ifndef WEIR_TOOLS_JSON_H
#define WEIR_TOOLS_JSON_H

#include "text.h"

/* Where reading failed, and which rule was broken. */
struct weir_json_error {
    size_t line, column; /* both from 1; columns count characters */
    char rule[128];
};

/* Read a message of `size` octets; frame(arg, ...) is called for each frame
 * in order, with its octets (borrowed for the call).
 * Returns 0, or -1 with *error filled, or what frame() returned, if not 0:
 * reading ends there. */
int weir_json_read(const char *data, size_t size,
                   int (*frame)(void *arg, const void *octets, size_t size),
                   void *arg, struct weir_json_error *error);

/* Append a message: start, each of its frames with its number from 0, end
 * (which adds no newline). */
void weir_json_start(struct weir_text *text);
void weir_json_frame(struct weir_text *text, size_t number, const void *octets,
                     size_t size);
void weir_json_end(struct weir_text *text);

/* Append a string with its quotes; `size` octets of UTF-8. */
void weir_json_string(struct weir_text *text, const void *data, size_t size);

#endif
