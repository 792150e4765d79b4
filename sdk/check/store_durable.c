/* store_durable.c - what a store that survives its process must do, as long
 * as nothing goes wrong. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_run.h"

#define KB      WEIR_CHECK_KB
#define BUDGET  WEIR_CHECK_BUDGET
#define DURABLE (1u << WEIR_STORE_DURABLE)
#define BLOCKS  200

static size_t size_of(uint64_t number)
{
    return 1 + (size_t)(number * 7919 % 3000);
}

static bool sync_now(struct weir_run *run)
{
    return run->check->ops->sync(run->self, &run->error) == 0 ||
           weir_run_wrong(run, "sync: %s", run->text);
}

/* Close what is to stay, and open it again. */
static bool again(struct weir_run *run)
{
    weir_run_close(run, 1);
    return weir_run_open(run, BUDGET);
}

/* The next block that recover() gives is this one. */
static bool next_is(struct weir_run *run, uint64_t number, uint32_t messages,
                    uint32_t used, size_t size, int64_t *handle)
{
    weir_block block = {0};
    uint32_t consumed = 0;
    int rc =
        run->check->ops->recover(run->self, &block, &consumed, &run->error);

    if (rc < 0)
        return weir_run_wrong(run, "recover: %s", run->text);
    if (rc == 0)
        return weir_run_wrong(run, "block %" PRIu64 " is not found", number);
    *handle = block.handle;
    if (block.first != number || block.messages != messages ||
        block.len != size || consumed != used || block.handle < 0)
        return weir_run_wrong(run,
                              "found block %" PRIu64 " of %" PRIu64
                              " octets, %u of %u messages "
                              "consumed; want %" PRIu64 " of %zu, %u of %u",
                              block.first, block.len, consumed, block.messages,
                              number, size, used, messages);
    return true;
}

static bool no_more(struct weir_run *run)
{
    weir_block block;
    uint32_t consumed;

    return run->check->ops->recover(run->self, &block, &consumed,
                                    &run->error) == 0 ||
           weir_run_wrong(run, "recover gives more than there was");
}

/* Blocks of one message with the numbers from `from` on. */
static bool write_some(struct weir_run *run, uint64_t from, uint64_t to,
                       int64_t handles[BLOCKS])
{
    for (uint64_t i = from; i < to; i++) {
        if (!weir_run_keep(run, size_of(i), i, 2, &handles[i]))
            return false;
    }
    return true;
}

/* What was kept is found, in order, and can be read and let go. */
static bool comes_back(struct weir_run *run)
{
    int64_t handles[BLOCKS];
    bool good = weir_run_open(run, BUDGET) &&
                write_some(run, 0, BLOCKS, handles) && sync_now(run) &&
                again(run);

    if (good &&
        (weir_run_stat(run).recovered != BLOCKS ||
         weir_run_stat(run).blocks != BLOCKS || weir_run_stat(run).torn != 0))
        good = weir_run_wrong(run, "stat has not what is there");
    for (uint64_t i = 0; good && i < BLOCKS; i++)
        good = next_is(run, i, 1, 0, size_of(i), &handles[i]);
    good = good && no_more(run);
    for (uint64_t i = BLOCKS; good && i > 0; i--)
        good = weir_run_same(run, handles[i - 1], size_of(i - 1), i - 1) &&
               weir_run_let_go(run, handles[i - 1]);
    return good && again(run) && no_more(run);
}

/* What is let go does not come back; new blocks are behind the old ones. */
static bool goes_on(struct weir_run *run)
{
    int64_t handles[BLOCKS];
    bool good = weir_run_open(run, BUDGET) && write_some(run, 0, 60, handles);

    for (uint64_t i = 0; good && i < 60; i += 3)
        good = weir_run_let_go(run, handles[i]);
    good = good && again(run);
    for (uint64_t i = 0; good && i < 60; i++)
        good = i % 3 == 0 || next_is(run, i, 1, 0, size_of(i), &handles[i]);
    good = good && no_more(run) && write_some(run, 60, 90, handles);
    for (uint64_t i = 0; good && i < 60; i += 3)
        good = weir_run_let_go(run, handles[i + 1]);
    good = good && again(run);
    for (uint64_t i = 0; good && i < 90; i++)
        good = (i < 60 && i % 3 != 2) ||
               (next_is(run, i, 1, 0, size_of(i), &handles[i]) &&
                weir_run_same(run, handles[i], size_of(i), i));
    return good && no_more(run);
}

/* Of ten messages some are consumed, and later some more. */
static bool in_part(struct weir_run *run)
{
    const weir_store_ops *ops = run->check->ops;
    struct iovec part = {run->data, 1000};
    bool good = weir_run_open(run, BUDGET);
    int64_t handle = -1;

    weir_run_fill(run->data, 1000, 100);
    if (good)
        handle = ops->write(run->self, &part, 1, 10, 100, &run->error);
    good = good && (handle >= 0 || weir_run_wrong(run, "%s", run->text));
    for (uint32_t used = 0; good && used < 10; used += 3) {
        if (used && ops->done(run->self, handle, 99 + used, &run->error) < 0)
            good = weir_run_wrong(run, "done with a part: %s", run->text);
        good = good && again(run) &&
               next_is(run, 100, 10, used, 1000, &handle) && no_more(run) &&
               weir_run_same(run, handle, 1000, 100);
    }
    if (good && weir_run_stat(run).recovered != 1)
        good = weir_run_wrong(run, "stat counts what is consumed");
    return good && weir_run_let_go(run, handle) && again(run) && no_more(run);
}

/* close() without `keep` leaves nothing, whatever there was. */
static bool nothing_kept(struct weir_run *run)
{
    int64_t handles[BLOCKS];
    bool good = weir_run_open(run, BUDGET) && write_some(run, 0, 20, handles) &&
                sync_now(run) && again(run) && write_some(run, 20, 30, handles);

    weir_run_close(run, 0);
    if (good && rmdir(run->folder) < 0)
        return weir_run_wrong(run, "something is left in the folder");
    if (good)
        run->folder[0] = '\0';
    return good;
}

/* ---- more than one ---- */

/* Two queues in one folder know nothing of each other. */
static bool two_queues(struct weir_run *run)
{
    struct weir_run other = *run;
    int64_t handle;
    bool good;

    other.queue = "Another.one-~%41_";
    other.error.text = other.text;
    good = weir_run_open(run, BUDGET) && weir_run_open(&other, BUDGET) &&
           weir_run_keep(run, 100, 1, 1, &handle) &&
           weir_run_keep(&other, 200, 2, 1, &handle) && again(run) &&
           again(&other) && next_is(run, 1, 1, 0, 100, &handle) &&
           no_more(run) && next_is(&other, 2, 1, 0, 200, &handle) &&
           no_more(&other);
    weir_run_close(&other, 0);
    if (!good && other.detail[0])
        return weir_run_wrong(run, "%s", other.detail);
    return good && again(run) && next_is(run, 1, 1, 0, 100, &handle);
}

/* What a child of this process finds when it opens the queue. */
static int open_elsewhere(struct weir_run *run, char *text, size_t room)
{
    void *self = run->self;
    pid_t child = fork();
    int status;

    if (child == 0) {
        int rc = weir_run_try_open(run, BUDGET);

        snprintf(text, room, "%s", run->text);
        _exit(rc == 0 ? 0 : rc == -EBUSY ? 1 : 2);
    }
    run->self = self;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static bool is_refused(struct weir_run *run, char *text, size_t room)
{
    char number[24];
    int found = open_elsewhere(run, text, room);

    snprintf(number, sizeof number, "%ld", (long)getpid());
    if (found != 1)
        return weir_run_wrong(run,
                              "another process opens the queue: want EBUSY, "
                              "not %d: %s",
                              found, text);
    return (strstr(text, number) && strstr(text, run->queue)) ||
           weir_run_wrong(run, "EBUSY without process or queue: %s", text);
}

/* Neither another process opens it nor this one, and then both can. */
static bool locking(struct weir_run *run)
{
    size_t room = sizeof run->text;
    char *text = mmap(NULL, room, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool good = text != MAP_FAILED && weir_run_open(run, BUDGET);
    void *self = run->self;
    int64_t handle;

    good = good && weir_run_keep(run, 10, 1, 1, &handle) &&
           is_refused(run, text, room);
    if (good && weir_run_try_open(run, BUDGET) != -EBUSY)
        good = weir_run_wrong(run, "opened twice: want EBUSY");
    if (!run->self)
        run->self = self;
    weir_run_close(run, 1);
    if (good && open_elsewhere(run, text, room) != 0)
        good = weir_run_wrong(run, "it stays locked: %s", text);
    if (text != MAP_FAILED)
        munmap(text, room);
    return good && weir_run_open(run, BUDGET);
}

/* ---- what is there ---- */

struct names {
    int good, all;
};

static int count_name(void *arg, const char *queue)
{
    struct names *names = arg;

    names->all++;
    names->good += strcmp(queue, WEIR_CHECK_QUEUE) == 0;
    return 0;
}

/* list() names the queues, also those that are open. */
static bool listing(struct weir_run *run)
{
    struct names names = {0, 0};
    int64_t handle;

    if (!WEIR_HAS(weir_store_ops, run->check->ops, list))
        return weir_run_skip(run, "the store has no list()");
    if (!weir_run_open(run, BUDGET) || !weir_run_keep(run, 10, 1, 1, &handle))
        return false;
    if (run->check->ops->list(&weir_run_host, run->folder, count_name, &names,
                              &run->error) < 0)
        return weir_run_wrong(run, "list: %s", run->text);
    return (names.good == 1 && names.all == 1) ||
           weir_run_wrong(run, "list gives %d names, %d of them right",
                          names.all, names.good);
}

const struct weir_check_case weir_check_durable_cases[] = {
    {"what was kept is found again", comes_back, DURABLE},
    {"what is done stays done, and new blocks come behind", goes_on, DURABLE},
    {"a block consumed in part, over several openings", in_part, DURABLE},
    {"closed for good, nothing stays", nothing_kept, DURABLE},
    {"two queues in one folder", two_queues, DURABLE},
    {"one process has a queue at a time", locking, DURABLE},
    {"its queues are listed", listing, DURABLE},
    {NULL, NULL, 0},
};
