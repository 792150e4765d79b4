/*
 * Who looks after a socket's connections: the I/O thread when the application
 * is away, the application when it comes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/clock.h"
#include "pushpull.h"
#include "shells.h"
#include "socket.h"

enum { LOOK_SOON = 50000, STEADY = 4, RARE = 4 * WEIR_ABSENCE };

static bool may_nest = true;
static struct weir_sock *sock; /* the PULL's */

bool __real_weir_poller_nests(void);
bool __wrap_weir_poller_nests(void);

bool __wrap_weir_poller_nests(void)
{
    return may_nest && __real_weir_poller_nests();
}

/* ---- around each test ---- */

static int begin(void **state)
{
    (void)pushpull_begin(state);
    sock = weir_shells_sock(pull.index);
    return 0;
}

static int end(void **state)
{
    may_nest = true;
    return pushpull_end(state);
}

static int begin_without_set(void **state)
{
    may_nest = false;
    return begin(state);
}

static void join(void)
{
    pushpull_join(pull, push, "ipc://*");
    assert_true(weir_wait_peers(pull, 1, SOON) >= 1);
}

/* Without a set there is nothing to hand to and fro. */
static void join_with_set(void)
{
    if (!weir_poller_nests())
        skip();
    join();
}

/* ---- what is so ---- */

static void show_up(void)
{
    atomic_fetch_add(&sock->drives, 1);
}

/* Lock held. */
static struct weir_pipe *only_pipe(void)
{
    return WEIR_CONTAINER(weir_list_first(&sock->pipes), struct weir_pipe, all);
}

/* The look that found it there is that long ago. */
static void stay_away(void)
{
    sock->came_at = weir_now() - WEIR_ABSENCE;
}

/* Something stirs in the set that the I/O thread watches. */
static void stir(void)
{
    sock->set_watch.ready(&sock->set_watch, WEIR_POLLER_IN);
}

/* The application drives: no look by the I/O thread yet that found it away. */
static void hand_back(void)
{
    show_up();
    stir();
    assert_false(atomic_load(&sock->io_drives));
}

static uint64_t queued(void)
{
    weir_stats stats = {.size = sizeof stats};

    assert_int_equal(weir_socket_stats(pull, &stats), 0);
    return stats.recv_queued;
}

/* Nobody receives: it was the I/O thread that read it. */
static void await_queued(uint64_t n)
{
    int64_t until = weir_deadline_in(SOON);

    while (queued() < n && weir_now() < until)
        ;
    assert_int_equal(queued(), n);
}

static void await_io_drives(void)
{
    int64_t until = weir_deadline_in(SOON);

    while (!atomic_load(&sock->io_drives) && weir_now() < until)
        ;
    assert_true(atomic_load(&sock->io_drives));
}

/* The application receives one after the other until the set is its own. */
static void stay_until_it_drives(void)
{
    int64_t until = weir_deadline_in(SOON);

    do {
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
        pushpull_hear(pull, "text");
    } while (atomic_load(&sock->io_drives) && weir_now() < until);
    assert_false(atomic_load(&sock->io_drives));
}

/* ---- to and fro ---- */

static void test_comes_and_goes(void **state)
{
    (void)state;
    join_with_set();
    for (int i = 0; i < 10; i++) {
        stay_until_it_drives();
        await_io_drives();
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
        await_queued(1);
        pushpull_hear(pull, "text");
    }
}

static void test_taken_over(void **state)
{
    (void)state;
    join_with_set();
    pushpull_hold();
    hand_back();
    assert_false(sock->io_armed);
    stay_away();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_true(atomic_load(&sock->io_drives));
    assert_true(sock->io_armed);
    sock->io_armed = false;
    assert_int_equal(weir_sock_turn(sock), 0); /* it has it already */
    assert_false(sock->io_armed);
    sock->io_armed = true;
}

static void await_quiet(void)
{
    int64_t until = weir_deadline_in(SOON);

    while (atomic_load(&sock->tick.wanted) && weir_now() < until)
        ;
    assert_false(atomic_load(&sock->tick.wanted));
}

/* Who came once and does not come again has nobody else look after him. */
static void test_came_once(void **state)
{
    (void)state;
    join_with_set();
    await_quiet();
    pushpull_hold();
    hand_back();
    assert_true(atomic_load(&sock->tick.wanted));
    pushpull_let_go();
    await_io_drives();
}

static void begin_to_come(void)
{
    join_with_set();
    await_quiet();
    pushpull_hold();
    hand_back();
}

static void test_not_while_it_comes(void **state)
{
    (void)state;
    begin_to_come();
    for (int i = 0; i < 3; i++) {
        show_up();
        assert_int_equal(weir_sock_turn(sock), WEIR_ABSENCE);
        assert_false(atomic_load(&sock->io_drives));
    }
}

/* After a while the I/O thread looks, and the application has come so many
 * times in that of WEIR_ABSENCE. */
static int64_t look_after(int64_t ns, int times)
{
    sock->judged_at = weir_now() - ns;
    atomic_fetch_add(&sock->drives, (uint32_t)(ns / WEIR_ABSENCE * times));
    return weir_sock_turn(sock);
}

static void become_steady(int looks, int times)
{
    for (int i = 1; i < looks; i++)
        assert_int_equal(look_after(WEIR_ABSENCE, times), WEIR_ABSENCE);
    assert_int_equal(look_after(WEIR_ABSENCE, times), RARE);
}

/* Who comes as often time after time is looked at less often, until he comes
 * less often himself. */
static void test_rarely_while_it_comes_steadily(void **state)
{
    (void)state;
    begin_to_come();
    become_steady(STEADY, 100);
    assert_int_equal(look_after(RARE, 100), RARE);
    assert_int_equal(look_after(RARE, 60), RARE);
    assert_int_equal(look_after(RARE, 60), RARE);
    assert_int_equal(look_after(RARE, 40), WEIR_ABSENCE);
    become_steady(STEADY - 1, 40);
}

/* Nor is who comes seldom, however steadily. */
static void test_not_rarely_while_it_comes_seldom(void **state)
{
    (void)state;
    begin_to_come();
    for (int i = 0; i < 2 * STEADY; i++)
        assert_int_equal(look_after(WEIR_ABSENCE, 10), WEIR_ABSENCE);
}

/* Looks that come early, for another socket it may be, say nothing. */
static void test_early_looks(void **state)
{
    (void)state;
    begin_to_come();
    become_steady(STEADY, 100);
    for (int i = 0; i < 100; i++) {
        show_up();
        sock->judged_at = weir_now();
        assert_int_equal(weir_sock_turn(sock), RARE);
    }
}

/* However long the test is interrupted, the look that found it there is recent.
 */
static void stay_here(void)
{
    sock->came_at = weir_now() + INT64_C(1000000000);
}

/* Nor do they find it away that has not come since the one before; the next is
 * due when it would be. */
static void test_early_looks_take_nothing(void **state)
{
    (void)state;
    begin_to_come();
    stay_here();
    for (int i = 0; i < 100; i++)
        assert_true(weir_sock_turn(sock) > LOOK_SOON);
    sock->came_at = weir_now() - WEIR_ABSENCE / 2;
    assert_in_range(weir_sock_turn(sock), 0, WEIR_ABSENCE / 2);
    stay_away();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_true(atomic_load(&sock->io_drives));
}

/* A look while somebody is in a call. */
static int64_t look_while_locked(void)
{
    int64_t again;

    weir_sock_lock(sock);
    again = weir_sock_turn(sock);
    weir_sock_unlock(sock);
    return again;
}

/* The lock is not asked for where nothing was left over since. */
static void test_no_lock_where_nothing_is_left(void **state)
{
    (void)state;
    begin_to_come();
    stay_here();
    assert_true(weir_sock_turn(sock) > LOOK_SOON);
    assert_true(look_while_locked() > LOOK_SOON);
    weir_sock_hand_input_on(sock);
    assert_int_equal(look_while_locked(), LOOK_SOON);
    assert_true(weir_sock_turn(sock) > LOOK_SOON);
    assert_true(look_while_locked() > LOOK_SOON);
    weir_reactor_hurry(sock->reactor, &sock->tick);
    assert_int_equal(look_while_locked(), LOOK_SOON);
}

/* A stream goes on; did the look that follows see so? */
static bool is_looked_at(int64_t sent_at)
{
    uint64_t sent = ++sock->pace.window_sent;

    sock->pace.streaming = true;
    atomic_store(&sock->pace.looked_at, sent_at);
    assert_int_equal(weir_sock_turn(sock), LOOK_SOON);
    return sock->pace.ticked_sent == sent;
}

/* The application has received, and the connection may be read on from. */
static void make_room(void)
{
    struct weir_pipe *pipe;

    weir_sock_lock(sock);
    pipe = only_pipe();
    pipe->in->writer.wake(pipe->in->writer.arg);
    weir_sock_unlock(sock);
}

/* Nor where a stream is all that is left, and goes on; until it ends, or there
 * is something else. */
static void test_no_lock_while_it_streams(void **state)
{
    int64_t recent = weir_now() + INT64_C(1000000000);

    (void)state;
    begin_to_come();
    stay_here();
    assert_true(is_looked_at(recent));
    assert_false(is_looked_at(recent));
    assert_true(is_looked_at(weir_now() - WEIR_ABSENCE));
    assert_false(is_looked_at(recent));
    weir_sock_hand_input_on(sock);
    assert_true(is_looked_at(recent));
    assert_false(is_looked_at(recent));
    weir_reactor_hurry(sock->reactor, &sock->tick);
    assert_true(is_looked_at(recent));
    assert_int_equal(weir_sock_turn(sock), LOOK_SOON);
    atomic_store(&sock->pace.looked_at, 0);
    assert_true(weir_sock_turn(sock) > LOOK_SOON); /* it has ended */
    weir_sock_hand_input_on(sock);
    assert_true(is_looked_at(recent));
    assert_false(is_looked_at(recent));
    make_room();
    assert_true(is_looked_at(recent));
}

/* What he leaves over does not wait for a look that is far: it asks for one,
 * once.  To show up is no reason. */
static void test_not_rarely_with_leftovers(void **state)
{
    struct weir_reactor *reactor = sock->reactor;
    int64_t far, near;

    (void)state;
    begin_to_come();
    become_steady(STEADY, 100);
    assert_false(weir_tick_comes_soon(&sock->tick));
    far = weir_now() + INT64_C(1000000000);
    atomic_store(&reactor->tick_at, far);
    weir_reactor_tick(reactor, &sock->tick, WEIR_ABSENCE);
    assert_int_equal(atomic_load(&reactor->tick_at), far);
    weir_sock_hand_input_on(sock);
    near = atomic_load(&reactor->tick_at);
    assert_true(near < weir_now() + WEIR_ABSENCE);
    assert_true(weir_tick_comes_soon(&sock->tick));
    weir_sock_hand_input_on(sock);
    assert_int_equal(atomic_load(&reactor->tick_at), near);
}

/* It sleeps in the set itself, for however long. */
static void test_not_while_it_sleeps(void **state)
{
    (void)state;
    join_with_set();
    pushpull_hold();
    hand_back();
    atomic_store(&sock->asleep, true);
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_false(atomic_load(&sock->io_drives));
    stir(); /* was armed until now: as good as anybody who comes */
    assert_false(atomic_load(&sock->io_drives));
    atomic_store(&sock->asleep, false);
    stay_away();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_true(atomic_load(&sock->io_drives));
}

/* ---- it is not handed back ---- */

static void test_kept_while_away(void **state)
{
    (void)state;
    join_with_set();
    pushpull_hold();
    hand_back();
    stay_away();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    stir();
    assert_true(atomic_load(&sock->io_drives));
    assert_true(sock->io_armed);
    assert_int_equal(queued(), 1);
}

/* A foreign loop never sits in a call. */
static void test_kept_while_watched(void **state)
{
    (void)state;
    join_with_set();
    assert_true(weir_readable_fd(pull) >= 0);
    pushpull_hold();
    show_up();
    stir();
    assert_true(atomic_load(&sock->io_drives));
    assert_true(sock->io_armed);
}

/* Nor is it waited until a look finds it away, when it has come a lot before.
 */
static void test_taken_over_to_be_watched(void **state)
{
    (void)state;
    begin_to_come();
    become_steady(STEADY, 100);
    assert_true(weir_readable_fd(pull) >= 0);
    show_up();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_true(atomic_load(&sock->io_drives));
}

/* Without I/O threads it is whoever waits that is told of the set. */
static void test_kept_without_thread(void **state)
{
    weir_context own;
    weir_socket socket;

    (void)state;
    if (!weir_poller_nests())
        skip();
    assert_int_equal(weir_context_open(&own, 0), 0);
    assert_int_equal(weir_open(&socket, own, WEIR_PULL), 0);
    sock = weir_shells_sock(socket.index);
    show_up();
    stir();
    assert_true(atomic_load(&sock->io_drives));
    assert_true(sock->io_armed);
    assert_int_equal(weir_close(socket, SOON, NULL), 0);
    assert_int_equal(weir_context_close(own, SOON), 0);
}

/* ---- it cannot be done at once ---- */

/* Somebody is in a call, and so not away: another look follows soon. */
static void test_lock_is_held(void **state)
{
    int64_t again;
    bool drives;

    (void)state;
    join_with_set();
    pushpull_hold();
    hand_back();
    stay_away();
    weir_sock_lock(sock);
    again = weir_sock_turn(sock);
    drives = atomic_load(&sock->io_drives);
    weir_sock_unlock(sock);
    assert_int_equal(again, LOOK_SOON);
    assert_true(drives);
    assert_int_equal(weir_sock_turn(sock), 0);
}

static struct weir_pipe *hold_driver(void)
{
    struct weir_pipe *pipe = NULL;
    int64_t until = weir_deadline_in(SOON);
    bool done = false;

    while (!done && weir_now() < until) {
        weir_sock_lock(sock);
        pipe = only_pipe();
        done = weir_link_hold(&pipe->link);
        weir_sock_unlock(sock);
    }
    assert_true(done);
    return pipe;
}

/* Somebody drives the connection: he is asked, and goes round again. */
static void test_driver_is_held(void **state)
{
    struct weir_pipe *pipe;
    int64_t until = weir_deadline_in(SOON);

    (void)state;
    join();
    pipe = hold_driver();
    assert_int_equal(weir_send(push, "text", 4, SOON), 0);
    while (atomic_load(&pipe->link.driver) != WEIR_DRIVER_AGAIN &&
           weir_now() < until)
        ;
    assert_int_equal(atomic_load(&pipe->link.driver), WEIR_DRIVER_AGAIN);
    assert_int_equal(queued(), 0);
    weir_sock_lock(sock);
    weir_drive_done(sock, pipe);
    weir_sock_unlock(sock);
    assert_int_equal(queued(), 1);
    pushpull_hear(pull, "text");
}

/* Where sets do not nest, the I/O thread watches each connection itself,
 * whether or not somebody comes. */
static void test_no_set(void **state)
{
    (void)state;
    assert_false(sock->has_set);
    join();
    for (uint64_t i = 1; i <= 10; i++) {
        show_up();
        assert_int_equal(weir_send(push, "text", 4, SOON), 0);
        await_queued(i);
    }
    for (int i = 0; i < 10; i++)
        pushpull_hear(pull, "text");
    pushpull_hold();
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_int_equal(weir_sock_turn(sock), 0);
    assert_false(atomic_load(&sock->io_drives));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_comes_and_goes),
        CASE(test_taken_over),
        CASE(test_came_once),
        CASE(test_not_while_it_comes),
        CASE(test_rarely_while_it_comes_steadily),
        CASE(test_not_rarely_while_it_comes_seldom),
        CASE(test_early_looks),
        CASE(test_early_looks_take_nothing),
        CASE(test_no_lock_where_nothing_is_left),
        CASE(test_no_lock_while_it_streams),
        CASE(test_not_rarely_with_leftovers),
        CASE(test_not_while_it_sleeps),
        CASE(test_kept_while_away),
        CASE(test_kept_while_watched),
        CASE(test_taken_over_to_be_watched),
        CASE(test_kept_without_thread),
        CASE(test_lock_is_held),
        CASE(test_driver_is_held),
        cmocka_unit_test_setup_teardown(test_no_set, begin_without_set, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
