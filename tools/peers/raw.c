/*
 * raw.c - one side of a benchmark with nothing but a socket: the least that
 * moving frames can cost here.
 *
 * thr packs frames (one octet of flags, a length of one or eight octets) into
 * 64 KB and writes that; the other side reads 64 KB and finds the frames, each
 * of which becomes a struct of 64 octets, short payloads copied into it.
 * lat writes a frame and reads one: where there is a second CPU it looks for
 * 20 us before it sleeps.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_SCHED_SETAFFINITY
#include <sched.h>
#endif

#include "side.h"

#define BATCH   65536
#define SPIN_NS 20000

/* What a frame becomes. */
struct frame {
    const unsigned char *payload;
    uint64_t size;
    unsigned char inside[40];
    uint64_t spare;
};

struct end {
    int listener, fd;
    bool latency, spins;
    size_t size;
    unsigned char *out, *in; /* room for BATCH or one frame each */
    size_t out_size, in_start, in_end, room;
    struct frame last;
};

/* ---- connections ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

/* "tcp://127.0.0.1:port or *" or "ipc://path".  Returns its length, 0 when it
 * is neither. */
static socklen_t read_url(const char *url, union address *address)
{
    const char *colon = strrchr(url, ':');

    memset(address, 0, sizeof *address);
    if (strncmp(url, "tcp://", 6) == 0 && colon > url + 6) {
        address->in.sin_family = AF_INET;
        address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->in.sin_port = htons((uint16_t)atoi(colon + 1));
        return sizeof address->in;
    }
    if (strncmp(url, "ipc://", 6) == 0 &&
        strlen(url + 6) < sizeof address->un.sun_path) {
        address->un.sun_family = AF_UNIX;
        strcpy(address->un.sun_path, url + 6);
        return sizeof address->un;
    }
    return 0;
}

static int listen_at(struct end *end, union address *address, socklen_t length,
                     char *url, size_t room, const char *given)
{
    end->listener = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (address->any.sa_family == AF_UNIX)
        unlink(address->un.sun_path);
    if (end->listener < 0 || bind(end->listener, &address->any, length) != 0 ||
        listen(end->listener, 1) != 0 ||
        getsockname(end->listener, &address->any, &length) != 0)
        return -1;
    if (address->any.sa_family == AF_INET)
        snprintf(url, room, "tcp://127.0.0.1:%u",
                 (unsigned)ntohs(address->in.sin_port));
    else
        snprintf(url, room, "%s", given);
    return 0;
}

static int prepare(struct end *end)
{
    int one = 1;

    setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return end->spins ? fcntl(end->fd, F_SETFL, O_NONBLOCK) : 0;
}

/* The one who connects to us, the first time. */
static bool meet(struct end *end)
{
    if (end->fd >= 0)
        return true;
    end->fd = accept(end->listener, NULL, NULL);
    close(end->listener);
    return end->fd >= 0 && prepare(end) == 0;
}

/* ---- moving octets ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool would_wait(ssize_t done)
{
    return done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static bool write_all(struct end *end, const unsigned char *data, size_t size)
{
    struct pollfd wait = {end->fd, POLLOUT, 0};

    while (size) {
        ssize_t done = send(end->fd, data, size, MSG_NOSIGNAL);

        if (would_wait(done))
            poll(&wait, 1, -1);
        else if (done < 0 && errno != EINTR)
            return false;
        data += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* Read what is there, after waiting for it.  0 at the end. */
static ssize_t read_some(struct end *end)
{
    struct pollfd wait = {end->fd, POLLIN, 0};
    unsigned char *to = end->in + end->in_end;
    uint64_t start = end->spins ? now_ns() : 0;
    ssize_t done;

    do {
        done = read(end->fd, to, end->room - end->in_end);
    } while (would_wait(done) && now_ns() - start < SPIN_NS);
    while (would_wait(done) || (done < 0 && errno == EINTR)) {
        poll(&wait, 1, -1);
        done = read(end->fd, to, end->room - end->in_end);
    }
    return done;
}

/* ---- frames ---- */

static size_t pack(unsigned char *to, const struct end *end)
{
    size_t head = 2;

    to[0] = 0;
    if (end->size < 256) {
        to[1] = (unsigned char)end->size;
    } else {
        to[0] = 2;
        head = 9;
        for (size_t i = 0; i < 8; i++)
            to[1 + i] = (unsigned char)((uint64_t)end->size >> (56 - 8 * i));
    }
    memset(to + head, 'x', end->size);
    return head + end->size;
}

/* The frame at in_start into `last`, if it is whole. */
static bool unpack(struct end *end)
{
    const unsigned char *at = end->in + end->in_start;
    size_t left = end->in_end - end->in_start, head = 2;
    uint64_t size = 0;

    if (left < 2 || (at[0] & 2 && left < 9))
        return false;
    if (at[0] & 2) {
        head = 9;
        for (size_t i = 1; i < 9; i++)
            size = size << 8 | at[i];
    } else {
        size = at[1];
    }
    if (left - head < size)
        return false;
    end->last.size = size;
    end->last.payload = at + head;
    if (size <= sizeof end->last.inside) {
        memcpy(end->last.inside, at + head, size);
        end->last.payload = end->last.inside;
    }
    end->in_start += head + size;
    return true;
}

static long recv_frames(void *arg)
{
    struct end *end = arg;
    ssize_t done;

    if (!meet(end))
        return -1;
    while (!unpack(end)) {
        if (end->in_start) {
            memmove(end->in, end->in + end->in_start,
                    end->in_end - end->in_start);
            end->in_end -= end->in_start;
            end->in_start = 0;
        }
        done = read_some(end);
        if (done <= 0)
            return -1;
        end->in_end += (size_t)done;
    }
    return 1;
}

static long send_frame(void *arg)
{
    struct end *end = arg;

    if (!meet(end))
        return -1;
    end->out_size += pack(end->out + end->out_size, end);
    if (end->latency || end->out_size + end->size + 9 > end->room) {
        if (!write_all(end, end->out, end->out_size))
            return -1;
        end->out_size = 0;
    }
    return 1;
}

/* ---- the table ---- */

static bool has_company(void)
{
#ifdef HAVE_SCHED_SETAFFINITY
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 &&
           CPU_COUNT(&cpus) > 1;
#else
    return sysconf(_SC_NPROCESSORS_ONLN) > 1;
#endif
}

static int start(const struct weir_side_plan *plan)
{
    if (!plan->one_process)
        return 0;
    fputs("raw: two processes only\n", stderr);
    return -1;
}

static struct end *new_end(const struct weir_side_plan *plan)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end)
        return NULL;
    end->listener = end->fd = -1;
    end->latency = plan->latency;
    end->spins = plan->latency && has_company();
    end->size = plan->size;
    end->room = plan->size + 9 > BATCH ? plan->size + 9 : BATCH;
    end->out = malloc(end->room);
    end->in = malloc(end->room);
    if (end->out && end->in)
        return end;
    free(end->out);
    free(end->in);
    free(end);
    return NULL;
}

static void *open_end(const struct weir_side_plan *plan, bool binds, char *url,
                      size_t room)
{
    struct end *end = new_end(plan);
    union address address;
    socklen_t length = read_url(plan->url, &address);
    int code = -1;

    errno = EINVAL;
    if (end && length && binds) {
        code = listen_at(end, &address, length, url, room, plan->url);
    } else if (end && length) {
        end->fd = socket(address.any.sa_family, SOCK_STREAM, 0);
        if (end->fd >= 0 && connect(end->fd, &address.any, length) == 0)
            code = prepare(end);
    }
    if (code == 0)
        return end;
    fprintf(stderr, "raw: %s: %s\n", plan->url, strerror(errno));
    return NULL;
}

static const struct weir_side_ops ops = {
    .start = start,
    .open = open_end,
    .send = send_frame,
    .recv = recv_frames,
};

int main(int argc, char **argv)
{
    return weir_side_main(&ops, argc - 1, (const char *const *)(argv + 1));
}
