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
#include "store_run.h"

#define KB         WEIR_CHECK_KB
#define MB         WEIR_CHECK_MB
#define BUDGET     WEIR_CHECK_BUDGET
#define TIGHT      (8 * MB)
#define SMALL      MB
#define MANY       5000
#define BLOCK_MAX  WEIR_CHECK_BLOCK
#define OPEN_TIMES 20

/* ---- cases ---- */

/* A block is read back as it was written, however it was cut. */
static bool views(struct weir_run *run)
{
    static const size_t sizes[] = {0, 1, 40, 4095, 4096, 64 * KB, MB, 4 * MB};
    bool good = weir_run_open(run, BUDGET);
    int64_t handle;

    for (size_t i = 0; good && i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int n = 1; good && n <= 16; n += 5)
            good = weir_run_keep(run, sizes[i], i, n, &handle) &&
                   weir_run_same(run, handle, sizes[i], i) &&
                   weir_run_same(run, handle, sizes[i], i) &&
                   weir_run_let_go(run, handle);
    }
    return good;
}

/* One message may be as large as memory, and have as many parts as the host's
 * chunks. */
static bool large(struct weir_run *run)
{
    int64_t first = -1, second = -1;

    return weir_run_open(run, BUDGET) &&
           weir_run_keep(run, BLOCK_MAX, 1, 1024, &first) &&
           weir_run_keep(run, BLOCK_MAX, 2, 1, &second) &&
           weir_run_same(run, first, BLOCK_MAX, 1) &&
           weir_run_let_go(run, first) &&
           weir_run_same(run, second, BLOCK_MAX, 2);
}

/* Many blocks at once, let go in the order of the queue. */
static bool many(struct weir_run *run)
{
    int64_t *handles = calloc(MANY, sizeof *handles);
    bool good = handles && weir_run_open(run, BUDGET);

    for (unsigned i = 0; good && i < MANY; i++)
        good = weir_run_keep(run, 1 + i % 3000, i, 1, &handles[i]);
    if (good && weir_run_stat(run).blocks != MANY)
        good = weir_run_wrong(run, "stat has not %d blocks", MANY);
    for (unsigned i = 0; good && i < MANY; i++)
        good = weir_run_same(run, handles[i], 1 + i % 3000, i) &&
               weir_run_let_go(run, handles[i]);
    if (good && weir_run_stat(run).blocks != 0)
        good = weir_run_wrong(run, "stat has blocks when all are done");
    free(handles);
    return good;
}

/* Fill a store to its budget; *n blocks of 256 KB are in it. */
static bool fill_up(struct weir_run *run, int64_t handles[64], unsigned *n)
{
    int64_t handle = 0;

    for (*n = 0; *n < 64; ++*n) {
        handle = weir_run_put(run, 256 * KB, *n, 1);
        if (handle < 0)
            break;
        handles[*n] = handle;
    }
    if (handle != -ENOSPC)
        return weir_run_wrong(run,
                              "the write beyond the budget: %s, want ENOSPC",
                              handle < 0 ? run->text : "goes well");
    if (weir_run_stat(run).bytes > TIGHT)
        return weir_run_wrong(run, "%" PRIu64 " octets in use, of %zu",
                              weir_run_stat(run).bytes, TIGHT);
    return *n >= 16 ||
           weir_run_wrong(run, "half of the budget is not to be had");
}

/* A full store keeps what it has, and goes on when there is room. */
static bool budget(struct weir_run *run)
{
    int64_t handles[64];
    unsigned n = 0;
    bool good = weir_run_open(run, TIGHT) && fill_up(run, handles, &n);

    if (good &&
        (weir_run_stat(run).failed != 0 || weir_run_stat(run).blocks != n))
        good = weir_run_wrong(run, "a full store has failed, or lost a block");
    for (unsigned i = 0; good && i < n / 2; i++)
        good = weir_run_let_go(run, handles[i]);
    good = good && weir_run_keep(run, 256 * KB, 100, 1, &handles[0]) &&
           weir_run_same(run, handles[0], 256 * KB, 100);
    for (unsigned i = n / 2; good && i < n; i++)
        good = weir_run_same(run, handles[i], 256 * KB, i);
    return good;
}

/* Of a small budget too, most is to be had, and comes back bit by bit. */
static bool small_budget(struct weir_run *run)
{
    int64_t handles[64];
    unsigned n = 0, more = 0;

    if (!weir_run_open(run, SMALL))
        return false;
    while (n < 64 && (handles[n] = weir_run_put(run, 15 * KB, n, 2)) >= 0)
        n++;
    if (n * 15 * KB < SMALL * 3 / 4 || weir_run_stat(run).bytes > SMALL)
        return weir_run_wrong(run,
                              "%u blocks of 15 KB in a budget of 1 MB, of "
                              "which %" PRIu64 " octets are in use",
                              n, weir_run_stat(run).bytes);
    for (unsigned i = 0; i < n / 2; i++) {
        if (!weir_run_let_go(run, handles[i]))
            return false;
    }
    while (more < n && weir_run_put(run, 15 * KB, n + more, 2) >= 0)
        more++;
    return more >= n / 4 ||
           weir_run_wrong(run,
                          "of %u blocks that went the room of %u "
                          "comes back",
                          n / 2, more);
}

/* Blocks of `size` until the store says that there is no room for one more:
 * they must have it, and leave what it says. */
static bool fill_room(struct weir_run *run, size_t size, int64_t *handles,
                      unsigned most, unsigned *n)
{
    weir_store_stat before = weir_run_stat(run), after;

    for (*n = 0; before.room >= size && *n < most; before = after) {
        if (!weir_run_keep(run, size, *n, 1, &handles[*n]))
            return false;
        ++*n;
        after = weir_run_stat(run);
        if (after.room + size + before.each < before.room)
            return weir_run_wrong(run,
                                  "a block of %zu octets took %" PRIu64
                                  " of the room",
                                  size, before.room - after.room);
    }
    return *n < most ||
           weir_run_wrong(run, "room for %u blocks of %zu octets", *n, size);
}

static bool comes_and_goes(struct weir_run *run, size_t size, uint64_t number)
{
    int64_t handle;

    return weir_run_keep(run, size, number, 1, &handle) &&
           weir_run_same(run, handle, size, number) &&
           weir_run_let_go(run, handle);
}

/* When all is done there is the room of a new store, for one block too. */
static bool room_comes_back(struct weir_run *run, uint64_t room)
{
    if (weir_run_stat(run).room != room)
        return weir_run_wrong(run, "room for %" PRIu64 " of %" PRIu64,
                              weir_run_stat(run).room, room);
    return comes_and_goes(run, (size_t)room, 1);
}

/* A small store that says what room it has; *room is 0 where it does not. */
static bool open_small(struct weir_run *run, uint64_t *room)
{
    *room = 0;
    if (!weir_run_open(run, SMALL))
        return false;
    if (weir_run_stat(run).each == 0)
        return weir_run_skip(run, "the store does not say");
    *room = weir_run_stat(run).room;
    return (*room >= SMALL * 3 / 4 && *room <= SMALL) ||
           weir_run_wrong(run, "room for %" PRIu64 " of %zu octets", *room,
                          SMALL);
}

static bool let_go_from(struct weir_run *run, const int64_t *handles,
                        unsigned first, unsigned n, unsigned step)
{
    bool good = true;

    for (unsigned i = first; good && i < n; i += step)
        good = weir_run_let_go(run, handles[i]);
    return good;
}

/* What it says that there is room for, there is. */
static bool room_told(struct weir_run *run)
{
    static const size_t sizes[] = {1000, 64 * KB, 3000};
    int64_t handles[1000];
    uint64_t room;
    bool good = open_small(run, &room);
    unsigned n;

    for (size_t i = 0; good && room && i < sizeof sizes / sizeof sizes[0]; i++)
        good = fill_room(run, sizes[i], handles, 1000, &n) &&
               let_go_from(run, handles, 0, n, 1) && room_comes_back(run, room);
    return good;
}

/* And it is there for one block, however scattered what went was; more than
 * once, as what is written in the gaps may itself leave some. */
static bool room_scattered(struct weir_run *run)
{
    static const size_t sizes[] = {1000, 15 * KB, 3000, 64 * KB};
    int64_t handles[1000];
    uint64_t room, left;
    bool good = open_small(run, &room);
    unsigned n;

    for (size_t i = 0; good && room && i < sizeof sizes / sizeof sizes[0];
         i++) {
        good = fill_room(run, sizes[i], handles, 1000, &n) &&
               let_go_from(run, handles, 0, n, 2);
        for (unsigned part = 3; good && part > 0; part--) {
            left = weir_run_stat(run).room / part;
            good = left == 0 || comes_and_goes(run, (size_t)left, part);
        }
        good = good && let_go_from(run, handles, 1, n, 2) &&
               room_comes_back(run, room);
    }
    return good;
}

/* A queue that is empty most of the time has the room of a new one. */
static bool room_stays(struct weir_run *run)
{
    uint64_t room;
    bool good = open_small(run, &room);

    for (unsigned i = 1; good && room && i <= 200; i++) {
        good = comes_and_goes(run, 1000, i);
        if (good && i % 40 == 0)
            good = room_comes_back(run, room);
    }
    return good;
}

/* Space comes back whichever blocks go first: three rounds fit. */
static bool any_order(struct weir_run *run)
{
    int64_t handles[64];
    unsigned n = 0;
    bool good = weir_run_open(run, TIGHT);

    for (int round = 0; good && round < 3; round++) {
        good = fill_up(run, handles, &n);
        for (unsigned i = 0; good && i < n; i += 2)
            good = weir_run_let_go(run, handles[i]);
        for (unsigned i = n; good && i-- > 0;)
            good = i % 2 == 0 || (weir_run_same(run, handles[i], 256 * KB, i) &&
                                  weir_run_let_go(run, handles[i]));
    }
    return good;
}

/* Some messages of a block are not the block. */
static bool in_part(struct weir_run *run)
{
    const weir_store_ops *ops = run->check->ops;
    struct iovec part = {run->data, 1000};
    bool good = weir_run_open(run, BUDGET);
    int64_t handle = -1;

    if (good) {
        weir_run_fill(run->data, 1000, 5);
        handle = ops->write(run->self, &part, 1, 10, 100, &run->error);
        good = handle >= 0 || weir_run_wrong(run, "write: %s", run->text);
    }
    if (good && ops->done(run->self, handle, 108, &run->error) < 0)
        good = weir_run_wrong(run, "done with a part: %s", run->text);
    good = good && weir_run_same(run, handle, 1000, 5);
    if (good && ops->done(run->self, handle, 109, &run->error) < 0)
        good = weir_run_wrong(run, "done with the rest: %s", run->text);
    if (good && weir_run_stat(run).blocks != 0)
        good = weir_run_wrong(
            run, "all messages are consumed, and the block is there");
    return good;
}

/* What is refused has its code. */
static bool refusals(struct weir_run *run)
{
    const weir_store_ops *ops = run->check->ops;
    int64_t handle = -1;
    bool good =
        weir_run_open(run, BUDGET) && weir_run_keep(run, 1000, 1, 1, &handle);

    if (good &&
        ops->read(run->self, handle, run->back, 999, &run->error) != -ERANGE)
        good = weir_run_wrong(run, "a read without room: want ERANGE");
    good = good && weir_run_same(run, handle, 1000, 1) &&
           weir_run_let_go(run, handle);
    if (good && ops->read(run->self, handle, run->back, BLOCK_MAX,
                          &run->error) != -EINVAL)
        good = weir_run_wrong(run, "a read of what is done: want EINVAL");
    if (good && ops->done(run->self, handle, 1, &run->error) != -EINVAL)
        good = weir_run_wrong(run, "done a second time: want EINVAL");
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

static bool leaks(struct weir_run *run)
{
    int before = lowest();
    bool good = true;
    int64_t handle;

    for (int i = 0; good && i < OPEN_TIMES; i++) {
        good = weir_run_open(run, BUDGET) &&
               weir_run_keep(run, 100 * KB, 1, 1, &handle) &&
               weir_run_let_go(run, handle) &&
               weir_run_keep(run, 100 * KB, 2, 1, &handle);
        weir_run_close(run, 0);
    }
    return good && (lowest() == before ||
                    weir_run_wrong(run, "descriptors are left open"));
}

/* A spill has no name while it is open, so that nothing of it can stay. */
static bool nothing_stays(struct weir_run *run)
{
    bool good = weir_run_open(run, BUDGET);
    int64_t handle;
    DIR *folder;
    int n = 0;

    good = good && weir_run_keep(run, MB, 1, 1, &handle);
    folder = good ? opendir(run->folder) : NULL;
    if (!folder)
        return good ? weir_run_wrong(run, "opendir: error %d", errno) : false;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n == 2 || weir_run_wrong(run, "there are names in the folder");
}

static const struct weir_check_case cases[] = {
    {"blocks come back as they were, however cut", views, ~0u},
    {"large blocks of many parts", large, ~0u},
    {"many blocks, in order", many, ~0u},
    {"the budget holds, and a full store goes on", budget, ~0u},
    {"a small budget is for blocks", small_budget, ~0u},
    {"there is the room that it says", room_told, ~0u},
    {"that room is there for one block", room_scattered, ~0u},
    {"an empty store has the room of a new one", room_stays, ~0u},
    {"space comes back in any order", any_order, ~0u},
    {"a block consumed in part", in_part, ~0u},
    {"what is refused", refusals, ~0u},
    {"no descriptor is left open", leaks, ~0u},
    {"nothing stays", nothing_stays, 1u << WEIR_STORE_SPILL},
    {NULL, NULL, 0},
};

/* ---- running them ---- */

static bool start(struct weir_run *run)
{
    run->error = (weir_error){
        .size = sizeof run->error, .text = run->text, .room = sizeof run->text};
    run->data = malloc(BLOCK_MAX);
    run->back = malloc(BLOCK_MAX);
    strcpy(run->folder, "/tmp/weir-check-XXXXXX");
    if (!mkdtemp(run->folder)) {
        run->folder[0] = '\0';
        return weir_run_wrong(run, "no folder can be made in /tmp: error %d",
                              errno);
    }
    return (run->data && run->back) ||
           weir_run_wrong(run, "no memory for a block");
}

/* The folder goes, so it must be empty: a store was closed for good. */
static bool finish(struct weir_run *run, bool good)
{
    weir_run_close(run, 0);
    free(run->data);
    free(run->back);
    if (run->folder[0] && rmdir(run->folder) < 0)
        good = weir_run_wrong(run, "%s: something is left in it", run->folder);
    return good;
}

static const char *mode_name(uint32_t mode)
{
    return mode == WEIR_STORE_SPILL ? "spill" : "durable";
}

static bool run_case(struct weir_check_store *check, uint32_t mode,
                     const struct weir_check_case *test)
{
    struct weir_run run = {
        .check = check, .mode = mode, .queue = WEIR_CHECK_QUEUE};
    enum weir_check_result result = WEIR_CHECK_FAILED;
    char name[128];

    snprintf(name, sizeof name, "%s: %s", mode_name(mode), test->name);
    if (finish(&run, start(&run) && test->test(&run)))
        result = run.skipped ? WEIR_CHECK_SKIPPED : WEIR_CHECK_PASSED;
    check->report(check->arg, name, result, run.detail);
    return result != WEIR_CHECK_FAILED;
}

static int run_mode(struct weir_check_store *check, uint32_t mode)
{
    const struct weir_check_case *const lists[] = {
        cases, weir_check_durable_cases, weir_check_crash_cases};
    int failed = 0;

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (const struct weir_check_case *test = lists[i]; test->name;
             test++) {
            if (test->modes & 1u << mode)
                failed += !run_case(check, mode, test);
        }
    }
    return failed;
}

int weir_check_store(struct weir_check_store *check)
{
    int failed = 0;

    for (uint32_t mode = WEIR_STORE_SPILL; mode <= WEIR_STORE_DURABLE; mode++) {
        if (check->ops->modes & 1u << mode)
            failed += run_mode(check, mode);
        else
            check->report(check->arg, mode_name(mode), WEIR_CHECK_SKIPPED,
                          "the store does not have this mode");
    }
    return failed;
}
