/* nng.c - one side of a benchmark with nng. */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "side.h"

struct end {
    struct weir_side_end base;
    nng_socket socket;
    bool stamps;
    bool patient; /* who listens may come later */
};

static int complain(const char *what, int code)
{
    fprintf(stderr, "nng: %s: %s\n", what, nng_strerror(code));
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
    static int (*const openers[])(nng_socket *) = {
        [WEIR_SIDE_PUSH] = nng_push0_open, [WEIR_SIDE_PULL] = nng_pull0_open,
        [WEIR_SIDE_PAIR] = nng_pair0_open, [WEIR_SIDE_REQ] = nng_req0_open,
        [WEIR_SIDE_REP] = nng_rep0_open,   [WEIR_SIDE_PUB] = nng_pub0_open,
        [WEIR_SIDE_SUB] = nng_sub0_open,   [WEIR_SIDE_DEALER] = nng_pair0_open,
    };
    struct end *end = calloc(1, sizeof *end);
    int code;

    if (!end || weir_side_end_init(&end->base, plan, kind) != 0)
        return NULL;
    end->stamps = plan->stamps;
    end->patient = plan->device != NULL;
    code = openers[kind](&end->socket);
    if (code != 0) {
        complain("socket", code);
        return NULL;
    }
    nng_socket_set_size(end->socket, NNG_OPT_RECVMAXSZ, 0);
    nng_socket_set_bool(end->socket, NNG_OPT_TCP_NODELAY, true);
    return &end->base;
}

static nng_socket socket_of(struct weir_side_end *base)
{
    return ((struct end *)base)->socket;
}

static int bind_end(struct weir_side_end *base, const char *url, char *found)
{
    int code = nng_listen(socket_of(base), url, NULL, 0);

    if (code != 0)
        return complain(url, code);
    snprintf(found, 256, "%s", url);
    return 0;
}

static int connect_end(struct weir_side_end *base, const char *url)
{
    int flags = ((struct end *)base)->patient ? NNG_FLAG_NONBLOCK : 0;
    int code = nng_dial(socket_of(base), url, NULL, flags);

    return code == 0 ? 0 : complain(url, code);
}

static int subscribe(struct weir_side_end *base, const void *topic, size_t size)
{
    return nng_socket_set(socket_of(base), NNG_OPT_SUB_SUBSCRIBE, topic, size);
}

static long send_one(struct weir_side_end *base, bool waits)
{
    nng_msg *message;
    int code;

    if (nng_msg_alloc(&message, base->size) != 0)
        return -1;
    memcpy(nng_msg_body(message), base->payload, base->size);
    code = nng_sendmsg(socket_of(base), message, waits ? 0 : NNG_FLAG_NONBLOCK);
    if (code != 0)
        nng_msg_free(message);
    return code == 0 ? 1 : code == NNG_EAGAIN ? 0 : -1;
}

static long recv_one(struct weir_side_end *base, bool waits)
{
    nng_msg *message;
    int code =
        nng_recvmsg(socket_of(base), &message, waits ? 0 : NNG_FLAG_NONBLOCK);

    if (code != 0)
        return code == NNG_EAGAIN ? 0 : -1;
    if (((struct end *)base)->stamps)
        weir_side_stamp(base, nng_msg_body(message), nng_msg_len(message));
    nng_msg_free(message);
    return 1;
}

static int wait_either(struct weir_side_end *base)
{
    struct pollfd waits[2] = {{-1, POLLIN, 0}, {-1, POLLIN, 0}};

    if (nng_socket_get_int(socket_of(base), NNG_OPT_RECVFD, &waits[0].fd) ||
        nng_socket_get_int(socket_of(base), NNG_OPT_SENDFD, &waits[1].fd))
        return -1;
    return poll(waits, 2, -1) < 0 ? -1 : 0;
}

static void proxy(const char *front_url, const char *back_url)
{
    nng_socket front, back;
    int code = nng_pull0_open_raw(&front);

    if (code == 0)
        code = nng_push0_open_raw(&back);
    if (code == 0)
        code = nng_listen(front, front_url, NULL, 0);
    if (code == 0)
        code = nng_dial(back, back_url, NULL, NNG_FLAG_NONBLOCK);
    if (code == 0)
        code = nng_device(front, back);
    complain("nng_device", code);
}

static const struct weir_side_ops ops = {
    .name = "nng",
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
