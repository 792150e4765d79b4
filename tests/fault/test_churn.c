/*
 * test_churn.c - peers connect, die and return by the thousand: nothing leaks,
 * and every message is delivered, returned or counted.
 */
#include "config.h"

#include "fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEERS = 1000, EACH = 3 };

static int peers(void)
{
    return full() ? PEERS * 10 : PEERS;
}

/* ---- peers that die ---- */

/* How a raw peer ends. */
enum end {
    JUST_CONNECTS,
    HALF_GREETING,
    HALF_READY,
    RESETS_IN_HANDSHAKE,
    ORDERLY,
    HALF_MESSAGE,
    HALF_FRAME,
    RESETS,
    ENDS
};

static void half_handshake(int fd, enum end end)
{
    uint8_t greeting[GREETING], ready[64];
    size_t size = make_ready(ready, "PUSH");

    make_greeting(greeting, 1, "NULL", false);
    if (end == JUST_CONNECTS)
        return;
    raw_write(fd, greeting, end == HALF_GREETING ? 20 : sizeof(greeting));
    if (end == HALF_READY)
        raw_write(fd, ready, size / 2);
}

static void live_and_die(int fd, enum end end)
{
    raw_handshake(fd, 1, "PUSH");
    for (int i = 0; i < EACH; i++) {
        raw_send(fd, RAW_MORE, "first", 5);
        raw_send(fd, 0, "second", 6);
    }
    if (end == HALF_MESSAGE)
        raw_send(fd, RAW_MORE, "first", 5);
    if (end == HALF_FRAME)
        raw_write(fd, "\0\24half", 6);
}

/* Returns how many messages must arrive. */
static int one_peer(const char *url, enum end end)
{
    int fd = raw_connect(url);

    assert_true(fd >= 0);
    if (end < ORDERLY)
        half_handshake(fd, end);
    else
        live_and_die(fd, end);
    if (end == RESETS || end == RESETS_IN_HANDSHAKE)
        raw_reset(fd);
    else
        close(fd);
    return end >= ORDERLY && end != RESETS ? EACH : 0;
}

static uint64_t receive_all(weir_socket socket, int patience)
{
    weir_message message;
    uint64_t n = 0;

    weir_message_init(&message);
    while (weir_recv_message(socket, &message, patience) >= 0) {
        assert_int_equal(weir_message_count(&message), 2);
        n++;
    }
    weir_message_fini(&message);
    return n;
}

/* Each was refused, or connected and lost.  A reset may come before we have
 * read the last of the handshake. */
static void await_all(weir_socket socket, uint64_t n)
{
    int64_t end = now_ms() + SOON;
    weir_stats stats;

    do {
        sleep_ms(1);
        stats = stats_of(socket);
    } while (stats.refused + stats.disconnects < n && now_ms() < end);
    assert_int_equal(stats.refused + stats.disconnects, n);
    assert_int_equal(stats.connects, stats.disconnects);
}

static void peers_die(const char *where)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    int before = count_descriptors(), n = peers();
    uint64_t must = 0, got = 0;
    char url[SOCKET_URL];
    weir_endpoint bound = bind_to(pull, where, url);
    int bound_descriptors = count_descriptors();
    weir_stats stats;

    for (int i = 0; i < n; i++) {
        must += (uint64_t)one_peer(url, (enum end)(i % ENDS));
        if (i % 64 == 63)
            got += receive_all(pull, 0);
    }
    await_all(pull, (uint64_t)n);
    got += receive_all(pull, 0);
    stats = stats_of(pull);
    assert_true(adds_up(&stats));
    assert_true(got >= must);
    assert_int_equal(stats.decoded, got);
    assert_int_equal(stats.delivered, got);
    assert_int_equal(stats.peers, 0);
    assert_true(stats.refused >= (uint64_t)(n / ENDS) * ORDERLY);
    assert_int_equal(count_descriptors(), bound_descriptors);
    weir_endpoint_close(bound, 0, NULL);
    assert_int_equal(count_descriptors(), before);
    close_socket(pull);
    close_context(context);
}

static void peers_die_on_tcp(void **state)
{
    (void)state;
    peers_die("tcp://127.0.0.1:*");
}

static void peers_die_on_ipc(void **state)
{
    (void)state;
    peers_die("ipc://*");
}

/* ---- a peer that dies while we send ---- */

static uint64_t read_some(int fd, int frames)
{
    uint64_t n = 0;
    uint8_t flags;

    while (frames-- > 0 && raw_frame(fd, &flags, NULL, 0, 100) >= 0)
        n += !(flags & (RAW_MORE | RAW_COMMAND));
    return n;
}

static void what_died_is_bounded(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    char url[SOCKET_URL], data[100] = "";
    int listener = raw_listen(url), rounds = full() ? 400 : 60;
    uint64_t accepted = 0, arrived = 0;
    weir_stats stats;

    (void)state;
    set_option(push, "reconnect", "1");
    set_option(push, "reconnect-max", "1");
    set_option(push, "send-mark", "500");
    connect_to(push, url);
    for (int i = 0; i < rounds; i++) {
        int fd = raw_accept(listener);

        raw_handshake(fd, 1, "PULL");
        for (int k = 0; k < 200; k++)
            accepted += weir_send(push, data, sizeof(data), 0) == 0;
        arrived += read_some(fd, i % 7 * 20);
        if (i & 1)
            raw_reset(fd);
        else
            close(fd);
        AWAIT(push, disconnects, (uint64_t)i + 1);
        stats = stats_of(push);
        assert_true(adds_up(&stats));
    }
    assert_int_equal(stats.accepted, accepted);
    assert_true(arrived <= stats.written);
    assert_true(stats.written - arrived <= stats.unconfirmed);
    assert_true(weir_close(push, 0, NULL) <= 0);
    close(listener);
    close_context(context);
}

/* ---- inproc: exact, whoever goes first ---- */

struct crowd {
    weir_context context;
    _Atomic bool over;
    _Atomic uint64_t accepted, kept;
};

/* Sockets that connect, send and close, as fast as they can. */
static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < peers() / 4; i++) {
        weir_socket push;
        uint64_t unsent = 0, n = 0;

        if (weir_open_named(&push, crowd->context, "PUSH") < 0)
            return NULL;
        (void)weir_connect(push, "inproc://churn", NULL);
        for (int k = 0; k < 5; k++)
            n += weir_send(push, "message", 7, 50) == 0;
        (void)weir_close(push, 1000, &unsent);
        atomic_fetch_add(&crowd->accepted, n);
        atomic_fetch_add(&crowd->kept, n - unsent);
    }
    return NULL;
}

static void inproc_is_exact_when_senders_go(void **state)
{
    struct crowd crowd = {.context = new_context(1)};
    weir_socket pull = new_socket(crowd.context, "PULL");
    pthread_t threads[4];
    uint64_t got = 0;
    weir_stats stats;

    (void)state;
    assert_int_equal(weir_bind(pull, "inproc://churn", NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, come_and_go, &crowd);
    for (int i = 0; i < peers(); i++) {
        char data[16];
        size_t size = sizeof(data);

        got += weir_recv(pull, data, &size, 1) == 0;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t size = 16; size == 16;) {
        char data[16];

        if (weir_recv(pull, data, &size, 0) == 0)
            got++, size = 16;
        else
            size = 0;
    }
    stats = stats_of(pull);
    assert_true(adds_up(&stats));
    assert_true(atomic_load(&crowd.accepted) > 0);
    assert_int_equal(stats.decoded, atomic_load(&crowd.kept));
    assert_int_equal(stats.delivered, got);
    assert_int_equal(got, atomic_load(&crowd.kept));
    close_socket(pull);
    close_context(crowd.context);
}

/* Senders that stay, whose readers come, read some, and go. */
struct sender {
    weir_socket socket;
    struct crowd *crowd;
    uint64_t accepted;
};

static void *keep_sending(void *arg)
{
    struct sender *sender = arg;

    while (!atomic_load(&sender->crowd->over))
        sender->accepted += weir_send(sender->socket, "message", 7, 2) == 0;
    return NULL;
}

static void read_and_go(weir_socket pull, uint64_t *decoded)
{
    weir_endpoint bound;
    weir_stats stats;
    char data[16];

    assert_int_equal(weir_bind(pull, "inproc://churn", &bound), 0);
    for (int i = 0; i < 20; i++) {
        size_t size = sizeof(data);

        (void)weir_recv(pull, data, &size, 1);
    }
    weir_endpoint_close(bound, 0, NULL);
    for (size_t size = sizeof(data); weir_recv(pull, data, &size, 0) == 0;
         size = sizeof(data))
        ;
    stats = stats_of(pull);
    assert_true(adds_up(&stats));
    *decoded += stats.decoded;
}

static void inproc_is_exact_when_readers_go(void **state)
{
    struct crowd crowd = {.context = new_context(1)};
    struct sender senders[3];
    pthread_t threads[3];
    uint64_t decoded = 0, written = 0, accepted = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        senders[i] = (struct sender){
            .socket = new_socket(crowd.context, "PUSH"), .crowd = &crowd};
        set_option(senders[i].socket, "send-mark", "100");
        connect_to(senders[i].socket, "inproc://churn");
        pthread_create(&threads[i], NULL, keep_sending, &senders[i]);
    }
    for (int i = 0; i < peers() / 5; i++) {
        weir_socket pull = new_socket(crowd.context, "PULL");

        set_option(pull, "recv-mark", "100");
        read_and_go(pull, &decoded);
        close_socket(pull);
    }
    atomic_store(&crowd.over, true);
    for (int i = 0; i < 3; i++) {
        weir_stats stats;

        pthread_join(threads[i], NULL);
        stats = stats_of(senders[i].socket);
        assert_true(adds_up(&stats));
        written += stats.written;
        accepted += senders[i].accepted;
        assert_int_equal(stats.accepted, senders[i].accepted);
        close_socket(senders[i].socket);
    }
    assert_true(accepted > 0 && decoded > 0);
    assert_int_equal(written, decoded);
    close_context(crowd.context);
}

/* ---- orderly close ---- */

static void orderly_close_loses_nothing(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    char url[SOCKET_URL], data[300] = "";
    int sockets = full() ? 1000 : 100;
    uint64_t got = 0;

    (void)state;
    bind_to(pull, "tcp://127.0.0.1:*", url);
    for (int i = 0; i < sockets; i++) {
        weir_socket push = new_socket(context, "PUSH");

        connect_to(push, url);
        for (int k = 0; k < 50; k++)
            assert_int_equal(weir_send(push, data, sizeof(data), SOON), 0);
        assert_int_equal(weir_close(push, SOON, NULL), 0);
        for (size_t size = sizeof(data); weir_recv(pull, data, &size, 0) == 0;
             size = sizeof(data))
            got++;
    }
    while (got < (uint64_t)sockets * 50) {
        size_t size = sizeof(data);

        assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
        got++;
    }
    close_socket(pull);
    close_context(context);
}

/* Who closes has not read all that its peer sent: a kernel that is left with
 * unread octets sends a reset, which takes back what was on its way. */
enum { BIG = 60000, MANY = 400, ANSWERS = 40 };

static void *close_slowly(void *arg)
{
    uint64_t unsent = 0;

    (void)weir_close(*(weir_socket *)arg, SOON, &unsent);
    return (void *)(uintptr_t)unsent;
}

static void unread_input_costs_no_output(void **state)
{
    weir_context context = new_context(1);
    weir_socket near = new_socket(context, "PAIR");
    weir_socket far = new_socket(context, "PAIR");
    char url[SOCKET_URL], *data = test_calloc(1, BIG);
    int sent = 0, got = 0;
    pthread_t thread;
    void *unsent;

    (void)state;
    set_option(near, "recv-mark", "2");
    set_option(far, "recv-mark", "2");
    bind_to(far, "tcp://127.0.0.1:*", url);
    connect_to(near, url);
    wait_peers(near, 1);
    wait_peers(far, 1);
    for (int i = 0; i < MANY; i++)
        (void)weir_send(far, data, BIG, 0);
    for (int i = 0; i < ANSWERS; i++)
        sent += weir_send(near, data, BIG, 0) == 0;
    sleep_ms(50);
    pthread_create(&thread, NULL, close_slowly, &near);
    for (size_t size = BIG; weir_recv(far, data, &size, 500) == 0; size = BIG)
        got++;
    pthread_join(thread, &unsent);
    test_free(data);
    assert_int_equal(got + (int)(uintptr_t)unsent, sent);
    close_socket(far);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_die_on_tcp),
        cmocka_unit_test(peers_die_on_ipc),
        cmocka_unit_test(what_died_is_bounded),
        cmocka_unit_test(inproc_is_exact_when_senders_go),
        cmocka_unit_test(inproc_is_exact_when_readers_go),
        cmocka_unit_test(orderly_close_loses_nothing),
        cmocka_unit_test(unread_input_costs_no_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
