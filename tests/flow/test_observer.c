/*
 * The stats endpoint: off unless it is wanted, answers anybody who asks over
 * it, tells events, and does no harm.
 */
#include "config.h"

#include "flow.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER = 1 << 16 };

/* Where the endpoint of a context is; "" nowhere. */
static void where(weir_context context, char url[FLOW_URL])
{
    size_t size = FLOW_URL;

    flow_ok(weir_context_get(context, "stats", url, &size));
    assert_int_equal(size, strlen(url));
}

/* A context that others may look at. */
static weir_context open_observed(char url[FLOW_URL])
{
    weir_context context = flow_context(1);

    flow_url("ipc", url);
    flow_ok(weir_context_set(context, "stats", url));
    where(context, url);
    return context;
}

static weir_socket ask(weir_context context, int type, const char *url,
                       const char *question)
{
    weir_socket socket = flow_open(context, type);

    flow_ok(weir_connect(socket, url, NULL));
    flow_say(socket, question);
    return socket;
}

/* The next answer as a text. */
static void hear(weir_socket socket, char *answer)
{
    size_t size = ANSWER - 1;

    flow_ok(weir_recv(socket, answer, &size, FLOW_SOON));
    answer[size] = '\0';
}

/* Ask once, with a REQ of another context. */
static void get_report(const char *url, char *answer)
{
    weir_context context = flow_context(1);
    weir_socket req = ask(context, WEIR_REQ, url, "stats");

    hear(req, answer);
    flow_close(req);
    flow_end(context);
}

static void expect(const char *answer, const char *words)
{
    if (!strstr(answer, words))
        fail_msg("no '%s' in: %s", words, answer);
}

/* Hear answers until one has the words. */
static void await(weir_socket socket, const char *words, char *answer)
{
    int64_t until = flow_now() + FLOW_SOON;

    do {
        assert_true(flow_now() < until);
        hear(socket, answer);
    } while (!strstr(answer, words));
}

static void test_off(void **state)
{
    weir_context context = flow_context(1);
    char url[FLOW_URL];

    (void)state;
    where(context, url);
    assert_string_equal(url, "");
    flow_end(context);
}

static void test_report(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);

    (void)state;
    assert_non_null(answer);
    flow_join(pull, push, "tcp");
    for (int i = 0; i < 7; i++)
        flow_say(push, "seven");
    for (int i = 0; i < 5; i++)
        flow_hear(pull, "seven");
    flow_ok(weir_flush(push, FLOW_SOON));
    get_report(url, answer);
    expect(answer, "\"type\": \"PUSH\"");
    expect(answer, "\"accepted\": 7");
    expect(answer, "\"delivered\": 5");
    expect(answer, "\"url\": \"tcp://127.0.0.1:");
    expect(answer, "\"peer\": \"127.0.0.1:");
    expect(answer, "\"peers_ready\": 1");
    assert_null(strstr(answer, "seven"));
    flow_drop(push);
    flow_drop(pull);
    flow_end(context);
    free(answer);
}

/* What was dropped stands there with its reason, and a refusal's why. */
static void test_reasons(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url);
    weir_socket router = flow_open(context, WEIR_ROUTER);
    weir_socket push = flow_open(context, WEIR_PUSH);

    (void)state;
    assert_non_null(answer);
    flow_say_all(router, "nobody", "nothing", NULL);
    flow_ok(weir_connect(push, "ipc:///nosuch/path", NULL));
    (void)flow_event(push, WEIR_EVENT_RETRY);
    get_report(url, answer);
    expect(answer, "\"no-route\": 1");
    expect(answer, "/nosuch/path: ");
    flow_drop(router);
    flow_drop(push);
    flow_end(context);
    free(answer);
}

static void test_swap(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url);
    weir_socket push = flow_open(context, WEIR_PUSH);

    (void)state;
    assert_non_null(answer);
    flow_ok(weir_set(push, "send-mark", "1"));
    flow_ok(weir_set(push, "send-swap", "1000000"));
    flow_ok(weir_connect(push, "ipc:///nosuch/path", NULL));
    for (int i = 0; i < 10; i++)
        flow_say(push, "0123456789");
    get_report(url, answer);
    expect(answer, "\"swap\": {\"bytes\": 1"); /* nine of twelve octets */
    flow_drop(push);
    flow_end(context);
    free(answer);
}

static void test_events(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(1);
    weir_socket dealer = ask(other, WEIR_DEALER, url, "events");
    weir_socket pair = flow_open(context, WEIR_PAIR);

    (void)state;
    assert_non_null(answer);
    hear(dealer, answer);
    expect(answer, "{\"watching\": ");
    flow_ok(weir_connect(pair, "ipc:///nosuch/path", NULL));
    await(dealer, "\"event\": \"retry\"", answer);
    expect(answer, "\"type\": \"PAIR\"");
    expect(answer, "\"endpoint\": \"ipc:///nosuch/path\"");
    expect(answer, "\"code\": 2");
    /* the application has all of them too */
    (void)flow_event(pair, WEIR_EVENT_RETRY);
    flow_drop(pair);
    flow_say(dealer, "nonsense");
    await(dealer, "no such question", answer);
    flow_close(dealer);
    flow_end(other);
    flow_end(context);
    free(answer);
}

/* Who does not read misses some, and learns how many; nobody waits. */
static void test_slow_watcher(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(1);
    weir_socket dealer = flow_open(other, WEIR_DEALER);
    weir_socket pair = flow_open(context, WEIR_PAIR);

    (void)state;
    assert_non_null(answer);
    flow_ok(weir_set(dealer, "recv-mark", "1"));
    flow_ok(weir_connect(dealer, url, NULL));
    flow_say(dealer, "events");
    hear(dealer, answer);
    for (int i = 0; i < 6000; i++) {
        weir_endpoint endpoint;

        flow_ok(weir_bind(pair, "inproc://a", &endpoint));
        flow_ok(weir_endpoint_close(endpoint, 0, NULL));
    }
    await(dealer, "{\"missed\": ", answer);
    flow_drop(pair);
    flow_close(dealer);
    flow_end(other);
    flow_end(context);
    free(answer);
}

/* Questions that are none, one that is too long, and many at once. */
static void test_strangers(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(1);
    weir_socket dealer = flow_open(other, WEIR_DEALER), far;
    char *big = calloc(1, 10000);

    (void)state;
    assert_non_null(answer);
    assert_non_null(big);
    flow_ok(weir_connect(dealer, url, NULL));
    flow_say_all(dealer, "a", "b", "c", "stats", NULL);
    flow_say(dealer, "");
    far = ask(other, WEIR_DEALER, url, "events");
    flow_ok(weir_send(far, big, 10000, FLOW_SOON));
    for (int i = 0; i < 1000; i++)
        flow_say(dealer, "stats");
    get_report(url, answer);
    expect(answer, "\"sockets\": []");
    flow_drop(far);
    flow_drop(dealer);
    flow_end(other);
    flow_end(context);
    free(big);
    free(answer);
}

/* More than may be are not accepted until one goes. */
static void test_peers(void **state)
{
    enum { MOST = 80 };
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(1);
    weir_socket peers[MOST], late;
    size_t size = ANSWER;

    (void)state;
    assert_non_null(answer);
    for (int i = 0; i < MOST; i++) {
        peers[i] = ask(other, WEIR_DEALER, url, "stats");
        hear(peers[i], answer);
    }
    late = ask(other, WEIR_DEALER, url, "stats");
    flow_fails(weir_recv(late, answer, &size, 400), EAGAIN);
    flow_close(peers[0]);
    hear(late, answer);
    expect(answer, "\"sockets\": []");
    for (int i = 1; i < MOST; i++)
        flow_close(peers[i]);
    flow_close(late);
    flow_end(other);
    flow_end(context);
    free(answer);
}

/* However fast it is asked, a question takes two milliseconds. */
static void test_pace(void **state)
{
    enum { MANY = 200 };
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(1);
    weir_socket dealer = ask(other, WEIR_DEALER, url, "stats");
    int64_t since = flow_now();

    (void)state;
    assert_non_null(answer);
    for (int i = 1; i < MANY; i++)
        flow_say(dealer, "stats");
    for (int i = 0; i < MANY; i++)
        hear(dealer, answer);
    assert_true(flow_now() - since >= (MANY - 2) * 2);
    flow_close(dealer);
    flow_end(other);
    flow_end(context);
    free(answer);
}

/* How often the threads of a name have gone to sleep; -1: there is none. */
static long count_sleeps(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    long sum = -1;

    while (tasks && (task = readdir(tasks))) {
        char path[300], line[100];
        FILE *file;
        bool named = false;
        long n;

        snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file)) {
            if (strncmp(line, "Name:\t", 6) == 0)
                named = strncmp(line + 6, name, strlen(name)) == 0;
            if (named && sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
                sum = (sum < 0 ? 0 : sum) + n;
        }
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

/* What looking costs those who are looked at: a few turns of one thread that is
 * there for it, and no turn of those that move messages. */
static void test_cost(void **state)
{
    enum { LOOKS = 25, TURNS = 3 };
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url), other = flow_context(0);
    weir_socket pull = flow_open(context, WEIR_PULL);
    weir_socket push = flow_open(context, WEIR_PUSH);
    weir_socket dealer = ask(other, WEIR_DEALER, url, "stats");
    int64_t until = flow_now() + FLOW_SOON;
    long io, stats;

    (void)state;
    assert_non_null(answer);
    flow_join(pull, push, "tcp");
    hear(dealer, answer);
    stats = count_sleeps("weir-stats");
    if (stats < 0)
        skip();
    /* what joining has left behind is over when nothing moves any more */
    do {
        assert_true(flow_now() < until);
        io = count_sleeps("weir-io");
        flow_say(dealer, "stats");
        hear(dealer, answer);
    } while (count_sleeps("weir-io") != io);
    stats = count_sleeps("weir-stats");
    for (int i = 0; i < LOOKS; i++) {
        flow_say(dealer, "stats");
        hear(dealer, answer);
    }
    /* a timer of its own may have been due */
    assert_in_range(count_sleeps("weir-io") - io, 0, LOOKS / 4);
    assert_in_range(count_sleeps("weir-stats") - stats, 1, LOOKS * TURNS);
    flow_close(dealer);
    flow_drop(push);
    flow_drop(pull);
    flow_end(other);
    flow_end(context);
    free(answer);
}

enum { LARGE_SOCKETS = 60 };

/* A context whose report is about four million octets. */
static weir_context open_large(char url[FLOW_URL],
                               weir_socket pairs[LARGE_SOCKETS])
{
    weir_context context = open_observed(url);
    char name[300];
    weir_endpoint endpoint;

    for (int i = 0; i < LARGE_SOCKETS; i++) {
        pairs[i] = flow_open(context, WEIR_PAIR);
        for (int j = 0; j < 100; j++) {
            snprintf(name, sizeof(name), "inproc://%d-%d-%0200d", i, j, 0);
            flow_ok(weir_bind(pairs[i], name, &endpoint));
        }
    }
    return context;
}

/* Somebody who has asked, and has one answer and room for no more. */
static weir_socket open_unread(weir_context context, const char *url)
{
    weir_socket dealer = flow_open(context, WEIR_DEALER);
    weir_poll_item item = {.socket = dealer, .events = WEIR_POLL_IN};

    flow_ok(weir_set(dealer, "recv-mark", "1"));
    flow_ok(weir_connect(dealer, url, NULL));
    flow_say(dealer, "stats");
    assert_int_equal(weir_poll(&item, 1, FLOW_SOON), 1);
    return dealer;
}

/* Many who ask and do not read: what waits for them stays within bounds. */
static void test_unread(void **state)
{
    enum { MANY = 12, LARGE = 8 << 20 };
    char url[FLOW_URL], *answer = malloc(LARGE);
    weir_socket pairs[LARGE_SOCKETS], dealers[MANY];
    weir_context context = open_large(url, pairs), other = flow_context(1);
    size_t size = LARGE;

    (void)state;
    assert_non_null(answer);
    for (int i = 0; i < MANY; i++) {
        dealers[i] = open_unread(other, url);
        flow_say(dealers[i], "stats"); /* its answer waits over there */
    }
    flow_ok(weir_recv(dealers[0], answer, &size, FLOW_SOON));
    assert_true(size > 2 << 20);
    hear(dealers[MANY - 1], answer);
    expect(answer, "{\"error\": \"too much waits");
    for (int i = 0; i < MANY; i++)
        flow_drop(dealers[i]);
    for (int i = 0; i < LARGE_SOCKETS; i++)
        flow_drop(pairs[i]);
    flow_end(other);
    flow_end(context);
    free(answer);
}

/* Another place takes that of the first; none ends it. */
static void test_replaced(void **state)
{
    char url[FLOW_URL], second[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url);

    (void)state;
    assert_non_null(answer);
    flow_ok(weir_context_set(context, "stats", "tcp://127.0.0.1:*"));
    where(context, second);
    assert_non_null(strstr(second, "tcp://127.0.0.1:"));
    assert_null(strchr(second, '*'));
    assert_int_equal(access(url + strlen("ipc://"), F_OK), -1);
    get_report(second, answer);
    flow_ok(weir_context_set(context, "stats", ""));
    where(context, second);
    assert_string_equal(second, "");
    flow_end(context);
    free(answer);
}

static void test_refusals(void **state)
{
    char url[FLOW_URL], text[4];
    weir_context one = open_observed(url), two = flow_context(1);
    size_t size = sizeof(text);

    (void)state;
    flow_fails(weir_context_set(two, "stats", url), EADDRINUSE);
    flow_fails(weir_context_set(two, "stats", "nosuch://a"), WEIR_EPLUGIN);
    flow_fails(weir_context_set(two, "stats", "a/b"), EINVAL);
    assert_non_null(strstr(weir_last_error(), "\"a/b\""));
    flow_fails(weir_context_get(one, "stats", text, &size), ERANGE);
    assert_int_equal(size, strlen(url));
    flow_fails(weir_context_get(one, "nosuch", text, &size), ENOENT);
    size = sizeof(text);
    flow_fails(weir_context_get(one, "max-sockets", text, &size), ERANGE);
    where(two, url);
    assert_string_equal(url, "");
    flow_end(two);
    flow_end(one);
}

/* A name is a path in a folder of the user's own. */
static void test_environment(void **state)
{
    char folder[] = "/tmp/weir-observer-XXXXXX", made[64], url[FLOW_URL];
    char *answer = malloc(ANSWER);
    weir_context context;
    struct stat is;

    (void)state;
    assert_non_null(answer);
    assert_non_null(mkdtemp(folder));
    umask(022);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("WEIR_STATS", "jobs", 1);
    context = flow_context(1);
    unsetenv("WEIR_STATS");
    where(context, url);
    assert_non_null(strstr(url, "/weir/jobs."));
    assert_int_equal(stat(url + strlen("ipc://"), &is), 0);
    assert_int_equal(is.st_mode & 0777, 0600);
    snprintf(made, sizeof(made), "%s/weir", folder);
    assert_int_equal(stat(made, &is), 0);
    assert_int_equal(is.st_mode & 0777, geteuid() == 0 ? 0755 : 0700);
    get_report(url, answer);
    flow_end(context);
    assert_int_equal(access(url + strlen("ipc://"), F_OK), -1);
    assert_int_equal(rmdir(made), 0);
    assert_int_equal(rmdir(folder), 0);
    free(answer);
}

/* A program does not fail by it: its first socket has an event that says
 * why. */
static void test_bad_environment(void **state)
{
    weir_context context;
    weir_socket first, second;
    weir_event event = {.size = sizeof(event)};
    char url[FLOW_URL];

    (void)state;
    setenv("WEIR_STATS", "no name", 1);
    context = flow_context(1);
    unsetenv("WEIR_STATS");
    where(context, url);
    assert_string_equal(url, "");
    first = flow_open(context, WEIR_PUSH);
    second = flow_open(context, WEIR_PUSH);
    event = flow_event(first, WEIR_EVENT_LOG);
    assert_int_equal(event.code, EINVAL);
    expect(event.reason, "WEIR_STATS: ");
    expect(event.reason, "\"no name\"");
    flow_fails(weir_next_event(second, &event, WEIR_NOWAIT), EAGAIN);
    flow_close(first);
    flow_close(second);
    flow_end(context);
}

/* A child has none, and closing there leaves that of the parent. */
static void test_fork(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = open_observed(url);
    int status;
    pid_t pid;

    (void)state;
    assert_non_null(answer);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[FLOW_URL];
        size_t size = sizeof(text);
        int r = weir_context_get(context, "stats", text, &size);

        if (r == -WEIR_EFORK)
            r = weir_context_close(context, FLOW_SOON);
        _exit(r == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    get_report(url, answer);
    flow_end(context);
    free(answer);
}

/* A child that leaves the library alone does not keep the endpoint's place. */
static void test_idle_child(void **state)
{
    weir_context context = flow_context(1);
    int begun[2], end[2], status;
    char url[FLOW_URL], octet, *answer = malloc(ANSWER);
    pid_t pid;

    (void)state;
    assert_non_null(answer);
    assert_int_equal(pipe(begun), 0);
    assert_int_equal(pipe(end), 0);
    flow_ok(weir_context_set(context, "stats", "tcp://127.0.0.1:*"));
    where(context, url);
    get_report(url, answer); /* so it listens */
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(end[1]);
        _exit(write(begun[1], "", 1) == 1 && read(end[0], &octet, 1) == 0 ? 0
                                                                          : 1);
    }
    close(end[0]);
    assert_int_equal(read(begun[0], &octet, 1), 1);
    flow_ok(weir_context_set(context, "stats", ""));
    flow_ok(weir_context_set(context, "stats", url));
    close(end[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(begun[0]);
    close(begun[1]);
    flow_end(context);
    free(answer);
}

/* A context without I/O threads has one all the same. */
static void test_no_threads(void **state)
{
    char url[FLOW_URL], *answer = malloc(ANSWER);
    weir_context context = flow_context(0);
    weir_socket push = flow_open(context, WEIR_PUSH);

    (void)state;
    assert_non_null(answer);
    flow_url("ipc", url);
    flow_ok(weir_context_set(context, "stats", url));
    get_report(url, answer);
    expect(answer, "\"io_threads\": 0");
    expect(answer, "\"type\": \"PUSH\"");
    flow_close(push);
    flow_end(context);
    free(answer);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = WEIR_EVENT_LISTENING; i <= WEIR_EVENT_SWAP_RESUMED; i++)
        assert_string_not_equal(weir_event_name(i), "?");
    for (int i = 0; i <= WEIR_DROP_STORE; i++)
        assert_string_not_equal(weir_drop_name(i), "?");
    assert_string_equal(weir_event_name(WEIR_EVENT_GAP), "gap");
    assert_string_equal(weir_drop_name(WEIR_DROP_CUT), "cut");
    assert_string_equal(weir_event_name(0), "?");
    assert_string_equal(weir_event_name(-1), "?");
    assert_string_equal(weir_event_name(1000), "?");
    assert_string_equal(weir_drop_name(-1), "?");
    assert_string_equal(weir_drop_name(WEIR_DROPS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_slow_watcher),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_bad_environment),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_idle_child),
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_names),
    };

    unsetenv("WEIR_STATS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
