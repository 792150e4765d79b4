/*
 * terminal.h - what a terminal can do: colours, its size, a screen of its own.
 * Above: every command that shows something.  Below: text.h, the system.
 */
#ifndef WEIR_TOOLS_TERMINAL_H
#define WEIR_TOOLS_TERMINAL_H

#include <stdbool.h>

#include "text.h"

enum weir_colour {
    WEIR_COLOUR_PLAIN,
    WEIR_COLOUR_BOLD,
    WEIR_COLOUR_DIM,
    WEIR_COLOUR_RED,
    WEIR_COLOUR_GREEN,
    WEIR_COLOUR_YELLOW
};

/* May colours be shown there: it is a terminal, and neither NO_COLOR nor
 * TERM=dumb says otherwise. */
bool weir_terminal_has_colours(int fd);

/* Append what begins a colour, and what ends all; nothing if `on` is false. */
void weir_terminal_colour(struct weir_text *text, enum weir_colour colour,
                          bool on);

/* Its columns and rows; 80 and 24 where it does not tell. */
void weir_terminal_size(int fd, int *columns, int *rows);

/* Take the terminal of standard input and output over: a screen of its own,
 * keys come one by one and unseen.  Ctrl-C and Ctrl-Z come as keys.  The way
 * it was is kept, and comes back with weir_terminal_leave() or exit().
 * Returns 0 or -errno. */
int weir_terminal_enter(void);
void weir_terminal_leave(void);

/* Stop as Ctrl-Z does, the terminal being as it was meanwhile. */
void weir_terminal_suspend(void);

/* A descriptor that is readable when the size has changed, or when a signal
 * says that a program that has taken the terminal over is to stop as Ctrl-Z
 * does; -errno. */
int weir_terminal_watch(void);

/* Take note of what has happened: it is readable no longer, and what was to
 * stop has stopped, and goes on. */
void weir_terminal_attend(void);

#endif
