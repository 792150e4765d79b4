/* json.c - a message as JSON. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "base64.h"
#include "json.h"
#include "json_read.h"

/* ---- reading ---- */

/* The one name that may stand in this object, and the colon. */
static bool read_name(struct weir_json_reader *reader, const char *name,
                      const char *where)
{
    const char *at;

    weir_json_skip_blanks(reader);
    at = reader->at;
    if (!weir_json_read_string(reader, where))
        return false;
    if (reader->string.size != strlen(name) ||
        memcmp(weir_text_string(&reader->string), name, strlen(name)) != 0)
        return weir_json_fail_at(reader, at, "the name here must be \"%s\"",
                                 name);
    return weir_json_want(reader, ':', "behind a name");
}

/* {"base64": "..."}, of which '{' was taken, into reader->string. */
static bool read_base64(struct weir_json_reader *reader)
{
    struct weir_text octets = {0};
    const char *quote;
    size_t wrong;

    if (!read_name(reader, "base64", "the name \"base64\""))
        return false;
    weir_json_skip_blanks(reader);
    quote = reader->at;
    if (!weir_json_read_string(reader, "a string of base64"))
        return false;
    wrong = weir_base64_decode(&octets, weir_text_string(&reader->string),
                               reader->string.size);
    weir_text_fini(&reader->string);
    reader->string = octets;
    if (wrong)
        return weir_json_fail_at(
            reader, quote, "no base64: character %zu of the string", wrong);
    return weir_json_want(reader, '}', "behind the base64");
}

static bool read_frame(struct weir_json_reader *reader)
{
    weir_json_skip_blanks(reader);
    if (weir_json_take(reader, '{'))
        return read_base64(reader);
    if (reader->at < reader->end && *reader->at == '"')
        return weir_json_read_string(reader, "a frame");
    return weir_json_fail_at(reader, reader->at,
                             "a frame is a string or {\"base64\": \"...\"}");
}

/* Frames up to the ']'.  0, -1, or what frame() returned. */
static int read_frames(struct weir_json_reader *reader,
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
    } while (weir_json_take(reader, ','));
    return weir_json_want(reader, ']', "behind the last frame") ? 0 : -1;
}

static bool read_end(struct weir_json_reader *reader)
{
    if (!weir_json_want(reader, '}', "behind the frames"))
        return false;
    weir_json_skip_blanks(reader);
    if (reader->at < reader->end)
        return weir_json_fail_at(reader, reader->at,
                                 "more behind the end of the object");
    return true;
}

int weir_json_read(const char *data, size_t size,
                   int (*frame)(void *arg, const void *octets, size_t size),
                   void *arg, struct weir_json_error *error)
{
    struct weir_json_reader reader = {data, data + size, data, error, {0}};
    int code = -1;

    if (weir_json_want(&reader, '{', "a message is an object") &&
        read_name(&reader, "frames", "the name \"frames\"") &&
        weir_json_want(&reader, '[', "the list of frames")) {
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
