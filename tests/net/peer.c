/*
 * peer.c - one end of a conversation between network namespaces: a PULL that
 * binds or a PUSH that connects, with heartbeats every second.  A line goes
 * out for every event that counts and for every tenth message, and after the
 * loss of a peer one that says how late this machine let a thread run at worst
 * since the one before.
 *
 * usage: peer pull|push URL SECONDS
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/weir.h>

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void say(const char *what, const char *detail)
{
    printf("%.3f %s %s\n", now(), what, detail);
    fflush(stdout);
}

/* ms that the other thread woke up too late, at worst. */
static _Atomic int late;

/* What a busy machine does to any thread, without weir. */
static void *measure_lateness(void *arg)
{
    (void)arg;
    for (;;) {
        double start = now();
        int ms;

        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        ms = (int)((now() - start) * 1000) - 20;
        if (ms > atomic_load(&late))
            atomic_store(&late, ms);
    }
    return NULL;
}

static void say_late(void)
{
    char text[16];

    snprintf(text, sizeof(text), "%.3f", atomic_exchange(&late, 0) / 1e3);
    say("late", text);
}

static void say_events(weir_socket socket)
{
    weir_event event = {.size = sizeof(event)};

    while (weir_next_event(socket, &event, 0) >= 0) {
        if (event.kind == WEIR_EVENT_CONNECTED)
            say("connected", event.peer);
        if (event.kind == WEIR_EVENT_DISCONNECTED) {
            say("lost", event.reason);
            say_late();
        }
        if (event.kind == WEIR_EVENT_RETRY)
            say("retry", event.reason);
        if (event.kind == WEIR_EVENT_LISTENING)
            say("listening", event.endpoint);
    }
}

static void talk(weir_socket socket, bool pulls, uint64_t *count)
{
    char data[64] = "message";
    size_t size = sizeof(data);
    int r = pulls ? weir_recv(socket, data, &size, 100)
                  : weir_send(socket, data, 7, 100);

    if (!pulls)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    if (r == 0 && ++*count % 10 == 1)
        say("message", pulls ? "received" : "sent");
}

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, weir_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    weir_context context;
    weir_socket socket;
    uint64_t count = 0;
    double end;
    pthread_t thread;
    bool pulls;

    if (argc != 4)
        return 2;
    if (pthread_create(&thread, NULL, measure_lateness, NULL) != 0)
        return fail("thread");
    pulls = strcmp(argv[1], "pull") == 0;
    if (weir_context_open(&context, 1) < 0 ||
        weir_open(&socket, context, pulls ? WEIR_PULL : WEIR_PUSH) < 0)
        return fail("open");
    if (weir_set(socket, "heartbeat", "1000") < 0 ||
        weir_set(socket, "reconnect-max", "1000") < 0)
        return fail("set");
    if ((pulls ? weir_bind(socket, argv[2], NULL)
               : weir_connect(socket, argv[2], NULL)) < 0)
        return fail(argv[2]);
    end = now() + atof(argv[3]);
    while (now() < end) {
        talk(socket, pulls, &count);
        say_events(socket);
    }
    (void)weir_close(socket, 0, NULL);
    (void)weir_context_close(context, 1000);
    return 0;
}
