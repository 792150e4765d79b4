/* json.c - a message as JSON. */
#include "config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base64.h"
#include "json.h"

struct reader {
    const char *at, *end, *start;
    struct weir_json_error *error;
    struct weir_text string; /* the last one read */
};

/* ---- reading ---- */

/* Say that the rule is broken at `at`; false, for the caller to return. */
static bool fail_at(struct reader *reader, const char *at, const char *rule,
                    ...)
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

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && *reader->at &&
           strchr(" \t\r\n", *reader->at))
        reader->at++;
}

/* Is `c` next, behind blanks?  It is taken if so. */
static bool take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* `c` must be next. */
static bool want(struct reader *reader, char c, const char *where)
{
    struct weir_text found = {0};

    if (take(reader, c))
        return true;
    if (reader->at == reader->end)
        return fail_at(reader, reader->at, "it ends where '%c' belongs, %s", c,
                       where);
    weir_text_add_plain(&found, reader->at, 1);
    fail_at(reader, reader->at, "'%c' belongs here, %s, not '%s'", c, where,
            weir_text_string(&found));
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
static bool read_unit(struct reader *reader, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        int digit = reader->at < reader->end ? hex_digit(*reader->at) : -1;

        if (digit < 0)
            return fail_at(reader, reader->at,
                           "\\u needs four hexadecimal digits");
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows \u; two of them make a character beyond FFFF. */
static bool read_unicode(struct reader *reader)
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
        return fail_at(reader, escape, "half of a surrogate pair");
    reader->at += 2;
    if (!read_unit(reader, &low))
        return false;
    if (low < 0xdc00 || low >= 0xe000)
        return fail_at(reader, escape, "half of a surrogate pair");
    weir_text_encode(&reader->string,
                     0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return true;
}

static bool read_escape(struct reader *reader)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *escape = reader->at++, *name;

    if (reader->at == reader->end)
        return fail_at(reader, escape, "the string does not end");
    if (*reader->at == 'u') {
        reader->at++;
        return read_unicode(reader);
    }
    name = *reader->at ? strchr(names, *reader->at) : NULL;
    if (!name)
        return fail_at(reader, escape, "no such escape; a backslash is \\\\");
    weir_text_add_char(&reader->string, values[name - names]);
    reader->at++;
    return true;
}

/* One character of a string as it stands. */
static bool read_plain(struct reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at), length;
    uint32_t character;

    length = weir_text_decode(reader->at, left, &character);
    if (!length)
        return fail_at(reader, reader->at,
                       "octet %02x is not UTF-8; use base64 for such frames",
                       (unsigned)(uint8_t)*reader->at);
    if (character < 0x20)
        return fail_at(reader, reader->at,
                       "a control character in a string; write \\u%04x",
                       (unsigned)character);
    weir_text_add(&reader->string, reader->at, length);
    reader->at += length;
    return true;
}

/* A string into reader->string. */
static bool read_string(struct reader *reader, const char *where)
{
    const char *quote;

    if (!want(reader, '"', where))
        return false;
    quote = reader->at - 1;
    weir_text_clear(&reader->string);
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\' ? !read_escape(reader) : !read_plain(reader))
            return false;
    }
    if (reader->at == reader->end)
        return fail_at(reader, quote, "the string does not end");
    reader->at++;
    return true;
}

/* The one name that may stand in this object, and the colon. */
static bool read_name(struct reader *reader, const char *name,
                      const char *where)
{
    const char *at;

    skip_blanks(reader);
    at = reader->at;
    if (!read_string(reader, where))
        return false;
    if (reader->string.size != strlen(name) ||
        memcmp(weir_text_string(&reader->string), name, strlen(name)) != 0)
        return fail_at(reader, at, "the name here must be \"%s\"", name);
    return want(reader, ':', "behind a name");
}

/* {"base64": "..."}, of which '{' was taken, into reader->string. */
static bool read_base64(struct reader *reader)
{
    struct weir_text octets = {0};
    const char *quote;
    size_t wrong;

    if (!read_name(reader, "base64", "the name \"base64\""))
        return false;
    skip_blanks(reader);
    quote = reader->at;
    if (!read_string(reader, "a string of base64"))
        return false;
    wrong = weir_base64_decode(&octets, weir_text_string(&reader->string),
                               reader->string.size);
    weir_text_fini(&reader->string);
    reader->string = octets;
    if (wrong)
        return fail_at(reader, quote, "no base64: character %zu of the string",
                       wrong);
    return want(reader, '}', "behind the base64");
}

static bool read_frame(struct reader *reader)
{
    skip_blanks(reader);
    if (take(reader, '{'))
        return read_base64(reader);
    if (reader->at < reader->end && *reader->at == '"')
        return read_string(reader, "a frame");
    return fail_at(reader, reader->at,
                   "a frame is a string or {\"base64\": \"...\"}");
}

/* Frames up to the ']'.  0, -1, or what frame() returned. */
static int read_frames(struct reader *reader,
                       int (*frame)(void *arg, const void *octets, size_t size),
                       void *arg)
{
    int code;

    do {
        if (!read_frame(reader))
            return -1;
        code =
            frame(arg, weir_text_string(&reader->string), reader->string.size);
        if (code)
            return code;
    } while (take(reader, ','));
    return want(reader, ']', "behind the last frame") ? 0 : -1;
}

static bool read_end(struct reader *reader)
{
    if (!want(reader, '}', "behind the frames"))
        return false;
    skip_blanks(reader);
    if (reader->at < reader->end)
        return fail_at(reader, reader->at, "more behind the end of the object");
    return true;
}

int weir_json_read(const char *data, size_t size,
                   int (*frame)(void *arg, const void *octets, size_t size),
                   void *arg, struct weir_json_error *error)
{
    struct reader reader = {data, data + size, data, error, {0}};
    int code = -1;

    if (want(&reader, '{', "a message is an object") &&
        read_name(&reader, "frames", "the name \"frames\"") &&
        want(&reader, '[', "the list of frames")) {
        code = read_frames(&reader, frame, arg);
        if (!code)
            code = read_end(&reader) ? 0 : -1;
    }
    weir_text_fini(&reader.string);
    return code;
}

/* ---- writing ---- */

static bool is_text(const char *data, size_t size)
{
    uint32_t character;
    size_t length;

    for (size_t i = 0; i < size; i += length) {
        length = weir_text_decode(data + i, size - i, &character);
        if (!length || !character)
            return false;
    }
    return true;
}

static void add_escape(struct weir_text *text, uint32_t character)
{
    static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
    const char *value =
        character && character < 0x80 ? strchr(values, (int)character) : NULL;

    if (value)
        weir_text_format(text, "\\%c", names[value - values]);
    else
        weir_text_format(text, "\\u%04x", (unsigned)character);
}

void weir_json_string(struct weir_text *text, const void *data, size_t size)
{
    const char *octets = data;
    uint32_t character = 0;
    size_t length;

    weir_text_add_char(text, '"');
    for (size_t i = 0; i < size; i += length) {
        length = weir_text_decode(octets + i, size - i, &character);
        if (!length)
            break;
        if (weir_text_is_control(character) || character == '"' ||
            character == '\\')
            add_escape(text, character);
        else
            weir_text_add(text, octets + i, length);
    }
    weir_text_add_char(text, '"');
}

void weir_json_start(struct weir_text *text)
{
    weir_text_format(text, "{\"frames\": [");
}

void weir_json_frame(struct weir_text *text, size_t number, const void *octets,
                     size_t size)
{
    if (number)
        weir_text_add(text, ", ", 2);
    if (is_text(octets, size)) {
        weir_json_string(text, octets, size);
        return;
    }
    weir_text_format(text, "{\"base64\": \"");
    weir_base64_encode(text, octets, size);
    weir_text_add(text, "\"}", 2);
}

void weir_json_end(struct weir_text *text)
{
    weir_text_add(text, "]}", 2);
}
