/*
 * tree.c - a tree of forwarders between a source and many subscribers.  Each
 * forwarder sends on what somebody below it has subscribed to, and asks for no
 * more from above.
 */
#include <time.h>

#include "recipe.h"

/* Publish "TOPIC number" for each topic, fifty times a second, until stopped.
 */
static int publish(weir_socket socket, char **topics)
{
    const struct timespec pause = {0, 20000000};
    int rc = 0;

    for (int number = 1; !stopped() && rc == 0; number++) {
        for (char **topic = topics; *topic && rc == 0; topic++) {
            char text[100];
            int length =
                snprintf(text, sizeof(text), "%.80s %d", *topic, number);

            rc = weir_send(socket, text, (size_t)length, PATIENCE);
        }
        nanosleep(&pause, NULL);
    }
    return rc;
}

/* Say whether there was something that nobody in the whole tree wanted. */
static int tell(weir_socket socket)
{
    weir_stats stats = {.size = sizeof(stats)};
    int rc = weir_socket_stats(socket, &stats);

    if (rc == 0)
        puts(stats.unmatched > 0 ? "some was wanted by nobody, and not sent"
                                 : "all was sent");
    return rc;
}

static int source(const char *url, char **topics)
{
    weir_context context;
    weir_socket socket;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &socket, WEIR_PUB)) < 0 ||
        (rc = weir_bind(socket, url, NULL)) < 0 ||
        (rc = publish(socket, topics)) < 0 || (rc = tell(socket)) < 0)
        return failed("source", rc);
    return close_one(context, socket);
}

static int forward(const char *above_url, const char *below_url)
{
    weir_socket above, below, none = {0, 0};
    weir_context context;
    weir_device device;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &above, WEIR_XSUB)) < 0 ||
        (rc = weir_open(&below, context, WEIR_XPUB)) < 0 ||
        (rc = weir_connect(above, above_url, NULL)) < 0 ||
        (rc = weir_bind(below, below_url, NULL)) < 0 ||
        (rc = weir_device_start(&device, above, below, none, 0)) < 0 ||
        (rc = run_device(device)) < 0 ||
        (rc = weir_close(above, PATIENCE, NULL)) < 0)
        return failed("forward", rc);
    return close_one(context, below);
}

/* Receive `count` messages.  Their numbers follow each other. */
static int hear(weir_socket socket, const char *topic, int count)
{
    int last = 0, rc;

    for (int i = 0; i < count; i++) {
        char text[100];
        size_t size = sizeof(text) - 1;
        int number;

        if ((rc = weir_recv(socket, text, &size, PATIENCE)) < 0)
            return rc;
        text[size] = '\0';
        number = atoi(text + strlen(topic));
        if (strncmp(text, topic, strlen(topic)) != 0 ||
            (last && number != last + 1))
            printf("not expected: %s\n", text);
        last = number;
    }
    printf("%d of %s\n", count, topic);
    return 0;
}

static int leaf(const char *url, const char *topic, int count)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_SUB)) < 0 ||
        (rc = weir_subscribe(socket, topic, strlen(topic))) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = hear(socket, topic, count)) < 0)
        return failed("leaf", rc);
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "source") == 0)
        return source(argv[2], argv + 3);
    if (argc == 4 && strcmp(argv[1], "forward") == 0)
        return forward(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "leaf") == 0)
        return leaf(argv[2], argv[3], atoi(argv[4]));
    return usage("usage: tree source URL TOPIC...\n"
                 "       tree forward ABOVE-URL BELOW-URL\n"
                 "       tree leaf URL TOPIC COUNT\n");
}
