#include "config.h"

#include "pattern/radix.h"

#include "base/debug.h"

#include <stdlib.h>
#include <string.h>

/* The octets of an edge, its label included. */
#define LONGEST_EDGE 256

/* How many children a node of a size class has room for; 10 is for digits.
 * The last class finds a child by its label; the others have sorted labels. */
static const uint16_t rooms[] = {0, 1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 256};

#define ONES UINT64_C(0x0101010101010101) /* in each octet */

#define BY_LABEL (sizeof rooms / sizeof rooms[0] - 1)

_Static_assert(offsetof(struct weir_radix_node, rest) <= 24,
               "a node without children and edge fits a block of 24 octets");

/* Octets of a node with children that find_label() may look at: pointers are
 * behind the labels, but those of 32 bits are fewer octets. */
#define LOOKED_AT (offsetof(struct weir_radix_node, rest) + 16)

/* ---- one node ---- */

/* What a look at a node needs first is at the front of its block: a node that
 * is not in the cache should cost two lines of it. */

static bool by_label(const struct weir_radix_node *node)
{
    return node->size == BY_LABEL;
}

/* Sorted; not there in a node that goes by label. */
static uint8_t *labels_of(struct weir_radix_node *node)
{
    return node->rest;
}

/* Octets of the labels. */
static size_t labels_size(size_t size)
{
    return size == BY_LABEL ? 0 : rooms[size];
}

/* The edge behind its label. */
static uint8_t *edge_of(struct weir_radix_node *node)
{
    return node->rest + labels_size(node->size);
}

static struct weir_radix_node **children_of(const struct weir_radix_node *node)
{
    return (struct weir_radix_node **)(uintptr_t)node + node->offset;
}

static struct weir_radix_node *new_node(size_t size, size_t edge)
{
    const size_t pointer = sizeof(struct weir_radix_node *);
    size_t before = sizeof(struct weir_radix_node) + labels_size(size) + edge;
    size_t offset = (before + pointer - 1) / pointer;
    size_t children = rooms[size] * pointer;
    size_t whole = children == 0 ? before : offset * pointer + children;
    struct weir_radix_node *node;

    if (children > 0 && whole < LOOKED_AT)
        whole = LOOKED_AT;
    node = malloc(whole);
    if (node == NULL)
        return NULL;
    memset(node, 0, whole);
    node->size = (uint8_t)size;
    node->edge = (uint8_t)edge;
    node->offset = (uint8_t)offset;
    return node;
}

/* A bit of the first of eight octets that is `label`; 0: none.  The octets are
 * in memory's order. */
static inline uint64_t match_eight(const uint8_t *octets, uint8_t label)
{
    uint64_t word;

    memcpy(&word, octets, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    word ^= label * ONES;
    return (word - ONES) & ~word & ONES << 7;
}

static inline size_t octet_of(uint64_t bit)
{
    return (size_t)__builtin_ctzll(bit) / 8;
}

/* Where `label` is among the first `n`; or n or more.  Sixteen at a time: to
 * call memchr() costs more than to look.  What is behind the labels is the
 * node's own, and what is found there is n or more. */
static inline size_t find_label(const uint8_t *labels, size_t n, uint8_t label)
{
    for (size_t i = 0; i < n; i += 16) {
        uint64_t low = match_eight(labels + i, label);
        uint64_t high = match_eight(labels + i + 8, label);

        if (low)
            return i + octet_of(low);
        if (high)
            return i + 8 + octet_of(high);
    }
    return n;
}

/* The place of the child under `label`, or NULL. */
static inline struct weir_radix_node **place_of(struct weir_radix_node *node,
                                                uint8_t label)
{
    struct weir_radix_node **children = children_of(node);
    size_t at;

    if (by_label(node))
        return children[label] != NULL ? &children[label] : NULL;
    at = find_label(labels_of(node), node->children, label);
    return at < node->children ? &children[at] : NULL;
}

static inline struct weir_radix_node *child_of(struct weir_radix_node *node,
                                               uint8_t label)
{
    struct weir_radix_node **place = place_of(node, label);

    return place != NULL ? *place : NULL;
}

/* How many of the places for children may be taken. */
static size_t places(const struct weir_radix_node *node)
{
    return by_label(node) ? LONGEST_EDGE : node->children;
}

/* The child with the least label that is `from` or more, or NULL. */
static struct weir_radix_node *child_from(const struct weir_radix_node *node,
                                          unsigned from)
{
    struct weir_radix_node **children = children_of(node);
    size_t i = by_label(node) ? from : 0;

    for (; i < places(node); i++)
        if (children[i] != NULL && children[i]->label >= from)
            return children[i];
    return NULL;
}

/* Make `child` a child of `node`, which has room for it. */
static void attach(struct weir_radix_node *node, struct weir_radix_node *child)
{
    struct weir_radix_node **children = children_of(node);
    uint8_t *labels = labels_of(node);
    size_t at = 0, behind;

    child->parent = node;
    if (by_label(node)) {
        children[child->label] = child;
        node->children++;
        return;
    }
    while (at < node->children && labels[at] < child->label)
        at++;
    behind = node->children - at;
    memmove(children + at + 1, children + at, behind * sizeof *children);
    memmove(labels + at + 1, labels + at, behind);
    children[at] = child;
    labels[at] = child->label;
    node->children++;
}

/* Make the child under `label` no child of `node`. */
static void detach(struct weir_radix_node *node, uint8_t label)
{
    struct weir_radix_node **place = place_of(node, label);
    size_t at = (size_t)(place - children_of(node));
    uint8_t *labels = labels_of(node);
    size_t behind;

    node->children--;
    if (by_label(node)) {
        *place = NULL;
        return;
    }
    behind = node->children - at;
    memmove(place, place + 1, behind * sizeof *place);
    memmove(labels + at, labels + at + 1, behind);
}

/* ---- replacing a node by one of another size ---- */

/* A copy of `old` with the size class `size` and, when `above` is given, with
 * the edge of `above` in front of its own.  Nothing points to it yet. */
static struct weir_radix_node *copy_node(struct weir_radix_node *old,
                                         size_t size,
                                         struct weir_radix_node *above)
{
    size_t before = above != NULL ? above->edge + 1u : 0;
    struct weir_radix_node *node = new_node(size, before + old->edge);
    uint8_t *edge;

    if (node == NULL)
        return NULL;
    node->parent = above != NULL ? above->parent : old->parent;
    node->label = above != NULL ? above->label : old->label;
    node->value = old->value;
    node->kind = old->kind;
    node->used = old->used;
    edge = edge_of(node);
    if (above != NULL) {
        memcpy(edge, edge_of(above), above->edge);
        edge[above->edge] = old->label;
    }
    memcpy(edge + before, edge_of(old), old->edge);
    return node;
}

/* Put `node`, a copy of `old`, where its parent expects it, with the children
 * of `old`; and free `old`. */
static void replace(struct weir_radix *radix, struct weir_radix_node *old,
                    struct weir_radix_node *node)
{
    struct weir_radix_node **children = children_of(old);

    for (size_t i = 0; i < places(old); i++)
        if (children[i] != NULL)
            attach(node, children[i]);
    if (node->parent != NULL)
        *place_of(node->parent, node->label) = node;
    else
        radix->root = node;
    free(old);
    if (node->used && radix->moved != NULL)
        radix->moved(radix, node);
}

static struct weir_radix_node *resize(struct weir_radix *radix,
                                      struct weir_radix_node *old, size_t size)
{
    struct weir_radix_node *node = copy_node(old, size, NULL);

    if (node != NULL)
        replace(radix, old, node);
    return node;
}

/* The node, or what replaces it, with room for one more child; or NULL. */
static struct weir_radix_node *make_room(struct weir_radix *radix,
                                         struct weir_radix_node *node)
{
    if (node->children < rooms[node->size])
        return node;
    return resize(radix, node, node->size + 1u);
}

/* Give room back, but keep some, so that a node does not change at every turn
 * of adding and removing. */
static void trim(struct weir_radix *radix, struct weir_radix_node *node)
{
    if (node->children == 0 && node->size > 0)
        (void)resize(radix, node, 0);
    else if (node->size >= 2 && node->children <= rooms[node->size - 2])
        (void)resize(radix, node, node->size - 1u);
}

/* Join a node that is not used and its only child, if one edge can hold both;
 * the child stays the one that others know. */
static void merge(struct weir_radix *radix, struct weir_radix_node *node)
{
    struct weir_radix_node *child = child_from(node, 0);
    struct weir_radix_node *merged;

    if (node->edge + child->edge + 2 > LONGEST_EDGE)
        return;
    merged = copy_node(child, child->size, node);
    if (merged == NULL)
        return;
    replace(radix, child, merged);
    free(node);
}

/* ---- where a string is, or would be ---- */

struct spot {
    struct weir_radix_node *node;  /* stands for a prefix of the string */
    size_t done;                   /* how long that is */
    struct weir_radix_node *child; /* goes on as the string does; or NULL */
    size_t common;                 /* for so many octets, then no more */
};

/* How many octets of the child's edge, the label included, begin `key`, the
 * first of which is the label. */
static size_t common_edge(struct weir_radix_node *child, const uint8_t *key,
                          size_t size)
{
    const uint8_t *edge = edge_of(child);
    size_t most = size - 1 < child->edge ? size - 1 : child->edge;
    size_t common = 0;

    while (common < most && edge[common] == key[common + 1])
        common++;
    return common + 1;
}

/* There is a root. */
static struct spot find_spot(const struct weir_radix *radix, const uint8_t *key,
                             size_t size)
{
    struct spot spot = {.node = radix->root};

    while (spot.done < size) {
        spot.child = child_of(spot.node, key[spot.done]);
        if (spot.child == NULL)
            break;
        spot.common =
            common_edge(spot.child, key + spot.done, size - spot.done);
        if (spot.common <= spot.child->edge)
            return spot;
        spot.node = spot.child;
        spot.done += spot.common;
    }
    spot.child = NULL;
    spot.common = 0;
    return spot;
}

struct weir_radix_node *weir_radix_find(const struct weir_radix *radix,
                                        const void *key, size_t size)
{
    struct spot spot;

    if (radix->root == NULL)
        return NULL;
    spot = find_spot(radix, key, size);
    if (spot.child != NULL || spot.done < size || !spot.node->used)
        return NULL;
    return spot.node;
}

/* ---- inserting ---- */

/* Free a branch that nothing points to, which has no forks. */
static void free_branch(struct weir_radix_node *node)
{
    while (node != NULL) {
        struct weir_radix_node *child = child_from(node, 0);

        free(node);
        node = child;
    }
}

/* A branch of as many nodes as the string takes; *last is the lowest. */
static struct weir_radix_node *new_branch(const uint8_t *key, size_t size,
                                          struct weir_radix_node **last)
{
    struct weir_radix_node *top = NULL, *bottom = NULL;

    while (size > 0) {
        size_t length = size < LONGEST_EDGE ? size : LONGEST_EDGE;
        struct weir_radix_node *node = new_node(length < size, length - 1);

        if (node == NULL) {
            free_branch(top);
            return NULL;
        }
        node->label = key[0];
        memcpy(edge_of(node), key + 1, length - 1);
        if (bottom != NULL)
            attach(bottom, node);
        else
            top = node;
        bottom = node;
        key += length;
        size -= length;
    }
    *last = bottom;
    return top;
}

/* Put a node of a size class into the edge to `child`, behind `common` octets
 * of it.  The child stays where it is, only its edge becomes shorter. */
static struct weir_radix_node *split(struct weir_radix_node *child,
                                     size_t common, size_t size)
{
    struct weir_radix_node *node = new_node(size, common - 1);
    uint8_t *edge = edge_of(child);

    if (node == NULL)
        return NULL;
    node->parent = child->parent;
    node->label = child->label;
    memcpy(edge_of(node), edge, common - 1);
    *place_of(node->parent, node->label) = node;
    child->label = edge[common - 1];
    child->edge = (uint8_t)(child->edge - common);
    memmove(edge, edge + common, child->edge);
    attach(node, child);
    return node;
}

/* The text is written when there is no way to fail, so it gets its room when
 * there is. */
static int reserve_text(struct weir_radix *radix, size_t size)
{
    size_t room = radix->text_room < 64 ? 64 : radix->text_room;
    uint8_t *text;

    if (size <= radix->text_room)
        return 0;
    while (room < size)
        room = room <= SIZE_MAX / 2 ? 2 * room : size;
    text = realloc(radix->text, room);
    if (text == NULL)
        return -1;
    radix->text = text;
    radix->text_room = room;
    return 0;
}

/* The node for the string, used or not; everything that can fail comes before
 * the first change. */
static struct weir_radix_node *make_node(struct weir_radix *radix,
                                         const uint8_t *key, size_t size)
{
    struct spot spot = find_spot(radix, key, size);
    size_t there = spot.done + spot.common;
    struct weir_radix_node *branch = NULL, *last = NULL, *fork = spot.node;

    if (there < size) {
        branch = new_branch(key + there, size - there, &last);
        if (branch == NULL)
            return NULL;
    }
    if (spot.child != NULL)
        fork = split(spot.child, spot.common, branch != NULL ? 2 : 1);
    else if (branch != NULL)
        fork = make_room(radix, spot.node);
    if (fork == NULL) {
        free_branch(branch);
        return NULL;
    }
    if (branch == NULL)
        return fork;
    attach(fork, branch);
    return last;
}

static void drop_if_empty(struct weir_radix *radix)
{
    if (radix->count > 0)
        return;
    free(radix->root);
    free(radix->text);
    radix->root = NULL;
    radix->text = NULL;
    radix->text_room = 0;
}

struct weir_radix_node *weir_radix_insert(struct weir_radix *radix,
                                          const void *key, size_t size)
{
    struct weir_radix_node *node = NULL;

    if (reserve_text(radix, size) < 0)
        return NULL;
    if (radix->root == NULL)
        radix->root = new_node(0, 0);
    if (radix->root != NULL)
        node = make_node(radix, key, size);
    if (node != NULL && !node->used) {
        node->used = true;
        radix->count++;
    }
    drop_if_empty(radix);
    return node;
}

/* ---- removing ---- */

void weir_radix_remove(struct weir_radix *radix, struct weir_radix_node *node)
{
    weir_debug_assert(node->used);
    node->used = false;
    node->kind = 0;
    node->value.number = 0;
    radix->count--;
    while (!node->used && node->children == 0 && node->parent != NULL) {
        struct weir_radix_node *parent = node->parent;

        detach(parent, node->label);
        free(node);
        node = parent;
    }
    if (radix->count == 0)
        drop_if_empty(radix);
    else if (!node->used && node->children == 1 && node->parent != NULL)
        merge(radix, node);
    else
        trim(radix, node);
}

void weir_radix_init(struct weir_radix *radix, weir_radix_moved *moved)
{
    *radix = (struct weir_radix){.moved = moved};
}

/* Take some child from its parent. */
static struct weir_radix_node *pluck(struct weir_radix_node *node)
{
    struct weir_radix_node **children = children_of(node);
    size_t last = places(node) - 1;
    struct weir_radix_node *child;

    while (children[last] == NULL)
        last--;
    child = children[last];
    children[last] = NULL;
    node->children--;
    return child;
}

void weir_radix_fini(struct weir_radix *radix)
{
    struct weir_radix_node *node = radix->root;

    while (node != NULL) {
        struct weir_radix_node *parent = node->parent;

        if (node->children > 0) {
            node = pluck(node);
        } else {
            free(node);
            node = parent;
        }
    }
    free(radix->text);
    weir_radix_init(radix, radix->moved);
}

/* ---- walking ---- */

void weir_radix_walk(struct weir_radix_walk *walk,
                     const struct weir_radix *radix, const void *data,
                     size_t size)
{
    walk->next = radix->root;
    walk->data = data;
    walk->left = size;
}

/* The node below, to which the data go on; or NULL. */
static inline struct weir_radix_node *below(struct weir_radix_node *node,
                                            const uint8_t *data, size_t left)
{
    struct weir_radix_node *child;

    if (left == 0 || node->children == 0)
        return NULL;
    child = child_of(node, data[0]);
    if (child == NULL || child->edge >= left ||
        (child->edge > 0 && /* which a dense tree's mostly is not */
         memcmp(edge_of(child), data + 1, child->edge) != 0))
        return NULL;
    return child;
}

/* What is walked is kept in registers: each step waits for the one before. */
struct weir_radix_node *weir_radix_walk_next(struct weir_radix_walk *walk)
{
    struct weir_radix_node *node = walk->next, *found = NULL;
    const uint8_t *data = walk->data;
    size_t left = walk->left;

    while (node != NULL && found == NULL) {
        if (node->used)
            found = node;
        node = below(node, data, left);
        if (node != NULL) {
            data += node->edge + 1;
            left -= node->edge + 1u;
        }
    }
    walk->next = node;
    walk->data = data;
    walk->left = left;
    return found;
}

/* The node that follows all that is below `node`; or NULL. */
static struct weir_radix_node *beside(const struct weir_radix_node *node)
{
    struct weir_radix_node *sibling = NULL;

    while (sibling == NULL && node->parent != NULL) {
        sibling = child_from(node->parent, node->label + 1u);
        node = node->parent;
    }
    return sibling;
}

static struct weir_radix_node *following(const struct weir_radix_node *node)
{
    return node->children > 0 ? child_from(node, 0) : beside(node);
}

/* `node` or the first behind it that is used. */
static struct weir_radix_node *used_from(struct weir_radix_node *node)
{
    while (node != NULL && !node->used)
        node = following(node);
    return node;
}

struct weir_radix_node *weir_radix_first(const struct weir_radix *radix)
{
    return used_from(radix->root);
}

struct weir_radix_node *weir_radix_next(const struct weir_radix_node *node)
{
    return used_from(following(node));
}

struct weir_radix_node *weir_radix_above(const struct weir_radix *radix,
                                         const void *key, size_t size)
{
    const uint8_t *octets = key;
    struct weir_radix_node *node;
    struct spot spot;
    size_t there;

    if (radix->root == NULL)
        return NULL;
    spot = find_spot(radix, octets, size);
    there = spot.done + spot.common;
    if (spot.child != NULL) {
        bool greater = there == size ||
                       edge_of(spot.child)[spot.common - 1] > octets[there];

        return used_from(greater ? spot.child : beside(spot.child));
    }
    if (there == size)
        return weir_radix_next(spot.node);
    node = child_from(spot.node, octets[there] + 1u);
    return used_from(node != NULL ? node : beside(spot.node));
}

static size_t text_size(const struct weir_radix_node *node)
{
    size_t size = 0;

    for (; node->parent != NULL; node = node->parent)
        size += node->edge + 1u;
    return size;
}

size_t weir_radix_text(struct weir_radix *radix, struct weir_radix_node *node)
{
    size_t size = text_size(node);
    size_t at = size;

    weir_debug_assert(size <= radix->text_room);
    for (; node->parent != NULL; node = node->parent) {
        at -= node->edge + 1u;
        radix->text[at] = node->label;
        memcpy(radix->text + at + 1, edge_of(node), node->edge);
    }
    return size;
}
