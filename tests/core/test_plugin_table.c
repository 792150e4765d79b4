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
#include "plugin_table.h"

/* A sound plugin; each test changes something about its own copy. */
static weir_option row;
static weir_option rows[2];
static weir_transport_ops ops;
static weir_store_ops store;
static weir_provider providers[2];
static weir_plugin table;

/* Never called. */
static int bind_one(const weir_host *host, const weir_transport_host *more,
                    weir_ep *ep, const char *scheme, const char *address,
                    char *actual, size_t room, void **self, weir_error *error)
{
    (void)host, (void)more, (void)ep, (void)scheme, (void)address;
    (void)actual, (void)room, (void)self, (void)error;
    return -EOPNOTSUPP;
}

static int dial_one(const weir_host *host, const weir_transport_host *more,
                    weir_ep *ep, const char *scheme, const char *address,
                    void **self, weir_error *error)
{
    (void)host, (void)more, (void)ep, (void)scheme, (void)address;
    (void)self, (void)error;
    return -EOPNOTSUPP;
}

static int attach_one(void *self, weir_reactor *reactor, weir_error *error)
{
    (void)self, (void)reactor, (void)error;
    return -EOPNOTSUPP;
}

static void take_one(void *self)
{
    (void)self;
}

static int open_one(const weir_host *host, const weir_store_args *args,
                    void **self, weir_error *error)
{
    (void)host, (void)args, (void)self, (void)error;
    return -EOPNOTSUPP;
}

static int64_t write_one(void *self, const struct iovec *parts, int n,
                         uint32_t messages, uint64_t first, weir_error *error)
{
    (void)self, (void)parts, (void)n, (void)messages, (void)first, (void)error;
    return -EOPNOTSUPP;
}

static ssize_t read_one(void *self, int64_t handle, void *data, size_t room,
                        weir_error *error)
{
    (void)self, (void)handle, (void)data, (void)room, (void)error;
    return -EOPNOTSUPP;
}

static int done_one(void *self, int64_t handle, uint64_t through,
                    weir_error *error)
{
    (void)self, (void)handle, (void)through, (void)error;
    return -EOPNOTSUPP;
}

static int recover_one(void *self, weir_block *block, uint32_t *consumed,
                       weir_error *error)
{
    (void)self, (void)block, (void)consumed, (void)error;
    return 0;
}

static int sync_one(void *self, weir_error *error)
{
    (void)self, (void)error;
    return -EOPNOTSUPP;
}

static void stat_one(void *self, weir_store_stat *stat)
{
    (void)self, (void)stat;
}

static void close_one(void *self, int keep)
{
    (void)self, (void)keep;
}

static int sound(void **state)
{
    (void)state;
    row = (weir_option){
        .name = "one", .doc = "One.", .type = WEIR_OPTION_INT, .max = 9};
    rows[0] = rows[1] = row;
    rows[1].name = "two";
    ops = (weir_transport_ops){.size = sizeof ops,
                               .abilities = WEIR_CAN_BIND | WEIR_CAN_DIAL,
                               .schemes = "a b+c",
                               .options = rows,
                               .n_options = 2,
                               .bind = bind_one,
                               .dial = dial_one,
                               .attach = attach_one,
                               .retry = take_one,
                               .cancel = take_one,
                               .close = take_one};
    providers[0] =
        (weir_provider){.kind = WEIR_TRANSPORT, .id = "a", .ops = &ops};
    store = (weir_store_ops){.size = sizeof store,
                             .modes = 1u << WEIR_STORE_SPILL |
                                      1u << WEIR_STORE_DURABLE,
                             .options = rows,
                             .n_options = 2,
                             .open = open_one,
                             .write = write_one,
                             .read = read_one,
                             .done = done_one,
                             .recover = recover_one,
                             .sync = sync_one,
                             .stat = stat_one,
                             .close = close_one};
    providers[1] = (weir_provider){.kind = 77, .id = "later", .ops = &row};
    table = (weir_plugin){.magic = WEIR_PLUGIN_MAGIC,
                          .size = sizeof table,
                          .n_providers = 2,
                          .name = "transport_a",
                          .version = "1",
                          .license = "MIT",
                          .summary = "A.",
                          .providers = providers};
    return 0;
}

static int check(void)
{
    return weir_plugin_table_check(&table, "transport_a");
}

static void assert_sound(void)
{
    if (check() < 0)
        fail_msg("%s", weir_error_text());
}

static void assert_wrong(const char *text)
{
    weir_error_clear();
    assert_int_equal(check(), -WEIR_EPLUGIN);
    if (!strstr(weir_error_text(), text))
        fail_msg("\"%s\" lacks \"%s\"", weir_error_text(), text);
}

static void test_sound(void **state)
{
    (void)state;
    assert_sound();
    ops.schemes = "a";
    ops.n_options = 0;
    ops.options = NULL;
    assert_sound();
    table.size += 64; /* a later one */
    ops.size += 64;
    assert_sound();
}

static void test_head(void **state)
{
    (void)state;
    table.magic++;
    assert_wrong("magic");
    sound(state);
    table.size = sizeof table - 1;
    assert_wrong("octets");
    sound(state);
    table.need_minor = WEIR_ABI_MINOR + 1;
    assert_wrong("ABI 1.");
    sound(state);
    table.name = "transport_b";
    assert_wrong("\"transport_b\"");
    table.name = NULL;
    assert_wrong("transport_a");
    sound(state);
    table.summary = NULL;
    assert_wrong("summary");
}

static void test_providers(void **state)
{
    (void)state;
    table.n_providers = 0;
    assert_wrong("0 providers");
    table.n_providers = 65;
    assert_wrong("65 providers");
    sound(state);
    table.providers = NULL;
    assert_wrong("providers");
    sound(state);
    providers[1].id = NULL;
    assert_wrong("no id");
    sound(state);
    providers[0].ops = NULL;
    assert_wrong("no ops");
}

static void test_slots(void **state)
{
    (void)state;
    ops.bind = NULL;
    assert_wrong("no bind");
    ops.abilities = WEIR_CAN_DIAL;
    assert_sound();
    ops.dial = NULL;
    assert_wrong("no dial");
    sound(state);
    ops.retry = NULL;
    assert_wrong("no retry");
    sound(state);
    ops.cancel = NULL;
    assert_wrong("no cancel");
    ops.abilities = WEIR_CAN_BIND;
    assert_sound();
    ops.attach = NULL;
    assert_wrong("no attach");
    sound(state);
    ops.close = NULL;
    assert_wrong("no close");
    sound(state);
    ops.size = offsetof(weir_transport_ops, close);
    assert_wrong("no close");
    ops.size = 4;
    assert_wrong("table");
    sound(state);
    ops.abilities = WEIR_CAN_MULTICAST;
    assert_wrong("neither");
}

static void test_schemes(void **state)
{
    static const char *const wrong[] = {"",   "A",  "a  b", " a",
                                        "a ", "a/", "../a", "a,b"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ops.schemes = wrong[i];
        assert_wrong("schemes");
    }
    ops.schemes = NULL;
    assert_wrong("schemes");
}

static void test_option_lists(void **state)
{
    (void)state;
    ops.n_options = 257;
    assert_wrong("options");
    ops.n_options = 2;
    ops.options = NULL;
    assert_wrong("options");
}

static void test_option_rows(void **state)
{
    (void)state;
    rows[1].name = NULL;
    assert_wrong("option 1 has no name");
    rows[1].name = "Two";
    assert_wrong("option 1 has no name");
    rows[1].name = "two=";
    assert_wrong("option 1 has no name");
    rows[1].name = "";
    assert_wrong("option 1 has no name");
    rows[1].name = "one";
    assert_wrong("\"one\" is there twice");
    rows[1].name = "linger";
    assert_wrong("\"linger\" has the name of an option of all");
    sound(state);
    rows[1].doc = NULL;
    assert_wrong("\"two\" has no doc");
    sound(state);
    rows[1].type = 0;
    assert_wrong("type");
    rows[1].type = 6;
    assert_wrong("type");
}

static void test_numbers(void **state)
{
    (void)state;
    rows[1].min = 10;
    assert_wrong("minimum above");
    rows[1].min = 1;
    assert_wrong("default outside");
    rows[1].fallback = 10;
    assert_wrong("default outside");
    rows[1].fallback = 9;
    assert_sound();
    rows[1].type = WEIR_OPTION_BOOL;
    assert_wrong("default outside");
    rows[1].type = WEIR_OPTION_CHOICE;
    assert_wrong("choices");
    rows[1].choices = "";
    assert_wrong("choices");
    rows[1].choices = "a  b";
    assert_wrong("choices");
    rows[1].choices = "a b";
    assert_wrong("default outside");
    rows[1].fallback = 1;
    assert_sound();
}

static void test_octets(void **state)
{
    (void)state;
    rows[1].type = WEIR_OPTION_TEXT;
    assert_sound();
    rows[1].fallback_text = "0123456789";
    assert_wrong("default outside");
    rows[1].max = 10;
    assert_sound();
    rows[1].min = -1;
    assert_wrong("range");
    rows[1].min = 11;
    assert_wrong("range");
    rows[1].min = 0;
    rows[1].max = 65536;
    assert_wrong("range");
}

/* ---- stores ---- */

static int sound_store(void **state)
{
    (void)sound(state);
    providers[0] =
        (weir_provider){.kind = WEIR_STORE, .id = "a", .ops = &store};
    return 0;
}

/* Those that only one of the modes has to have, and those of both. */
static void test_store_slots(void **state)
{
#define WITHOUT(slot)                                         \
    (void)sound_store(state);                                 \
    store.slot = NULL;                                        \
    assert_wrong("store \"a\" has no " #slot);                \
    (void)sound_store(state);                                 \
    store.size = offsetof(weir_store_ops, slot);              \
    assert_wrong(store.size <= offsetof(weir_store_ops, open) \
                     ? "has no open"                          \
                     : "store \"a\" has no ")

    assert_sound();
    WITHOUT(open);
    WITHOUT(write);
    WITHOUT(read);
    WITHOUT(done);
    WITHOUT(recover);
    WITHOUT(sync);
    WITHOUT(stat);
    WITHOUT(close);
#undef WITHOUT
    store.size = 4;
    assert_wrong("whole table");
}

static void test_store_modes(void **state)
{
    (void)state;
    store.modes = 1u << WEIR_STORE_SPILL;
    store.recover = NULL;
    store.sync = NULL;
    assert_sound();
    store.modes = 0;
    assert_wrong("neither of the modes");
    store.modes = 1;
    assert_wrong("neither of the modes");
}

static void test_store_ids(void **state)
{
    static const char *const wrong[] = {
        "A",
        "a/b",
        "../a",
        ".a",
        "a b",
        "a-name-that-is-so-long-that-no-stem-of-a-plugin-has-room-for-it"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        providers[0].id = wrong[i];
        assert_wrong("not the name");
    }
}

static void test_store_options(void **state)
{
    (void)state;
    rows[1].name = "one";
    assert_wrong("twice");
    store.options = NULL;
    assert_wrong("options");
    store.n_options = 0;
    assert_sound();
}

#define STORE(test) cmocka_unit_test_setup(test, sound_store)
#define CASE(test)  cmocka_unit_test_setup(test, sound)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sound),          CASE(test_head),
        CASE(test_providers),      CASE(test_slots),
        CASE(test_schemes),        CASE(test_option_lists),
        CASE(test_option_rows),    CASE(test_numbers),
        CASE(test_octets),         STORE(test_store_slots),
        STORE(test_store_modes),   STORE(test_store_ids),
        STORE(test_store_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
