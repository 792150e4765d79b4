/*
 * test_sentences.c - what weir_last_error() says: after a call that failed, a
 * sentence of that very call; after one that did not, or whose deadline has
 * passed, the one from before.
 *
 * Before each call the thread's sentence is made one that can be told from
 * all others.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

#define MARK "no such thing"

static void mark(void)
{
    weir_context nowhere = {0};
    weir_socket none;

    assert_int_equal(weir_open_named(&none, nowhere, MARK), -ENOENT);
    assert_non_null(strstr(weir_last_error(), MARK));
}

/* `code` is what the call has to give, and `token` is in its sentence; NULL:
 * it says nothing. */
static void judge(int r, int code, const char *token, const char *call,
                  int line)
{
    const char *text = weir_last_error();

    if (r != code && (code < 0 || r < 0))
        fail_msg("line %d: %s gives %d (%s), not %d", line, call, r,
                 weir_strerror(r), code);
    if (!token && !strstr(text, MARK))
        fail_msg("line %d: %s says \"%s\"", line, call, text);
    if (token && (strstr(text, MARK) || !strstr(text, token)))
        fail_msg("line %d: %s says \"%s\", without \"%s\"", line, call, text,
                 token);
}

#define FAILS(call, code, token) \
    (mark(), judge((call), -(code), (token), #call, __LINE__))
#define WORKS(call) (mark(), judge((call), 0, NULL, #call, __LINE__))
#define LATE(call)  (mark(), judge((call), -EAGAIN, NULL, #call, __LINE__))

static const weir_context no_context;
static const weir_socket no_socket;
static const weir_endpoint no_endpoint;

/* ---- contexts and sockets ---- */

static void test_contexts(void **state)
{
    weir_context context;
    weir_socket socket, other;

    (void)state;
    FAILS(weir_context_open(NULL, 1), EINVAL, "NULL");
    FAILS(weir_context_open(&context, -1), EINVAL, "-1");
    FAILS(weir_context_open(&context, 65), EINVAL, "65");
    FAILS(weir_context_close(no_context, 0), EBADF, "context");
    WORKS(weir_context_open(&context, 1));
    FAILS(weir_context_set(context, NULL, "x"), EINVAL, "option");
    FAILS(weir_context_set(context, "x", NULL), EINVAL, "value");
    FAILS(weir_context_set(context, "x", "y"), ENOENT, "\"x\"");
    FAILS(weir_context_set(context, "affinity", "q"), EINVAL, "\"q\"");
    FAILS(weir_context_set(context, "max-sockets", "q"), EINVAL, "\"q\"");
    FAILS(weir_context_set(context, "thread-name", "a name far too long"),
          EINVAL, "a name");
    WORKS(weir_context_set(context, "max-sockets", "1"));
    WORKS(weir_open(&socket, context, WEIR_PUSH));
    FAILS(weir_open(&socket, context, WEIR_PUSH), EMFILE, "max-sockets");
    FAILS(weir_context_set(context, "thread-name", "x"), EBUSY, "thread-name");
    FAILS(weir_context_close(context, -2), EINVAL, "-2");
    FAILS(weir_context_close(context, 0), EBUSY, "PUSH");
    FAILS(weir_flush(socket, 0), WEIR_ECLOSING, "closing");
    FAILS(weir_open(&other, context, WEIR_PULL), WEIR_ECLOSING, "closing");
    WORKS(weir_close(socket, 0, NULL));
    WORKS(weir_context_close(context, SOON));
    FAILS(weir_context_close(context, 0), EBADF, "context");
    FAILS(weir_context_set(context, "max-sockets", "1"), EBADF, "context");
}

static void test_sockets(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket;

    (void)state;
    FAILS(weir_open(NULL, context, WEIR_PUSH), EINVAL, "NULL");
    FAILS(weir_open(&socket, context, 99), EINVAL, "99");
    FAILS(weir_open(&socket, no_context, WEIR_PUSH), EBADF, "context");
    FAILS(weir_open_named(&socket, context, NULL), EINVAL, "NULL");
    FAILS(weir_open_named(&socket, context, "PUSHY"), ENOENT, "PUSHY");
    FAILS(weir_close(no_socket, 0, NULL), EBADF, "socket");
    WORKS(weir_open_named(&socket, context, "PUSH"));
    FAILS(weir_close(socket, -3, NULL), EINVAL, "-3");
    WORKS(weir_close(socket, 0, NULL));
    FAILS(weir_close(socket, 0, NULL), EBADF, "closed");
    FAILS(weir_send(socket, "x", 1, 0), EBADF, "closed");
    close_context(context);
}

/* What is given up is said, though the code is that of a deadline. */
static void test_unsent(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, "PUSH");
    weir_endpoint endpoint = connect_to(socket, "inproc://nobody");
    uint64_t unsent;

    (void)state;
    WORKS(weir_send(socket, "x", 1, 0));
    LATE(weir_flush(socket, 1));
    FAILS(weir_endpoint_close(endpoint, 0, &unsent), EAGAIN, "unsent: 1");
    connect_to(socket, "inproc://nobody");
    WORKS(weir_send(socket, "x", 1, 0));
    FAILS(weir_close(socket, 0, &unsent), EAGAIN, "unsent: 1");
    close_context(context);
}

/* ---- endpoints ---- */

static void bad_urls(weir_socket socket,
                     int (*open)(weir_socket socket, const char *url,
                                 weir_endpoint *out))
{
    FAILS(open(socket, NULL, NULL), EINVAL, "NULL");
    FAILS(open(socket, "nonsense", NULL), EINVAL, "nonsense");
    FAILS(open(socket, "Tcp//x", NULL), EINVAL, "Tcp//x");
    FAILS(open(socket, "nowhere://x", NULL), WEIR_EPLUGIN, "nowhere");
    FAILS(open(socket, "tcp://127.0.0.1:no", NULL), EINVAL, "no");
    FAILS(open(socket, "tcp://127.0.0.1:1?linger=x", NULL), EINVAL, "linger");
    FAILS(open(socket, "tcp://127.0.0.1:1?linger=-7", NULL), ERANGE, "linger");
    FAILS(open(socket, "inproc://", NULL), EINVAL, "inproc");
    FAILS(open(no_socket, "inproc://x", NULL), EBADF, "socket");
}

static void test_endpoints(void **state)
{
    weir_context context = new_context(1);
    weir_socket a = new_socket(context, "PULL");
    weir_socket b = new_socket(context, "PULL");
    weir_endpoint endpoint;
    char url[SOCKET_URL];

    (void)state;
    bad_urls(a, weir_bind);
    bad_urls(a, weir_connect);
    WORKS(weir_bind(a, "tcp://127.0.0.1:*", &endpoint));
    FAILS(weir_endpoint_url(endpoint, NULL, 9), EINVAL, "NULL");
    FAILS(weir_endpoint_url(endpoint, url, 3), ERANGE, "3");
    WORKS(weir_endpoint_url(endpoint, url, sizeof(url)));
    FAILS(weir_bind(b, url, NULL), EADDRINUSE, "127.0.0.1");
    WORKS(weir_bind(a, "inproc://taken", NULL));
    FAILS(weir_bind(b, "inproc://taken", NULL), EADDRINUSE, "taken");
    FAILS(weir_connect(b, "inproc://taken", NULL), WEIR_EINCOMPATIBLE, "taken");
    FAILS(weir_bind(b, "ipc:///no/such/folder/x", NULL), ENOENT, "folder");
    FAILS(weir_endpoint_close(endpoint, -3, NULL), EINVAL, "-3");
    WORKS(weir_endpoint_close(endpoint, 0, NULL));
    FAILS(weir_endpoint_close(endpoint, 0, NULL), EBADF, "endpoint");
    FAILS(weir_endpoint_url(endpoint, url, sizeof(url)), EBADF, "endpoint");
    FAILS(weir_endpoint_url(no_endpoint, url, 9), EBADF, "endpoint");
    close_socket(a);
    close_socket(b);
    close_context(context);
}

/* ---- options ---- */

static void test_options(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, "PULL");
    weir_socket dealer = new_socket(context, "DEALER");
    char text[64];
    size_t size = 0;
    int64_t number;

    (void)state;
    FAILS(weir_set(socket, NULL, "1"), EINVAL, "NULL");
    FAILS(weir_set(socket, "linger", NULL), EINVAL, "NULL");
    FAILS(weir_set(socket, "lingers", "1"), ENOENT, "lingers");
    FAILS(weir_set(socket, "linger", "q"), EINVAL, "linger");
    FAILS(weir_set(socket, "linger", "-9"), ERANGE, "-9");
    FAILS(weir_set(socket, "send-mark", "1"), WEIR_EINCOMPATIBLE, "send-mark");
    FAILS(weir_set(socket, "property", "X-a"), EINVAL, "X-a");
    FAILS(weir_set(no_socket, "linger", "1"), EBADF, "socket");
    FAILS(weir_set_int(socket, "linger", -9), ERANGE, "-9");
    FAILS(weir_set_int(dealer, "routing-id", 1), EINVAL, "routing-id");
    FAILS(weir_set_bytes(socket, "linger", "x", 1), EINVAL, "linger");
    FAILS(weir_set_bytes(dealer, "routing-id", NULL, 1), EINVAL, "NULL");
    FAILS(weir_set_bytes(dealer, "routing-id", "", 1), EINVAL, "routing-id");
    FAILS(weir_get(socket, "linger", text, &size), ERANGE, "linger");
    FAILS(weir_get(socket, "linger", NULL, &size), EINVAL, "NULL");
    FAILS(weir_get(socket, "linger", text, NULL), EINVAL, "NULL");
    FAILS(weir_get_int(dealer, "routing-id", &number), EINVAL, "routing-id");
    FAILS(weir_get_int(socket, "linger", NULL), EINVAL, "NULL");
    FAILS(weir_get_bytes(socket, "linger", text, &size), EINVAL, "linger");
    FAILS(weir_get_bytes(socket, "linger", text, NULL), EINVAL, "NULL");
    WORKS(weir_get_int(socket, "linger", &number));
    close_socket(dealer);
    close_socket(socket);
    close_context(context);
}

/* ---- messages ---- */

static void test_wrong_ways(void **state)
{
    weir_context context = new_context(1);
    weir_socket pull = new_socket(context, "PULL");
    weir_socket push = new_socket(context, "PUSH");
    weir_socket rep = new_socket(context, "REP");
    weir_socket req = new_socket(context, "REQ");
    weir_message message;
    char data[4];
    size_t size = sizeof(data);

    (void)state;
    weir_message_init(&message);
    FAILS(weir_send(pull, "x", 1, 0), EOPNOTSUPP, "PULL");
    FAILS(weir_send(push, NULL, 1, 0), EINVAL, "NULL");
    FAILS(weir_send(push, "x", 1, -2), EINVAL, "-2");
    LATE(weir_send(push, "x", 1, 0));
    LATE(weir_send(push, "x", 1, 1));
    FAILS(weir_send(rep, "x", 1, 0), WEIR_ESTATE, "REP");
    FAILS(weir_send_message(push, NULL, 0), EINVAL, "NULL");
    FAILS(weir_send_message(push, &message, 0), EINVAL, "frames");
    FAILS(weir_send_message(no_socket, &message, 0), EINVAL, "frames");
    FAILS(weir_send_many(push, &message, 0, 0), EINVAL, "0");
    FAILS(weir_send_many(push, NULL, 1, 0), EINVAL, "NULL");
    FAILS(weir_send_many(push, &message, 1, 0), EINVAL, "frames");
    FAILS(weir_recv(push, data, &size, 0), EOPNOTSUPP, "PUSH");
    FAILS(weir_recv(pull, NULL, &size, 0), EINVAL, "NULL");
    FAILS(weir_recv(pull, data, NULL, 0), EINVAL, "NULL");
    FAILS(weir_recv(req, data, &size, 0), WEIR_ESTATE, "REQ");
    LATE(weir_recv(pull, data, &size, 0));
    FAILS(weir_recv_message(push, &message, 0), EOPNOTSUPP, "PUSH");
    FAILS(weir_recv_message(pull, NULL, 0), EINVAL, "NULL");
    LATE(weir_recv_message(pull, &message, 1));
    FAILS(weir_recv_many(pull, &message, 0, 0), EINVAL, "0");
    FAILS(weir_recv_many(pull, NULL, 1, 0), EINVAL, "NULL");
    LATE(weir_recv_many(pull, &message, 1, 0));
    FAILS(weir_flush(push, -2), EINVAL, "-2");
    FAILS(weir_subscribe(pull, "x", 1), EOPNOTSUPP, "PULL");
    FAILS(weir_subscribe(pull, NULL, 1), EINVAL, "NULL");
    FAILS(weir_unsubscribe(pull, "x", 1), EOPNOTSUPP, "PULL");
    close_socket(pull);
    close_socket(push);
    close_socket(rep);
    close_socket(req);
    close_context(context);
}

static void test_messages(void **state)
{
    weir_context context = new_context(1);
    weir_socket router = new_socket(context, "ROUTER");
    weir_socket dealer = new_socket(context, "DEALER");
    weir_socket sub = new_socket(context, "SUB");
    weir_message message;
    char url[SOCKET_URL], data[4];
    size_t size = sizeof(data);

    (void)state;
    weir_message_init(&message);
    set_option(router, "mandatory", "1");
    bind_to(router, "tcp://127.0.0.1:*", url);
    connect_to(dealer, url);
    wait_peers(router, 1);
    WORKS(weir_message_add(&message, "nobody", 6));
    WORKS(weir_message_add(&message, "x", 1));
    FAILS(weir_send_message(router, &message, 0), EHOSTUNREACH, "nobody");
    FAILS(weir_send_many(router, &message, 1, 0), EHOSTUNREACH, "nobody");
    WORKS(weir_send_message(dealer, &message, SOON));
    FAILS(weir_recv(router, data, &size, SOON), EMSGSIZE,
          "3 frames: weir_recv_message()");
    WORKS(weir_recv_message(router, &message, SOON));
    weir_message_fini(&message);
    FAILS(weir_unsubscribe(sub, "x", 1), ENOENT, "topic");
    WORKS(weir_subscribe(sub, "x", 1));
    close_socket(router);
    close_socket(dealer);
    close_socket(sub);
    close_context(context);
}

static void test_frames(void **state)
{
    weir_message message;
    weir_frame frame;

    (void)state;
    weir_message_init(&message);
    FAILS(weir_frame_alloc(&frame, SIZE_MAX), ENOMEM, "frame");
    FAILS(weir_frame_copy_in(&frame, "x", SIZE_MAX), ENOMEM, "frame");
    FAILS(weir_message_add(&message, "x", SIZE_MAX), ENOMEM, "frame");
    FAILS(weir_message_pop(&message, &frame), ENOENT, "frame");
    WORKS(weir_message_add(&message, "x", 1));
    WORKS(weir_message_pop(&message, &frame));
    weir_frame_fini(&frame);
}

/* ---- waiting and seeing ---- */

static void test_waiting(void **state)
{
    weir_context context = new_context(1);
    weir_socket push = new_socket(context, "PUSH");
    weir_socket pull = new_socket(context, "PULL");
    weir_event event = {.size = 1};
    weir_poll_item item = {.fd = -1, .socket = pull, .events = 64};

    (void)state;
    FAILS(weir_readable_fd(push), EOPNOTSUPP, "PUSH");
    FAILS(weir_writable_fd(pull), EOPNOTSUPP, "PULL");
    FAILS(weir_readable_fd(no_socket), EBADF, "socket");
    WORKS(weir_readable_fd(pull));
    FAILS(weir_wait_peers(pull, -1, 0), EINVAL, "-1");
    FAILS(weir_wait_peers(pull, 1, -2), EINVAL, "-2");
    LATE(weir_wait_peers(pull, 1, 1));
    FAILS(weir_next_event(pull, NULL, 0), EINVAL, "NULL");
    FAILS(weir_next_event(pull, &event, 0), EINVAL, "size");
    event.size = sizeof(event);
    LATE(weir_next_event(pull, &event, 1));
    FAILS(weir_poll(&item, -1, 0), EINVAL, "-1");
    FAILS(weir_poll(NULL, 1, 0), EINVAL, "NULL");
    FAILS(weir_poll(&item, 1, 0), EINVAL, "64");
    item.events = WEIR_POLL_IN;
    FAILS(weir_poll(&item, 1, -2), EINVAL, "-2");
    WORKS(weir_poll(&item, 1, 1));
    close_socket(pull);
    WORKS(weir_poll(&item, 1, SOON));
    assert_int_equal(item.ready, WEIR_POLL_ERROR);
    close_socket(push);
    close_context(context);
}

static void test_stats(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, "PUSH");
    weir_stats stats = {.size = 1};

    (void)state;
    FAILS(weir_socket_stats(socket, NULL), EINVAL, "NULL");
    FAILS(weir_socket_stats(socket, &stats), EINVAL, "size");
    FAILS(weir_endpoint_stats(no_endpoint, &stats), EINVAL, "size");
    FAILS(weir_peer_stats(socket, 0, &stats), EINVAL, "size");
    stats.size = sizeof(stats);
    FAILS(weir_socket_stats(no_socket, &stats), EBADF, "socket");
    FAILS(weir_endpoint_stats(no_endpoint, &stats), EBADF, "endpoint");
    FAILS(weir_peer_stats(socket, 0, &stats), ENOENT, "peer 0");
    FAILS(weir_peer_stats(socket, -1, &stats), ENOENT, "peer -1");
    WORKS(weir_socket_stats(socket, &stats));
    close_socket(socket);
    close_context(context);
}

/* ---- plugins ---- */

static int ignore(void *arg, const weir_plugin_info *info)
{
    (void)arg, (void)info;
    return 0;
}

static void test_plugins(void **state)
{
    weir_option_info row = {.size = sizeof(row)};
    weir_plugin_info info = {.size = 1};

    (void)state;
    FAILS(weir_plugin_load(NULL, NULL), WEIR_EPLUGIN, "name");
    FAILS(weir_plugin_load("nonsense", NULL), WEIR_EPLUGIN, "nonsense");
    FAILS(weir_plugin_load("/none/transport_x.so", NULL), WEIR_EPLUGIN, "none");
    FAILS(weir_plugin_load("/none/transport_x.so", &info), EINVAL, "size");
    WORKS(weir_plugin_scan(false, ignore, NULL));
    WORKS(weir_plugin_scan(true, ignore, NULL));
    WORKS(weir_option_at(NULL, 0, &row));
    FAILS(weir_option_at(NULL, 100000, &row), ENOENT, "100000");
    FAILS(weir_option_at(NULL, -1, &row), ENOENT, "-1");
    FAILS(weir_option_at("nonsense", 0, &row), ENOENT, "nonsense");
    FAILS(weir_option_at("transport_none", 0, &row), ENOENT, "transport_none");
    WORKS(weir_option_at("transport_tcp", 0, &row));
    FAILS(weir_option_at("transport_tcp", 10000, &row), ENOENT, "tcp");
    row.size = 1;
    FAILS(weir_option_at(NULL, 0, &row), EINVAL, "size");
}

/* ---- forks ---- */

static void in_child(weir_context context, weir_socket socket,
                     weir_endpoint endpoint)
{
    weir_stats stats = {.size = sizeof(stats)};
    weir_socket other;

    FAILS(weir_send(socket, "x", 1, 0), WEIR_EFORK, "parent");
    FAILS(weir_open(&other, context, WEIR_PUSH), WEIR_EFORK, "parent");
    FAILS(weir_endpoint_stats(endpoint, &stats), WEIR_EFORK, "parent");
    FAILS(weir_readable_fd(socket), WEIR_EFORK, "parent");
}

static void test_fork(void **state)
{
    weir_context context = new_context(1);
    weir_socket socket = new_socket(context, "PUSH");
    weir_endpoint endpoint = connect_to(socket, "inproc://nobody");
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        in_child(context, socket, endpoint);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close_socket(socket);
    close_context(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts), cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_unsent),   cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_wrong_ways),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_frames),
        cmocka_unit_test(test_waiting),  cmocka_unit_test(test_stats),
        cmocka_unit_test(test_plugins),  cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
