/*
 * text.h - text that grows, and a table of it with columns in line.
 * Above: every subcommand.  Below: nothing.
 */
#ifndef WEIR_TOOLS_TEXT_H
#define WEIR_TOOLS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Octets with a NUL behind them; all zero is the empty text.  The command
 * ends when there is no memory for it, so nothing here fails. */
struct weir_text {
    char *data;
    size_t size, room;
};

void weir_text_fini(struct weir_text *text);

/* Forget the content, keep the memory. */
void weir_text_clear(struct weir_text *text);

/* The content as a string; "" for the empty text.  Borrowed until the next
 * change. */
const char *weir_text_string(const struct weir_text *text);

void weir_text_add(struct weir_text *text, const void *data, size_t size);
void weir_text_add_char(struct weir_text *text, char c);
void weir_text_format(struct weir_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Decode one character of UTF-8 from `size` > 0 octets.
 * Returns its length, 1 to 4, or 0 when the octets are no UTF-8 (overlong
 * forms, surrogates and values beyond 10FFFF are none). */
size_t weir_text_decode(const void *data, size_t size, uint32_t *character);

/* Append a character as UTF-8. */
void weir_text_encode(struct weir_text *text, uint32_t character);

/* Is the character no letter or sign but an order to a terminal (C0, DEL,
 * C1), or one that breaks lines or turns writing round? */
int weir_text_is_control(uint32_t character);

/* Append octets so that a person can read them on a terminal: UTF-8 stays,
 * controls and other octets become \xHH. */
void weir_text_add_plain(struct weir_text *text, const void *data, size_t size);

/* ---- a table: cells row by row ---- */

#define WEIR_TABLE_COLUMNS 20

struct weir_table {
    struct weir_text cells;   /* each with its NUL */
    const char *const *heads; /* ends with NULL; ">x": to the right */
    unsigned columns, filled; /* filled: cells so far */
    size_t width[WEIR_TABLE_COLUMNS];
};

/* An empty table; `heads` (borrowed, at most WEIR_TABLE_COLUMNS names and a
 * NULL) stand on top. */
void weir_table_init(struct weir_table *table, const char *const *heads);
void weir_table_fini(struct weir_table *table);

/* The next cell; the last one of a row is followed by the first of another. */
void weir_table_add(struct weir_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with words from elsewhere, as weir_text_add_plain() has them. */
void weir_table_add_plain(struct weir_table *table, const char *string);

/* Print it with two blanks between columns and `indent` before the first. */
void weir_table_print(const struct weir_table *table, int indent, FILE *file);

#endif
