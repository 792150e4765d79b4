/*
 * The registry is one for the process and forgets nothing, so the order of
 * the tests matters: all that must not load comes before "transport_good".
 * Each test has its own folders under a new one, and sets the environment.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/privileged.h"
#include "registry.h"
#include <weir/weir.h>

#define BUILT FIXTURES "/" LT_OBJDIR

static bool privileged;
static char one[64], two[64];
static const weir_transport_ops *ops;
static const char *owner;

/* In place of the one in base: the linker takes the first. */
bool weir_privileged(void)
{
    return privileged;
}

static int host_fail(weir_error *error, int code, const char *format, ...)
{
    va_list arguments;

    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, error->room, format, arguments);
    va_end(arguments);
    return -code;
}

static const weir_host host = {
    .size = sizeof host, .version = "test", .fail = host_fail};

/* ---- files ---- */

static const char *path(const char *folder, const char *name)
{
    static char text[2][512];
    static int turn;

    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static size_t slurp(const char *file, char *data, size_t room)
{
    FILE *stream = fopen(file, "rb");
    size_t size;

    if (!stream)
        fail_msg("no %s: %s", file, strerror(errno));
    size = fread(data, 1, room, stream);
    assert_true(size < room);
    fclose(stream);
    return size;
}

static void spill(const char *file, const void *data, size_t size)
{
    FILE *stream = fopen(file, "wb");

    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(file, 0644), 0);
}

static char octets[4 << 20];

/* Copy a fixture under some name. */
static void put(const char *folder, const char *fixture, const char *name)
{
    size_t size = slurp(path(BUILT, fixture), octets, sizeof octets);

    spill(path(folder, name), octets, size);
}

static void remove_all(const char *folder)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    char both[160];

    (void)state;
    strcpy(one, "/tmp/weir-one-XXXXXX");
    strcpy(two, "/tmp/weir-two-XXXXXX");
    if (!mkdtemp(one) || !mkdtemp(two))
        return -1;
    snprintf(both, sizeof both, "%s:%s", one, two);
    setenv("WEIR_PLUGIN_PATH", both, 1);
    unsetenv("WEIR_PLUGINS");
    privileged = false;
    weir_registry_set_host(&host);
    weir_error_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_all(one);
    remove_all(two);
    return 0;
}

/* ---- what is asked of each ---- */

static void assert_says(const char *text)
{
    if (!strstr(weir_error_text(), text))
        fail_msg("\"%s\" lacks \"%s\"", weir_error_text(), text);
}

static void assert_fails(const char *scheme, const char *first,
                         const char *second)
{
    weir_error_clear();
    assert_int_equal(weir_registry_transport(scheme, &ops, &owner),
                     -WEIR_EPLUGIN);
    assert_says(first);
    assert_says(second);
}

static void assert_loads(const char *scheme, const char *plugin)
{
    if (weir_registry_transport(scheme, &ops, &owner) < 0)
        fail_msg("%s", weir_error_text());
    assert_string_equal(owner, plugin);
}

struct wanted {
    const char *name, *folder;
    weir_plugin_info found;
    int n;
};

static int see(void *arg, const weir_plugin_info *info)
{
    struct wanted *wanted = arg;

    assert_int_equal(info->size, sizeof *info);
    if (strcmp(info->name, wanted->name) == 0 &&
        strncmp(info->file, wanted->folder, strlen(wanted->folder)) == 0) {
        wanted->found = *info;
        wanted->n++;
    }
    return 0;
}

/* What a scan says of the one plugin of that name in a folder. */
static weir_plugin_info scan(const char *folder, const char *name, bool load)
{
    struct wanted wanted = {.name = name, .folder = folder};

    assert_int_equal(weir_plugin_scan(load, see, &wanted), 0);
    assert_int_equal(wanted.n, 1);
    return wanted.found;
}

static void need_fixtures(void)
{
#ifdef WEIR_PRELOADED
    skip(); /* built without shared objects */
#endif
}

/* ---- what is in libweir ---- */

/* Where the plugins are a part of libweir.  Before any scan that loads. */
static void test_inside(void **state)
{
    (void)state;
#ifdef WEIR_PRELOADED
    weir_plugin_info info = scan("this program", "transport_tcp", false);

    assert_int_equal(info.state, WEIR_PLUGIN_AVAILABLE);
    assert_loads("tcp", "transport_tcp");
    info = scan("this program", "transport_tcp", false);
    assert_int_equal(info.state, WEIR_PLUGIN_LOADED);
    assert_string_equal(info.provides, "tcp");
    assert_fails("t.cp", "no plugin transport_t.cp", one);
    setenv("WEIR_PLUGINS", "^ipc", 1);
    assert_fails("ipc", "transport_ipc is disabled", "^ipc");
#else
    skip();
#endif
}

/* ---- what must not load ---- */

static void test_missing(void **state)
{
    (void)state;
    assert_fails("nowhere", one, two);
    assert_says("transport_nowhere.so");
    assert_says("weir itself has none of that name");
    assert_null(strstr(weir_error_text(), "package"));
    assert_says(WEIR_PLUGIN_DIR);
    assert_fails("epgm", "install the package weir-transport-pgm", one);
    assert_int_equal(weir_registry_transport("../x", &ops, &owner), -EINVAL);
}

/* A folder is named whole, or counted; and the sentence about one that does not
 * count has room behind that. */
static void test_missing_among_many(void **state)
{
    const weir_store_ops *store;
    static const char rest[] = "ffffffffffffffffffffffffffffffffffffffffffffff";
    char folders[1024] = "";
    size_t used = 0;

    (void)state;
    for (int i = 0; i < 9; i++)
        used += (size_t)snprintf(folders + used, sizeof folders - used,
                                 "/%d/%s:", i, rest);
    snprintf(folders + used, sizeof folders - used, "relative");
    assert_int_equal(setenv("WEIR_PLUGIN_PATH", folders, 1), 0);
    snprintf(folders, sizeof folders, "in /0/%s, /1/%s, /2/%s", rest, rest,
             rest);
    assert_fails("nowhere", folders, "`weir plugins`");
    assert_says(" more, but not in \"relative\" of WEIR_PLUGIN_PATH");
    assert_int_equal(weir_registry_store("kept_by_a_name_that_is_long", &store,
                                         NULL),
                     -WEIR_EPLUGIN);
    assert_says("octets");
    snprintf(folders, sizeof folders, "/%0150d/%0150d:/short", 0, 0);
    assert_int_equal(setenv("WEIR_PLUGIN_PATH", folders, 1), 0);
    assert_fails("nowhere", "in /short", "and 1 more");
}

static void test_missing_store(void **state)
{
    const weir_store_ops *store;

    (void)state;
    assert_int_equal(weir_registry_store("nowhere", &store, NULL),
                     -WEIR_EPLUGIN);
    assert_says("store_nowhere.so");
    assert_says("weir itself has none of that name");
    assert_says(one);
    assert_int_equal(weir_registry_store("../x", &store, NULL), -EINVAL);
    assert_says("\"../x\"");
    assert_int_equal(weir_registry_store("", &store, NULL), -EINVAL);
}

static void test_text_file(void **state)
{
    (void)state;
    spill(path(one, "transport_good.so"), "hello, world\n", 13);
    assert_fails("good", path(one, "transport_good.so"), "the loader says");
    spill(path(one, "transport_good.so"), "", 0);
    assert_fails("good", path(one, "transport_good.so"), "the loader says");
    assert_int_equal(mkdir(path(two, "transport_deaf.so"), 0755), 0);
    assert_fails("deaf", path(two, "transport_deaf.so"), "not a plain file");
    assert_int_equal(symlink("gone", path(two, "transport_gone.so")), 0);
    assert_fails("gone", path(two, "transport_gone.so"), "No such file");
}

/* The loader would map what is not there, and the process die of SIGBUS. */
static void test_truncated(void **state)
{
    size_t sizes[] = {100, 500, 1000, 2000, 3000, 0, 0}, size, i;

    (void)state;
    need_fixtures();
    size = slurp(BUILT "transport_good.so", octets, sizeof octets);
    sizes[5] = size / 2;
    sizes[6] = size - 1; /* only the table of sections lacks something */
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        spill(path(one, "transport_good.so"), octets, sizes[i]);
        assert_fails("good", path(one, "transport_good.so"), "cut short");
    }
    spill(path(one, "transport_good.so"), octets, 40);
    assert_fails("good", "transport_good", "the loader says");
}

/* The loader says of such a file that it is not there. */
static void test_other_machine(void **state)
{
    size_t size;

    (void)state;
    need_fixtures();
    size = slurp(BUILT "transport_good.so", octets, sizeof octets);
    octets[18] ^= 1; /* e_machine */
    spill(path(one, "transport_good.so"), octets, size);
    assert_fails("good", path(one, "transport_good.so"),
                 "another kind of machine");
}

static void test_undefined_symbol(void **state)
{
    (void)state;
    need_fixtures();
    put(two, "transport_undefined.so", "transport_undefined.so");
    assert_fails("undefined", path(two, "transport_undefined.so"),
                 "weir_fixture_nobody_has_this");
}

/* The copy wants "libq.so.6" where the fixture wanted "libc.so.6". */
static void test_missing_dependency(void **state)
{
    size_t size, i;
    int n = 0;

    (void)state;
    need_fixtures();
    size = slurp(BUILT "transport_good.so", octets, sizeof octets);
    for (i = 0; i + 10 <= size; i++) {
        if (memcmp(octets + i, "libc.so.6", 10) == 0) {
            octets[i + 3] = 'q';
            n++;
        }
    }
    if (!n)
        skip(); /* another C library */
    spill(path(one, "transport_good.so"), octets, size);
    assert_fails("good", path(one, "transport_good.so"), "libq.so.6");
}

static void test_other_abi(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_nextabi.so", "transport_nextabi.so");
    assert_fails("nextabi", "ABI 2", "ABI 1 is wanted");
    assert_says(path(one, "transport_nextabi.so"));
    assert_int_equal(scan(one, "transport_nextabi", false).abi, 0);
    assert_int_equal(scan(one, "transport_nextabi", true).abi, 2);
}

static void test_no_plugin_at_all(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_renamed.so");
    assert_fails("renamed", "transport_renamed_LTX_weir_plugin_v1",
                 "none found");
    put(one, "transport_good.so", "transport_my-x+y.so");
    assert_fails("my-x+y", "transport_my_x_y_LTX_weir_plugin_v1", "none found");
}

static void test_unsound_tables(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_magic.so", "transport_magic.so");
    put(one, "transport_minor.so", "transport_minor.so");
    put(one, "transport_impostor.so", "transport_impostor.so");
    put(one, "transport_unwilling.so", "transport_unwilling.so");
    assert_fails("magic", "12345678", path(one, "transport_magic.so"));
    assert_fails("minor", "ABI 1.1", "1.0");
    assert_fails("impostor", "\"transport_good\"", "transport_impostor");
    assert_fails("unwilling", "no device \"fixture0\"", "init");
    assert_fails("good", "no plugin", "transport_good");
}

static void test_no_host(void **state)
{
    (void)state;
    need_fixtures();
    weir_registry_set_host(NULL);
    put(one, "transport_unwilling.so", "transport_unwilling.so");
    assert_fails("unwilling", "no host", "init");
}

static void test_writable_by_others(void **state)
{
    const char *file;

    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    file = path(one, "transport_good.so");
    assert_int_equal(chmod(file, 0666), 0);
    assert_fails("good", file, "everybody may write it (mode 0666)");
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(one, 0777), 0);
    assert_fails("good", one, "everybody may write it (mode 0777)");
    assert_int_equal(scan(one, "transport_good", true).state,
                     WEIR_PLUGIN_BROKEN);
    assert_int_equal(chmod(one, 01777), 0);
    assert_fails("good", one, "everybody may write it (mode 1777)");
    assert_int_equal(weir_plugin_load(file, NULL), -WEIR_EPLUGIN);
    assert_says("everybody may write it");
}

/* What a link leads to is held to the same rule. */
static void test_writable_behind_a_link(void **state)
{
    (void)state;
    need_fixtures();
    put(two, "transport_good.so", "x");
    assert_int_equal(symlink(path(two, "x"), path(one, "transport_good.so")),
                     0);
    assert_int_equal(chmod(two, 0777), 0);
    assert_fails("good", two, "everybody may write it");
}

static void test_owner_and_group(void **state)
{
    const char *file;

    (void)state;
    need_fixtures();
    if (geteuid() != 0)
        skip(); /* only root can give files away */
    put(one, "transport_good.so", "transport_good.so");
    file = path(one, "transport_good.so");
    assert_int_equal(chown(file, 4711, 0), 0);
    assert_fails("good", file, "its owner is user 4711");
    assert_int_equal(chown(file, 0, 4711), 0);
    assert_int_equal(chmod(file, 0664), 0);
    assert_fails("good", file, "group 4711 may write it (mode 0664)");
    assert_int_equal(chown(one, 4711, 0), 0);
    assert_fails("good", one, "its owner is user 4711");
}

static void test_disabled(void **state)
{
    static const char *const off[] = {"^good",      "^transport_good",
                                      "^x,^good",   "tcp,ipc",
                                      "good,^good", "goo",
                                      "good2,x",    "tcp"};
    size_t i;

    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    for (i = 0; i < sizeof off / sizeof off[0]; i++) {
        setenv("WEIR_PLUGINS", off[i], 1);
        assert_fails("good", "transport_good is disabled", off[i]);
    }
    assert_int_equal(scan(one, "transport_good", true).state,
                     WEIR_PLUGIN_DISABLED);
    assert_int_equal(weir_plugin_load(path(one, "transport_good.so"), NULL),
                     -WEIR_EPLUGIN);
}

/* The environment of a privileged program is somebody else's. */
static void test_privileged(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    privileged = true;
    assert_fails("good", WEIR_PLUGIN_DIR, "no plugin transport_good");
    assert_null(strstr(weir_error_text(), one));
    setenv("WEIR_PLUGINS", "^good", 1);
    assert_fails("good", WEIR_PLUGIN_DIR, "no plugin transport_good");
}

/* Found first, it counts, even if it does not load. */
static void test_first_is_broken(void **state)
{
    (void)state;
    need_fixtures();
    spill(path(one, "transport_good.so"), "x", 1);
    put(two, "transport_good.so", "transport_good.so");
    assert_fails("good", path(one, "transport_good.so"), "the loader says");
}

static void test_relative_folder(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    assert_int_equal(chdir(one), 0);
    setenv("WEIR_PLUGIN_PATH", ".::../x:", 1);
    assert_fails("good", WEIR_PLUGIN_DIR, "no plugin transport_good");
    assert_says("not in \".\"");
    assert_int_equal(chdir("/"), 0);
}

static void test_bad_alias(void **state)
{
    (void)state;
    spill(path(one, "transport_a.alias"), "../../x\n", 8);
    spill(path(one, "transport_b.alias"), "", 0);
    spill(path(one, "transport_c.alias"), "transport_d\n", 12);
    spill(path(one, "transport_d.alias"), "transport_c\n", 12);
    spill(path(one, "transport_e.alias"), "transport_e\n", 12);
    spill(path(one, "transport_f.alias"), "transport_gone", 14);
    spill(path(one, "transport_g.alias"), "transport_x\ny\n", 14);
    assert_fails("a", "../../x", path(one, "transport_a.alias"));
    assert_fails("b", "is not the name", path(one, "transport_b.alias"));
    assert_fails("c", "another alias", path(one, "transport_d.alias"));
    assert_fails("e", "another alias", path(one, "transport_e.alias"));
    assert_fails("f", "no plugin transport_gone", "transport_f.alias");
    assert_fails("g", "is not the name", path(one, "transport_g.alias"));
    spill(path(one, "transport_h.alias"), "transport_x\n", 12);
    assert_int_equal(chmod(path(one, "transport_h.alias"), 0646), 0);
    assert_fails("h", "everybody may write it", "transport_h.alias");
    assert_int_equal(scan(one, "transport_a", true).state, WEIR_PLUGIN_BROKEN);
    assert_int_equal(scan(one, "transport_c", true).state, WEIR_PLUGIN_ALIAS);
}

static void test_load_by_hand_fails(void **state)
{
    weir_plugin_info info = {.size = 8};

    (void)state;
    assert_int_equal(weir_plugin_load(NULL, NULL), -WEIR_EPLUGIN);
    assert_int_equal(weir_plugin_load("libz.so", NULL), -WEIR_EPLUGIN);
    assert_says("libz.so");
    assert_int_equal(weir_plugin_load("x/transport_gone.so", NULL),
                     -WEIR_EPLUGIN);
    assert_says("No such file");
    assert_int_equal(weir_plugin_load("transport_gone.so", &info), -EINVAL);
}

/* ---- what must ---- */

#define THREADS 8

static void *load_good(void *arg)
{
    const weir_transport_ops **out = arg;

    return weir_registry_transport("good", out, NULL) < 0 ? arg : NULL;
}

/* Eight at once, and by an alias: loaded once, init runs once. */
static void test_good(void **state)
{
    const weir_transport_ops *all[THREADS];
    pthread_t threads[THREADS];
    void *failed;
    int i;

    (void)state;
    need_fixtures();
    unsetenv("FIXTURE_INITS");
    setenv("WEIR_PLUGINS", "x,good,^y", 1);
    put(two, "transport_good.so", "transport_good.so");
    assert_int_equal(scan(two, "transport_good", false).state,
                     WEIR_PLUGIN_AVAILABLE);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_good, &all[i]),
                         0);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        assert_ptr_equal(all[i], all[0]);
    }
    assert_string_equal(getenv("FIXTURE_INITS"), "1");
    assert_loads("good", "transport_good");
    assert_ptr_equal(ops, all[0]);
    assert_int_equal(ops->n_options, 2);
    assert_loads("fine", "transport_good");
    assert_ptr_equal(ops, all[0]);
}

/* A store goes the same way, and shows in lists with its options. */
static void test_store(void **state)
{
    weir_option_info row = {.size = sizeof row};
    const weir_store_ops *store, *again;
    weir_plugin_info info;

    (void)state;
    need_fixtures();
    put(two, "store_good.so", "store_good.so");
    assert_int_equal(weir_registry_store("good", &store, &owner), 0);
    assert_string_equal(owner, "store_good");
    assert_int_equal(store->modes, 1u << WEIR_STORE_SPILL);
    assert_int_equal(weir_registry_store("good", &again, NULL), 0);
    assert_ptr_equal(again, store);
    info = scan(two, "store_good", false);
    assert_int_equal(info.state, WEIR_PLUGIN_LOADED);
    assert_string_equal(info.kind, "store");
    assert_string_equal(info.provides, "good");
    assert_int_equal(info.options, 1);
    assert_int_equal(weir_option_at("store_good", 0, &row), 0);
    assert_string_equal(row.name, "stored-well");
    assert_true(weir_option_at("store_good", 1, &row) < 0);
    assert_fails("stored", "no plugin transport_stored", one);
}

static void test_alias(void **state)
{
    weir_plugin_info info;

    (void)state;
    need_fixtures();
    spill(path(one, "transport_fine.alias"), "transport_good\n", 15);
    spill(path(one, "transport_finer.alias"), "transport_good", 14);
    assert_loads("fine", "transport_good");
    assert_fails("finer", "loaded for transport_finer", "no scheme \"finer\"");
    info = scan(one, "transport_fine", true);
    assert_int_equal(info.state, WEIR_PLUGIN_ALIAS);
    assert_string_equal(info.summary, "transport_good");
}

/* It has the scheme of one that is loaded, and not that of its own name. */
static void test_scheme_of_another(void **state)
{
    const weir_transport_ops *before;

    (void)state;
    need_fixtures();
    assert_loads("good", "transport_good");
    before = ops;
    put(one, "transport_else.so", "transport_else.so");
    assert_fails("else", "transport_else", "no scheme \"else\"");
    assert_loads("something-else", "transport_else");
    assert_loads("good", "transport_good");
    assert_ptr_equal(ops, before);
}

static void test_scan(void **state)
{
    weir_plugin_info info;

    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    put(one, "transport_magic.so", "transport_magic.so");
    put(two, "transport_magic.so", "transport_magic.so");
    put(two, "transport_minor.so", "transport_minor.so");
    spill(path(two, "transport_minor.alias"), "transport_good", 14);
    spill(path(two, "unknown_kind.so"), "x", 1);
    assert_loads("good", "transport_good");

    info = scan(one, "transport_good", false); /* loaded from elsewhere */
    assert_int_equal(info.state, WEIR_PLUGIN_SHADOWED);
    info = scan(one, "transport_magic", false);
    assert_int_equal(info.state, WEIR_PLUGIN_AVAILABLE);
    info = scan(one, "transport_magic", true);
    assert_int_equal(info.state, WEIR_PLUGIN_BROKEN);
    assert_string_equal(info.kind, "transport");
    assert_int_equal(info.abi, 1);
    assert_non_null(strstr(info.reason, "12345678"));
    info = scan(two, "transport_magic", true);
    assert_int_equal(info.state, WEIR_PLUGIN_SHADOWED);
    assert_non_null(strstr(info.reason, path(one, "transport_magic.so")));
}

static int stop(void *arg, const weir_plugin_info *info)
{
    (void)info;
    ++*(int *)arg;
    return 42;
}

static void test_scan_stops(void **state)
{
    int calls = 0;

    (void)state;
    spill(path(one, "transport_x.so"), "x", 1);
    assert_int_equal(weir_plugin_scan(false, stop, &calls), 42);
    assert_int_equal(calls, 1);
}

/* By hand, a second file of one name takes the place of the first. */
static void test_load_by_hand(void **state)
{
    weir_plugin_info info = {.size = sizeof info};
    const weir_transport_ops *before;
    const char *file;

    (void)state;
    need_fixtures();
    assert_loads("good", "transport_good");
    before = ops;
    put(one, "transport_good.so", "transport_good.so");
    file = path(one, "transport_good.so");
    if (weir_plugin_load(file, &info) < 0)
        fail_msg("%s", weir_error_text());
    assert_int_equal(info.state, WEIR_PLUGIN_LOADED);
    assert_int_equal(info.abi, 1);
    assert_int_equal(info.options, 2);
    assert_string_equal(info.name, "transport_good");
    assert_string_equal(info.kind, "transport");
    assert_string_equal(info.version, "1.2.3");
    assert_string_equal(info.license, "MIT");
    assert_string_equal(info.provides, "good fine");
    assert_string_equal(info.file, file);
    assert_loads("good", "transport_good");
    assert_ptr_not_equal(ops, before);
    before = ops;
    assert_int_equal(weir_plugin_load(file, &info), 0);
    assert_loads("good", "transport_good");
    assert_ptr_equal(ops, before);
    assert_int_equal(scan(one, "transport_good", true).state,
                     WEIR_PLUGIN_LOADED);
}

/* A caller of a later version has members that are not known here. */
static void test_load_for_a_later_caller(void **state)
{
    struct {
        weir_plugin_info info;
        char more[64];
    } later;
    const char none[sizeof later.more] = "";

    (void)state;
    need_fixtures();
    put(one, "transport_good.so", "transport_good.so");
    memset(&later, 0xaa, sizeof later);
    later.info.size = sizeof later;
    assert_int_equal(
        weir_plugin_load(path(one, "transport_good.so"), &later.info), 0);
    assert_int_equal(later.info.size, sizeof later);
    assert_memory_equal(later.more, none, sizeof none);
    assert_int_equal(weir_plugin_scan(false, NULL, NULL), -EINVAL);
}

static void test_option_at(void **state)
{
    weir_option_info info = {.size = sizeof info};

    (void)state;
    assert_int_equal(weir_option_at(NULL, 0, &info), 0);
    assert_string_equal(info.name, "send-mark");
    assert_int_equal(weir_option_at("nope", 0, &info), -ENOENT);
    assert_int_equal(weir_option_at("transport_nope", 0, &info), -ENOENT);
    assert_int_equal(weir_option_at("transport_good", -1, &info), -ENOENT);
    need_fixtures();
    assert_int_equal(weir_option_at("transport_good", 1, &info), 0);
    assert_string_equal(info.name, "good-word");
    assert_string_equal(info.choices, "one two");
    assert_int_equal(weir_option_at("transport_good", 2, &info), -ENOENT);
}

/* A plugin that was mended loads at the next call. */
static void test_mended(void **state)
{
    (void)state;
    need_fixtures();
    put(one, "transport_else.so", "transport_good.so");
    assert_int_equal(weir_plugin_load(path(one, "transport_good.so"), NULL),
                     -WEIR_EPLUGIN);
    assert_int_equal(unlink(path(one, "transport_good.so")), 0);
    put(one, "transport_good.so", "transport_good.so");
    if (weir_plugin_load(path(one, "transport_good.so"), NULL) < 0)
        fail_msg("%s", weir_error_text());
}

/* A child can load, whatever other threads did at the fork. */
static void *load_all_the_time(void *arg)
{
    const weir_transport_ops *found;
    _Atomic bool *end = arg;

    while (!*end)
        weir_registry_transport("nowhere", &found, NULL);
    return NULL;
}

static void test_fork(void **state)
{
    _Atomic bool end = false;
    pthread_t thread;
    int i, status;
    pid_t child;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, load_all_the_time, &end), 0);
    for (i = 0; i < 20; i++) {
        child = fork();
        if (child == 0) {
            alarm(20);
            _exit(weir_registry_transport("nowhere", &ops, NULL) !=
                  -WEIR_EPLUGIN);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    end = true;
    pthread_join(thread, NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_inside),
        CASE(test_missing),
        CASE(test_missing_among_many),
        CASE(test_missing_store),
        CASE(test_text_file),
        CASE(test_truncated),
        CASE(test_other_machine),
        CASE(test_undefined_symbol),
        CASE(test_missing_dependency),
        CASE(test_other_abi),
        CASE(test_no_plugin_at_all),
        CASE(test_unsound_tables),
        CASE(test_no_host),
        CASE(test_writable_by_others),
        CASE(test_writable_behind_a_link),
        CASE(test_owner_and_group),
        CASE(test_disabled),
        CASE(test_privileged),
        CASE(test_first_is_broken),
        CASE(test_relative_folder),
        CASE(test_bad_alias),
        CASE(test_load_by_hand_fails),
        CASE(test_good),
        CASE(test_store),
        CASE(test_alias),
        CASE(test_scheme_of_another),
        CASE(test_scan),
        CASE(test_scan_stops),
        CASE(test_load_by_hand),
        CASE(test_load_for_a_later_caller),
        CASE(test_option_at),
        CASE(test_mended),
        CASE(test_fork),
    };

    alarm(120);
    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
