/* text.c - text that grows; UTF-8; tables. */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static void grow(struct weir_text *text, size_t more)
{
    size_t room = text->room ? text->room : 64;
    char *data;

    if (text->data && text->room - text->size > more)
        return;
    while (room - text->size <= more && room <= SIZE_MAX / 2)
        room *= 2;
    data = room - text->size > more ? realloc(text->data, room) : NULL;
    if (!data) {
        fputs("weir: out of memory\n", stderr);
        exit(1);
    }
    text->data = data;
    text->room = room;
}

void weir_text_fini(struct weir_text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

void weir_text_clear(struct weir_text *text)
{
    text->size = 0;
    if (text->data)
        text->data[0] = '\0';
}

const char *weir_text_string(const struct weir_text *text)
{
    return text->data ? text->data : "";
}

void weir_text_add(struct weir_text *text, const void *data, size_t size)
{
    grow(text, size);
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void weir_text_add_char(struct weir_text *text, char c)
{
    weir_text_add(text, &c, 1);
}

static void __attribute__((format(printf, 2, 0)))
add_formatted(struct weir_text *text, const char *format, va_list list)
{
    va_list again;
    size_t left;
    int size;

    va_copy(again, list);
    grow(text, 64);
    left = text->room - text->size;
    size = vsnprintf(text->data + text->size, left, format, list);
    if (size >= 0 && (size_t)size >= left) {
        grow(text, (size_t)size);
        vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
    }
    text->size += size > 0 ? (size_t)size : 0;
    va_end(again);
}

void weir_text_format(struct weir_text *text, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    add_formatted(text, format, list);
    va_end(list);
}

/* How many octets the character that starts with `lead` has, and the bits of
 * it that `lead` holds; 0 when none starts so. */
static size_t lead_octet(uint8_t lead, uint32_t *bits)
{
    if (lead < 0x80) {
        *bits = lead;
        return 1;
    }
    if (lead >= 0xc2 && lead < 0xe0) {
        *bits = lead & 0x1fu;
        return 2;
    }
    if (lead >= 0xe0 && lead < 0xf0) {
        *bits = lead & 0x0fu;
        return 3;
    }
    if (lead >= 0xf0 && lead < 0xf5) {
        *bits = lead & 0x07u;
        return 4;
    }
    return 0;
}

size_t weir_text_decode(const void *data, size_t size, uint32_t *character)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *octets = data;
    uint32_t value = 0;
    size_t length = lead_octet(octets[0], &value);

    if (!length || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((octets[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (octets[i] & 0x3fu);
    }
    if (value < least[length] || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000))
        return 0;
    *character = value;
    return length;
}

void weir_text_encode(struct weir_text *text, uint32_t character)
{
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = character < 0x80      ? 1
                    : character < 0x800   ? 2
                    : character < 0x10000 ? 3
                                          : 4;
    char octets[4];

    for (size_t i = length; i-- > 1; character >>= 6)
        octets[i] = (char)(0x80 | (character & 0x3f));
    octets[0] = (char)(lead[length] | character);
    weir_text_add(text, octets, length);
}

int weir_text_is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
           (character >= 0x2028 && character < 0x202f) ||
           (character >= 0x2066 && character < 0x206a) || character == 0xfeff;
}

void weir_text_add_plain(struct weir_text *text, const void *data, size_t size)
{
    const uint8_t *octets = data;
    uint32_t character;
    size_t length;

    for (size_t i = 0; i < size; i += length) {
        length = weir_text_decode(octets + i, size - i, &character);
        if (length && !weir_text_is_control(character)) {
            weir_text_add(text, octets + i, length);
            continue;
        }
        length = length ? length : 1;
        for (size_t j = 0; j < length; j++)
            weir_text_format(text, "\\x%02x", octets[i + j]);
    }
}

/* ---- tables ---- */

/* How wide a string is on a terminal, near enough: its characters. */
static size_t width_of(const char *string)
{
    size_t width = 0;

    for (; *string; string++)
        width += ((uint8_t)*string & 0xc0) != 0x80;
    return width;
}

void weir_table_init(struct weir_table *table, const char *const *heads)
{
    memset(table, 0, sizeof *table);
    table->heads = heads;
    while (heads[table->columns]) {
        table->width[table->columns] =
            width_of(heads[table->columns] + (*heads[table->columns] == '>'));
        table->columns++;
    }
}

void weir_table_fini(struct weir_table *table)
{
    weir_text_fini(&table->cells);
}

void weir_table_add(struct weir_table *table, const char *format, ...)
{
    size_t start = table->cells.size, *width;
    va_list list;

    va_start(list, format);
    add_formatted(&table->cells, format, list);
    va_end(list);
    weir_text_add_char(&table->cells, '\0');
    width = &table->width[table->filled++ % table->columns];
    if (width_of(table->cells.data + start) > *width)
        *width = width_of(table->cells.data + start);
}

void weir_table_add_plain(struct weir_table *table, const char *string)
{
    struct weir_text cell = {0};

    weir_text_add_plain(&cell, string, strlen(string));
    weir_table_add(table, "%s", weir_text_string(&cell));
    weir_text_fini(&cell);
}

static void print_cell(const struct weir_table *table, unsigned column,
                       const char *cell, FILE *file)
{
    size_t width = width_of(cell), all = table->width[column];
    int pad = (int)(all > width ? all - width : 0);

    if (column)
        fputs("  ", file);
    if (table->heads[column][0] == '>')
        fprintf(file, "%*s%s", pad, "", cell);
    else if (column + 1 == table->columns)
        fputs(cell, file);
    else
        fprintf(file, "%s%*s", cell, pad, "");
    if (column + 1 == table->columns)
        fputc('\n', file);
}

void weir_table_print(const struct weir_table *table, int indent, FILE *file)
{
    const char *cell = weir_text_string(&table->cells);

    fprintf(file, "%*s", indent, "");
    for (unsigned i = 0; i < table->columns; i++)
        print_cell(table, i, table->heads[i] + (*table->heads[i] == '>'), file);
    for (unsigned i = 0; i < table->filled; i++) {
        if (i % table->columns == 0)
            fprintf(file, "%*s", indent, "");
        print_cell(table, i % table->columns, cell, file);
        cell += strlen(cell) + 1;
    }
}
