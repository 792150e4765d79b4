/*
 * trie.h - which peers subscribe to which topics, for a publisher.
 * Above: fanout.h.  Below: radix.h.
 *
 * A topic is a binary prefix of the first frame, and each has a set of peers:
 * subscribing twice is the same as once (ZMTP 3.1, RFC 37 and what libzmq
 * does).  A message costs a walk along its first octets, however many topics
 * there are.  A peer knows its own topics, so losing it costs as much as it
 * had subscribed to.
 *
 * The caller's lock guards the trie and what it keeps in its peers.
 */
#ifndef WEIR_PATTERN_TRIE_H
#define WEIR_PATTERN_TRIE_H

#include "pattern/radix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the trie keeps of a peer, to be embedded in the caller's structure.
 * All zero: subscribes to nothing.  `count` may be read by the caller. */
struct weir_trie_peer {
    struct weir_radix_node **topics;
    uint32_t count; /* topics */
    uint32_t room;
    uint32_t number; /* in the trie's table, while count > 0 */
    uint64_t turn;   /* of the last match that saw it */
};

union weir_trie_place {
    struct weir_trie_peer *peer;
    uint32_t free; /* the next free place */
};

struct weir_trie {
    struct weir_radix radix; /* first: see moved() */
    union weir_trie_place *places;
    uint32_t room;      /* of places */
    uint32_t free;      /* the first free place, or `room` */
    uint32_t peers;     /* with at least one topic */
    uint64_t turn;      /* counts matches */
    size_t subscribers; /* pairs of a topic and a peer */
};

/* What became of a topic. */
enum weir_trie_change {
    WEIR_TRIE_SAME,  /* the peer had it already, or did not have it */
    WEIR_TRIE_OTHER, /* the peer's own change; other peers have the topic too */
    WEIR_TRIE_ALONE  /* the first peer came, or the last one left */
};

/* Make an empty trie; it has no memory yet. */
void weir_trie_init(struct weir_trie *trie);

/* Free everything.  The peers subscribe to nothing afterwards. */
void weir_trie_fini(struct weir_trie *trie);

/* Subscribe `peer`, which stays where it is until it has no topics left.
 * Returns a weir_trie_change.
 * Errors: -ENOMEM, and nothing has changed. */
int weir_trie_add(struct weir_trie *trie, struct weir_trie_peer *peer,
                  const void *topic, size_t size);

/* Unsubscribe `peer`.  Returns a weir_trie_change; never fails. */
int weir_trie_remove(struct weir_trie *trie, struct weir_trie_peer *peer,
                     const void *topic, size_t size);

/* A topic of a peer that is being removed; `alone` says that no other peer has
 * it.  The text lasts for the call, which leaves the trie alone. */
typedef void weir_trie_left(void *argument, const uint8_t *topic, size_t size,
                            bool alone);

/* Unsubscribe `peer` from up to `most` of its topics, and tell each to `left`
 * (may be NULL).  Returns how many it still has, so that a peer with a million
 * topics can be removed in steps: until 0 is returned the peer stays where it
 * is, and matches go on to report it.  Never fails. */
uint32_t weir_trie_remove_peer(struct weir_trie *trie,
                               struct weir_trie_peer *peer, uint32_t most,
                               weir_trie_left *left, void *argument);

/* Call `visit` once for every peer that has a topic with which the `size`
 * octets at `data` begin, however many of its topics do.  `visit` leaves the
 * trie alone. */
void weir_trie_match(struct weir_trie *trie, const void *data, size_t size,
                     void (*visit)(void *argument, struct weir_trie_peer *peer),
                     void *argument);

/* Is there no topic but perhaps the empty one?  Then what matches something
 * matches everything. */
static inline bool weir_trie_is_flat(const struct weir_trie *trie)
{
    return weir_radix_is_flat(&trie->radix);
}

/* Topics that at least one peer has. */
static inline size_t weir_trie_count(const struct weir_trie *trie)
{
    return trie->radix.count;
}

/* Call `visit` for every topic in the order of their octets, until it returns
 * something else than 0, and return that; otherwise 0.  The text lasts for the
 * call, which leaves the trie alone. */
int weir_trie_each(struct weir_trie *trie,
                   int (*visit)(void *argument, const uint8_t *topic,
                                size_t size, uint32_t peers),
                   void *argument);

#endif
