/*
 * test_peer_info.c - properties are found, whatever a peer sent as metadata.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handshake.h"
#include "peer_info.h"

static const uint8_t metadata[] = "\013Socket-Type\0\0\0\4PULL"
                                  "\010Identity\0\0\0\0"
                                  "\001X\0\0\0\2ab"
                                  "\001x\0\0\0\1c";
#define SIZE (sizeof(metadata) - 1)

static void assert_property(const struct weir_peer_info *info, const char *name,
                            const char *value)
{
    size_t size = 99;
    const void *found = weir_peer_info_property(info, name, &size);

    assert_non_null(found);
    assert_int_equal(size, strlen(value));
    assert_memory_equal(found, value, size);
}

static void assert_none(const struct weir_peer_info *info, const char *name)
{
    size_t size = 99;

    assert_null(weir_peer_info_property(info, name, &size));
    assert_int_equal(size, 99);
}

static void test_names_compare_without_case(void **state)
{
    struct weir_peer_info *info = weir_peer_info_new(metadata, SIZE);

    (void)state;
    assert_non_null(info);
    assert_property(info, "Socket-Type", "PULL");
    assert_property(info, "sOCKET-tYPE", "PULL");
    assert_property(info, "identity", "");
    assert_property(info, "x", "ab"); /* the first of two */
    assert_none(info, "Socket");
    assert_none(info, "Socket-Type2");
    assert_none(info, "");
    assert_none(info, "{dentity"); /* '{' and 'I' differ in more than case */
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
}

/* What is cut off is not there; what was before it is. */
static void test_any_part_of_it(void **state)
{
    (void)state;
    for (size_t size = 0; size <= SIZE; size++) {
        uint8_t *part = malloc(size + 1);
        struct weir_peer_info *info;

        memcpy(part, metadata, size);
        info = weir_peer_info_new(part, size);
        assert_non_null(info);
        free(part);
        if (size < 20)
            assert_none(info, "Socket-Type");
        else
            assert_property(info, "Socket-Type", "PULL");
        if (size < SIZE - 7)
            assert_none(info, "X");
        weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
    }
}

static void test_sizes_that_lie(void **state)
{
    static const uint8_t lies[] = "\001X\377\377\377\377value";
    struct weir_peer_info *info = weir_peer_info_new(lies, sizeof(lies) - 1);

    (void)state;
    assert_none(info, "X");
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
    info = weir_peer_info_new("\377abc", 4);
    assert_none(info, "abc");
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
    info = weir_peer_info_new(NULL, 0);
    assert_none(info, "X");
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
}

/* What a transport says is told by ZMTP's rules, or not at all. */
static void test_what_a_transport_says(void **state)
{
    char longest[256], too_long[257];
    const weir_property said[] = {
        {NULL, "a", 1},   {"", "b", 1},       {"with blank", "c", 1},
        {"Good", "d", 1}, {too_long, "e", 1}, {longest, "f", 1},
    };
    const weir_peer peer = {
        .size = sizeof(peer),
        .remote = "there",
        .properties = said,
        .n_properties = sizeof(said) / sizeof(said[0]),
    };
    uint8_t data[1024];
    struct weir_peer_info *info;
    size_t size;

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memset(too_long, 'y', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    size = weir_handshake_encode_peer(NULL, &peer);
    assert_true(size <= sizeof(data));
    assert_int_equal(weir_handshake_encode_peer(data, &peer), size);
    info = weir_peer_info_new(data, size);
    assert_property(info, "good", "d");
    assert_property(info, longest, "f");
    assert_property(info, "Peer-Address", "there");
    assert_none(info, "with blank");
    assert_none(info, too_long);
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD);
}

/* The maker hands out references without counting them one by one, and the
 * last one frees: AddressSanitizer sees too early, the leak check too late. */
static void test_references(void **state)
{
    struct weir_peer_info *info = weir_peer_info_new(metadata, SIZE);
    uint64_t given = 3;

    (void)state;
    weir_peer_info_unref(info, 1);
    weir_peer_info_unref(info, WEIR_PEER_INFO_HOLD - given);
    assert_property(info, "X", "ab");
    weir_peer_info_ref(info, 1);
    weir_peer_info_unref(info, 2);
    assert_int_equal(atomic_load(&info->refs), 1);
    weir_peer_info_unref(info, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_compare_without_case),
        cmocka_unit_test(test_any_part_of_it),
        cmocka_unit_test(test_sizes_that_lie),
        cmocka_unit_test(test_what_a_transport_says),
        cmocka_unit_test(test_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
