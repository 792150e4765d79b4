/*
 * tree.h - any JSON text, read whole.
 * Above: look.h and those who show what it brings.  Below: json_read.h.
 *
 * What is not there, or is of another kind, reads as 0, "", false or empty, so
 * that a program of a later version can be looked at.
 */
#ifndef WEIR_TOOLS_TREE_H
#define WEIR_TOOLS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "text.h"

enum weir_tree_kind {
    WEIR_TREE_NULL,
    WEIR_TREE_FLAG,
    WEIR_TREE_NUMBER,
    WEIR_TREE_TEXT,
    WEIR_TREE_LIST,
    WEIR_TREE_OBJECT
};

struct weir_tree_node {
    enum weir_tree_kind kind;
    size_t name, text;  /* where they are in the tree's texts */
    uint64_t number;    /* of a number, its whole part; of a flag, 0 or 1 */
    size_t first, next; /* indices; 0: none */
};

/* All zero is an empty tree. */
struct weir_tree {
    struct weir_tree_node *nodes; /* the first is the outermost */
    size_t count, room;
    struct weir_text texts; /* each with its NUL */
};

void weir_tree_fini(struct weir_tree *tree);

/* Read a text in place of what is there.  No more than 32 levels.
 * Returns 0, or -1 with *error filled; the tree is then empty. */
int weir_tree_read(struct weir_tree *tree, const char *data, size_t size,
                   struct weir_json_error *error);

/* The outermost node; NULL of an empty tree.  In what follows a node of NULL
 * has nothing in it. */
const struct weir_tree_node *weir_tree_root(const struct weir_tree *tree);

/* A member of an object. */
const struct weir_tree_node *
weir_tree_member(const struct weir_tree *tree,
                 const struct weir_tree_node *object, const char *name);

/* The elements of a list, or the members of an object, one after the other;
 * NULL at the end. */
const struct weir_tree_node *
weir_tree_first(const struct weir_tree *tree,
                const struct weir_tree_node *parent);
const struct weir_tree_node *weir_tree_next(const struct weir_tree *tree,
                                            const struct weir_tree_node *node);

/* The name of a member. */
const char *weir_tree_name(const struct weir_tree *tree,
                           const struct weir_tree_node *node);

/* The values of an object's members. */
uint64_t weir_tree_number(const struct weir_tree *tree,
                          const struct weir_tree_node *object,
                          const char *name);
const char *weir_tree_text(const struct weir_tree *tree,
                           const struct weir_tree_node *object,
                           const char *name);
bool weir_tree_flag(const struct weir_tree *tree,
                    const struct weir_tree_node *object, const char *name);

#endif
