/*
 * routes.c - see routes.h.
 */
#include "config.h"

#include "pattern/routes.h"

#include <errno.h>
#include <stdio.h>

#include "base/debug.h"
#include "base/error.h"
#include "frame.h"
#include "pipe.h"
#include "socket.h"

enum { TEXT = 80 }; /* octets of an id in a sentence */

int weir_routes_init(struct weir_routes *routes)
{
    return weir_map_init(&routes->map);
}

void weir_routes_fini(struct weir_routes *routes)
{
    weir_debug_assert(routes->map.count == 0);
    weir_map_fini(&routes->map);
}

int weir_route_init(struct weir_route *route, struct weir_pipe *pipe,
                    const void *id, size_t size)
{
    if (weir_frame_fill(&route->id, id, size) < 0)
        return weir_fail(ENOMEM, "no memory for a peer's routing id");
    route->pipe = pipe;
    route->listed = false;
    return 0;
}

void weir_route_fini(struct weir_route *route, struct weir_routes *routes)
{
    weir_routes_unlist(routes, route);
    weir_frame_fini(&route->id);
}

static bool is_plain(const uint8_t *octets, size_t size, size_t room)
{
    for (size_t i = 0; i < size; i++) {
        if (octets[i] <= ' ' || octets[i] > '~')
            return false;
    }
    return size < room;
}

const char *weir_routes_text(weir_frame *id, char *text, size_t room)
{
    const uint8_t *octets = weir_frame_octets(id);
    size_t size = weir_frame_length(id), at = 0;

    if (is_plain(octets, size, room - 2)) {
        (void)snprintf(text, room, "\"%.*s\"", (int)size, (const char *)octets);
        return text;
    }
    for (size_t i = 0; i < size && at + 3 <= room; i++, at += 2)
        (void)snprintf(text + at, room - at, "%02x", octets[i]);
    return text;
}

struct weir_route *weir_routes_find(const struct weir_routes *routes,
                                    weir_frame *id)
{
    return weir_map_get(&routes->map, weir_frame_octets(id),
                        weir_frame_length(id));
}

static int taken(weir_frame *id)
{
    char text[TEXT];

    return weir_fail(EEXIST, "another peer has the routing id %s",
                     weir_routes_text(id, text, sizeof text));
}

static void hand_over(struct weir_routes *routes, struct weir_route *from)
{
    char text[TEXT];

    weir_routes_unlist(routes, from);
    (void)weir_fail(EEXIST, "another peer has taken over the routing id %s",
                    weir_routes_text(&from->id, text, sizeof text));
    weir_pipe_refuse(from->pipe, EEXIST);
}

int weir_routes_list(struct weir_routes *routes, struct weir_route *route)
{
    struct weir_route *other = weir_routes_find(routes, &route->id);

    if (other == route)
        return 0;
    if (other && !route->pipe->sock->options.handover)
        return taken(&route->id);
    if (other)
        hand_over(routes, other);
    if (weir_map_put(&routes->map, weir_frame_octets(&route->id),
                     weir_frame_length(&route->id), route) < 0)
        return weir_fail(ENOMEM, "no memory for a peer's routing id");
    route->listed = true;
    return 0;
}

void weir_routes_unlist(struct weir_routes *routes, struct weir_route *route)
{
    if (route->listed)
        (void)weir_map_remove(&routes->map, weir_frame_octets(&route->id),
                              weir_frame_length(&route->id));
    route->listed = false;
}
