#include "config.h"

#include "base/sized.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"

static uint32_t size_of(const void *out)
{
    uint32_t size;

    memcpy(&size, out, sizeof size);
    return size;
}

int weir_sized_check(const void *out, size_t least, const char *what)
{
    if (!out)
        return weir_fail(EINVAL, "the %s is NULL", what);
    if (size_of(out) < least)
        return weir_fail(EINVAL,
                         "the %s has a size of %" PRIu32 ", less than %zu",
                         what, size_of(out), least);
    return 0;
}

void weir_sized_give(void *out, const void *from, size_t size)
{
    uint32_t room = size_of(out);

    memset(out, 0, room);
    memcpy(out, from, room < size ? room : size);
    memcpy(out, &room, sizeof room);
}
