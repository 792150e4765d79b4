/*
 * latest.c - a cache of last values between publishers and subscribers: who
 * subscribes to a topic gets its last value at once, and then each new one.
 */
#include "recipe.h"

enum { VALUES = 1000 };

/* Messages of two frames, topic and value; the last one of each topic. */
static weir_message values[VALUES];
static int count;

static bool same(weir_frame *a, const void *topic, size_t size)
{
    return weir_frame_size(a) == size &&
           memcmp(weir_frame_data(a), topic, size) == 0;
}

static weir_message *find(const void *topic, size_t size)
{
    for (int i = 0; i < count; i++)
        if (same(weir_message_frame(&values[i], 0), topic, size))
            return &values[i];
    return NULL;
}

/* A published value replaces the last one, and goes on to the subscribers. */
static int keep_value(weir_socket in, weir_socket out)
{
    weir_message message, *value;
    weir_frame *topic;
    int rc;

    weir_message_init(&message);
    if ((rc = weir_recv_message(in, &message, WEIR_NOWAIT)) < 0)
        return rc == -EAGAIN ? 0 : rc;
    topic = weir_message_frame(&message, 0);
    value = find(weir_frame_data(topic), weir_frame_size(topic));
    if (!value && count < VALUES)
        value = &values[count++];
    if (value) {
        weir_message_fini(value);
        rc = weir_message_share(value, &message);
    }
    if (rc == 0)
        rc = weir_send_message(out, &message, PATIENCE);
    weir_message_fini(&message);
    return rc;
}

/* A subscription, the octet 1 and a topic, is answered with its last value.
 * Others who have the topic get that once more, which does no harm. */
static int answer_subscription(weir_socket out)
{
    weir_message message, copy, *value = NULL;
    weir_frame *frame;
    int rc;

    weir_message_init(&message);
    if ((rc = weir_recv_message(out, &message, WEIR_NOWAIT)) < 0)
        return rc == -EAGAIN ? 0 : rc;
    frame = weir_message_frame(&message, 0);
    if (weir_frame_size(frame) > 0 && *(char *)weir_frame_data(frame) == 1)
        value = find((char *)weir_frame_data(frame) + 1,
                     weir_frame_size(frame) - 1);
    weir_message_fini(&message);
    if (!value || (rc = weir_message_share(&copy, value)) < 0)
        return rc;
    rc = weir_send_message(out, &copy, PATIENCE);
    weir_message_fini(&copy);
    return rc;
}

static int serve(weir_socket in, weir_socket out)
{
    weir_poll_item items[2] = {
        {.socket = in, .events = WEIR_POLL_IN},
        {.socket = out, .events = WEIR_POLL_IN},
    };
    int rc = 0;

    while (!stopped() && rc >= 0) {
        rc = weir_poll(items, 2, STEP);
        if (rc > 0 && items[0].ready)
            rc = keep_value(in, out);
        if (rc >= 0 && items[1].ready)
            rc = answer_subscription(out);
    }
    while (count > 0)
        weir_message_fini(&values[--count]);
    return rc;
}

/* "verbose": the cache hears every subscription, not only a topic's first. */
static int cache(const char *in_url, const char *out_url)
{
    weir_context context;
    weir_socket in, out;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &in, WEIR_SUB)) < 0 ||
        (rc = weir_open(&out, context, WEIR_XPUB)) < 0 ||
        (rc = weir_set(out, "verbose", "subscribe")) < 0 ||
        (rc = weir_subscribe(in, "", 0)) < 0 ||
        (rc = weir_bind(in, in_url, NULL)) < 0 ||
        (rc = weir_bind(out, out_url, NULL)) < 0 || (rc = serve(in, out)) < 0 ||
        (rc = weir_close(in, PATIENCE, NULL)) < 0)
        return failed("cache", rc);
    return close_one(context, out);
}

static int set(const char *url, const char *topic, const char *value)
{
    weir_message message;
    weir_context context;
    weir_socket socket;
    int rc;

    weir_message_init(&message);
    if ((rc = weir_message_add(&message, topic, strlen(topic))) < 0 ||
        (rc = weir_message_add(&message, value, strlen(value))) < 0 ||
        (rc = open_one(&context, &socket, WEIR_PUB)) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = weir_wait_peers(socket, 1, PATIENCE)) < 0 ||
        (rc = weir_send_message(socket, &message, PATIENCE)) < 0) {
        weir_message_fini(&message);
        return failed("set", rc);
    }
    return close_one(context, socket);
}

/* Print the next `values` values of a topic; the first is there already. */
static int watch(const char *url, const char *topic, int expected)
{
    weir_message message;
    weir_context context;
    weir_socket socket;
    int rc;

    weir_message_init(&message);
    if ((rc = open_one(&context, &socket, WEIR_SUB)) < 0 ||
        (rc = weir_subscribe(socket, topic, strlen(topic))) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0)
        return failed("watch", rc);
    while (expected-- > 0) {
        if ((rc = weir_recv_message(socket, &message, PATIENCE)) < 0)
            return failed("watch", rc);
        printf("%s is %.*s\n", topic,
               (int)weir_frame_size(weir_message_frame(&message, 1)),
               (char *)weir_frame_data(weir_message_frame(&message, 1)));
    }
    weir_message_fini(&message);
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "cache") == 0)
        return cache(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "set") == 0)
        return set(argv[2], argv[3], argv[4]);
    if (argc == 5 && strcmp(argv[1], "watch") == 0)
        return watch(argv[2], argv[3], atoi(argv[4]));
    return usage("usage: latest cache IN-URL OUT-URL\n"
                 "       latest set IN-URL TOPIC VALUE\n"
                 "       latest watch OUT-URL TOPIC VALUES\n");
}
