#include "config.h"

#include "peer_info.h"

#include <stdlib.h>
#include <string.h>

#include "zmtp.h"

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

const void *weir_peer_info_property(const struct weir_peer_info *info,
                                    const char *name, size_t *size)
{
    struct weir_zmtp_property found;

    if (weir_zmtp_find(info->metadata, info->size, name, &found) <= 0)
        return NULL;
    *size = found.value_len;
    return found.value;
}
