/*
 * stack.h - a lock-free stack: many threads push, one takes everything.
 * Above: mailboxes, and chunks on their way home.  Below: nothing.
 *
 * Nodes are embedded in what is pushed.  Only whole stacks are taken, so there
 * is no way for a node to be taken and pushed again under a thread that is
 * looking at it.
 */
#ifndef WEIR_BASE_STACK_H
#define WEIR_BASE_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct weir_stack_node {
    struct weir_stack_node *next;
};

/* Zeroed memory is an empty stack too. */
struct weir_stack {
    _Atomic(struct weir_stack_node *) top;
};

/* Make `stack` empty. */
static inline void weir_stack_init(struct weir_stack *stack)
{
    atomic_init(&stack->top, NULL);
}

/* Whether nothing was on the stack a moment ago. */
static inline bool weir_stack_empty(const struct weir_stack *stack)
{
    return atomic_load_explicit(&stack->top, memory_order_relaxed) == NULL;
}

/* Push `node`, and all that the thread wrote before, to whoever takes.
 * Returns whether the stack was empty: then the taker may have to be woken.
 * Thread: any. */
static inline bool weir_stack_push(struct weir_stack *stack,
                                   struct weir_stack_node *node)
{
    struct weir_stack_node *top =
        atomic_load_explicit(&stack->top, memory_order_relaxed);

    do
        node->next = top;
    while (!atomic_compare_exchange_weak_explicit(
        &stack->top, &top, node, memory_order_release, memory_order_relaxed));
    return top == NULL;
}

/* Take everything, linked by `next`, the newest first; NULL if there is
 * nothing.
 * Thread: any; each node goes to one taker. */
static inline struct weir_stack_node *
weir_stack_take_all(struct weir_stack *stack)
{
    if (weir_stack_empty(stack))
        return NULL;
    return atomic_exchange_explicit(&stack->top, NULL, memory_order_acquire);
}

/* As weir_stack_take_all(), but the oldest first: what one thread pushed comes
 * in the order in which it pushed. */
static inline struct weir_stack_node *
weir_stack_take_in_order(struct weir_stack *stack)
{
    struct weir_stack_node *node = weir_stack_take_all(stack);
    struct weir_stack_node *first = NULL;

    while (node != NULL) {
        struct weir_stack_node *next = node->next;

        node->next = first;
        first = node;
        node = next;
    }
    return first;
}

#endif
