/* input.c - messages from a descriptor. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "input.h"

void weir_input_init(struct weir_input *input, int fd, bool whole)
{
    memset(input, 0, sizeof *input);
    input->fd = fd;
    input->whole = whole;
}

void weir_input_fini(struct weir_input *input)
{
    weir_text_fini(&input->data);
}

/* Give up what was taken. */
static void compact(struct weir_input *input)
{
    size_t left = input->data.size - input->at;

    if (!input->at)
        return;
    memmove(input->data.data, input->data.data + input->at, left);
    input->data.size = left;
    input->seen -= input->at;
    input->at = 0;
}

int weir_input_fill(struct weir_input *input)
{
    char octets[65536];
    ssize_t size;

    compact(input);
    do {
        size = read(input->fd, octets, sizeof octets);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return -errno;
    if (size == 0)
        input->ended = true;
    else
        weir_text_add(&input->data, octets, (size_t)size);
    return 0;
}

static bool next_whole(struct weir_input *input, const char **data,
                       size_t *size)
{
    if (!input->ended || input->taken)
        return false;
    *data = weir_text_string(&input->data);
    *size = input->data.size;
    input->line = 1;
    input->taken = true;
    return true;
}

bool weir_input_next(struct weir_input *input, const char **data, size_t *size)
{
    size_t end = input->data.size;
    const char *start, *newline = NULL;

    if (input->whole)
        return next_whole(input, data, size);
    start = weir_text_string(&input->data);
    if (input->seen < end)
        newline = memchr(start + input->seen, '\n', end - input->seen);
    if (!newline && (!input->ended || input->at == end)) {
        input->seen = end;
        return false;
    }
    *data = start + input->at;
    *size = newline ? (size_t)(newline - *data) : end - input->at;
    input->at += *size + (newline ? 1 : 0);
    input->seen = input->at;
    input->line++;
    return true;
}

bool weir_input_over(const struct weir_input *input)
{
    if (!input->ended)
        return false;
    return input->whole ? input->taken : input->at == input->data.size;
}
