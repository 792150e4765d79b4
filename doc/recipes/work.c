/*
 * work.c - jobs for workers.  The submitter has a queue for each worker; what
 * is above the mark waits on disk, so it never waits for a slow worker, nor
 * for one that is not there yet.
 */
#include <unistd.h>

#include "recipe.h"

enum { IN_MEMORY = 1000 };

/* A queue of 1,000 jobs in memory, and of up to 1 GB on disk in this folder,
 * for each worker that is connected afterwards. */
static int use_disk(weir_socket socket)
{
    char folder[500];
    int rc;

    if (!getcwd(folder, sizeof(folder)))
        return -errno;
    if ((rc = weir_set_int(socket, "send-mark", IN_MEMORY)) < 0 ||
        (rc = weir_set(socket, "swap-dir", folder)) < 0)
        return rc;
    return weir_set(socket, "send-swap", "1G");
}

static int submit(int jobs, char **urls)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_PUSH)) < 0 ||
        (rc = use_disk(socket)) < 0)
        return failed("submit", rc);
    for (; *urls; urls++)
        if ((rc = weir_connect(socket, *urls, NULL)) < 0)
            return failed(*urls, rc);
    for (int job = 1; job <= jobs; job++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%d", job);

        if ((rc = weir_send(socket, text, (size_t)length, PATIENCE)) < 0)
            return failed("send", rc);
    }
    printf("%d jobs accepted\n", jobs);
    fflush(stdout);
    return close_one(context, socket);
}

/* Do jobs, which come in order, until there is none for a while. */
static int do_jobs(weir_socket socket)
{
    int done = 0, last = 0, rc;

    for (;;) {
        char text[16];
        size_t size = sizeof(text) - 1;

        rc = weir_recv(socket, text, &size, done ? 3000 : PATIENCE);
        if (rc < 0)
            break;
        text[size] = '\0';
        if (atoi(text) <= last)
            fprintf(stderr, "job %s after job %d\n", text, last);
        last = atoi(text);
        done++;
    }
    printf("%d jobs done, the last is %d\n", done, last);
    return rc == -EAGAIN && done ? 0 : rc;
}

static int work(const char *url)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_PULL)) < 0 ||
        (rc = weir_bind(socket, url, NULL)) < 0 || (rc = do_jobs(socket)) < 0)
        return failed("work", rc);
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "submit") == 0)
        return submit(atoi(argv[2]), argv + 3);
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2]);
    return usage("usage: work submit JOBS URL...\n"
                 "       work work URL\n");
}
