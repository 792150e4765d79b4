#include "config.h"

#include "peer_info.h"

#include <stdlib.h>
#include <string.h>

struct weir_peer_info *weir_peer_info_new(const void *metadata, size_t size)
{
    struct weir_peer_info *info;

    if (size > SIZE_MAX - sizeof(*info))
        return NULL;
    info = malloc(sizeof(*info) + size);
    if (!info)
        return NULL;
    atomic_init(&info->refs, WEIR_PEER_INFO_HOLD);
    info->size = size;
    if (size)
        memcpy(info->metadata, metadata, size);
    return info;
}

void weir_peer_info_unref(struct weir_peer_info *info, uint64_t n)
{
    if (atomic_fetch_sub_explicit(&info->refs, n, memory_order_acq_rel) == n)
        free(info);
}

/* Not tolower(): what letters are must not depend on the locale. */
static unsigned lower(unsigned letter)
{
    return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter;
}

static int same(const uint8_t *a, const char *b, size_t size)
{
    while (size && lower(*a) == lower((unsigned char)*b))
        a++, b++, size--;
    return size == 0;
}

static size_t value_size(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 |
           at[3];
}

/* The property at `at`, if it is there as a whole: its value; else NULL. */
static const uint8_t *value_at(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at), before;

    if (left < 1)
        return NULL;
    before = 1 + (size_t)at[0] + 4;
    if (left < before || left - before < value_size(at + before - 4))
        return NULL;
    return at + before;
}

const void *weir_peer_info_property(const struct weir_peer_info *info,
                                    const char *name, size_t *size)
{
    const uint8_t *at = info->metadata, *end = at + info->size, *value;
    size_t wanted = strlen(name);

    while ((value = value_at(at, end))) {
        if (at[0] == wanted && same(at + 1, name, wanted)) {
            *size = value_size(value - 4);
            return value;
        }
        at = value + value_size(value - 4);
    }
    return NULL;
}
