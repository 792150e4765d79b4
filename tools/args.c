/* args.c - arguments of a subcommand, driven by its table. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

enum { OPTIONS_MOST = 64 };

struct parse {
    const struct weir_args *args;
    char *settings;
    struct weir_args_list *rest;
    int argc;
    const char *const *argv;
    int at;
    bool given[OPTIONS_MOST]; /* by place in the table */
    struct weir_text *error;
};

static bool ends_number(const char *end, unsigned *shift)
{
    *shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' ? 20 : 0;
    return *end == '\0' || (*shift && end[1] == '\0');
}

bool weir_args_number(const char *text, uint64_t least, uint64_t *number)
{
    unsigned long long value;
    unsigned shift;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || !ends_number(end, &shift) || value > UINT64_MAX >> shift ||
        value << shift < least)
        return false;
    *number = value << shift;
    return true;
}

/* No more than a month, so that it fits wherever milliseconds are counted. */
static bool read_seconds(const char *text, double *seconds)
{
    char *end;
    double value;

    if ((*text < '0' || *text > '9') && *text != '.')
        return false;
    value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value > 2e6)
        return false;
    *seconds = value;
    return true;
}

static bool push(struct parse *parse, struct weir_args_list *list,
                 const char *item, const char *what)
{
    if (list->count == WEIR_ARGS_MOST) {
        weir_text_format(parse->error, "more than %d %s", WEIR_ARGS_MOST, what);
        return false;
    }
    list->items[list->count++] = item;
    return true;
}

static bool wrong_value(struct parse *parse,
                        const struct weir_args_option *option,
                        const char *value, const char *rule)
{
    weir_text_format(parse->error, "--%s %s: %s", option->name, value, rule);
    return false;
}

static bool take_many(struct parse *parse,
                      const struct weir_args_option *option)
{
    struct weir_args_list *list = (void *)(parse->settings + option->offset);

    while (parse->at < parse->argc &&
           strncmp(parse->argv[parse->at], "--", 2) != 0) {
        if (!push(parse, list, parse->argv[parse->at++], option->name))
            return false;
    }
    return true;
}

static bool take_value(struct parse *parse,
                       const struct weir_args_option *option, const char *value)
{
    char *target = parse->settings + option->offset;

    switch (option->kind) {
    case WEIR_ARGS_FLAG:
        *(bool *)target = true;
        return true;
    case WEIR_ARGS_TEXT:
        *(const char **)target = value;
        return true;
    case WEIR_ARGS_COUNT:
        return weir_args_number(value, 1, (uint64_t *)(void *)target) ||
               wrong_value(parse, option, value, "not a number from 1");
    case WEIR_ARGS_SECONDS:
        return read_seconds(value, (double *)(void *)target) ||
               wrong_value(parse, option, value, "not a number of seconds");
    case WEIR_ARGS_ONE:
        return push(parse, (void *)target, value, option->name);
    case WEIR_ARGS_MANY:
        return push(parse, (void *)target, value, option->name) &&
               take_many(parse, option);
    }
    return false;
}

static const struct weir_args_option *find(const struct weir_args *args,
                                           const char *name, size_t length)
{
    for (const struct weir_args_option *o = args->options; o->name; o++) {
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
            return o;
    }
    return NULL;
}

/* One of two texts would be lost without a word. */
static bool is_second(struct parse *parse,
                      const struct weir_args_option *option)
{
    ptrdiff_t place = option - parse->args->options;
    bool second;

    assert(place < OPTIONS_MOST);
    second = parse->given[place] && option->kind == WEIR_ARGS_TEXT;
    parse->given[place] = true;
    if (second)
        weir_text_format(parse->error, "--%s: it can be given only once",
                         option->name);
    return second;
}

/* `word` is --name or --name=value. */
static bool take_option(struct parse *parse, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct weir_args_option *option = find(parse->args, name, length);

    if (!option) {
        weir_text_format(parse->error, "--%.*s: no such option", (int)length,
                         name);
        return false;
    }
    if (is_second(parse, option))
        return false;
    if (!option->value && equals)
        return wrong_value(parse, option, equals + 1, "it takes no value");
    if (!option->value || equals)
        return take_value(parse, option, equals ? equals + 1 : NULL);
    if (parse->at == parse->argc) {
        weir_text_format(parse->error, "--%s needs a value (%s)", option->name,
                         option->value);
        return false;
    }
    return take_value(parse, option, parse->argv[parse->at++]);
}

static int take_word(struct parse *parse, bool *only_rest)
{
    const char *word = parse->argv[parse->at++];
    bool good;

    if (*only_rest || word[0] != '-' || word[1] == '\0') {
        good = push(parse, parse->rest, word, "arguments");
    } else if (strcmp(word, "--") == 0) {
        *only_rest = good = true;
    } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return WEIR_ARGS_HELP;
    } else if (word[1] != '-') {
        weir_text_format(parse->error, "%s: options begin with --", word);
        good = false;
    } else {
        good = take_option(parse, word);
    }
    return good ? WEIR_ARGS_GOOD : WEIR_ARGS_BAD;
}

int weir_args_read(const struct weir_args *args, void *settings,
                   struct weir_args_list *rest, int argc,
                   const char *const *argv, struct weir_text *error)
{
    struct parse parse = {.args = args,
                          .settings = settings,
                          .rest = rest,
                          .argc = argc,
                          .argv = argv,
                          .error = error};
    bool only_rest = false;
    int outcome = WEIR_ARGS_GOOD;

    while (parse.at < argc && outcome == WEIR_ARGS_GOOD)
        outcome = take_word(&parse, &only_rest);
    return outcome;
}

/* Lines of `doc` behind the first start under it. */
static void help_doc(struct weir_text *text, const char *doc, int indent)
{
    for (; *doc; doc++) {
        weir_text_add_char(text, *doc);
        if (*doc == '\n')
            weir_text_format(text, "%*s", indent, "");
    }
    weir_text_add_char(text, '\n');
}

void weir_args_help(const struct weir_args *args, struct weir_text *text)
{
    struct weir_text left = {0};
    int indent = 24;

    weir_text_format(text, "usage: weir %s %s\n\n%s\n", args->command,
                     args->usage, args->about);
    for (const struct weir_args_option *o = args->options; o->name; o++) {
        weir_text_clear(&left);
        weir_text_format(&left, "  --%s%s%s%s", o->name, o->value ? " " : "",
                         o->value ? o->value : "",
                         o->kind == WEIR_ARGS_MANY ? "..." : "");
        weir_text_format(text, "%-*s", indent, weir_text_string(&left));
        if (left.size >= (size_t)indent)
            weir_text_format(text, "\n%*s", indent, "");
        help_doc(text, o->doc, indent);
    }
    weir_text_format(text, "%-*s%s\n", indent, "  --help", "this text");
    weir_text_fini(&left);
}

/* ---- for completion ---- */

void weir_args_list_line(struct weir_text *text, const char *name,
                         const char *value, const char *words,
                         const char *about)
{
    weir_text_format(text, "%s\t%s\t%s\t%.*s\n", name, value ? value : "-",
                     words ? words : "-", about ? (int)strcspn(about, "\n") : 1,
                     about ? about : "-");
}

static const char *words_of(const struct weir_args *args, const char *name)
{
    const struct weir_args_choice *choice = args->choices;

    while (choice && choice->name && strcmp(choice->name, name) != 0)
        choice++;
    return choice && choice->name ? choice->words : NULL;
}

/* Each of the words is a line of its own. */
static void list_arguments(struct weir_text *text, const char *words)
{
    char name[64];

    for (size_t size; words && *words; words += size) {
        words += strspn(words, " ");
        size = strcspn(words, " ");
        snprintf(name, sizeof name, "%.*s", (int)size, words);
        if (size)
            weir_args_list_line(text, name, NULL, NULL, NULL);
    }
}

void weir_args_list(const struct weir_args *args, struct weir_text *text)
{
    char name[64], value[64];

    list_arguments(text, words_of(args, ""));
    for (const struct weir_args_option *o = args->options; o->name; o++) {
        snprintf(name, sizeof name, "--%s", o->name);
        snprintf(value, sizeof value, "%s%s", o->value ? o->value : "",
                 o->kind == WEIR_ARGS_MANY ? "..." : "");
        weir_args_list_line(text, name, o->value ? value : NULL,
                            words_of(args, o->name), o->doc);
    }
    weir_args_list_line(text, "--help", NULL, NULL, "this text");
}

static bool wants_list(int argc, const char *const *argv)
{
    return argc == 1 && strcmp(argv[0], "--list-options") == 0;
}

bool weir_args_take(const struct weir_args *args, void *settings,
                    struct weir_args_list *rest, int argc,
                    const char *const *argv, int *exit_code)
{
    struct weir_text text = {0};
    bool list = wants_list(argc, argv);
    int outcome = list
                      ? WEIR_ARGS_HELP
                      : weir_args_read(args, settings, rest, argc, argv, &text);

    if (outcome == WEIR_ARGS_HELP) {
        if (list)
            weir_args_list(args, &text);
        else
            weir_args_help(args, &text);
        fputs(weir_text_string(&text), stdout);
        *exit_code = 0;
    } else if (outcome == WEIR_ARGS_BAD) {
        fprintf(stderr, "weir %s: %s\n(weir %s --help says more)\n",
                args->command, weir_text_string(&text), args->command);
        *exit_code = 2;
    }
    weir_text_fini(&text);
    return outcome == WEIR_ARGS_GOOD;
}
