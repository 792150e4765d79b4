/*
 * What other threads post to a socket, delivered by who gives up its lock.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "pipe.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"
#include "splice.h"

enum { DELIVERIES = 64 }; /* of mail, by one call */

static weir_socket pub, sub;
static weir_endpoint binder, dialer;

static void join(void)
{
    assert_int_equal(weir_context_open(&context, 1), 0);
    assert_int_equal(weir_open(&pub, context, WEIR_PUB), 0);
    assert_int_equal(weir_open(&sub, context, WEIR_SUB), 0);
    assert_int_equal(weir_bind(pub, "inproc://mail", &binder), 0);
    assert_int_equal(weir_connect(sub, "inproc://mail", &dialer), 0);
    assert_int_equal(weir_wait_peers(sub, 1, SOON), 1);
}

static void end(void)
{
    assert_int_equal(weir_close(sub, SOON, NULL), 0);
    assert_int_equal(weir_close(pub, SOON, NULL), 0);
    assert_int_equal(weir_context_close(context, SOON), 0);
}

/* A subscription has come, and the subscriber has gone, when the publisher's
 * endpoint is closed: the pipe goes with the first of the two news. */
static void test_goes_while_told(void **state)
{
    struct weir_sock *sock;
    struct weir_pipe *pipe;

    (void)state;
    join();
    sock = weir_shells_sock(pub.index);
    weir_sock_lock(sock);
    assert_int_equal(weir_subscribe(sub, "x", 1), 0);
    assert_int_equal(weir_endpoint_close(dialer, SOON, NULL), 0);
    pipe = WEIR_CONTAINER(weir_list_first(&sock->pipes), struct weir_pipe, all);
    assert_int_equal(atomic_load(&pipe->mail),
                     WEIR_MAIL_READABLE | WEIR_MAIL_PARTED);
    weir_splice_part(pipe); /* as an endpoint does that is closed */
    pipe->dying = true;
    weir_sock_down(sock, pipe);
    assert_true(weir_pipe_ready(pipe));
    weir_sock_retire(sock, pipe, false);
    weir_sock_unlock(sock);
    weir_sock_lock(sock);
    assert_null(weir_list_first(&sock->pipes));
    weir_sock_unlock(sock);
    end();
}

/* ---- as fast as it is delivered ---- */

static struct weir_pipe *busy; /* gets mail whenever its mail is read */
static int deliveries;
static void (*in_the_last)(void);

void __real_weir_sock_wake(struct weir_sock *sock, enum weir_wait what);
void __wrap_weir_sock_wake(struct weir_sock *sock, enum weir_wait what);

/* Once for each time its mail is read, however many are woken for it. */
void __wrap_weir_sock_wake(struct weir_sock *sock, enum weir_wait what)
{
    struct weir_pipe *pipe = busy;

    __real_weir_sock_wake(sock, what);
    if (!pipe || atomic_load(&pipe->mail) != WEIR_MAIL_OPEN)
        return;
    if (++deliveries < DELIVERIES) {
        weir_pipe_post(pipe, WEIR_MAIL_ROOM);
        return;
    }
    busy = NULL;
    in_the_last();
}

/* What comes in the last delivery of a call is left to the I/O thread, which
 * stands still. */
static void flood(weir_socket socket, void (*last)(void))
{
    struct weir_sock *sock = weir_shells_sock(socket.index);

    pushpull_hold();
    deliveries = 0;
    in_the_last = last;
    weir_sock_lock(sock);
    busy = WEIR_CONTAINER(sock->pipes.prev, struct weir_pipe, all);
    weir_pipe_post(busy, WEIR_MAIL_ROOM);
    weir_sock_unlock(sock);
    assert_int_equal(deliveries, DELIVERIES);
    assert_true(weir_sock_has_mail(sock));
}

static int sent;

static void send_late(void)
{
    sent = weir_send(push, "late", 4, WEIR_NOWAIT);
}

/* It was sent before, so it is there. */
static void test_received_at_once(void **state)
{
    char data[ROOM];
    size_t size = sizeof data;

    (void)state;
    pushpull_join(pull, push, "inproc://mail");
    flood(pull, send_late);
    assert_int_equal(sent, 0);
    assert_int_equal(weir_recv(pull, data, &size, WEIR_NOWAIT), 0);
    assert_int_equal(size, 4);
}

static void receive_all(void)
{
    char data[ROOM];

    for (size_t size = sizeof data;
         weir_recv(pull, data, &size, WEIR_NOWAIT) == 0; size = sizeof data)
        ;
}

/* There was room with one of two before, so there is. */
static void test_sent_at_once(void **state)
{
    weir_socket second = pushpull_open(WEIR_PULL);

    (void)state;
    assert_int_equal(weir_set(push, "send-mark", "4"), 0);
    assert_int_equal(weir_set(pull, "recv-mark", "4"), 0);
    assert_int_equal(weir_set(second, "recv-mark", "4"), 0);
    pushpull_join(pull, push, "inproc://mail");
    pushpull_join(second, push, "inproc://second");
    while (weir_send(push, "text", 4, WEIR_NOWAIT) == 0)
        ;
    flood(push, receive_all);
    assert_int_equal(weir_send(push, "text", 4, WEIR_NOWAIT), 0);
    pushpull_let_go();
    assert_int_equal(weir_close(second, 0, NULL), 0);
}

int main(void)
{
#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, pushpull_begin, pushpull_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_while_told),
        CASE(test_received_at_once),
        CASE(test_sent_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
