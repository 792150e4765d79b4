#include "config.h"

#include "pattern/topics.h"

#include "base/error.h"

#include <errno.h>
#include <limits.h>

void weir_topics_init(struct weir_topics *topics)
{
    weir_radix_init(&topics->radix, NULL);
}

void weir_topics_fini(struct weir_topics *topics)
{
    weir_radix_fini(&topics->radix);
}

int weir_topics_add(struct weir_topics *topics, const void *topic, size_t size)
{
    struct weir_radix_node *node;

    node = weir_radix_insert(&topics->radix, topic, size);
    if (node == NULL)
        return weir_fail(ENOMEM, "out of memory for a topic of %zu octets",
                         size);
    if (node->value.number == INT_MAX)
        return weir_fail(EOVERFLOW,
                         "a topic of %zu octets is subscribed to %d times",
                         size, INT_MAX);
    return (int)++node->value.number;
}

int weir_topics_remove(struct weir_topics *topics, const void *topic,
                       size_t size)
{
    struct weir_radix_node *node;
    int count;

    node = weir_radix_find(&topics->radix, topic, size);
    if (node == NULL)
        return weir_fail(ENOENT,
                         "this topic of %zu octets is not subscribed to", size);
    count = (int)--node->value.number;
    if (count == 0)
        weir_radix_remove(&topics->radix, node);
    return count;
}

bool weir_topics_match(const struct weir_topics *topics, const void *data,
                       size_t size)
{
    struct weir_radix_walk walk;

    if (weir_topics_match_all(topics))
        return true;
    weir_radix_walk(&walk, &topics->radix, data, size);
    return weir_radix_walk_next(&walk) != NULL;
}

bool weir_topics_next(struct weir_topics *topics, const void *after,
                      size_t size, const uint8_t **topic, size_t *topic_size)
{
    struct weir_radix_node *node =
        after == NULL ? weir_radix_first(&topics->radix)
                      : weir_radix_above(&topics->radix, after, size);

    if (node == NULL)
        return false;
    *topic_size = weir_radix_text(&topics->radix, node);
    *topic = topics->radix.text;
    return true;
}
