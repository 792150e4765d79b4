/* topics.c - weir bench topics: many subscriptions. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "side.h"

#define TOPIC    14    /* octets of "topic.%08x" */
#define CARDS    65536 /* messages that are prepared */
#define WARM     64    /* of these, the ones that caches keep */
#define STEP     256   /* sends between two looks at the clock */
#define PAUSE_NS 1000000

/* Messages that say "I hear you" and "I know all of them". */
#define HELLO "~hello.........."
#define LAST  "~last..........."

/* What the other side tells: counters of the shared memory. */
enum { HEARS, BEGAN, ENDED };

/* Topic `i`: odd multiples are all different, and lie far apart. */
static void write_topic(char *topic, uint64_t i)
{
    char text[TOPIC + 1];

    snprintf(text, sizeof text, "topic.%08x", (unsigned)i * 2654435761u);
    memcpy(topic, text, TOPIC);
}

/* ---- the subscriber ---- */

static void tell(struct weir_side *side, int what)
{
    atomic_store(&side->shared->of[what].count, weir_meter_now());
}

/* Take messages up to the one with these octets. */
static int await_message(struct weir_side *side, struct weir_side_end *end,
                         const char *words)
{
    do {
        if (side->ops->recv(end, true) < 0)
            return -1;
    } while (memcmp(end->stamp, words, sizeof end->stamp) != 0);
    return 0;
}

static int subscribe_all(struct weir_side *side, struct weir_side_end *end)
{
    char topic[TOPIC];

    for (uint64_t i = 0; i < side->plan->n; i++) {
        write_topic(topic, i);
        if (side->ops->subscribe(end, topic, TOPIC) != 0)
            return -1;
    }
    return side->ops->subscribe(end, LAST, strlen(LAST));
}

static int feed(struct weir_side *side, unsigned number)
{
    struct weir_side_end *end = weir_side_connect(side, WEIR_SIDE_SUB);
    double memory;

    (void)number;
    if (!end || side->ops->subscribe(end, HELLO, strlen(HELLO)) != 0 ||
        await_message(side, end, HELLO) != 0)
        return -1;
    tell(side, HEARS);
    memory = (double)weir_meter_memory(0);
    tell(side, BEGAN);
    if (subscribe_all(side, end) != 0 || await_message(side, end, LAST) != 0)
        return -1;
    side->shared->figures[0] = (double)weir_meter_memory(0) - memory;
    tell(side, ENDED);
    for (;;)
        weir_meter_sleep(1000000000);
}

/* ---- the publisher ---- */

/* Say it again and again until the other side tells this. */
static int say_until(struct weir_side *side, struct weir_side_end *end,
                     const char *words, int what)
{
    memcpy(end->payload, words, strlen(words));
    end->size = strlen(words);
    while (!atomic_load(&side->shared->of[what].count)) {
        if (side->ops->send(end, true) < 0)
            return -1;
        weir_meter_sleep(PAUSE_NS);
    }
    return 0;
}

/* Topics of the other side, but for the last octet: nobody wants them, and
 * that shows late. */
static char *make_cards(uint64_t n)
{
    uint64_t random = 88172645463325252u;
    char *cards = malloc((size_t)CARDS * TOPIC);

    for (size_t i = 0; cards && i < CARDS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        write_topic(cards + i * TOPIC, random % n);
        cards[i * TOPIC + TOPIC - 1] = 'x';
    }
    return cards;
}

/* Send the first so many cards in turn; the CPU time of each in ns. */
static int match(struct weir_side *side, struct weir_side_end *end,
                 const char *cards, unsigned many, double *each)
{
    uint64_t start = weir_meter_now(), cpu = weir_meter_thread();
    uint64_t ns = weir_meter_seconds(side->plan->run / 2), sent = 0;

    end->size = TOPIC;
    do {
        for (int i = 0; i < STEP; i++) {
            memcpy(end->payload, cards + sent++ % many * TOPIC, TOPIC);
            if (side->ops->send(end, true) < 0)
                return -1;
        }
    } while (weir_meter_now() - start < ns);
    *each = (double)(weir_meter_thread() - cpu) / (double)sent;
    return 0;
}

static void print_cost(const struct weir_side *side, double memory)
{
    const struct weir_side_shared *shared = side->shared;
    double n = (double)side->plan->n;

    weir_side_figure("B/sub", memory / n);
    weir_side_figure("own_B/sub", shared->figures[0] / n);
    weir_side_figure(
        "add_us",
        (double)(shared->of[ENDED].count - shared->of[BEGAN].count) / 1e3 / n);
}

static int run(struct weir_side *side)
{
    const struct weir_side_plan *plan = side->plan;
    struct weir_side_end *end;
    double memory, warm, cold;
    char *cards;

    if (!plan->n || weir_side_add(side, 1, feed) != 0)
        return -1;
    end = weir_side_bind(side, WEIR_SIDE_PUB);
    if (!end || say_until(side, end, HELLO, HEARS) != 0)
        return -1;
    memory = (double)weir_meter_memory(0);
    if (say_until(side, end, LAST, ENDED) != 0)
        return -1;
    memory = (double)weir_meter_memory(0) - memory;
    cards = make_cards(plan->n);
    if (!cards || match(side, end, cards, WARM, &warm) != 0 ||
        match(side, end, cards, CARDS, &cold) != 0)
        return -1;
    weir_side_figure("match_ns", warm);
    weir_side_figure("cold_ns", cold);
    print_cost(side, memory);
    return 0;
}

static const struct weir_side_metric metrics[] = {
    {"match_ns", false},  {"cold_ns", false}, {"B/sub", false},
    {"own_B/sub", false}, {"add_us", false},  {NULL, false},
};

const struct weir_side_test weir_side_topics = {
    .name = "topics",
    .summary = "many subscriptions: to match, to keep, to add",
    .about = "A SUB has many subscriptions, topics of 14 octets.  Measured is "
             "the CPU time of\nsending a message that differs from one of "
             "them in its last octet, so that\nnobody wants it: match_ns for "
             "64 such messages in turn, cold_ns for 65536,\nwhich no cache "
             "keeps.  Then the memory of the publisher, and of the "
             "subscriber,\nfor each topic; and the time to add one, until the "
             "publisher knows it.  nng and\nnanomsg send all messages to all "
             "subscribers, and are not compared.\n",
    .metrics = metrics,
    .transports = "tcp",
    .parameter = "topics",
    .parameter_doc = "how many (10,1000,100000,1000000); several",
    .parameter_axis = "subscriptions",
    .values = "10,1000,100000,1000000",
    .stamps = true,
    .run = run,
};
