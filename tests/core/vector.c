/* vector.c - see vector.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/vector.h"

/* Octets of the longest line's data. */
#define ROOM (1 << 18)

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* One token from *text on: hex, with *N at its end perhaps. */
static long decode_token(const char **text, uint8_t *out, size_t room)
{
    size_t n = 0, times;
    char *end;

    while (digit((*text)[0]) >= 0 && digit((*text)[1]) >= 0) {
        if (n == room)
            return -ENOSPC;
        out[n++] = (uint8_t)(digit((*text)[0]) << 4 | digit((*text)[1]));
        *text += 2;
    }
    if (n == 0)
        return -EINVAL;
    if (**text != '*')
        return (long)n;
    times = strtoul(*text + 1, &end, 10);
    *text = end;
    if (n != 1 || times == 0)
        return -EINVAL;
    if (times > room)
        return -ENOSPC;
    memset(out, out[0], times);
    return (long)times;
}

long vector_hex(const char *text, uint8_t *out, size_t room)
{
    size_t len = 0;
    long n;

    for (text += strspn(text, " \n"); *text != '\0';
         text += strspn(text, " \n")) {
        n = decode_token(&text, out + len, room - len);
        if (n < 0)
            return n;
        len += (size_t)n;
    }
    return (long)len;
}

static int add_line(struct vector *vector, char side, const void *data,
                    size_t len)
{
    struct vector_line *lines =
        realloc(vector->lines, (vector->count + 1) * sizeof *vector->lines);
    struct vector_line *line;

    if (lines == NULL)
        return -ENOMEM;
    vector->lines = lines;
    line = &lines[vector->count];
    *line = (struct vector_line){.side = side, .eof = data == NULL};
    vector->count++;
    if (line->eof)
        return 0;
    line->data = malloc(len + 1);
    if (line->data == NULL)
        return -ENOMEM;
    memcpy(line->data, data, len);
    line->len = len;
    return 0;
}

static int read_line(struct vector *vector, const char *text, uint8_t *room)
{
    long len;

    if (strncmp(text, "! eof ", 6) == 0)
        return add_line(vector, text[6], NULL, 0);
    if (text[0] == '#' || text[0] == '!' || text[0] == '\n')
        return 0;
    if ((text[0] != 'C' && text[0] != 'S') || text[1] != ':')
        return -EINVAL;
    len = vector_hex(text + 2, room, ROOM);
    return len < 0 ? (int)len : add_line(vector, text[0], room, (size_t)len);
}

static int read_lines(struct vector *vector, FILE *file, uint8_t *room)
{
    char *text = NULL;
    size_t size = 0;
    int rc = 0;

    while (rc == 0 && getline(&text, &size, file) > 0)
        rc = read_line(vector, text, room);
    free(text);
    return rc;
}

static FILE *open_file(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/vectors/%s.hex",
             top == NULL ? "." : top, name);
    return fopen(path, "r");
}

int vector_load(struct vector *vector, const char *name)
{
    uint8_t *room = malloc(ROOM);
    FILE *file = open_file(name);
    int rc = file == NULL ? -errno : -ENOMEM;

    *vector = (struct vector){0};
    if (file != NULL && room != NULL)
        rc = read_lines(vector, file, room);
    if (file != NULL)
        fclose(file);
    free(room);
    if (rc < 0)
        vector_free(vector);
    return rc;
}

void vector_free(struct vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        free(vector->lines[i].data);
    free(vector->lines);
    *vector = (struct vector){0};
}
