/*
 * radix.h - a compressed tree of octet strings, the one structure under
 * subscriptions on both sides.
 * Above: trie.h (publishers), topics.h (subscribers).  Below: malloc.
 *
 * A node stands for the octets on the way from the root to it.  It bears a
 * value when it is used, and forks otherwise.  A node is one block of memory,
 * 24 octets and what it has of children and edge, so it moves when it gains or
 * loses room for children; `moved` tells whoever points to it.  An edge has
 * 256 octets at most, longer strings take several nodes, so that no operation
 * copies more than it was given.  Nothing recurses; the way back is by parent.
 *
 * The caller's lock guards the tree.
 */
#ifndef WEIR_PATTERN_RADIX_H
#define WEIR_PATTERN_RADIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_radix;

/* A value of the trie's: one peer of a topic. */
struct weir_subscriber {
    uint32_t number; /* of the peer */
    uint32_t index;  /* of the topic in the peer's own table */
};

struct weir_radix_node {
    struct weir_radix_node *parent; /* NULL: the root */
    union {
        uint64_t number;
        void *pointer;
        struct weir_subscriber subscriber;
    } value;           /* the user's, 0 at first */
    uint8_t kind;      /* the user's, 0 at first */
    bool used;         /* somebody inserted this string */
    uint8_t label;     /* first octet of the edge from the parent */
    uint8_t edge;      /* how many more there are */
    uint16_t children; /* how many there are */
    uint8_t size;      /* how many there is room for, as a size class */
    uint8_t offset;    /* of the children in this block, in pointers */
    uint8_t rest[];    /* labels, the edge, and then the children */
};

/* Tells that a used node, which others may point to, is at `node` now. */
typedef void weir_radix_moved(struct weir_radix *radix,
                              struct weir_radix_node *node);

struct weir_radix {
    struct weir_radix_node *root; /* NULL: empty */
    size_t count;                 /* used nodes */
    weir_radix_moved *moved;      /* may be NULL */
    uint8_t *text;                /* see weir_radix_text() */
    size_t text_room;
};

/* Is the empty string in it? */
static inline bool weir_radix_has_empty(const struct weir_radix *radix)
{
    return radix->root && radix->root->used;
}

/* Is there no string but perhaps the empty one? */
static inline bool weir_radix_is_flat(const struct weir_radix *radix)
{
    return !radix->root || radix->root->children == 0;
}

/* The used nodes on the way along `data`. */
struct weir_radix_walk {
    struct weir_radix_node *next;
    const uint8_t *data;
    size_t left;
};

/* Make an empty tree; it has no memory yet. */
void weir_radix_init(struct weir_radix *radix, weir_radix_moved *moved);

/* Free all nodes.  What their values point to is the user's. */
void weir_radix_fini(struct weir_radix *radix);

/* The node of a string, made if it is not there; a new one has value and kind
 * 0.  NULL when out of memory, and then nothing has changed. */
struct weir_radix_node *weir_radix_insert(struct weir_radix *radix,
                                          const void *key, size_t size);

/* The used node of a string, or NULL. */
struct weir_radix_node *weir_radix_find(const struct weir_radix *radix,
                                        const void *key, size_t size);

/* Remove a used node.  Needs no memory: without any, the tree stays a little
 * larger than it could be.  Other nodes may move. */
void weir_radix_remove(struct weir_radix *radix, struct weir_radix_node *node);

/* Begin a walk over the strings that are a prefix of the `size` octets at
 * `data`, which stays in place meanwhile, as the tree does. */
void weir_radix_walk(struct weir_radix_walk *walk,
                     const struct weir_radix *radix, const void *data,
                     size_t size);

/* The next used node of the walk, shortest string first, or NULL. */
struct weir_radix_node *weir_radix_walk_next(struct weir_radix_walk *walk);

/* The first used node in the order of the strings, or NULL. */
struct weir_radix_node *weir_radix_first(const struct weir_radix *radix);

/* The used node that follows a node of the tree, or NULL. */
struct weir_radix_node *weir_radix_next(const struct weir_radix_node *node);

/* The used node with the least string greater than the one given, which need
 * not be in the tree; or NULL.  So a visit of all can be resumed after the
 * tree has changed. */
struct weir_radix_node *weir_radix_above(const struct weir_radix *radix,
                                         const void *key, size_t size);

/* Put the string of a used node into radix->text and return its size.  The
 * text lasts until the next call of this, of insert or of remove.  There is
 * always room, since insert has made it. */
size_t weir_radix_text(struct weir_radix *radix, struct weir_radix_node *node);

#endif
