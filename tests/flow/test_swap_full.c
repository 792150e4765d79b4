/*
 * A swap on a disk that really fills up: store_file on a small file system in
 * memory, which is mounted where no other process sees it.  The policy at the
 * mark holds, the event names the folder, nothing is lost uncounted, and it
 * goes on when there is space.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <stdbool.h>
#include <stdio.h>

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

enum { MARK = 1000, SIZE = 1000 };

static char dir[TRIAL_DIR];  /* where the file system is */
static uint64_t disk_octets; /* its size */

struct stage {
    weir_context context;
    weir_socket sender, receiver;
};

/* ---- a disk of one's own ---- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

    if (fd >= 0)
        close(fd);
    return good;
}

/* Who is not root may mount in a user namespace of his own, where he is who he
 * is. */
static bool enter_as_user(void)
{
    char users[64], groups[64];

    snprintf(users, sizeof users, "%u %u 1", (unsigned)geteuid(),
             (unsigned)geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", (unsigned)getegid(),
             (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", users) &&
           write_file("/proc/self/gid_map", groups);
}

/* Nothing that is mounted from now on is seen outside, and all of it goes with
 * the process. */
static bool enter_namespace(void)
{
    return (unshare(CLONE_NEWNS) == 0 || enter_as_user()) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* What the filler leaves is less, and all of it more, than the 32 MB that may
 * wait for a disk in memory. */
static bool mount_disk(void)
{
    char options[64];

    disk_octets = (trial_is_full() ? 100 : 64) * MB;
    snprintf(options, sizeof options, "mode=0700,size=%llu",
             (unsigned long long)disk_octets);
    return mount("swap", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

static uint64_t disk_free(void)
{
    struct statvfs disk;

    assert_int_equal(statvfs(dir, &disk), 0);
    return (uint64_t)disk.f_bfree * disk.f_frsize;
}

/* Stores give back what they have, by themselves. */
static void await_disk_free(uint64_t octets)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (disk_free() != octets) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

/* A file of somebody else's takes most of the space. */
static void fill_disk(char path[TRIAL_PATH])
{
    int fd;

    trial_name(dir, "filler", path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(disk_octets / 4 * 3)), 0);
    assert_int_equal(close(fd), 0);
}

/* ---- two sockets, of which one has a swap there ---- */

static void set_swap(weir_socket socket, const char *mark, const char *swap)
{
    flow_ok(weir_set_int(socket, mark, MARK));
    flow_ok(weir_set(socket, "swap-dir", dir));
    flow_ok(weir_set_int(socket, swap, (int64_t)(4096 * MB)));
}

static void set_up(struct stage *stage, int sends, int receives, bool at_sender,
                   const char *policy)
{
    stage->context = flow_context(1);
    stage->sender = flow_open(stage->context, sends);
    stage->receiver = flow_open(stage->context, receives);
    if (policy)
        flow_ok(weir_set(stage->sender, "send-policy", policy));
    if (at_sender) {
        set_swap(stage->sender, "send-mark", "send-swap");
        flow_ok(weir_set_int(stage->receiver, "recv-mark", 10));
    } else {
        flow_ok(weir_set_int(stage->sender, "send-mark", 10));
        set_swap(stage->receiver, "recv-mark", "recv-swap");
    }
    if (receives == WEIR_SUB)
        flow_ok(weir_subscribe(stage->receiver, "", 0));
    flow_join(stage->sender, stage->receiver, "tcp");
}

static void tear_down(struct stage *stage)
{
    flow_drop(stage->sender);
    flow_drop(stage->receiver);
    flow_end(stage->context);
}

/* Has the socket told that the disk is full? */
static bool is_told(weir_socket socket)
{
    weir_event event = {.size = sizeof event};

    while (weir_next_event(socket, &event, WEIR_NOWAIT) >= 0) {
        if (event.kind != WEIR_EVENT_SWAP_FAILED)
            continue;
        assert_int_equal(event.code, ENOSPC);
        assert_non_null(strstr(event.reason, dir));
        return true;
    }
    return false;
}

/* Send until that is told and a send waits in vain, as long as its deadline
 * says.  Returns the number that was not sent. */
static uint32_t send_until_full(const struct stage *stage, uint32_t first,
                                weir_socket teller)
{
    int64_t end = flow_now() + FLOW_SOON, before;
    uint32_t number = first;
    bool told = false;
    int r;

    for (;;) {
        before = flow_now();
        assert_true(before < end);
        r = trial_send(stage->sender, number, SIZE, FLOW_NOT);
        number += r >= 0;
        if (r >= 0)
            continue;
        assert_int_equal(r, -EAGAIN);
        assert_true(flow_now() - before >= FLOW_NOT);
        if (told)
            return number;
        told = is_told(teller);
    }
}

static void send_all(const struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        flow_ok(trial_send(stage->sender, i, SIZE, FLOW_SOON));
}

static void receive_all(const struct stage *stage, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        assert_int_equal(trial_receive(stage->receiver), i);
}

static void check_sent(const struct stage *stage, uint32_t end)
{
    weir_stats stats = flow_stats(stage->sender);

    assert_int_equal(stats.accepted, end - 1);
    assert_int_equal(stats.send_dropped[WEIR_DROP_MARK], 0);
    assert_int_equal(stats.send_dropped[WEIR_DROP_STORE], 0);
}

/* ---- the tests ---- */

/* A sender waits, and goes on when the peer reads. */
static void check_reader(int sends, int receives, bool at_sender)
{
    uint64_t before = disk_free();
    struct stage stage;
    uint32_t end, half;

    set_up(&stage, sends, receives, at_sender, NULL);
    end = send_until_full(&stage, 1, at_sender ? stage.sender : stage.receiver);
    assert_true((uint64_t)end * SIZE > disk_octets * 9 / 10);
    half = end / 2;
    receive_all(&stage, 1, half);
    send_all(&stage, end, end + 1000);
    receive_all(&stage, half, end + 1000);
    check_sent(&stage, end + 1000);
    await_disk_free(before);
    tear_down(&stage);
}

static void test_reader(void **state)
{
    (void)state;
    check_reader(WEIR_PUSH, WEIR_PULL, true);
    check_reader(WEIR_DEALER, WEIR_DEALER, true);
    check_reader(WEIR_PUSH, WEIR_PULL, false);
}

/* A sender waits, and goes on when somebody else gives space back. */
static void check_space(bool at_sender)
{
    uint64_t before = disk_free();
    char filler[TRIAL_PATH];
    struct stage stage;
    uint32_t full, end;

    fill_disk(filler);
    set_up(&stage, WEIR_PUSH, WEIR_PULL, at_sender, NULL);
    full =
        send_until_full(&stage, 1, at_sender ? stage.sender : stage.receiver);
    assert_int_equal(unlink(filler), 0);
    end = full + (uint32_t)(disk_octets / 2 / SIZE);
    send_all(&stage, full, end); /* while nobody reads */
    receive_all(&stage, 1, end);
    check_sent(&stage, end);
    await_disk_free(before);
    tear_down(&stage);
}

static void test_space(void **state)
{
    (void)state;
    check_space(true);
    check_space(false);
}

/* What comes to a full disk is dropped and counted; what was in the queue
 * before and after arrives. */
static void check_drops(int sends, int receives, const char *policy)
{
    uint64_t before = disk_free(), dropped = 0;
    struct trial_tally tally = {0};
    uint32_t number = 1, end;
    char filler[TRIAL_PATH];
    struct stage stage;
    bool told = false;

    fill_disk(filler);
    set_up(&stage, sends, receives, true, policy);
    for (; !told || dropped == 0; number += MARK) {
        send_all(&stage, number, number + MARK);
        told = told || is_told(stage.sender);
        dropped = flow_stats(stage.sender).send_dropped[WEIR_DROP_MARK];
    }
    assert_int_equal(unlink(filler), 0);
    flow_event(stage.sender, WEIR_EVENT_SWAP_RESUMED);
    dropped = flow_stats(stage.sender).send_dropped[WEIR_DROP_MARK];
    end = number + MARK;
    send_all(&stage, number, end);
    assert_int_equal(flow_stats(stage.sender).send_dropped[WEIR_DROP_MARK],
                     dropped);
    while (tally.last < end - 1)
        trial_take(stage.receiver, &tally);
    assert_int_equal(flow_stats(stage.sender).accepted, end - 1);
    assert_int_equal(tally.got + dropped, end - 1);
    await_disk_free(before);
    tear_down(&stage);
}

static void test_drops(void **state)
{
    (void)state;
    check_drops(WEIR_PUB, WEIR_SUB, NULL);
    check_drops(WEIR_PUSH, WEIR_PULL, "drop-new");
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_space),
        cmocka_unit_test(test_drops),
    };
    int code;

    if (!trial_find()) {
        puts("not done: there are no shared plugins");
        return 77;
    }
    trial_folder(dir);
    if (!enter_namespace() || !mount_disk()) {
        printf("not done: neither root nor a user may mount here: %s\n",
               strerror(errno));
        (void)rmdir(dir);
        return 77;
    }
    code = cmocka_run_group_tests(tests, NULL, NULL);
    (void)umount2(dir, MNT_DETACH);
    (void)rmdir(dir);
    return code;
}

#else

static int run_all(void)
{
    puts("not done: no file system of one's own can be mounted here");
    return 77;
}

#endif

int main(void)
{
    return run_all();
}
