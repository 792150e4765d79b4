/*
 * test_signals.c - SIGUSR1 a thousand times a second: calls that wait go on
 * with the time that is left, and no thread of the library takes a signal.
 */
#include "config.h"

#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int caught;
static _Atomic bool over;
static pthread_t victim;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&caught, 1);
}

static void *shoot(void *arg)
{
    struct timespec pause = {.tv_nsec = 1000000};

    (void)arg;
    while (!atomic_load(&over)) {
        pthread_kill(victim, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static pthread_t begin_shooting(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t thread;

    sigaction(SIGUSR1, &action, NULL); /* without SA_RESTART */
    victim = pthread_self();
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, shoot, NULL), 0);
    return thread;
}

static void end_shooting(pthread_t thread)
{
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&caught) > 0);
}

static void deadlines_hold(const char *where, int io_threads)
{
    weir_context context = new_context(io_threads);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    weir_poll_item item = {.socket = pull, .events = WEIR_POLL_IN};
    weir_event event = {.size = sizeof(event)};
    char url[SOCKET_URL], data[8];
    size_t size = sizeof(data);
    int64_t start;
    pthread_t thread;

    bind_to(pull, where, url);
    thread = begin_shooting();
    connect_to(push, url);
    wait_peers(push, 1);
    wait_peers(pull, 1);
    start = now_ms();
    assert_int_equal(weir_recv(pull, data, &size, 300), -EAGAIN);
    assert_in_range(now_ms() - start, 299, 5000);
    start = now_ms();
    assert_int_equal(weir_poll(&item, 1, 200), 0);
    assert_in_range(now_ms() - start, 199, 5000);
    start = now_ms();
    assert_int_equal(weir_wait_peers(pull, 2, 200), -EAGAIN);
    assert_in_range(now_ms() - start, 199, 5000);
    while (weir_next_event(pull, &event, 0) >= 0)
        ;
    start = now_ms();
    assert_int_equal(weir_next_event(pull, &event, 200), -EAGAIN);
    assert_in_range(now_ms() - start, 199, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t is = 0;

        assert_int_equal(weir_send(push, &i, sizeof(i), SOON), 0);
        size = sizeof(is);
        assert_int_equal(weir_recv(pull, &is, &size, SOON), 0);
        assert_int_equal(is, i);
    }
    assert_int_equal(weir_close(push, SOON, NULL), 0);
    assert_int_equal(weir_close(pull, SOON, NULL), 0);
    close_context(context);
    end_shooting(thread);
}

static void on_tcp(void **state)
{
    (void)state;
    deadlines_hold("tcp://127.0.0.1:*", 1);
}

static void on_inproc(void **state)
{
    (void)state;
    deadlines_hold("inproc://signals", 1);
}

static void without_io_threads(void **state)
{
    (void)state;
    deadlines_hold("tcp://127.0.0.1:*", 0);
}

/* A line "SigBlk: 0000" of a thread's status. */
static unsigned long long blocked_in(const char *task)
{
    unsigned long long mask = 0;
    char path[64], line[256];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "SigBlk:", 7) == 0)
            sscanf(line + 7, "%llx", &mask);
    if (file)
        fclose(file);
    return mask;
}

static bool blocks_all(const char *task)
{
    unsigned long long mask = blocked_in(task);

    return (mask & 1ull << (SIGUSR1 - 1)) && (mask & 1ull << (SIGTERM - 1)) &&
           (mask & 1ull << (SIGCHLD - 1));
}

/* Of the two threads there are one is ours. */
static void our_threads_block_all(void **state)
{
    DIR *tasks;
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    int found = 0;

    (void)state;
    tasks = opendir("/proc/self/task");
    if (!tasks)
        skip();
    for (struct dirent *one; (one = readdir(tasks)) != NULL;)
        found += one->d_name[0] != '.' && blocks_all(one->d_name);
    closedir(tasks);
    assert_true(found >= 1);
    close_socket(pull);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_tcp),
        cmocka_unit_test(on_inproc),
        cmocka_unit_test(without_io_threads),
        cmocka_unit_test(our_threads_block_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
