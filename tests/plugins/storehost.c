/* storehost.c - see storehost.h. */
#include "config.h"

#include "storehost.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int take_sentence(weir_error *error, int code, const char *format, ...)
{
    va_list arguments;

    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, error->room, format, arguments);
    va_end(arguments);
    return -code;
}

static bool owned[1024];

static void own(int fd, int on)
{
    if (fd < 1024)
        owned[fd] = on;
}

bool storehost_owns(int fd)
{
    return fd < 1024 && owned[fd];
}

static const weir_host host = {
    .size = sizeof host, .version = "test", .fail = take_sentence, .own = own};

int storehost_open(const weir_store_ops *ops, const char *folder,
                   uint64_t budget, uint32_t mode, void **store,
                   weir_error *error)
{
    weir_store_args args = {.size = sizeof args,
                            .mode = mode,
                            .budget = budget,
                            .dir = folder,
                            .queue = "a-queue"};

    error->text[0] = '\0';
    return ops->open(&host, &args, store, error);
}
