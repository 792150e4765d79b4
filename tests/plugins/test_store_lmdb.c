/* test_store_lmdb.c - durable queues in LMDB: the suite, and that others can
 * read them. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include <check/check.h>
#include <weir/store.h>

#include "tests/plugins/storehost.h"

#define KB 1024
#define MB (1024 * KB)

extern const weir_plugin store_lmdb_LTX_weir_plugin_v1;

static const weir_store_ops *ops;
static char folder[64], path[128], text[512];
static weir_error error = {
    .size = sizeof error, .text = text, .room = sizeof text};
static void *store;
static fsblkcnt_t pages_left; /* on the disk, to the plugin */

static int open_with(uint64_t budget, uint32_t mode)
{
    return storehost_open(ops, folder, budget, mode, &store, &error);
}

static void open_good(uint64_t budget)
{
    if (open_with(budget, WEIR_STORE_DURABLE) < 0)
        fail_msg("%s", text);
}

static int64_t put(size_t size, uint32_t messages, uint64_t first)
{
    static unsigned char data[4 * MB];
    struct iovec parts[] = {{data, size / 2}, {data, size - size / 2}};

    memset(data, (int)first, size);
    return ops->write(store, parts, 2, messages, first, &error);
}

static void close_with(int keep)
{
    ops->close(store, keep);
    store = NULL;
}

static int setup(void **state)
{
    (void)state;
    store = NULL;
    pages_left = 1000000;
    ops = store_lmdb_LTX_weir_plugin_v1.providers[0].ops;
    strcpy(folder, "/tmp/weir-lmdb-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/a-queue.lmdb", folder);
    return 0;
}

/* Nothing is left in the folder: rmdir() says so. */
static int teardown(void **state)
{
    (void)state;
    if (store)
        ops->close(store, 0);
    return rmdir(folder);
}

/* ---- a disk ---- */

/* What the plugin asks instead of fstatvfs(). */
int fake_fstatvfs(int fd, struct statvfs *disk)
{
    (void)fd;
    memset(disk, 0, sizeof *disk);
    disk->f_frsize = 4096;
    disk->f_bavail = pages_left;
    return 0;
}

static rlim_t file_size(void)
{
    char name[160];
    struct stat state;

    snprintf(name, sizeof name, "%s/data.mdb", path);
    assert_int_equal(stat(name, &state), 0);
    return (rlim_t)state.st_size;
}

/* No file grows beyond that, but in the middle of a write. */
static void limit(rlim_t size)
{
    struct rlimit now;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = size < now.rlim_max ? size : now.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

/* ---- tests ---- */

static MDB_val text_of(const char *word)
{
    return (MDB_val){strlen(word), (void *)word};
}

static void has_value(MDB_txn *txn, const char *name, MDB_val key,
                      const void *octets, size_t size)
{
    MDB_val value;
    MDB_dbi dbi;

    assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_true(value.mv_size >= size);
    assert_memory_equal(value.mv_data, octets, size);
}

/* Then a piece of a block has 4080 octets. */
static bool has_small_pages(void)
{
    return sysconf(_SC_PAGESIZE) == 4096;
}

/* Another program finds what the manual says. */
static void test_layout(void **state)
{
    static const unsigned char head[] = {0x03, 0x02, 1, 0, 0, 0,
                                         0,    0,    5, 0, 0, 0};
    static const unsigned char used[] = {2, 0, 0, 0};
    unsigned char zero[8] = {0}, one[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    unsigned char piece[12] = {0, 0, 0, 0, 0, 0, 0, 1}, octets[4080];
    MDB_env *env;
    MDB_txn *txn;
    int64_t handle;

    (void)state;
    open_good(8 * MB);
    handle = put(1000, 5, 0x010203);
    assert_int_equal(handle, 0);
    assert_int_equal(put(10000, 1, 0x010208), 1);
    assert_int_equal(ops->done(store, handle, 0x010204, &error), 0);
    assert_int_equal(ops->sync(store, &error), 0);
    close_with(1);
    memset(octets, 0x08, sizeof octets);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 3), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_RDONLY, 0), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    has_value(txn, "about", text_of("format"), "weir-store 2", 12);
    has_value(txn, "blocks", (MDB_val){8, zero}, head, sizeof head);
    has_value(txn, "blocks", (MDB_val){8, one}, "\x08\x02\x01", 3);
    for (unsigned char i = 1; has_small_pages() && i <= 2; i++) {
        piece[11] = i;
        has_value(txn, "blocks", (MDB_val){12, piece}, octets,
                  i == 1 ? 4080 : 10000 - 4060 - 4080);
    }
    has_value(txn, "consumed", (MDB_val){8, zero}, used, 4);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    open_good(8 * MB);
    close_with(0);
}

/* A change that another program makes to one table. */
struct outsider {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
};

static void begin_outside(struct outsider *other, const char *table)
{
    assert_int_equal(mdb_env_create(&other->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(other->env, 3), 0);
    assert_int_equal(mdb_env_open(other->env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(other->env, NULL, 0, &other->txn), 0);
    assert_int_equal(mdb_dbi_open(other->txn, table, 0, &other->dbi), 0);
}

static void end_outside(struct outsider *other)
{
    assert_int_equal(mdb_txn_commit(other->txn), 0);
    mdb_env_close(other->env);
}

static void remove_piece(unsigned char number)
{
    unsigned char key[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number};
    MDB_val where = {sizeof key, key};
    struct outsider other;

    begin_outside(&other, "blocks");
    assert_int_equal(mdb_del(other.txn, other.dbi, &where, NULL), 0);
    end_outside(&other);
}

/* A block that lacks a piece, the last one or another, is damaged, and goes. */
static void test_piece_missing(void **state)
{
    static unsigned char back[30 * KB];
    weir_block block;
    uint32_t consumed;

    (void)state;
    for (unsigned char number = 1; has_small_pages() && number < 8;
         number += 6) {
        open_good(8 * MB);
        assert_int_equal(put(30000, 1, 1), 0);
        assert_int_equal(put(30000, 1, 2), 1);
        close_with(1);
        remove_piece(number);
        open_good(8 * MB);
        assert_int_equal(ops->recover(store, &block, &consumed, &error), 1);
        assert_int_equal(ops->read(store, 0, back, sizeof back, &error),
                         -EILSEQ);
        assert_int_equal(ops->read(store, 1, back, sizeof back, &error), 30000);
        assert_int_equal(ops->done(store, 0, UINT64_MAX, &error), 0);
        assert_int_equal(ops->recover(store, &block, &consumed, &error), 1);
        assert_int_equal(block.len, 30000);
        close_with(0);
    }
}

/* A database of another layout is left as it is. */
static void test_foreign(void **state)
{
    MDB_val key = text_of("format"), value = text_of("another");
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    (void)state;
    open_good(MB);
    (void)put(10, 1, 1);
    close_with(1);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 3), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "about", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_int_equal(open_with(MB, WEIR_STORE_DURABLE), -EINVAL);
    assert_non_null(strstr(text, path));
    value = text_of("weir-store 2");
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    open_good(MB);
}

/* A full store can always let go, and takes as much again, many times. */
static void test_full(void **state)
{
    int64_t handles[64];
    int n;

    (void)state;
    open_good(2 * MB);
    for (int round = 0; round < 10; round++) {
        for (n = 0; n < 64; n++) {
            handles[n] = put(64 * KB, 1, (uint64_t)(round * 64 + n));
            if (handles[n] < 0)
                break;
        }
        assert_in_range(n, 24, 32);
        assert_int_equal(handles[n], -ENOSPC);
        assert_non_null(strstr(text, folder));
        assert_non_null(strstr(text, "octets is used up"));
        assert_null(strstr(text, strerror(ENOSPC)));
        for (int i = 0; i < n; i++)
            assert_int_equal(ops->done(store, handles[i], UINT64_MAX, &error),
                             0);
        assert_int_equal(ops->sync(store, &error), 0);
    }
}

static weir_store_stat stat_now(void)
{
    weir_store_stat stat = {.size = sizeof stat};

    ops->stat(store, &stat);
    return stat;
}

static uint32_t failed_now(void)
{
    return stat_now().failed;
}

/* Fill the store; returns the number of blocks, which have handles from 0. */
static int fill(size_t size)
{
    int n = 0;
    int64_t handle;

    while ((handle = put(size, 1, (uint64_t)n)) >= 0)
        n++;
    assert_int_equal(handle, -ENOSPC);
    return n;
}

/* Where nothing is kept there is the room of a new store, for one block,
 * whatever was there; and what is written there stays. */
static void test_room_for_one(void **state)
{
    static const size_t sizes[] = {60000, 3000, 300};
    uint64_t first = 0, room;

    (void)state;
    open_good(MB);
    room = stat_now().room;
    for (int i = 0; i < 3; i++) {
        int64_t handle = 0, last;

        while ((last = put(sizes[i], 1, first++)) >= 0)
            handle = last;
        assert_int_equal(last, -ENOSPC);
        while (handle >= 0 && ops->done(store, handle, UINT64_MAX, &error) == 0)
            handle--;
        assert_int_equal(stat_now().blocks, 0);
        assert_int_equal(stat_now().room, room);
        handle = put(room, 1, first++);
        if (handle < 0)
            fail_msg("%s", text);
        assert_int_equal(ops->sync(store, &error), 0);
        assert_true(file_size() <= MB);
        close_with(1);
        open_good(MB);
        assert_int_equal(stat_now().recovered, 1);
        assert_int_equal(ops->done(store, handle, UINT64_MAX, &error), 0);
    }
}

/* The room of what is let go is told at once, though it goes with the next
 * write; and it is there. */
static void test_room_of_gone(void **state)
{
    uint64_t before, first = 0;

    (void)state;
    open_good(MB);
    while (first < 10)
        assert_true(put(60000, 1, first++) >= 0);
    before = stat_now().room;
    assert_true(before > MB / 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ops->done(store, i, UINT64_MAX, &error), 0);
    assert_true(stat_now().room >= before + (uint64_t)4 * 60000);
    while (stat_now().room >= 60000) {
        if (put(60000, 1, first++) < 0)
            fail_msg("%s", text);
    }
    assert_in_range(first, 17, 20);
    assert_true(file_size() <= MB);
}

/* Blocks that lie far from each other can be let go of a full store, within its
 * budget. */
static void test_scattered(void **state)
{
    static const size_t sizes[] = {300, 3000};

    (void)state;
    for (int i = 0; i < 2; i++) {
        int n;

        open_good(256 * KB);
        n = fill(sizes[i]);
        for (int from = 0; from < 7; from++) {
            for (int k = from; k < n; k += 7)
                assert_int_equal(ops->done(store, k, UINT64_MAX, &error), 0);
            assert_int_equal(ops->sync(store, &error), 0);
            assert_int_equal(failed_now(), 0);
        }
        assert_int_equal(put(sizes[i], 1, (uint64_t)n), n);
        assert_true(file_size() <= 256 * KB);
        close_with(0);
    }
}

/* Of the blocks found, let each eighth go. */
static void let_some_go(void)
{
    weir_block block;
    uint32_t consumed;

    for (int i = 0; ops->recover(store, &block, &consumed, &error) > 0; i++) {
        if (i % 8 == 0)
            assert_int_equal(ops->done(store, block.handle, UINT64_MAX, &error),
                             0);
    }
}

/* There is the room that it tells, also of what the process before let go. */
static void test_room_after_reopen(void **state)
{
    int64_t handle;
    size_t room;

    (void)state;
    open_good(MB);
    handle = put(400000, 1, 1);
    assert_true(handle >= 0 && put(400000, 1, 2) >= 0);
    assert_int_equal(ops->done(store, handle, UINT64_MAX, &error), 0);
    close_with(1);
    open_good(MB);
    room = (size_t)stat_now().room;
    assert_true(room > 400000 && room < 4 * MB);
    assert_true(put(room, 1, 3) >= 0);
}

/* What LMDB keeps of a long block it gives back; the queue is as it was. */
static void test_long_block(void **state)
{
    static unsigned char back[4 * MB];
    int64_t handle;

    (void)state;
    open_good(64 * MB);
    for (uint64_t i = 1; i <= 3; i++) {
        handle = put(4 * MB, 1, i);
        assert_true(handle >= 0);
        assert_int_equal(ops->read(store, handle, back, sizeof back, &error),
                         4 * MB);
        assert_int_equal(back[0], i);
        assert_int_equal(back[4 * MB - 1], i);
    }
    assert_int_equal(stat_now().blocks, 3);
}

/* Opened again, filled again: the budget is what it was. */
static void test_budget_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        open_good(256 * KB);
        let_some_go();
        (void)fill(3000);
        assert_int_equal(ops->sync(store, &error), 0);
        close_with(1);
        assert_true(file_size() <= 256 * KB);
    }
    open_good(256 * KB);
}

/* A process that reads, until it is killed, or the test is gone. */
static pid_t start_reader(void)
{
    static int ends[2]; /* ours stays open */
    char octet;
    pid_t child;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    child = fork();
    if (child == 0) {
        MDB_env *env;
        MDB_txn *txn;

        if (mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 3) == 0 &&
            mdb_env_open(env, path, MDB_RDONLY, 0) == 0 &&
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 &&
            write(ends[1], "", 1) == 1 && close(ends[0]) == 0)
            (void)!read(ends[1], &octet, 1);
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &octet, 1), 1);
    return child;
}

static void kill_reader(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* What a reader holds that was killed is missed, and used. */
static void test_killed_reader(void **state)
{
    int64_t before, handle;

    (void)state;
    open_good(256 * KB);
    before = put(3000, 1, 0);
    kill_reader(start_reader());
    for (uint64_t i = 1; i < 100; i++) {
        handle = put(3000, 1, i);
        if (handle < 0)
            fail_msg("after %d blocks: %s", (int)i, text);
        assert_int_equal(ops->done(store, before, UINT64_MAX, &error), 0);
        before = handle;
    }
}

/* Where nothing is kept there is the room of a new store, whatever a reader
 * holds. */
static void test_reader(void **state)
{
    uint64_t room;
    pid_t reader;
    int n;

    (void)state;
    open_good(256 * KB);
    room = stat_now().room;
    n = fill(3000);
    reader = start_reader();
    for (int i = 0; i < n; i++)
        assert_int_equal(ops->done(store, i, UINT64_MAX, &error), 0);
    assert_int_equal(stat_now().room, room);
    if (put(room, 1, (uint64_t)n) < 0)
        fail_msg("%s", text);
    assert_true(file_size() <= 256 * KB);
    kill_reader(reader);
}

/* put() while no descriptor is to be had. */
static int64_t put_without_descriptors(size_t size, uint64_t first)
{
    struct rlimit before, none;
    int64_t rc;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = put(size, 1, first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    return rc;
}

/* A disk that is full in the middle of a block is full; one that is not is
 * broken. */
static void test_disk_full(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    open_good(8 * MB);
    assert_int_equal(put(1000, 1, 1), 0);
    limit(file_size() + 100 * KB + 100);
    pages_left = 1;
    assert_int_equal(put(256 * KB, 1, 2), -ENOSPC);
    assert_int_equal(failed_now(), 0);
    assert_int_equal(put_without_descriptors(256 * KB, 2), -EMFILE);
    assert_int_equal(put_without_descriptors(256 * KB, 2), -EMFILE);
    assert_int_equal(failed_now(), 0);
    limit(RLIM_INFINITY);
    assert_int_equal(put(256 * KB, 1, 2), 1);
    assert_int_equal(ops->sync(store, &error), 0);
    limit(file_size() + 100 * KB + 100);
    pages_left = 1000000;
    assert_int_equal(put(256 * KB, 1, 3), -EIO);
    limit(RLIM_INFINITY);
    assert_int_equal(put(1000, 1, 4), -EIO);
    assert_int_equal(failed_now(), EIO);
}

/* On a disk that is full, what is let go is room for more; also for the process
 * that comes next. */
static void test_disk_stays_full(void **state)
{
    int n;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    pages_left = 1;
    for (int again = 0; again < 2; again++) {
        open_good(8 * MB);
        limit(512 * KB + 100);
        n = fill(32 * KB);
        assert_true(n >= 8);
        for (int i = 0; i < n / 2; i++)
            assert_int_equal(ops->done(store, i, UINT64_MAX, &error), 0);
        assert_int_equal(ops->sync(store, &error), 0);
        if (again) {
            close_with(1);
            open_good(8 * MB);
        }
        assert_int_equal(put(32 * KB, 1, (uint64_t)n), n);
        limit(RLIM_INFINITY);
        close_with(0);
    }
}

/* Put a record of another program's into a table. */
static void insert(const char *name, const void *key, const void *octets,
                   size_t size)
{
    MDB_val where = {8, (void *)key}, value = {size, (void *)octets};
    struct outsider other;

    begin_outside(&other, name);
    assert_int_equal(mdb_put(other.txn, other.dbi, &where, &value, 0), 0);
    end_outside(&other);
}

/* What no store opens the test removes. */
static void remove_queue(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock", ""};
    char name[160];

    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        assert_int_equal(remove(name), 0);
    }
}

/* No more of a block is consumed than it has, and no handle is the last. */
static void test_forged(void **state)
{
    static const unsigned char zero[8],
        last[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    weir_store_stat stat = {.size = sizeof stat};
    weir_block block;
    uint32_t consumed;

    (void)state;
    open_good(MB);
    assert_int_equal(put(10, 5, 1), 0);
    close_with(1);
    insert("consumed", zero, "\x06\0\0", 4);
    open_good(MB);
    ops->stat(store, &stat);
    assert_int_equal(stat.recovered, 5);
    assert_int_equal(ops->recover(store, &block, &consumed, &error), 1);
    assert_int_equal(consumed, 0);
    close_with(1);
    insert("blocks", last, "0123456789abcdefghij", 20);
    assert_int_equal(open_with(MB, WEIR_STORE_DURABLE), -EINVAL);
    assert_non_null(strstr(text, path));
    remove_queue();
}

/* What the program has open of a database stays the program's. */
static void test_not_ours(void **state)
{
    char name[160];
    int fd, n = 0;

    (void)state;
    open_good(MB);
    (void)put(10, 1, 1);
    close_with(1);
    snprintf(name, sizeof name, "%s/data.mdb", path);
    fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    open_good(MB);
    for (int i = 0; i < 1024; i++)
        n += storehost_owns(i);
    assert_false(storehost_owns(fd));
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    if (access(name, F_OK) == 0)
        assert_true(n >= 3);
    close(fd);
}

/* Has a child that is forked now some of the database in its memory? */
static bool child_has_map(void)
{
    char line[512];
    FILE *ranges;
    bool has = false;
    int status;
    pid_t child = fork();

    if (child == 0) {
        ranges = fopen("/proc/self/maps", "r");
        while (ranges && fgets(line, sizeof line, ranges))
            has |= strstr(line, "data.mdb") != NULL;
        _exit(has);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) != 0;
}

/* A child has not the database's memory: also when that was made anew. */
static void test_child(void **state)
{
#if defined(MADV_DONTFORK)
    pid_t reader;
    int n;

    (void)state;
    open_good(256 * KB);
    assert_false(child_has_map());
    n = fill(3000);
    reader = start_reader();
    for (int i = 0; i < n; i++)
        assert_int_equal(ops->done(store, i, UINT64_MAX, &error), 0);
    assert_true(put(stat_now().room, 1, (uint64_t)n) >= 0);
    assert_false(child_has_map());
    kill_reader(reader);
#else
    (void)state;
    (void)child_has_map;
    skip();
#endif
}

/* Nor where letting go wants more than the budget, as a reader holds it. */
static void test_child_of_grown(void **state)
{
#if defined(MADV_DONTFORK)
    pid_t reader;
    int n;

    (void)state;
    open_good(256 * KB);
    n = fill(3000);
    reader = start_reader();
    for (int i = 0; file_size() <= 256 * KB && i < n - 1; i++) {
        assert_int_equal(ops->done(store, i, UINT64_MAX, &error), 0);
        assert_int_equal(ops->sync(store, &error), 0);
    }
    assert_true(file_size() > 256 * KB);
    assert_false(child_has_map());
    kill_reader(reader);
#else
    (void)state;
    skip();
#endif
}

static void test_spill_is_refused(void **state)
{
    (void)state;
    assert_int_equal(open_with(MB, WEIR_STORE_SPILL), -EOPNOTSUPP);
    assert_non_null(strstr(text, "store_lmdb"));
}

static void report(void *arg, const char *name, enum weir_check_result result,
                   const char *detail)
{
    int *skipped = arg;

    *skipped += result == WEIR_CHECK_SKIPPED;
    if (result != WEIR_CHECK_PASSED)
        print_error("%s: %s\n", name, detail);
}

/* The mode spill is skipped by name. */
static void test_suite(void **state)
{
    int skipped = 0;
    struct weir_check_store check = {.ops = ops,
                                     .report = report,
                                     .arg = &skipped,
                                     .kills =
                                         getenv("WEIR_TEST_FULL") ? 200 : 20};

    (void)state;
    assert_int_equal(weir_check_store(&check), 0);
    assert_int_equal(skipped, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_layout),
        CASE(test_piece_missing),
        CASE(test_foreign),
        CASE(test_full),
        CASE(test_scattered),
        CASE(test_room_for_one),
        CASE(test_room_of_gone),
        CASE(test_room_after_reopen),
        CASE(test_long_block),
        CASE(test_budget_stays),
        CASE(test_killed_reader),
        CASE(test_reader),
        CASE(test_disk_full),
        CASE(test_disk_stays_full),
        CASE(test_forged),
        CASE(test_not_ours),
        CASE(test_child),
        CASE(test_child_of_grown),
        CASE(test_spill_is_refused),
        CASE(test_suite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
