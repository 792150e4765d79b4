/*
 * format.h - messages as raw octets, text, hexadecimal digits or JSON.
 * Above: cat.c.  Below: json.h, text.h, weir.h.
 *
 *   raw   the octets of all frames, nothing between them
 *   text  a line for a message, a tab between frames; what a terminal would
 *         not show as text becomes \xHH.  Read: a line is one frame as it is
 *   hex   a line for a message, a blank between frames, "-" an empty one
 *   json  a line for a message, as json.h says
 */
#ifndef WEIR_TOOLS_FORMAT_H
#define WEIR_TOOLS_FORMAT_H

#include <weir/weir.h>

#include "text.h"

enum weir_format {
    WEIR_FORMAT_RAW,
    WEIR_FORMAT_TEXT,
    WEIR_FORMAT_HEX,
    WEIR_FORMAT_JSON
};

/* The format of a name, or -1. */
int weir_format_find(const char *name);

/* Append a message with what ends it. */
void weir_format_write(enum weir_format format, weir_message *message,
                       struct weir_text *text);

/* Append frames to an initialised message from a piece of input; `line` is
 * its number there.  A blank piece of hex or json has no frames.
 * Returns 0, or -1 with a sentence in `error`. */
int weir_format_read(enum weir_format format, const char *data, size_t size,
                     size_t line, weir_message *message,
                     struct weir_text *error);

#endif
