/* weir.c - one side of a benchmark with weir itself: what a plain user would
 * write.  A batch of more than one goes through the calls for arrays. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "../common.h"
#include "side.h"

#define BATCH_MOST 1024

static weir_context context;

struct end {
    struct weir_side_end base;
    weir_socket socket;
    bool stamps;
    unsigned long rate; /* of a group; 0: the URL says it */
    int batch;
    weir_message *messages; /* `batch` of them */
};

static int start(const struct weir_side_plan *plan)
{
    int code = weir_context_open(&context, 1);

    (void)plan;
    if (code < 0)
        weir_common_fail_code(code, "no context");
    return code < 0 ? -1 : 0;
}

/* NAME=VALUE; a type that does not have the option does without. */
static int set(weir_socket socket, const char *setting)
{
    char name[WEIR_COMMON_NAME];
    const char *value;
    int code = -EINVAL;

    if (weir_common_split(setting, name, &value))
        code = weir_set(socket, name, value);
    if (code == -WEIR_EINCOMPATIBLE)
        return 0;
    if (code < 0)
        weir_common_fail_code(code, "--set %s", setting);
    return code;
}

static int open_socket(struct end *end, const struct weir_side_plan *plan,
                       enum weir_side_kind kind)
{
    static const int types[] = {
        [WEIR_SIDE_PUSH] = WEIR_PUSH, [WEIR_SIDE_PULL] = WEIR_PULL,
        [WEIR_SIDE_PAIR] = WEIR_PAIR, [WEIR_SIDE_REQ] = WEIR_REQ,
        [WEIR_SIDE_REP] = WEIR_REP,   [WEIR_SIDE_PUB] = WEIR_PUB,
        [WEIR_SIDE_SUB] = WEIR_SUB,   [WEIR_SIDE_DEALER] = WEIR_DEALER,
    };
    int code = weir_open(&end->socket, context, types[kind]);

    if (code >= 0 && kind == WEIR_SIDE_PUB && plan->nodrop)
        code = weir_set(end->socket, "nodrop", "yes");
    for (unsigned i = 0; i < plan->n_settings && code >= 0; i++)
        code = set(end->socket, plan->settings[i]);
    return code;
}

static struct end *new_end(const struct weir_side_plan *plan,
                           enum weir_side_kind kind)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end || weir_side_end_init(&end->base, plan, kind) != 0)
        return NULL;
    end->stamps = plan->stamps;
    end->rate = plan->group ? plan->rate : 0;
    end->batch = plan->batch < BATCH_MOST ? (int)plan->batch : BATCH_MOST;
    end->messages = calloc((size_t)end->batch, sizeof *end->messages);
    for (int i = 0; end->messages && i < end->batch; i++)
        weir_message_init(&end->messages[i]);
    return end->messages ? end : NULL;
}

static struct weir_side_end *open_end(const struct weir_side_plan *plan,
                                      enum weir_side_kind kind)
{
    struct end *end = new_end(plan, kind);
    int code = end ? open_socket(end, plan, kind) : -ENOMEM;

    if (code >= 0)
        return &end->base;
    weir_common_fail_code(code, "no socket");
    return NULL;
}

static struct end *own(struct weir_side_end *base)
{
    return (struct end *)base;
}

/* What is set with calls elsewhere is a part of the URL here. */
static const char *complete(const struct end *end, const char *url,
                            char room[320])
{
    if (!end->rate)
        return url;
    snprintf(room, 320, "%s%crate=%lu&recovery=%d", url,
             strchr(url, '?') ? '&' : '?', end->rate, WEIR_SIDE_RECOVERY);
    return room;
}

static int bind_end(struct weir_side_end *base, const char *url, char *found)
{
    weir_endpoint endpoint;
    char whole[320];
    int code = weir_bind(own(base)->socket, complete(own(base), url, whole),
                         &endpoint);

    if (code >= 0)
        code = weir_endpoint_url(endpoint, found, 256);
    if (code >= 0)
        return 0;
    weir_common_fail_code(code, "%s", url);
    return -1;
}

static int connect_end(struct weir_side_end *base, const char *url)
{
    char whole[320];
    int code =
        weir_connect(own(base)->socket, complete(own(base), url, whole), NULL);

    if (code >= 0)
        return 0;
    weir_common_fail_code(code, "%s", url);
    return -1;
}

static int subscribe(struct weir_side_end *base, const void *topic, size_t size)
{
    return weir_subscribe(own(base)->socket, topic, size) < 0 ? -1 : 0;
}

/* Fill what the last call took, then send all. */
static long send_array(struct end *end, int deadline)
{
    for (int i = 0; i < end->batch; i++) {
        if (!weir_message_count(&end->messages[i]) &&
            weir_message_add(&end->messages[i], end->base.payload,
                             end->base.size) < 0)
            return -1;
    }
    return weir_send_many(end->socket, end->messages, end->batch, deadline);
}

static long send_some(struct weir_side_end *base, bool waits)
{
    int deadline = waits ? WEIR_FOREVER : WEIR_NOWAIT, code;
    struct end *end = own(base);

    if (end->batch > 1)
        return send_array(end, deadline);
    code = weir_send(end->socket, base->payload, base->size, deadline);
    return code >= 0 ? 1 : code == -EAGAIN ? 0 : -1;
}

static long recv_some(struct weir_side_end *base, bool waits)
{
    int deadline = waits ? WEIR_FOREVER : WEIR_NOWAIT, code;
    struct end *end = own(base);
    weir_frame *frame;

    if (end->batch > 1)
        return weir_recv_many(end->socket, end->messages, end->batch, deadline);
    code = weir_recv_message(end->socket, end->messages, deadline);
    if (code < 0)
        return code == -EAGAIN ? 0 : -1;
    if (end->stamps) {
        frame = weir_message_frame(end->messages, 0);
        weir_side_stamp(base, weir_frame_data(frame), weir_frame_size(frame));
    }
    return 1;
}

static int wait_either(struct weir_side_end *base)
{
    weir_poll_item item = {.socket = own(base)->socket,
                           .events = WEIR_POLL_IN | WEIR_POLL_OUT};

    return weir_poll(&item, 1, WEIR_FOREVER) < 0 ? -1 : 0;
}

static uint64_t unstored(struct weir_side_end *base)
{
    weir_stats stats = {.size = sizeof stats};

    if (weir_socket_stats(own(base)->socket, &stats) < 0)
        return 0;
    return stats.send_queued_bytes - stats.send_in_store_bytes;
}

static void proxy(const char *front_url, const char *back_url)
{
    weir_socket front = {0, 0}, back = {0, 0}, none = {0, 0};
    weir_device device = {0, 0};
    int code = weir_context_open(&context, 1);

    if (code >= 0)
        code = weir_open(&front, context, WEIR_PULL);
    if (code >= 0)
        code = weir_open(&back, context, WEIR_PUSH);
    if (code >= 0)
        code = weir_bind(front, front_url, NULL);
    if (code >= 0)
        code = weir_connect(back, back_url, NULL);
    if (code >= 0)
        code = weir_device_start(&device, front, back, none, 0);
    if (code >= 0)
        code = weir_device_run(device, WEIR_FOREVER);
    weir_common_fail_code(code, "the device");
}

static const struct weir_side_ops ops = {
    .name = "weir",
    .wire = WEIR_SIDE_ZMTP,
    .start = start,
    .open = open_end,
    .bind = bind_end,
    .connect = connect_end,
    .subscribe = subscribe,
    .send = send_some,
    .recv = recv_some,
    .wait = wait_either,
    .unstored = unstored,
    .proxy = proxy,
};

int weir_bench_side_main(int argc, const char *const *argv)
{
    return weir_side_main(&ops, argc, argv);
}
