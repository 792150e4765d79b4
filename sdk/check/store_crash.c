/*
 * store_crash.c - a durable store whose process ends, or is told no, at any
 * point.
 *
 * A child writes blocks, lets the oldest go, and syncs now and then; it says
 * how far it is on a board that outlives it.  Then the store is opened here,
 * and what is in it has to agree with the board.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store_run.h"
#include "tracer.h"

#define BUDGET  WEIR_CHECK_BUDGET
#define DURABLE (1u << WEIR_STORE_DURABLE)
#define SHORT   14   /* blocks of a child whose every change is tried */
#define WINDOW  4    /* blocks that are not let go */
#define SYNCS   5    /* blocks between two syncs */
#define POINTS  2000 /* changes of files that a child does not come to */
#define MOMENT  20   /* ms that a child lives, at most */
#define ENDLESS (UINT64_C(1) << 40)
#define HANDLES 64 /* more than WINDOW, a power of two */

/* What a child has done, in blocks from the first one on.  What is begun may
 * have happened, what is synced must. */
struct board {
    _Atomic uint64_t begun, written, synced;
    _Atomic uint64_t done_begun, done, done_synced;
    _Atomic bool failed; /* a call of the store has, as it was told to */
    char detail[512];    /* what went wrong that should not */
};

/* The child's side of it, and ours. */
struct scene {
    struct weir_run *run;
    struct board *board;
    uint64_t blocks; /* to be written */
    long kill_at;    /* -1: not */
    int code;        /* what calls are made to fail with; 0: none */
    int64_t handles[HANDLES];
};

/* ---- blocks ---- */

static uint32_t messages_of(uint64_t block)
{
    return 1 + (uint32_t)(block % 3);
}

/* The sequence number of its first message. */
static uint64_t first_of(uint64_t block)
{
    static const uint64_t before[] = {0, 1, 3};

    return block / 3 * 6 + before[block % 3];
}

static size_t size_of(uint64_t block)
{
    return 1 + (size_t)(block * 7919 % 9000);
}

static int64_t write_one(struct weir_run *run, uint64_t block)
{
    struct iovec parts[2] = {{run->data, size_of(block) / 3}, {NULL, 0}};

    parts[1].iov_base = run->data + parts[0].iov_len;
    parts[1].iov_len = size_of(block) - parts[0].iov_len;
    weir_run_fill(run->data, size_of(block), block);
    return run->check->ops->write(run->self, parts, 2, messages_of(block),
                                  first_of(block), &run->error);
}

/* ---- the child ---- */

static void give_up(struct scene *scene)
{
    memcpy(scene->board->detail, scene->run->detail,
           sizeof scene->board->detail);
    _exit(1);
}

/* A call has failed: the code has to be right, and what it says. */
static void expect_told(struct scene *scene, const char *call, int64_t rc)
{
    struct weir_run *run = scene->run;

    if (scene->code && rc == -scene->code && strlen(run->text) > 10 &&
        strstr(run->text, run->folder)) {
        atomic_store(&scene->board->failed, true);
        return;
    }
    weir_run_wrong(run, "%s returns %" PRId64 ", told to fail with %d: %s",
                   call, rc, scene->code, run->text);
    give_up(scene);
}

/* After an error that does not pass nothing can be written, nor synced; what
 * is there can be read. */
static void expect_over(struct scene *scene)
{
    struct weir_run *run = scene->run;
    struct board *board = scene->board;
    uint64_t oldest = atomic_load(&board->done);

    if (write_one(run, ENDLESS) >= 0)
        weir_run_wrong(run, "a write works after error %d", scene->code);
    else if (weir_run_stat(run).failed == 0)
        weir_run_wrong(run, "stat.failed is 0 after error %d", scene->code);
    else if (run->check->ops->sync(run->self, &run->error) == 0)
        weir_run_wrong(run, "sync works after error %d", scene->code);
    else if (oldest < atomic_load(&board->synced))
        weir_run_same(run, scene->handles[oldest % HANDLES], size_of(oldest),
                      oldest);
    if (run->detail[0])
        give_up(scene);
    weir_run_close(run, 1);
    _exit(0);
}

/* Is a call that has failed to be made again? */
static bool may_go_on(struct scene *scene)
{
    if (weir_run_stat(scene->run).failed)
        expect_over(scene);
    return scene->code == ENOSPC;
}

static void child_write(struct scene *scene, uint64_t block)
{
    struct board *board = scene->board;
    int64_t handle;

    atomic_store(&board->begun, block + 1);
    handle = write_one(scene->run, block);
    if (handle < 0) {
        expect_told(scene, "write", handle);
        if (!may_go_on(scene))
            expect_over(scene);
        handle = write_one(scene->run, block);
    }
    if (handle < 0) {
        weir_run_wrong(scene->run, "no write after ENOSPC: %s",
                       scene->run->text);
        give_up(scene);
    }
    scene->handles[block % HANDLES] = handle;
    atomic_store(&board->written, block + 1);
}

/* First some of its messages, then all. */
static void child_done(struct scene *scene, uint64_t block)
{
    struct weir_run *run = scene->run;
    int64_t handle = scene->handles[block % HANDLES];
    int rc = 0;

    atomic_store(&scene->board->done_begun, block + 1);
    for (int i = 0; i < 2; i++) {
        uint64_t through = i ? UINT64_MAX : first_of(block);

        if (i == 0 && messages_of(block) == 1)
            continue;
        rc = run->check->ops->done(run->self, handle, through, &run->error);
        if (rc == 0)
            continue;
        expect_told(scene, "done", rc);
        if (!may_go_on(scene))
            expect_over(scene);
        i--;
    }
    atomic_store(&scene->board->done, block + 1);
}

static void child_sync(struct scene *scene)
{
    struct weir_run *run = scene->run;
    struct board *board = scene->board;
    uint64_t written = atomic_load(&board->written);
    uint64_t done = atomic_load(&board->done);
    int rc = run->check->ops->sync(run->self, &run->error);

    if (rc < 0) {
        expect_told(scene, "sync", rc);
        if (!may_go_on(scene))
            expect_over(scene);
        rc = run->check->ops->sync(run->self, &run->error);
    }
    if (rc < 0) {
        weir_run_wrong(run, "no sync after ENOSPC: %s", run->text);
        give_up(scene);
    }
    atomic_store(&board->synced, written);
    atomic_store(&board->done_synced, done);
}

/* What recover() gives, for what is to be let go. */
static void child_recover(struct scene *scene)
{
    struct weir_run *run = scene->run;
    uint64_t block = atomic_load(&scene->board->done);
    weir_block found;
    uint32_t consumed;
    int rc;

    while ((rc = run->check->ops->recover(run->self, &found, &consumed,
                                          &run->error)) > 0)
        scene->handles[block++ % HANDLES] = found.handle;
    if (rc < 0 || block != atomic_load(&scene->board->written) ||
        block > atomic_load(&scene->board->done) + HANDLES) {
        weir_run_wrong(run, "recover() gives %" PRIu64 " blocks, %s", block,
                       run->text);
        give_up(scene);
    }
}

static void play(void *arg)
{
    struct scene *scene = arg;
    struct weir_run *run = scene->run;
    struct board *board = scene->board;
    int rc;

    run->detail[0] = '\0';
    if (scene->kill_at >= 0)
        run->check->kill_at(scene->kill_at);
    rc = weir_run_try_open(run, BUDGET);
    if (rc < 0) {
        expect_told(scene, "open", rc);
        _exit(0);
    }
    child_recover(scene);
    for (uint64_t i = atomic_load(&board->written); i < scene->blocks; i++) {
        child_write(scene, i);
        while (i >= atomic_load(&board->done) + WINDOW)
            child_done(scene, atomic_load(&board->done));
        if (i % SYNCS == SYNCS - 1)
            child_sync(scene);
    }
    weir_run_close(run, 1);
    _exit(0);
}

/* ---- what it left ---- */

/* The row of blocks that is in the store. */
struct row {
    uint64_t from, to; /* blocks; to is beyond the last */
};

static bool is_block(struct weir_run *run, const weir_block *found,
                     uint32_t consumed, uint64_t block)
{
    if (found->first != first_of(block) ||
        found->messages != messages_of(block) || found->len != size_of(block) ||
        consumed >= found->messages)
        return weir_run_wrong(run,
                              "found %u messages from %" PRIu64
                              " on in %" PRIu64 " octets, %u "
                              "consumed: that is not block %" PRIu64,
                              found->messages, found->first, found->len,
                              consumed, block);
    return weir_run_same(run, found->handle, size_of(block), block);
}

/* The block whose first message has that number. */
static uint64_t block_of(uint64_t first)
{
    return first / 6 * 3 + (first % 6 ? 1 : 0) + (first % 6 > 2 ? 1 : 0);
}

static bool take_row(struct weir_run *run, struct row *row)
{
    bool any = false;
    weir_block found;
    uint32_t consumed;
    int rc;

    while ((rc = run->check->ops->recover(run->self, &found, &consumed,
                                          &run->error)) > 0) {
        if (!any)
            row->from = row->to = block_of(found.first);
        any = true;
        if (!is_block(run, &found, consumed, row->to))
            return false;
        row->to++;
    }
    return rc == 0 || weir_run_wrong(run, "recover: %s", run->text);
}

/* Of what the board says. */
static bool row_is_right(struct weir_run *run, const struct board *board,
                         const struct row *row)
{
    uint64_t synced = board->synced, begun = board->begun;

    if (row->from < board->done_synced || row->from > board->done_begun)
        return weir_run_wrong(run,
                              "the oldest block is %" PRIu64
                              "; done are %" PRIu64 ", or %" PRIu64 " at most",
                              row->from, board->done_synced, board->done_begun);
    return (row->to >= synced && row->to <= begun) ||
           weir_run_wrong(run,
                          "there are blocks up to %" PRIu64
                          "; synced were %" PRIu64 ", and begun %" PRIu64,
                          row->to, synced, begun);
}

/* Open the store, and compare.  It may be opened as often as one likes. */
static bool agrees(struct scene *scene)
{
    struct weir_run *run = scene->run;
    struct board *board = scene->board;
    struct row row = {board->done_begun, board->done_begun};

    if (board->detail[0])
        return weir_run_wrong(run, "%s", board->detail);
    if (!weir_run_open(run, BUDGET) || !take_row(run, &row))
        return false;
    /* Without a block there is no telling from where to where. */
    if (row.from == row.to && board->synced <= board->done_begun)
        row.from = row.to = board->synced > board->done_synced
                                ? board->synced
                                : board->done_synced;
    run->check->torn += weir_run_stat(run).torn;
    if (!row_is_right(run, board, &row))
        return false;
    board->done = board->done_begun = board->done_synced = row.from;
    board->begun = board->written = board->synced = row.to;
    weir_run_close(run, 1);
    return true;
}

/* It works as well as a new one. */
static bool still_works(struct scene *scene)
{
    struct weir_run *run = scene->run;
    struct row row = {0, 0};
    int64_t handle;

    if (!weir_run_open(run, BUDGET))
        return false;
    handle = write_one(run, scene->board->written);
    if (handle < 0 || run->check->ops->sync(run->self, &run->error) < 0)
        return weir_run_wrong(run, "reopened: %s", run->text);
    weir_run_close(run, 1);
    if (!weir_run_open(run, BUDGET) || !take_row(run, &row))
        return false;
    weir_run_close(run, 0);
    return row.to == scene->board->written + 1 ||
           weir_run_wrong(run,
                          "reopened, the last block is %" PRIu64
                          ", not %" PRIu64,
                          row.to, scene->board->written);
}

/* ---- cases ---- */

static struct board *new_board(struct weir_run *run)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (board != MAP_FAILED)
        return board;
    weir_run_wrong(run, "no memory for a board");
    return NULL;
}

/* Play in a child that ends at its n-th change of a file.
 * Returns 1 if it does, 0 if it comes to its own end, or an error. */
static int play_until(struct scene *scene, long at, int *status)
{
    struct weir_tracer_plan plan = {.at = at, .code = scene->code};
    bool fired;
    pid_t child;
    int rc;

    if (scene->code || !scene->run->check->kill_at) {
        rc = weir_tracer_run(&plan, play, scene, &fired, status);
        return rc < 0 ? rc : fired;
    }
    scene->kill_at = at;
    child = fork();
    if (child == 0)
        play(scene);
    if (child < 0 || waitpid(child, status, 0) != child)
        return -errno;
    return WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
}

/* One child, and what it left.  *more: it has come to that point. */
static bool try_point(struct weir_run *run, struct board *board, long at,
                      int code, bool *more)
{
    struct scene scene = {.run = run,
                          .board = board,
                          .blocks = SHORT,
                          .kill_at = -1,
                          .code = code};
    int status = 0, rc;

    memset(board, 0, sizeof *board);
    rc = play_until(&scene, at, &status);
    *more = rc > 0;
    if (rc < 0)
        return rc == -ENOSYS ? weir_run_skip(run, "there is no ptrace here")
                             : weir_run_wrong(run, "a child: error %d", -rc);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        return weir_run_wrong(run, "a child dies of signal %d",
                              WTERMSIG(status));
    return agrees(&scene) && still_works(&scene);
}

static bool try_points(struct weir_run *run, int code)
{
    struct board *board = new_board(run);
    bool good = board != NULL, more = true;
    char reason[sizeof run->detail];
    long at = 0;

    for (; good && more && at < POINTS; at++)
        good = try_point(run, board, at, code, &more);
    if (good && !run->skipped && (at < 2 * SHORT || at == POINTS))
        good = weir_run_wrong(run, "only %ld points were tried", at);
    if (!good) {
        snprintf(reason, sizeof reason, "%.400s", run->detail);
        snprintf(run->detail, sizeof run->detail, "at change %ld: %.400s",
                 at - 1, reason);
    }
    if (board)
        munmap(board, sizeof *board);
    return good;
}

static bool killed_at_each(struct weir_run *run)
{
    return try_points(run, 0);
}

static bool full_at_each(struct weir_run *run)
{
    return try_points(run, ENOSPC);
}

static bool broken_at_each(struct weir_run *run)
{
    return try_points(run, EIO);
}

/* ---- any moment ---- */

static void sleep_for(uint64_t us)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)us * 1000};

    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        ;
}

/* The moment is any one after the child has done something. */
static bool kill_once(struct scene *scene, unsigned *random)
{
    struct weir_run *run = scene->run;
    uint64_t before = scene->board->begun;
    pid_t child = fork();
    int status;

    if (child == 0)
        play(scene);
    if (child < 0)
        return weir_run_wrong(run, "no child: error %d", errno);
    for (int i = 0; i < 10000 && scene->board->begun == before; i++)
        sleep_for(1000);
    *random = *random * 1103515245 + 12345;
    sleep_for((*random >> 8) % (MOMENT * 1000));
    (void)kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child)
        return weir_run_wrong(run, "a child is lost: error %d", errno);
    if (scene->board->begun == before)
        return weir_run_wrong(run, "a child does nothing");
    return agrees(scene);
}

/* One store, whose process is killed again and again. */
static bool killed_at_random(struct weir_run *run)
{
    struct scene scene = {.run = run, .blocks = ENDLESS, .kill_at = -1};
    unsigned random = (unsigned)getpid();
    bool good;

    scene.board = new_board(run);
    good = scene.board != NULL;
    for (int i = 0; good && i < run->check->kills; i++)
        good = kill_once(&scene, &random);
    good = good && still_works(&scene);
    if (scene.board)
        munmap(scene.board, sizeof *scene.board);
    return good;
}

const struct weir_check_case weir_check_crash_cases[] = {
    {"killed at each change of a file", killed_at_each, DURABLE},
    {"each change of a file finds the disk full", full_at_each, DURABLE},
    {"each change of a file fails", broken_at_each, DURABLE},
    {"killed at random moments", killed_at_random, DURABLE},
    {NULL, NULL, 0},
};
