/* json_read.c - the words that JSON is made of. */
#include "config.h"

#include <stdarg.h>
#include <string.h>

#include "json_read.h"

/* Say that the rule is broken at `at`; false, for the caller to return. */
bool weir_json_fail_at(struct weir_json_reader *reader, const char *at,
                       const char *rule, ...)
{
    struct weir_json_error *error = reader->error;
    va_list list;

    error->line = error->column = 1;
    for (const char *c = reader->start; c < at; c++) {
        if (*c == '\n') {
            error->line++;
            error->column = 1;
        } else if (((uint8_t)*c & 0xc0) != 0x80) {
            error->column++;
        }
    }
    va_start(list, rule);
    vsnprintf(error->rule, sizeof error->rule, rule, list);
    va_end(list);
    return false;
}

void weir_json_skip_blanks(struct weir_json_reader *reader)
{
    while (reader->at < reader->end && *reader->at &&
           strchr(" \t\r\n", *reader->at))
        reader->at++;
}

/* Is `c` next, behind blanks?  It is taken if so. */
bool weir_json_take(struct weir_json_reader *reader, char c)
{
    weir_json_skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* `c` must be next. */
bool weir_json_want(struct weir_json_reader *reader, char c, const char *where)
{
    struct weir_text found = {0};

    if (weir_json_take(reader, c))
        return true;
    if (reader->at == reader->end)
        return weir_json_fail_at(reader, reader->at,
                                 "it ends where '%c' belongs, %s", c, where);
    weir_text_add_plain(&found, reader->at, 1);
    weir_json_fail_at(reader, reader->at, "'%c' belongs here, %s, not '%s'", c,
                      where, weir_text_string(&found));
    weir_text_fini(&found);
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits. */
static bool read_unit(struct weir_json_reader *reader, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        int digit = reader->at < reader->end ? hex_digit(*reader->at) : -1;

        if (digit < 0)
            return weir_json_fail_at(reader, reader->at,
                                     "\\u needs four hexadecimal digits");
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows \u; two of them make a character beyond FFFF. */
static bool read_unicode(struct weir_json_reader *reader)
{
    const char *escape = reader->at - 2;
    uint32_t high, low;

    if (!read_unit(reader, &high))
        return false;
    if (high < 0xd800 || high >= 0xe000) {
        weir_text_encode(&reader->string, high);
        return true;
    }
    if (high >= 0xdc00 || reader->end - reader->at < 2 ||
        memcmp(reader->at, "\\u", 2) != 0)
        return weir_json_fail_at(reader, escape, "half of a surrogate pair");
    reader->at += 2;
    if (!read_unit(reader, &low))
        return false;
    if (low < 0xdc00 || low >= 0xe000)
        return weir_json_fail_at(reader, escape, "half of a surrogate pair");
    weir_text_encode(&reader->string,
                     0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return true;
}

static bool read_escape(struct weir_json_reader *reader)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *escape = reader->at++, *name;

    if (reader->at == reader->end)
        return weir_json_fail_at(reader, escape, "the string does not end");
    if (*reader->at == 'u') {
        reader->at++;
        return read_unicode(reader);
    }
    name = *reader->at ? strchr(names, *reader->at) : NULL;
    if (!name)
        return weir_json_fail_at(reader, escape,
                                 "no such escape; a backslash is \\\\");
    weir_text_add_char(&reader->string, values[name - names]);
    reader->at++;
    return true;
}

/* One character of a string as it stands. */
static bool read_plain(struct weir_json_reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at), length;
    uint32_t character;

    length = weir_text_decode(reader->at, left, &character);
    if (!length)
        return weir_json_fail_at(
            reader, reader->at,
            "octet %02x is not UTF-8; use base64 for such frames",
            (unsigned)(uint8_t)*reader->at);
    if (character < 0x20)
        return weir_json_fail_at(
            reader, reader->at,
            "a control character in a string; write \\u%04x",
            (unsigned)character);
    weir_text_add(&reader->string, reader->at, length);
    reader->at += length;
    return true;
}

/* A string into reader->string. */
bool weir_json_read_string(struct weir_json_reader *reader, const char *where)
{
    const char *quote;

    if (!weir_json_want(reader, '"', where))
        return false;
    quote = reader->at - 1;
    weir_text_clear(&reader->string);
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\' ? !read_escape(reader) : !read_plain(reader))
            return false;
    }
    if (reader->at == reader->end)
        return weir_json_fail_at(reader, quote, "the string does not end");
    reader->at++;
    return true;
}
