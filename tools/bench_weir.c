/* bench_weir.c - one side of a benchmark with weir itself: what a plain user
 * would write.  A batch of more than one goes through the calls for arrays. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "common.h"
#include "peers/side.h"

#define BATCH_MOST 1024

static weir_context context;

struct end {
    weir_socket socket;
    size_t size;
    int batch;
    weir_message messages[BATCH_MOST];
    char payload[];
};

static int start(const struct weir_side_plan *plan)
{
    int code = weir_context_open(&context, 1);

    (void)plan;
    if (code < 0)
        weir_common_fail_code(code, "no context");
    return code < 0 ? -1 : 0;
}

static int type_of(const struct weir_side_plan *plan, bool binds)
{
    if (!plan->latency)
        return binds ? WEIR_PULL : WEIR_PUSH;
    if (!plan->reqrep)
        return WEIR_PAIR;
    return binds ? WEIR_REQ : WEIR_REP;
}

static int join(struct end *end, const struct weir_side_plan *plan, bool binds,
                char *url, size_t room)
{
    weir_endpoint endpoint;
    int code = weir_open(&end->socket, context, type_of(plan, binds));

    if (code < 0)
        return code;
    if (!binds)
        return weir_connect(end->socket, plan->url, NULL);
    code = weir_bind(end->socket, plan->url, &endpoint);
    return code < 0 ? code : weir_endpoint_url(endpoint, url, room);
}

static void *open_end(const struct weir_side_plan *plan, bool binds, char *url,
                      size_t room)
{
    struct end *end = malloc(sizeof *end + plan->size + 1);
    int code;

    if (!end)
        return NULL;
    end->size = plan->size;
    end->batch = plan->batch < BATCH_MOST ? (int)plan->batch : BATCH_MOST;
    memset(end->payload, 'x', plan->size + 1);
    for (int i = 0; i < BATCH_MOST; i++)
        weir_message_init(&end->messages[i]);
    code = join(end, plan, binds, url, room);
    if (code >= 0)
        return end;
    weir_common_fail_code(code, "%s", plan->url);
    free(end);
    return NULL;
}

/* Fill what the last call took, then send all. */
static long send_array(struct end *end)
{
    for (int i = 0; i < end->batch; i++) {
        if (!weir_message_count(&end->messages[i]) &&
            weir_message_add(&end->messages[i], end->payload, end->size) < 0)
            return -1;
    }
    return weir_send_many(end->socket, end->messages, end->batch, WEIR_FOREVER);
}

static long send_some(void *arg)
{
    struct end *end = arg;

    if (end->batch > 1)
        return send_array(end);
    return weir_send(end->socket, end->payload, end->size, WEIR_FOREVER) < 0
               ? -1
               : 1;
}

static long recv_some(void *arg)
{
    struct end *end = arg;

    if (end->batch > 1)
        return weir_recv_many(end->socket, end->messages, end->batch,
                              WEIR_FOREVER);
    return weir_recv_message(end->socket, end->messages, WEIR_FOREVER) < 0 ? -1
                                                                           : 1;
}

static const struct weir_side_ops ops = {
    .start = start,
    .open = open_end,
    .send = send_some,
    .recv = recv_some,
};

int weir_bench_side_main(int argc, const char *const *argv)
{
    return weir_side_main(&ops, argc, argv);
}
