/*
 * option.h - rows of a transport's table of options, and their values.
 *
 * All is static, since plugins share no objects.
 * Above: tune.c of transport_pgm and transport_tcp.  Below: the host.
 */
#ifndef WEIR_COMMON_OPTION_H
#define WEIR_COMMON_OPTION_H

#include <errno.h>

#include <weir/transport.h>

/* A row that each endpoint has a value of, and URLs can have: its kind, its
 * name, and what else it has. */
#define WEIR_COMMON_ROW(kind, text, ...)            \
    {                                               \
        .name = (text), .type = WEIR_OPTION_##kind, \
        .flags = WEIR_OPTION_ENDPOINT, __VA_ARGS__  \
    }

/* An endpoint's value of a row that has a number; the fallback, if the host
 * does not know it.
 * Errors: what the host says, with a sentence. */
static inline int weir_common_option(const weir_host *host, const weir_ep *ep,
                                     const char *scheme, const weir_option *row,
                                     int *out, weir_error *error)
{
    int64_t value = row->fallback;
    int rc = host->option_int(ep, row->name, &value);

    if (rc < 0 && rc != -ENOENT)
        return host->fail(error, -rc, "%s: option %s cannot be read", scheme,
                          row->name);
    *out = (int)value;
    return 0;
}

#endif
