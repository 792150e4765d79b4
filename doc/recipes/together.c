/*
 * together.c - a synchronised start: nobody misses the first message, and no
 * time is guessed.
 */
#include "recipe.h"

enum { MESSAGES = 1000 };

/* Number 1 goes when all are there: connected, and subscribed. */
static int begin(const char *url, int runners)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_PUB)) < 0 ||
        (rc = weir_bind(socket, url, NULL)) < 0 ||
        (rc = weir_wait_peers(socket, runners, PATIENCE)) < 0)
        return failed("begin", rc);
    for (int number = 1; number <= MESSAGES; number++)
        if ((rc = weir_send(socket, &number, sizeof(number), PATIENCE)) < 0)
            return failed("send", rc);
    return close_one(context, socket);
}

/* The first number that comes, and how many in all. */
static int run(weir_socket socket, const char *name)
{
    int number = 0, first = 0, count = 0, rc;

    while (number < MESSAGES) {
        size_t size = sizeof(number);

        if ((rc = weir_recv(socket, &number, &size, PATIENCE)) < 0)
            return rc;
        if (count++ == 0)
            first = number;
    }
    printf("%s: the first is %d, of %d\n", name, first, count);
    return 0;
}

static int runner(const char *url, const char *name)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_SUB)) < 0 ||
        (rc = weir_subscribe(socket, "", 0)) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = run(socket, name)) < 0)
        return failed(name, rc);
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "begin") == 0)
        return begin(argv[2], atoi(argv[3]));
    if (argc == 4 && strcmp(argv[1], "runner") == 0)
        return runner(argv[2], argv[3]);
    return usage("usage: together begin URL RUNNERS\n"
                 "       together runner URL NAME\n");
}
