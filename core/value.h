/*
 * value.h - one option's value: from text, checked against its row; and the
 * values that an endpoint has for the options of its transport.
 * Above: options.c host.c endpoint.c registry.c.  Below: base/error.h.
 *
 * A row says what a value may be, for the core's own options (options.c) and
 * for those of plugins alike.  Every error's sentence names the option, the
 * value and the rule.
 */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#define WEIR_OPTION_NAME_MAX 63 /* octets of an option's name */

/* Is it a number: INT, BOOL or CHOICE?  Else it is a row of octets. */
bool weir_value_is_number(const weir_option *row);

/* Read `size` octets of text as the number that the row wants.
 * INT: a whole number.  Where the row's unit is a time (ns us ms s), one of
 * ns us ms s min h may follow; elsewhere k M G T (powers of 1000) or Ki Mi Gi
 * Ti (powers of 1024), with a B behind where the unit is "bytes".  "forever"
 * and "never" are -1 where that is the row's minimum.
 * BOOL: 0 1 no yes off on.  CHOICE: one of the words.
 * Errors: -EINVAL not such a text; -ERANGE outside the row's range. */
int weir_value_parse(const weir_option *row, const char *text, size_t size,
                     int64_t *number);

/* Room for any text of weir_value_print. */
#define WEIR_VALUE_ROOM 64

/* Write a number as a text that weir_value_parse reads: without a unit, "yes"
 * or "no", or a word.  The row is one of the core's or was checked, and the
 * number is a value of it.  Returns the length. */
size_t weir_value_print(const weir_option *row, int64_t number,
                        char text[WEIR_VALUE_ROOM]);

/* Check a number against its row.
 * Errors: -EINVAL the row is not a number; -ERANGE. */
int weir_value_check(const weir_option *row, int64_t number);

/* Check octets against their row.
 * Errors: -EINVAL the row is a number, or a TEXT has a NUL inside; -ERANGE
 * too short or too long. */
int weir_value_check_bytes(const weir_option *row, const void *data,
                           size_t size);

/* Copy octets out.  *room is the room on entry and the size on return; a TEXT
 * gets a NUL behind it, which needs room and is not counted.
 * Errors: -ERANGE no room: *room is then what it takes. */
int weir_value_give(const weir_option *row, const void *data, size_t size,
                    void *out, size_t *room);

/* The number of words that a CHOICE has. */
int64_t weir_value_choices(const weir_option *row);

/* The row of that name, NULL if there is none. */
const weir_option *weir_value_row(const weir_option *rows, size_t n,
                                  const char *name);

/* What an endpoint has for its transport's options.  A value that was never
 * set is the row's fallback and takes no memory. */
struct weir_values {
    const weir_option *rows; /* borrowed: a plugin's, which stays */
    size_t n;
    struct weir_value *set;
    size_t n_set;
};

void weir_values_init(struct weir_values *values, const weir_option *rows,
                      size_t n);
void weir_values_fini(struct weir_values *values);

/* Set a value from text; for TEXT and BYTES the text is the value.
 * Errors: -ENOENT no such option; -EINVAL; -ERANGE; -ENOMEM. */
int weir_values_set_text(struct weir_values *values, const char *name,
                         const char *text, size_t size);

/* Read a value; weir_values_get_bytes as weir_value_give.
 * Errors: -ENOENT no such option; -EINVAL of the other kind; -ERANGE. */
int weir_values_get_int(const struct weir_values *values, const char *name,
                        int64_t *number);
int weir_values_get_bytes(const struct weir_values *values, const char *name,
                          void *out, size_t *room);

#endif
