/*
 * work.c - fixed work, for counting instructions: see budget.sh.
 *
 * work NAME MESSAGES
 *
 * Once the sockets know each other the I/O thread is stopped where it waits,
 * so one thread does everything, and the clock goes on by the same step
 * whenever somebody looks: the same number of instructions runs each time,
 * whatever the machine does meanwhile.  Messages have 64 octets.  The kernel's
 * part is not counted.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "pattern/trie.h"
#include "queue.h"
#include "tools/peers/address.h"
#include "tools/peers/crowd.h"
#include "weir/weir.h"

#define SIZE   64
#define FRAME  (SIZE + 2)
#define BATCH  900   /* messages that fit into 64 KB with their heads */
#define TOPICS 10000 /* that are subscribed */
#define LAST   13    /* octet of "topic.%08x" */

static char payload[SIZE];

static void fail(const char *what)
{
    fprintf(stderr, "work: %s: %s, %s\n", what, weir_last_error(),
            strerror(errno));
    exit(1);
}

static void must(int code, const char *what)
{
    if (code < 0)
        fail(what);
}

/* ---- nothing of this run differs from the last one ---- */

#define STEP_NS 40

/* In place of the system's, also for the library, which is linked in. */
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout);
int clock_gettime(clockid_t clock, struct timespec *now);
ssize_t getrandom(void *data, size_t size, unsigned flags);

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static _Atomic int64_t clock_ns = INT64_C(1000000000000);
    int64_t ns = atomic_fetch_add(&clock_ns, STEP_NS);

    (void)clock;
    now->tv_sec = (time_t)(ns / 1000000000);
    now->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

ssize_t getrandom(void *data, size_t size, unsigned flags)
{
    (void)flags;
    memset(data, 7, size);
    return (ssize_t)size;
}

#define LOOK_MS 10

static pthread_t worker;
static _Atomic bool freeze, frozen;

static int wait_once(int fd, struct epoll_event *events, int most, int timeout)
{
    return (int)syscall(SYS_epoll_pwait, fd, events, most, timeout, NULL, 0);
}

/* Other threads than the worker's get no further when it says so. */
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    int got = 0, left = timeout < 0 ? LOOK_MS : timeout;

    if (pthread_equal(pthread_self(), worker))
        return wait_once(fd, events, most, timeout);
    while (!atomic_load(&freeze)) {
        int slice = left < LOOK_MS ? left : LOOK_MS;

        got = wait_once(fd, events, most, slice);
        left -= timeout < 0 ? 0 : slice;
        if (got != 0 || left == 0)
            return got;
    }
    atomic_store(&frozen, true);
    for (;;)
        pause();
}

static void stop_others(void)
{
    atomic_store(&freeze, true);
    while (!atomic_load(&frozen))
        usleep(1000);
}

/* ---- a socket, and a raw peer ---- */

static weir_context context;
static char url[64];

static weir_socket open_bound(int type, const char *where)
{
    weir_socket socket;

    if (!context.generation)
        must(weir_context_open(&context, 1), "context");
    must(weir_open(&socket, context, type), "socket");
    must(weir_bind(socket, where, NULL), where);
    return socket;
}

/* A peer of that type that has greeted; the socket knows it. */
static int join(weir_socket socket, const char *type)
{
    unsigned char greeting[WEIR_CROWD_GREETING];
    size_t size = weir_crowd_greeting(greeting, WEIR_SIDE_ZMTP, type);
    int fd = weir_address_connect(url);

    if (fd < 0 || write(fd, greeting, size) != (ssize_t)size)
        fail("peer");
    must(weir_wait_peers(socket, 1, WEIR_FOREVER), "handshake");
    stop_others();
    return fd;
}

static void drain(int fd)
{
    static char octets[1 << 17];

    while (recv(fd, octets, sizeof octets, MSG_DONTWAIT) > 0)
        ;
}

/* ---- the works ---- */

static void send_some(weir_socket socket, long n)
{
    while (n--)
        must(weir_send(socket, payload, SIZE, WEIR_FOREVER), "send");
}

static void recv_some(weir_socket socket, long n)
{
    weir_message message;

    weir_message_init(&message);
    while (n--)
        must(weir_recv_message(socket, &message, WEIR_FOREVER), "receive");
    weir_message_fini(&message);
}

/* Into the kernel, `batch` messages before the other side reads. */
static void send_paced(long messages, const char *pace, long batch)
{
    weir_socket socket = open_bound(WEIR_PUSH, url);
    int fd = join(socket, "PULL");

    must(weir_set(socket, "pace", pace), "pace");
    for (; messages > 0; messages -= batch) {
        send_some(socket, batch);
        must(weir_flush(socket, WEIR_FOREVER), "flush");
        drain(fd);
    }
}

/* In large writes. */
static void work_send(long messages)
{
    send_paced(messages, "throughput", BATCH);
}

/* Each by itself. */
static void work_single(long messages)
{
    send_paced(messages, "latency", BATCH / 10);
}

/* BATCH frames as they are on the wire. */
static const unsigned char *pack(void)
{
    static unsigned char octets[BATCH * FRAME];

    for (size_t i = 0; i < BATCH; i++) {
        octets[i * FRAME] = 0;
        octets[i * FRAME + 1] = SIZE;
        memcpy(octets + i * FRAME + 2, payload, SIZE);
    }
    return octets;
}

static void work_receive(long messages)
{
    weir_socket socket = open_bound(WEIR_PULL, url);
    const unsigned char *octets = pack();
    int fd = join(socket, "PUSH");

    for (; messages > 0; messages -= BATCH) {
        if (write(fd, octets, BATCH * FRAME) != BATCH * FRAME)
            fail("write");
        recv_some(socket, BATCH);
    }
}

/* Each comes alone, is waited for, and answered. */
static void work_answer(long messages)
{
    weir_socket socket = open_bound(WEIR_PAIR, url);
    const unsigned char *octets = pack();
    int fd = join(socket, "PAIR");

    for (; messages > 0; messages--) {
        if (write(fd, octets, FRAME) != FRAME)
            fail("write");
        recv_some(socket, 1);
        send_some(socket, 1);
        drain(fd);
    }
}

static void work_inproc(long messages)
{
    weir_socket from = open_bound(WEIR_PUSH, "inproc://work"), to;

    must(weir_open(&to, context, WEIR_PULL), "socket");
    must(weir_connect(to, "inproc://work", NULL), "connect");
    must(weir_wait_peers(from, 1, WEIR_FOREVER), "peer");
    stop_others();
    for (; messages > 0; messages -= BATCH) {
        send_some(from, BATCH);
        recv_some(to, BATCH);
    }
}

/* As the kernel would put them there. */
static void fill(struct weir_queue *queue, const unsigned char *octets,
                 size_t size)
{
    struct weir_queue_parser parser = {0};
    struct iovec parts[2];

    while (size) {
        size_t some;

        if (weir_queue_space(queue, parts, false) < 1)
            fail("space");
        some = size < parts[0].iov_len ? size : parts[0].iov_len;
        memcpy(parts[0].iov_base, octets, some);
        if (weir_queue_filled(queue, some, &parser) < 0)
            fail("frames");
        octets += some;
        size -= some;
    }
}

/* Frames found in octets and taken, without sockets. */
static void work_decode(long messages)
{
    struct weir_pool *pool = weir_pool_new(UINT64_C(1) << 22);
    struct weir_queue *queue =
        pool ? weir_queue_new(pool, (struct weir_queue_limits){0}, false)
             : NULL;
    const unsigned char *octets = pack();
    const uint8_t *data;
    weir_frame frame;
    unsigned flags;
    size_t size;

    if (!queue)
        fail("queue");
    for (; messages > 0; messages -= BATCH) {
        fill(queue, octets, BATCH * FRAME);
        while (weir_queue_peek(queue, &data, &size, &flags)) {
            weir_queue_take(queue, &frame);
            weir_frame_fini(&frame);
        }
    }
}

static unsigned long seen;

static void see(void *argument, struct weir_trie_peer *peer)
{
    (void)argument;
    (void)peer;
    seen++;
}

static size_t write_topic(char text[SIZE], long i)
{
    return (size_t)snprintf(text, SIZE, "topic.%08x",
                            (unsigned)i * 2654435761u);
}

/* Half of what is matched has a subscriber. */
static void work_match(long messages)
{
    struct weir_trie_peer peer = {.count = 0};
    static char texts[1000][SIZE];
    struct weir_trie trie;
    char text[SIZE];

    weir_trie_init(&trie);
    for (long i = 0; i < TOPICS; i++)
        must(weir_trie_add(&trie, &peer, text, write_topic(text, i)), "topic");
    for (long i = 0; i < 1000; i++) {
        write_topic(texts[i], i * 7);
        texts[i][LAST] = i % 2 ? 'x' : texts[i][LAST];
    }
    for (long i = 0; i < messages; i++)
        weir_trie_match(&trie, texts[i % 1000], SIZE, see, NULL);
    if (!seen)
        fail("nothing matched");
}

static const struct {
    const char *name;
    void (*run)(long messages);
} works[] = {
    {"send", work_send},     {"single", work_single}, {"receive", work_receive},
    {"answer", work_answer}, {"inproc", work_inproc}, {"decode", work_decode},
    {"match", work_match},
};

int main(int argc, char **argv)
{
    worker = pthread_self();
    memset(payload, 'x', sizeof payload);
    snprintf(url, sizeof url, "ipc:///tmp/weir-work-%ld", (long)getpid());
    for (size_t i = 0; argc == 3 && i < sizeof works / sizeof *works; i++) {
        if (strcmp(argv[1], works[i].name) != 0)
            continue;
        works[i].run(atol(argv[2]));
        unlink(url + 6);
        return 0;
    }
    fputs("usage: work send|single|receive|inproc|decode|match MESSAGES\n",
          stderr);
    return 2;
}
