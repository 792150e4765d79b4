/* test_ipc.c - paths, abstract names, wildcards, and who owns a path. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakehost.h"

extern const weir_plugin transport_ipc_LTX_weir_plugin_v1;
#define PLUGIN (&transport_ipc_LTX_weir_plugin_v1)

static weir_reactor reactor;
static char folder[64]; /* of this test, empty at its end */

static int set_up(void **state)
{
    (void)state;
    fake_reactor_init(&reactor);
    snprintf(folder, sizeof folder, "/tmp/test_ipc.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* A folder that is not empty has litter in it. */
static int tear_down(void **state)
{
    (void)state;
    fake_reactor_fini(&reactor);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char text[4][256];
    static unsigned turn;
    char *out = text[turn++ % 4];

    snprintf(out, sizeof text[0], "%s/%s", folder, name);
    return out;
}

static void init(weir_ep *ep)
{
    fake_ep_init(ep, &reactor, PLUGIN);
}

static void serve(weir_ep *ep, const char *address)
{
    init(ep);
    fake_serve(ep, address);
}

static void dial(weir_ep *ep, const char *address)
{
    init(ep);
    fake_connect(ep, address);
}

static void refuses(const char *address, int code, const char *token)
{
    fake_refuses(&reactor, PLUGIN, address, code, token);
}

static void connects(weir_ep *server, const char *address)
{
    weir_ep client;
    int before = server->made;

    dial(&client, address);
    assert_int_equal(client.made, 1);
    assert_true(fake_run(&reactor, &server->made, before + 1));
    assert_string_equal(client.remote, address);
    assert_string_equal(server->local, server->actual);
    fake_close(&client);
}

static bool exists(const char *path)
{
    struct stat seen;

    return lstat(path, &seen) == 0;
}

static void test_path(void **state)
{
    weir_ep server;
    const char *path = in_folder("a");

    (void)state;
    serve(&server, path);
    assert_string_equal(server.actual, path);
    connects(&server, path);
    connects(&server, path);
    fake_close(&server);
    assert_false(exists(path));
}

/* The path of a file that was bound relative to a folder is removed from
 * there, wherever the process is then. */
static void test_relative(void **state)
{
    weir_ep server;
    char before[1024];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    serve(&server, "name");
    assert_string_equal(server.actual, "name");
    connects(&server, "name");
    connects(&server, "./name");
    assert_int_equal(chdir(before), 0);
    connects(&server, in_folder("name"));
    fake_close(&server);
    assert_false(exists(in_folder("name")));
}

static void test_credentials(void **state)
{
    weir_ep server, client;

    (void)state;
    serve(&server, in_folder("a"));
    dial(&client, server.actual);
    assert_true(fake_run(&reactor, &server.made, 1));
    assert_int_equal(atol(server.uid), getuid());
    assert_int_equal(atol(server.gid), getgid());
    assert_string_not_equal(server.uid, "");
    assert_int_equal(atol(client.uid), getuid());
#ifdef __linux__
    assert_int_equal(atol(server.pid), getpid());
    assert_int_equal(atol(client.pid), getpid());
#endif
    assert_non_null(strstr(server.remote, server.uid));
    fake_close(&client);
    fake_close(&server);
}

static void test_retry(void **state)
{
    weir_ep server, client;
    const char *path = in_folder("a");

    (void)state;
    dial(&client, path);
    assert_int_equal(client.failed, 1);
    assert_int_equal(client.code, ENOENT);
    assert_int_equal(client.permanent, 0);
    assert_non_null(strstr(client.reason, path));
    fake_cancel(&client);
    serve(&server, path);
    fake_retry(&client);
    assert_int_equal(client.made, 1);
    fake_close(&client);
    fake_close(&server);
}

static int send_buffer(int fd)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &size), 0);
    return value;
}

/* A connection whose two ends ask for so much; -1: as they come. */
static void connect_with(int size, int *server_has, int *client_has)
{
    const char *path = in_folder("b");
    weir_ep server, client;

    init(&server);
    init(&client);
    if (size >= 0) {
        fake_set(&server, "send-buffer", size);
        fake_set(&client, "send-buffer", size);
    }
    fake_serve(&server, path);
    fake_connect(&client, path);
    assert_true(fake_run(&reactor, &server.made, 1));
    *server_has = send_buffer(server.fd);
    *client_has = send_buffer(client.fd);
    fake_close(&client);
    fake_close(&server);
}

/* How much the system gives for what is asked for is its own affair, but more
 * is not less, and 0 asks for nothing. */
static void test_send_buffer(void **state)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), plain = send_buffer(fd);
    int server, client;

    (void)state;
    (void)close(fd);
    connect_with(0, &server, &client);
    assert_int_equal(server, plain);
    assert_int_equal(client, plain);
    connect_with(20000, &server, &client);
    assert_in_range(server, 20000, 40000);
    assert_in_range(client, 20000, 40000);
    connect_with(-1, &server, &client);
    assert_true(server >= plain && client >= plain);
}

static void test_backlog(void **state)
{
    weir_ep server, clients[4];

    (void)state;
    init(&server);
    fake_set(&server, "backlog", 1);
    assert_int_equal(fake_bind(&server, in_folder("a")), 0);
    for (int i = 0; i < 4; i++) {
        dial(&clients[i], server.actual);
    }
    assert_int_equal(clients[0].made, 1);
    assert_int_equal(clients[3].failed, 1);
    assert_non_null(strstr(clients[3].reason, "too many"));
    assert_int_equal(fake_attach(&server), 0);
    assert_true(fake_run(&reactor, &server.made, 2));
    fake_retry(&clients[3]);
    assert_int_equal(clients[3].made, 1);
    for (int i = 0; i < 4; i++)
        fake_close(&clients[i]);
    fake_close(&server);
}

static void test_lengths(void **state)
{
    char path[256];
    size_t used = strlen(folder);
    weir_ep server, client;

    (void)state;
    memset(path, 'p', sizeof path);
    memcpy(path, folder, used);
    path[used] = '/';
    path[108] = '\0';
    refuses(path, ENAMETOOLONG, "108");
    init(&client);
    assert_int_equal(fake_dial(&client, path), -ENAMETOOLONG);
    path[107] = '\0';
    serve(&server, path);
    connects(&server, path);
    fake_close(&server);
    refuses("", EINVAL, "empty");
    init(&client);
    assert_int_equal(fake_dial(&client, ""), -EINVAL);
}

static void test_missing_folder(void **state)
{
    (void)state;
    refuses(in_folder("nosuch/a"), ENOENT, strerror(ENOENT));
}

#ifdef __linux__
static void test_abstract(void **state)
{
    weir_ep server, client;
    char name[128], long_name[128];
    struct sockaddr_un un;
    socklen_t size = sizeof un;

    (void)state;
    snprintf(name, sizeof name, "@%s/x", folder);
    serve(&server, name);
    assert_string_equal(server.actual, name);
    assert_int_equal(
        getsockname(server.listeners[0], (struct sockaddr *)&un, &size), 0);
    assert_int_equal(size,
                     offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(un.sun_path[0], 0);
    assert_memory_equal(un.sun_path + 1, name + 1, strlen(name) - 1);
    connects(&server, name);
    refuses(name, EADDRINUSE, name);
    fake_close(&server);
    refuses("@", EINVAL, "empty");
    init(&client);
    assert_int_equal(fake_dial(&client, "@"), -EINVAL);

    memset(long_name, 'n', sizeof long_name);
    memcpy(long_name, name, strlen(name));
    long_name[109] = '\0';
    refuses(long_name, ENAMETOOLONG, "109");
    long_name[108] = '\0';
    serve(&server, long_name);
    connects(&server, long_name);
    fake_close(&server);
}

static void test_abstract_has_no_mode(void **state)
{
    weir_ep server;

    (void)state;
    init(&server);
    fake_set_text(&server, "mode", "0600");
    assert_int_equal(fake_bind(&server, "@weir/test"), -EINVAL);
    assert_non_null(strstr(server.error_text, "option mode"));
    init(&server);
    fake_set_text(&server, "group", "0");
    assert_int_equal(fake_bind(&server, "@weir/test"), -EINVAL);
    assert_non_null(strstr(server.error_text, "option group"));
}
#endif

static void check_wildcard(const char *parent)
{
    weir_ep server, other, client;
    char path[512];
    struct stat seen;

    serve(&server, "*");
    serve(&other, "*");
    assert_string_not_equal(server.actual, other.actual);
    assert_memory_equal(server.actual, parent, strlen(parent));
    snprintf(path, sizeof path, "%s", server.actual);
    assert_string_equal(strrchr(path, '/'), "/socket");
    connects(&server, path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(lstat(path, &seen), 0);
    assert_true(S_ISDIR(seen.st_mode));
    assert_int_equal(seen.st_mode & 07777, 0700);
    fake_close(&server);
    fake_close(&other);
    assert_false(exists(path));
    init(&client);
    assert_int_equal(fake_dial(&client, "*"), -EINVAL);
}

static void test_wildcard(void **state)
{
    char too_long[128];

    (void)state;
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    check_wildcard(folder);
    assert_int_equal(setenv("TMPDIR", "/nosuch", 1), 0);
    assert_int_equal(setenv("TMP", folder, 1), 0);
    check_wildcard(folder);
    memset(too_long, '/', sizeof too_long);
    too_long[100] = '\0';
    assert_int_equal(setenv("TMPDIR", too_long, 1), 0);
    assert_int_equal(setenv("TMP", "", 1), 0);
    check_wildcard("/tmp/");
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(unsetenv("TMP"), 0);
    check_wildcard("/tmp/");
}

static mode_t mode_of(const char *path)
{
    struct stat seen;

    assert_int_equal(lstat(path, &seen), 0);
    return seen.st_mode & 07777;
}

static void check_mode(const char *text, mode_t mode)
{
    weir_ep server;
    const char *path = in_folder("m");

    init(&server);
    fake_set_text(&server, "mode", text);
    assert_int_equal(fake_bind(&server, path), 0);
    assert_int_equal(mode_of(path), mode);
    fake_close(&server);
}

static void test_mode(void **state)
{
    mode_t before = umask(077);

    (void)state;
    check_mode("0660", 0660);
    check_mode("600", 0600);
    check_mode("0777", 0777);
    check_mode("", 0700);
    (void)umask(before);
}

static void bad_option(const char *name, const char *text, int code)
{
    weir_ep server;
    char token[128];

    init(&server);
    fake_set_text(&server, name, text);
    assert_int_equal(fake_bind(&server, in_folder("m")), -code);
    snprintf(token, sizeof token, "\"%s\"", text);
    assert_non_null(strstr(server.error_text, token));
    assert_non_null(strstr(server.error_text, name));
}

static void test_bad_options(void **state)
{
    (void)state;
    bad_option("mode", "0o66", EINVAL);
    bad_option("mode", "0668", EINVAL);
    bad_option("mode", "1777", EINVAL);
    bad_option("mode", "-1", EINVAL);
    bad_option("mode", "rw", EINVAL);
    bad_option("group", "no-such-group", ENOENT);
}

static void test_group(void **state)
{
    weir_ep server;
    struct stat seen;
    char number[24];
    const struct group *own = getgrgid(getgid());

    (void)state;
    snprintf(number, sizeof number, "%u", (unsigned)getgid());
    init(&server);
    fake_set_text(&server, "group", number);
    assert_int_equal(fake_bind(&server, in_folder("g")), 0);
    fake_close(&server);
    init(&server);
    fake_set_text(&server, "group", own ? own->gr_name : number);
    assert_int_equal(fake_bind(&server, in_folder("g")), 0);
    assert_int_equal(lstat(in_folder("g"), &seen), 0);
    assert_int_equal(seen.st_gid, getgid());
    fake_close(&server);
    if (getuid() != 0)
        return;
    init(&server);
    fake_set_text(&server, "group", "4242");
    assert_int_equal(fake_bind(&server, in_folder("g")), 0);
    assert_int_equal(lstat(in_folder("g"), &seen), 0);
    assert_int_equal(seen.st_gid, 4242);
    fake_close(&server);
}

/* A bind that fails late leaves nothing behind. */
static void test_failed_group(void **state)
{
    weir_ep server;

    (void)state;
    init(&server);
    fake_set_text(&server, "group", "999999999");
    if (getuid() != 0) {
        assert_int_equal(fake_bind(&server, in_folder("g")), -EPERM);
        assert_non_null(strstr(server.error_text, "option group"));
    } else {
        assert_int_equal(fake_bind(&server, in_folder("g")), 0);
        fake_close(&server);
    }
    assert_false(exists(in_folder("g")));
}

/* --------------------------------------------------- who owns a path -- */

/* What a process that was killed leaves. */
static void leave_socket(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    (void)close(fd);
}

static void test_dead(void **state)
{
    weir_ep server;
    const char *path = in_folder("s");

    (void)state;
    leave_socket(path);
    serve(&server, path);
    connects(&server, path);
    fake_close(&server);
    assert_false(exists(path));
}

static void test_live(void **state)
{
    weir_ep server;
    const char *path = in_folder("s");

    (void)state;
    serve(&server, path);
    refuses(path, EADDRINUSE, "in use");
    refuses(path, EADDRINUSE, "in use");
    connects(&server, path);
    fake_close(&server);
}

/* A socket of another type is somebody's as well. */
static void test_datagram(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const char *path = in_folder("s");

    (void)state;
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    refuses(path, EADDRINUSE, "in use");
    assert_true(exists(path));
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

static void test_other_kinds(void **state)
{
    const char *path = in_folder("f"), *link = in_folder("l");
    char back[8] = "";
    int fd = open(path, O_CREAT | O_RDWR, 0600);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "data", 4), 4);
    refuses(path, EEXIST, "not a socket");
    assert_int_equal(pread(fd, back, 4, 0), 4);
    assert_string_equal(back, "data");
    assert_true(exists(path));
    assert_int_equal(symlink(path, link), 0);
    refuses(link, EEXIST, "not a socket");
    assert_true(exists(link));
    (void)close(fd);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refuses(path, EEXIST, "not a socket");
    assert_int_equal(rmdir(path), 0);
}

/* Some programs take a path away from whoever has it.  Then it is theirs. */
static void test_not_ours_at_close(void **state)
{
    weir_ep server;
    const char *path = in_folder("s");

    (void)state;
    serve(&server, path);
    assert_int_equal(unlink(path), 0);
    leave_socket(path);
    fake_close(&server);
    assert_true(exists(path));
    assert_int_equal(unlink(path), 0);
}

/* A folder that somebody keeps locked costs a while, not a bind. */
static void test_locked_folder(void **state)
{
    weir_ep server;
    int fd = open(folder, O_RDONLY);

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    serve(&server, in_folder("s"));
    fake_close(&server);
    leave_socket(in_folder("s"));
    refuses(in_folder("s"), EBUSY, "cannot be locked");
    assert_true(exists(in_folder("s")));
    (void)close(fd);
    serve(&server, in_folder("s"));
    fake_close(&server);
}

enum { RACERS = 6, ROUNDS = 40 };

/* Wait for the start, bind, tell, and hold the path until the end. */
static void race(const char *path, int start, int tell, int end)
{
    weir_ep server;
    char octet;

    (void)alarm(60);
    init(&server);
    if (read(start, &octet, 1) != 0)
        _exit(2);
    octet = fake_bind(&server, path) == 0 ? 'w' : 'l';
    if (octet == 'l' && server.error.code != EADDRINUSE)
        octet = 'x';
    if (write(tell, &octet, 1) != 1 || read(end, &octet, 1) != 0)
        _exit(3);
    _exit(0);
}

/* Processes that find one dead socket at once: one of them gets the path, and
 * whoever connects there gets to it. */
static void race_once(const char *path)
{
    int start[2], tell[2], end[2], winners = 0;
    weir_ep client;

    leave_socket(path);
    assert_int_equal(pipe(start) | pipe(tell) | pipe(end), 0);
    for (int i = 0; i < RACERS; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(start[1]);
            (void)close(end[1]);
            race(path, start[0], tell[1], end[0]);
        }
    }
    (void)close(start[1]);
    for (int i = 0; i < RACERS; i++) {
        char octet;

        assert_int_equal(read(tell[0], &octet, 1), 1);
        assert_int_not_equal(octet, 'x');
        winners += octet == 'w';
    }
    assert_int_equal(winners, 1);
    dial(&client, path);
    assert_int_equal(client.made, 1);
    fake_close(&client);
    (void)close(end[1]);
    for (int i = 0; i < RACERS; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    (void)(close(start[0]) | close(tell[0]) | close(tell[1]) | close(end[0]));
    assert_int_equal(unlink(path), 0);
}

static void test_race(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        race_once(in_folder("s"));
}

static void test_never_attached(void **state)
{
    weir_ep server, client;

    (void)state;
    init(&server);
    assert_int_equal(fake_bind(&server, in_folder("s")), 0);
    init(&client);
    assert_int_equal(fake_dial(&client, in_folder("s")), 0);
    fake_close(&client);
    fake_close(&server);
}

static void test_no_room(void **state)
{
    weir_ep ep;
    char actual[8];

    (void)state;
    init(&ep);
    assert_int_equal(ep.ops->bind(&fake_host, &fake_more, &ep, "ipc",
                                  in_folder("s"), actual, sizeof actual,
                                  &ep.self, &ep.error),
                     -ERANGE);
    assert_null(ep.self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relative, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_credentials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_send_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backlog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_folder, set_up, tear_down),
#ifdef __linux__
        cmocka_unit_test_setup_teardown(test_abstract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abstract_has_no_mode, set_up,
                                        tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_wildcard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_live, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_datagram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_ours_at_close, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_locked_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_attached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
