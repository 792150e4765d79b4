/*
 * test_devices.c - devices in numbers: clients and workers that come and die,
 * trees of forwarders, queues behind queues, sinks that are slow.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "flow.h"

static const weir_socket none;

/* A device with its own sockets. */
struct rig {
    weir_socket front, back;
    weir_device device;
    char front_url[FLOW_URL], back_url[FLOW_URL];
};

static void rig_open(struct rig *rig, weir_context context, int front, int back,
                     const char *transport)
{
    rig->front = flow_open(context, front);
    rig->back = flow_open(context, back);
    flow_bind(rig->front, transport, rig->front_url);
    flow_bind(rig->back, transport, rig->back_url);
    flow_ok(weir_device_start(&rig->device, rig->front, rig->back, none, 1));
}

static void rig_close(struct rig *rig)
{
    int r = weir_device_stop(rig->device, FLOW_SOON, NULL);

    if (r != -EAGAIN)
        flow_ok(r);
    flow_drop(rig->front);
    flow_drop(rig->back);
}

static weir_device_counts counts_of(const struct rig *rig)
{
    weir_device_counts counts = {.size = sizeof(counts)};

    flow_ok(weir_device_stats(rig->device, &counts));
    return counts;
}

static weir_socket join(weir_context context, int type, const char *url)
{
    weir_socket socket = flow_open(context, type);

    flow_ok(weir_connect(socket, url, NULL));
    return socket;
}

/* ---- workers that are killed, and others that come ---- */

enum {
    CLIENTS = 8,
    WORKERS = 4,
    NEWCOMERS = 2, /* for those that are killed */
    REQUESTS = 150,
    GIVES_UP = 4000 /* ms: a request that has no answer by then gets none */
};

/* A process that answers, once it is told where. */
struct answerer {
    pid_t pid;
    int tell;
};

static void answer_all(const char *url)
{
    weir_context context;
    weir_socket rep;
    uint32_t number;
    size_t size = sizeof(number);

    if (weir_context_open(&context, 1) < 0 ||
        weir_open(&rep, context, WEIR_REP) < 0 ||
        weir_connect(rep, url, NULL) < 0)
        return;
    while (weir_recv(rep, &number, &size, WEIR_FOREVER) >= 0) {
        number = ~number;
        if (weir_send(rep, &number, sizeof(number), WEIR_FOREVER) < 0)
            return;
        size = sizeof(number);
    }
}

/* Processes are made before this one has threads. */
static struct answerer new_answerer(void)
{
    struct answerer answerer;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    answerer.pid = fork();
    assert_true(answerer.pid >= 0);
    answerer.tell = fds[1];
    if (answerer.pid == 0) {
        char url[FLOW_URL];

        close(fds[1]);
        alarm(120);
        if (read(fds[0], url, sizeof(url)) == (ssize_t)sizeof(url))
            answer_all(url);
        _exit(0);
    }
    close(fds[0]);
    return answerer;
}

static void set_to_work(const struct answerer *answerer, const char *url)
{
    char text[FLOW_URL] = "";

    snprintf(text, sizeof(text), "%s", url);
    assert_int_equal(write(answerer->tell, text, sizeof(text)), sizeof(text));
}

static void kill_answerer(struct answerer *answerer)
{
    assert_int_equal(kill(answerer->pid, SIGKILL), 0);
    assert_int_equal(waitpid(answerer->pid, NULL, 0), answerer->pid);
    close(answerer->tell);
}

static _Atomic uint64_t answered, unanswered, wrong;

/* A request that has no answer is not asked again. */
static void ask(weir_socket req, uint32_t number)
{
    uint32_t answer;
    size_t size = sizeof(answer);
    int r;

    if (weir_send(req, &number, sizeof(number), FLOW_SOON) < 0) {
        atomic_fetch_add(&wrong, 1);
        return;
    }
    r = weir_recv(req, &answer, &size, GIVES_UP);
    if (r == -EAGAIN)
        atomic_fetch_add(&unanswered, 1);
    else if (r < 0 || size != sizeof(answer) || answer != ~number)
        atomic_fetch_add(&wrong, 1);
    else
        atomic_fetch_add(&answered, 1);
}

static void *be_client(void *arg)
{
    const weir_socket *req = arg;

    for (uint32_t i = 0; i < REQUESTS; i++)
        ask(*req, i);
    return NULL;
}

static void await_answers(uint64_t n)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;

    while (atomic_load(&answered) < n) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    }
}

static uint64_t sum(const uint64_t drops[WEIR_DROPS])
{
    uint64_t n = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        n += drops[i];
    return n;
}

/* What the sockets of a queue say may have been lost of requests and of their
 * replies. */
static uint64_t reported(const struct rig *rig)
{
    weir_stats front = flow_stats(rig->front), back = flow_stats(rig->back);

    return sum(back.send_dropped) + back.unconfirmed + sum(front.send_dropped) +
           front.unconfirmed;
}

static void begin_clients(weir_socket reqs[CLIENTS], pthread_t threads[CLIENTS],
                          weir_context context, const char *url)
{
    for (int i = 0; i < CLIENTS; i++) {
        reqs[i] = flow_open(context, WEIR_REQ);
        flow_ok(weir_set(reqs[i], "relaxed", "yes"));
        flow_ok(weir_set(reqs[i], "correlate", "yes"));
        flow_ok(weir_connect(reqs[i], url, NULL));
        assert_int_equal(pthread_create(&threads[i], NULL, be_client, &reqs[i]),
                         0);
    }
}

static void test_dying_workers(void **state)
{
    struct answerer workers[WORKERS + NEWCOMERS];
    weir_socket reqs[CLIENTS];
    pthread_t threads[CLIENTS];
    weir_context context;
    struct rig rig;

    (void)state;
    answered = unanswered = wrong = 0;
    for (int i = 0; i < WORKERS + NEWCOMERS; i++)
        workers[i] = new_answerer();
    context = flow_context(1);
    rig_open(&rig, context, WEIR_ROUTER, WEIR_DEALER, "tcp");
    for (int i = 0; i < WORKERS; i++)
        set_to_work(&workers[i], rig.back_url);
    flow_ok(weir_wait_peers(rig.back, WORKERS, FLOW_SOON));
    begin_clients(reqs, threads, context, rig.front_url);
    for (int i = 0; i < NEWCOMERS; i++) {
        await_answers(100 * ((uint64_t)i + 1));
        kill_answerer(&workers[i]);
        set_to_work(&workers[WORKERS + i], rig.back_url);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(answered + unanswered, CLIENTS * REQUESTS);
    assert_true(unanswered <= reported(&rig));
    for (int i = 0; i < CLIENTS; i++)
        flow_drop(reqs[i]);
    for (int i = NEWCOMERS; i < WORKERS + NEWCOMERS; i++)
        kill_answerer(&workers[i]);
    rig_close(&rig);
    flow_end(context);
}

/* ---- queues behind queues ---- */

static void test_queue_behind_queue(void **state)
{
    weir_context context = flow_context(1);
    weir_socket req[2], rep;
    struct rig near, far;

    (void)state;
    rig_open(&near, context, WEIR_ROUTER, WEIR_DEALER, "tcp");
    rig_open(&far, context, WEIR_ROUTER, WEIR_DEALER, "ipc");
    flow_ok(weir_connect(near.back, far.front_url, NULL));
    rep = join(context, WEIR_REP, far.back_url);
    for (int i = 0; i < 2; i++)
        req[i] = join(context, WEIR_REQ, near.front_url);
    for (int i = 0; i < 20; i++) {
        flow_say_all(req[0], "a", "b", NULL);
        flow_say(req[1], "c");
        for (int k = 0; k < 2; k++) {
            weir_message message;

            weir_message_init(&message);
            flow_ok(weir_recv_message(rep, &message, FLOW_SOON));
            flow_ok(weir_message_add(&message, "seen", 4));
            flow_ok(weir_send_message(rep, &message, FLOW_SOON));
        }
        flow_hear_all(req[0], "a", "b", "seen", NULL);
        flow_hear_all(req[1], "c", "seen", NULL);
    }
    flow_close(req[0]);
    flow_close(req[1]);
    flow_close(rep);
    rig_close(&near);
    rig_close(&far);
    flow_end(context);
}

/* ---- a tree of forwarders ---- */

enum { BRANCHES = 4, LEAVES = 16, TOPICS = 8, EACH = 40 };

struct tree {
    weir_context context;
    bool verbose;       /* each subscription is told, not only the first */
    weir_socket source; /* an XPUB: it is told what is wanted */
    struct rig root, branches[BRANCHES];
    weir_socket leaves[LEAVES];
};

static void say_topic(weir_socket socket, int topic, uint32_t number)
{
    char text[64];

    snprintf(text, sizeof(text), "topic %d: %u", topic, (unsigned)number);
    flow_say(socket, text);
}

static void hear_topic(weir_socket socket, int topic, uint32_t number)
{
    char text[64];

    snprintf(text, sizeof(text), "topic %d: %u", topic, (unsigned)number);
    flow_hear(socket, text);
}

static void subscribe(weir_socket socket, int topic, bool on)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "topic %d:", topic);

    if (on)
        flow_ok(weir_subscribe(socket, text, (size_t)size));
    else
        flow_ok(weir_unsubscribe(socket, text, (size_t)size));
}

/* The root is told that a topic is wanted, or that it is not any more. */
static void expect_notice(weir_socket source, bool on, int topic)
{
    char text[64], got[64];
    size_t size = sizeof(got);
    int n = snprintf(text, sizeof(text), "%ctopic %d:", on ? 1 : 0, topic);

    flow_ok(weir_recv(source, got, &size, FLOW_SOON));
    assert_int_equal(size, n);
    assert_memory_equal(got, text, size);
}

static void be_verbose(const struct tree *tree, weir_socket socket)
{
    if (tree->verbose)
        flow_ok(weir_set(socket, "verbose", "both"));
}

static void plant(struct tree *tree, const char *trunk, const char *twigs)
{
    struct rig *root = &tree->root;

    tree->context = flow_context(1);
    tree->source = flow_open(tree->context, WEIR_XPUB);
    be_verbose(tree, tree->source);
    rig_open(root, tree->context, WEIR_XSUB, WEIR_XPUB, trunk);
    be_verbose(tree, root->back);
    flow_ok(weir_connect(tree->source, root->front_url, NULL));
    for (int i = 0; i < BRANCHES; i++) {
        rig_open(&tree->branches[i], tree->context, WEIR_XSUB, WEIR_XPUB,
                 twigs);
        be_verbose(tree, tree->branches[i].back);
        flow_ok(weir_connect(tree->branches[i].front, root->back_url, NULL));
    }
    for (int i = 0; i < LEAVES; i++)
        tree->leaves[i] = join(tree->context, WEIR_SUB,
                               tree->branches[i % BRANCHES].back_url);
}

static void fell(struct tree *tree)
{
    for (int i = 0; i < LEAVES; i++)
        flow_drop(tree->leaves[i]);
    for (int i = 0; i < BRANCHES; i++)
        rig_close(&tree->branches[i]);
    rig_close(&tree->root);
    flow_drop(tree->source);
    flow_end(tree->context);
}

/* Each leaf has one topic, and each topic two leaves: on one branch, or on two
 * if the XPUBs tell of every subscription. */
static int topic_of(const struct tree *tree, int leaf)
{
    return tree->verbose ? leaf / 2 : leaf % TOPICS;
}

/* The root is told of each topic that is new to it, or of each subscription.
 * What it is not told of ends at a branch. */
static void subscribe_all(struct tree *tree)
{
    bool seen[TOPICS] = {false};

    for (int i = 0; i < LEAVES; i++) {
        int topic = topic_of(tree, i);

        subscribe(tree->leaves[i], topic, true);
        if (!seen[topic] || tree->verbose)
            expect_notice(tree->source, true, topic);
        seen[topic] = true;
    }
    for (int i = 0; i < BRANCHES; i++)
        flow_ok(weir_wait_peers(tree->branches[i].back, LEAVES / BRANCHES,
                                FLOW_SOON));
}

static void publish_all(struct tree *tree)
{
    for (uint32_t n = 0; n < EACH; n++)
        for (int topic = 0; topic <= TOPICS; topic++) /* one is unwanted */
            say_topic(tree->source, topic, n);
}

static void hear_all(struct tree *tree)
{
    for (int i = 0; i < LEAVES; i++)
        for (uint32_t n = 0; n < EACH; n++)
            hear_topic(tree->leaves[i], topic_of(tree, i), n);
}

/* The last leaf that wanted a topic does so no more. */
static void unsubscribe_all(struct tree *tree, int topic)
{
    for (int i = 0; i < LEAVES; i++)
        if (topic_of(tree, i) == topic)
            subscribe(tree->leaves[i], topic, false);
    expect_notice(tree->source, false, topic);
}

static void climb(const char *trunk, const char *twigs, bool verbose)
{
    struct tree tree = {.verbose = verbose};
    uint64_t passed, unmatched;

    plant(&tree, trunk, twigs);
    subscribe_all(&tree);
    publish_all(&tree);
    hear_all(&tree);
    passed = counts_of(&tree.root).forth;
    assert_int_equal(passed, TOPICS * EACH);
    assert_int_equal(flow_stats(tree.source).unmatched, EACH);
    unsubscribe_all(&tree, 0);
    unmatched = flow_stats(tree.source).unmatched;
    for (uint32_t n = 0; n < EACH; n++)
        say_topic(tree.source, 0, n);
    assert_int_equal(flow_stats(tree.source).unmatched, unmatched + EACH);
    say_topic(tree.source, 1, EACH);
    for (int i = 0; i < LEAVES; i++)
        if (topic_of(&tree, i) == 1)
            hear_topic(tree.leaves[i], 1, EACH);
        else if (topic_of(&tree, i) == 0)
            flow_silence(tree.leaves[i]);
    assert_int_equal(counts_of(&tree.root).forth, passed + 1);
    fell(&tree);
}

static void test_tree(void **state)
{
    (void)state;
    climb("tcp", "tcp", false);
    climb("ipc", "ipc", false);
    climb("tcp", "ipc", true);
    climb("inproc", "inproc", true);
}

/* ---- a slow sink ---- */

enum { BLOCK = 8192, MARK = 50 };

/* kB that the process has resident. */
static long resident(void)
{
    long pages = 0, ignored;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &ignored, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Small buffers of the system, so that what it holds is little. */
static void join_small(weir_socket near, weir_socket far)
{
    char url[FLOW_URL + 64];
    weir_endpoint endpoint;

    flow_ok(weir_bind(near,
                      "tcp://127.0.0.1:*?send-buffer=65536&recv-buffer=65536",
                      &endpoint));
    flow_ok(weir_endpoint_url(endpoint, url, FLOW_URL));
    url[strcspn(url, "?")] = '\0';
    strcat(url, "?send-buffer=65536&recv-buffer=65536");
    flow_ok(weir_connect(far, url, NULL));
}

/* The source is stopped by a sink that does not read, and what is in between
 * is not more than the marks and the system's buffers. */
static void test_slow_sink(void **state)
{
    weir_context context = flow_context(1);
    weir_socket source = flow_open(context, WEIR_PUSH);
    weir_socket sink = flow_open(context, WEIR_PULL);
    weir_socket front = flow_open(context, WEIR_PULL);
    weir_socket back = flow_open(context, WEIR_PUSH);
    static char block[BLOCK], got[BLOCK];
    weir_device_counts counts = {.size = sizeof(counts)};
    weir_device device;
    uint64_t sent = 0;
    long before;

    (void)state;
    flow_ok(weir_set_int(source, "send-mark", MARK));
    flow_ok(weir_set_int(front, "recv-mark", MARK));
    flow_ok(weir_set_int(back, "send-mark", MARK));
    flow_ok(weir_set_int(sink, "recv-mark", MARK));
    flow_ok(weir_device_start(&device, front, back, none, 1));
    join_small(front, source);
    join_small(back, sink);
    flow_ok(weir_wait_peers(back, 1, FLOW_SOON));
    before = resident();
    while (sent < 100000 && weir_send(source, block, BLOCK, 200) == 0)
        sent++;
    assert_in_range(sent, 4 * MARK, 4 * MARK + 1200);
    assert_true(resident() - before < 64 * 1024);
    flow_ok(weir_device_stats(device, &counts));
    assert_true(counts.forth_waits > 0);
    assert_in_range(counts.held, MARK, 2 * MARK + 20);
    for (uint64_t i = 0; i < sent; i++) {
        size_t size = BLOCK;

        flow_ok(weir_recv(sink, got, &size, FLOW_SOON));
        assert_int_equal(size, BLOCK);
    }
    flow_ok(weir_send(source, block, BLOCK, FLOW_SOON));
    flow_ok(weir_device_stats(device, &counts));
    assert_int_equal(counts.forth_dropped, 0);
    flow_ok(weir_device_stop(device, FLOW_SOON, NULL));
    flow_drop(source), flow_drop(sink), flow_drop(front), flow_drop(back);
    flow_end(context);
}

/* ---- many at once ---- */

enum { PUSHERS = 6, PULLERS = 3, MESSAGES = 4000 };

struct pusher {
    weir_context context;
    const char *url;
    uint32_t number;
};

/* Some long, some of several frames; each says whose it is, and which. */
static void *push_many(void *arg)
{
    const struct pusher *pusher = arg;
    weir_socket push = flow_open(pusher->context, WEIR_PUSH);

    flow_ok(weir_connect(push, pusher->url, NULL));
    for (uint32_t i = 0; i < MESSAGES; i++) {
        weir_message message;

        weir_message_init(&message);
        flow_ok(weir_message_add(&message, &pusher->number, 4));
        flow_ok(weir_message_add(&message, &i, 4));
        flow_add(&message, i % 100 == 0 ? 70000 : i % 90, i);
        flow_ok(weir_send_message(push, &message, FLOW_SOON));
    }
    flow_close(push);
    return NULL;
}

struct puller {
    weir_socket pull;
    _Atomic uint64_t *left;
    uint64_t next[PUSHERS]; /* what came is never older than this */
    uint64_t got;
};

static void take_one(struct puller *puller, weir_message *message)
{
    uint32_t from, number;

    memcpy(&from, weir_frame_data(weir_message_frame(message, 0)), 4);
    memcpy(&number, weir_frame_data(weir_message_frame(message, 1)), 4);
    assert_true(from < PUSHERS && number < MESSAGES);
    assert_true(number >= puller->next[from]);
    puller->next[from] = number + 1;
    flow_check_frame(message, 2, number % 100 == 0 ? 70000 : number % 90,
                     number);
    puller->got++;
}

static void *pull_many(void *arg)
{
    struct puller *puller = arg;
    weir_message message;

    weir_message_init(&message);
    while (atomic_load(puller->left) > 0) {
        int r = weir_recv_message(puller->pull, &message, 20);

        if (r == -EAGAIN)
            continue;
        flow_ok(r);
        take_one(puller, &message);
        atomic_fetch_sub(puller->left, 1);
    }
    weir_message_fini(&message);
    return NULL;
}

/* Several workers, links and threads; watched, paused and resumed meanwhile:
 * nothing is lost, and each source's messages keep their order. */
static void test_crowd(void **state)
{
    _Atomic uint64_t left = (uint64_t)PUSHERS * MESSAGES;
    struct pusher pushers[PUSHERS];
    static struct puller pullers[PULLERS];
    pthread_t threads[PUSHERS + PULLERS];
    weir_context context = flow_context(2);
    struct rig rig;

    (void)state;
    rig.front = flow_open(context, WEIR_PULL);
    rig.back = flow_open(context, WEIR_PUSH);
    flow_bind(rig.front, "tcp", rig.front_url);
    flow_bind(rig.back, "ipc", rig.back_url);
    flow_ok(weir_device_start(&rig.device, rig.front, rig.back, none, 3));
    for (uint32_t i = 0; i < PULLERS; i++) {
        pullers[i] = (struct puller){
            .pull = join(context, WEIR_PULL, rig.back_url), .left = &left};
        pthread_create(&threads[PUSHERS + i], NULL, pull_many, &pullers[i]);
    }
    for (uint32_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){context, rig.front_url, i};
        pthread_create(&threads[i], NULL, push_many, &pushers[i]);
    }
    while (atomic_load(&left) > 0) {
        flow_ok(weir_device_pause(rig.device));
        (void)counts_of(&rig);
        flow_ok(weir_device_resume(rig.device));
        flow_stats(rig.front);
        flow_stats(rig.back);
    }
    for (int i = 0; i < PUSHERS + PULLERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counts_of(&rig).forth, (uint64_t)PUSHERS * MESSAGES);
    for (uint32_t i = 0; i < PULLERS; i++) {
        assert_true(pullers[i].got > 0);
        flow_close(pullers[i].pull);
    }
    rig_close(&rig);
    flow_end(context);
}

/* ---- a device that ends amid traffic ---- */

struct flood {
    weir_socket socket;
    _Atomic uint64_t done;
    _Atomic bool over;
};

static void *flood_in(void *arg)
{
    struct flood *flood = arg;

    while (!atomic_load(&flood->over))
        atomic_fetch_add(&flood->done,
                         weir_send(flood->socket, "drop", 4, 10) == 0);
    return NULL;
}

static void *drain_out(void *arg)
{
    struct flood *flood = arg;
    char data[8];

    while (!atomic_load(&flood->over)) {
        size_t size = sizeof(data);

        atomic_fetch_add(&flood->done,
                         weir_recv(flood->socket, data, &size, 10) == 0);
    }
    return NULL;
}

static uint64_t receive_rest(weir_socket socket)
{
    uint64_t n = 0;
    char data[8];
    size_t size = sizeof(data);

    while (weir_recv(socket, data, &size, 300) == 0) {
        size = sizeof(data);
        n++;
    }
    return n;
}

/* Started and stopped over and over amid traffic, with any deadline: all that
 * was sent is at the sink, or still in front. */
static void test_start_and_stop(void **state)
{
    weir_context context = flow_context(1);
    weir_socket front = flow_open(context, WEIR_PULL);
    weir_socket back = flow_open(context, WEIR_PUSH);
    struct flood in = {.socket = flow_open(context, WEIR_PUSH)};
    struct flood out = {.socket = flow_open(context, WEIR_PULL)};
    pthread_t threads[2];
    weir_device device;

    (void)state;
    flow_join(front, in.socket, "tcp");
    flow_join(back, out.socket, "tcp");
    pthread_create(&threads[0], NULL, flood_in, &in);
    pthread_create(&threads[1], NULL, drain_out, &out);
    for (int i = 0; i < 60; i++) {
        int r;

        flow_ok(weir_device_start(&device, front, back, none, 1 + i % 2));
        r = weir_device_stop(device, i % 4 * 3, NULL);
        if (r != -EAGAIN)
            flow_ok(r);
    }
    atomic_store(&in.over, true);
    pthread_join(threads[0], NULL);
    atomic_store(&out.over, true);
    pthread_join(threads[1], NULL);
    assert_int_equal(in.done,
                     out.done + receive_rest(out.socket) + receive_rest(front));
    flow_close(in.socket);
    flow_close(out.socket);
    flow_close(front);
    flow_close(back);
    flow_end(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dying_workers),
        cmocka_unit_test(test_queue_behind_queue),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_slow_sink),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_start_and_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
