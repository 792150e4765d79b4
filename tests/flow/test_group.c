/*
 * test_group.c - epgm and pgm on one machine: what is refused and what is said
 * of it, what stays of openpgm's habits, and what each option does.
 *
 * Where the machine has no interface that can multicast, traffic is left out.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "flow.h"

#define GROUP "239.192.77.7"

static weir_context context;

/* A port of the group that nobody uses just now. */
static uint16_t free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    close(fd);
    return ntohs(any.sin_port);
}

/* "epgm://;GROUP:PORT", with options or NULL. */
static const char *url_of(uint16_t port, const char *options)
{
    static char urls[4][FLOW_URL];
    static unsigned turn;
    char *url = urls[turn++ % 4];

    snprintf(url, FLOW_URL, "epgm://;" GROUP ":%u%s%s", port,
             options ? "?" : "", options ? options : "");
    return url;
}

static bool can_multicast(void)
{
    weir_socket socket = flow_open(context, WEIR_PUB);
    int rc = weir_connect(socket, url_of(free_port(), NULL), NULL);

    flow_drop(socket);
    if (rc == -ENODEV)
        print_message("no traffic: %s\n", weir_last_error());
    else
        flow_ok(rc);
    return rc == 0;
}

/* ---- what is refused ---- */

static const struct refusal {
    const char *address, *token;
    int code;
} refusals[] = {
    {"lo;239.192.1.1:5555", "interface \"lo\" cannot multicast", EINVAL},
    {"127.0.0.1;239.192.1.1:5555", "interface \"127.0.0.1\" cannot multicast",
     EINVAL},
    {"127.0.0.0/8;239.192.1.1:5555", "interface \"127.0.0.0/8\"", EINVAL},
    {"nosuch0;239.192.1.1:5555", "interface \"nosuch0\" is not there", ENODEV},
    {"240.0.0.77;239.192.1.1:5555", "interface \"240.0.0.77\" is no address",
     ENODEV},
    {"240.0.0.0/24;239.192.1.1:5555", "interface \"240.0.0.0/24\"", ENODEV},
    {"240.0.0.0/33;239.192.1.1:5555", "interface \"240.0.0.0/33\"", EINVAL},
    {"lo/8;239.192.1.1:5555", "interface \"lo/8\" is not a network", EINVAL},
    {"::1;239.192.1.1:5555", "interface \"::1\" is of another family", EINVAL},
    {"lo;10.0.0.1:5555", "group \"10.0.0.1\"", EINVAL},
    {"lo;239.192.1.1:0", "port \"0\"", EINVAL},
    {";239.192.1.1:5555?rate=10&tpdu=1500", "option rate", EINVAL},
    {";239.192.1.1:5555?rate=10000000&recovery=3600s", "option recovery",
     EINVAL},
    {";239.192.1.1:5555?tpdu=100", "tpdu", ERANGE},
    {";239.192.1.1:5555?hops=0", "hops", ERANGE},
    {";239.192.1.1:5555?hops=256", "hops", ERANGE},
};

static void test_refusals(void **state)
{
    static const char *const schemes[] = {"epgm", "pgm"};
    weir_socket socket = flow_open(context, WEIR_PUB);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *one = &refusals[i / 2];
        char url[FLOW_URL];

        snprintf(url, sizeof url, "%s://%s", schemes[i % 2], one->address);
        flow_fails(weir_connect(socket, url, NULL), one->code);
        if (!strstr(weir_last_error(), one->token))
            fail_msg("%s: %s", url, weir_last_error());
        flow_fails(weir_bind(socket, url, NULL), one->code);
    }
    flow_drop(socket);
}

static void test_types(void **state)
{
    static const int types[] = {WEIR_PUSH, WEIR_PULL,   WEIR_REQ,   WEIR_REP,
                                WEIR_PAIR, WEIR_DEALER, WEIR_ROUTER};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        weir_socket socket = flow_open(context, types[i]);

        flow_fails(weir_connect(socket, "epgm://lo;239.192.1.1:5555", NULL),
                   WEIR_EINCOMPATIBLE);
        flow_drop(socket);
    }
}

/* ---- in a process of its own ---- */

static int run_child(int (*work)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        alarm(30);
        _exit(work());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Connect, and say whether it went as it should: 0 or an error with a word. */
static int try_connect(const char *url, int code, const char *word)
{
    weir_context inside;
    weir_socket socket;
    int rc;

    if (weir_context_open(&inside, 1) < 0 ||
        weir_open(&socket, inside, WEIR_PUB) < 0)
        return 2;
    rc = weir_connect(socket, url, NULL);
    if (rc == -ENODEV)
        rc = -code; /* no interface; it did not come to that */
    else if (word && !strstr(weir_last_error(), word))
        return 3;
    (void)weir_close(socket, 0, NULL);
    (void)weir_context_close(inside, 1000);
    return rc == -code ? 0 : 4;
}

/* Raw IP is for the privileged, and the sentence says what they have.  Where
 * weir was built may be closed to others: what is loaded is loaded before. */
static int connect_unprivileged(void)
{
    if (try_connect("epgm://;" GROUP ":5999", 0, NULL) != 0)
        return 5;
    if (geteuid() == 0 && setuid(65534) < 0)
        return 1;
    return try_connect("pgm://;239.192.1.1:5555", EPERM, "CAP_NET_RAW");
}

static void test_privilege(void **state)
{
    (void)state;
    assert_int_equal(run_child(connect_unprivileged), 0);
}

/* Nothing is printed, however much openpgm is asked to say. */
static int connect_loudly(void)
{
    char path[] = "/tmp/weir-group-XXXXXX";
    int fd = mkstemp(path), rc;

    if (fd < 0)
        return 1;
    (void)unlink(path);
    setenv("PGM_MIN_LOG_LEVEL", "DEBUG", 1);
    setenv("PGM_LOG_MASK", "0xffff", 1);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    rc = try_connect("epgm://;" GROUP ":5999", 0, NULL);
    return rc ? rc : lseek(fd, 0, SEEK_END) != 0;
}

static void test_quiet(void **state)
{
    (void)state;
    assert_int_equal(run_child(connect_loudly), 0);
}

/* Has the process `holder` a lock on it? */
static bool is_locked(int fd, pid_t holder)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK &&
                      lock.l_pid == holder
                  ? 0
                  : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* A lock on the file that is standard input stays. */
static int connect_locked(void)
{
    char path[] = "/tmp/weir-group-XXXXXX";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = mkstemp(path), rc;

    if (fd < 0)
        return 11;
    (void)unlink(path);
    if (dup2(fd, STDIN_FILENO) < 0 || fcntl(fd, F_SETLK, &lock) < 0 ||
        !is_locked(fd, getpid()))
        return 12;
    rc = try_connect("epgm://;" GROUP ":5999", 0, NULL);
    return rc ? rc : is_locked(fd, getpid()) ? 0 : 13;
}

static void test_locks(void **state)
{
    (void)state;
    assert_int_equal(run_child(connect_locked), 0);
}

/* With few descriptors it fails, and closes none that are not its own. */
static int connect_poorly(void)
{
    weir_context inside;
    weir_socket socket;
    struct rlimit few = {0, 0};
    int first, failed = 0;

    (void)dup2(open("/dev/null", O_RDONLY), STDIN_FILENO); /* no file */
    if (weir_context_open(&inside, 1) < 0 ||
        weir_open(&socket, inside, WEIR_PUB) < 0)
        return 1;
    first = open("/dev/null", O_RDONLY);
    close(first);
    for (int n = 0; n < 12; n++) {
        int rc;

        few.rlim_cur = few.rlim_max = (rlim_t)(first + 12 - n);
        if (setrlimit(RLIMIT_NOFILE, &few) < 0)
            return 2;
        rc = weir_connect(socket, "epgm://;" GROUP ":5999", NULL);
        if (rc == -ENODEV)
            return 0;
        failed += rc == -EMFILE;
        if (fcntl(STDIN_FILENO, F_GETFD) < 0)
            return 3;
    }
    return failed > 0 ? 0 : 4;
}

static void test_few_descriptors(void **state)
{
    (void)state;
    assert_int_equal(run_child(connect_poorly), 0);
}

/* ---- descriptors ---- */

/* Call it for each descriptor of a UDP socket.  Returns how many. */
static int each_udp(void (*see)(int fd, void *arg), void *arg)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++) {
        int type = 0;
        socklen_t size = sizeof type;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
            type == SOCK_DGRAM) {
            n++;
            if (see)
                see(fd, arg);
        }
    }
    return n;
}

/* Closing goes on after the call. */
static void await_none(void)
{
    int64_t deadline = flow_now() + FLOW_SOON;

    while (each_udp(NULL, NULL) > 0)
        assert_true(flow_now() < deadline);
}

static void must_be_private(int fd, void *arg)
{
    (void)arg;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int all_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

static void test_descriptors(void **state)
{
    static const int types[] = {WEIR_PUB, WEIR_SUB};

    (void)state;
    if (!can_multicast())
        skip();
    for (int i = 0; i < 2; i++) {
        weir_socket socket = flow_open(context, types[i]);
        int before;

        await_none();
        before = all_descriptors();
        flow_ok(weir_connect(socket, url_of(free_port(), NULL), NULL));
        flow_ok(weir_wait_peers(socket, 1, FLOW_SOON));
        assert_int_equal(each_udp(must_be_private, NULL), 3);
        flow_drop(socket);
        await_none();
        assert_in_range(all_descriptors(), 0, before);
        assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0 || errno == EBADF);
    }
}

/* ---- traffic ---- */

struct pair {
    weir_socket pub, sub;
};

static struct pair join_group(const char *options, const char *recv_options)
{
    uint16_t port = free_port();
    struct pair pair = {flow_open(context, WEIR_PUB),
                        flow_open(context, WEIR_SUB)};

    flow_ok(weir_set(pair.pub, "send-policy", "block"));
    flow_ok(weir_connect(pair.sub, url_of(port, recv_options), NULL));
    flow_ok(weir_subscribe(pair.sub, "", 0));
    flow_ok(weir_bind(pair.pub, url_of(port, options), NULL));
    flow_ok(weir_wait_peers(pair.pub, 1, FLOW_SOON));
    flow_ok(weir_wait_peers(pair.sub, 1, FLOW_SOON));
    return pair;
}

static void part_group(const struct pair *pair)
{
    (void)flow_stats(pair->pub);
    (void)flow_stats(pair->sub);
    flow_close(pair->pub);
    flow_close(pair->sub);
}

static void test_traffic(void **state)
{
    static const size_t sizes[] = {0, 1, 253, 254, 1400, 1430, 5000, 1 << 20};
    struct pair pair;

    (void)state;
    if (!can_multicast())
        skip();
    pair = join_group("rate=1000000", "rate=1000000");
    for (uint32_t i = 0; i < 50; i++) {
        weir_message message;

        weir_message_init(&message);
        for (uint32_t k = 0; k < 8; k++)
            flow_add(&message, sizes[(i + k) % 8], i * 10 + k);
        flow_ok(weir_send_message(pair.pub, &message, FLOW_SOON));
        weir_message_init(&message);
        flow_ok(weir_recv_message(pair.sub, &message, FLOW_SOON));
        assert_int_equal(weir_message_count(&message), 8);
        for (uint32_t k = 0; k < 8; k++)
            flow_check_frame(&message, k, sizes[(i + k) % 8], i * 10 + k);
        weir_message_fini(&message);
    }
    part_group(&pair);
}

/* What the subscriber did not ask for is taken off there. */
static void test_subscriptions(void **state)
{
    struct pair pair;

    (void)state;
    if (!can_multicast())
        skip();
    pair = join_group(NULL, NULL);
    flow_ok(weir_unsubscribe(pair.sub, "", 0));
    flow_ok(weir_subscribe(pair.sub, "a", 1));
    for (int i = 0; i < 100; i++) {
        flow_say(pair.pub, "b not wanted");
        flow_say(pair.pub, "a wanted");
    }
    for (int i = 0; i < 100; i++)
        flow_hear(pair.sub, "a wanted");
    part_group(&pair);
}

/* A subscriber at its mark reads nothing, goes on when it has room, and has
 * what is missing repaired. */
static void test_at_the_mark(void **state)
{
    struct pair pair;

    (void)state;
    if (!can_multicast())
        skip();
    pair = join_group("recovery=10s", "recv-mark=10&recovery=10s");
    for (uint32_t i = 0; i < 2000; i++)
        flow_send_number(pair.pub, i);
    flow_ok(weir_flush(pair.pub, FLOW_SOON));
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(flow_recv_number(pair.sub), i);
    part_group(&pair);
}

/* ---- options ---- */

/* A plain socket that hears the group. */
static int listen_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct ip_mreq request = {.imr_interface.s_addr = htonl(INADDR_ANY)};
    struct timeval soon = {2, 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

    inet_pton(AF_INET, GROUP, &request.imr_multiaddr);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on),
                     0);
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on), 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request,
                   sizeof request) < 0) {
        print_message("no default interface for a plain socket: %s\n",
                      strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* What a packet of data was like; size 0: none came. */
struct packet {
    ssize_t size;
    int ttl, tos;
};

static struct packet hear_packet(int fd)
{
    uint8_t data[65536], control[256];
    struct packet packet = {0, -1, -1};
    struct iovec part = {data, sizeof data};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    do { /* those of data are of type 4 */
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        packet.size = recvmsg(fd, &header, 0);
    } while (packet.size > 0 && data[4] != 4);
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&header); packet.size > 0 && one;
         one = CMSG_NXTHDR(&header, one)) {
        if (one->cmsg_type == IP_TTL)
            memcpy(&packet.ttl, CMSG_DATA(one), sizeof packet.ttl);
        if (one->cmsg_type == IP_TOS)
            packet.tos = *CMSG_DATA(one);
    }
    if (packet.size < 0)
        packet.size = 0;
    return packet;
}

/* Publish one large message with the options, and see its first packet. */
static bool see_packet(const char *options, struct packet *packet)
{
    static char large[20000];
    uint16_t port = free_port();
    weir_socket pub = flow_open(context, WEIR_PUB);
    int fd = listen_to(port);

    if (fd >= 0) {
        flow_ok(weir_connect(pub, url_of(port, options), NULL));
        flow_ok(weir_wait_peers(pub, 1, FLOW_SOON));
        flow_ok(weir_send(pub, large, sizeof large, FLOW_SOON));
        *packet = hear_packet(fd);
        close(fd);
    }
    flow_drop(pub);
    return fd >= 0;
}

static void test_packets(void **state)
{
    struct packet packet;

    (void)state;
    if (!can_multicast() || !see_packet(NULL, &packet))
        skip();
    assert_int_equal(packet.size, 1500 - 20 - 8 - 20); /* as libzmq's */
    assert_int_equal(packet.ttl, 1);
    assert_int_equal(packet.tos, 184);
    assert_true(see_packet("tpdu=700&hops=3&tos=32", &packet));
    assert_int_equal(packet.size, 700 - 20 - 8 - 20);
    assert_int_equal(packet.ttl, 3);
    assert_int_equal(packet.tos, 32);
    assert_true(see_packet("loop=no", &packet));
    assert_int_equal(packet.size, 0);
}

/* 250 KB at 125 KB a second, of which the first second's worth goes at
 * once. */
static void test_rate(void **state)
{
    char data[1000] = "";
    struct pair pair;
    int64_t begun;

    (void)state;
    if (!can_multicast())
        skip();
    pair = join_group("rate=1000", "rate=1000");
    begun = flow_now();
    for (int i = 0; i < 250; i++)
        flow_ok(weir_send(pair.pub, data, sizeof data, FLOW_SOON));
    flow_ok(weir_flush(pair.pub, FLOW_SOON));
    assert_in_range(flow_now() - begun, 900, 10000);
    for (int i = 0; i < 250; i++) {
        size_t size = sizeof data;

        flow_ok(weir_recv(pair.sub, data, &size, FLOW_SOON));
    }
    part_group(&pair);
}

struct buffers {
    int send, recv; /* wanted */
    bool sends, recvs;
};

static void see_buffers(int fd, void *arg)
{
    struct buffers *buffers = arg;
    int value;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &size), 0);
    buffers->sends |= value == buffers->send;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &size), 0);
    buffers->recvs |= value == buffers->recv;
}

/* The system doubles what it is told. */
static void test_buffers(void **state)
{
    static const int types[] = {WEIR_PUB, WEIR_SUB};

    (void)state;
    if (!can_multicast())
        skip();
    for (int i = 0; i < 2; i++) {
        struct buffers buffers = {60000, 80000, false, false};
        weir_socket socket = flow_open(context, types[i]);

        flow_ok(weir_connect(
            socket, url_of(free_port(), "send-buffer=30000&recv-buffer=40000"),
            NULL));
        (void)each_udp(see_buffers, &buffers);
        assert_true(buffers.sends);
        assert_true(buffers.recvs);
        flow_drop(socket);
    }
}

static int up(void **state)
{
    (void)state;
    context = flow_context(1);
    return 0;
}

static int down(void **state)
{
    (void)state;
    flow_end(context);
    return 0;
}

#define TEST(name)                   \
    {                                \
#name, name, up, down, NULL, \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_quiet),         TEST(test_privilege),
        TEST(test_refusals),      TEST(test_types),
        TEST(test_descriptors),   TEST(test_few_descriptors),
        TEST(test_locks),         TEST(test_traffic),
        TEST(test_subscriptions), TEST(test_at_the_mark),
        TEST(test_packets),       TEST(test_rate),
        TEST(test_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
