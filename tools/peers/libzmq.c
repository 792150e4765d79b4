/* libzmq.c - one side of a benchmark with libzmq. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "side.h"

static void *context;

struct end {
    void *socket;
    size_t size;
    char payload[];
};

static int start(const struct weir_side_plan *plan)
{
    (void)plan;
    context = zmq_ctx_new();
    if (!context)
        perror("zmq_ctx_new");
    return context ? 0 : -1;
}

static int type_of(const struct weir_side_plan *plan, bool binds)
{
    if (!plan->latency)
        return binds ? ZMQ_PULL : ZMQ_PUSH;
    if (!plan->reqrep)
        return ZMQ_PAIR;
    return binds ? ZMQ_REQ : ZMQ_REP;
}

static int join(void *socket, const struct weir_side_plan *plan, bool binds,
                char *url, size_t room)
{
    int zero = 0;

    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    if (!binds)
        return zmq_connect(socket, plan->url);
    if (zmq_bind(socket, plan->url) != 0)
        return -1;
    return zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, url, &room);
}

static void *open_end(const struct weir_side_plan *plan, bool binds, char *url,
                      size_t room)
{
    struct end *end = malloc(sizeof *end + plan->size + 1);

    if (!end)
        return NULL;
    end->size = plan->size;
    memset(end->payload, 'x', plan->size + 1);
    end->socket = zmq_socket(context, type_of(plan, binds));
    if (end->socket && join(end->socket, plan, binds, url, room) == 0)
        return end;
    fprintf(stderr, "libzmq: %s: %s\n", plan->url, zmq_strerror(zmq_errno()));
    free(end);
    return NULL;
}

static long send_one(void *arg)
{
    struct end *end = arg;

    return zmq_send(end->socket, end->payload, end->size, 0) < 0 ? -1 : 1;
}

static long recv_one(void *arg)
{
    struct end *end = arg;
    zmq_msg_t message;
    int code;

    zmq_msg_init(&message);
    code = zmq_msg_recv(&message, end->socket, 0);
    zmq_msg_close(&message);
    return code < 0 ? -1 : 1;
}

static const struct weir_side_ops ops = {
    .start = start,
    .open = open_end,
    .send = send_one,
    .recv = recv_one,
};

int main(int argc, char **argv)
{
    return weir_side_main(&ops, argc - 1, (const char *const *)(argv + 1));
}
