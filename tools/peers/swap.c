/* swap.c - weir bench swap: messages that go to a disk and come back, and what
 * another socket has of that. */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "disk.h"
#include "histogram.h"
#include "side.h"
#include "spool.h"

#define MARK  1000                 /* messages; what is above is swapped */
#define MOST  (UINT64_C(16) << 30) /* octets of a swap */
#define BELOW (UINT64_C(64) << 20) /* octets below the mark at most */
#define AHEAD (512 << 10)          /* octets that are in memory besides those */

/* Words of struct weir_side_shared: what the peer may take, what it has. */
enum { WANTED, TAKEN };

struct swap {
    struct weir_side *side;
    struct weir_side_end *sender, *near, *far;
    const char *dir;
    uint64_t budget, sent;
    double pace; /* messages per second at most; 0: as fast as it can */
    _Atomic bool stop;
};

/* ---- the peer, which reads when it is told to ---- */

static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_PULL);
    struct weir_side_shared *shared = side->shared;
    uint64_t taken = 0;

    (void)number;
    if (!end)
        return -1;
    for (;;) {
        long got;

        if (taken >= atomic_load(&shared->of[WANTED].count)) {
            weir_meter_sleep(200000);
            continue;
        }
        got = side->ops->recv(end, true);
        if (got < 0)
            return -1;
        taken += (uint64_t)got;
        atomic_store(&shared->of[TAKEN].count, taken);
    }
}

/* ---- a sender that swaps ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A setting that goes before those of the user. */
static void put(struct weir_side_plan *plan, const char *setting)
{
    plan->settings[plan->n_settings++] = setting;
}

static int open_sender(struct swap *swap)
{
    static char mark[64], octets[64], dir[4200], store[64];
    const struct weir_side_plan *given = swap->side->plan;
    struct weir_side_plan plan = *given;
    struct weir_side side = *swap->side;

    snprintf(mark, sizeof mark, "send-mark=%d", MARK);
    snprintf(octets, sizeof octets, "send-swap=%" PRIu64, swap->budget);
    snprintf(dir, sizeof dir, "swap-dir=%s", swap->dir);
    snprintf(store, sizeof store, "swap-store=%s", plan.store);
    plan.n_settings = 0;
    put(&plan, mark);
    if (plan.store[0])
        put(&plan, store);
    put(&plan, dir);
    put(&plan, octets);
    for (unsigned i = 0; i < given->n_settings; i++)
        put(&plan, given->settings[i]);
    side.plan = &plan;
    swap->sender = weir_side_bind(&side, WEIR_SIDE_PUSH);
    return swap->sender ? 0 : -1;
}

/* Octets that are sent at a time at most: all runs together fit in the swap. */
static uint64_t most(const struct swap *swap)
{
    return swap->budget / 4;
}

/* Wait until so many messages are due. */
static void keep_pace(const struct swap *swap,
                      const struct weir_side_span *span)
{
    double due = swap->pace > 0 ? (double)span->messages / swap->pace : 0;
    uint64_t ns = weir_meter_seconds(due);

    if (ns > span->ns)
        weir_meter_sleep(ns - span->ns);
}

/* Send for so long, unless that is too much; the disk says how fast. */
static int fill(struct swap *swap, uint64_t ns, struct weir_side_span *span)
{
    uint64_t size = swap->side->plan->size + 16, start = weir_meter_now();
    uint64_t end = most(swap) / size;
    int step = size > 4096 ? 1 : 64;

    span->messages = 0;
    do {
        for (int i = 0; i < step; i++) {
            if (swap->side->ops->send(swap->sender, true) < 0)
                return -1;
        }
        span->messages += (uint64_t)step;
        span->ns = weir_meter_now() - start;
        keep_pace(swap, span);
    } while (span->ns < ns && span->messages < end &&
             !atomic_load(&swap->stop));
    swap->sent += span->messages;
    return 0;
}

/* All is in the store that does not wait below the mark, and on the disk. */
static int settle(struct swap *swap)
{
    uint64_t size = swap->side->plan->size + 16;
    uint64_t right = least(MARK * size, BELOW) + AHEAD + 2 * size;

    while (swap->side->ops->unstored(swap->sender) > right)
        weir_meter_sleep(200000);
    return weir_disk_sync(swap->dir);
}

/* Before each of the two measurements: nothing waits for the disk, whoever
 * wrote it, and giving back what was removed is over.  Memory for the octets
 * that will be written has been used a moment ago: where the system is a guest,
 * it takes longer to get it than to fill it. */
static int make_ready(const struct swap *swap, uint64_t octets)
{
    if (weir_disk_write(swap->dir, least(octets, most(swap))) == 0)
        return -1;
    sync();
    return 0;
}

/* Octets of messages in a second. */
static double rate_of(const struct swap *swap,
                      const struct weir_side_span *span)
{
    return (double)span->messages * (double)swap->side->plan->size * 1e9 /
           (double)span->ns;
}

/* What goes to the disk in the time of a run, when the peer and its connection
 * are full. */
static int measure_there(struct swap *swap, struct weir_side_span *span)
{
    const struct weir_side_plan *plan = swap->side->plan;
    uint64_t start;

    if (fill(swap, weir_meter_seconds(plan->warm), span) != 0 ||
        settle(swap) != 0 ||
        make_ready(swap, (uint64_t)(2 * plan->run * rate_of(swap, span))) != 0)
        return -1;
    start = weir_meter_now();
    if (fill(swap, weir_meter_seconds(plan->run), span) != 0 ||
        settle(swap) != 0)
        return -1;
    span->ns = weir_meter_now() - start;
    return 0;
}

/* The peer takes all that was sent. */
static void measure_back(struct swap *swap, struct weir_side_span *span)
{
    struct weir_side_shared *shared = swap->side->shared;
    uint64_t start = weir_meter_now();

    span->messages = swap->sent - atomic_load(&shared->of[TAKEN].count);
    atomic_store(&shared->of[WANTED].count, swap->sent);
    weir_side_await(swap->side, swap->sender, &shared->of[TAKEN].count,
                    swap->sent);
    span->ns = weir_meter_now() - start;
}

/* ---- two more sockets of the process ---- */

static void *answer(void *arg)
{
    const struct swap *swap = arg;
    const struct weir_side_ops *ops = swap->side->ops;

    while (ops->recv(swap->far, true) >= 0 && ops->send(swap->far, true) >= 0)
        ;
    return NULL;
}

static int open_pair(struct swap *swap)
{
    const struct weir_side_ops *ops = swap->side->ops;
    pthread_t thread;
    char url[256];

    swap->near = ops->open(swap->side->plan, WEIR_SIDE_PAIR);
    swap->far = ops->open(swap->side->plan, WEIR_SIDE_PAIR);
    if (!swap->near || !swap->far ||
        ops->bind(swap->near, "tcp://127.0.0.1:*", url) != 0 ||
        ops->connect(swap->far, url) != 0)
        return -1;
    return pthread_create(&thread, NULL, answer, swap) == 0 ? 0 : -1;
}

/* The 99th percentile of their round trip, in us; < 0: it failed. */
static double ask(struct swap *swap, double seconds)
{
    static struct weir_histogram histogram;

    if (weir_side_ask(swap->side, swap->near, weir_meter_seconds(seconds),
                      &histogram) != 0)
        return -1;
    return (double)weir_histogram_at(&histogram, 0.99) / 1e3;
}

static void *keep_filling(void *arg)
{
    struct weir_side_span span;

    return fill(arg, weir_meter_seconds(3600), &span) == 0 ? arg : NULL;
}

/* It is over before the other thread has sent all that it may. */
static double ask_while_filling(struct swap *swap,
                                const struct weir_side_span *span, double pace)
{
    double run = swap->side->plan->run;
    double longest = 0.8 * (double)most(swap) / rate_of(swap, span);
    pthread_t thread;
    void *good;
    double delay;

    swap->pace = pace;
    atomic_store(&swap->stop, false);
    if (pthread_create(&thread, NULL, keep_filling, swap) != 0)
        return -1;
    delay = ask(swap, run < longest ? run : longest);
    atomic_store(&swap->stop, true);
    pthread_join(thread, &good);
    return good ? delay : -1;
}

/* The same while a plain program does in place of the swap what it can, when
 * what was swapped is on the disk. */
static double ask_beside_plain(struct swap *swap)
{
    struct weir_spool *spool;
    double delay;

    if (settle(swap) != 0)
        return -1;
    spool = weir_spool_start(swap->dir, swap->side->plan->size, most(swap));
    if (!spool)
        return -1;
    delay = ask(swap, swap->side->plan->run);
    return weir_spool_stop(spool) == 0 ? delay : -1;
}

/* ---- a run ---- */

static int set_up(struct swap *swap)
{
    const char *dir = swap->side->plan->dir;
    uint64_t room;

    swap->dir = dir[0] ? dir : weir_disk_folder();
    room = weir_disk_room(swap->dir);
    swap->budget = least(room / 4 * 3, MOST);
    if (room == 0 || weir_side_add(swap->side, 1, feed) != 0)
        return -1;
    return open_sender(swap) == 0 ? open_pair(swap) : -1;
}

/* Both in octets of messages. */
static int print_rates(const struct swap *swap,
                       const struct weir_side_span *span)
{
    uint64_t octets = span->messages * swap->side->plan->size;
    uint64_t raw;

    if (make_ready(swap, octets) != 0)
        return -1;
    raw = weir_disk_write(swap->dir, octets);
    if (raw == 0)
        return -1;
    weir_side_figure("MB/s", rate_of(swap, span) / 1e6);
    weir_side_figure("raw_MB/s", (double)octets * 1e3 / (double)raw);
    weir_side_figure("of_raw_%", 100 * (double)raw / (double)span->ns);
    return 0;
}

static int run(struct weir_side *side)
{
    static struct swap swap;
    struct weir_side_span there, back;
    double calm, filling, half, plain;

    swap.side = side;
    if (set_up(&swap) != 0 || ask(&swap, side->plan->warm) < 0)
        return -1;
    calm = ask(&swap, side->plan->run);
    if (calm < 0 || measure_there(&swap, &there) != 0)
        return -1;
    measure_back(&swap, &back);
    weir_side_rate("msg/s", &there);
    weir_side_rate("back/s", &back);
    if (print_rates(&swap, &there) != 0)
        return -1;
    filling = ask_while_filling(&swap, &there, 0);
    if (filling < 0)
        return -1;
    half = ask_while_filling(&swap, &there,
                             0.5e9 * (double)there.messages / (double)there.ns);
    if (half < 0)
        return -1;
    plain = ask_beside_plain(&swap);
    if (plain < 0)
        return -1;
    weir_side_figure("calm_us", calm);
    weir_side_figure("p99_us", filling);
    weir_side_figure("p99_x", filling / calm);
    weir_side_figure("half_x", half / calm);
    weir_side_figure("plain_x", plain / calm);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"msg/s", true},     {"p99_us", false},  {"MB/s", true},
    {"raw_MB/s", false}, {"of_raw_%", true}, {"back/s", true},
    {"calm_us", false},  {"p99_x", false},   {"half_x", false},
    {"plain_x", false},  {NULL, false},
};

const struct weir_side_test weir_side_swap = {
    .name = "swap",
    .summary = "what goes to a disk and comes back",
    .about =
        "A PUSH with a swap sends to a PULL that does not read: messages per "
        "second\nuntil they are on the disk, and their octets.  raw_MB/s is "
        "what plain writes of\n1 MB do after that, for as many octets in the "
        "same folder, of_raw_% the ratio;\nboth end with fdatasync.  back/s: "
        "then the peer reads all of it.\n\n"
        "p99_us is the 99th percentile of the round trip between two more "
        "sockets of\nthe sender's process while it swaps, calm_us while it "
        "does not send, p99_x the\nratio; half_x is the ratio while it sends "
        "half as many a second, plain_x while a\nplain program writes such "
        "messages to a file.\n",
    .metrics = metrics,
    .transports = "tcp",
    .sizes = "64,1K",
    .swap = true,
    .run = run,
};
