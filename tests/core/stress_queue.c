/*
 * stress_queue.c - the queue between threads that nap at the wrong moment.
 * Every message is checked octet by octet, order and number are checked, and
 * in the end every message is accounted for.
 *
 * stress_queue [SECONDS [SEED [CASE]]]
 * SECONDS is how long each case runs; 0.05 when left out, for make check.
 * CASE is a part of the names of the cases to be run.
 */
#include "config.h"

/* Light fences begin often here, and end often. */
#define WEIR_QUEUE_STREAM 2

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fence.h"
#include "base/lock.h"
#include "base/park.h"
#include "frame.h"
#include "message.h"
#include "queue.h"
#include "traffic.h"

#define PATIENCE \
    60000 /* ms: nobody sleeps that long unless a wake-up is lost */

enum policy { BLOCK, DROP_OLD, LATEST };

/* A case. */
struct plan {
    const char *name;
    struct weir_queue_limits mark;
    enum policy policy;
    bool light;
    bool cut;      /* connections are cut */
    bool commands; /* among the messages */
    bool large;    /* frames of up to 1 MB */
    bool together; /* receiver and consumer are one thread */
    uint64_t keep; /* of the pools */
};

struct sleeper {
    _Atomic uint32_t awake;
};

/* All that the threads of a case share. */
struct run {
    const struct plan *plan;
    struct traffic traffic;
    struct weir_pool *pool, *receive_pool;
    struct weir_queue *queue;    /* what the producer puts into */
    struct weir_queue *received; /* what the consumer takes from */
    struct sleeper producer, writer, receiver, consumer;
    struct weir_lock oldest; /* held by who takes from a drop-old queue */
    _Atomic bool stop;
    _Atomic uint64_t last; /* the number of the last message; 0: not known */
    uint64_t sent, got, dropped, cuts, hidden, rolled_back;
    _Atomic uint64_t slept, waited;
    int wire[2];                 /* the connection: written to, read from */
    int courier[2];              /* brings the next wire's reading end */
    _Atomic(weir_frame *) stray; /* to be released by another thread */
};

static const char *case_name = "";
static uint64_t seed = 12345;
static int nap_kind;

/* ------------------------------------------------------------- helpers -- */

static void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "FAIL %s (naps %d, seed %llu): ", case_name, nap_kind,
            (unsigned long long)seed);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    _exit(1);
}

static void check(bool right, const char *what, uint64_t number)
{
    if (!right)
        fail("%s, message %llu", what, (unsigned long long)number);
}

static void spin(uint64_t turns)
{
    for (uint64_t i = 0; i < turns; i++)
        weir_cpu_relax();
}

/* Be late, sometimes. */
static void nap(uint64_t *state)
{
    uint64_t random = traffic_random(state);
    struct timespec time = {0, (long)(random >> 8) % 60000};

    if (nap_kind == 0)
        return;
    switch (random % (nap_kind == 2 ? 8 : 64)) {
    case 0:
        nanosleep(&time, NULL);
        break;
    case 1:
        sched_yield();
        break;
    case 2:
    case 3:
        spin((random >> 8) % 200);
        break;
    default:
        break;
    }
}

static void wake(void *opaque)
{
    struct sleeper *sleeper = opaque;

    atomic_store(&sleeper->awake, 1);
    weir_unpark(&sleeper->awake, 1);
}

static void sleep_until_woken(struct sleeper *sleeper, const char *who)
{
    int64_t deadline = weir_deadline_in(PATIENCE);

    while (!atomic_load(&sleeper->awake))
        if (weir_park(&sleeper->awake, 0, deadline) == -ETIMEDOUT)
            fail("the %s was never woken", who);
}

/* Where the oldest message may be dropped, its producer takes the consumer's
 * end under a lock. */
static void lock_end(struct run *run, struct weir_queue *queue)
{
    if (run->plan->policy == DROP_OLD && queue == run->queue)
        weir_lock_take(&run->oldest);
}

static void unlock_end(struct run *run, struct weir_queue *queue)
{
    if (run->plan->policy == DROP_OLD && queue == run->queue)
        weir_lock_release(&run->oldest);
}

static bool is_ready(struct run *run, struct weir_queue *queue)
{
    bool ready;

    lock_end(run, queue);
    ready = weir_queue_ready(queue);
    unlock_end(run, queue);
    return ready;
}

static bool written(struct run *run)
{
    uint64_t put, taken, octets;

    weir_queue_counts(run->queue, &put, &taken, &octets);
    return atomic_load(&run->last) && put == atomic_load(&run->last) &&
           taken == put && octets == 0;
}

/* The number of the last message may come behind its octets: who has written
 * those, and found that it was not all, has to look again as well, since nobody
 * wakes him any more. */
static void wait_for_message(struct run *run, struct weir_queue *queue,
                             struct sleeper *sleeper)
{
    atomic_store(&sleeper->awake, 0);
    weir_queue_arm_reader(queue);
    weir_queue_fence_reader(queue);
    if (is_ready(run, queue) || (sleeper == &run->writer && written(run))) {
        weir_queue_disarm_reader(queue);
        return;
    }
    atomic_fetch_add(&run->slept, 1);
    sleep_until_woken(sleeper, "consumer");
}

static void wait_for_room(struct run *run, struct weir_queue *queue,
                          struct sleeper *sleeper)
{
    atomic_store(&sleeper->awake, 0);
    if (!weir_queue_arm_writer(queue))
        return;
    atomic_fetch_add(&run->waited, 1);
    sleep_until_woken(sleeper, "producer");
}

/* ------------------------------------------------------------ producer -- */

static size_t octets_of(const struct traffic_shape *shape)
{
    size_t octets = 0;

    for (int i = 0; i < shape->frames; i++)
        octets += weir_queue_octets(shape->size[i]);
    return octets;
}

/* Make room by the rule of the case. */
static void make_room(struct run *run, size_t octets)
{
    while (!weir_queue_room(run->queue, octets)) {
        if (run->plan->policy == BLOCK) {
            wait_for_room(run, run->queue, &run->producer);
            continue;
        }
        weir_lock_take(&run->oldest);
        if (!weir_queue_room(run->queue, octets))
            run->dropped += (uint64_t)weir_queue_skip(run->queue);
        weir_lock_release(&run->oldest);
    }
}

static void release_wrapped(void *data, void *hint)
{
    if (hint != &seed)
        fail("a release function got a wrong hint");
    free(data);
}

static void make_frame(const struct traffic *traffic, uint64_t number,
                       int index, size_t size, weir_frame *frame)
{
    uint8_t *data;

    if (number % 3) {
        if (weir_frame_alloc(frame, size))
            fail("no memory");
        traffic_fill(traffic, number, index, weir_frame_data(frame), size);
        return;
    }
    data = malloc(size + 1);
    if (!data)
        fail("no memory");
    traffic_fill(traffic, number, index, data, size);
    if (weir_frame_wrap(frame, data, size, release_wrapped, &seed))
        fail("no memory");
}

static void make_message(const struct traffic *traffic, uint64_t number,
                         weir_message *message)
{
    struct traffic_shape shape = traffic_shape(traffic, number);
    weir_frame frame;

    weir_message_init(message);
    for (int i = 0; i < shape.frames; i++) {
        make_frame(traffic, number, i, shape.size[i], &frame);
        if (weir_message_push(message, &frame))
            fail("no memory");
    }
}

static void put_message(struct run *run, uint64_t number)
{
    weir_message message;
    int result;

    make_message(&run->traffic, number, &message);
    while ((result = weir_queue_put_message(run->queue, &message)) == -EAGAIN)
        make_room(run, octets_of(&(struct traffic_shape){0}));
    if (result)
        fail("putting a message: %d", result);
    weir_message_fini(&message);
}

static void put_latest(struct run *run, uint64_t number)
{
    weir_message message;
    int result;

    make_message(&run->traffic, number, &message);
    result = weir_queue_put_latest(run->queue, &message);
    if (result < 0)
        fail("putting the latest: %d", result);
    run->dropped += (uint64_t)result;
    weir_message_fini(&message);
}

static void put_frames(struct run *run, const struct traffic_shape *shape,
                       uint64_t number, int frames)
{
    static _Thread_local uint8_t payload[TRAFFIC_LONGEST];

    for (int i = 0; i < frames; i++) {
        unsigned flags = i + 1 < shape->frames ? WEIR_FRAME_MORE : 0;

        traffic_fill(&run->traffic, number, i, payload, shape->size[i]);
        if (shape->command)
            flags |= WEIR_FRAME_COMMAND;
        if (weir_queue_frame(run->queue, payload, shape->size[i], flags))
            fail("no memory");
    }
}

/* Frame by frame, sometimes after a message that was begun and given up. */
static void put_piecemeal(struct run *run, const struct traffic_shape *shape,
                          uint64_t number, uint64_t *state)
{
    uint64_t random = traffic_random(state);

    make_room(run, octets_of(shape));
    weir_queue_begin(run->queue);
    if (random % 32 == 0) {
        put_frames(run, shape, number + 7,
                   (int)(random >> 8) % shape->frames + 1);
        weir_queue_abort(run->queue);
        weir_queue_begin(run->queue);
    }
    put_frames(run, shape, number, shape->frames);
    weir_queue_commit(run->queue);
}

static void put_simple(struct run *run, size_t size, uint64_t number)
{
    static _Thread_local uint8_t payload[TRAFFIC_LONGEST];
    int result;

    traffic_fill(&run->traffic, number, 0, payload, size);
    while ((result = weir_queue_put(run->queue, payload, size)) == -EAGAIN)
        make_room(run, size + WEIR_QUEUE_HEAD);
    if (result)
        fail("putting: %d", result);
}

static void check_mark(struct run *run)
{
    uint64_t put, taken, octets;

    weir_queue_counts(run->queue, &put, &taken, &octets);
    if (run->plan->mark.messages && run->plan->policy != LATEST &&
        put - taken > run->plan->mark.messages)
        fail("%llu messages wait", (unsigned long long)(put - taken));
}

static void put_number(struct run *run, uint64_t number, uint64_t *state)
{
    struct traffic_shape shape = traffic_shape(&run->traffic, number);

    if (run->plan->policy == LATEST)
        put_latest(run, number);
    else if (shape.command || number % 2)
        put_piecemeal(run, &shape, number, state);
    else if (shape.frames == 1 && number % 4)
        put_simple(run, shape.size[0], number);
    else
        put_message(run, number);
    check_mark(run);
}

static void release_stray(struct run *run)
{
    weir_frame *frame = atomic_exchange(&run->stray, NULL);

    if (!frame)
        return;
    weir_frame_fini(frame);
    free(frame);
}

/* The last message is one that the consumer gets to see. */
static void *produce(void *opaque)
{
    struct run *run = opaque;
    uint64_t state = seed * 3 + 1, number = 1;

    for (; !atomic_load(&run->stop) ||
           traffic_shape(&run->traffic, number).command;
         number++) {
        put_number(run, number, &state);
        release_stray(run);
        nap(&state);
    }
    atomic_store(&run->last, number);
    put_number(run, number, &state);
    run->sent = number;
    return NULL;
}

/* ------------------------------------------------------------ consumer -- */

#define KEPT 64

/* Frames that outlive their chunks' turn. */
struct kept {
    weir_frame frame[KEPT];
    uint64_t number[KEPT];
    int index[KEPT];
};

static void check_frame(struct run *run, weir_frame *frame, uint64_t number,
                        int index)
{
    struct traffic_shape shape = traffic_shape(&run->traffic, number);
    size_t size = weir_frame_size(frame);

    check(index < shape.frames && size == shape.size[index], "a wrong size",
          number);
    check(traffic_check(&run->traffic, number, index, weir_frame_data(frame),
                        size),
          "wrong content", number);
}

/* Release a frame, or let another thread do it. */
static void release(struct run *run, weir_frame *frame, uint64_t random)
{
    weir_frame *stray, *old;

    if (random % 8) {
        weir_frame_fini(frame);
        return;
    }
    stray = malloc(sizeof(*stray));
    if (!stray)
        fail("no memory");
    weir_frame_move(stray, frame);
    old = atomic_exchange(&run->stray, stray);
    if (old)
        weir_frame_fini(old);
    free(old);
}

static void keep_frame(struct run *run, struct kept *kept, weir_frame *frame,
                       uint64_t number, int index, uint64_t *state)
{
    uint64_t random = traffic_random(state), i = random % KEPT;

    if (random >> 8 & 3) {
        weir_frame_fini(frame);
        return;
    }
    if (kept->number[i]) {
        check_frame(run, &kept->frame[i], kept->number[i], kept->index[i]);
        release(run, &kept->frame[i], random >> 16);
    }
    weir_frame_move(&kept->frame[i], frame);
    kept->number[i] = number;
    kept->index[i] = index;
}

static void release_kept(struct run *run, struct kept *kept)
{
    for (int i = 0; i < KEPT; i++)
        if (kept->number[i]) {
            check_frame(run, &kept->frame[i], kept->number[i], kept->index[i]);
            weir_frame_fini(&kept->frame[i]);
        }
    release_stray(run);
}

/* Hidden commands were counted where they were found. */
static uint64_t next_visible(struct run *run, uint64_t number)
{
    while (traffic_shape(&run->traffic, number).hidden)
        number++;
    return number;
}

static void check_order(struct run *run, uint64_t number, uint64_t *next)
{
    const struct plan *plan = run->plan;

    check(number >= *next, "out of order", number);
    if (plan->policy == BLOCK && !plan->cut)
        check(number == next_visible(run, *next), "one was lost before",
              number);
    *next = number + 1;
}

static int take(struct run *run, weir_message *message)
{
    int result;

    lock_end(run, run->received);
    result = weir_queue_take_message(run->received, message);
    unlock_end(run, run->received);
    return result;
}

/* Take and check one message.  Returns its number, 0 when there is none. */
static uint64_t consume_one(struct run *run, struct kept *kept, uint64_t *next,
                            uint64_t *state)
{
    weir_message message;
    uint64_t number;
    int count;

    weir_message_init(&message);
    if (take(run, &message) == -EAGAIN)
        return 0;
    count = (int)weir_message_count(&message);
    number = traffic_number(weir_frame_data(&message.first),
                            weir_frame_size(&message.first));
    check(number != UINT64_MAX, "no number", 0);
    check(count == traffic_shape(&run->traffic, number).frames,
          "a wrong number of frames", number);
    check_order(run, number, next);
    for (int i = 0; i < count; i++) {
        weir_frame *frame = weir_message_frame(&message, (uint32_t)i);

        check_frame(run, frame, number, i);
        keep_frame(run, kept, frame, number, i, state);
    }
    weir_message_fini(&message);
    run->got++;
    return number;
}

static void consume(struct run *run, int64_t end)
{
    static struct kept kept;
    uint64_t state = seed + 99, next = 1, number = 0;

    memset(&kept, 0, sizeof(kept));
    while (number == 0 || number != atomic_load(&run->last)) {
        if (weir_now() >= end)
            atomic_store(&run->stop, true);
        number = consume_one(run, &kept, &next, &state);
        if (number == 0)
            wait_for_message(run, run->received, &run->consumer);
        nap(&state);
    }
    release_kept(run, &kept);
}

/* -------------------------------------------------- producer to consumer -- */

static void open_run(struct run *run, const struct plan *plan)
{
    memset(run, 0, sizeof(*run));
    case_name = plan->name;
    run->plan = plan;
    run->traffic.seed = seed;
    run->traffic.commands = plan->commands;
    run->traffic.large = plan->large;
    run->pool = weir_pool_new(plan->keep);
    run->queue = weir_queue_new(run->pool, plan->mark, plan->light);
    run->received = run->queue;
    if (!run->pool || !run->queue)
        fail("no memory");
    weir_queue_set_writer(run->queue,
                          (struct weir_queue_end){wake, &run->producer});
    weir_queue_set_reader(run->queue,
                          (struct weir_queue_end){wake, &run->consumer});
}

static void close_queue(struct weir_queue *queue, struct weir_pool *pool)
{
    uint64_t put, taken, octets;

    weir_queue_counts(queue, &put, &taken, &octets);
    if (put != taken || octets)
        fail("%llu put, %llu taken, %llu octets left", (unsigned long long)put,
             (unsigned long long)taken, (unsigned long long)octets);
    if (!weir_queue_idle(queue))
        fail("a drained queue is not idle");
    weir_queue_leave(queue);
    weir_pool_close(pool);
    weir_queue_leave(queue);
}

static void check_account(struct run *run)
{
    if (run->got + run->dropped + run->cuts + run->hidden != run->sent)
        fail("sent %llu, got %llu, dropped %llu, cut %llu, hidden %llu",
             (unsigned long long)run->sent, (unsigned long long)run->got,
             (unsigned long long)run->dropped, (unsigned long long)run->cuts,
             (unsigned long long)run->hidden);
    printf("ok %-20s naps %d: sent %8llu dropped %8llu cut %4llu hidden %6llu "
           "sleeps %6llu %6llu\n",
           case_name, nap_kind, (unsigned long long)run->sent,
           (unsigned long long)run->dropped, (unsigned long long)run->cuts,
           (unsigned long long)run->hidden,
           (unsigned long long)atomic_load(&run->slept),
           (unsigned long long)atomic_load(&run->waited));
    fflush(stdout);
}

static void start(pthread_t *thread, void *(*function)(void *), void *argument)
{
    if (pthread_create(thread, NULL, function, argument))
        fail("no thread");
}

static int64_t end_in(double seconds)
{
    return weir_now() + (int64_t)(seconds * 1e9);
}

static void run_direct(const struct plan *plan, double seconds)
{
    static struct run run;
    pthread_t producer;

    open_run(&run, plan);
    start(&producer, produce, &run);
    consume(&run, end_in(seconds));
    pthread_join(producer, NULL);
    release_stray(&run);
    check_account(&run);
    close_queue(run.queue, run.pool);
}

/* ---------------------------------------- producer, writer, receiver ... -- */

static void open_wire(struct run *run)
{
    int size = 20000;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, run->wire))
        fail("socketpair: %d", errno);
    (void)setsockopt(run->wire[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (write(run->courier[1], &run->wire[1], sizeof(int)) != sizeof(int))
        fail("the courier is gone");
}

/* The octets on the way arrive; what was not written never does. */
static void cut_wire(struct run *run)
{
    int old = run->wire[0];

    run->cuts += (uint64_t)weir_queue_cut(run->queue);
    open_wire(run);
    shutdown(old, SHUT_WR);
    close(old);
}

/* Shorten what was gathered to some octets. */
static int shorten(struct iovec *parts, int n, size_t limit)
{
    int i = 0;

    while (i < n && limit > parts[i].iov_len)
        limit -= parts[i++].iov_len;
    if (i < n)
        parts[i++].iov_len = limit;
    return i;
}

static void send_parts(struct run *run, struct iovec *parts, int n,
                       const struct weir_queue_mark_point *at)
{
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = (size_t)n};
    struct pollfd poll_wire = {run->wire[0], POLLOUT, 0};
    ssize_t sent = sendmsg(run->wire[0], &header, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
        (void)poll(&poll_wire, 1, PATIENCE);
    else if (sent < 0)
        fail("sendmsg: %d", errno);
    else
        (void)weir_queue_wrote(run->queue, (size_t)sent, at);
}

static void *drive_writer(void *opaque)
{
    struct weir_queue_mark_point at;
    struct run *run = opaque;
    struct iovec parts[16];
    uint64_t state = seed + 5;
    int n;

    while (!written(run)) {
        uint64_t random = traffic_random(&state);
        size_t limit = 1 + (size_t)(random % 200000);

        lock_end(run, run->queue);
        if (!weir_queue_gather(run->queue, parts, 1 + (int)(random >> 20) % 16,
                               &n, limit, &at)) {
            unlock_end(run, run->queue);
            wait_for_message(run, run->queue, &run->writer);
            continue;
        }
        if (random % 3 == 0)
            n = shorten(parts, n, 1 + (size_t)(random >> 8) % limit);
        send_parts(run, parts, n, &at);
        if (run->plan->cut && (random >> 40) % 50 == 0 &&
            !atomic_load(&run->stop))
            cut_wire(run);
        unlock_end(run, run->queue);
        nap(&state);
    }
    close(run->wire[0]);
    close(run->courier[1]);
    return NULL;
}

static int on_command(void *opaque, const uint8_t *body, size_t size)
{
    struct run *run = opaque;
    uint64_t number = traffic_number(body, size);

    check(number != UINT64_MAX, "a command without a number", 0);
    check(size == traffic_shape(&run->traffic, number).size[0] &&
              traffic_check(&run->traffic, number, 0, body, size),
          "a wrong command", number);
    if (body[8] != 'h')
        return 1;
    run->hidden++;
    return 0;
}

/* The next connection; -1: there is none. */
static int next_wire(struct run *run)
{
    int wire;

    return read(run->courier[0], &wire, sizeof(wire)) == sizeof(wire) ? wire
                                                                      : -1;
}

static ssize_t receive(struct run *run, int wire, uint64_t random)
{
    struct iovec parts[2];
    int n = weir_queue_space(run->received, parts, run->plan->together);

    if (n < 0)
        fail("no memory");
    if (random % 4 == 0) {
        parts[0].iov_len = 1 + (size_t)(random >> 8) % parts[0].iov_len;
        n = 1;
    }
    return readv(wire, parts, n);
}

static struct kept together_kept;

/* The consumer's part, where it is in the receiver's thread. */
static void consume_all(struct run *run, uint64_t *next, uint64_t *state)
{
    while (consume_one(run, &together_kept, next, state))
        ;
}

static void *drive_receiver(void *opaque)
{
    struct run *run = opaque;
    struct weir_queue_parser parser = {.max_frame = TRAFFIC_LONGEST,
                                       .max_frames = TRAFFIC_FRAMES,
                                       .command = on_command,
                                       .arg = run};
    uint64_t state = seed + 6, next = 1;
    int wire = next_wire(run);

    while (wire >= 0) {
        ssize_t octets = receive(run, wire, traffic_random(&state));

        if (octets <= 0) {
            close(wire);
            run->rolled_back += (uint64_t)weir_queue_rollback(run->received);
            wire = next_wire(run);
            continue;
        }
        if (weir_queue_filled(run->received, (size_t)octets, &parser) < 0)
            fail("a wrong frame");
        if (run->plan->together)
            consume_all(run, &next, &state);
        else
            while (weir_queue_full(run->received))
                wait_for_room(run, run->received, &run->receiver);
        nap(&state);
    }
    return NULL;
}

static void open_received(struct run *run)
{
    run->receive_pool = weir_pool_new(run->plan->keep);
    run->received = weir_queue_new(run->receive_pool, run->plan->mark, false);
    if (!run->receive_pool || !run->received)
        fail("no memory");
    weir_queue_set_writer(run->received,
                          (struct weir_queue_end){wake, &run->receiver});
    weir_queue_set_reader(run->received,
                          (struct weir_queue_end){wake, &run->consumer});
    weir_queue_set_reader(run->queue,
                          (struct weir_queue_end){wake, &run->writer});
}

static void let_run(struct run *run, double seconds)
{
    struct timespec tick = {0, 1000000};
    int64_t end = end_in(seconds);

    if (!run->plan->together) {
        consume(run, end);
        return;
    }
    while (weir_now() < end)
        nanosleep(&tick, NULL);
    atomic_store(&run->stop, true);
}

static void run_wire(const struct plan *plan, double seconds)
{
    pthread_t producer, writer, receiver;
    static struct run run;

    open_run(&run, plan);
    open_received(&run);
    memset(&together_kept, 0, sizeof(together_kept));
    if (pipe(run.courier))
        fail("pipe: %d", errno);
    open_wire(&run);
    start(&producer, produce, &run);
    start(&writer, drive_writer, &run);
    start(&receiver, drive_receiver, &run);
    let_run(&run, seconds);
    pthread_join(producer, NULL);
    pthread_join(writer, NULL);
    pthread_join(receiver, NULL);
    close(run.courier[0]);
    release_kept(&run, &together_kept);
    if (run.rolled_back > run.cuts)
        fail("%llu rolled back", (unsigned long long)run.rolled_back);
    check_account(&run);
    close_queue(run.queue, run.pool);
    close_queue(run.received, run.receive_pool);
}

/* ------------------------------------------------------------- fan-out -- */

#define READERS  4
#define FAN_LAST (UINT64_MAX - 1) /* the number that ends it */

struct fan_reader {
    struct run run;
    uint64_t wanted;
    pthread_t thread;
};

static void fan_check(struct run *run, weir_frame *frame, uint64_t *next)
{
    uint64_t number =
        traffic_number(weir_frame_data(frame), weir_frame_size(frame));

    check(number >= *next && number != UINT64_MAX, "out of order", number);
    check(traffic_check(&run->traffic, number, 0, weir_frame_data(frame),
                        weir_frame_size(frame)),
          "wrong content", number);
    *next = number + 1;
    run->got++;
}

static void *fan_read(void *opaque)
{
    struct fan_reader *reader = opaque;
    struct run *run = &reader->run;
    uint64_t state = seed + 1000, next = 0;
    weir_message message;

    weir_message_init(&message);
    while (next != FAN_LAST + 1) {
        if (weir_queue_take_message(run->queue, &message) == -EAGAIN) {
            wait_for_message(run, run->queue, &run->consumer);
            continue;
        }
        fan_check(run, &message.first, &next);
        weir_message_fini(&message);
        nap(&state);
    }
    return NULL;
}

/* Pack some messages of one frame.  Returns how many. */
static uint64_t fan_pack(const struct traffic *traffic,
                         struct weir_chunk *chunk, size_t *offset,
                         uint64_t *number, uint64_t *state)
{
    uint64_t most = 1 + traffic_random(state) % 20, n = 0;

    for (; n < most; n++) {
        size_t size = 9 + (size_t)(traffic_random(state) % 1500);
        uint8_t *at = chunk->data + *offset;

        if (chunk->capacity - *offset < size + WEIR_QUEUE_HEAD)
            break;
        at += weir_queue_head(at, size, 0);
        traffic_fill(traffic, ++*number, 0, at, size);
        *offset = (size_t)(at - chunk->data) + size;
    }
    return n;
}

static void fan_out(struct fan_reader *reader, struct weir_chunk *chunk,
                    size_t from, size_t size, uint64_t n)
{
    while (!weir_queue_room(reader->run.queue, size))
        wait_for_room(&reader->run, reader->run.queue, &reader->run.producer);
    if (weir_queue_put_run(reader->run.queue, chunk, from, size, n))
        fail("no memory");
    reader->wanted += n;
}

static void fan_produce(struct fan_reader *readers, struct weir_pool *pool,
                        int64_t end)
{
    uint64_t state = seed + 3, number = 0;
    struct weir_chunk *chunk = NULL;
    size_t offset = 0, from;

    while (weir_now() < end) {
        uint64_t n, set = traffic_random(&state);

        if (!chunk || chunk->capacity - offset < 4096) {
            if (chunk)
                weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
            chunk = weir_pool_get(pool, 65536);
            offset = 0;
        }
        from = offset;
        n = fan_pack(&readers->run.traffic, chunk, &offset, &number, &state);
        for (int i = 0; i < READERS; i++)
            if (set >> i & 1)
                fan_out(&readers[i], chunk, from, offset - from, n);
        nap(&state);
    }
    weir_chunk_unref(chunk, WEIR_CHUNK_HOLD);
}

static void fan_end(struct fan_reader *reader)
{
    uint8_t last[9];

    traffic_fill(&reader->run.traffic, FAN_LAST, 0, last, sizeof(last));
    while (weir_queue_put(reader->run.queue, last, sizeof(last)) == -EAGAIN)
        wait_for_room(&reader->run, reader->run.queue, &reader->run.producer);
    pthread_join(reader->thread, NULL);
    if (reader->run.got != reader->wanted + 1)
        fail("got %llu of %llu", (unsigned long long)reader->run.got,
             (unsigned long long)reader->wanted + 1);
    reader->run.sent = reader->run.got;
    check_account(&reader->run);
    close_queue(reader->run.queue, reader->run.pool);
}

static void run_fan(const struct plan *plan, double seconds)
{
    static struct fan_reader readers[READERS];
    struct weir_pool *pool = weir_pool_new(plan->keep);

    memset(readers, 0, sizeof(readers));
    if (!pool)
        fail("no memory");
    for (int i = 0; i < READERS; i++) {
        open_run(&readers[i].run, plan);
        start(&readers[i].thread, fan_read, &readers[i]);
    }
    fan_produce(readers, pool, end_in(seconds));
    weir_pool_close(pool);
    for (int i = 0; i < READERS; i++)
        fan_end(&readers[i]);
}

/* ----------------------------------------------------- nothing but sleep -- */

/* Short bursts, with pauses about as long as it takes to fall asleep. */
static void *send_bursts(void *opaque)
{
    struct run *run = opaque;
    uint64_t state = seed + 11, number = 1;

    for (; !atomic_load(&run->stop); number++) {
        put_simple(run, 9, number);
        if (traffic_random(&state) % 3 == 0)
            spin(traffic_random(&state) % 300);
    }
    atomic_store(&run->last, number);
    put_simple(run, 9, number);
    run->sent = number;
    return NULL;
}

static void run_sleep(const struct plan *plan, double seconds)
{
    uint64_t number = 0, next = 1, state = seed + 21;
    int64_t end = end_in(seconds);
    static struct run run;
    weir_message message;
    pthread_t producer;

    open_run(&run, plan);
    start(&producer, send_bursts, &run);
    weir_message_init(&message);
    while (number == 0 || number != atomic_load(&run.last)) {
        if (weir_now() >= end)
            atomic_store(&run.stop, true);
        while (weir_queue_take_message(run.queue, &message) == -EAGAIN)
            wait_for_message(&run, run.queue, &run.consumer);
        number = traffic_number(weir_frame_data(&message.first), 9);
        check(number == next++, "out of order", number);
        weir_message_fini(&message);
        if (plan->mark.messages && traffic_random(&state) % 8 == 0)
            spin(traffic_random(&state) % 500);
        run.got++;
    }
    pthread_join(producer, NULL);
    check_account(&run);
    close_queue(run.queue, run.pool);
}

/* -------------------------------------------------- at the same moment -- */

/* One side commits or takes while the other arms itself and looks once more:
 * either the look finds what was done, or who did it finds the other armed. */
struct meeting {
    struct weir_queue *queue;
    _Atomic uint32_t round, done; /* what the other side runs, has run */
    _Atomic uint32_t reader_told, writer_told;
    bool room; /* ordered by done: the producer's look found room */
};

/* Wait, in turns that get longer, until the word is no longer `old`. */
static uint32_t wait_for_change(_Atomic uint32_t *word, uint32_t old)
{
    int64_t deadline = weir_deadline_in(PATIENCE);
    uint32_t now;

    for (int turns = 0; (now = atomic_load(word)) == old; turns++) {
        weir_cpu_relax();
        if (turns % 4096 == 4095)
            sched_yield();
        if (turns % 1048576 == 1048575 && weir_now() > deadline)
            fail("the other side does not come");
    }
    return now;
}

static void meet_as_producer(struct meeting *meeting, uint32_t round)
{
    if (round % 2)
        (void)weir_queue_put(meeting->queue, &round, sizeof(round));
    else
        meeting->room = !weir_queue_arm_writer(meeting->queue);
}

static void *meet(void *opaque)
{
    struct meeting *meeting = opaque;
    uint32_t round = 0;

    while ((round = wait_for_change(&meeting->round, round)) != UINT32_MAX) {
        meet_as_producer(meeting, round);
        atomic_store(&meeting->done, round);
    }
    return NULL;
}

/* The queue is empty; a message comes while the consumer falls asleep. */
static void meet_message(struct meeting *meeting, uint32_t round)
{
    bool ready;

    atomic_store(&meeting->reader_told, 0);
    atomic_store(&meeting->round, round);
    spin(round / 2 % 64);
    weir_queue_arm_reader(meeting->queue);
    weir_queue_fence_reader(meeting->queue);
    ready = weir_queue_ready(meeting->queue);
    (void)wait_for_change(&meeting->done, round - 1);
    if (!ready && !atomic_load(&meeting->reader_told))
        fail("a wake-up of the consumer was lost in round %u", round);
    weir_queue_disarm_reader(meeting->queue);
}

/* The queue is full; it is drained while the producer falls asleep. */
static void meet_room(struct meeting *meeting, uint32_t round)
{
    atomic_store(&meeting->writer_told, 0);
    atomic_store(&meeting->round, round);
    spin(round / 2 % 64);
    if (!weir_queue_skip(meeting->queue))
        fail("a message was lost in round %u", round);
    (void)wait_for_change(&meeting->done, round - 1);
    if (!meeting->room && !atomic_load(&meeting->writer_told))
        fail("a wake-up of the producer was lost in round %u", round);
}

static void told(void *word)
{
    atomic_store((_Atomic uint32_t *)word, 1);
}

static void run_meeting(const struct plan *plan, double seconds)
{
    struct weir_pool *pool = weir_pool_new(plan->keep);
    struct meeting meeting = {
        .queue = weir_queue_new(pool, plan->mark, plan->light)};
    int64_t end = end_in(seconds);
    uint32_t round = 1;
    pthread_t thread;

    case_name = plan->name;
    if (!pool || !meeting.queue)
        fail("no memory");
    weir_queue_set_reader(meeting.queue,
                          (struct weir_queue_end){told, &meeting.reader_told});
    weir_queue_set_writer(meeting.queue,
                          (struct weir_queue_end){told, &meeting.writer_told});
    start(&thread, meet, &meeting);
    for (; weir_now() < end; round += 2) {
        meet_message(&meeting, round);
        meet_room(&meeting, round + 1);
    }
    atomic_store(&meeting.round, UINT32_MAX);
    pthread_join(thread, NULL);
    printf("ok %-20s rounds %u\n", case_name, round - 1);
    close_queue(meeting.queue, pool);
}

/* --------------------------------------------------------------- cases -- */

#define MB (UINT64_C(1) << 20)

static const struct plan sleeps[] = {
    {.name = "sleep", .light = true, .keep = MB},
    {.name = "sleep full fence", .keep = MB},
    {.name = "sleep 1", .mark = {1, 0}, .light = true, .keep = MB},
    {.name = "sleep 3", .mark = {3, 0}, .keep = MB},
    {.name = "sleep 8", .mark = {8, 0}, .light = true, .keep = MB},
};

static const struct plan meetings[] = {
    {.name = "meet", .mark = {1, 0}, .keep = MB},
    {.name = "meet light", .mark = {1, 0}, .light = true, .keep = MB},
};

static const struct plan directs[] = {
    {.name = "block 1", .mark = {1, 0}, .light = true, .keep = MB},
    {.name = "block 7/20k", .mark = {7, 20000}, .keep = MB},
    {.name = "block 1000", .mark = {1000, 0}, .light = true, .keep = MB},
    {.name = "block 50000", .mark = {50000, 0}, .keep = MB, .large = true},
    {.name = "block octets", .mark = {0, 300000}, .light = true, .keep = 0},
    {.name = "block large", .mark = {0, 4 * MB}, .keep = MB, .large = true},
    {.name = "drop-old 100", .mark = {100, 0}, .policy = DROP_OLD, .keep = MB},
    {.name = "drop-old 1", .mark = {1, 0}, .policy = DROP_OLD, .light = true},
    {.name = "drop-old octets", .mark = {0, 90000}, .policy = DROP_OLD},
    {.name = "latest", .policy = LATEST, .light = true, .keep = MB},
    {.name = "latest unpooled", .policy = LATEST, .large = true},
};

static const struct plan wires[] = {
    {.name = "writer 1000", .mark = {1000, MB}, .keep = MB},
    {.name = "writer 1", .mark = {1, 0}, .light = true},
    {.name = "writer 5/30k", .mark = {5, 30000}, .commands = true},
    {.name = "writer together", .together = true, .keep = MB, .large = true},
    {.name = "writer commands",
     .mark = {10000, MB},
     .commands = true,
     .large = true,
     .keep = 4 * MB},
    {.name = "writer drop-old", .mark = {5, 40000}, .policy = DROP_OLD},
    {.name = "cut drop-old",
     .mark = {20, 0},
     .policy = DROP_OLD,
     .cut = true,
     .commands = true},
    {.name = "cut 1000", .mark = {1000, 0}, .cut = true, .keep = MB},
    {.name = "cut commands",
     .cut = true,
     .commands = true,
     .large = true,
     .mark = {50, 2 * MB}},
    {.name = "cut together",
     .cut = true,
     .together = true,
     .mark = {9, 0},
     .commands = true},
};

static const struct plan fans[] = {
    {.name = "fan", .mark = {0, 4 * MB}, .keep = 4 * MB},
    {.name = "fan small", .mark = {100, 60000}, .light = true},
};

static void run_all(const struct plan *plans, size_t n, double seconds,
                    const char *only, void (*run)(const struct plan *, double))
{
    for (size_t i = 0; i < n; i++)
        if (strstr(plans[i].name, only))
            run(&plans[i], seconds);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.05;
    const char *only = argc > 3 ? argv[3] : "";

    if (argc > 2)
        seed = strtoull(argv[2], NULL, 0);
    weir_fence_init();
    run_all(meetings, COUNT(meetings), seconds, only, run_meeting);
    run_all(sleeps, COUNT(sleeps), seconds, only, run_sleep);
    for (nap_kind = 0; nap_kind < 3; nap_kind++) {
        run_all(directs, COUNT(directs), seconds, only, run_direct);
        run_all(wires, COUNT(wires), seconds, only, run_wire);
        run_all(fans, COUNT(fans), seconds, only, run_fan);
    }
    return 0;
}
