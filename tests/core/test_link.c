/*
 * A link whose connection takes a few octets at a time.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slow_reader_of_answers,
                                        pushpull_begin, pushpull_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
