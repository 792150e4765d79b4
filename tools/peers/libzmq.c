/* libzmq.c - one side of a benchmark with libzmq. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "side.h"

static void *context;

struct end {
    struct weir_side_end base;
    void *socket;
    bool stamps;
};

static int complain(const char *what)
{
    fprintf(stderr, "libzmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
    return -1;
}

static int start(const struct weir_side_plan *plan)
{
    context = zmq_ctx_new();
    if (context && plan->n > 1000)
        zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65535);
    return context ? 0 : complain("context");
}

/* Topics go to the publisher as messages, and a mark would drop some. */
static void set_options(void *socket, const struct weir_side_plan *plan,
                        enum weir_side_kind kind)
{
    int zero = 0, one = 1, rate = (int)plan->rate;
    int recovery = WEIR_SIDE_RECOVERY;

    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    if (kind == WEIR_SIDE_PUB && plan->nodrop)
        zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &one, sizeof one);
    if (plan->group) {
        zmq_setsockopt(socket, ZMQ_RATE, &rate, sizeof rate);
        zmq_setsockopt(socket, ZMQ_RECOVERY_IVL, &recovery, sizeof recovery);
    }
    if (strcmp(plan->test->name, "topics") == 0) {
        zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
        zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof zero);
    }
}

static struct weir_side_end *open_end(const struct weir_side_plan *plan,
                                      enum weir_side_kind kind)
{
    static const int types[] = {
        [WEIR_SIDE_PUSH] = ZMQ_PUSH, [WEIR_SIDE_PULL] = ZMQ_PULL,
        [WEIR_SIDE_PAIR] = ZMQ_PAIR, [WEIR_SIDE_REQ] = ZMQ_REQ,
        [WEIR_SIDE_REP] = ZMQ_REP,   [WEIR_SIDE_PUB] = ZMQ_PUB,
        [WEIR_SIDE_SUB] = ZMQ_SUB,   [WEIR_SIDE_DEALER] = ZMQ_DEALER,
    };
    struct end *end = calloc(1, sizeof *end);

    if (!end || weir_side_end_init(&end->base, plan, kind) != 0)
        return NULL;
    end->stamps = plan->stamps;
    end->socket = zmq_socket(context, types[kind]);
    if (!end->socket) {
        complain("socket");
        return NULL;
    }
    set_options(end->socket, plan, kind);
    return &end->base;
}

static void *socket_of(struct weir_side_end *base)
{
    return ((struct end *)base)->socket;
}

static int bind_end(struct weir_side_end *base, const char *url, char *found)
{
    size_t room = 256;

    if (zmq_bind(socket_of(base), url) != 0 ||
        zmq_getsockopt(socket_of(base), ZMQ_LAST_ENDPOINT, found, &room) != 0)
        return complain(url);
    return 0;
}

static int connect_end(struct weir_side_end *base, const char *url)
{
    return zmq_connect(socket_of(base), url) == 0 ? 0 : complain(url);
}

static int subscribe(struct weir_side_end *base, const void *topic, size_t size)
{
    return zmq_setsockopt(socket_of(base), ZMQ_SUBSCRIBE, topic, size);
}

static long send_one(struct weir_side_end *base, bool waits)
{
    if (zmq_send(socket_of(base), base->payload, base->size,
                 waits ? 0 : ZMQ_DONTWAIT) >= 0)
        return 1;
    return zmq_errno() == EAGAIN ? 0 : -1;
}

static long recv_one(struct weir_side_end *base, bool waits)
{
    zmq_msg_t message;
    long got = 1;

    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, socket_of(base), waits ? 0 : ZMQ_DONTWAIT) < 0)
        got = zmq_errno() == EAGAIN ? 0 : -1;
    else if (((struct end *)base)->stamps)
        weir_side_stamp(base, zmq_msg_data(&message), zmq_msg_size(&message));
    zmq_msg_close(&message);
    return got;
}

static int wait_either(struct weir_side_end *base)
{
    zmq_pollitem_t item = {socket_of(base), 0, ZMQ_POLLIN | ZMQ_POLLOUT, 0};

    return zmq_poll(&item, 1, -1) < 0 ? -1 : 0;
}

static void proxy(const char *front_url, const char *back_url)
{
    void *front, *back;

    context = zmq_ctx_new();
    front = zmq_socket(context, ZMQ_PULL);
    back = zmq_socket(context, ZMQ_PUSH);
    if (!front || !back || zmq_bind(front, front_url) != 0 ||
        zmq_connect(back, back_url) != 0 || zmq_proxy(front, back, NULL) != 0)
        complain("zmq_proxy");
}

static const struct weir_side_ops ops = {
    .name = "libzmq",
    .wire = WEIR_SIDE_ZMTP,
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
