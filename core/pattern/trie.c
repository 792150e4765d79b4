#include "config.h"

#include "pattern/trie.h"

#include "base/debug.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The peers of a topic, sorted by `number`.  A topic with one peer, the usual
 * case, has it in its node and needs no set. */
struct set {
    uint32_t count;
    uint32_t room;
    struct weir_subscriber list[];
};

/* The kinds of a node. */
enum { NOBODY, ONE, MANY };

/* ---- the peers of a topic ---- */

/* The peers are at the value itself, or where it points to. */
static struct weir_subscriber *list_of(struct weir_radix_node *node)
{
    struct set *set = node->value.pointer;

    return node->kind == MANY ? set->list : &node->value.subscriber;
}

static uint32_t count_of(const struct weir_radix_node *node)
{
    const struct set *set = node->value.pointer;

    return node->kind == MANY ? set->count : node->kind;
}

/* Where the peer is among those of the topic, or would be. */
static uint32_t seek(struct weir_radix_node *node, uint32_t number)
{
    const struct weir_subscriber *list = list_of(node);
    uint32_t from = 0, to = count_of(node);

    while (from < to) {
        uint32_t middle = from + (to - from) / 2;

        if (list[middle].number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool has(struct weir_radix_node *node, uint32_t at, uint32_t number)
{
    return at < count_of(node) && list_of(node)[at].number == number;
}

/* Make the set as large as `room`; NULL if it stays as it is. */
static struct set *resize_set(struct weir_radix_node *node, uint32_t room)
{
    struct set *old = node->kind == MANY ? node->value.pointer : NULL;
    struct set *set = realloc(old, sizeof *set + room * sizeof set->list[0]);

    if (set == NULL)
        return NULL;
    if (old == NULL) {
        set->count = count_of(node);
        memcpy(set->list, list_of(node), set->count * sizeof set->list[0]);
    }
    set->room = room;
    node->kind = MANY;
    node->value.pointer = set;
    return set;
}

/* Make room in the list for one more. */
static int grow_set(struct weir_radix_node *node)
{
    const struct set *set = node->value.pointer;
    uint32_t count = count_of(node);

    if (node->kind == NOBODY || (node->kind == MANY && count < set->room))
        return 0;
    if (count > UINT32_MAX / 2 || resize_set(node, 2 * count) == NULL)
        return -ENOMEM;
    return 0;
}

static void shrink_set(struct weir_radix_node *node, struct set *set)
{
    if (set->count == 1) {
        node->kind = ONE;
        node->value.subscriber = set->list[0];
        free(set);
    } else if (set->count <= set->room / 4) {
        (void)resize_set(node, set->room / 2);
    }
}

static int put(struct weir_radix_node *node, uint32_t at,
               struct weir_subscriber subscriber)
{
    uint32_t count = count_of(node);
    struct weir_subscriber *list;

    if (grow_set(node) < 0)
        return -ENOMEM;
    list = list_of(node);
    memmove(list + at + 1, list + at, (count - at) * sizeof *list);
    list[at] = subscriber;
    if (node->kind == MANY)
        ((struct set *)node->value.pointer)->count++;
    else
        node->kind = ONE;
    return 0;
}

/* Take a peer out; the last one stays written in a node that goes away. */
static void take(struct weir_radix_node *node, uint32_t at)
{
    struct weir_subscriber *list = list_of(node);

    if (node->kind == MANY) {
        struct set *set = node->value.pointer;

        set->count--;
        memmove(list + at, list + at + 1, (set->count - at) * sizeof *list);
        shrink_set(node, set);
    } else {
        node->kind = NOBODY;
    }
}

/* ---- the table of peers ---- */

static struct weir_trie_peer *peer_of(const struct weir_trie *trie,
                                      uint32_t number)
{
    return trie->places[number].peer;
}

static int grow_places(struct weir_trie *trie)
{
    uint32_t room = trie->room == 0 ? 4 : 2 * trie->room;
    union weir_trie_place *places;

    if (trie->room > UINT32_MAX / 2)
        return -ENOMEM;
    places = realloc(trie->places, room * sizeof *places);
    if (places == NULL)
        return -ENOMEM;
    for (uint32_t i = trie->room; i < room; i++)
        places[i].free = i + 1;
    trie->places = places;
    trie->room = room;
    return 0;
}

/* Give a number to a peer that has none. */
static int join(struct weir_trie *trie, struct weir_trie_peer *peer)
{
    if (trie->free == trie->room && grow_places(trie) < 0)
        return -ENOMEM;
    peer->number = trie->free;
    trie->free = trie->places[peer->number].free;
    trie->places[peer->number].peer = peer;
    trie->peers++;
    return 0;
}

/* Take the number from a peer that has no topics. */
static void leave(struct weir_trie *trie, struct weir_trie_peer *peer)
{
    free(peer->topics);
    peer->topics = NULL;
    peer->room = 0;
    trie->places[peer->number].free = trie->free;
    trie->free = peer->number;
    if (--trie->peers > 0)
        return;
    free(trie->places);
    trie->places = NULL;
    trie->room = 0;
    trie->free = 0;
}

/* ---- the topics of a peer ---- */

static int resize_topics(struct weir_trie_peer *peer, uint32_t room)
{
    struct weir_radix_node **topics =
        realloc(peer->topics, room * sizeof *topics);

    if (topics == NULL)
        return -ENOMEM;
    peer->topics = topics;
    peer->room = room;
    return 0;
}

static int grow_topics(struct weir_trie_peer *peer)
{
    if (peer->count < peer->room)
        return 0;
    if (peer->room > UINT32_MAX / 2)
        return -ENOMEM;
    return resize_topics(peer, peer->room + peer->room / 2 + 2);
}

/* Take a topic out of the peer's table, and put the last one in its place. */
static void forget_topic(struct weir_trie_peer *peer, uint32_t index)
{
    struct weir_radix_node *last = peer->topics[--peer->count];

    if (index < peer->count) {
        peer->topics[index] = last;
        list_of(last)[seek(last, peer->number)].index = index;
    }
    if (peer->count > 16 && peer->count < peer->room / 4)
        (void)resize_topics(peer, peer->room / 2);
}

/* A node has moved: tell the peers that point to it. */
static void moved(struct weir_radix *radix, struct weir_radix_node *node)
{
    struct weir_trie *trie = (struct weir_trie *)(void *)radix;
    const struct weir_subscriber *list = list_of(node);
    uint32_t count = count_of(node);

    for (uint32_t i = 0; i < count; i++)
        peer_of(trie, list[i].number)->topics[list[i].index] = node;
}

/* ---- the trie ---- */

void weir_trie_init(struct weir_trie *trie)
{
    *trie = (struct weir_trie){.turn = 0};
    weir_radix_init(&trie->radix, moved);
}

void weir_trie_fini(struct weir_trie *trie)
{
    struct weir_radix_node *node = weir_radix_first(&trie->radix);

    for (; node != NULL; node = weir_radix_next(node)) {
        while (count_of(node) > 0) {
            struct weir_subscriber last = list_of(node)[count_of(node) - 1];
            struct weir_trie_peer *peer = peer_of(trie, last.number);

            take(node, count_of(node) - 1);
            if (--peer->count == 0)
                leave(trie, peer);
        }
    }
    weir_radix_fini(&trie->radix);
    trie->subscribers = 0;
}

/* The peer has a number, and room for one more topic. */
static int add(struct weir_trie *trie, struct weir_trie_peer *peer,
               const void *topic, size_t size)
{
    struct weir_subscriber subscriber = {peer->number, peer->count};
    struct weir_radix_node *node;
    uint32_t at, others;

    node = weir_radix_insert(&trie->radix, topic, size);
    if (node == NULL)
        return -ENOMEM;
    at = seek(node, peer->number);
    if (has(node, at, peer->number))
        return WEIR_TRIE_SAME;
    others = count_of(node);
    if (put(node, at, subscriber) < 0)
        return -ENOMEM;
    peer->topics[peer->count++] = node;
    trie->subscribers++;
    return others == 0 ? WEIR_TRIE_ALONE : WEIR_TRIE_OTHER;
}

int weir_trie_add(struct weir_trie *trie, struct weir_trie_peer *peer,
                  const void *topic, size_t size)
{
    int result = 0;

    if (peer->count == 0)
        result = join(trie, peer);
    if (result == 0) {
        result = grow_topics(peer);
        if (result == 0)
            result = add(trie, peer, topic, size);
        if (peer->count == 0)
            leave(trie, peer);
    }
    if (result < 0)
        return weir_fail(ENOMEM, "out of memory for a topic of %zu octets",
                         size);
    return result;
}

/* Take the peer at a place of the topic's list away from it. */
static int drop(struct weir_trie *trie, struct weir_trie_peer *peer,
                struct weir_radix_node *node, uint32_t at)
{
    uint32_t index = list_of(node)[at].index;
    bool alone = count_of(node) == 1;

    take(node, at);
    forget_topic(peer, index);
    trie->subscribers--;
    if (alone)
        weir_radix_remove(&trie->radix, node);
    if (peer->count == 0)
        leave(trie, peer);
    return alone ? WEIR_TRIE_ALONE : WEIR_TRIE_OTHER;
}

int weir_trie_remove(struct weir_trie *trie, struct weir_trie_peer *peer,
                     const void *topic, size_t size)
{
    struct weir_radix_node *node;
    uint32_t at;

    if (peer->count == 0)
        return WEIR_TRIE_SAME;
    node = weir_radix_find(&trie->radix, topic, size);
    if (node == NULL)
        return WEIR_TRIE_SAME;
    at = seek(node, peer->number);
    if (!has(node, at, peer->number))
        return WEIR_TRIE_SAME;
    return drop(trie, peer, node, at);
}

/* From the end of the peer's table, so that nothing takes a freed place. */
uint32_t weir_trie_remove_peer(struct weir_trie *trie,
                               struct weir_trie_peer *peer, uint32_t most,
                               weir_trie_left *left, void *argument)
{
    while (peer->count > 0 && most-- > 0) {
        struct weir_radix_node *node = peer->topics[peer->count - 1];

        if (left != NULL) {
            size_t size = weir_radix_text(&trie->radix, node);

            left(argument, trie->radix.text, size, count_of(node) == 1);
        }
        drop(trie, peer, node, seek(node, peer->number));
    }
    return peer->count;
}

void weir_trie_match(struct weir_trie *trie, const void *data, size_t size,
                     void (*visit)(void *argument, struct weir_trie_peer *peer),
                     void *argument)
{
    struct weir_radix_node *node;
    struct weir_radix_walk walk;

    trie->turn++;
    weir_radix_walk(&walk, &trie->radix, data, size);
    while ((node = weir_radix_walk_next(&walk)) != NULL) {
        const struct weir_subscriber *list = list_of(node);
        uint32_t count = count_of(node);

        for (uint32_t i = 0; i < count; i++) {
            struct weir_trie_peer *peer = peer_of(trie, list[i].number);

            if (peer->turn == trie->turn)
                continue;
            peer->turn = trie->turn;
            visit(argument, peer);
        }
    }
}

int weir_trie_each(struct weir_trie *trie,
                   int (*visit)(void *argument, const uint8_t *topic,
                                size_t size, uint32_t peers),
                   void *argument)
{
    struct weir_radix_node *node = weir_radix_first(&trie->radix);
    int result = 0;

    for (; node != NULL && result == 0; node = weir_radix_next(node)) {
        size_t size = weir_radix_text(&trie->radix, node);

        result = visit(argument, trie->radix.text, size, count_of(node));
    }
    return result;
}
