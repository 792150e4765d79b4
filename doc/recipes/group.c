/*
 * group.c - one publisher, any number of subscribers, each packet sent once:
 * multicast, where the transport repairs what is lost on the way.
 *
 * A multicast publisher does not know its subscribers.  So these tell it, on
 * a socket beside the group, that they hear it and that they have all.
 */
#include "recipe.h"

enum { MESSAGES = 1000 };

/* Wait until each of `hearers` has said its word. */
static int wait_words(weir_socket words, int hearers)
{
    char word[10];
    int rc = 0;

    while (hearers-- > 0 && rc == 0) {
        size_t size = sizeof(word);

        rc = weir_recv(words, word, &size, PATIENCE);
    }
    return rc;
}

static int publish(weir_socket group)
{
    int rc = 0;

    for (int number = 1; number <= MESSAGES && rc == 0; number++)
        rc = weir_send(group, &number, sizeof(number), PATIENCE);
    return rc;
}

/* The group's socket stays open until all are done: once it is closed it
 * repairs nothing any more. */
static int send_all(const char *group_url, const char *word_url, int hearers)
{
    weir_context context;
    weir_socket group, words;
    int rc;

    if ((rc = open_one(&context, &group, WEIR_PUB)) < 0 ||
        (rc = weir_open(&words, context, WEIR_PULL)) < 0 ||
        (rc = weir_set(group, "send-policy", "block")) < 0 ||
        (rc = weir_connect(group, group_url, NULL)) < 0 ||
        (rc = weir_bind(words, word_url, NULL)) < 0 ||
        (rc = wait_words(words, hearers)) < 0 || (rc = publish(group)) < 0 ||
        (rc = wait_words(words, hearers)) < 0 ||
        (rc = weir_close(words, PATIENCE, NULL)) < 0)
        return failed("send", rc);
    return close_one(context, group);
}

/* Packets that could not be repaired are told by events of the socket. */
static unsigned long long lost_packets(weir_socket group)
{
    weir_event event = {.size = sizeof(event)};
    unsigned long long lost = 0;

    while (weir_next_event(group, &event, WEIR_NOWAIT) == 0)
        if (event.kind == WEIR_EVENT_GAP)
            lost += event.value;
    return lost;
}

static int hear(weir_socket group)
{
    int number = 0, count = 0, rc;

    for (; number < MESSAGES; count++) {
        size_t size = sizeof(number);

        if ((rc = weir_recv(group, &number, &size, PATIENCE)) < 0)
            return rc;
    }
    printf("%d messages, %llu packets lost\n", count, lost_packets(group));
    return 0;
}

static int hear_all(const char *group_url, const char *word_url)
{
    weir_context context;
    weir_socket group, words;
    int rc;

    if ((rc = open_one(&context, &group, WEIR_SUB)) < 0 ||
        (rc = weir_open(&words, context, WEIR_PUSH)) < 0 ||
        (rc = weir_subscribe(group, "", 0)) < 0 ||
        (rc = weir_connect(group, group_url, NULL)) < 0 ||
        (rc = weir_connect(words, word_url, NULL)) < 0 ||
        (rc = weir_send(words, "here", 4, PATIENCE)) < 0 ||
        (rc = hear(group)) < 0 ||
        (rc = weir_send(words, "done", 4, PATIENCE)) < 0 ||
        (rc = weir_close(group, PATIENCE, NULL)) < 0)
        return failed("hear", rc);
    return close_one(context, words);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "send") == 0)
        return send_all(argv[2], argv[3], atoi(argv[4]));
    if (argc == 4 && strcmp(argv[1], "hear") == 0)
        return hear_all(argv[2], argv[3]);
    return usage("usage: group send GROUP-URL WORD-URL HEARERS\n"
                 "       group hear GROUP-URL WORD-URL\n");
}
