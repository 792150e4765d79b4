/*
 * fault.c - see fault.h.
 */
#include "config.h"

#include "fault.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- weir's side ---- */

static void check(int r, const char *what)
{
    if (r < 0)
        fail_msg("%s: %s (%s)", what, weir_strerror(r), weir_last_error());
}

weir_context new_context(int io_threads)
{
    weir_context context;

    check(weir_context_open(&context, io_threads), "weir_context_open");
    return context;
}

weir_socket new_socket(weir_context context, const char *pattern)
{
    weir_socket socket;

    check(weir_open_named(&socket, context, pattern), pattern);
    return socket;
}

void set_option(weir_socket socket, const char *option, const char *value)
{
    check(weir_set(socket, option, value), option);
}

weir_endpoint bind_to(weir_socket socket, const char *pattern,
                      char url[SOCKET_URL])
{
    weir_endpoint endpoint;

    check(weir_bind(socket, pattern, &endpoint), pattern);
    check(weir_endpoint_url(endpoint, url, SOCKET_URL), pattern);
    return endpoint;
}

weir_endpoint connect_to(weir_socket socket, const char *url)
{
    weir_endpoint endpoint;

    check(weir_connect(socket, url, &endpoint), url);
    return endpoint;
}

void wait_peers(weir_socket socket, int n)
{
    check(weir_wait_peers(socket, n, SOON), "weir_wait_peers");
}

void close_socket(weir_socket socket)
{
    int r = weir_close(socket, 0, NULL);

    if (r != -EAGAIN)
        check(r, "weir_close");
}

void close_context(weir_context context)
{
    check(weir_context_close(context, SOON), "weir_context_close");
}

weir_stats stats_of(weir_socket socket)
{
    weir_stats stats = {.size = sizeof(stats)};

    check(weir_socket_stats(socket, &stats), "weir_socket_stats");
    return stats;
}

void await_counter(weir_socket socket, size_t offset, uint64_t n)
{
    int64_t end = now_ms() + SOON;
    uint64_t is;

    do {
        weir_stats stats = stats_of(socket);

        memcpy(&is, (const char *)&stats + offset, sizeof(is));
        if (is == n)
            return;
        sleep_ms(1);
    } while (now_ms() < end);
    fail_msg("a counter is %llu, not %llu", (unsigned long long)is,
             (unsigned long long)n);
}

uint64_t sum_of(const uint64_t drops[WEIR_DROPS])
{
    uint64_t sum = 0;

    for (int i = 0; i < WEIR_DROPS; i++)
        sum += drops[i];
    return sum;
}

bool adds_up(const weir_stats *stats)
{
    uint64_t sent =
        stats->written + stats->send_queued + sum_of(stats->send_dropped);
    uint64_t received =
        stats->delivered + stats->recv_queued + sum_of(stats->recv_dropped);
    bool good = sent == stats->accepted && received == stats->decoded &&
                stats->written <= stats->accepted &&
                stats->delivered <= stats->decoded;

    if (!good)
        fprintf(stderr,
                "accepted %llu = written %llu + queued %llu + dropped %llu\n"
                "decoded %llu = delivered %llu + queued %llu + dropped %llu\n",
                (unsigned long long)stats->accepted,
                (unsigned long long)stats->written,
                (unsigned long long)stats->send_queued,
                (unsigned long long)sum_of(stats->send_dropped),
                (unsigned long long)stats->decoded,
                (unsigned long long)stats->delivered,
                (unsigned long long)stats->recv_queued,
                (unsigned long long)sum_of(stats->recv_dropped));
    return good;
}

bool await_event(weir_socket socket, uint32_t kind, weir_event *out, int ms)
{
    int64_t end = now_ms() + ms;
    weir_event event = {.size = sizeof(event)};

    while (now_ms() < end) {
        int left = (int)(end - now_ms());

        if (weir_next_event(socket, &event, left > 0 ? left : 0) < 0)
            return false;
        if (event.kind != kind)
            continue;
        if (out)
            *out = event;
        return true;
    }
    return false;
}

/* ---- raw peers ---- */

static void limit_waits(int fd)
{
    struct timeval limit = {.tv_sec = SOON / 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int connect_raw(int family, const struct sockaddr *to, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM, 0);

    if (fd < 0)
        return -errno;
    limit_waits(fd);
    if (connect(fd, to, size) < 0) {
        int code = errno;

        close(fd);
        return -code;
    }
    return fd;
}

int raw_connect(const char *url)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (strncmp(url, "ipc://", 6) == 0) {
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", url + 6);
        return connect_raw(AF_UNIX, (struct sockaddr *)&un, sizeof(un));
    }
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    return connect_raw(AF_INET, (struct sockaddr *)&in, sizeof(in));
}

int raw_listen(char url[SOCKET_URL])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 100), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    snprintf(url, SOCKET_URL, "tcp://127.0.0.1:%d", ntohs(in.sin_port));
    limit_waits(fd);
    return fd;
}

int raw_accept(int listener)
{
    int fd = accept(listener, NULL, NULL);

    assert_true(fd >= 0);
    limit_waits(fd);
    return fd;
}

void raw_write(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* closed: the test finds out when it reads */
        at += n;
        size -= (size_t)n;
    }
}

static bool readable(int fd, int64_t end)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int64_t left = end - now_ms();

    return poll(&one, 1, left > 0 ? (int)left : 0) > 0;
}

bool raw_read(int fd, void *data, size_t size, int ms)
{
    int64_t end = now_ms() + ms;
    char *at = data;

    while (size > 0) {
        ssize_t n;

        if (!readable(fd, end))
            return false;
        n = recv(fd, at, size, 0);
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

bool raw_closed(int fd, int ms)
{
    int64_t end = now_ms() + ms;
    char junk[4096];

    while (readable(fd, end)) {
        ssize_t n = recv(fd, junk, sizeof(junk), 0);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return true;
    }
    return false;
}

void raw_reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
}

void make_greeting(uint8_t out[GREETING], int minor, const char *mechanism,
                   bool server)
{
    memset(out, 0, GREETING);
    out[0] = 0xff;
    out[8] = 1;
    out[9] = 0x7f;
    out[10] = 3;
    out[11] = (uint8_t)minor;
    memcpy(out + 12, mechanism, strlen(mechanism));
    out[32] = server;
}

size_t make_ready(uint8_t out[64], const char *type)
{
    size_t size = strlen(type);

    out[0] = RAW_COMMAND;
    out[1] = (uint8_t)(6 + 1 + 11 + 4 + size);
    memcpy(out + 2, "\5READY\13Socket-Type", 18);
    memcpy(out + 20, "\0\0\0", 3);
    out[23] = (uint8_t)size;
    memcpy(out + 24, type, size);
    return 24 + size;
}

void raw_handshake(int fd, int minor, const char *type)
{
    uint8_t ours[GREETING], theirs[GREETING], ready[64], flags;
    size_t size = make_ready(ready, type);

    make_greeting(ours, minor, "NULL", false);
    raw_write(fd, ours, sizeof(ours));
    assert_true(raw_read(fd, theirs, sizeof(theirs), SOON));
    raw_write(fd, ready, size);
    assert_true(raw_frame(fd, &flags, NULL, 0, SOON) > 0);
    assert_int_equal(flags, RAW_COMMAND);
}

static bool read_size(int fd, uint8_t flags, uint64_t *size, int ms)
{
    uint8_t octets[8];
    size_t n = flags & RAW_LONG ? 8 : 1;

    if (!raw_read(fd, octets, n, ms))
        return false;
    *size = 0;
    for (size_t i = 0; i < n; i++)
        *size = *size << 8 | octets[i];
    return true;
}

int raw_frame(int fd, uint8_t *flags, uint8_t *data, size_t room, int ms)
{
    uint8_t body[4096];
    uint64_t size;

    if (!raw_read(fd, flags, 1, ms) || !read_size(fd, *flags, &size, ms))
        return -1;
    assert_true(size <= sizeof(body));
    if (!raw_read(fd, body, (size_t)size, ms))
        return -1;
    if (data)
        memcpy(data, body, size < room ? (size_t)size : room);
    return (int)size;
}

void raw_send(int fd, uint8_t flags, const void *data, size_t size)
{
    uint8_t frame[2 + 255] = {flags, (uint8_t)size};

    assert_true(size <= 255);
    if (size > 0)
        memcpy(frame + 2, data, size);
    raw_write(fd, frame, size + 2);
}

/* ---- the process ---- */

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
    struct timespec left = {.tv_sec = ms / 1000,
                            .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static int count_in(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;

    if (!dir)
        return -1;
    for (struct dirent *one; (one = readdir(dir)) != NULL;)
        n += one->d_name[0] != '.';
    closedir(dir);
    return n;
}

int count_descriptors(void)
{
    return count_in("/proc/self/fd");
}

int count_threads(void)
{
    return count_in("/proc/self/task");
}

size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

bool full(void)
{
    return getenv("WEIR_TEST_FULL") != NULL;
}

bool sanitized(const char *name)
{
    const char *is = getenv("WEIR_SANITIZE");

    return is && strstr(is, name) != NULL;
}
