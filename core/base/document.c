/*
 * document.c - see document.h.
 */
#include "config.h"

#include "base/document.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

void weir_document_clear(struct weir_document *doc)
{
    doc->size = 0;
    doc->failed = false;
}

void weir_document_fini(struct weir_document *doc)
{
    free(doc->data);
    doc->data = NULL;
    doc->size = doc->room = 0;
}

/* ---- octets ---- */

static bool grow(struct weir_document *doc, size_t more)
{
    size_t room = doc->room ? doc->room : FIRST_ROOM;
    char *data;

    if (doc->failed || more > doc->most - doc->size)
        return false;
    while (room - doc->size < more)
        room *= 2;
    if (room == doc->room)
        return true;
    data = realloc(doc->data, room);
    if (!data)
        return false;
    doc->data = data;
    doc->room = room;
    return true;
}

static void add(struct weir_document *doc, const void *data, size_t size)
{
    if (!grow(doc, size)) {
        doc->failed = true;
        return;
    }
    memcpy(doc->data + doc->size, data, size);
    doc->size += size;
}

static void add_string(struct weir_document *doc, const char *text)
{
    add(doc, text, strlen(text));
}

/* ---- strings ---- */

/* Octets behind the first one, and the least value, of a character whose first
 * octet is `lead`; -1: there is none. */
static int tail_of(unsigned char lead, uint32_t *value, uint32_t *least)
{
    static const struct {
        unsigned char mask, bits;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0},
                 {0xe0, 0xc0, 0x80},
                 {0xf0, 0xe0, 0x800},
                 {0xf8, 0xf0, 0x10000}};

    for (int n = 0; n < 4; n++) {
        if ((lead & forms[n].mask) != forms[n].bits)
            continue;
        *value = lead & (unsigned char)~forms[n].mask;
        *least = forms[n].least;
        return n;
    }
    return -1;
}

/* Octets of the character at the beginning of a string that is not empty; 0:
 * it is no UTF-8. */
static size_t character(const char *text)
{
    uint32_t value = 0, least = 0;
    int n = tail_of((unsigned char)*text, &value, &least);

    for (int i = 1; i <= n; i++) {
        unsigned char octet = (unsigned char)text[i];

        if ((octet & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (octet & 0x3f);
    }
    if (n < 0 || value < least || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000))
        return 0;
    return (size_t)n + 1;
}

static void add_escape(struct weir_document *doc, unsigned char octet)
{
    char text[8];

    if (octet == '"' || octet == '\\')
        snprintf(text, sizeof text, "\\%c", octet);
    else
        snprintf(text, sizeof text, "\\u%04x", octet);
    add_string(doc, text);
}

/* Those that a terminal obeys, in their longer form too: U+0080 to U+009F. */
static bool is_control(const char *text, size_t n)
{
    unsigned char first = (unsigned char)text[0];

    if (n == 1)
        return first < 0x20 || first == 0x7f;
    return n == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

static void add_quoted(struct weir_document *doc, const char *text)
{
    add(doc, "\"", 1);
    while (*text) {
        size_t n = character(text);

        if (n == 0)
            add_string(doc, "\\ufffd");
        else if (*text == '"' || *text == '\\' || is_control(text, n))
            add_escape(doc, (unsigned char)text[n - 1]);
        else
            add(doc, text, n);
        text += n ? n : 1;
    }
    add(doc, "\"", 1);
}

/* ---- members ---- */

static void begin(struct weir_document *doc, const char *name)
{
    char last = doc->size ? doc->data[doc->size - 1] : '[';

    if (last != '{' && last != '[')
        add_string(doc, ", ");
    if (!name)
        return;
    add_quoted(doc, name);
    add_string(doc, ": ");
}

void weir_document_open(struct weir_document *doc, const char *name, char kind)
{
    begin(doc, name);
    add(doc, &kind, 1);
}

void weir_document_close(struct weir_document *doc, char kind)
{
    add(doc, &kind, 1);
}

void weir_document_number(struct weir_document *doc, const char *name,
                          uint64_t number)
{
    char text[24];

    begin(doc, name);
    snprintf(text, sizeof text, "%" PRIu64, number);
    add_string(doc, text);
}

void weir_document_flag(struct weir_document *doc, const char *name, bool is)
{
    begin(doc, name);
    add_string(doc, is ? "true" : "false");
}

void weir_document_text(struct weir_document *doc, const char *name,
                        const char *text)
{
    begin(doc, name);
    add_quoted(doc, text);
}
