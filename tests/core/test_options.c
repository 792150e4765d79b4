#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "options.h"
#include "spill.h"
#include "value.h"

static struct weir_options options;

static int fresh(void **state)
{
    (void)state;
    weir_options_init(&options, WEIR_ROUTER);
    weir_error_clear();
    return 0;
}

static int set(const char *name, const char *text)
{
    return weir_options_set_text(&options, name, text, strlen(text));
}

static int64_t get(const char *name)
{
    int64_t number = -77;

    assert_int_equal(weir_options_get_int(&options, name, &number), 0);
    return number;
}

/* The sentence must name each of these. */
static void assert_says(const char *one, const char *two)
{
    if (!strstr(weir_error_text(), one) || !strstr(weir_error_text(), two))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", weir_error_text(), one, two);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(options.type, WEIR_ROUTER);
    assert_int_equal(options.send_mark, 10000);
    assert_int_equal(options.send_mark_bytes, 67108864);
    assert_int_equal(options.recv_mark, 10000);
    assert_int_equal(options.recv_mark_bytes, 1048576);
    assert_int_equal(options.send_policy, WEIR_POLICY_PATTERN);
    assert_int_equal(options.send_swap, 0);
    assert_int_equal(options.recv_swap, 0);
    assert_string_equal(weir_options_store(&options), "file");
    assert_string_equal(options.swap_dir, "");
    assert_int_equal(options.linger, 5000);
    assert_int_equal(options.handshake, 30000);
    assert_int_equal(options.reconnect, 100);
    assert_int_equal(options.reconnect_max, 5000);
    assert_int_equal(options.heartbeat, 10000);
    assert_int_equal(options.heartbeat_timeout, 0);
    assert_int_equal(options.max_message, 0);
    assert_int_equal(options.max_frames, 1048576);
    assert_int_equal(options.half_open, 1000);
    assert_int_equal(options.events, 256);
    assert_int_equal(options.spin, 50);
    assert_int_equal(options.routing_id.size, 0);
    assert_string_equal(options.property, "");
    assert_false(options.mandatory || options.immediate);
}

/* Who waits at the mark has a lower one than who drops. */
static void test_default_marks(void **state)
{
    struct weir_options waits;

    (void)state;
    weir_options_init(&waits, WEIR_PUSH);
    assert_int_equal(waits.send_mark_bytes, 1048576);
    assert_int_equal(waits.swap_mode, WEIR_SWAP_SPILL);
    assert_int_equal(waits.swap_sync, WEIR_SPILL_SYNC_ALWAYS);
    assert_int_equal(waits.swap_sync_interval, 100);
    assert_string_equal(waits.swap_name, "");
}

/* Every row is whole, has a name of its own, and its fallback is a value that
 * can be set on every type that has it, and read back. */
static void check_row(const weir_option_info *info, int index)
{
    struct weir_options other;
    weir_option_info earlier = {.size = sizeof earlier};
    int64_t number = -77;
    unsigned type;
    int i;

    assert_true(info->name[0] && strlen(info->doc) > 20);
    assert_int_equal(info->doc[strlen(info->doc) - 1], '.');
    assert_true(info->sockets != 0);
    for (i = 0; i < index; i++) {
        assert_int_equal(weir_options_info(i, &earlier), 0);
        assert_string_not_equal(earlier.name, info->name);
    }
    for (type = WEIR_PAIR; type <= WEIR_XSUB; type++) {
        weir_options_init(&other, (enum weir_type)type);
        if (info->type == WEIR_OPTION_TEXT || info->type == WEIR_OPTION_BYTES)
            continue;
        if (!(info->sockets >> type & 1)) {
            assert_int_equal(weir_options_set_int(&other, info->name, 0),
                             -WEIR_EINCOMPATIBLE);
            continue;
        }
        assert_int_equal(
            weir_options_set_int(&other, info->name, info->fallback), 0);
        assert_int_equal(weir_options_get_int(&other, info->name, &number), 0);
        assert_int_equal(number, info->fallback);
    }
}

static void test_table(void **state)
{
    weir_option_info info = {.size = sizeof info};
    int index = 0;

    (void)state;
    for (; weir_options_info(index, &info) == 0; index++)
        check_row(&info, index);
    assert_int_equal(index, 42);
    assert_int_equal(weir_options_info(index, &info), -ENOENT);
    assert_int_equal(weir_options_info(-1, &info), -ENOENT);
    info.size = 4;
    assert_int_equal(weir_options_info(0, &info), -EINVAL);
}

/* Each value lies in a field of its own: setting one changes no other. */
static void test_fields_apart(void **state)
{
    weir_option_info info = {.size = sizeof info}, other = info;
    int64_t number = 0;
    int i, j;

    (void)state;
    for (i = 0; weir_options_info(i, &info) == 0; i++) {
        weir_options_init(&options, WEIR_ROUTER);
        options.send_mark_bytes = 1048576; /* not what the row says */
        if (!(info.sockets >> WEIR_ROUTER & 1) ||
            weir_options_set_int(&options, info.name, info.fallback + 1) < 0)
            continue;
        for (j = 0; weir_options_info(j, &other) == 0; j++) {
            if (weir_options_get_int(&options, other.name, &number) == 0)
                assert_int_equal(number, other.fallback + (i == j));
        }
    }
}

static void test_numbers(void **state)
{
    static const struct {
        const char *name, *text;
        int64_t number;
    } good[] = {
        {"send-mark", "0", 0},
        {"send-mark", "1000", 1000},
        {"send-mark", "10k", 10000},
        {"send-mark", "2Ki", 2048},
        {"send-mark", "2147483647", INT32_MAX},
        {"send-mark-bytes", "64MB", 64000000},
        {"send-mark-bytes", "64MiB", 67108864},
        {"send-mark-bytes", "1T", 1000000000000},
        {"send-mark-bytes", "1TiB", INT64_C(1) << 40},
        {"send-mark-bytes", "17B", 17},
        {"send-mark-bytes", "1KB", 1000},
        {"linger", "-1", -1},
        {"linger", "forever", -1},
        {"reconnect", "never", -1},
        {"heartbeat", "2500ms", 2500},
        {"heartbeat", "2s", 2000},
        {"heartbeat", "5min", 300000},
        {"heartbeat", "2h", 7200000},
        {"heartbeat", "3000us", 3},
        {"heartbeat", "00012", 12},
        {"spin", "50us", 50},
        {"spin", "1ms", 1000},
        {"spin", "2000ns", 2},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (set(good[i].name, good[i].text) < 0)
            fail_msg("%s", weir_error_text());
        assert_int_equal(get(good[i].name), good[i].number);
    }
    assert_int_equal(options.spin, 2);
}

static void test_bad_numbers(void **state)
{
    static const struct {
        const char *name, *text;
        int code;
    } bad[] = {
        {"send-mark", "", EINVAL},
        {"send-mark", "-", EINVAL},
        {"send-mark", "k", EINVAL},
        {"send-mark", "abc", EINVAL},
        {"send-mark", "1.5", EINVAL},
        {"send-mark", " 1", EINVAL},
        {"send-mark", "1 ", EINVAL},
        {"send-mark", "+1", EINVAL},
        {"send-mark", "0x10", EINVAL},
        {"send-mark", "1ms", EINVAL},
        {"send-mark", "1kB", EINVAL},
        {"send-mark", "forever", EINVAL},
        {"send-mark", "-1", ERANGE},
        {"send-mark", "2147483648", ERANGE},
        {"send-mark", "99999999999999999999999", ERANGE},
        {"send-mark", "-9223372036854775809", ERANGE},
        {"send-mark", "9223372036854775807T", ERANGE},
        {"send-mark-bytes", "BB", EINVAL},
        {"send-mark-bytes", "1BB", EINVAL},
        {"send-mark-bytes", "1ki", EINVAL},
        {"heartbeat", "1500us", EINVAL},
        {"heartbeat", "1M", EINVAL},
        {"heartbeat", "9223372036854775807h", ERANGE},
        {"linger", "-2", ERANGE},
        {"spin", "1001", ERANGE},
        {"spin", "2ms", ERANGE},
        {"events", "0", ERANGE},
        {"mandatory", "2", EINVAL},
        {"mandatory", "true", EINVAL},
        {"mandatory", "", EINVAL},
        {"send-policy", "drop", EINVAL},
        {"send-policy", "", EINVAL},
        {"send-policy", "0", EINVAL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (set(bad[i].name, bad[i].text) != -bad[i].code)
            fail_msg("%s=%s", bad[i].name, bad[i].text);
        assert_says(bad[i].name, bad[i].text);
    }
    assert_int_equal(weir_options_set_text(&options, "send-mark", "1\0", 2),
                     -EINVAL);
    assert_int_equal(options.send_mark, 10000);
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(set("mandatory", "yes"), 0);
    assert_true(options.mandatory);
    assert_int_equal(set("mandatory", "off"), 0);
    assert_false(options.mandatory);
    assert_int_equal(set("send-policy", "drop-old"), 0);
    assert_int_equal(options.send_policy, WEIR_POLICY_DROP_OLD);
    assert_int_equal(set("send-policy", "latest"), 0);
    assert_int_equal(options.send_policy, WEIR_POLICY_LATEST);
    assert_int_equal(set("notify", "both"), 0);
    assert_int_equal(options.notify, WEIR_NOTIFY_BOTH);
    assert_int_equal(set("pace", "throughput"), 0);
    assert_int_equal(options.pace, WEIR_PACE_THROUGHPUT);
}

static void test_set_int(void **state)
{
    (void)state;
    assert_int_equal(weir_options_set_int(&options, "spin", 1000), 0);
    assert_int_equal(weir_options_set_int(&options, "spin", 1001), -ERANGE);
    assert_says("spin", "1001");
    assert_int_equal(weir_options_set_int(&options, "probe", 1), 0);
    assert_int_equal(weir_options_set_int(&options, "probe", 2), -ERANGE);
    assert_int_equal(get("probe"), 1);
    assert_int_equal(weir_options_set_int(&options, "notify", 3), 0);
    assert_int_equal(weir_options_set_int(&options, "notify", 4), -ERANGE);
    assert_int_equal(weir_options_set_int(&options, "property", 4), -EINVAL);
    assert_int_equal(weir_options_set_int(&options, "nope", 4), -ENOENT);
    assert_says("nope", "no option");
}

static void test_type_of_socket(void **state)
{
    (void)state;
    assert_int_equal(set("correlate", "1"), -WEIR_EINCOMPATIBLE);
    assert_says("ROUTER", "correlate");
    weir_options_init(&options, WEIR_PULL);
    assert_int_equal(set("send-mark", "1"), -WEIR_EINCOMPATIBLE);
    assert_says("PULL", "send-mark");
    assert_int_equal(set("recv-mark", "1"), 0);
}

static void test_bytes(void **state)
{
    char id[256], out[256];
    size_t room = sizeof out;

    (void)state;
    memset(id, 'x', sizeof id);
    id[7] = '\0';
    assert_int_equal(weir_options_set_bytes(&options, "routing-id", id, 255),
                     0);
    assert_int_equal(weir_options_get_bytes(&options, "routing-id", out, &room),
                     0);
    assert_int_equal(room, 255);
    assert_memory_equal(out, id, 255);
    room = 254;
    assert_int_equal(weir_options_get_bytes(&options, "routing-id", out, &room),
                     -ERANGE);
    assert_int_equal(room, 255);
    assert_int_equal(weir_options_set_bytes(&options, "routing-id", id, 256),
                     -ERANGE);
    assert_int_equal(weir_options_set_bytes(&options, "routing-id", "\0a", 2),
                     -EINVAL);
    assert_says("routing-id", "NUL");
    assert_int_equal(weir_options_set_bytes(&options, "routing-id", NULL, 0),
                     0);
    assert_int_equal(options.routing_id.size, 0);
    assert_int_equal(weir_options_set_bytes(&options, "spin", "1", 1), -EINVAL);
    assert_int_equal(weir_options_get_bytes(&options, "spin", out, &room),
                     -EINVAL);
}

static void test_property(void **state)
{
    struct weir_option_property property;
    const char *cursor = options.property;
    char out[64];
    size_t room = 10;

    (void)state;
    assert_int_equal(set("property", "X-a:1,X-b_2:x:y,X-c:"), 0);
    assert_true(weir_options_property(&cursor, &property));
    assert_memory_equal(property.name, "X-a", property.name_size);
    assert_memory_equal(property.value, "1", property.value_size);
    assert_true(weir_options_property(&cursor, &property));
    assert_int_equal(property.name_size, 5);
    assert_int_equal(property.value_size, 3);
    assert_memory_equal(property.value, "x:y", 3);
    assert_true(weir_options_property(&cursor, &property));
    assert_int_equal(property.value_size, 0);
    assert_false(weir_options_property(&cursor, &property));

    assert_int_equal(weir_options_get_bytes(&options, "property", out, &room),
                     -ERANGE);
    assert_int_equal(room, 21);
    assert_int_equal(weir_options_get_bytes(&options, "property", out, &room),
                     0);
    assert_int_equal(room, 20);
    assert_string_equal(out, "X-a:1,X-b_2:x:y,X-c:");
    assert_int_equal(set("property", ""), 0);
    assert_string_equal(options.property, "");
}

static void test_bad_property(void **state)
{
    static const char *const bad[] = {"a:1", "X-:1",      "X-a",    "X-a:1,",
                                      ",",   "X-a:1,b:2", "x-a:1",  "X-a b:1",
                                      ":1",  "X-a:1,,",   "X-a/b:2"};
    char text[WEIR_PROPERTY_MAX + 2];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        /* A comma at the very end is nothing more. */
        int code = strcmp(bad[i], "X-a:1,") ? -EINVAL : 0;

        assert_int_equal(set("property", bad[i]), code);
    }
    memset(text, 'x', sizeof text);
    memcpy(text, "X-a:", 4);
    assert_int_equal(weir_options_set_bytes(&options, "property", text,
                                            WEIR_PROPERTY_MAX + 1),
                     -ERANGE);
    assert_int_equal(weir_options_set_bytes(&options, "property", text,
                                            WEIR_PROPERTY_MAX),
                     0);
    assert_int_equal(strlen(options.property), WEIR_PROPERTY_MAX);
    assert_int_equal(weir_options_set_bytes(&options, "property", "X-a:\0", 5),
                     -EINVAL);
}

static void assert_text(const char *name, const char *expected)
{
    char text[64];
    size_t room = sizeof text;

    assert_int_equal(weir_options_get_text(&options, name, text, &room), 0);
    assert_string_equal(text, expected);
    assert_int_equal(room, strlen(expected));
    assert_int_equal(set(name, text), 0);
}

static void test_get_text(void **state)
{
    char text[8];
    size_t room = 5;

    (void)state;
    assert_text("send-mark", "10000");
    assert_text("mandatory", "no");
    assert_text("send-policy", "pattern");
    assert_int_equal(set("notify", "both"), 0);
    assert_text("notify", "both");
    assert_int_equal(set("send-policy", "drop-new"), 0);
    assert_text("send-policy", "drop-new");
    assert_int_equal(set("linger", "-1"), 0);
    assert_text("linger", "-1");
    assert_int_equal(set("routing-id", "me"), 0);
    assert_text("routing-id", "me");
    assert_text("property", "");
    assert_int_equal(weir_options_get_text(&options, "send-mark", text, &room),
                     -ERANGE);
    assert_int_equal(room, 6);
    assert_int_equal(weir_options_get_text(&options, "nope", text, &room),
                     -ENOENT);
}

static void test_find(void **state)
{
    (void)state;
    assert_null(weir_options_find("nope"));
    assert_true(weir_options_find("send-mark")->flags & WEIR_OPTION_ENDPOINT);
    assert_false(weir_options_find("mandatory")->flags & WEIR_OPTION_ENDPOINT);
}

static const weir_option rows[] = {
    {.name = "backlog", .type = WEIR_OPTION_INT, .max = 100, .fallback = 9},
    {.name = "mode",
     .type = WEIR_OPTION_TEXT,
     .max = 8,
     .fallback_text = "0600"},
    {.name = "key", .type = WEIR_OPTION_BYTES, .min = 2, .max = 4},
    {.name = "fixed", .type = WEIR_OPTION_BOOL, .flags = WEIR_OPTION_READ_ONLY},
};

static void test_values(void **state)
{
    struct weir_values values;
    int64_t number = 0;
    char out[16];
    size_t room = sizeof out;

    (void)state;
    weir_values_init(&values, rows, 4);
    assert_int_equal(weir_values_get_int(&values, "backlog", &number), 0);
    assert_int_equal(number, 9);
    assert_int_equal(weir_values_get_bytes(&values, "mode", out, &room), 0);
    assert_string_equal(out, "0600");

    assert_int_equal(weir_values_set_text(&values, "backlog", "5", 1), 0);
    assert_int_equal(weir_values_set_text(&values, "mode", "0660", 4), 0);
    assert_int_equal(weir_values_set_text(&values, "mode", "07", 2), 0);
    assert_int_equal(weir_values_set_text(&values, "key", "\0\1", 2), 0);
    assert_int_equal(weir_values_get_int(&values, "backlog", &number), 0);
    assert_int_equal(number, 5);
    room = sizeof out;
    assert_int_equal(weir_values_get_bytes(&values, "mode", out, &room), 0);
    assert_string_equal(out, "07");
    assert_int_equal(room, 2);
    assert_int_equal(weir_values_get_bytes(&values, "key", out, &room), 0);
    assert_memory_equal(out, "\0\1", 2);
    weir_values_fini(&values);
}

static void test_bad_values(void **state)
{
    struct weir_values values;
    int64_t number = 0;
    size_t room = 0;

    (void)state;
    weir_values_init(&values, rows, 4);
    assert_int_equal(weir_values_set_text(&values, "nope", "1", 1), -ENOENT);
    assert_int_equal(weir_values_set_text(&values, "backlog", "101", 3),
                     -ERANGE);
    assert_int_equal(weir_values_set_text(&values, "key", "1", 1), -ERANGE);
    assert_int_equal(weir_values_set_text(&values, "mode", "123456789", 9),
                     -ERANGE);
    assert_int_equal(weir_values_set_text(&values, "mode", "1\0", 2), -EINVAL);
    assert_int_equal(weir_values_set_text(&values, "fixed", "1", 1), -EINVAL);
    assert_int_equal(weir_values_get_int(&values, "mode", &number), -EINVAL);
    assert_int_equal(weir_values_get_int(&values, "nope", &number), -ENOENT);
    assert_int_equal(weir_values_get_bytes(&values, "backlog", NULL, &room),
                     -EINVAL);
    assert_int_equal(weir_values_get_bytes(&values, "mode", NULL, &room),
                     -ERANGE);
    assert_int_equal(room, 5);
    weir_values_fini(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, fresh),
        cmocka_unit_test(test_default_marks),
        cmocka_unit_test_setup(test_table, fresh),
        cmocka_unit_test_setup(test_fields_apart, fresh),
        cmocka_unit_test_setup(test_numbers, fresh),
        cmocka_unit_test_setup(test_bad_numbers, fresh),
        cmocka_unit_test_setup(test_words, fresh),
        cmocka_unit_test_setup(test_set_int, fresh),
        cmocka_unit_test_setup(test_type_of_socket, fresh),
        cmocka_unit_test_setup(test_bytes, fresh),
        cmocka_unit_test_setup(test_property, fresh),
        cmocka_unit_test_setup(test_bad_property, fresh),
        cmocka_unit_test_setup(test_get_text, fresh),
        cmocka_unit_test_setup(test_find, fresh),
        cmocka_unit_test_setup(test_values, fresh),
        cmocka_unit_test_setup(test_bad_values, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
