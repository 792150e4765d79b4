/* The text format of Prometheus, by its rules: each metric begins with HELP and
 * TYPE and stands in one place, counters end in _total, labels are escaped. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/prometheus.h"

static const char report[] =
    "{\"program\": \"a\\\"b\\\\c\\nd\", \"pid\": 7, \"context\": 1,"
    " \"sockets\": [{\"id\": 3, \"generation\": 5, \"type\": \"PUB\","
    " \"peers_ready\": 2, \"accepted\": 18446744073709551615,"
    " \"send_dropped\": {\"mark\": 6, \"no-route\": 1},"
    " \"swap\": {\"bytes\": 10, \"swapped\": 4},"
    " \"peers\": [{\"id\": 9, \"peer\": \"host:1\", \"written\": 8}]}]}";

static struct weir_tree tree, nothing;
static struct weir_text out;

static int write_all(void **state)
{
    struct weir_json_error error;
    struct weir_prometheus_target targets[] = {
        {"one", &tree}, {"gone", &nothing}, {"two", &tree}};

    (void)state;
    if (weir_tree_read(&tree, report, strlen(report), &error) != 0)
        return -1;
    weir_prometheus_write(&out, targets, 3);
    return 0;
}

static int fini(void **state)
{
    (void)state;
    weir_tree_fini(&tree);
    weir_text_fini(&out);
    return 0;
}

static void expect(const char *line)
{
    if (!strstr(weir_text_string(&out), line))
        fail_msg("no '%s' in: %s", line, weir_text_string(&out));
}

static void test_samples(void **state)
{
    (void)state;
    expect("\nweir_up{target=\"one\"} 1\nweir_up{target=\"gone\"} 0\n");
    expect("\nweir_socket_accepted_messages_total{target=\"one\","
           "program=\"a\\\"b\\\\c\\nd\",pid=\"7\",context=\"1\",socket=\"3\","
           "generation=\"5\",type=\"PUB\"} 18446744073709551615\n");
    expect("type=\"PUB\",reason=\"no-route\"} 1\n");
    expect("type=\"PUB\",peer_id=\"9\",peer=\"host:1\"} 8\n");
    expect("\nweir_socket_swapped_messages_total{");
}

/* The metric that a sample is one of. */
static void name_of(const char *line, char name[100])
{
    size_t size = strcspn(line, "{ ");

    assert_in_range(size, 1, 99);
    memcpy(name, line, size);
    name[size] = '\0';
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), size);
}

static void check_type(const char *line, const char *name)
{
    char want[200];
    size_t size = strlen(name);
    bool total = size > 6 && strcmp(name + size - 6, "_total") == 0;

    snprintf(want, sizeof want, "# TYPE %s %s", name,
             total ? "counter" : "gauge");
    assert_string_equal(line, want);
}

/* HELP, TYPE, samples; and no metric a second time. */
static void test_order(void **state)
{
    char *text = strdup(weir_text_string(&out)), *rest = text, *line;
    char metric[100] = "", name[100], seen[8192] = " ";

    (void)state;
    assert_non_null(text);
    assert_int_equal(out.data[out.size - 1], '\n');
    while ((line = strtok_r(rest, "\n", &rest))) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            name_of(line + 7, metric);
            snprintf(name, sizeof name, " %.90s ", metric);
            assert_null(strstr(seen, name));
            assert_true(strlen(seen) + strlen(name) < sizeof seen);
            strcat(seen, name);
            line = strtok_r(rest, "\n", &rest);
            assert_non_null(line);
            check_type(line, metric);
            continue;
        }
        name_of(line, name);
        assert_string_equal(name, metric);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, write_all, fini);
}
