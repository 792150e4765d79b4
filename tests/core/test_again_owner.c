/*
 * A send, or a receive, that is like the one before, by the thread whose own
 * the socket's lock is: it calls nothing, and whoever else wants the lock gets
 * it all the same.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "again.h"
#include "base/clock.h"
#include "pushpull.h"

enum {
    LONGEST = 300, /* octets */
    MESSAGES = 20000,
    REST = 5 /* messages that lie there */
};

static struct weir_sock *sock_of(weir_socket socket)
{
    return weir_shells_sock(socket.index);
}

static bool is_own(weir_socket socket)
{
    struct weir_biased *lock = &sock_of(socket)->lock;

    return weir_biased_owner_if_me(atomic_load(&lock->word)) != NULL;
}

/* Both locks are this thread's, and the next calls are like the last.  Where a
 * heavy fence is not to be had there are no owners. */
static void own(const char *url)
{
    if (!weir_fence_is_asymmetric())
        skip();
    pushpull_join(pull, push, url);
    for (int i = 0; !is_own(push) || !is_own(pull); i++) {
        assert_true(i < 100 * WEIR_BIASED_EARNED);
        assert_int_equal(weir_send(push, "texttext", 8, SOON), 0);
        pushpull_hear(pull, "texttext");
    }
    for (int i = 0; i < REST + 3; i++)
        assert_int_equal(weir_send(push, "texttext", 8, SOON), 0);
    for (int i = 0; i < 3; i++)
        pushpull_hear(pull, "texttext");
}

/* What own() leaves there. */
static void hear_rest(void)
{
    for (int i = 0; i < REST; i++)
        pushpull_hear(pull, "texttext");
}

/* Who is inside asserts nothing: the lock would stay. */
static bool begin(struct weir_again_stay *stay, weir_socket socket,
                  enum weir_wait what)
{
    return weir_again_begin(stay, socket, what) &&
           weir_again_holds(stay, socket);
}

static bool put(const char *text)
{
    struct weir_again_stay stay;
    bool waits = false, done;

    if (!begin(&stay, push, WEIR_WAIT_OUT))
        return false;
    done = weir_again_put(stay.sock, text, strlen(text), &waits);
    return weir_again_end(&stay) == 0 && done && !waits;
}

static bool copy(const char *text, size_t room)
{
    struct weir_again_stay stay;
    char data[ROOM];
    bool done;

    if (!begin(&stay, pull, WEIR_WAIT_IN))
        return false;
    done = weir_again_copy_short(stay.sock, data, &room);
    return weir_again_end(&stay) == 0 && done && room == strlen(text) &&
           memcmp(data, text, room) == 0;
}

static bool refill(weir_message *message)
{
    struct weir_again_stay stay;
    bool done;

    if (!begin(&stay, pull, WEIR_WAIT_IN))
        return false;
    done = weir_again_refill(stay.sock, message);
    return weir_again_end(&stay) == 0 && done;
}

/* ---- it is short ---- */

static void test_straight(void **state)
{
    weir_message message;

    (void)state;
    own("inproc://owner");
    assert_true(put("nextnext"));
    assert_true(copy("texttext", ROOM));
    weir_message_init(&message);
    assert_false(refill(&message)); /* it has nothing to go on from */
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    assert_true(refill(&message));
    assert_int_equal(weir_message_count(&message), 1);
    assert_memory_equal(weir_frame_data(weir_message_frame(&message, 0)),
                        "texttext", 8);
    weir_message_fini(&message);
    assert_true(is_own(push));
    assert_true(is_own(pull));
}

/* What a message refers to is counted, in whatever order they come and go. */
static void test_references(void **state)
{
    char large[100], data[100];
    weir_message kept, message;

    (void)state;
    own("inproc://owner");
    weir_message_init(&kept);
    weir_message_init(&message);
    hear_rest();
    for (int i = 0; i < 3000; i++) {
        memset(large, i & 0x7f, sizeof large);
        assert_int_equal(
            weir_send(push, large, i % 3 ? sizeof large : 20, SOON), 0);
        assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
        memset(data, i & 0x7f, sizeof data);
        assert_int_equal(weir_frame_size(weir_message_frame(&message, 0)),
                         i % 3 ? sizeof large : 20);
        assert_memory_equal(weir_frame_data(weir_message_frame(&message, 0)),
                            data,
                            weir_frame_size(weir_message_frame(&message, 0)));
        if (i % 7 == 0) {
            weir_message_fini(&kept);
            weir_message_move(&kept, &message);
        }
    }
    weir_message_fini(&kept);
    weir_message_fini(&message);
}

static void test_many_sizes(void **state)
{
    char data[LONGEST], came[LONGEST];

    (void)state;
    own("inproc://owner");
    hear_rest();
    for (int i = 0; i < 3000; i++) {
        size_t length = (size_t)i % sizeof data, size = sizeof came;

        memset(data, i & 0x7f, sizeof data);
        assert_int_equal(weir_send(push, data, length, SOON), 0);
        assert_int_equal(weir_recv(pull, came, &size, SOON), 0);
        assert_int_equal(size, length);
        assert_memory_equal(came, data, length);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    own("inproc://owner");
    assert_false(copy("texttext", 7));
    assert_true(copy("texttext", 8));
}

/* ---- the producer is looked after ---- */

static void *send_all(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < MESSAGES; i++)
        if (weir_send(push, &i, sizeof i, SOON) != 0)
            return NULL;
    return &push;
}

static uint64_t hear_into(void *data)
{
    uint64_t came = 0;
    size_t size = sizeof came;

    (void)data;
    assert_int_equal(weir_recv(pull, &came, &size, SOON), 0);
    return came;
}

static uint64_t hear_message(void *message)
{
    uint64_t came;

    assert_int_equal(weir_recv_message(pull, message, SOON), 0);
    memcpy(&came, weir_frame_data(weir_message_frame(message, 0)), sizeof came);
    return came;
}

/* It waits for room all the time. */
static void sends_all(const char *url, uint64_t (*hear)(void *message))
{
    weir_message message;
    pthread_t sender;
    void *done;

    assert_int_equal(weir_set(push, "send-mark", "20"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "20"), 0);
    pushpull_join(pull, push, url);
    assert_int_equal(pthread_create(&sender, NULL, send_all, NULL), 0);
    weir_message_init(&message);
    for (uint64_t i = 0; i < MESSAGES; i++)
        assert_int_equal(hear(&message), i);
    weir_message_fini(&message);
    assert_int_equal(pthread_join(sender, &done), 0);
    assert_non_null(done);
}

static void test_waiting_inproc(void **state)
{
    (void)state;
    sends_all("inproc://owner", hear_into);
}

static void test_waiting_tcp(void **state)
{
    (void)state;
    sends_all("tcp://127.0.0.1:*", hear_into);
}

static void test_waiting_messages(void **state)
{
    (void)state;
    sends_all("inproc://owner", hear_message);
}

/* ---- the consumer waits ---- */

static void *hear_one(void *arg)
{
    char data[ROOM];
    size_t size = sizeof data;

    (void)arg;
    if (weir_recv(pull, data, &size, SOON) != 0 || size != 8 ||
        memcmp(data, "wake up!", 8) != 0)
        return NULL;
    return &pull;
}

static void await_waiter(weir_socket socket)
{
    int64_t until = weir_deadline_in(SOON);

    while (!pushpull_is_asleep(socket) && weir_now() < until)
        weir_cpu_relax();
    assert_true(pushpull_is_asleep(socket));
}

static void test_wakes(void **state)
{
    struct weir_again_stay stay;
    bool waits = false, sent = false;
    pthread_t receiver;
    void *done;

    (void)state;
    own("inproc://owner");
    hear_rest();
    assert_int_equal(pthread_create(&receiver, NULL, hear_one, NULL), 0);
    await_waiter(pull);
    if (begin(&stay, push, WEIR_WAIT_OUT)) {
        sent = weir_again_put(stay.sock, "wake up!", 8, &waits);
        (void)weir_again_wake(stay.sock);
    }
    assert_true(sent);
    assert_true(waits);
    assert_int_equal(pthread_join(receiver, &done), 0);
    assert_non_null(done);
}

/* ---- somebody else wants the lock ---- */

struct guest {
    struct weir_sock *sock;
    _Atomic bool was_in;
};

static void *take_lock(void *arg)
{
    struct guest *guest = arg;

    weir_sock_lock(guest->sock);
    guest->was_in = true;
    weir_sock_unlock(guest->sock);
    return NULL;
}

/* Is inside, and somebody has asked: he has to wait until it is left. */
static bool is_asked(struct weir_again_stay *stay, weir_socket socket,
                     enum weir_wait what, struct guest *guest,
                     pthread_t *thread)
{
    int64_t until = weir_deadline_in(SOON);

    guest->sock = sock_of(socket);
    if (!begin(stay, socket, what) ||
        pthread_create(thread, NULL, take_lock, guest) != 0)
        return false;
    while (weir_again_holds(stay, socket) && weir_now() < until)
        weir_cpu_relax();
    return !weir_again_holds(stay, socket) && !guest->was_in;
}

static void part(struct guest *guest, pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(guest->was_in);
}

static void test_asked_at_the_end(void **state)
{
    struct guest guest = {.was_in = false};
    struct weir_again_stay stay;
    bool waits = true, asked, sent;
    pthread_t thread;

    (void)state;
    own("inproc://owner");
    asked = is_asked(&stay, push, WEIR_WAIT_OUT, &guest, &thread);
    sent = weir_again_put(stay.sock, "the last", 8, &waits);
    (void)weir_again_end(&stay);
    part(&guest, thread);
    assert_true(asked && sent && !waits);
    hear_rest();
    pushpull_hear(pull, "the last");
}

/* It goes on another way, or stands aside for the other thread. */
static void test_asked_at_the_beginning(void **state)
{
    struct guest guest = {.was_in = false};
    struct weir_again_stay stay;
    bool asked, came;
    pthread_t thread;
    char data[ROOM];
    size_t size = 8;

    (void)state;
    own("inproc://owner");
    asked = is_asked(&stay, pull, WEIR_WAIT_IN, &guest, &thread);
    came = weir_again_recv(pull, data, &size, stay.owner);
    part(&guest, thread);
    assert_true(asked);
    assert_int_equal(size, 8);
    assert_true(!came || memcmp(data, "texttext", 8) == 0);
    assert_false(is_own(pull));
    assert_int_equal(weir_send(push, "nextnext", 8, SOON), 0);
    for (int i = came; i < REST; i++)
        pushpull_hear(pull, "texttext");
    pushpull_hear(pull, "nextnext");
}

static void *take_often(void *arg)
{
    struct guest *guest = arg;

    while (!guest->was_in) {
        weir_sock_lock(sock_of(push));
        weir_sock_unlock(sock_of(push));
        weir_sock_lock(sock_of(pull));
        weir_sock_unlock(sock_of(pull));
    }
    return NULL;
}

/* All the time, at any point of all ways. */
static void test_asked_often(void **state)
{
    struct guest guest = {.was_in = false};
    weir_message message;
    pthread_t thread;

    (void)state;
    own("inproc://owner");
    hear_rest();
    weir_message_init(&message);
    assert_int_equal(pthread_create(&thread, NULL, take_often, &guest), 0);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        uint64_t came = i;

        assert_int_equal(weir_send(push, &i, sizeof i, SOON), 0);
        assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
        memcpy(&came, weir_frame_data(weir_message_frame(&message, 0)), 8);
        assert_int_equal(came, i);
    }
    guest.was_in = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    weir_message_fini(&message);
}

/* ---- whose it is not ---- */

static void test_old_handle(void **state)
{
    struct weir_again_stay stay;
    bool begun, holds, sent;
    weir_socket old = push;

    (void)state;
    own("inproc://owner");
    old.generation++;
    begun = weir_again_begin(&stay, old, WEIR_WAIT_OUT);
    holds = begun && weir_again_holds(&stay, old);
    sent = begun && weir_again_send(old, "texttext", 8, stay.owner);
    assert_true(begun && !holds && !sent);
    assert_int_equal(weir_send(old, "texttext", 8, SOON), -EBADF);
    assert_int_equal(weir_send(push, "texttext", 8, SOON), 0);
}

/* A child's only thread looks like its parent's that has forked. */
static void test_child(void **state)
{
    struct weir_again_stay stay;
    pid_t child;
    int status;

    (void)state;
    own("inproc://owner");
    child = fork();
    if (child == 0)
        _exit(weir_again_begin(&stay, push, WEIR_WAIT_OUT) ||
              weir_send(push, "texttext", 8, 0) != -WEIR_EFORK);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(weir_send(push, "texttext", 8, SOON), 0);
}

#define CASE(test) \
    cmocka_unit_test_setup_teardown(test, pushpull_begin, pushpull_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_straight),
        CASE(test_references),
        CASE(test_many_sizes),
        CASE(test_no_room),
        CASE(test_waiting_inproc),
        CASE(test_waiting_tcp),
        CASE(test_waiting_messages),
        CASE(test_wakes),
        CASE(test_asked_at_the_end),
        CASE(test_asked_at_the_beginning),
        CASE(test_asked_often),
        CASE(test_old_handle),
        CASE(test_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
