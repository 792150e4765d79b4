/*
 * link_messages.h - links in the messages shape: the plugin frames, drains
 * our output queue and fills our input queue.
 *
 * The reactor is the driver of such a link from its first to its last moment,
 * since all turns of an endpoint and of its links are the reactor's.  So the
 * driver word is never free; who finds it taken posts the link's turn, and
 * the reactor goes round.
 *
 * What plugins call of it is declared in endpoint.h.
 * Above: link.c, endpoint.c.  Below: queue.h, pipe.h, the plugin.
 */
#ifndef WEIR_LINK_MESSAGES_H
#define WEIR_LINK_MESSAGES_H

#include <stdbool.h>

struct weir_link;

/* No turns from now on.  Reactor, with the socket's lock held.
 * False: one has been posted; call again when it has run. */
bool weir_messages_quit(struct weir_link *link);

/* Close the plugin's object and forget the messages that have not come
 * wholly.  Reactor, after weir_messages_quit(). */
void weir_messages_close(struct weir_link *link);

#endif
