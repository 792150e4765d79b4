/*
 * logs.c - many nodes log to one collector.  The collector is the side that
 * stays, so it binds, although it is the subscriber; nodes come and go.
 */
#include "recipe.h"

/* Print what comes, "node: line", until stopped. */
static int print_lines(weir_socket socket)
{
    weir_message message;
    int rc;

    weir_message_init(&message);
    do {
        rc = weir_recv_message(socket, &message, STEP);
        if (rc == 0 && weir_message_count(&message) == 2) {
            weir_frame *node = weir_message_frame(&message, 0);
            weir_frame *line = weir_message_frame(&message, 1);

            printf("%.*s: %.*s\n", (int)weir_frame_size(node),
                   (char *)weir_frame_data(node), (int)weir_frame_size(line),
                   (char *)weir_frame_data(line));
        }
    } while (rc == 0 || (rc == -EAGAIN && !stopped()));
    weir_message_fini(&message);
    return rc == -EAGAIN ? 0 : rc;
}

static int collect(const char *url)
{
    weir_context context;
    weir_socket socket;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &socket, WEIR_SUB)) < 0 ||
        (rc = weir_subscribe(socket, "", 0)) < 0 ||
        (rc = weir_bind(socket, url, NULL)) < 0 ||
        (rc = print_lines(socket)) < 0)
        return failed("collect", rc);
    return close_one(context, socket);
}

/* A message is the node's name, which is its topic, and a line. */
static int send_line(weir_socket socket, const char *name, const char *line)
{
    weir_message message;
    int rc;

    weir_message_init(&message);
    if ((rc = weir_message_add(&message, name, strlen(name))) == 0 &&
        (rc = weir_message_add(&message, line, strlen(line))) == 0)
        rc = weir_send_message(socket, &message, PATIENCE);
    weir_message_fini(&message);
    return rc;
}

/* A publisher sends nothing to who has not subscribed, so it waits for that
 * first; what it sends afterwards is not lost. */
static int node(const char *url, const char *name, char **lines)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_PUB)) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = weir_wait_peers(socket, 1, PATIENCE)) < 0)
        return failed("node", rc);
    for (; *lines; lines++)
        if ((rc = send_line(socket, name, *lines)) < 0)
            return failed("send", rc);
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "collect") == 0)
        return collect(argv[2]);
    if (argc > 4 && strcmp(argv[1], "node") == 0)
        return node(argv[2], argv[3], argv + 4);
    return usage("usage: logs collect URL\n"
                 "       logs node URL NAME LINE...\n");
}
