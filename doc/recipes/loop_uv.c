/*
 * loop_uv.c - a socket in a loop of libuv: answers requests, and ends at
 * SIGTERM or SIGINT.
 */
#include <uv.h>

#include "recipe.h"

struct server {
    weir_socket socket;
    uv_poll_t readable;
    uv_signal_t interrupt, terminate;
    int code; /* why it ended; 0: a signal */
};

static void end(struct server *server, int code)
{
    server->code = code;
    uv_close((uv_handle_t *)&server->readable, NULL);
    uv_close((uv_handle_t *)&server->interrupt, NULL);
    uv_close((uv_handle_t *)&server->terminate, NULL);
}

/* Answer one request with itself.  libuv calls again as long as there is a
 * message. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    int rc = status < 0 ? status : answer_one(server->socket);

    (void)events;
    if (rc < 0)
        end(server, rc);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    end(handle->data, 0);
}

static int watch(uv_loop_t *loop, struct server *server, int fd)
{
    int rc;

    server->readable.data = server;
    server->interrupt.data = server;
    server->terminate.data = server;
    if (fd < 0)
        return fd;
    if ((rc = uv_poll_init(loop, &server->readable, fd)) < 0 ||
        (rc = uv_signal_init(loop, &server->interrupt)) < 0 ||
        (rc = uv_signal_init(loop, &server->terminate)) < 0 ||
        (rc = uv_signal_start(&server->interrupt, on_signal, SIGINT)) < 0 ||
        (rc = uv_signal_start(&server->terminate, on_signal, SIGTERM)) < 0)
        return rc;
    return uv_poll_start(&server->readable, UV_READABLE, on_readable);
}

int main(int argc, char **argv)
{
    struct server server;
    weir_context context;
    uv_loop_t loop;
    int rc;

    if (argc != 2)
        return usage("usage: loop_uv URL\n");
    if ((rc = open_one(&context, &server.socket, WEIR_REP)) < 0 ||
        (rc = weir_bind(server.socket, argv[1], NULL)) < 0 ||
        (rc = uv_loop_init(&loop)) < 0 ||
        (rc = watch(&loop, &server, weir_readable_fd(server.socket))) < 0 ||
        (rc = uv_run(&loop, UV_RUN_DEFAULT)) < 0 || (rc = server.code) < 0)
        return failed("loop_uv", rc);
    uv_loop_close(&loop);
    return close_one(context, server.socket);
}
