/*
 * test_tcp.c - binding, dialing, accepting, on loopback.
 *
 * The plugin is compiled with getaddrinfo() renamed to the one below, so that
 * tests decide what names mean and how long they take.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakehost.h"

extern const weir_plugin transport_tcp_LTX_weir_plugin_v1;
#define PLUGIN (&transport_tcp_LTX_weir_plugin_v1)

static weir_reactor reactor;

/* -------------------------------------------------------- the resolver -- */

static _Atomic int lookups;
static sem_t in_resolver, go_on;

static const struct name {
    const char *name, *addresses[4];
} names[] = {
    {"one.test", {"127.0.0.1"}},
    {"three.test", {"127.0.0.1", "127.0.0.3", "127.0.0.2"}},
    {"both.test", {"::1", "127.0.0.1", "127.0.0.1"}},
    {"holes.test", {"127.0.0.3", "127.0.0.2"}},
    {"slow.test", {"127.0.0.1"}},
    {"scopes.test", {"fe80::1", "127.0.0.7", "::1"}},
};

static struct addrinfo *make_info(const char *text)
{
    struct made {
        struct addrinfo info;
        union {
            struct sockaddr any;
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } number;
    } *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    made->info.ai_addr = &made->number.any;
    made->number.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (strchr(text, ':'))
        (void)inet_pton(AF_INET6, text, &made->number.v6.sin6_addr);
    else
        (void)inet_pton(AF_INET, text, &made->number.v4.sin_addr);
    return &made->info;
}

int fake_getaddrinfo(const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **out);
void fake_freeaddrinfo(struct addrinfo *list);

int fake_getaddrinfo(const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **out)
{
    (void)service;
    (void)hints;
    lookups++;
    if (strcmp(node, "slow.test") == 0) {
        (void)sem_post(&in_resolver);
        (void)sem_wait(&go_on);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct addrinfo **place = out;

        if (strcmp(node, names[i].name) != 0)
            continue;
        for (int j = 0; j < 4 && names[i].addresses[j]; j++) {
            *place = make_info(names[i].addresses[j]);
            place = &(*place)->ai_next;
        }
        return 0;
    }
    return EAI_NONAME;
}

void fake_freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

/* ------------------------------------------------------------ the rest -- */

static int set_up(void **state)
{
    (void)state;
    lookups = 0;
    (void)sem_init(&in_resolver, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    fake_reactor_init(&reactor);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_reactor_fini(&reactor);
    return 0;
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

static const char *port_of(const weir_ep *ep)
{
    return strrchr(ep->actual, ':') + 1;
}

/* "prefix:PORT", with the port of a binder. */
static const char *at(const char *prefix, const weir_ep *binder)
{
    static char text[4][512];
    static unsigned turn;
    char *out = text[turn++ % 4];

    snprintf(out, sizeof text[0], "%s:%s", prefix, port_of(binder));
    return out;
}

static bool have_v6(void)
{
    static int known = -1;
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd;

    if (known < 0) {
        fd = socket(AF_INET6, SOCK_STREAM, 0);
        known = fd >= 0 &&
                bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;
        if (fd >= 0)
            (void)close(fd);
    }
    return known != 0;
}

/* A free port of loopback, with nobody behind it. */
static const char *free_port(void)
{
    static char text[512];
    weir_ep ep;

    init(&ep);
    assert_int_equal(fake_bind(&ep, "127.0.0.1:0"), 0);
    snprintf(text, sizeof text, "%s", ep.actual);
    fake_close(&ep);
    return strrchr(text, ':') + 1;
}

static void connects(weir_ep *server, const char *address)
{
    weir_ep client;
    int before = server->made;

    dial(&client, address);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_true(fake_run(&reactor, &server->made, before + 1));
    assert_string_equal(client.local, server->remote);
    assert_string_equal(client.remote, server->local);
    assert_int_equal(client.failed, 0);
    fake_close(&client);
}

static void test_v4(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "127.0.0.1:*");
    assert_memory_equal(server.actual, "127.0.0.1:", 10);
    assert_true(atoi(port_of(&server)) > 0);
    assert_int_equal(server.n_listeners, 1);
    connects(&server, server.actual);
    assert_string_equal(server.local, server.actual);
    assert_memory_equal(server.remote, "127.0.0.1:", 10);
    connects(&server, server.actual);
    fake_close(&server);
}

static void test_v6(void **state)
{
    weir_ep server;

    (void)state;
    if (!have_v6())
        skip();
    serve(&server, "[::1]:0");
    assert_memory_equal(server.actual, "[::1]:", 6);
    connects(&server, server.actual);
    assert_memory_equal(server.remote, "[::1]:", 6);
    fake_close(&server);
}

static void test_wildcard(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "*:*");
    assert_memory_equal(server.actual, "0.0.0.0:", 8);
    connects(&server, server.actual);
    connects(&server, at("127.0.0.1", &server));
    if (have_v6()) {
        connects(&server, at("[::1]", &server));
        assert_memory_equal(server.remote, "[::1]:", 6);
        connects(&server, at("[::]", &server));
    }
    fake_close(&server);
}

/* IPv6's own wildcard takes IPv4 too. */
static void test_wildcard_v6(void **state)
{
    weir_ep server;

    (void)state;
    if (!have_v6())
        skip();
    serve(&server, "[::]:*");
    assert_memory_equal(server.actual, "[::]:", 5);
    assert_int_equal(server.n_listeners, 1);
    connects(&server, server.actual);
    connects(&server, at("127.0.0.1", &server));
    assert_memory_equal(server.local, "127.0.0.1:", 10);
    assert_memory_equal(server.remote, "127.0.0.1:", 10);
    connects(&server, at("[::1]", &server));
    fake_close(&server);
}

static void test_wildcard_v4(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "0.0.0.0:0");
    assert_memory_equal(server.actual, "0.0.0.0:", 8);
    connects(&server, server.actual);
    connects(&server, at("127.0.0.1", &server));
    fake_close(&server);
}

/* IPv4 in the clothes of IPv6. */
static void test_mapped(void **state)
{
    weir_ep server;

    (void)state;
    if (!have_v6())
        skip();
    serve(&server, "[::ffff:127.0.0.1]:0");
    assert_memory_equal(server.actual, "127.0.0.1:", 10);
    connects(&server, server.actual);
    connects(&server, at("[::ffff:127.0.0.1]", &server));
    fake_close(&server);
}

/* All addresses of an interface, at one port. */
static void test_interface(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "lo:*");
    assert_memory_equal(server.actual, "127.0.0.1:", 10);
    connects(&server, server.actual);
    if (have_v6()) {
        assert_true(server.n_listeners >= 2);
        connects(&server, at("[::1]", &server));
    }
    assert_int_equal(lookups, 0);
    fake_close(&server);
}

static void test_bind_name(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "both.test:*");
    assert_int_equal(lookups, 1);
    connects(&server, at("127.0.0.1", &server));
    if (have_v6()) {
        assert_int_equal(server.n_listeners, 2);
        connects(&server, at("[::1]", &server));
    }
    fake_close(&server);
}

static void test_bind_errors(void **state)
{
    weir_ep server;

    (void)state;
    refuses("nosuch0:80", ENODEV, "\"nosuch0\"");
    refuses("[fe80::1%nosuch0]:0", ENODEV, "fe80::1%nosuch0");
    refuses("192.0.2.254:0", EADDRNOTAVAIL, "192.0.2.254:0");
    refuses("127.0.0.1:99999", EINVAL, "\"99999\"");
    serve(&server, "127.0.0.1:0");
    refuses(server.actual, EADDRINUSE, server.actual);
    refuses(at("one.test", &server), EADDRINUSE, server.actual);
    refuses(at("lo", &server), EADDRINUSE, server.actual);
    refuses(at("*", &server), EADDRINUSE, port_of(&server));
    fake_close(&server);
    serve(&server, "*:0");
    refuses(server.actual, EADDRINUSE, server.actual);
    refuses(at("*", &server), EADDRINUSE, server.actual);
    fake_close(&server);
}

static void test_no_room(void **state)
{
    weir_ep ep;
    char actual[12];

    (void)state;
    init(&ep);
    assert_int_equal(ep.ops->bind(&fake_host, &fake_more, &ep, "tcp",
                                  "127.0.0.1:*", actual, sizeof actual,
                                  &ep.self, &ep.error),
                     -ERANGE);
    assert_null(ep.self);
}

/* A server comes back at its port at once, while its old connections are
 * still in TIME_WAIT. */
static void test_rebind(void **state)
{
    weir_ep server, client;
    char address[512];

    (void)state;
    serve(&server, "127.0.0.1:0");
    snprintf(address, sizeof address, "%s", server.actual);
    dial(&client, address);
    assert_true(fake_run(&reactor, &server.made, 1));
    assert_true(fake_run(&reactor, &client.made, 1));
    fake_close(&server);
    fake_close(&client);
    serve(&server, address);
    assert_string_equal(server.actual, address);
    connects(&server, address);
    fake_close(&server);
}

static void test_refused_and_retry(void **state)
{
    weir_ep server, client;
    char address[512];

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%s", free_port());
    dial(&client, address);
    for (int i = 1; i <= 3; i++) {
        assert_true(fake_run(&reactor, &client.failed, i));
        assert_int_equal(client.permanent, 0);
        assert_int_equal(client.code, ECONNREFUSED);
        assert_non_null(strstr(client.reason, address));
        assert_non_null(strstr(client.reason, strerror(ECONNREFUSED)));
        if (i < 3)
            fake_retry(&client);
    }
    serve(&server, address);
    fake_retry(&client);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_int_equal(client.failed, 3);
    fake_close(&client);
    fake_close(&server);
}

/* Names are looked up in a job, and again at each attempt. */
static void test_names(void **state)
{
    weir_ep server, client;

    (void)state;
    serve(&server, "127.0.0.1:0");
    init(&client);
    assert_int_equal(fake_dial(&client, at("one.test", &server)), 0);
    assert_int_equal(lookups, 0);
    assert_int_equal(fake_attach(&client), 0);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_int_equal(lookups, 1);
    fake_hang_up(&client);
    fake_retry(&client);
    assert_true(fake_run(&reactor, &client.made, 2));
    assert_int_equal(lookups, 2);
    fake_close(&client);
    fake_close(&server);
}

static void test_no_such_name(void **state)
{
    weir_ep client;

    (void)state;
    dial(&client, "nosuch.test:80");
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_int_equal(client.permanent, 0);
    assert_non_null(strstr(client.reason, "\"nosuch.test\""));
    assert_non_null(strstr(client.reason, gai_strerror(EAI_NONAME)));
    fake_retry(&client);
    assert_true(fake_run(&reactor, &client.failed, 2));
    assert_int_equal(lookups, 2);
    fake_close(&client);

    dial(&client, "nosuch0:0;one.test:80");
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_non_null(strstr(client.reason, "\"nosuch0\""));
    fake_close(&client);

    dial(&client, "[fe80::1%nosuch0]:80");
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_non_null(strstr(client.reason, "nosuch0"));
    fake_close(&client);
}

/* Cancelled, or closed, while a thread is in the resolver. */
static void test_cancel_lookup(void **state)
{
    weir_ep client;

    (void)state;
    dial(&client, "slow.test:80");
    assert_int_equal(sem_wait(&in_resolver), 0);
    fake_cancel(&client);
    fake_retry(&client);
    assert_int_equal(sem_wait(&in_resolver), 0);
    fake_close(&client);
    (void)sem_post(&go_on);
    (void)sem_post(&go_on);
    assert_true(fake_run(&reactor, &reactor.drops, 2));
    assert_int_equal(client.failed + client.made, 0);
}

/* The thread comes back after the job was cancelled and the reactor is going
 * down. */
static void test_close_in_lookup(void **state)
{
    weir_ep client;

    (void)state;
    dial(&client, "slow.test:80");
    assert_int_equal(sem_wait(&in_resolver), 0);
    fake_close(&client);
    (void)sem_post(&go_on);
}

static void test_all_addresses(void **state)
{
    weir_ep server, client;

    (void)state;
    serve(&server, "127.0.0.2:0");
    dial(&client, at("three.test", &server));
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_string_equal(client.remote, server.actual);
    assert_int_equal(client.failed, 0);
    fake_close(&client);
    fake_close(&server);

    dial(&client, at("three.test", &server));
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_non_null(strstr(client.reason, at("127.0.0.1", &server)));
    assert_non_null(strstr(client.reason, at("127.0.0.2", &server)));
    assert_non_null(strstr(client.reason, at("127.0.0.3", &server)));
    fake_close(&client);
}

/* A listener whose backlog is full: further connects wait. */
struct hole {
    int fds[8], n;
};

static void make_hole(struct hole *hole, const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(fd, 0), 0);
    hole->n = 0;
    hole->fds[hole->n++] = fd;
    while (hole->n < 8) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fd, (struct sockaddr *)&to, sizeof to);
        hole->fds[hole->n++] = fd;
    }
}

static void close_hole(struct hole *hole)
{
    while (hole->n > 0)
        (void)close(hole->fds[--hole->n]);
}

/* An address that does not answer holds up the next one for a moment only. */
static void test_stagger(void **state)
{
    weir_ep server, client;
    struct hole hole;
    uint64_t begin = fake_now(), took;

    (void)state;
    serve(&server, "127.0.0.2:0");
    make_hole(&hole, "127.0.0.3", port_of(&server));
    dial(&client, at("holes.test", &server));
    assert_true(fake_run(&reactor, &client.made, 1));
    took = fake_now() - begin;
    assert_string_equal(client.remote, server.actual);
    assert_true(took >= 250 && took < 5000);
    fake_close(&client);
    fake_close(&server);
    close_hole(&hole);
}

static void test_timeout(void **state)
{
    weir_ep client;
    struct hole holes[2];
    char address[600], port[512];

    (void)state;
    snprintf(port, sizeof port, "%s", free_port());
    make_hole(&holes[0], "127.0.0.2", port);
    make_hole(&holes[1], "127.0.0.3", port);
    snprintf(address, sizeof address, "holes.test:%s", port);
    init(&client);
    fake_set(&client, "handshake", 400);
    fake_connect(&client, address);
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_int_equal(client.code, ETIMEDOUT);
    assert_non_null(strstr(client.reason, "127.0.0.2"));
    assert_non_null(strstr(client.reason, "127.0.0.3"));
    fake_close(&client);
    close_hole(&holes[0]);
    close_hole(&holes[1]);
}

static void test_cancel_connect(void **state)
{
    weir_ep client;
    struct hole hole;
    char address[600], port[512];

    (void)state;
    snprintf(port, sizeof port, "%s", free_port());
    make_hole(&hole, "127.0.0.3", port);
    snprintf(address, sizeof address, "127.0.0.3:%s", port);
    dial(&client, address);
    fake_cancel(&client);
    fake_run_for(&reactor, 20);
    fake_retry(&client);
    fake_run_for(&reactor, 20);
    fake_close(&client);
    assert_int_equal(client.failed + client.made, 0);
    close_hole(&hole);
}

static void test_source(void **state)
{
    weir_ep server;
    char address[1100];

    (void)state;
    serve(&server, "127.0.0.1:0");
    connects(&server, at("127.0.0.5:0;127.0.0.1", &server));
    assert_memory_equal(server.remote, "127.0.0.5:", 10);
    connects(&server, at("lo:*;127.0.0.1", &server));
    assert_memory_equal(server.remote, "127.0.0.1:", 10);
    connects(&server, at("*:0;one.test", &server));
    connects(&server, at("both.test:0;one.test", &server));
    snprintf(address, sizeof address, "127.0.0.6:%s;%s", free_port(),
             server.actual);
    connects(&server, address);
    address[strcspn(address, ";")] = '\0';
    assert_string_equal(server.remote, address);
    fake_close(&server);
}

/* Of several sources the one is taken that can reach the target. */
static void test_source_choice(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "*:0");
    connects(&server, at("scopes.test:0;127.0.0.1", &server));
    assert_memory_equal(server.remote, "127.0.0.7:", 10);
    if (have_v6())
        connects(&server, at("scopes.test:0;[::1]", &server));
    fake_close(&server);
}

static void fails(const char *address, int code, const char *token)
{
    weir_ep client;

    dial(&client, address);
    assert_true(fake_run(&reactor, &client.failed, 1));
    if (client.code != code || !strstr(client.reason, token))
        fail_msg("%s: %d %s", address, client.code, client.reason);
    fake_close(&client);
}

static void test_source_errors(void **state)
{
    weir_ep server;

    (void)state;
    serve(&server, "127.0.0.1:0");
    fails(at("[::1]:0;127.0.0.1", &server), EAFNOSUPPORT, server.actual);
    fails(at("192.0.2.254:0;127.0.0.1", &server), EADDRNOTAVAIL, "192.0.2.254");
    fake_close(&server);
}

/* Without a listener, a connect() from a port to itself succeeds. */
static void test_not_to_itself(void **state)
{
    char address[1100], port[512];

    (void)state;
    snprintf(port, sizeof port, "%s", free_port());
    snprintf(address, sizeof address, "127.0.0.1:%s;127.0.0.1:%s", port, port);
    fails(address, ECONNREFUSED, port);
}

static int get(int fd, int level, int what)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, level, what, &value, &size), 0);
    return value;
}

static void set_all(weir_ep *ep)
{
    fake_set(ep, "keepalive", 1);
    fake_set(ep, "keepalive-idle", 5001);
    fake_set(ep, "keepalive-interval", 2000);
    fake_set(ep, "keepalive-count", 3);
    fake_set(ep, "tos", 0x20);
    fake_set(ep, "send-buffer", 50000);
    fake_set(ep, "recv-buffer", 60000);
    fake_set(ep, "user-timeout", 7000);
}

static void check_all(int fd)
{
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
#ifdef __linux__
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 6);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 2);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
    assert_int_equal(get(fd, SOL_SOCKET, SO_SNDBUF), 100000);
    assert_int_equal(get(fd, SOL_SOCKET, SO_RCVBUF), 120000);
#endif
}

static void check_options(const char *address)
{
    weir_ep server, client;

    init(&server);
    set_all(&server);
    fake_serve(&server, address);
    init(&client);
    set_all(&client);
    fake_connect(&client, server.actual);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_true(fake_run(&reactor, &server.made, 1));
    check_all(client.fd);
    check_all(server.fd);
    if (address[0] == '[') {
        assert_int_equal(get(client.fd, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
        assert_int_equal(get(server.fd, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    } else {
        assert_int_equal(get(client.fd, IPPROTO_IP, IP_TOS), 0x20);
        assert_int_equal(get(server.fd, IPPROTO_IP, IP_TOS), 0x20);
    }
    assert_int_equal(client.logs + server.logs, 0);
    fake_close(&client);
    fake_close(&server);
}

static void test_options(void **state)
{
    (void)state;
    check_options("127.0.0.1:0");
    if (have_v6())
        check_options("[::1]:0");
}

/* Whoever sets nothing gets what the system has, and TCP_NODELAY. */
static void test_no_options(void **state)
{
    weir_ep server, client;

    (void)state;
    serve(&server, "127.0.0.1:0");
    dial(&client, server.actual);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_true(fake_run(&reactor, &server.made, 1));
    assert_int_equal(get(client.fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get(server.fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get(client.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(get(client.fd, IPPROTO_IP, IP_TOS), 0);
    fake_close(&client);
    fake_close(&server);
}

#if HAVE_DECL_SO_BINDTODEVICE
static void test_device(void **state)
{
    weir_ep server, client;

    (void)state;
    init(&server);
    fake_set_text(&server, "device", "nosuch0");
    assert_int_equal(fake_bind(&server, "127.0.0.1:0"), -ENODEV);
    assert_non_null(strstr(server.error_text, "option device"));
    init(&server);
    fake_set_text(&server, "device", "lo");
    fake_serve(&server, "127.0.0.1:0");
    init(&client);
    fake_set_text(&client, "device", "nosuch0");
    fake_connect(&client, server.actual);
    assert_true(fake_run(&reactor, &client.failed, 1));
    assert_non_null(strstr(client.reason, "option device"));
    fake_close(&client);
    init(&client);
    fake_set_text(&client, "device", "lo");
    fake_connect(&client, server.actual);
    assert_true(fake_run(&reactor, &client.made, 1));
    fake_close(&client);
    fake_close(&server);
}
#endif

/* The options as the host shows them. */
static void test_table(void **state)
{
    const weir_transport_ops *ops = fake_ops(PLUGIN);

    (void)state;
    assert_int_equal(ops->n_options, 10);
    for (uint32_t i = 0; i < ops->n_options; i++) {
        const weir_option *row = &ops->options[i];

        assert_non_null(row->name);
        assert_non_null(row->doc);
        assert_true(row->min <= row->max);
        assert_true(row->fallback <= row->max);
        assert_int_equal(row->flags, WEIR_OPTION_ENDPOINT);
    }
}

/* The host may close at any time. */
static void test_never_attached(void **state)
{
    weir_ep server, client;

    (void)state;
    init(&server);
    assert_int_equal(fake_bind(&server, "127.0.0.1:0"), 0);
    init(&client);
    assert_int_equal(fake_dial(&client, server.actual), 0);
    fake_close(&client);
    fake_close(&server);
}

/* A binder listens from bind() on: a peer that is early waits. */
static void test_early_peer(void **state)
{
    weir_ep server, client;

    (void)state;
    init(&server);
    assert_int_equal(fake_bind(&server, "127.0.0.1:0"), 0);
    dial(&client, server.actual);
    assert_true(fake_run(&reactor, &client.made, 1));
    assert_int_equal(server.made, 0);
    assert_int_equal(fake_attach(&server), 0);
    assert_true(fake_run(&reactor, &server.made, 1));
    fake_close(&client);
    fake_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_v6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wildcard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wildcard_v6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wildcard_v4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mapped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interface, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bind_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bind_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rebind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_and_retry, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_such_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_lookup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_in_lookup, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_all_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stagger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_source_choice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_source_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_to_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_options, set_up, tear_down),
#if HAVE_DECL_SO_BINDTODEVICE
        cmocka_unit_test_setup_teardown(test_device, set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_attached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_early_peer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
