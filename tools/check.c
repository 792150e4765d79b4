/* check.c - weir check: does a plugin's file do all it must? */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check/check.h>

#include "args.h"
#include "common.h"
#include "json.h"
#include "text.h"

struct settings {
    const char *bind_url, *wildcard_url;
    double patience;
    bool json;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"bind-url", "URL",
     "where to bind; %p is this process's number and %n a\n"
     "new one each time; with a * in it, or the same as the\n"
     "wildcard, what the transport picks.  Known for inproc,\n"
     "ipc and tcp",
     WEIR_ARGS_TEXT, AT(bind_url)},
    {"wildcard-url", "URL", "an address for which the transport picks one",
     WEIR_ARGS_TEXT, AT(wildcard_url)},
    {"patience", "S", "how long to wait for what should come (10)",
     WEIR_ARGS_SECONDS, AT(patience)},
    {"json", NULL, "a line of JSON for each case, and one with their numbers",
     WEIR_ARGS_FLAG, AT(json)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args args = {
    .command = "check",
    .usage = "[option...] FILE",
    .about = "Loads a plugin from its file, wherever that is, and runs the "
             "conformance suite\nfor its kind.  Exit code 1: it does not load, "
             "or a case failed.\n",
    .options = options,
};

struct tally {
    unsigned passed, failed, skipped;
    bool json;
    const char *of; /* the scheme or the store; borrowed */
};

static void print_text(const char *name, enum weir_check_result result,
                       const char *detail)
{
    static const char *const words[] = {"ok", "FAILED", "skipped"};

    printf("  %-8s%s%s%s\n", words[result], name, *detail ? ": " : "", detail);
}

static void print_json(const char *of, const char *name,
                       enum weir_check_result result, const char *detail)
{
    static const char *const words[] = {"passed", "failed", "skipped"};
    const char *const members[][2] = {{"{\"of\": ", of},
                                      {", \"case\": ", name},
                                      {", \"result\": ", words[result]},
                                      {", \"detail\": ", detail}};
    struct weir_text text = {0};

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        weir_text_format(&text, "%s", members[i][0]);
        weir_json_string(&text, members[i][1], strlen(members[i][1]));
    }
    printf("%s}\n", weir_text_string(&text));
    weir_text_fini(&text);
}

static void report(void *arg, const char *name, enum weir_check_result result,
                   const char *detail)
{
    struct tally *tally = arg;

    tally->passed += result == WEIR_CHECK_PASSED;
    tally->failed += result == WEIR_CHECK_FAILED;
    tally->skipped += result == WEIR_CHECK_SKIPPED;
    if (tally->json)
        print_json(tally->of, name, result, detail);
    else
        print_text(name, result, detail);
    fflush(stdout);
}

static void begin(struct tally *tally, const char *of, const char *behind)
{
    tally->of = of;
    if (!tally->json)
        printf("%s%s\n", of, behind);
}

static bool is_of(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);

    return strncmp(url, scheme, length) == 0 &&
           strncmp(url + length, "://", 3) == 0;
}

static int check_scheme(const struct settings *set, const char *scheme,
                        struct tally *tally)
{
    struct weir_check_transport check;

    if (weir_check_transport_defaults(&check, scheme) < 0 && !set->bind_url) {
        weir_common_fail(
            "%s: say where to bind, such as --bind-url '%s://%s'", scheme,
            scheme, check.group ? "INTERFACE;239.192.1.1:5555" : "name-%p-%n");
        return 2;
    }
    if (set->bind_url && !is_of(set->bind_url, scheme)) {
        fprintf(set->json ? stderr : stdout,
                "%s:// is not checked: --bind-url is another\n", scheme);
        return 0;
    }
    if (set->bind_url)
        check.bind_url = set->bind_url;
    if (set->wildcard_url)
        check.wildcard_url = set->wildcard_url;
    check.patience = (int)(set->patience * 1000);
    check.report = report;
    check.arg = tally;
    begin(tally, scheme, "://");
    return weir_check_transport(&check) ? 1 : 0;
}

static int sum_up(const struct tally *tally)
{
    if (tally->json)
        printf("{\"passed\": %u, \"failed\": %u, \"skipped\": %u}\n",
               tally->passed, tally->failed, tally->skipped);
    else
        printf("%u passed, %u failed, %u skipped\n", tally->passed,
               tally->failed, tally->skipped);
    return tally->failed ? 1 : 0;
}

/* All stores of a plugin. */
static int check_stores(const struct settings *set,
                        const weir_plugin_info *info)
{
    const weir_plugin *table = weir_common_table(info);
    struct tally tally = {.json = set->json};
    struct weir_check_store check = {
        .report = report, .arg = &tally, .kills = 20};

    if (!table)
        return weir_common_fail("%s: its table is not to be had from %s",
                                info->name, info->file);
    for (uint32_t i = 0; i < table->n_providers; i++) {
        if (table->providers[i].kind != WEIR_STORE)
            continue;
        begin(&tally, table->providers[i].id, "");
        check.ops = table->providers[i].ops;
        (void)weir_check_store(&check);
    }
    return sum_up(&tally);
}

/* All schemes of a transport, which blanks separate. */
static int check_transport(const struct settings *set,
                           const weir_plugin_info *info)
{
    struct tally tally = {.json = set->json};
    const char *word = info->provides;
    char scheme[sizeof info->provides];
    int code = 0, worst = 0;

    while (*(word += strspn(word, " "))) {
        size_t length = strcspn(word, " ");

        memcpy(scheme, word, length);
        scheme[length] = '\0';
        word += length;
        code = check_scheme(set, scheme, &tally);
        worst = code > worst ? code : worst;
    }
    code = sum_up(&tally);
    return code > worst ? code : worst;
}

int weir_check_main(int argc, const char *const *argv)
{
    struct weir_args_list rest = {.count = 0};
    struct settings set = {.patience = 10};
    weir_plugin_info info = {.size = sizeof info};
    int code;

    if (!weir_args_take(&args, &set, &rest, argc, argv, &code))
        return code;
    if (rest.count != 1) {
        weir_common_fail("want one FILE\n(weir check --help says more)");
        return 2;
    }
    code = weir_plugin_load(rest.items[0], &info);
    if (code < 0)
        return weir_common_fail_code(code, "%s", rest.items[0]);
    if (!set.json)
        printf("%s %s, ABI %u, %s\n", info.name, info.version,
               (unsigned)info.abi, info.file);
    if (strcmp(info.kind, "store") == 0)
        return check_stores(&set, &info);
    if (strcmp(info.kind, "transport") != 0)
        return weir_common_fail("%s is a %s: there is no suite for that kind",
                                info.name, info.kind);
    return check_transport(&set, &info);
}
