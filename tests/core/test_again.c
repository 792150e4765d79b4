/*
 * A send, or a receive, that is like the one before: it is done in one step as
 * long as it is, and not when anything is otherwise.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "again.h"
#include "base/clock.h"
#include "pattern/fairqueue.h"
#include "pushpull.h"

/* Until the next one is like the last: three go the long way, one the straight
 * one. */
static void warm(void)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(weir_send(push, "warm", 4, SOON), 0);
    for (int i = 0; i < 4; i++)
        pushpull_hear(pull, "warm");
}

/* Messages lie there, and the next is received as the last was. */
static void fill(int n)
{
    for (int i = 0; i < n + 3; i++)
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    for (int i = 0; i < 3; i++)
        pushpull_hear(pull, "text");
}

static bool copy(const char *text)
{
    char data[ROOM];
    size_t size = sizeof data;

    if (!weir_again_recv(pull, data, &size, NULL))
        return false;
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    return true;
}

/* ---- it is ---- */

static int send_numbers(int from, int n)
{
    int again = 0;

    for (int i = from; i < from + n; i++) {
        char data[300];

        memset(data, i & 0x7f, sizeof data);
        if (weir_again_send(push, data, (size_t)i % sizeof data, NULL))
            again++;
        else
            assert_int_equal(
                weir_send(push, data, (size_t)i % sizeof data, SOON), 0);
    }
    return again;
}

static int receive_numbers(weir_message *message, int from, int n)
{
    int again = 0;

    for (int i = from; i < from + n; i++) {
        char data[300];

        memset(data, i & 0x7f, sizeof data);
        if (weir_again_recv_message(pull, message, NULL))
            again++;
        else
            assert_int_equal(weir_recv_message(pull, message, SOON), 0);
        assert_int_equal(weir_message_count(message), 1);
        assert_int_equal(weir_frame_size(weir_message_frame(message, 0)),
                         (size_t)i % sizeof data);
        assert_memory_equal(weir_frame_data(weir_message_frame(message, 0)),
                            data, (size_t)i % sizeof data);
    }
    return again;
}

static void test_inproc(void **state)
{
    int sent = 0, received = 0;
    weir_message message;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    weir_message_init(&message);
    for (int i = 0; i < 10000; i += 20) {
        sent += send_numbers(i, 20);
        received += receive_numbers(&message, i, 20);
    }
    assert_true(sent > 9000);
    assert_true(received > 8000);
    weir_message_fini(&message);
}

/* However slow this machine makes them, the next messages follow closely. */
static void look_seldom(weir_socket socket)
{
    struct weir_sock *sock = weir_shells_sock(socket.index);

    weir_biased_take(&sock->lock); /* nobody was here */
    sock->pace.look_every = 128;
    weir_biased_release(&sock->lock);
}

/* A stream: what is only appended leaves all the same, the last one too. */
static void test_stream(void **state)
{
    int64_t until = weir_deadline_in(SOON);
    int sent = 0, again = 0, received = 0;
    weir_message message;

    (void)state;
    assert_int_equal(weir_set(push, "pace", "throughput"), 0);
    pushpull_join(pull, push, "tcp://127.0.0.1:*");
    weir_message_init(&message);
    while ((again < 1000 || received < 1000) && weir_now() < until) {
        look_seldom(push);
        again += send_numbers(sent, 500);
        received += receive_numbers(&message, sent, 500);
        sent += 500;
    }
    assert_true(again >= 1000);
    assert_true(received >= 1000);
    weir_message_fini(&message);
}

/* The kernel has no room: what is put then leaves when it has, although nobody
 * sends any more. */
static void test_waits_for_room(void **state)
{
    int64_t until = weir_deadline_in(SOON);
    int sent = 0, again = 0;
    weir_message message;
    struct weir_sock *sock;
    bool waits = false;

    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "0"), 0);
    assert_int_equal(weir_set(push, "send-mark-bytes", "0"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "10"), 0);
    pushpull_join(pull, push, "tcp://127.0.0.1:*");
    while (!waits && weir_now() < until) {
        (void)send_numbers(sent, 100);
        sent += 100;
        weir_sock_get(push, &sock);
        waits = weir_list_empty(&sock->unflushed);
        weir_sock_put(sock);
        again = send_numbers(sent, 1000);
        sent += 1000;
        waits = waits && again > 900;
    }
    assert_true(waits);
    weir_message_init(&message);
    (void)receive_numbers(&message, 0, sent);
    weir_message_fini(&message);
}

/* Eight of one peer, eight of the other. */
static void test_fair(void **state)
{
    weir_socket second = pushpull_open(WEIR_PUSH);

    (void)state;
    pushpull_join(pull, push, "inproc://one");
    assert_int_equal(weir_connect(second, "inproc://one", NULL), 0);
    assert_true(weir_wait_peers(pull, 2, SOON) >= 2);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(weir_send(push, "a", 1, SOON), 0);
        assert_int_equal(weir_send(second, "b", 1, SOON), 0);
    }
    for (int i = 0; i < 80; i++)
        pushpull_hear(pull, i / 8 % 2 ? "b" : "a");
    assert_int_equal(weir_close(second, SOON, NULL), 0);
}

/* ---- it is not ---- */

static void test_somebody_was_here(void **state)
{
    struct weir_sock *sock;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    warm();
    assert_true(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_sock_get(push, &sock), 0);
    assert_false(
        weir_again_send(push, "x", 1, NULL)); /* nor while it is held */
    weir_sock_put(sock);
    assert_false(weir_again_send(push, "x", 1, NULL));
    pushpull_hear(pull, "x");
    fill(3);
    assert_true(copy("text"));
    assert_int_equal(weir_sock_get(pull, &sock), 0);
    weir_sock_put(sock);
    assert_false(copy("text"));
    pushpull_hear(pull, "text");
    assert_true(copy("text"));
}

static void test_handles(void **state)
{
    weir_socket never = {.index = 77777, .generation = 1}, old = push;
    weir_message message;

    (void)state;
    weir_message_init(&message);
    assert_false(weir_again_send(never, "x", 1, NULL));
    assert_false(weir_again_recv_message(never, &message, NULL));
    pushpull_join(pull, push, "inproc://again");
    warm();
    old.generation++;
    assert_false(weir_again_send(old, "x", 1, NULL));
    assert_true(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_close(push, SOON, NULL), 0);
    assert_false(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_send(push, "x", 1, SOON), -EBADF);
}

/* The child has the parent's sockets no more. */
static void test_fork(void **state)
{
    pid_t child;
    int status;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    warm();
    assert_true(weir_again_send(push, "x", 1, NULL));
    child = fork();
    if (child == 0)
        _exit(weir_again_send(push, "x", 1, NULL) ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(weir_again_send(push, "y", 1, NULL));
    pushpull_hear(pull, "x");
    pushpull_hear(pull, "y");
}

static void test_closing(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://again");
    warm();
    assert_int_equal(weir_context_close(context, 0), -EBUSY);
    assert_false(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_send(push, "x", 1, SOON), -WEIR_ECLOSING);
}

static void test_at_mark(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "50"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "50"), 0);
    pushpull_join(pull, push, "inproc://again");
    warm();
    while (weir_again_send(push, "x", 1, NULL) ||
           weir_send(push, "x", 1, WEIR_NOWAIT) == 0)
        n++;
    assert_in_range(n, 50, 100);
    assert_false(weir_again_send(push, "x", 1, NULL));
    while (n-- > 0)
        pushpull_hear(pull, "x");
    assert_int_equal(weir_send(push, "y", 1, SOON), 0);
    pushpull_hear(pull, "y");
}

/* Though there is room for it where the last one went. */
static void test_large(void **state)
{
    static char data[WEIR_QUEUE_BODY];
    const struct weir_sock *sock = weir_shells_sock(push.index);
    struct weir_pipe *pipe = NULL;

    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "0"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "0"), 0);
    pushpull_join(pull, push, "inproc://again");
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(weir_send(push, data, 100, SOON), 0);
        pipe = weir_again_pipe(weir_shells_sock(push.index), WEIR_WAIT_OUT);
        if (pipe && sock->again.limit - pipe->out->in.write >
                        2 * ROOM + WEIR_QUEUE_BODY)
            break;
    }
    assert_true(pipe && sock->again.limit - pipe->out->in.write >
                            WEIR_QUEUE_BODY + WEIR_QUEUE_HEAD);
    assert_false(weir_again_send(push, data, sizeof data, NULL));
    assert_true(weir_again_send(push, data, sizeof data - 1, NULL));
}

static void test_second_peer(void **state)
{
    weir_socket second = pushpull_open(WEIR_PULL);

    (void)state;
    pushpull_join(pull, push, "inproc://one");
    warm();
    assert_true(weir_again_send(push, "1", 1, NULL));
    pushpull_join(second, push, "inproc://two");
    assert_false(weir_again_send(push, "2", 1, NULL));
    for (int i = 0; i < 6; i++)
        assert_int_equal(weir_send(push, "2", 1, SOON), 0);
    assert_false(weir_again_send(push, "3", 1, NULL)); /* they take turns */
    pushpull_hear(pull, "1");
    for (int i = 0; i < 3; i++)
        pushpull_hear(second, "2");
    for (int i = 0; i < 3; i++)
        pushpull_hear(pull, "2");
    assert_int_equal(weir_close(second, SOON, NULL), 0);
}

static void test_nothing_there(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://again");
    fill(1);
    assert_true(copy("text"));
    assert_false(copy("text"));
    assert_int_equal(weir_send(push, "next", 4, SOON), 0);
    pushpull_hear(pull, "next");
}

static void test_many_frames(void **state)
{
    weir_message message;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    weir_message_init(&message);
    for (int i = 0; i < 3; i++)
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    assert_int_equal(weir_message_add(&message, "a", 1), 0);
    assert_int_equal(weir_message_add(&message, "b", 1), 0);
    assert_int_equal(weir_send_message(push, &message, SOON), 0);
    for (int i = 0; i < 3; i++)
        pushpull_hear(pull, "text");
    assert_false(weir_again_recv_message(pull, &message, NULL));
    assert_int_equal(weir_recv_message(pull, &message, SOON), 0);
    assert_int_equal(weir_message_count(&message), 2);
    weir_message_fini(&message);
}

static void test_no_room(void **state)
{
    char data[ROOM];
    size_t size = 3;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    fill(2);
    assert_false(weir_again_recv(pull, data, &size, NULL));
    assert_int_equal(size, 3);
    assert_int_equal(weir_recv(pull, data, &size, SOON), -EMSGSIZE);
    assert_int_equal(size, 4);
    assert_false(copy("text")); /* that one is held, and comes first */
    pushpull_hear(pull, "text");
    pushpull_hear(pull, "text");
}

/* Who watches a descriptor is told of what is put. */
static void test_watched(void **state)
{
    (void)state;
    pushpull_join(pull, push, "inproc://again");
    fill(2);
    assert_true(copy("text"));
    assert_true(weir_readable_fd(pull) >= 0);
    pushpull_hear(pull, "text");
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    pushpull_hear(pull, "text");
    assert_false(copy("text"));
    pushpull_hear(pull, "text");
}

/* ---- one thing is otherwise, and no more than that ---- */

static struct weir_pipe *pipe_of(weir_socket socket, enum weir_wait what)
{
    struct weir_pipe *pipe =
        weir_again_pipe(weir_shells_sock(socket.index), what);

    assert_non_null(pipe);
    return pipe;
}

/* Up to the last octet that is known to have room. */
static void test_limit(void **state)
{
    static char data[WEIR_QUEUE_BODY];
    const struct weir_sock *sock = weir_shells_sock(push.index);
    const struct weir_queue_in *in;
    const uint8_t *write;
    size_t most;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    warm();
    in = &pipe_of(push, WEIR_WAIT_OUT)->out->in;
    write = in->write;
    most = (size_t)(sock->again.limit - write) - WEIR_QUEUE_HEAD;
    assert_in_range(most, 1, sizeof data - 2);
    assert_false(weir_again_send(push, data, most + 1, NULL));
    assert_ptr_equal(in->write, write);
    (void)pipe_of(push, WEIR_WAIT_OUT);
    assert_true(weir_again_send(push, data, most, NULL));
}

/* There would be room for many. */
static void test_message_credit(void **state)
{
    const struct weir_sock *sock = weir_shells_sock(push.index);
    const struct weir_queue_in *in;

    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "20"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "20"), 0);
    pushpull_join(pull, push, "inproc://again");
    warm();
    in = &pipe_of(push, WEIR_WAIT_OUT)->out->in;
    while (in->put < in->message_credit)
        assert_true(weir_again_send(push, "x", 1, NULL));
    assert_true(sock->again.limit - in->write > 1000);
    assert_false(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(in->put, in->message_credit);
}

static void test_octet_credit(void **state)
{
    struct weir_queue *queue;
    char data[100] = {0};
    int n = 0;

    (void)state;
    assert_int_equal(weir_set(push, "send-mark-bytes", "1000"), 0);
    assert_int_equal(weir_set(pull, "recv-mark-bytes", "1000"), 0);
    pushpull_join(pull, push, "inproc://again");
    warm();
    queue = pipe_of(push, WEIR_WAIT_OUT)->out;
    while (weir_again_send(push, data, sizeof data, NULL)) {
        n++;
        assert_true(weir_queue_position(queue) <= queue->in.octet_credit);
    }
    assert_in_range(n, 1, 20);
}

/* The I/O thread stands still, so all of it stays unflushed. */
static void begin_stream(void)
{
    struct weir_sock *sock = weir_shells_sock(push.index);
    int64_t until = weir_deadline_in(SOON);

    assert_int_equal(weir_set(push, "pace", "throughput"), 0);
    pushpull_join(pull, push, "tcp://127.0.0.1:*");
    pushpull_hold();
    while ((!weir_again_send(push, "x", 1, NULL) ||
            weir_list_empty(&sock->unflushed)) &&
           weir_now() < until) {
        assert_int_equal(weir_send(push, "x", 1, SOON), 0);
        look_seldom(push);
    }
    assert_false(weir_list_empty(&sock->unflushed));
    assert_true(sock->pace.look_every > 3);
    sock->pace.since_look = 0;
    assert_true(weir_again_send(push, "x", 1, NULL));
}

static void test_time_to_look(void **state)
{
    struct weir_pacing *pace = &weir_shells_sock(push.index)->pace;

    (void)state;
    begin_stream();
    pace->since_look = pace->look_every;
    assert_false(weir_again_send(push, "x", 1, NULL));
    (void)pipe_of(push, WEIR_WAIT_OUT);
    pace->since_look = 0;
    assert_true(weir_again_send(push, "x", 1, NULL));
}

/* Nobody would flush the last of them. */
static void test_no_tick(void **state)
{
    struct weir_tick *tick = &weir_shells_sock(push.index)->tick;

    (void)state;
    begin_stream();
    assert_true(atomic_exchange(&tick->wanted, false));
    assert_false(weir_again_send(push, "x", 1, NULL));
    (void)pipe_of(push, WEIR_WAIT_OUT);
    atomic_store(&tick->wanted, true);
    assert_true(weir_again_send(push, "x", 1, NULL));
}

/* What may be appended unseen ends where the batch does. */
static void test_batch_is_full(void **state)
{
    const struct weir_sock *sock = weir_shells_sock(push.index);
    char data[100] = {0};
    int n = 0;

    (void)state;
    begin_stream();
    for (int i = 0; i < 3 * WEIR_QUEUE_BATCH / (int)sizeof data; i++) {
        struct weir_pipe *pipe =
            weir_again_pipe(weir_shells_sock(push.index), WEIR_WAIT_OUT);

        if (pipe && !weir_list_empty(&sock->unflushed)) {
            n++;
            assert_true(
                weir_queue_pending(pipe->out) +
                    (uint64_t)(sock->again.limit - pipe->out->in.write) <=
                WEIR_QUEUE_BATCH);
        }
        if (!weir_again_send(push, data, sizeof data, NULL))
            assert_int_equal(weir_send(push, data, sizeof data, SOON), 0);
    }
    assert_true(n > 0);
}

/* A link is to be read, and nobody was asked to. */
static void leave_input(struct weir_sock *sock, bool leaves)
{
    struct weir_pipe *pipe =
        WEIR_CONTAINER(weir_list_first(&sock->pipes), struct weir_pipe, all);

    if (leaves)
        weir_list_append(&sock->readable, &pipe->drive);
    else
        weir_list_remove(&pipe->drive);
    assert_int_equal(weir_sock_leaves_input(sock), leaves);
}

static void test_input_is_left(void **state)
{
    struct weir_sock *sender = weir_shells_sock(push.index);
    struct weir_sock *receiver = weir_shells_sock(pull.index);
    bool sender_ticks, receiver_ticks;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    pushpull_hold();
    sender_ticks = atomic_exchange(&sender->tick.wanted, false);
    receiver_ticks = atomic_exchange(&receiver->tick.wanted, false);
    fill(2);
    leave_input(sender, true);
    leave_input(receiver, true);
    assert_false(weir_again_send(push, "text", 4, NULL));
    assert_false(copy("text"));
    leave_input(sender, false);
    leave_input(receiver, false);
    assert_true(weir_again_send(push, "text", 4, NULL));
    assert_true(copy("text"));
    atomic_store(&sender->tick.wanted, sender_ticks);
    atomic_store(&receiver->tick.wanted, receiver_ticks);
}

static void test_quota(void **state)
{
    struct weir_sock *sock = weir_shells_sock(pull.index);

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    fill(4);
    assert_true(sock->in_quota > WEIR_FAIRQUEUE_QUOTA); /* nobody else waits */
    sock->in_quota = 1;
    assert_true(copy("text"));
    assert_false(copy("text"));
    (void)pipe_of(pull, WEIR_WAIT_IN);
    pushpull_hear(pull, "text");
}

static void test_peer_parts(void **state)
{
    (void)state;
    pushpull_join(push, pull, "inproc://again");
    warm();
    assert_true(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_close(pull, 0, NULL), 0);
    assert_false(weir_again_send(push, "x", 1, NULL));
    assert_int_equal(weir_send(push, "x", 1, WEIR_NOWAIT), -EAGAIN);
}

static void test_second_sender(void **state)
{
    weir_socket second = pushpull_open(WEIR_PUSH);

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    fill(4);
    assert_true(copy("text"));
    assert_int_equal(weir_connect(second, "inproc://again", NULL), 0);
    assert_true(weir_wait_peers(pull, 2, SOON) >= 2);
    assert_int_equal(weir_send(second, "text", 4, SOON), 0);
    assert_false(copy("text"));
    pushpull_hear(pull, "text");
    assert_true(weir_shells_sock(pull.index)->in_quota <= WEIR_FAIRQUEUE_QUOTA);
    for (int i = 0; i < 3; i++)
        pushpull_hear(pull, "text");
    assert_int_equal(weir_close(second, SOON, NULL), 0);
}

/* It came while the lock was held, so nobody else delivers it. */
static void test_mail(void **state)
{
    struct weir_sock *sock = weir_shells_sock(push.index);
    bool mail;

    (void)state;
    pushpull_join(pull, push, "inproc://again");
    warm();
    weir_biased_take(&sock->lock);
    weir_pipe_post(weir_again_pipe(sock, WEIR_WAIT_OUT), WEIR_MAIL_ROOM);
    mail = weir_sock_has_mail(sock);
    weir_again_leave(sock);
    assert_true(mail);
    assert_false(weir_sock_has_mail(sock));
    assert_null(weir_again_pipe(sock, WEIR_WAIT_OUT));
    assert_false(weir_again_send(push, "x", 1, NULL));
}

/* ---- while others are here ---- */

/* Called between this thread's release of a lock and its next look at the
 * mail. */
static _Thread_local void (*after_release)(struct weir_sock *sock);

void __real_weir_wait_release(struct weir_sock *sock);
void __wrap_weir_wait_release(struct weir_sock *sock);

void __wrap_weir_wait_release(struct weir_sock *sock)
{
    void (*then)(struct weir_sock * sock) = after_release;

    __real_weir_wait_release(sock);
    after_release = NULL;
    if (then)
        then(sock);
}

/* Somebody sends, and somebody else's peer parts, but has not said so yet. */
static void send_and_part(struct weir_sock *sock)
{
    struct weir_list *node = weir_list_first(&sock->out_turn);

    for (int i = 0; i < 4; i++)
        assert_int_equal(weir_send(push, "x", 1, SOON), 0);
    assert_non_null(weir_again_pipe(sock, WEIR_WAIT_OUT));
    weir_pipe_post(WEIR_CONTAINER(node, struct weir_pipe, out_turn),
                   WEIR_MAIL_PARTED);
}

/* Who delivers mail takes the lock once more for more of it: that is somebody
 * too. */
static void test_mail_again(void **state)
{
    struct weir_sock *sock;

    (void)state;
    pushpull_join(push, pull, "inproc://again");
    warm();
    assert_int_equal(weir_sock_get(push, &sock), 0);
    weir_pipe_post(WEIR_CONTAINER(weir_list_first(&sock->out_turn),
                                  struct weir_pipe, out_turn),
                   WEIR_MAIL_ROOM);
    after_release = send_and_part;
    weir_sock_put(sock);
    assert_null(after_release);
    assert_null(weir_again_pipe(sock, WEIR_WAIT_OUT));
    assert_false(weir_again_send(push, "y", 1, NULL));
}

/* A link that was paused at the mark is to be read again, by whoever: we may
 * be away next. */
static void test_room_for_a_link(void **state)
{
    static char data[2000];
    weir_context own;
    struct weir_sock *sock;
    int sent = 0, again = 0;

    (void)state;
    assert_int_equal(weir_context_open(&own, 1), 0);
    assert_int_equal(weir_close(push, 0, NULL), 0);
    assert_int_equal(weir_open(&push, own, WEIR_PUSH), 0);
    assert_int_equal(weir_set(push, "send-mark", "100"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "100"), 0);
    pushpull_join(pull, push, "tcp://127.0.0.1:*");
    while (weir_send(push, data, sizeof data, 50) == 0)
        sent++;
    for (int i = 0; i < sent; i++) {
        size_t size = sizeof data;
        bool due;

        if (weir_again_recv(pull, data, &size, NULL))
            again++;
        else
            assert_int_equal(weir_recv(pull, data, &size, SOON), 0);
        sock = weir_shells_sock(pull.index);
        weir_biased_take(&sock->lock); /* nobody was here */
        due = weir_sock_leaves_input(sock);
        weir_biased_release(&sock->lock);
        assert_false(due);
    }
    assert_true(again > 50);
    assert_int_equal(weir_close(push, 0, NULL), 0);
    assert_int_equal(weir_context_close(own, SOON), 0);
}

struct crowd {
    weir_socket stream; /* the peer that stays */
    _Atomic bool over;
    _Atomic int came;
};

static void *receive_all(void *arg)
{
    struct crowd *crowd = arg;
    char data[ROOM];

    while (!crowd->over) {
        size_t size = sizeof data;

        if (weir_recv(crowd->stream, data, &size, 10) == 0)
            crowd->came++;
    }
    return NULL;
}

static void come_and_go(int messages)
{
    weir_socket peer = pushpull_open(WEIR_PULL);
    char data[ROOM];

    assert_int_equal(weir_connect(peer, "inproc://crowd", NULL), 0);
    (void)weir_wait_peers(peer, 1, 100);
    for (int i = 0; i < messages; i++) {
        size_t size = sizeof data;

        (void)weir_recv(peer, data, &size, 1);
    }
    assert_int_equal(weir_close(peer, 0, NULL), 0);
}

static void *send_all(void *arg)
{
    struct crowd *crowd = arg;
    char data[200] = {0};

    while (!crowd->over)
        (void)weir_send(push, data, sizeof data, 10);
    return NULL;
}

/* Peers part while a stream is flushed, without the lock. */
static void test_crowd(void **state)
{
    struct crowd crowd = {.stream = pull};
    pthread_t sender, receiver;

    (void)state;
    assert_int_equal(weir_set(push, "pace", "throughput"), 0);
    pushpull_join(pull, push, "tcp://127.0.0.1:*");
    assert_int_equal(weir_bind(push, "inproc://crowd", NULL), 0);
    assert_int_equal(pthread_create(&sender, NULL, send_all, &crowd), 0);
    assert_int_equal(pthread_create(&receiver, NULL, receive_all, &crowd), 0);
    for (int i = 0; i < 300; i++)
        come_and_go(i % 20);
    crowd.over = true;
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(pthread_join(receiver, NULL), 0);
    assert_true(crowd.came > 0);
}

/* ---- who wants only some ---- */

/* Receive that many, which begin with this octet; how many of them so. */
static int receive_topic(weir_socket sub, char topic, int n)
{
    int again = 0;

    for (int i = 0; i < n; i++) {
        char data[ROOM];
        size_t size = sizeof data;

        if (weir_again_recv(sub, data, &size, NULL))
            again++;
        else
            assert_int_equal(weir_recv(sub, data, &size, SOON), 0);
        assert_int_equal(size, 2);
        assert_int_equal(data[0], topic);
    }
    return again;
}

/* A publisher, and who subscribes to two topics. */
struct readership {
    weir_socket pub, sub;
};

static struct readership subscribe(const char *one, const char *two)
{
    struct readership all = {pushpull_open(WEIR_PUB), pushpull_open(WEIR_SUB)};

    assert_int_equal(weir_subscribe(all.sub, one, strlen(one)), 0);
    assert_int_equal(weir_subscribe(all.sub, two, strlen(two)), 0);
    pushpull_join(all.sub, all.pub, "inproc://topics");
    return all;
}

static void part(struct readership *all)
{
    assert_int_equal(weir_close(all->pub, SOON, NULL), 0);
    assert_int_equal(weir_close(all->sub, SOON, NULL), 0);
}

/* What is wanted is looked up for each message; what is not, any more, is
 * passed by on the long way, which counts it. */
static void test_topics(void **state)
{
    struct readership all = subscribe("a", "b");
    weir_socket pub = all.pub, sub = all.sub;
    struct weir_sock *sock = weir_shells_sock(sub.index);
    weir_stats stats = {.size = sizeof stats};
    char data[ROOM];
    size_t size = sizeof data;

    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(weir_send(pub, i % 4 == 3 ? "b1" : "a1", 2, SOON), 0);
    assert_int_equal(weir_unsubscribe(sub, "b", 1), 0);
    assert_true(receive_topic(sub, 'a', 149) > 40);
    assert_null(weir_again_pipe(sock, WEIR_WAIT_IN));
    assert_non_null(weir_again_choosy(sock));
    assert_int_equal(receive_topic(sub, 'a', 1), 1);
    assert_false(weir_again_recv(sub, data, &size, NULL));
    assert_int_equal(weir_recv(sub, data, &size, 0), -EAGAIN);
    assert_int_equal(weir_socket_stats(sub, &stats), 0);
    assert_int_equal(stats.recv_dropped[WEIR_DROP_UNWANTED], 50);
    part(&all);
}

/* The topic of the next message of 16 octets; 0: there is none. */
static char topic_of_next(weir_socket sub, bool whole)
{
    weir_message message;
    char data[16] = {0};
    size_t size = sizeof data;
    int r;

    if (!whole) {
        r = weir_recv(sub, data, &size, 0);
        return r < 0 ? 0 : data[0];
    }
    weir_message_init(&message);
    r = weir_recv_message(sub, &message, 0);
    if (r >= 0)
        data[0] =
            *(const char *)weir_frame_data(weir_message_frame(&message, 0));
    weir_message_fini(&message);
    return data[0];
}

/* As applications do it, so often that the lock is the receiver's own, and
 * what is wanted comes in runs. */
static void check_runs_of_topics(bool whole)
{
    enum { RUN = 8, N = 960, FIRST = 480 };
    struct readership all = subscribe("a", "b");
    weir_socket pub = all.pub, sub = all.sub;
    weir_stats stats = {.size = sizeof stats};

    for (int i = 0; i < N; i++)
        assert_int_equal(
            weir_send(pub, i / RUN % 2 ? "b, of 16 octets" : "a, of 16 octets",
                      16, SOON),
            0);
    for (int i = 0; i < FIRST; i++)
        assert_int_equal(topic_of_next(sub, whole), i / RUN % 2 ? 'b' : 'a');
    assert_int_equal(weir_unsubscribe(sub, "b", 1), 0);
    for (int i = FIRST; i < N; i += 2)
        assert_int_equal(topic_of_next(sub, whole), 'a');
    assert_int_equal(topic_of_next(sub, whole), 0);
    assert_int_equal(weir_socket_stats(sub, &stats), 0);
    assert_int_equal(stats.recv_dropped[WEIR_DROP_UNWANTED], (N - FIRST) / 2);
    part(&all);
}

static void test_runs_of_topics(void **state)
{
    (void)state;
    check_runs_of_topics(false);
    check_runs_of_topics(true);
}

static void publish_many(weir_socket pub)
{
    for (int i = 0; i < 300; i++)
        assert_int_equal(weir_send(pub, i < 299 ? "a1" : "b1", 2, SOON), 0);
}

/* Who wants everything is not asked, as on the way without a call, until the
 * subscription ends. */
static void test_all_topics(void **state)
{
    struct readership all = subscribe("", "b");
    weir_socket pub = all.pub, sub = all.sub;
    struct weir_sock *sock = weir_shells_sock(sub.index);
    char data[ROOM];
    size_t size = sizeof data;

    (void)state;
    publish_many(pub);
    assert_true(receive_topic(sub, 'a', 100) > 40);
    assert_non_null(weir_again_pipe(sock, WEIR_WAIT_IN));
    assert_null(weir_again_choosy(sock));
    assert_int_equal(weir_set(sub, "invert", "1"), 0);
    assert_null(weir_again_pipe(sock, WEIR_WAIT_IN));
    assert_int_equal(weir_recv(sub, data, &size, 0), -EAGAIN);
    publish_many(pub);
    assert_int_equal(weir_set(sub, "invert", "0"), 0);
    assert_true(receive_topic(sub, 'a', 100) > 40);
    assert_int_equal(weir_unsubscribe(sub, "", 0), 0);
    assert_null(weir_again_pipe(sock, WEIR_WAIT_IN));
    assert_int_equal(receive_topic(sub, 'b', 1), 0);
    part(&all);
}

#define CASE(test) \
    cmocka_unit_test_setup_teardown(test, pushpull_begin, pushpull_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_inproc),
        CASE(test_stream),
        CASE(test_waits_for_room),
        CASE(test_fair),
        CASE(test_somebody_was_here),
        CASE(test_handles),
        CASE(test_fork),
        CASE(test_closing),
        CASE(test_at_mark),
        CASE(test_large),
        CASE(test_second_peer),
        CASE(test_nothing_there),
        CASE(test_many_frames),
        CASE(test_no_room),
        CASE(test_watched),
        CASE(test_limit),
        CASE(test_message_credit),
        CASE(test_octet_credit),
        CASE(test_time_to_look),
        CASE(test_no_tick),
        CASE(test_batch_is_full),
        CASE(test_input_is_left),
        CASE(test_quota),
        CASE(test_peer_parts),
        CASE(test_second_sender),
        CASE(test_mail),
        CASE(test_mail_again),
        CASE(test_room_for_a_link),
        CASE(test_crowd),
        CASE(test_topics),
        CASE(test_runs_of_topics),
        CASE(test_all_topics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
