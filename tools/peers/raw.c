/*
 * raw.c - one side of a benchmark with nothing but sockets: the least that
 * moving frames can cost here.
 *
 * Frames (one octet of flags, a length of one or eight octets) are packed into
 * 64 KB, and that is written; what is read, 64 KB at a time, is parsed into
 * structs of 64 octets, with short payloads copied into them.  Where each
 * message has to leave at once it is written by itself, and the one who waits
 * for it looks for 20 us before it sleeps if there is a second CPU.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef HAVE_SCHED_SETAFFINITY
#include <sched.h>
#endif

#include "address.h"
#include "side.h"

#define BATCH   65536
#define LARGE   (32 << 10) /* octets of what is not packed with others */
#define SPIN_NS 20000
#define EVENTS  64

/* What a frame becomes. */
struct frame {
    const unsigned char *payload;
    uint64_t size;
    unsigned char inside[40];
    uint64_t spare;
};

/* A connection, and what was read from it and not parsed yet. */
struct line {
    int fd;
    unsigned char *in; /* NULL before the first octet */
    size_t start, end;
};

struct end {
    struct weir_side_end base;
    enum weir_side_kind kind;
    int listener, poller; /* -1: none */
    bool at_once, spins, stamps;
    struct line **lines, *now; /* `now` is being read */
    size_t n_lines, room;      /* room: of a buffer */
    unsigned char *out;
    size_t out_start, out_end;
    struct epoll_event events[EVENTS];
    int n_events;
    struct frame last;
};

/* ---- connections ---- */

static int add_line(struct end *end, int fd)
{
    struct line **lines =
        realloc(end->lines, (end->n_lines + 1) * sizeof *lines);
    struct line *line = calloc(1, sizeof *line);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = line}};
    int one = 1;

    if (!lines || !line || fd < 0)
        return -1;
    end->lines = lines;
    end->lines[end->n_lines++] = line;
    line->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (end->poller >= 0)
        return epoll_ctl(end->poller, EPOLL_CTL_ADD, fd, &event);
    end->now = line;
    return end->spins || end->kind == WEIR_SIDE_DEALER
               ? fcntl(fd, F_SETFL, O_NONBLOCK)
               : 0;
}

/* All who wait to be accepted. */
static void take_newcomers(struct end *end)
{
    int fd;

    while ((fd = accept(end->listener, NULL, NULL)) >= 0)
        add_line(end, fd);
}

static void admit(struct weir_side_end *base)
{
    take_newcomers((struct end *)base);
}

/* The only one who connects to us, the first time. */
static bool meet(struct end *end)
{
    if (end->n_lines || end->poller >= 0)
        return true;
    return add_line(end, accept(end->listener, NULL, NULL)) == 0;
}

static void drop_line(struct end *end)
{
    close(end->now->fd); /* its struct stays: there are few */
    end->now->fd = -1;
    end->now = NULL;
}

/* ---- writing ---- */

static bool would_wait(ssize_t done)
{
    return done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Write all of it; without `waits` as much as goes.  How much did, or -1. */
static ssize_t write_some(int fd, const unsigned char *data, size_t size,
                          bool waits)
{
    struct pollfd wait = {fd, POLLOUT, 0};
    size_t done = 0;

    while (done < size) {
        ssize_t wrote = send(fd, data + done, size - done, MSG_NOSIGNAL);

        if (would_wait(wrote) && !waits)
            break;
        if (would_wait(wrote))
            poll(&wait, 1, -1);
        else if (wrote < 0 && errno != EINTR)
            return -1;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return (ssize_t)done;
}

/* What was packed, to everybody. */
static void flush_to_all(struct end *end)
{
    take_newcomers(end);
    for (size_t i = 0; i < end->n_lines; i++) {
        struct line *line = end->lines[i];

        if (line->fd >= 0 &&
            write_some(line->fd, end->out, end->out_end, true) < 0)
            line->fd = -1;
    }
    end->out_end = 0;
}

/* What was packed, to the one peer or the one that asked. */
static bool flush_to_one(struct end *end, bool waits)
{
    ssize_t done;

    if (!end->now)
        return false;
    done = write_some(end->now->fd, end->out + end->out_start,
                      end->out_end - end->out_start, waits);
    if (done < 0)
        return false;
    end->out_start += (size_t)done;
    if (end->out_start == end->out_end)
        end->out_start = end->out_end = 0;
    return true;
}

/* What goes before a message. */
static size_t pack_head(unsigned char *to, const struct weir_side_end *base)
{
    size_t head = 2;

    to[0] = 0;
    if (base->size < 256) {
        to[1] = (unsigned char)base->size;
    } else {
        to[0] = 2;
        head = 9;
        for (size_t i = 0; i < 8; i++)
            to[1 + i] = (unsigned char)((uint64_t)base->size >> (56 - 8 * i));
    }
    return head;
}

static size_t pack(unsigned char *to, const struct weir_side_end *base)
{
    size_t head = pack_head(to, base);

    memcpy(to + head, base->payload, base->size);
    return head + base->size;
}

/* A large message, from where it is. */
static bool send_large(struct end *end)
{
    const unsigned char *payload = (const unsigned char *)end->base.payload;
    unsigned char head[9];
    size_t first = pack_head(head, &end->base), done = 0;
    struct iovec parts[] = {{head, first}, {end->base.payload, end->base.size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t wrote = sendmsg(end->now->fd, &message, MSG_NOSIGNAL);

    if (wrote > 0)
        done = (size_t)wrote;
    else if (!would_wait(wrote) && errno != EINTR)
        return false;
    if (done < first &&
        write_some(end->now->fd, head + done, first - done, true) < 0)
        return false;
    done = done > first ? done - first : 0;
    return write_some(end->now->fd, payload + done, end->base.size - done,
                      true) >= 0;
}

static bool is_full(const struct end *end)
{
    return end->out_end + end->base.size + 9 > end->room;
}

static long send_frame(struct weir_side_end *base, bool waits)
{
    struct end *end = (struct end *)base;

    if (!meet(end))
        return -1;
    if (is_full(end) && !flush_to_one(end, false))
        return -1;
    if (is_full(end))
        return 0;
    if (waits && end->now && end->out_end == 0 && end->base.size >= LARGE)
        return send_large(end) ? 1 : -1;
    end->out_end += pack(end->out + end->out_end, base);
    if (!end->at_once && !is_full(end))
        return 1;
    if (end->kind == WEIR_SIDE_PUB)
        flush_to_all(end);
    else if (!flush_to_one(end, waits))
        return -1;
    return 1;
}

/* ---- reading ---- */

/* The frame that begins what was read into `last`, if it is whole. */
static bool unpack(struct end *end, struct line *line)
{
    size_t left = line->end - line->start, head = 2;
    const unsigned char *at;
    uint64_t size = 0;

    if (left < 2)
        return false;
    at = line->in + line->start;
    if (at[0] & 2 && left < 9)
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
        memcpy(end->last.inside, at + head, (size_t)size);
        end->last.payload = end->last.inside;
    }
    line->start += head + (size_t)size;
    return true;
}

/* Make room behind what is not parsed. */
static bool make_room(const struct end *end, struct line *line)
{
    if (!line->in)
        line->in = malloc(end->room);
    if (line->in && line->start) {
        memmove(line->in, line->in + line->start, line->end - line->start);
        line->end -= line->start;
        line->start = 0;
    }
    return line->in != NULL;
}

/* Read what is there; with `waits`, wait for it.  0 at the end. */
static ssize_t read_some(const struct end *end, struct line *line, bool waits)
{
    struct pollfd wait = {line->fd, POLLIN, 0};
    uint64_t start = end->spins && waits ? weir_meter_now() : 0;
    unsigned char *to = line->in + line->end;
    size_t room = end->room - line->end;
    ssize_t done;

    do {
        done = read(line->fd, to, room);
    } while (start && would_wait(done) && weir_meter_now() - start < SPIN_NS);
    while (waits && (would_wait(done) || (done < 0 && errno == EINTR))) {
        poll(&wait, 1, -1);
        done = read(line->fd, to, room);
    }
    line->end += done > 0 ? (size_t)done : 0;
    return done;
}

/* Of several connections, the next one with something to read. */
static struct line *next_line(struct end *end)
{
    for (;;) {
        while (end->n_events > 0) {
            struct line *line = end->events[--end->n_events].data.ptr;

            if (line)
                return line;
            take_newcomers(end);
        }
        end->n_events = epoll_wait(end->poller, end->events, EVENTS, -1);
        if (end->n_events < 0 && errno != EINTR)
            return NULL;
    }
}

static long recv_frame(struct weir_side_end *base, bool waits)
{
    struct end *end = (struct end *)base;
    ssize_t done;

    if (!meet(end))
        return -1;
    while (!end->now || !unpack(end, end->now)) {
        if (end->poller >= 0)
            end->now = next_line(end);
        if (!end->now || !make_room(end, end->now))
            return -1;
        done = read_some(end, end->now, waits);
        if (would_wait(done))
            return 0;
        if (done <= 0 && end->poller < 0)
            return -1;
        if (done <= 0)
            drop_line(end);
    }
    if (end->stamps)
        weir_side_stamp(base, end->last.payload, end->last.size);
    return 1;
}

static int wait_either(struct weir_side_end *base)
{
    struct end *end = (struct end *)base;
    struct pollfd wait = {end->now->fd, POLLIN, 0};

    if (!flush_to_one(end, false))
        return -1;
    if (end->out_end)
        wait.events |= POLLOUT;
    return poll(&wait, 1, -1) < 0 ? -1 : 0;
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
    (void)plan;
    return 0;
}

/* A socket with several peers has a set of descriptors. */
static int make_poller(struct end *end, const struct weir_side_plan *plan)
{
    bool binds = end->kind == WEIR_SIDE_PULL || end->kind == WEIR_SIDE_REP ||
                 end->kind == WEIR_SIDE_PUB;

    end->poller = -1;
    if (!plan->test->many || !binds)
        return 0;
    end->poller = epoll_create1(EPOLL_CLOEXEC);
    return end->poller;
}

static struct weir_side_end *open_end(const struct weir_side_plan *plan,
                                      enum weir_side_kind kind)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end || weir_side_end_init(&end->base, plan, kind) != 0)
        return NULL;
    end->kind = kind;
    end->listener = -1;
    end->at_once =
        plan->test->at_once || kind == WEIR_SIDE_REQ || kind == WEIR_SIDE_REP;
    end->spins = end->at_once && has_company();
    end->stamps = plan->stamps;
    end->room = plan->size + 9 > BATCH ? plan->size + 9 : BATCH;
    end->out = malloc(end->room);
    return end->out && make_poller(end, plan) >= 0 ? &end->base : NULL;
}

static int complain(const char *url)
{
    fprintf(stderr, "raw: %s: %s\n", url, strerror(errno));
    return -1;
}

static int bind_end(struct weir_side_end *base, const char *url, char *found)
{
    struct end *end = (struct end *)base;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};

    end->listener = weir_address_listen(url, found, 256);
    if (end->listener < 0)
        return complain(url);
    if (end->poller < 0)
        return 0;
    fcntl(end->listener, F_SETFL, O_NONBLOCK);
    return epoll_ctl(end->poller, EPOLL_CTL_ADD, end->listener, &event);
}

static int connect_end(struct weir_side_end *base, const char *url)
{
    if (add_line((struct end *)base, weir_address_connect(url)) != 0)
        return complain(url);
    return 0;
}

static int subscribe(struct weir_side_end *base, const void *topic, size_t size)
{
    (void)base;
    (void)topic;
    return size ? -1 : 0;
}

static const struct weir_side_ops ops = {
    .name = "raw",
    .wire = WEIR_SIDE_NO_WIRE,
    .start = start,
    .open = open_end,
    .bind = bind_end,
    .connect = connect_end,
    .subscribe = subscribe,
    .send = send_frame,
    .recv = recv_frame,
    .wait = wait_either,
    .admit = admit,
};

int main(int argc, char **argv)
{
    return weir_side_main(&ops, argc - 1, (const char *const *)(argv + 1));
}
