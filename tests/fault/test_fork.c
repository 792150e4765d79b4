/*
 * test_fork.c - fork with traffic in the parent: the child's calls on what it
 * inherited fail cleanly, closing gives its descriptors back, a context of
 * its own works, and the parent does not notice.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct parent {
    weir_context context;
    weir_socket push, pull;
    weir_endpoint bound;
    _Atomic bool over;
    _Atomic uint64_t sent;
};

static void *send_on(void *arg)
{
    struct parent *parent = arg;

    while (!atomic_load(&parent->over))
        atomic_fetch_add(&parent->sent,
                         weir_send(parent->push, "parent", 6, 10) == 0);
    return NULL;
}

/* In the child nothing may be asserted: it tells by its exit status. */
static int inherited_calls_fail(struct parent *parent)
{
    weir_stats stats = {.size = sizeof(stats)};
    weir_event event = {.size = sizeof(event)};
    weir_socket socket;
    char data[8];
    size_t size = sizeof(data);

    if (weir_send(parent->push, "child", 5, 100) != -WEIR_EFORK)
        return 1;
    if (weir_recv(parent->pull, data, &size, 100) != -WEIR_EFORK)
        return 2;
    if (weir_socket_stats(parent->pull, &stats) != -WEIR_EFORK ||
        weir_next_event(parent->pull, &event, 0) != -WEIR_EFORK)
        return 3;
    if (weir_bind(parent->pull, "inproc://x", NULL) != -WEIR_EFORK)
        return 4;
    if (weir_open_named(&socket, parent->context, "PULL") != -WEIR_EFORK)
        return 5;
    if (weir_endpoint_close(parent->bound, 0, NULL) >= 0)
        return 6;
    return 0;
}

static int own_context_works(const char *where)
{
    weir_context context;
    weir_socket pull, push;
    weir_endpoint bound;
    char url[SOCKET_URL], data[8];
    size_t size = sizeof(data);

    if (weir_context_open(&context, 1) < 0 ||
        weir_open_named(&pull, context, "PULL") < 0 ||
        weir_open_named(&push, context, "PUSH") < 0)
        return 20;
    if (weir_bind(pull, where, &bound) < 0 ||
        weir_endpoint_url(bound, url, sizeof(url)) < 0 ||
        weir_connect(push, url, NULL) < 0)
        return 21;
    if (weir_send(push, "child", 5, SOON) < 0 ||
        weir_recv(pull, data, &size, SOON) < 0 || size != 5)
        return 22;
    if (weir_close(push, SOON, NULL) < 0 || weir_close(pull, 0, NULL) < 0 ||
        weir_context_close(context, SOON) < 0)
        return 23;
    return 0;
}

/* opendir() would allocate: see child(). */
static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int child(struct parent *parent, bool closes, int before)
{
    int r = inherited_calls_fail(parent);
    /* ThreadSanitizer ends a child that starts threads.  The allocator of
     * AddressSanitizer has a lock for each size of memory
     * (SizeClassAllocator64::GetFromAllocator), which is not looked after at
     * a fork: one that another thread of the parent held stays locked in the
     * child, which then sleeps in its first allocation of that size.
     * Without sanitizers the C library sees to its own. */
    bool threads = !sanitized("thread") && !sanitized("address");

    if (r == 0 && threads)
        r = own_context_works("tcp://127.0.0.1:*");
    if (r == 0 && threads)
        r = own_context_works("inproc://child");
    if (r != 0 || !closes)
        return r;
    if (weir_close(parent->push, 0, NULL) < 0 ||
        weir_close(parent->push, 0, NULL) != -EBADF)
        return 30;
    if (weir_context_close(parent->context, 0) < 0)
        return 31;
    return count_open() > before ? 32 : 0;
}

static void await_child(pid_t pid)
{
    int64_t end = now_ms() + 3 * SOON;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() > end) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            fail_msg("the child hangs");
        }
        sleep_ms(1);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with status 0x%x", (unsigned)status);
}

/* All descriptors are closed when another program begins. */
static void check_descriptors(int before)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);

        n += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    assert_true(n <= before);
}

static void forks(const char *where)
{
    struct parent parent;
    char url[SOCKET_URL], data[8];
    int rounds = full() ? 300 : 20, before = count_open();
    uint64_t got = 0;
    pthread_t thread;
    weir_stats stats;

    atomic_init(&parent.over, false);
    atomic_init(&parent.sent, 0);
    parent.context = new_context(1);
    parent.pull = new_socket(parent.context, "PULL");
    parent.push = new_socket(parent.context, "PUSH");
    parent.bound = bind_to(parent.pull, where, url);
    connect_to(parent.push, url);
    wait_peers(parent.push, 1);
    check_descriptors(before);
    pthread_create(&thread, NULL, send_on, &parent);
    for (int i = 0; i < rounds; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(child(&parent, i & 1, before));
        for (int k = 0; k < 200; k++) {
            size_t size = sizeof(data);

            got += weir_recv(parent.pull, data, &size, 10) == 0;
        }
        await_child(pid);
    }
    atomic_store(&parent.over, true);
    pthread_join(thread, NULL);
    for (size_t size = sizeof(data); got < atomic_load(&parent.sent);
         size = sizeof(data), got++)
        assert_int_equal(weir_recv(parent.pull, data, &size, SOON), 0);
    stats = stats_of(parent.push);
    assert_int_equal(stats.connects, 1);
    close_socket(parent.push);
    close_socket(parent.pull);
    close_context(parent.context);
}

/* ---- a parent whose threads are at everything ---- */

enum { BUSY = 6, CLOSED = 6 };

struct busy {
    struct parent parent;
    weir_socket closed[CLOSED];
    _Atomic uint64_t rounds[BUSY];
};

static bool goes_on(struct busy *busy, int who)
{
    atomic_fetch_add(&busy->rounds[who], 1);
    return !atomic_load(&busy->parent.over);
}

/* Sockets, endpoints, handshakes, links and pipes come and go. */
static void *come_and_go(void *arg)
{
    struct busy *busy = arg;

    while (goes_on(busy, 0)) {
        weir_socket pull, push;
        char url[SOCKET_URL], data[8];
        size_t size = sizeof(data);
        weir_endpoint bound;

        if (weir_open_named(&pull, busy->parent.context, "PULL") < 0)
            break;
        if (weir_open_named(&push, busy->parent.context, "PUSH") >= 0 &&
            weir_bind(pull, "tcp://127.0.0.1:*", &bound) >= 0 &&
            weir_endpoint_url(bound, url, sizeof(url)) >= 0 &&
            weir_connect(push, url, NULL) >= 0 &&
            weir_send(push, "x", 1, SOON) >= 0)
            (void)weir_recv(pull, data, &size, SOON);
        weir_close(push, 0, NULL);
        weir_close(pull, 0, NULL);
    }
    return NULL;
}

/* Shells that are free, or another's by now, are looked at. */
static void call_closed(struct busy *busy, int who)
{
    while (goes_on(busy, who))
        for (int i = 0; i < 100 * CLOSED; i++)
            (void)weir_send(busy->closed[i % CLOSED], "late", 4, 0);
}

static void *call_late(void *arg)
{
    call_closed(arg, 1);
    return NULL;
}

static void *call_late_too(void *arg)
{
    call_closed(arg, 5);
    return NULL;
}

static void *open_contexts(void *arg)
{
    struct busy *busy = arg;
    weir_context context;

    while (goes_on(busy, 2) && weir_context_open(&context, 0) >= 0)
        weir_context_close(context, 0);
    return NULL;
}

static int see(void *arg, const weir_plugin_info *info)
{
    (void)arg;
    (void)info;
    return 0;
}

static void *list_plugins(void *arg)
{
    struct busy *busy = arg;

    while (goes_on(busy, 3))
        (void)weir_plugin_scan(false, see, NULL);
    return NULL;
}

static void *name_and_unname(void *arg)
{
    struct busy *busy = arg;
    weir_socket pair;

    if (weir_open_named(&pair, busy->parent.context, "PAIR") < 0)
        return NULL;
    while (goes_on(busy, 4)) {
        weir_endpoint bound;

        if (weir_bind(pair, "inproc://name", &bound) >= 0)
            weir_endpoint_close(bound, 0, NULL);
    }
    weir_close(pair, 0, NULL);
    return NULL;
}

/* Between making a descriptor and knowing of it the parent may have forked,
 * once for each thread that makes some. */
static int child_of_busy(struct busy *busy, int before)
{
    struct parent *parent = &busy->parent;
    int r = child(parent, false, before);

    if (r != 0)
        return r;
    if (weir_close(parent->push, 0, NULL) < 0 ||
        weir_close(parent->pull, 0, NULL) < 0 ||
        weir_context_close(parent->context, 0) < 0)
        return 40;
    return count_open() > before + 8 ? 41 : 0;
}

static void begin_busy(struct busy *busy)
{
    struct parent *parent = &busy->parent;
    char url[SOCKET_URL];

    memset(busy, 0, sizeof(*busy));
    parent->context = new_context(1);
    parent->pull = new_socket(parent->context, "PULL");
    parent->push = new_socket(parent->context, "PUSH");
    parent->bound = bind_to(parent->pull, "tcp://127.0.0.1:*", url);
    connect_to(parent->push, url);
    wait_peers(parent->push, 1);
    for (int i = 0; i < CLOSED; i++)
        busy->closed[i] = new_socket(parent->context, "PUSH");
    for (int i = 0; i < CLOSED; i++)
        close_socket(busy->closed[i]);
}

/* The parent's own connection works as before. */
static void check_parent(struct parent *parent)
{
    char data[8];
    size_t size = sizeof(data);

    assert_int_equal(weir_send(parent->push, "parent", 6, SOON), 0);
    assert_int_equal(weir_recv(parent->pull, data, &size, SOON), 0);
    assert_int_equal(size, 6);
}

static void amid_other_threads(void **state)
{
    static void *(*const runs[BUSY])(void *) = {come_and_go,     call_late,
                                                open_contexts,   list_plugins,
                                                name_and_unname, call_late_too};
    static struct busy busy;
    pthread_t threads[BUSY];
    int rounds = full() ? 500 : 60, before = count_open();

    (void)state;
    begin_busy(&busy);
    for (int i = 0; i < BUSY; i++)
        pthread_create(&threads[i], NULL, runs[i], &busy);
    for (int i = 0; i < rounds; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(child_of_busy(&busy, before));
        check_parent(&busy.parent);
        await_child(pid);
    }
    atomic_store(&busy.parent.over, true);
    for (int i = 0; i < BUSY; i++) {
        pthread_join(threads[i], NULL);
        assert_true(atomic_load(&busy.rounds[i]) > 1);
    }
    assert_int_equal(stats_of(busy.parent.push).connects, 1);
    close_socket(busy.parent.push);
    close_socket(busy.parent.pull);
    close_context(busy.parent.context);
}

/* ---- a device in the parent ---- */

static int child_of_device(weir_device device, struct parent *parent,
                           int before)
{
    weir_device_counts counts = {.size = sizeof(counts)};
    const weir_socket none = {0, 0};
    weir_device other;

    if (weir_device_run(device, 0) != -WEIR_EFORK ||
        weir_device_pause(device) != -WEIR_EFORK ||
        weir_device_resume(device) != -WEIR_EFORK ||
        weir_device_stats(device, &counts) != -WEIR_EFORK)
        return 50;
    if (weir_device_start(&other, parent->pull, parent->push, none, 1) !=
        -WEIR_EFORK)
        return 51;
    if (weir_device_stop(device, SOON, NULL) != 0 ||
        weir_device_stop(device, SOON, NULL) != -EBADF)
        return 52;
    if (weir_close(parent->push, 0, NULL) < 0 ||
        weir_close(parent->pull, 0, NULL) < 0 ||
        weir_context_close(parent->context, 0) < 0)
        return 53;
    return count_open() > before ? 54 : 0;
}

static void device(void **state)
{
    int before = count_open(), rounds = full() ? 200 : 20;
    weir_socket source, sink, none = {0, 0};
    char url[SOCKET_URL], data[8];
    struct parent parent;
    weir_device device;

    (void)state;
    parent.context = new_context(1);
    parent.pull = new_socket(parent.context, "PULL");
    parent.push = new_socket(parent.context, "PUSH");
    source = new_socket(parent.context, "PUSH");
    sink = new_socket(parent.context, "PULL");
    bind_to(parent.pull, "tcp://127.0.0.1:*", url);
    connect_to(source, url);
    bind_to(parent.push, "ipc://*", url);
    connect_to(sink, url);
    assert_int_equal(
        weir_device_start(&device, parent.pull, parent.push, none, 1), 0);
    wait_peers(parent.pull, 1);
    wait_peers(parent.push, 1);
    wait_peers(source, 1);
    wait_peers(sink, 1);
    check_descriptors(before);
    for (int i = 0; i < rounds; i++) {
        size_t size = sizeof(data);
        pid_t pid = fork();

        if (pid == 0) {
            weir_close(source, 0, NULL);
            weir_close(sink, 0, NULL);
            _exit(child_of_device(device, &parent, before));
        }
        assert_int_equal(weir_send(source, "parent", 6, SOON), 0);
        assert_int_equal(weir_recv(sink, data, &size, SOON), 0);
        await_child(pid);
    }
    assert_int_equal(weir_device_stop(device, SOON, NULL), 0);
    close_socket(source);
    close_socket(sink);
    close_socket(parent.push);
    close_socket(parent.pull);
    close_context(parent.context);
}

static void over_tcp(void **state)
{
    (void)state;
    forks("tcp://127.0.0.1:*");
}

static void over_ipc(void **state)
{
    (void)state;
    forks("ipc://*");
}

static void over_inproc(void **state)
{
    (void)state;
    forks("inproc://parent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_tcp),    cmocka_unit_test(over_ipc),
        cmocka_unit_test(over_inproc), cmocka_unit_test(amid_other_threads),
        cmocka_unit_test(device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
