/* store.c - what every store must do, in each mode that it has. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/store.h>

#include "check.h"

#define KB         ((size_t)1024)
#define MB         (1024 * KB)
#define BUDGET     (64 * MB)
#define TIGHT      (8 * MB)
#define MANY       5000
#define BLOCK_MAX  (4 * MB)
#define OPEN_TIMES 20

/* A case under way. */
struct run {
    const struct weir_check_store *check;
    uint32_t mode;
    void *self;
    unsigned char *data, *back; /* BLOCK_MAX octets each */
    char folder[64], detail[512], text[512];
    weir_error error;
};

static bool wrong(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Keep what went wrong, if it is the first; returns false. */
static bool wrong(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->detail[0])
        return false;
    va_start(arguments, format);
    vsnprintf(run->detail, sizeof run->detail, format, arguments);
    va_end(arguments);
    return false;
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

static const weir_host host = {
    .size = sizeof host, .version = WEIR_VERSION, .fail = fail};

/* ---- one store and its blocks ---- */

static bool open_store(struct run *run, uint64_t budget)
{
    weir_store_args args = {.size = sizeof args,
                            .mode = run->mode,
                            .budget = budget,
                            .dir = run->folder,
                            .queue = "weir-check"};
    int rc = run->check->ops->open(&host, &args, &run->self, &run->error);

    if (rc < 0)
        run->self = NULL;
    return rc == 0 || wrong(run, "open: %s", run->text);
}

static void close_store(struct run *run)
{
    if (run->self)
        run->check->ops->close(run->self, 0);
    run->self = NULL;
}

static weir_store_stat stat_now(const struct run *run)
{
    weir_store_stat stat = {.size = sizeof stat};

    run->check->ops->stat(run->self, &stat);
    return stat;
}

/* Octets that depend on their place, and on the block's number. */
static void fill(unsigned char *data, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 31 + i / 251 + number * 7);
}

/* Write a block of one message, in `n` parts of which the first is empty.
 * Returns what write() does. */
static int64_t put(struct run *run, size_t size, uint64_t number, int n)
{
    struct iovec parts[16] = {{run->data, 0}};
    size_t at = 0, part = n > 1 ? size / (size_t)(n - 1) : size;

    fill(run->data, size, number);
    if (n == 1)
        parts[0].iov_len = size;
    for (int i = 1; i < n; i++) {
        parts[i].iov_base = run->data + at;
        parts[i].iov_len = i == n - 1 ? size - at : part;
        at += part;
    }
    return run->check->ops->write(run->self, parts, n, 1, number, &run->error);
}

static bool keep(struct run *run, size_t size, uint64_t number, int n,
                 int64_t *handle)
{
    *handle = put(run, size, number, n);
    return *handle >= 0 ||
           wrong(run, "write of %zu octets: %s", size, run->text);
}

static bool same(struct run *run, int64_t handle, size_t size, uint64_t number)
{
    ssize_t n = run->check->ops->read(run->self, handle, run->back, BLOCK_MAX,
                                      &run->error);

    if (n < 0)
        return wrong(run, "read of %zu octets: %s", size, run->text);
    fill(run->data, size, number);
    return ((size_t)n == size && memcmp(run->back, run->data, size) == 0) ||
           wrong(run, "block %" PRIu64 " of %zu octets is another one, of %zd",
                 number, size, n);
}

static bool let_go(struct run *run, int64_t handle)
{
    int rc = run->check->ops->done(run->self, handle, UINT64_MAX, &run->error);

    return rc == 0 || wrong(run, "done: %s", run->text);
}

/* ---- cases ---- */

/* A block is read back as it was written, however it was cut. */
static bool views(struct run *run)
{
    static const size_t sizes[] = {1, 40, 4095, 4096, 64 * KB, MB, BLOCK_MAX};
    bool good = open_store(run, BUDGET);
    int64_t handle;

    for (size_t i = 0; good && i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int n = 1; good && n <= 16; n += 5)
            good = keep(run, sizes[i], i, n, &handle) &&
                   same(run, handle, sizes[i], i) &&
                   same(run, handle, sizes[i], i) && let_go(run, handle);
    }
    return good;
}

/* Many blocks at once, let go in the order of the queue. */
static bool many(struct run *run)
{
    int64_t *handles = calloc(MANY, sizeof *handles);
    bool good = handles && open_store(run, BUDGET);

    for (unsigned i = 0; good && i < MANY; i++)
        good = keep(run, 1 + i % 3000, i, 1, &handles[i]);
    if (good && stat_now(run).blocks != MANY)
        good = wrong(run, "stat has not %d blocks", MANY);
    for (unsigned i = 0; good && i < MANY; i++)
        good =
            same(run, handles[i], 1 + i % 3000, i) && let_go(run, handles[i]);
    if (good && stat_now(run).blocks != 0)
        good = wrong(run, "stat has blocks when all are done");
    free(handles);
    return good;
}

/* Fill a store to its budget; *n blocks of 256 KB are in it. */
static bool fill_up(struct run *run, int64_t handles[64], unsigned *n)
{
    int64_t handle = 0;

    for (*n = 0; *n < 64; ++*n) {
        handle = put(run, 256 * KB, *n, 1);
        if (handle < 0)
            break;
        handles[*n] = handle;
    }
    if (handle != -ENOSPC)
        return wrong(run, "the write beyond the budget: %s, want ENOSPC",
                     handle < 0 ? run->text : "goes well");
    if (stat_now(run).bytes > TIGHT)
        return wrong(run, "%" PRIu64 " octets in use, of %zu",
                     stat_now(run).bytes, TIGHT);
    return *n >= 16 || wrong(run, "half of the budget is not to be had");
}

/* A full store keeps what it has, and goes on when there is room. */
static bool budget(struct run *run)
{
    int64_t handles[64];
    unsigned n = 0;
    bool good = open_store(run, TIGHT) && fill_up(run, handles, &n);

    if (good && (stat_now(run).failed != 0 || stat_now(run).blocks != n))
        good = wrong(run, "a full store has failed, or lost a block");
    for (unsigned i = 0; good && i < n / 2; i++)
        good = let_go(run, handles[i]);
    good = good && keep(run, 256 * KB, 100, 1, &handles[0]) &&
           same(run, handles[0], 256 * KB, 100);
    for (unsigned i = n / 2; good && i < n; i++)
        good = same(run, handles[i], 256 * KB, i);
    return good;
}

/* Space comes back whichever blocks go first: three rounds fit. */
static bool any_order(struct run *run)
{
    int64_t handles[64];
    unsigned n = 0;
    bool good = open_store(run, TIGHT);

    for (int round = 0; good && round < 3; round++) {
        good = fill_up(run, handles, &n);
        for (unsigned i = 0; good && i < n; i += 2)
            good = let_go(run, handles[i]);
        for (unsigned i = n; good && i-- > 0;)
            good = i % 2 == 0 || (same(run, handles[i], 256 * KB, i) &&
                                  let_go(run, handles[i]));
    }
    return good;
}

/* Some messages of a block are not the block. */
static bool in_part(struct run *run)
{
    const weir_store_ops *ops = run->check->ops;
    struct iovec part = {run->data, 1000};
    bool good = open_store(run, BUDGET);
    int64_t handle = -1;

    if (good) {
        fill(run->data, 1000, 5);
        handle = ops->write(run->self, &part, 1, 10, 100, &run->error);
        good = handle >= 0 || wrong(run, "write: %s", run->text);
    }
    if (good && ops->done(run->self, handle, 108, &run->error) < 0)
        good = wrong(run, "done with a part: %s", run->text);
    good = good && same(run, handle, 1000, 5);
    if (good && ops->done(run->self, handle, 109, &run->error) < 0)
        good = wrong(run, "done with the rest: %s", run->text);
    if (good && stat_now(run).blocks != 0)
        good = wrong(run, "all messages are consumed, and the block is there");
    return good;
}

/* What is refused has its code. */
static bool refusals(struct run *run)
{
    const weir_store_ops *ops = run->check->ops;
    int64_t handle = -1;
    bool good = open_store(run, BUDGET) && keep(run, 1000, 1, 1, &handle);

    if (good &&
        ops->read(run->self, handle, run->back, 999, &run->error) != -ERANGE)
        good = wrong(run, "a read without room: want ERANGE");
    good = good && same(run, handle, 1000, 1) && let_go(run, handle);
    if (good && ops->read(run->self, handle, run->back, BLOCK_MAX,
                          &run->error) != -EINVAL)
        good = wrong(run, "a read of what is done: want EINVAL");
    if (good && ops->done(run->self, handle, 1, &run->error) != -EINVAL)
        good = wrong(run, "done a second time: want EINVAL");
    return good;
}

/* The lowest descriptor that is free: it rises if any is left open. */
static int lowest(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        (void)close(fd);
    return fd;
}

static bool leaks(struct run *run)
{
    int before = lowest();
    bool good = true;
    int64_t handle;

    for (int i = 0; good && i < OPEN_TIMES; i++) {
        good = open_store(run, BUDGET) && keep(run, 100 * KB, 1, 1, &handle) &&
               let_go(run, handle) && keep(run, 100 * KB, 2, 1, &handle);
        close_store(run);
    }
    return good &&
           (lowest() == before || wrong(run, "descriptors are left open"));
}

/* A spill has no name while it is open, so that nothing of it can stay. */
static bool nothing_stays(struct run *run)
{
    bool good = open_store(run, BUDGET);
    int64_t handle;
    DIR *folder;
    int n = 0;

    good = good && keep(run, MB, 1, 1, &handle);
    folder = good ? opendir(run->folder) : NULL;
    if (!folder)
        return good ? wrong(run, "opendir: error %d", errno) : false;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n == 2 || wrong(run, "there are names in the folder");
}

static const struct test {
    const char *name;
    bool (*test)(struct run *run);
    uint32_t modes;
} cases[] = {
    {"blocks come back as they were, however cut", views, ~0u},
    {"many blocks, in order", many, ~0u},
    {"the budget holds, and a full store goes on", budget, ~0u},
    {"space comes back in any order", any_order, ~0u},
    {"a block consumed in part", in_part, ~0u},
    {"what is refused", refusals, ~0u},
    {"no descriptor is left open", leaks, ~0u},
    {"nothing stays", nothing_stays, 1u << WEIR_STORE_SPILL},
};

/* ---- running them ---- */

static bool start(struct run *run)
{
    run->error = (weir_error){
        .size = sizeof run->error, .text = run->text, .room = sizeof run->text};
    run->data = malloc(BLOCK_MAX);
    run->back = malloc(BLOCK_MAX);
    strcpy(run->folder, "/tmp/weir-check-XXXXXX");
    if (!mkdtemp(run->folder)) {
        run->folder[0] = '\0';
        return wrong(run, "no folder can be made in /tmp: error %d", errno);
    }
    return (run->data && run->back) || wrong(run, "no memory for a block");
}

/* The folder goes, so it must be empty: a store was closed for good. */
static bool finish(struct run *run, bool good)
{
    close_store(run);
    free(run->data);
    free(run->back);
    if (run->folder[0] && rmdir(run->folder) < 0)
        good = wrong(run, "%s: something is left in it", run->folder);
    return good;
}

static bool run_case(const struct weir_check_store *check, uint32_t mode,
                     const struct test *test)
{
    struct run run = {.check = check, .mode = mode};
    char name[128];
    bool good;

    snprintf(name, sizeof name, "%s: %s",
             mode == WEIR_STORE_SPILL ? "spill" : "durable", test->name);
    good = finish(&run, start(&run) && test->test(&run));
    check->report(check->arg, name,
                  good ? WEIR_CHECK_PASSED : WEIR_CHECK_FAILED, run.detail);
    return good;
}

int weir_check_store(const struct weir_check_store *check)
{
    int failed = 0;

    for (uint32_t mode = WEIR_STORE_SPILL; mode <= WEIR_STORE_DURABLE; mode++) {
        if (!(check->ops->modes & 1u << mode))
            continue;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            if (cases[i].modes & 1u << mode)
                failed += !run_case(check, mode, &cases[i]);
        }
    }
    return failed;
}
