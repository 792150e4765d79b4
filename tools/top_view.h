/*
 * top_view.h - what weir top shows, from two reports of a stats endpoint.
 * Above: top.c.  Below: tree.h, terminal.h.
 *
 * Nothing here asks, waits or prints.
 */
#ifndef WEIR_TOOLS_TOP_VIEW_H
#define WEIR_TOOLS_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"
#include "tree.h"

/* A program: its last report and the one before.  Of one that does not answer
 * `now` is empty. */
struct weir_top_program {
    const char *target, *error;
    const struct weir_tree *now, *before;
};

struct weir_top_view {
    const struct weir_top_program *programs;
    size_t n;
    size_t peers; /* the busiest of each socket that are shown, at most */
    bool colours;
};

/* Append lines of `columns` at most, of which `rows` fit (0: all); the last
 * one says how many are not shown. */
void weir_top_write(const struct weir_top_view *view, int columns, int rows,
                    struct weir_text *text);

/* Append the same as one line of JSON, with all sockets and peers. */
void weir_top_write_json(const struct weir_top_view *view,
                         struct weir_text *text);

/* Append a number in at most five characters: 12345, 123k, 1.2M. */
void weir_top_short(struct weir_text *text, double number);

#endif
