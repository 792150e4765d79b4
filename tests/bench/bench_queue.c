/*
 * bench_queue.c - what the queue alone costs.
 *
 * bench_queue [SIZE...]
 * Prints for each size of a frame, in nanoseconds a message, the best of some
 * rounds: put and take, put and write out, find in received octets and take
 * (all in one thread), then between two threads; and the memory of queues.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fence.h"
#include "base/park.h"
#include "frame.h"
#include "queue.h"

#define ROUNDS 9
#define BATCH  60000 /* octets put before they are taken */
#define MB     (UINT64_C(1) << 20)

static uint8_t payload[1 << 20];
static volatile uint64_t sink;

static struct weir_queue *open_queue(struct weir_pool *pool,
                                     struct weir_queue_limits mark, bool light)
{
    struct weir_queue *queue = weir_queue_new(pool, mark, light);

    if (!queue)
        exit(1);
    return queue;
}

static struct weir_pool *open_pool(void)
{
    struct weir_pool *pool = weir_pool_new(4 * MB);

    if (!pool)
        exit(1);
    return pool;
}

static void close_queue(struct weir_queue *queue, struct weir_pool *pool)
{
    weir_queue_leave(queue);
    weir_queue_leave(queue);
    weir_pool_close(pool);
}

static long batch_of(size_t size)
{
    return (long)(BATCH / (size + WEIR_QUEUE_HEAD)) + 1;
}

static long messages_of(size_t size)
{
    return size > 2000 ? 100000 : 2000000;
}

/* ---------------------------------------------------------- one thread -- */

static void put_some(struct weir_queue *queue, size_t size, long n)
{
    while (n--)
        if (weir_queue_put(queue, payload, size))
            exit(1);
}

/* No frame here has a peer. */
static void drop(weir_frame *frame)
{
    struct weir_chunk *chunk = weir_frame_chunk(frame);

    if (chunk)
        weir_chunk_unref(chunk, 1);
}

static void take_all(struct weir_queue *queue)
{
    const uint8_t *data;
    weir_frame frame;
    unsigned flags;
    size_t size;

    while (weir_queue_peek(queue, &data, &size, &flags)) {
        weir_queue_take(queue, &frame);
        sink += *weir_frame_octets(&frame);
        drop(&frame);
    }
}

static void write_all(struct weir_queue *queue)
{
    struct weir_queue_mark_point at;
    struct iovec parts[32];
    ssize_t octets;
    int n;

    while ((octets = weir_queue_gather(queue, parts, 32, &n, 1 << 18, &at)))
        (void)weir_queue_wrote(queue, (size_t)octets, &at);
}

static double bench_put(size_t size, void (*drain)(struct weir_queue *),
                        bool light)
{
    struct weir_pool *pool = open_pool();
    struct weir_queue *queue =
        open_queue(pool, (struct weir_queue_limits){100000, 64 * MB}, light);
    long messages = messages_of(size), batch = batch_of(size);
    int64_t begin = weir_now();

    for (long n = 0; n < messages; n += batch) {
        put_some(queue, size, batch);
        drain(queue);
        weir_queue_rewind(queue);
    }
    begin = weir_now() - begin;
    close_queue(queue, pool);
    return (double)begin / (double)messages;
}

static double bench_put_take(size_t size)
{
    return bench_put(size, take_all, true);
}

static double bench_put_take_fence(size_t size)
{
    return bench_put(size, take_all, false);
}

static double bench_put_write(size_t size)
{
    return bench_put(size, write_all, true);
}

static size_t pack(uint8_t *at, size_t size, long n)
{
    uint8_t *begin = at;

    while (n--) {
        at += weir_queue_head(at, size, 0);
        memcpy(at, payload, size);
        at += size;
    }
    return (size_t)(at - begin);
}

/* As a kernel would read into it. */
static void copy_in(struct weir_queue *queue, const uint8_t *from, size_t size)
{
    struct weir_queue_parser parser = {0};
    struct iovec parts[2];

    while (size) {
        int n = weir_queue_space(queue, parts, true);
        size_t octets = 0;

        for (int i = 0; i < n && size; i++) {
            size_t some = size < parts[i].iov_len ? size : parts[i].iov_len;

            memcpy(parts[i].iov_base, from, some);
            from += some;
            size -= some;
            octets += some;
        }
        if (weir_queue_filled(queue, octets, &parser) < 0)
            exit(1);
    }
}

static double bench_receive(size_t size)
{
    struct weir_pool *pool = open_pool();
    struct weir_queue *queue =
        open_queue(pool, (struct weir_queue_limits){0}, false);
    long messages = messages_of(size), batch = batch_of(size);
    uint8_t *octets = malloc((size_t)batch * (size + WEIR_QUEUE_HEAD));
    size_t length = pack(octets, size, batch);
    int64_t begin = weir_now();

    for (long n = 0; n < messages; n += batch) {
        copy_in(queue, octets, length);
        take_all(queue);
    }
    begin = weir_now() - begin;
    close_queue(queue, pool);
    free(octets);
    return (double)begin / (double)messages;
}

/* --------------------------------------------------------- two threads -- */

#define PAIR_TIME 300   /* ms */
#define SPIN      20000 /* ns */

struct pair {
    struct weir_queue *queue;
    size_t size;
    _Atomic bool stop;
    _Atomic uint32_t reader, writer;
};

static void wake(void *word)
{
    atomic_store((_Atomic uint32_t *)word, 1);
    weir_unpark(word, 1);
}

static void pair_wait_room(struct pair *pair)
{
    int64_t end = weir_now() + SPIN;

    while (weir_now() < end)
        for (int i = 0; i < 16; i++) {
            if (weir_queue_room(pair->queue, pair->size + WEIR_QUEUE_HEAD))
                return;
            weir_cpu_relax();
        }
    atomic_store(&pair->writer, 0);
    if (weir_queue_arm_writer(pair->queue))
        while (!atomic_load(&pair->writer))
            weir_park(&pair->writer, 0, WEIR_NEVER);
}

static void *pair_put(void *opaque)
{
    struct pair *pair = opaque;

    while (!atomic_load_explicit(&pair->stop, memory_order_relaxed))
        if (weir_queue_put(pair->queue, payload, pair->size))
            pair_wait_room(pair);
    return NULL;
}

/* Who chases a stream waits for a batch, then spins, then sleeps. */
static void pair_wait_message(struct pair *pair, uint64_t got)
{
    struct weir_queue *queue = pair->queue;
    int64_t begin = weir_now();

    while (
        got > 1 && weir_now() - begin < 4000 &&
        atomic_load_explicit(&queue->published, memory_order_relaxed) -
                atomic_load_explicit(&queue->consumed, memory_order_relaxed) <
            16384)
        for (int i = 0; i < 8; i++)
            weir_cpu_relax();
    while (weir_now() - begin < SPIN)
        for (int i = 0; i < 16; i++) {
            if (weir_queue_ready(queue))
                return;
            weir_cpu_relax();
        }
    atomic_store(&pair->reader, 0);
    weir_queue_arm_reader(queue);
    weir_queue_fence_reader(queue);
    if (!weir_queue_ready(queue))
        while (!atomic_load(&pair->reader))
            weir_park(&pair->reader, 0, weir_deadline_in(100));
    weir_queue_disarm_reader(queue);
}

static uint64_t pair_take(struct pair *pair, int64_t end)
{
    uint64_t taken = 0, looked = 0;
    const uint8_t *data;
    weir_frame frame;
    unsigned flags;
    size_t size;

    while (weir_now() < end)
        for (int i = 0; i < 256; i++) {
            while (!weir_queue_peek(pair->queue, &data, &size, &flags)) {
                pair_wait_message(pair, taken - looked);
                looked = taken;
            }
            weir_queue_take(pair->queue, &frame);
            sink += *weir_frame_octets(&frame);
            drop(&frame);
            taken++;
        }
    return taken;
}

static double bench_pair(size_t size, uint64_t mark)
{
    struct weir_pool *pool = open_pool();
    struct pair pair = {
        .queue = open_queue(pool, (struct weir_queue_limits){0, mark}, true),
        .size = size};
    int64_t begin = weir_now();
    pthread_t thread;
    uint64_t taken;

    weir_queue_set_reader(pair.queue,
                          (struct weir_queue_end){wake, &pair.reader});
    weir_queue_set_writer(pair.queue,
                          (struct weir_queue_end){wake, &pair.writer});
    if (pthread_create(&thread, NULL, pair_put, &pair))
        exit(1);
    taken = pair_take(&pair, begin + PAIR_TIME * INT64_C(1000000));
    begin = weir_now() - begin;
    atomic_store(&pair.stop, true);
    wake(&pair.writer);
    take_all(pair.queue);
    pthread_join(thread, NULL);
    close_queue(pair.queue, pool);
    return (double)begin / (double)taken;
}

/* -------------------------------------------------------------- memory -- */

static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all = 0, pages = 0;

    if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void show_idle(void)
{
    enum { QUEUES = 10000 };
    static struct weir_queue *queues[QUEUES];
    struct weir_pool *pool = open_pool();
    long before = resident(), fresh, used;

    for (int i = 0; i < QUEUES; i++)
        queues[i] = open_queue(pool, (struct weir_queue_limits){0}, true);
    fresh = resident();
    for (int i = 0; i < QUEUES; i++) {
        put_some(queues[i], 64, 1);
        take_all(queues[i]);
        (void)weir_queue_idle(queues[i]);
    }
    weir_pool_trim(pool);
    used = resident();
    printf("idle queue: %ld octets fresh, %ld after use (%zu by count)\n",
           (fresh - before) * 1024 / QUEUES, (used - before) * 1024 / QUEUES,
           sizeof(struct weir_queue));
    for (int i = 0; i < QUEUES; i++) {
        weir_queue_leave(queues[i]);
        weir_queue_leave(queues[i]);
    }
    weir_pool_close(pool);
}

static void show_shrink(void)
{
    struct weir_pool *pool = open_pool();
    struct weir_queue *queue =
        open_queue(pool, (struct weir_queue_limits){0}, true);
    long before = resident(), full, drained;
    int64_t begin = weir_now(), put;

    put_some(queue, 64, 15000000);
    put = weir_now() - begin;
    full = resident();
    take_all(queue);
    (void)weir_queue_idle(queue);
    weir_pool_trim(pool);
    drained = resident();
    printf("1 GB queued at %.1f ns a message: %ld KB before, %ld full, %ld "
           "drained\n",
           (double)put / 15e6, before, full, drained);
    close_queue(queue, pool);
}

/* ------------------------------------------------------------------------ */

static double bench_pair_mb(size_t size)
{
    return bench_pair(size, MB);
}

static double best(double (*bench)(size_t), size_t size)
{
    double least = 1e18;

    for (int i = 0; i < ROUNDS; i++) {
        double once = bench(size);

        if (once < least)
            least = once;
    }
    return least;
}

static void show(size_t size)
{
    printf("%7zu octets: put+take %.1f (full fence %.1f)  put+write %.1f  "
           "receive+take %.1f  two threads %.1f ns\n",
           size, best(bench_put_take, size), best(bench_put_take_fence, size),
           best(bench_put_write, size), best(bench_receive, size),
           best(bench_pair_mb, size));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {16, 64, 1024, 16384, 65536};

    memset(payload, 'x', sizeof(payload));
    weir_fence_init();
    for (int i = 1; i < argc; i++)
        show(strtoul(argv[i], NULL, 0) % sizeof(payload));
    for (size_t i = 0; argc < 2 && i < sizeof(sizes) / sizeof(*sizes); i++)
        show(sizes[i]);
    if (argc < 2) {
        show_idle();
        show_shrink();
    }
    return 0;
}
