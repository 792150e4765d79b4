/*
 * test_trie.c - topics of peers against a plain table, under random
 * operations, with and without memory; and a million topics, counted in octets
 * and in time.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory.h"
#include "base/clock.h"
#include "pattern/trie.h"

#define PEERS  40
#define TOPICS 60
#define STEPS  30000

struct model {
    struct weir_trie trie;
    struct weir_trie_peer peers[PEERS];
    bool has[PEERS][TOPICS];
    char topics[TOPICS][16];
    bool seen[PEERS]; /* by a match */
    int visits;
};

static struct model *new_model(void)
{
    struct model *model = calloc(1, sizeof *model);
    char *at;

    assert_non_null(model);
    weir_trie_init(&model->trie);
    for (int i = 1; i < TOPICS; i++) {
        at = stpcpy(model->topics[i], model->topics[i / 3]);
        *at = (char)('a' + i % 3);
    }
    return model;
}

static int has_count(const struct model *model, size_t topic)
{
    int count = 0;

    for (size_t peer = 0; peer < PEERS; peer++)
        count += model->has[peer][topic];
    return count;
}

/* What a change by one of `count` peers, itself included, should say. */
static int expected_change(bool changes, int count)
{
    if (!changes)
        return WEIR_TRIE_SAME;
    return count == 1 ? WEIR_TRIE_ALONE : WEIR_TRIE_OTHER;
}

static void add(struct model *model, size_t peer, size_t topic)
{
    const char *text = model->topics[topic];
    bool *has = &model->has[peer][topic];
    int result =
        weir_trie_add(&model->trie, &model->peers[peer], text, strlen(text));

    if (result == -ENOMEM) {
        assert_true(memory_scarce != 0);
        return;
    }
    assert_int_equal(result,
                     expected_change(!*has, has_count(model, topic) + 1));
    *has = true;
}

static void drop(struct model *model, size_t peer, size_t topic)
{
    const char *text = model->topics[topic];
    bool *has = &model->has[peer][topic];
    int result =
        weir_trie_remove(&model->trie, &model->peers[peer], text, strlen(text));

    assert_int_equal(result, expected_change(*has, has_count(model, topic)));
    *has = false;
}

struct leaving {
    struct model *model;
    size_t peer;
};

static void left(void *opaque, const uint8_t *text, size_t size, bool alone)
{
    struct leaving *leaving = opaque;
    struct model *model = leaving->model;

    for (size_t topic = 0; topic < TOPICS; topic++) {
        if (strlen(model->topics[topic]) != size ||
            memcmp(model->topics[topic], text, size) != 0)
            continue;
        assert_true(model->has[leaving->peer][topic]);
        assert_int_equal(alone, has_count(model, topic) == 1);
        model->has[leaving->peer][topic] = false;
        return;
    }
    fail_msg("an unknown topic left");
}

static void drop_peer(struct model *model, size_t peer, uint32_t step)
{
    struct leaving leaving = {model, peer};
    uint32_t count = model->peers[peer].count;

    while (count > 0) {
        uint32_t rest = weir_trie_remove_peer(&model->trie, &model->peers[peer],
                                              step, left, &leaving);

        assert_int_equal(rest, count > step ? count - step : 0);
        count = rest;
    }
    assert_null(model->peers[peer].topics);
    for (size_t topic = 0; topic < TOPICS; topic++)
        assert_false(model->has[peer][topic]);
}

static void see(void *opaque, struct weir_trie_peer *peer)
{
    struct model *model = opaque;

    assert_false(model->seen[peer - model->peers]);
    model->seen[peer - model->peers] = true;
}

static void check_match(struct model *model, const char *data)
{
    memset(model->seen, 0, sizeof model->seen);
    weir_trie_match(&model->trie, data, strlen(data), see, model);
    for (size_t peer = 0; peer < PEERS; peer++) {
        bool expected = false;

        for (size_t topic = 0; topic < TOPICS; topic++)
            if (model->has[peer][topic] &&
                strncmp(model->topics[topic], data,
                        strlen(model->topics[topic])) == 0)
                expected = true;
        assert_int_equal(model->seen[peer], expected);
    }
}

static int visit(void *opaque, const uint8_t *text, size_t size, uint32_t peers)
{
    struct model *model = opaque;

    for (size_t topic = 0; topic < TOPICS; topic++)
        if (strlen(model->topics[topic]) == size &&
            memcmp(model->topics[topic], text, size) == 0)
            assert_int_equal(peers, has_count(model, topic));
    model->visits++;
    return 0;
}

static void check_counts(struct model *model)
{
    size_t topics = 0, pairs = 0;

    for (size_t topic = 0; topic < TOPICS; topic++) {
        topics += has_count(model, topic) > 0;
        pairs += (size_t)has_count(model, topic);
    }
    assert_int_equal(weir_trie_count(&model->trie), topics);
    assert_int_equal(model->trie.subscribers, pairs);
    model->visits = 0;
    assert_int_equal(weir_trie_each(&model->trie, visit, model), 0);
    assert_int_equal(model->visits, topics);
}

static void step_once(struct model *model, uint32_t step)
{
    bool growing = step / 5000 % 2 == 0;
    size_t peer = draw(PEERS), topic = draw(TOPICS);

    if (draw(200) == 0)
        drop_peer(model, peer, 1 + draw(20));
    else if (draw(10) < (growing ? 8 : 3))
        add(model, peer, topic);
    else
        drop(model, peer, topic);
    if (step % 8 == 0)
        check_match(model, model->topics[draw(TOPICS)]);
    if (step % 500 == 0)
        check_counts(model);
}

static void run_model(uint32_t scarcity)
{
    size_t before = memory_used;
    struct model *model = new_model();

    memory_scarce = scarcity;
    for (uint32_t step = 0; step < STEPS; step++)
        step_once(model, step);
    memory_scarce = 0;
    check_counts(model);
    for (size_t peer = 1; peer < PEERS; peer++)
        drop_peer(model, peer, UINT32_MAX);
    check_counts(model);
    drop_peer(model, 0, UINT32_MAX);
    assert_null(model->trie.radix.root);
    assert_null(model->trie.places);
    weir_trie_fini(&model->trie);
    free(model);
    assert_int_equal(memory_used, before);
}

static void test_random(void **state)
{
    (void)state;
    run_model(0);
}

static void test_random_without_memory(void **state)
{
    (void)state;
    run_model(2);
    run_model(15);
}

/* Freed while full, and used again with the same peers. */
static void test_fini_full(void **state)
{
    size_t before = memory_used;
    struct model *model = new_model();

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        memset(model->has, 0, sizeof model->has);
        for (size_t i = 0; i < (size_t)PEERS * TOPICS; i += 2)
            add(model, i % PEERS, i % TOPICS);
        check_match(model, "abcabc");
        check_counts(model);
        weir_trie_fini(&model->trie);
        for (size_t peer = 0; peer < PEERS; peer++)
            assert_int_equal(model->peers[peer].count, 0);
    }
    free(model);
    assert_int_equal(memory_used, before);
}

static int stop(void *count, const uint8_t *topic, size_t size, uint32_t peers)
{
    (void)topic;
    (void)size;
    (void)peers;
    return ++*(int *)count == 2 ? -ECANCELED : 0;
}

static void test_each_stops(void **state)
{
    struct model *model = new_model();
    int count = 0;

    (void)state;
    for (size_t topic = 0; topic < 5; topic++)
        add(model, 0, topic);
    assert_int_equal(weir_trie_each(&model->trie, stop, &count), -ECANCELED);
    assert_int_equal(count, 2);
    weir_trie_fini(&model->trie);
    free(model);
}

#define MILLION 1000000

static size_t topic_of(uint32_t number, char topic[32])
{
    return (size_t)snprintf(topic, 32, "topic.%u", number);
}

static void count_peer(void *count, struct weir_trie_peer *peer)
{
    (void)peer;
    ++*(size_t *)count;
}

static void report(const char *what, int64_t since, size_t each)
{
    print_message("%s: %lld ns each\n", what,
                  (long long)((weir_now() - since) / (int64_t)each));
}

static void match_some(struct weir_trie *trie, uint32_t topics)
{
    int64_t since = weir_now();
    size_t found = 0;
    char topic[32];

    for (uint32_t i = 0; i < MILLION; i++) {
        size_t size = topic_of(draw(topics), topic);

        weir_trie_match(trie, topic, size, count_peer, &found);
    }
    report("match, with making the topic", since, MILLION);
    assert_true(found >= MILLION);
}

/* A million topics of one peer: at most 100 octets each, and every operation
 * far from the seconds that looking at all of them would take. */
static void test_million(void **state)
{
    int64_t since = weir_now(), deadline = since + 60000000000;
    size_t before = memory_used;
    struct weir_trie_peer peer = {NULL, 0, 0, 0, 0};
    struct weir_trie trie;
    char topic[32];

    (void)state;
    weir_trie_init(&trie);
    for (uint32_t i = 0; i < MILLION; i++) {
        assert_int_equal(weir_trie_add(&trie, &peer, topic, topic_of(i, topic)),
                         WEIR_TRIE_ALONE);
        if (i == 9)
            match_some(&trie, 10);
    }
    report("add, with ten matched in between", since, MILLION);
    print_message("memory: %zu octets a topic\n",
                  (memory_used - before) / MILLION);
    assert_true((memory_used - before) / MILLION <= 100);
    match_some(&trie, MILLION);
    since = weir_now();
    while (weir_trie_remove_peer(&trie, &peer, 1000, NULL, NULL) > 0)
        assert_true(weir_now() < deadline);
    report("remove", since, MILLION);
    assert_int_equal(memory_used, before);
    assert_true(weir_now() < deadline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_without_memory),
        cmocka_unit_test(test_fini_full),
        cmocka_unit_test(test_each_stops),
        cmocka_unit_test(test_million),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
