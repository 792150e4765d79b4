/*
 * A link whose connection takes a few octets at a time, and one that has to be
 * written to before it can be read.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum { ANSWER = 100, TAKES = 90, LEFT = 60000, ROUNDS = 20000 };

/* What the connection has taken: octets that count up, if all is well. */
static uint8_t next_octet;
static size_t takes;
static bool in_order;

static ssize_t take(void *self, const struct iovec *parts, int n)
{
    const uint8_t *octets = parts->iov_base;
    size_t some = parts->iov_len < takes ? parts->iov_len : takes;

    (void)self;
    (void)n;
    takes -= some;
    for (size_t i = 0; i < some; i++)
        in_order = octets[i] == next_octet++ && in_order;
    return some > 0 ? (ssize_t)some : -EAGAIN;
}

static const weir_stream_ops narrow = {
    .size = offsetof(weir_stream_ops, readv),
    .writev = take,
};

static void write_some(struct weir_link *link, size_t most)
{
    takes = most;
    atomic_store(&link->blocked, false);
    (void)weir_link_flush(link);
}

static int answer(struct weir_link *link)
{
    static uint8_t first;
    uint8_t data[ANSWER];

    for (int i = 0; i < ANSWER; i++)
        data[i] = first++;
    return weir_link_control(link, data, sizeof data);
}

/* Somebody asks on, and reads the answers slowly, so that some are left always.
 * Returns the memory that they took in the end. */
static size_t answer_all(struct weir_link *link)
{
    size_t left = 0, room;

    in_order = true;
    for (int i = 0; i < ROUNDS && answer(link) == 0; i++) {
        size_t some = left < LEFT ? TAKES : ANSWER;

        write_some(link, some);
        left += ANSWER - some;
    }
    room = link->control_room;
    write_some(link, left);
    return room;
}

/* The socket, locked, with the driver word of its only link held.  NULL: the
 * I/O thread has it all the time. */
static struct weir_pipe *hold(struct weir_sock **sock)
{
    int64_t until = weir_deadline_in(SOON);
    struct weir_pipe *pipe;

    do {
        assert_int_equal(weir_sock_get(pull, sock), 0);
        pipe = WEIR_CONTAINER(weir_list_first(&(*sock)->pipes),
                              struct weir_pipe, all);
        if (weir_link_hold(&pipe->link))
            return pipe;
        weir_sock_put(*sock);
    } while (weir_now() < until);
    return NULL;
}

/* Nothing fails while the lock is held, or closing would wait for ever. */
static void test_slow_reader_of_answers(void **state)
{
    struct weir_sock *sock;
    struct weir_pipe *pipe;
    size_t room, left;

    (void)state;
    pushpull_join(pull, push, "ipc://*");
    assert_int_equal(weir_wait_peers(pull, 1, SOON), 1);
    pipe = hold(&sock);
    assert_non_null(pipe);
    pipe->link.stream = &narrow;
    room = answer_all(&pipe->link);
    left = pipe->link.control_size;
    pipe->link.stream = NULL;
    weir_sock_let_go(sock, pipe);
    weir_sock_put(sock);
    assert_true(in_order);
    assert_int_equal(left, 0);
    assert_in_range(room, LEFT, 4 * LEFT);
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    pushpull_hear(pull, "text");
}

/* ---- who must write in order to read ---- */

static ssize_t take_none(void *self, const struct iovec *parts, int n)
{
    (void)self, (void)parts, (void)n;
    return -EAGAIN;
}

static unsigned want_room(void *self, unsigned wanted)
{
    (void)self, (void)wanted;
    return WEIR_WATCH_OUT;
}

static const weir_stream_ops reluctant = {
    .size = offsetof(weir_stream_ops, explain),
    .writev = take_none,
    .readv = take_none,
    .interest = want_room,
};

/* Is room reported?  That is done once for each time that it is asked for. */
static bool reports_room(struct weir_sock *sock, struct weir_pipe *pipe)
{
    struct weir_poller *poller =
        sock->has_set ? &sock->set : &sock->reactor->poller;
    uint64_t key =
        sock->has_set ? pipe->link.key : (uint64_t)(uintptr_t)&pipe->link.watch;
    struct weir_poller_event events[8];
    int n = weir_poller_wait(poller, events, 8, 0);
    bool reported = false;

    for (int i = 0; i < n; i++)
        if (events[i].key == key && (events[i].events & WEIR_POLLER_OUT))
            reported = true;
    return reported;
}

/* Room that was reported before the stream knew that it needs it is reported
 * again after: there was room all the time, so no edge would tell. */
static void test_room_again(void **state)
{
    struct weir_sock *sock;
    struct weir_pipe *pipe;
    bool before, between, after;

    (void)state;
    pushpull_join(pull, push, "ipc://*");
    assert_int_equal(weir_wait_peers(pull, 1, SOON), 1);
    pushpull_hold();
    pipe = hold(&sock);
    assert_non_null(pipe);
    pipe->link.stream = &reluctant;
    (void)weir_link_flush(&pipe->link);
    before = reports_room(sock, pipe);
    between = reports_room(sock, pipe);
    (void)weir_link_read(&pipe->link);
    after = reports_room(sock, pipe);
    pipe->link.stream = NULL;
    weir_sock_let_go(sock, pipe);
    weir_sock_put(sock);
    pushpull_let_go();
    assert_true(before);
    assert_false(between);
    assert_true(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slow_reader_of_answers,
                                        pushpull_begin, pushpull_end),
        cmocka_unit_test_setup_teardown(test_room_again, pushpull_begin,
                                        pushpull_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
