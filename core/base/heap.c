#include "config.h"

#include "base/heap.h"

#include "base/debug.h"

/* Make the root with the greater key the first child of the other. */
static struct weir_heap_node *meld(struct weir_heap_node *a,
                                   struct weir_heap_node *b)
{
    if (b->key < a->key) {
        struct weir_heap_node *less = b;

        b = a;
        a = less;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Meld siblings in pairs from the left, and chain what comes out by `next` in
 * reverse. */
static struct weir_heap_node *pair_up(struct weir_heap_node *first)
{
    struct weir_heap_node *pairs = NULL;

    while (first != NULL) {
        struct weir_heap_node *a = first;
        struct weir_heap_node *b = a->next;

        first = b != NULL ? b->next : NULL;
        if (b != NULL)
            a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    return pairs;
}

/* One tree of all siblings from `first` on; NULL if there are none. */
static struct weir_heap_node *join(struct weir_heap_node *first)
{
    struct weir_heap_node *pairs = pair_up(first);
    struct weir_heap_node *root = pairs;

    if (root == NULL)
        return NULL;
    pairs = pairs->next;
    while (pairs != NULL) {
        struct weir_heap_node *next = pairs->next;

        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void set_root(struct weir_heap *heap, struct weir_heap_node *root)
{
    heap->root = root;
    if (root != NULL) {
        root->prev = root;
        root->next = NULL;
    }
}

void weir_heap_insert(struct weir_heap *heap, struct weir_heap_node *node,
                      int64_t key)
{
    weir_debug_assert(!weir_heap_has(node));
    node->key = key;
    node->child = NULL;
    set_root(heap, heap->root != NULL ? meld(heap->root, node) : node);
}

static void cut(struct weir_heap_node *node)
{
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
}

void weir_heap_remove(struct weir_heap *heap, struct weir_heap_node *node)
{
    struct weir_heap_node *below = join(node->child);

    weir_debug_assert(weir_heap_has(node));
    if (node == heap->root) {
        set_root(heap, below);
    } else {
        cut(node);
        if (below != NULL)
            set_root(heap, meld(heap->root, below));
    }
    node->child = NULL;
    node->prev = NULL;
}
