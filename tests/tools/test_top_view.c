/* What weir top shows of two reports: figures, lines, JSON. */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tools/text.h"
#include "tools/top_view.h"
#include "tools/tree.h"

static const char before[] =
    "{\"pid\": 7, \"time_ns\": 1000000000, \"sockets\": ["
    "{\"id\": 1, \"generation\": 1, \"type\": \"PUSH\", \"written\": 100,"
    " \"decoded\": 0, \"peers\": [{\"id\": 1, \"written\": 10},"
    " {\"id\": 2, \"written\": 90}]},"
    "{\"id\": 2, \"generation\": 1, \"type\": \"PULL\", \"decoded\": 5}]}";

static const char now[] =
    "{\"program\": \"demo\", \"pid\": 7, \"context\": 0,"
    " \"time_ns\": 3000000000, \"sockets\": ["
    "{\"id\": 1, \"generation\": 1, \"type\": \"PUSH\", \"written\": 300,"
    " \"decoded\": 0, \"send_queued\": 4, \"peers_ready\": 2,"
    " \"send_dropped\": {\"mark\": 6}, \"recv_dropped\": {\"stale\": 2},"
    " \"last_reason\": \"because\\u001b\","
    " \"swap\": {\"bytes\": 123456, \"swapped\": 9},"
    " \"endpoints\": [{\"url\": \"tcp://a:1\", \"bound\": true}],"
    " \"peers\": [{\"id\": 1, \"peer\": \"slow\", \"written\": 12},"
    " {\"id\": 2, \"peer\": \"a very long address of a peer: 1\","
    "  \"written\": 288}]},"
    "{\"id\": 2, \"generation\": 3, \"type\": \"PULL\", \"decoded\": 700,"
    " \"recv_queued\": 5}]}";

static struct weir_tree old_tree, new_tree, no_tree;
static struct weir_text out;

static void read_tree(struct weir_tree *tree, const char *text)
{
    struct weir_json_error error;

    if (weir_tree_read(tree, text, strlen(text), &error) != 0)
        fail_msg("column %zu: %s", error.column, error.rule);
}

static void write_view(size_t peers, int columns, int rows, bool json)
{
    const struct weir_top_program programs[] = {
        {"demo.7.0", "", &new_tree, &old_tree},
        {"other", "no answer", &no_tree, &old_tree},
    };
    const struct weir_top_view view = {programs, 2, peers, false};

    read_tree(&old_tree, before);
    read_tree(&new_tree, now);
    weir_text_clear(&out);
    if (json)
        weir_top_write_json(&view, &out);
    else
        weir_top_write(&view, columns, rows, &out);
}

static void test_lines(void **state)
{
    (void)state;
    write_view(5, 80, 0, false);
    assert_string_equal(
        weir_text_string(&out),
        "socket                   peers    in/s   out/s  unread  unsent drops/s"
        " dropped\n"
        "\n"
        "demo.7.0: demo, pid 7, context 0\n"
        "PUSH    1                    2       0     100       0       4       4"
        "       8\n"
        "    at tcp://a:1\n"
        "    dropped, not sent: 6 mark\n"
        "    dropped, not received: 2 stale\n"
        "    swap: 123k octets above the mark, 9 messages ever written\n"
        "    last: because\\x1b\n"
        "    a very long address of~          0      99       0       0"
        "       0       0\n"
        "    slow                             0       1       0       0"
        "       0       0\n"
        /* it is another one than before, so there is no rate */
        "PULL    2                    0                       5       0"
        "               0\n"
        "\n"
        "other: no answer\n");
}

/* The busiest peer alone, narrow lines, and as many as fit. */
static void test_room(void **state)
{
    (void)state;
    write_view(1, 20, 8, false);
    assert_string_equal(weir_text_string(&out), "socket              \n"
                                                "\n"
                                                "demo.7.0: demo, pid \n"
                                                "PUSH    1           \n"
                                                "    at tcp://a:1\n"
                                                "    dropped, not sen\n"
                                                "    dropped, not rec\n"
                                                "(7 lines more)\n");
}

/* A report of one socket whose peers stand in this order or the other. */
static void read_long(struct weir_tree *tree, int n, bool backwards,
                      uint64_t time, int step)
{
    struct weir_text text = {0};

    weir_text_format(&text,
                     "{\"pid\": 7, \"time_ns\": %" PRIu64
                     ", \"sockets\": [{\"id\": 1, \"type\": \"PUB\","
                     " \"peers\": [",
                     time);
    for (int i = 0; i < n; i++) {
        int id = backwards ? n - i : i + 1;

        weir_text_format(&text, "%s{\"id\": %d, \"written\": %d}",
                         i ? ", " : "", id, id * step);
    }
    weir_text_format(&text, "]}]}");
    read_tree(tree, weir_text_string(&text));
    weir_text_fini(&text);
}

/* However many there are, each is compared with itself, and soon: one by one
 * through the list it would take minutes. */
static void test_long(void **state)
{
    enum { MANY = 60000 };
    const struct weir_top_program program = {"a", "", &new_tree, &old_tree};
    const struct weir_top_view view = {&program, 1, 1, false};
    struct timespec since, until;

    (void)state;
    read_long(&old_tree, MANY, true, 1000000000, 1);
    read_long(&new_tree, MANY, false, 2000000000, 2);
    weir_text_clear(&out);
    clock_gettime(CLOCK_MONOTONIC, &since);
    weir_top_write(&view, 80, 0, &out);
    clock_gettime(CLOCK_MONOTONIC, &until);
    /* the last has the most: 60000 each second */
    assert_non_null(strstr(weir_text_string(&out), " 60000 "));
    assert_in_range(until.tv_sec - since.tv_sec, 0, 10);
}

static void test_json(void **state)
{
    struct weir_tree tree = {0};
    const struct weir_tree_node *program, *socket;

    (void)state;
    write_view(1, 80, 0, true);
    read_tree(&tree, weir_text_string(&out));
    program = weir_tree_first(
        &tree, weir_tree_member(&tree, weir_tree_root(&tree), "programs"));
    assert_string_equal(weir_tree_text(&tree, program, "target"), "demo.7.0");
    socket =
        weir_tree_first(&tree, weir_tree_member(&tree, program, "sockets"));
    assert_int_equal(weir_tree_number(&tree, socket, "out_rate"), 100);
    assert_int_equal(weir_tree_number(&tree, socket, "dropped"), 8);
    assert_int_equal(weir_tree_number(&tree, socket, "swap_bytes"), 123456);
    assert_string_equal(weir_tree_text(&tree, socket, "last_reason"),
                        "because\x1b");
    socket = weir_tree_next(&tree, socket);
    assert_int_equal(weir_tree_member(&tree, socket, "in_rate")->kind,
                     WEIR_TREE_NULL);
    program = weir_tree_next(&tree, program);
    assert_string_equal(weir_tree_text(&tree, program, "error"), "no answer");
    weir_tree_fini(&tree);
}

static void test_short(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0"},          {99999, "99999"}, {100000, "100k"},
        {999499, "999k"},  {999501, "1.0M"}, {1234567, "1.2M"},
        {12345678, "12M"}, {9.99e8, "999M"}, {1e12, "1.0T"},
        {1.8e19, "18E"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_text_clear(&out);
        weir_top_short(&out, cases[i].number);
        assert_string_equal(weir_text_string(&out), cases[i].text);
    }
}

static int fini(void **state)
{
    (void)state;
    weir_tree_fini(&old_tree);
    weir_tree_fini(&new_tree);
    weir_text_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_room),
        cmocka_unit_test(test_long),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_short),
    };

    return cmocka_run_group_tests(tests, NULL, fini);
}
