/*
 * test_alloc.c - shortages of memory and of descriptors, everywhere.
 *
 * A scene is a conversation through a part of the library.  It is played
 * again and again; each time the next allocation, or the next descriptor,
 * cannot be had, until the scene ends and nothing was short.  Calls may give
 * -ENOMEM (or -EMFILE), with a sentence of their own, and do what they are
 * for when they are tried again.  Connections may be lost, and come again.
 * Messages may be dropped, and are counted then.  Nothing hangs, nothing is
 * lost for good: neither blocks of memory nor descriptors.
 *
 * There are three ways to be short.  One allocation fails.  Or all fail from
 * one on until a call says so, or something does not happen in time; then
 * there is enough again, and all must come to its end.  Or there is nothing
 * until the last socket is closed: then closing has to do without.
 *
 * Each scene is played in a process of its own, which has a deadline.
 */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "shortage.h"
#include "tests/net/alone.h"

enum {
    IMPATIENT = 30,  /* ms to wait for what may not happen in a shortage */
    STUCK = 60,      /* s after which a scene hangs */
    TRIES = 50,      /* of one call */
    LIMIT_MOST = 24, /* descriptors, which are enough for any scene */
    LEAK = 4,        /* times in a row that more is left: that is a leak */
    SMALL = 20,
    MEDIUM = 3000,
    LARGE = 300000
};

enum what { MEMORY, DESCRIPTORS, LIMIT, WHATS };
enum way { ONCE, UNTIL_NOTICED, TO_THE_END, WAYS };

static const char *const way_names[] = {"fails", "and all that follow fail",
                                        "and all fail to the end"};

static const char *const what_names[] = {"allocation", "descriptor",
                                         "one of the allowed descriptors"};

struct scene;

struct play {
    const char *name;
    void (*run)(struct scene *scene);
};

/* What a process that plays tells the one that waits for it. */
static struct progress {
    long nth;
    enum way way;
    enum what what;
    int part; /* its place in the list */
} * progress;

struct scene {
    const char *address; /* to bind */
    int io_threads;
    weir_context context;
    weir_socket a, b;
    char url[SOCKET_URL];
    uint32_t seq; /* of the next message */
};

/* ---- one time ---- */

static enum way way;
static bool relieved, gave_up;
static int tries;
static int64_t since;

static void die(const char *what, const char *why)
{
    shortage_end();
    fprintf(stderr, "%s: %s (weir says: %s)\n", what, why, weir_last_error());
    shortage_where(2);
    _exit(1);
}

/* It is short, and was noticed. */
static void notice(void)
{
    if (way == TO_THE_END)
        gave_up = true;
    else
        shortage_end();
    relieved = true;
}

/* How long something may take: for as long as nothing happens on account of
 * the shortage, less. */
static int patience(void)
{
    return way == ONCE || relieved ? SOON : IMPATIENT;
}

/* A sentence that can be told from all others. */
#define MARK "no such thing"

static void mark(void)
{
    weir_socket none;
    weir_context nowhere = {0};

    if (weir_open_named(&none, nowhere, MARK) != -ENOENT)
        die("weir_open_named", "opened " MARK);
}

static bool is_shortage(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENOSPC;
}

/* Nothing was short yet, and there is time for it to happen. */
static bool in_time(void)
{
    if (since == 0)
        since = now_ms();
    return shortage_hits() == 0 && now_ms() - since < SOON;
}

/* Does the call have to be made again?  What it said has to be its own. */
static bool again(int r, const char *call)
{
    bool same = strstr(weir_last_error(), MARK) != NULL;

    if (r >= 0 || r == -EAGAIN) {
        if (!same)
            die(call, "a sentence without an error");
    } else if (!is_shortage(r)) {
        die(call, weir_strerror(r));
    } else if (same || weir_last_error()[0] == '\0') {
        die(call, "an error without a sentence");
    }
    if (r >= 0) {
        tries = 0;
        since = 0;
        return false;
    }
    if (r == -EAGAIN && in_time())
        return true;
    if (shortage_hits() == 0)
        die(call, "failed without a shortage");
    if (r == -EAGAIN && (way == ONCE || relieved))
        die(call, "did not happen in time");
    if (++tries > TRIES)
        die(call, "fails again and again");
    notice();
    return !gave_up;
}

/* Call until it does what it should. */
#define CALL(call)   \
    do {             \
        if (gave_up) \
            break;   \
        mark();      \
    } while (again((call), #call))

/* ---- parts of scenes ---- */

static void open_context(struct scene *scene)
{
    CALL(weir_context_open(&scene->context, scene->io_threads));
}

static void open_socket(struct scene *scene, weir_socket *socket,
                        const char *pattern)
{
    CALL(weir_open_named(socket, scene->context, pattern));
    CALL(weir_set(*socket, "reconnect", "1ms"));
    CALL(weir_set(*socket, "reconnect-max", "5ms"));
}

static void close_one(weir_socket *socket)
{
    int r;

    if (socket->generation == 0)
        return;
    r = weir_close(*socket, way == TO_THE_END ? 0 : SOON, NULL);
    if (r < 0 && r != -EAGAIN)
        die("weir_close", weir_strerror(r));
    socket->generation = 0;
}

/* What is reported for want of something says so. */
static void check_event(const weir_event *event)
{
    if (event->code == ENOMEM && !strstr(event->reason, "memory"))
        die("an event of ENOMEM", event->reason);
    if (event->code == EMFILE && !strstr(event->reason, "open files"))
        die("an event of EMFILE", event->reason);
}

static void look_at_events(weir_socket socket)
{
    weir_event event = {.size = sizeof(event)};

    while (weir_next_event(socket, &event, WEIR_NOWAIT) >= 0)
        check_event(&event);
}

static void close_all(struct scene *scene)
{
    int r;

    look_at_events(scene->a);
    look_at_events(scene->b);

    close_one(&scene->b);
    close_one(&scene->a);
    if (scene->context.generation == 0)
        return;
    r = weir_context_close(scene->context, SOON);
    if (r < 0)
        die("weir_context_close", weir_strerror(r));
}

static void await_peers(weir_socket socket)
{
    CALL(weir_wait_peers(socket, 1, patience()));
}

/* `a` binds and `b` connects; each has the other for a peer. */
static void couple(struct scene *scene, const char *a, const char *b)
{
    open_context(scene);
    open_socket(scene, &scene->a, a);
    open_socket(scene, &scene->b, b);
}

static void join(struct scene *scene)
{
    weir_endpoint endpoint;

    CALL(weir_bind(scene->a, scene->address, &endpoint));
    CALL(weir_endpoint_url(endpoint, scene->url, SOCKET_URL));
    CALL(weir_connect(scene->b, scene->url, NULL));
}

/* ---- messages ---- */

static void fill(uint8_t *data, size_t size, uint32_t seq)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seq * 31 + i * 7);
    memcpy(data, &seq, sizeof(seq));
}

static uint8_t out[LARGE], in[LARGE];

static const size_t sizes[] = {SMALL, MEDIUM, LARGE};
enum { SIZES = 3 };

/* A message of `frames` frames; its first one has the number. */
static void make(weir_message *message, uint32_t seq, int frames, size_t size)
{
    weir_message_init(message);
    fill(out, size, seq);
    for (int i = 0; i < frames; i++)
        CALL(weir_message_add(message, out, size));
}

static void send_one(struct scene *scene, weir_socket socket, int frames,
                     size_t size)
{
    weir_message message;

    make(&message, scene->seq, frames, size);
    CALL(weir_send_message(socket, &message, patience()));
    weir_message_fini(&message);
    scene->seq++;
}

/* The number of a message that is as it was sent. */
static uint32_t number_of(weir_message *message, uint32_t skip)
{
    uint32_t seq = 0;

    for (uint32_t i = skip; i < weir_message_count(message); i++) {
        weir_frame *frame = weir_message_frame(message, i);
        size_t size = weir_frame_size(frame);

        if (size < SMALL || size > LARGE)
            die("a message", "is of another size");
        memcpy(&seq, weir_frame_data(frame), sizeof(seq));
        fill(in, size, seq);
        if (memcmp(in, weir_frame_data(frame), size) != 0)
            die("a message", "is not what was sent");
    }
    return seq;
}

static weir_stats sums(weir_socket socket)
{
    weir_stats stats = {.size = sizeof(stats)};

    if (weir_socket_stats(socket, &stats) < 0)
        die("weir_socket_stats", "fails");
    if (!adds_up(&stats))
        die("weir_socket_stats", "does not add up");
    return stats;
}

/* Has all that `from` sent to `to` come to its end? */
static bool accounted(weir_socket from, weir_socket to)
{
    weir_stats sent = sums(from), came = sums(to);
    uint64_t ended = came.delivered + sum_of(came.recv_dropped) +
                     sum_of(sent.send_dropped) + sent.unconfirmed;

    return sent.send_queued == 0 && came.recv_queued == 0 &&
           ended >= sent.accepted;
}

/* Receive until the message `seq`, or all is accounted for.  Returns whether
 * it came. */
static bool receive_until(weir_socket from, weir_socket to, uint32_t seq,
                          uint32_t skip)
{
    int64_t end = now_ms() + SOON;
    weir_message message;
    uint32_t got = seq + 1;

    weir_message_init(&message);
    while (!gave_up && got != seq) {
        int r;

        mark();
        r = weir_recv_message(to, &message, IMPATIENT);
        if (r == -WEIR_ESTATE && shortage_hits() > 0)
            break; /* the reply to a request was lost */
        if (r != -EAGAIN && again(r, "weir_recv_message"))
            continue;
        if (r >= 0)
            got = number_of(&message, skip);
        if (r < 0 && shortage_hits() > 0 && accounted(from, to))
            break;
        if (r == -EAGAIN && shortage_hits() > 0)
            notice();
        if (now_ms() > end)
            die("weir_recv_message", "a message is lost, and not counted");
    }
    weir_message_fini(&message);
    return got == seq;
}

/* Messages of all sizes and forms from one to the other. */
static void stream(struct scene *scene, weir_socket from, weir_socket to)
{
    for (int i = 0; i < SIZES; i++) {
        send_one(scene, from, 1, sizes[i]);
        send_one(scene, from, 3, sizes[i]);
    }
    (void)receive_until(from, to, scene->seq - 1, 0);
}

/* ---- scenes ---- */

static bool has_name(int type)
{
    return type == WEIR_REQ || type == WEIR_DEALER || type == WEIR_ROUTER;
}

/* Sockets of all types, and their options; nobody connects. */
static void open_all(struct scene *scene)
{
    int64_t number;
    char text[64];
    size_t size = sizeof(text);

    open_context(scene);
    CALL(weir_context_set(scene->context, "thread-name", "alloc"));
    CALL(weir_context_set(scene->context, "max-sockets", "100"));
    for (int type = WEIR_PAIR; type <= WEIR_XSUB; type++) {
        CALL(weir_open(&scene->a, scene->context, type));
        CALL(weir_set(scene->a, "events", "7"));
        CALL(weir_set_int(scene->a, "linger", 7));
        if (has_name(type))
            CALL(weir_set_bytes(scene->a, "routing-id", "me", 2));
        CALL(weir_set(scene->a, "property", "X-a:b"));
        CALL(weir_get(scene->a, "property", text, &size));
        size = sizeof(text);
        if (has_name(type))
            CALL(weir_get_bytes(scene->a, "routing-id", text, &size));
        CALL(weir_get_int(scene->a, "linger", &number));
        size = sizeof(text);
        close_one(&scene->a);
    }
}

static void look(struct scene *scene)
{
    weir_stats stats = {.size = sizeof(stats)};

    CALL(weir_socket_stats(scene->a, &stats));
    look_at_events(scene->a);
}

static void push(struct scene *scene)
{
    couple(scene, "PULL", "PUSH");
    join(scene);
    send_one(scene, scene->b, 1, SMALL);
    await_peers(scene->a);
    await_peers(scene->b);
    for (int i = 0; i < 2; i++) {
        stream(scene, scene->b, scene->a);
        CALL(weir_flush(scene->b, patience()));
    }
    look(scene);
}

/* The one that binds is the one that sends. */
static void push_back(struct scene *scene)
{
    couple(scene, "PUSH", "PULL");
    join(scene);
    await_peers(scene->a);
    for (int i = 0; i < 2; i++)
        stream(scene, scene->a, scene->b);
}

static void plain(struct scene *scene)
{
    uint8_t data[SMALL];
    int64_t end = now_ms() + SOON;
    bool came = false;

    couple(scene, "PAIR", "PAIR");
    CALL(weir_set(scene->b, "property", "X-who:me,X-where:here"));
    join(scene);
    await_peers(scene->a);
    while (!came && !gave_up) {
        size_t size = sizeof(data);
        int r;

        CALL(weir_send(scene->b, "hello", 5, patience()));
        mark();
        r = gave_up ? -EAGAIN : weir_recv(scene->a, data, &size, IMPATIENT);
        if (r == -EAGAIN && now_ms() > end)
            die("weir_recv", "nothing comes");
        if (r == -EAGAIN && shortage_hits() > 0)
            notice();
        came = r >= 0 || (r != -EAGAIN && !again(r, "weir_recv"));
    }
    stream(scene, scene->a, scene->b);
}

static void many(struct scene *scene)
{
    enum { N = 8 };
    weir_message message[N];
    int done = 0;

    couple(scene, "DEALER", "DEALER");
    join(scene);
    await_peers(scene->b);
    for (int i = 0; i < N; i++)
        make(&message[i], scene->seq++, 1 + i % 2, MEDIUM);
    while (done < N && !gave_up) {
        int r;

        mark();
        r = weir_send_many(scene->b, message + done, N - done, patience());
        if (!again(r, "weir_send_many"))
            done += r;
        if (gave_up)
            break;
    }
    for (int i = 0; i < N; i++)
        weir_message_fini(&message[i]);
    (void)receive_until(scene->b, scene->a, scene->seq - 1, 0);
    stream(scene, scene->a, scene->b);
}

/* Say it until it is heard: what nobody has subscribed to yet is dropped. */
static void publish(struct scene *scene, weir_socket from, weir_socket to,
                    size_t size)
{
    int64_t end = now_ms() + SOON;
    weir_message message;
    bool came = false;

    weir_message_init(&message);
    while (!came && !gave_up) {
        int r;

        send_one(scene, from, 2, size);
        mark();
        r = gave_up ? -EAGAIN
                    : weir_recv_message(to, &message,
                                        shortage_hits() ? 2 : IMPATIENT);
        if (r >= 0)
            came = true;
        else if (r != -EAGAIN)
            (void)again(r, "weir_recv_message");
        else if (now_ms() > end)
            die("weir_recv_message", "a subscriber hears nothing");
        else if (shortage_hits() > 0)
            notice();
        if (came)
            (void)number_of(&message, 0);
    }
    weir_message_fini(&message);
}

static void subscribe_some(weir_socket socket, bool on)
{
    char topic[400];

    memset(topic, 'x', sizeof(topic));
    for (int i = 0; i < 6; i++) {
        topic[1] = (char)('a' + i % 3);
        if (on)
            CALL(weir_subscribe(socket, topic, (size_t)i * 70 + 2));
        else
            CALL(weir_unsubscribe(socket, topic, (size_t)i * 70 + 2));
    }
}

static void subscribe(struct scene *scene, const char *publisher)
{
    couple(scene, publisher, "SUB");
    subscribe_some(scene->b, true);
    join(scene);
    CALL(weir_subscribe(scene->b, NULL, 0));
    for (int i = 0; i < SIZES; i++)
        publish(scene, scene->a, scene->b, sizes[i]);
    subscribe_some(scene->b, false);
    subscribe_some(scene->b, true);
    publish(scene, scene->a, scene->b, MEDIUM);
    if (!gave_up)
        (void)sums(scene->a), (void)sums(scene->b);
}

static void pub(struct scene *scene)
{
    subscribe(scene, "PUB");
}

static void xpub(struct scene *scene)
{
    subscribe(scene, "XPUB");
}

/* To a group: both connect, and each tries again by itself. */
static void group(struct scene *scene)
{
    couple(scene, "PUB", "SUB");
    CALL(weir_subscribe(scene->b, NULL, 0));
    CALL(weir_connect(scene->b, scene->address, NULL));
    CALL(weir_connect(scene->a, scene->address, NULL));
    publish(scene, scene->a, scene->b, MEDIUM);
    publish(scene, scene->a, scene->b, SMALL);
    if (!gave_up)
        (void)sums(scene->a), (void)sums(scene->b);
}

/* Take what was said more than once: without I/O threads nobody else does, and
 * who has said it waits for that when it is closed. */
static void hear_out(weir_socket socket)
{
    weir_message message;

    weir_message_init(&message);
    while (!gave_up && weir_recv_message(socket, &message, 5) >= 0)
        ;
    weir_message_fini(&message);
}

/* The subscriber binds, and subscribes by messages. */
static void xsub(struct scene *scene)
{
    couple(scene, "XSUB", "XPUB");
    join(scene);
    CALL(weir_send(scene->a, "\1", 1, patience()));
    for (int i = 0; i < SIZES; i++)
        publish(scene, scene->b, scene->a, sizes[i]);
    hear_out(scene->a);
    CALL(weir_send(scene->a, "\0", 1, patience()));
}

/* Ask until there is an answer. */
static void ask(struct scene *scene, weir_socket req, weir_socket rep,
                size_t size)
{
    int64_t end = now_ms() + SOON;
    uint32_t seq;

    while (!gave_up) {
        if (now_ms() > end)
            die("a request", "gets no answer");
        seq = scene->seq;
        send_one(scene, req, 2, size);
        if (!receive_until(req, rep, seq, 0))
            continue;
        seq = scene->seq;
        send_one(scene, rep, 2, size);
        if (receive_until(rep, req, seq, 0))
            break;
    }
}

static void request(struct scene *scene)
{
    couple(scene, "REP", "REQ");
    CALL(weir_set(scene->b, "relaxed", "1"));
    CALL(weir_set(scene->b, "correlate", "1"));
    CALL(weir_set(scene->b, "routing-id", "client"));
    join(scene);
    await_peers(scene->a);
    for (int i = 0; i < SIZES; i++)
        ask(scene, scene->b, scene->a, sizes[i]);
}

#define LONG_NAME "a name that is so long that it needs memory of its own"

/* To a peer that the ROUTER knows by its name. */
static void route(struct scene *scene)
{
    int64_t end = now_ms() + SOON;
    weir_message message;
    bool came = false;

    couple(scene, "ROUTER", "DEALER");
    CALL(weir_set(scene->b, "routing-id", LONG_NAME));
    CALL(weir_set(scene->a, "notify", "both"));
    join(scene);
    await_peers(scene->a);
    while (!came && !gave_up) {
        if (now_ms() > end)
            die("a route", "leads nowhere");
        fill(out, MEDIUM, scene->seq);
        weir_message_init(&message);
        CALL(weir_message_add(&message, LONG_NAME, strlen(LONG_NAME)));
        CALL(weir_message_add(&message, out, MEDIUM));
        CALL(weir_send_message(scene->a, &message, patience()));
        weir_message_fini(&message);
        await_peers(scene->a);
        came = receive_until(scene->a, scene->b, scene->seq++, 0);
    }
}

/* Where sets do not nest there are none without I/O threads. */
static bool have_descriptors(const struct scene *scene)
{
#if defined(WEIR_POLLER_POLL)
    return scene->io_threads > 0;
#else
    (void)scene;
    return true;
#endif
}

/* Readiness, for weir_poll() and for loops of others. */
static void ready(struct scene *scene)
{
    weir_poll_item items[40];
    int64_t end = now_ms() + SOON;
    bool came = false;

    couple(scene, "PULL", "PUSH");
    join(scene);
    if (have_descriptors(scene)) {
        CALL(weir_readable_fd(scene->a));
        CALL(weir_writable_fd(scene->b));
    }
    for (int i = 0; i < 40; i++)
        items[i] = (weir_poll_item){.fd = -1, .socket = {0}};
    items[0].socket = scene->a;
    items[0].events = WEIR_POLL_IN;
    items[39].socket = scene->b;
    items[39].events = WEIR_POLL_OUT;
    CALL(weir_poll(items, 40, patience()));
    send_one(scene, scene->b, 1, MEDIUM);
    items[39].events = 0;
    while (!came && !gave_up) {
        CALL(weir_poll(items, 40, IMPATIENT));
        came = (items[0].ready & WEIR_POLL_IN) != 0;
        if (shortage_hits() > 0 && !came) {
            notice();
            came = !gave_up && accounted(scene->b, scene->a);
        }
        if (now_ms() > end)
            die("weir_poll", "does not see a message");
    }
    if (shortage_hits() == 0)
        (void)receive_until(scene->b, scene->a, scene->seq - 1, 0);
}

/* The binder goes, and another comes at the same place. */
static void rebind(struct scene *scene)
{
    weir_endpoint endpoint = {0};
    char path[100];
    uint64_t unsent;
    int r;

    snprintf(path, sizeof(path), "ipc:///tmp/weir-alloc-%ld", (long)getpid());

    if (strncmp(scene->address, "ipc", 3) == 0)
        scene->address = path;
    couple(scene, "PULL", "PUSH");
    join(scene);
    await_peers(scene->b);
    close_one(&scene->a);
    open_socket(scene, &scene->a, "PULL");
    CALL(weir_bind(scene->a, scene->url, &endpoint));
    await_peers(scene->a);
    send_one(scene, scene->b, 1, MEDIUM);
    (void)receive_until(scene->b, scene->a, scene->seq - 1, 0);
    if (gave_up || endpoint.generation == 0)
        return;
    r = weir_endpoint_close(endpoint, SOON, &unsent);
    if (r < 0)
        die("weir_endpoint_close", weir_strerror(r));
}

/* By a name, which a helper thread looks up. */
static void by_name(struct scene *scene)
{
    char url[SOCKET_URL];
    weir_endpoint endpoint;

    couple(scene, "PULL", "PUSH");
    CALL(weir_bind(scene->a, "tcp://lo:*", &endpoint));
    CALL(weir_endpoint_url(endpoint, scene->url, SOCKET_URL));
    if (gave_up)
        return;
    snprintf(url, sizeof(url), "tcp://localhost%s", strrchr(scene->url, ':'));
    CALL(weir_connect(scene->b, url, NULL));
    await_peers(scene->a);
    stream(scene, scene->b, scene->a);
}

/* A system without /etc/hosts may know no names at all. */
static bool knows_localhost(void)
{
    struct addrinfo *list;

    if (getaddrinfo("localhost", NULL, NULL, &list) != 0) {
        print_message("nobody here knows localhost: by_name is left out\n");
        return false;
    }
    freeaddrinfo(list);
    return true;
}

static int see(void *arg, const weir_plugin_info *info)
{
    int *n = arg;

    *n += info->state == WEIR_PLUGIN_LOADED;
    return 0;
}

static void list_plugins(struct scene *scene)
{
    weir_option_info info = {.size = sizeof(info)};
    int n = 0;

    (void)scene;
    CALL(weir_plugin_scan(true, see, &n));
    CALL(weir_option_at("transport_ipc", 0, &info));
    CALL(weir_option_at(NULL, 0, &info));
}

/* ---- a stats endpoint ---- */

static bool is_report(weir_message *message)
{
    static const char begin[] = "{\"weir\": ";
    weir_frame *frame = weir_message_frame(message, 0);

    return weir_frame_size(frame) > sizeof(begin) &&
           memcmp(weir_frame_data(frame), begin, sizeof(begin) - 1) == 0;
}

/* Ask once.  The answer may be an error, or lost. */
static bool get_report(weir_socket dealer)
{
    weir_message message;
    bool is = false;

    CALL(weir_send(dealer, "stats", 5, patience()));
    if (gave_up)
        return false;
    weir_message_init(&message);
    if (weir_recv_message(dealer, &message, IMPATIENT) >= 0)
        is = is_report(&message);
    weir_message_fini(&message);
    return is;
}

/* The program asks its own endpoint. */
static void observe(struct scene *scene)
{
    int64_t end = now_ms() + SOON;
    size_t size = SOCKET_URL;
    bool came = false;

    open_context(scene);
    CALL(weir_context_set(scene->context, "stats", scene->address));
    CALL(weir_context_get(scene->context, "stats", scene->url, &size));
    open_socket(scene, &scene->b, "DEALER");
    CALL(weir_connect(scene->b, scene->url, NULL));
    while (!came && !gave_up) {
        came = get_report(scene->b);
        if (shortage_hits() > 0 && !came)
            notice();
        if (now_ms() > end)
            die("the stats endpoint", "does not answer");
    }
}

/* ---- a device ---- */

/* The device is between a and b; what comes through it. */
struct through {
    weir_socket source, sink;
    weir_device device;
};

static void another(const struct scene *scene, char url[SOCKET_URL])
{
    bool named = strncmp(scene->address, "inproc", 6) == 0;

    snprintf(url, SOCKET_URL, "%s%s", scene->address, named ? "-2" : "");
}

static void put_between(struct scene *scene, struct through *through,
                        const char *source, const char *sink)
{
    const weir_socket none = {0};
    char url[SOCKET_URL];
    weir_endpoint endpoint;

    another(scene, url);
    CALL(weir_device_start(&through->device, scene->a, scene->b, none, 1));
    CALL(weir_bind(scene->a, scene->address, &endpoint));
    CALL(weir_endpoint_url(endpoint, scene->url, SOCKET_URL));
    CALL(weir_bind(scene->b, url, &endpoint));
    CALL(weir_endpoint_url(endpoint, url, SOCKET_URL));
    open_socket(scene, &through->source, source);
    open_socket(scene, &through->sink, sink);
    CALL(weir_connect(through->source, scene->url, NULL));
    CALL(weir_connect(through->sink, url, NULL));
}

/* It always stops, with whatever it holds. */
static void take_away(struct through *through)
{
    uint64_t held;
    int r = 0;

    if (through->device.generation != 0)
        r = weir_device_stop(through->device, way == TO_THE_END ? 0 : SOON,
                             &held);
    if (r < 0 && r != -EAGAIN)
        die("weir_device_stop", weir_strerror(r));
    close_one(&through->source);
    close_one(&through->sink);
}

/* Has all that was sent come to its end, on the way or behind it? */
static bool accounted_through(const struct scene *scene,
                              const struct through *through)
{
    weir_stats sent = sums(through->source), a = sums(scene->a),
               b = sums(scene->b), came = sums(through->sink);
    weir_device_counts counts = {.size = sizeof(counts)};

    if (weir_device_stats(through->device, &counts) < 0)
        die("weir_device_stats", "fails");
    return sent.send_queued + a.recv_queued + b.send_queued +
                   came.recv_queued ==
               0 &&
           came.delivered + sum_of(sent.send_dropped) + sent.unconfirmed +
                   sum_of(a.recv_dropped) + counts.forth_dropped +
                   sum_of(b.send_dropped) + b.unconfirmed +
                   sum_of(came.recv_dropped) >=
               sent.accepted;
}

static void pass_through(struct scene *scene, struct through *through,
                         size_t size)
{
    int64_t end = now_ms() + SOON;
    uint32_t seq = scene->seq, got = seq + 1;
    weir_message message;

    weir_message_init(&message);
    send_one(scene, through->source, 3, size);
    while (!gave_up && got != seq) {
        int r;

        mark();
        r = weir_recv_message(through->sink, &message, IMPATIENT);
        if (r != -EAGAIN && again(r, "weir_recv_message"))
            continue;
        if (r >= 0)
            got = number_of(&message, 0);
        if (r < 0 && shortage_hits() > 0 && accounted_through(scene, through))
            break;
        if (r == -EAGAIN && shortage_hits() > 0)
            notice();
        if (now_ms() > end)
            die("a device", "loses a message, and does not count it");
    }
    weir_message_fini(&message);
}

static void device(struct scene *scene)
{
    struct through through = {.device = {0}};

    couple(scene, "PULL", "PUSH");
    put_between(scene, &through, "PUSH", "PULL");
    for (int i = 0; i < SIZES; i++)
        pass_through(scene, &through, sizes[i]);
    CALL(weir_device_pause(through.device));
    CALL(weir_device_resume(through.device));
    pass_through(scene, &through, MEDIUM);
    take_away(&through);
}

static void forwarder(struct scene *scene)
{
    struct through through = {.device = {0}};

    couple(scene, "XSUB", "XPUB");
    put_between(scene, &through, "PUB", "SUB");
    CALL(weir_subscribe(through.sink, NULL, 0));
    publish(scene, through.source, through.sink, MEDIUM);
    publish(scene, through.source, through.sink, LARGE);
    hear_out(through.sink); /* what it has no room for the device would hold */
    take_away(&through);
}

/* Frames and messages, without a socket. */
static void frames(struct scene *scene)
{
    weir_frame frame, other;
    weir_message message, copy;

    (void)scene;
    weir_frame_init(&frame);
    weir_message_init(&message);
    weir_message_init(&copy);
    CALL(weir_frame_alloc(&frame, MEDIUM));
    weir_frame_fini(&frame);
    CALL(weir_frame_wrap(&frame, out, LARGE, NULL, NULL));
    weir_frame_share(&other, &frame);
    CALL(weir_message_push(&message, &frame));
    CALL(weir_message_push(&message, &other));
    for (int i = 0; i < 20; i++)
        CALL(weir_message_add(&message, out, LARGE / 20));
    CALL(weir_message_share(&copy, &message));
    weir_frame_fini(&frame);
    weir_frame_fini(&other);
    weir_message_fini(&copy);
    weir_message_fini(&message);
}

/* ---- playing ---- */

static void play_once(const struct play *play, const char *address,
                      int io_threads, enum what what, long nth)
{
    static const enum shortage kinds[WHATS][2] = {
        {SHORTAGE_MEMORY, SHORTAGE_NO_MEMORY},
        {SHORTAGE_DESCRIPTOR, SHORTAGE_NO_DESCRIPTORS},
        {SHORTAGE_LIMIT, SHORTAGE_LIMIT}};
    struct scene scene = {.address = address, .io_threads = io_threads};

    progress->nth = nth;
    progress->way = way;
    progress->what = what;
    relieved = gave_up = false;
    tries = 0;
    since = 0;
    alarm(STUCK);
    shortage_begin(nth < 0 ? SHORTAGE_NONE : kinds[what][way != ONCE], nth);
    play->run(&scene);
    if (way != TO_THE_END)
        shortage_end();
    close_all(&scene);
    shortage_end();
    alarm(0);
}

/* It crashes, or hangs. */
static void on_signal(int signal)
{
    static const char text[] = "a signal; this could not be had:\n";

    (void)!write(2, text, sizeof(text) - 1);
    shortage_where(2);
    _exit(signal);
}

/* Without those of cmocka, which go on where there is no going on. */
static void catch_signals(void)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGBUS,
                                  SIGABRT, SIGILL,  SIGTRAP};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], on_signal);
}

/* In the short form each part looks at others of the places. */
static int step_of(enum what what)
{
    if (full())
        return 1;
    if (what != MEMORY)
        return 5;
    return sanitized("address") || sanitized("thread") ? 47 : 19;
}

static bool goes_on(enum what what, long nth)
{
    return what == LIMIT ? nth < LIMIT_MOST : shortage_hits() > 0;
}

/* A thread that looks a name up closes what it has open for that in its own
 * time. */
static bool stay_open(int fds)
{
    int64_t until = now_ms() + SOON;

    while (count_descriptors() > fds) {
        if (now_ms() > until)
            return true;
        sleep_ms(1);
    }
    return false;
}

/* Play it with all that can be short from `first`, in steps.  More may stay
 * allocated after one time, such as what threads keep for the next; but not
 * after each. */
static void play_all(const struct play *play, const char *address,
                     int io_threads, enum what what)
{
    int step = step_of(what);
    long nth = (progress->part + (int)way * 5) % step, live, more = 0;
    int fds;

    live = shortage_live();
    fds = count_descriptors();
    do {
        long now;

        play_once(play, address, io_threads, what, nth);
        if (stay_open(fds))
            die(play->name, "descriptors stay open");
        now = shortage_live();
        more = now > live ? more + 1 : 0;
        live = now;
        if (more == LEAK)
            die(play->name, "memory is not given back");
        if (more == 0)
            nth += step;
    } while (more > 0 || goes_on(what, nth));
}

static bool is_group(const char *address)
{
    return strncmp(address, "epgm", 4) == 0;
}

static void play_here(const struct play *play, const char *address,
                      int io_threads)
{
    if (is_group(address) && !alone())
        _exit(77);
    catch_signals();
    for (int i = 0; i < 2; i++)
        play_once(play, address, io_threads, MEMORY, -1);
    for (way = ONCE; way < WAYS; way++) {
        if (!is_group(address)) /* openpgm ends the process then */
            play_all(play, address, io_threads, MEMORY);
        play_all(play, address, io_threads, DESCRIPTORS);
        if (way != ONCE)
            play_all(play, address, io_threads, LIMIT);
    }
}

/* One time, in a process where nothing was loaded before. */
static void play_cold(const struct play *play, const char *address,
                      int io_threads, enum what what, long nth)
{
    catch_signals();
    play_once(play, address, io_threads, what, nth);
    if (shortage_hits() == 0)
        _exit(77);
}

static int outcome_of(pid_t child, const char *name, const char *address,
                      int io_threads)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) &&
        (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77))
        return WEXITSTATUS(status);
    fail_msg("%s at %s with %d I/O threads, where %s %ld %s: %s %d", name,
             address, io_threads, what_names[progress->what], progress->nth,
             way_names[progress->way], WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return -1;
}

static void play_in_child(const struct play *play, const char *address,
                          int io_threads)
{
    char folder[] = "/tmp/weir-alloc-XXXXXX";
    pid_t child;
    int code;

    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        play_here(play, address, io_threads);
        exit(0); /* whoever looks for leaks does so now */
    }
    code = outcome_of(child, play->name, address, io_threads);
    assert_int_equal(rmdir(folder), 0); /* no files are left */
    if (code == 77)
        skip();
}

static void play_in_children(const struct play *play, const char *address,
                             enum what what)
{
    int step = what == MEMORY ? step_of(what) : 1, code = 0;

    for (long nth = 0; code == 0; nth += step) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            play_cold(play, address, 1, what, nth);
            exit(0);
        }
        code = outcome_of(child, play->name, address, 1);
    }
}

/* ---- the list ---- */

enum form { WARM, COLD, COLD_DESCRIPTORS };

struct part {
    struct play play;
    const char *address;
    int io_threads;
    enum form form;
};

static struct part parts[100];

static void test_part(void **state)
{
    const struct part *part = *state;

    if (!shortage_works())
        skip();
    progress->part = (int)(part - parts);
    if (part->form == WARM)
        play_in_child(&part->play, part->address, part->io_threads);
    else
        play_in_children(&part->play, part->address,
                         part->form == COLD_DESCRIPTORS ? DESCRIPTORS : MEMORY);
}

static const struct play plays[] = {
    {"push", push},
    {"push_back", push_back},
    {"plain", plain},
    {"many", many},
    {"pub", pub},
    {"xpub", xpub},
    {"xsub", xsub},
    {"request", request},
    {"route", route},
    {"ready", ready},
    {"rebind", rebind},
    {"device", device},
    {"forwarder", forwarder},
};
static const char *const addresses[] = {"inproc://alloc", "ipc://*",
                                        "tcp://127.0.0.1:*"};

static struct CMUnitTest tests[100];
static size_t n_parts;

static void add(struct play play, const char *address, int io_threads,
                enum form form)
{
    static const char *const forms[] = {"", " memory", " descriptors"};
    struct part *part = &parts[n_parts];
    char name[100];

    snprintf(name, sizeof(name), "%s %s%s %d", play.name, address, forms[form],
             io_threads);
    *part = (struct part){play, address, io_threads, form};
    tests[n_parts++] = (struct CMUnitTest){
        .name = strdup(name), .test_func = test_part, .initial_state = part};
}

static void add_all(void)
{
    add((struct play){"frames", frames}, "", 0, WARM);
    add((struct play){"open_all", open_all}, "", 0, WARM);
    add((struct play){"open_all", open_all}, "", 2, WARM);
    add((struct play){"observe", observe}, "ipc://*", 1, WARM);
    add((struct play){"observe", observe}, "tcp://127.0.0.1:*", 0, WARM);
    if (knows_localhost())
        add((struct play){"by_name", by_name}, "tcp://localhost", 1, WARM);
    add((struct play){"list_plugins", list_plugins}, "", 0, COLD);
    add((struct play){"list_plugins", list_plugins}, "", 0, COLD_DESCRIPTORS);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        add((struct play){"push", push}, addresses[i], 1, COLD);
        add((struct play){"push", push}, addresses[i], 1, COLD_DESCRIPTORS);
        for (size_t k = 0; k < sizeof(plays) / sizeof(plays[0]); k++) {
            add(plays[k], addresses[i], 0, WARM);
            add(plays[k], addresses[i], 1, WARM);
        }
    }
}

#ifdef WITH_PGM
static void add_group(void)
{
    add((struct play){"group", group}, "epgm://" ALONE_GROUP, 1, WARM);
}
#else
static void add_group(void)
{
    (void)group;
    print_message("not done: groups, which need the plugin transport_pgm\n");
}
#endif

/* With an argument: only the parts whose name has it. */
int main(int argc, char **argv)
{
    progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 99;
    add_all();
    add_group();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("alloc", tests, n_parts, NULL, NULL);
}
