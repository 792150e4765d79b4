/* test_store_file.c - spill in files without a name: space, faults, folders. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <check/check.h>
#include <weir/store.h>

#include "tests/plugins/storefault.h"

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

ssize_t storefault_pwrite(int fd, const void *data, size_t size, off_t at)
{
    ssize_t n = allowed("pwrite", size);

    return n < 0 ? -1 : pwrite(fd, data, (size_t)n, at);
}

ssize_t storefault_pread(int fd, void *data, size_t size, off_t at)
{
    ssize_t n = allowed("pread", size);

    return n < 0 ? -1 : pread(fd, data, (size_t)n, at);
}

int storefault_no_tmpfile;

int storefault_openat(int fd, const char *path, int flags, mode_t mode)
{
    if (storefault_fails("openat"))
        return -1;
#ifdef O_TMPFILE
    if (storefault_no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
#endif
    return openat(fd, path, flags, mode);
}

/* ---- a host ---- */

static int host_fail(weir_error *out, int code, const char *format, ...)
{
    va_list arguments;

    out->code = code;
    va_start(arguments, format);
    vsnprintf(out->text, out->room, format, arguments);
    va_end(arguments);
    return -code;
}

static const weir_host host = {
    .size = sizeof host, .version = "test", .fail = host_fail};

static int open_with(uint64_t budget, uint32_t mode)
{
    weir_store_args args = {.size = sizeof args,
                            .mode = mode,
                            .budget = budget,
                            .dir = folder,
                            .queue = "a-queue"};

    text[0] = '\0';
    return ops->open(&host, &args, &store, &error);
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
    assert_int_equal(stat_now().bytes, MB / 8);
    memset(&fault, 0, sizeof fault);
    expect(put_good(0, 3), 0, 3);
    assert_int_equal(stat_now().failed, 0);
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
    assert_int_equal(open_with(MB, WEIR_STORE_DURABLE), -EOPNOTSUPP);
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

static void test_suite(void **state)
{
    int cases = 0;
    struct weir_check_store check = {
        .ops = ops, .report = report, .arg = &cases};

    (void)state;
    assert_int_equal(weir_check_store(&check), 0);
    assert_int_equal(cases, 8);
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
    assert_int_equal(weir_check_store(&check), 6);
    assert_int_equal(failed, 6);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_blocks),           CASE(test_handles),
        CASE(test_in_part),          CASE(test_space_comes_back),
        CASE(test_budget),           CASE(test_interrupted_and_short),
        CASE(test_disk_full),
#ifdef HAVE_FALLOCATE
        CASE(test_smaller_segments),
#endif
        CASE(test_poison),           CASE(test_unlinked),
        CASE(test_no_leak),          CASE(test_shortages),
        CASE(test_folders),          CASE(test_suite),
        CASE(test_suite_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
