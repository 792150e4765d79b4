/*
 * json_read.h - the words that JSON is made of, read strictly (RFC 8259).
 * Above: json.c, tree.c.  Below: text.h.
 *
 * What returns false has filled reader->error.
 */
#ifndef WEIR_TOOLS_JSON_READ_H
#define WEIR_TOOLS_JSON_READ_H

#include <stdbool.h>

#include "json.h"
#include "text.h"

struct weir_json_reader {
    const char *at, *end, *start;
    struct weir_json_error *error;
    struct weir_text string; /* the last one read */
};

/* Say that the rule is broken at `at`; false, for the caller to return. */
bool weir_json_fail_at(struct weir_json_reader *reader, const char *at,
                       const char *rule, ...)
    __attribute__((format(printf, 3, 4)));

void weir_json_skip_blanks(struct weir_json_reader *reader);

/* Is `c` next, behind blanks?  It is taken if so. */
bool weir_json_take(struct weir_json_reader *reader, char c);

/* `c` must be next; `where` is for the sentence. */
bool weir_json_want(struct weir_json_reader *reader, char c, const char *where);

/* A string, with its quotes, into reader->string. */
bool weir_json_read_string(struct weir_json_reader *reader, const char *where);

#endif
