/*
 * request.c - requests with a deadline, sent again when it passes.
 */
#include <ctype.h>

#include "recipe.h"

enum { TRIES = 10, DEADLINE = 1000 /* milliseconds */ };

/* Ask once.  Where no answer comes in time the next request may be sent all
 * the same ("relaxed"), and the late answer to this one is not taken for its
 * answer ("correlate"). */
static int ask_once(weir_socket socket, const char *question, char *answer,
                    size_t *size)
{
    int rc = weir_send(socket, question, strlen(question), DEADLINE);

    return rc < 0 ? rc : weir_recv(socket, answer, size, DEADLINE);
}

static int ask_again(weir_socket socket, const char *question)
{
    char answer[100];
    int rc = -EAGAIN;

    for (int try = 1; try <= TRIES && rc == -EAGAIN; try++) {
        size_t size = sizeof(answer);

        if (try > 1)
            fprintf(stderr, "no answer, try %d\n", try);
        rc = ask_once(socket, question, answer, &size);
        if (rc == 0)
            printf("%.*s\n", (int)size, answer);
    }
    return rc;
}

static int ask(const char *url, const char *question)
{
    weir_context context;
    weir_socket socket;
    int rc;

    if ((rc = open_one(&context, &socket, WEIR_REQ)) < 0 ||
        (rc = weir_set(socket, "relaxed", "yes")) < 0 ||
        (rc = weir_set(socket, "correlate", "yes")) < 0 ||
        (rc = weir_connect(socket, url, NULL)) < 0 ||
        (rc = ask_again(socket, question)) < 0)
        return failed(question, rc);
    return close_one(context, socket);
}

/* Answer one request in capitals. */
static int answer_loudly(weir_socket socket, char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (char)toupper((unsigned char)text[i]);
    return weir_send(socket, text, size, PATIENCE);
}

/* Answer until stopped, but the first `crashes` requests: each of these ends
 * the socket, as a server that crashes and is started again. */
static int answer(const char *url, int crashes)
{
    weir_context context;
    weir_socket socket;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &socket, WEIR_REP)) < 0 ||
        (rc = weir_bind(socket, url, NULL)) < 0)
        return failed("answer", rc);
    while (!stopped()) {
        char text[100];
        size_t size = sizeof(text);

        rc = weir_recv(socket, text, &size, STEP);
        if (rc == -EAGAIN)
            continue;
        if (rc == 0 && crashes > 0) {
            weir_close(socket, WEIR_NOWAIT, NULL);
            return weir_context_close(context, PATIENCE) < 0
                       ? EXIT_FAILURE
                       : answer(url, crashes - 1);
        }
        if (rc < 0 || (rc = answer_loudly(socket, text, size)) < 0)
            return failed("answer", rc);
    }
    return close_one(context, socket);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "answer") == 0)
        return answer(argv[2], atoi(argv[3]));
    return usage("usage: request ask URL QUESTION\n"
                 "       request answer URL CRASHES\n");
}
