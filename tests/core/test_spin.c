/*
 * How long a receive looks out for the next message before it sleeps: longer
 * where large ones came.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum {
    USUAL = 50, /* us */
    FEW = 10,   /* looks at the clock that are none of a spin's */
    LARGE = 1 << 20
};

static char data[LARGE];
static _Thread_local bool slow; /* each look at the clock takes 1 us */
static _Atomic int looks;
static int64_t began;

int64_t __real_weir_now(void);
int64_t __wrap_weir_now(void);

int64_t __wrap_weir_now(void)
{
    if (!slow)
        return __real_weir_now();
    return began + 1000 * ++looks;
}

/* How often it had looked at the clock by the time it slept; < 0: it does not
 * sleep. */
static int looks_until_asleep;

static void *wake_it(void *arg)
{
    const struct timespec moment = {.tv_nsec = 100000};
    int64_t until = __real_weir_now() + SOON * INT64_C(1000000);

    (void)arg;
    while (!pushpull_is_asleep(pull) && __real_weir_now() < until)
        (void)nanosleep(&moment, NULL);
    looks_until_asleep = pushpull_is_asleep(pull) ? looks : -1;
    (void)weir_send(push, "now", 3, SOON);
    return NULL;
}

static void hear(size_t size)
{
    size_t room = sizeof data;

    assert_int_equal(weir_send(push, data, size, SOON), 0);
    assert_int_equal(weir_recv(pull, data, &room, SOON), 0);
    assert_int_equal(room, size);
}

/* As if no looking out had been in vain yet. */
static void forget_misses(struct weir_sock *sock)
{
    weir_sock_lock(sock);
    sock->spin_in = (struct weir_spin){0};
    weir_sock_unlock(sock);
}

/* As if so many more had come. */
static void earn(uint64_t messages)
{
    struct weir_sock *sock = weir_shells_sock(pull.index);

    weir_sock_lock(sock);
    sock->received += messages;
    weir_sock_unlock(sock);
}

/* Hear what `sender` sends, in its own thread, by the slow clock. */
static void hear_from(void *(*sender)(void *))
{
    pthread_t thread;

    forget_misses(weir_shells_sock(pull.index));
    looks = 0;
    began = __real_weir_now();
    assert_int_equal(pthread_create(&thread, NULL, sender, NULL), 0);
    slow = true;
    pushpull_hear(pull, "now");
    slow = false;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Wait for a message.  Returns the us until the receiver slept. */
static int wait_long(void)
{
    hear_from(wake_it);
    return looks_until_asleep;
}

/* The same after one of `size` octets. */
static int wait_after(size_t size)
{
    hear(size);
    return wait_long();
}

/* The same after so many short ones: to hear the first may take a sleep, and
 * that makes an end of what was earned before. */
static int wait_after_many(uint64_t messages)
{
    hear(100);
    earn(messages);
    return wait_long();
}

static void join(int spin)
{
    assert_int_equal(weir_set_int(pull, "spin", spin), 0);
    pushpull_join(pull, push, "ipc://*");
}

static void test_large(void **state)
{
    (void)state;
    join(USUAL);
    assert_in_range(wait_after(128 << 10), 32, 32 + FEW);
    assert_in_range(wait_after(256 << 10), 64, 64 + FEW);
}

/* Four times the usual at most. */
static void test_very_large(void **state)
{
    (void)state;
    join(USUAL);
    assert_in_range(wait_after(LARGE), 4 * USUAL, 4 * USUAL + FEW);
}

/* One of them is not worth it. */
static void test_short(void **state)
{
    (void)state;
    join(USUAL);
    assert_in_range(wait_after(100), 0, FEW);
    assert_in_range(wait_after(100000), 0, FEW);
}

/* Each is worth a quarter of a microsecond, up to the usual.  A sleep makes an
 * end of it. */
static void test_earned(void **state)
{
    (void)state;
    join(USUAL);
    assert_in_range(wait_after_many(4 * 20), 20, 20 + FEW);
    assert_in_range(wait_long(), 0, FEW);
    assert_in_range(wait_after_many(4 * 3 * USUAL), USUAL, USUAL + FEW);
}

enum { MUCH = 1000, SPENT = 100 }; /* us */

static void *send_meanwhile(void *arg)
{
    int64_t until = __real_weir_now() + SOON * INT64_C(1000000);

    (void)arg;
    while (looks < SPENT && __real_weir_now() < until)
        ;
    (void)weir_send(push, "now", 3, SOON);
    return NULL;
}

/* Have a message come while it spins.  Returns the us for which it did. */
static int spin_for_one(void)
{
    hear_from(send_meanwhile);
    return looks;
}

/* What a spin has taken is not there for the next one, though a message came.
 * It may come too late: then all is spent. */
static void test_spent(void **state)
{
    int64_t end = __real_weir_now() + SOON * INT64_C(1000000);
    int spent;

    (void)state;
    join(MUCH);
    do {
        assert_true(__real_weir_now() < end);
        hear(100);
        earn(4 * MUCH);
        spent = spin_for_one();
    } while (spent >= MUCH - FEW);
    assert_true(spent >= SPENT);
    assert_in_range(wait_long() + spent, MUCH, MUCH + 2 * FEW);
}

static void test_spin_is_off(void **state)
{
    (void)state;
    join(0);
    assert_in_range(wait_after(LARGE), 0, FEW);
}

/* Both: who has sent something waits for the answer. */
static void test_latency(void **state)
{
    (void)state;
    assert_int_equal(weir_set(pull, "pace", "latency"), 0);
    join(USUAL);
    assert_in_range(wait_after(100), USUAL, USUAL + FEW);
    assert_in_range(wait_after(128 << 10), USUAL + 32, USUAL + 32 + FEW);
}

/* No longer than the call may take. */
static void test_deadline(void **state)
{
    size_t room = sizeof data;
    struct weir_sock *sock;

    (void)state;
    join(1000);
    hear(LARGE);
    sock = weir_shells_sock(pull.index);
    forget_misses(sock);
    weir_sock_lock(sock);
    sock->bulk += 64 * LARGE; /* it would spin for 4 ms */
    weir_sock_unlock(sock);
    looks = 0;
    began = __real_weir_now();
    slow = true;
    assert_int_equal(weir_recv(pull, data, &room, 1), -EAGAIN);
    slow = false;
    assert_in_range(looks, 1000, 2000);
}

int main(void)
{
#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, pushpull_begin, pushpull_end)
    const struct CMUnitTest tests[] = {
        CASE(test_large),   CASE(test_very_large), CASE(test_short),
        CASE(test_earned),  CASE(test_spent),      CASE(test_spin_is_off),
        CASE(test_latency), CASE(test_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
