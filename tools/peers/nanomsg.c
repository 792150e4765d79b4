/* nanomsg.c - one side of a benchmark with nanomsg. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>

#include "side.h"

struct end {
    struct weir_side_end base;
    int socket;
    bool stamps;
};

static int complain(const char *what)
{
    fprintf(stderr, "nanomsg: %s: %s\n", what, nn_strerror(nn_errno()));
    return -1;
}

static int start(const struct weir_side_plan *plan)
{
    (void)plan;
    return 0;
}

static struct weir_side_end *open_end(const struct weir_side_plan *plan,
                                      enum weir_side_kind kind)
{
    static const int types[] = {
        [WEIR_SIDE_PUSH] = NN_PUSH, [WEIR_SIDE_PULL] = NN_PULL,
        [WEIR_SIDE_PAIR] = NN_PAIR, [WEIR_SIDE_REQ] = NN_REQ,
        [WEIR_SIDE_REP] = NN_REP,   [WEIR_SIDE_PUB] = NN_PUB,
        [WEIR_SIDE_SUB] = NN_SUB,   [WEIR_SIDE_DEALER] = NN_PAIR,
    };
    struct end *end = calloc(1, sizeof *end);
    int one = 1, any = -1;

    if (!end || weir_side_end_init(&end->base, plan, kind) != 0)
        return NULL;
    end->stamps = plan->stamps;
    end->socket = nn_socket(AF_SP, types[kind]);
    if (end->socket < 0) {
        complain("socket");
        return NULL;
    }
    nn_setsockopt(end->socket, NN_TCP, NN_TCP_NODELAY, &one, sizeof one);
    nn_setsockopt(end->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, &any, sizeof any);
    return &end->base;
}

static int socket_of(struct weir_side_end *base)
{
    return ((struct end *)base)->socket;
}

static int bind_end(struct weir_side_end *base, const char *url, char *found)
{
    if (nn_bind(socket_of(base), url) < 0)
        return complain(url);
    snprintf(found, 256, "%s", url);
    return 0;
}

static int connect_end(struct weir_side_end *base, const char *url)
{
    return nn_connect(socket_of(base), url) < 0 ? complain(url) : 0;
}

static int subscribe(struct weir_side_end *base, const void *topic, size_t size)
{
    return nn_setsockopt(socket_of(base), NN_SUB, NN_SUB_SUBSCRIBE, topic,
                         size);
}

static long send_one(struct weir_side_end *base, bool waits)
{
    void *message = nn_allocmsg(base->size, 0);

    if (!message)
        return -1;
    memcpy(message, base->payload, base->size);
    if (nn_send(socket_of(base), &message, NN_MSG, waits ? 0 : NN_DONTWAIT) >=
        0)
        return 1;
    nn_freemsg(message);
    return nn_errno() == EAGAIN ? 0 : -1;
}

static long recv_one(struct weir_side_end *base, bool waits)
{
    void *message;
    int size =
        nn_recv(socket_of(base), &message, NN_MSG, waits ? 0 : NN_DONTWAIT);

    if (size < 0)
        return nn_errno() == EAGAIN ? 0 : -1;
    if (((struct end *)base)->stamps)
        weir_side_stamp(base, message, (size_t)size);
    nn_freemsg(message);
    return 1;
}

static int wait_either(struct weir_side_end *base)
{
    struct nn_pollfd item = {socket_of(base), NN_POLLIN | NN_POLLOUT, 0};

    return nn_poll(&item, 1, -1) < 0 ? -1 : 0;
}

static void proxy(const char *front_url, const char *back_url)
{
    int front = nn_socket(AF_SP_RAW, NN_PULL);
    int back = nn_socket(AF_SP_RAW, NN_PUSH);

    if (front < 0 || back < 0 || nn_bind(front, front_url) < 0 ||
        nn_connect(back, back_url) < 0 || nn_device(front, back) < 0)
        complain("nn_device");
}

static const struct weir_side_ops ops = {
    .name = "nanomsg",
    .wire = WEIR_SIDE_SP,
    .no_wildcard = true,
    .start = start,
    .open = open_end,
    .bind = bind_end,
    .connect = connect_end,
    .subscribe = subscribe,
    .send = send_one,
    .recv = recv_one,
    .wait = wait_either,
    .proxy = proxy,
};

int main(int argc, char **argv)
{
    return weir_side_main(&ops, argc - 1, (const char *const *)(argv + 1));
}
