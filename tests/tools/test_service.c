/*
 * test_service.c - weir device under a service manager, which this test plays:
 * it is told when the device is ready and when it stops, and the device ends
 * when it is asked to, whatever is stuck.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir/weir.h>

#include "tools/notify.h"

enum { SOON = 20000 };

/* A service manager: a folder, a socket in it, and the service. */
struct manager {
    char folder[64], socket_name[96], front[96], back[96], output[96];
    int fd;
    pid_t service;
};

static void listen_at(struct manager *manager, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);

    manager->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(manager->fd >= 0);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(
        bind(manager->fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
        0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void open_manager(struct manager *manager)
{
    *manager = (struct manager){.fd = -1};
    snprintf(manager->folder, sizeof manager->folder, "/tmp/weir-svc-XXXXXX");
    assert_non_null(mkdtemp(manager->folder));
    snprintf(manager->socket_name, sizeof manager->socket_name, "%s/notify",
             manager->folder);
    snprintf(manager->front, sizeof manager->front, "ipc://%s/front",
             manager->folder);
    snprintf(manager->back, sizeof manager->back, "ipc://%s/back",
             manager->folder);
    snprintf(manager->output, sizeof manager->output, "%s/output",
             manager->folder);
}

static void close_manager(struct manager *manager)
{
    if (manager->fd >= 0)
        close(manager->fd);
    unlink(manager->socket_name);
    unlink(manager->output);
    assert_int_equal(rmdir(manager->folder), 0);
    unsetenv("NOTIFY_SOCKET");
}

/* Wait for a datagram, and compare. */
static void hear(struct manager *manager, const char *lines)
{
    struct pollfd item = {.fd = manager->fd, .events = POLLIN};
    char text[256];
    ssize_t size;

    assert_int_equal(poll(&item, 1, SOON), 1);
    size = recv(manager->fd, text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_string_equal(text, lines);
}

static void start(struct manager *manager, const char *shape,
                  const char *deadline)
{
    char program[4096];
    const char *builddir = getenv("top_builddir");

    assert_non_null(builddir);
    snprintf(program, sizeof program, "%s/tools/weir", builddir);
    manager->service = fork();
    assert_true(manager->service >= 0);
    if (manager->service > 0)
        return;
    if (!freopen(manager->output, "w", stdout) ||
        !freopen(manager->output, "a", stderr))
        _exit(126);
    alarm(60);
    execl(program, program, "device", shape, "--front", manager->front,
          "--back", manager->back, "--deadline", deadline, "--stats", "0.02",
          (char *)NULL);
    _exit(127);
}

static int exit_code(struct manager *manager)
{
    int status;

    assert_int_equal(waitpid(manager->service, &status, 0), manager->service);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool has_said(const struct manager *manager, const char *words)
{
    char line[1024];
    FILE *file = fopen(manager->output, "r");
    bool found = false;

    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file))
        found = strstr(line, words) != NULL;
    fclose(file);
    return found;
}

static void check_output(const struct manager *manager, const char *words)
{
    if (!has_said(manager, words))
        fail_msg("weir device has not said '%s'", words);
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void await_output(const struct manager *manager, const char *words)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    int64_t end = now() + SOON;

    while (!has_said(manager, words)) {
        assert_true(now() < end);
        nanosleep(&pause, NULL);
    }
}

/* ---- notices ---- */

static void test_notify(void **state)
{
    struct manager manager;
    char name[64];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(weir_notify("READY=1"), 0);
    open_manager(&manager);
    listen_at(&manager, manager.socket_name);
    assert_int_equal(weir_notify("READY=1\nSTATUS=fine"), 0);
    hear(&manager, "READY=1\nSTATUS=fine");
    close(manager.fd);
    snprintf(name, sizeof name, "@weir-test-%ld", (long)getpid());
    listen_at(&manager, name);
    assert_int_equal(weir_notify("STOPPING=1"), 0);
    hear(&manager, "STOPPING=1");
    close_manager(&manager);
}

static void test_notify_nobody(void **state)
{
    char name[200];

    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nowhere/notify", 1), 0);
    assert_int_equal(weir_notify("READY=1"), -ENOENT);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_int_equal(weir_notify("READY=1"), -EINVAL);
    memset(name, 'x', sizeof name - 1);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(weir_notify("READY=1"), -ENAMETOOLONG);
    unsetenv("NOTIFY_SOCKET");
}

/* ---- the service ---- */

static weir_context context;

static weir_socket join(int type, const char *url)
{
    weir_socket socket;

    assert_true(weir_open(&socket, context, type) >= 0);
    assert_true(weir_connect(socket, url, NULL) >= 0);
    return socket;
}

static void say(weir_socket socket, const char *text)
{
    assert_true(weir_send(socket, text, strlen(text), SOON) >= 0);
}

static void receive(weir_socket socket, const char *text)
{
    char got[64];
    size_t size = sizeof got;

    assert_true(weir_recv(socket, got, &size, SOON) >= 0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(got, text, size);
}

/* Ready, at work, asked to stop, and gone with an account. */
static void serve(int signal_number)
{
    weir_socket req, rep;
    struct manager manager;

    open_manager(&manager);
    listen_at(&manager, manager.socket_name);
    start(&manager, "queue", "10");
    hear(&manager, "READY=1");
    req = join(WEIR_REQ, manager.front);
    rep = join(WEIR_REP, manager.back);
    say(req, "question");
    receive(rep, "question");
    say(rep, "answer");
    receive(req, "answer");
    kill(manager.service, signal_number);
    hear(&manager, "STOPPING=1");
    assert_int_equal(exit_code(&manager), 0);
    check_output(&manager, "front (ROUTER): received 1, sent 1\n");
    check_output(&manager, "back (DEALER): received 1, sent 1\n");
    assert_true(weir_close(req, 0, NULL) >= 0);
    assert_true(weir_close(rep, 0, NULL) >= 0);
    close_manager(&manager);
}

static void test_service(void **state)
{
    (void)state;
    serve(SIGTERM);
    serve(SIGINT);
}

/* Nobody takes what has come: the end comes by the deadline, with the count
 * and another exit code. */
static void test_stuck_service(void **state)
{
    struct manager manager;
    weir_socket push;
    int64_t begin;

    (void)state;
    open_manager(&manager);
    listen_at(&manager, manager.socket_name);
    start(&manager, "streamer", "0.2");
    hear(&manager, "READY=1");
    push = join(WEIR_PUSH, manager.front);
    for (int i = 0; i < 20; i++)
        say(push, "in vain");
    await_output(&manager, "held 20,");
    begin = now();
    kill(manager.service, SIGTERM);
    hear(&manager, "STOPPING=1");
    assert_int_equal(exit_code(&manager), 1);
    assert_in_range(now() - begin, 200, 2200);
    check_output(&manager, "unread 20");
    check_output(&manager, "held when the deadline passed: 20");
    assert_true(weir_close(push, 0, NULL) >= 0);
    close_manager(&manager);
}

static int open_context(void **state)
{
    (void)state;
    return weir_context_open(&context, 1);
}

static int close_context(void **state)
{
    (void)state;
    return weir_context_close(context, SOON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_notify_nobody),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_stuck_service),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
