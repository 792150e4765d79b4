/*
 * args.h - arguments of a subcommand: one table says what they are called,
 * what they hold and what --help prints.
 * Above: every subcommand.  Below: text.h.
 */
#ifndef WEIR_TOOLS_ARGS_H
#define WEIR_TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define WEIR_ARGS_MOST 64

/* Strings of argv.  All zero is the empty list. */
struct weir_args_list {
    const char *items[WEIR_ARGS_MOST];
    size_t count;
};

enum weir_args_kind {
    WEIR_ARGS_FLAG,    /* bool */
    WEIR_ARGS_TEXT,    /* const char *; once, or the other would be lost */
    WEIR_ARGS_COUNT,   /* uint64_t, from 1; may end with K or M; the last one
                          counts, so that a script's own can be set anew */
    WEIR_ARGS_SECONDS, /* double, from 0; a fraction is fine; the last one */
    WEIR_ARGS_ONE,     /* struct weir_args_list, one more each time */
    WEIR_ARGS_MANY     /* struct weir_args_list, all up to the next --option */
};

struct weir_args_option {
    const char *name;  /* without the "--" */
    const char *value; /* "N" for --help; NULL for a flag */
    const char *doc;   /* for --help; lines after the first are indented */
    enum weir_args_kind kind;
    size_t offset; /* of the value in the subcommand's settings */
};

/* What a value can be, or what an argument can: words with blanks between. */
struct weir_args_choice {
    const char *name; /* of the option; "": of an argument */
    const char *words;
};

struct weir_args {
    const char *command; /* "cat" */
    const char *usage;   /* what follows the command's name */
    const char *about;   /* a paragraph for --help, with its newlines */
    const struct weir_args_option *options; /* ends with name NULL */
    const struct weir_args_choice *choices; /* ends with name NULL; or NULL */
};

enum { WEIR_ARGS_GOOD, WEIR_ARGS_HELP, WEIR_ARGS_BAD };

/* Read argv[0] (the first argument, not a name) to argv[argc - 1] into
 * `settings`, which keeps pointers into argv.  What is no option goes to
 * `rest`; all behind "--" does.  Returns WEIR_ARGS_GOOD; WEIR_ARGS_HELP as
 * soon as --help is seen; WEIR_ARGS_BAD with a sentence in `error`. */
int weir_args_read(const struct weir_args *args, void *settings,
                   struct weir_args_list *rest, int argc,
                   const char *const *argv, struct weir_text *error);

/* Append what --help prints. */
void weir_args_help(const struct weir_args *args, struct weir_text *text);

/* Append what --list-options prints, for completion in shells: for each option
 * and argument a line with its name, its value (with "..." behind it if several
 * can follow), what the value can be, and what it is for, with tabs between and
 * "-" for none. */
void weir_args_list(const struct weir_args *args, struct weir_text *text);

/* One such line; NULL is none. */
void weir_args_list_line(struct weir_text *text, const char *name,
                         const char *value, const char *words,
                         const char *about);

/* weir_args_read, with its outcome shown to the user: true to go on, false
 * to end with *exit_code (0 after --help or --list-options, 2 after an
 * error). */
bool weir_args_take(const struct weir_args *args, void *settings,
                    struct weir_args_list *rest, int argc,
                    const char *const *argv, int *exit_code);

/* A whole number of `text` such as "64", "16K", "1M" (of 1024), at least
 * `least`.  Returns false if it is none. */
bool weir_args_number(const char *text, uint64_t least, uint64_t *number);

#endif
