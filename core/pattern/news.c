/*
 * news.c - see news.h.
 */
#include "config.h"

#include "pattern/news.h"

#include <stdlib.h>

void weir_news_init(struct weir_news *news)
{
    weir_list_init(&news->list);
    news->count = 0;
}

void weir_news_fini(struct weir_news *news)
{
    weir_message message;

    while (weir_news_take(news, &message))
        weir_message_fini(&message);
}

struct weir_note *weir_note_new(void)
{
    struct weir_note *note = malloc(sizeof *note);

    if (!note)
        return NULL;
    weir_list_init(&note->in_news);
    weir_message_init(&note->message);
    return note;
}

void weir_note_free(struct weir_note *note)
{
    if (!note)
        return;
    weir_message_fini(&note->message);
    free(note);
}

void weir_news_put(struct weir_news *news, struct weir_note *note)
{
    weir_list_append(&news->list, &note->in_news);
    news->count++;
}

bool weir_news_take(struct weir_news *news, weir_message *message)
{
    struct weir_list *node = weir_list_pop(&news->list);
    struct weir_note *note;

    if (!node)
        return false;
    note = WEIR_CONTAINER(node, struct weir_note, in_news);
    weir_message_move(message, &note->message);
    weir_note_free(note);
    news->count--;
    return true;
}
