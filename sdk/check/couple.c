/* couple.c - two sockets that talk. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "couple.h"

bool weir_check_fail(struct weir_check_run *run, const char *format, ...)
{
    va_list list;

    if (run->detail[0])
        return false;
    va_start(list, format);
    vsnprintf(run->detail, sizeof run->detail, format, list);
    va_end(list);
    return false;
}

bool weir_check_good(struct weir_check_run *run, int code, const char *what)
{
    /* A deadline that passed leaves the sentence of an earlier failure. */
    const char *sentence = code == -EAGAIN ? "" : weir_last_error();

    if (code >= 0)
        return true;
    if (code == -WEIR_EINCOMPATIBLE && !run->detail[0])
        run->skipped = 1;
    return weir_check_fail(run, "%s: %s", what,
                           *sentence ? sentence : weir_strerror(code));
}

void weir_check_expand(const char *pattern, char url[WEIR_CHECK_URL])
{
    static atomic_uint number;
    size_t at = 0;

    for (; *pattern && at < WEIR_CHECK_URL - 24; pattern++) {
        if (strncmp(pattern, "%p", 2) == 0)
            at += (size_t)sprintf(url + at, "%ld", (long)getpid());
        else if (strncmp(pattern, "%n", 2) == 0)
            at += (size_t)sprintf(url + at, "%u", ++number);
        else
            url[at++] = *pattern;
        pattern +=
            strncmp(pattern, "%p", 2) == 0 || strncmp(pattern, "%n", 2) == 0;
    }
    url[at] = '\0';
}

/* What a wildcard turns into, free again when this returns. */
static bool reserve(struct weir_check_run *run, char url[WEIR_CHECK_URL])
{
    weir_endpoint endpoint;
    weir_socket socket = {0, 0};
    bool good =
        weir_check_good(run, weir_open_named(&socket, run->context, "PUB"),
                        "open PUB") &&
        weir_check_good(run, weir_bind(socket, url, &endpoint), "bind") &&
        weir_check_good(run, weir_endpoint_url(endpoint, url, WEIR_CHECK_URL),
                        "endpoint's URL");

    return weir_check_close(run, &socket, "a socket without peers") && good;
}

bool weir_check_url(struct weir_check_run *run, char url[WEIR_CHECK_URL])
{
    const struct weir_check_transport *check = run->check;
    bool any = strchr(check->bind_url, '*') != NULL ||
               (check->wildcard_url != NULL &&
                strcmp(check->bind_url, check->wildcard_url) == 0);

    weir_check_expand(check->bind_url, url);
    return !any || reserve(run, url);
}

bool weir_check_open(struct weir_check_run *run, const char *type,
                     weir_socket *socket)
{
    if (!weir_check_good(run, weir_open_named(socket, run->context, type),
                         type))
        return false;
    return strcmp(type, "SUB") != 0 ||
           weir_check_good(run, weir_subscribe(*socket, "a", 1), "subscribe");
}

static bool bind_it(struct weir_check_run *run, struct weir_check_couple *c)
{
    return weir_check_good(run, weir_bind(c->binder, c->url, &c->bound),
                           "bind");
}

static bool dial_it(struct weir_check_run *run, struct weir_check_couple *c)
{
    return weir_check_good(run, weir_connect(c->dialer, c->url, &c->dialed),
                           "connect");
}

bool weir_check_join(struct weir_check_run *run, struct weir_check_couple *c,
                     const char *binder, const char *dialer,
                     enum weir_check_order order)
{
    bool bind_first = order == WEIR_CHECK_BIND_FIRST;
    int patience = run->check->patience;

    memset(c, 0, sizeof *c);
    return weir_check_url(run, c->url) &&
           weir_check_open(run, binder, &c->binder) &&
           weir_check_open(run, dialer, &c->dialer) &&
           (bind_first || dial_it(run, c)) && bind_it(run, c) &&
           (!bind_first || dial_it(run, c)) &&
           (strcmp(binder, "XPUB") == 0 ||
            weir_check_good(run, weir_wait_peers(c->binder, 1, patience),
                            "the binder waits for a peer")) &&
           weir_check_good(run, weir_wait_peers(c->dialer, 1, patience),
                           "the dialer waits for a peer");
}

static uint64_t sum(const uint64_t dropped[WEIR_DROPS])
{
    uint64_t all = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        all += dropped[i];
    return all;
}

bool weir_check_balanced(struct weir_check_run *run, weir_socket socket,
                         const char *what)
{
    weir_stats s = {.size = sizeof s};

    if (!weir_check_good(run, weir_socket_stats(socket, &s), "statistics"))
        return false;
    if (s.accepted != s.written + s.send_queued + sum(s.send_dropped))
        return weir_check_fail(run,
                               "%s: %" PRIu64 " accepted, but %" PRIu64
                               " written, %" PRIu64 " queued, %" PRIu64
                               " dropped",
                               what, s.accepted, s.written, s.send_queued,
                               sum(s.send_dropped));
    if (s.decoded != s.delivered + s.recv_queued + sum(s.recv_dropped))
        return weir_check_fail(run,
                               "%s: %" PRIu64 " decoded, but %" PRIu64
                               " delivered, %" PRIu64 " queued, %" PRIu64
                               " dropped",
                               what, s.decoded, s.delivered, s.recv_queued,
                               sum(s.recv_dropped));
    return true;
}

bool weir_check_close(struct weir_check_run *run, weir_socket *socket,
                      const char *what)
{
    uint64_t unsent = 0;
    bool good = weir_check_balanced(run, *socket, what);
    int code = weir_close(*socket, run->check->patience, &unsent);

    memset(socket, 0, sizeof *socket);
    if (code == -EAGAIN)
        return weir_check_fail(run, "%s: closed with %" PRIu64 " unsent", what,
                               unsent);
    return weir_check_good(run, code, what) && good;
}

bool weir_check_part(struct weir_check_run *run, struct weir_check_couple *c,
                     bool good)
{
    if (good) {
        good = weir_check_close(run, &c->dialer, "the dialer");
        return weir_check_close(run, &c->binder, "the binder") && good;
    }
    weir_close(c->dialer, 0, NULL);
    weir_close(c->binder, 0, NULL);
    return false;
}

bool weir_check_say(struct weir_check_run *run, weir_socket socket,
                    const char *text)
{
    int code = weir_send(socket, text, strlen(text), run->check->patience);

    return code >= 0 || weir_check_good(run, code, "send");
}

bool weir_check_hear(struct weir_check_run *run, weir_socket socket,
                     const char *text)
{
    char data[256];
    size_t size = sizeof data;
    int code = weir_recv(socket, data, &size, run->check->patience);

    if (code == -EAGAIN)
        return weir_check_fail(run, "\"%s\" did not come", text);
    if (code < 0)
        return weir_check_good(run, code, "receive");
    if (size != strlen(text) || memcmp(data, text, size) != 0)
        return weir_check_fail(run, "\"%.*s\" came instead of \"%s\"",
                               (int)size, data, text);
    return true;
}

bool weir_check_carry(struct weir_check_run *run, weir_socket from,
                      weir_socket to, const char *text)
{
    return weir_check_say(run, from, text) && weir_check_hear(run, to, text);
}

/* ---- what messages are made of ---- */

/* Octets that depend on their place and on how many there are. */
static void fill(unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 31 + i / 251 + size);
}

static bool add_frame(struct weir_check_run *run, weir_message *message,
                      size_t size)
{
    weir_frame frame;
    int code;

    weir_frame_init(&frame);
    code = weir_frame_alloc(&frame, size);
    if (code >= 0) {
        fill(weir_frame_data(&frame), size);
        code = weir_message_push(message, &frame);
    }
    weir_frame_fini(&frame);
    return weir_check_good(run, code, "make a frame");
}

static bool same_frame(struct weir_check_run *run, weir_frame *frame,
                       size_t size)
{
    unsigned char *want = malloc(size + 1);
    bool good = true;

    if (!want)
        return weir_check_fail(run, "no memory");
    fill(want, size);
    if (weir_frame_size(frame) != size)
        good = weir_check_fail(run, "a frame of %zu octets came with %zu", size,
                               weir_frame_size(frame));
    else if (size && memcmp(weir_frame_data(frame), want, size) != 0)
        good = weir_check_fail(run, "a frame of %zu octets came changed", size);
    free(want);
    return good;
}

bool weir_check_frames(struct weir_check_run *run, weir_socket from,
                       weir_socket to, const size_t *frames, uint32_t n)
{
    weir_message message;
    bool good = true;

    weir_message_init(&message);
    for (uint32_t i = 0; i < n && good; i++)
        good = add_frame(run, &message, frames[i]);
    good =
        good &&
        weir_check_good(run,
                        weir_send_message(from, &message, run->check->patience),
                        "send") &&
        weir_check_good(run,
                        weir_recv_message(to, &message, run->check->patience),
                        "receive");
    if (good && weir_message_count(&message) != n)
        good = weir_check_fail(run, "%u frames came as %u", (unsigned)n,
                               (unsigned)weir_message_count(&message));
    for (uint32_t i = 0; i < n && good; i++)
        good = same_frame(run, weir_message_frame(&message, i), frames[i]);
    weir_message_fini(&message);
    return good;
}

/* ---- what is wrong ---- */

static bool refused(struct weir_check_run *run, const char *call, int code,
                    const struct weir_check_bad *bad)
{
    if (code >= 0)
        return weir_check_fail(run, "%s took %s", call, bad->url);
    if (!strstr(weir_last_error(), bad->token))
        return weir_check_fail(run, "%s %s: \"%s\" does not name \"%s\"", call,
                               bad->url, weir_last_error(), bad->token);
    return true;
}

bool weir_check_refused(struct weir_check_run *run, weir_socket socket,
                        const struct weir_check_bad *bad)
{
    return refused(run, "bind", weir_bind(socket, bad->url, NULL), bad) &&
           refused(run, "connect", weir_connect(socket, bad->url, NULL), bad);
}

/* ---- descriptors ---- */

int weir_check_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1;

    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

bool weir_check_fresh(struct weir_check_run *run)
{
    return weir_check_good(
               run, weir_context_close(run->context, run->check->patience),
               "close a context") &&
           weir_check_good(run, weir_context_open(&run->context, 1),
                           "open a context");
}

/* ---- cases ---- */

static bool run_case(const struct weir_check_transport *check,
                     const struct weir_check_case *test)
{
    struct weir_check_run run = {.check = check};
    bool good = weir_check_good(&run, weir_context_open(&run.context, 1),
                                "open a context");
    enum weir_check_result result;

    if (good) {
        good = test->test(&run);
        good = weir_check_good(&run,
                               weir_context_close(run.context, check->patience),
                               "close the context") &&
               good;
    }
    result = good          ? WEIR_CHECK_PASSED
             : run.skipped ? WEIR_CHECK_SKIPPED
                           : WEIR_CHECK_FAILED;
    check->report(check->arg, test->name, result, run.detail);
    return result != WEIR_CHECK_FAILED;
}

int weir_check_cases(const struct weir_check_transport *check,
                     const struct weir_check_case *cases)
{
    int failed = 0;

    for (; cases->name; cases++)
        failed += !run_case(check, cases);
    return failed;
}
