#include "config.h"

#include "flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- results ---- */

int flow_check(int result, const char *call, const char *file, int line)
{
    if (result < 0) {
        print_error("%s\n    gave %d, %s: %s\n", call, result,
                    weir_strerror(result), weir_last_error());
        _fail(file, line);
    }
    return result;
}

void flow_check_failure(int result, int code, const char *call,
                        const char *file, int line)
{
    if (result == -code)
        return;
    print_error("%s\n    gave %d (%s), not %d (%s)\n", call, result,
                weir_strerror(result), -code, weir_strerror(code));
    _fail(file, line);
}

int64_t flow_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- contexts and sockets ---- */

weir_context flow_context(int io_threads)
{
    weir_context context;

    flow_ok(weir_context_open(&context, io_threads));
    return context;
}

void flow_end(weir_context context)
{
    flow_ok(weir_context_close(context, FLOW_SOON));
}

weir_socket flow_open(weir_context context, int type)
{
    weir_socket socket;

    flow_ok(weir_open(&socket, context, type));
    return socket;
}

void flow_close(weir_socket socket)
{
    uint64_t unsent = 77;

    flow_ok(weir_close(socket, FLOW_SOON, &unsent));
    assert_int_equal(unsent, 0);
}

void flow_drop(weir_socket socket)
{
    uint64_t unsent;
    int r = weir_close(socket, 0, &unsent);

    if (r != -EAGAIN)
        flow_ok(r);
}

/* ---- addresses ---- */

static bool is_free(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), r;

    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address));
    close(fd);
    return r == 0;
}

/* A port that nobody has until it is bound: systems hand out higher ones to
 * those who want any, and tests that run beside this one begin elsewhere. */
static int free_port(void)
{
    static unsigned serial;
    uint16_t port;

    do {
        assert_true(serial < 10000);
        port = (uint16_t)(20000 + ((unsigned)getpid() * 53 + serial++) % 10000);
    } while (!is_free(port));
    return port;
}

void flow_url(const char *transport, char url[FLOW_URL])
{
    static unsigned serial;

    if (strcmp(transport, "tcp") == 0)
        snprintf(url, FLOW_URL, "tcp://127.0.0.1:%d", free_port());
    else if (strcmp(transport, "ipc") == 0)
        snprintf(url, FLOW_URL, "ipc:///tmp/weir-flow-%ld-%u", (long)getpid(),
                 serial++);
    else
        snprintf(url, FLOW_URL, "%s://flow-%u", transport, serial++);
}

weir_endpoint flow_bind(weir_socket socket, const char *transport,
                        char url[FLOW_URL])
{
    weir_endpoint endpoint;

    if (strcmp(transport, "tcp") == 0)
        snprintf(url, FLOW_URL, "tcp://127.0.0.1:*");
    else
        flow_url(transport, url);
    flow_ok(weir_bind(socket, url, &endpoint));
    flow_ok(weir_endpoint_url(endpoint, url, FLOW_URL));
    return endpoint;
}

void flow_join(weir_socket near, weir_socket far, const char *transport)
{
    char url[FLOW_URL];

    flow_bind(near, transport, url);
    flow_ok(weir_connect(far, url, NULL));
    flow_ok(weir_wait_peers(near, 1, FLOW_SOON));
    flow_ok(weir_wait_peers(far, 1, FLOW_SOON));
}

/* ---- messages ---- */

void flow_fill(void *data, size_t size, uint32_t seed)
{
    uint8_t *octets = data;
    uint32_t x = seed * 2654435761U + 1;

    for (size_t i = 0; i < size; i++) {
        x = x * 1664525U + 1013904223U;
        octets[i] = (uint8_t)(x >> 24);
    }
}

void flow_add(weir_message *message, size_t size, uint32_t seed)
{
    weir_frame frame;

    flow_ok(weir_frame_alloc(&frame, size));
    flow_fill(weir_frame_data(&frame), size, seed);
    flow_ok(weir_message_push(message, &frame));
}

void flow_check_frame(weir_message *message, uint32_t index, size_t size,
                      uint32_t seed)
{
    weir_frame *frame = weir_message_frame(message, index);
    uint8_t *want;

    assert_non_null(frame);
    assert_int_equal(weir_frame_size(frame), size);
    want = malloc(size + 1);
    assert_non_null(want);
    flow_fill(want, size, seed);
    assert_int_equal(memcmp(want, weir_frame_data(frame), size), 0);
    free(want);
}

void flow_say(weir_socket socket, const char *text)
{
    flow_ok(weir_send(socket, text, strlen(text), FLOW_SOON));
}

void flow_hear(weir_socket socket, const char *text)
{
    char data[256];
    size_t size = sizeof(data) - 1;

    flow_ok(weir_recv(socket, data, &size, FLOW_SOON));
    data[size] = '\0';
    assert_string_equal(data, text);
}

void flow_silence(weir_socket socket)
{
    weir_message message;

    weir_message_init(&message);
    flow_fails(weir_recv_message(socket, &message, FLOW_NOT), EAGAIN);
    weir_message_fini(&message);
}

void flow_say_all(weir_socket socket, ...)
{
    weir_message message;
    const char *text;
    va_list texts;

    weir_message_init(&message);
    va_start(texts, socket);
    while ((text = va_arg(texts, const char *)) != NULL)
        flow_ok(weir_message_add(&message, text, strlen(text)));
    va_end(texts);
    flow_ok(weir_send_message(socket, &message, FLOW_SOON));
}

static void check_text(weir_frame *frame, const char *text)
{
    char got[256];
    size_t size = weir_frame_size(frame);

    assert_true(size < sizeof(got));
    memcpy(got, weir_frame_data(frame), size);
    got[size] = '\0';
    assert_string_equal(got, text);
}

void flow_hear_all(weir_socket socket, ...)
{
    weir_message message;
    const char *text;
    va_list texts;
    uint32_t i = 0;

    weir_message_init(&message);
    flow_ok(weir_recv_message(socket, &message, FLOW_SOON));
    va_start(texts, socket);
    while ((text = va_arg(texts, const char *)) != NULL) {
        assert_true(i < weir_message_count(&message));
        check_text(weir_message_frame(&message, i++), text);
    }
    va_end(texts);
    assert_int_equal(weir_message_count(&message), i);
    weir_message_fini(&message);
}

void flow_send_number(weir_socket socket, uint32_t number)
{
    flow_ok(weir_send(socket, &number, sizeof(number), FLOW_SOON));
}

uint32_t flow_recv_number(weir_socket socket)
{
    uint32_t number;
    size_t size = sizeof(number);

    flow_ok(weir_recv(socket, &number, &size, FLOW_SOON));
    assert_int_equal(size, sizeof(number));
    return number;
}

/* ---- seeing ---- */

static uint64_t sum_of(const uint64_t drops[WEIR_DROPS])
{
    uint64_t sum = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        sum += drops[i];
    return sum;
}

void flow_check_sums(const weir_stats *stats)
{
    uint64_t sent = stats->written + stats->send_queued + stats->send_kept +
                    sum_of(stats->send_dropped);
    uint64_t received =
        stats->delivered + stats->recv_queued + sum_of(stats->recv_dropped);

    if (sent == stats->accepted && received == stats->decoded)
        return;
    print_error("accepted %llu: written %llu, queued %llu, dropped %llu\n"
                "decoded %llu: delivered %llu, queued %llu, dropped %llu\n",
                (unsigned long long)stats->accepted,
                (unsigned long long)stats->written,
                (unsigned long long)stats->send_queued,
                (unsigned long long)sum_of(stats->send_dropped),
                (unsigned long long)stats->decoded,
                (unsigned long long)stats->delivered,
                (unsigned long long)stats->recv_queued,
                (unsigned long long)sum_of(stats->recv_dropped));
    fail_msg("the counters do not add up");
}

weir_stats flow_stats(weir_socket socket)
{
    weir_stats stats = {.size = sizeof(stats)};

    flow_ok(weir_socket_stats(socket, &stats));
    flow_check_sums(&stats);
    return stats;
}

weir_event flow_event(weir_socket socket, uint32_t kind)
{
    weir_event event = {.size = sizeof(event)};

    do
        flow_ok(weir_next_event(socket, &event, FLOW_SOON));
    while (event.kind != kind);
    return event;
}

void flow_await_peers(weir_socket socket, uint32_t n)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = flow_now() + FLOW_SOON;

    while (flow_stats(socket).peers != n) {
        assert_true(flow_now() < end);
        nanosleep(&pause, NULL);
    }
}
