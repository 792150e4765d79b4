/*
 * A sender with a durable swap is killed at random moments, under load, and
 * started again, over and over: every message that it knew to be on the disk
 * arrives, and in order.  Then one is killed at rest, and the end of what it
 * wrote is torn off: that is counted, and all before it arrives.
 *
 * The sender is this program, with arguments.  It tells what it knows through
 * a pipe, which keeps that when it is killed.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNS = 200,
    RUNS_USUAL = 8,
    BATCH = 40,
    MOMENTS = 50 /* ms */,
    OPENING = 4 /* one of so many may die before it sends */,
    SOME = 40 /* messages of a sender that is killed at rest */,
    LARGEST = 3000
};

struct message {
    uint32_t run, number; /* the last run has one message, which is the end */
};

/* What a run says. */
struct word {
    uint32_t run, number;     /* known to be on the disk: up to this one */
    uint64_t recovered, torn; /* what it found; in the first word only */
};

/* ---- messages: each has its own size, and octets of its own ---- */

static size_t size_of(uint32_t number)
{
    return sizeof(struct message) + number * 37 % 2900;
}

static void fill(unsigned char data[LARGEST], const struct message *message)
{
    memset(data, (int)((message->run * 31 + message->number) % 251), LARGEST);
    memcpy(data, message, sizeof(*message));
}

static void check_octets(const unsigned char *data, size_t size,
                         const struct message *message)
{
    unsigned char good[LARGEST];

    fill(good, message);
    assert_int_equal(size, size_of(message->number));
    if (memcmp(data, good, size) != 0)
        fail_msg("run %u: message %u is not what was sent", message->run,
                 message->number);
}

/* ---- the sender ---- */

static void need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "the sender: %s: %s\n", what, weir_last_error());
    _exit(1);
}

static weir_socket open_sender(weir_context *context, char **arguments,
                               bool always)
{
    weir_socket socket;

    need(weir_context_open(context, 1) >= 0, "context");
    need(weir_open(&socket, *context, WEIR_PUSH) >= 0, "socket");
    need(weir_set(socket, "swap-store", arguments[1]) >= 0, "store");
    need(weir_set(socket, "swap-dir", arguments[2]) >= 0, "folder");
    need(weir_set(socket, "swap-mode", "durable") >= 0, "mode");
    need(weir_set(socket, "swap-name", "crash") >= 0, "name");
    need(weir_set(socket, "swap-sync", always ? "always" : "os") >= 0, "sync");
    need(weir_set_int(socket, "send-swap", 256 << 20) >= 0, "swap");
    need(weir_set_int(socket, "send-mark", 200) >= 0, "mark");
    need(weir_connect(socket, arguments[3], NULL) >= 0, "connect");
    return socket;
}

static void say(const struct word *word)
{
    need(write(STDOUT_FILENO, word, sizeof(*word)) == sizeof(*word), "pipe");
}

static void send_number(weir_socket socket, uint32_t run, uint32_t number)
{
    unsigned char data[LARGEST];
    const struct message message = {run, number};

    fill(data, &message);
    need(weir_send(socket, data, size_of(number), FLOW_SOON) >= 0, "send");
}

/* Some runs sync with each message, and others when they like. */
static void send_until_killed(weir_socket socket, uint32_t run, bool always)
{
    struct word word = {.run = run};

    for (uint32_t number = 1;; number++) {
        send_number(socket, run, number);
        if (!always && number % BATCH != 0)
            continue;
        if (!always)
            need(weir_sync(socket, FLOW_SOON) >= 0, "sync");
        word.number = number;
        say(&word);
    }
}

/* Each is synced as it is sent, so it has a record of its own.  Nobody kills
 * this one if the test has failed: then nobody listens any more. */
static void send_some(weir_socket socket, uint32_t run)
{
    const struct word word = {.run = run, .number = SOME};
    struct pollfd listener = {.fd = STDOUT_FILENO};

    for (uint32_t number = 1; number <= SOME; number++)
        send_number(socket, run, number);
    say(&word);
    (void)poll(&listener, 1, -1);
    _exit(3);
}

static int be_a_sender(char **arguments)
{
    uint32_t run = (uint32_t)strtoul(arguments[4], NULL, 10);
    char kind = arguments[5][0];
    bool always = kind == 's' || run % 2 == 0;
    weir_stats stats = {.size = sizeof(stats)};
    weir_context context;
    weir_socket socket = open_sender(&context, arguments, always);
    struct word word = {.run = run};

    need(weir_socket_stats(socket, &stats) >= 0, "stats");
    word.recovered = stats.send_recovered;
    word.torn = stats.send_torn_bytes;
    say(&word);
    if (kind == 'o')
        send_until_killed(socket, run, always);
    if (kind == 's')
        send_some(socket, run);
    send_number(socket, run, 1);
    need(weir_flush(socket, FLOW_SOON) >= 0, "flush");
    need(weir_close(socket, FLOW_SOON, NULL) >= 0, "close");
    need(weir_context_close(context, FLOW_SOON) >= 0, "end");
    return 0;
}

/* ---- the receiver ---- */

struct stage {
    weir_context context;
    weir_socket receiver;
    const char *store;
    char dir[TRIAL_DIR], url[FLOW_URL];
    int runs;
    uint32_t seen[RUNS + 1], known[RUNS + 1];
    uint64_t twice, recovered, torn;
    int kills, loaded; /* and those of a sender that knew of a message */
};

/* Kinds: "one" sends until it is killed, "some" sends SOME and waits to be
 * killed, "last" sends one message and ends. */
static pid_t start(const struct stage *stage, int run, const char *kind,
                   int *words)
{
    char number[16];
    int ends[2];
    pid_t child;

    snprintf(number, sizeof(number), "%d", run);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl("/proc/self/exe", "sender", stage->store, stage->dir,
                    stage->url, number, kind, (char *)NULL);
        _exit(2);
    }
    assert_int_equal(close(ends[1]), 0);
    *words = ends[0];
    return child;
}

/* A message of a run may come twice; none is left out. */
static void take(struct stage *stage, const struct message *message)
{
    uint32_t *seen;

    assert_in_range(message->run, 0, stage->runs);
    seen = &stage->seen[message->run];
    if (message->number > *seen + 1)
        fail_msg("run %u: message %u comes behind %u", message->run,
                 message->number, *seen);
    stage->twice += message->number <= *seen;
    if (message->number > *seen)
        *seen = message->number;
}

static bool receive_one(const struct stage *stage, struct message *message,
                        int deadline)
{
    unsigned char data[LARGEST];
    size_t size = sizeof(data);

    if (weir_recv(stage->receiver, data, &size, deadline) < 0)
        return false;
    memcpy(message, data, sizeof(*message));
    check_octets(data, size, message);
    return true;
}

static bool receive(struct stage *stage, int deadline)
{
    struct message message;

    if (!receive_one(stage, &message, deadline))
        return false;
    take(stage, &message);
    return true;
}

/* What a run has said before its end. */
static void hear(struct stage *stage, int words)
{
    struct word word;

    while (read(words, &word, sizeof(word)) == sizeof(word)) {
        stage->recovered += word.recovered;
        stage->torn += word.torn;
        stage->known[word.run] = word.number;
    }
    assert_int_equal(close(words), 0);
}

/* Has it said that something is on the disk?  That is the second word. */
static bool is_loaded(int words)
{
    int octets = 0;

    assert_int_equal(ioctl(words, FIONREAD, &octets), 0);
    return (size_t)octets >= 2 * sizeof(struct word);
}

static void await_load(struct stage *stage, int words)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (!is_loaded(words)) {
        assert_true(flow_now() < end);
        (void)receive(stage, 1);
    }
}

static void end_it(struct stage *stage, pid_t child, int words)
{
    int status;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    hear(stage, words);
}

/* Most die while they send, and some while they look for what was left. */
static void kill_one(struct stage *stage, int run)
{
    int words;
    pid_t child = start(stage, run, "one", &words);
    int64_t end;

    if (run % OPENING != 0)
        await_load(stage, words);
    end = flow_now() + rand() % MOMENTS;
    while (flow_now() < end)
        (void)receive(stage, 1);
    end_it(stage, child, words);
    stage->kills++;
    stage->loaded += stage->known[run] > 0;
}

static void finish(struct stage *stage)
{
    int words, status;
    pid_t child = start(stage, stage->runs, "last", &words);

    while (stage->seen[stage->runs] == 0)
        assert_true(receive(stage, FLOW_SOON));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hear(stage, words);
}

static void check(const char *store)
{
    struct stage stage = {.store = store};
    uint64_t known = 0;

    stage.runs = trial_is_full() ? RUNS : RUNS_USUAL;
    trial_folder(stage.dir);
    stage.context = flow_context(1);
    stage.receiver = flow_open(stage.context, WEIR_PULL);
    flow_bind(stage.receiver, "tcp", stage.url);
    for (int run = 0; run < stage.runs; run++)
        kill_one(&stage, run);
    finish(&stage);
    for (int run = 0; run < stage.runs; run++) {
        known += stage.known[run];
        if (stage.seen[run] < stage.known[run])
            fail_msg("run %d: %u were on the disk, and %u have come", run,
                     stage.known[run], stage.seen[run]);
    }
    print_message("store_%s: killed %d times, %d of them under load: %llu "
                  "known, %llu twice, %llu found, %llu octets torn\n",
                  store, stage.kills, stage.loaded, (unsigned long long)known,
                  (unsigned long long)stage.twice,
                  (unsigned long long)stage.recovered,
                  (unsigned long long)stage.torn);
    assert_int_equal(stage.kills, stage.runs);
    assert_true(stage.loaded >= stage.runs - stage.runs / OPENING);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    assert_int_equal(rmdir(stage.dir), 0); /* nothing is left */
}

/* ---- torn tails ---- */

struct tear {
    const char *what;
    int cut;  /* octets, all of the last record */
    int more; /* of what is no record, behind the last one */
};

/* The last segment with more than its own head. */
static int open_last_segment(const struct stage *stage, off_t *size)
{
    enum { HEAD = 64 };
    char pattern[TRIAL_PATH];
    struct stat state;
    glob_t found;
    int fd = -1;

    trial_name(stage->dir, "*.weir/*.seg", pattern);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = found.gl_pathc; fd < 0 && i > 0; i--)
        if (stat(found.gl_pathv[i - 1], &state) == 0 && state.st_size > HEAD)
            fd = open(found.gl_pathv[i - 1], O_RDWR);
    globfree(&found);
    assert_true(fd >= 0);
    *size = state.st_size;
    return fd;
}

static void tear_off(const struct stage *stage, const struct tear *tear)
{
    unsigned char again[LARGEST];
    off_t size;
    int fd = open_last_segment(stage, &size);

    if (tear->cut > 0)
        assert_int_equal(ftruncate(fd, size - tear->cut), 0);
    assert_int_equal(pread(fd, again, (size_t)tear->more, size - tear->more),
                     tear->more);
    assert_int_equal(pwrite(fd, again, (size_t)tear->more, size), tear->more);
    assert_int_equal(close(fd), 0);
}

/* A record is a head, a frame and what fills up the record before it. */
static void check_torn(const struct stage *stage, const struct tear *tear)
{
    enum { HEAD = 64, FRAME = 9 };
    uint64_t last = size_of(SOME) + HEAD + FRAME;

    if (tear->cut > 0)
        assert_in_range(stage->torn, 1, last - (uint64_t)tear->cut);
    else
        assert_in_range(stage->torn, tear->more - HEAD + 1, tear->more);
}

/* A sender starts, finds so many messages, sends SOME and is killed. */
static void send_and_die(struct stage *stage, int run, uint64_t found)
{
    int64_t end = flow_now() + FLOW_SOON;
    int words;
    pid_t child = start(stage, run, "some", &words);

    stage->recovered = stage->torn = 0;
    while (!is_loaded(words)) {
        assert_true(flow_now() < end);
        trial_pause();
    }
    end_it(stage, child, words);
    assert_int_equal(stage->known[run], SOME);
    assert_int_equal(stage->recovered, found);
}

static void receive_run(const struct stage *stage, uint32_t run, uint32_t n)
{
    struct message message;

    for (uint32_t number = 1; number <= n; number++) {
        assert_true(receive_one(stage, &message, FLOW_SOON));
        assert_int_equal(message.run, run);
        assert_int_equal(message.number, number);
    }
}

/* The one after the tear counts it and goes on; the next has nothing torn. */
static void check_tear(const struct tear *tear)
{
    struct stage stage = {.store = "file", .runs = 2};
    uint32_t left = tear->cut > 0 ? SOME - 1 : SOME;
    uint64_t torn;
    int words, status;
    pid_t child;

    trial_folder(stage.dir);
    flow_url("ipc", stage.url);
    send_and_die(&stage, 0, 0);
    assert_int_equal(stage.torn, 0);
    tear_off(&stage, tear);
    send_and_die(&stage, 1, left);
    torn = stage.torn;
    check_torn(&stage, tear);
    stage.recovered = stage.torn = 0;
    child = start(&stage, stage.runs, "last", &words);
    stage.context = flow_context(1);
    stage.receiver = flow_open(stage.context, WEIR_PULL);
    flow_ok(weir_bind(stage.receiver, stage.url, NULL));
    receive_run(&stage, 0, left);
    receive_run(&stage, 1, SOME);
    receive_run(&stage, 2, 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hear(&stage, words);
    assert_int_equal(stage.recovered, left + SOME);
    assert_int_equal(stage.torn, 0);
    print_message("%s: %u of %d found, %llu octets torn\n", tear->what, left,
                  SOME, (unsigned long long)torn);
    flow_drop(stage.receiver);
    flow_end(stage.context);
    assert_int_equal(rmdir(stage.dir), 0);
}

static void test_torn(void **state)
{
    const int body = (int)size_of(SOME);
    const struct tear tears[] = {
        {"one octet is missing", 1, 0},
        {"half a record is missing", body / 2, 0},
        {"half a head is left", body + 40, 0},
        {"half a record is behind the last", 0, body / 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tears) / sizeof(tears[0]); i++)
        check_tear(&tears[i]);
}

static void test_file(void **state)
{
    (void)state;
    check("file");
}

#if defined(WITH_LMDB)
static void test_lmdb(void **state)
{
    (void)state;
    check("lmdb");
}
#endif

int main(int n, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_file),
#if defined(WITH_LMDB)
        cmocka_unit_test(test_lmdb),
#endif
    };

    if (n == 6)
        return be_a_sender(arguments);
    if (!trial_find())
        return 77; /* there are no shared plugins */
    srand((unsigned)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
