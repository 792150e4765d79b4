/*
 * heap.h - a priority queue of nodes embedded in what is queued; for timers.
 * Above: reactor.h.  Below: nothing.
 *
 * A pairing heap: nothing is allocated, so nothing fails.  Insertion takes
 * constant time, removal logarithmic time on average over the calls.  Nodes of
 * equal keys come out in no particular order.
 */
#ifndef WEIR_BASE_HEAP_H
#define WEIR_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_heap_node {
    int64_t key;                  /* the caller's, not while in a heap */
    struct weir_heap_node *child; /* first of those below */
    struct weir_heap_node *next;  /* sibling */
    struct weir_heap_node *prev;  /* sibling, or the parent of the first child;
                                     NULL: in no heap; itself: the root */
};

/* Zeroed memory is an empty heap and a node in no heap. */
struct weir_heap {
    struct weir_heap_node *root;
};

/* Make an empty heap. */
static inline void weir_heap_init(struct weir_heap *heap)
{
    heap->root = NULL;
}

/* Make a node that is in no heap. */
static inline void weir_heap_node_init(struct weir_heap_node *node)
{
    node->prev = NULL;
}

/* Whether the node is in a heap. */
static inline bool weir_heap_has(const struct weir_heap_node *node)
{
    return node->prev != NULL;
}

/* The node with the least key, or NULL. */
static inline struct weir_heap_node *
weir_heap_first(const struct weir_heap *heap)
{
    return heap->root;
}

/* Put in `node`, which is in no heap, under `key`. */
void weir_heap_insert(struct weir_heap *heap, struct weir_heap_node *node,
                      int64_t key);

/* Take `node` out of `heap`, which it is in. */
void weir_heap_remove(struct weir_heap *heap, struct weir_heap_node *node);

#endif
