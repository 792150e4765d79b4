/*
 * routes.h - peers by their routing ids.
 * Above: ROUTER, REP.  Below: base/map.h, pipe.h.
 *
 * An id belongs to one peer at a time.  A newcomer that brings one that is
 * taken is refused; with the option "handover" it gets it, and the earlier
 * peer is refused.  The socket's lock guards all.
 */
#ifndef WEIR_ROUTES_H
#define WEIR_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

#include "base/map.h"

struct weir_pipe;
struct weir_sock;

struct weir_routes {
    struct weir_map map; /* id to route */
};

/* A peer's, from its first connection on; embedded in what the pattern has of
 * a pipe. */
struct weir_route {
    struct weir_pipe *pipe;
    weir_frame id;
    bool listed;
};

/* Errors: those of weir_map_init(). */
int weir_routes_init(struct weir_routes *routes);

/* No route is listed any more. */
void weir_routes_fini(struct weir_routes *routes);

/* Make a route, not listed yet.  Errors: -ENOMEM, with a sentence. */
int weir_route_init(struct weir_route *route, struct weir_pipe *pipe,
                    const void *id, size_t size);

/* Unlist a route and release its id. */
void weir_route_fini(struct weir_route *route, struct weir_routes *routes);

/* Make the route the one that its id leads to, if it is not.
 * Errors: -EEXIST another peer has the id, -ENOMEM; with a sentence. */
int weir_routes_list(struct weir_routes *routes, struct weir_route *route);

/* The id leads nowhere, if it led to this route. */
void weir_routes_unlist(struct weir_routes *routes, struct weir_route *route);

/* Whom an id leads to, or NULL. */
struct weir_route *weir_routes_find(const struct weir_routes *routes,
                                    weir_frame *id);

/* An id as text for sentences: itself when it is plain text, else digits. */
const char *weir_routes_text(weir_frame *id, char *text, size_t room);

#endif
