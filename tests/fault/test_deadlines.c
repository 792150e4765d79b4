/*
 * test_deadlines.c - peers send without end: messages that another thread
 * receives, or commands that nobody sees.  Calls come back when they said they
 * would.
 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLOODS = 2,
    DEADLINE = 100, /* ms */
    MARGIN = 100,   /* ms that a call may take longer */
    TRIES = 20,     /* a busy machine may be late now and then */
    HANGS = 60000,  /* ms after which a call has no deadline at all */
    END = 600,      /* s for all of this */
    BATCH = 24576   /* octets written at once */
};

struct flood {
    weir_context context;
    weir_socket socket;
    char url[SOCKET_URL];
    _Atomic bool over;
    _Atomic uint64_t got;
    int fds[FLOODS];
    pthread_t writers[FLOODS], reader;
    bool reads;
    uint8_t batch[BATCH];
};

struct writer {
    struct flood *flood;
    int fd;
};

static struct writer writers[FLOODS];

static void *write_on(void *arg)
{
    struct writer *writer = arg;

    while (!atomic_load(&writer->flood->over))
        if (send(writer->fd, writer->flood->batch, BATCH, MSG_NOSIGNAL) < 0)
            break;
    return NULL;
}

static void *read_on(void *arg)
{
    struct flood *flood = arg;
    weir_message message;

    weir_message_init(&message);
    while (weir_recv_message(flood->socket, &message, -1) >= 0)
        atomic_fetch_add(&flood->got, 1);
    weir_message_fini(&message);
    return NULL;
}

/* Without I/O threads nobody else accepts the peers. */
static void *accept_peers(void *arg)
{
    struct flood *flood = arg;

    (void)weir_wait_peers(flood->socket, FLOODS, HANGS);
    return NULL;
}

static void connect_peers(struct flood *flood, const char *peer)
{
    pthread_t thread;

    pthread_create(&thread, NULL, accept_peers, flood);
    for (int i = 0; i < FLOODS; i++) {
        flood->fds[i] = raw_connect(flood->url);
        raw_handshake(flood->fds[i], 1, peer);
    }
    pthread_join(thread, NULL);
    wait_peers(flood->socket, FLOODS);
}

static void await_messages(struct flood *flood, uint64_t n)
{
    int64_t end = now_ms() + HANGS;

    while (atomic_load(&flood->got) < n) {
        assert_true(now_ms() < end);
        sleep_ms(1);
    }
}

static void fill_batch(struct flood *flood, const char *frame, size_t size)
{
    for (size_t i = 0; i + size <= BATCH; i += size)
        memcpy(flood->batch + i, frame, size);
}

/* Nobody reads what we send: all that can wait does.  Refused ten times, one
 * after the other, it is full; a pause of the machine's is one refusal. */
static void fill_output(weir_socket socket)
{
    static char data[65536];
    int refused = 0;

    while (refused < 10)
        if (weir_send(socket, data, sizeof(data), 10) == 0)
            refused = 0;
        else
            refused++;
}

/* With `reads` there are messages, and a thread that takes them; otherwise
 * messages for a SUB, and commands that mean nothing for others, which take
 * longer to read than to write. */
static void begin(struct flood *flood, const char *pattern, const char *peer,
                  bool reads, int threads)
{
    memset(flood, 0, sizeof(*flood));
    if (reads || strcmp(peer, "PUB") == 0)
        fill_batch(flood, "\0\6flood!", 8);
    else
        fill_batch(flood, "\4\1\0", 3);
    flood->context = new_context(threads);
    flood->socket = new_socket(flood->context, pattern);
    flood->reads = reads;
    if (strcmp(peer, "PUB") != 0)
        set_option(flood->socket, "send-mark", "10");
    bind_to(flood->socket, "tcp://127.0.0.1:*", flood->url);
    if (reads)
        pthread_create(&flood->reader, NULL, read_on, flood);
    connect_peers(flood, peer);
    if (strcmp(peer, "PUB") != 0)
        fill_output(flood->socket);
    for (int i = 0; i < FLOODS; i++) {
        writers[i] = (struct writer){flood, flood->fds[i]};
        pthread_create(&flood->writers[i], NULL, write_on, &writers[i]);
    }
    if (reads)
        await_messages(flood, 10000);
}

static void end_writers(struct flood *flood)
{
    atomic_store(&flood->over, true);
    for (int i = 0; i < FLOODS; i++) {
        (void)shutdown(flood->fds[i], SHUT_RDWR);
        pthread_join(flood->writers[i], NULL);
        close(flood->fds[i]);
    }
}

static void end(struct flood *flood)
{
    close_socket(flood->socket);
    if (flood->reads)
        pthread_join(flood->reader, NULL);
    end_writers(flood);
    close_context(flood->context);
}

/* ---- the calls ---- */

static int call_send(struct flood *flood)
{
    return weir_send(flood->socket, "", 1, DEADLINE);
}

static int call_send_many(struct flood *flood)
{
    weir_message messages[8];
    int r;

    for (int i = 0; i < 8; i++) {
        weir_message_init(&messages[i]);
        assert_true(weir_message_add(&messages[i], "", 1) >= 0);
    }
    r = weir_send_many(flood->socket, messages, 8, DEADLINE);
    for (int i = 0; i < 8; i++)
        weir_message_fini(&messages[i]);
    return r;
}

static int call_flush(struct flood *flood)
{
    return weir_flush(flood->socket, DEADLINE);
}

static int call_wait_peers(struct flood *flood)
{
    return weir_wait_peers(flood->socket, FLOODS + 1, DEADLINE);
}

static int call_next_event(struct flood *flood)
{
    weir_event event = {.size = sizeof(event)};
    int r;

    while ((r = weir_next_event(flood->socket, &event, 0)) == 0)
        ;
    return weir_next_event(flood->socket, &event, DEADLINE);
}

static int call_poll(struct flood *flood)
{
    weir_poll_item item = {.socket = flood->socket, .events = WEIR_POLL_OUT};
    int r = weir_poll(&item, 1, DEADLINE);

    return r == 0 ? -EAGAIN : r;
}

static int call_recv(struct flood *flood)
{
    char data[64];
    size_t size = sizeof(data);

    return weir_recv(flood->socket, data, &size, DEADLINE);
}

static int call_recv_many(struct flood *flood)
{
    weir_message messages[4];

    for (int i = 0; i < 4; i++)
        weir_message_init(&messages[i]);
    return weir_recv_many(flood->socket, messages, 4, DEADLINE);
}

struct call {
    const char *name;
    int (*run)(struct flood *flood);
};

/* Sanitizers make everything slow, and ten times so where other programs want
 * the processors too: then only a call that does not end is late.  While one is
 * in its call the peers go on sending. */
static bool is_late(int64_t took)
{
    bool slow = sanitized("thread") || sanitized("address");

    return took > DEADLINE + (slow ? HANGS : MARGIN);
}

/* It ends without success, neither early nor late. */
static void comes_back(struct flood *flood, const struct call *call)
{
    int64_t took = 0;

    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ms();
        int r = call->run(flood);

        took = now_ms() - start;
        if (r != -EAGAIN)
            fail_msg("%s: %s", call->name, weir_strerror(r));
        assert_true(took >= DEADLINE - 1);
        if (!is_late(took))
            return;
    }
    fail_msg("%s took %lld ms", call->name, (long long)took);
}

static const struct call senders[] = {
    {"weir_send", call_send},
    {"weir_send_many", call_send_many},
    {"weir_flush", call_flush},
    {"weir_wait_peers", call_wait_peers},
    {"weir_poll", call_poll},
    {"weir_next_event", call_next_event},
    {NULL, NULL},
};

static const struct call receivers[] = {
    {"weir_recv", call_recv},
    {"weir_recv_many", call_recv_many},
    {NULL, NULL},
};

static void calls_come_back(bool reads, int threads)
{
    struct flood flood;

    begin(&flood, "DEALER", "DEALER", reads, threads);
    for (const struct call *call = senders; call->name; call++)
        comes_back(&flood, call);
    end(&flood);
}

static void beside_a_receiver(void **state)
{
    (void)state;
    calls_come_back(true, 1);
}

static void beside_one_without_io_threads(void **state)
{
    (void)state;
    calls_come_back(true, 0);
}

static void under_commands(void **state)
{
    (void)state;
    calls_come_back(false, 1);
}

static void under_commands_without_io_threads(void **state)
{
    (void)state;
    calls_come_back(false, 0);
}

/* A subscriber that wants nothing of what comes. */
static void nothing_that_is_wanted(void **state)
{
    struct flood flood;

    (void)state;
    begin(&flood, "SUB", "PUB", false, 1);
    assert_int_equal(weir_subscribe(flood.socket, "other", 5), 0);
    for (const struct call *call = receivers; call->name; call++)
        comes_back(&flood, call);
    end(&flood);
}

/* It gives up what is unsent, and says how much. */
static void closing(void **state)
{
    struct flood flood;
    uint64_t unsent = 0;
    int64_t start, took;

    (void)state;
    begin(&flood, "DEALER", "DEALER", false, 1);
    start = now_ms();
    assert_int_equal(weir_close(flood.socket, DEADLINE, &unsent), -EAGAIN);
    took = now_ms() - start;
    assert_true(unsent > 0);
    assert_true(took >= DEADLINE - 1 && took < HANGS);
    end_writers(&flood);
    close_context(flood.context);
}

/* ---- many messages, one deadline ---- */

struct drip {
    weir_socket pull;
    _Atomic bool over;
};

static void *take_slowly(void *arg)
{
    struct drip *drip = arg;
    char data[8];

    while (!atomic_load(&drip->over)) {
        size_t size = sizeof(data);

        sleep_ms(60);
        (void)weir_recv(drip->pull, data, &size, 0);
    }
    return NULL;
}

/* There is room for one more every 60 ms. */
static void many_messages_have_one_deadline(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    struct drip drip = {.pull = new_socket(context, "PULL")};
    struct flood flood = {.socket = push};
    int64_t took = 0;
    pthread_t thread;

    (void)state;
    set_option(push, "send-mark", "1");
    set_option(drip.pull, "recv-mark", "1");
    assert_int_equal(weir_bind(drip.pull, "inproc://drip", NULL), 0);
    connect_to(push, "inproc://drip");
    wait_peers(push, 1);
    while (weir_send(push, "full", 4, 0) == 0)
        ;
    pthread_create(&thread, NULL, take_slowly, &drip);
    for (int i = 0; i < TRIES && (i == 0 || is_late(took)); i++) {
        int64_t start = now_ms();
        int n = call_send_many(&flood);

        took = now_ms() - start;
        assert_true(n == -EAGAIN || (n > 0 && n < 8));
    }
    assert_false(is_late(took));
    atomic_store(&drip.over, true);
    pthread_join(thread, NULL);
    close_socket(push);
    close_socket(drip.pull);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_a_receiver),
        cmocka_unit_test(beside_one_without_io_threads),
        cmocka_unit_test(under_commands),
        cmocka_unit_test(under_commands_without_io_threads),
        cmocka_unit_test(nothing_that_is_wanted),
        cmocka_unit_test(closing),
        cmocka_unit_test(many_messages_have_one_deadline),
    };

    alarm(END);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
