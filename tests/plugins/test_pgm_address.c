/* test_pgm_address.c - what is an address of pgm, and what is said of what is
 * none. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fakehost.h"
#include "plugins/transport_pgm/address.h"

static char sentence[512];
static weir_error error = {
    .size = sizeof error, .text = sentence, .room = sizeof sentence};

static int parse(const char *address, struct weir_pgm_address *out)
{
    sentence[0] = '\0';
    return weir_pgm_parse(&fake_host, "epgm", address, out, &error);
}

static const struct good {
    const char *address, *interface, *groups, *send;
    uint16_t port;
} good[] = {
    {"eth0;239.192.1.1:5555", "eth0", "239.192.1.1 ", "239.192.1.1", 5555},
    {";239.192.1.1:1", "", "239.192.1.1 ", "239.192.1.1", 1},
    {"10.0.0.0/8;224.0.0.1:65535", "10.0.0.0/8", "224.0.0.1 ", "224.0.0.1",
     65535},
    {"e;239.1.1.1,239.1.1.2:7", "e", "239.1.1.1 239.1.1.2 ", "239.1.1.1", 7},
    {"e;239.1.1.1,239.1.1.2;239.1.1.3:7", "e", "239.1.1.1 239.1.1.2 ",
     "239.1.1.3", 7},
    {"e;ff02::1:7", "e", "ff02::1 ", "ff02::1", 7},
    {"e;[ff02::1],[ff02::2];[ff02::3]:7", "e", "ff02::1 ff02::2 ", "ff02::3",
     7},
    {"2001:db8::1;ff02::1:7", "2001:db8::1", "ff02::1 ", "ff02::1", 7},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char groups[256] = "", text[64];
        struct weir_pgm_address address;

        assert_int_equal(parse(good[i].address, &address), 0);
        for (int k = 0; k < address.n_groups; k++) {
            strcat(groups,
                   weir_pgm_text(&address.groups[k], text, sizeof text));
            strcat(groups, " ");
        }
        assert_string_equal(address.interface, good[i].interface);
        assert_string_equal(groups, good[i].groups);
        assert_string_equal(weir_pgm_text(&address.send, text, sizeof text),
                            good[i].send);
        assert_int_equal(address.port, good[i].port);
    }
}

static const struct bad {
    const char *address, *token;
} bad[] = {
    {"", "\"\""},
    {"eth0", "\"eth0\" has no port"},
    {"eth0;239.1.1.1", "\"eth0;239.1.1.1\" has no port"},
    {"eth0:5555", "\"eth0\" has no group"},
    {"eth0;:5555", "group \"\""},
    {"eth0;10.0.0.1:5555", "group \"10.0.0.1\" is not a multicast"},
    {"eth0;[2001:db8::1]:5555", "group \"[2001:db8::1]\" is not a multicast"},
    {"eth0;name:5555", "group \"name\""},
    {"eth0;239.1.1:5555", "group \"239.1.1\""},
    {"eth0;239.1.1.1,:5555", "group \"\""},
    {"eth0;239.1.1.1,239.1.1.1:5", "group \"239.1.1.1\" is there twice"},
    {"eth0;239.1.1.1,ff02::1:5", "group \"ff02::1\" is of another family"},
    {"eth0;239.1.1.1;ff02::1:5", "group \"ff02::1\" is of another family"},
    {"eth0;239.1.1.1;10.0.0.1:5", "group \"10.0.0.1\" is not a multicast"},
    {"eth0;239.1.1.1;239.1.1.2;239.1.1.3:5", "group \"239.1.1.2;239.1.1.3\""},
    {"eth0;239.1.1.1;:5", "group \"\""},
    {"eth0;239.1.1.1:", "port \"\""},
    {"eth0;239.1.1.1:0", "port \"0\""},
    {"eth0;239.1.1.1:65536", "port \"65536\""},
    {"eth0;239.1.1.1:05", "port \"05\""},
    {"eth0;239.1.1.1:*", "port \"*\""},
    {"eth0;[ff02::1]", "has no port"},
    {"e;239.0.0.1,239.0.0.2,239.0.0.3,239.0.0.4,239.0.0.5,239.0.0.6,239.0.0.7,"
     "239.0.0.8,239.0.0.9,239.0.0.10,239.0.0.11,239.0.0.12,239.0.0.13,"
     "239.0.0.14,239.0.0.15,239.0.0.16,239.0.0.17,239.0.0.18,239.0.0.19,"
     "239.0.0.20,239.0.0.21:7",
     "group \"239.0.0.21\""},
    {"0123456789012345678901234567890123456789012345678901234567890123;"
     "239.1.1.1:7",
     "interface \"0123456789"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct weir_pgm_address address;

        assert_int_equal(parse(bad[i].address, &address), -EINVAL);
        if (!strstr(sentence, bad[i].token) ||
            !strstr(sentence, bad[i].address))
            fail_msg("%s: %s", bad[i].address, sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
