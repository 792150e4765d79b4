/*
 * input.h - messages from a descriptor: a line each, or all of it in one.
 * Above: cat.c.  Below: text.h.
 */
#ifndef WEIR_TOOLS_INPUT_H
#define WEIR_TOOLS_INPUT_H

#include <stdbool.h>

#include "text.h"

struct weir_input {
    int fd;
    bool whole;  /* all of it is one piece */
    bool ended;  /* nothing more to read */
    size_t line; /* number of the piece that was taken last, from 1 */
    size_t at;   /* how much of `data` was taken */
    size_t seen; /* how much of it has no newline */
    bool taken;  /* whole: the one piece was taken */
    struct weir_text data;
};

void weir_input_init(struct weir_input *input, int fd, bool whole);
void weir_input_fini(struct weir_input *input);

/* Read once from the descriptor; waits if nothing is there.
 * Returns 0 or -errno. */
int weir_input_fill(struct weir_input *input);

/* Take the next piece, without its newline, if it is here.  Borrowed until
 * the next call.  A last line may lack its newline. */
bool weir_input_next(struct weir_input *input, const char **data, size_t *size);

/* Was the last piece taken? */
bool weir_input_over(const struct weir_input *input);

#endif
