/* test_stack.c - what many threads push is taken once, and in order. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/stack.h"

#define PUSHERS 3
#define EACH    30000

struct item {
    int pusher;
    int number; /* plain: the stack orders it */
    struct weir_stack_node link;
};

struct job {
    struct weir_stack *stack;
    struct item *items;
    int pusher;
    _Atomic int *firsts;
};

static struct item *item_of(struct weir_stack_node *node)
{
    return WEIR_CONTAINER(node, struct item, link);
}

static void test_one_thread(void **state)
{
    struct weir_stack stack;
    struct item items[3];
    struct weir_stack_node *node;

    (void)state;
    weir_stack_init(&stack);
    assert_true(weir_stack_empty(&stack));
    assert_null(weir_stack_take_all(&stack));
    assert_true(weir_stack_push(&stack, &items[0].link));
    assert_false(weir_stack_push(&stack, &items[1].link));
    assert_false(weir_stack_empty(&stack));
    node = weir_stack_take_all(&stack);
    assert_ptr_equal(node, &items[1].link);
    assert_ptr_equal(node->next, &items[0].link);
    assert_null(node->next->next);
    assert_true(weir_stack_empty(&stack));
    for (int i = 0; i < 3; i++)
        weir_stack_push(&stack, &items[i].link);
    node = weir_stack_take_in_order(&stack);
    for (int i = 0; i < 3; i++, node = node->next)
        assert_ptr_equal(node, &items[i].link);
    assert_null(node);
    assert_null(weir_stack_take_in_order(&stack));
}

static void *push_all(void *opaque)
{
    struct job *job = opaque;

    for (int i = 0; i < EACH; i++) {
        job->items[i].pusher = job->pusher;
        job->items[i].number = i;
        if (weir_stack_push(job->stack, &job->items[i].link))
            atomic_fetch_add(job->firsts, 1);
    }
    return NULL;
}

/* Take until everything has come; how many takes gave something. */
static int take_everything(struct weir_stack *stack, int expected[PUSHERS])
{
    int64_t deadline = weir_deadline_in(60000);
    int taken = 0, takes = 0;

    while (taken < PUSHERS * EACH) {
        struct weir_stack_node *node = weir_stack_take_in_order(stack);

        assert_true(weir_now() < deadline);
        takes += node != NULL;
        for (; node != NULL; node = node->next) {
            struct item *item = item_of(node);

            assert_int_equal(item->number, expected[item->pusher]++);
            taken++;
        }
    }
    return takes;
}

static void test_many_threads(void **state)
{
    struct weir_stack stack = {NULL};
    int expected[PUSHERS] = {0};
    struct job jobs[PUSHERS];
    pthread_t threads[PUSHERS];
    _Atomic int firsts = 0;
    int takes;

    (void)state;
    for (int i = 0; i < PUSHERS; i++) {
        jobs[i] = (struct job){&stack, NULL, i, &firsts};
        jobs[i].items = calloc(EACH, sizeof *jobs[i].items);
        assert_non_null(jobs[i].items);
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &jobs[i]),
                         0);
    }
    takes = take_everything(&stack, expected);
    for (int i = 0; i < PUSHERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        free(jobs[i].items);
    }
    assert_int_equal(takes, atomic_load(&firsts));
    assert_true(weir_stack_empty(&stack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
