#include "config.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pushpull.h"
#include "shells.h"
#include "socket.h"

weir_context context;
weir_socket push, pull;

static struct weir_task hold;
static sem_t held, go_on;
static bool holding;

weir_socket pushpull_open(int type)
{
    weir_socket socket;

    assert_int_equal(weir_open(&socket, context, type), 0);
    return socket;
}

static void be_held(struct weir_task *task)
{
    (void)task;
    sem_post(&held);
    sem_wait(&go_on);
}

void pushpull_hold(void)
{
    hold.run = be_held;
    weir_reactor_post(weir_shells_sock(pull.index)->reactor, &hold);
    holding = true;
    sem_wait(&held);
}

void pushpull_let_go(void)
{
    if (holding)
        sem_post(&go_on);
    holding = false;
}

int pushpull_begin(void **state)
{
    (void)state;
    sem_init(&held, 0, 0);
    sem_init(&go_on, 0, 0);
    assert_int_equal(weir_context_open(&context, 1), 0);
    push = pushpull_open(WEIR_PUSH);
    pull = pushpull_open(WEIR_PULL);
    return 0;
}

int pushpull_end(void **state)
{
    (void)state;
    pushpull_let_go();
    (void)weir_close(push, 0, NULL);
    (void)weir_close(pull, 0, NULL);
    assert_int_equal(weir_context_close(context, SOON), 0);
    sem_destroy(&held);
    sem_destroy(&go_on);
    return 0;
}

void pushpull_join(weir_socket near, weir_socket far, const char *url)
{
    weir_endpoint endpoint;
    char found[256];

    assert_int_equal(weir_bind(near, url, &endpoint), 0);
    assert_true(weir_endpoint_url(endpoint, found, sizeof found) > 0);
    assert_int_equal(weir_connect(far, found, NULL), 0);
    assert_true(weir_wait_peers(far, 1, SOON) >= 1);
}

bool pushpull_is_asleep(weir_socket socket)
{
    struct weir_sock *sock = weir_shells_sock(socket.index);
    bool asleep;

    weir_sock_lock(sock);
    asleep = sock->leader_asleep || sock->sleeping[WEIR_WAIT_IN] > 0;
    weir_sock_unlock(sock);
    return asleep;
}

void pushpull_hear(weir_socket socket, const char *text)
{
    char data[ROOM];
    size_t size = sizeof data;

    assert_int_equal(weir_recv(socket, data, &size, SOON), 0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}
