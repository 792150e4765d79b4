/*
 * loop_event.c - a socket in a loop of libevent: answers requests, and ends at
 * SIGTERM or SIGINT.
 */
#include <event2/event.h>

#include "recipe.h"

struct server {
    struct event_base *base;
    weir_socket socket;
    int code; /* why it ended; 0: a signal */
};

/* Answer one request with itself.  The event persists, and libevent calls
 * again as long as there is a message. */
static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct server *server = argument;
    int rc = answer_one(server->socket);

    (void)fd, (void)what;
    if (rc < 0) {
        server->code = rc;
        event_base_loopbreak(server->base);
    }
}

static void on_signal(evutil_socket_t number, short what, void *argument)
{
    (void)number, (void)what;
    event_base_loopbreak(argument);
}

static int loop(struct server *server, int fd)
{
    struct event *events[3] = {
        event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, server),
        evsignal_new(server->base, SIGINT, on_signal, server->base),
        evsignal_new(server->base, SIGTERM, on_signal, server->base),
    };
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = events[i] && event_add(events[i], NULL) == 0 ? 0 : -ENOMEM;
    if (rc == 0)
        rc = event_base_dispatch(server->base) < 0 ? -EIO : server->code;
    for (int i = 0; i < 3; i++)
        if (events[i])
            event_free(events[i]);
    return rc;
}

int main(int argc, char **argv)
{
    struct server server = {.base = event_base_new()};
    weir_context context;
    int rc, fd;

    if (argc != 2)
        return usage("usage: loop_event URL\n");
    if ((rc = server.base ? 0 : -ENOMEM) < 0 ||
        (rc = open_one(&context, &server.socket, WEIR_REP)) < 0 ||
        (rc = weir_bind(server.socket, argv[1], NULL)) < 0 ||
        (rc = fd = weir_readable_fd(server.socket)) < 0 ||
        (rc = loop(&server, fd)) < 0)
        return failed("loop_event", rc);
    event_base_free(server.base);
    return close_one(context, server.socket);
}
