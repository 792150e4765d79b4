/* test_store_file.c - spill in files without a name: space, faults, folders. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <check/check.h>
#include <weir/store.h>

#include "plugins/store_file/record.h"
#include "tests/plugins/storefault.h"
#include "tests/plugins/storehost.h"

#define MB (1024 * 1024)

extern const weir_plugin store_file_LTX_weir_plugin_v1;

static const weir_store_ops *ops;
static char folder[64], text[512];
static weir_error error = {
    .size = sizeof error, .text = text, .room = sizeof text};
static void *store;

/* ---- what a fault is asked for ---- */

static struct {
    const char *call; /* NULL: none */
    int after, code;  /* calls that go well before it */
    int times;        /* that it fails; 0: always */
    int shorten;      /* octets that a call writes or reads at most; 0: all */
    int interrupts;   /* calls that are interrupted first */
} fault;

int storefault_fails(const char *call)
{
    if (fault.call && strcmp(fault.call, call) == 0 && fault.after-- <= 0) {
        errno = fault.code;
        if (fault.times && --fault.times == 0)
            fault.call = NULL;
        return 1;
    }
    return 0;
}

/* How much of a write or read to do; -1 with errno set: none. */
static ssize_t allowed(const char *call, size_t size)
{
    if (storefault_fails(call))
        return -1;
    if (fault.interrupts > 0) {
        fault.interrupts--;
        errno = EINTR;
        return -1;
    }
    if (fault.shorten && size > (size_t)fault.shorten)
        return fault.shorten;
    return (ssize_t)size;
}

/* ---- the end of the process, or of its power ---- */

/* Octets of files, and names, that were made to last. */
static struct {
    long at;   /* changes of files until the end; -1: none comes */
    bool lose; /* what was not made to last goes */
    int fd;    /* of the folder with the segments; -1: not open yet */
    struct {
        ino_t file;
        off_t size;
    } lasting[64];
    char names[64][32];
    int n_lasting, n_names;
} end = {.at = -1, .fd = -1};

static off_t lasting_size(ino_t file)
{
    for (int i = end.n_lasting; i-- > 0;) {
        if (end.lasting[i].file == file)
            return end.lasting[i].size;
    }
    return 0;
}

static bool is_lasting(const char *name)
{
    for (int i = 0; i < end.n_names; i++) {
        if (strcmp(end.names[i], name) == 0)
            return true;
    }
    return false;
}

static DIR *segments(void)
{
    int fd = end.fd < 0 ? -1 : openat(end.fd, ".", O_RDONLY | O_DIRECTORY);

    return fd < 0 ? NULL : fdopendir(fd);
}

/* The power goes: files are as long as they were at their last fdatasync(),
 * and those are gone whose name the folder was not synced with. */
static void lose_power(void)
{
    DIR *stream = segments();
    struct dirent *entry;
    struct stat state;

    while (stream && (entry = readdir(stream)) != NULL) {
        int fd = strstr(entry->d_name, ".seg")
                     ? openat(end.fd, entry->d_name, O_RDWR)
                     : -1;

        if (fd < 0 || fstat(fd, &state) < 0)
            continue;
        if (!is_lasting(entry->d_name))
            (void)unlinkat(end.fd, entry->d_name, 0);
        else if (lasting_size(state.st_ino) < state.st_size)
            (void)!ftruncate(fd, lasting_size(state.st_ino));
    }
}

/* A file is about to change.  Returns true if this is the end, which comes
 * when the caller has done half of it. */
static bool is_end(void)
{
    return end.at >= 0 && end.at-- == 0;
}

static void end_now(void)
{
    if (end.lose)
        lose_power();
    (void)kill(getpid(), SIGKILL);
}

static void end_if_due(void)
{
    if (is_end())
        end_now();
}

int storefault_mkdirat(int fd, const char *path, mode_t mode)
{
    end_if_due();
    return storefault_fails("mkdirat") ? -1 : mkdirat(fd, path, mode);
}

int storefault_unlinkat(int fd, const char *path, int flags)
{
    end_if_due();
    return storefault_fails("unlinkat") ? -1 : unlinkat(fd, path, flags);
}

int storefault_ftruncate(int fd, off_t size)
{
    end_if_due();
    return storefault_fails("ftruncate") ? -1 : ftruncate(fd, size);
}

/* It has a folder's names last. */
int storefault_fsync(int fd)
{
    DIR *stream;
    struct dirent *entry;

    end_if_due();
    if (storefault_fails("fsync"))
        return -1;
    stream = segments();
    end.n_names = 0;
    while (stream && (entry = readdir(stream)) != NULL && end.n_names < 64)
        snprintf(end.names[end.n_names++], sizeof end.names[0], "%.31s",
                 entry->d_name);
    if (stream)
        closedir(stream);
    return fsync(fd);
}

int storefault_fdatasync(int fd)
{
    struct stat state;

    end_if_due();
    if (storefault_fails("fdatasync"))
        return -1;
    if (fstat(fd, &state) == 0 && end.n_lasting < 64) {
        end.lasting[end.n_lasting].file = state.st_ino;
        end.lasting[end.n_lasting++].size = state.st_size;
    }
#ifdef HAVE_FDATASYNC
    return fdatasync(fd);
#else
    return fsync(fd);
#endif
}

ssize_t storefault_pwrite(int fd, const void *data, size_t size, off_t at)
{
    ssize_t n = allowed("pwrite", size);

    if (is_end()) {
        (void)!pwrite(fd, data, size / 2, at);
        end_now();
    }
    return n < 0 ? -1 : pwrite(fd, data, (size_t)n, at);
}

/* It writes the first part, which it may. */
ssize_t storefault_pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    assert_true(n > 0);
    return storefault_pwrite(fd, parts->iov_base, parts->iov_len, at);
}

ssize_t storefault_pread(int fd, void *data, size_t size, off_t at)
{
    ssize_t n = allowed("pread", size);

    return n < 0 ? -1 : pread(fd, data, (size_t)n, at);
}

/* What is pushed to the disk, and a clock that stands still meanwhile. */
static struct {
    int64_t now, takes; /* ns */
    uint64_t octets;
    int calls;
} push;

int storefault_clock_gettime(clockid_t clock, struct timespec *time)
{
    assert_int_equal(clock, CLOCK_MONOTONIC);
    time->tv_sec = push.now / 1000000000;
    time->tv_nsec = (long)(push.now % 1000000000);
    return 0;
}

int storefault_sync_file_range(int fd, off_t at, off_t octets, unsigned flags)
{
    (void)fd;
    (void)at;
    (void)flags;
    push.calls++;
    push.octets += (uint64_t)octets;
    push.now += push.takes;
    return storefault_fails("sync_file_range") ? -1 : 0;
}

int storefault_no_tmpfile;

int storefault_openat(int fd, const char *path, int flags, mode_t mode)
{
    if (flags & O_CREAT)
        end_if_due();
    if (storefault_fails("openat"))
        return -1;
    if (strstr(path, ".seg"))
        end.fd = fd;
#ifdef O_TMPFILE
    if (storefault_no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
#endif
    return openat(fd, path, flags, mode);
}

/* ---- opening ---- */

static int open_with(uint64_t budget, uint32_t mode)
{
    return storehost_open(ops, folder, budget, mode, &store, &error);
}

static void open_good(uint64_t budget)
{
    if (open_with(budget, WEIR_STORE_SPILL) < 0)
        fail_msg("%s", text);
}

static weir_store_stat stat_now(void)
{
    weir_store_stat stat = {.size = sizeof stat};

    ops->stat(store, &stat);
    assert_int_equal(stat.size, sizeof stat);
    return stat;
}

/* ---- blocks ---- */

static unsigned char data[4 * MB], back[4 * MB];

static void fill(size_t size, unsigned salt)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 31 + i / 251 + salt * 7);
}

/* One message of `size` octets, in three parts. */
static int64_t put(size_t size, unsigned salt)
{
    struct iovec parts[] = {{data, size / 3},
                            {data + size / 3, 0},
                            {data + size / 3, size - size / 3}};

    fill(size, salt);
    return ops->write(store, parts, 3, 1, salt, &error);
}

static int64_t put_good(size_t size, unsigned salt)
{
    int64_t handle = put(size, salt);

    if (handle < 0)
        fail_msg("%s", text);
    return handle;
}

static void expect(int64_t handle, size_t size, unsigned salt)
{
    ssize_t n = ops->read(store, handle, back, sizeof back, &error);

    if (n < 0)
        fail_msg("%s", text);
    assert_int_equal(n, size);
    fill(size, salt);
    assert_memory_equal(back, data, size);
}

static void let_go(int64_t handle)
{
    assert_int_equal(ops->done(store, handle, UINT64_MAX, &error), 0);
}

/* Entries of a folder, other than itself and the one above. */
static int entries(const char *path)
{
    DIR *stream = opendir(path);
    int n = 0;

    assert_non_null(stream);
    while (readdir(stream))
        n++;
    closedir(stream);
    return n - 2;
}

static int setup(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof fault);
    memset(&push, 0, sizeof push);
    store = NULL;
    ops = store_file_LTX_weir_plugin_v1.providers[0].ops;
    strcpy(folder, "/tmp/weir-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* Nothing is left in the folder: rmdir() says so. */
static int teardown(void **state)
{
    (void)state;
    if (store)
        ops->close(store, 0);
    return rmdir(folder);
}

/* ---- tests ---- */

/* Of any size, read in any order and more than once, with no name on disk. */
static void test_blocks(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 4096, 65536, 65537, MB, 3 * MB};
    int64_t handles[8];

    (void)state;
    open_good(64 * MB);
    for (unsigned i = 0; i < 8; i++)
        handles[i] = put_good(sizes[i], i);
    assert_int_equal(stat_now().blocks, 8);
    assert_int_equal(entries(folder), 0);
    for (unsigned i = 8; i-- > 0;)
        expect(handles[i], sizes[i], i);
    expect(handles[3], sizes[3], 3);
    assert_int_equal(ops->read(store, handles[3], back, 4095, &error), -ERANGE);
    for (unsigned i = 0; i < 8; i++)
        let_go(handles[i]);
    assert_int_equal(stat_now().blocks, 0);
    assert_int_equal(stat_now().bytes, 0);
}

/* A handle that is over is no handle, also when its place is in use again. */
static void test_handles(void **state)
{
    int64_t old, handle;

    (void)state;
    open_good(64 * MB);
    old = put_good(10, 0);
    let_go(old);
    handle = put_good(10, 1);
    assert_true(handle != old);
    assert_int_equal(ops->read(store, old, back, 10, &error), -EINVAL);
    assert_int_equal(ops->done(store, old, 9, &error), -EINVAL);
    assert_int_equal(ops->done(store, -1, 9, &error), -EINVAL);
    assert_int_equal(ops->read(store, 1 << 20, back, 10, &error), -EINVAL);
    expect(handle, 10, 1);
}

/* A block is gone when its last message is consumed. */
static void test_in_part(void **state)
{
    struct iovec part = {data, 100};
    int64_t handle;

    (void)state;
    open_good(64 * MB);
    handle = ops->write(store, &part, 1, 5, 20, &error);
    assert_true(handle >= 0);
    assert_int_equal(ops->done(store, handle, 23, &error), 0);
    assert_int_equal(stat_now().blocks, 1);
    assert_int_equal(ops->done(store, handle, 24, &error), 0);
    assert_int_equal(stat_now().blocks, 0);
}

/* Octets that the system holds for our descriptors without a name. */
static uint64_t on_disk(void)
{
    uint64_t sum = 0;

    for (int fd = 3; fd < 256; fd++) {
        struct stat state;

        if (fstat(fd, &state) == 0 && S_ISREG(state.st_mode) &&
            state.st_nlink == 0)
            sum += (uint64_t)state.st_blocks * 512;
    }
    return sum;
}

/* Space comes back in the middle of life, whichever blocks go first. */
static void test_space_comes_back(void **state)
{
    int64_t handles[32];
    uint64_t full;

    (void)state;
    open_good(64 * MB);
    for (unsigned i = 0; i < 32; i++)
        handles[i] = put_good(MB, i);
    full = on_disk();
    assert_true(full >= 32 * MB);
    assert_true(stat_now().bytes >= 32 * MB);
    for (unsigned i = 0; i < 16; i++)
        let_go(handles[i]);
    assert_true(on_disk() <= full - 12 * MB);
    expect(handles[16], MB, 16);
    for (unsigned i = 32; i-- > 16;)
        let_go(handles[i]);
    assert_int_equal(on_disk(), 0);
    assert_int_equal(stat_now().bytes, 0);
}

/* Never more than the budget; when there is room again it goes on. */
static void test_budget(void **state)
{
    int64_t handles[16];
    unsigned n = 0;

    (void)state;
    open_good(8 * MB);
    while (n < 16 && (handles[n] = put(MB, n)) >= 0)
        n++;
    assert_int_equal(n, 8);
    assert_int_equal(handles[n], -ENOSPC);
    assert_non_null(strstr(text, folder));
    assert_non_null(strstr(text, "budget"));
    assert_true(stat_now().bytes <= 8 * MB);
    assert_int_equal(stat_now().failed, 0);
    let_go(handles[0]);
    handles[0] = put_good(MB, 20);
    for (unsigned i = 1; i < n; i++)
        expect(handles[i], MB, i);
    expect(handles[0], MB, 20);
    assert_int_equal(put(9, 1), -ENOSPC);
}

static void test_interrupted_and_short(void **state)
{
    int64_t handle;

    (void)state;
    open_good(8 * MB);
    fault.shorten = 1000;
    fault.interrupts = 3;
    handle = put_good(65536, 5);
    fault.interrupts = 3;
    expect(handle, 65536, 5);
}

/* The disk is full in the middle of a block: nothing of it is kept. */
static void test_disk_full(void **state)
{
    int64_t first, second;

    (void)state;
    open_good(8 * MB);
    first = put_good(10000, 1);
    fault.shorten = 1000;
    fault.call = "pwrite";
    fault.after = 4;
    fault.code = ENOSPC;
    assert_int_equal(put(10000, 2), -ENOSPC);
    assert_non_null(strstr(text, folder));
    assert_int_equal(stat_now().blocks, 1);
    assert_int_equal(stat_now().failed, 0);
    memset(&fault, 0, sizeof fault);
    second = put_good(10000, 3);
    expect(first, 10000, 1);
    expect(second, 10000, 3);
}

#ifdef HAVE_FALLOCATE
/* A segment that the disk has no room for is tried smaller. */
static void test_smaller_segments(void **state)
{
    (void)state;
    open_good(8 * MB);
    fault.call = "fallocate";
    fault.code = ENOSPC;
    assert_int_equal(put(1000, 1), -ENOSPC);
    assert_int_equal(stat_now().bytes, 0);
    fault.code = EDQUOT;
    assert_int_equal(put(1000, 1), -ENOSPC);
    fault.code = ENOSPC;
    assert_int_equal(put(0, 1), -ENOSPC);
    fault.times = 3;
    expect(put_good(1000, 2), 1000, 2);
    assert_int_equal(stat_now().bytes, MB / 16);
    memset(&fault, 0, sizeof fault);
    expect(put_good(0, 3), 0, 3);
    assert_int_equal(stat_now().failed, 0);
}
#endif

#ifdef HAVE_SYNC_FILE_RANGE
static void put_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        (void)put_good(MB, i);
}

/* A short overflow is left to the system.  Of a long one the disk hears as it
 * comes, whatever it says to that. */
static void test_pushed(void **state)
{
    int64_t handle;

    (void)state;
    open_good(UINT64_C(1) << 30);
    put_many(16);
    assert_int_equal(push.calls, 0);
    put_many(16);
    assert_int_equal(push.calls, 4);
    assert_int_equal(push.octets, 16 * MB);
    fault.call = "sync_file_range";
    fault.code = EIO;
    put_many(7);
    handle = put_good(MB, 7);
    assert_int_equal(push.calls, 6);
    expect(handle, MB, 7);
}

/* A disk that keeps its caller waiting is left alone for ten times as long;
 * what was written meanwhile is the system's business. */
static void test_pushed_slowly(void **state)
{
    (void)state;
    open_good(UINT64_C(1) << 30);
    put_many(16);
    push.takes = 50000000;
    put_many(4);
    assert_int_equal(push.calls, 1);
    push.now += 449999999;
    put_many(4);
    assert_int_equal(push.calls, 1);
    push.now += 1;
    put_many(4);
    assert_int_equal(push.calls, 2);
    assert_int_equal(push.octets, 8 * MB);
}

/* When a durable queue goes to the disk its owner says. */
static void test_not_pushed(void **state)
{
    (void)state;
    if (open_with(UINT64_C(1) << 30, WEIR_STORE_DURABLE) < 0)
        fail_msg("%s", text);
    put_many(24);
    assert_int_equal(push.calls, 0);
}
#endif

/* Any other error: no write works any more, but what is there can be read. */
static void test_poison(void **state)
{
    int64_t handle;

    (void)state;
    open_good(8 * MB);
    handle = put_good(10000, 1);
    fault.call = "pwrite";
    fault.code = EIO;
    assert_int_equal(put(10, 2), -EIO);
    memset(&fault, 0, sizeof fault);
    assert_int_equal(put(10, 3), -EIO);
    assert_non_null(strstr(text, "earlier"));
    assert_int_equal(stat_now().failed, EIO);
    expect(handle, 10000, 1);
    fault.call = "pread";
    fault.code = EIO;
    assert_int_equal(ops->read(store, handle, back, sizeof back, &error), -EIO);
}

/* Where the file system makes no files without a name. */
static void test_unlinked(void **state)
{
    int64_t handle;

    (void)state;
    storefault_no_tmpfile = 1;
    open_good(8 * MB);
    handle = put_good(65536, 1);
    storefault_no_tmpfile = 0;
    expect(handle, 65536, 1);
    assert_int_equal(entries(folder), 0);
}

/* No descriptor is left over a thousand segments and forty stores. */
static void test_no_leak(void **state)
{
    int before, after;

    (void)state;
    before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 40; i++) {
        open_good(32 * MB);
        for (unsigned k = 0; k < 25; k++)
            let_go(put_good(5000, k));
        (void)put_good(5000, 1);
        ops->close(store, 0);
        store = NULL;
    }
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(after, before);
}

/* Each call that open() and the first write make is made to fail. */
static void test_shortages(void **state)
{
    static const char *const calls[] = {"calloc", "realloc", "open", "openat",
                                        "fstat"};

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        fault.call = calls[i];
        fault.code = i < 2 ? ENOMEM : EMFILE;
        if (open_with(8 * MB, WEIR_STORE_SPILL) == 0) {
            assert_int_equal(put(10, 0), -fault.code);
            memset(&fault, 0, sizeof fault);
            expect(put_good(10, 1), 10, 1);
            ops->close(store, 0);
        }
        store = NULL;
        memset(&fault, 0, sizeof fault);
        assert_non_null(strstr(text, folder));
    }
}

static void test_folders(void **state)
{
    char kept[64];

    (void)state;
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(open_with(MB, WEIR_STORE_SPILL), -EACCES);
    assert_non_null(strstr(text, folder));
    assert_non_null(strstr(text, "0777"));
    assert_int_equal(chmod(folder, 01777), 0);
    open_good(MB);
    ops->close(store, 0);
    store = NULL;
    assert_int_equal(chmod(folder, 0700), 0);
    strcpy(kept, folder);
    strcat(folder, "-link");
    assert_int_equal(symlink(kept, folder), 0);
    assert_true(open_with(MB, WEIR_STORE_SPILL) < 0);
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(open_with(MB, WEIR_STORE_SPILL), -ENOENT);
    strcpy(folder, kept);
}

/* ---- durable ---- */

static void open_durable(void)
{
    if (open_with(8 * MB, WEIR_STORE_DURABLE) < 0)
        fail_msg("%s", text);
}

static void reopen(void)
{
    ops->close(store, 1);
    store = NULL;
    open_durable();
}

/* The only segment: its name, and how long it is. */
static off_t segment(char path[128])
{
    struct stat state;

    snprintf(path, 128, "%s/a-queue.weir/%016x.seg", folder, 1u);
    assert_int_equal(stat(path, &state), 0);
    return state.st_size;
}

/* Octets of a file, turned round. */
static void spoil(const char *path, off_t at, size_t size)
{
    int fd = open(path, O_RDWR);
    unsigned char octets[256];

    assert_true(fd >= 0 && size <= sizeof octets);
    assert_int_equal(pread(fd, octets, size, at), size);
    for (size_t i = 0; i < size; i++)
        octets[i] ^= 0xff;
    assert_int_equal(pwrite(fd, octets, size, at), size);
    close(fd);
}

static int next_block(int64_t *handle)
{
    weir_block block;
    uint32_t consumed;
    int rc = ops->recover(store, &block, &consumed, &error);

    *handle = rc ? block.handle : -1;
    return rc ? (int)block.first : 0;
}

/* Three blocks of which the last, and then some octets, are torn: as often as
 * one looks the same is found; the first write clears it away. */
static void test_torn_tail(void **state)
{
    char path[128];
    off_t whole;
    int64_t handle;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 2; i++)
        (void)put_good(5000, i);
    whole = segment(path);
    (void)put_good(5000, 3);
    ops->close(store, 1);
    assert_int_equal(truncate(path, segment(path) - 1), 0);
    for (int i = 0; i < 2; i++) {
        open_durable();
        assert_int_equal(stat_now().blocks, 2);
        assert_int_equal(stat_now().recovered, 2);
        assert_true(stat_now().torn >= 5063 - 64);
        assert_true(stat_now().torn <= 5063);
        assert_int_equal(next_block(&handle), 1);
        expect(handle, 5000, 1);
        assert_int_equal(next_block(&handle), 2);
        assert_int_equal(next_block(&handle), 0);
        ops->close(store, 1);
    }
    open_durable();
    (void)put_good(100, 4);
    assert_int_equal(segment(path), whole);
    reopen();
    assert_int_equal(stat_now().torn, 0);
    assert_int_equal(stat_now().blocks, 3);
}

/* A block that is damaged in the middle is not torn off: it is there, and
 * reading it fails.  So it is with one whose head is damaged, of which the
 * sequence numbers tell; what is written next takes nothing away. */
static void test_damage(void **state)
{
    char path[128];
    int64_t handle, damaged;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 3; i++)
        (void)put_good(1000, i);
    ops->close(store, 1);
    (void)segment(path);
    spoil(path, 64 + 64 + 500, 1);
    open_durable();
    assert_int_equal(stat_now().blocks, 3);
    assert_int_equal(stat_now().torn, 0);
    assert_int_equal(next_block(&handle), 1);
    assert_int_equal(ops->read(store, handle, back, sizeof back, &error),
                     -EILSEQ);
    assert_non_null(strstr(text, path));
    assert_int_equal(next_block(&handle), 2);
    expect(handle, 1000, 2);
    ops->close(store, 1);
    spoil(path, 64 + 1088 + 10, 1);
    for (unsigned i = 0; i < 2; i++) {
        open_durable();
        assert_int_equal(stat_now().blocks, 3 + i);
        assert_int_equal(stat_now().recovered, 3 + i);
        assert_int_equal(stat_now().torn, 0);
        assert_int_equal(next_block(&handle), 1);
        assert_int_equal(next_block(&damaged), 2);
        assert_int_equal(ops->read(store, damaged, back, sizeof back, &error),
                         -EILSEQ);
        assert_int_equal(next_block(&handle), 3);
        expect(handle, 1000, 3);
        (void)put_good(1000, 4 + i);
        ops->close(store, 1);
    }
    open_durable();
    assert_int_equal(stat_now().blocks, 5);
    (void)next_block(&handle);
    (void)next_block(&damaged);
    let_go(damaged);
    reopen();
    assert_int_equal(stat_now().blocks, 4);
    assert_int_equal(next_block(&handle), 1);
    assert_int_equal(next_block(&handle), 3);
    expect(handle, 1000, 3);
}

/* Where no number tells of messages, the octets are counted. */
static void test_damaged_first(void **state)
{
    char path[128];
    int64_t handle;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 2; i++)
        (void)put_good(1000, i);
    ops->close(store, 1);
    (void)segment(path);
    spoil(path, 64 + 10, 1);
    open_durable();
    assert_int_equal(stat_now().torn, 1088);
    assert_int_equal(next_block(&handle), 2);
    expect(handle, 1000, 2);
}

/* Only the last block of all can be torn off: one at the end of an older
 * segment is damaged. */
static void test_damaged_end(void **state)
{
    char path[128];
    int64_t handle;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 3; i++)
        (void)put_good(200 * 1024, i);
    ops->close(store, 1);
    spoil(path, segment(path) - 1, 1);
    open_durable();
    assert_int_equal(stat_now().blocks, 3);
    assert_int_equal(stat_now().torn, 0);
    (void)next_block(&handle);
    assert_int_equal(next_block(&handle), 2);
    assert_int_equal(ops->read(store, handle, back, sizeof back, &error),
                     -EILSEQ);
    ops->close(store, 1);
    path[strlen(path) - strlen("1.seg")] = '2';
    spoil(path, 200, 1);
    open_durable();
    assert_int_equal(stat_now().blocks, 2);
    assert_int_equal(stat_now().torn, 64 + 200 * 1024);
}

/* So it is with one whose head is damaged: the next segment tells of its
 * messages, which are let go as others are. */
static void test_damaged_end_head(void **state)
{
    char path[128];
    int64_t handle, damaged;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 3; i++)
        (void)put_good(200 * 1024, i);
    ops->close(store, 1);
    (void)segment(path);
    spoil(path, 64 + 64 + 200 * 1024 + 10, 1);
    for (unsigned i = 0; i < 2; i++) {
        open_durable();
        assert_int_equal(stat_now().blocks, 3 + i);
        assert_int_equal(stat_now().recovered, 3 + i);
        assert_int_equal(stat_now().torn, 0);
        assert_int_equal(next_block(&handle), 1);
        expect(handle, 200 * 1024, 1);
        assert_int_equal(next_block(&damaged), 2);
        assert_int_equal(ops->read(store, damaged, back, sizeof back, &error),
                         -EILSEQ);
        assert_int_equal(next_block(&handle), 3);
        expect(handle, 200 * 1024, 3);
        (void)put_good(1000, 4 + i); /* takes nothing away */
        if (i == 0)
            ops->close(store, 1);
    }
    let_go(damaged);
    reopen();
    assert_int_equal(stat_now().blocks, 4);
    assert_int_equal(stat_now().torn, 0);
    assert_int_equal(next_block(&handle), 1);
    assert_int_equal(next_block(&handle), 3);
}

/* Where the next segment is gone nobody knows what is missing. */
static void test_damaged_end_alone(void **state)
{
    char path[128];
    int64_t handles[5];

    (void)state;
    open_durable();
    for (unsigned i = 0; i < 5; i++)
        handles[i] = put_good(200 * 1024, i + 1);
    let_go(handles[2]);
    let_go(handles[3]);
    ops->close(store, 1);
    (void)segment(path);
    spoil(path, 64 + 64 + 200 * 1024 + 10, 1);
    open_durable();
    assert_int_equal(stat_now().blocks, 2);
    assert_int_equal(stat_now().torn, 64 + 200 * 1024);
}

/* Open with the read that comes after so many others failing. */
static void open_unreadable(int after)
{
    fault.call = "pread";
    fault.after = after;
    fault.code = EIO;
    fault.times = 1;
    open_durable();
    assert_null(fault.call);
}

/* A disk that does not give something back for once takes nothing away.  The
 * reads are of the segment's head, and then of each head and its block. */
static void test_unreadable(void **state)
{
    int64_t handle;

    (void)state;
    open_durable();
    for (unsigned i = 1; i <= 3; i++)
        (void)put_good(5000, i);
    for (unsigned i = 0; i < 2; i++) {
        ops->close(store, 1);
        open_unreadable(i == 0 ? 0 : 6);
        assert_int_equal(stat_now().blocks, 3 + i);
        assert_int_equal(stat_now().torn, 0);
        for (int first = 1; first <= 3; first++) {
            assert_int_equal(next_block(&handle), first);
            expect(handle, 5000, (unsigned)first);
        }
        (void)put_good(5000, 4 + i);
    }
    ops->close(store, 1);
    open_unreadable(3);
    assert_int_equal(stat_now().blocks, 4);
    assert_true(stat_now().torn > 5000);
    while (next_block(&handle))
        let_go(handle);
    (void)put_good(5000, 6);
    reopen();
    assert_int_equal(stat_now().torn, 0);
    assert_int_equal(next_block(&handle), 2);
    expect(handle, 5000, 2);
    assert_int_equal(next_block(&handle), 6);
}

/* A sync covers what a process wrote that ended before its own: the data, the
 * names, and the folder's own name. */
static void test_sync_for_another(void **state)
{
    static const struct {
        const char *call;
        int after;
    } syncs[] = {{"fdatasync", 0}, {"fsync", 0}, {"fsync", 1}};

    (void)state;
    open_durable();
    (void)put_good(100, 1);
    for (int i = 0; i < 3; i++) {
        reopen();
        fault.call = syncs[i].call;
        fault.after = syncs[i].after;
        fault.code = EIO;
        fault.times = 1;
        assert_int_equal(ops->sync(store, &error), -EIO);
    }
    reopen();
    assert_int_equal(ops->sync(store, &error), 0);
}

/* A torn mark leaves the one before, and one that says more than the block has
 * says nothing. */
static void test_torn_mark(void **state)
{
    struct iovec part = {data, 100};
    char path[128];
    weir_block block;
    uint32_t consumed;
    int64_t handle;
    uint8_t mark[WEIR_RECORD_MARK];
    int fd;

    (void)state;
    open_durable();
    handle = ops->write(store, &part, 1, 10, 20, &error);
    assert_int_equal(ops->done(store, handle, 22, &error), 0);
    assert_int_equal(ops->done(store, handle, 26, &error), 0);
    ops->close(store, 1);
    (void)segment(path);
    spoil(path, 64 + 32 + 16, 16);
    open_durable();
    assert_int_equal(ops->recover(store, &block, &consumed, &error), 1);
    assert_int_equal(block.messages, 10);
    assert_int_equal(consumed, 3);
    ops->close(store, 1);
    weir_record_mark(mark, 1, 64, 11);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, mark, sizeof mark,
                            (off_t)weir_record_mark_at(64, 1)),
                     sizeof mark);
    close(fd);
    open_durable();
    assert_int_equal(stat_now().recovered, 10);
    assert_int_equal(ops->recover(store, &block, &consumed, &error), 1);
    assert_int_equal(consumed, 0);
}

/* What open() says of the queue with an empty file of that name in it; the
 * queue is open after it as before. */
static int refused(const char *name)
{
    char path[128];
    int rc;

    ops->close(store, 1);
    store = NULL;
    snprintf(path, sizeof path, "%s/a-queue.weir/%s", folder, name);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    rc = open_with(MB, WEIR_STORE_DURABLE);
    if (rc == 0)
        ops->close(store, 1);
    assert_int_equal(unlink(path), 0);
    open_durable();
    return rc;
}

/* What is not ours is not touched, and named. */
static void test_foreign(void **state)
{
    static const char *const names[] = {"notes", "0000000000000009.seg",
                                        "9.seg"};
    char path[128];

    (void)state;
    open_durable();
    (void)put_good(10, 1);
    for (int i = 0; i < 3; i++) {
        int fd;

        ops->close(store, 1);
        snprintf(path, sizeof path, "%s/a-queue.weir/%s", folder, names[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "hello", 5), 5);
        close(fd);
        assert_int_equal(open_with(MB, WEIR_STORE_DURABLE), -EINVAL);
        assert_non_null(strstr(text, names[i]));
        assert_int_equal(unlink(path), 0);
        open_durable();
        assert_int_equal(stat_now().blocks, 1);
    }
    assert_int_equal(refused("ffffffffffffffff.seg"), -EINVAL);
    assert_int_equal(refused("0000000000000009.seg"), 0);
    snprintf(path, sizeof path, "%s/a-queue.weir", folder);
    assert_int_equal(chmod(path, 0750), 0);
    ops->close(store, 1);
    store = NULL;
    assert_int_equal(open_with(MB, WEIR_STORE_DURABLE), -EACCES);
    assert_non_null(strstr(text, path));
    assert_int_equal(chmod(path, 0700), 0);
    open_durable();
}

/* A store of many blocks has few descriptors, and returns its space. */
static void test_durable_space(void **state)
{
    int64_t handles[60];
    char path[128];

    (void)state;
    open_durable();
    for (unsigned i = 0; i < 60; i++)
        handles[i] = put_good(128 * 1024 - 64, i);
    assert_true(stat_now().bytes <= 8 * MB);
    assert_int_equal(put(MB, 99), -ENOSPC);
    snprintf(path, sizeof path, "%s/a-queue.weir", folder);
    assert_in_range(entries(path), 5, 30);
    for (unsigned i = 0; i < 60; i++)
        let_go(handles[i]);
    assert_true(stat_now().bytes <= MB + 8192);
    assert_in_range(entries(path), 1, 2);
    ops->close(store, 1);
    store = NULL;
    assert_int_equal(entries(folder), 0);
}

static void come_and_go(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        let_go(put_good(1000, i));
}

/* The segment that is kept empty is in nobody's way: not in that of one block
 * as long as a new queue takes, nor in that of two that have room. */
static void test_durable_room(void **state)
{
    weir_store_stat fresh, used;
    int64_t first;

    (void)state;
    if (open_with(MB, WEIR_STORE_DURABLE) < 0)
        fail_msg("%s", text);
    fresh = stat_now();
    come_and_go(50);
    used = stat_now();
    assert_int_equal(used.room, fresh.room);
    assert_true(used.each > fresh.each);
    first = put_good(1000, 1);
    let_go(put_good(used.room - used.each - 1000, 2));
    let_go(first);
    come_and_go(50);
    assert_int_equal(stat_now().room, fresh.room);
    let_go(put_good(fresh.room, 3));
    assert_int_equal(stat_now().room, fresh.room);
}

/* A sync that fails is not tried as if nothing had been. */
static void test_sync_fails(void **state)
{
    static const char *const calls[] = {"fdatasync", "fsync"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_durable();
        (void)put_good(100, 1);
        fault.call = calls[i];
        fault.code = EIO;
        fault.times = 1;
        assert_int_equal(ops->sync(store, &error), -EIO);
        assert_int_equal(ops->sync(store, &error), -EIO);
        assert_int_equal(put(100, 2), -EIO);
        assert_int_equal(stat_now().failed, EIO);
        ops->close(store, 0);
    }
    store = NULL;
}

/* Want of memory in the middle of a write is no fault of the disk. */
static void test_passing(void **state)
{
    static const int codes[] = {ENOMEM, EMFILE, ENOSPC, EDQUOT};

    (void)state;
    for (uint32_t mode = WEIR_STORE_SPILL; mode <= WEIR_STORE_DURABLE; mode++) {
        assert_int_equal(open_with(MB, mode), 0);
        for (int i = 0; i < 4; i++) {
            fault.call = "pwrite";
            fault.code = codes[i];
            fault.times = 1;
            fault.after = 1;
            assert_int_equal(put(1000, 1),
                             codes[i] == EDQUOT ? -ENOSPC : -codes[i]);
            assert_int_equal(stat_now().failed, 0);
            expect(put_good(1000, 2), 1000, 2);
        }
        ops->close(store, 0);
    }
    store = NULL;
}

/* ---- the suite for all stores ---- */

static void report(void *arg, const char *name, enum weir_check_result result,
                   const char *detail)
{
    int *cases = arg;

    ++*cases;
    if (result != WEIR_CHECK_PASSED)
        print_error("%s: %s\n", name, detail);
}

static struct weir_check_store suite(int *cases)
{
    bool full = getenv("WEIR_TEST_FULL") != NULL;

    *cases = 0;
    return (struct weir_check_store){
        .ops = ops, .report = report, .arg = cases, .kills = full ? 200 : 20};
}

static void test_suite(void **state)
{
    int cases;
    struct weir_check_store check = suite(&cases);

    (void)state;
    assert_int_equal(weir_check_store(&check), 0);
    assert_int_equal(cases, 36);
}

/* Writes end half way. */
static void kill_at(long n)
{
    end.at = n;
    end.lose = false;
}

/* What was not synced is gone. */
static void lose_at(long n)
{
    end.at = n;
    end.lose = true;
    end.n_lasting = end.n_names = 0;
}

/* Only the mode that has something to lose. */
static weir_store_ops durable_ops(void)
{
    weir_store_ops durable = *ops;

    durable.modes = 1u << WEIR_STORE_DURABLE;
    return durable;
}

static void test_suite_torn(void **state)
{
    int cases;
    struct weir_check_store check = suite(&cases);
    weir_store_ops durable = durable_ops();

    (void)state;
    check.ops = &durable;
    check.kill_at = kill_at;
    check.kills = 1;
    assert_int_equal(weir_check_store(&check), 0);
    assert_true(check.torn > 0);
}

static void test_suite_power(void **state)
{
    int cases;
    struct weir_check_store check = suite(&cases);
    weir_store_ops durable = durable_ops();

    (void)state;
    check.ops = &durable;
    check.kill_at = lose_at;
    check.kills = 1;
    assert_int_equal(weir_check_store(&check), 0);
}

static void count_only(void *arg, const char *name,
                       enum weir_check_result result, const char *detail)
{
    int *cases = arg;

    (void)name;
    (void)detail;
    *cases += result == WEIR_CHECK_FAILED;
}

/* It keeps a block, and gives another one. */
static ssize_t read_wrong(void *self, int64_t handle, void *to, size_t room,
                          weir_error *out)
{
    ssize_t n = ops->read(self, handle, to, room, out);

    if (n > 0)
        ((unsigned char *)to)[n - 1] ^= 1;
    return n;
}

/* A suite that cannot fail tells nothing. */
static void test_suite_fails(void **state)
{
    weir_store_ops bad = *ops;
    int failed = 0;
    struct weir_check_store check = {
        .ops = &bad, .report = count_only, .arg = &failed};

    (void)state;
    bad.read = read_wrong;
    assert_true(weir_check_store(&check) > 16);
    assert_true(failed > 16);
}

static int no_sync(void *self, weir_error *out)
{
    (void)self;
    (void)out;
    return 0;
}

/* Nor is a store believed that says it has synced. */
static void test_suite_finds_lies(void **state)
{
    weir_store_ops bad = *ops;
    int failed = 0;
    struct weir_check_store check = {
        .ops = &bad, .report = count_only, .arg = &failed, .kill_at = lose_at};

    (void)state;
    bad.sync = no_sync;
    assert_true(weir_check_store(&check) > 0);
    assert_true(failed > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_blocks),
        CASE(test_handles),
        CASE(test_in_part),
        CASE(test_space_comes_back),
        CASE(test_budget),
        CASE(test_interrupted_and_short),
        CASE(test_disk_full),
#ifdef HAVE_FALLOCATE
        CASE(test_smaller_segments),
#endif
#ifdef HAVE_SYNC_FILE_RANGE
        CASE(test_pushed),
        CASE(test_pushed_slowly),
        CASE(test_not_pushed),
#endif
        CASE(test_poison),
        CASE(test_unlinked),
        CASE(test_no_leak),
        CASE(test_shortages),
        CASE(test_folders),
        CASE(test_torn_tail),
        CASE(test_damage),
        CASE(test_damaged_first),
        CASE(test_damaged_end),
        CASE(test_damaged_end_head),
        CASE(test_damaged_end_alone),
        CASE(test_unreadable),
        CASE(test_torn_mark),
        CASE(test_foreign),
        CASE(test_durable_space),
        CASE(test_durable_room),
        CASE(test_sync_fails),
        CASE(test_sync_for_another),
        CASE(test_passing),
        CASE(test_suite),
        CASE(test_suite_torn),
        CASE(test_suite_power),
        CASE(test_suite_fails),
        CASE(test_suite_finds_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
