/*
 * lru.c - a broker that gives each request to the worker that has been free
 * for longest.  A worker says that it is free, gets a request, and its answer
 * says that it is free again; so a slow worker is given less.
 */
#include "recipe.h"

enum { WORKERS = 100 };

/* The routing ids of the workers that are free, the longest first. */
static struct {
    weir_frame ids[WORKERS];
    int count;
} idle;

static void add_idle(weir_frame *id)
{
    if (idle.count == WORKERS)
        weir_frame_fini(id);
    else
        weir_frame_move(&idle.ids[idle.count++], id);
}

static void take_idle(weir_frame *id)
{
    weir_frame_move(id, &idle.ids[0]);
    for (int i = 1; i < idle.count; i++)
        weir_frame_move(&idle.ids[i - 1], &idle.ids[i]);
    idle.count--;
}

/* Put a routing id and an empty frame before a message: who it goes to, and
 * where the envelope ends.  `id` and `body` are taken. */
static int address(weir_message *out, weir_frame *id, weir_message *body)
{
    weir_frame frame;
    int rc;

    weir_message_init(out);
    if ((rc = weir_message_push(out, id)) < 0 ||
        (rc = weir_message_add(out, "", 0)) < 0)
        return rc;
    while (weir_message_pop(body, &frame) == 0)
        if ((rc = weir_message_push(out, &frame)) < 0) {
            weir_frame_fini(&frame);
            return rc;
        }
    return 0;
}

/* A client's request goes to the first worker that is still there: with
 * "mandatory" the socket says who is not. */
static int pass_request(weir_socket clients, weir_socket workers)
{
    weir_message request, out;
    weir_frame id;
    int rc;

    weir_message_init(&request);
    if ((rc = weir_recv_message(clients, &request, WEIR_NOWAIT)) < 0)
        return rc == -EAGAIN ? 0 : rc;
    take_idle(&id);
    rc = address(&out, &id, &request);
    weir_frame_fini(&id);
    if (rc == 0)
        rc = weir_send_message(workers, &out, PATIENCE);
    while (rc == -EHOSTUNREACH && idle.count > 0) {
        take_idle(&id);
        weir_frame_fini(weir_message_frame(&out, 0));
        weir_frame_move(weir_message_frame(&out, 0), &id);
        rc = weir_send_message(workers, &out, PATIENCE);
    }
    weir_message_fini(&out);
    weir_message_fini(&request);
    return rc == -EHOSTUNREACH ? 0 : rc; /* the client asks again */
}

/* A worker's message: its id, an empty frame, and then either "free" or the
 * client's id, an empty frame and the answer. */
static int pass_answer(weir_socket workers, weir_socket clients)
{
    weir_message message;
    weir_frame id, empty;
    int rc;

    weir_message_init(&message);
    if ((rc = weir_recv_message(workers, &message, WEIR_NOWAIT)) < 0)
        return rc == -EAGAIN ? 0 : rc;
    if (weir_message_pop(&message, &id) == 0)
        add_idle(&id);
    if (weir_message_pop(&message, &empty) == 0)
        weir_frame_fini(&empty);
    if (weir_message_count(&message) > 1)
        rc = weir_send_message(clients, &message, PATIENCE);
    weir_message_fini(&message);
    return rc;
}

/* Clients are not heard while no worker is free: they wait, not their
 * requests here. */
static int serve(weir_socket clients, weir_socket workers)
{
    weir_poll_item items[2] = {
        {.socket = workers, .events = WEIR_POLL_IN},
        {.socket = clients, .events = WEIR_POLL_IN},
    };
    int rc = 0;

    while (!stopped() && rc >= 0) {
        items[1].ready = 0;
        rc = weir_poll(items, idle.count > 0 ? 2 : 1, STEP);
        if (rc > 0 && items[0].ready)
            rc = pass_answer(workers, clients);
        if (rc >= 0 && items[1].ready && idle.count > 0)
            rc = pass_request(clients, workers);
    }
    while (idle.count > 0)
        weir_frame_fini(&idle.ids[--idle.count]);
    return rc;
}

static int broker(const char *client_url, const char *worker_url)
{
    weir_context context;
    weir_socket clients, workers;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &clients, WEIR_ROUTER)) < 0 ||
        (rc = weir_open(&workers, context, WEIR_ROUTER)) < 0 ||
        (rc = weir_set(workers, "mandatory", "yes")) < 0 ||
        (rc = weir_bind(clients, client_url, NULL)) < 0 ||
        (rc = weir_bind(workers, worker_url, NULL)) < 0 ||
        (rc = serve(clients, workers)) < 0 ||
        (rc = weir_close(workers, PATIENCE, NULL)) < 0)
        return failed("broker", rc);
    return close_one(context, clients);
}

/* What came begins with the client's id and an empty frame, and goes back
 * with these.  The answer is the worker's name, in place of the request. */
static int answer(weir_socket socket, weir_message *message, const char *name)
{
    weir_frame *body = weir_message_frame(message, 2);
    int rc;

    if (!body)
        return -EPROTO;
    weir_frame_fini(body);
    if ((rc = weir_frame_copy_in(body, name, strlen(name))) < 0)
        return rc;
    return weir_send_message(socket, message, PATIENCE);
}

static int worker(const char *url, const char *name)
{
    weir_message message;
    weir_context context;
    weir_socket socket;
    int rc;

    catch_stop();
    weir_message_init(&message);
    if ((rc = open_one(&context, &socket, WEIR_REQ)) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = weir_send(socket, "free", 4, PATIENCE)) < 0)
        return failed("worker", rc);
    while (!stopped()) {
        rc = weir_recv_message(socket, &message, STEP);
        if (rc == 0)
            rc = answer(socket, &message, name);
        if (rc < 0 && rc != -EAGAIN)
            return failed("worker", rc);
    }
    weir_message_fini(&message);
    return close_one(context, socket);
}

static int client(const char *url, int requests)
{
    weir_context context;
    weir_socket socket;
    int rc, answers = 0;

    if ((rc = open_one(&context, &socket, WEIR_REQ)) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0)
        return failed("client", rc);
    for (; answers < requests; answers++) {
        char name[100];
        size_t size = sizeof(name);

        if ((rc = weir_send(socket, "who?", 4, PATIENCE)) < 0 ||
            (rc = weir_recv(socket, name, &size, PATIENCE)) < 0)
            return failed("client", rc);
        printf("%.*s\n", (int)size, name);
    }
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "broker") == 0)
        return broker(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "worker") == 0)
        return worker(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "client") == 0)
        return client(argv[2], atoi(argv[3]));
    return usage("usage: lru broker CLIENT-URL WORKER-URL\n"
                 "       lru worker URL NAME\n"
                 "       lru client URL REQUESTS\n");
}
