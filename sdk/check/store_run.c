/* store_run.c - see store_run.h. */
#include "config.h"

#include "store_run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARTS 1024 /* of one write, at most */

bool weir_run_wrong(struct weir_run *run, const char *format, ...)
{
    va_list arguments;

    if (run->detail[0])
        return false;
    va_start(arguments, format);
    vsnprintf(run->detail, sizeof run->detail, format, arguments);
    va_end(arguments);
    return false;
}

bool weir_run_skip(struct weir_run *run, const char *why)
{
    run->skipped = true;
    snprintf(run->detail, sizeof run->detail, "%s", why);
    return true;
}

static int fail(weir_error *error, int code, const char *format, ...)
{
    va_list arguments;

    if (!error)
        return -code;
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, error->room, format, arguments);
    va_end(arguments);
    return -code;
}

const weir_host weir_run_host = {
    .size = sizeof weir_run_host, .version = WEIR_VERSION, .fail = fail};

int weir_run_try_open(struct weir_run *run, uint64_t budget)
{
    weir_store_args args = {.size = sizeof args,
                            .mode = run->mode,
                            .budget = budget,
                            .dir = run->folder,
                            .queue = run->queue};
    int rc;

    run->text[0] = '\0';
    rc = run->check->ops->open(&weir_run_host, &args, &run->self, &run->error);
    if (rc < 0)
        run->self = NULL;
    return rc;
}

bool weir_run_open(struct weir_run *run, uint64_t budget)
{
    return weir_run_try_open(run, budget) == 0 ||
           weir_run_wrong(run, "open: %s", run->text);
}

void weir_run_close(struct weir_run *run, int keep)
{
    if (run->self)
        run->check->ops->close(run->self, keep);
    run->self = NULL;
}

weir_store_stat weir_run_stat(const struct weir_run *run)
{
    weir_store_stat stat = {.size = sizeof stat};

    run->check->ops->stat(run->self, &stat);
    return stat;
}

void weir_run_fill(unsigned char *data, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 31 + i / 251 + number * 7);
}

int64_t weir_run_put(struct weir_run *run, size_t size, uint64_t number, int n)
{
    struct iovec parts[PARTS] = {{run->data, 0}};
    size_t at = 0, part = n > 1 ? size / (size_t)(n - 1) : size;

    weir_run_fill(run->data, size, number);
    if (n == 1)
        parts[0].iov_len = size;
    for (int i = 1; i < n; i++) {
        parts[i].iov_base = run->data + at;
        parts[i].iov_len = i == n - 1 ? size - at : part;
        at += part;
    }
    return run->check->ops->write(run->self, parts, n, 1, number, &run->error);
}

bool weir_run_keep(struct weir_run *run, size_t size, uint64_t number, int n,
                   int64_t *handle)
{
    *handle = weir_run_put(run, size, number, n);
    return *handle >= 0 ||
           weir_run_wrong(run, "write of %zu octets: %s", size, run->text);
}

bool weir_run_same(struct weir_run *run, int64_t handle, size_t size,
                   uint64_t number)
{
    ssize_t n = run->check->ops->read(run->self, handle, run->back,
                                      WEIR_CHECK_BLOCK, &run->error);

    if (n < 0)
        return weir_run_wrong(run, "read of %zu octets: %s", size, run->text);
    weir_run_fill(run->data, size, number);
    return ((size_t)n == size && memcmp(run->back, run->data, size) == 0) ||
           weir_run_wrong(run,
                          "block %" PRIu64
                          " of %zu octets is another one, of %zd",
                          number, size, n);
}

bool weir_run_let_go(struct weir_run *run, int64_t handle)
{
    int rc = run->check->ops->done(run->self, handle, UINT64_MAX, &run->error);

    return rc == 0 || weir_run_wrong(run, "done: %s", run->text);
}
