/*
 * A sender with a durable swap is killed at random moments, under load, and
 * started again, over and over: every message that it knew to be on the disk
 * arrives, and in order.
 *
 * The sender is this program, with arguments.  It tells what it knows through
 * a pipe, which keeps that when it is killed.
 */
#include "config.h"

#include "flow.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNS = 200,
    RUNS_USUAL = 8,
    BATCH = 40,
    MOMENTS = 50 /* ms */,
    OPENING = 4 /* one of so many may die before it sends */
};

struct message {
    uint32_t run, number; /* the last run has one message, which is the end */
};

/* What a run says. */
struct word {
    uint32_t run, number;     /* known to be on the disk: up to this one */
    uint64_t recovered, torn; /* what it found; in the first word only */
};

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
    unsigned char data[3000] = {0};
    const struct message message = {run, number};

    memcpy(data, &message, sizeof(message));
    need(weir_send(socket, data, sizeof(message) + number * 37 % 2900,
                   FLOW_SOON) >= 0,
         "send");
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

static int be_a_sender(char **arguments)
{
    uint32_t run = (uint32_t)strtoul(arguments[4], NULL, 10);
    bool last = arguments[5][0] == 'l', always = run % 2 == 0;
    weir_stats stats = {.size = sizeof(stats)};
    weir_context context;
    weir_socket socket = open_sender(&context, arguments, always);
    struct word word = {.run = run};

    need(weir_socket_stats(socket, &stats) >= 0, "stats");
    word.recovered = stats.send_recovered;
    word.torn = stats.send_torn_bytes;
    say(&word);
    if (!last)
        send_until_killed(socket, run, always);
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

static pid_t start(const struct stage *stage, int run, int *words)
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
                    stage->url, number, run == stage->runs ? "last" : "one",
                    (char *)NULL);
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

static bool receive(struct stage *stage, int deadline)
{
    unsigned char data[3000];
    struct message message;
    size_t size = sizeof(data);

    if (weir_recv(stage->receiver, data, &size, deadline) < 0)
        return false;
    memcpy(&message, data, sizeof(message));
    assert_int_equal(size, sizeof(message) + message.number * 37 % 2900);
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

/* Something is known to be on the disk: that is the second word. */
static void await_load(struct stage *stage, int words)
{
    int64_t end = flow_now() + FLOW_SOON;
    int octets = 0;

    while (ioctl(words, FIONREAD, &octets) == 0 &&
           (size_t)octets < 2 * sizeof(struct word)) {
        assert_true(flow_now() < end);
        (void)receive(stage, 1);
    }
}

/* Most die while they send, and some while they look for what was left. */
static void kill_one(struct stage *stage, int run)
{
    int words, status;
    pid_t child = start(stage, run, &words);
    int64_t end;

    if (run % OPENING != 0)
        await_load(stage, words);
    end = flow_now() + rand() % MOMENTS;
    while (flow_now() < end)
        (void)receive(stage, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    hear(stage, words);
    stage->kills++;
    stage->loaded += stage->known[run] > 0;
}

static void finish(struct stage *stage)
{
    int words, status;
    pid_t child = start(stage, stage->runs, &words);

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
