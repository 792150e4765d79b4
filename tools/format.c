/* format.c - messages as raw octets, text, hexadecimal digits or JSON. */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "json.h"

int weir_format_find(const char *name)
{
    static const char *const names[] = {"raw", "text", "hex", "json"};

    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

/* ---- writing ---- */

static void write_hex(struct weir_text *text, const uint8_t *octets,
                      size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        weir_text_add_char(text, digits[octets[i] >> 4]);
        weir_text_add_char(text, digits[octets[i] & 15]);
    }
    if (!size)
        weir_text_add_char(text, '-');
}

static void write_frame(enum weir_format format, uint32_t number,
                        const void *data, size_t size, struct weir_text *text)
{
    switch (format) {
    case WEIR_FORMAT_RAW:
        weir_text_add(text, data, size);
        break;
    case WEIR_FORMAT_TEXT:
        if (number)
            weir_text_add_char(text, '\t');
        weir_text_add_plain(text, data, size);
        break;
    case WEIR_FORMAT_HEX:
        if (number)
            weir_text_add_char(text, ' ');
        write_hex(text, data, size);
        break;
    case WEIR_FORMAT_JSON:
        weir_json_frame(text, number, data, size);
        break;
    }
}

void weir_format_write(enum weir_format format, weir_message *message,
                       struct weir_text *text)
{
    uint32_t count = weir_message_count(message);

    if (format == WEIR_FORMAT_JSON)
        weir_json_start(text);
    for (uint32_t i = 0; i < count; i++) {
        weir_frame *frame = weir_message_frame(message, i);

        write_frame(format, i, weir_frame_data(frame), weir_frame_size(frame),
                    text);
    }
    if (format == WEIR_FORMAT_JSON)
        weir_json_end(text);
    if (format != WEIR_FORMAT_RAW)
        weir_text_add_char(text, '\n');
}

/* ---- reading ---- */

static int add_frame(void *arg, const void *octets, size_t size)
{
    return weir_message_add(arg, octets, size);
}

static int add_or_say(weir_message *message, const void *octets, size_t size,
                      struct weir_text *error)
{
    int code = weir_message_add(message, octets, size);

    if (code == 0)
        return 0;
    weir_text_format(error, "a frame of %zu octets: %s", size,
                     weir_strerror(code));
    return -1;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bad_hex(size_t line, size_t column, const char *rule,
                   struct weir_text *error)
{
    weir_text_format(error, "line %zu, column %zu: %s", line, column, rule);
    return -1;
}

/* The digits of one frame into `octets`.  Returns how many characters it
 * took, or the negative column (from 1) of a wrong one. */
static long read_digits(const char *data, size_t size, struct weir_text *octets)
{
    size_t i = 0;

    weir_text_clear(octets);
    if (data[0] == '-')
        return 1;
    for (; i < size && data[i] != ' ' && data[i] != '\t'; i += 2) {
        int high = digit_value(data[i]);
        int low = i + 1 < size ? digit_value(data[i + 1]) : -1;

        if (high < 0 || low < 0)
            return -(long)(i + (high < 0 ? 1 : 2));
        weir_text_add_char(octets, (char)(high << 4 | low));
    }
    return (long)i;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int read_hex(const char *data, size_t size, size_t line,
                    weir_message *message, struct weir_text *error)
{
    struct weir_text octets = {0};
    int code = 0;

    for (size_t i = 0; i < size && code == 0;) {
        long length;

        if (blank(data[i])) {
            i++;
            continue;
        }
        length = read_digits(data + i, size - i, &octets);
        if (length < 0)
            code = bad_hex(line, i + (size_t)-length,
                           "an octet is two hexadecimal digits", error);
        else
            code = add_or_say(message, weir_text_string(&octets), octets.size,
                              error);
        i += length > 0 ? (size_t)length : 0;
        if (code == 0 && i < size && !blank(data[i]))
            code = bad_hex(line, i + 1, "a blank belongs behind \"-\"", error);
    }
    weir_text_fini(&octets);
    return code;
}

static int read_json(const char *data, size_t size, size_t line,
                     weir_message *message, struct weir_text *error)
{
    struct weir_json_error where = {0, 0, ""};
    size_t i = 0;
    int code;

    while (i < size && blank(data[i]))
        i++;
    if (i == size)
        return 0;
    code = weir_json_read(data, size, add_frame, message, &where);
    if (code == 0)
        return 0;
    if (where.line)
        weir_text_format(error, "line %zu, column %zu: %s",
                         line + where.line - 1, where.column, where.rule);
    else
        weir_text_format(error, "line %zu: %s", line, weir_strerror(code));
    return -1;
}

int weir_format_read(enum weir_format format, const char *data, size_t size,
                     size_t line, weir_message *message,
                     struct weir_text *error)
{
    switch (format) {
    case WEIR_FORMAT_HEX:
        return read_hex(data, size, line, message, error);
    case WEIR_FORMAT_JSON:
        return read_json(data, size, line, message, error);
    case WEIR_FORMAT_RAW:
    case WEIR_FORMAT_TEXT:
        break;
    }
    return add_or_say(message, data, size, error);
}
