/* test_inproc.c - the table of names: any order, any thread. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakehost.h"

extern const weir_plugin transport_inproc_LTX_weir_plugin_v1;
#define PLUGIN (&transport_inproc_LTX_weir_plugin_v1)

static weir_reactor reactor;

static int set_up(void **state)
{
    (void)state;
    fake_reactor_init(&reactor);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_reactor_fini(&reactor);
    return 0;
}

static void binder(weir_ep *ep, const char *name)
{
    fake_ep_init(ep, &reactor, PLUGIN);
    assert_int_equal(fake_bind(ep, name), 0);
    assert_string_equal(ep->actual, name);
}

static void dialer(weir_ep *ep, const char *name)
{
    fake_ep_init(ep, &reactor, PLUGIN);
    assert_int_equal(fake_dial(ep, name), 0);
}

static void test_bind_first(void **state)
{
    weir_ep server, clients[3];

    (void)state;
    binder(&server, "a");
    assert_int_equal(fake_attach(&server), 0);
    for (int i = 0; i < 3; i++) {
        dialer(&clients[i], "a");
        assert_int_equal(fake_attach(&clients[i]), 0);
        assert_ptr_equal(clients[i].partner, &server);
    }
    assert_int_equal(server.splices, 3);
    for (int i = 0; i < 3; i++)
        fake_close(&clients[i]);
    fake_close(&server);
}

static void test_connect_first(void **state)
{
    weir_ep server, clients[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        dialer(&clients[i], "a");
        assert_int_equal(fake_attach(&clients[i]), 0);
        assert_null(clients[i].partner);
    }
    binder(&server, "a");
    assert_int_equal(server.splices, 0);
    assert_int_equal(fake_attach(&server), 0);
    assert_int_equal(server.splices, 3);
    for (int i = 0; i < 3; i++)
        fake_close(&clients[i]);
    fake_close(&server);
}

/* A binder that is not attached yet gets no dialers, but has its name. */
static void test_attach_later(void **state)
{
    weir_ep server, client, other;

    (void)state;
    binder(&server, "a");
    dialer(&client, "a");
    assert_int_equal(fake_attach(&client), 0);
    assert_null(client.partner);
    fake_ep_init(&other, &reactor, PLUGIN);
    assert_int_equal(fake_bind(&other, "a"), -EADDRINUSE);
    assert_non_null(strstr(other.error_text, "inproc://a"));
    assert_int_equal(fake_attach(&server), 0);
    assert_ptr_equal(client.partner, &server);
    fake_close(&server);
    fake_close(&client);
}

/* The host calls retry() when the binder is gone; the dialer goes on with
 * the next one. */
static void test_next_binder(void **state)
{
    weir_ep first, second, client;

    (void)state;
    binder(&first, "a");
    dialer(&client, "a");
    assert_int_equal(fake_attach(&first), 0);
    assert_int_equal(fake_attach(&client), 0);
    fake_close(&first);
    fake_retry(&client);
    binder(&second, "a");
    assert_int_equal(fake_attach(&second), 0);
    assert_ptr_equal(client.partner, &second);
    assert_int_equal(client.splices, 2);
    assert_int_equal(client.failed, 0);
    fake_close(&client);
    fake_close(&second);
}

/* retry() may come while the binder that has gone is still in the table. */
static void test_binder_is_closing(void **state)
{
    weir_ep first, second, client;

    (void)state;
    binder(&first, "a");
    assert_int_equal(fake_attach(&first), 0);
    first.closing = true;
    dialer(&client, "a");
    assert_int_equal(fake_attach(&client), 0);
    assert_null(client.partner);
    fake_close(&first);
    binder(&second, "a");
    assert_int_equal(fake_attach(&second), 0);
    assert_ptr_equal(client.partner, &second);
    fake_close(&second);
    fake_close(&client);
}

static void test_both_close(void **state)
{
    weir_ep server, client, next;

    (void)state;
    binder(&server, "a");
    dialer(&client, "a");
    server.closing = client.closing = true;
    assert_int_equal(fake_attach(&client), 0);
    assert_int_equal(fake_attach(&server), 0);
    client.ops->retry(client.self);
    fake_close(&client);
    fake_close(&server);
    assert_int_equal(server.splices + client.splices, 0);
    binder(&next, "a");
    assert_int_equal(fake_attach(&next), 0);
    assert_int_equal(next.splices, 0);
    fake_close(&next);
}

static void test_incompatible(void **state)
{
    weir_ep server, early, late;

    (void)state;
    dialer(&early, "name of it");
    assert_int_equal(fake_attach(&early), 0);
    binder(&server, "name of it");
    server.splice_result = -WEIR_EINCOMPATIBLE;
    assert_int_equal(fake_attach(&server), 0);
    assert_int_equal(early.failed, 1);
    assert_int_equal(early.permanent, 1);
    assert_int_equal(early.code, WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(early.reason, "inproc://name of it"));

    dialer(&late, "name of it");
    assert_int_equal(fake_attach(&late), -WEIR_EINCOMPATIBLE);
    assert_non_null(strstr(late.error_text, "inproc://name of it"));
    fake_close(&late);
    fake_close(&early);
    fake_close(&server);
}

/* A failure that may pass leaves the dialer to the host's retry(). */
static void test_no_memory(void **state)
{
    weir_ep server, client;

    (void)state;
    dialer(&client, "a");
    assert_int_equal(fake_attach(&client), 0);
    binder(&server, "a");
    server.splice_result = -ENOMEM;
    assert_int_equal(fake_attach(&server), 0);
    assert_int_equal(client.failed, 1);
    assert_int_equal(client.permanent, 0);
    assert_int_equal(client.code, ENOMEM);
    server.splice_result = 0;
    fake_retry(&client);
    assert_ptr_equal(client.partner, &server);
    fake_close(&client);
    fake_close(&server);
}

static void test_cancel(void **state)
{
    weir_ep server, client, other;

    (void)state;
    dialer(&client, "a");
    dialer(&other, "a");
    assert_int_equal(fake_attach(&client), 0);
    assert_int_equal(fake_attach(&other), 0);
    fake_cancel(&client);
    binder(&server, "a");
    assert_int_equal(fake_attach(&server), 0);
    assert_null(client.partner);
    assert_ptr_equal(other.partner, &server);
    fake_retry(&client);
    assert_ptr_equal(client.partner, &server);
    fake_close(&client);
    fake_close(&other);
    fake_close(&server);
}

static void test_scopes(void **state)
{
    weir_ep one, two, client;

    (void)state;
    binder(&one, "a");
    fake_ep_init(&two, &reactor, PLUGIN);
    two.scope = 2;
    assert_int_equal(fake_bind(&two, "a"), 0);
    assert_int_equal(fake_attach(&one), 0);
    assert_int_equal(fake_attach(&two), 0);
    fake_ep_init(&client, &reactor, PLUGIN);
    client.scope = 2;
    assert_int_equal(fake_dial(&client, "a"), 0);
    assert_int_equal(fake_attach(&client), 0);
    assert_ptr_equal(client.partner, &two);
    fake_close(&one);
    fake_close(&two);
    fake_close(&client);
}

static void refused(const char *name, int code, const char *token)
{
    weir_ep ep;

    fake_ep_init(&ep, &reactor, PLUGIN);
    assert_int_equal(fake_bind(&ep, name), -code);
    assert_non_null(strstr(ep.error_text, token));
    fake_ep_init(&ep, &reactor, PLUGIN);
    assert_int_equal(fake_dial(&ep, name), -code);
    assert_non_null(strstr(ep.error_text, token));
}

static void test_names(void **state)
{
    char name[258];
    weir_ep server;

    (void)state;
    refused("", EINVAL, "inproc://");
    memset(name, 'n', sizeof name);
    name[257] = '\0';
    refused(name, ENAMETOOLONG, "257");
    name[256] = '\0';
    binder(&server, name);
    fake_close(&server);
    binder(&server, "/odd name*?\xc3\xa9;:");
    fake_close(&server);
}

static void test_no_room(void **state)
{
    weir_ep ep;
    char actual[4];

    (void)state;
    fake_ep_init(&ep, &reactor, PLUGIN);
    assert_int_equal(ep.ops->bind(&fake_host, &fake_more, &ep, "inproc", "four",
                                  actual, sizeof actual, &ep.self, &ep.error),
                     -ERANGE);
    assert_null(ep.self);
    binder(&ep, "four");
    fake_close(&ep);
}

/* Names of every length at once, so that chains are longer than one. */
static void test_many_names(void **state)
{
    enum { N = 3000 };
    static weir_ep servers[N], clients[N];
    char name[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "name-%d", i);
        binder(&servers[i], name);
        servers[i].attached = true;
        assert_int_equal(servers[i].ops->attach(servers[i].self, NULL, NULL),
                         0);
        dialer(&clients[i], name);
        assert_int_equal(fake_attach(&clients[i]), 0);
    }
    for (int i = 0; i < N; i++)
        assert_ptr_equal(clients[i].partner, &servers[i]);
    for (int i = 0; i < N; i++) {
        fake_close(&servers[i]);
        fake_close(&clients[N - 1 - i]);
    }
}

static void *bind_and_close(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        weir_ep ep;

        fake_ep_init(&ep, &reactor, PLUGIN);
        if (fake_bind(&ep, "contested") == 0) {
            ep.attached = false;
            (void)ep.ops->attach(ep.self, NULL, &ep.error);
        }
        fake_close(&ep);
    }
    return unused;
}

static void *dial_and_close(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        weir_ep ep;

        fake_ep_init(&ep, &reactor, PLUGIN);
        if (fake_dial(&ep, "contested") == 0) {
            (void)ep.ops->attach(ep.self, NULL, &ep.error);
            ep.ops->retry(ep.self);
        }
        fake_close(&ep);
    }
    return unused;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < 2 ? bind_and_close : dial_and_close,
                                        NULL),
                         0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* A child that opens a context of its own is not stuck in a lock that was
 * held in the parent.  It ends by exec, since ThreadSanitizer would miss the
 * parent's threads at its exit. */
static void child_uses_table(void)
{
    weir_ep server;

    (void)alarm(30);
    fake_ep_init(&server, &reactor, PLUGIN);
    server.scope = 77;
    if (fake_bind(&server, "child") < 0)
        _exit(1);
    server.ops->close(server.self);
    (void)execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    _exit(2);
}

static void test_fork(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, bind_and_close, NULL), 0);
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            child_uses_table();
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bind_first),
        cmocka_unit_test(test_connect_first),
        cmocka_unit_test(test_attach_later),
        cmocka_unit_test(test_next_binder),
        cmocka_unit_test(test_binder_is_closing),
        cmocka_unit_test(test_both_close),
        cmocka_unit_test(test_incompatible),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
