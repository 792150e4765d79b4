/*
 * group.c - one side of a conversation over a group: a publisher of numbered
 * messages, or a subscriber that checks them, with weir or with libzmq.
 *
 * usage: group weir|zmq pub URL NAME COUNT [SIZE]
 *        group weir|zmq sub URL SENDERS COUNT SECONDS
 *        group zmq has                (exit code 0: libzmq is here, with pgm)
 *
 * A publisher, known by its NAME (a number), sends COUNT messages and stays
 * for repairs until its standard input ends.  Their parts and sizes follow
 * from their number, unless there is a SIZE for all.  A subscriber says
 * "ready", and ends when it has the last message of all SENDERS, or when it
 * has heard nothing for SECONDS.  It checks contents, and that messages that
 * are missing (after the first one of a sender) lie inside a gap that was
 * reported.  It ends with a line of what it got, and with 1 if something was
 * wrong.  With libzmq the rate is 100000 kbit/s and repairs reach 2 s back, as
 * they do with weir when nothing else is said.
 */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/weir.h>
#ifdef WITH_ZMQ
#include <zmq.h>
#endif

enum { LIBRARY, ROLE, URL, WHO, COUNT, LAST, HEAD = 8, SENDERS_MAX = 16 };

static bool with_zmq, publishes;
static weir_context context;
static weir_socket socket_;
#ifdef WITH_ZMQ
static void *zmq_context, *zmq_socket_;
#endif

static void die(const char *what)
{
    fprintf(stderr, "group: %s: %s\n", what, weir_last_error());
    exit(2);
}

/* ---- what is sent ---- */

static const size_t sizes[] = {0,    1,    244,  245,   246,  247,  300,
                               1000, 1417, 1418, 1419,  1420, 1428, 1500,
                               3000, 8192, 9,    16384, 65536};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static long fixed_size = -1;

static uint32_t parts_of(uint32_t number)
{
    return fixed_size >= 0 ? 1 : 1 + number % 3;
}

/* Octets of a part behind the head of the first one. */
static size_t size_of(uint32_t number, uint32_t part)
{
    if (fixed_size >= 0)
        return (size_t)fixed_size;
    if (number % 100 == 50 && part == parts_of(number) - 1)
        return 1 << 20;
    return sizes[(number * 3 + part) % SIZES];
}

static size_t whole_size(uint32_t number, uint32_t part)
{
    return size_of(number, part) + (part == 0 ? HEAD : 0);
}

static void fill(uint8_t *data, size_t size, uint32_t who, uint32_t number,
                 uint32_t part)
{
    uint32_t seed = who * 2654435761u + number * 40503u + part;

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)((seed + i * 7) >> (i & 7));
    if (part == 0) {
        memcpy(data, &who, 4);
        memcpy(data + 4, &number, 4);
    }
}

/* ---- the libraries ---- */

static void open_weir(const char *url)
{
    if (weir_context_open(&context, 1) < 0 ||
        weir_open(&socket_, context, publishes ? WEIR_PUB : WEIR_SUB) < 0)
        die("open");
    if (publishes && weir_set(socket_, "send-policy", "block") < 0)
        die("send-policy");
    if (!publishes && (weir_set(socket_, "events", "4096") < 0 ||
                       weir_subscribe(socket_, "", 0) < 0))
        die("subscribe");
    if (weir_connect(socket_, url, NULL) < 0)
        die(url);
    if (publishes && weir_wait_peers(socket_, 1, 5000) < 0)
        die("no peer");
}

static void send_weir(uint32_t who, uint32_t number)
{
    weir_message message;

    weir_message_init(&message);
    for (uint32_t part = 0; part < parts_of(number); part++) {
        size_t size = whole_size(number, part);
        weir_frame frame;

        if (weir_frame_alloc(&frame, size) < 0)
            die("memory");
        fill(weir_frame_data(&frame), size, who, number, part);
        if (weir_message_push(&message, &frame) < 0)
            die("memory");
    }
    if (weir_send_message(socket_, &message, 60000) < 0)
        die("send");
}

struct heard {
    uint32_t parts;
    size_t sizes[3];
    uint8_t *data[3];
};

static int recv_weir(struct heard *heard, int ms)
{
    static weir_message message;

    weir_message_fini(&message);
    if (weir_recv_message(socket_, &message, ms) < 0)
        return -1;
    heard->parts = weir_message_count(&message);
    for (uint32_t i = 0; i < heard->parts && i < 3; i++) {
        weir_frame *frame = weir_message_frame(&message, i);

        heard->sizes[i] = weir_frame_size(frame);
        heard->data[i] = weir_frame_data(frame);
    }
    return 0;
}

#ifdef WITH_ZMQ
/* ThreadSanitizer sees what libzmq does through libc, but not how its threads
 * take turns. */
__attribute__((visibility("default"))) const char *
__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libzmq.so\n";
}

static void set_zmq(int what, int value)
{
    if (zmq_setsockopt(zmq_socket_, what, &value, sizeof(value)) < 0)
        die("zmq_setsockopt");
}

static bool has_zmq(void)
{
    return zmq_has("pgm");
}

static void open_zmq(const char *url)
{
    zmq_context = zmq_ctx_new();
    zmq_socket_ = zmq_socket(zmq_context, publishes ? ZMQ_PUB : ZMQ_SUB);
    set_zmq(ZMQ_RATE, 100000);
    set_zmq(ZMQ_RECOVERY_IVL, 2000);
    set_zmq(ZMQ_SNDHWM, 0);
    set_zmq(ZMQ_RCVHWM, 0);
    if (!publishes)
        zmq_setsockopt(zmq_socket_, ZMQ_SUBSCRIBE, "", 0);
    if (zmq_connect(zmq_socket_, url) < 0)
        die(url);
    if (publishes)
        usleep(300000); /* it drops what is sent before it is connected */
}

static void send_zmq(uint32_t who, uint32_t number)
{
    uint32_t parts = parts_of(number);

    for (uint32_t part = 0; part < parts; part++) {
        size_t size = whole_size(number, part);
        uint8_t *data = malloc(size + 1);

        fill(data, size, who, number, part);
        if (zmq_send(zmq_socket_, data, size,
                     part + 1 < parts ? ZMQ_SNDMORE : 0) < 0)
            die("zmq_send");
        free(data);
    }
}

static int recv_zmq(struct heard *heard, int ms)
{
    static zmq_msg_t messages[3];
    static uint32_t n;

    while (n > 0)
        zmq_msg_close(&messages[--n]);
    set_zmq(ZMQ_RCVTIMEO, ms);
    do {
        if (n == 3)
            die("too many parts");
        zmq_msg_init(&messages[n]);
        if (zmq_msg_recv(&messages[n], zmq_socket_, 0) < 0)
            return -1;
        heard->sizes[n] = zmq_msg_size(&messages[n]);
        heard->data[n] = zmq_msg_data(&messages[n]);
        n++;
    } while (zmq_msg_more(&messages[n - 1]));
    heard->parts = n;
    return 0;
}
#else
static bool has_zmq(void)
{
    return false;
}
static void open_zmq(const char *url)
{
    die(url);
}
static void send_zmq(uint32_t who, uint32_t number)
{
    (void)who;
    (void)number;
}
static int recv_zmq(struct heard *heard, int ms)
{
    (void)heard;
    (void)ms;
    return -1;
}
#endif

/* ---- what is heard ---- */

struct sender {
    uint32_t name;
    uint32_t next; /* number */
    uint64_t got;
};

static struct sender senders[SENDERS_MAX];
static int n_senders;
static uint64_t missing, gaps, new_gaps, wrong;

static struct sender *sender_of(uint32_t name, uint32_t number)
{
    for (int i = 0; i < n_senders; i++)
        if (senders[i].name == name)
            return &senders[i];
    if (n_senders == SENDERS_MAX)
        die("too many senders");
    senders[n_senders] = (struct sender){name, number, 0};
    return &senders[n_senders++];
}

static void note_gaps(void)
{
    weir_event event = {.size = sizeof(event)};

    while (!with_zmq && weir_next_event(socket_, &event, 0) >= 0) {
        if (event.kind == WEIR_EVENT_GAP) {
            gaps++;
            new_gaps++;
            printf("gap: %s\n", event.reason);
        }
        if (event.kind == WEIR_EVENT_LOG)
            printf("log: %s\n", event.reason);
    }
}

static bool is_right(const struct heard *heard, uint32_t who, uint32_t number)
{
    if (heard->parts != parts_of(number))
        return false;
    for (uint32_t part = 0; part < heard->parts; part++) {
        size_t size = whole_size(number, part);
        uint8_t *want = malloc(size + 1);
        bool same;

        fill(want, size, who, number, part);
        same = heard->sizes[part] == size &&
               memcmp(heard->data[part], want, size) == 0;
        free(want);
        if (!same)
            return false;
    }
    return true;
}

static void complain(const char *what, uint32_t who, uint32_t number)
{
    wrong++;
    printf("WRONG: %s: message %" PRIu32 " of %" PRIu32 "\n", what, number,
           who);
}

static void check(const struct heard *heard)
{
    struct sender *sender;
    uint32_t who, number;

    if (heard->sizes[0] < HEAD) {
        complain("no head", 0, 0);
        return;
    }
    memcpy(&who, heard->data[0], 4);
    memcpy(&number, heard->data[0] + 4, 4);
    sender = sender_of(who, number);
    if (!is_right(heard, who, number))
        complain("not what was sent", who, number);
    note_gaps();
    if (number < sender->next)
        complain("out of order", who, number);
    if (number > sender->next && !with_zmq && new_gaps == 0)
        complain("missing before it, and no gap", who, number);
    missing += number - sender->next;
    new_gaps = 0;
    sender->next = number + 1;
    sender->got++;
}

static bool all_ended(int wanted, uint32_t count)
{
    if (n_senders < wanted)
        return false;
    for (int i = 0; i < n_senders; i++)
        if (senders[i].next < count)
            return false;
    return true;
}

/* ---- the two roles ---- */

/* A receiver begins with the first packet that it sees, so none of the others
 * may overtake that.  This is longer than any wire of these tests. */
static void lead(void)
{
    const struct timespec pause = {.tv_nsec = 200000000};

    nanosleep(&pause, NULL);
}

static void publish(uint32_t who, uint32_t count)
{
    char waste[64];

    for (uint32_t i = 0; i < count; i++) {
        if (with_zmq)
            send_zmq(who, i);
        else
            send_weir(who, i);
        if (i == 0)
            lead();
    }
    if (!with_zmq && weir_flush(socket_, 60000) < 0)
        die("flush");
    printf("sent\n");
    fflush(stdout);
    while (read(STDIN_FILENO, waste, sizeof(waste)) > 0)
        ;
}

static int subscribe(int wanted, uint32_t count, int seconds)
{
    uint64_t got = 0;
    struct heard heard;

    printf("ready\n");
    fflush(stdout);
    while (!all_ended(wanted, count) &&
           (with_zmq ? recv_zmq(&heard, seconds * 1000)
                     : recv_weir(&heard, seconds * 1000)) == 0) {
        if (got++ == 0) {
            printf("first\n");
            fflush(stdout);
        }
        check(&heard);
    }
    note_gaps();
    printf("got %" PRIu64 " from %d, missing %" PRIu64 ", gaps %" PRIu64
           ", %s\n",
           got, n_senders, missing, gaps,
           all_ended(wanted, count) ? "ended" : "timed out");
    return wrong > 0 || !all_ended(wanted, count);
}

int main(int argc, char **argv)
{
    uint32_t count;
    int rc = 0;

    if (argc == 3)
        return !has_zmq();
    if (argc < LAST + 1)
        return 2;
    with_zmq = strcmp(argv[1 + LIBRARY], "zmq") == 0;
    publishes = strcmp(argv[1 + ROLE], "pub") == 0;
    count = (uint32_t)atoi(argv[1 + COUNT]);
    if (publishes && argc > 1 + LAST)
        fixed_size = atol(argv[1 + LAST]);
    if (getenv("GROUP_SIZE"))
        fixed_size = atol(getenv("GROUP_SIZE"));
    if (with_zmq)
        open_zmq(argv[1 + URL]);
    else
        open_weir(argv[1 + URL]);
    if (publishes)
        publish((uint32_t)atoi(argv[1 + WHO]), count);
    else
        rc = subscribe(atoi(argv[1 + WHO]), count, atoi(argv[1 + LAST]));
    fflush(stdout);
    if (!with_zmq) {
        (void)weir_close(socket_, 0, NULL);
        (void)weir_context_close(context, 1000);
    }
    return rc;
}
