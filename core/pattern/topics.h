/*
 * topics.h - what a subscriber has subscribed to, with counts.
 * Above: SUB, XSUB, upstream.h.  Below: radix.h.
 *
 * Subscribing twice takes unsubscribing twice; publishers hear of the first
 * and the last (ZMTP 3.1, RFC 37; they keep sets).  Every new connection hears
 * of every topic once.  The caller's lock guards the set.
 */
#ifndef WEIR_PATTERN_TOPICS_H
#define WEIR_PATTERN_TOPICS_H

#include "pattern/radix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_topics {
    struct weir_radix radix;
};

/* Make an empty set; it has no memory yet. */
void weir_topics_init(struct weir_topics *topics);

/* Free everything. */
void weir_topics_fini(struct weir_topics *topics);

/* Subscribe once more; returns how often that is now: 1 for a new topic.
 * Errors: -ENOMEM, -EOVERFLOW. */
int weir_topics_add(struct weir_topics *topics, const void *topic, size_t size);

/* Unsubscribe once; returns how often the topic is still subscribed to.
 * Errors: -ENOENT. */
int weir_topics_remove(struct weir_topics *topics, const void *topic,
                       size_t size);

/* Whether the `size` octets at `data` begin with a topic of the set. */
bool weir_topics_match(const struct weir_topics *topics, const void *data,
                       size_t size);

/* Whether there is the empty topic, with which everything begins. */
static inline bool weir_topics_match_all(const struct weir_topics *topics)
{
    return weir_radix_has_empty(&topics->radix);
}

/* Different topics in the set. */
static inline size_t weir_topics_count(const struct weir_topics *topics)
{
    return topics->radix.count;
}

/* Put the first topic (`after` NULL) or the one that follows `after` in the
 * order of their octets into *topic and *topic_size; false when there is none.
 * `after` need not be in the set any more, so a long list can be sent in steps
 * between which the set changes.  The text lasts until the set is next used,
 * and can be `after` then if the set has not changed. */
bool weir_topics_next(struct weir_topics *topics, const void *after,
                      size_t size, const uint8_t **topic, size_t *topic_size);

#endif
