#include "config.h"

#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Octets of a value that a sentence quotes. */
#define QUOTED 64

struct scale {
    const char *name;
    int64_t factor;
};

static const struct scale times[] = {
    {"ns", 1},         {"us", 1000},         {"ms", 1000000},
    {"s", 1000000000}, {"min", 60000000000}, {"h", 3600000000000},
    {NULL, 0},
};

static const struct scale amounts[] = {
    {"k", 1000},       {"K", 1000},          {"M", 1000000},
    {"G", 1000000000}, {"T", 1000000000000}, {"Ki", 1 << 10},
    {"Mi", 1 << 20},   {"Gi", 1 << 30},      {"Ti", INT64_C(1) << 40},
    {NULL, 0},
};

struct weir_value {
    const weir_option *row;
    int64_t number;
    unsigned char *data;
    size_t size;
};

bool weir_value_is_number(const weir_option *row)
{
    return row->type == WEIR_OPTION_INT || row->type == WEIR_OPTION_BOOL ||
           row->type == WEIR_OPTION_CHOICE;
}

static int quoted(size_t size)
{
    return size > QUOTED ? QUOTED : (int)size;
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* 0 when there is no scale of that name. */
static int64_t find_factor(const struct scale *scales, const char *name,
                           size_t size)
{
    for (; scales->name; scales++) {
        if (is_word(name, size, scales->name))
            return scales->factor;
    }
    return 0;
}

static int64_t time_of_unit(const weir_option *row)
{
    return row->unit ? find_factor(times, row->unit, strlen(row->unit)) : 0;
}

static int not_a_number(const weir_option *row, const char *text, size_t size)
{
    const char *rule = "k M G T or Ki Mi Gi Ti may follow";

    if (time_of_unit(row))
        rule = "ns us ms s min or h may follow";
    return weir_fail(EINVAL,
                     "option \"%s\": \"%.*s\" is not a whole number (of %s; "
                     "%s)",
                     row->name, quoted(size), text,
                     row->unit ? row->unit : "units", rule);
}

static int out_of_range(const weir_option *row, const char *text, size_t size)
{
    return weir_fail(ERANGE,
                     "option \"%s\": \"%.*s\" is not from %" PRId64
                     " to %" PRId64,
                     row->name, quoted(size), text, row->min, row->max);
}

/* Digits with an optional sign.  Returns how many octets they took, 0 if
 * there are none, -ERANGE. */
static ssize_t read_digits(const char *text, size_t size, int64_t *number)
{
    size_t at = size && text[0] == '-';
    int64_t sign = at ? -1 : 1, sum = 0;
    size_t first = at;

    for (; at < size && text[at] >= '0' && text[at] <= '9'; at++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, sign * (text[at] - '0'), &sum))
            return -ERANGE;
    }
    *number = sum;
    return at == first ? 0 : (ssize_t)at;
}

/* `number` counts `factor` ns; make it count the row's unit. */
static int scale_time(const weir_option *row, int64_t factor, int64_t *number)
{
    int64_t unit = time_of_unit(row);

    if (factor < unit) {
        if (*number % (unit / factor))
            return -EINVAL;
        *number /= unit / factor;
        return 0;
    }
    return __builtin_mul_overflow(*number, factor / unit, number) ? -ERANGE : 0;
}

/* Apply what follows the digits. */
static int scale(const weir_option *row, const char *suffix, size_t size,
                 int64_t *number)
{
    int64_t factor;

    if (time_of_unit(row)) {
        factor = find_factor(times, suffix, size);
        return factor ? scale_time(row, factor, number) : -EINVAL;
    }
    if (row->unit && strcmp(row->unit, "bytes") == 0 &&
        suffix[size - 1] == 'B' && --size == 0)
        return 0;
    factor = find_factor(amounts, suffix, size);
    if (!factor)
        return -EINVAL;
    return __builtin_mul_overflow(*number, factor, number) ? -ERANGE : 0;
}

static int parse_int(const weir_option *row, const char *text, size_t size,
                     int64_t *number)
{
    int64_t sum = -1;
    ssize_t rc;

    if (row->min == -1 &&
        (is_word(text, size, "forever") || is_word(text, size, "never"))) {
        *number = -1;
        return 0;
    }
    rc = read_digits(text, size, &sum);
    if (rc == 0)
        return not_a_number(row, text, size);
    if (rc > 0 && (size_t)rc < size)
        rc = scale(row, text + rc, size - (size_t)rc, &sum);
    if (rc == -EINVAL)
        return not_a_number(row, text, size);
    if (rc < 0 || sum < row->min || sum > row->max)
        return out_of_range(row, text, size);
    *number = sum;
    return 0;
}

static int parse_bool(const weir_option *row, const char *text, size_t size,
                      int64_t *number)
{
    static const char *const words[] = {"0", "1", "no", "yes", "off", "on"};
    int i;

    for (i = 0; i < 6; i++) {
        if (is_word(text, size, words[i])) {
            *number = i % 2;
            return 0;
        }
    }
    return weir_fail(EINVAL,
                     "option \"%s\": \"%.*s\" is none of: 0 1 no yes off on",
                     row->name, quoted(size), text);
}

static int parse_choice(const weir_option *row, const char *text, size_t size,
                        int64_t *number)
{
    const char *word = row->choices;
    int64_t i = 0;

    for (; *word; i++) {
        size_t length = strcspn(word, " ");

        if (length == size && memcmp(text, word, size) == 0) {
            *number = i;
            return 0;
        }
        word += length + strspn(word + length, " ");
    }
    return weir_fail(EINVAL, "option \"%s\": \"%.*s\" is none of: %s",
                     row->name, quoted(size), text, row->choices);
}

int weir_value_parse(const weir_option *row, const char *text, size_t size,
                     int64_t *number)
{
    switch (row->type) {
    case WEIR_OPTION_INT:
        return parse_int(row, text, size, number);
    case WEIR_OPTION_BOOL:
        return parse_bool(row, text, size, number);
    case WEIR_OPTION_CHOICE:
        return parse_choice(row, text, size, number);
    default:
        return weir_fail(EINVAL, "option \"%s\" is not a number", row->name);
    }
}

size_t weir_value_print(const weir_option *row, int64_t number,
                        char text[WEIR_VALUE_ROOM])
{
    const char *word = row->choices;

    if (row->type == WEIR_OPTION_BOOL)
        return (size_t)snprintf(text, WEIR_VALUE_ROOM, number ? "yes" : "no");
    if (row->type == WEIR_OPTION_INT)
        return (size_t)snprintf(text, WEIR_VALUE_ROOM, "%" PRId64, number);
    while (number--) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    return (size_t)snprintf(text, WEIR_VALUE_ROOM, "%.*s",
                            (int)strcspn(word, " "), word);
}

int64_t weir_value_choices(const weir_option *row)
{
    const char *word = row->choices;
    int64_t n = 0;

    for (; *word; n++) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    return n;
}

int weir_value_check(const weir_option *row, int64_t number)
{
    int64_t min = 0, max = 1;

    if (!weir_value_is_number(row))
        return weir_fail(EINVAL, "option \"%s\" is not a number", row->name);
    if (row->type == WEIR_OPTION_INT) {
        min = row->min;
        max = row->max;
    } else if (row->type == WEIR_OPTION_CHOICE) {
        max = weir_value_choices(row) - 1;
    }
    if (number >= min && number <= max)
        return 0;
    return weir_fail(ERANGE,
                     "option \"%s\": %" PRId64 " is not from %" PRId64
                     " to %" PRId64,
                     row->name, number, min, max);
}

int weir_value_check_bytes(const weir_option *row, const void *data,
                           size_t size)
{
    if (weir_value_is_number(row))
        return weir_fail(EINVAL,
                         "option \"%s\" is a number, not a row of octets",
                         row->name);
    if (size < (uint64_t)row->min || size > (uint64_t)row->max)
        return weir_fail(ERANGE,
                         "option \"%s\": %zu octets are not from %" PRId64
                         " to %" PRId64,
                         row->name, size, row->min, row->max);
    if (row->type == WEIR_OPTION_TEXT && size && memchr(data, '\0', size))
        return weir_fail(EINVAL, "option \"%s\": a text has no NUL inside",
                         row->name);
    return 0;
}

int weir_value_give(const weir_option *row, const void *data, size_t size,
                    void *out, size_t *room)
{
    size_t need = size + (row->type == WEIR_OPTION_TEXT);

    if (*room < need) {
        *room = need;
        return weir_fail(ERANGE, "option \"%s\" takes %zu octets of room",
                         row->name, need);
    }
    if (size)
        memcpy(out, data, size);
    if (need > size)
        ((char *)out)[size] = '\0';
    *room = size;
    return 0;
}

const weir_option *weir_value_row(const weir_option *rows, size_t n,
                                  const char *name)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

void weir_values_init(struct weir_values *values, const weir_option *rows,
                      size_t n)
{
    *values = (struct weir_values){.rows = rows, .n = n};
}

void weir_values_fini(struct weir_values *values)
{
    size_t i;

    for (i = 0; i < values->n_set; i++)
        free(values->set[i].data);
    free(values->set);
    weir_values_init(values, NULL, 0);
}

static struct weir_value *find_set(const struct weir_values *values,
                                   const weir_option *row)
{
    size_t i;

    for (i = 0; i < values->n_set; i++) {
        if (values->set[i].row == row)
            return &values->set[i];
    }
    return NULL;
}

/* Put a value in place of an earlier one; its octets are taken on success. */
static int keep(struct weir_values *values, const struct weir_value *value)
{
    struct weir_value *old = find_set(values, value->row), *set;

    if (old) {
        free(old->data);
        *old = *value;
        return 0;
    }
    set = realloc(values->set, (values->n_set + 1) * sizeof *set);
    if (!set)
        return weir_fail(ENOMEM, "no memory for option \"%s\"",
                         value->row->name);
    set[values->n_set++] = *value;
    values->set = set;
    return 0;
}

static int set_number(struct weir_values *values, const weir_option *row,
                      const char *text, size_t size)
{
    struct weir_value value = {.row = row};
    int rc = weir_value_parse(row, text, size, &value.number);

    return rc < 0 ? rc : keep(values, &value);
}

static int set_bytes(struct weir_values *values, const weir_option *row,
                     const char *text, size_t size)
{
    struct weir_value value = {.row = row, .size = size};
    int rc = weir_value_check_bytes(row, text, size);

    if (rc < 0)
        return rc;
    value.data = malloc(size + 1);
    if (!value.data)
        return weir_fail(ENOMEM, "no memory for option \"%s\"", row->name);
    memcpy(value.data, text, size);
    rc = keep(values, &value);
    if (rc < 0)
        free(value.data);
    return rc;
}

int weir_values_set_text(struct weir_values *values, const char *name,
                         const char *text, size_t size)
{
    const weir_option *row = weir_value_row(values->rows, values->n, name);

    if (!row)
        return weir_fail(ENOENT, "no option \"%s\"", name);
    if (row->flags & WEIR_OPTION_READ_ONLY)
        return weir_fail(EINVAL, "option \"%s\" can only be read", name);
    return weir_value_is_number(row) ? set_number(values, row, text, size)
                                     : set_bytes(values, row, text, size);
}

int weir_values_get_int(const struct weir_values *values, const char *name,
                        int64_t *number)
{
    const weir_option *row = weir_value_row(values->rows, values->n, name);
    const struct weir_value *value;

    if (!row)
        return weir_fail(ENOENT, "no option \"%s\"", name);
    if (!weir_value_is_number(row))
        return weir_fail(EINVAL, "option \"%s\" is not a number", name);
    value = find_set(values, row);
    *number = value ? value->number : row->fallback;
    return 0;
}

int weir_values_get_bytes(const struct weir_values *values, const char *name,
                          void *out, size_t *room)
{
    const weir_option *row = weir_value_row(values->rows, values->n, name);
    const struct weir_value *value;
    const char *text;

    if (!row)
        return weir_fail(ENOENT, "no option \"%s\"", name);
    if (weir_value_is_number(row))
        return weir_fail(EINVAL, "option \"%s\" is a number", name);
    value = find_set(values, row);
    if (value)
        return weir_value_give(row, value->data, value->size, out, room);
    text = row->fallback_text ? row->fallback_text : "";
    return weir_value_give(row, text, strlen(text), out, room);
}
