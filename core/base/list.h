/*
 * list.h - a doubly linked ring of nodes embedded in what is listed.
 * Above: whoever keeps a handful of things in order.  Below: nothing.
 *
 * Nothing is allocated, everything is constant time.  The caller's lock guards
 * the list and all of its nodes.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The structure of `type` whose `member` is at `pointer`. */
#define WEIR_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A node, or the head of a list.  A node that is in no list points to itself
 * once weir_list_init() or weir_list_remove() has seen it. */
struct weir_list {
    struct weir_list *next;
    struct weir_list *prev;
};

/* Make an empty list, or a node that is in no list. */
static inline void weir_list_init(struct weir_list *list)
{
    list->next = list;
    list->prev = list;
}

/* Whether the list has no nodes; for a node, whether it is in no list. */
static inline bool weir_list_empty(const struct weir_list *list)
{
    return list->next == list;
}

/* Put `node`, which is in no list, behind `place`: in front of all others when
 * `place` is the head. */
static inline void weir_list_insert(struct weir_list *place,
                                    struct weir_list *node)
{
    node->prev = place;
    node->next = place->next;
    place->next->prev = node;
    place->next = node;
}

/* Put `node`, which is in no list, behind all others. */
static inline void weir_list_append(struct weir_list *head,
                                    struct weir_list *node)
{
    weir_list_insert(head->prev, node);
}

/* Take `node` out of its list, if it is in one. */
static inline void weir_list_remove(struct weir_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    weir_list_init(node);
}

/* The first node, or NULL. */
static inline struct weir_list *weir_list_first(const struct weir_list *head)
{
    return head->next == head ? NULL : head->next;
}

/* Whether a node that is in a list is the only one there. */
static inline bool weir_list_alone(const struct weir_list *node)
{
    return node->next == node->prev;
}

/* Take out the first node and return it, or NULL. */
static inline struct weir_list *weir_list_pop(struct weir_list *head)
{
    struct weir_list *node = weir_list_first(head);

    if (node != NULL)
        weir_list_remove(node);
    return node;
}

/* Visit every node.  The body may remove `node`, and no other, since `after`
 * has the next one already. */
#define WEIR_LIST_EACH(node, after, head)                                 \
    for ((node) = (head)->next, (after) = (node)->next; (node) != (head); \
         (node) = (after), (after) = (node)->next)

#endif
