/*
 * test_faults.c - each system call of the plugins, and each call of the host
 * that may fail, is made to fail in turn.
 *
 * Whatever fails, there is an error with a sentence, nothing leaks, and the
 * next attempt succeeds.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakehost.h"
#include "tests/net/alone.h"

extern const weir_plugin transport_inproc_LTX_weir_plugin_v1;
extern const weir_plugin transport_ipc_LTX_weir_plugin_v1;
extern const weir_plugin transport_tcp_LTX_weir_plugin_v1;
extern const weir_plugin transport_pgm_LTX_weir_plugin_v1;

static weir_reactor reactor;
static char folder[64], path[128];

/* The calls until the fault, from -1 on there is none; calls so far; and does
 * all fail from there on? */
static _Atomic int fault_at, calls;
static _Atomic bool fired, lasting;

int faulty(int code);

int faulty(int code)
{
    int call = calls++;

    if (fault_at < 0 || call < fault_at || (call > fault_at && !lasting))
        return 0;
    fired = true;
    errno = code;
    return 1;
}

static void no_more_faults(void)
{
    fault_at = -1;
}

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Run a scenario with a fault at each of its calls. */
static void with_faults(void (*scenario)(void), bool for_long)
{
    int n = 0;

    fake_fault = faulty;
    do {
        int before = count_descriptors();

        fake_reactor_init(&reactor);
        fired = false;
        lasting = for_long;
        calls = 0;
        fault_at = n++;
        scenario();
        no_more_faults();
        fake_reactor_fini(&reactor);
        assert_int_equal(count_descriptors(), before);
    } while (fired);
    fake_fault = NULL;
    assert_true(n > 3);
}

static void in_turn(void (*scenario)(void))
{
    with_faults(scenario, false);
    with_faults(scenario, true);
}

/* Fails only for a reason, which it tells. */
static bool fine(const weir_ep *ep, int rc)
{
    if (rc == 0)
        return true;
    assert_true(fired);
    assert_int_equal(rc, -ep->error.code);
    assert_true(strlen(ep->error_text) > 10);
    return false;
}

static bool served(weir_ep *server, const char *address)
{
    if (fine(server, fake_bind(server, address)) &&
        fine(server, fake_attach(server)))
        return true;
    fake_close(server);
    return false;
}

/* Attempts come to an end, and without faults to a good one. */
static void reach(weir_ep *client)
{
    for (int i = 0; client->made == 0; i++) {
        assert_true(i < 5);
        if (i > 0) {
            no_more_faults();
            fake_retry(client);
        }
        while (client->trying)
            fake_run_for(&reactor, 1);
    }
}

static void meet(weir_ep *client, const char *address)
{
    if (!fine(client, fake_dial(client, address)))
        return;
    assert_int_equal(fake_attach(client), 0);
    reach(client);
    fake_close(client);
}

/* ---------------------------------------------------------------- tcp -- */

static void tcp_pair(const char *where, const char *prefix)
{
    weir_ep server, client;
    char address[600];

    fake_ep_init(&server, &reactor, &transport_tcp_LTX_weir_plugin_v1);
    fake_ep_init(&client, &reactor, &transport_tcp_LTX_weir_plugin_v1);
    if (!served(&server, where))
        return;
    snprintf(address, sizeof address, "%s%s", prefix,
             strrchr(server.actual, ':'));
    meet(&client, address);
    fake_close(&server);
}

static void tcp_numbers(void)
{
    tcp_pair("127.0.0.1:0", "127.0.0.2:0;127.0.0.1");
}

/* A system without /etc/hosts may know no names at all. */
static const char *name_of_loopback(void)
{
    static const char *name;
    struct addrinfo *list;

    if (name)
        return name;
    name = "localhost";
    if (getaddrinfo(name, NULL, NULL, &list) == 0) {
        freeaddrinfo(list);
        return name;
    }
    print_message("nobody here knows localhost: a number stands for it\n");
    name = "127.0.0.1";
    return name;
}

static void tcp_names(void)
{
    char there[64];

    snprintf(there, sizeof there, "lo:*;%s", name_of_loopback());
    tcp_pair("lo:*", there);
}

static void tcp_wildcard(void)
{
    tcp_pair("*:*", name_of_loopback());
}

static void test_tcp(void **state)
{
    (void)state;
    in_turn(tcp_numbers);
    in_turn(tcp_names);
    in_turn(tcp_wildcard);
}

/* ---------------------------------------------------------------- ipc -- */

static void ipc_pair(const char *where, bool options)
{
    weir_ep server, client;
    char number[24];

    fake_ep_init(&server, &reactor, &transport_ipc_LTX_weir_plugin_v1);
    fake_ep_init(&client, &reactor, &transport_ipc_LTX_weir_plugin_v1);
    snprintf(number, sizeof number, "%u", (unsigned)getgid());
    if (options) {
        fake_set_text(&server, "mode", "0600");
        fake_set_text(&server, "group", number);
    }
    if (!served(&server, where))
        return;
    meet(&client, server.actual);
    fake_close(&server);
}

/* A file stays when the call that removes it fails. */
static void ipc_new(void)
{
    ipc_pair(path, true);
    (void)unlink(path);
}

static void ipc_left_over(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(un.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    (void)close(fd);
    ipc_pair(path, false);
    (void)unlink(path);
}

static void ipc_relative(void)
{
    ipc_pair("name", false);
    (void)unlink("name");
}

static void ipc_wildcard(void)
{
    char command[128];

    ipc_pair("*", false);
    snprintf(command, sizeof command, "rm -rf %s/weir*", folder);
    if (fired)
        assert_int_equal(system(command), 0);
}

static void test_ipc(void **state)
{
    char before[1024];

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_faults.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    in_turn(ipc_new);
    in_turn(ipc_left_over);
    in_turn(ipc_relative);
    in_turn(ipc_wildcard);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* ------------------------------------------------------------- inproc -- */

static void inproc_bind_first(void)
{
    weir_ep server, client;

    fake_ep_init(&server, &reactor, &transport_inproc_LTX_weir_plugin_v1);
    fake_ep_init(&client, &reactor, &transport_inproc_LTX_weir_plugin_v1);
    if (!served(&server, "a"))
        return;
    if (fine(&client, fake_dial(&client, "a")) &&
        fine(&client, fake_attach(&client)))
        assert_ptr_equal(client.partner, &server);
    fake_close(&client);
    fake_close(&server);
}

static void inproc_connect_first(void)
{
    weir_ep server, client;

    fake_ep_init(&server, &reactor, &transport_inproc_LTX_weir_plugin_v1);
    fake_ep_init(&client, &reactor, &transport_inproc_LTX_weir_plugin_v1);
    if (!fine(&client, fake_dial(&client, "a")))
        return;
    assert_int_equal(fake_attach(&client), 0);
    if (served(&server, "a")) {
        no_more_faults();
        if (client.failed)
            fake_retry(&client);
        assert_ptr_equal(client.partner, &server);
        fake_close(&server);
    }
    fake_close(&client);
}

static void test_inproc(void **state)
{
    (void)state;
    in_turn(inproc_bind_first);
    in_turn(inproc_connect_first);
}

/* ---------------------------------------------------------------- pgm -- */

#ifdef WITH_PGM

enum { PGM_MESSAGES = 20, PGM_SIZE = 5000 };

/* A link, in as many attempts as it takes. */
static void pgm_up(weir_ep *ep)
{
    if (ep->link.down)
        fake_end_link(ep);
    for (int i = 0; !ep->link.ops; i++) {
        assert_true(i < 5);
        no_more_faults();
        fake_retry(ep);
    }
}

/* What is sent while calls fail may be lost; what is sent after that is not,
 * and comes as it was. */
static void pgm_talk(weir_ep *pub, weir_ep *sub)
{
    static const uint8_t octets[PGM_SIZE] = {1, 2, 3};

    fake_expect(sub, octets, sizeof octets);
    fake_queue(pub, octets, sizeof octets, PGM_MESSAGES);
    fake_run_for(&reactor, 30);
    no_more_faults();
    pgm_up(sub);
    pgm_up(pub);
    pub->link.queued = sub->link.right = 0;
    fake_end_link(pub); /* what it had of the queue is forgotten */
    fake_retry(pub);
    fake_queue(pub, octets, sizeof octets, PGM_MESSAGES);
    assert_true(fake_run(&reactor, &sub->link.right, PGM_MESSAGES));
    assert_int_equal(sub->link.wrong, 0);
    assert_int_equal(pub->link.queued, 0);
}

static bool pgm_dial(weir_ep *ep, uint32_t direction, const char *address)
{
    fake_ep_init(ep, &reactor, &transport_pgm_LTX_weir_plugin_v1);
    ep->direction = direction;
    fake_set(ep, "rate", 1000000);
    fake_set(ep, "recovery", 100);
    return fine(ep, fake_dial(ep, address));
}

static void pgm_pair(const char *address)
{
    weir_ep pub, sub;

    if (pgm_dial(&sub, WEIR_PEER_RECV_ONLY, address) &&
        pgm_dial(&pub, WEIR_PEER_SEND_ONLY, address)) {
        assert_int_equal(fake_attach(&sub), 0);
        assert_int_equal(fake_attach(&pub), 0);
        pgm_up(&sub);
        pgm_up(&pub);
        pgm_talk(&pub, &sub);
        fake_close(&pub);
    }
    fake_close(&sub);
}

static void pgm_v4(void)
{
    pgm_pair(ALONE_GROUP);
}

static void pgm_by_number(void)
{
    pgm_pair("10.98.0.0/24;239.192.98.2,239.192.98.3:7997");
}

static void test_pgm(void **state)
{
    const weir_plugin *plugin = &transport_pgm_LTX_weir_plugin_v1;

    (void)state;
    if (!alone())
        skip();
    assert_int_equal(plugin->init(&fake_host, NULL), 0);
    in_turn(pgm_v4);
    in_turn(pgm_by_number);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_ipc),
        cmocka_unit_test(test_inproc),
#ifdef WITH_PGM
        cmocka_unit_test(test_pgm),
#endif
    };

    (void)alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
