/*
 * test_poller.c - the backend that was built, whichever it is: levels, edges,
 * once, changes by other threads, hang-ups, deadlines, signals, a limit that
 * sank.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/park.h"
#include "poller.h"

#define MS INT64_C(1000000)

enum {
    MAX = 16,
    IN = WEIR_POLLER_IN,
    OUT = WEIR_POLLER_OUT,
    END = WEIR_POLLER_END
};

/* Two ends of a stream; [0] is the one that is watched. */
struct fixture {
    struct weir_poller poller;
    int ends[2];
    struct rlimit descriptors; /* as it was */
};

static void open_ends(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
}

static void close_ends(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    assert_int_equal(weir_poller_open(&fixture.poller), 0);
    open_ends(fixture.ends);
    *state = &fixture;
    return getrlimit(RLIMIT_NOFILE, &fixture.descriptors);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    close_ends(fixture->ends);
    weir_poller_close(&fixture->poller);
    return setrlimit(RLIMIT_NOFILE, &fixture->descriptors);
}

/* All events of `key` that are there within `ms`; others are a fault. */
static unsigned wait_for(struct weir_poller *poller, uint64_t key, int ms)
{
    struct weir_poller_event events[MAX];
    int n = weir_poller_wait(poller, events, MAX, weir_deadline_in(ms));
    unsigned all = 0;

    assert_in_range(n, 0, 2);
    for (int i = 0; i < n; i++) {
        assert_int_equal(events[i].key, key);
        assert_int_not_equal(events[i].events, 0);
        all |= events[i].events;
    }
    return all;
}

static unsigned look(struct weir_poller *poller, uint64_t key)
{
    return wait_for(poller, key, 0);
}

static void put(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static size_t drain(int fd)
{
    char junk[4096];
    size_t sum = 0;
    ssize_t r;

    while ((r = read(fd, junk, sizeof(junk))) > 0)
        sum += (size_t)r;
    return sum;
}

static void fill(int fd)
{
    char junk[4096] = {0};

    while (write(fd, junk, sizeof(junk)) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
}

/* ---- what is reported ---- */

static void test_descriptor(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_nests(), f->poller.fd >= 0);
}

static void test_level(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(look(&f->poller, 7), 0);
    put(f->ends[1]);
    assert_int_equal(wait_for(&f->poller, 7, 20000), IN);
    assert_int_equal(look(&f->poller, 7), IN);
    assert_int_equal(drain(f->ends[0]), 1);
    assert_int_equal(look(&f->poller, 7), 0);
}

static void test_change(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], OUT, 7), 0);
    put(f->ends[1]);
    assert_int_equal(look(&f->poller, 7), OUT);
    assert_int_equal(weir_poller_change(&f->poller, f->ends[0], IN | OUT, 8),
                     0);
    assert_int_equal(look(&f->poller, 8), IN | OUT);
    assert_int_equal(weir_poller_change(&f->poller, f->ends[0], 0, 8), 0);
    assert_int_equal(look(&f->poller, 8), 0);
    assert_int_equal(weir_poller_change(&f->poller, f->ends[0], IN, 9), 0);
    assert_int_equal(look(&f->poller, 9), IN);
}

/* A key has 64 bits, and a descriptor that is added anew has a new one. */
static void test_keys(void **state)
{
    struct fixture *f = *state;

    put(f->ends[1]);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, UINT64_MAX),
                     0);
    assert_int_equal(look(&f->poller, UINT64_MAX), IN);
    weir_poller_remove(&f->poller, f->ends[0]);
    assert_int_equal(look(&f->poller, 0), 0);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 5), 0);
    assert_int_equal(look(&f->poller, 5), IN);
}

static void test_edge_in(void **state)
{
    struct fixture *f = *state;
    const unsigned events = IN | WEIR_POLLER_EDGE;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    for (int i = 0; i < 3; i++) {
        put(f->ends[1]);
        assert_int_equal(wait_for(&f->poller, 7, 20000), IN);
        assert_int_equal(look(&f->poller, 7), 0);
        assert_int_equal(drain(f->ends[0]), 1);
        weir_poller_again(&f->poller, f->ends[0], events, 7);
        assert_int_equal(look(&f->poller, 7), 0);
    }
    put(f->ends[1]);
    assert_int_equal(look(&f->poller, 7), IN);
    assert_int_equal(weir_poller_change(&f->poller, f->ends[0], events, 7), 0);
    assert_int_equal(look(&f->poller, 7), IN);
}

static void test_edge_out(void **state)
{
    struct fixture *f = *state;
    const unsigned events = IN | OUT | WEIR_POLLER_EDGE;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    assert_int_equal(look(&f->poller, 7), OUT);
    assert_int_equal(look(&f->poller, 7), 0);
    fill(f->ends[0]);
    weir_poller_again(&f->poller, f->ends[0], events, 7);
    assert_int_equal(look(&f->poller, 7), 0);
    drain(f->ends[1]);
    assert_int_equal(wait_for(&f->poller, 7, 20000), OUT);
    /* The other direction does not wait for this one. */
    put(f->ends[1]);
    assert_true(wait_for(&f->poller, 7, 20000) & IN);
    assert_int_equal(look(&f->poller, 7), 0);
}

static void test_once(void **state)
{
    struct fixture *f = *state;
    const unsigned events = IN | WEIR_POLLER_ONCE;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    put(f->ends[1]);
    assert_int_equal(wait_for(&f->poller, 7, 20000), IN);
    put(f->ends[1]);
    assert_int_equal(look(&f->poller, 7), 0);
    assert_int_equal(weir_poller_change(&f->poller, f->ends[0], events, 8), 0);
    assert_int_equal(wait_for(&f->poller, 8, 20000), IN);
    assert_int_equal(look(&f->poller, 8), 0);
}

/* ---- hang-ups ---- */

static void test_end_of_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(shutdown(f->ends[1], SHUT_WR), 0);
    assert_int_equal(wait_for(&f->poller, 7, 20000) & ~(unsigned)END, IN);
}

/* An end that is there before the first look has no edge of its own. */
static void test_end_behind_data(void **state)
{
    const unsigned events = IN | WEIR_POLLER_EDGE;
    struct fixture *f = *state;
    char octets[8];
    unsigned seen;

    put(f->ends[1]);
    assert_int_equal(shutdown(f->ends[1], SHUT_WR), 0);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    seen = wait_for(&f->poller, 7, 20000);
    assert_true(seen & IN);
    assert_int_equal(read(f->ends[0], octets, sizeof(octets)), 1);
    weir_poller_again(&f->poller, f->ends[0], events, 7);
    if (!(seen & END))
        assert_true(wait_for(&f->poller, 7, 20000) & IN);
}

static void test_hang_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    close(f->ends[1]);
    f->ends[1] = -1;
    assert_true(wait_for(&f->poller, 7, 20000) & IN);
    assert_true(look(&f->poller, 7) & IN);
}

/* It is reported, and then is no reason to spin. */
static void test_hang_up_edge(void **state)
{
    struct fixture *f = *state;
    const unsigned events = IN | WEIR_POLLER_EDGE;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    put(f->ends[1]);
    assert_int_equal(look(&f->poller, 7), IN);
    close(f->ends[1]);
    f->ends[1] = -1;
    assert_true(wait_for(&f->poller, 7, 20000) & IN);
    assert_int_equal(wait_for(&f->poller, 7, 20), 0);
}

static void test_pipe(void **state)
{
    struct fixture *f = *state;
    int pair[2];

    assert_int_equal(pipe(pair), 0);
    assert_int_equal(weir_poller_add(&f->poller, pair[0], IN, 7), 0);
    assert_int_equal(look(&f->poller, 7), 0);
    put(pair[1]);
    assert_int_equal(look(&f->poller, 7), IN);
    weir_poller_remove(&f->poller, pair[0]);
    assert_int_equal(weir_poller_add(&f->poller, pair[1], OUT, 8), 0);
    assert_int_equal(look(&f->poller, 8), OUT);
    close(pair[0]);
    assert_true(look(&f->poller, 8) & WEIR_POLLER_ERROR);
    weir_poller_remove(&f->poller, pair[1]);
    close(pair[1]);
}

/* ---- many ---- */

/* Those behind the first `max` have their turn too. */
static void test_fairness(void **state)
{
    struct fixture *f = *state;
    struct weir_poller_event events[3];
    int ends[10][2];
    unsigned seen = 0;

    for (int i = 0; i < 10; i++) {
        open_ends(ends[i]);
        put(ends[i][1]);
        assert_int_equal(
            weir_poller_add(&f->poller, ends[i][0], IN, (uint64_t)i + 1), 0);
    }
    for (int i = 0; i < 8; i++) {
        int n = weir_poller_wait(&f->poller, events, 3, 0);

        assert_int_equal(n, 3);
        while (n-- > 0)
            seen |= 1u << (events[n].key - 1);
    }
    assert_int_equal(seen, 0x3ff);
    for (int i = 0; i < 10; i++) {
        weir_poller_remove(&f->poller, ends[i][0]);
        close_ends(ends[i]);
    }
    assert_int_equal(weir_poller_wait(&f->poller, events, 3, 0), 0);
}

static void test_remove_of_two(void **state)
{
    struct fixture *f = *state;
    struct weir_poller_event event;
    int ends[2];

    open_ends(ends);
    put(f->ends[1]);
    put(ends[1]);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 1), 0);
    assert_int_equal(weir_poller_add(&f->poller, ends[0], IN, 2), 0);
    assert_int_equal(weir_poller_wait(&f->poller, &event, 1, 0), 1);
    weir_poller_remove(&f->poller, event.key == 1 ? ends[0] : f->ends[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(&f->poller, event.key), IN);
    close_ends(ends);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    int added, changed;

    assert_true(weir_poller_add(&f->poller, -1, IN, 7) < 0);
    changed = weir_poller_change(&f->poller, f->ends[0], IN, 7);
    weir_poller_remove(&f->poller, f->ends[0]);
    weir_poller_remove(&f->poller, f->ends[0]);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    added = weir_poller_add(&f->poller, f->ends[0], IN, 8);
#if defined(WEIR_POLLER_KQUEUE)
    (void)added, (void)changed;
#else
    assert_int_equal(changed, -ENOENT);
    assert_int_equal(added, -EEXIST);
    assert_int_equal(look(&f->poller, 7), 0);
#endif
}

/* ---- time ---- */

static void test_deadline(void **state)
{
    struct fixture *f = *state;
    int64_t begin = weir_now();

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(wait_for(&f->poller, 7, 0), 0);
    assert_int_equal(wait_for(&f->poller, 7, 50), 0);
    assert_true(weir_now() >= begin + 50 * MS);
    assert_true(weir_now() < begin + 10000 * MS);
}

static void on_signal(int number)
{
    (void)number;
}

struct waiter {
    struct weir_poller *poller;
    int64_t deadline;
    int64_t woken_at;
    struct weir_poller_event event;
    int result;
    _Atomic bool over;
};

static void *wait_in_thread(void *opaque)
{
    struct waiter *waiter = opaque;

    waiter->result =
        weir_poller_wait(waiter->poller, &waiter->event, 1, waiter->deadline);
    waiter->woken_at = weir_now();
    atomic_store(&waiter->over, true);
    return NULL;
}

static void pause_ms(int ms)
{
    _Atomic uint32_t word = 0;

    (void)weir_park(&word, 0, weir_deadline_in(ms));
}

/* A thousand signals a second neither end a wait nor make it longer. */
static void test_signals(void **state)
{
    struct fixture *f = *state;
    struct sigaction action = {.sa_handler = on_signal};
    struct waiter waiter = {.poller = &f->poller,
                            .deadline = weir_deadline_in(100)};
    pthread_t thread;

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
    while (!atomic_load(&waiter.over)) {
        pthread_kill(thread, SIGUSR1);
        pause_ms(1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.result, 0);
    assert_true(waiter.woken_at >= waiter.deadline);
    assert_true(waiter.woken_at < waiter.deadline + 5000 * MS);
}

/* A program that sets its limit below what it has open is still told. */
static void test_sunken_limit(void **state)
{
    struct fixture *f = *state;
    struct rlimit few = f->descriptors;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(weir_poller_add(&f->poller, f->ends[1], IN, 8), 0);
    few.rlim_cur = 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(wait_for(&f->poller, 7, 20), 0);
    put(f->ends[1]);
    assert_int_equal(wait_for(&f->poller, 7, 20000), IN);
}

/* ---- other threads ---- */

enum { ADD, CHANGE, AGAIN };

static void apply(struct fixture *f, int what)
{
    const unsigned edge = IN | WEIR_POLLER_EDGE;
    int r = 0;

    if (what == ADD)
        r = weir_poller_add(&f->poller, f->ends[0], IN, 7);
    else if (what == CHANGE)
        r = weir_poller_change(&f->poller, f->ends[0], IN, 7);
    else
        weir_poller_again(&f->poller, f->ends[0], edge, 7);
    assert_int_equal(r, 0);
}

/* Whether the other thread is asleep already or not, it sees the change. */
static void change_while_waiting(struct fixture *f, int what)
{
    struct waiter waiter = {.poller = &f->poller,
                            .deadline = weir_deadline_in(20000)};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
    pause_ms(what == AGAIN ? 0 : 1);
    apply(f, what);
    put(f->ends[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.result, 1);
    assert_int_equal(waiter.event.key, 7);
    assert_int_equal(waiter.event.events, IN);
    drain(f->ends[0]);
}

static void test_add_while_waiting(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 50; i++) {
        change_while_waiting(f, ADD);
        weir_poller_remove(&f->poller, f->ends[0]);
    }
}

static void test_change_while_waiting(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], 0, 6), 0);
    for (int i = 0; i < 50; i++) {
        change_while_waiting(f, CHANGE);
        assert_int_equal(weir_poller_change(&f->poller, f->ends[0], 0, 6), 0);
    }
}

static void test_again_while_waiting(void **state)
{
    struct fixture *f = *state;
    const unsigned events = IN | WEIR_POLLER_EDGE;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], events, 7), 0);
    for (int i = 0; i < 50; i++)
        change_while_waiting(f, AGAIN);
}

static void test_remove_while_waiting(void **state)
{
    struct fixture *f = *state;
    struct waiter waiter = {.poller = &f->poller,
                            .deadline = weir_deadline_in(50)};
    pthread_t thread;

    assert_int_equal(weir_poller_add(&f->poller, f->ends[0], IN, 7), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
    weir_poller_remove(&f->poller, f->ends[0]);
    put(f->ends[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* It may have been quicker than we, but then it saw no event either. */
    assert_int_equal(waiter.result, 0);
}

enum { STREAMS = 4, OCTETS = 20000 };

struct stress {
    struct weir_poller *poller;
    int ends[STREAMS][2];
    int restless[2]; /* comes and goes meanwhile */
    _Atomic bool over;
};

static void *write_all(void *opaque)
{
    struct stress *stress = opaque;

    for (int i = 0; i < OCTETS; i++)
        while (write(stress->ends[i % STREAMS][1], "x", 1) != 1)
            pause_ms(1);
    return NULL;
}

static void *come_and_go(void *opaque)
{
    struct stress *stress = opaque;
    int fd = stress->restless[0];

    while (!atomic_load(&stress->over)) {
        if (weir_poller_add(stress->poller, fd, IN | OUT, 99) < 0)
            break;
        pause_ms(0);
        (void)weir_poller_change(stress->poller, fd, IN, 99);
        weir_poller_remove(stress->poller, fd);
    }
    return NULL;
}

/* Wait and drain until all has arrived; false: the deadline came first. */
static bool read_all(struct stress *stress, int64_t deadline)
{
    struct weir_poller_event events[MAX];
    size_t left = OCTETS;

    while (left > 0) {
        int n = weir_poller_wait(stress->poller, events, MAX, deadline);

        if (n <= 0)
            return false;
        for (int i = 0; i < n; i++) {
            uint64_t at = events[i].key;

            if (at == 99)
                continue;
            left -= drain(stress->ends[at - 1][0]);
            weir_poller_again(stress->poller, stress->ends[at - 1][0],
                              IN | WEIR_POLLER_EDGE, at);
        }
    }
    return true;
}

/* Edges, with the set changing all the time: none is lost. */
static void test_stress(void **state)
{
    struct fixture *f = *state;
    struct stress stress = {.poller = &f->poller};
    pthread_t writer, other;
    bool all;

    for (int i = 0; i < STREAMS; i++) {
        open_ends(stress.ends[i]);
        assert_int_equal(weir_poller_add(&f->poller, stress.ends[i][0],
                                         IN | WEIR_POLLER_EDGE,
                                         (uint64_t)i + 1),
                         0);
    }
    open_ends(stress.restless);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &stress), 0);
    assert_int_equal(pthread_create(&other, NULL, come_and_go, &stress), 0);
    all = read_all(&stress, weir_deadline_in(60000));
    atomic_store(&stress.over, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_true(all);
    for (int i = 0; i < STREAMS; i++)
        close_ends(stress.ends[i]);
    close_ends(stress.restless);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_descriptor),
        TEST(test_level),
        TEST(test_change),
        TEST(test_keys),
        TEST(test_edge_in),
        TEST(test_edge_out),
        TEST(test_once),
        TEST(test_end_of_file),
        TEST(test_end_behind_data),
        TEST(test_hang_up),
        TEST(test_hang_up_edge),
        TEST(test_pipe),
        TEST(test_fairness),
        TEST(test_remove_of_two),
        TEST(test_errors),
        TEST(test_deadline),
        TEST(test_signals),
        TEST(test_sunken_limit),
        TEST(test_add_while_waiting),
        TEST(test_change_while_waiting),
        TEST(test_again_while_waiting),
        TEST(test_remove_while_waiting),
        TEST(test_stress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
