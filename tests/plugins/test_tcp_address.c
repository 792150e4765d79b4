/* test_tcp_address.c - what is an address of tcp, and what is said of what is
 * none. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fakehost.h"
#include "plugins/transport_tcp/address.h"

static char sentence[512];
static weir_error error = {
    .size = sizeof error, .text = sentence, .room = sizeof sentence};

static int parse_bind(const char *address, struct weir_tcp_host *out)
{
    sentence[0] = '\0';
    return weir_tcp_parse_bind(&fake_host, address, out, &error);
}

static int parse_dial(const char *address, struct weir_tcp_target *out)
{
    sentence[0] = '\0';
    return weir_tcp_parse_dial(&fake_host, address, out, &error);
}

static const struct good {
    const char *address;
    enum weir_tcp_kind kind;
    const char *name, *zone;
    uint16_t port;
} good[] = {
    {"*:5555", WEIR_TCP_ANY, "*", "", 5555},
    {"*:*", WEIR_TCP_ANY, "*", "", 0},
    {"*:0", WEIR_TCP_ANY, "*", "", 0},
    {"0.0.0.0:1", WEIR_TCP_NUMERIC, "0.0.0.0", "", 1},
    {"127.0.0.1:65535", WEIR_TCP_NUMERIC, "127.0.0.1", "", 65535},
    {"[::]:80", WEIR_TCP_NUMERIC, "::", "", 80},
    {"[::1]:*", WEIR_TCP_NUMERIC, "::1", "", 0},
    {"[2001:db8::1]:443", WEIR_TCP_NUMERIC, "2001:db8::1", "", 443},
    {"[::ffff:192.0.2.1]:9", WEIR_TCP_NUMERIC, "::ffff:192.0.2.1", "", 9},
    {"[fe80::1%eth0]:7", WEIR_TCP_NUMERIC, "fe80::1", "eth0", 7},
    {"[fe80::1%2]:7", WEIR_TCP_NUMERIC, "fe80::1", "2", 7},
    {"eth0:5555", WEIR_TCP_NAME, "eth0", "", 5555},
    {"eth0.100:*", WEIR_TCP_NAME, "eth0.100", "", 0},
    {"br-lan_1:5", WEIR_TCP_NAME, "br-lan_1", "", 5},
    {"localhost:5555", WEIR_TCP_NAME, "localhost", "", 5555},
    {"a.example.org.:1", WEIR_TCP_NAME, "a.example.org.", "", 1},
    {"1a.example:1", WEIR_TCP_NAME, "1a.example", "", 1},
};

static void test_bind_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct weir_tcp_host host;

        assert_int_equal(parse_bind(good[i].address, &host), 0);
        assert_int_equal(host.kind, good[i].kind);
        assert_string_equal(host.name, good[i].name);
        assert_string_equal(host.zone, good[i].zone);
        assert_int_equal(host.port, good[i].port);
        if (host.kind == WEIR_TCP_NUMERIC)
            assert_int_equal(weir_tcp_port(&host.number), good[i].port);
    }
}

/* What is wrong, and the token that the sentence must have. */
static const struct bad {
    const char *address, *token;
} bad_bind[] = {
    {"", "\"\" has no port"},
    {"5555", "\"5555\" has no port"},
    {"localhost", "\"localhost\" has no port"},
    {"[::1]", "\"[::1]\" has no port"},
    {":5555", "host \"\""},
    {"*:", "port \"\""},
    {"h:99999", "port \"99999\""},
    {"h:65536", "port \"65536\""},
    {"h:4294967377", "port \"4294967377\""},
    {"h:18446744073709551617", "port \"18446744073709551617\""},
    {"h:-1", "port \"-1\""},
    {"h:+1", "port \"+1\""},
    {"h: 1", "port \" 1\""},
    {"h:1 ", "port \"1 \""},
    {"h:0x50", "port \"0x50\""},
    {"h:080", "port \"080\""},
    {"h:00", "port \"00\""},
    {"h:http", "port \"http\""},
    {"h:80/path", "port \"80/path\""},
    {"h:80?x=1", "port \"80?x=1\""},
    {"h:**", "port \"**\""},
    {"256.0.0.1:80", "host \"256.0.0.1\""},
    {"1.2.3:80", "host \"1.2.3\""},
    {"1.2.3.4.5:80", "host \"1.2.3.4.5\""},
    {"127.1:80", "host \"127.1\""},
    {"2130706433:80", "host \"2130706433\""},
    {"1.2.3.4.:80", "host \"1.2.3.4.\""},
    {"::1:80", "host \"::1\" has a colon"},
    {"2001:db8::1:80", "host \"2001:db8::1\" has a colon"},
    {"[::1:80", "host \"[::1\""},
    {"::1]:80", "host \"::1]\""},
    {"[]:80", "host \"[]\""},
    {"[::1]x:80", "host \"[::1]x\""},
    {"[::g]:80", "host \"[::g]\""},
    {"[1.2.3.4]:80", "host \"[1.2.3.4]\""},
    {"[localhost]:80", "host \"[localhost]\""},
    {"[*]:80", "host \"[*]\""},
    {"[::1%]:80", "zone \"\""},
    {"1.2.3.4%lo:80", "host \"1.2.3.4%lo\""},
    {"**:80", "host \"**\""},
    {"a b:80", "host \"a b\""},
    {"a\tb:80", "host \"a\tb\""},
    {"a..b:80", "host \"a..b\""},
    {".a:80", "host \".a\""},
    {"user@h:80", "host \"user@h\""},
    {"/tmp/x:80", "host \"/tmp/x\""},
    {"127.0.0.1:0;h:80", "host \"127.0.0.1:0;h\""},
    {"h:80:90", "host \"h:80\""},
};

static void check_bad(const struct bad *bad, int rc)
{
    if (rc != -EINVAL || error.code != EINVAL ||
        !strstr(sentence, bad->token) || strncmp(sentence, "tcp://", 6) != 0 ||
        !strstr(sentence, bad->address))
        fail_msg("\"%s\": %d, %s", bad->address, rc, sentence);
}

static void test_bind_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_bind / sizeof bad_bind[0]; i++) {
        struct weir_tcp_host host;

        check_bad(&bad_bind[i], parse_bind(bad_bind[i].address, &host));
    }
}

static const struct bad bad_dial[] = {
    {"*:80", "host \"*\" cannot be connected to"},
    {"h:0", "port \"0\""},
    {"h:*", "port \"*\""},
    {"h", "\"h\" has no port"},
    {"h:99999", "port \"99999\""},
    {";h:80", "\"\" has no port"},
    {"127.0.0.1;h:80", "\"127.0.0.1\" has no port"},
    {"127.0.0.1:0;", "\"\" has no port"},
    {"127.0.0.1:70000;h:80", "port \"70000\""},
    {"127.0.0.1:0;h:0", "port \"0\""},
    {"127.0.0.1:0;*:80", "host \"*\" cannot be connected to"},
    {"a:1;b:2;c:3", "host \"a:1;b\""},
};

static void test_dial_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_dial / sizeof bad_dial[0]; i++) {
        struct weir_tcp_target target;

        check_bad(&bad_dial[i], parse_dial(bad_dial[i].address, &target));
    }
}

static void test_dial_good(void **state)
{
    struct weir_tcp_target target;

    (void)state;
    assert_int_equal(parse_dial("example.org:80", &target), 0);
    assert_false(target.has_source);
    assert_string_equal(target.host.name, "example.org");
    assert_int_equal(target.host.port, 80);

    assert_int_equal(parse_dial("[::1%1]:5;[::1]:80", &target), 0);
    assert_true(target.has_source);
    assert_int_equal(target.source.kind, WEIR_TCP_NUMERIC);
    assert_int_equal(target.source.number.v6.sin6_scope_id, 1);
    assert_int_equal(target.source.port, 5);
    assert_string_equal(target.host.name, "::1");

    assert_int_equal(parse_dial("*:*;h:80", &target), 0);
    assert_int_equal(target.source.kind, WEIR_TCP_ANY);
    assert_int_equal(target.source.port, 0);
    assert_string_equal(target.host.name, "h");
}

/* A name of 253 octets in labels of 63 is the longest there can be. */
static void test_long_names(void **state)
{
    char address[400];
    struct weir_tcp_host host;

    (void)state;
    memset(address, 'a', sizeof address);
    for (size_t i = 63; i < 253; i += 64)
        address[i] = '.';
    memcpy(address + 253, ":80", 4);
    assert_int_equal(parse_bind(address, &host), 0);
    assert_int_equal(strlen(host.name), 253);
    memcpy(address + 253, "a:80", 5);
    assert_int_equal(parse_bind(address, &host), -EINVAL);
    memset(address, 'a', 64);
    memcpy(address + 64, ":80", 4);
    assert_int_equal(parse_bind(address, &host), -EINVAL);
    memcpy(address + 63, ":80", 4);
    assert_int_equal(parse_bind(address, &host), 0);

    memcpy(address, "[::1%", 5);
    memset(address + 5, 'z', 64);
    memcpy(address + 69, "]:80", 5);
    assert_int_equal(parse_bind(address, &host), -EINVAL);
    memcpy(address + 68, "]:80", 5);
    assert_int_equal(parse_bind(address, &host), 0);
}

static void check_text(const char *host, uint16_t port, uint32_t scope,
                       const char *expected)
{
    union weir_tcp_number number;
    char text[WEIR_TCP_TEXT_ROOM];
    int family = strchr(host, ':') ? AF_INET6 : AF_INET;

    weir_tcp_unspecified(&number, family, port);
    if (family == AF_INET6)
        assert_int_equal(inet_pton(family, host, &number.v6.sin6_addr), 1);
    else
        assert_int_equal(inet_pton(family, host, &number.v4.sin_addr), 1);
    if (family == AF_INET6)
        number.v6.sin6_scope_id = scope;
    assert_string_equal(weir_tcp_text(&number, text, sizeof text), expected);
}

static void test_text(void **state)
{
    (void)state;
    check_text("0.0.0.0", 0, 0, "0.0.0.0:0");
    check_text("192.0.2.1", 65535, 0, "192.0.2.1:65535");
    check_text("::", 43715, 0, "[::]:43715");
    check_text("2001:db8::1", 1, 0, "[2001:db8::1]:1");
    check_text("::ffff:127.0.0.1", 35469, 0, "127.0.0.1:35469");
    check_text("fe80::1", 1, 999999, "[fe80::1%999999]:1");
}

static void test_compare(void **state)
{
    union weir_tcp_number a, b;

    (void)state;
    weir_tcp_unspecified(&a, AF_INET, 1);
    weir_tcp_unspecified(&b, AF_INET, 2);
    assert_true(weir_tcp_same_host(&a, &b));
    assert_true(weir_tcp_is_unspecified(&a));
    a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_false(weir_tcp_same_host(&a, &b));
    assert_false(weir_tcp_is_unspecified(&a));
    weir_tcp_unspecified(&a, AF_INET6, 1);
    assert_false(weir_tcp_same_host(&a, &b));
    b = a;
    b.v6.sin6_scope_id = 1;
    assert_false(weir_tcp_same_host(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bind_good),  cmocka_unit_test(test_bind_bad),
        cmocka_unit_test(test_dial_bad),   cmocka_unit_test(test_dial_good),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_text),
        cmocka_unit_test(test_compare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
