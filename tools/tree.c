/* tree.c - any JSON text, read whole. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "tree.h"

enum { LEVELS = 32 };

struct reading {
    struct weir_json_reader words;
    struct weir_tree *tree;
    int level;
};

void weir_tree_fini(struct weir_tree *tree)
{
    free(tree->nodes);
    weir_text_fini(&tree->texts);
    memset(tree, 0, sizeof *tree);
}

/* ---- reading ---- */

/* A text of the tree; 0 is the empty one. */
static size_t keep(struct weir_tree *tree, const struct weir_text *text)
{
    size_t at = tree->texts.size;

    weir_text_add(&tree->texts, weir_text_string(text), text->size);
    weir_text_add_char(&tree->texts, '\0');
    return at;
}

static size_t add_node(struct weir_tree *tree)
{
    size_t room = tree->room ? tree->room * 2 : 64;
    struct weir_tree_node *nodes;

    if (tree->count == tree->room) {
        nodes = realloc(tree->nodes, room * sizeof *nodes);
        if (!nodes) {
            fputs("weir: out of memory\n", stderr);
            exit(1);
        }
        tree->nodes = nodes;
        tree->room = room;
    }
    memset(&tree->nodes[tree->count], 0, sizeof *tree->nodes);
    return tree->count++;
}

static bool read_value(struct reading *reading, size_t node);

static bool read_member_name(struct reading *reading, size_t node)
{
    if (!weir_json_read_string(&reading->words, "the name of a member") ||
        !weir_json_want(&reading->words, ':', "behind a name"))
        return false;
    reading->tree->nodes[node].name =
        keep(reading->tree, &reading->words.string);
    return true;
}

/* What is between the brackets, the first of which was taken. */
static bool read_parts(struct reading *reading, size_t parent, char end,
                       bool named)
{
    struct weir_tree *tree = reading->tree;
    size_t last = 0;

    if (weir_json_take(&reading->words, end))
        return true;
    do {
        size_t node = add_node(tree);

        if (last)
            tree->nodes[last].next = node;
        else
            tree->nodes[parent].first = node;
        last = node;
        if ((named && !read_member_name(reading, node)) ||
            !read_value(reading, node))
            return false;
    } while (weir_json_take(&reading->words, ','));
    return weir_json_want(&reading->words, end, "at the end");
}

static bool take_word(struct weir_json_reader *words, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(words->end - words->at) < size ||
        memcmp(words->at, word, size) != 0)
        return false;
    words->at += size;
    return true;
}

static bool is_digit(const struct weir_json_reader *words)
{
    return words->at < words->end && *words->at >= '0' && *words->at <= '9';
}

static bool skip_digits(struct weir_json_reader *words)
{
    if (!is_digit(words))
        return weir_json_fail_at(words, words->at, "a digit belongs here");
    while (is_digit(words))
        words->at++;
    return true;
}

/* What is too much becomes the most there is. */
static void add_digit(uint64_t *number, unsigned digit)
{
    *number =
        *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
}

/* A fraction and an exponent are read and not kept: what is counted has
 * neither. */
static bool read_number(struct reading *reading, struct weir_tree_node *node)
{
    struct weir_json_reader *words = &reading->words;
    const char *start = words->at;
    bool negative = take_word(words, "-");

    for (; is_digit(words); words->at++)
        add_digit(&node->number, (unsigned)(*words->at - '0'));
    if (words->at == start + negative)
        return weir_json_fail_at(words, words->at, "there is no such value");
    if (take_word(words, ".") && !skip_digits(words))
        return false;
    if (take_word(words, "e") || take_word(words, "E")) {
        if (!take_word(words, "-"))
            take_word(words, "+");
        if (!skip_digits(words))
            return false;
    }
    if (negative)
        node->number = 0;
    return true;
}

static bool read_plain(struct reading *reading, size_t at)
{
    struct weir_tree_node *node = &reading->tree->nodes[at];

    if (take_word(&reading->words, "null"))
        return true;
    node->kind = WEIR_TREE_FLAG;
    if (take_word(&reading->words, "true"))
        node->number = 1;
    else if (!take_word(&reading->words, "false"))
        node->kind = WEIR_TREE_NUMBER;
    return node->kind != WEIR_TREE_NUMBER || read_number(reading, node);
}

static bool read_value(struct reading *reading, size_t at)
{
    struct weir_tree *tree = reading->tree;
    struct weir_json_reader *words = &reading->words;
    bool good;

    weir_json_skip_blanks(words);
    if (++reading->level > LEVELS)
        return weir_json_fail_at(words, words->at, "more than %d levels",
                                 LEVELS);
    if (weir_json_take(words, '{')) {
        tree->nodes[at].kind = WEIR_TREE_OBJECT;
        good = read_parts(reading, at, '}', true);
    } else if (weir_json_take(words, '[')) {
        tree->nodes[at].kind = WEIR_TREE_LIST;
        good = read_parts(reading, at, ']', false);
    } else if (words->at < words->end && *words->at == '"') {
        tree->nodes[at].kind = WEIR_TREE_TEXT;
        good = weir_json_read_string(words, "a string");
        tree->nodes[at].text = keep(tree, &words->string);
    } else {
        good = read_plain(reading, at);
    }
    reading->level--;
    return good;
}

int weir_tree_read(struct weir_tree *tree, const char *data, size_t size,
                   struct weir_json_error *error)
{
    struct reading reading = {{data, data + size, data, error, {0}}, tree, 0};
    bool good;

    tree->count = 0;
    weir_text_clear(&tree->texts);
    weir_text_add_char(&tree->texts, '\0');
    good = read_value(&reading, add_node(tree));
    weir_json_skip_blanks(&reading.words);
    if (good && reading.words.at < reading.words.end)
        good = weir_json_fail_at(&reading.words, reading.words.at,
                                 "more behind the end");
    weir_text_fini(&reading.words.string);
    if (!good)
        tree->count = 0;
    return good ? 0 : -1;
}

/* ---- looking ---- */

const struct weir_tree_node *weir_tree_root(const struct weir_tree *tree)
{
    return tree->count ? tree->nodes : NULL;
}

const struct weir_tree_node *
weir_tree_first(const struct weir_tree *tree,
                const struct weir_tree_node *parent)
{
    return parent && parent->first ? &tree->nodes[parent->first] : NULL;
}

const struct weir_tree_node *weir_tree_next(const struct weir_tree *tree,
                                            const struct weir_tree_node *node)
{
    return node->next ? &tree->nodes[node->next] : NULL;
}

const char *weir_tree_name(const struct weir_tree *tree,
                           const struct weir_tree_node *node)
{
    return weir_text_string(&tree->texts) + node->name;
}

const struct weir_tree_node *
weir_tree_member(const struct weir_tree *tree,
                 const struct weir_tree_node *object, const char *name)
{
    const struct weir_tree_node *node;

    if (!object || object->kind != WEIR_TREE_OBJECT)
        return NULL;
    for (node = weir_tree_first(tree, object); node;
         node = weir_tree_next(tree, node)) {
        if (strcmp(weir_tree_name(tree, node), name) == 0)
            return node;
    }
    return NULL;
}

uint64_t weir_tree_number(const struct weir_tree *tree,
                          const struct weir_tree_node *object, const char *name)
{
    const struct weir_tree_node *node = weir_tree_member(tree, object, name);

    return node && node->kind == WEIR_TREE_NUMBER ? node->number : 0;
}

const char *weir_tree_text(const struct weir_tree *tree,
                           const struct weir_tree_node *object,
                           const char *name)
{
    const struct weir_tree_node *node = weir_tree_member(tree, object, name);

    return node && node->kind == WEIR_TREE_TEXT
               ? weir_text_string(&tree->texts) + node->text
               : "";
}

bool weir_tree_flag(const struct weir_tree *tree,
                    const struct weir_tree_node *object, const char *name)
{
    const struct weir_tree_node *node = weir_tree_member(tree, object, name);

    return node && node->kind == WEIR_TREE_FLAG && node->number;
}
