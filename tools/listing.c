/* listing.c - the table of options. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include <weir/weir.h>

#include "common.h"
#include "json.h"
#include "listing.h"
#include "text.h"

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {
        [WEIR_OPTION_INT] = "number",    [WEIR_OPTION_BOOL] = "yes/no",
        [WEIR_OPTION_TEXT] = "text",     [WEIR_OPTION_BYTES] = "octets",
        [WEIR_OPTION_CHOICE] = "choice",
    };

    if (type >= sizeof names / sizeof names[0] || !names[type])
        return "?";
    return names[type];
}

/* The word of a choice; its number if there are not so many words. */
static void add_choice(struct weir_text *text, const char *choices,
                       int64_t value)
{
    const char *word = choices ? choices : "";

    for (int64_t i = 0; i < value && *word; i++) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    if (*word)
        weir_text_add(text, word, strcspn(word, " "));
    else
        weir_text_format(text, "%" PRId64, value);
}

static void add_bound(struct weir_text *text, int64_t value)
{
    if (value == INT64_MAX)
        weir_text_format(text, "unlimited");
    else
        weir_text_format(text, "%" PRId64, value);
}

static void add_range(struct weir_text *text, const weir_option_info *info)
{
    if (info->type == WEIR_OPTION_BOOL)
        return;
    if (info->type == WEIR_OPTION_CHOICE) {
        weir_text_format(text, "%s", info->choices ? info->choices : "");
        return;
    }
    if (info->min == 0 && info->max == 0)
        return;
    add_bound(text, info->min);
    weir_text_format(text, " to ");
    add_bound(text, info->max);
    if (info->type != WEIR_OPTION_INT)
        weir_text_format(text, " octets");
}

static void add_default(struct weir_text *text, const weir_option_info *info)
{
    switch (info->type) {
    case WEIR_OPTION_BOOL:
        weir_text_format(text, "%s", info->fallback ? "yes" : "no");
        break;
    case WEIR_OPTION_TEXT:
    case WEIR_OPTION_BYTES:
        weir_text_format(text, "%s",
                         info->fallback_text ? info->fallback_text : "");
        break;
    case WEIR_OPTION_CHOICE:
        add_choice(text, info->choices, info->fallback);
        break;
    default:
        weir_text_format(text, "%" PRId64, info->fallback);
        break;
    }
}

/* Where it can be set; what a plugin adds is an endpoint's alone. */
static const char *where(const char *owner, const weir_option_info *info)
{
    if (info->flags & WEIR_OPTION_READ_ONLY)
        return "read only";
    if (owner)
        return "URL";
    return info->flags & WEIR_OPTION_ENDPOINT ? "socket, URL" : "socket";
}

/* The types that have it; "all" when every one does. */
static void add_types(struct weir_text *text, uint32_t sockets)
{
    static const char *const names[] = {
        "PAIR",   "PUB",  "SUB",  "REQ",  "REP",  "DEALER",
        "ROUTER", "PULL", "PUSH", "XPUB", "XSUB",
    };
    const unsigned count = sizeof names / sizeof names[0];
    const uint32_t all = (1u << count) - 1;
    const char *gap = "";

    if (!sockets || (sockets & all) == all) {
        weir_text_format(text, "all");
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!(sockets & 1u << i))
            continue;
        weir_text_format(text, "%s%s", gap, names[i]);
        gap = " ";
    }
}

/* ---- for a terminal ---- */

/* Words, as many to a line as there is room for. */
static void print_wrapped(const char *words, int indent, FILE *file)
{
    int column = 0;

    while (*(words += strspn(words, " "))) {
        int length = (int)strcspn(words, " ");

        if (column && column + 1 + length > 78) {
            fputc('\n', file);
            column = 0;
        }
        if (column)
            column += fprintf(file, " ");
        else
            column = fprintf(file, "%*s", indent, "");
        column += fprintf(file, "%.*s", length, words);
        words += length;
    }
    if (column)
        fputc('\n', file);
}

/* "number of ms, 0 to 7, default 3". */
static void add_facts(struct weir_text *text, const weir_option_info *info)
{
    struct weir_text part = {0};

    weir_text_format(text, "%s", type_name(info->type));
    if (info->unit && *info->unit)
        weir_text_format(text, " of %s", info->unit);
    add_range(&part, info);
    if (part.size)
        weir_text_format(text,
                         info->type == WEIR_OPTION_CHOICE ? ": %s" : ", %s",
                         part.data);
    weir_text_clear(&part);
    add_default(&part, info);
    if (part.size)
        weir_text_format(text, "; default %s", part.data);
    weir_text_fini(&part);
}

static void print_item(const char *owner, const weir_option_info *info,
                       FILE *file)
{
    struct weir_text text = {0};

    add_facts(&text, info);
    fprintf(file, "  %-20s  %s\n", info->name, text.data);
    print_wrapped(info->doc ? info->doc : "", 6, file);
    weir_text_clear(&text);
    weir_text_format(&text, "Types: ");
    add_types(&text, info->sockets);
    weir_text_format(&text, ". Set on: %s.", where(owner, info));
    print_wrapped(text.data, 6, file);
    weir_text_fini(&text);
}

bool weir_listing_print(const char *owner, FILE *file)
{
    weir_option_info info = {.size = sizeof info};
    int i;

    for (i = 0; weir_option_at(owner, i, &info) >= 0; i++)
        print_item(owner, &info, file);
    return i > 0;
}

/* ---- for the manual ---- */

/* Text of ours as mdoc: nothing in it is a request or an escape, and each
 * sentence has a line. */
static void print_escaped(const char *text, FILE *file)
{
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", file);
        else if (*text == '-')
            fputs("\\-", file);
        else if (text[0] == '.' && text[1] == ' ')
            fputs(".\n", file), text++;
        else
            fputc(*text, file);
    }
}

static void print_item_mdoc(const char *owner, const weir_option_info *info,
                            FILE *file)
{
    struct weir_text text = {0};

    add_facts(&text, info);
    fprintf(file, ".It Cm %s Pq ", info->name);
    print_escaped(text.data, file);
    fputc('\n', file);
    print_escaped(info->doc ? info->doc : "", file);
    weir_text_clear(&text);
    weir_text_format(&text, "\nTypes: ");
    add_types(&text, info->sockets);
    weir_text_format(&text, ".\nSet on: %s.\n", where(owner, info));
    fputs(text.data, file);
    weir_text_fini(&text);
}

bool weir_listing_print_mdoc(const char *owner, FILE *file)
{
    weir_option_info info = {.size = sizeof info};
    int i;

    for (i = 0; weir_option_at(owner, i, &info) >= 0; i++) {
        if (i == 0)
            fputs(".Bl -tag -width indent\n", file);
        print_item_mdoc(owner, &info, file);
    }
    if (i)
        fputs(".El\n", file);
    return i > 0;
}

/* ---- JSON ---- */

static void add_member(struct weir_text *text, const char *name,
                       const char *value)
{
    weir_text_format(text, "%s\"%s\": ", text->size > 1 ? ", " : "", name);
    weir_json_string(text, value, strlen(value));
}

static void add_filled(struct weir_text *text, const char *name,
                       void (*fill)(struct weir_text *text,
                                    const weir_option_info *info),
                       const weir_option_info *info)
{
    struct weir_text value = {0};

    fill(&value, info);
    add_member(text, name, weir_text_string(&value));
    weir_text_fini(&value);
}

static void add_whom(struct weir_text *text, const weir_option_info *info)
{
    add_types(text, info->sockets);
}

static void print_json(const char *owner, const weir_option_info *info,
                       FILE *file)
{
    struct weir_text text = {0};

    weir_text_add_char(&text, '{');
    add_member(&text, "of", owner ? owner : "sockets");
    add_member(&text, "name", info->name);
    add_member(&text, "type", type_name(info->type));
    add_member(&text, "unit", info->unit ? info->unit : "");
    add_filled(&text, "default", add_default, info);
    add_filled(&text, "range", add_range, info);
    add_filled(&text, "types", add_whom, info);
    add_member(&text, "set_on", where(owner, info));
    add_member(&text, "doc", info->doc);
    fprintf(file, "%s}\n", weir_text_string(&text));
    weir_text_fini(&text);
}

bool weir_listing_print_json(const char *owner, FILE *file)
{
    weir_option_info info = {.size = sizeof info};
    int i;

    for (i = 0; weir_option_at(owner, i, &info) >= 0; i++)
        print_json(owner, &info, file);
    return i > 0;
}
