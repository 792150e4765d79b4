/*
 * news.h - messages that a pattern makes itself: a peer came, a topic is
 * wanted.  They wait until the application receives them.
 * Above: ROUTER, XPUB.  Below: malloc.
 *
 * A note is made before what it tells has happened, so that nothing is left
 * to fail afterwards.  The socket's lock guards all.
 */
#ifndef WEIR_NEWS_H
#define WEIR_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

#include "base/list.h"

struct weir_note {
    struct weir_list in_news;
    weir_message message;
};

struct weir_news {
    struct weir_list list; /* the oldest first */
    uint64_t count;
};

void weir_news_init(struct weir_news *news);
void weir_news_fini(struct weir_news *news);

/* Make a note of an empty message; NULL: no memory.  For the caller to fill,
 * then to put or to free. */
struct weir_note *weir_note_new(void);
void weir_note_free(struct weir_note *note); /* may be NULL */

/* Put a note behind the others; it is the list's. */
void weir_news_put(struct weir_news *news, struct weir_note *note);

/* Move the oldest note's message into an empty one.  False: there is none. */
bool weir_news_take(struct weir_news *news, weir_message *message);

#endif
