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
#include "shells.h"
#include "socket.h"
#include "splice.h"

enum { SOON = 20000 };

static weir_context context;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_while_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
